//! Providers that reach nothing: `stack` (values kept in the state) and `random` (values drawn once and kept).

mod data;
mod id;
mod password;
mod random;

pub use data::{StackData, StackDataModel};
pub use id::{RandomId, RandomIdModel};
pub use password::{RandomPassword, RandomPasswordModel};
use stack_core::Schema;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};

/// A provider that takes no arguments.
#[derive(Clone, Debug, Schema)]
pub struct NoArguments {}

/// Provider `stack`: `stack_data`.
#[derive(Clone, Copy, Debug)]
pub struct StackProvider;

#[async_trait]
impl Provider for StackProvider {
    const NAME: &'static str = "stack";
    const LOCAL: bool = true;
    type Config = NoArguments;
    type Client = ();

    async fn connect(_: &Cx, _: NoArguments) -> Result<(), ProviderError> {
        Ok(())
    }

    fn register(registry: &mut Registry<()>) {
        registry.resource::<StackData>();
    }
}

/// Provider `random`: `random_id` and `random_password`.
#[derive(Clone, Copy, Debug)]
pub struct RandomProvider;

#[async_trait]
impl Provider for RandomProvider {
    const NAME: &'static str = "random";
    const LOCAL: bool = true;
    type Config = NoArguments;
    type Client = ();

    async fn connect(_: &Cx, _: NoArguments) -> Result<(), ProviderError> {
        Ok(())
    }

    fn register(registry: &mut Registry<()>) {
        registry.resource::<RandomId>().resource::<RandomPassword>();
    }
}
