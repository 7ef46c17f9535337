//! Bodies of blocks: arguments, nested blocks and dynamic blocks, before a schema gives them a meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Path, Span, Step};

use crate::expression::Expr;
use crate::parse::read::{self, Reader};
use crate::parse::syntax::{Block, Item, Tree};
use crate::reference::Reference;

/// The body of a block.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Arguments.
    pub attributes: BTreeMap<Arc<str>, BodyAttribute>,
    /// Nested blocks in the order of the text.
    pub blocks: Vec<NestedBlock>,
    /// Place of the header of the block; `None` for a body that stands in no file.
    pub header: Option<Span>,
}

/// One argument.
#[derive(Clone, Debug)]
pub struct BodyAttribute {
    /// Its value.
    pub expr: Expr,
    /// Its name.
    pub name_span: Span,
}

/// A nested block.
#[derive(Clone, Debug)]
pub struct NestedBlock {
    /// Its type.
    pub ty: Arc<str>,
    /// Place of its type; of the label, where the block is dynamic.
    pub span: Span,
    /// What is inside: of `content`, where the block is dynamic.
    pub body: Body,
    /// Set where the text has a `dynamic` block.
    pub dynamic: Option<Dynamic>,
}

/// What makes one block of a `dynamic` block for each member of a collection.
#[derive(Clone, Debug)]
pub struct Dynamic {
    /// The collection.
    pub for_each: Expr,
    /// Name of the object with `key` and `value` inside `content`.
    pub iterator: Arc<str>,
}

impl Body {
    /// Takes over a body, leaving out some arguments and blocks.
    pub(crate) fn read(reader: &mut Reader<'_>, body: &Tree, skip: &[&str], skip_blocks: &[&str]) -> Self {
        let mut out = Self::default();
        for item in &body.items {
            match item {
                Item::Attribute(attribute) if skip.contains(&attribute.name()) => {}
                Item::Attribute(attribute) => {
                    let argument = BodyAttribute {
                        expr: attribute.value.clone(),
                        name_span: attribute.key.span,
                    };
                    out.attributes.insert(attribute.key.text.clone(), argument);
                }
                Item::Block(block) if skip_blocks.contains(&block.name()) => {}
                Item::Block(block) if block.name() == "dynamic" => out.blocks.extend(dynamic(reader, block)),
                Item::Block(block) => {
                    if reader.labels(block, &[]).is_some() {
                        let mut inner = Self::read(reader, &block.body, &[], &[]);
                        inner.header = Some(block.header());
                        out.blocks.push(NestedBlock {
                            ty: block.kind.text.clone(),
                            span: block.kind.span,
                            body: inner,
                            dynamic: None,
                        });
                    }
                }
            }
        }
        out
    }

    /// Everything the body refers to, without the iterators of its dynamic blocks.
    pub fn references(&self) -> Vec<Reference> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, iterators: &mut Vec<Arc<str>>, out: &mut Vec<Reference>) {
        for attribute in self.attributes.values() {
            out.extend(attribute.expr.references_besides(iterators));
        }
        for block in &self.blocks {
            let Some(dynamic) = &block.dynamic else {
                block.body.collect(iterators, out);
                continue;
            };
            out.extend(dynamic.for_each.references_besides(iterators));
            iterators.push(dynamic.iterator.clone());
            block.body.collect(iterators, out);
            iterators.pop();
        }
    }
}

/// `dynamic "name" { for_each = … iterator = x content { … } }`
fn dynamic(reader: &mut Reader<'_>, block: &Block) -> Option<NestedBlock> {
    let labels = reader.labels(block, &["type"])?;
    let (ty, span) = labels.into_iter().next()?;
    let header = block.header();
    reader.expect_only(&block.body, &["for_each", "iterator"], &["content"]);
    let iterator = match block.body.attribute("iterator") {
        None => ty.clone(),
        Some(attribute) => match reader.traversal(&attribute.value).as_deref() {
            Some([read::Part::Name(name)]) => name.clone(),
            _ => {
                let place = attribute.value.span();
                reader.error(
                    Diagnostic::error(
                        "STK0109",
                        "Invalid dynamic iterator name",
                        "An iterator is a single name, without quotes.",
                    )
                    .at(place),
                );
                return None;
            }
        },
    };
    let for_each = reader.required(&block.body, "for_each", header);
    let content = reader.single(&block.body, "content");
    if content.is_none() {
        reader.error(
            Diagnostic::error(
                "STK0106",
                "Missing dynamic content block",
                "A dynamic block must have a nested block of type \"content\" to describe the blocks to be generated.",
            )
            .at(header),
        );
    }
    let (for_each, content) = (for_each?, content?);
    let for_each = for_each.value.clone();
    let mut body = Body::read(reader, &content.body, &[], &[]);
    body.header = Some(header);
    Some(NestedBlock {
        ty,
        span,
        body,
        dynamic: Some(Dynamic { for_each, iterator }),
    })
}

/// The place of the argument or block that gives a path its value, as near as the text allows: a part of an argument is
/// the argument, a member of generated blocks is their `dynamic` block. `None` where nothing on the way stands in the
/// text.
pub fn span_of(body: &Body, path: &Path) -> Option<Span> {
    let (first, rest) = path.0.split_first()?;
    let Step::Attribute(name) = first else { return None };
    if let Some(attribute) = body.attributes.get(name) {
        return Some(attribute.expr.span());
    }
    let (index, inner) = match rest.split_first() {
        Some((Step::Index(index), inner)) => (*index, inner),
        _ => (0, rest),
    };
    let mut of_type = body.blocks.iter().filter(|b| b.ty == *name);
    let first_block = of_type.clone().next()?;
    let before = body.blocks.iter().filter(|b| b.ty == *name).take(index + 1);
    let block = if before.clone().any(|b| b.dynamic.is_some()) {
        before.filter(|b| b.dynamic.is_some()).last()?
    } else {
        of_type.nth(index).unwrap_or(first_block)
    };
    span_of(&block.body, &Path(inner.to_vec())).or(Some(block.span))
}
