//! Data source `tls_public_key`

use stack_core::{Schema, Secret};
use stack_provider::{Cx, DataSource, ProviderError, async_trait};

use crate::key;

/// The public key that belongs to a private key.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct PublicKeyModel {
    /// The private key in PEM.
    pub private_key_pem: Secret<String>,
    /// `RSA`, `ECDSA` or `ED25519`.
    #[schema(computed)]
    pub algorithm: Option<String>,
    /// The public key in PEM.
    #[schema(computed)]
    pub public_key_pem: Option<String>,
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

/// Data source `tls_public_key`.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey;

#[async_trait]
impl DataSource for PublicKey {
    const TYPE: &'static str = "tls_public_key";
    type Model = PublicKeyModel;
    type Client = ();

    async fn read(_: &Cx, (): &(), arguments: PublicKeyModel) -> Result<PublicKeyModel, ProviderError> {
        let pair = key::read("private_key_pem", &arguments.private_key_pem)?;
        let (algorithm, public) = key::public(&pair)?;
        Ok(PublicKeyModel {
            algorithm: Some(algorithm.to_owned()),
            public_key_pem: Some(public.pem),
            public_key_openssh: Some(public.openssh),
            public_key_fingerprint_md5: Some(public.md5),
            public_key_fingerprint_sha256: Some(public.sha256),
            id: Some(public.id),
            ..arguments
        })
    }
}
