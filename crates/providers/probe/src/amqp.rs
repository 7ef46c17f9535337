//! The start of an AMQP 0-9-1 conversation: greeting, login, virtual host, and a polite end.

use amq_protocol::frame::{AMQPFrame, ProtocolVersion, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use stack_core::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::attempt::io_text;
use crate::origin::Stream;

/// Largest frame that a greeting may be, in bytes.
const LIMIT: usize = 256 * 1024;

/// Whom to log in as.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// User.
    pub(crate) username: String,
    /// Password.
    pub(crate) password: Secret<String>,
    /// Virtual host to open.
    pub(crate) virtual_host: String,
}

/// What the broker said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// `RabbitMQ`
    pub(crate) product: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Ways to log in that it offers.
    pub(crate) mechanisms: Vec<String>,
    /// Logged in, and the virtual host is open.
    pub(crate) logged_in: bool,
}

/// Speaks with a broker. What it has said is in `greeting` even where the conversation fails.
pub(crate) async fn converse(
    stream: impl Stream,
    login: Option<&Login>,
    greeting: &mut Greeting,
) -> Result<(), String> {
    let mut talk = Talk {
        stream,
        buffer: Vec::new(),
    };
    talk.send(&AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1()))
        .await?;
    let start = match talk.method("a greeting").await? {
        connection::AMQPMethod::Start(start) => start,
        other => return Err(unexpected("a greeting", &other)),
    };
    let property = |name: &str| match start.server_properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    greeting.product = property("product");
    greeting.version = property("version");
    let mechanisms = start.mechanisms.to_string();
    greeting.mechanisms = mechanisms.split_whitespace().map(str::to_owned).collect();
    let Some(login) = login else { return Ok(()) };

    let response = format!("\0{}\0{}", login.username, login.password.expose());
    talk.say(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties: capabilities(),
        mechanism: "PLAIN".into(),
        response: response.as_bytes().into(),
        locale: "en_US".into(),
    }))
    .await?;
    let tune = match talk.method("the end of the login").await? {
        connection::AMQPMethod::Tune(tune) => tune,
        other => return Err(unexpected("the end of the login", &other)),
    };
    talk.say(connection::AMQPMethod::TuneOk(connection::TuneOk {
        channel_max: tune.channel_max,
        frame_max: tune.frame_max,
        heartbeat: 0,
    }))
    .await?;
    talk.say(connection::AMQPMethod::Open(connection::Open {
        virtual_host: login.virtual_host.as_str().into(),
    }))
    .await?;
    match talk.method("the virtual host").await? {
        connection::AMQPMethod::OpenOk(_) => greeting.logged_in = true,
        other => return Err(unexpected("the virtual host", &other)),
    }
    let goodbye = connection::Close {
        reply_code: 200,
        reply_text: "probe done".into(),
        class_id: 0,
        method_id: 0,
    };
    // What was to be proved is proved; a broken goodbye does not take it back.
    if talk.say(connection::AMQPMethod::Close(goodbye)).await.is_ok() {
        let _ = talk.method("the goodbye").await;
    }
    Ok(())
}

/// With this capability a broker says why a login fails, instead of hanging up.
fn capabilities() -> FieldTable {
    let mut capabilities = FieldTable::default();
    capabilities.insert("authentication_failure_close".into(), AMQPValue::Boolean(true));
    let mut properties = FieldTable::default();
    properties.insert("product".into(), AMQPValue::LongString("stack".into()));
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

fn unexpected(wanted: &str, got: &connection::AMQPMethod) -> String {
    match got {
        connection::AMQPMethod::Close(close) => {
            format!("the broker closes with {} {}", close.reply_code, close.reply_text)
        }
        connection::AMQPMethod::Secure(_) => format!("AMQP: {wanted} was expected, not a second question"),
        _ => format!("AMQP: {wanted} was expected, not something else"),
    }
}

struct Talk<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Stream> Talk<S> {
    async fn say(&mut self, method: connection::AMQPMethod) -> Result<(), String> {
        self.send(&AMQPFrame::Method(0, AMQPClass::Connection(method)))
            .await
    }

    async fn send(&mut self, frame: &AMQPFrame) -> Result<(), String> {
        let written = gen_frame(frame)(WriteContext::from(Vec::new()));
        let bytes = written
            .map_err(|_| "AMQP: a frame cannot be made".to_owned())?
            .into_inner()
            .0;
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|e| format!("AMQP: {}", io_text(&e)))
    }

    /// The next method on the connection, heartbeats passed over.
    async fn method(&mut self, wanted: &str) -> Result<connection::AMQPMethod, String> {
        loop {
            match self.frame(wanted).await? {
                AMQPFrame::Method(0, AMQPClass::Connection(method)) => return Ok(method),
                AMQPFrame::Heartbeat => {}
                AMQPFrame::ProtocolHeader(version) => {
                    return Err(format!("the server speaks another protocol version, {version}"));
                }
                _ => return Err(format!("AMQP: {wanted} was expected, not another frame")),
            }
        }
    }

    async fn frame(&mut self, wanted: &str) -> Result<AMQPFrame, String> {
        loop {
            if let Some((frame, used)) = decode(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(frame);
            }
            if self.buffer.len() > LIMIT {
                return Err("AMQP: the answer has no end".to_owned());
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            match read {
                Ok(0) if self.buffer.is_empty() => {
                    return Err(format!("the connection was closed where {wanted} was expected"));
                }
                Ok(0) => return Err("the connection was closed in the middle of an answer".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("AMQP: {}", io_text(&error))),
            }
        }
    }
}

/// The first frame of a buffer and its length; `None`: it is not complete.
fn decode(buffer: &[u8]) -> Result<Option<(AMQPFrame, usize)>, String> {
    const HEADER: usize = 7;
    let length = if buffer.starts_with(b"AMQP") {
        8
    } else if buffer.len() < HEADER {
        return Ok(None);
    } else {
        if !matches!(buffer[0], 1 | 2 | 3 | 8) {
            return Err("the server does not speak AMQP".to_owned());
        }
        let size = u32::from_be_bytes([buffer[3], buffer[4], buffer[5], buffer[6]]);
        HEADER + usize::try_from(size).unwrap_or(LIMIT) + 1
    };
    if length > LIMIT {
        return Err("the server does not speak AMQP".to_owned());
    }
    if buffer.len() < length {
        return Ok(None);
    }
    match parse_frame(&buffer[..length]) {
        Ok((_, frame)) => Ok(Some((frame, length))),
        Err(_) => Err("the server does not speak AMQP".to_owned()),
    }
}
