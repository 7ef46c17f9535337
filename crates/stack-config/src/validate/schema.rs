//! Bodies against schemas: what is missing, what is not expected.

use std::sync::Arc;

use stack_core::{Block, Diagnostic, Mode, Nesting, Schema, Span};

use super::Validator;
use super::references::{Site, unknown_attribute};
use crate::body::Body;
use crate::configuration::{IgnoreChanges, Module, ProviderBlock, Resource};
use crate::parse::read::{missing_argument, unsupported_argument, unsupported_block};
use crate::parse::resource::{META_ARGUMENTS, META_BLOCKS};
use crate::provider::provider_for;
use crate::suggest::did_you_mean;

impl<'c> Validator<'c> {
    /// The type of a resource must exist and take its arguments.
    pub(super) fn resource_schema(&mut self, resource: &Resource) {
        let key = &resource.key;
        let Some(schema) = self.schemas.resource(key.mode, &key.ty) else {
            let error = self.unknown_type(resource);
            self.diagnostics.push(error);
            return;
        };
        self.body(&resource.body, schema, resource.span, META_ARGUMENTS, META_BLOCKS);
        let IgnoreChanges::Paths(paths) = &resource.lifecycle.ignore_changes else {
            return;
        };
        for (path, span) in paths {
            let Some(stack_core::Step::Attribute(name)) = path.0.first() else {
                continue;
            };
            match schema.attributes.get(name.as_ref()) {
                Some(a) if !a.required && !a.optional => self.diagnostics.push(
                    Diagnostic::warning(
                        "STK0121",
                        "Redundant ignore_changes element",
                        format!("Adding \"{name}\" to ignore_changes has no effect: the attribute is decided by the provider alone."),
                    )
                    .at(*span),
                ),
                None if !schema.blocks.contains_key(name.as_ref()) => {
                    let near = did_you_mean(name, schema.attributes.keys().map(String::as_str));
                    self.diagnostics.push(unknown_attribute(name, near).at(*span));
                }
                Some(_) | None => {}
            }
        }
    }

    fn unknown_type(&self, resource: &Resource) -> Diagnostic {
        let key = &resource.key;
        let (what, other, word) = match key.mode {
            Mode::Managed => ("resource type", Mode::Data, "data source"),
            Mode::Data => ("data source", Mode::Managed, "resource type"),
        };
        let provider = &resource.provider.name;
        let kind = if key.mode == Mode::Data {
            "data source"
        } else {
            "resource type"
        };
        let summary = if key.mode == Mode::Data {
            "Invalid data source"
        } else {
            "Invalid resource type"
        };
        let error = if self.schemas.provider(provider).is_none() {
            let error = Diagnostic::error(
                "STK0122",
                summary,
                format!(
                    "There is no provider \"{provider}\", which the {kind} \"{}\" would belong to.",
                    key.ty
                ),
            );
            match did_you_mean(provider, self.schemas.providers()) {
                Some(near) => error.hint(format!("did you mean provider \"{near}\"?")),
                None => error.hint(format!(
                    "there are the providers {}",
                    self.schemas.providers().join(", ")
                )),
            }
        } else {
            Diagnostic::error(
                "STK0122",
                summary,
                format!(
                    "The provider \"{provider}\" does not support {kind} \"{}\".",
                    key.ty
                ),
            )
        };
        let error = error.at(resource.span);
        if self.schemas.resource(other, &key.ty).is_some() {
            return error.hint(format!("\"{}\" is a {word}, not a {what}", key.ty));
        }
        match did_you_mean(&key.ty, self.schemas.types(key.mode)) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error,
        }
    }

    /// A body and the blocks in it.
    fn body(&mut self, body: &Body, schema: &Schema, owner: Span, meta: &[&str], meta_blocks: &[&str]) {
        let settable = schema.attributes.iter().filter(|(_, a)| a.required || a.optional);
        let attributes: Vec<&str> = settable
            .map(|(n, _)| n.as_str())
            .chain(meta.iter().copied())
            .collect();
        let blocks: Vec<&str> = schema
            .blocks
            .keys()
            .map(String::as_str)
            .chain(meta_blocks.iter().copied())
            .collect();
        for (name, argument) in &body.attributes {
            match schema.attributes.get(name.as_ref()) {
                None => self.diagnostics.push(unsupported_argument(
                    name,
                    argument.name_span,
                    &attributes,
                    &blocks,
                )),
                Some(a) if !a.required && !a.optional => self.diagnostics.push(
                    Diagnostic::error(
                        "STK0123",
                        format!("\"{name}\" attribute is read-only"),
                        format!("The attribute \"{name}\" is decided by the provider and cannot be set."),
                    )
                    .at(argument.name_span),
                ),
                Some(a) => {
                    if let Some(reason) = &a.deprecated {
                        self.diagnostics.push(
                            Diagnostic::warning("STK0124", "Argument is deprecated", reason.clone())
                                .at(argument.name_span),
                        );
                    }
                }
            }
        }
        for (name, attribute) in &schema.attributes {
            if attribute.required && !body.attributes.contains_key(name.as_str()) {
                self.diagnostics.push(missing_argument(name, owner));
            }
        }
        for (name, block) in &schema.blocks {
            self.block_count(body, name, block, owner);
        }
        for block in &body.blocks {
            match schema.blocks.get(block.ty.as_ref()) {
                Some(known) => {
                    self.body(
                        &block.body,
                        &known.schema,
                        block.body.header.unwrap_or(block.span),
                        &[],
                        &[],
                    );
                }
                None => {
                    let place = if block.dynamic.is_some() {
                        block.body.header.unwrap_or(block.span)
                    } else {
                        block.span
                    };
                    self.diagnostics
                        .push(unsupported_block(&block.ty, place, &blocks, &attributes));
                }
            }
        }
    }

    /// Too few or too many blocks of a type; with a dynamic block only the evaluation can tell.
    fn block_count(&mut self, body: &Body, name: &str, block: &Block, owner: Span) {
        let found: Vec<_> = body.blocks.iter().filter(|b| b.ty.as_ref() == name).collect();
        let dynamic = found.iter().any(|b| b.dynamic.is_some());
        let written = found.iter().filter(|b| b.dynamic.is_none()).count();
        if !dynamic && written < block.min {
            self.diagnostics.push(too_few_blocks(name, block.min, owner));
        }
        let max = if block.nesting == Nesting::Single {
            Some(1)
        } else {
            block.max
        };
        if let Some(max) = max
            && written > max
            && let Some(extra) = found.iter().filter(|b| b.dynamic.is_none()).nth(max)
        {
            self.diagnostics.push(too_many_blocks(name, max, extra.span));
        }
    }

    /// The arguments of a `provider` block.
    pub(super) fn provider_block(&mut self, module: &'c Module, name: &Arc<str>, block: &'c ProviderBlock) {
        self.body_references(&Site::of(module), &block.body);
        if let Some(schema) = self.schemas.provider(name) {
            self.body(&block.body, schema, block.span, &[], &[]);
            return;
        }
        let error = Diagnostic::error(
            "STK0122",
            "Unknown provider",
            format!("There is no provider \"{name}\"."),
        );
        let error = match did_you_mean(name, self.schemas.providers()) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error.hint(format!(
                "there are the providers {}",
                self.schemas.providers().join(", ")
            )),
        };
        self.diagnostics.push(error.at(block.span));
    }

    /// The provider configuration a resource uses must exist, and may be left out only if nothing in it is required.
    pub(super) fn provider_of(&mut self, module: &'c Module, resource: &'c Resource) {
        let used = &resource.provider;
        if self
            .schemas
            .resource(resource.key.mode, &resource.key.ty)
            .is_none()
        {
            return;
        }
        let own = crate::parse::resource::default_provider(&resource.key.ty, resource.span);
        let owner = &used.name;
        if *owner != own.name {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0113",
                    "Invalid provider configuration reference",
                    format!(
                        "The type \"{}\" belongs to provider \"{}\", not to \"{owner}\".",
                        resource.key.ty, own.name
                    ),
                )
                .at(used.span),
            );
            return;
        }
        match provider_for(self.configuration, &module.names, used) {
            None => {
                let alias = used.alias.as_deref().unwrap_or_default();
                let error = Diagnostic::error(
                    "STK0113",
                    "Provider configuration not present",
                    format!(
                        "There is no configuration of provider \"{owner}\" with the alias \"{alias}\" here."
                    ),
                )
                .at(used.span);
                self.diagnostics.push(if module.names.is_empty() {
                    error.hint(format!(
                        "declare it: provider \"{owner}\" {{ alias = \"{alias}\" }}"
                    ))
                } else {
                    error.hint(format!(
                        "the module block must pass it: providers = {{ {owner}.{alias} = … }}"
                    ))
                });
            }
            Some((holder, name)) => {
                let block = self
                    .configuration
                    .module(holder.iter().map(AsRef::as_ref))
                    .and_then(|module| module.providers.get(&name));
                let required = self.schemas.provider(owner).map(|s| {
                    s.attributes
                        .iter()
                        .filter(|(_, a)| a.required)
                        .map(|(n, _)| n.clone())
                        .collect::<Vec<_>>()
                });
                if block.is_none()
                    && let Some(missing) = required.filter(|r| !r.is_empty())
                {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "STK0113",
                            "Provider requires configuration",
                            format!("The provider \"{owner}\" has required arguments ({}), and there is no provider \"{owner}\" block.", missing.join(", ")),
                        )
                        .at(used.span),
                    );
                }
            }
        }
    }
}

/// `Insufficient NAME blocks`
pub(crate) fn too_few_blocks(name: &str, min: usize, owner: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0106",
        format!("Insufficient {name} blocks"),
        format!("At least {min} \"{name}\" blocks are required."),
    )
    .at(owner)
}

/// `Too many NAME blocks`
pub(crate) fn too_many_blocks(name: &str, max: usize, extra: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0108",
        format!("Too many {name} blocks"),
        format!("No more than {max} \"{name}\" blocks are allowed."),
    )
    .at(extra)
}
