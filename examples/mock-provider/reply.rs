//! Writes a reply as the script wants it: cut, paced, garbled, or plain.
//!
//! A body is a list of steps. `Flush` parks the body once, which makes hyper write out what it has: so every piece of
//! a stream is a write of its own even without a delay. What the reader's socket joins again is not in our hands.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::Sleep;

use crate::Failure;
use crate::script::{Fault, Script};
use crate::value::Json;

/// A reply before the script is applied.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content,
}

/// A whole body, or a stream of events with the vendor's event for a broken stream.
pub(crate) enum Content {
    Whole { content_type: &'static str, bytes: Bytes },
    Events { content_type: &'static str, events: Vec<Event>, error: Bytes },
}

/// One server-sent event, with its blank line.
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    /// Whether it carries a piece of the answer, which is what `cut`, `chunk-ms` and `error-stream` count.
    pub(crate) content: bool,
}

impl Reply {
    /// A JSON reply.
    pub(crate) fn json(status: StatusCode, value: &impl Json) -> Self {
        let mut text = String::new();
        value.write(&mut text);
        let bytes = Bytes::from(text);
        Self { status, headers: Vec::new(), content: Content::Whole { content_type: "application/json", bytes } }
    }

    /// A plain text reply, for faults of the test itself.
    pub(crate) fn text(status: StatusCode, message: String) -> Self {
        let bytes = Bytes::from(message);
        Self { status, headers: Vec::new(), content: Content::Whole { content_type: "text/plain", bytes } }
    }

    /// A stream of events; `error` is what `error-stream` sends.
    pub(crate) fn events(events: Vec<Event>, error: Bytes) -> Self {
        Self::events_of("text/event-stream; charset=utf-8", events, error)
    }

    /// The same in another framing.
    pub(crate) fn events_of(content_type: &'static str, events: Vec<Event>, error: Bytes) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), content: Content::Events { content_type, events, error } }
    }

    /// The response with every fault of the script in it.
    ///
    /// # Errors
    /// A scripted header that HTTP does not allow.
    pub(crate) fn response(self, script: &Script) -> Result<Response<Body>, Failure> {
        let (status, headers, fault) = (self.status, self.headers, &script.fault);
        let (content_type, length, steps) = match self.content {
            Content::Whole { content_type, bytes } => {
                let bytes = garble(bytes, fault);
                (content_type, Some(bytes.len()), whole(bytes, script))
            }
            Content::Events { content_type, events, error } => (content_type, None, stream(events, error, script)),
        };
        let mut response = Response::builder().status(status);
        response = response.header(CONTENT_TYPE, fault.content_type.as_deref().unwrap_or(content_type));
        if let Some(length) = length.filter(|_| !script.shape.no_length) {
            response = response.header(CONTENT_LENGTH, length);
        }
        if let Some(seconds) = &fault.retry_after {
            response = response.header(RETRY_AFTER, seconds);
        }
        if fault.gzip {
            response = response.header(CONTENT_ENCODING, "gzip");
        }
        for (name, value) in headers {
            response = response.header(name, value);
        }
        for (name, value) in &fault.headers {
            response = response.header(name, value);
        }
        Ok(response.body(Body { steps })?)
    }
}

fn garble(bytes: Bytes, fault: &Fault) -> Bytes {
    if fault.gzip {
        // The first bytes of a gzip member, then none of its content.
        Bytes::from_static(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03 this is no deflate stream")
    } else if fault.garbage {
        Bytes::from_static(b"<html><body>upstream is having a moment</body>")
    } else {
        bytes
    }
}

fn whole(mut bytes: Bytes, script: &Script) -> VecDeque<Step> {
    let cut = script.fault.cut.filter(|cut| *cut < bytes.len());
    if let Some(cut) = cut {
        bytes.truncate(cut);
    }
    let mut steps = VecDeque::new();
    let first_gap = script.fault.first_chunk_ms.map(gap);
    steps.extend(first_gap);
    match script.shape.chunk_bytes {
        Some(size) => recut(&mut steps, bytes, size, script.fault.chunk_ms),
        None => steps.push_back(Step::Send(bytes)),
    }
    abort_if(cut.is_some(), steps)
}

fn stream(mut events: Vec<Event>, error: Bytes, script: &Script) -> VecDeque<Step> {
    let fault = &script.fault;
    if fault.garbage {
        events.iter_mut().for_each(|event| event.bytes = Bytes::from_static(b"data: {\"choices\": [oops\n\n"));
    }
    if fault.error_first {
        events = vec![Event { bytes: error, content: false }];
    } else if let Some(count) = fault.error_stream {
        keep_content(&mut events, count);
        events.push(Event { bytes: error, content: false });
    }
    if let Some(count) = fault.cut.or(fault.stall) {
        keep_content(&mut events, count);
    }
    let mut steps = VecDeque::from_iter(fault.first_chunk_ms.map(gap));
    match script.shape.chunk_bytes {
        Some(size) => {
            let bytes = events.into_iter().flat_map(|event| event.bytes).collect();
            recut(&mut steps, bytes, size, fault.chunk_ms);
        }
        None => pace(&mut steps, events, fault.chunk_ms),
    }
    if fault.stall.is_some() {
        steps.extend([Step::Flush, Step::Wait(STALL)]);
    }
    abort_if(fault.cut.is_some(), steps)
}

/// Keeps everything up to the `count`th content event.
fn keep_content(events: &mut Vec<Event>, count: usize) {
    let mut left = count;
    let end = events.iter().position(|event| {
        let over = event.content && left == 0;
        left -= usize::from(event.content && left > 0);
        over
    });
    events.truncate(end.unwrap_or(events.len()));
}

fn pace(steps: &mut VecDeque<Step>, events: Vec<Event>, chunk_ms: Option<u64>) {
    let mut begun = false;
    for event in events {
        if event.content && begun {
            steps.push_back(chunk_ms.map_or(Step::Flush, gap));
        }
        begun |= event.content;
        steps.push_back(Step::Send(event.bytes));
    }
}

fn recut(steps: &mut VecDeque<Step>, mut bytes: Bytes, size: usize, chunk_ms: Option<u64>) {
    while !bytes.is_empty() {
        steps.push_back(Step::Send(bytes.split_to(size.clamp(1, bytes.len()))));
        if !bytes.is_empty() {
            steps.push_back(chunk_ms.map_or(Step::Flush, gap));
        }
    }
}

fn abort_if(cut: bool, mut steps: VecDeque<Step>) -> VecDeque<Step> {
    if cut {
        steps.extend([Step::Flush, Step::Abort]);
    }
    steps
}

fn gap(ms: u64) -> Step {
    Step::Wait(Duration::from_millis(ms))
}

/// A response body that plays its steps.
pub(crate) struct Body {
    steps: VecDeque<Step>,
}

impl Body {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self { steps: VecDeque::new() }
    }
}

enum Step {
    Send(Bytes),
    /// Lets hyper write out what it holds.
    Flush,
    Wait(Duration),
    Waiting(Pin<Box<Sleep>>),
    /// Drops the connection without an end of the body.
    Abort,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            match self.steps.pop_front() {
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Flush) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(time)) => self.steps.push_front(Step::Waiting(Box::pin(tokio::time::sleep(time)))),
                Some(Step::Waiting(mut sleep)) => {
                    if sleep.as_mut().poll(cx).is_pending() {
                        self.steps.push_front(Step::Waiting(sleep));
                        return Poll::Pending;
                    }
                }
                Some(Step::Abort) => return Poll::Ready(Some(Err("scripted cut".into()))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Longer than any test waits.
const STALL: Duration = Duration::from_secs(3600);
