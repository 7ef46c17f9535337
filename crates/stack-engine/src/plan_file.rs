//! Saved plans.
//!
//! The planner is pure, so a plan file holds what a plan follows from and not the plan: every source text and file that
//! was read, variables, options, the state it rests on, and every answer of the real systems. `apply FILE` reads nothing
//! else and derives the same plan again. Whatever is sensitive makes the whole file sealed with the state's key.

mod answers;
mod findings;
mod sources;
mod wire;

pub use sources::SavedSources;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::Value;
use stack_core::codec::{CodecError, Seal, SealError};
use stack_plan::{Answers, Options};
use stack_state::State;
use stack_state::seal::Sealer;
use zeroize::Zeroizing;

use crate::Looked;

/// Everything a plan follows from.
#[derive(Clone, Debug)]
pub struct PlanFile {
    /// Version of `stack` that made it; another version refuses it.
    pub tool_version: String,
    /// Folder of the root module, as it was given.
    pub folder: String,
    /// Every file and folder that was read.
    pub sources: SavedSources,
    /// Values of the root module's variables.
    pub variables: BTreeMap<Arc<str>, Value>,
    /// Name of the environment.
    pub environment: String,
    /// When the plan was made (RFC 3339).
    pub timestamp: String,
    /// How it was made.
    pub options: Options,
    /// The state it rests on.
    pub state: State,
    /// What became of the operations that are pending in that state, if there are any: the plan is made for the state
    /// after them.
    pub recovery: Option<Looked>,
    /// What the real systems said.
    pub answers: Answers,
}

/// A plan file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The file is no plan.
    #[error("this is not a plan file: {reason}")]
    NotAPlan {
        /// Why.
        reason: String,
    },
    /// It is of a newer format.
    #[error("written in plan format {version}, and this version of stack reads format 1; use a newer one")]
    Newer {
        /// The format version.
        version: u64,
    },
    /// Another version made it.
    #[error("the plan was made by stack {made_by}, and this is {own}; make a new plan")]
    OtherVersion {
        /// Version that made it.
        made_by: String,
        /// Version that reads it.
        own: String,
    },
    /// Something in it cannot be stored or read.
    #[error("the plan cannot be stored or read")]
    Value(#[source] CodecError),
    /// The state in it cannot be stored or read.
    #[error("the state inside the plan cannot be stored or read: {reason}")]
    State {
        /// Why.
        reason: String,
    },
    /// There is no key, or another one.
    #[error("the plan cannot be sealed or opened")]
    Seal(#[source] SealError),
}

impl From<CodecError> for PlanFileError {
    fn from(error: CodecError) -> Self {
        Self::Value(error)
    }
}

/// Leaves sensitive parts in clear inside a body that is sealed as a whole, and notes that there are some.
#[derive(Default)]
pub(crate) struct Inside {
    sensitive: Cell<bool>,
}

impl Seal for Inside {
    fn seal(&self, plaintext: &str, _: &str) -> Result<String, SealError> {
        self.sensitive.set(true);
        Ok(plaintext.to_owned())
    }
    fn open(&self, sealed: &str, _: &str) -> Result<Zeroizing<String>, SealError> {
        Ok(Zeroizing::new(sealed.to_owned()))
    }
}

const CONTEXT: &str = "plan";
const FIRST_LINE_START: &str = "stack plan ";
/// Version of the format that is written, the only one that is read.
const FORMAT: u64 = 1;

impl PlanFile {
    /// The state that the plan is made for: with pending operations recovered.
    pub fn planned_for(&self) -> &State {
        self.recovery
            .as_ref()
            .map_or(&self.state, |recovery| &recovery.after)
    }

    /// The bytes of the file. It is sealed if a value in it is sensitive, or if the caller knows of a `secret` in the
    /// files that it holds.
    ///
    /// # Errors
    /// Something sensitive has to be sealed and there is no key, or a value cannot be stored.
    pub fn encode(&self, sealer: &Sealer, secret: bool) -> Result<Vec<u8>, PlanFileError> {
        let inside = Inside::default();
        let body = Zeroizing::new(wire::encode(self, &inside)?);
        let (lineage, salt) = (self.state.lineage.to_string(), wire::hex(&self.state.salt.0));
        let sensitive = secret || inside.sensitive.get();
        let word = if sensitive { "sealed" } else { "clear" };
        let mut out = format!("{FIRST_LINE_START}{FORMAT} {word} {lineage} {salt}\n").into_bytes();
        if sensitive {
            out.extend(
                sealer
                    .seal_bytes(body.as_bytes(), CONTEXT)
                    .map_err(PlanFileError::Seal)?,
            );
        } else {
            out.extend(body.as_bytes());
        }
        Ok(out)
    }

    /// Reads the bytes of a file. `sealer` makes the sealer of a lineage and salt.
    ///
    /// # Errors
    /// It is no plan, was made by another version, or does not open.
    pub fn decode(
        bytes: &[u8],
        own_version: &str,
        sealer: impl FnOnce(stack_state::Lineage, stack_state::Salt) -> Sealer,
    ) -> Result<Self, PlanFileError> {
        let not = |reason: &str| PlanFileError::NotAPlan {
            reason: reason.to_owned(),
        };
        let end = bytes
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| not("its first line is missing"))?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| not("its first line is no text"))?;
        let rest = head
            .strip_prefix(FIRST_LINE_START)
            .and_then(|rest| rest.split_once(' '))
            .and_then(|(version, rest)| Some((version.parse::<u64>().ok()?, rest)));
        let rest = match rest {
            Some((FORMAT, rest)) => rest,
            Some((version, _)) if version > FORMAT => return Err(PlanFileError::Newer { version }),
            Some(_) | None => return Err(not("its first line is of something else")),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [word, lineage, salt] = words[..] else {
            return Err(not("its first line is incomplete"));
        };
        let salt = wire::unhex(salt).ok_or_else(|| not("its first line is damaged"))?;
        let body = match word {
            "clear" => Zeroizing::new(bytes[end + 1..].to_vec()),
            "sealed" => {
                let sealer = sealer(stack_state::Lineage::from(lineage), stack_state::Salt(salt));
                sealer
                    .open_bytes(&bytes[end + 1..], CONTEXT)
                    .map_err(PlanFileError::Seal)?
            }
            _ => return Err(not("its first line is damaged")),
        };
        wire::decode(&body, own_version, &Inside::default())
    }
}
