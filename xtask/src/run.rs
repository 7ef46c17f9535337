//! Runs programs, with the build folder outside the clone.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// The clone and its caches.
pub(crate) struct Workspace {
    /// Root of the clone.
    pub(crate) root: PathBuf,
    /// Where builds go: outside the clone, so that a fresh clone starts warm.
    pub(crate) target: PathBuf,
    /// Everything that stays from one run to the next.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no parent folder")?;
        let cache = match std::env::var_os("XDG_CACHE_HOME") {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder),
            _ => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
        };
        let cache = cache.join("stack");
        Ok(Self {
            root: root.to_owned(),
            target: cache.join("target"),
            cache,
        })
    }

    /// A built program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// A command in the clone with the build folder set.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null());
        command
    }

    /// A cargo command.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments);
        command
    }

    /// Builds programs of the clone; says what and how long.
    pub(crate) fn build(&self, packages: &[&str]) -> Result<()> {
        let mut arguments = vec!["build"];
        for package in packages {
            arguments.extend(["--package", package]);
        }
        step(&format!("building {}", packages.join(", ")), || {
            let mut count = 0_usize;
            let mut said = Instant::now();
            // Cargo names every crate; on a cold machine those are hundreds of lines, so one in a while is shown.
            let code = filter(&mut self.cargo(&arguments), |line| {
                let compiling = line.trim_start().strip_prefix("Compiling ");
                count += usize::from(compiling.is_some());
                match compiling {
                    Some(name) if said.elapsed().as_secs() >= 20 => {
                        said = Instant::now();
                        Some(format!(
                            "    {count} crates compiled or being compiled, now {name}"
                        ))
                    }
                    Some(_) => None,
                    None => Some(line.to_owned()),
                }
            })?;
            if code != Some(0) {
                bail!("cargo ended with {code:?}");
            }
            Ok(())
        })
    }
}

/// Runs a command and shows of its standard error what `choose` makes of every line.
fn filter(command: &mut Command, mut choose: impl FnMut(&str) -> Option<String>) -> Result<Option<i32>> {
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let pipe = child.stderr.take().context("standard error is missing")?;
    for line in BufReader::new(pipe).lines() {
        if let Some(shown) = choose(&line.context("reading the output")?) {
            eprintln_line(&shown);
        }
    }
    Ok(child.wait().context("waiting for the program")?.code())
}

/// Runs a step and says how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln_line(&format!("==> {name}"));
    let started = Instant::now();
    let result = work().with_context(|| format!("{name} failed"))?;
    eprintln_line(&format!("==> {name}: {:.1} s", started.elapsed().as_secs_f64()));
    Ok(result)
}

/// Runs a command that has to succeed.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(())
}

/// One of the two streams a program writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Runs a command, passes one of its streams on and hands every line of it to `see`. Gives the exit code; none where a
/// signal ended the program.
pub(crate) fn watch(command: &mut Command, stream: Stream, mut see: impl FnMut(&str)) -> Result<Option<i32>> {
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Err => command.stderr(Stdio::piped()),
    };
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>);
    let err = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read>);
    let mut pipe = BufReader::new(out.or(err).context("the stream is missing")?);
    let mut bytes = Vec::new();
    while pipe.read_until(b'\n', &mut bytes).context("reading the output")? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches('\n');
        match stream {
            Stream::Out => println_line(line),
            Stream::Err => eprintln_line(line),
        }
        see(line);
        bytes.clear();
    }
    Ok(child.wait().context("waiting for the program")?.code())
}

/// Runs a command and gives what it writes on standard output. Fails with the end of what it writes on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: Vec<&str> = said.lines().rev().take(5).collect();
        let said: Vec<&str> = said.into_iter().rev().collect();
        bail!(
            "{:?} ended with {}: {}",
            command.get_program(),
            output.status,
            said.join("; ")
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{:?} wrote no UTF-8", command.get_program()))
}

#[expect(
    clippy::print_stdout,
    reason = "this is a developer's tool; its output is its purpose"
)]
pub(crate) fn println_line(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "this is a developer's tool; its output is its purpose"
)]
pub(crate) fn eprintln_line(text: &str) {
    eprintln!("{text}");
}
