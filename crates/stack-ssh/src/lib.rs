//! stack-ssh.
