//! Diagnostics for people.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use stack_core::{Diagnostic, Diagnostics, Severity, SourceMap, Span};

use super::Paint;

/// Problems that are shown; nobody reads more, and each is shown with its place.
const MOST: usize = 100;

/// Further places of one problem that are named.
const MOST_PLACES: usize = 10;

/// All diagnostics. One that says the same of several places stands once, with the other places below it.
pub(crate) fn render_all(diagnostics: &Diagnostics, sources: &SourceMap, paint: Paint) -> String {
    let mut groups: Vec<Vec<&Diagnostic>> = Vec::new();
    let same = |a: &Diagnostic, b: &Diagnostic| {
        (a.severity, a.code, &a.summary, &a.detail, &a.hints)
            == (b.severity, b.code, &b.summary, &b.detail, &b.hints)
    };
    let (shown, left_out) = most(diagnostics, usize::MAX);
    let mut further = left_out;
    for diagnostic in shown {
        match groups.iter().position(|group| same(group[0], diagnostic)) {
            Some(group) => groups[group].push(diagnostic),
            None if groups.len() == MOST => further += 1,
            None => groups.push(vec![diagnostic]),
        }
    }
    let mut text: String = groups
        .iter()
        .map(|group| render(group[0], &group[1..], sources, paint))
        .collect();
    if further > 0 {
        let _ = write!(text, "{further} further problems are not shown.\n\n");
    }
    text
}

/// The first of a list, and how many others there are. Of a long one errors come before warnings.
pub(crate) fn most(diagnostics: &Diagnostics, count: usize) -> (Vec<&Diagnostic>, usize) {
    let mut all: Vec<&Diagnostic> = diagnostics.iter().collect();
    if all.len() > MOST {
        all.sort_by_key(|diagnostic| diagnostic.severity == Severity::Warning);
    }
    let left_out = all.len().saturating_sub(count);
    all.truncate(count);
    (all, left_out)
}

/// All diagnostics, one a line, each place of a problem on its own: for editors and logs.
pub(crate) fn render_short(diagnostics: &Diagnostics, sources: &SourceMap, paint: Paint) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| format!("{}\n", short(diagnostic, sources, paint)))
        .collect()
}

/// `main.hcl:2:5: error[STK0001]: Invalid operand: A number is needed.`
pub(crate) fn short(diagnostic: &Diagnostic, sources: &SourceMap, paint: Paint) -> String {
    let position = diagnostic.labels.first().and_then(|(span, _)| {
        let (line, column) = sources.line_column(*span)?;
        Some(format!("{}:{line}:{column}", sources.get(span.file)?.name))
    });
    let severity = match diagnostic.severity {
        Severity::Error => paint.red(&format!("error[{}]", diagnostic.code)),
        Severity::Warning => paint.yellow(&format!("warning[{}]", diagnostic.code)),
    };
    let one_line = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        normalize_untrusted_str(&words.join(" "))
    };
    let mut parts: Vec<String> = position.into_iter().collect();
    parts.push(severity);
    // Without a place in the text the object is all there is to find it by.
    if diagnostic.labels.is_empty() {
        parts.extend(about(diagnostic));
    }
    parts.extend(
        [&diagnostic.summary, &diagnostic.detail]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| one_line(text)),
    );
    parts.join(": ")
}

/// `module.a.aws_instance.b (main.hcl:12)`
fn place(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let position = diagnostic.labels.first().and_then(|(span, _)| {
        let (line, _) = sources.line_column(*span)?;
        Some(format!("{}:{line}", sources.get(span.file)?.name))
    });
    match (about(diagnostic), position) {
        (Some(about), Some(position)) => format!("{about} ({position})"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "once more".to_owned(),
    }
}

/// A diagnostic with its place in the text, the cause and the ways out; ends with an empty line.
fn render(diagnostic: &Diagnostic, others: &[&Diagnostic], sources: &SourceMap, paint: Paint) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(
        level
            .primary_title(diagnostic.summary.as_str())
            .id(diagnostic.code),
    );
    for element in places(diagnostic, sources) {
        group = match element {
            Place::Text(snippet) => group.element(snippet),
            Place::Position(origin) => group.element(origin),
        };
    }
    if let Some(note) = about(diagnostic) {
        group = group.element(Level::NOTE.with_name(Some("with")).message(note));
    }
    if !diagnostic.detail.is_empty() {
        group = group.element(
            Level::NOTE
                .with_name(Some("cause"))
                .message(normalize_untrusted_str(&diagnostic.detail)),
        );
    }
    if !others.is_empty() {
        let mut lines: Vec<String> = others
            .iter()
            .take(MOST_PLACES)
            .map(|d| place(d, sources))
            .collect();
        if others.len() > MOST_PLACES {
            lines.push(format!("and {} more", others.len() - MOST_PLACES));
        }
        group = group.element(Level::NOTE.with_name(Some("also")).message(lines.join("\n")));
    }
    for hint in &diagnostic.hints {
        group = group.element(
            Level::HELP
                .with_name(Some("hint"))
                .message(normalize_untrusted_str(hint)),
        );
    }
    let renderer = if paint.0 {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(160);
    let mut text = renderer.render(&[group]);
    if diagnostic.labels.is_empty()
        && let Some((title, rest)) = text.split_once('\n')
        && let Some((margin, rest)) = rest.split_once('\n')
        && without_colours(margin).trim() == "|"
    {
        // Without a place there is no text whose margin would have to go on.
        text = format!("{title}\n{rest}");
    }
    format!("{text}\n\n")
}

/// A line without the sequences that colour it.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let rest = parts.filter_map(|part| Some(part.split_once('m')?.1));
    std::iter::once(first).chain(rest).collect()
}

/// `aws_instance.a, attribute ami`
fn about(diagnostic: &Diagnostic) -> Option<String> {
    let address = diagnostic.address.as_ref()?;
    let path = diagnostic.path.as_ref().filter(|path| !path.0.is_empty());
    Some(path.map_or_else(
        || address.to_string(),
        |path| format!("{address}, attribute {path}"),
    ))
}

enum Place<'a> {
    Text(Snippet<'a, Annotation<'a>>),
    Position(Origin<'a>),
}

/// One snippet for each file that labels point into, the file of the first label first.
fn places<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Place<'a>> {
    let mut files: Vec<stack_core::FileId> = Vec::new();
    for (span, _) in &diagnostic.labels {
        if !files.contains(&span.file) {
            files.push(span.file);
        }
    }
    let mut out = Vec::new();
    for id in files {
        let Some(file) = sources.get(id) else { continue };
        if file.hidden {
            let first = diagnostic.labels.iter().find(|(span, _)| span.file == id);
            if let Some((line, column)) = first.and_then(|(span, _)| sources.line_column(*span)) {
                out.push(Place::Position(
                    Origin::path(&*file.name).line(line).char_column(column),
                ));
            }
            continue;
        }
        // The lines with labels and those between: a file may be long.
        let ranges = diagnostic.labels.iter().filter(|(span, _)| span.file == id);
        let ranges: Vec<Range<usize>> = ranges.map(|(span, _)| range(*span, &file.text)).collect();
        let first = ranges.iter().map(|r| r.start).min().unwrap_or(0);
        let last = ranges.iter().map(|r| r.end).max().unwrap_or(0);
        let from = file.text[..first].rfind('\n').map_or(0, |i| i + 1);
        let to = file.text[last..].find('\n').map_or(file.text.len(), |i| last + i);
        let above = file.text[..from].bytes().filter(|b| *b == b'\n').count();
        let mut snippet = Snippet::source(&file.text[from..to])
            .line_start(above + 1)
            .path(&*file.name)
            .fold(true);
        for (i, (span, note)) in diagnostic.labels.iter().enumerate() {
            if span.file != id {
                continue;
            }
            let kind = if i == 0 {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let place = range(*span, &file.text);
            let annotation = kind.span(place.start - from..place.end - from);
            let label = Some(note.as_str()).filter(|note| !note.is_empty());
            snippet = snippet.annotation(annotation.label(label));
        }
        out.push(Place::Text(snippet));
    }
    out
}

/// The bytes of a span, inside the text and at borders of characters; of several lines only the first.
fn range(span: Span, text: &str) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start as usize);
    let end = floor(span.end as usize).max(start);
    let line = text[start..end].find('\n').map_or(end, |length| start + length);
    start..line.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> SourceMap {
        let mut map = SourceMap::default();
        map.add("main.hcl", "a = 1\nb = \"é\" + x\n");
        map.add_hidden("secret.tfvars", "password = \"canary\" 5\n");
        map
    }

    fn span(file: u32, range: Range<usize>) -> Span {
        Span::new(stack_core::FileId(file), range)
    }

    #[test]
    fn place_caret_cause_and_hint_are_shown() {
        let diagnostic = Diagnostic::error("STK0001", "Invalid operand", "A number is needed.")
            .label(span(0, 10..14), "this is a string")
            .hint("use tonumber()");
        let text = render(&diagnostic, &[], &map(), Paint(false));
        assert!(text.contains("error[STK0001]: Invalid operand"), "{text}");
        assert!(text.contains("main.hcl:2:5"), "{text}");
        assert!(text.contains("^^^ this is a string"), "{text}");
        assert!(text.contains("cause: A number is needed."), "{text}");
        assert!(text.contains("hint: use tonumber()"), "{text}");
    }

    #[test]
    fn the_short_form_is_one_line_for_each_place() {
        let of = |start, detail: &str| {
            Diagnostic::error("STK0001", "Invalid operand", detail)
                .label(span(0, start..14), "note")
                .hint("use tonumber()")
        };
        let address = "stack_data.a".parse().unwrap();
        let mut nowhere = Diagnostic::warning("STK0002", "Odd", "");
        nowhere.address = Some(Box::new(address));
        let lines = "A number\n  is needed.\u{1b}[31m";
        let all = Diagnostics(vec![of(10, lines), of(0, lines), nowhere]);
        let text = render_short(&all, &map(), Paint(false));
        assert_eq!(
            text.replace('\u{241b}', "<esc>"),
            "main.hcl:2:5: error[STK0001]: Invalid operand: A number is needed.<esc>[31m\n\
             main.hcl:1:1: error[STK0001]: Invalid operand: A number is needed.<esc>[31m\n\
             warning[STK0002]: stack_data.a: Odd\n"
        );
        let coloured = render_short(&all, &map(), Paint(true));
        assert_eq!(without_colours(&coloured), text);
    }

    #[test]
    fn without_a_place_there_is_no_margin() {
        let diagnostic = Diagnostic::error("STK0001", "Wrong", "The cause.").hint("mend it");
        let plain = render(&diagnostic, &[], &map(), Paint(false));
        assert_eq!(
            plain,
            "error[STK0001]: Wrong\n = cause: The cause.\n = hint: mend it\n\n"
        );
        let coloured = render(&diagnostic, &[], &map(), Paint(true));
        assert_eq!(without_colours(&coloured), plain);
    }

    #[test]
    fn the_same_problem_in_several_places_stands_once() {
        let of = |range: Range<usize>| Diagnostic::error("STK0001", "Wrong", "The cause.").at(span(0, range));
        let other = Diagnostic::error("STK0001", "Wrong", "Another cause.");
        let all = Diagnostics(vec![of(0..1), other, of(6..7)]);
        let text = render_all(&all, &map(), Paint(false));
        assert_eq!(text.matches("error[STK0001]: Wrong").count(), 2, "{text}");
        assert!(text.contains("also: main.hcl:2"), "{text}");
    }

    #[test]
    fn of_very_many_problems_the_errors_are_shown_and_the_rest_is_counted() {
        let warning = |i: usize| Diagnostic::warning("STK0002", format!("Odd {i}"), "x");
        let mut all: Vec<Diagnostic> = (0..5000).map(warning).collect();
        all.push(Diagnostic::error("STK0001", "Wrong", "The cause.").at(span(0, 6..7)));
        let text = render_all(&Diagnostics(all), &map(), Paint(false));
        assert!(text.starts_with("error[STK0001]: Wrong"), "{text}");
        assert!(
            text.ends_with("4901 further problems are not shown.\n\n"),
            "{}",
            &text[text.len() - 80..]
        );
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let diagnostic = Diagnostic::error("STK0001", "Syntax", "Wrong.").at(span(1, 11..19));
        let text = render(&diagnostic, &[], &map(), Paint(false));
        assert!(
            text.contains("secret.tfvars:1:12") && !text.contains("canary"),
            "{text}"
        );
    }

    #[test]
    fn a_span_outside_the_text_does_not_end_the_program() {
        for range in [0..0, 5..400, 400..500, 12..13] {
            let diagnostic = Diagnostic::warning("STK0001", "Odd", "Odd.").at(span(0, range));
            assert!(render(&diagnostic, &[], &map(), Paint(false)).contains("warning[STK0001]: Odd"));
        }
    }
}
