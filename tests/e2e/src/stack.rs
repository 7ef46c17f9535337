//! The built program on the shipped plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{Program, Said, Sandbox};

/// `stack` on `plans/rabbitmq-egress`, in an environment of its own.
pub struct Stack<'s> {
    sandbox: &'s Sandbox,
    program: PathBuf,
    environment: &'static str,
}

const PLAN: &str = "plans/rabbitmq-egress";

/// Longest time of a command. A first apply takes a minute where programs are warm.
const LIMIT: Duration = Duration::from_secs(900);

/// The root of the clone.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl<'s> Stack<'s> {
    /// The program that `STACK_PROGRAM` names, with an empty state.
    ///
    /// # Errors
    /// No program is named, or an old state cannot be removed.
    pub fn new(sandbox: &'s Sandbox, environment: &'static str) -> Result<Self> {
        let program = std::env::var_os("STACK_PROGRAM").context(
            "STACK_PROGRAM is not set; run `cargo xtask test`, which builds the program and names it",
        )?;
        let stack = Self {
            sandbox,
            program: program.into(),
            environment,
        };
        if stack.state().exists() {
            std::fs::remove_dir_all(stack.state())?;
        }
        Ok(stack)
    }

    /// The folder of its state.
    pub fn state(&self) -> PathBuf {
        root().join("state/rabbitmq-egress").join(self.environment)
    }

    /// A command on the plan with the sandbox's values.
    ///
    /// # Errors
    /// The sandbox lacks a part.
    pub fn command(&self, words: &[&str]) -> Result<Program> {
        let stripe = format!("stripe_ca_file={}", self.sandbox.address("STRIPE_CA")?);
        let variables = [
            "--var-file",
            "plans/rabbitmq-egress/sandbox.vars.hcl",
            "--var",
            &stripe,
        ];
        let program = Program::new(&self.program)
            .envs(self.sandbox.variables()?)
            .folder(root())
            .limit(LIMIT);
        Ok(program
            .args(words)
            .args(["--env", self.environment])
            .args(variables)
            .args([PLAN]))
    }

    /// Runs a command that must end with this code.
    ///
    /// # Errors
    /// It does not; the error holds all it said.
    pub fn expect(&self, code: i32, words: &[&str]) -> Result<Said> {
        let said = self.command(words)?.run()?;
        if said.code != Some(code) {
            bail!(
                "stack {} ended with {:?} instead of {code}\n{}{}",
                words.join(" "),
                said.code,
                said.out,
                said.err
            );
        }
        Ok(said)
    }

    /// An output.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn output(&self, name: &str) -> Result<serde_json::Value> {
        let all = Program::new(&self.program)
            .envs(self.sandbox.variables()?)
            .folder(root())
            .args(["output", "--json", "--env", self.environment, PLAN])
            .ok()?;
        let all: serde_json::Value = serde_json::from_str(&all).context("reading the outputs")?;
        all.get(name)
            .and_then(|output| output.get("value"))
            .cloned()
            .with_context(|| format!("there is no output {name}:\n{all}"))
    }

    /// An output that is a text.
    ///
    /// # Errors
    /// There is none of this name, or it is none.
    pub fn text(&self, name: &str) -> Result<String> {
        self.output(name)?
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("output {name} is no text"))
    }
}
