//! What is written reads back, after any sequence of records and in the format that is stored for good.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use stack_core::codec::Seal;
use stack_core::{ResourceAddress, Type, Value};
use stack_state::key::KeyMaterial;
use stack_state::load::{Checked, LoadError, Stored};
use stack_state::seal::Sealer;
use stack_state::{
    Begin, CheckStatus, DeleteSettings, DeposedKey, Header, Lineage, Object, OperationId, Outcome, PinKey,
    Position, Record, Salt, State, Status, Token, Verb, decode_record, encode_record, fold, frame, integrity,
    snapshot,
};

const LINEAGE: &str = "4a8b7c1e-0000-4000-8000-000000000001";

fn sealer() -> Sealer {
    let key = KeyMaterial::Bytes([7; 32].into());
    Sealer::new(Arc::new(key), Lineage::from(LINEAGE), Salt([1; 16]))
}

fn header() -> Header {
    Header {
        lineage: Lineage::from(LINEAGE),
        environment: "default".to_owned(),
        epoch: 3,
        serial: 1,
        tool_version: "0.1.0".to_owned(),
        expires: Some("2030-01-02T03:04:05Z".to_owned()),
        salt: Salt([1; 16]),
    }
}

fn address(text: &str) -> ResourceAddress {
    text.parse().unwrap()
}

fn object(text: &str) -> Object {
    Object {
        status: Status::Ready,
        schema_version: 2,
        attributes: Value::object([
            ("id".to_owned(), Value::string(text)),
            (
                "big".to_owned(),
                Value::Number(stack_core::codec::parse_number("18446744073709551617.5").unwrap()),
            ),
            (
                "password".to_owned(),
                Value::string(format!("canary-{text}")).sensitive(),
            ),
            (
                "type".to_owned(),
                Value::list(Type::String, vec![Value::string("a"), Value::Null(Type::String)]),
            ),
        ]),
        private: Some(Value::object([("v".to_owned(), Value::from(1))])),
        provider: "module.m[\"x\"].provider.host.broker".parse().unwrap(),
        identity: Value::object([("host".to_owned(), Value::string("10.0.0.1"))]),
        token: Some(Token::from("token-1")),
        dependencies: BTreeSet::from([address("stack_data.other")]),
        create_before_destroy: true,
        delete: DeleteSettings {
            prevent_destroy: true,
            keep: false,
            timeout: Some(Duration::from_secs(90)),
        },
    }
}

fn begin(operation: u64, at: &str, deposed: Option<&str>, action: Verb) -> Record {
    let object = object(at);
    Record::Begin(Begin {
        operation: OperationId(operation),
        address: address(at),
        deposed: deposed.map(DeposedKey::from),
        action,
        token: Token::from("token-2"),
        provider: object.provider,
        identity: object.identity,
        natural_key: Some(Value::string("user:app")),
        planned: object
            .attributes
            .with_attribute("id", Value::unknown(Type::String)),
        dependencies: object.dependencies,
        schema_version: 2,
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    })
}

/// One of every kind of record, legal in this order.
fn story() -> Vec<Record> {
    let (a, b) = (
        address("aws_instance.a[\"k\"]"),
        address("module.m.stack_data.b[0]"),
    );
    let key = DeposedKey::from("00000001");
    vec![
        Record::Header(header()),
        begin(1, "aws_instance.a[\"k\"]", None, Verb::Create),
        Record::Partial {
            operation: OperationId(1),
            object: object("i-1"),
        },
        Record::End {
            operation: OperationId(1),
            outcome: Outcome::Written(object("i-1")),
        },
        Record::Write {
            address: b.clone(),
            deposed: None,
            object: object("b"),
        },
        Record::Move {
            from: b,
            to: address("stack_data.b[0]"),
        },
        Record::Depose {
            address: a.clone(),
            key: key.clone(),
        },
        Record::Restore {
            address: a.clone(),
            key: key.clone(),
        },
        Record::Depose {
            address: a.clone(),
            key,
        },
        begin(2, "aws_instance.a[\"k\"]", None, Verb::Create),
        Record::End {
            operation: OperationId(2),
            outcome: Outcome::Tainted(object("i-2")),
        },
        begin(3, "aws_instance.a[\"k\"]", Some("00000001"), Verb::Delete),
        Record::Write {
            address: address("stack_data.c"),
            deposed: None,
            object: object("c"),
        },
        Record::Remove {
            address: address("stack_data.c"),
            deposed: None,
        },
        Record::Write {
            address: address("stack_data.d"),
            deposed: None,
            object: object("d"),
        },
        Record::Forget {
            address: address("stack_data.d"),
            deposed: None,
        },
        Record::Output {
            name: "url".to_owned(),
            value: Some(Value::string("amqps://x").sensitive()),
        },
        Record::Output {
            name: "gone".to_owned(),
            value: None,
        },
        Record::Provider {
            address: "provider.rabbitmq".parse().unwrap(),
            arguments: Some(Value::object([(
                "password".to_owned(),
                Value::string("canary-p").sensitive(),
            )])),
        },
        Record::Check {
            name: "check.tls".to_owned(),
            status: Some(CheckStatus::Passed),
        },
        Record::Check {
            name: "check.amqp".to_owned(),
            status: Some(CheckStatus::Failed(vec!["refused".to_owned()])),
        },
        Record::Check {
            name: "check.http".to_owned(),
            status: Some(CheckStatus::Error(vec!["no name".to_owned()])),
        },
        Record::Check {
            name: "check.log".to_owned(),
            status: Some(CheckStatus::Unknown),
        },
        Record::Pin {
            key: PinKey {
                lineage: Lineage::from(LINEAGE),
                object: "i-2".into(),
            },
            keys: vec!["ssh-ed25519 AAAAcanary".to_owned()],
        },
        begin(4, "aws_instance.e", None, Verb::Create),
        Record::End {
            operation: OperationId(4),
            outcome: Outcome::Failed,
        },
        begin(5, "aws_instance.f", None, Verb::Create),
        Record::Partial {
            operation: OperationId(5),
            object: object("i-5"),
        },
    ]
}

/// A journal with the records in frames of up to three.
fn journal(records: &[Record], seal: &dyn Seal) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), Position::default());
    for batch in records.chunks(3) {
        let mut payload = Vec::new();
        for record in batch {
            encode_record(&mut payload, record, seal).unwrap();
        }
        let (frame, next) = frame::encode(at, 3, batch.len() as u32, &payload);
        bytes.extend(frame);
        at = next;
    }
    bytes
}

fn load(stored: &Stored) -> Result<Option<State>, LoadError> {
    let Some(checked) = Checked::parse(stored)? else {
        return Ok(None);
    };
    Ok(Some(checked.open(&sealer())?.state))
}

fn journal_only(bytes: Vec<u8>) -> Stored {
    Stored {
        snapshot: None,
        journals: [(3, bytes)].into(),
    }
}

fn golden(name: &str, actual: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(name);
    if std::env::var_os("STACK_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read(&path).unwrap();
    assert!(
        expected == actual,
        "{name} is not what this version writes; the format of stored states changed, which needs a new version of it. \
         Got:\n{}",
        String::from_utf8_lossy(actual)
    );
}

/// Sealing is a function of key, place and text, so whole files can be compared.
#[test]
fn format_1_is_written_and_read_as_it_is_kept() {
    let bytes = journal(&story(), &sealer());
    golden("journal-3.log", &bytes);
    let state = load(&journal_only(bytes)).unwrap().unwrap();
    let snapshot = snapshot::encode(&state, &sealer()).unwrap();
    golden("state.json", &snapshot);
    let stored = Stored {
        snapshot: Some(snapshot),
        journals: [].into(),
    };
    assert_eq!(load(&stored).unwrap().unwrap(), state);
    assert_eq!(
        (
            state.serial,
            state.epoch,
            state.instances.len(),
            state.pending.len()
        ),
        (1, 3, 3, 2)
    );
}

/// Every format that was ever written is kept in a folder of its own, is read, and is written as the newest.
#[test]
fn every_kept_format_is_read_and_written_as_the_newest() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file =
        |version: u64, name: &str| std::fs::read(golden.join(format!("v{version}")).join(name)).unwrap();
    assert_eq!(
        u64::from(frame::VERSION),
        snapshot::VERSION,
        "one folder for both"
    );
    for version in 1..=snapshot::VERSION {
        let from_journal = load(&journal_only(file(version, "journal-3.log")))
            .unwrap()
            .unwrap();
        let stored = Stored {
            snapshot: Some(file(version, "state.json")),
            journals: [].into(),
        };
        let from_snapshot = load(&stored).unwrap().unwrap();
        assert_eq!(from_journal, from_snapshot, "format {version}");
        let written = snapshot::encode(&from_snapshot, &sealer()).unwrap();
        assert!(
            written == file(snapshot::VERSION, "state.json"),
            "format {version}"
        );
    }
    let folders = std::fs::read_dir(&golden).unwrap().count();
    assert_eq!(
        folders as u64,
        snapshot::VERSION,
        "a folder for each format, and none without"
    );
}

#[test]
fn no_secret_is_in_clear() {
    let state = load(&journal_only(journal(&story(), &sealer())))
        .unwrap()
        .unwrap();
    for bytes in [
        journal(&story(), &sealer()),
        snapshot::encode(&state, &sealer()).unwrap(),
    ] {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canary") && !text.contains("amqps"), "{text}");
    }
}

#[test]
fn a_snapshot_with_a_flipped_byte_is_refused_and_a_newer_one_named() {
    let state = load(&journal_only(journal(&story(), &sealer())))
        .unwrap()
        .unwrap();
    let snapshot = snapshot::encode(&state, &sealer()).unwrap();
    let error = |snapshot: Vec<u8>| {
        let error = load(&Stored {
            snapshot: Some(snapshot),
            journals: [].into(),
        })
        .unwrap_err();
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("{error}: {cause}")
    };
    for at in (0..snapshot.len()).step_by(5) {
        let mut changed = snapshot.clone();
        changed[at] ^= 4;
        assert!(error(changed).starts_with("state.json: "), "byte {at}");
    }
    assert!(error(snapshot[..snapshot.len() - 1].to_vec()).contains("damaged"));
    assert!(error(Vec::new()).contains("damaged"));
    let newer = String::from_utf8(snapshot)
        .unwrap()
        .replacen("\"format\":1", "\"format\":2", 1);
    assert!(error(newer.into_bytes()).contains("written in state format 2"));
}

#[test]
fn journals_that_do_not_follow_are_refused() {
    let records = story();
    let whole = journal(&records, &sealer());
    let first = journal(&records[..3], &sealer());
    let state = load(&journal_only(first.clone())).unwrap().unwrap();
    let snapshot = snapshot::encode(&state, &sealer()).unwrap();
    let with = |epoch: u64, bytes: &[u8]| Stored {
        snapshot: Some(snapshot.clone()),
        journals: [(epoch, bytes.to_vec())].into(),
    };

    // The frames that the snapshot has folded in are skipped, the others are not.
    assert_eq!(
        load(&with(3, &whole)).unwrap(),
        load(&journal_only(whole.clone())).unwrap()
    );
    assert_eq!(
        load(&with(3, &whole[first.len()..])).unwrap(),
        load(&journal_only(whole.clone())).unwrap()
    );

    let second = journal(&records[..6], &sealer()).len();
    assert!(matches!(
        load(&with(3, &whole[second..])),
        Err(LoadError::Gap { .. })
    ));
    let other = journal(&records[..2], &sealer());
    assert!(matches!(load(&with(3, &other)), Err(LoadError::Gap { .. })));
    let mut both = with(3, &whole);
    both.journals.insert(4, whole[first.len()..].to_vec());
    assert!(matches!(load(&both), Err(LoadError::Gap { epoch: 4, .. })));
    assert!(matches!(
        load(&journal_only(whole[first.len()..].to_vec())),
        Err(LoadError::NoHeader { epoch: 3 })
    ));
}

#[test]
fn an_illegal_record_is_named_by_frame_and_number() {
    let mut records = story()[..5].to_vec();
    records.push(Record::Remove {
        address: address("stack_data.none"),
        deposed: None,
    });
    let error = load(&journal_only(journal(&records, &sealer()))).unwrap_err();
    assert_eq!(error.to_string(), "journal-3.log: record 3 of frame 2 is illegal");
}

#[test]
fn unknown_fields_and_records_are_refused() {
    for line in [
        r#"{"later":{}}"#,
        r#"{"remove":{"address":"a.b","later":1}}"#,
        "",
        "{",
        r#"{"remove":{"address":"?"}}"#,
    ] {
        assert!(decode_record(line.as_bytes(), &sealer()).is_err(), "{line}");
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let place = || {
        prop_oneof![
            Just("stack_data.a"),
            Just("stack_data.a[0]"),
            Just("module.m[\"x\"].aws_instance.b")
        ]
    };
    let key = || prop_oneof![Just("k1"), Just("k2")];
    let deposed = move || proptest::option::weighted(0.3, key().prop_map(DeposedKey::from));
    let operation = || (1u64..4).prop_map(OperationId);
    let verb = prop_oneof![Just(Verb::Create), Just(Verb::Update), Just(Verb::Delete)];
    let any_object = || {
        (any::<bool>(), "[a-c]").prop_map(|(ready, text)| Object {
            status: if ready { Status::Ready } else { Status::Tainted },
            ..object(&text)
        })
    };
    let outcome = prop_oneof![
        any_object().prop_map(Outcome::Written),
        any_object().prop_map(Outcome::Tainted),
        Just(Outcome::Removed),
        Just(Outcome::Failed),
    ];
    prop_oneof![
        4 => (1u64..4, place(), proptest::option::weighted(0.2, key()), verb)
            .prop_map(|(operation, at, deposed, verb)| begin(operation, at, deposed, verb)),
        2 => (operation(), any_object()).prop_map(|(operation, object)| Record::Partial { operation, object }),
        4 => (operation(), outcome).prop_map(|(operation, outcome)| Record::End { operation, outcome }),
        2 => (place(), deposed(), any_object())
            .prop_map(|(at, deposed, object)| Record::Write { address: address(at), deposed, object }),
        1 => (place(), deposed()).prop_map(|(at, deposed)| Record::Remove { address: address(at), deposed }),
        1 => (place(), deposed()).prop_map(|(at, deposed)| Record::Forget { address: address(at), deposed }),
        1 => (place(), key()).prop_map(|(at, key)| Record::Depose { address: address(at), key: key.into() }),
        1 => (place(), key()).prop_map(|(at, key)| Record::Restore { address: address(at), key: key.into() }),
        1 => (place(), place()).prop_map(|(from, to)| Record::Move { from: address(from), to: address(to) }),
        1 => proptest::option::of("[a-z$\"]{0,4}").prop_map(|text| Record::Output {
            name: "o".to_owned(),
            value: text.map(|t| Value::string(t).sensitive()),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_legal_sequence_reads_back_and_every_prefix_is_sound(records in proptest::collection::vec(any_record(), 0..40)) {
        let mut state = State::new(Lineage::from(LINEAGE), "default", Salt([1; 16]));
        let mut legal = vec![Record::Header(header())];
        fold(&mut state, legal[0].clone()).unwrap();
        for record in records {
            let before = state.clone();
            match fold(&mut state, record.clone()) {
                Ok(()) => legal.push(record),
                Err(_) => prop_assert!(state == before),
            }
            prop_assert!(integrity::check(&state).is_ok(), "{:?}", integrity::check(&state));
        }
        let loaded = load(&journal_only(journal(&legal, &sealer()))).unwrap().unwrap();
        state.position = loaded.position;
        prop_assert!(loaded == state);
        let snapshot = snapshot::encode(&state, &sealer()).unwrap();
        let again = load(&Stored { snapshot: Some(snapshot), journals: [].into() }).unwrap().unwrap();
        prop_assert!(again == state);
    }
}
