//! Records as JSON, one line each.

use serde::{Deserialize, Serialize};
use stack_core::codec::Seal;

use super::{
    BeginWire, CheckWire, ObjectWire, PinWire, ValueWire, WireError, decode_salt, encode_salt, object_place,
    operation_place, parse,
};
use crate::record::{Header, Outcome, Record};
use crate::state::{CheckStatus, DeposedKey, Lineage, OperationId};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderWire {
    lineage: String,
    environment: String,
    epoch: u64,
    serial: u64,
    tool_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeWire {
    Written(ObjectWire),
    Removed,
    Failed,
    Tainted(ObjectWire),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceWire {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposed: Option<String>,
}

impl PlaceWire {
    fn new(address: &stack_core::ResourceAddress, deposed: Option<&DeposedKey>) -> Self {
        Self {
            address: address.to_string(),
            deposed: deposed.map(ToString::to_string),
        }
    }

    fn deposed(&self) -> Option<DeposedKey> {
        self.deposed.as_deref().map(DeposedKey::from)
    }

    fn text(&self) -> String {
        object_place(&self.address, self.deposed.as_deref())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RecordWire {
    Header(HeaderWire),
    Begin(BeginWire),
    Partial {
        operation: u64,
        object: ObjectWire,
    },
    End {
        operation: u64,
        outcome: OutcomeWire,
    },
    Write {
        place: PlaceWire,
        object: ObjectWire,
    },
    Remove(PlaceWire),
    Forget(PlaceWire),
    Depose {
        address: String,
        key: String,
    },
    Restore {
        address: String,
        key: String,
    },
    Move {
        from: String,
        to: String,
    },
    Output {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<ValueWire>,
    },
    Provider {
        address: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<ValueWire>,
    },
    Check {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<CheckWire>,
    },
    Pin(PinWire),
}

/// Appends a record and a line feed to a payload.
///
/// # Errors
/// A value is ephemeral or nests too deep, or something sensitive cannot be sealed; the payload is then unchanged.
pub fn encode_record(payload: &mut Vec<u8>, record: &Record, seal: &dyn Seal) -> Result<(), WireError> {
    let wire = to_wire(record, seal)?;
    let length = payload.len();
    if let Err(error) = serde_json::to_writer(&mut *payload, &wire) {
        payload.truncate(length);
        return Err(error.into());
    }
    payload.push(b'\n');
    Ok(())
}

fn to_wire(record: &Record, seal: &dyn Seal) -> Result<RecordWire, WireError> {
    Ok(match record {
        Record::Header(h) => RecordWire::Header(HeaderWire {
            lineage: h.lineage.to_string(),
            environment: h.environment.clone(),
            epoch: h.epoch,
            serial: h.serial,
            tool_version: h.tool_version.clone(),
            expires: h.expires.clone(),
            salt: encode_salt(&h.salt),
        }),
        Record::Begin(begin) => RecordWire::Begin(BeginWire::encode(begin, seal)?),
        Record::Partial { operation, object } => RecordWire::Partial {
            operation: operation.0,
            object: ObjectWire::encode(object, seal, &operation_place(*operation))?,
        },
        Record::End { operation, outcome } => {
            let object = |o| ObjectWire::encode(o, seal, &operation_place(*operation));
            let outcome = match outcome {
                Outcome::Written(o) => OutcomeWire::Written(object(o)?),
                Outcome::Removed => OutcomeWire::Removed,
                Outcome::Failed => OutcomeWire::Failed,
                Outcome::Tainted(o) => OutcomeWire::Tainted(object(o)?),
            };
            RecordWire::End {
                operation: operation.0,
                outcome,
            }
        }
        Record::Write {
            address,
            deposed,
            object,
        } => {
            let place = PlaceWire::new(address, deposed.as_ref());
            let object = ObjectWire::encode(object, seal, &place.text())?;
            RecordWire::Write { place, object }
        }
        Record::Remove { address, deposed } => RecordWire::Remove(PlaceWire::new(address, deposed.as_ref())),
        Record::Forget { address, deposed } => RecordWire::Forget(PlaceWire::new(address, deposed.as_ref())),
        Record::Depose { address, key } => RecordWire::Depose {
            address: address.to_string(),
            key: key.to_string(),
        },
        Record::Restore { address, key } => RecordWire::Restore {
            address: address.to_string(),
            key: key.to_string(),
        },
        Record::Move { from, to } => RecordWire::Move {
            from: from.to_string(),
            to: to.to_string(),
        },
        Record::Output { name, value } => {
            let place = format!("output.{name}");
            let value = value
                .as_ref()
                .map(|v| ValueWire::encode(v, seal, &place))
                .transpose()?;
            RecordWire::Output {
                name: name.clone(),
                value,
            }
        }
        Record::Provider { address, arguments } => {
            let address = address.to_string();
            let arguments = arguments
                .as_ref()
                .map(|v| ValueWire::encode(v, seal, &address))
                .transpose()?;
            RecordWire::Provider { address, arguments }
        }
        Record::Check { name, status } => RecordWire::Check {
            name: name.clone(),
            status: status.as_ref().map(CheckWire::from),
        },
        Record::Pin { key, keys } => RecordWire::Pin(PinWire::encode(key, keys, seal)?),
    })
}

/// Reads one line of a payload.
///
/// # Errors
/// The line is no record of this format, or a sealed part does not open.
pub fn decode_record(line: &[u8], seal: &dyn Seal) -> Result<Record, WireError> {
    Ok(match serde_json::from_slice::<RecordWire>(line)? {
        RecordWire::Header(h) => Record::Header(Header {
            lineage: Lineage::from(h.lineage),
            environment: h.environment,
            epoch: h.epoch,
            serial: h.serial,
            tool_version: h.tool_version,
            expires: h.expires,
            salt: decode_salt(&h.salt)?,
        }),
        RecordWire::Begin(begin) => Record::Begin(begin.decode(seal)?),
        RecordWire::Partial { operation, object } => {
            let operation = OperationId(operation);
            Record::Partial {
                operation,
                object: object.decode(seal, &operation_place(operation))?,
            }
        }
        RecordWire::End { operation, outcome } => {
            let operation = OperationId(operation);
            let object = |o: ObjectWire| o.decode(seal, &operation_place(operation));
            let outcome = match outcome {
                OutcomeWire::Written(o) => Outcome::Written(object(o)?),
                OutcomeWire::Removed => Outcome::Removed,
                OutcomeWire::Failed => Outcome::Failed,
                OutcomeWire::Tainted(o) => Outcome::Tainted(object(o)?),
            };
            Record::End { operation, outcome }
        }
        RecordWire::Write { place, object } => Record::Write {
            address: parse("address", &place.address)?,
            deposed: place.deposed(),
            object: object.decode(seal, &place.text())?,
        },
        RecordWire::Remove(place) => Record::Remove {
            address: parse("address", &place.address)?,
            deposed: place.deposed(),
        },
        RecordWire::Forget(place) => Record::Forget {
            address: parse("address", &place.address)?,
            deposed: place.deposed(),
        },
        RecordWire::Depose { address, key } => Record::Depose {
            address: parse("address", &address)?,
            key: DeposedKey::from(key),
        },
        RecordWire::Restore { address, key } => Record::Restore {
            address: parse("address", &address)?,
            key: DeposedKey::from(key),
        },
        RecordWire::Move { from, to } => Record::Move {
            from: parse("from", &from)?,
            to: parse("to", &to)?,
        },
        RecordWire::Output { name, value } => {
            let place = format!("output.{name}");
            let value = value.map(|v| v.decode(seal, &place)).transpose()?;
            Record::Output { name, value }
        }
        RecordWire::Provider { address, arguments } => Record::Provider {
            arguments: arguments.map(|v| v.decode(seal, &address)).transpose()?,
            address: parse("address", &address)?,
        },
        RecordWire::Check { name, status } => Record::Check {
            name,
            status: status.map(CheckStatus::from),
        },
        RecordWire::Pin(pin) => {
            let (key, keys) = pin.decode(seal)?;
            Record::Pin { key, keys }
        }
    })
}
