//! `tls_locally_signed_cert`

use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair, PublicKeyData as _, SubjectPublicKeyInfo};
use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait};

use crate::certificate::{self, Issued, Order, Validity};
use crate::key;
use crate::subject::{self, Names, Subject};

/// A certificate signed by an authority whose key is at hand. What it names comes either from a request
/// (`cert_request_pem`) or from the arguments (`public_key_pem`, `subject`, `dns_names`, `ip_addresses`, `uris`). The plan
/// replaces it when it is ready for renewal.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct LocallySignedCertModel {
    /// The authority's private key in PEM.
    #[schema(replace)]
    pub ca_private_key_pem: Secret<String>,
    /// The authority's certificate in PEM; the first, if there are many.
    #[schema(replace)]
    pub ca_cert_pem: String,
    /// Request to sign, in PEM; its signature is checked. Excludes `public_key_pem` and the arguments with names.
    #[schema(replace)]
    pub cert_request_pem: Option<String>,
    /// Public key of the subject in PEM, where there is no request.
    #[schema(replace)]
    pub public_key_pem: Option<String>,
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
    /// Algorithm of the authority's key: `RSA`, `ECDSA` or `ED25519`.
    #[schema(computed)]
    pub ca_key_algorithm: Option<String>,
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

const EITHER: &str = "set either `cert_request_pem` or `public_key_pem`";

const NO_REQUEST: &str = "is no request that can be signed";
const NO_PUBLIC_KEY: &str = "is no public key in PEM";

/// Resource type `tls_locally_signed_cert`.
#[derive(Clone, Copy, Debug)]
pub struct LocallySignedCert;

/// The authority's certificate and key, fit for each other and for signing.
fn authority(planned: &LocallySignedCertModel) -> Result<(Vec<u8>, Issuer<'static, KeyPair>), ProviderError> {
    let pair = key::read("ca_private_key_pem", &planned.ca_private_key_pem)?;
    let all = certificate::read_all("ca_cert_pem", &planned.ca_cert_pem)?;
    let der = all.into_iter().next().unwrap_or_default();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der)
        .map_err(|e| ProviderError::invalid("ca_cert_pem", "is no X.509 certificate").source(e))?;
    if !certificate.is_ca() {
        let message = "is not of an authority; set `is_ca_certificate = true` where it is made";
        return Err(ProviderError::invalid("ca_cert_pem", message));
    }
    if certificate.public_key().raw != pair.subject_public_key_info() {
        return Err(ProviderError::invalid(
            "ca_private_key_pem",
            "does not belong to `ca_cert_pem`",
        ));
    }
    if !certificate.validity().is_valid() {
        let message = "is not valid now; signing with it would be of no use";
        return Err(ProviderError::invalid("ca_cert_pem", message));
    }
    let issuer = Issuer::from_ca_cert_der(&der.as_slice().into(), pair)
        .map_err(|e| ProviderError::invalid("ca_cert_pem", "cannot sign").source(e))?;
    Ok((der, issuer))
}

/// The signer writes the authority's name anew; where that does not give the same bytes, nobody would find the chain.
fn check_issuer(certificate: &[u8], authority: &[u8]) -> Result<(), ProviderError> {
    let unreadable = |e| ProviderError::internal("the certificate cannot be read back").source(e);
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).map_err(unreadable)?;
    let (_, authority) = x509_parser::parse_x509_certificate(authority).map_err(unreadable)?;
    if certificate.issuer().as_raw() == authority.subject().as_raw() {
        return Ok(());
    }
    let message = "has a subject with repeated parts, which cannot be written as issuer; give the authority a simpler one";
    Err(ProviderError::invalid("ca_cert_pem", message))
}

fn issue(planned: LocallySignedCertModel) -> Result<LocallySignedCertModel, ProviderError> {
    let (ca, issuer) = authority(&planned)?;
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
        set_authority_key_id: true,
    };
    let unsigned = |e| ProviderError::internal("the certificate cannot be signed").source(e);
    let certificate = match (&planned.cert_request_pem, &planned.public_key_pem) {
        (Some(text), None) => {
            let request = CertificateSigningRequestParams::from_pem(text)
                .map_err(|e| ProviderError::invalid("cert_request_pem", NO_REQUEST).source(e))?;
            certificate::parameters(&order, &validity, Some(request.params))?
                .signed_by(&request.public_key, &issuer)
                .map_err(unsigned)?
        }
        (None, Some(text)) => {
            let public = SubjectPublicKeyInfo::from_pem(text)
                .map_err(|e| ProviderError::invalid("public_key_pem", NO_PUBLIC_KEY).source(e))?;
            certificate::parameters(&order, &validity, None)?
                .signed_by(&public, &issuer)
                .map_err(unsigned)?
        }
        _ => return Err(ProviderError::invalid("cert_request_pem", EITHER)),
    };
    check_issuer(certificate.der(), &ca)?;
    let issued = Issued::new(certificate.der(), &validity, planned.early_renewal_hours)?;
    Ok(LocallySignedCertModel {
        cert_pem: Some(issued.pem),
        cert_der_base64: Some(issued.der_base64),
        ca_key_algorithm: Some(key::algorithm(issuer.key())?.to_owned()),
        ready_for_renewal: Some(issued.due),
        validity_start_time: Some(issued.start),
        validity_end_time: Some(issued.end),
        id: Some(issued.id),
        ..planned
    })
}

/// The same certificate, with its renewal judged by the clock.
fn judged(model: LocallySignedCertModel) -> LocallySignedCertModel {
    let due = certificate::is_due(model.validity_end_time.as_deref(), model.early_renewal_hours);
    LocallySignedCertModel {
        ready_for_renewal: Some(due),
        ..model
    }
}

#[async_trait]
impl Resource for LocallySignedCert {
    const TYPE: &'static str = "tls_locally_signed_cert";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = LocallySignedCertModel;
    type Client = ();

    async fn read(
        _: &Cx,
        (): &(),
        prior: &LocallySignedCertModel,
    ) -> Result<Option<LocallySignedCertModel>, ProviderError> {
        Ok(Some(judged(prior.clone())))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: LocallySignedCertModel,
    ) -> Result<LocallySignedCertModel, Failure<LocallySignedCertModel>> {
        Ok(issue(planned)?)
    }

    async fn update(
        _: &Cx,
        (): &(),
        _: &LocallySignedCertModel,
        planned: LocallySignedCertModel,
    ) -> Result<LocallySignedCertModel, Failure<LocallySignedCertModel>> {
        Ok(planned)
    }

    async fn delete(_: &Cx, (): &(), _: &LocallySignedCertModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(
        _: &Cx,
        (): &(),
        _: &Owner,
        _: &Value,
    ) -> Result<Option<LocallySignedCertModel>, ProviderError> {
        Ok(None)
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        certificate::refine(prior, planned, &["subject"])
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = subject::validate(config);
        problems.extend(certificate::validate(config));
        problems.extend(key::validate(config, "ca_private_key_pem"));
        let text = |name: &str| config.attribute(name).and_then(Value::as_str);
        let mut wrong = |name: &str, problem: &str| problems.push((Path::of(&[name]), problem.to_owned()));
        if let Some(Err(problem)) = text("ca_cert_pem").map(certificate::parse_all) {
            wrong("ca_cert_pem", problem);
        }
        if text("cert_request_pem").is_some_and(|t| CertificateSigningRequestParams::from_pem(t).is_err()) {
            wrong("cert_request_pem", NO_REQUEST);
        }
        if text("public_key_pem").is_some_and(|t| SubjectPublicKeyInfo::from_pem(t).is_err()) {
            wrong("public_key_pem", NO_PUBLIC_KEY);
        }
        let set = |name: &str| config.attribute(name).is_some_and(|v| !v.is_null());
        if set("cert_request_pem") == set("public_key_pem") {
            problems.push((Path::of(&["cert_request_pem"]), EITHER.to_owned()));
        } else if set("cert_request_pem") {
            for name in ["subject", "dns_names", "ip_addresses", "uris"] {
                if set(name) {
                    let text = "comes from `cert_request_pem`; set it there, or use `public_key_pem` instead";
                    problems.push((Path::of(&[name]), text.to_owned()));
                }
            }
        }
        problems
    }
}
