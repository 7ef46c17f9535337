//! Folding records into a state, by one table of what may follow what.

use std::collections::{BTreeMap, BTreeSet};

use stack_core::{InstanceKey, ResourceAddress, Value};

use crate::record::{Outcome, Record, Verb};
use crate::state::{DeposedKey, Object, OperationId, Pending, State, Status};

/// Condition of one place for an object: the current one of an address, or one of its deposed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// No object.
    Absent,
    /// A complete object.
    Ready,
    /// An object that cannot be relied on.
    Tainted,
    /// A create call runs; nothing is known of the object.
    Creating,
    /// A create call runs; the object is known.
    Partial,
    /// An update call runs.
    Updating,
    /// A delete call runs.
    Deleting,
}

/// What happens to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A remote call begins.
    Begin(Verb),
    /// The running call said what the object is.
    Partial,
    /// The running call ended; the object is as it was meant.
    Written,
    /// The running call ended; there is no object.
    Removed,
    /// The running call ended; nothing was made or changed.
    Failed,
    /// The running call ended; the object cannot be relied on.
    Tainted,
    /// The object is recorded without a call, with this status.
    Write(Status),
    /// The object is gone, without a call.
    Remove,
    /// The object is no longer managed.
    Forget,
    /// The object leaves for another place (deposed, restored or moved).
    Leave,
    /// An object of this status arrives from another place.
    Arrive(Status),
}

/// The legality table: the condition after `event`, or `None` where `event` cannot happen.
///
/// `Failed` returns a place to what it was before the call began; for an update that is `Ready`, for a delete what the
/// object's own status says, so `prior` gives it.
pub fn next_status(slot: Slot, prior: Status, event: Event) -> Option<Slot> {
    let of = |status| match status {
        Status::Ready => Slot::Ready,
        Status::Tainted => Slot::Tainted,
    };
    Some(match (slot, event) {
        (Slot::Absent, Event::Begin(Verb::Create)) => Slot::Creating,
        (Slot::Absent | Slot::Ready | Slot::Tainted, Event::Write(status)) => of(status),
        (Slot::Absent, Event::Arrive(status)) => of(status),

        (Slot::Ready, Event::Begin(Verb::Update)) => Slot::Updating,
        (Slot::Ready | Slot::Tainted, Event::Begin(Verb::Delete)) => Slot::Deleting,
        (Slot::Ready | Slot::Tainted, Event::Remove | Event::Forget | Event::Leave) => Slot::Absent,

        (Slot::Creating | Slot::Partial, Event::Partial) => Slot::Partial,
        (Slot::Creating, Event::Failed) => Slot::Absent,
        (Slot::Updating, Event::Partial) => Slot::Updating,
        (Slot::Updating | Slot::Deleting, Event::Failed) => of(prior),
        (Slot::Creating | Slot::Partial | Slot::Updating | Slot::Deleting, Event::Written) => Slot::Ready,
        (Slot::Creating | Slot::Partial | Slot::Updating | Slot::Deleting, Event::Tainted) => Slot::Tainted,
        (Slot::Creating | Slot::Partial | Slot::Updating | Slot::Deleting, Event::Removed) => Slot::Absent,
        _ => return None,
    })
}

/// A record that cannot follow what is in the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The legality table forbids it.
    #[error("{record} of {place}: {event:?} cannot follow {slot:?}")]
    Illegal {
        /// Kind of the record.
        record: &'static str,
        /// The address, with the deposed key if any.
        place: String,
        /// What the record says.
        event: Event,
        /// Condition of the place.
        slot: Slot,
    },
    /// `Partial` or `End` of an operation that was not begun or has ended.
    #[error("{record} of operation {operation}, which is not pending")]
    NotPending {
        /// Kind of the record.
        record: &'static str,
        /// The operation.
        operation: OperationId,
    },
    /// `Begin` of an operation that was begun already.
    #[error("operation {operation} begins a second time")]
    BegunTwice {
        /// The operation.
        operation: OperationId,
    },
    /// A move to an address that is taken, or of an instance with a running operation.
    #[error("{from} cannot move to {to}: {reason}")]
    Move {
        /// Old address.
        from: String,
        /// New address.
        to: String,
        /// Why.
        reason: &'static str,
    },
    /// A value that is not wholly known, or not an object where one is needed.
    #[error("{record} of {place}: the value is not storable ({reason})")]
    Value {
        /// Kind of the record.
        record: &'static str,
        /// Where.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// A journal header that belongs to another state.
    #[error("the journal belongs to {what} {found}, the state to {expected}")]
    Foreign {
        /// `lineage` or `environment`.
        what: &'static str,
        /// What the journal says.
        found: String,
        /// What the state says.
        expected: String,
    },
}

/// Text of a place for messages.
fn place(address: &ResourceAddress, deposed: Option<&DeposedKey>) -> String {
    match deposed {
        None => address.to_string(),
        Some(key) => format!("{address} (deposed {key})"),
    }
}

/// The operation that runs on a place.
fn running<'s>(
    state: &'s State,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
) -> Option<&'s Pending> {
    // Operations that run at one time are few, whatever the size of the state.
    state
        .pending
        .values()
        .find(|p| p.begin.address == *address && p.begin.deposed.as_ref() == deposed)
}

/// Condition of a place, and the status of the object there.
fn slot(state: &State, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> (Slot, Status) {
    let status = state.object(address, deposed).map(|o| o.status);
    let slot = match (running(state, address, deposed), status) {
        (Some(Pending { begin, partial }), _) => match begin.action {
            Verb::Create if *partial => Slot::Partial,
            Verb::Create => Slot::Creating,
            Verb::Update => Slot::Updating,
            Verb::Delete => Slot::Deleting,
        },
        (None, None) => Slot::Absent,
        (None, Some(Status::Ready)) => Slot::Ready,
        (None, Some(Status::Tainted)) => Slot::Tainted,
    };
    (slot, status.unwrap_or(Status::Ready))
}

/// Consults the table for one place.
fn step(
    state: &State,
    record: &'static str,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
    event: Event,
) -> Result<Slot, FoldError> {
    let (slot, prior) = slot(state, address, deposed);
    next_status(slot, prior, event).ok_or_else(|| FoldError::Illegal {
        record,
        place: place(address, deposed),
        event,
        slot,
    })
}

/// Why a value cannot stand in a state, if it cannot.
pub(crate) fn unstorable(value: &Value) -> Option<&'static str> {
    if !value.is_wholly_known() {
        Some("a part of it is not known")
    } else if value.marks_deep().contains(stack_core::Marks::EPHEMERAL) {
        Some("a part of it is ephemeral")
    } else {
        None
    }
}

fn check_object(record: &'static str, at: &ResourceAddress, object: &Object) -> Result<(), FoldError> {
    let reason = match object.attributes.unmarked() {
        Value::Object(_) => [
            Some(&object.attributes),
            object.private.as_ref(),
            Some(&object.identity),
        ]
        .into_iter()
        .flatten()
        .find_map(unstorable),
        _ => Some("the attributes are no object"),
    };
    match reason {
        None => Ok(()),
        Some(reason) => Err(FoldError::Value {
            record,
            place: at.to_string(),
            reason,
        }),
    }
}

/// Dependencies name whole resources.
fn whole_resources(dependencies: &mut BTreeSet<ResourceAddress>) {
    if dependencies.iter().any(|d| d.key != InstanceKey::None) {
        *dependencies = dependencies.iter().map(ResourceAddress::resource).collect();
    }
}

/// Puts an object in a place, or empties it.
fn put(state: &mut State, address: &ResourceAddress, deposed: Option<&DeposedKey>, object: Option<Object>) {
    match object {
        Some(mut object) => {
            whole_resources(&mut object.dependencies);
            let instance = match state.instances.get_mut(address) {
                Some(instance) => instance,
                None => state.instances.entry(address.clone()).or_default(),
            };
            match deposed {
                None => instance.current = Some(object),
                Some(key) => {
                    instance.deposed.insert(key.clone(), object);
                }
            }
        }
        None => {
            let Some(instance) = state.instances.get_mut(address) else {
                return;
            };
            match deposed {
                None => instance.current = None,
                Some(key) => {
                    instance.deposed.remove(key);
                }
            }
            if instance.is_empty() {
                state.instances.remove(address);
            }
        }
    }
}

fn take(state: &mut State, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> Option<Object> {
    let object = state.object(address, deposed).cloned();
    put(state, address, deposed, None);
    object
}

/// Folds one record into the state. Its cost does not depend on the size of the state, except for `Move`, which looks
/// for objects that depend on what moved.
///
/// # Errors
/// The record cannot follow what is in the state, which is then unchanged.
pub fn fold(state: &mut State, record: Record) -> Result<(), FoldError> {
    let kind = record.kind();
    match record {
        Record::Header(header) => header_record(state, header),
        Record::Begin(mut begin) => {
            whole_resources(&mut begin.dependencies);
            if state.pending.contains_key(&begin.operation) {
                return Err(FoldError::BegunTwice {
                    operation: begin.operation,
                });
            }
            step(
                state,
                kind,
                &begin.address,
                begin.deposed.as_ref(),
                Event::Begin(begin.action),
            )?;
            state.last_operation = state.last_operation.max(begin.operation);
            state.pending.insert(
                begin.operation,
                Pending {
                    begin,
                    partial: false,
                },
            );
            Ok(())
        }
        Record::Partial { operation, object } => partial(state, operation, object),
        Record::End { operation, outcome } => end(state, operation, outcome),
        Record::Write {
            address,
            deposed,
            object,
        } => {
            check_object(kind, &address, &object)?;
            step(
                state,
                kind,
                &address,
                deposed.as_ref(),
                Event::Write(object.status),
            )?;
            put(state, &address, deposed.as_ref(), Some(object));
            Ok(())
        }
        Record::Remove { address, deposed } => {
            step(state, kind, &address, deposed.as_ref(), Event::Remove)?;
            put(state, &address, deposed.as_ref(), None);
            Ok(())
        }
        Record::Forget { address, deposed } => {
            step(state, kind, &address, deposed.as_ref(), Event::Forget)?;
            put(state, &address, deposed.as_ref(), None);
            Ok(())
        }
        Record::Depose { address, key } => change_place(state, kind, &address, (None, Some(&key))),
        Record::Restore { address, key } => change_place(state, kind, &address, (Some(&key), None)),
        Record::Move { from, to } => move_instance(state, &from, to),
        Record::Output { name, value } => {
            if let Some(reason) = value.as_ref().and_then(unstorable) {
                return Err(FoldError::Value {
                    record: kind,
                    place: format!("output.{name}"),
                    reason,
                });
            }
            set(&mut state.outputs, name, value);
            Ok(())
        }
        Record::Provider { address, arguments } => {
            if let Some(reason) = arguments.as_ref().and_then(unstorable) {
                return Err(FoldError::Value {
                    record: kind,
                    place: address.to_string(),
                    reason,
                });
            }
            set(&mut state.providers, address, arguments);
            Ok(())
        }
        Record::Check { name, status } => {
            set(&mut state.checks, name, status);
            Ok(())
        }
        Record::Pin { key, keys } => {
            set(&mut state.pins, key, Some(keys).filter(|k| !k.is_empty()));
            Ok(())
        }
    }
}

/// Whether folding the record would leave another state. A record that would not need not be written.
pub fn changes(state: &State, record: &Record) -> bool {
    match record {
        Record::Write {
            address,
            deposed,
            object,
        } => state.object(address, deposed.as_ref()) != Some(object),
        Record::Output { name, value } => state.outputs.get(name) != value.as_ref(),
        Record::Provider { address, arguments } => state.providers.get(address) != arguments.as_ref(),
        Record::Check { name, status } => state.checks.get(name) != status.as_ref(),
        Record::Pin { key, keys } => state.pins.get(key).map_or(&[][..], Vec::as_slice) != keys.as_slice(),
        Record::Header(_)
        | Record::Begin(_)
        | Record::Partial { .. }
        | Record::End { .. }
        | Record::Remove { .. }
        | Record::Forget { .. }
        | Record::Depose { .. }
        | Record::Restore { .. }
        | Record::Move { .. } => true,
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => {
            map.insert(key, value);
        }
        None => {
            map.remove(&key);
        }
    }
}

fn header_record(state: &mut State, header: crate::record::Header) -> Result<(), FoldError> {
    for (what, found, expected) in [
        ("lineage", header.lineage.as_str(), state.lineage.as_str()),
        (
            "environment",
            header.environment.as_str(),
            state.environment.as_str(),
        ),
    ] {
        if found != expected {
            return Err(FoldError::Foreign {
                what,
                found: found.to_owned(),
                expected: expected.to_owned(),
            });
        }
    }
    state.epoch = state.epoch.max(header.epoch);
    state.serial = state.serial.max(header.serial);
    state.tool_version = header.tool_version;
    state.expires = header.expires;
    state.salt = header.salt;
    Ok(())
}

fn partial(state: &mut State, operation: OperationId, mut object: Object) -> Result<(), FoldError> {
    let kind = "partial";
    let pending = state.pending.get(&operation).ok_or(FoldError::NotPending {
        record: kind,
        operation,
    })?;
    let (address, deposed) = (pending.begin.address.clone(), pending.begin.deposed.clone());
    check_object(kind, &address, &object)?;
    step(state, kind, &address, deposed.as_ref(), Event::Partial)?;
    if pending.begin.action == Verb::Create {
        object.status = Status::Tainted;
    }
    put(state, &address, deposed.as_ref(), Some(object));
    if let Some(pending) = state.pending.get_mut(&operation) {
        pending.partial = true;
    }
    Ok(())
}

fn end(state: &mut State, operation: OperationId, outcome: Outcome) -> Result<(), FoldError> {
    let kind = "end";
    let pending = state.pending.get(&operation).ok_or(FoldError::NotPending {
        record: kind,
        operation,
    })?;
    let (address, deposed) = (pending.begin.address.clone(), pending.begin.deposed.clone());
    let event = match &outcome {
        Outcome::Written(_) => Event::Written,
        Outcome::Removed => Event::Removed,
        Outcome::Failed => Event::Failed,
        Outcome::Tainted(_) => Event::Tainted,
    };
    if let Outcome::Written(object) | Outcome::Tainted(object) = &outcome {
        check_object(kind, &address, object)?;
    }
    step(state, kind, &address, deposed.as_ref(), event)?;
    state.pending.remove(&operation);
    match outcome {
        Outcome::Written(object) => {
            put(
                state,
                &address,
                deposed.as_ref(),
                Some(Object {
                    status: Status::Ready,
                    ..object
                }),
            );
        }
        Outcome::Tainted(object) => {
            put(
                state,
                &address,
                deposed.as_ref(),
                Some(Object {
                    status: Status::Tainted,
                    ..object
                }),
            );
        }
        Outcome::Removed => put(state, &address, deposed.as_ref(), None),
        Outcome::Failed => {}
    }
    Ok(())
}

/// Moves an object between the places of one instance.
fn change_place(
    state: &mut State,
    record: &'static str,
    address: &ResourceAddress,
    (from, to): (Option<&DeposedKey>, Option<&DeposedKey>),
) -> Result<(), FoldError> {
    step(state, record, address, from, Event::Leave)?;
    let status = state.object(address, from).map_or(Status::Ready, |o| o.status);
    step(state, record, address, to, Event::Arrive(status))?;
    let object = take(state, address, from);
    put(state, address, to, object);
    Ok(())
}

fn move_instance(state: &mut State, from: &ResourceAddress, to: ResourceAddress) -> Result<(), FoldError> {
    let busy = |address: &ResourceAddress| state.pending.values().any(|p| p.begin.address == *address);
    let reason = if !state.instances.contains_key(from) {
        Some("there is no object at the old address")
    } else if state.instances.contains_key(&to) || busy(&to) {
        Some("the new address is taken")
    } else if busy(from) {
        Some("an operation on it has not ended")
    } else {
        None
    };
    if let Some(reason) = reason {
        return Err(FoldError::Move {
            from: from.to_string(),
            to: to.to_string(),
            reason,
        });
    }
    let (old, new) = (from.resource(), to.resource());
    if let Some(instance) = state.instances.remove(from) {
        state.instances.insert(to, instance);
    }
    if old != new {
        // Dependencies name whole resources: both while instances are left at the old address, then the new one only.
        let left = state
            .instances
            .range(&old..)
            .next()
            .is_some_and(|(a, _)| a.resource() == old);
        for instance in state.instances.values_mut() {
            for object in instance.current.iter_mut().chain(instance.deposed.values_mut()) {
                let depends = if left {
                    object.dependencies.contains(&old)
                } else {
                    object.dependencies.remove(&old)
                };
                if depends {
                    object.dependencies.insert(new.clone());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
