//! The requests about security group rules.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, SecurityGroupRule,
    SecurityGroupRuleRequest, SecurityGroupRuleUpdate, UserIdGroupPair,
};
use stack_provider::{Cx, ErrorKind, Owner, ProviderError};

use crate::client::{AwsClient, call};
use crate::rule::RuleModel;
use crate::{security_group, tags};

/// All rules that pass the filters.
pub(crate) async fn describe(
    cx: &Cx,
    client: &AwsClient,
    filters: Vec<Filter>,
) -> Result<Vec<SecurityGroupRule>, ProviderError> {
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let request = client
            .ec2
            .describe_security_group_rules()
            .set_filters(Some(filters.clone()))
            .max_results(1000)
            .set_next_token(page);
        let answer = match call(cx, "DescribeSecurityGroupRules", request.send()).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(found),
            other => other?,
        };
        found.extend(answer.security_group_rules.unwrap_or_default());
        page = answer.next_token.filter(|t| !t.is_empty());
        if page.is_none() {
            return Ok(found);
        }
    }
}

/// All rules of these groups.
pub(crate) async fn of_groups(
    cx: &Cx,
    client: &AwsClient,
    groups: BTreeSet<String>,
) -> Result<Vec<SecurityGroupRule>, ProviderError> {
    let groups: Vec<String> = groups.into_iter().collect();
    let mut rules = Vec::new();
    for chunk in groups.chunks(200) {
        let filter = tags::filter("group-id", chunk.iter().cloned());
        rules.extend(describe(cx, client, vec![filter]).await?);
    }
    Ok(rules)
}

/// Whether this group was made from the same state as the owner.
pub(crate) async fn is_group_of_lineage(
    cx: &Cx,
    client: &AwsClient,
    group: &str,
    owner: &Owner,
) -> Result<bool, ProviderError> {
    let groups = security_group::describe(cx, client, vec![tags::filter("group-id", [group])]).await?;
    Ok(groups.iter().any(|g| tags::is_of_lineage(g.tags(), owner)))
}

/// Puts the tags of a new object on a rule that exists.
pub(crate) async fn take_over(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    owner: &Owner,
    planned: &RuleModel,
) -> Result<(), ProviderError> {
    let tags = tags::of_new(client, owner, planned.tags.as_ref());
    let request = client.ec2.create_tags().resources(id).set_tags(Some(tags));
    call(cx, "CreateTags", request.send()).await?;
    Ok(())
}

fn permission(rule: &RuleModel) -> IpPermission {
    let description = rule.description.clone();
    let builder = IpPermission::builder()
        .ip_protocol(&rule.ip_protocol)
        .set_from_port(rule.from_port)
        .set_to_port(rule.to_port);
    let builder = match &rule.cidr_ipv4 {
        Some(cidr) => builder.ip_ranges(
            IpRange::builder()
                .cidr_ip(cidr)
                .set_description(description.clone())
                .build(),
        ),
        None => builder,
    };
    let builder = match &rule.cidr_ipv6 {
        Some(cidr) => builder.ipv6_ranges(
            Ipv6Range::builder()
                .cidr_ipv6(cidr)
                .set_description(description.clone())
                .build(),
        ),
        None => builder,
    };
    let builder = match &rule.referenced_security_group_id {
        Some(group) => builder.user_id_group_pairs(
            UserIdGroupPair::builder()
                .group_id(group)
                .set_description(description.clone())
                .build(),
        ),
        None => builder,
    };
    match &rule.prefix_list_id {
        Some(list) => builder.prefix_list_ids(
            PrefixListId::builder()
                .prefix_list_id(list)
                .set_description(description)
                .build(),
        ),
        None => builder,
    }
    .build()
}

/// Adds a rule.
pub(crate) async fn authorize(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
    planned: &RuleModel,
    egress: bool,
) -> Result<SecurityGroupRule, ProviderError> {
    let tags = tags::specification(
        client,
        ResourceType::SecurityGroupRule,
        owner,
        planned.tags.as_ref(),
    );
    let group = &planned.security_group_id;
    let (operation, rules) = if egress {
        let request = client
            .ec2
            .authorize_security_group_egress()
            .group_id(group)
            .ip_permissions(permission(planned))
            .tag_specifications(tags);
        let operation = "AuthorizeSecurityGroupEgress";
        (
            operation,
            call(cx, operation, request.send()).await?.security_group_rules,
        )
    } else {
        let request = client
            .ec2
            .authorize_security_group_ingress()
            .group_id(group)
            .ip_permissions(permission(planned))
            .tag_specifications(tags);
        let operation = "AuthorizeSecurityGroupIngress";
        (
            operation,
            call(cx, operation, request.send()).await?.security_group_rules,
        )
    };
    rules.unwrap_or_default().pop().ok_or_else(|| {
        ProviderError::internal("the service did not say which rule it made").operation(operation)
    })
}

/// Changes a rule in place.
pub(crate) async fn modify(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    planned: &RuleModel,
) -> Result<(), ProviderError> {
    let wanted = SecurityGroupRuleRequest::builder()
        .ip_protocol(&planned.ip_protocol)
        .from_port(planned.from_port.unwrap_or(-1))
        .to_port(planned.to_port.unwrap_or(-1))
        .set_cidr_ipv4(planned.cidr_ipv4.clone())
        .set_cidr_ipv6(planned.cidr_ipv6.clone())
        .set_referenced_group_id(planned.referenced_security_group_id.clone())
        .set_prefix_list_id(planned.prefix_list_id.clone())
        .set_description(planned.description.clone())
        .build();
    let update = SecurityGroupRuleUpdate::builder()
        .security_group_rule_id(id)
        .security_group_rule(wanted)
        .build();
    let request = client
        .ec2
        .modify_security_group_rules()
        .group_id(&planned.security_group_id)
        .security_group_rules(update);
    call(cx, "ModifySecurityGroupRules", request.send()).await?;
    Ok(())
}

/// Removes a rule; one that is gone is a success.
pub(crate) async fn revoke(
    cx: &Cx,
    client: &AwsClient,
    group: &str,
    id: &str,
    egress: bool,
) -> Result<(), ProviderError> {
    let result = if egress {
        let request = client
            .ec2
            .revoke_security_group_egress()
            .group_id(group)
            .security_group_rule_ids(id);
        call(cx, "RevokeSecurityGroupEgress", request.send())
            .await
            .map(|_| ())
    } else {
        let request = client
            .ec2
            .revoke_security_group_ingress()
            .group_id(group)
            .security_group_rule_ids(id);
        call(cx, "RevokeSecurityGroupIngress", request.send())
            .await
            .map(|_| ())
    };
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
