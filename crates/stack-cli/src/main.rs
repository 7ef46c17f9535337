//! The command line `stack`.

mod arguments;
mod commands;
mod disk;
mod document;
mod error;
mod exit;
mod registry;
mod run;
mod ui;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::commands::Cli;
use crate::exit::Exit;
use crate::ui::Ui;

/// Stack of the thread that works: values and expressions nest, and walking them recurses.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let parsed = Cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // A reader who has gone away is no error.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    if let Some(exit) = cli.quick() {
        return exit.into();
    }
    let work = std::thread::Builder::new()
        .name("command".to_owned())
        .stack_size(STACK)
        .spawn(move || work(&cli));
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(exit)) => exit.into(),
        // The panic has been printed where it happened.
        Ok(Err(_)) | Err(_) => Exit::Error.into(),
    }
}

/// Runs the command and shows what stopped it.
fn work(cli: &Cli) -> Exit {
    let ui = Ui::new(cli.is_json(), cli.no_color).with_diagnostics(cli.diagnostics);
    match cli.run(&ui) {
        Ok(exit) => exit,
        Err(error) => {
            ui.diagnostics(&error.diagnostics, &error.sources);
            error.exit
        }
    }
}
