//! Container images made from programs of the machine, and the node's store of them.
//!
//! There is no registry: the archives are imported. That is done once, into a store that is kept; a node starts
//! with a copy of it, which costs no time since the files are shared by hard links.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Mutex;

use crate::command::Command;
use crate::home::Home;
use crate::part::Context;
use crate::process::{self, Service};

use super::node;
use super::programs::{digest, remove_folder, remove_others, step};

/// The process that fills the store.
const IMPORTER: &str = "image-store";

/// The store is filled by one at a time.
static FILLING: Mutex<()> = Mutex::const_new(());

/// Databases of containerd in the store, which a node must not share with it.
const DATABASES: [&str; 2] = [
    "io.containerd.metadata.v1.bolt/meta.db",
    "io.containerd.snapshotter.v1.overlayfs/metadata.db",
];

/// An image to make.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Its name in `sandbox/images/build.sh`.
    pub(crate) name: &'static str,
    /// The reference by which a pod names it.
    pub(crate) reference: &'static str,
    /// The folder of the programs in it; named after their digest.
    pub(crate) programs: PathBuf,
    /// Envoy, for the image that has it.
    pub(crate) envoy: Option<PathBuf>,
}

impl Image {
    /// The archive, whether it is there or not.
    pub(crate) fn archive(&self, cx: &Context) -> anyhow::Result<PathBuf> {
        let files = cx.files("images");
        let mut content = vec![
            self.name.as_bytes().to_vec(),
            self.programs.as_os_str().as_encoded_bytes().to_vec(),
        ];
        for file in ["build.sh", "mkimage.py"] {
            content.push(fs::read(files.join(file)).with_context(|| format!("cannot read {file}"))?);
        }
        if let Some(envoy) = &self.envoy {
            content.push(envoy.as_os_str().as_encoded_bytes().to_vec());
        }
        let key = digest(content.iter().map(Vec::as_slice));
        Ok(cx.home.cache("images").join(format!("{}-{key}.tar", self.name)))
    }

    /// Makes the archive where it is missing.
    pub(crate) async fn build(&self, cx: &Context) -> anyhow::Result<()> {
        let archive = self.archive(cx)?;
        if archive.is_file() {
            return Ok(());
        }
        fs::create_dir_all(cx.home.cache("images"))?;
        let partial = archive.with_extension("partial");
        step(
            &cx.progress,
            format!("making the image {}", self.reference),
            async {
                let build = Command::new("bash")
                    .arg(cx.files("images").join("build.sh"))
                    .args([self.name.as_ref(), partial.as_os_str()])
                    .env("PROGRAMS", &self.programs);
                let build = match &self.envoy {
                    Some(envoy) => build.env("ENVOY", envoy),
                    None => build,
                };
                build.run().await
            },
        )
        .await?;
        fs::rename(&partial, &archive)?;
        remove_others(&archive, &format!("{}-", self.name))
    }
}

/// The archives that are there.
fn archives(home: &Home) -> anyhow::Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(home.cache("images")).context("there are no images")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tar") && path.is_file() {
            archives.push(path);
        }
    }
    archives.sort();
    Ok(archives)
}

/// Whether the cluster's own images are there: without them a store is of no use.
pub(crate) fn has_cluster_images(home: &Home) -> bool {
    archives(home).is_ok_and(|archives| {
        let names: Vec<_> = archives
            .iter()
            .filter_map(|archive| archive.file_name()?.to_str())
            .collect();
        ["client-", "coredns-", "pause-", "tools-"]
            .iter()
            .all(|own| names.iter().any(|name| name.starts_with(own)))
    })
}

/// Fills a store with all archives that are there, unless there is one already. Gives its folder.
pub(crate) async fn fill_store(cx: &Context) -> anyhow::Result<PathBuf> {
    let _guard = FILLING.lock().await;
    let archives = archives(&cx.home)?;
    let store = cx
        .home
        .cache("node")
        .join(format!("store-{}", store_key(&archives)));
    if store.is_dir() {
        return Ok(store);
    }
    let partial = store.with_extension("partial");
    remove_folder(&partial)?;
    fs::create_dir_all(&partial)?;
    step(
        &cx.progress,
        format!("importing {} images into the node's store", archives.len()),
        async { import_all(&cx.home, &partial, &archives).await },
    )
    .await?;
    fs::rename(&partial, &store).with_context(|| format!("cannot make {}", store.display()))?;
    remove_others(&store, "store-")?;
    Ok(store)
}

fn store_key(archives: &[PathBuf]) -> String {
    // Their names carry the digests of their contents.
    let names: Vec<&[u8]> = archives
        .iter()
        .filter_map(|archive| archive.file_name())
        .map(|name| name.as_encoded_bytes())
        .collect();
    digest(names)
}

async fn import_all(home: &Home, store: &Path, archives: &[PathBuf]) -> anyhow::Result<()> {
    // A short path: the kernel takes 107 bytes for a socket's.
    let state = tempfile::Builder::new()
        .prefix("stack-images-")
        .tempdir_in("/run")?;
    let socket = state.path().join("containerd.sock");
    let configuration = state.path().join("containerd.toml");
    fs::write(&configuration, render_importer(store, state.path()))?;
    // In a mount namespace of its own: however it ends, it leaves no mount behind.
    let service = Service::new(IMPORTER, "unshare")
        .args(["--mount", "containerd", "--config"])
        .arg(&configuration)
        .start(home)
        .await?;
    let ctr = || {
        Command::new("ctr")
            .arg("--address")
            .arg(&socket)
            .args(["--namespace", "k8s.io"])
    };
    service
        .ready(Duration::from_secs(60), || async {
            Ok(ctr().arg("version").succeeds().await)
        })
        .await?;
    let mut result = Ok(());
    for archive in archives {
        result = ctr().args(["images", "import"]).arg(archive).run().await;
        if result.is_err() {
            break;
        }
    }
    // In order, so that its databases are whole.
    process::stop(home, IMPORTER, Duration::from_secs(20)).await?;
    result
}

fn render_importer(store: &Path, state: &Path) -> String {
    format!(
        r#"version = 2
root = "{}"
state = "{state}"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{state}/containerd.sock"
"#,
        store.display(),
        state = state.display(),
    )
}

/// Ends an import that a crash has left.
pub(crate) async fn stop_import(home: &Home) -> anyhow::Result<()> {
    process::stop(home, IMPORTER, Duration::ZERO).await?;
    for entry in fs::read_dir("/run")?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("stack-images-") {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives a node its own copy of the store.
pub(crate) fn copy_store(store: &Path, node: &Path) -> anyhow::Result<()> {
    copy_tree(store, node).with_context(|| format!("cannot copy the image store to {}", node.display()))?;
    for database in DATABASES {
        let (from, to) = (store.join(database), node.join(database));
        fs::remove_file(&to)
            .and_then(|()| fs::copy(&from, &to))
            .with_context(|| format!("the image store has no {database}"))?;
    }
    Ok(())
}

/// Copies folders and links; files are shared.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    let metadata = fs::metadata(from)?;
    std::os::unix::fs::lchown(to, Some(std::os::unix::fs::MetadataExt::uid(&metadata)), None)?;
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.permissions().mode()))
}

/// Imports into the running node those of `images` that it does not have.
pub(crate) async fn import_missing(cx: &Context, images: &[Image]) -> anyhow::Result<()> {
    let ctr = || anyhow::Ok(node::inside(&cx.home)?.args(["ctr", "--namespace", "k8s.io", "images"]));
    let known = ctr()?.args(["list", "--quiet"]).output().await?;
    for image in images
        .iter()
        .filter(|image| !known.lines().any(|line| line == image.reference))
    {
        let text = format!("importing {} into the node", image.reference);
        let archive = image.archive(cx)?;
        step(&cx.progress, text, async {
            ctr()?.arg("import").arg(&archive).run().await
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_store_shares_files_and_has_databases_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (store, node) = (folder.path().join("store"), folder.path().join("node"));
        for file in DATABASES.into_iter().chain(["blobs/one"]) {
            fs::create_dir_all(store.join(file).parent().unwrap()).unwrap();
            fs::write(store.join(file), "before").unwrap();
        }
        std::os::unix::fs::symlink("one", store.join("blobs/link")).unwrap();
        fs::set_permissions(store.join("blobs"), fs::Permissions::from_mode(0o1777)).unwrap();
        copy_store(&store, &node).unwrap();
        fs::write(node.join(DATABASES[0]), "after").unwrap();
        assert_eq!(fs::read_to_string(store.join(DATABASES[0])).unwrap(), "before");
        assert_eq!(fs::read_to_string(node.join("blobs/link")).unwrap(), "before");
        assert_eq!(
            std::os::unix::fs::MetadataExt::nlink(&fs::metadata(node.join("blobs/one")).unwrap()),
            2
        );
        assert_eq!(
            fs::metadata(node.join("blobs")).unwrap().permissions().mode() & 0o7777,
            0o1777
        );
    }

    #[test]
    fn the_store_depends_on_the_archives_names() {
        let one = [PathBuf::from("/a/pause-1.tar")];
        let two = [PathBuf::from("/a/pause-1.tar"), PathBuf::from("/a/tools-1.tar")];
        assert_ne!(store_key(&one), store_key(&two));
        assert_eq!(store_key(&one), store_key(&[PathBuf::from("/b/pause-1.tar")]));
    }
}
