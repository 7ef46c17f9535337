//! Digests, name-based UUIDs and RSA decryption.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;
use stack_core::{Type, Value};
use uuid::Uuid;

use super::{Body, CallContext, Function, FunctionError, number, string, text};
use crate::evaluate::unknown_not_null;

/// The digests of files.
pub(super) const FILE_DIGESTS: &[(&str, Body)] = &[
    ("filemd5", |cx, args| Ok(Value::from(md5(&file(cx, args)?)))),
    ("filesha1", |cx, args| Ok(Value::from(sha1(&file(cx, args)?)))),
    ("filesha256", |cx, args| Ok(Value::from(sha256(&file(cx, args)?)))),
    ("filesha512", |cx, args| Ok(Value::from(sha512(&file(cx, args)?)))),
    ("filebase64sha256", |cx, args| {
        Ok(Value::from(base64_sha256(&file(cx, args)?)))
    }),
    ("filebase64sha512", |cx, args| {
        Ok(Value::from(base64_sha512(&file(cx, args)?)))
    }),
];

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    let digest = |name, body: Body| Function::new(name, vec![string("str")], Type::String, body);
    vec![
        digest("md5", |_, args| Ok(Value::from(md5(text(&args[0])?.as_bytes())))),
        digest("sha1", |_, args| {
            Ok(Value::from(sha1(text(&args[0])?.as_bytes())))
        }),
        digest("sha256", |_, args| {
            Ok(Value::from(sha256(text(&args[0])?.as_bytes())))
        }),
        digest("sha512", |_, args| {
            Ok(Value::from(sha512(text(&args[0])?.as_bytes())))
        }),
        digest("base64sha256", |_, args| {
            Ok(Value::from(base64_sha256(text(&args[0])?.as_bytes())))
        }),
        digest("base64sha512", |_, args| {
            Ok(Value::from(base64_sha512(text(&args[0])?.as_bytes())))
        }),
        Function::new(
            "uuidv5",
            vec![string("namespace"), string("name")],
            Type::String,
            |_, args| Ok(Value::from(uuid_v5(text(&args[0])?, text(&args[1])?)?)),
        ),
        Function::new("uuid", Vec::new(), Type::String, |cx, _| {
            Ok(match cx.scope.random() {
                Some(bytes) => Value::from(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()),
                None => unknown_not_null(Type::String),
            })
        }),
        Function::new("bcrypt", vec![string("str")], Type::String, |cx, args| {
            let cost = match args
                .get(1)
                .and_then(Value::as_number)
                .map(stack_core::Number::as_i64)
            {
                None => 10,
                // Too little becomes the default.
                Some(Some(cost)) if cost < 4 => 10,
                Some(cost) => cost
                    .and_then(|c| u32::try_from(c).ok())
                    .filter(|c| *c <= 31)
                    .ok_or_else(|| FunctionError::argument(1, "the cost must be a whole number up to 31"))?,
            };
            if args.len() > 2 {
                return Err(FunctionError::new("bcrypt() takes no more than two arguments"));
            }
            let Some(salt) = cx.scope.random() else {
                return Ok(unknown_not_null(Type::String));
            };
            let password = text(&args[0])?;
            if password.len() > 72 {
                return Err(FunctionError::argument(0, "bcrypt takes 72 bytes at most"));
            }
            let parts = bcrypt::hash_with_salt(password, cost, salt)
                .map_err(|error| FunctionError::new(format!("the password cannot be hashed: {error}")))?;
            Ok(Value::from(parts.format_for_version(bcrypt::Version::TwoA)))
        })
        .variadic(number("cost")),
        Function::new(
            "rsadecrypt",
            vec![string("ciphertext"), string("privatekey")],
            Type::String,
            |_, args| Ok(Value::from(rsa_decrypt(text(&args[0])?, text(&args[1])?)?)),
        ),
    ]
}

/// The bytes of the file that the first argument names.
fn file(cx: &CallContext<'_>, args: &[Value]) -> Result<Vec<u8>, FunctionError> {
    super::filesystem::read(cx, text(&args[0])?)
}

fn sha1(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn sha512(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA512, bytes).as_ref())
}

fn base64_sha256(bytes: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, bytes))
}

fn base64_sha512(bytes: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA512, bytes))
}

fn md5(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// Lower case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn uuid_v5(namespace: &str, name: &str) -> Result<String, FunctionError> {
    let namespace = match namespace {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|error| {
            FunctionError::new(format!("uuidv5() doesn't support namespace {other} ({error})"))
        })?,
    };
    Ok(Uuid::new_v5(&namespace, name.as_bytes()).to_string())
}

/// RSAES-PKCS1-v1_5 with a PEM key (`RSA PRIVATE KEY` or `PRIVATE KEY`) over base64.
fn rsa_decrypt(ciphertext: &str, key: &str) -> Result<String, FunctionError> {
    use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
    let bytes = STANDARD
        .decode(ciphertext)
        .map_err(|_| FunctionError::argument(0, "failed to decode input: must be base64-encoded"))?;
    let bad_key = |why: &str| FunctionError::argument(1, format!("failed to parse key: {why}"));
    let pem = pem::parse(key).map_err(|_| bad_key("the key is not PEM"))?;
    let der = match pem.tag() {
        "PRIVATE KEY" => pem.contents().to_vec(),
        "RSA PRIVATE KEY" => pkcs8(pem.contents()),
        _ => return Err(bad_key("a PEM block RSA PRIVATE KEY or PRIVATE KEY is required")),
    };
    let key = PrivateDecryptingKey::from_pkcs8(&der)
        .ok()
        .and_then(|key| Pkcs1PrivateDecryptingKey::new(key).ok());
    let key = key.ok_or_else(|| bad_key("it is not an RSA key of 2048 to 8192 bits"))?;
    let mut out = vec![0; key.min_output_size()];
    let plain = key
        .decrypt(&bytes, &mut out)
        .map_err(|_| FunctionError::new("failed to decrypt: error in the ciphertext, or another key"))?;
    String::from_utf8(plain.to_vec()).map_err(|_| FunctionError::new("the decrypted text is not valid UTF-8"))
}

/// A PKCS#1 key wrapped as PKCS#8 (RFC 5208): version 0, algorithm rsaEncryption, the key.
fn pkcs8(key: &[u8]) -> Vec<u8> {
    const VERSION_AND_ALGORITHM: &[u8] = &[
        0x02, 1, 0, 0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0,
    ];
    let octets = der(0x04, key);
    der(0x30, &[VERSION_AND_ALGORITHM, &octets].concat())
}

/// A DER value: tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length
        .iter()
        .take_while(|b| **b == 0)
        .count()
        .min(length.len() - 1)..];
    let mut out = vec![tag];
    match significant {
        [short @ 0..=127] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_known_texts() {
        assert_eq!(md5(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(sha1(b"hello world"), "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed");
        assert_eq!(
            sha256(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            base64_sha256(b"test"),
            "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="
        );
    }

    #[test]
    fn uuids_of_names() {
        assert_eq!(
            uuid_v5("dns", "www.terraform.io").unwrap(),
            "a5008fae-b28c-5ba5-96cd-82b4c53552d6"
        );
        assert_eq!(
            uuid_v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "x").unwrap(),
            "05b16a01-46c6-56dd-bd6e-c6dfb4a1427a"
        );
        assert!(uuid_v5("DNS", "x").is_err());
    }

    #[test]
    fn lengths_in_der_are_short_or_long() {
        assert_eq!(der(4, &[1, 2])[..2], [4, 2]);
        assert_eq!(der(4, &[0; 200])[..3], [4, 0x81, 200]);
        assert_eq!(der(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }
}
