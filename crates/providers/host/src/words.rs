//! Checks that several types share.

use stack_core::{Decode, Path, Value};
use stack_provider::{Cx, ErrorKind, Owner, ProviderError};
use stack_ssh::{Output, Script};

use crate::HostClient;

/// Checks a path: absolute, without a line feed, without a slash at the end.
pub(crate) fn check_path(config: &Value, attribute: &str, problems: &mut Vec<(Path, String)>) {
    let Some(path) = config.attribute(attribute).and_then(Value::as_str) else {
        return;
    };
    let problem = if !path.starts_with('/') {
        "an absolute path is required"
    } else if path.contains(['\n', '\0']) {
        "a path with a line feed or NUL is not supported"
    } else if path.ends_with('/') || path.split('/').any(|part| part == "..") {
        "a path must neither end with a slash nor hold `..`"
    } else {
        return;
    };
    problems.push((Path::of(&[attribute]), problem.to_owned()));
}

/// Checks file permissions: three or four octal digits.
pub(crate) fn check_mode(config: &Value, attribute: &str, problems: &mut Vec<(Path, String)>) {
    let Some(mode) = config.attribute(attribute).and_then(Value::as_str) else {
        return;
    };
    if !matches!(mode.len(), 3 | 4) || !mode.chars().all(|c| ('0'..='7').contains(&c)) {
        problems.push((
            Path::of(&[attribute]),
            format!("permissions are three or four octal digits (\"0644\"), not {mode:?}"),
        ));
    }
}

/// Permissions in one spelling: four digits.
pub(crate) fn mode(text: &str) -> String {
    format!("{text:0>4}")
}

/// Whether two spellings of an attribute mean the same; only permissions have several.
pub(crate) fn same_mode(path: &Path, a: &Value, b: &Value) -> bool {
    let is_mode = *path == Path::of(&["mode"]) || *path == Path::of(&["directory_mode"]);
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) if is_mode => mode(a) == mode(b),
        _ => a == b,
    }
}

/// The name of a user or group as the configuration spells it: by number where it uses numbers.
pub(crate) fn account(configured: &str, name: Option<&str>, number: Option<&str>) -> String {
    let by_number = !configured.is_empty() && configured.chars().all(|c| c.is_ascii_digit());
    let seen = match name {
        Some("UNKNOWN") | None => number,
        Some(_) if by_number => number,
        name => name,
    };
    seen.unwrap_or_default().to_owned()
}

/// A string argument of a planned value, where it is known.
pub(crate) fn text<'v>(planned: &'v Value, attribute: &str) -> Option<&'v str> {
    planned.attribute(attribute).and_then(Value::as_str)
}

/// The file that says which create attempt made something.
pub(crate) fn attempt(token: &str) -> String {
    format!("attempt-{token}")
}

/// The file that stands for something without a place of its own on the machine.
pub(crate) fn record(id: &str) -> String {
    format!("record-{id}")
}

/// Removes a record.
pub(crate) async fn remove_record(cx: &Cx, client: &HostClient, record: &str) -> Result<(), ProviderError> {
    let script = Script::new()
        .set("record", record)
        .text("rm -f -- \"/var/lib/stack/$record\"");
    let output = client.change(cx, script).await?;
    if output.success() {
        return Ok(());
    }
    Err(failed("the record on the machine cannot be removed", &output))
}

/// The planned object where everything but computed attributes is known.
pub(crate) fn arguments<M: Decode>(planned: &Value) -> Option<M> {
    M::decode(planned, &Path::root()).ok()
}

/// The error for an object that exists and is not ours.
pub(crate) fn already_exists(kind: &str, id: &str, owner: &Owner) -> ProviderError {
    let message = format!(
        "{kind} {id} exists already and is not managed here; take it over with `stack import '{}' '{id}'`, or set `overwrite = true`",
        owner.address
    );
    ProviderError::new(ErrorKind::AlreadyExists, message)
}

/// The error for a script that failed.
pub(crate) fn failed(what: &str, output: &Output) -> ProviderError {
    let reason = match output.reason() {
        empty if empty.is_empty() => format!("exit status {}", output.status),
        reason => reason,
    };
    ProviderError::new(ErrorKind::InvalidArgument, format!("{what}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: fn(&Value, &str, &mut Vec<(Path, String)>), text: &str) -> usize {
        let mut problems = Vec::new();
        check(
            &Value::object([("a".to_owned(), text.into())]),
            "a",
            &mut problems,
        );
        problems.len()
    }

    #[test]
    fn paths_and_modes_are_checked() {
        for good in ["/etc/x", "/a b/c'd"] {
            assert_eq!(problems(check_path, good), 0, "{good}");
        }
        for bad in ["etc/x", "/etc/", "/etc/../x", "/a\nb", "~/x", ""] {
            assert_eq!(problems(check_path, bad), 1, "{bad}");
        }
        for good in ["644", "0644", "1777"] {
            assert_eq!(problems(check_mode, good), 0, "{good}");
        }
        for bad in ["64", "0o644", "u+x", "0888", "00644"] {
            assert_eq!(problems(check_mode, bad), 1, "{bad}");
        }
    }

    #[test]
    fn permissions_have_two_spellings() {
        let mode = Path::of(&["mode"]);
        assert!(same_mode(&mode, &"644".into(), &"0644".into()));
        assert!(!same_mode(&mode, &"0600".into(), &"0644".into()));
        assert!(!same_mode(&Path::of(&["content"]), &"644".into(), &"0644".into()));
    }

    #[test]
    fn accounts_follow_the_spelling_of_the_configuration() {
        assert_eq!(account("root", Some("root"), Some("0")), "root");
        assert_eq!(account("0", Some("root"), Some("0")), "0");
        assert_eq!(account("root", Some("UNKNOWN"), Some("77")), "77");
    }
}
