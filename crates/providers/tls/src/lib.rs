//! Provider `tls`: private keys, certificate requests and certificates, made locally and kept in the state.

mod cert_request;
mod certificate;
mod der;
mod key;
mod locally_signed_cert;
mod openssh;
mod pkcs12;
mod private_key;
mod public_key;
mod self_signed_cert;
mod subject;

pub use cert_request::{CertRequest, CertRequestModel};
pub use locally_signed_cert::{LocallySignedCert, LocallySignedCertModel};
pub use pkcs12::{Pkcs12, Pkcs12Model};
pub use private_key::{PrivateKey, PrivateKeyModel};
pub use public_key::{PublicKey, PublicKeyModel};
pub use self_signed_cert::{SelfSignedCert, SelfSignedCertModel};
use stack_core::Schema;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};
pub use subject::Subject;

/// Provider `tls` takes no arguments.
#[derive(Clone, Debug, Schema)]
pub struct TlsArguments {}

/// Provider `tls`.
#[derive(Clone, Copy, Debug)]
pub struct TlsProvider;

#[async_trait]
impl Provider for TlsProvider {
    const NAME: &'static str = "tls";
    const LOCAL: bool = true;
    type Config = TlsArguments;
    type Client = ();

    async fn connect(_: &Cx, _: TlsArguments) -> Result<(), ProviderError> {
        Ok(())
    }

    fn register(registry: &mut Registry<()>) {
        registry
            .resource::<PrivateKey>()
            .resource::<CertRequest>()
            .resource::<SelfSignedCert>()
            .resource::<LocallySignedCert>()
            .resource::<Pkcs12>()
            .data_source::<PublicKey>();
    }
}
