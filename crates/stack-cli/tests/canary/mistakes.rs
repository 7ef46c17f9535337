//! Errors that have every reason to quote a secret.

use crate::commands::{GIVEN, SECRETS, place};
use crate::planted::quoted;

/// Expressions that fail, and a word of the error that each of them gives.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("tonumber(var.from_file)", "sensitive string"),
    ("tobool(var.from_file)", "sensitive string"),
    ("var.from_file + 1", "number is required"),
    ("-var.from_file", "number is required"),
    ("!var.from_file", "bool is required"),
    ("var.from_file ? 1 : 2", "must be of type bool"),
    ("var.from_file.x", "primitive-typed"),
    ("var.from_file[0]", "any indices"),
    ("[1, 2][var.from_file]", "number is required"),
    ("{ a = 1 }[var.from_file]", "does not identify"),
    ("tomap({ a = 1 })[var.from_file]", "does not identify"),
    ("local.keyed.file", "does not have an attribute"),
    ("local.keyed[\"7Kq2-file\"]", "does not identify"),
    ("lookup({}, var.from_file)", "no attribute"),
    ("lookup(tomap({ a = 1 }), var.from_file)", "failed to find"),
    ("jsondecode(var.from_file)", "failed"),
    ("jsondecode(var.from_json)", "failed"),
    ("jsondecode(\"{\\\"a\\\": ${var.from_file}}\")", "failed"),
    ("yamldecode(\"{a: ${var.from_file}\")", "failed"),
    ("yamldecode(\"!!int ${var.from_auto}\")", "failed"),
    ("yamldecode(\"!${var.from_auto} x\")", "failed"),
    ("csvdecode(\"${var.from_auto},${var.from_auto}\\na,b\")", "failed"),
    ("csvdecode(\"a\\n\\\"${var.from_auto}\")", "failed"),
    ("regex(\"(${var.from_auto}\", \"x\")", "regex"),
    ("regex(\"x\", var.from_file)", "match"),
    ("regexall(\"[${var.from_auto}\", \"x\")", "regex"),
    ("replace(\"x\", \"/(${var.from_auto}/\", \"y\")", "argument"),
    ("parseint(var.from_file, 10)", "argument"),
    ("formatdate(\"YYYY\", var.from_file)", "argument"),
    ("formatdate(var.from_file, \"2020-01-01T00:00:00Z\")", "argument"),
    ("timeadd(var.from_file, \"1h\")", "argument"),
    ("timeadd(\"2020-01-01T00:00:00Z\", var.from_file)", "argument"),
    ("timecmp(var.from_file, var.from_json)", "argument"),
    ("cidrhost(var.from_file, 1)", "argument"),
    ("cidrsubnet(var.from_file, 1, 1)", "argument"),
    ("cidrnetmask(var.from_file)", "argument"),
    ("base64decode(var.from_file)", "failed"),
    ("textdecodebase64(var.from_file, \"UTF-8\")", "argument"),
    ("textencodebase64(\"x\", var.from_file)", "argument"),
    ("file(var.from_file)", "argument"),
    ("filebase64(var.from_file)", "argument"),
    ("filemd5(var.from_file)", "argument"),
    ("fileset(\".\", \"[${var.from_auto}\")", "failed"),
    ("templatefile(var.from_file, {})", "argument"),
    ("templatefile(\"wants\", { other = var.from_file })", "argument"),
    ("templatefile(\"wants\", { secret = var.from_file })", "argument"),
    ("templatefile(\"wants\", { (var.from_file) = 1 })", "argument"),
    ("templatestring(local.template, {})", "argument"),
    ("format(\"${var.from_json}%z\", 1)", "argument"),
    ("format(\"%d\", var.from_file)", "failed"),
    ("format(\"${var.from_json}%\", 1)", "argument"),
    ("formatlist(var.from_json, [1, \"x\"])", "failed"),
    ("index([\"a\"], var.from_file)", "failed"),
    ("one([var.from_file, var.from_json])", "argument"),
    ("element([], length(var.from_file))", "empty list"),
    ("zipmap([var.from_file], [1, 2])", "failed"),
    ("transpose({ (var.from_file) = null })", "argument"),
    ("merge(var.from_file, {})", "maps"),
    (
        "{ for x in [var.from_file, var.from_file] : x => 1 }",
        "sensitive value",
    ),
    ("{ for x in [1] : { (var.from_file) = 1 } => 1 }", "key"),
    ("true ? local.keyed : { b = [] }", "consistent types"),
    ("\"x${local.keyed}\"", "string"),
    ("uuidv5(var.from_file, \"x\")", "failed"),
    ("bcrypt(var.from_file, 99)", ""),
    ("rsadecrypt(var.from_file, var.from_json)", "argument"),
    ("range(var.from_file)", "number"),
    ("substr(var.from_file, 0, var.from_file)", "number"),
    ("sum([var.from_file])", "argument"),
    ("abspath(var.from_file).x", "primitive-typed"),
    ("nonsensitive(local.keyed)[\"\"]", ""),
    (
        "try(var.from_file.x, tonumber(var.from_file))",
        "no expression succeeded",
    ),
    (
        "provider::rabbitmq::password_hash(\"x\", var.from_file)",
        "failed",
    ),
    (
        "jsondecode(jsonencode({ (var.from_file) = 1 })).file",
        "attribute",
    ),
    ("sensitive({ (var.from_file) = 1 }).file", "attribute"),
    ("toset(local.keyed)", ""),
    ("tomap({ (var.from_file) = 1, b = {} })", ""),
];

const LOCALS: &str = r#"
locals {
  keyed    = { (var.from_file) = 1 }
  template = "%%{ if ${var.from_auto} %%}"
}
"#;

#[test]
fn no_expression_that_fails_quotes_a_secret() {
    let mut place = place();
    place.write("work/main.hcl", LOCALS);
    place.write("work/wants", "${tonumber(secret)} ${missing}");
    let mut quiet = Vec::new();
    for (expression, word) in EXPRESSIONS {
        let arguments: Vec<&str> = ["console"].into_iter().chain(GIVEN).collect();
        let shown = place.run_with_input(&arguments, &format!("{expression}\n"));
        // What is on purpose made public by `nonsensitive` is shown.
        if expression.starts_with("nonsensitive") {
            continue;
        }
        if !word.is_empty() && (shown.code != 1 || !shown.err.contains(word)) {
            quiet.push(format!("{expression}: {}", shown.all()));
        }
    }
    assert!(
        quiet.is_empty(),
        "these do not fail as they should:\n{}",
        quiet.join("\n")
    );
    place.verify();
}

/// Blocks that make a plan fail.
const BLOCKS: &[(&str, &str)] = &[
    (
        "a precondition",
        "resource \"stack_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition     = var.from_file == \"x\"\n      error_message = \"got ${var.from_file}\"\n    }\n  }\n}",
    ),
    (
        "a postcondition",
        "resource \"stack_data\" \"a\" {\n  input = var.from_file\n  lifecycle {\n    postcondition {\n      condition     = self.input == \"x\"\n      error_message = \"got ${self.input}\"\n    }\n  }\n}",
    ),
    (
        "a precondition of an output",
        "output \"o\" {\n  value = 1\n  precondition {\n    condition     = var.from_file == \"x\"\n    error_message = \"got ${var.from_file}\"\n  }\n}",
    ),
    (
        "a condition that is no bool",
        "output \"o\" {\n  value = 1\n  precondition {\n    condition     = var.from_file\n    error_message = \"got ${var.from_file}\"\n  }\n}",
    ),
    (
        "a validation",
        "variable \"v\" {\n  sensitive = true\n  default   = \"x\"\n  validation {\n    condition     = var.from_file == \"x\"\n    error_message = \"got ${var.from_file}\"\n  }\n}",
    ),
    ("an output", "output \"o\" {\n  value = [var.from_file]\n}"),
    (
        "count",
        "resource \"stack_data\" \"a\" {\n  count = var.from_file\n}",
    ),
    (
        "for_each of keys",
        "resource \"stack_data\" \"a\" {\n  for_each = { (var.from_file) = 1 }\n}",
    ),
    (
        "for_each of a set",
        "resource \"stack_data\" \"a\" {\n  for_each = toset([var.from_file])\n}",
    ),
    (
        "for_each of a text",
        "resource \"stack_data\" \"a\" {\n  for_each = var.from_file\n}",
    ),
    (
        "for_each of a module",
        "module \"m\" {\n  source   = \"./m\"\n  for_each = toset([var.from_file])\n}",
    ),
    (
        "an argument",
        "resource \"random_password\" \"a\" {\n  length = var.from_file\n}",
    ),
    (
        "a map with a wrong member",
        "resource \"random_password\" \"a\" {\n  length  = 8\n  keepers = { (var.from_file) = [] }\n}",
    ),
    (
        "an argument of a module",
        "module \"m\" {\n  source = \"./m\"\n  number = var.from_file\n}",
    ),
    (
        "a key",
        "resource \"tls_self_signed_cert\" \"a\" {\n  private_key_pem       = var.from_file\n  validity_period_hours = 1\n  allowed_uses          = []\n}",
    ),
    (
        "a use of a certificate",
        "resource \"tls_self_signed_cert\" \"a\" {\n  private_key_pem       = tls_private_key.k.private_key_pem\n  validity_period_hours = 1\n  allowed_uses          = [var.from_file]\n}\nresource \"tls_private_key\" \"k\" {\n  algorithm = \"ED25519\"\n}",
    ),
    (
        "an algorithm",
        "resource \"tls_private_key\" \"k\" {\n  algorithm = var.from_file\n}",
    ),
    (
        "the mode of a file",
        "resource \"host_file\" \"a\" {\n  path    = var.from_file\n  content = \"x\"\n  mode    = var.from_json\n}\nprovider \"host\" {\n  address     = \"127.0.0.1\"\n  user        = \"root\"\n  private_key = \"x\"\n  host_keys   = []\n}",
    ),
    (
        "the key of a host",
        "resource \"host_file\" \"a\" {\n  path    = \"/x\"\n  content = \"x\"\n}\nprovider \"host\" {\n  address     = \"127.0.0.1\"\n  port        = 1\n  user        = \"root\"\n  private_key = var.from_file\n  host_keys   = [var.from_auto]\n}",
    ),
    (
        "the name of a release",
        "resource \"helm_release\" \"r\" {\n  name  = var.from_auto\n  chart = \"x\"\n}\nprovider \"helm\" {\n  config_path = \"none\"\n}",
    ),
    (
        "the repository of a release",
        "resource \"helm_release\" \"r\" {\n  name       = \"r\"\n  chart      = \"x\"\n  repository = \"https://user:${var.from_auto}@127.0.0.1\"\n}\nprovider \"helm\" {\n  config_path = \"none\"\n}",
    ),
    (
        "an endpoint",
        "resource \"rabbitmq_vhost\" \"v\" {\n  name = \"x\"\n}\nprovider \"rabbitmq\" {\n  endpoint = \"ftp://${var.from_auto}\"\n  username = \"u\"\n  password = var.from_file\n}",
    ),
    (
        "a user of a broker",
        "resource \"rabbitmq_vhost\" \"v\" {\n  name = \"x\"\n}\nprovider \"rabbitmq\" {\n  username = \"u:${var.from_auto}\"\n  password = var.from_file\n}",
    ),
    (
        "a network",
        "resource \"aws_vpc_security_group_ingress_rule\" \"r\" {\n  security_group_id = \"sg-1\"\n  ip_protocol       = var.from_file\n  cidr_ipv4         = var.from_json\n  from_port         = 1\n  to_port           = 1\n}\nprovider \"aws\" {\n  region     = \"x\"\n  access_key = \"a\"\n  secret_key = var.from_auto\n  endpoint   = \"http://127.0.0.1:1\"\n}",
    ),
    (
        "a probe",
        "data \"probe_http\" \"p\" {\n  url     = \"http://user:${var.from_auto}@127.0.0.1:1/\"\n  headers = { authorization = var.from_file }\n}",
    ),
    (
        "a probe of a server that is not there",
        "data \"probe_http\" \"p\" {\n  url     = \"http://127.0.0.1:1/${urlencode(var.from_file)}\"\n  headers = { authorization = \"Bearer ${var.from_json}\" }\n}",
    ),
    (
        "a path of the state",
        "stack {\n  backend \"local\" {\n    path = var.from_file\n  }\n}",
    ),
];

#[test]
fn no_plan_that_fails_quotes_a_secret() {
    let mut all = Vec::new();
    for (name, block) in BLOCKS {
        let mut place = place();
        place.write("work/main.hcl", block);
        place.write(
            "work/m/main.hcl",
            "variable \"number\" {\n  type    = number\n  default = 1\n}\n",
        );
        for command in [
            &["plan"][..],
            &["plan", "--json"],
            &["apply", "--auto-approve"],
            &["validate"],
        ] {
            let given: &[&str] = if command[0] == "validate" { &[] } else { &GIVEN };
            let arguments: Vec<&str> = command.iter().chain(given).copied().collect();
            let shown = place.run(&arguments);
            // A probe that finds nobody says so in its result.
            if command[0] == "apply" && !name.starts_with("a probe of") {
                assert!(shown.code != 0, "{name} does not fail: {}", shown.all());
            }
        }
        all.extend(place.leaks().into_iter().map(|leak| format!("{name}: {leak:?}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn no_mistake_in_a_file_of_variables_quotes_a_secret() {
    let secret = "7Kq2secretWord3";
    let files = [
        ("a.tfvars", format!("from_file = \"{secret}\n")),
        ("a.tfvars", format!("from_file = {secret}\n")),
        ("a.tfvars", format!("from_file = {secret}()\n")),
        ("a.tfvars", format!("from_file = {secret}.x.y\n")),
        ("a.tfvars", format!("from_file = [\"{secret}\"\n")),
        ("a.tfvars", format!("from_file = \"\\{secret}\"\n")),
        ("a.tfvars", format!("from_file = \"%{{ {secret} }}\"\n")),
        ("a.tfvars", format!("from_file = <<{secret}\n")),
        ("a.tfvars", format!("from_file = \"x\" \"{secret}\"\n")),
        ("a.tfvars", format!("from_file = [\"{secret}\"]\n")),
        ("a.tfvars", format!("block {{\n  from_file = \"{secret}\"\n}}\n")),
        ("a.tfvars", format!("number = \"{secret}\"\n")),
        ("a.tfvars", format!("map = {{ {secret} = \"{secret}\" }}\n")),
        ("a.tfvars", format!("object = {{ {secret} = \"{secret}\" }}\n")),
        ("a.tfvars", format!("number = var.{secret}\n")),
        ("a.json", format!("{{\"from_file\": {secret}}}")),
        ("a.json", format!("{{\"from_file\": \"{secret}\",}}")),
        ("a.json", format!("{{\"from_file\": \"{secret}")),
        ("a.json", format!("{{\"number\": \"{secret}\"}}")),
        ("a.json", format!("[\"{secret}\"]")),
        ("a.json", format!("{{\"map\": {{\"{secret}\": \"{secret}\"}}}}")),
    ];
    let declared = "variable \"from_file\" {\n  type      = string\n  sensitive = true\n  default   = \"\"\n}\nvariable \"number\" {\n  type      = number\n  sensitive = true\n  default   = 1\n}\nvariable \"map\" {\n  type      = map(number)\n  sensitive = true\n  default   = {}\n}\nvariable \"object\" {\n  type      = object({ a = number })\n  sensitive = true\n  default   = { a = 1 }\n}\n";
    for (name, text) in files {
        let mut place = crate::place::Place::new();
        place.finder.add("secret", secret);
        place.write("work/main.hcl", declared);
        place.give(&format!("work/{name}"), &text);
        for command in [&["plan"][..], &["plan", "--json"], &["console"]] {
            let arguments: Vec<&str> = command.iter().copied().chain(["--var-file", name]).collect();
            let shown = place.run(&arguments);
            assert_eq!(shown.code, 1, "{text}: {}", shown.all());
        }
        place.verify();
    }
    for name in ["number", "map", "object"] {
        for text in [
            secret.to_owned(),
            format!("[{secret}"),
            format!("{secret}()"),
            format!("\"{secret}\""),
        ] {
            let mut place = crate::place::Place::new();
            place.finder.add("secret", secret);
            place.write("work/main.hcl", declared);
            place.set(&format!("STACK_VAR_{name}"), &text);
            for command in [&["plan"][..], &["plan", "--json"]] {
                let shown = place.run(command);
                assert_eq!(shown.code, 1, "{name} {text}: {}", shown.all());
            }
            place.verify();
        }
    }
}

#[test]
fn no_mistake_around_a_default_quotes_it() {
    // The file itself may be quoted where it is wrong: what is not may be in a message only.
    let mut place = place();
    let [_, _, _, _, (_, default), _] = SECRETS;
    place.write(
        "work/main.hcl",
        "output \"o\" {\n  value = tonumber(var.by_default)\n}\n",
    );
    assert!(default.starts_with("7Kq2") && quoted(default).len() > 8);
    let arguments: Vec<&str> = ["plan"].into_iter().chain(GIVEN).collect();
    assert_eq!(place.run(&arguments).code, 1);
    place.verify();
}
