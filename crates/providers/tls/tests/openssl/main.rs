//! What the provider makes, judged by OpenSSL and OpenSSH.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod content;
mod mistakes;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use stack_core::{Decode as _, Value};
use stack_provider::{Cx, DataSource as _, Owner, Resource as _, Sessions};
use stack_provider_tls::{
    CertRequest, CertRequestModel, LocallySignedCert, LocallySignedCertModel, Pkcs12, Pkcs12Model,
    PrivateKey, PrivateKeyModel, PublicKey, PublicKeyModel, SelfSignedCert, SelfSignedCertModel,
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
    let (text, succeeded) = try_run(files, program, arguments);
    assert!(succeeded, "{program} {arguments:?}: {text}");
    text
}

/// The same, with whether the program succeeded. A file whose name ends in `.b64` is decoded and loses that ending.
fn try_run(files: &[(&str, &str)], program: &str, arguments: &[&str]) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let (name, content) = match name.strip_suffix(".b64") {
            Some(name) => (name, BASE64_STANDARD.decode(text).unwrap()),
            None => (*name, text.as_bytes().to_vec()),
        };
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let out = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    (text, out.status.success())
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
    for bits in [2048, 3072, 4096] {
        let planned = model(&[("algorithm", "RSA".into()), ("rsa_bits", Value::from(bits))]);
        let made = PrivateKey::create(&cx(), &(), &owner(), planned).await.unwrap();
        let key = [("k", text(made.private_key_pem.as_ref()))];
        let shown = run(
            &key,
            "openssl",
            &["pkey", "-in", "k", "-noout", "-text", "-check"],
        );
        assert!(
            shown.contains(&format!("{bits} bit")) && shown.contains("Key is valid"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn der_holds_the_same_as_pem() {
    for (algorithm, curve) in KEYS {
        let made = key(algorithm, curve).await;
        let private = [("k.b64", text(made.private_key_der_base64.as_ref()))];
        let words = ["pkey", "-inform", "DER", "-in", "k", "-pubout"];
        let public = made.public_key_pem.as_deref().unwrap();
        assert_eq!(run(&private, "openssl", &words), public, "{algorithm} {curve}");
        let der = [("k.b64", made.public_key_der_base64.as_deref().unwrap())];
        let words = ["pkey", "-pubin", "-inform", "DER", "-in", "k", "-pubout"];
        assert_eq!(run(&der, "openssl", &words), public, "{algorithm} {curve}");
        let ca = authority(&made).await;
        let der = [("c.b64", ca.cert_der_base64.as_deref().unwrap())];
        let pem = run(&der, "openssl", &["x509", "-inform", "DER", "-in", "c"]);
        assert_eq!(pem, ca.cert_pem.unwrap(), "{algorithm} {curve}");
    }
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
    let der = [("r.b64", request.cert_request_der_base64.as_deref().unwrap())];
    let pem = run(&der, "openssl", &["req", "-inform", "DER", "-in", "r"]);
    assert_eq!(pem, request_pem);
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

/// What OpenSSL shows of a certificate.
fn shown(pem: &str, options: &[&str]) -> String {
    let words = [&["x509", "-in", "c", "-noout"], options].concat();
    run(&[("c", pem)], "openssl", &words)
}

#[tokio::test]
async fn an_authority_says_what_it_is() {
    for ((algorithm, curve), signature) in KEYS.into_iter().zip([
        "sha256WithRSAEncryption",
        "ecdsa-with-SHA256",
        "ecdsa-with-SHA384",
        "ecdsa-with-SHA512",
        "ED25519",
    ]) {
        let key = key(algorithm, curve).await;
        let planned = SelfSignedCertModel {
            max_path_length: Some(1),
            ..authority(&key).await
        };
        let made = SelfSignedCert::create(&cx(), &(), &owner(), planned)
            .await
            .unwrap();
        let text = shown(made.cert_pem.as_deref().unwrap(), &["-text"]);
        for wanted in [
            &format!("Signature Algorithm: {signature}"),
            "Subject: C = DE, O = Ex & Co, CN = Test CA",
            "Basic Constraints: critical\n                CA:TRUE, pathlen:1",
            "Key Usage: critical\n                Certificate Sign, CRL Sign",
            "X509v3 Subject Key Identifier",
        ] {
            assert!(
                text.contains(wanted),
                "{algorithm} {curve}: no {wanted:?} in {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_is_valid_as_long_as_asked_for_and_says_for_what() {
    let (ca_key, leaf_key) = (key("ECDSA", "P256").await, key("ECDSA", "P384").await);
    let ca = authority(&ca_key).await;
    let planned = model::<LocallySignedCertModel>(&[
        ("ca_private_key_pem", text(ca_key.private_key_pem.as_ref()).into()),
        ("ca_cert_pem", ca.cert_pem.as_deref().unwrap().into()),
        (
            "public_key_pem",
            leaf_key.public_key_pem.as_deref().unwrap().into(),
        ),
        ("validity_period_hours", Value::from(24)),
        (
            "allowed_uses",
            strings(&[
                "digital_signature",
                "key_encipherment",
                "server_auth",
                "client_auth",
            ]),
        ),
        ("dns_names", strings(&["broker.example.com"])),
        ("ip_addresses", strings(&["10.0.0.7"])),
        (
            "subject",
            subject(&[("common_name", "broker"), ("organization", "Ex")]),
        ),
    ]);
    let leaf = LocallySignedCert::create(&cx(), &(), &owner(), planned)
        .await
        .unwrap();
    let pem = leaf.cert_pem.as_deref().unwrap();
    let text = shown(pem, &["-text"]);
    for wanted in [
        "Basic Constraints: critical\n                CA:FALSE",
        "Key Usage: critical\n                Digital Signature, Key Encipherment\n",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "DNS:broker.example.com, IP Address:10.0.0.7",
        "Authority Key Identifier",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    assert_eq!(shown(pem, &["-subject"]).trim(), "subject=O = Ex, CN = broker");
    assert_eq!(
        shown(pem, &["-issuer"]).trim(),
        "issuer=C = DE, O = Ex & Co, CN = Test CA"
    );
    let hours = |h: u32| shown_still_valid(pem, h);
    assert!(hours(23) && !hours(25), "it ends after 24 hours");
    assert_eq!(
        leaf.validity_end_time.as_deref().map(|t| t.len()),
        Some("2026-01-01T00:00:00Z".len())
    );
}

/// Whether OpenSSL says that a certificate is still valid in this many hours.
fn shown_still_valid(pem: &str, hours: u32) -> bool {
    let seconds = (hours * 3600).to_string();
    try_run(
        &[("c", pem)],
        "openssl",
        &["x509", "-in", "c", "-noout", "-checkend", &seconds],
    )
    .1
}

#[tokio::test]
async fn serial_numbers_are_positive_random_and_never_the_same() {
    let key = key("ED25519", "P256").await;
    let mut seen = std::collections::BTreeSet::new();
    let mut differing = [0_u8; 20];
    for number in 0..200 {
        let made = authority(&key).await;
        let id = made.id.unwrap();
        if number < 5 {
            let serial = shown(made.cert_pem.as_deref().unwrap(), &["-serial"]);
            let hex = serial.trim().strip_prefix("serial=").unwrap().to_owned();
            assert!(hex.len() <= 40 && !hex.starts_with('-'), "{hex}");
            let bytes: Vec<u8> = (0..20)
                .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            differing
                .iter_mut()
                .zip(bytes)
                .for_each(|(all, byte)| *all |= byte);
        }
        assert!(seen.insert(id.clone()), "{id} was given twice");
    }
    assert!(
        differing.iter().all(|byte| *byte != 0),
        "some bytes are always zero: {differing:?}"
    );
}

async fn packed(arguments: &[(&str, Value)]) -> Pkcs12Model {
    Pkcs12::create(&cx(), &(), &owner(), model(arguments))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_key_store_opens_with_its_password_only() {
    for (algorithm, curve) in KEYS {
        let made = key(algorithm, curve).await;
        let cert = authority(&made).await.cert_pem.unwrap();
        let store = packed(&[
            ("password", "geheim 42".into()),
            ("private_key_pem", text(made.private_key_pem.as_ref()).into()),
            ("cert_pem", cert.as_str().into()),
            ("alias", "broker".into()),
        ])
        .await;
        let files = [
            ("s.b64", text(store.content_base64.as_ref())),
            ("p", "geheim 42"),
            ("wrong", "offen"),
        ];
        let words = |password: &'static str, more: &[&'static str]| -> Vec<&'static str> {
            [&["pkcs12", "-in", "s", "-passin", password], more].concat()
        };
        let certificates = run(&files, "openssl", &words("file:p", &["-nokeys"]));
        assert!(
            certificates.contains(cert.trim()),
            "{algorithm} {curve}: {certificates}"
        );
        let keys = run(&files, "openssl", &words("file:p", &["-nocerts", "-noenc"]));
        assert!(keys.contains("friendlyName: broker"), "{keys}");
        let private = keys[keys.find("-----BEGIN").unwrap()..].to_owned();
        let public = run(&[("k", &private)], "openssl", &["pkey", "-in", "k", "-pubout"]);
        assert_eq!(public, made.public_key_pem.unwrap(), "{algorithm} {curve}");
        let info = run(&files, "openssl", &words("file:p", &["-info", "-noout"]));
        assert!(
            info.contains("MAC: sha256") && info.contains("AES-256-CBC") && info.contains("hmacWithSHA256"),
            "{info}"
        );
        let (refusal, opened) = try_run(&files, "openssl", &words("file:wrong", &["-noout"]));
        assert!(!opened && refusal.contains("invalid password"), "{refusal}");
    }
}

#[tokio::test]
async fn a_trust_store_names_each_authority() {
    let one = authority(&key("ECDSA", "P256").await).await.cert_pem.unwrap();
    let other = authority(&key("RSA", "P256").await).await.cert_pem.unwrap();
    let both = format!("{one}{other}");
    let store = packed(&[
        ("password", "changeit".into()),
        ("ca_cert_pem", both.as_str().into()),
    ])
    .await;
    let files = [("s.b64", text(store.content_base64.as_ref()))];
    let words = ["pkcs12", "-in", "s", "-passin", "pass:changeit", "-nokeys"];
    let shown = run(&files, "openssl", &words);
    // Java takes a certificate as trusted only with this attribute (2.16.840.1.113894.746875.1.1).
    for wanted in [
        "friendlyName: stack-ca-1",
        "friendlyName: stack-ca-2",
        one.trim(),
        other.trim(),
        "2.16.840.1.113894.746875.1.1",
    ] {
        assert!(shown.contains(wanted), "no {wanted} in {shown}");
    }
}

#[tokio::test]
async fn what_does_not_belong_together_is_not_packed() {
    let (one, other) = (key("ECDSA", "P256").await, key("ECDSA", "P256").await);
    let cert = authority(&one).await.cert_pem.unwrap();
    let (fits, wrong) = (
        text(one.private_key_pem.as_ref()),
        text(other.private_key_pem.as_ref()),
    );
    let problem = |arguments: &[(&str, Value)]| {
        let problems = Pkcs12::validate(&model::<Pkcs12Model>(arguments).encode());
        problems
            .into_iter()
            .map(|(path, text)| format!("{path}: {text}"))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let password = || ("password", Value::from("p"));
    assert_eq!(
        problem(&[
            password(),
            ("private_key_pem", wrong.into()),
            ("cert_pem", cert.as_str().into())
        ]),
        "private_key_pem: does not belong to the first certificate of `cert_pem`"
    );
    assert!(problem(&[password(), ("private_key_pem", fits.into())]).starts_with("cert_pem: is wanted"));
    assert!(
        problem(&[password(), ("cert_pem", cert.as_str().into())]).starts_with("private_key_pem: is wanted")
    );
    assert!(problem(&[password()]).starts_with("ca_cert_pem: is wanted"));
    assert_eq!(
        problem(&[password(), ("ca_cert_pem", "x".into())]),
        "ca_cert_pem: has no `CERTIFICATE` block"
    );
    let whole = [
        ("private_key_pem", fits.into()),
        ("cert_pem", cert.as_str().into()),
    ];
    assert!(
        problem(&[&[("password", "".into())], &whole[..]].concat())
            .starts_with("password: must not be empty")
    );
    assert_eq!(problem(&[&[password()], &whole[..]].concat()), "");
}
