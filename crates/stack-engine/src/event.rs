//! What the engine says while it works. Events are the only road to the user.

use std::time::Duration;

use stack_core::{Diagnostic, ResourceAddress};
use stack_state::{CheckStatus, DeposedKey};

/// What is being done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// A managed object is read.
    Refreshing,
    /// A data source is read.
    Reading,
    /// A change is shown to the real system without making it.
    Previewing,
    /// An object is made.
    Creating,
    /// An object is changed in place.
    Updating,
    /// An object is deleted.
    Deleting,
    /// An object is no longer managed.
    Forgetting,
    /// An existing object is taken over.
    Importing,
    /// An interrupted operation is looked into.
    Recovering,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A round of questions to the real systems starts.
    Asking {
        /// How many objects are read.
        reads: usize,
        /// How many data sources are read.
        data: usize,
        /// How many changes are previewed.
        previews: usize,
    },
    /// An apply starts.
    ApplyStarted {
        /// Number of operations.
        operations: usize,
        /// Time of the longest chain of work, by what is known of each operation.
        estimate: Duration,
    },
    /// Work on an object starts.
    Started {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object.
        deposed: Option<DeposedKey>,
        /// The work.
        doing: Doing,
        /// The object's id, if it has one.
        id: Option<String>,
    },
    /// What a running operation is at; shown, never stored.
    Progress {
        /// The resource instance.
        address: ResourceAddress,
        /// A few words.
        text: String,
    },
    /// A call failed and is made again.
    Retrying {
        /// The resource instance.
        address: ResourceAddress,
        /// Why.
        error: String,
        /// Pause before the next try.
        pause: Duration,
    },
    /// Work on an object is done and recorded.
    Finished {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object.
        deposed: Option<DeposedKey>,
        /// The work.
        doing: Doing,
        /// The object's id, if it has one.
        id: Option<String>,
        /// How long it took.
        elapsed: Duration,
    },
    /// Work on an object failed.
    Failed {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object.
        deposed: Option<DeposedKey>,
        /// The work.
        doing: Doing,
        /// How long it took.
        elapsed: Duration,
        /// Why.
        diagnostic: Box<Diagnostic>,
    },
    /// A running call was abandoned at the user's second signal; the next command finds out what became of it.
    Abandoned {
        /// The resource instance.
        address: ResourceAddress,
        /// A deposed object.
        deposed: Option<DeposedKey>,
        /// The work.
        doing: Doing,
        /// How long it ran.
        elapsed: Duration,
    },
    /// The estimate of the time left in an apply has changed.
    Remaining {
        /// From now to the end; none where nothing honest can be said.
        left: Option<Duration>,
    },
    /// Work is left out because what it needs failed or was interrupted.
    Skipped {
        /// The resource instance.
        address: ResourceAddress,
        /// The resource instance that failed; none after an interrupt.
        because: Option<ResourceAddress>,
    },
    /// An operation that an earlier run began was found, and this became of it.
    Recovered {
        /// The resource instance.
        address: ResourceAddress,
        /// What became of it: `adopted`, `nothing was made`, ...
        outcome: &'static str,
    },
    /// A check was evaluated.
    Check {
        /// Its address.
        address: String,
        /// Its result.
        status: CheckStatus,
    },
    /// A problem that belongs to no operation.
    Diagnostic(Box<Diagnostic>),
    /// The user interrupts; `abandoning` on the second signal.
    Interrupted {
        /// Running calls are abandoned; else they may end.
        abandoning: bool,
    },
}

/// Receives events in the order they happen.
pub trait Events: Send + Sync {
    /// Takes one event. Must not block.
    fn event(&self, event: Event);
}
