//! Processes that outlive the program: started in a session of their own, recorded, stopped by record.
//!
//! A record holds the pid and the time the process started, as the kernel tells it: a pid that another
//! process has got since is never signalled. Every process also carries a mark in its environment, by which it
//! is found where its start was cut off before the record was written.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::command::tail;
use crate::home::Home;

/// The variable by which a process tells which record it belongs to.
const MARK: &str = "STACK_SANDBOX_PROCESS";

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(25);

/// A process to start.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
}

impl Service {
    /// A process that will be known by `name` (its record and its log are named after it).
    pub(crate) fn new(name: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.into(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Starts it in a session of its own, with its output in its log. What ran under the name before is stopped.
    pub(crate) async fn start(self, home: &Home) -> anyhow::Result<Process> {
        stop(home, &self.name, Duration::from_secs(5)).await?;
        std::fs::create_dir_all(home.logs())?;
        std::fs::create_dir_all(home.run())?;
        let log = home.logs().join(format!("{}.log", self.name));
        let output = File::create(&log).with_context(|| format!("cannot write the log {}", log.display()))?;
        let mut command = std::process::Command::new("setsid");
        command
            .arg(&self.program)
            .args(&self.arguments)
            .envs(&self.environment)
            .env(MARK, record_path(home, &self.name))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.to_string_lossy()))?;
        let pid = i32::try_from(child.id())?;
        let fact = Fact::read(pid).with_context(|| format!("{} ended at once", self.name))?;
        let record = Record {
            pid,
            started: fact.started,
            boot: boot_id(),
            log,
        };
        record.write(home, &self.name)?;
        Ok(Process {
            name: self.name,
            record,
        })
    }
}

/// A process that was started and recorded.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    name: String,
    record: Record,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    pid: i32,
    started: u64,
    boot: String,
    log: PathBuf,
}

impl Record {
    fn write(&self, home: &Home, name: &str) -> anyhow::Result<()> {
        let path = record_path(home, name);
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(&fresh, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn read(home: &Home, name: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(record_path(home, name)).ok()?).ok()
    }

    fn fact(&self) -> Option<Fact> {
        if self.boot != boot_id() {
            return None;
        }
        Fact::read(self.pid).filter(|fact| fact.started == self.started)
    }
}

impl Process {
    /// The process recorded under `name`, if it still runs.
    pub(crate) fn find(home: &Home, name: &str) -> Option<Self> {
        let process = Self {
            name: name.to_owned(),
            record: Record::read(home, name)?,
        };
        process.alive().then_some(process)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.record.pid
    }

    /// Whether it still runs.
    pub(crate) fn alive(&self) -> bool {
        self.record.fact().is_some_and(|fact| !fact.ended)
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        std::fs::read(&self.record.log)
            .map(|text| tail(&String::from_utf8_lossy(&text)))
            .unwrap_or_default()
    }

    /// Waits until `probe` gives true. Fails, with the log's tail, when the process has ended or `limit` has passed;
    /// the last error of `probe` is then the cause.
    pub(crate) async fn ready<F>(&self, limit: Duration, mut probe: impl FnMut() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        let begun = Instant::now();
        loop {
            let answer = probe().await;
            if let Ok(true) = answer {
                return Ok(());
            }
            let why = if !self.alive() {
                "ended before it was ready".to_owned()
            } else if begun.elapsed() > limit {
                format!("is not ready after {} s", limit.as_secs())
            } else {
                tokio::time::sleep(LOOK * 2).await;
                continue;
            };
            let log = self.record.log.display();
            let message = format!("{} {why}; its log ({log}) ends:\n{}", self.name, self.log_tail());
            return Err(match answer {
                Err(cause) => cause.context(message),
                Ok(_) => anyhow::anyhow!(message),
            });
        }
    }
}

/// Stops what runs under `name`: the recorded process, what is left of its session, and what carries its mark.
/// First SIGTERM; after `grace`, SIGKILL. Succeeds when nothing runs.
pub(crate) async fn stop(home: &Home, name: &str, grace: Duration) -> anyhow::Result<()> {
    let path = record_path(home, name);
    let record = Record::read(home, name);
    let leader = record
        .as_ref()
        .filter(|record| record.fact().is_some_and(|fact| !fact.ended));
    if let Some(record) = leader {
        signal(record.pid, record.started, Signal::TERM);
        let begun = Instant::now();
        while record.fact().is_some_and(|fact| !fact.ended) && begun.elapsed() < grace {
            tokio::time::sleep(LOOK).await;
        }
    }
    let begun = Instant::now();
    loop {
        let left = members(record.as_ref(), &path);
        if left.is_empty() {
            break;
        }
        if begun.elapsed() > Duration::from_secs(10) {
            let pids: Vec<i32> = left.iter().map(|fact| fact.pid).collect();
            anyhow::bail!("{name} does not end on SIGKILL; processes {pids:?} are left");
        }
        for fact in &left {
            signal(fact.pid, fact.started, Signal::KILL);
        }
        tokio::time::sleep(LOOK).await;
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Processes that belong to a record: the leader, its session, and bearers of the mark.
fn members(record: Option<&Record>, path: &Path) -> Vec<Fact> {
    // As long as a session has members its id is not given to a new process; if the pid is in use by another
    // process, the session is gone.
    let session = record.filter(|record| {
        record.boot == boot_id() && Fact::read(record.pid).is_none_or(|fact| fact.started == record.started)
    });
    let mut mark = OsString::from(format!("{MARK}="));
    mark.push(path);
    all_processes()
        .filter(|fact| !fact.ended)
        .filter(|fact| {
            session.is_some_and(|record| fact.session == record.pid && fact.started >= record.started)
                || carries(fact.pid, &mark)
        })
        .collect()
}

fn carries(pid: i32, mark: &OsStr) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_encoded_bytes())
    })
}

fn all_processes() -> impl Iterator<Item = Fact> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Fact::read)
}

/// Signals the process that had `pid` and started at `started`, and no other.
fn signal(pid: i32, started: u64, signal: Signal) {
    let Some(id) = Pid::from_raw(pid) else { return };
    // The handle is taken before the look, so that the process looked at is the one that is signalled.
    let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else {
        return;
    };
    if Fact::read(pid).is_some_and(|fact| fact.started == started) {
        // A process that has just ended is what was wanted.
        let _ = pidfd_send_signal(&handle, signal);
    }
}

fn record_path(home: &Home, name: &str) -> PathBuf {
    home.run().join(format!("{name}.process"))
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// What the kernel says about a process (proc(5), `/proc/PID/stat`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    pid: i32,
    session: i32,
    /// Clock ticks after boot.
    started: u64,
    /// Ended, and not yet waited for.
    ended: bool,
}

impl Fact {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name, in parentheses, may itself hold spaces and parentheses.
        let (pid, rest) = stat.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        Some(Self {
            pid: pid.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            ended: matches!(*fields.first()?, "Z" | "X"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home")).unwrap();
        (folder, home)
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "77 (a) b (c) Z 1 77 76 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(
            Fact::parse(stat).unwrap(),
            Fact {
                pid: 77,
                session: 76,
                started: 4242,
                ended: true
            }
        );
    }

    #[tokio::test]
    async fn a_started_process_is_found_and_stopped() {
        let (_folder, home) = home();
        let process = Service::new("sleeper", "sleep")
            .arg("100")
            .start(&home)
            .await
            .unwrap();
        assert_eq!(Process::find(&home, "sleeper").unwrap().pid(), process.pid());
        stop(&home, "sleeper", Duration::from_secs(5)).await.unwrap();
        assert!(!process.alive());
        assert!(Process::find(&home, "sleeper").is_none());
        stop(&home, "sleeper", Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_recycled_pid_is_not_signalled() {
        let (_folder, home) = home();
        let mut other = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        std::fs::create_dir_all(home.run()).unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        let record = Record {
            pid,
            started: 1,
            boot: boot_id(),
            log: PathBuf::new(),
        };
        record.write(&home, "gone").unwrap();
        assert!(Process::find(&home, "gone").is_none());
        stop(&home, "gone", Duration::from_secs(1)).await.unwrap();
        assert!(
            other.try_wait().unwrap().is_none(),
            "the other process was signalled"
        );
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[tokio::test]
    async fn what_ignores_the_first_signal_and_what_a_leader_leaves_behind_are_killed() {
        let (_folder, home) = home();
        let script = "sleep 100 & trap '' TERM; echo on; while :; do sleep 0.05; done";
        let process = Service::new("stubborn", "sh")
            .args(["-c", script])
            .start(&home)
            .await
            .unwrap();
        process
            .ready(Duration::from_secs(10), || async {
                Ok(process.log_tail() == "on")
            })
            .await
            .unwrap();
        stop(&home, "stubborn", Duration::from_millis(100)).await.unwrap();
        assert!(all_processes().all(|fact| fact.ended || fact.session != process.pid()));
    }

    #[tokio::test]
    async fn an_unrecorded_process_is_found_by_its_mark() {
        let (_folder, home) = home();
        let process = Service::new("orphan", "sleep")
            .arg("100")
            .start(&home)
            .await
            .unwrap();
        std::fs::remove_file(record_path(&home, "orphan")).unwrap();
        // A process shows its mark once the program has taken the place of the one that started it.
        for _ in 0..100 {
            stop(&home, "orphan", Duration::from_secs(1)).await.unwrap();
            if !process.alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the process is not found by its mark");
    }

    #[tokio::test]
    async fn a_process_that_ends_before_it_is_ready_shows_its_log() {
        let (_folder, home) = home();
        let script = "sleep 0.1; echo the reason; exit 1";
        let process = Service::new("failing", "sh")
            .args(["-c", script])
            .start(&home)
            .await
            .unwrap();
        let error = process
            .ready(Duration::from_secs(20), || async { Ok(false) })
            .await
            .unwrap_err();
        assert!(error.to_string().contains("the reason"), "{error}");
    }
}
