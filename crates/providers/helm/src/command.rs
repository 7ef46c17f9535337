//! The command lines. Values never stand in them: they go in on standard input.

use std::ffi::OsString;
use std::path::Path;

use crate::record::{LINEAGE, TOKEN};
use crate::release::Release;

/// Variables and arguments that name the cluster.
pub(crate) struct Target<'a> {
    /// The kubeconfig.
    pub(crate) config_path: &'a Path,
    /// Context in it.
    pub(crate) context: Option<&'a str>,
}

impl Target<'_> {
    /// Variables of the child.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 1] {
        [("KUBECONFIG", self.config_path.into())]
    }

    fn finish(&self, namespace: &str, mut args: Vec<OsString>) -> Vec<OsString> {
        args.extend(["--namespace".into(), namespace.into()]);
        if let Some(context) = self.context {
            args.extend(["--kube-context".into(), context.into()]);
        }
        args
    }

    /// `helm upgrade --install`
    pub(crate) fn upgrade(
        &self,
        release: &Release,
        chart: &Path,
        major: u32,
        owner: Option<(&str, &str)>,
    ) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["upgrade".into(), release.name.as_str().into(), chart.into()];
        // Without --reset-values Helm takes the former values when there are none now.
        args.extend(["--install", "--reset-values", "--values", "-", "--output", "json"].map(OsString::from));
        args.extend(["--timeout".into(), format!("{}s", release.timeout).into()]);
        args.extend(["--history-max".into(), release.max_history.to_string().into()]);
        let flags = [
            (release.create_namespace, "--create-namespace"),
            (release.wait, "--wait"),
            (release.skip_crds, "--skip-crds"),
            (release.rollback_on_failure && major >= 4, "--rollback-on-failure"),
            (release.rollback_on_failure && major < 4, "--atomic"),
            (release.force_conflicts && major >= 4, "--force-conflicts"),
        ];
        args.extend(
            flags
                .into_iter()
                .filter(|(on, _)| *on)
                .map(|(_, flag)| flag.into()),
        );
        if let Some((lineage, token)) = owner {
            args.extend([
                "--labels".into(),
                format!("{LINEAGE}={lineage},{TOKEN}={token}").into(),
            ]);
        }
        self.finish(&release.namespace, args)
    }

    /// `helm template`: renders on this machine, so that values are checked against the chart's schema.
    pub(crate) fn template(&self, release: &Release, chart: &Path) -> Vec<OsString> {
        let args = ["template", &release.name];
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.push(chart.into());
        args.extend(["--values", "-"].map(OsString::from));
        self.finish(&release.namespace, args)
    }

    /// `helm uninstall`
    pub(crate) fn uninstall(&self, release: &Release) -> Vec<OsString> {
        let mut args = vec!["uninstall".into(), release.name.as_str().into()];
        args.extend([
            "--wait".into(),
            "--timeout".into(),
            format!("{}s", release.timeout).into(),
        ]);
        self.finish(&release.namespace, args)
    }

    /// `helm rollback`
    pub(crate) fn rollback(&self, release: &Release, revision: i64) -> Vec<OsString> {
        let mut args = vec![
            "rollback".into(),
            release.name.as_str().into(),
            revision.to_string().into(),
        ];
        args.extend(["--timeout".into(), format!("{}s", release.timeout).into()]);
        self.finish(&release.namespace, args)
    }

    /// `helm get WHAT`
    pub(crate) fn get(&self, release: &Release, what: &str) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["get", what, &release.name].iter().map(OsString::from).collect();
        if what != "manifest" {
            args.extend(["--output", "json"].map(OsString::from));
        }
        self.finish(&release.namespace, args)
    }
}

#[cfg(test)]
mod tests {
    use stack_core::{Decode as _, Path as ValuePath, Value};

    use super::*;

    fn release() -> Release {
        let value = Value::object(
            [
                ("name", Value::string("istiod")),
                ("namespace", Value::string("istio-system")),
                ("chart", Value::string("istiod")),
                ("timeout", Value::from(300)),
                ("max_history", Value::from(10)),
                ("set", Value::tuple(vec![])),
                ("set_sensitive", Value::tuple(vec![])),
            ]
            .into_iter()
            .chain(["create_namespace", "skip_crds", "force_conflicts"].map(|n| (n, Value::Bool(false))))
            .chain(["wait", "rollback_on_failure", "keep_crds"].map(|n| (n, Value::Bool(true))))
            .map(|(n, v)| (n.to_owned(), v)),
        );
        Release::decode(&value, &ValuePath::root()).unwrap()
    }

    fn text(args: &[OsString]) -> String {
        let parts: Vec<_> = args.iter().map(|a| a.to_string_lossy()).collect();
        parts.join(" ")
    }

    #[test]
    fn an_upgrade_says_everything_but_values() {
        let target = Target {
            config_path: Path::new("/k"),
            context: Some("c"),
        };
        let four = target.upgrade(&release(), Path::new("/x.tgz"), 4, Some(("l", "t")));
        assert_eq!(
            text(&four),
            "upgrade istiod /x.tgz --install --reset-values --values - --output json --timeout 300s --history-max 10 \
             --wait --rollback-on-failure --labels stack-lineage=l,stack-token=t --namespace istio-system \
             --kube-context c"
        );
        let three = target.upgrade(&release(), Path::new("/x.tgz"), 3, None);
        assert!(text(&three).contains("--wait --atomic --namespace"));
    }

    #[test]
    fn reading_asks_for_json() {
        let target = Target {
            config_path: Path::new("/k"),
            context: None,
        };
        assert_eq!(
            text(&target.get(&release(), "values")),
            "get values istiod --output json --namespace istio-system"
        );
        assert_eq!(
            text(&target.get(&release(), "manifest")),
            "get manifest istiod --namespace istio-system"
        );
        assert_eq!(
            text(&target.uninstall(&release())),
            "uninstall istiod --wait --timeout 300s --namespace istio-system"
        );
    }
}
