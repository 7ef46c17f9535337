//! Programs with a limit of time.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A program to run.
pub struct Program {
    command: Command,
    limit: Duration,
    input: Vec<u8>,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// A program with no input and a limit of one minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            limit: Duration::from_secs(60),
            input: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets variables of the environment.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.command.envs(variables);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives standard input, where secrets belong.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets the limit of time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// It cannot be started (the error says what to install), or does not end in time: it is killed then.
    pub fn run(self) -> Result<Said> {
        self.start()?.end()
    }

    /// Runs the program and expects success.
    ///
    /// # Errors
    /// As [`run`](Self::run), or it ends with another code than 0.
    pub fn ok(self) -> Result<String> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let said = self.run()?;
        if said.code != Some(0) {
            bail!("{name} ended with {:?}\n{}{}", said.code, said.out, said.err);
        }
        Ok(said.out)
    }

    /// Starts the program and lets it run.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut self) -> Result<Running> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let out = scratch()?;
        let err = scratch()?;
        let mut input = scratch()?;
        input.write_all(&self.input)?;
        input.rewind()?;
        self.command
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(out.try_clone()?))
            .stderr(Stdio::from(err.try_clone()?));
        let child = self
            .command
            .spawn()
            .with_context(|| format!("cannot start {name}; `cargo xtask test` installs it (packages openssl, curl, openssh-client, python3-venv)"))?;
        Ok(Running {
            name,
            child,
            out,
            err,
            started: Instant::now(),
            limit: self.limit,
        })
    }
}

/// A file without a name, gone with its last handle.
fn scratch() -> Result<File> {
    tempfile::tempfile().context("cannot make a temporary file")
}

/// A program that runs.
pub struct Running {
    name: String,
    child: Child,
    out: File,
    err: File,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// Whether it has ended.
    ///
    /// # Errors
    /// The system does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills it at once (SIGKILL) and gives what it said so far.
    ///
    /// # Errors
    /// It has ended before.
    pub fn kill(mut self) -> Result<Said> {
        if let Some(status) = self.child.try_wait()? {
            let said = self.said(status)?.err;
            bail!(
                "{} ended with {status} before it could be killed\n{said}",
                self.name
            );
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        self.said(status)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn end(mut self) -> Result<Said> {
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return self.said(status);
            }
            if self.started.elapsed() > self.limit {
                self.child.kill()?;
                let status = self.child.wait()?;
                let said = self.said(status)?;
                bail!(
                    "{} did not end within {:?}\n{}{}",
                    self.name,
                    self.limit,
                    said.out,
                    said.err
                );
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn said(&mut self, status: ExitStatus) -> Result<Said> {
        let text = |file: &mut File| -> Result<String> {
            let mut bytes = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Said {
            code: status.code(),
            out: text(&mut self.out)?,
            err: text(&mut self.err)?,
        })
    }
}
