//! Documents in JSON, whole. Their shape was held against that of Terraform 1.11 for the same configurations.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use insta::assert_snapshot;
use serde_json::Value;

use crate::environment::Environment;

const MAIN: &str = r#"
variable "name" {
  type        = string
  default     = "x"
  description = "A name"
  validation {
    condition     = length(var.name) > 0
    error_message = "empty"
  }
}
variable "pw" {
  type      = string
  default   = "canary-default"
  sensitive = true
}
variable "deep" {
  default = { f = { g = 1 } }
}
locals {
  a = "${var.name}-l"
}
resource "stack_data" "a" {
  input            = "const"
  triggers_replace = [var.name, 1]
}
resource "stack_data" "b" {
  for_each   = toset(["p", "q"])
  input      = { k = stack_data.a.output, n = [local.a, each.key, var.deep.f.g], s = var.pw }
  depends_on = [stack_data.a]
  lifecycle {
    precondition {
      condition     = stack_data.a.input != ""
      error_message = "no"
    }
  }
}
resource "stack_data" "c" {
  count = 2
  input = stack_data.b["p"].output.k
}
resource "tls_self_signed_cert" "cert" {
  private_key_pem       = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER\n-----END PRIVATE KEY-----\n"
  validity_period_hours = 1
  allowed_uses          = []
  subject {
    common_name = var.name
  }
}
module "m" {
  source   = "./m"
  for_each = { z = 1 }
  x        = stack_data.c[0].id
  secret   = "canary-argument"
}
output "o" {
  value       = stack_data.b["p"].output
  sensitive   = true
  description = "out"
  depends_on  = [stack_data.c]
}
output "mo" {
  value = module.m["z"].y
}
check "ok" {
  assert {
    condition     = var.name != "y"
    error_message = "why"
  }
}
"#;

const MODULE: &str = r#"
variable "x" {}
variable "secret" {
  sensitive = true
}
resource "stack_data" "in" {
  input = var.x
}
output "y" {
  value = stack_data.in.output
}
"#;

fn environment() -> Environment {
    let environment = Environment::with(MAIN);
    environment.write("m/main.hcl", MODULE);
    environment
}

/// The document with what changes from run to run and from version to version masked.
fn document(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    for name in ["stack_version", "timestamp", "lineage"] {
        if value.get(name).is_some() {
            value[name] = "<masked>".into();
        }
    }
    if value.get("prior_state").is_some() {
        value["prior_state"]["stack_version"] = "<masked>".into();
    }
    value
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn of_a_plan() {
    let environment = environment();
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    let shown = environment.run(&["show", "--json", "x.plan"]);
    let document = document(&shown.out);
    let parts: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_snapshot!("parts of a plan", parts.join("\n"));
    let configuration = pretty(&document["configuration"]);
    for secret in ["canary", "PRIVATE KEY", "MC4CAQAwBQYDK2Vw"] {
        assert!(!configuration.contains(secret), "{configuration}");
        assert!(
            shown.out.contains(secret),
            "{secret} is nowhere, so its absence means nothing"
        );
    }
    assert_snapshot!("configuration", configuration);
    assert_snapshot!("checks", pretty(&document["checks"]));
    let change = |address: &str| {
        let changes = document["resource_changes"].as_array().unwrap();
        changes.iter().find(|c| c["address"] == address).unwrap()
    };
    assert_snapshot!("change", pretty(change("stack_data.b[\"p\"]")));
    assert_eq!(
        (&document["complete"], &document["errored"]),
        (&true.into(), &false.into())
    );

    let part = ["plan", "--target", "stack_data.a", "--out", "x.plan"];
    assert_eq!(environment.run(&part).code, 0);
    let shown = environment.run(&["show", "--json", "x.plan"]);
    assert_eq!(self::document(&shown.out)["complete"], false);
}

#[test]
fn of_a_replacement_and_a_state() {
    let environment = environment();
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "--parallelism=1"])
            .code,
        0
    );
    let plan = [
        "plan",
        "--var",
        "name=z",
        "--replace",
        "stack_data.c[1]",
        "--target",
        "stack_data.a",
        "--target",
        "stack_data.c",
        "--out",
        "x.plan",
    ];
    assert_eq!(environment.run(&plan).code, 0);
    let document = document(&environment.run(&["show", "--json", "x.plan"]).out);
    let reasons: Vec<String> = document["resource_changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["change"]["actions"] != serde_json::json!(["no-op"]))
        .map(|c| {
            let effect = &c["change"];
            let (actions, paths) = (&effect["actions"], &effect["replace_paths"]);
            format!("{} {actions} {} {paths}", c["address"], c["action_reason"])
        })
        .collect();
    assert_snapshot!("replacements", reasons.join("\n"));
    let prior = &document["prior_state"]["values"]["root_module"]["resources"][0];
    assert_eq!(prior["schema_version"], 0, "{prior}");

    let state = self::document(&environment.run(&["show", "--json"]).out);
    let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
    let without_key = |r: &&Value| r["type"] == "stack_data";
    let mut shown: Vec<Value> = resources.iter().filter(without_key).cloned().collect();
    shown.push(state["values"]["root_module"]["child_modules"].clone());
    assert_snapshot!("resources of a state", pretty(&shown.into()));
}

#[test]
fn of_nothing() {
    let environment = Environment::with("");
    let state = document(&environment.run(&["show", "--json"]).out);
    assert_snapshot!("empty state", pretty(&state));
    assert_eq!(environment.run(&["output", "--json"]).out, "{}\n");
}

#[test]
fn of_outputs() {
    let environment = Environment::with(
        r#"
output "map" {
  value = { a = 1, b = [true, null] }
}
output "set" {
  value = toset(["x"])
}
output "secret" {
  value     = { k = "canary" }
  sensitive = true
}
output "big" {
  value = 123456789012345678901234567890
}
"#,
    );
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    assert_snapshot!("outputs", environment.run(&["output", "--json"]).out);
    assert_eq!(
        environment.run(&["output", "--json", "secret"]).out,
        "{\"k\":\"canary\"}\n"
    );
    assert_eq!(
        environment.run(&["output", "--raw", "big"]).out,
        "123456789012345678901234567890"
    );
    let all = environment.run(&["output"]);
    assert!(!all.out.contains("canary"), "{}", all.out);
    for name in ["map", "set", "secret"] {
        let refused = environment.run(&["output", "--raw", name]);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        assert!(
            refused.err.contains("STK0510")
                && refused.err.contains("use --json")
                && !refused.err.contains("canary"),
            "{}",
            refused.err
        );
    }
}
