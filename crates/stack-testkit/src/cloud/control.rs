//! For tests: starts a cloud as a process, and directs it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::protocol::{Planned, Reply, Request};
use super::world::World;

/// How long a cloud may take to come up.
const START: Duration = Duration::from_secs(30);

/// One blocking connection: a request a line, an answer a line.
struct Line {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Line {
    fn open(socket: &Path, control: bool) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut line = Self { stream, reader };
        match line.ask(&Request::Hello { control })? {
            Reply::Ok => Ok(line),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line)?;
        let mut answer = String::new();
        if self.reader.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!("the cloud answered {reply:?}"))
}

/// A gate for what is no call, on its own connection: a journal, for one.
pub struct Gate(Line);

impl Gate {
    /// A gate of the cloud at this socket.
    ///
    /// # Errors
    /// There is no cloud.
    pub fn open(socket: &Path) -> io::Result<Self> {
        Line::open(socket, false).map(Self)
    }

    /// Comes to a point, and returns when the world goes on.
    ///
    /// # Errors
    /// The run was abandoned, or the cloud has ended.
    pub fn pass(&mut self, what: &str) -> io::Result<()> {
        let what = what.to_owned();
        match self.0.ask(&Request::Pass { what })? {
            Reply::Ok => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

/// A cloud in a process of its own. It ends when this is dropped, or with the process that started it.
pub struct CloudProcess {
    child: Child,
    socket: PathBuf,
    line: Line,
}

impl CloudProcess {
    /// Starts `command`, which must serve the socket that is its last argument by
    /// [`serve_until_stdin_ends`](super::serve_until_stdin_ends), and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started, or does not answer in time.
    pub fn start(mut command: Command, socket: PathBuf) -> io::Result<Self> {
        let mut child = command.arg(&socket).stdin(Stdio::piped()).spawn()?;
        let end = Instant::now() + START;
        loop {
            match Line::open(&socket, true) {
                Ok(line) => return Ok(Self { child, socket, line }),
                Err(error) if Instant::now() > end || child.try_wait()?.is_some() => {
                    // It may have ended by itself, and the first error says more.
                    drop((child.kill(), child.wait()));
                    return Err(error);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn done(&mut self, request: &Request) -> io::Result<()> {
        match self.line.ask(request)? {
            Reply::Ok => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// A run begins: counts and log start anew. The world will stop at the point `stop`, and calls meet `faults`.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn begin(&mut self, stop: Option<&str>, faults: Vec<Planned>) -> io::Result<()> {
        let stop = stop.map(str::to_owned);
        self.done(&Request::Begin { stop, faults })
    }

    /// Whether the world has stopped, waiting a while for it.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn await_stop(&mut self, limit: Duration) -> io::Result<bool> {
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        match self.line.ask(&Request::AwaitStop { milliseconds })? {
            Reply::Stopped(stopped) => Ok(stopped),
            other => Err(unexpected(&other)),
        }
    }

    /// After the process under test was killed: ends its calls without a further effect, lets the world go on, and waits
    /// until nothing of that process is left.
    ///
    /// # Errors
    /// A connection of the run stays open: the process lives; or the cloud has ended.
    pub fn abandon(&mut self) -> io::Result<()> {
        self.done(&Request::Abandon)
    }

    /// Points of the run so far, in order.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn log(&mut self) -> io::Result<Vec<String>> {
        match self.line.ask(&Request::Log)? {
            Reply::Log(points) => Ok(points),
            other => Err(unexpected(&other)),
        }
    }

    /// How many of the planned faults were met.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn met(&mut self) -> io::Result<usize> {
        match self.line.ask(&Request::Met)? {
            Reply::Met(met) => Ok(met),
            other => Err(unexpected(&other)),
        }
    }

    /// A copy of everything that exists.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn export(&mut self) -> io::Result<World> {
        match self.line.ask(&Request::Export)? {
            Reply::World(world) => Ok(*world),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts another world in the place of this one.
    ///
    /// # Errors
    /// The cloud has ended.
    pub fn import(&mut self, world: &World) -> io::Result<()> {
        self.done(&Request::Import(Box::new(world.clone())))
    }
}

impl Drop for CloudProcess {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left to do.
        drop((self.child.kill(), self.child.wait()));
    }
}
