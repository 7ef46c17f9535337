//! Whether an object has reached the state that somebody waits for. Pure: the caller reads the object.

use crate::Json;

/// What an object's state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is as wanted.
    Ready,
    /// Not yet; what is missing.
    Waiting(String),
    /// It will not get there by itself; why.
    Failed(String),
}

impl Readiness {
    /// The first that is not ready, a failure before all.
    pub fn all(parts: impl IntoIterator<Item = Readiness>) -> Readiness {
        let mut out = Readiness::Ready;
        for part in parts {
            match part {
                Readiness::Ready => {}
                Readiness::Failed(_) => return part,
                Readiness::Waiting(_) if out == Readiness::Ready => out = part,
                Readiness::Waiting(_) => {}
            }
        }
        out
    }
}

/// Whether the condition of this type has this status (`True`), for the object's present generation.
pub fn condition(object: &Json, ty: &str, status: &str) -> Readiness {
    let conditions = object.pointer("/status/conditions").and_then(Json::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"].as_str() == Some(ty));
    let Some(found) = found else {
        return Readiness::Waiting(format!("there is no condition {ty} yet"));
    };
    if found["status"].as_str() == Some(status) {
        return Readiness::Ready;
    }
    let mut text = format!(
        "condition {ty} is {}",
        found["status"].as_str().unwrap_or("Unknown")
    );
    if let Some(message) = found["message"].as_str().filter(|m| !m.is_empty()) {
        text.push_str(": ");
        text.push_str(message);
    }
    Readiness::Waiting(text)
}

/// Whether the rollout of a Deployment, StatefulSet or DaemonSet is complete, by the rules of `kubectl rollout status`.
pub fn rollout(object: &Json) -> Readiness {
    let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64).unwrap_or(0);
    let waiting = |text: String| Readiness::Waiting(text);
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return waiting("the change has not been seen by its controller yet".into());
    }
    let wanted = object
        .pointer("/spec/replicas")
        .and_then(Json::as_i64)
        .unwrap_or(1);
    match object["kind"].as_str() {
        Some("Deployment") => {
            let conditions = object.pointer("/status/conditions").and_then(Json::as_array);
            let late = conditions
                .into_iter()
                .flatten()
                .find(|c| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded");
            if let Some(late) = late {
                let message = late["message"].as_str().unwrap_or("its deadline has passed");
                return Readiness::Failed(format!("the rollout does not progress: {message}"));
            }
            let (updated, all, available) = (
                number("/status/updatedReplicas"),
                number("/status/replicas"),
                number("/status/availableReplicas"),
            );
            if updated < wanted {
                return waiting(format!("{updated} of {wanted} replicas are updated"));
            }
            if all > updated {
                return waiting(format!("{} old replicas are still to end", all - updated));
            }
            if available < updated {
                return waiting(format!("{available} of {updated} replicas are available"));
            }
            Readiness::Ready
        }
        Some("DaemonSet") => {
            let wanted = number("/status/desiredNumberScheduled");
            let updated = number("/status/updatedNumberScheduled");
            let available = number("/status/numberAvailable");
            if updated < wanted || available < wanted {
                return waiting(format!(
                    "{updated} of {wanted} pods are updated, {available} available"
                ));
            }
            Readiness::Ready
        }
        Some("StatefulSet") => {
            let (updated, ready) = (number("/status/updatedReplicas"), number("/status/readyReplicas"));
            if updated < wanted || ready < wanted {
                return waiting(format!(
                    "{updated} of {wanted} replicas are updated, {ready} ready"
                ));
            }
            Readiness::Ready
        }
        other => Readiness::Failed(format!(
            "{} has no rollout to wait for",
            other.unwrap_or("this kind")
        )),
    }
}

/// Whether every value at a path is as wanted: `*` wants any value that is not empty, other texts want just that value.
///
/// A path is names joined by dots; `[*]` means every member of a list (there must be one), `[2]` one of them, `[type=Ready]`
/// those with this value: `webhooks[*].clientConfig.caBundle`, `status.conditions[type=Ready].status`.
pub fn field(object: &Json, path: &str, wanted: &str) -> Readiness {
    let Some(steps) = parse(path) else {
        return Readiness::Failed(format!("{path} is not a path"));
    };
    let mut found = Vec::new();
    select(object, &steps, &mut found);
    if found.is_empty() {
        return Readiness::Waiting(format!("{path} is not set yet"));
    }
    for value in found {
        let text = match value {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let same = if wanted == "*" {
            !text.is_empty()
        } else {
            text == wanted
        };
        if !same {
            let mut shown: String = text.chars().take(60).collect();
            if shown.is_empty() {
                shown.push_str("empty");
            }
            return Readiness::Waiting(format!("{path} is {shown}"));
        }
    }
    Readiness::Ready
}

/// Whether a text is a path that [`field`] understands.
pub fn is_path(path: &str) -> bool {
    parse(path).is_some()
}

#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
    Every,
    Where(String, String),
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let path = path
        .trim_start_matches("{.")
        .trim_start_matches('.')
        .trim_end_matches('}');
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (bracket, after) = inside.split_once(']')?;
            steps.push(match bracket.split_once('=') {
                _ if bracket == "*" => Step::Every,
                Some((key, value)) => Step::Where(key.into(), value.trim_matches('"').into()),
                None => Step::Index(bracket.parse().ok()?),
            });
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        // A dot that belongs to a name (annotations) is written as `\.`.
        let mut name = String::new();
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        let mut skip = 0;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if chars.peek().is_some_and(|(_, next)| *next == '.') => {
                    name.push('.');
                    chars.next();
                }
                '.' => {
                    (end, skip) = (at, 1);
                    break;
                }
                '[' => {
                    end = at;
                    break;
                }
                c => name.push(c),
            }
        }
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Name(name));
        rest = &rest[end + skip..];
    }
    (!steps.is_empty()).then_some(steps)
}

fn select<'j>(value: &'j Json, steps: &[Step], found: &mut Vec<&'j Json>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    let members = value.as_array().map(Vec::as_slice).unwrap_or_default();
    match step {
        Step::Name(name) => {
            if let Some(part) = value.get(name) {
                select(part, rest, found);
            }
        }
        Step::Index(index) => {
            if let Some(part) = members.get(*index) {
                select(part, rest, found);
            }
        }
        Step::Every => {
            for part in members {
                // A member that lacks the field is not as wanted: it must not be passed over.
                let before = found.len();
                select(part, rest, found);
                if found.len() == before {
                    found.push(&Json::Null);
                }
            }
        }
        Step::Where(key, wanted) => {
            for part in members.iter().filter(|m| m[key].as_str() == Some(wanted)) {
                select(part, rest, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn waiting(readiness: &Readiness) -> bool {
        matches!(readiness, Readiness::Waiting(_))
    }

    #[test]
    fn every_webhook_must_have_its_bundle() {
        let path = "webhooks[*].clientConfig.caBundle";
        let mut webhook = json!({"webhooks": [{"clientConfig": {"caBundle": "x"}}, {"clientConfig": {}}]});
        assert!(waiting(&field(&webhook, path, "*")));
        webhook["webhooks"][1]["clientConfig"]["caBundle"] = "y".into();
        assert_eq!(field(&webhook, path, "*"), Readiness::Ready);
        assert!(waiting(&field(&json!({"webhooks": []}), path, "*")));
        assert!(waiting(&field(&json!({}), path, "*")));
    }

    #[test]
    fn fields_are_compared_as_text() {
        let object = json!({"a": {"b": 2}, "l": [{"k": "x", "v": true}], "m": {"x.y": "z"}});
        assert_eq!(field(&object, "a.b", "2"), Readiness::Ready);
        assert_eq!(field(&object, ".l[k=x].v", "true"), Readiness::Ready);
        assert_eq!(field(&object, "l[0].k", "x"), Readiness::Ready);
        assert_eq!(field(&object, r"m.x\.y", "z"), Readiness::Ready);
        assert!(waiting(&field(&object, "a.b", "3")));
        assert!(!is_path("a..b") && !is_path("l[x].v") && is_path("{.a.b}"));
    }

    #[test]
    fn conditions_need_their_status() {
        let object =
            json!({"status": {"conditions": [{"type": "Established", "status": "False", "message": "no"}]}});
        assert_eq!(
            condition(&object, "Established", "True"),
            Readiness::Waiting("condition Established is False: no".into())
        );
        assert_eq!(condition(&object, "Established", "False"), Readiness::Ready);
        assert!(waiting(&condition(&object, "Ready", "True")));
    }

    #[test]
    fn a_rollout_is_complete_when_no_old_replica_is_left() {
        let mut object = json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "updatedReplicas": 2, "replicas": 3, "availableReplicas": 2}});
        assert!(waiting(&rollout(&object)));
        object["status"]["observedGeneration"] = 2.into();
        assert_eq!(
            rollout(&object),
            Readiness::Waiting("1 old replicas are still to end".into())
        );
        object["status"]["replicas"] = 2.into();
        assert_eq!(rollout(&object), Readiness::Ready);
        object["status"]["conditions"] =
            json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}]);
        assert_eq!(
            rollout(&object),
            Readiness::Failed("the rollout does not progress: late".into())
        );
    }

    #[test]
    fn a_failure_outweighs_what_is_merely_late() {
        let parts = [
            Readiness::Waiting("a".into()),
            Readiness::Failed("b".into()),
            Readiness::Ready,
        ];
        assert_eq!(Readiness::all(parts), Readiness::Failed("b".into()));
    }
}
