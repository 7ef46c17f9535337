//! Rules (`validation`, `precondition`, `postcondition`, `assert`) and `depends_on`.

use stack_core::Diagnostic;

use crate::configuration::Condition;
use crate::expression::Expr;
use crate::parse::read::{Reader, is_text};
use crate::parse::syntax::{Block, Tree};
use crate::reference::Reference;

impl Reader<'_> {
    /// All blocks of this type as rules.
    pub(crate) fn conditions(&mut self, body: &Tree, kind: &str) -> Vec<Condition> {
        let blocks: Vec<_> = body.blocks(kind).collect();
        blocks
            .into_iter()
            .filter_map(|block| self.condition(block))
            .collect()
    }

    fn condition(&mut self, block: &Block) -> Option<Condition> {
        self.labels(block, &[])?;
        let span = block.header();
        self.expect_only(&block.body, &["condition", "error_message"], &[]);
        let condition = self.required(&block.body, "condition", span);
        let message = self.required(&block.body, "error_message", span);
        let (condition, message) = (condition?, message?);
        let condition = condition.value.clone();
        if condition.references().is_empty() {
            self.error(
                Diagnostic::error(
                    "STK0131",
                    format!("Invalid {} expression", block.name()),
                    "The condition expression must refer to at least one object from elsewhere in the configuration, or else its result would not be checking anything.",
                )
                .at(condition.span()),
            );
        }
        Some(Condition {
            condition,
            error_message: message.value.clone(),
            span,
        })
    }

    /// `depends_on = [a.b, module.c]`
    pub(crate) fn depends_on(&mut self, body: &Tree) -> Vec<Reference> {
        let Some(attribute) = body.attribute("depends_on") else {
            return Vec::new();
        };
        let members = self.sequence(attribute);
        members
            .into_iter()
            .filter_map(|member| self.static_reference(&member))
            .collect()
    }

    /// One reference that needs no evaluation.
    pub(crate) fn static_reference(&mut self, expr: &Expr) -> Option<Reference> {
        let references = self
            .traversal(expr)
            .map(|_| expr.references())
            .unwrap_or_default();
        let [reference] = references.as_slice() else {
            let mut error = Diagnostic::error(
                "STK0111",
                "Invalid expression",
                "A single static reference is required here: the address of a resource, a module or another object, without functions or operators.",
            )
            .at(expr.span());
            if is_text(expr) {
                error = error.hint("write the address without quotes");
            }
            self.error(error);
            return None;
        };
        Some(reference.clone())
    }
}
