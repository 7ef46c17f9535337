//! `kubernetes_resource`

use stack_core::{Schema, Value};
use stack_kube::ObjectRef;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use crate::Client;
use crate::json::from_json;
use crate::object::seal_secret;

/// An object as it is.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Lookup {
    /// Group and version: `apps/v1`.
    pub api_version: String,
    /// Kind: `Deployment`.
    pub kind: String,
    /// Namespace; none for kinds without, else `default` where left out.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// The whole object; the data of a Secret is sensitive.
    #[schema(computed)]
    pub object: Value,
}

/// The data source `kubernetes_resource`.
pub(crate) struct KubernetesResource;

#[async_trait]
impl DataSource for KubernetesResource {
    const TYPE: &'static str = "kubernetes_resource";
    type Model = Lookup;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: Lookup) -> Result<Lookup, ProviderError> {
        let object = ObjectRef {
            api_version: arguments.api_version.clone(),
            kind: arguments.kind.clone(),
            namespace: arguments.namespace.clone(),
            name: arguments.name.clone(),
        };
        let kube = client.access.session(cx).await?;
        let Some(mut live) = cx.bounded(kube.get(&object)).await?? else {
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no {object}"),
            ));
        };
        if let Some(meta) = live["metadata"].as_object_mut() {
            // Bookkeeping of the server, long and of no use to a configuration.
            meta.remove("managedFields");
        }
        let value = from_json(&live);
        arguments.object = if object.kind == "Secret" {
            seal_secret(&value)
        } else {
            value
        };
        Ok(arguments)
    }
}
