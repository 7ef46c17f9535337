//! One HTTP request over any stream.

use std::collections::BTreeMap;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use stack_provider::ProviderError;

use crate::origin::BoxStream;

/// Bytes of an answer that are kept.
const LIMIT: usize = 64 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET`
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Name and port that the server is asked for.
    pub(crate) authority: String,
    /// Headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// Status codes that count as success; empty: any.
    pub(crate) expected_status: Vec<u16>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// Headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Content, as far as it is short and text.
    pub(crate) body: String,
}

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Encrypted.
    pub(crate) is_https: bool,
    /// Host.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    /// Host and port as written.
    pub(crate) authority: String,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// It is none, or not of HTTP.
    pub(crate) fn parse(url: &str) -> Result<Self, ProviderError> {
        let wrong = || ProviderError::invalid("url", "must be a URL like https://name:port/path");
        let parsed: http::Uri = url.parse().map_err(|_| wrong())?;
        let is_https = match parsed.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = parsed.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            let text = "must not hold a user; send an Authorization header, as a sensitive value";
            return Err(ProviderError::invalid("url", text));
        }
        let path = parsed
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        Ok(Self {
            is_https,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            path: path.to_owned(),
            authority: authority.as_str().to_owned(),
        })
    }
}

impl Request {
    /// Checks the method and the headers.
    ///
    /// # Errors
    /// One of them cannot be sent.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        self.build().map(|_| ()).map_err(|_| {
            ProviderError::invalid(
                "headers",
                "a header or the method has characters that cannot be sent",
            )
        })
    }

    fn build(&self) -> Result<hyper::Request<Full<Bytes>>, http::Error> {
        let mut request = hyper::Request::builder()
            .method(self.method.as_str())
            .uri(self.path.as_str())
            .header(http::header::HOST, self.authority.as_str())
            .header(http::header::USER_AGENT, "stack-probe")
            .header(http::header::CONNECTION, "close");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::default())
    }

    /// Whether an answer counts as success.
    pub(crate) fn judge(&self, answer: &Response) -> Result<(), String> {
        if self.expected_status.is_empty() || self.expected_status.contains(&answer.status) {
            return Ok(());
        }
        Err(format!("the server answers with status {}", answer.status))
    }

    /// Sends it and reads the answer.
    pub(crate) async fn send(&self, stream: BoxStream) -> Result<Response, String> {
        let told = |e: hyper::Error| format!("HTTP: {}", crate::attempt::chain(&e));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(told)?;
        let request = self.build().map_err(|e| format!("HTTP: {e}"))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(told)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LIMIT).collect().await;
            let body = body
                .map(|b| String::from_utf8_lossy(&b.to_bytes()).into_owned())
                .unwrap_or_default();
            let headers = head.headers.iter().filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            });
            Ok(Response {
                status: head.status.as_u16(),
                headers: headers.collect(),
                body,
            })
        };
        tokio::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection ends once the answer is there; the exchange then has all it needs.
            _ = &mut connection => exchange.await,
        }
    }
}
