//! Syntax trees to the blocks of a module.

pub(crate) mod condition;
pub(crate) mod import;
pub(crate) mod module_call;
pub(crate) mod read;
pub(crate) mod resource;
pub(crate) mod settings;
pub(crate) mod syntax;
pub(crate) mod variable;

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, Span};

use crate::body::Body;
use crate::configuration::{Check, Local, Module, Output, ProviderBlock};
use module_call::PendingCall;
use read::Reader;
use syntax::{Block, Item, Tree};

/// Types of top-level blocks.
const BLOCKS: &[&str] = &[
    "check", "data", "import", "locals", "module", "moved", "output", "provider", "removed", "resource",
    "stack", "variable",
];

/// The blocks of the files of one folder; called modules are still to be loaded.
#[derive(Clone, Default)]
pub(crate) struct Folder {
    /// It is the root module's.
    pub(crate) root: bool,
    pub(crate) module: Module,
    pub(crate) calls: Vec<PendingCall>,
    pub(crate) settings_span: Option<Span>,
}

impl Folder {
    /// Takes in the blocks of one more file.
    pub(crate) fn add(&mut self, text: &str, body: &Tree, diagnostics: &mut Diagnostics) {
        let mut reader = Reader { text, diagnostics };
        for item in &body.items {
            match item {
                Item::Attribute(attribute) => {
                    let mut error =
                        read::unsupported_argument(attribute.name(), attribute.key.span, &[], BLOCKS);
                    if error.hints.is_empty() {
                        error = error.hint("values that are used in several places stand in a locals block");
                    }
                    reader.error(error);
                }
                Item::Block(block) => self.add_block(&mut reader, block),
            }
        }
    }

    fn add_block(&mut self, reader: &mut Reader<'_>, block: &Block) {
        match block.name() {
            "stack" => self.settings(reader, block),
            "variable" => self.variable(reader, block),
            "locals" => self.locals(reader, block),
            "provider" => self.provider(reader, block),
            "resource" | "data" => self.resource(reader, block, None),
            "module" => self.call(reader, block),
            "output" => self.output(reader, block),
            "check" => self.check(reader, block),
            "moved" => self.moved(reader, block),
            "removed" => self.removed(reader, block),
            "import" => self.import(reader, block),
            "terraform" => {
                let span = block.kind.span;
                reader.error(
                    read::unsupported_block("terraform", span, BLOCKS, &[])
                        .hint("settings stand in a stack block; providers need no declaration"),
                );
            }
            other => {
                let span = block.kind.span;
                reader.error(read::unsupported_block(other, span, BLOCKS, &[]));
            }
        }
    }

    fn locals(&mut self, reader: &mut Reader<'_>, block: &Block) {
        if reader.labels(block, &[]).is_none() {
            return;
        }
        for item in &block.body.items {
            match item {
                Item::Block(inner) => {
                    reader.error(
                        Diagnostic::error(
                            "STK0104",
                            format!("Unexpected \"{}\" block", inner.name()),
                            "Blocks are not allowed here.",
                        )
                        .at(inner.kind.span)
                        .hint(format!(
                            "an object is written with an equals sign: {} = {{ … }}",
                            inner.name()
                        )),
                    );
                }
                Item::Attribute(attribute) => {
                    let name = attribute.key.text.clone();
                    let span = attribute.key.span;
                    let whole = Span {
                        end: attribute.value.span().end,
                        ..span
                    };
                    let local = Local {
                        expr: attribute.value.clone(),
                        span: whole,
                    };
                    let earlier = self.module.locals.get(&name).map(|l| l.span);
                    if unique(
                        reader,
                        "local value definition",
                        "Local value names",
                        &name,
                        span,
                        earlier,
                    ) {
                        self.module.locals.insert(name, local);
                    }
                }
            }
        }
    }

    fn provider(&mut self, reader: &mut Reader<'_>, block: &Block) {
        let Some(labels) = reader.labels(block, &["name"]) else {
            return;
        };
        let [(name, _)] = labels.as_slice() else { return };
        let span = block.header();
        let alias: Option<Arc<str>> = reader.text(&block.body, "alias").map(Arc::from);
        if let (Some(alias), Some(attribute)) = (&alias, block.body.attribute("alias"))
            && !read::is_identifier(alias)
        {
            let place = attribute.value.span();
            reader.error(
                Diagnostic::error(
                    "STK0109",
                    "Invalid provider alias",
                    "An alias must be a name: letters, digits, underscores and dashes.",
                )
                .at(place),
            );
        }
        if let Some(attribute) = block.body.attribute("version") {
            let place = attribute.key.span;
            reader.error(read::unsupported_argument("version", place, &[], &[]).hint(
                "providers are part of stack; required_version in the stack block fixes their version too",
            ));
        }
        let key = (name.clone(), alias);
        let shown = match &key.1 {
            Some(alias) => format!("{name}.{alias}"),
            None => name.to_string(),
        };
        let earlier = self.module.providers.get(&key).map(|p| p.span);
        if unique(
            reader,
            "provider configuration",
            "Configurations of one provider need different aliases; they",
            &shown,
            span,
            earlier,
        ) {
            let body = Body::read(reader, &block.body, &["alias", "version"], &[]);
            self.module.providers.insert(key, ProviderBlock { body, span });
        }
    }

    fn output(&mut self, reader: &mut Reader<'_>, block: &Block) {
        let Some(labels) = reader.labels(block, &["name"]) else {
            return;
        };
        let [(name, _)] = labels.as_slice() else { return };
        let span = block.header();
        let body = &block.body;
        reader.expect_only(
            body,
            &["value", "description", "sensitive", "ephemeral", "depends_on"],
            &["precondition"],
        );
        let description = reader.text(body, "description");
        let sensitive = reader.flag(body, "sensitive").unwrap_or(false);
        let ephemeral = reader.flag(body, "ephemeral").unwrap_or(false);
        let depends_on = reader.depends_on(body);
        let preconditions = reader.conditions(body, "precondition");
        let value = reader.required(body, "value", span);
        let earlier = self.module.outputs.get(name).map(|o| o.span);
        let free = unique(reader, "output definition", "Output names", name, span, earlier);
        if let (Some(value), true) = (value, free) {
            let value = value.value.clone();
            let output = Output {
                name: name.clone(),
                span,
                value,
                description,
                sensitive,
                ephemeral,
                depends_on,
                preconditions,
            };
            self.module.outputs.insert(name.clone(), output);
        }
    }

    fn check(&mut self, reader: &mut Reader<'_>, block: &Block) {
        let Some(labels) = reader.labels(block, &["name"]) else {
            return;
        };
        let [(name, _)] = labels.as_slice() else { return };
        let span = block.header();
        reader.expect_only(&block.body, &[], &["data", "assert"]);
        let assertions = reader.conditions(&block.body, "assert");
        if assertions.is_empty() && block.body.blocks("assert").next().is_none() {
            reader.error(
                Diagnostic::error(
                    "STK0106",
                    "Zero assert blocks",
                    "Check blocks must have at least one assert block.",
                )
                .at(span),
            );
        }
        let earlier = self.module.checks.get(name).map(|c| c.span);
        if !unique(
            reader,
            &format!("check \"{name}\" configuration"),
            "Check block names",
            name,
            span,
            earlier,
        ) {
            return;
        }
        let mut data = Vec::new();
        for inner in block.body.blocks("data") {
            let before = self.module.resources.len();
            self.resource(reader, inner, Some(name));
            if self.module.resources.len() > before
                && let [ty, label] = inner.labels.as_slice()
            {
                data.push(crate::configuration::ResourceKey {
                    mode: stack_core::Mode::Data,
                    ty: ty.text.clone(),
                    name: label.text.clone(),
                });
            }
        }
        self.module.checks.insert(
            name.clone(),
            Check {
                name: name.clone(),
                span,
                data,
                assertions,
            },
        );
    }
}

/// Reports a name that is declared already; true where it is free.
pub(crate) fn unique(
    reader: &mut Reader<'_>,
    what: &str,
    rule: &str,
    name: &str,
    span: Span,
    earlier: Option<Span>,
) -> bool {
    let Some(earlier) = earlier else { return true };
    let kind = what.split(' ').next().unwrap_or(what);
    reader.error(
        Diagnostic::error(
            "STK0108",
            format!("Duplicate {what}"),
            format!("A {kind} named \"{name}\" was already declared. {rule} must be unique within a module."),
        )
        .at(span)
        .label(earlier, "first declared here"),
    );
    false
}

/// Names that are declared, for hints.
pub(crate) fn names<V>(map: &BTreeMap<Arc<str>, V>) -> impl Iterator<Item = &str> {
    map.keys().map(AsRef::as_ref)
}
