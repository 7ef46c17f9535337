//! Every expression of `tests/language/console-dev.jsonl`, evaluated as `stack console` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use stack_config::{EachPart, MemorySources, PathKind, Reference, Scope, Sources, Subject, console_line};
use stack_core::{Diagnostic, Diagnostics, Marks, Mode, Value};

#[derive(Deserialize)]
struct Case {
    id: u32,
    area: String,
    expr: String,
    ok: bool,
    out: String,
}

/// An empty state in an empty folder.
struct Empty(MemorySources);

impl Scope for Empty {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        let fail = |summary: &str| {
            Err(Diagnostics::from(
                Diagnostic::error("TEST", summary, reference.to_string()).at(reference.span),
            ))
        };
        match &reference.subject {
            Subject::Path(PathKind::Module | PathKind::Root) => Ok(Value::from(".")),
            Subject::Path(PathKind::Cwd) => Ok(Value::from("/work")),
            Subject::Stack(name) if name.as_ref() == "environment" => Ok(Value::from("default")),
            Subject::Stack(_) => Ok(Value::from(false).mark(Marks::EPHEMERAL)),
            Subject::Variable(_) => fail("Reference to undeclared input variable"),
            Subject::Local(_) => fail("Reference to undeclared local value"),
            Subject::Module(_) => fail("Reference to undeclared module"),
            Subject::Resource {
                mode: Mode::Managed | Mode::Data,
                ..
            } => fail("Reference to undeclared resource"),
            Subject::CountIndex => fail("Reference to \"count\" in non-counted context"),
            Subject::Each(EachPart::Key | EachPart::Value) => {
                fail("Reference to \"each\" in context without for_each")
            }
            Subject::SelfObject => fail("Invalid \"self\" reference"),
        }
    }

    fn sources(&self) -> &dyn Sources {
        &self.0
    }

    fn module_dir(&self) -> &str {
        "."
    }

    fn timestamp(&self) -> Option<String> {
        Some("2024-05-01T12:00:00Z".to_owned())
    }

    fn random(&self) -> Option<[u8; 16]> {
        Some([7; 16])
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/language")
}

#[test]
fn expressions_answer_as_recorded() {
    let text = std::fs::read_to_string(folder().join("console-dev.jsonl")).unwrap();
    let ratchet = std::fs::read_to_string(folder().join("ratchet.toml")).unwrap();
    let floor: BTreeMap<&str, usize> = ratchet
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    let scope = Empty(MemorySources::new());
    let mut passed = BTreeMap::from([("values", 0_usize), ("errors", 0)]);
    let mut total = passed.clone();
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let kind = if case.ok { "values" } else { "errors" };
        let got = console_line(&case.expr, &scope);
        let good = match &got {
            Ok(out) => case.ok && format!("{out}\n") == case.out,
            Err(_) => !case.ok,
        };
        *total.get_mut(kind).unwrap() += 1;
        if good {
            *passed.get_mut(kind).unwrap() += 1;
        } else {
            let got = got.unwrap_or_else(|e| format!("error: {e}"));
            println!(
                "{} [{}] {}\n   expected: {:?}\n   got:      {:?}",
                case.id, case.area, case.expr, case.out, got
            );
        }
    }
    println!(
        "values {}/{}, errors {}/{}",
        passed["values"], total["values"], passed["errors"], total["errors"]
    );
    for (name, count) in &passed {
        assert!(
            count >= &floor[name],
            "{name}: {count} pass, {} passed before",
            floor[name]
        );
    }
}
