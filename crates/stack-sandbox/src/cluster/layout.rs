//! Addresses, names and folders of the cluster.
//!
//! The API server is a process of the machine on the bridge [`BRIDGE`]; the node and its pods live in a network
//! namespace behind it. Pods and services have no route out of the machine.

use std::path::PathBuf;

use crate::home::Home;

/// The bridge between the machine and the node.
pub(crate) const BRIDGE: &str = "stackbr1";
/// The API server's address, on the bridge.
pub(crate) const API_ADDRESS: &str = "10.77.0.254";
/// The API server's port.
pub(crate) const API_PORT: u16 = 6443;
/// Prefix length of the network on the bridge.
pub(crate) const NODE_PREFIX: u8 = 24;
/// The network of all pods.
pub(crate) const POD_NETWORK: &str = "10.78.0.0/16";
/// The pods of the node.
pub(crate) const NODE_PODS: &str = "10.78.1.0/24";
/// The network of service addresses.
pub(crate) const SERVICE_NETWORK: &str = "10.79.0.0/16";
/// The API server's service address: the first of the network.
pub(crate) const API_SERVICE: &str = "10.79.0.1";
/// The address of the cluster's DNS service.
pub(crate) const DNS_SERVICE: &str = "10.79.0.10";
/// The domain of the cluster.
pub(crate) const DOMAIN: &str = "cluster.local";

/// Name of the node.
pub(crate) const NODE: &str = "node1";
/// The node's address on the bridge.
pub(crate) const NODE_ADDRESS: &str = "10.77.0.1";
/// The node's network namespace.
pub(crate) const NODE_NETNS: &str = "stack-node1";
/// The machine's end of the node's link to the bridge.
pub(crate) const NODE_LINK: &str = "stacknode1";
/// The machine's end of the node's link into the VPC.
pub(crate) const NODE_VPC_LINK: &str = "stacknode1v";
/// The node's address in the VPC, out of the cluster's subnet; what pods send into the VPC comes from it.
pub(crate) const NODE_VPC_ADDRESS: &str = "172.31.32.10";
/// The subnet of the VPC that the cluster's nodes are in: the source to allow in a security group.
pub(crate) const CLUSTER_SUBNET: &str = "172.31.32.0/20";
/// Prefix length of the VPC.
pub(crate) const VPC_PREFIX: u8 = 16;
/// Hardware address of the node in the VPC; fixed, since neighbours remember it.
pub(crate) const NODE_VPC_MAC: &str = "02:ac:1f:00:20:0a";

/// The zone that EC2's private names of the region are in.
pub(crate) const EC2_ZONE: &str = "us-east-2.compute.internal";
/// The name that the Stripe stand-in answers to.
pub(crate) const STRIPE_NAME: &str = "api.stripe.com";
/// The address of the Stripe stand-in: in the VPC, outside of its default subnets.
pub(crate) const STRIPE_ADDRESS: &str = "172.31.250.10";

/// The context in the kubeconfig.
pub(crate) const CONTEXT: &str = "sandbox";

/// The API server's URL.
pub(crate) fn api_url() -> String {
    format!("https://{API_ADDRESS}:{API_PORT}")
}

/// The administrator's kubeconfig.
pub(crate) fn kubeconfig(home: &Home) -> PathBuf {
    home.run().join("kubeconfig")
}

/// Keys and certificates of the running cluster.
pub(crate) fn pki(home: &Home) -> PathBuf {
    home.data("cluster").join("pki")
}

/// The node's data.
pub(crate) fn node(home: &Home) -> PathBuf {
    home.data("cluster").join(NODE)
}
