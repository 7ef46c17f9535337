//! What `stack` knows of the world: the state, the journal of changes to it, their formats, and the sealing of secrets.
//!
//! A state is a snapshot with the records of the journal folded into it, in order, by one legality table
//! ([`next_status`]). Any prefix of a legal journal gives a state that passes [`integrity::check`], so a process may
//! die between any two records. This crate is pure: bytes in, bytes out; files and locks are the engine's.

mod fold;
pub mod frame;
pub mod integrity;
pub mod key;
pub mod load;
mod record;
pub mod repair;
pub mod seal;
pub mod snapshot;
mod state;
mod wire;

pub use fold::{Event, FoldError, Slot, changes, fold, next_status};
pub use record::{Begin, Header, Outcome, Record, Verb};
pub use state::{
    CheckStatus, DeleteSettings, DeposedKey, Instance, Lineage, Object, OperationId, Pending, PinKey,
    Position, Salt, State, Status, Token,
};
pub use wire::{WireError, decode_record, encode_record};
