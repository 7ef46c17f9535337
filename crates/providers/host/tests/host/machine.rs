//! A machine to work on: a real OpenSSH server on loopback, as the user who runs the tests (root), in a folder that goes
//! away. Programs of packages and services are stand-ins, and what is kept in `/var/lib/stack` lies in the folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stack_core::{SchemaOf, Value};
use stack_provider::contract::{Fault, Faults};
use stack_provider::{Cx, Owner, Provider as _, Sessions};
use stack_provider_host::{Host, HostClient, HostConfig};
use stack_ssh::sshd::Sshd;
use tokio_util::sync::CancellationToken;

/// The machine of one test.
pub(crate) struct Machine {
    pub(crate) sshd: Sshd,
    pub(crate) client: HostClient,
    sessions: Arc<Sessions>,
}

impl Machine {
    pub(crate) async fn start() -> Self {
        let sshd = Sshd::start().unwrap();
        let sessions = Sessions::new();
        let cx = cx(&sessions);
        let client = Host::connect(&cx, config(&sshd)).await.unwrap();
        let machine = Self {
            sshd,
            client,
            sessions,
        };
        for folder in ["faults", "kept", "db", "unit"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        fs::write(machine.path("unit/enabled"), "").unwrap();
        machine.program("sh", &shell(&machine.path("faults"), &machine.path("kept")));
        machine.program("systemctl", &systemctl(&machine.path("unit")));
        for (name, text) in apt(&machine.path("db"), &machine.path("apt.log")) {
            machine.program(name, &text);
        }
        machine
    }

    /// The context of a call.
    pub(crate) fn cx(&self) -> Cx {
        cx(&self.sessions)
    }

    /// A path in the machine's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.sshd.folder().join(name).to_str().unwrap().to_owned()
    }

    /// Whether there is something in the machine's folder.
    pub(crate) fn has(&self, name: &str) -> bool {
        Path::new(&self.path(name)).exists()
    }

    /// A program that is found before the system's.
    fn program(&self, name: &str, text: &str) {
        let path = self.sshd.bin().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Faults for Machine {
    fn arm(&self, nth: usize, fault: Fault) {
        let _ = fs::remove_file(self.path("faults/came"));
        let fault = match fault {
            Fault::Refused => "refused",
            Fault::AnswerLost => "lost",
        };
        fs::write(self.path("faults/armed"), format!("{nth} {fault}\n")).unwrap();
    }

    fn disarm(&self) -> bool {
        let _ = fs::remove_file(self.path("faults/armed"));
        self.has("faults/came")
    }
}

fn cx(sessions: &Arc<Sessions>) -> Cx {
    Cx::new(
        Arc::clone(sessions),
        CancellationToken::new(),
        Duration::from_secs(60),
    )
}

/// Arguments of the provider for a server.
pub(crate) fn config(sshd: &Sshd) -> HostConfig {
    let connection = sshd.connection().unwrap();
    HostConfig {
        instance: None,
        address: connection.address,
        port: connection.port,
        user: connection.user,
        private_key: connection.private_key,
        host_keys: connection.host_keys,
        connect_timeout: 20,
    }
}

/// A model of some arguments and the defaults of the schema.
pub(crate) fn model<M: SchemaOf>(arguments: &[(&str, Value)]) -> M {
    let defaults = M::schema().attributes.into_iter();
    let mut values: BTreeMap<String, Value> = defaults
        .map(|(name, a)| (name, a.default.unwrap_or(Value::Null(a.ty))))
        .collect();
    values.extend(
        arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    M::decode(&Value::object(values), &stack_core::Path::root()).unwrap()
}

/// The owner of a create attempt.
pub(crate) fn owner(token: &str) -> Owner {
    Owner {
        lineage: "lineage".to_owned(),
        token: token.to_owned(),
        address: "host_file.x".parse().unwrap(),
        environment: "default".to_owned(),
    }
}

/// A stand-in for `systemctl` with one unit, `broker`, whose state lies in files.
fn systemctl(folder: &str) -> String {
    format!(
        r#"#!/bin/sh
d='{folder}'
verb=$1; shift
for last in "$@"; do :; done
if [ "$verb" != daemon-reload ]; then echo "$verb" >> "$d/log"; fi
show() {{
  case $1 in
    LoadState) if [ "$last" = broker ]; then v=loaded; else v=not-found; fi ;;
    ActiveState) if [ -e "$d/active" ]; then v=active; elif [ -e "$d/broken" ]; then v=failed; else v=inactive; fi ;;
    UnitFileState) if [ -e "$d/enabled" ]; then v=enabled; else v=disabled; fi ;;
    Result) v=exit-code ;;
    ExecMainStatus) v=1 ;;
    *) v= ;;
  esac
  if [ "$value" = yes ]; then echo "$v"; else echo "$1=$v"; fi
}}
case $verb in
  show)
    value=no
    for a in "$@"; do if [ "$a" = --value ]; then value=yes; fi; done
    while [ $# -gt 0 ]; do if [ "$1" = -p ]; then show "$2"; fi; shift; done ;;
  start | restart | reload-or-restart) if [ -e "$d/broken" ]; then exit 1; fi; : > "$d/active" ;;
  stop) rm -f "$d/active" ;;
  enable) : > "$d/enabled" ;;
  disable) rm -f "$d/enabled" ;;
esac
"#
    )
}

/// Stand-ins for `dpkg-query` and `apt-get`: installed packages are files in the folder `db`; `log` gets every call of
/// `apt-get`. There is no package `nonsense`.
fn apt(db: &str, log: &str) -> [(&'static str, String); 2] {
    let query = format!(
        r#"#!/bin/sh
# -W -f FORMAT -- NAME
[ -e '{db}'/"$5" ] || exit 1
case $3 in
  '${{Version}}') printf 1.0 ;;
  *Version*) echo 'installed 1.0' ;;
  *) printf installed ;;
esac
"#
    );
    let get = format!(
        r#"#!/bin/sh
echo "$@" >> '{log}'
verb=$1
while [ "$1" != -- ] && [ $# -gt 0 ]; do shift; done
[ $# -gt 0 ] && shift
for p in "$@"; do
  if [ "$p" = nonsense ]; then
    echo 'E: Unable to locate package nonsense' >&2
    exit 100
  fi
  if [ "$verb" = install ]; then : > '{db}'/"$p"; else rm -f '{db}'/"$p"; fi
done
"#
    );
    [("dpkg-query", query), ("apt-get", get)]
}

/// A shell that keeps what scripts keep on the machine in the folder `kept`, and fails when it is told to: `armed` in
/// the folder `faults` holds the number of calls until then, and how.
fn shell(faults: &str, kept: &str) -> String {
    format!(
        r#"#!/bin/sh
faults='{faults}'
run() {{ sed "s#/var/lib/stack#{kept}#g" | /bin/sh "$@"; }}
if [ -e "$faults/armed" ]; then
  read -r left fault <"$faults/armed"
  if [ "$left" -gt 1 ]; then
    echo "$((left - 1)) $fault" >"$faults/armed"
  else
    rm "$faults/armed"
    : >"$faults/came"
    if [ "$fault" = lost ]; then run "$@" >/dev/null 2>&1; fi
    # The server of this connection.
    kill -9 $PPID
    exit 1
  fi
fi
run "$@"
"#
    )
}
