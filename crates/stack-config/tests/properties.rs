//! What holds for any text and any value.

use proptest::prelude::*;
use stack_config::{NoScope, console_line, evaluate, parse_expression, parse_template};
use stack_core::convert::{convert, unify};
use stack_core::{FileId, Type, Value};

/// Pieces that expressions are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "\"",
            "${",
            "%{",
            "~}",
            "}",
            "if",
            "for",
            "in",
            "endif",
            "endfor",
            "else",
            "x",
            "a",
            "1",
            "2.5",
            "1e3",
            "=>",
            "=",
            "==",
            "!=",
            "<",
            "<=",
            "&&",
            "||",
            "!",
            "-",
            "+",
            "*",
            "/",
            "%",
            "?",
            ":",
            ",",
            "...",
            ".",
            "[*]",
            ".*",
            "\\n",
            "\\u00e9",
            "null",
            "true",
            "<<EOT\n",
            "<<-E\n",
            "\nEOT\n",
            "\n",
            " ",
            "upper(",
            "try(",
            "format(",
            "tolist(",
            "merge(",
            "length(",
            "substr(",
            "regex(",
            "replace(",
            "#",
            "/*",
            "*/",
            "é",
            "日",
            "\u{301}",
            "$${",
            "sensitive(",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ]
}

fn ty() -> impl Strategy<Value = Type> {
    let leaf = prop::sample::select(vec![Type::Bool, Type::Number, Type::String, Type::Dynamic]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Type::tuple),
            prop::collection::vec(("[ab]", inner), 0..3).prop_map(Type::object),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a1]{0,2}".prop_map(Value::from),
        Just(Value::NULL),
        ty().prop_map(Value::unknown),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::tuple),
            prop::collection::vec(("[ab]", inner.clone()), 0..3).prop_map(Value::object),
            inner.prop_map(Value::sensitive),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_or_the_evaluator_panic(pieces in prop::collection::vec(piece(), 0..25)) {
        let text = pieces.concat();
        if let Ok(expr) = parse_expression(&text, FileId(0)) {
            let _ = evaluate(&expr, &NoScope);
        }
        if let Ok(expr) = parse_template(&text, FileId(0)) {
            let _ = evaluate(&expr, &NoScope);
        }
    }

    #[test]
    fn a_text_without_markers_is_its_own_template(text in "[^$%\"\\\\]{0,40}") {
        let expr = parse_template(&text, FileId(0)).unwrap();
        let value = evaluate(&expr, &NoScope).unwrap();
        let normal = console_line(&format!("\"{}\" == \"\"", text.replace(['\n', '\r'], "")), &NoScope);
        prop_assert!(normal.is_ok());
        prop_assert!(value.as_str().is_some());
    }

    #[test]
    fn a_value_converts_to_its_own_type_unchanged(value in value()) {
        prop_assert_eq!(convert(&value, &value.ty()).unwrap(), value);
    }

    #[test]
    fn a_converted_value_has_the_type_and_stays(value in value(), ty in ty()) {
        if let Ok(converted) = convert(&value, &ty) {
            if !ty.has_dynamic() {
                prop_assert_eq!(converted.ty(), ty.clone());
            }
            prop_assert_eq!(convert(&converted, &ty).unwrap(), converted);
        }
    }

    #[test]
    fn unified_types_do_not_depend_on_the_order_and_stand_for_themselves(a in ty(), b in ty()) {
        let unified = unify(&[a.clone(), b.clone()]);
        prop_assert_eq!(unified.is_some(), unify(&[b, a.clone()]).is_some());
        prop_assert_eq!(unify(&[a.clone(), a.clone()]), Some(a));
    }

    #[test]
    fn numbers_print_so_that_they_read_back(text in "-?[0-9]{1,30}(\\.[0-9]{1,30})?(e-?[0-9]{1,2})?") {
        let number = stack_core::Number::parse(&text).unwrap();
        prop_assert_eq!(stack_core::Number::parse(&number.to_string()).unwrap(), number);
    }
}
