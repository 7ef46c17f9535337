//! `probe_tcp`, `probe_tls`, `probe_amqp`, `probe_http`

use std::collections::BTreeMap;

use stack_core::{Schema, Secret};
use stack_provider::{Cx, DataSource, ProviderError, async_trait};

use crate::Client;
use crate::amqp::Login;
use crate::arguments::{Pod, TlsSettings, origin, policy};
use crate::attempt::{Findings, Speech, Target};
use crate::http_probe::{Request, Url};
use crate::tls::Tls;

/// The longest read: many tries of a minute.
const TIMEOUT: u64 = 900;

/// A model with the arguments and attributes that all probes share.
macro_rules! model {
    ($(#[$text:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$text])*
        #[derive(Clone, Debug, Schema)]
        pub(crate) struct $name {
            /// Where the probe starts from: `local` (this machine), `host` (the provider's `ssh`), `pod`.
            #[schema(default = "local")]
            pub(crate) from: String,
            /// The container to start from, with `from = "pod"`.
            #[schema(block)]
            pub(crate) pod: Option<Pod>,
            /// Time of one try, in seconds.
            #[schema(default = 10)]
            pub(crate) timeout: u32,
            /// Tries at most.
            #[schema(default = 1)]
            pub(crate) attempts: u32,
            /// Pause between tries, in seconds.
            #[schema(default = 1)]
            pub(crate) interval: u32,
            /// Outcome that ends the tries: `success`, or `failure` where nothing is to answer.
            #[schema(default = "success")]
            pub(crate) expect: String,
            /// Whether the last try succeeded.
            #[schema(computed)]
            pub(crate) success: Option<bool>,
            /// Why it did not; null where it did.
            #[schema(computed)]
            pub(crate) error: Option<String>,
            /// Time of the last try, in milliseconds.
            #[schema(computed)]
            pub(crate) latency_ms: Option<i64>,
            /// Tries made.
            #[schema(computed)]
            pub(crate) tries: Option<u32>,
            $($fields)*
        }

        impl $name {
            async fn run(&self, cx: &Cx, client: &Client, what: What<'_>) -> Result<Findings, ProviderError> {
                let policy = policy(self.attempts, self.timeout, self.interval, &self.expect)?;
                let target = Target {
                    origin: origin(&self.from, self.pod.as_ref())?,
                    host: what.host.to_owned(),
                    port: what.port,
                    tls: what.tls,
                    speech: what.speech,
                };
                target.probe(cx, client, policy).await
            }

            fn note(&mut self, findings: &Findings) {
                self.success = Some(findings.success());
                self.error.clone_from(&findings.error);
                self.latency_ms = Some(findings.latency_ms());
                self.tries = Some(findings.attempts);
            }
        }
    };
}

/// What is probed.
struct What<'a> {
    host: &'a str,
    port: u16,
    tls: Option<Tls>,
    speech: Speech,
}

/// The attributes of a certificate.
macro_rules! note_certificate {
    ($model:ident, $findings:ident) => {
        if let Some(certificate) = $findings.certificate {
            $model.subject = Some(certificate.subject);
            $model.issuer = Some(certificate.issuer);
            $model.not_after = Some(certificate.not_after);
            $model.subject_alternative_names = Some(certificate.names);
        }
    };
}

model! {
    /// Whether a TCP connection can be made. From a pod with a sidecar it always can: the sidecar accepts it.
    Tcp {
        /// Name or address to connect to, as it is seen from there.
        pub(crate) host: String,
        /// Port.
        pub(crate) port: u16,
    }
}

/// The data source `probe_tcp`.
pub(crate) struct ProbeTcp;

#[async_trait]
impl DataSource for ProbeTcp {
    const TYPE: &'static str = "probe_tcp";
    const TIMEOUT_SECONDS: u64 = TIMEOUT;
    type Model = Tcp;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: Tcp) -> Result<Tcp, ProviderError> {
        let what = What {
            host: &arguments.host,
            port: arguments.port,
            tls: None,
            speech: Speech::Silence,
        };
        let findings = arguments.run(cx, client, what).await?;
        arguments.note(&findings);
        Ok(arguments)
    }
}

model! {
    /// Whether a server shows a certificate that is trusted and has the right name.
    TlsModel {
        /// Name or address to connect to, as it is seen from there.
        pub(crate) host: String,
        /// Port.
        pub(crate) port: u16,
        /// Certificates of the authorities to trust, in PEM; those of this machine where left out.
        pub(crate) ca_pem: Option<String>,
        /// Name that the certificate must have, and that is sent to the server; `host` where left out.
        pub(crate) server_name: Option<String>,
        /// Send the name (SNI). Names that are addresses are never sent.
        #[schema(default = true)]
        pub(crate) sni: bool,
        /// Whom the certificate was made for; known even where it is not trusted.
        #[schema(computed)]
        pub(crate) subject: Option<String>,
        /// Who signed the certificate.
        #[schema(computed)]
        pub(crate) issuer: Option<String>,
        /// Last moment at which the certificate is valid, as RFC 3339.
        #[schema(computed)]
        pub(crate) not_after: Option<String>,
        /// Names and addresses in the certificate.
        #[schema(computed)]
        pub(crate) subject_alternative_names: Option<Vec<String>>,
    }
}

/// The data source `probe_tls`.
pub(crate) struct ProbeTls;

#[async_trait]
impl DataSource for ProbeTls {
    const TYPE: &'static str = "probe_tls";
    const TIMEOUT_SECONDS: u64 = TIMEOUT;
    type Model = TlsModel;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: TlsModel) -> Result<TlsModel, ProviderError> {
        let settings = TlsSettings {
            ca_pem: arguments.ca_pem.clone(),
            server_name: arguments.server_name.clone(),
            sni: arguments.sni,
        };
        let what = What {
            host: &arguments.host,
            port: arguments.port,
            tls: Some(Tls::new(&settings, &arguments.host, &[])?),
            speech: Speech::Silence,
        };
        let findings = arguments.run(cx, client, what).await?;
        arguments.note(&findings);
        note_certificate!(arguments, findings);
        Ok(arguments)
    }
}

model! {
    /// Whether a broker greets, and lets a user in where one is given.
    Amqp {
        /// Name or address to connect to, as it is seen from there.
        pub(crate) host: String,
        /// Port.
        pub(crate) port: u16,
        /// Encrypt the connection.
        #[schema(block)]
        pub(crate) tls: Option<TlsSettings>,
        /// User to log in as; without one only the greeting is read.
        pub(crate) username: Option<String>,
        /// Password of the user.
        pub(crate) password: Option<Secret<String>>,
        /// Virtual host to open.
        #[schema(default = "/")]
        pub(crate) virtual_host: String,
        /// Product of the broker: `RabbitMQ`.
        #[schema(computed)]
        pub(crate) product: Option<String>,
        /// Version of the broker.
        #[schema(computed)]
        pub(crate) version: Option<String>,
        /// Ways to log in that the broker offers.
        #[schema(computed)]
        pub(crate) mechanisms: Option<Vec<String>>,
        /// Whether the user was let in and the virtual host is open.
        #[schema(computed)]
        pub(crate) logged_in: Option<bool>,
        /// Whom the certificate was made for.
        #[schema(computed)]
        pub(crate) subject: Option<String>,
        /// Who signed the certificate.
        #[schema(computed)]
        pub(crate) issuer: Option<String>,
        /// Last moment at which the certificate is valid, as RFC 3339.
        #[schema(computed)]
        pub(crate) not_after: Option<String>,
        /// Names and addresses in the certificate.
        #[schema(computed)]
        pub(crate) subject_alternative_names: Option<Vec<String>>,
    }
}

/// Reads a login; a name without a password, or the other way round, is a mistake.
///
/// # Errors
/// As said.
pub(crate) fn login(
    username: Option<&String>,
    password: Option<&Secret<String>>,
    virtual_host: &str,
) -> Result<Option<Login>, ProviderError> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => Ok(Some(Login {
            username: username.clone(),
            password: password.clone(),
            virtual_host: virtual_host.to_owned(),
        })),
        (Some(_), None) => Err(ProviderError::invalid("password", "a login needs a password too")),
        (None, Some(_)) => Err(ProviderError::invalid("username", "a login needs a user too")),
    }
}

/// The data source `probe_amqp`.
pub(crate) struct ProbeAmqp;

#[async_trait]
impl DataSource for ProbeAmqp {
    const TYPE: &'static str = "probe_amqp";
    const TIMEOUT_SECONDS: u64 = TIMEOUT;
    type Model = Amqp;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: Amqp) -> Result<Amqp, ProviderError> {
        let login = login(
            arguments.username.as_ref(),
            arguments.password.as_ref(),
            &arguments.virtual_host,
        )?;
        let tls = arguments
            .tls
            .as_ref()
            .map(|t| Tls::new(t, &arguments.host, &[]))
            .transpose()?;
        let what = What {
            host: &arguments.host,
            port: arguments.port,
            tls,
            speech: Speech::Amqp(login),
        };
        let findings = arguments.run(cx, client, what).await?;
        arguments.note(&findings);
        arguments.product.clone_from(&findings.greeting.product);
        arguments.version.clone_from(&findings.greeting.version);
        arguments.mechanisms = Some(findings.greeting.mechanisms.clone());
        arguments.logged_in = Some(findings.greeting.logged_in);
        note_certificate!(arguments, findings);
        Ok(arguments)
    }
}

model! {
    /// Whether an HTTP server answers.
    Http {
        /// URL, `http` or `https`.
        pub(crate) url: String,
        /// Method.
        #[schema(default = "GET")]
        pub(crate) method: String,
        /// Headers to send.
        #[schema(sensitive)]
        pub(crate) headers: Option<BTreeMap<String, String>>,
        /// Address to connect to in place of the URL's host.
        pub(crate) connect_to: Option<String>,
        /// Certificates of the authorities to trust, in PEM; those of this machine where left out.
        pub(crate) ca_pem: Option<String>,
        /// Status codes that count as success; any where left out.
        pub(crate) expected_status: Option<Vec<u16>>,
        /// Status code of the answer.
        #[schema(computed)]
        pub(crate) status: Option<u16>,
        /// Headers of the answer, names in lower case.
        #[schema(computed)]
        pub(crate) response_headers: Option<BTreeMap<String, String>>,
        /// Content of the answer; empty where it is longer than 64 KiB.
        #[schema(computed)]
        pub(crate) body: Option<String>,
        /// Whom the certificate was made for.
        #[schema(computed)]
        pub(crate) subject: Option<String>,
        /// Who signed the certificate.
        #[schema(computed)]
        pub(crate) issuer: Option<String>,
        /// Last moment at which the certificate is valid, as RFC 3339.
        #[schema(computed)]
        pub(crate) not_after: Option<String>,
        /// Names and addresses in the certificate.
        #[schema(computed)]
        pub(crate) subject_alternative_names: Option<Vec<String>>,
    }
}

/// The data source `probe_http`.
pub(crate) struct ProbeHttp;

/// A request to a URL, ready to be sent.
///
/// # Errors
/// The URL, a header or the authorities cannot be used.
pub(crate) fn http(
    url: &str,
    method: &str,
    headers: BTreeMap<String, String>,
    expected_status: Vec<u16>,
    ca_pem: Option<&String>,
) -> Result<(Url, Option<Tls>, Speech), ProviderError> {
    let url = Url::parse(url)?;
    let request = Request {
        method: method.to_owned(),
        path: url.path.clone(),
        authority: url.authority.clone(),
        headers,
        expected_status,
    };
    request.check()?;
    let settings = TlsSettings {
        ca_pem: ca_pem.cloned(),
        server_name: None,
        sni: true,
    };
    let tls = url
        .is_https
        .then(|| Tls::new(&settings, &url.host, &[b"http/1.1"]))
        .transpose()?;
    Ok((url, tls, Speech::Http(request)))
}

#[async_trait]
impl DataSource for ProbeHttp {
    const TYPE: &'static str = "probe_http";
    const TIMEOUT_SECONDS: u64 = TIMEOUT;
    type Model = Http;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: Http) -> Result<Http, ProviderError> {
        let (url, tls, speech) = http(
            &arguments.url,
            &arguments.method,
            arguments.headers.clone().unwrap_or_default(),
            arguments.expected_status.clone().unwrap_or_default(),
            arguments.ca_pem.as_ref(),
        )?;
        let what = What {
            host: arguments.connect_to.as_deref().unwrap_or(&url.host),
            port: url.port,
            tls,
            speech,
        };
        let findings = arguments.run(cx, client, what).await?;
        arguments.note(&findings);
        if let Some(response) = &findings.response {
            arguments.status = Some(response.status);
            arguments.response_headers = Some(response.headers.clone());
            arguments.body = Some(response.body.clone());
        }
        note_certificate!(arguments, findings);
        Ok(arguments)
    }
}
