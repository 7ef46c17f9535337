//! The EC2 and S3 endpoint, and through it the hosts behind its instances.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::command::Command;
use crate::part::{Context, Part, PartStatus};
use crate::process::{self, Process, Service};
use crate::{digest, hosts};

const ADDRESS: &str = "127.0.0.1";
const PORT: u16 = 18080;
const REGION: &str = "us-east-2";

const SERVER: &str = "ec2";

/// Time for all hosts to be ended and their disks removed.
const GRACE: Duration = Duration::from_secs(60);

/// The part `ec2`.
#[derive(Debug)]
pub(crate) struct Ec2;

#[async_trait]
impl Part for Ec2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["hosts"]
    }

    fn installs(&self, cx: &Context) -> Vec<String> {
        let mut lines = Vec::new();
        if !environment(cx).is_ok_and(|environment| complete(&environment)) {
            lines.push(format!(
                "install Python packages (moto) into {}",
                cx.home.cache(SERVER).display()
            ));
        }
        if Process::find(&cx.home, SERVER).is_none() {
            lines.push(format!("start an EC2 and S3 endpoint on {ADDRESS}:{PORT}"));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        let environment = environment(cx)?;
        if complete(&environment) {
            return Ok(());
        }
        cx.progress
            .step(
                "installing the Python packages of the EC2 endpoint",
                make_environment(cx, environment),
            )
            .await
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        let begun = Instant::now();
        let image = hosts::image_in_use(cx);
        if Process::find(&cx.home, SERVER).is_some() && answers().await && with_hosts(cx) == image.is_some() {
            return Ok(());
        }
        self.down(cx).await?;
        anyhow::ensure!(
            TcpListener::bind((ADDRESS, PORT)).await.is_ok(),
            "port {PORT} on {ADDRESS} is in use by another program: end it (`ss -ltnp sport = :{PORT}` names it)"
        );
        let mut server = Service::new(SERVER, python(&environment(cx)?))
            .args([
                "-m",
                "stack_ec2",
                "serve",
                "--host",
                ADDRESS,
                "--port",
                &PORT.to_string(),
            ])
            .env("PYTHONPATH", cx.files(SERVER))
            // Compiled modules belong in the cache, not beside the sources.
            .env("PYTHONPYCACHEPREFIX", cx.home.cache(SERVER).join("compiled"))
            .env("PYTHONDONTWRITEBYTECODE", "");
        if let Some(image) = &image {
            server = server.arg("--image").arg(image);
            server = server.arg("--disks").arg(disks(cx));
            server = server.arg("--packages").arg(cx.home.cache("packages"));
            server = server.arg("--logs").arg(cx.home.logs());
        }
        let server = server.start(&cx.home).await?;
        server
            .ready(Duration::from_secs(60), || async { Ok(answers().await) })
            .await?;
        fs::write(marker(cx), if image.is_some() { "hosts" } else { "records" })?;
        let what = if image.is_some() {
            "with hosts"
        } else {
            "records only, without hosts"
        };
        cx.progress.done(
            format!("EC2 and S3 on http://{ADDRESS}:{PORT}, {what}"),
            begun.elapsed(),
        );
        Ok(())
    }

    async fn down(&self, cx: &Context) -> anyhow::Result<()> {
        process::stop(&cx.home, SERVER, GRACE).await?;
        let _ = fs::remove_file(marker(cx));
        // A server that was killed has left its hosts.
        if crate::network::able().is_ok() {
            Command::new("python3")
                .args(["-m", "stack_ec2", "clean", "--disks"])
                .arg(disks(cx))
                .env("PYTHONPATH", cx.files(SERVER))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .run()
                .await?;
        }
        let _ = fs::remove_dir(disks(cx));
        Ok(())
    }

    async fn status(&self, cx: &Context) -> PartStatus {
        let Some(server) = Process::find(&cx.home, SERVER) else {
            return match hosts_on_disk(cx) {
                0 => PartStatus::down("the endpoint does not run"),
                left => PartStatus::faulty(
                    format!("the endpoint has been killed; {left} hosts are left"),
                    "`stack-sandbox down ec2` removes them, `stack-sandbox up ec2` too",
                ),
            };
        };
        if !answers().await {
            let detail = format!("the endpoint (pid {}) does not answer", server.pid());
            return PartStatus::faulty(
                detail,
                format!("see {}, then `stack-sandbox up ec2`", cx.home.logs().display()),
            );
        }
        if !with_hosts(cx) {
            return PartStatus::faulty(
                "the endpoint keeps records only: no host stands behind an instance",
                "`stack-sandbox status hosts` says why; then `stack-sandbox up hosts ec2`",
            );
        }
        let hosts = hosts_on_disk(cx);
        PartStatus::up(format!("EC2 and S3 on http://{ADDRESS}:{PORT}, {hosts} hosts"))
    }

    fn addresses(&self, _cx: &Context) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{ADDRESS}:{PORT}")),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "sandbox".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "sandbox".to_owned()),
        ]
    }
}

/// Whether the endpoint runs, and with it perhaps hosts.
pub(crate) fn running(cx: &Context) -> bool {
    Process::find(&cx.home, SERVER).is_some()
}

fn disks(cx: &Context) -> PathBuf {
    cx.home.data("hosts")
}

fn hosts_on_disk(cx: &Context) -> usize {
    fs::read_dir(disks(cx)).map_or(0, Iterator::count)
}

fn marker(cx: &Context) -> PathBuf {
    cx.home.run().join("ec2.machines")
}

fn with_hosts(cx: &Context) -> bool {
    fs::read_to_string(marker(cx)).is_ok_and(|machines| machines == "hosts")
}

/// The virtual environment of the pinned packages; another pin is another folder.
fn environment(cx: &Context) -> anyhow::Result<PathBuf> {
    let digest = digest::of_files(&[cx.files(SERVER).join("requirements.txt")])?;
    Ok(cx.home.cache(SERVER).join(format!("python-{digest}")))
}

fn python(environment: &std::path::Path) -> PathBuf {
    environment.join("bin/python")
}

fn complete(environment: &std::path::Path) -> bool {
    environment.join("complete").is_file()
}

async fn make_environment(cx: &Context, environment: PathBuf) -> anyhow::Result<()> {
    let create = || {
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment)
    };
    if !create().succeeds().await {
        cx.packages.ensure(&cx.progress, &["python3-venv"]).await?;
        create()
            .run()
            .await
            .context("cannot make a virtual environment: install Python 3.10 or newer with `venv`")?;
    }
    Command::new(python(&environment))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(cx.files(SERVER).join("requirements.txt"))
        .run()
        .await?;
    fs::write(environment.join("complete"), "")?;
    Ok(())
}

/// Whether the endpoint answers a request.
async fn answers() -> bool {
    let request = async {
        let mut stream = TcpStream::connect((ADDRESS, PORT)).await?;
        stream
            .write_all(b"GET /moto-api/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1."))
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(5), request).await,
        Ok(Ok(true))
    )
}
