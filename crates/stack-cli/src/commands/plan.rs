//! `stack plan`

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use clap::Args;
use stack_engine::plan_file::PlanFile;
use stack_engine::{Finding, Looked};
use stack_plan::{Answers, Options, Plan};
use stack_state::{CheckStatus, State};

use super::apply::keeps_secrets;
use crate::arguments::{PlanningArguments, WorkspaceArguments};
use crate::disk::cause;
use crate::error::{CommandError, chain};
use crate::exit::Exit;
use crate::run::{Run, block_on};
use crate::ui::plan::PlanView;
use crate::ui::{Ui, json, recovery};
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
        let (recovery, (plan, answers)) = block_on(async {
            let run = Run::start(&workspace, ui)?;
            let recovery = run.look(&state).await;
            let planned_for = recovery.as_ref().map_or(&state, |looked| &looked.after);
            let planned = run.plan(&workspace, planned_for, &options).await?;
            Ok::<_, CommandError>((recovery, planned))
        })??;
        let mut warnings = workspace.warnings.clone();
        let mut findings = Vec::new();
        if let Some(looked) = &recovery {
            findings.clone_from(&looked.findings);
            warnings.extend(looked.warnings.clone().into());
        }
        if let Some(path) = &self.out {
            save(&workspace, path, state, recovery, &options, &plan, answers)?;
        }
        show(ui, &workspace, &findings, &plan);
        warnings.extend(plan.warnings.clone());
        ui.diagnostics(&warnings, &workspace.map);
        if let Some(path) = &self.out {
            ui.say(&format!(
                "\nSaved the plan to {path}. To carry it out: stack apply {path}\n"
            ));
        }
        Ok(self.exit(&findings, &plan))
    }

    fn exit(&self, findings: &[Finding], plan: &Plan) -> Exit {
        let mut exit = Exit::Done;
        if self.detailed_exitcode && (plan.has_changes() || !findings.is_empty()) {
            exit = exit.and(Exit::Changes);
        }
        if self.fail_on_check && has_failed_check(&plan.checks) {
            exit = exit.and(Exit::CheckFailed);
        }
        exit
    }
}

/// Whether a check does not hold.
pub(super) fn has_failed_check(checks: &[stack_plan::CheckResult]) -> bool {
    checks
        .iter()
        .any(|check| matches!(check.status, CheckStatus::Failed(_) | CheckStatus::Error(_)))
}

/// Shows a plan on standard output, after what an apply does before it.
fn show(ui: &Ui, workspace: &Workspace, findings: &[Finding], plan: &Plan) {
    if ui.json {
        ui.data(&json::recovery_lines(findings));
        ui.data(&json::plan_lines(plan));
    } else {
        let view = PlanView {
            plan,
            catalog: &*workspace.providers,
            paint: ui.out_paint(),
        };
        ui.data(&recovery::render(findings, ui.out_paint()));
        ui.data(&view.render());
    }
}

/// Writes a plan file that only its owner can read.
fn save(
    workspace: &Workspace,
    path: &str,
    state: State,
    recovery: Option<Looked>,
    options: &Options,
    plan: &Plan,
    answers: Answers,
) -> Result<(), CommandError> {
    let sealer = workspace.place.sealer(state.lineage.clone(), state.salt);
    let file = PlanFile {
        tool_version: VERSION.to_owned(),
        folder: workspace.folder.clone(),
        sources: workspace.saved_sources(),
        variables: workspace.stored_variables(),
        environment: workspace.environment.clone(),
        timestamp: workspace.timestamp.clone(),
        options: options.clone(),
        state,
        recovery,
        answers,
    };
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
