//! A configuration: what its blocks say, before anything is evaluated. Values of arguments stand in it only where they
//! are constant and not sensitive.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use stack_config::configuration::{
    Configuration, Module, ModuleCall, Output, ProviderName, Resource, Variable, provider_names,
};
use stack_config::{Body, Expr, NestedBlock, NoScope, Reference, Subject, evaluate};
use stack_core::schema::Nesting;
use stack_core::{Mode, Schema};
use stack_plan::Catalog;

use super::state::{is_sensitive, mode_name};
use super::value::raw_value;

#[derive(Serialize)]
pub(super) struct ConfigurationWire {
    provider_config: BTreeMap<String, ProviderWire>,
    root_module: ModuleWire,
}

/// A provider configuration: of a block, or the one that stands for no block.
#[derive(Serialize)]
struct ProviderWire {
    name: String,
    full_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_address: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    expressions: BTreeMap<String, Expression>,
}

#[derive(Serialize)]
struct ModuleWire {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    outputs: BTreeMap<String, OutputWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<ResourceWire>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    module_calls: BTreeMap<String, CallWire>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, VariableWire>,
}

#[derive(Serialize)]
struct OutputWire {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sensitive: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
    expression: Expression,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize)]
struct ResourceWire {
    address: String,
    mode: &'static str,
    #[serde(rename = "type")]
    ty: String,
    name: String,
    provider_config_key: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    expressions: BTreeMap<String, Expression>,
    schema_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_expression: Option<Expression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_each_expression: Option<Expression>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

#[derive(Serialize)]
struct CallWire {
    source: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    expressions: BTreeMap<String, Expression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_expression: Option<Expression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_each_expression: Option<Expression>,
    module: ModuleWire,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

#[derive(Serialize)]
struct VariableWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sensitive: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
}

/// An argument, or nested blocks of one type.
#[derive(Serialize)]
#[serde(untagged)]
enum Expression {
    Constant {
        constant_value: Box<RawValue>,
    },
    References {
        references: Vec<String>,
    },
    /// Nothing can be said without evaluation, or the value is nobody's business.
    Neither {},
    Blocks(Vec<BTreeMap<String, Expression>>),
    Block(BTreeMap<String, Expression>),
}

/// A configuration as a part of a document.
pub(super) fn configuration(configuration: &Configuration, catalog: &dyn Catalog) -> ConfigurationWire {
    let mut provider_config = BTreeMap::new();
    for name in provider_names(configuration) {
        provider_config.insert(
            name.to_string(),
            ProviderWire {
                name: name.to_string(),
                full_name: name.to_string(),
                alias: None,
                module_address: None,
                expressions: BTreeMap::new(),
            },
        );
    }
    for module in configuration.modules() {
        for (provider, block) in &module.providers {
            let (name, alias) = provider;
            let address = module_address(&module.names);
            let wire = ProviderWire {
                name: name.to_string(),
                full_name: name.to_string(),
                alias: alias.as_ref().map(ToString::to_string),
                module_address: (!address.is_empty()).then_some(address),
                expressions: body(&block.body, catalog.provider(name), &mut Vec::new()),
            };
            provider_config.insert(provider_key(&module.names, provider), wire);
        }
    }
    let mut way = Way {
        configuration,
        catalog,
        calls: Vec::new(),
    };
    ConfigurationWire {
        provider_config,
        root_module: way.module(&configuration.root),
    }
}

/// `module.a.module.b`; empty for the root.
fn module_address(names: &[Arc<str>]) -> String {
    let parts: Vec<String> = names.iter().map(|name| format!("module.{name}")).collect();
    parts.join(".")
}

/// `aws`, `aws.west`, `module.a:aws`
fn provider_key(module: &[Arc<str>], (name, alias): &ProviderName) -> String {
    let prefix = if module.is_empty() {
        String::new()
    } else {
        format!("{}:", module_address(module))
    };
    let suffix = alias
        .as_ref()
        .map(|alias| format!(".{alias}"))
        .unwrap_or_default();
    format!("{prefix}{name}{suffix}")
}

/// The way down from the root to the module that is written.
struct Way<'a> {
    configuration: &'a Configuration,
    catalog: &'a dyn Catalog,
    calls: Vec<&'a ModuleCall>,
}

impl<'a> Way<'a> {
    fn module(&mut self, module: &'a Module) -> ModuleWire {
        let outputs = module
            .outputs
            .iter()
            .map(|(name, o)| (name.to_string(), output(o)));
        let variables = module
            .variables
            .iter()
            .map(|(name, v)| (name.to_string(), variable(v)));
        let resources = module.resources.values().map(|r| self.resource(r));
        let (outputs, variables, resources) = (outputs.collect(), variables.collect(), resources.collect());
        let mut module_calls = BTreeMap::new();
        for (name, call) in &module.calls {
            self.calls.push(call);
            let called = self.module(&call.module);
            self.calls.pop();
            let arguments = call.arguments.iter().map(|(name, argument)| {
                let hidden = call.module.variables.get(name).is_some_and(|v| v.sensitive);
                (name.to_string(), expression(&argument.expr, hidden, &[]))
            });
            let wire = CallWire {
                source: call.source.clone(),
                expressions: arguments.collect(),
                count_expression: repetition(call.count.as_ref()),
                for_each_expression: repetition(call.for_each.as_ref()),
                module: called,
                depends_on: call.depends_on.iter().map(ToString::to_string).collect(),
            };
            module_calls.insert(name.to_string(), wire);
        }
        ModuleWire {
            outputs,
            resources,
            module_calls,
            variables,
        }
    }

    fn resource(&self, resource: &Resource) -> ResourceWire {
        let key = &resource.key;
        let schema = match key.mode {
            Mode::Managed => self.catalog.resource(&key.ty).map(|ty| ty.schema()),
            Mode::Data => self.catalog.data_source(&key.ty).map(|ty| ty.schema()),
        };
        ResourceWire {
            address: key.to_string(),
            mode: mode_name(key.mode),
            ty: key.ty.to_string(),
            name: key.name.to_string(),
            provider_config_key: self
                .provider(&(resource.provider.name.clone(), resource.provider.alias.clone())),
            expressions: body(&resource.body, schema, &mut Vec::new()),
            schema_version: schema.map_or(0, |schema| schema.version),
            count_expression: repetition(resource.count.as_ref()),
            for_each_expression: repetition(resource.for_each.as_ref()),
            depends_on: resource.depends_on.iter().map(ToString::to_string).collect(),
        }
    }

    /// The key of the configuration that this name stands for in the current module: its own, one that was handed down,
    /// or the one that is inherited.
    fn provider(&self, name: &ProviderName) -> String {
        let mut name = name.clone();
        for depth in (0..=self.calls.len()).rev() {
            let (module, names) = match depth.checked_sub(1).and_then(|i| self.calls.get(i)) {
                Some(call) => (&call.module, call.module.names.as_slice()),
                None => (&self.configuration.root, [].as_slice()),
            };
            if depth == 0 || module.providers.contains_key(&name) {
                return provider_key(names, &name);
            }
            let handed = self
                .calls
                .get(depth - 1)
                .and_then(|call| call.providers.get(&name));
            if let Some(given) = handed {
                name = (given.name.clone(), given.alias.clone());
            }
        }
        provider_key(&[], &name)
    }
}

fn output(output: &Output) -> OutputWire {
    OutputWire {
        sensitive: output.sensitive,
        ephemeral: output.ephemeral,
        expression: expression(&output.value, output.sensitive, &[]),
        depends_on: output.depends_on.iter().map(ToString::to_string).collect(),
        description: output.description.clone(),
    }
}

fn variable(variable: &Variable) -> VariableWire {
    let default = variable.default.as_ref();
    let shown = default.filter(|value| !variable.sensitive && !is_sensitive(value));
    VariableWire {
        default: shown.map(|value| raw_value(value, false)),
        description: variable.description.clone(),
        sensitive: variable.sensitive,
        ephemeral: variable.ephemeral,
    }
}

fn repetition(expr: Option<&Expr>) -> Option<Expression> {
    expr.map(|expr| expression(expr, false, &[]))
}

/// The arguments and blocks of a body; `iterators` are the names that `dynamic` blocks around it bind.
fn body(body: &Body, schema: Option<&Schema>, iterators: &mut Vec<Arc<str>>) -> BTreeMap<String, Expression> {
    let mut out = BTreeMap::new();
    for (name, argument) in &body.attributes {
        let hidden = schema.is_some_and(|s| s.attributes.get(&**name).is_some_and(|a| a.sensitive));
        out.insert(name.to_string(), expression(&argument.expr, hidden, iterators));
    }
    for block in &body.blocks {
        let known = schema.and_then(|s| s.blocks.get(&*block.ty));
        let single = known.is_some_and(|b| b.nesting == Nesting::Single) && block.dynamic.is_none();
        let inner = nested(block, known.map(|b| &b.schema), iterators);
        let entry = out.entry(block.ty.to_string());
        let entry = entry.or_insert_with(|| Expression::Blocks(Vec::new()));
        match entry {
            _ if single => *entry = Expression::Block(inner),
            Expression::Blocks(all) => all.push(inner),
            _ => *entry = Expression::Blocks(vec![inner]),
        }
    }
    out
}

fn nested(
    block: &NestedBlock,
    schema: Option<&Schema>,
    iterators: &mut Vec<Arc<str>>,
) -> BTreeMap<String, Expression> {
    let Some(dynamic) = &block.dynamic else {
        return body(&block.body, schema, iterators);
    };
    iterators.push(dynamic.iterator.clone());
    let out = body(&block.body, schema, iterators);
    iterators.pop();
    out
}

fn expression(expr: &Expr, hidden: bool, iterators: &[Arc<str>]) -> Expression {
    let references = expr.references_besides(iterators);
    if !references.is_empty() {
        return Expression::References {
            references: references.iter().flat_map(steps).collect(),
        };
    }
    // A reference to an iterator alone fails here, as it should: it is no constant.
    let value = evaluate(expr, &NoScope).ok();
    let shown = value.filter(|value| !hidden && value.is_wholly_known() && !is_sensitive(value));
    shown.map_or(Expression::Neither {}, |value| Expression::Constant {
        constant_value: raw_value(&value, false),
    })
}

/// A reference, then what it is a part of, down to the resource, call or name: `a.b[0].c`, `a.b[0]`, `a.b`.
fn steps(reference: &Reference) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = reference.rest.as_slice();
    while let Some((_, shorter)) = rest.split_last() {
        let text: String = rest.iter().map(ToString::to_string).collect();
        out.push(format!("{}{text}", reference.subject));
        rest = shorter;
    }
    // An instance of a call is the least that can be referred to where there are instances.
    let instance = matches!(reference.subject, Subject::Module(_))
        && reference
            .rest
            .first()
            .is_some_and(|step| !matches!(step, stack_config::Access::Attribute(_)));
    if !instance {
        out.push(reference.subject.to_string());
    }
    out
}
