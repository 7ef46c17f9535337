//! `aws_ami`

use aws_sdk_ec2::types::Image;
use regex::Regex;
use stack_core::Schema;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use super::{Filter, filters};
use crate::client::{AwsClient, call};

/// One machine image. With `most_recent` the newest that passes the filters, otherwise the only one.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct AmiModel {
    /// Accounts the image may belong to: ids, `self`, `amazon`, `aws-marketplace`. Always set it: anybody can publish an
    /// image under any name.
    pub owners: Option<Vec<String>>,
    /// Regular expression that the image's name must match, besides the filters.
    pub name_regex: Option<String>,
    /// Whether to take the newest of many.
    #[schema(default = false)]
    pub most_recent: bool,
    /// Whether to consider deprecated images too.
    #[schema(default = false)]
    pub include_deprecated: bool,
    /// Filters of DescribeImages: `name`, `architecture`, ...
    #[schema(block)]
    pub filter: Vec<Filter>,
    /// Image id.
    #[schema(computed)]
    pub id: Option<String>,
    /// Image id.
    #[schema(computed)]
    pub image_id: Option<String>,
    /// Name.
    #[schema(computed)]
    pub name: Option<String>,
    /// Description.
    #[schema(computed)]
    pub description: Option<String>,
    /// `x86_64`, `arm64`, ...
    #[schema(computed)]
    pub architecture: Option<String>,
    /// When it was made, RFC 3339.
    #[schema(computed)]
    pub creation_date: Option<String>,
    /// Account it belongs to.
    #[schema(computed)]
    pub owner_id: Option<String>,
    /// Name of the root volume's device.
    #[schema(computed)]
    pub root_device_name: Option<String>,
    /// `ebs` or `instance-store`.
    #[schema(computed)]
    pub root_device_type: Option<String>,
    /// `hvm` or `paravirtual`.
    #[schema(computed)]
    pub virtualization_type: Option<String>,
}

/// Data source `aws_ami`.
#[derive(Clone, Copy, Debug)]
pub struct Ami;

/// The image that the arguments mean.
fn choose(mut images: Vec<Image>, most_recent: bool) -> Result<Image, ProviderError> {
    // The service gives them in no order. Dates are RFC 3339 in UTC, so text order is time order.
    images.sort_by(|a, b| (a.creation_date(), a.image_id()).cmp(&(b.creation_date(), b.image_id())));
    let count = images.len();
    match images.pop() {
        Some(image) if most_recent || count == 1 => Ok(image),
        Some(_) => {
            let message =
                format!("{count} images pass the filters; add filters, or set `most_recent = true`");
            Err(ProviderError::new(ErrorKind::InvalidArgument, message))
        }
        None => {
            let message = "no image passes the filters; check `owners`, the filters and the region";
            Err(ProviderError::new(ErrorKind::NotFound, message))
        }
    }
}

#[async_trait]
impl DataSource for Ami {
    const TYPE: &'static str = "aws_ami";
    type Model = AmiModel;
    type Client = AwsClient;

    async fn read(cx: &Cx, client: &AwsClient, arguments: AmiModel) -> Result<AmiModel, ProviderError> {
        let name =
            match &arguments.name_regex {
                Some(text) => Some(Regex::new(text).map_err(|e| {
                    ProviderError::invalid("name_regex", "is no regular expression").source(e)
                })?),
                None => None,
            };
        let mut images = Vec::new();
        let mut page = None;
        loop {
            let request = client
                .ec2
                .describe_images()
                .set_owners(arguments.owners.clone())
                .include_deprecated(arguments.include_deprecated)
                .set_filters(Some(filters(&arguments.filter, None)))
                .set_next_token(page);
            let answer = call(cx, "DescribeImages", request.send()).await?;
            images.extend(answer.images.unwrap_or_default());
            page = answer.next_token.filter(|t| !t.is_empty());
            if page.is_none() {
                break;
            }
        }
        images.retain(|i| {
            name.as_ref()
                .is_none_or(|n| i.name().is_some_and(|name| n.is_match(name)))
        });
        let image = choose(images, arguments.most_recent)?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(AmiModel {
            id: text(image.image_id()),
            image_id: text(image.image_id()),
            name: text(image.name()),
            description: text(image.description()),
            architecture: text(image.architecture().map(|a| a.as_str())),
            creation_date: text(image.creation_date()),
            owner_id: text(image.owner_id()),
            root_device_name: text(image.root_device_name()),
            root_device_type: text(image.root_device_type().map(|t| t.as_str())),
            virtualization_type: text(image.virtualization_type().map(|t| t.as_str())),
            ..arguments
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, date: &str) -> Image {
        Image::builder().image_id(id).creation_date(date).build()
    }

    #[test]
    fn the_newest_image_wins() {
        let images = vec![
            image("ami-2", "2026-02-01T00:00:00.000Z"),
            image("ami-3", "2026-03-01T00:00:00.000Z"),
            image("ami-1", "2026-01-01T00:00:00.000Z"),
        ];
        assert_eq!(choose(images.clone(), true).unwrap().image_id(), Some("ami-3"));
        assert_eq!(
            choose(images, false).unwrap_err().kind,
            ErrorKind::InvalidArgument
        );
        assert_eq!(choose(Vec::new(), true).unwrap_err().kind, ErrorKind::NotFound);
    }
}
