//! Making an instance.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, InstanceMetadataEndpointState,
    InstanceMetadataOptionsRequest, InstanceMetadataTagsState, InstanceNetworkInterfaceSpecification,
    InstanceType, Placement, ResourceType, VolumeType,
};
use stack_provider::{Cx, ErrorKind, Failure, Owner, ProviderError};

use super::observe::{self, Described};
use super::{InstanceModel, MetadataOptions, RootBlockDevice};
use crate::client::{AwsClient, call};
use crate::poll::poll;
use crate::{error, tags};

/// The instance this owner made, in any state but terminated.
pub(super) async fn find(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
) -> Result<Option<Described>, ProviderError> {
    let found = observe::describe(cx, client, tags::owned(owner).to_vec()).await?;
    Ok(found.into_iter().find(|i| !observe::is_gone(i)))
}

/// Launches, makes the id durable, and waits until it runs.
pub(super) async fn create(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
    planned: InstanceModel,
) -> Result<InstanceModel, Failure<InstanceModel>> {
    let id = match find(cx, client, owner).await? {
        Some(instance) => instance.instance_id().unwrap_or_default().to_owned(),
        None => run(cx, client, owner, &planned).await?,
    };
    let made = InstanceModel {
        id: Some(id.clone()),
        ..planned
    };
    cx.partial(&made).await?;
    match running(cx, client, &made, &id).await {
        Ok(model) => Ok(model),
        Err(error) => Err(Failure::with(error, made)),
    }
}

async fn run(
    cx: &Cx,
    client: &AwsClient,
    owner: &Owner,
    planned: &InstanceModel,
) -> Result<String, ProviderError> {
    let root = match &planned.root_block_device {
        Some(block) => Some((root_device_name(cx, client, &planned.ami).await?, block)),
        None => None,
    };
    let kinds = [
        ResourceType::Instance,
        ResourceType::Volume,
        ResourceType::NetworkInterface,
    ];
    let tags = kinds.map(|kind| tags::specification(client, kind, owner, planned.tags.as_ref()));
    let request = request(client, planned, root)
        .client_token(&owner.token)
        .set_tag_specifications(Some(tags.to_vec()));
    let answer = call(cx, "RunInstances", request.send())
        .await
        .map_err(explained)?;
    let id = answer.instances().first().and_then(|i| i.instance_id());
    id.map(str::to_owned).ok_or_else(|| {
        ProviderError::internal("the service launched nothing and said no error").operation("RunInstances")
    })
}

/// A reused token names parameters of an earlier attempt; only a person can tell which to keep.
fn explained(error: ProviderError) -> ProviderError {
    if error::is_code(&error, &["IdempotentParameterMismatch"]) {
        let message =
            "an attempt with the same token had other arguments; apply again to make a fresh attempt";
        return ProviderError {
            message: message.to_owned(),
            ..error
        };
    }
    error
}

/// The launch request, without token and tags.
pub(super) fn request(
    client: &AwsClient,
    planned: &InstanceModel,
    root: Option<(String, &RootBlockDevice)>,
) -> RunInstancesFluentBuilder {
    let user_data = planned.user_data.as_ref().map(|data| encode(data.expose()));
    let zone = planned.availability_zone.as_ref();
    let groups: Option<Vec<String>> = planned
        .vpc_security_group_ids
        .as_ref()
        .map(|groups| groups.iter().cloned().collect());
    let mut request = client
        .ec2
        .run_instances()
        .min_count(1)
        .max_count(1)
        .image_id(&planned.ami)
        .instance_type(InstanceType::from(planned.instance_type.as_str()))
        .set_key_name(planned.key_name.clone())
        .set_user_data(user_data)
        .set_placement(zone.map(|zone| Placement::builder().availability_zone(zone).build()))
        .metadata_options(metadata_options(planned.metadata_options.as_ref()))
        .set_disable_api_termination(planned.disable_api_termination.then_some(true));
    if let Some((device, block)) = root {
        request = request.block_device_mappings(mapping(&device, block));
    }
    match planned.associate_public_ip_address {
        // The public address belongs to an interface, and then all the rest of the network does too.
        Some(public) => request.network_interfaces(
            InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .associate_public_ip_address(public)
                .delete_on_termination(true)
                .set_subnet_id(planned.subnet_id.clone())
                .set_groups(groups)
                .set_private_ip_address(planned.private_ip.clone())
                .build(),
        ),
        None => request
            .set_subnet_id(planned.subnet_id.clone())
            .set_security_group_ids(groups)
            .set_private_ip_address(planned.private_ip.clone()),
    }
}

/// Base64, as the wire wants it.
fn encode(data: &str) -> String {
    aws_smithy_types::base64::encode(Blob::new(data.as_bytes()).into_inner())
}

fn mapping(device: &str, block: &RootBlockDevice) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .set_volume_size(block.volume_size)
        .set_volume_type(block.volume_type.as_deref().map(VolumeType::from))
        .set_iops(block.iops)
        .set_throughput(block.throughput)
        .set_encrypted(block.encrypted)
        .set_kms_key_id(block.kms_key_id.clone())
        .delete_on_termination(block.delete_on_termination)
        .build();
    BlockDeviceMapping::builder().device_name(device).ebs(ebs).build()
}

fn metadata_options(block: Option<&MetadataOptions>) -> InstanceMetadataOptionsRequest {
    let options = block.cloned().unwrap_or_default();
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::from(
            options.http_endpoint.as_str(),
        ))
        .http_tokens(HttpTokensState::from(options.http_tokens.as_str()))
        .http_put_response_hop_limit(options.http_put_response_hop_limit)
        .instance_metadata_tags(InstanceMetadataTagsState::from(
            options.instance_metadata_tags.as_str(),
        ))
        .build()
}

/// The name under which the image attaches its root volume.
pub(super) async fn root_device_name(
    cx: &Cx,
    client: &AwsClient,
    image: &str,
) -> Result<String, ProviderError> {
    let request = client.ec2.describe_images().image_ids(image);
    let answer = call(cx, "DescribeImages", request.send()).await?;
    let name = answer.images().first().and_then(|i| i.root_device_name());
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("there is no image {image} in {}", client.region);
        ProviderError::new(ErrorKind::NotFound, message).attribute(stack_core::Path::of(&["ami"]))
    })
}

/// Waits until the instance runs.
pub(super) async fn running(
    cx: &Cx,
    client: &AwsClient,
    planned: &InstanceModel,
    id: &str,
) -> Result<InstanceModel, ProviderError> {
    let instance = poll!(cx, "waiting for running", async {
        let Some(instance) = observe::one_in_any_state(cx, client, id).await? else {
            return Ok(None);
        };
        match observe::state(&instance) {
            "running" => Ok(Some(instance)),
            "pending" | "" => Ok(None),
            state => Err(failed_to_run(&instance, state)),
        }
    })?;
    observe::full(cx, client, planned, &instance).await
}

fn failed_to_run(instance: &Described, state: &str) -> ProviderError {
    let reason = instance
        .state_reason()
        .and_then(|r| r.message())
        .unwrap_or("the service gives no reason");
    let kind = match instance.state_reason().and_then(|r| r.code()) {
        Some("Server.InsufficientInstanceCapacity" | "Server.InternalError") => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidArgument,
    };
    ProviderError::new(
        kind,
        format!("the instance is {state} instead of running: {reason}"),
    )
}
