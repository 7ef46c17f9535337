//! Packages and services.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use stack_core::{Decode, Value};
use stack_provider::Resource as _;
use stack_provider_host::{HostPackage, HostService};

use crate::machine::{Machine, model, owner};

fn strings(values: &[&str]) -> Value {
    values
        .iter()
        .map(|v| (*v).to_owned())
        .collect::<BTreeSet<_>>()
        .encode()
}

#[tokio::test]
async fn packages_come_and_only_ours_go() {
    let m = Machine::start().await;
    let (db, log) = (m.path("db"), m.path("apt.log"));
    fs::write(format!("{db}/old"), "").unwrap();
    let attempt = owner("token-23");
    let planned = model(&[("names", strings(&["old", "new"])), ("update", false.into())]);
    let made = HostPackage::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(made.installed, Some(BTreeSet::from(["new".to_owned()])));
    assert_eq!(made.versions.clone().unwrap()["old"], "1.0");
    assert_eq!(
        HostPackage::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    // A repeated attempt installs nothing and still knows what is ours.
    let before = fs::read_to_string(&log).unwrap();
    let again = HostPackage::create(&m.cx(), &m.client, &attempt, made.clone())
        .await
        .unwrap();
    assert_eq!(again, made);
    assert_eq!(fs::read_to_string(&log).unwrap(), before);
    let found = HostPackage::find(&m.cx(), &m.client, &attempt, &made.encode())
        .await
        .unwrap();
    assert_eq!(found, Some(made.clone()));
    // One that was removed by hand is missed.
    fs::remove_file(format!("{db}/new")).unwrap();
    let drifted = HostPackage::read(&m.cx(), &m.client, &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(drifted.names, BTreeSet::from(["old".to_owned()]));
    let back = HostPackage::update(&m.cx(), &m.client, &drifted, made.clone())
        .await
        .unwrap();
    assert_eq!(back.installed, made.installed);
    let failure = HostPackage::create(
        &m.cx(),
        &m.client,
        &owner("token-8"),
        model(&[("names", strings(&["nonsense"])), ("update", false.into())]),
    )
    .await
    .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["names"])));
    for _ in 0..2 {
        HostPackage::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(Path::new(&format!("{db}/old")).exists() && !Path::new(&format!("{db}/new")).exists());
    }
    assert_eq!(HostPackage::read(&m.cx(), &m.client, &made).await.unwrap(), None);
    let imported = HostPackage::import(&m.cx(), &m.client, "old").await.unwrap();
    assert_eq!(
        (imported.id.as_deref(), imported.imported),
        (Some("old"), Some(true))
    );
    HostPackage::delete(&m.cx(), &m.client, &imported).await.unwrap();
    assert_eq!(
        HostPackage::read(&m.cx(), &m.client, &imported).await.unwrap(),
        Some(imported)
    );
}

#[tokio::test]
async fn service_follows_and_is_put_back() {
    let m = Machine::start().await;
    let state = m.path("unit");
    let exists = |name: &str| Path::new(&state).join(name).exists();
    let verbs = || {
        let log = fs::read_to_string(format!("{state}/log")).unwrap_or_default();
        fs::remove_file(format!("{state}/log")).unwrap();
        log.lines()
            .filter(|v| *v != "show" && *v != "reset-failed")
            .collect::<Vec<_>>()
            .join(" ")
    };
    let triggers = |v: &str| BTreeMap::from([("file".to_owned(), v.to_owned())]).encode();
    let planned = model(&[("name", "broker".into()), ("triggers", triggers("1"))]);
    let made = HostService::create(&m.cx(), &m.client, &owner("token-9"), planned)
        .await
        .unwrap();
    assert_eq!((made.was_enabled, made.was_running), (Some(true), Some(false)));
    assert_eq!(verbs(), "start");
    assert_eq!(
        HostService::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    // A changed trigger restarts; nothing else does.
    let changed: stack_core::Value = made.encode().with_attribute("triggers", triggers("2"));
    let changed = Decode::decode(&changed, &stack_core::Path::root()).unwrap();
    let changed = HostService::update(&m.cx(), &m.client, &made, changed)
        .await
        .unwrap();
    assert_eq!(verbs(), "restart");
    let disabled = changed.encode().with_attribute("enabled", false.into());
    let disabled = Decode::decode(&disabled, &stack_core::Path::root()).unwrap();
    let disabled = HostService::update(&m.cx(), &m.client, &changed, disabled)
        .await
        .unwrap();
    assert_eq!(verbs(), "disable");
    // Drift is seen.
    fs::remove_file(format!("{state}/active")).unwrap();
    let drifted = HostService::read(&m.cx(), &m.client, &disabled)
        .await
        .unwrap()
        .unwrap();
    assert!(!drifted.running && !drifted.enabled);
    // It goes back to enabled and stopped, as it was found.
    fs::write(format!("{state}/active"), "").unwrap();
    for _ in 0..2 {
        HostService::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!exists("active"));
    }
    // One that does not start is an error that says where to look.
    fs::write(format!("{state}/broken"), "").unwrap();
    let planned = model(&[("name", "broker".into())]);
    let failure = HostService::create(&m.cx(), &m.client, &owner("token-10"), planned)
        .await
        .unwrap_err();
    assert!(
        failure.error.message.contains("journalctl -u broker"),
        "{}",
        failure.error
    );
    assert!(
        failure.error.message.contains("result exit-code, exit status 1"),
        "{}",
        failure.error
    );
    let unknown = model(&[("name", "nobody".into())]);
    let failure = HostService::create(&m.cx(), &m.client, &owner("token-11"), unknown)
        .await
        .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["name"])));
}
