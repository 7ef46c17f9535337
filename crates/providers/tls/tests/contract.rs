//! The contract kit on the types of `tls`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use stack_core::{Path, SchemaOf, Type, Value};
use stack_provider::contract::{self, Change, Effect, Harness};
use stack_provider::{DataSource as _, Resource};
use stack_provider_tls::{CertRequest, LocallySignedCert, Pkcs12, PrivateKey, PublicKey, SelfSignedCert};

/// The model of these arguments, defaults filled in.
fn model<M: SchemaOf>(arguments: &[(&str, Value)]) -> M {
    let mut value = Value::object(arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    for (name, attribute) in M::schema().attributes {
        if let (None, Some(default)) = (value.attribute(&name), attribute.default) {
            value = value.with_attribute(&name, default);
        }
    }
    M::decode(&value, &Path::root()).unwrap()
}

struct Local<R: Resource<Client = ()>> {
    arguments: Vec<(&'static str, Value)>,
    changes: Vec<(&'static str, Value, Effect)>,
    resource: std::marker::PhantomData<fn(R)>,
}

impl<R: Resource<Client = ()>> Local<R> {
    fn new(arguments: &[(&'static str, Value)], changes: &[(&'static str, Value, Effect)]) -> Self {
        Self {
            arguments: arguments.to_vec(),
            changes: changes.to_vec(),
            resource: std::marker::PhantomData,
        }
    }
}

#[stack_provider::async_trait]
impl<R: Resource<Client = ()>> Harness for Local<R> {
    type Resource = R;
    fn client(&self) -> &() {
        &()
    }
    fn arguments(&self) -> R::Model {
        model(&self.arguments)
    }
    fn changes(&self) -> Vec<Change<R::Model>> {
        let changes = self.changes.iter().map(|(name, value, effect)| {
            let mut arguments = self.arguments.clone();
            arguments.retain(|(n, _)| n != name);
            arguments.push((name, value.clone()));
            Change {
                name,
                arguments: model(&arguments),
                effect: *effect,
            }
        });
        changes.collect()
    }
}

async fn check<R: Resource<Client = ()>>(
    arguments: &[(&'static str, Value)],
    changes: &[(&'static str, Value, Effect)],
) {
    contract::check(&Local::<R>::new(arguments, changes))
        .await
        .unwrap();
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER
-----END PRIVATE KEY-----
";

fn strings(texts: &[&str]) -> Value {
    Value::list(Type::String, texts.iter().map(|t| (*t).into()).collect())
}

fn subject(name: &str) -> Value {
    Value::object([("common_name".to_owned(), name.into())])
}

/// A certificate of the authority that [`KEY`] belongs to.
async fn authority() -> String {
    let planned = model(&authority_arguments());
    let cx = Local::<SelfSignedCert>::new(&[], &[]).cx();
    let owner = stack_provider::Owner {
        lineage: "l".into(),
        token: "t".into(),
        address: "tls_self_signed_cert.ca".parse().unwrap(),
        environment: "test".into(),
    };
    let made = SelfSignedCert::create(&cx, &(), &owner, planned).await.unwrap();
    made.cert_pem.unwrap()
}

fn authority_arguments() -> Vec<(&'static str, Value)> {
    vec![
        ("private_key_pem", KEY.into()),
        ("validity_period_hours", Value::from(100)),
        ("allowed_uses", strings(&["cert_signing"])),
        ("is_ca_certificate", true.into()),
        ("subject", subject("CA")),
    ]
}

#[tokio::test]
async fn tls_private_key() {
    let arguments = [("algorithm", "ECDSA".into())];
    check::<PrivateKey>(&arguments, &[("ecdsa_curve", "P384".into(), Effect::Replace)]).await;
}

#[tokio::test]
async fn tls_self_signed_cert() {
    let changes = [
        ("early_renewal_hours", Value::from(10), Effect::InPlace),
        ("subject", subject("other"), Effect::Replace),
        ("dns_names", strings(&["a.example"]), Effect::Replace),
    ];
    check::<SelfSignedCert>(&authority_arguments(), &changes).await;
}

#[tokio::test]
async fn tls_cert_request_and_locally_signed_cert() {
    let arguments = [("private_key_pem", KEY.into()), ("subject", subject("leaf"))];
    check::<CertRequest>(&arguments, &[("uris", strings(&["a:b"]), Effect::Replace)]).await;

    let cx = Local::<CertRequest>::new(&[], &[]).cx();
    let public = PublicKey::read(&cx, &(), model(&[("private_key_pem", KEY.into())]))
        .await
        .unwrap();
    let public = public.public_key_pem.unwrap();
    let arguments = [
        ("ca_private_key_pem", KEY.into()),
        ("ca_cert_pem", authority().await.into()),
        ("public_key_pem", public.into()),
        ("validity_period_hours", Value::from(10)),
        ("allowed_uses", strings(&["server_auth"])),
        ("subject", subject("leaf")),
    ];
    let changes = [
        ("early_renewal_hours", Value::from(2), Effect::InPlace),
        ("validity_period_hours", Value::from(11), Effect::Replace),
    ];
    check::<LocallySignedCert>(&arguments, &changes).await;
}

#[tokio::test]
async fn tls_pkcs12() {
    let arguments = [
        ("password", "one".into()),
        ("ca_cert_pem", authority().await.into()),
    ];
    check::<Pkcs12>(&arguments, &[("password", "two".into(), Effect::Replace)]).await;
}
