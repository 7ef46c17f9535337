//! Scenarios: text files of steps, each beginning with `--- `.
//!
//! - `--- config [FILE]`: the file (`main.hcl`) from now on.
//! - `--- apply [OPTIONS]`: plans and applies; a plan without options must then be empty.
//! - `--- plan [OPTIONS]`, `--- plan and apply [OPTIONS]`: plans; the text below is what is expected.
//! - `--- asked`: what the last plan asked the systems for.
//! - `--- cloud remove ID`, `--- cloud set ID NAME VALUE`, `--- cloud add TYPE ID NAME`: somebody else does this.
//! - `--- state taint ADDRESS`, `--- state depose ADDRESS`, `--- state`: changes or shows what is recorded.
//! - `--- state double ADDRESS ID`: an older object of the instance with this id exists, and is recorded as deposed.
//!
//! With `UPDATE_SCENARIOS=1` the expected texts are written anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stack_core::{ResourceAddress, Value};
use stack_plan::{Mode, Options};
use stack_state::{DeposedKey, Status};

use crate::render;
use crate::session::{Planned, Session};

struct Step {
    command: String,
    text: String,
}

fn parse(text: &str) -> (String, Vec<Step>) {
    let mut head = String::new();
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("--- "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                text: String::new(),
            }),
            (None, Some(step)) => writeln!(step.text, "{line}").unwrap(),
            (None, None) => writeln!(head, "{line}").unwrap(),
        }
    }
    (head, steps)
}

fn options(words: &[&str]) -> Options {
    let mut options = Options::default();
    for word in words {
        match word.split_once('=') {
            Some(("--target", target)) => options.targets.push(target.parse().unwrap()),
            Some(("--exclude", target)) => options.excludes.push(target.parse().unwrap()),
            Some(("--replace", address)) => options.replace.push(address.parse().unwrap()),
            None if *word == "--destroy" => options.mode = Mode::Destroy,
            None if *word == "--refresh-only" => options.mode = Mode::RefreshOnly,
            None if *word == "--no-refresh" => options.refresh = false,
            _ => panic!("no option {word}"),
        }
    }
    options
}

pub(crate) fn recorded(session: &Session) -> String {
    let mut out = String::new();
    for (address, deposed, object) in session.state.objects() {
        let deposed = deposed.map(|_| " (deposed)").unwrap_or_default();
        let on: Vec<String> = object.dependencies.iter().map(ToString::to_string).collect();
        let on = if on.is_empty() {
            String::new()
        } else {
            format!(" needs {}", on.join(", "))
        };
        let first = if object.create_before_destroy {
            " create-first"
        } else {
            ""
        };
        let id = object
            .attributes
            .attribute("id")
            .map(render::value)
            .unwrap_or_default();
        writeln!(out, "{address}{deposed} {id}{first}{on}").unwrap();
    }
    out
}

/// Runs one step; gives the text that should stand below it.
fn step(session: &mut Session, step: &Step) -> String {
    let words: Vec<&str> = step.command.split_whitespace().collect();
    match words.as_slice() {
        ["config"] => session.file("main.hcl", &step.text),
        ["config", file] => session.file(file, &step.text),
        ["apply", rest @ ..] => {
            let options = options(rest);
            match session.plan(&options) {
                Planned::Refused(problems) => panic!("{}", render::diagnostics(&problems)),
                Planned::Plan(plan) => session.apply(&plan, &options),
            }
            settled(session, &options);
        }
        ["plan", "and", "apply", rest @ ..] => {
            let options = options(rest);
            return match session.plan(&options) {
                Planned::Refused(problems) => render::diagnostics(&problems),
                Planned::Plan(plan) => {
                    session.apply(&plan, &options);
                    let text = render::plan(&session.kinds, &plan);
                    settled(session, &options);
                    text
                }
            };
        }
        ["plan", rest @ ..] => {
            return match session.plan(&options(rest)) {
                Planned::Refused(problems) => render::diagnostics(&problems),
                Planned::Plan(plan) => render::plan(&session.kinds, &plan),
            };
        }
        ["asked"] => {
            return session
                .cloud
                .asked
                .iter()
                .map(|line| format!("{line}\n"))
                .collect();
        }
        ["state"] => return recorded(session),
        ["cloud", "remove", id] => {
            session.cloud.objects.retain(|(_, _, other), _| other != id);
            session.cloud.end_content(id);
        }
        ["cloud", "set", id, name, text] => {
            let found = session
                .cloud
                .objects
                .iter_mut()
                .find(|((_, _, other), _)| other == id);
            let object = found.expect("what is changed exists").1;
            *object = object.with_attribute(name, Value::string(text));
        }
        ["cloud", "add", ty, id, name] => {
            let schema = session.kinds.schema(stack_core::Mode::Managed, ty).unwrap();
            let members = schema.attributes.iter().map(|(n, a)| {
                let value = match n.as_str() {
                    "id" => Value::string(id),
                    "name" | "cidr" => Value::string(name),
                    _ => Value::Null(a.ty.clone()),
                };
                (n.clone(), value)
            });
            let key = (String::new(), (*ty).to_owned(), (*id).to_owned());
            session.cloud.objects.insert(key, Value::object(members));
        }
        ["state", what @ ("taint" | "depose"), address] => {
            let address: ResourceAddress = address.parse().unwrap();
            let instance = session.state.instances.get_mut(&address).expect("it is recorded");
            if *what == "taint" {
                instance.current.as_mut().unwrap().status = Status::Tainted;
            } else {
                let object = instance.current.take().unwrap();
                instance.deposed.insert(DeposedKey::from("earlier"), object);
            }
        }
        ["state", "double", address, id] => double(session, &address.parse().unwrap(), id),
        _ => panic!("no step {:?}", step.command),
    }
    step.text.clone()
}

/// Records an older object beside the current one.
fn double(session: &mut Session, address: &ResourceAddress, id: &str) {
    let instance = session.state.instances.get_mut(address).expect("it is recorded");
    let mut older = instance.current.clone().expect("it has a current object");
    older.attributes = older.attributes.with_attribute("id", Value::string(id));
    let at = crate::cloud::system_of(&older.identity);
    let key = (at, address.ty.to_string(), id.to_owned());
    session.cloud.objects.insert(key, older.attributes.clone());
    instance.deposed.insert(DeposedKey::from("earlier"), older);
}

/// Right after an apply of everything a plan is empty.
fn settled(session: &mut Session, options: &Options) {
    if options.mode != Mode::Normal || !options.targets.is_empty() || !options.excludes.is_empty() {
        return;
    }
    match session.plan(&Options::default()) {
        Planned::Plan(plan) => {
            assert!(
                !plan.has_changes(),
                "a second plan is empty:\n{}",
                render::plan(&session.kinds, &plan)
            );
            assert!(
                plan.settings.is_empty(),
                "a second plan records nothing: {:?}",
                plan.settings
            );
        }
        Planned::Refused(problems) => panic!("a second plan: {}", render::diagnostics(&problems)),
    }
}

/// Runs a scenario; gives the file as it should be.
fn run(text: &str) -> String {
    let (mut out, steps) = parse(text);
    let mut session = Session::new();
    for one in steps {
        let mut text = step(&mut session, &one);
        let blank = one.text.ends_with("\n\n") || one.text == "\n";
        if blank && !text.ends_with("\n\n") {
            text.push('\n');
        }
        write!(out, "--- {}\n{text}", one.command).unwrap();
    }
    out
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 20, "scenarios are there");
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut wrong = String::new();
    for file in files {
        let expected = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let got = std::panic::catch_unwind(|| run(&expected));
        match got {
            Ok(got) if got == expected => {}
            Ok(got) if update => std::fs::write(&file, got).unwrap(),
            Ok(got) => writeln!(wrong, "{name}: expected\n{expected}\ngot\n{got}").unwrap(),
            Err(_) => writeln!(wrong, "{name}: a step failed").unwrap(),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
