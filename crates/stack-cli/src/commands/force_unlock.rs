//! `stack force-unlock`

use clap::Args;
use stack_engine::backend::local::Held;
use stack_engine::backend::{Backend as _, Holder};

use super::state::Approval;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration [default: .]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    #[command(flatten)]
    approval: Approval,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        self.approval.check()?;
        let place = place_of(self.folder.as_deref(), &self.env)?;
        let location = place.backend.location();
        let own = Holder::current("stack force-unlock");
        let failed = |error| {
            CommandError::from(stack_engine::store::StoreError::from_backend(
                &*place.backend,
                error,
            ))
        };
        match place.backend.held().map_err(failed)? {
            Held::Free { last } => match last.filter(|last| last.host != own.host) {
                None => {
                    ui.say(&format!("The state in {location} is not locked. A lock ends with its process.\n"));
                    return Ok(Exit::Done);
                }
                Some(last) => ui.say(&format!(
                    "The state in {location} was last locked by {last}.\nThat is another machine, and whether the lock is still \
                     held cannot be told from here.\n"
                )),
            },
            Held::By { holder: None } => ui.say(&format!("The state in {location} is locked by a process that is not known.\n")),
            Held::By { holder: Some(holder) } => {
                let seen = process(&holder, &own);
                ui.say(&format!("The state in {location} is locked by {holder}.\n{seen}"));
            }
        }
        ui.say(
            "Nobody is ended. What the holder writes to the state from now on is refused, and it ends with an error; a call to a \
             real system that it has begun goes on.\n",
        );
        if !self.approval.given(ui, "Take the lock away?") {
            return Ok(Exit::Error);
        }
        let epoch = place.backend.supersede(&own).map_err(failed)?;
        ui.say(&format!("The lock is free, at epoch {epoch}.\n"));
        Ok(Exit::Done)
    }
}

/// What this machine knows of the process that holds the lock.
fn process(holder: &Holder, own: &Holder) -> String {
    if holder.host != own.host {
        return String::new();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", holder.pid)).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    match state.map(str::trim) {
        Some(state) if state.starts_with('T') => {
            format!(
                "Process {} is stopped: `kill -CONT {}` lets it go on.\n",
                holder.pid, holder.pid
            )
        }
        Some(_) => format!(
            "Process {} is running: better wait for it, or end it with `kill {}`.\n",
            holder.pid, holder.pid
        ),
        None => format!(
            "There is no process {}: another one has its lock, such as one it started.\n",
            holder.pid
        ),
    }
}
