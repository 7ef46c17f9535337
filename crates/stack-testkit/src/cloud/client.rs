//! The provider's side of the wire.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stack_provider::{Cx, ErrorKind, Owner, ProviderError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::protocol::{Answer, Operation, Owned, Refusal, RefusalKind, Reply, Request, Which};
use super::world::{Attributes, Object};

/// Names the socket of the cloud; read when a provider connects.
pub const SOCKET_VARIABLE: &str = "STACK_FAKE_CLOUD";

impl From<&Owner> for Owned {
    fn from(owner: &Owner) -> Self {
        Self {
            lineage: owner.lineage.clone(),
            token: owner.token.clone(),
            address: owner.address.to_string(),
        }
    }
}

impl From<Refusal> for ProviderError {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::Invalid => ErrorKind::InvalidArgument,
            RefusalKind::NotFound => ErrorKind::NotFound,
            RefusalKind::Exists => ErrorKind::AlreadyExists,
            RefusalKind::InUse => ErrorKind::Conflict,
            RefusalKind::Denied => ErrorKind::Denied,
            RefusalKind::Throttled => ErrorKind::Throttled,
            RefusalKind::Unreachable | RefusalKind::Failed => ErrorKind::Unavailable,
        };
        Self::new(kind, refusal.message)
    }
}

/// A client of the cloud. Each call has a connection to itself, which the next one uses again.
pub struct Cloud {
    socket: PathBuf,
    patience: Option<Duration>,
    idle: Mutex<Vec<BufReader<UnixStream>>>,
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::new(ErrorKind::Unavailable, "the connection to the cloud broke").source(error)
}

impl Cloud {
    /// A client of the cloud at this socket. A call is given up after `patience` without an answer; without it, when the
    /// time of its operation is over.
    pub fn at(socket: impl Into<PathBuf>, patience: Option<Duration>) -> Self {
        Self {
            socket: socket.into(),
            patience,
            idle: Mutex::default(),
        }
    }

    /// A client of the cloud that the environment names.
    pub(super) fn from_environment(patience: Option<i64>) -> Result<Self, ProviderError> {
        let socket: OsString = std::env::var_os(SOCKET_VARIABLE).ok_or_else(|| {
            let message = format!("{SOCKET_VARIABLE} does not name the socket of a cloud");
            ProviderError::new(ErrorKind::InvalidArgument, message)
        })?;
        let patience = patience
            .map(u64::try_from)
            .transpose()
            .map_err(|_| ProviderError::invalid("patience", "milliseconds cannot be negative"))?;
        Ok(Self::at(socket, patience.map(Duration::from_millis)))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// The cloud refuses, cannot be reached, or does not answer in time.
    pub async fn call(&self, cx: &Cx, operation: Operation) -> Result<Answer, ProviderError> {
        let name = match operation {
            Operation::Create { .. } => "Create",
            Operation::Read(_) => "Read",
            Operation::Update { .. } => "Update",
            Operation::Delete(_) => "Delete",
            Operation::Enter { .. } => "Enter",
        };
        let exchange = async {
            let mut connection = match self.spare() {
                Some(connection) => connection,
                None => self.open().await?,
            };
            let reply = ask(&mut connection, &Request::Call(operation)).await?;
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            Ok(reply)
        };
        let limited = async {
            match self.patience {
                None => exchange.await,
                Some(patience) => tokio::time::timeout(patience, exchange)
                    .await
                    .unwrap_or_else(|elapsed| Err(unavailable(elapsed))),
            }
        };
        let reply = cx.bounded(limited).await.and_then(|reply| reply);
        match reply.map_err(|error| error.operation(name))? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Refused(refusal) => Err(ProviderError::from(refusal).operation(name)),
            other => Err(nonsense(&other)),
        }
    }

    fn spare(&self) -> Option<BufReader<UnixStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn open(&self) -> Result<BufReader<UnixStream>, ProviderError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(unavailable)?;
        let mut connection = BufReader::new(stream);
        match ask(&mut connection, &Request::Hello { control: false }).await? {
            Reply::Ok => Ok(connection),
            other => Err(nonsense(&other)),
        }
    }

    pub(super) async fn read(&self, cx: &Cx, which: Which) -> Result<Option<Object>, ProviderError> {
        Ok(self.read_many(cx, vec![which]).await?.pop().flatten())
    }

    pub(super) async fn read_many(
        &self,
        cx: &Cx,
        which: Vec<Which>,
    ) -> Result<Vec<Option<Object>>, ProviderError> {
        let asked = which.len();
        match self.call(cx, Operation::Read(which)).await? {
            Answer::Objects(objects) if objects.len() == asked => Ok(objects),
            other => Err(nonsense(&other)),
        }
    }

    pub(super) async fn create(&self, cx: &Cx, operation: Operation) -> Result<String, ProviderError> {
        match self.call(cx, operation).await? {
            Answer::Id(id) => Ok(id),
            other => Err(nonsense(&other)),
        }
    }

    pub(super) async fn update(
        &self,
        cx: &Cx,
        which: Which,
        attributes: Attributes,
    ) -> Result<(), ProviderError> {
        self.call(cx, Operation::Update { which, attributes })
            .await
            .map(drop)
    }

    /// Ends an object; one that is gone is a success.
    pub(super) async fn delete(&self, cx: &Cx, which: Which) -> Result<(), ProviderError> {
        match self.call(cx, Operation::Delete(which)).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}

fn nonsense(reply: &impl std::fmt::Debug) -> ProviderError {
    ProviderError::internal(format!("the cloud answered {reply:?}"))
}

async fn ask(connection: &mut BufReader<UnixStream>, request: &Request) -> Result<Reply, ProviderError> {
    let mut line = serde_json::to_vec(request).map_err(unavailable)?;
    line.push(b'\n');
    connection.get_mut().write_all(&line).await.map_err(unavailable)?;
    let mut answer = String::new();
    if connection.read_line(&mut answer).await.map_err(unavailable)? == 0 {
        return Err(unavailable("it was closed"));
    }
    serde_json::from_str(&answer).map_err(unavailable)
}
