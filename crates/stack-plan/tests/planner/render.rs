//! Plans as text.

use std::fmt::Write as _;

use stack_core::{Diagnostics, Marks, Severity, Value};
use stack_plan::{Catalog as _, Change, Plan, Work, differences};

use crate::kinds::Kinds;

/// A value on one line; `?` is what is known after apply.
pub(crate) fn value(value: &Value) -> String {
    if value.marks().contains(Marks::SENSITIVE) {
        return "(sensitive)".to_owned();
    }
    match value.unmarked() {
        Value::Unknown(_) => "?".to_owned(),
        Value::Null(_) => "null".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
            format!(
                "[{}]",
                members.iter().map(self::value).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Map(_, members) | Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(k, v)| format!("{k} = {}", self::value(v)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Marked(..) => unreachable!("marks are off"),
    }
}

fn change(kinds: &Kinds, change: &Change, out: &mut String) {
    let deposed = change.deposed.as_ref().map(|_| " (deposed)").unwrap_or_default();
    write!(out, "{:?} {}{deposed}", change.action, change.address).unwrap();
    if let Some(previous) = &change.previous_address {
        write!(out, ", was {previous}").unwrap();
    }
    if let Some(id) = &change.importing {
        write!(out, ", import {id}").unwrap();
    }
    if let Some(reason) = &change.reason {
        write!(out, ", {reason:?}").unwrap();
    }
    if !change.replace_paths.is_empty() {
        let paths: Vec<String> = change.replace_paths.iter().map(ToString::to_string).collect();
        write!(out, " of {}", paths.join(", ")).unwrap();
    }
    if let Some(text) = &change.rendered {
        write!(out, ", {text}").unwrap();
    }
    if let Some(why) = &change.not_checked {
        write!(out, ", not checked: {why}").unwrap();
    }
    out.push('\n');
    let Some(after) = &change.after else { return };
    let Some(ty) = kinds.resource(&change.address.ty) else {
        writeln!(out, "    {}", value(after)).unwrap();
        return;
    };
    match &change.before {
        None => {
            let set = after
                .as_mapping()
                .into_iter()
                .flatten()
                .filter(|(_, v)| !v.is_null() && v.is_known());
            for (name, member) in set {
                writeln!(out, "    {name} = {}", value(member)).unwrap();
            }
        }
        Some(before) => {
            for path in differences(ty, before, after) {
                let of = |whole: &Value| path.get(whole).map_or_else(|| "null".to_owned(), value);
                writeln!(out, "    {path}: {} -> {}", of(before), of(after)).unwrap();
            }
        }
    }
}

fn operations(plan: &Plan, out: &mut String) {
    for (number, operation) in plan.operations.iter().enumerate() {
        let what = match &operation.work {
            Work::Create { depose: None } => "create",
            Work::Create { depose: Some(_) } => "create, deposing,",
            Work::Update => "update",
            Work::Delete { deposed: None } => "delete",
            Work::Delete { deposed: Some(_) } => "delete deposed",
            Work::Forget { deposed: None } => "forget",
            Work::Forget { deposed: Some(_) } => "forget deposed",
            Work::Read => "read",
            Work::Adopt => "adopt",
            Work::Gate => "gate",
        };
        let address = operation
            .change
            .map(|c| format!(" {}", plan.changes[c].address))
            .unwrap_or_default();
        let after: Vec<String> = operation.after.iter().map(|n| (n + 1).to_string()).collect();
        let after = if after.is_empty() {
            String::new()
        } else {
            format!(" after {}", after.join(", "))
        };
        writeln!(out, "{:>4} {what}{address}{after}", number + 1).unwrap();
    }
}

/// The whole plan, without instances that do not change.
pub(crate) fn plan(kinds: &Kinds, plan: &Plan) -> String {
    let mut out = String::new();
    for drift in &plan.drift {
        let paths: Vec<String> = drift.paths.iter().map(ToString::to_string).collect();
        let what = if drift.after.is_some() {
            paths.join(", ")
        } else {
            "gone".to_owned()
        };
        writeln!(out, "drift {}: {what}", drift.address).unwrap();
    }
    let told = |c: &&Change| !c.action.is_no_op() || c.previous_address.is_some() || c.importing.is_some();
    for changed in plan.changes.iter().filter(told) {
        change(kinds, changed, &mut out);
    }
    for (name, output) in plan.outputs.iter().filter(|(_, o)| o.is_change()) {
        let of = |v: &Option<Value>| v.as_ref().map_or_else(|| "none".to_owned(), value);
        writeln!(
            out,
            "output {name}: {} -> {}",
            of(&output.before),
            of(&output.after)
        )
        .unwrap();
    }
    for check in plan.checks.iter().chain(&plan.conditions) {
        writeln!(out, "{}: {:?}", check.address, check.status).unwrap();
    }
    for address in &plan.left_out {
        writeln!(out, "left out {address}").unwrap();
    }
    out.push_str(&diagnostics(&plan.warnings));
    operations(plan, &mut out);
    if out.is_empty() {
        out.push_str("no changes\n");
    }
    assert!(
        plan.has_changes() || plan.operations.is_empty(),
        "operations are changes"
    );
    out
}

/// One line a diagnostic.
pub(crate) fn diagnostics(diagnostics: &Diagnostics) -> String {
    let line = |d: &stack_core::Diagnostic| {
        let kind = if d.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let address = d.address.as_ref().map(|a| format!(" ({a})")).unwrap_or_default();
        format!("{kind} {} {}{address}: {}\n", d.code, d.summary, d.detail)
    };
    diagnostics.iter().map(line).collect()
}
