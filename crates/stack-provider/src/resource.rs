//! Resource types and data sources.

use async_trait::async_trait;
use stack_core::{Path, SchemaOf, Value};

use crate::{Cx, Owner, ProviderError};

/// How a created object is found again when the answer to its creation was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The object carries the lineage and token of its [`Owner`] (tags, annotations); [`Resource::find`] looks for them.
    Token,
    /// The object has only its name (users, files). The engine calls [`Resource::find`] before it begins: an object that
    /// exists is an error with the import command, and recovery adopts only where none existed.
    NaturalKey,
    /// Nothing remote is made; no record is written before the call.
    Local,
}

/// What the engine has a provider do with a managed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteCall {
    /// [`Resource::read_many`], [`Resource::find`], [`Resource::import`] and [`Resource::preview`].
    Read,
    /// [`Resource::create`]
    Create,
    /// [`Resource::update`]
    Update,
    /// [`Resource::delete`]
    Delete,
}

/// A create or update that failed after it had made or changed something.
#[derive(Debug)]
pub struct Failure<M> {
    /// What went wrong.
    pub error: ProviderError,
    /// The object as far as it is known; the engine keeps it as tainted (create) or as it is now (update).
    pub object: Option<Box<M>>,
}

impl<M> Failure<M> {
    /// A failure that left this object behind.
    pub fn with(error: ProviderError, object: M) -> Self {
        Self {
            error,
            object: Some(Box::new(object)),
        }
    }
}

/// A failure that left nothing behind (create), or left the object as it was (update).
impl<M> From<ProviderError> for Failure<M> {
    fn from(error: ProviderError) -> Self {
        Self { error, object: None }
    }
}

/// What a type's own planning rules make of a planned object.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// The planned object, unknown attributes included.
    pub planned: Value,
    /// Attributes whose change replaces the object, beyond those the schema marks.
    pub replace: Vec<Path>,
}

impl From<Value> for Refined {
    fn from(planned: Value) -> Self {
        Self {
            planned,
            replace: Vec::new(),
        }
    }
}

/// What the real system says to a planned change, without making it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// The planned object as the system would make it (normalised, defaults filled); `None`: as proposed.
    pub planned: Option<Value>,
    /// Warnings, by attribute.
    pub warnings: Vec<(Path, String)>,
    /// A text to show below the change: a rendered manifest, a diff.
    pub rendered: Option<String>,
    /// Why the change could not be checked, where it could not ("not checked: CRD is absent").
    pub not_checked: Option<String>,
}

/// One type of managed resource.
///
/// `Model` holds arguments and computed attributes in one struct; computed ones are `Option`, `None` until known.
/// Every verb may be called again after a lost answer and must then converge.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// Name in the configuration: `aws_instance`.
    const TYPE: &'static str;
    /// How a created object is found again.
    const OWNERSHIP: Ownership;
    /// Typical duration of a create in seconds, until earlier runs tell better; orders the work.
    const TYPICAL_SECONDS: f64 = 1.0;
    /// Time an operation may take, in seconds, unless the configuration has a `timeouts` block.
    const TIMEOUT_SECONDS: u64 = 600;
    /// [`Self::read_many`] asks for many objects by one call. Without it each object is a call, and waits for its turn.
    const READS_TOGETHER: bool = false;
    /// Arguments and attributes.
    type Model: SchemaOf + Clone + Send + Sync + 'static;
    /// What [`crate::Provider::connect`] gives.
    type Client: Send + Sync + 'static;

    /// Which of [`crate::Provider::APIS`] a call uses; empty for none of them.
    fn api(call: RemoteCall) -> &'static str {
        let _ = call;
        ""
    }

    /// The object as it is now; `None` when it is gone.
    async fn read(
        cx: &Cx,
        client: &Self::Client,
        prior: &Self::Model,
    ) -> Result<Option<Self::Model>, ProviderError>;

    /// The same for many objects, in as few calls as the system allows; answers in the order of `priors`.
    /// A type that asks for all of them at once sets [`Self::READS_TOGETHER`].
    async fn read_many(
        cx: &Cx,
        client: &Self::Client,
        priors: &[Self::Model],
    ) -> Vec<Result<Option<Self::Model>, ProviderError>> {
        futures::future::join_all(priors.iter().map(|prior| Self::read(cx, client, prior))).await
    }

    /// Makes the object. Reports the identity through [`Cx::partial`] the moment it is known and then waits until the
    /// object is usable.
    async fn create(
        cx: &Cx,
        client: &Self::Client,
        owner: &Owner,
        planned: Self::Model,
    ) -> Result<Self::Model, Failure<Self::Model>>;

    /// Changes the object in place. Only types whose every argument is marked `replace` leave this out.
    async fn update(
        cx: &Cx,
        client: &Self::Client,
        prior: &Self::Model,
        planned: Self::Model,
    ) -> Result<Self::Model, Failure<Self::Model>> {
        let (_, _, _, _) = (cx, client, prior, planned);
        Err(ProviderError::internal(format!("{} cannot be updated in place", Self::TYPE)).into())
    }

    /// Removes the object and waits until it is gone; one that is gone already is a success.
    async fn delete(cx: &Cx, client: &Self::Client, prior: &Self::Model) -> Result<(), ProviderError>;

    /// Looks for the object that a create with this owner and these (possibly partly unknown) arguments made:
    /// by lineage and token, or by natural key. `None`: it was not made. Types with [`Ownership::Local`] are never asked.
    async fn find(
        cx: &Cx,
        client: &Self::Client,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Self::Model>, ProviderError>;

    /// The object of this id as `import` gives it.
    ///
    /// # Errors
    /// There is none, or the type cannot be imported.
    async fn import(cx: &Cx, client: &Self::Client, id: &str) -> Result<Self::Model, ProviderError> {
        let (_, _, _) = (cx, client, id);
        Err(ProviderError::new(
            crate::ErrorKind::InvalidArgument,
            format!("{} cannot be imported", Self::TYPE),
        ))
    }

    /// Asks the real system about a change without making it. Arguments may be unknown.
    async fn preview(
        cx: &Cx,
        client: &Self::Client,
        prior: Option<&Self::Model>,
        proposed: &Value,
    ) -> Result<Preview, ProviderError> {
        let (_, _, _, _) = (cx, client, prior, proposed);
        Ok(Preview::default())
    }

    /// Whether [`Resource::preview`] does anything; without it the planner asks nothing.
    fn previews() -> bool {
        false
    }

    /// Pure planning rules beyond the schema. `planned` has defaults, kept computed values and unknowns already.
    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        let _ = prior;
        planned.into()
    }

    /// Pure checks of the arguments as configured (they may be unknown): attribute and what is wrong with it.
    fn validate(config: &Value) -> Vec<(Path, String)> {
        let _ = config;
        Vec::new()
    }

    /// Whether two values of an attribute mean the same though they are spelled differently (JSON with other spaces).
    /// Such a difference is normalisation, not drift and not a change.
    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        let _ = path;
        a == b
    }
}

/// One type of data source: a lookup that changes nothing.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// Name in the configuration: `aws_ami`.
    const TYPE: &'static str;
    /// Arguments and attributes.
    type Model: SchemaOf + Clone + Send + Sync + 'static;
    /// What [`crate::Provider::connect`] gives.
    type Client: Send + Sync + 'static;

    /// Time a read may take, in seconds, unless the configuration has a `timeouts` block.
    const TIMEOUT_SECONDS: u64 = 120;
    /// Which of [`crate::Provider::APIS`] it uses; empty for none of them.
    const API: &'static str = "";

    /// Looks it up.
    async fn read(
        cx: &Cx,
        client: &Self::Client,
        arguments: Self::Model,
    ) -> Result<Self::Model, ProviderError>;
}
