//! Provider `aws`: EC2 instances, security groups and their rules, key pairs, and lookups of images, networks and the
//! account.
//!
//! Every object that is made carries the tags `stack:lineage` and `stack:token`, by which it is found again when the
//! answer to its creation was lost. The SDK stays behind this crate's wall.

mod cidr;
mod client;
mod data;
mod error;
mod exclusive_rules;
mod instance;
mod key_pair;
mod known;
mod poll;
mod process;
mod rule;
mod rule_calls;
mod security_group;
mod tags;

pub use client::{AwsArguments, AwsClient, DefaultTags, Endpoints};
pub use data::{
    Ami, AmiModel, CallerIdentity, CallerIdentityModel, Filter, Subnet, SubnetModel, Subnets, SubnetsModel,
    Vpc, VpcModel,
};
pub use instance::{Instance, InstanceModel, MetadataOptions, RootBlockDevice};
pub use key_pair::{KeyPair, KeyPairModel};
pub use rule::{EgressRule, IngressRule, Rule, RuleModel};
pub use security_group::{SecurityGroup, SecurityGroupModel};
use stack_provider::{Api, Cx, Provider, ProviderError, Registry, async_trait};

/// The API that starts instances.
pub(crate) const LAUNCH: &str = "RunInstances";

/// Provider `aws`.
#[derive(Clone, Copy, Debug)]
pub struct AwsProvider;

#[async_trait]
impl Provider for AwsProvider {
    const NAME: &'static str = "aws";
    // Launching has a much smaller budget than everything that only asks.
    const APIS: &'static [Api] = &[Api {
        name: LAUNCH,
        limit: 5,
    }];
    type Config = AwsArguments;
    type Client = AwsClient;

    async fn connect(cx: &Cx, config: AwsArguments) -> Result<AwsClient, ProviderError> {
        AwsClient::connect(cx, config).await
    }

    fn register(registry: &mut Registry<AwsClient>) {
        registry
            .resource::<Instance>()
            .resource::<KeyPair>()
            .resource::<SecurityGroup>()
            .resource::<IngressRule>()
            .resource::<EgressRule>()
            .data_source::<Ami>()
            .data_source::<CallerIdentity>()
            .data_source::<Subnet>()
            .data_source::<Subnets>()
            .data_source::<Vpc>();
    }
}
