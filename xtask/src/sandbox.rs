//! The sandbox as the developer commands use it: started, proved empty, stopped.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::run::{Stream, Workspace, eprintln_line, step, watch};

/// Waits until no other run uses the sandbox, and keeps it reserved as long as the file lives. The kernel releases it
/// when this process dies.
pub(crate) fn reserve(workspace: &Workspace) -> Result<File> {
    fs::create_dir_all(&workspace.cache)?;
    let path = workspace.cache.join("sandbox-in-use");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln_line("another run uses the sandbox: waiting for its end");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("reserving the sandbox"),
    }
    Ok(file)
}

/// A running sandbox.
pub(crate) struct Sandbox<'w> {
    workspace: &'w Workspace,
    /// Its parts, as `stack-sandbox up` names them.
    pub(crate) parts: stack_e2e::Sandbox,
}

impl<'w> Sandbox<'w> {
    /// Starts what does not run yet.
    pub(crate) fn up(workspace: &'w Workspace) -> Result<Self> {
        step("starting the sandbox", || {
            let mut addresses = BTreeMap::new();
            let mut command = workspace.command(workspace.program("stack-sandbox"));
            let code = watch(command.arg("up"), Stream::Out, |line| {
                if let Some((name, value)) = line.split_once('=') {
                    addresses.insert(name.to_owned(), value.to_owned());
                }
            })?;
            if code != Some(0) {
                bail!("`stack-sandbox up` ended with {code:?}; `stack-sandbox status` explains");
            }
            Ok(Self {
                workspace,
                parts: stack_e2e::Sandbox::new(addresses),
            })
        })
    }

    /// Stops everything.
    pub(crate) fn down(workspace: &Workspace) -> Result<()> {
        step("stopping the sandbox", || {
            crate::run::must(workspace.command(workspace.program("stack-sandbox")).arg("down"))
        })
    }

    /// A sandbox in which nothing is left of earlier runs.
    pub(crate) fn fresh(workspace: &'w Workspace) -> Result<Self> {
        let sandbox = Self::up(workspace)?;
        let left = sandbox.parts.remains()?;
        if left.is_empty() {
            return Ok(sandbox);
        }
        eprintln_line(&format!(
            "an earlier run has left {}: starting over",
            left.join(", ")
        ));
        Self::down(workspace)?;
        Self::up(workspace)
    }

    /// A command that finds the parts of the sandbox, and its helm and kubectl first on PATH.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = self.workspace.command(program);
        command.envs(self.parts.variables()?);
        Ok(command)
    }
}

/// A new key for the secrets of a state, in a file that only this user reads.
pub(crate) fn state_key(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let folder = workspace.cache.join("keys");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(STANDARD.encode(key).as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
