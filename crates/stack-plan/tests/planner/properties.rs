//! What holds for any plan.

use std::fmt::Write as _;

use stack_plan::{Mode, Options};

use crate::render;
use crate::scenario::recorded;
use crate::session::{Planned, Session};

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// A configuration of boxes, nets, data and what is in boxes, each referring to earlier ones.
fn configuration(dice: &mut Dice, size: usize) -> String {
    let mut out = String::new();
    let mut ids: Vec<String> = Vec::new();
    let mut boxes: Vec<usize> = Vec::new();
    for n in 0..size {
        if dice.roll(5) == 0 {
            continue;
        }
        let other = if ids.is_empty() {
            "\"none\"".to_owned()
        } else {
            ids[dice.roll(ids.len())].clone()
        };
        let first = if dice.roll(4) == 0 {
            "  lifecycle { create_before_destroy = true }\n"
        } else {
            ""
        };
        let version = dice.roll(3);
        let (count, index) = match dice.roll(5) {
            0 => (format!("  count = {}\n", 1 + dice.roll(3)), "[0]"),
            _ => (String::new(), ""),
        };
        match dice.roll(4) {
            0 => {
                writeln!(out, "resource \"cloud_net\" \"n{n}\" {{\n{count}  cidr = \"c{version}\"\n  label = {other}\n{first}}}").unwrap();
                ids.push(format!("cloud_net.n{n}{index}.id"));
            }
            1 => {
                writeln!(out, "resource \"cloud_box\" \"n{n}\" {{\n  name = \"b{version}\"\n  net = {other}\n  size = {}\n{first}}}", dice.roll(3)).unwrap();
                writeln!(out, "provider \"box\" {{\n  alias = \"n{n}\"\n  box = cloud_box.n{n}.id\n  address = cloud_box.n{n}.address\n}}").unwrap();
                ids.push(format!("cloud_box.n{n}.id"));
                boxes.push(n);
            }
            2 if !boxes.is_empty() => {
                let around = boxes[dice.roll(boxes.len())];
                writeln!(out, "resource \"box_file\" \"n{n}\" {{\n{count}  provider = box.n{around}\n  name = \"f{version}\"\n  content = {other}\n{first}}}").unwrap();
                ids.push(format!("box_file.n{n}{index}.id"));
            }
            _ => {
                writeln!(
                    out,
                    "resource \"stack_data\" \"n{n}\" {{\n{count}  input = [{other}, {version}]\n{first}}}"
                )
                .unwrap();
                ids.push(format!("stack_data.n{n}{index}.output[0]"));
            }
        }
    }
    out
}

/// The first of two configurations is applied, then the second, then everything is destroyed: every plan is in order and
/// complete, every argument is known when it is needed, and nothing is left to do afterwards.
#[test]
fn any_configuration_follows_any_other() {
    for seed in 1..=150 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut session = Session::new();
        for _ in 0..3 {
            let text = configuration(&mut dice, 14);
            session.file("main.hcl", &text);
            let options = Options::default();
            let plan = match session.plan(&options) {
                Planned::Plan(plan) => plan,
                Planned::Refused(problems) => panic!(
                    "seed {seed}: {}{}{text}",
                    render::diagnostics(&problems),
                    recorded(&session)
                ),
            };
            session.apply(&plan, &options);
            let Planned::Plan(again) = session.plan(&options) else {
                panic!("seed {seed}: a second plan")
            };
            assert!(
                !again.has_changes(),
                "seed {seed}: {}",
                render::plan(&session.kinds, &again)
            );
            assert!(again.settings.is_empty(), "seed {seed}: {:?}", again.settings);
        }
        let options = Options {
            mode: Mode::Destroy,
            ..Options::default()
        };
        let Planned::Plan(plan) = session.plan(&options) else {
            panic!("seed {seed}: destroying")
        };
        session.apply(&plan, &options);
        assert!(session.state.is_empty(), "seed {seed}: everything is destroyed");
        assert!(
            session.cloud.objects.is_empty(),
            "seed {seed}: nothing is left: {:?}",
            session.cloud.objects
        );
    }
}

/// The number of edges grows with the number of resources, not with its square.
#[test]
fn operations_of_large_groups_stay_few() {
    let mut text = String::from("resource \"stack_data\" \"a\" {\n  count = 300\n}\n");
    for name in ["b", "c"] {
        let before = if name == "b" { "a" } else { "b" };
        writeln!(text, "resource \"stack_data\" \"{name}\" {{\n  count = 300\n  input = stack_data.{before}[count.index].id\n}}").unwrap();
    }
    let mut session = Session::new();
    session.file("main.hcl", &text);
    let edges = |session: &mut Session, options: &Options| {
        let Planned::Plan(plan) = session.plan(options) else {
            panic!("it can be planned")
        };
        let edges: usize = plan.operations.iter().map(|o| o.after.len()).sum();
        assert!(
            plan.operations.len() < 1900,
            "{} operations",
            plan.operations.len()
        );
        assert!(edges < 5500, "{edges} edges");
        plan
    };
    let options = Options::default();
    let plan = edges(&mut session, &options);
    session.apply(&plan, &options);
    edges(
        &mut session,
        &Options {
            mode: Mode::Destroy,
            ..Options::default()
        },
    );
    let first = text.replace(
        "  count = 300\n",
        "  count = 300\n  triggers_replace = 1\n  lifecycle { create_before_destroy = true }\n",
    );
    session.file("main.hcl", &first);
    edges(&mut session, &options);
}
