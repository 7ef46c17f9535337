//! The fake cloud as a program: `fake-cloud SOCKET` serves until standard input ends.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let socket = std::env::args_os().nth(1);
    let served = socket.map(|socket| stack_testkit::cloud::serve_until_stdin_ends(Path::new(&socket)));
    match served {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}
