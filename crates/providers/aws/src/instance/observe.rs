//! Instances as the API describes them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Instance, InstanceMetadataOptionsResponse, Volume};
use stack_provider::{Cx, ProviderError};

use super::{InstanceModel, MetadataOptions, RootBlockDevice};
use crate::client::{AwsClient, call};
use crate::tags;

/// Most values of one filter (EC2 API reference, "Filtering").
const FILTER_VALUES: usize = 200;

/// An instance and the account it belongs to.
pub(super) struct Described {
    pub(super) instance: Instance,
    pub(super) account: String,
}

impl std::ops::Deref for Described {
    type Target = Instance;
    fn deref(&self) -> &Instance {
        &self.instance
    }
}

/// `running`, `stopped`, ...; empty where the service says nothing.
pub(super) fn state(instance: &Instance) -> &str {
    instance
        .state()
        .and_then(|s| s.name())
        .map_or("", |name| name.as_str())
}

/// Whether it is gone or going for ever.
pub(super) fn is_gone(instance: &Instance) -> bool {
    matches!(state(instance), "terminated" | "shutting-down")
}

/// All instances that pass the filters, in any state.
pub(super) async fn describe(
    cx: &Cx,
    client: &AwsClient,
    filters: Vec<aws_sdk_ec2::types::Filter>,
) -> Result<Vec<Described>, ProviderError> {
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let request = client
            .ec2
            .describe_instances()
            .set_filters(Some(filters.clone()))
            .max_results(1000)
            .set_next_token(page);
        let answer = call(cx, "DescribeInstances", request.send()).await?;
        for reservation in answer.reservations.unwrap_or_default() {
            let account = reservation.owner_id.unwrap_or_default();
            found.extend(
                reservation
                    .instances
                    .unwrap_or_default()
                    .into_iter()
                    .map(|instance| Described {
                        instance,
                        account: account.clone(),
                    }),
            );
        }
        page = answer.next_token.filter(|t| !t.is_empty());
        if page.is_none() {
            return Ok(found);
        }
    }
}

/// One instance, also a terminated one.
pub(super) async fn one_in_any_state(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
) -> Result<Option<Described>, ProviderError> {
    Ok(describe(cx, client, vec![tags::filter("instance-id", [id])])
        .await?
        .pop())
}

/// One instance that exists.
pub(super) async fn one(cx: &Cx, client: &AwsClient, id: &str) -> Result<Option<Described>, ProviderError> {
    Ok(one_in_any_state(cx, client, id).await?.filter(|i| !is_gone(i)))
}

/// Describes many instances with one request for every two hundred, and their root volumes where somebody set them.
pub(super) async fn read_many(
    cx: &Cx,
    client: &AwsClient,
    priors: &[InstanceModel],
) -> Vec<Result<Option<InstanceModel>, ProviderError>> {
    let ids: BTreeSet<&String> = priors.iter().filter_map(|p| p.id.as_ref()).collect();
    let ids: Vec<&String> = ids.into_iter().collect();
    let mut found = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for chunk in ids.chunks(FILTER_VALUES) {
        let filter = tags::filter("instance-id", chunk.iter().copied());
        match describe(cx, client, vec![filter]).await {
            Ok(many) => found.extend(
                many.into_iter()
                    .map(|i| (i.instance_id().unwrap_or_default().to_owned(), i)),
            ),
            Err(error) => failed.extend(chunk.iter().map(|id| ((*id).clone(), shared(&error)))),
        }
    }
    let volumes = priors
        .iter()
        .filter(|p| p.root_block_device.is_some())
        .filter_map(|p| found.get(p.id.as_ref()?))
        .filter_map(|i| root_volume_id(i).map(str::to_owned))
        .collect::<BTreeSet<_>>();
    let volumes = root_volumes(cx, client, volumes.into_iter().collect()).await;
    let mut answers = Vec::with_capacity(priors.len());
    for prior in priors {
        let Some(id) = &prior.id else {
            answers.push(Ok(None));
            continue;
        };
        let answer = match (failed.get(id), found.get(id).filter(|i| !is_gone(i)), &volumes) {
            (Some(error), ..) => Err(shared(error)),
            (None, None, _) => Ok(None),
            (None, Some(_), Err(error)) if prior.root_block_device.is_some() => Err(shared(error)),
            (None, Some(instance), volumes) => {
                let empty = BTreeMap::new();
                let model = observed(client, prior, instance, volumes.as_ref().unwrap_or(&empty));
                with_protection(cx, client, model).await.map(Some)
            }
        };
        answers.push(answer);
    }
    answers
}

/// One error for many objects.
fn shared(error: &ProviderError) -> ProviderError {
    ProviderError {
        attribute: error.attribute.clone(),
        operation: error.operation.clone(),
        request_id: error.request_id.clone(),
        retry_after: error.retry_after,
        ..ProviderError::new(error.kind, error.message.clone())
    }
}

/// One instance with everything that takes requests of its own.
pub(super) async fn full(
    cx: &Cx,
    client: &AwsClient,
    prior: &InstanceModel,
    instance: &Described,
) -> Result<InstanceModel, ProviderError> {
    let volumes = match root_volume_id(instance).filter(|_| prior.root_block_device.is_some()) {
        Some(id) => root_volumes(cx, client, vec![id.to_owned()]).await?,
        None => BTreeMap::new(),
    };
    with_protection(cx, client, observed(client, prior, instance, &volumes)).await
}

/// The volume the instance boots from.
pub(super) fn root_volume_id(instance: &Instance) -> Option<&str> {
    let root = instance.root_device_name();
    let mappings = instance.block_device_mappings();
    let mapping = mappings
        .iter()
        .find(|m| m.device_name() == root)
        .or(mappings.first())?;
    mapping.ebs()?.volume_id()
}

async fn root_volumes(
    cx: &Cx,
    client: &AwsClient,
    ids: Vec<String>,
) -> Result<BTreeMap<String, Volume>, ProviderError> {
    let mut volumes = BTreeMap::new();
    for chunk in ids.chunks(FILTER_VALUES) {
        let filter = tags::filter("volume-id", chunk.iter().cloned());
        let request = client.ec2.describe_volumes().filters(filter);
        let answer = call(cx, "DescribeVolumes", request.send()).await?;
        let many = answer.volumes.unwrap_or_default().into_iter();
        volumes.extend(many.filter_map(|v| Some((v.volume_id()?.to_owned(), v))));
    }
    Ok(volumes)
}

/// Reads termination protection where it was set.
async fn with_protection(
    cx: &Cx,
    client: &AwsClient,
    model: InstanceModel,
) -> Result<InstanceModel, ProviderError> {
    let Some(id) = model.id.as_ref().filter(|_| model.disable_api_termination) else {
        return Ok(model);
    };
    let name = aws_sdk_ec2::types::InstanceAttributeName::DisableApiTermination;
    let request = client
        .ec2
        .describe_instance_attribute()
        .instance_id(id)
        .attribute(name);
    let answer = call(cx, "DescribeInstanceAttribute", request.send()).await?;
    let on = answer.disable_api_termination().and_then(|a| a.value());
    Ok(InstanceModel {
        disable_api_termination: on.unwrap_or(false),
        ..model
    })
}

/// What the description says, over what only the arguments know.
pub(super) fn observed(
    client: &AwsClient,
    prior: &InstanceModel,
    instance: &Described,
    volumes: &BTreeMap<String, Volume>,
) -> InstanceModel {
    let text = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let interfaces = instance.network_interfaces();
    let is_primary = |n: &&aws_sdk_ec2::types::InstanceNetworkInterface| {
        n.attachment().and_then(|a| a.device_index()) == Some(0)
    };
    let primary = interfaces.iter().find(is_primary).or(interfaces.first());
    // The interface knows its groups also where the instance's own list is empty.
    let groups = primary.map_or(instance.security_groups(), |n| n.groups());
    let groups = groups
        .iter()
        .filter_map(|g| g.group_id())
        .map(str::to_owned)
        .collect();
    let id = instance.instance_id().unwrap_or_default();
    let public_ip = instance.public_ip_address().unwrap_or_default();
    InstanceModel {
        ami: instance
            .image_id()
            .map_or_else(|| prior.ami.clone(), str::to_owned),
        instance_type: instance
            .instance_type()
            .map_or_else(|| prior.instance_type.clone(), |t| t.as_str().to_owned()),
        key_name: text(instance.key_name()),
        subnet_id: text(instance.subnet_id()),
        availability_zone: text(instance.placement().and_then(|p| p.availability_zone())),
        vpc_security_group_ids: Some(groups),
        // It tells what was asked for at launch; a stopped instance has no public address.
        associate_public_ip_address: prior.associate_public_ip_address.or(Some(!public_ip.is_empty())),
        private_ip: text(instance.private_ip_address()),
        user_data: prior.user_data.clone(),
        user_data_replace_on_change: prior.user_data_replace_on_change,
        disable_api_termination: prior.disable_api_termination,
        tags: tags::observed(client, prior.tags.as_ref(), instance.tags()),
        root_block_device: root_block_device(prior, instance, volumes),
        metadata_options: prior
            .metadata_options
            .as_ref()
            .map(|prior| metadata_options(prior, instance.metadata_options())),
        id: Some(id.to_owned()),
        arn: Some(client.arn(&instance.account, &format!("instance/{id}"))),
        instance_state: text(Some(state(instance))),
        private_dns: Some(instance.private_dns_name().unwrap_or_default().to_owned()),
        public_ip: Some(public_ip.to_owned()),
        public_dns: Some(instance.public_dns_name().unwrap_or_default().to_owned()),
        primary_network_interface_id: text(primary.and_then(|n| n.network_interface_id())),
        root_volume_id: text(root_volume_id(instance)),
    }
}

fn root_block_device(
    prior: &InstanceModel,
    instance: &Instance,
    volumes: &BTreeMap<String, Volume>,
) -> Option<RootBlockDevice> {
    let prior = prior.root_block_device.as_ref()?;
    let Some(volume) = root_volume_id(instance).and_then(|id| volumes.get(id)) else {
        return Some(prior.clone());
    };
    let root = instance.root_device_name();
    let mapping = instance
        .block_device_mappings()
        .iter()
        .find(|m| m.device_name() == root);
    let goes = mapping
        .and_then(|m| m.ebs())
        .and_then(|e| e.delete_on_termination());
    Some(RootBlockDevice {
        volume_size: volume.size().or(prior.volume_size),
        volume_type: volume.volume_type().map(|t| t.as_str().to_owned()),
        iops: volume.iops().or(prior.iops),
        throughput: volume.throughput().or(prior.throughput),
        encrypted: volume.encrypted().or(Some(false)),
        kms_key_id: volume
            .kms_key_id()
            .map(str::to_owned)
            .or(prior.kms_key_id.clone()),
        delete_on_termination: goes.unwrap_or(prior.delete_on_termination),
    })
}

fn metadata_options(
    prior: &MetadataOptions,
    now: Option<&InstanceMetadataOptionsResponse>,
) -> MetadataOptions {
    let Some(now) = now else { return prior.clone() };
    let or = |now: Option<&str>, prior: &String| now.map_or_else(|| prior.clone(), str::to_owned);
    MetadataOptions {
        http_endpoint: or(now.http_endpoint().map(|e| e.as_str()), &prior.http_endpoint),
        http_tokens: or(now.http_tokens().map(|t| t.as_str()), &prior.http_tokens),
        http_put_response_hop_limit: now
            .http_put_response_hop_limit()
            .unwrap_or(prior.http_put_response_hop_limit),
        instance_metadata_tags: or(
            now.instance_metadata_tags().map(|t| t.as_str()),
            &prior.instance_metadata_tags,
        ),
    }
}
