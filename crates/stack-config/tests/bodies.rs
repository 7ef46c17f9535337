//! Bodies against schemas.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use common::{Locals, instance};
use stack_config::{Body, MemorySources, decode_body, load, span_of};
use stack_core::{Diagnostics, Marks, Path, SourceMap, Type, Value};

/// The body of the one resource of a text.
fn body(text: &str) -> (Body, SourceMap) {
    let text = format!("resource \"cloud_instance\" \"a\" {{\n{text}\n}}");
    let loaded = load(&MemorySources::new().with("main.hcl", text), ".");
    let configuration = loaded
        .configuration
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics));
    let body = configuration.root.resources.values().next().unwrap().body.clone();
    (body, loaded.sources)
}

fn decode(text: &str, scope: &Locals) -> Result<Value, Diagnostics> {
    decode_body(&body(text).0, &instance(), scope)
}

fn decoded(text: &str) -> Value {
    decode(text, &Locals::default()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_is_not_set_is_null_or_empty() {
    let value = decoded("image = \"x\"");
    assert_eq!(value.attribute("image"), Some(&Value::from("x")));
    assert_eq!(value.attribute("kind"), Some(&Value::Null(Type::String)));
    assert_eq!(value.attribute("id"), Some(&Value::Null(Type::String)));
    assert_eq!(value.attribute("disk").unwrap().as_sequence(), Some(&[][..]));
    assert!(value.attribute("root").unwrap().is_null());
    let set: Vec<&String> = value.as_mapping().unwrap().keys().collect();
    assert_eq!(
        set,
        [
            "address", "disk", "id", "image", "kind", "old", "root", "tags", "timeouts"
        ]
    );
}

#[test]
fn arguments_are_converted() {
    let value = decoded("image = 5\ntags = { a = 1, b = true }\nroot {\n  size = \"8\"\n}");
    assert_eq!(value.attribute("image"), Some(&Value::from("5")));
    assert_eq!(
        value.attribute("tags").unwrap().attribute("a"),
        Some(&Value::from("1"))
    );
    assert_eq!(
        value.attribute("root").unwrap().attribute("size"),
        Some(&Value::from(8))
    );
}

#[test]
fn every_mistake_of_a_body_is_reported() {
    let error = decode(
        "image = [1]\nkind = local.nope\nroot {\n  size = \"big\"\n}",
        &Locals::default(),
    )
    .unwrap_err();
    let summaries: Vec<&str> = error.iter().map(|d| d.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            "Incorrect attribute value type",
            "Reference to undeclared local value",
            "Incorrect attribute value type"
        ]
    );
    assert!(error.iter().all(|d| !d.labels.is_empty()));
    assert!(
        error.0[0]
            .detail
            .starts_with("Inappropriate value for attribute \"image\": "),
        "{}",
        error.0[0].detail
    );
}

#[test]
fn a_required_argument_may_not_be_null() {
    let error = decode("image = null", &Locals::default()).unwrap_err();
    assert_eq!(error.0[0].summary, "Missing required argument");
}

#[test]
fn dynamic_blocks_make_a_block_of_each_member() {
    let scope = Locals::of([("sizes", Value::tuple(vec![Value::from(1), Value::from(2)]))]);
    let text = r#"
image = "x"
dynamic "disk" {
  for_each = local.sizes
  content {
    size = disk.value
    type = "t${disk.key}"
  }
}
disk {
  size = 9
}"#;
    let value = decode(text, &scope).unwrap();
    let disks = value.attribute("disk").unwrap().as_sequence().unwrap();
    let sizes: Vec<&Value> = disks.iter().map(|d| d.attribute("size").unwrap()).collect();
    assert_eq!(sizes, [&Value::from(1), &Value::from(2), &Value::from(9)]);
    assert_eq!(disks[1].attribute("type"), Some(&Value::from("t1")));
}

#[test]
fn the_key_of_a_set_is_the_member_and_the_iterator_may_have_a_name() {
    let set = Value::set(Type::String, vec![Value::from("a"), Value::from("b")]);
    let scope = Locals::of([("names", set)]);
    let text = "image = \"x\"\ndynamic \"disk\" {\n  for_each = local.names\n  iterator = it\n  content {\n    size = 1\n    type = it.key\n  }\n}";
    let value = decode(text, &scope).unwrap();
    let disks = value.attribute("disk").unwrap().as_sequence().unwrap();
    assert_eq!(disks[0].attribute("type"), Some(&Value::from("a")));
}

#[test]
fn a_dynamic_block_over_an_unknown_collection_is_unknown() {
    let scope = Locals::of([("later", Value::unknown(Type::list(Type::Number)))]);
    let text = "image = \"x\"\ndynamic \"disk\" {\n  for_each = local.later\n  content {\n    size = disk.value\n  }\n}";
    let value = decode(text, &scope).unwrap();
    assert!(!value.attribute("disk").unwrap().is_known());
    assert_eq!(
        value.attribute("disk").unwrap().ty(),
        instance().blocks["disk"].ty()
    );
    assert!(value.attribute("root").unwrap().is_null());
}

#[test]
fn marks_of_the_collection_stay_on_the_blocks() {
    let scope = Locals::of([("secret", Value::tuple(vec![Value::from(1)]).sensitive())]);
    let text = "image = \"x\"\ndynamic \"disk\" {\n  for_each = local.secret\n  content {\n    size = disk.value\n  }\n}";
    let value = decode(text, &scope).unwrap();
    assert!(
        value
            .attribute("disk")
            .unwrap()
            .marks()
            .contains(Marks::SENSITIVE)
    );
}

#[test]
fn blocks_are_counted_after_they_are_made() {
    let scope = Locals::of([
        ("four", Value::tuple(vec![Value::from(1); 4])),
        ("none", Value::NULL),
    ]);
    let text =
        "image = \"x\"\ndynamic \"disk\" {\n  for_each = local.four\n  content {\n    size = 1\n  }\n}";
    assert_eq!(
        decode(text, &scope).unwrap_err().0[0].summary,
        "Too many disk blocks"
    );
    let text =
        "image = \"x\"\ndynamic \"disk\" {\n  for_each = local.none\n  content {\n    size = 1\n  }\n}";
    assert_eq!(
        decode(text, &scope).unwrap_err().0[0].summary,
        "Invalid dynamic for_each value"
    );
}

#[test]
fn the_place_of_a_path_is_found() {
    let (body, sources) = body(
        "image = \"x\"\ntags = { a = 1 }\ndisk {\n  size = 1\n}\ndisk {\n  type = \"t\"\n  size = 2\n}\nroot {\n  size = 3\n}\ndynamic \"timeouts\" {\n  for_each = []\n  content {\n    create = \"1m\"\n  }\n}",
    );
    let line = |path: Path| span_of(&body, &path).map(|span| sources.line_column(span).unwrap().0);
    assert_eq!(line(Path::of(&["image"])), Some(2));
    assert_eq!(line(Path::of(&["tags", "a"])), Some(3));
    assert_eq!(line(Path::of(&["disk"]).index(0).attribute("size")), Some(5));
    assert_eq!(line(Path::of(&["disk"]).index(1).attribute("size")), Some(9));
    assert_eq!(line(Path::of(&["disk"]).index(1).attribute("missing")), Some(7));
    assert_eq!(line(Path::of(&["root", "size"])), Some(12));
    assert_eq!(line(Path::of(&["timeouts", "create"])), Some(17));
    assert_eq!(line(Path::of(&["kind"])), None);
    assert_eq!(line(Path::root()), None);
}
