//! Single cases: what a recovery meets when the cloud is not well either.

use stack_testkit::cloud::{Fault, Planned, Stage, World};

use crate::apply::{RECOVERED, Role};
use crate::faults::{FAULTS, calls, impatient, meet};
use crate::lab::{Copied, Ended, Lab, everywhere};
use crate::scenarios::{FIRST_APPLY, Scenario, world};
use crate::texts::{HERE, SMALL, SMALL_CHANGED, SWAPPED, THERE};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("every_call_of_a_recovery_fails_in_every_way", recoveries_fail),
    (
        "an_object_that_cannot_be_looked_for_after_a_failed_create_is_found_later",
        looked_for_in_vain,
    ),
    (
        "a_create_that_was_refused_outright_leaves_nothing_open",
        refused_outright,
    ),
    ("an_object_that_is_seen_late_is_found", seen_late),
    (
        "an_object_that_is_seen_late_by_the_plan_is_not_gone",
        seen_late_by_the_plan,
    ),
    ("a_create_whose_time_is_over_leaves_a_known_object", out_of_time),
    (
        "the_object_that_made_room_last_gets_its_place_back",
        room_given_back,
    ),
    ("an_object_is_never_looked_for_in_another_system", other_system),
    (
        "a_server_that_does_not_answer_can_still_be_destroyed",
        dead_server,
    ),
    (
        "a_container_removed_by_somebody_else_takes_its_objects_along",
        container_removed,
    ),
];

fn fault(call: &str, fault: Fault) -> Planned {
    Planned {
        call: call.to_owned(),
        fault,
    }
}

fn scenario(name: &'static str, text: &'static str) -> Scenario {
    Scenario {
        name,
        role: Role::Apply,
        before: &[],
        text,
        foreign: &[],
        operations: &[],
    }
}

/// A cloud in which a new server is missed by so many reads.
fn late(reads: u32) -> Copied {
    let mut world = World::default();
    world.delays.insert("server".to_owned(), reads);
    Copied::fresh(world)
}

/// A kill, and then a recovery in which one call fails, whichever it is and however it fails.
fn recoveries_fail() {
    let apply = |text| scenario("a small apply", text);
    let destroy = Scenario {
        role: Role::Destroy,
        ..apply(SMALL_CHANGED)
    };
    let runs: [(Scenario, &[&'static str], &[&str]); 3] = [
        (
            apply(SMALL),
            &[],
            &["create cloud_server.s", "create file:cloud_server.s:/f"],
        ),
        (
            apply(SMALL_CHANGED),
            &[SMALL],
            &["update cloud_server.s", "update file:cloud_server.s:/f"],
        ),
        (destroy, &[SMALL_CHANGED], &["delete cloud_server.s"]),
    ];
    // A recovery uses the arguments that were recorded.
    let arguments = impatient();
    let mut work = Vec::new();
    for (scenario, before, operations) in runs {
        let mut lab = Lab::new();
        let mut base = late(1);
        for text in before {
            lab.put(&base, &apply(text).configuration(&arguments));
            assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
            base = lab.copy();
        }
        let configuration = scenario.configuration(&arguments);
        for (call, stage) in operations
            .iter()
            .flat_map(|o| [(o, Stage::Received), (o, Stage::Done)])
        {
            let point = stage.point(&format!("{call} #1"));
            lab.put(&base, &configuration);
            assert_eq!(lab.run(scenario.role, Some(&point), Vec::new()), Ended::Killed);
            let left = lab.copy();
            lab.run(scenario.role, None, Vec::new());
            let mut then = lab.cloud.log().unwrap();
            let made = lab.cloud.export().unwrap().made.len();
            then.truncate(then.iter().position(|p| *p == format!("{RECOVERED} #1")).unwrap());
            for (call, fault) in calls(&then)
                .into_iter()
                .flat_map(|c| FAULTS.map(|f| (c.clone(), f)))
            {
                work.push((scenario, left.clone(), point.clone(), call, fault, made));
            }
        }
    }
    println!("\ncounted: recoveries with a failure: {}", work.len());
    assert!(work.len() > 5 * 2 * FAULTS.len());
    everywhere(&work, |lab, (scenario, left, point, call, what, made)| {
        lab.put(left, &scenario.configuration(&arguments));
        meet(lab, scenario, call, *what).map_err(|error| format!("after `{point}`: {error}"))?;
        scenario
            // A file of which nothing could be learned is replaced.
            .settle(
                lab,
                *made..=*made + usize::from(call.contains("file:") || call.starts_with("enter")),
            )
            .and_then(|()| scenario.destroy(lab))
            .map_err(|error| format!("killed at `{point}`, then `{call}` meets {what:?}: {error}"))
    });
}

/// A create takes effect, its answer is lost, and from then on the cloud refuses to say anything: the operation stays
/// open until somebody can look.
fn looked_for_in_vain() {
    let create = "create cloud_server.s";
    let faults = || {
        let mut faults = vec![fault(&format!("{create} #1"), Fault::AnswerLost)];
        faults.push(fault(&format!("{create} #2"), Fault::Denied));
        faults.extend((1..9).map(|n| fault(&format!("read cloud_server.s #{n}"), Fault::Denied)));
        faults
    };
    let scenario = scenario("credentials expire", SMALL);
    let mut lab = Lab::new();
    lab.put(&late(0), &scenario.configuration(""));
    let Ended::Failed(text) = lab.run(Role::Apply, None, faults()) else {
        panic!("it did not fail")
    };
    assert!(text.contains("expired"), "{text}");
    assert_eq!(lab.state().unwrap().pending.len(), 1, "the operation stays open");
    // It still cannot be asked: nothing is planned, and nothing is lost.
    let Ended::Failed(text) = lab.run(Role::Apply, None, faults()[2..].to_vec()) else {
        panic!("it did not fail")
    };
    assert!(text.contains("not recovered"), "{text}");
    scenario.settle(&mut lab, 2..=2).unwrap();
    scenario.destroy(&mut lab).unwrap();
}

/// Credentials that allow nothing at all: nothing was made, so nothing stays open that only they could end.
fn refused_outright() {
    let scenario = scenario("no credentials", SMALL);
    let mut lab = Lab::new();
    lab.put(&late(0), &scenario.configuration(""));
    let denied = |call: &str| fault(&format!("{call} cloud_server.s #1"), Fault::Denied);
    let ended = lab.run(Role::Apply, None, vec![denied("create"), denied("read")]);
    assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
    assert_eq!(lab.cloud.met().unwrap(), 2);
    assert_eq!(lab.state().unwrap().pending.len(), 0);
    scenario.settle(&mut lab, 2..=2).unwrap();
}

/// The cloud shows a new object late: to a recovery, and to a create that failed and looks for what it has left.
fn seen_late() {
    let scenario = scenario("late", SMALL);
    let mut lab = Lab::new();
    for reads in 0..3 {
        lab.put(&late(reads), &scenario.configuration(""));
        let point = Stage::Done.point("create cloud_server.s #1");
        assert_eq!(lab.run(Role::Apply, Some(&point), Vec::new()), Ended::Killed);
        scenario.settle(&mut lab, 2..=2).unwrap();

        lab.put(&late(reads), &scenario.configuration(""));
        let faults = vec![
            fault("create cloud_server.s #1", Fault::AnswerLost),
            fault("create cloud_server.s #2", Fault::Denied),
        ];
        let ended = lab.run(Role::Apply, None, faults);
        assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
        let state = lab.state().unwrap();
        assert_eq!(state.objects().count(), 1, "{reads} reads late");
        // It is not known whether it is complete, so it is replaced.
        scenario.settle(&mut lab, 3..=3).unwrap();
        scenario.destroy(&mut lab).unwrap();
    }
}

/// A create said what it made, and failed before the cloud showed it; the next plan does not see it at first either.
fn seen_late_by_the_plan() {
    let scenario = scenario("late for the plan", SMALL);
    let mut lab = Lab::new();
    lab.put(&late(2), &scenario.configuration(""));
    let denied = vec![fault("read cloud_server.s #1", Fault::Denied)];
    let ended = lab.run(Role::Apply, None, denied);
    assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
    scenario.settle(&mut lab, 3..=3).unwrap();
    scenario.destroy(&mut lab).unwrap();
}

/// A call hangs until the time of its operation is over.
fn out_of_time() {
    let scenario = scenario("hangs", SMALL);
    let work = [(Fault::Hang, 0, 2), (Fault::HangAfterEffect, 1, 3)];
    everywhere(&work, |lab, (what, left, made)| {
        lab.put(&late(0), &scenario.configuration(""));
        let ended = lab.run(Role::Apply, None, vec![fault("create cloud_server.s #1", *what)]);
        let Ended::Failed(text) = ended else {
            return Err(format!("{what:?}: {ended:?}"));
        };
        assert!(text.contains("not done in time"), "{text}");
        let state = lab.state().unwrap();
        assert_eq!(
            (state.objects().count(), state.pending.len()),
            (*left, 0),
            "{what:?}"
        );
        scenario.settle(lab, *made..=*made)?;
        scenario.destroy(lab)
    });
}

/// Two objects have made room for others, the first of them a while ago; a replacement that was not made gives the place
/// back to the last.
fn room_given_back() {
    let mut lab = Lab::new();
    // Keys of deposed objects are partly random.
    for round in 0..6 {
        lab.put(&late(0), SWAPPED[0]);
        assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
        let denied = vec![fault("delete cloud_server.s #1", Fault::Denied)];
        let copied = lab.copy();
        lab.put(&copied, SWAPPED[1]);
        let ended = lab.run(Role::Apply, None, denied);
        assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
        let copied = lab.copy();
        lab.put(&copied, SWAPPED[2]);
        let point = Stage::Received.point("create cloud_server.s #1");
        let hang = vec![fault("delete cloud_server.s #1", Fault::Hang)];
        assert_eq!(lab.run(Role::Apply, Some(&point), hang), Ended::Killed);
        let state = lab.state().unwrap();
        let pending = state.pending.values().next().unwrap();
        assert_eq!(state.instances[&pending.begin.address].deposed.len(), 2);
        let address = pending.begin.address.clone();
        // Recovered, and not planned yet.
        let recovered = lab.run(Role::Apply, Some(&format!("{RECOVERED} #1")), Vec::new());
        assert_eq!(recovered, Ended::Killed);
        let state = lab.state().unwrap();
        let current = state
            .current(&address)
            .map(|o| o.attributes.attribute("name").cloned());
        assert_eq!(
            current,
            Some(Some(stack_core::Value::string("second"))),
            "round {round}"
        );
        assert!(matches!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied));
        lab.check(&[]).unwrap();
    }
}

/// A provider leads to another server by now. The file that was being deleted is on the old one: the new one is not asked
/// about it, and it is not taken for gone.
fn other_system() {
    let mut lab = Lab::new();
    lab.put(&late(0), HERE);
    assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
    let base = lab.copy();
    // The file comes to the new server, which is recorded, while its delete on the old one hangs.
    lab.put(&base, THERE);
    let hang = vec![fault("delete file:cloud_server.a:/leaves #1", Fault::Hang)];
    let point = "after end create guest_file.comes #1";
    assert_eq!(lab.run(Role::Apply, Some(point), hang), Ended::Killed);
    assert_eq!(lab.state().unwrap().pending.len(), 1);
    let recovered = format!("{RECOVERED} #1");
    assert_eq!(lab.run(Role::Apply, Some(&recovered), Vec::new()), Ended::Killed);
    let points = lab.cloud.log().unwrap();
    let elsewhere = points
        .iter()
        .find(|point| point.contains("cloud_server.b:/leaves"));
    assert_eq!(elsewhere, None, "asked elsewhere: {points:?}");
    let state = lab.state().unwrap();
    let left = state
        .objects()
        .any(|(address, _, _)| address.to_string() == "guest_file.leaves");
    assert!(left, "taken for gone");
    // The plan says that it is left behind, and lets it go.
    assert!(!matches!(
        lab.run(Role::Apply, None, Vec::new()),
        Ended::Failed(_)
    ));
    assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::NothingToDo);
}

/// A server does not answer any more. What was begun on it does not keep anybody from removing it.
fn dead_server() {
    let mut lab = Lab::new();
    let apply = scenario("a server dies", SMALL);
    let dead = || {
        (1..9)
            .map(|n| fault(&format!("enter cloud_server.s #{n}"), Fault::Refused))
            .collect()
    };
    let mut base = late(0);
    for (text, operation) in [(SMALL, "create"), (SMALL_CHANGED, "update")] {
        for stage in [Stage::Received, Stage::Done] {
            let point = stage.point(&format!("{operation} file:cloud_server.s:/f #1"));
            lab.put(&base, text);
            assert_eq!(lab.run(Role::Apply, Some(&point), Vec::new()), Ended::Killed);
            let left = lab.copy();
            assert_eq!(lab.state().unwrap().pending.len(), 1);
            assert_eq!(lab.run(Role::Destroy, None, dead()), Ended::Applied, "{point}");
            lab.check(&[]).unwrap();
            assert!(lab.cloud.export().unwrap().objects.is_empty(), "{point}");
            // An apply waits for it to answer.
            lab.put(&left, text);
            let ended = lab.run(Role::Apply, None, dead());
            assert!(matches!(ended, Ended::Failed(_)), "{point}: {ended:?}");
            assert!(!matches!(
                lab.run(Role::Apply, None, Vec::new()),
                Ended::Failed(_)
            ));
            lab.check(&[]).unwrap();
            assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::NothingToDo);
            apply.destroy(&mut lab).unwrap();
        }
        lab.put(&late(0), SMALL);
        assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
        base = lab.copy();
    }
}

/// Somebody removes a server on which there are files.
fn container_removed() {
    let mut lab = Lab::new();
    lab.put(&Copied::fresh(world()), &FIRST_APPLY.configuration(""));
    assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
    let mut copied = lab.copy();
    let gone = |name: &str| name == "replaced-1" || name == "/etc/conf";
    copied.world.objects.retain(|_, object| !gone(&object.name));
    lab.put(&copied, &FIRST_APPLY.configuration(""));
    assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::Applied);
    lab.check(FIRST_APPLY.foreign).unwrap();
    assert_eq!(lab.run(Role::Apply, None, Vec::new()), Ended::NothingToDo);
}
