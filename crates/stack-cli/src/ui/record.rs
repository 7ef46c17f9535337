//! Run records: what an apply or destroy says, kept beside the state line by line as it happens.
//!
//! A record is what `--json` gives, between a first line that says who ran what and a last one that says how it ended. A run that
//! is killed leaves the lines up to there. A record never counts as part of the state, and no failure to write one
//! fails the run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use stack_core::SourceMap;
use stack_engine::event::{Event, Events};

use super::Progress;
use super::json;

/// Folder of the records, in that of the state.
const FOLDER: &str = "runs";
/// Ending of their names.
const ENDING: &str = ".jsonl";
/// Records that are kept; older ones go.
const KEPT: usize = 100;

/// Where the records of a state lie.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// Names of all records, the newest first.
pub(crate) fn names(state: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder(state)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(ENDING))
                .map(str::to_owned),
        );
    }
    // Names begin with the time.
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// The lines of a record.
pub(crate) fn read(state: &Path, name: &str) -> io::Result<String> {
    fs::read_to_string(folder(state).join(format!("{name}{ENDING}")))
}

/// A record that is being written.
pub(crate) struct Record {
    file: Mutex<Result<File, String>>,
}

impl Record {
    /// Begins the record of a run that began at `since` (RFC 3339), with its first line.
    pub(crate) fn begin(state: &Path, since: &str, first: &str) -> Self {
        let file = Self::make(state, since).map_err(|error| error.to_string());
        let record = Self {
            file: Mutex::new(file),
        };
        record.add(first);
        record
    }

    fn make(state: &Path, since: &str) -> io::Result<File> {
        let folder = folder(state);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for name in names(state)?.iter().skip(KEPT - 1) {
            fs::remove_file(folder.join(format!("{name}{ENDING}")))?;
        }
        let random = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{}-{}{ENDING}", since.replace(':', ""), &random[..4]);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(name))
    }

    /// Adds whole lines. After a failure nothing more is written.
    pub(crate) fn add(&self, lines: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(open) = &mut *file
            && let Err(error) = open.write_all(lines.as_bytes())
        {
            *file = Err(error.to_string());
        }
    }

    /// Why the record is not whole, if it is not.
    pub(crate) fn failure(&self) -> Option<String> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_ref().err().cloned()
    }
}

/// Puts every event on record and passes it on.
pub(crate) struct RecordedEvents {
    pub(crate) shown: Arc<dyn Progress>,
    pub(crate) record: Arc<Record>,
    pub(crate) sources: SourceMap,
}

impl Events for RecordedEvents {
    fn event(&self, event: Event) {
        // What is shown while it lasts is worth nothing later.
        if !matches!(event, Event::Progress { .. }) {
            self.record.add(&json::event_line(&event, &self.sources));
        }
        self.shown.event(event);
    }
}

impl Progress for RecordedEvents {
    fn finish(&self) {
        self.shown.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_newest_records_are_kept_and_nobody_else_reads_them() {
        let state = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 3 {
            let since = format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60);
            let record = Record::begin(state.path(), &since, "first\n");
            record.add("second\n");
            assert_eq!(record.failure(), None);
        }
        let names = names(state.path()).unwrap();
        assert_eq!(names.len(), KEPT);
        assert!(names[0].starts_with("2026-01-01T000142Z-"), "{}", names[0]);
        assert!(
            names[KEPT - 1].starts_with("2026-01-01T000003Z-"),
            "{}",
            names[KEPT - 1]
        );
        assert_eq!(read(state.path(), &names[0]).unwrap(), "first\nsecond\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder(state.path())), 0o700);
        assert_eq!(
            mode(&folder(state.path()).join(format!("{}{ENDING}", names[0]))),
            0o600
        );
    }

    #[test]
    fn a_record_that_cannot_be_written_says_so_and_harms_nothing() {
        let state = tempfile::tempdir().unwrap();
        fs::write(folder(state.path()), "in the way").unwrap();
        let record = Record::begin(state.path(), "2026-01-01T00:00:00Z", "first\n");
        record.add("second\n");
        assert!(record.failure().is_some());
    }
}
