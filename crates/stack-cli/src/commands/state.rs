//! `stack state`: `list` and `show` here, what changes a state in files of their own.

mod copy;
mod objects;
mod rekey;
mod repair;

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use stack_core::ResourceAddress;
use stack_core::address::Target;
use stack_engine::backend::Holder;
use stack_engine::store::Exclusive;
use stack_state::{State, Status};

use super::split_folder;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::registry;
use crate::ui::Ui;
use crate::ui::plan::recorded;
use crate::workspace::{Place, place_of};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List the resource instances in the state
    List(Selection),
    /// Show one resource instance
    Show(Selection),
    /// Give an instance another address, without touching its object
    Mv(objects::Arguments),
    /// Stop managing objects, without touching them
    Rm(objects::Arguments),
    /// Print the state as one file, sealed values sealed
    Pull(copy::PullArguments),
    /// Put a file that `pull` has printed in the place of the state
    Push(copy::PushArguments),
    /// Keep what can be kept of a damaged state
    Repair(repair::Arguments),
    /// Seal the state with another key
    Rekey(rekey::Arguments),
}

/// How a state is changed.
#[derive(Debug, Args)]
pub(super) struct Change {
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    /// How long to wait for the lock of the state, as in 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::arguments::duration)]
    lock_timeout: Duration,
}

impl Change {
    /// Takes the lock; `None` if nothing is recorded, which is said.
    fn lock(&self, ui: &Ui, place: &Place, command: &str) -> Result<Option<Exclusive>, CommandError> {
        let holder = Holder::current(command);
        let locked = Exclusive::lock(place.backend.clone(), &holder, self.lock_timeout)?;
        if locked.is_none() {
            ui.say("Nothing is recorded yet.\n");
        }
        Ok(locked)
    }
}

/// Agreement of a person, or in advance.
#[derive(Debug, Args)]
pub(super) struct Approval {
    /// Do not ask; needed without a terminal
    #[arg(long)]
    auto_approve: bool,
}

impl Approval {
    /// Refuses, before anything is read, to go on to a question that nobody can answer.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.auto_approve || terminal {
            return Ok(());
        }
        let detail = "There is no terminal to ask for approval on.";
        Err(CommandError::usage(detail).hint("give --auto-approve to go on without a question"))
    }

    /// Asks, unless it was agreed in advance.
    pub(super) fn given(&self, ui: &Ui, question: &str) -> bool {
        if self.auto_approve {
            return true;
        }
        ui.error_stream(&format!("{question} Only 'yes' is accepted: "));
        let mut line = String::new();
        let agreed = std::io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes";
        if !agreed {
            ui.say("Not approved; nothing was changed.\n");
        }
        agreed
    }
}

#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Folder of the configuration (with a slash, or `.`) and addresses of resources or modules
    #[arg(value_name = "FOLDER|ADDRESS")]
    arguments: Vec<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
}

impl Selection {
    /// The state and the addresses that were named.
    fn state(&self) -> Result<(Option<State>, Vec<Target>), CommandError> {
        let (folder, names) = split_folder(&self.arguments)?;
        let targets: Result<Vec<Target>, _> = names.iter().map(|name| name.parse()).collect();
        let targets =
            targets.map_err(|error| CommandError::usage(crate::error::sentence(&error.to_string())))?;
        Ok((place_of(folder, &self.env)?.read_masked()?, targets))
    }
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        match self {
            Self::List(selection) => list(ui, selection),
            Self::Show(selection) => show(ui, selection),
            Self::Mv(arguments) => objects::mv(ui, arguments),
            Self::Rm(arguments) => objects::rm(ui, arguments),
            Self::Pull(arguments) => arguments.run(ui),
            Self::Push(arguments) => arguments.run(ui),
            Self::Repair(arguments) => arguments.run(ui),
            Self::Rekey(arguments) => arguments.run(ui),
        }
    }
}

fn list(ui: &Ui, selection: &Selection) -> Result<Exit, CommandError> {
    let (state, targets) = selection.state()?;
    let Some(state) = state else {
        ui.say("Nothing is recorded yet.\n");
        return Ok(Exit::Done);
    };
    let wanted = |address: &ResourceAddress| targets.is_empty() || targets.iter().any(|t| t.covers(address));
    let mut out = String::new();
    for (address, deposed, object) in state.objects().filter(|(address, ..)| wanted(address)) {
        out.push_str(&address.to_string());
        if let Some(key) = deposed {
            let _ = write!(out, " (deposed object {key})");
        }
        if object.status == Status::Tainted {
            out.push_str(" (tainted)");
        }
        out.push('\n');
    }
    ui.data(&out);
    Ok(Exit::Done)
}

fn show(ui: &Ui, selection: &Selection) -> Result<Exit, CommandError> {
    let (state, targets) = selection.state()?;
    if targets.is_empty() {
        return Err(
            CommandError::usage("Name the resource to show.").hint("`stack state list` names all of them")
        );
    }
    let providers = registry::providers();
    let mut out = String::new();
    for target in &targets {
        let found: Vec<_> = state
            .iter()
            .flat_map(State::objects)
            .filter(|(address, ..)| target.covers(address))
            .collect();
        if found.is_empty() {
            let detail = format!("The state has no object at {target}.");
            return Err(CommandError::new("STK0511", "Object not found", detail)
                .hint("`stack state list` names all of them"));
        }
        for (address, deposed, object) in found {
            out.push_str(&recorded(&providers, ui.out_paint(), address, deposed, object));
            out.push('\n');
        }
    }
    ui.data(&out);
    Ok(Exit::Done)
}
