//! What an expression refers to.

use std::fmt;
use std::sync::Arc;

use stack_core::{Diagnostic, Mode, Span};

/// The thing a reference names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `var.name`
    Variable(Arc<str>),
    /// `local.name`
    Local(Arc<str>),
    /// `aws_instance.name`, `data.aws_ami.name`: the whole resource; an instance key is the first step of
    /// [`Reference::rest`].
    Resource {
        /// Managed resource or data source.
        mode: Mode,
        /// Resource type.
        ty: Arc<str>,
        /// Label of the block.
        name: Arc<str>,
    },
    /// `module.name`: the whole call; an instance key is the first step of [`Reference::rest`], then the output.
    Module(Arc<str>),
    /// `each.key`, `each.value`
    Each(EachPart),
    /// `count.index`
    CountIndex,
    /// `self`
    SelfObject,
    /// `path.module`, `path.root`, `path.cwd`
    Path(PathKind),
    /// `stack.NAME`; `terraform.workspace` reads as `stack.environment`.
    Stack(Arc<str>),
}

/// Which half of `each`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EachPart {
    /// `each.key`
    Key,
    /// `each.value`
    Value,
}

/// Which folder of `path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// `path.module`
    Module,
    /// `path.root`
    Root,
    /// `path.cwd`
    Cwd,
}

/// One literal step of a traversal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// `.name`
    Attribute(Arc<str>),
    /// `[0]` or `.0`
    Index(u64),
    /// `["name"]`
    Key(Arc<str>),
}

impl Access {
    /// The name of an attribute or of a key.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Attribute(name) | Self::Key(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

/// A reference with its place and the literal steps behind its subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// What it names.
    pub subject: Subject,
    /// Place of the whole traversal.
    pub span: Span,
    /// Steps after the subject as far as they are literal.
    pub rest: Vec<Access>,
}

/// A chain of literal steps from a name, before it is known what the name stands for: `a.b["c"][0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traversal {
    /// The first name.
    pub root: Arc<str>,
    /// The steps behind it.
    pub steps: Vec<Access>,
    /// Place of the whole traversal.
    pub span: Span,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => write!(f, ".{name}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(key) => write!(f, "[{key:?}]"),
        }
    }
}

impl fmt::Display for Traversal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "var.{name}"),
            Self::Local(name) => write!(f, "local.{name}"),
            Self::Resource {
                mode: Mode::Managed,
                ty,
                name,
            } => write!(f, "{ty}.{name}"),
            Self::Resource {
                mode: Mode::Data,
                ty,
                name,
            } => write!(f, "data.{ty}.{name}"),
            Self::Module(name) => write!(f, "module.{name}"),
            Self::Each(EachPart::Key) => f.write_str("each.key"),
            Self::Each(EachPart::Value) => f.write_str("each.value"),
            Self::CountIndex => f.write_str("count.index"),
            Self::SelfObject => f.write_str("self"),
            Self::Path(PathKind::Module) => f.write_str("path.module"),
            Self::Path(PathKind::Root) => f.write_str("path.root"),
            Self::Path(PathKind::Cwd) => f.write_str("path.cwd"),
            Self::Stack(name) => write!(f, "stack.{name}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subject)?;
        self.rest.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl Traversal {
    /// What the traversal refers to.
    ///
    /// # Errors
    /// The name has no such part, or the traversal is too short to name something.
    pub fn reference(&self) -> Result<Reference, Box<Diagnostic>> {
        let (subject, used) = self.subject().map_err(|(summary, detail)| {
            Box::new(Diagnostic::error("STK0201", summary, detail).at(self.span))
        })?;
        Ok(Reference {
            subject,
            span: self.span,
            rest: self.steps[used..].to_vec(),
        })
    }

    fn attribute(&self, position: usize) -> Option<Arc<str>> {
        match self.steps.get(position) {
            Some(Access::Attribute(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// The subject and the number of steps it takes, or summary and detail of an error.
    fn subject(&self) -> Result<(Subject, usize), (String, String)> {
        let root = self.root.as_ref();
        let invalid = |detail: String| ("Invalid reference".to_owned(), detail);
        let first = || {
            self.attribute(0).ok_or_else(|| {
                invalid(format!(
                    "The \"{root}\" object cannot be accessed directly. Instead, access one of its attributes."
                ))
            })
        };
        let unknown = |name: &str, known: &str| {
            let detail = format!("The \"{root}\" object has no attribute named \"{name}\"; it has {known}.");
            (format!("Invalid \"{root}\" attribute"), detail)
        };
        match root {
            "var" => Ok((Subject::Variable(first()?), 1)),
            "local" => Ok((Subject::Local(first()?), 1)),
            "module" => Ok((Subject::Module(first()?), 1)),
            "self" => Ok((Subject::SelfObject, 0)),
            "count" => match first()?.as_ref() {
                "index" => Ok((Subject::CountIndex, 1)),
                name => Err(unknown(name, "only count.index")),
            },
            "each" => match first()?.as_ref() {
                "key" => Ok((Subject::Each(EachPart::Key), 1)),
                "value" => Ok((Subject::Each(EachPart::Value), 1)),
                name => Err(unknown(name, "each.key and each.value")),
            },
            "path" => match first()?.as_ref() {
                "module" => Ok((Subject::Path(PathKind::Module), 1)),
                "root" => Ok((Subject::Path(PathKind::Root), 1)),
                "cwd" => Ok((Subject::Path(PathKind::Cwd), 1)),
                name => Err(unknown(name, "path.module, path.root and path.cwd")),
            },
            "stack" | "terraform" => match self.attribute(0).as_deref() {
                Some("environment" | "workspace") => Ok((Subject::Stack(Arc::from("environment")), 1)),
                Some("applying") => Ok((Subject::Stack(Arc::from("applying")), 1)),
                name => Err(unknown(name.unwrap_or(""), "stack.environment and stack.applying")),
            },
            "data" => self.resource(Mode::Data, 0).ok_or_else(|| {
                invalid(
                    "The \"data\" object must be followed by two attribute names: the data source type and the \
                     resource name."
                        .to_owned(),
                )
            }),
            "resource" => self.resource(Mode::Managed, 0).ok_or_else(|| {
                invalid(
                    "The \"resource\" object must be followed by two attribute names: the resource type and the \
                     resource name."
                        .to_owned(),
                )
            }),
            _ => match self.attribute(0) {
                Some(name) => {
                    Ok((Subject::Resource { mode: Mode::Managed, ty: self.root.clone(), name }, 1))
                }
                None => Err(invalid(format!(
                    "A reference to a resource type must be followed by at least one attribute access, specifying \
                     the resource name; \"{root}\" stands alone. A text must be quoted: \"\\\"{root}\\\"\"."
                ))),
            },
        }
    }

    fn resource(&self, mode: Mode, at: usize) -> Option<(Subject, usize)> {
        let ty = self.attribute(at)?;
        let name = self.attribute(at + 1)?;
        Some((Subject::Resource { mode, ty, name }, at + 2))
    }
}
