//! Where states are kept: bytes, and the right to write them.
//!
//! A backend knows nothing of what the bytes mean; `stack-state` makes and reads them. Its calls block, and the
//! [`Store`](crate::store::Store) makes them from a thread of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stack_state::load::{Stored, TornEnd};

pub mod key;
pub mod local;

pub use local::{Held, Local};

/// Who holds a lock, for people to read. The lock itself is the kernel's (or the backend's): nothing here decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// User name.
    pub user: String,
    /// The command, without values of variables.
    pub command: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
}

impl Holder {
    /// This process, now.
    pub fn current(command: &str) -> Self {
        let host = rustix::system::uname();
        let user = ["USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        let since = time::OffsetDateTime::now_utc()
            .replace_nanosecond(0)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        Self {
            host: host.nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            user: user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())),
            command: command.to_owned(),
            since: since
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` of {} on {} (pid {}) since {}",
            self.command, self.user, self.host, self.pid, self.since
        )
    }
}

/// A state that cannot be read or written where it is kept.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Another process holds the lock.
    #[error("the state is locked{}; wait for it to end, or use --lock-timeout", held_by(holder.as_ref()))]
    Locked {
        /// Who, as far as is known.
        holder: Option<Holder>,
    },
    /// Another process took the lock over; what it wrote since is not known here.
    #[error("the lock was taken over{}; nothing more is written, and the next command goes on from what was recorded", held_by(holder.as_ref()))]
    LockLost {
        /// Who has it now, as far as is known.
        holder: Option<Holder>,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An earlier write failed, and what is on disk since is not known.
    #[error("writing ended with an earlier failure")]
    Ended,
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |h| format!(" by {h}"))
}

/// A place where the state of one environment is kept.
pub trait Backend: Send + Sync {
    /// Where, for messages.
    fn location(&self) -> String;

    /// Everything that is stored, as of one moment, with or without a writer at work. The end of a journal may be torn
    /// while it is being written.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> Result<Stored, BackendError>;

    /// Takes the lock, waiting for `timeout` at most. It ends with the writer, or with the process.
    ///
    /// # Errors
    /// Another holds it, or the place cannot be written.
    fn lock(&self, holder: &Holder, timeout: Duration) -> Result<Box<dyn Writer>, BackendError>;
}

/// The right to write, and the only way to.
pub trait Writer: Send {
    /// Raises the epoch above `after` and above every epoch the place has seen, durably, and returns it. Called once,
    /// before anything is written.
    ///
    /// # Errors
    /// It cannot be stored.
    fn begin(&mut self, after: u64) -> Result<u64, BackendError>;

    /// Appends a frame to the journal of the epoch; it is durable on return. After an error nothing can be written any
    /// more: what is on disk is then not known, and a second try could hide that (a failed sync is never repeated).
    ///
    /// # Errors
    /// It could not be written, or the lock is lost.
    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError>;

    /// Keeps an end of a journal that does not count aside and says where. Leaves the journal as it is.
    ///
    /// # Errors
    /// It could not be written.
    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError>;

    /// Keeps the bytes of a stored file aside before a repair replaces it, and says where.
    ///
    /// # Errors
    /// It could not be written, or the place cannot keep anything aside.
    fn keep_copy(&mut self, name: &str, bytes: &[u8]) -> Result<String, BackendError> {
        let _ = (name, bytes);
        Err(BackendError::Ended)
    }

    /// Puts a new snapshot in the place of the old one, durably, and then removes the journals, all of which it has
    /// folded in, but for those of a later epoch.
    ///
    /// # Errors
    /// It could not be written, or the lock is lost; what the snapshot would have replaced is then still there.
    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError>;
}
