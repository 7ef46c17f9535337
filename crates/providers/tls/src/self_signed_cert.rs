//! `tls_self_signed_cert`

use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait};

use crate::certificate::{self, Issued, Order, Validity};
use crate::key;
use crate::subject::{self, Names, Subject};

/// A certificate signed with its own key, for certificate authorities and tests. The plan replaces it when it is ready
/// for renewal.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct SelfSignedCertModel {
    /// Private key in PEM.
    #[schema(replace)]
    pub private_key_pem: Secret<String>,
    /// Hours from its making for which the certificate is valid.
    #[schema(replace)]
    pub validity_period_hours: u32,
    /// Uses of the key: `any_extended`, `cert_signing`, `client_auth`, `code_signing`, `content_commitment`,
    /// `crl_signing`, `data_encipherment`, `decipher_only`, `digital_signature`, `email_protection`, `encipher_only`,
    /// `ipsec_end_system`, `ipsec_tunnel`, `ipsec_user`, `key_agreement`, `key_encipherment`, `ocsp_signing`,
    /// `server_auth`, `timestamping`.
    #[schema(replace)]
    pub allowed_uses: Vec<String>,
    /// Hours before its end from which on the plan renews the certificate.
    #[schema(default = 0)]
    pub early_renewal_hours: u32,
    /// Whether it may sign other certificates.
    #[schema(replace, default = false)]
    pub is_ca_certificate: bool,
    /// Greatest number of intermediate authorities below it; only with `is_ca_certificate`.
    #[schema(replace)]
    pub max_path_length: Option<u8>,
    /// Whether to name the subject's key by its digest. A certificate authority always does.
    #[schema(replace, default = false)]
    pub set_subject_key_id: bool,
    /// Whether to name the signer's key by its digest.
    #[schema(replace, default = false)]
    pub set_authority_key_id: bool,
    /// DNS names the certificate is for.
    #[schema(replace)]
    pub dns_names: Option<Vec<String>>,
    /// IP addresses the certificate is for.
    #[schema(replace)]
    pub ip_addresses: Option<Vec<String>>,
    /// URIs the certificate is for.
    #[schema(replace)]
    pub uris: Option<Vec<String>>,
    /// The subject's distinguished name.
    #[schema(block)]
    pub subject: Option<Subject>,
    /// The certificate in PEM.
    #[schema(computed)]
    pub cert_pem: Option<String>,
    /// The certificate in DER, in base64.
    #[schema(computed)]
    pub cert_der_base64: Option<String>,
    /// `RSA`, `ECDSA` or `ED25519`.
    #[schema(computed)]
    pub key_algorithm: Option<String>,
    /// From when it is valid, RFC 3339.
    #[schema(computed)]
    pub validity_start_time: Option<String>,
    /// Until when it is valid, RFC 3339.
    #[schema(computed)]
    pub validity_end_time: Option<String>,
    /// Whether the time of `early_renewal_hours` has come.
    #[schema(computed)]
    pub ready_for_renewal: Option<bool>,
    /// Serial number of the certificate.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `tls_self_signed_cert`.
#[derive(Clone, Copy, Debug)]
pub struct SelfSignedCert;

fn issue(planned: SelfSignedCertModel) -> Result<SelfSignedCertModel, ProviderError> {
    let pair = key::read("private_key_pem", &planned.private_key_pem)?;
    let validity = Validity::from_now(planned.validity_period_hours)?;
    let order = Order {
        names: Names {
            subject: planned.subject.as_ref(),
            dns_names: planned.dns_names.as_deref().unwrap_or_default(),
            ip_addresses: planned.ip_addresses.as_deref().unwrap_or_default(),
            uris: planned.uris.as_deref().unwrap_or_default(),
        },
        allowed_uses: &planned.allowed_uses,
        is_ca: planned.is_ca_certificate,
        max_path_length: planned.max_path_length,
        set_subject_key_id: planned.set_subject_key_id,
        set_authority_key_id: planned.set_authority_key_id,
    };
    let certificate = certificate::parameters(&order, &validity, None)?
        .self_signed(&pair)
        .map_err(|e| ProviderError::internal("the certificate cannot be signed").source(e))?;
    let issued = Issued::new(certificate.der(), &validity, planned.early_renewal_hours)?;
    Ok(SelfSignedCertModel {
        cert_pem: Some(issued.pem),
        cert_der_base64: Some(issued.der_base64),
        key_algorithm: Some(key::algorithm(&pair)?.to_owned()),
        ready_for_renewal: Some(issued.due),
        validity_start_time: Some(issued.start),
        validity_end_time: Some(issued.end),
        id: Some(issued.id),
        ..planned
    })
}

/// The same certificate, with its renewal judged by the clock.
fn judged(model: SelfSignedCertModel) -> SelfSignedCertModel {
    let due = certificate::is_due(model.validity_end_time.as_deref(), model.early_renewal_hours);
    SelfSignedCertModel {
        ready_for_renewal: Some(due),
        ..model
    }
}

#[async_trait]
impl Resource for SelfSignedCert {
    const TYPE: &'static str = "tls_self_signed_cert";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = SelfSignedCertModel;
    type Client = ();

    async fn read(
        _: &Cx,
        (): &(),
        prior: &SelfSignedCertModel,
    ) -> Result<Option<SelfSignedCertModel>, ProviderError> {
        Ok(Some(judged(prior.clone())))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: SelfSignedCertModel,
    ) -> Result<SelfSignedCertModel, Failure<SelfSignedCertModel>> {
        Ok(issue(planned)?)
    }

    async fn update(
        _: &Cx,
        (): &(),
        _: &SelfSignedCertModel,
        planned: SelfSignedCertModel,
    ) -> Result<SelfSignedCertModel, Failure<SelfSignedCertModel>> {
        Ok(planned)
    }

    async fn delete(_: &Cx, (): &(), _: &SelfSignedCertModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(
        _: &Cx,
        (): &(),
        _: &Owner,
        _: &Value,
    ) -> Result<Option<SelfSignedCertModel>, ProviderError> {
        Ok(None)
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        certificate::refine(prior, planned, &["subject"])
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = subject::validate(config);
        problems.extend(certificate::validate(config));
        problems.extend(key::validate(config, "private_key_pem"));
        problems
    }
}
