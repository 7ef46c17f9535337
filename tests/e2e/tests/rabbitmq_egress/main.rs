//! The main job on the sandbox: applied, used, changed, damaged, interrupted, removed.
//!
//! The tests run in order, each on what the one before has left. What proves them are programs that are not ours.

mod clients;
mod job;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};

use job::Job;

/// A test of the job.
type Test = fn(&mut Job) -> anyhow::Result<()>;

/// All tests in their order.
const TESTS: [(&str, Test); 19] = [
    ("apply_makes_everything", job::apply),
    ("ec2_has_the_instance_as_configured", job::instance),
    ("ec2_rules_admit_only_who_is_named", job::rules),
    ("ssh_shows_the_pinned_key_and_no_other_is_accepted", job::host_key),
    ("pika_sends_and_receives_over_tls", job::pika_tls),
    ("pika_sends_and_receives_in_the_clear", job::pika_plain),
    (
        "pika_is_refused_with_a_wrong_password_and_as_guest",
        job::pika_refused,
    ),
    ("openssl_verifies_the_certificate_and_its_names", job::certificate),
    ("curl_finds_an_administrator_at_the_console", job::console),
    ("helm_lists_four_releases", job::releases),
    ("pods_reach_the_broker_through_the_gateway_only", job::mesh),
    ("pods_reach_stripe_through_the_gateway_only", job::stripe),
    ("no_secret_is_on_disk_in_clear_text", job::sealed),
    ("a_second_plan_is_empty", job::unchanged),
    ("the_application_goes_to_plain_and_back", job::protocols),
    ("a_file_changed_by_hand_is_found_and_repaired", job::drift),
    ("destroy_leaves_nothing", job::destroy),
    ("an_apply_that_was_killed_twice_is_resumed", job::killed),
    ("destroy_after_that_leaves_nothing", job::destroy),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let job: Arc<Mutex<Option<Job>>> = Arc::default();
    let trials = TESTS.into_iter().map(|(name, test)| {
        let job = job.clone();
        // Only `cargo xtask test` has a sandbox to offer.
        Trial::test(name, move || run(&job, test)).with_ignored_flag(true)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Runs a test on the job; the first one starts it.
fn run(job: &Mutex<Option<Job>>, test: Test) -> Result<(), Failed> {
    let mut job = job.lock().map_err(|_| "an earlier test panicked")?;
    if job.is_none() {
        *job = Some(Job::start().map_err(|error| format!("{error:#}"))?);
    }
    let job = job.as_mut().ok_or("there is no job")?;
    test(job).map_err(|error| format!("{error:#}").into())
}
