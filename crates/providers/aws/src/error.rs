//! Errors of the API as the engine understands them (EC2 API reference, "Error codes").

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId as _;
use stack_core::Path;
use stack_provider::{ErrorKind, ProviderError};

/// An API error code, kept as the cause of the mapped error so that callers can tell codes apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Code(pub(crate) String);

/// The API's error code, if it was an API error.
pub(crate) fn code(error: &ProviderError) -> Option<&str> {
    let code = error.source.as_ref()?.downcast_ref::<Code>()?;
    Some(&code.0)
}

/// Whether the API answered with one of these codes.
pub(crate) fn is_code(error: &ProviderError, codes: &[&str]) -> bool {
    code(error).is_some_and(|code| codes.contains(&code))
}

/// Maps the error of one request.
pub(crate) fn failed<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let request_id = error.request_id().map(ToOwned::to_owned);
    let status = error.raw_response().map_or(0, |r| r.status().as_u16());
    let mapped = if let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) {
        let kind = kind(code, status);
        let said = error.as_service_error().and_then(ProvideErrorMetadata::message);
        let mut mapped = ProviderError::new(kind, message(code, said.unwrap_or("no message")));
        mapped.attribute = attribute(code).map(|name| Path::of(&[name]));
        mapped.source(Code(code.to_owned()))
    } else if find::<CredentialsError>(&error).is_some() {
        ProviderError::new(
            ErrorKind::Denied,
            "there are no usable credentials; set a profile, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run \
             `aws sso login`",
        )
        .source(error)
    } else {
        let (kind, message) = match &error {
            SdkError::ConstructionFailure(_) => (ErrorKind::Internal, "the request cannot be made"),
            SdkError::TimeoutError(_) => (ErrorKind::Unavailable, "no answer in time"),
            SdkError::DispatchFailure(_) => (ErrorKind::Unavailable, "the service cannot be reached"),
            // A failing endpoint may answer in HTML.
            _ if status >= 500 => (ErrorKind::Unavailable, "the service failed"),
            _ if status == 429 => (ErrorKind::Throttled, "the service asks to slow down"),
            _ => (ErrorKind::Internal, "the service's answer makes no sense"),
        };
        ProviderError::new(kind, message).source(error)
    };
    mapped.operation(operation).request_id(request_id)
}

/// The first error of this type in the chain of causes.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error as it is just after a create: what is not found is not visible yet.
pub(crate) fn fresh(error: ProviderError) -> ProviderError {
    if error.kind == ErrorKind::NotFound {
        return ProviderError {
            kind: ErrorKind::NotYetVisible,
            ..error
        };
    }
    error
}

/// What the engine is to do about an error code. `status` decides where the code says nothing.
pub(crate) fn kind(code: &str, status: u16) -> ErrorKind {
    match code {
        "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "SlowDown" => ErrorKind::Throttled,
        "AuthFailure"
        | "UnauthorizedOperation"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AccessDenied"
        | "AccessDeniedException"
        | "Blocked"
        | "OptInRequired"
        | "PendingVerification"
        | "OperationNotPermitted" => ErrorKind::Denied,
        "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "Unavailable"
        | "RequestTimeout"
        | "Server.InternalError"
        | "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity" => ErrorKind::Unavailable,
        "DependencyViolation"
        | "ResourceInUse"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "IncorrectModificationState"
        | "VolumeModificationRateExceeded"
        | "ConcurrentTagAccess"
        | "VolumeInUse" => ErrorKind::Conflict,
        _ if code.ends_with(".InUse") => ErrorKind::Conflict,
        _ if code.ends_with(".Duplicate") => ErrorKind::AlreadyExists,
        _ if code.ends_with(".NotFound")
            || code.ends_with(".Malformed") && code.starts_with("InvalidInstanceID") =>
        {
            ErrorKind::NotFound
        }
        _ if status >= 500 => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidArgument,
    }
}

/// The argument that an error code is about.
fn attribute(code: &str) -> Option<&'static str> {
    let subject = code.split('.').next().unwrap_or(code);
    Some(match subject {
        "InvalidAMIID" | "InvalidAMIName" => "ami",
        "InvalidKeyPair" => "key_name",
        "InvalidSubnetID" | "InvalidSubnet" => "subnet_id",
        "InvalidGroup" | "InvalidGroupId" | "InvalidSecurityGroupID" => "vpc_security_group_ids",
        "InvalidVpcID" => "vpc_id",
        "InvalidUserData" => "user_data",
        "InvalidPrefixListId" | "InvalidPrefixListID" => "prefix_list_id",
        "InsufficientInstanceCapacity" | "Unsupported" | "InvalidInstanceType" => "instance_type",
        _ => return None,
    })
}

/// What the service said, and the way out where that alone does not tell.
fn message(code: &str, said: &str) -> String {
    let way_out = match code {
        "UnauthorizedOperation" | "AccessDenied" => "; the credentials lack this permission",
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "; log in again, and check the clock of this machine"
        }
        "AuthFailure" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => {
            "; check the credentials and the region"
        }
        "OperationNotPermitted" => {
            "; termination protection may be on: set `disable_api_termination = false` first"
        }
        "InsufficientInstanceCapacity" => "; try another instance type or availability zone",
        "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "RulesPerSecurityGroupLimitExceeded" => "; raise the quota in the Service Quotas console",
        "VolumeModificationRateExceeded" => "; a volume can be changed only a few times a day",
        _ => "",
    };
    // The message of UnauthorizedOperation carries a long encoded text that tells nothing to a reader.
    let said = said
        .split(". Encoded authorization failure message")
        .next()
        .unwrap_or(said);
    format!("{}{way_out}", said.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_the_engine_is_to_do() {
        for (code, status, wanted) in [
            ("RequestLimitExceeded", 503, ErrorKind::Throttled),
            ("UnauthorizedOperation", 403, ErrorKind::Denied),
            ("InvalidGroup.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidPermission.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidKeyPair.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidGroup.NotFound", 400, ErrorKind::NotFound),
            ("InvalidInstanceID.NotFound", 400, ErrorKind::NotFound),
            ("InvalidInstanceID.Malformed", 400, ErrorKind::NotFound),
            ("InvalidAMIID.Malformed", 400, ErrorKind::InvalidArgument),
            ("DependencyViolation", 400, ErrorKind::Conflict),
            ("InvalidGroup.InUse", 400, ErrorKind::Conflict),
            ("IncorrectInstanceState", 400, ErrorKind::Conflict),
            ("InsufficientInstanceCapacity", 500, ErrorKind::Unavailable),
            ("SomethingNew", 500, ErrorKind::Unavailable),
            ("SomethingNew", 400, ErrorKind::InvalidArgument),
        ] {
            assert_eq!(kind(code, status), wanted, "{code} {status}");
        }
    }

    #[test]
    fn a_new_object_that_is_not_found_is_not_visible_yet() {
        let error = fresh(ProviderError::new(ErrorKind::NotFound, "no such group"));
        assert_eq!(error.kind, ErrorKind::NotYetVisible);
        assert_eq!(fresh(ProviderError::internal("x")).kind, ErrorKind::Internal);
    }
}
