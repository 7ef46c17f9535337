//! Keys as OpenSSH writes them: `authorized_keys` lines and the `openssh-key-v1` container (OpenSSH's `PROTOCOL.key`).

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use md5::{Digest as _, Md5};
use stack_provider::ProviderError;

/// The numbers of a key pair.
pub(crate) enum Numbers {
    /// Big endian.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        d: Vec<u8>,
        p: Vec<u8>,
        q: Vec<u8>,
        inverse: Vec<u8>,
    },
    /// Curve (`nistp256`), public point uncompressed, private number big endian.
    Ecdsa {
        curve: &'static str,
        point: Vec<u8>,
        scalar: Vec<u8>,
    },
    /// 32 bytes each.
    Ed25519 { public: Vec<u8>, seed: Vec<u8> },
}

/// A length, then the bytes (RFC 4251 section 5, `string`).
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    // Keys are far shorter than 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

/// A positive number in the fewest bytes, with a zero before a set top bit (RFC 4251 section 5, `mpint`).
fn mpint(out: &mut Vec<u8>, number: &[u8]) {
    let digits = number
        .iter()
        .position(|b| *b != 0)
        .map_or(&[][..], |i| &number[i..]);
    if digits.first().is_some_and(|b| b & 0x80 != 0) {
        string(out, &[&[0], digits].concat());
    } else {
        string(out, digits);
    }
}

/// The public key as SSH sends it (RFC 4253 section 6.6, RFC 5656, RFC 8709), with its type.
pub(crate) fn public_blob(numbers: &Numbers) -> (String, Vec<u8>) {
    let mut out = Vec::new();
    let kind = match numbers {
        Numbers::Rsa { n, e, .. } => {
            string(&mut out, b"ssh-rsa");
            mpint(&mut out, e);
            mpint(&mut out, n);
            "ssh-rsa".to_owned()
        }
        Numbers::Ecdsa { curve, point, .. } => {
            let kind = format!("ecdsa-sha2-{curve}");
            string(&mut out, kind.as_bytes());
            string(&mut out, curve.as_bytes());
            string(&mut out, point);
            kind
        }
        Numbers::Ed25519 { public, .. } => {
            string(&mut out, b"ssh-ed25519");
            string(&mut out, public);
            "ssh-ed25519".to_owned()
        }
    };
    (kind, out)
}

/// A line for `authorized_keys`, with its newline.
pub(crate) fn public_line(numbers: &Numbers) -> String {
    let (kind, blob) = public_blob(numbers);
    format!("{kind} {}\n", BASE64_STANDARD.encode(blob))
}

/// `SHA256:...` as `ssh-keygen -l` prints it.
pub(crate) fn sha256_fingerprint(blob: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, blob);
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest.as_ref()))
}

/// `aa:bb:...`, the MD5 form of older tools.
pub(crate) fn md5_fingerprint(blob: &[u8]) -> String {
    let digits: Vec<String> = Md5::digest(blob).iter().map(|b| format!("{b:02x}")).collect();
    digits.join(":")
}

/// The private key in an unencrypted `openssh-key-v1` container, as PEM.
pub(crate) fn private_pem(numbers: &Numbers) -> Result<String, ProviderError> {
    let mut check = [0; 4];
    rand::fill(&mut check)
        .map_err(|e| ProviderError::internal("the system gave no random bytes").source(e))?;
    let (kind, public) = public_blob(numbers);
    let mut private = [check, check].concat();
    string(&mut private, kind.as_bytes());
    match numbers {
        Numbers::Rsa {
            n,
            e,
            d,
            p,
            q,
            inverse,
        } => {
            for number in [n, e, d, inverse, p, q] {
                mpint(&mut private, number);
            }
        }
        Numbers::Ecdsa { curve, point, scalar } => {
            string(&mut private, curve.as_bytes());
            string(&mut private, point);
            mpint(&mut private, scalar);
        }
        Numbers::Ed25519 { public, seed } => {
            string(&mut private, public);
            string(&mut private, &[seed.as_slice(), public].concat());
        }
    }
    string(&mut private, b"");
    // Without a cipher the block size is 8; padding counts up from 1.
    for byte in 1..8 {
        if private.len() % 8 == 0 {
            break;
        }
        private.push(byte);
    }
    let mut out = b"openssh-key-v1\0".to_vec();
    string(&mut out, b"none");
    string(&mut out, b"none");
    string(&mut out, b"");
    out.extend(1_u32.to_be_bytes());
    string(&mut out, &public);
    string(&mut out, &private);
    let text = BASE64_STANDARD.encode(&out);
    let mut lines = vec!["-----BEGIN OPENSSH PRIVATE KEY-----"];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(70));
        lines.push(line);
        rest = after;
    }
    lines.push("-----END OPENSSH PRIVATE KEY-----\n");
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpints_are_as_in_rfc_4251() {
        let encoded = |number: &[u8]| {
            let mut out = Vec::new();
            mpint(&mut out, number);
            out
        };
        assert_eq!(encoded(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(encoded(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(encoded(&[0, 0x09, 0xa3]), [0, 0, 0, 2, 0x09, 0xa3]);
    }
}
