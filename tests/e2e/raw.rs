//! What no proper peer says: a provider that answers with given bytes, and a client that sends given bytes.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::DEADLINE;

/// A provider that reads each request to its end, answers with the bytes set for its path, and hangs up.
pub(crate) struct RawProvider {
    pub(crate) port: u16,
    answers: Answers,
}

/// What is answered where the path contains the key.
type Answers = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl RawProvider {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&shared);
                // Whoever hangs up first is not the provider's concern.
                std::thread::spawn(move || drop(serve(stream, &answers)));
            }
        });
        Self { port, answers }
    }

    /// Answers with `bytes` where the path contains `part`.
    pub(crate) fn answer(&self, part: &str, bytes: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().insert(part.to_owned(), bytes.into());
    }
}

fn serve(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let head = read_request(&mut stream)?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = answers.lock().unwrap().iter().find(|(part, _)| path.contains(*part)).map(|(_, bytes)| bytes.clone());
    stream.write_all(&answer.unwrap_or_default())?;
    stream.shutdown(Shutdown::Write)?;
    // Closing with unread bytes would be a reset.
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Reads one request; returns its head.
fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 16 << 10];
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return Ok(head);
        }
    }
}

/// A whole answer with a length.
pub(crate) fn answer(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let (length, close) = (body.len(), "connection: close");
    let head =
        format!("HTTP/1.1 {status}\r\n{close}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// An answer whose body ends with the connection.
pub(crate) fn endless(content_type: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n\r\n").as_bytes(), body].concat()
}

/// Sends `bytes` on a connection of their own and reads whatever comes until the other side hangs up.
pub(crate) fn talk(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    // The other side may have seen enough.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(fault) if fault.kind() != ErrorKind::ConnectionReset => panic!("waiting for an end: {fault}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}
