//! What a cluster records of a release: one Secret a revision, whose labels say what `helm status` would.

use std::collections::BTreeMap;

use stack_kube::{Json, Kube, KubeError, Selection};
use stack_provider::Owner;

/// Label with the lineage of the state that the release belongs to.
pub(crate) const LINEAGE: &str = "stack-lineage";
/// Label with the token of the create attempt that made the release.
pub(crate) const TOKEN: &str = "stack-token";

/// The newest revision of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its number, from 1.
    pub(crate) revision: i64,
    /// `deployed`, `failed`, `pending-install`, `pending-upgrade`, `pending-rollback`, `uninstalling`, …
    pub(crate) status: String,
    /// When it was written last, in seconds since 1970.
    pub(crate) modified: Option<i64>,
    /// Number of the newest revision that can be rolled back to.
    pub(crate) good: Option<i64>,
    labels: BTreeMap<String, String>,
}

impl Record {
    #[cfg(test)]
    pub(crate) fn for_tests(
        revision: i64,
        status: &str,
        good: Option<i64>,
        labels: BTreeMap<String, String>,
    ) -> Self {
        Self {
            revision,
            status: status.to_owned(),
            modified: None,
            good,
            labels,
        }
    }

    /// Whether the release carries the marks of this create attempt.
    pub(crate) fn is_of(&self, owner: &Owner) -> bool {
        self.labels.get(LINEAGE) == Some(&owner.lineage) && self.labels.get(TOKEN) == Some(&owner.token)
    }

    /// Whether an operation was begun that has not ended.
    pub(crate) fn is_pending(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }
}

/// The newest revision of a release; `None` where there is no release.
///
/// # Errors
/// The server cannot be reached or refuses.
pub(crate) async fn newest(kube: &Kube, namespace: &str, name: &str) -> Result<Option<Record>, KubeError> {
    let labels = format!("owner=helm,name={name}");
    let selection = Selection {
        namespace: Some(namespace),
        labels: Some(&labels),
    };
    let secrets = kube.list_metadata("v1", "Secret", &selection).await?;
    Ok(fold(&secrets))
}

fn fold(secrets: &[Json]) -> Option<Record> {
    let mut revisions: Vec<_> = secrets
        .iter()
        .filter_map(|secret| {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(secret["metadata"]["labels"].clone()).ok()?;
            Some((labels.get("version")?.parse::<i64>().ok()?, labels))
        })
        .collect();
    revisions.sort_by_key(|(revision, _)| *revision);
    let status = |labels: &BTreeMap<String, String>| labels.get("status").cloned().unwrap_or_default();
    let good = revisions
        .iter()
        .rev()
        .find(|(_, labels)| matches!(status(labels).as_str(), "deployed" | "superseded"))
        .map(|(revision, _)| *revision);
    let (revision, labels) = revisions.pop()?;
    Some(Record {
        revision,
        status: status(&labels),
        modified: labels.get("modifiedAt").and_then(|t| t.parse().ok()),
        good,
        labels,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(version: &str, status: &str) -> Json {
        json!({"metadata": {"labels": {"owner": "helm", "name": "r", "version": version, "status": status,
            "modifiedAt": "1795471654", "stack-lineage": "l", "stack-token": "t"}}})
    }

    #[test]
    fn the_newest_revision_counts() {
        let secrets = [
            secret("9", "superseded"),
            secret("11", "pending-upgrade"),
            secret("10", "deployed"),
        ];
        let record = fold(&secrets).unwrap();
        assert_eq!((record.revision, record.good), (11, Some(10)));
        assert!(record.is_pending());
        assert_eq!(record.modified, Some(1_795_471_654));
        assert_eq!(fold(&[]), None);
    }
}
