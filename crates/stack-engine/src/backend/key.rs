//! Where the key of a state comes from.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use stack_core::Secret;
use stack_core::codec::SealError;
use stack_state::Salt;
use stack_state::key::{KEY_LENGTH, KeyMaterial, KeySource, RootKey, parse_key, render_key, root_key};
use zeroize::Zeroizing;

mod command;

/// What the command line and the environment say about the key. At most one of the first four is given; what is given but
/// empty is an error, for it is mostly a secret that a CI job was to have and has not.
#[derive(Clone, Debug, Default)]
pub struct KeyInputs {
    /// `STACK_STATE_KEY`: 32 bytes in base64.
    pub key: Option<Secret<String>>,
    /// `STACK_STATE_PASSPHRASE`.
    pub passphrase: Option<Secret<String>>,
    /// A key file that is named: `STACK_STATE_KEY_FILE`.
    pub file: Option<PathBuf>,
    /// `STACK_STATE_KEY_COMMAND`: program and arguments, separated by white space, that print the key in base64.
    pub command: Option<String>,
    /// Key file under the user's configuration folder, used if it is there.
    pub default_file: Option<PathBuf>,
    /// The default file is made if it is needed and missing: a person is there, or has asked for it.
    pub terminal: bool,
    /// The variables are those of a new key: `STACK_STATE_NEW_KEY` and so on.
    pub new: bool,
    /// What was found; asked for once, as a command may ask a person, and a passphrase takes long to derive a key from.
    pub found: Found,
}

/// A key that was asked for already.
#[derive(Clone, Default)]
pub struct Found {
    material: Arc<OnceLock<Result<KeyMaterial, SealError>>>,
    roots: Arc<Mutex<BTreeMap<[u8; 16], RootKey>>>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Found")
    }
}

impl KeySource for KeyInputs {
    fn key(&self) -> Result<KeyMaterial, SealError> {
        self.found.material.get_or_init(|| self.find()).clone()
    }

    fn root(&self, salt: &Salt) -> Result<RootKey, SealError> {
        let mut roots = self.found.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = roots.get(&salt.0) {
            return Ok(root.clone());
        }
        let root = root_key(&self.key()?, salt)?;
        roots.insert(salt.0, root.clone());
        Ok(root)
    }
}

impl KeyInputs {
    /// Whether a source is named, be it usable or not.
    pub fn is_named(&self) -> bool {
        !self.named().is_empty()
    }

    /// The variables that are set.
    fn named(&self) -> Vec<String> {
        let given = [
            ("KEY", self.key.is_some()),
            ("PASSPHRASE", self.passphrase.is_some()),
            ("KEY_FILE", self.file.is_some()),
            ("KEY_COMMAND", self.command.is_some()),
        ];
        let set = given.into_iter().filter(|(_, given)| *given);
        set.map(|(name, _)| self.variable(name)).collect()
    }

    fn variable(&self, name: &str) -> String {
        format!("STACK_STATE_{}{name}", if self.new { "NEW_" } else { "" })
    }

    fn find(&self) -> Result<KeyMaterial, SealError> {
        let named = self.named();
        if named.len() > 1 {
            let reason = format!("{} are all set; leave one of them", named.join(", "));
            return Err(SealError::BadKey { reason });
        }
        let of = |name: &str, error: SealError| match error {
            SealError::BadKey { reason } => SealError::BadKey {
                reason: format!("{}: {reason}", self.variable(name)),
            },
            other => other,
        };
        let empty = |name: &str| SealError::BadKey {
            reason: format!(
                "{} is set and empty; give it a value, or unset it",
                self.variable(name)
            ),
        };
        if let Some(key) = &self.key {
            let text = key.expose();
            return if text.trim().is_empty() {
                Err(empty("KEY"))
            } else {
                parse_key(text).map_err(|e| of("KEY", e))
            };
        }
        if let Some(passphrase) = &self.passphrase {
            let text = passphrase.expose();
            return if text.is_empty() {
                Err(empty("PASSPHRASE"))
            } else {
                Ok(KeyMaterial::Passphrase(Zeroizing::new(text.clone())))
            };
        }
        if let Some(command) = &self.command {
            return if command.trim().is_empty() {
                Err(empty("KEY_COMMAND"))
            } else {
                command::run(command, command::LIMIT).map_err(|e| of("KEY_COMMAND", e))
            };
        }
        if let Some(file) = &self.file {
            return if file.as_os_str().is_empty() {
                Err(empty("KEY_FILE"))
            } else {
                read(file)?.ok_or_else(|| bad(file, "it does not exist"))
            };
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
    fn two_keys_and_empty_ones_are_refused_by_name() {
        let of = |inputs: KeyInputs| inputs.find().unwrap_err().to_string();
        let both = of(KeyInputs {
            key: Some(Secret::from("canary")),
            command: Some("canary".to_owned()),
            ..KeyInputs::default()
        });
        assert!(
            both.contains("STACK_STATE_KEY, STACK_STATE_KEY_COMMAND are all set") && !both.contains("canary"),
            "{both}"
        );
        let empty = KeyInputs {
            new: true,
            ..KeyInputs::default()
        };
        for (inputs, name) in [
            (
                KeyInputs {
                    key: Some(Secret::from("")),
                    ..empty.clone()
                },
                "STACK_STATE_NEW_KEY is",
            ),
            (
                KeyInputs {
                    passphrase: Some(Secret::from("")),
                    ..empty.clone()
                },
                "STACK_STATE_NEW_PASSPHRASE is",
            ),
            (
                KeyInputs {
                    file: Some(PathBuf::new()),
                    ..empty.clone()
                },
                "STACK_STATE_NEW_KEY_FILE is",
            ),
            (
                KeyInputs {
                    command: Some(" ".to_owned()),
                    ..empty.clone()
                },
                "STACK_STATE_NEW_KEY_COMMAND is",
            ),
        ] {
            let message = of(inputs);
            assert!(message.contains(name) && message.contains("empty"), "{message}");
        }
        let short = of(KeyInputs {
            key: Some(Secret::from("Y2FuYXJ5")),
            ..KeyInputs::default()
        });
        assert!(
            short.contains("STACK_STATE_KEY: it has 6 bytes instead of 32"),
            "{short}"
        );
    }

    #[test]
    fn a_key_is_derived_once_for_a_salt() {
        let inputs = KeyInputs {
            passphrase: Some(Secret::from("p")),
            ..KeyInputs::default()
        };
        let (one, other) = (Salt([1; 16]), Salt([2; 16]));
        let root = inputs.root(&one).unwrap();
        assert_eq!(inputs.clone().root(&one).unwrap(), root);
        assert_ne!(inputs.root(&other).unwrap(), root);
        assert_eq!(inputs.found.roots.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_named_file_must_exist_be_private_and_hold_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k");
        let named = KeyInputs {
            file: Some(file.clone()),
            ..KeyInputs::default()
        };
        let message = |inputs: &KeyInputs| inputs.find().unwrap_err().to_string();
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
