//! What a plan does to one object, and why.

use stack_core::{Path, ProviderAddress, ResourceAddress, Value};
use stack_state::DeposedKey;

/// What happens to a resource instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// A data source is read during the apply.
    Read,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted, then made anew.
    DeleteThenCreate,
    /// Another one is made, then it is deleted.
    CreateThenDelete,
    /// It is deleted.
    Delete,
    /// It is no longer managed and goes on to exist.
    Forget,
    /// The old object ends with the system it lives in, so it is only forgotten; then it is made anew.
    ForgetThenCreate,
}

impl Action {
    /// Whether nothing happens.
    pub fn is_no_op(self) -> bool {
        self == Self::NoOp
    }

    /// Whether a new object takes the place of the old one.
    pub fn is_replace(self) -> bool {
        matches!(
            self,
            Self::DeleteThenCreate | Self::CreateThenDelete | Self::ForgetThenCreate
        )
    }

    /// Whether the object as it is now ends.
    pub fn ends_object(self) -> bool {
        matches!(
            self,
            Self::DeleteThenCreate | Self::CreateThenDelete | Self::Delete
        )
    }
}

/// Why a change is what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// An argument changed that cannot be changed in place.
    CannotUpdate,
    /// The object is tainted.
    Tainted,
    /// `--replace` asked for it.
    Requested,
    /// `replace_triggered_by`
    Triggered,
    /// What it lives in is replaced or gone.
    ContainerEnds,
    /// The block is gone from the configuration.
    NoResource,
    /// The module is gone from the configuration.
    NoModule,
    /// `count` is now less than its index.
    CountIndex,
    /// `for_each` has no such key any more.
    EachKey,
    /// `count` or `for_each` was added or removed.
    WrongRepetition,
    /// A replaced object is left from an earlier run.
    Deposed,
    /// A `removed` block says so.
    Removed,
    /// `destroy = false`, in its block or when it was last configured, keeps it.
    Kept,
    /// The data source's arguments are known only after apply.
    ConfigUnknown,
    /// The data source depends on changes of this plan.
    DependencyPending,
    /// The object was removed by somebody else.
    Gone,
}

/// What happens to one resource instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The resource instance.
    pub address: ResourceAddress,
    /// Its address so far, where that was another.
    pub previous_address: Option<ResourceAddress>,
    /// A deposed object; `None` for the current one.
    pub deposed: Option<DeposedKey>,
    /// What happens.
    pub action: Action,
    /// Why, where the values do not tell.
    pub reason: Option<Reason>,
    /// The object as it is now; `None` where there is none.
    pub before: Option<Value>,
    /// The object as planned; `None` where it ends.
    pub after: Option<Value>,
    /// Attributes whose change replaces the object.
    pub replace_paths: Vec<Path>,
    /// The provider configuration in use.
    pub provider: ProviderAddress,
    /// Id of the existing object that is adopted.
    pub importing: Option<String>,
    /// A text from the real system to show below the change.
    pub rendered: Option<String>,
    /// Why the real system could not be asked.
    pub not_checked: Option<String>,
    /// Arguments of a deferred data source, or of a create: what the configuration says, as far as known.
    pub config: Option<Value>,
}

impl Change {
    /// A change that says nothing yet.
    pub(crate) fn new(address: &ResourceAddress, provider: ProviderAddress, action: Action) -> Self {
        Self {
            address: address.clone(),
            previous_address: None,
            deposed: None,
            action,
            reason: None,
            before: None,
            after: None,
            replace_paths: Vec::new(),
            provider,
            importing: None,
            rendered: None,
            not_checked: None,
            config: None,
        }
    }
}

/// What happens to an output of the root module.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputChange {
    /// The value so far; `None` where there is none.
    pub before: Option<Value>,
    /// The value as planned; `None` where it is removed.
    pub after: Option<Value>,
}

impl OutputChange {
    /// Whether the value or its sensitivity changes.
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }
}
