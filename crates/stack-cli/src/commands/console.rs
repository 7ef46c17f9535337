//! `stack console`

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use clap::Args;
use stack_config::configuration::ResourceKey;
use stack_config::{Reference, Scope, Sources};
use stack_core::{Diagnostics, FileId, InstanceKey, ModulePath, SourceMap, Value};
use stack_plan::{Evaluator, Expansion, InstanceScope, Options};
use stack_state::State;

use crate::arguments::WorkspaceArguments;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::registry;
use crate::ui::Ui;
use crate::workspace::{Workspace, now};

/// Asked for the next line on a terminal.
const PROMPT: &str = "> ";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration; without one there are only functions and literals [default: .]
    folder: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceArguments,
}

impl Arguments {
    /// Evaluates each line of standard input, and ends at the first mistake unless a person is typing.
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let workspace = if has_configuration(self.folder.as_deref().unwrap_or(".")) {
            Workspace::load(self.folder.as_deref(), &self.workspace)?
        } else {
            Workspace::empty(self.folder.as_deref(), &self.workspace)?
        };
        let state = workspace.place.read_or_new()?;
        let options = Options::default();
        let evaluator = Evaluator::new(workspace.input(&state, &options), true);
        put_in_recorded(&evaluator, &state);
        let scope = ConsoleScope {
            inside: evaluator.scope(&ModulePath::root()),
        };
        let known = registry::Known(&workspace.providers);
        let terminal = std::io::stdin().is_terminal();
        let mut input = std::io::stdin().lock();
        loop {
            if terminal {
                ui.error_stream(PROMPT);
            }
            let mut line = String::new();
            let length = input.read_line(&mut line).map_err(|error| {
                CommandError::new(
                    "STK0512",
                    "Input not readable",
                    crate::error::sentence(&error.to_string()),
                )
            })?;
            if length == 0 || terminal && matches!(line.trim(), "exit" | "quit") {
                return Ok(Exit::Done);
            }
            // What is not declared is a mistake wherever it stands, also where `try` would hide it.
            let declared = match stack_config::parse_expression(line.trim_end(), FileId(0)) {
                Ok(expr) => stack_config::validate_expression(&workspace.configuration, &known, &expr),
                Err(_) => Diagnostics::new(),
            };
            let answer = if declared.has_errors() {
                Err(declared)
            } else {
                stack_config::console_line(&line, &scope)
            };
            match answer {
                Ok(text) if text.is_empty() => {}
                Ok(text) => ui.data(&format!("{text}\n")),
                Err(mut diagnostics) => {
                    // The cause of a value that failed elsewhere is told by the evaluator.
                    diagnostics.extend(evaluator.take_diagnostics());
                    let mut map = SourceMap::default();
                    map.add("console", line);
                    let error = CommandError::from(diagnostics).with_sources(&map);
                    if !terminal {
                        return Err(error);
                    }
                    ui.diagnostics(&error.diagnostics, &error.sources);
                }
            }
        }
    }
}

/// The root module, with a clock and random numbers: what is typed is evaluated now.
struct ConsoleScope<'e, 'a> {
    inside: InstanceScope<'e, 'a>,
}

impl Scope for ConsoleScope<'_, '_> {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        self.inside.value(reference)
    }

    fn sources(&self) -> &dyn Sources {
        self.inside.sources()
    }

    fn module_dir(&self) -> &str {
        self.inside.module_dir()
    }

    fn provider_function(
        &self,
        provider: &str,
        name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, String>> {
        self.inside.provider_function(provider, name, arguments)
    }

    fn timestamp(&self) -> Option<String> {
        Some(now())
    }

    fn plan_timestamp(&self) -> Option<String> {
        self.inside.plan_timestamp()
    }

    fn random(&self) -> Option<[u8; 16]> {
        Some(*uuid::Uuid::new_v4().as_bytes())
    }
}

/// Whether a folder has configuration files.
fn has_configuration(folder: &str) -> bool {
    let entries = std::fs::read_dir(Path::new(folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.any(|name| name.ends_with(".hcl") && !name.ends_with(".vars.hcl"))
}

/// Gives the evaluator every recorded object.
fn put_in_recorded(evaluator: &Evaluator<'_>, state: &State) {
    let mut instances: BTreeMap<(ModulePath, ResourceKey), Vec<InstanceKey>> = BTreeMap::new();
    for (address, _, object) in state.objects().filter(|(_, deposed, _)| deposed.is_none()) {
        let resource = (address.module.clone(), ResourceKey::of(address));
        instances.entry(resource).or_default().push(address.key.clone());
        evaluator.set_object(address, object.attributes.clone());
    }
    for ((module, key), keys) in instances {
        evaluator.set_expansion(&module, &key, expansion(&keys));
    }
}

/// The expansion that has these instances.
fn expansion(keys: &[InstanceKey]) -> Expansion {
    let mut names = Vec::new();
    let mut count = None;
    for key in keys {
        match key {
            InstanceKey::None => {}
            InstanceKey::Name(name) => names.push((name.clone(), Value::NULL)),
            InstanceKey::Index(index) => count = count.max(Some(*index + 1)),
        }
    }
    match count {
        _ if !names.is_empty() => Expansion::ForEach(names),
        Some(count) => Expansion::Count(count),
        None => Expansion::Single,
    }
}
