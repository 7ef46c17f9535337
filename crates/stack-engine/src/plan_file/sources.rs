//! Files as they were when a plan was made.

use std::collections::BTreeMap;

use stack_config::Sources;
use stack_config::sources::Entry;

/// Every file and folder that was read, with what the reading gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedSources {
    /// Files by the path they were asked for by.
    pub files: BTreeMap<String, Result<Vec<u8>, String>>,
    /// Folders by the path they were asked for by.
    pub folders: BTreeMap<String, Result<Vec<Entry>, String>>,
    /// The folder that relative paths start in.
    pub current_folder: String,
    /// The home folder.
    pub home_folder: Option<String>,
}

impl SavedSources {
    /// Whether a file of configuration holds this word.
    pub fn mention(&self, word: &str) -> bool {
        let mut texts = self.files.iter().filter(|(path, _)| path.ends_with(".hcl"));
        texts.any(|(_, text)| {
            let bytes = text.as_deref().unwrap_or_default();
            bytes
                .windows(word.len().max(1))
                .any(|part| part == word.as_bytes())
        })
    }
}

impl Sources for SavedSources {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let unread = || Err("it was not read when the plan was made; make a new plan".to_owned());
        self.files.get(path).cloned().unwrap_or_else(unread)
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        let unread = || Err("it was not listed when the plan was made; make a new plan".to_owned());
        self.folders.get(dir).cloned().unwrap_or_else(unread)
    }

    fn current_folder(&self) -> String {
        self.current_folder.clone()
    }

    fn home_folder(&self) -> Option<String> {
        self.home_folder.clone()
    }
}
