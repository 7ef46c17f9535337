//! Charts as local files, pinned by their digest.

use std::ffi::OsString;
use std::path::{Path as FilePath, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use stack_provider::{Cx, ErrorKind, ProviderError};

use crate::program::{Program, classify};
use crate::values::hex;

/// Where a chart comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Repository URL.
    pub(crate) repository: Option<&'a str>,
    /// Name in the repository, `oci://` reference, or path of a file or folder.
    pub(crate) chart: &'a str,
    /// Version; `None`: the newest.
    pub(crate) version: Option<&'a str>,
    /// Digest that the file must have.
    pub(crate) digest: Option<&'a str>,
}

/// A chart on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// A packed file, or a folder.
    pub(crate) path: PathBuf,
    /// SHA-256 of the file (of all files of a folder), in hexadecimal.
    pub(crate) digest: String,
}

/// Gets a chart. One that is here already under `known`, its digest, is not fetched again.
///
/// # Errors
/// The repository does not have it, cannot be reached, or serves another file than `digest` says.
pub(crate) async fn fetch(
    cx: &Cx,
    program: &Program,
    source: Source<'_>,
    known: Option<&str>,
) -> Result<Chart, ProviderError> {
    let chart = if is_local(source) {
        let path = PathBuf::from(source.chart);
        let digest = in_background({
            let path = path.clone();
            move || digest_of(&path)
        });
        let digest = digest.await?.map_err(|error| {
            let text = format!("the chart {} cannot be read", source.chart);
            ProviderError::invalid("chart", text).source(error)
        })?;
        Chart { path, digest }
    } else {
        match known.map(|digest| (stored(program, digest), digest)) {
            Some((path, digest)) if path.is_file() => Chart {
                path,
                digest: digest.to_owned(),
            },
            _ => pull(cx, program, source).await?,
        }
    };
    match source.digest.map(|d| d.trim_start_matches("sha256:")) {
        Some(wanted) if wanted != chart.digest => {
            let text = format!(
                "the chart has digest {}, not {wanted}; the repository serves another file for this version, or the \
                 digest is of another chart",
                chart.digest
            );
            Err(ProviderError::invalid("digest", text))
        }
        _ => Ok(chart),
    }
}

/// Whether the chart is named by a path. A folder that happens to have the name of a chart in a repository is not meant.
fn is_local(source: Source<'_>) -> bool {
    let path = source.chart;
    source.repository.is_none() && !path.starts_with("oci://") && FilePath::new(path).exists()
}

fn stored(program: &Program, digest: &str) -> PathBuf {
    program.home().join("charts").join(format!("{digest}.tgz"))
}

async fn pull(cx: &Cx, program: &Program, source: Source<'_>) -> Result<Chart, ProviderError> {
    let charts = program.home().join("charts");
    let failed = |e: std::io::Error| {
        let text = format!("the chart cannot be stored in {}", charts.display());
        ProviderError::new(ErrorKind::InvalidArgument, text).source(e)
    };
    let folder = in_background({
        let charts = charts.clone();
        move || {
            std::fs::create_dir_all(&charts)?;
            tempfile::Builder::new().prefix("pull-").tempdir_in(&charts)
        }
    });
    let folder = folder.await?.map_err(failed)?;
    cx.progress(&format!("fetching chart {}", source.chart));
    let mut args: Vec<OsString> = vec!["pull".into(), source.chart.into()];
    if let Some(url) = source.repository {
        args.extend(["--repo".into(), url.into()]);
    }
    if let Some(version) = source.version {
        args.extend(["--version".into(), version.into()]);
    }
    args.extend(["--destination".into(), folder.path().into()]);
    let ran = program.run(cx, &args, &[], b"").await?;
    if !ran.ok {
        let kind = classify(&ran.stderr);
        let text = ran.stderr.trim_start_matches("Error: ").to_owned();
        let error = ProviderError::new(kind, text).operation("helm pull");
        return Err(error.attribute(stack_core::Path::of(&["chart"])));
    }
    in_background(move || {
        let mut files = std::fs::read_dir(folder.path())?.collect::<Result<Vec<_>, _>>()?;
        files.retain(|f| f.path().extension().is_some_and(|e| e == "tgz"));
        let [file] = files.as_slice() else {
            return Err(std::io::Error::other("helm pull left no chart behind"));
        };
        let digest = digest_of(&file.path())?;
        let path = charts.join(format!("{digest}.tgz"));
        std::fs::rename(file.path(), &path)?;
        Ok(Chart { path, digest })
    })
    .await?
    .map_err(|e| ProviderError::new(ErrorKind::Internal, "the chart cannot be stored").source(e))
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProviderError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ProviderError::internal("a task broke off").source(e))
}

/// Digest of a file; of a folder: of the names and contents of its files in order.
fn digest_of(path: &FilePath) -> std::io::Result<String> {
    let mut context = Context::new(&SHA256);
    if path.is_dir() {
        add_folder(&mut context, path, path)?;
    } else {
        context.update(&std::fs::read(path)?);
    }
    Ok(hex(context.finish().as_ref()))
}

fn add_folder(context: &mut Context, root: &FilePath, folder: &FilePath) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            add_folder(context, root, &path)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        let content = std::fs::read(&path)?;
        for part in [name.as_os_str().as_encoded_bytes(), &content] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_digest_follows_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        std::fs::write(folder.path().join("templates/a.yaml"), "x").unwrap();
        let first = digest_of(folder.path()).unwrap();
        assert_eq!(digest_of(folder.path()).unwrap(), first);
        std::fs::write(folder.path().join("templates/a.yaml"), "y").unwrap();
        assert_ne!(digest_of(folder.path()).unwrap(), first);
    }

    #[test]
    fn a_name_in_a_repository_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().to_str().unwrap();
        let source = Source {
            repository: None,
            chart,
            version: None,
            digest: None,
        };
        assert!(is_local(source));
        assert!(!is_local(Source {
            repository: Some("https://charts.example"),
            ..source
        }));
        assert!(!is_local(Source {
            chart: "istiod",
            ..source
        }));
    }
}
