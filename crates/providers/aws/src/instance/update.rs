//! Changing an instance in place.

use aws_sdk_ec2::types::{
    AttributeBooleanValue, AttributeValue, HttpTokensState, InstanceMetadataEndpointState,
    InstanceMetadataTagsState, VolumeType,
};
use stack_provider::{Cx, ErrorKind, Failure, ProviderError};

use super::observe::{self, Described};
use super::{InstanceModel, launch};
use crate::client::{AwsClient, call};
use crate::poll::poll;
use crate::tags;

/// Makes the instance as planned. Each step compares with the instance as it is now, so that an update that was cut short
/// can be made again.
pub(super) async fn update(
    cx: &Cx,
    client: &AwsClient,
    prior: &InstanceModel,
    planned: InstanceModel,
) -> Result<InstanceModel, Failure<InstanceModel>> {
    let id = prior.id.clone().unwrap_or_default();
    let Some(instance) = observe::one(cx, client, &id).await? else {
        let message = format!("instance {id} is gone; plan again");
        return Err(ProviderError::new(ErrorKind::NotFound, message).into());
    };
    let known = InstanceModel {
        disable_api_termination: prior.disable_api_termination || planned.disable_api_termination,
        ..planned.clone()
    };
    let now = observe::full(cx, client, &known, &instance).await?;
    match steps(cx, client, &id, &instance, &now, &planned).await {
        Ok(model) => Ok(model),
        Err(error) => match read_again(cx, client, &planned, &id).await {
            Some(object) => Err(Failure::with(error, object)),
            None => Err(error.into()),
        },
    }
}

/// The instance as the failed update left it, if that can be told.
async fn read_again(cx: &Cx, client: &AwsClient, planned: &InstanceModel, id: &str) -> Option<InstanceModel> {
    let instance = observe::one(cx, client, id).await.ok()??;
    observe::full(cx, client, planned, &instance).await.ok()
}

async fn steps(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    instance: &Described,
    now: &InstanceModel,
    planned: &InstanceModel,
) -> Result<InstanceModel, ProviderError> {
    tags::sync(cx, client, id, now.tags.as_ref(), planned.tags.as_ref()).await?;
    if let (Some(groups), Some(interface)) =
        (&planned.vpc_security_group_ids, &now.primary_network_interface_id)
        && now.vpc_security_group_ids.as_ref() != Some(groups)
    {
        let request = client
            .ec2
            .modify_network_interface_attribute()
            .network_interface_id(interface)
            .set_groups(Some(groups.iter().cloned().collect()));
        call(cx, "ModifyNetworkInterfaceAttribute", request.send()).await?;
    }
    if now.disable_api_termination != planned.disable_api_termination {
        let value = AttributeBooleanValue::builder()
            .value(planned.disable_api_termination)
            .build();
        let request = client
            .ec2
            .modify_instance_attribute()
            .instance_id(id)
            .disable_api_termination(value);
        call(cx, "ModifyInstanceAttribute", request.send()).await?;
    }
    metadata_options(cx, client, id, now, planned).await?;
    root_volume(cx, client, id, instance, now, planned).await?;
    restart(cx, client, id, now, planned).await?;
    launch::running(cx, client, planned, id).await
}

async fn metadata_options(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    now: &InstanceModel,
    planned: &InstanceModel,
) -> Result<(), ProviderError> {
    if now.metadata_options == planned.metadata_options {
        return Ok(());
    }
    let options = planned.metadata_options.clone().unwrap_or_default();
    let request = client
        .ec2
        .modify_instance_metadata_options()
        .instance_id(id)
        .http_endpoint(InstanceMetadataEndpointState::from(
            options.http_endpoint.as_str(),
        ))
        .http_tokens(HttpTokensState::from(options.http_tokens.as_str()))
        .http_put_response_hop_limit(options.http_put_response_hop_limit)
        .instance_metadata_tags(InstanceMetadataTagsState::from(
            options.instance_metadata_tags.as_str(),
        ));
    call(cx, "ModifyInstanceMetadataOptions", request.send()).await?;
    poll!(cx, "waiting for the metadata options", async {
        let instance = observe::one(cx, client, id).await?;
        let state = instance.as_ref().and_then(|i| i.metadata_options()?.state());
        let pending = state.is_some_and(|s| s.as_str() == "pending");
        Ok((!pending).then_some(()))
    })
}

async fn root_volume(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    instance: &Described,
    now: &InstanceModel,
    planned: &InstanceModel,
) -> Result<(), ProviderError> {
    let (Some(before), Some(after), Some(volume)) = (
        &now.root_block_device,
        &planned.root_block_device,
        &now.root_volume_id,
    ) else {
        return Ok(());
    };
    if before.delete_on_termination != after.delete_on_termination {
        let ebs = aws_sdk_ec2::types::EbsInstanceBlockDeviceSpecification::builder()
            .delete_on_termination(after.delete_on_termination)
            .build();
        let mapping = aws_sdk_ec2::types::InstanceBlockDeviceMappingSpecification::builder()
            .set_device_name(instance.root_device_name().map(str::to_owned))
            .ebs(ebs)
            .build();
        let request = client
            .ec2
            .modify_instance_attribute()
            .instance_id(id)
            .block_device_mappings(mapping);
        call(cx, "ModifyInstanceAttribute", request.send()).await?;
    }
    // An argument that is not set stays as it is.
    let changed = |before: Option<i32>, after: Option<i32>| after.filter(|a| before != Some(*a));
    let size = changed(before.volume_size, after.volume_size);
    let iops = changed(before.iops, after.iops);
    let throughput = changed(before.throughput, after.throughput);
    let kind = after
        .volume_type
        .clone()
        .filter(|t| before.volume_type.as_ref() != Some(t));
    if size.is_none() && iops.is_none() && throughput.is_none() && kind.is_none() {
        return Ok(());
    }
    let request = client
        .ec2
        .modify_volume()
        .volume_id(volume)
        .set_size(size)
        .set_iops(iops)
        .set_throughput(throughput)
        .set_volume_type(kind.as_deref().map(VolumeType::from));
    call(cx, "ModifyVolume", request.send()).await?;
    poll!(cx, "waiting for the volume", async {
        let request = client.ec2.describe_volumes_modifications().volume_ids(volume);
        let answer = call(cx, "DescribeVolumesModifications", request.send()).await?;
        let latest = answer
            .volumes_modifications()
            .iter()
            .max_by_key(|m| m.start_time().copied());
        let Some(latest) = latest else { return Ok(None) };
        match latest.modification_state().map(|s| s.as_str()) {
            Some("optimizing" | "completed") => Ok(Some(())),
            Some("failed") => {
                let reason = latest.status_message().unwrap_or("the service gives no reason");
                let message = format!("volume {volume} could not be changed: {reason}");
                Err(ProviderError::new(ErrorKind::InvalidArgument, message))
            }
            _ => Ok(None),
        }
    })
}

/// Changes the type, which only a stopped instance takes, and starts what is not running.
async fn restart(
    cx: &Cx,
    client: &AwsClient,
    id: &str,
    now: &InstanceModel,
    planned: &InstanceModel,
) -> Result<(), ProviderError> {
    let changes_type = now.instance_type != planned.instance_type;
    let is_running = now.instance_state.as_deref() == Some("running");
    if !changes_type && is_running {
        return Ok(());
    }
    if is_running {
        call(
            cx,
            "StopInstances",
            client.ec2.stop_instances().instance_ids(id).send(),
        )
        .await?;
    }
    poll!(cx, "waiting for stopped", async {
        let instance = observe::one(cx, client, id).await?;
        match instance.as_deref().map(observe::state) {
            Some("stopped") => Ok(Some(())),
            // Started by somebody else, or by an earlier attempt whose answer was lost.
            Some("running") if !changes_type => Ok(Some(())),
            Some(_) => Ok(None),
            None => Err(ProviderError::new(
                ErrorKind::NotFound,
                format!("instance {id} is gone; plan again"),
            )),
        }
    })?;
    if changes_type {
        let value = AttributeValue::builder().value(&planned.instance_type).build();
        let request = client
            .ec2
            .modify_instance_attribute()
            .instance_id(id)
            .instance_type(value);
        call(cx, "ModifyInstanceAttribute", request.send()).await?;
    }
    call(
        cx,
        "StartInstances",
        client.ec2.start_instances().instance_ids(id).send(),
    )
    .await?;
    Ok(())
}
