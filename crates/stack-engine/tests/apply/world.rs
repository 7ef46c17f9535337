//! A service in memory that notes how long it is given, how many calls it has at a time, and that fails on request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use stack_core::{Schema, Value};
use stack_provider::{
    Api, Cx, ErrorKind, Failure, Owner, Ownership, Provider, ProviderError, Registry, RemoteCall, Resource,
    async_trait,
};
use tokio::sync::Semaphore;

/// Calls that the service takes at a time.
pub(crate) const ORDINARY: usize = 4;
/// Creates of large things at a time.
pub(crate) const LARGE: usize = 2;

/// How many calls there are, and were at most.
#[derive(Default)]
pub(crate) struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    async fn call(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct World {
    /// Each call with the whole minutes it was given, begun ones counted as whole.
    pub(crate) times: Mutex<Vec<String>>,
    /// Everything there is, by token.
    pub(crate) things: Mutex<BTreeMap<String, ThingModel>>,
    pub(crate) reads: Gauge,
    pub(crate) small: Gauge,
    pub(crate) large: Gauge,
    /// Calls that are still to be asked to slow down.
    pub(crate) refusals: AtomicUsize,
    /// What `does = "wait"` waits for, once it has taken effect.
    pub(crate) gate: Semaphore,
    /// Calls that wait there.
    pub(crate) waiting: Semaphore,
}

static WORLDS: LazyLock<Mutex<BTreeMap<i64, Arc<World>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

impl World {
    /// An empty one, and its number.
    pub(crate) fn open() -> (i64, Arc<Self>) {
        let number = i64::try_from(NEXT.fetch_add(1, Ordering::SeqCst)).unwrap();
        let world = Arc::new(Self {
            times: Mutex::default(),
            things: Mutex::default(),
            reads: Gauge::default(),
            small: Gauge::default(),
            large: Gauge::default(),
            refusals: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            waiting: Semaphore::new(0),
        });
        WORLDS.lock().unwrap().insert(number, world.clone());
        (number, world)
    }

    fn note(&self, cx: &Cx, verb: &str, name: &str) -> Result<(), ProviderError> {
        let minutes = cx.remaining().as_secs().div_ceil(60);
        self.times
            .lock()
            .unwrap()
            .push(format!("{verb} {name}: {minutes}m"));
        let left = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(ProviderError {
                retry_after: Some(Duration::from_millis(1)),
                ..ProviderError::new(ErrorKind::Throttled, "slow down")
            }),
            Err(_) => Ok(()),
        }
    }

    /// The names of everything there is.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .things
            .lock()
            .unwrap()
            .values()
            .map(|t| t.name.clone())
            .collect();
        names.sort();
        names
    }
}

#[derive(Schema)]
pub(crate) struct ServiceConfig {
    /// Which world.
    world: Option<i64>,
}

pub(crate) struct Service;

#[async_trait]
impl Provider for Service {
    const NAME: &'static str = "service";
    const PARALLELISM: usize = ORDINARY;
    const APIS: &'static [Api] = &[Api {
        name: "Large",
        limit: LARGE,
    }];
    type Config = ServiceConfig;
    type Client = Arc<World>;

    async fn connect(_: &Cx, config: ServiceConfig) -> Result<Arc<World>, ProviderError> {
        let world = config.world.and_then(|n| WORLDS.lock().unwrap().get(&n).cloned());
        world.ok_or_else(|| ProviderError::new(ErrorKind::InvalidArgument, "there is no such world"))
    }

    fn register(registry: &mut Registry<Arc<World>>) {
        registry.resource::<Small>();
        registry.resource::<Large>();
    }
}

#[derive(Clone, Schema)]
pub(crate) struct ThingModel {
    #[schema(replace)]
    name: String,
    size: Option<i64>,
    /// What its create does: "refuse", "half" or "wait".
    does: Option<String>,
    #[schema(computed)]
    id: Option<String>,
}

/// What differs between the two types.
pub(crate) trait Size: Send + Sync + 'static {
    const TYPE: &'static str;
    const API: &'static str;
    fn gauge(world: &World) -> &Gauge;
}

pub(crate) struct Thing<S>(std::marker::PhantomData<S>);

pub(crate) struct SmallSize;
pub(crate) struct LargeSize;
type Small = Thing<SmallSize>;
type Large = Thing<LargeSize>;

impl Size for SmallSize {
    const TYPE: &'static str = "service_small";
    const API: &'static str = "";
    fn gauge(world: &World) -> &Gauge {
        &world.small
    }
}

impl Size for LargeSize {
    const TYPE: &'static str = "service_large";
    const API: &'static str = "Large";
    fn gauge(world: &World) -> &Gauge {
        &world.large
    }
}

#[async_trait]
impl<S: Size> Resource for Thing<S> {
    const TYPE: &'static str = S::TYPE;
    const OWNERSHIP: Ownership = Ownership::Token;
    const TIMEOUT_SECONDS: u64 = 7 * 60;
    type Model = ThingModel;
    type Client = Arc<World>;

    fn api(call: RemoteCall) -> &'static str {
        if call == RemoteCall::Create { S::API } else { "" }
    }

    async fn read(
        cx: &Cx,
        world: &Arc<World>,
        prior: &ThingModel,
    ) -> Result<Option<ThingModel>, ProviderError> {
        world.note(cx, "read", &prior.name)?;
        world.reads.call().await;
        let things = world.things.lock().unwrap();
        Ok(things.values().find(|thing| thing.id == prior.id).cloned())
    }

    async fn create(
        cx: &Cx,
        world: &Arc<World>,
        owner: &Owner,
        planned: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        world.note(cx, "create", &planned.name)?;
        S::gauge(world).call().await;
        if planned.does.as_deref() == Some("refuse") {
            return Err(ProviderError::new(ErrorKind::Denied, "not for you").into());
        }
        let made = ThingModel {
            id: Some(owner.token.clone()),
            ..planned
        };
        world
            .things
            .lock()
            .unwrap()
            .insert(owner.token.clone(), made.clone());
        match made.does.as_deref() {
            Some("half") => Err(Failure {
                error: ProviderError::new(ErrorKind::Denied, "only half of it is for you"),
                object: Some(Box::new(made)),
            }),
            Some("wait") => {
                world.waiting.add_permits(1);
                cx.bounded(world.gate.acquire()).await?.unwrap().forget();
                Ok(made)
            }
            _ => Ok(made),
        }
    }

    async fn update(
        cx: &Cx,
        world: &Arc<World>,
        prior: &ThingModel,
        planned: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        world.note(cx, "update", &prior.name)?;
        let mut things = world.things.lock().unwrap();
        things.insert(prior.id.clone().unwrap_or_default(), planned.clone());
        Ok(planned)
    }

    async fn delete(cx: &Cx, world: &Arc<World>, prior: &ThingModel) -> Result<(), ProviderError> {
        world.note(cx, "delete", &prior.name)?;
        world
            .things
            .lock()
            .unwrap()
            .retain(|_, thing| thing.id != prior.id);
        Ok(())
    }

    async fn find(
        cx: &Cx,
        world: &Arc<World>,
        owner: &Owner,
        _: &Value,
    ) -> Result<Option<ThingModel>, ProviderError> {
        world.note(cx, "find", "")?;
        Ok(world.things.lock().unwrap().get(&owner.token).cloned())
    }
}
