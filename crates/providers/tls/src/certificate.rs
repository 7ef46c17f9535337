//! What self-signed and locally signed certificates have in common: validity, uses, renewal.

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Extended, IsCa,
    KeyUsagePurpose as Usage,
};
use stack_core::{Path, Value};
use stack_provider::{ProviderError, Refined};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::key;
use crate::subject::Names;

/// What `allowed_uses` takes, besides the extended ones of [`extended`].
fn usage(name: &str) -> Option<Usage> {
    Some(match name {
        "digital_signature" => Usage::DigitalSignature,
        "content_commitment" => Usage::ContentCommitment,
        "key_encipherment" => Usage::KeyEncipherment,
        "data_encipherment" => Usage::DataEncipherment,
        "key_agreement" => Usage::KeyAgreement,
        "cert_signing" => Usage::KeyCertSign,
        "crl_signing" => Usage::CrlSign,
        "encipher_only" => Usage::EncipherOnly,
        "decipher_only" => Usage::DecipherOnly,
        _ => return None,
    })
}

fn extended(name: &str) -> Option<Extended> {
    let other = |last: u64| Extended::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, last]);
    Some(match name {
        "any_extended" => Extended::Any,
        "server_auth" => Extended::ServerAuth,
        "client_auth" => Extended::ClientAuth,
        "code_signing" => Extended::CodeSigning,
        "email_protection" => Extended::EmailProtection,
        "ipsec_end_system" => other(5),
        "ipsec_tunnel" => other(6),
        "ipsec_user" => other(7),
        "timestamping" => Extended::TimeStamping,
        "ocsp_signing" => Extended::OcspSigning,
        _ => return None,
    })
}

/// What the certificate is to say.
pub(crate) struct Order<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) allowed_uses: &'a [String],
    pub(crate) is_ca: bool,
    pub(crate) max_path_length: Option<u8>,
    pub(crate) set_subject_key_id: bool,
    pub(crate) set_authority_key_id: bool,
}

/// When a certificate starts and ends.
pub(crate) struct Validity {
    pub(crate) start: OffsetDateTime,
    pub(crate) end: OffsetDateTime,
}

impl Validity {
    /// From now on.
    pub(crate) fn from_now(hours: u32) -> Result<Self, ProviderError> {
        let now = OffsetDateTime::now_utc();
        let start = now.replace_nanosecond(0).unwrap_or(now);
        let end = start.checked_add(Duration::hours(hours.into()));
        let end = end.filter(|e| e.year() <= 9999).ok_or_else(|| {
            ProviderError::invalid(
                "validity_period_hours",
                "ends after the year 9999, the last a certificate can name",
            )
        })?;
        Ok(Self { start, end })
    }

    /// Both times as RFC 3339 text.
    pub(crate) fn texts(&self) -> Result<(String, String), ProviderError> {
        let text = |t: OffsetDateTime| {
            t.format(&Rfc3339)
                .map_err(|e| ProviderError::internal("a time cannot be written").source(e))
        };
        Ok((text(self.start)?, text(self.end)?))
    }
}

/// Whether a certificate that ends then (RFC 3339) is to be renewed now.
pub(crate) fn is_due(end: Option<&str>, early_renewal_hours: u32) -> bool {
    let Some(end) = end.and_then(|e| OffsetDateTime::parse(e, &Rfc3339).ok()) else {
        return false;
    };
    OffsetDateTime::now_utc() >= end - Duration::hours(early_renewal_hours.into())
}

/// The certificates of a PEM text in DER, at least one, each of which can be read; other blocks are passed over.
///
/// # Errors
/// There is none, or one cannot be read.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let blocks = pem::parse_many(text.as_bytes()).map_err(|_| "is not PEM")?;
    let all: Vec<Vec<u8>> = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(pem::Pem::into_contents)
        .collect();
    if all.is_empty() {
        return Err("has no `CERTIFICATE` block");
    }
    // Bytes behind the certificate would be passed on unseen.
    let readable =
        |der: &Vec<u8>| x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty());
    if !all.iter().all(readable) {
        return Err("is no X.509 certificate");
    }
    Ok(all)
}

/// The certificates of an argument, as [`parse_all`] gives them.
///
/// # Errors
/// Those of [`parse_all`]; the message names `attribute`.
pub(crate) fn read_all(attribute: &str, text: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
    parse_all(text).map_err(|problem| ProviderError::invalid(attribute, problem))
}

/// The certificate's content for the signer; `base` has what a request asked for.
pub(crate) fn parameters(
    order: &Order<'_>,
    validity: &Validity,
    base: Option<CertificateParams>,
) -> Result<CertificateParams, ProviderError> {
    let mut parameters = CertificateParams::default();
    match base {
        Some(requested) => {
            parameters.distinguished_name = requested.distinguished_name;
            parameters.subject_alt_names = requested.subject_alt_names;
        }
        None => {
            parameters.distinguished_name = order.names.distinguished_name()?;
            parameters.subject_alt_names = order.names.alternative()?;
        }
    }
    parameters.not_before = validity.start;
    parameters.not_after = validity.end;
    parameters.serial_number = Some(serial()?.into());
    for name in order.allowed_uses {
        match (usage(name), extended(name)) {
            (Some(usage), _) => parameters.key_usages.push(usage),
            (None, Some(extended)) => parameters.extended_key_usages.push(extended),
            (None, None) => return Err(ProviderError::invalid("allowed_uses", unknown_use(name))),
        }
    }
    parameters.is_ca = match (order.is_ca, order.max_path_length) {
        (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
        (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
        (false, _) if order.set_subject_key_id => IsCa::ExplicitNoCa,
        (false, _) => {
            // `cA = FALSE` is said in every certificate; the library says it only together with a subject key id.
            let mut basic_constraints = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0]);
            basic_constraints.set_criticality(true);
            parameters.custom_extensions.push(basic_constraints);
            IsCa::NoCa
        }
    };
    parameters.use_authority_key_identifier_extension = order.set_authority_key_id;
    Ok(parameters)
}

/// A positive random serial number of 20 bytes at most (RFC 5280, 4.1.2.2).
fn serial() -> Result<Vec<u8>, ProviderError> {
    let mut serial = vec![0; 20];
    rand::fill(&mut serial)
        .map_err(|e| ProviderError::internal("the system gave no random bytes").source(e))?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// A certificate just made, as the attributes tell it.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) der_base64: String,
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) due: bool,
    pub(crate) id: String,
}

impl Issued {
    /// Of a certificate in DER.
    pub(crate) fn new(
        der: &[u8],
        validity: &Validity,
        early_renewal_hours: u32,
    ) -> Result<Self, ProviderError> {
        let (start, end) = validity.texts()?;
        Ok(Self {
            pem: key::to_pem("CERTIFICATE", der),
            der_base64: key::to_base64(der),
            due: is_due(Some(&end), early_renewal_hours),
            id: serial_of(der)?,
            start,
            end,
        })
    }
}

/// The serial number of a certificate in decimal digits, its identity in the state.
fn serial_of(certificate: &[u8]) -> Result<String, ProviderError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|e| ProviderError::internal("the certificate just made cannot be read back").source(e))?;
    Ok(parsed.tbs_certificate.serial.to_string())
}

fn unknown_use(name: &str) -> String {
    format!(
        "`{name}` is no use of a key; write for example \"server_auth\", \"digital_signature\" or \"cert_signing\""
    )
}

/// What is wrong with uses and times in a configuration, as far as they are known.
pub(crate) fn validate(config: &Value) -> Vec<(Path, String)> {
    let mut problems = Vec::new();
    let uses = config.attribute("allowed_uses").and_then(Value::as_sequence);
    for (i, name) in uses.unwrap_or_default().iter().enumerate() {
        if let Some(name) = name
            .as_str()
            .filter(|n| usage(n).is_none() && extended(n).is_none())
        {
            problems.push((Path::of(&["allowed_uses"]).index(i), unknown_use(name)));
        }
    }
    let hours = |name: &str| {
        let number = config.attribute(name).and_then(Value::as_number)?;
        number.as_i64()
    };
    if hours("validity_period_hours").is_some_and(|h| h < 1) {
        let text = "must be at least 1; a certificate that ends as it begins would be renewed by every plan";
        problems.push((Path::of(&["validity_period_hours"]), text.to_owned()));
    }
    let is_ca = config.attribute("is_ca_certificate").map(Value::unmarked);
    let no_ca = matches!(is_ca, None | Some(Value::Null(_) | Value::Bool(false)));
    if no_ca && config.attribute("max_path_length").is_some_and(|v| !v.is_null()) {
        let text = "is for authorities; set `is_ca_certificate = true` too";
        problems.push((Path::of(&["max_path_length"]), text.to_owned()));
    }
    if let (Some(validity), Some(early)) = (hours("validity_period_hours"), hours("early_renewal_hours"))
        && early >= validity
        && validity > 0
    {
        let text = "must be less than `validity_period_hours`, or every plan renews the certificate";
        problems.push((Path::of(&["early_renewal_hours"]), text.to_owned()));
    }
    problems
}

/// A certificate whose renewal is due is replaced, and so is one of which a block (`blocks`) changes.
pub(crate) fn refine(prior: Option<&Value>, planned: Value, blocks: &[&str]) -> Refined {
    let Some(prior) = prior.filter(|p| !p.is_null()) else {
        return planned.into();
    };
    let unmarked = |object: &Value, name: &str| object.attribute(name).map(Value::unmark_deep);
    let mut replace: Vec<Path> = blocks
        .iter()
        .filter(|name| unmarked(prior, name) != unmarked(&planned, name))
        .map(|name| Path::of(&[name]))
        .collect();
    let due = "ready_for_renewal";
    if prior.attribute(due).and_then(Value::as_bool) == Some(true) {
        replace.push(Path::of(&[due]));
        let planned = planned.with_attribute(due, Value::Bool(false));
        return Refined { planned, replace };
    }
    Refined { planned, replace }
}
