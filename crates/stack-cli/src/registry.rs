//! The providers of this program: one line each.

use stack_config::validate::Schemas;
use stack_core::{Mode, Schema};
use stack_engine::Providers;
use stack_plan::Catalog;
use stack_provider::AnyProvider;

/// Every provider with all its types.
pub(crate) fn providers() -> Providers {
    Providers::new()
        .with(AnyProvider::of::<stack_provider_core::StackProvider>())
        .with(AnyProvider::of::<stack_provider_core::RandomProvider>())
        .with(AnyProvider::of::<stack_provider_tls::TlsProvider>())
        .with(AnyProvider::of::<stack_provider_aws::AwsProvider>())
        .with(AnyProvider::of::<stack_provider_host::Host>())
        .with(AnyProvider::of::<stack_provider_rabbitmq::Rabbitmq>())
        .with(AnyProvider::of::<stack_provider_helm::Helm>())
        .with(AnyProvider::of::<stack_provider_kubernetes::Kubernetes>())
        .with(AnyProvider::of::<stack_provider_probe::Probe>())
}

/// The providers as the checks of a configuration see them.
pub(crate) struct Known<'p>(pub(crate) &'p Providers);

impl Schemas for Known<'_> {
    fn resource(&self, mode: Mode, ty: &str) -> Option<&Schema> {
        match mode {
            Mode::Managed => Catalog::resource(self.0, ty).map(|ty| ty.schema()),
            Mode::Data => self.0.data_source(ty).map(|ty| ty.schema()),
        }
    }

    fn provider(&self, name: &str) -> Option<&Schema> {
        Catalog::provider(self.0, name)
    }

    fn types(&self, mode: Mode) -> Vec<&str> {
        self.0.types(mode)
    }

    fn providers(&self) -> Vec<&str> {
        self.0.names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments and blocks that every resource has.
    const META: [&str; 8] = [
        "connection",
        "count",
        "depends_on",
        "for_each",
        "lifecycle",
        "provider",
        "provisioner",
        "timeouts",
    ];

    #[test]
    fn no_type_takes_a_name_that_every_resource_has() {
        let providers = providers();
        let known = Known(&providers);
        for mode in [Mode::Managed, Mode::Data] {
            let types = known.types(mode);
            assert!(!types.is_empty());
            for ty in types {
                let schema = known.resource(mode, ty).unwrap();
                for name in META {
                    let taken = schema.attributes.contains_key(name) || schema.blocks.contains_key(name);
                    assert!(!taken, "{ty} has its own {name}");
                }
            }
        }
    }
}
