//! What a patch changes in an object, and putting it back.

use serde::{Deserialize, Serialize};
use stack_kube::Json;

use crate::json::without_nulls;
use crate::lists::{ListKind, Merge, find, same_key};

/// One step to a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// A field of an object.
    Field(String),
    /// The member of a list that has these values.
    Member(Json),
    /// A plain value in a list without order.
    Item(Json),
}

/// A field that a patch has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Touched {
    path: Vec<Step>,
    /// What it was before; `None`: it was not there.
    former: Option<Json>,
    /// What we made of it; `None`: we removed it.
    ours: Option<Json>,
}

/// A patch that would not do what its author means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A directive (`$patch`, `$retainKeys`), which cannot be undone field by field.
    Directive(String),
    /// A container that the object does not have, and those that it has: the patch would add it.
    UnknownContainer {
        /// As named in the patch.
        name: String,
        /// Names of the containers.
        known: Vec<String>,
    },
}

/// The fields of `live` that the patch speaks of, and what they hold now; those that are so already too.
pub(crate) fn addressed(patch: &Json, live: &Json, merge: Merge<'_>) -> Result<Vec<Touched>, Unfit> {
    let mut out = Vec::new();
    walk(patch, live, merge, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn walk(
    patch: &Json,
    live: &Json,
    merge: Merge<'_>,
    path: &mut Vec<Step>,
    out: &mut Vec<Touched>,
) -> Result<(), Unfit> {
    let (Json::Object(fields), Json::Object(present)) = (patch, live) else {
        note(path, Some(live.clone()), Some(patch.clone()), out);
        return Ok(());
    };
    for (name, wanted) in fields {
        if name.starts_with('$') {
            return Err(Unfit::Directive(name.clone()));
        }
        path.push(Step::Field(name.clone()));
        match (present.get(name), wanted) {
            (None, Json::Null) => note(path, None, None, out),
            (None, wanted) => note(path, None, Some(without_nulls(wanted.clone())), out),
            (Some(now), Json::Null) => note(path, Some(now.clone()), None, out),
            (Some(now @ Json::Object(_)), Json::Object(_)) => {
                walk(wanted, now, merge.field(name), path, out)?
            }
            (Some(Json::Array(now)), Json::Array(members)) => {
                walk_list(name, members, now, merge.field(name), path, out)?;
            }
            (Some(now), wanted) => note(path, Some(now.clone()), Some(wanted.clone()), out),
        }
        path.pop();
    }
    Ok(())
}

fn walk_list(
    name: &str,
    members: &[Json],
    now: &[Json],
    place: Merge<'_>,
    path: &mut Vec<Step>,
    out: &mut Vec<Touched>,
) -> Result<(), Unfit> {
    match place.list(members.first()) {
        ListKind::Whole => note(
            path,
            Some(now.to_vec().into()),
            Some(members.to_vec().into()),
            out,
        ),
        ListKind::Set => {
            for item in members.iter().filter(|m| !now.contains(m)) {
                path.push(Step::Item(item.clone()));
                note(path, None, Some(item.clone()), out);
                path.pop();
            }
        }
        ListKind::Keyed(keys) => {
            for member in members {
                let key = keys
                    .iter()
                    .filter_map(|k| Some((k.clone(), member.get(k)?.clone())))
                    .collect();
                path.push(Step::Member(Json::Object(key)));
                match find(now, &keys, member) {
                    Some(found) => walk(member, found, place.member(found), path, out)?,
                    None if name == "containers" || name == "initContainers" => {
                        return Err(Unfit::UnknownContainer {
                            name: member["name"].as_str().unwrap_or_default().to_owned(),
                            known: now
                                .iter()
                                .filter_map(|c| c["name"].as_str().map(str::to_owned))
                                .collect(),
                        });
                    }
                    None => note(path, None, Some(without_nulls(member.clone())), out),
                }
                path.pop();
            }
        }
    }
    Ok(())
}

fn note(path: &[Step], former: Option<Json>, ours: Option<Json>, out: &mut Vec<Touched>) {
    out.push(Touched {
        path: path.to_vec(),
        former,
        ours,
    });
}

impl Touched {
    /// The same field with what the server made of our value.
    pub(crate) fn settled(mut self, live: &Json) -> Self {
        self.ours = lookup(live, &self.path).cloned();
        self
    }

    /// Whether it is the same field, or one inside the other.
    fn overlaps(&self, other: &Touched) -> bool {
        let shorter = self.path.len().min(other.path.len());
        self.path[..shorter] == other.path[..shorter]
    }

    /// The field in words: `spec.template.spec.containers[app].env[HOST]`.
    fn place(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if out.is_empty() => out.push_str(name),
                Step::Field(name) => {
                    out.push('.');
                    out.push_str(name);
                }
                Step::Item(value) => out.push_str(&bracket(value)),
                Step::Member(key) => {
                    let first = key.as_object().and_then(|k| k.values().next());
                    out.push_str(&bracket(first.unwrap_or(&Json::Null)));
                }
            }
        }
        out
    }
}

fn bracket(value: &Json) -> String {
    match value {
        Json::String(text) => format!("[{text}]"),
        other => format!("[{other}]"),
    }
}

/// What a later patch, which speaks of the fields `addressed`, means for what an earlier one recorded: fields of both
/// keep the first former value. The second list holds the fields that only the earlier one touched.
pub(crate) fn carry(earlier: Vec<Touched>, addressed: Vec<Touched>) -> (Vec<Touched>, Vec<Touched>) {
    let (kept, dropped): (Vec<_>, Vec<_>) = earlier
        .into_iter()
        .partition(|old| addressed.iter().any(|new| new.overlaps(old)));
    let changed = addressed.into_iter().filter(|new| new.former != new.ours);
    let fresh: Vec<_> = changed
        .filter(|new| !kept.iter().any(|old| old.overlaps(new)))
        .collect();
    (kept.into_iter().chain(fresh).collect(), dropped)
}

/// Puts former values back into `object`, each only where the field still holds our value. Gives the fields left alone
/// because somebody has changed them since.
pub(crate) fn restore(object: &mut Json, touched: &[Touched]) -> Vec<String> {
    let mut left = Vec::new();
    for field in touched {
        let now = lookup(object, &field.path).cloned();
        if now == field.former {
            continue;
        }
        if now == field.ours {
            put(object, &field.path, field.former.as_ref());
        } else {
            left.push(field.place());
        }
    }
    left
}

fn lookup<'j>(value: &'j Json, path: &[Step]) -> Option<&'j Json> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item(item) => value.as_array()?.iter().find(|m| *m == item),
        Step::Member(key) => {
            let keys: Vec<String> = key.as_object()?.keys().cloned().collect();
            value.as_array()?.iter().find(|m| same_key(m, &keys, key))
        }
    })
}

fn put(value: &mut Json, path: &[Step], former: Option<&Json>) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match (step, value) {
        (Step::Field(name), Json::Object(fields)) => {
            if !rest.is_empty() {
                if let Some(part) = fields.get_mut(name) {
                    put(part, rest, former);
                }
            } else if let Some(former) = former {
                fields.insert(name.clone(), former.clone());
            } else {
                fields.remove(name);
            }
        }
        (Step::Member(key), Json::Array(members)) => {
            let keys: Vec<String> = key
                .as_object()
                .map(|k| k.keys().cloned().collect())
                .unwrap_or_default();
            let at = members.iter().position(|m| same_key(m, &keys, key));
            put_member(members, at, rest, former);
        }
        (Step::Item(item), Json::Array(members)) => {
            let at = members.iter().position(|m| m == item);
            put_member(members, at, rest, former);
        }
        _ => {}
    }
}

fn put_member(members: &mut Vec<Json>, at: Option<usize>, rest: &[Step], former: Option<&Json>) {
    match (at, former) {
        (Some(at), former) if !rest.is_empty() => put(&mut members[at], rest, former),
        (Some(at), Some(former)) => members[at] = former.clone(),
        (Some(at), None) => {
            members.remove(at);
        }
        (None, Some(former)) if rest.is_empty() => members.push(former.clone()),
        (None, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Json {
        json!({"spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "a:1",
            "env": [{"name": "PASSWORD", "value": "literal"}, {"name": "KEEP", "value": "1"}]}]}}}})
    }

    fn patch() -> Json {
        json!({"spec": {"template": {"metadata": {"annotations": {"digest": "d"}}, "spec": {"containers": [
            {"name": "app", "env": [
                {"name": "HOST", "value": "h"},
                {"name": "PASSWORD", "value": null, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}}}})
    }

    /// What the server makes of [`deployment`] and [`patch`].
    fn patched() -> Json {
        json!({"spec": {"template": {"metadata": {"annotations": {"digest": "d"}}, "spec": {"containers": [
            {"name": "app", "image": "a:1", "env": [
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "KEEP", "value": "1"}, {"name": "HOST", "value": "h"}]}]}}}})
    }

    fn settled() -> Vec<Touched> {
        let addressed = addressed(&patch(), &deployment(), Merge::Strategic("")).unwrap();
        let (touched, dropped) = carry(Vec::new(), addressed);
        assert!(dropped.is_empty());
        touched.into_iter().map(|t| t.settled(&patched())).collect()
    }

    #[test]
    fn everything_is_put_back() {
        let mut object = patched();
        assert_eq!(restore(&mut object, &settled()), Vec::<String>::new());
        assert_eq!(object, deployment());
    }

    #[test]
    fn what_others_changed_is_left_alone() {
        let mut object = patched();
        object["spec"]["template"]["spec"]["containers"][0]["env"][2]["value"] = "theirs".into();
        assert_eq!(
            restore(&mut object, &settled()),
            ["spec.template.spec.containers[app].env[HOST]"]
        );
        let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        assert_eq!(env[2]["value"], "theirs");
        assert_eq!(env[0], json!({"name": "PASSWORD", "value": "literal"}));
    }

    #[test]
    fn a_second_patch_keeps_the_first_former_values() {
        let next = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "app", "env": [{"name": "HOST", "value": "other"}]}]}}}});
        let now = addressed(&next, &patched(), Merge::Strategic("")).unwrap();
        let (all, dropped) = carry(settled(), now);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].former, None);
        let mut object = patched();
        assert!(restore(&mut object, &dropped).is_empty());
        let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        assert_eq!(env[0]["value"], "literal");
    }

    #[test]
    fn the_same_patch_again_drops_nothing() {
        let again = addressed(&patch(), &patched(), Merge::Strategic("")).unwrap();
        let (all, dropped) = carry(settled(), again);
        assert_eq!((all, dropped), (settled(), vec![]));
    }

    #[test]
    fn a_container_is_never_added() {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "ap", "image": "b"}]}}}});
        assert_eq!(
            addressed(&patch, &deployment(), Merge::Strategic("")),
            Err(Unfit::UnknownContainer {
                name: "ap".into(),
                known: vec!["app".into()]
            })
        );
    }

    #[test]
    fn directives_are_refused() {
        let patch = json!({"spec": {"$patch": "replace"}});
        assert_eq!(
            addressed(&patch, &deployment(), Merge::Strategic("")),
            Err(Unfit::Directive("$patch".into()))
        );
    }
}
