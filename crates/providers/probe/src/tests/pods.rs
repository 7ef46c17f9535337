//! Probes from a real container. They want a cluster with a node, and an image with bash on it:
//! `STACK_TEST_KUBECONFIG=… STACK_TEST_IMAGE=… cargo test -p stack-provider-probe -- --ignored`.

use std::time::Duration;

use serde_json::json;
use stack_core::{Decode as _, Value};
use stack_kube::{Access, Apply, Json, Kube, ObjectRef, Propagation, ready};
use stack_provider::{DataSource as _, ErrorKind};

use super::{cx, model};
use crate::Client;
use crate::arguments::Pod;
use crate::sources::{ProbeTcp, ProbeTls};

fn access() -> Access {
    let path = std::env::var("STACK_TEST_KUBECONFIG")
        .expect("STACK_TEST_KUBECONFIG names the kubeconfig of a cluster made for tests");
    Access::from_arguments(Some(path), None, None).unwrap()
}

async fn pod(kube: &Kube, name: &str) -> Json {
    let image = std::env::var("STACK_TEST_IMAGE").unwrap_or_else(|_| "sandbox.local/client:1".into());
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"test": name}},
        "spec": {"terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": image, "command": ["sleep", "infinity"]}]}});
    let apply = Apply {
        manager: "test",
        force: true,
        dry_run: false,
    };
    kube.apply(&pod, &apply).await.unwrap();
    for _ in 0..120 {
        let live = kube.get(&ObjectRef::of(&pod).unwrap()).await.unwrap().unwrap();
        if ready::condition(&live, "Ready", "True") == ready::Readiness::Ready {
            return pod;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the pod does not get ready");
}

fn from_pod(name: &str, container: Option<&str>) -> Value {
    Pod {
        namespace: "default".into(),
        name: None,
        selector: Some(format!("test={name}")),
        container: container.map(str::to_owned),
    }
    .encode()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster with a node"]
async fn a_pod_reaches_what_it_reaches() {
    let client = Client {
        access: Some(access()),
        ssh: None,
    };
    let kube = Kube::connect(&access()).await.unwrap();
    let name = format!("probe-{}", std::process::id());
    let manifest = pod(&kube, &name).await;
    let start = [("from", Value::string("pod")), ("pod", from_pod(&name, None))];
    let target = |host: &str, port: i64| [("host", Value::string(host)), ("port", Value::from(port))];
    let tcp = async |host: &str, port: i64| {
        let arguments = [
            &start[..],
            &target(host, port)[..],
            &[("timeout", Value::from(8))],
        ]
        .concat();
        ProbeTcp::read(&cx(), &client, model::<ProbeTcp>(&arguments))
            .await
            .unwrap()
    };
    let open = tcp("kubernetes.default.svc", 443).await;
    assert_eq!((open.success, open.error), (Some(true), None));
    let closed = tcp("127.0.0.1", 9).await;
    assert_eq!(closed.success, Some(false));
    assert!(closed.error.unwrap().contains("refused"));
    let nameless = tcp("not-there.invalid", 443).await;
    assert_eq!(nameless.success, Some(false));

    // TLS is spoken here, the bytes travel through the container.
    let authority = ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some("default".into()),
        name: "kube-root-ca.crt".into(),
    };
    let authority = kube.get(&authority).await.unwrap().unwrap();
    let ca = authority["data"]["ca.crt"].as_str().unwrap();
    let tls = [
        &start[..],
        &target("kubernetes.default.svc", 443)[..],
        &[("ca_pem", Value::string(ca))],
    ]
    .concat();
    let found = ProbeTls::read(&cx(), &client, model::<ProbeTls>(&tls))
        .await
        .unwrap();
    assert_eq!((found.success, found.error), (Some(true), None));
    assert!(
        found
            .subject_alternative_names
            .unwrap()
            .contains(&"kubernetes.default.svc".to_owned())
    );

    let elsewhere = [
        ("from", Value::string("pod")),
        ("pod", from_pod(&name, Some("none"))),
    ];
    let arguments = [&elsewhere[..], &target("127.0.0.1", 9)[..]].concat();
    let error = ProbeTcp::read(&cx(), &client, model::<ProbeTcp>(&arguments))
        .await
        .unwrap_err();
    assert_ne!(error.kind, ErrorKind::Internal, "{error}");
    let object = ObjectRef::of(&manifest).unwrap();
    kube.delete(&object, None, Propagation::Background).await.unwrap();
}
