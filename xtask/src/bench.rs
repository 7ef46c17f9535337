//! `cargo xtask bench`: the engine beside Terraform on the same configurations.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::run::{Workspace, eprintln_line, must, output, println_line};

/// Options of `bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Measure an optimised build. It takes minutes to make.
    #[arg(long)]
    release: bool,
    /// Numbers of resources to measure with.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,20000,100000")]
    sizes: Vec<usize>,
    /// Largest number to give Terraform, which needs minutes for thousands.
    #[arg(long, default_value_t = 5000)]
    terraform_up_to: usize,
}

/// A length of the chains: enough for waves, short enough for parallel work.
const CHAIN: usize = 10;

/// A tool under measurement.
struct Tool {
    program: PathBuf,
    /// Type of the resource that does nothing but hold a value.
    resource: &'static str,
    extension: &'static str,
    init: bool,
}

/// Measures and prints a table in Markdown.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let stack = build(workspace, options.release)?;
    let mut tools = vec![Tool {
        program: stack,
        resource: "stack_data",
        extension: "hcl",
        init: false,
    }];
    match version("terraform") {
        Some(version) => {
            eprintln_line(&format!("beside it: {version}"));
            tools.push(Tool {
                program: "terraform".into(),
                resource: "terraform_data",
                extension: "tf",
                init: true,
            });
        }
        None => eprintln_line("terraform is not on PATH: nothing to compare with"),
    }
    let folder = workspace.cache.join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kind = if options.release { "release" } else { "development" };
    println_line(&format!(
        "{cores} cores, {kind} build of stack, seconds (ratio to stack)\n"
    ));
    println_line("| what | stack | terraform | peak memory of stack |\n|---|---|---|---|");
    let start: Vec<Run> = tools
        .iter()
        .map(|tool| best(5, &folder, tool, &["version"]))
        .collect::<Result<_>>()?;
    row("`version`", &start, None);
    row(
        "`validate` of the main plan",
        &[validate(workspace, &tools[0])?],
        None,
    );
    for size in &options.sizes {
        let mut applies = Vec::new();
        let mut plans = Vec::new();
        for tool in tools
            .iter()
            .filter(|tool| !tool.init || *size <= options.terraform_up_to)
        {
            let at = folder.join(format!("{}-{size}", tool.resource));
            write(&at, tool, *size)?;
            if tool.init {
                must(command(&at, tool, &["init", "-input=false"]).stdout(Stdio::null()))?;
            }
            let approve = if tool.init {
                "-auto-approve"
            } else {
                "--auto-approve"
            };
            let detailed = if tool.init {
                "-detailed-exitcode"
            } else {
                "--detailed-exitcode"
            };
            applies.push(measure(&at, tool, &["apply", approve])?);
            plans.push(best(3, &at, tool, &["plan", detailed])?);
        }
        row(&format!("apply of {size}"), &applies, Some(*size));
        row(&format!("plan without changes of {size}"), &plans, Some(*size));
    }
    append(workspace, &folder, options.release)?;
    fs::remove_dir_all(&folder).context("removing the generated configurations")
}

/// One durable record alone beside a bare append and sync of the same bytes, in one run of one program.
fn append(workspace: &Workspace, folder: &Path, release: bool) -> Result<()> {
    let mut words = vec![
        "run",
        "--quiet",
        "--package",
        "stack-engine",
        "--example",
        "append",
    ];
    words.extend(release.then_some("--release"));
    words.push("--");
    let text = output(workspace.cargo(&words).arg(folder).arg("500"))?;
    let numbers: Vec<&str> = text.split_whitespace().collect();
    let [stored, bare, ratio] = numbers[..] else {
        bail!("the measurement of one record printed {text:?}");
    };
    println_line(&format!(
        "\nOne durable record: {stored} us; a bare append and sync of the same bytes: {bare} us; ratio {ratio}."
    ));
    Ok(())
}

fn build(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    if !release {
        workspace.build(&["stack-cli"])?;
        return Ok(workspace.program("stack"));
    }
    must(&mut workspace.cargo(&["build", "--release", "--package", "stack-cli"]))?;
    Ok(workspace.target.join("release/stack"))
}

fn version(program: &str) -> Option<String> {
    let text = output(Command::new(program).arg("version")).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Writes `size` resources in chains, each holding the value of the one before it.
fn write(folder: &Path, tool: &Tool, size: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    let resource = tool.resource;
    let mut text = String::new();
    for number in 0..size {
        let input = if number % CHAIN == 0 {
            format!("\"{number}\"")
        } else {
            format!("{resource}.r{}.output", number - 1)
        };
        writeln!(
            text,
            "resource \"{resource}\" \"r{number}\" {{\n  input = {input}\n}}"
        )?;
    }
    let file = folder.join(format!("main.{}", tool.extension));
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

/// What one run took.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    /// Largest resident size in KiB.
    memory: u64,
}

fn command(folder: &Path, tool: &Tool, words: &[&str]) -> Command {
    let mut command = Command::new(&tool.program);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    // No call home.
    command
        .env("CHECKPOINT_DISABLE", "1")
        .env("NO_COLOR", "1")
        .env_remove("STACK_ENV");
    command
}

/// Runs once. The kernel's peak of the resident size is read as long as the program lives.
fn measure(folder: &Path, tool: &Tool, words: &[&str]) -> Result<Run> {
    fs::create_dir_all(folder)?;
    let log = folder.join("output.log");
    let file = fs::File::create(&log)?;
    let started = Instant::now();
    let mut child = command(folder, tool, words)
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", tool.program.display()))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        memory = memory.max(peak(&fs::read_to_string(&status_file).unwrap_or_default()));
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!(
            "{} {} ended with {status}; see {}",
            tool.program.display(),
            words.join(" "),
            log.display()
        );
    }
    Ok(Run { seconds, memory })
}

/// `VmHWM` of a process's status, in KiB (proc_pid_status(5)).
fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

/// The fastest of several runs: what disturbs a run only ever makes it slower.
fn best(times: usize, folder: &Path, tool: &Tool, words: &[&str]) -> Result<Run> {
    let mut best = measure(folder, tool, words)?;
    for _ in 1..times {
        let run = measure(folder, tool, words)?;
        if run.seconds < best.seconds {
            best = run;
        }
    }
    Ok(best)
}

/// Checks the plan that the tool exists for.
fn validate(workspace: &Workspace, stack: &Tool) -> Result<Run> {
    let copy = workspace.cache.join("bench/plans");
    must(
        Command::new("cp")
            .arg("-r")
            .arg(workspace.root.join("plans"))
            .arg(&copy),
    )?;
    best(5, &copy.join("rabbitmq-egress"), stack, &["validate"])
}

/// Prints a row. With `each`, the number of resources, the time for one of them is told too: it stays the same where the
/// whole is linear.
fn row(what: &str, runs: &[Run], each: Option<usize>) {
    let Some(stack) = runs.first() else { return };
    let peer = runs.get(1).map_or_else(String::new, |run| {
        format!("{:.2} ({:.1} x)", run.seconds, run.seconds / stack.seconds)
    });
    let each = each.map_or_else(String::new, |number| {
        format!(", {:.0} µs each", stack.seconds * 1e6 / number as f64)
    });
    println_line(&format!(
        "| {what} | {:.3}{each} | {peer} | {} MiB |",
        stack.seconds,
        stack.memory / 1024
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kib() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t   1234 kB\nVmRSS:\t 1 kB\n"), 1234);
        assert_eq!(peak(""), 0);
    }
}
