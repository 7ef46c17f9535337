//! The machine itself: how it is reached, trusted and described.

use stack_core::SchemaOf as _;
use stack_provider::{AnyProvider, DataSource as _, ErrorKind, Provider as _, Resource as _};
use stack_provider_host::{Host, HostConfig, HostFacts, HostFile, HostReady};
use stack_ssh::sshd::Sshd;

use crate::machine::{Machine, config, model, owner};

#[tokio::test]
async fn machine_is_ready_and_described() {
    let m = Machine::start().await;
    let ready = HostReady::create(&m.cx(), &m.client, &owner("token-6"), model(&[]))
        .await
        .unwrap();
    assert!(ready.hostname.is_some() && ready.architecture.is_some() && ready.id.is_some());
    let read = HostReady::read(&m.cx(), &m.client, &ready)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.id, ready.id);
    let facts = HostFacts::read(&m.cx(), &m.client, model(&[])).await.unwrap();
    assert_eq!(facts.hostname, ready.hostname);
    assert!(facts.cpus.unwrap() > 0 && facts.memory_mib.unwrap() > 0);
}

#[tokio::test]
async fn reads_of_a_moment_are_one_script() {
    let m = Machine::start().await;
    let mut files = Vec::new();
    for name in ["a", "b", "c"] {
        let path = m.path(name);
        let planned = model(&[("path", path.as_str().into()), ("content", name.into())]);
        let made = HostFile::create(&m.cx(), &m.client, &owner("token-7"), planned).await;
        files.push(made.unwrap());
    }
    assert_eq!(m.sshd.commands(), 3);
    let none = model(&[]);
    let cx = m.cx();
    let (answers, facts) = tokio::join!(
        HostFile::read_many(&cx, &m.client, &files),
        HostFacts::read(&cx, &m.client, none)
    );
    for (answer, file) in answers.into_iter().zip(files) {
        assert_eq!(answer.unwrap(), Some(file));
    }
    facts.unwrap();
    assert_eq!(m.sshd.commands(), 3 + 1);
}

#[tokio::test]
async fn machine_that_went_away_is_reached_again() {
    let mut m = Machine::start().await;
    HostFacts::read(&m.cx(), &m.client, model(&[])).await.unwrap();
    m.sshd.stop();
    let error = HostFacts::read(&m.cx(), &m.client, model(&[])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    m.sshd.restart().unwrap();
    HostFacts::read(&m.cx(), &m.client, model(&[])).await.unwrap();
}

#[tokio::test]
async fn another_machine_is_denied_and_bad_arguments_are_named() {
    let m = Machine::start().await;
    let other = Sshd::start().unwrap();
    let mut wrong = config(&m.sshd);
    wrong.host_keys = config(&other).host_keys;
    let client = Host::connect(&m.cx(), wrong).await.unwrap();
    let error = HostFacts::read(&m.cx(), &client, model(&[])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    let failure = HostReady::create(&m.cx(), &client, &owner("token-12"), model(&[]))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Denied);
    let mut none = config(&m.sshd);
    none.host_keys.clear();
    let error = Host::connect(&m.cx(), none).await.err().unwrap();
    assert_eq!(error.attribute, Some(stack_core::Path::of(&["host_keys"])));
    let mut bad = config(&m.sshd);
    bad.private_key = "nonsense".into();
    let error = Host::connect(&m.cx(), bad).await.err().unwrap();
    assert_eq!(error.attribute, Some(stack_core::Path::of(&["private_key"])));
}

#[tokio::test]
async fn provider_lists_its_types() {
    let provider = AnyProvider::of::<Host>();
    let names: Vec<_> = provider.resources.keys().copied().collect();
    assert_eq!(
        names,
        [
            "host_command",
            "host_directory",
            "host_file",
            "host_package",
            "host_ready",
            "host_service"
        ]
    );
    assert!(HostConfig::schema().attributes["instance"].identity);
    assert!(HostConfig::schema().attributes["private_key"].sensitive);
}
