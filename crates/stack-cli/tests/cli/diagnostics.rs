//! Mistakes as they are shown: all of them in one run, in every form.

use insta::assert_snapshot;

use crate::environment::Environment;

/// Ten mistakes: in three files of the root module and in a module. All are of the kind that shows once the blocks are
/// read: a mistake in the structure of blocks is reported with others of its kind, before these.
fn mistaken() -> Environment {
    let environment = Environment::with(
        r#"resource "stack_data" "a" {
  inputt = 1
}
resource "stack_dat" "b" {}
output "o" {
  value = stack_data.c.id
}
output "p" {
  value = stack_data.a.outptu
}
"#,
    );
    environment.write(
        "network.hcl",
        r#"resource "random_password" "p" {
  special = true
}
locals {
  x = lenght(["a"])
}
output "q" {
  value = var.sise
}
"#,
    );
    environment.write(
        "modules.hcl",
        r#"module "m" {
  source = "./m"
  nmae   = "x"
}
output "r" {
  value = module.m.nothing
}
"#,
    );
    environment.write(
        "m/main.hcl",
        r#"variable "name" {
  default = "x"
}
resource "stack_data" "inner" {
  input = local.nothing
}
"#,
    );
    environment
}

/// `STK0105` and so on, in the order of the text.
fn codes(text: &str) -> Vec<String> {
    let pieces = text.match_indices("error[STK");
    pieces.map(|(at, _)| text[at + 6..at + 13].to_owned()).collect()
}

#[test]
fn ten_mistakes_are_reported_by_one_run_in_every_form() {
    let environment = mistaken();
    let full = environment.run(&["validate"]).all();
    assert_snapshot!("full", full);
    let short = environment.run(&["validate", "--diagnostics", "short"]);
    assert_snapshot!("short", short.all());
    let json = environment.run(&["validate", "--json"]);
    let lines: Vec<serde_json::Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let diagnostics: Vec<&serde_json::Value> =
        lines.iter().filter_map(|line| line.get("diagnostic")).collect();
    assert_snapshot!("json", serde_json::to_string_pretty(&diagnostics).unwrap());

    assert_eq!(codes(&full).len(), 10, "{full}");
    assert_eq!(codes(&short.err).len(), 10, "{}", short.err);
    assert_eq!(short.err.lines().count(), 10, "{}", short.err);
    let of_json: Vec<&str> = diagnostics.iter().map(|d| d["code"].as_str().unwrap()).collect();
    assert_eq!(of_json, codes(&short.err));
    assert!(json.err.is_empty() && short.out.is_empty());
    for run in [json.code, short.code] {
        assert_eq!(run, 1);
    }
    // A place is the same in both forms.
    for (line, diagnostic) in short.err.lines().zip(&diagnostics) {
        let range = &diagnostic["range"];
        let start = &range["start"];
        let place = format!(
            "{}:{}:{}: ",
            range["filename"].as_str().unwrap(),
            start["line"],
            start["column"]
        );
        assert!(line.starts_with(&place), "{line} is not at {place}");
    }
}

#[test]
fn the_form_comes_from_the_environment_and_the_argument_wins() {
    let mut environment = Environment::with("output \"o\" {\n  value = var.x\n}\n");
    environment.set("STACK_DIAGNOSTICS", "short");
    let short = environment.run(&["plan"]);
    assert_eq!(short.err.lines().count(), 1, "{}", short.err);
    assert!(
        short.err.starts_with("main.hcl:2:11: error[STK0120]: "),
        "{}",
        short.err
    );
    let full = environment.run(&["plan", "--diagnostics=full"]);
    assert!(full.err.contains("= cause: "), "{}", full.err);
    let wrong = environment.run(&["plan", "--diagnostics=long"]);
    assert_eq!(wrong.code, 64, "{}", wrong.all());
}
