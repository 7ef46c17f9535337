//! Providers whose configuration comes from a resource, in every combination of what happens to that resource and to
//! what lives in it.

mod holds;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stack_core::ResourceAddress;
use stack_plan::{Mode, Options};
use stack_state::{DeposedKey, Object, State, Status};

use crate::render;
use crate::session::{Planned, Session};
use world::{Container, Content, Host, Item, Nesting, System, World};

#[derive(Clone, Copy, Debug)]
struct Case {
    container: Container,
    content: Content,
    nesting: Nesting,
    refresh: bool,
    mode: Mode,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut out = Vec::new();
        for nesting in Nesting::ALL {
            for container in Container::ALL {
                for content in Content::ALL {
                    for refresh in [true, false] {
                        for mode in [Mode::Normal, Mode::Destroy, Mode::RefreshOnly] {
                            let case = Self {
                                container,
                                content,
                                nesting,
                                refresh,
                                mode,
                            };
                            if case.makes_sense() {
                                out.push(case);
                            }
                        }
                    }
                }
            }
        }
        out
    }

    fn makes_sense(&self) -> bool {
        // A plan that only reads and does not read; and an object in a machine that nobody has ever recorded, so that
        // nothing tells that it ends with the box around that machine.
        let reads_nothing = self.mode == Mode::RefreshOnly && !self.refresh;
        let unknown_between =
            self.nesting == Nesting::Inner && self.mode == Mode::Destroy && self.container.is_imported();
        !reads_nothing && !unknown_between
    }

    fn host(&self, label: &'static str) -> ResourceAddress {
        World::host_address(self.nesting, label).parse().unwrap()
    }

    fn item(&self, label: &'static str) -> ResourceAddress {
        World::content_address(self.nesting, label).parse().unwrap()
    }

    /// What is there before.
    fn before(&self) -> World {
        let kept = self.nesting == Nesting::Each
            && matches!(
                self.container,
                Container::ForgottenAndNamed | Container::ForgottenWithContent
            );
        World {
            nesting: self.nesting,
            host: Some(Host {
                label: "a",
                name: "one",
                size: 1,
                first: matches!(
                    self.container,
                    Container::ReplacedCreateFirst | Container::TaintedCreateFirst
                ),
            }),
            kept,
            system: System::Host,
            content: (self.content != Content::New).then_some(Item {
                label: "c",
                name: "c",
                text: "1",
            }),
            root: String::new(),
            module: String::new(),
        }
    }

    /// The ids of the container and of the content, if there are any.
    fn ids(&self, state: &State) -> (String, Option<String>) {
        let id = |address| {
            let object = state.object(&address, None)?;
            object.attributes.attribute("id")?.as_str().map(str::to_owned)
        };
        (
            id(self.host("a")).expect("the container is made"),
            id(self.item("c")),
        )
    }

    /// The new configuration.
    fn after(&self, host_id: &str, content_id: Option<&str>) -> World {
        let mut world = self.before();
        let host = world.host.as_mut().expect("it is configured");
        match self.container {
            Container::Updated | Container::ImportedAndUpdated => host.size = 2,
            Container::ReplacedDeleteFirst
            | Container::ReplacedCreateFirst
            | Container::ReplacedAndTargeted
            | Container::ReplacedAndExcluded
            | Container::ReplacedContentTargeted
            | Container::ReplacedContentExcluded => host.name = "two",
            Container::Moved => host.label = "b",
            Container::MovedAndReplaced => (host.label, host.name) = ("b", "two"),
            _ => {}
        }
        let from = self.host("a");
        match self.container {
            Container::Moved | Container::MovedAndReplaced => {
                world.root = format!("moved {{\n  from = {from}\n  to = {}\n}}\n", self.host("b"));
            }
            Container::Imported | Container::ImportedAndUpdated => {
                world.root = format!("import {{\n  to = {from}\n  id = \"{host_id}\"\n}}\n");
            }
            Container::ForgottenAndNamed | Container::ForgottenWithContent
                if self.nesting != Nesting::Each =>
            {
                world.root =
                    format!("removed {{\n  from = {from}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n");
            }
            _ => {}
        }
        world.system = match self.container {
            Container::DeletedAndRetargeted => System::Spare,
            Container::DeletedAndNamed | Container::ForgottenAndNamed => System::Named(host_id.to_owned()),
            Container::DeletedWithContent
            | Container::DeletedContentExcluded
            | Container::ForgottenWithContent => System::None,
            _ => System::Host,
        };
        if !self.container.is_configured() {
            world.host = None;
        }
        self.item_after(&mut world, content_id);
        if !self.container.leaves_content() {
            world.content = None;
        }
        world
    }

    fn item_after(&self, world: &mut World, content_id: Option<&str>) {
        let item = |label, name, text| Some(Item { label, name, text });
        world.content = match self.content {
            Content::Unchanged
            | Content::New
            | Content::Drifted
            | Content::Gone
            | Content::Tainted
            | Content::Imported => item("c", "c", "1"),
            Content::Changed | Content::ImportedAndChanged => item("c", "c", "2"),
            Content::Replaced => item("c", "d", "1"),
            Content::Moved => item("e", "c", "1"),
            Content::MovedAndChanged => item("e", "c", "2"),
            Content::Removed | Content::Forgotten => None,
        };
        let ty = World::content_type(self.nesting);
        let is_called = !matches!(world.system, System::None);
        // Without the call there is no module to write into.
        let inside = if World::in_module(self.nesting) && is_called {
            &mut world.module
        } else {
            &mut world.root
        };
        let named = |label| {
            if World::in_module(self.nesting) && !is_called {
                World::content_address(self.nesting, label)
            } else {
                format!("{ty}.{label}")
            }
        };
        match self.content {
            Content::Moved | Content::MovedAndChanged => {
                let (from, to) = (named("c"), named("e"));
                write!(inside, "moved {{\n  from = {from}\n  to = {to}\n}}\n").unwrap();
            }
            Content::Forgotten => {
                let from = named("c");
                write!(
                    inside,
                    "removed {{\n  from = {from}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
                )
                .unwrap();
            }
            Content::Imported | Content::ImportedAndChanged if is_called => {
                let (to, id) = (self.item("c"), content_id.expect("it was made"));
                write!(world.root, "import {{\n  to = {to}\n  id = \"{id}\"\n}}\n").unwrap();
            }
            _ => {}
        }
    }

    fn options(&self) -> Options {
        let mut options = Options {
            mode: self.mode,
            refresh: self.refresh,
            ..Options::default()
        };
        let label = match self.content {
            Content::Moved | Content::MovedAndChanged => "e",
            _ => "c",
        };
        let target = |address: ResourceAddress| stack_core::address::Target::Resource(address);
        match self.container {
            Container::ReplacedAndTargeted => options.targets.push(target(self.host("a"))),
            Container::ReplacedAndExcluded => options.excludes.push(target(self.host("a"))),
            Container::ReplacedContentTargeted => options.targets.push(target(self.item(label))),
            Container::ReplacedContentExcluded | Container::DeletedContentExcluded => {
                options.excludes.push(target(self.item(label)));
            }
            Container::Requested => options.replace.push(self.host("a")),
            _ => {}
        }
        options
    }

    /// What happens besides the configuration.
    fn disturb(&self, session: &mut Session, host_id: &str, content_id: Option<&str>) {
        let current = |state: &mut State, address: &ResourceAddress| {
            let instance = state.instances.get_mut(address).expect("it is recorded");
            instance.current.take().expect("it is recorded")
        };
        let put = |state: &mut State, address: ResourceAddress, object: Object| {
            state.instances.entry(address).or_default().current = Some(object);
        };
        match self.content {
            Content::Drifted => {
                let id = content_id.expect("it was made");
                let mut objects = session.cloud.objects.iter_mut();
                let (_, object) = objects.find(|((_, _, other), _)| other == id).expect("it exists");
                *object = object.with_attribute("content", stack_core::Value::string("drifted"));
            }
            Content::Gone => {
                let id = content_id.expect("it was made").to_owned();
                session.cloud.objects.retain(|(_, _, other), _| *other != id);
            }
            Content::Tainted => {
                let object = current(&mut session.state, &self.item("c"));
                let status = Status::Tainted;
                put(&mut session.state, self.item("c"), Object { status, ..object });
            }
            Content::Imported | Content::ImportedAndChanged => {
                current(&mut session.state, &self.item("c"));
            }
            _ => {}
        }
        match self.container {
            Container::Gone => {
                session.cloud.objects.retain(|(_, _, other), _| other != host_id);
                session.cloud.end_content(host_id);
            }
            Container::Tainted | Container::TaintedCreateFirst => {
                let object = current(&mut session.state, &self.host("a"));
                let status = Status::Tainted;
                put(&mut session.state, self.host("a"), Object { status, ..object });
            }
            Container::Imported | Container::ImportedAndUpdated => {
                current(&mut session.state, &self.host("a"));
            }
            Container::Deposed => {
                let object = current(&mut session.state, &self.host("a"));
                let instance = session.state.instances.entry(self.host("a")).or_default();
                instance.deposed.insert(DeposedKey::from("earlier"), object);
            }
            _ => {}
        }
        session.state.instances.retain(|_, instance| !instance.is_empty());
    }

    /// Without a refresh a plan cannot know that somebody else removed something.
    fn is_blind(&self) -> bool {
        !self.refresh && (self.container == Container::Gone || self.content == Content::Gone)
    }
}

fn load(session: &mut Session, world: &World) {
    for (name, text) in world.files() {
        session.file(name, &text);
    }
}

/// How a combination ended.
enum Ended {
    Applied,
    /// Refused, with this code.
    Refused(&'static str),
    /// What it rests on is not so, and it cannot know.
    Blind,
}

/// Environments in which the configuration of before is applied, by its files.
type Begun = BTreeMap<Vec<(&'static str, String)>, Session>;

fn begin(begun: &mut Begun, case: &Case) -> Session {
    let files = case.before().files();
    let first = begun.entry(files).or_insert_with(|| {
        let mut session = Session::new();
        session.twice = false;
        load(&mut session, &case.before());
        let options = Options::default();
        match session.plan(&options) {
            Planned::Plan(plan) => session.apply(&plan, &options),
            Planned::Refused(problems) => panic!("at first: {}", render::diagnostics(&problems)),
        }
        session
    });
    first.clone()
}

fn run(begun: &mut Begun, case: &Case) -> Result<Ended, String> {
    let mut session = begin(begun, case);
    let (host, content) = case.ids(&session.state);
    case.disturb(&mut session, &host, content.as_deref());
    load(&mut session, &case.after(&host, content.as_deref()));
    let options = case.options();
    session.cloud.misled.clear();
    let planned = session.plan(&options);
    if !session.cloud.misled.is_empty() && !case.is_blind() {
        return Err(format!(
            "asked where there is nothing to ask: {:?}",
            session.cloud.misled
        ));
    }
    let plan = match planned {
        Planned::Refused(_) if case.is_blind() => return Ok(Ended::Blind),
        Planned::Refused(problems) => return holds::refusal(&problems).map(Ended::Refused),
        Planned::Plan(plan) => plan,
    };
    let text = render::plan(&session.kinds, &plan);
    let told = |problem: String| format!("{problem}\n{text}");
    let before = session.state.clone();
    holds::for_plan(case, &before, &plan).map_err(told)?;
    if case.is_blind() {
        return Ok(Ended::Blind);
    }
    session.apply(&plan, &options);
    let told = |problem: String| {
        let state = crate::scenario::recorded(&session);
        format!("{problem}\n{text}state afterwards:\n{state}")
    };
    holds::for_result(case, &before, &plan, &session).map_err(told)?;
    settled(case, &mut session).map_err(|problem| format!("{problem}\n{text}"))?;
    Ok(Ended::Applied)
}

/// A second plan is empty, and afterwards everything can be destroyed.
fn settled(case: &Case, session: &mut Session) -> Result<(), String> {
    let whole = !case.container.is_partial();
    if case.mode == Mode::Destroy && whole {
        return empty(session);
    }
    let all = Options::default();
    // What was not looked at before may be refused now, and what was not read has drifted.
    let looked = case.mode == Mode::Normal && whole;
    let read = case.refresh || case.content != Content::Drifted;
    let again = match session.plan(&all) {
        Planned::Plan(plan) => plan,
        Planned::Refused(problems) if looked => {
            return Err(format!("a second plan: {}", render::diagnostics(&problems)));
        }
        Planned::Refused(problems) => return holds::refusal(&problems).map(drop),
    };
    if again.has_changes() {
        if looked && read {
            let text = render::plan(&session.kinds, &again);
            return Err(format!("a second plan is not empty:\n{text}"));
        }
        session.apply(&again, &all);
        match session.plan(&all) {
            Planned::Plan(third) if !third.has_changes() => {}
            Planned::Plan(third) => {
                let text = render::plan(&session.kinds, &third);
                return Err(format!("a third plan is not empty:\n{text}"));
            }
            Planned::Refused(problems) => {
                return Err(format!("a third plan: {}", render::diagnostics(&problems)));
            }
        }
    }
    if !case.refresh {
        // The same state as with a refresh by now.
        return Ok(());
    }
    if case.nesting == Nesting::Inner && case.container == Container::ForgottenAndNamed {
        // Nothing tells any more that the content ends with the box around the machine.
        return Ok(());
    }
    let options = Options {
        mode: Mode::Destroy,
        ..Options::default()
    };
    match session.plan(&options) {
        Planned::Plan(plan) => session.apply(&plan, &options),
        Planned::Refused(problems) => return Err(format!("a destroy: {}", render::diagnostics(&problems))),
    }
    empty(session)
}

fn empty(session: &Session) -> Result<(), String> {
    if session.state.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "left in the state: {}",
            crate::scenario::recorded(session)
        ))
    }
}

#[derive(Default)]
struct Tally {
    applied: usize,
    blind: usize,
    refused: BTreeMap<&'static str, usize>,
    /// By what is wrong and what happened to the container: how often, and the first of them.
    wrong: BTreeMap<String, (usize, String)>,
}

fn tally(cases: &[Case]) -> Tally {
    let mut begun = Begun::new();
    let mut out = Tally::default();
    for case in cases {
        let attempt = std::panic::AssertUnwindSafe(|| run(&mut begun, case));
        let ended = std::panic::catch_unwind(attempt).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Err(format!("panicked: {}", text.unwrap_or_default()))
        });
        match ended {
            Ok(Ended::Applied) => out.applied += 1,
            Ok(Ended::Blind) => out.blind += 1,
            Ok(Ended::Refused(code)) => *out.refused.entry(code).or_default() += 1,
            Err(problem) => {
                let line = problem.lines().next().unwrap_or_default();
                let kind = format!("{:?}, {:?}: {line}", case.container, case.mode);
                let first = || (0, format!("{case:?}\n{problem}"));
                out.wrong.entry(kind).or_insert_with(first).0 += 1;
            }
        }
    }
    out
}

#[test]
fn every_combination_of_container_and_content() {
    let cases = Case::all();
    let parts: Vec<&[Case]> = cases.chunks(cases.len().div_ceil(4)).collect();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.iter().map(|part| scope.spawn(|| tally(part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let applied = sum(|tally| tally.applied);
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (code, count) in tallies.iter().flat_map(|tally| &tally.refused) {
        *refused.entry(code).or_default() += count;
    }
    let blind = sum(|tally| tally.blind);
    // Past the test harness, on a line of its own, for the report of `cargo xtask test`.
    drop(std::io::Write::write_fmt(
        &mut std::io::stdout(),
        format_args!(
            "\ncounted: combinations of container and content: {}, applied {applied}, refused {refused:?}, planned without a refresh on what is gone {blind}\n",
            cases.len()
        ),
    ));
    let mut report = String::new();
    for (kind, (count, first)) in tallies.iter().flat_map(|tally| &tally.wrong) {
        writeln!(report, "{count} times {kind}\n{first}\n").unwrap();
    }
    assert!(report.is_empty(), "of {}:\n{report}", cases.len());
    assert!(applied > cases.len() / 2, "most combinations can be applied");
}
