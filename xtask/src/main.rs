//! Developer commands: `cargo xtask try`, `test`, `soak`, `tidy`, `bench`.

mod bench;
mod job;
mod run;
mod sandbox;
mod soak;
mod test;
mod tidy;
mod try_job;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of the `stack` repository.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the main job on the sandbox: apply, plan again, destroy.
    Try(try_job::Options),
    /// Run all tests; this is what continuous integration runs.
    Test(test::Options),
    /// Check crate boundaries, limits and the rules of the house.
    Tidy,
    /// Repeat what finds rare faults: the fuzz targets.
    Soak(soak::Options),
    /// Measure the engine, with Terraform beside it where it is installed.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = run::Workspace::find().and_then(|workspace| match arguments.command {
        Command::Try(options) => try_job::run(&workspace, &options).map(|()| true),
        Command::Test(options) => Ok(test::run(&workspace, &options)),
        Command::Tidy => tidy::run(&workspace).map(|()| true),
        Command::Soak(options) => soak::run(&workspace, &options).map(|()| true),
        Command::Bench(options) => bench::run(&workspace, &options).map(|()| true),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            run::eprintln_line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
