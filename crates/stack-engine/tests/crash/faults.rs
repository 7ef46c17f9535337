//! Every call meets every fault: the command ends, well or not, and the next one converges.

use std::time::Duration;

use stack_testkit::cloud::{Fault, Planned, Stage};

use crate::lab::{Ended, Lab, everywhere};
use crate::scenarios::{DESTROY, EVERY_ACTION, FIRST_APPLY, Learnt, Scenario};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("every_call_of_the_first_apply_fails_in_every_way", || {
        every_call(&FIRST_APPLY);
    }),
    ("every_call_of_every_kind_of_action_fails_in_every_way", || {
        every_call(&EVERY_ACTION);
    }),
    ("every_call_of_a_destroy_fails_in_every_way", || {
        every_call(&DESTROY);
    }),
];

/// All faults.
pub(crate) const FAULTS: [Fault; 6] = [
    Fault::Refused,
    Fault::Denied,
    Fault::AnswerLost,
    Fault::Hang,
    Fault::HangAfterEffect,
    Fault::Throttle { times: 2 },
];

/// How long a client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Arguments of a provider whose calls are given up.
pub(crate) fn impatient() -> String {
    format!("patience = {}", PATIENCE.as_millis())
}

/// The calls of a run, by the names that faults are planned for.
pub(crate) fn calls(points: &[String]) -> Vec<String> {
    let received = Stage::Received.point("");
    points
        .iter()
        .filter_map(|point| point.strip_suffix(&received).map(str::to_owned))
        .collect()
}

/// Runs with a fault, which must be met. Nobody is impatient afterwards: the machine may be busy.
pub(crate) fn meet(lab: &mut Lab, scenario: &Scenario, call: &str, fault: Fault) -> Result<Ended, String> {
    let planned = Planned {
        call: call.to_owned(),
        fault,
    };
    lab.configure(&scenario.configuration(&impatient()));
    let ended = lab.run(scenario.role, None, vec![planned]);
    lab.configure(&scenario.configuration(""));
    match lab.cloud.met().unwrap() {
        1 => Ok(ended),
        _ => Err(format!("the call was not made: {ended:?}")),
    }
}

fn every_call(scenario: &Scenario) {
    let Learnt { base, points, made } = scenario.learn();
    let calls = calls(&points);
    assert!(calls.len() >= scenario.operations.len());
    let work: Vec<(&String, Fault)> = calls
        .iter()
        .flat_map(|call| FAULTS.map(|fault| (call, fault)))
        .collect();
    println!(
        "\ncounted: failing calls, {}: {} calls, {} failures",
        scenario.name,
        calls.len(),
        work.len()
    );
    let configuration = scenario.configuration("");
    everywhere(&work, |lab, (call, fault)| {
        lab.put(&base, &configuration);
        meet(lab, scenario, call, *fault)
            // An object whose create failed for good is replaced.
            .and_then(|_| scenario.settle(lab, made..=made + 1))
            .map_err(|error| format!("{}, `{call}` meets {fault:?}: {error}", scenario.name))
    });
}
