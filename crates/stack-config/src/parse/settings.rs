//! The `stack` block.

use std::sync::Arc;

use stack_core::Diagnostic;

use super::Folder;
use super::read::Reader;
use super::syntax::Block;
use crate::body::Body;
use crate::configuration::{Backend, VersionConstraint};
use crate::version;

impl Folder {
    pub(super) fn settings(&mut self, reader: &mut Reader<'_>, block: &Block) {
        if reader.labels(block, &[]).is_none() {
            return;
        }
        let span = block.header();
        if let Some(earlier) = self.settings_span.replace(span) {
            reader.error(
                Diagnostic::error(
                    "STK0108",
                    "Duplicate stack block",
                    "A module has one stack block at most.",
                )
                .at(span)
                .label(earlier, "first declared here"),
            );
            return;
        }
        if !self.root {
            reader.error(
                Diagnostic::error(
                    "STK0104",
                    "Stack block in a called module",
                    "The stack block holds settings of the whole configuration, so only the root module may have one.",
                )
                .at(span),
            );
            return;
        }
        reader.expect_only(&block.body, &["required_version"], &["backend"]);
        if let Some(attribute) = block.body.attribute("required_version") {
            let place = attribute.value.span();
            if let Some(text) = reader.text(&block.body, "required_version") {
                match version::parse_constraint(&text) {
                    Ok(_) => {
                        let text: Arc<str> = Arc::from(text);
                        self.module.settings.required_version = Some(VersionConstraint { text, span: place });
                    }
                    Err(error) => reader.error(
                        Diagnostic::error("STK0115", "Invalid version constraint", format!("{error}."))
                            .at(place),
                    ),
                }
            }
        }
        if let Some(backend) = reader.single(&block.body, "backend")
            && let Some([(ty, _)]) = reader.labels(backend, &["type"]).as_deref()
        {
            let span = backend.header();
            let body = Body::read(reader, &backend.body, &[], &[]);
            for reference in body.references() {
                reader.error(crate::constant::variables_not_allowed(reference.span));
            }
            self.module.settings.backend = Some(Backend {
                ty: ty.clone(),
                body,
                span,
            });
        }
    }
}
