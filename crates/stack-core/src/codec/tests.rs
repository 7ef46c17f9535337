use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Marks, Number, ObjectType, Type, Unknown, Value};

/// Not a cipher: it shows what was sealed, where, and that it was opened in the same place.
struct Visible;

impl Seal for Visible {
    fn seal(&self, plaintext: &str, context: &str) -> Result<String, SealError> {
        Ok(format!(
            "{context}>{}",
            plaintext.chars().rev().collect::<String>()
        ))
    }
    fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<String>, SealError> {
        match sealed.strip_prefix(&format!("{context}>")) {
            Some(text) => Ok(Zeroizing::new(text.chars().rev().collect())),
            None => Err(SealError::Damaged {
                context: context.to_owned(),
            }),
        }
    }
}

fn round(value: &Value) -> Value {
    let encoded = write(value, &Visible, "here").unwrap();
    let ty = type_from_json(&encoded.ty).unwrap();
    read(&encoded.json, &ty, &Visible, "here")
        .unwrap_or_else(|e| panic!("{e}: {} of {}", encoded.json, encoded.ty))
}

fn written(value: &Value) -> String {
    let encoded = write(value, &Visible, "here").unwrap();
    format!("{} {}", encoded.ty, encoded.json)
}

fn number(text: &str) -> Value {
    Value::Number(parse_number(text).unwrap())
}

#[test]
fn plain_values_look_plain() {
    let value = Value::object([
        ("name".to_owned(), Value::string("a\"b")),
        (
            "ports".to_owned(),
            Value::list(Type::Number, vec![Value::from(22), Value::from(5671)]),
        ),
        (
            "tags".to_owned(),
            Value::map(
                Type::String,
                BTreeMap::from([("$x".to_owned(), Value::string("y"))]),
            ),
        ),
        ("none".to_owned(), Value::Null(Type::Bool)),
    ]);
    assert_eq!(
        written(&value),
        concat!(
            r#"["object",{"name":"string","none":"bool","ports":["list","number"],"tags":["map","string"]}] "#,
            r#"{"name":"a\"b","none":null,"ports":[22,5671],"tags":{"$$x":"y"}}"#
        )
    );
    assert_eq!(round(&value), value);
}

#[test]
fn a_part_of_another_type_than_its_place_carries_its_own() {
    let value = Value::list(
        Type::Dynamic,
        vec![Value::from(true), Value::NULL, Value::tuple(vec![Value::from(1)])],
    );
    assert_eq!(
        written(&value),
        r#"["list","dynamic"] [{"$type":"bool","$value":true},null,{"$type":["tuple",["number"]],"$value":[1]}]"#
    );
    assert_eq!(round(&value), value);
}

#[test]
fn numbers_keep_every_digit() {
    for text in [
        "0",
        "-1",
        "18446744073709551617",
        "0.1",
        "-2.5",
        "123456789012345678901234567890.125",
    ] {
        assert_eq!(written(&number(text)), format!("\"number\" {text}"));
        assert_eq!(round(&number(text)), number(text));
    }
    let third = Value::Number(Number::new(
        crate::number::Float::from(1).with_precision(512).value() / 3,
    ));
    let tiny = number("1e-2000");
    let huge = number("1e5000");
    let infinite = Value::Number(Number::new(crate::number::Float::NEG_INFINITY));
    for value in [third, tiny, huge, infinite] {
        assert_eq!(round(&value), value);
    }
    for text in [
        "",
        "-",
        "x",
        "nan",
        "inf",
        "0x10",
        "1_000",
        "1e999999999999",
        "1e2e3",
    ] {
        assert!(parse_number(text).is_none(), "{text}");
    }
}

#[test]
fn sensitive_parts_are_sealed_in_their_place_and_come_back_marked() {
    let secret = Value::object([
        ("user".to_owned(), Value::string("u")),
        ("k".to_owned(), Value::NULL.sensitive()),
    ]);
    let value = Value::object([
        ("a".to_owned(), Value::string("canary").sensitive()),
        ("b".to_owned(), Value::tuple(vec![secret.sensitive()])),
    ]);
    let encoded = write(&value, &Visible, "here").unwrap();
    assert!(
        !encoded.json.contains("canary") && !encoded.json.contains("user"),
        "{}",
        encoded.json
    );
    assert!(!encoded.ty.contains("user"), "{}", encoded.ty);
    assert!(encoded.json.contains("here/b[0]>"), "{}", encoded.json);
    assert_eq!(round(&value), value);
    let ty = type_from_json(&encoded.ty).unwrap();
    let swapped = encoded.json.replace("here/a>", "here/b[0]>");
    assert!(matches!(
        read(&swapped, &ty, &Visible, "here"),
        Err(CodecError::Seal { .. })
    ));
    assert!(matches!(
        read(&encoded.json, &ty, &NoSeal, "here"),
        Err(CodecError::Seal { .. })
    ));
}

#[test]
fn the_length_of_a_short_secret_does_not_show() {
    let length = |text: &str| {
        write(&Value::string(text).sensitive(), &Visible, "")
            .unwrap()
            .json
            .len()
    };
    assert_eq!(length("a"), length("a password of 26 letters.."));
}

#[test]
fn ephemeral_values_are_refused() {
    for marks in [Marks::EPHEMERAL, Marks::EPHEMERAL.union(Marks::SENSITIVE)] {
        let value = Value::object([("a".to_owned(), Value::string("x").mark(marks))]);
        let error = write(&value, &Visible, "").unwrap_err();
        assert_eq!(error.to_string(), "a is ephemeral and cannot be stored");
        let inside = value.sensitive();
        assert!(matches!(
            write(&inside, &Visible, ""),
            Err(CodecError::Ephemeral { .. })
        ));
    }
}

#[test]
fn unknowns_keep_what_is_known_of_them() {
    let value = Value::Unknown(Box::new(Unknown {
        ty: Type::list(Type::String),
        not_null: true,
        prefix: "i-".into(),
        min_length: 1,
        max_length: Some(3),
    }));
    assert_eq!(round(&value), value);
    assert_eq!(
        round(&Value::tuple(vec![value.clone()])),
        Value::tuple(vec![value])
    );
}

#[test]
fn a_text_that_does_not_fit_its_type_is_an_error_with_a_place() {
    let object = Type::object([("a".to_owned(), Type::list(Type::Bool))]);
    let cases = [
        (r#"{"a":[true,1]}"#, "a[1]: no bool"),
        (r#"{"b":[]}"#, "attribute b has no type"),
        (r#"{}"#, "attribute a is missing"),
        (
            r#"{"a":[{"$later":1}]}"#,
            "a form that this version does not know",
        ),
        (r#"{"a""#, "no object"),
        (r#"{"a":[{"$type":"nonsense","$value":1}]}"#, "is no type"),
    ];
    for (json, expected) in cases {
        let error = read(json, &object, &Visible, "").unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn deep_values_are_an_error_and_no_overflow() {
    let deep = (0..MAX_DEPTH + 1).fold(Value::from(1), |v, _| Value::tuple(vec![v]));
    assert!(matches!(
        write(&deep, &Visible, ""),
        Err(CodecError::TooDeep { .. })
    ));
    let allowed = (0..MAX_DEPTH).fold(Value::from(1), |v, _| Value::list(Type::Dynamic, vec![v]));
    assert_eq!(round(&allowed), allowed);
    let json = "[".repeat(100_000);
    assert!(type_from_json(&format!("{}{json}", r#"["list","#)).is_err());
    let nested = format!(
        "{}1{}",
        r#"{"$type":["list","dynamic"],"$value":["#.repeat(5_000),
        "]}".repeat(5_000)
    );
    assert!(read(&nested, &Type::Dynamic, &Visible, "").is_err());
}

#[test]
fn plain_json_masks_or_reveals() {
    let value = Value::object([
        ("a".to_owned(), Value::string("s").sensitive()),
        ("b".to_owned(), Value::unknown(Type::String)),
        (
            "c".to_owned(),
            Value::set(Type::Number, vec![Value::from(2), number("1.5")]),
        ),
        ("d".to_owned(), Value::tuple(vec![])),
    ]);
    assert_eq!(
        to_plain_json(&value, false, Layout::Compact),
        r#"{"a":"(sensitive value)","c":[1.5,2],"d":[]}"#
    );
    assert_eq!(
        to_plain_json(&value, true, Layout::Indented),
        "{\n  \"a\": \"s\",\n  \"c\": [\n    1.5,\n    2\n  ],\n  \"d\": []\n}"
    );
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::Number),
        Just(Type::String),
        Just(Type::Dynamic)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Type::tuple),
            (
                proptest::collection::btree_map("[a-c$]{1,2}", inner, 0..3),
                proptest::collection::btree_set("[a-c$]{1,2}", 0..2)
            )
                .prop_map(|(attributes, optional)| {
                    let optional = optional
                        .into_iter()
                        .filter(|n| attributes.contains_key(n))
                        .collect();
                    Type::Object(std::sync::Arc::new(ObjectType { attributes, optional }))
                }),
        ]
    })
}

fn value_of(ty: &Type) -> BoxedStrategy<Value> {
    let exact: BoxedStrategy<Value> = match ty {
        Type::Dynamic => prop_oneof![
            Just(Value::NULL),
            any::<bool>().prop_map(Value::from),
            ".{0,3}".prop_map(Value::from)
        ]
        .boxed(),
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Number => prop_oneof![
            any::<i64>().prop_map(Value::from),
            (any::<i64>(), -30i32..30).prop_map(|(m, e)| number(&format!("{m}e{e}"))),
        ]
        .boxed(),
        Type::String => "\\PC{0,4}|\\$.|\"\\\\\n".prop_map(Value::from).boxed(),
        Type::List(t) => {
            let t = (**t).clone();
            proptest::collection::vec(value_of(&t), 0..3)
                .prop_map(move |v| Value::list(t.clone(), v))
                .boxed()
        }
        Type::Set(t) => {
            let t = (**t).clone();
            proptest::collection::vec(value_of(&t), 0..3)
                .prop_map(move |v| Value::set(t.clone(), v))
                .boxed()
        }
        Type::Map(t) => {
            let t = (**t).clone();
            proptest::collection::btree_map("[a-b$]{0,2}", value_of(&t), 0..3)
                .prop_map(move |v| Value::map(t.clone(), v))
                .boxed()
        }
        Type::Tuple(ts) => ts
            .iter()
            .map(value_of)
            .collect::<Vec<_>>()
            .prop_map(Value::tuple)
            .boxed(),
        Type::Object(o) => {
            let names: Vec<String> = o.attributes.keys().cloned().collect();
            let values: Vec<_> = o.attributes.values().map(value_of).collect();
            values
                .prop_map(move |vs| Value::object(names.iter().cloned().zip(vs)))
                .boxed()
        }
    };
    let ty = ty.clone();
    (exact, 0..12u8)
        .prop_map(move |(value, choice)| match choice {
            0 => Value::Null(ty.clone()),
            1 => value.sensitive(),
            2 => Value::unknown(ty.clone()),
            _ => value,
        })
        .boxed()
}

proptest! {
    #[test]
    fn every_type_reads_back(ty in any_type()) {
        prop_assert_eq!(type_from_json(&type_to_json(&ty)).unwrap(), ty);
    }

    #[test]
    fn every_value_reads_back_as_it_was(value in any_type().prop_flat_map(|t| value_of(&t))) {
        let back = round(&value);
        // `Debug` masks secrets, so the comparison also looks inside.
        prop_assert!(back == value, "{:?} instead of {:?}", back.unmark_deep(), value.unmark_deep());
    }

    #[test]
    fn nothing_that_is_read_panics(json in "[\\[\\]{}\",:$a-t0-9 ]{0,40}", ty in any_type()) {
        let _ = read(&json, &ty, &Visible, "");
        let _ = type_from_json(&json);
    }
}
