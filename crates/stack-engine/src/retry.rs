//! Tries a remote call again where its error says that this may help.

use std::time::Duration;

use rand::Rng as _;
use stack_core::ResourceAddress;
use stack_provider::{Cx, ProviderError};

use crate::event::{Event, Events};

/// Pause before the first retry; doubled for each further one.
const FIRST: Duration = Duration::from_millis(200);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(15);
/// Tries of one call; the time of the operation bounds them too.
const TRIES: u32 = 40;

/// The pause after a failed try: full jitter, at least what the service asks for.
fn pause(tries: u32, error: &ProviderError) -> Duration {
    let most = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    let jittered = most.mul_f64(rand::rng().random_range(0.3..=1.0));
    error.retry_after.map_or(jittered, |least| least.max(jittered))
}

/// Waits for the next try, or gives the error back if there is none.
pub(crate) async fn wait(
    cx: &Cx,
    events: &dyn Events,
    address: &ResourceAddress,
    tries: u32,
    error: ProviderError,
) -> Result<(), ProviderError> {
    if !error.kind.is_retryable() || tries + 1 >= TRIES {
        return Err(error);
    }
    let pause = pause(tries, &error);
    if pause >= cx.remaining() {
        return Err(error);
    }
    events.event(Event::Retrying {
        address: address.clone(),
        error: error.to_string(),
        pause,
    });
    cx.sleep(pause).await
}
