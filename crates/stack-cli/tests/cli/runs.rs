//! Signals, exit codes, run records, and what lies beside the state.
#![expect(clippy::unwrap_used, reason = "a test without its run has failed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use crate::environment::Environment;

/// A run that waits for an answer of this listener in the middle.
fn slow(listener: &TcpListener) -> Environment {
    let port = listener.local_addr().unwrap().port();
    Environment::with(&format!(
        r#"
resource "stack_data" "before" {{}}
data "probe_http" "slow" {{
  url        = "http://127.0.0.1:{port}/"
  timeout    = 300
  depends_on = [stack_data.before]
}}
resource "stack_data" "after" {{
  input = data.probe_http.slow.status
}}
"#
    ))
}

/// Waits for the request of the probe.
fn asked(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) = listener.accept().unwrap();
    let mut some = [0; 16];
    connection.read_exact(&mut some).unwrap();
    connection
}

fn answer(mut connection: TcpStream) {
    connection
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .unwrap();
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Reads lines until one holds the text.
fn until(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) {
    for line in lines {
        if line.unwrap().contains(text) {
            return;
        }
    }
    panic!("the output ends before {text:?}");
}

fn exit_of(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn one_signal_lets_running_calls_end_and_starts_nothing() {
    for name in ["-INT", "-TERM"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let environment = slow(&listener);
        let mut child = environment.start(&["apply", "--auto-approve"]);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let connection = asked(&listener);
        signal(&child, name);
        until(&mut lines, "running calls may end");
        answer(connection);
        until(&mut lines, "Read complete");
        until(&mut lines, "stack_data.after: Skipped, because interrupted");
        until(&mut lines, "Apply interrupted. 1 added");
        assert_eq!(exit_of(child), Some(130));
        assert_eq!(environment.run(&["state", "list"]).out, "stack_data.before\n");
        // The next one goes on.
        let child = environment.start(&["apply", "--auto-approve"]);
        answer(asked(&listener));
        assert_eq!(exit_of(child), Some(0));
        let list = environment.run(&["state", "list"]).out;
        assert_eq!(list, "stack_data.after\nstack_data.before\n");
    }
}

#[test]
fn a_second_signal_abandons_what_runs_at_once_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = slow(&listener);
    let mut child = environment.start(&["apply", "--auto-approve"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let connection = asked(&listener);
    signal(&child, "-TERM");
    until(&mut lines, "running calls may end");
    signal(&child, "-INT");
    // The signal and what it does are told by different threads.
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    for said in [
        "Interrupted again",
        "data.probe_http.slow: Reading abandoned after",
        "stack_data.after: Skipped, because interrupted",
    ] {
        assert!(rest.iter().any(|line| line.contains(said)), "{rest:#?}");
    }
    assert_eq!(exit_of(child), Some(130));
    drop(connection);
    assert_eq!(environment.run(&["state", "list"]).out, "stack_data.before\n");
}

const FAILING: &str = r#"
resource "stack_data" "good" {
  input = "x"
}
resource "stack_data" "bad" {
  input = stack_data.good.id
  lifecycle {
    postcondition {
      condition     = self.output == "never"
      error_message = "It is not never."
    }
  }
}
resource "stack_data" "behind" {
  input = stack_data.bad.id
}
resource "stack_data" "aside" {
  depends_on = [stack_data.good]
}
"#;

#[test]
fn a_broken_branch_leaves_the_others_alone() {
    let environment = Environment::with(FAILING);
    let shown = environment.run(&["apply", "--auto-approve"]);
    assert_eq!(shown.code, 3, "{}", shown.all());
    assert!(
        shown.err.contains("stack_data.aside: Creation complete"),
        "{}",
        shown.all()
    );
    assert!(
        shown
            .err
            .contains("stack_data.behind: Skipped, because stack_data.bad failed"),
        "{}",
        shown.all()
    );
    let cause = "stack_data.bad: Creating failed after <time>: It is not never.";
    assert!(shown.err.contains(cause), "{}", shown.all());
}

#[test]
fn each_exit_code_has_its_case() {
    let environment = Environment::with("resource \"stack_data\" \"a\" {}\n");
    assert_eq!(environment.run(&["plan", "--detailed-exitcode"]).code, 2);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    assert_eq!(environment.run(&["plan", "--detailed-exitcode"]).code, 0);
    assert_eq!(environment.run(&["apply"]).code, 64);
    environment.write("main.hcl", "resource \"stack_data\" \"a\" {\n  x = 1\n}\n");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 1);
    let check = "variable \"no\" {\n  default = false\n}\ncheck \"c\" {\n  assert {\n    condition     = var.no\n    error_message = \"No.\"\n  }\n}\n";
    environment.write("main.hcl", check);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 4);
    // Stronger than a failed check: something failed after something was recorded.
    environment.write("main.hcl", &format!("{check}{FAILING}"));
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 3);
}

#[test]
fn runs_are_recorded_listed_and_shown_again() {
    let environment = Environment::with(
        "resource \"random_password\" \"p\" {\n  length = 30\n}\nresource \"stack_data\" \"a\" {\n  input = random_password.p.result\n}\noutput \"secret\" {\n  value     = random_password.p.result\n  sensitive = true\n}\noutput \"open\" {\n  value = \"shown\"\n}\n",
    );
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let secret = environment.run(&["output", "--raw", "secret"]).out;
    assert_eq!(secret.len(), 30);
    assert_eq!(environment.run(&["destroy", "--auto-approve"]).code, 0);
    let folder = environment.path(".stack/default/runs");
    let records: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(record.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(record).unwrap();
        assert!(!text.contains(&secret), "{text}");
        let lines = text.lines().map(serde_json::from_str);
        let lines: Vec<serde_json::Value> = lines.map(Result::unwrap).collect();
        let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
        assert_eq!(types.first().unwrap(), &"run");
        assert_eq!(types.last().unwrap(), &"run_ended");
        for ty in ["planned_change", "started", "finished", "change_summary"] {
            assert!(types.contains(&ty), "{ty} is not in {text}");
        }
        // What people saw is there as they saw it.
        let silent = [
            "asking",
            "apply_started",
            "remaining",
            "progress",
            "started",
            "finished",
        ];
        for line in lines
            .iter()
            .filter(|line| !silent.contains(&line["type"].as_str().unwrap()))
        {
            assert!(line["message"].is_string(), "{line}");
        }
    }
    let list = environment.run(&["history"]).out;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert!(lines[0].contains("stack destroy"), "{list}");
    let line = lines[1];
    assert!(line.contains("stack apply"), "{list}");
    assert!(line.contains("done") && line.contains("+2 ~0 -0"), "{list}");
    let run = line.split_whitespace().next().unwrap();
    let replayed = environment.run(&["history", run]).out;
    assert!(replayed.starts_with("stack apply by "), "{replayed}");
    for shown in [
        "\nstack_data.a will be created\n",
        "\nPlan: 2 to add, 0 to change, 0 to destroy.\n",
        "\nstack_data.a: Creation complete after ",
        "\nApply complete! 2 added, 0 changed, 0 destroyed.\n",
        "\nOutputs:\nopen = \"shown\"\nsecret = (sensitive value)\n",
        "\nEnded: done; 2 added, 0 changed, 0 destroyed, 0 forgotten; ",
    ] {
        assert!(replayed.contains(shown), "{shown} is not in {replayed}");
    }
    let json = environment.run(&["history", "--json"]).out;
    let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["ended"]["exit"]),
        (&"run".into(), &0.into())
    );
    assert_eq!(environment.run(&["history", "nothing"]).code, 1);
}

#[test]
fn a_killed_run_leaves_a_readable_beginning() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = slow(&listener);
    let mut child = environment.start(&["apply", "--auto-approve"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let connection = asked(&listener);
    until(&mut lines, "data.probe_http.slow: Reading...");
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(connection);
    let list = environment.run(&["history"]).out;
    assert!(list.contains("ended without a word"), "{list}");
    let run = list.split_whitespace().next().unwrap();
    let replayed = environment.run(&["history", run]).out;
    assert!(
        replayed.contains("stack_data.before: Creation complete") && replayed.contains("without a word"),
        "{replayed}"
    );
}

#[test]
fn a_record_that_cannot_be_written_stops_nothing_and_old_ones_go() {
    let environment = Environment::with("resource \"stack_data\" \"a\" {}\n");
    environment.write(".stack/default/runs", "in the way");
    let shown = environment.run(&["apply", "--auto-approve"]);
    assert!(
        shown.code == 0 && shown.err.contains("STK0542"),
        "{}",
        shown.all()
    );
    std::fs::remove_file(environment.path(".stack/default/runs")).unwrap();
    for number in 0..120 {
        environment.write(
            &format!(".stack/default/runs/20000101T000000Z-{number:08}.jsonl"),
            "",
        );
    }
    let serial = || {
        let text = std::fs::read_to_string(environment.path(".stack/default/state.json")).unwrap();
        text.lines()
            .find(|l| l.contains("\"serial\""))
            .unwrap()
            .to_owned()
    };
    let before = serial();
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    assert_eq!(serial(), before);
    let left = std::fs::read_dir(environment.path(".stack/default/runs"))
        .unwrap()
        .count();
    assert_eq!(left, 100);
}

#[test]
fn durations_lie_beside_the_state_and_damage_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = slow(&listener);
    let child = environment.start(&["apply", "--auto-approve"]);
    answer(asked(&listener));
    assert_eq!(exit_of(child), Some(0));
    let path = environment.path(".stack/default/durations.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("data.probe_http.slow") && !text.contains("stack_data"),
        "{text}"
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "{").unwrap();
    environment.write("main.hcl", "resource \"stack_data\" \"other\" {}\n");
    let shown = environment.run(&["apply", "--auto-approve"]);
    assert!(
        shown.code == 0 && shown.err.contains("are learned anew"),
        "{}",
        shown.all()
    );
    assert!(
        !environment
            .run(&["apply", "--auto-approve"])
            .err
            .contains("learned anew")
    );
}

#[test]
fn a_timeout_ends_a_read_and_is_recorded_without_a_change() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let environment = Environment::with(&format!(
        "data \"probe_http\" \"slow\" {{\n  url     = \"http://127.0.0.1:{port}/\"\n  timeout = 300\n  timeouts {{\n    read = \"1s\"\n  }}\n}}\n"
    ));
    let shown = environment.run(&["plan"]);
    assert!(
        shown.code == 1 && shown.err.contains("not done in time"),
        "{}",
        shown.all()
    );
    let with = |text: &str| {
        environment.write(
            "main.hcl",
            &format!("resource \"stack_data\" \"a\" {{\n{text}}}\n"),
        )
    };
    with("");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    with("  timeouts {\n    delete = \"1h30m\"\n  }\n");
    assert_eq!(environment.run(&["plan", "--detailed-exitcode"]).code, 0);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let state = std::fs::read_to_string(environment.path(".stack/default/state.json")).unwrap();
    assert!(state.contains("5400000"), "{state}");
}
