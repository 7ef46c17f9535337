//! Names of objects.

use std::fmt;

use crate::Json;

/// Names one object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Group and version: `apps/v1`, `v1`.
    pub api_version: String,
    /// Kind: `Deployment`.
    pub kind: String,
    /// Namespace; `None` for kinds that have none, and for `default` left out.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// The object that a manifest describes; the part that is missing where it is not complete.
    ///
    /// # Errors
    /// The name of the missing field: `apiVersion`, `kind`, `metadata.name`.
    pub fn of(manifest: &Json) -> Result<Self, &'static str> {
        let text = |pointer: &str| {
            manifest
                .pointer(pointer)
                .and_then(Json::as_str)
                .map(str::to_owned)
        };
        Ok(Self {
            api_version: text("/apiVersion").ok_or("apiVersion")?,
            kind: text("/kind").ok_or("kind")?,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").ok_or("metadata.name")?,
        })
    }

    /// Whether both name one object: the version of the API it is seen through does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        let group = |reference: &Self| {
            reference
                .api_version
                .split_once('/')
                .map(|(group, _)| group.to_owned())
        };
        let namespace = |reference: &Self| {
            reference
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned())
        };
        group(self) == group(other)
            && namespace(self) == namespace(other)
            && (&self.kind, &self.name) == (&other.kind, &other.name)
    }

    /// Reads `apiVersion=apps/v1,kind=Deployment,namespace=shop,name=cart`, the form that `import` takes.
    pub fn parse(id: &str) -> Option<Self> {
        let mut out = Self {
            api_version: String::new(),
            kind: String::new(),
            namespace: None,
            name: String::new(),
        };
        for part in id.split(',') {
            let (key, value) = part.split_once('=')?;
            match key.trim() {
                "apiVersion" => value.clone_into(&mut out.api_version),
                "kind" => value.clone_into(&mut out.kind),
                "namespace" => out.namespace = Some(value.to_owned()),
                "name" => value.clone_into(&mut out.name),
                _ => return None,
            }
        }
        let complete = !(out.api_version.is_empty() || out.kind.is_empty() || out.name.is_empty());
        complete.then_some(out)
    }
}

/// `apiVersion=apps/v1,kind=Deployment,namespace=shop,name=cart`
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "apiVersion={},kind={}", self.api_version, self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, ",namespace={namespace}")?;
        }
        write!(f, ",name={}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_no_part_of_the_identity() {
        let object = |api_version: &str| {
            ObjectRef::parse(&format!("apiVersion={api_version},kind=Gateway,name=x")).unwrap()
        };
        assert!(object("networking.istio.io/v1").is_same(&object("networking.istio.io/v1beta1")));
        assert!(!object("networking.istio.io/v1").is_same(&object("gateway.networking.k8s.io/v1")));
        assert!(!object("v1").is_same(&object("apps/v1")));
    }

    #[test]
    fn ids_are_read_back() {
        for text in [
            "apiVersion=apps/v1,kind=Deployment,namespace=shop,name=cart",
            "apiVersion=v1,kind=Namespace,name=shop",
        ] {
            assert_eq!(ObjectRef::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ObjectRef::parse("kind=Namespace,name=shop"), None);
        assert_eq!(ObjectRef::parse("shop"), None);
    }
}
