//! Conversion between types and unification of types.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Marks, Number, ObjectType, Path, Step, Type, Unknown, Value};

/// A value that cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.0.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// The part that does not fit.
    pub path: Path,
    /// What would fit: `string required, but have object`.
    pub message: String,
}

impl ConvertError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            path: Path::root(),
            message: message.into(),
        }
    }

    fn within(mut self, step: Step) -> Self {
        self.path.0.insert(0, step);
        self
    }

    /// What may be said of it: where `value`, which was to be converted, is sensitive, without names of members that a
    /// secret gave them.
    pub fn told(&self, value: &Value) -> String {
        if self.message.contains("lowercase") && value.marks_deep().contains(Marks::SENSITIVE) {
            return "a bool is required".to_owned();
        }
        let text = self.to_string();
        if value.hides_names() && (text.contains('"') || !self.path.0.is_empty()) {
            return "it has another type; the value is sensitive, so no more is told".to_owned();
        }
        text
    }
}

type Converted = Result<Value, ConvertError>;

/// Converts a value to a type, as for an argument of that type: primitive types to and from text, tuples to lists and
/// sets, objects to maps and to other objects. [`Type::Dynamic`] takes any value as it is. Unknown values stay unknown,
/// nulls stay null, and marks stay on the parts they are on; a set takes over the marks of its members.
///
/// # Errors
/// The part that does not fit, and what would.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    match value {
        Value::Marked(marks, inner) => Ok(convert(inner, ty)?.mark(*marks)),
        value if *ty == Type::Dynamic => Ok(value.clone()),
        Value::Null(from) => {
            check(from, ty)?;
            Ok(Value::Null(filled(ty, from)))
        }
        Value::Unknown(unknown) => {
            check(&unknown.ty, ty)?;
            let to = filled(ty, &unknown.ty);
            if to == unknown.ty {
                return Ok(value.clone());
            }
            let mut converted = Unknown::of(to.clone());
            converted.not_null = unknown.not_null;
            if is_collection(&to) && is_collection(&unknown.ty) {
                // A set may have fewer members than the list it is made of, but at least one.
                let shrinks = matches!(to, Type::Set(_));
                converted.min_length = if shrinks {
                    unknown.min_length.min(1)
                } else {
                    unknown.min_length
                };
                converted.max_length = unknown.max_length;
            }
            Ok(Value::Unknown(Box::new(converted)))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => primitive(value, ty),
        Value::Object(members) => object(value, members, ty),
        Value::Map(element, members) => map(value, element, members, ty),
        Value::Tuple(members) => tuple(value, members, ty),
        Value::List(_, members) | Value::Set(_, members) => sequence(value, members, ty),
    }
}

fn is_collection(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_))
}

/// The target type without placeholders, as far as the source type fills them.
fn filled(to: &Type, from: &Type) -> Type {
    match (to, from) {
        (Type::Dynamic, from) => from.clone(),
        (Type::List(t), Type::List(f) | Type::Set(f)) => Type::list(filled(t, f)),
        (Type::Set(t), Type::List(f) | Type::Set(f)) => Type::set(filled(t, f)),
        (Type::Map(t), Type::Map(f)) => Type::map(filled(t, f)),
        (Type::List(t), Type::Tuple(fs)) if t.has_dynamic() => {
            unify(fs).map_or_else(|| to.clone(), |f| Type::list(filled(t, &f)))
        }
        (Type::Set(t), Type::Tuple(fs)) if t.has_dynamic() => {
            unify(fs).map_or_else(|| to.clone(), |f| Type::set(filled(t, &f)))
        }
        (Type::Map(t), Type::Object(f)) if t.has_dynamic() => {
            let types: Vec<Type> = f.attributes.values().cloned().collect();
            unify(&types).map_or_else(|| to.clone(), |f| Type::map(filled(t, &f)))
        }
        (Type::Tuple(ts), Type::Tuple(fs)) if ts.len() == fs.len() => {
            Type::Tuple(ts.iter().zip(fs.iter()).map(|(t, f)| filled(t, f)).collect())
        }
        (Type::Object(t), Type::Object(f)) => Type::object(t.attributes.iter().map(|(name, t)| {
            let f = f.attributes.get(name).unwrap_or(&Type::Dynamic);
            (name.clone(), filled(t, f))
        })),
        (Type::Object(t), _) if !t.optional.is_empty() => Type::object(t.attributes.clone()),
        _ => to.clone(),
    }
}

/// Whether a value of this type may be convertible.
pub fn convertible(from: &Type, to: &Type) -> bool {
    check(from, to).is_ok()
}

fn check(from: &Type, to: &Type) -> Result<(), ConvertError> {
    let fits = match (from, to) {
        (_, Type::Dynamic) | (Type::Dynamic, _) => true,
        (Type::Bool | Type::Number | Type::String, Type::String)
        | (Type::String, Type::Bool | Type::Number) => true,
        (Type::List(f) | Type::Set(f), Type::List(t) | Type::Set(t)) | (Type::Map(f), Type::Map(t)) => {
            return check(f, t).map_err(|_| ConvertError::new(mismatch(from, to)));
        }
        (Type::Tuple(fs), Type::List(t) | Type::Set(t)) => {
            fs.iter().all(|f| convertible(f, t))
                && (!t.has_dynamic() || fs.is_empty() || single(fs).is_some())
        }
        (Type::Object(f), Type::Map(t)) => {
            let types: Vec<Type> = f.attributes.values().cloned().collect();
            types.iter().all(|f| convertible(f, t))
                && (!t.has_dynamic() || types.is_empty() || single(&types).is_some())
        }
        (Type::Tuple(fs), Type::Tuple(ts)) => {
            fs.len() == ts.len() && fs.iter().zip(ts.iter()).all(|(f, t)| convertible(f, t))
        }
        (Type::Object(f), Type::Object(t)) => t.attributes.iter().all(|(name, t_attribute)| {
            f.attributes
                .get(name)
                .map_or(t.optional.contains(name), |f| convertible(f, t_attribute))
        }),
        (Type::Map(f), Type::Object(t)) => t.attributes.values().all(|t| convertible(f, t)),
        _ => from == to,
    };
    if fits {
        Ok(())
    } else {
        Err(ConvertError::new(mismatch(from, to)))
    }
}

fn primitive(value: &Value, ty: &Type) -> Converted {
    match (value, ty) {
        (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String) => Ok(value.clone()),
        (Value::Bool(b), Type::String) => Ok(Value::from(if *b { "true" } else { "false" })),
        (Value::Number(n), Type::String) => Ok(Value::from(n.to_string())),
        (Value::String(s), Type::Number) => match Number::parse(s) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(ConvertError::new("a number is required")),
        },
        (Value::String(s), Type::Bool) => match s.as_ref() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            other => {
                let lower = other.to_lowercase();
                Err(ConvertError::new(match lower.as_str() {
                    "true" | "false" => {
                        format!("a bool is required; to convert from string, use lowercase \"{lower}\"")
                    }
                    _ => "a bool is required".to_owned(),
                }))
            }
        },
        _ => Err(ConvertError::new(mismatch(&value.ty(), ty))),
    }
}

/// The element type of a collection made of members of these types.
fn element_type(want: &Type, members: &[Type], whole: &Type, to: &Type) -> Result<Type, ConvertError> {
    if !want.has_dynamic() {
        return Ok(want.clone());
    }
    if members.is_empty() {
        return Ok(want.clone());
    }
    let converted: Vec<Type> = members.iter().map(|m| filled(want, m)).collect();
    single(&converted).ok_or_else(|| ConvertError::new(mismatch(whole, to)))
}

/// The common type of the members of a collection. A null or unknown member without a type does not go together with
/// members of a type that it might not have.
fn single(types: &[Type]) -> Option<Type> {
    unify(types).filter(|ty| *ty != Type::Dynamic || types.iter().all(|t| *t == Type::Dynamic))
}

fn tuple(value: &Value, members: &Arc<Vec<Value>>, ty: &Type) -> Converted {
    match ty {
        Type::List(want) | Type::Set(want) => {
            let types: Vec<Type> = members.iter().map(Value::ty).collect();
            let element = element_type(want, &types, &value.ty(), ty)?;
            collect(members, &element, ty)
        }
        Type::Tuple(types) if types.len() == members.len() => {
            let converted = members
                .iter()
                .zip(types.iter())
                .enumerate()
                .map(|(i, (member, ty))| convert(member, ty).map_err(|e| e.within(Step::Index(i))));
            Ok(Value::tuple(converted.collect::<Result<_, _>>()?))
        }
        _ => Err(ConvertError::new(mismatch(&value.ty(), ty))),
    }
}

fn sequence(value: &Value, members: &Arc<Vec<Value>>, ty: &Type) -> Converted {
    let (Type::List(want) | Type::Set(want)) = ty else {
        return Err(ConvertError::new(mismatch(&value.ty(), ty)));
    };
    let (Type::List(have) | Type::Set(have)) = value.ty() else {
        return Err(ConvertError::new(mismatch(&value.ty(), ty)));
    };
    let element = filled(want, &have);
    if element == *have {
        match (value, ty) {
            (Value::List(..), Type::List(_)) | (Value::Set(..), Type::Set(_)) => return Ok(value.clone()),
            _ => {}
        }
    }
    collect(members, &element, ty)
}

/// A list or set of these members.
fn collect(members: &[Value], element: &Type, ty: &Type) -> Converted {
    let is_set = matches!(ty, Type::Set(_));
    let mut marks = Marks::NONE;
    let mut converted = Vec::with_capacity(members.len());
    for (i, member) in members.iter().enumerate() {
        let member = convert(member, element).map_err(|e| e.within(Step::Index(i)))?;
        if is_set {
            marks = marks.union(member.marks_deep());
            converted.push(member.unmark_deep());
        } else {
            converted.push(member);
        }
    }
    let element = settled(element, &converted);
    if is_set {
        // Members that are not known yet may turn out equal, so neither the members nor their number is known.
        if converted.len() > 1 && !converted.iter().all(Value::is_wholly_known) {
            let mut unknown = Unknown::of(Type::set(element));
            unknown.not_null = true;
            unknown.min_length = 1;
            unknown.max_length = Some(converted.len());
            return Ok(Value::Unknown(Box::new(unknown)).mark(marks));
        }
        return Ok(Value::set(element, converted).mark(marks));
    }
    Ok(Value::list(element, converted))
}

/// An element type that still has placeholders takes the type of the members.
fn settled<'v>(element: &Type, members: impl IntoIterator<Item = &'v Value>) -> Type {
    if !element.has_dynamic() {
        return element.clone();
    }
    members
        .into_iter()
        .map(Value::ty)
        .find(|t| !t.has_dynamic())
        .unwrap_or_else(|| element.clone())
}

fn object(value: &Value, members: &Arc<BTreeMap<String, Value>>, ty: &Type) -> Converted {
    match ty {
        Type::Map(want) => {
            let types: Vec<Type> = members.values().map(Value::ty).collect();
            let element = element_type(want, &types, &value.ty(), ty)?;
            to_map(members, &element)
        }
        Type::Object(want) => to_object(value, members, want, ty),
        _ => Err(ConvertError::new(mismatch(&value.ty(), ty))),
    }
}

fn map(value: &Value, have: &Type, members: &Arc<BTreeMap<String, Value>>, ty: &Type) -> Converted {
    match ty {
        Type::Map(want) => {
            let element = filled(want, have);
            if element == *have {
                Ok(value.clone())
            } else {
                to_map(members, &element)
            }
        }
        Type::Object(want) => to_object(value, members, want, ty),
        _ => Err(ConvertError::new(mismatch(&value.ty(), ty))),
    }
}

fn to_map(members: &BTreeMap<String, Value>, element: &Type) -> Converted {
    let mut converted = BTreeMap::new();
    for (key, member) in members {
        let member =
            convert(member, element).map_err(|e| e.within(Step::Attribute(Arc::from(key.as_str()))))?;
        converted.insert(key.clone(), member);
    }
    let element = settled(element, converted.values());
    Ok(Value::map(element, converted))
}

fn to_object(value: &Value, members: &BTreeMap<String, Value>, want: &ObjectType, ty: &Type) -> Converted {
    let mut converted = BTreeMap::new();
    for (name, attribute) in &want.attributes {
        let member = match members.get(name) {
            Some(member) => {
                convert(member, attribute).map_err(|e| e.within(Step::Attribute(Arc::from(name.as_str()))))?
            }
            None if want.optional.contains(name) => Value::Null(filled(attribute, &Type::Dynamic)),
            None if matches!(value, Value::Map(..)) => {
                return Err(ConvertError::new(format!(
                    "map has no element for required attribute \"{name}\""
                )));
            }
            None => return Err(ConvertError::new(mismatch(&value.ty(), ty))),
        };
        converted.insert(name.clone(), member);
    }
    Ok(Value::Object(Arc::new(converted)))
}

/// Why a value of one type does not fit another, in the words of the language.
pub fn mismatch(got: &Type, want: &Type) -> String {
    match (got, want) {
        (Type::Object(got), Type::Object(want)) => {
            let missing: Vec<String> = want
                .attributes
                .keys()
                .filter(|name| !got.attributes.contains_key(*name) && !want.optional.contains(*name))
                .map(|name| format!("\"{name}\""))
                .collect();
            match missing.as_slice() {
                [] => {}
                [one] => return format!("attribute {one} is required"),
                many => return format!("attributes {} are required", joined(many)),
            }
            for (name, want) in &want.attributes {
                if let Some(got) = got.attributes.get(name)
                    && !convertible(got, want)
                {
                    return format!("attribute \"{name}\": {}", mismatch(got, want));
                }
            }
            "object required".to_owned()
        }
        (Type::Tuple(members), Type::List(element)) => collection(members.iter(), element, "list"),
        (Type::Tuple(members), Type::Set(element)) => collection(members.iter(), element, "set"),
        (Type::Object(members), Type::Map(element)) => {
            for (name, member) in &members.attributes {
                if !convertible(member, element) {
                    return format!("element \"{name}\": {}", mismatch(member, element));
                }
            }
            "all map elements must have the same type".to_owned()
        }
        (Type::List(g) | Type::Set(g), Type::List(w) | Type::Set(w)) | (Type::Map(g), Type::Map(w))
            if !convertible(g, w) =>
        {
            format!(
                "incorrect {} element type: {}",
                collection_word(want),
                mismatch(g, w)
            )
        }
        (Type::Tuple(g), Type::Tuple(w)) if g.len() != w.len() => {
            format!("tuple of {} elements required, but have {}", w.len(), g.len())
        }
        _ if want.is_primitive() && got.is_primitive() => match want {
            Type::Bool => "a bool is required".to_owned(),
            Type::Number => "a number is required".to_owned(),
            _ => "a string is required".to_owned(),
        },
        _ => format!(
            "{} required, but have {}",
            want.friendly_name().replace("dynamic", "any single type"),
            got.friendly_name()
        ),
    }
}

fn collection_word(ty: &Type) -> &'static str {
    match ty {
        Type::Set(_) => "set",
        Type::Map(_) => "map",
        _ => "list",
    }
}

fn collection<'t>(members: impl Iterator<Item = &'t Type>, element: &Type, word: &str) -> String {
    for (i, member) in members.enumerate() {
        if !convertible(member, element) {
            return format!("element {i}: {}", mismatch(member, element));
        }
    }
    format!("all {word} elements must have the same type")
}

fn joined(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if rest.len() > 1 => format!("{}, and {last}", rest.join(", ")),
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// The type that values of all these types can be converted to; `None` where there is none. An empty slice has no
/// common type.
pub fn unify(types: &[Type]) -> Option<Type> {
    let (first, rest) = types.split_first()?;
    if rest.iter().all(|t| t == first) {
        return Some(first.clone());
    }
    let count = |is: fn(&Type) -> bool| types.iter().filter(|t| is(t)).count();
    let maps = count(|t| matches!(t, Type::Map(_)));
    let lists = count(|t| matches!(t, Type::List(_)));
    let sets = count(|t| matches!(t, Type::Set(_)));
    let objects = count(|t| matches!(t, Type::Object(_)));
    let tuples = count(|t| matches!(t, Type::Tuple(_)));
    let dynamics = count(|t| *t == Type::Dynamic);
    let all = types.len();
    let some_dynamic = dynamics > 0;
    if maps > 0 && maps + dynamics == all {
        return if some_dynamic {
            Some(Type::Dynamic)
        } else {
            unify(&elements(types)).map(Type::map)
        };
    }
    if lists > 0 && lists + dynamics == all {
        return if some_dynamic {
            Some(Type::Dynamic)
        } else {
            unify(&elements(types)).map(Type::list)
        };
    }
    if sets > 0 && sets + dynamics == all {
        return if some_dynamic {
            Some(Type::Dynamic)
        } else {
            unify(&elements(types)).map(Type::set)
        };
    }
    if objects > 0 && objects + dynamics == all {
        return if some_dynamic {
            Some(Type::Dynamic)
        } else {
            unify_objects(types)
        };
    }
    if tuples > 0 && tuples + dynamics == all {
        return if some_dynamic {
            Some(Type::Dynamic)
        } else {
            unify_tuples(types)
        };
    }
    if objects > 0 && tuples > 0 {
        return None;
    }
    if maps > 0
        && maps + objects + dynamics == all
        && let Some(element) = unify(&elements(types))
    {
        return Some(Type::map(element));
    }
    if lists > 0
        && lists + tuples + dynamics == all
        && let Some(element) = unify(&elements(types))
    {
        return Some(Type::list(element));
    }
    preferred(types)
}

/// One of the types that all others convert to: texts before other primitives, lists before sets and tuples, maps
/// before objects, what is not known yet last.
fn preferred(types: &[Type]) -> Option<Type> {
    let rank = |t: &Type| match t {
        Type::String | Type::List(_) | Type::Map(_) => 0,
        Type::Set(_) => 1,
        Type::Bool | Type::Number | Type::Tuple(_) | Type::Object(_) => 2,
        Type::Dynamic => 3,
    };
    let mut candidates: Vec<&Type> = types.iter().collect();
    candidates.sort_by_key(|t| rank(t));
    candidates
        .into_iter()
        .find(|want| types.iter().all(|t| convertible(t, want)))
        .cloned()
}

/// The member types of all collections, tuples and objects among the types.
fn elements(types: &[Type]) -> Vec<Type> {
    let mut out = Vec::new();
    for ty in types {
        match ty {
            Type::List(t) | Type::Set(t) | Type::Map(t) => out.push((**t).clone()),
            Type::Tuple(ts) => out.extend(ts.iter().cloned()),
            Type::Object(o) => out.extend(o.attributes.values().cloned()),
            Type::Dynamic | Type::Bool | Type::Number | Type::String => {}
        }
    }
    out
}

fn unify_objects(types: &[Type]) -> Option<Type> {
    let objects: Vec<&ObjectType> = types
        .iter()
        .filter_map(|t| match t {
            Type::Object(o) => Some(&**o),
            _ => None,
        })
        .collect();
    let first = objects.first()?;
    let same = objects
        .iter()
        .all(|o| o.attributes.keys().eq(first.attributes.keys()));
    if same {
        let unified: Option<Vec<(String, Type)>> = first
            .attributes
            .keys()
            .map(|name| {
                let of_name: Vec<Type> = objects
                    .iter()
                    .filter_map(|o| o.attributes.get(name))
                    .cloned()
                    .collect();
                unify(&of_name).map(|t| (name.clone(), t))
            })
            .collect();
        if let Some(attributes) = unified {
            return Some(Type::object(attributes));
        }
    }
    unify(&elements(types)).map(Type::map)
}

fn unify_tuples(types: &[Type]) -> Option<Type> {
    let tuples: Vec<&[Type]> = types
        .iter()
        .filter_map(|t| match t {
            Type::Tuple(ts) => Some(&**ts),
            _ => None,
        })
        .collect();
    let first = tuples.first()?;
    if tuples.iter().all(|t| t.len() == first.len()) {
        let unified: Option<Vec<Type>> = (0..first.len())
            .map(|i| unify(&tuples.iter().map(|t| t[i].clone()).collect::<Vec<_>>()))
            .collect();
        if let Some(members) = unified {
            return Some(Type::tuple(members));
        }
    }
    unify(&elements(types)).map(Type::list)
}
