//! `cargo xtask test`: everything that proves the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::run::{Stream, Workspace, eprintln_line, must, output, println_line, watch};
use crate::sandbox::{Sandbox, reserve, state_key};
use crate::tidy;

/// Options of `test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out what needs the sandbox (and root).
    #[arg(long)]
    fast: bool,
    /// Leave the sandbox running.
    #[arg(long)]
    keep: bool,
}

/// Client of RabbitMQ that is not ours, from PyPI.
const PIKA: &str = "pika==1.3.2";

/// Debian packages with the programs of other hands that tests use, each with the program it is wanted for.
const PACKAGES: [(&str, &str); 5] = [
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("ssh", "openssh-client"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("python3", "python3-venv"),
];

/// How many tests passed and failed.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Count {
    /// A step that is one test by itself.
    fn one(passed: bool) -> Self {
        Self {
            passed: usize::from(passed),
            failed: usize::from(!passed),
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs all steps, also after a failed one, and reports; the last line is the sum. Gives whether all passed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> bool {
    let mut total = Count::default();
    let (mut report, mut counted) = (Vec::new(), Vec::new());
    let mut step = |name: &'static str, work: &mut dyn FnMut() -> Result<Count>| {
        eprintln_line(&format!("==> {name}"));
        let started = Instant::now();
        let count = work().unwrap_or_else(|error| {
            eprintln_line(&format!("{name}: {error:#}"));
            Count::one(false)
        });
        total.add(count);
        report.push((name, count, started.elapsed().as_secs_f64()));
    };
    step("tidy", &mut || tidy::run(workspace).map(|()| Count::one(true)));
    step("format", &mut || {
        must(&mut workspace.cargo(&["fmt", "--all", "--check"])).map(|()| Count::one(true))
    });
    step("programs of other hands", &mut || {
        install_clients().map(|()| Count::default())
    });
    step("build", &mut || {
        workspace
            .build(&["stack-cli", "stack-sandbox"])
            .map(|()| Count::default())
    });
    step("unit and property tests", &mut || {
        let words = ["test", "--workspace", "--no-fail-fast"];
        tests(&mut workspace.cargo(&words), &mut counted)
    });
    step("plan cases of the language", &mut || plan_cases(workspace));
    if !options.fast {
        step("end to end", &mut || {
            end_to_end(workspace, options.keep, &mut counted)
        });
    }
    println_line("");
    for what in &counted {
        println_line(what);
    }
    for (name, count, seconds) in &report {
        println_line(&format!(
            "{name:<28} {:>5} passed {:>3} failed {seconds:>8.1} s",
            count.passed, count.failed
        ));
    }
    println_line(&format!("{} passed, {} failed", total.passed, total.failed));
    total.failed == 0
}

/// Runs a test command of cargo and sums the results of its programs. `counted` takes what its tests say they counted.
fn tests(command: &mut Command, counted: &mut Vec<String>) -> Result<Count> {
    let mut count = Count::default();
    let code = watch(command, Stream::Out, |line| {
        count.add(result_line(line).unwrap_or_default());
        counted.extend(line.strip_prefix(COUNTED).map(str::to_owned));
    })?;
    if code != Some(0) && count.failed == 0 {
        bail!("the tests ended with {code:?} although no test failed: something did not compile, or crashed");
    }
    Ok(count)
}

/// What a line of a test begins with that says how often it tried something: `counted: kill points, first apply: 180`.
const COUNTED: &str = "counted: ";

/// Numbers of a line like `test result: ok. 12 passed; 0 failed; 1 ignored; ...`.
fn result_line(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        rest.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

/// The recorded plan cases against the built program. Those that pass count; how many must is written down, and fewer
/// are failures.
fn plan_cases(workspace: &Workspace) -> Result<Count> {
    let folder = workspace.root.join("tests/language");
    let floor = floor(&fs::read_to_string(folder.join("ratchet.toml"))?)?;
    let mut command = workspace.command("python3");
    command
        .arg(folder.join("run_plans.py"))
        .arg("--tool")
        .arg(workspace.program("stack"))
        .arg(folder.join("plans-dev"))
        .arg(folder.join("plans-more"));
    let mut passed: Option<usize> = None;
    watch(&mut command, Stream::Out, |line| {
        if let Some((number, _)) = line
            .strip_suffix(" failed")
            .and_then(|rest| rest.split_once(" passed, "))
        {
            passed = number.parse().ok();
        }
    })?;
    let passed = passed.context("the runner of the plan cases gave no result")?;
    eprintln_line(&format!("{passed} plan cases answer as recorded; {floor} must"));
    if passed > floor {
        eprintln_line("more pass than tests/language/ratchet.toml says: raise `plans` there");
    }
    Ok(Count {
        passed,
        failed: floor.saturating_sub(passed),
    })
}

/// `plans = N` of the ratchet.
fn floor(text: &str) -> Result<usize> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("plans = "))
        .context("tests/language/ratchet.toml has no `plans`")?;
    value
        .trim()
        .parse()
        .context("`plans` in tests/language/ratchet.toml is no number")
}

/// The whole job on the sandbox, proved by programs that are not ours.
fn end_to_end(workspace: &Workspace, keep: bool, counted: &mut Vec<String>) -> Result<Count> {
    let python = python(workspace)?;
    let _reserved = reserve(workspace)?;
    let key = state_key(workspace, "e2e")?;
    let count = Sandbox::fresh(workspace).and_then(|sandbox| {
        let mut count = job(workspace, &sandbox, &python, &key, counted)?;
        count.add(on_the_cluster(&sandbox, counted)?);
        Ok(count)
    });
    if !keep {
        Sandbox::down(workspace)?;
        fs::remove_file(&key)?;
    }
    count
}

fn job(
    workspace: &Workspace,
    sandbox: &Sandbox<'_>,
    python: &Path,
    key: &Path,
    counted: &mut Vec<String>,
) -> Result<Count> {
    let mut command = sandbox.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))?;
    command.args(["test", "--package", "stack-e2e", "--", "--ignored"]);
    command
        .env("STACK_PROGRAM", workspace.program("stack"))
        .env("E2E_PYTHON", python)
        .env("STACK_STATE_KEY_FILE", key);
    tests(&mut command, counted)
}

/// The providers that have no fake, on the sandbox's cluster.
fn on_the_cluster(sandbox: &Sandbox<'_>, counted: &mut Vec<String>) -> Result<Count> {
    let mut command = sandbox.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))?;
    command.args(["test", "--no-fail-fast", "--lib"]);
    for name in ["kubernetes", "helm", "probe"] {
        command.args(["--package", &format!("stack-provider-{name}")]);
    }
    command.args(["--", "--ignored"]);
    command.env("STACK_TEST_KUBECONFIG", sandbox.parts.address("KUBECONFIG")?);
    command.env("STACK_TEST_HELM", sandbox.parts.address("HELM")?);
    tests(&mut command, counted)
}

/// Installs the clients that are missing.
fn install_clients() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, package)| !installed(program, package))
        .map(|(_, p)| *p)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln_line(&format!("installing the packages {}", missing.join(", ")));
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y", "--no-install-recommends"]);
        // Only the distribution's own list: others may not answer, and hang.
        for list in ["sources.list.d/debian.sources", "sources.list.d/ubuntu.sources"] {
            if Path::new("/etc/apt").join(list).is_file() {
                command.args([
                    "-o",
                    &format!("Dir::Etc::SourceList={list}"),
                    "-o",
                    "Dir::Etc::SourceParts=/dev/null",
                ]);
            }
        }
        command
    };
    must(apt().arg("update"))
        .and_then(|()| must(apt().arg("install").args(&missing)))
        .with_context(|| format!("install these packages yourself: {}", missing.join(" ")))
}

/// Whether a client is there. Python counts only with the module that makes environments, which Debian packs apart.
fn installed(program: &str, package: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).is_file();
    }
    let mut command = Command::new(program);
    match package {
        "python3-venv" => command.args(["-c", "import ensurepip, venv"]),
        "openssh-client" => command.arg("-V"),
        _ if program == "openssl" => command.arg("version"),
        _ => command.arg("--version"),
    };
    output(&mut command).is_ok()
}

/// A Python that has pika, in an environment of its own that stays.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.cache.join("python").join(PIKA.replace("==", "-"));
    let python = folder.join("bin/python3");
    let has_pika = || output(Command::new(&python).args(["-c", "import pika"])).is_ok();
    if !has_pika() {
        eprintln_line(&format!("installing {PIKA}"));
        must(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        let arguments = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PIKA,
        ];
        must(Command::new(&python).args(arguments))
            .with_context(|| format!("install {PIKA} into {}", folder.display()))?;
        if !has_pika() {
            bail!(
                "{PIKA} was installed into {} but cannot be imported",
                folder.display()
            );
        }
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let count =
            result_line("test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out")
                .unwrap();
        assert_eq!((count.passed, count.failed), (12, 3));
        assert!(result_line("test a ... ok").is_none());
    }

    #[test]
    fn the_ratchet_is_read() {
        assert_eq!(floor("# plans\nvalues = 3\nplans = 41\n").unwrap(), 41);
        assert!(floor("values = 3\n").is_err());
    }
}
