//! The answer of the attempt under way, and what the client gets of it.

use super::{Exchange, Headers, Quota, Reply};
use crate::error::{Error, Kind};
use crate::provider::openai::Tail;
use crate::provider::{self, Pass, Stream, ended_early};
use crate::units::Millis;

/// The longest error body that is read; the rest is thrown away.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// What streams call themselves: OpenAI's and most others', Ollama's, Bedrock's.
const STREAMS: [&str; 3] = [EVENT_STREAM, "application/x-ndjson", "application/vnd.amazon.eventstream"];
const EVENT_STREAM: &str = "text/event-stream";

fn is_of_type(content_type: &[u8], expected: &str) -> bool {
    content_type.get(..expected.len()).is_some_and(|ty| ty.eq_ignore_ascii_case(expected.as_bytes()))
}

/// How far the answer of the attempt under way has come.
#[derive(Debug)]
pub enum Answer {
    /// Nothing has come.
    Awaited,
    /// It goes to the client and nobody reads it.
    Unread,
    /// Its headers have come; the body is held.
    Held,
    /// It was held, read and let go.
    Whole(provider::Answer),
    /// It is too long to be held.
    Long(Tail),
    /// It is a stream of events.
    Stream(Box<dyn Stream>),
    /// It is an error of the provider, its body as far as it has come.
    Error {
        /// The provider's status.
        status: u16,
        /// At most 64 KiB.
        body: Vec<u8>,
    },
    /// It made no sense.
    Refused(Error),
    /// It is an error that the client was given.
    Failed(Error),
}

/// The headers of a provider's answer, as far as anybody cares.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerHead {
    /// The HTTP status.
    pub status: u16,
    /// Whether the body is a stream of events, in any vendor's framing.
    pub is_stream: bool,
    /// Whether the body is JSON, or does not say what it is.
    pub is_json: bool,
    /// Whether the body has a content encoding.
    pub is_compressed: bool,
    /// The announced length of the body.
    pub content_length: Option<u64>,
    /// Whether no body follows.
    pub is_empty: bool,
    /// What it says of the provider's limits.
    pub quota: Quota,
}

impl AnswerHead {
    /// Reads the headers of an answer, which may be all there is of it.
    pub fn of(headers: &Headers, end_of_stream: bool, now: Millis) -> Self {
        let encoding = headers.get("content-encoding").unwrap_or(b"identity");
        let content_type = headers.get("content-type").unwrap_or_default();
        let status = headers.number(":status").and_then(|status| status.try_into().ok()).unwrap_or(0);
        Self {
            status,
            is_stream: STREAMS.iter().any(|ty| is_of_type(content_type, ty)),
            is_json: content_type.is_empty() || is_of_type(content_type, "application/json"),
            is_compressed: !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity"),
            content_length: headers.number("content-length"),
            is_empty: end_of_stream,
            quota: Quota::of(headers, status, now),
        }
    }
}

/// What the gateway does with the body of an answer on its way to the client.
#[derive(Debug)]
pub enum Rewrite {
    /// Nothing.
    Keep,
    /// Puts these bytes in its place.
    Replace(Vec<u8>),
    /// Swallows it, and puts [`Exchange::error_reply`] at its end.
    Swallow,
}

impl Answer {
    pub(super) fn long() -> Self {
        Self::Long(Tail::default())
    }

    pub(super) fn chunk(&mut self, bytes: &[u8], end_of_stream: bool, out: &mut Vec<u8>) -> Pass {
        match self {
            Self::Stream(stream) => {
                let pass = stream.push(bytes, out);
                if !end_of_stream {
                    return pass;
                }
                let mut end = Vec::new();
                stream.finish(ended_early(), &mut end);
                if pass == Pass::Unchanged && !end.is_empty() {
                    out.extend_from_slice(bytes);
                }
                out.append(&mut end);
                if out.is_empty() { pass } else { Pass::Replaced }
            }
            Self::Long(tail) => {
                tail.push(bytes);
                Pass::Unchanged
            }
            _ => Pass::Unchanged,
        }
    }

    /// Ends a stream that its provider leaves unfinished; what the client still gets.
    pub(super) fn break_off(&mut self, error: Error) -> Vec<u8> {
        let mut end = Vec::new();
        if let Self::Stream(stream) = self {
            stream.finish(error, &mut end);
        }
        end
    }

    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Self::Refused(error) | Self::Failed(error) => Some(error),
            Self::Stream(stream) => stream.tally().error.as_ref(),
            _ => None,
        }
    }
}

impl Exchange {
    /// The status of a success that goes to the client as the provider gave it: nobody can have changed it.
    pub fn passing_status(&self) -> Option<u16> {
        match &self.answer {
            Answer::Unread | Answer::Whole(_) | Answer::Long(_) | Answer::Stream(_) => self.attempt()?.status,
            Answer::Awaited | Answer::Held | Answer::Error { .. } | Answer::Refused(_) | Answer::Failed(_) => None,
        }
    }

    /// Whether the headers of the answer hold the report.
    pub fn is_reported(&self) -> bool {
        self.is_reported
    }

    /// The headers of a success as the client gets them, serialized: the provider's without what is nobody's business,
    /// with the length of the translated body, and with the report.
    pub fn success_headers(&mut self, headers: &Headers) -> Vec<u8> {
        self.is_reported = true;
        let len = match &self.answer {
            Answer::Whole(answer) => answer.body.as_ref().map(|body| body.len().to_string()),
            Answer::Stream(_) => Some(String::new()),
            _ => None,
        };
        let content_type = match &self.answer {
            Answer::Whole(answer) if answer.body.is_some() => "application/json",
            Answer::Stream(_) if !self.passes_through() => EVENT_STREAM,
            _ => "",
        };
        let mut report = self.report();
        report.tell("content-length", len.as_deref().unwrap_or_default());
        report.tell("content-type", content_type);
        let is_ours = |name: &[u8]| match name {
            b"content-length" => len.is_some(),
            b"content-type" => !content_type.is_empty(),
            // A provider's own limits are not the client's.
            _ => name.starts_with(b"x-ratelimit-") && report.names(name),
        };
        let kept = headers.iter().filter(|(name, _)| !is_private(name) && !is_ours(name));
        Headers::encode(kept.chain(report.pairs()))
    }

    /// Looks at the headers that the client is about to get; `status` may be Envoy's own word. What becomes of the body.
    pub fn respond(&mut self, status: u16) -> Rewrite {
        let shape = self.errors();
        self.is_answered = true;
        match &mut self.answer {
            Answer::Error { status: provider, .. } if *provider == status => return Rewrite::Swallow,
            Answer::Refused(error) if status == error.status() => {
                let body = error.body_as(shape);
                return Rewrite::Replace(body);
            }
            Answer::Whole(answer) if status < 400 => {
                return answer.body.take().map_or(Rewrite::Keep, Rewrite::Replace);
            }
            _ if status < 400 => return Rewrite::Keep,
            _ => {}
        }
        let error = local_error(status);
        let body = error.body_as(shape);
        self.answer = Answer::Failed(error);
        Rewrite::Replace(body)
    }

    /// Takes the next bytes of an error's body.
    pub fn swallow(&mut self, bytes: &[u8]) {
        if let Answer::Error { body, .. } = &mut self.answer {
            let room = ERROR_BYTES_MAX.saturating_sub(body.len());
            body.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        }
    }

    /// The provider's error in OpenAI's shape, once its body has come.
    pub fn error_reply(&mut self) -> Reply {
        let error = match &self.answer {
            Answer::Error { status, body } => match self.deployment() {
                Some(deployment) => deployment.target.error(*status, body),
                None => local_error(*status),
            },
            Answer::Refused(error) | Answer::Failed(error) => error.clone(),
            _ => local_error(502),
        };
        let reply = Reply::error(&error, self.errors());
        self.answer = Answer::Failed(error);
        reply
    }
}

/// What it means that Envoy itself answers with `status`.
pub fn local_error(status: u16) -> Error {
    match status {
        408 => Error::new(Kind::Timeout, "the request was not complete in time"),
        413 => Error::new(Kind::RequestTooLarge, "the body is longer than this gateway takes"),
        504 => Error::new(Kind::Timeout, "the provider did not answer in time"),
        500 => Error::new(
            Kind::BadUpstream,
            "the provider's answer could not be handled: it may be longer than this gateway takes",
        ),
        503 => Error::new(Kind::Unreachable, "the provider could not be reached"),
        _ => Error::new(Kind::BadUpstream, "the provider's answer could not be read"),
    }
}

/// Headers of a provider that are nobody's business: its cookies, whose account it is, and what only we may say.
pub fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"x-tollgate-")
        // Behind an Envoy of its own a provider could forbid ours to try again.
        || name == b"x-envoy-ratelimited"
        || matches!(name, b"set-cookie" | b"openai-organization" | b"openai-project" | b"anthropic-organization-id")
}
