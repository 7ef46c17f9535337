//! Data sources.

mod ami;
mod caller_identity;
mod subnet;
mod vpc;

pub use ami::{Ami, AmiModel};
pub use caller_identity::{CallerIdentity, CallerIdentityModel};
use stack_core::Schema;
pub use subnet::{Subnet, SubnetModel, Subnets, SubnetsModel};
pub use vpc::{Vpc, VpcModel};

use crate::tags::{self, Tags};

/// A filter of the EC2 API: the object passes if its field has one of the values.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Filter {
    /// Field, as the API reference of the Describe call names it.
    pub name: String,
    /// Values; `*` and `?` are wildcards.
    pub values: Vec<String>,
}

/// Filter blocks and tags as the API takes them.
fn filters(blocks: &[Filter], wanted: Option<&Tags>) -> Vec<aws_sdk_ec2::types::Filter> {
    let blocks = blocks
        .iter()
        .map(|f| tags::filter(&f.name, f.values.iter().cloned()));
    let wanted = wanted.into_iter().flatten();
    let wanted = wanted.map(|(key, value)| tags::filter(&format!("tag:{key}"), [value]));
    blocks.chain(wanted).collect()
}
