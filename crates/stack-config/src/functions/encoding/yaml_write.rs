//! YAML from values, in the one style that `yamlencode` has: strings in double quotes or as literal blocks.

use stack_core::Value;

/// Lines are folded behind this column where a quoted text has a space.
const WIDTH: usize = 80;
/// Longer keys stand behind `?`.
const SIMPLE_KEY: usize = 128;

/// Writes a wholly known value as a document.
pub(super) fn write(value: &Value) -> String {
    let mut writer = Writer {
        out: String::new(),
        column: 0,
    };
    writer.node(value, -1, false);
    writer.line();
    let plain = matches!(
        value.unmarked(),
        Value::Null(_) | Value::Bool(_) | Value::Number(_)
    );
    if plain {
        writer.out.push_str("...\n");
    }
    writer.out
}

struct Writer {
    out: String,
    column: usize,
}

/// What the emitter needs to know of a string.
struct Shape {
    multiline: bool,
    /// It can stand as a literal block.
    literal: bool,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    /// Ends the line, unless one just ended.
    fn line(&mut self) {
        if self.column > 0 {
            self.out.push('\n');
            self.column = 0;
        }
    }

    fn indent(&mut self, indent: i64) {
        self.line();
        let indent = usize::try_from(indent).unwrap_or(0);
        self.out.push_str(&" ".repeat(indent));
        self.column = indent;
    }

    /// `indent` is that of the collection around, -1 outside; `mapping`: the value of a key.
    fn node(&mut self, value: &Value, indent: i64, mapping: bool) {
        match value.unmarked() {
            Value::Null(_) | Value::Unknown(_) | Value::Marked(..) => self.put("null"),
            Value::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Value::Number(n) if n.is_infinite() => self.put(if n.as_f64() > 0.0 { "+Inf" } else { "-Inf" }),
            Value::Number(n) => self.put(&n.to_string()),
            Value::String(text) => self.string(text, indent, false),
            Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
                self.sequence(members, indent, mapping);
            }
            Value::Map(_, members) | Value::Object(members) if members.is_empty() => self.put("{}"),
            Value::Map(_, members) | Value::Object(members) => {
                let own = next(indent);
                for (i, (key, member)) in members.iter().enumerate() {
                    // The first key stands on the line of the dash before it.
                    if i > 0 || mapping {
                        self.indent(own);
                    }
                    self.pair(key, member, own);
                }
            }
        }
    }

    fn sequence(&mut self, members: &[Value], indent: i64, mapping: bool) {
        if members.is_empty() {
            self.put("[]");
            return;
        }
        // Below a key the dashes stand under the key.
        let own = if mapping { indent } else { next(indent) };
        for (i, member) in members.iter().enumerate() {
            if i > 0 || mapping {
                self.indent(own);
            }
            self.put("- ");
            self.node(member, own, false);
        }
    }

    fn pair(&mut self, key: &str, member: &Value, indent: i64) {
        if key.len() <= SIMPLE_KEY && !shape(key).multiline {
            self.string(key, indent, true);
            self.put(":");
        } else {
            self.put("? ");
            self.string(key, indent, false);
            self.indent(indent);
            self.put(":");
        }
        let collection = match member.unmarked() {
            Value::List(_, m) | Value::Set(_, m) | Value::Tuple(m) => !m.is_empty(),
            Value::Map(_, m) | Value::Object(m) => !m.is_empty(),
            _ => false,
        };
        if !collection {
            self.put(" ");
        }
        self.node(member, indent, true);
    }

    fn string(&mut self, text: &str, indent: i64, key: bool) {
        let shape = shape(text);
        let inner = next(indent).max(2);
        if shape.multiline && shape.literal && !key {
            self.literal(text, inner)
        } else {
            self.quoted(text, inner, key)
        }
    }

    fn literal(&mut self, text: &str, indent: i64) {
        self.put("|");
        if text.starts_with([' ', '\n']) {
            self.put("2");
        }
        let body = match text.strip_suffix('\n') {
            None => {
                self.put("-");
                text
            }
            Some(body) => {
                if body.is_empty() || body.ends_with('\n') {
                    self.put("+");
                }
                body
            }
        };
        let indent = " ".repeat(usize::try_from(indent).unwrap_or(0));
        for line in body.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.out.push_str(&indent);
                self.out.push_str(line);
            }
        }
        self.out.push('\n');
        self.column = 0;
    }

    fn quoted(&mut self, text: &str, indent: i64, key: bool) {
        self.put("\"");
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let foldable = !key && !after_space && self.column > WIDTH && i > 0 && i + 1 < chars.len();
                if foldable {
                    self.indent(indent);
                    if chars.get(i + 1) == Some(&' ') {
                        self.put("\\");
                    }
                } else {
                    self.put(" ");
                }
                after_space = true;
                continue;
            }
            after_space = false;
            self.character(*c);
        }
        self.put("\"");
    }

    fn character(&mut self, c: char) {
        let short = match c {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            c if printable(c) => return self.put(c.encode_utf8(&mut [0; 4])),
            c => {
                let code = u32::from(c);
                let escaped = match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                return self.put(&escaped);
            }
        };
        self.put(short);
    }
}

/// Indentation inside a collection.
fn next(indent: i64) -> i64 {
    if indent < 0 { 0 } else { indent + 2 }
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn shape(text: &str) -> Shape {
    let spaced = text.contains(" \n") || text.ends_with(' ');
    let special = text
        .chars()
        .any(|c| !printable(c) || matches!(c, '\u{2028}' | '\u{2029}'));
    Shape {
        multiline: text.contains('\n'),
        literal: !spaced && !special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn yaml(json: &str) -> String {
        write(&parse(json).unwrap())
    }

    #[test]
    fn collections_nest_without_needless_space() {
        assert_eq!(
            yaml(r#"{"a":1.5,"b":true,"c":[1,{"x":[],"y":{}}],"d":{"e":"f"}}"#),
            "\"a\": 1.5\n\"b\": true\n\"c\":\n- 1\n- \"x\": []\n  \"y\": {}\n\"d\":\n  \"e\": \"f\"\n"
        );
        assert_eq!(
            yaml(r#"[[1,[2]],{"a":[1]}]"#),
            "- - 1\n  - - 2\n- \"a\":\n  - 1\n"
        );
        assert_eq!(yaml("[[]]"), "- []\n");
    }

    #[test]
    fn a_plain_document_is_closed() {
        assert_eq!(yaml("null"), "null\n...\n");
        assert_eq!(yaml("\"\""), "\"\"\n");
        assert_eq!(yaml("{}"), "{}\n");
    }

    #[test]
    fn lines_are_literal_where_they_can_be() {
        assert_eq!(yaml(r#"["a\nb"]"#), "- |-\n  a\n  b\n");
        assert_eq!(yaml(r#"{"a":" x\ny"}"#), "\"a\": |2-\n   x\n  y\n");
        assert_eq!(yaml(r#"["x\n\n",1]"#), "- |+\n  x\n\n- 1\n");
        assert_eq!(yaml(r#"{"a":"\n"}"#), "\"a\": |2+\n\n");
        assert_eq!(yaml(r#"{"a":"x \ny"}"#), "\"a\": \"x \\ny\"\n");
        assert_eq!(yaml(r#"{"x\ny":1}"#), "? |-\n  x\n  y\n: 1\n");
    }

    #[test]
    fn long_texts_are_folded_and_odd_characters_escaped() {
        let long = "a".repeat(90);
        assert_eq!(
            yaml(&format!(r#"{{"a":"{long}  b c"}}"#)),
            format!("\"a\": \"{long}\n  \\ b c\"\n")
        );
        assert_eq!(yaml(r#"[["aé 😀\t\u007f"]]"#), "- - \"aé \\U0001F600\\t\\x7F\"\n");
    }
}
