//! `moved` and `removed` blocks: they must agree with each other and with what is still declared.

use std::collections::BTreeMap;

use stack_core::address::Target;
use stack_core::{Diagnostic, InstanceKey, ModulePath, ModuleStep, Span};

use super::Validator;
use crate::configuration::{Configuration, Module, ResourceKey};

/// A move with addresses from the root.
struct Statement {
    from: Target,
    to: Target,
    span: Span,
}

impl Validator<'_> {
    pub(super) fn moves(&mut self) {
        let mut statements = Vec::new();
        for module in self.configuration.modules() {
            for moved in &module.moved {
                let statement = Statement {
                    from: absolute(module, &moved.from),
                    to: absolute(module, &moved.to),
                    span: moved.span,
                };
                self.still_declared(&statement);
                statements.push(statement);
            }
            for removed in &module.removed {
                self.removed(module, removed);
            }
        }
        self.ambiguous(&statements);
    }

    fn still_declared(&mut self, statement: &Statement) {
        let Statement { from, to, span } = statement;
        if from == to {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0117",
                    "Redundant move statement",
                    format!("This statement declares a move from {from} to the same address, which is the same as not declaring this move at all."),
                )
                .at(*span),
            );
            return;
        }
        if without_keys(from) == without_keys(to) {
            return;
        }
        let keyed = match from {
            Target::Module(m) => m.0.iter().any(|s| s.key != InstanceKey::None),
            Target::Resource(r) => {
                r.key != InstanceKey::None || r.module.0.iter().any(|s| s.key != InstanceKey::None)
            }
        };
        let Some(declared) = declared(self.configuration, from).filter(|_| !keyed) else {
            return;
        };
        let what = if matches!(from, Target::Module(_)) {
            "module"
        } else {
            "resource"
        };
        self.diagnostics.push(
            Diagnostic::error(
                "STK0117",
                "Moved object still exists",
                format!("This statement declares a move from {from}, but that {what} is still declared. Change your configuration so that it is declared as {to} instead."),
            )
            .at(*span)
            .label(declared, "still declared here"),
        );
    }

    /// An address may have one successor and one predecessor, and moves may not go in a circle.
    fn ambiguous(&mut self, statements: &[Statement]) {
        let mut by_from: BTreeMap<&Target, &Statement> = BTreeMap::new();
        let mut by_to: BTreeMap<&Target, &Statement> = BTreeMap::new();
        for statement in statements {
            if let Some(earlier) = by_from.get(&statement.from) {
                if earlier.to != statement.to {
                    let detail = format!(
                        "Another statement declared that {} moved to {}, but this statement instead declares that it moved to {}. Each object can move to only one destination.",
                        earlier.from, earlier.to, statement.to
                    );
                    self.ambiguity(statement, earlier, detail);
                }
                continue;
            }
            if let Some(earlier) = by_to.get(&statement.to) {
                let detail = format!(
                    "Another statement declared that {} moved to {}, but this statement instead declares that {} moved there. Each object can have moved from only one source.",
                    earlier.from, earlier.to, statement.from
                );
                self.ambiguity(statement, earlier, detail);
                continue;
            }
            by_from.insert(&statement.from, statement);
            by_to.insert(&statement.to, statement);
        }
        for start in statements {
            let mut at = &start.to;
            for _ in 0..statements.len() {
                let Some(next) = by_from.get(at) else { break };
                at = &next.to;
                if *at == start.to && start.to != start.from {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "STK0117",
                            "Cyclic dependency in move statements",
                            format!("The move statements lead from {} back to itself, so there is no final address for the object.", start.to),
                        )
                        .at(start.span),
                    );
                    return;
                }
            }
        }
    }

    fn ambiguity(&mut self, statement: &Statement, earlier: &Statement, detail: String) {
        self.diagnostics.push(
            Diagnostic::error("STK0117", "Ambiguous move statements", detail)
                .at(statement.span)
                .label(earlier.span, "the other statement"),
        );
    }

    fn removed(&mut self, module: &Module, removed: &crate::configuration::Removed) {
        let from = absolute(module, &removed.from);
        let Some(declared) = declared(self.configuration, &from) else {
            return;
        };
        let what = if matches!(from, Target::Module(_)) {
            "module"
        } else {
            "resource"
        };
        self.diagnostics.push(
            Diagnostic::error(
                "STK0117",
                format!("Removed {what} still exists"),
                format!("This statement declares that {from} was removed, but it is still declared in configuration. Remove the {what} block, or the removed block."),
            )
            .at(declared)
            .label(removed.span, "declared as removed here"),
        );
    }
}

/// Where the block of an address stands, if it is declared.
fn declared(configuration: &Configuration, target: &Target) -> Option<Span> {
    match target {
        Target::Module(path) => {
            let (parent, step) = path.split_last()?;
            Some(configuration.module_at(&parent)?.calls.get(&step.name)?.span)
        }
        Target::Resource(r) => Some(
            configuration
                .module_at(&r.module)?
                .resources
                .get(&ResourceKey::of(r))?
                .span,
        ),
    }
}

/// An address of a module's own, from the root; calls on the way carry no keys.
fn absolute(module: &Module, target: &Target) -> Target {
    let join = |path: &ModulePath| {
        let outer = module.names.iter().map(|n| ModuleStep {
            name: n.clone(),
            key: InstanceKey::None,
        });
        ModulePath(outer.chain(path.0.iter().cloned()).collect())
    };
    match target {
        Target::Module(path) => Target::Module(join(path)),
        Target::Resource(r) => {
            let mut r = r.clone();
            r.module = join(&r.module);
            Target::Resource(r)
        }
    }
}

fn without_keys(target: &Target) -> Target {
    let bare = |path: &ModulePath| {
        ModulePath(
            path.0
                .iter()
                .map(|s| ModuleStep {
                    name: s.name.clone(),
                    key: InstanceKey::None,
                })
                .collect(),
        )
    };
    match target {
        Target::Module(path) => Target::Module(bare(path)),
        Target::Resource(r) => {
            let mut r = r.resource();
            r.module = bare(&r.module);
            Target::Resource(r)
        }
    }
}
