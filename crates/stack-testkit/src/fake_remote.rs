//! A remote system in memory with one type of object, well-behaved or with a flaw: shows that the contract kit finds
//! what it is there to find.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stack_core::{Schema, Value};
use stack_provider::contract::{Fault, Faults};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

/// A way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A second create with the same token makes a second object.
    ForgetsToken,
    /// An update is accepted and does nothing.
    IgnoresUpdate,
    /// A second delete fails.
    DeletesOnce,
    /// What is read is spelled differently from what was set.
    Normalises,
    /// A failed create leaves an object that cannot be found.
    HidesTags,
}

/// The system.
#[derive(Default)]
pub struct FakeRemote {
    flaw: Option<Flaw>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    things: BTreeMap<String, Stored>,
    made: usize,
    fault: Option<(usize, Fault)>,
    calls: usize,
    came: bool,
}

#[derive(Clone)]
struct Stored {
    name: String,
    size: i64,
    owner: (String, String),
}

impl FakeRemote {
    /// A system with this flaw, or none.
    pub fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            ..Self::default()
        }
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        self.lock().things.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One remote call: `change` takes effect unless the call is refused; its answer may get lost.
    fn call<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Inner) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let mut inner = self.lock();
        inner.calls += 1;
        let fault = inner
            .fault
            .filter(|(nth, _)| *nth == inner.calls)
            .map(|(_, fault)| fault);
        inner.came |= fault.is_some();
        let failed = || Err(ProviderError::new(ErrorKind::Unavailable, "no answer").operation(operation));
        if fault == Some(Fault::Refused) {
            return failed();
        }
        let answer = change(&mut inner);
        if fault == Some(Fault::AnswerLost) {
            failed()
        } else {
            answer
        }
    }
}

impl Faults for FakeRemote {
    fn arm(&self, nth: usize, fault: Fault) {
        let mut inner = self.lock();
        (inner.fault, inner.calls, inner.came) = (Some((nth, fault)), 0, false);
    }

    fn disarm(&self) -> bool {
        let mut inner = self.lock();
        inner.fault = None;
        inner.came
    }
}

/// An object of the system.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct ThingModel {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// Size.
    pub size: i64,
    /// Id.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `fake_thing`.
#[derive(Clone, Copy, Debug)]
pub struct Thing;

fn model(id: &str, stored: &Stored) -> ThingModel {
    ThingModel {
        name: stored.name.clone(),
        size: stored.size,
        id: Some(id.to_owned()),
    }
}

#[async_trait]
impl Resource for Thing {
    const TYPE: &'static str = "fake_thing";
    const OWNERSHIP: Ownership = Ownership::Token;
    type Model = ThingModel;
    type Client = FakeRemote;

    async fn read(
        _: &Cx,
        remote: &FakeRemote,
        prior: &ThingModel,
    ) -> Result<Option<ThingModel>, ProviderError> {
        let id = prior.id.clone().unwrap_or_default();
        let found = remote.call("Read", |inner| Ok(inner.things.get(&id).map(|s| model(&id, s))))?;
        Ok(found.map(|mut found| {
            if remote.flaw == Some(Flaw::Normalises) {
                found.name = found.name.to_uppercase();
            }
            found
        }))
    }

    async fn create(
        cx: &Cx,
        remote: &FakeRemote,
        owner: &Owner,
        planned: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        let key = (owner.lineage.clone(), owner.token.clone());
        let id = remote.call("Create", |inner| {
            let known = inner
                .things
                .iter()
                .find(|(_, s)| s.owner == key)
                .map(|(id, _)| id.clone());
            if let Some(id) = known.filter(|_| remote.flaw != Some(Flaw::ForgetsToken)) {
                return Ok(id);
            }
            inner.made += 1;
            let id = format!("t-{}", inner.made);
            let stored = Stored {
                name: planned.name.clone(),
                size: planned.size,
                owner: key,
            };
            inner.things.insert(id.clone(), stored);
            Ok(id)
        })?;
        let made = ThingModel {
            id: Some(id),
            ..planned
        };
        cx.partial(&made).await?;
        match remote.call("Wait", |_| Ok(())) {
            Ok(()) => Ok(made),
            Err(error) => Err(Failure::with(error, made)),
        }
    }

    async fn update(
        _: &Cx,
        remote: &FakeRemote,
        prior: &ThingModel,
        planned: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        let id = prior.id.clone().unwrap_or_default();
        remote.call("Update", |inner| {
            if let Some(stored) = inner
                .things
                .get_mut(&id)
                .filter(|_| remote.flaw != Some(Flaw::IgnoresUpdate))
            {
                stored.size = planned.size;
            }
            Ok(())
        })?;
        Ok(planned)
    }

    async fn delete(_: &Cx, remote: &FakeRemote, prior: &ThingModel) -> Result<(), ProviderError> {
        let id = prior.id.clone().unwrap_or_default();
        remote.call("Delete", |inner| match inner.things.remove(&id) {
            None if remote.flaw == Some(Flaw::DeletesOnce) => {
                Err(ProviderError::new(ErrorKind::NotFound, "there is no such thing"))
            }
            _ => Ok(()),
        })
    }

    async fn find(
        _: &Cx,
        remote: &FakeRemote,
        owner: &Owner,
        _: &Value,
    ) -> Result<Option<ThingModel>, ProviderError> {
        let key = (owner.lineage.clone(), owner.token.clone());
        let hidden = remote.flaw == Some(Flaw::HidesTags);
        remote.call("Find", |inner| {
            let found = inner.things.iter().find(|(_, s)| s.owner == key && !hidden);
            Ok(found.map(|(id, stored)| model(id, stored)))
        })
    }
}
