//! The parts of private keys in DER that the libraries keep to themselves.

use stack_provider::ProviderError;
use x509_parser::der_parser::asn1_rs::{FromDer as _, Integer, OctetString, Sequence};

fn broken(what: &str) -> ProviderError {
    ProviderError::internal(format!("the {what} just made cannot be read back"))
}

/// The key inside a PKCS #8 structure (RFC 5208): `version`, `algorithm`, `privateKey`.
pub(crate) fn pkcs8_inner(pkcs8: &[u8]) -> Result<Vec<u8>, ProviderError> {
    let error = || broken("PKCS #8 key");
    let (_, outer) = Sequence::from_der(pkcs8).map_err(|_| error())?;
    let (rest, _) = Integer::from_der(&outer.content).map_err(|_| error())?;
    let (rest, _) = Sequence::from_der(rest).map_err(|_| error())?;
    let (_, key) = OctetString::from_der(rest).map_err(|_| error())?;
    Ok(key.as_ref().to_vec())
}

/// The whole numbers of an RSA private key in PKCS #1 form (RFC 8017, A.1.2), big endian: `version`, `n`, `e`, `d`, `p`,
/// `q`, `d mod (p-1)`, `d mod (q-1)`, `1/q mod p`.
pub(crate) fn rsa_numbers(pkcs1: &[u8]) -> Result<Vec<Vec<u8>>, ProviderError> {
    let error = || broken("RSA key");
    let (_, outer) = Sequence::from_der(pkcs1).map_err(|_| error())?;
    let mut rest: &[u8] = &outer.content;
    let mut numbers = Vec::with_capacity(9);
    while !rest.is_empty() {
        let (after, number) = Integer::from_der(rest).map_err(|_| error())?;
        numbers.push(number.as_ref().to_vec());
        rest = after;
    }
    if numbers.len() == 9 {
        Ok(numbers)
    } else {
        Err(error())
    }
}
