//! The only door to files: everything this crate reads passes through [`Sources`].

use std::collections::BTreeMap;

/// One member of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name without the folder.
    pub name: String,
    /// Whether it is a folder itself (symbolic links are followed).
    pub folder: bool,
}

/// Files as seen from the folder the command runs in. Paths use `/`; relative paths start there.
pub trait Sources: Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read, as a lower case fragment without the path.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The members of a folder, sorted by name.
    ///
    /// # Errors
    /// Why it cannot be listed, as a lower case fragment without the path.
    fn list(&self, dir: &str) -> Result<Vec<Entry>, String>;

    /// The absolute path of the folder that relative paths start in.
    fn current_folder(&self) -> String {
        "/".to_owned()
    }

    /// The home folder of the user, for `~` in paths; `None` where there is none.
    fn home_folder(&self) -> Option<String> {
        None
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySources {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemorySources {
    /// No files.
    pub const fn new() -> Self {
        Self {
            files: BTreeMap::new(),
        }
    }

    /// Adds a file; its folders come with it.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(clean(path), content.into());
        self
    }
}

/// The path without `.` and `..` steps and without a leading `./`.
fn clean(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|s| *s != "..") => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", steps.join("/"))
}

impl Sources for MemorySources {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files
            .get(&clean(path))
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        let dir = clean(dir);
        let prefix = match dir.as_str() {
            "" | "/" => dir.clone(),
            dir => format!("{dir}/"),
        };
        let mut entries: BTreeMap<&str, bool> = BTreeMap::new();
        for path in self.files.keys() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            if prefix.is_empty() && path.starts_with('/') {
                continue;
            }
            match rest.split_once('/') {
                Some((folder, _)) => entries.insert(folder, true),
                None => entries.insert(rest, false),
            };
        }
        if entries.is_empty() && !dir.is_empty() {
            return Err("no such folder".to_owned());
        }
        Ok(entries
            .into_iter()
            .map(|(name, folder)| Entry {
                name: name.to_owned(),
                folder,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_lists_files_and_folders() {
        let sources = MemorySources::new()
            .with("a/b.hcl", "x")
            .with("./a/c/d.txt", "y")
            .with("e.hcl", "z");
        let names = |dir: &str| -> Vec<(String, bool)> {
            sources
                .list(dir)
                .unwrap()
                .into_iter()
                .map(|e| (e.name, e.folder))
                .collect()
        };
        assert_eq!(names("."), [("a".to_owned(), true), ("e.hcl".to_owned(), false)]);
        assert_eq!(names("a"), [("b.hcl".to_owned(), false), ("c".to_owned(), true)]);
        assert_eq!(sources.read("a/../a/c/d.txt").unwrap(), b"y");
        assert!(sources.read("nope").is_err());
        assert!(sources.list("nope").is_err());
    }
}
