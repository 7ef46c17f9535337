//! Reads a data source whose arguments were not known before.

use stack_plan::with_marks;
use stack_provider::{ErrorKind, RemoteCall};

use super::{Ended, Result, Run, id_of};
use crate::apply::prepare;
use crate::retry;

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
        let timeout = timeout.unwrap_or_else(|| data.timeout());
        let (mut tries, mut begun) = (0, None);
        let result = loop {
            let attempt = async {
                let connection = context.connections.get(provider, &arguments).await?;
                let turn = context
                    .connections
                    .turn(&connection, timeout, &mut begun, data.api());
                let (pass, cx) = turn.await?;
                let read = data.read(&cx, &connection.client, &config);
                let mut result = cx.bounded(read).await.and_then(|r| r);
                pass.end(result.as_mut());
                result
            };
            let error = match attempt.await {
                Ok(value) => break Ok(value),
                Err(error) => error,
            };
            let cx = begun.get_or_insert_with(|| context.connections.cx(timeout));
            if let Err(error) = retry::wait(cx, context.events, address, tries, error).await {
                break Err(error);
            }
            tries += 1;
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
