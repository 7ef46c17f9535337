//! `cargo xtask soak`: repetitions that take as long as one lets them.

use anyhow::Result;
use clap::Args;

use crate::run::{Workspace, must};

/// Options of `soak`.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds for the fuzz targets together.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The same seed tries the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs every fuzz target in a build that is optimised and checks arithmetic.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let (seconds, seed) = (options.seconds.to_string(), options.seed.to_string());
    let program = ["run", "--release", "--package", "stack-fuzz", "--"];
    let arguments = ["run", "--seconds", &seconds, "--seed", &seed];
    must(&mut workspace.cargo(&[&program[..], &arguments].concat()))
}
