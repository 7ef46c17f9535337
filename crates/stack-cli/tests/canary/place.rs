//! A place to run the program in, where everything that it shows, writes or hands to its children is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::finder::{Finder, Leak};

/// Names of secrets that are in the environment of the program itself, where its user put them.
const OWN: [&str; 3] = ["STACK_STATE_KEY", "STACK_STATE_PASSPHRASE", "STACK_VAR_"];

/// A working folder, a home and a folder for temporary files, all of them watched.
pub(crate) struct Place {
    root: TempDir,
    /// What is looked for.
    pub(crate) finder: Finder,
    /// Variables of the environment.
    variables: BTreeMap<String, String>,
    /// Files that hold secrets because the test put them there.
    given: BTreeSet<PathBuf>,
    leaks: BTreeSet<Leak>,
    runs: usize,
}

/// What a run showed.
pub(crate) struct Shown {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shown {
    /// Both streams.
    pub(crate) fn all(&self) -> String {
        format!(
            "exit: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.code, self.out, self.err
        )
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["work", "home", "tmp"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self {
            root,
            finder: Finder::default(),
            variables: BTreeMap::new(),
            given: BTreeSet::new(),
            leaks: BTreeSet::new(),
            runs: 0,
        }
    }

    /// A path below the place: `work/main.hcl`, `home/x`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file that holds no secret.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes a file in which secrets may lie: it is an input.
    pub(crate) fn give(&mut self, name: &str, text: &str) {
        self.write(name, text);
        self.given.insert(self.path(name));
    }

    /// Writes a program.
    pub(crate) fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(name), executable).unwrap();
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable out of the environment.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// How many runs were watched.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
        command.args(arguments);
        self.prepare(command).spawn().unwrap()
    }

    fn prepare(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path("work"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "full")
            .envs(&self.variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program and looks at everything it says and does.
    pub(crate) fn run(&mut self, arguments: &[&str]) -> Shown {
        self.run_with_input(arguments, "")
    }

    /// [`Place::run`] with a text on standard input.
    pub(crate) fn run_with_input(&mut self, arguments: &[&str], input: &str) -> Shown {
        let child = self.start(arguments);
        self.watch(&arguments.join(" "), child, input, true)
    }

    /// Runs a command that shows secrets because it is asked to: only its standard output may hold them.
    pub(crate) fn run_on_request(&mut self, arguments: &[&str]) -> Shown {
        let child = self.start(arguments);
        self.watch(&arguments.join(" "), child, "", false)
    }

    /// Runs any command in this place, watched like the program.
    pub(crate) fn run_other(&mut self, command: Command) -> Shown {
        let child = self.prepare(command).spawn().unwrap();
        self.watch("another program", child, "", true)
    }

    /// Waits for a started program and looks at what it did.
    pub(crate) fn watch(&mut self, name: &str, mut child: Child, input: &str, stdout: bool) -> Shown {
        let sampler = Sampler::start(child.id());
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        for (what, bytes) in sampler.stop() {
            self.look(&format!("{what} during `{name}`"), &bytes);
        }
        self.runs += 1;
        if stdout {
            self.look(&format!("standard output of `{name}`"), &output.stdout);
        }
        self.look(&format!("standard error of `{name}`"), &output.stderr);
        Shown {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Looks at bytes from anywhere.
    pub(crate) fn look(&mut self, place: &str, bytes: &[u8]) {
        let found = self.finder.bytes(place, bytes);
        self.leaks.extend(found);
    }

    /// Everything that was found so far, with what lies in the files now.
    pub(crate) fn leaks(&mut self) -> BTreeSet<Leak> {
        let found = self.finder.files(self.root.path(), &self.given);
        self.leaks.extend(found);
        std::mem::take(&mut self.leaks)
    }

    /// Fails if a secret is anywhere.
    pub(crate) fn verify(&mut self) {
        let leaks = self.leaks();
        let lines: Vec<String> = leaks
            .iter()
            .map(|leak| format!("{} {} in {}", leak.canary, leak.form, leak.place))
            .collect();
        assert!(leaks.is_empty(), "{} leaks:\n{}", lines.len(), lines.join("\n"));
    }
}

/// Reads the arguments and environments of a process and its descendants while they run.
struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<(String, Vec<u8>)>>,
}

impl Sampler {
    fn start(root: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !flag.load(Ordering::Relaxed) {
                sample(root, &mut seen);
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self { stop, thread }
    }

    fn stop(self) -> BTreeSet<(String, Vec<u8>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn sample(root: u32, seen: &mut BTreeSet<(String, Vec<u8>)>) {
    let mut todo = vec![root];
    while let Some(pid) = todo.pop() {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        seen.insert(("the arguments of a process".to_owned(), read("cmdline")));
        // A child begins as a copy of its parent, environment and all. Only what runs a program of its own from before
        // its environment is read has one of its own.
        let own = pid == root || is_program(&folder);
        let environment = read("environ");
        for variable in environment.split(|b| *b == 0) {
            let mine = OWN.iter().any(|name| variable.starts_with(name.as_bytes()));
            if !(own && mine) {
                seen.insert(("the environment of a process".to_owned(), variable.to_vec()));
            }
        }
        let tasks = std::fs::read_dir(folder.join("task"))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            todo.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
}

/// Whether a process runs `stack` itself, as between fork and exec.
fn is_program(folder: &Path) -> bool {
    std::fs::read_link(folder.join("exe")).is_ok_and(|exe| exe == Path::new(env!("CARGO_BIN_EXE_stack")))
}
