//! Runs programs to their end, with their output captured.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;

/// How much of a failed program's output an error shows, in lines.
const TAIL_LINES: usize = 15;

/// A program to run to its end.
#[derive(Debug)]
pub(crate) struct Command {
    inner: tokio::process::Command,
    shown: String,
    input: Option<Vec<u8>>,
}

impl Command {
    /// A program by name (looked up in `PATH`) or by path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut inner = tokio::process::Command::new(program);
        inner
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self {
            inner,
            shown: program.to_string_lossy().into_owned(),
            input: None,
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        let argument = argument.as_ref();
        let _ = write!(self.shown, " {}", argument.to_string_lossy());
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Sets the folder the program runs in.
    pub(crate) fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.inner.current_dir(folder);
        self
    }

    /// Gives the program `input` on its standard input.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.inner.stdin(Stdio::piped());
        self.input = Some(input.into());
        self
    }

    /// Runs to the end and gives standard output. A status other than 0 is an error that carries the tail of
    /// what the program wrote.
    pub(crate) async fn output(self) -> anyhow::Result<String> {
        let shown = self.shown.clone();
        let output = self.capture().await?;
        if !output.status.success() {
            let text = if output.stderr.iter().all(u8::is_ascii_whitespace) {
                &output.stdout
            } else {
                &output.stderr
            };
            anyhow::bail!(
                "`{shown}` ended with {}:\n{}",
                output.status,
                tail(&String::from_utf8_lossy(text))
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs to the end; only a status of 0 is success.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.output().await.map(drop)
    }

    /// Runs to the end and tells whether the status was 0. A program that cannot be started counts as false.
    pub(crate) async fn succeeds(self) -> bool {
        self.capture().await.is_ok_and(|output| output.status.success())
    }

    async fn capture(mut self) -> anyhow::Result<std::process::Output> {
        let shown = self.shown;
        let mut child = self
            .inner
            .spawn()
            .with_context(|| format!("cannot start `{shown}`"))?;
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A program that ends without reading its input says why by its status.
            tokio::spawn(async move {
                let _ = stdin.write_all(&input).await;
            });
        }
        child
            .wait_with_output()
            .await
            .with_context(|| format!("cannot wait for `{shown}`"))
    }
}

/// Whether a program is in `PATH`.
pub(crate) fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_shows_the_command_and_the_tail_of_its_errors() {
        let error = Command::new("sh")
            .args(["-c", "echo first; echo why >&2; exit 3"])
            .output()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("why") && !text.contains("first\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn input_reaches_the_program() {
        assert_eq!(
            Command::new("cat").input("hello").output().await.unwrap(),
            "hello"
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Command::new("/no/such/program").run().await.unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
