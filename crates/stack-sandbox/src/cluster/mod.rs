//! The parts of the cluster.

use crate::part::Part;

/// The parts, each after the parts it needs.
pub(crate) fn parts() -> Vec<Box<dyn Part>> {
    Vec::new()
}
