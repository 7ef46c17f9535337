//! Data sources, and behaviour that takes several objects, against a real implementation of the API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Moto, connect, cx, map, model, object};
use stack_core::Value;
use stack_provider::{DataSource as _, ErrorKind, Owner, Resource as _};
use stack_provider_aws::{
    Ami, CallerIdentity, EgressRule, IngressRule, Instance, RuleModel, SecurityGroup, Subnet, Subnets, Vpc,
};

fn filter(name: &str, value: &str) -> Value {
    let values = Value::list(stack_core::Type::String, vec![value.into()]);
    let block = object(&[("name", name.into()), ("values", values)]);
    Value::list(block.ty(), vec![block])
}

fn owner(lineage: &str, token: &str) -> Owner {
    Owner {
        lineage: lineage.to_owned(),
        token: token.to_owned(),
        address: "aws_security_group.a".parse().unwrap(),
        environment: "test".to_owned(),
    }
}

#[tokio::test]
async fn the_default_network_is_found() {
    let moto = Moto::start().await;
    let (cx, client) = (cx(), connect(moto.address).await);
    let vpc = Vpc::read(&cx, &client, model(&[("default", true.into())]))
        .await
        .unwrap();
    let id = vpc.id.unwrap();
    assert_eq!(vpc.cidr_block.as_deref(), Some("172.31.0.0/16"));
    let subnets = Subnets::read(&cx, &client, model(&[("filter", filter("vpc-id", &id))]))
        .await
        .unwrap();
    let ids = subnets.ids.unwrap();
    assert!(ids.len() > 1 && ids.is_sorted());
    let subnet = Subnet::read(&cx, &client, model(&[("id", ids[0].as_str().into())]))
        .await
        .unwrap();
    assert_eq!(subnet.vpc_id, Some(id));
    let many = Subnet::read(&cx, &client, model(&[("default_for_az", true.into())]))
        .await
        .unwrap_err();
    assert_eq!(many.kind, ErrorKind::InvalidArgument);
    let none = Vpc::read(&cx, &client, model(&[("tags", map(&[("a", "b")]))]))
        .await
        .unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn an_image_is_found_by_filters_and_expression() {
    let moto = Moto::start().await;
    let (cx, client) = (cx(), connect(moto.address).await);
    let arguments = [
        ("filter", filter("architecture", "x86_64")),
        ("name_regex", "(?i)ubuntu".into()),
        ("most_recent", true.into()),
    ];
    let image = Ami::read(&cx, &client, model(&arguments)).await.unwrap();
    assert!(image.id.unwrap().starts_with("ami-"));
    assert!(image.name.unwrap().to_lowercase().contains("ubuntu"));
    let identity = CallerIdentity::read(&cx, &client, model(&[])).await.unwrap();
    assert_eq!(identity.account_id.as_deref(), Some("123456789012"));
}

#[tokio::test]
async fn the_egress_rule_of_a_new_group_is_adopted_in_ours_only() {
    let moto = Moto::start().await;
    let (cx, client) = (cx(), connect(moto.address).await);
    let planned = model(&[("name", "adopted".into())]);
    let group = SecurityGroup::create(&cx, &client, &owner("ours", "t-1"), planned)
        .await
        .unwrap();
    let rule: RuleModel = model(&[
        ("security_group_id", group.id.as_deref().unwrap().into()),
        ("ip_protocol", "-1".into()),
        ("cidr_ipv4", "0.0.0.0/0".into()),
    ]);
    let foreign = EgressRule::create(&cx, &client, &owner("theirs", "t-2"), rule.clone())
        .await
        .unwrap_err();
    assert_eq!(foreign.error.kind, ErrorKind::AlreadyExists);
    let ours = owner("ours", "t-3");
    let made = EgressRule::create(&cx, &client, &ours, rule).await.unwrap();
    let proposed = stack_core::Decode::encode(&made);
    let found = EgressRule::find(&cx, &client, &ours, &proposed)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.id, made.id);
    EgressRule::delete(&cx, &client, &made).await.unwrap();
    assert!(EgressRule::read(&cx, &client, &made).await.unwrap().is_none());
}

#[tokio::test]
async fn many_instances_are_read_at_once_and_the_gone_ones_are_absent() {
    let moto = Moto::start().await;
    let (cx, client, sdk) = (cx(), connect(moto.address).await, moto.sdk());
    let images = sdk.describe_images().send().await.unwrap();
    let image = images.images().first().unwrap().image_id().unwrap().to_owned();
    let mut made = Vec::new();
    for token in ["a", "b"] {
        let planned = model(&[
            ("ami", image.as_str().into()),
            ("instance_type", "t3.small".into()),
        ]);
        made.push(
            Instance::create(&cx, &client, &owner("ours", token), planned)
                .await
                .unwrap(),
        );
    }
    Instance::delete(&cx, &client, &made[0]).await.unwrap();
    let mut never = made[1].clone();
    never.id = Some("i-0123456789abcdef0".to_owned());
    made.push(never);
    let read = Instance::read_many(&cx, &client, &made).await;
    let present: Vec<bool> = read.into_iter().map(|r| r.unwrap().is_some()).collect();
    assert_eq!(present, [false, true, false]);
    let imported = Instance::import(&cx, &client, made[1].id.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(imported.instance_type, "t3.small");
    assert!(imported.root_block_device.unwrap().volume_size.is_some());
}

#[tokio::test]
async fn default_tags_are_set_and_never_compared() {
    let moto = Moto::start().await;
    let mut arguments = common::arguments(moto.address);
    let tags = [("team".to_owned(), "a".to_owned())].into();
    arguments.default_tags = Some(stack_provider_aws::DefaultTags { tags: Some(tags) });
    let cx = cx();
    let client = <stack_provider_aws::AwsProvider as stack_provider::Provider>::connect(&cx, arguments)
        .await
        .unwrap();
    let planned = model(&[("name", "tagged".into())]);
    let group = SecurityGroup::create(&cx, &client, &owner("ours", "t"), planned)
        .await
        .unwrap();
    assert_eq!(group.tags, None);
    let described = moto
        .sdk()
        .describe_security_groups()
        .group_names("tagged")
        .send()
        .await
        .unwrap();
    let tags = described.security_groups()[0].tags();
    let value = |key: &str| tags.iter().find(|t| t.key() == Some(key)).and_then(|t| t.value());
    assert_eq!(value("team"), Some("a"));
    assert_eq!(value("stack:lineage"), Some("ours"));
    assert_eq!(value("stack:address"), Some("aws_security_group.a"));
}

#[tokio::test]
async fn rules_added_by_hand_go_where_rules_are_exclusive() {
    let moto = Moto::start().await;
    let (cx, client, sdk) = (cx(), connect(moto.address).await, moto.sdk());
    let ours = owner("ours", "t-1");
    let planned = model(&[("name", "exclusive".into()), ("exclusive_rules", true.into())]);
    let group = SecurityGroup::create(&cx, &client, &ours, planned).await.unwrap();
    assert_eq!(
        group.foreign_rules,
        Some(Vec::new()),
        "the rule that EC2 adds by itself is nobody's"
    );
    let id = group.id.clone().unwrap();
    let rule = |port: i64| {
        model::<RuleModel>(&[
            ("security_group_id", id.as_str().into()),
            ("ip_protocol", "tcp".into()),
            ("from_port", port.into()),
            ("to_port", port.into()),
            ("cidr_ipv4", "10.0.0.0/8".into()),
        ])
    };
    let kept = IngressRule::create(&cx, &client, &owner("ours", "t-2"), rule(5671))
        .await
        .unwrap();
    let by_hand = sdk
        .authorize_security_group_ingress()
        .group_id(&id)
        .ip_permissions(
            aws_sdk_ec2::types::IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(22)
                .to_port(22)
                .ip_ranges(
                    aws_sdk_ec2::types::IpRange::builder()
                        .cidr_ip("0.0.0.0/0")
                        .build(),
                )
                .build(),
        );
    by_hand.send().await.unwrap();
    let read = SecurityGroup::read(&cx, &client, &group).await.unwrap().unwrap();
    assert_eq!(read.foreign_rules.as_ref().map(Vec::len), Some(1));
    let prior = stack_core::Decode::encode(&read);
    let refined = SecurityGroup::refine(Some(&prior), prior.clone());
    assert_ne!(refined.planned, prior, "the plan removes it");
    let planned = model_of(&refined.planned);
    SecurityGroup::update(&cx, &client, &read, planned).await.unwrap();
    let now = SecurityGroup::read(&cx, &client, &group).await.unwrap().unwrap();
    assert_eq!(now.foreign_rules, Some(Vec::new()));
    assert!(IngressRule::read(&cx, &client, &kept).await.unwrap().is_some());
}

fn model_of<M: stack_core::SchemaOf>(value: &Value) -> M {
    M::decode(value, &stack_core::Path::root()).unwrap()
}
