//! The client: objects in and out as JSON.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use stack_provider::ErrorKind;

use crate::request::{Kind, collection_path, object_path};
use crate::{Access, Json, KubeError, ObjectRef};

/// How dependents of a deleted object go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Afterwards.
    #[default]
    Background,
    /// Before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// Settings of a server-side apply.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// Name under which the fields are owned.
    pub manager: &'a str,
    /// Take fields over that others own.
    pub force: bool,
    /// Only ask what would come of it.
    pub dry_run: bool,
}

/// How a patch is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// By the merge keys of built-in types.
    Strategic,
    /// JSON merge patch (RFC 7386).
    Merge,
}

/// Which objects of a kind.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    /// Namespace; `None`: all.
    pub namespace: Option<&'a str>,
    /// Label selector: `app=cart`.
    pub labels: Option<&'a str>,
}

/// A connection to one cluster.
pub struct Kube {
    pub(crate) client: kube::Client,
    kinds: Mutex<HashMap<String, HashMap<String, Kind>>>,
}

fn build(error: kube::core::request::Error) -> KubeError {
    KubeError::new(ErrorKind::InvalidArgument, "the request cannot be made").because(error)
}

impl Kube {
    /// Connects. The server is asked nothing yet.
    ///
    /// # Errors
    /// The kubeconfig cannot be read, or the context is not in it.
    pub async fn connect(access: &Access) -> Result<Self, KubeError> {
        let path = access.config_path.clone();
        let read = tokio::task::spawn_blocking(move || Kubeconfig::read_from(path));
        let config = read
            .await
            .map_err(|e| KubeError::new(ErrorKind::Internal, "reading the kubeconfig failed").because(e))?
            .map_err(|e| {
                let text = format!("the kubeconfig {} cannot be read", access.config_path.display());
                KubeError::new(ErrorKind::InvalidArgument, text).because(e)
            })?;
        let options = KubeConfigOptions {
            context: access.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = kube::Config::from_custom_kubeconfig(config, &options)
            .await
            .map_err(kube::Error::from)?;
        // Whether a call is tried again is the engine's choice.
        config.default_retry = false;
        if let Some(exec) = &mut config.auth_info.exec {
            // The program that gets credentials is not to get ours.
            exec.drop_env
                .get_or_insert_default()
                .extend(access.private_environment.iter().cloned());
        }
        Ok(Self::of(kube::Client::try_from(config)?))
    }

    /// Wraps a client that is there already, such as one with layers of its own.
    pub fn of(client: kube::Client) -> Self {
        Self {
            client,
            kinds: Mutex::default(),
        }
    }

    /// Identity of the cluster: the uid of its namespace `kube-system`, which lives as long as the cluster.
    ///
    /// # Errors
    /// The server cannot be reached or does not allow reading the namespace.
    pub async fn cluster_id(&self) -> Result<String, KubeError> {
        let namespace = ObjectRef {
            api_version: "v1".into(),
            kind: "Namespace".into(),
            namespace: None,
            name: "kube-system".into(),
        };
        let found = self.get(&namespace).await?;
        let uid = found
            .as_ref()
            .and_then(|n| n.pointer("/metadata/uid"))
            .and_then(Json::as_str);
        uid.map(str::to_owned)
            .ok_or_else(|| KubeError::new(ErrorKind::NotFound, "the cluster has no namespace kube-system"))
    }

    /// Whether the cluster serves this kind.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, KubeError> {
        Ok(self.find_kind(api_version, kind).await?.is_some())
    }

    fn cached(&self, api_version: &str, kind: &str) -> Option<Kind> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.get(api_version)?.get(kind).cloned()
    }

    /// Looks a kind up. What was found is kept; what was not is asked again, for definitions arrive while we run.
    async fn find_kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, KubeError> {
        if let Some(found) = self.cached(api_version, kind) {
            return Ok(Some(found));
        }
        let listed = if api_version.contains('/') {
            self.client.list_api_group_resources(api_version).await
        } else {
            self.client.list_core_api_resources(api_version).await
        };
        let listed = match listed.map_err(KubeError::from) {
            Ok(listed) => listed,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let served = listed
            .resources
            .into_iter()
            .filter(|r| !r.name.contains('/'))
            .map(|r| {
                let kind = Kind {
                    plural: r.name,
                    namespaced: r.namespaced,
                };
                (r.kind, kind)
            });
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kinds.entry(api_version.to_owned()).or_default();
        known.extend(served);
        Ok(known.get(kind).cloned())
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, KubeError> {
        self.find_kind(api_version, kind).await?.ok_or_else(|| {
            let text = format!(
                "the cluster does not serve {kind} of {api_version}; check the spelling, or install its definition first"
            );
            let mut error = KubeError::new(ErrorKind::NotFound, text);
            error.reason = "KindAbsent".into();
            error
        })
    }

    async fn request(&self, object: &ObjectRef) -> Result<kube::core::Request, KubeError> {
        let kind = self.kind(&object.api_version, &object.kind).await?;
        Ok(kube::core::Request::new(object_path(object, &kind)))
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Json, KubeError> {
        Ok(self.client.request::<Json>(request).await?)
    }

    /// The object; `None` where there is none, or its kind is not served.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<Json>, KubeError> {
        let Some(kind) = self.find_kind(&object.api_version, &object.kind).await? else {
            return Ok(None);
        };
        let request = kube::core::Request::new(object_path(object, &kind));
        let get = request.get(&object.name, &GetParams::default()).map_err(build)?;
        match self.send(get).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind that the selection names, page by page; none where the kind is not served.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        selection: &Selection<'_>,
    ) -> Result<Vec<Json>, KubeError> {
        let mut objects = self
            .pages(api_version, kind, selection, |request, params| {
                request.list(params)
            })
            .await?;
        for object in &mut objects {
            // Members of a list carry neither.
            object["apiVersion"] = api_version.into();
            object["kind"] = kind.into();
        }
        Ok(objects)
    }

    /// The same, only with names, labels and annotations.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn list_metadata(
        &self,
        api_version: &str,
        kind: &str,
        selection: &Selection<'_>,
    ) -> Result<Vec<Json>, KubeError> {
        self.pages(api_version, kind, selection, |request, params| {
            request.list_metadata(params)
        })
        .await
    }

    async fn pages(
        &self,
        api_version: &str,
        kind: &str,
        selection: &Selection<'_>,
        make: impl Fn(
            &kube::core::Request,
            &ListParams,
        ) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Vec<Json>, KubeError> {
        let Some(found) = self.find_kind(api_version, kind).await? else {
            return Ok(Vec::new());
        };
        let request = kube::core::Request::new(collection_path(api_version, &found, selection.namespace));
        let mut params = ListParams::default().limit(500);
        params.label_selector = selection.labels.map(str::to_owned);
        let mut objects = Vec::new();
        loop {
            let mut page = self.send(make(&request, &params).map_err(build)?).await?;
            let next = page
                .pointer("/metadata/continue")
                .and_then(Json::as_str)
                .filter(|c| !c.is_empty());
            params.continue_token = next.map(str::to_owned);
            if let Some(items) = page.get_mut("items").and_then(Json::as_array_mut) {
                objects.append(items);
            }
            if params.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }

    /// Applies a manifest on the server, under a field manager's name.
    ///
    /// # Errors
    /// The manifest is not complete or not valid, its kind is not served, fields belong to others, or the server
    /// cannot be reached.
    pub async fn apply(&self, manifest: &Json, apply: &Apply<'_>) -> Result<Json, KubeError> {
        let object = ObjectRef::of(manifest)
            .map_err(|field| KubeError::new(ErrorKind::InvalidArgument, format!("{field} is not set")))?;
        let params = PatchParams {
            dry_run: apply.dry_run,
            force: apply.force,
            field_manager: Some(apply.manager.to_owned()),
            field_validation: Some(kube::api::ValidationDirective::Strict),
        };
        let request = self.request(&object).await?;
        let patch = request
            .patch(&object.name, &params, &Patch::Apply(manifest))
            .map_err(build)?;
        self.send(patch).await
    }

    /// Merges a patch into an object that exists.
    ///
    /// # Errors
    /// There is no such object, the result would not be valid, or the server cannot be reached.
    pub async fn patch(
        &self,
        object: &ObjectRef,
        kind: PatchKind,
        patch: &Json,
        manager: &str,
        dry_run: bool,
    ) -> Result<Json, KubeError> {
        let params = PatchParams {
            dry_run,
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let body = match kind {
            PatchKind::Strategic => Patch::Strategic(patch),
            PatchKind::Merge => Patch::Merge(patch),
        };
        let request = self.request(object).await?;
        self.send(request.patch(&object.name, &params, &body).map_err(build)?)
            .await
    }

    /// Replaces an object by an edited version of what was read; refused with a conflict where it has changed since.
    ///
    /// # Errors
    /// As said, or the server cannot be reached.
    pub async fn replace(
        &self,
        object: &ObjectRef,
        edited: &Json,
        manager: &str,
        dry_run: bool,
    ) -> Result<Json, KubeError> {
        let params = PostParams {
            dry_run,
            field_manager: Some(manager.to_owned()),
        };
        let body = edited.to_string().into_bytes();
        let request = self.request(object).await?;
        self.send(request.replace(&object.name, &params, body).map_err(build)?)
            .await
    }

    /// Asks for an object's removal; one that is gone already, or whose uid is another, is a success.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn delete(
        &self,
        object: &ObjectRef,
        uid: Option<&str>,
        propagation: Propagation,
    ) -> Result<(), KubeError> {
        let Some(kind) = self.find_kind(&object.api_version, &object.kind).await? else {
            return Ok(());
        };
        let mut params = match propagation {
            Propagation::Background => DeleteParams::background(),
            Propagation::Foreground => DeleteParams::foreground(),
            Propagation::Orphan => DeleteParams::orphan(),
        };
        params.preconditions = uid.map(|uid| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        let request = kube::core::Request::new(object_path(object, &kind));
        match self
            .send(request.delete(&object.name, &params).map_err(build)?)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.code == 409 && uid.is_some() && self.has_other_uid(object, uid).await? => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn has_other_uid(&self, object: &ObjectRef, uid: Option<&str>) -> Result<bool, KubeError> {
        let found = self.get(object).await?;
        let now = found
            .as_ref()
            .and_then(|o| o.pointer("/metadata/uid"))
            .and_then(Json::as_str);
        Ok(now != uid)
    }
}

#[cfg(test)]
mod tests;
