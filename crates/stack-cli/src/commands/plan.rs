//! `stack plan`

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use clap::Args;
use stack_engine::plan_file::PlanFile;
use stack_plan::{Answers, Options, Plan};
use stack_state::{CheckStatus, State};

use super::apply::keeps_secrets;
use crate::arguments::{PlanningArguments, WorkspaceArguments};
use crate::disk::cause;
use crate::error::{CommandError, chain};
use crate::exit::Exit;
use crate::run::{Run, block_on};
use crate::ui::plan::PlanView;
use crate::ui::{Ui, json};
use crate::workspace::{VERSION, Workspace, is_plan_file};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration [default: .]
    folder: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceArguments,
    #[command(flatten)]
    planning: PlanningArguments,
    /// Save the plan to a file, for `stack apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
    /// End with 2 if there are changes, 0 if there are none
    #[arg(long)]
    detailed_exitcode: bool,
    /// End with 4 if a check does not hold
    #[arg(long)]
    fail_on_check: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        if let Some(path) = self.folder.as_deref().filter(|path| is_plan_file(path)) {
            return Err(CommandError::usage(format!(
                "\"{path}\" is a file. A plan is made from a folder of configuration."
            ))
            .hint(&format!("to see a saved plan, use `stack show {path}`")));
        }
        let workspace = Workspace::load(self.folder.as_deref(), &self.workspace)?;
        let options = self.planning.options();
        let state = workspace.place.read_or_new()?;
        note_pending(ui, &state);
        let (plan, answers) = block_on(async {
            let run = Run::start(&workspace, ui)?;
            run.plan(&workspace, &state, &options).await
        })??;
        if let Some(path) = &self.out {
            save(&workspace, path, &state, &options, &plan, &answers)?;
        }
        show(ui, &workspace, &plan);
        let mut warnings = workspace.warnings.clone();
        warnings.extend(plan.warnings.clone());
        ui.diagnostics(&warnings, &workspace.map);
        if let Some(path) = &self.out {
            ui.say(&format!(
                "\nSaved the plan to {path}. To carry it out: stack apply {path}\n"
            ));
        }
        let mut exit = Exit::Done;
        if self.detailed_exitcode && plan.has_changes() {
            exit = exit.and(Exit::Changes);
        }
        if self.fail_on_check && has_failed_check(&plan.checks) {
            exit = exit.and(Exit::CheckFailed);
        }
        Ok(exit)
    }
}

/// Whether a check does not hold.
pub(super) fn has_failed_check(checks: &[stack_plan::CheckResult]) -> bool {
    checks
        .iter()
        .any(|check| matches!(check.status, CheckStatus::Failed(_) | CheckStatus::Error(_)))
}

/// Shows a plan on standard output.
fn show(ui: &Ui, workspace: &Workspace, plan: &Plan) {
    if ui.json {
        ui.data(&json::plan_lines(plan));
    } else {
        let view = PlanView {
            plan,
            catalog: &*workspace.providers,
            paint: ui.out_paint(),
        };
        ui.data(&view.render());
    }
}

/// Says what an earlier run has begun and not ended.
fn note_pending(ui: &Ui, state: &State) {
    for pending in state.pending.values() {
        let address = &pending.begin.address;
        ui.say(&format!(
            "{address}: an earlier run did not finish with it; the next apply finds out what became of it.\n"
        ));
    }
}

/// Writes a plan file that only its owner can read.
fn save(
    workspace: &Workspace,
    path: &str,
    state: &State,
    options: &Options,
    plan: &Plan,
    answers: &Answers,
) -> Result<(), CommandError> {
    let file = PlanFile {
        tool_version: VERSION.to_owned(),
        folder: workspace.folder.clone(),
        sources: workspace.saved_sources(),
        variables: workspace.stored_variables(),
        environment: workspace.environment.clone(),
        timestamp: workspace.timestamp.clone(),
        options: options.clone(),
        state: state.clone(),
        answers: answers.clone(),
    };
    let sealer = workspace.place.sealer(state.lineage.clone(), state.salt);
    let failed = |detail: String| CommandError::new("STK0507", "Plan not saved", detail);
    // The texts of the configuration are in the file too, and what they call sensitive need not have a value yet.
    let secret = keeps_secrets(plan) || file.sources.mention("sensitive");
    let bytes = file
        .encode(&sealer, secret)
        .map_err(|error| failed(chain(&error)))?;
    write(Path::new(path), &bytes).map_err(|error| {
        failed(format!(
            "The file \"{path}\" could not be written: {}.",
            cause(&error)
        ))
    })
}

/// Replaces a file as a whole.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The error that matters is the first one.
        drop(fs::remove_file(&new));
    }
    written
}
