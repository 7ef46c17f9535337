//! Measures one durable record alone: `Store::append` beside a bare append and sync of the same bytes, in turn, in one run.
//!
//! Arguments: the folder to write in (on the file system that is meant), and how often. Prints the medians in
//! microseconds and their ratio.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stack_core::Value;
use stack_engine::backend::{Holder, Local};
use stack_engine::store::{Store, StoreSettings};
use stack_state::Record;
use stack_state::key::NoKey;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn record(number: usize) -> Record {
    Record::Output {
        name: "o".to_owned(),
        value: Some(Value::string(format!("{number:06}{}", "x".repeat(500)))),
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |t| t.as_secs_f64() * 1e6)
}

async fn measure(folder: PathBuf, times: usize) -> Result<()> {
    let settings = StoreSettings {
        backend: Arc::new(Local::new(&folder, "default")),
        keys: Arc::new(NoKey),
        environment: "default".to_owned(),
        tool_version: "0".to_owned(),
        expires: None,
        holder: Holder::current("bench"),
        lock_timeout: Duration::ZERO,
    };
    let (store, _) = Store::open(settings).await?;
    // The first record makes the journal.
    store.append(vec![record(usize::MAX)]).await?;
    let journal = folder.join("default/journal-1.log");
    let bare_path = folder.join("bare");
    let mut bare_file = OpenOptions::new().append(true).create(true).open(&bare_path)?;
    let mut length = std::fs::metadata(&journal)?.len();
    let (mut stored, mut bare) = (Vec::new(), Vec::new());
    for number in 0..times {
        let start = Instant::now();
        store.append(vec![record(number)]).await?;
        stored.push(start.elapsed());
        let bytes = std::fs::read(&journal)?;
        let frame = bytes.get(usize::try_from(length)?..).unwrap_or_default();
        length = bytes.len() as u64;
        let start = Instant::now();
        bare_file.write_all(frame)?;
        bare_file.sync_data()?;
        bare.push(start.elapsed());
    }
    store.close().await?;
    drop(std::fs::remove_file(&bare_path));
    let (stored, bare) = (median(&mut stored), median(&mut bare));
    println!("{stored:.0} {bare:.0} {:.2}", stored / bare);
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder")?;
    let times = arguments.next().map_or(Ok(500), |n| n.parse())?;
    let folder = PathBuf::from(folder).join(format!("append-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?
        .block_on(measure(folder.clone(), times));
    std::fs::remove_dir_all(&folder)?;
    done
}
