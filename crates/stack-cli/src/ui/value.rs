//! Values and differences between values, as a plan shows them.
//!
//! A line has its sign two columns before its text, and each level of nesting is four columns further in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use similar::{ChangeTag, DiffOp, TextDiff};
use stack_core::path::Step;
use stack_core::{Marks, Path, Value};

use super::Paint;

/// What stands in front of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It stays.
    None,
    /// It is added.
    Add,
    /// It is removed.
    Remove,
    /// Something in it changes.
    Change,
}

const SENSITIVE: &str = "(sensitive value)";
const UNKNOWN: &str = "(known after apply)";
const REPLACES: &str = " # forces replacement";

/// Lines of context around a changed line of a text.
const CONTEXT: usize = 3;

/// Spaces in front of the sign of a line.
pub(crate) fn indent(level: usize) -> String {
    " ".repeat(2 + 4 * level)
}

/// Shows values.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    /// Colours.
    pub(crate) paint: Paint,
    /// Attributes whose change replaces the object.
    pub(crate) replace: &'a [Path],
}

impl Values<'_> {
    /// A sign in its colour.
    pub(crate) fn sign(self, sign: Sign) -> String {
        match sign {
            Sign::None => " ".to_owned(),
            Sign::Add => self.paint.green("+"),
            Sign::Remove => self.paint.red("-"),
            Sign::Change => self.paint.yellow("~"),
        }
    }

    /// One line.
    pub(crate) fn line(self, level: usize, sign: Sign, text: &str) -> String {
        format!("{}{} {text}\n", indent(level), self.sign(sign))
    }

    /// A line for what is left out.
    fn hidden(self, level: usize, count: usize, what: &str) -> String {
        match count {
            0 => String::new(),
            1 => self.line(
                level,
                Sign::None,
                &self.paint.dim(&format!("# (1 unchanged {what} hidden)")),
            ),
            n => self.line(
                level,
                Sign::None,
                &self.paint.dim(&format!("# ({n} unchanged {what}s hidden)")),
            ),
        }
    }

    /// ` # forces replacement` for a path that does.
    fn forces(self, path: &Path) -> String {
        if self.replace.contains(path) {
            self.paint.red(REPLACES)
        } else {
            String::new()
        }
    }

    /// A value; its members carry the sign. `level` is that of the line the value begins on.
    pub(crate) fn value(self, value: &Value, level: usize, sign: Sign) -> String {
        match value {
            Value::Marked(marks, _) if marks.contains(Marks::SENSITIVE) => SENSITIVE.to_owned(),
            Value::Marked(_, inner) => self.value(inner, level, sign),
            Value::Unknown(_) => UNKNOWN.to_owned(),
            Value::Null(_) => self.paint.dim("null"),
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => n.to_string(),
            Value::String(s) if is_text(s) => {
                let mut out = "<<-EOT\n".to_owned();
                for line in s.lines() {
                    let _ = writeln!(out, "{}  {}", indent(level + 1), visible(line));
                }
                let _ = write!(out, "{}  EOT", indent(level));
                out
            }
            Value::String(s) => quoted(s),
            Value::List(_, vs) | Value::Set(_, vs) | Value::Tuple(vs) => {
                let lines = vs
                    .iter()
                    .map(|v| self.line(level + 1, sign, &format!("{},", self.value(v, level + 1, sign))));
                group('[', lines.collect(), ']', level)
            }
            Value::Map(_, vs) | Value::Object(vs) => {
                let entries: Vec<Entry> = vs
                    .iter()
                    .map(|(name, v)| Entry::new(key(value, name), sign, self.value(v, level + 1, sign)))
                    .collect();
                group('{', self.entries(&entries, level + 1), '}', level)
            }
        }
    }

    /// Lines of `name = value`, with the equals signs below each other.
    pub(crate) fn entries(self, entries: &[Entry], level: usize) -> String {
        let width = entries.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
        let line = |e: &Entry| {
            let space = " ".repeat(width - e.name.chars().count());
            self.line(level, e.sign, &format!("{}{space} = {}", e.name, e.text))
        };
        entries.iter().map(line).collect()
    }

    /// The difference of two values that are not the same, with the sign of its first line.
    pub(crate) fn difference(
        self,
        before: &Value,
        after: &Value,
        path: &Path,
        level: usize,
    ) -> (Sign, String) {
        let forces = self.forces(path);
        if hides(before) || hides(after) {
            return (Sign::Change, format!("{SENSITIVE}{forces}"));
        }
        if after.is_null() {
            return (
                Sign::Remove,
                format!(
                    "{} -> {}{forces}",
                    self.value(before, level, Sign::Remove),
                    self.paint.dim("null")
                ),
            );
        }
        if before.is_null() {
            return (
                Sign::Add,
                first_line(&self.value(after, level, Sign::Add), &forces),
            );
        }
        let text = match (before.unmarked(), after.unmarked()) {
            (Value::String(a), Value::String(b)) if is_text(a) || is_text(b) => self.text(a, b, level),
            (Value::Map(..), Value::Map(..)) | (Value::Object(_), Value::Object(_)) => {
                self.mapping(before, after, path, level)
            }
            (Value::Set(..), Value::Set(..)) => self.set(before, after, level),
            (Value::List(..) | Value::Tuple(_), Value::List(..) | Value::Tuple(_)) => {
                self.sequence(before, after, path, level)
            }
            _ => {
                let old = self.value(before, level, Sign::Remove);
                let arrow = self.paint.yellow("->");
                format!("{old} {arrow} {}", self.value(after, level, Sign::Add))
            }
        };
        (Sign::Change, first_line(&text, &forces))
    }

    fn mapping(self, before: &Value, after: &Value, path: &Path, level: usize) -> String {
        let (Some(a), Some(b)) = (before.as_mapping(), after.as_mapping()) else {
            return String::new();
        };
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let (mut entries, mut hidden) = (Vec::new(), 0);
        for name in names {
            let shown = key(after, name);
            let inner = path.then(Step::Attribute(name.as_str().into()));
            match (a.get(name), b.get(name)) {
                (Some(a), Some(b)) if a == b => hidden += 1,
                (Some(a), Some(b)) => {
                    let (sign, text) = self.difference(a, b, &inner, level + 1);
                    entries.push(Entry::new(shown, sign, text));
                }
                (None, Some(b)) => {
                    entries.push(Entry::new(shown, Sign::Add, self.value(b, level + 1, Sign::Add)))
                }
                (Some(a), None) => {
                    let text = format!(
                        "{} -> {}",
                        self.value(a, level + 1, Sign::Remove),
                        self.paint.dim("null")
                    );
                    entries.push(Entry::new(shown, Sign::Remove, text));
                }
                (None, None) => {}
            }
        }
        let lines = self.entries(&entries, level + 1) + &self.hidden(level + 1, hidden, "element");
        group('{', lines, '}', level)
    }

    fn set(self, before: &Value, after: &Value, level: usize) -> String {
        let (a, b) = (
            before.as_sequence().unwrap_or(&[]),
            after.as_sequence().unwrap_or(&[]),
        );
        let member =
            |sign, v: &Value| self.line(level + 1, sign, &format!("{},", self.value(v, level + 1, sign)));
        let gone = a
            .iter()
            .filter(|v| !b.contains(v))
            .map(|v| member(Sign::Remove, v));
        let new = b.iter().filter(|v| !a.contains(v)).map(|v| member(Sign::Add, v));
        let lines: String = gone.chain(new).collect();
        let hidden = self.hidden(level + 1, a.iter().filter(|v| b.contains(v)).count(), "element");
        group('[', lines + &hidden, ']', level)
    }

    fn sequence(self, before: &Value, after: &Value, path: &Path, level: usize) -> String {
        let (a, b) = (
            before.as_sequence().unwrap_or(&[]),
            after.as_sequence().unwrap_or(&[]),
        );
        let (mut lines, mut hidden) = (String::new(), 0);
        let member =
            |sign, v: &Value| self.line(level + 1, sign, &format!("{},", self.value(v, level + 1, sign)));
        let (numbers_a, numbers_b) = numbers(a, b);
        for op in similar::capture_diff_slices(similar::Algorithm::Myers, &numbers_a, &numbers_b) {
            match op {
                DiffOp::Equal { len, .. } => {
                    hidden += len;
                    continue;
                }
                // Members that keep their place are compared with each other.
                DiffOp::Replace {
                    old_index,
                    old_len,
                    new_index,
                    new_len,
                } if old_len == new_len => {
                    for i in 0..old_len {
                        let inner = path.index(new_index + i);
                        let (sign, text) =
                            self.difference(&a[old_index + i], &b[new_index + i], &inner, level + 1);
                        lines.push_str(&self.line(level + 1, sign, &format!("{text},")));
                    }
                }
                DiffOp::Replace { .. } | DiffOp::Delete { .. } | DiffOp::Insert { .. } => {
                    lines.extend(a[op.old_range()].iter().map(|v| member(Sign::Remove, v)));
                    lines.extend(b[op.new_range()].iter().map(|v| member(Sign::Add, v)));
                }
            }
        }
        group(
            '[',
            lines + &self.hidden(level + 1, hidden, "element"),
            ']',
            level,
        )
    }

    /// A unified diff of two texts.
    fn text(self, before: &str, after: &str, level: usize) -> String {
        let diff = TextDiff::from_lines(before, after);
        let mut out = "<<-EOT\n".to_owned();
        for (i, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
            let starts_later = group
                .first()
                .is_some_and(|op| op.old_range().start > 0 || op.new_range().start > 0);
            if i > 0 || starts_later {
                out.push_str(&self.line(level + 1, Sign::None, &self.paint.dim("...")));
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Equal => Sign::None,
                    ChangeTag::Delete => Sign::Remove,
                    ChangeTag::Insert => Sign::Add,
                };
                let end = if change.missing_newline() {
                    self.paint.dim(" # no newline at the end")
                } else {
                    String::new()
                };
                let line = change.value();
                let line = line.strip_suffix('\n').unwrap_or(line);
                out.push_str(&self.line(level + 1, sign, &format!("{}{end}", visible(line))));
            }
        }
        let _ = write!(out, "{}  EOT", indent(level));
        out
    }
}

/// One `name = value`.
pub(crate) struct Entry {
    name: String,
    sign: Sign,
    text: String,
}

impl Entry {
    /// A name, its sign, and the text behind the equals sign.
    pub(crate) fn new(name: String, sign: Sign, text: String) -> Self {
        Self { name, sign, text }
    }
}

/// Whether a value is sensitive as a whole.
pub(crate) fn hides(value: &Value) -> bool {
    value.marks().contains(Marks::SENSITIVE)
}

/// Numbers for the members of two sequences; equal members have equal numbers.
fn numbers(a: &[Value], b: &[Value]) -> (Vec<usize>, Vec<usize>) {
    let mut known: BTreeMap<&Value, usize> = BTreeMap::new();
    for value in a.iter().chain(b) {
        let next = known.len();
        known.entry(value).or_insert(next);
    }
    let of = |members: &[Value]| members.iter().filter_map(|v| known.get(v).copied()).collect();
    (of(a), of(b))
}

/// A text of several lines, shown line by line.
fn is_text(s: &str) -> bool {
    s.trim_end_matches('\n').contains('\n')
}

/// `{}` around lines, on one line where there are none.
fn group(open: char, lines: String, close: char, level: usize) -> String {
    if lines.is_empty() {
        format!("{open}{close}")
    } else {
        format!("{open}\n{lines}{}  {close}", indent(level))
    }
}

/// Puts a note at the end of the first line.
fn first_line(text: &str, note: &str) -> String {
    match text.split_once('\n') {
        Some((first, rest)) => format!("{first}{note}\n{rest}"),
        None => format!("{text}{note}"),
    }
}

/// The name of a member: plain in an object where it can be, quoted in a map.
fn key(of: &Value, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let identifier =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain);
    if identifier && matches!(of.unmarked(), Value::Object(_)) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A string in quotes, without control characters.
pub(crate) fn quoted(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A line of a text without control characters, so that it cannot drive the terminal.
fn visible(line: &str) -> String {
    line.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use stack_core::Type;

    use super::*;

    fn values<'a>() -> Values<'a> {
        Values {
            paint: Paint(false),
            replace: &[],
        }
    }

    fn difference(a: &Value, b: &Value) -> String {
        values().difference(a, b, &Path::root(), 0).1
    }

    #[test]
    fn texts_show_as_unified_diff() {
        let text = difference(&Value::from("a\nb\nc\n"), &Value::from("a\nB\nc\n"));
        assert_eq!(
            text,
            "<<-EOT\n        a\n      - b\n      + B\n        c\n    EOT"
        );
    }

    #[test]
    fn members_that_stay_are_counted() {
        let map = |pairs: &[(&str, &str)]| {
            let members: BTreeMap<_, _> = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), Value::from(*v)))
                .collect();
            Value::map(Type::String, members)
        };
        let text = difference(
            &map(&[("a", "1"), ("b", "2"), ("c", "3")]),
            &map(&[("a", "1"), ("b", "x"), ("d", "4")]),
        );
        let wanted = "{\n      ~ \"b\" = \"2\" -> \"x\"\n      - \"c\" = \"3\" -> null\n      + \"d\" = \"4\"\n        \
                      # (1 unchanged element hidden)\n    }";
        assert_eq!(text, wanted);
        let list = |vs: &[&str]| Value::list(Type::String, vs.iter().map(|v| Value::from(*v)).collect());
        let text = difference(&list(&["a", "b", "c"]), &list(&["a", "c", "d"]));
        assert_eq!(
            text,
            "[\n      - \"b\",\n      + \"d\",\n        # (2 unchanged elements hidden)\n    ]"
        );
    }

    #[test]
    fn sensitive_values_are_never_shown() {
        let (a, b) = (
            Value::from("canary-1\nx\n").sensitive(),
            Value::from("canary-2\nx\n"),
        );
        for text in [
            difference(&a, &b),
            difference(&b, &a),
            difference(&a, &b.clone().sensitive()),
        ] {
            assert_eq!(text, SENSITIVE);
        }
        let nested = |v: Value| Value::object([("k".to_owned(), Value::tuple(vec![v]))]);
        assert!(!difference(&nested(a), &nested(b.clone().sensitive())).contains("canary"));
        assert!(
            !values()
                .value(&nested(b.sensitive()), 0, Sign::Add)
                .contains("canary")
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = values().value(&Value::from("a\u{1b}[31m\nb\nc"), 0, Sign::Add);
        assert!(!text.contains('\u{1b}'));
        assert_eq!(quoted("\u{1b}[0m"), "\"\\u{1b}[0m\"");
    }
}
