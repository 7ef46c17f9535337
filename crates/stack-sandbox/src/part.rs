//! What a part of the sandbox is.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::home::Home;
use crate::packages::Packages;
use crate::progress::Progress;

/// What a part may use while it works. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Folders under `SANDBOX_HOME`.
    pub(crate) home: Home,
    /// Progress lines under the part's own name.
    pub(crate) progress: Progress,
    /// Debian packages of the machine; one installation at a time.
    pub(crate) packages: Packages,
    files: Arc<PathBuf>,
}

impl Context {
    /// A context for `home`, with the sandbox's files under `files`.
    pub(crate) fn new(home: Home, files: PathBuf) -> Self {
        Self {
            home,
            progress: Progress::new("sandbox"),
            packages: Packages::default(),
            files: Arc::new(files),
        }
    }

    /// The same context, with progress lines under the name of a part.
    pub(crate) fn for_part(&self, name: &'static str) -> Self {
        Self {
            progress: Progress::new(name),
            ..self.clone()
        }
    }

    /// The folder of the files that a part ships (`sandbox/NAME` in the repository).
    pub(crate) fn files(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }
}

/// Whether a part runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Runs and answers.
    Up,
    /// Runs in part, or does not answer: `up` repairs it.
    Faulty,
    /// Does not run.
    Down,
    /// Cannot run on this machine as it is.
    Unable,
}

/// What `status` shows for a part.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartStatus {
    /// Whether it runs.
    pub(crate) state: State,
    /// One line: what runs where, or why it does not.
    pub(crate) detail: String,
    /// One line: what the user can do about it.
    pub(crate) remedy: Option<String>,
}

impl PartStatus {
    /// Runs and answers.
    pub(crate) fn up(detail: impl Into<String>) -> Self {
        Self {
            state: State::Up,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// Does not run, and could.
    pub(crate) fn down(detail: impl Into<String>) -> Self {
        Self {
            state: State::Down,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// Runs in part or does not answer.
    pub(crate) fn faulty(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Faulty,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Cannot run on this machine as it is.
    pub(crate) fn unable(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Unable,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// One part of the sandbox.
///
/// `install` of all chosen parts runs at once; `up` of a part runs when its own `install` and the `up` of
/// every part in `needs` have ended well. `down` runs in the reverse order, and goes on after a failure.
#[async_trait]
pub(crate) trait Part: Send + Sync {
    /// The name on the command line and in progress lines.
    fn name(&self) -> &'static str;

    /// Names of the parts that must be up before this one.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// What `install` and `up` will install and change on the machine, one line each, as it stands now:
    /// what is there already is left out. Printed before anything is done.
    fn installs(&self, cx: &Context) -> Vec<String>;

    /// Brings the programs and images that are missing; nothing when all are there. Takes no root where it can.
    async fn install(&self, cx: &Context) -> anyhow::Result<()>;

    /// Starts the part and waits until it answers. Clears leftovers of a crash first; where the part runs
    /// already and answers, does nothing.
    async fn up(&self, cx: &Context) -> anyhow::Result<()>;

    /// Stops the part and removes all it made on the machine. Succeeds when there is nothing.
    async fn down(&self, cx: &Context) -> anyhow::Result<()>;

    /// Looks, changes nothing.
    async fn status(&self, cx: &Context) -> PartStatus;

    /// Addresses and files by which others reach the part: name and value, shown by `up` and `status`.
    fn addresses(&self, _cx: &Context) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
