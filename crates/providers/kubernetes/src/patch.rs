//! `kubernetes_patch`

use std::time::Duration;

use stack_core::{Path, Schema, Secret, Value};
use stack_kube::{Json, Kube, ObjectRef, PatchKind};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Preview, ProviderError, Resource, async_trait,
};

use crate::Client;
use crate::former::{Touched, Unfit, addressed, carry, restore};
use crate::json::{merge, overlay, shade, to_json};
use crate::lists::{Merge, project};
use crate::object::{is_leaving, masked, uid};
use crate::ready::{Wait, wait_for};

/// How often an edit is tried again when the object was changed between reading and writing it.
const TRIES: usize = 5;

/// Value of the annotation on an object whose patch is complete.
const IN_FORCE: &str = "in-force";

/// Pause before a patch is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Fields of an object that belongs to others. What they held before is kept, and put back when the resource is
/// destroyed: each field only if it still holds our value.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Patch {
    /// Group and version of the object: `apps/v1`.
    #[schema(replace)]
    pub api_version: String,
    /// Its kind: `Deployment`.
    #[schema(replace)]
    pub kind: String,
    /// Its namespace; none for kinds without, else `default` where left out.
    #[schema(replace)]
    pub namespace: Option<String>,
    /// Its name.
    #[schema(replace)]
    pub name: String,
    /// The fields, as in the object; null removes one. Members of lists such as `containers` and `env` are found by
    /// their merge key (`name`).
    pub patch: Value,
    /// How lists merge: `strategic` by the merge keys of built-in kinds, `merge` as a whole (custom kinds).
    #[schema(name = "type", default = "strategic", replace)]
    pub ty: String,
    /// Name under which the change is recorded in the object.
    #[schema(default = "stack-patch")]
    pub field_manager: String,
    /// What to wait for after every change.
    #[schema(block)]
    pub wait: Option<Wait>,
    /// The object's full name.
    #[schema(computed)]
    pub id: Option<String>,
    /// Identity that the cluster gave the object.
    #[schema(computed)]
    pub uid: Option<String>,
    /// The patched fields as the cluster holds them.
    #[schema(computed, recomputed, sensitive)]
    pub applied: Value,
    /// What every touched field held before, as JSON.
    #[schema(computed, recomputed)]
    pub former: Option<Secret<String>>,
    /// Annotation on the object that says this patch is in force.
    #[schema(computed)]
    pub mark: Option<String>,
}

impl Patch {
    fn reference(&self) -> ObjectRef {
        ObjectRef {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn merge(&self) -> (Merge<'static>, PatchKind) {
        if self.ty == "merge" {
            (Merge::Whole, PatchKind::Merge)
        } else {
            (Merge::Strategic(""), PatchKind::Strategic)
        }
    }

    fn former(&self) -> Result<Vec<Touched>, ProviderError> {
        let Some(text) = &self.former else {
            return Ok(Vec::new());
        };
        serde_json::from_str(text.expose())
            .map_err(|_| ProviderError::internal("the recorded former values cannot be read"))
    }

    fn record(&mut self, touched: &[Touched]) -> Result<(), ProviderError> {
        let text = serde_json::to_string(touched)
            .map_err(|e| ProviderError::internal("the former values cannot be recorded").source(e))?;
        self.former = Some(Secret::new(text));
        Ok(())
    }

    /// The patch with the annotation that marks it. Until the operation is over, the annotation carries what the fields
    /// held before, so that a crash right after the patch does not lose it.
    fn body(&self) -> Json {
        let mut body = to_json(&self.patch);
        if let (Some(mark), Some(former)) = (&self.mark, &self.former) {
            merge(&mut body, annotation(mark, former.expose()));
        }
        body
    }

    fn settled(mut self, live: &Json, touched: Vec<Touched>) -> Result<Self, ProviderError> {
        let touched: Vec<_> = touched.into_iter().map(|t| t.settled(live)).collect();
        self.record(&touched)?;
        let seen = project(&to_json(&self.patch), live, self.merge().0);
        self.applied = shade(crate::json::from_json(&seen), &self.patch).sensitive();
        self.id = Some(self.reference().to_string());
        self.uid = uid(live);
        Ok(self)
    }
}

fn annotation(mark: &str, value: &str) -> Json {
    serde_json::json!({"metadata": {"annotations": {mark: value}}})
}

/// Former values that an operation has left in the object because it was cut off.
fn left_in(live: &Json, mark: Option<&String>) -> Option<Vec<Touched>> {
    let value = live["metadata"]["annotations"].get(mark?)?.as_str()?;
    serde_json::from_str(value).ok()
}

fn unfit(error: Unfit, object: &ObjectRef) -> ProviderError {
    let text = match error {
        Unfit::Directive(name) => {
            format!(
                "{name} is a directive; a patch here sets and removes fields only, so that it can be undone"
            )
        }
        Unfit::UnknownContainer { name, known } => format!(
            "{} {} has no container {name:?}, and a patch does not add one; it has {}",
            object.kind,
            object.name,
            known.join(", ")
        ),
    };
    ProviderError::invalid("patch", text)
}

fn absent(object: &ObjectRef) -> ProviderError {
    let place = object
        .namespace
        .as_ref()
        .map(|n| format!(" in namespace {n}"))
        .unwrap_or_default();
    let text = format!("there is no {} {}{place} to patch", object.kind, object.name);
    ProviderError::new(ErrorKind::NotFound, text)
}

async fn live(cx: &Cx, kube: &Kube, object: &ObjectRef) -> Result<Option<Json>, ProviderError> {
    let live = cx.bounded(kube.get(object)).await??;
    Ok(live.filter(|l| !is_leaving(l)))
}

/// Puts former values back and takes the mark off. Tells what was left alone.
async fn undo(
    cx: &Cx,
    kube: &Kube,
    model: &Patch,
    touched: &[Touched],
    mark: Option<&str>,
) -> Result<(), ProviderError> {
    let object = model.reference();
    for _ in 0..TRIES {
        let Some(before) = live(cx, kube, &object).await? else {
            return Ok(());
        };
        if model.uid.is_some() && uid(&before) != model.uid {
            return Ok(());
        }
        let mut edited = before.clone();
        let left = restore(&mut edited, touched);
        if let Some(mark) = mark {
            remove_mark(&mut edited, mark);
        }
        if edited != before {
            match cx
                .bounded(kube.replace(&object, &edited, &model.field_manager, false))
                .await?
            {
                Ok(_) => {}
                Err(error) if error.code == 409 => continue,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(ProviderError::from(error).operation("restore")),
            }
        }
        if !left.is_empty() {
            cx.progress(&format!(
                "warning: left as others have set it: {}",
                left.join(", ")
            ));
        }
        return Ok(());
    }
    Err(ProviderError::new(
        ErrorKind::Conflict,
        format!(
            "{} {} keeps changing while its fields are put back",
            object.kind, object.name
        ),
    ))
}

fn remove_mark(object: &mut Json, mark: &str) {
    let annotations = object
        .pointer_mut("/metadata/annotations")
        .and_then(Json::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.remove(mark);
        if annotations.is_empty()
            && let Some(meta) = object["metadata"].as_object_mut()
        {
            meta.remove("annotations");
        }
    }
}

/// Sends the patch, again and again while the answer is lost: called anew from outside, it would take our values for
/// the former ones.
async fn send(cx: &Cx, kube: &Kube, model: &Patch) -> Result<Json, ProviderError> {
    let (object, body, kind) = (model.reference(), model.body(), model.merge().1);
    for attempt in 1.. {
        let sent = kube.patch(&object, kind, &body, &model.field_manager, false);
        match cx.bounded(sent).await? {
            Ok(live) => return Ok(live),
            Err(error) if error.kind.is_retryable() && attempt < TRIES => {
                cx.progress(&format!("trying again: {error}"));
                cx.sleep(RETRY_PAUSE).await?;
            }
            Err(error) => {
                let invalid = error.kind == ErrorKind::InvalidArgument;
                let mut error = ProviderError::from(error).operation("patch");
                error.message = masked(&error.message, &[&model.patch]);
                return Err(if invalid {
                    error.attribute(Path::of(&["patch"]))
                } else {
                    error
                });
            }
        }
    }
    Err(ProviderError::internal("the patch was not sent"))
}

/// Records the former values durably, then patches, then waits.
async fn put(cx: &Cx, kube: &Kube, mut model: Patch, touched: Vec<Touched>) -> Result<Patch, Failure<Patch>> {
    let object = model.reference();
    model.record(&touched)?;
    model.id = Some(object.to_string());
    // Without this a crash right after the patch would take our values for the former ones.
    cx.partial(&model).await?;
    let live = match send(cx, kube, &model).await {
        Ok(live) => live,
        // It may have taken effect: the former values must not get lost.
        Err(error) if error.kind.is_retryable() => return Err(Failure::with(error, model)),
        Err(error) => return Err(error.into()),
    };
    let model = model.settled(&live, touched)?;
    if let Some(wait) = &model.wait
        && let Err(error) = wait_for(cx, kube, &object, wait).await
    {
        return Err(Failure::with(error, model));
    }
    if let Some(mark) = &model.mark {
        let done = annotation(mark, IN_FORCE);
        let tidied = kube.patch(&object, PatchKind::Merge, &done, &model.field_manager, false);
        // The patch is in force either way; what stays in the annotation goes with the next change.
        let _ = cx.bounded(tidied).await?;
    }
    Ok(model)
}

/// The annotation of a create attempt.
fn mark_of(owner: &Owner) -> String {
    let token: String = owner
        .token
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    format!("stack/patch-{token}")
}

/// The resource type `kubernetes_patch`.
pub(crate) struct KubernetesPatch;

#[async_trait]
impl Resource for KubernetesPatch {
    const TYPE: &'static str = "kubernetes_patch";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 5.0;
    type Model = Patch;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, prior: &Patch) -> Result<Option<Patch>, ProviderError> {
        let kube = client.access.session(cx).await?;
        let Some(live) = live(cx, &kube, &prior.reference()).await? else {
            return Ok(None);
        };
        let marked = |mark: &String| live["metadata"]["annotations"].get(mark).is_some();
        let replaced = prior.uid.is_some() && uid(&live) != prior.uid;
        if replaced || !prior.mark.as_ref().is_none_or(marked) {
            return Ok(None);
        }
        let now = project(&to_json(&prior.patch), &live, prior.merge().0);
        let recorded = to_json(&prior.applied);
        let mut model = prior.clone();
        if let Some(left) = left_in(&live, prior.mark.as_ref()) {
            let settled: Vec<_> = left.into_iter().map(|t| t.settled(&live)).collect();
            model.record(&settled)?;
        }
        if recorded != now {
            let whole = Value::object([]);
            model.patch = overlay(&prior.patch, Some(&recorded), Some(&now)).unwrap_or(whole);
            model.applied = shade(crate::json::from_json(&now), &prior.patch).sensitive();
        }
        Ok(Some(model))
    }

    async fn create(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        mut planned: Patch,
    ) -> Result<Patch, Failure<Patch>> {
        let kube = client.access.session(cx).await?;
        let object = planned.reference();
        let Some(live) = live(cx, &kube, &object).await? else {
            return Err(absent(&object).into());
        };
        planned.uid = uid(&live);
        planned.mark = Some(mark_of(owner));
        let fields = addressed(&to_json(&planned.patch), &live, planned.merge().0);
        let earlier = left_in(&live, planned.mark.as_ref()).unwrap_or_default();
        let (touched, _) = carry(earlier, fields.map_err(|e| unfit(e, &object))?);
        put(cx, &kube, planned, touched).await
    }

    async fn update(
        cx: &Cx,
        client: &Client,
        prior: &Patch,
        mut planned: Patch,
    ) -> Result<Patch, Failure<Patch>> {
        let kube = client.access.session(cx).await?;
        let object = planned.reference();
        let Some(before) = live(cx, &kube, &object).await? else {
            return Err(absent(&object).into());
        };
        let fields = addressed(&to_json(&planned.patch), &before, planned.merge().0);
        let earlier = match left_in(&before, prior.mark.as_ref()) {
            Some(left) => left,
            None => prior.former()?,
        };
        let (touched, dropped) = carry(earlier, fields.map_err(|e| unfit(e, &object))?);
        planned.uid.clone_from(&prior.uid);
        planned.mark.clone_from(&prior.mark);
        if !dropped.is_empty() {
            undo(cx, &kube, prior, &dropped, None).await?;
        }
        put(cx, &kube, planned, touched).await
    }

    async fn delete(cx: &Cx, client: &Client, prior: &Patch) -> Result<(), ProviderError> {
        let kube = client.access.session(cx).await?;
        undo(cx, &kube, prior, &prior.former()?, prior.mark.as_deref()).await
    }

    async fn find(
        cx: &Cx,
        client: &Client,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Patch>, ProviderError> {
        let known = ["api_version", "kind", "name"]
            .iter()
            .all(|n| planned.attribute(n).is_some_and(Value::is_known));
        if !known || planned.attribute("namespace").is_some_and(|n| !n.is_known()) {
            return Ok(None);
        }
        let mut model = <Patch as stack_core::Decode>::decode(planned, &Path::root())?;
        let kube = client.access.session(cx).await?;
        let Some(live) = live(cx, &kube, &model.reference()).await? else {
            return Ok(None);
        };
        let mark = mark_of(owner);
        if live["metadata"]["annotations"].get(&mark).is_none() {
            return Ok(None);
        }
        model.mark = Some(mark);
        let former = left_in(&live, model.mark.as_ref()).unwrap_or_default();
        Ok(Some(model.settled(&live, former)?))
    }

    async fn preview(
        cx: &Cx,
        client: &Client,
        _: Option<&Patch>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let not_checked = |why: &str| Preview {
            not_checked: Some(why.to_owned()),
            ..Preview::default()
        };
        let known = ["api_version", "kind", "namespace", "name", "patch"];
        if known
            .iter()
            .any(|n| proposed.attribute(n).is_some_and(|v| !v.is_wholly_known()))
        {
            return Ok(not_checked("parts of it are known only after apply"));
        }
        let model = <Patch as stack_core::Decode>::decode(proposed, &Path::root())?;
        let object = model.reference();
        let kube = client.access.session(cx).await?;
        let Some(live) = live(cx, &kube, &object).await? else {
            return Ok(not_checked(&format!(
                "{} {} does not exist yet",
                object.kind, object.name
            )));
        };
        let (merge, kind) = model.merge();
        addressed(&to_json(&model.patch), &live, merge).map_err(|e| unfit(e, &object))?;
        match cx
            .bounded(kube.patch(&object, kind, &model.body(), &model.field_manager, true))
            .await?
        {
            Ok(_) => Ok(Preview::default()),
            Err(error) if error.kind.is_retryable() => Ok(not_checked(&error.message)),
            Err(error) => {
                let mut error = ProviderError::from(error).operation("patch");
                error.message = masked(&error.message, &[&model.patch]);
                Err(error.attribute(Path::of(&["patch"])))
            }
        }
    }

    fn previews() -> bool {
        true
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        match config.attribute("patch") {
            Some(patch) if !patch.is_known() || patch.as_mapping().is_some() => {}
            _ => problems.push((
                Path::of(&["patch"]),
                "must be an object with the fields to set".into(),
            )),
        }
        if let Some(ty) = config.attribute("type").and_then(Value::as_str)
            && ty != "strategic"
            && ty != "merge"
        {
            problems.push((Path::of(&["type"]), "must be strategic or merge".into()));
        }
        problems
    }
}
