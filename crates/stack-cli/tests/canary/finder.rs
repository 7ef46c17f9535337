//! Looks for secrets in bytes, in every form in which they might lie there.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// Most that is unpacked of one compressed stream.
const UNPACKED: u64 = 64 << 20;

/// How often a stream inside a stream is unpacked.
const STREAMS: usize = 3;

/// A secret somewhere it must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leak {
    /// Which secret.
    pub(crate) canary: String,
    /// How it is written there.
    pub(crate) form: &'static str,
    /// Where.
    pub(crate) place: String,
}

/// Known secrets with all their spellings.
#[derive(Default)]
pub(crate) struct Finder {
    forms: Vec<(String, &'static str, Vec<u8>)>,
}

impl Finder {
    /// Looks for this secret too.
    pub(crate) fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 12, "{name} is too short to be told from chance");
        let mut add = |form, bytes: Vec<u8>| self.forms.push((name.to_owned(), form, bytes));
        add("in clear", secret.into());
        let json = serde_json::to_string(secret).unwrap();
        let json = &json[1..json.len() - 1];
        add("escaped for JSON", json.into());
        let html = json
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        add("escaped for JSON as in HTML", html.into());
        let debug = format!("{secret:?}");
        add("escaped for debugging", debug[1..debug.len() - 1].into());
        let percent = |kept: &[u8], space: &str| -> Vec<u8> {
            let one = |b: u8| match b {
                b' ' => space.to_owned(),
                b if b.is_ascii_alphanumeric() || kept.contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            };
            secret.bytes().map(one).collect::<String>().into()
        };
        add("encoded for an address", percent(b"-_.~", "%20"));
        add("encoded for a form", percent(b"-_.*", "+"));
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        add("in hexadecimal", hex.to_uppercase().into());
        add("in hexadecimal", hex.into());
        // Behind no, one or two other bytes the digits are different ones.
        for before in 0..3 {
            let padded = [&b"???"[..before], secret.as_bytes()].concat();
            let digits = BASE64_STANDARD_NO_PAD.encode(padded);
            let inner = &digits[(before * 8).div_ceil(6)..digits.len() - 1];
            add("in base64", inner.into());
            add("in base64", inner.replace('+', "-").replace('/', "_").into());
        }
        let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        add("in UTF-16", wide);
    }

    /// Every secret in these bytes and in compressed streams among them.
    pub(crate) fn bytes(&self, place: &str, bytes: &[u8]) -> BTreeSet<Leak> {
        let mut leaks = BTreeSet::new();
        self.look(place, bytes, STREAMS, &mut leaks);
        leaks
    }

    fn look(&self, place: &str, bytes: &[u8], streams: usize, leaks: &mut BTreeSet<Leak>) {
        for (canary, form, spelling) in &self.forms {
            if contains(bytes, spelling) {
                leaks.insert(Leak {
                    canary: canary.clone(),
                    form,
                    place: place.to_owned(),
                });
            }
        }
        if streams == 0 {
            return;
        }
        for at in 0..bytes.len().saturating_sub(2) {
            let rest = &bytes[at..];
            let mut unpacked = Vec::new();
            // What is unpacked before a stream breaks off counts too.
            match rest {
                [0x1f, 0x8b, 8, ..] => {
                    let _ = flate2::read::GzDecoder::new(rest)
                        .take(UNPACKED)
                        .read_to_end(&mut unpacked);
                }
                // A stream of zlib: the first two bytes are a multiple of 31.
                [0x78, second, ..] if (0x7800 + u16::from(*second)) % 31 == 0 => {
                    let _ = flate2::read::ZlibDecoder::new(rest)
                        .take(UNPACKED)
                        .read_to_end(&mut unpacked);
                }
                _ => continue,
            }
            if !unpacked.is_empty() {
                self.look(
                    &format!("{place}, unpacked at byte {at}"),
                    &unpacked,
                    streams - 1,
                    leaks,
                );
            }
        }
    }

    /// Every secret in the files below a folder and in their names; `allowed` are files that may hold some.
    pub(crate) fn files(&self, folder: &Path, allowed: &BTreeSet<std::path::PathBuf>) -> BTreeSet<Leak> {
        let mut leaks = BTreeSet::new();
        let mut todo = vec![folder.to_owned()];
        while let Some(path) = todo.pop() {
            leaks.extend(self.bytes(
                &format!("the name {}", path.display()),
                path.as_os_str().as_encoded_bytes(),
            ));
            let Ok(kind) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if kind.is_dir() {
                let entries = std::fs::read_dir(&path).unwrap();
                todo.extend(entries.map(|entry| entry.unwrap().path()));
            } else if kind.is_file() && !allowed.contains(&path) {
                let bytes = std::fs::read(&path).unwrap();
                leaks.extend(self.bytes(&format!("the file {}", path.display()), &bytes));
            }
        }
        leaks
    }
}

fn contains(bytes: &[u8], spelling: &[u8]) -> bool {
    let Some((first, rest)) = spelling.split_first() else {
        return false;
    };
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|b| b == first) {
        at += found + 1;
        if bytes[at..].starts_with(rest) {
            return true;
        }
    }
    false
}
