use serde_json::json;
use stack_core::{Decode as _, Marks, Path, Value};
use stack_kube::Json;
use stack_provider::contract::{Change, Effect, Faults, Harness, check};
use stack_provider::{Cx, ErrorKind, Owner, Resource as _, async_trait};

use super::cluster::{Cluster, unique};
use crate::Client;
use crate::json::from_json;
use crate::manifest::{KubernetesManifest, Manifest};

pub(super) fn owner(token: &str) -> Owner {
    Owner {
        lineage: "test-lineage".into(),
        token: token.into(),
        address: stack_core::ResourceAddress {
            module: stack_core::ModulePath::default(),
            mode: stack_core::Mode::Managed,
            ty: "kubernetes_manifest".into(),
            name: "test".into(),
            key: stack_core::InstanceKey::None,
        },
        environment: "test".into(),
    }
}

fn model(manifest: &Json) -> Manifest {
    let arguments = Value::object([
        ("manifest".into(), from_json(manifest)),
        ("field_manager".into(), Value::string("stack")),
        ("force_conflicts".into(), Value::Bool(false)),
        ("propagation".into(), Value::string("Background")),
    ]);
    Manifest::decode(&arguments, &Path::root()).unwrap()
}

fn config_map(name: &str, value: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"key": value}})
}

struct ConfigMap {
    cluster: Cluster,
    name: String,
}

#[async_trait]
impl Harness for ConfigMap {
    type Resource = KubernetesManifest;
    fn client(&self) -> &Client {
        &self.cluster.client
    }
    fn arguments(&self) -> Manifest {
        model(&config_map(&self.name, "one"))
    }
    fn changes(&self) -> Vec<Change<Manifest>> {
        vec![
            Change {
                name: "a value",
                arguments: model(&config_map(&self.name, "two")),
                effect: Effect::InPlace,
            },
            Change {
                name: "the name",
                arguments: model(&config_map(&format!("{}-b", self.name), "one")),
                effect: Effect::Replace,
            },
        ]
    }
    fn faults(&self) -> Option<&dyn Faults> {
        Some(&*self.cluster.plan)
    }
    async fn count(&self) -> Option<usize> {
        let all = self
            .cluster
            .kube
            .list("v1", "ConfigMap", &Default::default())
            .await
            .unwrap();
        let named = |o: &&Json| {
            o["metadata"]["name"]
                .as_str()
                .is_some_and(|n| n.starts_with(&self.name))
        };
        Some(all.iter().filter(named).count())
    }
    fn cx(&self) -> Cx {
        self.cluster.cx()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn contract_of_a_config_map() {
    let harness = ConfigMap {
        cluster: Cluster::connect().await,
        name: unique("contract"),
    };
    check(&harness).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn drift_is_seen_in_configured_fields_only_and_repaired() {
    let cluster = Cluster::connect().await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": unique("drift"), "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [
                {"name": "app", "image": "a:1", "resources": {"requests": {"cpu": "1000m"}},
                 "env": [{"name": "A", "value": "1"}]}]}}}});
    let made = KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t1"), model(&deployment))
        .await
        .unwrap();
    // The server has filled in defaults and spells the quantity otherwise: neither is drift.
    let read = KubernetesManifest::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.encode(), made.encode());

    let mut theirs = deployment.clone();
    theirs["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]);
    theirs["metadata"]["labels"] = json!({"not": "ours"});
    cluster.apply(&theirs).await;
    let drifted = KubernetesManifest::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    let env = |m: &Manifest| {
        let path = ["spec", "template", "spec", "containers"];
        let containers = Path::of(&path).get(&m.manifest).unwrap().clone();
        crate::json::to_json(&containers)[0]["env"].clone()
    };
    assert_eq!(env(&drifted), json!([{"name": "A", "value": "2"}]));
    assert!(
        drifted
            .manifest
            .attribute("metadata")
            .unwrap()
            .attribute("labels")
            .is_none()
    );

    // Taken back without force_conflicts, for the field was ours; the other entry stays.
    let repaired = KubernetesManifest::update(&cluster.cx(), &cluster.client, &drifted, model(&deployment))
        .await
        .unwrap();
    let live = cluster.get(&deployment).await.unwrap();
    let live_env = &live["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(
        live_env,
        &json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}])
    );
    KubernetesManifest::delete(&cluster.cx(), &cluster.client, &repaired)
        .await
        .unwrap();
    assert!(cluster.get(&deployment).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn an_object_of_others_is_not_taken() {
    let cluster = Cluster::connect().await;
    let theirs = config_map(&unique("theirs"), "x");
    cluster.apply(&theirs).await;
    let failure =
        KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t2"), model(&theirs)).await;
    let error = failure.unwrap_err().error;
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert!(error.message.contains("`import` block"), "{error}");
    let id = error.message.split('\'').nth(1).unwrap();
    let imported = KubernetesManifest::import(&cluster.cx(), &cluster.client, id)
        .await
        .unwrap();
    assert!(imported.uid.is_some());
    cluster.remove(&theirs).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_secret_is_kept_out_of_sight() {
    let cluster = Cluster::connect().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": unique("secret"), "namespace": "default"}});
    let mut wanted = model(&secret);
    wanted.sensitive_manifest = from_json(&json!({"stringData": {"password": "hunter2"}}));
    let made = KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t3"), wanted.clone())
        .await
        .unwrap();
    let live = cluster.get(&secret).await.unwrap();
    assert_eq!(live["data"], json!({"password": "aHVudGVyMg=="}));
    assert!(!format!("{:?}", made.encode()).contains("hunter2"));
    assert!(!format!("{:?}", made.encode()).contains("aHVudGVyMg"));
    let read = KubernetesManifest::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.encode(), made.encode());

    let mut theirs = live.clone();
    theirs["data"]["password"] = "b3RoZXI=".into();
    theirs["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    cluster.apply(&theirs).await;
    let drifted = KubernetesManifest::read(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_ne!(drifted.encode(), made.encode());
    assert!(drifted.sensitive_manifest.marks().contains(Marks::SENSITIVE));
    cluster.remove(&secret).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn another_version_of_the_api_is_no_other_object() {
    let cluster = Cluster::connect().await;
    let name = unique("version");
    let scaler = |version: &str| {
        json!({"apiVersion": version, "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}})
    };
    let (old, new) = (model(&scaler("autoscaling/v1")), model(&scaler("autoscaling/v2")));
    let made = KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t8"), old)
        .await
        .unwrap();
    let refined = KubernetesManifest::refine(Some(&made.encode()), new.encode());
    assert_eq!(refined.replace, []);
    let moved = KubernetesManifest::update(&cluster.cx(), &cluster.client, &made, new)
        .await
        .unwrap();
    assert_eq!(moved.uid, made.uid);
    let read = KubernetesManifest::read(&cluster.cx(), &cluster.client, &moved)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.encode(), moved.encode());
    KubernetesManifest::delete(&cluster.cx(), &cluster.client, &moved)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn many_objects_of_a_kind_are_read_by_one_list() {
    let cluster = Cluster::connect().await;
    let mut made = Vec::new();
    for _ in 0..6 {
        let manifest = model(&config_map(&unique("many"), "x"));
        made.push(
            KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t6"), manifest)
                .await
                .unwrap(),
        );
    }
    cluster.remove(&crate::json::to_json(&made[2].manifest)).await;
    cluster
        .plan
        .arm(usize::MAX, stack_provider::contract::Fault::Refused);
    let read = KubernetesManifest::read_many(&cluster.cx(), &cluster.client, &made).await;
    // One list for all, and one look for the object that is not in it.
    assert_eq!(cluster.plan.calls(), 2);
    for (prior, now) in made.iter().zip(read) {
        let now = now.unwrap().map(|now| now.encode());
        let is_gone = prior.uid == made[2].uid;
        assert_eq!(now, (!is_gone).then(|| prior.encode()));
    }
    for prior in &made {
        KubernetesManifest::delete(&cluster.cx(), &cluster.client, prior)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn another_cluster_than_expected_is_left_alone() {
    let cluster = Cluster::connect().await;
    let mut access = cluster.client.access.clone();
    access.cluster_id = Some("another".into());
    let client = Client { access };
    let failure =
        KubernetesManifest::create(&cluster.cx(), &client, &owner("t7"), model(&config_map("x", "x"))).await;
    assert_eq!(failure.unwrap_err().error.kind, ErrorKind::Denied);
    let mut access = cluster.client.access.clone();
    access.cluster_id = Some(cluster.kube.cluster_id().await.unwrap());
    let prior = model(&config_map("not-there", "x"));
    let read = KubernetesManifest::read(&cluster.cx(), &Client { access }, &prior)
        .await
        .unwrap();
    assert!(read.is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn what_the_server_quotes_is_masked() {
    let cluster = Cluster::connect().await;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": unique("quoted"), "namespace": "default"}, "spec": {"ports": [{"port": 80}]}});
    let mut wanted = model(&service);
    wanted.sensitive_manifest = from_json(&json!({"spec": {"type": "hunter2"}})).sensitive();
    let failure = KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t5"), wanted).await;
    let error = failure.unwrap_err().error;
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert!(
        error.message.contains("(sensitive value)") && !error.message.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_preview_says_what_the_server_would_say() {
    let cluster = Cluster::connect().await;
    let preview = async |manifest: &Json| {
        let proposed = model(manifest).encode();
        KubernetesManifest::preview(&cluster.cx(), &cluster.client, None, &proposed).await
    };
    let absent = json!({"apiVersion": "nowhere.example/v1", "kind": "Thing", "metadata": {"name": "x"}});
    let told = preview(&absent).await.unwrap();
    assert_eq!(
        told.not_checked.as_deref(),
        Some("definition of Thing is absent from the cluster")
    );

    let mut wrong = config_map(&unique("wrong"), "x");
    wrong["daat"] = json!({});
    let error = preview(&wrong).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(error.attribute, Some(Path::of(&["manifest"])));

    let mut homeless = config_map(&unique("homeless"), "x");
    homeless["metadata"]["namespace"] = "not-there-yet".into();
    assert!(
        preview(&homeless)
            .await
            .unwrap()
            .not_checked
            .unwrap()
            .contains("not-there-yet")
    );

    let fine = preview(&config_map(&unique("fine"), "x")).await.unwrap();
    assert_eq!((fine.not_checked, fine.warnings.len()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_namespace_is_waited_for_until_it_is_gone() {
    let cluster = Cluster::connect().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique("ns")}});
    let made = KubernetesManifest::create(&cluster.cx(), &cluster.client, &owner("t4"), model(&namespace))
        .await
        .unwrap();
    KubernetesManifest::delete(&cluster.cx(), &cluster.client, &made)
        .await
        .unwrap();
    assert!(cluster.get(&namespace).await.is_none());
}
