//! `host_file`

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use stack_core::{Path, Schema, Secret, Type, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait,
};
use stack_ssh::Script;

use crate::HostClient;
use crate::probe::{Answer, Probe, STAMPS};
use crate::words::{
    account, already_exists, arguments, check_mode, check_path, failed, mode, same_mode, text,
};

/// A file on the machine. It is replaced as a whole: readers see the old contents or the new ones, with the final owner
/// and permissions.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct File {
    /// Absolute path.
    #[schema(replace)]
    pub path: String,
    /// Contents as text. One of `content`, `sensitive_content`, `content_base64` is required.
    pub content: Option<String>,
    /// Contents as text that is never shown.
    pub sensitive_content: Option<Secret<String>>,
    /// Contents in base64, for what is no text.
    pub content_base64: Option<String>,
    /// Owner, by name or number.
    #[schema(default = "root")]
    pub owner: String,
    /// Group, by name or number.
    #[schema(default = "root")]
    pub group: String,
    /// Permissions in octal digits.
    #[schema(default = "0644")]
    pub mode: String,
    /// Makes missing parent directories, with these permissions and the owner and group of the file.
    pub directory_mode: Option<String>,
    /// Takes over a file that exists already, instead of failing.
    #[schema(default = false)]
    pub overwrite: bool,
    /// The path.
    #[schema(computed)]
    pub id: Option<String>,
    /// SHA-256 of the contents, in hexadecimal digits: for `triggers` of what reads the file.
    #[schema(computed, recomputed)]
    pub sha256: Option<String>,
}

/// Contents that are read back to show what they became; longer ones only show that they differ.
const SHOWN: u64 = 64 << 10;

impl File {
    fn bytes(&self) -> Result<Vec<u8>, ProviderError> {
        if let Some(text) = &self.content {
            return Ok(text.clone().into_bytes());
        }
        if let Some(secret) = &self.sensitive_content {
            return Ok(secret.expose().clone().into_bytes());
        }
        match &self.content_base64 {
            Some(text) => BASE64_STANDARD
                .decode(text.trim())
                .map_err(|e| ProviderError::invalid("content_base64", "is not base64").source(e)),
            None => Err(ProviderError::invalid("content", "no contents are given")),
        }
    }

    fn probe(&self) -> Probe {
        let secret = self.sensitive_content.is_some();
        Probe::Path {
            path: self.path.clone(),
            known: self.sha256.clone().unwrap_or_default(),
            limit: if secret { 0 } else { SHOWN },
        }
    }

    /// The file as it was seen; `None` when there is none. Contents that differ are shown where that may be done, else
    /// they are null.
    fn seen(&self, answer: &Answer) -> Result<Option<Self>, ProviderError> {
        if answer.get("failed").is_some() {
            let message = format!("{} cannot be read on the machine", self.path);
            return Err(ProviderError::new(ErrorKind::Unavailable, message));
        }
        if answer.get("kind") != Some("file") {
            return Ok(None);
        }
        let mut now = Self {
            owner: account(&self.owner, answer.get("user"), answer.get("uid")),
            group: account(&self.group, answer.get("group"), answer.get("gid")),
            mode: mode(answer.get("mode").unwrap_or_default()),
            id: Some(self.path.clone()),
            sha256: answer.get("sha256").map(str::to_owned),
            ..self.clone()
        };
        if mode(&self.mode) == now.mode {
            now.mode.clone_from(&self.mode);
        }
        if self.sha256 != now.sha256 {
            (now.content, now.sensitive_content, now.content_base64) = (None, None, None);
            let shown = answer
                .bytes("content")
                .filter(|_| self.sensitive_content.is_none());
            if let Some(bytes) = shown {
                match String::from_utf8(bytes) {
                    Ok(text) if self.content_base64.is_none() => now.content = Some(text),
                    Ok(text) => now.content_base64 = Some(BASE64_STANDARD.encode(text)),
                    Err(other) => now.content_base64 = Some(BASE64_STANDARD.encode(other.as_bytes())),
                }
            }
        }
        Ok(Some(now))
    }

    async fn write(self, cx: &Cx, client: &HostClient, owner: Option<&Owner>) -> Result<Self, ProviderError> {
        let bytes = Secret::new(self.bytes()?);
        let script = Script::new()
            .text(STAMPS)
            .set("path", &self.path)
            .set_secret("content", &Secret::new(BASE64_STANDARD.encode(bytes.expose())))
            .set("owner", &self.owner)
            .set("group", &self.group)
            .set("mode", mode(&self.mode))
            .set(
                "directory_mode",
                self.directory_mode.as_deref().unwrap_or_default(),
            )
            .set("overwrite", self.overwrite.to_string())
            .set("token", owner.map_or("", |o| o.token.as_str()))
            .text(include_str!("scripts/file.sh"));
        let output = client.change(cx, script).await?;
        match (output.status, owner) {
            (0, _) => Ok(Self {
                id: Some(self.path.clone()),
                sha256: Some(sha256(bytes.expose())),
                ..self
            }),
            (17, Some(owner)) => Err(already_exists("the file", &self.path, owner)),
            (18, _) => Err(ProviderError::invalid("path", output.reason())),
            (19, _) => Err(ProviderError::invalid("directory_mode", output.reason())),
            (20, _) => Err(ProviderError::invalid("owner", output.reason())),
            _ => Err(failed(&format!("{} cannot be written", self.path), &output)),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A file on the machine.
pub struct HostFile;

#[async_trait]
impl Resource for HostFile {
    const TYPE: &'static str = "host_file";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.1;
    type Model = File;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, prior: &File) -> Result<Option<File>, ProviderError> {
        prior.seen(&client.probe(cx, prior.probe()).await?)
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: File,
    ) -> Result<File, Failure<File>> {
        Ok(planned.write(cx, client, Some(owner)).await?)
    }

    async fn update(cx: &Cx, client: &HostClient, _: &File, planned: File) -> Result<File, Failure<File>> {
        Ok(planned.write(cx, client, None).await?)
    }

    async fn delete(cx: &Cx, client: &HostClient, prior: &File) -> Result<(), ProviderError> {
        // A directory of this name is somebody else's.
        let script = Script::new()
            .set("path", &prior.path)
            .text("if [ -L \"$path\" ] || [ -f \"$path\" ]; then rm -f -- \"$path\"; fi");
        let output = client.change(cx, script).await?;
        if output.success() {
            return Ok(());
        }
        Err(failed(&format!("{} cannot be removed", prior.path), &output))
    }

    async fn find(
        cx: &Cx,
        client: &HostClient,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<File>, ProviderError> {
        let Some(path) = text(planned, "path") else {
            return Ok(None);
        };
        // A file that may be overwritten is no obstacle, and writing it again does no harm.
        if planned.attribute("overwrite").and_then(Value::as_bool) == Some(true) {
            return Ok(None);
        }
        match arguments::<File>(planned) {
            Some(wanted) => {
                let wanted = File {
                    sha256: wanted.bytes().ok().map(|bytes| sha256(&bytes)),
                    ..wanted
                };
                wanted.seen(&client.probe(cx, wanted.probe()).await?)
            }
            None => look(cx, client, path, true).await,
        }
    }

    async fn import(cx: &Cx, client: &HostClient, id: &str) -> Result<File, ProviderError> {
        look(cx, client, id, false).await?.ok_or_else(|| {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no file {id} on the machine"),
            )
        })
    }

    fn refine(_: Option<&Value>, planned: Value) -> Refined {
        let known = |name: &str| planned.attribute(name).filter(|v| v.is_known() && !v.is_null());
        let bytes = match (
            known("content"),
            known("sensitive_content"),
            known("content_base64"),
        ) {
            (Some(text), _, _) | (None, Some(text), _) => text.as_str().map(|t| t.as_bytes().to_vec()),
            (None, None, Some(text)) => text.as_str().and_then(|t| BASE64_STANDARD.decode(t.trim()).ok()),
            (None, None, None) => None,
        };
        let digest = bytes.map_or_else(|| Value::unknown(Type::String), |b| Value::from(sha256(&b)));
        planned.with_attribute("sha256", digest).into()
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        check_path(config, "path", &mut problems);
        check_mode(config, "mode", &mut problems);
        check_mode(config, "directory_mode", &mut problems);
        let contents = ["content", "sensitive_content", "content_base64"];
        let given = contents
            .iter()
            .filter(|name| config.attribute(name).is_some_and(|v| !v.is_null()))
            .count();
        if given != 1 {
            let message = format!("exactly one of {} is required, not {given}", contents.join(", "));
            problems.push((Path::of(&["content"]), message));
        }
        if text(config, "content_base64").is_some_and(|t| BASE64_STANDARD.decode(t.trim()).is_err()) {
            problems.push((Path::of(&["content_base64"]), "is not base64".to_owned()));
        }
        problems
    }

    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        same_mode(path, a, b)
    }
}

/// The file of this path with its contents.
async fn look(
    cx: &Cx,
    client: &HostClient,
    path: &str,
    sensitive: bool,
) -> Result<Option<File>, ProviderError> {
    let nothing = File {
        path: path.to_owned(),
        content: None,
        sensitive_content: None,
        content_base64: None,
        owner: String::new(),
        group: String::new(),
        mode: String::new(),
        directory_mode: None,
        overwrite: false,
        id: None,
        sha256: None,
    };
    let probe = Probe::Path {
        path: path.to_owned(),
        known: String::new(),
        limit: if sensitive { 0 } else { SHOWN },
    };
    nothing.seen(&client.probe(cx, probe).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(content: Value) -> Value {
        Value::object([
            ("path".to_owned(), "/etc/x".into()),
            ("content".to_owned(), content),
            ("sha256".to_owned(), Value::unknown(Type::String)),
        ])
    }

    #[test]
    fn digest_is_known_as_soon_as_the_contents_are() {
        let refined = HostFile::refine(None, planned("hi".into())).planned;
        assert_eq!(
            refined.attribute("sha256").unwrap().as_str().unwrap(),
            "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
        );
        let refined = HostFile::refine(None, planned(Value::unknown(Type::String))).planned;
        assert!(!refined.attribute("sha256").unwrap().is_known());
    }

    #[test]
    fn contents_are_given_once() {
        assert!(HostFile::validate(&planned("hi".into())).is_empty());
        assert!(HostFile::validate(&planned(Value::unknown(Type::String))).is_empty());
        assert_eq!(HostFile::validate(&planned(Value::Null(Type::String))).len(), 1);
        let both = planned("hi".into()).with_attribute("content_base64", "aGk=".into());
        assert_eq!(HostFile::validate(&both).len(), 1);
    }
}
