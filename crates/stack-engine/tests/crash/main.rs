//! Kills an apply, really, at every write of its journal and at every stage of every remote call, and lets every call
//! fail in every way; requires that afterwards nothing is lost, doubled or orphaned.
//!
//! The program has three roles: the test; the process that applies, with a state in a folder; and the cloud, which
//! outlives it. It runs itself again for the last two.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "numbers of points are shown, and a process says why it failed"
)]

mod apply;
mod cases;
mod faults;
mod gate;
mod kills;
mod lab;
mod scenarios;
mod texts;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Says what the program is to be.
const ROLE: &str = "STACK_CRASH_ROLE";

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1).unwrap_or_default();
    match std::env::var(ROLE).as_deref() {
        Ok("cloud") => {
            stack_testkit::cloud::serve_until_stdin_ends(Path::new(&argument)).unwrap();
            return ExitCode::SUCCESS;
        }
        Ok(role) => return apply::run(Path::new(&argument), apply::Role::of(role)),
        Err(_) => {}
    }
    let mut arguments = Arguments::from_args();
    // Each trial keeps the machine busy by itself.
    arguments.test_threads = Some(1);
    let trial = |(name, test): (&'static str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = kills::TRIALS.iter().chain(faults::TRIALS).chain(cases::TRIALS);
    libtest_mimic::run(&arguments, trials.copied().map(trial).collect()).exit_code()
}
