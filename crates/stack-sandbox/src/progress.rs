//! Progress as plain lines on standard error.

use std::time::{Duration, Instant};

/// Writes progress lines under the name of a part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    part: &'static str,
}

impl Progress {
    /// Lines under `part`.
    pub(crate) fn new(part: &'static str) -> Self {
        Self { part }
    }

    /// One line without a time.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        eprintln!("[{:>8}] {}", self.part, text.as_ref());
    }

    /// A step that takes long enough for its start to be worth a line: says it, and says the time at its end.
    pub(crate) async fn step<T>(
        &self,
        text: impl AsRef<str>,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let text = text.as_ref();
        let begun = Instant::now();
        self.say(format!("{text} ..."));
        let result = work.await;
        match &result {
            Ok(_) => self.done(text, begun.elapsed()),
            Err(_) => self.say(format!("{text}: failed ({})", seconds(begun.elapsed()))),
        }
        result
    }

    /// One line about something that has ended.
    pub(crate) fn done(&self, text: impl AsRef<str>, took: Duration) {
        self.say(format!("{} ({})", text.as_ref(), seconds(took)));
    }
}

/// `3.2 s`, or `2 min 5 s`.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(100) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_in_minutes() {
        assert_eq!(seconds(Duration::from_millis(3240)), "3.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
