//! Names of things in a configuration: modules, resource instances, providers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which instance of a `count` or `for_each`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceKey {
    /// Neither `count` nor `for_each`.
    #[default]
    None,
    /// `[0]`, of `count`.
    Index(u64),
    /// `["name"]`, of `for_each`.
    Name(Arc<str>),
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Index(i) => write!(f, "[{i}]"),
            Self::Name(name) => {
                let escaped = name
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                write!(f, "[\"{escaped}\"]")
            }
        }
    }
}

/// One module call on the way from the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleStep {
    /// Label of the `module` block.
    pub name: Arc<str>,
    /// Its instance.
    pub key: InstanceKey,
}

/// A module instance: the calls from the root to it, none for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(pub Arc<[ModuleStep]>);

impl ModulePath {
    /// The root module.
    pub fn root() -> Self {
        Self::default()
    }

    /// The instance `key` of the call `name` in this module.
    #[must_use]
    pub fn child(&self, name: &str, key: InstanceKey) -> Self {
        let step = ModuleStep {
            name: Arc::from(name),
            key,
        };
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The module that calls this one, and the call; `None` for the root.
    pub fn split_last(&self) -> Option<(ModulePath, &ModuleStep)> {
        let (last, rest) = self.0.split_last()?;
        Some((Self(rest.into()), last))
    }

    /// Whether this is the root module.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Labels of the calls, without instance keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|s| s.name.as_ref())
    }
}

/// `module.a["x"].module.b`; empty for the root.
impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "module.{}{}", step.name, step.key)?;
        }
        Ok(())
    }
}

/// Managed resource or data source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// `resource`
    #[default]
    Managed,
    /// `data`
    Data,
}

/// A resource instance. With [`InstanceKey::None`] it also stands for a whole resource where the text says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceAddress {
    /// Module instance it is in.
    pub module: ModulePath,
    /// `resource` or `data`.
    pub mode: Mode,
    /// Resource type, `aws_instance`.
    pub ty: Arc<str>,
    /// Label of the block.
    pub name: Arc<str>,
    /// Its instance.
    pub key: InstanceKey,
}

impl ResourceAddress {
    /// A managed resource without instance key.
    pub fn managed(module: ModulePath, ty: &str, name: &str) -> Self {
        Self {
            module,
            mode: Mode::Managed,
            ty: Arc::from(ty),
            name: Arc::from(name),
            key: InstanceKey::None,
        }
    }

    /// The same resource, another instance.
    #[must_use]
    pub fn instance(&self, key: InstanceKey) -> Self {
        Self { key, ..self.clone() }
    }

    /// The whole resource: this address without its instance key.
    #[must_use]
    pub fn resource(&self) -> Self {
        self.instance(InstanceKey::None)
    }
}

impl fmt::Display for ResourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        if self.mode == Mode::Data {
            f.write_str("data.")?;
        }
        write!(f, "{}.{}{}", self.ty, self.name, self.key)
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a resource address; write TYPE.NAME, module.NAME.TYPE.NAME or TYPE.NAME[\"key\"]")]
pub struct ParseAddressError {
    /// The text.
    pub text: String,
}

/// Splits `a.b["c.d"][0]` at its dots; each part is a name with the keys behind it.
fn parts(text: &str) -> Option<Vec<(&str, InstanceKey)>> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return None;
        }
        rest = &rest[end..];
        let mut key = InstanceKey::None;
        if let Some(inside) = rest.strip_prefix('[') {
            if inside.starts_with('"') {
                let mut stream = serde_json::Deserializer::from_str(inside).into_iter::<String>();
                let name = stream.next()?.ok()?;
                rest = inside[stream.byte_offset()..].strip_prefix(']')?;
                key = InstanceKey::Name(Arc::from(name));
            } else {
                let (index, after) = inside.split_once(']')?;
                key = InstanceKey::Index(index.parse().ok()?);
                rest = after;
            }
        }
        out.push((name, key));
        if rest.is_empty() {
            return Some(out);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// Either kind of address a user may name: a module (instance) or a resource (instance).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `module.a["x"]`
    Module(ModulePath),
    /// `module.a.aws_instance.b[0]`
    Resource(ResourceAddress),
}

impl Target {
    /// Whether the instance is the target or inside it. A target without key covers every instance of the resource.
    pub fn covers(&self, address: &ResourceAddress) -> bool {
        let step = |t: &ModuleStep, a: &ModuleStep| {
            t.name == a.name && (t.key == InstanceKey::None || t.key == a.key)
        };
        match self {
            Self::Module(m) => {
                m.0.len() <= address.module.0.len()
                    && m.0.iter().zip(address.module.0.iter()).all(|(t, a)| step(t, a))
            }
            Self::Resource(r) => {
                r.module.0.len() == address.module.0.len()
                    && r.module
                        .0
                        .iter()
                        .zip(address.module.0.iter())
                        .all(|(t, a)| step(t, a))
                    && (r.mode, &r.ty, &r.name) == (address.mode, &address.ty, &address.name)
                    && (r.key == InstanceKey::None || r.key == address.key)
            }
        }
    }
}

impl FromStr for Target {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAddressError {
            text: text.to_owned(),
        };
        let parts = parts(text).ok_or_else(error)?;
        let mut rest = parts.as_slice();
        let mut module = ModulePath::root();
        while let [(word, InstanceKey::None), (name, key), tail @ ..] = rest {
            if *word != "module" {
                break;
            }
            module = module.child(name, key.clone());
            rest = tail;
        }
        let (mode, rest) = match rest {
            [("data", InstanceKey::None), tail @ ..] => (Mode::Data, tail),
            other => (Mode::Managed, other),
        };
        match rest {
            [] if mode == Mode::Managed && !module.is_root() => Ok(Self::Module(module)),
            [(ty, InstanceKey::None), (name, key)] => Ok(Self::Resource(ResourceAddress {
                module,
                mode,
                ty: Arc::from(*ty),
                name: Arc::from(*name),
                key: key.clone(),
            })),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(m) => m.fmt(f),
            Self::Resource(r) => r.fmt(f),
        }
    }
}

impl FromStr for ResourceAddress {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse()? {
            Target::Resource(address) => Ok(address),
            Target::Module(_) => Err(ParseAddressError {
                text: text.to_owned(),
            }),
        }
    }
}

/// A provider configuration: the module instance whose `provider` block it is, the provider's name, the alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderAddress {
    /// Module instance the `provider` block stands in.
    pub module: ModulePath,
    /// Local name, which is also the provider's name: `aws`.
    pub name: Arc<str>,
    /// `alias` argument.
    pub alias: Option<Arc<str>>,
}

/// `module.a.provider.host.broker`
impl fmt::Display for ProviderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "provider.{}", self.name)?;
        match &self.alias {
            Some(alias) => write!(f, ".{alias}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ProviderAddress {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAddressError {
            text: text.to_owned(),
        };
        let parts = parts(text).ok_or_else(error)?;
        let mut rest = parts.as_slice();
        let mut module = ModulePath::root();
        while let [("module", InstanceKey::None), (name, key), tail @ ..] = rest {
            module = module.child(name, key.clone());
            rest = tail;
        }
        let (name, alias) = match rest {
            [("provider", InstanceKey::None), (name, InstanceKey::None)] => (name, None),
            [
                ("provider", InstanceKey::None),
                (name, InstanceKey::None),
                (alias, InstanceKey::None),
            ] => (name, Some(alias)),
            _ => return Err(error()),
        };
        Ok(Self {
            module,
            name: Arc::from(*name),
            alias: alias.map(|a| Arc::from(*a)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in [
            "stack_data.a",
            "stack_data.a[0]",
            "stack_data.a[\"x.y\\\"z\"]",
            "module.m[\"k\"].module.n[3].data.aws_ami.noble",
        ] {
            let address: ResourceAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "a",
            "module.m",
            "a.b.c.d",
            "stack_data.a[",
            "stack_data.a[x]",
            "stack_data.a[0]b",
        ] {
            assert!(text.parse::<ResourceAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_without_key_covers_all_instances() {
        let target: Target = "module.m.stack_data.a".parse().unwrap();
        assert!(target.covers(&"module.m[0].stack_data.a[\"x\"]".parse().unwrap()));
        assert!(!target.covers(&"stack_data.a".parse().unwrap()));
        let module: Target = "module.m[0]".parse().unwrap();
        assert!(module.covers(&"module.m[0].module.n.stack_data.a".parse().unwrap()));
        assert!(!module.covers(&"module.m[1].stack_data.a".parse().unwrap()));
    }

    #[test]
    fn provider_addresses_read_back() {
        for text in ["provider.aws", "module.a[0].provider.host.broker"] {
            assert_eq!(text.parse::<ProviderAddress>().unwrap().to_string(), text);
        }
    }
}
