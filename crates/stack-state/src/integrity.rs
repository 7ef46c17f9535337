//! What holds in every state. The numbers are stable; messages and tests name them.
//!
//! 1. No instance is without any object.
//! 2. Attributes are objects, wholly known and nowhere ephemeral; so is whatever else is kept of an object.
//! 3. A pending operation stands under its own id, which is not above the last one begun.
//! 4. At most one operation is pending on one place.
//! 5. The place of a pending operation fits it: a create that has not named its object has none, one that has named it
//!    has a tainted one, an update or delete has one.
//! 6. Outputs and provider arguments are wholly known and nowhere ephemeral.
//! 7. Dependencies name whole resources.
//! 8. A state has a lineage and an environment.
//! 9. Nothing is folded in exactly if the digest of the last frame is empty.

use std::collections::BTreeSet;

use stack_core::{InstanceKey, Value};

use crate::fold::unstorable;
use crate::record::Verb;
use crate::state::{State, Status};

/// A state that breaks an invariant: a bug, or a damaged file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state invariant {number} does not hold at {place}")]
pub struct IntegrityError {
    /// Number of the invariant.
    pub number: u8,
    /// Where.
    pub place: String,
}

/// Checks every invariant.
///
/// # Errors
/// The first that does not hold.
pub fn check(state: &State) -> Result<(), IntegrityError> {
    let broken = |number: u8, place: &dyn std::fmt::Display| {
        Err(IntegrityError {
            number,
            place: place.to_string(),
        })
    };
    for (address, instance) in &state.instances {
        if instance.is_empty() {
            return broken(1, address);
        }
    }
    for (address, _, object) in state.objects() {
        let values = [
            Some(&object.attributes),
            object.private.as_ref(),
            Some(&object.identity),
        ];
        let is_object = matches!(object.attributes.unmarked(), Value::Object(_));
        if !is_object || values.into_iter().flatten().any(|v| unstorable(v).is_some()) {
            return broken(2, address);
        }
        if object.dependencies.iter().any(|d| d.key != InstanceKey::None) {
            return broken(7, address);
        }
    }
    let mut places = BTreeSet::new();
    for (id, pending) in &state.pending {
        let begin = &pending.begin;
        if begin.operation != *id || *id > state.last_operation {
            return broken(3, &format_args!("operation {id}"));
        }
        if !places.insert((&begin.address, &begin.deposed)) {
            return broken(4, &begin.address);
        }
        let status = state
            .object(&begin.address, begin.deposed.as_ref())
            .map(|o| o.status);
        let fits = match begin.action {
            Verb::Create if pending.partial => status == Some(Status::Tainted),
            Verb::Create => status.is_none(),
            Verb::Update | Verb::Delete => status.is_some(),
        };
        if !fits {
            return broken(5, &begin.address);
        }
        if begin.dependencies.iter().any(|d| d.key != InstanceKey::None) {
            return broken(7, &begin.address);
        }
    }
    for (name, value) in &state.outputs {
        if unstorable(value).is_some() {
            return broken(6, &format_args!("output.{name}"));
        }
    }
    for (address, value) in &state.providers {
        if unstorable(value).is_some() {
            return broken(6, address);
        }
    }
    if state.lineage.as_str().is_empty() || state.environment.is_empty() {
        return broken(8, &"the head of the state");
    }
    if (state.position.sequence == 0) != (state.position.digest == [0; 32]) {
        return broken(9, &"the head of the state");
    }
    Ok(())
}
