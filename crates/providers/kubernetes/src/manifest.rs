//! `kubernetes_manifest`

use std::collections::BTreeMap;
use std::time::Duration;

use stack_core::{Path, Schema, Value};
use stack_kube::{Apply, Json, Kube, KubeError, ObjectRef, Propagation};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Preview, ProviderError, Refined, Resource, async_trait,
};

use crate::Client;
use crate::json::from_json;
use crate::object::{self, reference, uid};
use crate::ready::{Wait, check_fields, wait_for};
use crate::refresh::{self, refreshed};

/// How long a kind that the cluster does not serve yet is waited for: its definition may have been made a moment ago.
const DEFINITION: Duration = Duration::from_secs(60);

/// An object, kept as configured by server-side apply. Only the configured fields are compared with the cluster;
/// everything that others add is left alone.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Manifest {
    /// The object, with `apiVersion`, `kind` and `metadata.name`; a text in YAML goes through `yamldecode`. Another
    /// API group, `kind`, name or namespace means another object.
    pub manifest: Value,
    /// Parts of the object that are secret, merged over `manifest`: `{ stringData = { password = var.password } }`.
    #[schema(sensitive)]
    pub sensitive_manifest: Value,
    /// Name under which the fields are owned.
    #[schema(default = "stack")]
    pub field_manager: String,
    /// Take over fields that another manager owns. Fields that were ours before are always taken back.
    #[schema(default = false)]
    pub force_conflicts: bool,
    /// How dependents go when the object is deleted: `Background`, `Foreground` or `Orphan`.
    #[schema(default = "Background")]
    pub propagation: String,
    /// What to wait for after every apply.
    #[schema(block)]
    pub wait: Option<Wait>,
    /// The object's full name, as `import` takes it.
    #[schema(computed)]
    pub id: Option<String>,
    /// Identity that the cluster gave the object.
    #[schema(computed)]
    pub uid: Option<String>,
    /// The configured fields as the cluster holds them (`1000m` may read `1`).
    #[schema(computed, recomputed)]
    pub object: Value,
    /// Lineage and token that the object is marked with.
    #[schema(computed)]
    pub ownership: Option<BTreeMap<String, String>>,
}

impl Manifest {
    pub(crate) fn reference(&self) -> Result<ObjectRef, ProviderError> {
        reference(&self.manifest).ok_or_else(|| {
            ProviderError::invalid(
                "manifest",
                "apiVersion, kind and metadata.name must be set, as texts",
            )
        })
    }

    fn body(&self) -> Json {
        object::owned(
            object::configured(&self.manifest, &self.sensitive_manifest),
            self.ownership.as_ref(),
        )
    }

    pub(crate) fn seen(&self, live: &Json) -> Json {
        object::seen(
            &self.manifest,
            &self.sensitive_manifest,
            live,
            &self.field_manager,
        )
    }

    /// The model with what the cluster says of the object.
    fn settled(mut self, live: &Json) -> Self {
        let seen = self.seen(live);
        self.object = object::seen_value(&self.manifest, &self.sensitive_manifest, &seen);
        self.id = reference(&self.manifest).map(|r| r.to_string());
        self.uid = uid(live);
        self
    }

    fn propagation(&self) -> Propagation {
        match self.propagation.as_str() {
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            _ => Propagation::Background,
        }
    }

    /// Whether a path that the server names in a conflict (`.spec.replicas`) was configured.
    fn configures(&self, path: &str) -> bool {
        let plain = path.split('[').next().unwrap_or_default();
        let names = plain.trim_start_matches('.').split('.').filter(|n| !n.is_empty());
        let body = object::configured(&self.manifest, &self.sensitive_manifest);
        let mut at = Some(&body);
        for name in names {
            at = at.and_then(|part| part.get(name));
        }
        at.is_some()
    }
}

/// An apply's error for the user: conflicts name the other managers and the way out.
fn told(error: KubeError, model: &Manifest) -> ProviderError {
    if !error.is_field_conflict() {
        let invalid = error.kind == ErrorKind::InvalidArgument;
        let mut error = ProviderError::from(error).operation("apply");
        error.message = object::masked(&error.message, &[&model.manifest, &model.sensitive_manifest]);
        return if invalid {
            error.attribute(Path::of(&["manifest"]))
        } else {
            error
        };
    }
    let fields: Vec<_> = error
        .causes
        .iter()
        .map(|c| format!("{}: {}", c.field, c.message))
        .collect();
    let text = format!(
        "others own fields of the manifest ({}); leave the fields out, or set force_conflicts = true to take them over",
        fields.join("; ")
    );
    ProviderError::invalid("manifest", text).operation("apply")
}

async fn apply(
    cx: &Cx,
    kube: &Kube,
    model: &Manifest,
    prior: Option<&Manifest>,
) -> Result<Json, ProviderError> {
    let body = model.body();
    let mut options = Apply {
        manager: &model.field_manager,
        force: model.force_conflicts,
        dry_run: false,
    };
    match cx.bounded(kube.apply(&body, &options)).await? {
        Ok(live) => Ok(live),
        Err(error) if error.is_field_conflict() && retakes(&error, prior) => {
            options.force = true;
            cx.bounded(kube.apply(&body, &options))
                .await?
                .map_err(|e| told(e, model))
        }
        Err(error) => Err(told(error, model)),
    }
}

/// Whether every field in conflict was ours before: then somebody has changed it by hand, which is drift to repair.
fn retakes(error: &KubeError, prior: Option<&Manifest>) -> bool {
    prior.is_some_and(|prior| error.causes.iter().all(|c| prior.configures(&c.field)))
}

async fn finish(cx: &Cx, kube: &Kube, model: Manifest, live: &Json) -> Result<Manifest, Failure<Manifest>> {
    let model = model.settled(live);
    let Some(wait) = &model.wait else { return Ok(model) };
    let reference = model.reference()?;
    match wait_for(cx, kube, &reference, wait).await {
        Ok(live) => Ok(model.settled(&live)),
        Err(error) => Err(Failure::with(error, model)),
    }
}

fn foreign(reference: &ObjectRef) -> ProviderError {
    ProviderError::new(
        ErrorKind::AlreadyExists,
        format!(
            "{} {} exists and was not made by this resource; take it over with an `import` block, id '{reference}', \
             or choose another name",
            reference.kind, reference.name
        ),
    )
}

/// The resource type `kubernetes_manifest`.
pub(crate) struct KubernetesManifest;

#[async_trait]
impl Resource for KubernetesManifest {
    const TYPE: &'static str = "kubernetes_manifest";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 0.3;
    const READS_TOGETHER: bool = true;
    type Model = Manifest;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, prior: &Manifest) -> Result<Option<Manifest>, ProviderError> {
        let kube = client.access.session(cx).await?;
        let live = cx.bounded(kube.get(&prior.reference()?)).await??;
        Ok(live.and_then(|live| refreshed(prior, &live)))
    }

    async fn read_many(
        cx: &Cx,
        client: &Client,
        priors: &[Manifest],
    ) -> Vec<Result<Option<Manifest>, ProviderError>> {
        let listed = refresh::list(cx, client, priors).await;
        let reads = priors.iter().map(async |prior| match listed.get(prior) {
            Some(live) => Ok(refreshed(prior, live)),
            None => Self::read(cx, client, prior).await,
        });
        futures::future::join_all(reads).await
    }

    async fn create(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        mut planned: Manifest,
    ) -> Result<Manifest, Failure<Manifest>> {
        let reference = planned.reference()?;
        let kube = client.access.session(cx).await?;
        await_definition(cx, &kube, &reference).await?;
        if let Some(live) = cx
            .bounded(kube.get(&reference))
            .await?
            .map_err(ProviderError::from)?
        {
            if object::is_leaving(&live) {
                let text = format!(
                    "{} {} of that name is still being removed",
                    reference.kind, reference.name
                );
                return Err(ProviderError::new(ErrorKind::Conflict, text).into());
            }
            if !object::is_owned(&live, &owner.lineage, &owner.token) {
                return Err(foreign(&reference).into());
            }
        }
        planned.ownership = Some(BTreeMap::from([
            ("lineage".to_owned(), owner.lineage.clone()),
            ("token".to_owned(), owner.token.clone()),
        ]));
        let live = apply(cx, &kube, &planned, None).await?;
        let made = planned.clone().settled(&live);
        cx.partial(&made).await?;
        finish(cx, &kube, planned, &live).await
    }

    async fn update(
        cx: &Cx,
        client: &Client,
        prior: &Manifest,
        mut planned: Manifest,
    ) -> Result<Manifest, Failure<Manifest>> {
        if !planned.reference()?.is_same(&prior.reference()?) {
            let text = "the manifest names another object than planned; plan again";
            return Err(ProviderError::invalid("manifest", text).into());
        }
        planned.ownership.clone_from(&prior.ownership);
        let kube = client.access.session(cx).await?;
        let live = apply(cx, &kube, &planned, Some(prior)).await?;
        finish(cx, &kube, planned, &live).await
    }

    async fn delete(cx: &Cx, client: &Client, prior: &Manifest) -> Result<(), ProviderError> {
        let reference = prior.reference()?;
        let kube = client.access.session(cx).await?;
        cx.bounded(kube.delete(&reference, prior.uid.as_deref(), prior.propagation()))
            .await??;
        let what = format!("waiting for {} {} to be gone", reference.kind, reference.name);
        while let Some(live) = cx.bounded(kube.get(&reference)).await?? {
            if prior.uid.is_some() && uid(&live) != prior.uid {
                break;
            }
            cx.progress(&what);
            cx.sleep(Duration::from_millis(300)).await?;
        }
        Ok(())
    }

    async fn find(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Manifest>, ProviderError> {
        let Some(reference) = planned.attribute("manifest").and_then(reference) else {
            return Ok(None);
        };
        let kube = client.access.session(cx).await?;
        let Some(live) = cx.bounded(kube.get(&reference)).await?? else {
            return Ok(None);
        };
        if !object::is_owned(&live, &owner.lineage, &owner.token) || object::is_leaving(&live) {
            return Ok(None);
        }
        let mut model = <Manifest as stack_core::Decode>::decode(planned, &Path::root())?;
        model.ownership = Some(BTreeMap::from([
            ("lineage".to_owned(), owner.lineage.clone()),
            ("token".to_owned(), owner.token.clone()),
        ]));
        Ok(Some(model.settled(&live)))
    }

    async fn import(cx: &Cx, client: &Client, id: &str) -> Result<Manifest, ProviderError> {
        let Some(reference) = ObjectRef::parse(id) else {
            let text =
                "the id of an object is written apiVersion=apps/v1,kind=Deployment,namespace=shop,name=cart";
            return Err(ProviderError::new(ErrorKind::InvalidArgument, text));
        };
        let kube = client.access.session(cx).await?;
        let Some(live) = cx.bounded(kube.get(&reference)).await?? else {
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no {id}"),
            ));
        };
        let mut meta = serde_json::json!({"name": reference.name});
        if let Some(namespace) = &reference.namespace {
            meta["namespace"] = namespace.as_str().into();
        }
        let manifest = serde_json::json!({"apiVersion": reference.api_version, "kind": reference.kind, "metadata": meta});
        let model = Manifest {
            manifest: from_json(&manifest),
            sensitive_manifest: Value::NULL,
            field_manager: "stack".into(),
            force_conflicts: false,
            propagation: "Background".into(),
            wait: None,
            id: None,
            uid: None,
            object: Value::NULL,
            ownership: None,
        };
        Ok(model.settled(&live))
    }

    async fn preview(
        cx: &Cx,
        client: &Client,
        prior: Option<&Manifest>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let parts = ["manifest", "sensitive_manifest"].map(|name| proposed.attribute(name));
        if parts.iter().flatten().any(|part| !part.is_wholly_known()) {
            return Ok(not_checked("parts of it are known only after apply"));
        }
        let mut model = <Manifest as stack_core::Decode>::decode(proposed, &Path::root())?;
        model.ownership = prior.and_then(|p| p.ownership.clone());
        preview(cx, client, prior, &model).await
    }

    fn previews() -> bool {
        true
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        let manifest = |value: &Value| value.attribute("manifest").cloned();
        let before = prior.and_then(manifest).as_ref().and_then(reference);
        let Some(wanted) = manifest(&planned) else {
            return planned.into();
        };
        let after = reference(&wanted);
        let mut replace = Vec::new();
        if let (Some(before), Some(after)) = (&before, &after)
            && !before.is_same(after)
        {
            replace.push(Path::of(&["manifest"]));
        }
        let sealed = object::is_secret_manifest(&wanted).then(|| object::seal_secret(&wanted));
        let mut planned = match sealed {
            Some(sealed) => planned.with_attribute("manifest", sealed),
            None => planned,
        };
        if let (true, Some(after)) = (before != after, after) {
            planned = planned.with_attribute("id", Value::string(after.to_string()));
        }
        Refined { planned, replace }
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        let mut problem = |name: &str, text: &str| problems.push((Path::of(&[name]), text.to_owned()));
        match config.attribute("manifest") {
            None => problem("manifest", "is not set"),
            Some(manifest) if manifest.is_null() => problem("manifest", "is not set"),
            Some(manifest) if manifest.is_known() => {
                if manifest.as_mapping().is_none() {
                    problem(
                        "manifest",
                        "must be an object; a text in YAML goes through yamldecode",
                    );
                } else {
                    for name in ["apiVersion", "kind", "metadata"] {
                        if manifest.attribute(name).is_none_or(Value::is_null) {
                            problem("manifest", &format!("{name} is not set"));
                        }
                    }
                }
                if let Some(meta) = manifest
                    .attribute("metadata")
                    .filter(|m| m.as_mapping().is_some())
                    && meta.attribute("name").is_none_or(Value::is_null)
                {
                    problem(
                        "manifest",
                        "metadata.name is not set; names are never made up here",
                    );
                }
                if manifest.attribute("status").is_some_and(|s| !s.is_null()) {
                    problem(
                        "manifest",
                        "status belongs to the cluster and cannot be configured",
                    );
                }
            }
            Some(_) => {}
        }
        if let Some(text) = config.attribute("propagation").and_then(Value::as_str)
            && !["Background", "Foreground", "Orphan"].contains(&text)
        {
            problem("propagation", "must be Background, Foreground or Orphan");
        }
        let wait = config.attribute("wait").filter(|w| !w.is_null());
        problems.extend(check_fields(
            wait.and_then(|w| w.attribute("fields")),
            &Path::of(&["wait", "fields"]),
        ));
        problems
    }
}

/// Waits until the cluster serves the kind.
async fn await_definition(cx: &Cx, kube: &Kube, reference: &ObjectRef) -> Result<(), ProviderError> {
    let until = tokio::time::Instant::now() + DEFINITION;
    while !cx
        .bounded(kube.serves(&reference.api_version, &reference.kind))
        .await??
    {
        if tokio::time::Instant::now() > until {
            let text = format!(
                "the cluster does not serve {} of {}; check the spelling, or make its definition first",
                reference.kind, reference.api_version
            );
            return Err(ProviderError::invalid("manifest", text));
        }
        cx.progress(&format!("waiting for the definition of {}", reference.kind));
        cx.sleep(Duration::from_millis(500)).await?;
    }
    Ok(())
}

fn not_checked(why: &str) -> Preview {
    Preview {
        not_checked: Some(why.to_owned()),
        ..Preview::default()
    }
}

async fn preview(
    cx: &Cx,
    client: &Client,
    prior: Option<&Manifest>,
    model: &Manifest,
) -> Result<Preview, ProviderError> {
    let reference = model.reference()?;
    let kube = client.access.session(cx).await?;
    if !cx
        .bounded(kube.serves(&reference.api_version, &reference.kind))
        .await??
    {
        return Ok(not_checked(&format!(
            "definition of {} is absent from the cluster",
            reference.kind
        )));
    }
    let mut out = Preview::default();
    if prior.is_none_or(|p| !p.reference().is_ok_and(|r| r.is_same(&reference)))
        && cx
            .bounded(kube.get(&reference))
            .await??
            .is_some_and(|live| !object::is_leaving(&live))
    {
        out.warnings
            .push((Path::of(&["manifest"]), foreign(&reference).message));
        return Ok(out);
    }
    let body = model.body();
    let options = Apply {
        manager: &model.field_manager,
        force: model.force_conflicts,
        dry_run: true,
    };
    match cx.bounded(kube.apply(&body, &options)).await? {
        Ok(_) => Ok(out),
        Err(error) if error.is_field_conflict() && retakes(&error, prior) => Ok(out),
        // What the object needs (its namespace, a webhook) may come with the same plan.
        Err(error) if error.kind.is_retryable() || error.is_not_found() => Ok(not_checked(&error.message)),
        Err(error) => Err(told(error, model)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(name: &str) -> Value {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        Value::object([
            ("manifest".into(), from_json(&manifest)),
            ("id".into(), Value::unknown(stack_core::Type::String)),
        ])
    }

    #[test]
    fn another_name_is_another_object() {
        let refined = KubernetesManifest::refine(Some(&value("a")), value("b"));
        assert_eq!(refined.replace, [Path::of(&["manifest"])]);
        assert_eq!(
            refined.planned.attribute("id"),
            Some(&Value::string("apiVersion=v1,kind=ConfigMap,name=b"))
        );
        assert_eq!(
            KubernetesManifest::refine(Some(&value("a")), value("a")).replace,
            []
        );
    }

    #[test]
    fn data_of_a_secret_is_sealed_wherever_it_stands() {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"password": "hunter2"}});
        let planned = Value::object([("manifest".into(), from_json(&manifest))]);
        let refined = KubernetesManifest::refine(None, planned);
        assert!(!format!("{:?}", refined.planned).contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_a_manifest_is_said_early() {
        let texts = |manifest: Value| {
            let config = Value::object([("manifest".into(), manifest)]);
            let found = KubernetesManifest::validate(&config);
            found.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts(Value::NULL), ["is not set"]);
        assert!(texts(Value::string("kind: x"))[0].contains("yamldecode"));
        assert_eq!(
            texts(from_json(&json!({"apiVersion": "v1", "kind": "X"}))),
            ["metadata is not set"]
        );
        assert_eq!(
            texts(Value::unknown(stack_core::Type::Dynamic)),
            Vec::<String>::new()
        );
    }
}
