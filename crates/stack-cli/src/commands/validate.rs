//! `stack validate`

use clap::Args;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::Workspace;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration [default: .]
    folder: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let (warnings, sources) = Workspace::validate(self.folder.as_deref())?;
        ui.diagnostics(&warnings, &sources);
        ui.say(&format!(
            "{} The configuration is valid.\n",
            ui.err_paint().green("Success!")
        ));
        Ok(Exit::Done)
    }
}
