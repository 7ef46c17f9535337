//! What is applied while it is killed: everything that an apply can do.

use std::ops::RangeInclusive;

use stack_testkit::cloud::{Attributes, Fault, Planned, World};

use crate::apply::Role;
use crate::lab::{Copied, Ended, Lab};
use crate::texts::{CHAIN, CHAIN_CHANGED, FIRST, HOST, SECOND};

/// Objects that somebody else made, by name: a network that is looked up, and two records that are imported later.
const GIVEN: &str = "given";
const TAKEN: &str = "taken";
const AS_IS: &str = "as-is";
/// A record that is forgotten and goes on to exist.
const LET_GO: &str = "let-go";

/// Stands for the arguments of every provider.
const PROVIDER: &str = "# arguments";

/// What was applied before, and the calls that were denied in it: where there are any, it failed.
type Before = (&'static str, &'static [&'static str]);

/// One run of a process, with what was applied before it.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// Applied before, one after the other.
    pub(crate) before: &'static [Before],
    pub(crate) text: &'static str,
    /// Names of objects in the cloud that are nobody's once the run is complete.
    pub(crate) foreign: &'static [&'static str],
    /// The operations of the run, as the journal names them and as the cloud does.
    pub(crate) operations: &'static [(&'static str, &'static str)],
}

pub(crate) const FIRST_APPLY: Scenario = Scenario {
    name: "first apply",
    role: Role::Apply,
    before: &[],
    text: FIRST,
    foreign: &[GIVEN, TAKEN, AS_IS],
    operations: &[
        ("create cloud_network.net", "create cloud_network.net"),
        ("create cloud_server.kept", "create cloud_server.kept"),
        ("create cloud_server.replaced", "create cloud_server.replaced"),
        ("create cloud_server.swapped", "create cloud_server.swapped"),
        ("create cloud_server.removed", "create cloud_server.removed"),
        ("create cloud_server.before", "create cloud_server.before"),
        ("create cloud_record.www", "create record:www"),
        ("create cloud_record.let_go", "create record:let-go"),
        (
            "create guest_file.conf",
            "create file:cloud_server.replaced:/etc/conf",
        ),
        (
            "create guest_file.note",
            "create file:cloud_server.swapped:/etc/note",
        ),
    ],
};

pub(crate) const EVERY_ACTION: Scenario = Scenario {
    name: "every kind of action",
    role: Role::Apply,
    before: &[(FIRST, &[])],
    text: SECOND,
    foreign: &[GIVEN, LET_GO],
    operations: &[
        ("update cloud_network.net", "update cloud_network.net"),
        ("create cloud_network.late", "create cloud_network.late"),
        ("update cloud_server.kept", "update cloud_server.kept"),
        ("delete cloud_server.replaced", "delete cloud_server.replaced"),
        ("create cloud_server.replaced", "create cloud_server.replaced"),
        ("create cloud_server.swapped", "create cloud_server.swapped"),
        ("delete cloud_server.swapped", "delete cloud_server.swapped"),
        ("delete cloud_server.removed", "delete cloud_server.removed"),
        ("create cloud_server.added", "create cloud_server.added"),
        ("update cloud_record.www", "update record:www"),
        ("update cloud_record.taken", "update record:taken"),
        (
            "create guest_file.conf",
            "create file:cloud_server.replaced:/etc/conf",
        ),
        (
            "create guest_file.more",
            "create file:cloud_server.replaced:/etc/more",
        ),
        (
            "create guest_file.note",
            "create file:cloud_server.swapped:/etc/note",
        ),
    ],
};

pub(crate) const DESTROY: Scenario = Scenario {
    name: "destroy",
    role: Role::Destroy,
    before: &[(FIRST, &[]), (SECOND, &[])],
    text: SECOND,
    foreign: &[GIVEN, LET_GO],
    operations: &[
        ("delete cloud_network.net", "delete cloud_network.net"),
        ("delete cloud_network.late", "delete cloud_network.late"),
        ("delete cloud_server.kept", "delete cloud_server.kept"),
        ("delete cloud_server.replaced", "delete cloud_server.replaced"),
        ("delete cloud_server.swapped", "delete cloud_server.swapped"),
        ("delete cloud_server.after", "delete cloud_server.before"),
        ("delete cloud_server.added", "delete cloud_server.added"),
        ("delete cloud_record.www", "delete record:www"),
        ("delete cloud_record.taken", "delete record:taken"),
        ("delete cloud_record.as_is", "delete record:as-is"),
    ],
};

/// One thing after the other, so that a recovery has one operation to find out about.
pub(crate) const CHAIN_FIRST: Scenario = Scenario {
    name: "chain",
    role: Role::Apply,
    before: &[],
    text: CHAIN,
    foreign: &[GIVEN, TAKEN, AS_IS],
    operations: &[
        ("create cloud_network.net", "create cloud_network.net"),
        ("create cloud_server.host", "create cloud_server.host"),
        (
            "create guest_file.conf",
            "create file:cloud_server.host:/etc/conf",
        ),
        ("create cloud_record.www", "create record:www"),
    ],
};

/// The chain with an update and all three kinds of replacement.
pub(crate) const CHAIN_SECOND: Scenario = Scenario {
    name: "changed chain",
    role: Role::Apply,
    before: &[(CHAIN, &[])],
    text: CHAIN_CHANGED,
    foreign: &[GIVEN, TAKEN, AS_IS],
    operations: &[
        ("update cloud_network.net", "update cloud_network.net"),
        ("create cloud_server.host", "create cloud_server.host"),
        (
            "create guest_file.conf",
            "create file:cloud_server.host:/etc/conf",
        ),
        ("delete cloud_record.www", "delete record:www"),
        ("create cloud_record.www", "create record:web"),
        ("delete cloud_server.host", "delete cloud_server.host"),
    ],
};

/// The end of the chain.
pub(crate) const CHAIN_DESTROY: Scenario = Scenario {
    name: "end of the chain",
    role: Role::Destroy,
    before: &[(CHAIN, &[])],
    text: CHAIN,
    foreign: &[GIVEN, TAKEN, AS_IS],
    operations: &[
        ("delete cloud_record.www", "delete record:www"),
        ("delete cloud_server.host", "delete cloud_server.host"),
        ("delete cloud_network.net", "delete cloud_network.net"),
    ],
};

/// What a run that failed has left: an object that makes room for a second time, and two that are half made.
pub(crate) const AFTER_FAILURE: Scenario = Scenario {
    name: "after a failure",
    role: Role::Apply,
    before: &[
        (HOST[0], &[]),
        (
            HOST[1],
            &[
                "delete cloud_server.host #1",
                "read cloud_server.half #1",
                "read cloud_server.half_first #1",
            ],
        ),
    ],
    text: HOST[2],
    foreign: &[GIVEN, TAKEN, AS_IS],
    operations: &[
        ("create cloud_server.host", "create cloud_server.host"),
        ("delete cloud_server.host", "delete cloud_server.host"),
        ("delete cloud_server.half", "delete cloud_server.half"),
        ("create cloud_server.half", "create cloud_server.half"),
        ("create cloud_server.half_first", "create cloud_server.half_first"),
        ("delete cloud_server.half_first", "delete cloud_server.half_first"),
    ],
};

/// A cloud in which others have made something, and in which a new server is seen by the second read only.
pub(crate) fn world() -> World {
    let mut world = World::default();
    let attributes = |name: &str, value: &str| Attributes::from([(name.to_owned(), value.into())]);
    world.put_foreign("network", GIVEN, attributes("mtu", "1500"));
    world.put_foreign("record", TAKEN, attributes("value", "theirs"));
    world.put_foreign("record", AS_IS, attributes("value", "theirs"));
    world.delays.insert("server".to_owned(), 1);
    world
}

/// An uninterrupted run.
pub(crate) struct Learnt {
    /// What it starts from.
    pub(crate) base: Copied,
    /// Every point that it passes.
    pub(crate) points: Vec<String>,
    /// Objects ever made when it has ended.
    pub(crate) made: usize,
}

impl Scenario {
    /// The configuration, with `arguments` in every provider block.
    pub(crate) fn configuration(&self, arguments: &str) -> String {
        self.text.replace(PROVIDER, arguments)
    }

    /// Runs what comes before, and then the run itself, uninterrupted.
    pub(crate) fn learn(&self) -> Learnt {
        let mut lab = Lab::new();
        let mut base = Copied::fresh(world());
        for (text, denied) in self.before {
            let denied = denied.iter().map(|call| Planned {
                call: (*call).to_owned(),
                fault: Fault::Denied,
            });
            let faults: Vec<Planned> = denied.collect();
            let fails = !faults.is_empty();
            lab.put(&base, text);
            match lab.run(Role::Apply, None, faults) {
                Ended::Applied if !fails => {}
                Ended::Failed(_) if fails => {}
                ended => panic!("preparation of {}: {ended:?}", self.name),
            }
            base = lab.copy();
        }
        lab.put(&base, self.text);
        assert_eq!(
            lab.run(self.role, None, Vec::new()),
            Ended::Applied,
            "uninterrupted"
        );
        let points = lab.cloud.log().unwrap();
        lab.check(self.foreign).unwrap();
        let made = lab.cloud.export().unwrap().made.len();
        assert_eq!(self.run(&mut lab), Ok(Ended::NothingToDo));
        Learnt { base, points, made }
    }

    fn run(&self, lab: &mut Lab) -> Result<Ended, String> {
        match lab.run(self.role, None, Vec::new()) {
            Ended::Failed(text) => Err(format!("it failed: {text}")),
            ended => Ok(ended),
        }
    }

    /// What must hold once the run is taken up again, whatever happened before. `made`: how many objects may have been
    /// made by then.
    pub(crate) fn settle(&self, lab: &mut Lab, made: RangeInclusive<usize>) -> Result<(), String> {
        self.run(lab).map_err(|e| format!("taking it up again: {e}"))?;
        lab.check(self.foreign)?;
        let really = lab.cloud.export().unwrap().made.len();
        if !made.contains(&really) {
            return Err(format!("{really} objects were made, not {made:?}"));
        }
        match self.run(lab)? {
            Ended::NothingToDo => Ok(()),
            ended => Err(format!("a second {}: {ended:?}", self.role.name())),
        }
    }

    /// A destroy leaves what is nobody's, and nothing else.
    pub(crate) fn destroy(&self, lab: &mut Lab) -> Result<(), String> {
        if self.role == Role::Apply {
            match lab.run(Role::Destroy, None, Vec::new()) {
                Ended::Applied => {}
                ended => return Err(format!("destroy: {ended:?}")),
            }
        }
        lab.check(self.foreign)?;
        let left = lab.cloud.export().unwrap().objects.len();
        if left == self.foreign.len() {
            Ok(())
        } else {
            Err(format!("{left} objects are left after a destroy"))
        }
    }
}
