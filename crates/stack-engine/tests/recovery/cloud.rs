//! A cloud in memory: servers that are found by token, and files on them that are found by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use stack_core::{Path, Schema, Value};
use stack_provider::{
    Cx, ErrorKind, Failure, Owner, Ownership, Provider, ProviderError, Registry, Resource, async_trait,
};

struct ServerRecord {
    name: String,
    size: i64,
    lineage: String,
    token: String,
    files: BTreeMap<String, String>,
}

#[derive(Default)]
pub(crate) struct Cloud {
    servers: Mutex<BTreeMap<String, ServerRecord>>,
    changes: AtomicUsize,
    refuses: AtomicBool,
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

    /// How many times anything was changed.
    pub(crate) fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }

    /// Refuses every question from now on.
    pub(crate) fn refuse(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    pub(crate) fn create_server(&self, lineage: &str, token: &str, name: &str, size: i64) -> String {
        let mut servers = self.servers.lock().unwrap();
        let same = |s: &ServerRecord| s.token == token && s.lineage == lineage;
        if let Some((id, _)) = servers.iter().find(|(_, s)| same(s)) {
            return id.clone();
        }
        self.changes.fetch_add(1, Ordering::SeqCst);
        let id = format!("srv-{}", servers.len());
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

    pub(crate) fn remove_server(&self, name: &str) {
        self.servers.lock().unwrap().retain(|_, s| s.name != name);
    }

    pub(crate) fn write_file(&self, server: &str, path: &str, text: &str) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        let mut servers = self.servers.lock().unwrap();
        let files = &mut servers.get_mut(server).unwrap().files;
        files.insert(path.to_owned(), text.to_owned());
    }

    fn answer(&self) -> Result<(), ProviderError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ProviderError::new(ErrorKind::Denied, "no answer for you"));
        }
        Ok(())
    }
}

#[derive(Schema)]
pub(crate) struct FakeConfig {
    /// Which cloud.
    cloud: Option<i64>,
}

pub(crate) struct Fake;

fn cloud_of(number: Option<i64>) -> Result<Arc<Cloud>, ProviderError> {
    let cloud = number.and_then(|n| CLOUDS.lock().unwrap().get(&n).cloned());
    cloud.ok_or_else(|| ProviderError::new(ErrorKind::InvalidArgument, "there is no such cloud"))
}

#[async_trait]
impl Provider for Fake {
    const NAME: &'static str = "fake";
    type Config = FakeConfig;
    type Client = Arc<Cloud>;

    async fn connect(_: &Cx, config: FakeConfig) -> Result<Arc<Cloud>, ProviderError> {
        cloud_of(config.cloud)
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

fn model(id: &str, server: &ServerRecord) -> ServerModel {
    ServerModel {
        name: server.name.clone(),
        size: server.size,
        id: Some(id.to_owned()),
    }
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
        cloud.answer()?;
        let id = id_of(prior);
        Ok(cloud
            .servers
            .lock()
            .unwrap()
            .get(&id)
            .map(|server| model(&id, server)))
    }

    async fn create(
        _: &Cx,
        cloud: &Arc<Cloud>,
        owner: &Owner,
        planned: ServerModel,
    ) -> Result<ServerModel, Failure<ServerModel>> {
        let id = cloud.create_server(&owner.lineage, &owner.token, &planned.name, planned.size);
        Ok(ServerModel {
            id: Some(id),
            ..planned
        })
    }

    async fn update(
        _: &Cx,
        cloud: &Arc<Cloud>,
        _: &ServerModel,
        planned: ServerModel,
    ) -> Result<ServerModel, Failure<ServerModel>> {
        cloud.changes.fetch_add(1, Ordering::SeqCst);
        Ok(planned)
    }

    async fn delete(_: &Cx, cloud: &Arc<Cloud>, prior: &ServerModel) -> Result<(), ProviderError> {
        cloud.changes.fetch_add(1, Ordering::SeqCst);
        cloud.servers.lock().unwrap().remove(&id_of(prior));
        Ok(())
    }

    async fn find(
        _: &Cx,
        cloud: &Arc<Cloud>,
        owner: &Owner,
        _: &Value,
    ) -> Result<Option<ServerModel>, ProviderError> {
        cloud.answer()?;
        let servers = cloud.servers.lock().unwrap();
        let ours = |s: &ServerRecord| s.token == owner.token && s.lineage == owner.lineage;
        Ok(servers.iter().find(|(_, s)| ours(s)).map(|(id, s)| model(id, s)))
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
        let cloud = cloud_of(config.cloud)?;
        let there = cloud.servers.lock().unwrap().contains_key(&config.server);
        assert!(there, "no connection is tried to a server that is gone");
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
    fn text(&self, path: &str) -> Option<String> {
        let servers = self.cloud.servers.lock().unwrap();
        servers.get(&self.server)?.files.get(path).cloned()
    }
}

#[async_trait]
impl Resource for File {
    const TYPE: &'static str = "inside_file";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    type Model = FileModel;
    type Client = OnServer;

    async fn read(_: &Cx, on: &OnServer, prior: &FileModel) -> Result<Option<FileModel>, ProviderError> {
        let path = prior.path.clone();
        Ok(on.text(&path).map(|text| FileModel { path, text }))
    }

    async fn create(
        _: &Cx,
        on: &OnServer,
        _: &Owner,
        planned: FileModel,
    ) -> Result<FileModel, Failure<FileModel>> {
        on.cloud.write_file(&on.server, &planned.path, &planned.text);
        Ok(planned)
    }

    async fn update(
        _: &Cx,
        on: &OnServer,
        _: &FileModel,
        planned: FileModel,
    ) -> Result<FileModel, Failure<FileModel>> {
        on.cloud.write_file(&on.server, &planned.path, &planned.text);
        Ok(planned)
    }

    async fn delete(_: &Cx, on: &OnServer, _: &FileModel) -> Result<(), ProviderError> {
        on.cloud.changes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn find(
        _: &Cx,
        on: &OnServer,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<FileModel>, ProviderError> {
        let path = Path::of(&["path"]).get(planned).and_then(Value::as_str);
        let path = path.unwrap_or_default().to_owned();
        Ok(on.text(&path).map(|text| FileModel { path, text }))
    }
}
