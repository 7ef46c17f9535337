//! Runs the parts in the order of their needs, side by side where nothing speaks against it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use futures::future::join_all;
use tokio::sync::watch;

use crate::part::{Context, Part, PartStatus, State};

/// Which way a selection of parts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// With a part come the parts it needs.
    Up,
    /// With a part go the parts that need it.
    Down,
}

/// The parts of `all` that `names` stand for, in the order of `all`.
///
/// # Errors
/// Where a name is not a part's.
pub(crate) fn choose<'a>(
    all: &'a [Box<dyn Part>],
    names: &[String],
    only: bool,
    direction: Direction,
) -> anyhow::Result<Vec<&'a dyn Part>> {
    for name in names {
        if !all.iter().any(|part| part.name() == name) {
            let known: Vec<&str> = all.iter().map(|part| part.name()).collect();
            anyhow::bail!("there is no part `{name}`; the parts are {}", known.join(", "));
        }
    }
    let mut chosen: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        chosen = all.iter().map(|part| part.name()).collect();
    }
    // The list has every part after its needs, so that one pass over it, in the right direction, is enough.
    if !only && direction == Direction::Up {
        for part in all
            .iter()
            .rev()
            .filter(|part| chosen.contains(part.name()))
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
        {
            add_needs(all, part, &mut chosen);
        }
    }
    if !only && direction == Direction::Down {
        for part in all {
            if part.needs().iter().any(|need| chosen.contains(need)) {
                chosen.insert(part.name());
            }
        }
    }
    Ok(all
        .iter()
        .map(AsRef::as_ref)
        .filter(|part| chosen.contains(part.name()))
        .collect())
}

fn add_needs<'a>(all: &'a [Box<dyn Part>], part: &dyn Part, chosen: &mut BTreeSet<&'a str>) {
    for other in all.iter().filter(|other| part.needs().contains(&other.name())) {
        chosen.insert(other.name());
        add_needs(all, other.as_ref(), chosen);
    }
}

/// Installs and starts `parts`. Parts that do not depend on a failed one go on.
pub(crate) async fn up(cx: &Context, parts: &[&dyn Part]) -> anyhow::Result<ExitCode> {
    let _lock = lock(cx)?;
    let begun = Instant::now();
    announce(cx, parts);
    let (report, _) = watch::channel(Vec::<(&'static str, bool)>::new());
    let results = join_all(parts.iter().map(|part| {
        let report = report.clone();
        async move {
            let result = start(cx, *part, parts, report.subscribe()).await;
            report.send_modify(|ended| ended.push((part.name(), result.is_ok())));
            (part.name(), result)
        }
    }))
    .await;
    let failed: Vec<_> = results
        .into_iter()
        .filter_map(|(name, result)| Some((name, result.err()?)))
        .collect();
    for (name, error) in &failed {
        cx.for_part(name).progress.say(format!("error: {error:#}"));
    }
    for part in parts
        .iter()
        .filter(|part| failed.iter().all(|(name, _)| *name != part.name()))
    {
        for (name, value) in part.addresses(cx) {
            write_out(&format!("{name}={value}\n"));
        }
    }
    cx.progress.done(
        if failed.is_empty() {
            "up"
        } else {
            "up, but not all of it"
        },
        begun.elapsed(),
    );
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn start(
    cx: &Context,
    part: &dyn Part,
    chosen: &[&dyn Part],
    mut ended: watch::Receiver<Vec<(&'static str, bool)>>,
) -> anyhow::Result<()> {
    let cx = cx.for_part(part.name());
    let begun = Instant::now();
    part.install(&cx).await.context("cannot install")?;
    let needs: Vec<&str> = part
        .needs()
        .iter()
        .copied()
        .filter(|need| chosen.iter().any(|other| other.name() == *need))
        .collect();
    let so_far = ended
        .wait_for(|ended| {
            needs
                .iter()
                .all(|need| ended.iter().any(|(name, _)| name == need))
        })
        .await?
        .clone();
    if let Some((need, _)) = so_far.iter().find(|(name, well)| !well && needs.contains(name)) {
        anyhow::bail!("not started: it needs `{need}`, which failed");
    }
    part.up(&cx).await?;
    cx.progress.done("ready", begun.elapsed());
    Ok(())
}

fn announce(cx: &Context, parts: &[&dyn Part]) {
    for part in parts {
        let cx = cx.for_part(part.name());
        for line in part.installs(&cx) {
            cx.progress.say(format!("will {line}"));
        }
    }
}

/// Stops `parts`, those that others need last. Goes on after a failure.
pub(crate) async fn down(cx: &Context, parts: &[&dyn Part]) -> anyhow::Result<ExitCode> {
    let _lock = lock(cx)?;
    let begun = Instant::now();
    let (report, _) = watch::channel(Vec::<&'static str>::new());
    let results = join_all(parts.iter().map(|part| {
        let report = report.clone();
        async move {
            let users: Vec<&str> = parts
                .iter()
                .filter(|other| other.needs().contains(&part.name()))
                .map(|other| other.name())
                .collect();
            let mut ended = report.subscribe();
            // Fails only when the sender is gone, and it lives as long as this.
            let _ = ended
                .wait_for(|ended| users.iter().all(|user| ended.contains(user)))
                .await;
            let result = part.down(&cx.for_part(part.name())).await;
            report.send_modify(|ended| ended.push(part.name()));
            (part.name(), result)
        }
    }))
    .await;
    let mut code = ExitCode::SUCCESS;
    for (name, error) in results
        .into_iter()
        .filter_map(|(name, result)| Some((name, result.err()?)))
    {
        cx.for_part(name).progress.say(format!("error: {error:#}"));
        code = ExitCode::from(1);
    }
    cx.progress.done("down", begun.elapsed());
    Ok(code)
}

/// Shows what every part says of itself. The status is 0 only when all are up.
pub(crate) async fn status(cx: &Context, parts: &[&dyn Part], json: bool) -> anyhow::Result<ExitCode> {
    let found = join_all(parts.iter().map(|part| async move {
        let cx = cx.for_part(part.name());
        (*part, part.status(&cx).await)
    }))
    .await;
    for (part, status) in &found {
        let addresses = if status.state == State::Up {
            part.addresses(cx)
        } else {
            Vec::new()
        };
        if json {
            write_out(&format!("{}\n", as_json(part.name(), status, &addresses)?));
        } else {
            write_out(&shown(part.name(), status, &addresses));
        }
    }
    let all_up = found.iter().all(|(_, status)| status.state == State::Up);
    Ok(if all_up {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn as_json(name: &str, status: &PartStatus, addresses: &[(&'static str, String)]) -> anyhow::Result<String> {
    let mut object = serde_json::to_value(status)?;
    object["part"] = name.into();
    for (name, value) in addresses {
        object["addresses"][name] = value.as_str().into();
    }
    Ok(object.to_string())
}

fn shown(name: &str, status: &PartStatus, addresses: &[(&'static str, String)]) -> String {
    let state = match status.state {
        State::Up => "up",
        State::Faulty => "faulty",
        State::Down => "down",
        State::Unable => "unable",
    };
    let mut text = format!("{name:<10} {state:<7} {}\n", status.detail);
    if let Some(remedy) = &status.remedy {
        let _ = writeln!(text, "{:<18} {remedy}", "");
    }
    for (name, value) in addresses {
        let _ = writeln!(text, "{:<18} {name}={value}", "");
    }
    text
}

/// Writes to standard output. A reader that has gone wants no more, which is no error.
fn write_out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Held by `up` and `down`; the kernel lets go of it when the holder ends.
fn lock(cx: &Context) -> anyhow::Result<File> {
    let path = cx.home.lock();
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        cx.progress.say("waiting for another stack-sandbox to end");
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::*;
    use crate::home::Home;

    type Log = Arc<Mutex<Vec<String>>>;

    struct Fake {
        name: &'static str,
        needs: &'static [&'static str],
        fails: bool,
        log: Log,
    }

    #[async_trait]
    impl Part for Fake {
        fn name(&self) -> &'static str {
            self.name
        }
        fn needs(&self) -> &'static [&'static str] {
            self.needs
        }
        fn installs(&self, _cx: &Context) -> Vec<String> {
            Vec::new()
        }
        async fn install(&self, _cx: &Context) -> anyhow::Result<()> {
            Ok(())
        }
        async fn up(&self, _cx: &Context) -> anyhow::Result<()> {
            anyhow::ensure!(!self.fails, "broken");
            self.log.lock().unwrap().push(format!("up {}", self.name));
            Ok(())
        }
        async fn down(&self, _cx: &Context) -> anyhow::Result<()> {
            self.log.lock().unwrap().push(format!("down {}", self.name));
            anyhow::ensure!(!self.fails, "broken");
            Ok(())
        }
        async fn status(&self, _cx: &Context) -> PartStatus {
            PartStatus::down("fake")
        }
    }

    fn parts(broken: &str) -> (Vec<Box<dyn Part>>, Log) {
        let log = Log::default();
        let table: [(&str, &[&str]); 4] = [
            ("net", &[]),
            ("hosts", &["net"]),
            ("ec2", &["hosts"]),
            ("other", &[]),
        ];
        let parts = table.map(|(name, needs)| -> Box<dyn Part> {
            Box::new(Fake {
                name,
                needs,
                fails: name == broken,
                log: Arc::clone(&log),
            })
        });
        (parts.into(), log)
    }

    fn context() -> (tempfile::TempDir, Context) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().to_owned()).unwrap();
        (folder, Context::new(home, PathBuf::new()))
    }

    fn names(chosen: &[&dyn Part]) -> Vec<&'static str> {
        chosen.iter().map(|part| part.name()).collect()
    }

    #[test]
    fn a_selection_grows_with_what_it_needs_or_with_what_needs_it() {
        let (all, _) = parts("");
        let pick =
            |name: &str, only, direction| names(&choose(&all, &[name.to_owned()], only, direction).unwrap());
        assert_eq!(pick("ec2", false, Direction::Up), ["net", "hosts", "ec2"]);
        assert_eq!(pick("ec2", true, Direction::Up), ["ec2"]);
        assert_eq!(pick("net", false, Direction::Down), ["net", "hosts", "ec2"]);
        assert_eq!(
            names(&choose(&all, &[], false, Direction::Up).unwrap()),
            ["net", "hosts", "ec2", "other"]
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let (all, _) = parts("");
        let error = choose(&all, &["ecs".to_owned()], false, Direction::Up)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "there is no part `ecs`; the parts are net, hosts, ec2, other"
        );
    }

    #[tokio::test]
    async fn parts_start_after_their_needs_and_stop_before_them() {
        let (all, log) = parts("");
        let (_folder, cx) = context();
        let chosen = choose(&all, &["ec2".to_owned()], false, Direction::Up).unwrap();
        up(&cx, &chosen).await.unwrap();
        down(&cx, &chosen).await.unwrap();
        let expected = [
            "up net",
            "up hosts",
            "up ec2",
            "down ec2",
            "down hosts",
            "down net",
        ];
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_failed_part_stops_its_dependents_alone() {
        let (all, log) = parts("net");
        let (_folder, cx) = context();
        let chosen = choose(&all, &[], false, Direction::Up).unwrap();
        let code = up(&cx, &chosen).await.unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
        assert_eq!(*log.lock().unwrap(), ["up other"]);
    }

    #[tokio::test]
    async fn stopping_goes_on_after_a_failure() {
        let (all, log) = parts("hosts");
        let (_folder, cx) = context();
        let chosen = choose(&all, &["net".to_owned()], false, Direction::Down).unwrap();
        down(&cx, &chosen).await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["down ec2", "down hosts", "down net"]);
    }
}
