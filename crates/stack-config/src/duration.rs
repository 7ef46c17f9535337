//! Durations as people write them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// Longest duration that is taken: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads whole numbers with the units `h`, `m` and `s`, each at most once and in this order: `90s`, `10m`, `1h30m`.
///
/// # Errors
/// What is wrong with the text, as the end of a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];
    let malformed = || {
        format!(
            "\"{text}\" is no duration; write whole hours, minutes and seconds, as in \"90s\", \"10m\" or \"1h30m\""
        )
    };
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .filter(|end| *end > 0)
            .ok_or_else(malformed)?;
        let number: u64 = rest[..end].parse().map_err(|_| malformed())?;
        let unit = rest[end..].chars().next().ok_or_else(malformed)?;
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(malformed)?;
        let more = number
            .checked_mul(*factor)
            .and_then(|more| seconds.checked_add(more));
        seconds = more.unwrap_or(u64::MAX);
        rest = &rest[end + unit.len_utf8()..];
    }
    let duration = Duration::from_secs(seconds);
    if text.is_empty() {
        Err(malformed())
    } else if duration.is_zero() {
        Err(format!("\"{text}\" leaves no time at all"))
    } else if duration > LONGEST {
        Err(format!(
            "\"{text}\" is longer than a week (168h), the longest there is"
        ))
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_added_up() {
        let seconds = |text: &str| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("1h0m1s"), Ok(3601));
        assert_eq!(seconds("168h"), Ok(604_800));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in [
            "",
            "90",
            "s",
            "1m1h",
            "1m1m",
            "1.5h",
            "-1s",
            "1 m",
            "1d",
            "10ms",
            "1h30",
            "0s",
            "169h",
            "1µ",
            "99999999999999999999h",
            "9999999999999999999h",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
