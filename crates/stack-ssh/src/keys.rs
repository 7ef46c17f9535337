//! Public keys of hosts and private keys of users.

use std::sync::Arc;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use stack_core::Secret;

use crate::SshError;

/// The keys a host may show. Never empty.
#[derive(Clone, Debug)]
pub struct HostKeys(Vec<PublicKey>);

impl HostKeys {
    /// Reads public keys in OpenSSH form (`ssh-ed25519 AAAA... comment`).
    ///
    /// # Errors
    /// The list is empty, or a member is no public key.
    pub fn parse<S: AsRef<str>>(keys: &[S]) -> Result<Self, SshError> {
        if keys.is_empty() {
            return Err(SshError::NoHostKeys);
        }
        let parse = |(i, key): (usize, &S)| {
            PublicKey::from_openssh(key.as_ref().trim()).map_err(|source| SshError::HostKeySyntax {
                position: i + 1,
                source,
            })
        };
        Ok(Self(
            keys.iter().enumerate().map(parse).collect::<Result<_, _>>()?,
        ))
    }

    /// Whether the key is one of them.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.0.iter().any(|pinned| pinned.key_data() == key.key_data())
    }

    /// Their fingerprints, for people.
    pub fn fingerprints(&self) -> String {
        let all: Vec<_> = self.0.iter().map(fingerprint_of).collect();
        all.join(" or ")
    }

    /// The host key algorithms to ask for: only those of pinned kinds, so that a host with several keys shows the one
    /// that can be checked. RSA signatures with SHA-1 are not among them.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let all = [
            Algorithm::Ed25519,
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            },
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha256),
            },
        ];
        let wanted = |algorithm: &Algorithm| {
            self.0.iter().any(|key| match key.algorithm() {
                Algorithm::Rsa { .. } => matches!(algorithm, Algorithm::Rsa { .. }),
                other => other == *algorithm,
            })
        };
        all.into_iter().filter(wanted).collect()
    }

    /// The keys in a fixed order and without comments, for digests.
    pub(crate) fn canonical(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|key| key.key_data().clone())
            .map(PublicKey::from)
            .collect();
        all.sort();
        all.iter().filter_map(|key| key.to_openssh().ok()).collect()
    }
}

fn ecdsa(curve: EcdsaCurve) -> Algorithm {
    Algorithm::Ecdsa { curve }
}

/// The fingerprint of a key with its kind: `ssh-ed25519 SHA256:...`.
pub(crate) fn fingerprint_of(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The fingerprint of a public key in OpenSSH form, with its kind: `ssh-ed25519 SHA256:...`.
///
/// # Errors
/// It is no public key.
pub fn fingerprint(key: &str) -> Result<String, SshError> {
    let key = PublicKey::from_openssh(key.trim())
        .map_err(|source| SshError::HostKeySyntax { position: 1, source })?;
    Ok(fingerprint_of(&key))
}

/// Reads a private key: OpenSSH, PKCS#8, PKCS#1 or SEC1, not encrypted.
pub(crate) fn private_key(text: &Secret<String>) -> Result<Arc<PrivateKey>, SshError> {
    decode_secret_key(text.expose(), None)
        .map(Arc::new)
        .map_err(|source| SshError::PrivateKey {
            source: Box::new(source),
        })
}
