//! Rules that a machine can check, so that nobody has to remember them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::run::{Workspace, eprintln_line};

/// Most lines of a source file. A file that nears it does more than one thing: split it.
const FILE_LINES: usize = 700;

/// Crates that decide and never do: no runtime, no SDK, no HTTP, and neither providers nor engine.
const PURE: [&str; 5] = [
    "stack-core",
    "stack-macros",
    "stack-config",
    "stack-state",
    "stack-plan",
];

/// What a pure crate may not depend on, by itself.
const EFFECTS: [&str; 16] = [
    "tokio",
    "tokio-util",
    "futures",
    "async-trait",
    "hyper",
    "hyper-util",
    "reqwest",
    "http",
    "kube",
    "russh",
    "rustls",
    "lapin",
    "aws-sdk-ec2",
    "aws-config",
    "stack-provider",
    "stack-engine",
];

/// Endings of the names of texts.
const TEXTS: [&str; 10] = [
    "rs", "md", "toml", "hcl", "py", "sh", "yaml", "yml", "json", "txt",
];

/// The file that spells out what the others may not hold.
const THIS_FILE: &str = "xtask/src/tidy.rs";

/// Folders of one user's machine; what is written here has to hold on any.
const FOREIGN: [&str; 3] = ["/root/.cache", "/root/.config", "/home/runner"];

/// Checks everything; reports all that is wrong.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("reading the workspace")?;
    arrows(&metadata, &mut wrong);
    manifests(&metadata, &mut wrong)?;
    unused(&workspace.root, &metadata, &mut wrong)?;
    let mut codes = BTreeSet::new();
    for file in texts(&workspace.root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let shown = file
            .strip_prefix(&workspace.root)
            .unwrap_or(&file)
            .display()
            .to_string();
        foreign(&shown, &text, &mut wrong);
        if shown.ends_with(".rs") {
            source(&shown, &text, &mut codes, &mut wrong);
        }
    }
    for package in &metadata.packages {
        forgotten(&workspace.root, package, &mut wrong)?;
    }
    pages(&workspace.root, &codes, &mut wrong);
    for line in &wrong {
        eprintln_line(&format!("tidy: {line}"));
    }
    if !wrong.is_empty() {
        bail!("{} rules are broken", wrong.len());
    }
    Ok(())
}

fn depends_on(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal)
        .map(|d| d.name.as_str())
}

/// Dependencies point one way.
fn arrows(metadata: &Metadata, wrong: &mut Vec<String>) {
    for package in &metadata.packages {
        let name = package.name.as_str();
        for on in depends_on(package) {
            let of_provider = name.starts_with("stack-provider-");
            let bad = if PURE.contains(&name) {
                EFFECTS.contains(&on) || on.starts_with("stack-provider") || on == "stack-engine"
            } else if of_provider {
                on.starts_with("stack-provider-")
                    || ["stack-engine", "stack-plan", "stack-config", "stack-state"].contains(&on)
            } else if name == "stack-provider" {
                on.starts_with("stack-") && on != "stack-core"
            } else {
                false
            };
            if bad || on == "stack-cli" {
                wrong.push(format!(
                    "{name} may not depend on {on} (docs/architecture.md, \"Crates\")"
                ));
            }
        }
        if name != "stack-provider-aws" && depends_on(package).any(|on| on.starts_with("aws-sdk-")) {
            wrong.push(format!(
                "{name} depends on an AWS SDK; only stack-provider-aws may, it takes minutes to build"
            ));
        }
    }
}

/// Every crate takes the workspace's lints, says its licence and what it is for.
fn manifests(metadata: &Metadata, wrong: &mut Vec<String>) -> Result<()> {
    for package in &metadata.packages {
        let text = fs::read_to_string(&package.manifest_path)?;
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!(
                "{} has no `[lints] workspace = true`",
                package.manifest_path
            ));
        }
        if package.license.is_none() {
            wrong.push(format!(
                "{} has no `license.workspace = true`",
                package.manifest_path
            ));
        }
        for target in &package.targets {
            if !fs::read_to_string(&target.src_path)?.starts_with("//!") {
                wrong.push(format!(
                    "{} does not begin with what it is for (`//! …`)",
                    target.src_path
                ));
            }
        }
    }
    Ok(())
}

/// Every dependency that the workspace names is somebody's.
fn unused(root: &Path, metadata: &Metadata, wrong: &mut Vec<String>) -> Result<()> {
    let used: BTreeSet<&str> = metadata
        .packages
        .iter()
        .flat_map(|p| {
            p.dependencies
                .iter()
                .map(|d| d.rename.as_deref().unwrap_or(&d.name))
        })
        .collect();
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    for name in workspace_dependencies(&manifest) {
        if !used.contains(name) && !name.starts_with("stack-") {
            wrong.push(format!("Cargo.toml names {name}, which no crate depends on"));
        }
    }
    Ok(())
}

/// The names below `[workspace.dependencies]`.
fn workspace_dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// Every text that people write: code, pages, plans, scripts.
fn texts(root: &Path) -> Result<Vec<PathBuf>> {
    let folders = [
        "crates", "fuzz", "xtask", "tests", "docs", "plans", "sandbox", "state", ".ci",
    ];
    let files = [
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "Cargo.toml",
        "clippy.toml",
    ];
    let mut out: Vec<PathBuf> = files
        .iter()
        .map(|file| root.join(file))
        .filter(|file| file.is_file())
        .collect();
    let mut todo: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = todo.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_dir() && !hidden {
                todo.push(path);
            } else if path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| TEXTS.contains(&e))
            {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// Nothing names what lies outside the repository.
fn foreign(shown: &str, text: &str, wrong: &mut Vec<String>) {
    if shown == THIS_FILE {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        if FOREIGN.iter().any(|word| line.contains(word)) {
            wrong.push(format!(
                "{shown}:{} names something outside the repository",
                number + 1
            ));
        }
    }
}

/// Every file of Rust is a target or a module of one.
fn forgotten(root: &Path, package: &Package, wrong: &mut Vec<String>) -> Result<()> {
    let folder = package
        .manifest_path
        .parent()
        .map(|p| p.as_std_path().to_path_buf())
        .unwrap_or_default();
    let targets: BTreeSet<&Path> = package.targets.iter().map(|t| t.src_path.as_std_path()).collect();
    let (mut modules, mut files) = (BTreeSet::new(), Vec::new());
    for file in texts(root)?
        .into_iter()
        .filter(|f| f.starts_with(&folder) && f.extension().is_some_and(|e| e == "rs"))
    {
        modules.extend(modules_in(&fs::read_to_string(&file)?).map(str::to_owned));
        files.push(file);
    }
    for file in files.iter().filter(|file| !targets.contains(file.as_path())) {
        let named_by_folder = file.file_name().is_some_and(|name| name == "mod.rs");
        let module = if named_by_folder {
            file.parent().unwrap_or(file)
        } else {
            file
        };
        let module = module.file_stem().unwrap_or_default().to_string_lossy();
        if !modules.contains(module.as_ref()) {
            wrong.push(format!(
                "{} is no module of anything: it is never built",
                file.display()
            ));
        }
    }
    Ok(())
}

/// The modules that a file says it has.
fn modules_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (before, name) = line.trim().strip_suffix(';')?.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    })
}

/// Rules for a file of Rust; collects the error codes it raises.
fn source(shown: &str, text: &str, codes: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > FILE_LINES {
        wrong.push(format!(
            "{shown} has {lines} lines, more than {FILE_LINES}: split it by concern"
        ));
    }
    if shown == THIS_FILE {
        return;
    }
    let mut test = shown.contains("test");
    for (number, line) in text.lines().enumerate() {
        let at = format!("{shown}:{}", number + 1);
        if line.contains("#[allow(") {
            wrong.push(format!("{at} uses allow; use expect with a reason"));
        }
        test |= line.trim() == "#[cfg(test)]"
            && text
                .lines()
                .nth(number + 1)
                .is_some_and(|next| next.ends_with('{'));
        let product =
            !test && shown.contains("/src/") && !shown.contains("sandbox") && !shown.starts_with("xtask");
        if product
            && ["is_sandbox", "SANDBOX_HOME", "18080"]
                .iter()
                .any(|word| line.contains(word))
        {
            wrong.push(format!("{at} tells the sandbox from the real thing"));
        }
        if !test {
            codes.extend(codes_in(line));
        }
    }
}

/// Codes like `STK0101` in a line.
fn codes_in(line: &str) -> Vec<String> {
    line.match_indices("\"STK")
        .filter_map(|(at, _)| {
            let code = line.get(at + 1..at + 8)?;
            let digits = code[3..].bytes().all(|b| b.is_ascii_digit());
            (digits && line[at + 8..].starts_with('"')).then(|| code.to_owned())
        })
        .collect()
}

/// Every error code has a page, and every page a code.
fn pages(root: &Path, codes: &BTreeSet<String>, wrong: &mut Vec<String>) {
    let folder = root.join("docs/errors");
    let pages: BTreeSet<String> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.path().file_stem()?.to_str().map(str::to_owned))
        .filter(|name| name.starts_with("STK"))
        .collect();
    for code in codes.difference(&pages) {
        wrong.push(format!("{code} has no page docs/errors/{code}.md"));
    }
    for page in pages.difference(codes) {
        wrong.push(format!(
            "docs/errors/{page}.md is about a code that nothing raises"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_calls_only() {
        assert_eq!(codes_in("Diagnostic::error(\"STK0101\", \"x\")"), ["STK0101"]);
        assert!(codes_in("// STK0101 and \"STK01\"").is_empty());
    }

    #[test]
    fn codes_of_tests_and_what_is_too_long_or_allowed() {
        let (mut codes, mut wrong) = (BTreeSet::new(), Vec::new());
        let text = "raise(\"STK0101\");\n#[cfg(test)]\nmod tests {\nraise(\"STK0102\");\n#[allow(x)]\n}\n";
        source("crates/a/src/b.rs", text, &mut codes, &mut wrong);
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["STK0101"]);
        assert_eq!(
            wrong,
            ["crates/a/src/b.rs:5 uses allow; use expect with a reason"]
        );
        wrong.clear();
        source(
            "crates/a/src/b.rs",
            &"x\n".repeat(FILE_LINES + 1),
            &mut BTreeSet::new(),
            &mut wrong,
        );
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }

    #[test]
    fn modules_and_dependencies_are_found() {
        let modules: Vec<&str> =
            modules_in("mod a;\npub(crate) mod b;\nmod c {\n// mod d;\n    mod e;\n").collect();
        assert_eq!(modules, ["a", "b", "e"]);
        let manifest = "[workspace]\nx = 1\n[workspace.dependencies]\n# why\nserde = \"1\"\nquick_xml = { version = \"1\" }\n[profile.dev]\ny = 1";
        assert_eq!(
            workspace_dependencies(manifest).collect::<Vec<_>>(),
            ["serde", "quick_xml"]
        );
    }
}
