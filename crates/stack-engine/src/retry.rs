//! Tries a remote call again where its error says that this may help.

use std::time::Duration;

use rand::Rng as _;
use stack_core::ResourceAddress;
use stack_provider::{Cx, ErrorKind, ProviderError};

use crate::event::{Event, Events};

/// Pause before the first retry; doubled for each further one.
const FIRST: Duration = Duration::from_millis(200);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(15);
/// Tries of one call; the time of the operation bounds them too, and it alone those that are asked to slow down.
const TRIES: u32 = 40;

/// The pause after a failed try: full jitter, at least what the service asks for. Who is asked to slow down makes the pause
/// that all make who wait for the same API.
fn pause(tries: u32, error: &ProviderError) -> Duration {
    let most = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    if let (ErrorKind::Throttled, Some(shared)) = (error.kind, error.retry_after) {
        return shared;
    }
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
    let too_often = tries + 1 >= TRIES && error.kind != ErrorKind::Throttled;
    if !error.kind.is_retryable() || too_often {
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

#[cfg(test)]
mod tests {
    use stack_provider::Sessions;
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Quiet;

    impl Events for Quiet {
        fn event(&self, _: Event) {}
    }

    /// Tries until there is no other; how many there were.
    async fn tries(error: impl Fn() -> ProviderError, seconds: u64) -> u32 {
        let timeout = Duration::from_secs(seconds);
        let cx = Cx::new(Sessions::new(), CancellationToken::new(), timeout);
        let address = "a_b.c".parse().unwrap();
        let mut tries = 0;
        while wait(&cx, &Quiet, &address, tries, error()).await.is_ok() {
            tries += 1;
        }
        assert!(!cx.remaining().is_zero() || seconds == 0);
        tries + 1
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_so_often_and_what_has_to_wait_as_long_as_there_is_time() {
        let unavailable = || ProviderError::new(ErrorKind::Unavailable, "not now");
        assert_eq!(tries(unavailable, 100_000).await, TRIES);
        let slow_down = || ProviderError {
            retry_after: Some(Duration::from_secs(10)),
            ..ProviderError::new(ErrorKind::Throttled, "slow down")
        };
        assert_eq!(tries(slow_down, 1_005).await, 101);
        assert_eq!(
            tries(|| ProviderError::new(ErrorKind::Denied, "no"), 100).await,
            1
        );
        assert_eq!(tries(unavailable, 0).await, 1);
    }
}
