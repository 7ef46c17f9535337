//! An SSH server in this process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{self, Auth, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use stack_ssh::Connection;
use tokio::net::TcpListener;

/// What the server does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Behaviour {
    /// Accepts everyone; every command succeeds and writes nothing.
    Normal,
    /// Accepts nobody.
    RejectsUsers,
    /// Ends the connection when a command is started.
    HangsUp,
}

/// A running server.
pub(crate) struct Server {
    port: u16,
    key: PrivateKey,
    connections: Arc<AtomicUsize>,
    commands: Arc<Mutex<Vec<String>>>,
}

struct Handler {
    behaviour: Behaviour,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it on a free port of loopback.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let random = || PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let key = random();
        let config = Arc::new(server::Config {
            keys: vec![key.clone()],
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            key,
            connections: Arc::default(),
            commands: Arc::default(),
        };
        let (connections, commands) = (Arc::clone(&server.connections), Arc::clone(&server.commands));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let handler = Handler {
                    behaviour,
                    commands: Arc::clone(&commands),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, socket, handler).await {
                        let _ = session.await;
                    }
                });
            }
        });
        server
    }

    /// How to reach it.
    pub(crate) fn connection(&self) -> Connection {
        let user = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        Connection {
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: "tester".to_owned(),
            private_key: user.to_openssh(LineEnding::LF).unwrap().to_string().into(),
            host_keys: vec![self.key.public_key().to_openssh().unwrap()],
            connect_timeout: 20,
        }
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Command lines so far.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(match self.behaviour {
            Behaviour::RejectsUsers => Auth::reject(),
            Behaviour::Normal | Behaviour::HangsUp => Auth::Accept,
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.behaviour == Behaviour::HangsUp {
            return Err(russh::Error::Disconnect);
        }
        self.commands
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(data).into_owned());
        session.channel_success(channel)
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.exit_status_request(channel, 0)?;
        session.close(channel)
    }
}
