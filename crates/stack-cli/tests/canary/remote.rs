//! Secrets on their way to real systems: over SSH, over HTTP, to a program.

use std::time::{Duration, Instant};

use stack_ssh::sshd::Sshd;

use crate::commands::KEY;
use crate::place::Place;
use crate::planted::quoted;
use crate::servers::{broker, cluster};

const SECRET: &str = "7Kq2/remote \"secret\" <1>&2";
const PASSWORD: &str = "7Kq2-password+of/a:user";

fn place() -> Place {
    let mut place = Place::new();
    place.finder.add("secret", SECRET);
    place.finder.add("password", PASSWORD);
    place.finder.add("key of the state", KEY);
    place.set("STACK_STATE_KEY", KEY);
    place.set("STACK_VAR_secret", SECRET);
    place.give(
        "work/x.auto.vars.hcl",
        &format!("password = {}\n", quoted(PASSWORD)),
    );
    place.write(
        "work/variables.hcl",
        "variable \"secret\" {\n  sensitive = true\n}\nvariable \"password\" {\n  sensitive = true\n}\n",
    );
    place
}

/// A place with a host: a real server on loopback whose shell notes how it was called.
fn host() -> (Place, Sshd) {
    let sshd = Sshd::start().unwrap();
    let mut place = place();
    let connection = sshd.connection().unwrap();
    let key = connection.private_key.expose();
    let line = key.lines().nth(2).unwrap();
    place.finder.add("key of the host's user", &line[10..50]);
    place.give("work/key", key);
    let notes = sshd.folder().join("notes");
    let kept = sshd.folder().join("kept");
    let shell = format!(
        "#!/bin/sh\n{{ tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$$/environ; }} >>{notes}\nsed \"s#/var/lib/stack#{kept}#g\" | /bin/sh \"$@\"\n",
        notes = notes.display(),
        kept = kept.display(),
    );
    let program = sshd.bin().join("sh");
    std::fs::write(&program, shell).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(program, executable).unwrap();
    place.write(
        "work/host.hcl",
        &format!(
            "provider \"host\" {{\n  address     = \"127.0.0.1\"\n  port        = {}\n  user        = {}\n  private_key = file(\"./key\")\n  host_keys   = [{}]\n}}\n",
            connection.port,
            quoted(&connection.user),
            quoted(connection.host_keys[0].trim()),
        ),
    );
    (place, sshd)
}

/// What the server and its shell noted.
fn look_at_host(place: &mut Place, sshd: &Sshd) {
    for name in ["notes", "log"] {
        let bytes = std::fs::read(sshd.folder().join(name)).unwrap();
        assert!(!bytes.is_empty(), "{name} is empty");
        place.look(&format!("the {name} of the host"), &bytes);
    }
    // What scripts leave behind holds the output of a command, which only its owner may read.
    let kept = sshd.folder().join("kept");
    let mode = std::fs::metadata(&kept).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077, 0);
    let is_output = |leak: &crate::finder::Leak| leak.place.contains("/record-");
    let found = place.finder.files(&kept, &[].into());
    assert!(found.iter().all(is_output), "{found:?}");
}

#[test]
fn nothing_secret_is_seen_of_work_on_a_host() {
    let (mut place, sshd) = host();
    let file = sshd.folder().join("made");
    place.write(
        "work/main.hcl",
        &format!(
            r#"
resource "host_file" "content" {{
  path    = "{file}"
  content = "secret = ${{var.secret}}\n"
}}
resource "host_file" "sensitive" {{
  path              = "{file}2"
  sensitive_content = var.password
}}
resource "host_command" "input" {{
  command = "cat >{file}3; printf '%s' \"$password\" >{file}4"
  stdin   = var.secret
  secrets = {{ password = var.password }}
}}
resource "host_command" "inside" {{
  command = "printf '%s' '${{var.password}}' | tee {file}5"
}}
output "said" {{
  sensitive = true
  value     = host_command.inside.stdout
}}
"#,
            file = file.display()
        ),
    );
    assert_eq!(place.run(&["plan", "--out", "x.plan"]).code, 0);
    let applied = place.run(&["apply", "--auto-approve", "--json", "x.plan"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    for name in ["made", "made2", "made3", "made4", "made5"] {
        let text = std::fs::read_to_string(sshd.folder().join(name)).unwrap();
        assert!(text.contains("7Kq2"), "{name} got its secret");
    }
    assert_eq!(place.run(&["plan", "--detailed-exitcode"]).code, 0);
    // Drift of something secret, shown and repaired.
    std::fs::write(&file, "secret = 7Kq2-changed by somebody\n").unwrap();
    place.finder.add("drift", "7Kq2-changed by somebody");
    let drifted = place.run(&["plan"]);
    assert!(drifted.out.contains("(sensitive value)"), "{}", drifted.all());
    assert_eq!(place.run(&["apply", "--auto-approve", "--refresh-only"]).code, 0);
    assert_eq!(place.run(&["apply", "--auto-approve"]).code, 0);
    place.run(&["show"]);
    look_at_host(&mut place, &sshd);
    assert_eq!(place.run(&["destroy", "--auto-approve"]).code, 0);
    look_at_host(&mut place, &sshd);
    place.verify();
}

#[test]
fn a_command_that_fails_and_says_its_secrets_says_them_to_nobody() {
    let (mut place, sshd) = host();
    place.write(
        "work/main.hcl",
        r#"
resource "host_command" "echo" {
  command = "cat >&2; echo \"$password\" >&2; exit 1"
  stdin   = var.secret
  secrets = { password = var.password }
}
resource "host_command" "inside" {
  command = "echo 'no such thing: ${var.password}' >&2; exit 1"
}
resource "host_file" "f" {
  path    = "/proc/none/${var.password}"
  content = var.secret
}
"#,
    );
    for command in [
        &["apply", "--auto-approve"][..],
        &["apply", "--auto-approve", "--json"],
    ] {
        let failed = place.run(command);
        assert!(matches!(failed.code, 1 | 3), "{}", failed.all());
    }
    look_at_host(&mut place, &sshd);
    place.verify();
}

#[test]
fn an_apply_that_is_killed_leaves_no_secret_behind() {
    let (mut place, sshd) = host();
    let begun = sshd.folder().join("begun");
    place.write(
        "work/main.hcl",
        &format!(
            "resource \"host_command\" \"slow\" {{\n  command = \"touch {}; sleep 2\"\n  stdin   = var.secret\n  secrets = {{ password = var.password }}\n}}\n",
            begun.display()
        ),
    );
    // What the first one had begun is adopted by the second, so that one is told to run it again.
    for (signal, again) in [("KILL", "--refresh=true"), ("INT", "--replace=host_command.slow")] {
        let child = place.start(&["apply", "--auto-approve", again]);
        let start = Instant::now();
        while !begun.exists() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the command never began"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let killed = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        place.watch(&format!("an apply ended by {signal}"), child, "", true);
        place.run(&["plan"]);
        place.run(&["show"]);
        std::fs::remove_file(&begun).unwrap();
        std::thread::sleep(Duration::from_secs(2));
    }
    let recovered = place.run(&["apply", "--auto-approve"]);
    assert_eq!(recovered.code, 0, "{}", recovered.all());
    look_at_host(&mut place, &sshd);
    place.verify();
}

#[test]
fn a_broker_that_quotes_what_it_refuses_is_not_quoted() {
    let mut place = place();
    let broker = broker();
    let main = |name: &str| {
        format!(
            "provider \"rabbitmq\" {{\n  endpoint = \"http://127.0.0.1:{}\"\n  username = \"operator\"\n  password = var.password\n  instance = var.secret\n}}\nresource \"rabbitmq_user\" \"u\" {{\n  name     = \"{name}\"\n  password = var.secret\n}}\n",
            broker.port
        )
    };
    place.write("work/main.hcl", &main("app"));
    let applied = place.run(&["apply", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    assert_eq!(place.run(&["plan"]).code, 0);
    place.verify();
    place.write("work/main.hcl", &main("refused"));
    for command in [
        &["apply", "--auto-approve"][..],
        &["apply", "--auto-approve", "--json"],
    ] {
        let refused = place.run(command);
        assert!(matches!(refused.code, 1 | 3), "{}", refused.all());
        let all = refused.all();
        assert!(
            all.contains("cannot take this") && all.contains("(sensitive value)"),
            "{all}"
        );
    }
    assert!(broker.requests().iter().any(|r| r.starts_with("PUT")));
    place.run(&["destroy", "--auto-approve"]);
    place.verify();
}

#[test]
fn a_cluster_and_helm_get_secrets_and_tell_nobody() {
    let mut place = place();
    let cluster = cluster();
    let token = "7Kq2-token-of-the-cluster";
    place.finder.add("token", token);
    // The credentials come from a program, whose environment is looked at.
    place.program(
        "tmp/credentials",
        "#!/bin/sh\n{ tr '\\0' ' ' </proc/$$/environ; tr '\\0' ' ' </proc/$$/cmdline; } >>\"$(dirname \"$0\")/seen\"\nprintf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s\"}}' \"$(cat \"$(dirname \"$0\")/token\")\"\n",
    );
    place.give("tmp/token", token);
    place.write(
        "work/kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: 'http://127.0.0.1:{}'}}\nusers:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: {}\n      interactiveMode: Never\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n",
            cluster.port,
            place.path("tmp/credentials").display()
        ),
    );
    // Helm notes everything that others could see of it, and what it reads on standard input beside.
    place.give("tmp/input", "");
    place.program(
        "tmp/helm",
        &format!(
            "#!/bin/sh\nfolder={}\n{{ tr '\\0' ' ' </proc/$$/environ; tr '\\0' ' ' </proc/$$/cmdline; echo; }} >>$folder/noted\ncase $1 in\n  version) printf v3.14.0 ;;\n  upgrade)\n    cat >$folder/input\n    if [ \"$2\" = refused ]; then\n      echo \"Error: values don't fit: $(cat $folder/input)\" >&2\n      exit 1\n    fi\n    printf '{{\"name\":\"%s\",\"version\":1,\"info\":{{\"status\":\"deployed\"}},\"config\":%s,\"manifest\":\"\"}}' \"$2\" \"$(cat $folder/input)\" ;;\n  template) cat >>$folder/input ;;\n  *) cat >/dev/null; printf '{{}}' ;;\nesac\n",
            place.path("tmp").display()
        ),
    );
    place.write("work/chart/Chart.yaml", "name: chart\nversion: 1.0.0\n");
    let helm = place.path("tmp/helm").display().to_string();
    let main = |name: &str| {
        format!(
            r#"
provider "helm" {{
  config_path = "kubeconfig"
  binary      = "{helm}"
}}
provider "kubernetes" {{
  config_path = "kubeconfig"
}}
resource "helm_release" "r" {{
  name   = "{name}"
  chart  = "./chart"
  wait   = false
  values = [yamlencode({{ password = var.secret, plain = "text" }})]
  set_sensitive {{
    name  = "other"
    value = var.password
  }}
}}
resource "kubernetes_manifest" "s" {{
  manifest = {{
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = {{ name = "{name}", namespace = "default" }}
    data       = {{ password = base64encode(var.secret) }}
  }}
  sensitive_manifest = {{ stringData = {{ other = var.password }} }}
}}
"#
        )
    };
    place.write("work/main.hcl", &main("app"));
    assert_eq!(place.run(&["plan", "--out", "x.plan"]).code, 0);
    let applied = place.run(&["apply", "--auto-approve", "--json", "x.plan"]);
    assert_eq!(applied.code, 0, "{}", applied.all());
    let input = std::fs::read_to_string(place.path("tmp/input")).unwrap();
    assert!(input.contains("7Kq2-password"), "helm gets the values: {input}");
    let noted = std::fs::read_to_string(place.path("tmp/noted")).unwrap();
    assert!(
        noted.contains("upgrade app") && noted.contains("KUBECONFIG="),
        "{noted}"
    );
    assert!(place.path("tmp/seen").exists(), "credentials were asked for");
    assert!(
        cluster.requests().iter().any(|r| r.starts_with("PATCH")),
        "{:?}",
        cluster.requests()
    );
    place.run(&["plan"]);
    place.run(&["show"]);
    place.verify();
    place.write("work/main.hcl", &main("refused"));
    for command in [
        &["plan"][..],
        &["apply", "--auto-approve"],
        &["apply", "--auto-approve", "--json"],
    ] {
        let refused = place.run(command);
        if command[0] == "apply" {
            assert!(matches!(refused.code, 1 | 3), "{}", refused.all());
        }
    }
    place.run(&["destroy", "--auto-approve"]);
    place.verify();
}

#[test]
fn a_probe_of_a_broker_keeps_its_password() {
    // It accepts a connection and says nothing sensible.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(std::io::Write::write_all(
                &mut { stream },
                b"HTTP/1.0 400 no\r\n\r\n",
            ));
        }
    });
    let mut place = place();
    place.write(
        "work/main.hcl",
        &format!(
            "check \"c\" {{\n  data \"probe_amqp\" \"p\" {{\n    host     = \"127.0.0.1\"\n    port     = {port}\n    username = \"operator\"\n    password = var.password\n  }}\n  assert {{\n    condition     = data.probe_amqp.p.product == var.secret\n    error_message = \"not ${{var.secret}}\"\n  }}\n}}\nresource \"stack_data\" \"a\" {{}}\n"
        ),
    );
    place.run(&["plan"]);
    let planned = place.run(&["plan", "--out", "x.plan"]);
    assert_eq!(planned.code, 0, "{}", planned.all());
    let applied = place.run(&["apply", "--auto-approve", "--json"]);
    assert_eq!(applied.code, 4, "{}", applied.all());
    place.run(&["show"]);
    place.verify();
}
