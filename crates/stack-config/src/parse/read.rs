//! Reading blocks: labels, known and required arguments, constants, static references.

use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, Span, Type, Value};

use super::syntax::{Attribute, Block, Item, Tree};
use crate::expression::{Expr, Kind, Node};
use crate::reference::Access;
use crate::suggest::did_you_mean;

/// Reads the syntax tree of one file.
pub(crate) struct Reader<'d> {
    /// The whole text of the file.
    pub(crate) text: &'d str,
    pub(crate) diagnostics: &'d mut Diagnostics,
}

/// A label of a block with its place.
pub(crate) type Label = (Arc<str>, Span);

/// One step of a static reference.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A name: the root, or `.name`.
    Name(Arc<str>),
    /// `["key"]`
    Key(Arc<str>),
    /// `[0]`
    Index(u64),
    /// `[expression]`
    Computed(Expr),
}

impl Reader<'_> {
    pub(crate) fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The labels, if there are as many as `names`, and each is a name where `identifiers` asks for it.
    pub(crate) fn labels(&mut self, block: &Block, names: &[&str]) -> Option<Vec<Label>> {
        let kind = block.name();
        let labels: Vec<Label> = block.labels.iter().map(|l| (l.text.clone(), l.span)).collect();
        if let Some((_, span)) = labels.get(names.len()) {
            let detail = if names.is_empty() {
                format!("No labels are expected for {kind} blocks.")
            } else {
                format!(
                    "Only {} labels ({}) are expected for {kind} blocks.",
                    names.len(),
                    names.join(", ")
                )
            };
            self.error(
                Diagnostic::error("STK0107", format!("Extraneous label for {kind}"), detail).at(*span),
            );
            return None;
        }
        if let Some(missing) = names.get(labels.len()) {
            let detail = format!(
                "All {kind} blocks must have {} labels ({}).",
                names.len(),
                names.join(", ")
            );
            self.error(
                Diagnostic::error("STK0107", format!("Missing {missing} for {kind}"), detail)
                    .at(block.header()),
            );
            return None;
        }
        let mut good = true;
        for (name, (label, span)) in names.iter().zip(&labels) {
            if !is_identifier(label) {
                good = false;
                self.error(
                    Diagnostic::error(
                        "STK0109",
                        format!("Invalid {kind} {name}"),
                        "A name must start with a letter or underscore and may contain only letters, digits, underscores, and dashes.",
                    )
                    .at(*span),
                );
            }
        }
        good.then_some(labels)
    }

    /// Reports every argument and block that is not among the expected ones.
    pub(crate) fn expect_only(&mut self, body: &Tree, attributes: &[&str], blocks: &[&str]) {
        for item in &body.items {
            match item {
                Item::Attribute(a) if !attributes.contains(&a.name()) => {
                    self.error(unsupported_argument(a.name(), a.key.span, attributes, blocks));
                }
                Item::Block(b) if !blocks.contains(&b.name()) => {
                    self.error(unsupported_block(b.name(), b.kind.span, blocks, attributes));
                }
                Item::Attribute(_) | Item::Block(_) => {}
            }
        }
    }

    /// An argument that must be there.
    pub(crate) fn required<'b>(&mut self, body: &'b Tree, name: &str, owner: Span) -> Option<&'b Attribute> {
        let found = body.attribute(name);
        if found.is_none() {
            self.error(missing_argument(name, owner));
        }
        found
    }

    /// At most one block of this type; the second is an error.
    pub(crate) fn single<'b>(&mut self, body: &'b Tree, name: &'b str) -> Option<&'b Block> {
        let mut blocks = body.blocks(name);
        let first = blocks.next()?;
        if let Some(second) = blocks.next() {
            let (place, earlier) = (second.header(), first.header());
            self.error(
                Diagnostic::error(
                    "STK0108",
                    format!("Duplicate {name} block"),
                    format!("Only one {name} block is allowed here."),
                )
                .at(place)
                .label(earlier, "the first one"),
            );
        }
        Some(first)
    }

    /// The value of an expression that may refer to nothing.
    pub(crate) fn constant(&mut self, expr: &Expr) -> Option<Value> {
        self.diagnostics.absorb(crate::constant::constant(expr))
    }

    /// [`Self::constant`], converted.
    pub(crate) fn constant_of(&mut self, attribute: &Attribute, ty: &Type) -> Option<Value> {
        let value = self.constant(&attribute.value)?;
        match stack_core::convert::convert(&value, ty) {
            Ok(value) if !value.is_null() => Some(value),
            Ok(_) => None,
            Err(error) => {
                let span = attribute.value.span();
                self.error(
                    Diagnostic::error(
                        "STK0128",
                        "Unsuitable value type",
                        format!("Unsuitable value: {error}."),
                    )
                    .at(span),
                );
                None
            }
        }
    }

    /// A constant bool argument; `None` where it is not set.
    pub(crate) fn flag(&mut self, body: &Tree, name: &str) -> Option<bool> {
        let attribute = body.attribute(name)?;
        self.constant_of(attribute, &Type::Bool)?.as_bool()
    }

    /// A constant string argument; `None` where it is not set.
    pub(crate) fn text(&mut self, body: &Tree, name: &str) -> Option<String> {
        let attribute = body.attribute(name)?;
        self.constant_of(attribute, &Type::String)?
            .as_str()
            .map(str::to_owned)
    }

    /// The members of `[a, b]`; anything else is an error.
    pub(crate) fn sequence(&mut self, attribute: &Attribute) -> Vec<Expr> {
        if let Kind::Tuple(members) = &attribute.value.node().kind {
            return members
                .iter()
                .map(|member| Expr::part(self.text, member))
                .collect();
        }
        self.error(
            Diagnostic::error(
                "STK0110",
                "Invalid expression",
                format!(
                    "The argument \"{}\" takes a list written in brackets.",
                    attribute.name()
                ),
            )
            .at(attribute.value.span()),
        );
        Vec::new()
    }

    /// The parts of `a.b["c"][0]`; `None` for any other expression.
    pub(crate) fn traversal(&self, expr: &Expr) -> Option<Vec<Part>> {
        self.parts(expr, expr.node())
    }

    fn parts(&self, expr: &Expr, node: &Node) -> Option<Vec<Part>> {
        match &node.kind {
            Kind::Traversal { free, steps } => {
                let root = expr.free().get(*free)?.root.clone();
                let steps = steps.iter().map(|(step, _)| match step {
                    Access::Attribute(name) => Part::Name(name.clone()),
                    Access::Key(key) => Part::Key(key.clone()),
                    Access::Index(index) => Part::Index(*index),
                });
                Some(std::iter::once(Part::Name(root)).chain(steps).collect())
            }
            Kind::Attribute(inner, name) => {
                let mut parts = self.parts(expr, inner)?;
                parts.push(Part::Name(name.clone()));
                Some(parts)
            }
            Kind::Index(inner, index) => {
                let mut parts = self.parts(expr, inner)?;
                parts.push(Part::Computed(Expr::part(self.text, index)));
                Some(parts)
            }
            _ => None,
        }
    }
}

/// Whether an expression is a quoted text.
pub(crate) fn is_text(expr: &Expr) -> bool {
    matches!(expr.as_literal(), Some(Value::String(_)))
}

/// Whether a text is a name of the language.
pub(crate) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let start = |c: char| unicode_ident::is_xid_start(c) || c == '_';
    chars.next().is_some_and(start) && chars.all(|c| unicode_ident::is_xid_continue(c) || c == '-')
}

/// `Unsupported argument`, with the nearest known name.
pub(crate) fn unsupported_argument(
    name: &str,
    span: Span,
    attributes: &[&str],
    blocks: &[&str],
) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        "STK0105",
        "Unsupported argument",
        format!("An argument named \"{name}\" is not expected here."),
    )
    .at(span);
    if blocks.contains(&name) {
        diagnostic = diagnostic.hint(format!(
            "did you mean to define a block of type \"{name}\"? Write it without the equals sign"
        ));
    } else if let Some(near) = did_you_mean(name, attributes.iter().copied()) {
        diagnostic = diagnostic.hint(format!("did you mean \"{near}\"?"));
    }
    diagnostic
}

/// `Unsupported block type`, with the nearest known name.
pub(crate) fn unsupported_block(name: &str, span: Span, blocks: &[&str], attributes: &[&str]) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        "STK0104",
        "Unsupported block type",
        format!("Blocks of type \"{name}\" are not expected here."),
    )
    .at(span);
    if attributes.contains(&name) {
        diagnostic = diagnostic.hint(format!(
            "did you mean to define the argument \"{name}\"? Write it with an equals sign"
        ));
    } else if let Some(near) = did_you_mean(name, blocks.iter().copied()) {
        diagnostic = diagnostic.hint(format!("did you mean \"{near}\"?"));
    }
    diagnostic
}

/// `Missing required argument`
pub(crate) fn missing_argument(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0106",
        "Missing required argument",
        format!("The argument \"{name}\" is required, but no definition was found."),
    )
    .at(span)
}
