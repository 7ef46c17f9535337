//! A cloud and a folder with a state, in which processes run and are killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stack_core::Value;
use stack_engine::backend::Local;
use stack_engine::backend::key::KeyInputs;
use stack_engine::store::Store;
use stack_state::{Object, State};
use stack_testkit::cloud::{CloudProcess, Planned, SOCKET_VARIABLE, World};

use crate::ROLE;
use crate::apply::{CONFIGURATION, NOTHING, Role, STATE};

/// How long a process may run.
const LIMIT: Duration = Duration::from_secs(180);

/// Labs that work side by side. Most of their time they wait, for a new object to be seen or before another try.
const LABS: usize = 20;

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Applied,
    NothingToDo,
    Failed(String),
    Killed,
}

/// A state and a cloud as they were at some time.
#[derive(Clone)]
pub(crate) struct Copied {
    files: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) world: World,
}

impl Copied {
    /// Nothing applied yet, and this cloud.
    pub(crate) fn fresh(world: World) -> Self {
        Self {
            files: Vec::new(),
            world,
        }
    }
}

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) cloud: CloudProcess,
}

impl Lab {
    pub(crate) fn new() -> Self {
        // Syncs cost nothing in memory, and a process that is killed loses no page of the kernel's anyway.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ROLE, "cloud");
        let cloud = CloudProcess::start(command, folder.path().join("cloud")).unwrap();
        Self { folder, cloud }
    }

    fn state_folder(&self) -> PathBuf {
        self.folder.path().join(STATE)
    }

    /// The state as the next command would find it; `None` if nothing was ever recorded.
    pub(crate) fn state(&self) -> Option<State> {
        let local = Local::new(&self.state_folder(), "default");
        Store::read(&local, Arc::new(KeyInputs::default())).unwrap()
    }

    pub(crate) fn copy(&mut self) -> Copied {
        let mut files = Vec::new();
        let folder = self.state_folder().join("default");
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
        let relative = |path: PathBuf| path.strip_prefix(self.folder.path()).unwrap().to_owned();
        Copied {
            files: files
                .into_iter()
                .map(|(path, bytes)| (relative(path), bytes))
                .collect(),
            world: self.cloud.export().unwrap(),
        }
    }

    pub(crate) fn put(&mut self, copied: &Copied, configuration: &str) {
        drop(fs::remove_dir_all(self.state_folder()));
        fs::create_dir_all(self.state_folder().join("default")).unwrap();
        for (path, bytes) in &copied.files {
            fs::write(self.folder.path().join(path), bytes).unwrap();
        }
        self.configure(configuration);
        self.cloud.import(&copied.world).unwrap();
    }

    /// What the next process reads.
    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.folder.path().join(CONFIGURATION), configuration).unwrap();
    }

    fn start(&self, role: Role) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .arg(self.folder.path())
            .env(ROLE, role.name())
            .env(SOCKET_VARIABLE, self.cloud.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a process; it is killed at the point `stop`, and its calls meet the faults.
    pub(crate) fn run(&mut self, role: Role, stop: Option<&str>, faults: Vec<Planned>) -> Ended {
        self.cloud.begin(stop, faults).unwrap();
        let mut child = self.start(role);
        let end = Instant::now() + LIMIT;
        let mut killed = false;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "a process does not end; stop {stop:?}");
            if stop.is_none() {
                std::thread::sleep(Duration::from_millis(4));
            } else if self.cloud.await_stop(Duration::from_millis(20)).unwrap() {
                child.kill().unwrap();
                killed = true;
                break;
            }
        }
        let output = child.wait_with_output().unwrap();
        self.cloud.abandon().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            None if killed => Ended::Killed,
            Some(0) => Ended::Applied,
            Some(code) if code == i32::from(NOTHING) => Ended::NothingToDo,
            _ => Ended::Failed(text),
        }
    }

    /// What the state holds and waits for, and what there is in the cloud; equal where only ids and tokens differ.
    pub(crate) fn situation(&mut self) -> String {
        let mut out = Vec::new();
        if let Some(state) = self.state() {
            for (address, deposed, object) in state.objects() {
                out.push(format!("{address} {} {:?}", deposed.is_some(), object.status));
            }
            for pending in state.pending.values() {
                let begin = &pending.begin;
                out.push(format!(
                    "{:?} {} {}",
                    begin.action, begin.address, pending.partial
                ));
            }
        }
        out.sort();
        let mut names: Vec<String> = self
            .cloud
            .export()
            .unwrap()
            .objects
            .into_values()
            .map(|o| o.name)
            .collect();
        names.sort();
        format!("{out:?} {names:?}")
    }

    /// Every object of the cloud is in the state and the other way round, but for those that are nobody's; each create
    /// token made one object; and nothing is pending or deposed.
    pub(crate) fn check(&mut self, foreign: &[&str]) -> Result<(), String> {
        let state = self.state();
        let world = self.cloud.export().unwrap();
        let objects = || state.iter().flat_map(State::objects);
        if let Some((address, _, _)) = objects().find(|(_, deposed, _)| deposed.is_some()) {
            return Err(format!("{address} is deposed"));
        }
        let pending = state.iter().flat_map(|s| s.pending.values()).next();
        if let Some(pending) = pending {
            return Err(format!("an operation on {} is pending", pending.begin.address));
        }
        let recorded: BTreeSet<String> = objects().filter_map(|(a, _, o)| key(&a.ty, o)).collect();
        let real: BTreeSet<String> = world
            .objects
            .values()
            .filter(|object| !foreign.contains(&object.name.as_str()))
            .map(|object| match (&object.owner, &object.inside) {
                (Some(_), _) => object.id.clone(),
                (None, None) => object.name.clone(),
                (None, Some(inside)) => format!("{inside}{}", object.name),
            })
            .collect();
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
            a.difference(b).cloned().collect()
        };
        let (lost, invented) = (only(&real, &recorded), only(&recorded, &real));
        if !lost.is_empty() || !invented.is_empty() {
            return Err(format!(
                "the state does not know {lost:?}, and the cloud does not have {invented:?}"
            ));
        }
        let missing = foreign
            .iter()
            .find(|name| !world.objects.values().any(|object| object.name == **name));
        if let Some(name) = missing {
            return Err(format!("{name}, which is nobody's, is gone"));
        }
        let doubles = world.doubles();
        if doubles.is_empty() {
            Ok(())
        } else {
            Err(format!("made more than once: {doubles:?}"))
        }
    }
}

/// What the cloud knows a recorded object by.
fn key(ty: &str, object: &Object) -> Option<String> {
    let text = |name: &str| {
        let value = object.attributes.attribute(name);
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    match ty {
        "cloud_network" | "cloud_server" => Some(text("id")),
        "cloud_record" => Some(text("name")),
        "guest_file" => {
            let server = object.identity.attribute("server").and_then(Value::as_str);
            Some(format!("{}{}", server.unwrap_or_default(), text("path")))
        }
        _ => None,
    }
}

/// Does all of the work, in as many labs as there is work for; every failure is reported, with what it was about.
pub(crate) fn everywhere<T: Sync>(work: &[T], visit: impl Fn(&mut Lab, &T) -> Result<(), String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LABS.min(work.len()) {
            scope.spawn(|| {
                let mut lab = Lab::new();
                while let Some(one) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(failure) = visit(&mut lab, one) {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} failed:\n{}",
        failures.len(),
        work.len(),
        failures.join("\n")
    );
}
