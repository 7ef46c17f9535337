//! Probes against servers made for the test.

mod pods;
mod servers;

use std::time::Duration;

use stack_core::{Decode as _, Path, SchemaOf as _, Value};
use stack_provider::{Cx, DataSource, ErrorKind, Sessions};
use tokio_util::sync::CancellationToken;

use crate::Client;
use crate::sources::{Amqp, Http, ProbeAmqp, ProbeHttp, ProbeTcp, ProbeTls, Tcp, TlsModel};

fn client() -> Client {
    Client {
        access: None,
        ssh: None,
    }
}

fn cx() -> Cx {
    Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(30))
}

/// Arguments with the schema's defaults.
fn model<D: DataSource>(arguments: &[(&str, Value)]) -> D::Model {
    let schema = <D::Model>::schema();
    let mut value = Value::object(
        schema
            .attributes
            .iter()
            .filter_map(|(name, a)| Some((name.clone(), a.default.clone()?))),
    );
    for (name, argument) in arguments {
        value = value.with_attribute(name, argument.clone());
    }
    D::Model::decode(&value, &Path::root()).unwrap()
}

async fn tcp(arguments: &[(&str, Value)]) -> Tcp {
    ProbeTcp::read(&cx(), &client(), model::<ProbeTcp>(arguments))
        .await
        .unwrap()
}

async fn tls(arguments: &[(&str, Value)]) -> TlsModel {
    ProbeTls::read(&cx(), &client(), model::<ProbeTls>(arguments))
        .await
        .unwrap()
}

async fn amqp(arguments: &[(&str, Value)]) -> Amqp {
    ProbeAmqp::read(&cx(), &client(), model::<ProbeAmqp>(arguments))
        .await
        .unwrap()
}

async fn http(arguments: &[(&str, Value)]) -> Http {
    ProbeHttp::read(&cx(), &client(), model::<ProbeHttp>(arguments))
        .await
        .unwrap()
}

fn at(port: u16) -> Vec<(&'static str, Value)> {
    vec![
        ("host", Value::string("127.0.0.1")),
        ("port", Value::from(i64::from(port))),
    ]
}

fn with(mut base: Vec<(&'static str, Value)>, more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    base.extend(more.iter().cloned());
    base
}

/// A port where nothing listens.
async fn closed() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_closed_port_is_a_result() {
    let closed = closed().await;
    let found = tcp(&with(
        at(closed),
        &[("attempts", Value::from(2)), ("interval", Value::from(0))],
    ))
    .await;
    assert_eq!((found.success, found.tries), (Some(false), Some(2)));
    assert!(found.error.unwrap().contains("refused"));
    let wanted = tcp(&with(
        at(closed),
        &[("attempts", Value::from(5)), ("expect", Value::string("failure"))],
    ))
    .await;
    assert_eq!((wanted.success, wanted.tries), (Some(false), Some(1)));
}

#[tokio::test]
async fn an_open_port_is_reached() {
    let port = servers::silent().await;
    let found = tcp(&at(port)).await;
    assert_eq!((found.success, found.error), (Some(true), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_reaches_what_it_reaches() {
    let host = stack_ssh::sshd::Sshd::start().unwrap();
    let from_host = Client {
        access: None,
        ssh: Some(host.connection().unwrap()),
    };
    let port = servers::broker("secret", None).await;
    let from = ("from", Value::string("host"));
    let login = [
        from.clone(),
        ("username", Value::string("admin")),
        ("password", Value::string("secret").sensitive()),
    ];
    let arguments = model::<ProbeAmqp>(&with(at(port), &login));
    let let_in = ProbeAmqp::read(&cx(), &from_host, arguments).await.unwrap();
    assert_eq!((let_in.error, let_in.logged_in), (None, Some(true)));
    let arguments = model::<ProbeTcp>(&with(at(closed().await), &[from]));
    let refused = ProbeTcp::read(&cx(), &from_host, arguments).await.unwrap();
    assert_eq!(refused.success, Some(false));
    assert!(refused.error.unwrap().starts_with("no connection from the host"));
}

#[tokio::test]
async fn a_certificate_is_checked_and_told_of() {
    let server = servers::tls("broker.example", "10.0.1.5").await;
    let ca = ("ca_pem", Value::string(&server.ca_pem));
    let name = ("server_name", Value::string("broker.example"));
    let fine = tls(&with(at(server.port), &[ca.clone(), name.clone()])).await;
    assert_eq!(fine.error, None);
    assert_eq!(fine.subject.as_deref(), Some("CN=test server"));
    assert_eq!(
        fine.subject_alternative_names.unwrap(),
        ["broker.example", "10.0.1.5"]
    );
    assert_eq!(fine.not_after.as_deref(), Some("2040-01-01T00:00:00Z"));
    assert_eq!(server.name(0).await.as_deref(), Some("broker.example"));

    let other = tls(&with(
        at(server.port),
        &[ca.clone(), ("server_name", Value::string("other.example"))],
    ))
    .await;
    assert_eq!(other.success, Some(false));
    assert!(other.error.unwrap().contains("not valid for name"));
    assert_eq!(other.subject.as_deref(), Some("CN=test server"));

    let foreign = servers::tls("broker.example", "10.0.1.5").await;
    let untrusted = tls(&with(
        at(server.port),
        &[("ca_pem", Value::string(&foreign.ca_pem)), name.clone()],
    ))
    .await;
    assert_eq!(untrusted.success, Some(false));

    let silent = tls(&with(at(server.port), &[ca, name, ("sni", Value::Bool(false))])).await;
    assert_eq!(silent.success, Some(true));
    assert_eq!(server.name(1).await, None);
}

#[tokio::test]
async fn a_server_without_tls_is_not_taken_for_one() {
    let port = servers::broker("secret", None).await;
    let ca = servers::tls("x.example", "10.0.0.1").await.ca_pem;
    let found = tls(&with(at(port), &[("ca_pem", Value::string(ca))])).await;
    assert!(found.error.unwrap().starts_with("TLS handshake"));
}

#[tokio::test]
async fn a_broker_greets_and_lets_in() {
    let port = servers::broker("secret", None).await;
    let greeted = amqp(&at(port)).await;
    assert_eq!((greeted.error, greeted.logged_in), (None, Some(false)));
    assert_eq!(greeted.product.as_deref(), Some("RabbitMQ"));
    assert_eq!(greeted.mechanisms.unwrap(), ["PLAIN", "AMQPLAIN"]);

    let login = |password: &str| {
        vec![
            ("username", Value::string("admin")),
            ("password", Value::string(password).sensitive()),
        ]
    };
    let let_in = amqp(&with(at(port), &login("secret"))).await;
    assert_eq!((let_in.error, let_in.logged_in), (None, Some(true)));
    let refused = amqp(&with(at(port), &login("wrong-one"))).await;
    assert_eq!(refused.logged_in, Some(false));
    let error = refused.error.unwrap();
    assert!(error.contains("403 ACCESS_REFUSED"), "{error}");
    assert!(!error.contains("wrong-one"));
}

#[tokio::test]
async fn what_is_not_amqp_is_said_so() {
    let port = servers::http().await;
    let found = amqp(&at(port)).await;
    let error = found.error.unwrap();
    assert!(
        error.contains("does not speak AMQP") || error.contains("closed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_status_is_judged() {
    let port = servers::http().await;
    let url = (
        "url",
        Value::string(format!("http://127.0.0.1:{port}/teapot?x=1")),
    );
    let any = http(std::slice::from_ref(&url)).await;
    assert_eq!(
        (any.success, any.status, any.error),
        (Some(true), Some(418), None)
    );
    assert_eq!(any.body.as_deref(), Some("GET /teapot?x=1"));
    let only = Value::tuple(vec![Value::from(200)]);
    let judged = http(&[url, ("expected_status", only)]).await;
    assert_eq!((judged.success, judged.status), (Some(false), Some(418)));
}

#[tokio::test]
async fn a_silent_server_takes_its_time_and_no_more() {
    let port = servers::silent().await;
    let found = amqp(&with(at(port), &[("timeout", Value::from(1))])).await;
    assert_eq!(found.error.as_deref(), Some("no answer within 1 s"));
}

#[tokio::test]
async fn mistakes_are_errors() {
    for (arguments, attribute) in [
        (vec![("from", Value::string("moon"))], "from"),
        (vec![("from", Value::string("pod"))], "pod"),
        (vec![("from", Value::string("host"))], "from"),
        (vec![("attempts", Value::from(0))], "attempts"),
        (vec![("expect", Value::string("maybe"))], "expect"),
    ] {
        let model = model::<ProbeTcp>(&with(at(1), &arguments));
        let error = ProbeTcp::read(&cx(), &client(), model).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
        assert_eq!(error.attribute, Some(Path::of(&[attribute])), "{error}");
    }
}
