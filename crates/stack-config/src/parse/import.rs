//! `moved`, `removed` and `import` blocks.

use stack_core::address::Target;
use stack_core::{Diagnostic, InstanceKey, Mode, ModulePath, ResourceAddress, Value};

use super::Folder;
use super::read::{Part, Reader, is_text};
use super::syntax::{Attribute, Block};
use crate::configuration::{Import, Moved, Removed};
use crate::expression::Expr;

impl Folder {
    pub(super) fn moved(&mut self, reader: &mut Reader<'_>, block: &Block) {
        if reader.labels(block, &[]).is_none() {
            return;
        }
        let span = block.header();
        reader.expect_only(&block.body, &["from", "to"], &[]);
        let from = reader.required(&block.body, "from", span);
        let to = reader.required(&block.body, "to", span);
        let (Some(from), Some(to)) = (from, to) else {
            return;
        };
        let (Some(from), Some(to)) = (reader.target(from), reader.target(to)) else {
            return;
        };
        if std::mem::discriminant(&from) != std::mem::discriminant(&to) {
            reader.error(
                Diagnostic::error(
                    "STK0117",
                    "Invalid \"moved\" addresses",
                    "The \"from\" and \"to\" addresses must either both refer to resources or both refer to modules.",
                )
                .at(span),
            );
            return;
        }
        self.module.moved.push(Moved { from, to, span });
    }

    pub(super) fn removed(&mut self, reader: &mut Reader<'_>, block: &Block) {
        if reader.labels(block, &[]).is_none() {
            return;
        }
        let span = block.header();
        reader.expect_only(&block.body, &["from"], &["lifecycle"]);
        let mut destroy = true;
        if let Some(lifecycle) = reader.single(&block.body, "lifecycle") {
            reader.expect_only(&lifecycle.body, &["destroy"], &[]);
            destroy = reader.flag(&lifecycle.body, "destroy").unwrap_or(true);
        }
        let Some(attribute) = reader.required(&block.body, "from", span) else {
            return;
        };
        let Some(from) = reader.target(attribute) else {
            return;
        };
        let (keyed, data) = match &from {
            Target::Module(module) => (has_keys(module), false),
            Target::Resource(r) => (
                has_keys(&r.module) || r.key != InstanceKey::None,
                r.mode == Mode::Data,
            ),
        };
        let place = attribute.value.span();
        if keyed {
            reader.error(
                Diagnostic::error(
                    "STK0117",
                    "Resource instance keys not allowed",
                    "Resource address must be a resource (e.g. \"stack_data.a\"), not a resource instance (e.g. \"stack_data.a[1]\").",
                )
                .at(place),
            );
        } else if data {
            reader.error(
                Diagnostic::error(
                    "STK0117",
                    "Data source address not allowed",
                    "Data sources are never destroyed, so they are not valid targets of removed blocks. Remove the data block.",
                )
                .at(place),
            );
        } else {
            self.module.removed.push(Removed { from, destroy, span });
        }
    }

    pub(super) fn import(&mut self, reader: &mut Reader<'_>, block: &Block) {
        if reader.labels(block, &[]).is_none() {
            return;
        }
        let span = block.header();
        let body = &block.body;
        reader.expect_only(body, &["for_each", "id", "provider", "to"], &[]);
        let id = reader.required(body, "id", span);
        let to = reader.required(body, "to", span);
        let provider = reader.provider_argument(body);
        let for_each = body.attribute("for_each").map(|a| a.value.clone());
        let (Some(id), Some(attribute)) = (id, to) else {
            return;
        };
        let id = id.value.clone();
        let Some((to, key)) = reader.import_target(attribute) else {
            return;
        };
        let to_span = attribute.value.span();
        self.module.imports.push(Import {
            to,
            to_span,
            key,
            id,
            for_each,
            provider,
            span,
        });
    }
}

fn has_keys(module: &ModulePath) -> bool {
    module.0.iter().any(|step| step.key != InstanceKey::None)
}

impl Reader<'_> {
    /// An address without anything to evaluate.
    fn target(&mut self, attribute: &Attribute) -> Option<Target> {
        let parts = self.traversal(&attribute.value).unwrap_or_default();
        let found = address(&parts);
        if found.is_none() {
            let span = attribute.value.span();
            let summary = if parts.is_empty() {
                "Invalid expression"
            } else {
                "Invalid address"
            };
            let mut error = Diagnostic::error(
                "STK0117",
                summary,
                "The address of a resource (stack_data.a), of one of its instances (stack_data.a[0]) or of a module (module.m) is required here.",
            )
            .at(span);
            if is_text(&attribute.value) {
                error = error.hint("write the address without quotes");
            }
            self.error(error);
        }
        found
    }

    /// `to` of an import: an address whose last key may be computed.
    fn import_target(&mut self, attribute: &Attribute) -> Option<(ResourceAddress, Option<Expr>)> {
        let span = attribute.value.span();
        let mut parts = self.traversal(&attribute.value).unwrap_or_default();
        let constant = |value| Expr::literal(value, span);
        let key = match parts.last() {
            Some(Part::Computed(key)) => Some(key.clone()),
            Some(Part::Key(key)) => Some(constant(Value::String(key.clone()))),
            Some(Part::Index(index)) => {
                Some(constant(Value::from(i64::try_from(*index).unwrap_or(i64::MAX))))
            }
            Some(Part::Name(_)) | None => None,
        };
        if key.is_some() {
            parts.pop();
        }
        match address(&parts) {
            Some(Target::Resource(to)) if to.mode == Mode::Managed => Some((to, key)),
            Some(Target::Resource(_)) => {
                self.error(
                    Diagnostic::error(
                        "STK0132",
                        "Invalid import address",
                        "Only resources can be imported; data sources are read anew by every plan.",
                    )
                    .at(span),
                );
                None
            }
            Some(Target::Module(_)) | None => {
                self.error(
                    Diagnostic::error(
                        "STK0132",
                        "Invalid import address",
                        "The address of a resource or of one of its instances is required here.",
                    )
                    .at(span),
                );
                None
            }
        }
    }
}

/// `module.m["k"].stack_data.a[0]`
fn address(parts: &[Part]) -> Option<Target> {
    let mut rest = parts;
    let mut module = ModulePath::root();
    while let [Part::Name(word), Part::Name(name), tail @ ..] = rest {
        if word.as_ref() != "module" {
            break;
        }
        let (key, tail) = instance_key(tail);
        module = module.child(name, key);
        rest = tail;
    }
    let (mode, rest) = match rest {
        [] if !module.is_root() => return Some(Target::Module(module)),
        [Part::Name(word), tail @ ..] if word.as_ref() == "data" => (Mode::Data, tail),
        [Part::Name(word), tail @ ..] if word.as_ref() == "resource" => (Mode::Managed, tail),
        other => (Mode::Managed, other),
    };
    let [Part::Name(ty), Part::Name(name), tail @ ..] = rest else {
        return None;
    };
    let (key, tail) = instance_key(tail);
    let resource = ResourceAddress {
        module,
        mode,
        ty: ty.clone(),
        name: name.clone(),
        key,
    };
    tail.is_empty().then_some(Target::Resource(resource))
}

fn instance_key(parts: &[Part]) -> (InstanceKey, &[Part]) {
    match parts {
        [Part::Index(index), tail @ ..] => (InstanceKey::Index(*index), tail),
        [Part::Key(key), tail @ ..] => (InstanceKey::Name(key.clone()), tail),
        other => (InstanceKey::None, other),
    }
}
