//! States in a folder of this machine.
//!
//! `PATH/ENVIRONMENT/` holds the snapshot (`state.json`), the journals (`journal-EPOCH.log`), what was kept aside
//! (`journal-EPOCH.torn`, `journal-EPOCH.fenced`, `NAME.damaged`), and the lock file. The lock is the kernel's lock on that file
//! (`flock(2)`), which ends with the process; the text in it says who holds it and which epoch it has raised.
//!
//! # Fencing
//! A holder can be superseded while it lives: [`Local::supersede`] puts another lock file in the place of the one that
//! it has locked. It may be stopped anywhere then, also between a look at the lock and the write that follows, and go
//! on later. Nothing that it writes then counts:
//! - A file is made under a name of the epoch, and the lock is looked at again before anything is written to it. Had
//!   the lock been lost before, the look says so. Is it lost after, the new holder finds the file.
//! - The new holder removes the snapshots that others are writing (`state-EPOCH.new`) before it reads: their rename fails.
//!   It folds journals of others into a snapshot of its own epoch and removes them: what is appended then goes nowhere.
//! - What the new holder did not see is not acknowledged: the lock is looked at once more after the sync.
//! - A snapshot of a later epoch decides over a journal of an earlier one (`stack_state::load`).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stack_state::load::{Aside, SNAPSHOT_NAME, Stored, TornEnd, journal_name};

use super::{Backend, BackendError, Holder, Writer};

const LOCK_NAME: &str = "lock";

/// How often a lock that another holds is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// How often a read starts again because a writer replaced the snapshot meanwhile.
const READ_ATTEMPTS: usize = 20;

/// How many names are tried for a file that is kept aside.
const ASIDE_NAMES: usize = 1000;

/// The folder of one environment.
#[derive(Clone)]
pub struct Local {
    folder: PathBuf,
    #[cfg(test)]
    watch: Option<Arc<dyn Fn(Step) + Send + Sync>>,
}

/// Points between which a writer may be stopped; tests stop it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Locked,
    Recorded,
    Fenced,
    Checked,
    JournalMade,
    FrameWritten,
    FrameSynced,
    AsideWritten,
    SnapshotMade,
    SnapshotWritten,
    SnapshotReplaced,
    JournalRemoved,
}

/// Whether a lock is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// By nobody.
    Free {
        /// Who held it last, as far as is known.
        last: Option<Holder>,
    },
    /// By a process that lives.
    By {
        /// Who, as far as is known.
        holder: Option<Holder>,
    },
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

/// Name of a snapshot that the holder of an epoch is writing.
fn unfinished_name(epoch: u64) -> String {
    format!("state-{epoch}.new")
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
            #[cfg(test)]
            watch: None,
        }
    }

    #[cfg(test)]
    fn watched(mut self, watch: impl Fn(Step) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests are told the step"))]
    fn at(&self, _step: Step) {
        #[cfg(test)]
        if let Some(watch) = &self.watch {
            watch(_step);
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
        self.of_epochs(&journal_name)
    }

    /// Snapshots that were not finished, by the epoch of their writer.
    fn unfinished(&self) -> Result<BTreeMap<u64, PathBuf>, BackendError> {
        self.of_epochs(&unfinished_name)
    }

    /// Files whose names say an epoch.
    fn of_epochs(&self, name_of: &dyn Fn(u64) -> String) -> Result<BTreeMap<u64, PathBuf>, BackendError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(failed("list", &self.folder)(e)),
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
            // Only names that this version makes: `journal-007.log` is not one.
            if let Some(epoch) = digits.parse().ok().filter(|epoch| name_of(*epoch) == name) {
                found.insert(epoch, path);
            }
        }
        Ok(found)
    }

    /// The highest epoch that anything in the folder speaks of.
    fn highest_epoch(&self) -> Result<u64, BackendError> {
        let last = |found: BTreeMap<u64, PathBuf>| found.last_key_value().map_or(0, |(epoch, _)| *epoch);
        Ok(last(self.journals()?)
            .max(last(self.unfinished()?))
            .max(self.lock_record().map_or(0, |r| r.epoch)))
    }

    fn lock_path(&self) -> PathBuf {
        self.folder.join(LOCK_NAME)
    }

    /// Who holds the lock now.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn held(&self) -> Result<Held, BackendError> {
        let record = self.lock_record().map(|r| r.holder);
        if read_if_there(&self.lock_path())?.is_none() {
            return Ok(Held::Free { last: None });
        }
        // The kernel gives the lock back when the file is closed at the end of this.
        Ok(match self.try_lock()? {
            Some(_) => Held::Free { last: record },
            None => Held::By { holder: record },
        })
    }

    /// Takes the lock away from whoever holds it, alive or not, and raises the epoch: nothing that a former holder
    /// writes from now on counts. The former holder is not ended.
    ///
    /// # Errors
    /// The lock file cannot be written.
    pub fn supersede(&self, holder: &Holder) -> Result<u64, BackendError> {
        let record = LockRecord {
            epoch: self.highest_epoch()? + 1,
            holder: holder.clone(),
        };
        let (path, new) = (
            self.lock_path(),
            self.folder
                .join(format!("{LOCK_NAME}-{}.new", std::process::id())),
        );
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(&serde_json::to_vec(&record).unwrap_or_default())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            drop(fs::remove_file(&new));
            return Err(failed("replace", &path)(error));
        }
        sync_folder(&self.folder)?;
        Ok(record.epoch)
    }

    fn lock_record(&self) -> Option<LockRecord> {
        serde_json::from_slice(&fs::read(self.lock_path()).ok()?).ok()
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
        self.at(Step::Locked);
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

    /// Whether the lock is still this writer's. The kernel's lock cannot be taken away, but the file can be replaced
    /// ([`Local::supersede`]) or removed; and shared folders may not keep locks: then another writer's record stands there.
    fn check_lock(&self) -> Result<(), BackendError> {
        let path = self.place.lock_path();
        let mut record = vec![0; self.record.len() + 1];
        let same_file = || -> io::Result<bool> {
            let (own, named) = (self.lock.metadata()?, fs::metadata(&path)?);
            Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
        };
        let same_record = |record: &mut [u8]| -> io::Result<bool> {
            let read = self.lock.read_at(record, 0)?;
            Ok(record[..read] == *self.record)
        };
        match same_file().and_then(|same| Ok(same && same_record(&mut record)?)) {
            Ok(true) => {
                self.place.at(Step::Checked);
                Ok(())
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("read", &path)(e)),
            Ok(false) | Err(_) => Err(self.lost()),
        }
    }

    fn lost(&self) -> BackendError {
        BackendError::LockLost {
            holder: self.place.lock_record().map(|r| r.holder),
        }
    }

    /// Writes a file that is kept aside, under a name that nothing has yet.
    fn write_aside(&mut self, name: &str, bytes: &[u8]) -> Result<String, BackendError> {
        self.guarded(|this| {
            this.check_lock()?;
            let mut path = this.place.folder.join(name);
            let mut open = OpenOptions::new();
            open.write(true).create_new(true).mode(0o600);
            let mut number = 1;
            let mut file = loop {
                match open.open(&path) {
                    Ok(file) => break file,
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists && number < ASIDE_NAMES => {
                        // Kept already, by a command that ended before it got further.
                        if fs::read(&path).is_ok_and(|kept| kept == bytes) {
                            return Ok(path.display().to_string());
                        }
                        number += 1;
                        path = this.place.folder.join(format!("{name}-{number}"));
                    }
                    Err(e) => return Err(failed("make", &path)(e)),
                }
            };
            if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
                drop(fs::remove_file(&path));
                return Err(failed("write", &path)(error));
            }
            this.place.at(Step::AsideWritten);
            sync_folder(&this.place.folder)?;
            Ok(path.display().to_string())
        })
    }

    /// Writes the snapshot under the name of the epoch and renames it.
    fn put_snapshot(&self, new: &Path, snapshot: &[u8]) -> Result<(), BackendError> {
        let path = self.place.snapshot();
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(new)
            .map_err(failed("make", new))?;
        self.place.at(Step::SnapshotMade);
        self.check_lock()?;
        file.write_all(snapshot)
            .and_then(|()| file.sync_all())
            .map_err(failed("write", new))?;
        self.place.at(Step::SnapshotWritten);
        match fs::rename(new, &path) {
            Ok(()) => {}
            // Whoever has the lock now has removed it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(self.lost()),
            Err(e) => return Err(failed("replace", &path)(e)),
        }
        self.place.at(Step::SnapshotReplaced);
        sync_folder(&self.place.folder)
    }
}

fn remove_if_there(path: &Path) -> Result<(), BackendError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Writer for LocalWriter {
    fn begin(&mut self, after: u64) -> Result<u64, BackendError> {
        self.guarded(|this| {
            this.epoch = after.max(this.place.highest_epoch()?) + 1;
            let record = LockRecord {
                epoch: this.epoch,
                holder: this.holder.clone(),
            };
            this.record = serde_json::to_vec(&record).unwrap_or_default();
            let path = this.place.lock_path();
            this.lock
                .write_all_at(&this.record, 0)
                .and_then(|()| this.lock.set_len(this.record.len() as u64))
                .and_then(|()| this.lock.sync_all())
                .map_err(failed("write", &path))?;
            this.place.at(Step::Recorded);
            this.check_lock()?;
            let others = this.place.unfinished()?;
            for path in others.values() {
                remove_if_there(path)?;
            }
            if !others.is_empty() {
                sync_folder(&this.place.folder)?;
            }
            this.place.at(Step::Fenced);
            Ok(this.epoch)
        })
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        self.guarded(|this| {
            this.check_lock()?;
            let path = this.place.folder.join(journal_name(this.epoch));
            if this.journal.is_none() {
                let file = OpenOptions::new()
                    .append(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(failed("make", &path))?;
                sync_folder(&this.place.folder)?;
                this.place.at(Step::JournalMade);
                this.check_lock()?;
                this.journal = Some(file);
            }
            let mut journal = this.journal.as_ref().ok_or(BackendError::Ended)?;
            journal.write_all(frame).map_err(failed("write", &path))?;
            this.place.at(Step::FrameWritten);
            journal.sync_data().map_err(failed("sync", &path))?;
            this.place.at(Step::FrameSynced);
            // Whoever took the lock meanwhile may have read the journal before this frame was there.
            this.check_lock()
        })
    }

    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError> {
        let kind = match end.why {
            Aside::Torn => "torn",
            Aside::Fenced => "fenced",
        };
        self.write_aside(&format!("journal-{}.{kind}", end.epoch), &end.bytes)
    }

    fn keep_copy(&mut self, name: &str, bytes: &[u8]) -> Result<String, BackendError> {
        self.write_aside(&format!("{name}.damaged"), bytes)
    }

    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError> {
        self.guarded(|this| {
            this.check_lock()?;
            let new = this.place.folder.join(unfinished_name(this.epoch));
            if let Err(error) = this.put_snapshot(&new, snapshot) {
                // A full disk gets its space back; the name is of this epoch, so nobody else's file goes.
                drop(fs::remove_file(&new));
                return Err(error);
            }
            // From here on the journals are history: a crash leaves files that the next reader skips. Journals of a
            // later epoch are of whoever has the lock by now.
            this.journal = None;
            for (_, path) in this.place.journals()?.range(..=this.epoch) {
                remove_if_there(path)?;
                this.place.at(Step::JournalRemoved);
            }
            sync_folder(&this.place.folder)
        })
    }
}

#[cfg(test)]
mod takeover;
#[cfg(test)]
mod tests;
