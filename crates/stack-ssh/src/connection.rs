//! How to reach a host.

use aws_lc_rs::digest;
use stack_core::{Schema, Secret};

use crate::{HostKeys, SshError};

/// How to reach a host over SSH.
#[derive(Clone, Debug, Schema)]
pub struct Connection {
    /// Address or name of the host.
    pub address: String,
    /// Port of its SSH server.
    #[schema(default = 22)]
    pub port: u16,
    /// User to log in as. Anyone but root needs `sudo` without a password.
    pub user: String,
    /// Private key of the user: ed25519, ECDSA or RSA, in OpenSSH or PEM form, without a passphrase.
    pub private_key: Secret<String>,
    /// Public keys the host may show, in OpenSSH form, at least one. A host that shows another key is refused.
    pub host_keys: Vec<String>,
    /// Seconds a connection and its handshake may take.
    #[schema(default = 10)]
    pub connect_timeout: u32,
}

impl Connection {
    /// Address and port, for messages.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// A key for pools of sessions: the remote end, the user, and a digest of the user's key and the pinned keys. Two
    /// connections with the same key may share a session.
    ///
    /// # Errors
    /// A pinned key cannot be read, or there is none.
    pub fn session_key(&self) -> Result<String, SshError> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.private_key.expose().trim().as_bytes());
        for pin in HostKeys::parse(&self.host_keys)?.canonical() {
            context.update(b"\0");
            context.update(pin.as_bytes());
        }
        let digest = context.finish();
        let short: String = digest.as_ref()[..12].iter().map(|b| format!("{b:02x}")).collect();
        Ok(format!("ssh:{}@{}#{short}", self.user, self.endpoint()))
    }

    /// Checks what can be checked without connecting.
    ///
    /// # Errors
    /// There is no pinned key, or a key cannot be read.
    pub fn check(&self) -> Result<(), SshError> {
        HostKeys::parse(&self.host_keys)?;
        crate::keys::private_key(&self.private_key)?;
        Ok(())
    }
}
