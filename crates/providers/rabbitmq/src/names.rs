//! Names in paths, and ids made of two names.

use stack_core::{Path, Value};
use stack_provider::{ErrorKind, ProviderError};

/// A name as one segment of a path (RFC 3986, section 3.3; everything but unreserved characters is encoded).
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => {
                out.push('%');
                for digit in [other >> 4, other & 15] {
                    out.push(
                        char::from_digit(digit.into(), 16)
                            .unwrap_or('0')
                            .to_ascii_uppercase(),
                    );
                }
            }
        }
    }
    out
}

/// The id of something in a virtual host: `NAME@VHOST`.
pub(crate) fn id(name: &str, vhost: &str) -> String {
    format!("{name}@{vhost}")
}

/// Splits the id of something in a virtual host.
pub(crate) fn split_id<'i>(id: &'i str, what: &str) -> Result<(&'i str, &'i str), ProviderError> {
    id.rsplit_once('@')
        .filter(|(name, vhost)| !name.is_empty() && !vhost.is_empty())
        .ok_or_else(|| {
            let message =
                format!("the id is {what}@VHOST (the usual virtual host is /: `{what}@/`), not {id:?}");
            ProviderError::new(ErrorKind::InvalidArgument, message)
        })
}

/// A string argument of a planned value, where it is known.
pub(crate) fn text<'v>(planned: &'v Value, attribute: &str) -> Option<&'v str> {
    planned.attribute(attribute).and_then(Value::as_str)
}

/// Whether the configuration takes over what exists.
pub(crate) fn overwrites(planned: &Value) -> bool {
    planned.attribute("overwrite").and_then(Value::as_bool) == Some(true)
}

/// Checks that names are there and no longer than the broker takes (255 bytes).
pub(crate) fn check_names(config: &Value, attributes: &[&str]) -> Vec<(Path, String)> {
    let wrong = |name: &&&str| text(config, name).is_some_and(|v| v.is_empty() || v.len() > 255);
    let problem = |name: &&str| (Path::of(&[name]), "must have 1 to 255 bytes".to_owned());
    attributes.iter().filter(wrong).map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_segments() {
        assert_eq!(segment("/"), "%2F");
        assert_eq!(segment("a b/ü"), "a%20b%2F%C3%BC");
        assert_eq!(segment("plain-1.2_3~"), "plain-1.2_3~");
    }

    #[test]
    fn ids_split_at_the_last_sign() {
        assert_eq!(split_id("a@b@/", "USER").unwrap(), ("a@b", "/"));
        assert!(split_id("a", "USER").is_err());
        assert!(split_id("@/", "USER").is_err());
    }
}
