//! `aws_subnet` and `aws_subnets`

use aws_sdk_ec2::types::Subnet as Described;
use stack_core::Schema;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use super::{Filter, filters};
use crate::client::{AwsClient, call};
use crate::tags::{self, Tags};

/// One subnet. The arguments must leave exactly one.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct SubnetModel {
    /// Subnet id.
    #[schema(optional, computed)]
    pub id: Option<String>,
    /// VPC it lies in.
    #[schema(optional, computed)]
    pub vpc_id: Option<String>,
    /// Availability zone it lies in.
    #[schema(optional, computed)]
    pub availability_zone: Option<String>,
    /// IPv4 network.
    #[schema(optional, computed)]
    pub cidr_block: Option<String>,
    /// Whether it is the default one of its zone.
    #[schema(optional, computed)]
    pub default_for_az: Option<bool>,
    /// Tags it must have; otherwise those it has.
    #[schema(optional, computed)]
    pub tags: Option<Tags>,
    /// Filters of DescribeSubnets.
    #[schema(block)]
    pub filter: Vec<Filter>,
    /// Whether instances get a public address where they do not say.
    #[schema(computed)]
    pub map_public_ip_on_launch: Option<bool>,
    /// Free addresses.
    #[schema(computed)]
    pub available_ip_address_count: Option<i32>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
}

/// Data source `aws_subnet`.
#[derive(Clone, Copy, Debug)]
pub struct Subnet;

async fn describe(
    cx: &Cx,
    client: &AwsClient,
    filters: Vec<aws_sdk_ec2::types::Filter>,
) -> Result<Vec<Described>, ProviderError> {
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let request = client
            .ec2
            .describe_subnets()
            .set_filters(Some(filters.clone()))
            .set_next_token(page);
        let answer = call(cx, "DescribeSubnets", request.send()).await?;
        found.extend(answer.subnets.unwrap_or_default());
        page = answer.next_token.filter(|t| !t.is_empty());
        if page.is_none() {
            return Ok(found);
        }
    }
}

#[async_trait]
impl DataSource for Subnet {
    const TYPE: &'static str = "aws_subnet";
    type Model = SubnetModel;
    type Client = AwsClient;

    async fn read(cx: &Cx, client: &AwsClient, arguments: SubnetModel) -> Result<SubnetModel, ProviderError> {
        let mut wanted = filters(&arguments.filter, arguments.tags.as_ref());
        for (name, value) in [
            ("subnet-id", &arguments.id),
            ("vpc-id", &arguments.vpc_id),
            ("availability-zone", &arguments.availability_zone),
            ("cidr-block", &arguments.cidr_block),
        ] {
            wanted.extend(value.iter().map(|value| tags::filter(name, [value])));
        }
        wanted.extend(
            arguments
                .default_for_az
                .map(|is| tags::filter("default-for-az", [is.to_string()])),
        );
        let found = describe(cx, client, wanted).await?;
        let subnet = match found.as_slice() {
            [subnet] => subnet,
            [] => {
                let message = format!("no subnet in {} passes the filters", client.region);
                return Err(ProviderError::new(ErrorKind::NotFound, message));
            }
            many => {
                let message = format!(
                    "{} subnets pass the filters; add filters until one is left",
                    many.len()
                );
                return Err(ProviderError::new(ErrorKind::InvalidArgument, message));
            }
        };
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(SubnetModel {
            id: text(subnet.subnet_id()),
            vpc_id: text(subnet.vpc_id()),
            availability_zone: text(subnet.availability_zone()),
            cidr_block: text(subnet.cidr_block()),
            default_for_az: Some(subnet.default_for_az().unwrap_or(false)),
            tags: arguments
                .tags
                .or_else(|| tags::observed(client, Some(&Tags::new()), subnet.tags())),
            filter: arguments.filter,
            map_public_ip_on_launch: Some(subnet.map_public_ip_on_launch().unwrap_or(false)),
            available_ip_address_count: subnet.available_ip_address_count(),
            arn: text(subnet.subnet_arn()),
        })
    }
}

/// The ids of all subnets that pass the filters.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct SubnetsModel {
    /// Tags they must have.
    pub tags: Option<Tags>,
    /// Filters of DescribeSubnets: `vpc-id`, ...
    #[schema(block)]
    pub filter: Vec<Filter>,
    /// The ids, sorted.
    #[schema(computed)]
    pub ids: Option<Vec<String>>,
    /// The region.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Data source `aws_subnets`.
#[derive(Clone, Copy, Debug)]
pub struct Subnets;

#[async_trait]
impl DataSource for Subnets {
    const TYPE: &'static str = "aws_subnets";
    type Model = SubnetsModel;
    type Client = AwsClient;

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        arguments: SubnetsModel,
    ) -> Result<SubnetsModel, ProviderError> {
        let found = describe(cx, client, filters(&arguments.filter, arguments.tags.as_ref())).await?;
        let mut ids: Vec<String> = found.into_iter().filter_map(|s| s.subnet_id).collect();
        ids.sort();
        Ok(SubnetsModel {
            ids: Some(ids),
            id: Some(client.region.clone()),
            ..arguments
        })
    }
}
