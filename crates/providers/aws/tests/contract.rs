//! The contract kit on every resource type of `aws`, against a real implementation of the API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Moto, connect, map, model, object};
use stack_core::Value;
use stack_provider::Resource;
use stack_provider::contract::{self, Change, Effect, Faults, Harness};
use stack_provider_aws::{AwsClient, EgressRule, IngressRule, Instance, KeyPair, SecurityGroup};
use stack_testkit::FaultProxy;

type Arguments = Vec<(&'static str, Value)>;

/// A type on a server behind a proxy that makes requests fail.
struct Remote<R> {
    sdk: aws_sdk_ec2::Client,
    proxy: FaultProxy,
    client: AwsClient,
    arguments: Arguments,
    changes: Vec<(&'static str, Value, Effect)>,
    count: for<'a> fn(&'a aws_sdk_ec2::Client) -> Count<'a>,
    resource: std::marker::PhantomData<fn(R)>,
    moto: Moto,
}

type Count<'a> = std::pin::Pin<Box<dyn Future<Output = usize> + Send + 'a>>;

impl<R: Resource<Client = AwsClient>> Remote<R> {
    async fn new(moto: Moto, count: for<'a> fn(&'a aws_sdk_ec2::Client) -> Count<'a>) -> Self {
        let proxy = FaultProxy::before(moto.address).await.unwrap();
        Self {
            sdk: moto.sdk(),
            client: connect(proxy.address()).await,
            proxy,
            arguments: Vec::new(),
            changes: Vec::new(),
            count,
            resource: std::marker::PhantomData,
            moto,
        }
    }

    async fn check(self, arguments: Arguments, changes: Vec<(&'static str, Value, Effect)>) {
        let harness = Self {
            arguments,
            changes,
            ..self
        };
        contract::check(&harness).await.unwrap();
        drop(harness.moto);
    }
}

#[stack_provider::async_trait]
impl<R: Resource<Client = AwsClient>> Harness for Remote<R> {
    type Resource = R;
    fn client(&self) -> &AwsClient {
        &self.client
    }
    fn arguments(&self) -> R::Model {
        model(&self.arguments)
    }
    fn changes(&self) -> Vec<Change<R::Model>> {
        let changes = self.changes.iter().map(|(name, value, effect)| {
            let mut arguments = self.arguments.clone();
            arguments.retain(|(n, _)| n != name);
            arguments.push((name, value.clone()));
            Change {
                name,
                arguments: model(&arguments),
                effect: *effect,
            }
        });
        changes.collect()
    }
    fn faults(&self) -> Option<&dyn Faults> {
        Some(&self.proxy)
    }
    async fn count(&self) -> Option<usize> {
        Some((self.count)(&self.sdk).await)
    }
}

fn instances(sdk: &aws_sdk_ec2::Client) -> Count<'_> {
    Box::pin(async {
        let answer = sdk.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|r| r.instances());
        all.filter(|i| i.state().unwrap().name().unwrap().as_str() != "terminated")
            .count()
    })
}

fn groups(sdk: &aws_sdk_ec2::Client) -> Count<'_> {
    Box::pin(async {
        sdk.describe_security_groups()
            .send()
            .await
            .unwrap()
            .security_groups()
            .len()
    })
}

fn pairs(sdk: &aws_sdk_ec2::Client) -> Count<'_> {
    Box::pin(async { sdk.describe_key_pairs().send().await.unwrap().key_pairs().len() })
}

fn rules(sdk: &aws_sdk_ec2::Client) -> Count<'_> {
    Box::pin(async {
        let answer = sdk.describe_security_group_rules().send().await.unwrap();
        answer.security_group_rules().len()
    })
}

async fn group(sdk: &aws_sdk_ec2::Client, name: &str) -> String {
    let vpcs = sdk.describe_vpcs().send().await.unwrap();
    let vpc = vpcs.vpcs().first().unwrap().vpc_id().unwrap();
    let request = sdk
        .create_security_group()
        .group_name(name)
        .description("for a test")
        .vpc_id(vpc);
    request.send().await.unwrap().group_id.unwrap()
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeAOvHD8eFYN5gTtoZrYJb8GFnlHnaZC+6vn7WpBRbf someone@somewhere";

#[tokio::test]
async fn aws_key_pair() {
    let remote = Remote::<KeyPair>::new(Moto::start().await, pairs).await;
    let arguments = vec![
        ("key_name", "contract".into()),
        ("public_key", KEY.into()),
        ("tags", map(&[("a", "1"), ("b", "2")])),
    ];
    let changes = vec![
        ("tags", map(&[("b", "3"), ("c", "4")]), Effect::InPlace),
        ("key_name", "other".into(), Effect::Replace),
    ];
    remote.check(arguments, changes).await;
}

#[tokio::test]
async fn aws_security_group() {
    let remote = Remote::<SecurityGroup>::new(Moto::start().await, groups).await;
    let arguments = vec![
        ("name_prefix", "contract-".into()),
        ("revoke_default_egress", true.into()),
        ("tags", map(&[("a", "1")])),
    ];
    let changes = vec![
        (
            "tags",
            Value::Null(stack_core::Type::map(stack_core::Type::String)),
            Effect::InPlace,
        ),
        ("exclusive_rules", true.into(), Effect::InPlace),
        ("description", "another".into(), Effect::Replace),
    ];
    remote.check(arguments, changes).await;
}

#[tokio::test]
async fn aws_vpc_security_group_ingress_rule() {
    let moto = Moto::start().await;
    let group = group(&moto.sdk(), "rules").await;
    let remote = Remote::<IngressRule>::new(moto, rules).await;
    let arguments = vec![
        ("security_group_id", group.as_str().into()),
        ("ip_protocol", "tcp".into()),
        ("from_port", 5671.into()),
        ("to_port", 5671.into()),
        ("cidr_ipv4", "10.0.0.0/16".into()),
        ("description", "amqps".into()),
        ("tags", map(&[("a", "1")])),
    ];
    let changes = vec![
        ("tags", map(&[("a", "2")]), Effect::InPlace),
        ("cidr_ipv4", "10.0.0.0/15".into(), Effect::InPlace),
        ("description", "the broker".into(), Effect::InPlace),
    ];
    remote.check(arguments, changes).await;
}

#[tokio::test]
async fn aws_vpc_security_group_egress_rule() {
    let moto = Moto::start().await;
    let group = group(&moto.sdk(), "rules").await;
    let remote = Remote::<EgressRule>::new(moto, rules).await;
    let arguments = vec![
        ("security_group_id", group.as_str().into()),
        ("ip_protocol", "-1".into()),
        ("referenced_security_group_id", group.as_str().into()),
    ];
    let changes = vec![("tags", map(&[("a", "2")]), Effect::InPlace)];
    remote.check(arguments, changes).await;
}

#[tokio::test]
async fn aws_instance() {
    let moto = Moto::start().await;
    let sdk = moto.sdk();
    let (one, other) = (group(&sdk, "one").await, group(&sdk, "other").await);
    let images = sdk.describe_images().send().await.unwrap();
    let image = images
        .images()
        .iter()
        .find(|i| i.root_device_name().is_some())
        .unwrap();
    let request = sdk
        .import_key_pair()
        .key_name("k")
        .public_key_material(aws_sdk_ec2::primitives::Blob::new(KEY));
    request.send().await.unwrap();
    let subnets = sdk.describe_subnets().send().await.unwrap();
    let subnet = subnets.subnets().first().unwrap().subnet_id().unwrap();
    let set = |group: &str| Value::set(stack_core::Type::String, vec![group.into()]);
    let remote = Remote::<Instance>::new(moto, instances).await;
    let arguments = vec![
        ("ami", image.image_id().unwrap().into()),
        ("instance_type", "t3.small".into()),
        ("subnet_id", subnet.into()),
        // Only of an instance with an explicit interface does moto exchange the groups; otherwise it adds.
        ("associate_public_ip_address", true.into()),
        ("vpc_security_group_ids", set(&one)),
        ("user_data", "#cloud-config\n".into()),
        ("tags", map(&[("Name", "contract")])),
        (
            "root_block_device",
            object(&[
                ("volume_size", 20.into()),
                ("volume_type", "gp3".into()),
                ("delete_on_termination", true.into()),
            ]),
        ),
    ];
    let changes = vec![
        ("tags", map(&[("Name", "changed")]), Effect::InPlace),
        ("vpc_security_group_ids", set(&other), Effect::InPlace),
        ("instance_type", "t3.medium".into(), Effect::InPlace),
        (
            "root_block_device",
            object(&[
                ("volume_size", 30.into()),
                ("volume_type", "gp3".into()),
                ("delete_on_termination", true.into()),
            ]),
            Effect::InPlace,
        ),
        (
            "metadata_options",
            object(&[
                ("http_endpoint", "enabled".into()),
                ("http_tokens", "required".into()),
                ("http_put_response_hop_limit", 2.into()),
                ("instance_metadata_tags", "enabled".into()),
            ]),
            Effect::InPlace,
        ),
        ("key_name", "k".into(), Effect::Replace),
    ];
    remote.check(arguments, changes).await;
}
