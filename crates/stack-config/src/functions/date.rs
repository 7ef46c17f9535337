//! `formatdate`, `timeadd`, `timecmp`, `timestamp`, `plantimestamp`.

use std::fmt::Write as _;

use stack_core::{Type, Value};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use super::{Function, FunctionError, string, text};
use crate::evaluate::unknown_not_null;

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "formatdate",
            vec![string("format"), string("time")],
            Type::String,
            |_, args| {
                let at = parse(text(&args[1])?).map_err(|cause| FunctionError::argument(1, cause))?;
                let out = format(text(&args[0])?, at).map_err(|cause| FunctionError::argument(0, cause))?;
                Ok(Value::from(out))
            },
        ),
        Function::new(
            "timeadd",
            vec![string("timestamp"), string("duration")],
            Type::String,
            |_, args| {
                let at = parse(text(&args[0])?).map_err(FunctionError::new)?;
                let by = duration(text(&args[1])?).map_err(FunctionError::new)?;
                let sum = at
                    .checked_add(by)
                    .ok_or_else(|| FunctionError::new("the result is beyond the calendar"))?;
                Ok(Value::from(rfc3339(sum)))
            },
        ),
        Function::new(
            "timecmp",
            vec![string("timestamp_a"), string("timestamp_b")],
            Type::Number,
            |_, args| {
                let a = parse(text(&args[0])?).map_err(|cause| FunctionError::argument(0, cause))?;
                let b = parse(text(&args[1])?).map_err(|cause| FunctionError::argument(1, cause))?;
                Ok(Value::from(a.cmp(&b) as i64))
            },
        ),
        Function::new("timestamp", Vec::new(), Type::String, |cx, _| {
            // The time of apply is not known before.
            Ok(cx
                .scope
                .timestamp()
                .map_or_else(|| unknown_not_null(Type::String), Value::from))
        }),
        Function::new("plantimestamp", Vec::new(), Type::String, |cx, _| {
            let given = cx.scope.plan_timestamp();
            given
                .map(Value::from)
                .ok_or_else(|| FunctionError::new("there is no plan here whose time it could give"))
        }),
    ]
}

/// A timestamp with everything below seconds cut off; `None` where it is none.
pub(super) fn normalize(text: &str) -> Option<String> {
    parse(text).ok().map(rfc3339)
}

/// RFC 3339 with a resolution of seconds: `2006-01-02T15:04:05Z`.
fn rfc3339(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        offset(at.offset(), ":", "Z")
    )
}

fn offset(offset: UtcOffset, colon: &str, zero: &str) -> String {
    if offset.is_utc() && !zero.is_empty() {
        return zero.to_owned();
    }
    let minutes = offset.whole_minutes();
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// Reads an RFC 3339 timestamp; `T` and `Z` are upper case.
fn parse(text: &str) -> Result<OffsetDateTime, String> {
    let invalid = |why: &str| format!("not a valid RFC3339 timestamp: {why}");
    let mut scanner = Scanner { rest: text };
    let parsed = (|| {
        let (year, month, day) = (
            scanner.digits(4)?,
            scanner.sign('-')?.digits(2)?,
            scanner.sign('-')?.digits(2)?,
        );
        let (hour, minute) = (scanner.sign('T')?.digits(2)?, scanner.sign(':')?.digits(2)?);
        let second = scanner.sign(':')?.digits(2)?;
        let nanosecond = scanner.fraction()?;
        let offset = scanner.offset()?;
        Some((year, [month, day, hour, minute, second], nanosecond, offset))
    })();
    let Some((year, rest, nanosecond, offset)) = parsed.filter(|_| scanner.rest.is_empty()) else {
        return Err(invalid("it must look like 2006-01-02T15:04:05Z"));
    };
    let [month, day, hour, minute, second] = rest.map(|n| u8::try_from(n).unwrap_or(u8::MAX));
    let month = Month::try_from(month).map_err(|_| invalid("month out of range"))?;
    let year = i32::try_from(year).map_err(|_| invalid("year out of range"))?;
    let date = Date::from_calendar_date(year, month, day).map_err(|_| invalid("day out of range"))?;
    let time =
        Time::from_hms_nano(hour, minute, second, nanosecond).map_err(|_| invalid("time out of range"))?;
    Ok(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

struct Scanner<'t> {
    rest: &'t str,
}

impl Scanner<'_> {
    fn sign(&mut self, sign: char) -> Option<&mut Self> {
        self.rest = self.rest.strip_prefix(sign)?;
        Some(self)
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self
            .rest
            .get(..count)
            .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        self.rest = &self.rest[count..];
        digits.parse().ok()
    }

    /// `.5` as nanoseconds; further digits are dropped.
    fn fraction(&mut self) -> Option<u32> {
        let Some(rest) = self.rest.strip_prefix('.') else {
            return Some(0);
        };
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = rest.get(..length).filter(|d| !d.is_empty())?;
        self.rest = &rest[length..];
        let padded: String = digits.chars().chain("000000000".chars()).take(9).collect();
        padded.parse().ok()
    }

    fn offset(&mut self) -> Option<UtcOffset> {
        if self.sign('Z').is_some() {
            return Some(UtcOffset::UTC);
        }
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let (hours, minutes) = (self.digits(2)?, self.sign(':')?.digits(2)?);
        if hours > 23 || minutes >= 60 {
            return None;
        }
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        UtcOffset::from_whole_seconds(if negative { -seconds } else { seconds }).ok()
    }
}

/// A duration as `1h30m`, `-1.5s`, `100ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds: i128 = 0;
    while !rest.is_empty() {
        let length = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number = &rest[..length];
        rest = &rest[length..];
        let unit_length = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = &rest[..unit_length];
        rest = &rest[unit_length..];
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        nanoseconds += scaled(number, scale).ok_or_else(invalid)?;
        // The language keeps durations in 64 bits.
        if nanoseconds > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    let nanoseconds = i64::try_from(nanoseconds).map_err(|_| invalid())?;
    Ok(Duration::nanoseconds(if negative {
        -nanoseconds
    } else {
        nanoseconds
    }))
}

/// A decimal number times a scale, cut to a whole number.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: String = fraction.chars().take(18).collect();
    let part: i128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(scale)?.checked_add(part * scale / divisor)
}

/// Replaces the verbs of a format: repeated letters such as `YYYY`; quoted text and signs stand for themselves.
fn format(format: &str, at: OffsetDateTime) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' && chars.next_if_eq(&'\'').is_some() {
            out.push('\'');
        } else if c == '\'' {
            loop {
                match chars.next() {
                    Some('\'') if chars.peek() == Some(&'\'') => {
                        chars.next();
                        out.push('\'');
                    }
                    Some('\'') => break,
                    Some(c) => out.push(c),
                    None => return Err("unterminated literal '".to_owned()),
                }
            }
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            verb(c, count, at, &mut out)?;
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

fn verb(letter: char, count: usize, at: OffsetDateTime, out: &mut String) -> Result<(), String> {
    let (date, time) = (at.date(), at.time());
    let written = match (letter, count) {
        ('Y', 2) => write!(out, "{:02}", date.year() % 100),
        ('Y', 4) => write!(out, "{:04}", date.year()),
        ('M', 1) => write!(out, "{}", u8::from(date.month())),
        ('M', 2) => write!(out, "{:02}", u8::from(date.month())),
        ('M', 3) => write!(out, "{:.3}", date.month().to_string()),
        ('M', 4) => write!(out, "{}", date.month()),
        ('D', 1) => write!(out, "{}", date.day()),
        ('D', 2) => write!(out, "{:02}", date.day()),
        ('E', 3) => write!(out, "{:.3}", date.weekday().to_string()),
        ('E', 4) => write!(out, "{}", date.weekday()),
        ('h', 1) => write!(out, "{}", time.hour()),
        ('h', 2) => write!(out, "{:02}", time.hour()),
        ('H', 1) => write!(out, "{}", (time.hour() + 11) % 12 + 1),
        ('H', 2) => write!(out, "{:02}", (time.hour() + 11) % 12 + 1),
        ('A', 2) => write!(out, "{}", if time.hour() < 12 { "AM" } else { "PM" }),
        ('a', 2) => write!(out, "{}", if time.hour() < 12 { "am" } else { "pm" }),
        ('m', 1) => write!(out, "{}", time.minute()),
        ('m', 2) => write!(out, "{:02}", time.minute()),
        ('s', 1) => write!(out, "{}", time.second()),
        ('s', 2) => write!(out, "{:02}", time.second()),
        ('Z', 1) => write!(out, "{}", offset(at.offset(), ":", "Z")),
        ('Z', 3) => write!(out, "{}", offset(at.offset(), "", "UTC")),
        ('Z', 4) => write!(out, "{}", offset(at.offset(), "", "")),
        ('Z', 5) => write!(out, "{}", offset(at.offset(), ":", "")),
        _ => {
            let verb = letter.to_string().repeat(count);
            let known = match letter {
                'Y' => "must be \"YY\" or \"YYYY\"",
                'M' => "must be \"M\", \"MM\", \"MMM\" or \"MMMM\"",
                'E' => "must be \"EEE\" or \"EEEE\"",
                'A' | 'a' => "must be \"AA\" or \"aa\"",
                'D' | 'h' | 'H' | 'm' | 's' => "must be one or two letters",
                'Z' => "must be \"Z\", \"ZZZ\", \"ZZZZ\" or \"ZZZZZ\"",
                _ => "literal letters must be in single quotes",
            };
            return Err(format!("invalid date format verb {verb:?}: {known}"));
        }
    };
    written.map_err(|_| "the format cannot be written".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(verbs: &str, at: &str) -> String {
        format(verbs, parse(at).unwrap()).unwrap()
    }

    #[test]
    fn verbs_give_parts_of_the_time() {
        let at = "2018-01-02T23:12:01-08:00";
        assert_eq!(
            formatted("EEE, DD MMM YYYY hh:mm:ss ZZZ", at),
            "Tue, 02 Jan 2018 23:12:01 -0800"
        );
        assert_eq!(
            formatted("EEEE, DD-MMMM-YY H aa", at),
            "Tuesday, 02-January-18 11 pm"
        );
        assert_eq!(formatted("''''", at), "''");
        assert_eq!(formatted("'it''s' HH", "2018-01-02T00:00:00Z"), "it's 12");
        assert_eq!(
            formatted("Z ZZZ ZZZZ ZZZZZ", "2018-01-02T00:00:00Z"),
            "Z UTC +0000 +00:00"
        );
        for bad in ["Y", "YYYYY", "Q", "'open", "A"] {
            assert!(format(bad, parse(at).unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_are_strict() {
        for bad in [
            "2018-01-02",
            "2018-01-02 00:00:00Z",
            "2018-13-02T00:00:00Z",
            "2018-02-30T00:00:00Z",
            "2018-01-02t00:00:00z",
            "2018-01-02T24:00:00Z",
            "2018-01-02T00:00:00",
            "2018-01-02T00:00:00Zx",
            "é",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_add_up() {
        let add = |at: &str, by: &str| rfc3339(parse(at).unwrap() + duration(by).unwrap());
        assert_eq!(add("2017-11-22T00:00:00Z", "1h30m15s"), "2017-11-22T01:30:15Z");
        assert_eq!(add("2017-11-22T00:00:00.5Z", "600ms"), "2017-11-22T00:00:01Z");
        assert_eq!(
            add("2017-11-22T00:00:00+02:00", "-1.5m"),
            "2017-11-21T23:58:30+02:00"
        );
        for bad in ["1d", "", "x", "1", "1.2.3s", "300000000h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
