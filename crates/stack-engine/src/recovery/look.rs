//! What became of operations that an earlier run began and did not end, as far as reading can tell.

use stack_core::{Diagnostic, ResourceAddress};
use stack_provider::ProviderError;
use stack_state::{Begin, DeposedKey, Outcome, Record, State, Verb, fold};

use super::{Found, Recovery, not_recovered, verb};
use crate::Interrupt;
use crate::connections::Connections;
use crate::event::{Doing, Event, Events};

/// What an apply does about an operation that was begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The object is there: it is recorded as it is.
    Adopt,
    /// The operation had no effect: what the state said before still holds, and the plan decides anew.
    Retry,
    /// The object is gone: it is dropped from the state.
    Clean,
    /// The real system does not tell; the operation stays pending.
    Unknown,
}

impl Verdict {
    /// The word in views and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Retry => "retry",
            Self::Clean => "clean",
            Self::Unknown => "unknown",
        }
    }

    /// The verdict of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Adopt, Self::Retry, Self::Clean, Self::Unknown]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }
}

/// What is known of one operation that was begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The resource instance.
    pub address: ResourceAddress,
    /// The deposed object it is about; `None` for the current one.
    pub deposed: Option<DeposedKey>,
    /// What was begun.
    pub begun: Verb,
    /// What an apply does about it.
    pub verdict: Verdict,
    /// How it is known, or why it is not.
    pub detail: String,
}

impl Finding {
    /// What was begun, as a word.
    pub fn begun_word(&self) -> &'static str {
        verb(self.begun)
    }
}

/// All pending operations of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// One for each operation, in the order in which they were begun.
    pub findings: Vec<Finding>,
    /// The state as it is once they are carried out. What is unknown stays pending.
    pub after: State,
    /// A warning for each that is unknown.
    pub warnings: Vec<Diagnostic>,
}

/// Looks at what became of every pending operation. Only reads, and records nothing.
pub async fn look(
    state: &State,
    connections: &Connections,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Looked {
    super::hide(state, connections);
    let mut looked = Looked {
        findings: Vec::new(),
        after: state.clone(),
        warnings: Vec::new(),
    };
    for (operation, pending) in &state.pending {
        let begin = &pending.begin;
        let started = std::time::Instant::now();
        let (address, deposed, doing) = (begin.address.clone(), begin.deposed.clone(), Doing::Refreshing);
        events.event(Event::Started {
            address: address.clone(),
            deposed: deposed.clone(),
            doing,
            id: None,
        });
        let recovery = Recovery {
            state: &looked.after,
            connections,
            events,
            interrupt,
            pending,
        };
        let found = tokio::select! {
            found = recovery.found() => found,
            () = interrupt.stop().cancelled() => break,
        };
        match found {
            Ok((found, text)) => {
                let outcome = match found {
                    Found::Ended(outcome) => outcome,
                    Found::Made(object) => Outcome::Written(object),
                };
                let verdict = verdict(&outcome);
                let text = match (begin.action, verdict) {
                    (Verb::Create, Verdict::Adopt) => "it was made",
                    _ => text,
                };
                let records = recovery.records(*operation, outcome);
                looked.add(begin, verdict, text.to_owned(), records);
            }
            Err(error) => looked.unknown(begin, error),
        }
        events.event(Event::Finished {
            address,
            deposed,
            doing,
            id: None,
            elapsed: started.elapsed(),
        });
    }
    looked
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Written(_) | Outcome::Tainted(_) => Verdict::Adopt,
        Outcome::Failed => Verdict::Retry,
        Outcome::Removed => Verdict::Clean,
    }
}

/// A plan goes on without what cannot be found out; an apply does not.
fn unclear(problem: &Diagnostic) -> Diagnostic {
    let detail = format!(
        "{}. The plan shows the object as it was recorded; an apply changes nothing before this is known.",
        problem.detail.trim_end_matches('.')
    );
    let mut warning = Diagnostic::warning("STK0333", "Interrupted operation not clear", detail);
    warning.address.clone_from(&problem.address);
    warning.hints.clone_from(&problem.hints);
    warning
}

impl Looked {
    /// Folds in the records of one operation; what cannot be folded is no answer either.
    fn add(&mut self, begin: &Begin, verdict: Verdict, detail: String, records: Vec<Record>) {
        let mut after = self.after.clone();
        let folded = records
            .into_iter()
            .try_for_each(|record| fold(&mut after, record));
        match folded {
            Ok(()) => {
                self.after = after;
                self.note(begin, verdict, detail);
            }
            Err(error) => self.unknown(begin, ProviderError::internal(error.to_string())),
        }
    }

    fn unknown(&mut self, begin: &Begin, error: ProviderError) {
        let problem = not_recovered(begin, error);
        self.note(begin, Verdict::Unknown, problem.detail.clone());
        self.warnings.push(unclear(&problem));
    }

    fn note(&mut self, begin: &Begin, verdict: Verdict, detail: String) {
        self.findings.push(Finding {
            address: begin.address.clone(),
            deposed: begin.deposed.clone(),
            begun: begin.action,
            verdict,
            detail,
        });
    }
}
