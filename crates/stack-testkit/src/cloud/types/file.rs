//! `guest_file`: lives on a server and ends with it.

use serde_json::json;
use stack_core::Schema;

use super::{Guest, Named, NamedKind, attributes, text};
use crate::cloud::client::Cloud;
use crate::cloud::world::{Attributes, Object};

/// A file.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct FileModel {
    /// Path.
    #[schema(replace)]
    pub path: String,
    /// Content, changed in place.
    pub text: String,
}

/// Resource type `guest_file`.
pub type File = Named<FileKind>;

/// See [`File`].
#[derive(Clone, Copy, Debug)]
pub struct FileKind;

impl NamedKind for FileKind {
    const TYPE: &'static str = "guest_file";
    const KIND: &'static str = "file";
    const KEY: &'static str = "path";
    type Model = FileModel;
    type Client = Guest;

    fn around(guest: &Guest) -> (&Cloud, Option<&str>) {
        (&guest.cloud, Some(&guest.server))
    }
    fn name(model: &FileModel) -> &str {
        &model.path
    }
    fn settings(model: &FileModel) -> Attributes {
        attributes([("text", json!(model.text))])
    }
    fn model(object: Object) -> FileModel {
        FileModel {
            text: text(&object, "text"),
            path: object.name,
        }
    }
}
