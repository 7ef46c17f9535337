use std::process::{Command, Stdio};

use super::*;

fn holder(command: &str) -> Holder {
    Holder {
        command: command.to_owned(),
        ..Holder::current("")
    }
}

fn local() -> (tempfile::TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path(), "default");
    (folder, local)
}

#[test]
fn nothing_is_made_by_reading() {
    let (folder, local) = local();
    assert_eq!(local.read().unwrap(), Stored::default());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn one_writer_at_a_time_and_the_other_is_told_who() {
    let (_folder, local) = local();
    let mut first = local.lock(&holder("stack apply one"), Duration::ZERO).unwrap();
    assert_eq!(first.begin(0).unwrap(), 1);
    let error = local
        .lock(&holder("stack apply two"), Duration::from_millis(150))
        .err()
        .unwrap();
    assert!(error.to_string().contains("`stack apply one`"), "{error}");
    drop(first);
    let mut second = local.lock(&holder("stack apply two"), Duration::ZERO).unwrap();
    assert_eq!(second.begin(0).unwrap(), 2);
}

#[test]
fn waiting_for_the_lock_ends_when_it_is_given_back() {
    let (_folder, local) = local();
    let first = local.lock(&holder("first"), Duration::ZERO).unwrap();
    let waiting = std::thread::spawn({
        let local = local.clone();
        move || local.lock(&holder("second"), Duration::from_secs(60)).map(|_| ())
    });
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    waiting.join().unwrap().unwrap();
}

/// The other process is `flock(1)`, which takes the kernel's lock as any process would.
#[test]
fn another_process_is_kept_out_and_keeps_us_out() {
    let (_folder, local) = local();
    let path = local.folder.join(LOCK_NAME);
    let other = |arguments: &[&str]| {
        Command::new("flock")
            .args(["-n"])
            .arg(&path)
            .args(arguments)
            .status()
            .unwrap()
    };
    let ours = local.lock(&holder("ours"), Duration::ZERO).unwrap();
    assert!(!other(&["true"]).success());
    drop(ours);
    assert!(other(&["true"]).success());

    let mut child = Command::new("flock")
        .arg(&path)
        .args(["sh", "-c", "echo locked; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert!(matches!(
        local.lock(&holder("ours"), Duration::ZERO),
        Err(BackendError::Locked { .. })
    ));
    // The kernel gives the lock back when the process dies, however it dies.
    child.kill().unwrap();
    child.wait().unwrap();
    local.lock(&holder("ours"), Duration::from_secs(60)).unwrap();
}

#[test]
fn the_epoch_rises_above_everything_seen() {
    let (_folder, local) = local();
    let begin = |after| {
        local
            .lock(&holder("c"), Duration::ZERO)
            .unwrap()
            .begin(after)
            .unwrap()
    };
    assert_eq!((begin(0), begin(0), begin(7)), (1, 2, 8));
    fs::write(local.folder.join(journal_name(20)), b"").unwrap();
    fs::write(local.folder.join("journal-0099.log"), b"").unwrap();
    fs::remove_file(local.folder.join(LOCK_NAME)).unwrap();
    assert_eq!(begin(3), 21);
}

#[test]
fn a_writer_whose_lock_was_taken_over_is_refused_for_good() {
    let (_folder, local) = local();
    let mut old = local.lock(&holder("old"), Duration::ZERO).unwrap();
    old.begin(0).unwrap();
    old.append(b"one").unwrap();
    // Somebody removes the lock file although it is held.
    fs::remove_file(local.folder.join(LOCK_NAME)).unwrap();
    let mut new = local.lock(&holder("new"), Duration::ZERO).unwrap();
    assert_eq!(new.begin(0).unwrap(), 2);
    let error = old.append(b"two").unwrap_err();
    assert!(
        matches!(&error, BackendError::LockLost { holder: Some(h) } if h.command == "new"),
        "{error}"
    );
    assert!(matches!(old.replace(b"snapshot"), Err(BackendError::Ended)));
    new.append(b"three").unwrap();
    let stored = local.read().unwrap();
    assert_eq!(stored.snapshot, None);
    assert_eq!(
        stored.journals,
        BTreeMap::from([(1, b"one".to_vec()), (2, b"three".to_vec())])
    );
}

#[test]
fn a_failed_write_ends_writing() {
    let (_folder, local) = local();
    let mut writer = local.lock(&holder("c"), Duration::ZERO).unwrap();
    let epoch = writer.begin(0).unwrap();
    // A folder stands where the journal is to be.
    fs::create_dir(local.folder.join(journal_name(epoch))).unwrap();
    assert!(matches!(writer.append(b"one"), Err(BackendError::File { .. })));
    fs::remove_dir(local.folder.join(journal_name(epoch))).unwrap();
    assert!(matches!(writer.append(b"one"), Err(BackendError::Ended)));
}

#[test]
fn a_snapshot_replaces_the_journals() {
    let (_folder, local) = local();
    let mut writer = local.lock(&holder("c"), Duration::ZERO).unwrap();
    writer.begin(0).unwrap();
    writer.append(b"one").unwrap();
    writer.append(b"two").unwrap();
    assert_eq!(
        local.read().unwrap().journals,
        BTreeMap::from([(1, b"onetwo".to_vec())])
    );
    let torn = TornEnd {
        why: Aside::Torn,
        epoch: 1,
        offset: 3,
        bytes: b"two".to_vec(),
    };
    let kept = writer.keep_aside(&torn).unwrap();
    writer.replace(b"snapshot").unwrap();
    let stored = local.read().unwrap();
    assert_eq!(
        (stored.snapshot.as_deref(), stored.journals.len()),
        (Some(&b"snapshot"[..]), 0)
    );
    assert_eq!(fs::read(kept).unwrap(), b"two");
    writer.append(b"three").unwrap();
    assert_eq!(local.read().unwrap().journals.len(), 1);
    for entry in fs::read_dir(&local.folder).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0, "readable by others");
    }
}
