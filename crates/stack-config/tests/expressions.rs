//! What expressions give where values are unknown or marked, how texts become values, and what mistakes say.

use std::sync::Arc;

use stack_config::{
    Access, MemorySources, Reference, Scope, Sources, Subject, evaluate, evaluate_with, parse_expression,
    parse_template, render_value, type_constraint,
};
use stack_core::{Diagnostics, FileId, Marks, Type, Unknown, Value};

/// `var.NAME` from a list; nothing else.
struct Variables(Vec<(&'static str, Value)>, MemorySources);

impl Scope for Variables {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        match &reference.subject {
            Subject::Variable(name) => {
                let found = self.0.iter().find(|(n, _)| *n == name.as_ref());
                found.map(|(_, v)| v.clone()).ok_or_else(|| {
                    Diagnostics::from(
                        stack_core::Diagnostic::error(
                            "TEST",
                            "Reference to undeclared input variable",
                            name.to_string(),
                        )
                        .at(reference.span),
                    )
                })
            }
            other => panic!("no {other} here"),
        }
    }

    fn sources(&self) -> &dyn Sources {
        &self.1
    }

    fn module_dir(&self) -> &str {
        "."
    }
}

fn with(text: &str, variables: Vec<(&'static str, Value)>) -> Result<Value, Diagnostics> {
    evaluate(
        &parse_expression(text, FileId(0))?,
        &Variables(variables, MemorySources::new()),
    )
}

fn value(text: &str) -> Value {
    with(text, Vec::new()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn summary(text: &str) -> String {
    match with(text, Vec::new()) {
        Ok(value) => panic!("{text} gives {value:?}"),
        Err(diagnostics) => diagnostics.0[0].summary.clone(),
    }
}

fn unknown(ty: Type) -> Value {
    Value::unknown(ty)
}

fn not_null(ty: Type) -> Value {
    let mut unknown = Unknown::of(ty);
    unknown.not_null = true;
    Value::Unknown(Box::new(unknown))
}

#[test]
fn heredocs_lose_the_indentation_their_lines_share() {
    assert_eq!(
        value("<<-EOT\n    a\n      b\n\n    c\n    EOT\n"),
        Value::from("a\n  b\n\nc\n")
    );
    assert_eq!(value("<<EOT\n  a\nEOT"), Value::from("  a\n"));
    assert_eq!(
        value("<<-EOT\n  a ${1} b\nc\n  EOT\n"),
        Value::from("  a 1 b\nc\n")
    );
    assert_eq!(value("<<EOT\nEOT\n"), Value::from(""));
}

#[test]
fn directives_at_the_start_of_a_line_have_no_indentation() {
    let text = "<<-EOT\n  %{ if true }\n  a\n  %{ endif }\n  EOT\n";
    assert_eq!(value(text), Value::from("\na\n\n"));
    let text = "<<-EOT\n%{ for x in [1, 2] ~}\n    - ${x}\n%{ endfor ~}\nEOT\n";
    assert_eq!(value(text), Value::from("    - 1\n    - 2\n"));
}

#[test]
fn carriage_returns_survive_in_heredocs() {
    assert_eq!(value("<<EOT\r\na\r\nEOT\r\n"), Value::from("a\r\n"));
    assert_eq!(
        value("<<-EOT\r\n  a\r\n  b\r\n  EOT\r\n"),
        Value::from("a\r\nb\r\n")
    );
}

#[test]
fn a_heredoc_may_be_an_argument() {
    assert_eq!(value("upper(<<EOT\na\nEOT\n)"), Value::from("A\n"));
    assert_eq!(
        value("{\n  a = <<EOT\nx\nEOT\n  b = 1\n}").attribute("a"),
        Some(&Value::from("x\n"))
    );
}

#[test]
fn markers_inside_lines_do_not_end_a_heredoc() {
    assert_eq!(value("<<EOT\nEOT x\nEOTX\nEOT\n"), Value::from("EOT x\nEOTX\n"));
    assert_eq!(summary("<<EOT\nabc\n"), "Unterminated template string");
}

#[test]
fn escaped_markers_stand_for_themselves() {
    assert_eq!(
        value(r#""$${a} %%{b} $ % $$ $a""#),
        Value::from("${a} %{b} $ % $$ $a")
    );
    assert_eq!(value("<<EOT\n$${a} \\n\nEOT\n"), Value::from("${a} \\n\n"));
}

#[test]
fn trim_markers_take_the_space_up_to_the_end_of_the_line() {
    let sources = Variables(Vec::new(), MemorySources::new());
    let render = |text: &str| evaluate(&parse_template(text, FileId(0)).unwrap(), &sources).unwrap();
    assert_eq!(
        render("a\n%{ if true ~}\n  b\n%{ endif ~}\nc"),
        Value::from("a\n  b\nc")
    );
    assert_eq!(render("a  ${~ 1 ~}  b"), Value::from("a1b"));
    assert_eq!(render("${[1]}"), value("[1]"));
}

#[test]
fn duplicate_keys_take_the_last() {
    assert_eq!(value("{a = 1, a = 2}").attribute("a"), Some(&value("2")));
    assert_eq!(summary("{for x in [1, 2] : \"a\" => x}"), "Duplicate object key");
}

#[test]
fn unknown_values_keep_what_is_known_of_them() {
    let id = || vec![("id", not_null(Type::String))];
    assert_eq!(with("var.id == null", id()).unwrap(), Value::Bool(false));
    assert_eq!(
        with("startswith(\"pre-${var.id}\", \"pre-\")", id()).unwrap(),
        Value::Bool(true)
    );
    assert_eq!(
        with("startswith(\"pre-${var.id}\", \"post\")", id()).unwrap(),
        Value::Bool(false)
    );
    assert_eq!(
        with("\"pre-${var.id}\" == \"post-1\"", id()).unwrap(),
        Value::Bool(false)
    );
    for text in [
        "can(var.id)",
        "false && (var.id == \"a\")",
        "var.id == \"a\" ? \"a\" : \"a\"",
        "upper(var.id)",
    ] {
        assert!(!with(text, id()).unwrap().is_known(), "{text}");
    }
    assert_eq!(with("upper(var.id) == null", id()).unwrap(), Value::Bool(false));
    assert_eq!(
        with("(var.id == \"x\" ? [1] : [1, 2]) == null", id()).unwrap(),
        Value::Bool(false)
    );
}

#[test]
fn unknown_collections_have_unknown_members() {
    let list = || {
        vec![(
            "l",
            unknown(Type::list(Type::object([("a".to_owned(), Type::String)]))),
        )]
    };
    assert_eq!(with("var.l[*].a", list()).unwrap().ty(), Type::list(Type::String));
    assert_eq!(with("var.l[0].a", list()).unwrap(), unknown(Type::String));
    assert!(with("[for x in var.l : x.a]", list()).unwrap().ty() == Type::Dynamic);
    assert!(with("var.l[0].b", list()).is_err());
}

#[test]
fn marks_follow_values() {
    let secret = || vec![("s", Value::from("x").sensitive())];
    let marked = |text: &str| with(text, secret()).unwrap().marks().contains(Marks::SENSITIVE);
    for text in [
        "var.s",
        "\"a-${var.s}\"",
        "upper(var.s)",
        "var.s == \"x\"",
        "var.s == \"x\" ? 1 : 2",
        "join(\",\", [var.s])",
    ] {
        assert!(marked(text), "{text}");
    }
    let tuple = with("[var.s, 1]", secret()).unwrap();
    assert!(tuple.marks().is_empty() && tuple.marks_deep().contains(Marks::SENSITIVE));
    assert!(!marked("nonsensitive(var.s)"));
    assert!(!marked("length(var.s) > 0 ? \"a\" : \"b\"") || marked("length(var.s)"));
    assert_eq!(render_value(&tuple), "[\n  (sensitive value),\n  1,\n]");
}

#[test]
fn references_leave_out_variables_of_for() {
    let expr = parse_expression(
        "[for k, v in aws_instance.a[0].tags : \"${k}${var.x[\"y\"]}\" if v != local.z] == module.m.out[*].id",
        FileId(0),
    )
    .unwrap();
    let names: Vec<String> = expr.references().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "aws_instance.a[0].tags",
            "var.x[\"y\"]",
            "local.z",
            "module.m.out"
        ]
    );
    let first = &expr.references()[0];
    assert_eq!(
        first.rest,
        [Access::Index(0), Access::Attribute(Arc::from("tags"))]
    );
}

#[test]
fn names_may_be_bound_from_outside() {
    let expr = parse_expression("\"${ingress.value}-${var.x}\"", FileId(0)).unwrap();
    let name: Arc<str> = Arc::from("ingress");
    assert_eq!(expr.references_besides(std::slice::from_ref(&name)).len(), 1);
    let bound = [(name, Value::object([("value".to_owned(), Value::from(80))]))];
    let scope = Variables(vec![("x", Value::from("tcp"))], MemorySources::new());
    assert_eq!(
        evaluate_with(&expr, &scope, &bound).unwrap(),
        Value::from("80-tcp")
    );
}

#[test]
fn try_does_not_hide_what_is_not_declared() {
    assert_eq!(
        summary("try(var.nope, 1)"),
        "Reference to undeclared input variable"
    );
    assert_eq!(value("try(nope(1), 2)"), value("2"));
    assert_eq!(value("try(null.a, 5.a, \"x\")"), Value::from("x"));
}

#[test]
fn only_the_chosen_branch_may_fail() {
    assert_eq!(value("true ? 1 : [][0]"), value("1"));
    assert_eq!(summary("false ? 1 : [][0]"), "Invalid index");
}

#[test]
fn mistakes_name_place_and_way_out() {
    let error = with("{name = 1}.nmae", Vec::new()).unwrap_err();
    assert_eq!(error.0[0].hints, ["did you mean \"name\"?"]);
    let error = with("1 + uper(\"a\")", Vec::new()).unwrap_err();
    assert_eq!(error.0[0].hints, ["did you mean \"upper\"?"]);
    let span = error.0[0].labels[0].0;
    assert_eq!((span.start, span.end), (4, 8));
    let error = with("[1, [][0], {}.a]", Vec::new()).unwrap_err();
    assert_eq!(error.0.len(), 2, "both members are reported");
}

#[test]
fn deep_and_long_expressions_are_refused_or_evaluated_but_never_overflow() {
    let parentheses = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(summary(&parentheses), "Expression too deep");
    for text in [
        "[".repeat(5000),
        "{a=".repeat(5000),
        "-".repeat(5000),
        "\"${".repeat(5000),
        "a.*".repeat(5000),
    ] {
        assert!(parse_expression(&text, FileId(0)).is_err());
    }
    let sum = vec!["1"; 1500].join(" + ");
    assert_eq!(value(&sum), value("1500"));
    let nested = format!("{}1{}", "[".repeat(30), "]".repeat(30));
    assert!(value(&nested).is_wholly_known());
    let conditional = format!("{}1", "true ? 1 : ".repeat(5000));
    assert!(parse_expression(&conditional, FileId(0)).is_err());
}

#[test]
fn types_fill_defaults_of_optional_attributes() {
    let expr = parse_expression(
        "object({ name = string, port = optional(number, 80), tls = optional(object({ on = optional(bool, true) }), {}) })",
        FileId(0),
    )
    .unwrap();
    let constraint = type_constraint(&expr).unwrap();
    let full = constraint
        .apply(&value("{name = \"a\", port = null, extra = 1}"))
        .unwrap();
    assert_eq!(full.attribute("port"), Some(&value("80")));
    assert_eq!(
        full.attribute("tls").and_then(|t| t.attribute("on")),
        Some(&Value::Bool(true))
    );
    let error = constraint.apply(&value("{port = 1}")).unwrap_err();
    assert_eq!(error.to_string(), "attribute \"name\" is required");
    let wrong = type_constraint(&parse_expression("lst(string)", FileId(0)).unwrap());
    assert!(wrong.is_err());
}

#[test]
fn defaults_reach_into_collections() {
    let expr = parse_expression("map(list(object({ a = optional(string, \"x\") })))", FileId(0)).unwrap();
    let filled = type_constraint(&expr)
        .unwrap()
        .apply(&value("{k = [{}, {a = \"y\"}]}"))
        .unwrap();
    assert_eq!(
        render_value(&filled),
        "tomap({\n  \"k\" = tolist([\n    {\n      \"a\" = \"x\"\n    },\n    {\n      \"a\" = \"y\"\n    },\n  ])\n})"
    );
}

#[test]
fn templates_render_with_their_variables_only() {
    let sources = MemorySources::new()
        .with("t.tftpl", "%{ for x in xs ~}\n- ${x}\n%{ endfor ~}\n${n}")
        .with("deep", "${templatefile(\"deep\", {})}");
    let scope = Variables(
        vec![("t", Value::from("Hello ${name}%{ if big }!%{ endif }"))],
        sources,
    );
    let run = |text: &str| evaluate(&parse_expression(text, FileId(0)).unwrap(), &scope);
    assert_eq!(
        run("templatefile(\"t.tftpl\", {xs = [1, 2], n = \"x\"})").unwrap(),
        Value::from("- 1\n- 2\nx")
    );
    assert_eq!(
        run("templatestring(var.t, {name = \"Z\", big = true})").unwrap(),
        Value::from("Hello Z!")
    );
    let missing = run("templatefile(\"t.tftpl\", {xs = []})")
        .unwrap_err()
        .to_string();
    assert!(missing.contains("does not contain key \"n\""), "{missing}");
    assert!(
        run("templatefile(\"deep\", {})")
            .unwrap_err()
            .to_string()
            .contains("more than")
    );
    assert!(run("templatestring(\"x\", {})").is_err());
    assert!(run("templatefile(\"nope\", {})").is_err());
}
