//! Everything that is shown. Data goes to standard output, everything else to standard error.

pub(crate) mod diagnostic;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod value;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use stack_core::{Diagnostics, SourceMap};
use stack_engine::event::Events;

/// How problems are shown to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DiagnosticForm {
    /// Each with its place in the text, cause and hints
    #[default]
    Full,
    /// One line each: FILE:LINE:COLUMN: error[CODE]: SUMMARY: CAUSE
    Short,
}
/// Diagnostics that are written as JSON.
const MOST_LINES: usize = 1000;

/// Where and how things are shown.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    /// One JSON object a line on standard output.
    pub(crate) json: bool,
    out: Paint,
    err: Paint,
    live: bool,
    diagnostics: DiagnosticForm,
}

impl Ui {
    /// How this process shows things.
    pub(crate) fn new(json: bool, no_color: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colors = !no_color && !set("NO_COLOR") && !dumb;
        let terminal = std::io::stderr().is_terminal();
        Self {
            json,
            out: Paint(colors && std::io::stdout().is_terminal()),
            err: Paint(colors && terminal),
            live: terminal && !dumb && !json,
            diagnostics: DiagnosticForm::Full,
        }
    }

    /// With another form of diagnostics.
    pub(crate) fn with_diagnostics(self, diagnostics: DiagnosticForm) -> Self {
        Self { diagnostics, ..self }
    }

    /// Colours for standard output.
    pub(crate) fn out_paint(&self) -> Paint {
        self.out
    }

    /// Colours for standard error.
    pub(crate) fn err_paint(&self) -> Paint {
        self.err
    }

    /// Writes data. A reader who has gone away is no error.
    pub(crate) fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes a message for people; nothing in JSON.
    pub(crate) fn say(&self, text: &str) {
        if !self.json {
            self.error_stream(text);
        }
    }

    /// Writes to standard error.
    pub(crate) fn error_stream(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }

    /// Shows diagnostics, all in one list.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics, sources: &SourceMap) {
        if self.json {
            // A line needs the place in its file, which may be long.
            let (shown, _) = diagnostic::most(diagnostics, MOST_LINES);
            for diagnostic in shown {
                self.data(&json::diagnostic_line(diagnostic, sources));
            }
        } else {
            self.error_stream(&match self.diagnostics {
                DiagnosticForm::Full => diagnostic::render_all(diagnostics, sources, self.err),
                DiagnosticForm::Short => diagnostic::render_short(diagnostics, sources, self.err),
            });
        }
    }

    /// Who takes the events of the engine.
    pub(crate) fn events(&self, sources: &SourceMap) -> Arc<dyn Progress> {
        if self.json {
            Arc::new(json::JsonEvents::new(self.clone(), sources.clone()))
        } else if self.live {
            Arc::new(live::LiveEvents::new(self.err))
        } else {
            Arc::new(human::PlainEvents::new(self.clone()))
        }
    }
}

/// Takes events and can put its display away.
pub(crate) trait Progress: Events {
    /// Removes what is drawn on the terminal; events after this are shown as lines.
    fn finish(&self);

    /// Takes JSON lines that are no events. People see their text elsewhere.
    fn lines(&self, text: &str) {
        let _ = text;
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
    /// Bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    /// Less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
    /// For what is removed or failed.
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }
    /// For what is made or done.
    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }
    /// For what changes.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }
    /// For what is read.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }
}
