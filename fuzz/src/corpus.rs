//! What inputs are made of: the examples of this repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use stack_core::Value;
use stack_engine::plan_file::{PlanFile, SavedSources};
use stack_plan::{Answers, Options};
use stack_state::key::NoKey;
use stack_state::seal::Sealer;
use stack_state::{Lineage, Salt, State};

type Inputs = Result<Vec<Vec<u8>>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files below a folder whose names end in one of these.
fn files(folder: &str, ends: &[&str]) -> Inputs {
    let mut found = Vec::new();
    let mut todo = vec![root().join(folder)];
    while let Some(folder) = todo.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().map(|path| Ok(std::fs::read(path)?)).collect()
}

/// Configurations.
pub(crate) fn configurations() -> Inputs {
    let mut all = files("plans", &[".hcl"])?;
    all.extend(files("tests/language/plans-dev", &["main.tf"])?);
    all.extend(files("crates/stack-config/tests/configurations", &[".hcl"])?);
    Ok(all)
}

/// Expressions that were recorded, one of ten.
pub(crate) fn expressions() -> Inputs {
    let mut all = Vec::new();
    for name in [
        "tests/language/console-dev.jsonl",
        "tests/language/expressions.jsonl",
    ] {
        let text = std::fs::read_to_string(root().join(name))?;
        for line in text.lines().step_by(10) {
            let case: serde_json::Value = serde_json::from_str(line)?;
            all.extend(case["expr"].as_str().map(|expr| expr.as_bytes().to_vec()));
        }
    }
    Ok(all)
}

/// Templates.
pub(crate) fn templates() -> Inputs {
    Ok([
        "plain",
        "a ${x} b ${upper(x)} c\n",
        "%{ for i, v in [x, x] ~}\n${i}: ${v}\n%{ endfor ~}\n",
        "%{ if x == \"\" }yes%{ else }no%{ endif }",
        "$${x} %%{ if } \u{e9}\n  ${~ x ~}\n",
        "%{ for a in [[x], [x]] }%{ for b in a }%{ if true }${b}%{ endif }%{ endfor }%{ endfor }",
        "${<<EOT\n  ${x}\nEOT\n}",
    ]
    .map(Vec::from)
    .into())
}

/// Files with values of variables.
pub(crate) fn variables() -> Inputs {
    let mut all = files("plans", &[".vars.hcl"])?;
    all.extend(
        [
            "text = \"x\"\nnumber = 1.5\nlist = [\"a\", \"b\"]\n",
            "object = { a = 1, b = [true, null], \"c d\" = <<EOT\ntext\nEOT\n}\nany = -1e3\n",
            "{\"text\": \"x\", \"number\": 1e2, \"list\": [\"\\u00e9\"], \"object\": {\"a\": 1, \"b\": []}, \"any\": null}",
        ]
        .map(Vec::from),
    );
    Ok(all)
}

/// Texts in JSON, YAML and CSV, and others that functions read.
pub(crate) fn documents() -> Inputs {
    let mut all: Vec<Vec<u8>> = [
        "{\"a\": [1, 2.5e3, null, true, \"x\\n\\u00e9\"], \"b\": {\"c\": {}}}",
        "a: &x [1, 2]\nb: *x\nc:\n  - d: |\n      text\n  - e: !!int \"3\"\n? k\n: v\n",
        "<<: {a: 1}\nb: 0x1f\nc: 2020-01-01T00:00:00Z\n",
        "a,b\n1,\"x, y\"\n",
        "10.0.0.0/8",
        "fd00::/48",
        "2020-02-30T25:00:00+14:00",
        "1h30m5.5s",
        "(?P<name>a|b)*[^x\\d]{2,3}$",
        "%s %5.2f %q %-10v %[1]d%%",
        "DD MMM YYYY hh:mm ZZZ 'x'",
    ]
    .map(Vec::from)
    .into();
    all.extend(files("sandbox", &[".yaml"])?);
    Ok(all)
}

fn golden(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(
        root().join("crates/stack-state/tests/golden/v1").join(name),
    )?)
}

/// Journals as they lie on the disk.
pub(crate) fn journals() -> Inputs {
    Ok(vec![golden("journal-3.log")?])
}

/// The records of a journal, one a line.
pub(crate) fn records() -> Inputs {
    let journal = golden("journal-3.log")?;
    let frames = stack_state::frame::decode(&journal)?;
    Ok(frames.frames.iter().map(|frame| frame.payload.to_vec()).collect())
}

/// Snapshots.
pub(crate) fn snapshots() -> Inputs {
    Ok(vec![golden("state.json")?])
}

/// Plan files, in clear, so that changes reach what is inside.
pub(crate) fn plans() -> Inputs {
    let mut all = Vec::new();
    for text in configurations()?.into_iter().step_by(12) {
        let (lineage, salt) = (
            Lineage::from("4a8b7c1e-0000-4000-8000-000000000001"),
            Salt([1; 16]),
        );
        let files = BTreeMap::from([("main.hcl".to_owned(), Ok(text))]);
        let entry = stack_config::Entry {
            name: "main.hcl".to_owned(),
            folder: false,
        };
        let file = PlanFile {
            tool_version: "0.1.0".to_owned(),
            folder: ".".to_owned(),
            sources: SavedSources {
                files,
                folders: BTreeMap::from([(".".to_owned(), Ok(vec![entry]))]),
                ..SavedSources::default()
            },
            variables: BTreeMap::from([(Arc::from("a"), Value::string("x"))]),
            environment: "default".to_owned(),
            timestamp: "2020-01-01T00:00:00Z".to_owned(),
            options: Options::default(),
            state: State::new(lineage.clone(), "default", salt),
            recovery: None,
            answers: Answers::new(),
        };
        all.push(file.encode(&Sealer::new(Arc::new(NoKey), lineage, salt), false)?);
    }
    Ok(all)
}
