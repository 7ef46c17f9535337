//! YAML to values. The parser knows YAML 1.2; what a plain scalar means follows the language, which is closer to 1.1.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use stack_core::codec::parse_number;
use stack_core::{Number, Value};

/// Aliases may repeat what they stand for up to this many values in all.
const MAX_VALUES: usize = 1_000_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 200;

/// Reads the one document of a text.
///
/// # Errors
/// What is wrong, as a lower case fragment.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains(
        |c| !matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..),
    ) {
        return Err("control characters are not allowed".to_owned());
    }
    let directives = text
        .lines()
        .take_while(|line| line.starts_with(['%', '#']) || line.trim().is_empty());
    for line in directives.filter(|line| line.starts_with('%')) {
        if !line.starts_with("%YAML ") && !line.starts_with("%TAG ") {
            return Err("found unknown directive name".to_owned());
        }
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        lines: text.lines().collect(),
        flow: 0,
        anchors: HashMap::new(),
        values: 0,
    };
    let mut found = None;
    loop {
        match reader.next()?.0 {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if found.is_some() => {
                return Err("unexpected extra content after value".to_owned());
            }
            Event::DocumentStart(_) => {
                let (event, place) = reader.next()?;
                found = Some(reader.node(event, place, 0)?);
            }
            _ => {}
        }
    }
    found
        .map(|node| node.value)
        .ok_or_else(|| "missing start of document".to_owned())
}

type Input<'t> = saphyr_parser::StrInput<'t>;

struct Reader<'t> {
    parser: Parser<'t, Input<'t>>,
    lines: Vec<&'t str>,
    /// How many brackets and braces are open.
    flow: usize,
    /// Finished anchors; one that is still being read is `None`.
    anchors: HashMap<usize, Option<Node>>,
    values: usize,
}

#[derive(Clone)]
struct Node {
    value: Value,
    /// How many values are in it.
    size: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Marker), String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => {
                let at = error.marker();
                Err(format!(
                    "on line {}, column {}: {}",
                    at.line(),
                    at.col() + 1,
                    error.info()
                ))
            }
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, place: Marker, depth: usize) -> Result<Node, String> {
        let at = |message: String| format!("on line {}, column {}: {message}", place.line(), place.col() + 1);
        if depth > MAX_DEPTH {
            return Err(at(format!("more than {MAX_DEPTH} levels of nesting")));
        }
        let before = self
            .lines
            .get(place.line().saturating_sub(1))
            .copied()
            .unwrap_or("");
        let indent = &before[..before.len() - before.trim_start().len()];
        if self.flow == 0 && indent.contains('\t') && place.col() <= indent.chars().count() {
            return Err(at(
                "found character that cannot start any token: a tab cannot indent".to_owned(),
            ));
        }
        let flow = before
            .chars()
            .nth(place.col())
            .is_some_and(|c| c == '[' || c == '{');
        let (node, anchor) = match event {
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(node)) => (node.clone(), 0),
                Some(None) => {
                    return Err(at(
                        "cannot refer to an anchor from inside its own definition".to_owned()
                    ));
                }
                None => return Err(at("reference to undefined anchor".to_owned())),
            },
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style == ScalarStyle::Plain, tag.as_deref()).map_err(at)?;
                (Node { value, size: 1 }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                expect_tag(tag, "seq", "sequence").map_err(at)?;
                self.anchors.insert(anchor, None);
                self.flow += usize::from(flow || self.flow > 0);
                let node = self.sequence(depth)?;
                self.flow = self.flow.saturating_sub(1);
                (node, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                expect_tag(tag, "map", "mapping").map_err(at)?;
                self.anchors.insert(anchor, None);
                self.flow += usize::from(flow || self.flow > 0);
                let node = self.mapping(depth)?;
                self.flow = self.flow.saturating_sub(1);
                (node, anchor)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(at("a value is missing".to_owned())),
        };
        self.values += node.size;
        if self.values > MAX_VALUES {
            return Err(at(format!("aliases make it more than {MAX_VALUES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, String> {
        let mut members = Vec::new();
        let mut size = 1;
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node {
                    value: Value::tuple(members),
                    size,
                });
            }
            let node = self.node(event, place, depth + 1)?;
            size += node.size;
            members.push(node.value);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node, String> {
        let mut members: BTreeMap<String, Value> = BTreeMap::new();
        let mut size = 1;
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node {
                    value: Value::object(members),
                    size,
                });
            }
            let at =
                |message: String| format!("on line {}, column {}: {message}", place.line(), place.col() + 1);
            let merge = matches!(&event, Event::Scalar(text, _, _, None) if text == "<<");
            let key = self.node(event, place, depth + 1)?.value;
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            size += value.size + 1;
            if merge {
                let Some(inner) = value.value.as_mapping() else {
                    let name = value.value.ty().friendly_name();
                    return Err(at(format!("cannot merge {name} into mapping")));
                };
                members.extend(inner.iter().map(|(k, v)| (k.clone(), v.clone())));
                continue;
            }
            let key = match key {
                Value::String(key) => key.to_string(),
                Value::Bool(key) => key.to_string(),
                Value::Number(key) => key.to_string(),
                Value::Null(_) => return Err(at("mapping key cannot be null".to_owned())),
                _ => return Err(at("only strings are allowed as mapping keys".to_owned())),
            };
            members.insert(key, value.value);
        }
    }
}

/// The name of a tag of the core set; other tags as they are.
fn tag_name(tag: &Tag) -> Result<&str, String> {
    let prefix = "tag:yaml.org,2002:";
    if tag.handle == prefix {
        return Ok(&tag.suffix);
    }
    match tag.suffix.strip_prefix(prefix) {
        Some(name) if tag.handle.is_empty() => Ok(name),
        _ => Err(format!("unsupported tag \"{}{}\"", tag.handle, tag.suffix)),
    }
}

fn expect_tag(tag: Option<Cow<'_, Tag>>, wanted: &str, kind: &str) -> Result<(), String> {
    let Some(tag) = tag else { return Ok(()) };
    match tag_name(&tag)? {
        name if name == wanted => Ok(()),
        name => Err(format!("can't interpret {kind} as {name}")),
    }
}

fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return if plain {
            resolve(text)
        } else {
            Ok(Value::string(text))
        };
    };
    let name = tag_name(tag)?;
    let unfit = || format!("cannot parse {text:?} as !!{name}");
    match name {
        "str" => Ok(Value::string(text)),
        "binary" => {
            let packed: String = text.split_whitespace().collect();
            let valid = base64::engine::general_purpose::STANDARD.decode(packed).is_ok();
            if valid {
                Ok(Value::string(text))
            } else {
                Err(format!("{}: not valid base64", unfit()))
            }
        }
        // A quoted text stays a text.
        "null" | "bool" | "int" | "float" | "timestamp" if !plain => Ok(Value::string(text)),
        "null" => Ok(Value::NULL),
        "bool" => match resolve(text)? {
            value @ Value::Bool(_) => Ok(value),
            _ => Err(unfit()),
        },
        "int" | "float" => match resolve(text)? {
            value @ Value::Number(_) => Ok(value),
            _ => Err(unfit()),
        },
        "timestamp" => timestamp(text).map(Value::from).ok_or_else(unfit),
        _ => Err(format!("unsupported tag !!{name}")),
    }
}

/// What a plain scalar without a tag means.
fn resolve(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::NULL,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => infinity(false),
        "-.inf" | "-.Inf" | "-.INF" => infinity(true),
        ".nan" | ".NaN" | ".NAN" => return Err("floating point NaN is not supported".to_owned()),
        _ => match number(text)? {
            Some(number) => Value::Number(number),
            None => timestamp(text).map_or_else(|| Value::string(text), Value::from),
        },
    })
}

fn infinity(negative: bool) -> Value {
    let infinity = stack_core::number::Float::INFINITY;
    Value::Number(Number::new(if negative { -infinity } else { infinity }))
}

/// Decimal numbers (leading zeros mean nothing), `0x1f` and `0o17`.
fn number(text: &str) -> Result<Option<Number>, String> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let Some(digits) = text.strip_prefix(prefix) else {
            continue;
        };
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Ok(None);
        }
        return match u64::from_str_radix(digits, radix) {
            Ok(value) => Ok(parse_number(&value.to_string())),
            Err(_) => Err(format!(
                "cannot parse {text:?} as !!int: it has more than 64 bits"
            )),
        };
    }
    Ok(decimal(text))
}

fn decimal(text: &str) -> Option<Number> {
    let (sign, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(i) => (&rest[..i], Some(&rest[i + 1..])),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let exponent = match exponent {
        None => String::new(),
        Some(e) => {
            let bare = e.strip_prefix(['+', '-']).unwrap_or(e);
            if bare.is_empty() || !digits(bare) {
                return None;
            }
            format!("e{e}")
        }
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = if fraction.is_empty() {
        String::new()
    } else {
        format!(".{fraction}")
    };
    parse_number(&format!("{sign}{whole}{fraction}{exponent}"))
}

/// `2020-1-2`, `2020-01-02 10:00:00`, `2020-01-02T10:00:00.5+02:00`, as RFC 3339 without fraction.
fn timestamp(text: &str) -> Option<String> {
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(i) => (&text[..i], Some((&text[i..=i], &text[i + 1..]))),
        None => (text, None),
    };
    let mut parts = date.split('-').map(|part| short_number(part, 4));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let four = date.split('-').next().is_some_and(|y| y.len() == 4);
    if parts.next().is_some() || !four {
        return None;
    }
    let (clock, zone) = match clock {
        None => ("0:0:0", "Z"),
        Some((" ", clock)) => (clock, "Z"),
        Some((_, clock)) => clock.split_at(clock.find(['Z', '+', '-'])?),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':').map(|part| short_number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let strict = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}");
    super::super::date::normalize(&strict)
}

fn short_number(text: &str, digits: usize) -> Option<u32> {
    let fits = !text.is_empty() && text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write;

    fn json(yaml: &str) -> String {
        write(&read(yaml).unwrap()).unwrap()
    }

    #[test]
    fn plain_scalars_have_the_meaning_of_the_language() {
        for (text, meaning) in [
            ("0x1F", "31"),
            ("0o17", "15"),
            ("017", "17"),
            ("-017", "-17"),
            ("1.", "1"),
            (".5", "0.5"),
            ("+.5", "0.5"),
            ("1e3", "1000"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("1_000", "\"1_000\""),
            ("0b101", "\"0b101\""),
            ("-0x1f", "\"-0x1f\""),
            ("1e", "\"1e\""),
            ("+", "\"+\""),
            ("1.2.3", "\"1.2.3\""),
            ("y", "true"),
            ("oFF", "\"oFF\""),
            ("Off", "false"),
            ("~", "null"),
            ("nUll", "\"nUll\""),
            ("=", "\"=\""),
            ("2020-1-1", "\"2020-01-01T00:00:00Z\""),
            ("2020-01-01 10:00:00", "\"2020-01-01T10:00:00Z\""),
            ("2020-01-01t10:00:00.5+02:00", "\"2020-01-01T10:00:00+02:00\""),
            ("2020-13-01", "\"2020-13-01\""),
            ("12:30:45", "\"12:30:45\""),
            ("!!str 1", "\"1\""),
            ("!!float 1", "1"),
            ("'1'", "\"1\""),
            ("!!int 1.5", "1.5"),
        ] {
            assert_eq!(
                json(&format!("a: {text}")),
                format!("{{\"a\":{meaning}}}"),
                "{text}"
            );
        }
    }

    #[test]
    fn documents_are_read() {
        assert_eq!(json("{a: 1, b: [x, y]}"), r#"{"a":1,"b":["x",true]}"#);
        assert_eq!(
            json("a: &x {k: 1, c: 0}\nb:\n  <<: *x\n  c: 2"),
            r#"{"a":{"c":0,"k":1},"b":{"c":2,"k":1}}"#
        );
        assert_eq!(json("a: |\n  x\n  y\n"), r#"{"a":"x\ny\n"}"#);
        assert_eq!(json("- - 1\n  - 2\n- {}\n- []"), "[[1,2],{},[]]");
        assert_eq!(json("1.0: x\nyes: z\n"), r#"{"1":"x","true":"z"}"#);
        assert_eq!(json("a: 1\na: 2"), r#"{"a":2}"#);
        assert_eq!(json("a: {b}"), r#"{"a":{"b":null}}"#);
        assert_eq!(json("---\n...\n"), "null");
        assert_eq!(json("--- 1\n...\n# c\n"), "1");
        assert_eq!(
            json("a: &x 1\nb: *x\nc: &x 2\nd: *x"),
            r#"{"a":1,"b":1,"c":2,"d":2}"#
        );
    }

    #[test]
    fn mistakes_are_errors() {
        for bad in [
            "",
            "# comment only",
            "a: [",
            "a: !foo 1",
            "a: %x",
            "a: .nan",
            "a: 1\n---\nb: 2",
            "a: *x",
            "a: &x [*x]",
            "{a: 1, [b]: 2}",
            "null: z",
            "a: b: c",
            "\ta: 1",
            "a: @x",
            "<<: 1",
            "a: !!int x",
            "a: !!bool x",
            "a: !!set {x}",
            "a: 'x",
            "- a\nb: 1",
            "a: \"b\" c",
            "a: -",
        ] {
            assert!(read(bad).is_err(), "{bad:?} gave {:?}", read(bad));
        }
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let before = i - 1;
            let members = vec![format!("*a{before}"); 10].join(", ");
            text += &["a", &i.to_string(), ": &a", &i.to_string(), " [", &members, "]\n"].concat();
        }
        assert!(read(&text).unwrap_err().contains("aliases"));
    }
}
