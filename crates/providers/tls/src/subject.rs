//! Whom a certificate names: the subject and its alternative names.

use std::net::IpAddr;

use rcgen::{DistinguishedName, DnType, DnValue, SanType};
use stack_core::{Path, Schema, Value};
use stack_provider::ProviderError;

/// The distinguished name of a subject (RFC 5280, 4.1.2.6).
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct Subject {
    /// Common name (`CN`).
    #[schema(replace)]
    pub common_name: Option<String>,
    /// Organization (`O`).
    #[schema(replace)]
    pub organization: Option<String>,
    /// Organizational unit (`OU`).
    #[schema(replace)]
    pub organizational_unit: Option<String>,
    /// Street and number; at most one line.
    #[schema(replace)]
    pub street_address: Option<Vec<String>>,
    /// City (`L`).
    #[schema(replace)]
    pub locality: Option<String>,
    /// State or province (`ST`).
    #[schema(replace)]
    pub province: Option<String>,
    /// Country (`C`): two letters, ISO 3166.
    #[schema(replace)]
    pub country: Option<String>,
    /// Postal code.
    #[schema(replace)]
    pub postal_code: Option<String>,
    /// Serial number of the subject (not of the certificate).
    #[schema(replace)]
    pub serial_number: Option<String>,
}

/// The names of a certificate, as the arguments give them.
pub(crate) struct Names<'a> {
    pub(crate) subject: Option<&'a Subject>,
    pub(crate) dns_names: &'a [String],
    pub(crate) ip_addresses: &'a [String],
    pub(crate) uris: &'a [String],
}

const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];
const STREET_ADDRESS: [u64; 4] = [2, 5, 4, 9];
const POSTAL_CODE: [u64; 4] = [2, 5, 4, 17];

impl Subject {
    fn distinguished_name(&self) -> Result<DistinguishedName, ProviderError> {
        let street = self.street_address.as_deref().unwrap_or_default();
        if street.len() > 1 {
            return Err(ProviderError::invalid(
                "subject",
                "`street_address` takes at most one line",
            ));
        }
        let mut name = DistinguishedName::new();
        let printable = |attribute: &str, text: &str| {
            text.try_into().map(DnValue::PrintableString).map_err(|_| {
                ProviderError::invalid(
                    "subject",
                    format!("`{attribute}` takes letters, digits and `'()+,-./:=?` only"),
                )
            })
        };
        if let Some(text) = &self.country {
            name.push(DnType::CountryName, printable("country", text)?);
        }
        let parts = [
            (DnType::OrganizationName, self.organization.as_ref()),
            (DnType::OrganizationalUnitName, self.organizational_unit.as_ref()),
            (DnType::LocalityName, self.locality.as_ref()),
            (DnType::StateOrProvinceName, self.province.as_ref()),
            (DnType::CustomDnType(STREET_ADDRESS.to_vec()), street.first()),
            (
                DnType::CustomDnType(POSTAL_CODE.to_vec()),
                self.postal_code.as_ref(),
            ),
            (DnType::CommonName, self.common_name.as_ref()),
        ];
        for (kind, text) in parts {
            if let Some(text) = text {
                name.push(kind, text);
            }
        }
        if let Some(text) = &self.serial_number {
            name.push(
                DnType::CustomDnType(SERIAL_NUMBER.to_vec()),
                printable("serial_number", text)?,
            );
        }
        Ok(name)
    }
}

impl Names<'_> {
    /// The subject, empty where there is none.
    pub(crate) fn distinguished_name(&self) -> Result<DistinguishedName, ProviderError> {
        self.subject
            .map_or_else(|| Ok(DistinguishedName::new()), Subject::distinguished_name)
    }

    /// The alternative names.
    pub(crate) fn alternative(&self) -> Result<Vec<SanType>, ProviderError> {
        let mut names = Vec::new();
        for text in self.dns_names {
            let name = text.as_str().try_into();
            names.push(SanType::DnsName(name.map_err(|_| {
                ProviderError::invalid(
                    "dns_names",
                    format!("`{text}` is not ASCII; write the punycode form"),
                )
            })?));
        }
        for text in self.ip_addresses {
            let address: IpAddr = text.parse().map_err(|e| {
                ProviderError::invalid("ip_addresses", format!("`{text}` is not an IP address")).source(e)
            })?;
            names.push(SanType::IpAddress(address));
        }
        for text in self.uris {
            let uri = text.as_str().try_into();
            names.push(SanType::URI(uri.map_err(|_| {
                ProviderError::invalid(
                    "uris",
                    format!("`{text}` is not ASCII; escape it with percent signs"),
                )
            })?));
        }
        Ok(names)
    }
}

/// What is wrong with the names in a configuration, as far as they are known.
pub(crate) fn validate(config: &Value) -> Vec<(Path, String)> {
    let mut problems = Vec::new();
    let addresses = config.attribute("ip_addresses").and_then(Value::as_sequence);
    for (i, address) in addresses.unwrap_or_default().iter().enumerate() {
        if let Some(text) = address.as_str().filter(|t| t.parse::<IpAddr>().is_err()) {
            let path = Path::of(&["ip_addresses"]).index(i);
            problems.push((path, format!("`{text}` is not an IP address")));
        }
    }
    let country = config.attribute("subject").and_then(|s| s.attribute("country"));
    if country.and_then(Value::as_str).is_some_and(|c| c.len() != 2) {
        problems.push((
            Path::of(&["subject", "country"]),
            "two letters are required (ISO 3166)".to_owned(),
        ));
    }
    problems
}
