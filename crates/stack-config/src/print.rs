//! Values and types as the console prints them.

use std::fmt::Write as _;

use stack_core::{Diagnostics, FileId, Marks, Type, Value};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::evaluate::{Evaluator, Scope, evaluate};
use crate::expression::parse_expression;

/// A value in the notation of the language, on several lines where it has members; what is sensitive is masked.
pub fn render_value(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out
}

/// One line of the console: the value of the expression, or for `type(...)` its type. An empty line prints nothing.
///
/// # Errors
/// What is wrong with the expression.
pub fn console_line(text: &str, scope: &dyn Scope) -> Result<String, Diagnostics> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let expr = parse_expression(text.trim_end_matches(['\n', '\r']), FileId(0))?;
    if let Some(ty) = Evaluator::top_level_type(&expr, scope) {
        return ty;
    }
    Ok(render_value(&evaluate(&expr, scope)?))
}

fn write_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Unknown(_) => out.push_str("(known after apply)"),
        Value::Marked(_, inner) if matches!(**inner, Value::Unknown(_)) => {
            out.push_str("(known after apply)")
        }
        Value::Marked(marks, _) if marks.contains(Marks::SENSITIVE) => out.push_str("(sensitive value)"),
        Value::Marked(..) => out.push_str("(ephemeral value)"),
        Value::Null(ty) => out.push_str(&null_of(ty)),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Value::String(s) => write_string(out, s, indent),
        Value::List(_, members) => write_call(out, "tolist", |out| write_sequence(out, members, indent)),
        Value::Set(_, members) => write_call(out, "toset", |out| write_sequence(out, members, indent)),
        Value::Map(_, members) => write_call(out, "tomap", |out| write_mapping(out, members, indent)),
        Value::Tuple(members) => write_sequence(out, members, indent),
        Value::Object(members) => write_mapping(out, members, indent),
    }
}

fn write_call(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    out.push_str(name);
    out.push('(');
    inside(out);
    out.push(')');
}

fn null_of(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "null".to_owned(),
        Type::String => "tostring(null)".to_owned(),
        Type::Number => "tonumber(null)".to_owned(),
        Type::Bool => "tobool(null)".to_owned(),
        Type::List(t) => format!("tolist(null) /* of {} */", t.friendly_name()),
        Type::Set(t) => format!("toset(null) /* of {} */", t.friendly_name()),
        Type::Map(t) => format!("tomap(null) /* of {} */", t.friendly_name()),
        other => format!("null /* {} */", other.friendly_name()),
    }
}

fn line_break(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_sequence(out: &mut String, members: &[Value], indent: usize) {
    out.push('[');
    for member in members {
        line_break(out, indent + 2);
        write_value(out, member, indent + 2);
        out.push(',');
    }
    if !members.is_empty() {
        line_break(out, indent);
    }
    out.push(']');
}

fn write_mapping(out: &mut String, members: &std::collections::BTreeMap<String, Value>, indent: usize) {
    out.push('{');
    for (key, member) in members {
        line_break(out, indent + 2);
        write_string(out, key, indent + 2);
        out.push_str(" = ");
        write_value(out, member, indent + 2);
    }
    if !members.is_empty() {
        line_break(out, indent);
    }
    out.push('}');
}

fn write_string(out: &mut String, text: &str, indent: usize) {
    if !text.contains('\n') {
        out.push_str(&quote(text));
        return;
    }
    let mut marker = "EOT".to_owned();
    while text.split('\n').any(|line| line.trim() == marker) {
        marker.push('_');
    }
    out.push_str(if indent > 0 { "<<-" } else { "<<" });
    out.push_str(&marker);
    for line in text.split('\n') {
        line_break(out, indent);
        out.push_str(line);
    }
    line_break(out, indent);
    out.push_str(&marker);
}

/// A text in quotes, with escapes for what does not print.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if prints(c) => out.push(c),
            c if u32::from(c) < 0x80 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if u32::from(c) < 0x10000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// Letters, marks, numbers, punctuation, symbols and the space.
fn prints(c: char) -> bool {
    c == ' '
        || matches!(
            c.general_category_group(),
            GeneralCategoryGroup::Letter
                | GeneralCategoryGroup::Mark
                | GeneralCategoryGroup::Number
                | GeneralCategoryGroup::Punctuation
                | GeneralCategoryGroup::Symbol
        )
}

/// A type as `type()` prints it.
pub(crate) fn render_type(ty: &Type) -> String {
    let mut out = String::new();
    write_type(&mut out, ty, 0);
    out
}

fn write_type(out: &mut String, ty: &Type, indent: usize) {
    match ty {
        Type::List(t) | Type::Set(t) | Type::Map(t) => {
            let name = match ty {
                Type::List(_) => "list",
                Type::Set(_) => "set",
                _ => "map",
            };
            write_call(out, name, |out| write_type(out, t, indent));
        }
        Type::Tuple(ts) if ts.is_empty() => out.push_str("tuple([])"),
        Type::Tuple(ts) => {
            out.push_str("tuple([");
            for t in ts.iter() {
                line_break(out, indent + 4);
                write_type(out, t, indent + 4);
                out.push(',');
            }
            line_break(out, indent);
            out.push_str("])");
        }
        Type::Object(o) if o.attributes.is_empty() => out.push_str("object({})"),
        Type::Object(o) => {
            out.push_str("object({");
            for (name, t) in &o.attributes {
                line_break(out, indent + 4);
                out.push_str(name);
                out.push_str(": ");
                write_type(out, t, indent + 4);
                out.push(',');
            }
            line_break(out, indent);
            out.push_str("})");
        }
        primitive => out.push_str(&primitive.friendly_name()),
    }
}
