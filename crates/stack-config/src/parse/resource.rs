//! `resource` and `data` blocks.

use std::sync::Arc;
use std::time::Duration;

use stack_core::{Diagnostic, Mode, Path, Span, Step, Type};

use super::read::{self, Label, Part, Reader, is_text};
use super::syntax::{Attribute, Block, Tree};
use super::{Folder, unique};
use crate::body::Body;
use crate::configuration::{IgnoreChanges, Lifecycle, ProviderRef, Resource, ResourceKey, Timeouts};
use crate::duration::parse_duration;
use crate::expression::Expr;

/// Arguments that every resource has.
pub(crate) const META_ARGUMENTS: &[&str] = &["count", "depends_on", "for_each", "provider"];
/// Blocks that every resource has.
pub(crate) const META_BLOCKS: &[&str] = &["lifecycle", "timeouts"];

const LIFECYCLE_ARGUMENTS: &[&str] = &[
    "create_before_destroy",
    "destroy",
    "ignore_changes",
    "prevent_destroy",
    "replace_triggered_by",
];

impl Folder {
    /// A `resource` or `data` block, the latter perhaps inside a check.
    pub(super) fn resource(&mut self, reader: &mut Reader<'_>, block: &Block, check: Option<&Arc<str>>) {
        let Some(labels) = reader.labels(block, &["type", "name"]) else {
            return;
        };
        let [ty, name] = labels.as_slice() else { return };
        let mode = if block.name() == "data" {
            Mode::Data
        } else {
            Mode::Managed
        };
        let key = ResourceKey {
            mode,
            ty: ty.0.clone(),
            name: name.0.clone(),
        };
        let span = block.header();
        let body = &block.body;
        for kind in ["provisioner", "connection"] {
            for inner in body.blocks(kind) {
                let place = inner.header();
                reader.error(
                    read::unsupported_block(kind, place, &[], &[])
                        .hint("files, packages, services and commands on a host are resources: host_file, host_package, host_service, host_command"),
                );
            }
        }
        let count = body.attribute("count");
        let for_each = body.attribute("for_each");
        reader.one_iteration(count, for_each);
        if check.is_some() && (count.is_some() || for_each.is_some()) {
            reader.error(
                Diagnostic::error(
                    "STK0112",
                    "Invalid data source in check",
                    "A data source inside a check block cannot use count or for_each.",
                )
                .at(span),
            );
        }
        let resource = Resource {
            provider: reader
                .provider_argument(body)
                .unwrap_or_else(|| default_provider(&ty.0, span)),
            count: count.map(|a| a.value.clone()),
            for_each: for_each.map(|a| a.value.clone()),
            depends_on: reader.depends_on(body),
            lifecycle: reader.lifecycle(body, mode),
            timeouts: reader.timeouts(body, mode),
            body: Body::read(
                reader,
                body,
                META_ARGUMENTS,
                &["connection", "lifecycle", "provisioner", "timeouts"],
            ),
            check: check.cloned(),
            key: key.clone(),
            span,
        };
        let earlier = self.module.resources.get(&key).map(|r| r.span);
        let what = match mode {
            Mode::Managed => format!("resource \"{}\" configuration", ty.0),
            Mode::Data => format!("data \"{}\" configuration", ty.0),
        };
        if unique(
            reader,
            &what,
            "Names of resources of one type",
            &name.0,
            span,
            earlier,
        ) {
            self.module.resources.insert(key, resource);
        }
    }
}

/// The provider that a resource type belongs to: its name up to the first underscore.
pub(crate) fn default_provider(ty: &str, span: Span) -> ProviderRef {
    let name = ty.split('_').next().unwrap_or(ty);
    ProviderRef {
        name: Arc::from(name),
        alias: None,
        span,
    }
}

impl Reader<'_> {
    /// `count` and `for_each` exclude each other.
    pub(crate) fn one_iteration(&mut self, count: Option<&Attribute>, for_each: Option<&Attribute>) {
        if let (Some(count), Some(for_each)) = (count, for_each) {
            let (count, for_each) = (count.key.span, for_each.key.span);
            self.error(
                Diagnostic::error(
                    "STK0112",
                    "Invalid combination of \"count\" and \"for_each\"",
                    "The \"count\" and \"for_each\" meta-arguments are mutually-exclusive, only one should be used to be explicit about the number of resources to be created.",
                )
                .at(for_each)
                .label(count, "count is set here"),
            );
        }
    }

    /// The `provider` argument.
    pub(crate) fn provider_argument(&mut self, body: &Tree) -> Option<ProviderRef> {
        let attribute = body.attribute("provider")?;
        self.provider_reference(&attribute.value)
    }

    /// `aws` or `aws.alias`
    pub(crate) fn provider_reference(&mut self, expr: &Expr) -> Option<ProviderRef> {
        let span = expr.span();
        let parts = self.traversal(expr).unwrap_or_default();
        let (name, alias) = match parts.as_slice() {
            [Part::Name(name)] => (name.clone(), None),
            [Part::Name(name), Part::Name(alias)] => (name.clone(), Some(alias.clone())),
            _ => {
                let mut error = Diagnostic::error(
                    "STK0113",
                    "Invalid provider configuration reference",
                    "A provider configuration is named by its provider, or by provider and alias with a dot between them.",
                )
                .at(span);
                if is_text(expr) {
                    error = error.hint("write the reference without quotes");
                }
                self.error(error);
                return None;
            }
        };
        Some(ProviderRef { name, alias, span })
    }

    fn lifecycle(&mut self, body: &Tree, mode: Mode) -> Lifecycle {
        let Some(block) = self.single(body, "lifecycle") else {
            return Lifecycle::default();
        };
        let _: Option<Vec<Label>> = self.labels(block, &[]);
        let inner = &block.body;
        let conditions = ["precondition", "postcondition"];
        if mode == Mode::Data {
            for attribute in inner.attributes() {
                let (name, span) = (attribute.name(), attribute.key.span);
                let error = if LIFECYCLE_ARGUMENTS.contains(&name) {
                    Diagnostic::error(
                        "STK0105",
                        "Invalid data resource lifecycle argument",
                        format!("The lifecycle argument \"{name}\" is defined only for managed resources (\"resource\" blocks), and is not valid for data resources."),
                    )
                    .at(span)
                } else {
                    read::unsupported_argument(name, span, &[], &conditions)
                };
                self.error(error);
            }
            self.expect_only(inner, LIFECYCLE_ARGUMENTS, &conditions);
        } else {
            self.expect_only(inner, LIFECYCLE_ARGUMENTS, &conditions);
        }
        if mode == Mode::Data {
            return Lifecycle {
                preconditions: self.conditions(inner, "precondition"),
                postconditions: self.conditions(inner, "postcondition"),
                ..Lifecycle::default()
            };
        }
        Lifecycle {
            create_before_destroy: self.flag(inner, "create_before_destroy"),
            prevent_destroy: self.prevent_destroy(inner),
            prevent_destroy_span: inner.attribute("prevent_destroy").map(|a| Span {
                end: a.value.span().end,
                ..a.key.span
            }),
            ignore_changes: self.ignore_changes(inner),
            replace_triggered_by: self.replace_triggered_by(inner),
            destroy: self.flag(inner, "destroy").unwrap_or(true),
            preconditions: self.conditions(inner, "precondition"),
            postconditions: self.conditions(inner, "postcondition"),
        }
    }

    /// What stands written out is checked at once; what refers to something is left to the plan.
    fn prevent_destroy(&mut self, body: &Tree) -> Option<Expr> {
        let expr = body.attribute("prevent_destroy")?.value.clone();
        let stays = !expr.references().is_empty() || self.flag(body, "prevent_destroy") == Some(true);
        stays.then_some(expr)
    }

    fn timeouts(&mut self, body: &Tree, mode: Mode) -> Timeouts {
        let Some(block) = self.single(body, "timeouts") else {
            return Timeouts::default();
        };
        let _: Option<Vec<Label>> = self.labels(block, &[]);
        let inner = &block.body;
        let names: &[&str] = match mode {
            Mode::Managed => &["create", "delete", "read", "update"],
            Mode::Data => &["read"],
        };
        self.expect_only(inner, names, &[]);
        let mut timeout = |name: &str| names.contains(&name).then(|| self.timeout(inner, name)).flatten();
        Timeouts {
            create: timeout("create"),
            update: timeout("update"),
            delete: timeout("delete"),
            read: timeout("read"),
        }
    }

    /// A constant duration. A timeout may be needed when nothing can be evaluated any more: for a delete.
    fn timeout(&mut self, body: &Tree, name: &str) -> Option<Duration> {
        let attribute = body.attribute(name)?;
        let span = attribute.value.span();
        let value = self.constant_of(attribute, &Type::String)?;
        match parse_duration(value.as_str()?) {
            Ok(duration) => Some(duration),
            Err(what) => {
                let error = Diagnostic::error("STK0430", "Invalid timeout", format!("{what}."));
                self.error(error.at(span));
                None
            }
        }
    }

    fn ignore_changes(&mut self, body: &Tree) -> IgnoreChanges {
        let Some(attribute) = body.attribute("ignore_changes") else {
            return IgnoreChanges::default();
        };
        if let Some([Part::Name(word)]) = self.traversal(&attribute.value).as_deref()
            && word.as_ref() == "all"
        {
            return IgnoreChanges::All;
        }
        let mut paths = Vec::new();
        for member in self.sequence(attribute) {
            let span = member.span();
            match self.traversal(&member).and_then(|parts| path_of(&parts)) {
                Some(path) => paths.push((path, span)),
                None => self.error(
                    Diagnostic::error(
                        "STK0111",
                        "Invalid ignore_changes expression",
                        "Arguments are named relative to the resource, such as tags or tags[\"Name\"]; the whole object is ignored by the keyword all, without brackets.",
                    )
                    .at(span),
                ),
            }
        }
        IgnoreChanges::Paths(paths)
    }

    fn replace_triggered_by(&mut self, body: &Tree) -> Vec<Expr> {
        let Some(attribute) = body.attribute("replace_triggered_by") else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for member in self.sequence(attribute) {
            let span = member.span();
            if self.traversal(&member).is_none() {
                self.error(
                    Diagnostic::error(
                        "STK0111",
                        "Invalid replace_triggered_by expression",
                        "A reference to a resource, one of its instances or one of its attributes is required here.",
                    )
                    .at(span),
                );
                continue;
            }
            out.push(member);
        }
        out
    }
}

/// The path of `tags["Name"]`.
fn path_of(parts: &[Part]) -> Option<Path> {
    let steps = parts.iter().map(|part| match part {
        Part::Name(name) | Part::Key(name) => Some(Step::Attribute(name.clone())),
        Part::Index(index) => usize::try_from(*index).ok().map(Step::Index),
        Part::Computed(_) => None,
    });
    steps.collect::<Option<Vec<_>>>().map(Path)
}
