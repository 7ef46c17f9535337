//! Every type against a management API in this process.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod fake;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fake::Api;
use serde_json::json;
use stack_core::Value;
use stack_provider::contract::{self, Change, Effect, Faults, Harness};
use stack_provider::{
    AnyProvider, Cx, ErrorKind, Owner, Provider as _, ProviderError, Resource, Sessions, async_trait,
};
use stack_provider_rabbitmq::{
    BrokerClient, Permissions, Policy, Rabbitmq, RabbitmqConfig, RabbitmqPermissions, RabbitmqPolicy,
    RabbitmqUser, RabbitmqVhost, User, Vhost,
};
use stack_ssh::sshd::Sshd;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};
use tokio_util::sync::CancellationToken;

fn cx() -> Cx {
    Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(60))
}

fn config(api: &Api) -> RabbitmqConfig {
    RabbitmqConfig {
        instance: None,
        endpoint: format!("http://127.0.0.1:{}", api.port),
        username: "operator".to_owned(),
        password: "pass".into(),
        ca_certificate: None,
        ssh: None,
    }
}

async fn client(api: &Api) -> BrokerClient {
    Rabbitmq::connect(&cx(), config(api)).await.unwrap()
}

fn owner() -> Owner {
    Owner {
        lineage: "lineage".to_owned(),
        token: "token".to_owned(),
        address: "rabbitmq_user.x".parse().unwrap(),
        environment: "default".to_owned(),
    }
}

fn user() -> User {
    User {
        name: "app user".to_owned(),
        password: Some("hunter2".into()),
        tags: Some(BTreeSet::from(["monitoring".to_owned(), "management".to_owned()])),
        overwrite: false,
        id: None,
    }
}

fn permissions() -> Permissions {
    Permissions {
        user: "app".to_owned(),
        vhost: "/".to_owned(),
        configure: "^$".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
        overwrite: false,
        id: None,
    }
}

fn policy() -> Policy {
    Policy {
        name: "limit".to_owned(),
        vhost: "/".to_owned(),
        pattern: "^a".to_owned(),
        definition: r#"{ "max-length": 10, "overflow": "reject-publish" }"#.to_owned(),
        priority: 3,
        apply_to: "queues".to_owned(),
        overwrite: false,
        id: None,
    }
}

fn vhost() -> Vhost {
    Vhost {
        name: "shop/eu".to_owned(),
        description: Some("of the shop".to_owned()),
        tags: None,
        tracing: false,
        id: None,
    }
}

/// The contract kit's view of one type.
struct Contract<R: Resource> {
    api: Api,
    client: BrokerClient,
    kind: &'static str,
    arguments: R::Model,
    changes: Vec<Change<R::Model>>,
}

#[async_trait]
impl<R: Resource<Client = BrokerClient>> Harness for Contract<R> {
    type Resource = R;

    fn client(&self) -> &BrokerClient {
        &self.client
    }

    fn arguments(&self) -> R::Model {
        self.arguments.clone()
    }

    fn changes(&self) -> Vec<Change<R::Model>> {
        let copy = |change: &Change<R::Model>| Change {
            name: change.name,
            arguments: change.arguments.clone(),
            effect: change.effect,
        };
        self.changes.iter().map(copy).collect()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(&self.api)
    }

    async fn count(&self) -> Option<usize> {
        Some(self.api.count(self.kind))
    }
}

async fn check<R: Resource<Client = BrokerClient>>(
    kind: &'static str,
    arguments: R::Model,
    changes: Vec<(&'static str, R::Model, Effect)>,
) {
    let api = Api::start(None).await;
    api.put(
        "users",
        "app",
        json!({"name": "app", "password_hash": "", "tags": []}),
    );
    let client = client(&api).await;
    let changes = changes.into_iter().map(|(name, arguments, effect)| Change {
        name,
        arguments,
        effect,
    });
    let harness = Contract::<R> {
        api,
        client,
        kind,
        arguments,
        changes: changes.collect(),
    };
    if let Err(violation) = contract::check(&harness).await {
        panic!("{violation}");
    }
}

#[tokio::test]
async fn user_keeps_the_contract() {
    let password = User {
        password: Some("other".into()),
        ..user()
    };
    let no_password = User {
        password: None,
        ..user()
    };
    let tags = User {
        tags: Some(BTreeSet::from(["administrator".to_owned()])),
        ..user()
    };
    let name = User {
        name: "b".to_owned(),
        ..user()
    };
    let changes = vec![
        ("password", password, Effect::InPlace),
        ("no password", no_password, Effect::InPlace),
        ("tags", tags, Effect::InPlace),
        ("name", name, Effect::Replace),
    ];
    check::<RabbitmqUser>("users", user(), changes).await;
}

#[tokio::test]
async fn permissions_keep_the_contract() {
    let write = Permissions {
        write: "^$".to_owned(),
        ..permissions()
    };
    let vhost = Permissions {
        vhost: "b".to_owned(),
        ..permissions()
    };
    let changes = vec![
        ("write", write, Effect::InPlace),
        ("vhost", vhost, Effect::Replace),
    ];
    check::<RabbitmqPermissions>("permissions", permissions(), changes).await;
}

#[tokio::test]
async fn vhost_keeps_the_contract() {
    let description = Vhost {
        description: Some("other".to_owned()),
        ..vhost()
    };
    let tags = Vhost {
        tags: Some(BTreeSet::from(["a".to_owned()])),
        ..vhost()
    };
    let name = Vhost {
        name: "b".to_owned(),
        ..vhost()
    };
    let changes = vec![
        ("description", description, Effect::InPlace),
        ("tags", tags, Effect::InPlace),
        ("name", name, Effect::Replace),
    ];
    check::<RabbitmqVhost>("vhosts", vhost(), changes).await;
}

#[tokio::test]
async fn policy_keeps_the_contract() {
    let definition = Policy {
        definition: r#"{"max-length":11}"#.to_owned(),
        ..policy()
    };
    let name = Policy {
        name: "b".to_owned(),
        ..policy()
    };
    let changes = vec![
        ("definition", definition, Effect::InPlace),
        ("name", name, Effect::Replace),
    ];
    check::<RabbitmqPolicy>("policies", policy(), changes).await;
}

#[tokio::test]
async fn passwords_travel_as_salted_hashes_and_their_drift_is_seen() {
    let api = Api::start(None).await;
    let (cx, client) = (cx(), client(&api).await);
    let made = RabbitmqUser::create(&cx, &client, &owner(), user())
        .await
        .unwrap();
    let stored = api.get("users", "app%20user").unwrap();
    assert!(!stored.to_string().contains("hunter2"));
    assert_eq!(stored["hashing_algorithm"], "rabbit_password_hashing_sha256");
    assert_eq!(stored["password_hash"].as_str().unwrap().len(), 48);
    assert_eq!(
        RabbitmqUser::read(&cx, &client, &made).await.unwrap(),
        Some(made.clone())
    );
    // The documentation's example, a hash of "test12".
    let other = json!({"name": "app user", "tags": ["management", "monitoring"],
        "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
        "hashing_algorithm": "rabbit_password_hashing_sha256"});
    api.put("users", "app%20user", other);
    let drifted = RabbitmqUser::read(&cx, &client, &made).await.unwrap().unwrap();
    assert_eq!(drifted.password, None);
    assert_eq!(drifted.tags, made.tags);
    let known = User {
        password: Some("test12".into()),
        ..made
    };
    assert_eq!(
        RabbitmqUser::read(&cx, &client, &known).await.unwrap(),
        Some(known.clone())
    );
    // A password where none is wanted is drift, too.
    let none = User {
        password: None,
        ..known
    };
    assert!(
        RabbitmqUser::read(&cx, &client, &none)
            .await
            .unwrap()
            .unwrap()
            .password
            .is_some()
    );
    let imported = RabbitmqUser::import(&cx, &client, "app user").await.unwrap();
    assert_eq!(
        (imported.password, imported.id.as_deref()),
        (None, Some("app user"))
    );
}

#[tokio::test]
async fn many_reads_are_one_request_on_one_connection() {
    let api = Api::start(None).await;
    let (cx, client) = (cx(), client(&api).await);
    let mut users = Vec::new();
    for name in ["a", "b", "c"] {
        let planned = User {
            name: name.to_owned(),
            ..user()
        };
        users.push(
            RabbitmqUser::create(&cx, &client, &owner(), planned)
                .await
                .unwrap(),
        );
    }
    let before = api.requests().len();
    RabbitmqUser::delete(&cx, &client, &users[1]).await.unwrap();
    let answers = RabbitmqUser::read_many(&cx, &client, &users).await;
    let there: Vec<_> = answers.into_iter().map(|a| a.unwrap().is_some()).collect();
    assert_eq!(there, [true, false, true]);
    assert_eq!(
        api.requests()[before..],
        ["DELETE /api/users/b", "GET /api/users"]
    );
    assert_eq!(api.connections(), 1);
}

#[tokio::test]
async fn what_may_be_taken_over_is_no_obstacle() {
    let api = Api::start(None).await;
    let (cx, client) = (cx(), client(&api).await);
    let made = RabbitmqUser::create(&cx, &client, &owner(), user())
        .await
        .unwrap();
    let planned = stack_core::Decode::encode(&made);
    let found = RabbitmqUser::find(&cx, &client, &owner(), &planned)
        .await
        .unwrap();
    assert_eq!(found, Some(made));
    let overwrite = planned.with_attribute("overwrite", true.into());
    assert_eq!(
        RabbitmqUser::find(&cx, &client, &owner(), &overwrite)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let api = Api::start(None).await;
    let cx = cx();
    let read = async |config: RabbitmqConfig| -> ProviderError {
        let client = Rabbitmq::connect(&cx, config).await.unwrap();
        RabbitmqUser::read(&cx, &client, &user()).await.unwrap_err()
    };
    let denied = read(RabbitmqConfig {
        password: "wrong".into(),
        ..config(&api)
    })
    .await;
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert!(
        denied.to_string().contains("Login failed: check `username`"),
        "{denied}"
    );
    let client = client(&api).await;
    let nobody = Permissions {
        user: "nobody".to_owned(),
        ..permissions()
    };
    let failure = RabbitmqPermissions::create(&cx, &client, &owner(), nobody)
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::InvalidArgument);
    assert!(
        failure.error.message.contains("no user \"nobody\""),
        "{}",
        failure.error
    );
    // A broker that is starting is tried again.
    api.break_with(503, "<html>starting</html>");
    assert_eq!(read(config(&api)).await.kind, ErrorKind::Unavailable);
    api.break_with(200, "<html>what?</html>");
    assert_eq!(read(config(&api)).await.kind, ErrorKind::Internal);
    let nothing_there = RabbitmqConfig {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..config(&api)
    };
    assert_eq!(read(nothing_there).await.kind, ErrorKind::Unavailable);
    for endpoint in [
        "127.0.0.1:15672",
        "ftp://a",
        "http://u:p@host",
        "https://127.0.0.1",
    ] {
        let bad = RabbitmqConfig {
            endpoint: endpoint.to_owned(),
            ..config(&api)
        };
        let error = Rabbitmq::connect(&cx, bad).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{endpoint}");
    }
}

#[tokio::test]
async fn api_is_reached_through_ssh() {
    let api = Api::start(None).await;
    let sshd = Sshd::start().unwrap();
    let through = RabbitmqConfig {
        ssh: Some(sshd.connection().unwrap()),
        ..config(&api)
    };
    let cx = cx();
    let client = Rabbitmq::connect(&cx, through).await.unwrap();
    let made = RabbitmqUser::create(&cx, &client, &owner(), user())
        .await
        .unwrap();
    assert_eq!(RabbitmqUser::read(&cx, &client, &made).await.unwrap(), Some(made));
    let other = Sshd::start().unwrap();
    let mut untrusted = sshd.connection().unwrap();
    untrusted.host_keys = other.connection().unwrap().host_keys;
    let wrong = RabbitmqConfig {
        ssh: Some(untrusted),
        ..config(&api)
    };
    let client = Rabbitmq::connect(&cx, wrong).await.unwrap();
    let error = RabbitmqUser::read(&cx, &client, &user()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn api_is_reached_over_tls_that_is_checked() {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let api = Api::start(Some(Arc::new(server).into())).await;
    let secured = |pem: String| RabbitmqConfig {
        endpoint: format!("https://localhost:{}", api.port),
        ca_certificate: Some(pem),
        ..config(&api)
    };
    let cx = cx();
    let client = Rabbitmq::connect(&cx, secured(signed.cert.pem())).await.unwrap();
    RabbitmqUser::create(&cx, &client, &owner(), user())
        .await
        .unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let client = Rabbitmq::connect(&cx, secured(other.cert.pem())).await.unwrap();
    let error = RabbitmqUser::read(&cx, &client, &user()).await.unwrap_err();
    assert!(error.message.contains("TLS handshake failed"), "{error}");
}

#[tokio::test]
async fn hash_is_a_function_of_the_language() {
    let provider = AnyProvider::of::<Rabbitmq>();
    let function = provider
        .functions
        .iter()
        .find(|f| f.name == "password_hash")
        .unwrap();
    let hash = (function.call)(&["test12".into(), "908DC60A".into()]).unwrap();
    assert_eq!(
        hash,
        Value::from("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR")
    );
    assert!((function.call)(&["test12".into()]).is_err());
    assert!(
        (function.call)(&["test12".into(), "xyz".into()])
            .unwrap_err()
            .contains("random_id")
    );
}
