//! Where the sandbox keeps its programs, its data and its records.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

/// The folders under `SANDBOX_HOME` (default `${XDG_CACHE_HOME:-$HOME/.cache}/stack/sandbox`).
///
/// `run/` and `data/` belong to what runs now and go on `down`; everything else is a cache that stays.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    root: Arc<PathBuf>,
}

impl Home {
    /// The folder that the environment names.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = match (set("SANDBOX_HOME"), set("XDG_CACHE_HOME"), set("HOME")) {
            (Some(home), _, _) => std::path::absolute(home)?,
            (None, Some(cache), _) => cache.join("stack/sandbox"),
            (None, None, Some(home)) => home.join(".cache/stack/sandbox"),
            (None, None, None) => anyhow::bail!("no folder to work in: set SANDBOX_HOME, or HOME"),
        };
        Self::at(root)
    }

    /// The folder `root`, made where it is missing.
    pub(crate) fn at(root: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&root)
            .with_context(|| format!("cannot make the folder {}", root.display()))?;
        Ok(Self { root: Arc::new(root) })
    }

    /// Built programs (kubelet, helm, envoy and so on).
    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Images of machines and containers.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// A part's cache: stays on `down`.
    pub(crate) fn cache(&self, part: &str) -> PathBuf {
        self.root.join("cache").join(part)
    }

    /// A part's data while it runs (disks, databases, keys): goes on `down`.
    pub(crate) fn data(&self, part: &str) -> PathBuf {
        self.root.join("data").join(part)
    }

    /// Process records, sockets and marks of what runs: goes on `down`.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Logs, one file a process, started anew by every start.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The file through which only one `up` or `down` works at a time.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}

/// The folder of the sandbox's own files: `STACK_SANDBOX_FILES`, else `sandbox/` of the repository that this
/// program was built from.
pub(crate) fn files() -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("STACK_SANDBOX_FILES") {
        Some(folder) => std::path::absolute(folder)?,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sandbox"),
    };
    folder.canonicalize().with_context(|| {
        format!(
            "the sandbox's files are not at {}: set STACK_SANDBOX_FILES to the folder `sandbox` of the repository",
            folder.display()
        )
    })
}
