//! Servers of this process that the program talks to: a management API of RabbitMQ and an API server of Kubernetes, as
//! far as this test needs them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

/// One request.
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Head and body as they came.
    pub(crate) whole: String,
    pub(crate) body: String,
}

/// What a server answers.
type Handler = dyn Fn(&Request) -> (u16, Json) + Send + Sync;

/// A server on loopback; its thread ends with the test's process.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> (u16, Json) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                std::thread::spawn(move || serve(&stream, &seen, &*handler));
            }
        });
        Self { port, requests }
    }

    /// Method and path of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers requests until the client goes away.
fn serve(stream: &TcpStream, seen: &Mutex<Vec<String>>, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        seen.lock()
            .unwrap()
            .push(format!("{} {}", request.method, request.path));
        let (status, body) = handler(&request);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut words = head.split_whitespace();
    Some(Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        whole: format!("{head}{body}"),
        body,
    })
}

type Objects = Mutex<BTreeMap<String, Json>>;

/// A management API that keeps what it is given; below `/api/vhosts/refused` it answers with the request itself, as a
/// bad server or one in between would.
pub(crate) fn broker() -> Server {
    let objects = Objects::default();
    Server::start(move |request| {
        let mut objects = objects.lock().unwrap();
        let path = request.path.as_str();
        if path.contains("refused") && request.method == "PUT" {
            let reason = format!("cannot take this: {}", request.whole);
            return (400, json!({"error": "bad_request", "reason": reason}));
        }
        match request.method.as_str() {
            "PUT" => {
                let mut body: Json = serde_json::from_str(&request.body).unwrap_or_default();
                body["name"] = json!(path.rsplit('/').next());
                body["tags"] = json!([]);
                objects.insert(path.to_owned(), body);
                (201, Json::Null)
            }
            "DELETE" => match objects.remove(path) {
                Some(_) => (204, Json::Null),
                None => (404, json!({"error": "Object Not Found"})),
            },
            _ => match objects.get(path) {
                Some(object) => (200, object.clone()),
                None if path.matches('/').count() == 2 => {
                    let prefix = format!("{path}/");
                    let all = objects.iter().filter(|(name, _)| name.starts_with(&prefix));
                    (200, all.map(|(_, object)| object.clone()).collect())
                }
                None => (404, json!({"error": "Object Not Found"})),
            },
        }
    })
}

/// An API server with Secrets and ConfigMaps. It refuses objects named `refused`, and quotes what it refuses.
pub(crate) fn cluster() -> Server {
    let objects = Objects::default();
    Server::start(move |request| {
        let mut objects = objects.lock().unwrap();
        let path = request.path.split('?').next().unwrap_or_default();
        let not_found = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"});
        match (request.method.as_str(), path) {
            ("GET", "/api/v1") => (
                200,
                json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                    {"name": "secrets", "singularName": "secret", "namespaced": true, "kind": "Secret", "verbs": ["get", "list", "patch", "delete"]},
                    {"name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap", "verbs": ["get", "list", "patch", "delete"]},
                ]}),
            ),
            ("PATCH", _) if path.ends_with("/refused") => {
                let message = format!(
                    "Secret \"refused\" is invalid: data: Invalid value: {}",
                    request.body
                );
                (
                    422,
                    json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422, "message": message}),
                )
            }
            ("PATCH", _) => {
                let mut object: Json = serde_json::from_str(&request.body).unwrap_or_default();
                object["metadata"]["uid"] = json!("0000-1");
                object["metadata"]["resourceVersion"] = json!("1");
                if !request.path.contains("dryRun") {
                    objects.insert(path.to_owned(), object.clone());
                }
                (200, object)
            }
            ("DELETE", _) => match objects.remove(path) {
                Some(_) => (200, json!({"kind": "Status", "status": "Success"})),
                None => (404, not_found),
            },
            ("GET", _) if path.ends_with("/secrets") || path.ends_with("/configmaps") => {
                let prefix = format!("{path}/");
                let all: Vec<Json> = objects
                    .iter()
                    .filter(|(name, _)| name.starts_with(&prefix) && !request.path.contains("owner%3Dhelm"))
                    .map(|(_, object)| object.clone())
                    .collect();
                (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": all}),
                )
            }
            ("GET", _) => objects
                .get(path)
                .map_or((404, not_found), |object| (200, object.clone())),
            _ => (405, json!({})),
        }
    })
}
