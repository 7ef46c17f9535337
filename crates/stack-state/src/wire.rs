//! Format 1 of what is stored: the forms that records and snapshots are made of.
//!
//! Unknown fields are refused: a field that is added raises the format's version, so that an older `stack` refuses the
//! file instead of losing the field.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stack_core::codec::{self, CodecError, Encoded, Seal, SealError};
use stack_core::{ResourceAddress, Value};

use crate::record::{Begin, Verb};
use crate::state::{
    CheckStatus, DeleteSettings, DeposedKey, Object, OperationId, PinKey, Salt, Status, Token,
};

mod record;

pub use record::{decode_record, encode_record};

/// Something that cannot be stored, or stored text that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The text is not of this format.
    #[error("malformed (line {line}, column {column})")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A field does not hold what it should.
    #[error("{field}: {message}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A value cannot be written or read.
    #[error("{place}")]
    Value {
        /// Where it stands.
        place: String,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// Host keys cannot be sealed or opened.
    #[error("{place}")]
    Seal {
        /// Where they stand.
        place: String,
        /// Why.
        #[source]
        source: SealError,
    },
}

impl WireError {
    /// The sealing error underneath, if that is the cause.
    pub fn seal_error(&self) -> Option<&SealError> {
        match self {
            Self::Value {
                source: CodecError::Seal { source, .. },
                ..
            }
            | Self::Seal { source, .. } => Some(source),
            Self::Value { .. } | Self::Json { .. } | Self::Field { .. } => None,
        }
    }
}

/// The library's own message quotes the text; only the place is passed on.
impl From<serde_json::Error> for WireError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json {
            line: error.line(),
            column: error.column(),
        }
    }
}

pub(crate) fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, WireError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| WireError::Field {
        field,
        message: e.to_string(),
    })
}

/// A value with its type.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValueWire {
    #[serde(rename = "type")]
    ty: Box<RawValue>,
    value: Box<RawValue>,
}

impl ValueWire {
    pub(crate) fn encode(value: &Value, seal: &dyn Seal, place: &str) -> Result<Self, WireError> {
        let Encoded { ty, json } = codec::write(value, seal, place).map_err(|source| WireError::Value {
            place: place.to_owned(),
            source,
        })?;
        Ok(Self {
            ty: RawValue::from_string(ty)?,
            value: RawValue::from_string(json)?,
        })
    }

    pub(crate) fn decode(&self, seal: &dyn Seal, place: &str) -> Result<Value, WireError> {
        codec::type_from_json(self.ty.get())
            .and_then(|ty| codec::read(self.value.get(), &ty, seal, place))
            .map_err(|source| WireError::Value {
                place: place.to_owned(),
                source,
            })
    }
}

/// `None` for the plain null, which most objects have here.
fn encode_some(value: &Value, seal: &dyn Seal, place: &str) -> Result<Option<ValueWire>, WireError> {
    if *value == Value::NULL {
        Ok(None)
    } else {
        ValueWire::encode(value, seal, place).map(Some)
    }
}

fn decode_some(wire: Option<&ValueWire>, seal: &dyn Seal, place: &str) -> Result<Value, WireError> {
    wire.map_or(Ok(Value::NULL), |w| w.decode(seal, place))
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusWire {
    Ready,
    Tainted,
}

impl From<Status> for StatusWire {
    fn from(status: Status) -> Self {
        match status {
            Status::Ready => Self::Ready,
            Status::Tainted => Self::Tainted,
        }
    }
}

impl From<StatusWire> for Status {
    fn from(status: StatusWire) -> Self {
        match status {
            StatusWire::Ready => Self::Ready,
            StatusWire::Tainted => Self::Tainted,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerbWire {
    Create,
    Update,
    Delete,
}

impl From<Verb> for VerbWire {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Create => Self::Create,
            Verb::Update => Self::Update,
            Verb::Delete => Self::Delete,
        }
    }
}

impl From<VerbWire> for Verb {
    fn from(verb: VerbWire) -> Self {
        match verb {
            VerbWire::Create => Self::Create,
            VerbWire::Update => Self::Update,
            VerbWire::Delete => Self::Delete,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteWire {
    #[serde(default, skip_serializing_if = "is_false")]
    prevent_destroy: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    keep: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

fn encode_delete(settings: &DeleteSettings) -> Option<DeleteWire> {
    (*settings != DeleteSettings::default()).then(|| DeleteWire {
        prevent_destroy: settings.prevent_destroy,
        keep: settings.keep,
        timeout_ms: settings
            .timeout
            .map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
    })
}

fn decode_delete(wire: Option<&DeleteWire>) -> DeleteSettings {
    wire.map_or_else(DeleteSettings::default, |w| DeleteSettings {
        prevent_destroy: w.prevent_destroy,
        keep: w.keep,
        timeout: w.timeout_ms.map(Duration::from_millis),
    })
}

fn encode_addresses(addresses: &BTreeSet<ResourceAddress>) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn decode_addresses(texts: &[String]) -> Result<BTreeSet<ResourceAddress>, WireError> {
    texts.iter().map(|t| parse("dependencies", t)).collect()
}

/// An object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectWire {
    status: StatusWire,
    schema_version: u64,
    provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<ValueWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    create_before_destroy: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<DeleteWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<ValueWire>,
    attributes: ValueWire,
}

impl ObjectWire {
    /// `place` names the object; sealed values are bound to it.
    pub(crate) fn encode(object: &Object, seal: &dyn Seal, place: &str) -> Result<Self, WireError> {
        let private = object
            .private
            .as_ref()
            .map(|v| ValueWire::encode(v, seal, &format!("{place} private")));
        Ok(Self {
            status: object.status.into(),
            schema_version: object.schema_version,
            provider: object.provider.to_string(),
            identity: encode_some(&object.identity, seal, &format!("{place} identity"))?,
            token: object.token.as_ref().map(ToString::to_string),
            dependencies: encode_addresses(&object.dependencies),
            create_before_destroy: object.create_before_destroy,
            delete: encode_delete(&object.delete),
            private: private.transpose()?,
            attributes: ValueWire::encode(&object.attributes, seal, place)?,
        })
    }

    pub(crate) fn decode(&self, seal: &dyn Seal, place: &str) -> Result<Object, WireError> {
        let private = self
            .private
            .as_ref()
            .map(|w| w.decode(seal, &format!("{place} private")));
        Ok(Object {
            status: self.status.into(),
            schema_version: self.schema_version,
            attributes: self.attributes.decode(seal, place)?,
            private: private.transpose()?,
            provider: parse("provider", &self.provider)?,
            identity: decode_some(self.identity.as_ref(), seal, &format!("{place} identity"))?,
            token: self.token.as_deref().map(Token::from),
            dependencies: decode_addresses(&self.dependencies)?,
            create_before_destroy: self.create_before_destroy,
            delete: decode_delete(self.delete.as_ref()),
        })
    }
}

/// The begin of an operation.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginWire {
    operation: u64,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposed: Option<String>,
    action: VerbWire,
    token: String,
    provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<ValueWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    natural_key: Option<ValueWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned: Option<ValueWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
    schema_version: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    create_before_destroy: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<DeleteWire>,
}

impl BeginWire {
    pub(crate) fn encode(begin: &Begin, seal: &dyn Seal) -> Result<Self, WireError> {
        let place = operation_place(begin.operation);
        let key = begin
            .natural_key
            .as_ref()
            .map(|v| ValueWire::encode(v, seal, &format!("{place} key")));
        Ok(Self {
            operation: begin.operation.0,
            address: begin.address.to_string(),
            deposed: begin.deposed.as_ref().map(ToString::to_string),
            action: begin.action.into(),
            token: begin.token.to_string(),
            provider: begin.provider.to_string(),
            identity: encode_some(&begin.identity, seal, &format!("{place} identity"))?,
            natural_key: key.transpose()?,
            planned: encode_some(&begin.planned, seal, &format!("{place} planned"))?,
            dependencies: encode_addresses(&begin.dependencies),
            schema_version: begin.schema_version,
            create_before_destroy: begin.create_before_destroy,
            delete: encode_delete(&begin.delete),
        })
    }

    pub(crate) fn decode(&self, seal: &dyn Seal) -> Result<Begin, WireError> {
        let operation = OperationId(self.operation);
        let place = operation_place(operation);
        let key = self
            .natural_key
            .as_ref()
            .map(|w| w.decode(seal, &format!("{place} key")));
        Ok(Begin {
            operation,
            address: parse("address", &self.address)?,
            deposed: self.deposed.as_deref().map(DeposedKey::from),
            action: self.action.into(),
            token: Token::from(self.token.as_str()),
            provider: parse("provider", &self.provider)?,
            identity: decode_some(self.identity.as_ref(), seal, &format!("{place} identity"))?,
            natural_key: key.transpose()?,
            planned: decode_some(self.planned.as_ref(), seal, &format!("{place} planned"))?,
            dependencies: decode_addresses(&self.dependencies)?,
            schema_version: self.schema_version,
            create_before_destroy: self.create_before_destroy,
            delete: decode_delete(self.delete.as_ref()),
        })
    }
}

/// Place of what belongs to an operation.
pub(crate) fn operation_place(operation: OperationId) -> String {
    format!("operation {operation}")
}

/// Place of an object's attributes.
pub(crate) fn object_place(address: &str, deposed: Option<&str>) -> String {
    match deposed {
        None => address.to_owned(),
        Some(key) => format!("{address} (deposed {key})"),
    }
}

/// Result of a check.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckWire {
    Passed,
    Failed(Vec<String>),
    Error(Vec<String>),
    Unknown,
}

impl From<&CheckStatus> for CheckWire {
    fn from(status: &CheckStatus) -> Self {
        match status {
            CheckStatus::Passed => Self::Passed,
            CheckStatus::Failed(messages) => Self::Failed(messages.clone()),
            CheckStatus::Error(messages) => Self::Error(messages.clone()),
            CheckStatus::Unknown => Self::Unknown,
        }
    }
}

impl From<CheckWire> for CheckStatus {
    fn from(wire: CheckWire) -> Self {
        match wire {
            CheckWire::Passed => Self::Passed,
            CheckWire::Failed(messages) => Self::Failed(messages),
            CheckWire::Error(messages) => Self::Error(messages),
            CheckWire::Unknown => Self::Unknown,
        }
    }
}

/// Pinned host keys; the keys are sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinWire {
    lineage: String,
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

impl PinWire {
    fn place(lineage: &str, object: &str) -> String {
        format!("host keys of {object} ({lineage})")
    }

    pub(crate) fn encode(key: &PinKey, keys: &[String], seal: &dyn Seal) -> Result<Self, WireError> {
        let (lineage, object) = (key.lineage.to_string(), key.object.to_string());
        let place = Self::place(&lineage, &object);
        let sealed = if keys.is_empty() {
            None
        } else {
            let text = serde_json::to_string(keys)?;
            Some(
                seal.seal(&text, &place)
                    .map_err(|source| WireError::Seal { place, source })?,
            )
        };
        Ok(Self {
            lineage,
            object,
            sealed,
        })
    }

    pub(crate) fn decode(self, seal: &dyn Seal) -> Result<(PinKey, Vec<String>), WireError> {
        let place = Self::place(&self.lineage, &self.object);
        let keys: Option<Vec<String>> = match &self.sealed {
            None => None,
            Some(sealed) => {
                let text = seal
                    .open(sealed, &place)
                    .map_err(|source| WireError::Seal { place, source })?;
                serde_json::from_str(&text)?
            }
        };
        let key = PinKey {
            lineage: self.lineage.into(),
            object: self.object.into(),
        };
        Ok((key, keys.unwrap_or_default()))
    }
}

pub(crate) fn encode_salt(salt: &Salt) -> String {
    STANDARD.encode(salt.0)
}

pub(crate) fn decode_salt(text: &str) -> Result<Salt, WireError> {
    let bytes = STANDARD.decode(text).ok().and_then(|b| b.try_into().ok());
    bytes.map(Salt).ok_or_else(|| WireError::Field {
        field: "salt",
        message: "not 16 bytes in base64".to_owned(),
    })
}
