//! `aws_vpc_security_group_ingress_rule` and `aws_vpc_security_group_egress_rule`

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::SecurityGroupRule;
use stack_core::{Path, Schema, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Preview, ProviderError, Refined, Resource, async_trait,
};

use crate::client::AwsClient;
use crate::known::known_part;
use crate::poll::poll;
use crate::rule_calls as calls;
use crate::tags::{self, Tags};
use crate::{cidr, error};

/// One rule of a security group: one protocol, one range of ports, one source (or destination).
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct RuleModel {
    /// Group the rule belongs to.
    #[schema(replace)]
    pub security_group_id: String,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a protocol number, or `-1` for everything.
    pub ip_protocol: String,
    /// First port, or ICMP type. Not with `-1`.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code. Not with `-1`.
    pub to_port: Option<i32>,
    /// IPv4 network on the other side. Exactly one of the four sides is set; another kind of side replaces the rule.
    pub cidr_ipv4: Option<String>,
    /// IPv6 network on the other side.
    pub cidr_ipv6: Option<String>,
    /// Security group on the other side; the group itself for traffic among its members.
    pub referenced_security_group_id: Option<String>,
    /// Prefix list on the other side.
    pub prefix_list_id: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Tags.
    pub tags: Option<Tags>,
    /// Rule id: `sgr-...`.
    #[schema(computed)]
    pub security_group_rule_id: Option<String>,
    /// The same.
    #[schema(computed)]
    pub id: Option<String>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
}

/// The four kinds of side.
const SIDES: [&str; 4] = [
    "cidr_ipv4",
    "cidr_ipv6",
    "referenced_security_group_id",
    "prefix_list_id",
];

/// Ports that are not for the whole world: SSH, the broker and its management.
const PRIVATE_PORTS: [i32; 4] = [22, 5671, 5672, 15672];

/// Resource type of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Rule<const EGRESS: bool>;

/// Resource type `aws_vpc_security_group_ingress_rule`.
pub type IngressRule = Rule<false>;

/// Resource type `aws_vpc_security_group_egress_rule`.
pub type EgressRule = Rule<true>;

/// A protocol by the name EC2 answers with.
fn protocol(text: &str) -> String {
    match text {
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "1" => "icmp".to_owned(),
        "58" => "icmpv6".to_owned(),
        "all" => "-1".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// The rule as the API describes it.
pub(crate) fn observed(client: &AwsClient, prior: &RuleModel, rule: &SecurityGroupRule) -> RuleModel {
    let text = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let now = rule.ip_protocol().unwrap_or_default();
    // A rule for everything has no ports; the service writes -1.
    let port = |now: Option<i32>, prior: Option<i32>| {
        if now == Some(-1) && prior.is_none() {
            None
        } else {
            now
        }
    };
    let id = rule.security_group_rule_id().unwrap_or_default();
    let account = rule.group_owner_id().unwrap_or_default();
    RuleModel {
        security_group_id: rule.group_id().unwrap_or_default().to_owned(),
        ip_protocol: if protocol(&prior.ip_protocol) == protocol(now) {
            prior.ip_protocol.clone()
        } else {
            now.to_owned()
        },
        from_port: port(rule.from_port(), prior.from_port),
        to_port: port(rule.to_port(), prior.to_port),
        cidr_ipv4: text(rule.cidr_ipv4()),
        cidr_ipv6: text(rule.cidr_ipv6()),
        referenced_security_group_id: text(rule.referenced_group_info().and_then(|g| g.group_id())),
        prefix_list_id: text(rule.prefix_list_id()),
        description: text(rule.description()),
        tags: tags::observed(client, prior.tags.as_ref(), rule.tags()),
        security_group_rule_id: Some(id.to_owned()),
        id: Some(id.to_owned()),
        arn: Some(client.arn(account, &format!("security-group-rule/{id}"))),
    }
}

/// Whether a rule lets through the same; the description is no part of that.
pub(crate) fn is_equal(planned: &RuleModel, rule: &SecurityGroupRule) -> bool {
    let port = |port: Option<i32>| port.filter(|p| *p != -1);
    let group = rule.referenced_group_info().and_then(|g| g.group_id());
    protocol(&planned.ip_protocol) == protocol(rule.ip_protocol().unwrap_or_default())
        && port(planned.from_port) == port(rule.from_port())
        && port(planned.to_port) == port(rule.to_port())
        && planned.cidr_ipv4.as_deref() == rule.cidr_ipv4()
        && planned.cidr_ipv6.as_deref() == rule.cidr_ipv6()
        && planned.referenced_security_group_id.as_deref() == group
        && planned.prefix_list_id.as_deref() == rule.prefix_list_id()
}

/// The rule that stands in the way of a new one, if it is ours to have: made by this owner, or the egress rule that EC2
/// gave a group of ours by itself.
async fn adopt(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
    planned: &RuleModel,
    egress: bool,
    error: ProviderError,
) -> Result<SecurityGroupRule, ProviderError> {
    let group = &planned.security_group_id;
    let rules = calls::of_groups(cx, client, [group.clone()].into()).await?;
    let mut equal = rules
        .into_iter()
        .filter(|r| r.is_egress() == Some(egress) && is_equal(planned, r));
    if let Some(rule) = equal.next() {
        if tags::is_owned(rule.tags(), owner) {
            return Ok(rule);
        }
        let by_default = egress && protocol(&planned.ip_protocol) == "-1" && rule.tags().is_empty();
        if by_default && calls::is_group_of_lineage(cx, client, group, owner).await? {
            let id = rule.security_group_rule_id().unwrap_or_default();
            calls::take_over(cx, client, id, owner, planned).await?;
            return Ok(rule);
        }
        let id = rule.security_group_rule_id().unwrap_or_default();
        let message = format!(
            "an equal rule exists in {group} and is not ours; remove it, or adopt it with `stack import {} {id}`",
            owner.address
        );
        return Err(ProviderError { message, ..error });
    }
    let message = format!("an equal rule of {group} is said to exist but is not visible yet");
    Err(ProviderError {
        kind: ErrorKind::NotYetVisible,
        message,
        ..error
    })
}

#[async_trait]
impl<const EGRESS: bool> Resource for Rule<EGRESS> {
    const TYPE: &'static str = if EGRESS {
        "aws_vpc_security_group_egress_rule"
    } else {
        "aws_vpc_security_group_ingress_rule"
    };
    const OWNERSHIP: Ownership = Ownership::Token;
    const READS_TOGETHER: bool = true;
    type Model = RuleModel;
    type Client = AwsClient;

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        prior: &RuleModel,
    ) -> Result<Option<RuleModel>, ProviderError> {
        let mut answers = Self::read_many(cx, client, std::slice::from_ref(prior)).await;
        answers.pop().unwrap_or(Ok(None))
    }

    async fn read_many(
        cx: &Cx,
        client: &AwsClient,
        priors: &[RuleModel],
    ) -> Vec<Result<Option<RuleModel>, ProviderError>> {
        let groups: BTreeSet<String> = priors.iter().map(|p| p.security_group_id.clone()).collect();
        let rules = match calls::of_groups(cx, client, groups).await {
            Ok(rules) => rules,
            Err(error) => {
                let again = |_| {
                    Err(ProviderError::new(error.kind, error.message.clone())
                        .operation("DescribeSecurityGroupRules"))
                };
                return priors.iter().map(again).collect();
            }
        };
        let rules: BTreeMap<&str, &SecurityGroupRule> = rules
            .iter()
            .filter_map(|r| Some((r.security_group_rule_id()?, r)))
            .collect();
        let now = |prior: &RuleModel| {
            let rule = rules.get(prior.id.as_deref()?)?;
            Some(observed(client, prior, rule))
        };
        priors.iter().map(|prior| Ok(now(prior))).collect()
    }

    async fn create(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: RuleModel,
    ) -> Result<RuleModel, Failure<RuleModel>> {
        let rule = match calls::authorize(cx, client, owner, &planned, EGRESS)
            .await
            .map_err(error::fresh)
        {
            Ok(rule) => rule,
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                adopt(cx, client, owner, &planned, EGRESS, error).await?
            }
            Err(error) => return Err(error.into()),
        };
        let made = observed(client, &planned, &rule);
        cx.partial(&made).await?;
        let visible = poll!(cx, "waiting for the rule", async {
            Self::read(cx, client, &made).await
        });
        match visible {
            // An adopted rule has another description.
            Ok(model) if model.description != planned.description => {
                let changed = Self::update(cx, client, &model, planned).await;
                changed.map_err(|failure| Failure::with(failure.error, model))
            }
            Ok(model) => Ok(model),
            Err(error) => Err(Failure::with(error, made)),
        }
    }

    async fn update(
        cx: &Cx,
        client: &AwsClient,
        prior: &RuleModel,
        planned: RuleModel,
    ) -> Result<RuleModel, Failure<RuleModel>> {
        let id = prior.id.clone().unwrap_or_default();
        let target = RuleModel {
            tags: prior.tags.clone(),
            security_group_rule_id: prior.security_group_rule_id.clone(),
            id: prior.id.clone(),
            arn: prior.arn.clone(),
            ..planned.clone()
        };
        if target != *prior {
            calls::modify(cx, client, &id, &planned).await?;
        }
        tags::sync(cx, client, &id, prior.tags.as_ref(), planned.tags.as_ref()).await?;
        Ok(RuleModel {
            tags: planned.tags,
            ..target
        })
    }

    async fn delete(cx: &Cx, client: &AwsClient, prior: &RuleModel) -> Result<(), ProviderError> {
        match &prior.id {
            Some(id) => calls::revoke(cx, client, &prior.security_group_id, id, EGRESS).await,
            None => Ok(()),
        }
    }

    async fn find(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<RuleModel>, ProviderError> {
        let rules = calls::describe(cx, client, tags::owned(owner).to_vec()).await?;
        // Not every implementation of the API filters rules by tag.
        let rule = rules
            .iter()
            .find(|r| r.is_egress() == Some(EGRESS) && tags::is_owned(r.tags(), owner));
        match rule {
            Some(rule) => Ok(Some(observed(client, &known_part(planned)?, rule))),
            None => Ok(None),
        }
    }

    async fn import(cx: &Cx, client: &AwsClient, id: &str) -> Result<RuleModel, ProviderError> {
        let rules = calls::describe(cx, client, vec![tags::filter("security-group-rule-id", [id])]).await?;
        let rule = rules.iter().find(|r| r.security_group_rule_id() == Some(id));
        match rule {
            Some(rule) if rule.is_egress() == Some(EGRESS) => {
                Ok(observed(client, &RuleModel::default(), rule))
            }
            Some(_) => Err(ProviderError::invalid(
                "id",
                format!("{id} is a rule of the other direction"),
            )),
            None => {
                let message = format!("there is no security group rule {id} in {}", client.region);
                Err(ProviderError::new(ErrorKind::NotFound, message))
            }
        }
    }

    fn previews() -> bool {
        !EGRESS
    }

    /// Warns of what is open to the whole world; asks nothing.
    async fn preview(
        _: &Cx,
        _: &AwsClient,
        _: Option<&RuleModel>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let warnings = if EGRESS { Vec::new() } else { world_open(proposed) };
        Ok(Preview {
            warnings,
            ..Preview::default()
        })
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        let is_set = |object: &Value, side: &str| object.attribute(side).is_some_and(|v| !v.is_null());
        let replace = prior.filter(|p| !p.is_null()).map(|prior| {
            let changed = SIDES
                .iter()
                .filter(|side| is_set(prior, side) != is_set(&planned, side));
            changed.map(|side| Path::of(&[side])).collect()
        });
        Refined {
            planned,
            replace: replace.unwrap_or_default(),
        }
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        validate(config)
    }

    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        let same_protocol = || match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => protocol(a) == protocol(b),
            _ => false,
        };
        a == b || (*path == Path::of(&["ip_protocol"]) && same_protocol())
    }
}

/// Warnings about private ports that everybody can reach.
fn world_open(proposed: &Value) -> Vec<(Path, String)> {
    let text = |name: &str| proposed.attribute(name).and_then(Value::as_str);
    let side = match (text("cidr_ipv4"), text("cidr_ipv6")) {
        (Some("0.0.0.0/0"), _) => "cidr_ipv4",
        (_, Some("::/0")) => "cidr_ipv6",
        _ => return Vec::new(),
    };
    let number = |name: &str| {
        let number = proposed.attribute(name).and_then(Value::as_number)?;
        number.as_i64()
    };
    let everything = text("ip_protocol").is_some_and(|p| protocol(p) == "-1");
    let (from, to) = match (number("from_port"), number("to_port")) {
        _ if everything => (0, 65535),
        (Some(from), Some(to)) => (from, to),
        _ => return Vec::new(),
    };
    let open: Vec<String> = PRIVATE_PORTS
        .iter()
        .filter(|p| (from..=to).contains(&i64::from(**p)))
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "opens port {} to the whole world; name the network that needs it",
        open.join(", ")
    );
    vec![(Path::of(&[side]), message)]
}

fn validate(config: &Value) -> Vec<(Path, String)> {
    let mut problems = tags::validate(config);
    let value = |name: &str| config.attribute(name).filter(|v| !v.is_null());
    let set: Vec<&str> = SIDES.into_iter().filter(|side| value(side).is_some()).collect();
    if set.len() != 1 {
        let path = Path::of(&[set.get(1).copied().unwrap_or(SIDES[0])]);
        problems.push((
            path,
            format!(
                "exactly one of {} must be set",
                SIDES.map(|s| format!("`{s}`")).join(", ")
            ),
        ));
    }
    if let Some(problem) = value("cidr_ipv4")
        .and_then(Value::as_str)
        .and_then(cidr::check_v4)
    {
        problems.push((Path::of(&["cidr_ipv4"]), problem));
    }
    if let Some(problem) = value("cidr_ipv6")
        .and_then(Value::as_str)
        .and_then(cidr::check_v6)
    {
        problems.push((Path::of(&["cidr_ipv6"]), problem));
    }
    let Some(named) = value("ip_protocol").and_then(Value::as_str).map(protocol) else {
        return problems;
    };
    let number = |name: &str| {
        value(name)
            .and_then(Value::as_number)
            .and_then(stack_core::Number::as_i64)
    };
    for name in ["from_port", "to_port"] {
        let problem = match (named.as_str(), value(name), number(name)) {
            ("-1", _, Some(port)) if port != -1 => "must not be set with `ip_protocol = \"-1\"`",
            ("tcp" | "udp", Some(_), Some(port)) if !(0..=65535).contains(&port) => "must be from 0 to 65535",
            ("tcp" | "udp" | "icmp" | "icmpv6", None, _) => "must be set for this protocol",
            _ => continue,
        };
        problems.push((Path::of(&[name]), problem.to_owned()));
    }
    if let (Some(from), Some(to)) = (number("from_port"), number("to_port"))
        && matches!(named.as_str(), "tcp" | "udp")
        && from > to
    {
        problems.push((
            Path::of(&["to_port"]),
            format!("must not be less than `from_port` ({from})"),
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, Value)]) -> Value {
        Value::object(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())))
    }

    #[test]
    fn private_ports_open_to_the_world_are_warned_of() {
        let rule = |from: i64, to: i64, cidr: &str| {
            config(&[
                ("ip_protocol", "tcp".into()),
                ("from_port", from.into()),
                ("to_port", to.into()),
                ("cidr_ipv4", cidr.into()),
            ])
        };
        assert_eq!(world_open(&rule(22, 22, "0.0.0.0/0")).len(), 1);
        assert!(
            world_open(&rule(5000, 6000, "0.0.0.0/0"))[0]
                .1
                .contains("5671, 5672")
        );
        assert!(world_open(&rule(443, 443, "0.0.0.0/0")).is_empty());
        assert!(world_open(&rule(22, 22, "10.0.0.0/8")).is_empty());
        let everything = config(&[("ip_protocol", "-1".into()), ("cidr_ipv6", "::/0".into())]);
        assert_eq!(world_open(&everything)[0].0, Path::of(&["cidr_ipv6"]));
    }

    #[test]
    fn arguments_that_cannot_work_are_named() {
        let first = |pairs: &[(&str, Value)]| validate(&config(pairs)).remove(0).0.to_string();
        let tcp = ("ip_protocol", Value::from("tcp"));
        let ports = [("from_port", Value::from(1)), ("to_port", Value::from(2))];
        let world = ("cidr_ipv4", Value::from("0.0.0.0/0"));
        let [from, to] = ports;
        assert_eq!(first(&[tcp.clone(), from.clone(), to.clone()]), "cidr_ipv4");
        assert_eq!(first(&[tcp.clone(), to.clone(), world.clone()]), "from_port");
        let host_bits = ("cidr_ipv4", Value::from("10.0.0.1/8"));
        assert_eq!(
            first(&[tcp.clone(), from.clone(), to.clone(), host_bits]),
            "cidr_ipv4"
        );
        let everything = ("ip_protocol", Value::from("-1"));
        assert_eq!(first(&[everything, from.clone(), world.clone()]), "from_port");
        assert!(validate(&config(&[tcp, from, to, world])).is_empty());
    }

    #[test]
    fn another_kind_of_side_replaces() {
        let prior = config(&[
            ("cidr_ipv4", "10.0.0.0/8".into()),
            ("prefix_list_id", Value::NULL),
        ]);
        let other = config(&[("cidr_ipv4", Value::NULL), ("prefix_list_id", "pl-1".into())]);
        assert_eq!(IngressRule::refine(Some(&prior), other).replace.len(), 2);
        let wider = prior.with_attribute("cidr_ipv4", "10.0.0.0/7".into());
        assert!(IngressRule::refine(Some(&prior), wider).replace.is_empty());
    }
}
