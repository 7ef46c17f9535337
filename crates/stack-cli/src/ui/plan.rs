//! A plan for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stack_core::{Nesting, Path, ResourceAddress, Schema, Value};
use stack_plan::{Action, Catalog, Change, Drift, Mode, OutputChange, Plan, Reason};
use stack_state::{CheckStatus, DeposedKey, Object, Status};

use super::Paint;
use super::value::{Entry, Sign, Values, hides, quoted};

/// How many of each thing a plan does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Objects that are adopted.
    pub(crate) import: usize,
    /// Objects that are made.
    pub(crate) add: usize,
    /// Objects that change in place.
    pub(crate) change: usize,
    /// Objects that are deleted.
    pub(crate) destroy: usize,
    /// Objects that are no longer managed.
    pub(crate) forget: usize,
}

impl Counts {
    /// Counts the changes of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut counts = Self::default();
        for change in &plan.changes {
            counts.import += usize::from(change.importing.is_some());
            match change.action {
                Action::NoOp | Action::Read => {}
                Action::Create => counts.add += 1,
                Action::Update => counts.change += 1,
                Action::DeleteThenCreate | Action::CreateThenDelete => {
                    counts.add += 1;
                    counts.destroy += 1;
                }
                Action::Delete => counts.destroy += 1,
                Action::Forget => counts.forget += 1,
                Action::ForgetThenCreate => {
                    counts.add += 1;
                    counts.forget += 1;
                }
            }
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.import > 0 {
            write!(f, "{} to import, ", self.import)?;
        }
        write!(
            f,
            "{} to add, {} to change, {} to destroy",
            self.add, self.change, self.destroy
        )?;
        if self.forget > 0 {
            write!(f, ", {} to forget", self.forget)?;
        }
        Ok(())
    }
}

/// Shows a plan.
pub(crate) struct PlanView<'a> {
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// Schemas, which tell blocks from attributes.
    pub(crate) catalog: &'a dyn Catalog,
    /// Colours.
    pub(crate) paint: Paint,
}

impl PlanView<'_> {
    /// The whole view; ends with a line end.
    pub(crate) fn render(&self) -> String {
        let mut out = self.drift();
        let shown: Vec<&Change> = self.plan.changes.iter().filter(|c| is_shown(c)).collect();
        let outputs = self.outputs();
        if shown.is_empty() && outputs.is_empty() {
            out.push_str(&self.nothing());
            out.push_str(&self.left_out());
            out.push_str(&self.checks());
            return out;
        }
        if !shown.is_empty() {
            out.push_str("stack will perform the following actions:\n\n");
            for change in &shown {
                out.push_str(&self.change(change));
                out.push('\n');
            }
            if self.plan.mode != Mode::RefreshOnly {
                let _ = writeln!(out, "{} {}.", self.paint.bold("Plan:"), Counts::of(self.plan));
            }
        }
        if !outputs.is_empty() {
            let space = if shown.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{space}Changes to Outputs:\n{outputs}");
        }
        out.push_str(&self.left_out());
        out.push_str(&self.checks());
        out
    }

    fn nothing(&self) -> String {
        let (head, text) = match self.plan.mode {
            Mode::Normal => ("No changes.", "The real objects match the configuration."),
            Mode::Destroy => ("No changes.", "There is no object to destroy."),
            Mode::RefreshOnly if self.plan.drift.is_empty() => {
                ("No changes.", "The real objects still match what is recorded.")
            }
            Mode::RefreshOnly => {
                return "An apply of this plan records these changes and changes nothing else.\n".to_owned();
            }
        };
        format!("{} {text}\n", self.paint.bold(&self.paint.green(head)))
    }

    fn schema(&self, address: &ResourceAddress) -> Option<&Schema> {
        match address.mode {
            stack_core::Mode::Managed => self.catalog.resource(&address.ty).map(|ty| ty.schema()),
            stack_core::Mode::Data => self.catalog.data_source(&address.ty).map(|ty| ty.schema()),
        }
    }

    fn drift(&self) -> String {
        let drift: Vec<&Drift> = self
            .plan
            .drift
            .iter()
            .filter(|d| d.after.as_ref() != Some(&d.before))
            .collect();
        if drift.is_empty() {
            return String::new();
        }
        let head = self
            .paint
            .bold(&self.paint.cyan("Note: Objects have changed outside of stack"));
        let mut out =
            format!("{head}\n\nSince the last apply these objects were changed by somebody else:\n\n");
        for drift in drift {
            let _ = writeln!(out, "  {}", self.paint.bold(&format!("# {}", drifted(drift))));
            let sign = if drift.after.is_some() {
                Sign::Change
            } else {
                Sign::Remove
            };
            let body = Body {
                values: self.values(&[]),
                schema: self.schema(&drift.address),
            };
            out.push_str(&body.block(
                0,
                sign,
                &header(&drift.address),
                Some(&drift.before),
                drift.after.as_ref(),
            ));
            out.push('\n');
        }
        out
    }

    fn values<'p>(&self, replace: &'p [Path]) -> Values<'p> {
        Values {
            paint: self.paint,
            replace,
        }
    }

    fn change(&self, change: &Change) -> String {
        let mut out = String::new();
        for line in titles(change) {
            let _ = writeln!(out, "  {}", self.paint.bold(&format!("# {line}")));
        }
        let body = Body {
            values: self.values(&change.replace_paths),
            schema: self.schema(&change.address),
        };
        let (before, after) = match change.action {
            Action::Read => (None, change.after.as_ref().or(change.config.as_ref())),
            Action::Forget | Action::NoOp => (change.before.as_ref(), change.before.as_ref()),
            Action::Create if change.before.is_none() => (None, change.after.as_ref()),
            _ => (change.before.as_ref(), change.after.as_ref()),
        };
        out.push_str(&body.object(
            &self.symbol(change.action),
            &header(&change.address),
            before,
            after,
        ));
        if let Some(rendered) = &change.rendered {
            let values = self.values(&[]);
            for line in rendered.lines() {
                out.push_str(&values.line(1, Sign::None, &self.paint.dim(&format!("| {line}"))));
            }
        }
        if let Some(reason) = &change.not_checked {
            let _ = writeln!(
                out,
                "    {}",
                self.paint.yellow(&format!("# not checked: {reason}"))
            );
        }
        out
    }

    /// The mark in front of a changed object, three columns wide.
    fn symbol(&self, action: Action) -> String {
        let p = self.paint;
        match action {
            Action::NoOp => "   ".to_owned(),
            Action::Read => format!(" {}", p.cyan("<=")),
            Action::Create => format!("  {}", p.green("+")),
            Action::Update => format!("  {}", p.yellow("~")),
            Action::DeleteThenCreate => format!("{}/{}", p.red("-"), p.green("+")),
            Action::CreateThenDelete => format!("{}/{}", p.green("+"), p.red("-")),
            Action::Delete => format!("  {}", p.red("-")),
            Action::Forget => format!("  {}", p.red(".")),
            Action::ForgetThenCreate => format!("{}/{}", p.red("."), p.green("+")),
        }
    }

    fn outputs(&self) -> String {
        let values = self.values(&[]);
        let entry = |(name, change): (&String, &OutputChange)| {
            let (sign, text) = match (&change.before, &change.after) {
                _ if !change.is_change() => return None,
                (None, Some(after)) => (Sign::Add, values.value(after, 0, Sign::Add)),
                (Some(before), Some(after)) => values.difference(before, after, &Path::root(), 0),
                (Some(before), None) => (
                    Sign::Remove,
                    format!(
                        "{} -> {}",
                        values.value(before, 0, Sign::Remove),
                        self.paint.dim("null")
                    ),
                ),
                (None, None) => return None,
            };
            Some(Entry::new(name.clone(), sign, text))
        };
        let entries: Vec<Entry> = self.plan.outputs.iter().filter_map(entry).collect();
        values.entries(&entries, 0)
    }

    /// What a destroy leaves in place because the user left it out. What the configuration keeps is shown as forgotten.
    fn left_out(&self) -> String {
        if self.plan.mode != Mode::Destroy || self.plan.left_out.is_empty() {
            return String::new();
        }
        let head = self
            .paint
            .bold("Left in place, because of --target or --exclude:");
        let lines = self.plan.left_out.iter().map(|address| format!("  {address}\n"));
        format!("\n{head}\n{}", lines.collect::<String>())
    }

    /// Checks that fail already.
    fn checks(&self) -> String {
        let failing: Vec<String> = self
            .plan
            .checks
            .iter()
            .flat_map(|c| check_lines(&c.address, &c.status))
            .collect();
        if failing.is_empty() {
            return String::new();
        }
        let lines: String = failing
            .iter()
            .map(|line| format!("  {} {line}\n", self.paint.yellow("!")))
            .collect();
        format!("\nChecks that do not hold:\n{lines}")
    }
}

/// What happens to an object, and why.
pub(crate) fn titles(change: &Change) -> Vec<String> {
    let address = match &change.deposed {
        Some(key) => format!("{} (deposed object {key})", change.address),
        None => change.address.to_string(),
    };
    let moved = change.previous_address.as_ref();
    let what = match (change.action, &change.reason) {
        (Action::NoOp, _) => match (moved, &change.importing) {
            (Some(from), None) => return vec![format!("{from} has moved to {address}")],
            _ => "will be imported",
        },
        (Action::Read, _) => "will be read during apply",
        (Action::Create, _) => "will be created",
        (Action::Update, _) => "will be updated in-place",
        (Action::Delete, _) => "will be destroyed",
        (Action::Forget, _) => "will no longer be managed by stack, and will not be destroyed",
        (Action::ForgetThenCreate, _) => "will be created anew, because what it lives in is replaced",
        (_, Some(Reason::Tainted)) => "is tainted, so it must be replaced",
        (_, Some(Reason::Requested)) => "will be replaced, as requested",
        (_, Some(Reason::Triggered)) => "will be replaced, because of replace_triggered_by",
        _ => "must be replaced",
    };
    let mut lines = vec![format!("{address} {what}")];
    lines.extend(change.reason.as_ref().and_then(|reason| why(change, reason)));
    if let Some(from) = moved {
        lines.push(format!("(moved from {from})"));
    }
    if let Some(id) = &change.importing {
        lines.push(format!("(imported from {})", quoted(id)));
    }
    lines
}

/// What happened to an object outside.
pub(crate) fn drifted(drift: &Drift) -> String {
    let what = if drift.after.is_some() {
        "has changed"
    } else {
        "has been deleted"
    };
    format!("{} {what}", drift.address)
}

/// What is said of a check that does not hold.
pub(crate) fn check_lines(address: &str, status: &CheckStatus) -> Vec<String> {
    match status {
        CheckStatus::Failed(messages) => messages.iter().map(|m| format!("{address}: {m}")).collect(),
        CheckStatus::Error(messages) => messages
            .iter()
            .map(|m| format!("{address} could not be evaluated: {m}"))
            .collect(),
        CheckStatus::Passed | CheckStatus::Unknown => Vec::new(),
    }
}

fn is_shown(change: &Change) -> bool {
    !change.action.is_no_op() || change.previous_address.is_some() || change.importing.is_some()
}

/// `resource "aws_instance" "broker"`
fn header(address: &ResourceAddress) -> String {
    let word = match address.mode {
        stack_core::Mode::Managed => "resource",
        stack_core::Mode::Data => "data",
    };
    format!("{word} \"{}\" \"{}\"", address.ty, address.name)
}

/// The reason of a change in brackets, where its first line does not say it.
fn why(change: &Change, reason: &Reason) -> Option<String> {
    let address = &change.address;
    let text = match reason {
        Reason::NoResource => format!("because {} is not in configuration", address.resource()),
        Reason::NoModule => format!("because {} is not in configuration", address.module),
        Reason::CountIndex => format!("because index {} is out of range for count", address.key),
        Reason::EachKey => format!("because key {} is not in for_each", address.key),
        Reason::WrongRepetition => "because count or for_each was added or removed".to_owned(),
        Reason::Deposed => "left from a partly failed replacement of this instance".to_owned(),
        Reason::Removed => "because a removed block says so".to_owned(),
        Reason::Kept => "because of destroy = false in its lifecycle".to_owned(),
        Reason::ContainerEnds if change.action == Action::Forget => {
            "because what it lives in ends".to_owned()
        }
        Reason::ConfigUnknown => "config refers to values not yet known".to_owned(),
        Reason::DependencyPending => "depends on a resource with changes pending".to_owned(),
        Reason::Gone => "because it was removed by somebody else".to_owned(),
        Reason::CannotUpdate
        | Reason::Tainted
        | Reason::Requested
        | Reason::Triggered
        | Reason::ContainerEnds => {
            return None;
        }
    };
    Some(format!("({text})"))
}

/// The inside of an object.
struct Body<'a> {
    values: Values<'a>,
    schema: Option<&'a Schema>,
}

impl Body<'_> {
    /// An object with its own mark in front.
    fn object(&self, symbol: &str, header: &str, before: Option<&Value>, after: Option<&Value>) -> String {
        let inside = self.inside(1, self.schema, before, after, &Path::root());
        if inside.is_empty() {
            format!("{symbol} {header} {{}}\n")
        } else {
            format!("{symbol} {header} {{\n{inside}    }}\n")
        }
    }

    /// An object or nested block with a plain sign in front.
    fn block(
        &self,
        level: usize,
        sign: Sign,
        header: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> String {
        let inside = self.inside(level + 1, self.schema, before, after, &Path::root());
        let head = self.values.line(level, sign, &format!("{header} {{"));
        format!("{head}{inside}{}", self.values.line(level, Sign::None, "}"))
    }

    /// Attributes, then nested blocks.
    fn inside(
        &self,
        level: usize,
        schema: Option<&Schema>,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &Path,
    ) -> String {
        let members = [before, after]
            .into_iter()
            .flatten()
            .filter_map(Value::as_mapping);
        let all: BTreeSet<String> = members.flat_map(|m| m.keys().cloned()).collect();
        let is_block = |name: &str| schema.is_some_and(|schema| schema.blocks.contains_key(name));
        let (mut entries, mut hidden) = (Vec::new(), 0);
        for name in all.iter().filter(|name| !is_block(name)) {
            let part = |v: Option<&Value>| v.and_then(|v| v.attribute(name)).cloned().unwrap_or(Value::NULL);
            let (a, b) = (part(before), part(after));
            if a.is_null() && b.is_null() {
                continue;
            }
            let entry = match (before, after) {
                (None, _) => Some((Sign::Add, self.values.value(&b, level, Sign::Add))),
                (Some(_), None) => {
                    Some(
                        self.values
                            .difference(&a, &Value::Null(a.ty()), &Path::root(), level),
                    )
                }
                (Some(_), Some(_)) if a == b => {
                    let names_it = path.0.is_empty() && (name == "id" || name == "name");
                    let shown = names_it.then(|| (Sign::None, self.values.value(&b, level, Sign::None)));
                    hidden += usize::from(shown.is_none());
                    shown
                }
                (Some(_), Some(_)) => Some(self.values.difference(&a, &b, &path.attribute(name), level)),
            };
            entries.extend(entry.map(|(sign, text)| Entry::new(name.clone(), sign, text)));
        }
        let mut out = self.values.entries(&entries, level);
        if hidden > 0 {
            let plural = if hidden == 1 { "" } else { "s" };
            let note = format!("# ({hidden} unchanged attribute{plural} hidden)");
            out.push_str(&self.values.line(level, Sign::None, &self.values.paint.dim(&note)));
        }
        for (name, block) in schema.into_iter().flat_map(|schema| &schema.blocks) {
            let members = |v: Option<&Value>| -> Vec<Value> {
                let Some(value) = v.and_then(|v| v.attribute(name)) else {
                    return Vec::new();
                };
                match block.nesting {
                    _ if value.is_null() => Vec::new(),
                    Nesting::List => value.as_sequence().map(<[Value]>::to_vec).unwrap_or_default(),
                    Nesting::Single => vec![value.clone()],
                }
            };
            let (a, b) = (members(before), members(after));
            for i in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(i), b.get(i));
                let sign = match (a, b) {
                    (None, _) => Sign::Add,
                    (_, None) => Sign::Remove,
                    (Some(a), Some(b)) if a == b => continue,
                    _ => Sign::Change,
                };
                let inner = match block.nesting {
                    Nesting::List => path.attribute(name).index(i),
                    Nesting::Single => path.attribute(name),
                };
                out.push('\n');
                out.push_str(&self.values.line(level, sign, &format!("{name} {{")));
                out.push_str(&self.inside(level + 1, Some(&block.schema), a, b, &inner));
                out.push_str(&self.values.line(level, Sign::None, "}"));
            }
        }
        out
    }
}

/// An object as it is recorded.
pub(crate) fn recorded(
    catalog: &dyn Catalog,
    paint: Paint,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
    object: &Object,
) -> String {
    let mut title = format!("# {}", super::human::name(address, deposed));
    if object.status == Status::Tainted {
        title.push_str(" (tainted)");
    }
    let schema = catalog.resource(&address.ty).map(|ty| ty.schema());
    let body = Body {
        values: Values { paint, replace: &[] },
        schema,
    };
    let inside = body.listing(0, schema, &object.attributes);
    format!("{}\n{} {{\n{inside}}}\n", paint.bold(&title), header(address))
}

impl Body<'_> {
    /// All attributes and blocks, without signs.
    fn listing(&self, level: usize, schema: Option<&Schema>, value: &Value) -> String {
        let is_block = |name: &str| schema.is_some_and(|schema| schema.blocks.contains_key(name));
        let shown = value
            .as_mapping()
            .into_iter()
            .flatten()
            .filter(|(name, v)| !is_block(name) && (!v.is_null() || hides(v)));
        let entry = |(name, v): (&String, &Value)| {
            Entry::new(name.clone(), Sign::None, self.values.value(v, level, Sign::None))
        };
        let mut out = self.values.entries(&shown.map(entry).collect::<Vec<_>>(), level);
        for (name, block) in schema.into_iter().flat_map(|schema| &schema.blocks) {
            let Some(part) = value.attribute(name).filter(|v| !v.is_null()) else {
                continue;
            };
            let members = match block.nesting {
                Nesting::List => part.as_sequence().map(<[Value]>::to_vec).unwrap_or_default(),
                Nesting::Single => vec![part.clone()],
            };
            for member in members {
                let inside = self.listing(level + 1, Some(&block.schema), &member);
                out.push('\n');
                out.push_str(&self.values.line(level, Sign::None, &format!("{name} {{")));
                out.push_str(&inside);
                out.push_str(&self.values.line(level, Sign::None, "}"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
