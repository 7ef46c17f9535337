//! Events as lines of text.

use std::time::Duration;

use stack_core::{Diagnostic, ResourceAddress};
use stack_engine::event::{Doing, Event, Events};
use stack_state::{CheckStatus, DeposedKey};

use super::{Paint, Progress, Ui};

/// One line an event, on standard error.
pub(crate) struct PlainEvents {
    ui: Ui,
}

impl PlainEvents {
    /// Lines in the colours of standard error.
    pub(crate) fn new(ui: Ui) -> Self {
        Self { ui }
    }
}

impl Events for PlainEvents {
    fn event(&self, event: Event) {
        if let Some(line) = line(&event, self.ui.err_paint()) {
            self.ui.error_stream(&format!("{line}\n"));
        }
    }
}

impl Progress for PlainEvents {
    fn finish(&self) {}
}

/// What is being done, as in `Creating...`.
pub(crate) fn doing_word(doing: Doing) -> &'static str {
    match doing {
        Doing::Refreshing => "Refreshing",
        Doing::Reading => "Reading",
        Doing::Previewing => "Previewing",
        Doing::Creating => "Creating",
        Doing::Updating => "Modifying",
        Doing::Deleting => "Destroying",
        Doing::Forgetting => "Forgetting",
        Doing::Importing => "Importing",
        Doing::Recovering => "Recovering",
    }
}

/// What has been done, as in `Creation complete`.
fn done_word(doing: Doing) -> &'static str {
    match doing {
        Doing::Refreshing => "Refresh complete",
        Doing::Reading => "Read complete",
        Doing::Previewing => "Preview complete",
        Doing::Creating => "Creation complete",
        Doing::Updating => "Modifications complete",
        Doing::Deleting => "Destruction complete",
        Doing::Forgetting => "Forgotten",
        Doing::Importing => "Import complete",
        Doing::Recovering => "Recovery complete",
    }
}

/// A span of time as people say it: `0.3s`, `12s`, `3m05s`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

/// The name of an object.
pub(crate) fn name(address: &ResourceAddress, deposed: Option<&DeposedKey>) -> String {
    deposed.map_or_else(
        || address.to_string(),
        |key| format!("{address} (deposed object {key})"),
    )
}

/// Why something failed, in one line.
fn cause(diagnostic: &Diagnostic) -> &str {
    match diagnostic.detail.lines().next() {
        Some(detail) if !detail.is_empty() => detail,
        _ => &diagnostic.summary,
    }
}

fn with_id(id: Option<&String>) -> String {
    id.map_or_else(String::new, |id| format!(" [id={id}]"))
}

/// The line of an event; some have none.
pub(crate) fn line(event: &Event, paint: Paint) -> Option<String> {
    Some(match event {
        Event::Asking { reads, data, previews } => {
            let parts = [(*reads, "object"), (*data, "data source"), (*previews, "preview")];
            let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| {
                if *n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
            });
            let what: Vec<String> = parts.collect();
            if what.is_empty() {
                return None;
            }
            paint.dim(&format!("Asking the real systems for {}", what.join(", ")))
        }
        Event::Started { doing: Doing::Refreshing | Doing::Previewing, .. }
        | Event::Finished { doing: Doing::Refreshing | Doing::Previewing | Doing::Recovering, .. }
        | Event::ApplyStarted { .. }
        | Event::Remaining { .. }
        | Event::Progress { .. } => return None,
        Event::Started { address, deposed, doing, id } => {
            format!("{}: {}...{}", paint.bold(&name(address, deposed.as_ref())), doing_word(*doing), with_id(id.as_ref()))
        }
        Event::Retrying { address, error, pause } => {
            let what = paint.yellow(&format!("{error}; next try in {}", elapsed(*pause)));
            format!("{}: {what}", paint.bold(&address.to_string()))
        }
        Event::Finished { address, deposed, doing, id, elapsed: time } => format!(
            "{}: {} after {}{}",
            paint.bold(&name(address, deposed.as_ref())),
            paint.green(done_word(*doing)),
            elapsed(*time),
            with_id(id.as_ref())
        ),
        Event::Failed { address, deposed, doing, elapsed: time, diagnostic } => format!(
            "{}: {} after {}: {}",
            paint.bold(&name(address, deposed.as_ref())),
            paint.red(&format!("{} failed", doing_word(*doing))),
            elapsed(*time),
            cause(diagnostic)
        ),
        Event::Abandoned { address, deposed, doing, elapsed: time } => format!(
            "{}: {} after {}",
            paint.bold(&name(address, deposed.as_ref())),
            paint.red(&format!("{} abandoned", doing_word(*doing))),
            elapsed(*time)
        ),
        Event::Skipped { address, because } => {
            let why = because.as_ref().map_or_else(|| "interrupted".to_owned(), |other| format!("{other} failed"));
            format!("{}: {}", paint.bold(&address.to_string()), paint.yellow(&format!("Skipped, because {why}")))
        }
        Event::Recovered { address, outcome } => {
            format!("{}: {}", paint.bold(&address.to_string()), paint.green(&format!("Recovered: {outcome}")))
        }
        Event::Check { address, status } => {
            let (text, messages) = match status {
                CheckStatus::Passed => (paint.green("passed"), ""),
                CheckStatus::Failed(m) => (paint.red("failed"), m.first().map_or("", String::as_str)),
                CheckStatus::Error(m) => (paint.red("could not be evaluated"), m.first().map_or("", String::as_str)),
                CheckStatus::Unknown => (paint.yellow("not evaluated"), ""),
            };
            let space = if messages.is_empty() { "" } else { ": " };
            format!("{}: {text}{space}{messages}", paint.bold(address))
        }
        Event::Diagnostic(diagnostic) => format!("{}: {}", paint.yellow("Note"), diagnostic),
        Event::Interrupted { abandoning: false } => paint.yellow(
            "Interrupted: nothing new is started, running calls may end. Interrupt again to abandon them.",
        ),
        Event::Interrupted { abandoning: true } => paint.red(
            "Interrupted again: running calls are abandoned. They are in the journal; the next apply finds out what became of them.",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let time = |ms| elapsed(Duration::from_millis(ms));
        assert_eq!(
            [time(40), time(9_940), time(59_900), time(185_000)],
            ["0.0s", "9.9s", "59s", "3m05s"]
        );
    }

    #[test]
    fn reads_of_a_refresh_are_told_in_one_line() {
        let asking = Event::Asking {
            reads: 1,
            data: 2,
            previews: 0,
        };
        assert_eq!(
            line(&asking, Paint(false)).unwrap(),
            "Asking the real systems for 1 object, 2 data sources"
        );
        let address: ResourceAddress = "stack_data.a".parse().unwrap();
        let started = Event::Started {
            address,
            deposed: None,
            doing: Doing::Refreshing,
            id: None,
        };
        assert_eq!(line(&started, Paint(false)), None);
    }
}
