//! Exit codes.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; with `plan --detailed-exitcode`: no changes.
    Done = 0,
    /// An error; nothing was recorded.
    Error = 1,
    /// There are changes (`plan --detailed-exitcode` only).
    Changes = 2,
    /// Failed after at least one operation was recorded.
    Partial = 3,
    /// Applied, but a check failed.
    CheckFailed = 4,
    /// The state is locked by another.
    Locked = 5,
    /// The command line cannot be followed.
    Usage = 64,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// Place in the order of strength; the strongest of several is what a command ends with.
    fn strength(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Changes => 1,
            Self::CheckFailed => 2,
            Self::Error => 3,
            Self::Locked => 4,
            Self::Usage => 5,
            Self::Partial => 6,
            Self::Interrupted => 7,
        }
    }

    /// The stronger of two.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        if other.strength() > self.strength() {
            other
        } else {
            self
        }
    }
}

/// How an apply with this code ended, in words.
pub(crate) fn outcome(code: u8) -> String {
    match code {
        0 => "done".to_owned(),
        1 => "failed, nothing recorded".to_owned(),
        3 => "failed".to_owned(),
        4 => "a check failed".to_owned(),
        130 => "interrupted".to_owned(),
        other => format!("exit code {other}"),
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_wins() {
        let order = [
            Exit::Interrupted,
            Exit::Partial,
            Exit::Error,
            Exit::CheckFailed,
            Exit::Changes,
            Exit::Done,
        ];
        for (i, strong) in order.iter().enumerate() {
            for weak in &order[i..] {
                assert_eq!(strong.and(*weak), *strong);
                assert_eq!(weak.and(*strong), *strong);
            }
        }
    }
}
