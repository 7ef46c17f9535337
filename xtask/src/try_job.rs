//! `cargo xtask try`: the main job from an empty sandbox to an empty sandbox.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::job::{Job, Outcome};
use crate::run::{Workspace, eprintln_line, println_line, step};
use crate::sandbox::{Sandbox, reserve};

/// Options of `try`.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the sandbox and what was applied to it as they are.
    #[arg(long)]
    keep: bool,
    /// Destroy nothing; stop the sandbox with everything in it.
    #[arg(long)]
    no_destroy: bool,
}

/// The steps that have something to do with `stack`, in order.
const STEPS: [&str; 4] = ["apply", "plan without changes", "destroy", "nothing left"];

/// Runs the job as far as it goes, says where it stopped, and leaves nothing behind.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let begun = Instant::now();
    workspace.build(&["stack-cli", "stack-sandbox"])?;
    let _reserved = reserve(workspace)?;
    let sandbox = Sandbox::fresh(workspace)?;
    let job = Job::new(workspace, &sandbox, "try")?;
    let mut times = vec![("build and sandbox", begun.elapsed().as_secs_f64())];
    let result = steps(&job, &sandbox, options, &mut times);
    if options.keep {
        println_line(&format!(
            "Left as it is. To go on by hand, in {}:\n\n{}\n",
            workspace.root.display(),
            job.by_hand()
        ));
    } else {
        Sandbox::down(workspace)?;
        job.forget()?;
        std::fs::remove_file(&job.key).context("removing the key of the state")?;
    }
    times.push(("all", begun.elapsed().as_secs_f64()));
    println_line("");
    for (name, seconds) in &times {
        println_line(&format!("{name:<24} {seconds:>7.1} s"));
    }
    result
}

fn steps(
    job: &Job<'_>,
    sandbox: &Sandbox<'_>,
    options: &Options,
    times: &mut Vec<(&'static str, f64)>,
) -> Result<()> {
    let count = if options.keep || options.no_destroy {
        2
    } else {
        STEPS.len()
    };
    for (index, name) in STEPS.iter().take(count).enumerate() {
        let started = Instant::now();
        let result = step(name, || one(name, job, sandbox));
        times.push((name, started.elapsed().as_secs_f64()));
        let Err(error) = result else { continue };
        let remains = STEPS[index + 1..count].join(", ");
        eprintln_line(&format!(
            "try: stopped at step {} of {count}, {name}: {error:#}",
            index + 1
        ));
        if !remains.is_empty() {
            eprintln_line(&format!("try: not reached: {remains}"));
        }
        if *name != "destroy" && count == STEPS.len() {
            // What the job made goes by its own means if it can; the sandbox is stopped in any case.
            let destroyed = step("destroy after the failure", || one("destroy", job, sandbox));
            if let Err(error) = destroyed {
                eprintln_line(&format!("try: {error:#}"));
            }
        }
        return Err(error);
    }
    Ok(())
}

fn one(name: &str, job: &Job<'_>, sandbox: &Sandbox<'_>) -> Result<()> {
    let done = |outcome: &Outcome, what: &str| {
        eprintln_line(&format!("    {what}: {:.1} s", outcome.seconds));
        outcome.report();
        outcome.must_be(0, what)
    };
    match name {
        "apply" => done(&job.run(&["apply", "--auto-approve"])?, "stack apply"),
        "plan without changes" => {
            let outcome = job.run(&["plan", "--detailed-exitcode", "--fail-on-check"])?;
            eprintln_line(&format!("    stack plan: {:.1} s", outcome.seconds));
            outcome.must_be(0, "stack plan --detailed-exitcode")
        }
        "destroy" => done(&job.run(&["destroy", "--auto-approve"])?, "stack destroy"),
        _ => {
            let left = sandbox.parts.remains()?;
            if !left.is_empty() {
                bail!("left behind: {}", left.join(", "));
            }
            Ok(())
        }
    }
}
