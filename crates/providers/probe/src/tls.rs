//! TLS over any stream, with the server's certificate kept even where it is refused.

use std::sync::{Arc, Mutex, PoisonError};

use stack_provider::{ErrorKind, ProviderError};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::arguments::{TlsSettings, at};
use crate::origin::BoxStream;

/// What a certificate says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Whom it was made for.
    pub(crate) subject: String,
    /// Who signed it.
    pub(crate) issuer: String,
    /// Last moment of validity, as RFC 3339.
    pub(crate) not_after: String,
    /// Names and addresses it is valid for.
    pub(crate) names: Vec<String>,
}

/// What came of a handshake.
pub(crate) struct Handshake {
    /// The encrypted stream, or what went wrong.
    pub(crate) stream: Result<TlsStream<BoxStream>, String>,
    /// The server's certificate, if it came so far.
    pub(crate) certificate: Option<Certificate>,
}

/// Ready to speak TLS to one name.
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    seen: Arc<Seen>,
}

impl Tls {
    /// Prepares the settings for a host.
    ///
    /// # Errors
    /// The authorities cannot be read, or the name is none.
    pub(crate) fn new(
        settings: &TlsSettings,
        host: &str,
        protocols: &[&[u8]],
    ) -> Result<Self, ProviderError> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            ProviderError::invalid(
                "server_name",
                format!("{name:?} is neither a name nor an address"),
            )
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots(settings.ca_pem.as_deref())?);
        let failed =
            |text: String| ProviderError::new(ErrorKind::InvalidArgument, text).attribute(at("ca_pem"));
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|e| failed(format!("the authorities cannot be used: {e}")))?;
        let seen = Arc::new(Seen {
            inner,
            certificate: Mutex::default(),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| ProviderError::internal("TLS cannot be set up").source(e))?
            .dangerous()
            .with_custom_certificate_verifier(seen.clone())
            .with_no_client_auth();
        config.enable_sni = settings.sni;
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            seen,
        })
    }

    /// Shakes hands.
    pub(crate) async fn handshake(&self, stream: BoxStream) -> Handshake {
        let stream = self.connector.connect(self.name.clone(), stream).await;
        let seen = self
            .seen
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Handshake {
            stream: stream.map_err(|e| format!("TLS handshake: {}", crate::attempt::io_text(&e))),
            certificate: seen.as_deref().and_then(describe),
        }
    }
}

/// The authorities to trust.
fn roots(pem: Option<&str>) -> Result<RootCertStore, ProviderError> {
    let mut roots = RootCertStore::empty();
    let refused = |text: &str| ProviderError::new(ErrorKind::InvalidArgument, text).attribute(at("ca_pem"));
    match pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| refused("is no certificate in PEM"))?;
                roots
                    .add(certificate)
                    .map_err(|_| refused("holds a certificate that cannot be read"))?;
            }
            if roots.is_empty() {
                return Err(refused("holds no certificate in PEM"));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(refused("this machine has no authorities to trust; set ca_pem"));
            }
        }
    }
    Ok(roots)
}

/// Checks as rustls does, and keeps the certificate for the report.
#[derive(Debug)]
struct Seen {
    inner: Arc<WebPkiServerVerifier>,
    certificate: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn describe(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names
        .into_iter()
        .flat_map(|n| &n.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_after: rfc3339(certificate.validity().not_after),
        names: names.collect(),
    })
}

fn rfc3339(time: x509_parser::time::ASN1Time) -> String {
    let moment = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}
