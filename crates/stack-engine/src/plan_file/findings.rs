//! What looking at pending operations found, as JSON.

use serde::{Deserialize, Serialize};
use stack_core::codec::Seal;
use stack_state::{DeposedKey, Verb};

use super::PlanFileError;
use super::wire::{damaged, decode_state, encode_state};
use crate::{Finding, Looked, Verdict};

#[derive(Serialize, Deserialize)]
pub(super) struct LookedWire {
    findings: Vec<FindingWire>,
    after: String,
}

#[derive(Serialize, Deserialize)]
struct FindingWire {
    address: String,
    deposed: Option<String>,
    begun: String,
    verdict: String,
    detail: String,
}

impl LookedWire {
    pub(super) fn of(looked: &Looked, seal: &dyn Seal) -> Result<Self, PlanFileError> {
        let finding = |finding: &Finding| FindingWire {
            address: finding.address.to_string(),
            deposed: finding.deposed.as_ref().map(|key| key.as_str().to_owned()),
            begun: finding.begun_word().to_owned(),
            verdict: finding.verdict.word().to_owned(),
            detail: finding.detail.clone(),
        };
        Ok(Self {
            findings: looked.findings.iter().map(finding).collect(),
            after: encode_state(&looked.after, seal)?,
        })
    }

    pub(super) fn looked(self, seal: &dyn Seal) -> Result<Looked, PlanFileError> {
        let after = decode_state(&self.after, seal)?;
        let finding = |finding: FindingWire| {
            let begun = [Verb::Create, Verb::Update, Verb::Delete]
                .into_iter()
                .find(|verb| crate::recovery::verb(*verb) == finding.begun)
                .ok_or_else(|| damaged("what was begun is unknown"))?;
            Ok(Finding {
                address: finding.address.parse().map_err(damaged)?,
                deposed: finding.deposed.as_deref().map(DeposedKey::from),
                begun,
                verdict: Verdict::of_word(&finding.verdict)
                    .ok_or_else(|| damaged("what was found is unknown"))?,
                detail: finding.detail,
            })
        };
        Ok(Looked {
            findings: self
                .findings
                .into_iter()
                .map(finding)
                .collect::<Result<_, PlanFileError>>()?,
            after,
            warnings: Vec::new(),
        })
    }
}
