//! The load: N connections that each send one request after the other.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// What is sent, to whom, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Bytes,
    /// A whole answer has at least this many bytes.
    pub(crate) answer_bytes: usize,
    /// How a whole answer ends, white space aside.
    pub(crate) answer_end: &'static str,
    pub(crate) concurrency: usize,
    /// Ends after this many requests or this much time, whichever is first.
    pub(crate) requests: u64,
    pub(crate) time: Duration,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One entry per request, in microseconds, sorted.
    pub(crate) latencies_us: Vec<u64>,
    pub(crate) elapsed: Duration,
}

/// Sends the load.
///
/// # Errors
/// The first answer that is not 200, or not whole: a benchmark of errors says nothing.
pub(crate) async fn run(load: &Load) -> Result<Outcome> {
    let start = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..load.concurrency)
        .map(|_| tokio::spawn(worker(load.clone(), Arc::clone(&sent), start + load.time)))
        .collect();
    let mut latencies_us = Vec::new();
    for worker in workers {
        latencies_us.extend(worker.await??);
    }
    latencies_us.sort_unstable();
    Ok(Outcome { latencies_us, elapsed: start.elapsed() })
}

/// Whether one `GET` is answered with 200.
pub(crate) async fn answers(port: u16, path: &str) -> bool {
    let get = async {
        let request = Request::builder().uri(path).header("host", "bench").body(Full::new(Bytes::new()))?;
        exchange(&mut connect(port).await?, request).await
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), get).await, Ok(Ok(_)))
}

async fn worker(load: Load, sent: Arc<AtomicU64>, end: Instant) -> Result<Vec<u64>> {
    let mut latencies_us = Vec::new();
    let mut connection = connect(load.port).await?;
    while sent.fetch_add(1, Ordering::Relaxed) < load.requests && Instant::now() < end {
        if connection.ready().await.is_err() {
            connection = connect(load.port).await?;
        }
        let start = Instant::now();
        let request = request(&load)?;
        let answer = tokio::time::timeout(REQUEST_TIME, exchange(&mut connection, request)).await??;
        latencies_us.push(u64::try_from(start.elapsed().as_micros())?);
        answer.check(&load)?;
    }
    Ok(latencies_us)
}

async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    // The sender sees the connection's error on its next request.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(load: &Load) -> Result<Request<Full<Bytes>>> {
    Ok(Request::builder()
        .method(Method::POST)
        .uri(&load.path)
        .header("host", "bench")
        .header("authorization", format!("Bearer {}", load.key))
        .header("content-type", "application/json")
        .body(Full::new(load.body.clone()))?)
}

/// The size and the two ends of an answer: what tells a whole one without keeping it.
#[derive(Default)]
struct Answer {
    bytes: usize,
    first: Bytes,
    tail: Vec<u8>,
}

impl Answer {
    /// The bytes kept of the end; longer than any `answer_end` and its line feeds.
    const TAIL_BYTES: usize = 32;

    fn push(&mut self, data: Bytes) {
        self.bytes += data.len();
        self.tail.extend_from_slice(data.get(data.len().saturating_sub(Self::TAIL_BYTES)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(Self::TAIL_BYTES));
        if self.first.is_empty() {
            self.first = data;
        }
    }

    fn check(&self, load: &Load) -> Result<()> {
        if self.bytes < load.answer_bytes || !self.tail.trim_ascii_end().ends_with(load.answer_end.as_bytes()) {
            let found = String::from_utf8_lossy(&self.tail);
            let (least, end) = (load.answer_bytes, load.answer_end);
            let expected = format!("expected at least {least} bytes that end in {end}");
            return Err(format!("{expected}, found {} bytes that end in {found}", self.bytes).into());
        }
        Ok(())
    }
}

/// Sends one request and reads its answer to the end.
async fn exchange(connection: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Answer> {
    let response = connection.send_request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut answer = Answer::default();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            answer.push(data);
        }
    }
    if status != 200 {
        return Err(format!("expected 200, found {status}: {}", String::from_utf8_lossy(&answer.first)).into());
    }
    Ok(answer)
}
