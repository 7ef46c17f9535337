//! The contract of every type, with connections that break when they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use stack_core::{Decode as _, Value};
use stack_provider::contract::{self, Change, Effect, Faults, Harness};
use stack_provider::{Cx, Resource, async_trait};
use stack_provider_host::{
    HostClient, HostCommand, HostDirectory, HostFile, HostPackage, HostReady, HostService,
};

use crate::machine::{Machine, model};

struct Contract<R: Resource> {
    machine: Machine,
    arguments: R::Model,
    changes: Vec<(&'static str, R::Model, Effect)>,
    count: fn(&Machine) -> usize,
}

#[async_trait]
impl<R: Resource<Client = HostClient>> Harness for Contract<R> {
    type Resource = R;

    fn client(&self) -> &HostClient {
        &self.machine.client
    }

    fn arguments(&self) -> R::Model {
        self.arguments.clone()
    }

    fn changes(&self) -> Vec<Change<R::Model>> {
        let change = |(name, arguments, effect): &(&'static str, R::Model, Effect)| Change {
            name,
            arguments: arguments.clone(),
            effect: *effect,
        };
        self.changes.iter().map(change).collect()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(&self.machine)
    }

    async fn count(&self) -> Option<usize> {
        Some((self.count)(&self.machine))
    }

    fn cx(&self) -> Cx {
        self.machine.cx()
    }
}

/// Checks a type with arguments, changed ones and what they lead to. `arguments` get the machine for its paths.
async fn check<R: Resource<Client = HostClient>>(
    arguments: impl Fn(&Machine) -> Vec<(&'static str, Value)>,
    changes: Vec<(&'static str, Value, Effect)>,
    count: fn(&Machine) -> usize,
) {
    let machine = Machine::start().await;
    let base = arguments(&machine);
    let change = |(name, value, effect): (&'static str, Value, Effect)| {
        let mut all = base.clone();
        all.retain(|(n, _)| *n != name);
        all.push((name, value));
        (name, model::<R::Model>(&all), effect)
    };
    let harness = Contract::<R> {
        arguments: model(&base),
        changes: changes.into_iter().map(change).collect(),
        machine,
        count,
    };
    if let Err(violation) = contract::check(&harness).await {
        panic!("{violation}");
    }
}

/// Entries of the machine's folder that a test may have left behind.
fn entries(machine: &Machine) -> usize {
    fs::read_dir(machine.sshd.folder()).unwrap().count()
}

#[tokio::test]
async fn file_keeps_the_contract() {
    check::<HostFile>(
        |m| {
            vec![
                ("path", m.path("x.conf").as_str().into()),
                ("content", "one\n".into()),
            ]
        },
        vec![
            ("content", "two".into(), Effect::InPlace),
            ("mode", "600".into(), Effect::InPlace),
            ("path", "/nowhere".into(), Effect::Replace),
        ],
        entries,
    )
    .await;
}

#[tokio::test]
async fn sensitive_file_keeps_the_contract() {
    check::<HostFile>(
        |m| {
            vec![
                ("path", m.path("key").as_str().into()),
                ("sensitive_content", Value::from("hunter2").sensitive()),
                ("mode", "0400".into()),
            ]
        },
        vec![(
            "sensitive_content",
            Value::from("hunter3").sensitive(),
            Effect::InPlace,
        )],
        entries,
    )
    .await;
}

#[tokio::test]
async fn directory_keeps_the_contract() {
    check::<HostDirectory>(
        |m| vec![("path", m.path("folder").as_str().into())],
        vec![
            ("mode", "0700".into(), Effect::InPlace),
            ("path", "/nowhere".into(), Effect::Replace),
        ],
        entries,
    )
    .await;
}

#[tokio::test]
async fn package_keeps_the_contract() {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
            .encode()
    };
    check::<HostPackage>(
        |_| vec![("names", names(&["a", "b"])), ("update", false.into())],
        vec![("names", names(&["b", "c"]), Effect::InPlace)],
        |m| fs::read_dir(m.path("db")).unwrap().count().min(1),
    )
    .await;
}

#[tokio::test]
async fn service_keeps_the_contract() {
    let triggers = BTreeMap::from([("file".to_owned(), "1".to_owned())]).encode();
    check::<HostService>(
        |_| vec![("name", "broker".into())],
        vec![
            ("running", false.into(), Effect::InPlace),
            ("triggers", triggers, Effect::InPlace),
            ("name", "other".into(), Effect::Replace),
        ],
        |m| usize::from(m.has("unit/active")),
    )
    .await;
}

#[tokio::test]
async fn command_keeps_the_contract() {
    check::<HostCommand>(
        |m| {
            let count = m.path("count");
            vec![
                ("command", format!("printf x >> '{count}'").as_str().into()),
                ("on_destroy", format!("rm -f '{count}'").as_str().into()),
            ]
        },
        vec![
            ("on_destroy", "true".into(), Effect::InPlace),
            ("command", "true".into(), Effect::Replace),
        ],
        // Runs of the command: one for one token, also after a lost answer.
        |m| fs::read(m.path("count")).map_or(0, |runs| runs.len()),
    )
    .await;
}

#[tokio::test]
async fn ready_keeps_the_contract() {
    check::<HostReady>(|_| Vec::new(), Vec::new(), |_| 0).await;
}
