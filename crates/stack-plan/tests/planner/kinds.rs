//! The types of the simulated cloud, as the planner sees them.
//!
//! - `cloud_net`, `cloud_box`: objects of a cloud; a box may be the container of others.
//! - `box_file`, `box_vm`, `box_service`: inside a box; a service is previewed; a vm is a container again.
//! - `vm_app`: inside a vm.
//! - `stack_data`: of no system.
//! - data `cloud_image`.

use std::collections::BTreeMap;

use stack_config::Schemas;
use stack_core::{Attribute, Mode, Path, Schema, Type, Value};
use stack_plan::{Catalog, DataType, Refined, ResourceType};

pub(crate) struct Kind {
    schema: Schema,
    local: bool,
    previews: bool,
}

impl ResourceType for Kind {
    fn schema(&self) -> &Schema {
        &self.schema
    }
    fn is_local(&self) -> bool {
        self.local
    }
    fn previews(&self) -> bool {
        self.previews
    }
    fn refine(&self, prior: Option<&Value>, planned: Value) -> Refined {
        let null = Value::NULL;
        if self.local {
            let input = planned.attribute("input").unwrap_or(&null).clone();
            let stays = prior.is_some_and(|p| p.attribute("input") == Some(&input));
            if input.is_null() {
                return Refined {
                    planned: planned.with_attribute("output", input),
                    replace: Vec::new(),
                };
            }
            if !stays {
                let unknown = Value::unknown(input.ty());
                return Refined {
                    planned: planned.with_attribute("output", unknown),
                    replace: Vec::new(),
                };
            }
        }
        Refined {
            planned,
            replace: Vec::new(),
        }
    }
    fn validate(&self, config: &Value) -> Vec<(Path, String)> {
        let size = config.attribute("size").and_then(Value::as_number);
        match size.and_then(stack_core::Number::as_i64) {
            Some(size) if size > 99 => vec![(Path::of(&["size"]), "At most 99 are possible.".to_owned())],
            _ => Vec::new(),
        }
    }
    fn same(&self, path: &Path, a: &Value, b: &Value) -> bool {
        let lower = |v: &Value| v.as_str().map(str::to_lowercase);
        path.to_string() == "label" && lower(a) == lower(b)
    }
}

impl DataType for Kind {
    fn schema(&self) -> &Schema {
        &self.schema
    }
}

pub(crate) struct Kinds {
    resources: BTreeMap<&'static str, Kind>,
    data: BTreeMap<&'static str, Kind>,
    providers: BTreeMap<&'static str, Schema>,
}

fn optional(ty: Type) -> Attribute {
    Attribute::optional(ty)
}

fn required(ty: Type) -> Attribute {
    Attribute {
        required: true,
        optional: false,
        ..optional(ty)
    }
}

fn replacing(ty: Type) -> Attribute {
    Attribute {
        replace: true,
        ..required(ty)
    }
}

fn computed() -> Attribute {
    Attribute {
        computed: true,
        optional: false,
        ..optional(Type::String)
    }
}

fn identity() -> Attribute {
    Attribute {
        identity: true,
        ..required(Type::String)
    }
}

fn schema<const N: usize>(attributes: [(&str, Attribute); N]) -> Schema {
    Schema {
        attributes: attributes.map(|(name, a)| (name.to_owned(), a)).into(),
        ..Schema::default()
    }
}

fn kind<const N: usize>(attributes: [(&str, Attribute); N]) -> Kind {
    Kind {
        schema: schema(attributes),
        local: false,
        previews: false,
    }
}

impl Kinds {
    pub(crate) fn new() -> Self {
        let box_of = kind([
            ("name", replacing(Type::String)),
            ("size", optional(Type::Number)),
            ("label", optional(Type::String)),
            ("tags", optional(Type::map(Type::String))),
            (
                "password",
                Attribute {
                    sensitive: true,
                    ..optional(Type::String)
                },
            ),
            ("net", optional(Type::String)),
            ("id", computed()),
            ("address", computed()),
            (
                "revision",
                Attribute {
                    recomputed: true,
                    ..computed()
                },
            ),
        ]);
        let data = Kind {
            local: true,
            ..kind([
                ("input", optional(Type::Dynamic)),
                (
                    "triggers_replace",
                    Attribute {
                        replace: true,
                        ..optional(Type::Dynamic)
                    },
                ),
                ("id", computed()),
                (
                    "output",
                    Attribute {
                        ty: Type::Dynamic,
                        ..computed()
                    },
                ),
            ])
        };
        let named = || {
            [
                ("name", replacing(Type::String)),
                ("content", optional(Type::String)),
                ("id", computed()),
            ]
        };
        let resources = BTreeMap::from([
            ("cloud_box", box_of),
            (
                "cloud_net",
                kind([
                    ("cidr", replacing(Type::String)),
                    ("label", optional(Type::String)),
                    ("id", computed()),
                ]),
            ),
            ("box_file", kind(named())),
            ("box_vm", kind(named())),
            (
                "box_service",
                Kind {
                    previews: true,
                    ..kind(named())
                },
            ),
            ("vm_app", kind(named())),
            ("stack_data", data),
        ]);
        let image = kind([("name", required(Type::String)), ("id", computed())]);
        Self {
            resources,
            data: BTreeMap::from([("cloud_image", image)]),
            providers: BTreeMap::from([
                ("cloud", schema([("region", optional(Type::String))])),
                (
                    "box",
                    schema([("box", identity()), ("address", optional(Type::String))]),
                ),
                ("vm", schema([("vm", identity())])),
                ("stack", Schema::default()),
            ]),
        }
    }

    pub(crate) fn schema(&self, mode: Mode, ty: &str) -> Option<&Schema> {
        match mode {
            Mode::Managed => self.resources.get(ty),
            Mode::Data => self.data.get(ty),
        }
        .map(|kind| &kind.schema)
    }
}

impl Catalog for Kinds {
    fn resource(&self, ty: &str) -> Option<&dyn ResourceType> {
        self.resources.get(ty).map(|kind| kind as &dyn ResourceType)
    }
    fn data_source(&self, ty: &str) -> Option<&dyn DataType> {
        self.data.get(ty).map(|kind| kind as &dyn DataType)
    }
    fn provider(&self, name: &str) -> Option<&Schema> {
        self.providers.get(name)
    }
    fn is_local(&self, name: &str) -> bool {
        name == "stack"
    }
    fn call(&self, _: &str, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        None
    }
}

impl Schemas for Kinds {
    fn resource(&self, mode: Mode, ty: &str) -> Option<&Schema> {
        self.schema(mode, ty)
    }
    fn provider(&self, name: &str) -> Option<&Schema> {
        self.providers.get(name)
    }
    fn types(&self, mode: Mode) -> Vec<&str> {
        match mode {
            Mode::Managed => self.resources.keys().copied().collect(),
            Mode::Data => self.data.keys().copied().collect(),
        }
    }
    fn providers(&self) -> Vec<&str> {
        self.providers.keys().copied().collect()
    }
}
