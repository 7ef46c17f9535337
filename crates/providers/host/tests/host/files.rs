//! Files and directories.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use stack_core::{Decode, Value};
use stack_provider::{ErrorKind, Resource};
use stack_provider_host::{HostDirectory, HostFile};

use crate::machine::{Machine, model, owner};

#[tokio::test]
async fn file_lives_and_goes() {
    let m = Machine::start().await;
    let path = m.path("a 'file'.conf");
    let planned = model(&[
        ("path", path.as_str().into()),
        ("content", "one\n'two'\n\n".into()),
    ]);
    let attempt = owner("token-13");
    let made = HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n'two'\n\n");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    // Reading shows no difference; a lost answer makes no second object and is no obstacle.
    assert_eq!(
        HostFile::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    let again = HostFile::create(&m.cx(), &m.client, &attempt, made.clone())
        .await
        .unwrap();
    assert_eq!(again, made);
    // Drift of everything is seen.
    fs::write(&path, "other").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let drifted = HostFile::read(&m.cx(), &m.client, &made).await.unwrap().unwrap();
    assert_eq!(
        (drifted.content.as_deref(), drifted.mode.as_str()),
        (Some("other"), "0600")
    );
    assert_ne!(drifted.sha256, made.sha256);
    // An update puts it right, and leaves no other file behind.
    let back = HostFile::update(&m.cx(), &m.client, &drifted, made.clone())
        .await
        .unwrap();
    assert_eq!(back, made);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    let left: Vec<_> = fs::read_dir(m.sshd.folder())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().starts_with(".stack")),
        "{left:?}"
    );
    assert_eq!(
        HostFile::import(&m.cx(), &m.client, &path).await.unwrap().content,
        made.content
    );
    for _ in 0..2 {
        HostFile::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!Path::new(&path).exists());
    }
    assert_eq!(HostFile::read(&m.cx(), &m.client, &made).await.unwrap(), None);
}

#[tokio::test]
async fn foreign_file_is_left_alone_unless_told_otherwise() {
    let m = Machine::start().await;
    let path = m.path("foreign");
    fs::write(&path, "theirs").unwrap();
    let arguments = [("path", Value::from(path.as_str())), ("content", "ours".into())];
    let attempt = owner("token-14");
    let failure = HostFile::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::AlreadyExists);
    assert!(
        failure
            .error
            .message
            .contains(&format!("stack import 'host_file.x' '{path}'"))
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    let planned = model::<<HostFile as Resource>::Model>(&arguments).encode();
    let found = HostFile::find(&m.cx(), &m.client, &attempt, &planned)
        .await
        .unwrap();
    assert_eq!(found.unwrap().content.as_deref(), Some("theirs"));
    let [path_argument, content] = arguments;
    let planned = model(&[path_argument, content, ("overwrite", true.into())]);
    HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
}

#[tokio::test]
async fn sensitive_contents_never_come_back() {
    let m = Machine::start().await;
    let path = m.path("key");
    let planned = model(&[
        ("path", path.as_str().into()),
        ("sensitive_content", Value::from("hunter2").sensitive()),
        ("mode", "0600".into()),
    ]);
    let attempt = owner("token-15");
    let made = HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2");
    assert_eq!(
        fs::read_to_string(m.path(&format!("kept/attempt-{}", attempt.token))).unwrap(),
        "file\n"
    );
    assert_eq!(
        HostFile::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    fs::write(&path, "somebody else's secret").unwrap();
    let drifted = HostFile::read(&m.cx(), &m.client, &made).await.unwrap().unwrap();
    assert_eq!((drifted.content, drifted.sensitive_content), (None, None));
}

#[tokio::test]
async fn parents_are_made_on_request_and_missing_ones_explained() {
    let m = Machine::start().await;
    let path = m.path("a/b c/file");
    let arguments = [
        ("path", Value::from(path.as_str())),
        ("content_base64", "AAEC".into()),
    ];
    let attempt = owner("token-16");
    let failure = HostFile::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap_err();
    assert!(
        failure.error.message.contains("directory_mode"),
        "{}",
        failure.error
    );
    let [path_argument, content] = arguments;
    let planned = model(&[path_argument, content, ("directory_mode", "0750".into())]);
    HostFile::create(&m.cx(), &m.client, &attempt, planned)
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0, 1, 2]);
    for folder in ["a", "a/b c"] {
        assert_eq!(fs::metadata(m.path(folder)).unwrap().mode() & 0o7777, 0o750);
    }
    let planned = model(&[
        ("path", m.path("nobody").as_str().into()),
        ("content", "x".into()),
        ("owner", "no-such-user".into()),
    ]);
    let failure = HostFile::create(&m.cx(), &m.client, &owner("token-1"), planned)
        .await
        .unwrap_err();
    assert_eq!(failure.error.attribute, Some(stack_core::Path::of(&["owner"])));
    assert!(!Path::new(&m.path("nobody")).exists());
}

#[tokio::test]
async fn directory_lives_and_goes() {
    let m = Machine::start().await;
    let path = m.path("x/y");
    let arguments = [
        ("path", Value::from(path.as_str())),
        ("mode", "750".into()),
        ("parents", true.into()),
    ];
    let attempt = owner("token-17");
    let made = HostDirectory::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap();
    assert_eq!(made.created, Some(true));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(
        HostDirectory::read(&m.cx(), &m.client, &made).await.unwrap(),
        Some(made.clone())
    );
    let again = HostDirectory::create(&m.cx(), &m.client, &attempt, model(&arguments))
        .await
        .unwrap();
    assert_eq!(again, made);
    // Another attempt finds it in the way, and does not remove what it took over.
    let other = owner("token-18");
    let failure = HostDirectory::create(&m.cx(), &m.client, &other, model(&arguments))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::AlreadyExists);
    let [a, b, c] = arguments;
    let taken = model(&[a, b, c, ("overwrite", true.into())]);
    let taken = HostDirectory::create(&m.cx(), &m.client, &other, taken)
        .await
        .unwrap();
    assert_eq!(taken.created, Some(false));
    HostDirectory::delete(&m.cx(), &m.client, &taken).await.unwrap();
    assert!(Path::new(&path).exists());
    // What is in it is not removed by accident.
    fs::write(format!("{path}/file"), "").unwrap();
    let error = HostDirectory::delete(&m.cx(), &m.client, &made)
        .await
        .unwrap_err();
    assert!(error.message.contains("force_destroy"), "{error}");
    let made = forced(&made);
    for _ in 0..2 {
        HostDirectory::delete(&m.cx(), &m.client, &made).await.unwrap();
        assert!(!Path::new(&path).exists());
    }
}

fn forced<M: Decode>(made: &M) -> M {
    let forced = made.encode().with_attribute("force_destroy", true.into());
    M::decode(&forced, &stack_core::Path::root()).unwrap()
}
