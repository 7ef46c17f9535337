//! Mistakes in configurations, expected where they stand in `tests/configurations/*.hcl`.
//!
//! A file holds cases, each after a line `# case: TITLE`. Inside a case, `# file: NAME` starts another file of the
//! configuration (the first is `main.hcl`). Above a line stand the diagnostics expected in it, one a line:
//! `# error: CODE COLUMN-COLUMN Summary` or `# warning: …`, and below one of these perhaps `# hint: TEXT`. Diagnostics
//! without a place stand at the top with the columns `0-0`. What is not expected fails the test, and so does what is
//! expected and missing. With `STACK_UPDATE=1` in the environment the files are rewritten as found.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use common::Known;
use stack_config::{MemorySources, load, validate};
use stack_core::{Diagnostics, Severity, SourceMap};

/// What is found in one line of one file, in order.
type Found = BTreeMap<(String, usize), Vec<String>>;

fn found(diagnostics: &Diagnostics, sources: &SourceMap) -> Found {
    let mut out = Found::new();
    for d in diagnostics.iter() {
        let severity = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (key, columns) = match d.labels.first() {
            None => (("main.hcl".to_owned(), 1), "0-0".to_owned()),
            Some((span, _)) => {
                let file = sources.get(span.file).unwrap();
                let (line, start) = sources.line_column(*span).unwrap();
                let text = &file.text[span.start as usize..span.end as usize];
                let width = text.lines().next().unwrap_or("").chars().count();
                (
                    (file.name.to_string(), line),
                    format!("{start}-{}", start + width),
                )
            }
        };
        let lines = out.entry(key).or_default();
        lines.push(format!("# {severity}: {} {columns} {}", d.code, d.summary));
        lines.extend(d.hints.iter().map(|hint| format!("# hint: {hint}")));
    }
    out
}

fn is_annotation(line: &str) -> bool {
    ["# error: ", "# warning: ", "# hint: "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// A case as it should be written.
fn annotated(case: &str) -> String {
    let mut files: Vec<(String, Vec<&str>)> = vec![("main.hcl".to_owned(), Vec::new())];
    let mut lines = case.lines();
    let title = lines.next().unwrap();
    for line in lines.filter(|line| !is_annotation(line)) {
        match line.strip_prefix("# file: ") {
            Some(name) => files.push((name.to_owned(), Vec::new())),
            None => files.last_mut().unwrap().1.push(line),
        }
    }
    let sources = files.iter().fold(MemorySources::new(), |sources, (name, lines)| {
        sources.with(
            name,
            lines.iter().map(|line| format!("{line}\n")).collect::<String>(),
        )
    });
    let loaded = load(&sources, ".");
    let mut diagnostics = loaded.diagnostics;
    if let Some(configuration) = &loaded.configuration {
        diagnostics.extend(validate(configuration, &Known::new()));
    }
    let mut found = found(&diagnostics, &loaded.sources);
    let mut out = format!("{title}\n");
    for (i, (name, lines)) in files.iter().enumerate() {
        if i > 0 {
            writeln!(out, "# file: {name}").unwrap();
        }
        for (line, text) in lines.iter().enumerate() {
            for annotation in found.remove(&(name.clone(), line + 1)).unwrap_or_default() {
                writeln!(out, "{annotation}").unwrap();
            }
            writeln!(out, "{text}").unwrap();
        }
    }
    assert!(
        found.is_empty(),
        "{title}: diagnostics in lines that are not there: {found:?}"
    );
    out
}

#[test]
fn every_mistake_is_reported_in_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configurations");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut out = String::new();
        for case in text.split("# case: ").skip(1) {
            out.push_str("# case: ");
            out.push_str(&annotated(case));
            cases += 1;
        }
        if std::env::var_os("STACK_UPDATE").is_some() {
            std::fs::write(&path, &out).unwrap();
        } else if out != text {
            let expected: Vec<&str> = text.lines().collect();
            let missing: Vec<&str> = expected
                .iter()
                .copied()
                .filter(|l| !out.lines().any(|o| o == *l))
                .collect();
            let surplus: Vec<&str> = out.lines().filter(|l| !expected.contains(l)).collect();
            wrong.push(format!(
                "{}: missing {missing:#?}, not expected {surplus:#?}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 50, "only {cases} cases were found");
}
