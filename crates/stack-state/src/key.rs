//! The key that seals a state.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt as HkdfSalt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stack_core::codec::SealError;
use zeroize::Zeroizing;

use crate::state::Salt;

/// Length of a key in bytes.
pub const KEY_LENGTH: usize = 32;

/// Argon2id: 64 MiB of memory, 3 passes, one lane (RFC 9106, section 4, second choice, with one lane because lanes are
/// computed one after the other here).
const ARGON_MEMORY_KIB: u32 = 64 * 1024;
const ARGON_PASSES: u32 = 3;

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMaterial {
    /// The key itself.
    Bytes(Zeroizing<[u8; KEY_LENGTH]>),
    /// A passphrase, turned into a key by Argon2id with the salt of the state.
    Passphrase(Zeroizing<String>),
}

/// Where the key comes from. Asked once, and only when something must be sealed or opened.
pub trait KeySource: Send + Sync {
    /// The key.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    fn key(&self) -> Result<KeyMaterial, SealError>;

    /// The bytes that the working keys of a state are derived from. Derived anew by every call unless the source keeps
    /// them, which takes long for a passphrase.
    ///
    /// # Errors
    /// There is no key, or it cannot be used.
    fn root(&self, salt: &Salt) -> Result<RootKey, SealError> {
        root_key(&self.key()?, salt)
    }
}

/// The bytes that working keys are derived from.
pub type RootKey = Zeroizing<[u8; KEY_LENGTH]>;

/// Key material at hand is its own source.
impl KeySource for KeyMaterial {
    fn key(&self) -> Result<KeyMaterial, SealError> {
        Ok(self.clone())
    }
}

/// No key: everything sensitive is an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKey;

impl KeySource for NoKey {
    fn key(&self) -> Result<KeyMaterial, SealError> {
        Err(SealError::NoKey)
    }
}

/// Reads a key as `STACK_STATE_KEY` and key files give it: 32 bytes in base64; white space around it is ignored.
///
/// # Errors
/// It is not base64, or of another length. The text is not repeated.
pub fn parse_key(text: &str) -> Result<KeyMaterial, SealError> {
    let bad = |reason: String| SealError::BadKey { reason };
    let bytes = STANDARD
        .decode(text.trim())
        .map(Zeroizing::new)
        .map_err(|_| bad("it is not base64; make one with `openssl rand -base64 32`".to_owned()))?;
    let key: [u8; KEY_LENGTH] = bytes.as_slice().try_into().map_err(|_| {
        bad(format!(
            "it has {} bytes instead of 32; make one with `openssl rand -base64 32`",
            bytes.len()
        ))
    })?;
    Ok(KeyMaterial::Bytes(Zeroizing::new(key)))
}

/// A key as [`parse_key`] reads it.
pub fn render_key(key: &[u8; KEY_LENGTH]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key))
}

/// The bytes that the working keys are derived from: the key, or what Argon2id makes of a passphrase.
///
/// # Errors
/// The passphrase is empty.
pub fn root_key(material: &KeyMaterial, salt: &Salt) -> Result<RootKey, SealError> {
    match material {
        KeyMaterial::Bytes(key) => Ok(key.clone()),
        KeyMaterial::Passphrase(passphrase) => {
            let bad = |reason: &dyn std::fmt::Display| SealError::BadKey {
                reason: reason.to_string(),
            };
            if passphrase.is_empty() {
                return Err(bad(&"the passphrase is empty"));
            }
            let params =
                Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, 1, Some(KEY_LENGTH)).map_err(|e| bad(&e))?;
            let mut key = Zeroizing::new([0; KEY_LENGTH]);
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.as_bytes(), &salt.0, key.as_mut())
                .map_err(|e| bad(&e))?;
            Ok(key)
        }
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A working key for one purpose (HKDF-SHA-256, RFC 5869).
pub(crate) fn derive<const N: usize>(root: &[u8; KEY_LENGTH], purpose: &str) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    let prk = HkdfSalt::new(HKDF_SHA256, b"stack state").extract(root);
    let filled = prk
        .expand(&[purpose.as_bytes()], Length(N))
        .and_then(|okm| okm.fill(out.as_mut()));
    // Only lengths above 255 hashes can fail, and the callers ask for 32 bytes at most.
    debug_assert!(filled.is_ok());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_bad_ones_are_not_repeated() {
        let key = [7; KEY_LENGTH];
        let text = render_key(&key);
        assert_eq!(
            parse_key(&format!(" {}\n", *text)).unwrap(),
            KeyMaterial::Bytes(Zeroizing::new(key))
        );
        for bad in ["", "canary!", "Y2FuYXJ5"] {
            let message = parse_key(bad).unwrap_err().to_string();
            assert!(
                message.contains("openssl rand") && !message.contains("canary"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_passphrase_gives_another_key_with_another_salt() {
        let material = KeyMaterial::Passphrase(Zeroizing::new("correct horse".to_owned()));
        let key = |salt| root_key(&material, &Salt([salt; 16])).unwrap();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        let empty = KeyMaterial::Passphrase(Zeroizing::new(String::new()));
        assert!(root_key(&empty, &Salt::default()).is_err());
    }
}
