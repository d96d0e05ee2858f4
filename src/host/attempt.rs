//! Role `attempt`: once per upstream attempt, in the filter chain of every provider's cluster.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::call::{self, Buffer, Map};
use super::{Shared, find};
use crate::error::{Error, Kind};
use crate::exchange::{AnswerHead, Heading, Held, Reply};
use crate::provider::Pass;

/// The stream of one attempt.
pub(super) struct AttemptFilter {
    /// The cluster of this filter chain, where the plugin's configuration names it.
    cluster: Option<Rc<[u8]>>,
    exchange: Option<Shared>,
    reading: Reading,
    /// Reused for every chunk.
    out: Vec<u8>,
}

/// What is done with the body of the answer.
#[derive(Clone, Copy)]
enum Reading {
    Nothing,
    Chunks,
    Whole,
}

impl Context for AttemptFilter {}

impl AttemptFilter {
    pub(super) fn new(cluster: Option<Rc<[u8]>>) -> Self {
        Self { cluster, exchange: None, reading: Reading::Nothing, out: Vec::new() }
    }

    fn begin(&mut self) -> Result<(), Error> {
        let id = call::property("tollgate.exchange").unwrap_or_default();
        let Some(exchange) = find(&id) else {
            return Err(Error::new(Kind::Internal, "the request is not known here: is the gateway filter in place?"));
        };
        let cluster = match &self.cluster {
            Some(cluster) => cluster.clone(),
            None => call::property("xds\0cluster_name").unwrap_or_default().into(),
        };
        let start = exchange.borrow_mut().begin(&cluster)?;
        call::set_headers(Map::Request, &start.headers);
        if let Some(next) = start.next_cluster.filter(|next| next.as_bytes() != &*cluster) {
            call::set_property("tollgate.cluster", next.as_bytes());
        }
        self.exchange = Some(exchange);
        Ok(())
    }

    /// The whole answer was held.
    fn read_held(&mut self, exchange: &Shared) -> Action {
        self.reading = Reading::Nothing;
        let body = call::buffer(Buffer::Response);
        let read = exchange.borrow_mut().held(call::now(), &body);
        match read {
            Held::Release => Action::Continue,
            Held::Outgrown(reply) => {
                call::send(&reply);
                Action::Pause
            }
            Held::Refuse => {
                call::set_header(Map::Response, ":status", "502");
                Action::Continue
            }
        }
    }
}

impl HttpContext for AttemptFilter {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match self.begin() {
            Ok(()) => Action::Continue,
            Err(error) => {
                log::error!("{error}");
                call::send(&Reply::from(&error));
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        let Some(exchange) = &self.exchange else { return Action::Pause };
        // The whole new body goes with the first piece of the old one, whose other pieces go.
        let body = exchange.borrow_mut().take_body().unwrap_or_default();
        call::set_buffer(Buffer::Request, &body);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Some(exchange) = &self.exchange else { return Action::Continue };
        let headers = call::headers(Map::Response);
        for (name, _) in headers.iter().filter(|(name, _)| is_private(name)) {
            call::remove_header(Map::Response, name);
        }
        let heading = exchange.borrow_mut().answered(&AnswerHead::of(&headers, end_of_stream));
        match heading {
            Heading::Pass => Action::Continue,
            Heading::Refuse => {
                call::set_header(Map::Response, ":status", "502");
                Action::Continue
            }
            Heading::Read => {
                self.reading = Reading::Chunks;
                call::remove_header(Map::Response, b"content-length");
                Action::Continue
            }
            Heading::Hold => {
                self.reading = Reading::Whole;
                Action::Pause
            }
        }
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some(exchange) = self.exchange.clone() else { return Action::Continue };
        match self.reading {
            Reading::Nothing => {}
            Reading::Chunks => {
                let bytes = if size == 0 { Vec::new() } else { call::buffer(Buffer::Response) };
                self.out.clear();
                let pass = exchange.borrow_mut().chunk(call::now(), &bytes, end_of_stream, &mut self.out);
                if pass == Pass::Replaced {
                    call::set_buffer(Buffer::Response, &self.out);
                }
            }
            Reading::Whole if end_of_stream => return self.read_held(&exchange),
            Reading::Whole => {
                if !exchange.borrow_mut().release(size as u64) {
                    return Action::Pause;
                }
                self.reading = Reading::Chunks;
                let bytes = call::buffer(Buffer::Response);
                let _ = exchange.borrow_mut().chunk(call::now(), &bytes, false, &mut self.out);
            }
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        match (self.reading, self.exchange.clone()) {
            (Reading::Whole, Some(exchange)) => self.read_held(&exchange),
            _ => Action::Continue,
        }
    }
}

/// Headers of a provider that are nobody's business: its cookies, whose account it is, and what only we may say.
fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"x-tollgate-")
        || matches!(name, b"set-cookie" | b"openai-organization" | b"openai-project" | b"anthropic-organization-id")
}
