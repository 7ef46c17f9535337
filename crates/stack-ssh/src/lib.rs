//! SSH transport: a session to a host whose key is pinned, scripts on standard input, tunnels.
//!
//! * A host is trusted by its key and by nothing else: [`Connection`] carries a set of public keys, a host that shows
//!   another one is refused, and an empty set is refused before anything is sent. There is no other code path.
//! * Programs and data travel on standard input. The command line that the host sees is `sh -s` or `sudo -n sh -s`.
//! * A [`Script`] is fixed text of the program plus data that went through one quoting function; it runs only when all
//!   of it has arrived.
//!
//! Nothing is retried here and no clock is used but for the connect timeout and keep-alives.

mod connection;
mod error;
mod exec;
mod keys;
mod script;
mod session;
#[cfg(feature = "sshd")]
pub mod sshd;
mod tunnel;

pub use connection::Connection;
pub use error::{Class, SshError};
pub use exec::Output;
pub use keys::{HostKeys, fingerprint};
pub use script::{Script, quote};
pub use session::Session;
pub use tunnel::Tunnel;
