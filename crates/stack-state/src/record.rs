//! Records of the journal: everything that can happen to a state.

use std::collections::BTreeSet;

use stack_core::{ProviderAddress, ResourceAddress, Value};

use crate::state::{
    CheckStatus, DeleteSettings, DeposedKey, Lineage, Object, OperationId, PinKey, Salt, Token,
};

/// A remote verb that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Makes an object.
    Create,
    /// Changes an object in place.
    Update,
    /// Ends an object.
    Delete,
}

/// The intent to make a remote call, durable before the call is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The operation; `Partial` and `End` name it.
    pub operation: OperationId,
    /// The resource instance.
    pub address: ResourceAddress,
    /// The deposed object it is about; `None` for the current one.
    pub deposed: Option<DeposedKey>,
    /// What is called.
    pub action: Verb,
    /// Token of the call, repeated with every retry.
    pub token: Token,
    /// The provider configuration it goes through.
    pub provider: ProviderAddress,
    /// Identity arguments of that provider configuration, Null if it has none.
    pub identity: Value,
    /// For objects that carry no tags: what they are found by. Its presence says that nothing was there under this key
    /// when the operation began, so that recovery may adopt what is there now.
    pub natural_key: Option<Value>,
    /// Arguments as they were known when the operation began; Null for a delete.
    pub planned: Value,
    /// Resources (without instance key) that must exist while the object does.
    pub dependencies: BTreeSet<ResourceAddress>,
    /// Version of the resource type's schema.
    pub schema_version: u64,
    /// A replacement is created before this object is deleted.
    pub create_before_destroy: bool,
    /// What applies when the object is deleted.
    pub delete: DeleteSettings,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The object exists as it was meant.
    Written(Object),
    /// The object does not exist any more (or a half-made one was cleaned up).
    Removed,
    /// Nothing was made or changed: what the state said before still holds.
    Failed,
    /// The object exists and cannot be relied on.
    Tainted(Object),
}

/// The first record of every journal file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The history the journal belongs to.
    pub lineage: Lineage,
    /// Name of the environment.
    pub environment: String,
    /// Epoch of the lock it was written under.
    pub epoch: u64,
    /// Serial of the state once the journal is folded in.
    pub serial: u64,
    /// Version of `stack` that writes it.
    pub tool_version: String,
    /// When the environment may be removed (RFC 3339, UTC).
    pub expires: Option<String>,
    /// Salt for a key derived from a passphrase.
    pub salt: Salt,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A journal file starts. Written by the store.
    Header(Header),
    /// A remote call is about to be made.
    Begin(Begin),
    /// The identity of the object is known while the call still runs.
    Partial {
        /// The operation.
        operation: OperationId,
        /// The object as far as it is known; kept as tainted until a create ends.
        object: Object,
    },
    /// The remote call is over.
    End {
        /// The operation.
        operation: OperationId,
        /// How it ended.
        outcome: Outcome,
    },
    /// An object without remote effect was made, or a read found this.
    Write {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object; `None` for the current one.
        deposed: Option<DeposedKey>,
        /// The object.
        object: Object,
    },
    /// An object without remote effect ended, or a read found it gone.
    Remove {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object; `None` for the current one.
        deposed: Option<DeposedKey>,
    },
    /// An object is no longer managed; it may go on to exist.
    Forget {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object; `None` for the current one.
        deposed: Option<DeposedKey>,
    },
    /// The current object makes room for its replacement.
    Depose {
        /// The resource instance.
        address: ResourceAddress,
        /// Key under which it is kept until it is deleted.
        key: DeposedKey,
    },
    /// A deposed object becomes current again, because its replacement could not be made.
    Restore {
        /// The resource instance.
        address: ResourceAddress,
        /// The deposed object.
        key: DeposedKey,
    },
    /// An instance, with all its objects, has another address.
    Move {
        /// Old address.
        from: ResourceAddress,
        /// New address, at which there is nothing.
        to: ResourceAddress,
    },
    /// An output of the root module; `None` removes it.
    Output {
        /// Its name.
        name: String,
        /// Its value, wholly known.
        value: Option<Value>,
    },
    /// Arguments a provider configuration is used with; `None` removes them.
    Provider {
        /// The provider configuration.
        address: ProviderAddress,
        /// Its arguments, without ambient credentials.
        arguments: Option<Value>,
    },
    /// Result of a check; `None` removes it.
    Check {
        /// Its address, `check.NAME`.
        name: String,
        /// The result.
        status: Option<CheckStatus>,
    },
    /// Accepted host keys of one object; empty removes them.
    Pin {
        /// The host.
        key: PinKey,
        /// Public keys, one OpenSSH line each.
        keys: Vec<String>,
    },
}

impl Record {
    /// The word that stands for its kind in files and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Begin(_) => "begin",
            Self::Partial { .. } => "partial",
            Self::End { .. } => "end",
            Self::Write { .. } => "write",
            Self::Remove { .. } => "remove",
            Self::Forget { .. } => "forget",
            Self::Depose { .. } => "depose",
            Self::Restore { .. } => "restore",
            Self::Move { .. } => "move",
            Self::Output { .. } => "output",
            Self::Provider { .. } => "provider",
            Self::Check { .. } => "check",
            Self::Pin { .. } => "pin",
        }
    }
}
