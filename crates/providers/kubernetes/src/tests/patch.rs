use serde_json::json;
use stack_core::{Decode as _, Path, Value};
use stack_kube::Json;
use stack_provider::contract::{Change, Effect, Faults, Harness, check};
use stack_provider::{Cx, ErrorKind, Resource as _, async_trait};

use super::cluster::{Cluster, unique};
use super::manifest::owner;
use crate::Client;
use crate::json::from_json;
use crate::patch::{KubernetesPatch, Patch};

fn deployment(name: &str) -> Json {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
                {"name": "app", "image": "a:1", "env": [
                    {"name": "PASSWORD", "value": "literal"}, {"name": "KEEP", "value": "1"}]}]}}}})
}

fn env(entries: &Json) -> Json {
    json!({"spec": {"template": {"metadata": {"annotations": {"digest": "d"}},
        "spec": {"containers": [{"name": "app", "env": entries}]}}}})
}

fn model(name: &str, patch: &Json) -> Patch {
    let arguments = Value::object([
        ("api_version".into(), Value::string("apps/v1")),
        ("kind".into(), Value::string("Deployment")),
        ("namespace".into(), Value::string("default")),
        ("name".into(), Value::string(name)),
        ("patch".into(), from_json(patch)),
        ("type".into(), Value::string("strategic")),
        ("field_manager".into(), Value::string("stack-patch")),
    ]);
    Patch::decode(&arguments, &Path::root()).unwrap()
}

fn wanted() -> Json {
    env(&json!([{"name": "HOST", "value": "h"},
        {"name": "PASSWORD", "value": null, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))
}

struct Env {
    cluster: Cluster,
    name: String,
}

#[async_trait]
impl Harness for Env {
    type Resource = KubernetesPatch;
    fn client(&self) -> &Client {
        &self.cluster.client
    }
    fn arguments(&self) -> Patch {
        model(&self.name, &wanted())
    }
    fn changes(&self) -> Vec<Change<Patch>> {
        vec![Change {
            name: "an entry",
            arguments: model(&self.name, &env(&json!([{"name": "HOST", "value": "other"}]))),
            effect: Effect::InPlace,
        }]
    }
    fn faults(&self) -> Option<&dyn Faults> {
        Some(&*self.cluster.plan)
    }
    fn cx(&self) -> Cx {
        self.cluster.cx()
    }
}

/// What the deployment says of itself, without bookkeeping.
async fn template(cluster: &Cluster, name: &str) -> Json {
    let live = cluster.get(&deployment(name)).await.unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    let annotations = live["metadata"]["annotations"].as_object();
    let marks: Vec<_> = annotations
        .into_iter()
        .flat_map(|a| a.keys())
        .filter(|k| k.starts_with("stack/"))
        .collect();
    json!({"env": container["env"], "annotations": live["spec"]["template"]["metadata"]["annotations"],
        "marks": marks})
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn contract_of_environment_entries() {
    let cluster = Cluster::connect().await;
    let name = unique("patched");
    cluster.apply(&deployment(&name)).await;
    let before = template(&cluster, &name).await;
    let harness = Env { cluster, name };
    check(&harness).await.unwrap();
    assert_eq!(template(&harness.cluster, &harness.name).await, before);
    harness.cluster.remove(&deployment(&harness.name)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn what_others_changed_stays() {
    let cluster = Cluster::connect().await;
    let name = unique("shared");
    cluster.apply(&deployment(&name)).await;
    let before = template(&cluster, &name).await;
    let made = KubernetesPatch::create(
        &cluster.cx(),
        &cluster.client,
        &owner("p1"),
        model(&name, &wanted()),
    )
    .await
    .unwrap();
    let patched = template(&cluster, &name).await;
    let entries = patched["env"].as_array().unwrap();
    let password = entries.iter().find(|e| e["name"] == "PASSWORD").unwrap();
    assert_eq!(password["valueFrom"]["secretKeyRef"]["key"], "k");
    assert!(password.get("value").is_none());

    let theirs = env(&json!([{"name": "HOST", "value": "theirs"}]));
    let object = stack_kube::ObjectRef::of(&deployment(&name)).unwrap();
    cluster
        .kube
        .patch(
            &object,
            stack_kube::PatchKind::Strategic,
            &theirs,
            "kubectl",
            false,
        )
        .await
        .unwrap();
    let drifted = KubernetesPatch::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_ne!(drifted.patch, made.patch);

    KubernetesPatch::delete(&cluster.cx(), &cluster.client, &drifted)
        .await
        .unwrap();
    let mut after = template(&cluster, &name).await;
    let entries = after["env"].as_array_mut().unwrap();
    entries.retain(|e| e["name"] != "HOST");
    assert_eq!(after["env"], before["env"]);
    assert_eq!(
        template(&cluster, &name).await["env"].as_array().unwrap().len(),
        3
    );
    cluster.remove(&deployment(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_container_is_never_added() {
    let cluster = Cluster::connect().await;
    let name = unique("containers");
    cluster.apply(&deployment(&name)).await;
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "ap", "image": "b"}]}}}});
    let proposed = model(&name, &patch).encode();
    let error = KubernetesPatch::preview(&cluster.cx(), &cluster.client, None, &proposed)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert!(error.message.contains("it has app"), "{error}");
    cluster.remove(&deployment(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn what_the_server_leaves_out_is_no_drift() {
    let cluster = Cluster::connect().await;
    let name = unique("empty");
    cluster.apply(&deployment(&name)).await;
    let before = template(&cluster, &name).await;
    // The server keeps no empty value.
    let wanted = model(
        &name,
        &env(&json!([{"name": "CLEARED", "value": ""}, {"name": "KEEP", "value": "1"}])),
    );
    let made = KubernetesPatch::create(&cluster.cx(), &cluster.client, &owner("p2"), wanted.clone())
        .await
        .unwrap();
    let read = KubernetesPatch::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.encode(), made.encode());
    let again = KubernetesPatch::update(&cluster.cx(), &cluster.client, &read, wanted)
        .await
        .unwrap();
    KubernetesPatch::delete(&cluster.cx(), &cluster.client, &again)
        .await
        .unwrap();
    assert_eq!(template(&cluster, &name).await, before);
    cluster.remove(&deployment(&name)).await;
}
