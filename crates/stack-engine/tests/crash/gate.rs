//! A backend that comes to the cloud's gate before and after every durable write, so that a process can be killed there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use stack_engine::backend::{Backend, BackendError, Holder, Writer};
use stack_state::load::{Stored, TornEnd};
use stack_state::{State, frame};
use stack_testkit::cloud::Gate;

/// What operations are about, by their number.
type Operations = Arc<Mutex<BTreeMap<u64, String>>>;

/// The backend.
pub(crate) struct Gated {
    inner: Arc<dyn Backend>,
    gate: Arc<Mutex<Gate>>,
    operations: Operations,
}

impl Gated {
    /// `inner` with the gate of the cloud at this socket.
    pub(crate) fn new(inner: Arc<dyn Backend>, socket: &Path) -> Self {
        Self {
            inner,
            gate: Arc::new(Mutex::new(Gate::open(socket).unwrap())),
            operations: Operations::default(),
        }
    }

    /// Learns what the operations are about that an earlier run began.
    pub(crate) fn know(&self, state: &State) {
        let mut operations = self.operations.lock().unwrap();
        for (id, pending) in &state.pending {
            let action = format!("{:?}", pending.begin.action).to_lowercase();
            operations.insert(id.0, format!("{action} {}", pending.begin.address));
        }
    }

    /// Comes to the gate for something else than a write.
    pub(crate) fn pass(&self, what: &str) {
        self.gate.lock().unwrap().pass(what).unwrap();
    }
}

impl Backend for Gated {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn read(&self) -> Result<Stored, BackendError> {
        self.inner.read()
    }
    fn lock(&self, holder: &Holder, timeout: Duration) -> Result<Box<dyn Writer>, BackendError> {
        Ok(Box::new(GatedWriter {
            inner: self.inner.lock(holder, timeout)?,
            gate: self.gate.clone(),
            operations: self.operations.clone(),
        }))
    }
}

struct GatedWriter {
    inner: Box<dyn Writer>,
    gate: Arc<Mutex<Gate>>,
    operations: Operations,
}

impl GatedWriter {
    fn around<T>(
        &mut self,
        what: &[String],
        write: impl FnOnce(&mut dyn Writer) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let pass = |when: &str| {
            for what in what {
                let passed = self.gate.lock().unwrap().pass(&format!("{when} {what}"));
                // Only a process that is about to be killed gets here, or one whose test has ended.
                passed.map_err(|_| BackendError::Ended)?;
            }
            Ok(())
        };
        pass("before")?;
        let written = write(&mut *self.inner)?;
        pass("after")?;
        Ok(written)
    }

    /// What a frame holds, record by record: several share one write when they come at the same moment, and which do
    /// differs from run to run.
    fn names(&self, bytes: &[u8]) -> Vec<String> {
        let frames = frame::decode(bytes).unwrap();
        let lines = frames
            .frames
            .iter()
            .flat_map(|f| f.payload.split(|b| *b == b'\n'));
        lines
            .filter(|line| !line.is_empty())
            .map(|line| self.name(&serde_json::from_slice(line).unwrap()))
            .collect()
    }

    fn name(&self, record: &Json) -> String {
        let (kind, body) = record.as_object().unwrap().iter().next().unwrap();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let mut operations = self.operations.lock().unwrap();
        let number = body["operation"].as_u64().unwrap_or_default();
        let about = match kind.as_str() {
            "begin" => {
                let about = format!("{} {}", text("action"), text("address"));
                operations.insert(number, about.clone());
                about
            }
            "partial" | "end" => operations[&number].clone(),
            "write" => body["place"]["address"].as_str().unwrap_or_default().to_owned(),
            "move" => text("from").to_owned(),
            "output" | "check" => text("name").to_owned(),
            _ => text("address").to_owned(),
        };
        format!("{kind} {about}")
    }
}

impl Writer for GatedWriter {
    fn begin(&mut self, after: u64) -> Result<u64, BackendError> {
        self.around(&["epoch".to_owned()], |inner| inner.begin(after))
    }
    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        let names = self.names(frame);
        self.around(&names, |inner| inner.append(frame))
    }
    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError> {
        self.around(&["torn end".to_owned()], |inner| inner.keep_aside(end))
    }
    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError> {
        self.around(&["snapshot".to_owned()], |inner| inner.replace(snapshot))
    }
}
