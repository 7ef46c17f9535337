//! Digests by which cached programs and images are told apart.

use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::digest::{Context as Digest, SHA256};

/// The first 16 hexadecimal digits of a SHA-256 over the contents of `files`, in the order given.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn of_files(files: &[impl AsRef<Path>]) -> anyhow::Result<String> {
    let mut digest = Digest::new(&SHA256);
    for file in files {
        let file = file.as_ref();
        let content = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        // The length keeps two files from being taken for one.
        digest.update(&content.len().to_le_bytes());
        digest.update(&content);
    }
    Ok(digest.finish().as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_file_ends_and_the_next_begins_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let first = of_files(&[file("a", "ab"), file("b", "c")]).unwrap();
        let second = of_files(&[file("a", "a"), file("b", "bc")]).unwrap();
        assert_ne!(first, second);
        assert_eq!(second, of_files(&[file("a", "a"), file("b", "bc")]).unwrap());
        assert_eq!(second.len(), 16);
    }
}
