//! Rules of a group that were not made from the same state as the group.

use aws_sdk_ec2::types::{SecurityGroup, SecurityGroupRule};
use stack_provider::{Cx, ProviderError};

use crate::client::AwsClient;
use crate::security_group::{self, SecurityGroupModel};
use crate::{rule_calls as calls, tags};

/// Whether it is the egress rule that EC2 gives every new group.
fn is_default(rule: &SecurityGroupRule) -> bool {
    rule.is_egress() == Some(true)
        && rule.ip_protocol() == Some("-1")
        && rule.cidr_ipv4() == Some("0.0.0.0/0")
        && rule.tags().is_empty()
}

async fn foreign(
    cx: &Cx,
    client: &AwsClient,
    model: &SecurityGroupModel,
    group: &SecurityGroup,
) -> Result<Vec<SecurityGroupRule>, ProviderError> {
    let id = group.group_id().unwrap_or_default().to_owned();
    let mut rules = calls::of_groups(cx, client, [id].into()).await?;
    let lineage = tags::lineage(group.tags());
    rules.retain(|rule| {
        let ours = lineage.is_some() && tags::lineage(rule.tags()) == lineage;
        !ours && (model.revoke_default_egress || !is_default(rule))
    });
    Ok(rules)
}

/// The model with the foreign rules of its group, where it forbids them.
pub(crate) async fn read(
    cx: &Cx,
    client: &AwsClient,
    model: SecurityGroupModel,
    group: &SecurityGroup,
) -> Result<SecurityGroupModel, ProviderError> {
    if !model.exclusive_rules {
        return Ok(model);
    }
    let rules = foreign(cx, client, &model, group).await?;
    let mut ids: Vec<String> = rules
        .into_iter()
        .filter_map(|r| r.security_group_rule_id)
        .collect();
    ids.sort();
    Ok(SecurityGroupModel {
        foreign_rules: Some(ids),
        ..model
    })
}

/// Removes the foreign rules of a group.
pub(crate) async fn enforce(
    cx: &Cx,
    client: &AwsClient,
    model: &SecurityGroupModel,
) -> Result<(), ProviderError> {
    let id = model.id.clone().unwrap_or_default();
    let groups = security_group::describe(cx, client, vec![tags::filter("group-id", [&id])]).await?;
    let Some(group) = groups.first() else {
        return Ok(());
    };
    for rule in foreign(cx, client, model, group).await? {
        let number = rule.security_group_rule_id().unwrap_or_default();
        calls::revoke(cx, client, &id, number, rule.is_egress() == Some(true)).await?;
    }
    Ok(())
}
