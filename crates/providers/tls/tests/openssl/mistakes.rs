//! Mistakes are named with their attribute before anything is made.

use stack_core::{Path, SchemaOf as _, Step, Type, Value};
use stack_provider::Resource;
use stack_provider_tls::{CertRequest, LocallySignedCert, Pkcs12, PrivateKey, SelfSignedCert};

use super::{authority, cx, key, model, owner, strings, subject, text};

/// What `validate` says, one `attribute: problem` a line.
fn said<R: Resource>(arguments: &[(&str, Value)]) -> Vec<String> {
    let config = Value::object(arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    let lines = R::validate(&config).into_iter().map(|(path, text)| {
        assert!(has(&R::Model::schema(), &path), "{} has no {path}", R::TYPE);
        format!("{path}: {text}")
    });
    lines.collect()
}

fn has(schema: &stack_core::Schema, path: &Path) -> bool {
    let Some(Step::Attribute(name)) = path.0.first() else {
        return false;
    };
    schema.attributes.contains_key(&**name) || schema.blocks.contains_key(&**name)
}

/// Each wanted text begins a line, and there are no more lines than texts.
fn expect(lines: &[String], wanted: &[&str]) {
    for text in wanted {
        assert!(
            lines.iter().any(|line| line.starts_with(text)),
            "no {text:?} in {lines:#?}"
        );
    }
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
}

#[tokio::test]
async fn of_certificates() {
    let wrong = [
        ("private_key_pem", "no key".into()),
        ("validity_period_hours", Value::from(0)),
        ("early_renewal_hours", Value::from(5)),
        ("allowed_uses", strings(&["server_auth", "serve"])),
        ("ip_addresses", strings(&["10.0.0.1", "10.0.0.256"])),
        ("max_path_length", Value::from(1)),
        ("subject", subject(&[("country", "Germany")])),
    ];
    expect(
        &said::<SelfSignedCert>(&wrong),
        &[
            "private_key_pem: has no `PRIVATE KEY` block",
            "validity_period_hours: must be at least 1",
            "allowed_uses[1]: `serve` is no use of a key",
            "ip_addresses[1]: `10.0.0.256` is not an IP address",
            "max_path_length: is for authorities",
            "subject.country: two letters",
        ],
    );
    expect(
        &said::<LocallySignedCert>(&[
            (
                "ca_private_key_pem",
                text(key("RSA", "P256").await.private_key_openssh.as_ref()).into(),
            ),
            (
                "ca_cert_pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
            ),
            ("cert_request_pem", "no request".into()),
            ("dns_names", strings(&["a.example"])),
            ("validity_period_hours", Value::from(3)),
            ("early_renewal_hours", Value::from(3)),
            ("allowed_uses", strings(&[])),
        ]),
        &[
            "ca_private_key_pem: is in OpenSSH's own form",
            "ca_cert_pem: is no X.509 certificate",
            "cert_request_pem: is no request that can be signed",
            "dns_names: comes from `cert_request_pem`",
            "early_renewal_hours: must be less than `validity_period_hours`",
        ],
    );
    expect(
        &said::<CertRequest>(&[
            (
                "private_key_pem",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".into(),
            ),
            ("ip_addresses", strings(&["localhost"])),
        ]),
        &[
            "private_key_pem: is not a key that can be used",
            "ip_addresses[0]: `localhost` is not an IP address",
        ],
    );
    expect(
        &said::<PrivateKey>(&[
            ("algorithm", "DSA".into()),
            ("rsa_bits", Value::from(1024)),
            ("ecdsa_curve", "P224".into()),
        ]),
        &[
            "algorithm: must be RSA, ECDSA or ED25519",
            "rsa_bits: must be 2048, 3072 or 4096",
            "ecdsa_curve: must be P256, P384 or P521",
        ],
    );
}

#[tokio::test]
async fn of_pkcs12_files() {
    let (one, other) = (key("ECDSA", "P256").await, key("ECDSA", "P256").await);
    let certificate: Value = authority(&one).await.cert_pem.unwrap().into();
    let pem = |key: &stack_provider_tls::PrivateKeyModel| Value::from(text(key.private_key_pem.as_ref()));
    let password = ("password", Value::from("changeit"));
    type Case = (Vec<(&'static str, Value)>, Vec<&'static str>);
    let cases: Vec<Case> = vec![
        (
            vec![
                ("private_key_pem", pem(&other)),
                ("cert_pem", certificate.clone()),
            ],
            vec!["private_key_pem: does not belong to the first certificate of `cert_pem`"],
        ),
        (vec![("private_key_pem", pem(&one))], vec!["cert_pem: is wanted"]),
        (
            vec![("cert_pem", certificate.clone())],
            vec!["private_key_pem: is wanted with `cert_pem`"],
        ),
        (vec![], vec!["ca_cert_pem: is wanted"]),
        (
            vec![("ca_cert_pem", "x".into())],
            vec!["ca_cert_pem: has no `CERTIFICATE` block"],
        ),
        (
            vec![
                ("private_key_pem", "x".into()),
                ("cert_pem", pem(&one)),
                ("alias", "a\u{1f511}".into()),
            ],
            vec![
                "private_key_pem: ",
                "cert_pem: has no `CERTIFICATE` block",
                "alias: has a character that PKCS #12 cannot hold",
            ],
        ),
    ];
    for (arguments, wanted) in cases {
        let all = [std::slice::from_ref(&password), arguments.as_slice()].concat();
        expect(&said::<Pkcs12>(&all), &wanted);
        // What is unknown while planning is found by the apply, with the same attribute.
        let error = Pkcs12::create(&cx(), &(), &owner(), model(&all))
            .await
            .unwrap_err();
        let attribute = wanted.iter().map(|w| w.split(':').next().unwrap());
        let blamed = error.error.attribute.unwrap().to_string();
        assert!(
            attribute.clone().any(|a| a == blamed),
            "{blamed} is none of {:?}",
            attribute.collect::<Vec<_>>()
        );
    }
    let empty = [("password", "".into()), ("ca_cert_pem", certificate.clone())];
    expect(&said::<Pkcs12>(&empty), &["password: must not be empty"]);
    // Nothing is said of what is not known yet.
    let unknown = || Value::unknown(Type::String);
    let later = [
        ("password", unknown()),
        ("private_key_pem", unknown()),
        ("cert_pem", certificate),
    ];
    expect(&said::<Pkcs12>(&later), &[]);
}
