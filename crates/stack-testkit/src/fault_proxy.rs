//! A proxy before a real HTTP service that makes single requests fail.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stack_provider::contract::{Fault, Faults};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longest head of a request or response.
const HEAD: usize = 64 * 1024;

/// Forwards HTTP/1.1 requests, one for each connection, and lets the armed one fail.
pub struct FaultProxy {
    address: SocketAddr,
    armed: Arc<Mutex<Armed>>,
    accept: JoinHandle<()>,
}

#[derive(Default)]
struct Armed {
    fault: Option<(usize, Fault)>,
    seen: usize,
    came: bool,
}

impl Armed {
    /// Counts a request; says how it is to fail.
    fn next(&mut self) -> Option<Fault> {
        let (nth, fault) = self.fault?;
        self.seen += 1;
        (self.seen == nth).then(|| {
            self.came = true;
            fault
        })
    }
}

impl FaultProxy {
    /// A proxy on a free loopback port before `upstream`. It ends when dropped.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn before(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let armed = Arc::<Mutex<Armed>>::default();
        let shared = Arc::clone(&armed);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let armed = Arc::clone(&shared);
                // A broken connection is the client's to notice.
                tokio::spawn(async move { serve(client, upstream, &armed).await.ok() });
            }
        });
        Ok(Self {
            address,
            armed,
            accept,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Faults for FaultProxy {
    fn arm(&self, nth: usize, fault: Fault) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Armed {
            fault: Some((nth, fault)),
            ..Armed::default()
        };
    }

    fn disarm(&self) -> bool {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *armed).came
    }
}

async fn serve(mut client: TcpStream, upstream: SocketAddr, armed: &Mutex<Armed>) -> io::Result<()> {
    let Some(request) = read_request(&mut client).await? else {
        return Ok(());
    };
    let fault = armed.lock().unwrap_or_else(PoisonError::into_inner).next();
    if fault == Some(Fault::Refused) {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(answer).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(&request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    if fault == Some(Fault::AnswerLost) {
        return Ok(());
    }
    client.write_all(&closing(&answer)).await
}

/// A whole request, with `connection: close`; `None` when the client closes instead.
async fn read_request(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = end_of_head(&bytes) {
            break end;
        }
        if bytes.len() > HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |text| text.trim().parse::<usize>())
        .map_err(io::Error::other)?;
    while bytes.len() < end + length {
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(closing(&bytes)))
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// The message with its `connection` header replaced by `close`.
fn closing(message: &[u8]) -> Vec<u8> {
    let Some(end) = end_of_head(message) else {
        return message.to_vec();
    };
    let head = String::from_utf8_lossy(&message[..end - 4]);
    let kept = head
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .chain(["connection: close", "", ""])
        .collect::<Vec<_>>();
    [kept.join("\r\n").as_bytes(), &message[end..]].concat()
}
