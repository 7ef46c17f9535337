//! Results of checks and conditions.

use serde::Serialize;
use stack_core::{InstanceKey, Mode, ModulePath, ResourceAddress};
use stack_state::CheckStatus;

use super::state::{key, mode_name};

/// A check, or the conditions of a block, with the results of its instances.
#[derive(Debug, Serialize)]
pub(super) struct CheckWire {
    address: AddressWire,
    status: &'static str,
    instances: Vec<InstanceWire>,
}

#[derive(Debug, Serialize)]
struct AddressWire {
    to_display: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    ty: Option<String>,
    name: String,
}

#[derive(Debug, Serialize)]
struct InstanceWire {
    address: InstanceAddressWire,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemWire>,
}

#[derive(Debug, Serialize)]
struct InstanceAddressWire {
    to_display: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_key: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct ProblemWire {
    message: String,
}

/// What a result is about. The address of a check, variable or output has the form of a resource's of such a type.
struct Subject {
    kind: &'static str,
    of: ResourceAddress,
}

impl Subject {
    fn new(address: &str) -> Self {
        let parsed = address.parse();
        let of = parsed.unwrap_or_else(|_| ResourceAddress::managed(ModulePath::root(), "check", address));
        let kind = match (of.mode, &*of.ty) {
            (Mode::Managed, "check") => "check",
            (Mode::Managed, "var") => "var",
            (Mode::Managed, "output") => "output_value",
            _ => "resource",
        };
        Self { kind, of }
    }

    /// The block that the instance comes from.
    fn block(&self) -> AddressWire {
        let names = self.of.module.names();
        let module = names.fold(ModulePath::root(), |path, name| {
            path.child(name, InstanceKey::None)
        });
        let is_resource = self.kind == "resource";
        AddressWire {
            kind: self.kind,
            module: shown(&module),
            mode: is_resource.then(|| mode_name(self.of.mode)),
            ty: is_resource.then(|| self.of.ty.to_string()),
            name: self.of.name.to_string(),
            to_display: ResourceAddress {
                module,
                ..self.of.resource()
            }
            .to_string(),
        }
    }

    fn instance(&self) -> InstanceAddressWire {
        InstanceAddressWire {
            to_display: self.of.to_string(),
            module: shown(&self.of.module),
            instance_key: key(&self.of.key),
        }
    }
}

/// A module other than the root.
fn shown(module: &ModulePath) -> Option<String> {
    (!module.is_root()).then(|| module.to_string())
}

/// Results by the block that they come from, in the order of the first of each.
pub(super) fn checks<'r>(results: impl Iterator<Item = (&'r String, &'r CheckStatus)>) -> Vec<CheckWire> {
    let mut out: Vec<CheckWire> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (address, status) in results {
        let subject = Subject::new(address);
        let (word, messages) = match status {
            CheckStatus::Passed => ("pass", &[][..]),
            CheckStatus::Failed(messages) => ("fail", messages.as_slice()),
            CheckStatus::Error(messages) => ("error", messages.as_slice()),
            CheckStatus::Unknown => ("unknown", &[][..]),
        };
        let problem = |message: &String| ProblemWire {
            message: message.clone(),
        };
        let instance = InstanceWire {
            address: subject.instance(),
            status: word,
            problems: messages.iter().map(problem).collect(),
        };
        let block = subject.block();
        let place = *places.entry(block.to_display.clone()).or_insert(out.len());
        if place == out.len() {
            out.push(CheckWire {
                address: block,
                status: word,
                instances: Vec::new(),
            });
        }
        let check = &mut out[place];
        check.status = worse(check.status, word);
        check.instances.push(instance);
    }
    out
}

/// What is said of a block whose instances end like this.
fn worse(one: &'static str, other: &'static str) -> &'static str {
    let order = ["error", "fail", "unknown", "pass"];
    let worst = order.into_iter().find(|word| *word == one || *word == other);
    worst.unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each block with its status and its instances, as `kind module name: status [instance module key status]`.
    fn lines(results: &[(&str, CheckStatus)]) -> Vec<String> {
        let results: Vec<(String, CheckStatus)> = results
            .iter()
            .map(|(a, s)| ((*a).to_owned(), s.clone()))
            .collect();
        let line = |check: CheckWire| {
            let instances = check.instances.iter().map(|i| {
                let (module, key) = (i.address.module.as_deref(), i.address.instance_key.as_ref());
                let key = key.map_or_else(|| "-".to_owned(), ToString::to_string);
                format!(
                    " [{} {} {key} {}]",
                    i.address.to_display,
                    module.unwrap_or("-"),
                    i.status
                )
            });
            let (kind, module) = (check.address.kind, check.address.module.as_deref().unwrap_or("-"));
            let head = format!(
                "{} {kind} {module} {}: {}",
                check.address.to_display, check.address.name, check.status
            );
            head + &instances.collect::<String>()
        };
        checks(results.iter().map(|(a, s)| (a, s)))
            .into_iter()
            .map(line)
            .collect()
    }

    #[test]
    fn instances_stand_with_the_block_they_come_from() {
        use CheckStatus::{Failed, Passed, Unknown};
        let results = [
            ("check.a", Passed),
            ("module.m[\"x.y\"].check.a", Unknown),
            ("module.m[\"z\"].check.a", Passed),
            ("module.m[0].module.n.output.o", Passed),
            ("data.aws_ami.d", Passed),
            ("stack_data.b[\"p.var.q\"]", Passed),
            ("stack_data.b[\"z\"]", Failed(vec!["no".to_owned()])),
            ("stack_data.c[1]", Unknown),
            ("var.v", Passed),
        ];
        assert_eq!(
            lines(&results),
            [
                "check.a check - a: pass [check.a - - pass]",
                "module.m.check.a check module.m a: unknown [module.m[\"x.y\"].check.a module.m[\"x.y\"] - unknown] \
                 [module.m[\"z\"].check.a module.m[\"z\"] - pass]",
                "module.m.module.n.output.o output_value module.m.module.n o: pass \
                 [module.m[0].module.n.output.o module.m[0].module.n - pass]",
                "data.aws_ami.d resource - d: pass [data.aws_ami.d - - pass]",
                "stack_data.b resource - b: fail [stack_data.b[\"p.var.q\"] - \"p.var.q\" pass] \
                 [stack_data.b[\"z\"] - \"z\" fail]",
                "stack_data.c resource - c: unknown [stack_data.c[1] - 1 unknown]",
                "var.v var - v: pass [var.v - - pass]",
            ]
        );
    }
}
