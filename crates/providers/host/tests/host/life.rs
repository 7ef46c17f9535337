//! What every type does in the life of its objects, and what it says when something is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use stack_core::{Decode, SchemaOf as _, Value};
use stack_provider::{AnyProvider, DataSource as _, ErrorKind, Provider as _, Resource};
use stack_provider_host::{
    Host, HostCommand, HostConfig, HostDirectory, HostFacts, HostFile, HostPackage, HostReady, HostService,
};
use stack_ssh::sshd::Sshd;

use crate::machine::{Machine, config, model, owner};

fn strings(values: &[&str]) -> Value {
    values
        .iter()
        .map(|v| (*v).to_owned())
        .collect::<BTreeSet<_>>()
        .encode()
}

#[tokio::test]
async fn file_lives_and_goes() {
    let m = Machine::start().await;
    let path = m.path("a 'file'.conf");
    let planned = model(&[
        ("path", path.as_str().into()),
        ("content", "one\n'two'\n\n".into()),
    ]);
    let attempt = owner("token-13");
    let made = HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n'two'\n\n");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    // Reading shows no difference; a lost answer makes no second object and is no obstacle.
    assert_eq!(
        HostFile::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    let again = HostFile::create(&m.cx(), &m.client, &attempt, made.clone())
        .await
        .unwrap();
    assert_eq!(again, made);
    // Drift of everything is seen.
    fs::write(&path, "other").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let drifted = HostFile::read(&m.cx(), &m.client, &made).await.unwrap().unwrap();
    assert_eq!(
        (drifted.content.as_deref(), drifted.mode.as_str()),
        (Some("other"), "0600")
    );
    assert_ne!(drifted.sha256, made.sha256);
    // An update puts it right, and leaves no other file behind.
    let back = HostFile::update(&m.cx(), &m.client, &drifted, made.clone())
        .await
        .unwrap();
    assert_eq!(back, made);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    let left: Vec<_> = fs::read_dir(m.sshd.folder())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().starts_with(".stack")),
        "{left:?}"
    );
    assert_eq!(
        HostFile::import(&m.cx(), &m.client, &path).await.unwrap().content,
        made.content
    );
    for _ in 0..2 {
        HostFile::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!Path::new(&path).exists());
    }
    assert_eq!(HostFile::read(&m.cx(), &m.client, &made).await.unwrap(), None);
}

#[tokio::test]
async fn foreign_file_is_left_alone_unless_told_otherwise() {
    let m = Machine::start().await;
    let path = m.path("foreign");
    fs::write(&path, "theirs").unwrap();
    let arguments = [("path", Value::from(path.as_str())), ("content", "ours".into())];
    let attempt = owner("token-14");
    let failure = HostFile::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::AlreadyExists);
    assert!(
        failure
            .error
            .message
            .contains(&format!("stack import 'host_file.x' '{path}'"))
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    let planned = model::<<HostFile as Resource>::Model>(&arguments).encode();
    let found = HostFile::find(&m.cx(), &m.client, &attempt, &planned)
        .await
        .unwrap();
    assert_eq!(found.unwrap().content.as_deref(), Some("theirs"));
    let [path_argument, content] = arguments;
    let planned = model(&[path_argument, content, ("overwrite", true.into())]);
    HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
}

#[tokio::test]
async fn sensitive_contents_never_come_back() {
    let m = Machine::start().await;
    let path = m.path("key");
    let planned = model(&[
        ("path", path.as_str().into()),
        ("sensitive_content", Value::from("hunter2").sensitive()),
        ("mode", "0600".into()),
    ]);
    let attempt = owner("token-15");
    let made = HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2");
    assert_eq!(
        fs::read_to_string(m.path(&format!("kept/attempt-{}", attempt.token))).unwrap(),
        "file\n"
    );
    assert_eq!(
        HostFile::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    fs::write(&path, "somebody else's secret").unwrap();
    let drifted = HostFile::read(&m.cx(), &m.client, &made).await.unwrap().unwrap();
    assert_eq!((drifted.content, drifted.sensitive_content), (None, None));
}

#[tokio::test]
async fn parents_are_made_on_request_and_missing_ones_explained() {
    let m = Machine::start().await;
    let path = m.path("a/b c/file");
    let arguments = [
        ("path", Value::from(path.as_str())),
        ("content_base64", "AAEC".into()),
    ];
    let attempt = owner("token-16");
    let failure = HostFile::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap_err();
    assert!(
        failure.error.message.contains("directory_mode"),
        "{}",
        failure.error
    );
    let [path_argument, content] = arguments;
    let planned = model(&[path_argument, content, ("directory_mode", "0750".into())]);
    HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0, 1, 2]);
    for folder in ["a", "a/b c"] {
        assert_eq!(fs::metadata(m.path(folder)).unwrap().mode() & 0o7777, 0o750);
    }
    let planned = model(&[
        ("path", m.path("nobody").as_str().into()),
        ("content", "x".into()),
        ("owner", "no-such-user".into()),
    ]);
    let failure = HostFile::create(&m.cx(), &m.client, &owner("token-1"), planned)
        .await
        .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["owner"])));
    assert!(!Path::new(&m.path("nobody")).exists());
}

#[tokio::test]
async fn directory_lives_and_goes() {
    let m = Machine::start().await;
    let path = m.path("x/y");
    let arguments = [
        ("path", Value::from(path.as_str())),
        ("mode", "750".into()),
        ("parents", true.into()),
    ];
    let attempt = owner("token-17");
    let made = HostDirectory::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap();
    assert_eq!(made.created, Some(true));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(
        HostDirectory::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    let again = HostDirectory::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap();
    assert_eq!(again, made);
    // Another attempt finds it in the way, and does not remove what it took over.
    let other = owner("token-18");
    let failure = HostDirectory::create(&m.cx(), &m.client, &other, model(&arguments))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::AlreadyExists);
    let [a, b, c] = arguments;
    let taken = model(&[a, b, c, ("overwrite", true.into())]);
    let taken = HostDirectory::create(&m.cx(), &m.client, &other, taken)
        .await
        .unwrap();
    assert_eq!(taken.created, Some(false));
    HostDirectory::delete(&m.cx(), &m.client, &taken).await.unwrap();
    assert!(Path::new(&path).exists());
    // What is in it is not removed by accident.
    fs::write(format!("{path}/file"), "").unwrap();
    let error = HostDirectory::delete(&m.cx(), &m.client, &made)
        .await
        .unwrap_err();
    assert!(error.message.contains("force_destroy"), "{error}");
    let made = forced(&made);
    for _ in 0..2 {
        HostDirectory::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!Path::new(&path).exists());
    }
}

fn forced<M: Decode>(made: &M) -> M {
    let forced = made.encode().with_attribute("force_destroy", true.into());
    M::decode(&forced, &stack_core::Path::root()).unwrap()
}

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
async fn packages_come_and_only_ours_go() {
    let m = Machine::start().await;
    let (db, log) = (m.path("db"), m.path("apt.log"));
    fs::write(format!("{db}/old"), "").unwrap();
    let attempt = owner("token-23");
    let planned = model(&[("names", strings(&["old", "new"])), ("update", false.into())]);
    let made = HostPackage::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(made.installed, Some(BTreeSet::from(["new".to_owned()])));
    assert_eq!(made.versions.clone().unwrap()["old"], "1.0");
    assert_eq!(
        HostPackage::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    // A repeated attempt installs nothing and still knows what is ours.
    let before = fs::read_to_string(&log).unwrap();
    let again = HostPackage::create(&m.cx(), &m.client, &attempt, made.clone())
        .await
        .unwrap();
    assert_eq!(again, made);
    assert_eq!(fs::read_to_string(&log).unwrap(), before);
    let found = HostPackage::find(&m.cx(), &m.client, &attempt, &made.encode())
        .await
        .unwrap();
    assert_eq!(found, Some(made.clone()));
    // One that was removed by hand is missed.
    fs::remove_file(format!("{db}/new")).unwrap();
    let drifted = HostPackage::read(&m.cx(), &m.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(drifted.names, BTreeSet::from(["old".to_owned()]));
    let back = HostPackage::update(&m.cx(), &m.client, &drifted, made.clone())
        .await
        .unwrap();
    assert_eq!(back.installed, made.installed);
    let failure = HostPackage::create(
        &m.cx(),
        &m.client,
        &owner("token-8"),
        model(&[("names", strings(&["nonsense"])), ("update", false.into())]),
    )
    .await
    .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["names"])));
    for _ in 0..2 {
        HostPackage::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(Path::new(&format!("{db}/old")).exists() && !Path::new(&format!("{db}/new")).exists());
    }
    assert_eq!(HostPackage::read(&m.cx(), &m.client, &made).await.unwrap(), None);
    let imported = HostPackage::import(&m.cx(), &m.client, "old").await.unwrap();
    assert_eq!(
        (imported.id.as_deref(), imported.imported),
        (Some("old"), Some(true))
    );
    HostPackage::delete(&m.cx(), &m.client, &imported).await.unwrap();
    assert_eq!(
        HostPackage::read(&m.cx(), &m.client, &imported).await.unwrap(),
        Some(imported)
    );
}

#[tokio::test]
async fn service_follows_and_is_put_back() {
    let m = Machine::start().await;
    let state = m.path("unit");
    let exists = |name: &str| Path::new(&state).join(name).exists();
    let verbs = || {
        let log = fs::read_to_string(format!("{state}/log")).unwrap_or_default();
        fs::remove_file(format!("{state}/log")).unwrap();
        log.lines()
            .filter(|v| *v != "show" && *v != "reset-failed")
            .collect::<Vec<_>>()
            .join(" ")
    };
    let triggers = |v: &str| BTreeMap::from([("file".to_owned(), v.to_owned())]).encode();
    let planned = model(&[("name", "broker".into()), ("triggers", triggers("1"))]);
    let made = HostService::create(&m.cx(), &m.client, &owner("token-9"), planned)
        .await
        .unwrap();
    assert_eq!((made.was_enabled, made.was_running), (Some(true), Some(false)));
    assert_eq!(verbs(), "start");
    assert_eq!(
        HostService::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    // A changed trigger restarts; nothing else does.
    let changed: stack_core::Value = made.encode().with_attribute("triggers", triggers("2"));
    let changed = Decode::decode(&changed, &stack_core::Path::root()).unwrap();
    let changed = HostService::update(&m.cx(), &m.client, &made, changed)
        .await
        .unwrap();
    assert_eq!(verbs(), "restart");
    let disabled = changed.encode().with_attribute("enabled", false.into());
    let disabled = Decode::decode(&disabled, &stack_core::Path::root()).unwrap();
    let disabled = HostService::update(&m.cx(), &m.client, &changed, disabled)
        .await
        .unwrap();
    assert_eq!(verbs(), "disable");
    // Drift is seen.
    fs::remove_file(format!("{state}/active")).unwrap();
    let drifted = HostService::read(&m.cx(), &m.client, &disabled)
        .await
        .unwrap()
        .unwrap();
    assert!(!drifted.running && !drifted.enabled);
    // It goes back to enabled and stopped, as it was found.
    fs::write(format!("{state}/active"), "").unwrap();
    for _ in 0..2 {
        HostService::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!exists("active"));
    }
    // One that does not start is an error that says where to look.
    fs::write(format!("{state}/broken"), "").unwrap();
    let planned = model(&[("name", "broker".into())]);
    let failure = HostService::create(&m.cx(), &m.client, &owner("token-10"), planned)
        .await
        .unwrap_err();
    assert!(
        failure.error.message.contains("journalctl -u broker"),
        "{}",
        failure.error
    );
    assert!(
        failure.error.message.contains("result exit-code, exit status 1"),
        "{}",
        failure.error
    );
    let unknown = model(&[("name", "nobody".into())]);
    let failure = HostService::create(&m.cx(), &m.client, &owner("token-11"), unknown)
        .await
        .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["name"])));
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
