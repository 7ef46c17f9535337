//! The snapshot: a whole state as one readable JSON file.
//!
//! Its first line holds the format version and the digest of everything after that line, so that a changed or cut file
//! is noticed before anything in it is believed, and a newer format before anything is touched.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use stack_core::codec::Seal;

use crate::integrity::{self, IntegrityError};
use crate::state::{DeposedKey, Instance, Lineage, OperationId, Pending, Position, Salt, State};
use crate::wire::{
    BeginWire, CheckWire, ObjectWire, PinWire, ValueWire, WireError, decode_salt, encode_salt, object_place,
    parse,
};

mod layout;

/// Version of the snapshot format that this version writes, the newest it reads.
pub const VERSION: u64 = 1;

/// A snapshot that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A newer version of `stack` wrote it.
    #[error(
        "written in state format {version}, and this version of stack reads up to {VERSION}; use a newer one"
    )]
    Newer {
        /// The format version.
        version: u64,
    },
    /// The bytes are not what was written.
    #[error("the file is damaged: {what}")]
    Damaged {
        /// What does not check.
        what: &'static str,
    },
    /// Its content is not of this format, or a secret does not open.
    #[error("the content cannot be read or written")]
    Content {
        /// Why.
        #[source]
        source: WireError,
    },
    /// What it says cannot be.
    #[error("the content is inconsistent")]
    Integrity {
        /// Why.
        #[source]
        source: IntegrityError,
    },
}

impl From<WireError> for SnapshotError {
    fn from(source: WireError) -> Self {
        Self::Content { source }
    }
}

impl From<serde_json::Error> for SnapshotError {
    fn from(source: serde_json::Error) -> Self {
        Self::Content {
            source: source.into(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<ObjectWire>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    deposed: BTreeMap<String, ObjectWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingWire {
    begin: BeginWire,
    partial: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionWire {
    sequence: u64,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateWire {
    lineage: String,
    environment: String,
    serial: u64,
    epoch: u64,
    tool_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    salt: String,
    journal: PositionWire,
    last_operation: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outputs: BTreeMap<String, ValueWire>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<String, CheckWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pins: Vec<PinWire>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    providers: BTreeMap<String, ValueWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<PendingWire>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    instances: BTreeMap<String, InstanceWire>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(out)
}

/// Writes a state.
///
/// # Errors
/// Something sensitive cannot be sealed.
pub fn encode(state: &State, seal: &dyn Seal) -> Result<Vec<u8>, SnapshotError> {
    let body = serde_json::to_string(&to_wire(state, seal)?)?;
    let body = layout::indent(&body);
    // The object continues on the second line, after the head's own two members.
    let rest = format!("{}\n", body.trim_start_matches('{').trim_start_matches('\n'));
    let digest = hex(digest(&SHA256, rest.as_bytes()).as_ref());
    Ok(format!("{{\"format\":{VERSION},\"digest\":\"{digest}\",\n{rest}").into_bytes())
}

fn to_wire(state: &State, seal: &dyn Seal) -> Result<StateWire, WireError> {
    let mut instances = BTreeMap::new();
    for (address, instance) in &state.instances {
        let address = address.to_string();
        let current = instance
            .current
            .as_ref()
            .map(|o| ObjectWire::encode(o, seal, &object_place(&address, None)));
        let mut deposed = BTreeMap::new();
        for (key, object) in &instance.deposed {
            let place = object_place(&address, Some(key.as_str()));
            deposed.insert(key.to_string(), ObjectWire::encode(object, seal, &place)?);
        }
        instances.insert(
            address,
            InstanceWire {
                current: current.transpose()?,
                deposed,
            },
        );
    }
    let mut outputs = BTreeMap::new();
    for (name, value) in &state.outputs {
        outputs.insert(
            name.clone(),
            ValueWire::encode(value, seal, &format!("output.{name}"))?,
        );
    }
    let mut providers = BTreeMap::new();
    for (address, value) in &state.providers {
        let address = address.to_string();
        let value = ValueWire::encode(value, seal, &address)?;
        providers.insert(address, value);
    }
    let mut pending = Vec::new();
    for p in state.pending.values() {
        pending.push(PendingWire {
            begin: BeginWire::encode(&p.begin, seal)?,
            partial: p.partial,
        });
    }
    let pins: Result<_, _> = state
        .pins
        .iter()
        .map(|(key, keys)| PinWire::encode(key, keys, seal))
        .collect();
    Ok(StateWire {
        lineage: state.lineage.to_string(),
        environment: state.environment.clone(),
        serial: state.serial,
        epoch: state.epoch,
        tool_version: state.tool_version.clone(),
        expires: state.expires.clone(),
        salt: encode_salt(&state.salt),
        journal: PositionWire {
            sequence: state.position.sequence,
            digest: hex(&state.position.digest),
        },
        last_operation: state.last_operation.0,
        outputs,
        checks: state
            .checks
            .iter()
            .map(|(name, status)| (name.clone(), status.into()))
            .collect(),
        pins: pins?,
        providers,
        pending,
        instances,
    })
}

/// What a snapshot says of itself, for which no key is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The history it belongs to; sealed parts are bound to it.
    pub lineage: Lineage,
    /// Salt for a key derived from a passphrase.
    pub salt: Salt,
    /// Epoch of the lock under which it was written.
    pub epoch: u64,
    /// Serial of the state.
    pub serial: u64,
    /// How far the journal is folded in.
    pub position: Position,
}

/// The body, and whether its digest holds.
fn split_file(bytes: &[u8]) -> Result<(&str, bool), SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { what };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let rest = text
        .strip_prefix("{\"format\":")
        .ok_or(damaged("it does not start as a state does"))?;
    let (version, rest) = rest
        .split_once(',')
        .ok_or(damaged("it does not start as a state does"))?;
    let version: u64 = version
        .parse()
        .map_err(|_| damaged("it does not start as a state does"))?;
    if version > VERSION {
        return Err(SnapshotError::Newer { version });
    }
    let (wanted, body) = rest
        .strip_prefix("\"digest\":\"")
        .and_then(|rest| rest.split_once("\",\n"))
        .ok_or(damaged("it does not start as a state does"))?;
    Ok((body, hex(digest(&SHA256, body.as_bytes()).as_ref()) == wanted))
}

fn position(wire: &PositionWire) -> Result<Position, WireError> {
    let digest = unhex(&wire.digest).ok_or_else(|| WireError::Field {
        field: "journal.digest",
        message: "not 32 bytes in hex".to_owned(),
    })?;
    Ok(Position {
        sequence: wire.sequence,
        digest,
    })
}

/// A checked snapshot whose sealed parts are still closed.
pub struct Snapshot {
    head: Head,
    wire: StateWire,
}

impl Snapshot {
    /// Checks version and digest of a snapshot and parses it.
    ///
    /// # Errors
    /// The file is damaged, or of a newer format.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (body, holds) = split_file(bytes)?;
        if !holds {
            return Err(SnapshotError::Damaged {
                what: "its digest does not match (it was changed by hand, or cut)",
            });
        }
        Self::parse_body(body)
    }

    /// Parses a snapshot whatever its digest says: for a repair, which says so.
    ///
    /// # Errors
    /// The file is no snapshot, or of a newer format.
    pub fn parse_changed(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Self::parse_body(split_file(bytes)?.0)
    }

    fn parse_body(body: &str) -> Result<Self, SnapshotError> {
        let wire: StateWire = serde_json::from_str(&format!("{{{body}"))?;
        let head = Head {
            lineage: Lineage::from(wire.lineage.as_str()),
            salt: decode_salt(&wire.salt)?,
            epoch: wire.epoch,
            serial: wire.serial,
            position: position(&wire.journal)?,
        };
        Ok(Self { head, wire })
    }

    /// What it says of itself.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Opens the sealed parts and checks what it says.
    ///
    /// # Errors
    /// A sealed part does not open, or the content is not a state.
    pub fn open(self, seal: &dyn Seal) -> Result<State, SnapshotError> {
        let Self { head, wire } = self;
        let mut state = State::new(head.lineage, &wire.environment, head.salt);
        state.serial = head.serial;
        state.epoch = head.epoch;
        state.position = head.position;
        state.tool_version = wire.tool_version;
        state.expires = wire.expires;
        state.last_operation = OperationId(wire.last_operation);
        for (address, instance) in wire.instances {
            let current = instance
                .current
                .map(|o| o.decode(seal, &object_place(&address, None)));
            let mut deposed = BTreeMap::new();
            for (key, object) in instance.deposed {
                let place = object_place(&address, Some(&key));
                deposed.insert(DeposedKey::from(key), object.decode(seal, &place)?);
            }
            let instance = Instance {
                current: current.transpose()?,
                deposed,
            };
            state.instances.insert(parse("instances", &address)?, instance);
        }
        for (name, value) in wire.outputs {
            let value = value.decode(seal, &format!("output.{name}"))?;
            state.outputs.insert(name, value);
        }
        for (address, value) in wire.providers {
            state
                .providers
                .insert(parse("providers", &address)?, value.decode(seal, &address)?);
        }
        for pending in wire.pending {
            let begin = pending.begin.decode(seal)?;
            state.pending.insert(
                begin.operation,
                Pending {
                    begin,
                    partial: pending.partial,
                },
            );
        }
        for pin in wire.pins {
            let (key, keys) = pin.decode(seal)?;
            state.pins.insert(key, keys);
        }
        state.checks = wire
            .checks
            .into_iter()
            .map(|(name, status)| (name, status.into()))
            .collect();
        integrity::check(&state).map_err(|source| SnapshotError::Integrity { source })?;
        Ok(state)
    }
}
