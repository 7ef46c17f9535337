//! `stack history`

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::split_folder;
use crate::disk::cause;
use crate::error::CommandError;
use crate::exit::{Exit, outcome};
use crate::ui::human::elapsed;
use crate::ui::{Ui, record};
use crate::workspace::place_of;

/// The end of a record is in its last bytes.
const TAIL: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the configuration (with a slash, or `.`) [default: .], and a run to show line by line
    #[arg(value_name = "FOLDER|RUN")]
    arguments: Vec<String>,
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = crate::arguments::environment)]
    env: String,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// The first line of a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Began {
    started: String,
    user: String,
    host: String,
    command: String,
    environment: String,
    stack: String,
}

/// Its last line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    exit: u8,
    add: u64,
    change: u64,
    remove: u64,
    forget: u64,
    duration_seconds: f64,
}

/// A run in the list.
#[derive(Debug, Serialize)]
struct Run {
    #[serde(rename = "type")]
    ty: &'static str,
    run: String,
    #[serde(flatten)]
    began: Option<Began>,
    ended: Option<Ended>,
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let (folder, names) = split_folder(&self.arguments)?;
        let environment = place_of(folder, &self.env)?.backend.folder().to_owned();
        let folder = record::folder(&environment);
        let unreadable = |error: io::Error| {
            let detail = format!(
                "The run records in {} could not be read: {}.",
                folder.display(),
                cause(&error)
            );
            CommandError::new("STK0541", "Run records not readable", detail)
        };
        let runs = record::names(&folder).map_err(unreadable)?;
        match names[..] {
            [] => {
                self.list(ui, &folder, &runs);
                Ok(Exit::Done)
            }
            [name] => {
                let found: Vec<&String> = runs.iter().filter(|run| run.contains(name)).collect();
                let [found] = found[..] else {
                    let what = if found.is_empty() { "No" } else { "More than one" };
                    let detail = format!("{what} run of this environment is named \"{name}\".");
                    return Err(CommandError::new("STK0540", "Run not found", detail).hint(
                        "`stack history` lists the runs; a part of a name is enough if it is in one only",
                    ));
                };
                let path = record::file(&folder, found);
                replay(ui, &path, self.json).map_err(unreadable)?;
                Ok(Exit::Done)
            }
            _ => Err(CommandError::usage("Name one run, or none for the list.")),
        }
    }

    fn list(&self, ui: &Ui, folder: &Path, names: &[String]) {
        let runs: Vec<Run> = names.iter().rev().map(|name| summary(folder, name)).collect();
        if self.json {
            for run in &runs {
                if let Ok(line) = serde_json::to_string(run) {
                    ui.data(&format!("{line}\n"));
                }
            }
            return;
        }
        if runs.is_empty() {
            ui.say("No run is recorded yet.\n");
            return;
        }
        let rows: Vec<[String; 6]> = runs.iter().map(row).collect();
        ui.data(&table(&rows));
    }
}

fn row(run: &Run) -> [String; 6] {
    let (who, command) = match &run.began {
        Some(began) => (format!("{}@{}", began.user, began.host), began.command.clone()),
        None => ("?".to_owned(), "?".to_owned()),
    };
    let (how, counts, time) = match &run.ended {
        Some(ended) => (
            outcome(ended.exit),
            format!("+{} ~{} -{}", ended.add, ended.change, ended.remove),
            elapsed(Duration::try_from_secs_f64(ended.duration_seconds).unwrap_or_default()),
        ),
        None => ("ended without a word".to_owned(), String::new(), String::new()),
    };
    [run.run.clone(), command, who, how, counts, time]
}

/// Columns as wide as they need to be.
fn table(rows: &[[String; 6]]) -> String {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What the first and the last line of a record say, as far as they are there.
fn summary(folder: &Path, name: &str) -> Run {
    let ends = || -> io::Result<(String, String)> {
        let mut file = File::open(record::file(folder, name))?;
        let mut first = String::new();
        BufReader::new((&file).take(TAIL)).read_line(&mut first)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        Ok((first, tail.lines().last().unwrap_or_default().to_owned()))
    };
    let (first, last) = ends().unwrap_or_default();
    Run {
        ty: "run",
        run: name.to_owned(),
        began: of_type(&first, "run"),
        ended: of_type(&last, "run_ended"),
    }
}

/// A line of this type.
fn of_type<T: serde::de::DeserializeOwned>(line: &str, ty: &str) -> Option<T> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    if value.get("type")?.as_str()? != ty {
        return None;
    }
    serde_json::from_value(value).ok()
}

/// Shows a record again as it was shown then: every line carries the text that people saw.
fn replay(ui: &Ui, path: &Path, as_json: bool) -> io::Result<()> {
    let mut ended = false;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&line) else {
            // The end of a run that was killed.
            continue;
        };
        if as_json {
            ui.data(&format!("{}\n", String::from_utf8_lossy(&line)));
            continue;
        }
        if value["type"] == "run_ended" {
            ended = true;
        }
        if let Some(text) = value["message"].as_str() {
            ui.data(&format!("{text}\n"));
        }
    }
    if !ended && !as_json {
        ui.data("The run ended without a word.\n");
    }
    Ok(())
}
