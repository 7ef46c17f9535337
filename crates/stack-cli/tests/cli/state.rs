//! States that are damaged, foreign, newer or sealed with another key, and the commands that deal with them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stack_core::{Secret, Value};
use stack_engine::backend::key::KeyInputs;
use stack_engine::backend::{Backend as _, BackendError, Holder, Local};
use stack_engine::store::{Store, StoreSettings};
use stack_state::Record;
use stack_state::frame;

use crate::environment::{Environment, KEY};

const CONFIGURATION: &str = r#"
resource "random_password" "p" {
  length = 12
}
resource "stack_data" "a" {
  input = "x"
}
output "p" {
  value     = random_password.p.result
  sensitive = true
}
"#;

const OTHER_KEY: &str = "b3RoZXIga2V5IG9mIHRoZSBjb21tYW5kIGxpbmUgaXM=";

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a state; the folder of its run records is no part of it.
fn files(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .filter(|e| e.file_type().unwrap().is_file())
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                std::fs::read(e.path()).unwrap(),
            )
        })
        .collect()
}

fn backend(environment: &Environment, name: &str) -> Arc<Local> {
    Arc::new(Local::new(&environment.path(".stack"), name))
}

/// A journal of two frames as a process that died leaves it.
fn leave_journal(environment: &Environment, name: &str) {
    let settings = StoreSettings {
        backend: backend(environment, name),
        keys: Arc::new(KeyInputs {
            key: Some(Secret::from(KEY)),
            ..KeyInputs::default()
        }),
        environment: name.to_owned(),
        tool_version: "0.1.0".to_owned(),
        expires: None,
        holder: Holder::current("stack apply"),
        lock_timeout: Duration::from_secs(60),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (store, _) = Store::open(settings).await.unwrap();
        for output in ["left1", "left2"] {
            let value = Some(Value::string("canary").sensitive());
            let name = output.to_owned();
            store.append(vec![Record::Output { name, value }]).await.unwrap();
        }
        drop(store);
    });
    // The writer's thread gives the lock back after the store is gone.
    let local = backend(environment, name);
    drop(
        local
            .lock(&Holder::current("wait"), Duration::from_secs(60))
            .unwrap(),
    );
}

/// An applied configuration with a journal of epoch 2 beside its snapshot.
fn with_journal() -> Environment {
    let environment = Environment::with(CONFIGURATION);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    leave_journal(&environment, "default");
    environment
}

/// Every command refuses with this code and a way out, and changes no byte.
fn assert_refused(environment: &Environment, code: &str, what: &str) {
    let folder = environment.path(".stack/default");
    let before = files(&folder);
    for command in [
        &["plan"][..],
        &["apply", "--auto-approve"],
        &["destroy", "--auto-approve"],
        &["state", "pull"],
        &["state", "mv", "stack_data.a", "stack_data.b"],
        &["state", "rm", "stack_data.a"],
        &["state", "rekey", "--new-key-file", "new.key"],
        &["output", "p"],
    ] {
        let shown = environment.run(command);
        let ways_out = [
            "hint:",
            "give the key",
            "set STACK_STATE_KEY",
            "leave one of them",
            "give it a value",
        ];
        let told = shown.err.contains(code) && ways_out.iter().any(|way| shown.err.contains(way));
        assert!(shown.code == 1 && told, "{what}: {command:?}\n{}", shown.all());
        assert!(!shown.all().contains("canary"), "{what}: {}", shown.all());
        assert!(files(&folder) == before, "{what}: {command:?} changed the folder");
    }
}

fn change(environment: &Environment, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    let path = environment.path(".stack/default").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    edit(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn damage_anywhere_is_refused_before_anything_is_touched() {
    let environment = with_journal();
    let whole = files(&environment.path(".stack/default"));
    let journal = whole["journal-2.log"].clone();
    let second = frame::decode(&journal).unwrap().frames[1].offset;
    let restored =
        |name: &str| std::fs::write(environment.path(".stack/default").join(name), &whole[name]).unwrap();
    change(&environment, "state.json", |bytes| bytes[500] ^= 1);
    assert_refused(&environment, "STK0520", "snapshot");
    restored("state.json");
    change(&environment, "journal-2.log", |bytes| bytes[40] ^= 1);
    assert_refused(&environment, "STK0520", "head of a frame");
    restored("journal-2.log");
    change(&environment, "journal-2.log", |bytes| bytes[second - 2] ^= 1);
    assert_refused(&environment, "STK0520", "body of a frame");
    restored("journal-2.log");
    change(&environment, "journal-2.log", |bytes| drop(bytes.drain(..second)));
    assert_refused(&environment, "STK0523", "a frame is missing");
    restored("journal-2.log");
    std::fs::remove_file(environment.path(".stack/default/state.json")).unwrap();
    assert_refused(&environment, "STK0523", "the snapshot is missing");
    restored("state.json");
    assert_eq!(environment.run(&["plan"]).code, 0);
}

#[test]
fn what_is_of_another_state_is_refused() {
    let environment = with_journal();
    assert_eq!(environment.run(&["plan", "--env", "other"]).code, 0);
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "--env", "other"])
            .code,
        0
    );
    leave_journal(&environment, "other");
    std::fs::copy(
        environment.path(".stack/other/journal-2.log"),
        environment.path(".stack/default/journal-3.log"),
    )
    .unwrap();
    assert_refused(&environment, "STK0521", "a journal of another environment");
    std::fs::remove_file(environment.path(".stack/default/journal-3.log")).unwrap();

    // A plan for the state that stood here before.
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    std::fs::remove_dir_all(environment.path(".stack/default")).unwrap();
    std::fs::rename(
        environment.path(".stack/other"),
        environment.path(".stack/default"),
    )
    .unwrap();
    let before = files(&environment.path(".stack/default"));
    let refused = environment.run(&["apply", "x.plan", "--auto-approve"]);
    assert!(
        refused.code == 1 && refused.err.contains("STK0521") && refused.err.contains("hint:"),
        "{}",
        refused.all()
    );
    assert!(files(&environment.path(".stack/default")) == before);
}

#[test]
fn what_a_newer_stack_wrote_is_refused() {
    let environment = with_journal();
    let whole = files(&environment.path(".stack/default"));
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    change(&environment, "state.json", |bytes| {
        *bytes = String::from_utf8(bytes.clone())
            .unwrap()
            .replacen("\"format\":1", "\"format\":2", 1)
            .into_bytes();
    });
    assert_refused(&environment, "STK0522", "snapshot");
    std::fs::write(
        environment.path(".stack/default/state.json"),
        &whole["state.json"],
    )
    .unwrap();
    change(&environment, "journal-2.log", |bytes| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..104]).to_le_bytes();
        bytes[104..108].copy_from_slice(&checksum);
    });
    assert_refused(&environment, "STK0522", "journal");
    std::fs::write(
        environment.path(".stack/default/journal-2.log"),
        &whole["journal-2.log"],
    )
    .unwrap();

    let plan = std::fs::read(environment.path("x.plan")).unwrap();
    let newer = [&b"stack plan 2"[..], &plan[b"stack plan 1".len()..]].concat();
    std::fs::write(environment.path("x.plan"), newer).unwrap();
    let refused = environment.run(&["apply", "x.plan", "--auto-approve"]);
    assert!(
        refused.code == 1 && refused.err.contains("STK0522") && refused.err.contains("plan format 2"),
        "{}",
        refused.all()
    );
    assert!(files(&environment.path(".stack/default")) == whole);
}

#[test]
fn a_missing_and_a_wrong_key_are_told_apart() {
    let mut environment = with_journal();
    environment.set("STACK_STATE_KEY", OTHER_KEY);
    assert_refused(&environment, "STK0504", "another key");
    let shown = environment.run(&["plan"]).err;
    assert!(
        shown.contains("sealed with key") && shown.contains("but the key given is"),
        "{shown}"
    );
    environment.unset("STACK_STATE_KEY");
    assert_refused(&environment, "STK0504", "no key");
    assert!(environment.run(&["plan"]).err.contains("without a key"));
    environment.set("STACK_STATE_KEY", KEY);
    environment.set("STACK_STATE_PASSPHRASE", "canary");
    assert_refused(&environment, "STK0504", "two keys");
    assert!(
        environment
            .run(&["plan"])
            .err
            .contains("STACK_STATE_KEY, STACK_STATE_PASSPHRASE are all set")
    );
    environment.unset("STACK_STATE_KEY");
    environment.set("STACK_STATE_PASSPHRASE", "");
    assert_refused(&environment, "STK0504", "empty");
}

#[test]
fn a_repair_shows_what_is_lost_keeps_the_rest_and_the_files() {
    let environment = with_journal();
    let sound = environment.run(&["state", "repair", "--auto-approve"]);
    assert!(
        sound.code == 0 && sound.err.contains("nothing to repair"),
        "{}",
        sound.all()
    );
    let folder = environment.path(".stack/default");
    let second = frame::decode(&files(&folder)["journal-2.log"]).unwrap().frames[1].offset;
    change(&environment, "journal-2.log", |bytes| bytes[second + 120] ^= 1);
    let before = files(&folder);
    assert_eq!(environment.run(&["state", "repair"]).code, 64);
    let held = backend(&environment, "default")
        .lock(&Holder::current("stack apply"), Duration::ZERO)
        .unwrap();
    let locked = environment.run(&["state", "repair", "--auto-approve"]);
    assert!(
        locked.code == 5 && locked.err.contains("is locked"),
        "{}",
        locked.all()
    );
    drop(held);
    assert!(files(&folder) == before);

    let shown = environment.run(&["state", "repair", "--auto-approve"]);
    assert_eq!(shown.code, 0, "{}", shown.all());
    for expected in [
        "journal-2.log: damaged at byte",
        "lost:",
        "2 objects, 2 outputs",
        "journal-2.log.damaged",
        "stack:lineage",
    ] {
        assert!(shown.err.contains(expected), "{expected}: {}", shown.all());
    }
    let after = files(&folder);
    assert!(
        after["journal-2.log.damaged"] == before["journal-2.log"]
            && after["state.json.damaged"] == before["state.json"]
    );
    assert_eq!(environment.run(&["output", "left1", "--raw"]).out, "canary");
    assert_eq!(environment.run(&["output", "left2"]).code, 1);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);

    std::fs::write(folder.join("state.json"), "{}").unwrap();
    let before = files(&folder);
    let refused = environment.run(&["state", "repair", "--auto-approve"]);
    assert!(
        refused.code == 1 && refused.err.contains("STK0525") && refused.err.contains("backup"),
        "{}",
        refused.all()
    );
    assert!(files(&folder) == before);
}

#[test]
fn a_key_is_changed_by_every_source_and_the_old_one_opens_nothing() {
    let mut environment = with_journal();
    let password = environment.run(&["output", "p", "--raw"]).out;
    assert_eq!(environment.run(&["plan", "--out", "x.plan"]).code, 0);
    assert_eq!(environment.run(&["state", "rekey"]).code, 64);

    environment.set("STACK_STATE_NEW_PASSPHRASE", "correct horse");
    assert_eq!(environment.run(&["state", "rekey"]).code, 0);
    environment.unset("STACK_STATE_NEW_PASSPHRASE");
    let old = environment.run(&["output", "p", "--raw"]);
    assert!(old.code == 1 && old.err.contains("STK0504"), "{}", old.all());
    environment.unset("STACK_STATE_KEY");
    environment.set("STACK_STATE_PASSPHRASE", "correct horse");
    assert_eq!(environment.run(&["output", "p", "--raw"]).out, password);
    assert_eq!(environment.run(&["apply", "x.plan", "--auto-approve"]).code, 1);

    assert_eq!(
        environment
            .run(&["state", "rekey", "--new-key-file", "new.key"])
            .code,
        0
    );
    environment.unset("STACK_STATE_PASSPHRASE");
    environment.set("STACK_STATE_KEY_FILE", "new.key");
    assert_eq!(environment.run(&["output", "p", "--raw"]).out, password);
    let same = environment.run(&["state", "rekey", "--new-key-file", "new.key"]);
    assert!(same.code == 1 && same.err.contains("STK0526"), "{}", same.all());

    environment.write("key.sh", &format!("echo {KEY}\n"));
    environment.set("PATH", "/usr/bin:/bin");
    environment.set("STACK_STATE_NEW_KEY_COMMAND", "sh key.sh");
    assert_eq!(environment.run(&["state", "rekey"]).code, 0);
    environment.unset("STACK_STATE_KEY_FILE");
    environment.unset("STACK_STATE_NEW_KEY_COMMAND");
    environment.set("STACK_STATE_KEY_COMMAND", "sh key.sh");
    assert_eq!(environment.run(&["output", "p", "--raw"]).out, password);
    assert_eq!(environment.run(&["output", "left2", "--raw"]).out, "canary");
    environment.write("key.sh", "echo canary; echo canary >&2; exit 3\n");
    let failed = environment.run(&["output", "p"]);
    assert!(
        failed.code == 1 && failed.err.contains("exit code 3") && !failed.all().contains("canary"),
        "{}",
        failed.all()
    );
}

#[test]
fn when_the_key_is_lost_what_is_given_up_is_named_and_made_anew() {
    let mut environment = Environment::with(CONFIGURATION);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let password = environment.run(&["output", "p", "--raw"]).out;
    let needless = environment.run(&[
        "state",
        "rekey",
        "--forget",
        "--auto-approve",
        "--new-key-file",
        "new.key",
    ]);
    assert!(
        needless.code == 1 && needless.err.contains("STK0526"),
        "{}",
        needless.all()
    );
    environment.set("STACK_STATE_KEY", OTHER_KEY);
    environment.set("STACK_STATE_NEW_KEY", OTHER_KEY);
    assert_eq!(environment.run(&["state", "rekey", "--forget"]).code, 64);
    let shown = environment.run(&["state", "rekey", "--forget", "--auto-approve"]);
    assert_eq!(shown.code, 0, "{}", shown.all());
    for expected in [
        "random_password.p/result: it cannot be had again; the next plan replaces the object",
        "output.p: the next apply computes it anew",
    ] {
        assert!(shown.err.contains(expected), "{}", shown.all());
    }
    let plan = environment.run(&["plan"]);
    assert!(
        plan.code == 0
            && plan
                .out
                .contains("random_password.p is tainted, so it must be replaced")
            && plan.out.contains("1 to add"),
        "{}",
        plan.all()
    );
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let made = environment.run(&["output", "p", "--raw"]).out;
    assert!(made.len() == 12 && made != password, "{made}");
}

#[test]
fn force_unlock_says_who_holds_the_lock_and_ends_nobody() {
    let environment = Environment::with(CONFIGURATION);
    let free = environment.run(&["force-unlock", "--auto-approve"]);
    assert!(
        free.code == 0 && free.err.contains("is not locked"),
        "{}",
        free.all()
    );
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let local = backend(&environment, "default");
    let mut held = local
        .lock(&Holder::current("stack apply"), Duration::ZERO)
        .unwrap();
    held.begin(0).unwrap();
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 5);
    let before = files(&environment.path(".stack/default"));
    assert_eq!(environment.run(&["force-unlock"]).code, 64);
    assert!(files(&environment.path(".stack/default")) == before);
    let shown = environment.run(&["force-unlock", "--auto-approve"]);
    let pid = format!("(pid {})", std::process::id());
    for expected in [
        "is locked by `stack apply`",
        &pid,
        "is running",
        "Nobody is ended",
        "at epoch",
    ] {
        assert!(
            shown.code == 0 && shown.err.contains(expected),
            "{expected}: {}",
            shown.all()
        );
    }
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "--replace", "stack_data.a"])
            .code,
        0
    );
    let before = files(&environment.path(".stack/default"));
    assert!(matches!(held.append(b"x"), Err(BackendError::LockLost { .. })));
    assert!(files(&environment.path(".stack/default")) == before);
}

#[test]
fn objects_are_moved_and_given_up_in_the_state_alone() {
    let environment = with_journal();
    let id = environment.run(&["state", "show", "stack_data.a"]).out;
    assert_eq!(
        environment
            .run(&["state", "mv", "stack_data.a", "stack_data.b"])
            .code,
        0
    );
    let moved = environment.run(&["state", "show", "stack_data.b"]).out;
    assert_eq!(
        moved
            .replace("\"b\"", "\"a\"")
            .replace("stack_data.b", "stack_data.a"),
        id
    );
    for (arguments, code) in [
        (&["state", "mv", "stack_data.a", "stack_data.c"][..], "STK0511"),
        (&["state", "mv", "stack_data.b", "random_password.p"], "STK0529"),
        (&["state", "mv", "stack_data.b", "random_id.b"], "STK0529"),
        (&["state", "rm", "stack_data.none"], "STK0511"),
    ] {
        let shown = environment.run(arguments);
        assert!(shown.code == 1 && shown.err.contains(code), "{}", shown.all());
    }
    assert_eq!(environment.run(&["state", "mv", "stack_data.b"]).code, 64);
    assert_eq!(environment.run(&["state", "rm", "stack_data.b"]).code, 0);
    assert_eq!(environment.run(&["state", "list"]).out, "random_password.p\n");
    assert_eq!(environment.run(&["output", "left2", "--raw"]).out, "canary");
}

#[test]
fn a_state_is_pushed_forward_only_and_to_its_own_lineage() {
    let environment = with_journal();
    let pulled = environment.run_unmasked(&["state", "pull"]);
    assert!(pulled.starts_with("{\"format\":1,") && !pulled.contains("canary"));
    environment.write("old.json", &pulled);
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "--replace", "stack_data.a"])
            .code,
        0
    );
    environment.write("new.json", &environment.run_unmasked(&["state", "pull"]));
    let refused = |arguments: &[&str], expected: &str| {
        let shown = environment.run(arguments);
        assert!(
            shown.code == 1 && shown.err.contains("STK0528") && shown.err.contains(expected),
            "{}",
            shown.all()
        );
    };
    let before = files(&environment.path(".stack/default"));
    refused(&["state", "push", "old.json"], "it would go back");
    refused(&["state", "push", "none.json"], "cannot be used");
    environment.write("changed.json", &pulled.replace("\"serial\"", "\"serial \""));
    refused(&["state", "push", "changed.json"], "digest");
    assert!(files(&environment.path(".stack/default")) == before);
    // A place without a state takes any; then only what is newer, and never another lineage.
    assert_eq!(
        environment
            .run(&["state", "push", "old.json", "--env", "copy"])
            .code,
        0
    );
    assert_eq!(
        environment
            .run(&["output", "left1", "--raw", "--env", "copy"])
            .out,
        "canary"
    );
    assert_eq!(
        environment
            .run(&["apply", "--auto-approve", "--env", "third"])
            .code,
        0
    );
    refused(
        &["state", "push", "new.json", "--env", "third"],
        "of different objects",
    );
}
