//! What exists in the cloud, and what a call does to it. Pure: no time, no wire, no faults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::protocol::{Answer, Operation, Owned, Refusal, RefusalKind, Which};

/// Attributes of an object by name.
pub type Attributes = BTreeMap<String, Json>;

/// An object that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Given by the cloud, never used twice.
    pub id: String,
    /// What it is: `server`.
    pub kind: String,
    /// Its name; unique within a kind and container for objects without an owner.
    pub name: String,
    /// Everything else.
    pub attributes: Attributes,
    /// Tags of whoever made it; objects without tags have none.
    pub owner: Option<Owned>,
    /// Id of the object that it lives in and ends with.
    pub inside: Option<String>,
    /// Ids of objects that cannot end while this one exists.
    pub uses: Vec<String>,
    /// How many more reads do not see it yet.
    pub hidden: u32,
}

/// An object that was made at some time, whether or not it still exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Its name when it was made.
    pub name: String,
    /// Tags of whoever made it.
    pub owner: Option<Owned>,
}

/// Everything there is. It can be copied, stored and put back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Objects by id.
    pub objects: BTreeMap<String, Object>,
    /// Every object ever made, in order.
    pub made: Vec<Made>,
    /// Reads of a new object, by kind, that do not see it yet. Kinds not named are seen at once.
    pub delays: BTreeMap<String, u32>,
}

fn refuse<T>(kind: RefusalKind, message: String) -> Result<T, Refusal> {
    Err(Refusal { kind, message })
}

impl World {
    /// Lets a call take effect.
    ///
    /// # Errors
    /// The cloud refuses it; nothing has changed then.
    pub fn perform(&mut self, operation: &Operation) -> Result<Answer, Refusal> {
        match operation {
            Operation::Create { .. } => self.create(operation).map(Answer::Id),
            Operation::Read(which) => Ok(Answer::Objects(which.iter().map(|w| self.read(w)).collect())),
            Operation::Update { which, attributes } => {
                let object = self.existing(which)?;
                object.attributes.extend(attributes.clone());
                Ok(Answer::Done)
            }
            Operation::Delete(which) => self.delete(which),
            Operation::Enter { id } => {
                let there = self.objects.get(id).is_some_and(|object| object.hidden == 0);
                if there {
                    Ok(Answer::Done)
                } else {
                    refuse(RefusalKind::Unreachable, format!("{id} does not answer"))
                }
            }
        }
    }

    /// Puts an object there as somebody else would, and returns its id.
    pub fn put_foreign(&mut self, kind: &str, name: &str, attributes: Attributes) -> String {
        self.add(kind, name, attributes, None)
    }

    /// Objects ever made for one token, where they are more than one: there must be none.
    pub fn doubles(&self) -> Vec<String> {
        let mut seen: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
        for made in &self.made {
            if let Some(owner) = &made.owner {
                seen.entry((&made.kind, &owner.lineage, &owner.token))
                    .or_default()
                    .push(&made.id);
            }
        }
        let several = seen.into_iter().filter(|(_, ids)| ids.len() > 1);
        several
            .map(|((kind, _, token), ids)| format!("{kind} of token {token}: {}", ids.join(", ")))
            .collect()
    }

    /// The name under which people and logs know an object: its owner's address, else its container and name.
    pub fn label(&self, which: &Which) -> String {
        match which {
            Which::Token { owner, .. } => owner.address.clone(),
            Which::Id { kind, id } => match self.objects.get(id) {
                Some(object) => self.label_of(object),
                None => format!("{kind}:{}", self.ended_label(id)),
            },
            Which::Name { kind, inside, name } => self.named(kind, inside.as_deref(), name),
        }
    }

    fn label_of(&self, object: &Object) -> String {
        match &object.owner {
            Some(owner) => owner.address.clone(),
            None => self.named(&object.kind, object.inside.as_deref(), &object.name),
        }
    }

    fn ended_label(&self, id: &str) -> String {
        let made = self.made.iter().find(|made| made.id == id);
        made.map_or_else(|| id.to_owned(), |made| format!("ended {}", made.name))
    }

    fn named(&self, kind: &str, inside: Option<&str>, name: &str) -> String {
        match inside {
            None => format!("{kind}:{name}"),
            Some(id) => {
                let around = Which::Id {
                    kind: String::new(),
                    id: id.to_owned(),
                };
                format!("{kind}:{}:{name}", self.label(&around))
            }
        }
    }

    fn add(&mut self, kind: &str, name: &str, attributes: Attributes, owner: Option<Owned>) -> String {
        let id = format!("{kind}-{}", self.made.len() + 1);
        self.made.push(Made {
            id: id.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            owner: owner.clone(),
        });
        let object = Object {
            id: id.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            attributes,
            owner,
            inside: None,
            uses: Vec::new(),
            hidden: self.delays.get(kind).copied().unwrap_or_default(),
        };
        self.objects.insert(id.clone(), object);
        id
    }

    fn create(&mut self, operation: &Operation) -> Result<String, Refusal> {
        let Operation::Create {
            kind,
            name,
            attributes,
            owner,
            inside,
            uses,
        } = operation
        else {
            return refuse(RefusalKind::Invalid, "not a create".to_owned());
        };
        if let Some(owner) = owner
            && let Some(id) = self.made_for(kind, owner, name)?
        {
            return Ok(id);
        }
        for id in uses.iter().chain(inside) {
            if !self.objects.contains_key(id) {
                return refuse(RefusalKind::NotFound, format!("there is no {id}"));
            }
        }
        if owner.is_none() && self.find(&Which::named(kind, inside.as_deref(), name)).is_some() {
            return refuse(RefusalKind::Exists, format!("{kind} {name} exists already"));
        }
        let id = self.add(kind, name, attributes.clone(), owner.clone());
        if let Some(object) = self.objects.get_mut(&id) {
            object.inside.clone_from(inside);
            object.uses.clone_from(uses);
        }
        Ok(id)
    }

    /// The object that an earlier create with this token made.
    fn made_for(&self, kind: &str, owner: &Owned, name: &str) -> Result<Option<String>, Refusal> {
        let same = |made: &&Made| {
            made.kind == kind
                && made
                    .owner
                    .as_ref()
                    .is_some_and(|o| o.token == owner.token && o.lineage == owner.lineage)
        };
        let Some(made) = self.made.iter().find(same) else {
            return Ok(None);
        };
        if made.name != name {
            let message = format!(
                "the token made {}, which differs from what is asked now",
                made.name
            );
            return refuse(RefusalKind::Invalid, message);
        }
        if !self.objects.contains_key(&made.id) {
            let message = format!("the token made {}, which has ended", made.id);
            return refuse(RefusalKind::Invalid, message);
        }
        Ok(Some(made.id.clone()))
    }

    fn find(&self, which: &Which) -> Option<String> {
        match which {
            Which::Id { id, .. } => self.objects.contains_key(id).then(|| id.clone()),
            Which::Token { kind, owner } => {
                let ours = |object: &&Object| {
                    object.kind == *kind
                        && object
                            .owner
                            .as_ref()
                            .is_some_and(|o| o.token == owner.token && o.lineage == owner.lineage)
                };
                self.objects.values().find(ours).map(|object| object.id.clone())
            }
            Which::Name { kind, inside, name } => {
                let named = |object: &&Object| {
                    object.kind == *kind && object.name == *name && object.inside == *inside
                };
                self.objects.values().find(named).map(|object| object.id.clone())
            }
        }
    }

    /// Reads may be late: a new object is not seen by the first of them.
    fn read(&mut self, which: &Which) -> Option<Object> {
        let id = self.find(which)?;
        let object = self.objects.get_mut(&id)?;
        if object.hidden > 0 {
            object.hidden -= 1;
            return None;
        }
        Some(object.clone())
    }

    fn existing(&mut self, which: &Which) -> Result<&mut Object, Refusal> {
        let id = self.find(which);
        let object = id.and_then(|id| self.objects.get_mut(&id));
        object.ok_or_else(|| Refusal {
            kind: RefusalKind::NotFound,
            message: "there is no such object".to_owned(),
        })
    }

    fn delete(&mut self, which: &Which) -> Result<Answer, Refusal> {
        let id = self.existing(which)?.id.clone();
        let user = self.objects.values().find(|object| object.uses.contains(&id));
        if let Some(user) = user {
            let message = format!("{id} is in use by {}", user.id);
            return refuse(RefusalKind::InUse, message);
        }
        self.end(&id);
        Ok(Answer::Done)
    }

    /// Ends an object with everything inside it.
    fn end(&mut self, id: &str) {
        self.objects.remove(id);
        let inside: Vec<String> = self
            .objects
            .values()
            .filter(|object| object.inside.as_deref() == Some(id))
            .map(|object| object.id.clone())
            .collect();
        for id in inside {
            self.end(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(token: &str) -> Owned {
        Owned {
            lineage: "l".to_owned(),
            token: token.to_owned(),
            address: "cloud_server.a".to_owned(),
        }
    }

    fn server(token: &str, uses: &[String]) -> Operation {
        Operation::Create {
            kind: "server".to_owned(),
            name: "a".to_owned(),
            attributes: Attributes::new(),
            owner: Some(owner(token)),
            inside: None,
            uses: uses.to_vec(),
        }
    }

    fn id(answer: Result<Answer, Refusal>) -> String {
        match answer {
            Ok(Answer::Id(id)) => id,
            other => panic!("no id: {other:?}"),
        }
    }

    fn kind<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> RefusalKind {
        answer.unwrap_err().kind
    }

    #[test]
    fn one_token_makes_one_object_and_another_token_another() {
        let mut world = World::default();
        let first = id(world.perform(&server("t", &[])));
        assert_eq!(id(world.perform(&server("t", &[]))), first);
        let other = id(world.perform(&server("u", &[])));
        assert_ne!(other, first);
        assert_eq!((world.objects.len(), world.made.len()), (2, 2));
        assert_eq!(world.doubles(), Vec::<String>::new());
        world.made[1].owner = Some(owner("t"));
        assert_eq!(world.doubles(), ["server of token t: server-1, server-2"]);
    }

    #[test]
    fn a_token_is_used_up_by_its_object() {
        let mut world = World::default();
        let first = id(world.perform(&server("t", &[])));
        world
            .perform(&Operation::Delete(Which::id("server", &first)))
            .unwrap();
        assert_eq!(kind(world.perform(&server("t", &[]))), RefusalKind::Invalid);
        assert_eq!(world.made.len(), 1);
    }

    #[test]
    fn what_is_used_stays_and_what_is_inside_ends_with_its_container() {
        let mut world = World::default();
        let network = world.put_foreign("network", "n", Attributes::new());
        let server = id(world.perform(&server("t", std::slice::from_ref(&network))));
        let file = Operation::Create {
            kind: "file".to_owned(),
            name: "/f".to_owned(),
            attributes: Attributes::new(),
            owner: None,
            inside: Some(server.clone()),
            uses: Vec::new(),
        };
        world.perform(&file).unwrap();
        assert_eq!(kind(world.perform(&file)), RefusalKind::Exists);
        let delete = |id: &str| Operation::Delete(Which::id("x", id));
        assert_eq!(kind(world.perform(&delete(&network))), RefusalKind::InUse);
        world.perform(&delete(&server)).unwrap();
        assert_eq!(world.objects.len(), 1);
        assert_eq!(kind(world.perform(&delete(&server))), RefusalKind::NotFound);
        world.perform(&delete(&network)).unwrap();
        assert!(world.objects.is_empty());
    }

    #[test]
    fn a_new_object_may_be_seen_late() {
        let mut world = World::default();
        world.delays.insert("server".to_owned(), 2);
        let id = id(world.perform(&server("t", &[])));
        let enter = Operation::Enter { id: id.clone() };
        let by_id = Which::id("server", &id);
        let by_token = Which::Token {
            kind: "server".to_owned(),
            owner: owner("t"),
        };
        assert_eq!(kind(world.perform(&enter)), RefusalKind::Unreachable);
        for (which, seen) in [
            (&by_token, false),
            (&by_id, false),
            (&by_token, true),
            (&by_id, true),
        ] {
            let answer = world.perform(&Operation::Read(vec![which.clone()])).unwrap();
            let Answer::Objects(objects) = answer else {
                panic!("no objects")
            };
            assert_eq!(objects[0].is_some(), seen, "{which:?}");
        }
        world.perform(&enter).unwrap();
    }
}
