//! A real OpenSSH server on loopback, for tests. It logs in the user who runs the test.

use std::fs;
use std::io;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Connection;

/// A running server; it ends with the value.
pub struct Sshd {
    program: &'static str,
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

/// Where Debian and others put it; the search path of a user rarely holds `sbin`.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

impl Sshd {
    /// Starts a server with fresh keys.
    ///
    /// # Errors
    /// `sshd` or `ssh-keygen` is not installed (the message says how to get them), or the server does not start.
    pub fn start() -> io::Result<Self> {
        let found = PROGRAMS.into_iter().find(|p| Path::new(p).exists());
        let program = found.ok_or_else(|| {
            io::Error::other("sshd is not installed; `apt-get install openssh-server` brings it")
        })?;
        let folder = tempfile::tempdir()?;
        for name in ["host_ed25519", "host_ecdsa", "user_ed25519", "user_ecdsa"] {
            keygen(&folder.path().join(name))?;
        }
        for name in ["user_ed25519", "user_ecdsa"] {
            authorize(folder.path(), name)?;
        }
        // As root the server wants the folder it confines itself to.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let path = folder.path().display();
        // At its second level bash reads no start-up file of the user's.
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {path}/host_ed25519\nHostKey {path}/host_ecdsa\n\
             AuthorizedKeysFile {path}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nPidFile none\nAllowTcpForwarding yes\nUseDNS no\n\
             LogLevel VERBOSE\nSetEnv PATH={path}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SHLVL=2\n"
        );
        fs::write(folder.path().join("sshd_config"), config)?;
        fs::create_dir(folder.path().join("bin"))?;
        let child = spawn(program, folder.path())?;
        let server = Self {
            program,
            folder,
            child,
            port,
        };
        server.wait()?;
        Ok(server)
    }

    /// Starts the server again, with the same keys and port, after [`Sshd::stop`].
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child = spawn(self.program, self.folder.path())?;
        self.wait()
    }

    /// A folder whose programs are found before those of the system.
    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// Commands that were started so far, by the server's log.
    pub fn commands(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines()
            .filter(|line| line.starts_with("Starting session: command"))
            .count()
    }

    fn wait(&self) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if start.elapsed() > Duration::from_secs(20) {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("sshd does not listen; its log:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// How to reach it: user key and pinned host key are ed25519.
    ///
    /// # Errors
    /// A key file cannot be read.
    pub fn connection(&self) -> io::Result<Connection> {
        self.connection_with("user_ed25519", "host_ed25519")
    }

    /// How to reach it with another user key (`user_ed25519`, `user_ecdsa`, `user_rsa`) and another pinned host key
    /// (`host_ed25519`, `host_ecdsa`).
    ///
    /// # Errors
    /// A key file cannot be read.
    pub fn connection_with(&self, user_key: &str, host_key: &str) -> io::Result<Connection> {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name));
        // RSA keys take long to make, and few tests want one.
        if !self.folder.path().join(user_key).exists() {
            keygen(&self.folder.path().join(user_key))?;
            authorize(self.folder.path(), user_key)?;
        }
        let user = Command::new("id").arg("-un").output()?.stdout;
        Ok(Connection {
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: String::from_utf8_lossy(&user).trim().to_owned(),
            private_key: read(user_key)?.into(),
            host_keys: vec![read(&format!("{host_key}.pub"))?],
            connect_timeout: 20,
        })
    }

    /// A folder that goes away with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server and its connections.
    pub fn stop(&mut self) {
        // Connections have processes of their own. What has ended already is as good.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        for pid in fs::read_to_string(children)
            .unwrap_or_default()
            .split_whitespace()
        {
            let _ = Command::new("kill")
                .args(["-KILL", pid])
                .stderr(Stdio::null())
                .status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(program: &str, folder: &Path) -> io::Result<Child> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}

/// Lets the owner of a key log in.
fn authorize(folder: &Path, name: &str) -> io::Result<()> {
    let key = fs::read(folder.join(format!("{name}.pub")))?;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("authorized_keys"))?;
    file.write_all(&key)
}

/// Makes a key; the last part of the file's name says of which kind.
fn keygen(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = name.rsplit('_').next().unwrap_or_default();
    let done = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "test", "-t", kind, "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            io::Error::other(format!(
                "ssh-keygen cannot be run ({e}); `apt-get install openssh-client` brings it"
            ))
        })?;
    if done.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&done.stderr).into_owned(),
        ))
    }
}
