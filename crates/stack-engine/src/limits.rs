//! How many remote calls run at a time: of one API, and of the whole command.
//!
//! A service that asks to slow down does so for everybody: its limit is halved, all calls that wait share one pause, and
//! the limit grows back by one for every round of calls that went well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use stack_provider::{AnyProvider, Cx, ErrorKind, ProviderError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Pause after the first request to slow down, where the service names none; doubled for each that follows.
const FIRST: Duration = Duration::from_millis(200);
/// Longest pause that is chosen here.
const LONGEST: Duration = Duration::from_secs(15);
/// Longest time in the queue before a first call; each call ahead has a bound of its own.
const QUEUE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The limits of one connection.
#[derive(Debug)]
pub(crate) struct Limits {
    /// By the name of the API; the empty name is everything that has no limit of its own. Empty for providers that reach
    /// nothing: their work takes no place.
    apis: BTreeMap<&'static str, Arc<Limiter>>,
    all: Arc<Semaphore>,
}

impl Limits {
    /// The limits that a provider declares, within those of the command.
    pub(crate) fn of(provider: &AnyProvider, all: Arc<Semaphore>) -> Self {
        let mut apis = BTreeMap::new();
        if !provider.local {
            apis.extend(
                provider
                    .apis
                    .iter()
                    .map(|api| (api.name, Limiter::new(api.limit))),
            );
            apis.insert("", Limiter::new(provider.parallelism));
        }
        Self { apis, all }
    }

    /// Waits until a call of this API may run, within the time of the operation.
    ///
    /// # Errors
    /// The time is over or would be before the service takes calls again, or the operation was abandoned.
    pub(crate) async fn enter(&self, cx: &Cx, api: &str) -> Result<Pass, ProviderError> {
        self.wait(cx, api, || cx.deadline()).await
    }

    /// The same for the first call of an operation, whose time begins with it: waiting for others is no part of it.
    ///
    /// # Errors
    /// The service does not take calls again for longer than `timeout`, or the operation was abandoned.
    pub(crate) async fn begin(
        &self,
        cx: &Cx,
        timeout: Duration,
        api: &str,
    ) -> Result<(Pass, Cx), ProviderError> {
        let waiting = cx.within(QUEUE);
        let pass = self.wait(&waiting, api, || Instant::now() + timeout).await?;
        Ok((pass, cx.within(timeout)))
    }

    async fn wait(&self, cx: &Cx, api: &str, latest: impl Fn() -> Instant) -> Result<Pass, ProviderError> {
        let Some(limiter) = self.apis.get(api).or_else(|| self.apis.get("")) else {
            return Ok(Pass::default());
        };
        let mut pass = cx.bounded(limiter.enter(latest)).await??;
        // Only closing could fail it, and nobody closes it.
        pass.of_all = cx.bounded(self.all.clone().acquire_owned()).await?.ok();
        Ok(pass)
    }
}

/// The right to make one call; it ends when dropped.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    of_api: Option<(Arc<Limiter>, u64)>,
    of_all: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// Ends the call with what came of it. An error that asks to slow down gets the pause that all have to make.
    pub(crate) fn end<T>(self, result: Result<T, &mut ProviderError>) {
        let Some((limiter, generation)) = &self.of_api else {
            return;
        };
        match result {
            Ok(_) => limiter.succeeded(),
            Err(error) if error.kind == ErrorKind::Throttled => {
                error.retry_after = Some(limiter.throttled(*generation, error.retry_after));
            }
            Err(_) => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((limiter, _)) = self.of_api.take() {
            limiter.leave();
        }
    }
}

/// The limit of one API.
#[derive(Debug)]
struct Limiter {
    most: usize,
    state: Mutex<Lane>,
    freed: Notify,
}

#[derive(Debug)]
struct Lane {
    /// Calls at a time; grows in fractions.
    limit: f64,
    running: usize,
    /// No call starts before this.
    until: Option<Instant>,
    /// Raised whenever the limit is cut: of calls that were under way together only the first to be refused cuts it.
    generation: u64,
    /// Cuts since the last call that went well.
    cuts: u32,
}

impl Limiter {
    fn new(most: usize) -> Arc<Self> {
        let most = most.max(1);
        Arc::new(Self {
            most,
            state: Mutex::new(Lane {
                limit: f64::from(u32::try_from(most).unwrap_or(u32::MAX)),
                running: 0,
                until: None,
                generation: 0,
                cuts: 0,
            }),
            freed: Notify::new(),
        })
    }

    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `latest` gives the time from which on it is too late to begin.
    async fn enter(self: &Arc<Self>, latest: impl Fn() -> Instant) -> Result<Pass, ProviderError> {
        loop {
            // A place that becomes free from here on is not missed: a notice nobody waits for is kept.
            let freed = self.freed.notified();
            let until = {
                let mut lane = self.lane();
                lane.until = lane.until.filter(|until| *until > Instant::now());
                if lane.until.is_none() && lane.has_room() {
                    lane.running += 1;
                    if lane.has_room() {
                        self.freed.notify_one();
                    }
                    return Ok(Pass {
                        of_api: Some((self.clone(), lane.generation)),
                        of_all: None,
                    });
                }
                lane.until
            };
            match until {
                Some(until) if until >= latest() => {
                    let message = "the service asks to wait for longer than the operation may take";
                    return Err(ProviderError::new(ErrorKind::Timeout, message));
                }
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = freed => {}
                },
                None => freed.await,
            }
        }
    }

    fn leave(&self) {
        let mut lane = self.lane();
        lane.running = lane.running.saturating_sub(1);
        drop(lane);
        self.freed.notify_one();
    }

    fn succeeded(&self) {
        let mut lane = self.lane();
        lane.cuts = 0;
        let most = f64::from(u32::try_from(self.most).unwrap_or(u32::MAX));
        lane.limit = (lane.limit + 1.0 / lane.limit).min(most);
    }

    /// Gives the pause.
    fn throttled(&self, generation: u64, retry_after: Option<Duration>) -> Duration {
        let mut lane = self.lane();
        if generation == lane.generation {
            lane.generation += 1;
            lane.limit = (lane.limit / 2.0).max(1.0);
            lane.cuts = lane.cuts.saturating_add(1);
        }
        let pause = retry_after.unwrap_or_else(|| {
            let most = FIRST
                .saturating_mul(1 << (lane.cuts.max(1) - 1).min(10))
                .min(LONGEST);
            most.mul_f64(rand::rng().random_range(0.5..=1.0))
        });
        let now = Instant::now();
        lane.until = lane.until.max(now.checked_add(pause));
        lane.until.map_or(pause, |until| until - now)
    }
}

impl Lane {
    fn has_room(&self) -> bool {
        // At least one; the fraction of a place is none.
        f64::from(u32::try_from(self.running).unwrap_or(u32::MAX)) + 1.0 <= self.limit
    }
}

#[cfg(test)]
mod tests;
