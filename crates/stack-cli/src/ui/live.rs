//! The live view: running operations with their time, and a bar for the whole.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stack_core::ResourceAddress;
use stack_engine::event::{Doing, Event, Events};
use stack_state::DeposedKey;

use super::human::{doing_word, elapsed, line, name};
use super::{Paint, Progress};

/// How often the view is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Running operations that are shown at a time; the others run unseen.
const MOST: usize = 12;

type Key = (ResourceAddress, Option<DeposedKey>);

/// Draws on the terminal of standard error.
pub(crate) struct LiveEvents {
    paint: Paint,
    all: MultiProgress,
    view: Mutex<View>,
}

#[derive(Default)]
struct View {
    running: HashMap<Key, ProgressBar>,
    whole: Option<ProgressBar>,
    estimate: Duration,
    start: Option<Instant>,
    asking: Option<ProgressBar>,
}

/// A style of a fixed text; a template that does not parse would leave the plain default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl LiveEvents {
    /// Nothing is drawn before the first event.
    pub(crate) fn new(paint: Paint) -> Self {
        Self {
            paint,
            all: MultiProgress::new(),
            view: Mutex::default(),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spinner(&self, view: &View, text: String) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_style(style("  {spinner} {msg} {elapsed}"));
        let bar = match &view.whole {
            Some(whole) => self.all.insert_before(whole, bar),
            None => self.all.add(bar),
        };
        bar.set_message(text);
        bar.enable_steady_tick(TICK);
        bar
    }

    fn started(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>, doing: Doing) {
        let mut view = self.view();
        if view.running.len() >= MOST {
            return;
        }
        let text = format!(
            "{}: {}...",
            self.paint.bold(&name(address, deposed)),
            doing_word(doing)
        );
        let bar = self.spinner(&view, text);
        view.running.insert((address.clone(), deposed.cloned()), bar);
    }

    fn ended(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>, counts: bool) {
        let mut view = self.view();
        if let Some(bar) = view.running.remove(&(address.clone(), deposed.cloned())) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        if let Some(whole) = view.whole.as_ref().filter(|_| counts) {
            whole.inc(1);
            whole.set_message(remaining(&view, whole));
        }
    }

    fn print(&self, text: &str) {
        // A terminal that is gone needs no lines.
        drop(self.all.println(text));
    }
}

/// What is left by the estimate, or by the pace so far where that is slower.
fn remaining(view: &View, whole: &ProgressBar) -> String {
    let (Some(start), Some(length)) = (view.start, whole.length()) else {
        return String::new();
    };
    let done = whole.position();
    if done == 0 || done >= length {
        return String::new();
    }
    let by_estimate = view.estimate.saturating_sub(start.elapsed());
    if by_estimate.is_zero() {
        String::new()
    } else {
        format!("about {} left", elapsed(by_estimate))
    }
}

impl Events for LiveEvents {
    fn event(&self, event: Event) {
        match &event {
            Event::Asking { .. } => {
                let mut view = self.view();
                if let (Some(text), None) = (line(&event, self.paint), &view.asking) {
                    view.asking = Some(self.spinner(&view, text));
                }
                return;
            }
            Event::ApplyStarted { operations, estimate } => {
                let mut view = self.view();
                let bar = ProgressBar::new(*operations as u64)
                    .with_style(style("  [{bar:40}] {pos}/{len} {elapsed} {msg}").progress_chars("=> "));
                let bar = self.all.add(bar);
                bar.enable_steady_tick(TICK);
                view.whole = Some(bar);
                view.estimate = *estimate;
                view.start = Some(Instant::now());
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
                if let Some(bar) = self.view().running.get(&(address.clone(), None)) {
                    bar.set_message(format!("{}: {text}", self.paint.bold(&address.to_string())));
                }
                return;
            }
            Event::Finished { address, deposed, .. } => self.ended(address, deposed.as_ref(), true),
            Event::Failed { address, .. } => self.ended(address, None, true),
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
        for (_, bar) in view.running.drain() {
            bar.finish_and_clear();
        }
        for bar in [view.whole.take(), view.asking.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
        drop(self.all.clear());
    }
}
