//! Waiting for slow changes.

use std::time::Duration;

/// Longest pause between two looks at a slow change. The EC2 API reference advises 5 to 15 seconds.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);

/// Asks again and again until the answer is `Some`. (A closure that borrows its surroundings would make the future of
/// the whole call one that cannot be sent to another thread, which is why [`Cx::poll`] does not serve here.)
macro_rules! poll {
    ($cx:expr, $what:literal, $ask:expr) => {{
        let mut pause = std::time::Duration::from_secs(1);
        loop {
            let answer: Result<Option<_>, stack_provider::ProviderError> = $ask.await;
            match answer {
                Ok(Some(answer)) => break Ok(answer),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            $cx.progress($what);
            if let Err(error) = $cx.sleep(pause).await {
                break Err(error);
            }
            pause = (pause * 2).min($crate::poll::PAUSE);
        }
    }};
}
pub(crate) use poll;
