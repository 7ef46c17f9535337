//! What a command that reaches real systems works with: runtime, signals, connections.

use std::future::Future;
use std::sync::Arc;

use stack_engine::event::Event;
use stack_engine::{Connections, Interrupt, Looked, PlanError};
use stack_plan::{Answers, Options, Plan};
use stack_state::State;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;
use crate::ui::{Progress, Ui};
use crate::workspace::Workspace;

/// A command at work.
pub(crate) struct Run {
    /// Signals of the user.
    pub(crate) interrupt: Interrupt,
    /// Connected providers.
    pub(crate) connections: Connections,
    /// Who takes the events.
    pub(crate) events: Arc<dyn Progress>,
}

impl Run {
    /// Starts to listen for signals. Must be called inside the runtime.
    pub(crate) fn start(workspace: &Workspace, ui: &Ui) -> Result<Self, CommandError> {
        Self::start_with(workspace, ui.events(&workspace.map))
    }

    /// The same with events that go elsewhere, too.
    pub(crate) fn start_with(workspace: &Workspace, events: Arc<dyn Progress>) -> Result<Self, CommandError> {
        let interrupt = Interrupt::new();
        let connections = Connections::new(workspace.providers.clone(), interrupt.abandon().clone())
            .with_timeouts_of(&workspace.configuration);
        listen(&interrupt, &events)?;
        Ok(Self {
            interrupt,
            connections,
            events,
        })
    }

    /// Looks at what became of operations that are pending in a state; `None` if there are none.
    pub(crate) async fn look(&self, state: &State) -> Option<Looked> {
        if state.pending.is_empty() {
            return None;
        }
        let looked = stack_engine::look(state, &self.connections, &*self.events, &self.interrupt).await;
        Some(looked)
    }

    /// Makes a plan.
    pub(crate) async fn plan(
        &self,
        workspace: &Workspace,
        state: &State,
        options: &Options,
    ) -> Result<(Plan, Answers), CommandError> {
        let input = workspace.input(state, options);
        let planned = stack_engine::plan(input, &self.connections, &*self.events, &self.interrupt).await;
        self.events.finish();
        planned.map_err(|error| match error {
            PlanError::Diagnostics(diagnostics) => {
                let mut all = workspace.warnings.clone();
                all.extend(diagnostics);
                CommandError::from(all).with_sources(&workspace.map)
            }
            PlanError::Interrupted => CommandError::interrupted(),
        })
    }
}

/// Hands SIGINT and SIGTERM to the interrupt for as long as the runtime lives.
fn listen(interrupt: &Interrupt, events: &Arc<dyn Progress>) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(
            "STK0508",
            "Signals not available",
            crate::error::sentence(&error.to_string()),
        )
    };
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(failed)?;
        let (interrupt, events) = (interrupt.clone(), events.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let count = interrupt.signal();
                if count <= 2 {
                    events.event(Event::Interrupted {
                        abandoning: count == 2,
                    });
                }
            }
        });
    }
    Ok(())
}

/// Runs a future to its end. Calls that were abandoned are not waited for.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            CommandError::new(
                "STK0508",
                "Cannot start",
                crate::error::sentence(&error.to_string()),
            )
        })?;
    let out = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(out)
}
