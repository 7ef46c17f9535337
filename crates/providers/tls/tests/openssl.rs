//! What the provider makes, judged by OpenSSL and OpenSSH.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use stack_core::{Decode as _, Value};
use stack_provider::{Cx, DataSource as _, Owner, Resource as _, Sessions};
use stack_provider_tls::{
    CertRequest, CertRequestModel, LocallySignedCert, LocallySignedCertModel, PrivateKey, PrivateKeyModel,
    PublicKey, PublicKeyModel, SelfSignedCert, SelfSignedCertModel,
};
use tokio_util::sync::CancellationToken;

fn cx() -> Cx {
    Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(60))
}

fn owner() -> Owner {
    Owner {
        lineage: "l".into(),
        token: "t".into(),
        address: "tls_private_key.a".parse().unwrap(),
        environment: "test".into(),
    }
}

/// The model of these arguments, defaults filled in.
fn model<M: stack_core::SchemaOf>(arguments: &[(&str, Value)]) -> M {
    let schema = M::schema();
    let mut value = Value::object(arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    for (name, attribute) in &schema.attributes {
        if let (None, Some(default)) = (value.attribute(name), &attribute.default) {
            value = value.with_attribute(name, default.clone());
        }
    }
    M::decode(&value, &stack_core::Path::root()).unwrap()
}

/// Runs a program in a folder with these files; gives what it printed, and fails the test with it if the program fails.
fn run(files: &[(&str, &str)], program: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let out = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{program} {arguments:?}: {text}");
    text
}

async fn key(algorithm: &str, curve: &str) -> PrivateKeyModel {
    let planned = model(&[("algorithm", algorithm.into()), ("ecdsa_curve", curve.into())]);
    PrivateKey::create(&cx(), &(), &owner(), planned).await.unwrap()
}

fn text(secret: Option<&stack_core::Secret<String>>) -> &str {
    secret.unwrap().expose()
}

const KEYS: [(&str, &str); 5] = [
    ("RSA", "P256"),
    ("ECDSA", "P256"),
    ("ECDSA", "P384"),
    ("ECDSA", "P521"),
    ("ED25519", "P256"),
];

#[tokio::test]
async fn every_form_of_a_key_is_the_same_key() {
    for (algorithm, curve) in KEYS {
        let made = key(algorithm, curve).await;
        let public = made.public_key_pem.as_deref().unwrap();
        for pem in [
            text(made.private_key_pem.as_ref()),
            text(made.private_key_pem_pkcs8.as_ref()),
        ] {
            let derived = run(&[("k", pem)], "openssl", &["pkey", "-in", "k", "-pubout"]);
            assert_eq!(derived, public, "{algorithm} {curve}");
        }
        let openssh = text(made.private_key_openssh.as_ref());
        let line = run(&[("k", openssh)], "ssh-keygen", &["-y", "-f", "k"]);
        assert_eq!(line.trim(), made.public_key_openssh.as_deref().unwrap().trim());
        for (hash, fingerprint) in [
            ("sha256", made.public_key_fingerprint_sha256.clone().unwrap()),
            (
                "md5",
                format!("MD5:{}", made.public_key_fingerprint_md5.clone().unwrap()),
            ),
        ] {
            let shown = run(&[("k", openssh)], "ssh-keygen", &["-l", "-E", hash, "-f", "k"]);
            assert!(shown.contains(&fingerprint), "{shown} lacks {fingerprint}");
        }
        let arguments =
            model::<PublicKeyModel>(&[("private_key_pem", text(made.private_key_pem.as_ref()).into())]);
        let data = PublicKey::read(&cx(), &(), arguments).await.unwrap();
        assert_eq!(data.algorithm.as_deref(), Some(algorithm));
        assert_eq!(data.public_key_openssh, made.public_key_openssh);
        assert_eq!(data.id, made.id);
    }
}

#[tokio::test]
async fn rsa_keys_have_the_size_asked_for() {
    let planned = model(&[("algorithm", "RSA".into()), ("rsa_bits", Value::from(3072))]);
    let made = PrivateKey::create(&cx(), &(), &owner(), planned).await.unwrap();
    let shown = run(
        &[("k", text(made.private_key_pem.as_ref()))],
        "openssl",
        &["pkey", "-in", "k", "-noout", "-text"],
    );
    assert!(shown.contains("3072 bit"), "{shown}");
}

fn strings(texts: &[&str]) -> Value {
    Value::list(
        stack_core::Type::String,
        texts.iter().map(|t| (*t).into()).collect(),
    )
}

fn subject(pairs: &[(&str, &str)]) -> Value {
    Value::object(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())))
}

async fn authority(key: &PrivateKeyModel) -> SelfSignedCertModel {
    let planned = model(&[
        ("private_key_pem", text(key.private_key_pem.as_ref()).into()),
        ("validity_period_hours", Value::from(48)),
        ("is_ca_certificate", true.into()),
        ("allowed_uses", strings(&["cert_signing", "crl_signing"])),
        (
            "subject",
            subject(&[
                ("common_name", "Test CA"),
                ("organization", "Ex & Co"),
                ("country", "DE"),
            ]),
        ),
    ]);
    SelfSignedCert::create(&cx(), &(), &owner(), planned)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_chain_verifies_for_every_kind_of_key() {
    for (algorithm, curve) in KEYS {
        let (ca_key, leaf_key) = (key(algorithm, curve).await, key("ECDSA", "P256").await);
        let ca = authority(&ca_key).await;
        let planned = model::<LocallySignedCertModel>(&[
            (
                "ca_private_key_pem",
                text(ca_key.private_key_pem_pkcs8.as_ref()).into(),
            ),
            ("ca_cert_pem", ca.cert_pem.as_deref().unwrap().into()),
            (
                "public_key_pem",
                leaf_key.public_key_pem.as_deref().unwrap().into(),
            ),
            ("validity_period_hours", Value::from(24)),
            (
                "allowed_uses",
                strings(&["digital_signature", "key_encipherment", "server_auth"]),
            ),
            ("dns_names", strings(&["broker.example.com", "*.example.org"])),
            ("ip_addresses", strings(&["10.0.0.7", "2001:db8::7"])),
            ("subject", subject(&[("common_name", "broker.example.com")])),
        ]);
        let leaf = LocallySignedCert::create(&cx(), &(), &owner(), planned)
            .await
            .unwrap();
        let (ca, leaf) = (ca.cert_pem.unwrap(), leaf.cert_pem.unwrap());
        let files = [("ca", ca.as_str()), ("leaf", leaf.as_str())];
        for name in ["broker.example.com", "www.example.org"] {
            let arguments = [
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-verify_hostname",
                name,
            ];
            run(
                &files,
                "openssl",
                &[&arguments[..], &["-CAfile", "ca", "leaf"]].concat(),
            );
        }
        for address in ["10.0.0.7", "2001:db8::7"] {
            run(
                &files,
                "openssl",
                &["verify", "-verify_ip", address, "-CAfile", "ca", "leaf"],
            );
        }
        let shown = run(&files, "openssl", &["x509", "-in", "leaf", "-noout", "-text"]);
        assert!(shown.contains("CA:FALSE"), "{shown}");
    }
}

#[tokio::test]
async fn a_request_is_signed_with_what_it_asks_for() {
    let (ca_key, leaf_key) = (key("ECDSA", "P384").await, key("RSA", "P256").await);
    let ca = authority(&ca_key).await;
    let planned = model::<CertRequestModel>(&[
        ("private_key_pem", text(leaf_key.private_key_pem.as_ref()).into()),
        ("dns_names", strings(&["client.example.com"])),
        ("uris", strings(&["spiffe://cluster.local/ns/a/sa/b"])),
        (
            "subject",
            subject(&[
                ("common_name", "client"),
                ("serial_number", "42"),
                ("postal_code", "12345"),
            ]),
        ),
    ]);
    let request = CertRequest::create(&cx(), &(), &owner(), planned).await.unwrap();
    let request_pem = request.cert_request_pem.unwrap();
    run(
        &[("r", &request_pem)],
        "openssl",
        &["req", "-in", "r", "-verify", "-noout"],
    );
    let planned = model::<LocallySignedCertModel>(&[
        ("ca_private_key_pem", text(ca_key.private_key_pem.as_ref()).into()),
        ("ca_cert_pem", ca.cert_pem.as_deref().unwrap().into()),
        ("cert_request_pem", request_pem.as_str().into()),
        ("validity_period_hours", Value::from(24)),
        ("early_renewal_hours", Value::from(2)),
        ("set_subject_key_id", true.into()),
        ("allowed_uses", strings(&["client_auth"])),
    ]);
    let leaf = LocallySignedCert::create(&cx(), &(), &owner(), planned)
        .await
        .unwrap();
    assert_eq!(leaf.ready_for_renewal, Some(false));
    assert_eq!(leaf.ca_key_algorithm.as_deref(), Some("ECDSA"));
    let files = [
        ("ca", ca.cert_pem.as_deref().unwrap()),
        ("leaf", leaf.cert_pem.as_deref().unwrap()),
    ];
    run(
        &files,
        "openssl",
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            "ca",
            "leaf",
        ],
    );
    let shown = run(&files, "openssl", &["x509", "-in", "leaf", "-noout", "-text"]);
    for wanted in [
        "DNS:client.example.com",
        "URI:spiffe://cluster.local/ns/a/sa/b",
        "Subject Key Identifier",
        "12345",
    ] {
        assert!(shown.contains(wanted), "{shown} lacks {wanted}");
    }
    // The public key of the certificate is that of the request.
    let public = run(&files, "openssl", &["x509", "-in", "leaf", "-noout", "-pubkey"]);
    assert_eq!(public, leaf_key.public_key_pem.unwrap());
}

#[tokio::test]
async fn an_authority_that_cannot_sign_is_refused() {
    let (one, other) = (key("ECDSA", "P256").await, key("ECDSA", "P256").await);
    let ca = authority(&one).await;
    let sign = async |ca_key: &PrivateKeyModel, ca_cert: &str| {
        let planned = model::<LocallySignedCertModel>(&[
            ("ca_private_key_pem", text(ca_key.private_key_pem.as_ref()).into()),
            ("ca_cert_pem", ca_cert.into()),
            ("public_key_pem", other.public_key_pem.as_deref().unwrap().into()),
            ("validity_period_hours", Value::from(24)),
            ("allowed_uses", strings(&["client_auth"])),
        ]);
        LocallySignedCert::create(&cx(), &(), &owner(), planned).await
    };
    let leaf = sign(&one, ca.cert_pem.as_deref().unwrap()).await.unwrap();
    let wrong_key = sign(&other, ca.cert_pem.as_deref().unwrap()).await.unwrap_err();
    assert_eq!(wrong_key.error.to_string(), "does not belong to `ca_cert_pem`");
    let no_authority = sign(&other, leaf.cert_pem.as_deref().unwrap()).await.unwrap_err();
    assert!(
        no_authority
            .error
            .to_string()
            .starts_with("is not of an authority")
    );
}

#[tokio::test]
async fn a_certificate_near_its_end_is_replaced() {
    let planned = SelfSignedCertModel {
        early_renewal_hours: 48,
        ..authority(&key("ED25519", "P256").await).await
    };
    let read = SelfSignedCert::read(&cx(), &(), &planned).await.unwrap().unwrap();
    assert_eq!(read.ready_for_renewal, Some(true));
    let prior = read.encode();
    let refined = SelfSignedCert::refine(Some(&prior), prior.clone());
    assert_eq!(refined.replace, [stack_core::Path::of(&["ready_for_renewal"])]);
}

#[tokio::test]
async fn another_subject_replaces_the_certificate() {
    let prior = authority(&key("ED25519", "P256").await).await.encode();
    let planned = prior.with_attribute("subject", subject(&[("common_name", "Other CA")]));
    let refined = SelfSignedCert::refine(Some(&prior), planned);
    assert_eq!(refined.replace, [stack_core::Path::of(&["subject"])]);
    assert!(
        SelfSignedCert::refine(Some(&prior), prior.clone())
            .replace
            .is_empty()
    );
}
