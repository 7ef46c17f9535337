//! The Helm repository of Istio's charts.
//!
//! The charts that the module carries hold placeholders. They are packed as Istio's own release does it, with version,
//! hub and tag, and with what a stock Envoy needs, so that values for production work with them unchanged.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cluster::programs::{digest, remove_folder, remove_others};
use crate::command::Command;
use crate::part::Context;

/// The version under which the charts and the images are offered.
pub(crate) const VERSION: &str = "1.31.0";
/// Where the images of this version are.
const HUB: &str = "sandbox.local/istio";
/// The address of the repository.
pub(crate) const REPOSITORY: &str = "http://127.0.0.1:18090";

/// The charts, as folders of the module's charts.
const CHARTS: [&str; 5] = [
    "base",
    "istio-control/istio-discovery",
    "gateway",
    "istio-cni",
    "ztunnel",
];

/// A text in a chart's file, and what takes its place.
type Edit = (&'static str, String);

/// What a release changes in `istio-control/istio-discovery/values.yaml`, and what a stock Envoy, which lacks Istio's own
/// filters and has no cloud around it, needs there.
fn istiod_edits() -> Vec<Edit> {
    vec![
        ("    hub: registry.istio.io/testing\n", format!("    hub: {HUB}\n")),
        ("    tag: latest\n", format!("    tag: {VERSION}\n")),
        (
            "\n  env: {}\n",
            "\n  env:\n    PILOT_ENABLE_METADATA_EXCHANGE: \"false\"\n    PILOT_ENABLE_ALPN_FILTER: \"false\"\n".to_owned(),
        ),
        ("\n  telemetry:\n    enabled: true\n", "\n  telemetry:\n    enabled: false\n".to_owned()),
        (
            "    enablePrometheusMerge: true\n",
            "    enablePrometheusMerge: true\n    defaultConfig:\n      proxyMetadata:\n        CLOUD_PLATFORM: none\n".to_owned(),
        ),
    ]
}

/// The image that the injector puts into a gateway has no registry to be pulled from.
fn gateway_edits() -> Vec<Edit> {
    vec![(
        "  imagePullPolicy: \"\"\n",
        "  imagePullPolicy: IfNotPresent\n".to_owned(),
    )]
}

/// # Errors
/// Where a text is not there exactly once: the charts have changed, and the edits must follow.
fn edit(text: &str, edits: &[Edit]) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (old, new) in edits {
        let count = text.matches(old).count();
        anyhow::ensure!(
            count == 1,
            "the chart has {count} times {old:?}, not once: it is of another version"
        );
        text = text.replacen(old, new, 1);
    }
    Ok(text)
}

/// The folder of the repository made of the charts in `programs`, whether it is there or not.
pub(crate) fn folder(cx: &Context, programs: &Path) -> PathBuf {
    let edits = [istiod_edits(), gateway_edits()].concat();
    let mut content = vec![
        programs.as_os_str().as_encoded_bytes().to_vec(),
        REPOSITORY.as_bytes().to_vec(),
    ];
    content.extend(
        edits
            .into_iter()
            .map(|(old, new)| [old.as_bytes(), new.as_bytes()].concat()),
    );
    cx.home
        .cache("charts")
        .join(format!("istio-{}", digest(content.iter().map(Vec::as_slice))))
}

/// Packs the charts of `programs` into a repository, where it is missing.
pub(crate) async fn pack(cx: &Context, programs: &Path) -> anyhow::Result<PathBuf> {
    let target = folder(cx, programs);
    if target.is_dir() {
        return Ok(target);
    }
    let partial = target.with_extension("partial");
    remove_folder(&partial)?;
    fs::create_dir_all(&partial)?;
    let sources = tempfile::tempdir()?;
    Command::new(programs.join("dumpcharts"))
        .arg(sources.path())
        .run()
        .await?;
    let charts = sources.path().join("charts");
    for (file, edits) in [
        ("istio-control/istio-discovery/values.yaml", istiod_edits()),
        ("gateway/values.yaml", gateway_edits()),
    ] {
        let path = charts.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("the charts have no {file}"))?;
        fs::write(
            &path,
            edit(&text, &edits).with_context(|| format!("cannot edit {file}"))?,
        )?;
    }
    let home = sources.path().join("helm");
    let helm = || {
        Command::new(programs.join("helm"))
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("HELM_NO_PLUGINS", "1")
    };
    for chart in CHARTS {
        helm()
            .arg("package")
            .arg(charts.join(chart))
            .args(["--version", VERSION, "--app-version", VERSION, "--destination"])
            .arg(&partial)
            .run()
            .await?;
    }
    helm()
        .args(["repo", "index"])
        .arg(&partial)
        .args(["--url", REPOSITORY])
        .run()
        .await?;
    fs::rename(&partial, &target).with_context(|| format!("cannot make {}", target.display()))?;
    remove_others(&target, "istio-")?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_replaces_its_text() {
        let text = edit(
            "global:\n    tag: latest\n",
            &[("    tag: latest\n", "    tag: 1\n".to_owned())],
        )
        .unwrap();
        assert_eq!(text, "global:\n    tag: 1\n");
    }

    #[test]
    fn a_text_that_is_missing_or_ambiguous_is_an_error() {
        let edits = [("tag: latest\n", String::new())];
        assert!(
            edit("other\n", &edits)
                .unwrap_err()
                .to_string()
                .contains("0 times")
        );
        assert!(
            edit("tag: latest\ntag: latest\n", &edits)
                .unwrap_err()
                .to_string()
                .contains("2 times")
        );
    }
}
