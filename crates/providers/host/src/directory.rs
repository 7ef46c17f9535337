//! `host_directory`

use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};
use stack_ssh::Script;

use crate::HostClient;
use crate::probe::{Answer, Probe, STAMPS};
use crate::words::{
    account, already_exists, arguments, attempt, check_mode, check_path, failed, mode, same_mode, text,
};

/// A directory on the machine.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Directory {
    /// Absolute path.
    #[schema(replace)]
    pub path: String,
    /// Owner, by name or number.
    #[schema(default = "root")]
    pub owner: String,
    /// Group, by name or number.
    #[schema(default = "root")]
    pub group: String,
    /// Permissions in octal digits.
    #[schema(default = "0755")]
    pub mode: String,
    /// Makes missing parent directories, which belong to root.
    #[schema(default = false)]
    pub parents: bool,
    /// Takes over a directory that exists already, instead of failing. It is not removed with the resource.
    #[schema(default = false)]
    pub overwrite: bool,
    /// Removes the directory with all that is in it; otherwise only an empty one is removed.
    #[schema(default = false)]
    pub force_destroy: bool,
    /// The path.
    #[schema(computed)]
    pub id: Option<String>,
    /// Whether this resource made the directory, and so removes it.
    #[schema(computed)]
    pub created: Option<bool>,
}

impl Directory {
    fn seen(&self, answer: &Answer) -> Option<Self> {
        if answer.get("kind") != Some("directory") {
            return None;
        }
        let now = mode(answer.get("mode").unwrap_or_default());
        Some(Self {
            owner: account(&self.owner, answer.get("user"), answer.get("uid")),
            group: account(&self.group, answer.get("group"), answer.get("gid")),
            mode: if mode(&self.mode) == now {
                self.mode.clone()
            } else {
                now
            },
            id: Some(self.path.clone()),
            ..self.clone()
        })
    }

    async fn write(self, cx: &Cx, client: &HostClient, owner: Option<&Owner>) -> Result<Self, ProviderError> {
        let script = Script::new()
            .text(STAMPS)
            .set("path", &self.path)
            .set("owner", &self.owner)
            .set("group", &self.group)
            .set("mode", mode(&self.mode))
            .set("parents", self.parents.to_string())
            .set("overwrite", self.overwrite.to_string())
            .set("token", owner.map_or("", |o| o.token.as_str()))
            .text(include_str!("scripts/directory.sh"));
        let output = client.change(cx, script).await?;
        match (output.status, owner) {
            (0, _) => {
                let created = Answer::parse(&output.text()).get("created") == Some("yes");
                Ok(Self {
                    id: Some(self.path.clone()),
                    created: if owner.is_some() {
                        Some(created)
                    } else {
                        self.created
                    },
                    ..self
                })
            }
            (17, Some(owner)) => Err(already_exists("the directory", &self.path, owner)),
            (18, _) => Err(ProviderError::invalid("path", output.reason())),
            (20, _) => Err(ProviderError::invalid("owner", output.reason())),
            _ => Err(failed(&format!("{} cannot be made", self.path), &output)),
        }
    }
}

/// A directory on the machine.
pub struct HostDirectory;

#[async_trait]
impl Resource for HostDirectory {
    const TYPE: &'static str = "host_directory";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.1;
    type Model = Directory;
    type Client = HostClient;

    async fn read(
        cx: &Cx,
        client: &HostClient,
        prior: &Directory,
    ) -> Result<Option<Directory>, ProviderError> {
        Ok(prior.seen(&client.probe(cx, probe(&prior.path)).await?))
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: Directory,
    ) -> Result<Directory, Failure<Directory>> {
        Ok(planned.write(cx, client, Some(owner)).await?)
    }

    async fn update(
        cx: &Cx,
        client: &HostClient,
        prior: &Directory,
        planned: Directory,
    ) -> Result<Directory, Failure<Directory>> {
        let planned = Directory {
            created: prior.created,
            ..planned
        };
        Ok(planned.write(cx, client, None).await?)
    }

    async fn delete(cx: &Cx, client: &HostClient, prior: &Directory) -> Result<(), ProviderError> {
        if prior.created != Some(true) {
            return Ok(());
        }
        let script = Script::new()
            .set("path", &prior.path)
            .set("force", prior.force_destroy.to_string())
            .text(
                "if [ ! -d \"$path\" ] || [ -L \"$path\" ]; then exit 0; fi\n\
                 if [ \"$force\" = true ]; then rm -rf -- \"$path\"; else rmdir -- \"$path\"; fi",
            );
        let output = client.change(cx, script).await?;
        if output.success() {
            return Ok(());
        }
        let what = format!(
            "{} cannot be removed (`force_destroy = true` removes what is in it)",
            prior.path
        );
        Err(failed(&what, &output))
    }

    async fn find(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Directory>, ProviderError> {
        let Some(path) = text(planned, "path") else {
            return Ok(None);
        };
        // A directory that may be taken over is no obstacle, and taking it over again does no harm.
        if planned.attribute("overwrite").and_then(Value::as_bool) == Some(true) {
            return Ok(None);
        }
        let mut found = match arguments::<Directory>(planned) {
            Some(wanted) => wanted.seen(&client.probe(cx, probe(path)).await?),
            None => look(cx, client, path).await?,
        };
        if let Some(found) = &mut found {
            let stamp = client.probe(cx, Probe::Stamp(attempt(&owner.token))).await?;
            found.created = Some(stamp.bytes("content").is_some_and(|c| c == b"yes\n"));
        }
        Ok(found)
    }

    async fn import(cx: &Cx, client: &HostClient, id: &str) -> Result<Directory, ProviderError> {
        look(cx, client, id).await?.ok_or_else(|| {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no directory {id} on the machine"),
            )
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        check_path(config, "path", &mut problems);
        check_mode(config, "mode", &mut problems);
        problems
    }

    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        same_mode(path, a, b)
    }
}

fn probe(path: &str) -> Probe {
    Probe::Path {
        path: path.to_owned(),
        known: String::new(),
        limit: 0,
    }
}

async fn look(cx: &Cx, client: &HostClient, path: &str) -> Result<Option<Directory>, ProviderError> {
    let nothing = Directory {
        path: path.to_owned(),
        owner: String::new(),
        group: String::new(),
        mode: String::new(),
        parents: false,
        overwrite: false,
        force_destroy: false,
        id: None,
        created: Some(false),
    };
    Ok(nothing.seen(&client.probe(cx, probe(path)).await?))
}
