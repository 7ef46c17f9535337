//! The fake cloud: its types keep the contract, faults come as planned, and the world stops where it is told to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use stack_provider::contract::{self, Change, Effect, Faults, Harness};
use stack_provider::{Cx, ErrorKind, Resource, Sessions};
use stack_testkit::cloud::{
    Attributes, Cloud, CloudProcess, Fault, File, FileModel, Gate, Guest, Network, NetworkModel, Operation,
    Planned, Record, RecordModel, Server, ServerModel, Stage, Which, World,
};
use tokio_util::sync::CancellationToken;

struct Lab {
    process: Mutex<CloudProcess>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("cloud");
        let command = Command::new(env!("CARGO_BIN_EXE_fake-cloud"));
        let process = CloudProcess::start(command, socket.clone()).unwrap();
        Self {
            process: Mutex::new(process),
            socket,
            _folder: folder,
        }
    }

    fn world(&self) -> World {
        self.process.lock().unwrap().export().unwrap()
    }

    fn begin(&self, stop: Option<&str>, faults: Vec<Planned>) {
        self.process.lock().unwrap().begin(stop, faults).unwrap();
    }

    fn client(&self, patience: Option<Duration>) -> Cloud {
        Cloud::at(&self.socket, patience)
    }
}

impl Faults for Lab {
    fn arm(&self, nth: usize, fault: contract::Fault) {
        let fault = match fault {
            contract::Fault::Refused => Fault::Refused,
            contract::Fault::AnswerLost => Fault::AnswerLost,
        };
        let call = format!("any #{nth}");
        self.begin(None, vec![Planned { call, fault }]);
    }

    fn disarm(&self) -> bool {
        let met = self.process.lock().unwrap().met().unwrap() > 0;
        self.begin(None, Vec::new());
        met
    }
}

struct Kit<R: Resource> {
    lab: Lab,
    client: R::Client,
    arguments: R::Model,
    changes: Vec<Change<R::Model>>,
}

#[stack_provider::async_trait]
impl<R: Resource> Harness for Kit<R> {
    type Resource = R;
    fn client(&self) -> &R::Client {
        &self.client
    }
    fn arguments(&self) -> R::Model {
        self.arguments.clone()
    }
    fn changes(&self) -> Vec<Change<R::Model>> {
        let copy = |c: &Change<R::Model>| Change {
            name: c.name,
            arguments: c.arguments.clone(),
            effect: c.effect,
        };
        self.changes.iter().map(copy).collect()
    }
    fn faults(&self) -> Option<&dyn Faults> {
        Some(&self.lab)
    }
    async fn count(&self) -> Option<usize> {
        Some(self.lab.world().objects.len())
    }
}

fn change<M>(name: &'static str, arguments: M, effect: Effect) -> Change<M> {
    Change {
        name,
        arguments,
        effect,
    }
}

fn cx() -> Cx {
    Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(60))
}

fn server(name: &str, size: i64) -> ServerModel {
    ServerModel {
        name: name.to_owned(),
        size,
        network: None,
        id: None,
        host: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_keeps_the_contract() {
    let network = |name: &str, mtu| NetworkModel {
        name: name.to_owned(),
        mtu,
        id: None,
    };
    let lab = Lab::new();
    let kit = Kit::<Network> {
        client: lab.client(None),
        lab,
        arguments: network("a", 1),
        changes: vec![
            change("mtu", network("a", 2), Effect::InPlace),
            change("name", network("b", 1), Effect::Replace),
        ],
    };
    contract::check(&kit).await.unwrap();

    let lab = Lab::new();
    let kit = Kit::<Server> {
        client: lab.client(None),
        lab,
        arguments: server("a", 1),
        changes: vec![
            change("size", server("a", 2), Effect::InPlace),
            change("name", server("b", 1), Effect::Replace),
        ],
    };
    contract::check(&kit).await.unwrap();

    let record = |name: &str, value: &str| RecordModel {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let lab = Lab::new();
    let kit = Kit::<Record> {
        client: lab.client(None),
        lab,
        arguments: record("a", "1"),
        changes: vec![
            change("value", record("a", "2"), Effect::InPlace),
            change("name", record("b", "1"), Effect::Replace),
        ],
    };
    contract::check(&kit).await.unwrap();

    let file = |path: &str, text: &str| FileModel {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let lab = Lab::new();
    let mut world = World::default();
    let server = world.put_foreign("server", "host", Attributes::new());
    lab.process.lock().unwrap().import(&world).unwrap();
    let kit = Kit::<File> {
        client: Guest {
            cloud: lab.client(None),
            server,
        },
        lab,
        arguments: file("/a", "1"),
        changes: vec![
            change("text", file("/a", "2"), Effect::InPlace),
            change("path", file("/b", "1"), Effect::Replace),
        ],
    };
    contract::check(&kit).await.unwrap();
}

fn delete(id: &str) -> Operation {
    Operation::Delete(Which::id("server", id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_does_what_it_says() {
    let lab = Lab::new();
    let mut world = World::default();
    let id = world.put_foreign("server", "s", Attributes::new());
    let call = || "delete server:s #1".to_owned();
    for (fault, kind, done) in [
        (Fault::Refused, ErrorKind::Unavailable, false),
        (Fault::Denied, ErrorKind::Denied, false),
        (Fault::AnswerLost, ErrorKind::Unavailable, true),
        (Fault::Hang, ErrorKind::Unavailable, false),
        (Fault::HangAfterEffect, ErrorKind::Unavailable, true),
        (Fault::Throttle { times: 1 }, ErrorKind::Throttled, false),
    ] {
        lab.process.lock().unwrap().import(&world).unwrap();
        lab.begin(None, vec![Planned { call: call(), fault }]);
        let client = lab.client(Some(Duration::from_millis(300)));
        let error = client.call(&cx(), delete(&id)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
        assert_eq!(lab.world().objects.is_empty(), done, "{fault:?}");
        assert_eq!(lab.process.lock().unwrap().met().unwrap(), 1, "{fault:?}");
        if let Fault::Throttle { .. } = fault {
            let again = client.call(&cx(), delete(&id)).await.unwrap_err();
            assert_eq!(again.kind, ErrorKind::Throttled);
        }
        let last = client.call(&cx(), delete(&id)).await;
        assert_eq!(last.is_ok(), !done, "{fault:?}: {last:?}");
    }
    // Without patience a call that hangs ends with the time of its operation.
    lab.process.lock().unwrap().import(&world).unwrap();
    lab.begin(
        None,
        vec![Planned {
            call: call(),
            fault: Fault::Hang,
        }],
    );
    let short = Cx::new(
        Sessions::new(),
        CancellationToken::new(),
        Duration::from_millis(300),
    );
    let error = lab.client(None).call(&short, delete(&id)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_stops_at_each_stage_and_an_abandoned_call_has_no_further_effect() {
    let lab = Lab::new();
    let mut world = World::default();
    let id = world.put_foreign("server", "s", Attributes::new());
    for (stage, done) in Stage::ALL.into_iter().zip([false, true, true]) {
        lab.process.lock().unwrap().import(&world).unwrap();
        lab.begin(Some(&stage.point("delete server:s #1")), Vec::new());
        let mut gate = Gate::open(&lab.socket).unwrap();
        let (client, call) = (lab.client(None), delete(&id));
        let calling = tokio::spawn(async move { client.call(&cx(), call).await });
        let stopped = lab.process.lock().unwrap().await_stop(Duration::from_secs(30));
        assert!(stopped.unwrap(), "{stage:?}");
        // Whoever comes now waits, and never goes on.
        let gate = std::thread::spawn(move || gate.pass("later"));
        assert_eq!(lab.world().objects.is_empty(), done, "{stage:?}");
        let points = lab.process.lock().unwrap().log().unwrap();
        assert_eq!(points.last(), Some(&stage.point("delete server:s #1")));
        lab.process.lock().unwrap().abandon().unwrap();
        let ended = calling.await.unwrap();
        assert_eq!(ended.is_ok(), stage == Stage::Answered, "{stage:?}");
        assert!(gate.join().unwrap().is_err(), "{stage:?}");
        assert_eq!(lab.world().objects.is_empty(), done, "{stage:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_what_else_is_told_are_numbered_by_name_in_one_order() {
    let lab = Lab::new();
    let client = lab.client(None);
    for _ in 0..2 {
        lab.process.lock().unwrap().import(&World::default()).unwrap();
        lab.begin(None, Vec::new());
        let record = Operation::Create {
            kind: "record".to_owned(),
            name: "www".to_owned(),
            attributes: Attributes::new(),
            owner: None,
            inside: None,
            uses: Vec::new(),
        };
        let mut gate = Gate::open(&lab.socket).unwrap();
        gate.pass("write").unwrap();
        client.call(&cx(), record.clone()).await.unwrap();
        gate.pass("write").unwrap();
        let error = client.call(&cx(), record).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        let call = |nth: u32, stage: Stage| stage.point(&format!("create record:www #{nth}"));
        let expected = [
            "write #1".to_owned(),
            call(1, Stage::Received),
            call(1, Stage::Done),
            call(1, Stage::Answered),
            "write #2".to_owned(),
            call(2, Stage::Received),
            call(2, Stage::Done),
            call(2, Stage::Answered),
        ];
        assert_eq!(lab.process.lock().unwrap().log().unwrap(), expected);
    }
}
