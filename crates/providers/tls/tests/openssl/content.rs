//! What a certificate says, field by field.

use std::collections::BTreeSet;

use stack_core::Value;
use stack_provider::Resource as _;
use stack_provider_tls::{LocallySignedCert, LocallySignedCertModel, SelfSignedCert, SelfSignedCertModel};

use super::{authority, cx, key, model, owner, shown, strings, subject, text, try_run};

async fn self_signed(arguments: &[(&str, Value)]) -> SelfSignedCertModel {
    let key = key("ECDSA", "P256").await;
    let mut all = vec![("private_key_pem", text(key.private_key_pem.as_ref()).into())];
    all.extend(arguments.iter().cloned());
    SelfSignedCert::create(&cx(), &(), &owner(), model(&all))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_subject_has_each_of_its_parts() {
    let made = self_signed(&[
        ("validity_period_hours", Value::from(1)),
        ("allowed_uses", strings(&[])),
        (
            "subject",
            subject(&[
                ("common_name", "Käse, \"fresh\" + more"),
                ("organization", "Ex & Co"),
                ("organizational_unit", "Ops"),
                ("locality", "Berlin"),
                ("province", "BE"),
                ("country", "DE"),
                ("postal_code", "10115"),
                ("serial_number", "7"),
            ]),
        ),
    ])
    .await;
    let format = "multiline,utf8,-esc_msb";
    let shown = shown(
        &made.cert_pem.unwrap(),
        &["-subject", "-issuer", "-nameopt", format],
    );
    let (subject, issuer) = shown.split_once("issuer=").unwrap();
    for part in [subject, issuer] {
        let pairs: BTreeSet<(&str, &str)> = part
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let wanted = BTreeSet::from([
            ("commonName", "Käse, \"fresh\" + more"),
            ("organizationName", "Ex & Co"),
            ("organizationalUnitName", "Ops"),
            ("localityName", "Berlin"),
            ("stateOrProvinceName", "BE"),
            ("countryName", "DE"),
            ("postalCode", "10115"),
            ("serialNumber", "7"),
        ]);
        assert_eq!(pairs, wanted, "{shown}");
    }
}

#[tokio::test]
async fn validity_is_as_long_as_asked_and_as_told() {
    for hours in [1, 8760, 876_000] {
        let made = self_signed(&[
            ("validity_period_hours", Value::from(hours)),
            ("allowed_uses", strings(&[])),
        ])
        .await;
        let (start, end) = (made.validity_start_time.unwrap(), made.validity_end_time.unwrap());
        let shown = shown(
            &made.cert_pem.unwrap(),
            &["-startdate", "-enddate", "-dateopt", "iso_8601"],
        );
        let openssl = |time: &str| time.replace('T', " ");
        let wanted = format!("notBefore={}\nnotAfter={}\n", openssl(&start), openssl(&end));
        assert_eq!(shown, wanted);
        let parse = |text: &str| {
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
        };
        assert_eq!((parse(&end) - parse(&start)).whole_hours(), hours);
    }
}

/// The text behind the name of an extension, on its next line.
fn extension<'a>(shown: &'a str, name: &str) -> &'a str {
    let (_, rest) = shown
        .split_once(&format!("X509v3 {name}:"))
        .unwrap_or_else(|| panic!("no {name} in {shown}"));
    let end = rest.match_indices('\n').nth(1).unwrap().0;
    &rest[..end]
}

#[tokio::test]
async fn each_use_is_the_bit_or_purpose_of_that_name() {
    let usages = [
        ("digital_signature", "Digital Signature"),
        ("content_commitment", "Non Repudiation"),
        ("key_encipherment", "Key Encipherment"),
        ("data_encipherment", "Data Encipherment"),
        ("key_agreement", "Key Agreement"),
        ("cert_signing", "Certificate Sign"),
        ("crl_signing", "CRL Sign"),
        ("encipher_only", "Encipher Only"),
        ("decipher_only", "Decipher Only"),
    ];
    let purposes = [
        ("any_extended", "Any Extended Key Usage"),
        ("server_auth", "TLS Web Server Authentication"),
        ("client_auth", "TLS Web Client Authentication"),
        ("code_signing", "Code Signing"),
        ("email_protection", "E-mail Protection"),
        ("ipsec_end_system", "IPSec End System"),
        ("ipsec_tunnel", "IPSec Tunnel"),
        ("ipsec_user", "IPSec User"),
        ("timestamping", "Time Stamping"),
        ("ocsp_signing", "OCSP Signing"),
    ];
    let all: Vec<&str> = usages.iter().chain(&purposes).map(|(name, _)| *name).collect();
    let of = async |uses: &[&str]| {
        let made = self_signed(&[
            ("validity_period_hours", Value::from(1)),
            ("allowed_uses", strings(uses)),
        ])
        .await;
        shown(&made.cert_pem.unwrap(), &["-text"])
    };
    let together = of(&all).await;
    let split = |text: &str| -> BTreeSet<String> { text.split(", ").map(|s| s.trim().to_owned()).collect() };
    for (name, wanted, heading) in [
        ("Key Usage", usages.as_slice(), " critical\n"),
        ("Extended Key Usage", purposes.as_slice(), " \n"),
    ] {
        let text = extension(&together, name);
        let list = text
            .strip_prefix(heading)
            .unwrap_or_else(|| panic!("{name}: {text:?}"));
        assert_eq!(split(list), wanted.iter().map(|(_, w)| (*w).to_owned()).collect());
        for (argument, printed) in wanted {
            let alone = of(&[argument]).await;
            assert_eq!(
                extension(&alone, name),
                format!("{heading}{}{printed}", " ".repeat(16))
            );
        }
    }
    let none = of(&[]).await;
    assert!(!none.contains("Key Usage"), "{none}");
}

#[tokio::test]
async fn an_authority_says_how_deep_it_reaches() {
    for (is_ca, length, wanted) in [
        (false, None, "CA:FALSE"),
        (true, None, "CA:TRUE"),
        (true, Some(0), "CA:TRUE, pathlen:0"),
        (true, Some(3), "CA:TRUE, pathlen:3"),
    ] {
        let made = self_signed(&[
            ("validity_period_hours", Value::from(1)),
            ("allowed_uses", strings(&["cert_signing"])),
            ("is_ca_certificate", is_ca.into()),
            ("max_path_length", length.map_or(Value::NULL, Value::from)),
        ])
        .await;
        let shown = shown(&made.cert_pem.unwrap(), &["-text"]);
        let line = extension(&shown, "Basic Constraints");
        assert_eq!(line.trim_start_matches(" critical\n").trim(), wanted);
        assert!(line.starts_with(" critical\n"), "{shown}");
    }
}

async fn below(ca: (&str, &str), public_key: &str, arguments: &[(&str, Value)]) -> LocallySignedCertModel {
    let mut all = vec![
        ("ca_private_key_pem", ca.0.into()),
        ("ca_cert_pem", ca.1.into()),
        ("public_key_pem", public_key.into()),
        ("validity_period_hours", Value::from(1)),
    ];
    all.extend(arguments.iter().cloned());
    LocallySignedCert::create(&cx(), &(), &owner(), model(&all))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_chain_of_three_verifies_only_as_a_whole() {
    let (root_key, middle_key, leaf_key) = (
        key("RSA", "P256").await,
        key("ECDSA", "P384").await,
        key("ED25519", "P256").await,
    );
    let root = authority(&root_key).await.cert_pem.unwrap();
    let middle = below(
        (text(root_key.private_key_pem.as_ref()), &root),
        middle_key.public_key_pem.as_deref().unwrap(),
        &[
            ("is_ca_certificate", true.into()),
            ("max_path_length", Value::from(0)),
            ("allowed_uses", strings(&["cert_signing"])),
            ("subject", subject(&[("common_name", "Middle")])),
        ],
    )
    .await
    .cert_pem
    .unwrap();
    let leaf = below(
        (text(middle_key.private_key_pem.as_ref()), &middle),
        leaf_key.public_key_pem.as_deref().unwrap(),
        &[
            ("allowed_uses", strings(&["server_auth", "digital_signature"])),
            ("dns_names", strings(&["a.example"])),
        ],
    )
    .await
    .cert_pem
    .unwrap();
    let files = [
        ("root", root.as_str()),
        ("middle", middle.as_str()),
        ("leaf", leaf.as_str()),
    ];
    let whole = [
        "verify",
        "-x509_strict",
        "-CAfile",
        "root",
        "-untrusted",
        "middle",
        "leaf",
    ];
    let (said, verified) = try_run(&files, "openssl", &whole);
    assert!(verified, "{said}");
    let (said, verified) = try_run(&files, "openssl", &["verify", "-CAfile", "root", "leaf"]);
    assert!(
        !verified && said.contains("unable to get local issuer certificate"),
        "{said}"
    );
}

#[tokio::test]
async fn names_of_each_kind_are_alternative_names() {
    let made = self_signed(&[
        ("validity_period_hours", Value::from(1)),
        ("allowed_uses", strings(&["server_auth"])),
        ("dns_names", strings(&["a.example", "*.b.example"])),
        ("ip_addresses", strings(&["10.0.0.7", "2001:db8::7"])),
        ("uris", strings(&["https://a.example/x?y=1"])),
    ])
    .await;
    let shown = shown(&made.cert_pem.unwrap(), &["-ext", "subjectAltName"]);
    let list = shown.lines().nth(1).unwrap().trim();
    assert_eq!(
        list,
        "DNS:a.example, DNS:*.b.example, IP Address:10.0.0.7, IP Address:2001:DB8:0:0:0:0:0:7, \
         URI:https://a.example/x?y=1"
    );
}
