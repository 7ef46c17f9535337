//! `aws_vpc`

use stack_core::Schema;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use super::{Filter, filters};
use crate::client::{AwsClient, call};
use crate::tags::{self, Tags};

/// One VPC. The arguments must leave exactly one.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct VpcModel {
    /// VPC id.
    #[schema(optional, computed)]
    pub id: Option<String>,
    /// Whether it is the region's default one.
    #[schema(optional, computed)]
    pub default: Option<bool>,
    /// Primary IPv4 network.
    #[schema(optional, computed)]
    pub cidr_block: Option<String>,
    /// Tags it must have; otherwise those it has.
    #[schema(optional, computed)]
    pub tags: Option<Tags>,
    /// Filters of DescribeVpcs.
    #[schema(block)]
    pub filter: Vec<Filter>,
    /// Account it belongs to.
    #[schema(computed)]
    pub owner_id: Option<String>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
}

/// Data source `aws_vpc`.
#[derive(Clone, Copy, Debug)]
pub struct Vpc;

#[async_trait]
impl DataSource for Vpc {
    const TYPE: &'static str = "aws_vpc";
    type Model = VpcModel;
    type Client = AwsClient;

    async fn read(cx: &Cx, client: &AwsClient, arguments: VpcModel) -> Result<VpcModel, ProviderError> {
        let mut wanted = filters(&arguments.filter, arguments.tags.as_ref());
        wanted.extend(arguments.id.iter().map(|id| tags::filter("vpc-id", [id])));
        wanted.extend(
            arguments
                .cidr_block
                .iter()
                .map(|cidr| tags::filter("cidr", [cidr])),
        );
        wanted.extend(
            arguments
                .default
                .map(|is| tags::filter("is-default", [is.to_string()])),
        );
        let request = client.ec2.describe_vpcs().set_filters(Some(wanted));
        let answer = call(cx, "DescribeVpcs", request.send()).await?;
        let vpc = match answer.vpcs() {
            [vpc] => vpc,
            [] => {
                let message = format!("no VPC in {} passes the filters", client.region);
                return Err(ProviderError::new(ErrorKind::NotFound, message));
            }
            many => {
                let message = format!(
                    "{} VPCs pass the filters; add filters until one is left",
                    many.len()
                );
                return Err(ProviderError::new(ErrorKind::InvalidArgument, message));
            }
        };
        let id = vpc.vpc_id().unwrap_or_default().to_owned();
        let owner = vpc.owner_id().unwrap_or_default().to_owned();
        Ok(VpcModel {
            default: Some(vpc.is_default().unwrap_or(false)),
            cidr_block: vpc.cidr_block().map(str::to_owned),
            tags: arguments
                .tags
                .or_else(|| tags::observed(client, Some(&Tags::new()), vpc.tags())),
            filter: arguments.filter,
            arn: Some(client.arn(&owner, &format!("vpc/{id}"))),
            owner_id: Some(owner),
            id: Some(id),
        })
    }
}
