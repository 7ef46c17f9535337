//! What `derive(Schema)` makes of a struct.

use stack_core::{Decode as _, Nesting, Path, Schema, SchemaOf as _, Secret, Type, Value};

/// A disk.
#[derive(Debug, PartialEq, Schema)]
struct Disk {
    /// Size in GiB.
    size: i64,
}

/// A server
/// of some kind.
#[derive(Debug, PartialEq, Schema)]
#[schema(version = 2)]
struct Server {
    /// Image it boots from.
    #[schema(replace)]
    image: String,
    #[schema(default = 22)]
    port: u16,
    password: Option<Secret<String>>,
    #[schema(computed)]
    id: Option<String>,
    #[schema(optional, computed)]
    address: Option<String>,
    #[schema(block, max = 1)]
    disk: Vec<Disk>,
    #[schema(name = "type")]
    kind: Option<String>,
}

#[test]
fn marks_become_schema() {
    let schema = Server::schema();
    assert_eq!(schema.version, 2);
    assert_eq!(schema.description, "A server of some kind.");
    let image = &schema.attributes["image"];
    assert!(image.required && image.replace && !image.optional && !image.computed);
    assert_eq!(image.description, "Image it boots from.");
    let port = &schema.attributes["port"];
    assert!(port.optional && !port.required);
    assert_eq!(port.default, Some(Value::from(22)));
    assert!(schema.attributes["password"].sensitive);
    assert!(schema.attributes["id"].computed && !schema.attributes["id"].optional);
    assert!(schema.attributes["address"].computed && schema.attributes["address"].optional);
    assert!(schema.attributes.contains_key("type"));
    let disk = &schema.blocks["disk"];
    assert_eq!((disk.nesting, disk.max), (Nesting::List, Some(1)));
    assert_eq!(disk.schema.attributes["size"].ty, Type::Number);
}

#[test]
fn values_go_in_and_out() {
    let server = Server {
        image: "i".into(),
        port: 22,
        password: Some("hunter2".into()),
        id: None,
        address: None,
        disk: vec![Disk { size: 60 }],
        kind: None,
    };
    let value = server.encode();
    assert!(!format!("{value:?}").contains("hunter2"));
    assert_eq!(Server::decode(&value, &Path::root()).unwrap(), server);
    let unknown_id = value.with_attribute("id", Value::unknown(Type::String));
    assert_eq!(Server::decode(&unknown_id, &Path::root()).unwrap(), server);
}

#[test]
fn errors_name_the_part() {
    let value = Value::object([
        ("image".into(), "i".into()),
        ("port".into(), Value::from(70_000)),
        ("disk".into(), Value::tuple(vec![])),
    ]);
    let error = Server::decode(&value, &Path::root()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "port: a whole number from 0 to 65535 is required, not 70000"
    );
}
