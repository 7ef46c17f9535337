//! Checks that need no values: names that must be declared, arguments that schemas know, rules for blocks that belong
//! together.

mod modules;
mod moves;
mod references;
mod schema;

use stack_core::{Diagnostic, Diagnostics, Mode, Schema};

use crate::configuration::{Condition, Configuration, Module, Resource};
use crate::expression::Expr;
use crate::reference::Subject;
use references::Site;
pub(crate) use schema::{too_few_blocks, too_many_blocks};

/// The schemas of all providers.
pub trait Schemas {
    /// The schema of a resource type or data source; `None` for an unknown one.
    fn resource(&self, mode: Mode, ty: &str) -> Option<&Schema>;

    /// The schema of a provider's arguments; `None` for an unknown provider.
    fn provider(&self, name: &str) -> Option<&Schema>;

    /// All resource types or all data sources, for hints.
    fn types(&self, mode: Mode) -> Vec<&str>;

    /// All providers, for hints.
    fn providers(&self) -> Vec<&str>;
}

/// Checks a configuration; every mistake of every module is reported, in the order of the text.
pub fn validate(configuration: &Configuration, schemas: &dyn Schemas) -> Diagnostics {
    let mut validator = Validator {
        configuration,
        schemas,
        diagnostics: Diagnostics::new(),
    };
    for module in configuration.modules() {
        validator.module(module);
    }
    validator.moves();
    let mut diagnostics = validator.diagnostics;
    diagnostics
        .0
        .sort_by_key(|d| d.labels.first().map(|(span, _)| *span));
    let mut seen = std::collections::BTreeSet::new();
    diagnostics.0.retain(|d| {
        seen.insert((
            d.labels.first().map(|(span, _)| *span),
            d.summary.clone(),
            d.detail.clone(),
        ))
    });
    diagnostics
}

/// Checks what an expression refers to that stands in no block, as one typed into the console: it sees what the root
/// module declares.
pub fn validate_expression(configuration: &Configuration, schemas: &dyn Schemas, expr: &Expr) -> Diagnostics {
    let mut validator = Validator {
        configuration,
        schemas,
        diagnostics: Diagnostics::new(),
    };
    validator.expr(&Site::of(&configuration.root), expr);
    validator.diagnostics
}

struct Validator<'c> {
    configuration: &'c Configuration,
    schemas: &'c dyn Schemas,
    diagnostics: Diagnostics,
}

impl<'c> Validator<'c> {
    fn module(&mut self, module: &'c Module) {
        for variable in module.variables.values() {
            self.variable_rules(module, variable);
        }
        for (name, local) in &module.locals {
            self.expr(&Site::of(module), &local.expr);
            let own = Subject::Local(name.clone());
            if let Some(reference) = local.expr.references().into_iter().find(|r| r.subject == own) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "STK0118",
                        "Self-referencing local value",
                        format!(
                            "Local value local.{name} cannot use its own result as part of its expression."
                        ),
                    )
                    .at(reference.span),
                );
            }
        }
        for (name, block) in &module.providers {
            self.provider_block(module, &name.0, block);
        }
        for resource in module.resources.values() {
            self.resource(module, resource);
        }
        for call in module.calls.values() {
            self.call(module, call);
        }
        for output in module.outputs.values() {
            let site = Site::of(module);
            self.expr(&site, &output.value);
            self.depends_on(&site, &output.depends_on);
            self.conditions(&site, &output.preconditions);
            if output.ephemeral && module.names.is_empty() {
                self.diagnostics.push(
                    Diagnostic::error(
                        "STK0105",
                        "Ephemeral output not allowed",
                        "The outputs of the root module are stored, so they cannot be ephemeral.",
                    )
                    .at(output.span),
                );
            }
        }
        for check in module.checks.values() {
            let site = Site {
                check: Some(&check.name),
                ..Site::of(module)
            };
            self.conditions(&site, &check.assertions);
        }
        for import in &module.imports {
            self.import(module, import);
        }
    }

    fn conditions(&mut self, site: &Site<'_>, conditions: &[Condition]) {
        for condition in conditions {
            self.expr(site, &condition.condition);
            self.expr(site, &condition.error_message);
        }
    }

    fn resource(&mut self, module: &'c Module, resource: &'c Resource) {
        let outside = Site {
            check: resource.check.as_deref(),
            own: Some(&resource.key),
            ..Site::of(module)
        };
        for expr in resource.count.iter().chain(&resource.for_each) {
            self.expr(&outside, expr);
        }
        let inside = Site {
            each: resource.for_each.is_some(),
            count: resource.count.is_some(),
            ..outside.clone()
        };
        self.body_references(&inside, &resource.body);
        self.depends_on(&outside, &resource.depends_on);
        let before = Site {
            rule: Some("precondition"),
            ..inside.clone()
        };
        self.conditions(&before, &resource.lifecycle.preconditions);
        let after = Site {
            self_object: true,
            rule: Some("postcondition"),
            ..before
        };
        self.conditions(&after, &resource.lifecycle.postconditions);
        self.replace_triggered_by(&inside, resource);
        self.prevent_destroy(&inside, resource);
        self.resource_schema(resource);
        self.provider_of(module, resource);
    }
}
