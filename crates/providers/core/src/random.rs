//! Randomness from the operating system.

use aws_lc_rs::rand;
use stack_provider::ProviderError;

/// `count` random bytes.
pub(crate) fn bytes(count: usize) -> Result<Vec<u8>, ProviderError> {
    let mut bytes = vec![0; count];
    rand::fill(&mut bytes)
        .map_err(|e| ProviderError::internal("the system gave no random bytes").source(e))?;
    Ok(bytes)
}

/// A number below `bound` (at least 1), every one equally likely: draws that would favour the low ones are thrown away.
pub(crate) fn below(bound: usize) -> Result<usize, ProviderError> {
    let bound = bound as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let mut drawn = [0; 8];
        rand::fill(&mut drawn)
            .map_err(|e| ProviderError::internal("the system gave no random bytes").source(e))?;
        let drawn = u64::from_be_bytes(drawn);
        if drawn < fair {
            // Below `bound`, which was a usize.
            return Ok(usize::try_from(drawn % bound).unwrap_or(0));
        }
    }
}
