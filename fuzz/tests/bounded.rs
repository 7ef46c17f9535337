//! A short campaign of each target, the same each time.

use stack_fuzz::{Budget, TARGETS, campaign};

/// Inputs of each target, besides its corpus; a debug build tries them in a few seconds.
const CASES: usize = 400;

#[test]
fn no_input_ends_the_program() {
    let threads: Vec<_> = TARGETS
        .iter()
        .map(|target| {
            (
                target.name,
                std::thread::spawn(|| campaign(target, 20, Budget::Cases(CASES))),
            )
        })
        .collect();
    let mut total = 0;
    for (name, thread) in threads {
        let done = thread.join().unwrap().unwrap();
        eprintln!(
            "{name}: {} inputs in {:.1} s, the longest {:.2} s",
            done.cases, done.seconds, done.longest
        );
        total += done.cases;
    }
    // Past the test harness, on a line of its own, for the report of `cargo xtask test`.
    drop(std::io::Write::write_fmt(
        &mut std::io::stdout(),
        format_args!("\ncounted: changed inputs that were read: {total}\n"),
    ));
    assert!(total >= CASES * TARGETS.len());
}
