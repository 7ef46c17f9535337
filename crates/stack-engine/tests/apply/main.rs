//! How an apply goes: the time each call is given, how many there are at once, what a failure and an interrupt leave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stack_config::MemorySources;
use stack_core::Value;
use stack_engine::backend::key::KeyInputs;
use stack_engine::backend::{Holder, Local};
use stack_engine::event::{Event, Events};
use stack_engine::store::{Store, StoreSettings};
use stack_engine::{Applied, ApplyOptions, Connections, Interrupt, Providers};
use stack_plan::{Options, PlanInput};
use stack_provider::AnyProvider;
use stack_state::{State, Status};

use world::{LARGE, ORDINARY, Service, World};

/// Keeps what was skipped and abandoned.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn event(&self, event: Event) {
        let line = match event {
            Event::Skipped { address, because } => {
                let because = because.map_or_else(|| "interrupted".to_owned(), |b| b.to_string());
                format!("skipped {address}: {because}")
            }
            Event::Abandoned { address, .. } => format!("abandoned {address}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Told {
    fn sorted(self) -> Vec<String> {
        let mut lines = self.0.into_inner().unwrap();
        lines.sort();
        lines
    }
}

struct Session {
    folder: tempfile::TempDir,
    number: i64,
    world: Arc<World>,
    parallelism: usize,
}

struct Ran {
    applied: Applied,
    state: State,
    told: Vec<String>,
}

impl Session {
    fn new() -> Self {
        let (number, world) = World::open();
        Self {
            folder: tempfile::tempdir().unwrap(),
            number,
            world,
            parallelism: 100,
        }
    }

    async fn apply(&self, text: &str) -> Ran {
        self.interrupted(text, &Interrupt::new()).await
    }

    async fn interrupted(&self, text: &str, interrupt: &Interrupt) -> Ran {
        let text = format!("provider \"service\" {{\n  world = {}\n}}\n{text}", self.number);
        let sources = MemorySources::new().with("main.hcl", text);
        let loaded = stack_config::load(&sources, "");
        assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics);
        let configuration = loaded.configuration.unwrap();
        let settings = StoreSettings {
            backend: Arc::new(Local::new(self.folder.path(), "default")),
            keys: Arc::new(KeyInputs::default()),
            environment: "default".to_owned(),
            tool_version: "0".to_owned(),
            expires: None,
            holder: Holder::current("test"),
            lock_timeout: Duration::from_secs(10),
        };
        let (store, state) = Store::open(settings).await.unwrap();
        let providers = Arc::new(
            Providers::new()
                .with(AnyProvider::of::<stack_provider_core::StackProvider>())
                .with(AnyProvider::of::<Service>()),
        );
        let connections = Connections::new(providers.clone(), interrupt.abandon().clone())
            .with_parallelism(self.parallelism)
            .with_timeouts_of(&configuration);
        let told = Told::default();
        stack_engine::recover(&state, &store, &connections, &told, interrupt)
            .await
            .unwrap();
        let state = store.state();
        let variables = BTreeMap::<Arc<str>, Value>::new();
        let options = Options::default();
        let input = PlanInput {
            configuration: &configuration,
            sources: &sources,
            catalog: &*providers,
            state: &state,
            variables: &variables,
            environment: "default",
            timestamp: "2026-01-01T00:00:00Z",
            options: &options,
        };
        let (plan, _) = stack_engine::plan(input, &connections, &told, interrupt)
            .await
            .unwrap();
        let apply = ApplyOptions {
            parallelism: self.parallelism,
            ..ApplyOptions::default()
        };
        let applied = stack_engine::apply(&plan, input, &store, &connections, &told, interrupt, &apply).await;
        let state = store.state();
        store.close().await.unwrap();
        let told = told.sorted();
        Ran { applied, state, told }
    }

    /// The calls since this was asked last, and the minutes each was given.
    fn times(&self) -> Vec<String> {
        std::mem::take(&mut *self.world.times.lock().unwrap())
    }
}

fn fine(ran: &Ran) {
    let diagnostics = &ran.applied.diagnostics;
    assert!(!diagnostics.has_errors(), "{diagnostics}");
}

fn recorded(ran: &Ran) -> Vec<(String, Status)> {
    let objects = ran.state.objects();
    objects
        .map(|(address, _, object)| (address.to_string(), object.status))
        .collect()
}

#[tokio::test]
async fn each_kind_of_work_has_the_time_that_its_block_says() {
    let session = Session::new();
    let text = |size: u32, delete: &str| {
        format!(
            r#"
resource "service_small" "a" {{
  name = "a"
  size = {size}
  timeouts {{
    create = "31m"
    update = "32m"
    delete = "{delete}"
    read   = "34m"
  }}
}}
resource "service_small" "b" {{
  name = "b"
}}
"#
        )
    };
    fine(&session.apply(&text(1, "33m")).await);
    let mut times = session.times();
    times.sort();
    assert_eq!(times, ["create a: 31m", "create b: 7m"]);
    fine(&session.apply(&text(2, "33m")).await);
    let times = session.times();
    assert!(times.contains(&"update a: 32m".to_owned()), "{times:?}");
    assert!(times.contains(&"read a: 34m".to_owned()), "{times:?}");
    assert!(times.contains(&"read b: 2m".to_owned()), "{times:?}");
    // A changed time is recorded without a call, and used once nothing else knows it.
    let ran = session.apply(&text(2, "1h30m")).await;
    fine(&ran);
    assert!(!session.times().iter().any(|t| t.starts_with("update")));
    fine(&session.apply("").await);
    let deletes: Vec<String> = session
        .times()
        .into_iter()
        .filter(|t| t.starts_with("delete"))
        .collect();
    assert_eq!(deletes.len(), 2);
    assert!(deletes.contains(&"delete a: 90m".to_owned()), "{deletes:?}");
    assert!(deletes.contains(&"delete b: 7m".to_owned()), "{deletes:?}");
    assert!(session.world.names().is_empty());
}

fn many(ty: &str, prefix: &str, count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let name = format!("{prefix}{number}");
        write!(text, "resource \"{ty}\" \"{name}\" {{\n  name = \"{name}\"\n}}\n").unwrap();
    }
    text
}

#[tokio::test]
async fn every_api_has_its_limit_reads_included() {
    let session = Session::new();
    let text = many("service_small", "s", 12) + &many("service_large", "l", 8);
    fine(&session.apply(&text).await);
    let (small, large) = (session.world.small.most(), session.world.large.most());
    assert!((2..=ORDINARY).contains(&small), "{small}");
    assert!((2..=LARGE).contains(&large), "{large}");
    fine(&session.apply(&text).await);
    let reads = session.world.reads.most();
    assert!((2..=ORDINARY).contains(&reads), "{reads}");
    assert_eq!(session.world.names().len(), 20);
}

#[tokio::test]
async fn parallelism_bounds_all_remote_calls_and_nothing_else() {
    let session = Session {
        parallelism: 1,
        ..Session::new()
    };
    let text = many("service_small", "s", 4) + &many("service_large", "l", 4) + &many_local(20);
    fine(&session.apply(&text).await);
    fine(&session.apply(&text).await);
    let world = &session.world;
    let most = [world.small.most(), world.large.most(), world.reads.most()];
    assert_eq!(most, [1, 1, 1]);
}

fn many_local(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        write!(
            text,
            "resource \"stack_data\" \"d{number}\" {{\n  input = {number}\n}}\n"
        )
        .unwrap();
        text
    })
}

#[tokio::test]
async fn a_service_that_asks_to_slow_down_is_served_in_the_end() {
    let session = Session::new();
    session.world.refusals.store(12, Ordering::SeqCst);
    let text = many("service_small", "s", 3);
    fine(&session.apply(&text).await);
    assert_eq!(session.world.names().len(), 3);
    // Reads are given up after fewer tries, but not while they only have to wait.
    session.world.refusals.store(60, Ordering::SeqCst);
    let one = many("service_small", "s", 1);
    fine(&session.apply(&one).await);
    assert_eq!(session.world.names(), ["s0"]);
}

const BRANCHES: &str = r#"
resource "service_small" "half" {
  name = "half"
  does = "half"
}
resource "service_small" "refused" {
  name = "refused"
  does = "refuse"
}
resource "stack_data" "behind_half" {
  input = service_small.half.id
}
resource "service_small" "far_behind" {
  name       = "far"
  depends_on = [stack_data.behind_half]
}
resource "stack_data" "behind_refused" {
  input = service_small.refused.id
}
resource "service_small" "good" {
  name = "good"
}
resource "service_small" "behind_good" {
  name = service_small.good.name == "good" ? "better" : "no"
}
"#;

#[tokio::test]
async fn a_failed_branch_is_left_out_by_name_and_the_others_go_on() {
    let session = Session::new();
    let ran = session.apply(BRANCHES).await;
    assert!(ran.applied.recorded && !ran.applied.interrupted);
    let errors = ran.applied.diagnostics.to_string();
    assert!(
        errors.contains("only half of it") && errors.contains("not for you"),
        "{errors}"
    );
    assert_eq!(
        ran.told,
        [
            "skipped service_small.far_behind: service_small.half",
            "skipped stack_data.behind_half: service_small.half",
            "skipped stack_data.behind_refused: service_small.refused",
        ]
    );
    let expected = [
        ("service_small.behind_good", Status::Ready),
        ("service_small.good", Status::Ready),
        ("service_small.half", Status::Tainted),
    ];
    assert_eq!(
        recorded(&ran),
        expected.map(|(address, status)| (address.to_owned(), status))
    );
    assert!(ran.state.pending.is_empty());
    // Mended, the rest is made, and what was half made is made anew.
    let mended = BRANCHES
        .replace("  does = \"half\"\n", "")
        .replace("  does = \"refuse\"\n", "");
    let ran = session.apply(&mended).await;
    fine(&ran);
    assert!(recorded(&ran).iter().all(|(_, status)| *status == Status::Ready));
    assert_eq!(
        session.world.names(),
        ["better", "far", "good", "half", "refused"]
    );
}

const SLOW: &str = r#"
resource "service_small" "slow" {
  name = "slow"
  does = "wait"
}
resource "service_small" "behind" {
  name       = "behind"
  depends_on = [service_small.slow]
}
"#;

#[tokio::test]
async fn one_interrupt_lets_a_running_create_end() {
    let session = Session::new();
    let interrupt = Interrupt::new();
    let signal = async {
        session.world.waiting.acquire().await.unwrap().forget();
        assert_eq!(interrupt.signal(), 1);
        session.world.gate.add_permits(1);
    };
    let (ran, ()) = tokio::join!(session.interrupted(SLOW, &interrupt), signal);
    assert!(ran.applied.interrupted && ran.applied.recorded);
    assert_eq!(ran.told, ["skipped service_small.behind: interrupted"]);
    let slow = ("service_small.slow".to_owned(), Status::Ready);
    assert_eq!(recorded(&ran), [slow]);
    assert!(ran.state.pending.is_empty());
    fine(&session.apply(SLOW).await);
    assert_eq!(session.world.names(), ["behind", "slow"]);
}

#[tokio::test]
async fn a_second_interrupt_abandons_a_create_and_the_next_apply_takes_up_what_it_made() {
    let session = Session::new();
    let interrupt = Interrupt::new();
    let signal = async {
        session.world.waiting.acquire().await.unwrap().forget();
        assert_eq!((interrupt.signal(), interrupt.signal()), (1, 2));
    };
    let (ran, ()) = tokio::join!(session.interrupted(SLOW, &interrupt), signal);
    assert!(ran.applied.interrupted);
    assert_eq!(
        ran.told,
        [
            "abandoned service_small.slow",
            "skipped service_small.behind: interrupted"
        ]
    );
    assert_eq!(ran.state.pending.len(), 1, "the journal knows of it");
    // The service made it all the same.
    assert_eq!(session.world.names(), ["slow"]);
    session.world.gate.add_permits(1);
    let ran = session.apply(SLOW).await;
    fine(&ran);
    assert!(ran.state.pending.is_empty());
    assert_eq!(session.world.names(), ["behind", "slow"]);
}
