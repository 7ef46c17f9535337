//! `aws_instance`

mod launch;
mod observe;
mod preview;
mod update;

use std::collections::BTreeSet;

use stack_core::{Path, Schema, Secret, Type, Unknown, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Preview, ProviderError, Refined, RemoteCall, Resource,
    async_trait,
};

use crate::client::{AwsClient, call};
use crate::poll::poll;
use crate::tags::{self, Tags};

/// An EC2 instance. It is made running, and one found stopped is started by the next apply.
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct InstanceModel {
    /// Image the instance boots from.
    #[schema(replace)]
    pub ami: String,
    /// Instance type: `m7i.large`. A change stops and starts the instance, which gives it another public address.
    pub instance_type: String,
    /// Name of the key pair for the first login.
    #[schema(replace)]
    pub key_name: Option<String>,
    /// Subnet; otherwise the default one of the zone.
    #[schema(optional, computed, replace)]
    pub subnet_id: Option<String>,
    /// Availability zone; otherwise that of the subnet.
    #[schema(optional, computed, replace)]
    pub availability_zone: Option<String>,
    /// Security groups of the primary network interface.
    #[schema(optional, computed)]
    pub vpc_security_group_ids: Option<BTreeSet<String>>,
    /// Whether to give a public address; otherwise the subnet decides.
    #[schema(optional, computed, replace)]
    pub associate_public_ip_address: Option<bool>,
    /// Private IPv4 address; otherwise a free one of the subnet.
    #[schema(optional, computed, replace)]
    pub private_ip: Option<String>,
    /// Data for cloud-init, at most 16 KiB. It is read on the first boot only, so it is applied when the instance is made
    /// and never again: a change of it is no change of the instance, unless `user_data_replace_on_change` is set.
    pub user_data: Option<Secret<String>>,
    /// Whether a change of `user_data` replaces the instance.
    #[schema(default = false)]
    pub user_data_replace_on_change: bool,
    /// Refuse to terminate the instance until this is off again. Read back only where it is on: it costs a request for
    /// each instance.
    #[schema(default = false)]
    pub disable_api_termination: bool,
    /// Tags.
    pub tags: Option<Tags>,
    /// Root volume; without the block it is as the image has it.
    #[schema(block)]
    pub root_block_device: Option<RootBlockDevice>,
    /// Instance metadata service; without the block it is as the block's defaults say.
    #[schema(block)]
    pub metadata_options: Option<MetadataOptions>,
    /// Instance id.
    #[schema(computed)]
    pub id: Option<String>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
    /// `running`, `stopped`, ...
    #[schema(computed)]
    pub instance_state: Option<String>,
    /// Private host name, as the VPC's DNS gives it.
    #[schema(computed)]
    pub private_dns: Option<String>,
    /// Public IPv4 address, empty where there is none.
    #[schema(computed)]
    pub public_ip: Option<String>,
    /// Public host name, empty where there is none.
    #[schema(computed)]
    pub public_dns: Option<String>,
    /// Primary network interface.
    #[schema(computed)]
    pub primary_network_interface_id: Option<String>,
    /// Volume the instance boots from.
    #[schema(computed)]
    pub root_volume_id: Option<String>,
}

/// The root volume.
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct RootBlockDevice {
    /// Size in GiB. It can grow in place (the file system must be grown too); a smaller one replaces the instance.
    #[schema(optional, computed)]
    pub volume_size: Option<i32>,
    /// `gp3`, `gp2`, `io1`, `io2`, ...
    #[schema(optional, computed)]
    pub volume_type: Option<String>,
    /// Operations a second; `gp3` includes 3000.
    #[schema(optional, computed)]
    pub iops: Option<i32>,
    /// MiB a second; `gp3` includes 125.
    #[schema(optional, computed)]
    pub throughput: Option<i32>,
    /// Whether to encrypt it.
    #[schema(optional, computed, replace)]
    pub encrypted: Option<bool>,
    /// Key to encrypt it with; otherwise the account's default key for volumes.
    #[schema(optional, computed, replace)]
    pub kms_key_id: Option<String>,
    /// Whether the volume goes with the instance.
    #[schema(default = true)]
    pub delete_on_termination: bool,
}

/// The instance metadata service.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct MetadataOptions {
    /// `enabled` or `disabled`.
    #[schema(default = "enabled")]
    pub http_endpoint: String,
    /// `required` (version 2 only) or `optional`.
    #[schema(default = "required")]
    pub http_tokens: String,
    /// How many network hops an answer may go, 1 to 64; containers need 2.
    #[schema(default = 1)]
    pub http_put_response_hop_limit: i32,
    /// Whether tags can be read there: `enabled` or `disabled`.
    #[schema(default = "disabled")]
    pub instance_metadata_tags: String,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self {
            http_endpoint: "enabled".to_owned(),
            http_tokens: "required".to_owned(),
            http_put_response_hop_limit: 1,
            instance_metadata_tags: "disabled".to_owned(),
        }
    }
}

/// Resource type `aws_instance`.
#[derive(Clone, Copy, Debug)]
pub struct Instance;

#[async_trait]
impl Resource for Instance {
    const TYPE: &'static str = "aws_instance";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 35.0;
    const TIMEOUT_SECONDS: u64 = 900;
    const READS_TOGETHER: bool = true;
    type Model = InstanceModel;
    type Client = AwsClient;

    fn api(call: RemoteCall) -> &'static str {
        if call == RemoteCall::Create {
            crate::LAUNCH
        } else {
            ""
        }
    }

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        prior: &InstanceModel,
    ) -> Result<Option<InstanceModel>, ProviderError> {
        let mut answers = observe::read_many(cx, client, std::slice::from_ref(prior)).await;
        answers.pop().unwrap_or(Ok(None))
    }

    async fn read_many(
        cx: &Cx,
        client: &AwsClient,
        priors: &[InstanceModel],
    ) -> Vec<Result<Option<InstanceModel>, ProviderError>> {
        observe::read_many(cx, client, priors).await
    }

    async fn create(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: InstanceModel,
    ) -> Result<InstanceModel, Failure<InstanceModel>> {
        launch::create(cx, client, owner, planned).await
    }

    async fn update(
        cx: &Cx,
        client: &AwsClient,
        prior: &InstanceModel,
        planned: InstanceModel,
    ) -> Result<InstanceModel, Failure<InstanceModel>> {
        update::update(cx, client, prior, planned).await
    }

    async fn delete(cx: &Cx, client: &AwsClient, prior: &InstanceModel) -> Result<(), ProviderError> {
        let Some(id) = &prior.id else { return Ok(()) };
        let request = client.ec2.terminate_instances().instance_ids(id);
        if let Err(error) = call(cx, "TerminateInstances", request.send()).await {
            // Also what belongs to an instance that is gone may be the thing not found.
            let gone = error.kind == ErrorKind::NotFound && observe::one(cx, client, id).await?.is_none();
            return if gone { Ok(()) } else { Err(error) };
        }
        poll!(cx, "waiting for termination", async {
            Ok(observe::one_in_any_state(cx, client, id)
                .await?
                .is_none_or(|i| observe::state(&i) == "terminated")
                .then_some(()))
        })
    }

    async fn find(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<InstanceModel>, ProviderError> {
        let Some(instance) = launch::find(cx, client, owner).await? else {
            return Ok(None);
        };
        let arguments: InstanceModel = crate::known::known_part(planned)?;
        Ok(Some(observe::full(cx, client, &arguments, &instance).await?))
    }

    async fn import(cx: &Cx, client: &AwsClient, id: &str) -> Result<InstanceModel, ProviderError> {
        let Some(instance) = observe::one(cx, client, id).await? else {
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                format!("there is no instance {id} in {}", client.region),
            ));
        };
        let imported = InstanceModel {
            root_block_device: Some(RootBlockDevice::default()),
            metadata_options: Some(MetadataOptions::default()),
            ..InstanceModel::default()
        };
        observe::full(cx, client, &imported, &instance).await
    }

    fn previews() -> bool {
        true
    }

    async fn preview(
        cx: &Cx,
        client: &AwsClient,
        prior: Option<&InstanceModel>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        match prior {
            None => preview::dry_run(cx, client, proposed).await,
            Some(_) => Ok(Preview::default()),
        }
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        match prior.filter(|p| !p.is_null()) {
            Some(prior) => refine_change(prior, planned),
            None => refine_new(planned).into(),
        }
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        validate(config)
    }
}

/// What is sure of an instance before it is made.
fn refine_new(planned: Value) -> Value {
    let prefixed = |prefix: &str| {
        Value::Unknown(Box::new(Unknown {
            not_null: true,
            prefix: prefix.into(),
            ..Unknown::of(Type::String)
        }))
    };
    planned
        .with_attribute("id", prefixed("i-"))
        .with_attribute("arn", prefixed("arn:"))
        .with_attribute("instance_state", "running".into())
}

fn refine_change(prior: &Value, mut planned: Value) -> Refined {
    let plain = |object: &Value, name: &str| object.attribute(name).map_or(Value::NULL, Value::unmark_deep);
    let mut replace = Vec::new();
    if plain(prior, "user_data") != plain(&planned, "user_data") {
        if planned
            .attribute("user_data_replace_on_change")
            .and_then(Value::as_bool)
            == Some(true)
        {
            replace.push(Path::of(&["user_data"]));
        } else {
            let kept = prior.attribute("user_data").unwrap_or(&Value::NULL).clone();
            planned = planned.with_attribute("user_data", kept);
        }
    }
    let size = Path::of(&["root_block_device", "volume_size"]);
    let gib = |object: &Value| size.get(object).and_then(Value::as_number).cloned();
    if let (Some(before), Some(after)) = (gib(prior), gib(&planned))
        && after < before
    {
        replace.push(size);
    }
    planned = refine_volume(prior, planned);
    let state = plain(prior, "instance_state");
    let is_stopped = matches!(state.as_str(), Some("stopped" | "stopping"));
    if is_stopped || plain(prior, "instance_type") != plain(&planned, "instance_type") {
        for name in ["public_ip", "public_dns"] {
            planned = planned.with_attribute(name, Value::unknown(Type::String));
        }
        planned = planned.with_attribute("instance_state", "running".into());
    }
    Refined { planned, replace }
}

/// What a volume gets by itself when its type or size changes is not known before.
fn refine_volume(prior: &Value, planned: Value) -> Value {
    let part = |object: &Value, name: &str| {
        let value = Path::of(&["root_block_device", name]).get(object);
        value.map_or(Value::NULL, Value::unmark_deep)
    };
    let changes = |name| part(prior, name) != part(&planned, name);
    let by_size = |object: &Value| part(object, "volume_type").as_str() == Some("gp2");
    let dependent: &[&str] = if changes("volume_type") {
        &["iops", "throughput"]
    } else if changes("volume_size") && by_size(&planned) {
        &["iops"]
    } else {
        return planned;
    };
    let Some(mut block) = planned
        .attribute("root_block_device")
        .filter(|b| !b.is_null())
        .cloned()
    else {
        return planned;
    };
    for name in dependent.iter().filter(|name| !changes(name)) {
        block = block.with_attribute(name, Value::unknown(Type::Number));
    }
    planned.with_attribute("root_block_device", block)
}

fn validate(config: &Value) -> Vec<(Path, String)> {
    let mut problems = tags::validate(config);
    let text = |path: &Path| path.get(config).and_then(Value::as_str).map(str::to_owned);
    let data = Path::of(&["user_data"]);
    if text(&data).is_some_and(|d| d.len() > 16 * 1024) {
        let message = "is longer than 16 KiB, the most EC2 takes; load the rest from the script".to_owned();
        problems.push((data, message));
    }
    for (name, allowed) in [
        ("http_endpoint", ["enabled", "disabled"]),
        ("http_tokens", ["required", "optional"]),
        ("instance_metadata_tags", ["enabled", "disabled"]),
    ] {
        let path = Path::of(&["metadata_options", name]);
        if text(&path).is_some_and(|t| !allowed.contains(&t.as_str())) {
            problems.push((path, format!("must be \"{}\" or \"{}\"", allowed[0], allowed[1])));
        }
    }
    let address = Path::of(&["private_ip"]);
    if let Some(text) = text(&address).filter(|t| t.parse::<std::net::Ipv4Addr>().is_err()) {
        problems.push((address, format!("`{text}` is no IPv4 address")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack_core::Decode as _;

    fn prior() -> Value {
        let model = InstanceModel {
            ami: "ami-1".to_owned(),
            instance_type: "t3.small".to_owned(),
            user_data: Some("old".into()),
            root_block_device: Some(RootBlockDevice {
                volume_size: Some(20),
                volume_type: Some("gp2".to_owned()),
                iops: Some(100),
                ..RootBlockDevice::default()
            }),
            id: Some("i-1".to_owned()),
            public_ip: Some("192.0.2.1".to_owned()),
            instance_state: Some("running".to_owned()),
            ..InstanceModel::default()
        };
        model.encode()
    }

    fn with_volume(object: &Value, name: &str, value: Value) -> Value {
        let block = object
            .attribute("root_block_device")
            .unwrap()
            .with_attribute(name, value);
        object.with_attribute("root_block_device", block)
    }

    #[test]
    fn changed_user_data_changes_nothing_unless_told() {
        let prior = prior();
        let planned = prior.with_attribute("user_data", Value::from("new").sensitive());
        let refined = Instance::refine(Some(&prior), planned.clone());
        assert_eq!(refined, Refined::from(prior.clone()));
        let told = planned.with_attribute("user_data_replace_on_change", true.into());
        assert_eq!(
            Instance::refine(Some(&prior), told).replace,
            [Path::of(&["user_data"])]
        );
    }

    #[test]
    fn another_type_gives_another_public_address() {
        let prior = prior();
        let refined = Instance::refine(
            Some(&prior),
            prior.with_attribute("instance_type", "t3.large".into()),
        );
        assert!(refined.replace.is_empty());
        assert!(!refined.planned.attribute("public_ip").unwrap().is_known());
        assert_eq!(
            refined.planned.attribute("instance_state"),
            Some(&Value::from("running"))
        );
    }

    #[test]
    fn a_stopped_instance_is_to_be_started() {
        let stopped = prior().with_attribute("instance_state", "stopped".into());
        let refined = Instance::refine(Some(&stopped), stopped.clone());
        assert_eq!(
            refined.planned.attribute("instance_state"),
            Some(&Value::from("running"))
        );
    }

    #[test]
    fn a_root_volume_grows_in_place_and_shrinks_by_replacement() {
        let prior = prior();
        let grown = Instance::refine(Some(&prior), with_volume(&prior, "volume_size", 30.into()));
        assert!(grown.replace.is_empty());
        let iops = Path::of(&["root_block_device", "iops"]);
        assert!(
            !iops.get(&grown.planned).unwrap().is_known(),
            "gp2 gives more operations to a larger volume"
        );
        let shrunk = Instance::refine(Some(&prior), with_volume(&prior, "volume_size", 10.into()));
        assert_eq!(shrunk.replace, [Path::of(&["root_block_device", "volume_size"])]);
    }

    #[test]
    fn arguments_that_cannot_work_are_named() {
        let config = |name: &str, value: Value| Value::object([(name.to_owned(), value)]);
        let named = |config: &Value| {
            validate(config)
                .into_iter()
                .map(|(path, _)| path.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            named(&config("user_data", "x".repeat(17_000).into())),
            ["user_data"]
        );
        assert_eq!(named(&config("private_ip", "10.0.0".into())), ["private_ip"]);
        let tokens = Value::object([("http_tokens".to_owned(), "always".into())]);
        assert_eq!(
            named(&config("metadata_options", tokens)),
            ["metadata_options.http_tokens"]
        );
        let tags = Value::map(Type::String, [("stack:token".to_owned(), "x".into())].into());
        assert_eq!(named(&config("tags", tags)), ["tags.stack:token"]);
    }
}
