//! Reading values.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::types::type_from_json;
use super::{CodecError, MAX_DEPTH, Seal, decimal, place};
use crate::{Marks, Path, Step, Type, Unknown, Value};

/// Reads a value that [`write`](super::write()) wrote, of the type it gave, in the same context.
///
/// # Errors
/// The text does not fit the type, or a sealed part does not open.
pub fn read(json: &str, ty: &Type, seal: &dyn Seal, context: &str) -> Result<Value, CodecError> {
    let mut reader = Reader {
        seal,
        context,
        path: Path::root(),
    };
    reader.value(json, ty, 0)
}

struct Reader<'a> {
    seal: &'a dyn Seal,
    context: &'a str,
    path: Path,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnknownWire<'a> {
    #[serde(borrow, rename = "type")]
    ty: &'a RawValue,
    #[serde(default)]
    not_null: bool,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    min_length: usize,
    #[serde(default)]
    max_length: Option<usize>,
}

/// Whether the text is an object whose first key is one of ours: it starts with one `$`.
fn is_special(json: &str) -> bool {
    let Some(rest) = json.trim_start().strip_prefix('{') else {
        return false;
    };
    rest.trim_start()
        .strip_prefix("\"$")
        .is_some_and(|key| !key.starts_with('$'))
}

impl Reader<'_> {
    fn malformed(&self, message: impl Into<String>) -> CodecError {
        CodecError::Malformed {
            path: self.path.clone(),
            message: message.into(),
        }
    }

    fn parse<'j, T: Deserialize<'j>>(&self, json: &'j str, ty: &Type) -> Result<T, CodecError> {
        // The library's message quotes the text, which may be an opened secret: only the place is passed on.
        serde_json::from_str(json).map_err(|e| {
            self.malformed(format!(
                "no {} (line {}, column {})",
                ty.friendly_name(),
                e.line(),
                e.column()
            ))
        })
    }

    fn value(&mut self, json: &str, ty: &Type, depth: usize) -> Result<Value, CodecError> {
        // Each level of a value may add one of our own objects around it.
        if depth > 3 * MAX_DEPTH {
            return Err(CodecError::TooDeep {
                path: self.path.clone(),
            });
        }
        if is_special(json) {
            return self.special(json, depth);
        }
        if json.trim() == "null" {
            return Ok(Value::Null(ty.clone()));
        }
        Ok(match ty {
            Type::Dynamic => return Err(self.malformed("a value of no known type")),
            Type::Bool => Value::Bool(self.parse(json, ty)?),
            Type::String => Value::from(self.parse::<String>(json, ty)?),
            Type::Number => Value::Number(
                decimal::parse_number(json.trim()).ok_or_else(|| self.malformed("no number of this kind"))?,
            ),
            Type::List(t) => Value::List(
                (**t).clone(),
                Arc::new(self.members(json, ty, |_| Some(t), depth)?),
            ),
            Type::Set(t) => Value::set((**t).clone(), self.members(json, ty, |_| Some(t), depth)?),
            Type::Tuple(ts) => {
                let members = self.members(json, ty, |i| ts.get(i), depth)?;
                if members.len() != ts.len() {
                    return Err(self.malformed(format!("{} members instead of {}", members.len(), ts.len())));
                }
                Value::tuple(members)
            }
            Type::Map(t) => Value::Map(
                (**t).clone(),
                Arc::new(self.mapping(json, ty, |_| Some(t), depth)?),
            ),
            Type::Object(o) => {
                let members = self.mapping(json, ty, |name| o.attributes.get(name), depth)?;
                if let Some(missing) = o.attributes.keys().find(|name| !members.contains_key(*name)) {
                    return Err(self.malformed(format!("attribute {missing} is missing")));
                }
                Value::Object(Arc::new(members))
            }
        })
    }

    fn members<'t>(
        &mut self,
        json: &str,
        ty: &Type,
        of: impl Fn(usize) -> Option<&'t Type>,
        depth: usize,
    ) -> Result<Vec<Value>, CodecError> {
        let parts: Vec<&RawValue> = self.parse(json, ty)?;
        let mut values = Vec::with_capacity(parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            let ty = of(i).ok_or_else(|| self.malformed(format!("member {i} has no type")))?;
            self.path.0.push(Step::Index(i));
            values.push(self.value(part.get(), ty, depth + 1)?);
            self.path.0.pop();
        }
        Ok(values)
    }

    fn mapping<'t>(
        &mut self,
        json: &str,
        ty: &Type,
        of: impl Fn(&str) -> Option<&'t Type>,
        depth: usize,
    ) -> Result<BTreeMap<String, Value>, CodecError> {
        let parts: BTreeMap<String, &RawValue> = self.parse(json, ty)?;
        let mut values = BTreeMap::new();
        for (key, part) in parts {
            let name = match key.strip_prefix("$$") {
                Some(rest) => format!("${rest}"),
                None if key.starts_with('$') => return Err(self.malformed(format!("unexpected key {key}"))),
                None => key,
            };
            let ty = of(&name).ok_or_else(|| self.malformed(format!("attribute {name} has no type")))?;
            self.path.0.push(Step::Attribute(Arc::from(name.as_str())));
            let value = self.value(part.get(), ty, depth + 1)?;
            self.path.0.pop();
            values.insert(name, value);
        }
        Ok(values)
    }

    fn special(&mut self, json: &str, depth: usize) -> Result<Value, CodecError> {
        let parts: BTreeMap<&str, &RawValue> = self.parse(json, &Type::Dynamic)?;
        let parts: Vec<(&str, &str)> = parts.into_iter().map(|(k, v)| (k, v.get())).collect();
        match parts[..] {
            [("$type", ty), ("$value", value)] => {
                let ty = type_from_json(ty)?;
                self.value(value, &ty, depth + 1)
            }
            [("$sealed", sealed)] => {
                let sealed: String = self.parse(sealed, &Type::String)?;
                let opened = self
                    .seal
                    .open(&sealed, &place(self.context, &self.path))
                    .map_err(|source| CodecError::Seal {
                        path: self.path.clone(),
                        source,
                    })?;
                Ok(self
                    .value(&opened, &Type::Dynamic, depth + 1)?
                    .mark(Marks::SENSITIVE))
            }
            [("$sensitive", inner)] => Ok(self
                .value(inner, &Type::Dynamic, depth + 1)?
                .mark(Marks::SENSITIVE)),
            [("$unknown", unknown)] => {
                let wire: UnknownWire<'_> = self.parse(unknown, &Type::Dynamic)?;
                Ok(Value::Unknown(Box::new(Unknown {
                    ty: type_from_json(wire.ty.get())?,
                    not_null: wire.not_null,
                    prefix: Arc::from(wire.prefix),
                    min_length: wire.min_length,
                    max_length: wire.max_length,
                })))
            }
            [("$number", text)] => {
                let text: String = self.parse(text, &Type::String)?;
                decimal::from_binary_text(&text)
                    .map(Value::Number)
                    .ok_or_else(|| self.malformed("no number of this kind"))
            }
            _ => Err(self.malformed("a form that this version does not know")),
        }
    }
}
