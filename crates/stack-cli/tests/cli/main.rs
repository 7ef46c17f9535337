//! The command line as its user meets it.

mod commands;
mod diagnostics;
mod documents;
mod environment;
mod limits;
mod lock;
mod pending;
mod runs;
mod state;
