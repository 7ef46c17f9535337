//! A connection to one host.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Preferred};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::keys::{fingerprint_of, private_key};
use crate::{Connection, HostKeys, SshError};

/// Commands that run at a time on one connection. OpenSSH allows ten sessions (`MaxSessions`) and counts one that has
/// just ended as long as its messages wait in the same batch as the opening of the next: so half of them.
const COMMANDS_AT_A_TIME: usize = 5;

/// Silence after which the connection is probed; three probes without an answer end it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A connection to one host, whose key was checked. Commands and tunnels share it.
pub struct Session {
    pub(crate) handle: Handle<Verifier>,
    pub(crate) commands: Semaphore,
    pub(crate) endpoint: String,
    root: bool,
    host_key: String,
}

/// Compares the host's key with the pinned ones.
pub(crate) struct Verifier {
    endpoint: String,
    pinned: HostKeys,
    shown: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Verifier {
    type Error = SshError;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        let key = offered.public_key();
        if offered.certificate().is_none() && self.pinned.contains(&key) {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = key.to_openssh().ok();
            return Ok(true);
        }
        Err(SshError::UntrustedHost {
            endpoint: self.endpoint.clone(),
            offered: fingerprint_of(&key),
            pinned: self.pinned.fingerprints(),
        })
    }
}

impl Session {
    /// Connects, checks the host's key, logs in.
    ///
    /// # Errors
    /// The arguments cannot work, the host cannot be reached in time, shows a key that is not pinned, or does not
    /// accept the user.
    pub async fn connect(connection: &Connection) -> Result<Self, SshError> {
        let limit = Duration::from_secs(connection.connect_timeout.max(1).into());
        tokio::time::timeout(limit, Self::establish(connection))
            .await
            .unwrap_or_else(|_| {
                Err(SshError::ConnectTimeout {
                    endpoint: connection.endpoint(),
                    seconds: limit.as_secs(),
                })
            })
    }

    async fn establish(connection: &Connection) -> Result<Self, SshError> {
        let endpoint = connection.endpoint();
        let pinned = HostKeys::parse(&connection.host_keys)?;
        let key = private_key(&connection.private_key)?;
        let config = Arc::new(client::Config {
            keepalive_interval: Some(KEEP_ALIVE),
            keepalive_max: 3,
            nodelay: true,
            preferred: Preferred {
                key: Cow::Owned(pinned.algorithms()),
                ..Preferred::DEFAULT
            },
            ..client::Config::default()
        });
        let socket = TcpStream::connect((connection.address.as_str(), connection.port))
            .await
            .map_err(|source| SshError::Connect {
                endpoint: endpoint.clone(),
                source,
            })?;
        socket.set_nodelay(true).map_err(|source| SshError::Connect {
            endpoint: endpoint.clone(),
            source,
        })?;
        let shown = Arc::new(Mutex::new(None));
        let verifier = Verifier {
            endpoint: endpoint.clone(),
            pinned: pinned.clone(),
            shown: Arc::clone(&shown),
        };
        let handshake = |error| match error {
            SshError::Protocol(russh::Error::NoCommonAlgo {
                kind: AlgorithmKind::Key,
                ..
            }) => SshError::NoPinnedKind {
                endpoint: endpoint.clone(),
                pinned: pinned.fingerprints(),
            },
            SshError::Protocol(source) => SshError::Handshake {
                endpoint: endpoint.clone(),
                source,
            },
            other => other,
        };
        let mut handle = client::connect_stream(config, socket, verifier)
            .await
            .map_err(handshake)?;
        // SHA-1 signatures are never made: where the host does not say what it takes, SHA-512 it is.
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } => {
                let best = handle
                    .best_supported_rsa_hash()
                    .await
                    .map_err(|e| handshake(e.into()))?;
                Some(best.flatten().unwrap_or(HashAlg::Sha512))
            }
            _ => None,
        };
        let signer = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
        let accepted = handle
            .authenticate_publickey(&connection.user, signer)
            .await
            .map_err(|e| handshake(e.into()))?;
        if !accepted.success() {
            return Err(SshError::NotAccepted {
                endpoint,
                user: connection.user.clone(),
                key: fingerprint_of(key.public_key()),
            });
        }
        let host_key = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Self {
            handle,
            commands: Semaphore::new(COMMANDS_AT_A_TIME),
            endpoint,
            root: connection.user == "root",
            host_key: host_key.unwrap_or_default(),
        })
    }

    /// Whether the connection has ended; another one must be made.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// The key the host showed, in OpenSSH form: one of the pinned ones.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// Whether commands run as root without `sudo`.
    pub(crate) fn is_root(&self) -> bool {
        self.root
    }

    pub(crate) fn broken(&self, source: russh::Error) -> SshError {
        SshError::Broken {
            endpoint: self.endpoint.clone(),
            source,
        }
    }

    /// Ends the connection. Commands that run on the host go on there.
    pub async fn close(&self) {
        // The answer does not matter: the connection is given up either way.
        let _ = self
            .handle
            .disconnect(russh::Disconnect::ByApplication, "", "")
            .await;
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
