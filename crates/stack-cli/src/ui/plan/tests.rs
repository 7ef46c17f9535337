use stack_config::MemorySources;
use stack_config::configuration::{Configuration, Module};
use stack_core::{Attribute, Block, SourceMap, Type};
use stack_plan::{Answers, DataType, Options, PlanInput, Planner, Refined, ResourceType, Step};
use stack_state::{Lineage, Salt, State};

use super::*;

/// A catalog of one type, `x_thing`, with a block `disk`.
struct Things(Schema);

impl Things {
    fn new() -> Self {
        let disk = Schema {
            attributes: [("size".to_owned(), Attribute::optional(Type::Number))].into(),
            ..Schema::default()
        };
        let block = Block {
            nesting: Nesting::List,
            schema: disk,
            min: 0,
            max: None,
        };
        Self(Schema {
            blocks: [("disk".to_owned(), block)].into(),
            ..Schema::default()
        })
    }
}

impl ResourceType for Things {
    fn schema(&self) -> &Schema {
        &self.0
    }
    fn is_local(&self) -> bool {
        false
    }
    fn previews(&self) -> bool {
        false
    }
    fn refine(&self, _: Option<&Value>, planned: Value) -> Refined {
        Refined {
            planned,
            replace: Vec::new(),
        }
    }
    fn validate(&self, _: &Value) -> Vec<(Path, String)> {
        Vec::new()
    }
    fn same(&self, _: &Path, a: &Value, b: &Value) -> bool {
        a == b
    }
}

impl Catalog for Things {
    fn resource(&self, _: &str) -> Option<&dyn ResourceType> {
        Some(self)
    }
    fn data_source(&self, _: &str) -> Option<&dyn DataType> {
        None
    }
    fn provider(&self, _: &str) -> Option<&Schema> {
        None
    }
    fn is_local(&self, _: &str) -> bool {
        false
    }
    fn call(&self, _: &str, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        None
    }
}

fn object(members: &[(&str, Value)]) -> Value {
    Value::object(
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    )
}

fn disks(sizes: &[i64]) -> Value {
    let disks: Vec<Value> = sizes
        .iter()
        .map(|size| object(&[("size", Value::from(*size))]))
        .collect();
    Value::list(Type::Dynamic, disks)
}

fn change(action: Action, reason: Option<Reason>, before: Option<Value>, after: Option<Value>) -> Change {
    Change {
        address: "x_thing.a".parse().unwrap(),
        previous_address: None,
        deposed: None,
        action,
        reason,
        before,
        after,
        replace_paths: Vec::new(),
        provider: "provider.x".parse().unwrap(),
        importing: None,
        rendered: None,
        not_checked: None,
        config: None,
    }
}

fn shown(change: &Change) -> String {
    let (catalog, plan) = (Things::new(), empty());
    PlanView {
        plan: &plan,
        catalog: &catalog,
        paint: Paint(false),
    }
    .change(change)
}

/// The plan of an empty configuration.
fn empty() -> Plan {
    let configuration = Configuration {
        root: Module::default(),
        sources: SourceMap::default(),
    };
    let state = State::new(Lineage::from("l"), "default", Salt::default());
    let (catalog, sources) = (Things::new(), MemorySources::new());
    let (variables, options) = (Default::default(), Options::default());
    let input = PlanInput {
        configuration: &configuration,
        sources: &sources,
        catalog: &catalog,
        state: &state,
        variables: &variables,
        environment: "default",
        timestamp: "",
        options: &options,
    };
    match Planner::new(input).unwrap().step(&Answers::new()) {
        Step::Done(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replacement_says_what_forces_it() {
    let before = object(&[
        ("id", "i-1".into()),
        ("image", "a".into()),
        ("disk", disks(&[8])),
        ("kept", 1.into()),
    ]);
    let after = object(&[
        ("id", Value::unknown(Type::String)),
        ("image", "b".into()),
        ("disk", disks(&[8, 20])),
        ("kept", 1.into()),
    ]);
    let mut change = change(
        Action::CreateThenDelete,
        Some(Reason::CannotUpdate),
        Some(before),
        Some(after),
    );
    change.replace_paths = vec![Path::of(&["image"])];
    change.not_checked = Some("the cluster does not exist yet".to_owned());
    let wanted = "  # x_thing.a must be replaced
+/- resource \"x_thing\" \"a\" {
      ~ id    = \"i-1\" -> (known after apply)
      ~ image = \"a\" -> \"b\" # forces replacement
        # (1 unchanged attribute hidden)

      + disk {
          + size = 20
        }
    }
    # not checked: the cluster does not exist yet
";
    assert_eq!(shown(&change), wanted);
}

#[test]
fn every_end_has_its_reason() {
    let before = || Some(object(&[("id", "i-1".into())]));
    let title = |change: &Change| {
        shown(change)
            .lines()
            .take_while(|l| l.contains('#'))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let ends = [
        (
            Action::Delete,
            Reason::NoResource,
            "will be destroyed\n  # (because x_thing.a is not in configuration)",
        ),
        (
            Action::Delete,
            Reason::WrongRepetition,
            "will be destroyed\n  # (because count or for_each was added or removed)",
        ),
        (
            Action::Forget,
            Reason::ContainerEnds,
            "will no longer be managed by stack, and will not be destroyed\n  # (because what it lives in ends)",
        ),
    ];
    for (action, reason, wanted) in ends {
        assert_eq!(
            title(&change(action, Some(reason), before(), None)),
            format!("  # x_thing.a {wanted}")
        );
    }
    let tainted = change(
        Action::DeleteThenCreate,
        Some(Reason::Tainted),
        before(),
        before(),
    );
    assert_eq!(
        title(&tainted),
        "  # x_thing.a is tainted, so it must be replaced"
    );
}

#[test]
fn moved_and_imported_objects_are_shown_though_nothing_changes() {
    let value = Some(object(&[("id", "i-1".into())]));
    let mut moved = change(Action::NoOp, None, value.clone(), value.clone());
    moved.previous_address = Some("x_thing.old".parse().unwrap());
    assert!(
        shown(&moved).starts_with("  # x_thing.old has moved to x_thing.a\n    resource"),
        "{}",
        shown(&moved)
    );
    let mut imported = change(Action::NoOp, None, value.clone(), value);
    imported.importing = Some("i-1".to_owned());
    assert!(shown(&imported).starts_with("  # x_thing.a will be imported\n  # (imported from \"i-1\")\n"));
    let plan = Plan {
        changes: vec![imported],
        ..empty()
    };
    assert_eq!(
        Counts::of(&plan).to_string(),
        "1 to import, 0 to add, 0 to change, 0 to destroy"
    );
}

#[test]
fn drift_stands_apart_from_changes() {
    let catalog = Things::new();
    let drift = Drift {
        address: "x_thing.a".parse().unwrap(),
        before: object(&[("id", "i-1".into()), ("size", 1.into())]),
        after: Some(object(&[("id", "i-1".into()), ("size", 2.into())])),
        paths: vec![Path::of(&["size"])],
    };
    let plan = Plan {
        drift: vec![drift],
        ..empty()
    };
    let text = PlanView {
        plan: &plan,
        catalog: &catalog,
        paint: Paint(false),
    }
    .render();
    let wanted = "Note: Objects have changed outside of stack

Since the last apply these objects were changed by somebody else:

  # x_thing.a has changed
  ~ resource \"x_thing\" \"a\" {
        id   = \"i-1\"
      ~ size = 1 -> 2
    }

No changes. The real objects match the configuration.
";
    assert_eq!(text, wanted);
}
