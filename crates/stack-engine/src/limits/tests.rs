//! Time is paused: it moves only where everybody waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use stack_provider::Sessions;
use tokio_util::sync::CancellationToken;

use super::*;

fn cx(seconds: u64) -> Cx {
    Cx::new(
        Sessions::new(),
        CancellationToken::new(),
        Duration::from_secs(seconds),
    )
}

fn limits(apis: &[(&'static str, usize)], all: usize) -> Limits {
    Limits {
        apis: apis
            .iter()
            .map(|(name, limit)| (*name, Limiter::new(*limit)))
            .collect(),
        all: Arc::new(Semaphore::new(all)),
    }
}

fn slow_down(retry_after: Option<u64>) -> ProviderError {
    ProviderError {
        retry_after: retry_after.map(Duration::from_secs),
        ..ProviderError::new(ErrorKind::Throttled, "slow down")
    }
}

/// Makes `calls` calls of a second each at once; the most that ran at a time.
async fn most_at_a_time(limits: &Limits, api: &str, calls: usize) -> usize {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let call = || async {
        let pass = limits.enter(&cx(10_000), api).await.unwrap();
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.fetch_sub(1, Ordering::SeqCst);
        drop(pass);
    };
    futures::future::join_all((0..calls).map(|_| call())).await;
    most.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn each_api_has_its_limit_and_the_command_one_for_all() {
    let limits = limits(&[("", 4), ("Launch", 2)], 100);
    assert_eq!(most_at_a_time(&limits, "", 20).await, 4);
    assert_eq!(most_at_a_time(&limits, "Launch", 20).await, 2);
    assert_eq!(most_at_a_time(&limits, "unknown", 20).await, 4);
    let narrow = super::tests::limits(&[("", 4)], 3);
    assert_eq!(most_at_a_time(&narrow, "", 20).await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_reaches_nothing_takes_no_place() {
    let limits = limits(&[], 1);
    assert_eq!(most_at_a_time(&limits, "", 20).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_halves_the_limit_once_and_success_brings_it_back_slowly() {
    let limits = limits(&[("", 8)], 100);
    let mut passes = Vec::new();
    for _ in 0..8 {
        passes.push(limits.enter(&cx(60), "").await.unwrap());
    }
    for pass in passes {
        pass.end::<()>(Err(&mut slow_down(None)));
    }
    assert_eq!(most_at_a_time(&limits, "", 20).await, 4);
    let again = limits.enter(&cx(60), "").await.unwrap();
    again.end::<()>(Err(&mut slow_down(None)));
    assert_eq!(most_at_a_time(&limits, "", 20).await, 2);
    let mut successes = 0;
    while most_at_a_time(&limits, "", 20).await < 8 {
        limits.enter(&cx(60), "").await.unwrap().end(Ok(()));
        successes += 1;
        assert!(successes < 100, "the limit never grows back");
    }
    assert!(successes > 8, "the limit is back after {successes} calls");
    for _ in 0..100 {
        limits.enter(&cx(60), "").await.unwrap().end(Ok(()));
    }
    assert_eq!(most_at_a_time(&limits, "", 20).await, 8);
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_for_what_one_was_told() {
    let limits = limits(&[("", 2), ("Launch", 2)], 100);
    let begin = Instant::now();
    let running = limits.enter(&cx(600), "").await.unwrap();
    let refused = limits.enter(&cx(600), "").await.unwrap();
    refused.end::<()>(Err(&mut slow_down(Some(30))));
    // Another API of the provider goes on.
    drop(limits.enter(&cx(600), "Launch").await.unwrap());
    assert_eq!(begin.elapsed(), Duration::ZERO);
    drop(running);
    let others = (0..5).map(|_| async {
        let pass = limits.enter(&cx(600), "").await.unwrap();
        assert!(
            begin.elapsed() >= Duration::from_secs(30),
            "{:?}",
            begin.elapsed()
        );
        drop(pass);
    });
    futures::future::join_all(others).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_time_of_its_operation() {
    let limits = limits(&[("", 1)], 100);
    let refused = limits.enter(&cx(600), "").await.unwrap();
    refused.end::<()>(Err(&mut slow_down(Some(3600))));
    let begin = Instant::now();
    assert_eq!(
        limits.enter(&cx(600), "").await.unwrap_err().kind,
        ErrorKind::Timeout
    );
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // A place that does not become free either.
    let limits = super::tests::limits(&[("", 1)], 100);
    let _taken = limits.enter(&cx(600), "").await.unwrap();
    assert_eq!(
        limits.enter(&cx(5), "").await.unwrap_err().kind,
        ErrorKind::Timeout
    );
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_its_place_to_the_next() {
    let limits = limits(&[("", 1)], 100);
    let taken = limits.enter(&cx(600), "").await.unwrap();
    let (impatient, patient) = (cx(5), cx(600));
    let one = limits.enter(&impatient, "");
    let other = limits.enter(&patient, "");
    let free = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(taken);
    };
    let (one, other, ()) = tokio::join!(one, other, free);
    assert!(one.is_err() && other.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_operation_begins_with_its_first_call() {
    let limits = limits(&[("", 1)], 100);
    let second = Duration::from_secs(1);
    let taken = limits.enter(&cx(600), "").await.unwrap();
    let release = async {
        tokio::time::sleep(100 * second).await;
        drop(taken);
    };
    let begin = cx(5);
    let ((pass, cx), ()) = tokio::join!(
        async { limits.begin(&begin, 5 * second, "").await.unwrap() },
        release
    );
    assert_eq!(cx.remaining(), 5 * second);
    // A service that wants to be left alone for longer is not waited for.
    pass.end::<()>(Err(&mut slow_down(Some(6))));
    let error = limits.begin(&begin, 5 * second, "").await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(limits.begin(&begin, 7 * second, "").await.is_ok());
}
