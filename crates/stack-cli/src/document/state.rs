//! A state, and its outputs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use stack_core::codec::stored_type;
use stack_core::{InstanceKey, Marks, Mode, ModulePath, ResourceAddress, Value};
use stack_state::{State, Status};

use super::checks::{CheckWire, checks};
use super::value::{raw_type, raw_value, sensitive};
use crate::workspace::VERSION;

/// Version of the shape.
const FORMAT: &str = "1.0";

/// The values of a state or plan.
#[derive(Default, Serialize)]
pub(super) struct Values {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) outputs: BTreeMap<String, OutputWire>,
    pub(super) root_module: ModuleWire,
}

/// One output.
#[derive(Serialize)]
pub(crate) struct OutputWire {
    sensitive: bool,
    #[serde(rename = "type")]
    ty: Box<RawValue>,
    value: Box<RawValue>,
}

impl OutputWire {
    pub(super) fn new(value: &Value, reveal: bool) -> Self {
        Self {
            sensitive: is_sensitive(value),
            ty: raw_type(&if reveal { value.ty() } else { stored_type(value) }),
            value: raw_value(value, reveal),
        }
    }
}

/// Whether any part of a value is sensitive.
pub(super) fn is_sensitive(value: &Value) -> bool {
    value.marks_deep().contains(Marks::SENSITIVE)
}

/// A module instance.
#[derive(Default, Serialize)]
pub(super) struct ModuleWire {
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<ResourceWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    child_modules: Vec<ModuleWire>,
}

/// A resource instance.
#[derive(Serialize)]
pub(super) struct ResourceWire {
    #[serde(flatten)]
    name: NameWire,
    provider_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<u64>,
    values: Box<RawValue>,
    sensitive_values: serde_json::Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tainted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposed_key: Option<String>,
}

/// The word for a mode.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Managed => "managed",
        Mode::Data => "data",
    }
}

/// An instance key, if there is one.
pub(super) fn key(key: &InstanceKey) -> Option<serde_json::Value> {
    match key {
        InstanceKey::None => None,
        InstanceKey::Index(index) => Some((*index).into()),
        InstanceKey::Name(name) => Some((**name).into()),
    }
}

/// The parts of an address.
#[derive(Serialize)]
pub(super) struct NameWire {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_address: Option<String>,
    mode: &'static str,
    #[serde(rename = "type")]
    ty: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<serde_json::Value>,
}

impl NameWire {
    pub(super) fn new(address: &ResourceAddress) -> Self {
        Self {
            address: address.to_string(),
            module_address: (!address.module.is_root()).then(|| address.module.to_string()),
            mode: mode_name(address.mode),
            ty: address.ty.to_string(),
            name: address.name.to_string(),
            index: key(&address.key),
        }
    }
}

impl ResourceWire {
    pub(super) fn new(address: &ResourceAddress, provider: &str, values: &Value) -> Self {
        Self {
            name: NameWire::new(address),
            provider_name: provider.to_owned(),
            schema_version: None,
            values: raw_value(values, true),
            sensitive_values: sensitive(values),
            depends_on: Vec::new(),
            tainted: false,
            deposed_key: None,
        }
    }

    /// With the version of the schema that the values have.
    pub(super) fn version(self, schema_version: Option<u64>) -> Self {
        Self {
            schema_version,
            ..self
        }
    }
}

/// The module instances that hold these resources, as a tree.
pub(super) fn tree(resources: Vec<(ModulePath, ResourceWire)>) -> ModuleWire {
    let mut modules: BTreeMap<ModulePath, Vec<ResourceWire>> = BTreeMap::new();
    for (module, resource) in resources {
        let mut up = Some(module.clone());
        while let Some(path) = up {
            up = path.split_last().map(|(parent, _)| parent);
            modules.entry(path).or_default();
        }
        modules.entry(module).or_default().push(resource);
    }
    branch(&ModulePath::root(), &mut modules)
}

fn branch(path: &ModulePath, modules: &mut BTreeMap<ModulePath, Vec<ResourceWire>>) -> ModuleWire {
    let resources = modules.remove(path).unwrap_or_default();
    let is_child = |m: &&ModulePath| m.split_last().is_some_and(|(parent, _)| parent == *path);
    let children: Vec<ModulePath> = modules.keys().filter(is_child).cloned().collect();
    let child_modules = children.iter().map(|child| branch(child, modules)).collect();
    ModuleWire {
        address: path.to_string(),
        resources,
        child_modules,
    }
}

#[derive(Serialize)]
struct StateWire {
    format_version: &'static str,
    stack_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Values>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<CheckWire>,
}

/// A state as a document; `None` where nothing was ever recorded.
pub(crate) fn state_document(state: Option<&State>) -> String {
    let wire = StateWire {
        format_version: FORMAT,
        stack_version: VERSION,
        lineage: state.map(|s| s.lineage.to_string()),
        serial: state.map(|s| s.serial),
        environment: state.map(|s| s.environment.clone()),
        values: state.map(values),
        checks: checks(state.into_iter().flat_map(|s| &s.checks)),
    };
    text(&wire)
}

fn values(state: &State) -> Values {
    let resource = |(address, deposed, object): (
        &ResourceAddress,
        Option<&stack_state::DeposedKey>,
        &stack_state::Object,
    )| {
        let wire = ResourceWire {
            schema_version: Some(object.schema_version),
            depends_on: object.dependencies.iter().map(ToString::to_string).collect(),
            tainted: object.status == Status::Tainted,
            deposed_key: deposed.map(ToString::to_string),
            ..ResourceWire::new(address, &object.provider.name, &object.attributes)
        };
        (address.module.clone(), wire)
    };
    Values {
        outputs: outputs(&state.outputs, true),
        root_module: tree(state.objects().map(resource).collect()),
    }
}

/// Outputs by name.
pub(crate) fn outputs(outputs: &BTreeMap<String, Value>, reveal: bool) -> BTreeMap<String, OutputWire> {
    outputs
        .iter()
        .map(|(name, value)| (name.clone(), OutputWire::new(value, reveal)))
        .collect()
}

/// All outputs with their values as a document.
pub(crate) fn output_document(values: &BTreeMap<String, Value>) -> String {
    text(&outputs(values, true))
}

/// A document as text.
pub(super) fn text(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}
