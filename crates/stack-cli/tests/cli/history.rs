//! `stack history` and the run records behind it.

use crate::environment::Environment;

const CONFIGURATION: &str = r#"
variable "text" {
  default = "one"
}
resource "random_password" "p" {
  length  = 12
  keepers = { text = var.text }
}
resource "stack_data" "a" {
  input = sensitive("canary-${var.text}")
  lifecycle {
    postcondition {
      condition     = var.text != "bad"
      error_message = "This text is bad."
    }
  }
}
"#;

fn runs(environment: &Environment) -> Vec<serde_json::Value> {
    let shown = environment.run(&["history", "--json"]);
    assert_eq!(shown.code, 0, "{}", shown.all());
    serde_json::from_str::<serde_json::Value>(&shown.out)
        .unwrap()
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn every_run_is_listed_with_what_it_did_and_how_it_ended() {
    let environment = Environment::with(CONFIGURATION);
    assert!(runs(&environment).is_empty());
    assert!(environment.run(&["history"]).err.contains("No run is on record"));
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    assert_eq!(environment.run(&["plan"]).code, 0);
    let failed = environment.run(&["apply", "--auto-approve", "--var", "text=bad"]);
    assert_ne!(failed.code, 0, "{}", failed.all());
    assert_eq!(environment.run(&["destroy", "--auto-approve"]).code, 0);
    let runs = runs(&environment);
    let told: Vec<(String, i64, [u64; 3])> = runs
        .iter()
        .map(|run| {
            let count = |name: &str| run[name].as_u64().unwrap();
            let counts = [count("added"), count("changed"), count("destroyed")];
            (
                run["command"].as_str().unwrap().to_owned(),
                run["exit"].as_i64().unwrap(),
                counts,
            )
        })
        .collect();
    let wanted = [
        ("stack destroy".to_owned(), 0, [0, 0, 2]),
        ("stack apply".to_owned(), i64::from(failed.code), [0, 0, 0]),
        ("stack apply".to_owned(), 0, [2, 0, 0]),
    ];
    assert_eq!(told, wanted);
    let table = environment.run(&["history"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(
        lines[0].starts_with("RUN") && lines[3].contains("stack apply") && lines[3].contains("done"),
        "{table}"
    );
}

#[test]
fn a_run_is_shown_as_it_was_seen_and_holds_no_secret() {
    let environment = Environment::with(CONFIGURATION);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let name = runs(&environment)[0]["run"].as_str().unwrap().to_owned();
    let shown = environment.run(&["history", &name]);
    for wanted in [
        "stack_data.a: Creation complete",
        "random_password.p: Creating...",
        "stack apply by ",
        "2 added",
    ] {
        assert!(shown.out.contains(wanted), "no {wanted:?} in {}", shown.all());
    }
    let record =
        std::fs::read_to_string(environment.path(&format!(".stack/default/runs/{name}.jsonl"))).unwrap();
    assert!(
        !record.contains("canary") && !shown.out.contains("canary"),
        "{record}"
    );
    let unknown = environment.run(&["history", "2026-01-01T000000Z-0000"]);
    assert!(
        unknown.code == 1 && unknown.err.contains("STK0540"),
        "{}",
        unknown.all()
    );
}

#[test]
fn a_run_that_was_killed_leaves_what_it_had_said() {
    let environment = Environment::with(CONFIGURATION);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let name = runs(&environment)[0]["run"].as_str().unwrap().to_owned();
    let path = environment.path(&format!(".stack/default/runs/{name}.jsonl"));
    let whole = std::fs::read_to_string(&path).unwrap();
    // The process died in the middle of a line.
    let cut = whole.find("\"type\":\"finished\"").unwrap();
    std::fs::write(&path, &whole[..cut]).unwrap();
    let listed = &runs(&environment)[0];
    assert!(listed["exit"].is_null(), "{listed}");
    let shown = environment.run(&["history", &name]).out;
    assert!(
        shown.contains("Creating...") && shown.contains("no end on record"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_put_on_record_is_applied_all_the_same() {
    let environment = Environment::with(CONFIGURATION);
    environment.write(".stack/default/runs", "in the way");
    let applied = environment.run(&["apply", "--auto-approve"]);
    assert!(
        applied.code == 0 && applied.err.contains("STK0542"),
        "{}",
        applied.all()
    );
    assert_eq!(environment.run(&["plan", "--detailed-exitcode"]).code, 0);
}
