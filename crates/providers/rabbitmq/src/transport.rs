//! Streams to the management API: TCP, through SSH, with TLS on top of either.

use std::sync::Arc;
use std::time::Duration;

use stack_provider::{Cx, ErrorKind, ProviderError};
use stack_ssh::{Class, Connection, Session, SshError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where the API is, taken from its URL.
pub(crate) struct Endpoint {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// What stands before `/api`, without a slash at the end.
    pub(crate) prefix: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Reads the URL.
    pub(crate) fn parse(url: &str, ca_certificate: Option<&str>) -> Result<Self, ProviderError> {
        let wrong = |why: &str| {
            let example = "`http://127.0.0.1:15672` or `https://broker.example:15671`";
            ProviderError::invalid("endpoint", format!("{why}; a URL like {example} is required"))
        };
        let uri: http::Uri = url.parse().map_err(|e| wrong("this is no URL").source(e))?;
        let authority = uri.authority().ok_or_else(|| wrong("the URL names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("user and password belong into `username` and `password`"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (None, 15672),
            Some("https") => (Some(tls(&host, ca_certificate)?), 15671),
            _ => return Err(wrong("the URL must start with http:// or https://")),
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(default_port),
            host,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            tls,
        })
    }

    /// Host and port, for headers and messages.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Opens a connection.
    pub(crate) async fn open(&self, cx: &Cx, ssh: Option<&Ssh>) -> Result<Box<dyn Stream>, ProviderError> {
        let connect = async {
            let raw: Box<dyn Stream> = match ssh {
                Some(ssh) => Box::new(ssh.tunnel(cx, &self.host, self.port).await?),
                None => {
                    let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
                    Box::new(stream.map_err(|e| self.unreachable("cannot connect", e))?)
                }
            };
            let Some((connector, name)) = &self.tls else {
                return Ok(raw);
            };
            let secured = connector.connect(name.clone(), raw).await;
            Ok(
                Box::new(secured.map_err(|e| self.unreachable("TLS handshake failed", e))?)
                    as Box<dyn Stream>,
            )
        };
        let limited = tokio::time::timeout(CONNECT, connect);
        cx.bounded(limited).await?.unwrap_or_else(|_| {
            let message = format!(
                "{}: no connection after {} s",
                self.authority(),
                CONNECT.as_secs()
            );
            Err(ProviderError::new(ErrorKind::Unavailable, message))
        })
    }

    fn unreachable(&self, what: &str, cause: std::io::Error) -> ProviderError {
        let message = format!("{}: {what} to the management API", self.authority());
        ProviderError::new(ErrorKind::Unavailable, message).source(cause)
    }
}

/// TLS that trusts the given certificates and nothing else.
fn tls(
    host: &str,
    ca_certificate: Option<&str>,
) -> Result<(TlsConnector, ServerName<'static>), ProviderError> {
    let wrong = |message: &str| ProviderError::invalid("ca_certificate", message);
    let pem = ca_certificate
        .ok_or_else(|| wrong("is required with https: the certificates that sign the API's"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| wrong("is no certificate in PEM form").source(e))?;
        roots
            .add(certificate)
            .map_err(|e| wrong("holds a certificate that cannot sign others").source(e))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate in PEM form"));
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|e| ProviderError::invalid("endpoint", "names a host that TLS cannot check").source(e))?;
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| ProviderError::internal("TLS cannot be set up").source(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// The SSH session the API is reached through.
pub(crate) struct Ssh {
    connection: Connection,
    session_key: String,
}

impl Ssh {
    /// Checks the arguments.
    pub(crate) fn new(connection: Connection) -> Result<Self, ProviderError> {
        let checked = connection.check().and_then(|()| connection.session_key());
        let session_key = checked.map_err(|error| {
            let attribute = match &error {
                SshError::PrivateKey { .. } => "private_key",
                _ => "host_keys",
            };
            from_ssh(error).attribute(stack_core::Path::of(&["ssh", attribute]))
        })?;
        Ok(Self {
            connection,
            session_key,
        })
    }

    async fn tunnel(&self, cx: &Cx, host: &str, port: u16) -> Result<stack_ssh::Tunnel, ProviderError> {
        loop {
            let connect = async { Session::connect(&self.connection).await.map_err(from_ssh) };
            let session = cx.sessions().get(&self.session_key, connect).await?;
            if session.is_closed() {
                cx.sessions().drop_broken(&self.session_key, &session);
                continue;
            }
            return session.tunnel(host, port).await.map_err(|error| {
                if !matches!(error, SshError::TunnelRefused { .. }) {
                    cx.sessions().drop_broken(&self.session_key, &session);
                }
                from_ssh(error)
            });
        }
    }
}

/// What the engine must know of a failure of the SSH transport.
fn from_ssh(error: SshError) -> ProviderError {
    let kind = match error.class() {
        Class::Invalid => ErrorKind::InvalidArgument,
        Class::Denied => ErrorKind::Denied,
        Class::Unavailable => ErrorKind::Unavailable,
        Class::Internal => ErrorKind::Internal,
    };
    let message = match &error {
        SshError::TunnelRefused { target, .. } => format!(
            "nothing listens at {target} on the machine of the broker: is the broker running? (`--refresh=false` or `--target` lets its service be started first)"
        ),
        _ => "the machine of the broker cannot be reached over SSH".to_owned(),
    };
    ProviderError::new(kind, message).source(error)
}
