//! Commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use stack_core::{Decode, Value};
use stack_provider::Resource as _;
use stack_provider_host::HostCommand;

use crate::machine::{Machine, model, owner};

#[tokio::test]
async fn command_runs_once_for_one_token() {
    let m = Machine::start().await;
    let count = m.path("count");
    let command = format!("printf x >> '{count}'\necho \"done: $(cat)\"");
    let planned = model(&[("command", command.as_str().into())]);
    let attempt = owner("token-19");
    let made = HostCommand::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(made.stdout.as_deref(), Some("done: \n"));
    let again = HostCommand::create(&m.cx(), &m.client, &attempt, made.clone())
        .await
        .unwrap();
    assert_eq!(again, made);
    assert_eq!(fs::read_to_string(&count).unwrap(), "x");
    let found = HostCommand::find(&m.cx(), &m.client, &attempt, &made.encode())
        .await
        .unwrap();
    assert_eq!(found, Some(made.clone()));
    assert_eq!(
        HostCommand::find(&m.cx(), &m.client, &owner("token-2"), &made.encode())
            .await
            .unwrap(),
        None
    );
    HostCommand::delete(&m.cx(), &m.client, &made).await.unwrap();
}

#[tokio::test]
async fn command_gets_secrets_but_nobody_else_does() {
    let m = Machine::start().await;
    let out = m.path("out");
    let planned = model(&[
        (
            "command",
            format!(
                "cat > '{out}'\nprintf '%s' \"$password\" >> '{out}'\necho \"$password\"\nenv | grep -c hunter >> '{out}' || :"
            )
            .as_str()
            .into(),
        ),
        ("stdin", Value::from("first'").sensitive()),
        (
            "secrets",
            BTreeMap::from([("password".to_owned(), stack_core::Secret::from("hunter2"))]).encode(),
        ),
    ]);
    let attempt = owner("token-20");
    let made = HostCommand::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "first'hunter20\n");
    assert_eq!(made.stdout, None);
    assert!(
        !fs::read_to_string(m.path(&format!("kept/record-{}", attempt.token)))
            .unwrap()
            .contains("hunter2")
    );
    let failing = model(&[
        ("command", "echo \"no: $password\" >&2\nfalse".into()),
        (
            "secrets",
            BTreeMap::from([("password".to_owned(), stack_core::Secret::from("hunter2"))]).encode(),
        ),
    ]);
    let failure = HostCommand::create(&m.cx(), &m.client, &owner("token-3"), failing)
        .await
        .unwrap_err();
    assert!(
        failure.error.message.contains("no: (sensitive value)"),
        "{}",
        failure.error
    );
    assert!(
        failure.error.message.contains("exit status 1"),
        "{}",
        failure.error
    );
}

#[tokio::test]
async fn what_an_interrupted_run_began_is_awaited() {
    let m = Machine::start().await;
    let (mark, cx) = (m.path("mark"), m.cx());
    let command = format!("touch '{mark}'\nsleep 1\necho done");
    let planned = model(&[("command", command.as_str().into())]);
    let arguments = Decode::encode(&planned);
    let attempt = owner("interrupted");
    let create = HostCommand::create(&cx, &m.client, &attempt, planned);
    tokio::select! {
        _ = create => panic!("the command takes a second"),
        () = async {
            while !Path::new(&mark).exists() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        } => {}
    }
    // The caller is gone; the command is not.
    let found = HostCommand::find(&cx, &m.client, &attempt, &arguments)
        .await
        .unwrap();
    assert_eq!(found.unwrap().stdout.as_deref(), Some("done\n"));
}

#[tokio::test]
async fn command_has_conditions() {
    let m = Machine::start().await;
    let (mark, count) = (m.path("mark"), m.path("count"));
    let planned = model(&[
        (
            "command",
            format!("touch '{mark}'; printf x >> '{count}'").as_str().into(),
        ),
        ("creates", mark.as_str().into()),
        ("on_destroy", format!("rm '{mark}'").as_str().into()),
    ]);
    let attempt = owner("token-21");
    let made = HostCommand::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(
        HostCommand::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    let other = owner("token-22");
    let skipped = HostCommand::create(&m.cx(), &m.client, &other, made.clone())
        .await
        .unwrap();
    assert_eq!(skipped.stdout, None);
    assert_eq!(fs::read_to_string(&count).unwrap(), "x");
    HostCommand::delete(&m.cx(), &m.client, &made).await.unwrap();
    assert!(!Path::new(&mark).exists());
    assert_eq!(HostCommand::read(&m.cx(), &m.client, &made).await.unwrap(), None);
    let unless = model(&[("command", "exit 9".into()), ("unless", "exit 0".into())]);
    HostCommand::create(&m.cx(), &m.client, &owner("token-4"), unless)
        .await
        .unwrap();
    let stops = model(&[("command", format!("false\ntouch '{mark}'").as_str().into())]);
    HostCommand::create(&m.cx(), &m.client, &owner("token-5"), stops)
        .await
        .unwrap_err();
    assert!(!Path::new(&mark).exists());
}
