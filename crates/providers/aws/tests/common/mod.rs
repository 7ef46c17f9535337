//! A real EC2 API on the loopback interface (moto), and what tests need around it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stack_core::{Path, SchemaOf, Value};
use stack_provider::{Cx, Provider as _, Sessions};
use stack_provider_aws::{AwsArguments, AwsClient, AwsProvider};
use tokio_util::sync::CancellationToken;

/// A running server; ended when dropped.
pub(crate) struct Moto {
    process: Child,
    pub(crate) address: SocketAddr,
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    cache.unwrap_or_else(home).join("stack")
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// The Python environment with moto, made on first use.
fn environment() -> PathBuf {
    let cache = cache();
    fs::create_dir_all(&cache).unwrap();
    // Tests run at the same time; one makes the environment.
    let lock = File::create(cache.join("moto-venv.lock")).unwrap();
    lock.lock().unwrap();
    let folder = cache.join("moto-venv");
    let complete = folder.join("complete");
    if !complete.exists() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder));
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "moto[server]"]));
        fs::write(complete, "").unwrap();
    }
    folder
}

impl Moto {
    /// Starts a server on a free port and waits until it answers.
    pub(crate) async fn start() -> Self {
        let environment = environment();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new(environment.join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { process, address };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return moto;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto does not answer on {address}");
    }

    /// The plain SDK on this server.
    pub(crate) fn sdk(&self) -> aws_sdk_ec2::Client {
        use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(format!("http://{}", self.address))
            .build();
        aws_sdk_ec2::Client::from_conf(config)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(60))
}

/// Provider arguments for this server; requests are tried once, so that every failure shows.
pub(crate) fn arguments(address: SocketAddr) -> AwsArguments {
    AwsArguments {
        region: Some("us-east-1".to_owned()),
        access_key: Some("test".to_owned()),
        secret_key: Some("test".into()),
        endpoint: Some(format!("http://{address}")),
        max_retries: 0,
        ..AwsArguments::default()
    }
}

pub(crate) async fn connect(address: SocketAddr) -> AwsClient {
    AwsProvider::connect(&cx(), arguments(address)).await.unwrap()
}

/// The model of these arguments, defaults filled in.
pub(crate) fn model<M: SchemaOf>(arguments: &[(&str, Value)]) -> M {
    let mut value = Value::object(arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    for (name, attribute) in M::schema().attributes {
        if let (None, Some(default)) = (value.attribute(&name), attribute.default) {
            value = value.with_attribute(&name, default);
        }
    }
    for (name, block) in M::schema().blocks {
        if value.attribute(&name).is_none() {
            let absent = match block.nesting {
                stack_core::Nesting::Single => Value::Null(block.ty()),
                stack_core::Nesting::List => Value::list(block.schema.ty(), Vec::new()),
            };
            value = value.with_attribute(&name, absent);
        }
    }
    M::decode(&value, &Path::root()).unwrap()
}

/// A map of strings.
pub(crate) fn map(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v)));
    Value::map(stack_core::Type::String, pairs.collect())
}

/// An object.
pub(crate) fn object(pairs: &[(&str, Value)]) -> Value {
    Value::object(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())))
}
