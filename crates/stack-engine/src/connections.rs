//! Connected providers, one per configuration, made when first needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stack_config::Configuration;
use stack_core::{ProviderAddress, Value};
use stack_provider::{AnyClient, Cx, ErrorKind, Hidden, ProviderError, Sessions};
use stack_state::State;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::Providers;
use crate::limits::{Limits, Pass};
use crate::timeouts::Timeouts;

/// Most remote calls of a command at a time, unless the user says otherwise.
pub(crate) const PARALLELISM: usize = 32;

/// A connected provider and how many calls it takes at a time.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: AnyClient,
    pub(crate) calls: Arc<Limits>,
}

type Slot = Arc<OnceCell<Connection>>;

/// All connections of one command.
pub struct Connections {
    pub(crate) providers: Arc<Providers>,
    sessions: Arc<Sessions>,
    cancel: CancellationToken,
    hidden: Hidden,
    calls: Arc<Semaphore>,
    pub(crate) timeouts: Timeouts,
    slots: Mutex<BTreeMap<(String, Value), Slot>>,
}

impl Connections {
    /// No connections yet. `cancel` ends every call.
    pub fn new(providers: Arc<Providers>, cancel: CancellationToken) -> Self {
        Self {
            providers,
            sessions: Sessions::new(),
            cancel,
            hidden: Hidden::default(),
            calls: Arc::new(Semaphore::new(PARALLELISM)),
            timeouts: Timeouts::default(),
            slots: Mutex::default(),
        }
    }

    /// Keeps what is sensitive in a value out of everything that providers say from now on.
    pub(crate) fn hide(&self, value: &Value) {
        self.hidden.add(value);
    }

    /// [`Connections::hide`] for several.
    pub(crate) fn hide_all<'v>(&self, values: impl IntoIterator<Item = &'v Value>) {
        for value in values {
            self.hide(value);
        }
    }

    /// The object as it may be recorded: what says a secret again is one.
    pub(crate) fn marked(&self, value: Value) -> Value {
        self.hidden.marked(value)
    }

    /// Hides everything sensitive that is recorded in a state.
    pub(crate) fn hide_recorded(&self, state: &State) {
        for (_, _, object) in state.objects() {
            self.hide(&object.attributes);
        }
        self.hide_all(state.outputs.values());
    }

    /// At most this many remote calls at a time, reads included. Work that reaches nothing is not counted.
    #[must_use]
    pub fn with_parallelism(mut self, calls: usize) -> Self {
        self.calls = Arc::new(Semaphore::new(calls.max(1)));
        self
    }

    /// Takes the `timeouts` blocks of a configuration to heart.
    #[must_use]
    pub fn with_timeouts_of(mut self, configuration: &Configuration) -> Self {
        self.timeouts = Timeouts::of(configuration);
        self
    }

    /// Whether a provider reaches nothing.
    pub(crate) fn is_local(&self, address: &ProviderAddress) -> bool {
        let entry = self.providers.providers.get(&*address.name);
        entry.is_some_and(|entry| entry.provider.local)
    }

    /// Remote calls of one API that one configuration of a provider takes at a time.
    pub(crate) fn most_calls(&self, address: &ProviderAddress, api: &str) -> usize {
        let Some(entry) = self.providers.providers.get(&*address.name) else {
            return 1;
        };
        let own = entry.provider.apis.iter().find(|own| own.name == api);
        own.map_or(entry.provider.parallelism, |own| own.limit).max(1)
    }

    /// Waits for the turn of a call. `begun` is the time of the operation, which begins with its first call.
    pub(crate) async fn turn(
        &self,
        connection: &Connection,
        timeout: Duration,
        begun: &mut Option<Cx>,
        api: &str,
    ) -> Result<(Pass, Cx), ProviderError> {
        if let Some(cx) = begun {
            return Ok((connection.calls.enter(cx, api).await?, cx.clone()));
        }
        let (pass, cx) = connection.calls.begin(&self.cx(timeout), timeout, api).await?;
        *begun = Some(cx.clone());
        Ok((pass, cx))
    }

    /// A context for one call.
    pub(crate) fn cx(&self, timeout: Duration) -> Cx {
        Cx::new(self.sessions.clone(), self.cancel.clone(), timeout).hiding(self.hidden.clone())
    }

    /// The connection of a provider configuration.
    pub(crate) async fn get(
        &self,
        address: &ProviderAddress,
        arguments: &Value,
    ) -> Result<Connection, ProviderError> {
        let name = address.name.to_string();
        let entry = self.providers.providers.get(name.as_str()).ok_or_else(|| {
            ProviderError::new(ErrorKind::InvalidArgument, format!("there is no provider {name}"))
        })?;
        if !arguments.is_wholly_known() && !entry.provider.local {
            let message = format!("arguments of {address} are not known");
            return Err(ProviderError::new(ErrorKind::InvalidArgument, message));
        }
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry((name, arguments.unmark_deep())).or_default().clone()
        };
        let connect = || async {
            let cx = self.cx(Duration::from_secs(60));
            let client = cx.bounded(entry.provider.connect(&cx, arguments)).await??;
            let calls = Arc::new(Limits::of(&entry.provider, self.calls.clone()));
            Ok::<_, ProviderError>(Connection { client, calls })
        };
        slot.get_or_try_init(connect).await.cloned()
    }
}
