//! stack-kube.
