//! A management API in this process, as RabbitMQ 3.10 answers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use stack_provider::contract::{Fault, Faults};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// A running API with one administrator, `operator` with the password `pass`.
pub(crate) struct Api {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

/// Objects by kind and key (the key is the path below the kind).
#[derive(Default)]
struct State {
    objects: BTreeMap<String, BTreeMap<String, Json>>,
    requests: Vec<String>,
    connections: usize,
    armed: Option<(usize, Fault)>,
    came: bool,
    broken: Option<(u16, &'static str)>,
}

impl Api {
    /// Starts it on a free port of loopback, with TLS where a configuration is given.
    pub(crate) async fn start(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        state.lock().unwrap().put("vhosts", "%2F", json!({"name": "/"}));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                serve(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, state }
    }

    /// Requests so far: method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Makes something behind the provider's back.
    pub(crate) fn put(&self, kind: &str, key: &str, object: Json) {
        self.state.lock().unwrap().put(kind, key, object);
    }

    /// Something as it is.
    pub(crate) fn get(&self, kind: &str, key: &str) -> Option<Json> {
        self.state.lock().unwrap().objects.get(kind)?.get(key).cloned()
    }

    /// Objects of a kind.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.state
            .lock()
            .unwrap()
            .objects
            .get(kind)
            .map_or(0, BTreeMap::len)
    }

    /// Answers everything with this status and text from now on.
    pub(crate) fn break_with(&self, status: u16, body: &'static str) {
        self.state.lock().unwrap().broken = Some((status, body));
    }
}

impl Faults for Api {
    fn arm(&self, nth: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        (state.armed, state.came) = (Some((nth, fault)), false);
    }

    fn disarm(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.armed = None;
        state.came
    }
}

impl State {
    fn put(&mut self, kind: &str, key: &str, object: Json) {
        self.objects
            .entry(kind.to_owned())
            .or_default()
            .insert(key.to_owned(), object);
    }

    /// Counts a request; the fault it is to meet.
    fn fault(&mut self) -> Option<Fault> {
        let (left, fault) = self.armed?;
        self.armed = (left > 1).then(|| (left - 1, fault));
        self.came |= left == 1;
        (left == 1).then_some(fault)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, state: Arc<Mutex<State>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let mut state = state.lock().unwrap();
            let path = head.uri.path().to_owned();
            state.requests.push(format!("{} {path}", head.method));
            let fault = state.fault();
            if fault == Some(Fault::Refused) {
                return Ok(reply(
                    503,
                    &json!({"error": "service_unavailable", "reason": "not now"}),
                ));
            }
            if let Some((status, text)) = state.broken {
                let response = Response::builder().status(status);
                return Ok(response.body(Full::new(Bytes::from(text))).unwrap());
            }
            let wanted = format!("Basic {}", BASE64_STANDARD.encode("operator:pass"));
            if head
                .headers
                .get("authorization")
                .is_none_or(|h| h.as_bytes() != wanted.as_bytes())
            {
                return Ok(reply(
                    401,
                    &json!({"error": "not_authorised", "reason": "Login failed"}),
                ));
            }
            let answer = handle(&mut state, &head.method, &path, &body);
            if fault == Some(Fault::AnswerLost) {
                return Err(io::Error::other("answer lost"));
            }
            Ok::<_, io::Error>(answer)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn reply(status: u16, body: &Json) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(StatusCode::from_u16(status).unwrap());
    builder.body(Full::new(Bytes::from(body.to_string()))).unwrap()
}

fn decoded(segment: &str) -> String {
    segment
        .replace("%2F", "/")
        .replace("%40", "@")
        .replace("%20", " ")
}

/// The object that a request makes, with what the API adds.
fn made(state: &State, kind: &str, key: &str, mut body: Json) -> Result<Json, &'static str> {
    let names: Vec<_> = key.split('/').map(decoded).collect();
    let exists = |kind: &str, key: &str| state.objects.get(kind).is_some_and(|all| all.contains_key(key));
    let tags = |body: &Json| -> Vec<String> {
        let text = body["tags"].as_str().unwrap_or_default();
        text.split(',')
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match kind {
        "users" => {
            body["tags"] = json!(tags(&body));
            body["name"] = json!(names[0]);
        }
        "vhosts" => {
            body["tags"] = json!(tags(&body));
            body["name"] = json!(names[0]);
            body["cluster_state"] = json!({"rabbit@here": "running"});
        }
        "permissions" => {
            let (vhost, user) = key.split_once('/').unwrap();
            if !exists("vhosts", vhost) || !exists("users", user) {
                return Err("vhost_or_user_not_found");
            }
            body["vhost"] = json!(names[0]);
            body["user"] = json!(names[1]);
        }
        _ => {
            body["vhost"] = json!(names[0]);
            body["name"] = json!(names[1]);
        }
    }
    Ok(body)
}

fn handle(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let not_found = || reply(404, &json!({"error": "Object Not Found", "reason": "Not Found"}));
    let Some(rest) = path.strip_prefix("/api/") else {
        return not_found();
    };
    let (kind, key) = rest.split_once('/').unwrap_or((rest, ""));
    let all = state.objects.entry(kind.to_owned()).or_default();
    match *method {
        Method::GET if key.is_empty() => reply(200, &json!(all.values().collect::<Vec<_>>())),
        Method::GET => all.get(key).map_or_else(not_found, |object| reply(200, object)),
        Method::DELETE => match all.remove(key) {
            Some(_) => reply(204, &Json::Null),
            None => not_found(),
        },
        Method::PUT => match made(state, kind, key, serde_json::from_slice(body).unwrap()) {
            Ok(object) => {
                state.put(kind, key, object);
                reply(201, &Json::Null)
            }
            Err(reason) => reply(400, &json!({"error": "bad_request", "reason": reason})),
        },
        _ => reply(405, &json!({"error": "Method Not Allowed"})),
    }
}
