//! `stack state mv` and `stack state rm`: what the state says of objects, which are not touched.

use std::fmt::Write as _;

use clap::Args;
use stack_core::ResourceAddress;
use stack_core::address::Target;
use stack_state::{FoldError, Record, State, fold};

use super::{Change, split_folder};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(in crate::commands) struct Arguments {
    /// Folder of the configuration (with a slash, or `.`) and addresses: for `mv` the old and the new one
    #[arg(value_name = "FOLDER|ADDRESS", required = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Arguments {
    /// Changes the state under the lock. `edit` says what was done.
    fn edit(
        &self,
        ui: &Ui,
        command: &str,
        edit: impl FnOnce(&[&str], &mut State) -> Result<String, CommandError>,
    ) -> Result<Exit, CommandError> {
        let (folder, names) = split_folder(&self.arguments)?;
        let place = place_of(folder, &self.change.env)?;
        let Some(locked) = self.change.lock(ui, &place, command)? else {
            return Ok(Exit::Error);
        };
        let sealer = locked.sealer(place.keys.clone())?;
        let (mut state, torn) = locked.load(&sealer)?;
        let done = edit(&names, &mut state)?;
        locked.write(state, &torn, &sealer)?;
        ui.say(&done);
        Ok(Exit::Done)
    }
}

fn address(text: &str) -> Result<ResourceAddress, CommandError> {
    text.parse()
        .map_err(|error: <ResourceAddress as std::str::FromStr>::Err| {
            CommandError::usage(crate::error::sentence(&error.to_string()))
        })
}

fn refused(error: &FoldError) -> CommandError {
    CommandError::new(
        "STK0529",
        "State not changed",
        crate::error::sentence(&error.to_string()),
    )
    .hint("an operation that was begun and has not ended is ended by the next apply; another object may stand at the new address")
}

fn not_found(what: &str) -> CommandError {
    let detail = format!("The state has no object at {what}.");
    CommandError::new("STK0511", "Object not found", detail).hint("`stack state list` names all of them")
}

pub(super) fn mv(ui: &Ui, arguments: &Arguments) -> Result<Exit, CommandError> {
    arguments.edit(ui, "stack state mv", |names, state| {
        let [from, to] = names else {
            return Err(CommandError::usage("Name the old address and the new one."));
        };
        let (from, to) = (address(from)?, address(to)?);
        if !state.instances.contains_key(&from) {
            return Err(not_found(&from.to_string()));
        }
        if from.ty != to.ty {
            let detail = format!(
                "{from} is of type {}, and {to} would be of type {}.",
                from.ty, to.ty
            );
            return Err(CommandError::new("STK0529", "State not changed", detail).hint(
                "an object keeps its type; remove it with `stack state rm` and import it as the other",
            ));
        }
        let done = format!("{from} is {to} now.\n");
        fold(state, Record::Move { from, to }).map_err(|error| refused(&error))?;
        Ok(done)
    })
}

pub(super) fn rm(ui: &Ui, arguments: &Arguments) -> Result<Exit, CommandError> {
    arguments.edit(ui, "stack state rm", |names, state| {
        if names.is_empty() {
            return Err(CommandError::usage("Name the resources to stop managing."));
        }
        let mut done = String::new();
        for name in names {
            let target: Target = name
                .parse()
                .map_err(|error| CommandError::usage(crate::error::sentence(&format!("{error}"))))?;
            let found: Vec<_> = state
                .objects()
                .filter(|(address, ..)| target.covers(address))
                .map(|(address, deposed, _)| (address.clone(), deposed.cloned()))
                .collect();
            if found.is_empty() {
                return Err(not_found(name));
            }
            for (address, deposed) in found {
                let _ = writeln!(
                    done,
                    "{address} is not managed any more; its object was not touched."
                );
                fold(state, Record::Forget { address, deposed }).map_err(|error| refused(&error))?;
            }
        }
        Ok(done)
    })
}
