//! `host_command`

use std::collections::BTreeMap;

use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};
use stack_ssh::Script;

use crate::HostClient;
use crate::probe::{Answer, FUNCTIONS, Probe, STAMPS};
use crate::words::{check_path, record, remove_record};

/// A command that is run once, as root, by POSIX sh. It ends at the first line that fails. A changed argument runs it
/// anew.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Command {
    /// The command: any script for POSIX sh.
    #[schema(replace)]
    pub command: String,
    /// Directory it runs in.
    #[schema(replace, default = "/")]
    pub directory: String,
    /// What the command reads on its standard input.
    #[schema(replace)]
    pub stdin: Option<Secret<String>>,
    /// Secrets that the command finds as shell variables. They are not exported, so they stay out of the environment of
    /// programs: hand them over on standard input (`printf '%s' "$password" | program`).
    #[schema(replace)]
    pub secrets: Option<Secrets>,
    /// A path that exists when there is nothing left to do. When it is gone, the command runs again.
    #[schema(replace)]
    pub creates: Option<String>,
    /// A script that succeeds when there is nothing left to do. It must change nothing. When it fails, the command runs
    /// again.
    #[schema(replace)]
    pub unless: Option<String>,
    /// Values whose change runs the command again.
    #[schema(replace)]
    pub triggers: Option<BTreeMap<String, String>>,
    /// A script that runs when the resource goes.
    pub on_destroy: Option<String>,
    /// Identifies the run.
    #[schema(computed)]
    pub id: Option<String>,
    /// The first 64 KiB of standard output, as text; null when secrets were handed over, or when there was nothing left
    /// to do.
    #[schema(computed)]
    pub stdout: Option<String>,
}

/// Secrets by name.
type Secrets = BTreeMap<String, Secret<String>>;

impl Command {
    fn secrets(&self) -> Vec<(String, Secret<String>)> {
        self.secrets.clone().unwrap_or_default().into_iter().collect()
    }

    fn has_secrets(&self) -> bool {
        self.stdin.is_some() || self.secrets.as_ref().is_some_and(|s| !s.is_empty())
    }

    /// The text without any secret that was handed over.
    fn redacted(&self, text: &str) -> String {
        let secrets = self.secrets.iter().flat_map(BTreeMap::values).chain(&self.stdin);
        let lines = secrets.flat_map(|secret| secret.expose().lines());
        lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .fold(text.to_owned(), |text, line| {
                text.replace(line, "(sensitive value)")
            })
    }

    async fn run(
        &self,
        cx: &Cx,
        client: &HostClient,
        command: &str,
        token: &str,
    ) -> Result<Answer, ProviderError> {
        let named = self.secrets();
        let script = named
            .iter()
            .fold(Script::new(), |script, (name, value)| script.assign(name, value))
            .text(FUNCTIONS)
            .text(STAMPS)
            .set("stack_command", command)
            .set("stack_input", self.stdin.as_ref().map_or("", |s| s.expose()))
            .set("stack_directory", &self.directory)
            .set("stack_keep", (!self.has_secrets()).to_string())
            .set("stack_token", token);
        // What runs when the resource goes has no condition.
        let (creates, unless) = if token.is_empty() {
            ("", "")
        } else {
            (
                self.creates.as_deref().unwrap_or_default(),
                self.unless.as_deref().unwrap_or_default(),
            )
        };
        let script = script
            .set("stack_creates", creates)
            .set("stack_unless", unless)
            .text(include_str!("scripts/command.sh"));
        let output = client.change(cx, script).await?;
        if output.success() {
            return Ok(Answer::parse(&output.text()));
        }
        let reason = self.redacted(&output.reason());
        Err(match output.status {
            25 => ProviderError::invalid("directory", reason),
            26 => ProviderError::invalid("command", format!("the command failed: {reason}")),
            status => ProviderError::new(
                ErrorKind::InvalidArgument,
                format!("the command could not be run ({status}): {reason}"),
            ),
        })
    }
}

fn stdout(answer: &Answer) -> Option<String> {
    answer.get("output")?;
    let bytes = answer.bytes("output")?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A command that is run once.
pub struct HostCommand;

#[async_trait]
impl Resource for HostCommand {
    const TYPE: &'static str = "host_command";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 2.0;
    type Model = Command;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, prior: &Command) -> Result<Option<Command>, ProviderError> {
        let record = record(prior.id.as_deref().unwrap_or_default());
        if prior.creates.is_none() && prior.unless.is_none() {
            let stamp = client.probe(cx, Probe::Stamp(record)).await?;
            return Ok((stamp.get("stamp") == Some("yes")).then(|| prior.clone()));
        }
        let probe = Probe::Command {
            creates: prior.creates.clone().unwrap_or_default(),
            unless: prior.unless.clone().unwrap_or_default(),
            secrets: prior.secrets(),
        };
        let (stamp, answer) = tokio::join!(client.probe(cx, Probe::Stamp(record)), client.probe(cx, probe));
        let there = stamp?.get("stamp") == Some("yes") && answer?.get("done") == Some("yes");
        Ok(there.then(|| prior.clone()))
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: Command,
    ) -> Result<Command, Failure<Command>> {
        let answer = planned.run(cx, client, &planned.command, &owner.token).await?;
        Ok(Command {
            id: Some(owner.token.clone()),
            stdout: stdout(&answer),
            ..planned
        })
    }

    async fn update(
        _: &Cx,
        _: &HostClient,
        _: &Command,
        planned: Command,
    ) -> Result<Command, Failure<Command>> {
        // Only what runs at the end can change in place.
        Ok(planned)
    }

    async fn delete(cx: &Cx, client: &HostClient, prior: &Command) -> Result<(), ProviderError> {
        let record = record(prior.id.as_deref().unwrap_or_default());
        if let Some(command) = &prior.on_destroy {
            // Once only: the record goes when it is done.
            let stamp = client.probe(cx, Probe::Stamp(record.clone())).await?;
            if stamp.get("stamp") == Some("yes") {
                prior.run(cx, client, command, "").await?;
            }
        }
        remove_record(cx, client, &record).await
    }

    async fn find(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Command>, ProviderError> {
        client.settle(cx).await?;
        let stamp = client.probe(cx, Probe::Stamp(record(&owner.token))).await?;
        let Some(result) = stamp.bytes("content") else {
            return Ok(None);
        };
        let planned: Command = stack_core::Decode::decode(planned, &Path::root())?;
        Ok(Some(Command {
            id: Some(owner.token.clone()),
            stdout: stdout(&Answer::parse(&String::from_utf8_lossy(&result))),
            ..planned
        }))
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        check_path(config, "creates", &mut problems);
        if config.attribute("directory").and_then(Value::as_str) != Some("/") {
            check_path(config, "directory", &mut problems);
        }
        problems
    }
}
