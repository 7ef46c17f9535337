//! How long operations took in earlier runs.
//!
//! Kept in a file beside the state. It is no part of the state: it never raises the serial, and losing it costs nothing but
//! worse guesses. Only work that reaches a real system is learned; the rest takes no time worth knowing.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Name of the file in the folder of an environment.
const NAME: &str = "durations.json";
/// Version of its format.
const FORMAT: u32 = 1;
/// Last durations that are kept of one kind of work; the estimate is their median, so that one odd run does not move it.
const SAMPLES: usize = 5;
/// Objects that are kept, those learned last.
const OBJECTS: usize = 1000;
/// Larger files are not ours.
const LARGEST: u64 = 4 << 20;

/// A kind of work that takes its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Making an object.
    Create,
    /// Changing it in place.
    Update,
    /// Deleting it.
    Delete,
    /// Reading a data source.
    Read,
}

/// Milliseconds of the last runs, the newest at the end.
type Samples = Vec<u64>;

/// What is known of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// When it was learned last, by the count of runs.
    run: u64,
    #[serde(flatten)]
    kinds: BTreeMap<Kind, Samples>,
}

/// Durations by resource type, and by object where that object was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    format: u32,
    /// Runs that learned something.
    run: u64,
    types: BTreeMap<String, BTreeMap<Kind, Samples>>,
    objects: BTreeMap<String, Known>,
    #[serde(skip)]
    changed: bool,
}

fn median(samples: &[u64]) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().map(Duration::from_millis)
}

fn push(samples: &mut Samples, time: Duration) {
    samples.push(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let surplus = samples.len().saturating_sub(SAMPLES);
    samples.drain(..surplus);
}

impl Durations {
    /// Reads the file in the folder of an environment. Nothing is known where there is none; where there is one that
    /// cannot be used, the second value says why.
    pub fn load(folder: &Path) -> (Self, Option<String>) {
        let path = folder.join(NAME);
        let read = || -> Result<Self, String> {
            let size = fs::metadata(&path).map_err(|e| e.to_string())?.len();
            if size > LARGEST {
                return Err("it is too large".to_owned());
            }
            let bytes = fs::read(&path).map_err(|e| e.to_string())?;
            let read: Self = serde_json::from_slice(&bytes).map_err(|_| "it is damaged".to_owned())?;
            match read.format {
                FORMAT => Ok(read),
                _ => Err("another version of stack wrote it".to_owned()),
            }
        };
        if !path.exists() {
            return (Self::default(), None);
        }
        match read() {
            Ok(read) => (read, None),
            Err(why) => (
                Self {
                    changed: true,
                    ..Self::default()
                },
                Some(format!(
                    "Durations of earlier runs in {} are not used, and are learned anew: {why}.",
                    path.display()
                )),
            ),
        }
    }

    /// Writes the file, if there is anything new; readable by the user alone, and whole or not at all.
    ///
    /// # Errors
    /// It cannot be written. Nothing depends on it.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let mut own = Self {
            format: FORMAT,
            run: self.run + 1,
            ..self.clone()
        };
        own.forget_the_oldest();
        let new = folder.join(format!("{NAME}.new"));
        // What a killed run left behind may have other permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec(&own)?)?;
            fs::rename(&new, folder.join(NAME))
        })();
        if written.is_err() {
            drop(fs::remove_file(&new));
        }
        written
    }

    fn forget_the_oldest(&mut self) {
        if self.objects.len() > OBJECTS {
            let mut runs: Vec<u64> = self.objects.values().map(|known| known.run).collect();
            runs.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = runs[OBJECTS - 1];
            let mut room = OBJECTS - runs.iter().filter(|run| **run > oldest).count();
            self.objects.retain(|_, known| {
                known.run > oldest
                    || (known.run == oldest && room > 0 && {
                        room -= 1;
                        true
                    })
            });
        }
    }

    /// Learns how long a successful operation took. `address` is the resource instance's.
    pub fn learn(&mut self, ty: &str, address: &str, kind: Kind, time: Duration) {
        self.changed = true;
        let of_type = self.types.entry(ty.to_owned()).or_default();
        push(of_type.entry(kind).or_default(), time);
        let of_object = self.objects.entry(address.to_owned()).or_default();
        of_object.run = self.run;
        push(of_object.kinds.entry(kind).or_default(), time);
    }

    /// How long an operation should take, by the same object's earlier ones, else by those of its type.
    pub fn expected(&self, ty: &str, address: &str, kind: Kind) -> Option<Duration> {
        let of_object = self.objects.get(address).and_then(|known| known.kinds.get(&kind));
        let of_type = || self.types.get(ty).and_then(|kinds| kinds.get(&kind));
        median(of_object.or_else(of_type)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn an_object_is_known_better_than_its_type_and_one_odd_run_moves_nothing() {
        let mut durations = Durations::default();
        assert_eq!(
            durations.expected("helm_release", "helm_release.base", Kind::Create),
            None
        );
        for seconds in [4, 5, 300, 5] {
            durations.learn("helm_release", "helm_release.base", Kind::Create, S * seconds);
        }
        for seconds in [40, 41, 42] {
            durations.learn("helm_release", "helm_release.istiod", Kind::Create, S * seconds);
        }
        let expected = |address, kind| durations.expected("helm_release", address, kind);
        assert_eq!(expected("helm_release.base", Kind::Create), Some(S * 5));
        assert_eq!(expected("helm_release.istiod", Kind::Create), Some(S * 41));
        assert_eq!(expected("helm_release.other", Kind::Create), Some(S * 41));
        assert_eq!(expected("helm_release.base", Kind::Delete), None);
    }

    #[test]
    fn the_file_comes_back_private_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut durations = Durations::default();
        durations.save(folder.path()).unwrap();
        assert!(
            !folder.path().join(NAME).exists(),
            "nothing learned, nothing written"
        );
        for run in 0..3 {
            for number in 0..600 {
                let address = format!("a_b.c[{}]", run * 600 + number);
                durations.learn("a_b", &address, Kind::Create, S);
            }
            durations.save(folder.path()).unwrap();
            durations = Durations::load(folder.path()).0;
        }
        assert_eq!(durations.objects.len(), OBJECTS);
        assert!(durations.objects.contains_key("a_b.c[1799]"));
        assert!(!durations.objects.contains_key("a_b.c[0]"));
        assert_eq!(durations.types["a_b"][&Kind::Create].len(), SAMPLES);
        let mode = fs::metadata(folder.path().join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_told_and_written_anew() {
        for text in [
            "",
            "{",
            "[]",
            "{\"format\":2,\"run\":0,\"types\":{},\"objects\":{}}",
            "\u{0}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), text).unwrap();
            let (durations, note) = Durations::load(folder.path());
            assert!(note.is_some_and(|note| note.contains(NAME)), "{text}");
            durations.save(folder.path()).unwrap();
            assert_eq!(Durations::load(folder.path()).1, None, "{text}");
        }
    }
}
