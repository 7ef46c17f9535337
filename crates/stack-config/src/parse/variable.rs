//! `variable` blocks.

use stack_core::Diagnostic;

use super::read::Reader;
use super::syntax::Block;
use super::{Folder, unique};
use crate::configuration::Variable;
use crate::type_expression::{TypeConstraint, type_constraint};

/// Names that mean something else in a `module` block.
const RESERVED: &[&str] = &[
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "locals",
    "providers",
    "source",
    "version",
];

impl Folder {
    pub(super) fn variable(&mut self, reader: &mut Reader<'_>, block: &Block) {
        let Some(labels) = reader.labels(block, &["name"]) else {
            return;
        };
        let [(name, place)] = labels.as_slice() else {
            return;
        };
        let span = block.header();
        let body = &block.body;
        reader.expect_only(
            body,
            &[
                "type",
                "default",
                "description",
                "sensitive",
                "nullable",
                "ephemeral",
            ],
            &["validation"],
        );
        if RESERVED.contains(&name.as_ref()) {
            reader.error(
                Diagnostic::error(
                    "STK0109",
                    "Invalid variable name",
                    format!("The variable name {name:?} is reserved due to its special meaning inside module blocks."),
                )
                .at(*place),
            );
        }
        let constraint = match body.attribute("type") {
            None => TypeConstraint::any(),
            Some(attribute) => {
                let parsed = type_constraint(&attribute.value);
                reader
                    .diagnostics
                    .absorb(parsed)
                    .unwrap_or_else(TypeConstraint::any)
            }
        };
        let nullable = reader.flag(body, "nullable").unwrap_or(true);
        let default = body.attribute("default").and_then(|attribute| {
            let value = reader.constant(&attribute.value)?;
            let place = attribute.value.span();
            match constraint.convert(&value) {
                Ok(value) if value.is_null() && !nullable => {
                    reader.error(
                        Diagnostic::error(
                            "STK0114",
                            "Invalid default value for variable",
                            "A null default value is not valid when nullable=false.",
                        )
                        .at(place),
                    );
                    None
                }
                Ok(value) => Some(value),
                Err(error) => {
                    reader.error(
                        Diagnostic::error(
                            "STK0114",
                            "Invalid default value for variable",
                            format!("This default value is not compatible with the variable's type constraint: {error}."),
                        )
                        .at(place),
                    );
                    None
                }
            }
        });
        let variable = Variable {
            name: name.clone(),
            span,
            takes_text: body.attribute("type").is_none() || constraint.ty.is_primitive(),
            constraint,
            default,
            description: reader.text(body, "description"),
            sensitive: reader.flag(body, "sensitive").unwrap_or(false),
            nullable,
            ephemeral: reader.flag(body, "ephemeral").unwrap_or(false),
            validations: reader.conditions(body, "validation"),
        };
        let earlier = self.module.variables.get(name).map(|v| v.span);
        if unique(
            reader,
            "variable declaration",
            "Variable names",
            name,
            span,
            earlier,
        ) {
            self.module.variables.insert(name.clone(), variable);
        }
    }
}
