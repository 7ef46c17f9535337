use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kube::client::Body;
use serde_json::json;
use tower::Service;

use super::*;

/// Plays the API server: answers in order, and remembers what was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Json)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service<http::Request<Body>> for Script {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, body) = answer.unwrap_or_else(|| panic!("nothing is prepared for {asked}"));
        self.asked.lock().unwrap().push(asked);
        let response = http::Response::builder().status(status);
        ready(Ok(response
            .body(Body::from(body.to_string().into_bytes()))
            .unwrap()))
    }
}

impl Script {
    fn of(answers: impl IntoIterator<Item = (u16, Json)>) -> (Self, Kube) {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        let client = kube::Client::new(script.clone(), "default");
        (script, Kube::of(client))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn kinds() -> (u16, Json) {
    let list = json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "configmaps", "singularName": "", "namespaced": true, "kind": "ConfigMap", "verbs": ["get"]},
        {"name": "pods", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"]},
        {"name": "pods/exec", "singularName": "", "namespaced": true, "kind": "PodExecOptions", "verbs": ["get"]}]});
    (200, list)
}

fn failure(code: u16, reason: &str) -> (u16, Json) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("it is {reason}")});
    (code, status)
}

fn config_map() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some("shop".into()),
        name: "x".into(),
    }
}

#[tokio::test]
async fn kinds_are_asked_for_once() {
    let found = json!({"metadata": {"name": "x", "uid": "u"}});
    let (script, kube) = Script::of([kinds(), (200, found), failure(404, "NotFound")]);
    assert!(kube.get(&config_map()).await.unwrap().is_some());
    assert!(kube.get(&config_map()).await.unwrap().is_none());
    let get = "GET /api/v1/namespaces/shop/configmaps/x";
    assert_eq!(script.asked(), ["GET /api/v1", get, get]);
}

#[tokio::test]
async fn a_kind_that_arrives_later_is_found() {
    let thing = ObjectRef {
        api_version: "example.dev/v1".into(),
        kind: "Thing".into(),
        namespace: None,
        name: "x".into(),
    };
    let later = json!({"kind": "APIResourceList", "groupVersion": "example.dev/v1", "resources": [
        {"name": "things", "singularName": "", "namespaced": false, "kind": "Thing", "verbs": ["get"]}]});
    let absent = || failure(404, "NotFound");
    let (script, kube) = Script::of([absent(), absent(), (200, later), (200, json!({"metadata": {}}))]);
    assert!(kube.get(&thing).await.unwrap().is_none());
    let manifest = json!({"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "x"}});
    let apply = Apply {
        manager: "m",
        force: false,
        dry_run: true,
    };
    let refused = kube.apply(&manifest, &apply).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.reason.as_str()),
        (ErrorKind::NotFound, "KindAbsent")
    );
    kube.apply(&manifest, &apply).await.unwrap();
    assert_eq!(
        script.asked().last().unwrap(),
        "PATCH /apis/example.dev/v1/things/x?&dryRun=All&fieldManager=m&fieldValidation=Strict"
    );
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let page = |name: &str, next: &str| {
        (
            200,
            json!({"metadata": {"continue": next}, "items": [{"metadata": {"name": name}}]}),
        )
    };
    let (script, kube) = Script::of([kinds(), page("a", "more"), page("b", "")]);
    let selection = Selection {
        namespace: Some("shop"),
        labels: Some("app=x"),
    };
    let found = kube.list("v1", "Pod", &selection).await.unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|o| o["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (&found[0]["kind"], &found[0]["apiVersion"]),
        (&json!("Pod"), &json!("v1"))
    );
    let last = script.asked().pop().unwrap();
    assert!(
        last.contains("continue=more") && last.contains("labelSelector=app%3Dx"),
        "{last}"
    );
}

#[tokio::test]
async fn deleting_what_is_gone_or_another_is_a_success() {
    let (_, kube) = Script::of([kinds(), failure(404, "NotFound")]);
    kube.delete(&config_map(), Some("u"), Propagation::Background)
        .await
        .unwrap();

    let other = json!({"metadata": {"name": "x", "uid": "other"}});
    let (_, kube) = Script::of([kinds(), failure(409, "Conflict"), (200, other)]);
    kube.delete(&config_map(), Some("u"), Propagation::Background)
        .await
        .unwrap();

    let same = json!({"metadata": {"name": "x", "uid": "u"}});
    let (_, kube) = Script::of([kinds(), failure(409, "Conflict"), (200, same)]);
    let error = kube
        .delete(&config_map(), Some("u"), Propagation::Background)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_no_panic() {
    let (_, kube) = Script::of([kinds(), (502, Json::String("<html>bad gateway</html>".into()))]);
    let error = kube.get(&config_map()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}
