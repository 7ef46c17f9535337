//! `tls_pkcs12`

use aws_lc_rs::digest::{SHA256, digest};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{KeyPair, PublicKeyData as _};
use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::{certificate, key};

/// A file in PKCS #12 form (RFC 7292), as Java and Windows want keys and authorities: a private key with its certificates,
/// certificates to trust, or both, sealed with a password (PBES2 with AES-256, HMAC with SHA-256).
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Pkcs12Model {
    /// Password that opens the file; not empty.
    #[schema(replace)]
    pub password: Secret<String>,
    /// Private key in PEM.
    #[schema(replace)]
    pub private_key_pem: Option<Secret<String>>,
    /// Certificate of the key in PEM, followed by the authorities between it and the root, if there are any.
    #[schema(replace)]
    pub cert_pem: Option<String>,
    /// Certificates to trust, in PEM, each an entry of its own: with only these the file is a trust store.
    #[schema(replace)]
    pub ca_cert_pem: Option<String>,
    /// Name of the key in the file. Trusted certificates are named `NAME-ca-1` and so on.
    #[schema(replace, default = "stack")]
    pub alias: String,
    /// The file, in base64.
    #[schema(computed)]
    pub content_base64: Option<Secret<String>>,
    /// SHA-256 of the file, in hexadecimal digits.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `tls_pkcs12`.
#[derive(Clone, Copy, Debug)]
pub struct Pkcs12;

const MISMATCH: &str = "does not belong to the first certificate of `cert_pem`";
const NO_CERT: &str = "is wanted: a private key is kept together with its certificate";
const NO_KEY: &str = "is wanted with `cert_pem`; certificates to trust belong into `ca_cert_pem`";
const NOTHING: &str = "is wanted, or `private_key_pem` with `cert_pem`: the file would be empty";

/// What is wrong with a text that the format keeps in UTF-16 without surrogates.
fn text_problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("must not be empty")
    } else if text.chars().any(|c| u32::from(c) > 0xffff) {
        Some("has a character that PKCS #12 cannot hold (above U+FFFF)")
    } else {
        None
    }
}

/// The certificates of an argument, in order.
fn certificates(attribute: &str, text: &str) -> Result<Vec<Certificate>, ProviderError> {
    let read = |der: &Vec<u8>| {
        Certificate::from_der(der)
            .map_err(|e| ProviderError::invalid(attribute, "is no X.509 certificate").source(e))
    };
    certificate::read_all(attribute, text)?.iter().map(read).collect()
}

fn belongs(pair: &KeyPair, certificate: Option<&[u8]>) -> bool {
    let parsed = certificate.and_then(|der| x509_parser::parse_x509_certificate(der).ok());
    parsed.is_some_and(|(_, parsed)| parsed.public_key().raw == pair.subject_public_key_info())
}

/// The key with its certificates.
fn chain(private_key: &Secret<String>, cert_pem: &str) -> Result<PrivateKeyChain, ProviderError> {
    let pair = key::read("private_key_pem", private_key)?;
    let certificates = certificates("cert_pem", cert_pem)?;
    if !belongs(&pair, certificates.first().map(Certificate::as_der)) {
        return Err(ProviderError::invalid("private_key_pem", MISMATCH));
    }
    let der = key::pkcs8(&pair)?;
    let private = PrivateKey::from_der(&der)
        .map_err(|e| ProviderError::invalid("private_key_pem", "cannot be packed").source(e))?;
    let id = digest(&SHA256, &pair.subject_public_key_info());
    Ok(PrivateKeyChain::new(id.as_ref(), private, certificates))
}

/// What goes into the file.
fn store(model: &Pkcs12Model) -> Result<KeyStore, ProviderError> {
    for (attribute, text) in [("password", model.password.expose()), ("alias", &model.alias)] {
        if let Some(problem) = text_problem(text) {
            return Err(ProviderError::invalid(attribute, problem));
        }
    }
    let mut store = KeyStore::new();
    match (&model.private_key_pem, &model.cert_pem) {
        (Some(private), Some(cert)) => {
            store.add_entry(
                &model.alias,
                KeyStoreEntry::PrivateKeyChain(chain(private, cert)?),
            );
        }
        (Some(_), None) => return Err(ProviderError::invalid("cert_pem", NO_CERT)),
        (None, Some(_)) => return Err(ProviderError::invalid("private_key_pem", NO_KEY)),
        (None, None) if model.ca_cert_pem.is_none() => {
            return Err(ProviderError::invalid("ca_cert_pem", NOTHING));
        }
        (None, None) => {}
    }
    if let Some(text) = &model.ca_cert_pem {
        for (number, certificate) in certificates("ca_cert_pem", text)?.into_iter().enumerate() {
            let alias = format!("{}-ca-{}", model.alias, number + 1);
            store.add_entry(&alias, KeyStoreEntry::Certificate(certificate));
        }
    }
    Ok(store)
}

fn pack(planned: Pkcs12Model) -> Result<Pkcs12Model, ProviderError> {
    let content = store(&planned)?
        .writer(planned.password.expose())
        .write()
        .map_err(|e| ProviderError::internal("the file cannot be written").source(e))?;
    Ok(Pkcs12Model {
        id: Some(key::to_hex(digest(&SHA256, &content).as_ref())),
        content_base64: Some(key::to_base64(&content).into()),
        ..planned
    })
}

#[async_trait]
impl Resource for Pkcs12 {
    const TYPE: &'static str = "tls_pkcs12";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = Pkcs12Model;
    type Client = ();

    async fn read(_: &Cx, (): &(), prior: &Pkcs12Model) -> Result<Option<Pkcs12Model>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: Pkcs12Model,
    ) -> Result<Pkcs12Model, Failure<Pkcs12Model>> {
        Ok(pack(planned)?)
    }

    async fn delete(_: &Cx, (): &(), _: &Pkcs12Model) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, (): &(), _: &Owner, _: &Value) -> Result<Option<Pkcs12Model>, ProviderError> {
        Ok(None)
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let text = |name: &str| config.attribute(name).and_then(Value::as_str);
        let set = |name: &str| config.attribute(name).is_some_and(|v| !v.is_null());
        let mut problems = Vec::new();
        let mut say = |name: &str, problem: &str| problems.push((Path::of(&[name]), problem.to_owned()));
        for name in ["password", "alias"] {
            if let Some(problem) = text(name).and_then(text_problem) {
                say(name, problem);
            }
        }
        match (set("private_key_pem"), set("cert_pem")) {
            (true, false) => say("cert_pem", NO_CERT),
            (false, true) => say("private_key_pem", NO_KEY),
            (false, false) if !set("ca_cert_pem") => say("ca_cert_pem", NOTHING),
            _ => {}
        }
        let pair = text("private_key_pem").map(key::parse);
        let chain = text("cert_pem").map(certificate::parse_all);
        let trusted = text("ca_cert_pem").map(certificate::parse_all);
        if let (Some(Ok(pair)), Some(Ok(chain))) = (&pair, &chain)
            && !belongs(pair, chain.first().map(Vec::as_slice))
        {
            say("private_key_pem", MISMATCH);
        }
        if let Some(Err(problem)) = pair {
            say("private_key_pem", problem);
        }
        for (name, parsed) in [("cert_pem", chain), ("ca_cert_pem", trusted)] {
            if let Some(Err(problem)) = parsed {
                say(name, problem);
            }
        }
        problems
    }
}
