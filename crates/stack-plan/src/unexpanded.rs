//! Resources without instances: their bodies are wrong or right all the same.

use stack_config::configuration::Resource;
use stack_config::reference::{Reference, Subject};
use stack_config::{EachPart, Scope, Sources, decode_body};
use stack_core::{Diagnostics, ModulePath, Schema, Type, Value};

use crate::InstanceScope;
use crate::planner::Walk;

/// Whatever depends on anything but the place of the module is unknown, so that only what is wrong for every value is an
/// error.
struct NothingKnown<'e, 'a>(InstanceScope<'e, 'a>);

impl Scope for NothingKnown<'_, '_> {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        Ok(match &reference.subject {
            Subject::Path(_) | Subject::Stack(_) => return self.0.value(reference),
            Subject::CountIndex => Value::unknown(Type::Number),
            Subject::Each(EachPart::Key) => Value::unknown(Type::String),
            Subject::Variable(_)
            | Subject::Local(_)
            | Subject::Resource { .. }
            | Subject::Module(_)
            | Subject::Each(EachPart::Value)
            | Subject::SelfObject => Value::unknown(Type::Dynamic),
        })
    }

    fn sources(&self) -> &dyn Sources {
        self.0.sources()
    }

    fn module_dir(&self) -> &str {
        self.0.module_dir()
    }

    fn provider_function(
        &self,
        provider: &str,
        name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, String>> {
        self.0.provider_function(provider, name, arguments)
    }
}

/// Reports what is wrong with the body of a resource whatever its references turn out to be.
pub(crate) fn check(walk: &Walk<'_, '_>, module: &ModulePath, resource: &Resource, schema: &Schema) {
    let scope = NothingKnown(walk.evaluator.scope(module));
    if let Err(diagnostics) = decode_body(&resource.body, schema, &scope) {
        walk.evaluator.report(diagnostics);
    }
}
