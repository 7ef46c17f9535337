//! The job and what is to hold of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use stack_e2e::{Sandbox, Stack, texts};

use crate::clients::{Made, eventually, gateway_count, in_pod};

/// The job in the sandbox.
pub(crate) struct Job {
    sandbox: &'static Sandbox,
    stack: Stack<'static>,
    made: Option<Made>,
}

impl Job {
    /// An empty sandbox with an empty state.
    pub(crate) fn start() -> Result<Self> {
        let sandbox: &'static Sandbox = Box::leak(Box::new(Sandbox::from_environment()?));
        let left = sandbox.remains()?;
        ensure!(
            left.is_empty(),
            "the sandbox is not empty ({}): `stack-sandbox down` empties it",
            left.join(", ")
        );
        let stack = Stack::new(sandbox, "e2e")?;
        Ok(Self {
            sandbox,
            stack,
            made: None,
        })
    }

    fn made(&self) -> Result<&Made> {
        self.made
            .as_ref()
            .context("there is nothing to look at: the apply has failed")
    }
}

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const PLAN: [&str; 3] = ["plan", "--detailed-exitcode", "--fail-on-check"];

pub(crate) fn apply(job: &mut Job) -> Result<()> {
    let said = job.stack.expect(0, &APPLY)?;
    job.made = Some(Made::read(&job.stack)?);
    let said = format!("{}{}", said.out, said.err);
    ensure!(said.contains("Apply complete!"), "no summary in:\n{said}");
    for check in [
        "console",
        "broker_from_operator",
        "broker_from_pod",
        "broker_through_gateway",
        "stripe",
        "stripe_through_gateway",
    ] {
        ensure!(
            said.contains(&format!("check.{check}: passed")),
            "check.{check} has not passed:\n{said}"
        );
    }
    ensure!(
        !said.contains(&job.made()?.password),
        "the apply shows the password"
    );
    Ok(())
}

pub(crate) fn instance(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let instances = job.sandbox.instances()?;
    ensure!(
        instances.len() == 1,
        "{} instances instead of one",
        instances.len()
    );
    let instance = &instances[0];
    let is = |element: &str, wanted: &str| {
        let found: Vec<&str> = texts(instance, element).collect();
        ensure!(
            found.contains(&wanted),
            "{element} is {found:?} instead of {wanted}"
        );
        Ok(())
    };
    is("instanceId", &made.instance)?;
    is("instanceType", "t2.xlarge")?;
    is("privateDnsName", &made.host)?;
    is("ipAddress", &made.address)?;
    is("httpTokens", "required")?;
    is("keyName", "rabbitmq-e2e")?;
    let volumes = job.sandbox.ec2(&format!(
        "Action=DescribeVolumes&Filter.1.Name=attachment.instance-id&Filter.1.Value.1={}",
        made.instance
    ))?;
    ensure!(
        texts(&volumes, "size").eq(["60"]),
        "the volume is not one of 60 GiB:\n{volumes}"
    );
    ensure!(
        texts(&volumes, "volumeType").eq(["gp3"]),
        "the volume is not of type gp3:\n{volumes}"
    );
    let images = job.sandbox.ec2("Action=DescribeImages&Owner.1=099720109477")?;
    let image = texts(instance, "imageId")
        .next()
        .context("the instance has no image")?;
    let item = images
        .split("<item>")
        .find(|item| item.contains(image))
        .context("the image is not Canonical's")?;
    ensure!(
        item.contains("ubuntu-noble-24.04-amd64-server"),
        "the image is not Ubuntu 24.04:\n{item}"
    );
    Ok(())
}

pub(crate) fn rules(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let rules = job
        .sandbox
        .ec2("Action=DescribeSecurityGroupRules&MaxResults=1000")?;
    let mut found = Vec::new();
    for item in rules
        .split("<securityGroupRuleId>")
        .skip(1)
        .filter(|item| item.contains("<isEgress>false</isEgress>"))
    {
        let text = |element: &str| texts(item, element).next().unwrap_or_default().to_owned();
        // The default group's own rule has a group as its source.
        if !text("cidrIpv4").is_empty() {
            found.push(format!("{} {}", text("fromPort"), text("cidrIpv4")));
        }
    }
    found.sort();
    let wanted = [
        "15672 172.31.0.1/32",
        "22 172.31.0.1/32",
        "5671 172.31.0.1/32",
        "5671 172.31.32.0/20",
        "5672 172.31.0.1/32",
        "5672 172.31.32.0/20",
    ];
    ensure!(found == wanted, "the rules are {found:?} instead of {wanted:?}");
    ensure!(made.is_open(5671)?, "port 5671 is closed to the operator");
    let listens = made.on_host("sudo -n ss -Hltn 'sport = :25672'")?;
    ensure!(
        !listens.trim().is_empty(),
        "nothing listens at 25672, so a closed port would prove nothing"
    );
    ensure!(
        !made.is_open(25672)?,
        "port 25672 is open although no rule admits anyone"
    );
    Ok(())
}

pub(crate) fn host_key(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let name = made.on_host("hostname -f 2>/dev/null || hostname")?;
    ensure!(
        made.host
            .starts_with(name.trim().split('.').next().unwrap_or("?")),
        "the host is called {name}"
    );
    made.write(
        "other_hosts",
        &format!(
            "{} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEJx6bo0fjWl1pM4gqHRJTQMnGWD5HxkkOZqzaFqd4Sm\n",
            made.address
        ),
    )?;
    let said = made.ssh("other_hosts", "true")?;
    ensure!(
        said.code == Some(255),
        "a client that expects another key gets in"
    );
    ensure!(
        said.err.contains("HOST IDENTIFICATION HAS CHANGED")
            || said.err.contains("Host key verification failed"),
        "{}",
        said.err
    );
    let modes = made.on_host("sudo -n stat -c '%a %U' /etc/rabbitmq/certs/server_key.pem")?;
    ensure!(
        modes.trim() == "400 rabbitmq",
        "the broker's key has mode and owner {modes:?}"
    );
    Ok(())
}

pub(crate) fn pika_tls(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let said = made.pika(true, &made.username, &made.password)?;
    ensure!(
        said.code == Some(0) && said.out.trim() == "received a message encrypted",
        "{said:?}"
    );
    Ok(())
}

pub(crate) fn pika_plain(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let said = made.pika(false, &made.username, &made.password)?;
    ensure!(
        said.code == Some(0) && said.out.trim() == "received a message in the clear",
        "{said:?}"
    );
    Ok(())
}

pub(crate) fn pika_refused(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    for (username, password) in [(made.username.as_str(), "wrong"), ("guest", "guest")] {
        let said = made.pika(true, username, password)?;
        ensure!(
            said.code == Some(3) && said.out.trim() == "refused",
            "{username} is not refused: {said:?}"
        );
    }
    let users = made.on_host("sudo -n rabbitmqctl -q list_users --formatter json")?;
    ensure!(!users.contains("\"guest\""), "there is a user guest: {users}");
    Ok(())
}

pub(crate) fn certificate(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let good = made.openssl(&["-servername", &made.host, "-verify_hostname", &made.host])?;
    ensure!(
        good.code == Some(0) && good.err.contains("Verification: OK"),
        "{good:?}"
    );
    let private = texts(&job.sandbox.instances()?.concat(), "privateIpAddress")
        .next()
        .map(str::to_owned);
    let private = private.context("the instance has no private address")?;
    let by_address = made.openssl(&["-verify_ip", &private])?;
    ensure!(
        by_address.code == Some(0),
        "the certificate does not hold {private}: {by_address:?}"
    );
    let short = made.host.split('.').next().unwrap_or("?");
    let wrong = made.openssl(&["-servername", short, "-verify_hostname", short])?;
    ensure!(wrong.code != Some(0), "the certificate is accepted for {short}");
    Ok(())
}

pub(crate) fn console(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let answer = made.console("/api/whoami", &made.username, &made.password)?;
    ensure!(
        answer.ends_with("\n200") && answer.contains("\"administrator\""),
        "whoami answers {answer}"
    );
    let permissions = made.console("/api/permissions", &made.username, &made.password)?;
    ensure!(
        permissions.contains(
            "\"user\":\"admin\",\"vhost\":\"/\",\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\""
        ),
        "{permissions}"
    );
    let refused = made.console("/api/whoami", &made.username, "wrong")?;
    ensure!(refused.ends_with("\n401"), "a wrong password gets {refused}");
    Ok(())
}

pub(crate) fn releases(job: &mut Job) -> Result<()> {
    let listed = job
        .sandbox
        .helm(&["list", "--namespace", "istio-system", "--output", "json"])?
        .ok()?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let listed = listed.as_array().context("helm lists no releases")?;
    let mut names: Vec<(&str, &str)> = listed
        .iter()
        .filter_map(|release| Some((release["name"].as_str()?, release["status"].as_str()?)))
        .collect();
    names.sort_unstable();
    let wanted = ["istio-base", "istio-egress", "istio-ingress", "istiod"].map(|name| (name, "deployed"));
    ensure!(names == wanted, "the releases are {names:?}");
    Ok(())
}

/// The first bytes of AMQP 0-9-1 from the application's probe pod to the broker, and whether it greets. (A connection
/// alone says nothing: the sidecar accepts all.)
fn plain_from_pod(job: &Job, host: &str) -> Result<bool> {
    let script = format!(
        "exec 3<>/dev/tcp/{host}/5672 && printf 'AMQP\\0\\0\\11\\1' >&3 && timeout 4 head -c 40 <&3 | grep -aq capabilities && echo greeted || echo silent"
    );
    let said = in_pod(
        job.sandbox,
        "ecommerce",
        "pod/probe",
        "probe",
        &["timeout", "8", "bash", "-c", &script],
    )?;
    match said.out.trim() {
        "greeted" => Ok(true),
        "silent" => Ok(false),
        _ => bail!("the pod cannot try: {said:?}"),
    }
}

/// A verified TLS handshake from the application's probe pod to the broker.
fn tls_from_pod(job: &Job, made: &Made) -> Result<bool> {
    let script = "printf '%s' \"$2\" > /tmp/ca.pem; openssl s_client -brief -connect \"$1:5671\" -servername \"$1\" -verify_hostname \"$1\" \
        -CAfile /tmp/ca.pem -verify_return_error </dev/null";
    let words = ["timeout", "8", "bash", "-c", script, "tls", &made.host, &made.ca];
    let said = in_pod(job.sandbox, "ecommerce", "pod/probe", "probe", &words)?;
    Ok(said.code == Some(0) && said.err.contains("Verification: OK"))
}

/// Whether the application's pods say that they are connected, after their last start.
fn application_works(job: &Job) -> Result<()> {
    for name in ["payment-service", "payment-history"] {
        eventually(&format!("{name} receives messages"), || {
            let words = [
                "logs",
                "--namespace",
                "ecommerce",
                &format!("deployment/{name}"),
                "--container",
                name,
                "--tail",
                "20",
            ];
            let said = job.sandbox.kubectl(&words)?.run()?;
            Ok(said.out.contains("Received"))
        })?;
    }
    Ok(())
}

pub(crate) fn mesh(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let containers = [
        "get",
        "pods",
        "--namespace",
        "ecommerce",
        "--output",
        "jsonpath={range .items[*]}{.metadata.name}: {.spec.containers[*].name} {.spec.initContainers[*].name}{'\\n'}{end}",
    ];
    let pods = job.sandbox.kubectl(&containers)?.ok()?;
    ensure!(
        pods.lines().count() >= 3 && pods.lines().all(|pod| pod.contains("istio-proxy")),
        "a pod has no sidecar:\n{pods}"
    );
    let cluster = format!("outbound|5671||{}", made.host);
    let before = gateway_count(job.sandbox, &cluster)?;
    ensure!(tls_from_pod(job, made)?, "no verified handshake from the pod");
    eventually("the gateway counts the connection", || {
        Ok(gateway_count(job.sandbox, &cluster)? > before)
    })?;
    ensure!(
        !plain_from_pod(job, &made.host)?,
        "a pod reaches port 5672, for which there is no route"
    );
    application_works(job)
}

pub(crate) fn stripe(job: &mut Job) -> Result<()> {
    let cluster = "outbound|443||api.stripe.com";
    let authority = fs::read_to_string(job.sandbox.address("STRIPE_CA")?)?;
    let before = gateway_count(job.sandbox, cluster)?;
    let script = "printf '%s' \"$1\" > /tmp/stripe.pem; curl -s -m 8 --cacert /tmp/stripe.pem -o /dev/null -w '%{http_code}' https://api.stripe.com/v1/charges";
    let said = in_pod(
        job.sandbox,
        "ecommerce",
        "pod/probe",
        "probe",
        &["bash", "-c", script, "stripe", &authority],
    )?;
    ensure!(said.out.trim() == "401", "Stripe answers {said:?}");
    eventually("the gateway counts the request", || {
        Ok(gateway_count(job.sandbox, cluster)? > before)
    })?;
    let words = [
        "logs",
        "--namespace",
        "istio-system",
        "deployment/istio-egressgateway",
        "--container",
        "istio-proxy",
        "--tail=-1",
    ];
    eventually("the gateway's log names the request", || {
        Ok(job
            .sandbox
            .kubectl(&words)?
            .ok()?
            .lines()
            .any(|line| line.contains(cluster) && !line.contains(" UF ")))
    })
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?
        } else {
            found.push(path)
        }
    }
    Ok(())
}

pub(crate) fn sealed(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let key_line = made
        .ssh_key
        .lines()
        .nth(1)
        .context("the SSH key has no second line")?;
    let mut found = Vec::new();
    files(&job.stack.state(), &mut found)?;
    ensure!(
        found.iter().any(|path| path.ends_with("state.json")),
        "there is no state in {found:?}"
    );
    for path in &found {
        let bytes = fs::read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        ensure!(
            !text.contains(&made.password),
            "{} holds the password",
            path.display()
        );
        ensure!(!text.contains(key_line), "{} holds the SSH key", path.display());
        ensure!(
            !text.contains("PRIVATE KEY-----"),
            "{} holds a private key",
            path.display()
        );
    }
    Ok(())
}

pub(crate) fn unchanged(job: &mut Job) -> Result<()> {
    let said = job.stack.expect(0, &PLAN)?;
    ensure!(
        format!("{}{}", said.out, said.err).contains("No changes."),
        "{said:?}"
    );
    Ok(())
}

pub(crate) fn protocols(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let plain = ["--var", "protocol=plain"];
    job.stack.expect(0, &[&APPLY[..], &plain].concat())?;
    ensure!(
        job.stack.output("port")? == 5672,
        "the port is {}",
        job.stack.output("port")?
    );
    eventually("a pod reaches port 5672", || plain_from_pod(job, &made.host))?;
    ensure!(
        gateway_count(job.sandbox, &format!("outbound|5672||{}", made.host))? > 0,
        "plain AMQP does not pass the gateway"
    );
    application_works(job)?;
    job.stack.expect(0, &[&PLAN[..], &plain].concat())?;
    job.stack.expect(2, &["plan", "--detailed-exitcode"])?;
    job.stack.expect(0, &APPLY)?;
    eventually("a pod reaches port 5671", || tls_from_pod(job, made))?;
    eventually("port 5672 is out of reach again", || {
        Ok(!plain_from_pod(job, &made.host)?)
    })?;
    application_works(job)?;
    job.stack.expect(0, &PLAN)?;
    Ok(())
}

pub(crate) fn drift(job: &mut Job) -> Result<()> {
    let made = job.made()?;
    let digest = "sudo -n sha256sum /etc/rabbitmq/rabbitmq.conf";
    let before = made.on_host(digest)?;
    made.on_host("echo '# by hand' | sudo -n tee -a /etc/rabbitmq/rabbitmq.conf >/dev/null")?;
    ensure!(made.on_host(digest)? != before, "the file was not changed");
    let said = job.stack.expect(2, &["plan", "--detailed-exitcode"])?;
    ensure!(
        said.out.contains("module.broker.host_file.configuration"),
        "the plan does not name the file:\n{}",
        said.out
    );
    job.stack.expect(0, &APPLY)?;
    ensure!(made.on_host(digest)? == before, "the file is not as it was");
    job.stack.expect(0, &PLAN)?;
    let said = made.pika(true, &made.username, &made.password)?;
    ensure!(
        said.code == Some(0),
        "the broker does not work after the repair: {said:?}"
    );
    Ok(())
}

pub(crate) fn destroy(job: &mut Job) -> Result<()> {
    let address = job.made.as_ref().map(|made| made.address.clone());
    job.stack.expect(0, &["destroy", "--auto-approve"])?;
    let left = job.sandbox.remains()?;
    ensure!(left.is_empty(), "left behind: {}", left.join(", "));
    if let (Some(address), Some(made)) = (address, &job.made) {
        ensure!(!made.is_open(22)?, "{address} still answers");
    }
    job.made = None;
    let said = job.stack.expect(0, &["destroy", "--auto-approve"])?;
    ensure!(
        format!("{}{}", said.out, said.err).contains(", 0 destroyed")
            || said.out.contains("No changes")
            || said.err.contains("No changes"),
        "{said:?}"
    );
    Ok(())
}

/// The number of instances, also terminated ones: one that was made twice and removed once would show.
fn instances_ever(sandbox: &Sandbox) -> Result<usize> {
    let answer = sandbox.ec2("Action=DescribeInstances")?;
    Ok(texts(&answer, "instanceId").count())
}

/// Starts an apply and kills it at the moment that `now` sees.
fn kill_when(job: &Job, what: &str, now: impl Fn(&Sandbox) -> Result<bool>) -> Result<()> {
    let mut apply = job.stack.command(&APPLY)?.start()?;
    let started = Instant::now();
    while !now(job.sandbox)? {
        ensure!(
            started.elapsed() < Duration::from_secs(120),
            "{what}: not within two minutes"
        );
        if apply.has_ended()? {
            let said = apply.end()?;
            bail!("the apply ended before {what}: {said:?}");
        }
    }
    apply.kill()?;
    Ok(())
}

pub(crate) fn killed(job: &mut Job) -> Result<()> {
    let before = instances_ever(job.sandbox)?;
    // The worst moment: EC2 has the instance, and the program does not know its id yet.
    kill_when(job, "EC2 makes the instance", |sandbox| {
        Ok(instances_ever(sandbox)? > before)
    })?;
    // A plan finds what was begun without changing anything.
    job.stack.expect(2, &["plan", "--detailed-exitcode"])?;
    // Helm is in the middle of an installation, the host in that of another.
    let release = [
        "get",
        "secret",
        "--namespace",
        "istio-system",
        "--ignore-not-found",
        "sh.helm.release.v1.istiod.v1",
        "--output",
        "name",
    ];
    kill_when(job, "Helm installs istiod", |sandbox| {
        Ok(!sandbox.kubectl(&release)?.ok()?.is_empty())
    })?;
    apply_again(job)?;
    let after = instances_ever(job.sandbox)?;
    ensure!(
        after == before + 1,
        "{} instances were made instead of one",
        after - before
    );
    job.stack.expect(0, &PLAN)?;
    releases(job)?;
    pika_tls(job)
}

fn apply_again(job: &mut Job) -> Result<()> {
    job.stack.expect(0, &APPLY)?;
    job.made = Some(Made::read(&job.stack)?);
    Ok(())
}
