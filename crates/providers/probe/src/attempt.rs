//! One probe of any kind, tried as often as wanted.

use std::error::Error;
use std::io;
use std::time::Duration;

use stack_provider::{Cx, ProviderError};
use tokio::time::Instant;

use crate::Client;
use crate::amqp::{Greeting, Login, converse};
use crate::arguments::Policy;
use crate::http_probe::{Request, Response};
use crate::origin::{BoxStream, Origin, Unreached};
use crate::tls::{Certificate, Tls};

/// What is spoken once the connection stands.
pub(crate) enum Speech {
    /// Nothing.
    Silence,
    /// AMQP, with a login or without.
    Amqp(Option<Login>),
    /// HTTP.
    Http(Request),
}

/// A probe.
pub(crate) struct Target {
    /// Where it starts from.
    pub(crate) origin: Origin,
    /// Host to connect to.
    pub(crate) host: String,
    /// Port to connect to.
    pub(crate) port: u16,
    /// TLS on the connection.
    pub(crate) tls: Option<Tls>,
    /// What is spoken.
    pub(crate) speech: Speech,
}

/// What a probe has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Why it failed; `None`: it succeeded.
    pub(crate) error: Option<String>,
    /// Time of the last try.
    pub(crate) latency: Duration,
    /// Tries.
    pub(crate) attempts: u32,
    /// The server's certificate.
    pub(crate) certificate: Option<Certificate>,
    /// The broker's greeting.
    pub(crate) greeting: Greeting,
    /// The answer over HTTP.
    pub(crate) response: Option<Response>,
}

impl Findings {
    /// Whether it succeeded.
    pub(crate) fn success(&self) -> bool {
        self.error.is_none()
    }

    /// Time of the last try in milliseconds.
    pub(crate) fn latency_ms(&self) -> i64 {
        i64::try_from(self.latency.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Target {
    /// Tries until the wanted outcome comes, or the tries are used up.
    ///
    /// # Errors
    /// The place to start from cannot be used, the time of the call is over, or it was abandoned.
    pub(crate) async fn probe(
        &self,
        cx: &Cx,
        client: &Client,
        policy: Policy,
    ) -> Result<Findings, ProviderError> {
        let mut attempt = 1;
        loop {
            let mut findings = Findings {
                attempts: attempt,
                ..Findings::default()
            };
            let begun = Instant::now();
            let once = tokio::time::timeout(policy.timeout, self.once(cx, client, &mut findings));
            let outcome = cx.bounded(once).await?;
            findings.latency = begun.elapsed();
            findings.error = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(Unreached::Target(text))) => Some(text),
                Ok(Err(Unreached::Origin(error))) => return Err(error),
                Err(_) => Some(format!("no answer within {} s", policy.timeout.as_secs())),
            };
            if findings.success() == policy.wants_success || attempt == policy.attempts {
                return Ok(findings);
            }
            if let Some(error) = &findings.error {
                cx.progress(error);
            }
            attempt += 1;
            cx.sleep(policy.interval).await?;
        }
    }

    async fn once(&self, cx: &Cx, client: &Client, findings: &mut Findings) -> Result<(), Unreached> {
        let stream = self.origin.connect(cx, client, &self.host, self.port).await?;
        let stream: BoxStream = match &self.tls {
            None => stream,
            Some(tls) => {
                let shaken = tls.handshake(stream).await;
                findings.certificate = shaken.certificate;
                Box::new(shaken.stream.map_err(Unreached::Target)?)
            }
        };
        let spoken = match &self.speech {
            Speech::Silence => Ok(()),
            Speech::Amqp(login) => converse(stream, login.as_ref(), &mut findings.greeting).await,
            Speech::Http(request) => request.send(stream).await.and_then(|answer| {
                let judged = request.judge(&answer);
                findings.response = Some(answer);
                judged
            }),
        };
        spoken.map_err(Unreached::Target)
    }
}

/// An error of a stream in words.
pub(crate) fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was closed by the other side".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset by the other side".to_owned(),
        _ => error.to_string(),
    }
}

/// An error and its causes, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
