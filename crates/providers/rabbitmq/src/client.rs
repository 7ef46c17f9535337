//! The client of the management API.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use stack_core::Secret;
use stack_provider::{Cx, ErrorKind, ProviderError};
use zeroize::Zeroizing;

use crate::RabbitmqConfig;
use crate::transport::{Endpoint, Ssh};

/// The longest answer that is taken, in bytes.
const ANSWER_LIMIT: usize = 32 << 20;

/// Connections that are kept for later requests.
const IDLE: usize = 4;

type Sender = SendRequest<Full<Bytes>>;

/// One broker. Connects on first use.
pub struct BrokerClient {
    endpoint: Endpoint,
    ssh: Option<Ssh>,
    authorization: Secret<Vec<u8>>,
    idle: Mutex<Vec<Sender>>,
}

/// How the API says what is wrong.
#[derive(Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    error: Json,
    #[serde(default)]
    reason: Json,
}

impl BrokerClient {
    /// A client, checked but not connected.
    pub(crate) fn new(config: RabbitmqConfig) -> Result<Self, ProviderError> {
        let endpoint = Endpoint::parse(&config.endpoint, config.ca_certificate.as_deref())?;
        if config.username.contains(':') {
            return Err(ProviderError::invalid("username", "must not hold a colon"));
        }
        let pair = Zeroizing::new(format!("{}:{}", config.username, config.password.expose()));
        let header = format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()));
        Ok(Self {
            endpoint,
            ssh: config.ssh.map(Ssh::new).transpose()?,
            authorization: Secret::new(header.into_bytes()),
            idle: Mutex::default(),
        })
    }

    /// Reads something; `None` when it does not exist.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        cx: &Cx,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        let (status, body) = self.send(cx, Method::GET, path, None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.check(&Method::GET, path, status, &body)?;
        serde_json::from_slice(&body).map(Some).map_err(|e| {
            ProviderError::internal("the answer makes no sense")
                .operation(format!("GET {path}"))
                .source(e)
        })
    }

    /// Makes or replaces something.
    pub(crate) async fn put(&self, cx: &Cx, path: &str, body: &Json) -> Result<(), ProviderError> {
        let text = serde_json::to_vec(body).map_err(|e| ProviderError::internal("no JSON").source(e))?;
        let (status, answer) = self.send(cx, Method::PUT, path, Some(text)).await?;
        self.check(&Method::PUT, path, status, &answer)
    }

    /// Removes something; what is gone already is as good.
    pub(crate) async fn delete(&self, cx: &Cx, path: &str) -> Result<(), ProviderError> {
        let (status, answer) = self.send(cx, Method::DELETE, path, None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.check(&Method::DELETE, path, status, &answer)
    }

    /// Sends a request. All of them may be repeated, so one that meets a connection that the broker has closed is.
    async fn send(
        &self,
        cx: &Cx,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), ProviderError> {
        let broken = |error: hyper::Error| {
            ProviderError::new(
                ErrorKind::Unavailable,
                "the connection to the management API broke",
            )
            .operation(format!("{method} {path}"))
            .source(error)
        };
        let body = Bytes::from(body.unwrap_or_default());
        while let Some(mut sender) = self.idle() {
            if sender.ready().await.is_err() {
                continue;
            }
            let request = self.request(&method, path, body.clone())?;
            if let Ok(done) = cx.bounded(self.exchange(&mut sender, request)).await? {
                self.keep(sender);
                return Ok(done);
            }
        }
        let stream = self.endpoint.open(cx, self.ssh.as_ref()).await?;
        let (mut sender, connection) = cx
            .bounded(http1::handshake(TokioIo::new(stream)))
            .await?
            .map_err(broken)?;
        // It ends with the last sender; its error reaches the caller through the request.
        tokio::spawn(async move { connection.await.ok() });
        let request = self.request(&method, path, body)?;
        let done = cx.bounded(self.exchange(&mut sender, request)).await?;
        let done = done.map_err(|failure| match failure {
            Exchange::Broken(error) => broken(error),
            Exchange::TooLong => {
                ProviderError::internal(format!("the answer is longer than {ANSWER_LIMIT} bytes"))
                    .operation(format!("{method} {path}"))
            }
        })?;
        self.keep(sender);
        Ok(done)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ProviderError> {
        let problem = |e: http::Error| ProviderError::internal("the request cannot be made").source(e);
        let mut authorization = HeaderValue::from_bytes(self.authorization.expose())
            .map_err(|e| ProviderError::invalid("password", "cannot be sent").source(e))?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.prefix))
            .header(HOST, self.endpoint.authority())
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(problem)
    }

    async fn exchange(
        &self,
        sender: &mut Sender,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Exchange> {
        let response = sender.send_request(request).await.map_err(Exchange::Broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => Exchange::Broken(*error),
            Err(_) => Exchange::TooLong,
        })?;
        Ok((status, body.to_bytes()))
    }

    fn idle(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !sender.is_closed() {
            idle.push(sender);
        }
    }

    /// What a status means.
    fn check(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), ProviderError> {
        if status.is_success() {
            return Ok(());
        }
        // A broker that is starting, or a proxy before it, may answer with something else than JSON.
        let complaint: Complaint = serde_json::from_slice(body).unwrap_or_default();
        let text = |json: &Json| json.as_str().map(plain);
        let reason = text(&complaint.reason)
            .or_else(|| text(&complaint.error))
            .unwrap_or_else(|| status.canonical_reason().unwrap_or("unknown status").to_owned());
        let (kind, message) = match status {
            StatusCode::UNAUTHORIZED => (
                ErrorKind::Denied,
                format!("{reason}: check `username` and `password` of the provider"),
            ),
            StatusCode::FORBIDDEN => (
                ErrorKind::Denied,
                format!("{reason}: the user needs the tag `administrator`"),
            ),
            StatusCode::NOT_FOUND => (ErrorKind::NotFound, reason),
            StatusCode::TOO_MANY_REQUESTS => (ErrorKind::Throttled, reason),
            StatusCode::REQUEST_TIMEOUT => (ErrorKind::Unavailable, reason),
            status if status.is_server_error() => (ErrorKind::Unavailable, reason),
            _ => (ErrorKind::InvalidArgument, reason),
        };
        Err(
            ProviderError::new(kind, format!("{message} ({})", status.as_u16()))
                .operation(format!("{method} {path}")),
        )
    }
}

/// A text of the API in one line; some of its texts are meant for a browser.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// Why an exchange failed.
enum Exchange {
    /// The connection broke.
    Broken(hyper::Error),
    /// The answer is longer than anything this API should give.
    TooLong,
}

/// Objects that the API lists.
pub(crate) trait Listed: Sized {
    /// An object as the API shows it.
    type Shown: DeserializeOwned + Send + Sync;
    /// Path of the list of all.
    const LIST: &'static str;
    /// Path of this one.
    fn path(&self) -> String;
    /// Whether this is the object that is shown.
    fn is(&self, shown: &Self::Shown) -> bool;
    /// The object as it is shown, in the words of `self`.
    fn seen(&self, shown: &Self::Shown) -> Self;
}

/// Reads one object.
pub(crate) async fn read<M: Listed>(
    cx: &Cx,
    client: &BrokerClient,
    prior: &M,
) -> Result<Option<M>, ProviderError> {
    let shown = client.get::<M::Shown>(cx, &prior.path()).await?;
    Ok(shown.map(|shown| prior.seen(&shown)))
}

/// Reads many objects with one request for the list of all.
pub(crate) async fn read_many<M: Listed>(
    cx: &Cx,
    client: &BrokerClient,
    priors: &[M],
) -> Vec<Result<Option<M>, ProviderError>> {
    if let [one] = priors {
        return vec![read(cx, client, one).await];
    }
    match client.get::<Vec<M::Shown>>(cx, M::LIST).await {
        Ok(all) => {
            let all = all.unwrap_or_default();
            let find = |prior: &M| {
                all.iter()
                    .find(|shown| prior.is(shown))
                    .map(|shown| prior.seen(shown))
            };
            priors.iter().map(|prior| Ok(find(prior))).collect()
        }
        Err(error) => {
            let again = || ProviderError {
                operation: error.operation.clone(),
                retry_after: error.retry_after,
                ..ProviderError::new(error.kind, error.message.clone())
            };
            let mut answers: Vec<_> = priors.iter().skip(1).map(|_| Err(again())).collect();
            answers.push(Err(error));
            answers
        }
    }
}
