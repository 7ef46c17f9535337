//! Orders what happens: counts and logs points, stops the world at one of them, and lets calls fail as planned.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::protocol::{Answer, Fault, Operation, Planned, Refusal, RefusalKind, Stage};
use super::world::World;

/// How long [`Director::abandon`] waits for the connections of a dead process.
const DRAIN: Duration = Duration::from_secs(30);

/// The name under which every call is counted, whatever it is.
const ANY: &str = "any";

/// The connection belongs to a run that was abandoned, and ends.
pub(super) struct Abandoned;

/// What becomes of a call.
pub(super) enum Served {
    /// It is answered, and then passes the point.
    Answered(Result<Answer, Refusal>, Answering),
    /// The connection breaks.
    Broken,
    /// There is no answer.
    Silent,
}

/// A call whose answer is about to be sent.
pub(super) struct Answering {
    stopped: bool,
}

#[derive(Default)]
struct Inner {
    world: World,
    /// Raised when a run is abandoned; connections of an earlier one end.
    run: u64,
    /// Open connections by run.
    open: BTreeMap<u64, usize>,
    counts: BTreeMap<String, u32>,
    log: Vec<String>,
    stop: Option<String>,
    /// Nothing goes on.
    stopped: bool,
    /// The point at which the world stops has been passed, its answer sent if it is that.
    reached: bool,
    faults: Vec<Planned>,
    /// Calls of a name still to be throttled.
    throttled: BTreeMap<String, u32>,
    met: usize,
}

/// The cloud behind its connections.
#[derive(Default)]
pub(super) struct Director {
    inner: Mutex<Inner>,
    changed: Condvar,
}

type Guard<'d> = MutexGuard<'d, Inner>;

impl Inner {
    /// Numbers a call or write of this name.
    fn number(&mut self, name: &str) -> String {
        let count = self.counts.entry(name.to_owned()).or_default();
        *count += 1;
        format!("{name} #{count}")
    }

    /// Logs a point and says whether the world stops here.
    fn log(&mut self, point: String) -> bool {
        let stops = self.stop.as_ref() == Some(&point);
        self.log.push(point);
        self.stopped |= stops;
        stops
    }

    fn fault(&mut self, name: &str, call: &str) -> Option<Fault> {
        let any = self.number(ANY);
        if let Some(left) = self.throttled.get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Some(Fault::Throttle { times: 0 });
        }
        let position = self
            .faults
            .iter()
            .position(|planned| planned.call == call || planned.call == any)?;
        let fault = self.faults.swap_remove(position).fault;
        self.met += 1;
        if let Fault::Throttle { times } = fault {
            self.throttled.insert(name.to_owned(), times);
        }
        Some(fault)
    }
}

impl Director {
    fn lock(&self) -> Guard<'_> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the world is stopped.
    fn going<'d>(&self, mut inner: Guard<'d>, run: u64) -> Result<Guard<'d>, Abandoned> {
        while inner.stopped && inner.run == run {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.run == run {
            Ok(inner)
        } else {
            Err(Abandoned)
        }
    }

    /// Comes to a point: logs it, and waits if the world stops here or has stopped.
    fn reach<'d>(&self, inner: Guard<'d>, run: u64, point: String) -> Result<Guard<'d>, Abandoned> {
        let mut inner = self.going(inner, run)?;
        if inner.log(point) {
            inner.reached = true;
            self.changed.notify_all();
        }
        self.going(inner, run)
    }

    /// Takes up a connection and gives the run it belongs to.
    pub(super) fn enter(&self) -> u64 {
        let mut inner = self.lock();
        let run = inner.run;
        *inner.open.entry(run).or_default() += 1;
        run
    }

    /// A connection of this run has ended.
    pub(super) fn leave(&self, run: u64) {
        let mut inner = self.lock();
        if let Some(open) = inner.open.get_mut(&run) {
            *open -= 1;
        }
        self.changed.notify_all();
    }

    /// Serves a call up to its answer.
    pub(super) fn serve(&self, run: u64, operation: &Operation) -> Result<Served, Abandoned> {
        let mut inner = self.going(self.lock(), run)?;
        let name = operation.label(&inner.world);
        let call = inner.number(&name);
        let fault = inner.fault(&name, &call);
        inner = self.reach(inner, run, Stage::Received.point(&call))?;
        let refused = |kind, message: &str| {
            Err(Refusal {
                kind,
                message: message.to_owned(),
            })
        };
        let result = match fault {
            Some(Fault::Hang) => return Ok(Served::Silent),
            Some(Fault::Refused) => refused(RefusalKind::Failed, "internal error of the service"),
            Some(Fault::Denied) => refused(RefusalKind::Denied, "the credentials have expired"),
            Some(Fault::Throttle { .. }) => refused(RefusalKind::Throttled, "rate exceeded"),
            Some(Fault::AnswerLost | Fault::HangAfterEffect) | None => inner.world.perform(operation),
        };
        inner = self.reach(inner, run, Stage::Done.point(&call))?;
        match fault {
            Some(Fault::AnswerLost) => Ok(Served::Broken),
            Some(Fault::HangAfterEffect) => Ok(Served::Silent),
            Some(Fault::Hang | Fault::Refused | Fault::Denied | Fault::Throttle { .. }) | None => {
                // Whoever gets the answer must find the world stopped already.
                let stopped = inner.log(Stage::Answered.point(&call));
                Ok(Served::Answered(result, Answering { stopped }))
            }
        }
    }

    /// The answer was sent.
    pub(super) fn answered(&self, run: u64, answering: &Answering) -> Result<(), Abandoned> {
        let mut inner = self.lock();
        if answering.stopped {
            inner.reached = true;
            self.changed.notify_all();
        }
        self.going(inner, run).map(drop)
    }

    /// Something besides calls comes to a point.
    pub(super) fn pass(&self, run: u64, what: &str) -> Result<(), Abandoned> {
        let mut inner = self.going(self.lock(), run)?;
        let point = inner.number(what);
        self.reach(inner, run, point).map(drop)
    }

    /// A run begins.
    pub(super) fn begin(&self, stop: Option<String>, faults: Vec<Planned>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        (inner.stop, inner.faults) = (stop, faults);
        (inner.stopped, inner.reached) = (false, false);
        inner.counts.clear();
        inner.log.clear();
        inner.throttled.clear();
        inner.met = 0;
        self.changed.notify_all();
    }

    /// Whether the world has stopped, waiting a while for it.
    pub(super) fn await_stop(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if inner.reached || left.is_zero() {
                return inner.reached;
            }
            let waited = self.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends everything that is underway without a further effect, and waits until its connections have ended. Says
    /// whether they have.
    pub(super) fn abandon(&self) -> bool {
        let end = Instant::now() + DRAIN;
        let mut inner = self.lock();
        let run = inner.run;
        inner.run += 1;
        inner.stop = None;
        (inner.stopped, inner.reached) = (false, false);
        self.changed.notify_all();
        loop {
            let drained = inner.open.range(..=run).all(|(_, open)| *open == 0);
            let left = end.saturating_duration_since(Instant::now());
            if drained || left.is_zero() {
                inner.open.retain(|of, _| *of > run);
                return drained;
            }
            let waited = self.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Points passed in this run.
    pub(super) fn points(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// Faults met in this run.
    pub(super) fn met(&self) -> usize {
        self.lock().met
    }

    /// A copy of everything that exists.
    pub(super) fn export(&self) -> World {
        self.lock().world.clone()
    }

    /// Puts another world in the place of this one.
    pub(super) fn import(&self, world: World) {
        self.lock().world = world;
    }
}
