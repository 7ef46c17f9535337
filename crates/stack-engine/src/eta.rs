//! When an apply will be done, where that can be said honestly.
//!
//! Bounds are computed from the expected durations: the longest chain that is left, and what is left, of each limit and of all,
//! divided by how much of it runs at a time. The largest is the answer. It is given only while most of what is left (by time) rests on
//! durations learned from earlier runs and nothing that runs is late, and it holds still: a better guess shortens it, a
//! worse one takes it away for a while.

use std::time::Duration;

/// What is known of one operation beforehand. Times are since the beginning of the apply.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// How long it should take.
    pub(crate) expected: Duration,
    /// That is known from earlier runs.
    pub(crate) learned: bool,
    /// The limit it waits for, by its number.
    pub(crate) lane: usize,
    /// Steps that must have ended before; all smaller than its own number.
    pub(crate) after: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running(Duration),
    Over,
    /// Failed, or never to be started.
    Broken,
}

/// Share of the time left that has to be learned.
const LEARNED: f64 = 0.8;
/// How much later than expected an operation may be before nothing is said any more: a quarter of its time and this.
const LATE: Duration = Duration::from_secs(2);
/// Nothing is said for this long after a guess was wrong.
const SILENCE: Duration = Duration::from_secs(5);

/// The estimate for one apply.
#[derive(Debug)]
pub(crate) struct Eta {
    steps: Vec<Step>,
    progress: Vec<Progress>,
    parallelism: u32,
    /// How much of each lane runs at a time.
    rooms: Vec<u32>,
    /// When everything should be over, as it was said last.
    said: Option<Duration>,
    silent_until: Duration,
}

impl Eta {
    /// Nothing has started.
    pub(crate) fn new(steps: Vec<Step>, parallelism: usize, rooms: &[usize]) -> Self {
        let whole = |limit: usize| u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        Self {
            progress: vec![Progress::Waiting; steps.len()],
            steps,
            parallelism: whole(parallelism),
            rooms: rooms.iter().map(|room| whole(*room)).collect(),
            said: None,
            silent_until: Duration::ZERO,
        }
    }

    /// A step starts.
    pub(crate) fn start(&mut self, step: usize, now: Duration) {
        self.progress[step] = Progress::Running(now);
    }

    /// A step ended.
    pub(crate) fn end(&mut self, step: usize) {
        self.progress[step] = Progress::Over;
    }

    /// A step failed: what waits for it will never start.
    pub(crate) fn fail(&mut self, step: usize) {
        self.progress[step] = Progress::Broken;
        for number in step + 1..self.steps.len() {
            let broken = |before: &usize| self.progress[*before] == Progress::Broken;
            if self.progress[number] == Progress::Waiting && self.steps[number].after.iter().any(broken) {
                self.progress[number] = Progress::Broken;
            }
        }
    }

    /// The end of everything, since the beginning; `None` where nothing honest can be said.
    pub(crate) fn end_of_all(&mut self, now: Duration) -> Option<Duration> {
        let guess = self.left(now).map(|left| now + left);
        let said = self.said.take();
        let end = guess.filter(|_| now >= self.silent_until)?;
        self.said = match said {
            None => Some(end),
            Some(said) => {
                let tolerance = LATE.max(said.saturating_sub(now) / 5);
                if end > said + tolerance || (said <= now && end > now) {
                    self.silent_until = now + SILENCE;
                    None
                } else if end + tolerance < said {
                    Some(end)
                } else {
                    Some(said)
                }
            }
        };
        self.said
    }

    fn left(&self, now: Duration) -> Option<Duration> {
        let mut paths = vec![Duration::ZERO; self.steps.len()];
        let (mut work, mut learned) = (Duration::ZERO, Duration::ZERO);
        let mut longest = Duration::ZERO;
        let mut lanes = vec![Duration::ZERO; self.rooms.len()];
        for (number, step) in self.steps.iter().enumerate().rev() {
            let own = match self.progress[number] {
                Progress::Over | Progress::Broken => continue,
                Progress::Waiting => step.expected,
                Progress::Running(since) => {
                    let ran = now.saturating_sub(since);
                    if ran > step.expected + step.expected / 4 + LATE {
                        return None;
                    }
                    step.expected.saturating_sub(ran)
                }
            };
            work += own;
            if let Some(lane) = lanes.get_mut(step.lane) {
                *lane += own;
            }
            if step.learned {
                learned += own;
            }
            paths[number] += own;
            longest = longest.max(paths[number]);
            for before in &step.after {
                paths[*before] = paths[*before].max(paths[number]);
            }
        }
        let honest = !work.is_zero() && learned.as_secs_f64() >= LEARNED * work.as_secs_f64();
        let busiest = lanes.iter().zip(&self.rooms).map(|(work, room)| *work / *room);
        honest.then(|| {
            busiest
                .chain([work / self.parallelism, longest])
                .max()
                .unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn step(seconds: u32, learned: bool, after: &[usize]) -> Step {
        Step {
            expected: S * seconds,
            learned,
            lane: 0,
            after: after.to_vec(),
        }
    }

    #[test]
    fn the_longest_chain_and_the_work_bound_it() {
        let chain = vec![step(10, true, &[]), step(20, true, &[0]), step(5, true, &[])];
        assert_eq!(
            Eta::new(chain, 10, &[100]).end_of_all(Duration::ZERO),
            Some(S * 30)
        );
        let wide = (0..8).map(|_| step(10, true, &[])).collect();
        assert_eq!(Eta::new(wide, 2, &[100]).end_of_all(Duration::ZERO), Some(S * 40));
        let other = |number: usize| Step {
            lane: number % 2,
            ..step(10, true, &[])
        };
        let lanes = (0..8).map(other).collect();
        assert_eq!(
            Eta::new(lanes, 100, &[4, 1]).end_of_all(Duration::ZERO),
            Some(S * 40)
        );
    }

    #[test]
    fn nothing_is_said_on_guesses_alone() {
        let guessed = vec![step(10, false, &[]), step(20, true, &[])];
        assert_eq!(Eta::new(guessed, 2, &[100]).end_of_all(Duration::ZERO), None);
        let mostly = vec![step(5, false, &[]), step(20, true, &[])];
        let mut eta = Eta::new(mostly, 2, &[100]);
        assert_eq!(eta.end_of_all(Duration::ZERO), Some(S * 20));
        eta.end(1);
        assert_eq!(eta.end_of_all(S), None, "what is left is a guess");
        assert_eq!(Eta::new(Vec::new(), 1, &[100]).end_of_all(S), None);
    }

    #[test]
    fn what_a_failure_leaves_out_is_not_counted() {
        let steps = vec![
            step(5, true, &[]),
            step(60, true, &[0]),
            step(60, true, &[1]),
            step(10, true, &[]),
        ];
        let mut eta = Eta::new(steps, 4, &[100]);
        eta.fail(0);
        assert_eq!(eta.end_of_all(Duration::ZERO), Some(S * 10));
    }

    #[test]
    fn it_holds_still_while_the_clock_runs() {
        let mut eta = Eta::new(vec![step(30, true, &[]), step(30, true, &[0])], 4, &[100]);
        eta.start(0, Duration::ZERO);
        for second in 0..=30 {
            assert_eq!(eta.end_of_all(S * second), Some(S * 60));
        }
        // A little late is no reason to jump.
        eta.end(0);
        eta.start(1, S * 33);
        assert_eq!(eta.end_of_all(S * 33), Some(S * 60));
    }

    #[test]
    fn quicker_than_expected_shortens_it() {
        let mut eta = Eta::new(vec![step(30, true, &[]), step(30, true, &[0])], 4, &[100]);
        eta.start(0, Duration::ZERO);
        assert_eq!(eta.end_of_all(Duration::ZERO), Some(S * 60));
        eta.end(0);
        eta.start(1, S * 5);
        assert_eq!(eta.end_of_all(S * 5), Some(S * 35));
    }

    #[test]
    fn it_disappears_when_something_is_late_and_comes_back_once_that_is_over() {
        let mut eta = Eta::new(vec![step(8, true, &[]), step(40, true, &[0])], 4, &[100]);
        eta.start(0, Duration::ZERO);
        assert_eq!(eta.end_of_all(Duration::ZERO), Some(S * 48));
        assert_eq!(eta.end_of_all(S * 13), None);
        assert_eq!(eta.end_of_all(S * 30), None);
        eta.end(0);
        eta.start(1, S * 31);
        assert_eq!(eta.end_of_all(S * 31), Some(S * 71));
    }

    #[test]
    fn a_worse_guess_takes_it_away_for_a_while_instead_of_counting_up() {
        let mut eta = Eta::new((0..4).map(|_| step(10, true, &[])).collect(), 4, &[100]);
        for number in 0..4 {
            eta.start(number, Duration::ZERO);
        }
        assert_eq!(eta.end_of_all(Duration::ZERO), Some(S * 10));
        // One starts over.
        eta.start(3, S * 9);
        assert_eq!(eta.end_of_all(S * 9), None);
        assert_eq!(eta.end_of_all(S * 11), None);
        for number in 0..3 {
            eta.end(number);
        }
        assert_eq!(eta.end_of_all(S * 15), Some(S * 19));
    }
}
