//! Resources and modules without instances: what is in them is wrong or right all the same.

use std::sync::Arc;

use stack_config::configuration::Resource;
use stack_config::reference::{Reference, Subject};
use stack_config::{EachPart, Expr, Scope, Sources, decode_body, evaluate};
use stack_core::{Diagnostics, InstanceKey, ModulePath, Schema, Type, Value};

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

/// The module that labels of calls lead to, as one that has no instances.
pub(crate) fn path(names: &[Arc<str>]) -> ModulePath {
    let step = |path: ModulePath, name: &Arc<str>| path.child(name, InstanceKey::None);
    names.iter().fold(ModulePath::root(), step)
}

/// Reports what is wrong with a local or an output of a module without instances.
pub(crate) fn check_value(walk: &Walk<'_, '_>, names: &[Arc<str>], expr: &Expr) {
    let scope = NothingKnown(walk.evaluator.scope(&path(names)));
    if let Err(diagnostics) = evaluate(expr, &scope) {
        walk.evaluator.report(diagnostics);
    }
}

/// Reports what is wrong with the body of a resource whatever its references turn out to be.
pub(crate) fn check_body(walk: &Walk<'_, '_>, names: &[Arc<str>], resource: &Resource, schema: &Schema) {
    let scope = NothingKnown(walk.evaluator.scope(&path(names)));
    if let Err(diagnostics) = decode_body(&resource.body, schema, &scope) {
        walk.evaluator.report(diagnostics);
    }
}
