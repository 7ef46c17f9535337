//! Providers: configuration, connection and the list of types.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use async_trait::async_trait;
use stack_core::{SchemaOf, Value};

use crate::erased::{AnyDataSource, AnyResource, ErasedDataSource, ErasedResource};
use crate::{Cx, DataSource, ProviderError, Resource};

/// A group of remote calls that a system limits by itself, apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its name within the provider: `RunInstances`.
    pub name: &'static str,
    /// Calls at a time through one configuration. The engine goes below it while the system asks to slow down.
    pub limit: usize,
}

/// Code and configuration that reach one remote system.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Name in the configuration and prefix of its types: `aws`.
    const NAME: &'static str;
    /// Remote calls at a time through one configuration, besides those of [`Self::APIS`].
    const PARALLELISM: usize = 10;
    /// APIs that the system limits by themselves. A type says by [`Resource::api`] which of them a verb uses; what it
    /// does not assign counts against [`Self::PARALLELISM`].
    const APIS: &'static [Api] = &[];
    /// Arguments of the `provider` block. Those marked `identity` say which system it is; all others how to reach it.
    type Config: SchemaOf + Send + Sync + 'static;
    /// What resource types work with.
    type Client: Send + Sync + 'static;

    /// Connects, or prepares to connect on first use. The only place that may read the environment.
    async fn connect(cx: &Cx, config: Self::Config) -> Result<Self::Client, ProviderError>;

    /// Names its types.
    fn register(registry: &mut Registry<Self::Client>);

    /// Whether it needs no connection (`core`, `tls`); such a provider works with unknown configuration.
    const LOCAL: bool = false;
}

/// A pure function that configurations call as `provider::NAME::FUNCTION(...)`.
#[derive(Clone, Copy)]
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// Arguments in order, all known and unmarked.
    pub call: fn(&[Value]) -> Result<Value, String>,
}

/// The types of one provider.
pub struct Registry<C> {
    /// Resource types by name.
    pub resources: BTreeMap<&'static str, Box<dyn AnyResource>>,
    /// Data sources by name.
    pub data_sources: BTreeMap<&'static str, Box<dyn AnyDataSource>>,
    /// Functions.
    pub functions: Vec<Function>,
    client: PhantomData<fn(C)>,
}

impl<C: Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self {
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            functions: Vec::new(),
            client: PhantomData,
        }
    }
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// Adds a resource type.
    pub fn resource<R: Resource<Client = C>>(&mut self) -> &mut Self {
        self.resources
            .insert(R::TYPE, Box::new(ErasedResource::<R>::new()));
        self
    }

    /// Adds a data source.
    pub fn data_source<D: DataSource<Client = C>>(&mut self) -> &mut Self {
        self.data_sources
            .insert(D::TYPE, Box::new(ErasedDataSource::<D>::new()));
        self
    }

    /// Adds a function.
    pub fn function(&mut self, name: &'static str, call: fn(&[Value]) -> Result<Value, String>) -> &mut Self {
        self.functions.push(Function { name, call });
        self
    }
}
