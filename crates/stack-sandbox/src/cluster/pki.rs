//! Keys, certificates and kubeconfigs of one cluster, made anew for every start.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::json;

use super::layout::{API_ADDRESS, API_SERVICE, CONTEXT, DOMAIN, NODE, NODE_ADDRESS, api_url};

/// An authority that signs certificates.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: String,
    /// The private key, PKCS#8.
    pub(crate) key: String,
}

impl Authority {
    /// A new authority of this name.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = params(None, name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a client or a server, with its names and addresses.
    pub(crate) fn sign(&self, subject: &Subject<'_>) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = params(subject.organization, subject.name, subject.alternatives)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = subject.usages.to_vec();
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    fn identity(&self) -> Identity {
        Identity {
            certificate: self.pem(),
            key: self.issuer.key().serialize_pem(),
        }
    }
}

/// Whom a certificate is for.
pub(crate) struct Subject<'a> {
    /// Organization: Kubernetes reads a group from it.
    pub(crate) organization: Option<&'a str>,
    /// Common name: Kubernetes reads the user from it.
    pub(crate) name: &'a str,
    /// DNS names and IP addresses.
    pub(crate) alternatives: &'a [&'a str],
    /// What it may be used for.
    pub(crate) usages: &'a [ExtendedKeyUsagePurpose],
}

const CLIENT: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ClientAuth];
const SERVER: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];
const BOTH: &[ExtendedKeyUsagePurpose] = &[
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
];

fn params(
    organization: Option<&str>,
    name: &str,
    alternatives: &[&str],
) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = alternatives.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    if let Some(organization) = organization {
        subject.push(DnType::OrganizationName, organization);
    }
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    // Independent of the machine's clock, which a virtual machine may have wrong.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}

/// Writes the cluster's keys, certificates and kubeconfigs into `folder`, and the administrator's kubeconfig to
/// `admin`. Secrets are readable by the user alone.
pub(crate) fn write(folder: &Path, admin: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let ca = Authority::new("sandbox-ca")?;
    let etcd = Authority::new("sandbox-etcd-ca")?;
    let front = Authority::new("sandbox-front-proxy-ca")?;
    write_identity(folder, "ca", &ca.identity())?;
    write_public(&folder.join("etcd-ca.crt"), &etcd.pem())?;
    write_public(&folder.join("front-proxy-ca.crt"), &front.pem())?;

    let accounts = KeyPair::generate()?;
    write_secret(&folder.join("sa.key"), &accounts.serialize_pem())?;
    write_public(&folder.join("sa.pub"), &accounts.public_key_pem())?;

    let domain = format!("kubernetes.default.svc.{DOMAIN}");
    let api = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        domain.as_str(),
        "localhost",
        "127.0.0.1",
        API_SERVICE,
        API_ADDRESS,
    ];
    let node_user = format!("system:node:{NODE}");
    let plain = |name, usages, alternatives| Subject {
        organization: None,
        name,
        alternatives,
        usages,
    };
    let table: [(&str, &Authority, Subject<'_>); 6] = [
        ("apiserver", &ca, plain("kube-apiserver", SERVER, &api)),
        (
            "etcd-server",
            &etcd,
            plain("etcd", BOTH, &["localhost", "127.0.0.1"]),
        ),
        (
            "apiserver-etcd-client",
            &etcd,
            plain("kube-apiserver-etcd-client", CLIENT, &[]),
        ),
        (
            "front-proxy-client",
            &front,
            plain("front-proxy-client", CLIENT, &[]),
        ),
        (
            "apiserver-kubelet-client",
            &ca,
            group("system:masters", "kube-apiserver-kubelet-client"),
        ),
        (
            "kubelet-server",
            &ca,
            Subject {
                organization: Some("system:nodes"),
                name: &node_user,
                alternatives: &[NODE, NODE_ADDRESS],
                usages: SERVER,
            },
        ),
    ];
    for (file, authority, subject) in &table {
        write_identity(folder, file, &authority.sign(subject)?)?;
    }
    let users = [
        (
            "controller-manager",
            plain("system:kube-controller-manager", CLIENT, &[]),
        ),
        ("scheduler", plain("system:kube-scheduler", CLIENT, &[])),
        ("kube-proxy", plain("system:kube-proxy", CLIENT, &[])),
        ("kubelet", group("system:nodes", &node_user)),
    ];
    for (file, subject) in &users {
        let config = render_kubeconfig(file, &ca.pem(), &ca.sign(subject)?);
        write_secret(&folder.join(format!("{file}.conf")), &config)?;
    }
    let config = render_kubeconfig(
        "admin",
        &ca.pem(),
        &ca.sign(&group("system:masters", "kubernetes-admin"))?,
    );
    write_secret(admin, &config)
}

fn group<'a>(organization: &'a str, name: &'a str) -> Subject<'a> {
    Subject {
        organization: Some(organization),
        name,
        alternatives: &[],
        usages: CLIENT,
    }
}

fn render_kubeconfig(user: &str, ca: &str, identity: &Identity) -> String {
    let data = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": api_url(), "certificate-authority-data": data(ca)}}],
        "users": [{"name": user, "user": {
            "client-certificate-data": data(&identity.certificate), "client-key-data": data(&identity.key)}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    });
    format!("{config:#}\n")
}

/// Writes `NAME.crt` and `NAME.key`.
pub(crate) fn write_identity(folder: &Path, name: &str, identity: &Identity) -> anyhow::Result<()> {
    write_public(&folder.join(format!("{name}.crt")), &identity.certificate)?;
    write_secret(&folder.join(format!("{name}.key")), &identity.key)
}

/// Writes a file that anyone may read.
pub(crate) fn write_public(path: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn write_secret(path: &Path, content: &str) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_readable_by_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let admin = folder.path().join("kubeconfig");
        write(&folder.path().join("pki"), &admin).unwrap();
        for entry in fs::read_dir(folder.path().join("pki")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let public = name.ends_with(".crt") || name.ends_with(".pub");
            assert_eq!(mode & 0o077 == 0, !public, "{name} has mode {mode:o}");
        }
        assert_eq!(fs::metadata(&admin).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_kubeconfig_has_the_context_and_the_server() {
        let identity = Identity {
            certificate: "c".into(),
            key: "k".into(),
        };
        let config: serde_json::Value =
            serde_json::from_str(&render_kubeconfig("admin", "ca", &identity)).unwrap();
        assert_eq!(config["current-context"], "sandbox");
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://10.77.0.254:6443"
        );
        assert_eq!(config["users"][0]["user"]["client-key-data"], "aw==");
    }

    #[test]
    fn openssl_accepts_a_signed_certificate_for_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test-ca").unwrap();
        let identity = authority
            .sign(&Subject {
                organization: None,
                name: "host",
                alternatives: &["host.example", "10.0.0.1"],
                usages: SERVER,
            })
            .unwrap();
        write_identity(folder.path(), "host", &identity).unwrap();
        write_public(&folder.path().join("ca.crt"), &authority.pem()).unwrap();
        let verify = |name: &str| {
            std::process::Command::new("openssl")
                .args([
                    "verify",
                    "-purpose",
                    "sslserver",
                    "-verify_hostname",
                    name,
                    "-CAfile",
                    "ca.crt",
                    "host.crt",
                ])
                .current_dir(folder.path())
                .output()
                .unwrap()
                .status
                .success()
        };
        assert!(verify("host.example"));
        assert!(!verify("other.example"));
    }
}
