//! Values as JSON text, exact to the digit.
//!
//! A value is stored as two texts: its type ([`Encoded::ty`], `"string"`, `["list","string"]`,
//! `["object",{"a":"number"}]`, `"dynamic"`) and the value itself, written for that type. Where a part has another type
//! than its place says (below `dynamic`), the part carries its own:
//! `{"$type":"string","$value":"x"}`. Further forms: `{"$sealed":"…"}` for a sensitive part,
//! `{"$unknown":{…}}`, `{"$number":"…"}` for a number that decimal digits do not give exactly. Keys of users that start
//! with `$` get a second `$` in front.
//!
//! A sensitive part is handed to a [`Seal`] together with its type and read back with the mark. Ephemeral parts are
//! never stored. [`to_plain_json`] is for people and other programs: it has no types and does not read back.

mod decimal;
mod plain;
mod read;
mod types;
mod write;

use zeroize::Zeroizing;

pub use decimal::parse_number;
pub use plain::{Layout, to_plain_json};
pub use read::read;
pub use types::{type_from_json, type_to_json};
pub use write::{stored_type, write};

use crate::Path;

/// Deepest nesting of values and types that is written and read.
pub const MAX_DEPTH: usize = 100;

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its type, compact JSON. A sensitive object or tuple has type `dynamic` here, because the names in a type may
    /// tell something too.
    pub ty: String,
    /// The value, compact JSON.
    pub json: String,
}

/// Seals secrets for storage and opens them again.
pub trait Seal {
    /// Seals a text. `context` names the place it is stored in; a sealed text opens only in its own place.
    ///
    /// # Errors
    /// There is no key.
    fn seal(&self, plaintext: &str, context: &str) -> Result<String, SealError>;

    /// Opens a sealed text.
    ///
    /// # Errors
    /// There is no key, it is another one, or the text was changed or moved.
    fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<String>, SealError>;
}

/// A secret that cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No key is given.
    #[error(
        "a sensitive value cannot be stored or read without a key; set STACK_STATE_KEY (32 bytes in base64), \
         STACK_STATE_PASSPHRASE, STACK_STATE_KEY_FILE or STACK_STATE_KEY_COMMAND"
    )]
    NoKey,
    /// A key is given that cannot be used.
    #[error("the state key cannot be used: {reason}")]
    BadKey {
        /// Why, and what a key must look like.
        reason: String,
    },
    /// The text was sealed with another key.
    #[error(
        "sealed with key {wanted}, but the key given is {given}; give the key that the state was written with"
    )]
    OtherKey {
        /// Id of the key it was sealed with.
        wanted: String,
        /// Id of the key at hand.
        given: String,
    },
    /// The text does not open in this place.
    #[error("the sealed value of {context} was changed or moved from elsewhere")]
    Damaged {
        /// The place it stands in.
        context: String,
    },
}

/// A value or text that the codec cannot take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// An ephemeral value was to be stored.
    #[error("{} is ephemeral and cannot be stored", at(path))]
    Ephemeral {
        /// The part.
        path: Path,
    },
    /// The text does not fit the type, or is no JSON.
    #[error("{}: {message}", at(path))]
    Malformed {
        /// The part.
        path: Path,
        /// What is wrong.
        message: String,
    },
    /// The value nests deeper than [`MAX_DEPTH`].
    #[error("{} nests more than {MAX_DEPTH} levels deep", at(path))]
    TooDeep {
        /// The part.
        path: Path,
    },
    /// A sensitive part cannot be sealed or opened.
    #[error("{}", at(path))]
    Seal {
        /// The part.
        path: Path,
        /// Why.
        #[source]
        source: SealError,
    },
}

fn at(path: &Path) -> String {
    if path.0.is_empty() {
        "the value".to_owned()
    } else {
        path.to_string()
    }
}

/// Refuses everything sensitive: for texts in which nothing may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSeal;

impl Seal for NoSeal {
    fn seal(&self, _: &str, _: &str) -> Result<String, SealError> {
        Err(SealError::NoKey)
    }
    fn open(&self, _: &str, _: &str) -> Result<Zeroizing<String>, SealError> {
        Err(SealError::NoKey)
    }
}

/// The place of a part, as it is bound to its sealed text.
fn place(context: &str, path: &Path) -> String {
    if path.0.is_empty() {
        context.to_owned()
    } else {
        format!("{context}/{path}")
    }
}

#[cfg(test)]
mod tests;
