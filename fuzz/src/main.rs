//! `stack-fuzz`: campaigns of any length, and one input again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use stack_fuzz::{Budget, TARGETS, Target};

/// Throws changed inputs at everything that reads a text or a file.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try changed inputs.
    Run {
        /// Names of targets; all of them where none is given.
        targets: Vec<String>,
        /// How long, for all of them together.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The same seed tries the same inputs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Try one input again.
    Reproduce {
        /// Name of the target.
        target: String,
        /// File with the input.
        input: PathBuf,
    },
}

fn find(name: &str) -> Result<&'static Target> {
    let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    TARGETS
        .iter()
        .find(|t| t.name == name)
        .with_context(|| format!("there is no target {name}; the targets are {}", names.join(", ")))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Reproduce { target, input } => stack_fuzz::reproduce(find(&target)?, std::fs::read(input)?),
        Command::Run {
            targets,
            seconds,
            seed,
        } => {
            let targets: Vec<&'static Target> = if targets.is_empty() {
                TARGETS.iter().collect()
            } else {
                targets.iter().map(|name| find(name)).collect::<Result<_>>()?
            };
            let share = Duration::from_secs(seconds) / u32::try_from(targets.len())?;
            for target in targets {
                let done = stack_fuzz::campaign(target, seed, Budget::Time(share))?;
                say(&format!(
                    "{:<14} {:>9} inputs in {:>6.1} s, the longest {:.2} s",
                    target.name, done.cases, done.seconds, done.longest
                ));
            }
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "this is where errors go")]
fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
