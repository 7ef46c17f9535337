//! `stack apply`

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use clap::Args;
use stack_core::{Diagnostic, Diagnostics, Marks, Value};
use stack_engine::backend::Holder;
use stack_engine::plan_file::PlanFile;
use stack_engine::store::{Store, StoreSettings};
use stack_engine::{Applied, ApplyOptions, Durations};
use stack_plan::{Mode, Options, Plan};
use stack_state::State;

use super::plan::has_failed_check;
use crate::arguments::{ApplyArguments, PlanningArguments, VariableArguments, WorkspaceArguments};
use crate::document;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::run::{Run, block_on};
use crate::ui::plan::{Counts, PlanView};
use crate::ui::record::{Recorded, Recorder};
use crate::ui::{Paint, Progress, Ui, json};
use crate::workspace::{VERSION, Workspace, is_plan_file, read_plan_file};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration, or a saved plan [default: .]
    #[arg(value_name = "FOLDER|PLAN")]
    path: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceArguments,
    #[command(flatten)]
    planning: PlanningArguments,
    #[command(flatten)]
    apply: ApplyArguments,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let applying = Applying {
            ui,
            apply: &self.apply,
            command: "stack apply",
        };
        match self.path.as_deref().filter(|path| is_plan_file(path)) {
            Some(path) => {
                if self.planning.is_given() {
                    let detail = "A saved plan has settled what is planned.";
                    return Err(CommandError::usage(detail)
                        .hint("leave these options out, or make a new plan with them"));
                }
                applying.run(Source::Saved {
                    path,
                    variables: &self.workspace.variables,
                })
            }
            None => {
                let folder = self.path.as_deref();
                applying.run(Source::Folder {
                    folder,
                    workspace: &self.workspace,
                    options: self.planning.options(),
                })
            }
        }
    }
}

/// What is applied.
pub(super) enum Source<'a> {
    /// A plan that is made first.
    Folder {
        /// Folder of the configuration.
        folder: Option<&'a str>,
        /// Variables and environment.
        workspace: &'a WorkspaceArguments,
        /// How to plan.
        options: Options,
    },
    /// A plan file.
    Saved {
        /// Its path.
        path: &'a str,
        /// Values of ephemeral variables.
        variables: &'a VariableArguments,
    },
}

/// An apply or destroy.
pub(super) struct Applying<'a> {
    /// Where it is shown.
    pub(super) ui: &'a Ui,
    /// How to apply.
    pub(super) apply: &'a ApplyArguments,
    /// What is said of the holder of the lock.
    pub(super) command: &'static str,
}

impl Applying<'_> {
    /// Runs from start to end.
    pub(super) fn run(&self, source: Source<'_>) -> Result<Exit, CommandError> {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !self.apply.auto_approve && !terminal {
            let detail = "There is no terminal to ask for approval on.";
            return Err(CommandError::usage(detail).hint("give --auto-approve to go on without a question"));
        }
        let (workspace, options, file) = match source {
            Source::Folder {
                folder,
                workspace,
                options,
            } => (Workspace::load(folder, workspace)?, options, None),
            Source::Saved { path, variables } => {
                let file = read_plan_file(path)?;
                (
                    Workspace::saved(&file, variables)?,
                    file.options.clone(),
                    Some(file),
                )
            }
        };
        block_on(self.work(&workspace, &options, file.as_ref()))?
    }

    async fn work(
        &self,
        workspace: &Workspace,
        options: &Options,
        file: Option<&PlanFile>,
    ) -> Result<Exit, CommandError> {
        let place = &workspace.place;
        if let Some(file) = file
            && let Some(now) = place.read_masked()?
        {
            check_lineage(&file.state, &now)?;
        }
        let (store, state) = Store::open(StoreSettings {
            backend: place.backend.clone(),
            keys: place.keys.clone(),
            environment: place.environment.clone(),
            tool_version: VERSION.to_owned(),
            expires: None,
            holder: Holder::current(self.command),
            lock_timeout: self.apply.lock_timeout,
        })
        .await?;
        let recorder = self.recorder(workspace);
        let shown = self.ui.events(&workspace.map);
        let events: Arc<dyn Progress> = match &recorder {
            Some(recorder) => Arc::new(Recorded {
                shown,
                recorder: recorder.clone(),
            }),
            None => shown,
        };
        let mut counts = Counts::default();
        let made = self.make(workspace, options, file, (store, state), events, &mut counts);
        let made = made.await;
        if let Some(recorder) = recorder {
            let exit = match &made {
                Ok(made) => {
                    recorder.diagnostics(&made.diagnostics);
                    made.exit
                }
                Err(error) => {
                    recorder.diagnostics(&error.diagnostics);
                    error.exit
                }
            };
            if let Err(error) = recorder.end(exit, counts) {
                self.not_recorded(workspace, &error);
            }
        }
        made.map(|made| made.exit)
    }

    /// Begins the record of this run. Without one the run goes on.
    fn recorder(&self, workspace: &Workspace) -> Option<Arc<Recorder>> {
        let folder = workspace.place.backend.folder();
        let who = Holder::current(self.command);
        match Recorder::start(folder, &who, &workspace.environment, &workspace.map) {
            Ok(recorder) => Some(Arc::new(recorder)),
            Err(error) => {
                self.not_recorded(workspace, &error);
                None
            }
        }
    }

    fn not_recorded(&self, workspace: &Workspace, error: &std::io::Error) {
        let folder = crate::ui::record::folder(workspace.place.backend.folder());
        let detail = format!(
            "The record of this run in {} could not be written: {}. The run itself and its state are not affected.",
            folder.display(),
            crate::disk::cause(error)
        );
        let warning = Diagnostic::warning("STK0542", "Run not recorded", detail);
        self.ui.diagnostics(&warning.into(), &workspace.map);
    }

    /// Plans and applies.
    async fn make(
        &self,
        workspace: &Workspace,
        options: &Options,
        file: Option<&PlanFile>,
        (store, state): (Store, State),
        events: Arc<dyn Progress>,
        counts: &mut Counts,
    ) -> Result<Made, CommandError> {
        let run = Run::start_with(workspace, events)?;
        let run = Run {
            connections: run.connections.with_parallelism(self.apply.parallelism),
            ..run
        };
        for torn in store.torn() {
            self.ui.say(&format!(
                "An unfinished write of an earlier run was kept in {torn}. Nothing acknowledged was lost.\n"
            ));
        }
        if let Some(file) = file {
            check_basis(&file.state, &state)?;
        }
        let state = self.recovered(workspace, &run, &store, state).await?;
        let plan = match file {
            None => run.plan(workspace, &state, options).await?.0,
            Some(file) => {
                check_recovery(file, &state)?;
                stack_engine::replay(workspace.input(&state, options), &file.answers)
                    .map_err(|diagnostics| CommandError::from(diagnostics).with_sources(&workspace.map))?
            }
        };
        self.show(workspace, &plan, &*run.events);
        if keeps_secrets(&plan)
            && let Err(error) = store.sealer().key_id()
        {
            store.close().await?;
            return Err(error.into());
        }
        if needs_approval(&plan) && !self.apply.auto_approve && !self.approved(plan.mode) {
            self.ui.say("Not approved; nothing was changed.\n");
            store.close().await?;
            return Ok(Made {
                exit: Exit::Error,
                diagnostics: Diagnostics::new(),
            });
        }
        let input = workspace.input(&state, options);
        let folder = workspace.place.backend.folder();
        let (durations, note) = Durations::load(folder);
        if let Some(note) = note {
            self.ui.say(&format!("{note}\n"));
        }
        let apply = ApplyOptions {
            parallelism: self.apply.parallelism,
            durations,
        };
        let applied = stack_engine::apply(
            &plan,
            input,
            &store,
            &run.connections,
            &*run.events,
            &run.interrupt,
            &apply,
        )
        .await;
        run.events.finish();
        // Losing them costs nothing but worse guesses.
        drop(applied.durations.save(folder));
        let closed = store.close().await;
        *counts = counts_of(&applied);
        let closed = closed.err().map(CommandError::from);
        Ok(self.report(workspace, &plan, applied, closed, &*run.events))
    }

    /// Ends what an earlier run has begun.
    async fn recovered(
        &self,
        workspace: &Workspace,
        run: &Run,
        store: &Store,
        state: State,
    ) -> Result<State, CommandError> {
        if state.pending.is_empty() {
            return Ok(state);
        }
        stack_engine::recover(&state, store, &run.connections, &*run.events, &run.interrupt)
            .await
            .map_err(|diagnostics| CommandError::from(diagnostics).with_sources(&workspace.map))?;
        Ok(store.state())
    }

    fn show(&self, workspace: &Workspace, plan: &Plan, events: &dyn Progress) {
        events.lines(&json::plan_lines(plan));
        if !self.ui.json {
            let view = PlanView {
                plan,
                catalog: &*workspace.providers,
                paint: self.ui.err_paint(),
            };
            self.ui.say(&view.render());
            self.ui.say("\n");
        }
    }

    /// Asks on the terminal.
    fn approved(&self, mode: Mode) -> bool {
        let question = match mode {
            Mode::Destroy => "Destroy all of this? There is no way back.",
            Mode::Normal => "Perform these actions?",
            Mode::RefreshOnly => "Record this?",
        };
        self.ui
            .error_stream(&format!("{question} Only 'yes' is accepted: "));
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
    }

    /// Says what was done, and gives the exit code.
    fn report(
        &self,
        workspace: &Workspace,
        plan: &Plan,
        applied: Applied,
        closed: Option<CommandError>,
        events: &dyn Progress,
    ) -> Made {
        let mut diagnostics = workspace.warnings.clone();
        diagnostics.extend(plan.warnings.clone());
        diagnostics.extend(applied.diagnostics.clone());
        let mut exit = Exit::Done;
        if let Some(error) = closed {
            exit = exit.and(error.exit);
            diagnostics.extend(error.diagnostics);
        }
        if applied.diagnostics.has_errors() {
            exit = exit.and(if applied.recorded {
                Exit::Partial
            } else {
                Exit::Error
            });
        }
        if applied.interrupted {
            exit = exit.and(Exit::Interrupted);
        }
        if has_failed_check(&applied.checks) {
            exit = exit.and(Exit::CheckFailed);
        }
        for (address, why) in &applied.kept {
            self.ui.say(&format!("Left behind: {address} ({why})\n"));
        }
        self.counts(plan.mode, &applied, exit, events);
        self.outputs(plan.mode, &applied, events);
        let diagnostics = without_repeated_checks(diagnostics);
        self.ui.diagnostics(&diagnostics, &workspace.map);
        Made { exit, diagnostics }
    }

    fn counts(&self, mode: Mode, applied: &Applied, exit: Exit, events: &dyn Progress) {
        let counts = counts_of(applied);
        let (operation, word) = match mode {
            Mode::Destroy => ("destroy", "Destroy"),
            Mode::Normal | Mode::RefreshOnly => ("apply", "Apply"),
        };
        let forgotten = if counts.forget > 0 {
            format!(", {} forgotten", counts.forget)
        } else {
            String::new()
        };
        let numbers = format!(
            "{} added, {} changed, {} destroyed{forgotten}.",
            counts.add, counts.change, counts.destroy
        );
        let head = |paint: Paint| match exit {
            Exit::Done | Exit::CheckFailed | Exit::Changes => paint.green(&format!("{word} complete!")),
            Exit::Interrupted => paint.yellow(&format!("{word} interrupted.")),
            Exit::Error | Exit::Partial | Exit::Locked | Exit::Usage => paint.red(&format!("{word} failed.")),
        };
        let message = format!("{} {numbers}", head(Paint(false)));
        events.lines(&json::summary_line(operation, counts, message));
        let paint = self.ui.err_paint();
        self.ui
            .say(&format!("\n{} {numbers}\n", paint.bold(&head(paint))));
    }

    fn outputs(&self, mode: Mode, applied: &Applied, events: &dyn Progress) {
        if mode == Mode::Destroy || applied.outputs.is_empty() {
            return;
        }
        let text = super::output::lines(&applied.outputs);
        let outputs = document::outputs(&applied.outputs, false);
        if let Ok(raw) = serde_json::value::to_raw_value(&outputs) {
            let message = format!("Outputs:\n{}", text.trim_end());
            events.lines(&json::outputs_line(raw, message));
        }
        if !self.ui.json {
            self.ui.say("\nOutputs:\n\n");
            self.ui.data(&text);
        }
    }
}

/// How a run ended.
struct Made {
    exit: Exit,
    /// What was said at the end.
    diagnostics: Diagnostics,
}

fn counts_of(applied: &Applied) -> Counts {
    Counts {
        import: 0,
        add: applied.added,
        change: applied.changed,
        destroy: applied.destroyed,
        forget: applied.forgotten,
    }
}

/// Whether there is anything that a person has to agree to.
fn needs_approval(plan: &Plan) -> bool {
    plan.has_changes()
}

/// Whether the apply records anything that has to be sealed. Without a key it must not begin: it would stop in the middle.
pub(super) fn keeps_secrets(plan: &Plan) -> bool {
    let objects = plan.changes.iter().filter_map(|change| change.after.as_ref());
    let outputs = plan.outputs.values().filter_map(|output| output.after.as_ref());
    objects
        .chain(outputs)
        .chain(plan.providers.values())
        .any(holds_secret)
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Marked(marks, inner) => {
            (marks.contains(Marks::SENSITIVE) && !inner.is_null()) || holds_secret(inner)
        }
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
            members.iter().any(holds_secret)
        }
        Value::Map(_, members) | Value::Object(members) => members.values().any(holds_secret),
        Value::Null(_) | Value::Unknown(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Failed checks are told as events and again in the list at the end; once is enough there.
fn without_repeated_checks(diagnostics: Diagnostics) -> Diagnostics {
    let mut seen: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        if !seen.contains(&diagnostic) {
            seen.push(diagnostic);
        }
    }
    seen.into()
}

/// Refuses a plan for other objects, before the lock is taken and anything recovered.
fn check_lineage(planned: &State, now: &State) -> Result<(), CommandError> {
    if planned.serial == 0 || planned.lineage == now.lineage {
        return Ok(());
    }
    let detail = format!(
        "The plan was made for the state of lineage {}, and the state here is of {}: another environment, or started anew since.",
        planned.lineage, now.lineage
    );
    Err(CommandError::new("STK0521", "State of another lineage", detail).hint("make a new plan"))
}

/// Refuses a plan that rests on another state than the one at hand.
fn check_basis(planned: &State, now: &State) -> Result<(), CommandError> {
    let untouched = |state: &State| state.serial == 0 && state.instances.is_empty();
    if untouched(planned) && untouched(now) {
        return Ok(());
    }
    let moved = if untouched(planned) {
        format!(
            "Nothing was recorded then, and the state is at serial {} now.",
            now.serial
        )
    } else if planned.lineage != now.lineage {
        "It is the state of another environment, or was started anew since.".to_owned()
    } else if planned.serial != now.serial || planned.position != now.position {
        format!(
            "The plan was made at serial {}, and the state is at serial {} now.",
            planned.serial, now.serial
        )
    } else {
        return Ok(());
    };
    let detail = format!(
        "The state has moved since the plan was made. {moved} Moved in between: {}.",
        what_moved(planned, now)
    );
    Err(CommandError::new("STK0509", "Saved plan is stale", detail).hint("make a new plan"))
}

/// Refuses a plan that was made for another end of the operations that an earlier run left.
fn check_recovery(file: &PlanFile, now: &State) -> Result<(), CommandError> {
    let planned = file.planned_for();
    let same = planned.pending.is_empty()
        && planned.instances == now.instances
        && planned.outputs == now.outputs
        && planned.providers == now.providers;
    if file.recovery.is_none() || same {
        return Ok(());
    }
    let detail = format!(
        "What an earlier run began and did not end is settled and recorded now, and differs from what was seen when the plan was made: {}. Nothing else was changed.",
        what_moved(planned, now)
    );
    let mut error =
        CommandError::new("STK0332", "Recovery differs from the plan", detail).hint("make a new plan");
    error.exit = Exit::Partial;
    Err(error)
}

/// Names what differs, the first few.
fn what_moved(planned: &State, now: &State) -> String {
    const MOST: usize = 5;
    let addresses: std::collections::BTreeSet<_> =
        planned.instances.keys().chain(now.instances.keys()).collect();
    let differs = addresses
        .into_iter()
        .filter(|a| planned.instances.get(a) != now.instances.get(a));
    let mut names: Vec<String> = differs.map(ToString::to_string).collect();
    if names.is_empty() {
        return "no object, but outputs, checks or settings".to_owned();
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
