//! `tls_private_key`

use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::key;

/// A private key, drawn once and sealed in the state, in PEM and OpenSSH form.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct PrivateKeyModel {
    /// `RSA`, `ECDSA` or `ED25519`.
    #[schema(replace)]
    pub algorithm: String,
    /// Size of an RSA key: 2048, 3072 or 4096.
    #[schema(replace, default = 2048)]
    pub rsa_bits: u32,
    /// Curve of an ECDSA key: `P256`, `P384` or `P521`. (P-224 is not offered: hardly anything reads it.)
    #[schema(replace, default = "P256")]
    pub ecdsa_curve: String,
    /// The private key in PEM: PKCS #1 for RSA, SEC 1 for ECDSA, PKCS #8 for ED25519.
    #[schema(computed)]
    pub private_key_pem: Option<Secret<String>>,
    /// The private key in PEM, PKCS #8.
    #[schema(computed)]
    pub private_key_pem_pkcs8: Option<Secret<String>>,
    /// The private key in DER, PKCS #8, in base64.
    #[schema(computed)]
    pub private_key_der_base64: Option<Secret<String>>,
    /// The private key in OpenSSH's own form, not encrypted.
    #[schema(computed)]
    pub private_key_openssh: Option<Secret<String>>,
    /// The public key in PEM.
    #[schema(computed)]
    pub public_key_pem: Option<String>,
    /// The public key in DER (`SubjectPublicKeyInfo`), in base64.
    #[schema(computed)]
    pub public_key_der_base64: Option<String>,
    /// The public key as a line for `authorized_keys`, with its newline.
    #[schema(computed)]
    pub public_key_openssh: Option<String>,
    /// MD5 fingerprint of the public key as SSH sends it: `aa:bb:...`.
    #[schema(computed)]
    pub public_key_fingerprint_md5: Option<String>,
    /// SHA-256 fingerprint of the public key as `ssh-keygen -l` prints it: `SHA256:...`.
    #[schema(computed)]
    pub public_key_fingerprint_sha256: Option<String>,
    /// SHA-1 of the public key in DER, in hexadecimal digits.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `tls_private_key`.
#[derive(Clone, Copy, Debug)]
pub struct PrivateKey;

#[async_trait]
impl Resource for PrivateKey {
    const TYPE: &'static str = "tls_private_key";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.1;
    type Model = PrivateKeyModel;
    type Client = ();

    async fn read(
        _: &Cx,
        (): &(),
        prior: &PrivateKeyModel,
    ) -> Result<Option<PrivateKeyModel>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: PrivateKeyModel,
    ) -> Result<PrivateKeyModel, Failure<PrivateKeyModel>> {
        let forms = key::generate(&planned.algorithm, planned.rsa_bits, &planned.ecdsa_curve)?;
        Ok(PrivateKeyModel {
            private_key_pem: Some(forms.pem),
            private_key_pem_pkcs8: Some(forms.pkcs8_pem),
            private_key_der_base64: Some(forms.der),
            public_key_der_base64: Some(forms.public.der),
            private_key_openssh: Some(forms.openssh),
            public_key_pem: Some(forms.public.pem),
            public_key_openssh: Some(forms.public.openssh),
            public_key_fingerprint_md5: Some(forms.public.md5),
            public_key_fingerprint_sha256: Some(forms.public.sha256),
            id: Some(forms.public.id),
            ..planned
        })
    }

    async fn delete(_: &Cx, (): &(), _: &PrivateKeyModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, (): &(), _: &Owner, _: &Value) -> Result<Option<PrivateKeyModel>, ProviderError> {
        Ok(None)
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = Vec::new();
        let text = |name: &str| config.attribute(name).and_then(Value::as_str);
        if text("algorithm").is_some_and(|a| !key::ALGORITHMS.contains(&a)) {
            problems.push((
                Path::of(&["algorithm"]),
                "must be RSA, ECDSA or ED25519".to_owned(),
            ));
        }
        if text("ecdsa_curve").is_some_and(|c| !key::CURVES.contains(&c)) {
            problems.push((
                Path::of(&["ecdsa_curve"]),
                "must be P256, P384 or P521".to_owned(),
            ));
        }
        let bits = config.attribute("rsa_bits").and_then(Value::as_number);
        if bits.is_some_and(|n| !n.as_i64().is_some_and(|n| key::RSA_BITS.contains(&n))) {
            problems.push((Path::of(&["rsa_bits"]), "must be 2048, 3072 or 4096".to_owned()));
        }
        problems
    }
}
