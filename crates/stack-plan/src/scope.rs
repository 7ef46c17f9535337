//! What an expression may refer to, and what that is.

use stack_config::configuration::ResourceKey;
use stack_config::reference::{EachPart, PathKind, Reference, Subject};
use stack_config::{Scope, Sources};
use stack_core::{Diagnostic, Diagnostics, InstanceKey, Marks, ModulePath, Value};

use crate::expansion::Repetition;
use crate::{Catalog, Evaluator};

/// What an expression in one place may refer to.
pub struct InstanceScope<'e, 'a> {
    /// Where values come from.
    pub evaluator: &'e Evaluator<'a>,
    /// The module instance.
    pub module: ModulePath,
    /// `each` and `count`, inside a resource or module call.
    pub repetition: Option<Repetition>,
    /// `self`, in postconditions.
    pub self_object: Option<Value>,
}

impl InstanceScope<'_, '_> {
    fn not_here(&self, reference: &Reference, detail: &str) -> Diagnostics {
        let summary = format!("Reference to \"{}\" in invalid context", reference.subject);
        Diagnostic::error("STK0309", summary, detail)
            .at(reference.span)
            .into()
    }
}

impl Scope for InstanceScope<'_, '_> {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        let evaluator = self.evaluator;
        let key = self.repetition.as_ref().map(|r| &r.key);
        match &reference.subject {
            Subject::Variable(name) => evaluator.variable(&self.module, name),
            Subject::Local(name) => evaluator.local(&self.module, name),
            Subject::Resource { mode, ty, name } => {
                let key = ResourceKey {
                    mode: *mode,
                    ty: ty.clone(),
                    name: name.clone(),
                };
                Ok(evaluator.resource(&self.module, &key))
            }
            Subject::Module(name) => evaluator.call(&self.module, name, &reference.rest),
            Subject::Each(part) => match (key, part) {
                (Some(InstanceKey::Name(key)), EachPart::Key) => Ok(Value::String(key.clone())),
                (Some(InstanceKey::Name(_)), EachPart::Value) => Ok(self
                    .repetition
                    .as_ref()
                    .and_then(|r| r.value.clone())
                    .unwrap_or(Value::NULL)),
                _ => Err(self.not_here(
                    reference,
                    "The \"each\" object is available only where for_each is set.",
                )),
            },
            Subject::CountIndex => match key {
                Some(InstanceKey::Index(index)) => Ok(Value::Number(stack_core::Number::from(
                    i64::try_from(*index).unwrap_or(i64::MAX),
                ))),
                _ => Err(self.not_here(
                    reference,
                    "The \"count\" object is available only where count is set.",
                )),
            },
            Subject::SelfObject => self.self_object.clone().ok_or_else(|| {
                self.not_here(
                    reference,
                    "The \"self\" object is available only in postconditions.",
                )
            }),
            Subject::Path(kind) => Ok(Value::from(match kind {
                PathKind::Module => match self.module_dir() {
                    "" => ".".to_owned(),
                    dir => dir.to_owned(),
                },
                PathKind::Root => match evaluator.input().configuration.root.dir.as_str() {
                    "" => ".".to_owned(),
                    dir => dir.to_owned(),
                },
                PathKind::Cwd => evaluator.input().sources.current_folder(),
            })),
            Subject::Stack(name) => match name.as_ref() {
                "environment" => Ok(Value::string(evaluator.input().environment)),
                "applying" => Ok(if evaluator.is_applying() {
                    Value::Bool(true).mark(Marks::EPHEMERAL)
                } else {
                    Value::Bool(false).mark(Marks::EPHEMERAL)
                }),
                other => Err(self.not_here(reference, &format!("There is no stack.{other}."))),
            },
        }
    }

    fn timestamp(&self) -> Option<String> {
        self.evaluator.now()
    }

    fn plan_timestamp(&self) -> Option<String> {
        Some(self.evaluator.input().timestamp.to_owned())
    }

    fn sources(&self) -> &dyn Sources {
        self.evaluator.input().sources
    }

    fn module_dir(&self) -> &str {
        self.evaluator.module(&self.module).map_or("", |m| m.dir.as_str())
    }

    fn provider_function(
        &self,
        provider: &str,
        name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, String>> {
        let catalog: &dyn Catalog = self.evaluator.input().catalog;
        catalog.call(provider, name, arguments)
    }
}
