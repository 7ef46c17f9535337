//! `stack version`

use clap::Args;

use crate::exit::Exit;
use crate::ui::Ui;
use crate::workspace::VERSION;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Touches no disk and starts nothing.
    pub(super) fn run(&self) -> Exit {
        let ui = Ui::new(self.json, true);
        let text = if self.json {
            format!("{{\"stack\":\"{VERSION}\"}}\n")
        } else {
            format!("stack {VERSION}\n")
        };
        ui.data(&text);
        Exit::Done
    }
}
