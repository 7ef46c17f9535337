//! Private keys: making, reading, and writing them in the usual forms.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PublicKeyData as _};
use stack_core::{Path, Secret, Value};
use stack_provider::ProviderError;

use crate::der;
use crate::openssh::{self, Numbers};

/// Names of algorithms as the arguments write them.
pub(crate) const ALGORITHMS: [&str; 3] = ["RSA", "ECDSA", "ED25519"];
/// Names of curves as the arguments write them.
pub(crate) const CURVES: [&str; 3] = ["P256", "P384", "P521"];
/// Sizes of RSA keys.
pub(crate) const RSA_BITS: [i64; 3] = [2048, 3072, 4096];

/// A private key in all its forms.
pub(crate) struct Forms {
    /// PKCS #1 (RSA), SEC 1 (ECDSA) or PKCS #8 (ED25519), as OpenSSL's traditional tools write it.
    pub(crate) pem: Secret<String>,
    pub(crate) pkcs8_pem: Secret<String>,
    /// PKCS #8 in DER, in base64.
    pub(crate) der: Secret<String>,
    pub(crate) openssh: Secret<String>,
    pub(crate) public: PublicForms,
}

/// A public key in all its forms.
pub(crate) struct PublicForms {
    pub(crate) pem: String,
    /// `SubjectPublicKeyInfo` in DER, in base64.
    pub(crate) der: String,
    pub(crate) openssh: String,
    pub(crate) md5: String,
    pub(crate) sha256: String,
    /// SHA-1 of the public key in DER: the identity of the key.
    pub(crate) id: String,
}

/// Bytes as text that everything reads: base64 with its padding (RFC 4648, section 4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One PEM block with Unix line ends.
pub(crate) fn to_pem(tag: &str, contents: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(tag, contents), config)
}

fn failed(e: impl std::fmt::Display) -> ProviderError {
    ProviderError::internal(format!("the key cannot be made: {e}"))
}

fn curve(name: &str) -> Option<(&'static EcdsaSigningAlgorithm, &'static str)> {
    match name {
        "P256" => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, "nistp256")),
        "P384" => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, "nistp384")),
        "P521" => Some((&ECDSA_P521_SHA512_ASN1_SIGNING, "nistp521")),
        _ => None,
    }
}

/// Draws a key. `rsa_bits` and `curve_name` count for their algorithm only.
pub(crate) fn generate(algorithm: &str, rsa_bits: u32, curve_name: &str) -> Result<Forms, ProviderError> {
    let pkcs8 = match algorithm {
        "RSA" => {
            let size = match rsa_bits {
                2048 => KeySize::Rsa2048,
                3072 => KeySize::Rsa3072,
                4096 => KeySize::Rsa4096,
                _ => return Err(ProviderError::invalid("rsa_bits", "must be 2048, 3072 or 4096")),
            };
            let pair = RsaKeyPair::generate(size).map_err(failed)?;
            pair.as_der().map_err(failed)?.as_ref().to_vec()
        }
        "ECDSA" => {
            let (algorithm, _) = curve(curve_name)
                .ok_or_else(|| ProviderError::invalid("ecdsa_curve", "must be P256, P384 or P521"))?;
            let pair = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        "ED25519" => {
            // Version 1: OpenSSL before 3.2 does not read version 2, which carries the public key along.
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        _ => {
            return Err(ProviderError::invalid(
                "algorithm",
                "must be RSA, ECDSA or ED25519",
            ));
        }
    };
    forms(&pkcs8)
}

/// What a PKCS #8 key is, tried in turn.
fn forms(pkcs8: &[u8]) -> Result<Forms, ProviderError> {
    let (algorithm, traditional, numbers) = split(pkcs8)?;
    let pair = KeyPair::try_from(pkcs8).map_err(failed)?;
    let pem = match algorithm {
        "RSA" => to_pem("RSA PRIVATE KEY", &traditional),
        "ECDSA" => to_pem("EC PRIVATE KEY", &traditional),
        _ => to_pem("PRIVATE KEY", pkcs8),
    };
    Ok(Forms {
        pem: pem.into(),
        pkcs8_pem: to_pem("PRIVATE KEY", pkcs8).into(),
        der: to_base64(pkcs8).into(),
        openssh: openssh::private_pem(&numbers)?.into(),
        public: public_forms(&pair, &numbers),
    })
}

fn public_forms(pair: &KeyPair, numbers: &Numbers) -> PublicForms {
    let spki = pair.subject_public_key_info();
    let (_, blob) = openssh::public_blob(numbers);
    let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &spki);
    PublicForms {
        pem: to_pem("PUBLIC KEY", &spki),
        der: to_base64(&spki),
        openssh: openssh::public_line(numbers),
        md5: openssh::md5_fingerprint(&blob),
        sha256: openssh::sha256_fingerprint(&blob),
        id: to_hex(id.as_ref()),
    }
}

/// Algorithm, traditional DER and numbers of a PKCS #8 key.
fn split(pkcs8: &[u8]) -> Result<(&'static str, Vec<u8>, Numbers), ProviderError> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
        let seed = pair.seed().map_err(failed)?;
        let seed = seed.as_be_bytes().map_err(failed)?.as_ref().to_vec();
        let public = pair.public_key().as_ref().to_vec();
        return Ok(("ED25519", Vec::new(), Numbers::Ed25519 { public, seed }));
    }
    for name in CURVES {
        let Some((algorithm, curve)) = curve(name) else {
            continue;
        };
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, pkcs8) {
            let private = pair.private_key();
            let sec1 = private.as_der().map_err(failed)?.as_ref().to_vec();
            let scalar = private.as_be_bytes().map_err(failed)?.as_ref().to_vec();
            let point = pair.public_key().as_ref().to_vec();
            return Ok(("ECDSA", sec1, Numbers::Ecdsa { curve, point, scalar }));
        }
    }
    let pkcs1 = der::pkcs8_inner(pkcs8)?;
    let [_, n, e, d, p, q, _, _, inverse] = <[Vec<u8>; 9]>::try_from(der::rsa_numbers(&pkcs1)?)
        .map_err(|_| failed("an RSA key has nine numbers"))?;
    let numbers = Numbers::Rsa {
        n,
        e,
        d,
        p,
        q,
        inverse,
    };
    Ok(("RSA", pkcs1, numbers))
}

/// Reads a private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
///
/// # Errors
/// It is none; the message never has the key.
pub(crate) fn parse(text: &str) -> Result<KeyPair, &'static str> {
    let blocks = pem::parse_many(text.as_bytes()).map_err(|_| "is not PEM")?;
    let block = blocks
        .iter()
        .find(|b| b.tag().ends_with("PRIVATE KEY"))
        .ok_or("has no `PRIVATE KEY` block")?;
    match block.tag() {
        "OPENSSH PRIVATE KEY" => Err("is in OpenSSH's own form; convert it with `ssh-keygen -p -m PKCS8`"),
        "ENCRYPTED PRIVATE KEY" => {
            Err("is encrypted; decrypt it with `openssl pkey` and pass it as a sensitive value")
        }
        _ => KeyPair::try_from(block.contents()).map_err(|_| {
            "is not a key that can be used: RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, or ED25519 is wanted"
        }),
    }
}

/// Reads a private key from an argument, as [`parse`] does.
///
/// # Errors
/// It is none; the message names `attribute` and never the key.
pub(crate) fn read(attribute: &str, text: &Secret<String>) -> Result<KeyPair, ProviderError> {
    parse(text.expose()).map_err(|problem| ProviderError::invalid(attribute, problem))
}

/// What is wrong with a private key in a configuration, as far as it is known.
pub(crate) fn validate(config: &Value, attribute: &str) -> Option<(Path, String)> {
    let problem = parse(config.attribute(attribute)?.as_str()?).err()?;
    Some((Path::of(&[attribute]), problem.to_owned()))
}

/// The algorithm of a key pair as the arguments write it.
pub(crate) fn algorithm(pair: &KeyPair) -> Result<&'static str, ProviderError> {
    Ok(split(&pkcs8(pair)?)?.0)
}

/// The public forms of a key pair.
pub(crate) fn public(pair: &KeyPair) -> Result<(&'static str, PublicForms), ProviderError> {
    let (algorithm, _, numbers) = split(&pkcs8(pair)?)?;
    Ok((algorithm, public_forms(pair, &numbers)))
}

/// The pair in PKCS #8, whatever form it was read from.
pub(crate) fn pkcs8(pair: &KeyPair) -> Result<Vec<u8>, ProviderError> {
    let der = pair.serialized_der();
    if der::pkcs8_inner(der).is_ok() {
        return Ok(der.to_vec());
    }
    if let Ok(rsa) = RsaKeyPair::from_der(der) {
        return Ok(rsa.as_der().map_err(failed)?.as_ref().to_vec());
    }
    for name in CURVES {
        let Some((algorithm, _)) = curve(name) else {
            continue;
        };
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, der) {
            return Ok(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec());
        }
    }
    Err(failed("it is of no known kind"))
}
