//! Releases that a cut-off run of Helm has left pending.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use stack_kube::Kube;
use stack_provider::{Cx, ErrorKind, ProviderError};

use crate::Client;
use crate::program::classify;
use crate::record::{Record, newest};
use crate::release::Release;

/// A lock that a running Helm holds too: the child inherits it, so that it is free only when the child has ended, even
/// where we have died before it. The file names the revision that the last run on this machine was to make.
pub(crate) struct Turn {
    file: File,
    begun: Option<i64>,
}

impl Turn {
    /// Takes the lock of a release, waiting for a child of an earlier command to end.
    ///
    /// # Errors
    /// The lock cannot be made, the time is over, or the call was abandoned.
    pub(crate) async fn take(cx: &Cx, client: &Client, release: &Release) -> Result<Self, ProviderError> {
        let path = path(client, release);
        let failed = |e: std::io::Error| {
            let text = format!("the lock {} cannot be made", path.display());
            ProviderError::new(ErrorKind::InvalidArgument, text).source(e)
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = File::options();
        let mut file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            cx.progress("waiting for an earlier run of helm to end");
            cx.sleep(Duration::from_secs(1)).await?;
        }
        // Children inherit it.
        fcntl_setfd(&file, FdFlags::empty()).map_err(|e| failed(e.into()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let begun = text.trim().parse().ok();
        Ok(Self { file, begun })
    }

    /// Notes the revision that the coming run is to make.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(crate) fn begin(&mut self, revision: i64) -> Result<(), ProviderError> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(revision.to_string().as_bytes())
        };
        write()
            .map_err(|e| ProviderError::internal("the lock of the release cannot be written").source(e))?;
        self.begun = Some(revision);
        Ok(())
    }
}

fn path(client: &Client, release: &Release) -> PathBuf {
    let cluster = crate::values::digest_of(&client.access.key().into());
    let name = format!("{}-{}-{}.lock", &cluster[..16], release.namespace, release.name);
    client.program.home().join("locks").join(name)
}

/// What has to be done about a pending release before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cure {
    /// Nothing: go on.
    None,
    /// Remove it.
    Uninstall,
    /// Go back to this revision.
    Rollback(i64),
    /// Another Helm may be at work for so many seconds yet.
    Wait(i64),
}

/// `age` is the time since the record was written, `alone` whether no other Helm can be at work on it.
fn cure(record: &Record, age: Option<i64>, timeout: i64, alone: bool) -> Cure {
    if !record.is_pending() {
        return Cure::None;
    }
    let left = timeout - age.unwrap_or(0);
    if !alone && left > 0 {
        return Cure::Wait(left);
    }
    match (record.status.as_str(), record.good) {
        ("pending-upgrade" | "pending-rollback", Some(revision)) => Cure::Rollback(revision),
        _ => Cure::Uninstall,
    }
}

/// Brings a pending release into a state from which an upgrade works.
///
/// # Errors
/// Another Helm may still be at work on it, or the cure fails.
pub(crate) async fn cured(
    cx: &Cx,
    client: &Client,
    kube: &Kube,
    release: &Release,
    turn: &Turn,
    record: Option<Record>,
) -> Result<Option<Record>, ProviderError> {
    let Some(record) = record else { return Ok(None) };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let age = record
        .modified
        .map(|then| i64::try_from(now).unwrap_or(i64::MAX) - then);
    let target = release.target(client);
    let (args, what) = match cure(
        &record,
        age,
        i64::from(release.timeout),
        turn.begun == Some(record.revision),
    ) {
        Cure::None => return Ok(Some(record)),
        Cure::Wait(seconds) => {
            let text = format!(
                "release {} is {}: another helm may be at work on it; it counts as cut off in {seconds} s",
                release.name, record.status
            );
            return Err(ProviderError::new(ErrorKind::Conflict, text));
        }
        Cure::Uninstall => (target.uninstall(release), "helm uninstall"),
        Cure::Rollback(revision) => (target.rollback(release, revision), "helm rollback"),
    };
    cx.progress(&format!("{what}: the release was left {}", record.status));
    let ran = client.program.run(cx, &args, &target.environment(), b"").await?;
    if !ran.ok && !ran.stderr.contains("not found") {
        return Err(ProviderError::new(classify(&ran.stderr), ran.stderr).operation(what));
    }
    Ok(cx
        .bounded(newest(kube, &release.namespace, &release.name))
        .await??)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn record(status: &str, good: Option<i64>) -> Record {
        Record::for_tests(4, status, good, BTreeMap::new())
    }

    #[test]
    fn a_pending_release_has_a_cure() {
        for (status, good, alone, age, wanted) in [
            ("deployed", Some(4), true, 0, Cure::None),
            ("failed", Some(3), false, 0, Cure::None),
            ("pending-install", None, true, 0, Cure::Uninstall),
            ("pending-upgrade", Some(3), true, 0, Cure::Rollback(3)),
            ("pending-rollback", Some(2), true, 0, Cure::Rollback(2)),
            ("uninstalling", Some(3), true, 0, Cure::Uninstall),
            ("pending-upgrade", Some(3), false, 100, Cure::Wait(200)),
            ("pending-upgrade", Some(3), false, 301, Cure::Rollback(3)),
        ] {
            assert_eq!(
                cure(&record(status, good), Some(age), 300, alone),
                wanted,
                "{status}"
            );
        }
    }
}
