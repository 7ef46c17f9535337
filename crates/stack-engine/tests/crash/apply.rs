//! The process that applies: what `stack apply` and `stack destroy` do, from opening the state to closing it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use stack_config::sources::MemorySources;
use stack_core::{Diagnostics, Value};
use stack_engine::backend::key::KeyInputs;
use stack_engine::backend::{Backend, Holder, Local};
use stack_engine::event::{Event, Events};
use stack_engine::store::{Store, StoreSettings};
use stack_engine::{ApplyOptions, Connections, Interrupt, PlanError, Providers};
use stack_plan::{Mode, Options, PlanInput};
use stack_provider::AnyProvider;
use stack_testkit::cloud::{CloudProvider, GuestProvider, SOCKET_VARIABLE};

use crate::gate::Gated;

/// The configuration in the folder that a process works in.
pub(crate) const CONFIGURATION: &str = "main.hcl";

/// The folder below it with the state.
pub(crate) const STATE: &str = "state";

/// The exit status that says that there was nothing to do.
pub(crate) const NOTHING: u8 = 10;

/// What the journal's gate passes once recovery is over.
pub(crate) const RECOVERED: &str = "recovered";

/// What the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Apply,
    Destroy,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        let roles = [Self::Apply, Self::Destroy];
        roles.into_iter().find(|role| role.name() == name).unwrap()
    }
}

struct Quiet;

impl Events for Quiet {
    fn event(&self, _: Event) {}
}

/// Runs the process in a folder.
pub(crate) fn run(folder: &Path, role: Role) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match runtime.block_on(work(folder, role)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOTHING),
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether there was anything to do.
async fn work(folder: &Path, role: Role) -> Result<bool, Diagnostics> {
    let text = std::fs::read_to_string(folder.join(CONFIGURATION)).unwrap();
    let sources = MemorySources::new().with(CONFIGURATION, text);
    let loaded = stack_config::load(&sources, "");
    let Some(configuration) = loaded.configuration.filter(|_| !loaded.diagnostics.has_errors()) else {
        return Err(loaded.diagnostics);
    };
    let socket = std::env::var_os(SOCKET_VARIABLE).unwrap();
    let local = Arc::new(Local::new(&folder.join(STATE), "default"));
    let backend = Arc::new(Gated::new(local, Path::new(&socket)));
    let (store, state) = Store::open(StoreSettings {
        backend: backend.clone() as Arc<dyn Backend>,
        keys: Arc::new(KeyInputs::default()),
        environment: "default".to_owned(),
        tool_version: "0".to_owned(),
        expires: None,
        holder: Holder::current(role.name()),
        lock_timeout: Duration::from_secs(10),
    })
    .await
    .unwrap();
    let providers = Arc::new(
        Providers::new()
            .with(AnyProvider::of::<stack_provider_core::StackProvider>())
            .with(AnyProvider::of::<CloudProvider>())
            .with(AnyProvider::of::<GuestProvider>()),
    );
    let interrupt = Interrupt::new();
    let connections = Connections::new(providers.clone(), interrupt.abandon().clone());
    let state = if state.pending.is_empty() {
        state
    } else {
        backend.know(&state);
        stack_engine::recover(&state, &store, &connections, &Quiet, &interrupt).await?;
        store.state()
    };
    backend.pass(RECOVERED);
    let options = Options {
        mode: match role {
            Role::Apply => Mode::Normal,
            Role::Destroy => Mode::Destroy,
        },
        ..Options::default()
    };
    let variables = BTreeMap::<Arc<str>, Value>::new();
    let input = PlanInput {
        configuration: &configuration,
        sources: &sources,
        catalog: &*providers,
        state: &state,
        variables: &variables,
        environment: "default",
        timestamp: "2026-01-01T00:00:00Z",
        options: &options,
    };
    let planned = stack_engine::plan(input, &connections, &Quiet, &interrupt).await;
    let (plan, _) = planned.map_err(|error| match error {
        PlanError::Diagnostics(diagnostics) => diagnostics,
        PlanError::Interrupted => Diagnostics::new(),
    })?;
    let changes = plan.has_changes();
    let apply = ApplyOptions::default();
    let applied = stack_engine::apply(&plan, input, &store, &connections, &Quiet, &interrupt, &apply).await;
    store.close().await.unwrap();
    if applied.diagnostics.has_errors() || applied.interrupted {
        return Err(applied.diagnostics);
    }
    Ok(changes)
}
