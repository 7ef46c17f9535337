//! The steps of the kit without failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stack_core::{Decode as _, Path, Value};

use super::planned::{self, Planned};
use super::{Change, Effect, Harness, Violation, list};
use crate::{Cx, Failure, Observer, Owner, Ownership, ProviderError, Resource};

/// Remembers the object a call reported before it ended.
#[derive(Default)]
struct Partial(Mutex<Option<Value>>);

#[async_trait]
impl Observer for Partial {
    fn progress(&self, _: &str) {}
    async fn partial(&self, object: Value) -> Result<(), ProviderError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(object);
        Ok(())
    }
}

/// A failed call and the object it left behind, as far as the engine knows.
pub(super) struct Failed {
    pub(super) error: ProviderError,
    pub(super) object: Option<Value>,
}

/// The kit at work on one type.
pub(super) struct Run<'h, H: Harness> {
    pub(super) harness: &'h H,
    tokens: AtomicUsize,
}

type R<H> = <H as Harness>::Resource;
type Model<H> = <<H as Harness>::Resource as Resource>::Model;

impl<'h, H: Harness> Run<'h, H> {
    pub(super) fn new(harness: &'h H) -> Self {
        let tokens = AtomicUsize::new(0);
        Self { harness, tokens }
    }

    pub(super) fn violation(&self, step: &str, message: impl Into<String>) -> Violation {
        Violation {
            ty: R::<H>::TYPE,
            step: step.to_owned(),
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn failed(&self, step: &str, error: ProviderError) -> Violation {
        let message = format!("failed with {:?} ({error})", error.kind);
        Violation {
            source: Some(Box::new(error)),
            ..self.violation(step, message)
        }
    }

    /// An owner with a token that no other create attempt has.
    pub(super) fn owner(&self) -> Owner {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let token = format!("contract-{}-{number}", std::process::id());
        Owner {
            lineage: "contract".to_owned(),
            token,
            address: stack_core::ResourceAddress {
                module: stack_core::ModulePath::default(),
                mode: stack_core::Mode::Managed,
                ty: R::<H>::TYPE.into(),
                name: "contract".into(),
                key: stack_core::InstanceKey::None,
            },
            environment: "contract".to_owned(),
        }
    }

    pub(super) fn arguments(&self) -> Value {
        self.harness.arguments().encode()
    }

    pub(super) fn plan(&self, prior: Option<&Value>, arguments: &Value) -> Planned {
        planned::plan::<R<H>>(prior, arguments)
    }

    fn decode(&self, step: &str, value: &Value) -> Result<Model<H>, Violation> {
        Model::<H>::decode(value, &Path::root())
            .map_err(|e| self.violation(step, format!("the object does not fit its own type: {e}")))
    }

    async fn call<F>(&self, call: F) -> Result<Value, Failed>
    where
        F: AsyncFnOnce(Cx) -> Result<Model<H>, Failure<Model<H>>>,
    {
        let partial = Arc::new(Partial::default());
        let cx = self.harness.cx().observed(partial.clone());
        let done = call(cx).await.map(|m| m.encode());
        done.map_err(|failure| {
            let reported = partial.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            Failed {
                error: failure.error,
                object: failure.object.map(|m| m.encode()).or(reported),
            }
        })
    }

    pub(super) async fn try_create(&self, owner: &Owner, planned: &Value) -> Result<Value, Failed> {
        let model = self.decode("create", planned).map_err(|v| Failed {
            error: ProviderError::internal(v.message),
            object: None,
        })?;
        let client = self.harness.client();
        self.call(async |cx| R::<H>::create(&cx, client, owner, model).await)
            .await
    }

    pub(super) async fn try_update(&self, prior: &Value, planned: &Value) -> Result<Value, Failed> {
        let decoded = self
            .decode("update", prior)
            .and_then(|p| Ok((p, self.decode("update", planned)?)));
        let (prior, planned) = decoded.map_err(|v| Failed {
            error: ProviderError::internal(v.message),
            object: None,
        })?;
        let client = self.harness.client();
        self.call(async |cx| R::<H>::update(&cx, client, &prior, planned).await)
            .await
    }

    pub(super) async fn try_delete(&self, object: &Value) -> Result<(), ProviderError> {
        let model = Model::<H>::decode(object, &Path::root())?;
        R::<H>::delete(&self.harness.cx(), self.harness.client(), &model).await
    }

    pub(super) async fn delete(&self, step: &str, object: &Value) -> Result<(), Violation> {
        self.try_delete(object).await.map_err(|e| self.failed(step, e))
    }

    pub(super) async fn read(&self, step: &str, object: &Value) -> Result<Option<Value>, Violation> {
        let model = self.decode(step, object)?;
        let (cx, client) = (self.harness.cx(), self.harness.client());
        let one = R::<H>::read(&cx, client, &model)
            .await
            .map_err(|e| self.failed(step, e))?;
        let many = R::<H>::read_many(&cx, client, &[model.clone(), model]).await;
        if many.len() != 2 {
            return Err(self.violation(
                step,
                format!("read_many gave {} answers to 2 questions", many.len()),
            ));
        }
        for answer in many {
            let answer = answer.map_err(|e| self.failed(step, e))?;
            let same = match (&one, &answer) {
                (None, None) => true,
                (Some(a), Some(b)) => planned::differences::<R<H>>(&a.encode(), &b.encode()).is_empty(),
                _ => false,
            };
            if !same {
                return Err(self.violation(step, "read and read_many disagree"));
            }
        }
        Ok(one.map(|m| m.encode()))
    }

    pub(super) async fn find(
        &self,
        step: &str,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Value>, Violation> {
        let found = R::<H>::find(&self.harness.cx(), self.harness.client(), owner, planned).await;
        Ok(found.map_err(|e| self.failed(step, e))?.map(|m| m.encode()))
    }

    /// A new object agrees with its plan, reads back the same, and needs no further change.
    pub(super) async fn settled(
        &self,
        step: &str,
        planned: Option<&Value>,
        new: &Value,
        arguments: &Value,
    ) -> Result<Value, Violation> {
        if let Some(planned) = planned {
            let wrong = planned::disagreements::<R<H>>(planned, new);
            if !wrong.is_empty() {
                return Err(self.violation(
                    step,
                    format!("the result disagrees with the plan at {}", list(&wrong)),
                ));
            }
        }
        let read = self.read(step, new).await?;
        let read = read.ok_or_else(|| self.violation(step, "the object reads as gone"))?;
        let drift = planned::differences::<R<H>>(new, &read);
        if !drift.is_empty() {
            return Err(self.violation(
                step,
                format!("a read right after shows a difference at {}", list(&drift)),
            ));
        }
        let again = self.plan(Some(&read), arguments);
        if !again.differs.is_empty() || !again.replace.is_empty() {
            let paths = [again.differs, again.replace].concat();
            return Err(self.violation(step, format!("a second plan would change {}", list(&paths))));
        }
        Ok(read)
    }

    pub(super) async fn create(&self, step: &str, owner: &Owner) -> Result<Value, Violation> {
        let arguments = self.arguments();
        let planned = self.plan(None, &arguments);
        let new = self
            .try_create(owner, &planned.value)
            .await
            .map_err(|f| self.failed(step, f.error))?;
        self.settled(step, Some(&planned.value), &new, &arguments).await
    }

    /// Deletes twice and reads.
    pub(super) async fn end(&self, owner: &Owner, object: &Value) -> Result<(), Violation> {
        self.delete("delete", object).await?;
        self.delete("delete of what is gone already", object).await?;
        if R::<H>::OWNERSHIP == Ownership::Local {
            return Ok(());
        }
        if self.read("read after delete", object).await?.is_some() {
            return Err(self.violation("read after delete", "the object is still there"));
        }
        let planned = self.plan(None, &self.arguments());
        if self
            .find("find after delete", owner, &planned.value)
            .await?
            .is_some()
        {
            return Err(self.violation("find after delete", "the object is still found"));
        }
        Ok(())
    }

    /// From create to delete.
    pub(super) async fn life(&self) -> Result<(), Violation> {
        let before = self.harness.count().await;
        let owner = self.owner();
        let planned = self.plan(None, &self.arguments());
        let ownership = R::<H>::OWNERSHIP;
        if ownership != Ownership::Local
            && self
                .find("find before create", &owner, &planned.value)
                .await?
                .is_some()
        {
            return Err(self.violation("find before create", "an object is found before one was made"));
        }
        let object = self.create("create", &owner).await?;
        if ownership != Ownership::Local {
            let found = self.find("find", &owner, &planned.value).await?;
            let found = found.ok_or_else(|| self.violation("find", "the object is not found"))?;
            self.settled("find", None, &found, &self.arguments()).await?;
            self.same_identity("find", &object, &found)?;
        }
        if ownership == Ownership::Token {
            let step = "second create with one token";
            let again = self.create(step, &owner).await?;
            self.same_identity(step, &object, &again)?;
            if let (Some(before), Some(now)) = (before, self.harness.count().await)
                && now != before + 1
            {
                return Err(self.violation(step, format!("made {} objects", now - before)));
            }
        }
        self.end(&owner, &object).await?;
        self.left_over("delete", before).await
    }

    /// The number of objects is what it was.
    pub(super) async fn left_over(&self, step: &str, before: Option<usize>) -> Result<(), Violation> {
        match (before, self.harness.count().await) {
            (Some(before), Some(now)) if now != before => {
                Err(self.violation(step, format!("{before} objects before, {now} after")))
            }
            _ => Ok(()),
        }
    }

    fn same_identity(&self, step: &str, a: &Value, b: &Value) -> Result<(), Violation> {
        let (a, b) = (a.attribute("id"), b.attribute("id"));
        if a.map(Value::unmark_deep) == b.map(Value::unmark_deep) {
            return Ok(());
        }
        Err(self.violation(step, format!("gives another object: {b:?}, not {a:?}")))
    }

    /// A change in place, or one that replaces as the type declares.
    pub(super) async fn change(&self, change: &Change<Model<H>>) -> Result<(), Violation> {
        let step = format!("change of {}", change.name);
        let owner = self.owner();
        let object = self.create(&step, &owner).await?;
        let arguments = change.arguments.encode();
        let planned = self.plan(Some(&object), &arguments);
        if planned.differs.is_empty() {
            return Err(self.violation(&step, "the plan sees no change"));
        }
        match (change.effect, planned.replace.is_empty()) {
            (Effect::InPlace, false) => {
                let message = format!("would replace the object because of {}", list(&planned.replace));
                return Err(self.violation(&step, message));
            }
            (Effect::Replace, true) => return Err(self.violation(&step, "would be made in place")),
            (Effect::Replace, false) => return self.end(&owner, &object).await,
            (Effect::InPlace, true) => {}
        }
        let new = self
            .try_update(&object, &planned.value)
            .await
            .map_err(|f| self.failed(&step, f.error))?;
        let new = self
            .settled(&step, Some(&planned.value), &new, &arguments)
            .await?;
        self.same_identity(&step, &object, &new)?;
        self.end(&owner, &new).await
    }
}
