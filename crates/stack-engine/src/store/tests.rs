use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use stack_core::{ProviderAddress, ResourceAddress, Value};
use stack_state::key::{KeyMaterial, NoKey};
use stack_state::seal::Withheld;
use stack_state::{Begin, DeleteSettings, Object, Outcome, Status, Token, Verb};
use zeroize::Zeroizing;

use super::*;
use crate::backend::Local;

const CANARY: &str = "canary-7f3a";

fn keys() -> Arc<dyn KeySource> {
    Arc::new(KeyMaterial::Bytes(Zeroizing::new([7; 32])))
}

fn settings(backend: impl Backend + 'static) -> StoreSettings {
    StoreSettings {
        backend: Arc::new(backend),
        keys: keys(),
        environment: "default".to_owned(),
        tool_version: "0.1.0".to_owned(),
        expires: None,
        holder: Holder::current("stack apply"),
        lock_timeout: Duration::from_secs(30),
    }
}

fn at(folder: &Path) -> StoreSettings {
    settings(Local::new(folder, "default"))
}

fn address(name: &str) -> ResourceAddress {
    format!("stack_data.{name}").parse().unwrap()
}

fn provider() -> ProviderAddress {
    "provider.core".parse().unwrap()
}

fn object(text: &str) -> Object {
    Object {
        status: Status::Ready,
        schema_version: 0,
        attributes: Value::object([
            ("input".to_owned(), Value::string(text)),
            ("secret".to_owned(), Value::string(CANARY).sensitive()),
        ]),
        private: None,
        provider: provider(),
        identity: Value::NULL,
        token: None,
        dependencies: BTreeSet::from([address("other")]),
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    }
}

fn write(name: &str) -> Record {
    Record::Write {
        address: address(name),
        deposed: None,
        object: object(name),
    }
}

fn begin(operation: OperationId, name: &str) -> Record {
    Record::Begin(Begin {
        operation,
        address: address(name),
        deposed: None,
        action: Verb::Create,
        token: Token::from("t"),
        provider: provider(),
        identity: Value::NULL,
        natural_key: None,
        planned: object(name).attributes,
        dependencies: BTreeSet::new(),
        schema_version: 0,
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    })
}

fn read(folder: &Path) -> State {
    Store::read(&Local::new(folder, "default"), keys())
        .unwrap()
        .unwrap()
}

fn names(state: &State) -> Vec<String> {
    state.instances.keys().map(|a| a.name.to_string()).collect()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
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

#[tokio::test]
async fn what_was_appended_is_there_after_a_clean_end_and_the_serial_rises_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let (store, state) = Store::open(at(folder.path())).await.unwrap();
    assert_eq!((state.serial, state.epoch, state.instances.len()), (0, 1, 0));
    store.append(vec![write("a"), write("b")]).await.unwrap();
    let lineage = store.state().lineage;
    store.close().await.unwrap();
    assert_eq!(
        files(folder.path()).keys().collect::<Vec<_>>(),
        ["lock", "state.json"]
    );
    let state = read(folder.path());
    assert_eq!(
        (names(&state), state.serial, &state.lineage),
        (vec!["a".into(), "b".into()], 1, &lineage)
    );
    assert_eq!(state.tool_version, "0.1.0");

    let before = files(folder.path())["state.json"].clone();
    let (store, state) = Store::open(at(folder.path())).await.unwrap();
    assert_eq!((state.serial, state.epoch), (1, 2));
    // Nothing of this changes anything.
    store.append(vec![write("a"), write("b")]).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(files(folder.path())["state.json"], before);

    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    store
        .append(vec![Record::Remove {
            address: address("a"),
            deposed: None,
        }])
        .await
        .unwrap();
    store.close().await.unwrap();
    let state = read(folder.path());
    assert_eq!(
        (names(&state), state.serial, state.epoch),
        (vec!["b".to_owned()], 2, 3)
    );
}

#[tokio::test]
async fn without_a_clean_end_the_next_command_goes_on_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    let operation = store.next_operation();
    store
        .append(vec![write("a"), begin(operation, "b")])
        .await
        .unwrap();
    assert_eq!(names(&read(folder.path())), ["a"]);
    drop(store);
    let (store, state) = Store::open(at(folder.path())).await.unwrap();
    assert_eq!(state.pending[&operation].begin.address, address("b"));
    assert!(store.next_operation() > operation);
    assert!(!files(folder.path()).contains_key("journal-1.log"));
    store
        .append(vec![Record::End {
            operation,
            outcome: Outcome::Written(object("b")),
        }])
        .await
        .unwrap();
    store.close().await.unwrap();
    let state = read(folder.path());
    assert_eq!(
        (names(&state), state.pending.len(), state.serial),
        (vec!["a".into(), "b".into()], 0, 2)
    );
}

#[tokio::test]
async fn cut_anywhere_the_journal_gives_a_prefix_and_the_torn_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    for i in 0..3 {
        let operation = store.next_operation();
        store
            .append(vec![begin(operation, &format!("a{i}"))])
            .await
            .unwrap();
        let outcome = Outcome::Written(object(&format!("a{i}")));
        store
            .append(vec![Record::End { operation, outcome }])
            .await
            .unwrap();
    }
    drop(store);
    let bytes = loop {
        // The writer's thread gives the lock back after the store is gone.
        let found = files(folder.path());
        if let Some(bytes) = found.get("journal-1.log") {
            break bytes.clone();
        }
    };
    let mut seen = BTreeSet::new();
    for cut in (0..bytes.len()).step_by(7).chain([bytes.len()]) {
        let cut_folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(cut_folder.path().join("default")).unwrap();
        std::fs::write(cut_folder.path().join("default/journal-1.log"), &bytes[..cut]).unwrap();
        let (store, state) = Store::open(at(cut_folder.path())).await.unwrap();
        stack_state::integrity::check(&state).unwrap();
        seen.insert((state.instances.len(), state.pending.len()));
        match store.torn() {
            [] => {}
            [path] => assert!(
                bytes[..cut].ends_with(&std::fs::read(path).unwrap()),
                "cut at {cut}"
            ),
            more => panic!("{more:?}"),
        }
        store.append(vec![write("z")]).await.unwrap();
        store.close().await.unwrap();
        assert!(
            names(&read(cut_folder.path())).contains(&"z".to_owned()),
            "cut at {cut}"
        );
    }
    assert_eq!(
        seen,
        BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)])
    );
}

#[tokio::test]
async fn a_crash_between_snapshot_and_removal_of_the_journal_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    store.append(vec![write("a")]).await.unwrap();
    let journal = files(folder.path())["journal-1.log"].clone();
    store.close().await.unwrap();
    let before = read(folder.path());
    std::fs::write(folder.path().join("default/journal-1.log"), &journal).unwrap();
    assert_eq!(read(folder.path()), before);
    let (store, state) = Store::open(at(folder.path())).await.unwrap();
    assert_eq!((state.serial, names(&state)), (1, vec!["a".to_owned()]));
    store.close().await.unwrap();
    assert!(!files(folder.path()).contains_key("journal-1.log"));
}

#[tokio::test]
async fn a_damaged_file_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    store.append(vec![write("a")]).await.unwrap();
    store.append(vec![write("b")]).await.unwrap();
    drop(store);
    let path = folder.path().join("default/journal-1.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = Store::open(at(folder.path())).await.err().unwrap();
    let StoreError::Load { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(source.to_string().contains("journal-1.log"), "{source}");
    assert!(
        std::error::Error::source(source)
            .unwrap()
            .to_string()
            .contains("damaged at byte 0")
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!files(folder.path()).contains_key("state.json"));
}

#[tokio::test]
async fn an_illegal_record_is_refused_and_those_before_it_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    let remove = Record::Remove {
        address: address("none"),
        deposed: None,
    };
    let error = store
        .append(vec![write("a"), remove, write("b")])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Illegal { .. }), "{error}");
    store.append(vec![write("c")]).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(names(&read(folder.path())), ["a", "c"]);
}

#[tokio::test]
async fn secrets_are_in_no_file_and_without_a_key_only_they_fail() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    let operation = store.next_operation();
    let output = Record::Output {
        name: "o".to_owned(),
        value: Some(Value::string(CANARY).sensitive()),
    };
    let arguments = Value::object([("token".to_owned(), Value::string(CANARY).sensitive())]);
    let provider = Record::Provider {
        address: provider(),
        arguments: Some(arguments),
    };
    store
        .append(vec![write("a"), begin(operation, "b"), output, provider])
        .await
        .unwrap();
    let check = |when: &str| {
        for (name, bytes) in files(folder.path()) {
            let found = bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            assert!(!found, "{name} {when}");
        }
    };
    check("while running");
    store.close().await.unwrap();
    check("after the end");
    let backend = Local::new(folder.path(), "default");
    let state = read(folder.path());
    assert_eq!(state.outputs["o"], Value::string(CANARY).sensitive());
    let error = Store::read(&backend, Arc::new(NoKey)).unwrap_err();
    assert!(matches!(error, StoreError::Load { .. }));
    let withheld = Withheld::default();
    let masked = Store::read_with(&backend, &withheld).unwrap().unwrap();
    assert_eq!(names(&masked), ["a"]);
    assert!(
        withheld.places().contains(&"stack_data.a/secret".to_owned()),
        "{:?}",
        withheld.places()
    );

    let plain = tempfile::tempdir().unwrap();
    let without = StoreSettings {
        keys: Arc::new(NoKey),
        ..at(plain.path())
    };
    let (store, _) = Store::open(without).await.unwrap();
    let open = Record::Output {
        name: "o".to_owned(),
        value: Some(Value::from(1)),
    };
    store.append(vec![open]).await.unwrap();
    assert!(matches!(
        store.append(vec![write("a")]).await,
        Err(StoreError::Record { .. })
    ));
    store.close().await.unwrap();
}

/// Counts syncs, and fails from a given one on.
#[derive(Clone)]
struct Faulty {
    inner: Local,
    syncs: Arc<AtomicU64>,
    fail_from: u64,
    delay: Duration,
}

struct FaultyWriter(Box<dyn Writer>, Faulty);

impl Backend for Faulty {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn read(&self) -> Result<Stored, BackendError> {
        self.inner.read()
    }
    fn lock(&self, holder: &Holder, timeout: Duration) -> Result<Box<dyn Writer>, BackendError> {
        Ok(Box::new(FaultyWriter(
            self.inner.lock(holder, timeout)?,
            self.clone(),
        )))
    }
}

impl Writer for FaultyWriter {
    fn begin(&mut self, after: u64) -> Result<u64, BackendError> {
        self.0.begin(after)
    }
    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        std::thread::sleep(self.1.delay);
        if self.1.syncs.fetch_add(1, Ordering::SeqCst) + 1 >= self.1.fail_from {
            // Half of it reaches the disk, and the sync fails.
            let _ = self.0.append(&frame[..frame.len() / 2]);
            let source = std::io::Error::other("no space");
            return Err(BackendError::File {
                action: "sync",
                path: "journal".to_owned(),
                source,
            });
        }
        self.0.append(frame)
    }
    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError> {
        self.0.keep_aside(end)
    }
    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError> {
        self.0.replace(snapshot)
    }
}

fn faulty(folder: &Path, fail_from: u64, delay: Duration) -> Faulty {
    Faulty {
        inner: Local::new(folder, "default"),
        syncs: Arc::default(),
        fail_from,
        delay,
    }
}

#[tokio::test]
async fn a_failed_sync_ends_writing_and_what_was_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(faulty(folder.path(), 2, Duration::ZERO)))
        .await
        .unwrap();
    store.append(vec![write("a")]).await.unwrap();
    assert!(matches!(
        store.append(vec![write("b")]).await,
        Err(StoreError::Backend { .. })
    ));
    assert!(matches!(
        store.append(vec![write("c")]).await,
        Err(StoreError::Ended)
    ));
    assert!(matches!(store.close().await, Err(StoreError::Ended)));
    let (store, state) = Store::open(at(folder.path())).await.unwrap();
    assert_eq!(names(&state), ["a"]);
    assert_eq!(store.torn().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_batches_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let backend = faulty(folder.path(), u64::MAX, Duration::from_millis(5));
    let syncs = Arc::clone(&backend.syncs);
    let (store, _) = Store::open(settings(backend)).await.unwrap();
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.append(vec![write(&format!("a{i}"))]).await.unwrap();
                store.append(vec![write(&format!("b{i}"))]).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let syncs = syncs.load(Ordering::SeqCst);
    assert!(syncs < 50, "{syncs} syncs for 200 batches");
    Arc::into_inner(store).unwrap().close().await.unwrap();
    assert_eq!(read(folder.path()).instances.len(), 200);
}

#[tokio::test]
async fn a_second_store_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at(folder.path())).await.unwrap();
    let second = StoreSettings {
        lock_timeout: Duration::ZERO,
        ..at(folder.path())
    };
    let error = Store::open(second).await.err().unwrap();
    assert!(error.is_locked());
    store.close().await.unwrap();
    Store::open(at(folder.path())).await.unwrap();
}
