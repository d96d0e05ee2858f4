//! One attempt at an upstream: what it sends, and how its answer is read.

use super::{Answer, AnswerHead, Attempt, Exchange, Headers, Next, Prepared, Quota, Reply, World, local_error};
use crate::budget::estimate;
use crate::config::Deployment;
use crate::error::{Error, Kind};
use crate::openai::{Endpoint, finish};
use crate::provider::{Body, Estimate, Pass, Stream, Upstream};
use crate::routing::Class;
use crate::units::Millis;

const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));

/// The longest answer that is held to be read; one that needs no translation and is longer passes, its usage read
/// from its end. A chat answer of 100,000 tokens fits.
pub const HELD_BYTES_MAX: u64 = 1 << 20;

/// No buffer limit of an Envoy that carries LLM answers is lower; what is not longer fits in any place.
pub const BUFFER_BYTES_MIN: usize = 16 << 10;

/// What happens to an answer whose headers have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heading {
    /// It is an error: it goes on, to Envoy's retry where an attempt follows, else to the gateway.
    Error(Option<Next>),
    /// It is an error that is held until it is whole: only its body tells what follows.
    HoldError,
    /// It goes on; nobody reads it.
    Pass,
    /// It is held until it is whole.
    Hold,
    /// It goes on chunk by chunk, each of them read.
    Read,
    /// It is a stream: it is held until it says something: see [`Exchange::first`].
    First,
    /// It makes no sense: the client's status is 502, where no attempt follows.
    Refuse(Option<Next>),
}

/// What is done with an answer, before anybody is told.
enum Kept {
    Error(Class),
    Pass,
    Hold,
    Read,
    Refused,
}

/// What becomes of an answer that was held until it was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It goes on as it came.
    Release,
    /// It makes no sense: the client's status is 502, where no attempt follows.
    Refuse(Option<Next>),
    /// Its translation is too long for its place, and is sent in its stead.
    Outgrown(Reply),
}

impl Exchange {
    /// Begins the attempt that is ready, in Envoy's `cluster`; its headers, serialized as [`Headers::encode`] does. Its body
    /// is ready then.
    ///
    /// # Errors
    ///
    /// No attempt is left, or the cluster is not the plan's.
    pub fn begin(&mut self, cluster: &[u8], now: Millis) -> Result<Vec<u8>, Error> {
        let Some(next) = self.next.take() else { return Err(self.exhausted()) };
        if next.step.deployment.cluster.as_bytes() != cluster {
            // A credential is never sent to a cluster that it does not belong to.
            self.next = Some(next);
            return Err(Error::new(Kind::Internal, "the route led to another cluster than the plan"));
        }
        let Prepared { step, ask, upstream: Upstream { path, headers, body } } = next;
        self.ask = Some(ask);
        let body = self.edited(body)?;
        let headers = self.headers(&step.deployment, &path, &headers, body.len());
        self.body = Some(body);
        self.attempts.push(Attempt {
            step,
            status: None,
            started: now,
            concluded: None,
            failure: None,
            has_left: false,
        });
        self.answer = Answer::Awaited;
        self.quota = Quota::default();
        self.is_reported = false;
        Ok(headers)
    }

    /// The error of a request that Envoy goes on with although no attempt is left.
    fn exhausted(&self) -> Error {
        match self.attempts.last().and_then(|attempt| attempt.failure) {
            Some(Class::Timeout) => local_error(504),
            Some(Class::Connection) => local_error(503),
            _ => Error::new(Kind::Internal, "the plan of this request has no attempt left"),
        }
    }

    /// Every header of an attempt: see "Why every header is written anew" in [`super`].
    fn headers(&self, deployment: &Deployment, path: &str, own: &[(&str, String)], body_len: usize) -> Vec<u8> {
        let len = body_len.to_string();
        let target = &deployment.target;
        let accept = self.accept();
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(16);
        all.extend([
            (":method", if self.is_upgrade() { "GET" } else { "POST" }),
            (":scheme", if deployment.address.tls { "https" } else { "http" }),
            (":authority", &target.authority),
            (":path", path),
        ]);
        all.extend((!self.is_upgrade()).then_some(("content-length", len.as_str())));
        let ours = accept.map(|accept| ("accept", accept)).into_iter().chain([("user-agent", USER_AGENT)]);
        let own: Vec<_> = ours.chain(own.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        // The config's value goes before ours, unless the provider has made it part of its own.
        let extra = target.extra_headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let has_taken_in = |(name, value): (&str, &str)| own.iter().any(|(n, v)| *n == name && v.contains(value));
        let extra: Vec<_> = extra.filter(|&header| !has_taken_in(header)).collect();
        all.extend(own.iter().filter(|(name, _)| extra.iter().all(|(found, _)| found != name)));
        all.extend(extra);
        let written = all.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let kept = self.originals.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        Headers::encode(written.chain(kept))
    }

    /// The type of answer that is asked for.
    fn accept(&self) -> Option<&'static str> {
        let client = self.asked.client();
        match client.endpoint {
            Endpoint::Realtime => None,
            _ if client.stream => Some("text/event-stream"),
            // Sound in any format, or text in any of a few.
            Endpoint::AudioSpeech | Endpoint::AudioTranscriptions | Endpoint::AudioTranslations => Some("*/*"),
            _ => Some("application/json"),
        }
    }

    fn edited(&mut self, body: Body) -> Result<Vec<u8>, Error> {
        match body {
            Body::Whole(body) => Ok(body),
            Body::Splice(splice) => {
                let body = splice.apply(&self.asked.client().body);
                body.ok_or_else(|| Error::new(Kind::Internal, "the request cannot be spliced"))
            }
        }
    }

    /// The body of the attempt that was begun; once.
    pub fn take_body(&mut self) -> Option<Vec<u8>> {
        self.body.take()
    }

    /// Takes the headers of the provider's answer.
    pub fn answered(&mut self, head: &AnswerHead, world: &mut World<'_>) -> Heading {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = Some(head.status);
        }
        self.quota = head.quota;
        let (answer, shape) = self.classify(head);
        self.answer = answer;
        match shape {
            Kept::Error(class) if self.plan.must_read(class) => Heading::HoldError,
            Kept::Error(class) => Heading::Error(self.fail(class, world)),
            Kept::Refused => Heading::Refuse(self.fail(Class::InternalServer, world)),
            Kept::Pass => {
                self.succeed(world);
                Heading::Pass
            }
            Kept::Read if matches!(self.answer, Answer::Stream(_)) => Heading::First,
            Kept::Read => {
                self.succeed(world);
                Heading::Read
            }
            Kept::Hold => Heading::Hold,
        }
    }

    /// Takes the whole body of an error that had to be read: what follows.
    pub fn held_error(&mut self, body: &[u8], world: &mut World<'_>) -> Option<Next> {
        let error = match (&self.answer, self.deployment()) {
            (Answer::Error { status, .. }, Some(deployment)) => deployment.target.error(*status, body),
            _ => return None,
        };
        self.fail(Class::of_error(&error), world)
    }

    fn classify(&self, head: &AnswerHead) -> (Answer, Kept) {
        let passes_through = self.passes_through();
        let refuse = |message: &str| (Answer::Refused(Error::new(Kind::BadUpstream, message)), Kept::Refused);
        let client = self.asked.client();
        match head.status {
            101 if self.is_upgrade() => (Answer::Unread, Kept::Pass),
            ..300 if self.is_upgrade() => refuse("the provider did not open the WebSocket"),
            400.. => {
                let class = Class::of_status(head.status).unwrap_or(Class::InternalServer);
                (Answer::Error { status: head.status, body: Vec::new() }, Kept::Error(class))
            }
            200..300 if head.is_empty => refuse("the provider's answer is empty"),
            200..300 if head.is_compressed && passes_through => (Answer::Unread, Kept::Pass),
            200..300 if head.is_compressed => refuse("the provider compressed its answer although it was not asked to"),
            200..300 if head.is_stream => match self.stream() {
                Some(stream) => (Answer::Stream(stream), Kept::Read),
                None => (Answer::Unread, Kept::Pass),
            },
            200..300 if passes_through && client.endpoint == Endpoint::AudioSpeech => (Answer::Unread, Kept::Pass),
            // Subtitles or plain text: there is no usage in it.
            200..300 if passes_through && client.endpoint.is_media() && !head.is_json => (Answer::Unread, Kept::Pass),
            200..300 if passes_through && head.content_length.is_some_and(|len| len > HELD_BYTES_MAX) => {
                (Answer::long(), Kept::Read)
            }
            200..300 => (Answer::Held, Kept::Hold),
            _ => refuse("the provider answered with a redirect"),
        }
    }

    fn stream(&self) -> Option<Box<dyn Stream>> {
        let (ask, deployment) = (self.ask.as_ref()?, self.deployment()?);
        let mut stream = ask.stream(&self.asked, &deployment.target, self.started.0 / 1000);
        if ask.request(&self.asked).include_usage {
            let tokens_in_bytes = estimate::tokens_in_bytes;
            stream.estimate(Estimate { input_tokens: self.prompt_tokens(), tokens_in_bytes });
        }
        Some(stream)
    }

    /// Whether a success of the attempt under way goes to the client byte for byte.
    pub(super) fn passes_through(&self) -> bool {
        let attempt = self.ask.as_ref().zip(self.deployment());
        attempt.is_none_or(|(ask, deployment)| ask.passes_through(&self.asked, &deployment.target))
    }

    /// Gives up holding an answer that passes through and is longer than [`HELD_BYTES_MAX`]; whether it did.
    pub fn release(&mut self, held_bytes: u64, world: &mut World<'_>) -> bool {
        let release = held_bytes > HELD_BYTES_MAX && self.passes_through() && matches!(self.answer, Answer::Held);
        if release {
            self.answer = Answer::long();
            self.succeed(world);
        }
        release
    }

    /// Takes the next bytes of an answer that is read on its way; what the client gets instead is in `out`.
    pub fn chunk(&mut self, bytes: &[u8], end_of_stream: bool, out: &mut Vec<u8>) -> Pass {
        self.answer.chunk(bytes, end_of_stream, out)
    }

    /// Takes the time of the answer's first byte.
    pub fn first_byte(&mut self, now: Millis) {
        self.first_byte.get_or_insert(now);
    }

    /// Takes the whole of a held answer. It goes on as it came, or gives way to a reply: see "Who holds what" in
    /// [`super`].
    pub fn held(&mut self, body: &[u8], world: &mut World<'_>) -> Held {
        let attempt = self.ask.as_ref().zip(self.deployment());
        let now_secs = self.started.0 / 1000;
        let read = attempt.map(|(ask, deployment)| ask.response(&self.asked, &deployment.target, body, now_secs));
        match read {
            Some(Ok(answer)) => self.answer = Answer::Whole(answer),
            Some(Err(error)) => {
                self.answer = Answer::Refused(error);
                return Held::Refuse(self.fail(Class::InternalServer, world));
            }
            None => self.answer = Answer::Unread,
        }
        if self.plan.follows_filtered()
            && self.is_filtered(body)
            && let Some(next) = self.fail(Class::ContentPolicy, world)
        {
            return Held::Refuse(Some(next));
        }
        self.succeed(world);
        self.outgrown(body.len()).map_or(Held::Release, Held::Outgrown)
    }

    /// Whether the provider's filter ended the chat completion `body`, or its translation.
    fn is_filtered(&self, body: &[u8]) -> bool {
        let translated = if let Answer::Whole(answer) = &self.answer { answer.body.as_deref() } else { None };
        finish::is_filtered(translated.unwrap_or(body))
    }

    /// The translated answer as a reply, where it is too long for the place of a held one of `held_bytes`.
    fn outgrown(&mut self, held_bytes: usize) -> Option<Reply> {
        let status = self.attempt()?.status?;
        let Answer::Whole(answer) = &mut self.answer else { return None };
        let body = answer.body.take_if(|body| body.len() > held_bytes.max(BUFFER_BYTES_MIN))?;
        Some(Reply::json(status, body))
    }
}
