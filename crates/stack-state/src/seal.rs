//! Sealing of secrets: AES-256-GCM-SIV (RFC 8452) with a nonce that follows from key, place and text.
//!
//! A sealed text is `1:KEYID:BASE64`, the base64 of nonce, ciphertext and tag. Bound to it as associated data are the
//! lineage and the place it is stored in, so a sealed text cannot be carried to another place or state.
//!
//! The nonce is an HMAC of the associated data and the plaintext. The same secret in the same place therefore has the
//! same sealed text whenever it is written: a state file changes only where a value has changed, and a reader of two
//! versions learns no more than that. GCM-SIV keeps its guarantees whatever the nonce.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use stack_core::codec::{Seal, SealError};
use zeroize::Zeroizing;

use crate::key::{KeySource, derive};
use crate::state::{Lineage, Salt};

const VERSION: &str = "1";

/// Seals and opens with the key of one state.
pub struct Sealer {
    lineage: Lineage,
    salt: Salt,
    source: Arc<dyn KeySource>,
    key: OnceLock<Result<Working, SealError>>,
}

/// The keys that are used, derived from the one that is given.
struct Working {
    id: String,
    aead: LessSafeKey,
    nonce: hmac::Key,
}

impl Sealer {
    /// A sealer for a state. The key is asked for when it is first needed.
    pub fn new(source: Arc<dyn KeySource>, lineage: Lineage, salt: Salt) -> Self {
        Self {
            lineage,
            salt,
            source,
            key: OnceLock::new(),
        }
    }

    /// Id of the key: tells keys apart and nothing about them.
    ///
    /// # Errors
    /// There is no key, or it cannot be used.
    pub fn key_id(&self) -> Result<&str, SealError> {
        Ok(&self.working()?.id)
    }

    fn working(&self) -> Result<&Working, SealError> {
        let made = self
            .key
            .get_or_init(|| Working::new(&*self.source.root(&self.salt)?));
        made.as_ref().map_err(Clone::clone)
    }

    fn associated(&self, context: &str) -> Vec<u8> {
        format!("stack\0{VERSION}\0{}\0{context}", self.lineage).into_bytes()
    }

    /// Seals bytes: nonce, ciphertext and tag.
    ///
    /// # Errors
    /// There is no key, or it cannot be used.
    pub fn seal_bytes(&self, plaintext: &[u8], context: &str) -> Result<Vec<u8>, SealError> {
        let key = self.working()?;
        let associated = self.associated(context);
        let mut hmac = hmac::Context::with_key(&key.nonce);
        hmac.update(&(associated.len() as u64).to_le_bytes());
        hmac.update(&associated);
        hmac.update(plaintext);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&hmac.sign().as_ref()[..NONCE_LEN]);
        let mut body = plaintext.to_vec();
        key.aead
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&associated),
                &mut body,
            )
            .map_err(|_| SealError::BadKey {
                reason: "the text is too long to seal".to_owned(),
            })?;
        Ok([&nonce[..], &body].concat())
    }

    /// Opens what [`Sealer::seal_bytes`] sealed in the same place.
    ///
    /// # Errors
    /// There is no key, it is another one, or the bytes were changed or moved.
    pub fn open_bytes(&self, sealed: &[u8], context: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let damaged = || SealError::Damaged {
            context: context.to_owned(),
        };
        let key = self.working()?;
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = key
            .aead
            .open_in_place(nonce, Aad::from(self.associated(context)), &mut body)
            .map_err(|_| damaged())?
            .len();
        body.truncate(opened);
        Ok(body)
    }
}

impl Working {
    fn new(root: &[u8; 32]) -> Result<Self, SealError> {
        let cipher = derive::<32>(root, "seal");
        let id = derive::<6>(root, "id");
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, &cipher[..]).map_err(|_| SealError::BadKey {
            reason: "the cipher refuses it".to_owned(),
        })?;
        Ok(Self {
            id: id.iter().map(|b| format!("{b:02x}")).collect(),
            aead: LessSafeKey::new(unbound),
            nonce: hmac::Key::new(hmac::HMAC_SHA256, &derive::<32>(root, "nonce")[..]),
        })
    }
}

impl Seal for Sealer {
    fn seal(&self, plaintext: &str, context: &str) -> Result<String, SealError> {
        let bytes = self.seal_bytes(plaintext.as_bytes(), context)?;
        Ok(format!(
            "{VERSION}:{}:{}",
            self.key_id()?,
            STANDARD_NO_PAD.encode(bytes)
        ))
    }

    fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<String>, SealError> {
        let damaged = || SealError::Damaged {
            context: context.to_owned(),
        };
        let mut parts = sealed.split(':');
        let (Some(VERSION), Some(id), Some(body), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged());
        };
        let own = self.key_id()?;
        if own != id {
            return Err(SealError::OtherKey {
                wanted: id.to_owned(),
                given: own.to_owned(),
            });
        }
        let bytes = STANDARD_NO_PAD.decode(body).map_err(|_| damaged())?;
        let opened = self.open_bytes(&bytes, context)?;
        Ok(Zeroizing::new(
            std::str::from_utf8(&opened).map_err(|_| damaged())?.to_owned(),
        ))
    }
}

/// Opens nothing: every sealed part reads as a sensitive null. For views that mask secrets anyway and so need no key,
/// and for a state whose key is lost.
#[derive(Debug, Default)]
pub struct Withheld {
    places: Mutex<Vec<String>>,
}

impl Withheld {
    /// Where sealed parts stood, in the order in which they were read.
    pub fn places(&self) -> Vec<String> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seal for Withheld {
    fn seal(&self, _: &str, _: &str) -> Result<String, SealError> {
        Err(SealError::NoKey)
    }

    fn open(&self, _: &str, context: &str) -> Result<Zeroizing<String>, SealError> {
        self.places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(context.to_owned());
        Ok(Zeroizing::new("null".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyMaterial, NoKey};

    fn sealer(key: u8, lineage: &str) -> Sealer {
        let material = KeyMaterial::Bytes(Zeroizing::new([key; 32]));
        Sealer::new(Arc::new(material), Lineage::from(lineage), Salt::default())
    }

    #[test]
    fn a_text_opens_only_with_its_key_in_its_place_and_lineage() {
        let sealed = sealer(1, "a").seal("canary", "here").unwrap();
        assert!(!sealed.contains("canary"));
        assert_eq!(*sealer(1, "a").open(&sealed, "here").unwrap(), "canary");
        assert!(matches!(
            sealer(1, "a").open(&sealed, "there"),
            Err(SealError::Damaged { .. })
        ));
        assert!(matches!(
            sealer(1, "b").open(&sealed, "here"),
            Err(SealError::Damaged { .. })
        ));
        assert!(matches!(
            sealer(2, "a").open(&sealed, "here"),
            Err(SealError::OtherKey { .. })
        ));
    }

    #[test]
    fn the_same_secret_has_one_sealed_text_in_one_place_and_another_elsewhere() {
        let sealer = sealer(1, "a");
        assert_eq!(
            sealer.seal("x", "here").unwrap(),
            sealer.seal("x", "here").unwrap()
        );
        assert_ne!(
            sealer.seal("x", "here").unwrap(),
            sealer.seal("x", "there").unwrap()
        );
        assert_ne!(
            sealer.seal("x", "here").unwrap(),
            sealer.seal("y", "here").unwrap()
        );
    }

    #[test]
    fn any_change_of_the_sealed_text_is_found() {
        let sealer = sealer(1, "a");
        let sealed = sealer.seal("canary", "here").unwrap();
        let (head, body) = sealed.rsplit_once(':').unwrap();
        let mut bytes = STANDARD_NO_PAD.decode(body).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let changed = format!("{head}:{}", STANDARD_NO_PAD.encode(&bytes));
            assert!(
                matches!(sealer.open(&changed, "here"), Err(SealError::Damaged { .. })),
                "byte {at}"
            );
            bytes[at] ^= 1;
        }
        for text in [
            "",
            "1",
            "2:a:b",
            &format!("{sealed}:x"),
            &format!("{head}:"),
            &format!("{head}:A"),
        ] {
            assert!(sealer.open(text, "here").is_err(), "{text}");
        }
    }

    /// Counts how often it is asked.
    struct Counting(std::sync::atomic::AtomicUsize);

    impl KeySource for Counting {
        fn key(&self) -> Result<KeyMaterial, SealError> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(KeyMaterial::Passphrase(Zeroizing::new("p".to_owned())))
        }
    }

    #[test]
    fn the_key_is_asked_for_and_derived_once_however_many_fields_there_are() {
        let source = Arc::new(Counting(0.into()));
        let sealer = Sealer::new(source.clone(), Lineage::from("a"), Salt::default());
        for i in 0..100 {
            let sealed = sealer.seal("x", &i.to_string()).unwrap();
            assert_eq!(*sealer.open(&sealed, &i.to_string()).unwrap(), "x");
        }
        assert_eq!(source.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[test]
    fn without_a_key_only_what_is_sensitive_fails() {
        let sealer = Sealer::new(Arc::new(NoKey), Lineage::from("a"), Salt::default());
        assert_eq!(sealer.seal("x", "here"), Err(SealError::NoKey));
        let withheld = Withheld::default();
        assert_eq!(*withheld.open("anything", "here").unwrap(), "null");
        assert_eq!(withheld.places(), ["here"]);
    }
}
