//! Values of the root module's variables.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_config::{MemorySources, VariableInput, load, render_value, variable_values};
use stack_core::{Diagnostics, Marks, Severity, SourceMap, Value};

const VARIABLES: &str = r#"
variable "text" {
  type    = string
  default = "d"
}
variable "number" {
  type    = number
  default = 1
}
variable "list" {
  type    = list(string)
  default = ["d"]
}
variable "untyped" {
  default = [1]
}
variable "any" {
  type    = any
  default = null
}
variable "object" {
  type    = object({ a = number, b = optional(string, "x") })
  default = { a = 1 }
}
variable "secret" {
  type      = string
  default   = "s"
  sensitive = true
}
variable "strict" {
  type     = string
  nullable = false
  default  = "kept"
}
"#;

fn values(inputs: &[VariableInput]) -> (BTreeMap<Arc<str>, Value>, Diagnostics, SourceMap) {
    values_of(VARIABLES, inputs)
}

fn values_of(text: &str, inputs: &[VariableInput]) -> (BTreeMap<Arc<str>, Value>, Diagnostics, SourceMap) {
    let mut loaded = load(&MemorySources::new().with("main.hcl", text), ".");
    let configuration = loaded
        .configuration
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics));
    let (values, diagnostics) = variable_values(&configuration, &mut loaded.sources, inputs);
    (values, diagnostics, loaded.sources)
}

fn argument(name: &str, text: &str) -> VariableInput {
    VariableInput::Argument {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn file(path: &str, text: &str) -> VariableInput {
    VariableInput::File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn shown(inputs: &[VariableInput], name: &str) -> String {
    let (values, diagnostics, _) = values(inputs);
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    render_value(&values[name])
}

fn complaint(inputs: &[VariableInput]) -> (String, String, usize) {
    let (_, diagnostics, sources) = values(inputs);
    let first = diagnostics.iter().next().expect("a diagnostic");
    let (span, _) = first.labels[0];
    let line = sources.line_column(span).unwrap().0;
    (
        first.summary.clone(),
        sources.get(span.file).unwrap().name.to_string(),
        line,
    )
}

#[test]
fn defaults_stand_where_nothing_is_given() {
    assert_eq!(shown(&[], "text"), "\"d\"");
    assert_eq!(shown(&[], "object"), "{\n  \"a\" = 1\n  \"b\" = \"x\"\n}");
    assert!(values(&[]).0["secret"].marks().contains(Marks::SENSITIVE));
}

#[test]
fn a_text_is_taken_as_the_type_says() {
    assert_eq!(shown(&[argument("text", "null")], "text"), "\"null\"");
    assert_eq!(shown(&[argument("text", "${x}")], "text"), "\"${x}\"");
    assert_eq!(shown(&[argument("number", "1e3")], "number"), "1000");
    assert_eq!(shown(&[argument("untyped", "plain")], "untyped"), "\"plain\"");
    assert_eq!(
        shown(&[argument("list", "[1, \"z\"]")], "list"),
        "tolist([\n  \"1\",\n  \"z\",\n])"
    );
    assert_eq!(shown(&[argument("any", "[1]")], "any"), "[\n  1,\n]");
    assert_eq!(
        shown(&[argument("object", "{a=2}")], "object"),
        "{\n  \"a\" = 2\n  \"b\" = \"x\"\n}"
    );
}

#[test]
fn the_last_input_wins() {
    let environment = VariableInput::Environment {
        name: "text".to_owned(),
        text: "environment".to_owned(),
    };
    let all = [
        environment,
        file("a.vars.hcl", "text = \"file\"\nnumber = 2"),
        argument("text", "argument"),
    ];
    assert_eq!(shown(&all[..1], "text"), "\"environment\"");
    assert_eq!(shown(&all[..2], "text"), "\"file\"");
    assert_eq!(shown(&all, "text"), "\"argument\"");
    assert_eq!(shown(&all, "number"), "2");
}

#[test]
fn files_hold_values_in_either_form() {
    assert_eq!(
        shown(&[file("a.vars.hcl", "list = [\n  \"x\",\n]")], "list"),
        "tolist([\n  \"x\",\n])"
    );
    let json = file(
        "a.json",
        r#"{"text": "${kept}", "number": 12345678901234567890, "object": {"a": 3}}"#,
    );
    assert_eq!(shown(std::slice::from_ref(&json), "text"), "\"${kept}\"");
    assert_eq!(
        shown(std::slice::from_ref(&json), "number"),
        "12345678901234567890"
    );
    assert_eq!(shown(&[json], "object"), "{\n  \"a\" = 3\n  \"b\" = \"x\"\n}");
}

#[test]
fn null_takes_the_default_where_it_is_no_value() {
    assert_eq!(
        shown(&[file("a.vars.hcl", "strict = null")], "strict"),
        "\"kept\""
    );
    assert_eq!(
        shown(&[file("a.vars.hcl", "text = null")], "text"),
        "tostring(null)"
    );
}

#[test]
fn what_does_not_fit_is_reported_where_it_comes_from() {
    let declared = |line| {
        (
            "Invalid value for input variable".to_owned(),
            "main.hcl".to_owned(),
            line,
        )
    };
    assert_eq!(complaint(&[argument("number", "abc")]), declared(6));
    assert_eq!(complaint(&[argument("object", "{}")]), declared(21));
    assert_eq!(
        complaint(&[argument("list", "notalist")]),
        (
            "Variables not allowed".to_owned(),
            "<value for var.list>".to_owned(),
            1
        )
    );
    assert_eq!(
        complaint(&[argument("list", "tolist([])")]),
        (
            "Function calls not allowed".to_owned(),
            "<value for var.list>".to_owned(),
            1
        )
    );
    assert_eq!(complaint(&[argument("list", "[")]).1, "<value for var.list>");
    assert_eq!(
        complaint(&[file("a.vars.hcl", "text = \"x\"\nnumber = []")]),
        (
            "Invalid value for input variable".to_owned(),
            "a.vars.hcl".to_owned(),
            2
        )
    );
    assert_eq!(
        complaint(&[file("a.vars.hcl", "text = var.x")]).0,
        "Variables not allowed"
    );
    assert_eq!(
        complaint(&[file("a.vars.hcl", "block {\n}")]).0,
        "Unsupported block type"
    );
}

#[test]
fn a_value_is_reported_once() {
    let (_, diagnostics, _) = values_of(
        "variable \"l\" {\n  type = list(string)\n}",
        &[argument("l", "nope")],
    );
    assert_eq!(diagnostics.iter().count(), 1, "{diagnostics}");
}

#[test]
fn values_for_nothing() {
    let (_, diagnostics, _) = values(&[argument("txet", "x")]);
    assert_eq!(diagnostics.0[0].severity, Severity::Error);
    assert_eq!(diagnostics.0[0].hints, ["did you mean \"text\"?"]);
    let environment = VariableInput::Environment {
        name: "nope".to_owned(),
        text: "x".to_owned(),
    };
    let (_, diagnostics, _) = values(&[
        environment,
        file("a.vars.hcl", "nope = 1"),
        file("b.json", r#"{"nope": 1}"#),
    ]);
    assert_eq!(
        diagnostics.iter().map(|d| d.severity).collect::<Vec<_>>(),
        [Severity::Warning; 2]
    );
}

#[test]
fn a_variable_without_default_must_be_given() {
    let (_, diagnostics, _) = values_of("variable \"v\" {}", &[]);
    assert_eq!(diagnostics.0[0].summary, "No value for required variable");
    let (values, _, _) = values_of("variable \"v\" {}", &[argument("v", "x")]);
    assert_eq!(values["v"], Value::from("x"));
}

#[test]
fn a_json_file_must_be_an_object() {
    for text in ["[1]", "{", "nope"] {
        let (_, diagnostics, _) = values(&[file("a.json", text)]);
        assert_eq!(diagnostics.0[0].summary, "Invalid variables file", "{text}");
    }
}

#[test]
fn a_converted_value_has_every_attribute() {
    let text = "variable \"v\" {\n  type    = list(object({ a = string, b = optional(number) }))\n  default = [{ a = \"x\" }]\n}";
    let (values, _, _) = values_of(text, &[]);
    assert_eq!(
        values["v"].ty().to_string(),
        "list(object({ a = string, b = number }))"
    );
}
