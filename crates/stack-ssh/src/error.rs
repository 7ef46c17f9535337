//! Errors of the transport.

use std::io;

/// What a failure means to a caller that decides whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The arguments can never work.
    Invalid,
    /// The host is not the one that was pinned, or the host does not accept the user's key.
    Denied,
    /// The host cannot be reached, or the connection broke.
    Unavailable,
    /// A bug, or an answer that makes no sense.
    Internal,
}

/// A failure of the transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// No host key is pinned.
    #[error(
        "no host key is pinned: set `host_keys` to the public keys of the host (`ssh-keyscan` shows those of a host on a network you trust)"
    )]
    NoHostKeys,
    /// A pinned key is not a public key.
    #[error("host key {position} is not a public key in OpenSSH form (`ssh-ed25519 AAAA...`)")]
    HostKeySyntax {
        /// Position in the list, from 1.
        position: usize,
        /// The cause.
        source: russh::keys::ssh_key::Error,
    },
    /// The user's key cannot be read.
    #[error(
        "the private key cannot be read: give an ed25519, ECDSA or RSA key in OpenSSH or PEM form, without a passphrase"
    )]
    PrivateKey {
        /// The cause.
        source: Box<russh::keys::Error>,
    },
    /// The connection was not made.
    #[error("{endpoint}: cannot connect")]
    Connect {
        /// Address and port.
        endpoint: String,
        /// The cause.
        source: io::Error,
    },
    /// The connection or the handshake took too long.
    #[error(
        "{endpoint}: no session after {seconds} s: is the host up, and does the network let port 22 traffic through? (`connect_timeout` raises the limit)"
    )]
    ConnectTimeout {
        /// Address and port.
        endpoint: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The host shows a key that is not pinned.
    #[error(
        "{endpoint}: the host key is {offered}, but {pinned} is pinned: either this is another host, or its key was changed; find out which, and only then put the new key into `host_keys`"
    )]
    UntrustedHost {
        /// Address and port.
        endpoint: String,
        /// Fingerprint of the key that was shown.
        offered: String,
        /// Fingerprints of the pinned keys.
        pinned: String,
    },
    /// The host has no key of a pinned kind.
    #[error(
        "{endpoint}: the host has no key of the kinds that are pinned ({pinned}): its keys were changed, or it is another host"
    )]
    NoPinnedKind {
        /// Address and port.
        endpoint: String,
        /// Fingerprints of the pinned keys.
        pinned: String,
    },
    /// The protocol failed before the session stood.
    #[error("{endpoint}: SSH handshake failed")]
    Handshake {
        /// Address and port.
        endpoint: String,
        /// The cause.
        source: russh::Error,
    },
    /// The host does not accept the user or the key.
    #[error(
        "{endpoint}: user {user:?} with key {key} was not accepted: check `user`, `private_key` and the host's authorized keys"
    )]
    NotAccepted {
        /// Address and port.
        endpoint: String,
        /// The user.
        user: String,
        /// Fingerprint of the user's key.
        key: String,
    },
    /// The connection broke.
    #[error("{endpoint}: the SSH connection broke")]
    Broken {
        /// Address and port.
        endpoint: String,
        /// The cause.
        source: russh::Error,
    },
    /// The connection broke before the exit status came.
    #[error("{endpoint}: the connection ended before the script did")]
    NoExitStatus {
        /// Address and port.
        endpoint: String,
    },
    /// The host refused to run a command.
    #[error("{endpoint}: the host refused to run a command; a restricted shell cannot be used")]
    ExecRefused {
        /// Address and port.
        endpoint: String,
    },
    /// A script wrote more than allowed.
    #[error("{endpoint}: the script wrote more than {limit} bytes")]
    OutputTooLong {
        /// Address and port.
        endpoint: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The far end of a tunnel does not answer.
    #[error("{endpoint}: the host cannot reach {target}: is the service listening there?")]
    TunnelRefused {
        /// Address and port of the host.
        endpoint: String,
        /// Address and port the tunnel leads to.
        target: String,
        /// The cause.
        source: russh::Error,
    },
    /// Data for a script holds a NUL byte.
    #[error("a value for a script holds a NUL byte, which no shell can take")]
    NulByte,
    /// The name of a shell variable is none.
    #[error(
        "{name:?} cannot be the name of a shell variable: letters, digits and underscores, not starting with a digit or with \"stack_\""
    )]
    VariableName {
        /// The name.
        name: String,
    },
    /// The protocol library failed; [`SshError::Handshake`] or [`SshError::Broken`] replaces it before callers see it.
    #[error("SSH protocol error")]
    Protocol(#[from] russh::Error),
}

impl SshError {
    /// What the failure means to a caller.
    pub fn class(&self) -> Class {
        match self {
            Self::NoHostKeys
            | Self::HostKeySyntax { .. }
            | Self::PrivateKey { .. }
            | Self::NulByte
            | Self::VariableName { .. } => Class::Invalid,
            Self::UntrustedHost { .. } | Self::NoPinnedKind { .. } | Self::NotAccepted { .. } => {
                Class::Denied
            }
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Handshake { .. }
            | Self::Broken { .. }
            | Self::NoExitStatus { .. }
            | Self::TunnelRefused { .. } => Class::Unavailable,
            Self::ExecRefused { .. } | Self::OutputTooLong { .. } | Self::Protocol(_) => Class::Internal,
        }
    }

    /// Whether the host itself refused to be trusted: never to be tried again without a person looking.
    pub fn is_trust_failure(&self) -> bool {
        matches!(self, Self::UntrustedHost { .. } | Self::NoPinnedKind { .. })
    }
}
