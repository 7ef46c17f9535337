//! `cloud_record`: an entry of a name server.

use serde_json::json;
use stack_core::Schema;

use super::{Named, NamedKind, attributes, text};
use crate::cloud::client::Cloud;
use crate::cloud::world::{Attributes, Object};

/// A record.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct RecordModel {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// Where it points, changed in place.
    pub value: String,
}

/// Resource type `cloud_record`.
pub type Record = Named<RecordKind>;

/// See [`Record`].
#[derive(Clone, Copy, Debug)]
pub struct RecordKind;

impl NamedKind for RecordKind {
    const TYPE: &'static str = "cloud_record";
    const KIND: &'static str = "record";
    const KEY: &'static str = "name";
    type Model = RecordModel;
    type Client = Cloud;

    fn around(cloud: &Cloud) -> (&Cloud, Option<&str>) {
        (cloud, None)
    }
    fn name(model: &RecordModel) -> &str {
        &model.name
    }
    fn settings(model: &RecordModel) -> Attributes {
        attributes([("value", json!(model.value))])
    }
    fn model(object: Object) -> RecordModel {
        RecordModel {
            value: text(&object, "value"),
            name: object.name,
        }
    }
}
