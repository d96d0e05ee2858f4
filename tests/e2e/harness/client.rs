//! A blocking HTTP/1.1 client that hides nothing: raw bytes out, and the pieces of the answer as they come.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use super::DEADLINE;

/// A request to be sent on a connection of its own.
#[derive(Clone)]
#[must_use]
pub(crate) struct Request {
    port: u16,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A connection to which anything may be written.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

/// An answer: its head, and the pieces of its body that were read so far.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body has come to its proper end.
    pub(crate) is_whole: bool,
    left: Left,
    connection: Connection,
}

/// What follows of a body.
#[derive(Clone, Copy)]
enum Left {
    Bytes(usize),
    Chunks,
    ToTheEnd,
    Nothing,
}

impl Request {
    pub(crate) fn get(port: u16, path: &str) -> Self {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        Self { port, method, path, headers: Vec::new(), body: None }
    }

    pub(crate) fn post(port: u16, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::post_as(port, path, "application/json", body)
    }

    pub(crate) fn post_as(port: u16, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self { body: Some(body.into()), ..Self::get(port, path).method("POST") };
        request.header("content-type", content_type)
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The usual credential.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends it and reads the answer to its end.
    pub(crate) fn send(&self) -> Answer {
        self.open().finish()
    }

    /// Sends it and reads the head of the answer.
    pub(crate) fn open(&self) -> Answer {
        self.open_on(Connection::open(self.port)).expect("an answer")
    }

    /// Sends it on a connection that may have served others; `None` where that ends without an answer.
    pub(crate) fn open_on(&self, mut connection: Connection) -> Option<Answer> {
        connection.write(&self.bytes());
        connection.try_answer()
    }

    /// All of it, as it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.head(), self.body.as_deref().unwrap_or_default()].concat()
    }

    /// A connection to where it is sent.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// The request line and the headers with the empty line, as they are sent.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if self.headers.iter().all(|(name, _)| name != "host") {
            head.push_str("host: gateway.example\r\n");
        }
        let length = self.body.iter().map(|body| ("content-length".to_owned(), body.len().to_string()));
        for (name, value) in self.headers.iter().cloned().chain(length) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Writes bytes as far as the other side takes them: it may have answered and closed.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Reads the head of an answer.
    pub(crate) fn answer(self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Reads the head of an answer; `None` where the connection ends without one.
    pub(crate) fn try_answer(mut self) -> Option<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line}"));
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line()?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer =
            Answer { status, headers, body: Vec::new(), is_whole: false, left: Left::ToTheEnd, connection: self };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.left = Left::Chunks;
        } else if let Some(length) = answer.header("content-length") {
            answer.left = Left::Bytes(length.parse().unwrap());
        }
        Some(answer)
    }

    /// A line without its end; `None` where the connection ends.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\r\n") => Some(String::from_utf8(line).unwrap().trim_end().to_owned()),
            Ok(_) => None,
            Err(fault) if fault.kind() == ErrorKind::ConnectionReset => None,
            Err(fault) => panic!("waiting for an answer: {fault}"),
        }
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).ok().map(|()| bytes)
    }
}

impl Answer {
    /// The next piece of the body, as it was framed; `None` at its end, proper or not.
    pub(crate) fn next_piece(&mut self) -> Option<Vec<u8>> {
        let connection = &mut self.connection;
        let (piece, left) = match self.left {
            Left::Nothing => return None,
            Left::Bytes(length) => (connection.bytes(length), Left::Nothing),
            Left::Chunks => {
                let length = connection.line().and_then(|line| usize::from_str_radix(&line, 16).ok());
                let piece = length.and_then(|length| connection.bytes(length));
                let piece = piece.filter(|_| connection.line().is_some());
                let left = if length == Some(0) { Left::Nothing } else { Left::Chunks };
                (piece, left)
            }
            Left::ToTheEnd => {
                let mut rest = Vec::new();
                (connection.reader.read_to_end(&mut rest).ok().map(|_| rest), Left::Nothing)
            }
        };
        self.is_whole = piece.is_some() && matches!(left, Left::Nothing);
        self.left = if piece.is_some() { left } else { Left::Nothing };
        let piece = piece.filter(|piece| !piece.is_empty())?;
        self.body.extend_from_slice(&piece);
        Some(piece)
    }

    /// Reads to the end.
    pub(crate) fn finish(mut self) -> Self {
        while self.next_piece().is_some() {}
        self
    }

    /// The connection, for the next request, where it stays open.
    pub(crate) fn into_connection(self) -> Option<Connection> {
        let stays = self.is_whole && self.header("connection") != Some("close");
        stays.then_some(self.connection)
    }

    /// The value of a header that came at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} came twice: {:?}", self.headers);
        value
    }

    /// The deployment that answered; empty where none did.
    pub(crate) fn by(&self) -> String {
        self.header("x-tollgate-deployment").unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    /// `/choices/0/message/content` of the body, and the like.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        let json = self.json();
        json.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {json:#}")).clone()
    }

    /// The data of each event of a stream.
    pub(crate) fn events(&self) -> Vec<&str> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    /// The chunks of a stream: every event but `[DONE]`.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let events = self.events().into_iter().filter(|event| *event != "[DONE]");
        events.map(|event| serde_json::from_str(event).unwrap_or_else(|fault| panic!("{fault}: {event}"))).collect()
    }

    /// Fails unless this is an error in OpenAI's shape.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, type_: &str, code: &str) -> Value {
        let error = self.json()["error"].clone();
        let found = (self.status, error["type"].as_str(), error["code"].as_str());
        assert_eq!(found, (status, Some(type_), Some(code)), "{error:#}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let fields: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["code", "message", "param", "type"], "{error:#}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error:#}");
        error
    }

    /// Fails unless this is a success.
    #[track_caller]
    pub(crate) fn expect_ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}
