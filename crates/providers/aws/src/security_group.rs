//! `aws_security_group`

use aws_sdk_ec2::types::{IpPermission, IpRange, ResourceType, SecurityGroup as Described};
use stack_core::{Path, Schema, Type, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait,
};

use crate::client::{AwsClient, call};
use crate::known::known_part;
use crate::poll::poll;
use crate::tags::{self, Tags};
use crate::{error, exclusive_rules};

/// A security group. Its rules are resources of their own (`aws_vpc_security_group_ingress_rule`, `_egress_rule`); rules
/// added by hand are left alone unless `exclusive_rules` is set. EC2 gives a new group one egress rule, everything to everywhere; it stays unless
/// `revoke_default_egress` is set, and an `aws_vpc_security_group_egress_rule` that says the same adopts it.
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct SecurityGroupModel {
    /// Name, unique in the VPC without regard to case; otherwise `name_prefix` (or `stack-`) and the token of the create
    /// attempt.
    #[schema(optional, computed, replace)]
    pub name: Option<String>,
    /// Beginning of a unique name.
    #[schema(replace)]
    pub name_prefix: Option<String>,
    /// Description; EC2 cannot change it.
    #[schema(replace, default = "managed by stack")]
    pub description: String,
    /// VPC; otherwise the default one.
    #[schema(optional, computed, replace)]
    pub vpc_id: Option<String>,
    /// Whether to remove the egress rule that EC2 gives a new group. It counts when the group is made.
    #[schema(default = false)]
    pub revoke_default_egress: bool,
    /// Whether rules that were not made from this state are removed.
    #[schema(default = false)]
    pub exclusive_rules: bool,
    /// Tags.
    pub tags: Option<Tags>,
    /// Rules that were not made from this state; the next apply removes them. Known only with `exclusive_rules`.
    #[schema(computed)]
    pub foreign_rules: Option<Vec<String>>,
    /// Group id.
    #[schema(computed)]
    pub id: Option<String>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
    /// Account the group belongs to.
    #[schema(computed)]
    pub owner_id: Option<String>,
}

/// Resource type `aws_security_group`.
#[derive(Clone, Copy, Debug)]
pub struct SecurityGroup;

pub(crate) async fn describe(
    cx: &Cx,
    client: &AwsClient,
    filters: Vec<aws_sdk_ec2::types::Filter>,
) -> Result<Vec<Described>, ProviderError> {
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let request = client
            .ec2
            .describe_security_groups()
            .set_filters(Some(filters.clone()))
            .set_next_token(page);
        let answer = call(cx, "DescribeSecurityGroups", request.send()).await?;
        found.extend(answer.security_groups.unwrap_or_default());
        page = answer.next_token.filter(|t| !t.is_empty());
        if page.is_none() {
            return Ok(found);
        }
    }
}

fn observed(client: &AwsClient, prior: &SecurityGroupModel, group: &Described) -> SecurityGroupModel {
    let id = group.group_id().unwrap_or_default().to_owned();
    let owner = group.owner_id().unwrap_or_default().to_owned();
    SecurityGroupModel {
        name: group.group_name().map(str::to_owned),
        name_prefix: prior.name_prefix.clone(),
        description: group.description().unwrap_or_default().to_owned(),
        vpc_id: group.vpc_id().map(str::to_owned),
        revoke_default_egress: prior.revoke_default_egress,
        exclusive_rules: prior.exclusive_rules,
        foreign_rules: None,
        tags: tags::observed(client, prior.tags.as_ref(), group.tags()),
        arn: Some(client.arn(&owner, &format!("security-group/{id}"))),
        owner_id: Some(owner),
        id: Some(id),
    }
}

/// The default VPC's id; EC2 wants a VPC with every group.
async fn default_vpc(cx: &Cx, client: &AwsClient) -> Result<String, ProviderError> {
    let request = client
        .ec2
        .describe_vpcs()
        .filters(tags::filter("is-default", ["true"]));
    let answer = call(cx, "DescribeVpcs", request.send()).await?;
    let id = answer.vpcs().first().and_then(|v| v.vpc_id()).map(str::to_owned);
    id.ok_or_else(|| ProviderError::invalid("vpc_id", "must be set: the region has no default VPC"))
}

/// Makes the group; gives its id, also where an earlier attempt with this token had made it.
async fn make(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
    planned: &SecurityGroupModel,
) -> Result<String, ProviderError> {
    let name = planned.name.clone().unwrap_or_else(|| {
        format!(
            "{}{}",
            planned.name_prefix.as_deref().unwrap_or("stack-"),
            owner.token
        )
    });
    let vpc = match &planned.vpc_id {
        Some(vpc) => vpc.clone(),
        None => default_vpc(cx, client).await?,
    };
    let request = client
        .ec2
        .create_security_group()
        .group_name(&name)
        .description(&planned.description)
        .vpc_id(&vpc)
        .tag_specifications(tags::specification(
            client,
            ResourceType::SecurityGroup,
            owner,
            planned.tags.as_ref(),
        ));
    let error = match call(cx, "CreateSecurityGroup", request.send()).await {
        Ok(answer) => return Ok(answer.group_id.unwrap_or_default()),
        Err(error) => error,
    };
    if error.kind != ErrorKind::AlreadyExists {
        return Err(error);
    }
    let ours = describe(cx, client, tags::owned(owner).to_vec()).await?.pop();
    ours.and_then(|g| g.group_id).ok_or_else(|| {
        let message = format!(
            "security group `{name}` exists in {vpc} and is not ours; use another name, or adopt it with `stack import \
             {} sg-...`",
            owner.address
        );
        ProviderError { message, ..error }
    })
}

/// Removes the rule "everything to everywhere" that EC2 gives a new group.
async fn revoke_default_egress(cx: &Cx, client: &AwsClient, id: &str) -> Result<(), ProviderError> {
    let everything = IpPermission::builder()
        .ip_protocol("-1")
        .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
        .build();
    let request = client
        .ec2
        .revoke_security_group_egress()
        .group_id(id)
        .ip_permissions(everything);
    match call(cx, "RevokeSecurityGroupEgress", request.send())
        .await
        .map_err(error::fresh)
    {
        Err(error) if error::is_code(&error, &["InvalidPermission.NotFound"]) => Ok(()),
        other => other.map(|_| ()),
    }
}

#[async_trait]
impl Resource for SecurityGroup {
    const TYPE: &'static str = "aws_security_group";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 2.0;
    const READS_TOGETHER: bool = true;
    type Model = SecurityGroupModel;
    type Client = AwsClient;

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        prior: &SecurityGroupModel,
    ) -> Result<Option<SecurityGroupModel>, ProviderError> {
        let mut answers = Self::read_many(cx, client, std::slice::from_ref(prior)).await;
        answers.pop().unwrap_or(Ok(None))
    }

    async fn read_many(
        cx: &Cx,
        client: &AwsClient,
        priors: &[SecurityGroupModel],
    ) -> Vec<Result<Option<SecurityGroupModel>, ProviderError>> {
        let mut answers = Vec::with_capacity(priors.len());
        for chunk in priors.chunks(200) {
            let filter = tags::filter("group-id", chunk.iter().filter_map(|p| p.id.as_ref()));
            let found = match describe(cx, client, vec![filter]).await {
                Ok(found) => found,
                Err(error) => {
                    answers.extend(chunk.iter().map(|_| {
                        let again = ProviderError::new(error.kind, error.message.clone());
                        Err(again
                            .operation("DescribeSecurityGroups")
                            .request_id(error.request_id.clone()))
                    }));
                    continue;
                }
            };
            for prior in chunk {
                let group = found
                    .iter()
                    .find(|g| prior.id.is_some() && g.group_id() == prior.id.as_deref());
                answers.push(match group {
                    Some(group) => exclusive_rules::read(cx, client, observed(client, prior, group), group)
                        .await
                        .map(Some),
                    None => Ok(None),
                });
            }
        }
        answers
    }

    async fn create(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: SecurityGroupModel,
    ) -> Result<SecurityGroupModel, Failure<SecurityGroupModel>> {
        let id = make(cx, client, owner, &planned).await?;
        let made = SecurityGroupModel {
            id: Some(id.clone()),
            ..planned
        };
        cx.partial(&made).await?;
        let finish = async {
            if made.revoke_default_egress {
                revoke_default_egress(cx, client, &id).await?;
            }
            if made.exclusive_rules {
                // A group made a moment ago has no rules but the default one; one that is tried again may have.
                exclusive_rules::enforce(cx, client, &made).await?;
            }
            poll!(cx, "waiting for the group", async {
                Self::read(cx, client, &made).await
            })
        };
        match finish.await {
            Ok(model) => Ok(model),
            Err(error) => Err(Failure::with(error, made)),
        }
    }

    async fn update(
        cx: &Cx,
        client: &AwsClient,
        prior: &SecurityGroupModel,
        planned: SecurityGroupModel,
    ) -> Result<SecurityGroupModel, Failure<SecurityGroupModel>> {
        let id = prior.id.clone().unwrap_or_default();
        tags::sync(cx, client, &id, prior.tags.as_ref(), planned.tags.as_ref()).await?;
        if planned.exclusive_rules {
            exclusive_rules::enforce(cx, client, &planned).await?;
        }
        Ok(planned)
    }

    async fn delete(cx: &Cx, client: &AwsClient, prior: &SecurityGroupModel) -> Result<(), ProviderError> {
        let Some(id) = &prior.id else { return Ok(()) };
        let request = client.ec2.delete_security_group().group_id(id);
        match call(cx, "DeleteSecurityGroup", request.send()).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind == ErrorKind::Conflict => {
                let message = format!(
                    "security group {id} is still used by a network interface or another group's rule"
                );
                Err(ProviderError { message, ..error })
            }
            other => other.map(|_| ()),
        }
    }

    async fn find(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<SecurityGroupModel>, ProviderError> {
        let Some(group) = describe(cx, client, tags::owned(owner).to_vec()).await?.pop() else {
            return Ok(None);
        };
        let model = observed(client, &known_part(planned)?, &group);
        Ok(Some(exclusive_rules::read(cx, client, model, &group).await?))
    }

    async fn import(cx: &Cx, client: &AwsClient, id: &str) -> Result<SecurityGroupModel, ProviderError> {
        let found = describe(cx, client, vec![tags::filter("group-id", [id])]).await?;
        let group = found.first().ok_or_else(|| {
            let message = format!("there is no security group {id} in {}", client.region);
            ProviderError::new(ErrorKind::NotFound, message)
        })?;
        Ok(observed(client, &SecurityGroupModel::default(), group))
    }

    /// No foreign rules are to be there where they are forbidden.
    fn refine(_: Option<&Value>, planned: Value) -> Refined {
        let exclusive = planned.attribute("exclusive_rules").and_then(Value::as_bool) == Some(true);
        let rules = if exclusive {
            Value::list(Type::String, Vec::new())
        } else {
            Value::Null(Type::list(Type::String))
        };
        planned.with_attribute("foreign_rules", rules).into()
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = tags::validate(config);
        let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
        for name in ["name", "name_prefix", "description"] {
            let Some(text) = config.attribute(name).and_then(Value::as_str) else {
                continue;
            };
            let path = Path::of(&[name]);
            if text.len() > 255 {
                problems.push((path, "is longer than 255 characters".to_owned()));
            } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
                let message =
                    format!("has `{c}`; letters, digits, space and `._-:/()#,@[]+=&;{{}}!$*` are allowed");
                problems.push((path, message));
            } else if name != "description" && text.starts_with("sg-") {
                problems.push((path, "must not start with `sg-`".to_owned()));
            }
        }
        problems
    }
}
