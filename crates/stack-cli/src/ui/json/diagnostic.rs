//! A diagnostic in JSON.

use serde::Serialize;
use stack_core::{Diagnostic, Severity, SourceMap, Span};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(diagnostic: &Diagnostic, sources: &SourceMap) -> serde_json::Value {
        serde_json::to_value(DiagnosticWire::new(diagnostic, sources)).unwrap()
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
        let line = wire(&diagnostic, &sources);
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
        assert_eq!(line, wanted);

        let hidden = Diagnostic::error("STK0001", "Syntax", "Wrong.").at(span(1, 11..19));
        let text = wire(&hidden, &sources).to_string();
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
            assert_eq!(wire(&diagnostic, &sources)["code"], "STK0001");
        }
    }
}
