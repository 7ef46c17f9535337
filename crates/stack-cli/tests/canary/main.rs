//! Known secrets are sent through every command, and everything that the program shows, writes or hands to others is
//! searched for them.
#![expect(clippy::unwrap_used, reason = "a test without its place has failed")]

mod commands;
mod finder;
mod mistakes;
mod place;
mod planted;
mod remote;
mod servers;
