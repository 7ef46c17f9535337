//! Releases in a real cluster, with the real program. They want a cluster made for tests, and `helm`:
//! `STACK_TEST_KUBECONFIG=… STACK_TEST_HELM=… cargo test -p stack-provider-helm -- --ignored`.

use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stack_core::{Decode as _, Path, Value};
use stack_kube::Access;
use stack_provider::contract::{Change, Effect, Harness, check};
use stack_provider::{Cx, ErrorKind, Owner, Resource as _, Sessions, async_trait};
use tokio_util::sync::CancellationToken;

use crate::Client;
use crate::program::Program;
use crate::release::{HelmRelease, Release};

struct Bench {
    client: Client,
    chart: tempfile::TempDir,
    name: String,
    cancel: CancellationToken,
}

/// A chart with one object and a schema; `wait` adds a Job that never ends.
fn chart(folder: &FilePath) {
    std::fs::create_dir(folder.join("templates")).unwrap();
    std::fs::write(
        folder.join("Chart.yaml"),
        "apiVersion: v2\nname: demo\nversion: 1.2.3\nappVersion: \"9\"\n",
    )
    .unwrap();
    std::fs::write(folder.join("values.yaml"), "v: none\nhang: false\n").unwrap();
    std::fs::write(
        folder.join("values.schema.json"),
        r#"{"type": "object", "additionalProperties": false,
            "properties": {"v": {"type": "string"}, "hang": {"type": "boolean"}, "global": {}}}"#,
    )
    .unwrap();
    std::fs::write(
        folder.join("templates/all.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {v: {{ .Values.v | quote }}}\n\
         {{- if .Values.hang }}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\n\
         spec: {nodeName: nowhere, containers: [{name: c, image: none}]}\n{{- end }}\n",
    )
    .unwrap();
}

impl Bench {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let path = std::env::var("STACK_TEST_KUBECONFIG")
            .expect("STACK_TEST_KUBECONFIG names the kubeconfig of a cluster made for tests");
        let folder = tempfile::tempdir().unwrap();
        chart(folder.path());
        Self {
            client: Client {
                access: Access::from_arguments(Some(path), None, None).unwrap(),
                program: Program::new(std::env::var("STACK_TEST_HELM").ok()).unwrap(),
            },
            chart: folder,
            name: format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst)),
            cancel: CancellationToken::new(),
        }
    }

    fn release(&self, values: &str) -> Release {
        let text = |t: &str| Value::string(t);
        let value = Value::object(
            [
                ("name", text(&self.name)),
                ("namespace", text("default")),
                ("chart", text(self.chart.path().to_str().unwrap())),
                ("values", Value::tuple(vec![text(values)])),
                ("timeout", Value::from(60)),
                ("max_history", Value::from(10)),
                ("set", Value::tuple(vec![])),
                ("set_sensitive", Value::tuple(vec![])),
            ]
            .into_iter()
            .chain(
                [
                    "create_namespace",
                    "rollback_on_failure",
                    "skip_crds",
                    "force_conflicts",
                ]
                .map(|n| (n, false.into())),
            )
            .chain(["wait", "keep_crds"].map(|n| (n, true.into())))
            .map(|(n, v)| (n.to_owned(), v)),
        );
        Release::decode(&value, &Path::root()).unwrap()
    }

    fn owner(&self) -> Owner {
        Owner {
            lineage: "test-lineage".into(),
            token: self.name.clone(),
            address: stack_core::ResourceAddress {
                module: stack_core::ModulePath::default(),
                mode: stack_core::Mode::Managed,
                ty: "helm_release".into(),
                name: "test".into(),
                key: stack_core::InstanceKey::None,
            },
            environment: "test".into(),
        }
    }

    /// Runs helm as somebody else would.
    async fn helm(&self, args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(std::ffi::OsString::from).collect();
        let kubeconfig = self.client.access.config_path.clone().into();
        let ran = self
            .client
            .program
            .run(&self.cx(), &args, &[("KUBECONFIG", kubeconfig)], b"")
            .await
            .unwrap();
        assert!(ran.ok, "{}", ran.stderr);
        String::from_utf8(ran.stdout).unwrap()
    }
}

#[async_trait]
impl Harness for Bench {
    type Resource = HelmRelease;
    fn client(&self) -> &Client {
        &self.client
    }
    fn arguments(&self) -> Release {
        self.release("v: one")
    }
    fn changes(&self) -> Vec<Change<Release>> {
        vec![Change {
            name: "values",
            arguments: self.release("v: two"),
            effect: Effect::InPlace,
        }]
    }
    fn cx(&self) -> Cx {
        Cx::new(Sessions::new(), self.cancel.clone(), Duration::from_secs(120))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn contract_of_a_release() {
    check(&Bench::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_revision_made_by_hand_is_seen() {
    let bench = Bench::new();
    let made = HelmRelease::create(
        &bench.cx(),
        &bench.client,
        &bench.owner(),
        bench.release("v: one"),
    )
    .await
    .unwrap();
    assert_eq!(
        (made.status.as_deref(), made.revision),
        (Some("deployed"), Some(1))
    );
    assert_eq!(
        (made.version.as_deref(), made.app_version.as_deref()),
        (Some("1.2.3"), Some("9"))
    );
    let chart = bench.chart.path().to_str().unwrap();
    bench
        .helm(&["upgrade", &bench.name, chart, "--set", "v=theirs"])
        .await;
    let read = HelmRelease::read(&bench.cx(), &bench.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.revision, Some(2));
    let planned = HelmRelease::refine(Some(&read.encode()), bench.release("v: one").encode()).planned;
    assert!(
        !planned.attribute("status").unwrap().is_known(),
        "another upgrade must be planned"
    );
    let again = HelmRelease::update(&bench.cx(), &bench.client, &read, bench.release("v: one"))
        .await
        .unwrap();
    assert_eq!(again.revision, Some(3));
    // The same content as in the first revision, read back from the cluster.
    let mut old = again.clone();
    old.revision = Some(1);
    let inspected = HelmRelease::read(&bench.cx(), &bench.client, &old)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(inspected.encode(), again.encode());
    HelmRelease::delete(&bench.cx(), &bench.client, &again)
        .await
        .unwrap();
    assert!(
        HelmRelease::read(&bench.cx(), &bench.client, &again)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn values_that_the_chart_refuses_are_told_by_the_preview() {
    let bench = Bench::new();
    let proposed = bench.release("unheard: of").encode();
    let error = HelmRelease::preview(&bench.cx(), &bench.client, None, &proposed)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert!(error.message.contains("unheard"), "{error}");
    let fine = HelmRelease::preview(&bench.cx(), &bench.client, None, &bench.release("v: x").encode())
        .await
        .unwrap();
    assert_eq!(fine.not_checked, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_release_of_others_is_not_taken() {
    let bench = Bench::new();
    bench
        .helm(&["install", &bench.name, bench.chart.path().to_str().unwrap()])
        .await;
    let failure = HelmRelease::create(
        &bench.cx(),
        &bench.client,
        &bench.owner(),
        bench.release("v: one"),
    )
    .await;
    assert_eq!(failure.unwrap_err().error.kind, ErrorKind::AlreadyExists);
    bench.helm(&["uninstall", &bench.name]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn an_interrupted_install_is_recorded_and_recovered() {
    let bench = Bench::new();
    let interrupt = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        bench.cancel.cancel();
    };
    let (cx, owner) = (bench.cx(), bench.owner());
    let create = HelmRelease::create(&cx, &bench.client, &owner, bench.release("hang: true"));
    let (made, ()) = tokio::join!(create, interrupt);
    let failure = made.unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Cancelled);
    let left = failure.object.expect("the release is known");
    assert_eq!(left.status.as_deref(), Some("failed"));

    let next = Bench {
        cancel: CancellationToken::new(),
        ..bench
    };
    let found = HelmRelease::find(&next.cx(), &next.client, &owner, &left.encode())
        .await
        .unwrap();
    assert!(found.is_some());
    let made = HelmRelease::create(&next.cx(), &next.client, &owner, next.release("v: one"))
        .await
        .unwrap();
    assert_eq!(made.status.as_deref(), Some("deployed"));
    HelmRelease::delete(&next.cx(), &next.client, &made)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants a cluster"]
async fn a_helm_killed_outright_leaves_nothing_in_the_way() {
    let bench = Bench::new();
    let pidfile: PathBuf = bench.chart.path().join("pid");
    let script = bench.chart.path().join("helm.sh");
    let helm = std::env::var("STACK_TEST_HELM").unwrap_or_else(|_| "helm".into());
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho $$ > {}\nexec {helm} \"$@\"\n", pidfile.display()),
    )
    .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let wrapped = Client {
        access: bench.client.access.clone(),
        program: Program::new(Some(script.to_str().unwrap().to_owned())).unwrap(),
    };
    let kill = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let pid: i32 = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (cx, owner) = (bench.cx(), bench.owner());
    let (made, ()) = tokio::join!(
        HelmRelease::create(&cx, &wrapped, &owner, bench.release("hang: true")),
        kill
    );
    let left = made.unwrap_err().object.expect("the release is known");
    assert_eq!(left.status.as_deref(), Some("pending-install"));
    let made = HelmRelease::create(&bench.cx(), &bench.client, &owner, bench.release("v: one"))
        .await
        .unwrap();
    assert_eq!(made.status.as_deref(), Some("deployed"));
    HelmRelease::delete(&bench.cx(), &bench.client, &made)
        .await
        .unwrap();
}
