//! Whole outputs of commands. The configurations use only types that reach nothing.

use insta::assert_snapshot;

use crate::environment::Environment;

const TWO: &str = r#"
variable "text" {
  default = "one"
}
resource "stack_data" "a" {
  input = { text = var.text, list = ["x", "y"] }
}
resource "stack_data" "b" {
  input = stack_data.a.id
}
output "text" {
  value = stack_data.a.output.text
}
output "secret" {
  value     = "canary"
  sensitive = true
}
"#;

#[test]
fn version_and_help() {
    let environment = Environment::new();
    assert_snapshot!(environment.run(&["version"]).all());
    assert_snapshot!(environment.run(&["--help"]).all());
}

#[test]
fn plan_apply_show_destroy() {
    let environment = Environment::with(TWO);
    assert_snapshot!("plan", environment.run(&["plan"]).all());
    assert_snapshot!(
        "apply",
        environment
            .run(&["apply", "--auto-approve", "--parallelism=1"])
            .all()
    );
    assert_snapshot!(
        "nothing to change",
        environment.run(&["plan", "--detailed-exitcode"]).all()
    );
    assert_snapshot!(
        "update",
        environment
            .run(&["plan", "--detailed-exitcode", "--var", "text=two"])
            .all()
    );
    assert_snapshot!("show", environment.run(&["show"]).all());
    assert_snapshot!("state list", environment.run(&["state", "list"]).all());
    assert_snapshot!(
        "state show",
        environment.run(&["state", "show", "stack_data.a"]).all()
    );
    assert_snapshot!("output", environment.run(&["output"]).all());
    assert_snapshot!("output json", environment.run(&["output", "--json"]).all());
    assert_eq!(environment.run(&["output", "secret", "--raw"]).out, "canary");
    assert_snapshot!(
        "destroy",
        environment
            .run(&["destroy", "--auto-approve", "--parallelism=1"])
            .all()
    );
    assert_eq!(environment.run(&["state", "list"]).out, "");
}

#[test]
fn a_secret_is_in_no_view_and_no_file() {
    let mut environment = Environment::with(TWO);
    let mut shown = environment.run(&["plan", "--out", "x.plan"]).all();
    shown.push_str(&environment.run(&["show", "x.plan"]).all());
    shown.push_str(&environment.run(&["apply", "--auto-approve", "x.plan"]).all());
    shown.push_str(&environment.run(&["show"]).all());
    shown.push_str(&environment.run(&["output"]).all());
    shown.push_str(&environment.run(&["plan", "--json"]).all());
    assert!(!shown.contains("canary"), "{shown}");
    let state = std::fs::read_to_string(environment.path(".stack/default/state.json")).unwrap();
    assert!(
        !state.contains("canary") && state.contains("stack_data"),
        "{state}"
    );
    environment.write(
        "other.hcl",
        "variable \"s\" {\n  sensitive = true\n  default   = \"canary\"\n}\n",
    );
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    let plan = std::fs::read(environment.path("x.plan")).unwrap();
    assert!(!String::from_utf8_lossy(&plan).contains("canary"));
    assert_eq!(environment.run(&["show", "x.plan"]).code, 0);
    environment.set("STACK_STATE_KEY", "b3RoZXIga2V5IG9mIHRoZSBjb21tYW5kIGxpbmUgaXM=");
    let refused = environment.run(&["show", "x.plan"]);
    assert!(
        refused.code == 1 && refused.err.contains("the key that the plan was made with"),
        "{}",
        refused.all()
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(environment.path("x.plan"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_a_key_an_apply_that_has_to_seal_does_not_begin() {
    let mut environment = Environment::with(
        "resource \"stack_data\" \"a\" {}\nresource \"random_password\" \"p\" {\n  length = 12\n}\n",
    );
    environment.set("STACK_STATE_KEY", "");
    let refused = environment.run(&["apply", "--auto-approve"]);
    assert!(
        refused.code == 1 && refused.err.contains("STK0504"),
        "{}",
        refused.all()
    );
    assert_eq!(environment.run(&["state", "list"]).out, "");
    environment.write("main.hcl", "resource \"stack_data\" \"a\" {}\n");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
}

#[test]
fn what_is_masked_anyway_needs_no_key() {
    let mut environment = Environment::with(
        "resource \"random_password\" \"p\" {\n  length = 12\n}\noutput \"p\" {\n  value     = random_password.p.result\n  sensitive = true\n}\noutput \"l\" {\n  value = random_password.p.length\n}\n",
    );
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let (shown, outputs) = (environment.run(&["show"]).out, environment.run(&["output"]).out);
    environment.set("STACK_STATE_KEY", "");
    assert_eq!(environment.run(&["show"]).out, shown);
    assert!(shown.contains("result      = (sensitive value)"), "{shown}");
    assert_eq!(environment.run(&["output"]).out, outputs);
    assert_eq!(environment.run(&["output", "l", "--raw"]).out, "12");
    assert_eq!(environment.run(&["state", "list"]).out, "random_password.p\n");
    for needs_it in [
        &["output", "p"][..],
        &["output", "--json"],
        &["show", "--json"],
        &["plan"],
    ] {
        let refused = environment.run(needs_it);
        assert!(
            refused.code == 1 && refused.err.contains("STACK_STATE_KEY"),
            "{needs_it:?}: {}",
            refused.all()
        );
    }
}

#[test]
fn a_saved_plan_reads_nothing_else_and_is_refused_once_stale() {
    let environment = Environment::with(TWO);
    assert_eq!(
        environment
            .run(&["plan", "--out", "x.plan", "--detailed-exitcode"])
            .code,
        2
    );
    environment.write("main.hcl", "this is no configuration any more");
    assert_eq!(environment.run(&["apply", "--auto-approve", "x.plan"]).code, 0);
    assert_snapshot!(environment.run(&["apply", "--auto-approve", "x.plan"]).all());
    let given = environment.run(&["apply", "--auto-approve", "x.plan", "--var", "text=two"]);
    assert!(
        given.code == 1 && given.err.contains("has settled all variables"),
        "{}",
        given.all()
    );
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "x.plan", "--destroy"])
            .code,
        64
    );
}

#[test]
fn without_terminal_and_approval_nothing_is_read() {
    let environment = Environment::with("syntax error {");
    assert_snapshot!(environment.run(&["apply"]).all());
    assert_eq!(environment.run(&["destroy"]).code, 64);
    assert_eq!(environment.run(&["apply", "no-such-folder"]).code, 64);
}

#[test]
fn mistakes_are_shown_with_place_and_hint() {
    let environment = Environment::with(
        "resource \"stack_data\" \"a\" {\n  inputt = 1\n}\noutput \"o\" {\n  value = stack_data.b.id\n}\n",
    );
    assert_snapshot!(environment.run(&["validate"]).all());
    let lines = environment.run(&["validate", "--json"]).out;
    let diagnostics: Vec<serde_json::Value> =
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(diagnostics[0]["type"], "version");
    assert_eq!(diagnostics[1]["diagnostic"]["range"]["start"]["line"], 2);
}

#[test]
fn variables_come_from_many_places_and_the_last_wins() {
    let mut environment = Environment::with("variable \"a\" {}\noutput \"a\" {\n  value = var.a\n}\n");
    environment.set("STACK_VAR_a", "environment");
    let value = |environment: &Environment, arguments: &[&str]| {
        let mut all = vec!["apply", "--auto-approve"];
        all.extend(arguments);
        assert_eq!(environment.run(&all).code, 0);
        environment.run(&["output", "--raw", "a"]).out
    };
    assert_eq!(value(&environment, &[]), "environment");
    environment.write("x.auto.vars.hcl", "a = \"automatic\"\n");
    assert_eq!(value(&environment, &[]), "automatic");
    environment.write("given.vars.hcl", "a = \"file\"\n");
    assert_eq!(
        value(
            &environment,
            &["--var", "a=argument", "--var-file", "given.vars.hcl"]
        ),
        "file"
    );
    assert_eq!(
        value(
            &environment,
            &["--var-file", "given.vars.hcl", "--var", "a=argument"]
        ),
        "argument"
    );
}

#[test]
fn the_folder_is_an_argument_and_the_state_lies_in_it() {
    let environment = Environment::new();
    environment.write(
        "plans/x/main.hcl",
        "output \"o\" {\n  value = file(\"${path.module}/text\")\n}\n",
    );
    environment.write("plans/x/text", "from beside the configuration");
    let applied = environment.run(&["apply", "--auto-approve", "plans/x", "--env", "feature-1"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    assert!(environment.path("plans/x/.stack/feature-1/state.json").exists());
    assert_eq!(
        environment
            .run(&["output", "--env", "feature-1", "plans/x", "o", "--raw"])
            .out,
        "from beside the configuration"
    );
    environment.write(
        "plans/x/stack.hcl",
        "stack {\n  backend \"local\" {\n    path = \"../../state/x\"\n  }\n}\n",
    );
    assert_eq!(environment.run(&["apply", "--auto-approve", "plans/x"]).code, 0);
    assert!(environment.path("state/x/default/state.json").exists());
}

#[test]
fn a_failed_check_is_a_code_of_its_own() {
    let environment = Environment::with(
        "resource \"stack_data\" \"a\" {\n  input = 1\n}\ncheck \"c\" {\n  assert {\n    condition     = stack_data.a.output == 2\n    error_message = \"It is not two.\"\n  }\n}\n",
    );
    assert_snapshot!(environment.run(&["apply", "--auto-approve"]).all());
    assert_eq!(environment.run(&["plan"]).code, 0);
    assert_eq!(environment.run(&["plan", "--fail-on-check"]).code, 4);
}

#[test]
fn an_apply_that_fails_in_the_middle_says_so() {
    let environment = Environment::with(
        "resource \"stack_data\" \"a\" {\n  input = 1\n}\nresource \"stack_data\" \"b\" {\n  input = stack_data.a.id\n  lifecycle {\n    postcondition {\n      condition     = self.output == \"x\"\n      error_message = \"Not x.\"\n    }\n  }\n}\n",
    );
    let shown = environment.run(&["apply", "--auto-approve"]);
    assert_eq!(shown.code, 3, "{}", shown.all());
    assert!(shown.err.contains("Not x."), "{}", shown.all());
}

#[test]
fn the_lock_keeps_a_second_writer_out() {
    let environment = Environment::with(TWO);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let lock = std::fs::File::open(environment.path(".stack/default/lock")).unwrap();
    lock.lock().unwrap();
    let shown = environment.run(&["apply", "--auto-approve"]);
    assert_eq!(shown.code, 5, "{}", shown.all());
    assert_eq!(environment.run(&["plan"]).code, 0);
    drop(lock);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
}

/// The first signal lets running calls end, the second abandons them; what is done stays recorded.
#[test]
fn two_interrupts_end_a_call_that_hangs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let environment = Environment::with(&format!(
        r#"
resource "stack_data" "a" {{}}
resource "tls_private_key" "k" {{
  algorithm = "ED25519"
}}
provider "host" {{
  address         = "127.0.0.1"
  port            = {port}
  user            = "root"
  private_key     = tls_private_key.k.private_key_openssh
  host_keys       = [tls_private_key.k.public_key_openssh]
  connect_timeout = 600
}}
resource "host_ready" "h" {{
  depends_on = [stack_data.a]
}}
"#
    ));
    let mut child = environment.start(&["apply", "--auto-approve"]);
    // Accepts the connection and never says a word.
    let connection = listener.accept().unwrap();
    let pid = child.id().to_string();
    let signal = || {
        assert!(
            std::process::Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut until = |text: &str| loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("the output ends before {text:?}"))
            .unwrap();
        if line.contains(text) {
            break;
        }
    };
    signal();
    until("running calls may end");
    signal();
    until("abandoned");
    until("Apply interrupted.");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(connection);
    let list = environment.run(&["state", "list"]).out;
    assert!(
        list.contains("stack_data.a") && list.contains("tls_private_key.k"),
        "{list}"
    );
}

#[test]
fn console_prints_each_line_and_stops_at_a_mistake() {
    let environment = Environment::new();
    assert_snapshot!(
        environment
            .run_with_input(&["console"], "1 + 1\n[\"a\"]\nnope(1)\n2\n")
            .all()
    );
}

#[test]
fn a_saved_plan_is_shown_as_a_document() {
    let environment = Environment::with(TWO);
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    let text = environment.run(&["show", "--json", "x.plan"]).out;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let change = &document["resource_changes"][1]["change"];
    assert_eq!(change["actions"], serde_json::json!(["create"]));
    assert_eq!(change["after"], serde_json::json!({"triggers_replace": null}));
    assert_eq!(
        change["after_unknown"],
        serde_json::json!({"id": true, "input": true, "output": true})
    );
    assert_eq!(document["output_changes"]["secret"]["after_sensitive"], true);
}
