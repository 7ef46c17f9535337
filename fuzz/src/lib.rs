//! Throws changed inputs at everything that reads a text or a file. Nothing may panic, exhaust the stack or run for ever;
//! see the README beside.

mod corpus;
mod mutate;
mod targets;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

pub use targets::{TARGETS, Target};

/// Stack of the thread that runs a target: less than the program gives to the thread that works.
const STACK: usize = 16 << 20;

/// When a campaign ends.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// After so many inputs.
    Cases(usize),
    /// After this time.
    Time(Duration),
}

/// What a campaign did.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Inputs that were tried, those of the corpus included.
    pub cases: usize,
    /// The input that took longest, in seconds.
    pub longest: f64,
    /// Time of the whole, in seconds.
    pub seconds: f64,
}

/// Where the input is kept that is being tried, so that it is there after a crash.
pub fn input_file(target: &Target) -> PathBuf {
    std::env::temp_dir().join(format!("stack-fuzz-{}-{}", target.name, std::process::id()))
}

/// Tries the corpus of a target and then changed inputs. The same seed tries the same inputs.
///
/// # Errors
/// An input made the target panic (the message names the file that holds it), or the corpus cannot be read. One that
/// exhausts the stack ends the process, and leaves the file behind.
pub fn campaign(target: &'static Target, seed: u64, budget: Budget) -> Result<Campaign> {
    let corpus = (target.corpus)()?;
    anyhow::ensure!(!corpus.is_empty(), "{} has no corpus", target.name);
    let kept = input_file(target);
    let work = move || -> Result<Campaign> {
        let started = Instant::now();
        let mut random = mutate::Random::new(seed);
        let mut campaign = Campaign {
            cases: 0,
            longest: 0.0,
            seconds: 0.0,
        };
        loop {
            let done = match budget {
                Budget::Cases(cases) => campaign.cases >= cases.max(corpus.len()),
                Budget::Time(time) => started.elapsed() >= time,
            };
            if done {
                break;
            }
            let input = match corpus.get(campaign.cases) {
                Some(seed) => seed.clone(),
                None => mutate::changed(&corpus, target.words, &mut random),
            };
            std::fs::write(&kept, &input).context("the input cannot be kept")?;
            let began = Instant::now();
            let run = std::panic::catch_unwind(|| (target.run)(&input));
            campaign.longest = campaign.longest.max(began.elapsed().as_secs_f64());
            if run.is_err() {
                anyhow::bail!("{} panics at {}", target.name, kept.display());
            }
            campaign.cases += 1;
        }
        campaign.seconds = started.elapsed().as_secs_f64();
        std::fs::remove_file(&kept).context("the input cannot be removed")?;
        Ok(campaign)
    };
    run_in_thread(work)?
}

/// Tries one input.
///
/// # Errors
/// The target panics.
pub fn reproduce(target: &'static Target, input: Vec<u8>) -> Result<()> {
    run_in_thread(move || (target.run)(&input))
}

fn run_in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().map_err(|_| anyhow::anyhow!("the target panicked"))
}
