//! A command that prints the key, for keys that a key management service keeps.
//!
//! The command is split at white space and started without a shell, in a process group of its own, with an empty standard
//! input and nothing of our environment but a list. What it prints is the key and never shown; what it says on standard
//! error is dropped, for it may repeat the key.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use stack_core::codec::SealError;
use stack_state::key::{KeyMaterial, parse_key};
use zeroize::Zeroizing;

/// How long the command may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

/// Bytes of output that are read at most; a key has 44.
const MOST: u64 = 4096;

/// Variables of our environment that the command sees: none that holds a secret.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "VAULT_ADDR",
    "VAULT_CACERT",
    "GNUPGHOME",
    "SSH_AUTH_SOCK",
];

fn bad(reason: impl Into<String>) -> SealError {
    SealError::BadKey {
        reason: reason.into(),
    }
}

/// Runs the command and reads the key that it prints.
///
/// # Errors
/// It cannot be started, fails, takes longer than `limit`, or prints no key. Its output is not repeated.
pub(super) fn run(command: &str, limit: Duration) -> Result<KeyMaterial, SealError> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let environment = ALLOWED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(words)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| bad(format!("the program {program} cannot be started: {e}")))?;
    let (sender, output) = mpsc::channel();
    let pipe = child.stdout.take();
    // Its own thread, because a grandchild may keep the pipe open for longer than the child lives.
    let reader = std::thread::Builder::new()
        .name("key command".to_owned())
        .spawn(move || {
            let mut text = Zeroizing::new(String::new());
            let read = pipe.map(|pipe| pipe.take(MOST).read_to_string(&mut text));
            drop(sender.send(read.is_some_and(|read| read.is_ok()).then_some(text)));
        });
    let ended = reader
        .map_err(|e| bad(e.to_string()))
        .and_then(|_| wait(&mut child, limit, &output));
    if ended.is_err() {
        end(&mut child);
    }
    let (status, text) = ended?;
    if !status.success() {
        let how = match status.code() {
            Some(code) => format!("exit code {code}"),
            None => "a signal".to_owned(),
        };
        return Err(bad(format!(
            "the command ended with {how}; run it by hand to see why"
        )));
    }
    let text = text.ok_or_else(|| bad("the command printed something that is no text"))?;
    parse_key(&text).map_err(|error| match error {
        SealError::BadKey { reason } => bad(format!("what the command printed is no key: {reason}")),
        other => other,
    })
}

type Output = Option<Zeroizing<String>>;

fn wait(
    child: &mut Child,
    limit: Duration,
    output: &mpsc::Receiver<Output>,
) -> Result<(ExitStatus, Output), SealError> {
    let start = Instant::now();
    let late = || {
        bad(format!(
            "the command did not end within {} s",
            limit.as_secs_f32()
        ))
    };
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| bad(e.to_string()))? {
            break status;
        }
        if start.elapsed() >= limit {
            return Err(late());
        }
        std::thread::sleep(INTERVAL);
    };
    let left = limit.saturating_sub(start.elapsed()).max(INTERVAL);
    Ok((status, output.recv_timeout(left).map_err(|_| late())?))
}

/// Ends the command and what it has started.
fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    drop(child.wait());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A script, since the command is split at white space.
    fn script(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.sh");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let command = format!("sh {} canary-argument", path.display());
        (folder, command)
    }

    fn message(text: &str, limit: Duration) -> String {
        let (_folder, command) = script(text);
        run(&command, limit).unwrap_err().to_string()
    }

    #[test]
    fn the_key_is_what_the_command_prints() {
        let (_folder, command) =
            script("test \"$1\" = canary-argument && printf %s= && head -c 31 /dev/zero | base64 -w0\n");
        assert!(run(&command, LIMIT).is_err());
        let (_folder, command) = script("head -c 32 /dev/zero | base64\n");
        assert_eq!(
            run(&command, LIMIT).unwrap(),
            KeyMaterial::Bytes(Zeroizing::new([0; 32]))
        );
    }

    #[test]
    fn failures_name_the_exit_code_and_never_the_output() {
        for (text, expected) in [
            ("echo canary; echo canary >&2; exit 7", "exit code 7"),
            ("echo canary", "is no key: it is not base64"),
            ("echo Y2FuYXJ5", "it has 6 bytes instead of 32"),
            ("kill -9 $$", "a signal"),
            ("printf '\\377'", "no text"),
        ] {
            let message = message(text, LIMIT);
            assert!(
                message.contains(expected) && !message.contains("canary"),
                "{message}"
            );
        }
        let missing = run("/nonexistent/program", LIMIT).unwrap_err().to_string();
        assert!(
            missing.contains("/nonexistent/program cannot be started"),
            "{missing}"
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pid");
        let text = format!("sleep 600 & echo $! > {}; wait", mark.display());
        let message = message(&text, Duration::from_secs(2));
        assert!(message.contains("did not end within"), "{message}");
        let pid: u32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        // A dead child of a dead parent is gone, or a zombie until init collects it.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(
            stat.is_empty() || stat.contains(") Z ") || stat.contains(") X "),
            "{stat}"
        );
    }

    #[test]
    fn the_command_sees_no_variable_that_is_not_on_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("environment");
        let text = format!("env > {}; head -c 32 /dev/zero | base64", seen.display());
        let (_folder, command) = script(&text);
        run(&command, LIMIT).unwrap();
        // The shell sets some of its own.
        let own = ["PWD", "OLDPWD", "SHLVL", "_"];
        for line in std::fs::read_to_string(&seen).unwrap().lines() {
            let name = line.split('=').next().unwrap();
            assert!(ALLOWED.contains(&name) || own.contains(&name), "{line}");
        }
    }
}
