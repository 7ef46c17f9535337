//! Configuration of the provider and its connection.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use stack_core::{Schema, Secret};
use stack_provider::{Cx, ErrorKind, ProviderError};
use tokio::sync::OnceCell;

use crate::error;

/// Arguments of provider `aws`. What is not set comes from the environment and the shared configuration files, as with
/// every AWS tool.
#[derive(Clone, Debug, Default, Schema)]
pub struct AwsArguments {
    /// Region; otherwise `AWS_REGION` or the profile says it.
    #[schema(identity)]
    pub region: Option<String>,
    /// Profile in the shared configuration files.
    pub profile: Option<String>,
    /// Access key. Better leave credentials to the environment, a profile or the machine's role.
    pub access_key: Option<String>,
    /// Secret key of `access_key`.
    pub secret_key: Option<Secret<String>>,
    /// Session token of temporary credentials.
    pub token: Option<Secret<String>>,
    /// Address of all services, for a private or simulated cloud: `http://127.0.0.1:5000`.
    pub endpoint: Option<String>,
    /// Addresses of single services.
    #[schema(block)]
    pub endpoints: Option<Endpoints>,
    /// Accounts that may be touched: with any other nothing is read or changed.
    pub allowed_account_ids: Option<Vec<String>>,
    /// Accepted for compatibility: credentials are checked only where `allowed_account_ids` asks for it.
    pub skip_credentials_validation: Option<bool>,
    /// How often a single request is repeated before the operation counts as failed and the engine tries it again later.
    #[schema(default = 3)]
    pub max_retries: u32,
    /// Tags for every object that takes tags. They are set when an object is made, and never compared.
    #[schema(block)]
    pub default_tags: Option<DefaultTags>,
}

/// Addresses of single services.
#[derive(Clone, Debug, Default, Schema)]
pub struct Endpoints {
    /// EC2.
    pub ec2: Option<String>,
    /// STS.
    pub sts: Option<String>,
}

/// Tags for every object.
#[derive(Clone, Debug, Default, Schema)]
pub struct DefaultTags {
    /// The tags.
    pub tags: Option<BTreeMap<String, String>>,
}

/// Who the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user: String,
}

/// A connected client.
#[derive(Debug)]
pub struct AwsClient {
    pub(crate) ec2: aws_sdk_ec2::Client,
    sts: aws_sdk_sts::Client,
    pub(crate) region: String,
    pub(crate) default_tags: BTreeMap<String, String>,
    identity: OnceCell<Identity>,
}

impl AwsClient {
    /// Resolves region and credentials, and checks the account where `allowed_account_ids` asks for it.
    ///
    /// # Errors
    /// There is no region, or the account is not an allowed one or cannot be asked for.
    pub(crate) async fn connect(cx: &Cx, arguments: AwsArguments) -> Result<Self, ProviderError> {
        let config = cx.bounded(shared_config(&arguments)?.load()).await?;
        let region = config.region().map(ToString::to_string).ok_or_else(|| {
            ProviderError::invalid(
                "region",
                "is not set, and neither AWS_REGION nor a profile names one",
            )
        })?;
        let endpoints = arguments.endpoints.unwrap_or_default();
        let mut ec2 = aws_sdk_ec2::config::Builder::from(&config);
        ec2.set_endpoint_url(endpoints.ec2.or_else(|| arguments.endpoint.clone()));
        let mut sts = aws_sdk_sts::config::Builder::from(&config);
        sts.set_endpoint_url(endpoints.sts.or(arguments.endpoint));
        let client = Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            region,
            default_tags: arguments.default_tags.and_then(|d| d.tags).unwrap_or_default(),
            identity: OnceCell::new(),
        };
        if let Some(allowed) = arguments.allowed_account_ids {
            let identity = client.identity(cx).await?;
            if !allowed.contains(&identity.account) {
                let message = format!(
                    "the credentials belong to account {}, which is not among the allowed ones ({}); use the right \
                     profile or correct `allowed_account_ids`",
                    identity.account,
                    allowed.join(", ")
                );
                return Err(ProviderError::new(ErrorKind::Denied, message)
                    .attribute(stack_core::Path::of(&["allowed_account_ids"])));
            }
        }
        Ok(client)
    }

    /// Whom the credentials belong to; asked once.
    pub(crate) async fn identity(&self, cx: &Cx) -> Result<&Identity, ProviderError> {
        self.identity
            .get_or_try_init(|| async {
                let answer = call(cx, "GetCallerIdentity", self.sts.get_caller_identity().send()).await?;
                Ok(Identity {
                    account: answer.account().unwrap_or_default().to_owned(),
                    arn: answer.arn().unwrap_or_default().to_owned(),
                    user: answer.user_id().unwrap_or_default().to_owned(),
                })
            })
            .await
    }

    /// Name of an object in the form of the whole cloud.
    pub(crate) fn arn(&self, account: &str, object: &str) -> String {
        let partition = match self.region.as_str() {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:ec2:{}:{account}:{object}", self.region)
    }
}

fn shared_config(arguments: &AwsArguments) -> Result<aws_config::ConfigLoader, ProviderError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(60))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(arguments.max_retries.saturating_add(1)))
        .timeout_config(timeouts);
    if let Some(region) = &arguments.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &arguments.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(files) = crate::process::profile_files() {
        loader = loader.profile_files(files);
    }
    match (&arguments.access_key, &arguments.secret_key) {
        (Some(access), Some(secret)) => {
            let token = arguments.token.as_ref().map(|t| t.expose().clone());
            let credentials = Credentials::new(access, secret.expose(), token, None, "provider block");
            loader = loader.credentials_provider(credentials);
        }
        (None, None) => {}
        (Some(_), None) => {
            return Err(ProviderError::invalid(
                "secret_key",
                "is needed with `access_key`",
            ));
        }
        (None, Some(_)) => {
            return Err(ProviderError::invalid(
                "access_key",
                "is needed with `secret_key`",
            ));
        }
    }
    Ok(loader)
}

/// Awaits one request within the time of the call, with its error mapped.
pub(crate) async fn call<T, E>(
    cx: &Cx,
    operation: &'static str,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, ProviderError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    cx.bounded(request)
        .await?
        .map_err(|e| error::failed(operation, e))
}
