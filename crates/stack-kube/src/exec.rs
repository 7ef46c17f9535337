//! Commands in pods, and their logs.

use std::pin::Pin;
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, LogParams};
use stack_provider::ErrorKind;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, ReadHalf, SimplexStream, WriteHalf};

use crate::{Kube, KubeError};

/// Room for what a command has written and nobody has read yet, in bytes.
const BUFFER: usize = 64 * 1024;

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 0 is success.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A running command: what is written goes to its standard input, what is read is its standard output. Dropping it
/// ends the connection.
pub struct ExecStream {
    process: kube::api::AttachedProcess,
    input: WriteHalf<SimplexStream>,
    output: ReadHalf<SimplexStream>,
    errors: Option<ReadHalf<SimplexStream>>,
}

impl ExecStream {
    /// What the command has written to standard error, up to its end; for the error text after the stream has ended.
    pub async fn errors(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(mut errors) = self.errors.take() {
            let _ = errors.read_to_end(&mut text).await;
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// The next line that the command writes to standard error, without its end; empty at the end of its output.
    pub async fn error_line(&mut self) -> String {
        let mut line = Vec::new();
        let Some(errors) = &mut self.errors else {
            return String::new();
        };
        while let Ok(byte) = errors.read_u8().await {
            if byte == b'\n' {
                break;
            }
            line.push(byte);
        }
        String::from_utf8_lossy(&line).trim().to_owned()
    }

    /// The exit code, once the command has ended.
    pub async fn code(&mut self) -> Option<i32> {
        let status = self.process.take_status()?.await?;
        Some(exit_code(&status))
    }
}

impl AsyncRead for ExecStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for ExecStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

/// The exit code in the status that ends a command; 127 where the container has no such program.
fn exit_code(status: &Status) -> i32 {
    if status.status.as_deref() == Some("Success") {
        return 0;
    }
    let causes = status.details.as_ref().and_then(|d| d.causes.as_ref());
    let code = causes
        .into_iter()
        .flatten()
        .find(|c| c.reason.as_deref() == Some("ExitCode"))
        .and_then(|c| c.message.as_ref()?.parse().ok());
    let missing = || {
        status
            .message
            .as_ref()
            .is_some_and(|m| m.contains("executable file not found"))
    };
    code.unwrap_or_else(|| if missing() { 127 } else { -1 })
}

async fn read_all(reader: Option<ReadHalf<SimplexStream>>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(mut reader) = reader {
        reader.read_to_end(&mut text).await?;
    }
    Ok(text)
}

impl Kube {
    /// Starts a command in a container and gives its standard input and output as a stream.
    ///
    /// # Errors
    /// There is no such pod or container, or the server refuses.
    pub async fn exec_stream(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[&str],
    ) -> Result<ExecStream, KubeError> {
        let mut process = self.attach(namespace, pod, container, command, true).await?;
        let missing = || KubeError::new(ErrorKind::Internal, "the command has no standard input or output");
        let input = process.stdin().ok_or_else(missing)?;
        let output = process.stdout().ok_or_else(missing)?;
        let errors = process.stderr();
        Ok(ExecStream {
            process,
            input,
            output,
            errors,
        })
    }

    /// Runs a command in a container to its end.
    ///
    /// # Errors
    /// There is no such pod or container, or the server refuses. A command that fails is no error.
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[&str],
    ) -> Result<Output, KubeError> {
        let mut process = self.attach(namespace, pod, container, command, false).await?;
        let broken = |e: std::io::Error| {
            KubeError::new(ErrorKind::Unavailable, "the command's connection broke").because(e)
        };
        let (out, err) = (process.stdout(), process.stderr());
        let (stdout, stderr) = tokio::join!(read_all(out), read_all(err));
        let status = match process.take_status() {
            Some(status) => status.await,
            None => None,
        };
        let Some(status) = status else {
            return Err(KubeError::new(
                ErrorKind::Unavailable,
                "the command's connection ended before the command",
            ));
        };
        Ok(Output {
            code: exit_code(&status),
            stdout: stdout.map_err(broken)?,
            stderr: stderr.map_err(broken)?,
        })
    }

    async fn attach(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[&str],
        stdin: bool,
    ) -> Result<kube::api::AttachedProcess, KubeError> {
        let params = AttachParams {
            container: container.map(str::to_owned),
            stdin,
            max_stdin_buf_size: Some(BUFFER),
            max_stdout_buf_size: Some(BUFFER),
            max_stderr_buf_size: Some(BUFFER),
            ..AttachParams::default()
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let started = pods.exec(pod, command.iter().copied(), &params).await;
        started.map_err(|error| {
            let mut error = KubeError::from(error);
            // The answer to a request for a stream has a status code and no text.
            match error.code {
                404 => error.message = format!("there is no pod {pod} in namespace {namespace}"),
                400 | 500 => {
                    let container = container.map(|c| format!("container {c} of ")).unwrap_or_default();
                    error.message = format!(
                        "no command can be run in {container}pod {pod} in namespace {namespace}; check that it runs \
                         and has that container"
                    );
                }
                _ => {}
            }
            error
        })
    }

    /// The log of a container, all of it or what came in the last `since` seconds.
    ///
    /// # Errors
    /// There is no such pod or container, or the server cannot be reached.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        since: Option<i64>,
    ) -> Result<String, KubeError> {
        let params = LogParams {
            container: container.map(str::to_owned),
            since_seconds: since,
            ..LogParams::default()
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        Ok(pods.logs(pod, &params).await?)
    }
}
