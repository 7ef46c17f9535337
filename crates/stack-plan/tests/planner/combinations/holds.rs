//! What holds for every combination.

use std::collections::{BTreeMap, BTreeSet};

use stack_core::{Diagnostics, ResourceAddress, Severity};
use stack_plan::{Action, Change, Mode, Plan, Reason, Work};
use stack_state::{DeposedKey, Object, State};

use super::Case;
use super::world::{Container, Content, Nesting};
use crate::cloud::system_of;
use crate::session::Session;

type Place = (ResourceAddress, Option<DeposedKey>);

/// A refusal names a way out. Gives its code.
pub(super) fn refusal(problems: &Diagnostics) -> Result<&'static str, String> {
    let error = problems
        .iter()
        .find(|d| d.severity == Severity::Error)
        .ok_or("no error")?;
    for error in problems.iter().filter(|d| d.severity == Severity::Error) {
        let text = format!("{} {}", error.detail, error.hints.join(" "));
        let names = ["--target", "--exclude", "configuration"]
            .iter()
            .any(|way| text.contains(way));
        let expected = ["STK0319", "STK0329", "STK0334", "STK0335"].contains(&error.code);
        if !names || !expected {
            return Err(format!("refused: {}", crate::render::diagnostics(problems)));
        }
    }
    Ok(error.code)
}

fn id(object: &Object) -> String {
    let id = object.attributes.attribute("id").and_then(|v| v.as_str());
    id.unwrap_or_default().to_owned()
}

/// The recorded object that a change is about.
fn recorded(change: &Change) -> Place {
    let address = change.previous_address.as_ref().unwrap_or(&change.address);
    (address.clone(), change.deposed.clone())
}

/// Ids of objects that end in this plan or are found gone, each with the delete that ends it, if there is one.
fn ended(before: &State, plan: &Plan) -> BTreeMap<String, Option<usize>> {
    let mut out = BTreeMap::new();
    for (number, operation) in plan.operations.iter().enumerate() {
        if let (Work::Delete { .. }, Some(change)) = (&operation.work, operation.change) {
            let (address, deposed) = recorded(&plan.changes[change]);
            if let Some(object) = before.object(&address, deposed.as_ref()) {
                out.insert(id(object), Some(number));
            }
        }
    }
    let origin: BTreeMap<_, _> = plan.moves.iter().map(|(from, to)| (to, from)).collect();
    for (address, deposed, value) in &plan.refreshed {
        let address = origin.get(address).copied().unwrap_or(address);
        if value.is_none()
            && let Some(object) = before.object(address, deposed.as_ref())
        {
            out.insert(id(object), None);
        }
    }
    out
}

/// Everything an operation waits for, directly or not.
fn waits_for(plan: &Plan, operation: usize) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    let mut todo = vec![operation];
    while let Some(next) = todo.pop() {
        for before in &plan.operations[next].after {
            if out.insert(*before) {
                todo.push(*before);
            }
        }
    }
    out
}

/// What is in a container that ends is forgotten after it; what is in one that stays is not.
pub(super) fn for_plan(case: &Case, before: &State, plan: &Plan) -> Result<(), String> {
    let ended = ended(before, plan);
    let changes: BTreeMap<Place, (usize, &Change)> = plan
        .changes
        .iter()
        .enumerate()
        .map(|(n, c)| (recorded(c), (n, c)))
        .collect();
    // Containers end with what is around them.
    let mut ends: BTreeMap<String, Option<usize>> = ended.clone();
    loop {
        let more: Vec<(String, Option<usize>)> = before
            .objects()
            .filter(|(_, _, object)| !ends.contains_key(&id(object)))
            .filter_map(|(_, _, object)| Some((id(object), *ends.get(&system_of(&object.identity))?)))
            .collect();
        if more.is_empty() {
            break;
        }
        ends.extend(more);
    }
    for (address, deposed, object) in before.objects() {
        let place = (address.clone(), deposed.cloned());
        let change = changes.get(&place).copied();
        let container = system_of(&object.identity);
        if let Some(delete) = ends.get(&container) {
            if case.mode == Mode::RefreshOnly {
                continue;
            }
            content_of_ended(plan, address, change, *delete)?;
            continue;
        }
        let Some((_, change)) = change else { continue };
        if matches!(change.action, Action::Forget | Action::ForgetThenCreate) && !may_forget(case, object) {
            return Err(format!("{address} is forgotten, and nothing around it ends"));
        }
    }
    in_order(plan)
}

fn content_of_ended(
    plan: &Plan,
    address: &ResourceAddress,
    change: Option<(usize, &Change)>,
    delete: Option<usize>,
) -> Result<(), String> {
    let Some((number, change)) = change else {
        return Err(format!(
            "{address} ends with its container, and the plan does not say so"
        ));
    };
    let forgets = matches!(change.action, Action::Forget | Action::ForgetThenCreate);
    if !forgets || change.reason != Some(Reason::ContainerEnds) {
        return Err(format!(
            "{address} ends with its container, but is planned to {:?}",
            change.action
        ));
    }
    let forget = plan
        .operations
        .iter()
        .position(|o| o.change == Some(number) && matches!(o.work, Work::Forget { .. }))
        .ok_or("a forget has an operation")?;
    match delete {
        Some(delete) if !waits_for(plan, forget).contains(&delete) => {
            Err(format!("{address} is forgotten before its container has ended"))
        }
        _ => Ok(()),
    }
}

/// Whether the configuration itself says that an object is forgotten.
fn may_forget(case: &Case, object: &Object) -> bool {
    let is_content = object.attributes.attribute("name").and_then(|v| v.as_str()) == Some("c");
    // With `for_each`, `destroy = false` is said of both instances.
    let name = object.attributes.attribute("name").and_then(|v| v.as_str());
    let is_host = name == Some("one") || (case.nesting == Nesting::Each && name == Some("other"));
    let forgotten = case.content == Content::Forgotten && is_content;
    let host = matches!(
        case.container,
        Container::ForgottenAndNamed | Container::ForgottenWithContent
    ) && is_host;
    forgotten || host
}

/// A create comes after the create or update of the container, and no object is changed after it ended.
fn in_order(plan: &Plan) -> Result<(), String> {
    for (number, operation) in plan.operations.iter().enumerate() {
        let Some(change) = operation.change.map(|c| &plan.changes[c]) else {
            continue;
        };
        let makes = matches!(operation.work, Work::Create { .. } | Work::Update | Work::Adopt);
        if !makes {
            continue;
        }
        let waits = waits_for(plan, number);
        for dependency in &operation.dependencies {
            let missing = plan.operations.iter().enumerate().find(|(other, o)| {
                let of = o.change.map(|c| &plan.changes[c].address);
                let same = of.is_some_and(|a| {
                    a.ty == dependency.ty
                        && a.name == dependency.name
                        && a.module.names().eq(dependency.module.names())
                });
                same && matches!(o.work, Work::Create { .. } | Work::Update | Work::Adopt)
                    && !waits.contains(other)
            });
            if missing.is_some() {
                return Err(format!("{} does not wait for {dependency}", change.address));
            }
        }
    }
    Ok(())
}

/// The state is the cloud: every recorded object exists as recorded, and what exists is recorded, unless it was forgotten.
pub(super) fn for_result(case: &Case, before: &State, plan: &Plan, session: &Session) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for (address, _, object) in session.state.objects() {
        let key = (system_of(&object.identity), address.ty.to_string(), id(object));
        match session.cloud.objects.get(&key) {
            None if !plan.left_out.contains(address) => {
                return Err(format!("{address} is recorded and does not exist"));
            }
            None => {}
            Some(real) => {
                let seen = case.refresh || case.content != Content::Drifted;
                let included = !plan.left_out.contains(address);
                if seen && included && real.unmark_deep() != object.attributes.unmark_deep() {
                    return Err(format!("{address} is recorded otherwise than it is"));
                }
            }
        }
        known.insert(key);
    }
    let unmanaged: BTreeSet<String> = unmanaged(case, before, plan);
    for key in session.cloud.objects.keys() {
        let inside = unmanaged.contains(&key.2) || unmanaged.contains(&key.0);
        if !known.contains(key) && !inside {
            return Err(format!(
                "{} {} in {:?} exists and is not recorded",
                key.1, key.2, key.0
            ));
        }
    }
    Ok(())
}

/// Ids of what goes on to exist without being managed.
fn unmanaged(case: &Case, before: &State, plan: &Plan) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = plan
        .changes
        .iter()
        .filter(|c| matches!(c.action, Action::Forget | Action::ForgetThenCreate))
        .filter_map(|c| {
            let (address, deposed) = recorded(c);
            let object = before.object(&address, deposed.as_ref())?;
            (may_forget(case, object)).then(|| id(object))
        })
        .collect();
    // What was not imported.
    let imports = matches!(case.content, Content::Imported | Content::ImportedAndChanged);
    if imports || case.container.is_imported() {
        let managed: BTreeSet<String> = before.objects().map(|(_, _, o)| id(o)).collect();
        out.extend(
            ["box-", "file-", "app-", "vm-"]
                .iter()
                .flat_map(|prefix| (1..9).map(move |n| format!("{prefix}{n}")))
                .filter(|id| !managed.contains(id)),
        );
    }
    out
}
