//! `host_service`

use std::collections::BTreeMap;

use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};
use stack_ssh::Script;

use crate::HostClient;
use crate::probe::{Answer, Probe, STAMPS};
use crate::words::{arguments, failed, record};

/// A systemd unit: whether it starts with the machine, whether it runs, and when it is restarted. When the resource
/// goes, the unit is put back as it was found.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Service {
    /// Name of the unit: `rabbitmq-server` or `rabbitmq-server.service`.
    #[schema(replace)]
    pub name: String,
    /// Whether it starts with the machine.
    #[schema(default = true)]
    pub enabled: bool,
    /// Whether it runs.
    #[schema(default = true)]
    pub running: bool,
    /// Values whose change restarts the unit: digests of its files.
    pub triggers: Option<BTreeMap<String, String>>,
    /// What a change of `triggers` does: `restart` or `reload`.
    #[schema(default = "restart")]
    pub on_change: String,
    /// Identifies the taking over of the unit.
    #[schema(computed)]
    pub id: Option<String>,
    /// Whether the unit was imported, so that it stays as it is when the resource goes.
    #[schema(computed)]
    pub imported: Option<bool>,
    /// Whether it started with the machine before.
    #[schema(computed)]
    pub was_enabled: Option<bool>,
    /// Whether it ran before.
    #[schema(computed)]
    pub was_running: Option<bool>,
}

/// What systemd says of a unit: enabled (`None`: it cannot be chosen) and running. `None`: there is no such unit.
fn status(answer: &Answer) -> Option<(Option<bool>, bool)> {
    if matches!(answer.get("LoadState"), None | Some("not-found")) {
        return None;
    }
    let enabled = match answer.get("UnitFileState") {
        Some("enabled" | "enabled-runtime") => Some(true),
        Some("disabled" | "masked" | "masked-runtime") => Some(false),
        _ => None,
    };
    let running = matches!(
        answer.get("ActiveState"),
        Some("active" | "reloading" | "activating" | "refreshing")
    );
    Some((enabled, running))
}

fn was(answer: &Answer, key: &str) -> Option<bool> {
    answer.get(key).map(|value| value == "true")
}

impl Service {
    fn record(&self) -> String {
        record(self.id.as_deref().unwrap_or_default())
    }

    fn seen(&self, answer: &Answer) -> Option<Self> {
        status(answer).map(|(enabled, running)| Self {
            enabled: enabled.unwrap_or(self.enabled),
            running,
            ..self.clone()
        })
    }

    async fn apply(
        self,
        cx: &Cx,
        client: &HostClient,
        changed: bool,
        token: &str,
    ) -> Result<Self, ProviderError> {
        let script = Script::new()
            .text(STAMPS)
            .set("token", token)
            .set("name", &self.name)
            .set("enabled", self.enabled.to_string())
            .set("running", self.running.to_string())
            .set("on_change", &self.on_change)
            .set("changed", changed.to_string())
            .text(include_str!("scripts/service.sh"));
        cx.progress("waiting for the service");
        let output = client.change(cx, script).await?;
        match output.status {
            0 => {
                let answer = Answer::parse(&output.text());
                Ok(Self {
                    was_enabled: self.was_enabled.or_else(|| was(&answer, "was_enabled")),
                    was_running: self.was_running.or_else(|| was(&answer, "was_running")),
                    ..self
                })
            }
            23 => Err(ProviderError::invalid(
                "name",
                format!(
                    "there is no unit {:?} that can be used ({}): is its package installed?",
                    self.name,
                    output.reason()
                ),
            )),
            24 => {
                let what = format!(
                    "{} did not start or stop; `journalctl -u {}` on the machine says why",
                    self.name, self.name
                );
                Err(failed(&what, &output))
            }
            _ => Err(failed(&self.name, &output)),
        }
    }
}

/// A systemd unit.
pub struct HostService;

#[async_trait]
impl Resource for HostService {
    const TYPE: &'static str = "host_service";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 5.0;
    type Model = Service;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, prior: &Service) -> Result<Option<Service>, ProviderError> {
        let (stamp, unit) = tokio::join!(
            client.probe(cx, Probe::Stamp(prior.record())),
            client.probe(cx, Probe::Service(prior.name.clone()))
        );
        let recorded = stamp?.get("stamp") == Some("yes");
        let there = recorded || prior.imported == Some(true);
        Ok(prior.seen(&unit?).filter(|_| there))
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: Service,
    ) -> Result<Service, Failure<Service>> {
        // It may run with files that are older than those of the triggers.
        let changed = planned.triggers.is_some();
        let planned = Service {
            id: Some(owner.token.clone()),
            imported: Some(false),
            was_enabled: None,
            was_running: None,
            ..planned
        };
        Ok(planned.apply(cx, client, changed, &owner.token).await?)
    }

    async fn update(
        cx: &Cx,
        client: &HostClient,
        prior: &Service,
        planned: Service,
    ) -> Result<Service, Failure<Service>> {
        let changed = prior.triggers != planned.triggers;
        let planned = Service {
            was_enabled: prior.was_enabled,
            was_running: prior.was_running,
            ..planned
        };
        Ok(planned.apply(cx, client, changed, "").await?)
    }

    async fn delete(cx: &Cx, client: &HostClient, prior: &Service) -> Result<(), ProviderError> {
        if prior.imported == Some(true) {
            return Ok(());
        }
        let script = Script::new()
            .set("name", &prior.name)
            .set("record", prior.id.as_deref().unwrap_or_default())
            .set("was_enabled", prior.was_enabled.map_or("", text))
            .set("was_running", prior.was_running.map_or("", text))
            .text(include_str!("scripts/service_back.sh"));
        let output = client.change(cx, script).await?;
        if output.success() {
            return Ok(());
        }
        Err(failed(&prior.name, &output))
    }

    async fn find(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Service>, ProviderError> {
        let Some(wanted) = arguments::<Service>(planned) else {
            return Ok(None);
        };
        client.settle(cx).await?;
        let (stamp, unit) = tokio::join!(
            client.probe(cx, Probe::Stamp(record(&owner.token))),
            client.probe(cx, Probe::Service(wanted.name.clone()))
        );
        let kept = stamp?.bytes("content").unwrap_or_default();
        let kept = Answer::parse(&String::from_utf8_lossy(&kept));
        // What was cut off is done again.
        if kept.get("done").is_none() {
            return Ok(None);
        }
        let wanted = Service {
            id: Some(owner.token.clone()),
            imported: Some(false),
            was_enabled: was(&kept, "was_enabled"),
            was_running: was(&kept, "was_running"),
            ..wanted
        };
        Ok(wanted.seen(&unit?))
    }

    async fn import(cx: &Cx, client: &HostClient, id: &str) -> Result<Service, ProviderError> {
        let prior = Service {
            name: id.to_owned(),
            enabled: true,
            running: true,
            triggers: None,
            on_change: "restart".to_owned(),
            id: Some(id.to_owned()),
            imported: Some(true),
            was_enabled: None,
            was_running: None,
        };
        Self::read(cx, client, &prior).await?.ok_or_else(|| {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no unit {id} on the machine"),
            )
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        let argument = |name: &str| config.attribute(name).and_then(Value::as_str);
        if argument("on_change").is_some_and(|v| v != "restart" && v != "reload") {
            problems.push((
                Path::of(&["on_change"]),
                "either \"restart\" or \"reload\" is required".to_owned(),
            ));
        }
        // systemd.unit(5), "unit name prefix"
        let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if argument("name").is_some_and(|n| n.is_empty() || n.starts_with('-') || !n.chars().all(valid)) {
            problems.push((Path::of(&["name"]), "is no name of a systemd unit".to_owned()));
        }
        problems
    }
}

fn text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
