//! Commands, one file each.

mod apply;
mod console;
mod destroy;
mod force_unlock;
mod history;
mod output;
mod plan;
mod show;
mod state;
mod validate;
mod version;

use clap::{Parser, Subcommand};

use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::{DiagnosticForm, Ui};

/// Infrastructure from configuration: shows what would change, then changes it, in order, and records it.
#[derive(Debug, Parser)]
#[command(
    name = "stack",
    version,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done; 1 error, nothing recorded; 2 changes (plan --detailed-exitcode); 3 failed after something \
                  was recorded; 4 applied, but a check failed; 5 state locked by another; 64 usage; 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// No colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Errors and warnings: full, or short, one line each
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        env = "STACK_DIAGNOSTICS",
        default_value = "full",
        hide_env_values = true,
        hide_possible_values = true
    )]
    pub(crate) diagnostics: DiagnosticForm,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what an apply would change
    Plan(plan::Arguments),
    /// Make the real objects as configured
    Apply(apply::Arguments),
    /// Remove every object
    Destroy(destroy::Arguments),
    /// Check a configuration
    Validate(validate::Arguments),
    /// Show the state or a saved plan
    Show(show::Arguments),
    /// Show the outputs
    Output(output::Arguments),
    /// Evaluate expressions
    Console(console::Arguments),
    /// Show what earlier runs did
    History(history::Arguments),
    /// Look into the state, repair it, seal it with another key
    #[command(subcommand)]
    State(state::Arguments),
    /// Take the lock of a state away from its holder
    ForceUnlock(force_unlock::Arguments),
    /// Show the version
    Version(version::Arguments),
}

impl Cli {
    /// Whether standard output carries one JSON object a line.
    pub(crate) fn is_json(&self) -> bool {
        match &self.command {
            Command::Plan(arguments) => arguments.json,
            Command::Apply(arguments) => arguments.json,
            Command::Destroy(arguments) => arguments.json,
            Command::Validate(arguments) => arguments.json,
            Command::History(arguments) => arguments.json,
            Command::Show(_)
            | Command::Output(_)
            | Command::Console(_)
            | Command::State(_)
            | Command::ForceUnlock(_)
            | Command::Version(_) => false,
        }
    }

    /// Runs a command that needs nothing but itself.
    pub(crate) fn quick(&self) -> Option<Exit> {
        match &self.command {
            Command::Version(arguments) => Some(arguments.run()),
            _ => None,
        }
    }

    /// Runs the command.
    pub(crate) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        if ui.json {
            ui.data(&crate::ui::json::version_line());
        }
        match &self.command {
            Command::Plan(arguments) => arguments.run(ui),
            Command::Apply(arguments) => arguments.run(ui),
            Command::Destroy(arguments) => arguments.run(ui),
            Command::Validate(arguments) => arguments.run(ui),
            Command::Show(arguments) => arguments.run(ui),
            Command::Output(arguments) => arguments.run(ui),
            Command::Console(arguments) => arguments.run(ui),
            Command::History(arguments) => arguments.run(ui),
            Command::State(arguments) => arguments.run(ui),
            Command::ForceUnlock(arguments) => arguments.run(ui),
            Command::Version(arguments) => Ok(arguments.run()),
        }
    }
}

/// Tells the folder from names among positional arguments: what has a slash or begins with a dot is the folder.
fn split_folder(arguments: &[String]) -> Result<(Option<&str>, Vec<&str>), CommandError> {
    let (folders, names): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|text| text.starts_with('.') || is_path(text));
    match folders[..] {
        [] => Ok((None, names)),
        [folder] => Ok((Some(folder), names)),
        _ => Err(CommandError::usage(
            "Two folders are given. Name one, or none for the current one.",
        )),
    }
}

/// A slash outside brackets, where it would belong to a key.
fn is_path(text: &str) -> bool {
    text.split('[').next().is_some_and(|start| start.contains('/'))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn folders_are_told_from_names() {
        let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let given = words(&["plans/x", "module.a.stack_data.b[\"x/y\"]"]);
        assert_eq!(
            split_folder(&given).unwrap(),
            (Some("plans/x"), vec!["module.a.stack_data.b[\"x/y\"]"])
        );
        assert_eq!(split_folder(&words(&["."])).unwrap().0, Some("."));
        assert!(split_folder(&words(&["./a", "./b"])).is_err());
    }
}
