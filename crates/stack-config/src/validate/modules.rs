//! Module calls: arguments, providers passed on, iteration.

use stack_core::Diagnostic;

use super::Validator;
use super::references::Site;
use crate::configuration::{Import, Module, ModuleCall, ProviderRef, ResourceKey};
use crate::expression::Expr;
use crate::parse::read::{missing_argument, unsupported_argument};
use crate::provider::provider_for;

impl<'c> Validator<'c> {
    pub(super) fn call(&mut self, module: &'c Module, call: &'c ModuleCall) {
        let outside = Site::of(module);
        for expr in call.count.iter().chain(&call.for_each) {
            self.expr(&outside, expr);
        }
        self.depends_on(&outside, &call.depends_on);
        let inside = Site {
            each: call.for_each.is_some(),
            count: call.count.is_some(),
            ..outside
        };
        let variables: Vec<&str> = call.module.variables.keys().map(AsRef::as_ref).collect();
        for (name, argument) in &call.arguments {
            self.expr(&inside, &argument.expr);
            if !call.module.variables.contains_key(name) {
                self.diagnostics
                    .push(unsupported_argument(name, argument.name_span, &variables, &[]));
            }
        }
        for variable in call.module.variables.values() {
            if variable.default.is_none() && !call.arguments.contains_key(&variable.name) {
                let mut error = missing_argument(&variable.name, call.span);
                error.labels.push((variable.span, "declared here".to_owned()));
                self.diagnostics.push(error);
            }
        }
        for passed in call.providers.values() {
            self.provider_present(module, passed);
        }
    }

    /// A configuration that is named must exist.
    fn provider_present(&mut self, module: &Module, provider: &ProviderRef) {
        if provider_for(self.configuration, &module.names, provider).is_none() {
            let (name, alias) = (&provider.name, provider.alias.as_deref().unwrap_or_default());
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0113",
                    "Provider configuration not present",
                    format!(
                        "There is no configuration of provider \"{name}\" with the alias \"{alias}\" here."
                    ),
                )
                .at(provider.span)
                .hint(format!(
                    "declare it: provider \"{name}\" {{ alias = \"{alias}\" }}"
                )),
            );
        }
    }

    pub(super) fn import(&mut self, module: &'c Module, import: &'c Import) {
        let outside = Site::of(module);
        let inside = Site {
            each: import.for_each.is_some(),
            ..outside.clone()
        };
        if let Some(for_each) = &import.for_each {
            self.expr(&outside, for_each);
        }
        for expr in std::iter::once(&import.id).chain(&import.key) {
            self.expr(&inside, expr);
        }
        if let Some(provider) = &import.provider {
            self.provider_present(module, provider);
        }
        if !module.names.is_empty() {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0132",
                    "Invalid import configuration",
                    "An import block was detected in a called module. Import blocks are only allowed in the root module.",
                )
                .at(import.span),
            );
            return;
        }
        let same = |other: &&Import| {
            let key = |i: &Import| i.key.as_ref().map(Expr::as_literal).map(|k| k.cloned());
            let fixed = |i: &Import| i.key.as_ref().is_none_or(|k| k.as_literal().is_some());
            other.to == import.to && fixed(other) && fixed(import) && key(other) == key(import)
        };
        if let Some(first) = module
            .imports
            .iter()
            .find(same)
            .filter(|first| first.span != import.span)
        {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0132",
                    format!("Duplicate import configuration for \"{}\"", import.to),
                    "A resource instance can have only one import block.",
                )
                .at(import.to_span)
                .label(first.span, "first declared here"),
            );
        }
        let target = self.configuration.module_at(&import.to.module);
        if target.is_none_or(|m| !m.resources.contains_key(&ResourceKey::of(&import.to))) {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0132",
                    "Configuration for import target does not exist",
                    format!("The configuration for the given import target {} does not exist. All target instances must have an associated configuration to be imported.", import.to),
                )
                .at(import.to_span),
            );
        }
    }
}
