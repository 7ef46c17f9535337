//! What stops a command: what to say, and the code to end with.

use std::error::Error;

use stack_core::codec::SealError;
use stack_core::{Diagnostic, Diagnostics, SourceMap};
use stack_engine::backend::BackendError;
use stack_engine::store::StoreError;
use stack_state::FoldError;
use stack_state::frame::FrameError;
use stack_state::load::LoadError;
use stack_state::snapshot::SnapshotError;

use crate::exit::Exit;

/// The end of a command that could not do what it was asked for.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// How the command ends.
    pub(crate) exit: Exit,
    /// What is said.
    pub(crate) diagnostics: Diagnostics,
    /// The texts that the diagnostics point into.
    pub(crate) sources: SourceMap,
}

impl CommandError {
    /// An error without a place in the configuration.
    pub(crate) fn new(code: &'static str, summary: &str, detail: impl Into<String>) -> Self {
        Diagnostic::error(code, summary, detail).into()
    }

    /// A command line that cannot be followed.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new("STK0501", "Invalid command line", detail)
        }
    }

    /// Nothing was recorded when the user interrupted.
    pub(crate) fn interrupted() -> Self {
        let detail = "The command was interrupted before anything was changed.";
        Self {
            exit: Exit::Interrupted,
            ..Self::new("STK0502", "Interrupted", detail)
        }
    }

    /// Adds a way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.diagnostics = self.diagnostics.hint(hint);
        self
    }

    /// Gives the texts that the diagnostics point into.
    #[must_use]
    pub(crate) fn with_sources(mut self, sources: &SourceMap) -> Self {
        self.sources = sources.clone();
        self
    }
}

impl From<Diagnostics> for CommandError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self {
            exit: Exit::Error,
            diagnostics,
            sources: SourceMap::default(),
        }
    }
}

impl From<Diagnostic> for CommandError {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        if is_about_key(&error) {
            return Self::new("STK0504", "State key not usable", chain(&error));
        }
        if let Some((code, summary, hint)) = told_apart(&error) {
            return Self::new(code, summary, chain(&error)).hint(hint);
        }
        let locked = error.is_locked();
        let summary = if locked {
            "State locked"
        } else {
            "State not usable"
        };
        let mut out = Self::new("STK0503", summary, chain(&error));
        if locked {
            out.exit = Exit::Locked;
        }
        out
    }
}

impl From<SealError> for CommandError {
    fn from(error: SealError) -> Self {
        Self::new("STK0504", "State key not usable", sentence(&error.to_string()))
    }
}

/// What is wrong with what is stored: code, summary and a way out.
fn told_apart(error: &StoreError) -> Option<(&'static str, &'static str, &'static str)> {
    const DAMAGED: (&str, &str, &str) = (
        "STK0520",
        "State damaged",
        "take the folder of the state from a backup, or see what `stack state repair` can keep",
    );
    const NEWER: (&str, &str, &str) = (
        "STK0522",
        "Written by a newer stack",
        "use the version of stack that wrote it, or a later one; nothing was changed",
    );
    const FOREIGN: (&str, &str, &str) = (
        "STK0521",
        "State of another lineage",
        "nothing was changed; move the file to where it belongs",
    );
    const MISSING: (&str, &str, &str) = (
        "STK0523",
        "Part of the state missing",
        "take the folder of the state from a backup, or see what `stack state repair` can keep",
    );
    let source = match error {
        StoreError::Load { source, .. } => source,
        StoreError::Backend { source, .. } => {
            let lost = matches!(**source, BackendError::LockLost { .. });
            return lost.then_some((
                "STK0524",
                "Lock taken over",
                "run the command again once the other has ended",
            ));
        }
        StoreError::Snapshot { .. }
        | StoreError::Record { .. }
        | StoreError::Illegal { .. }
        | StoreError::Moved { .. }
        | StoreError::Start { .. }
        | StoreError::Ended => return None,
    };
    Some(match &**source {
        LoadError::Snapshot {
            source: SnapshotError::Newer { .. },
        }
        | LoadError::Journal {
            source: FrameError::Newer { .. },
            ..
        } => NEWER,
        LoadError::Foreign { .. }
        | LoadError::Illegal {
            source: FoldError::Foreign { .. },
            ..
        } => FOREIGN,
        LoadError::Gap { .. } | LoadError::NoHeader { .. } => MISSING,
        LoadError::Snapshot { .. }
        | LoadError::Journal { .. }
        | LoadError::Record { .. }
        | LoadError::Illegal { .. }
        | LoadError::Integrity { .. } => DAMAGED,
    })
}

/// Whether the key is missing or another one.
fn is_about_key(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<SealError>() {
            return !matches!(error, SealError::Damaged { .. });
        }
        next = error.source();
    }
    false
}

/// An error with all its causes as one sentence.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    sentence(&text)
}

/// A lower case fragment as a sentence.
pub(crate) fn sentence(fragment: &str) -> String {
    let mut characters = fragment.chars();
    let first: String = characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let end = if fragment.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_sentences() {
        assert_eq!(sentence("the state is locked"), "The state is locked.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), ".");
    }
}
