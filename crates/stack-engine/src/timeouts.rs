//! How long work on an object may take: what the configuration says, else what is recorded, else what its type says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stack_config::Configuration;
use stack_config::configuration::{ResourceKey, Timeouts as Block};
use stack_core::ResourceAddress;
use stack_provider::RemoteCall;

/// The `timeouts` blocks of a configuration, by module and resource.
#[derive(Debug, Default)]
pub(crate) struct Timeouts(BTreeMap<(Vec<Arc<str>>, ResourceKey), Block>);

impl Timeouts {
    /// All of a configuration.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let mut blocks = BTreeMap::new();
        for module in configuration.modules() {
            let own = module
                .resources
                .iter()
                .filter(|(_, r)| r.timeouts != Block::default());
            blocks.extend(own.map(|(key, r)| ((module.names.clone(), key.clone()), r.timeouts)));
        }
        Self(blocks)
    }

    /// What the configuration says, if anything.
    pub(crate) fn configured(&self, address: &ResourceAddress, call: RemoteCall) -> Option<Duration> {
        if self.0.is_empty() {
            return None;
        }
        let names = address.module.names().map(Arc::from).collect();
        let block = self.0.get(&(names, ResourceKey::of(address)))?;
        match call {
            RemoteCall::Read => block.read,
            RemoteCall::Create => block.create,
            RemoteCall::Update => block.update,
            RemoteCall::Delete => block.delete,
        }
    }
}
