//! `helm_release`

use stack_core::{Decode as _, Path, Schema, Secret, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Preview, ProviderError, Refined, Resource, async_trait,
};

use crate::Client;
use crate::chart::{self, Source};
use crate::command::Target;
use crate::definitions;
use crate::deploy::{deploy, inspected, look};
use crate::program::classify;
use crate::recover::Turn;
use crate::values::{Json, Setting, digest_of, hex, merged};

/// A single value.
#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Set {
    /// Path of the value: `meshConfig.accessLogFile`, `ports[0].name`; a dot inside a name is written `\.`.
    pub name: String,
    /// The value, read as `helm --set` reads it; `{a,b}` is a list.
    pub value: String,
    /// `string` keeps the value a text, whatever it looks like.
    #[schema(name = "type", default = "auto")]
    pub ty: String,
}

/// A single value that is secret.
#[derive(Clone, Debug, Schema)]
pub(crate) struct SetSensitive {
    /// Path of the value.
    pub name: String,
    /// The value.
    pub value: Secret<String>,
    /// `string` keeps the value a text, whatever it looks like.
    #[schema(name = "type", default = "auto")]
    pub ty: String,
}

/// A chart installed in a cluster.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Release {
    /// Name of the release.
    #[schema(replace)]
    pub name: String,
    /// Namespace of the release.
    #[schema(default = "default", replace)]
    pub namespace: String,
    /// Make the namespace where it does not exist. It stays when the release goes.
    #[schema(default = false)]
    pub create_namespace: bool,
    /// URL of the chart repository.
    pub repository: Option<String>,
    /// Name of the chart in the repository, an `oci://` reference, or the path of a chart on this machine.
    pub chart: String,
    /// Version of the chart, exactly; the newest at creation where left out.
    #[schema(optional, computed)]
    pub version: Option<String>,
    /// SHA-256 that the chart's file must have; the release is refused when the repository serves another.
    pub digest: Option<String>,
    /// Values, as texts in YAML; later ones are merged over earlier ones. They are always the whole: what an earlier
    /// apply set and these do not is back at the chart's default.
    pub values: Option<Vec<String>>,
    /// Single values, merged over `values`.
    #[schema(block)]
    pub set: Vec<Set>,
    /// Single secret values, merged over `values` and `set`.
    #[schema(block)]
    pub set_sensitive: Vec<SetSensitive>,
    /// Time that Helm may take, in seconds.
    #[schema(default = 300)]
    pub timeout: u32,
    /// Wait until the chart's objects are ready.
    #[schema(default = true)]
    pub wait: bool,
    /// Go back to the former revision, or uninstall a first one, when it does not get ready.
    #[schema(default = false)]
    pub rollback_on_failure: bool,
    /// Leave the chart's `crds` folder out.
    #[schema(default = false)]
    pub skip_crds: bool,
    /// Keep the custom resource definitions of the chart's templates when the release is destroyed. Removing them
    /// removes every object of their kinds in the cluster.
    #[schema(default = true)]
    pub keep_crds: bool,
    /// Revisions that are kept.
    #[schema(default = 10)]
    pub max_history: u32,
    /// Take over fields that others own (Helm 4).
    #[schema(default = false)]
    pub force_conflicts: bool,
    /// `NAMESPACE/NAME`.
    #[schema(computed)]
    pub id: Option<String>,
    /// State of the release, `deployed` when all is well.
    #[schema(computed, recomputed)]
    pub status: Option<String>,
    /// Number of the newest revision.
    #[schema(computed, recomputed)]
    pub revision: Option<i64>,
    /// Version of the application in the chart.
    #[schema(computed, recomputed)]
    pub app_version: Option<String>,
    /// SHA-256 of the chart's file.
    #[schema(computed, recomputed)]
    pub chart_digest: Option<String>,
    /// SHA-256 of the values in force.
    #[schema(computed)]
    pub values_digest: Option<Secret<String>>,
    /// SHA-256 of the objects that Helm applied.
    #[schema(computed, recomputed)]
    pub manifest_digest: Option<String>,
}

impl Release {
    pub(crate) fn target<'c>(&self, client: &'c Client) -> Target<'c> {
        Target {
            config_path: &client.access.config_path,
            context: client.access.context.as_deref(),
        }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            repository: self.repository.as_deref(),
            chart: &self.chart,
            version: self.version.as_deref(),
            digest: self.digest.as_deref(),
        }
    }

    pub(crate) fn merged(&self) -> Result<Json, ProviderError> {
        let plain = self.set.iter().map(|s| Setting {
            name: &s.name,
            value: &s.value,
            is_text: s.ty == "string",
        });
        let secret = self.set_sensitive.iter().map(|s| Setting {
            name: &s.name,
            value: s.value.expose(),
            is_text: s.ty == "string",
        });
        let settings: Vec<_> = plain.chain(secret).collect();
        merged(self.values.as_deref().unwrap_or_default(), &settings)
    }

    /// A text of Helm without the secret values.
    fn masked(&self, text: &str) -> String {
        let secrets = self
            .set_sensitive
            .iter()
            .map(|s| s.value.expose())
            .filter(|s| s.len() > 3);
        secrets.fold(text.trim_start_matches("Error: ").to_owned(), |text, secret| {
            text.replace(secret.as_str(), "(sensitive value)")
        })
    }

    pub(crate) fn failed(&self, operation: &str, stderr: &str) -> ProviderError {
        ProviderError::new(classify(stderr), self.masked(stderr)).operation(operation)
    }

    /// The model with what Helm says of a release, in the form of `helm upgrade --output json`.
    pub(crate) fn settled(mut self, told: &Json, digest: &str) -> Self {
        let text = |pointer: &str| told.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
        self.status = text("/info/status");
        self.revision = told["version"].as_i64();
        self.app_version = text("/chart/metadata/appVersion");
        self.version = text("/chart/metadata/version").or(self.version);
        self.chart_digest = Some(digest.to_owned());
        self.values_digest = Some(Secret::new(digest_of(&values_in_force(&told["config"]))));
        self.manifest_digest = text("/manifest").map(|m| digest_of_text(&m));
        self.id = Some(format!("{}/{}", self.namespace, self.name));
        self
    }
}

/// Helm says null where there are no values.
pub(crate) fn values_in_force(config: &Json) -> Json {
    if config.is_null() {
        Json::Object(serde_json::Map::new())
    } else {
        config.clone()
    }
}

/// SHA-256 of a text in hexadecimal.
pub(crate) fn digest_of_text(text: &str) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

/// The resource type `helm_release`.
pub(crate) struct HelmRelease;

#[async_trait]
impl Resource for HelmRelease {
    const TYPE: &'static str = "helm_release";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 10.0;
    type Model = Release;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, prior: &Release) -> Result<Option<Release>, ProviderError> {
        let kube = client.access.session(cx).await?;
        let Some(record) = look(cx, &kube, prior).await? else {
            return Ok(None);
        };
        if prior.revision == Some(record.revision) && prior.status.as_ref() == Some(&record.status) {
            return Ok(Some(prior.clone()));
        }
        Ok(Some(inspected(cx, client, prior, &record).await?))
    }

    async fn create(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        planned: Release,
    ) -> Result<Release, Failure<Release>> {
        let kube = client.access.session(cx).await?;
        if let Some(record) = look(cx, &kube, &planned).await?
            && !record.is_of(owner)
        {
            let text = format!(
                "release {} exists in namespace {} ({}) and was not made by this resource; uninstall it or choose \
                 another name",
                planned.name, planned.namespace, record.status
            );
            return Err(ProviderError::new(ErrorKind::AlreadyExists, text).into());
        }
        deploy(cx, client, &kube, planned, None, Some(owner)).await
    }

    async fn update(
        cx: &Cx,
        client: &Client,
        prior: &Release,
        planned: Release,
    ) -> Result<Release, Failure<Release>> {
        let kube = client.access.session(cx).await?;
        let same = planned.chart == prior.chart
            && planned.version == prior.version
            && planned.repository == prior.repository;
        let known = prior.chart_digest.as_deref().filter(|_| same);
        deploy(cx, client, &kube, planned, known, None).await
    }

    async fn delete(cx: &Cx, client: &Client, prior: &Release) -> Result<(), ProviderError> {
        let kube = client.access.session(cx).await?;
        let target = prior.target(client);
        let _turn = Turn::take(cx, client, prior).await?;
        if look(cx, &kube, prior).await?.is_none() {
            return Ok(());
        }
        let mut names = Vec::new();
        if !prior.keep_crds {
            let ran = client
                .program
                .run(cx, &target.get(prior, "manifest"), &target.environment(), b"")
                .await?;
            names = definitions::named_in(&String::from_utf8_lossy(&ran.stdout));
        }
        cx.progress(&format!("helm uninstall {}", prior.name));
        let ran = client
            .program
            .run(cx, &target.uninstall(prior), &target.environment(), b"")
            .await?;
        if !ran.ok && !ran.stderr.contains("release: not found") {
            return Err(prior.failed("helm uninstall", &ran.stderr));
        }
        definitions::remove(cx, &kube, names).await
    }

    async fn find(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Release>, ProviderError> {
        if !["name", "namespace"]
            .iter()
            .all(|n| planned.attribute(n).is_some_and(Value::is_known))
        {
            return Ok(None);
        }
        let model = Release::decode(planned, &Path::root())?;
        let kube = client.access.session(cx).await?;
        let record = look(cx, &kube, &model).await?.filter(|r| r.is_of(owner));
        match record {
            Some(record) => Ok(Some(inspected(cx, client, &model, &record).await?)),
            None => Ok(None),
        }
    }

    async fn preview(
        cx: &Cx,
        client: &Client,
        prior: Option<&Release>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let inputs = [
            "name",
            "namespace",
            "repository",
            "chart",
            "digest",
            "values",
            "set",
            "set_sensitive",
        ];
        if inputs
            .iter()
            .any(|n| proposed.attribute(n).is_some_and(|v| !v.is_wholly_known()))
        {
            return Ok(Preview {
                not_checked: Some("parts of it are known only after apply".to_owned()),
                ..Preview::default()
            });
        }
        let model = Release::decode(proposed, &Path::root())?;
        let values = model.merged()?;
        client.program.major(cx).await?;
        let known = prior.and_then(|p| p.chart_digest.as_deref());
        let same = prior.is_some_and(|p| p.chart == model.chart && p.version == model.version);
        let chart = chart::fetch(cx, &client.program, model.source(), known.filter(|_| same)).await?;
        let target = model.target(client);
        let args = target.template(&model, &chart.path);
        let ran = client
            .program
            .run(cx, &args, &target.environment(), values.to_string().as_bytes())
            .await?;
        if !ran.ok {
            let error = ProviderError::new(ErrorKind::InvalidArgument, model.masked(&ran.stderr));
            return Err(error.operation("helm template").attribute(Path::of(&["values"])));
        }
        Ok(Preview::default())
    }

    fn previews() -> bool {
        true
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        let inputs = ["values", "set", "set_sensitive"];
        let known = inputs
            .iter()
            .all(|n| planned.attribute(n).is_none_or(Value::is_wholly_known));
        let wanted = if known {
            let values = Release::decode(&planned, &Path::root())
                .ok()
                .and_then(|m| m.merged().ok());
            values.map(|v| Value::string(digest_of(&v)).sensitive())
        } else {
            None
        };
        let wanted = wanted.unwrap_or_else(|| Value::unknown(stack_core::Type::String).sensitive());
        let mut planned = planned.with_attribute("values_digest", wanted.clone());
        if let Some(prior) = prior {
            let status = prior.attribute("status").and_then(Value::as_str);
            let changed = prior
                .attribute("values_digest")
                .is_none_or(|d| d.unmarked() != wanted.unmarked());
            if changed || status != Some("deployed") {
                for (name, ty) in [
                    ("status", stack_core::Type::String),
                    ("revision", stack_core::Type::Number),
                    ("app_version", stack_core::Type::String),
                    ("chart_digest", stack_core::Type::String),
                    ("manifest_digest", stack_core::Type::String),
                ] {
                    planned = planned.with_attribute(name, Value::unknown(ty));
                }
            }
        }
        planned.into()
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        if let Some(name) = config.attribute("name").and_then(Value::as_str)
            && (name.is_empty() || name.len() > 53)
        {
            problems.push((Path::of(&["name"]), "must have 1 to 53 characters".to_owned()));
        }
        for name in ["name", "namespace", "repository", "chart", "version"] {
            let sensitive = |value: &Value| value.marks_deep().contains(stack_core::Marks::SENSITIVE);
            if config.attribute(name).is_some_and(sensitive) {
                let text = "cannot be sensitive: it stands in the arguments of the program helm, which others can see";
                problems.push((Path::of(&[name]), text.to_owned()));
            }
        }
        for block in ["set", "set_sensitive"] {
            let settings = config
                .attribute(block)
                .and_then(Value::as_sequence)
                .unwrap_or_default();
            for (index, setting) in settings.iter().enumerate() {
                let ty = setting.attribute("type").and_then(Value::as_str);
                if ty.is_some_and(|t| t != "auto" && t != "string") {
                    let path = Path::of(&[block]).index(index).attribute("type");
                    problems.push((path, "must be auto or string".to_owned()));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(values: &str) -> Value {
        let booleans = [
            "create_namespace",
            "wait",
            "rollback_on_failure",
            "skip_crds",
            "keep_crds",
            "force_conflicts",
        ];
        Value::object(
            [
                ("name", Value::string("r")),
                ("namespace", Value::string("n")),
                ("chart", Value::string("c")),
                ("values", Value::tuple(vec![Value::string(values)])),
                ("timeout", Value::from(300)),
                ("max_history", Value::from(10)),
                ("set", Value::tuple(vec![])),
                ("set_sensitive", Value::tuple(vec![])),
                ("status", Value::string("deployed")),
            ]
            .into_iter()
            .chain(booleans.map(|n| (n, Value::Bool(true))))
            .map(|(n, v)| (n.to_owned(), v)),
        )
    }

    #[test]
    fn the_same_values_in_other_words_change_nothing() {
        let prior = HelmRelease::refine(None, planned("a: 1\nb: {c: x}")).planned;
        let again = HelmRelease::refine(Some(&prior), planned("b:\n  c: x\na: 1.0\n")).planned;
        assert_eq!(prior.attribute("values_digest"), again.attribute("values_digest"));
        assert_eq!(again.attribute("status"), Some(&Value::string("deployed")));
        let other = HelmRelease::refine(Some(&prior), planned("a: 2")).planned;
        assert!(!other.attribute("status").unwrap().is_known());
    }

    #[test]
    fn a_failed_release_is_planned_anew() {
        let prior = HelmRelease::refine(None, planned("a: 1")).planned;
        let prior = prior.with_attribute("status", Value::string("failed"));
        let again = HelmRelease::refine(Some(&prior), planned("a: 1")).planned;
        assert!(!again.attribute("revision").unwrap().is_known());
    }

    #[test]
    fn secrets_do_not_reach_an_error() {
        let mut value = planned("");
        let set = Value::object([
            ("name".into(), Value::string("p")),
            ("value".into(), Value::string("hunter2").sensitive()),
            ("type".into(), Value::string("auto")),
        ]);
        value = value.with_attribute("set_sensitive", Value::tuple(vec![set]));
        let release = Release::decode(&value, &Path::root()).unwrap();
        let error = release.failed("helm upgrade", "Error: got hunter2, want a number");
        assert_eq!(
            error.to_string(),
            "helm upgrade: got (sensitive value), want a number"
        );
    }
}
