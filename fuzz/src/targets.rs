//! Everything that reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use stack_config::validate::Schemas;
use stack_config::{MemorySources, NoScope, VariableInput, console_line, evaluate_with, render_value};
use stack_core::{FileId, Mode, Schema, Value};
use stack_engine::Providers;
use stack_engine::plan_file::PlanFile;
use stack_plan::{Answers, Catalog, Options, PlanInput, Planner};
use stack_provider::AnyProvider;
use stack_state::key::NoKey;
use stack_state::load::{Checked, Stored};
use stack_state::seal::{Sealer, Withheld};
use stack_state::snapshot::Snapshot;
use stack_state::{Lineage, Position, Salt, State, frame};

use crate::corpus;

/// Something that reads bytes.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Inputs to begin with.
    pub(crate) corpus: fn() -> Result<Vec<Vec<u8>>>,
    /// Words that are put into inputs.
    pub(crate) words: &'static [&'static str],
    /// Reads an input. It may refuse it, and nothing else.
    pub(crate) run: fn(&[u8]),
}

const LANGUAGE: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "${",
    "%{",
    "~}",
    "%{ if true }",
    "%{ endif }",
    "%{ for x in x }",
    "%{ endfor }",
    "<<EOT\n",
    "\nEOT\n",
    "<<-E\n",
    "...",
    "[*]",
    ".*",
    ".a",
    "[0]",
    "?",
    ":",
    "=>",
    "=",
    "==",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    ",",
    "1",
    "1e9",
    "null",
    "true",
    "for ",
    " in ",
    "if ",
    "x",
    "var.a",
    "local.a",
    "\\",
    "/*",
    "*/",
    "#",
    "\n",
    "resource \"stack_data\" \"a\" {\n",
    "locals {\n",
    "output \"o\" {\n",
    "module \"m\" {\n",
    "variable \"v\" {\n",
    "dynamic \"d\" {\n",
    "moved {\n",
    "f(",
    "jsondecode(",
    "try(",
    "templatestring(",
    "format(",
    "regex(",
    "range(",
    "count = ",
    "for_each = ",
    "depends_on = [",
    "lifecycle {\n",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "1",
    "1e400",
    "-",
    "{\"$type\":",
    "\"$value\":",
    "{\"$sealed\":\"",
    "{\"$unknown\":{",
    "{\"$number\":\"",
    "\"dynamic\"",
    "[\"list\",",
    "[\"object\",{",
    "\"\\u",
    "\n",
    "\"address\":",
    "stack_data.a[\"x\"]",
];

const DOCUMENT: &[&str] = &[
    "[", "]", "{", "}", "- ", ": ", "? ", "&a ", "*a", "<<: ", "!!int ", "!x ", "|\n", ">\n", "\n  ", "\"",
    "'", "(", "(?", ")", "*", "{1000}", "[^", "\\p{L}", "\\", "%", "0x", "/", "::", "T", "Z", "h", "#",
];

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "configuration",
        corpus: corpus::configurations,
        words: LANGUAGE,
        run: configuration,
    },
    Target {
        name: "expression",
        corpus: corpus::expressions,
        words: LANGUAGE,
        run: expression,
    },
    Target {
        name: "template",
        corpus: corpus::templates,
        words: LANGUAGE,
        run: template,
    },
    Target {
        name: "variables",
        corpus: corpus::variables,
        words: LANGUAGE,
        run: variables,
    },
    Target {
        name: "document",
        corpus: corpus::documents,
        words: DOCUMENT,
        run: document,
    },
    Target {
        name: "journal",
        corpus: corpus::journals,
        words: JSON,
        run: journal,
    },
    Target {
        name: "records",
        corpus: corpus::records,
        words: JSON,
        run: records,
    },
    Target {
        name: "snapshot",
        corpus: corpus::snapshots,
        words: JSON,
        run: snapshot,
    },
    Target {
        name: "plan",
        corpus: corpus::plans,
        words: JSON,
        run: plan,
    },
];

/// The providers that reach nothing.
fn providers() -> Providers {
    Providers::new()
        .with(AnyProvider::of::<stack_provider_core::StackProvider>())
        .with(AnyProvider::of::<stack_provider_core::RandomProvider>())
}

struct Known<'p>(&'p Providers);

impl Schemas for Known<'_> {
    fn resource(&self, mode: Mode, ty: &str) -> Option<&Schema> {
        match mode {
            Mode::Managed => Catalog::resource(self.0, ty).map(|ty| ty.schema()),
            Mode::Data => self.0.data_source(ty).map(|ty| ty.schema()),
        }
    }

    fn provider(&self, name: &str) -> Option<&Schema> {
        Catalog::provider(self.0, name)
    }

    fn types(&self, mode: Mode) -> Vec<&str> {
        self.0.types(mode)
    }

    fn providers(&self) -> Vec<&str> {
        self.0.names()
    }
}

/// Reads, checks and plans a configuration of one file, as `stack plan` does.
fn configuration(input: &[u8]) {
    planned(&MemorySources::new().with("main.hcl", input));
}

fn planned(sources: &dyn stack_config::Sources) {
    let loaded = stack_config::load(sources, ".");
    for diagnostic in loaded.diagnostics.iter() {
        for (span, _) in &diagnostic.labels {
            loaded.sources.line_column(*span);
        }
    }
    let Some(configuration) = loaded.configuration else {
        return;
    };
    let providers = providers();
    if stack_config::validate(&configuration, &Known(&providers)).has_errors() {
        return;
    }
    let mut map = configuration.sources.clone();
    let (variables, _) = stack_config::variable_values(&configuration, &mut map, &[]);
    let state = State::new(Lineage::from("fuzz"), "default", Salt::default());
    let options = Options::default();
    let plan_input = PlanInput {
        configuration: &configuration,
        sources,
        catalog: &providers,
        state: &state,
        variables: &variables,
        environment: "default",
        timestamp: "2020-01-01T00:00:00Z",
        options: &options,
    };
    if let Ok(planner) = Planner::new(plan_input) {
        drop(planner.step(&Answers::new()));
    }
}

/// Evaluates a line as `stack console` does.
fn expression(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    drop(console_line(&text, &NoScope));
}

fn template(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(expr) = stack_config::parse_template(&text, FileId(0)) else {
        return;
    };
    let bound = [(Arc::from("x"), Value::string("text of x\n"))];
    if let Ok(value) = evaluate_with(&expr, &NoScope, &bound) {
        render_value(&value);
    }
}

/// Reads a file of variables in either form, into variables of many types.
fn variables(input: &[u8]) {
    let declared = "variable \"text\" {\n  type = string\n}\nvariable \"number\" {\n  type = number\n}\nvariable \"list\" {\n  type = list(string)\n}\nvariable \"object\" {\n  type = object({ a = number, b = optional(list(any), []) })\n}\nvariable \"any\" {}\n";
    let loaded = stack_config::load(&MemorySources::new().with("main.hcl", declared), ".");
    let Some(configuration) = loaded.configuration else {
        return;
    };
    let text = String::from_utf8_lossy(input).into_owned();
    for path in ["x.vars.hcl", "x.json"] {
        let mut map = configuration.sources.clone();
        let given = VariableInput::File {
            path: path.to_owned(),
            text: text.clone(),
        };
        stack_config::variable_values(&configuration, &mut map, &[given]);
    }
    for name in ["text", "number", "list", "object", "any"] {
        let mut map = configuration.sources.clone();
        let given = VariableInput::Argument {
            name: name.to_owned(),
            text: text.clone(),
        };
        stack_config::variable_values(&configuration, &mut map, &[given]);
    }
}

/// Hands a text to every function that reads one.
fn document(input: &[u8]) {
    let text = Value::string(String::from_utf8_lossy(input));
    let bound = [(Arc::from("x"), text)];
    for call in [
        "jsondecode(x)",
        "yamldecode(x)",
        "csvdecode(x)",
        "yamlencode(try(yamldecode(x), jsondecode(x), x))",
        "jsonencode(x)",
        "regexall(x, \"aab12\")",
        "replace(\"aab12\", \"/${x}/\", x)",
        "format(x, 1, \"a\", 2.5)",
        "formatlist(x, [1, \"a\"])",
        "formatdate(x, \"2020-01-01T00:00:00Z\")",
        "timeadd(x, \"1h\")",
        "timeadd(\"2020-01-01T00:00:00Z\", x)",
        "cidrsubnets(x, 8, 4)",
        "cidrhost(x, -1)",
        "parseint(x, 36)",
        "tonumber(x)",
        "base64decode(x)",
        "textdecodebase64(x, \"UTF-16\")",
        "templatestring(x, { x = x })",
        "title(x)",
        "strrev(x)",
        "substr(x, -5, 3)",
        "split(\"\", x)",
        "fileset(\".\", x)",
        "urlencode(x)",
    ] {
        let Ok(expr) = stack_config::parse_expression(call, FileId(0)) else {
            continue;
        };
        drop(evaluate_with(&expr, &NoScope, &bound));
    }
}

fn open(stored: &Stored) {
    if let Ok(Some(checked)) = Checked::parse(stored) {
        drop(checked.open(&Withheld::default()));
    }
}

/// Reads a journal as it lies on the disk.
fn journal(input: &[u8]) {
    open(&Stored {
        snapshot: None,
        journals: BTreeMap::from([(3, input.to_vec())]),
    });
}

/// Reads a journal whose checksums hold, whatever is in it.
fn records(input: &[u8]) {
    let lines = input.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let count = u32::try_from(lines.count()).unwrap_or(u32::MAX);
    let (bytes, _) = frame::encode(Position::default(), 3, count, input);
    journal(&bytes);
}

fn snapshot(input: &[u8]) {
    if let Ok(snapshot) = Snapshot::parse(input) {
        drop(snapshot.open(&Withheld::default()));
    }
}

/// Reads a plan file and plans again from it, as `stack show` does.
fn plan(input: &[u8]) {
    let sealer = |lineage, salt| Sealer::new(Arc::new(NoKey), lineage, salt);
    if let Ok(file) = PlanFile::decode(input, "0.1.0", sealer) {
        planned(&file.sources);
    }
}
