//! `stack state list` and `stack state show`

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use stack_core::ResourceAddress;
use stack_core::address::Target;
use stack_state::{State, Status};

use super::split_folder;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::registry;
use crate::ui::Ui;
use crate::ui::plan::recorded;
use crate::workspace::place_of;

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List the resource instances in the state
    List(Selection),
    /// Show one resource instance
    Show(Selection),
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
