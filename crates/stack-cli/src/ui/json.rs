//! Events as JSON, one object a line. The first line gives the version of the format.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use stack_core::{Diagnostic, ResourceAddress, Severity, SourceMap, Span};
use stack_engine::Finding;
use stack_engine::backend::Holder;
use stack_engine::event::{Doing, Event, Events};
use stack_plan::{Plan, Reason};
use stack_state::{CheckStatus, DeposedKey};

use super::human::line;
use super::plan::Counts;
use super::{Paint, Progress, Ui};
use crate::document::{actions, reason_name};
use crate::exit::Exit;
use crate::workspace::VERSION;

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

/// A diagnostic.
#[derive(Serialize)]
pub(crate) struct DiagnosticWire<'a> {
    severity: &'static str,
    code: &'a str,
    summary: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<RangeWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<SnippetWire<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelWire<'a>>,
    hints: &'a [String],
}

/// A place with its note; the first is the place of the problem.
#[derive(Serialize)]
struct LabelWire<'a> {
    range: RangeWire<'a>,
    text: &'a str,
}

/// The whole lines that a range lies in; offsets are bytes of `code`.
#[derive(Serialize)]
struct SnippetWire<'a> {
    code: &'a str,
    start_line: usize,
    highlight_start_offset: usize,
    highlight_end_offset: usize,
}

/// A place in a file; lines and columns count from 1, bytes from 0.
#[derive(Serialize)]
struct RangeWire<'a> {
    filename: &'a str,
    start: PositionWire,
    end: PositionWire,
}

#[derive(Serialize)]
struct PositionWire {
    line: usize,
    column: usize,
    byte: u32,
}

impl<'a> RangeWire<'a> {
    fn new(span: Span, sources: &'a SourceMap) -> Option<Self> {
        let position = |byte: u32| {
            let (line, column) = sources.line_column(Span {
                start: byte,
                end: byte,
                ..span
            })?;
            Some(PositionWire { line, column, byte })
        };
        Some(Self {
            filename: &sources.get(span.file)?.name,
            start: position(span.start)?,
            end: position(span.end)?,
        })
    }
}

impl<'a> SnippetWire<'a> {
    /// `None` where the text may not be shown.
    fn new(span: Span, sources: &'a SourceMap) -> Option<Self> {
        let file = sources.get(span.file).filter(|file| !file.hidden)?;
        let (start, end) = (span.start as usize, span.end as usize);
        let first = file.text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        // A range that ends behind the end of a line does not take in the next one.
        let inside = file.text.get(start..end)?.trim_end_matches('\n').len() + start;
        let last = file
            .text
            .get(inside..)?
            .find('\n')
            .map_or(file.text.len(), |at| inside + at);
        Some(Self {
            code: file.text.get(first..last)?,
            start_line: sources.line_column(span)?.0,
            highlight_start_offset: start - first,
            highlight_end_offset: inside - first,
        })
    }
}

impl<'a> DiagnosticWire<'a> {
    /// A diagnostic with its places.
    pub(crate) fn new(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Self {
        let first = diagnostic.labels.first().map(|(span, _)| *span);
        let labels = diagnostic.labels.iter().filter_map(|(span, text)| {
            let range = RangeWire::new(*span, sources)?;
            Some(LabelWire { range, text })
        });
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: diagnostic.code,
            summary: &diagnostic.summary,
            detail: &diagnostic.detail,
            address: diagnostic.address.as_ref().map(ToString::to_string),
            attribute: diagnostic.path.as_ref().map(ToString::to_string),
            range: first.and_then(|span| RangeWire::new(span, sources)),
            snippet: first.and_then(|span| SnippetWire::new(span, sources)),
            labels: labels.collect(),
            hints: &diagnostic.hints,
        }
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
        None,
    )
}

/// A diagnostic that belongs to no event.
pub(crate) fn diagnostic_line(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    write(
        Line::Diagnostic {
            diagnostic: DiagnosticWire::new(diagnostic, sources),
        },
        None,
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
        write(line, None)
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
            None,
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
        out.push_str(&write(line, None));
    }
    out.push_str(&summary_line("plan", Counts::of(plan)));
    out
}

/// How much of each thing was planned or done.
pub(crate) fn summary_line(operation: &str, counts: Counts) -> String {
    let Counts {
        import,
        add,
        change,
        destroy,
        forget,
    } = counts;
    write(
        Line::ChangeSummary {
            operation,
            import,
            add,
            change,
            remove: destroy,
            forget,
        },
        None,
    )
}

/// The outputs after an apply; sensitive ones are masked.
pub(crate) fn outputs_line(outputs: Box<RawValue>) -> String {
    write(Line::Outputs { outputs }, None)
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
    write(line, None)
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
    write(line, None)
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

    #[test]
    fn a_diagnostic_has_all_places_and_the_lines_of_the_first() {
        let mut sources = SourceMap::default();
        sources.add("main.hcl", "a = 1\nb = \"é\" + x\n");
        sources.add_hidden("secret.vars.hcl", "password = \"canary\" 5\n");
        let span = |file, range| Span::new(stack_core::FileId(file), range);
        let diagnostic = Diagnostic::error("STK0001", "Invalid operand", "A number is needed.")
            .label(span(0, 10..14), "this is a string")
            .label(span(0, 0..1), "declared here")
            .hint("use tonumber()");
        let line = parsed(&diagnostic_line(&diagnostic, &sources));
        let range = |start: [usize; 3], end: [usize; 3]| {
            let at = |[line, column, byte]: [usize; 3]| serde_json::json!({"line": line, "column": column, "byte": byte});
            serde_json::json!({"filename": "main.hcl", "start": at(start), "end": at(end)})
        };
        let wanted = serde_json::json!({
            "severity": "error", "code": "STK0001", "summary": "Invalid operand", "detail": "A number is needed.",
            "range": range([2, 5, 10], [2, 8, 14]),
            "snippet": {
                "code": "b = \"é\" + x", "start_line": 2, "highlight_start_offset": 4, "highlight_end_offset": 8
            },
            "labels": [
                {"range": range([2, 5, 10], [2, 8, 14]), "text": "this is a string"},
                {"range": range([1, 1, 0], [1, 2, 1]), "text": "declared here"},
            ],
            "hints": ["use tonumber()"],
        });
        assert_eq!(line["diagnostic"], wanted);

        let hidden = Diagnostic::error("STK0001", "Syntax", "Wrong.").at(span(1, 11..19));
        let text = diagnostic_line(&hidden, &sources);
        assert!(
            text.contains("secret.vars.hcl") && !text.contains("canary"),
            "{text}"
        );
    }

    #[test]
    fn a_span_outside_the_text_leaves_out_the_place() {
        let mut sources = SourceMap::default();
        sources.add("main.hcl", "b = \"é\"\n");
        for range in [0..0, 3..400, 400..500, 6..7, 0..9] {
            let diagnostic =
                Diagnostic::warning("STK0001", "Odd", "Odd.").at(Span::new(stack_core::FileId(0), range));
            assert_eq!(
                parsed(&diagnostic_line(&diagnostic, &sources))["diagnostic"]["code"],
                "STK0001"
            );
        }
    }
}
