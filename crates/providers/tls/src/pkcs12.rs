//! `tls_pkcs12`

use aws_lc_rs::digest::{SHA256, digest};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::PublicKeyData as _;
use stack_core::{Decode as _, Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::key;

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

/// The certificates of an argument, in order.
fn certificates(attribute: &str, text: &str) -> Result<Vec<Certificate>, ProviderError> {
    let blocks = pem::parse_many(text.as_bytes())
        .map_err(|e| ProviderError::invalid(attribute, "is not PEM").source(e))?;
    let found: Result<Vec<Certificate>, ProviderError> = blocks
        .iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(|block| {
            Certificate::from_der(block.contents())
                .map_err(|e| ProviderError::invalid(attribute, "is no X.509 certificate").source(e))
        })
        .collect();
    match found?.as_slice() {
        [] => Err(ProviderError::invalid(attribute, "has no `CERTIFICATE` block")),
        found => Ok(found.to_vec()),
    }
}

/// The key with its certificates.
fn chain(private_key: &Secret<String>, cert_pem: &str) -> Result<PrivateKeyChain, ProviderError> {
    let pair = key::read("private_key_pem", private_key)?;
    let certificates = certificates("cert_pem", cert_pem)?;
    let unreadable = |e| ProviderError::invalid("cert_pem", "is no X.509 certificate").source(e);
    let (_, leaf) = x509_parser::parse_x509_certificate(certificates[0].as_der()).map_err(unreadable)?;
    if leaf.public_key().raw != pair.subject_public_key_info() {
        let message = "does not belong to the first certificate of `cert_pem`";
        return Err(ProviderError::invalid("private_key_pem", message));
    }
    let der = key::pkcs8(&pair)?;
    let private = PrivateKey::from_der(&der)
        .map_err(|e| ProviderError::invalid("private_key_pem", "cannot be packed").source(e))?;
    let id = digest(&SHA256, &pair.subject_public_key_info());
    Ok(PrivateKeyChain::new(id.as_ref(), private, certificates))
}

/// What goes into the file.
fn store(model: &Pkcs12Model) -> Result<KeyStore, ProviderError> {
    if model.password.expose().is_empty() {
        return Err(ProviderError::invalid(
            "password",
            "must not be empty: it seals the file",
        ));
    }
    let mut store = KeyStore::new();
    match (&model.private_key_pem, &model.cert_pem) {
        (Some(private), Some(cert)) => {
            store.add_entry(
                &model.alias,
                KeyStoreEntry::PrivateKeyChain(chain(private, cert)?),
            );
        }
        (Some(_), None) => {
            let message = "is wanted: a private key is kept together with its certificate";
            return Err(ProviderError::invalid("cert_pem", message));
        }
        (None, Some(_)) => {
            let message = "is wanted with `cert_pem`; certificates to trust belong into `ca_cert_pem`";
            return Err(ProviderError::invalid("private_key_pem", message));
        }
        (None, None) if model.ca_cert_pem.is_none() => {
            let message = "is wanted, or `private_key_pem` with `cert_pem`: the file would be empty";
            return Err(ProviderError::invalid("ca_cert_pem", message));
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
        if !config.is_wholly_known() {
            return Vec::new();
        }
        let Ok(model) = Pkcs12Model::decode(config, &Path::root()) else {
            return Vec::new();
        };
        match store(&model) {
            Err(ProviderError {
                attribute: Some(path),
                message,
                ..
            }) => vec![(path, message)],
            Err(_) | Ok(_) => Vec::new(),
        }
    }
}
