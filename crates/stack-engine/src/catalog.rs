//! All providers of the program, as the planner and the engine need them.

use std::collections::HashMap;
use std::sync::Arc;

use stack_core::{Mode, Path, Schema, Value};
use stack_plan::{Catalog, DataType, Refined, ResourceType};
use stack_provider::{AnyDataSource, AnyProvider, AnyResource, Function, Ownership};

/// One provider without its types.
pub(crate) struct ProviderEntry {
    pub(crate) provider: AnyProvider,
}

/// A resource type, seen by the planner.
struct Planned(Arc<dyn AnyResource>);

/// A data source, seen by the planner.
struct Read(Arc<dyn AnyDataSource>);

impl ResourceType for Planned {
    fn schema(&self) -> &Schema {
        self.0.schema()
    }
    fn is_local(&self) -> bool {
        self.0.ownership() == Ownership::Local
    }
    fn previews(&self) -> bool {
        self.0.previews()
    }
    fn refine(&self, prior: Option<&Value>, planned: Value) -> Refined {
        let refined = self.0.refine(prior, planned);
        Refined {
            planned: refined.planned,
            replace: refined.replace,
        }
    }
    fn validate(&self, config: &Value) -> Vec<(Path, String)> {
        self.0.validate(config)
    }
    fn same(&self, path: &Path, a: &Value, b: &Value) -> bool {
        self.0.same(path, a, b)
    }
}

impl DataType for Read {
    fn schema(&self) -> &Schema {
        self.0.schema()
    }
}

/// Every provider, resource type and data source by name.
#[derive(Default)]
pub struct Providers {
    pub(crate) providers: HashMap<&'static str, ProviderEntry>,
    resources: HashMap<&'static str, Planned>,
    data_sources: HashMap<&'static str, Read>,
    functions: HashMap<(&'static str, &'static str), Function>,
}

impl Providers {
    /// No providers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider with all its types.
    #[must_use]
    pub fn with(mut self, mut provider: AnyProvider) -> Self {
        for (name, resource) in std::mem::take(&mut provider.resources) {
            self.resources.insert(name, Planned(Arc::from(resource)));
        }
        for (name, data_source) in std::mem::take(&mut provider.data_sources) {
            self.data_sources.insert(name, Read(Arc::from(data_source)));
        }
        for function in std::mem::take(&mut provider.functions) {
            self.functions.insert((provider.name, function.name), function);
        }
        self.providers.insert(provider.name, ProviderEntry { provider });
        self
    }

    pub(crate) fn resource_type(&self, name: &str) -> Option<Arc<dyn AnyResource>> {
        self.resources.get(name).map(|t| t.0.clone())
    }

    pub(crate) fn data_type(&self, name: &str) -> Option<Arc<dyn AnyDataSource>> {
        self.data_sources.get(name).map(|t| t.0.clone())
    }

    /// Names of all providers, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.providers.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Names of all types of a mode, sorted.
    pub fn types(&self, mode: Mode) -> Vec<&'static str> {
        let mut names: Vec<_> = match mode {
            Mode::Managed => self.resources.keys().copied().collect(),
            Mode::Data => self.data_sources.keys().copied().collect(),
        };
        names.sort_unstable();
        names
    }
}

impl Catalog for Providers {
    fn resource(&self, ty: &str) -> Option<&dyn ResourceType> {
        self.resources.get(ty).map(|t| t as &dyn ResourceType)
    }
    fn data_source(&self, ty: &str) -> Option<&dyn DataType> {
        self.data_sources.get(ty).map(|t| t as &dyn DataType)
    }
    fn provider(&self, name: &str) -> Option<&Schema> {
        self.providers.get(name).map(|p| &p.provider.config_schema)
    }
    fn is_local(&self, name: &str) -> bool {
        self.providers.get(name).is_some_and(|p| p.provider.local)
    }
    fn call(&self, provider: &str, function: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let key = (self.providers.get_key_value(provider)?.0, function);
        let found = self
            .functions
            .iter()
            .find(|((p, f), _)| p == key.0 && *f == key.1)?;
        Some((found.1.call)(arguments))
    }
}
