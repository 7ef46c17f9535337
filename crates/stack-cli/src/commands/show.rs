//! `stack show`

use clap::Args;
use stack_state::State;

use crate::arguments::VariableArguments;
use crate::document;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::registry;
use crate::ui::plan::{PlanView, recorded};
use crate::ui::{Ui, recovery};
use crate::workspace::{Workspace, is_plan_file, place_of, read_plan_file};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A saved plan, or the folder of a configuration, whose state is shown [default: .]
    #[arg(value_name = "FOLDER|PLAN")]
    path: Option<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    #[command(flatten)]
    variables: VariableArguments,
    /// As JSON, with sensitive values
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        match self.path.as_deref().filter(|path| is_plan_file(path)) {
            Some(path) => self.plan(ui, path),
            None => self.state(ui),
        }
    }

    fn plan(&self, ui: &Ui, path: &str) -> Result<Exit, CommandError> {
        let file = read_plan_file(path)?;
        let workspace = Workspace::saved(&file, &self.variables)?;
        let plan = stack_engine::replay(workspace.input(file.planned_for(), &file.options), &file.answers)
            .map_err(|diagnostics| CommandError::from(diagnostics).with_sources(&workspace.map))?;
        let findings = file.recovery.as_ref().map_or(&[][..], |looked| &looked.findings);
        if self.json {
            ui.data(&document::plan_document(&document::PlanFacts {
                plan: &plan,
                findings,
                options: &file.options,
                configuration: &workspace.configuration,
                catalog: &*workspace.providers,
                variables: &file.variables,
                timestamp: &file.timestamp,
            }));
        } else {
            let view = PlanView {
                plan: &plan,
                catalog: &*workspace.providers,
                paint: ui.out_paint(),
            };
            ui.data(&recovery::render(findings, ui.out_paint()));
            ui.data(&view.render());
        }
        Ok(Exit::Done)
    }

    fn state(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let place = place_of(self.path.as_deref(), &self.env)?;
        if self.json {
            ui.data(&document::state_document(place.read()?.as_ref()));
            return Ok(Exit::Done);
        }
        match place.read_masked()?.filter(|state| !state.is_empty()) {
            None => ui.say("Nothing is recorded.\n"),
            Some(state) => ui.data(&text(ui, &state)),
        }
        Ok(Exit::Done)
    }
}

/// Every object and output for people; sensitive values are masked.
fn text(ui: &Ui, state: &State) -> String {
    let providers = registry::providers();
    let mut out = String::new();
    for (address, deposed, object) in state.objects() {
        out.push_str(&recorded(&providers, ui.out_paint(), address, deposed, object));
        out.push('\n');
    }
    if !state.outputs.is_empty() {
        out.push_str("Outputs:\n\n");
        out.push_str(&super::output::lines(&state.outputs));
    }
    out
}
