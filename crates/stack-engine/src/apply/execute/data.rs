//! Reads a data source whose arguments were not known before.

use stack_plan::with_marks;
use stack_provider::{ErrorKind, RemoteCall};

use super::{Ended, Result, Run, id_of};
use crate::apply::prepare;

impl Run<'_, '_> {
    /// Reads the data source.
    pub(super) async fn read(&self) -> Result<Option<String>> {
        let context = self.context;
        let (address, provider) = (&self.change.address, &self.change.provider);
        let Some(data) = context.connections.providers.data_type(&address.ty) else {
            return Err(self.internal(&format!("There is no data source {}.", address.ty)));
        };
        let of_check = context
            .input
            .configuration
            .resource(address)
            .is_some_and(|r| r.check.is_some());
        let config = prepare::config(context, self.change, data.schema()).map_err(Ended::Failed)?;
        let arguments = context
            .provider_arguments(provider, None)
            .map_err(Ended::Failed)?;
        let timeout = context.connections.timeouts.configured(address, RemoteCall::Read);
        let cx = context.connections.cx(timeout.unwrap_or_else(|| data.timeout()));
        let mut tries = 0;
        let result = loop {
            let attempt = async {
                let connection = context.connections.get(provider, &arguments).await?;
                let pass = connection.calls.enter(&cx, data.api()).await?;
                let result = data.read(&cx, &connection.client, &config).await;
                pass.end(result.as_ref());
                result
            };
            match cx.bounded(attempt).await.and_then(|r| r) {
                Ok(value) => break Ok(value),
                Err(error) => {
                    let wait = crate::retry::wait(&cx, context.events, address, tries, error);
                    if let Err(error) = wait.await {
                        break Err(error);
                    }
                    tries += 1;
                }
            }
        };
        match result {
            Ok(value) => {
                let value = context
                    .connections
                    .marked(with_marks(data.schema(), value, Some(&config)));
                context.evaluator.set_object(address, value.clone());
                self.postconditions(&value)?;
                Ok(id_of(&value))
            }
            Err(error) if of_check && error.kind != ErrorKind::Cancelled => {
                let text = crate::observe::chain(error);
                context.failed_data.borrow_mut().insert(address.clone(), text);
                Ok(None)
            }
            Err(error) => Err(self.failure("Reading", error)),
        }
    }
}
