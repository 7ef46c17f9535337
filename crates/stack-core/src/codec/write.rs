//! Writing values.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::types::{push as push_type, push_string};
use super::{CodecError, Encoded, MAX_DEPTH, Seal, decimal, place};
use crate::{Marks, ObjectType, Path, Step, Type, Unknown, Value};

/// Sealed texts are padded to a multiple of this, so that their length tells little.
const PADDING: usize = 64;

/// Writes a value and its type. `context` names the place it is stored in; reading needs the same.
///
/// # Errors
/// A part is ephemeral, a sensitive part cannot be sealed, or the value nests too deep.
pub fn write(value: &Value, seal: &dyn Seal, context: &str) -> Result<Encoded, CodecError> {
    let mut writer = Writer {
        out: String::new(),
        seal,
        context,
        path: Path::root(),
        sealed: false,
    };
    writer.depth(value, 0)?;
    let ty = stored_type(value);
    writer.value(value, &ty)?;
    let mut text = String::new();
    push_type(&mut text, &ty);
    Ok(Encoded {
        ty: text,
        json: writer.out,
    })
}

/// The type as it may be written beside the value: names inside a sensitive part do not occur in it.
pub fn stored_type(value: &Value) -> Type {
    match value {
        Value::Marked(m, v) if m.contains(Marks::SENSITIVE) => match **v {
            Value::Object(_) | Value::Tuple(_) => Type::Dynamic,
            _ => v.ty(),
        },
        Value::Marked(_, v) => stored_type(v),
        Value::Tuple(vs) => Type::tuple(vs.iter().map(stored_type).collect()),
        Value::Object(o) => Type::object(o.iter().map(|(k, v)| (k.clone(), stored_type(v)))),
        other => other.ty(),
    }
}

struct Writer<'a> {
    out: String,
    seal: &'a dyn Seal,
    context: &'a str,
    path: Path,
    /// Inside a text that is to be sealed.
    sealed: bool,
}

impl Writer<'_> {
    /// Checked once, ahead of everything that recurses.
    fn depth(&self, value: &Value, depth: usize) -> Result<(), CodecError> {
        if depth > MAX_DEPTH {
            return Err(CodecError::TooDeep {
                path: self.path.clone(),
            });
        }
        match value {
            Value::Marked(_, v) => self.depth(v, depth),
            Value::List(_, vs) | Value::Set(_, vs) | Value::Tuple(vs) => {
                vs.iter().try_for_each(|v| self.depth(v, depth + 1))
            }
            Value::Map(_, vs) | Value::Object(vs) => vs.values().try_for_each(|v| self.depth(v, depth + 1)),
            Value::Null(_) | Value::Unknown(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Ok(())
            }
        }
    }

    /// Writes a part whose place has type `ty`.
    fn value(&mut self, value: &Value, ty: &Type) -> Result<(), CodecError> {
        match (value, ty) {
            (Value::Marked(marks, inner), _) => {
                if marks.contains(Marks::EPHEMERAL) {
                    return Err(CodecError::Ephemeral {
                        path: self.path.clone(),
                    });
                }
                self.sensitive(inner)
            }
            (Value::Null(t), _) if t == ty => {
                self.out.push_str("null");
                Ok(())
            }
            (Value::Unknown(unknown), _) => {
                self.unknown(unknown);
                Ok(())
            }
            (Value::Bool(b), Type::Bool) => {
                self.out.push_str(if *b { "true" } else { "false" });
                Ok(())
            }
            (Value::Number(n), Type::Number) => {
                match decimal::exact_digits(n) {
                    Some(digits) => self.out.push_str(&digits),
                    None => {
                        self.out.push_str("{\"$number\":\"");
                        self.out.push_str(&decimal::to_binary_text(n));
                        self.out.push_str("\"}");
                    }
                }
                Ok(())
            }
            (Value::String(s), Type::String) => {
                push_string(&mut self.out, s);
                Ok(())
            }
            (Value::List(e, vs), Type::List(t)) | (Value::Set(e, vs), Type::Set(t)) if *e == **t => {
                self.members(vs, |_| t)
            }
            (Value::Tuple(vs), Type::Tuple(ts)) if vs.len() == ts.len() => self.members(vs, |i| &ts[i]),
            (Value::Map(e, vs), Type::Map(t)) if *e == **t => self.mapping(vs, |_| t),
            (Value::Object(vs), Type::Object(o)) if same_names(vs, o) => {
                self.mapping(vs, |name| o.attributes.get(name).unwrap_or(&Type::Dynamic))
            }
            (other, _) => self.with_type(other),
        }
    }

    fn with_type(&mut self, value: &Value) -> Result<(), CodecError> {
        let own = stored_type(value);
        self.out.push_str("{\"$type\":");
        push_type(&mut self.out, &own);
        self.out.push_str(",\"$value\":");
        self.value(value, &own)?;
        self.out.push('}');
        Ok(())
    }

    fn members<'t>(&mut self, values: &[Value], ty: impl Fn(usize) -> &'t Type) -> Result<(), CodecError> {
        self.out.push('[');
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.path.0.push(Step::Index(i));
            self.value(value, ty(i))?;
            self.path.0.pop();
        }
        self.out.push(']');
        Ok(())
    }

    fn mapping<'t>(
        &mut self,
        values: &BTreeMap<String, Value>,
        ty: impl Fn(&str) -> &'t Type,
    ) -> Result<(), CodecError> {
        self.out.push('{');
        for (i, (name, value)) in values.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            if name.starts_with('$') {
                push_string(&mut self.out, &format!("${name}"));
            } else {
                push_string(&mut self.out, name);
            }
            self.out.push(':');
            self.path.0.push(Step::Attribute(Arc::from(name.as_str())));
            self.value(value, ty(name))?;
            self.path.0.pop();
        }
        self.out.push('}');
        Ok(())
    }

    /// A sensitive part carries its type inside, and everything in it is sealed with it.
    fn sensitive(&mut self, inner: &Value) -> Result<(), CodecError> {
        if self.sealed {
            self.out.push_str("{\"$sensitive\":");
            self.with_type(inner)?;
            self.out.push('}');
            return Ok(());
        }
        let outer = std::mem::take(&mut self.out);
        self.sealed = true;
        let result = self.with_type(inner);
        self.sealed = false;
        let mut plaintext = Zeroizing::new(std::mem::replace(&mut self.out, outer));
        result?;
        let padded = plaintext.len().next_multiple_of(PADDING);
        while plaintext.len() < padded {
            plaintext.push(' ');
        }
        let sealed = self
            .seal
            .seal(&plaintext, &place(self.context, &self.path))
            .map_err(|source| CodecError::Seal {
                path: self.path.clone(),
                source,
            })?;
        self.out.push_str("{\"$sealed\":");
        push_string(&mut self.out, &sealed);
        self.out.push('}');
        Ok(())
    }

    fn unknown(&mut self, unknown: &Unknown) {
        self.out.push_str("{\"$unknown\":{\"type\":");
        push_type(&mut self.out, &unknown.ty);
        if unknown.not_null {
            self.out.push_str(",\"not_null\":true");
        }
        if !unknown.prefix.is_empty() {
            self.out.push_str(",\"prefix\":");
            push_string(&mut self.out, &unknown.prefix);
        }
        if unknown.min_length > 0 {
            self.out.push_str(",\"min_length\":");
            self.out.push_str(&unknown.min_length.to_string());
        }
        if let Some(max) = unknown.max_length {
            self.out.push_str(",\"max_length\":");
            self.out.push_str(&max.to_string());
        }
        self.out.push_str("}}");
    }
}

fn same_names(values: &BTreeMap<String, Value>, ty: &ObjectType) -> bool {
    values.len() == ty.attributes.len() && values.keys().eq(ty.attributes.keys())
}
