//! How members of lists are told apart: by what the API server says of the fields we own, or by the merge keys of
//! built-in types.

use stack_kube::Json;

/// Where in an object we are, and what is known there of the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Merge<'a> {
    /// Server-side apply: the fields of one manager below this place (`fieldsV1` of the API reference).
    Managed(Option<&'a Json>),
    /// Strategic merge patch: name of the field.
    Strategic(&'a str),
    /// JSON merge patch: lists are replaced as a whole.
    Whole,
}

/// How a list is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Members are objects, told apart by these fields.
    Keyed(Vec<String>),
    /// Members are plain values without order.
    Set,
    /// It is one value.
    Whole,
}

impl<'a> Merge<'a> {
    /// Fields that a field manager owns through server-side apply, as the object's `managedFields` tell.
    pub(crate) fn of_manager(live: &'a Json, manager: &str) -> Self {
        let entries = live.pointer("/metadata/managedFields").and_then(Json::as_array);
        let own = entries
            .into_iter()
            .flatten()
            .find(|e| e["manager"] == manager && e["operation"] == "Apply" && e.get("subresource").is_none());
        Self::Managed(own.and_then(|e| e.get("fieldsV1")))
    }

    /// The place of a field.
    pub(crate) fn field(self, name: &'a str) -> Self {
        match self {
            Self::Managed(fields) => Self::Managed(fields.and_then(|f| f.get(format!("f:{name}")))),
            Self::Strategic(_) => Self::Strategic(name),
            Self::Whole => Self::Whole,
        }
    }

    /// How the list in this place is merged; `sample` is one of its members.
    pub(crate) fn list(self, sample: Option<&Json>) -> ListKind {
        match self {
            Self::Whole | Self::Managed(None) => ListKind::Whole,
            Self::Managed(Some(fields)) => managed_list(fields),
            Self::Strategic(name) => strategic_list(name, sample),
        }
    }

    /// The place of a member of a keyed list.
    pub(crate) fn member(self, member: &Json) -> Self {
        let Self::Managed(Some(Json::Object(fields))) = self else {
            return match self {
                Self::Strategic(_) => Self::Strategic(""),
                other => other,
            };
        };
        let found = fields.iter().find(|(name, _)| {
            let key = name
                .strip_prefix("k:")
                .and_then(|k| serde_json::from_str::<Json>(k).ok());
            key.as_ref()
                .and_then(Json::as_object)
                .is_some_and(|key| key.iter().all(|(k, v)| member.get(k) == Some(v)))
        });
        Self::Managed(found.map(|(_, fields)| fields))
    }
}

fn managed_list(fields: &Json) -> ListKind {
    let Some(fields) = fields.as_object() else {
        return ListKind::Whole;
    };
    for name in fields.keys() {
        if let Some(key) = name.strip_prefix("k:") {
            let names = serde_json::from_str::<Json>(key)
                .ok()
                .and_then(|k| k.as_object().map(|k| k.keys().cloned().collect()));
            return names.map_or(ListKind::Whole, ListKind::Keyed);
        }
        if name.starts_with("v:") {
            return ListKind::Set;
        }
    }
    ListKind::Whole
}

/// Merge keys as the API reference gives them (`patchMergeKey`).
fn strategic_list(name: &str, sample: Option<&Json>) -> ListKind {
    let key = match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "webhooks"
        | "secrets"
        | "resourceClaims" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "conditions" => "type",
        "topologySpreadConstraints" => "topologyKey",
        "ownerReferences" => "uid",
        "ports" if sample.is_some_and(|s| s.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "finalizers" => return ListKind::Set,
        _ => return ListKind::Whole,
    };
    ListKind::Keyed(vec![key.to_owned()])
}

/// The member of a keyed list that `member` speaks of. A key field that `member` leaves out has the server's default.
pub(crate) fn find<'l>(list: &'l [Json], keys: &[String], member: &Json) -> Option<&'l Json> {
    list.iter().find(|candidate| same_key(candidate, keys, member))
}

/// Whether two members of a keyed list are the same one.
pub(crate) fn same_key(candidate: &Json, keys: &[String], member: &Json) -> bool {
    let given = keys.iter().filter(|k| member.get(k.as_str()).is_some());
    let mut any = false;
    for key in given {
        any = true;
        if candidate.get(key) != member.get(key) {
            return false;
        }
    }
    any
}

/// The part of `live` that `configured` speaks of, in its order: the values on the server of the fields that the
/// configuration sets. Fields that the server does not have are left out.
pub(crate) fn project(configured: &Json, live: &Json, place: Merge<'_>) -> Json {
    match (configured, live) {
        (Json::Object(configured), Json::Object(live)) => configured
            .iter()
            .filter_map(|(name, part)| {
                Some((name.clone(), project(part, live.get(name)?, place.field(name))))
            })
            .collect(),
        (Json::Array(configured), Json::Array(live_list)) => match place.list(configured.first()) {
            ListKind::Whole => live.clone(),
            ListKind::Set => {
                let present = configured.iter().filter(|m| live_list.contains(m));
                present.cloned().collect()
            }
            ListKind::Keyed(keys) => configured
                .iter()
                .filter_map(|member| {
                    let found = find(live_list, &keys, member)?;
                    Some(project(member, found, place.member(found)))
                })
                .collect(),
        },
        _ => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service() -> Json {
        json!({"metadata": {"managedFields": [
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {}},
            {"manager": "stack", "operation": "Apply", "fieldsV1": {"f:spec": {
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}},
                "f:externalIPs": {"v:\"10.0.0.1\"": {}},
                "f:selector": {}}}}]},
            "spec": {"clusterIP": "10.0.0.9", "selector": {"app": "x"}, "externalIPs": ["10.0.0.2", "10.0.0.1"],
                "ports": [{"name": "other", "port": 81, "protocol": "TCP"},
                          {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]}})
    }

    #[test]
    fn only_configured_fields_are_seen() {
        let live = service();
        let configured = json!({"spec": {"ports": [{"port": 80, "name": "web"}], "externalIPs": ["10.0.0.1"],
            "selector": {"app": "y"}, "type": "ClusterIP"}});
        let seen = project(&configured, &live, Merge::of_manager(&live, "stack"));
        assert_eq!(
            seen,
            json!({"spec": {"ports": [{"port": 80, "name": "http"}], "externalIPs": ["10.0.0.1"],
            "selector": {"app": "x"}}})
        );
    }

    #[test]
    fn a_list_without_keys_is_one_value() {
        let live = json!({"spec": {"servers": [{"port": 1}, {"port": 2}]}});
        let seen = project(
            &json!({"spec": {"servers": [{"port": 1}]}}),
            &live,
            Merge::of_manager(&live, "stack"),
        );
        assert_eq!(seen, live);
    }

    #[test]
    fn merge_keys_of_built_in_types() {
        let live = json!({"containers": [{"name": "proxy"}, {"name": "app", "image": "a:1",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "ports": [{"containerPort": 80, "name": "http"}], "args": ["x", "y"]}]});
        let configured = json!({"containers": [{"name": "app", "args": ["z"],
            "env": [{"name": "B", "value": "3"}], "ports": [{"containerPort": 80}]}]});
        assert_eq!(
            project(&configured, &live, Merge::Strategic("")),
            json!({"containers": [{"name": "app", "args": ["x", "y"],
                "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 80}]}]})
        );
    }
}
