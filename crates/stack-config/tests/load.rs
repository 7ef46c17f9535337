//! Which files make a configuration, and what is kept of them.

use stack_config::configuration::{IgnoreChanges, ResourceKey, provider_names};
use stack_config::{Configuration, Loaded, MemorySources, Sources, check_version, load};
use stack_core::{Mode, Path};

fn configuration(sources: &dyn Sources) -> Configuration {
    let Loaded {
        configuration,
        diagnostics,
        ..
    } = load(sources, ".");
    configuration.unwrap_or_else(|| panic!("{diagnostics}"))
}

fn one(text: &str) -> Configuration {
    configuration(&MemorySources::new().with("main.hcl", text))
}

#[test]
fn a_module_is_the_configuration_files_of_its_folder() {
    let sources = MemorySources::new()
        .with("b.hcl", "variable \"b\" {}")
        .with("a.hcl", "variable \"a\" {}")
        .with("prod.vars.hcl", "a = nonsense(")
        .with("x.auto.vars.hcl", "a = nonsense(")
        .with("vars.hcl.bak", "nonsense(")
        .with("notes.md", "nonsense(")
        .with("sub/c.hcl", "nonsense(");
    let configuration = configuration(&sources);
    let names: Vec<&str> = configuration.root.variables.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, ["a", "b"]);
    let files: Vec<String> = configuration
        .sources
        .iter()
        .map(|(_, f)| f.name.to_string())
        .collect();
    assert_eq!(files, ["a.hcl", "b.hcl"]);
}

#[test]
fn a_folder_without_files_is_an_error_and_an_empty_file_is_none() {
    let loaded = load(&MemorySources::new().with("x.txt", ""), ".");
    assert!(loaded.configuration.is_none());
    assert_eq!(loaded.diagnostics.0[0].summary, "No configuration files");
    assert!(one("# nothing here\n").root.resources.is_empty());
    assert!(one("").root.resources.is_empty());
    let loaded = load(&MemorySources::new(), "nowhere");
    assert_eq!(loaded.diagnostics.0[0].summary, "Unreadable configuration folder");
}

#[test]
fn a_file_must_be_text() {
    let loaded = load(&MemorySources::new().with("main.hcl", [b'a', 0xff]), ".");
    assert_eq!(loaded.diagnostics.0[0].code, "STK0100");
    assert!(
        loaded.diagnostics.0[0].detail.contains("byte 1"),
        "{}",
        loaded.diagnostics
    );
}

#[test]
fn carriage_returns_and_a_byte_order_mark_do_not_matter() {
    let configuration = one("\u{feff}variable \"a\" {\r\n  default = 1\r\n}\r\n");
    assert!(configuration.root.variables.contains_key("a"));
}

#[test]
fn modules_are_loaded_relative_to_their_caller() {
    let sources = MemorySources::new()
        .with("plans/p/main.hcl", "module \"a\" {\n  source = \"../modules/a\"\n}\nmodule \"b\" {\n  source = \"../modules/a/../a\"\n}")
        .with("plans/modules/a/main.hcl", "module \"inner\" {\n  source = \"./inner\"\n}")
        .with("plans/modules/a/inner/main.hcl", "output \"x\" {\n  value = 1\n}");
    let Loaded {
        configuration,
        diagnostics,
        ..
    } = load(&sources, "./plans/p/");
    let configuration = configuration.unwrap_or_else(|| panic!("{diagnostics}"));
    let inner = configuration.module(["a", "inner"]).unwrap();
    assert_eq!(inner.dir, "../modules/a/inner");
    assert_eq!(
        inner.names.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["a", "inner"]
    );
    assert!(inner.outputs.contains_key("x"));
    let all: Vec<String> = configuration
        .modules()
        .iter()
        .map(|m| m.names.join("."))
        .collect();
    assert_eq!(all, ["", "a", "a.inner", "b", "b.inner"]);
}

#[test]
fn meta_arguments_are_taken_out_of_the_body() {
    let configuration = one(r#"
resource "cloud_instance" "a" {
  count      = var.n
  provider   = cloud.west
  depends_on = [stack_data.x, module.m]
  image      = stack_data.y.output
  disk {
    size = local.size
  }
  lifecycle {
    create_before_destroy = true
    prevent_destroy       = false
    destroy               = false
    ignore_changes        = [tags["Name"], disk[0].size]
    replace_triggered_by  = [stack_data.z[count.index].id]
    precondition {
      condition     = var.ok
      error_message = "no"
    }
  }
}
"#);
    let resource = configuration
        .root
        .resource(Mode::Managed, "cloud_instance", "a")
        .unwrap();
    assert_eq!(
        resource
            .body
            .attributes
            .keys()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["image"]
    );
    assert_eq!(resource.body.blocks.len(), 1);
    assert_eq!(
        (
            resource.provider.name.as_ref(),
            resource.provider.alias.as_deref()
        ),
        ("cloud", Some("west"))
    );
    let lifecycle = &resource.lifecycle;
    assert_eq!(
        (
            lifecycle.create_before_destroy,
            lifecycle.prevent_destroy.is_some(),
            lifecycle.destroy
        ),
        (Some(true), false, false)
    );
    let IgnoreChanges::Paths(paths) = &lifecycle.ignore_changes else {
        panic!()
    };
    assert_eq!(paths[0].0, Path::of(&["tags", "Name"]));
    assert_eq!(paths[1].0, Path::of(&["disk"]).index(0).attribute("size"));
    let mut references: Vec<String> = resource.references().iter().map(ToString::to_string).collect();
    references.sort();
    assert_eq!(
        references,
        [
            "count.index",
            "local.size",
            "module.m",
            "stack_data.x",
            "stack_data.y.output",
            "stack_data.z",
            "var.n",
            "var.ok"
        ]
    );
}

#[test]
fn everything_may_be_ignored() {
    let configuration =
        one("resource \"stack_data\" \"a\" {\n  lifecycle {\n    ignore_changes = all\n  }\n}");
    let resource = &configuration.root.resources.values().next().unwrap();
    assert_eq!(resource.lifecycle.ignore_changes, IgnoreChanges::All);
    assert_eq!(resource.provider.name.as_ref(), "stack");
}

#[test]
fn data_sources_of_a_check_belong_to_it() {
    let configuration = one(r#"
check "c" {
  data "probe_tcp" "one" {
    port = 1
  }
  data "probe_tcp" "two" {
    port = 2
  }
  assert {
    condition     = data.probe_tcp.one.ok
    error_message = "closed"
  }
}
"#);
    let check = &configuration.root.checks["c"];
    assert_eq!(
        check.data.iter().map(ResourceKey::to_string).collect::<Vec<_>>(),
        ["data.probe_tcp.one", "data.probe_tcp.two"]
    );
    let resource = &configuration.root.resources[&check.data[0]];
    assert_eq!(resource.check.as_deref(), Some("c"));
    assert_eq!(
        provider_names(&configuration)
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["probe"]
    );
}

#[test]
fn moves_removals_and_imports_are_kept_as_addresses() {
    let configuration = one(r#"
moved {
  from = module.old["x"].stack_data.a
  to   = stack_data.b[0]
}
removed {
  from = module.gone.stack_data.a
  lifecycle {
    destroy = false
  }
}
import {
  for_each = { a = "1" }
  to       = module.m.stack_data.c[each.key]
  id       = each.value
}
"#);
    let root = &configuration.root;
    assert_eq!(root.moved[0].from.to_string(), "module.old[\"x\"].stack_data.a");
    assert_eq!(root.moved[0].to.to_string(), "stack_data.b[0]");
    assert_eq!(
        (root.removed[0].from.to_string().as_str(), root.removed[0].destroy),
        ("module.gone.stack_data.a", false)
    );
    assert_eq!(root.imports[0].to.to_string(), "module.m.stack_data.c");
    assert_eq!(
        root.imports[0].key.as_ref().unwrap().references()[0].to_string(),
        "each.key"
    );
}

#[test]
fn the_version_that_runs_must_fit() {
    let configuration = one(
        "stack {\n  required_version = \">= 1.2, < 2.0\"\n  backend \"local\" {\n    path = \"../state\"\n  }\n}",
    );
    assert!(check_version(&configuration, "1.5.0").is_empty());
    assert!(check_version(&configuration, "1.5.0-dev+3").is_empty());
    assert!(check_version(&configuration, "0.1.0").has_errors());
    assert_eq!(configuration.root.settings.backend.unwrap().ty.as_ref(), "local");
}

#[test]
fn loading_never_panics_on_a_damaged_file() {
    let text = include_str!("configurations/resources.hcl");
    for cut in (0..text.len())
        .step_by(41)
        .filter(|cut| text.is_char_boundary(*cut))
    {
        let _ = load(&MemorySources::new().with("main.hcl", &text[..cut]), ".");
        let _ = load(&MemorySources::new().with("main.hcl", &text[cut..]), ".");
    }
}
