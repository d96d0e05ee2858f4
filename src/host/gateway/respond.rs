//! What the client gets: a provider's answer, or Envoy's own.

use proxy_wasm::types::Action;

use super::{Gateway, Phase, RETRY};
use crate::exchange::{Rewrite, local_error};
use crate::host::call::{self, Map};
use crate::host::{Shared, with_world};
use crate::telemetry::{ErrorCode, Record};

impl Gateway {
    /// The answer to a request that was admitted: the provider's, or Envoy's own where no provider gave one.
    pub(super) fn respond(&mut self, exchange: &Shared, end_of_stream: bool) -> Action {
        if self.status >= 400 {
            call::remove_header(Map::Response, RETRY.as_bytes());
            if exchange.borrow().is_pending() {
                with_world(&self.config, |world| exchange.borrow_mut().given_up(world));
            }
        }
        let rewrite = exchange.borrow_mut().respond(self.status);
        if end_of_stream && !matches!(rewrite, Rewrite::Keep) {
            // No body will come that could be replaced.
            let reply = exchange.borrow_mut().error_reply();
            call::send(&reply);
            return Action::Pause;
        }
        if !exchange.borrow().is_reported() {
            let report = exchange.borrow().report();
            for (name, value) in report.iter() {
                call::set_header(Map::Response, name, value);
            }
        }
        match rewrite {
            Rewrite::Keep => {}
            // A success has its length already: the attempt wrote it.
            Rewrite::Replace(body) if self.status < 400 => self.rewrite = Rewrite::Replace(body),
            Rewrite::Replace(body) => self.replace(body, end_of_stream),
            Rewrite::Swallow => {
                call::remove_header(Map::Response, b"content-length");
                call::remove_header(Map::Response, b"content-encoding");
                call::set_header(Map::Response, "content-type", "application/json");
                self.rewrite = Rewrite::Swallow;
            }
        }
        Action::Continue
    }

    /// Envoy's own answer to a request whose body was still being read.
    pub(super) fn respond_locally(&mut self, end_of_stream: bool) -> Action {
        if let Phase::Reading(front) = &self.phase {
            let error = local_error(self.status);
            let body = error.body_as(front.endpoint.errors());
            let record = front.record(&self.config);
            self.phase = Phase::Answered(Record { error: Some(ErrorCode::of(&error)), ..record });
            self.replace(body, end_of_stream);
        }
        Action::Continue
    }

    /// Puts `body`, JSON, in the place of an answer's body.
    fn replace(&mut self, body: Vec<u8>, end_of_stream: bool) {
        if end_of_stream {
            // No body will come that could be replaced; Envoy's own errors always have one.
            return;
        }
        call::remove_header(Map::Response, b"content-encoding");
        call::set_header(Map::Response, "content-length", &body.len().to_string());
        call::set_header(Map::Response, "content-type", "application/json");
        self.rewrite = Rewrite::Replace(body);
    }
}
