//! Events as JSON, one object a line. The first line gives the version of the format.

mod diagnostic;

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use stack_core::{Diagnostic, ResourceAddress, SourceMap};
use stack_engine::Finding;
use stack_engine::backend::Holder;
use stack_engine::event::{Doing, Event, Events};
use stack_plan::{Plan, Reason};
use stack_state::{CheckStatus, DeposedKey};

use super::human::{elapsed, line};
use super::plan::{Counts, drifted, titles};
use super::{Paint, Progress, Ui, recovery};
use crate::document::{actions, reason_name};
use crate::exit::{Exit, outcome};
use crate::workspace::VERSION;
use diagnostic::DiagnosticWire;

/// Version of the format: raised when a reader of an older one would misread a line.
const FORMAT: u32 = 1;

/// Writes events to standard output.
pub(crate) struct JsonEvents {
    ui: Ui,
    sources: SourceMap,
}

impl JsonEvents {
    /// Lines on standard output.
    pub(crate) fn new(ui: Ui, sources: SourceMap) -> Self {
        Self { ui, sources }
    }
}

impl Events for JsonEvents {
    fn event(&self, event: Event) {
        self.ui.data(&event_line(&event, &self.sources));
    }
}

impl Progress for JsonEvents {
    fn finish(&self) {}

    fn lines(&self, text: &str) {
        self.ui.data(text);
    }
}

/// One line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Version {
        format: u32,
        stack: &'a str,
    },
    Asking {
        reads: usize,
        data: usize,
        previews: usize,
    },
    ApplyStarted {
        operations: usize,
        estimate_seconds: f64,
    },
    Started {
        #[serde(flatten)]
        object: ObjectWire<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    Progress {
        address: String,
        text: &'a str,
    },
    Retrying {
        address: String,
        error: &'a str,
        pause_seconds: f64,
    },
    Finished {
        #[serde(flatten)]
        object: ObjectWire<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        elapsed_seconds: f64,
    },
    Failed {
        #[serde(flatten)]
        object: ObjectWire<'a>,
        elapsed_seconds: f64,
        diagnostic: DiagnosticWire<'a>,
    },
    Abandoned {
        #[serde(flatten)]
        object: ObjectWire<'a>,
        elapsed_seconds: f64,
    },
    /// `null` where nothing honest can be said.
    Remaining {
        left_seconds: Option<f64>,
    },
    /// First line of a run record.
    Run {
        format: u32,
        stack: &'a str,
        command: &'a str,
        environment: &'a str,
        user: &'a str,
        host: &'a str,
        pid: u32,
        started: &'a str,
    },
    /// Last line of a run record.
    RunEnded {
        exit: u8,
        add: usize,
        change: usize,
        remove: usize,
        forget: usize,
        duration_seconds: f64,
    },
    Skipped {
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    Recovered {
        address: String,
        outcome: &'a str,
    },
    Recovery {
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        deposed: Option<&'a str>,
        begun: &'static str,
        recover: &'static str,
        detail: &'a str,
    },
    Check {
        address: &'a str,
        status: &'static str,
        messages: &'a [String],
    },
    Diagnostic {
        diagnostic: DiagnosticWire<'a>,
    },
    Interrupted {
        abandoning: bool,
    },
    Drift {
        address: String,
        deleted: bool,
    },
    PlannedChange {
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        previous_address: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        deposed: Option<&'a str>,
        actions: &'static [&'static str],
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    ChangeSummary {
        operation: &'a str,
        import: usize,
        add: usize,
        change: usize,
        remove: usize,
        forget: usize,
    },
    Outputs {
        outputs: Box<RawValue>,
    },
}

/// An object that is worked on.
#[derive(Serialize)]
struct ObjectWire<'a> {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposed: Option<&'a str>,
    action: &'static str,
}

impl<'a> ObjectWire<'a> {
    fn new(address: &ResourceAddress, deposed: Option<&'a DeposedKey>, doing: Doing) -> Self {
        Self {
            address: address.to_string(),
            deposed: deposed.map(DeposedKey::as_str),
            action: doing_name(doing),
        }
    }
}

fn doing_name(doing: Doing) -> &'static str {
    match doing {
        Doing::Refreshing => "refresh",
        Doing::Reading => "read",
        Doing::Previewing => "preview",
        Doing::Creating => "create",
        Doing::Updating => "update",
        Doing::Deleting => "delete",
        Doing::Forgetting => "forget",
        Doing::Importing => "import",
        Doing::Recovering => "recover",
    }
}

/// A line with its time and, where there is one, its text for people.
#[derive(Serialize)]
struct Stamped<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten)]
    line: Line<'a>,
}

fn write(line: Line<'_>, message: Option<String>) -> String {
    let now = time::OffsetDateTime::now_utc();
    let at = now
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    let mut text = serde_json::to_string(&Stamped { at, message, line }).unwrap_or_default();
    text.push('\n');
    text
}

/// The first line of every command.
pub(crate) fn version_line() -> String {
    write(
        Line::Version {
            format: FORMAT,
            stack: VERSION,
        },
        Some(format!("stack {VERSION}")),
    )
}

/// A diagnostic that belongs to no event.
pub(crate) fn diagnostic_line(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    write(
        Line::Diagnostic {
            diagnostic: DiagnosticWire::new(diagnostic, sources),
        },
        Some(super::diagnostic::short(diagnostic, sources, Paint(false))),
    )
}

/// What an apply does first about operations that an earlier run began and did not end.
pub(crate) fn recovery_lines(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let line = Line::Recovery {
            address: finding.address.to_string(),
            deposed: finding.deposed.as_ref().map(DeposedKey::as_str),
            begun: finding.begun_word(),
            recover: finding.verdict.word(),
            detail: &finding.detail,
        };
        write(line, Some(recovery::line(finding, Paint(false))))
    };
    findings.iter().map(line).collect()
}

/// A plan: drift, changes, and their number.
pub(crate) fn plan_lines(plan: &Plan) -> String {
    let mut out = String::new();
    for drift in &plan.drift {
        out.push_str(&write(
            Line::Drift {
                address: drift.address.to_string(),
                deleted: drift.after.is_none(),
            },
            Some(drifted(drift)),
        ));
    }
    for change in &plan.changes {
        if change.action.is_no_op() && change.previous_address.is_none() && change.importing.is_none() {
            continue;
        }
        let line = Line::PlannedChange {
            address: change.address.to_string(),
            previous_address: change.previous_address.as_ref().map(ToString::to_string),
            deposed: change.deposed.as_ref().map(DeposedKey::as_str),
            actions: actions(change.action),
            reason: change
                .reason
                .as_ref()
                .and_then(|reason: &Reason| reason_name(reason, change.action)),
        };
        out.push_str(&write(line, titles(change).into_iter().next()));
    }
    let counts = Counts::of(plan);
    out.push_str(&summary_line("plan", counts, format!("Plan: {counts}.")));
    out
}

/// How much of each thing was planned or done, with its text for people.
pub(crate) fn summary_line(operation: &str, counts: Counts, message: String) -> String {
    let Counts {
        import,
        add,
        change,
        destroy,
        forget,
    } = counts;
    let line = Line::ChangeSummary {
        operation,
        import,
        add,
        change,
        remove: destroy,
        forget,
    };
    write(line, Some(message))
}

/// The outputs after an apply, with their text for people; sensitive ones are masked in both.
pub(crate) fn outputs_line(outputs: Box<RawValue>, message: String) -> String {
    write(Line::Outputs { outputs }, Some(message))
}

/// The first line of a run record.
pub(crate) fn run_line(who: &Holder, environment: &str) -> String {
    let line = Line::Run {
        format: FORMAT,
        stack: VERSION,
        command: &who.command,
        environment,
        user: &who.user,
        host: &who.host,
        pid: who.pid,
        started: &who.since,
    };
    let message = format!(
        "{} by {}@{}, started {}, environment {environment}, stack {VERSION}",
        who.command, who.user, who.host, who.since
    );
    write(line, Some(message))
}

/// The last line of a run record.
pub(crate) fn run_ended_line(exit: Exit, counts: Counts, time: Duration) -> String {
    let line = Line::RunEnded {
        exit: exit as u8,
        add: counts.add,
        change: counts.change,
        remove: counts.destroy,
        forget: counts.forget,
        duration_seconds: time.as_secs_f64(),
    };
    let message = format!(
        "Ended: {}; {} added, {} changed, {} destroyed, {} forgotten; {}",
        outcome(exit as u8),
        counts.add,
        counts.change,
        counts.destroy,
        counts.forget,
        elapsed(time)
    );
    write(line, Some(message))
}

/// An event.
pub(crate) fn event_line(event: &Event, sources: &SourceMap) -> String {
    let text = line(event, Paint(false));
    let line = match event {
        Event::Asking {
            reads,
            data,
            previews,
        } => Line::Asking {
            reads: *reads,
            data: *data,
            previews: *previews,
        },
        Event::ApplyStarted { operations, estimate } => Line::ApplyStarted {
            operations: *operations,
            estimate_seconds: estimate.as_secs_f64(),
        },
        Event::Started {
            address,
            deposed,
            doing,
            id,
        } => Line::Started {
            object: ObjectWire::new(address, deposed.as_ref(), *doing),
            id: id.as_deref(),
        },
        Event::Progress { address, text } => Line::Progress {
            address: address.to_string(),
            text,
        },
        Event::Retrying {
            address,
            error,
            pause,
        } => Line::Retrying {
            address: address.to_string(),
            error,
            pause_seconds: pause.as_secs_f64(),
        },
        Event::Finished {
            address,
            deposed,
            doing,
            id,
            elapsed,
        } => Line::Finished {
            object: ObjectWire::new(address, deposed.as_ref(), *doing),
            id: id.as_deref(),
            elapsed_seconds: elapsed.as_secs_f64(),
        },
        Event::Abandoned {
            address,
            deposed,
            doing,
            elapsed,
        } => Line::Abandoned {
            object: ObjectWire::new(address, deposed.as_ref(), *doing),
            elapsed_seconds: elapsed.as_secs_f64(),
        },
        Event::Remaining { left } => Line::Remaining {
            left_seconds: left.map(|left| left.as_secs_f64()),
        },
        Event::Failed {
            address,
            deposed,
            doing,
            elapsed,
            diagnostic,
        } => Line::Failed {
            object: ObjectWire::new(address, deposed.as_ref(), *doing),
            elapsed_seconds: elapsed.as_secs_f64(),
            diagnostic: DiagnosticWire::new(diagnostic, sources),
        },
        Event::Skipped { address, because } => Line::Skipped {
            address: address.to_string(),
            because: because.as_ref().map(ToString::to_string),
        },
        Event::Recovered { address, outcome } => Line::Recovered {
            address: address.to_string(),
            outcome,
        },
        Event::Check { address, status } => {
            let (status, messages) = match status {
                CheckStatus::Passed => ("pass", &[][..]),
                CheckStatus::Failed(messages) => ("fail", messages.as_slice()),
                CheckStatus::Error(messages) => ("error", messages.as_slice()),
                CheckStatus::Unknown => ("unknown", &[][..]),
            };
            Line::Check {
                address,
                status,
                messages,
            }
        }
        Event::Diagnostic(diagnostic) => Line::Diagnostic {
            diagnostic: DiagnosticWire::new(diagnostic, sources),
        },
        Event::Interrupted { abandoning } => Line::Interrupted {
            abandoning: *abandoning,
        },
    };
    write(line, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> serde_json::Value {
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["at"] = "now".into();
        value
    }

    #[test]
    fn a_line_is_one_object_with_a_type() {
        let address: ResourceAddress = "stack_data.a[\"x\"]".parse().unwrap();
        let event = Event::Started {
            address,
            deposed: None,
            doing: Doing::Creating,
            id: None,
        };
        let wanted = serde_json::json!({
            "at": "now", "type": "started", "address": "stack_data.a[\"x\"]", "action": "create",
            "message": "stack_data.a[\"x\"]: Creating...",
        });
        assert_eq!(parsed(&event_line(&event, &SourceMap::default())), wanted);
        assert_eq!(parsed(&version_line())["format"], FORMAT);
    }
}
