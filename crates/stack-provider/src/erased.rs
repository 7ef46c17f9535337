//! Joins typed providers to the engine, which sees values.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stack_core::{Decode as _, Path, Schema, SchemaOf as _, Value};

use crate::secrets::Secrets;
use crate::{
    Api, Cx, DataSource, Failure, Function, Owner, Ownership, Preview, Provider, ProviderError, Refined,
    Registry, RemoteCall, Resource,
};

/// A connected client of some provider.
pub type AnyClient = Arc<dyn Any + Send + Sync>;

/// A failed create or update, with the object it left behind.
pub type ErasedFailure = Failure<Value>;

/// A resource type without its Rust types.
#[async_trait]
pub trait AnyResource: Send + Sync {
    /// [`Resource::TYPE`]
    fn ty(&self) -> &'static str;
    /// Arguments and attributes.
    fn schema(&self) -> &Schema;
    /// [`Resource::OWNERSHIP`]
    fn ownership(&self) -> Ownership;
    /// [`Resource::TYPICAL_SECONDS`]
    fn typical(&self) -> Duration;
    /// [`Resource::TIMEOUT_SECONDS`]
    fn timeout(&self) -> Duration;
    /// [`Resource::api`]
    fn api(&self, call: RemoteCall) -> &'static str;
    /// [`Resource::READS_TOGETHER`]
    fn reads_together(&self) -> bool;
    /// [`Resource::previews`]
    fn previews(&self) -> bool;
    /// [`Resource::refine`]
    fn refine(&self, prior: Option<&Value>, planned: Value) -> Refined;
    /// [`Resource::validate`]
    fn validate(&self, config: &Value) -> Vec<(Path, String)>;
    /// [`Resource::same`]
    fn same(&self, path: &Path, a: &Value, b: &Value) -> bool;
    /// [`Resource::read_many`]
    async fn read_many(
        &self,
        cx: &Cx,
        client: &AnyClient,
        priors: &[Value],
    ) -> Vec<Result<Option<Value>, ProviderError>>;
    /// [`Resource::create`]
    async fn create(
        &self,
        cx: &Cx,
        client: &AnyClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Value, ErasedFailure>;
    /// [`Resource::update`]
    async fn update(
        &self,
        cx: &Cx,
        client: &AnyClient,
        prior: &Value,
        planned: &Value,
    ) -> Result<Value, ErasedFailure>;
    /// [`Resource::delete`]
    async fn delete(&self, cx: &Cx, client: &AnyClient, prior: &Value) -> Result<(), ProviderError>;
    /// [`Resource::find`]
    async fn find(
        &self,
        cx: &Cx,
        client: &AnyClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Value>, ProviderError>;
    /// [`Resource::import`]
    async fn import(&self, cx: &Cx, client: &AnyClient, id: &str) -> Result<Value, ProviderError>;
    /// [`Resource::preview`]
    async fn preview(
        &self,
        cx: &Cx,
        client: &AnyClient,
        prior: Option<&Value>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError>;
}

/// A data source without its Rust types.
#[async_trait]
pub trait AnyDataSource: Send + Sync {
    /// [`DataSource::TYPE`]
    fn ty(&self) -> &'static str;
    /// Arguments and attributes.
    fn schema(&self) -> &Schema;
    /// [`DataSource::TIMEOUT_SECONDS`]
    fn timeout(&self) -> Duration;
    /// [`DataSource::API`]
    fn api(&self) -> &'static str;
    /// [`DataSource::read`]
    async fn read(&self, cx: &Cx, client: &AnyClient, arguments: &Value) -> Result<Value, ProviderError>;
}

/// A provider without its Rust types; [`AnyProvider::of`] makes one.
pub struct AnyProvider {
    /// [`Provider::NAME`]
    pub name: &'static str,
    /// [`Provider::PARALLELISM`]
    pub parallelism: usize,
    /// [`Provider::APIS`]
    pub apis: &'static [Api],
    /// [`Provider::LOCAL`]
    pub local: bool,
    /// Arguments of the `provider` block.
    pub config_schema: Schema,
    /// Resource types by name.
    pub resources: BTreeMap<&'static str, Box<dyn AnyResource>>,
    /// Data sources by name.
    pub data_sources: BTreeMap<&'static str, Box<dyn AnyDataSource>>,
    /// Functions.
    pub functions: Vec<Function>,
    connector: Box<dyn Connector>,
}

#[async_trait]
trait Connector: Send + Sync {
    async fn connect(&self, cx: &Cx, config: &Value) -> Result<AnyClient, ProviderError>;
}

struct Typed<P>(PhantomData<fn(P)>);

/// A client, and what its configuration holds that nothing may say.
struct Connected<C> {
    client: C,
    secrets: Secrets,
}

#[async_trait]
impl<P: Provider> Connector for Typed<P> {
    async fn connect(&self, cx: &Cx, config: &Value) -> Result<AnyClient, ProviderError> {
        let secrets = Secrets::of(&P::Config::schema(), &[config]).and(&Secrets::default(), cx);
        let connect = async {
            let config = P::Config::decode(config, &Path::root())?;
            P::connect(&secrets.masked_context(cx), config).await
        };
        match connect.await {
            Ok(client) => Ok(Arc::new(Connected { client, secrets })),
            Err(error) => Err(secrets.masked_error(error)),
        }
    }
}

impl AnyProvider {
    /// The provider `P` with all its types.
    pub fn of<P: Provider>() -> Self {
        let mut registry = Registry::<P::Client>::default();
        P::register(&mut registry);
        Self {
            name: P::NAME,
            parallelism: P::PARALLELISM,
            apis: P::APIS,
            local: P::LOCAL,
            config_schema: P::Config::schema(),
            resources: registry.resources,
            data_sources: registry.data_sources,
            functions: registry.functions,
            connector: Box::new(Typed::<P>(PhantomData)),
        }
    }

    /// [`Provider::connect`]
    ///
    /// # Errors
    /// The configuration does not fit, or the system cannot be reached.
    pub async fn connect(&self, cx: &Cx, config: &Value) -> Result<AnyClient, ProviderError> {
        self.connector.connect(cx, config).await
    }
}

fn client<C: Send + Sync + 'static>(client: &AnyClient) -> Result<&Connected<C>, ProviderError> {
    client
        .downcast_ref()
        .ok_or_else(|| ProviderError::internal("the client is of another provider"))
}

fn decode<M: stack_core::Decode>(value: &Value) -> Result<M, ProviderError> {
    Ok(M::decode(value, &Path::root())?)
}

fn erase<M: stack_core::Decode>(failure: Failure<M>) -> ErasedFailure {
    Failure {
        error: failure.error,
        object: failure.object.map(|m| Box::new(m.encode())),
    }
}

pub(crate) struct ErasedResource<R: Resource> {
    schema: Schema,
    ty: PhantomData<fn(R)>,
}

impl<R: Resource> ErasedResource<R> {
    pub(crate) fn new() -> Self {
        Self {
            schema: R::Model::schema(),
            ty: PhantomData,
        }
    }
}

#[async_trait]
impl<R: Resource> AnyResource for ErasedResource<R> {
    fn ty(&self) -> &'static str {
        R::TYPE
    }
    fn schema(&self) -> &Schema {
        &self.schema
    }
    fn ownership(&self) -> Ownership {
        R::OWNERSHIP
    }
    fn typical(&self) -> Duration {
        Duration::from_secs_f64(R::TYPICAL_SECONDS)
    }
    fn timeout(&self) -> Duration {
        Duration::from_secs(R::TIMEOUT_SECONDS)
    }
    fn api(&self, call: RemoteCall) -> &'static str {
        R::api(call)
    }
    fn reads_together(&self) -> bool {
        R::READS_TOGETHER
    }
    fn previews(&self) -> bool {
        R::previews()
    }
    fn refine(&self, prior: Option<&Value>, planned: Value) -> Refined {
        R::refine(prior, planned)
    }
    fn validate(&self, config: &Value) -> Vec<(Path, String)> {
        let secrets = Secrets::of(&self.schema, &[config]);
        let mistakes = R::validate(config).into_iter();
        mistakes
            .map(|(path, text)| (path, secrets.masked(&text)))
            .collect()
    }
    fn same(&self, path: &Path, a: &Value, b: &Value) -> bool {
        R::same(path, a, b)
    }
    async fn read_many(
        &self,
        cx: &Cx,
        any: &AnyClient,
        priors: &[Value],
    ) -> Vec<Result<Option<Value>, ProviderError>> {
        let connected = match client::<R::Client>(any) {
            Ok(connected) => connected,
            Err(error) => {
                let message = error.message;
                return priors
                    .iter()
                    .map(|_| Err(ProviderError::internal(message.clone())))
                    .collect();
            }
        };
        let priors_of_all: Vec<&Value> = priors.iter().collect();
        let secrets = Secrets::of(&self.schema, &priors_of_all).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        let decoded: Vec<_> = priors.iter().map(decode::<R::Model>).collect();
        let (mut answers, mut models) = (Vec::with_capacity(decoded.len()), Vec::new());
        for model in decoded {
            answers.push(model.map(|m| models.push(m)));
        }
        let mut read = R::read_many(cx, &connected.client, &models).await.into_iter();
        let next = |slot: Result<(), ProviderError>| {
            slot.and_then(|()| {
                read.next()
                    .unwrap_or_else(|| Err(ProviderError::internal("a read got no answer")))
            })
        };
        answers
            .into_iter()
            .map(next)
            .map(|r| match r {
                Ok(object) => Ok(object.map(|m| m.encode())),
                Err(error) => Err(secrets.masked_error(error)),
            })
            .collect()
    }
    async fn create(
        &self,
        cx: &Cx,
        any: &AnyClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Value, ErasedFailure> {
        let connected = client::<R::Client>(any)?;
        let secrets = Secrets::of(&self.schema, &[planned]).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        let create = async { R::create(cx, &connected.client, owner, decode(planned)?).await };
        create
            .await
            .map(|m| m.encode())
            .map_err(|failure| secrets.masked_failure(erase(failure)))
    }
    async fn update(
        &self,
        cx: &Cx,
        any: &AnyClient,
        prior: &Value,
        planned: &Value,
    ) -> Result<Value, ErasedFailure> {
        let connected = client::<R::Client>(any)?;
        let secrets = Secrets::of(&self.schema, &[prior, planned]).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        let update = async {
            let prior: R::Model = decode(prior)?;
            R::update(cx, &connected.client, &prior, decode(planned)?).await
        };
        update
            .await
            .map(|m| m.encode())
            .map_err(|failure| secrets.masked_failure(erase(failure)))
    }
    async fn delete(&self, cx: &Cx, any: &AnyClient, prior: &Value) -> Result<(), ProviderError> {
        let connected = client::<R::Client>(any)?;
        let secrets = Secrets::of(&self.schema, &[prior]).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        let delete = async { R::delete(cx, &connected.client, &decode(prior)?).await };
        delete.await.map_err(|error| secrets.masked_error(error))
    }
    async fn find(
        &self,
        cx: &Cx,
        any: &AnyClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Value>, ProviderError> {
        let connected = client::<R::Client>(any)?;
        let secrets = Secrets::of(&self.schema, &[planned]).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        match R::find(cx, &connected.client, owner, planned).await {
            Ok(found) => Ok(found.map(|m| m.encode())),
            Err(error) => Err(secrets.masked_error(error)),
        }
    }
    async fn import(&self, cx: &Cx, any: &AnyClient, id: &str) -> Result<Value, ProviderError> {
        let connected = client::<R::Client>(any)?;
        match R::import(cx, &connected.client, id).await {
            Ok(model) => Ok(model.encode()),
            Err(error) => Err(connected.secrets.masked_error(error)),
        }
    }
    async fn preview(
        &self,
        cx: &Cx,
        any: &AnyClient,
        prior: Option<&Value>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let connected = client::<R::Client>(any)?;
        let given: Vec<&Value> = prior.into_iter().chain([proposed]).collect();
        let secrets = Secrets::of(&self.schema, &given).and(&connected.secrets, cx);
        let preview = async {
            let prior = prior.map(decode::<R::Model>).transpose()?;
            R::preview(cx, &connected.client, prior.as_ref(), proposed).await
        };
        match preview.await {
            Ok(preview) => Ok(secrets.masked_preview(preview)),
            Err(error) => Err(secrets.masked_error(error)),
        }
    }
}

pub(crate) struct ErasedDataSource<D: DataSource> {
    schema: Schema,
    ty: PhantomData<fn(D)>,
}

impl<D: DataSource> ErasedDataSource<D> {
    pub(crate) fn new() -> Self {
        Self {
            schema: D::Model::schema(),
            ty: PhantomData,
        }
    }
}

#[async_trait]
impl<D: DataSource> AnyDataSource for ErasedDataSource<D> {
    fn ty(&self) -> &'static str {
        D::TYPE
    }
    fn schema(&self) -> &Schema {
        &self.schema
    }
    fn timeout(&self) -> Duration {
        Duration::from_secs(D::TIMEOUT_SECONDS)
    }
    fn api(&self) -> &'static str {
        D::API
    }
    async fn read(&self, cx: &Cx, any: &AnyClient, arguments: &Value) -> Result<Value, ProviderError> {
        let connected = client::<D::Client>(any)?;
        let secrets = Secrets::of(&self.schema, &[arguments]).and(&connected.secrets, cx);
        let cx = &secrets.masked_context(cx);
        let read = async { D::read(cx, &connected.client, decode(arguments)?).await };
        match read.await {
            Ok(model) => Ok(model.encode()),
            Err(error) => Err(secrets.masked_error(error)),
        }
    }
}
