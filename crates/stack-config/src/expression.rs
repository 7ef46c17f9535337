//! Parsed expressions.

use std::ops::Range;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, FileId, Span, Value};

use crate::reference::{Access, Reference, Traversal};
use crate::syntax::{Mode, Parser};

/// A parsed expression with its place. Clones share the tree.
///
/// A text that is no expression parses to one that fails with the mistake when it is evaluated; [`Expr::check`] tells
/// before.
#[derive(Clone, Debug)]
pub struct Expr(Arc<Tree>);

#[derive(Debug)]
struct Tree {
    node: Node,
    span: Span,
    free: Vec<Free>,
}

/// A traversal whose root is not a variable of a `for` around it.
#[derive(Clone, Debug)]
pub(crate) struct Free {
    pub(crate) root: Arc<str>,
    pub(crate) reference: Result<Reference, Box<Diagnostic>>,
}

/// One node of an expression tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Negate,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A call as written.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// With namespaces, joined by `::`.
    pub(crate) name: Arc<str>,
    pub(crate) name_span: Span,
    pub(crate) arguments: Vec<Node>,
    /// The last argument is followed by `...`.
    pub(crate) expand: bool,
}

/// One operator of a chain with what stands behind it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) operator: BinaryOperator,
    pub(crate) right: Node,
    /// From the start of the chain to here.
    pub(crate) span: Span,
}

/// A `for` expression or directive.
#[derive(Clone, Debug)]
pub(crate) struct For {
    pub(crate) key_name: Option<Arc<str>>,
    pub(crate) value_name: Arc<str>,
    pub(crate) collection: Node,
    /// Set in the object form.
    pub(crate) key: Option<Node>,
    pub(crate) value: Node,
    pub(crate) condition: Option<Node>,
    pub(crate) group: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Literal(Value),
    Invalid(Box<Diagnostic>),
    /// Parts of a text, joined to a string.
    Template(Vec<Node>),
    /// A literal of a template still being parsed; never in a finished tree.
    Pending(usize),
    /// `"${x}"`: the value as it is.
    Wrap(Box<Node>),
    Tuple(Vec<Node>),
    Object(Vec<(Node, Node)>),
    /// From outside; `free` indexes the expression's free traversals.
    Traversal {
        free: usize,
        steps: Vec<(Access, Span)>,
    },
    /// From a variable of a `for` around it.
    Local {
        name: Arc<str>,
        steps: Vec<(Access, Span)>,
    },
    Attribute(Box<Node>, Arc<str>),
    Index(Box<Node>, Box<Node>),
    /// The source, and what is taken of each member, over [`Kind::SplatItem`].
    Splat(Box<Node>, Box<Node>),
    SplatItem,
    Unary(UnaryOperator, Box<Node>),
    /// A chain of operators, applied from left to right. It is flat, because it may be long.
    Binary(Box<Node>, Vec<Link>),
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    Call(Box<Call>),
    For(Box<For>),
    /// A `for` directive: members joined to a string.
    Join(Box<Node>),
    Parenthesis(Box<Node>),
}

/// Parses the text of one expression; offsets count from the start of the text.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse_expression(text: &str, file: FileId) -> Result<Expr, Diagnostics> {
    let mut parser = Parser::new(text, 0..text.len(), file, Mode::Expression);
    let node = parser.whole_expression().map_err(|d| Diagnostics::from(*d))?;
    Ok(Expr::finish(node, parser.free))
}

/// Parses a template, as in a file for `templatefile`: text with interpolations and directives.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse_template(text: &str, file: FileId) -> Result<Expr, Diagnostics> {
    let mut parser = Parser::new(text, 0..text.len(), file, Mode::Template);
    let node = parser.whole_template().map_err(|d| Diagnostics::from(*d))?;
    Ok(Expr::finish(node, parser.free))
}

impl Expr {
    /// The expression at a byte range of a file's text.
    pub fn in_text(file: FileId, text: &str, range: Range<usize>) -> Self {
        let span = Span::new(file, range.clone());
        let mut parser = Parser::new(text, range, file, Mode::Expression);
        match parser.whole_expression() {
            Ok(node) => Self::finish(node, parser.free),
            Err(diagnostic) => Self::finish(
                Node {
                    kind: Kind::Invalid(diagnostic),
                    span,
                },
                Vec::new(),
            ),
        }
    }

    /// The expression that starts at an offset of a file's text, and the offset behind it.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub(crate) fn leading(file: FileId, text: &str, start: usize) -> Result<(Self, usize), Box<Diagnostic>> {
        let mut parser = Parser::new(text, start..text.len(), file, Mode::Expression);
        let (node, end) = parser.leading_expression()?;
        Ok((Self::finish(node, parser.free), end))
    }

    /// A part of this expression, by its place in the text that this one stands in.
    pub(crate) fn part(text: &str, node: &Node) -> Self {
        let Span { file, start, end } = node.span;
        Self::in_text(file, text, start as usize..end as usize)
    }

    /// A constant.
    pub fn literal(value: Value, span: Span) -> Self {
        Self::finish(
            Node {
                kind: Kind::Literal(value),
                span,
            },
            Vec::new(),
        )
    }

    fn finish(node: Node, free: Vec<Free>) -> Self {
        let span = node.span;
        Self(Arc::new(Tree { node, span, free }))
    }

    /// Its place.
    pub fn span(&self) -> Span {
        self.0.span
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0.node
    }

    pub(crate) fn free(&self) -> &[Free] {
        &self.0.free
    }

    /// Everything it refers to, in all sub-expressions, in the order of the text. Variables of `for` are none; what
    /// refers to nothing valid is left out ([`Expr::check`] reports it).
    pub fn references(&self) -> Vec<Reference> {
        self.references_besides(&[])
    }

    /// [`Expr::references`], where these names are bound from outside, as by a `dynamic` block.
    pub fn references_besides(&self, names: &[Arc<str>]) -> Vec<Reference> {
        let free = self.0.free.iter().filter(|f| !names.contains(&f.root));
        free.filter_map(|f| f.reference.clone().ok()).collect()
    }

    /// Mistakes that show without evaluation: syntax, references to nothing, unknown functions.
    pub fn check(&self) -> Diagnostics {
        self.check_besides(&[])
    }

    /// [`Expr::check`], where these names are bound from outside, as by a `dynamic` block.
    pub fn check_besides(&self, names: &[Arc<str>]) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Kind::Invalid(diagnostic) = &self.0.node.kind {
            diagnostics.push((**diagnostic).clone());
        }
        for free in self.0.free.iter().filter(|f| !names.contains(&f.root)) {
            if let Err(diagnostic) = &free.reference {
                diagnostics.push((**diagnostic).clone());
            }
        }
        diagnostics
    }

    /// The expression as a chain of literal steps, if it is one.
    pub fn traversal(&self) -> Option<Traversal> {
        let Kind::Traversal { free, steps } = &self.0.node.kind else {
            return None;
        };
        let root = self.0.free.get(*free)?.root.clone();
        let steps = steps.iter().map(|(step, _)| step.clone()).collect();
        Some(Traversal {
            root,
            steps,
            span: self.0.span,
        })
    }

    /// The value of a literal: a number, a bool, null, or a text without interpolations.
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.0.node.kind {
            Kind::Literal(value) => Some(value),
            _ => None,
        }
    }
}
