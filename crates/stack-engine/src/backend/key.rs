//! Where the key of a state comes from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use stack_core::Secret;
use stack_core::codec::SealError;
use stack_state::key::{KEY_LENGTH, KeyMaterial, KeySource, parse_key, render_key};
use zeroize::Zeroizing;

/// What the command line and the environment say about the key. The first that is given counts, in this order.
#[derive(Clone, Debug, Default)]
pub struct KeyInputs {
    /// `STACK_STATE_KEY`: 32 bytes in base64.
    pub key: Option<Secret<String>>,
    /// `STACK_STATE_PASSPHRASE`.
    pub passphrase: Option<Secret<String>>,
    /// A key file that is named.
    pub file: Option<PathBuf>,
    /// Key file under the user's configuration folder, used if it is there.
    pub default_file: Option<PathBuf>,
    /// A person is there: the default file is made if it is needed and missing.
    pub terminal: bool,
}

impl KeySource for KeyInputs {
    fn key(&self) -> Result<KeyMaterial, SealError> {
        if let Some(key) = &self.key {
            return parse_key(key.expose());
        }
        if let Some(passphrase) = &self.passphrase {
            return Ok(KeyMaterial::Passphrase(Zeroizing::new(
                passphrase.expose().clone(),
            )));
        }
        if let Some(file) = &self.file {
            return read(file)?.ok_or_else(|| bad(file, "it does not exist"));
        }
        let Some(file) = &self.default_file else {
            return Err(SealError::NoKey);
        };
        match read(file)? {
            Some(key) => Ok(key),
            None if self.terminal => make(file),
            None => Err(SealError::NoKey),
        }
    }
}

fn bad(file: &Path, reason: &str) -> SealError {
    SealError::BadKey {
        reason: format!("{}: {reason}", file.display()),
    }
}

/// Reads a key file; `None` if there is none.
fn read(file: &Path) -> Result<Option<KeyMaterial>, SealError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(bad(file, &e.to_string())),
    };
    let mode = fs::metadata(file)
        .map_err(|e| bad(file, &e.to_string()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(bad(
            file,
            "others can read it; run `chmod 600` on it, or replace the key",
        ));
    }
    parse_key(&text).map(Some).map_err(|e| match e {
        SealError::BadKey { reason } => bad(file, &reason),
        other => other,
    })
}

/// Makes a key file, unless another process does at the same moment.
fn make(file: &Path) -> Result<KeyMaterial, SealError> {
    let failed = |e: io::Error| bad(file, &e.to_string());
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| bad(file, "no random numbers are to be had"))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    // Written under another name and then linked, so that nobody reads half a key.
    let new = folder.join(format!(".key-{}", std::process::id()));
    let text = Zeroizing::new(format!("{}\n", *render_key(&key)));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()))
        .and_then(|()| fs::hard_link(&new, file));
    let removed = fs::remove_file(&new);
    match written {
        Ok(()) => removed.map(|()| KeyMaterial::Bytes(key)).map_err(failed),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            read(file)?.ok_or_else(|| bad(file, "it vanished"))
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(default: &Path, terminal: bool) -> KeyInputs {
        KeyInputs {
            default_file: Some(default.to_owned()),
            terminal,
            ..KeyInputs::default()
        }
    }

    #[test]
    fn a_key_file_is_made_on_a_terminal_only_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stack/state.key");
        assert_eq!(inputs(&file, false).key(), Err(SealError::NoKey));
        let made = inputs(&file, true).key().unwrap();
        assert_eq!(inputs(&file, false).key().unwrap(), made);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_given_counts_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.key");
        let made = inputs(&file, true).key().unwrap();
        let text = render_key(&[7; KEY_LENGTH]);
        let given = KeyInputs {
            key: Some(Secret::new((*text).clone())),
            ..inputs(&file, true)
        };
        assert_ne!(given.key().unwrap(), made);
        let passphrase = KeyInputs {
            passphrase: Some(Secret::from("p")),
            ..inputs(&file, true)
        };
        assert!(matches!(passphrase.key().unwrap(), KeyMaterial::Passphrase(_)));
    }

    #[test]
    fn a_named_file_must_exist_be_private_and_hold_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k");
        let named = KeyInputs {
            file: Some(file.clone()),
            ..KeyInputs::default()
        };
        let message = |inputs: &KeyInputs| inputs.key().unwrap_err().to_string();
        assert!(message(&named).contains("does not exist"), "{}", message(&named));
        fs::write(&file, "canary").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            message(&named).contains("others can read it"),
            "{}",
            message(&named)
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(
            message(&named).contains("not base64") && !message(&named).contains("canary"),
            "{}",
            message(&named)
        );
    }
}
