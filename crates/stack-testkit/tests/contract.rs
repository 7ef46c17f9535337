//! The contract kit passes a well-behaved type and finds every flaw.

use stack_provider::contract::{self, Change, Effect, Faults, Harness, Violation};
use stack_testkit::{FakeRemote, Flaw, Thing, ThingModel};

struct Fake(FakeRemote);

fn thing(name: &str, size: i64) -> ThingModel {
    ThingModel {
        name: name.to_owned(),
        size,
        id: None,
    }
}

#[stack_provider::async_trait]
impl Harness for Fake {
    type Resource = Thing;
    fn client(&self) -> &FakeRemote {
        &self.0
    }
    fn arguments(&self) -> ThingModel {
        thing("a", 1)
    }
    fn changes(&self) -> Vec<Change<ThingModel>> {
        let change = |name, arguments, effect| Change {
            name,
            arguments,
            effect,
        };
        vec![
            change("size", thing("a", 2), Effect::InPlace),
            change("name", thing("b", 1), Effect::Replace),
        ]
    }
    fn faults(&self) -> Option<&dyn Faults> {
        Some(&self.0)
    }
    async fn count(&self) -> Option<usize> {
        Some(self.0.count())
    }
}

async fn check(flaw: Option<Flaw>) -> Result<(), Violation> {
    contract::check(&Fake(FakeRemote::new(flaw))).await
}

#[tokio::test]
async fn a_well_behaved_type_passes() {
    check(None).await.unwrap();
}

#[tokio::test]
async fn every_flaw_is_found_at_its_step() {
    for (flaw, step) in [
        (Flaw::Normalises, "create"),
        (Flaw::HidesTags, "find"),
        (Flaw::ForgetsToken, "second create with one token"),
        (Flaw::DeletesOnce, "delete of what is gone already"),
        (Flaw::IgnoresUpdate, "change of size"),
    ] {
        let violation = check(Some(flaw)).await.unwrap_err();
        assert_eq!(violation.step, step, "{flaw:?}: {violation}");
    }
}
