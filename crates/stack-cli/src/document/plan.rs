//! A plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use stack_config::Configuration;
use stack_core::{Mode, Value};
use stack_engine::Finding;
use stack_plan::{Action, Catalog, Change, Drift, Options, OutputChange, Plan};
use stack_state::DeposedKey;

use super::checks::{CheckWire, checks};
use super::configuration::{ConfigurationWire, configuration};
use super::state::{NameWire, OutputWire, ResourceWire, Values, is_sensitive, text, tree};
use super::value::{path, raw_value, sensitive, unknown};
use super::{actions, reason_name};
use crate::workspace::VERSION;

/// Version of the shape.
const FORMAT: &str = "1.2";

#[derive(Serialize)]
struct PlanWire<'a> {
    format_version: &'static str,
    stack_version: &'static str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<&'a str, VariableWire>,
    planned_values: Values,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_drift: Vec<ChangeWire<'a>>,
    resource_changes: Vec<ChangeWire<'a>>,
    output_changes: BTreeMap<&'a str, EffectWire<'a>>,
    prior_state: PriorWire,
    configuration: ConfigurationWire,
    /// What an apply settles first; absent where nothing is pending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recoveries: Vec<RecoveryWire<'a>>,
    checks: Vec<CheckWire>,
    applyable: bool,
    complete: bool,
    errored: bool,
}

/// What a document of a plan is made from.
pub(crate) struct PlanFacts<'a> {
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// What an apply settles first.
    pub(crate) findings: &'a [Finding],
    /// How it was planned.
    pub(crate) options: &'a Options,
    /// What it was planned for.
    pub(crate) configuration: &'a Configuration,
    /// Types of the providers.
    pub(crate) catalog: &'a dyn Catalog,
    /// Values of the root module's variables.
    pub(crate) variables: &'a BTreeMap<Arc<str>, Value>,
    /// When it was planned (RFC 3339).
    pub(crate) timestamp: &'a str,
}

#[derive(Serialize)]
struct RecoveryWire<'a> {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposed: Option<&'a str>,
    begun: &'static str,
    recover: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct VariableWire {
    value: Box<RawValue>,
}

#[derive(Serialize)]
struct PriorWire {
    format_version: &'static str,
    stack_version: &'static str,
    values: Values,
}

#[derive(Serialize)]
struct ChangeWire<'a> {
    #[serde(flatten)]
    name: NameWire,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposed: Option<&'a str>,
    provider_name: String,
    change: EffectWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_checked: Option<&'a str>,
}

#[derive(Serialize)]
struct EffectWire<'a> {
    actions: &'static [&'static str],
    before: Box<RawValue>,
    after: Box<RawValue>,
    after_unknown: serde_json::Value,
    before_sensitive: serde_json::Value,
    after_sensitive: serde_json::Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replace_paths: Vec<Vec<serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    importing: Option<ImportWire<'a>>,
}

#[derive(Serialize)]
struct ImportWire<'a> {
    id: &'a str,
}

/// A plan as a document, with its secrets.
pub(crate) fn plan_document(facts: &PlanFacts<'_>) -> String {
    fn recovery(finding: &Finding) -> RecoveryWire<'_> {
        RecoveryWire {
            address: finding.address.to_string(),
            deposed: finding.deposed.as_ref().map(DeposedKey::as_str),
            begun: finding.begun_word(),
            recover: finding.verdict.word(),
            detail: &finding.detail,
        }
    }
    let &PlanFacts {
        plan,
        findings,
        options,
        catalog,
        variables,
        timestamp,
        ..
    } = facts;
    let variables = variables.iter().map(|(name, value)| {
        (
            &**name,
            VariableWire {
                value: raw_value(value, true),
            },
        )
    });
    let outputs = plan
        .outputs
        .iter()
        .map(|(name, change)| (name.as_str(), output_effect(change)));
    let results = plan.checks.iter().chain(&plan.conditions);
    text(&PlanWire {
        format_version: FORMAT,
        stack_version: VERSION,
        timestamp,
        variables: variables.collect(),
        planned_values: values(plan, catalog, &|c| c.after.as_ref(), &|o| o.after.as_ref()),
        resource_drift: plan.drift.iter().map(|d| drift(d, plan)).collect(),
        resource_changes: plan.changes.iter().map(change).collect(),
        output_changes: outputs.collect(),
        prior_state: PriorWire {
            format_version: "1.0",
            stack_version: VERSION,
            values: values(plan, catalog, &|c| c.before.as_ref(), &|o| o.before.as_ref()),
        },
        configuration: configuration(facts.configuration, catalog),
        recoveries: findings.iter().map(recovery).collect(),
        checks: checks(results.map(|result| (&result.address, &result.status))),
        applyable: plan.has_changes() || !findings.is_empty(),
        complete: options.targets.is_empty() && options.excludes.is_empty(),
        // A plan with errors is never saved.
        errored: false,
    })
}

/// One side of a plan as values: what is, or what an apply would leave.
fn values(
    plan: &Plan,
    catalog: &dyn Catalog,
    object: &dyn Fn(&Change) -> Option<&Value>,
    output: &dyn Fn(&OutputChange) -> Option<&Value>,
) -> Values {
    let resource = |change: &Change| {
        let value = object(change).filter(|_| change.deposed.is_none())?;
        let address = &change.address;
        let version = match address.mode {
            Mode::Managed => catalog.resource(&address.ty).map(|ty| ty.schema().version),
            Mode::Data => catalog.data_source(&address.ty).map(|ty| ty.schema().version),
        };
        let wire = ResourceWire::new(address, &change.provider.name, value).version(version);
        Some((address.module.clone(), wire))
    };
    let outputs = plan
        .outputs
        .iter()
        .filter_map(|(name, change)| Some((name.clone(), OutputWire::new(output(change)?, true))));
    Values {
        outputs: outputs.collect(),
        root_module: tree(plan.changes.iter().filter_map(resource).collect()),
    }
}

fn change(change: &Change) -> ChangeWire<'_> {
    let mut effect = object_effect(
        actions(change.action),
        change.before.as_ref(),
        change.after.as_ref(),
    );
    effect.replace_paths = change.replace_paths.iter().map(path).collect();
    effect.importing = change.importing.as_deref().map(|id| ImportWire { id });
    ChangeWire {
        name: NameWire::new(&change.address),
        previous_address: change.previous_address.as_ref().map(ToString::to_string),
        deposed: change.deposed.as_ref().map(|key| key.as_str()),
        provider_name: change.provider.name.to_string(),
        change: effect,
        action_reason: change
            .reason
            .as_ref()
            .and_then(|reason| reason_name(reason, change.action)),
        not_checked: change.not_checked.as_deref(),
    }
}

fn drift<'a>(drift: &'a Drift, plan: &Plan) -> ChangeWire<'a> {
    let provider = plan.changes.iter().find(|change| change.address == drift.address);
    let action = if drift.after.is_some() {
        Action::Update
    } else {
        Action::Delete
    };
    ChangeWire {
        name: NameWire::new(&drift.address),
        previous_address: None,
        deposed: None,
        provider_name: provider.map_or_else(String::new, |change| change.provider.name.to_string()),
        change: object_effect(actions(action), Some(&drift.before), drift.after.as_ref()),
        action_reason: None,
        not_checked: None,
    }
}

fn plain(value: Option<&Value>) -> Box<RawValue> {
    value.map_or_else(|| RawValue::NULL.to_owned(), |value| raw_value(value, true))
}

fn object_effect<'a>(
    actions: &'static [&'static str],
    before: Option<&Value>,
    after: Option<&Value>,
) -> EffectWire<'a> {
    let none = || serde_json::Value::Object(serde_json::Map::new());
    // As `{}` where nothing is unknown at all, though the flags of a list would say so member by member.
    let partly_unknown = after.filter(|value| !value.is_wholly_known());
    let flags = |value: Option<&Value>| value.map_or(false.into(), sensitive);
    EffectWire {
        actions,
        before: plain(before),
        after: plain(after),
        after_unknown: partly_unknown.map_or_else(none, unknown),
        before_sensitive: flags(before),
        after_sensitive: flags(after),
        replace_paths: Vec::new(),
        importing: None,
    }
}

fn output_effect<'a>(change: &OutputChange) -> EffectWire<'a> {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let action = match (before, after) {
        _ if !change.is_change() => Action::NoOp,
        (None, _) => Action::Create,
        (Some(_), None) => Action::Delete,
        (Some(_), Some(_)) => Action::Update,
    };
    // An output is sensitive as a whole, before and after alike.
    let hidden: serde_json::Value = [before, after].into_iter().flatten().any(is_sensitive).into();
    let partly_unknown = after.filter(|value| !value.is_wholly_known());
    EffectWire {
        actions: actions(action),
        before: plain(before),
        after: plain(after),
        after_unknown: partly_unknown.map_or_else(|| false.into(), unknown),
        before_sensitive: hidden.clone(),
        after_sensitive: hidden,
        replace_paths: Vec::new(),
        importing: None,
    }
}
