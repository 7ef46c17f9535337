//! Every command, with secrets from every source in every kind of value.

use crate::place::Place;
use crate::planted::quoted;

/// Keys of states: 32 bytes in base64.
pub(crate) const KEY: &str = "Y2FuYXJ5IGtleSBvZiB0aGUgc3RhdGUsIDMyIGJ5dGU=";
pub(crate) const OTHER_KEY: &str = "YW5vdGhlciBjYW5hcnkga2V5IG9mIGEgc3RhdGUgaXM=";

/// The secrets by the name of the variable that they are given to.
pub(crate) const SECRETS: [(&str, &str); 6] = [
    ("from_file", "7Kq2-file/secret \"1\" <a>&b"),
    ("from_json", "7Kq2-json/secret+2 %d ${x}"),
    ("from_auto", "7Kq2-auto/secret_3 line"),
    ("from_environment", "7Kq2-env/secret=4 é"),
    ("by_default", "7Kq2-default/secret;5 x"),
    ("from_text_file", "7Kq2-read/secret:6\nand a second line"),
];

/// A place with all the secrets given.
pub(crate) fn place() -> Place {
    let mut place = Place::new();
    for (name, secret) in SECRETS {
        for line in secret.lines() {
            place.finder.add(name, line);
        }
    }
    place.finder.add("key of the state", KEY);
    place.finder.add("another key", OTHER_KEY);
    place.set("STACK_STATE_KEY", KEY);
    let [file, json, auto, environment, default, text] = SECRETS.map(|(_, secret)| secret);
    // A name that no command takes for a variables file by itself.
    place.give("work/given.tfvars", &format!("from_file = {}\n", quoted(file)));
    let object = serde_json::json!({ "from_json": json });
    place.give("work/given.json", &object.to_string());
    place.give(
        "work/some.auto.vars.hcl",
        &format!("from_auto = {}\nnot_declared = {}\n", quoted(auto), quoted(auto)),
    );
    place.set("STACK_VAR_from_environment", environment);
    place.give(
        "work/defaults.hcl",
        &format!(
            "variable \"by_default\" {{\n  sensitive = true\n  default   = {}\n}}\n",
            quoted(default)
        ),
    );
    place.give("work/text", text);
    place.write("work/variables.hcl", VARIABLES);
    place
}

/// Options that give the secrets which are not found by themselves.
pub(crate) const GIVEN: [&str; 4] = ["--var-file", "given.tfvars", "--var-file", "given.json"];

const VARIABLES: &str = r#"
variable "from_file" {
  sensitive = true
}
variable "from_json" {
  sensitive = true
}
variable "from_auto" {
  sensitive = true
}
variable "from_environment" {
  sensitive = true
}
"#;

/// Secrets in every kind of value, and in everything that is recorded.
const EVERYWHERE: &str = r#"
locals {
  all = {
    file        = var.from_file
    json        = [var.from_json]
    auto        = "before ${var.from_auto} behind"
    environment = { nested = { deep = [upper(var.from_environment), var.from_environment] } }
    default     = var.by_default
    text        = sensitive(file("${path.module}/text"))
  }
  keyed    = { (var.from_file) = 1 }
  encoded  = jsonencode(local.all)
  packed   = base64gzip(jsonencode(local.all))
  rendered = templatefile("${path.module}/template", { secret = var.from_file, list = [var.from_json] })
  joined   = join(",", [var.from_file, var.from_json])
  parts    = [for name, value in local.all : "${name}=${jsonencode(value)}"]
  yaml     = yamlencode(local.all)
  base64   = base64encode(var.from_file)
  address  = urlencode(var.from_file)
}

resource "random_password" "drawn" {
  length = 24
}

resource "tls_private_key" "key" {
  algorithm = "ED25519"
}

resource "tls_self_signed_cert" "certificate" {
  private_key_pem       = tls_private_key.key.private_key_pem
  validity_period_hours = 24
  allowed_uses          = ["server_auth"]
  subject {
    common_name = "canary"
  }
}

resource "stack_data" "values" {
  input = local.all
}

resource "stack_data" "keyed" {
  input = local.keyed
}

resource "stack_data" "texts" {
  input = {
    encoded  = local.encoded
    packed   = local.packed
    rendered = local.rendered
    joined   = local.joined
    parts    = local.parts
    yaml     = local.yaml
    base64   = local.base64
    address  = local.address
  }
  triggers_replace = [var.from_file]
}

resource "stack_data" "each" {
  for_each = toset(["a", "b"])
  input    = "${each.key}-${var.from_file}-${random_password.drawn.result}"
}

resource "stack_data" "after" {
  input = [stack_data.values.output, stack_data.each["a"].output, tls_private_key.key.private_key_pem]
}

module "inner" {
  source = "./inner"
  secret = var.from_json
}

output "shown" {
  value = length(stack_data.each)
}

output "secret" {
  sensitive = true
  value     = { all = local.all, inner = module.inner.secret, keyed = local.keyed }
}

output "drawn" {
  sensitive = true
  value     = random_password.drawn.result
}

output "pem" {
  sensitive = true
  value     = tls_private_key.key.private_key_pem
}

check "fails" {
  assert {
    condition     = var.from_file == "something else"
    error_message = "from_file is ${var.from_file}"
  }
}
"#;

const INNER: &str = r#"
variable "secret" {}
resource "stack_data" "inner" {
  input = { secret = var.secret, again = "x${var.secret}y" }
}
output "secret" {
  value = stack_data.inner.output
}
"#;

fn everywhere() -> Place {
    let place = place();
    place.write("work/main.hcl", EVERYWHERE);
    place.write("work/inner/main.hcl", INNER);
    place.write(
        "work/template",
        "%{ for one in list }- ${one}\n%{ endfor }secret: ${secret}\n",
    );
    place
}

fn with_given<'a>(command: &[&'a str]) -> Vec<&'a str> {
    command.iter().copied().chain(GIVEN).collect()
}

/// What is drawn by an apply is a secret from then on.
fn learn(place: &mut Place) {
    let drawn = place.run_on_request(&["output", "--raw", "drawn"]);
    place.finder.add("random_password", &drawn.out);
    let pem = place.run_on_request(&["output", "--raw", "pem"]);
    let line = pem.out.lines().nth(1).unwrap();
    place.finder.add("tls_private_key", &line[20..]);
}

#[test]
fn no_command_lets_a_secret_out() {
    let mut place = everywhere();
    place.run(&["validate"]);
    assert_eq!(place.run(&with_given(&["plan"])).code, 0);
    assert_eq!(place.run(&with_given(&["plan", "--json"])).code, 0);
    let planned = place.run(&with_given(&["plan", "--out", "x.plan"]));
    assert_eq!(planned.code, 0, "{}", planned.all());
    assert!(planned.out.contains("(sensitive value)"), "{}", planned.out);
    assert_eq!(place.run(&["show", "x.plan"]).code, 0);
    let document = place.run_on_request(&["show", "--json", "x.plan"]);
    assert!(document.out.contains("7Kq2-file"), "{}", document.all());
    let applied = place.run(&["apply", "--auto-approve", "x.plan"]);
    assert_eq!(applied.code, 4, "{}", applied.all());
    learn(&mut place);
    place.verify();

    for command in [
        &["show"][..],
        &["state", "list"],
        &["output"],
        &["state", "show", "stack_data.values"],
        &["state", "show", "tls_private_key.key"],
        &["state", "show", "stack_data.each"],
    ] {
        let shown = place.run(command);
        assert_eq!(shown.code, 0, "{command:?}: {}", shown.all());
    }
    for command in [
        &["show", "--json"][..],
        &["output", "--json"],
        &["output", "secret"],
        &["output", "--json", "secret"],
    ] {
        let shown = place.run_on_request(command);
        assert!(
            shown.out.contains("7Kq2-"),
            "{command:?} shows what it is asked for"
        );
    }
    let lines = "var.from_file\nlocal.all\nlocal.keyed\nstack_data.values\nmodule.inner\nrandom_password.drawn\ntls_private_key.key.private_key_pem\nnonsensitive(length(var.from_file))\n";
    let console = place.run_with_input(&with_given(&["console"]), lines);
    assert_eq!(console.code, 0, "{}", console.all());

    // Nothing to change, then every kind of change, then nothing left; each once as text and once as events.
    assert_eq!(place.run(&with_given(&["plan", "--detailed-exitcode"])).code, 0);
    place.set("STACK_VAR_from_environment", "7Kq2-env/another=4 secret");
    place.finder.add("another value", "7Kq2-env/another=4 secret");
    place.finder.add("from_environment", SECRETS[3].1);
    assert_eq!(place.run(&with_given(&["plan"])).code, 0);
    assert_eq!(
        place
            .run(&with_given(&["apply", "--auto-approve", "--json"]))
            .code,
        4
    );
    let replace = with_given(&["apply", "--auto-approve", "--replace", "random_password.drawn"]);
    assert_eq!(place.run(&replace).code, 4);
    learn(&mut place);
    let refreshed = place.run(&with_given(&["apply", "--auto-approve", "--refresh-only"]));
    assert!(matches!(refreshed.code, 0 | 4), "{}", refreshed.all());
    let destroyed = place.run(&with_given(&["destroy", "--auto-approve"]));
    assert_eq!(destroyed.code, 0, "{}", destroyed.all());
    place.verify();
    // Past the test harness, on a line of its own, for the report of `cargo xtask test`.
    drop(std::io::Write::write_fmt(
        &mut std::io::stdout(),
        format_args!("\ncounted: runs watched for leaks: {}\n", place.runs()),
    ));
}

#[test]
fn a_passphrase_stays_out_of_everything() {
    let mut place = everywhere();
    place.unset("STACK_STATE_KEY");
    let passphrase = "7Kq2 a passphrase of the state";
    place.finder.add("passphrase", passphrase);
    place.set("STACK_STATE_PASSPHRASE", passphrase);
    let applied = place.run(&with_given(&["apply", "--auto-approve"]));
    assert_eq!(applied.code, 4, "{}", applied.all());
    place.set("STACK_STATE_PASSPHRASE", "7Kq2 a passphrase that is wrong");
    place
        .finder
        .add("wrong passphrase", "7Kq2 a passphrase that is wrong");
    let refused = place.run(&with_given(&["plan"]));
    assert_eq!(refused.code, 1, "{}", refused.all());
    place.verify();
}

#[test]
fn a_key_that_is_wrong_and_a_state_that_is_damaged_are_refused_without_a_word_of_the_secret() {
    let mut place = everywhere();
    assert_eq!(place.run(&with_given(&["apply", "--auto-approve"])).code, 4);
    assert_eq!(place.run(&with_given(&["plan", "--out", "x.plan"])).code, 0);
    place.set("STACK_STATE_KEY", OTHER_KEY);
    for command in [
        &with_given(&["plan"])[..],
        &["show", "--json"],
        &["output", "secret"],
        &["show", "x.plan"],
        &["apply", "--auto-approve", "x.plan"],
    ] {
        let refused = place.run(command);
        assert_eq!(refused.code, 1, "{command:?}: {}", refused.all());
    }
    for (name, key) in [
        ("no key", "7Kq2 this is no key at all"),
        ("short key", "N0txMiB0b28gc2hvcnQ="),
    ] {
        place.finder.add(name, key);
        place.set("STACK_STATE_KEY", key);
        let refused = place.run(&with_given(&["plan"]));
        assert_eq!(refused.code, 1, "{name}: {}", refused.all());
    }
    place.set("STACK_STATE_KEY", KEY);
    let state = place.path("work/.stack/default/state.json");
    let bytes = std::fs::read(&state).unwrap();
    let at = bytes.windows(9).position(|part| part == b"\"$sealed\"").unwrap();
    let mut refusals = 0;
    for place_of_damage in [at + 40, at + 90, 3, bytes.len() / 2, bytes.len() - 20] {
        let mut damaged = bytes.clone();
        damaged[place_of_damage] ^= 1;
        std::fs::write(&state, damaged).unwrap();
        refusals += usize::from(place.run(&with_given(&["plan"])).code == 1);
        place.run_on_request(&["show", "--json"]);
    }
    assert!(refusals >= 3, "damage is noticed");
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(place.run(&with_given(&["plan"])).code, 1);
    place.verify();
}

#[test]
fn a_plan_file_holds_no_secret_whatever_makes_it_one() {
    // Nothing that a plan records is sensitive here; what is lies in texts alone.
    let secret = "7Kq2 in a text only";
    for (name, files) in [
        (
            "a default of a module",
            &[
                ("work/main.hcl", "module \"m\" {\n  source = \"./m\"\n}\n"),
                (
                    "work/m/main.hcl",
                    "variable \"s\" {\n  sensitive = true\n  default   = \"7Kq2 in a text only\"\n}\n",
                ),
            ][..],
        ),
        (
            "a file that is read",
            &[
                (
                    "work/main.hcl",
                    "locals {\n  s = sensitive(file(\"./s\"))\n}\noutput \"n\" {\n  value = nonsensitive(length(local.s))\n}\n",
                ),
                ("work/s", "7Kq2 in a text only"),
            ],
        ),
        (
            "an argument that is secret by its schema",
            &[
                (
                    "work/main.hcl",
                    "resource \"host_file\" \"f\" {\n  path              = \"/x\"\n  sensitive_content = file(\"./s\")\n}\nprovider \"host\" {\n  address     = \"127.0.0.1\"\n  user        = \"root\"\n  private_key = stack_data.k.output\n  host_keys   = [stack_data.k.output]\n}\nresource \"stack_data\" \"k\" {\n  input = \"x\"\n}\n",
                ),
                ("work/s", "7Kq2 in a text only"),
            ],
        ),
        (
            "a value that is not declared",
            &[
                ("work/main.hcl", "output \"o\" {\n  value = 1\n}\n"),
                ("work/x.auto.vars.hcl", "s = \"7Kq2 in a text only\"\n"),
            ],
        ),
    ] {
        let mut place = Place::new();
        place.finder.add(name, secret);
        place.set("STACK_STATE_KEY", KEY);
        for (path, text) in files {
            place.give(path, text);
        }
        let planned = place.run(&["plan", "--out", "x.plan"]);
        assert_eq!(planned.code, 0, "{name}: {}", planned.all());
        assert!(place.path("work/x.plan").exists());
        place.verify();
    }
}
