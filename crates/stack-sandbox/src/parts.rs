//! The parts that exist.

use crate::part::Part;
use crate::{cluster, ec2, hosts, mesh, network};

/// All parts, each after the parts it needs.
pub(crate) fn all() -> Vec<Box<dyn Part>> {
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(network::Network),
        Box::new(hosts::Hosts),
        Box::new(ec2::Ec2),
    ];
    parts.extend(cluster::parts());
    parts.extend(mesh::parts());
    parts
}
