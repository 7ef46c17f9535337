//! Which `provider` block a resource uses.

use std::sync::Arc;

use stack_core::{ModulePath, ProviderAddress};

use crate::configuration::{Configuration, Module, ProviderName, ProviderRef};

/// The `provider` block that a name stands for in a module: labels of the calls from the root to the module that holds
/// it, and its name there.
///
/// A module passes configurations on with `providers`; a name that is not passed is the module's own block, else the
/// caller's configuration without alias of the same provider, up to the root, where a provider without any block has an
/// empty configuration. `None`: no module on the way has a configuration with this alias.
pub fn provider_for(
    configuration: &Configuration,
    names: &[Arc<str>],
    provider: &ProviderRef,
) -> Option<(Vec<Arc<str>>, ProviderName)> {
    let modules = chain(configuration, names)?;
    let mut wanted: ProviderName = (provider.name.clone(), provider.alias.clone());
    for (depth, module) in modules.iter().enumerate().rev() {
        if module.providers.contains_key(&wanted) {
            return Some((names[..depth].to_vec(), wanted));
        }
        if depth == 0 {
            break;
        }
        let call = modules[depth - 1].calls.get(&names[depth - 1])?;
        match call.providers.get(&wanted) {
            Some(passed) => wanted = (passed.name.clone(), passed.alias.clone()),
            None if wanted.1.is_none() => {}
            None => return None,
        }
    }
    wanted.1.is_none().then(|| (Vec::new(), wanted))
}

/// [`provider_for`] a resource of a module instance, as an address: the module instance keeps the keys of the calls it
/// shares with `module`.
pub fn provider_address(
    configuration: &Configuration,
    module: &ModulePath,
    provider: &ProviderRef,
) -> Option<ProviderAddress> {
    let names: Vec<Arc<str>> = module.0.iter().map(|step| step.name.clone()).collect();
    let (holder, (name, alias)) = provider_for(configuration, &names, provider)?;
    let module = ModulePath(module.0[..holder.len()].into());
    Some(ProviderAddress { module, name, alias })
}

/// The root module and every module on the way to the one named.
fn chain<'c>(configuration: &'c Configuration, names: &[Arc<str>]) -> Option<Vec<&'c Module>> {
    let mut out = vec![&configuration.root];
    for name in names {
        let last = out.last()?;
        out.push(&last.calls.get(name)?.module);
    }
    Some(out)
}
