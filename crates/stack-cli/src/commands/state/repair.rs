//! `stack state repair`

use std::fmt::Write as _;

use clap::Args;
use stack_engine::store::{Repairing, StoreError};

use super::{Approval, Change};
use crate::error::{CommandError, chain};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(in crate::commands) struct Arguments {
    /// Folder of the configuration [default: .]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    approval: Approval,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        self.approval.check()?;
        let place = place_of(self.folder.as_deref(), &self.change.env)?;
        let Some(locked) = self.change.lock(ui, &place, "stack state repair")? else {
            return Ok(Exit::Done);
        };
        let repairing = locked.examine(place.keys.clone()).map_err(cannot)?;
        if repairing.found.problems.is_empty() {
            ui.say("The state is whole; there is nothing to repair.\n");
            return Ok(Exit::Done);
        }
        ui.say(&shown(&repairing));
        let lineage = repairing.found.state.lineage.clone();
        if !self.approval.given(ui, "Keep this, and give up the rest?") {
            return Ok(Exit::Error);
        }
        let mut out = String::from("Repaired. The files as they were:\n");
        for path in locked.repair(repairing)? {
            let _ = writeln!(out, "  {path}");
        }
        let _ = writeln!(
            out,
            "Objects whose records are lost may exist and are not managed. Those that carry tags or labels have \
             stack:lineage = {lineage}; import them, or remove them."
        );
        ui.say(&out);
        Ok(Exit::Done)
    }
}

/// Nothing can be kept of what is damaged.
fn cannot(error: StoreError) -> CommandError {
    let text = chain(&error);
    let mapped = CommandError::from(error);
    let damaged = mapped
        .diagnostics
        .iter()
        .any(|d| matches!(&*d.code, "STK0520" | "STK0523"));
    if damaged {
        CommandError::new("STK0525", "State cannot be repaired", text).hint(
            "take the folder from a backup; without one, move it away and import the objects into a new state",
        )
    } else {
        mapped
    }
}

fn shown(repairing: &Repairing) -> String {
    let found = &repairing.found;
    let mut out = String::new();
    for problem in &found.problems {
        let _ = writeln!(out, "{}: {}", problem.file, problem.what);
        for lost in &problem.lost {
            let _ = writeln!(out, "  lost: {lost}");
        }
    }
    for place in &found.given_up {
        let _ = writeln!(out, "Given up, because it does not open: {place}");
    }
    let state = &found.state;
    let _ = writeln!(
        out,
        "\nKept: serial {}, {} objects, {} outputs, {} operations that were begun and not ended.",
        state.serial,
        state.objects().count(),
        state.outputs.len(),
        state.pending.len()
    );
    for (address, deposed, _) in state.objects() {
        let deposed = deposed
            .map(|key| format!(" (deposed object {key})"))
            .unwrap_or_default();
        let _ = writeln!(out, "  {address}{deposed}");
    }
    out.push('\n');
    out
}
