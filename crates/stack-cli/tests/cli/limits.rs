//! Inputs that are too deep, too long, damaged or in a circle end with an error or a result, never with the program.

use std::fmt::Write as _;

use crate::environment::{Environment, Shown};

/// How deep things are nested: far more than any stack holds.
const DEEP: usize = 100_000;

/// Ten megabytes.
const LONG: usize = 10_000_000;

fn ended(name: &str, shown: &Shown) {
    assert!(
        matches!(shown.code, 0 | 1),
        "{name}: {}",
        shown.all().chars().take(2000).collect::<String>()
    );
    assert!(!shown.err.contains("panicked"), "{name}: {}", shown.err);
}

/// `part` with a number in the place of `@`, again and again, to ten megabytes.
fn long(part: &str) -> String {
    let mut text = String::with_capacity(LONG + part.len());
    let mut number = 0;
    while text.len() < LONG {
        text.push_str(&part.replace('@', &number.to_string()));
        number += 1;
    }
    text
}

#[test]
fn nesting_without_end_is_an_error_in_the_configuration_and_in_the_console() {
    let around =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(DEEP), close.repeat(DEEP));
    let cases = [
        ("parentheses", around("(", "1", ")")),
        ("tuples", around("[", "", "]")),
        ("objects", around("{a=", "1", "}")),
        ("signs", around("-", "1", "")),
        ("negations", around("!", "true", "")),
        ("templates", around("\"${", "1", "}\"")),
        ("conditionals", around("true?1:", "1", "")),
        ("conditionals inside", around("true?", "1", ":1")),
        ("indices", format!("[1]{}", "[0]".repeat(DEEP))),
        ("indices by expressions", format!("[1]{}", "[x]".repeat(DEEP))),
        ("calls", around("abs(", "1", ")")),
        ("for expressions", around("[for x in ", "[]", ":x]")),
        ("splats", format!("[1]{}", "[*]".repeat(DEEP))),
        ("attributes of a splat", format!("[1].*{}", ".a".repeat(DEEP))),
        (
            "directives",
            format!("\"{}\"", around("%{if true}", "", "%{endif}")),
        ),
        ("parentheses that stay open", "(".repeat(DEEP)),
        ("templates that stay open", "\"${".repeat(DEEP)),
    ];
    let environment = Environment::new();
    for (name, text) in &cases {
        environment.write("main.hcl", &format!("locals {{\n  x = {text}\n}}\n"));
        let shown = environment.run(&["validate"]);
        ended(name, &shown);
        assert!(shown.err.contains("STK0203"), "{name}: {}", shown.err);
        environment.write("main.hcl", "");
        let shown = environment.run_with_input(&["console"], &format!("{text}\n"));
        ended(name, &shown);
        assert!(shown.err.contains("STK0203"), "{name}: {}", shown.err);
    }
    let blocks = format!("resource \"a\" \"b\" {{\n{}", "a {\n".repeat(DEEP));
    for (name, text) in [
        ("blocks", blocks),
        (
            "types",
            format!(
                "variable \"v\" {{\n  type = {}\n}}\n",
                around("list(", "any", ")")
            ),
        ),
    ] {
        environment.write("main.hcl", &text);
        let shown = environment.run(&["validate"]);
        ended(name, &shown);
        assert!(shown.err.contains("STK0203"), "{name}: {}", shown.err);
    }
}

#[test]
fn chains_of_any_length_are_evaluated() {
    let environment = Environment::new();
    environment.write("main.hcl", "");
    let sum = format!("1{}", " + 1".repeat(20_000));
    assert_eq!(
        environment.run_with_input(&["console"], &format!("{sum}\n")).out,
        "20001\n"
    );
    // Chains at the left of chains: no part of the tree is deep.
    let inside = format!(
        "{}1{}",
        "(".repeat(40),
        format!("{})", " + 1".repeat(2000)).repeat(40)
    );
    assert_eq!(
        environment
            .run_with_input(&["console"], &format!("{inside}\n"))
            .out,
        "80001\n"
    );
    // Values that follow from each other.
    let locals = |length: usize| {
        let mut text = "locals {\n  l0 = 1\n".to_owned();
        for number in 1..length {
            writeln!(text, "  l{number} = local.l{}", number - 1).unwrap();
        }
        writeln!(text, "}}\noutput \"o\" {{\n  value = local.l{}\n}}", length - 1).unwrap();
        text
    };
    environment.write("main.hcl", &locals(990));
    let applied = environment.run(&["apply", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    assert_eq!(
        environment.run_with_input(&["console"], "local.l989\n").out,
        "1\n"
    );
    environment.write("main.hcl", &locals(20_000));
    for command in ["validate", "plan"] {
        let shown = environment.run(&[command]);
        assert!(shown.code == 1 && shown.err.contains("STK0203"), "{}", shown.err);
    }
    let mut nested = "locals {\n  l0 = 1\n".to_owned();
    for number in 1..900 {
        writeln!(nested, "  l{number} = [local.l{}]", number - 1).unwrap();
    }
    nested.push_str("}\noutput \"o\" {\n  value = local.l899\n}\n");
    environment.write("main.hcl", &nested);
    let shown = environment.run(&["plan"]);
    assert!(shown.code == 1 && shown.err.contains("STK0203"), "{}", shown.err);
}

#[test]
fn ten_megabytes_are_read() {
    let output = |value: &str| format!("output \"o\" {{\n  value = {value}\n}}\n");
    let file = |value: &str, text: String| vec![("main.hcl", output(value)), ("x", text)];
    let anything = "variable \"a\" {\n  default = 1\n}\n".to_owned();
    let cases: Vec<(&str, Vec<(&str, String)>)> = vec![
        (
            "one text",
            vec![("main.hcl", output(&format!("\"{}\"", "x".repeat(LONG))))],
        ),
        (
            "one heredoc",
            vec![(
                "main.hcl",
                output(&format!("<<EOT\n{}EOT\n", long("line @ of it\n"))),
            )],
        ),
        (
            "one line",
            vec![(
                "main.hcl",
                output(&format!("length([{}])", long("\"element number @\","))),
            )],
        ),
        (
            "one comment",
            vec![("main.hcl", format!("/*{}*/\n", "x".repeat(LONG)))],
        ),
        ("mistakes alone", vec![("main.hcl", long("argument @ = \n"))]),
        (
            "a variable",
            vec![
                ("main.hcl", anything.clone()),
                ("x.auto.vars.hcl", format!("a = \"{}\"\n", "x".repeat(LONG))),
            ],
        ),
        (
            "a template",
            file("length(templatefile(\"x\", { y = 1 }))", long("line @ of ${y}\n")),
        ),
        ("nested JSON", file("jsondecode(file(\"x\"))", "[".repeat(LONG))),
        ("nested YAML", file("yamldecode(file(\"x\"))", "[".repeat(DEEP))),
        (
            "nested YAML in blocks",
            file("yamldecode(file(\"x\"))", "- ".repeat(DEEP)),
        ),
    ];
    for (name, files) in cases {
        let environment = Environment::new();
        for (path, text) in &files {
            environment.write(path, text);
        }
        let started = std::time::Instant::now();
        ended(name, &environment.run(&["plan"]));
        eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
    }
}

#[test]
fn texts_that_are_none_are_refused_and_odd_ones_are_read() {
    let bad = b"a = \"\xff\xfe\"\n";
    let write = |environment: &Environment, name: &str| {
        std::fs::write(environment.path(name), bad).unwrap();
    };
    let environment = Environment::with("");
    write(&environment, "bad.hcl");
    let shown = environment.run(&["plan"]);
    assert!(
        shown.code == 1 && shown.err.contains("not valid UTF-8"),
        "{}",
        shown.err
    );

    let environment = Environment::with("variable \"a\" {\n  default = 1\n}\n");
    write(&environment, "bad.vars.hcl");
    let shown = environment.run(&["plan", "--var-file", "bad.vars.hcl"]);
    assert!(
        shown.code == 1 && shown.err.contains("not UTF-8"),
        "{}",
        shown.err
    );

    let environment = Environment::with("output \"o\" {\n  value = file(\"bad\")\n}\n");
    write(&environment, "bad");
    let shown = environment.run(&["plan"]);
    assert!(
        shown.code == 1 && shown.err.contains("not valid UTF-8"),
        "{}",
        shown.err
    );
    for arguments in [&["show", "bad"][..], &["apply", "--auto-approve", "bad"]] {
        let shown = environment.run(arguments);
        assert!(shown.code == 1 && shown.err.contains("STK0507"), "{}", shown.err);
    }

    let environment = Environment::with("resource \"stack_data\" \"a\" {}\n");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    for content in [
        &bad[..],
        b"",
        b"\0\0\0",
        "[".repeat(DEEP).as_bytes(),
        "{\"a\":".repeat(DEEP).as_bytes(),
    ] {
        std::fs::write(environment.path(".stack/default/state.json"), content).unwrap();
        for arguments in [&["plan"][..], &["show"], &["apply", "--auto-approve"]] {
            let shown = environment.run(arguments);
            assert!(
                shown.code == 1 && shown.err.contains("STK0520"),
                "{}",
                shown.all()
            );
        }
    }

    let environment = Environment::with("\u{feff}output \"o\" {\r\n  value = \"a\\u0000\"\r\n}\r\n");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    assert_eq!(environment.run(&["output", "--json", "o"]).out, "\"a\\u0000\"\n");
    ended(
        "NUL",
        &Environment::with("output \"o\" {\n  value = \"\0\" \0\n}\n").run(&["plan"]),
    );
}

#[test]
fn a_circle_is_told_with_its_whole_path_in_order() {
    let module = |source: &str, arguments: &str| {
        format!("module \"{source}\" {{\n  source = \"./m\"\n  in     = {arguments}\n}}\n")
    };
    let cases = [
        (
            "locals",
            "locals {\n  c = local.a\n  a = local.b\n  b = local.c\n  d = local.a\n}\n".to_owned(),
            "local.a, local.b, local.c",
        ),
        (
            "resources",
            "resource \"stack_data\" \"c\" {\n  input = stack_data.a.id\n}\nresource \"stack_data\" \"a\" {\n  input = stack_data.b.id\n}\nresource \"stack_data\" \"b\" {\n  input = stack_data.c.id\n}\n".to_owned(),
            "stack_data.a, stack_data.b, stack_data.c",
        ),
        (
            "depends_on",
            "resource \"stack_data\" \"b\" {\n  depends_on = [stack_data.c]\n}\nresource \"stack_data\" \"a\" {\n  depends_on = [stack_data.b]\n}\nresource \"stack_data\" \"c\" {\n  input = stack_data.a.id\n}\n".to_owned(),
            "stack_data.a, stack_data.b, stack_data.c",
        ),
        (
            "modules",
            module("x", "module.y.out") + &module("y", "module.x.out"),
            "module.x.output.out, module.x.var.in, module.y.output.out, module.y.var.in",
        ),
        (
            "providers",
            "provider \"helm\" {\n  config_path = stack_data.a.output\n}\nresource \"stack_data\" \"a\" {\n  input = helm_release.r.id\n}\nresource \"helm_release\" \"r\" {\n  name  = \"r\"\n  chart = \"c\"\n}\n".to_owned(),
            "helm_release.r, provider.helm, stack_data.a",
        ),
    ];
    for (name, text, path) in cases {
        let environment = Environment::with(&text);
        environment.write(
            "m/main.hcl",
            "variable \"in\" {}\noutput \"out\" {\n  value = var.in\n}\n",
        );
        for command in ["validate", "plan"] {
            let shown = environment.run(&[command]);
            assert!(
                shown.code == 1 && shown.err.contains(&format!("Cycle: {path}\n")),
                "{name}: {}",
                shown.all()
            );
        }
    }
    let ring = "moved {\n  from = stack_data.a\n  to   = stack_data.b\n}\nmoved {\n  from = stack_data.b\n  to   = stack_data.a\n}\n";
    let environment = Environment::with("resource \"stack_data\" \"a\" {}\n");
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    environment.write("moved.hcl", ring);
    ended("moved", &environment.run(&["plan"]));
    let calls = Environment::with("module \"m\" {\n  source = \"./\"\n}\n");
    let shown = calls.run(&["plan"]);
    assert!(
        shown.code == 1 && shown.err.contains("Module calls itself"),
        "{}",
        shown.err
    );
}
