//! Reading blocks: labels, known and required arguments, constants, static references.

use std::ops::Range;
use std::sync::Arc;

use hcl_edit::expr::{Expression, TraversalOperator};
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use stack_core::{Diagnostic, Diagnostics, FileId, Span, Type, Value};

use crate::expression::Expr;
use crate::suggest::did_you_mean;

/// Reads the syntax tree of one file.
pub(crate) struct Reader<'d> {
    pub(crate) file: FileId,
    /// The whole text of the file.
    pub(crate) text: &'d str,
    pub(crate) diagnostics: &'d mut Diagnostics,
}

/// A label of a block with its place.
pub(crate) type Label = (Arc<str>, Span);

/// One step of a static reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// A name: the root, or `.name`.
    Name(Arc<str>),
    /// `["key"]`
    Key(Arc<str>),
    /// `[0]`
    Index(u64),
    /// `[expression]`
    Computed(Expression),
}

impl Reader<'_> {
    pub(crate) fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn span(&self, item: &impl hcl_edit::Span) -> Span {
        self.range(item.span().unwrap_or(0..0))
    }

    pub(crate) fn range(&self, range: Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    /// From the type of the block to its last label.
    pub(crate) fn header(&self, block: &Block) -> Span {
        let ident = hcl_edit::Span::span(&block.ident).unwrap_or(0..0);
        let last = block.labels.last().and_then(hcl_edit::Span::span);
        self.range(ident.start..last.map_or(ident.end, |l| l.end))
    }

    /// An expression to evaluate later; a mistake in its syntax is reported now.
    pub(crate) fn expr(&mut self, expr: &Expression) -> Expr {
        let expr = Expr::new(self.file, self.text, expr);
        if let Some(mistake) = expr.syntax_error() {
            self.diagnostics.push(mistake.clone());
        }
        expr
    }

    /// The labels, if there are as many as `names`, and each is a name where `identifiers` asks for it.
    pub(crate) fn labels(&mut self, block: &Block, names: &[&str]) -> Option<Vec<Label>> {
        let kind = block.ident.as_str();
        let labels: Vec<Label> =
            block.labels.iter().map(|l| (Arc::from(l.as_str()), self.span(l))).collect();
        if let Some((_, span)) = labels.get(names.len()) {
            let detail = if names.is_empty() {
                format!("No labels are expected for {kind} blocks.")
            } else {
                format!("Only {} labels ({}) are expected for {kind} blocks.", names.len(), names.join(", "))
            };
            self.error(
                Diagnostic::error("STK0107", format!("Extraneous label for {kind}"), detail).at(*span),
            );
            return None;
        }
        if let Some(missing) = names.get(labels.len()) {
            let detail = format!("All {kind} blocks must have {} labels ({}).", names.len(), names.join(", "));
            self.error(
                Diagnostic::error("STK0107", format!("Missing {missing} for {kind}"), detail).at(self.header(block)),
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
    pub(crate) fn expect_only(&mut self, body: &Body, attributes: &[&str], blocks: &[&str]) {
        for structure in body {
            match structure {
                Structure::Attribute(a) if !attributes.contains(&a.key.as_str()) => {
                    let span = self.span(&a.key);
                    self.error(unsupported_argument(a.key.as_str(), span, attributes, blocks));
                }
                Structure::Block(b) if !blocks.contains(&b.ident.as_str()) => {
                    let span = self.span(&b.ident);
                    self.error(unsupported_block(b.ident.as_str(), span, blocks, attributes));
                }
                Structure::Attribute(_) | Structure::Block(_) => {}
            }
        }
    }

    /// An argument that must be there.
    pub(crate) fn required<'b>(&mut self, body: &'b Body, name: &str, owner: Span) -> Option<&'b Attribute> {
        let found = body.get_attribute(name);
        if found.is_none() {
            self.error(missing_argument(name, owner));
        }
        found
    }

    /// At most one block of this type; the second is an error.
    pub(crate) fn single<'b>(&mut self, body: &'b Body, name: &'b str) -> Option<&'b Block> {
        let mut blocks = body.get_blocks(name);
        let first = blocks.next()?;
        if let Some(second) = blocks.next() {
            let (place, earlier) = (self.header(second), self.header(first));
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
    pub(crate) fn constant(&mut self, expr: &Expression) -> Option<Value> {
        self.diagnostics.absorb(crate::constant::constant(self.file, self.text, expr))
    }

    /// [`Self::constant`], converted.
    pub(crate) fn constant_of(&mut self, attribute: &Attribute, ty: &Type) -> Option<Value> {
        let value = self.constant(&attribute.value)?;
        match stack_core::convert::convert(&value, ty) {
            Ok(value) if !value.is_null() => Some(value),
            Ok(_) => None,
            Err(error) => {
                let span = self.span(&attribute.value);
                self.error(
                    Diagnostic::error(
                        "STK0110",
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
    pub(crate) fn flag(&mut self, body: &Body, name: &str) -> Option<bool> {
        let attribute = body.get_attribute(name)?;
        self.constant_of(attribute, &Type::Bool)?.as_bool()
    }

    /// A constant string argument; `None` where it is not set.
    pub(crate) fn text(&mut self, body: &Body, name: &str) -> Option<String> {
        let attribute = body.get_attribute(name)?;
        self.constant_of(attribute, &Type::String)?.as_str().map(str::to_owned)
    }

    /// The members of `[a, b]`; anything else is an error.
    pub(crate) fn sequence<'b>(&mut self, attribute: &'b Attribute) -> Vec<&'b Expression> {
        if let Expression::Array(array) = &attribute.value {
            return array.iter().collect();
        }
        let span = self.span(&attribute.value);
        self.error(
            Diagnostic::error(
                "STK0110",
                "Invalid expression",
                format!("The argument \"{}\" takes a list written in brackets.", attribute.key.as_str()),
            )
            .at(span),
        );
        Vec::new()
    }

    /// The parts of `a.b["c"][0]`; `None` for any other expression.
    pub(crate) fn traversal(&self, expr: &Expression) -> Option<Vec<Part>> {
        match expr {
            Expression::Variable(name) => Some(vec![Part::Name(Arc::from(name.as_str()))]),
            Expression::Traversal(traversal) => {
                let mut parts = self.traversal(&traversal.expr)?;
                for operator in &traversal.operators {
                    parts.push(match operator.value() {
                        TraversalOperator::GetAttr(name) => Part::Name(Arc::from(name.as_str())),
                        TraversalOperator::LegacyIndex(index) => Part::Index(*index.value()),
                        TraversalOperator::Index(index) => index_part(index),
                        TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => return None,
                    });
                }
                Some(parts)
            }
            _ => None,
        }
    }
}

fn index_part(index: &Expression) -> Part {
    match index {
        Expression::String(text) => Part::Key(Arc::from(text.as_str())),
        Expression::Number(number) => match number.value().as_u64() {
            Some(n) => Part::Index(n),
            None => Part::Computed(index.clone()),
        },
        other => Part::Computed(other.clone()),
    }
}

/// Whether a text is a name of the language.
pub(crate) fn is_identifier(text: &str) -> bool {
    hcl_edit::Ident::try_new(text).is_ok()
}

/// `Unsupported argument`, with the nearest known name.
pub(crate) fn unsupported_argument(name: &str, span: Span, attributes: &[&str], blocks: &[&str]) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        "STK0105",
        "Unsupported argument",
        format!("An argument named \"{name}\" is not expected here."),
    )
    .at(span);
    if blocks.contains(&name) {
        diagnostic = diagnostic.hint(format!("did you mean to define a block of type \"{name}\"? Write it without the equals sign"));
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
        diagnostic = diagnostic.hint(format!("did you mean to define the argument \"{name}\"? Write it with an equals sign"));
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
