//! A cloud in memory: servers with tags, and files that live on a server and end with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use stack_core::{Path, Schema, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Provider, ProviderError, Registry, Resource, async_trait,
};

#[derive(Clone, Debug)]
struct ServerRecord {
    name: String,
    size: i64,
    lineage: String,
    token: String,
    files: BTreeMap<String, String>,
}

/// What exists.
#[derive(Default)]
pub(crate) struct Cloud {
    servers: Mutex<BTreeMap<String, ServerRecord>>,
    made: AtomicUsize,
    lost: AtomicUsize,
}

/// Clouds by the number a provider block names; tests run side by side.
static CLOUDS: LazyLock<Mutex<BTreeMap<i64, Arc<Cloud>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

impl Cloud {
    /// A new empty cloud and its number.
    pub(crate) fn open() -> (i64, Arc<Self>) {
        let number = i64::try_from(NEXT.fetch_add(1, Ordering::SeqCst)).unwrap();
        let cloud = Arc::new(Self::default());
        CLOUDS.lock().unwrap().insert(number, cloud.clone());
        (number, cloud)
    }

    pub(crate) fn create_server(&self, lineage: &str, token: &str, name: &str, size: i64) -> String {
        let mut servers = self.servers.lock().unwrap();
        if let Some((id, _)) = servers
            .iter()
            .find(|(_, s)| s.token == token && s.lineage == lineage)
        {
            return id.clone();
        }
        let id = format!("srv-{}", self.made.fetch_add(1, Ordering::SeqCst));
        let record = ServerRecord {
            name: name.to_owned(),
            size,
            lineage: lineage.to_owned(),
            token: token.to_owned(),
            files: BTreeMap::new(),
        };
        servers.insert(id.clone(), record);
        id
    }

    /// The next calls have their effect, and their answer is lost.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.lost.store(count, Ordering::SeqCst);
    }

    fn answer(&self) -> Result<(), ProviderError> {
        let lose = |n: usize| n.checked_sub(1);
        match self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose) {
            Ok(_) => Err(ProviderError::new(ErrorKind::Unavailable, "the connection broke")),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn remove_server(&self, name: &str) {
        self.servers.lock().unwrap().retain(|_, s| s.name != name);
    }

    /// Every object, as text.
    pub(crate) fn everything(&self) -> Vec<String> {
        let servers = self.servers.lock().unwrap();
        servers
            .iter()
            .flat_map(|(id, s)| {
                [id.clone()]
                    .into_iter()
                    .chain(s.files.keys().map(move |f| format!("{id}{f}")))
            })
            .collect()
    }

    /// Tokens that made more than one object.
    pub(crate) fn doubles(&self) -> Vec<String> {
        let servers = self.servers.lock().unwrap();
        let mut seen = BTreeMap::new();
        for server in servers.values() {
            *seen.entry(server.token.clone()).or_insert(0) += 1;
        }
        seen.into_iter()
            .filter(|(_, n)| *n > 1)
            .map(|(token, _)| token)
            .collect()
    }
}

#[derive(Schema)]
pub(crate) struct FakeConfig {
    /// Which cloud.
    cloud: Option<i64>,
}

pub(crate) struct Fake;

#[async_trait]
impl Provider for Fake {
    const NAME: &'static str = "fake";
    type Config = FakeConfig;
    type Client = Arc<Cloud>;

    async fn connect(_: &Cx, config: FakeConfig) -> Result<Arc<Cloud>, ProviderError> {
        let clouds = CLOUDS.lock().unwrap();
        let cloud = config.cloud.and_then(|n| clouds.get(&n).cloned());
        cloud.ok_or_else(|| ProviderError::new(ErrorKind::InvalidArgument, "there is no such cloud"))
    }

    fn register(registry: &mut Registry<Arc<Cloud>>) {
        registry.resource::<Server>();
    }
}

#[derive(Clone, Schema)]
pub(crate) struct ServerModel {
    #[schema(replace)]
    name: String,
    size: i64,
    #[schema(computed)]
    id: Option<String>,
}

pub(crate) struct Server;

fn id_of(model: &ServerModel) -> String {
    model.id.clone().unwrap_or_default()
}

#[async_trait]
impl Resource for Server {
    const TYPE: &'static str = "fake_server";
    const OWNERSHIP: Ownership = Ownership::Token;
    type Model = ServerModel;
    type Client = Arc<Cloud>;

    async fn read(
        _: &Cx,
        cloud: &Arc<Cloud>,
        prior: &ServerModel,
    ) -> Result<Option<ServerModel>, ProviderError> {
        let servers = cloud.servers.lock().unwrap();
        let id = id_of(prior);
        Ok(servers.get(&id).map(|s| ServerModel {
            name: s.name.clone(),
            size: s.size,
            id: Some(id),
        }))
    }

    async fn create(
        cx: &Cx,
        cloud: &Arc<Cloud>,
        owner: &Owner,
        planned: ServerModel,
    ) -> Result<ServerModel, Failure<ServerModel>> {
        let id = cloud.create_server(&owner.lineage, &owner.token, &planned.name, planned.size);
        cloud.answer()?;
        let model = ServerModel {
            id: Some(id),
            ..planned
        };
        cx.partial(&model).await?;
        Ok(model)
    }

    async fn update(
        _: &Cx,
        cloud: &Arc<Cloud>,
        prior: &ServerModel,
        planned: ServerModel,
    ) -> Result<ServerModel, Failure<ServerModel>> {
        let id = id_of(prior);
        if let Some(server) = cloud.servers.lock().unwrap().get_mut(&id) {
            server.size = planned.size;
        }
        cloud.answer()?;
        Ok(ServerModel {
            id: Some(id),
            ..planned
        })
    }

    async fn delete(_: &Cx, cloud: &Arc<Cloud>, prior: &ServerModel) -> Result<(), ProviderError> {
        cloud.servers.lock().unwrap().remove(&id_of(prior));
        cloud.answer()
    }

    async fn find(
        _: &Cx,
        cloud: &Arc<Cloud>,
        owner: &Owner,
        _: &Value,
    ) -> Result<Option<ServerModel>, ProviderError> {
        let servers = cloud.servers.lock().unwrap();
        let found = servers
            .iter()
            .find(|(_, s)| s.token == owner.token && s.lineage == owner.lineage);
        Ok(found.map(|(id, s)| ServerModel {
            name: s.name.clone(),
            size: s.size,
            id: Some(id.clone()),
        }))
    }
}

#[derive(Schema)]
pub(crate) struct InsideConfig {
    /// Which cloud.
    cloud: Option<i64>,
    /// The server that files are on.
    #[schema(identity)]
    server: String,
}

/// Files on one server.
pub(crate) struct Inside;

pub(crate) struct OnServer {
    cloud: Arc<Cloud>,
    server: String,
}

#[async_trait]
impl Provider for Inside {
    const NAME: &'static str = "inside";
    type Config = InsideConfig;
    type Client = OnServer;

    async fn connect(_: &Cx, config: InsideConfig) -> Result<OnServer, ProviderError> {
        let cloud = config.cloud.and_then(|n| CLOUDS.lock().unwrap().get(&n).cloned());
        let cloud = cloud.ok_or_else(|| ProviderError::internal("there is no such cloud"))?;
        if !cloud.servers.lock().unwrap().contains_key(&config.server) {
            return Err(ProviderError::new(
                ErrorKind::Denied,
                format!("no server {}", config.server),
            ));
        }
        Ok(OnServer {
            cloud,
            server: config.server,
        })
    }

    fn register(registry: &mut Registry<OnServer>) {
        registry.resource::<File>();
    }
}

#[derive(Clone, Schema)]
pub(crate) struct FileModel {
    #[schema(replace)]
    path: String,
    text: String,
}

pub(crate) struct File;

impl OnServer {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> Result<T, ProviderError> {
        let mut servers = self.cloud.servers.lock().unwrap();
        let server = servers.get_mut(&self.server);
        server
            .map(|s| work(&mut s.files))
            .ok_or_else(|| ProviderError::internal("the server is gone"))
    }
}

#[async_trait]
impl Resource for File {
    const TYPE: &'static str = "inside_file";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    type Model = FileModel;
    type Client = OnServer;

    async fn read(_: &Cx, on: &OnServer, prior: &FileModel) -> Result<Option<FileModel>, ProviderError> {
        let text = on.with(|files| files.get(&prior.path).cloned())?;
        Ok(text.map(|text| FileModel {
            path: prior.path.clone(),
            text,
        }))
    }

    async fn create(
        _: &Cx,
        on: &OnServer,
        _: &Owner,
        planned: FileModel,
    ) -> Result<FileModel, Failure<FileModel>> {
        on.with(|files| files.insert(planned.path.clone(), planned.text.clone()))?;
        on.cloud.answer()?;
        Ok(planned)
    }

    async fn update(
        _: &Cx,
        on: &OnServer,
        _: &FileModel,
        planned: FileModel,
    ) -> Result<FileModel, Failure<FileModel>> {
        on.with(|files| files.insert(planned.path.clone(), planned.text.clone()))?;
        on.cloud.answer()?;
        Ok(planned)
    }

    async fn delete(_: &Cx, on: &OnServer, prior: &FileModel) -> Result<(), ProviderError> {
        on.with(|files| files.remove(&prior.path))?;
        on.cloud.answer()
    }

    async fn find(
        _: &Cx,
        on: &OnServer,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<FileModel>, ProviderError> {
        let path = Path::of(&["path"])
            .get(planned)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let text = on.with(|files| files.get(&path).cloned())?;
        Ok(text.map(|text| FileModel { path, text }))
    }
}
