//! The types against a real API server. They want a cluster made for tests: `stack-sandbox up cluster`, then
//! `STACK_TEST_KUBECONFIG=… cargo test -p stack-provider-kubernetes -- --ignored`.

mod cluster;
mod manifest;
mod patch;
mod wait;
