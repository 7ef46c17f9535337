//! The cloud at its socket: a thread for each connection, one call at a time on each.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::director::{Director, Served};
use super::protocol::{Reply, Request};

/// Longest line that is read.
const LINE: u64 = 16 << 20;

/// Serves a cloud that is empty at first, until standard input ends: the process that started it holds the other end,
/// so that no cloud outlives a test, however the test ends.
///
/// # Errors
/// The socket cannot be made.
pub fn serve_until_stdin_ends(socket: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || serve(&listener))?;
    let mut sink = Vec::new();
    io::stdin().lock().read_to_end(&mut sink)?;
    Ok(())
}

/// Serves every connection of a listener, for as long as it gives any.
fn serve(listener: &UnixListener) {
    let director = Arc::new(Director::default());
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let director = Arc::clone(&director);
        let served = thread::Builder::new()
            .name("connection".to_owned())
            // A broken connection is the client's to notice.
            .spawn(move || connection(&director, stream).ok());
        if served.is_err() {
            return;
        }
    }
}

fn connection(director: &Director, stream: UnixStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(Request::Hello { control }) = next(&mut reader)? else {
        return Err(io::Error::other("no greeting"));
    };
    if control {
        send(&stream, &Reply::Ok)?;
        while let Some(request) = next(&mut reader)? {
            send(&stream, &direct(director, request))?;
        }
        return Ok(());
    }
    let run = director.enter();
    let ended = calls(director, run, &stream, &mut reader);
    // Closed for the client before the end is counted.
    let closed = stream.shutdown(std::net::Shutdown::Both);
    director.leave(run);
    ended.and(closed)
}

fn next(reader: &mut BufReader<UnixStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.by_ref().take(LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

fn send(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// What a client may ask, until it or its run ends.
fn calls(
    director: &Director,
    run: u64,
    stream: &UnixStream,
    reader: &mut BufReader<UnixStream>,
) -> io::Result<()> {
    send(stream, &Reply::Ok)?;
    while let Some(request) = next(reader)? {
        match request {
            Request::Call(operation) => match director.serve(run, &operation) {
                Ok(Served::Answered(result, answering)) => {
                    let sent = match result {
                        Ok(answer) => send(stream, &Reply::Answer(answer)),
                        Err(refusal) => send(stream, &Reply::Refused(refusal)),
                    };
                    if director.answered(run, &answering).is_err() {
                        return Ok(());
                    }
                    sent?;
                }
                // The next read ends when the client gives up.
                Ok(Served::Silent) => {}
                Ok(Served::Broken) | Err(_) => return Ok(()),
            },
            Request::Pass { what } => match director.pass(run, &what) {
                Ok(()) => send(stream, &Reply::Ok)?,
                Err(_) => return Ok(()),
            },
            other => return Err(io::Error::other(format!("not for a client: {other:?}"))),
        }
    }
    Ok(())
}

/// What a controller may ask.
fn direct(director: &Director, request: Request) -> Reply {
    match request {
        Request::Begin { stop, faults } => {
            director.begin(stop, faults);
            Reply::Ok
        }
        Request::AwaitStop { milliseconds } => {
            Reply::Stopped(director.await_stop(Duration::from_millis(milliseconds)))
        }
        Request::Abandon if director.abandon() => Reply::Ok,
        Request::Abandon => Reply::Failed("a connection of the abandoned run is still open".to_owned()),
        Request::Log => Reply::Log(director.points()),
        Request::Met => Reply::Met(director.met()),
        Request::Export => Reply::World(Box::new(director.export())),
        Request::Import(world) => {
            director.import(*world);
            Reply::Ok
        }
        Request::Hello { .. } | Request::Call(_) | Request::Pass { .. } => {
            Reply::Failed("not for a controller".to_owned())
        }
    }
}
