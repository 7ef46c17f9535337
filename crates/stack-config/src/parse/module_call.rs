//! `module` blocks, before the modules they call are loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Span, Type};

use super::read::{self, Part, Reader};
use super::syntax::{Block, Item, Tree};
use super::{Folder, unique};
use crate::configuration::{Argument, ModuleCall, ProviderName, ProviderRef};
use crate::expression::{Expr, Kind};
use crate::reference::Reference;

const META_ARGUMENTS: &[&str] = &[
    "count",
    "depends_on",
    "for_each",
    "providers",
    "source",
    "version",
];

/// A `module` block.
#[derive(Clone)]
pub(crate) struct PendingCall {
    pub(crate) name: Arc<str>,
    pub(crate) span: Span,
    pub(crate) source: String,
    pub(crate) source_span: Span,
    arguments: BTreeMap<Arc<str>, Argument>,
    count: Option<Expr>,
    for_each: Option<Expr>,
    providers: BTreeMap<ProviderName, ProviderRef>,
    depends_on: Vec<Reference>,
}

impl PendingCall {
    /// The call with the module it calls.
    pub(crate) fn with(self, module: crate::configuration::Module) -> ModuleCall {
        ModuleCall {
            name: self.name,
            span: self.span,
            source: self.source,
            module,
            arguments: self.arguments,
            count: self.count,
            for_each: self.for_each,
            providers: self.providers,
            depends_on: self.depends_on,
        }
    }
}

impl Folder {
    pub(super) fn call(&mut self, reader: &mut Reader<'_>, block: &Block) {
        let Some(labels) = reader.labels(block, &["name"]) else {
            return;
        };
        let [(name, _)] = labels.as_slice() else { return };
        let span = block.header();
        let body = &block.body;
        let count = body.attribute("count");
        let for_each = body.attribute("for_each");
        reader.one_iteration(count, for_each);
        let mut arguments = BTreeMap::new();
        for item in &body.items {
            match item {
                Item::Block(inner) => {
                    reader.error(read::unsupported_block(
                        inner.name(),
                        inner.kind.span,
                        &[],
                        META_ARGUMENTS,
                    ));
                }
                Item::Attribute(attribute) if META_ARGUMENTS.contains(&attribute.name()) => {}
                Item::Attribute(attribute) => {
                    let argument = Argument {
                        expr: attribute.value.clone(),
                        name_span: attribute.key.span,
                    };
                    arguments.insert(attribute.key.text.clone(), argument);
                }
            }
        }
        if let Some(attribute) = body.attribute("version") {
            let place = attribute.key.span;
            reader.error(
                read::unsupported_argument("version", place, &[], &[])
                    .hint("modules are local folders, which have no versions"),
            );
        }
        let source = reader.source(body, span);
        let providers = reader.providers_argument(body);
        let depends_on = reader.depends_on(body);
        let earlier = self.calls.iter().find(|c| c.name == *name).map(|c| c.span);
        let free = unique(reader, "module call", "Module calls", name, span, earlier);
        let Some((source, source_span)) = source else {
            return;
        };
        if free {
            self.calls.push(PendingCall {
                name: name.clone(),
                span,
                source,
                source_span,
                arguments,
                count: count.map(|a| a.value.clone()),
                for_each: for_each.map(|a| a.value.clone()),
                providers,
                depends_on,
            });
        }
    }
}

impl Reader<'_> {
    /// `source`: a constant path of a folder.
    fn source(&mut self, body: &Tree, owner: Span) -> Option<(String, Span)> {
        let attribute = self.required(body, "source", owner)?;
        let span = attribute.value.span();
        let source = self.constant_of(attribute, &Type::String)?.as_str()?.to_owned();
        let local = source == "." || source == ".." || source.starts_with("./") || source.starts_with("../");
        if !local {
            self.error(
                Diagnostic::error(
                    "STK0116",
                    "Unsupported module source",
                    format!("Modules are local folders, and \"{source}\" does not start with ./ or ../ as their paths do."),
                )
                .at(span)
                .hint("copy the module into the repository and name its folder, such as ./modules/name"),
            );
            return None;
        }
        Some((source, span))
    }

    /// `providers = { aws = aws.west }`
    fn providers_argument(&mut self, body: &Tree) -> BTreeMap<ProviderName, ProviderRef> {
        let Some(attribute) = body.attribute("providers") else {
            return BTreeMap::new();
        };
        let Kind::Object(object) = &attribute.value.node().kind else {
            let span = attribute.value.span();
            self.error(
                Diagnostic::error(
                    "STK0113",
                    "Invalid providers argument",
                    "The argument takes an object: names inside the module on the left, configurations of this module on the right.",
                )
                .at(span),
            );
            return BTreeMap::new();
        };
        let mut out: BTreeMap<ProviderName, ProviderRef> = BTreeMap::new();
        for (key, value) in object {
            let Some((name, span)) = self.provider_key(&Expr::part(self.text, key)) else {
                continue;
            };
            let Some(passed) = self.provider_reference(&Expr::part(self.text, value)) else {
                continue;
            };
            if let Some(earlier) = out.get(&name) {
                let error = Diagnostic::error(
                    "STK0108",
                    "Duplicate provider address",
                    "A provider configuration of the module is passed twice.",
                );
                let error = error.at(span).label(earlier.span, "first passed here");
                self.error(error);
                continue;
            }
            if passed.name != name.0 {
                let error = Diagnostic::error(
                    "STK0113",
                    "Mismatched provider",
                    format!(
                        "The module's \"{}\" cannot be a configuration of provider \"{}\".",
                        name.0, passed.name
                    ),
                );
                self.error(error.at(passed.span));
                continue;
            }
            out.insert(name, passed);
        }
        out
    }

    fn provider_key(&mut self, key: &Expr) -> Option<(ProviderName, Span)> {
        let span = key.span();
        let parts = self.traversal(key);
        match parts.as_deref() {
            Some([Part::Name(name)]) => Some(((name.clone(), None), span)),
            Some([Part::Name(name), Part::Name(alias)]) => Some(((name.clone(), Some(alias.clone())), span)),
            _ => {
                self.error(
                    Diagnostic::error(
                        "STK0113",
                        "Invalid provider configuration reference",
                        "A provider configuration is named by its provider, or by provider and alias with a dot between them.",
                    )
                    .at(span),
                );
                None
            }
        }
    }
}
