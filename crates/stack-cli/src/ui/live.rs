//! The live view: running operations with their time, and a bar for the whole with the time left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use stack_core::ResourceAddress;
use stack_engine::event::{Doing, Event, Events};
use stack_state::DeposedKey;

use super::human::{doing_word, elapsed, line, name};
use super::{Paint, Progress};

/// How often the view is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Running operations that are shown at a time; of the others their number is.
const MOST: usize = 12;

type Key = (ResourceAddress, Option<DeposedKey>);

/// When an apply should be over.
type End = Arc<Mutex<Option<Instant>>>;

/// Draws on the terminal of standard error.
pub(crate) struct LiveEvents {
    paint: Paint,
    all: MultiProgress,
    /// How often bars are drawn while nothing happens; never in tests.
    tick: Option<Duration>,
    view: Mutex<View>,
}

struct Running {
    key: Key,
    since: Instant,
    text: String,
    /// None while others take all the room.
    bar: Option<ProgressBar>,
}

#[derive(Default)]
struct View {
    /// In the order in which they started.
    running: Vec<Running>,
    /// How many run unseen.
    more: Option<ProgressBar>,
    whole: Option<ProgressBar>,
    end: End,
    asking: Option<ProgressBar>,
}

/// A style of a fixed text; a template that does not parse would leave the plain default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The time left as people say it, coarser the longer it is; nothing once it is over.
fn left(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    let step = match seconds {
        ..20.0 => 1.0,
        ..120.0 => 5.0,
        _ => 30.0,
    };
    let seconds = (seconds / step).ceil() * step;
    if seconds <= 0.0 {
        return String::new();
    }
    let time = Duration::from_secs_f64(seconds);
    if seconds < 10.0 {
        format!("about {}s left", time.as_secs())
    } else {
        format!("about {} left", elapsed(time))
    }
}

/// The style of the bar for the whole. The time left is computed whenever it is drawn.
fn whole_style(end: &End) -> ProgressStyle {
    let end = end.clone();
    let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let end = *end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = end {
            // A view that cannot be drawn is not drawn.
            let _ = out.write_str(&left(end.saturating_duration_since(Instant::now())));
        }
    };
    style("  [{bar:40}] {pos}/{len} {elapsed} {left}")
        .progress_chars("=> ")
        .with_key("left", left)
}

impl LiveEvents {
    /// Nothing is drawn before the first event.
    pub(crate) fn new(paint: Paint) -> Self {
        Self {
            paint,
            all: MultiProgress::new(),
            tick: Some(TICK),
            view: Mutex::default(),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticking(&self, bar: ProgressBar) -> ProgressBar {
        match self.tick {
            Some(tick) => bar.enable_steady_tick(tick),
            None => bar.tick(),
        }
        bar
    }

    /// A new line above those that stay at the bottom.
    fn spinner(&self, view: &View, text: String, since: Instant) -> ProgressBar {
        let bar = ProgressBar::new_spinner()
            .with_style(style("  {spinner} {msg} {elapsed}"))
            .with_elapsed(since.elapsed());
        let bar = match view.more.as_ref().or(view.whole.as_ref()) {
            Some(below) => self.all.insert_before(below, bar),
            None => self.all.add(bar),
        };
        bar.set_message(text);
        self.ticking(bar)
    }

    fn started(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>, doing: Doing) {
        let mut view = self.view();
        let name = self.paint.bold(&name(address, deposed));
        view.running.push(Running {
            key: (address.clone(), deposed.cloned()),
            since: Instant::now(),
            text: format!("{name}: {}...", doing_word(doing)),
            bar: None,
        });
        self.arrange(&mut view);
    }

    fn ended(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>, counts: bool) {
        let mut view = self.view();
        let ended = |r: &Running| r.key.0 == *address && r.key.1.as_ref() == deposed;
        if let Some(place) = view.running.iter().position(ended)
            && let Some(bar) = view.running.remove(place).bar
        {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        if let Some(whole) = view.whole.as_ref().filter(|_| counts) {
            whole.inc(1);
        }
        self.arrange(&mut view);
    }

    /// Shows the operations that have run longest, and the number of the others.
    fn arrange(&self, view: &mut View) {
        let shown = view.running.iter().filter(|r| r.bar.is_some()).count();
        let room = MOST.saturating_sub(shown);
        let hidden = view.running.iter().enumerate().filter(|(_, r)| r.bar.is_none());
        let next: Vec<usize> = hidden.map(|(place, _)| place).take(room).collect();
        for place in next {
            let (text, since) = (view.running[place].text.clone(), view.running[place].since);
            let bar = self.spinner(view, text, since);
            view.running[place].bar = Some(bar);
        }
        let unseen = view.running.len().saturating_sub(MOST);
        if unseen == 0 {
            if let Some(more) = view.more.take() {
                more.finish_and_clear();
                self.all.remove(&more);
            }
            return;
        }
        if view.more.is_none() {
            let bar = ProgressBar::new_spinner().with_style(style("    {msg}"));
            view.more = Some(match &view.whole {
                Some(whole) => self.all.insert_before(whole, bar),
                None => self.all.add(bar),
            });
        }
        if let Some(more) = &view.more {
            more.set_message(self.paint.dim(&format!("and {unseen} more")));
        }
    }

    fn begin(&self, operations: usize) {
        let mut view = self.view();
        let bar = ProgressBar::new(operations as u64).with_style(whole_style(&view.end));
        let bar = self.all.add(bar);
        view.whole = Some(self.ticking(bar));
    }

    fn progress(&self, address: &ResourceAddress, text: &str) {
        let text = format!("{}: {text}", self.paint.bold(&address.to_string()));
        let mut view = self.view();
        let running = view.running.iter_mut().find(|r| r.key.0 == *address);
        if let Some(running) = running {
            if let Some(bar) = &running.bar {
                bar.set_message(text.clone());
            }
            running.text = text;
        }
    }

    fn print(&self, text: &str) {
        // A terminal that is gone needs no lines.
        drop(self.all.println(text));
    }
}

impl Events for LiveEvents {
    fn event(&self, event: Event) {
        match &event {
            Event::Asking { .. } => {
                let mut view = self.view();
                if let (Some(text), None) = (line(&event, self.paint), &view.asking) {
                    view.asking = Some(self.spinner(&view, text, Instant::now()));
                }
                return;
            }
            Event::ApplyStarted { operations, .. } => {
                self.begin(*operations);
                return;
            }
            Event::Remaining { left } => {
                let view = self.view();
                *view.end.lock().unwrap_or_else(PoisonError::into_inner) =
                    left.map(|left| Instant::now() + left);
                if let Some(whole) = &view.whole {
                    whole.tick();
                }
                return;
            }
            Event::Started {
                doing: Doing::Refreshing | Doing::Previewing,
                ..
            }
            | Event::Finished {
                doing: Doing::Refreshing | Doing::Previewing,
                ..
            } => return,
            Event::Started {
                address,
                deposed,
                doing,
                ..
            } => {
                self.started(address, deposed.as_ref(), *doing);
                return;
            }
            Event::Progress { address, text } => {
                self.progress(address, text);
                return;
            }
            Event::Finished { address, deposed, .. }
            | Event::Failed { address, deposed, .. }
            | Event::Abandoned { address, deposed, .. } => self.ended(address, deposed.as_ref(), true),
            Event::Skipped { address, .. } => self.ended(address, None, true),
            Event::Recovered { address, .. } => self.ended(address, None, false),
            Event::Retrying { .. }
            | Event::Check { .. }
            | Event::Diagnostic(_)
            | Event::Interrupted { .. } => {}
        }
        if let Some(text) = line(&event, self.paint) {
            self.print(&text);
        }
    }
}

impl Progress for LiveEvents {
    fn finish(&self) {
        let mut view = self.view();
        for bar in view.running.drain(..).filter_map(|running| running.bar) {
            bar.finish_and_clear();
        }
        let rest = [view.whole.take(), view.asking.take(), view.more.take()];
        for bar in rest.into_iter().flatten() {
            bar.finish_and_clear();
        }
        drop(self.all.clear());
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use stack_core::Diagnostic;

    use super::*;

    fn view(height: u16) -> (LiveEvents, InMemoryTerm) {
        let terminal = InMemoryTerm::new(height, 80);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let live = LiveEvents {
            all: MultiProgress::with_draw_target(target),
            tick: None,
            ..LiveEvents::new(Paint(false))
        };
        (live, terminal)
    }

    fn address(number: usize) -> ResourceAddress {
        format!("stack_data.a[{number}]").parse().unwrap()
    }

    fn start(live: &LiveEvents, number: usize) {
        live.event(Event::Started {
            address: address(number),
            deposed: None,
            doing: Doing::Creating,
            id: None,
        });
    }

    fn finish(live: &LiveEvents, number: usize) {
        live.event(Event::Finished {
            address: address(number),
            deposed: None,
            doing: Doing::Creating,
            id: None,
            elapsed: Duration::from_secs(3),
        });
    }

    /// The lines without the signs that turn.
    fn shown(terminal: &InMemoryTerm) -> Vec<String> {
        let turning = |c: char| ('\u{2800}'..='\u{28ff}').contains(&c);
        let lines = terminal.contents();
        lines
            .lines()
            .map(|line| line.replace(turning, "*").trim_end().to_owned())
            .collect()
    }

    #[test]
    fn a_run_as_it_is_seen() {
        let (live, terminal) = view(24);
        live.event(Event::ApplyStarted {
            operations: 5,
            estimate: Duration::ZERO,
        });
        (0..4).for_each(|number| start(&live, number));
        live.event(Event::Progress {
            address: address(1),
            text: "waiting for running".to_owned(),
        });
        live.event(Event::Remaining {
            left: Some(Duration::from_secs(41)),
        });
        let bar = |done: usize, full: usize| format!("  [{:<40}] {done}/5 0s", "=".repeat(full) + ">");
        assert_eq!(
            shown(&terminal),
            [
                "  * stack_data.a[0]: Creating... 0s".to_owned(),
                "  * stack_data.a[1]: waiting for running 0s".to_owned(),
                "  * stack_data.a[2]: Creating... 0s".to_owned(),
                "  * stack_data.a[3]: Creating... 0s".to_owned(),
                format!("  [{:<40}] 0/5 0s about 45s left", ""),
            ]
        );
        live.event(Event::Remaining { left: None });
        finish(&live, 0);
        live.event(Event::Failed {
            address: address(1),
            deposed: None,
            doing: Doing::Creating,
            elapsed: Duration::from_secs(4),
            diagnostic: Box::new(Diagnostic::error(
                "STK0410",
                "Creating failed",
                "no route to host",
            )),
        });
        live.event(Event::Skipped {
            address: address(4),
            because: Some(address(1)),
        });
        live.event(Event::Interrupted { abandoning: true });
        live.event(Event::Abandoned {
            address: address(2),
            deposed: None,
            doing: Doing::Creating,
            elapsed: Duration::from_secs(5),
        });
        let seen = shown(&terminal);
        let wanted = [
            "stack_data.a[0]: Creation complete after 3.0s",
            "stack_data.a[1]: Creating failed after 4.0s: no route to host",
            "stack_data.a[4]: Skipped, because stack_data.a[1] failed",
        ];
        assert_eq!(seen[..3], wanted, "{seen:#?}");
        assert_eq!(
            seen[seen.len() - 2..],
            ["  * stack_data.a[3]: Creating... 0s".to_owned(), bar(4, 32)],
            "{seen:#?}"
        );
        finish(&live, 3);
        live.finish();
        let seen = shown(&terminal);
        assert_eq!(
            seen.last().unwrap(),
            "stack_data.a[3]: Creation complete after 3.0s"
        );
    }

    #[test]
    fn what_has_no_room_is_counted_and_moves_up() {
        let (live, terminal) = view(30);
        live.event(Event::ApplyStarted {
            operations: 20,
            estimate: Duration::ZERO,
        });
        (0..MOST + 2).for_each(|number| start(&live, number));
        let seen = shown(&terminal);
        assert_eq!(seen.len(), MOST + 2, "{seen:#?}");
        assert_eq!(seen[MOST], "    and 2 more");
        assert!(seen[MOST + 1].contains("0/20"), "{seen:#?}");
        finish(&live, 0);
        let seen = shown(&terminal);
        assert!(seen.iter().any(|l| l.contains("a[12]")), "{seen:#?}");
        assert!(seen.contains(&"    and 1 more".to_owned()), "{seen:#?}");
        finish(&live, 1);
        let seen = shown(&terminal);
        assert!(seen.iter().any(|l| l.contains("a[13]")), "{seen:#?}");
        assert!(!seen.iter().any(|l| l.contains("more")), "{seen:#?}");
    }

    #[test]
    fn the_time_left_is_coarse() {
        let said = |seconds: f64| left(Duration::from_secs_f64(seconds));
        assert_eq!(said(0.0), "");
        assert_eq!(said(2.1), "about 3s left");
        assert_eq!(said(19.0), "about 19s left");
        assert_eq!(said(41.0), "about 45s left");
        assert_eq!(said(121.0), "about 2m30s left");
    }
}
