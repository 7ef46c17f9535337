//! What is acknowledged is there, or an error says what to do: with any truncation, any flipped bit, a full disk, a
//! file system that turns read-only.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use stack_core::Value;
use stack_engine::backend::{Backend as _, Holder, Local};
use stack_engine::store::{Exclusive, Store, StoreError, StoreSettings};
use stack_state::key::{KeyMaterial, KeySource};
use stack_state::{Record, State};

/// Writes a count past the test harness, on a line of its own, for the report of `cargo xtask test`.
macro_rules! told {
    ($($text:tt)*) => {
        drop(writeln!(std::io::stdout(), "\ncounted: {}", format_args!($($text)*)))
    };
}

/// The variable that says which file system a test is to work in, inside its own mount namespace.
const INSIDE: &str = "STACK_TEST_MOUNT";

fn keys() -> Arc<dyn KeySource> {
    Arc::new(KeyMaterial::Bytes([7; 32].into()))
}

fn settings(folder: &Path) -> StoreSettings {
    StoreSettings {
        backend: Arc::new(Local::new(folder, "default")),
        keys: keys(),
        environment: "default".to_owned(),
        tool_version: "0.1.0".to_owned(),
        expires: None,
        holder: Holder::current("stack apply"),
        lock_timeout: Duration::from_secs(60),
    }
}

/// An output with a text of some length and a secret.
fn output(name: &str, length: usize) -> Record {
    let value = Value::object([
        ("text".to_owned(), Value::string("x".repeat(length))),
        ("secret".to_owned(), Value::string("canary").sensitive()),
    ]);
    Record::Output {
        name: name.to_owned(),
        value: Some(value),
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn read(folder: &Path) -> Result<State, StoreError> {
    let backend = Local::new(folder, "default");
    Ok(Store::read(&backend, keys())?.unwrap())
}

fn names(state: &State) -> BTreeSet<String> {
    state.outputs.keys().cloned().collect()
}

/// Waits until a store that was dropped has given the lock back.
fn unlocked(folder: &Path) {
    let backend = Local::new(folder, "default");
    drop(
        backend
            .lock(&Holder::current("wait"), Duration::from_secs(60))
            .unwrap(),
    );
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder.join("default"))
        .unwrap()
        .map(Result::unwrap);
    entries
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                std::fs::read(e.path()).unwrap(),
            )
        })
        .collect()
}

fn put(folder: &Path, files: &Files) {
    let folder = folder.join("default");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// A snapshot with one output, and a journal of three frames that a process that died has left.
fn left_behind() -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let (store, _) = Store::open(settings(folder.path())).await.unwrap();
        store.append(vec![output("first", 10)]).await.unwrap();
        store.close().await.unwrap();
        let (store, _) = Store::open(settings(folder.path())).await.unwrap();
        for name in ["second", "third", "fourth"] {
            store.append(vec![output(name, 10)]).await.unwrap();
        }
        drop(store);
    });
    unlocked(folder.path());
    let files = files(folder.path());
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["journal-2.log", "lock", "state.json"]
    );
    (folder, files)
}

fn set(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn every_truncation_of_the_last_frame_keeps_what_was_acknowledged() {
    let (folder, files) = left_behind();
    let journal = &files["journal-2.log"];
    let frames = stack_state::frame::decode(journal).unwrap().frames;
    let last = frames[2].offset;
    let mut count = 0;
    for cut in last..journal.len() {
        let mut cut_files = files.clone();
        cut_files.get_mut("journal-2.log").unwrap().truncate(cut);
        put(folder.path(), &cut_files);
        block(async {
            let (store, state) = Store::open(settings(folder.path())).await.unwrap();
            assert_eq!(names(&state), set(&["first", "second", "third"]), "cut at {cut}");
            match store.torn() {
                [] => assert_eq!(cut, last),
                [path] => assert_eq!(std::fs::read(path).unwrap(), journal[last..cut], "cut at {cut}"),
                more => panic!("{more:?}"),
            }
            store.append(vec![output("next", 1)]).await.unwrap();
            store.close().await.unwrap();
        });
        assert_eq!(
            names(&read(folder.path()).unwrap()),
            set(&["first", "second", "third", "next"])
        );
        count += 1;
    }
    told!("storage faults, truncations of the last frame: {count}");
    assert!(count > 100);
}

/// A flipped bit is refused with a way out before anything is touched, and a repair keeps what is before it.
#[test]
fn a_flipped_bit_at_every_byte_is_refused_and_can_be_repaired() {
    let (folder, files) = left_behind();
    let whole = set(&["first", "second", "third", "fourth"]);
    let mut count = 0;
    for name in ["journal-2.log", "state.json"] {
        for at in 0..files[name].len() {
            let mut flipped = files.clone();
            flipped.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            put(folder.path(), &flipped);
            let point = format!("{name}, byte {at}");
            let error = match block(Store::open(settings(folder.path()))) {
                Err(error) => error,
                Ok((_, state)) => panic!("{point}: opened with {:?}", names(&state)),
            };
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            assert!(
                matches!(error, StoreError::Load { .. }) && text.contains(name),
                "{point}: {text}"
            );
            assert_eq!(self::files(folder.path()), flipped, "{point}");
            count += 1;
            if at % 16 != 0 {
                continue;
            }
            // A repair keeps a beginning, or refuses and changes nothing.
            let backend = Arc::new(Local::new(folder.path(), "default"));
            let locked = Exclusive::lock(backend, &Holder::current("repair"), Duration::ZERO)
                .unwrap()
                .unwrap();
            match locked.examine(keys()) {
                Ok(repairing) => {
                    assert!(!repairing.found.problems.is_empty(), "{point}");
                    let kept = locked.repair(repairing).unwrap();
                    assert!(
                        kept.iter()
                            .any(|path| std::fs::read(path).unwrap() == flipped[name]),
                        "{point}"
                    );
                    let state = read(folder.path()).unwrap();
                    assert!(
                        names(&state).is_subset(&whole) || name == "state.json",
                        "{point}: {:?}",
                        names(&state)
                    );
                }
                Err(_) => {
                    drop(locked);
                    assert_eq!(self::files(folder.path()), flipped, "{point}");
                }
            }
        }
    }
    told!("storage faults, flipped bits: {count}");
}

#[test]
fn a_missing_file_is_noticed() {
    let (folder, mut files) = left_behind();
    files.remove("state.json");
    put(folder.path(), &files);
    let error = read(folder.path()).unwrap_err().source().unwrap().to_string();
    assert!(
        error.contains("does not begin") || error.contains("does not continue"),
        "{error}"
    );
    assert_eq!(self::files(folder.path()), files);
}

/// Runs a test of this program again in a mount namespace of its own, so that nothing stays mounted however it ends.
fn in_own_namespace(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(INSIDE, folder.path())
        .status()
        .expect("this test needs unshare(1) of util-linux");
    assert!(
        status.success(),
        "{status}; this test needs root, to mount a small tmpfs"
    );
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}");
}

fn umount(at: &Path) {
    let status = Command::new("umount").arg(at).status().unwrap();
    assert!(status.success(), "umount {}", at.display());
}

/// Where the namespace's own file system is to be mounted.
fn inside() -> PathBuf {
    PathBuf::from(std::env::var_os(INSIDE).expect("run by the test that makes its mount namespace"))
}

const RECORDS: usize = 12;

/// A command that records twelve outputs of a page each; `before` is called before each of its steps. What it was told
/// is recorded, and how it ended.
async fn command(folder: &Path, before: impl Fn(usize)) -> (BTreeSet<String>, Result<(), StoreError>) {
    let mut acknowledged = BTreeSet::new();
    let work = async {
        before(0);
        let (store, _) = Store::open(settings(folder)).await?;
        for i in 0..RECORDS {
            before(1 + i);
            store.append(vec![output(&format!("r{i}"), 4000)]).await?;
            acknowledged.insert(format!("r{i}"));
        }
        before(1 + RECORDS);
        store.close().await
    };
    let ended = work.await;
    (acknowledged, ended)
}

/// After the fault everything that was acknowledged is there, and the next command goes on.
fn assert_goes_on(folder: &Path, acknowledged: &BTreeSet<String>, point: &str) {
    unlocked(folder);
    block(async {
        let (store, state) = Store::open(settings(folder))
            .await
            .unwrap_or_else(|e| panic!("{point}: {e}: {:?}", e.source()));
        let found = names(&state);
        assert!(
            acknowledged.is_subset(&found) && found.contains("first"),
            "{point}: {acknowledged:?}, {found:?}"
        );
        store.append(vec![output("next", 4000)]).await.unwrap();
        store.close().await.unwrap();
        let mut expected = found;
        expected.insert("next".to_owned());
        assert_eq!(names(&read(folder).unwrap()), expected, "{point}");
    });
    for name in files(folder).keys() {
        assert!(!name.ends_with(".new"), "{point}: {name}");
    }
}

#[test]
fn a_full_disk_at_every_write_loses_nothing() {
    in_own_namespace("inside_a_small_disk");
}

#[test]
#[ignore = "run by a_full_disk_at_every_write_loses_nothing in a mount namespace of its own"]
fn inside_a_small_disk() {
    let at = inside();
    let (mut faults, mut whole) = (0, 0);
    // Pages (4 KiB) or files that can still be made.
    for (unit, most) in [("pages", 40), ("files", 6)] {
        for left in 0..most {
            mount(&[
                "-t",
                "tmpfs",
                "-o",
                "size=1m,nr_inodes=64",
                "tmpfs",
                at.to_str().unwrap(),
            ]);
            let point = format!("{left} {unit} left");
            block(async {
                let (store, _) = Store::open(settings(&at)).await.unwrap();
                store.append(vec![output("first", 10)]).await.unwrap();
                store.close().await.unwrap();
            });
            let fill = at.join("fill");
            std::fs::create_dir(&fill).unwrap();
            if unit == "pages" {
                fill_pages(&fill.join("filler"), left);
            } else {
                fill_files(&fill, left);
            }
            let (acknowledged, ended) = block(command(&at, |_| {}));
            std::fs::remove_dir_all(&fill).unwrap();
            match ended {
                Ok(()) => whole += 1,
                Err(error) => {
                    faults += 1;
                    assert!(error.source().is_some(), "{point}: {error}");
                }
            }
            assert_goes_on(&at, &acknowledged, &point);
            umount(&at);
        }
    }
    told!("storage faults, full disk: {faults}");
    // From failing at once to not failing at all.
    assert!(faults > 25 && whole > 3, "{faults} faults, {whole} whole");
}

fn fill_pages(filler: &Path, left: usize) {
    let mut file = std::fs::File::create(filler).unwrap();
    let mut pages = 0;
    while pages < 1024 && file.write_all(&[1; 4096]).is_ok() {
        pages += 1;
    }
    assert!(pages > left, "{pages} pages");
    file.set_len((pages - left) as u64 * 4096).unwrap();
}

fn fill_files(folder: &Path, left: usize) {
    let mut made = 0;
    while made < 1024 && std::fs::File::create(folder.join(made.to_string())).is_ok() {
        made += 1;
    }
    assert!(made >= left, "{made} files");
    for i in 0..left {
        std::fs::remove_file(folder.join(i.to_string())).unwrap();
    }
}

#[test]
fn a_file_system_that_turns_read_only_loses_nothing() {
    in_own_namespace("inside_a_read_only_folder");
}

/// A file system does not turn read-only while files are open in it; a read-only view laid over the folder does the same
/// to everything that is opened, made or renamed from then on.
#[test]
#[ignore = "run by a_file_system_that_turns_read_only_loses_nothing in a mount namespace of its own"]
fn inside_a_read_only_folder() {
    let at = inside();
    let mut faults = 0;
    for step in 0..RECORDS + 3 {
        mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs", at.to_str().unwrap()]);
        block(async {
            let (store, _) = Store::open(settings(&at)).await.unwrap();
            store.append(vec![output("first", 10)]).await.unwrap();
            store.close().await.unwrap();
        });
        let folder = at.join("default");
        let laid_over = std::cell::Cell::new(false);
        let (acknowledged, ended) = block(command(&at, |now| {
            if now == step {
                let folder = folder.to_str().unwrap();
                mount(&["--bind", folder, folder]);
                mount(&["-o", "remount,bind,ro", folder]);
                laid_over.set(true);
            }
        }));
        let point = format!("read-only before step {step}");
        if laid_over.get() {
            faults += 1;
            let error = ended.expect_err(&point);
            let text = error
                .source()
                .unwrap()
                .source()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(text.contains("Read-only"), "{point}: {error}: {text}");
            umount(&folder);
        } else {
            ended.unwrap();
        }
        assert_goes_on(&at, &acknowledged, &point);
        umount(&at);
    }
    told!("storage faults, read-only: {faults}");
    assert_eq!(faults, RECORDS + 2);
}
