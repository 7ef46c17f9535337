//! A process is killed at every point that it passes: before and after each record of the journal is durable, and when a
//! call has arrived, has taken effect, and was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use stack_testkit::cloud::Stage;

use crate::apply::RECOVERED;
use crate::lab::{Copied, Ended, Lab, everywhere};
use crate::scenarios::{
    AFTER_FAILURE, CHAIN_DESTROY, CHAIN_FIRST, CHAIN_SECOND, DESTROY, EVERY_ACTION, FIRST_APPLY, Learnt,
    Scenario,
};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("killed_at_every_point_of_the_first_apply", || once(&FIRST_APPLY)),
    (
        "killed_at_every_point_of_an_apply_with_every_kind_of_action",
        || once(&EVERY_ACTION),
    ),
    ("killed_at_every_point_of_a_destroy", || once(&DESTROY)),
    ("killed_at_every_point_of_an_apply_after_one_that_failed", || {
        once(&AFTER_FAILURE);
    }),
    ("killed_again_at_every_point_of_the_recovery", || {
        for scenario in [CHAIN_FIRST, CHAIN_SECOND, CHAIN_DESTROY] {
            recovering(&scenario);
        }
    }),
    ("killed_again_at_points_of_the_whole_run_that_follows", || {
        following(&EVERY_ACTION, 29, 13);
        following(&DESTROY, 23, 13);
    }),
];

/// Each operation has been begun, called and ended, with points around every one of these steps.
fn assert_complete(scenario: &Scenario, points: &[String]) {
    let points: BTreeSet<&str> = points.iter().map(String::as_str).collect();
    for (operation, call) in scenario.operations {
        let steps = ["before begin", "after begin", "before end", "after end"];
        let steps = steps.map(|step| format!("{step} {operation} #1"));
        let stages = Stage::ALL.map(|stage| stage.point(&format!("{call} #1")));
        for point in steps.iter().chain(&stages) {
            assert!(
                points.contains(point.as_str()),
                "{}: no point {point}",
                scenario.name
            );
        }
    }
    // Begin and end, each before and after, and three stages of at least one call.
    assert!(points.len() >= scenario.operations.len() * 7);
}

/// Kills a process at a point.
fn kill(lab: &mut Lab, scenario: &Scenario, point: &str) -> Result<(), String> {
    match lab.run(scenario.role, Some(point), Vec::new()) {
        Ended::Killed => Ok(()),
        ended => Err(format!("it did not come to this point: {ended:?}")),
    }
}

/// Kills at every point.
fn once(scenario: &Scenario) {
    let Learnt { base, points, made } = scenario.learn();
    assert_complete(scenario, &points);
    println!("\ncounted: kill points, {}: {}", scenario.name, points.len());
    let configuration = scenario.configuration("");
    everywhere(&points, |lab, point| {
        lab.put(&base, &configuration);
        kill(lab, scenario, point)
            .and_then(|()| scenario.settle(lab, made..=made))
            .and_then(|()| scenario.destroy(lab))
            .map_err(|error| format!("{}, killed at `{point}`: {error}", scenario.name))
    });
}

/// What a kill has left, and the points of the run that takes it up.
struct Left {
    first: String,
    copied: Copied,
    then: Vec<String>,
}

/// What kills at these points leave, one for each situation that differs: what the state holds and what it waits for,
/// and what there is in the cloud.
fn situations(scenario: &Scenario, base: &Copied, points: &[String]) -> Vec<Left> {
    let configuration = scenario.configuration("");
    let found = Mutex::new(BTreeMap::new());
    everywhere(points, |lab, first| {
        lab.put(base, &configuration);
        kill(lab, scenario, first).map_err(|error| format!("{}, at `{first}`: {error}", scenario.name))?;
        let (situation, copied) = (lab.situation(), lab.copy());
        if found.lock().unwrap().contains_key(&situation) {
            return Ok(());
        }
        let ended = lab.run(scenario.role, None, Vec::new());
        if let Ended::Failed(text) = ended {
            return Err(format!("{}, killed at `{first}`: {text}", scenario.name));
        }
        let left = Left {
            first: first.clone(),
            copied,
            then: lab.cloud.log().unwrap(),
        };
        found.lock().unwrap().insert(situation, left);
        Ok(())
    });
    found.into_inner().unwrap().into_values().collect()
}

/// Kills at every `nth` point of the runs that take up what was left.
fn again(scenario: &Scenario, left: &[Left], nth: usize, made: usize) -> usize {
    let configuration = scenario.configuration("");
    let pairs: Vec<(&Left, &String)> = left
        .iter()
        .flat_map(|left| left.then.iter().map(move |point| (left, point)))
        .step_by(nth)
        .collect();
    println!(
        "\ncounted: kill points in pairs, {}: {}, after {} first ones",
        scenario.name,
        pairs.len(),
        left.len()
    );
    everywhere(&pairs, |lab, (left, point)| {
        lab.put(&left.copied, &configuration);
        kill(lab, scenario, point)
            .and_then(|()| scenario.settle(lab, made..=made))
            .map_err(|error| {
                let first = &left.first;
                format!("{}, killed at `{first}` and at `{point}`: {error}", scenario.name)
            })
    });
    pairs.len()
}

/// Kills at every point, and then at every point of the recovery of what that left, which is before the plan.
fn recovering(scenario: &Scenario) {
    let Learnt { base, points, made } = scenario.learn();
    assert_complete(scenario, &points);
    let mut left = situations(scenario, &base, &points);
    // Each operation is left at least without an effect and with one.
    assert!(left.len() >= scenario.operations.len() * 2);
    let recovered = format!("{RECOVERED} #1");
    for left in &mut left {
        let end = left.then.iter().position(|point| *point == recovered).unwrap();
        left.then.truncate(end);
    }
    let pairs = again(scenario, &left, 1, made);
    // In each recovery a call is made, in three stages, and the end is written.
    assert!(pairs >= scenario.operations.len() * 2 * 5);
}

/// Kills at every `first` point, and then at every `then` point of the whole run that takes it up.
fn following(scenario: &Scenario, first: usize, then: usize) {
    let Learnt { base, points, made } = scenario.learn();
    let points: Vec<String> = points.into_iter().skip(first / 2).step_by(first).collect();
    let left = situations(scenario, &base, &points);
    let pairs = again(scenario, &left, then, made);
    assert!(pairs > left.len());
}
