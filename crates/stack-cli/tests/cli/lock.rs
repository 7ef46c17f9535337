//! Many real processes and one state.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::environment::Environment;

/// Writes a count past the test harness, on a line of its own, for the report of `cargo xtask test`.
macro_rules! told {
    ($($text:tt)*) => {
        drop(writeln!(std::io::stdout(), "\ncounted: {}", format_args!($($text)*)))
    };
}

const APPLIES: usize = 12;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(300);

const ONE: &str = r#"
variable "text" {
  default = "none"
}
resource "stack_data" "a" {
  input = var.text
}
"#;

fn serial(environment: &Environment) -> u64 {
    let text = std::fs::read_to_string(environment.path(".stack/default/state.json")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"serial\": "))
        .unwrap();
    line.trim_end_matches(',').parse().unwrap()
}

fn end(mut child: Child) -> (i32, String) {
    drop(child.stdin.take());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LIMIT, "an apply did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), text)
}

fn all_at_once(environment: &Environment, options: &[&str]) -> Vec<(i32, String)> {
    let start = |i: usize| {
        let text = format!("text={i}-{}", options.len());
        environment.start(&[&["apply", "--auto-approve", "--var", &text], options].concat())
    };
    let children: Vec<Child> = (0..APPLIES).map(start).collect();
    children.into_iter().map(end).collect()
}

#[test]
fn of_many_applies_one_writes_at_a_time_and_nothing_is_lost() {
    let environment = Environment::with(ONE);
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let before = serial(&environment);
    let ended = all_at_once(&environment, &[]);
    let done = ended.iter().filter(|(code, _)| *code == 0).count();
    for (code, text) in &ended {
        let told = text.contains("STK0503") && text.contains("ocked");
        assert!(*code == 0 || (*code == 5 && told), "{code}: {text}");
    }
    assert!(done >= 1, "nobody had the lock");
    assert_eq!(serial(&environment), before + done as u64);

    let before = serial(&environment);
    let ended = all_at_once(&environment, &["--lock-timeout", "5m"]);
    for (code, text) in &ended {
        assert_eq!(*code, 0, "{text}");
    }
    assert_eq!(serial(&environment), before + APPLIES as u64);
    told!("applies at once: {done} of {APPLIES} without waiting, {APPLIES} of {APPLIES} in turn");
    assert_eq!(environment.run(&["state", "list"]).out, "stack_data.a\n");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .unwrap();
    assert!(status.success());
}

fn is_stopped(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:\tT"))
}

fn journal_length(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_name().to_string_lossy().starts_with("journal-"))
        .filter_map(|e| Some(e.metadata().ok()?.len()))
        .max()
        .unwrap_or(0)
}

/// A chain, so that every object is a write of its own.
fn chain(length: usize) -> String {
    let first = "variable \"text\" {\n  default = \"none\"\n}\nresource \"stack_data\" \"r0\" {\n  input = var.text\n}\n";
    let link = |i: usize| {
        format!(
            "resource \"stack_data\" \"r{i}\" {{\n  input = stack_data.r{}.output\n}}\n",
            i - 1
        )
    };
    (1..length).fold(first.to_owned(), |text, i| text + &link(i))
}

#[test]
fn a_stopped_holder_that_is_superseded_and_continued_writes_nothing() {
    const LENGTH: usize = 60;
    let environment = Environment::with(&chain(LENGTH));
    assert_eq!(environment.run(&["apply", "--auto-approve"]).code, 0);
    let folder = environment.path(".stack/default");
    let (mut takeovers, mut refused) = (0, 0);
    // Bytes of the journal after which the holder is stopped: before its first write, and after more and more of them.
    for (round, wanted) in (0..10).map(|i| i * 3000).enumerate() {
        let text = format!("text=first-{round}");
        let holder = environment.start(&["apply", "--auto-approve", "--parallelism", "1", "--var", &text]);
        let start = Instant::now();
        let lock = folder.join("lock");
        let pid = format!("\"pid\":{},", holder.id());
        let mut stopped = false;
        while start.elapsed() < LIMIT {
            let has_lock = std::fs::read_to_string(&lock).is_ok_and(|text| text.contains(&pid));
            if has_lock && journal_length(&folder) >= wanted {
                signal(&holder, "STOP");
                stopped = true;
                break;
            }
            // Too quick to be caught: it has ended.
            let status = std::fs::read_to_string(format!("/proc/{}/status", holder.id())).unwrap_or_default();
            if status.lines().any(|line| line.starts_with("State:\tZ")) {
                break;
            }
        }
        while stopped && !is_stopped(&holder) && start.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !stopped {
            assert_eq!(end(holder).0, 0);
            continue;
        }
        let unlocked = environment.run(&["force-unlock", "--auto-approve"]);
        assert_eq!(unlocked.code, 0, "{}", unlocked.all());
        let text = format!("text=second-{round}");
        let second = environment.run(&["apply", "--auto-approve", "--var", &text]);
        assert_eq!(second.code, 0, "{}", second.all());
        let before = environment.run_unmasked(&["state", "pull"]);
        signal(&holder, "CONT");
        let (code, told) = end(holder);
        takeovers += 1;
        if code != 0 {
            refused += 1;
            assert!(told.contains("taken over"), "{code}: {told}");
        }
        assert_eq!(
            environment.run_unmasked(&["state", "pull"]),
            before,
            "round {round}: {code}: {told}"
        );
        let plan = environment.run(&["plan", "--detailed-exitcode", "--var", &text]);
        assert_eq!(plan.code, 0, "{}", plan.all());
    }
    told!("lock takeovers, stopped processes: {takeovers}, of which {refused} had something left to write");
    assert!(
        takeovers >= 5 && refused >= 4,
        "{takeovers} takeovers, {refused} refused"
    );
}
