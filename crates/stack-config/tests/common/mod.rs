//! Schemas and a scope for tests.
#![expect(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_config::{MemorySources, Reference, Schemas, Scope, Sources, Subject};
use stack_core::{Attribute, Block, Diagnostic, Diagnostics, Mode, Nesting, Schema, Type, Value};

/// Schemas of a few types: `stack_data`, `cloud_instance` with nested blocks, data `cloud_image`; the provider `cloud`
/// requires `region`.
pub(crate) struct Known {
    resources: BTreeMap<(Mode, &'static str), Schema>,
    providers: BTreeMap<&'static str, Schema>,
}

pub(crate) fn optional(ty: Type) -> Attribute {
    Attribute::optional(ty)
}

pub(crate) fn required(ty: Type) -> Attribute {
    Attribute {
        required: true,
        optional: false,
        ..Attribute::optional(ty)
    }
}

pub(crate) fn computed(ty: Type) -> Attribute {
    Attribute {
        computed: true,
        optional: false,
        ..Attribute::optional(ty)
    }
}

pub(crate) fn schema<const A: usize, const B: usize>(
    attributes: [(&str, Attribute); A],
    blocks: [(&str, Block); B],
) -> Schema {
    Schema {
        attributes: attributes
            .into_iter()
            .map(|(name, a)| (name.to_owned(), a))
            .collect(),
        blocks: blocks.into_iter().map(|(name, b)| (name.to_owned(), b)).collect(),
        ..Schema::default()
    }
}

/// `cloud_instance`
pub(crate) fn instance() -> Schema {
    let disk = schema(
        [("size", required(Type::Number)), ("type", optional(Type::String))],
        [],
    );
    let timeouts = schema([("create", optional(Type::String))], []);
    schema(
        [
            ("image", required(Type::String)),
            ("kind", optional(Type::String)),
            ("tags", optional(Type::map(Type::String))),
            (
                "old",
                Attribute {
                    deprecated: Some("use kind".to_owned()),
                    ..optional(Type::String)
                },
            ),
            ("id", computed(Type::String)),
            ("address", computed(Type::String)),
        ],
        [
            (
                "disk",
                Block {
                    nesting: Nesting::List,
                    schema: disk.clone(),
                    min: 0,
                    max: Some(3),
                },
            ),
            (
                "root",
                Block {
                    nesting: Nesting::Single,
                    schema: disk,
                    min: 0,
                    max: Some(1),
                },
            ),
            (
                "timeouts",
                Block {
                    nesting: Nesting::Single,
                    schema: timeouts,
                    min: 0,
                    max: Some(1),
                },
            ),
        ],
    )
}

impl Known {
    pub(crate) fn new() -> Self {
        let data = schema(
            [
                ("input", optional(Type::Dynamic)),
                ("triggers_replace", optional(Type::Dynamic)),
                ("id", computed(Type::String)),
                ("output", computed(Type::Dynamic)),
            ],
            [],
        );
        let image = schema(
            [("name", required(Type::String)), ("id", computed(Type::String))],
            [],
        );
        Self {
            resources: BTreeMap::from([
                ((Mode::Managed, "stack_data"), data),
                ((Mode::Managed, "cloud_instance"), instance()),
                ((Mode::Data, "cloud_image"), image),
            ]),
            providers: BTreeMap::from([
                ("stack", Schema::default()),
                (
                    "cloud",
                    schema(
                        [
                            ("region", required(Type::String)),
                            ("profile", optional(Type::String)),
                        ],
                        [],
                    ),
                ),
            ]),
        }
    }
}

impl Schemas for Known {
    fn resource(&self, mode: Mode, ty: &str) -> Option<&Schema> {
        self.resources
            .iter()
            .find(|((m, t), _)| *m == mode && *t == ty)
            .map(|(_, schema)| schema)
    }

    fn provider(&self, name: &str) -> Option<&Schema> {
        self.providers.get(name)
    }

    fn types(&self, mode: Mode) -> Vec<&str> {
        self.resources
            .keys()
            .filter(|(m, _)| *m == mode)
            .map(|(_, ty)| *ty)
            .collect()
    }

    fn providers(&self) -> Vec<&str> {
        self.providers.keys().copied().collect()
    }
}

/// A scope of local values.
#[derive(Default)]
pub(crate) struct Locals {
    values: BTreeMap<Arc<str>, Value>,
    sources: MemorySources,
}

impl Locals {
    pub(crate) fn of<const N: usize>(values: [(&str, Value); N]) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (Arc::from(name), value))
            .collect();
        Self {
            values,
            sources: MemorySources::new(),
        }
    }
}

impl Scope for Locals {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        let Subject::Local(name) = &reference.subject else {
            panic!("{reference} is no local value")
        };
        self.values.get(name).cloned().ok_or_else(|| {
            Diagnostic::error("TEST", "Reference to undeclared local value", name.to_string())
                .at(reference.span)
                .into()
        })
    }

    fn sources(&self) -> &dyn Sources {
        &self.sources
    }

    fn module_dir(&self) -> &str {
        "."
    }

    fn random(&self) -> Option<[u8; 16]> {
        Some([7; 16])
    }
}
