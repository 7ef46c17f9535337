//! What looking at pending operations says is what carrying them out does; and looking changes nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stack_core::Value;
use stack_engine::backend::key::KeyInputs;
use stack_engine::backend::{Holder, Local};
use stack_engine::event::{Event, Events};
use stack_engine::store::{Store, StoreSettings};
use stack_engine::{Connections, Interrupt, Providers, Verdict};
use stack_provider::AnyProvider;
use stack_state::{Begin, DeleteSettings, Object, OperationId, Record, Status, Token, Verb};

use cloud::{Cloud, Fake, Inside};

struct Quiet;

impl Events for Quiet {
    fn event(&self, _: Event) {}
}

struct Session {
    folder: tempfile::TempDir,
    number: i64,
    cloud: Arc<Cloud>,
}

fn object(members: &[(&str, Value)]) -> Value {
    Value::object(members.iter().map(|(n, v)| ((*n).to_owned(), v.clone())))
}

fn server(id: Option<&str>, name: &str, size: i64) -> Value {
    let id = id.map_or(Value::Null(stack_core::Type::String), Value::string);
    let size = Value::Number(stack_core::Number::from(size));
    object(&[("name", Value::string(name)), ("size", size), ("id", id)])
}

fn file(path: &str, text: &str) -> Value {
    object(&[("path", Value::string(path)), ("text", Value::string(text))])
}

/// One operation that was begun and not ended.
struct Begun {
    address: &'static str,
    action: Verb,
    token: &'static str,
    /// The server that a file is on.
    on: Option<String>,
    planned: Value,
}

impl Begun {
    fn record(&self, number: u64) -> Record {
        let address: stack_core::ResourceAddress = self.address.parse().unwrap();
        let provider = if self.on.is_some() { "inside" } else { "fake" };
        Record::Begin(Begin {
            operation: OperationId(number),
            natural_key: self.on.as_ref().map(|_| Value::string(self.address)),
            address,
            deposed: None,
            action: self.action,
            token: Token::from(self.token.to_owned()),
            provider: format!("provider.{provider}").parse().unwrap(),
            identity: identity(self.on.as_deref()),
            planned: self.planned.clone(),
            dependencies: BTreeSet::new(),
            schema_version: 0,
            create_before_destroy: false,
            delete: DeleteSettings::default(),
        })
    }
}

fn identity(on: Option<&str>) -> Value {
    on.map_or(Value::NULL, |server| object(&[("server", Value::string(server))]))
}

fn recorded(attributes: Value, on: Option<&str>) -> Object {
    let provider = if on.is_some() { "inside" } else { "fake" };
    Object {
        status: Status::Ready,
        schema_version: 0,
        attributes,
        private: None,
        provider: format!("provider.{provider}").parse().unwrap(),
        identity: identity(on),
        token: None,
        dependencies: BTreeSet::new(),
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    }
}

impl Session {
    fn new() -> Self {
        let (number, cloud) = Cloud::open();
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            number,
            cloud,
        }
    }

    async fn open(&self) -> (Store, stack_state::State) {
        let settings = StoreSettings {
            backend: Arc::new(Local::new(self.folder.path(), "default")),
            keys: Arc::new(KeyInputs::default()),
            environment: "default".to_owned(),
            tool_version: "0".to_owned(),
            expires: None,
            holder: Holder::current("test"),
            lock_timeout: Duration::from_secs(10),
        };
        Store::open(settings).await.unwrap()
    }

    fn arguments(&self, provider: &str, on: Option<&str>) -> Record {
        let cloud = Value::Number(stack_core::Number::from(self.number));
        let mut members = vec![("cloud", cloud)];
        members.extend(on.map(|server| ("server", Value::string(server))));
        Record::Provider {
            address: format!("provider.{provider}").parse().unwrap(),
            arguments: Some(object(&members)),
        }
    }

    /// Records objects and begun operations as a run leaves them that dies, then looks, then recovers.
    async fn settle(
        &self,
        on: Option<&str>,
        objects: Vec<(&str, Object)>,
        begun: &[Begun],
    ) -> Vec<(Verdict, String)> {
        let (store, _) = self.open().await;
        let mut records = vec![self.arguments("fake", None)];
        records.extend(on.map(|server| self.arguments("inside", Some(server))));
        for (address, object) in objects {
            records.push(Record::Write {
                address: address.parse().unwrap(),
                deposed: None,
                object,
            });
        }
        records.extend(begun.iter().zip(1..).map(|(begun, number)| begun.record(number)));
        store.append(records).await.unwrap();
        drop(store);
        let (store, state) = self.open().await;
        assert_eq!(state.pending.len(), begun.len());
        let providers = Providers::new()
            .with(AnyProvider::of::<Fake>())
            .with(AnyProvider::of::<Inside>());
        let interrupt = Interrupt::new();
        let connections = Connections::new(Arc::new(providers), interrupt.abandon().clone());
        let changed = self.cloud.changes();
        let looked = stack_engine::look(&state, &connections, &Quiet, &interrupt).await;
        assert_eq!(self.cloud.changes(), changed, "looking changes nothing");
        assert_eq!(store.state(), state, "looking records nothing");
        let recovered = stack_engine::recover(&state, &store, &connections, &Quiet, &interrupt).await;
        let unknown = looked.findings.iter().any(|f| f.verdict == Verdict::Unknown);
        assert_eq!(recovered.is_err(), unknown, "{recovered:?}");
        let after = store.state();
        assert_eq!(
            after.instances, looked.after.instances,
            "what was seen is what happens"
        );
        assert_eq!(
            after.pending.keys().collect::<Vec<_>>(),
            looked.after.pending.keys().collect::<Vec<_>>()
        );
        assert_eq!(looked.warnings.len(), looked.after.pending.len());
        let told = |finding: stack_engine::Finding| (finding.verdict, finding.detail);
        looked.findings.into_iter().map(told).collect()
    }
}

fn create(address: &'static str, token: &'static str, name: &str) -> Begun {
    Begun {
        address,
        action: Verb::Create,
        token,
        on: None,
        planned: server(None, name, 1),
    }
}

fn verdicts(found: &[(Verdict, String)]) -> Vec<Verdict> {
    found.iter().map(|(verdict, _)| *verdict).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_are_found_by_token_or_were_not_made() {
    let session = Session::new();
    // The lineage is recorded with the first record.
    let (store, state) = session.open().await;
    store.append(vec![session.arguments("fake", None)]).await.unwrap();
    drop(store);
    let lineage = state.lineage.to_string();
    let made = session.cloud.create_server(&lineage, "t1", "one", 1);
    let begun = [
        create("fake_server.made", "t1", "one"),
        create("fake_server.not", "t2", "two"),
    ];
    let found = session.settle(None, Vec::new(), &begun).await;
    assert_eq!(verdicts(&found), [Verdict::Adopt, Verdict::Retry], "{found:?}");
    let (_, state) = session.open().await;
    let adopted = state.object(&"fake_server.made".parse().unwrap(), None).unwrap();
    assert_eq!(
        adopted.attributes.attribute("id").unwrap().as_str(),
        Some(made.as_str())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_and_deletes_are_told_by_reading() {
    let session = Session::new();
    let ids: Vec<String> = ["a", "b", "c"]
        .map(|name| session.cloud.create_server("l", name, name, 1))
        .into();
    session.cloud.remove_server("c");
    let change = |address, action| Begun {
        address,
        action,
        token: "t",
        on: None,
        planned: if action == Verb::Update {
            server(Some("x"), "x", 2)
        } else {
            Value::NULL
        },
    };
    let objects = vec![
        (
            "fake_server.changed",
            recorded(server(Some(&ids[0]), "a", 1), None),
        ),
        ("fake_server.still", recorded(server(Some(&ids[1]), "b", 1), None)),
        ("fake_server.gone", recorded(server(Some(&ids[2]), "c", 1), None)),
    ];
    let begun = [
        change("fake_server.changed", Verb::Update),
        change("fake_server.still", Verb::Delete),
        change("fake_server.gone", Verb::Delete),
    ];
    let found = session.settle(None, objects, &begun).await;
    assert_eq!(
        verdicts(&found),
        [Verdict::Adopt, Verdict::Retry, Verdict::Clean],
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_container_is_found_by_name_and_ends_with_it() {
    for gone in [false, true] {
        let session = Session::new();
        let id = session.cloud.create_server("l", "t", "host", 1);
        session.cloud.write_file(&id, "/made", "1");
        let begun = |address, path| Begun {
            address,
            action: Verb::Create,
            token: "t",
            on: Some(id.clone()),
            planned: file(path, "1"),
        };
        let begun = [
            begun("inside_file.made", "/made"),
            begun("inside_file.not", "/not"),
        ];
        let objects = vec![
            ("fake_server.host", recorded(server(Some(&id), "host", 1), None)),
            ("inside_file.old", recorded(file("/old", "1"), Some(&id))),
        ];
        if gone {
            session.cloud.remove_server("host");
        }
        let found = session.settle(Some(&id), objects, &begun).await;
        let wanted = if gone {
            [Verdict::Retry, Verdict::Retry]
        } else {
            [Verdict::Adopt, Verdict::Retry]
        };
        assert_eq!(verdicts(&found), wanted, "{found:?}");
    }
}

/// A container whose delete took effect takes its content along, and operations that were pending inside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_container_takes_its_content_along() {
    let session = Session::new();
    let id = session.cloud.create_server("l", "t", "host", 1);
    session.cloud.remove_server("host");
    let begun = [Begun {
        address: "fake_server.host",
        action: Verb::Delete,
        token: "t",
        on: None,
        planned: Value::NULL,
    }];
    let objects = vec![
        ("fake_server.host", recorded(server(Some(&id), "host", 1), None)),
        ("inside_file.old", recorded(file("/old", "1"), Some(&id))),
    ];
    let found = session.settle(Some(&id), objects, &begun).await;
    assert_eq!(verdicts(&found), [Verdict::Clean], "{found:?}");
    let (_, state) = session.open().await;
    assert!(state.is_empty(), "{:?}", state.instances);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_answer_stays_pending() {
    let session = Session::new();
    session.cloud.refuse();
    let begun = [create("fake_server.a", "t1", "one")];
    let found = session.settle(None, Vec::new(), &begun).await;
    assert_eq!(verdicts(&found), [Verdict::Unknown], "{found:?}");
    assert!(
        found[0].1.contains("it cannot be found out what became of it"),
        "{found:?}"
    );
}
