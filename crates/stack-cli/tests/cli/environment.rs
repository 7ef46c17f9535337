//! A hermetic place to run the program in.
#![expect(clippy::unwrap_used, reason = "a test without its place has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Key of every state of the tests: 32 bytes in base64.
pub(crate) const KEY: &str = "dGVzdHMgb2YgdGhlIGNvbW1hbmQgbGluZSBhcmUgMzI=";

/// An empty folder, with a home of its own and nothing of the caller's environment.
pub(crate) struct Environment {
    root: TempDir,
    variables: Vec<(String, String)>,
}

impl Environment {
    /// A folder without files.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home", "work"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self {
            root,
            variables: vec![("STACK_STATE_KEY".to_owned(), KEY.to_owned())],
        }
    }

    /// A folder with one file of configuration.
    pub(crate) fn with(main: &str) -> Self {
        let environment = Self::new();
        environment.write("main.hcl", main);
        environment
    }

    /// Writes a file, with its folders.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A path below the working folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join("work").join(path)
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable out of the environment.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(n, _)| n != name);
    }

    /// Runs the program and gives its standard output as it is.
    pub(crate) fn run_unmasked(&self, arguments: &[&str]) -> String {
        let mut child = self.start(arguments);
        drop(child.stdin.take());
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    /// Runs the program without input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Shown {
        self.run_with_input(arguments, "")
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_stack"))
            .args(arguments)
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", self.root.path().join("home"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the program with a text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Shown {
        let mut child = self.start(arguments);
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        Shown::of(&child.wait_with_output().unwrap(), self.root.path())
    }
}

/// What a run showed, with everything masked that differs from run to run.
pub(crate) struct Shown {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Shown {
    fn of(output: &Output, root: &Path) -> Self {
        let text = |bytes: &[u8]| {
            mask(&String::from_utf8_lossy(bytes).replace(&root.display().to_string(), "<root>"))
        };
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// All of it, as one text.
    pub(crate) fn all(&self) -> String {
        format!(
            "exit: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.code, self.out, self.err
        )
    }
}

/// Masks UUIDs and times.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        out.push_str(&masked_times(&masked_ids(line)));
    }
    out
}

fn masked_ids(line: &str) -> String {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_id = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.len() == LENGTHS.len()
            && parts
                .iter()
                .zip(LENGTHS)
                .all(|(p, n)| p.len() == n && p.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        match rest.get(..36).filter(|text| is_id(text)) {
            Some(_) => {
                out.push_str("<uuid>");
                rest = &rest[36..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// `after 0.1s` becomes `after <time>`.
fn masked_times(line: &str) -> String {
    let Some((before, after)) = line.split_once(" after ") else {
        return line.to_owned();
    };
    let end = after
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != 's' && c != 'm')
        .unwrap_or(after.len());
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{before} after <time>{}", &after[end..])
    } else {
        line.to_owned()
    }
}
