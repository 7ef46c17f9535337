//! Tags: whose an object is, and what the user wants on it.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use stack_core::{Path, Value};
use stack_provider::{Cx, Owner, ProviderError};

use crate::client::{AwsClient, call};

/// Tags as the arguments give them.
pub(crate) type Tags = BTreeMap<String, String>;

const LINEAGE: &str = "stack:lineage";
const TOKEN: &str = "stack:token";
const ADDRESS: &str = "stack:address";
const ENVIRONMENT: &str = "stack:environment";

/// Most characters of a tag's value (EC2 User Guide, "Tag restrictions").
const VALUE_LENGTH: usize = 256;

fn tag(key: &str, value: &str) -> Tag {
    let value: String = value.chars().take(VALUE_LENGTH).collect();
    Tag::builder().key(key).value(value).build()
}

/// All tags of a new object.
pub(crate) fn of_new(client: &AwsClient, owner: &Owner, tags: Option<&Tags>) -> Vec<Tag> {
    let mut all = client.default_tags.clone();
    all.extend(tags.cloned().unwrap_or_default());
    let address = owner.address.to_string();
    let own = [
        (LINEAGE, owner.lineage.as_str()),
        (TOKEN, &owner.token),
        (ADDRESS, &address),
        (ENVIRONMENT, &owner.environment),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    all.iter()
        .map(|(k, v)| tag(k, v))
        .chain(own.map(|(k, v)| tag(k, v)))
        .collect()
}

/// The same for a request that makes an object of this kind.
pub(crate) fn specification(
    client: &AwsClient,
    kind: ResourceType,
    owner: &Owner,
    tags: Option<&Tags>,
) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(of_new(client, owner, tags)))
        .build()
}

/// A filter of the Describe calls.
pub(crate) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// Filters that find what this owner made.
pub(crate) fn owned(owner: &Owner) -> [Filter; 2] {
    [
        filter("tag:stack:lineage", [&owner.lineage]),
        filter("tag:stack:token", [&owner.token]),
    ]
}

/// Whether the tags say that this owner made the object.
pub(crate) fn is_owned(tags: &[Tag], owner: &Owner) -> bool {
    value(tags, LINEAGE) == Some(&owner.lineage) && value(tags, TOKEN) == Some(&owner.token)
}

/// Whether the object belongs to the same state.
pub(crate) fn is_of_lineage(tags: &[Tag], owner: &Owner) -> bool {
    lineage(tags) == Some(&owner.lineage)
}

/// The state an object was made from.
pub(crate) fn lineage(tags: &[Tag]) -> Option<&str> {
    value(tags, LINEAGE)
}

fn value<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|t| t.key() == Some(key)).and_then(Tag::value)
}

/// Tags that are not the user's to compare: ours, the cloud's, and the provider's defaults unless the object sets them.
fn is_foreign(client: &AwsClient, key: &str, prior: Option<&Tags>) -> bool {
    key.starts_with("stack:")
        || key.starts_with("aws:")
        || (client.default_tags.contains_key(key) && !prior.is_some_and(|p| p.contains_key(key)))
}

/// The user's tags as they are now.
pub(crate) fn observed(client: &AwsClient, prior: Option<&Tags>, tags: &[Tag]) -> Option<Tags> {
    let now: Tags = tags
        .iter()
        .filter_map(|t| Some((t.key()?.to_owned(), t.value().unwrap_or_default().to_owned())))
        .filter(|(key, _)| !is_foreign(client, key, prior))
        .collect();
    (!now.is_empty() || prior.is_some()).then_some(now)
}

/// Makes the user's tags of an object so, in as few calls as needed.
pub(crate) async fn sync(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    now: Option<&Tags>,
    wanted: Option<&Tags>,
) -> Result<(), ProviderError> {
    let empty = Tags::new();
    let (now, wanted) = (now.unwrap_or(&empty), wanted.unwrap_or(&empty));
    let set: Vec<Tag> = wanted
        .iter()
        .filter(|(key, value)| now.get(*key) != Some(value))
        .map(|(key, value)| tag(key, value))
        .collect();
    if !set.is_empty() {
        let request = client.ec2.create_tags().resources(id).set_tags(Some(set));
        call(cx, "CreateTags", request.send()).await?;
    }
    let (mut restored, mut gone) = (Vec::new(), Vec::new());
    for key in now.keys().filter(|key| !wanted.contains_key(*key)) {
        match client.default_tags.get(key) {
            Some(value) => restored.push(tag(key, value)),
            None => gone.push(Tag::builder().key(key).build()),
        }
    }
    if !restored.is_empty() {
        let request = client.ec2.create_tags().resources(id).set_tags(Some(restored));
        call(cx, "CreateTags", request.send()).await?;
    }
    if !gone.is_empty() {
        let request = client.ec2.delete_tags().resources(id).set_tags(Some(gone));
        call(cx, "DeleteTags", request.send()).await?;
    }
    Ok(())
}

/// What is wrong with the tags in a configuration.
pub(crate) fn validate(config: &Value) -> Vec<(Path, String)> {
    let tags = config.attribute("tags").and_then(Value::as_mapping);
    let keys = tags.into_iter().flatten().map(|(key, _)| key);
    keys.filter(|key| key.starts_with("stack:") || key.starts_with("aws:"))
        .map(|key| {
            let text = format!(
                "tags that start with `{}:` are reserved",
                key.split(':').next().unwrap_or(key)
            );
            (Path::of(&["tags"]).attribute(key), text)
        })
        .collect()
}
