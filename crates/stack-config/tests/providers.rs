//! Which `provider` block a resource uses.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use stack_config::configuration::ProviderRef;
use stack_config::{Configuration, MemorySources, load, provider_address, provider_for};
use stack_core::{FileId, InstanceKey, ModulePath, Span};

fn configuration() -> Configuration {
    let sources = MemorySources::new()
        .with(
            "main.hcl",
            r#"
provider "cloud" {}
provider "cloud" {
  alias = "west"
}
module "plain" {
  source = "./m"
}
module "passed" {
  source    = "./m"
  providers = { cloud = cloud.west, cloud.other = cloud }
}
module "own" {
  source = "./own"
}
"#,
        )
        .with(
            "m/main.hcl",
            "module \"deep\" {\n  source    = \"../n\"\n  providers = { cloud.here = cloud }\n}",
        )
        .with("n/main.hcl", "")
        .with(
            "own/main.hcl",
            "provider \"cloud\" {}\nmodule \"deep\" {\n  source = \"../n\"\n}",
        );
    load(&sources, ".").configuration.unwrap()
}

fn wanted(text: &str) -> ProviderRef {
    let (name, alias) = text
        .split_once('.')
        .map_or((text, None), |(name, alias)| (name, Some(alias)));
    ProviderRef {
        name: Arc::from(name),
        alias: alias.map(Arc::from),
        span: Span::new(FileId(0), 0..0),
    }
}

fn resolved(module: &str, provider: &str) -> Option<String> {
    let names: Vec<Arc<str>> = module
        .split('.')
        .filter(|n| !n.is_empty())
        .map(Arc::from)
        .collect();
    let (holder, (name, alias)) = provider_for(&configuration(), &names, &wanted(provider))?;
    Some(format!(
        "{}:{name}{}",
        holder.join("."),
        alias.map_or(String::new(), |a| format!(".{a}"))
    ))
}

#[test]
fn configurations_are_inherited_passed_and_overridden() {
    for (module, provider, expected) in [
        ("", "cloud", Some(":cloud")),
        ("", "cloud.west", Some(":cloud.west")),
        ("", "cloud.east", None),
        ("", "other", Some(":other")),
        ("plain", "cloud", Some(":cloud")),
        ("plain", "cloud.west", None),
        ("plain.deep", "cloud", Some(":cloud")),
        ("plain.deep", "cloud.here", Some(":cloud")),
        ("passed", "cloud", Some(":cloud.west")),
        ("passed", "cloud.other", Some(":cloud")),
        ("passed.deep", "cloud.here", Some(":cloud.west")),
        ("passed.deep", "unused", Some(":unused")),
        ("own", "cloud", Some("own:cloud")),
        ("own.deep", "cloud", Some("own:cloud")),
        ("nowhere", "cloud", None),
    ] {
        assert_eq!(
            resolved(module, provider).as_deref(),
            expected,
            "{provider} in module {module:?}"
        );
    }
}

#[test]
fn the_holder_keeps_its_instance_keys() {
    let path = ModulePath::root()
        .child("own", InstanceKey::Index(3))
        .child("deep", InstanceKey::None);
    let address = provider_address(&configuration(), &path, &wanted("cloud")).unwrap();
    assert_eq!(address.to_string(), "module.own[3].provider.cloud");
}
