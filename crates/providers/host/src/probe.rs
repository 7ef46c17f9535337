//! Looking at a machine: what is asked for within a few milliseconds becomes one script.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use stack_core::Secret;
use stack_provider::{Cx, ErrorKind, ProviderError};
use stack_ssh::Script;
use tokio::sync::oneshot;

use crate::HostClient;

/// How long a question waits for company. A refresh asks for everything at once, so this is enough.
const WINDOW: Duration = Duration::from_millis(3);

/// The functions that scripts look with.
pub(crate) const FUNCTIONS: &str = include_str!("scripts/probe.sh");

/// Functions that leave stamps.
pub(crate) const STAMPS: &str = include_str!("scripts/stamp.sh");

/// One thing to look at.
#[derive(Clone)]
pub(crate) enum Probe {
    /// A file or directory. Contents come along when their digest is another than `known` and they are no longer than
    /// `limit` bytes.
    Path { path: String, known: String, limit: u64 },
    /// Packages: which are installed, and in what version.
    Packages(Vec<String>),
    /// A systemd unit.
    Service(String),
    /// Whether a command has nothing left to do.
    Command {
        creates: String,
        unless: String,
        secrets: Vec<(String, Secret<String>)>,
    },
    /// The stamp of a create attempt.
    Stamp(String),
    /// What the machine is.
    Facts,
}

/// What was seen: keys and values, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer(Vec<(String, String)>);

impl Answer {
    /// Reads lines of "key value".
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |line: &str| match line.split_once(' ') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (line.to_owned(), String::new()),
        };
        Self(text.lines().map(pair).collect())
    }

    /// The value of a key; `None` where it is absent or empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Every value of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// A value that came in base64.
    pub(crate) fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        let (_, value) = self.0.iter().find(|(k, _)| k == key)?;
        BASE64_STANDARD.decode(value).ok()
    }
}

struct Waiting {
    probe: Probe,
    answer: oneshot::Sender<Result<Answer, Shared>>,
}

/// A failure that several callers hear of.
#[derive(Clone, Debug)]
struct Shared(Arc<ProviderError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().and_then(|cause| cause.source())
    }
}

impl From<Shared> for ProviderError {
    fn from(shared: Shared) -> Self {
        let error = ProviderError::new(shared.0.kind, shared.0.message.clone());
        if shared.0.source.is_some() {
            error.source(shared)
        } else {
            error
        }
    }
}

/// Questions that wait for each other's company.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Vec<Waiting>>);

impl Queue {
    /// Asks. The first who asks sends the script a moment later, in a task of its own, so that nobody depends on
    /// another caller's patience.
    pub(crate) async fn ask(
        &self,
        client: &HostClient,
        cx: &Cx,
        probe: Probe,
    ) -> Result<Answer, ProviderError> {
        let (sender, receiver) = oneshot::channel();
        let first = {
            let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(Waiting {
                probe,
                answer: sender,
            });
            queue.len() == 1
        };
        if first {
            let (client, cx) = (client.clone(), cx.clone());
            tokio::spawn(async move {
                let waited = cx.sleep(WINDOW).await;
                let batch = client.probes().take();
                let answers = match waited {
                    Ok(()) => send(&client, &cx, &batch).await,
                    Err(error) => Err(error),
                };
                deliver(batch, answers);
            });
        }
        match receiver.await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ProviderError::internal("a probe got no answer")),
        }
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn deliver(batch: Vec<Waiting>, answers: Result<Vec<Answer>, ProviderError>) {
    match answers {
        Ok(answers) => {
            for (waiting, answer) in batch.into_iter().zip(answers) {
                // Who no longer waits needs no answer.
                let _ = waiting.answer.send(Ok(answer));
            }
        }
        Err(error) => {
            let shared = Shared(Arc::new(error));
            for waiting in batch {
                let _ = waiting.answer.send(Err(shared.clone()));
            }
        }
    }
}

async fn send(client: &HostClient, cx: &Cx, batch: &[Waiting]) -> Result<Vec<Answer>, ProviderError> {
    let mut script = Script::new().text(FUNCTIONS);
    for waiting in batch {
        script = waiting.probe.append(script.text("echo '#probe'\n("));
        script = script.text(") || echo \"failed $?\"");
    }
    let output = client.look(cx, &script).await?;
    let text = output.text();
    let answers: Vec<_> = text.split("#probe\n").skip(1).map(Answer::parse).collect();
    if answers.len() != batch.len() {
        let message = format!(
            "the machine answered {} of {} questions: {}",
            answers.len(),
            batch.len(),
            output.reason()
        );
        return Err(ProviderError::new(ErrorKind::Unavailable, message));
    }
    Ok(answers)
}

impl Probe {
    /// Adds the call of the function that looks.
    fn append(&self, script: Script) -> Script {
        match self {
            Self::Path { path, known, limit } => script
                .arguments([path.as_str(), known, &limit.to_string()])
                .text("probe_path \"$@\""),
            Self::Packages(names) => script.arguments(names).text("probe_packages \"$@\""),
            Self::Service(name) => script.arguments([name]).text("probe_service \"$@\""),
            Self::Command {
                creates,
                unless,
                secrets,
            } => secrets
                .iter()
                .fold(script, |script, (name, value)| script.assign(name, value))
                .arguments([creates, unless])
                .text("probe_command \"$@\""),
            Self::Stamp(token) => script.arguments([token]).text("probe_stamp \"$@\""),
            Self::Facts => script.text("probe_facts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_keys_and_values() {
        let answer = Answer::parse("kind file\npackage a 1.0\npackage b 2.0 x\nempty \ncontent aGk=\nlone\n");
        assert_eq!(answer.get("kind"), Some("file"));
        assert_eq!(answer.all("package").collect::<Vec<_>>(), ["a 1.0", "b 2.0 x"]);
        assert_eq!(answer.get("empty"), None);
        assert_eq!(answer.bytes("content").unwrap(), b"hi");
        assert_eq!(answer.get("absent"), None);
    }
}
