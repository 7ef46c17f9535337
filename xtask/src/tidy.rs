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

/// Words a public repository does not need, and folders of one machine.
const FOREIGN: [&str; 4] = ["/work/", "/tmp/lab", "design.md", "domain.md"];

/// Checks everything; reports all that is wrong.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    let metadata = MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("reading the workspace")?;
    arrows(&metadata, &mut wrong);
    lints(&metadata, &mut wrong)?;
    let mut codes = BTreeSet::new();
    for file in sources(&workspace.root)? {
        source(&workspace.root, &file, &mut codes, &mut wrong)?;
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

/// Every crate takes the workspace's lints.
fn lints(metadata: &Metadata, wrong: &mut Vec<String>) -> Result<()> {
    for package in &metadata.packages {
        let text = fs::read_to_string(&package.manifest_path)?;
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!(
                "{} has no `[lints] workspace = true`",
                package.manifest_path
            ));
        }
    }
    Ok(())
}

/// Every Rust file below `crates` and `xtask`.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut todo = vec![root.join("crates"), root.join("xtask"), root.join("tests")];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

fn source(root: &Path, file: &Path, codes: &mut BTreeSet<String>, wrong: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        wrong.push(format!(
            "{shown} has {lines} lines, more than {FILE_LINES}: split it by concern"
        ));
    }
    let is_this_file = shown == "xtask/src/tidy.rs";
    for (number, line) in text.lines().enumerate() {
        let at = format!("{shown}:{}", number + 1);
        if !is_this_file && FOREIGN.iter().any(|word| line.contains(word)) {
            wrong.push(format!("{at} names something outside the repository"));
        }
        if !is_this_file && line.contains("#[allow(") {
            wrong.push(format!("{at} uses allow; use expect with a reason"));
        }
        let product = shown.contains("/src/") && !shown.contains("sandbox") && !shown.starts_with("xtask");
        let asks = ["is_sandbox", "SANDBOX_HOME", "18080"]
            .iter()
            .any(|word| line.contains(word));
        if product && asks && !shown.contains("test") {
            wrong.push(format!("{at} tells the sandbox from the real thing"));
        }
        codes.extend(codes_in(line));
    }
    Ok(())
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
}
