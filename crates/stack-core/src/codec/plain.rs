//! Values as ordinary JSON, for people and other programs.

use std::collections::BTreeMap;

use super::types::push_string;
use crate::{Marks, Value};

/// What stands in place of a sensitive part that is not revealed.
const MASK: &str = "(sensitive value)";

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line, without spaces.
    Compact,
    /// One member a line, indented by two spaces.
    Indented,
}

/// Writes a value as ordinary JSON: sets are arrays, unknown attributes and map members are left out (elsewhere an
/// unknown is `null`), infinities are strings. Sensitive parts are masked unless `reveal` is set.
pub fn to_plain_json(value: &Value, reveal: bool, layout: Layout) -> String {
    let mut writer = Plain {
        out: String::new(),
        reveal,
        layout,
        level: 0,
    };
    writer.value(value);
    writer.out
}

struct Plain {
    out: String,
    reveal: bool,
    layout: Layout,
    level: usize,
}

impl Plain {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Marked(m, _) if m.contains(Marks::SENSITIVE) && !self.reveal => {
                push_string(&mut self.out, MASK)
            }
            Value::Marked(_, v) => self.value(v),
            Value::Null(_) | Value::Unknown(_) => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) if n.is_infinite() => {
                push_string(
                    &mut self.out,
                    if *n < crate::Number::from(0) {
                        "-Infinity"
                    } else {
                        "Infinity"
                    },
                );
            }
            Value::Number(n) => self.out.push_str(&n.to_string()),
            Value::String(s) => push_string(&mut self.out, s),
            Value::List(_, vs) | Value::Set(_, vs) | Value::Tuple(vs) => {
                self.group('[', ']', vs.iter(), |this, v| this.value(v));
            }
            Value::Map(_, vs) | Value::Object(vs) => self.mapping(vs),
        }
    }

    fn mapping(&mut self, values: &BTreeMap<String, Value>) {
        let known = values.iter().filter(|(_, v)| v.is_known());
        self.group('{', '}', known, |this, (name, value)| {
            push_string(&mut this.out, name);
            this.out
                .push_str(if this.layout == Layout::Compact { ":" } else { ": " });
            this.value(value);
        });
    }

    fn group<T>(
        &mut self,
        open: char,
        close: char,
        members: impl Iterator<Item = T>,
        each: impl Fn(&mut Self, T),
    ) {
        self.out.push(open);
        self.level += 1;
        let mut any = false;
        for member in members {
            if any {
                self.out.push(',');
            }
            any = true;
            self.line();
            each(self, member);
        }
        self.level -= 1;
        if any {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if self.layout == Layout::Indented {
            self.out.push('\n');
            for _ in 0..self.level {
                self.out.push_str("  ");
            }
        }
    }
}
