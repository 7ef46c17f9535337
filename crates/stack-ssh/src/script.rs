//! Scripts for POSIX sh, built of fixed text and quoted data.

use stack_core::Secret;
use zeroize::Zeroizing;

use crate::SshError;

/// A script. Program text is `&'static str`, so that data cannot become part of it unquoted; data comes in as
/// assignments ([`Script::set`]) or positional parameters ([`Script::arguments`]).
///
/// The text is one function that is called at the end: a script that arrives only in part does nothing. Its standard
/// input is empty. Messages of programs are in English (`LC_ALL=C`).
#[derive(Clone, Default)]
pub struct Script {
    body: Zeroizing<String>,
    lock: Option<u32>,
    nul: bool,
    bad_name: Option<String>,
}

/// Exit status of a script that did not get the lock in time (`locked.sh`).
const NOT_LOCKED: u32 = 75;

/// The last line: what runs the script.
const CALL: &str = "stack_main\n";

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// For scripts that change something: takes the lock of the host first, waiting at most this many seconds. Processes
    /// that the script leaves behind do not hold it. A script that did not get it ends with status 75
    /// ([`Script::is_not_locked`]). The script runs to its end even if nobody listens any more.
    #[must_use]
    pub fn locked(mut self, wait: u32) -> Self {
        self.lock = Some(wait);
        self
    }

    /// Whether an exit status means that the lock was not to be had.
    pub fn is_not_locked(status: u32) -> bool {
        status == NOT_LOCKED
    }

    /// Adds program text.
    #[must_use]
    pub fn text(mut self, text: &'static str) -> Self {
        self.body.push_str(text.trim_end());
        self.body.push('\n');
        self
    }

    /// Sets a shell variable, which is not exported.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.body.push_str(name);
        self.body.push('=');
        self.word(value.as_ref());
        self.body.push('\n');
        self
    }

    /// Sets a shell variable to a secret. It is not exported, so no child's environment holds it.
    #[must_use]
    pub fn set_secret(self, name: &'static str, value: &Secret<String>) -> Self {
        self.set(name, value.expose())
    }

    /// Sets a shell variable whose name is data, too. It is not exported. Names that are no shell identifiers, or that
    /// start with `stack_`, make the script fail to render.
    #[must_use]
    pub fn assign(mut self, name: &str, value: &Secret<String>) -> Self {
        let mut chars = name.chars();
        let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if starts && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("stack_") {
            self.body.push_str(name);
            self.body.push('=');
            self.word(value.expose());
            self.body.push('\n');
        } else {
            self.bad_name = Some(name.to_owned());
        }
        self
    }

    /// Sets the positional parameters.
    #[must_use]
    pub fn arguments<S: AsRef<str>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.body.push_str("set --");
        for value in values {
            self.body.push(' ');
            self.word(value.as_ref());
        }
        self.body.push('\n');
        self
    }

    fn word(&mut self, value: &str) {
        self.nul |= value.contains('\0');
        push_quoted(&mut self.body, value);
    }

    /// The whole script.
    ///
    /// # Errors
    /// A value holds a NUL byte, or the name of a variable is no shell identifier.
    pub fn render(&self) -> Result<Zeroizing<String>, SshError> {
        if self.nul {
            return Err(SshError::NulByte);
        }
        if let Some(name) = &self.bad_name {
            return Err(SshError::VariableName { name: name.clone() });
        }
        let mut text = Zeroizing::new(String::with_capacity(self.body.len() + 512));
        text.push_str("stack_body() {\nLC_ALL=C\nexport LC_ALL\n");
        text.push_str(&self.body);
        text.push_str("}\nstack_main() {\n");
        match self.lock {
            Some(wait) => {
                text.push_str("stack_wait=");
                text.push_str(&wait.to_string());
                text.push('\n');
                text.push_str(include_str!("locked.sh"));
            }
            None => text.push_str("stack_body </dev/null\n"),
        }
        text.push_str("}\n");
        text.push_str(CALL);
        Ok(text)
    }
}

fn push_quoted(out: &mut String, value: &str) {
    out.push('\'');
    for part in value.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(plain) => {
                out.push_str(plain);
                out.push_str("'\\''");
            }
            None => out.push_str(part),
        }
    }
    out.push('\'');
}

/// One word of POSIX sh that stands for exactly this text (which must hold no NUL byte).
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    push_quoted(&mut out, value);
    out
}

/// Shows the size only: scripts carry secrets.
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn run(script: &Script) -> (String, i32) {
        let mut sh = Command::new("sh")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let text = script.render().unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let out = sh.wait_with_output().unwrap();
        (String::from_utf8(out.stdout).unwrap(), out.status.code().unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn sh_sees_the_very_text(value in "[^\0]{0,40}", other in "['\"$`\\\\!*?~ \n\t;&|<>(){}#\u{80}-\u{9f}é-]{0,20}") {
            let script = Script::new()
                .set("a", &value)
                .arguments([&other, &value])
                .text("printf '%s|%s|%s|%s' \"$a\" \"$1\" \"$2\" \"$#\"");
            prop_assert_eq!(run(&script), (format!("{value}|{other}|{value}|2"), 0));
        }
    }

    #[test]
    fn nothing_runs_of_a_script_that_is_cut_off() {
        let script = Script::new().text("echo one\necho two");
        let text = script.render().unwrap();
        for end in 0..text.len() - CALL.len() + "stack_mai".len() {
            let out = Command::new("sh")
                .arg("-c")
                .arg(&text[..end])
                .stderr(Stdio::null())
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), "", "cut at {end}");
        }
        assert_eq!(run(&script).0, "one\ntwo\n");
    }

    #[test]
    fn standard_input_is_empty_and_variables_stay_inside() {
        let script = Script::new()
            .set_secret("password", &"hunter2".into())
            .text("cat\nenv | grep -c hunter2\nexit 3");
        assert_eq!(run(&script), ("0\n".to_owned(), 3));
    }

    #[test]
    fn nul_is_refused() {
        assert!(matches!(
            Script::new().set("a", "x\0y").render(),
            Err(SshError::NulByte)
        ));
    }

    #[test]
    fn names_of_variables_are_checked() {
        let value = "v'".into();
        let script = Script::new()
            .assign("TOKEN_1", &value)
            .text("printf %s \"$TOKEN_1\"");
        assert_eq!(run(&script).0, "v'");
        for bad in ["", "1a", "a b", "a=b", "é", "stack_main", "x;reboot"] {
            let script = Script::new().assign(bad, &value);
            assert!(
                matches!(script.render(), Err(SshError::VariableName { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", Script::new().set("a", "hunter2")).contains("hunter2"));
    }
}
