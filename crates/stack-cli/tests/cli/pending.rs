//! A plan over an operation that an earlier run began and did not end.
#![expect(clippy::unwrap_used, reason = "a test without its place has failed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::environment::Environment;

/// A management API with one user at most. It makes the user and never answers that it did, until told otherwise.
#[derive(Default)]
struct Broker {
    exists: AtomicBool,
    answers_puts: AtomicBool,
    refuses: AtomicBool,
}

impl Broker {
    /// Starts to listen; the receiver hears of every user that is made.
    fn start() -> (Arc<Self>, u16, mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Arc::new(Self::default());
        let (made, hear) = mpsc::channel();
        let serving = broker.clone();
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serving, made) = (serving.clone(), made.clone());
                std::thread::spawn(move || serving.serve(stream, &made));
            }
        });
        (broker, port, hear)
    }

    fn serve(&self, mut stream: TcpStream, made: &mpsc::Sender<()>) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        let user = r#"{"name":"app","password_hash":"","tags":[]}"#;
        let (status, body) = if self.refuses.load(Ordering::SeqCst) {
            ("401 Unauthorized", "{}")
        } else if first.starts_with("PUT") {
            self.exists.store(true, Ordering::SeqCst);
            made.send(()).unwrap();
            if !self.answers_puts.load(Ordering::SeqCst) {
                // Held open until the caller is gone.
                drop(reader.read(&mut [0]));
                return;
            }
            ("201 Created", "")
        } else if first.starts_with("DELETE") {
            self.exists.store(false, Ordering::SeqCst);
            ("204 No Content", "")
        } else if self.exists.load(Ordering::SeqCst) {
            ("200 OK", user)
        } else {
            ("404 Not Found", "{}")
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        drop(stream.write_all(answer.as_bytes()));
    }
}

/// An environment whose apply died between the effect of a create and its answer.
fn interrupted() -> (Environment, Arc<Broker>) {
    let (broker, port, made) = Broker::start();
    let environment = Environment::with(&format!(
        r#"
provider "rabbitmq" {{
  endpoint = "http://127.0.0.1:{port}"
  username = "admin"
  password = "admin"
}}
resource "rabbitmq_user" "app" {{
  name = "app"
}}
"#
    ));
    let mut child = environment.start(&["apply", "--auto-approve"]);
    made.recv_timeout(Duration::from_secs(120)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    broker.answers_puts.store(true, Ordering::SeqCst);
    (environment, broker)
}

#[test]
fn a_plan_shows_what_was_made_and_its_apply_adopts_it() {
    let (environment, broker) = interrupted();
    let shown = environment.run(&["plan", "--out", "x.plan", "--detailed-exitcode"]);
    assert_eq!(shown.code, 2, "{}", shown.all());
    let line = "# rabbitmq_user.app: create was begun, recover: adopt (it was made)";
    assert!(shown.out.contains(line), "{}", shown.all());
    assert!(shown.out.contains("No changes."), "{}", shown.all());
    assert!(!shown.out.contains("will be created"), "{}", shown.all());
    // Nothing was recorded: it is there to be seen again.
    let json = environment.run(&["plan", "--json"]).out;
    let wanted = r#""type":"recovery","address":"rabbitmq_user.app","begun":"create","recover":"adopt","detail":"it was made""#;
    assert!(json.contains(wanted), "{json}");
    assert!(environment.run(&["show", "x.plan"]).out.contains(line));
    let document = environment.run(&["show", "--json", "x.plan"]).out;
    assert!(document.contains(r#""recover": "adopt""#), "{document}");
    let applied = environment.run(&["apply", "--auto-approve", "x.plan"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    let list = environment.run(&["state", "list"]).out;
    assert_eq!(list, "rabbitmq_user.app\n");
    let again = environment.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, 0, "{}", again.all());
    assert_eq!(environment.run(&["destroy", "--auto-approve"]).code, 0);
    assert!(!broker.exists.load(Ordering::SeqCst));
}

#[test]
fn a_saved_plan_is_refused_if_the_recovery_comes_out_otherwise() {
    let (environment, broker) = interrupted();
    let shown = environment.run(&["plan", "--out", "x.plan"]);
    assert!(shown.out.contains("recover: adopt"), "{}", shown.all());
    broker.exists.store(false, Ordering::SeqCst);
    let applied = environment.run(&["apply", "--auto-approve", "x.plan"]);
    assert_eq!(applied.code, 3, "{}", applied.all());
    assert!(applied.err.contains("STK0332"), "{}", applied.all());
    assert!(applied.err.contains("rabbitmq_user.app"), "{}", applied.all());
    // What was settled stands, and a new plan starts from it.
    let again = environment.run(&["plan"]);
    assert!(
        again.out.contains("rabbitmq_user.app will be created"),
        "{}",
        again.all()
    );
    assert!(!again.out.contains("recover:"), "{}", again.all());
}

#[test]
fn what_does_not_answer_is_told_and_stops_an_apply() {
    let (environment, broker) = interrupted();
    broker.refuses.store(true, Ordering::SeqCst);
    let shown = environment.run(&["plan"]);
    assert_eq!(shown.code, 0, "{}", shown.all());
    assert!(shown.out.contains("recover: unknown"), "{}", shown.all());
    assert!(shown.err.contains("STK0333"), "{}", shown.all());
    let applied = environment.run(&["apply", "--auto-approve"]);
    assert_eq!(applied.code, 1, "{}", applied.all());
    assert!(applied.err.contains("STK0420"), "{}", applied.all());
    broker.refuses.store(false, Ordering::SeqCst);
    broker.exists.store(false, Ordering::SeqCst);
    let shown = environment.run(&["plan"]);
    let line = "create was begun, recover: retry (nothing was made)";
    assert!(shown.out.contains(line), "{}", shown.all());
    assert!(
        shown.out.contains("rabbitmq_user.app will be created"),
        "{}",
        shown.all()
    );
}
