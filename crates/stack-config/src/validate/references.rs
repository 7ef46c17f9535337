//! References: what they name must be declared, and be there in the place they stand in.

use std::sync::Arc;

use stack_core::{Diagnostic, Mode};

use super::Validator;
use crate::body::Body;
use crate::configuration::{Module, Resource, ResourceKey, Variable};
use crate::expression::Expr;
use crate::functions;
use crate::parse::names;
use crate::reference::{Access, Reference, Subject};
use crate::suggest::did_you_mean;

/// Where an expression stands.
#[derive(Clone)]
pub(super) struct Site<'s> {
    pub(super) module: &'s Module,
    /// `each` has a meaning.
    pub(super) each: bool,
    /// `count` has a meaning.
    pub(super) count: bool,
    /// `self` has a meaning.
    pub(super) self_object: bool,
    /// The check around it.
    pub(super) check: Option<&'s str>,
    /// The resource it belongs to, which it may not refer to.
    pub(super) own: Option<&'s ResourceKey>,
    /// The kind of rule it belongs to.
    pub(super) rule: Option<&'static str>,
    /// Iterators of the dynamic blocks around it.
    pub(super) iterators: Vec<Arc<str>>,
}

impl<'s> Site<'s> {
    /// Anywhere in a module where nothing special has a meaning.
    pub(super) fn of(module: &'s Module) -> Self {
        Self {
            module,
            each: false,
            count: false,
            self_object: false,
            check: None,
            own: None,
            rule: None,
            iterators: Vec::new(),
        }
    }

    fn module_name(&self) -> String {
        if self.module.names.is_empty() {
            return "the root module".to_owned();
        }
        let steps: Vec<String> = self.module.names.iter().map(|n| format!("module.{n}")).collect();
        steps.join(".")
    }
}

/// After so many mistakes references are not looked at any more: each is compared with all names there are.
const MOST_MISTAKES: usize = 200;

impl<'c> Validator<'c> {
    /// Every reference of an expression.
    pub(super) fn expr(&mut self, site: &Site<'_>, expr: &Expr) {
        if self.diagnostics.0.len() >= MOST_MISTAKES {
            return;
        }
        self.diagnostics.extend(expr.check_besides(&site.iterators));
        for call in expr.calls() {
            let known =
                functions::find(&call.name).is_some() || functions::LAZY.contains(&call.name.as_ref());
            if !known && !call.caught && !call.name.contains("::") {
                let error = Diagnostic::error(
                    "STK0211",
                    "Call to unknown function",
                    format!("There is no function named \"{}\".", call.name),
                );
                let error = match did_you_mean(&call.name, functions::names()) {
                    Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                    None => error,
                };
                self.diagnostics.push(error.at(call.name_span));
            }
        }
        for reference in expr.references_besides(&site.iterators) {
            self.reference(site, &reference);
        }
    }

    /// Every reference of a body.
    pub(super) fn body_references(&mut self, site: &Site<'_>, body: &Body) {
        for attribute in body.attributes.values() {
            self.expr(site, &attribute.expr);
        }
        for block in &body.blocks {
            let mut inner = site.clone();
            if let Some(dynamic) = &block.dynamic {
                self.expr(site, &dynamic.for_each);
                inner.iterators.push(dynamic.iterator.clone());
            }
            self.body_references(&inner, &block.body);
        }
    }

    /// `depends_on`: whole objects only.
    pub(super) fn depends_on(&mut self, site: &Site<'_>, references: &[Reference]) {
        for reference in references {
            self.reference(
                &Site {
                    own: None,
                    ..site.clone()
                },
                reference,
            );
            let keys = reference
                .rest
                .iter()
                .filter(|step| !matches!(step, Access::Attribute(_)))
                .count();
            let whole = reference.rest.len() == keys || matches!(reference.subject, Subject::Module(_));
            if !whole && matches!(reference.subject, Subject::Resource { .. }) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "STK0111",
                        "Invalid depends_on reference",
                        "References in depends_on must be to a whole object (resource, etc), not to an attribute of an object.",
                    )
                    .at(reference.span),
                );
            }
        }
    }

    /// `prevent_destroy`: what is known before anything is planned.
    pub(super) fn prevent_destroy(&mut self, site: &Site<'_>, resource: &Resource) {
        let Some(expr) = &resource.lifecycle.prevent_destroy else {
            return;
        };
        self.expr(site, expr);
        let unsettled = |reference: &Reference| {
            matches!(
                reference.subject,
                Subject::Resource { .. } | Subject::Module(_) | Subject::SelfObject
            )
        };
        for reference in expr.references().into_iter().filter(unsettled) {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0111",
                    "Invalid reference in prevent_destroy expression",
                    "Whether an object may be destroyed has to be known before anything is planned, so only variables, local values, each and count can be used in prevent_destroy.",
                )
                .at(reference.span)
                .hint("use a variable of the module"),
            );
        }
    }

    /// `replace_triggered_by`: managed resources only.
    pub(super) fn replace_triggered_by(&mut self, site: &Site<'_>, resource: &Resource) {
        for expr in &resource.lifecycle.replace_triggered_by {
            self.expr(site, expr);
            for reference in expr.references() {
                let allowed = matches!(
                    reference.subject,
                    Subject::Resource {
                        mode: Mode::Managed,
                        ..
                    } | Subject::Each(_)
                        | Subject::CountIndex
                );
                if !allowed {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "STK0111",
                            "Invalid reference in replace_triggered_by expression",
                            "Only resources, their instances and their attributes can be used in replace_triggered_by.",
                        )
                        .at(reference.span)
                        .hint("put the value into a stack_data resource and refer to that"),
                    );
                }
            }
        }
    }

    /// Rules of a variable: each must look at the variable.
    pub(super) fn variable_rules(&mut self, module: &'c Module, variable: &'c Variable) {
        let site = Site::of(module);
        for rule in &variable.validations {
            self.expr(&site, &rule.condition);
            self.expr(&site, &rule.error_message);
            let own = |r: &Reference| r.subject == Subject::Variable(variable.name.clone());
            let references = rule.condition.references();
            if !references.is_empty() && !references.iter().any(own) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "STK0131",
                        "Invalid variable validation condition",
                        format!("The condition for variable \"{0}\" must refer to var.{0} in order to test incoming values.", variable.name),
                    )
                    .at(rule.condition.span()),
                );
            }
        }
    }

    fn reference(&mut self, site: &Site<'_>, reference: &Reference) {
        let found = match &reference.subject {
            Subject::Variable(name) if !site.module.variables.contains_key(name) => Err(undeclared(
                "input variable",
                &format!("An input variable with the name \"{name}\" has not been declared."),
                did_you_mean(name, names(&site.module.variables)),
                &format!("this variable can be declared with a variable \"{name}\" {{}} block"),
            )),
            Subject::Local(name) if !site.module.locals.contains_key(name) => Err(undeclared(
                "local value",
                &format!("A local value with the name \"{name}\" has not been declared."),
                did_you_mean(name, names(&site.module.locals)),
                "local values stand in a locals block",
            )),
            Subject::Module(name) => self.module_reference(site, name, &reference.rest),
            Subject::Resource { mode, ty, name } => {
                let key = ResourceKey {
                    mode: *mode,
                    ty: ty.clone(),
                    name: name.clone(),
                };
                self.resource_reference(site, &key, &reference.rest)
            }
            Subject::Each(_) if !site.each => Err(Diagnostic::error(
                "STK0118",
                "Reference to \"each\" in context without for_each",
                "The \"each\" object can be used only in \"module\" or \"resource\" blocks, and only when the \"for_each\" argument is set.",
            )),
            Subject::CountIndex if !site.count => Err(Diagnostic::error(
                "STK0118",
                "Reference to \"count\" in non-counted context",
                "The \"count\" object can only be used in \"module\", \"resource\", and \"data\" blocks, and only when the \"count\" argument is set.",
            )),
            Subject::SelfObject if !site.self_object => Err(Diagnostic::error(
                "STK0118",
                "Invalid \"self\" reference",
                "The \"self\" object is not available in this context. It can be used only in postcondition blocks.",
            )),
            Subject::Variable(_)
            | Subject::Local(_)
            | Subject::Each(_)
            | Subject::CountIndex
            | Subject::SelfObject
            | Subject::Path(_)
            | Subject::Stack(_) => Ok(()),
        };
        if let Err(diagnostic) = found {
            self.diagnostics.push(diagnostic.at(reference.span));
        }
    }

    fn module_reference(&self, site: &Site<'_>, name: &str, rest: &[Access]) -> Result<(), Diagnostic> {
        let Some(call) = site.module.calls.get(name) else {
            return Err(undeclared(
                "module",
                &format!(
                    "No module call named \"{name}\" is declared in {}.",
                    site.module_name()
                ),
                did_you_mean(name, names(&site.module.calls)),
                &format!("a module is called by a module \"{name}\" block"),
            ));
        };
        if let ([Access::Attribute(output), ..], true) = (rest, call.count.is_some()) {
            let error = Diagnostic::error(
                "STK0119",
                "Unsupported attribute",
                format!(
                    "Because module.{name} has \"count\" set, it is a list of objects; its outputs must be accessed on specific instances."
                ),
            );
            return Err(error.hint(format!("for the first instance: module.{name}[0].{output}; for all of them: module.{name}[*].{output}")));
        }
        let output = match (rest, call.count.is_some() || call.for_each.is_some()) {
            ([Access::Attribute(output), ..], false) => output,
            ([Access::Index(_) | Access::Key(_), Access::Attribute(output), ..], true) => output,
            _ => return Ok(()),
        };
        if call.module.outputs.contains_key(output) {
            return Ok(());
        }
        let mut error = Diagnostic::error(
            "STK0119",
            "Unsupported attribute",
            format!("This object does not have an attribute named \"{output}\"."),
        );
        error = match did_you_mean(output, names(&call.module.outputs)) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error.hint(format!("what a module gives is declared in its output blocks; module.{name} has none named \"{output}\"")),
        };
        Err(error)
    }

    fn resource_reference(
        &self,
        site: &Site<'_>,
        key: &ResourceKey,
        rest: &[Access],
    ) -> Result<(), Diagnostic> {
        let Some(resource) = site.module.resources.get(key) else {
            return Err(undeclared_resource(site, key));
        };
        if site.own == Some(key) {
            let summary = match site.rule {
                Some(rule) => format!("Invalid reference in {rule}"),
                None => "Self-referential block".to_owned(),
            };
            let error = Diagnostic::error(
                "STK0118",
                summary,
                format!("Configuration for {key} may not refer to itself."),
            );
            return Err(if site.self_object {
                error.hint("the object is called self here")
            } else {
                error
            });
        }
        if let Some(check) = resource
            .check
            .as_deref()
            .filter(|check| site.check != Some(*check))
        {
            return Err(Diagnostic::error(
                "STK0118",
                "Reference to scoped resource",
                format!(
                    "The data source {key} belongs to check \"{check}\" and is not available outside it."
                ),
            ));
        }
        let attribute = match (rest, &resource.count, &resource.for_each) {
            ([Access::Attribute(name), ..], None, None) => name,
            ([Access::Index(_) | Access::Key(_), ..], None, None) => {
                return Err(Diagnostic::error(
                    "STK0119",
                    "Unexpected resource instance key",
                    format!(
                        "Because {key} does not have \"count\" or \"for_each\" set, references to it must not include an index key. Remove the bracketed index to refer to the single instance of this resource."
                    ),
                ));
            }
            ([Access::Attribute(name), ..], count, _) if self.attribute_known(key, name) => {
                let (argument, example) = if count.is_some() {
                    ("count", "[count.index]")
                } else {
                    ("for_each", "[each.key]")
                };
                return Err(Diagnostic::error(
                    "STK0119",
                    "Missing resource instance key",
                    format!("Because {key} has \"{argument}\" set, its attributes must be accessed on specific instances."),
                )
                .hint(format!("for the instance that belongs to this one: {key}{example}.{name}")));
            }
            ([Access::Index(_) | Access::Key(_), Access::Attribute(name), ..], ..) => name,
            _ => return Ok(()),
        };
        let Some(schema) = self.schemas.resource(key.mode, &key.ty) else {
            return Ok(());
        };
        if self.attribute_known(key, attribute) {
            return Ok(());
        }
        let candidates = schema
            .attributes
            .keys()
            .chain(schema.blocks.keys())
            .map(String::as_str);
        Err(unknown_attribute(attribute, did_you_mean(attribute, candidates)))
    }

    fn attribute_known(&self, key: &ResourceKey, name: &str) -> bool {
        let Some(schema) = self.schemas.resource(key.mode, &key.ty) else {
            return true;
        };
        schema.attributes.contains_key(name) || schema.blocks.contains_key(name)
    }
}

/// `Unsupported attribute` of a resource.
pub(super) fn unknown_attribute(name: &str, near: Option<&str>) -> Diagnostic {
    let error = Diagnostic::error(
        "STK0119",
        "Unsupported attribute",
        format!("This object has no argument, nested block, or exported attribute named \"{name}\"."),
    );
    match near {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None => error,
    }
}

fn undeclared(what: &str, detail: &str, near: Option<&str>, otherwise: &str) -> Diagnostic {
    let error = Diagnostic::error("STK0120", format!("Reference to undeclared {what}"), detail);
    match near {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None => error.hint(otherwise),
    }
}

fn undeclared_resource(site: &Site<'_>, key: &ResourceKey) -> Diagnostic {
    let (ty, name) = (&key.ty, &key.name);
    let (kind, block) = match key.mode {
        Mode::Managed => ("managed resource", "resource"),
        Mode::Data => ("data source", "data"),
    };
    let other = match key.mode {
        Mode::Managed => Mode::Data,
        Mode::Data => Mode::Managed,
    };
    let other = ResourceKey {
        mode: other,
        ..key.clone()
    };
    let detail = format!(
        "A {kind} \"{ty}\" \"{name}\" has not been declared in {}.",
        site.module_name()
    );
    if site.module.resources.contains_key(&other) {
        return undeclared("resource", &detail, Some(&other.to_string()), "");
    }
    let declared: Vec<String> = site.module.resources.keys().map(ToString::to_string).collect();
    let near = did_you_mean(&key.to_string(), declared.iter().map(String::as_str));
    undeclared(
        "resource",
        &detail,
        near,
        &format!("it is declared by a {block} \"{ty}\" \"{name}\" block"),
    )
}
