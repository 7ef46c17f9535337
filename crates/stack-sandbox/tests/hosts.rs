//! The parts `network`, `hosts` and `ec2` on this machine, for real: needs root, and starts and stops the
//! machine's sandbox (the cluster is left alone).
//!
//! `cargo test -p stack-sandbox --test hosts -- --ignored`

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sandbox(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stack-sandbox"))
        .args(arguments)
        .output()
        .unwrap()
}

fn sandbox_does(arguments: &[&str]) {
    let output = sandbox(arguments);
    let (told, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "stack-sandbox {arguments:?}: {}\n{told}\n{said}",
        output.status
    );
}

fn home() -> PathBuf {
    std::env::var_os("SANDBOX_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
            cache.join("stack/sandbox")
        })
}

fn python() -> Command {
    let environments = std::fs::read_dir(home().join("cache/ec2")).unwrap().flatten();
    let newest = environments
        .filter(|entry| entry.path().join("complete").exists())
        .max_by_key(|entry| entry.metadata().unwrap().modified().unwrap())
        .unwrap();
    let mut python = Command::new(newest.path().join("bin/python"));
    python.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sandbox/ec2"));
    python
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("STACK_SANDBOX_HOSTS", "1");
    python
}

/// Launches an instance, and gives its id when it runs.
fn launch() -> String {
    let script = r#"
import boto3, time
ec2 = boto3.client("ec2", endpoint_url="http://127.0.0.1:18080", region_name="us-east-2",
                   aws_access_key_id="test", aws_secret_access_key="test")
image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
made = ec2.run_instances(ImageId=image, InstanceType="t2.micro", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
while True:
    found = ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]
    if found["State"]["Name"] != "pending":
        break
    time.sleep(0.05)
assert found["State"]["Name"] == "running", found
print(made)
"#;
    let output = python().args(["-c", script]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What is on the machine that belongs to a host.
fn left() -> Vec<String> {
    let names = |folder: &str, prefix: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with(prefix))
            .map(|name| format!("{folder}/{name}"))
            .collect()
    };
    let mut left = names("/run/netns", "stackhost-");
    left.extend(names("/sys/class/net", "sh-"));
    left.extend(names("/run/systemd/nspawn/propagate", "i-"));
    left.extend(names(home().join("data/hosts").to_str().unwrap(), ""));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains("/data/hosts/"))
            .map(str::to_owned),
    );
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let text = |file: &str| std::fs::read_to_string(process.path().join(file)).unwrap_or_default();
        // One that has ended and is not yet waited for is no process of a host any more.
        if text("cgroup").contains("/stack-sandbox/") && !text("stat").contains(") Z ") {
            left.push(process.path().display().to_string());
        }
    }
    left
}

#[test]
#[ignore = "starts and stops this machine's sandbox, and needs root"]
fn hosts_work_and_nothing_is_left_of_them() {
    sandbox_does(&["down", "ec2"]);
    sandbox_does(&["up", "ec2"]);
    sandbox_does(&["status", "network", "hosts", "ec2"]);
    let tests = python()
        .args(["-m", "unittest", "tests.test_hosts"])
        .output()
        .unwrap();
    assert!(
        tests.status.success(),
        "{}",
        String::from_utf8_lossy(&tests.stderr)
    );

    // A second `up` finds all as it should be, and leaves it.
    let before = std::fs::read(home().join("run/ec2.process")).unwrap();
    launch();
    sandbox_does(&["up", "ec2"]);
    assert_eq!(std::fs::read(home().join("run/ec2.process")).unwrap(), before);
    assert!(!left().is_empty());

    // The endpoint is killed under its hosts: `status` says so, `up` clears them away and starts anew.
    let record: serde_json::Value = serde_json::from_slice(&before).unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", &record["pid"].to_string()])
            .status()
            .unwrap()
            .success()
    );
    let status = sandbox(&["status", "--json", "ec2"]);
    assert!(
        String::from_utf8_lossy(&status.stdout).contains(r#""state":"faulty""#),
        "{status:?}"
    );
    sandbox_does(&["up", "ec2"]);
    assert_eq!(left(), Vec::<String>::new());

    launch();
    sandbox_does(&["down", "ec2"]);
    assert_eq!(left(), Vec::<String>::new());
}
