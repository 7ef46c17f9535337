//! `stack state pull` and `stack state push`

use clap::Args;
use stack_engine::backend::{Backend as _, Holder};
use stack_engine::store::Exclusive;
use stack_state::snapshot::{self, Snapshot};

use super::Change;
use crate::disk::cause;
use crate::error::{CommandError, chain};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(in crate::commands) struct PullArguments {
    /// Folder of the configuration [default: .]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
}

impl PullArguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let place = place_of(self.folder.as_deref(), &self.env)?;
        let Some(state) = place.read()? else {
            ui.say("Nothing is recorded yet.\n");
            return Ok(Exit::Error);
        };
        let sealer = place.sealer(state.lineage.clone(), state.salt);
        let bytes = snapshot::encode(&state, &sealer)
            .map_err(|error| CommandError::new("STK0503", "State not usable", chain(&error)))?;
        ui.data(&String::from_utf8_lossy(&bytes));
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(in crate::commands) struct PushArguments {
    /// File that `stack state pull` has printed
    #[arg(value_name = "FILE")]
    file: String,
    /// Folder of the configuration [default: .]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    #[command(flatten)]
    change: Change,
}

fn refused(detail: impl Into<String>) -> CommandError {
    CommandError::new("STK0528", "State not pushed", detail)
}

impl PushArguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let unusable = |cause: String| refused(format!("The file \"{}\" cannot be used: {cause}", self.file));
        let bytes = std::fs::read(&self.file).map_err(|error| unusable(format!("{}.", cause(&error))))?;
        let given = Snapshot::parse(&bytes).map_err(|error| unusable(chain(&error)))?;
        let place = place_of(self.folder.as_deref(), &self.change.env)?;
        let head = given.head().clone();
        let sealer = place.sealer(head.lineage.clone(), head.salt);
        let given = given.open(&sealer).map_err(|error| unusable(chain(&error)))?;
        if !given.pending.is_empty() {
            return Err(
                refused("The file holds operations that were begun and not ended.")
                    .hint("run `stack apply` where it comes from, and pull it again"),
            );
        }
        let holder = Holder::current("stack state push");
        let locked = Exclusive::lock_or_make(place.backend.clone(), &holder, self.change.lock_timeout)?;
        let mut torn = Vec::new();
        if !locked.is_empty() {
            let (present, ends) = locked.load(&locked.sealer(place.keys.clone())?)?;
            torn = ends;
            let place = place.backend.location();
            if present.lineage != head.lineage {
                let detail = format!(
                    "The file is of lineage {}, and the state in {place} of {}: they are of different objects.",
                    head.lineage, present.lineage
                );
                return Err(refused(detail).hint("push it to an environment without a state"));
            }
            if !present.pending.is_empty() {
                let detail = format!("In {place} operations were begun and not ended.");
                return Err(refused(detail).hint("run `stack apply` there first"));
            }
            if head.serial <= present.serial {
                let detail = format!(
                    "The file has serial {}, and the state in {place} has {}: it would go back.",
                    head.serial, present.serial
                );
                return Err(refused(detail).hint("push the newer one"));
            }
        }
        locked.write(given, &torn, &sealer)?;
        ui.say("The state was replaced.\n");
        Ok(Exit::Done)
    }
}
