//! The state: every object that `stack` manages, and what else outlives a command.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stack_core::{ProviderAddress, ResourceAddress, Value};

use crate::record::Begin;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The text as it is stored.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One history of states, from the first apply of an environment to its end: a UUID as text. Objects carry it as
    /// their owner, so it stays what it is for as long as the state exists.
    Lineage
}
text_id! {
    /// Names one creation of one object, made before the remote call and repeated with every retry of it, so that the
    /// remote system makes at most one object.
    Token
}
text_id! {
    /// Tells the deposed objects of one resource instance apart.
    DeposedKey
}

/// One operation of an apply. Fresh within the lineage: see [`State::next_operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Random bytes that make a key derived from a passphrase differ from state to state. Not secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// How far the journal is folded into a state. A plan records it; a state at another position has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Sequence number of the last frame folded, 0 for none. It goes on across epochs.
    pub sequence: u64,
    /// Digest of that frame, zeros for none.
    pub digest: [u8; 32],
}

/// Whether an object can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Complete.
    Ready,
    /// Made in part, or left in a condition that is not known: to be replaced.
    Tainted,
}

/// What the configuration said about deleting an object, kept because the configuration may be gone by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteSettings {
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: bool,
    /// `lifecycle.destroy = false`: the object is forgotten instead of deleted.
    pub keep: bool,
    /// `timeouts.delete`
    pub timeout: Option<Duration>,
}

/// One remote object as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Whether it can be relied on.
    pub status: Status,
    /// Version of the resource type's schema that `attributes` follows.
    pub schema_version: u64,
    /// Arguments and attributes, an object value, wholly known.
    pub attributes: Value,
    /// What the provider keeps for itself.
    pub private: Option<Value>,
    /// The provider configuration it was made through.
    pub provider: ProviderAddress,
    /// Identity arguments of that provider configuration: which remote system it is in. Null if it has none.
    pub identity: Value,
    /// Token of the create call that made it; none where it was imported.
    pub token: Option<Token>,
    /// Resources (without instance key) that must exist while it does.
    pub dependencies: BTreeSet<ResourceAddress>,
    /// A replacement is created before this object is deleted.
    pub create_before_destroy: bool,
    /// What applies when it is deleted.
    pub delete: DeleteSettings,
}

/// The objects of one resource instance: at most one that is meant, and those it has replaced that still exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// The object that the address means.
    pub current: Option<Object>,
    /// Replaced objects that are not deleted yet.
    pub deposed: BTreeMap<DeposedKey, Object>,
}

impl Instance {
    /// No object at all; a state keeps no such instance.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.deposed.is_empty()
    }

    /// The current object (`None`) or a deposed one.
    pub fn object(&self, deposed: Option<&DeposedKey>) -> Option<&Object> {
        match deposed {
            None => self.current.as_ref(),
            Some(key) => self.deposed.get(key),
        }
    }
}

/// An operation begun and not ended: its process died, or it is running now.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// What was begun.
    pub begin: Begin,
    /// A create call has said which object it made, and the object is in the state (tainted until the end).
    pub partial: bool,
}

/// Whether the assertions of a `check` block held when they were last evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// All held.
    Passed,
    /// At least one did not; the messages say which.
    Failed(Vec<String>),
    /// An assertion could not be evaluated; the messages say why.
    Error(Vec<String>),
    /// Not evaluated, because something it needs is not known or failed.
    Unknown,
}

/// Which host a pinned key is of: the object that is the host, in the state that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinKey {
    /// Lineage of the state that made the object.
    pub lineage: Lineage,
    /// Remote id of the object, such as an instance id.
    pub object: Arc<str>,
}

/// Everything that outlives a command, of one environment of one root module.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Raised by every command that changed the state.
    pub serial: u64,
    /// Raised whenever the state is locked; a writer with an older epoch is refused.
    pub epoch: u64,
    /// How far the journal is folded in.
    pub position: Position,
    /// Version of `stack` that wrote last.
    pub tool_version: String,
    /// Name of the environment.
    pub environment: String,
    /// When the environment may be removed (RFC 3339, UTC); informational.
    pub expires: Option<String>,
    /// Salt for a key derived from a passphrase.
    pub salt: Salt,
    /// Highest operation id begun in this lineage.
    pub last_operation: OperationId,
    /// Objects by address. No instance is empty.
    pub instances: BTreeMap<ResourceAddress, Instance>,
    /// Outputs of the root module, with their marks.
    pub outputs: BTreeMap<String, Value>,
    /// Arguments each provider configuration was last used with; no ambient credentials.
    pub providers: BTreeMap<ProviderAddress, Value>,
    /// Results of the checks, by address (`check.NAME`).
    pub checks: BTreeMap<String, CheckStatus>,
    /// Operations begun and not ended.
    pub pending: BTreeMap<OperationId, Pending>,
    /// Public host keys that are accepted, one OpenSSH line each. Sealed, so that only a holder of the key can add one.
    pub pins: BTreeMap<PinKey, Vec<String>>,
}

impl State {
    /// The state of an environment in which nothing has been recorded.
    pub fn new(lineage: Lineage, environment: &str, salt: Salt) -> Self {
        Self {
            lineage,
            serial: 0,
            epoch: 0,
            position: Position::default(),
            tool_version: String::new(),
            environment: environment.to_owned(),
            expires: None,
            salt,
            last_operation: OperationId(0),
            instances: BTreeMap::new(),
            outputs: BTreeMap::new(),
            providers: BTreeMap::new(),
            checks: BTreeMap::new(),
            pending: BTreeMap::new(),
            pins: BTreeMap::new(),
        }
    }

    /// The current object at an address.
    pub fn current(&self, address: &ResourceAddress) -> Option<&Object> {
        self.instances.get(address)?.current.as_ref()
    }

    /// The current (`None`) or a deposed object at an address.
    pub fn object(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> Option<&Object> {
        self.instances.get(address)?.object(deposed)
    }

    /// Every object with its address and, if it is deposed, its key.
    pub fn objects(&self) -> impl Iterator<Item = (&ResourceAddress, Option<&DeposedKey>, &Object)> {
        self.instances.iter().flat_map(|(address, instance)| {
            let current = instance.current.iter().map(|o| (None, o));
            let deposed = instance.deposed.iter().map(|(k, o)| (Some(k), o));
            current
                .chain(deposed)
                .map(move |(key, object)| (address, key, object))
        })
    }

    /// An operation id that was never used in this lineage.
    pub fn next_operation(&self) -> OperationId {
        OperationId(self.last_operation.0 + 1)
    }

    /// Whether nothing is managed, nothing is pending and no output is kept.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.pending.is_empty() && self.outputs.is_empty()
    }
}
