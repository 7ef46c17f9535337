//! `aws_caller_identity`

use stack_core::Schema;
use stack_provider::{Cx, DataSource, ProviderError, async_trait};

use crate::client::AwsClient;

/// Whom the provider's credentials belong to.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct CallerIdentityModel {
    /// The account.
    #[schema(computed)]
    pub id: Option<String>,
    /// The account.
    #[schema(computed)]
    pub account_id: Option<String>,
    /// User or role.
    #[schema(computed)]
    pub arn: Option<String>,
    /// Unique id of the user or session.
    #[schema(computed)]
    pub user_id: Option<String>,
}

/// Data source `aws_caller_identity`.
#[derive(Clone, Copy, Debug)]
pub struct CallerIdentity;

#[async_trait]
impl DataSource for CallerIdentity {
    const TYPE: &'static str = "aws_caller_identity";
    type Model = CallerIdentityModel;
    type Client = AwsClient;

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        _: CallerIdentityModel,
    ) -> Result<CallerIdentityModel, ProviderError> {
        let identity = client.identity(cx).await?;
        Ok(CallerIdentityModel {
            id: Some(identity.account.clone()),
            account_id: Some(identity.account.clone()),
            arn: Some(identity.arn.clone()),
            user_id: Some(identity.user.clone()),
        })
    }
}
