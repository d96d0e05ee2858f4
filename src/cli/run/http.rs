//! GET on loopback: enough HTTP to ask Envoy how it is.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than an Envoy on the same machine takes.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes.
const LIMIT_BYTES: u64 = 1 << 20;

/// An answer: its status, and its body with chunk sizes and all.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

/// Asks for `path` at `port`; `None` when nobody answers.
pub(super) fn get(port: u16, path: &str) -> Option<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.take(LIMIT_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, text })
}
