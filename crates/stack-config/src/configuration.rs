//! A configuration: what the files of a folder and its local modules say, parsed and checked for structure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use stack_core::address::Target;
use stack_core::{Mode, ModulePath, Path, ResourceAddress, SourceMap, Span, Value};

use crate::body::Body;
use crate::expression::Expr;
use crate::reference::Reference;
use crate::type_expression::TypeConstraint;

/// A root module with everything it calls.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The root module.
    pub root: Module,
    /// The texts that spans point into.
    pub sources: SourceMap,
}

impl Configuration {
    /// The module that the calls `names` lead to from the root; instance keys play no part.
    pub fn module<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<&Module> {
        names
            .into_iter()
            .try_fold(&self.root, |module, name| Some(&module.calls.get(name)?.module))
    }

    /// The module of an instance path.
    pub fn module_at(&self, path: &ModulePath) -> Option<&Module> {
        self.module(path.names())
    }

    /// The block of a resource instance.
    pub fn resource(&self, address: &ResourceAddress) -> Option<&Resource> {
        self.module_at(&address.module)?
            .resources
            .get(&ResourceKey::of(address))
    }

    /// Every module, each before the modules it calls, in the order of their labels.
    pub fn modules(&self) -> Vec<&Module> {
        let mut out = Vec::new();
        let mut todo = vec![&self.root];
        while let Some(module) = todo.pop() {
            out.push(module);
            todo.extend(module.calls.values().rev().map(|call| &call.module));
        }
        out
    }
}

/// Name of a provider configuration inside one module: the provider and the alias.
pub type ProviderName = (Arc<str>, Option<Arc<str>>);

/// One module: all blocks of one folder.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Labels of the calls from the root; empty for the root.
    pub names: Vec<Arc<str>>,
    /// The folder, relative to the folder of the root module; empty for the root itself.
    pub dir: String,
    /// The `stack` block; of the root module only.
    pub settings: Settings,
    /// `variable` blocks.
    pub variables: BTreeMap<Arc<str>, Variable>,
    /// Everything in `locals` blocks.
    pub locals: BTreeMap<Arc<str>, Local>,
    /// `provider` blocks.
    pub providers: BTreeMap<ProviderName, ProviderBlock>,
    /// `resource` and `data` blocks, the data sources scoped to a check included.
    pub resources: BTreeMap<ResourceKey, Resource>,
    /// `module` blocks.
    pub calls: BTreeMap<Arc<str>, ModuleCall>,
    /// `output` blocks.
    pub outputs: BTreeMap<Arc<str>, Output>,
    /// `check` blocks.
    pub checks: BTreeMap<Arc<str>, Check>,
    /// `moved` blocks in the order of the files.
    pub moved: Vec<Moved>,
    /// `removed` blocks in the order of the files.
    pub removed: Vec<Removed>,
    /// `import` blocks in the order of the files.
    pub imports: Vec<Import>,
}

impl Module {
    /// The resource of this name.
    pub fn resource(&self, mode: Mode, ty: &str, name: &str) -> Option<&Resource> {
        self.resources.get(&ResourceKey {
            mode,
            ty: Arc::from(ty),
            name: Arc::from(name),
        })
    }
}

/// The `stack` block.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Versions of `stack` that may be used.
    pub required_version: Option<VersionConstraint>,
    /// Where the state lies.
    pub backend: Option<Backend>,
}

/// A version constraint such as `>= 1.2, < 2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConstraint {
    /// The text as written.
    pub text: Arc<str>,
    /// Its place.
    pub span: Span,
}

/// A `backend` block inside `stack`.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its label: `local`, `s3`.
    pub ty: Arc<str>,
    /// Arguments; they may refer to nothing.
    pub body: Body,
    /// The header of the block.
    pub span: Span,
}

/// A `variable` block.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its label.
    pub name: Arc<str>,
    /// The header of the block.
    pub span: Span,
    /// What values are accepted; any, where the block gives no `type`.
    pub constraint: TypeConstraint,
    /// A text from outside is the value itself: the type is primitive, or there is none. Else it is an expression.
    pub takes_text: bool,
    /// The default, already converted to the constraint.
    pub default: Option<Value>,
    /// Text for people.
    pub description: Option<String>,
    /// Values get the sensitive mark.
    pub sensitive: bool,
    /// Null is a value; where it is not, null stands for the default.
    pub nullable: bool,
    /// Values are never stored.
    pub ephemeral: bool,
    /// `validation` blocks.
    pub validations: Vec<Condition>,
}

/// A rule: of `validation`, `precondition`, `postcondition` and `assert`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Must be true.
    pub condition: Expr,
    /// Said where it is not.
    pub error_message: Expr,
    /// The header of the block.
    pub span: Span,
}

impl Condition {
    /// Everything the rule and its message refer to.
    pub fn references(&self) -> Vec<Reference> {
        let mut out = self.condition.references();
        out.extend(self.error_message.references());
        out
    }
}

/// One entry of `locals`.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its value.
    pub expr: Expr,
    /// The whole entry.
    pub span: Span,
}

/// A `provider` block.
#[derive(Clone, Debug)]
pub struct ProviderBlock {
    /// Arguments, without `alias`.
    pub body: Body,
    /// The header of the block.
    pub span: Span,
}

/// Mode, type and label: the name of a resource inside its module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// `resource` or `data`.
    pub mode: Mode,
    /// First label.
    pub ty: Arc<str>,
    /// Second label.
    pub name: Arc<str>,
}

impl ResourceKey {
    /// The resource an instance belongs to.
    pub fn of(address: &ResourceAddress) -> Self {
        Self {
            mode: address.mode,
            ty: address.ty.clone(),
            name: address.name.clone(),
        }
    }

    /// The resource in a module instance.
    pub fn address(&self, module: ModulePath) -> ResourceAddress {
        ResourceAddress {
            module,
            mode: self.mode,
            ty: self.ty.clone(),
            name: self.name.clone(),
            key: stack_core::InstanceKey::None,
        }
    }
}

/// `aws_instance.broker`, `data.aws_ami.noble`
impl std::fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = if self.mode == Mode::Data { "data." } else { "" };
        write!(f, "{prefix}{}.{}", self.ty, self.name)
    }
}

/// A `resource` or `data` block.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name.
    pub key: ResourceKey,
    /// The header of the block.
    pub span: Span,
    /// Arguments and nested blocks, without meta-arguments.
    pub body: Body,
    /// `count`
    pub count: Option<Expr>,
    /// `for_each`
    pub for_each: Option<Expr>,
    /// The provider configuration it uses.
    pub provider: ProviderRef,
    /// `depends_on`
    pub depends_on: Vec<Reference>,
    /// `lifecycle`; the defaults where the block has none.
    pub lifecycle: Lifecycle,
    /// `timeouts`; all `None` without the block.
    pub timeouts: Timeouts,
    /// The check that the data source is scoped to.
    pub check: Option<Arc<str>>,
}

/// A `timeouts` block: how long each kind of work on one object may take. What is not set is decided by the type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Making the object and waiting until it is usable.
    pub create: Option<Duration>,
    /// Changing it in place.
    pub update: Option<Duration>,
    /// Deleting it and waiting until it is gone.
    pub delete: Option<Duration>,
    /// Reading it; of a data source, looking it up.
    pub read: Option<Duration>,
}

impl Resource {
    /// Everything the block refers to, `depends_on` and conditions included, `self` and its own iteration left in.
    pub fn references(&self) -> Vec<Reference> {
        let mut out = self.body.references();
        out.extend(self.count.iter().chain(&self.for_each).flat_map(Expr::references));
        out.extend(self.depends_on.iter().cloned());
        for condition in self
            .lifecycle
            .preconditions
            .iter()
            .chain(&self.lifecycle.postconditions)
        {
            out.extend(condition.references());
        }
        out.extend(
            self.lifecycle
                .replace_triggered_by
                .iter()
                .chain(&self.lifecycle.prevent_destroy)
                .flat_map(Expr::references),
        );
        out
    }
}

/// A provider configuration by the name it has inside a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRef {
    /// The provider: from the `provider` argument, else the resource type up to its first underscore.
    pub name: Arc<str>,
    /// The alias, if any.
    pub alias: Option<Arc<str>>,
    /// The `provider` argument, else the header of the block.
    pub span: Span,
}

/// A `lifecycle` block.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Replacement creates first; `None` where the block does not say.
    pub create_before_destroy: Option<bool>,
    /// Where it is true, a plan that destroys the object is an error; `None` where the block does not say, or says false.
    pub prevent_destroy: Option<Expr>,
    /// Arguments whose changes are ignored.
    pub ignore_changes: IgnoreChanges,
    /// References whose change replaces the object; they may use `count.index` and `each` in an index.
    pub replace_triggered_by: Vec<Expr>,
    /// False: deleting the resource forgets the object.
    pub destroy: bool,
    /// Checked before the object is planned.
    pub preconditions: Vec<Condition>,
    /// Checked once the object is planned, and again once it is changed.
    pub postconditions: Vec<Condition>,
    /// Place of `prevent_destroy`, for the error it causes.
    pub prevent_destroy_span: Option<Span>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            create_before_destroy: None,
            prevent_destroy: None,
            ignore_changes: IgnoreChanges::default(),
            replace_triggered_by: Vec::new(),
            destroy: true,
            preconditions: Vec::new(),
            postconditions: Vec::new(),
            prevent_destroy_span: None,
        }
    }
}

/// `ignore_changes`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoreChanges {
    /// `all`
    All,
    /// These paths, each with its place; none by default.
    Paths(Vec<(Path, Span)>),
}

impl Default for IgnoreChanges {
    fn default() -> Self {
        Self::Paths(Vec::new())
    }
}

/// A `module` block with the module it calls.
#[derive(Clone, Debug)]
pub struct ModuleCall {
    /// Its label.
    pub name: Arc<str>,
    /// The header of the block.
    pub span: Span,
    /// `source` as written: a folder relative to the calling module's.
    pub source: String,
    /// The called module.
    pub module: Module,
    /// Arguments for its variables.
    pub arguments: BTreeMap<Arc<str>, Argument>,
    /// `count`
    pub count: Option<Expr>,
    /// `for_each`
    pub for_each: Option<Expr>,
    /// `providers`: the name inside the called module, and the configuration of this module it stands for.
    pub providers: BTreeMap<ProviderName, ProviderRef>,
    /// `depends_on`
    pub depends_on: Vec<Reference>,
}

/// One argument of a `module` block.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its value.
    pub expr: Expr,
    /// Its name in the block.
    pub name_span: Span,
}

/// An `output` block.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its label.
    pub name: Arc<str>,
    /// The header of the block.
    pub span: Span,
    /// Its value.
    pub value: Expr,
    /// Text for people.
    pub description: Option<String>,
    /// The value gets the sensitive mark.
    pub sensitive: bool,
    /// The value is never stored.
    pub ephemeral: bool,
    /// `depends_on`
    pub depends_on: Vec<Reference>,
    /// Checked before the value is used.
    pub preconditions: Vec<Condition>,
}

/// A `check` block. Its data sources stand among [`Module::resources`] with [`Resource::check`] set.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its label.
    pub name: Arc<str>,
    /// The header of the block.
    pub span: Span,
    /// Data sources that only this check may use; their errors are failures of the check. Read in this order.
    pub data: Vec<ResourceKey>,
    /// `assert` blocks.
    pub assertions: Vec<Condition>,
}

/// A `moved` block. Addresses are relative to the module it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The old address.
    pub from: Target,
    /// The new address.
    pub to: Target,
    /// The header of the block.
    pub span: Span,
}

/// A `removed` block. The address is relative to the module it stands in and has no instance keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What is no longer configured.
    pub from: Target,
    /// Whether the objects are destroyed; else they are forgotten.
    pub destroy: bool,
    /// The header of the block.
    pub span: Span,
}

/// An `import` block.
#[derive(Clone, Debug)]
pub struct Import {
    /// The resource, without its instance key, and relative to the module the block stands in.
    pub to: ResourceAddress,
    /// Place of the address.
    pub to_span: Span,
    /// The instance key, which may use `each`.
    pub key: Option<Expr>,
    /// Identity of the object.
    pub id: Expr,
    /// `for_each`
    pub for_each: Option<Expr>,
    /// The provider to read it with, where the block says so.
    pub provider: Option<ProviderRef>,
    /// The header of the block.
    pub span: Span,
}

/// Names of all providers a configuration uses: by blocks, by resources and by imports.
pub fn provider_names(configuration: &Configuration) -> BTreeSet<Arc<str>> {
    let modules = configuration.modules();
    let blocks = modules
        .iter()
        .flat_map(|m| m.providers.keys().map(|(name, _)| name.clone()));
    let resources = modules
        .iter()
        .flat_map(|m| m.resources.values().map(|r| r.provider.name.clone()));
    blocks.chain(resources).collect()
}
