//! The command line as its user meets it.

mod commands;
mod environment;
mod runs;
