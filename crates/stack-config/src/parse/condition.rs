//! Rules (`validation`, `precondition`, `postcondition`, `assert`) and `depends_on`.

use hcl_edit::structure::Body;
use stack_core::Diagnostic;

use crate::configuration::Condition;
use crate::parse::read::Reader;
use crate::reference::Reference;

impl Reader<'_> {
    /// All blocks of this type as rules.
    pub(crate) fn conditions(&mut self, body: &Body, kind: &str) -> Vec<Condition> {
        let blocks: Vec<_> = body.get_blocks(kind).collect();
        blocks.into_iter().filter_map(|block| self.condition(block)).collect()
    }

    fn condition(&mut self, block: &hcl_edit::structure::Block) -> Option<Condition> {
        self.labels(block, &[])?;
        let span = self.header(block);
        self.expect_only(&block.body, &["condition", "error_message"], &[]);
        let condition = self.required(&block.body, "condition", span);
        let message = self.required(&block.body, "error_message", span);
        let (condition, message) = (condition?, message?);
        let condition = self.expr(&condition.value);
        if condition.references().is_empty() && block.ident.as_str() != "assert" {
            self.error(
                Diagnostic::error(
                    "STK0110",
                    format!("Invalid {} expression", block.ident.as_str()),
                    "The condition expression must refer to at least one object from elsewhere in the configuration, or else its result would not be checking anything.",
                )
                .at(condition.span()),
            );
        }
        Some(Condition { condition, error_message: self.expr(&message.value), span })
    }

    /// `depends_on = [a.b, module.c]`
    pub(crate) fn depends_on(&mut self, body: &Body) -> Vec<Reference> {
        let Some(attribute) = body.get_attribute("depends_on") else { return Vec::new() };
        let members = self.sequence(attribute);
        members.into_iter().filter_map(|member| self.static_reference(member)).collect()
    }

    /// One reference that needs no evaluation.
    pub(crate) fn static_reference(&mut self, expr: &hcl_edit::expr::Expression) -> Option<Reference> {
        let span = self.span(expr);
        let references = self.traversal(expr).map(|_| self.expr(expr).references()).unwrap_or_default();
        let [reference] = references.as_slice() else {
            let mut error = Diagnostic::error(
                "STK0111",
                "Invalid reference",
                "A static reference is required here: the address of a resource, a module or another object, without functions or operators.",
            )
            .at(span);
            if expr.is_str() {
                error = error.hint("write the address without quotes");
            }
            self.error(error);
            return None;
        };
        Some(reference.clone())
    }
}
