//! Profiles whose credentials come from a program: it is not to see the keys and variables that are meant for `stack`.

use std::path::PathBuf;

#[expect(deprecated, reason = "the loader takes profile files by this name")]
use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};

/// What a line that names the program begins with.
const KEY: &str = "credential_process";

/// The shared configuration files, with every program started without our variables; `None` where none is named or
/// there is nothing to hide, and the files are read as always. Reads the environment: for `connect`.
#[expect(deprecated, reason = "the loader takes profile files by this name")]
pub(crate) fn profile_files() -> Option<ProfileFiles> {
    let hidden = hidden_names(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    if hidden.is_empty() {
        return None;
    }
    let read = |variable: &str, name: &str| {
        let named = std::env::var_os(variable)
            .filter(|p| !p.is_empty())
            .map(PathBuf::from);
        let path =
            named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws").join(name)))?;
        std::fs::read_to_string(path).ok()
    };
    let config = read("AWS_CONFIG_FILE", "config");
    let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    if ![&config, &credentials]
        .into_iter()
        .flatten()
        .any(|text| text.contains(KEY))
    {
        return None;
    }
    let mut files = ProfileFiles::builder();
    if let Some(text) = config {
        files = files.with_contents(ProfileFileKind::Config, without_ours(&text, &hidden));
    }
    if let Some(text) = credentials {
        files = files.with_contents(ProfileFileKind::Credentials, without_ours(&text, &hidden));
    }
    Some(files.build())
}

/// Variables that are addressed to `stack`. A shell cannot be told of a name that is none.
fn hidden_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let plain = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    names
        .filter(|name| name.starts_with("STACK_") && plain(name))
        .collect()
}

/// The text with every program of a profile started by `env`, which takes the variables away.
fn without_ours(text: &str, hidden: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let command = line
            .trim_start()
            .strip_prefix(KEY)
            .and_then(|rest| rest.trim_start().strip_prefix('='));
        let Some(command) = command.map(str::trim).filter(|command| !command.is_empty()) else {
            out.push_str(line);
            continue;
        };
        out.push_str(&line[..line.len() - line.trim_start().len()]);
        out.push_str(KEY);
        out.push_str(" = env");
        for name in hidden {
            out.push_str(" -u ");
            out.push_str(name);
        }
        out.push_str(" sh -c '");
        out.push_str(&command.replace('\'', r"'\''"));
        out.push_str("'\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_start_without_our_variables() {
        let names = ["STACK_STATE_KEY", "PATH", "STACK_VAR_a-b", "STACK_VAR_$(x)"].map(str::to_owned);
        let hidden = hidden_names(names.into_iter());
        assert_eq!(hidden, ["STACK_STATE_KEY", "STACK_VAR_a-b"]);
        let text = "[profile a]\nregion = x\n  credential_process = /bin/get --as 'a b'\n";
        assert_eq!(
            without_ours(text, &hidden),
            "[profile a]\nregion = x\n  credential_process = env -u STACK_STATE_KEY -u STACK_VAR_a-b sh -c '/bin/get --as '\\''a b'\\'''\n"
        );
    }

    #[test]
    fn the_rewritten_program_runs_and_sees_nothing() {
        let line = without_ours(
            "credential_process = printf '%s|' \"$STACK_STATE_KEY\" \"$KEPT\"\n",
            &["STACK_STATE_KEY".to_owned()],
        );
        let command = line.split_once('=').unwrap().1.trim();
        let ran = std::process::Command::new("sh")
            .args(["-c", command])
            .env("STACK_STATE_KEY", "canary")
            .env("KEPT", "kept")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "|kept|");
    }
}
