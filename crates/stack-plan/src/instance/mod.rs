//! Plans one configured resource instance.

mod data;
mod draft;
mod import;
mod trigger;

use stack_config::configuration::Resource;
use stack_config::{decode_body, ephemeral_arguments};
use stack_core::{Diagnostic, Diagnostics, Path, ProviderAddress, ResourceAddress, Schema, Value};
use stack_state::{DeposedKey, Object};

use crate::change::{Action, Reason};
use crate::container;
use crate::defaults::{empty, with_defaults};
use crate::evaluator::Rules;
use crate::expansion::Repetition;
use crate::planner::{Outcome, Reach, Walk};
use crate::propose::{differences, with_marks};
use crate::request::Answer;
use crate::{Drift, InstanceScope, ResourceType};

pub(crate) use data::data;
pub(crate) use draft::refused;
use draft::{Draft, Prior};
use import::Imported;

/// What became of the recorded object.
enum Existing<'w> {
    /// There is none recorded.
    None,
    /// It exists.
    Here(Prior<'w>),
    /// Somebody else removed it.
    Gone(&'w Object),
    /// It ends with its container, or is in a system that the configuration has left.
    Ending(&'w Object),
    /// Not read yet.
    Waiting,
}

/// The recorded object with what the schema has gained since as null.
pub(crate) fn upgraded(object: &Object, schema: &Schema) -> Value {
    let Some(members) = object.attributes.as_mapping() else {
        return object.attributes.clone();
    };
    let lacks = |name: &String| !members.contains_key(name);
    if !schema.attributes.keys().chain(schema.blocks.keys()).any(lacks) {
        return object.attributes.clone();
    }
    let mut all = empty(schema);
    for (name, value) in members {
        all = all.with_attribute(name, value.clone());
    }
    all
}

fn existing<'w>(
    walk: &mut Walk<'w, '_>,
    address: &ResourceAddress,
    ty: &dyn ResourceType,
    identity: &Value,
) -> Result<Existing<'w>, Diagnostics> {
    let Some(object) = walk.current(address) else {
        return Ok(Existing::None);
    };
    // Where nothing but recording is planned, an object is where it is, whatever is configured.
    let leaves = walk.input.options.mode != crate::Mode::RefreshOnly
        && (!container::same_system(identity, &object.identity) || walk.container_is_unconfigured(object));
    if leaves || walk.containers.ends(object) {
        return Ok(Existing::Ending(object));
    }
    let recorded = upgraded(object, ty.schema());
    let here = |value: Value| {
        Existing::Here(Prior {
            object: Some(object),
            value,
            importing: None,
        })
    };
    if ty.is_local() {
        return Ok(here(recorded));
    }
    match walk.reach(object) {
        Reach::Elsewhere => return Ok(Existing::Ending(object)),
        Reach::Unknown if walk.is_read(address) => return Err(out_of_reach(object)),
        Reach::Known(_) | Reach::Unknown => {}
    }
    if !walk.is_read(address) {
        return Ok(here(recorded));
    }
    match walk.read(address, None) {
        None => Ok(Existing::Waiting),
        Some(Answer::Object(Some(now))) => {
            let value = with_marks(ty.schema(), now.clone(), Some(&recorded));
            note_drift(walk, address, None, ty, &recorded, &value);
            Ok(here(value))
        }
        Some(Answer::Object(None)) => {
            note_gone(walk, address, None, recorded);
            Ok(Existing::Gone(object))
        }
        Some(Answer::Failed(message, path)) => Err(failed("cannot be read", message, path.as_ref())),
        Some(Answer::Preview { .. }) => Err(failed("cannot be read", "the answer makes no sense", None)),
    }
}

/// The error of an object that cannot be asked for, because its provider's arguments are known nowhere.
pub(crate) fn out_of_reach(object: &Object) -> Diagnostics {
    let detail = format!(
        "The arguments of {} depend on values that are known only after apply, and none are recorded.",
        object.provider
    );
    Diagnostic::error("STK0329", "Object out of reach", detail)
        .hint("apply first what the provider configuration refers to, with --target")
        .into()
}

fn failed(what: &str, message: &str, path: Option<&Path>) -> Diagnostics {
    let mut diagnostic = Diagnostic::error("STK0320", format!("Resource {what}"), message);
    diagnostic.path = path.cloned();
    diagnostic.into()
}

/// Notes where an object differs from what is recorded.
pub(crate) fn note_drift(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
    ty: &dyn ResourceType,
    recorded: &Value,
    now: &Value,
) {
    if recorded == now {
        return;
    }
    let refreshed = (address.clone(), deposed.cloned(), Some(now.clone()));
    walk.refreshed.push(refreshed);
    let paths = differences(ty, recorded, now);
    if !paths.is_empty() {
        walk.drift.push(Drift {
            address: address.clone(),
            before: recorded.clone(),
            after: Some(now.clone()),
            paths,
        });
    }
}

/// Notes that somebody else removed an object.
pub(crate) fn note_gone(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
    recorded: Value,
) {
    walk.refreshed.push((address.clone(), deposed.cloned(), None));
    walk.drift.push(Drift {
        address: address.clone(),
        before: recorded,
        after: None,
        paths: Vec::new(),
    });
}

/// Plans a managed resource instance.
pub(crate) fn managed(
    walk: &mut Walk<'_, '_>,
    number: usize,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: Repetition,
) -> Result<Outcome, Diagnostics> {
    let catalog = walk.input.catalog;
    let Some(ty) = catalog.resource(&address.ty) else {
        return Err(unknown_type(resource));
    };
    let provider = walk.provider_of(&address.module, resource)?;
    let Some(arguments) = walk.provider_arguments(&provider) else {
        return Ok(Outcome::Planned);
    };
    let schema = catalog.provider(&provider.name);
    let identity = schema.map_or(Value::NULL, |schema| container::identity(schema, &arguments));
    let found = existing(walk, address, ty, &identity)?;
    if matches!(found, Existing::Waiting) {
        return Ok(Outcome::Blocked);
    }
    if walk.input.options.mode == crate::Mode::RefreshOnly {
        only_refreshed(walk, address, ty, provider, found);
        return Ok(Outcome::Planned);
    }
    let config = configured(walk, resource, address, &repetition, ty.schema())?;
    let wrong: Vec<Diagnostic> = ty
        .validate(&config)
        .into_iter()
        .map(|(path, text)| invalid_argument(resource, &path, text))
        .collect();
    if !wrong.is_empty() {
        return Err(wrong.into());
    }
    let prevents = crate::prevent::prevents(walk, address, resource, &repetition)?;
    let draft = Draft {
        ty,
        resource,
        address,
        number,
        repetition,
        prevents,
        config,
        provider,
        arguments,
    };
    match found {
        Existing::None => match import::import(walk, &draft)? {
            Imported::Waiting => Ok(Outcome::Blocked),
            Imported::No => draft.create(walk, None, Action::Create, None),
            Imported::Object(id, value) => {
                let value = with_marks(ty.schema(), value, None);
                draft.existing(
                    walk,
                    Prior {
                        object: None,
                        value,
                        importing: Some(id),
                    },
                )
            }
        },
        Existing::Here(prior) => draft.existing(walk, prior),
        Existing::Gone(object) => {
            walk.containers.end(object);
            draft.create(walk, None, Action::Create, Some(Reason::Gone))
        }
        Existing::Ending(object) => draft.end_with_container(walk, object, upgraded(object, ty.schema())),
        Existing::Waiting => Ok(Outcome::Blocked),
    }
}

/// Takes over what was found, in a plan that only records.
fn only_refreshed(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    ty: &dyn ResourceType,
    provider: ProviderAddress,
    found: Existing<'_>,
) {
    match found {
        Existing::Here(prior) => draft::take(walk, address, provider, prior.value),
        Existing::Ending(object) if walk.containers.ends(object) => {
            note_gone_along(walk, address, object, upgraded(object, ty.schema()));
        }
        Existing::Ending(object) => draft::take(walk, address, provider, upgraded(object, ty.schema())),
        Existing::Gone(object) => walk.containers.end(object),
        Existing::None | Existing::Waiting => {}
    }
}

/// Notes that an object is gone together with what it lived in. That it is gone is recorded with its container.
pub(crate) fn note_gone_along(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    object: &Object,
    recorded: Value,
) {
    walk.containers.end(object);
    walk.drift.push(Drift {
        address: address.clone(),
        before: recorded,
        after: None,
        paths: Vec::new(),
    });
}

fn unknown_type(resource: &Resource) -> Diagnostics {
    let detail = format!("There is no resource type \"{}\".", resource.key.ty);
    Diagnostic::error("STK0315", "Invalid resource type", detail)
        .at(resource.span)
        .into()
}

fn invalid_argument(resource: &Resource, path: &Path, text: String) -> Diagnostic {
    let span = stack_config::span_of(&resource.body, path).unwrap_or(resource.span);
    Diagnostic::error("STK0316", "Invalid argument value", text)
        .at(span)
        .path(path.clone())
}

/// The arguments of a resource or data block, checked against its preconditions.
fn configured(
    walk: &Walk<'_, '_>,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: &Repetition,
    schema: &Schema,
) -> Result<Value, Diagnostics> {
    let scope = scope(walk, address, repetition, None);
    let failures = walk.evaluator.failures(&preconditions(resource, address), &scope);
    if !failures.is_empty() {
        return Err(failures);
    }
    let value = decode_body(&resource.body, schema, &scope)?;
    let ephemeral = ephemeral_arguments(&resource.body, &value);
    if !ephemeral.is_empty() {
        return Err(ephemeral);
    }
    Ok(with_defaults(&value, schema))
}

fn scope<'e, 'a>(
    walk: &'e Walk<'_, 'a>,
    address: &ResourceAddress,
    repetition: &Repetition,
    self_object: Option<Value>,
) -> InstanceScope<'e, 'a> {
    InstanceScope {
        evaluator: &walk.evaluator,
        module: address.module.clone(),
        repetition: Some(repetition.clone()),
        self_object,
    }
}

/// The preconditions of a resource.
pub fn preconditions<'r>(resource: &'r Resource, address: &ResourceAddress) -> Rules<'r> {
    Rules {
        address: address.to_string(),
        conditions: &resource.lifecycle.preconditions,
        code: "STK0317",
        summary: "Resource precondition failed",
    }
}

/// The postconditions of a resource.
pub fn postconditions<'r>(resource: &'r Resource, address: &ResourceAddress) -> Rules<'r> {
    Rules {
        address: address.to_string(),
        conditions: &resource.lifecycle.postconditions,
        code: "STK0323",
        summary: "Resource postcondition failed",
    }
}
