//! Paths of the API, and discovery of kinds.

use crate::ObjectRef;

/// What discovery tells of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Name in paths: `deployments`.
    pub(crate) plural: String,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

/// Path of a group and version: `/apis/apps/v1`, `/api/v1`.
pub(crate) fn version_path(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

/// Path of the collection that holds the objects of a kind in one namespace (`None`: in all).
pub(crate) fn collection_path(api_version: &str, kind: &Kind, namespace: Option<&str>) -> String {
    let version = version_path(api_version);
    match namespace.filter(|_| kind.namespaced) {
        Some(namespace) => format!("{version}/namespaces/{namespace}/{}", kind.plural),
        None => format!("{version}/{}", kind.plural),
    }
}

/// Path of the collection that holds this object; a namespace left out is `default`.
pub(crate) fn object_path(object: &ObjectRef, kind: &Kind) -> String {
    let namespace = object.namespace.as_deref().unwrap_or("default");
    collection_path(&object.api_version, kind, Some(namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_api_conventions() {
        let deployments = Kind {
            plural: "deployments".into(),
            namespaced: true,
        };
        let nodes = Kind {
            plural: "nodes".into(),
            namespaced: false,
        };
        assert_eq!(
            collection_path("apps/v1", &deployments, Some("shop")),
            "/apis/apps/v1/namespaces/shop/deployments"
        );
        assert_eq!(
            collection_path("apps/v1", &deployments, None),
            "/apis/apps/v1/deployments"
        );
        assert_eq!(collection_path("v1", &nodes, Some("shop")), "/api/v1/nodes");
    }
}
