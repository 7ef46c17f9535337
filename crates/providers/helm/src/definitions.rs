//! Custom resource definitions that a chart has brought among its templates. Helm's policy keeps them; removing them is a
//! choice of its own.

use std::time::Duration;

use stack_kube::{Kube, ObjectRef, Propagation};
use stack_provider::{Cx, ProviderError};

/// Names of the custom resource definitions in a manifest.
pub(crate) fn named_in(manifest: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Meta {
        name: String,
    }
    #[derive(serde::Deserialize)]
    struct Head {
        kind: String,
        metadata: Meta,
    }
    let documents = manifest
        .split("\n---")
        .filter(|d| d.contains("CustomResourceDefinition"));
    let heads = documents.filter_map(|d| serde_saphyr::from_str::<Head>(d.trim_start_matches("---")).ok());
    heads
        .filter(|h| h.kind == "CustomResourceDefinition")
        .map(|h| h.metadata.name)
        .collect()
}

/// Removes definitions, and with them all objects of their kinds, and waits until they are gone.
///
/// # Errors
/// The server cannot be reached or refuses, or the time is over.
pub(crate) async fn remove(cx: &Cx, kube: &Kube, names: Vec<String>) -> Result<(), ProviderError> {
    let objects: Vec<_> = names
        .into_iter()
        .map(|name| ObjectRef {
            api_version: "apiextensions.k8s.io/v1".into(),
            kind: "CustomResourceDefinition".into(),
            namespace: None,
            name,
        })
        .collect();
    for object in &objects {
        cx.bounded(kube.delete(object, None, Propagation::Background))
            .await??;
    }
    for object in &objects {
        while cx.bounded(kube.get(object)).await??.is_some() {
            cx.progress(&format!("waiting for definition {} to be gone", object.name));
            cx.sleep(Duration::from_millis(300)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_found_in_a_manifest() {
        let manifest = "---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n# Source: b\n\
            apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: gateways.example\n\
            spec: {group: example}\n";
        assert_eq!(named_in(manifest), ["gateways.example"]);
    }
}
