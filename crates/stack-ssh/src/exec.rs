//! Scripts on the host.

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use crate::{Script, Session, SshError};

/// Bytes a script may write to standard output.
const STDOUT_LIMIT: usize = 16 << 20;

/// Bytes of standard error that are kept; the last ones, where the reason of a failure stands.
const STDERR_KEPT: usize = 64 << 10;

/// What a script gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// The end of standard error.
    pub stderr: Vec<u8>,
    /// Exit status; 128 + signal number is not used: a script ended by a signal has 255.
    pub status: u32,
}

impl Output {
    /// Whether the exit status was 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of standard error in one line, for messages; empty when nothing was written.
    pub fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }
}

/// Closes a channel that its owner left before the script ended.
struct CloseOnDrop(Option<ChannelWriteHalf<Msg>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { channel.close().await });
        }
    }
}

impl Session {
    /// Runs a script, as root with `sudo`, and gives what it wrote and its exit status. A script that was sent whole
    /// goes on at the host even if the caller stops waiting.
    ///
    /// # Errors
    /// The connection broke, the host refused to run a command, or the script wrote too much. A failed script is no
    /// error: look at [`Output::status`].
    pub async fn exec(&self, script: &Script, sudo: bool) -> Result<Output, SshError> {
        let text = Bytes::from(script.render()?.as_bytes().to_vec());
        let command = if sudo && !self.is_root() {
            "sudo -n sh -s"
        } else {
            "sh -s"
        };
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.commands.acquire().await.ok();
        let channel = self
            .handle
            .channel_open_session()
            .await
            .map_err(|e| self.broken(e))?;
        let (reader, writer) = channel.split();
        let mut guard = CloseOnDrop(Some(writer));
        let Some(writer) = &guard.0 else {
            return Err(SshError::Protocol(russh::Error::Inconsistent));
        };
        writer.exec(true, command).await.map_err(|e| self.broken(e))?;
        // Both ends at once: a script may answer before it has been read to its end.
        let send = async {
            writer.data_bytes(text).await.map_err(|e| self.broken(e))?;
            writer.eof().await.map_err(|e| self.broken(e))
        };
        let (sent, output) = tokio::join!(send, self.collect(reader));
        let output = output?;
        // A host that ends the script early closes the channel; what it answered matters more.
        if output.status == 0 {
            sent?;
        }
        guard.0 = None;
        Ok(output)
    }

    async fn collect(&self, mut reader: ChannelReadHalf) -> Result<Output, SshError> {
        let mut output = Output {
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: 0,
        };
        let mut status = None;
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    output.stdout.extend_from_slice(&data);
                    if output.stdout.len() > STDOUT_LIMIT {
                        return Err(SshError::OutputTooLong {
                            endpoint: self.endpoint.clone(),
                            limit: STDOUT_LIMIT,
                        });
                    }
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    output.stderr.extend_from_slice(&data);
                    let excess = output.stderr.len().saturating_sub(STDERR_KEPT);
                    output.stderr.drain(..excess);
                }
                ChannelMsg::Failure => {
                    return Err(SshError::ExecRefused {
                        endpoint: self.endpoint.clone(),
                    });
                }
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::ExitSignal { .. } => status = Some(255),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        output.status = status.ok_or_else(|| SshError::NoExitStatus {
            endpoint: self.endpoint.clone(),
        })?;
        Ok(output)
    }
}
