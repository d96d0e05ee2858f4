//! From a request that is read to its first attempt, or to a refusal.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::Action;

use super::{Asking, Gateway, Phase};
use crate::error::Shape;
use crate::exchange::{Caller, Exchange, Front, Refused, Reply};
use crate::host::call::{self, Buffer, Map};
use crate::host::fleet::{self, SharedData};
use crate::host::rate_limit::{self, Asked};
use crate::host::{accounts, count_account, open, shadow, with_world};
use crate::openai::Request;
use crate::rls::{Ask, Verdict};
use crate::telemetry::{Metric, Record};

impl Gateway {
    /// The whole body is there.
    pub(super) fn admit(&mut self) -> Action {
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
    pub(super) fn obey(&mut self) -> Action {
        let Phase::Ordered(order) = std::mem::replace(&mut self.phase, Phase::Start) else { return Action::Continue };
        let record = self.record_of(Some(Caller::Master));
        fleet::with_till(|till| till.tell(&SharedData, self.started));
        match order.obey(&self.config, &call::buffer(Buffer::Request), &SharedData, self.started) {
            Ok((reply, done)) => self.answer(Record { order: done, ..record }, &reply),
            Err(error) => self.answer(record, &Reply::from(&error)),
        }
    }

    /// The request is read.
    pub(super) fn admit_request(&mut self, front: Front, mut request: Request) -> Action {
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
            Err(refused) => self.refuse(refused, errors, record),
        }
    }

    fn refuse(&mut self, refused: Refused, errors: Shape, record: Record) -> Action {
        let Refused { error, routing, limits, by } = refused;
        if let Some(labels) = by.labels() {
            count_account(Metric::AccountRefusals, labels);
        }
        let reply = Reply { limits, ..Reply::error(&error, errors) };
        self.answer(Record { routing, ..record }, &reply)
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
    pub(super) fn conclude(&mut self, mut exchange: Exchange, ask: Ask, verdict: &Verdict, record: Record) -> Action {
        rate_limit::tell(&exchange, verdict);
        match exchange.heed(ask, verdict) {
            Ok(()) => {
                self.route(exchange);
                Action::Continue
            }
            Err(refused) => {
                let errors = exchange.errors();
                self.take_back(exchange);
                self.refuse(refused, errors, record)
            }
        }
    }

    /// It is as if the request had never come.
    pub(super) fn take_back(&self, mut exchange: Exchange) {
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
        self.beside = rate_limit::ask_beside(&exchange, self.root, self.id);
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
}
