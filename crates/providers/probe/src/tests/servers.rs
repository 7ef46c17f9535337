//! Small servers on this machine.

use std::sync::{Arc, Mutex};

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

async fn serve<F>(mut each: impl FnMut(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    port
}

/// Accepts and says nothing.
pub(super) async fn silent() -> u16 {
    serve(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

pub(super) struct TlsServer {
    pub(super) port: u16,
    pub(super) ca_pem: String,
    /// Names that clients have sent.
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl TlsServer {
    /// Name that the client of the `nth` complete handshake (from 0) has sent.
    pub(super) async fn name(&self, nth: usize) -> Option<String> {
        loop {
            if let Some(name) = self.names.lock().unwrap().get(nth) {
                return name.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// A TLS server with an authority of its own.
pub(super) async fn tls(name: &str, address: &str) -> TlsServer {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test authority");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, "test server");
    leaf.not_after = rcgen::date_time_ymd(2040, 1, 1);
    leaf.subject_alt_names = vec![
        SanType::DnsName(name.try_into().unwrap()),
        SanType::IpAddress(address.parse().unwrap()),
    ];
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = names.clone();
    let port = serve(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                seen.lock()
                    .unwrap()
                    .push(stream.get_ref().1.server_name().map(str::to_owned));
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await;
    TlsServer { port, ca_pem, names }
}

async fn send(stream: &mut TcpStream, method: connection::AMQPMethod) {
    let frame = AMQPFrame::Method(0, AMQPClass::Connection(method));
    let bytes = gen_frame(&frame)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner()
        .0;
    let _ = stream.write_all(&bytes).await;
}

async fn receive(stream: &mut TcpStream) -> Option<connection::AMQPMethod> {
    let mut buffer = Vec::new();
    loop {
        if let Ok((_, AMQPFrame::Method(_, AMQPClass::Connection(method)))) = parse_frame(buffer.as_slice()) {
            return Some(method);
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A broker that lets `admin` in with this password, to the virtual host given or any.
pub(super) async fn broker(password: &'static str, virtual_host: Option<&'static str>) -> u16 {
    serve(move |mut stream| async move {
        let mut header = [0; 8];
        if stream.read_exact(&mut header).await.is_err() || &header != b"AMQP\0\0\x09\x01" {
            let _ = stream.write_all(b"AMQP\0\0\x09\x01").await;
            return;
        }
        let mut properties = FieldTable::default();
        properties.insert("product".into(), AMQPValue::LongString("RabbitMQ".into()));
        properties.insert("version".into(), AMQPValue::LongString("3.12.1".into()));
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: properties,
            mechanisms: "PLAIN AMQPLAIN".into(),
            locales: "en_US".into(),
        };
        send(&mut stream, connection::AMQPMethod::Start(start)).await;
        let Some(connection::AMQPMethod::StartOk(login)) = receive(&mut stream).await else {
            return;
        };
        if login.response.to_string() != format!("\0admin\0{password}") {
            let close = connection::Close {
                reply_code: 403,
                reply_text: "ACCESS_REFUSED - Login was refused".into(),
                class_id: 0,
                method_id: 0,
            };
            send(&mut stream, connection::AMQPMethod::Close(close)).await;
            return;
        }
        let tune = connection::Tune {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
        };
        send(&mut stream, connection::AMQPMethod::Tune(tune)).await;
        // TuneOk and Open may arrive together: read on until the name of the virtual host has come.
        let mut buffer = Vec::new();
        let wanted = virtual_host.unwrap_or("/");
        while !buffer
            .windows(wanted.len() + 1)
            .any(|w| w[0] as usize == wanted.len() && &w[1..] == wanted.as_bytes())
        {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        send(&mut stream, connection::AMQPMethod::OpenOk(connection::OpenOk {})).await;
        let _ = receive(&mut stream).await;
        send(
            &mut stream,
            connection::AMQPMethod::CloseOk(connection::CloseOk {}),
        )
        .await;
    })
    .await
}

/// Answers every request with 418 and its first words.
pub(super) async fn http() -> u16 {
    serve(|mut stream| async move {
        let mut buffer = Vec::new();
        while !buffer.ends_with(b"\r\n\r\n") && buffer.len() < 8 {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let line = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches(" HTTP/1.1");
        let answer = format!(
            "HTTP/1.1 418 Teapot\r\nContent-Length: {}\r\n\r\n{line}",
            line.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    })
    .await
}
