//! A holder is stopped at every step of its work, superseded, and continued.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use stack_core::Value;
use stack_state::key::NoKey;
use stack_state::{Record, State};

use super::*;
use crate::store::{Exclusive, Store, StoreError, StoreSettings};

/// Writes a count past the test harness, on a line of its own, for the report of `cargo xtask test`.
macro_rules! told {
    ($($text:tt)*) => {
        drop(writeln!(std::io::stdout(), "\ncounted: {}", format_args!($($text)*)))
    };
}

/// More steps than a holder takes.
const MOST_STEPS: usize = 1000;

fn settings(local: Local) -> StoreSettings {
    StoreSettings {
        backend: Arc::new(local),
        keys: Arc::new(NoKey),
        environment: "default".to_owned(),
        tool_version: "0.1.0".to_owned(),
        expires: None,
        holder: Holder::current("stack apply"),
        lock_timeout: Duration::from_secs(30),
    }
}

fn output(name: &str) -> Record {
    Record::Output {
        name: name.to_owned(),
        value: Some(Value::string(name)),
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// What a holder was told is recorded, and how it ended.
type Work = (Vec<String>, Result<(), StoreError>);

async fn work(local: Local, names: &[&str]) -> Work {
    let mut acknowledged = Vec::new();
    let done = async {
        let (store, _) = Store::open(settings(local)).await?;
        for name in names {
            store.append(vec![output(name)]).await?;
            acknowledged.push((*name).to_owned());
        }
        store.close().await
    };
    let done = done.await;
    (acknowledged, done)
}

/// Leaves a snapshot and, if wanted, a journal that a process that died has left.
fn prepared(folder: &Path, with_journal: bool) {
    let local = Local::new(folder, "default");
    let (_, done) = block(work(local.clone(), &["before"]));
    done.unwrap();
    if with_journal {
        block(async {
            let (store, _) = Store::open(settings(local.clone())).await.unwrap();
            store.append(vec![output("left")]).await.unwrap();
            drop(store);
        });
        // The writer's thread gives the lock back after the store is gone.
        local
            .lock(&Holder::current("wait"), Duration::from_secs(60))
            .unwrap();
    }
}

fn outputs(state: &State) -> BTreeSet<String> {
    state.outputs.keys().cloned().collect()
}

/// How far the holder gets before it is stopped; `None` if it ended before.
struct Stopped {
    at: Step,
    go_on: mpsc::Sender<()>,
    holder: std::thread::JoinHandle<Work>,
}

fn stopped_at(folder: &Path, number: usize) -> Option<Stopped> {
    let (reached, stopped) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let (count, wait) = (AtomicUsize::new(0), std::sync::Mutex::new(wait));
    let local = Local::new(folder, "default").watched(move |step| {
        if count.fetch_add(1, Ordering::SeqCst) == number {
            reached.send(step).unwrap();
            wait.lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(600))
                .unwrap();
        }
    });
    let holder = std::thread::spawn(move || block(work(local, &["old1", "old2", "old3"])));
    let at = loop {
        match stopped.recv_timeout(Duration::from_millis(20)) {
            Ok(at) => break at,
            Err(_) if holder.is_finished() => return None,
            Err(_) => {}
        }
    };
    Some(Stopped { at, go_on, holder })
}

/// What the second holder does while the first is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// An apply from start to end.
    Whole,
    /// An apply that dies with its journal written.
    Dies,
    /// One that has taken the lock and read, and goes on after the first went on.
    Begun,
}

fn round(with_journal: bool, second: Second, number: usize) -> Option<(Step, bool)> {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path(), with_journal);
    let plain = Local::new(folder.path(), "default");
    let first = stopped_at(folder.path(), number)?;
    let at = first.at;
    let point = format!("stopped at {at:?} (step {number}), {second:?}, left journal: {with_journal}");
    plain.supersede(&Holder::current("stack force-unlock")).unwrap();
    let open = || {
        block(Store::open(settings(plain.clone())))
            .unwrap_or_else(|e| panic!("{point}: {e}: {:?}", std::error::Error::source(&e)))
    };
    let (store, seen) = open();
    let seen = outputs(&seen);
    let continued = |first: Stopped| {
        first.go_on.send(()).unwrap();
        first.holder.join().unwrap()
    };
    let (acknowledged, ended) = match second {
        Second::Whole => {
            block(store.append(vec![output("new")])).unwrap();
            block(store.close()).unwrap();
            continued(first)
        }
        Second::Dies => {
            block(store.append(vec![output("new")])).unwrap();
            drop(store);
            continued(first)
        }
        Second::Begun => {
            let ended = continued(first);
            block(store.append(vec![output("new")])).unwrap();
            block(store.close()).unwrap();
            ended
        }
    };
    // Everything that the first was told is recorded, the second had before it began.
    for name in &acknowledged {
        assert!(
            seen.contains(name),
            "{point}: {name} was acknowledged and is not in {seen:?}"
        );
    }
    let mut expected = seen.clone();
    expected.insert("new".to_owned());
    let (store, state) = open();
    assert_eq!(outputs(&state), expected, "{point}");
    assert!(
        store.torn().is_empty() || acknowledged.len() < 3,
        "{point}: {:?}",
        store.torn()
    );
    block(store.append(vec![output("after")])).unwrap();
    block(store.close()).unwrap();
    expected.insert("after".to_owned());
    let state = Store::read(&plain, Arc::new(NoKey)).unwrap().unwrap();
    assert_eq!(outputs(&state), expected, "{point}");
    if let Err(error) = &ended {
        let text = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            text.contains("the lock was taken over"),
            "{point}: {error}: {text}"
        );
    }
    Some((at, ended.is_ok()))
}

#[test]
fn a_superseded_holder_is_fenced_wherever_it_was_stopped() {
    let (mut takeovers, mut steps, mut finished) = (0, BTreeSet::new(), BTreeSet::new());
    for with_journal in [false, true] {
        for second in [Second::Whole, Second::Dies, Second::Begun] {
            for number in 0..MOST_STEPS {
                let Some((at, ok)) = round(with_journal, second, number) else {
                    break;
                };
                takeovers += 1;
                steps.insert(at);
                if ok {
                    finished.insert(at);
                }
            }
        }
    }
    told!("lock takeovers, stopped at every step of a holder: {takeovers}");
    // A holder that has put its snapshot in place has nothing left to lose.
    let harmless = [Step::SnapshotReplaced, Step::JournalRemoved];
    assert!(finished.iter().all(|at| harmless.contains(at)), "{finished:?}");
    let all = [
        Step::Locked,
        Step::Recorded,
        Step::Fenced,
        Step::Checked,
        Step::JournalMade,
        Step::FrameWritten,
        Step::FrameSynced,
        Step::SnapshotMade,
        Step::SnapshotWritten,
        Step::SnapshotReplaced,
        Step::JournalRemoved,
    ];
    assert_eq!(steps, BTreeSet::from(all));
}

/// The second dies between its snapshot and the removal of the first one's journal, to which the first then appends.
#[test]
fn frames_behind_a_later_snapshot_are_kept_aside_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Local::new(folder.path(), "default");
    block(async {
        let (store, _) = Store::open(settings(plain.clone())).await.unwrap();
        store.append(vec![output("old1")]).await.unwrap();
        let journal = folder.path().join("default/journal-1.log");
        let before = fs::read(&journal).unwrap();
        store.append(vec![output("old2")]).await.unwrap();
        let after = fs::read(&journal).unwrap();
        drop(store);
        drop(
            plain
                .lock(&Holder::current("wait"), Duration::from_secs(60))
                .unwrap(),
        );
        // As the second has read it.
        fs::write(&journal, &before).unwrap();
        let (store, state) = Store::open(settings(plain.clone())).await.unwrap();
        assert_eq!(outputs(&state), BTreeSet::from(["old1".to_owned()]));
        store.close().await.unwrap();
        fs::write(&journal, &after).unwrap();
        let read = Store::read(&plain, Arc::new(NoKey)).unwrap().unwrap();
        assert_eq!(outputs(&read), BTreeSet::from(["old1".to_owned()]));
        let (store, state) = Store::open(settings(plain.clone())).await.unwrap();
        assert_eq!(outputs(&state), BTreeSet::from(["old1".to_owned()]));
        let [kept] = store.torn() else {
            panic!("{:?}", store.torn())
        };
        assert!(kept.ends_with("journal-1.fenced"), "{kept}");
        assert_eq!(fs::read(kept).unwrap(), after[before.len()..]);
        store.close().await.unwrap();
    });
}

/// At every step there is the state of the old key or that of the new one, wholly.
#[test]
fn another_key_is_taken_in_one_step() {
    use stack_state::key::KeyMaterial;
    let key = |n: u8| Arc::new(KeyMaterial::Bytes([n; 32].into()));
    let folder = tempfile::tempdir().unwrap();
    let plain = Local::new(folder.path(), "default");
    let secret = |name: &str| Record::Output {
        name: name.to_owned(),
        value: Some(Value::string("canary").sensitive()),
    };
    block(async {
        let with_key = |local: Local| StoreSettings {
            keys: key(1),
            ..settings(local)
        };
        let (store, _) = Store::open(with_key(plain.clone())).await.unwrap();
        store.append(vec![secret("a")]).await.unwrap();
        store.close().await.unwrap();
        let (store, _) = Store::open(with_key(plain.clone())).await.unwrap();
        store.append(vec![secret("b")]).await.unwrap();
        drop(store);
        drop(
            plain
                .lock(&Holder::current("wait"), Duration::from_secs(60))
                .unwrap(),
        );
    });
    let opens = move |local: &Local, n: u8| {
        let state = Store::read(local, key(n)).ok().flatten();
        state.is_some_and(|state| {
            state.outputs.len() == 2 && state.outputs["b"].unmarked().as_str() == Some("canary")
        })
    };
    let (steps, looked_at) = mpsc::channel();
    let watched = plain.clone().watched({
        let plain = plain.clone();
        move |step| steps.send((step, opens(&plain, 1), opens(&plain, 2))).unwrap()
    });
    let locked = Exclusive::lock(
        Arc::new(watched),
        &Holder::current("stack state rekey"),
        Duration::ZERO,
    );
    let locked = locked.unwrap().unwrap();
    let (state, torn) = locked.load(&locked.sealer(key(1)).unwrap()).unwrap();
    let new = locked.sealer(key(2)).unwrap();
    locked.write(state, &torn, &new).unwrap();
    let seen: Vec<_> = looked_at.try_iter().collect();
    for (step, old, new) in &seen {
        assert!(old ^ new, "{step:?}: {old} {new}");
        assert_eq!(*new, *step >= Step::SnapshotReplaced, "{step:?}");
    }
    assert!(seen.len() >= 8, "{seen:?}");
    assert!(!opens(&plain, 1) && opens(&plain, 2));
}

#[test]
fn supersede_raises_the_epoch_and_ends_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path(), "default");
    let mut first = local.lock(&Holder::current("one"), Duration::ZERO).unwrap();
    first.begin(6).unwrap();
    assert!(matches!(local.held().unwrap(), Held::By { holder: Some(h) } if h.command == "one"));
    assert_eq!(
        local.supersede(&Holder::current("stack force-unlock")).unwrap(),
        8
    );
    assert!(
        matches!(local.held().unwrap(), Held::Free { last: Some(h) } if h.command == "stack force-unlock")
    );
    let mut second = local.lock(&Holder::current("two"), Duration::ZERO).unwrap();
    assert_eq!(second.begin(0).unwrap(), 9);
    let error = first.append(b"x").unwrap_err();
    assert!(
        matches!(&error, BackendError::LockLost { holder: Some(h) } if h.command == "two"),
        "{error}"
    );
}
