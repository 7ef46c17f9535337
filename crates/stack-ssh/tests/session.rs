//! Sessions to a real OpenSSH server on loopback, and to a server in this process that can be told to misbehave.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod fake;

use std::sync::Arc;
use std::time::Duration;

use stack_ssh::sshd::Sshd;
use stack_ssh::{Class, Script, Session, SshError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[tokio::test]
async fn script_gives_output_and_status() {
    let sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let script = Script::new()
        .set("text", "it's $HOME")
        .text("echo \"$text\"\necho oops >&2\nexit 7");
    let output = session.exec(&script, false).await.unwrap();
    assert_eq!(output.text(), "it's $HOME\n");
    assert_eq!(output.reason(), "oops");
    assert_eq!(output.status, 7);
}

#[tokio::test]
async fn data_travels_whole_in_both_directions_and_not_in_argv() {
    let sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let blob: String = (0..300_000)
        .map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap()))
        .collect();
    let script = Script::new().set("blob", &blob).text(
        "printf %s \"$blob\"\nif grep -c 'abcdefghij' /proc/$$/cmdline /proc/$PPID/cmdline >&2; then exit 9; fi",
    );
    let output = session.exec(&script, false).await.unwrap();
    assert_eq!(output.status, 0, "{}", output.reason());
    assert_eq!(output.text(), blob);
}

#[tokio::test]
async fn commands_share_one_connection() {
    let sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let script = Script::new().text("echo \"$SSH_CONNECTION\"");
    let (a, b, c) = tokio::join!(
        session.exec(&script, false),
        session.exec(&script, false),
        session.exec(&script, false)
    );
    let first = a.unwrap().text();
    assert!(first.starts_with("127.0.0.1 "));
    assert_eq!(first, b.unwrap().text());
    assert_eq!(first, c.unwrap().text());
    let many = (0..30).map(|_| session.exec(&script, false));
    for output in futures::future::join_all(many).await {
        assert_eq!(output.unwrap().text(), first);
    }
}

#[tokio::test]
async fn every_kind_of_key_works() {
    let sshd = Sshd::start().unwrap();
    for user in ["user_ed25519", "user_ecdsa", "user_rsa"] {
        for host in ["host_ed25519", "host_ecdsa"] {
            let connection = sshd.connection_with(user, host).unwrap();
            let session = Session::connect(&connection).await.unwrap();
            // The host has two keys: it shows the one that is pinned.
            let pinned: Vec<_> = connection.host_keys[0].split(' ').take(2).collect();
            assert_eq!(session.host_key().split(' ').take(2).collect::<Vec<_>>(), pinned);
        }
    }
}

#[tokio::test]
async fn another_host_key_is_refused_with_both_fingerprints() {
    let sshd = Sshd::start().unwrap();
    let other = Sshd::start().unwrap();
    let mut connection = sshd.connection().unwrap();
    let right = connection.host_keys[0].clone();
    let wrong = other.connection().unwrap().host_keys[0].clone();
    connection.host_keys = vec![wrong.clone()];
    let error = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(error, SshError::UntrustedHost { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Denied);
    let text = error.to_string();
    assert!(text.contains(&stack_ssh::fingerprint(&right).unwrap()), "{text}");
    assert!(text.contains(&stack_ssh::fingerprint(&wrong).unwrap()), "{text}");
    // While a host key is being changed, both are pinned.
    connection.host_keys = vec![wrong, right];
    Session::connect(&connection).await.unwrap();
}

#[tokio::test]
async fn host_without_a_key_of_the_pinned_kind_is_refused() {
    let server = fake::Server::start(fake::Behaviour::Normal).await;
    let sshd = Sshd::start().unwrap();
    let mut connection = server.connection();
    connection.host_keys = sshd
        .connection_with("user_ed25519", "host_ecdsa")
        .unwrap()
        .host_keys;
    let error = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(error, SshError::NoPinnedKind { .. }), "{error:?}");
    assert!(error.is_trust_failure());
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_without_pinned_keys() {
    let server = fake::Server::start(fake::Behaviour::Normal).await;
    let mut connection = server.connection();
    connection.host_keys.clear();
    let error = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(error, SshError::NoHostKeys));
    assert_eq!(server.connections(), 0);
    connection.host_keys = vec!["*".to_owned()];
    let error = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(error, SshError::HostKeySyntax { position: 1, .. }));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn user_that_is_not_accepted_is_named() {
    let server = fake::Server::start(fake::Behaviour::RejectsUsers).await;
    let error = Session::connect(&server.connection()).await.unwrap_err();
    assert!(matches!(error, SshError::NotAccepted { .. }), "{error:?}");
    assert!(!error.to_string().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn connection_that_breaks_during_a_script_is_told_from_a_failed_script() {
    let server = fake::Server::start(fake::Behaviour::HangsUp).await;
    let session = Session::connect(&server.connection()).await.unwrap();
    let error = session
        .exec(&Script::new().text("true"), false)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error:?}");
}

#[tokio::test]
async fn command_line_holds_the_shell_only() {
    let server = fake::Server::start(fake::Behaviour::Normal).await;
    let session = Session::connect(&server.connection()).await.unwrap();
    let script = Script::new().set("secret", "hunter2").text("true");
    session.exec(&script, true).await.unwrap();
    session.exec(&script, false).await.unwrap();
    assert_eq!(server.commands(), ["sudo -n sh -s", "sh -s"]);
}

#[tokio::test]
async fn endless_output_is_cut() {
    let sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let error = session
        .exec(&Script::new().text("cat /dev/zero"), false)
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::OutputTooLong { .. }));
    // The session lives on.
    let output = session.exec(&Script::new().text("echo on"), false).await.unwrap();
    assert_eq!(output.text(), "on\n");
}

#[tokio::test]
async fn tunnel_carries_bytes_and_names_what_it_cannot_reach() {
    let sshd = Sshd::start().unwrap();
    let session = Arc::new(Session::connect(&sshd.connection().unwrap()).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = [0; 4];
        stream.read_exact(&mut text).await.unwrap();
        stream.write_all(&text).await.unwrap();
    });
    let mut tunnel = session.tunnel("127.0.0.1", port).await.unwrap();
    tunnel.write_all(b"ping").await.unwrap();
    let mut back = Vec::new();
    tunnel.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"ping");
    let error = session.tunnel("127.0.0.1", 1).await.err().unwrap();
    assert!(matches!(error, SshError::TunnelRefused { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"));
}

#[tokio::test]
async fn closed_session_says_so() {
    let mut sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    assert!(!session.is_closed());
    session.close().await;
    sshd.stop();
    let error = session
        .exec(&Script::new().text("true"), false)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
}

#[tokio::test]
async fn one_change_at_a_time_on_a_host() {
    let sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let mark = sshd.folder().join("mark");
    let script = Script::new()
        .locked(60)
        .set("mark", mark.to_str().unwrap())
        .text("if [ -e \"$mark\" ]; then exit 1; fi\n: > \"$mark\"\nsleep 0.05\nrm \"$mark\"");
    for output in futures::future::join_all((0..6).map(|_| session.exec(&script, false))).await {
        assert_eq!(output.unwrap().status, 0);
    }
    // A process that a script leaves behind does not hold the lock.
    let leaves = Script::new()
        .locked(60)
        .text("sleep 30 >/dev/null 2>&1 &\necho $!");
    let pid = session.exec(&leaves, false).await.unwrap().text();
    let next = Script::new()
        .locked(0)
        .arguments([pid.trim()])
        .text("kill \"$1\"");
    let output = session.exec(&next, false).await.unwrap();
    assert!(!Script::is_not_locked(output.status));
}

#[tokio::test]
async fn change_goes_on_when_the_connection_is_gone() {
    let mut sshd = Sshd::start().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    let (begun, ended) = (sshd.folder().join("begun"), sshd.folder().join("ended"));
    let script = Script::new()
        .locked(60)
        .arguments([begun.to_str().unwrap(), ended.to_str().unwrap()])
        .text(": > \"$1\"\nfor i in 1 2 3 4 5; do sleep 0.1; echo out; echo err >&2; done\n: > \"$2\"");
    let run = session.exec(&script, false);
    tokio::select! {
        _ = run => panic!("the script takes half a second"),
        () = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    sshd.stop();
    drop(session);
    sshd.restart().unwrap();
    let session = Session::connect(&sshd.connection().unwrap()).await.unwrap();
    // Whoever has the lock next sees that it is done.
    let next = Script::new()
        .locked(60)
        .arguments([ended.to_str().unwrap()])
        .text("test -e \"$1\"");
    assert_eq!(session.exec(&next, false).await.unwrap().status, 0);
}

#[tokio::test]
async fn session_keys_differ_by_everything_that_matters() {
    let sshd = Sshd::start().unwrap();
    let connection = sshd.connection().unwrap();
    let key = connection.session_key().unwrap();
    assert_eq!(key, connection.clone().session_key().unwrap());
    assert!(!key.contains("PRIVATE"));
    let mut other = connection.clone();
    other.user = "somebody".to_owned();
    assert_ne!(key, other.session_key().unwrap());
    let other = sshd.connection_with("user_rsa", "host_ed25519").unwrap();
    assert_ne!(key, other.session_key().unwrap());
    let other = sshd.connection_with("user_ed25519", "host_ecdsa").unwrap();
    assert_ne!(key, other.session_key().unwrap());
    let mut other = connection.clone();
    other.host_keys[0] = other.host_keys[0].replace(" test", " another comment");
    assert_eq!(key, other.session_key().unwrap());
}
