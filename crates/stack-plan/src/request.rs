//! Questions to the real systems, and their answers.

use std::collections::BTreeMap;

use stack_core::{Path, ProviderAddress, ResourceAddress, Value};
use stack_state::DeposedKey;

/// A remote fact the planner needs. Equal requests have equal answers within one plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// The object as it is now.
    Read {
        /// Resource instance, which gives the type.
        address: ResourceAddress,
        /// A deposed object; `None` for the current one.
        deposed: Option<DeposedKey>,
        /// The provider configuration to ask through.
        provider: ProviderAddress,
        /// Its arguments.
        arguments: Value,
        /// The object as recorded.
        prior: Value,
    },
    /// A data source.
    Data {
        /// Data source instance.
        address: ResourceAddress,
        /// The provider configuration to ask through.
        provider: ProviderAddress,
        /// Its arguments.
        arguments: Value,
        /// Arguments of the data source.
        config: Value,
    },
    /// What the real system would say to a change.
    Preview {
        /// Resource instance.
        address: ResourceAddress,
        /// The provider configuration to ask through.
        provider: ProviderAddress,
        /// Its arguments.
        arguments: Value,
        /// The object as it is now, if there is one.
        prior: Option<Value>,
        /// The object as planned.
        proposed: Value,
    },
    /// The object of an id, to be adopted.
    Import {
        /// Resource instance it shall belong to.
        address: ResourceAddress,
        /// The provider configuration to ask through.
        provider: ProviderAddress,
        /// Its arguments.
        arguments: Value,
        /// Its id.
        id: String,
    },
}

impl Request {
    /// The resource instance it is about.
    pub fn address(&self) -> &ResourceAddress {
        match self {
            Self::Read { address, .. }
            | Self::Data { address, .. }
            | Self::Preview { address, .. }
            | Self::Import { address, .. } => address,
        }
    }

    /// The provider configuration and its arguments.
    pub fn provider(&self) -> (&ProviderAddress, &Value) {
        match self {
            Self::Read {
                provider, arguments, ..
            }
            | Self::Data {
                provider, arguments, ..
            }
            | Self::Preview {
                provider, arguments, ..
            }
            | Self::Import {
                provider, arguments, ..
            } => (provider, arguments),
        }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The object (read, data source, import); `None`: it is gone.
    Object(Option<Value>),
    /// The answer to a preview.
    Preview {
        /// The planned object as the system would make it; `None`: as proposed.
        planned: Option<Value>,
        /// Warnings, by attribute.
        warnings: Vec<(Path, String)>,
        /// A text to show below the change.
        rendered: Option<String>,
        /// Why it could not be checked.
        not_checked: Option<String>,
    },
    /// It failed: a whole sentence on why, and the attribute that caused it.
    Failed(String, Option<Path>),
}

/// All answers so far.
pub type Answers = BTreeMap<Request, Answer>;
