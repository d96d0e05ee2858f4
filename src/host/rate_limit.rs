//! The calls to the rate limit service: the questions of requests, and the reports of one VM. See [`crate::rls`].
//!
//! All calls are made in the root context of the plugin: Envoy cancels those of a stream when its client hangs up, and the
//! SDK would keep their numbers for good.

use super::call::{self, Buffer};
use super::fleet::SharedData;
use super::{VM, count};
use crate::config::Config;
use crate::exchange::Exchange;
use crate::rls::{Ask, Counter, Outcome, Service, Verdict, report, service};
use crate::store::Store as _;
use crate::telemetry::Metric;
use crate::telemetry::metric::{self, Labels};
use crate::units::Millis;

/// What becomes of the question of a request.
pub(super) enum Asked {
    /// There is none.
    Nothing,
    /// The answer is known.
    Answered(Ask, Verdict),
    /// It is under way as this call.
    Calling(Ask, u32),
}

/// Asks the service for `exchange`, whose stream is `stream`, on behalf of the plugin's context `root`.
pub(super) fn ask(exchange: &Exchange, root: u32, stream: u32, now: Millis) -> Asked {
    let (Some(ask), Some(service)) = (exchange.ask(), &exchange.config().rate_limit_service) else {
        return Asked::Nothing;
    };
    if let Some(found) = VM.with(|vm| ask.known(&vm.full.borrow(), now)) {
        count(Metric::RateLimitRemembered, Labels { key_alias: exchange.key_alias(), ..Labels::default() }, 1);
        return Asked::Answered(ask, Verdict::Full(found));
    }
    call::enter(root);
    let call = send(service, &ask.request(&service.domain), service.timeout);
    call::enter(stream);
    match call {
        Some(call) => Asked::Calling(ask, call),
        None => Asked::Answered(ask, Verdict::Unknown),
    }
}

fn send(service: &Service, message: &[u8], timeout: Millis) -> Option<u32> {
    call::grpc(&service.target, service::SERVICE, service::METHOD, message, timeout)
}

/// Reads the answer to a question, whose gRPC status is `status`.
pub(super) fn read(ask: &Ask, root: u32, stream: u32, status: u32) -> Verdict {
    let answer = (status == 0).then(|| {
        call::enter(root);
        let answer = call::buffer(Buffer::GrpcAnswer);
        call::enter(stream);
        answer
    });
    let now = call::now();
    VM.with(|vm| ask.read(answer.as_deref(), &mut vm.full.borrow_mut(), now))
}

/// Counts what came of a question.
pub(super) fn tell(exchange: &Exchange, verdict: &Verdict) {
    let metric = match verdict {
        Verdict::Room(_) => Metric::RateLimitAdmitted,
        Verdict::Full(_) => Metric::RateLimitRefused,
        Verdict::Unknown if exchange.config().needs_rate_limit_service() => Metric::RateLimitFailedClosed,
        Verdict::Unknown => Metric::RateLimitFailedOpen,
    };
    count(metric, Labels { key_alias: exchange.key_alias(), ..Labels::default() }, 1);
}

/// Adds what a request owes.
pub(super) fn owe(owed: Vec<(Counter, i64)>) {
    if !owed.is_empty() {
        VM.with(|vm| owed.into_iter().for_each(|(counter, amount)| vm.reports.borrow_mut().owe(counter, amount)));
    }
}

/// Sends the reports that are due.
pub(super) fn tick(config: &Config, root: u32, now: Millis) {
    let Some(service) = &config.rate_limit_service else { return };
    if let Some(left) = take_over() {
        VM.with(|vm| vm.reports.borrow_mut().adopt(&left));
    }
    let (due, lost) = VM.with(|vm| vm.reports.borrow_mut().due(now));
    if lost > 0 {
        log::error!("{lost} counters of the rate limit service lack what could not be told before their windows ended");
        count(Metric::RateLimitReportsLost, Labels::default(), lost);
    }
    for report in due {
        let call = send(service, &report.request(&service.domain), report::TIMEOUT);
        if call.is_none() {
            count(Metric::RateLimitReportsFailed, Labels::default(), 1);
        }
        VM.with(|vm| vm.reports.borrow_mut().sent(report, root, call, now));
    }
}

/// The answer to a report has come, or will never come.
pub(super) fn answered(call: u32, status: u32) {
    let now = call::now();
    let answer = (status == 0).then(|| call::buffer(Buffer::GrpcAnswer));
    let outcome = Outcome::read(answer.as_deref());
    if outcome == Outcome::Failed {
        count(Metric::RateLimitReportsFailed, Labels::default(), 1);
    }
    VM.with(|vm| {
        let mut reports = vm.reports.borrow_mut();
        if let Some(report) = reports.take(call)
            && reports.answered(&report, outcome, now)
        {
            vm.full.borrow_mut().learn(vec![report.counter], now);
        }
    });
}

/// The plugin's context `root` ends, and with it its calls: others tell what is owed.
pub(super) fn end(root: u32) {
    let owed = VM.with(|vm| vm.reports.borrow_mut().surrender(root));
    if !owed.is_empty() {
        SharedData.update(LEFT, |found| (Some([found, &owed].concat()), ()));
    }
}

/// Makes the place where a plugin that ends leaves what it owes, and says whose budgets and limits this Envoy enforces.
pub(super) fn prepare(config: &Config) {
    SharedData.prepare(LEFT);
    VM.with(|vm| vm.full.borrow_mut().clear());
    call::gauge(metric::REPLICAS, config.replicas);
    call::gauge(metric::IS_GLOBAL, u64::from(config.rate_limit_service.is_some()));
}

/// What others left.
fn take_over() -> Option<Vec<u8>> {
    SharedData.get(LEFT).filter(|(left, _)| !left.is_empty())?;
    SharedData.update(LEFT, |found| (Some(Vec::new()), found.to_vec()))
}

/// The name of the record; the version is that of the bytes.
const LEFT: &str = "tollgate.1.rls.left";
