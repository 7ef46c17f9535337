//! RabbitMQ's salted password hashes: `base64(salt + SHA-256(salt + password))` with a salt of four bytes.
//! See <https://www.rabbitmq.com/docs/passwords>, "Computing password hash".

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// The name of the algorithm in the API and in definitions.
pub(crate) const ALGORITHM: &str = "rabbit_password_hashing_sha256";

/// Length of a salt in bytes.
const SALT: usize = 4;

/// The hash of a password.
pub(crate) fn hash(password: &str, salt: [u8; SALT]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&salt);
    context.update(password.as_bytes());
    let mut out = salt.to_vec();
    out.extend_from_slice(context.finish().as_ref());
    BASE64_STANDARD.encode(out)
}

/// Whether a hash is one of this password.
pub(crate) fn matches(password: &str, stored: &str) -> bool {
    let Ok(bytes) = BASE64_STANDARD.decode(stored) else {
        return false;
    };
    let Some((salt, _)) = bytes.split_first_chunk::<SALT>() else {
        return false;
    };
    let wanted = hash(password, *salt);
    constant_time::verify_slices_are_equal(wanted.as_bytes(), stored.as_bytes()).is_ok()
}

/// A new salt.
pub(crate) fn random_salt() -> Result<[u8; SALT], aws_lc_rs::error::Unspecified> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt)?;
    Ok(salt)
}

/// Reads a salt: four bytes in hexadecimal digits or base64, as `random_id` with `byte_length = 4` gives them.
pub(crate) fn salt(text: &str) -> Result<[u8; SALT], String> {
    let problem = || {
        "the salt must be four bytes, as 8 hexadecimal digits or in base64 (`random_id` with `byte_length = 4` gives both)"
            .to_owned()
    };
    if text.len() == 2 * SALT && text.chars().all(|c| c.is_ascii_hexdigit()) {
        let number = u32::from_str_radix(text, 16).map_err(|_| problem())?;
        return Ok(number.to_be_bytes());
    }
    let text = text.trim_end_matches('=');
    let bytes = BASE64_STANDARD_NO_PAD
        .decode(text)
        .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text));
    let bytes = bytes.map_err(|_| problem())?;
    bytes.try_into().map_err(|_| problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RabbitMQ's own documentation.
    #[test]
    fn documented_example() {
        let expected = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert_eq!(hash("test12", salt("908DC60A").unwrap()), expected);
        assert!(matches("test12", expected));
        assert!(!matches("test13", expected));
    }

    #[test]
    fn salts_have_several_spellings() {
        let bytes = [0x90, 0x8D, 0xC6, 0x0A];
        for text in ["908DC60A", "908dc60a", "kI3GCg==", "kI3GCg"] {
            assert_eq!(salt(text), Ok(bytes), "{text}");
        }
        assert_eq!(salt("_____w"), Ok([0xff; 4]));
        for text in ["", "908DC6", "908DC60A00", "zzzzzzzz", "kI3GCqW5"] {
            assert!(salt(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nonsense_matches_nothing() {
        for stored in ["", "!!", "AAAA", "kI3GCg=="] {
            assert!(!matches("", stored), "{stored}");
        }
        assert_ne!(random_salt().unwrap(), random_salt().unwrap());
    }
}
