//! What the provider makes of answers that a simulated cloud never gives.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that need a server")]
mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::{connect, cx, model};
use stack_core::Value;
use stack_provider::{ErrorKind, Owner, Provider as _, Resource as _};
use stack_provider_aws::{
    AwsProvider, IngressRule, Instance, InstanceModel, KeyPair, SecurityGroup, SecurityGroupModel,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One answer: the action it is for, status and body.
type Answer = (&'static str, u16, String);

/// A service that gives prepared answers, each once and in order for its action.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn of(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (answers, log) = (Arc::new(Mutex::new(answers)), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&log)));
            }
        });
        Self { address, asked }
    }

    /// Bodies of all requests of this action.
    fn requests(&self, action: &str) -> Vec<String> {
        let start = format!("Action={action}&");
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|body| body.starts_with(&start))
            .cloned()
            .collect()
    }
}

async fn serve(mut stream: TcpStream, answers: Arc<Mutex<Vec<Answer>>>, log: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    let body = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                l.to_lowercase()
                    .strip_prefix("content-length:")
                    .map(str::to_owned)
            });
            let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
            if body.len() >= length {
                break body.to_owned();
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
    };
    let action = body
        .split('&')
        .next()
        .unwrap()
        .trim_start_matches("Action=")
        .to_owned();
    log.lock().unwrap().push(body);
    let (status, answer) = {
        let mut answers = answers.lock().unwrap();
        match answers.iter().position(|(a, ..)| *a == action) {
            Some(at) => {
                let (_, status, body) = answers.remove(at);
                (status, body)
            }
            None => (500, format!("<p>no answer is prepared for {action}</p>")),
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\nx-amzn-requestid: req-1\r\n\r\n",
        answer.len()
    );
    stream
        .write_all(format!("{head}{answer}").as_bytes())
        .await
        .unwrap();
}

fn error(action: &'static str, status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>req-1</RequestID></Response>"
    );
    (action, status, body)
}

/// A Describe answer with this content.
fn described(action: &'static str, content: &str) -> Answer {
    (
        action,
        200,
        format!("<{action}Response>{content}</{action}Response>"),
    )
}

fn instance(state: &str) -> Answer {
    let content = format!(
        "<reservationSet><item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>i-1</instanceId>\
         <imageId>ami-1</imageId><instanceType>t3.small</instanceType>\
         <instanceState><code>0</code><name>{state}</name></instanceState>\
         <stateReason><code>Client.VolumeLimitExceeded</code><message>too many volumes</message></stateReason>\
         </item></instancesSet></item></reservationSet>"
    );
    described("DescribeInstances", &content)
}

fn owner() -> Owner {
    Owner {
        lineage: "line".to_owned(),
        token: "tok-1".to_owned(),
        address: "aws_instance.a".parse().unwrap(),
        environment: "test".to_owned(),
    }
}

fn wanted() -> InstanceModel {
    model(&[("ami", "ami-1".into()), ("instance_type", "t3.small".into())])
}

const NONE: &str = "<reservationSet/>";

#[tokio::test]
async fn a_launch_carries_token_and_tags_and_waits_until_running() {
    let launched = "<instancesSet><item><instanceId>i-1</instanceId></item></instancesSet>";
    let service = Service::of(vec![
        described("DescribeInstances", NONE),
        described("RunInstances", launched),
        described("DescribeInstances", NONE),
        instance("pending"),
        instance("running"),
    ])
    .await;
    let client = connect(service.address).await;
    let made = Instance::create(&cx(), &client, &owner(), wanted())
        .await
        .unwrap();
    assert_eq!(made.instance_state.as_deref(), Some("running"));
    assert_eq!(
        made.arn.as_deref(),
        Some("arn:aws:ec2:us-east-1:123456789012:instance/i-1")
    );
    let request = service.requests("RunInstances").remove(0);
    for wanted in [
        "ClientToken=tok-1",
        "TagSpecification.1.ResourceType=instance",
        "TagSpecification.2.ResourceType=volume",
        "TagSpecification.3.ResourceType=network-interface",
        "Key=stack%3Alineage&TagSpecification.1.Tag.1.Value=line",
        "MetadataOptions.HttpTokens=required",
        "MetadataOptions.HttpPutResponseHopLimit=1",
    ] {
        assert!(request.contains(wanted), "{request} lacks {wanted}");
    }
}

#[tokio::test]
async fn an_instance_that_dies_at_birth_is_left_to_the_engine() {
    let launched = "<instancesSet><item><instanceId>i-1</instanceId></item></instancesSet>";
    let service = Service::of(vec![
        described("DescribeInstances", NONE),
        described("RunInstances", launched),
        instance("shutting-down"),
    ])
    .await;
    let client = connect(service.address).await;
    let failure = Instance::create(&cx(), &client, &owner(), wanted())
        .await
        .unwrap_err();
    assert_eq!(failure.object.unwrap().id.as_deref(), Some("i-1"));
    assert!(
        failure.error.to_string().contains("too many volumes"),
        "{}",
        failure.error
    );
    assert!(!failure.error.kind.is_retryable());
}

#[tokio::test]
async fn errors_of_a_launch_say_cause_and_way_out() {
    for (answer, kind, attribute, text) in [
        (
            error(
                "RunInstances",
                400,
                "InvalidAMIID.NotFound",
                "The image id ami-1 does not exist",
            ),
            ErrorKind::NotFound,
            Some("ami"),
            "RunInstances: The image id ami-1 does not exist (request req-1)",
        ),
        (
            error("RunInstances", 400, "IdempotentParameterMismatch", "x"),
            ErrorKind::InvalidArgument,
            None,
            "RunInstances: an attempt with the same token had other arguments; apply again to make a fresh attempt (request req-1)",
        ),
        (
            error("RunInstances", 500, "InsufficientInstanceCapacity", "no capacity"),
            ErrorKind::Unavailable,
            Some("instance_type"),
            "RunInstances: no capacity; try another instance type or availability zone (request req-1)",
        ),
        (
            error("RunInstances", 503, "RequestLimitExceeded", "slow down"),
            ErrorKind::Throttled,
            None,
            "RunInstances: slow down (request req-1)",
        ),
        (
            (
                "RunInstances",
                502,
                "<html><body>Bad Gateway</body></html>".to_owned(),
            ),
            ErrorKind::Unavailable,
            None,
            "RunInstances: the service failed (request req-1)",
        ),
    ] {
        let service = Service::of(vec![described("DescribeInstances", NONE), answer]).await;
        let client = connect(service.address).await;
        let failure = Instance::create(&cx(), &client, &owner(), wanted())
            .await
            .unwrap_err();
        assert_eq!(failure.error.kind, kind, "{text}");
        assert_eq!(failure.error.to_string(), text);
        assert_eq!(
            failure.error.attribute.map(|p| p.to_string()).as_deref(),
            attribute
        );
        assert!(failure.object.is_none());
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_the_plan_cannot() {
    let proposed = stack_core::Decode::encode(&wanted());
    let said = async |answer: Answer| {
        let service = Service::of(vec![answer]).await;
        let client = connect(service.address).await;
        let preview = Instance::preview(&cx(), &client, None, &proposed).await;
        assert!(service.requests("RunInstances")[0].contains("DryRun=true"));
        preview
    };
    let fine = said(error(
        "RunInstances",
        412,
        "DryRunOperation",
        "would have succeeded",
    ))
    .await
    .unwrap();
    assert_eq!((fine.warnings.len(), fine.not_checked), (0, None));
    let denied = said(error(
        "RunInstances",
        403,
        "UnauthorizedOperation",
        "not authorized",
    ))
    .await
    .unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    let bad = said(error("RunInstances", 400, "Unsupported", "no such type here"))
        .await
        .unwrap();
    assert_eq!(bad.warnings[0].0.to_string(), "instance_type");
    let unknown = proposed.with_attribute("ami", Value::unknown(stack_core::Type::String));
    let client = connect("127.0.0.1:1".parse().unwrap()).await;
    let unchecked = Instance::preview(&cx(), &client, None, &unknown).await.unwrap();
    assert_eq!(
        unchecked.not_checked.as_deref(),
        Some("`ami` is known after apply")
    );
}

#[tokio::test]
async fn a_group_in_use_is_tried_again_later() {
    let service = Service::of(vec![error(
        "DeleteSecurityGroup",
        400,
        "DependencyViolation",
        "x",
    )])
    .await;
    let client = connect(service.address).await;
    let group = SecurityGroupModel {
        id: Some("sg-1".to_owned()),
        ..SecurityGroupModel::default()
    };
    let error = SecurityGroup::delete(&cx(), &client, &group).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.to_string().contains("sg-1 is still used"), "{error}");
}

#[tokio::test]
async fn a_rule_of_a_group_just_made_waits_for_it() {
    let service = Service::of(vec![error(
        "AuthorizeSecurityGroupIngress",
        400,
        "InvalidGroup.NotFound",
        "no such group",
    )])
    .await;
    let client = connect(service.address).await;
    let rule = model(&[
        ("security_group_id", "sg-1".into()),
        ("ip_protocol", "tcp".into()),
        ("from_port", 22.into()),
        ("to_port", 22.into()),
        ("cidr_ipv4", "10.0.0.0/8".into()),
    ]);
    let failure = IngressRule::create(&cx(), &client, &owner(), rule)
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::NotYetVisible);
}

#[tokio::test]
async fn a_foreign_object_of_the_same_name_is_never_adopted() {
    let pair = "<keySet><item><keyName>k</keyName><keyPairId>key-1</keyPairId></item></keySet>";
    let service = Service::of(vec![
        error("ImportKeyPair", 400, "InvalidKeyPair.Duplicate", "exists"),
        described("DescribeKeyPairs", pair),
    ])
    .await;
    let client = connect(service.address).await;
    let planned = model(&[
        ("key_name", "k".into()),
        ("public_key", "ssh-ed25519 AAAA".into()),
    ]);
    let failure = KeyPair::create(&cx(), &client, &owner(), planned)
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::AlreadyExists);
    assert!(
        failure.error.to_string().contains("stack import"),
        "{}",
        failure.error
    );
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = connect(free).await;
    let failure = Instance::create(&cx(), &client, &owner(), wanted())
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn another_account_than_the_allowed_one_is_refused() {
    let identity = "<GetCallerIdentityResult><Account>111111111111</Account><Arn>a</Arn><UserId>u</UserId>\
                    </GetCallerIdentityResult>";
    let connect = async |allowed: &str| {
        let service = Service::of(vec![described("GetCallerIdentity", identity)]).await;
        let mut arguments = common::arguments(service.address);
        arguments.allowed_account_ids = Some(vec![allowed.to_owned()]);
        AwsProvider::connect(&cx(), arguments).await
    };
    assert!(connect("111111111111").await.is_ok());
    let error = connect("222222222222").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.to_string().contains("account 111111111111"), "{error}");
}
