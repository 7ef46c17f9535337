//! `stack history`

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::split_folder;
use crate::disk::cause;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::human::elapsed;
use crate::ui::{Ui, record};
use crate::workspace::place_of;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration (with a slash, or `.`) and the name of one run
    #[arg(value_name = "FOLDER|RUN", num_args = 0..=2)]
    arguments: Vec<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    /// As JSON: the list as one document, a run as one object a line
    #[arg(long)]
    json: bool,
}

/// What the lines of a record say that is used here; others are passed over.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    at: String,
    message: Option<String>,
    command: Option<String>,
    user: Option<String>,
    host: Option<String>,
    exit: Option<u8>,
    add: Option<usize>,
    change: Option<usize>,
    remove: Option<usize>,
    operation: Option<String>,
    diagnostic: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    severity: String,
    code: String,
    summary: String,
    detail: String,
}

/// One run of the list.
#[derive(Serialize)]
struct Run {
    run: String,
    started: String,
    command: String,
    user: String,
    host: String,
    /// Exit code; null where the run was killed, or still runs.
    exit: Option<u8>,
    added: usize,
    changed: usize,
    destroyed: usize,
    /// From the first line to the last, in seconds.
    seconds: f64,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let (folder, names) = split_folder(&self.arguments)?;
        let place = place_of(folder, &self.env)?;
        let state = place.backend.folder();
        match names[..] {
            [] => self.list(ui, state),
            [name] => self.one(ui, state, name),
            _ => Err(CommandError::usage("More than one run is named.")),
        }
    }

    fn list(&self, ui: &Ui, state: &Path) -> Result<Exit, CommandError> {
        let names = record::names(state).map_err(|error| unreadable(&record::folder(state), &error))?;
        let mut runs = Vec::new();
        for name in names {
            let path = record::folder(state).join(&name);
            let text = record::read(state, &name).map_err(|error| unreadable(&path, &error))?;
            runs.extend(summary(name, &text));
        }
        if self.json {
            let text = serde_json::to_string_pretty(&runs).unwrap_or_default();
            ui.data(&format!("{text}\n"));
        } else if runs.is_empty() {
            ui.say("No run is on record.\n");
        } else {
            ui.data(&table(&runs));
        }
        Ok(Exit::Done)
    }

    fn one(&self, ui: &Ui, state: &Path, name: &str) -> Result<Exit, CommandError> {
        let known = record::names(state).unwrap_or_default();
        if !known.iter().any(|known| known == name) {
            let detail = format!("There is no run \"{name}\" on record.");
            return Err(CommandError::new("STK0540", "Run not found", detail)
                .hint("`stack history` names all of them"));
        }
        let path = record::folder(state).join(name);
        let text = record::read(state, name).map_err(|error| unreadable(&path, &error))?;
        if self.json {
            ui.data(&text);
        } else {
            ui.data(&replay(name, &text));
        }
        Ok(Exit::Done)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CommandError {
    let detail = format!("{} could not be read: {}.", path.display(), cause(error));
    CommandError::new("STK0541", "Run record not readable", detail)
}

/// The lines of a record; the last may be cut where the run was killed.
fn lines(text: &str) -> impl DoubleEndedIterator<Item = Line> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A record in one line; `None` where not even its first line was written.
fn summary(run: String, text: &str) -> Option<Run> {
    let first = lines(text).next().filter(|line| line.kind == "run_started")?;
    let last = lines(text).next_back()?;
    let done = lines(text)
        .filter(|line| line.kind == "change_summary" && line.operation.as_deref() != Some("plan"))
        .last();
    let took = time(&last.at)? - time(&first.at)?;
    let count = |of: fn(&Line) -> Option<usize>| done.as_ref().and_then(of).unwrap_or(0);
    Some(Run {
        run,
        started: first.at,
        command: first.command.unwrap_or_default(),
        user: first.user.unwrap_or_default(),
        host: first.host.unwrap_or_default(),
        exit: last.exit.filter(|_| last.kind == "run_ended"),
        added: count(|line| line.add),
        changed: count(|line| line.change),
        destroyed: count(|line| line.remove),
        seconds: took.as_seconds_f64(),
    })
}

/// How a run ended, in words.
fn ended(exit: Option<u8>) -> String {
    match exit {
        None => "no end on record".to_owned(),
        Some(0) => "done".to_owned(),
        Some(1) => "failed, nothing recorded".to_owned(),
        Some(3) => "failed".to_owned(),
        Some(4) => "a check failed".to_owned(),
        Some(130) => "interrupted".to_owned(),
        Some(code) => format!("exit code {code}"),
    }
}

fn table(runs: &[Run]) -> String {
    let head = [
        "RUN",
        "STARTED",
        "COMMAND",
        "BY",
        "ENDED",
        "ADDED",
        "CHANGED",
        "DESTROYED",
        "TOOK",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for run in runs {
        let started = time(&run.started).map_or_else(
            || run.started.clone(),
            |t| format!("{} {:02}:{:02}:{:02}", t.date(), t.hour(), t.minute(), t.second()),
        );
        let took = std::time::Duration::try_from_secs_f64(run.seconds).unwrap_or_default();
        rows.push([
            run.run.clone(),
            started,
            run.command.clone(),
            format!("{}@{}", run.user, run.host),
            ended(run.exit),
            run.added.to_string(),
            run.changed.to_string(),
            run.destroyed.to_string(),
            elapsed(took),
        ]);
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A run as its user saw it.
fn replay(name: &str, text: &str) -> String {
    let mut out = String::new();
    for line in lines(text) {
        let shown = match (&line.diagnostic, line.message) {
            (_, Some(message)) => message,
            (Some(problem), None) => {
                format!(
                    "{}[{}]: {}: {}",
                    problem.severity, problem.code, problem.summary, problem.detail
                )
            }
            (None, None) => continue,
        };
        let clock = time(&line.at).map(|t| format!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second()));
        let _ = writeln!(out, "{}  {shown}", clock.unwrap_or_default());
    }
    if let Some(run) = summary(name.to_owned(), text) {
        let Run {
            command,
            user,
            host,
            added,
            changed,
            destroyed,
            ..
        } = &run;
        let _ = writeln!(
            out,
            "\n{command} by {user}@{host}: {}; {added} added, {changed} changed, {destroyed} destroyed.",
            ended(run.exit)
        );
    }
    out
}
