//! Role `gateway`: once per request, in the HTTP connection manager.

mod admit;
mod respond;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::call::{self, Buffer, Map};
use super::fleet::{self, SharedData};
use super::rate_limit;
use super::silence;
use super::token::Keeper;
use super::{Shared, close, count, count_account, with_world};
use crate::config::Config;
use crate::exchange::{Caller, Exchange, Front, ORDER_BYTES_MAX, Opening, Order, Reply, Rewrite, Scene};
use crate::rls::Ask;
use crate::telemetry::Record;
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
    /// The calls to the rate limit service for which the request does not wait, each with the position of its question.
    beside: Vec<(u32, usize)>,
    started: Millis,
    /// The client's status; 0 until it gets one.
    status: u16,
    /// What becomes of the body of the answer.
    rewrite: Rewrite,
    /// Whether the answer is held, so that there is a way into it; see [`silence`].
    is_holding: bool,
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
            Phase::Running(number, exchange) => {
                if let Some((_, position)) = self.beside.iter().find(|(beside, _)| *beside == call) {
                    rate_limit::hear_beside(&exchange, *position, self.root, self.id, status);
                }
                self.phase = Phase::Running(number, exchange);
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
            beside: Vec::new(),
            started: Millis::default(),
            status: 0,
            rewrite: Rewrite::Keep,
            is_holding: false,
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

    /// A piece of an answer goes on as it is. That of a stream whose silence has a bound goes on as one that is held: see
    /// [`silence`].
    fn pass(&mut self, end_of_stream: bool) -> Action {
        let Phase::Running(_, exchange) = &self.phase else { return Action::Continue };
        if self.is_holding && exchange.borrow().is_cut() {
            call::set_buffer(Buffer::Response, &[]);
        } else if !end_of_stream && self.is_holding {
            silence::go_on(self.id);
        } else if !end_of_stream && exchange.borrow().is_watched() {
            self.is_holding = silence::begin(self.id);
        }
        if self.is_holding && !end_of_stream { Action::Pause } else { Action::Continue }
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
                fleet::with_till(|till| till.tell(&SharedData, self.started));
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
            Rewrite::Keep => return self.pass(end_of_stream),
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
        if self.is_holding {
            silence::forget(self.id);
        }
        let now = call::now();
        let mut record = self.record(now);
        if let Phase::Running(number, exchange) = &self.phase {
            close(*number);
            fleet::with_till(|till| exchange.borrow_mut().charge(&SharedData, till, now, &mut record));
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

/// The status of the answer that is on its way.
fn status() -> u16 {
    let status = call::header(Map::Response, ":status").unwrap_or_default();
    std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()).unwrap_or(0)
}
