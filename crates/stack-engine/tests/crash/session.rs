//! One state folder and one cloud, and commands against them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stack_config::sources::MemorySources;
use stack_core::Value;
use stack_engine::backend::key::KeyInputs;
use stack_engine::backend::{Backend, Holder, Local};
use stack_engine::event::{Event, Events};
use stack_engine::store::{Store, StoreSettings};
use stack_engine::{ApplyOptions, Connections, Interrupt, Providers};
use stack_plan::{Mode, Options, PlanInput};
use stack_provider::AnyProvider;

use crate::cloud::{Cloud, Fake, Inside};
use crate::dying::Dying;

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Applied,
    NothingToDo,
    /// A write failed: the process counts as dead.
    Killed,
}

pub(crate) struct Session {
    folder: tempfile::TempDir,
    number: i64,
    pub(crate) cloud: Arc<Cloud>,
}

struct Quiet;

impl Events for Quiet {
    fn event(&self, _: Event) {}
}

impl Session {
    pub(crate) fn new() -> Self {
        let (number, cloud) = Cloud::open();
        Self {
            folder: tempfile::tempdir().unwrap(),
            number,
            cloud,
        }
    }

    fn local(&self) -> Arc<dyn Backend> {
        Arc::new(Local::new(self.folder.path(), "default"))
    }

    pub(crate) async fn apply(&self, configuration: &str, writes: Option<usize>) -> Ended {
        self.run(configuration, writes, Mode::Normal).await
    }

    pub(crate) async fn destroy(&self, writes: Option<usize>) -> Ended {
        self.run("", writes, Mode::Destroy).await
    }

    async fn run(&self, configuration: &str, writes: Option<usize>, mode: Mode) -> Ended {
        let text = configuration.replace(
            "provider \"inside\" {",
            &format!("provider \"inside\" {{\n  cloud = {}", self.number),
        );
        let text = format!("provider \"fake\" {{\n  cloud = {}\n}}\n{text}", self.number);
        let sources = MemorySources::new().with("main.hcl", text);
        let loaded = stack_config::load(&sources, "");
        assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics);
        let configuration = loaded.configuration.expect("a configuration without errors");
        let backend = match writes {
            Some(writes) => Arc::new(Dying::new(self.local(), writes)) as Arc<dyn Backend>,
            None => self.local(),
        };
        let settings = StoreSettings {
            backend,
            keys: Arc::new(KeyInputs::default()),
            environment: "default".to_owned(),
            tool_version: "0".to_owned(),
            expires: None,
            holder: Holder::current("test"),
            lock_timeout: Duration::from_secs(10),
        };
        let Ok((store, state)) = Store::open(settings).await else {
            return Ended::Killed;
        };
        let providers = Providers::new()
            .with(AnyProvider::of::<stack_provider_core::StackProvider>())
            .with(AnyProvider::of::<Fake>())
            .with(AnyProvider::of::<Inside>());
        let providers = Arc::new(providers);
        let interrupt = Interrupt::new();
        let connections = Connections::new(providers.clone(), interrupt.abandon().clone());
        let recovered = stack_engine::recover(&state, &store, &connections, &Quiet, &interrupt).await;
        if let Err(diagnostics) = recovered {
            assert!(writes.is_some(), "recovery: {diagnostics}");
            return Ended::Killed;
        }
        let state = store.state();
        let options = Options {
            mode,
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
        let (plan, _) = match stack_engine::plan(input, &connections, &Quiet, &interrupt).await {
            Ok(planned) => planned,
            Err(error) => panic!("planning: {error:?}"),
        };
        if !plan.has_changes() {
            return if store.close().await.is_ok() {
                Ended::NothingToDo
            } else {
                Ended::Killed
            };
        }
        let options = ApplyOptions::default();
        let applied =
            stack_engine::apply(&plan, input, &store, &connections, &Quiet, &interrupt, &options).await;
        if applied.diagnostics.has_errors() {
            assert!(writes.is_some(), "apply: {}", applied.diagnostics);
            return Ended::Killed;
        }
        if store.close().await.is_ok() {
            Ended::Applied
        } else {
            Ended::Killed
        }
    }

    /// Every object of the cloud is in the state and the other way round.
    pub(crate) fn assert_state_is_cloud(&self, point: &str) {
        let state = Store::read(&*self.local(), Arc::new(KeyInputs::default())).unwrap();
        let mut recorded = Vec::new();
        for (address, deposed, object) in state.iter().flat_map(|s| s.objects()) {
            assert!(deposed.is_none(), "{point}: {address} is deposed");
            let text = |name: &str| {
                object
                    .attributes
                    .attribute(name)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            match address.ty.as_ref() {
                "fake_server" => recorded.extend(text("id")),
                "inside_file" => {
                    let server = object
                        .identity
                        .attribute("server")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    recorded.push(format!("{server}{}", text("path").unwrap_or_default()));
                }
                _ => {}
            }
        }
        recorded.sort();
        let mut real = self.cloud.everything();
        real.sort();
        assert_eq!(recorded, real, "{point}: state and cloud differ");
        if let Some(state) = &state {
            assert!(state.pending.is_empty(), "{point}: operations are pending");
        }
    }
}
