//! Files of this machine, as the language reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use stack_config::Sources;
use stack_config::sources::Entry;

/// Reads through `std::fs` and remembers what it has read, so that a plan file can hold all of it and so that one
/// command sees one version of every file.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Mutex<BTreeMap<String, Result<Vec<u8>, String>>>,
    folders: Mutex<BTreeMap<String, Result<Vec<Entry>, String>>>,
}

impl Disk {
    /// Everything that was read so far, by the path it was asked for by.
    pub(crate) fn files(&self) -> BTreeMap<String, Result<Vec<u8>, String>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every folder that was listed so far.
    pub(crate) fn folders(&self) -> BTreeMap<String, Result<Vec<Entry>, String>> {
        self.folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Why a file cannot be read, without its path.
pub(crate) fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        std::io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}

fn list(dir: &str) -> Result<Vec<Entry>, String> {
    let mut entries = BTreeSet::new();
    for entry in
        std::fs::read_dir(Path::new(if dir.is_empty() { "." } else { dir })).map_err(|e| cause(&e))?
    {
        let entry = entry.map_err(|e| cause(&e))?;
        // A name that is no text cannot be written in a configuration either.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        entries.insert(Entry {
            name,
            folder: entry.path().is_dir(),
        });
    }
    Ok(entries.into_iter().collect())
}

impl Sources for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files
            .entry(path.to_owned())
            .or_insert_with(|| std::fs::read(path).map_err(|e| cause(&e)))
            .clone()
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.entry(dir.to_owned()).or_insert_with(|| list(dir)).clone()
    }

    fn current_folder(&self) -> String {
        std::env::current_dir().map_or_else(|_| "/".to_owned(), |folder| folder.display().to_string())
    }

    fn home_folder(&self) -> Option<String> {
        std::env::var("HOME").ok().filter(|home| !home.is_empty())
    }
}
