//! Configurations. Those of one kind share what they have in common.

/// What stays as it is.
macro_rules! everywhere {
    () => {
        r#"
provider "cloud" {
  # arguments
}
provider "guest" {
  server = cloud_server.replaced.id
  # arguments
}
provider "guest" {
  alias  = "swapped"
  server = cloud_server.swapped.id
  # arguments
}
data "cloud_network" "given" {
  name = "given"
}
resource "guest_file" "note" {
  provider = guest.swapped
  path     = "/etc/note"
  text     = "note"
}
resource "stack_data" "note" {
  input = cloud_server.swapped.id
}
output "server" {
  value = cloud_server.replaced.id
}
"#
    };
}

/// The first apply.
pub(crate) const FIRST: &str = concat!(
    everywhere!(),
    r#"
resource "cloud_network" "net" {
  name = "net"
  mtu  = 1500
}
resource "cloud_server" "kept" {
  name    = "kept"
  size    = 1
  network = cloud_network.net.id
}
resource "cloud_server" "replaced" {
  name    = "replaced-1"
  size    = 1
  network = data.cloud_network.given.id
}
resource "cloud_server" "swapped" {
  name = "swapped-1"
  size = 1
  lifecycle {
    create_before_destroy = true
  }
}
resource "cloud_server" "removed" {
  name = "removed"
  size = cloud_server.kept.size
}
resource "cloud_server" "before" {
  name = "moved"
  size = 1
}
resource "cloud_record" "www" {
  name  = "www"
  value = cloud_server.swapped.host
}
resource "cloud_record" "let_go" {
  name  = "let-go"
  value = "x"
}
resource "guest_file" "conf" {
  path = "/etc/conf"
  text = "one ${cloud_server.kept.id}"
}
"#
);

/// Every kind of action on it.
pub(crate) const SECOND: &str = concat!(
    everywhere!(),
    r#"
data "cloud_network" "late" {
  name       = "late"
  depends_on = [cloud_network.late]
}
resource "cloud_network" "net" {
  name = "net"
  mtu  = 9000
}
resource "cloud_network" "late" {
  name = "late"
  mtu  = 1500
}
resource "cloud_server" "kept" {
  name    = "kept"
  size    = 2
  network = cloud_network.net.id
}
resource "cloud_server" "replaced" {
  name    = "replaced-2"
  size    = 1
  network = data.cloud_network.given.id
}
resource "cloud_server" "swapped" {
  name = "swapped-2"
  size = 1
  lifecycle {
    create_before_destroy = true
  }
}
resource "cloud_server" "after" {
  name = "moved"
  size = 1
}
moved {
  from = cloud_server.before
  to   = cloud_server.after
}
resource "cloud_server" "added" {
  name    = "added"
  size    = 3
  network = data.cloud_network.late.id
}
resource "cloud_record" "www" {
  name  = "www"
  value = cloud_server.swapped.host
}
removed {
  from = cloud_record.let_go
  lifecycle {
    destroy = false
  }
}
resource "cloud_record" "taken" {
  name  = "taken"
  value = "ours"
}
import {
  to = cloud_record.taken
  id = "taken"
}
resource "cloud_record" "as_is" {
  name  = "as-is"
  value = "theirs"
}
import {
  to = cloud_record.as_is
  id = "as-is"
}
resource "guest_file" "conf" {
  path = "/etc/conf"
  text = "two ${cloud_server.kept.id}"
}
resource "guest_file" "more" {
  path = "/etc/more"
  text = "more"
}
"#
);

/// One thing after the other.
macro_rules! chain {
    ($mtu:literal, $host:literal, $record:literal) => {
        concat!(
            r#"
provider "cloud" {
  # arguments
}
provider "guest" {
  server = cloud_server.host.id
  # arguments
}
resource "cloud_network" "net" {
  name = "net"
  mtu  = "#,
            $mtu,
            r#"
}
resource "cloud_server" "host" {
  name    = ""#,
            $host,
            r#""
  size    = 1
  network = cloud_network.net.id
  lifecycle {
    create_before_destroy = true
  }
}
resource "guest_file" "conf" {
  path = "/etc/conf"
  text = "one"
}
resource "cloud_record" "www" {
  name       = ""#,
            $record,
            r#""
  value      = cloud_server.host.host
  depends_on = [guest_file.conf]
}
"#
        )
    };
}

pub(crate) const CHAIN: &str = chain!(1500, "host-1", "www");
pub(crate) const CHAIN_CHANGED: &str = chain!(9000, "host-2", "web");

/// A server that is replaced before it is deleted.
macro_rules! swapped {
    ($resource:literal, $name:literal) => {
        concat!(
            r#"
resource "cloud_server" ""#,
            $resource,
            r#"" {
  name = ""#,
            $name,
            r#""
  size = 1
  lifecycle {
    create_before_destroy = true
  }
}
"#
        )
    };
}

/// Two servers whose creates fail.
macro_rules! half_done {
    () => {
        concat!(
            swapped!("half_first", "half-first"),
            r#"
resource "cloud_server" "half" {
  name = "half"
  size = 1
}
"#
        )
    };
}

pub(crate) const HOST: [&str; 3] = [
    swapped!("host", "host-1"),
    concat!(swapped!("host", "host-2"), half_done!()),
    concat!(swapped!("host", "host-3"), half_done!()),
];

/// Three names of one server.
pub(crate) const SWAPPED: [&str; 3] = [
    swapped!("s", "first"),
    swapped!("s", "second"),
    swapped!("s", "third"),
];

/// A server and a file on it.
macro_rules! small {
    ($size:literal, $text:literal) => {
        concat!(
            r#"
provider "cloud" {
  # arguments
}
provider "guest" {
  server = cloud_server.s.id
  # arguments
}
resource "cloud_server" "s" {
  name = "s"
  size = "#,
            $size,
            r#"
}
resource "guest_file" "f" {
  path = "/f"
  text = ""#,
            $text,
            r#""
}
"#
        )
    };
}

pub(crate) const SMALL: &str = small!(1, "one");
pub(crate) const SMALL_CHANGED: &str = small!(2, "two");

/// Two servers, and a file on one of them.
macro_rules! two {
    ($server:literal, $file:literal) => {
        concat!(
            r#"
resource "cloud_server" "a" {
  name = "a"
  size = 1
}
resource "cloud_server" "b" {
  name = "b"
  size = 1
}
provider "guest" {
  server = cloud_server."#,
            $server,
            r#".id
}
resource "guest_file" ""#,
            $file,
            r#"" {
  path = "/"#,
            $file,
            r#""
  text = "x"
}
"#
        )
    };
}

pub(crate) const HERE: &str = two!("a", "leaves");
pub(crate) const THERE: &str = two!("b", "comes");
