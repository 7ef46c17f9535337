//! Asking EC2 whether it would launch an instance.

use stack_core::{Path, Value};
use stack_provider::{Cx, ErrorKind, Preview, ProviderError};

use super::{InstanceModel, launch};
use crate::client::{AwsClient, call};
use crate::{error, known};

/// Arguments without which a dry run asks about another instance.
const NEEDED: [&str; 3] = ["ami", "instance_type", "subnet_id"];

/// A dry run of the launch. It tells about permissions and about the arguments that are known; capacity it does not
/// promise.
pub(super) async fn dry_run(cx: &Cx, client: &AwsClient, proposed: &Value) -> Result<Preview, ProviderError> {
    let is_unknown = |name: &&str| {
        let value = proposed.attribute(name);
        // The subnet is computed where it is not set, and then the default one is meant.
        *name != "subnet_id" && value.is_some_and(|v| !v.is_known())
    };
    if let Some(name) = NEEDED.iter().find(|name| is_unknown(name)) {
        return Ok(Preview {
            not_checked: Some(format!("`{name}` is known after apply")),
            ..Preview::default()
        });
    }
    let arguments: InstanceModel = known::known_part(proposed)?;
    // A key pair of this name may be made by the same apply.
    let arguments = InstanceModel {
        key_name: None,
        ..arguments
    };
    let request = launch::request(client, &arguments, None).dry_run(true);
    let Err(refused) = call(cx, "RunInstances", request.send()).await else {
        return Ok(Preview::default());
    };
    if error::is_code(&refused, &["DryRunOperation"]) {
        return Ok(Preview::default());
    }
    // Without a default network the subnet must be given, and it may be known only after apply.
    let lacks_network = error::is_code(&refused, &["VPCIdNotSpecified", "MissingInput"]);
    match refused.kind {
        ErrorKind::InvalidArgument if lacks_network && arguments.subnet_id.is_none() => Ok(Preview {
            not_checked: Some("the network is known after apply".to_owned()),
            ..Preview::default()
        }),
        ErrorKind::Denied => Err(refused),
        ErrorKind::InvalidArgument => {
            let path = refused.attribute.clone().unwrap_or_else(|| Path::of(&["ami"]));
            Ok(Preview {
                warnings: vec![(path, format!("a dry run was refused: {refused}"))],
                ..Preview::default()
            })
        }
        _ => Ok(Preview {
            not_checked: Some(format!("the dry run gave no answer: {refused}")),
            ..Preview::default()
        }),
    }
}
