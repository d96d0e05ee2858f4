//! Role `gateway`: once per request, in the HTTP connection manager.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::call::{self, Buffer, Map};
use super::fleet::SharedData;
use super::rate_limit::{self, Asked};
use super::token::Keeper;
use super::{Shared, accounts, close, count, count_account, open, shadow, with_world};
use crate::budget::account::Denied;
use crate::config::Config;
use crate::exchange::{
    Caller, Exchange, Front, ORDER_BYTES_MAX, Opening, Order, Refused, Reply, Rewrite, Scene, local_error,
};
use crate::openai::Request;
use crate::rls::{Ask, Verdict};
use crate::telemetry::{ErrorCode, Metric, Record};
use crate::units::Millis;

/// The header of an answer after which Envoy is to try the next attempt; its value is the wait before, in whole seconds.
pub(super) const RETRY: &str = "x-tollgate-retry";

/// The stream of one request.
pub(super) struct Gateway {
    id: u32,
    /// The plugin's own context.
    root: u32,
    config: Rc<Config>,
    keeper: Rc<Keeper>,
    phase: Phase,
    started: Millis,
    /// The client's status; 0 until it gets one.
    status: u16,
    /// What becomes of the body of the answer.
    rewrite: Rewrite,
}

/// How far the request has come.
enum Phase {
    /// Its headers have not come.
    Start,
    /// Its body is being read.
    Reading(Front),
    /// The body of an order is being read.
    Ordered(Order),
    /// It is held until the rate limit service answers.
    Asking(Box<Asking>),
    /// It was admitted: its number, and the exchange.
    Running(u64, Shared),
    /// It was answered here; what is known of it for the record.
    Answered(Record),
}

/// A request that waits for the rate limit service.
struct Asking {
    call: u32,
    ask: Ask,
    exchange: Exchange,
    record: Record,
}

impl Context for Gateway {
    fn on_grpc_call_response(&mut self, call: u32, status: u32, _size: usize) {
        match std::mem::replace(&mut self.phase, Phase::Start) {
            Phase::Asking(asking) if asking.call == call => {
                let Asking { ask, exchange, record, .. } = *asking;
                let verdict = rate_limit::read(&ask, self.root, self.id, status);
                if self.conclude(exchange, ask, &verdict, record) == Action::Continue {
                    call::resume_request();
                }
            }
            phase => self.phase = phase,
        }
    }
}

impl Gateway {
    pub(super) fn new(id: u32, root: u32, config: Rc<Config>, keeper: Rc<Keeper>) -> Self {
        Self {
            id,
            root,
            config,
            keeper,
            phase: Phase::Start,
            started: Millis::default(),
            status: 0,
            rewrite: Rewrite::Keep,
        }
    }

    /// Answers the request, whose record is as far as `record` goes.
    fn answer(&mut self, record: Record, reply: &Reply) -> Action {
        self.phase = Phase::Answered(Record { error: reply.error.clone(), ..record });
        call::send(reply);
        Action::Pause
    }

    fn record_of(&self, caller: Option<Caller>) -> Record {
        caller.map(|caller| Record::of_caller(&self.config, caller)).unwrap_or_default()
    }

    /// The whole body is there.
    fn admit(&mut self) -> Action {
        let Phase::Reading(mut front) = std::mem::replace(&mut self.phase, Phase::Start) else {
            return Action::Continue;
        };
        match front.read(&self.config, call::buffer(Buffer::Request)) {
            Ok(request) => self.admit_request(front, request),
            Err(error) => {
                let record = front.record(&self.config);
                self.answer(record, &Reply::error(&error, front.endpoint.errors()))
            }
        }
    }

    /// The whole order is there.
    fn obey(&mut self) -> Action {
        let Phase::Ordered(order) = std::mem::replace(&mut self.phase, Phase::Start) else { return Action::Continue };
        let record = self.record_of(Some(Caller::Master));
        match order.obey(&self.config, &call::buffer(Buffer::Request), &SharedData, self.started) {
            Ok((reply, done)) => self.answer(Record { order: done, ..record }, &reply),
            Err(error) => self.answer(record, &Reply::from(&error)),
        }
    }

    fn admit_request(&mut self, front: Front, mut request: Request) -> Action {
        if let Some(model) = front.stand_in(&self.config, &request, &SharedData) {
            request.model = model;
        }
        let mut record = front.record(&self.config);
        let errors = front.endpoint.errors();
        let resolved = front.caller.resolve(&self.config, &request.model);
        record.model_group = resolved.map(|resolved| resolved.name.to_owned()).unwrap_or_default();
        if let Some(reply) = front.count_tokens(&self.config, &request) {
            return self.answer(record, &reply);
        }
        self.keeper.catch_up(self.started);
        let admitted = with_world(&self.config, |world| {
            let mut exchange = Exchange::admit(self.config.clone(), front, request, world)?;
            match accounts::reserve(&mut exchange, world.now) {
                Ok(()) => Ok(exchange),
                Err(refused) => {
                    exchange.withdraw(world);
                    Err(refused)
                }
            }
        });
        match admitted {
            Ok(exchange) => self.consult(exchange, record),
            Err(Refused { error, routing, limits, denied }) => {
                if let Some(denied) = denied {
                    let Denied { account, lack, .. } = *denied;
                    count_account(Metric::AccountRefusals, account.labels(lack.name()));
                }
                let reply = Reply { limits, ..Reply::error(&error, errors) };
                self.answer(Record { routing, ..record }, &reply)
            }
        }
    }

    /// Asks the rate limit service, where there is one.
    fn consult(&mut self, exchange: Exchange, record: Record) -> Action {
        match rate_limit::ask(&exchange, self.root, self.id, self.started) {
            Asked::Nothing => {
                self.route(exchange);
                Action::Continue
            }
            Asked::Answered(ask, verdict) => self.conclude(exchange, ask, &verdict, record),
            Asked::Calling(ask, call) => {
                self.phase = Phase::Asking(Box::new(Asking { call, ask, exchange, record }));
                Action::Pause
            }
        }
    }

    /// Goes on with what the rate limit service said.
    fn conclude(&mut self, mut exchange: Exchange, ask: Ask, verdict: &Verdict, record: Record) -> Action {
        rate_limit::tell(&exchange, verdict);
        match exchange.heed(ask, verdict) {
            Ok(()) => {
                self.route(exchange);
                Action::Continue
            }
            Err(Refused { error, routing, limits, .. }) => {
                let errors = exchange.errors();
                self.take_back(exchange);
                let reply = Reply { limits, ..Reply::error(&error, errors) };
                self.answer(Record { routing, ..record }, &reply)
            }
        }
    }

    /// It is as if the request had never come.
    fn take_back(&self, mut exchange: Exchange) {
        exchange.unreserve(&SharedData, call::now());
        with_world(&self.config, |world| exchange.withdraw(world));
    }

    /// Tells Envoy where the first attempt goes, how often to try again, and how long to wait.
    fn route(&mut self, exchange: Exchange) {
        let retries = exchange.max_retries().to_string();
        let timeout = exchange.per_try_timeout().0.to_string();
        let cluster = exchange.first_cluster().to_owned();
        if exchange.is_upgrade() {
            // Envoy would put a WebSocket on an HTTP/2 connection where TLS offers one; providers take it on HTTP/1.1 only.
            call::set_envoy_filter_state("envoy.network.application_protocols", "http/1.1");
        }
        let mirrored = shadow::cast(&exchange);
        let exchange = Rc::new(RefCell::new(exchange));
        let (number, id) = open(&exchange, self.id);
        self.phase = Phase::Running(number, exchange);
        call::set_property("tollgate.exchange", &id);
        call::set_property("tollgate.cluster", cluster.as_bytes());
        for (name, value) in mirrored.iter().flatten() {
            call::set_header(Map::Request, name, value);
        }
        // Envoy chooses the route anew after a change of the request headers; the cluster is to be in place by then.
        call::set_header(Map::Request, "x-envoy-max-retries", &retries);
        // Where it could try again, Envoy gives each attempt a copy of the body, which may grow. Without any such reason,
        // not even one that a route leaves out, an attempt would write into the buffer in which the body was held.
        call::set_header(Map::Request, "x-envoy-retry-on", "connect-failure");
        call::set_header(Map::Request, "x-envoy-upstream-rq-per-try-timeout-ms", &timeout);
    }

    /// Writes the record into filter state.
    fn publish(&self, record: &Record) {
        let wanted = self.config.record_fields;
        let mut name = String::with_capacity(32);
        let mut text = String::with_capacity(32);
        let mut set = |field: &str, value: &str| {
            name.clear();
            name.push_str("tollgate.");
            name.push_str(field);
            call::set_property(&name, value.as_bytes());
        };
        for (field, value) in record.fields().filter(|(field, _)| wanted.contains(field)) {
            text.clear();
            value.write(&mut text);
            set(field, &text);
        }
        if wanted.contains("log") {
            set("log", &record.log());
        }
    }

    fn record(&self, now: Millis) -> Record {
        let record = match &self.phase {
            Phase::Running(_, exchange) => {
                return with_world(&self.config, |world| exchange.borrow_mut().settle(self.status, world));
            }
            Phase::Reading(front) => front.record(&self.config),
            Phase::Ordered(_) => self.record_of(Some(Caller::Master)),
            Phase::Answered(record) => record.clone(),
            Phase::Asking(asking) => asking.record.clone(),
            Phase::Start => Record::default(),
        };
        Record { status: self.status, duration: now.since(self.started), ..record }
    }
}

impl HttpContext for Gateway {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let headers = call::headers(Map::Request);
        self.started = call::now();
        #[cfg(feature = "trap")]
        if headers.get("x-test-trap").is_some() {
            std::process::abort();
        }
        let steers = |name: &[u8]| name.starts_with(b"x-tollgate-") || name.starts_with(b"x-envoy-");
        for (name, _) in headers.iter().filter(|(name, _)| steers(name)) {
            call::remove_header(Map::Request, name);
        }
        let scene = Scene { now: self.started, store: &SharedData, property: &call::property };
        match Front::open(&self.config, &headers, end_of_stream, &scene) {
            Opening::Answer(caller, reply) => self.answer(self.record_of(caller), &reply),
            Opening::Spend(caller, spend) => {
                let reply = spend.reply(&self.config, caller, &SharedData, self.started);
                self.answer(self.record_of(Some(caller)), &reply)
            }
            Opening::Order(order) => {
                self.phase = Phase::Ordered(order);
                Action::Pause
            }
            Opening::Ready => self.answer(Record::default(), &Reply::ready(self.keeper.is_settled(self.started))),
            Opening::Read(front) => {
                self.phase = Phase::Reading(front);
                Action::Pause
            }
            Opening::Upgrade(front, request) => self.admit_request(front, *request),
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.phase {
            // One that is over the limit already is refused without its end.
            Phase::Reading(_) if end_of_stream || size as u64 > self.config.max_request_bytes => self.admit(),
            Phase::Ordered(_) if end_of_stream || size > ORDER_BYTES_MAX => self.obey(),
            Phase::Reading(_) | Phase::Ordered(_) | Phase::Asking(_) | Phase::Answered(..) => Action::Pause,
            Phase::Start | Phase::Running(..) => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        match self.phase {
            Phase::Reading(_) => self.admit(),
            Phase::Ordered(_) => self.obey(),
            Phase::Asking(_) | Phase::Answered(..) => Action::Pause,
            Phase::Start | Phase::Running(..) => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let exchange = match &self.phase {
            Phase::Running(_, exchange) => Some(exchange.clone()),
            Phase::Start | Phase::Reading(_) | Phase::Ordered(_) | Phase::Asking(_) | Phase::Answered(..) => None,
        };
        let passing = exchange.as_ref().and_then(|exchange| exchange.borrow().passing_status());
        self.status = passing.unwrap_or_else(status);
        match exchange {
            Some(exchange) => self.respond(&exchange, end_of_stream),
            None => self.respond_locally(end_of_stream),
        }
    }

    fn on_http_response_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        match std::mem::replace(&mut self.rewrite, Rewrite::Keep) {
            Rewrite::Keep => {}
            Rewrite::Replace(body) => {
                call::set_buffer(Buffer::Response, &body);
                // What follows of the old body goes.
                self.rewrite = Rewrite::Replace(Vec::new());
            }
            Rewrite::Swallow => {
                let Phase::Running(_, exchange) = &self.phase else { return Action::Continue };
                let bytes = call::buffer(Buffer::Response);
                exchange.borrow_mut().swallow(&bytes);
                let body = if end_of_stream { exchange.borrow_mut().error_reply().body } else { Vec::new() };
                call::set_buffer(Buffer::Response, &body);
                self.rewrite = Rewrite::Swallow;
            }
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        let now = call::now();
        let mut record = self.record(now);
        if let Phase::Running(number, exchange) = &self.phase {
            close(*number);
            exchange.borrow_mut().charge(&SharedData, now, &mut record);
            if !record.budget_alerts.is_empty() {
                log::warn!("budget: {}", record.budget_alerts);
            }
            rate_limit::owe(exchange.borrow().owed(now, &record));
            exchange.borrow().count_attempts(count);
            exchange.borrow().count_accounts(count_account);
        }
        if let Phase::Asking(asking) = std::mem::replace(&mut self.phase, Phase::Start) {
            self.take_back(asking.exchange);
        }
        record.count(count);
        self.publish(&record);
    }
}

impl Gateway {
    /// The answer to a request that was admitted: the provider's, or Envoy's own where no provider gave one.
    fn respond(&mut self, exchange: &Shared, end_of_stream: bool) -> Action {
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
            for (name, value) in report {
                call::set_header(Map::Response, name, &value);
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
    fn respond_locally(&mut self, end_of_stream: bool) -> Action {
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

/// The status of the answer that is on its way.
fn status() -> u16 {
    let status = call::header(Map::Response, ":status").unwrap_or_default();
    std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()).unwrap_or(0)
}
