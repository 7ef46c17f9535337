//! `check` blocks.

use stack_config::configuration::Module;
use stack_core::ModulePath;
use stack_state::CheckStatus;

use crate::Evaluator;

/// What can be said of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// `module.a.check.NAME`
    pub address: String,
    /// Whether its assertions hold.
    pub status: CheckStatus,
}

/// Evaluates the assertions of every check with what is known; one that cannot be evaluated is reported to the evaluator. `failed_data` gives the error of a scoped data source.
pub fn evaluate(
    evaluator: &Evaluator<'_>,
    failed_data: &dyn Fn(&stack_core::ResourceAddress) -> Option<String>,
) -> Vec<CheckResult> {
    let mut out = Vec::new();
    for module in evaluator.input().configuration.modules() {
        if module.checks.is_empty() {
            continue;
        }
        for path in evaluator.module_instances(&module.names) {
            out.extend(of_module(evaluator, module, &path, failed_data));
        }
    }
    out
}

fn of_module(
    evaluator: &Evaluator<'_>,
    module: &Module,
    path: &ModulePath,
    failed_data: &dyn Fn(&stack_core::ResourceAddress) -> Option<String>,
) -> Vec<CheckResult> {
    let mut out = Vec::new();
    for (name, check) in &module.checks {
        let mut errors: Vec<String> = check
            .data
            .iter()
            .filter_map(|key| failed_data(&key.address(path.clone())))
            .collect();
        let (mut failures, mut unknown) = (Vec::new(), false);
        let scope = evaluator.scope(path);
        for assertion in &check.assertions {
            match evaluator.holds(assertion, &scope) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => failures.push(evaluator.message(assertion, &scope)),
                Ok(None) => unknown = true,
                Err(diagnostics) => {
                    errors.push(diagnostics.to_string());
                    evaluator.report(diagnostics);
                }
            }
        }
        let status = if !errors.is_empty() {
            CheckStatus::Error(errors)
        } else if !failures.is_empty() {
            CheckStatus::Failed(failures)
        } else if unknown {
            CheckStatus::Unknown
        } else {
            CheckStatus::Passed
        };
        let prefix = if path.is_root() {
            String::new()
        } else {
            format!("{path}.")
        };
        out.push(CheckResult {
            address: format!("{prefix}check.{name}"),
            status,
        });
    }
    out
}
