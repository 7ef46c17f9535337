//! Reading many objects with few calls, and what has become of each.

use std::collections::{BTreeMap, HashMap};

use stack_kube::{Json, Selection};
use stack_provider::Cx;

use crate::Client;
use crate::json::{overlay, to_json};
use crate::manifest::Manifest;
use crate::object::{self, LABEL, uid};

/// So many objects of one kind in one namespace are read by one list instead of one by one.
const WORTH_A_LIST: usize = 3;

/// Objects that lists have brought, by uid.
#[derive(Default)]
pub(crate) struct Listed(HashMap<String, Json>);

impl Listed {
    /// The object as it is now; `None`: no list has brought it.
    pub(crate) fn get(&self, prior: &Manifest) -> Option<&Json> {
        self.0.get(prior.uid.as_ref()?)
    }
}

/// Lists the objects of every kind that occurs often, by the label of their lineage. A list that fails brings nothing:
/// reading one by one then tells why.
pub(crate) async fn list(cx: &Cx, client: &Client, priors: &[Manifest]) -> Listed {
    let mut groups: BTreeMap<_, usize> = BTreeMap::new();
    for prior in priors {
        let lineage = prior.ownership.as_ref().and_then(|o| o.get("lineage"));
        if let (Ok(object), Some(lineage)) = (prior.reference(), lineage) {
            *groups
                .entry((object.api_version, object.kind, object.namespace, lineage))
                .or_default() += 1;
        }
    }
    groups.retain(|_, count| *count >= WORTH_A_LIST);
    let mut listed = Listed::default();
    if groups.is_empty() {
        return listed;
    }
    let Ok(kube) = client.access.session(cx).await else {
        return listed;
    };
    let lists = groups
        .into_keys()
        .map(async |(api_version, kind, namespace, lineage)| {
            let labels = format!("{LABEL}={lineage}");
            let selection = Selection {
                namespace: namespace.as_deref(),
                labels: Some(&labels),
            };
            let objects = cx.bounded(kube.list(&api_version, &kind, &selection)).await;
            objects.ok().and_then(Result::ok).unwrap_or_default()
        });
    for object in futures::future::join_all(lists).await.into_iter().flatten() {
        if let Some(uid) = uid(&object) {
            listed.0.insert(uid, object);
        }
    }
    listed
}

/// The object as it is now, with what has changed in it since it was recorded. `None`: it is not ours any more.
pub(crate) fn refreshed(prior: &Manifest, live: &Json) -> Option<Manifest> {
    let replaced = prior.uid.is_some() && prior.uid != uid(live);
    if replaced || object::is_leaving(live) {
        return None;
    }
    let mut model = prior.clone();
    let now = model.seen(live);
    let recorded = to_json(&prior.object);
    if prior.object.is_known() && !prior.object.is_null() && recorded != now {
        let (recorded, now) = (Some(&recorded), Some(&now));
        if let Some(drifted) = overlay(&prior.manifest, recorded, now) {
            model.manifest = drifted;
        }
        if !prior.sensitive_manifest.is_null()
            && let Some(drifted) = overlay(&prior.sensitive_manifest, recorded, now)
        {
            model.sensitive_manifest = drifted.sensitive();
        }
    }
    let shaped = object::seen_value(&prior.manifest, &prior.sensitive_manifest, &now);
    Some(Manifest {
        object: shaped,
        uid: uid(live),
        ..model
    })
}
