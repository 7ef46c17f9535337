use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::integrity;
use crate::record::Begin;
use crate::state::{DeleteSettings, Lineage, Salt, Token};

fn state() -> State {
    State::new(Lineage::from("l"), "default", Salt::default())
}

fn address(text: &str) -> ResourceAddress {
    text.parse().unwrap()
}

fn object(status: Status) -> Object {
    Object {
        status,
        schema_version: 0,
        attributes: Value::object([]),
        private: None,
        provider: "provider.core".parse().unwrap(),
        identity: Value::NULL,
        token: None,
        dependencies: BTreeSet::new(),
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    }
}

fn begin(operation: u64, at: &str, deposed: Option<&str>, action: Verb) -> Record {
    Record::Begin(Begin {
        operation: OperationId(operation),
        address: address(at),
        deposed: deposed.map(DeposedKey::from),
        action,
        token: Token::from("t"),
        provider: "provider.core".parse().unwrap(),
        identity: Value::NULL,
        natural_key: None,
        planned: Value::NULL,
        dependencies: BTreeSet::new(),
        schema_version: 0,
        create_before_destroy: false,
        delete: DeleteSettings::default(),
    })
}

fn end(operation: u64, outcome: Outcome) -> Record {
    Record::End {
        operation: OperationId(operation),
        outcome,
    }
}

fn write(at: &str) -> Record {
    Record::Write {
        address: address(at),
        deposed: None,
        object: object(Status::Ready),
    }
}

/// Folds records that must all be legal, and checks the state after each.
fn folded(records: Vec<Record>) -> State {
    let mut state = state();
    for record in records {
        fold(&mut state, record.clone()).unwrap_or_else(|e| panic!("{record:?}: {e}"));
        integrity::check(&state).unwrap();
    }
    state
}

#[test]
fn the_legality_table() {
    let slots = [
        Slot::Absent,
        Slot::Ready,
        Slot::Tainted,
        Slot::Creating,
        Slot::Partial,
        Slot::Updating,
        Slot::Deleting,
    ];
    let events = [
        Event::Begin(Verb::Create),
        Event::Begin(Verb::Update),
        Event::Begin(Verb::Delete),
        Event::Partial,
        Event::Written,
        Event::Removed,
        Event::Failed,
        Event::Tainted,
        Event::Write(Status::Ready),
        Event::Write(Status::Tainted),
        Event::Remove,
        Event::Forget,
        Event::Leave,
        Event::Arrive(Status::Ready),
        Event::Arrive(Status::Tainted),
    ];
    let mut table = String::new();
    for event in events {
        let cells = slots.map(|slot| {
            next_status(slot, Status::Tainted, event).map_or_else(|| "-".to_owned(), |s| format!("{s:?}"))
        });
        writeln!(table, "{event:?}: {}", cells.join(" ")).unwrap();
    }
    // Columns: Absent Ready Tainted Creating Partial Updating Deleting; a failed call returns to `Tainted` here
    // because the object before it was.
    let expected = "\
Begin(Create): Creating - - - - - -
Begin(Update): - Updating - - - - -
Begin(Delete): - Deleting Deleting - - - -
Partial: - - - Partial Partial Updating -
Written: - - - Ready Ready Ready Ready
Removed: - - - Absent Absent Absent Absent
Failed: - - - Absent - Tainted Tainted
Tainted: - - - Tainted Tainted Tainted Tainted
Write(Ready): Ready Ready Ready - - - -
Write(Tainted): Tainted Tainted Tainted - - - -
Remove: - Absent Absent - - - -
Forget: - Absent Absent - - - -
Leave: - Absent Absent - - - -
Arrive(Ready): Ready - - - - - -
Arrive(Tainted): Tainted - - - - - -
";
    assert_eq!(table, expected);
}

#[test]
fn a_half_made_object_is_tainted_until_its_create_ends() {
    let a = "stack_data.a";
    let partial = Record::Partial {
        operation: OperationId(1),
        object: object(Status::Ready),
    };
    let state = folded(vec![begin(1, a, None, Verb::Create), partial.clone()]);
    assert_eq!(state.current(&address(a)).unwrap().status, Status::Tainted);
    assert!(state.pending[&OperationId(1)].partial);
    let written = Outcome::Written(object(Status::Ready));
    let state = folded(vec![begin(1, a, None, Verb::Create), partial, end(1, written)]);
    assert_eq!(state.current(&address(a)).unwrap().status, Status::Ready);
    assert!(state.pending.is_empty());
}

#[test]
fn a_replaced_object_is_deposed_deleted_by_its_key_or_restored() {
    let a = "stack_data.a";
    let depose = Record::Depose {
        address: address(a),
        key: DeposedKey::from("k"),
    };
    let created = Outcome::Written(object(Status::Ready));
    let state = folded(vec![
        write(a),
        depose.clone(),
        begin(1, a, None, Verb::Create),
        end(1, created),
    ]);
    let instance = &state.instances[&address(a)];
    assert!(instance.current.is_some() && instance.deposed.len() == 1);

    let created = Outcome::Written(object(Status::Ready));
    let state = folded(vec![
        write(a),
        depose.clone(),
        begin(1, a, None, Verb::Create),
        end(1, created),
        begin(2, a, Some("k"), Verb::Delete),
        end(2, Outcome::Removed),
    ]);
    assert!(state.instances[&address(a)].deposed.is_empty());

    let restore = Record::Restore {
        address: address(a),
        key: DeposedKey::from("k"),
    };
    let state = folded(vec![
        write(a),
        depose,
        begin(1, a, None, Verb::Create),
        end(1, Outcome::Failed),
        restore,
    ]);
    let instance = &state.instances[&address(a)];
    assert!(instance.current.is_some() && instance.deposed.is_empty());
}

#[test]
fn a_failed_call_leaves_what_was_there() {
    let a = "stack_data.a";
    let state = folded(vec![
        write(a),
        begin(1, a, None, Verb::Update),
        end(1, Outcome::Failed),
    ]);
    assert_eq!(state.current(&address(a)), Some(&object(Status::Ready)));
    let state = folded(vec![begin(1, a, None, Verb::Create), end(1, Outcome::Failed)]);
    assert!(state.instances.is_empty() && state.pending.is_empty());
}

#[test]
fn what_cannot_follow_is_refused_and_changes_nothing() {
    let a = "stack_data.a";
    let (at, to) = (address(a), address("stack_data.b"));
    let busy = || vec![write(a), begin(1, a, None, Verb::Update)];
    let cases: Vec<(Vec<Record>, Record)> = vec![
        (vec![], begin(1, a, None, Verb::Update)),
        (vec![], end(1, Outcome::Removed)),
        (vec![write(a)], begin(1, a, None, Verb::Create)),
        (busy(), begin(1, "stack_data.b", None, Verb::Create)),
        (busy(), begin(2, a, None, Verb::Delete)),
        (busy(), write(a)),
        (
            busy(),
            Record::Forget {
                address: at.clone(),
                deposed: None,
            },
        ),
        (
            busy(),
            Record::Depose {
                address: at.clone(),
                key: DeposedKey::from("k"),
            },
        ),
        (
            busy(),
            Record::Move {
                from: at.clone(),
                to: to.clone(),
            },
        ),
        (
            vec![write(a), write("stack_data.b")],
            Record::Move { from: at.clone(), to },
        ),
        (
            vec![],
            Record::Remove {
                address: at.clone(),
                deposed: None,
            },
        ),
        (
            vec![],
            Record::Output {
                name: "o".to_owned(),
                value: Some(Value::unknown(stack_core::Type::Bool)),
            },
        ),
        (
            vec![],
            Record::Write {
                address: at,
                deposed: None,
                object: Object {
                    attributes: Value::from(1),
                    ..object(Status::Ready)
                },
            },
        ),
    ];
    for (before, record) in cases {
        let mut state = folded(before);
        let copy = state.clone();
        let error = fold(&mut state, record.clone()).expect_err(&format!("{record:?}"));
        assert!(!error.to_string().is_empty());
        assert_eq!(state, copy, "{record:?}");
    }
}

#[test]
fn a_move_takes_dependents_along() {
    let dependent = |at: &str| Record::Write {
        address: address(at),
        deposed: None,
        object: Object {
            dependencies: BTreeSet::from([address("stack_data.a[0]"), address("stack_data.z")]),
            ..object(Status::Ready)
        },
    };
    let step = |from: &str, to: &str| Record::Move {
        from: address(from),
        to: address(to),
    };
    let records = vec![
        write("stack_data.a[0]"),
        write("stack_data.a[1]"),
        dependent("stack_data.d"),
        step("stack_data.a[0]", "module.m.stack_data.b[\"x\"]"),
    ];
    let names = |state: &State| -> Vec<String> {
        let object = state.current(&address("stack_data.d")).unwrap();
        object.dependencies.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        names(&folded(records.clone())),
        ["stack_data.a", "stack_data.z", "module.m.stack_data.b"]
    );
    let both = [
        records,
        vec![step("stack_data.a[1]", "module.m.stack_data.b[\"y\"]")],
    ]
    .concat();
    assert_eq!(names(&folded(both)), ["stack_data.z", "module.m.stack_data.b"]);
}

#[test]
fn records_that_change_nothing_are_known() {
    let state = folded(vec![write("stack_data.a")]);
    assert!(!changes(&state, &write("stack_data.a")));
    assert!(changes(&state, &write("stack_data.b")));
    let output = |value| Record::Output {
        name: "o".to_owned(),
        value,
    };
    assert!(!changes(&state, &output(None)));
    assert!(changes(&state, &output(Some(Value::from(1)))));
}
