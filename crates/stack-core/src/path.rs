//! Paths into a value.

use std::fmt;
use std::sync::Arc;

use crate::Value;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object, or a key of a map.
    Attribute(Arc<str>),
    /// A position in a list or tuple.
    Index(usize),
}

/// The way from a value to a part of it. Members of a set have no path of their own: paths end at the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The path of the whole value.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of attribute names: `Path::of(&["root_block_device", "volume_size"])`.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|n| Step::Attribute(Arc::from(*n))).collect())
    }

    /// This path, one attribute further.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Self {
        self.then(Step::Attribute(Arc::from(name)))
    }

    /// This path, one position further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// This path, one step further.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether `self` is `other` or a part of it.
    pub fn starts_with(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The part of `value` this path leads to; marks on the way are dropped. `None` where there is none.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0
            .iter()
            .try_fold(value, |v, step| match (v.unmarked(), step) {
                (Value::Object(o), Step::Attribute(n)) => o.get(n.as_ref()),
                (Value::Map(_, m), Step::Attribute(n)) => m.get(n.as_ref()),
                (Value::List(_, l), Step::Index(i)) => l.get(*i),
                (Value::Tuple(l), Step::Index(i)) => l.get(*i),
                _ => None,
            })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if i == 0 => write!(f, "{name}")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
