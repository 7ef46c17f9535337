//! The contract kit on the types of `stack` and `random`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use stack_core::{Path, SchemaOf, Value};
use stack_provider::Resource;
use stack_provider::contract::{self, Change, Effect, Harness};
use stack_provider_core::{RandomId, RandomPassword, StackData};

/// The model of these arguments, defaults filled in.
fn model<M: SchemaOf>(arguments: &[(&str, Value)]) -> M {
    let mut value = Value::object(arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    for (name, attribute) in M::schema().attributes {
        if let (None, Some(default)) = (value.attribute(&name), attribute.default) {
            value = value.with_attribute(&name, default);
        }
    }
    M::decode(&value, &Path::root()).unwrap()
}

struct Local<R: Resource<Client = ()>> {
    arguments: R::Model,
    changes: Vec<Change<R::Model>>,
}

#[stack_provider::async_trait]
impl<R: Resource<Client = ()>> Harness for Local<R> {
    type Resource = R;
    fn client(&self) -> &() {
        &()
    }
    fn arguments(&self) -> R::Model {
        self.arguments.clone()
    }
    fn changes(&self) -> Vec<Change<R::Model>> {
        self.changes.clone()
    }
}

#[tokio::test]
async fn stack_data() {
    let change = |name, arguments: &[(&str, Value)], effect| Change {
        name,
        arguments: model(arguments),
        effect,
    };
    let harness = Local::<StackData> {
        arguments: model(&[
            ("input", "a".into()),
            ("triggers_replace", Value::tuple(vec!["x".into()])),
        ]),
        changes: vec![
            change(
                "input",
                &[
                    ("input", "b".into()),
                    ("triggers_replace", Value::tuple(vec!["x".into()])),
                ],
                Effect::InPlace,
            ),
            change("triggers_replace", &[("input", "a".into())], Effect::Replace),
        ],
    };
    contract::check(&harness).await.unwrap();
}

#[tokio::test]
async fn random_id() {
    let harness = Local::<RandomId> {
        arguments: model(&[("byte_length", Value::from(8)), ("prefix", "p-".into())]),
        changes: vec![Change {
            name: "byte_length",
            arguments: model(&[("byte_length", Value::from(9)), ("prefix", "p-".into())]),
            effect: Effect::Replace,
        }],
    };
    contract::check(&harness).await.unwrap();
}

#[tokio::test]
async fn random_password() {
    let harness = Local::<RandomPassword> {
        arguments: model(&[("length", Value::from(20))]),
        changes: vec![Change {
            name: "special",
            arguments: model(&[("length", Value::from(20)), ("special", false.into())]),
            effect: Effect::Replace,
        }],
    };
    contract::check(&harness).await.unwrap();
}
