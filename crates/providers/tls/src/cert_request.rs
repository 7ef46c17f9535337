//! `tls_cert_request`

use rcgen::CertificateParams;
use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait};

use crate::subject::{self, Names, Subject};
use crate::{certificate, key};

/// A request for a certificate (PKCS #10), to give to an authority or to `tls_locally_signed_cert`.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct CertRequestModel {
    /// Private key in PEM; signs the request.
    #[schema(replace)]
    pub private_key_pem: Secret<String>,
    /// DNS names the certificate is to be for.
    #[schema(replace)]
    pub dns_names: Option<Vec<String>>,
    /// IP addresses the certificate is to be for.
    #[schema(replace)]
    pub ip_addresses: Option<Vec<String>>,
    /// URIs the certificate is to be for.
    #[schema(replace)]
    pub uris: Option<Vec<String>>,
    /// The subject's distinguished name.
    #[schema(block)]
    pub subject: Option<Subject>,
    /// The request in PEM.
    #[schema(computed)]
    pub cert_request_pem: Option<String>,
    /// The request in DER, in base64.
    #[schema(computed)]
    pub cert_request_der_base64: Option<String>,
    /// `RSA`, `ECDSA` or `ED25519`.
    #[schema(computed)]
    pub key_algorithm: Option<String>,
    /// SHA-1 of the public key in DER, in hexadecimal digits.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `tls_cert_request`.
#[derive(Clone, Copy, Debug)]
pub struct CertRequest;

fn issue(planned: CertRequestModel) -> Result<CertRequestModel, ProviderError> {
    let pair = key::read("private_key_pem", &planned.private_key_pem)?;
    let names = Names {
        subject: planned.subject.as_ref(),
        dns_names: planned.dns_names.as_deref().unwrap_or_default(),
        ip_addresses: planned.ip_addresses.as_deref().unwrap_or_default(),
        uris: planned.uris.as_deref().unwrap_or_default(),
    };
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = names.distinguished_name()?;
    parameters.subject_alt_names = names.alternative()?;
    let request = parameters
        .serialize_request(&pair)
        .map_err(|e| ProviderError::internal("the request cannot be signed").source(e))?;
    let (algorithm, public) = key::public(&pair)?;
    Ok(CertRequestModel {
        cert_request_pem: Some(key::to_pem("CERTIFICATE REQUEST", request.der())),
        cert_request_der_base64: Some(key::to_base64(request.der())),
        key_algorithm: Some(algorithm.to_owned()),
        id: Some(public.id),
        ..planned
    })
}

#[async_trait]
impl Resource for CertRequest {
    const TYPE: &'static str = "tls_cert_request";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = CertRequestModel;
    type Client = ();

    async fn read(
        _: &Cx,
        (): &(),
        prior: &CertRequestModel,
    ) -> Result<Option<CertRequestModel>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: CertRequestModel,
    ) -> Result<CertRequestModel, Failure<CertRequestModel>> {
        Ok(issue(planned)?)
    }

    async fn delete(_: &Cx, (): &(), _: &CertRequestModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, (): &(), _: &Owner, _: &Value) -> Result<Option<CertRequestModel>, ProviderError> {
        Ok(None)
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        certificate::refine(prior, planned, &["subject"])
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = subject::validate(config);
        problems.extend(key::validate(config, "private_key_pem"));
        problems
    }
}
