//! A steady load on connections that are kept, and many requests in the same instant.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{Answer, Request};

/// How many connections share the load: enough for every worker to get some, and for answers that take a while.
const CONNECTIONS: u32 = 32;

/// A load that goes on by itself.
pub(crate) struct Load {
    start: Instant,
    threads: Vec<JoinHandle<Vec<Sample>>>,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When it was sent, from the start of the load.
    pub(crate) at: Duration,
    /// How long it took to the end of the answer.
    pub(crate) took: Duration,
    /// The answer; `None` where the connection ended without one.
    pub(crate) answer: Option<Told>,
}

/// What an answer told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// Whether it came to its end, a stream with its `[DONE]`.
    pub(crate) is_whole: bool,
    pub(crate) deployment: String,
    pub(crate) attempts: u32,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Load {
    /// Sends `request` so many times a second, whether or not earlier ones were answered.
    pub(crate) fn start(request: &Request, per_second: u32, time: Duration) -> Self {
        let (start, next) = (Instant::now(), Arc::new(AtomicU32::new(0)));
        let one = |_| {
            let (request, next) = (request.clone(), Arc::clone(&next));
            thread::spawn(move || send(&request, start, per_second, time, &next))
        };
        Self { start, threads: (0..CONNECTIONS).map(one).collect() }
    }

    /// The time since its start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits until that time.
    pub(crate) fn wait_until(&self, at: Duration) {
        thread::sleep(at.saturating_sub(self.now()));
    }

    /// Waits for its end: every request, in the order in which they were sent.
    pub(crate) fn finish(self) -> Vec<Sample> {
        let samples = self.threads.into_iter().flat_map(|thread| thread.join().expect("every request is answered"));
        let mut samples: Vec<Sample> = samples.collect();
        samples.sort_by_key(|sample| sample.at);
        samples
    }
}

fn send(request: &Request, start: Instant, per_second: u32, time: Duration, next: &AtomicU32) -> Vec<Sample> {
    let (mut samples, mut connection) = (Vec::new(), None);
    loop {
        let due = Duration::from_secs(1) * next.fetch_add(1, Ordering::Relaxed) / per_second;
        if due >= time {
            return samples;
        }
        thread::sleep(due.saturating_sub(start.elapsed()));
        let at = start.elapsed();
        let answer = request.open_on(connection.take().unwrap_or_else(|| request.connect())).map(Answer::finish);
        let took = start.elapsed().saturating_sub(at);
        samples.push(Sample { at, took, answer: answer.as_ref().map(Told::from) });
        connection = answer.and_then(Answer::into_connection);
    }
}

impl From<&Answer> for Told {
    fn from(answer: &Answer) -> Self {
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        let (content_type, body) = (header("content-type"), String::from_utf8_lossy(&answer.body).into_owned());
        let is_stream = content_type.starts_with("text/event-stream");
        Self {
            status: answer.status,
            is_whole: answer.is_whole && (!is_stream || body.ends_with("data: [DONE]\n\n")),
            deployment: header("x-tollgate-deployment"),
            attempts: header("x-tollgate-attempts").parse().unwrap_or_default(),
            content_type,
            body,
        }
    }
}

impl Sample {
    /// Whether the client got a whole answer.
    pub(crate) fn is_served(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.status == 200 && answer.is_whole)
    }

    /// Whether it was sent in that time.
    pub(crate) fn is_within(&self, from: Duration, to: Duration) -> bool {
        (from..to).contains(&self.at)
    }

    /// Whether `deployment` answered.
    pub(crate) fn is_by(&self, deployment: &str) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.deployment == deployment)
    }
}

/// Sends all these at once, each on a connection of its own, and waits for their answers.
pub(crate) fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
    let requests: Vec<Request> = requests.into_iter().collect();
    let barrier = Arc::new(Barrier::new(requests.len()));
    let one = |request: Request| {
        let barrier = Arc::clone(&barrier);
        thread::spawn(move || {
            let connection = request.connect();
            barrier.wait();
            request.open_on(connection).expect("an answer").finish()
        })
    };
    let threads: Vec<_> = requests.into_iter().map(one).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}
