//! The main job: `plans/rabbitmq-egress` applied to the sandbox by the built `stack`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::run::{Stream, Workspace, eprintln_line, watch};
use crate::sandbox::{Sandbox, state_key};

/// The plan's folder, from the root of the clone.
const PLAN: &str = "plans/rabbitmq-egress";

/// The file with the sandbox's values, the only difference to the real thing.
const VARIABLES: &str = "plans/rabbitmq-egress/sandbox.vars.hcl";

/// The job in one environment of its own.
pub(crate) struct Job<'s> {
    workspace: &'s Workspace,
    sandbox: &'s Sandbox<'s>,
    environment: &'static str,
    /// File that holds the key of the state.
    pub(crate) key: PathBuf,
}

impl<'s> Job<'s> {
    /// The job with an empty state and a new key.
    pub(crate) fn new(
        workspace: &'s Workspace,
        sandbox: &'s Sandbox<'s>,
        environment: &'static str,
    ) -> Result<Self> {
        let job = Self {
            workspace,
            sandbox,
            environment,
            key: state_key(workspace, environment)?,
        };
        job.forget()?;
        Ok(job)
    }

    /// Where the state lies.
    pub(crate) fn state(&self) -> PathBuf {
        self.workspace
            .root
            .join("state/rabbitmq-egress")
            .join(self.environment)
    }

    /// Removes the state; for a sandbox that holds nothing of it (any more).
    pub(crate) fn forget(&self) -> Result<()> {
        let state = self.state();
        if state.exists() {
            std::fs::remove_dir_all(&state).with_context(|| format!("removing {}", state.display()))?;
        }
        Ok(())
    }

    /// A command of `stack` on the plan, with the words that belong to it.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = self.sandbox.command(self.workspace.program("stack"))?;
        let stripe = format!("stripe_ca_file={}", self.sandbox.parts.address("STRIPE_CA")?);
        command.args(words).args([
            "--env",
            self.environment,
            "--var-file",
            VARIABLES,
            "--var",
            &stripe,
            PLAN,
        ]);
        command.env("STACK_STATE_KEY_FILE", &self.key);
        Ok(command)
    }

    /// The same as words for a terminal.
    pub(crate) fn by_hand(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.sandbox.parts.addresses() {
            text.push_str(&format_line(name, value));
        }
        text.push_str(&format_line(
            "STACK_STATE_KEY_FILE",
            &self.key.display().to_string(),
        ));
        text.push_str("export PATH=\"${HELM%/*}:$PATH\"\n");
        let stack = self.workspace.program("stack");
        text + &format!(
            "{} plan --env {} --var-file {VARIABLES} {PLAN}",
            stack.display(),
            self.environment
        )
    }

    /// Runs a command of `stack`, shows what it says and gathers how long each part took.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Outcome> {
        let started = Instant::now();
        let mut parts = BTreeMap::new();
        let code = watch(&mut self.command(words)?, Stream::Err, |line| {
            if let Some((address, seconds)) = completed(line) {
                let part = part(address);
                let sum = parts.entry(part.to_owned()).or_insert(Part::default());
                let end = started.elapsed().as_secs_f64();
                sum.count += 1;
                sum.begin = sum.begin.min(end - seconds);
                sum.end = sum.end.max(end);
                if seconds > sum.longest.0 {
                    sum.longest = (seconds, address.to_owned());
                }
            }
        })?;
        Ok(Outcome {
            code,
            seconds: started.elapsed().as_secs_f64(),
            parts,
        })
    }
}

fn format_line(name: &str, value: &str) -> String {
    format!("export {name}='{value}'\n")
}

/// How a command of `stack` went.
pub(crate) struct Outcome {
    /// Its exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// How long it took.
    pub(crate) seconds: f64,
    parts: BTreeMap<String, Part>,
}

/// The work on one module.
struct Part {
    count: usize,
    begin: f64,
    end: f64,
    longest: (f64, String),
}

impl Default for Part {
    fn default() -> Self {
        Self {
            count: 0,
            begin: f64::MAX,
            end: 0.0,
            longest: (0.0, String::new()),
        }
    }
}

impl Outcome {
    /// Fails unless the code is the wanted one.
    pub(crate) fn must_be(&self, wanted: i32, what: &str) -> Result<()> {
        if self.code != Some(wanted) {
            let code = self
                .code
                .map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            bail!("{what} ended with {code} instead of {wanted}");
        }
        Ok(())
    }

    /// When each part began and ended, in seconds from the start.
    pub(crate) fn report(&self) {
        eprintln_line(&format!(
            "    {:<28} {:>7} {:>7}  {:>7}  longest",
            "part", "from s", "to s", "objects"
        ));
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by(|a, b| a.1.begin.total_cmp(&b.1.begin));
        for (name, part) in parts {
            let (seconds, address) = &part.longest;
            let address = address
                .strip_prefix(name.as_str())
                .map_or(address.as_str(), |rest| rest.trim_start_matches('.'));
            let begin = part.begin.max(0.0);
            eprintln_line(&format!(
                "    {name:<28} {begin:>7.1} {:>7.1}  {:>7}  {address} ({seconds:.1} s)",
                part.end, part.count
            ));
        }
    }
}

/// Address and seconds of a line like `aws_instance.this: Creation complete after 1m05s [id=i-1]`.
fn completed(line: &str) -> Option<(&str, f64)> {
    let (address, rest) = line.split_once(": ")?;
    let (_, rest) = rest.split_once(" complete after ")?;
    let time = rest.split(' ').next()?.strip_suffix('s')?;
    let seconds = match time.split_once('m') {
        Some((minutes, seconds)) => minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?,
        None => time.parse().ok()?,
    };
    Some((address, seconds))
}

/// The module an address belongs to; resources of the root module stand under their own name.
fn part(address: &str) -> &str {
    match address.strip_prefix("module.").and_then(|rest| rest.find('.')) {
        Some(end) => &address[..end + "module.".len()],
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_completed_work_are_understood() {
        let line = "module.host.aws_instance.this: Creation complete after 1m05s [id=i-1]";
        assert_eq!(completed(line), Some(("module.host.aws_instance.this", 65.0)));
        assert_eq!(
            completed("a.b: Modifications complete after 0.3s"),
            Some(("a.b", 0.3))
        );
        assert_eq!(completed("a.b: Creating..."), None);
    }

    #[test]
    fn work_is_summed_by_module() {
        assert_eq!(part("module.host.aws_instance.this"), "module.host");
        assert_eq!(part("module.a.module.b.x.y"), "module.a");
        assert_eq!(
            part("kubernetes_manifest.x[\"a\"]"),
            "kubernetes_manifest.x[\"a\"]"
        );
    }
}
