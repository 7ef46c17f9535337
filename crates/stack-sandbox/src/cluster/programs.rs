//! Programs built from Go modules, cached under the digest of what they are built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{Mutex, MutexGuard};

use crate::command::{self, Command};
use crate::home::Home;
use crate::part::Context;
use crate::progress::{Progress, seconds};

/// How often a long step says that it goes on.
const PULSE: Duration = Duration::from_secs(20);

/// One compilation at a time: each uses every core by itself.
static COMPILING: Mutex<()> = Mutex::const_new(());

/// Waits until no other part compiles.
pub(crate) async fn compiling() -> MutexGuard<'static, ()> {
    COMPILING.lock().await
}

/// A set of programs that one Go module builds.
#[derive(Debug, Clone)]
pub(crate) struct GoModule {
    /// What the set is called.
    pub(crate) name: &'static str,
    /// The folder of `go.mod`, `go.sum` and our own sources.
    pub(crate) folder: PathBuf,
    /// The packages to build; each makes a program of its last name.
    pub(crate) packages: Vec<String>,
    /// Flags for the linker.
    pub(crate) linker_flags: String,
    /// Builds without C: the programs need no library of the machine.
    pub(crate) pure: bool,
}

impl GoModule {
    /// Digest of all that decides about the programs.
    pub(crate) fn key(&self) -> anyhow::Result<String> {
        let mut content = vec![
            self.linker_flags.clone().into_bytes(),
            self.packages.join(" ").into_bytes(),
        ];
        for file in source_files(&self.folder)? {
            content.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
        Ok(digest(content.iter().map(Vec::as_slice)))
    }

    /// The folder that the programs are in, once built.
    pub(crate) fn target(&self, home: &Home) -> anyhow::Result<PathBuf> {
        Ok(home
            .cache("programs")
            .join(format!("{}-{}", self.name, self.key()?)))
    }

    /// Whether the programs are there.
    pub(crate) fn built(&self, home: &Home) -> bool {
        self.target(home).is_ok_and(|target| target.is_dir())
    }

    /// Builds the programs where they are missing, and gives their folder. `finish` may add files to it.
    pub(crate) async fn build(
        &self,
        cx: &Context,
        finish: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let target = self.target(&cx.home)?;
        if target.is_dir() {
            return Ok(target);
        }
        ensure_go()?;
        let _guard = compiling().await;
        let partial = target.with_extension("partial");
        remove_folder(&partial)?;
        fs::create_dir_all(&partial)?;
        let text = format!("building {} from the Go modules that go.sum names", self.names());
        step(&cx.progress, text, async {
            self.go(&["build", "-trimpath", "-buildvcs=false", "-ldflags"])
                .arg(&self.linker_flags)
                .arg("-o")
                .arg(format!("{}/", partial.display()))
                .args(&self.packages)
                .run()
                .await?;
            finish(&partial).await
        })
        .await?;
        fs::rename(&partial, &target).with_context(|| format!("cannot make {}", target.display()))?;
        remove_others(&target, &format!("{}-", self.name))?;
        Ok(target)
    }

    /// A call of `go` in the module's folder.
    pub(crate) fn go(&self, arguments: &[&str]) -> Command {
        let command = Command::new("go")
            .args(arguments)
            .folder(&self.folder)
            .env("GOWORK", "off");
        if self.pure {
            command.env("CGO_ENABLED", "0")
        } else {
            command
        }
    }

    fn names(&self) -> String {
        let name = |package: &'_ String| match package.rsplit('/').next() {
            None | Some(".") => self.name.to_owned(),
            Some(name) => name.to_owned(),
        };
        self.packages.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// # Errors
/// Where Go is missing.
pub(crate) fn ensure_go() -> anyhow::Result<()> {
    anyhow::ensure!(
        command::exists("go"),
        "the Go toolchain is missing: install Go 1.26 or newer, with `go` in PATH (Debian's own is too old)"
    );
    Ok(())
}

/// Runs a step that may take minutes: says from time to time that it goes on.
pub(crate) async fn step<T>(
    progress: &Progress,
    text: impl AsRef<str>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let text = text.as_ref();
    let begun = Instant::now();
    let pulse = async {
        loop {
            tokio::time::sleep(PULSE).await;
            progress.say(format!("still {text} ({} so far)", seconds(begun.elapsed())));
        }
    };
    progress
        .step(text, async {
            tokio::select! {
                result = work => result,
                () = pulse => unreachable!("it has no end"),
            }
        })
        .await
}

/// Short digest of a list of contents: 16 hexadecimal digits of SHA-256.
pub(crate) fn digest<'a>(contents: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for content in contents {
        context.update(&(content.len() as u64).to_be_bytes());
        context.update(content);
    }
    context.finish().as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The files that a module is built from, in a fixed order.
fn source_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(
                path.extension().and_then(|e| e.to_str()),
                Some("go" | "mod" | "sum")
            ) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Removes a folder with all in it; one that is not there is fine.
pub(crate) fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Removes what an earlier version left beside `kept`: entries whose names begin with `prefix`.
pub(crate) fn remove_others(kept: &Path, prefix: &str) -> anyhow::Result<()> {
    let parent = kept.parent().context("a cached file lies in a folder")?;
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(prefix));
        if ours && path != kept {
            if path.is_dir() {
                remove_folder(&path)?
            } else {
                fs::remove_file(&path)?
            }
        }
    }
    Ok(())
}

/// Makes `link` a symbolic link to `target`, whatever it was before.
pub(crate) fn link_program(target: &Path, link: &Path) -> anyhow::Result<()> {
    let fresh = link.with_extension("new");
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)
        .and_then(|()| fs::rename(&fresh, link))
        .with_context(|| format!("cannot make the link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(folder: &Path) -> GoModule {
        GoModule {
            name: "test",
            folder: folder.to_owned(),
            packages: vec!["example.test/cmd/one".into(), "./cmd/two".into()],
            linker_flags: String::new(),
            pure: true,
        }
    }

    #[test]
    fn the_key_changes_with_the_sums_and_the_flags_and_not_with_other_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("go.sum"), "a").unwrap();
        let first = module(folder.path()).key().unwrap();
        fs::write(folder.path().join("README.md"), "text").unwrap();
        assert_eq!(module(folder.path()).key().unwrap(), first);
        let flagged = GoModule {
            linker_flags: "-s".into(),
            ..module(folder.path())
        };
        assert_ne!(flagged.key().unwrap(), first);
        fs::write(folder.path().join("go.sum"), "b").unwrap();
        assert_ne!(module(folder.path()).key().unwrap(), first);
    }

    #[test]
    fn contents_that_join_alike_have_different_digests() {
        assert_ne!(digest([b"ab".as_slice(), b"c"]), digest([b"a".as_slice(), b"bc"]));
    }

    #[test]
    fn older_versions_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tool-1", "tool-2", "other-1"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        remove_others(&folder.path().join("tool-2"), "tool-").unwrap();
        assert!(!folder.path().join("tool-1").exists());
        assert!(folder.path().join("tool-2").exists() && folder.path().join("other-1").exists());
    }

    #[test]
    fn programs_are_named_after_their_packages() {
        assert_eq!(module(Path::new("/")).names(), "one, two");
    }
}
