//! Streams to addresses as the host sees them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh::ChannelStream;
use russh::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Session, SshError};

/// A TCP connection made by the host on our behalf (`direct-tcpip`, RFC 4254 section 7.2). Keeps its session alive.
pub struct Tunnel {
    stream: ChannelStream<Msg>,
    _session: Arc<Session>,
}

impl Session {
    /// Connects to an address and port as the host sees them.
    ///
    /// # Errors
    /// The host cannot connect there or forbids forwarding, or the connection to the host broke.
    pub async fn tunnel(self: &Arc<Self>, address: &str, port: u16) -> Result<Tunnel, SshError> {
        let opened = self
            .handle
            .channel_open_direct_tcpip(address, port.into(), "127.0.0.1", 0)
            .await;
        let channel = opened.map_err(|source| match source {
            source @ russh::Error::ChannelOpenFailure(_) => SshError::TunnelRefused {
                endpoint: self.endpoint.clone(),
                target: format!("{address}:{port}"),
                source,
            },
            source => self.broken(source),
        })?;
        Ok(Tunnel {
            stream: channel.into_stream(),
            _session: Arc::clone(self),
        })
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
