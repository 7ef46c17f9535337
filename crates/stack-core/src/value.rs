//! Values of the configuration language: possibly null, possibly unknown, possibly sensitive.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Number, ObjectType, Type};

/// Marks that follow a value through every expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks(u8);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);
    /// The value is secret: sealed in files, masked in views.
    pub const SENSITIVE: Self = Self(1);
    /// The value exists only while the command runs: never stored.
    pub const EPHEMERAL: Self = Self(2);

    /// All marks of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The marks of `self` that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every mark of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no mark is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A value that will be known after apply, and what is known of it already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown {
    /// Its type, [`Type::Dynamic`] when that is unknown too.
    pub ty: Type,
    /// It will not be null.
    pub not_null: bool,
    /// It will be a string that starts with this text (empty: nothing known).
    pub prefix: Arc<str>,
    /// It will be a collection with at least this many members.
    pub min_length: usize,
    /// It will be a collection with at most this many members.
    pub max_length: Option<usize>,
}

impl Unknown {
    /// Nothing known but the type.
    pub fn of(ty: Type) -> Self {
        Self {
            ty,
            not_null: false,
            prefix: Arc::from(""),
            min_length: 0,
            max_length: None,
        }
    }
}

/// A value.
///
/// Collections share their members, so a clone is cheap. Members may be unknown and may be marked. A set is sorted, primitive
/// members by value, and has no equal members. [`Value::Marked`] never holds another `Marked`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Null of a type.
    Null(Type),
    /// Known only after apply.
    Unknown(Box<Unknown>),
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, NFC-normalised where it came from a literal.
    String(Arc<str>),
    /// `list(T)`: element type and members.
    List(Type, Arc<Vec<Value>>),
    /// `set(T)`: element type and members.
    Set(Type, Arc<Vec<Value>>),
    /// `map(T)`: element type and members.
    Map(Type, Arc<BTreeMap<String, Value>>),
    /// A tuple.
    Tuple(Arc<Vec<Value>>),
    /// An object.
    Object(Arc<BTreeMap<String, Value>>),
    /// A value with marks.
    Marked(Marks, Box<Value>),
}

impl Value {
    /// Null of unknown type.
    pub const NULL: Self = Self::Null(Type::Dynamic);

    /// A string.
    pub fn string(text: impl AsRef<str>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// A value of this type that is known after apply.
    pub fn unknown(ty: Type) -> Self {
        Self::Unknown(Box::new(Unknown::of(ty)))
    }

    /// A tuple.
    pub fn tuple(members: Vec<Value>) -> Self {
        Self::Tuple(Arc::new(members))
    }

    /// A list of this element type.
    pub fn list(element: Type, members: Vec<Value>) -> Self {
        Self::List(element, Arc::new(members))
    }

    /// A set of this element type: sorts the members and drops repeated ones.
    pub fn set(element: Type, mut members: Vec<Value>) -> Self {
        members.sort_by(set_order);
        members.dedup();
        Self::Set(element, Arc::new(members))
    }

    /// A map of this element type.
    pub fn map(element: Type, members: BTreeMap<String, Value>) -> Self {
        Self::Map(element, Arc::new(members))
    }

    /// An object.
    pub fn object(attributes: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self::Object(Arc::new(attributes.into_iter().collect()))
    }

    /// The type of the value.
    pub fn ty(&self) -> Type {
        match self {
            Self::Null(t) => t.clone(),
            Self::Unknown(u) => u.ty.clone(),
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::List(t, _) => Type::list(t.clone()),
            Self::Set(t, _) => Type::set(t.clone()),
            Self::Map(t, _) => Type::map(t.clone()),
            Self::Tuple(vs) => Type::Tuple(vs.iter().map(Value::ty).collect()),
            Self::Object(o) => Type::Object(Arc::new(ObjectType {
                attributes: o.iter().map(|(k, v)| (k.clone(), v.ty())).collect(),
                optional: Default::default(),
            })),
            Self::Marked(_, v) => v.ty(),
        }
    }

    /// The value without the marks on its outside.
    pub fn unmarked(&self) -> &Value {
        match self {
            Self::Marked(_, v) => v,
            v => v,
        }
    }

    /// The value without the marks on its outside, and those marks.
    pub fn unmark(self) -> (Value, Marks) {
        match self {
            Self::Marked(m, v) => (*v, m),
            v => (v, Marks::NONE),
        }
    }

    /// The marks on the outside.
    pub fn marks(&self) -> Marks {
        match self {
            Self::Marked(m, _) => *m,
            _ => Marks::NONE,
        }
    }

    /// The marks on the outside and on every part.
    pub fn marks_deep(&self) -> Marks {
        match self {
            Self::Marked(m, v) => m.union(v.marks_deep()),
            Self::List(_, vs) | Self::Set(_, vs) | Self::Tuple(vs) => {
                vs.iter().fold(Marks::NONE, |m, v| m.union(v.marks_deep()))
            }
            Self::Map(_, vs) | Self::Object(vs) => {
                vs.values().fold(Marks::NONE, |m, v| m.union(v.marks_deep()))
            }
            Self::Null(_) | Self::Unknown(_) | Self::Bool(_) | Self::Number(_) | Self::String(_) => {
                Marks::NONE
            }
        }
    }

    /// The value with these marks added on its outside.
    #[must_use]
    pub fn mark(self, marks: Marks) -> Value {
        let (value, own) = self.unmark();
        let all = own.union(marks);
        if all.is_empty() {
            value
        } else {
            Self::Marked(all, Box::new(value))
        }
    }

    /// The value with the sensitive mark.
    #[must_use]
    pub fn sensitive(self) -> Value {
        self.mark(Marks::SENSITIVE)
    }

    /// The value with every mark removed, on the outside and inside.
    #[must_use]
    pub fn unmark_deep(&self) -> Value {
        self.map_parts(&|v| v.unmarked().clone())
    }

    /// Rebuilds the value bottom-up: `f` sees each part after its own parts have been replaced. Marks stay where `f`
    /// leaves them: it is called with the marked value.
    #[must_use]
    pub fn map_parts(&self, f: &impl Fn(Value) -> Value) -> Value {
        let inner = match self.unmarked() {
            Self::List(t, vs) => Self::List(t.clone(), Arc::new(vs.iter().map(|v| v.map_parts(f)).collect())),
            Self::Set(t, vs) => Self::set(t.clone(), vs.iter().map(|v| v.map_parts(f)).collect()),
            Self::Tuple(vs) => Self::tuple(vs.iter().map(|v| v.map_parts(f)).collect()),
            Self::Map(t, vs) => Self::Map(
                t.clone(),
                Arc::new(vs.iter().map(|(k, v)| (k.clone(), v.map_parts(f))).collect()),
            ),
            Self::Object(vs) => Self::object(vs.iter().map(|(k, v)| (k.clone(), v.map_parts(f)))),
            leaf => leaf.clone(),
        };
        f(inner.mark(self.marks()))
    }

    /// Null, marked or not.
    pub fn is_null(&self) -> bool {
        matches!(self.unmarked(), Self::Null(_))
    }

    /// Not unknown on its outside (parts may be).
    pub fn is_known(&self) -> bool {
        !matches!(self.unmarked(), Self::Unknown(_))
    }

    /// Nothing in it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Marked(_, v) => v.is_wholly_known(),
            Self::List(_, vs) | Self::Set(_, vs) | Self::Tuple(vs) => vs.iter().all(Value::is_wholly_known),
            Self::Map(_, vs) | Self::Object(vs) => vs.values().all(Value::is_wholly_known),
            Self::Null(_) | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
        }
    }

    /// An attribute of an object (or member of a map), marked or not; `None` where there is none.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        match self.unmarked() {
            Self::Object(o) | Self::Map(_, o) => o.get(name),
            _ => None,
        }
    }

    /// The object with one attribute set; any other value is returned as it is.
    #[must_use]
    pub fn with_attribute(&self, name: &str, value: Value) -> Value {
        match self {
            Self::Object(o) => {
                let mut attributes = (**o).clone();
                attributes.insert(name.to_owned(), value);
                Self::Object(Arc::new(attributes))
            }
            Self::Marked(m, v) => v.with_attribute(name, value).mark(*m),
            other => other.clone(),
        }
    }

    /// Whether it is, or holds, a collection that is sensitive as a whole: the names of its members are secrets too.
    pub fn hides_names(&self) -> bool {
        match self {
            Self::Marked(marks, inner) => {
                marks.contains(Marks::SENSITIVE) && !inner.is_flat() || inner.hides_names()
            }
            Self::List(_, vs) | Self::Set(_, vs) | Self::Tuple(vs) => vs.iter().any(Value::hides_names),
            Self::Map(_, vs) | Self::Object(vs) => vs.values().any(Value::hides_names),
            Self::Null(_) | Self::Unknown(_) | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }

    /// Whether parts of it nest more than this many levels deep.
    pub fn nests_deeper_than(&self, levels: usize) -> bool {
        let deeper = |member: &Value| match levels.checked_sub(1) {
            Some(left) => member.nests_deeper_than(left),
            None => true,
        };
        match self.unmarked() {
            Self::List(_, vs) | Self::Set(_, vs) | Self::Tuple(vs) => vs.iter().any(deeper),
            Self::Map(_, vs) | Self::Object(vs) => vs.values().any(deeper),
            _ => false,
        }
    }

    /// Has no members.
    fn is_flat(&self) -> bool {
        matches!(
            self.unmarked(),
            Self::Null(_) | Self::Unknown(_) | Self::Bool(_) | Self::Number(_) | Self::String(_)
        )
    }

    /// The text of a known string, marked or not.
    pub fn as_str(&self) -> Option<&str> {
        match self.unmarked() {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// A known bool, marked or not.
    pub fn as_bool(&self) -> Option<bool> {
        match self.unmarked() {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// A known number, marked or not.
    pub fn as_number(&self) -> Option<&Number> {
        match self.unmarked() {
            Self::Number(n) => Some(n),
            _ => None,
        }
    }

    /// The members of a known list, set or tuple, marked or not.
    pub fn as_sequence(&self) -> Option<&[Value]> {
        match self.unmarked() {
            Self::List(_, vs) | Self::Set(_, vs) | Self::Tuple(vs) => Some(vs),
            _ => None,
        }
    }

    /// The members of a known map or object, marked or not.
    pub fn as_mapping(&self) -> Option<&BTreeMap<String, Value>> {
        match self.unmarked() {
            Self::Map(_, vs) | Self::Object(vs) => Some(vs),
            _ => None,
        }
    }
}

/// The order of the members of a set: numbers, texts and bools by value, other members by their text with numbers to ten
/// digits, null and unknown members last.
fn set_order(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v.unmarked() {
        Value::Null(_) => 2,
        Value::Unknown(_) => 1,
        _ => 0,
    };
    let by_text = || match (a.unmarked(), b.unmarked()) {
        (Value::Bool(_), _) | (Value::Number(_), _) | (Value::String(_), _) => Ordering::Equal,
        _ => {
            let (mut x, mut y) = (String::new(), String::new());
            set_text(a, &mut x);
            set_text(b, &mut y);
            x.cmp(&y)
        }
    };
    rank(a).cmp(&rank(b)).then_with(by_text).then_with(|| a.cmp(b))
}

fn set_text(value: &Value, out: &mut String) {
    match value {
        Value::Marked(_, inner) => set_text(inner, out),
        Value::Null(_) => out.push('~'),
        Value::Unknown(_) => out.push('?'),
        Value::Bool(b) => out.push(if *b { 'T' } else { 'F' }),
        Value::Number(n) => out.push_str(&n.to_general(Some(10))),
        Value::String(s) => {
            out.push('"');
            out.push_str(s);
            out.push('"');
        }
        Value::List(_, members) | Value::Set(_, members) => set_members(members.iter(), ('[', ']'), out),
        Value::Tuple(members) => set_members(members.iter(), ('<', '>'), out),
        Value::Object(members) => set_members(members.values(), ('<', '>'), out),
        Value::Map(_, members) => {
            out.push('{');
            for (key, member) in members.iter() {
                out.push('"');
                out.push_str(key);
                out.push_str("\":");
                set_text(member, out);
                out.push(';');
            }
            out.push('}');
        }
    }
}

fn set_members<'v>(members: impl Iterator<Item = &'v Value>, (open, close): (char, char), out: &mut String) {
    out.push(open);
    for member in members {
        set_text(member, out);
        out.push(';');
    }
    out.push(close);
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::string(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(Arc::from(value))
    }
}

/// For tests and assertions; sensitive parts are masked.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(t) => write!(f, "null({t})"),
            Self::Unknown(u) => write!(f, "unknown({})", u.ty),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::String(s) => write!(f, "{s:?}"),
            Self::List(_, vs) => f.debug_list().entries(vs.iter()).finish(),
            Self::Set(_, vs) => {
                f.write_str("set")?;
                f.debug_list().entries(vs.iter()).finish()
            }
            Self::Tuple(vs) => {
                f.write_str("tuple")?;
                f.debug_list().entries(vs.iter()).finish()
            }
            Self::Map(_, vs) => {
                f.write_str("map")?;
                f.debug_map().entries(vs.iter()).finish()
            }
            Self::Object(vs) => f.debug_map().entries(vs.iter()).finish(),
            Self::Marked(m, _) if m.contains(Marks::SENSITIVE) => f.write_str("(sensitive value)"),
            Self::Marked(_, v) => write!(f, "ephemeral({v:?})"),
        }
    }
}
