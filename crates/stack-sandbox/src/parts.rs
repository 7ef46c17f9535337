//! The parts that exist.

use crate::part::Part;
use crate::{cluster, mesh, network};

/// All parts, each after the parts it needs.
pub(crate) fn all() -> Vec<Box<dyn Part>> {
    let mut parts: Vec<Box<dyn Part>> = vec![Box::new(network::Network)];
    parts.extend(cluster::parts());
    parts.extend(mesh::parts());
    parts
}
