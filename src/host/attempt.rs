//! Role `attempt`: once per upstream attempt, in the filter chain of every provider's cluster.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::call::{self, Buffer, Map};
use super::gateway::RETRY;
use super::shadow::{self, Mirrored};
use super::{Shared, find, ticked, with_world};
use crate::error::{Error, Kind};
use crate::exchange::{
    AnswerHead, BUFFER_BYTES_MIN, Exchange, First, Headers, Heading, Held, Next, Reply, World, is_private,
};
use crate::provider::Pass;

/// The stream of one attempt.
pub(super) struct AttemptFilter {
    /// The cluster of this filter chain, where the plugin's configuration names it.
    cluster: Option<Rc<[u8]>>,
    exchange: Option<Shared>,
    /// In the place of an exchange, where this is a copy of a request.
    mirrored: Option<Mirrored>,
    /// The headers of the answer, as the provider sent them.
    headers: Headers,
    reading: Reading,
    /// Whether the first byte of the answer's body has come.
    has_begun: bool,
    /// Whether the last of it has come.
    has_ended: bool,
    /// Reused for every chunk; while a stream is held, what the client gets of it.
    out: Vec<u8>,
    /// How much of a stream is held, as the provider sent it.
    held: usize,
    /// Whether the client gets anything else than what is held.
    is_edited: bool,
    /// What the place of the held bytes had no room for.
    carried: Vec<u8>,
}

/// What is done with the body of the answer.
#[derive(Clone, Copy)]
enum Reading {
    Nothing,
    /// Held until it says something.
    First,
    Chunks,
    Whole,
    Error,
}

/// The longest error that is held to be read.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// Lets the core act on an exchange.
fn with<T>(exchange: &Shared, act: impl FnOnce(&mut Exchange, &mut World<'_>) -> T) -> T {
    let config = exchange.borrow().config().clone();
    with_world(&config, |world| act(&mut exchange.borrow_mut(), world))
}

impl Context for AttemptFilter {
    /// Envoy is done with this attempt. Where nobody saw its end, the next one is decided here: this runs before Envoy looks
    /// for the cluster of the next attempt.
    fn on_done(&mut self) -> bool {
        if let Some(mirrored) = self.mirrored.take() {
            mirrored.end();
        }
        let Some(exchange) = self.exchange.take() else { return true };
        if exchange.borrow().is_pending() {
            if let Some(next) = with(&exchange, Exchange::lost) {
                call::set_property("tollgate.cluster", next.cluster.as_bytes());
            }
        } else if !self.has_ended && !exchange.borrow().is_upgrade() {
            with(&exchange, Exchange::broke);
        }
        true
    }
}

impl AttemptFilter {
    pub(super) fn new(cluster: Option<Rc<[u8]>>) -> Self {
        Self {
            cluster,
            exchange: None,
            mirrored: None,
            headers: Headers::default(),
            reading: Reading::Nothing,
            has_begun: false,
            has_ended: false,
            out: Vec::new(),
            held: 0,
            is_edited: false,
            carried: Vec::new(),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        let cluster = match &self.cluster {
            Some(cluster) => cluster.clone(),
            None => call::property("xds\0cluster_name").unwrap_or_default().into(),
        };
        let Some(exchange) = call::property("tollgate.exchange").and_then(|id| find(&id)) else {
            // Envoy's copy of a request has no filter state: its headers are all that it shares with the request.
            let message = "the request is not known here: is the gateway filter in place?";
            let unknown = || Error::new(Kind::Internal, message);
            self.mirrored = Some(shadow::begin(&cluster)?.ok_or_else(unknown)?);
            return Ok(());
        };
        let headers = exchange.borrow_mut().begin(&cluster, call::now())?;
        call::set_headers(Map::Request, &headers);
        self.exchange = Some(exchange);
        Ok(())
    }

    /// The whole answer was held.
    fn read_held(&mut self, exchange: &Shared) -> Action {
        self.reading = Reading::Nothing;
        let body = call::buffer(Buffer::Response);
        let read = with(exchange, |exchange, world| exchange.held(&body, world));
        match read {
            Held::Release => self.accept(exchange),
            Held::Refuse(next) => self.refuse(next.as_ref()),
            Held::Outgrown(reply) => {
                call::send(&reply);
                return Action::Pause;
            }
        }
        Action::Continue
    }

    /// The answer goes to the client.
    fn accept(&self, exchange: &Shared) {
        let headers = exchange.borrow_mut().success_headers(&self.headers);
        call::set_headers(Map::Response, &headers);
    }

    /// A stream that is held has more to say.
    fn read_first(&mut self, exchange: &Shared, end_of_stream: bool) -> Action {
        let bytes = call::buffer(Buffer::Response);
        let (held, new) = bytes.split_at(self.held.min(bytes.len()));
        let mut piece = Vec::new();
        let (pass, first) =
            with(exchange, |exchange, world| exchange.first(new, end_of_stream, held.len(), &mut piece, world));
        self.is_edited |= pass == Pass::Replaced;
        self.out.extend_from_slice(if pass == Pass::Replaced { &piece } else { new });
        match first {
            First::Wait => {
                self.held = bytes.len();
                Action::Pause
            }
            First::Refuse(status, next) => {
                self.reading = Reading::Nothing;
                self.pass_error(Some(&next));
                call::set_header(Map::Response, ":status", &status.to_string());
                Action::Continue
            }
            First::Begin => self.begin_stream(exchange, bytes.len(), end_of_stream),
        }
    }

    /// A held stream goes on to the client.
    fn begin_stream(&mut self, exchange: &Shared, held_bytes: usize, end_of_stream: bool) -> Action {
        self.reading = Reading::Chunks;
        self.has_begun = true;
        // Bytes that were never held have no limit; see "Who holds what" in the exchange.
        let room = if self.held == 0 { usize::MAX } else { held_bytes.max(BUFFER_BYTES_MIN) };
        if self.is_edited && self.out.len() > room && end_of_stream {
            call::send(&Reply::events(200, std::mem::take(&mut self.out)));
            return Action::Pause;
        }
        self.accept(exchange);
        if self.is_edited {
            self.carried = self.out.split_off(self.out.len().min(room));
            call::set_buffer(Buffer::Response, &self.out);
        }
        Action::Continue
    }

    /// The whole error was held, or as much of it as anybody reads.
    fn read_held_error(&mut self, exchange: &Shared) -> Action {
        self.reading = Reading::Nothing;
        let body = call::buffer(Buffer::Response);
        let next = with(exchange, |exchange, world| exchange.held_error(&body, world));
        self.pass_error(next.as_ref());
        Action::Continue
    }

    /// The answer is of no use.
    fn refuse(&self, next: Option<&Next>) {
        self.pass_error(next);
        call::set_header(Map::Response, ":status", "502");
    }

    /// The answer is an error: Envoy goes on with the next attempt, where there is one.
    fn pass_error(&self, next: Option<&Next>) {
        self.keep_private();
        if let Some(next) = next {
            call::set_header(Map::Response, RETRY, &next.wait_secs.to_string());
            call::set_property("tollgate.cluster", next.cluster.as_bytes());
        }
    }

    /// What a provider says to us alone goes no further, and steers no retry.
    fn keep_private(&self) {
        for (name, _) in self.headers.iter().filter(|(name, _)| is_private(name)) {
            call::remove_header(Map::Response, name);
        }
    }
}

impl HttpContext for AttemptFilter {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match self.begin() {
            Ok(()) => Action::Continue,
            Err(error) => {
                log::error!("{error}");
                let errors = self.exchange.as_ref().map(|exchange| exchange.borrow().errors()).unwrap_or_default();
                call::send(&Reply::error(&error, errors));
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.request_body(size);
            return Action::Continue;
        }
        let Some(exchange) = &self.exchange else { return Action::Pause };
        if exchange.borrow().is_upgrade() {
            return Action::Continue;
        }
        // The whole new body goes with the first piece of the old one, whose other pieces go.
        let body = exchange.borrow_mut().take_body();
        if size > 0 || body.is_some() {
            call::set_buffer(Buffer::Request, &body.unwrap_or_default());
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.response_headers(end_of_stream);
        }
        let Some(exchange) = self.exchange.clone() else { return Action::Continue };
        self.headers = call::headers(Map::Response);
        self.has_ended = end_of_stream;
        let heading = with(&exchange, |exchange, world| {
            exchange.answered(&AnswerHead::of(&self.headers, end_of_stream, world.now), world)
        });
        match heading {
            Heading::Error(next) => self.pass_error(next.as_ref()),
            Heading::Refuse(next) => self.refuse(next.as_ref()),
            Heading::HoldError if end_of_stream => return self.read_held_error(&exchange),
            Heading::HoldError => {
                self.reading = Reading::Error;
                return Action::Pause;
            }
            Heading::Pass => self.accept(&exchange),
            Heading::Read => {
                self.reading = Reading::Chunks;
                self.accept(&exchange);
            }
            Heading::First => {
                self.reading = Reading::First;
                return Action::Pause;
            }
            Heading::Hold => {
                self.reading = Reading::Whole;
                return Action::Pause;
            }
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.response_body(size, end_of_stream);
        }
        let Some(exchange) = self.exchange.clone() else { return Action::Continue };
        self.has_ended = end_of_stream;
        if size > 0 && !matches!(self.reading, Reading::First) && !std::mem::replace(&mut self.has_begun, true) {
            exchange.borrow_mut().first_byte(call::now());
        }
        match self.reading {
            Reading::Nothing => {}
            Reading::Chunks => {
                let bytes = if size == 0 { Vec::new() } else { call::buffer(Buffer::Response) };
                // What did not find room when the stream began goes first.
                let carried = std::mem::take(&mut self.carried);
                self.out.clear();
                exchange.borrow_mut().hear(ticked());
                let pass = exchange.borrow_mut().chunk(&bytes, end_of_stream, &mut self.out);
                if !carried.is_empty() {
                    let rest = if pass == Pass::Replaced { &self.out } else { &bytes };
                    call::set_buffer(Buffer::Response, &[carried.as_slice(), rest].concat());
                } else if pass == Pass::Replaced {
                    call::set_buffer(Buffer::Response, &self.out);
                }
            }
            Reading::First => return self.read_first(&exchange, end_of_stream),
            Reading::Error if end_of_stream || size > ERROR_BYTES_MAX => return self.read_held_error(&exchange),
            Reading::Error => return Action::Pause,
            Reading::Whole if end_of_stream => return self.read_held(&exchange),
            Reading::Whole => {
                if !with(&exchange, |exchange, world| exchange.release(size as u64, world)) {
                    return Action::Pause;
                }
                self.reading = Reading::Chunks;
                self.accept(&exchange);
                let bytes = call::buffer(Buffer::Response);
                let _ = exchange.borrow_mut().chunk(&bytes, false, &mut self.out);
            }
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.response_body(0, true);
        }
        self.has_ended = true;
        match (self.reading, self.exchange.clone()) {
            (Reading::Whole, Some(exchange)) => self.read_held(&exchange),
            (Reading::Error, Some(exchange)) => self.read_held_error(&exchange),
            (Reading::First, Some(exchange)) => self.read_first(&exchange, true),
            _ => Action::Continue,
        }
    }
}
