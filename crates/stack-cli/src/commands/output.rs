//! `stack output`

use std::collections::BTreeMap;

use clap::Args;
use stack_core::{Marks, Value};
use stack_state::State;

use super::split_folder;
use crate::document;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration (with a slash, or `.`) and the name of one output
    #[arg(value_name = "FOLDER|NAME", num_args = 0..=2)]
    arguments: Vec<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    /// As JSON, with sensitive values
    #[arg(long)]
    json: bool,
    /// A single text, number or bool without quotes
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let (folder, names) = split_folder(&self.arguments)?;
        let place = place_of(folder, &self.env)?;
        let outputs = |state: Option<State>| state.map(|state| state.outputs).unwrap_or_default();
        // The key is asked for only where something sensitive is shown.
        let masked = outputs(place.read_masked()?);
        let is_sensitive = |value: &Value| value.marks_deep().contains(Marks::SENSITIVE);
        let opens = match names[..] {
            [name] => masked.get(name).is_some_and(is_sensitive),
            _ => self.json && masked.values().any(is_sensitive),
        };
        let outputs = if opens { outputs(place.read()?) } else { masked };
        match names[..] {
            [] if self.raw => Err(CommandError::usage("--raw needs the name of an output.")),
            [] if self.json => {
                ui.data(&document::output_document(&outputs));
                Ok(Exit::Done)
            }
            [] => {
                if outputs.is_empty() {
                    ui.say("There are no outputs.\n");
                }
                ui.data(&lines(&outputs));
                Ok(Exit::Done)
            }
            [name] => self.one(ui, name, &outputs),
            _ => Err(CommandError::usage("More than one name is given.")),
        }
    }

    /// One output, on request also a sensitive one.
    fn one(&self, ui: &Ui, name: &str, outputs: &BTreeMap<String, Value>) -> Result<Exit, CommandError> {
        let Some(value) = outputs.get(name) else {
            let detail = format!("The state has no output \"{name}\".");
            let error = CommandError::new("STK0510", "Output not found", detail);
            let names: Vec<&str> = outputs.keys().map(String::as_str).collect();
            return Err(match names[..] {
                [] => error.hint("outputs are recorded by an apply"),
                _ => error.hint(&format!("the outputs are {}", names.join(", "))),
            });
        };
        let value = value.unmark_deep();
        let text = if self.json {
            document::raw_value(&value, true).get().to_owned()
        } else if self.raw {
            plain(name, &value)?
        } else {
            stack_config::render_value(&value)
        };
        let end = if self.raw { "" } else { "\n" };
        ui.data(&format!("{text}{end}"));
        Ok(Exit::Done)
    }
}

fn plain(name: &str, value: &Value) -> Result<String, CommandError> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(bool) => Ok(bool.to_string()),
        other => {
            let detail = format!(
                "The output \"{name}\" is a value of type {}, not a text.",
                other.ty().friendly_name()
            );
            Err(CommandError::new("STK0510", "Output is not a text", detail)
                .hint("use --json for values with members"))
        }
    }
}

/// All outputs, sensitive ones masked.
pub(super) fn lines(outputs: &BTreeMap<String, Value>) -> String {
    outputs
        .iter()
        .map(|(name, value)| format!("{name} = {}\n", stack_config::render_value(value)))
        .collect()
}
