//! `stack destroy`

use clap::Args;
use stack_core::address::Target;
use stack_plan::{Mode, Options};

use super::apply::{Applying, Source};
use crate::arguments::{ApplyArguments, WorkspaceArguments};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::is_plan_file;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration [default: .]
    folder: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceArguments,
    /// Only this resource or module and what depends on it; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<Target>,
    /// Not this resource or module; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    exclude: Vec<Target>,
    /// Whether to read all objects from the real systems first
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    refresh: bool,
    #[command(flatten)]
    apply: ApplyArguments,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        if let Some(path) = self.folder.as_deref().filter(|path| is_plan_file(path)) {
            return Err(CommandError::usage(format!(
                "\"{path}\" is a file. Destroy starts from a folder of configuration."
            ))
            .hint(&format!("to carry out a saved plan, use `stack apply {path}`")));
        }
        let options = Options {
            mode: Mode::Destroy,
            refresh: self.refresh,
            targets: self.target.clone(),
            excludes: self.exclude.clone(),
            replace: Vec::new(),
        };
        let source = Source::Folder {
            folder: self.folder.as_deref(),
            workspace: &self.workspace,
            options,
        };
        Applying {
            ui,
            apply: &self.apply,
            command: "stack destroy",
        }
        .run(source)
    }
}
