use std::time::Duration;

use serde_json::json;
use stack_core::{Decode as _, Path, Value};
use stack_provider::contract::{Change, Effect, Harness, check};
use stack_provider::{Cx, ErrorKind, Resource as _, async_trait};

use super::cluster::{Cluster, unique};
use super::manifest::owner;
use crate::Client;
use crate::json::from_json;
use crate::wait::{Gate, KubernetesWait};

fn gate(name: &str) -> Gate {
    let arguments = Value::object([
        ("api_version".into(), Value::string("v1")),
        ("kind".into(), Value::string("ConfigMap")),
        ("namespace".into(), Value::string("default")),
        ("name".into(), Value::string(name)),
        ("rollout".into(), Value::Bool(false)),
        ("fields".into(), from_json(&json!({"data.ready": "yes"}))),
        ("condition".into(), Value::tuple(vec![])),
    ]);
    Gate::decode(&arguments, &Path::root()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_gate_opens_when_the_object_is_ready() {
    let cluster = Cluster::connect().await;
    let name = unique("gate");
    let object = |ready: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"}, "data": {"ready": ready}})
    };
    let soon = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.apply(&object("no")).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.apply(&object("yes")).await;
    };
    let (cx, owner) = (cluster.cx(), owner("w1"));
    let (passed, ()) = tokio::join!(
        KubernetesWait::create(&cx, &cluster.client, &owner, gate(&name)),
        soon
    );
    let passed = passed.unwrap();
    assert!(
        KubernetesWait::read(&cx, &cluster.client, &passed)
            .await
            .unwrap()
            .is_some()
    );
    cluster.apply(&object("no")).await;
    assert!(
        KubernetesWait::read(&cx, &cluster.client, &passed)
            .await
            .unwrap()
            .is_none()
    );
    let short = cluster.cx_for(Duration::from_millis(900));
    let late = KubernetesWait::create(&short, &cluster.client, &owner, gate(&name))
        .await
        .unwrap_err()
        .error;
    assert_eq!(late.kind, ErrorKind::Timeout);
    assert!(late.message.contains("data.ready is no"), "{late}");
    cluster.remove(&object("no")).await;
}

struct Open {
    cluster: Cluster,
    name: String,
}

#[async_trait]
impl Harness for Open {
    type Resource = KubernetesWait;
    fn client(&self) -> &Client {
        &self.cluster.client
    }
    fn arguments(&self) -> Gate {
        gate(&self.name)
    }
    fn changes(&self) -> Vec<Change<Gate>> {
        let mut arguments = gate(&self.name);
        arguments.fields = Some([("data.ready".to_owned(), "*".to_owned())].into());
        vec![Change {
            name: "what is waited for",
            arguments,
            effect: Effect::Replace,
        }]
    }
    fn cx(&self) -> Cx {
        self.cluster.cx()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn contract_of_a_gate() {
    let cluster = Cluster::connect().await;
    let name = unique("open");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"}, "data": {"ready": "yes"}});
    cluster.apply(&object).await;
    let harness = Open { cluster, name };
    check(&harness).await.unwrap();
    harness.cluster.remove(&object).await;
}
