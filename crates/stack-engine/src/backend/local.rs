//! States in a folder of this machine.
//!
//! `PATH/ENVIRONMENT/` holds the snapshot (`state.json`), the journals (`journal-EPOCH.log`), torn ends of journals
//! kept aside (`journal-EPOCH.torn`), and the lock file. The lock is the kernel's lock on that file (`flock(2)`), which
//! ends with the process; the text in it says who holds it and which epoch it has raised.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stack_state::load::{SNAPSHOT_NAME, Stored, TornEnd, journal_name};

use super::{Backend, BackendError, Holder, Writer};

const LOCK_NAME: &str = "lock";

/// How often a lock that another holds is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// How often a read starts again because a writer replaced the snapshot meanwhile.
const READ_ATTEMPTS: usize = 20;

/// The folder of one environment.
#[derive(Clone, Debug)]
pub struct Local {
    folder: PathBuf,
}

/// What the lock file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockRecord {
    epoch: u64,
    holder: Holder,
}

fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> BackendError + use<'p> {
    move |source| BackendError::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, BackendError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", path)(e)),
    }
}

/// A sync of a folder makes the names in it durable.
fn sync_folder(folder: &Path) -> Result<(), BackendError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(failed("sync", folder))
}

impl Local {
    /// The environment's folder under `path`. Nothing is made before something is written.
    pub fn new(path: &Path, environment: &str) -> Self {
        Self {
            folder: path.join(environment),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn snapshot(&self) -> PathBuf {
        self.folder.join(SNAPSHOT_NAME)
    }

    /// Journals by epoch.
    fn journals(&self) -> Result<BTreeMap<u64, PathBuf>, BackendError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(failed("list", &self.folder)(e)),
        };
        let mut journals = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let epoch = name.strip_prefix("journal-").and_then(|n| n.strip_suffix(".log"));
            // Only names that this version makes: `journal-007.log` is not one.
            if let Some(epoch) = epoch
                .and_then(|e| e.parse().ok())
                .filter(|e| journal_name(*e) == name)
            {
                journals.insert(epoch, path);
            }
        }
        Ok(journals)
    }

    fn lock_record(&self) -> Option<LockRecord> {
        serde_json::from_slice(&fs::read(self.folder.join(LOCK_NAME)).ok()?).ok()
    }

    /// Opens and locks the lock file; `None` if another holds it.
    fn try_lock(&self) -> Result<Option<File>, BackendError> {
        let path = self.folder.join(LOCK_NAME);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(failed("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(failed("lock", &path)(e)),
            }
            // A file that was removed in between is locked for nobody else.
            let own = file.metadata().map_err(failed("read", &path))?;
            match fs::metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => return Ok(Some(file)),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed("read", &path)(e)),
            }
        }
    }
}

impl Backend for Local {
    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    fn read(&self) -> Result<Stored, BackendError> {
        let mut stored = Stored::default();
        for _ in 0..READ_ATTEMPTS {
            stored = Stored {
                snapshot: read_if_there(&self.snapshot())?,
                journals: BTreeMap::new(),
            };
            for (epoch, path) in self.journals()? {
                // A journal that is gone by now has been folded into a newer snapshot, which is noticed below.
                if let Some(bytes) = read_if_there(&path)? {
                    stored.journals.insert(epoch, bytes);
                }
            }
            if read_if_there(&self.snapshot())? == stored.snapshot {
                break;
            }
        }
        Ok(stored)
    }

    fn lock(&self, holder: &Holder, timeout: Duration) -> Result<Box<dyn Writer>, BackendError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed("make", &self.folder))?;
        let start = Instant::now();
        let lock = loop {
            if let Some(file) = self.try_lock()? {
                break file;
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(BackendError::Locked {
                    holder: self.lock_record().map(|r| r.holder),
                });
            }
            std::thread::sleep(left.min(LOCK_INTERVAL));
        };
        Ok(Box::new(LocalWriter {
            place: self.clone(),
            holder: holder.clone(),
            lock,
            record: Vec::new(),
            epoch: 0,
            journal: None,
            ended: false,
        }))
    }
}

struct LocalWriter {
    place: Local,
    holder: Holder,
    lock: File,
    /// What the lock file must hold for this writer to have the lock.
    record: Vec<u8>,
    epoch: u64,
    journal: Option<File>,
    ended: bool,
}

impl LocalWriter {
    /// Ends writing for good unless `step` succeeds.
    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        if self.ended {
            return Err(BackendError::Ended);
        }
        self.ended = true;
        let done = step(self)?;
        self.ended = false;
        Ok(done)
    }

    /// The kernel's lock cannot be taken away on one machine, but the file can be removed, and shared folders may not
    /// keep locks: then another writer's record stands there, with a higher epoch.
    fn check_lock(&self) -> Result<(), BackendError> {
        let path = self.place.folder.join(LOCK_NAME);
        match read_if_there(&path)? {
            Some(bytes) if bytes == self.record => Ok(()),
            _ => Err(BackendError::LockLost {
                holder: self.place.lock_record().map(|r| r.holder),
            }),
        }
    }
}

impl Writer for LocalWriter {
    fn begin(&mut self, after: u64) -> Result<u64, BackendError> {
        self.guarded(|this| {
            let stored = this.place.lock_record().map_or(0, |r| r.epoch);
            let journals = this
                .place
                .journals()?
                .last_key_value()
                .map_or(0, |(epoch, _)| *epoch);
            this.epoch = after.max(stored).max(journals) + 1;
            let record = LockRecord {
                epoch: this.epoch,
                holder: this.holder.clone(),
            };
            this.record = serde_json::to_vec(&record).unwrap_or_default();
            let path = this.place.folder.join(LOCK_NAME);
            this.lock
                .set_len(0)
                .and_then(|()| (&this.lock).write_all(&this.record))
                .and_then(|()| this.lock.sync_all())
                .map_err(failed("write", &path))?;
            Ok(this.epoch)
        })
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        self.guarded(|this| {
            this.check_lock()?;
            let path = this.place.folder.join(journal_name(this.epoch));
            let journal = match &this.journal {
                Some(file) => file,
                None => {
                    let file = OpenOptions::new()
                        .append(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(&path)
                        .map_err(failed("make", &path))?;
                    sync_folder(&this.place.folder)?;
                    this.journal.insert(file)
                }
            };
            let mut journal: &File = journal;
            journal.write_all(frame).map_err(failed("write", &path))?;
            journal.sync_data().map_err(failed("sync", &path))
        })
    }

    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError> {
        let path = self.place.folder.join(format!("journal-{}.torn", end.epoch));
        self.guarded(|this| {
            this.check_lock()?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed("make", &path))?;
            file.write_all(&end.bytes)
                .and_then(|()| file.sync_all())
                .map_err(failed("write", &path))?;
            sync_folder(&this.place.folder)
        })?;
        Ok(path.display().to_string())
    }

    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError> {
        self.guarded(|this| {
            this.check_lock()?;
            let (path, new) = (
                this.place.snapshot(),
                this.place.folder.join(format!("{SNAPSHOT_NAME}.new")),
            );
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)
                .map_err(failed("make", &new))?;
            file.write_all(snapshot)
                .and_then(|()| file.sync_all())
                .map_err(failed("write", &new))?;
            fs::rename(&new, &path).map_err(failed("replace", &path))?;
            sync_folder(&this.place.folder)?;
            // From here on the journals are history: a crash leaves files that the next reader skips.
            this.journal = None;
            for path in this.place.journals()?.into_values() {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
            sync_folder(&this.place.folder)
        })
    }
}

#[cfg(test)]
mod tests;
