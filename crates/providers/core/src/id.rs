//! `random_id`

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use dashu_int::UBig;
use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::random;

/// A random number that stays as it was drawn: for unique names, salts and cookies that are no secrets. For a secret use
/// `random_password`.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct RandomIdModel {
    /// Random bytes to draw, 1 to 1024.
    #[schema(replace)]
    pub byte_length: u16,
    /// Text to put before every form but `id`.
    #[schema(replace)]
    pub prefix: Option<String>,
    /// Any values; a change of one of them draws anew.
    #[schema(replace)]
    pub keepers: Option<BTreeMap<String, String>>,
    /// The number in URL-safe base64, without prefix.
    #[schema(computed)]
    pub id: Option<String>,
    /// The number in hexadecimal digits, two for each byte.
    #[schema(computed)]
    pub hex: Option<String>,
    /// The number in decimal digits.
    #[schema(computed)]
    pub dec: Option<String>,
    /// The number in base64, padded.
    #[schema(computed)]
    pub b64_std: Option<String>,
    /// The number in URL-safe base64, not padded.
    #[schema(computed)]
    pub b64_url: Option<String>,
}

/// Resource type `random_id`.
#[derive(Clone, Copy, Debug)]
pub struct RandomId;

fn forms(bytes: &[u8], planned: RandomIdModel) -> RandomIdModel {
    let prefix = planned.prefix.clone().unwrap_or_default();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let url = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    RandomIdModel {
        hex: Some(format!("{prefix}{hex}")),
        dec: Some(format!("{prefix}{}", UBig::from_be_bytes(bytes))),
        b64_std: Some(format!("{prefix}{}", BASE64_STANDARD.encode(bytes))),
        b64_url: Some(format!("{prefix}{url}")),
        id: Some(url),
        ..planned
    }
}

#[async_trait]
impl Resource for RandomId {
    const TYPE: &'static str = "random_id";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = RandomIdModel;
    type Client = ();

    async fn read(_: &Cx, (): &(), prior: &RandomIdModel) -> Result<Option<RandomIdModel>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: RandomIdModel,
    ) -> Result<RandomIdModel, Failure<RandomIdModel>> {
        let bytes = random::bytes(planned.byte_length.into())?;
        Ok(forms(&bytes, planned))
    }

    async fn delete(_: &Cx, (): &(), _: &RandomIdModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, (): &(), _: &Owner, _: &Value) -> Result<Option<RandomIdModel>, ProviderError> {
        Ok(None)
    }

    /// `ID` or `PREFIX,ID`, where ID is the `id` attribute.
    async fn import(_: &Cx, (): &(), id: &str) -> Result<RandomIdModel, ProviderError> {
        let (prefix, number) = id.rsplit_once(',').map_or((None, id), |(p, n)| (Some(p), n));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).map_err(|e| {
            ProviderError::invalid("id", "is not unpadded URL-safe base64; give ID or PREFIX,ID").source(e)
        })?;
        let planned = RandomIdModel {
            byte_length: u16::try_from(bytes.len())
                .map_err(|_| ProviderError::invalid("id", "is longer than 65535 bytes"))?,
            prefix: prefix.map(str::to_owned),
            keepers: None,
            id: None,
            hex: None,
            dec: None,
            b64_std: None,
            b64_url: None,
        };
        Ok(forms(&bytes, planned))
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let length = config.attribute("byte_length").and_then(Value::as_number);
        match length.map(|n| n.as_i64()) {
            None | Some(Some(1..=1024)) => Vec::new(),
            Some(_) => vec![(
                Path::of(&["byte_length"]),
                "a whole number from 1 to 1024 is required".to_owned(),
            )],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_of_the_same_bytes() {
        let planned = RandomIdModel {
            byte_length: 4,
            prefix: Some("p-".to_owned()),
            keepers: None,
            id: None,
            hex: None,
            dec: None,
            b64_std: None,
            b64_url: None,
        };
        let drawn = forms(&[0x00, 0xfb, 0xff, 0xfe], planned);
        assert_eq!(drawn.hex.as_deref(), Some("p-00fbfffe"));
        assert_eq!(drawn.dec.as_deref(), Some("p-16515070"));
        assert_eq!(drawn.b64_std.as_deref(), Some("p-APv//g=="));
        assert_eq!(drawn.b64_url.as_deref(), Some("p-APv__g"));
        assert_eq!(drawn.id.as_deref(), Some("APv__g"));
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        let config = |n: i64| Value::object([("byte_length".to_owned(), Value::from(n))]);
        assert!(RandomId::validate(&config(8)).is_empty());
        assert_eq!(RandomId::validate(&config(0)).len(), 1);
        assert_eq!(RandomId::validate(&config(2000)).len(), 1);
    }
}
