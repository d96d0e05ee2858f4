//! What requests really cost and used, added up for each counter and told to the service in the background.
//!
//! ## When a service takes no more
//!
//! envoyproxy/ratelimit counts a report that goes over the limit, Limitador refuses it whole and counts nothing of it: a
//! counter that stands at 95 of 100 would stay there after a report of 10, and admit on. So a report that is refused
//! without a word about its counter is halved until the counter is full to the last hit. That takes some thirty calls, once
//! in a window.

use std::collections::BTreeMap;

use super::ask::MILLIONTHS;
use super::{Counter, wire};
use crate::units::Millis;

/// How long a report may take. Nobody waits for it, and one that is given up too early counts twice.
pub const TIMEOUT: Millis = Millis::from_secs(5);

/// The most reports of one VM that are under way; the rest adds up meanwhile.
const UNDER_WAY: usize = 32;

/// The pause after a report that failed; it doubles with each, and ends with one that does not.
const PAUSE: Millis = Millis(100);
const LONGEST_PAUSE: Millis = Millis::from_secs(5);

/// How long a window may have ended before what is owed to it is given up: a last try is under way.
const GRACE: Millis = Millis::from_secs(5);

/// How long after a counter was filled nothing more is told of it.
const FILLED: Millis = Millis::from_secs(10);

/// What is owed to one counter.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Millionths of a hit; less than zero where a question took more than the request came to.
    owed: i64,
    is_under_way: bool,
    /// While the counter is being filled: how many hits the next try adds.
    step: Option<u32>,
    /// Until when it is known to be full.
    full_until: Millis,
}

/// So many hits more of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub counter: Counter,
    /// How many, at least one.
    pub hits: u32,
}

impl Report {
    /// The message that tells it.
    pub fn request(&self, domain: &str) -> Vec<u8> {
        wire::request(domain, std::slice::from_ref(&self.counter), self.hits)
    }
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service counted it, and there is room left or not.
    Counted {
        /// Whether the counter is over its limit.
        is_over: bool,
    },
    /// The service counted nothing of it: the counter has no room for so much.
    Refused,
    /// Nobody knows.
    Failed,
}

impl Outcome {
    /// Reads the answer to a report.
    pub fn read(answer: Option<&[u8]>) -> Self {
        match answer.and_then(|bytes| wire::read(bytes, 1)) {
            Some(told) if told.is_over && told.counters.is_empty() => Self::Refused,
            Some(told) => Self::Counted { is_over: told.is_over },
            None => Self::Failed,
        }
    }
}

/// What one VM owes the service.
#[derive(Debug, Default)]
pub struct Reports {
    rows: BTreeMap<Counter, Row>,
    /// Those under way, by the number of their call, with the context that sent them.
    calls: BTreeMap<u32, (u32, Report)>,
    pause: Millis,
    next: Millis,
    /// The counter that was told last: each has its turn.
    last: Option<Counter>,
}

impl Reports {
    /// Adds `amount` millionths of a hit to what is owed to `counter`.
    pub fn owe(&mut self, counter: Counter, amount: i64) {
        let row = self.rows.entry(counter).or_default();
        row.owed = row.owed.saturating_add(amount);
    }

    /// The reports that are due at `now`; and how many counters were given up, because their window has ended with
    /// something still owed to them.
    pub fn due(&mut self, now: Millis) -> (Vec<Report>, u64) {
        let mut lost = 0_u64;
        self.rows.retain(|counter, row| {
            let is_over = counter.end.is_some_and(|end| end.plus(GRACE) < now) && !row.is_under_way;
            lost = lost.saturating_add(u64::from(is_over && row.hits() > 0));
            !is_over && (row.owed != 0 || row.is_under_way || row.full_until > now)
        });
        let room = UNDER_WAY.saturating_sub(self.calls.len());
        if now < self.next || room == 0 || self.rows.is_empty() {
            return (Vec::new(), lost);
        }
        let after = |counter: &Counter| self.last.as_ref().is_none_or(|last| counter > last);
        let (first, then): (Vec<_>, Vec<_>) = self.rows.iter_mut().partition(|(counter, _)| after(counter));
        let mut due = Vec::new();
        for (counter, row) in first.into_iter().chain(then) {
            if row.full_until > now {
                row.owed = row.owed.min(0);
            }
            let hits = row.hits().min(row.step.unwrap_or(u32::MAX));
            if hits > 0 && !row.is_under_way && due.len() < room {
                row.is_under_way = true;
                due.push(Report { counter: counter.clone(), hits });
            }
        }
        self.last = due.last().map(|report| report.counter.clone()).or_else(|| self.last.take());
        (due, lost)
    }

    /// The report was sent by the context `sender` and is under way as `call`; `None`: it could not be sent.
    pub fn sent(&mut self, report: Report, sender: u32, call: Option<u32>, now: Millis) {
        match call {
            Some(call) => {
                self.calls.insert(call, (sender, report));
            }
            None => self.conclude(&report, Outcome::Failed, now),
        }
    }

    /// The report that went as `call`, which has ended.
    pub fn take(&mut self, call: u32) -> Option<Report> {
        self.calls.remove(&call).map(|(_, report)| report)
    }

    /// What came of a report; whether its counter is now known to be full.
    pub fn answered(&mut self, report: &Report, outcome: Outcome, now: Millis) -> bool {
        self.conclude(report, outcome, now);
        match outcome {
            Outcome::Counted { is_over } => is_over,
            Outcome::Refused => true,
            Outcome::Failed => false,
        }
    }

    fn conclude(&mut self, report: &Report, outcome: Outcome, now: Millis) {
        let row = self.rows.entry(report.counter.clone()).or_default();
        row.is_under_way = false;
        let hits = i64::from(report.hits);
        match outcome {
            Outcome::Failed => {
                self.pause = Millis(self.pause.0.saturating_mul(2)).max(PAUSE).min(LONGEST_PAUSE);
                self.next = now.plus(self.pause);
                return;
            }
            Outcome::Counted { .. } => row.owed = row.owed.saturating_sub(hits.saturating_mul(MILLIONTHS)),
            Outcome::Refused => {}
        }
        (self.pause, self.next) = (Millis(0), Millis(0));
        if outcome == Outcome::Refused && report.hits == 1 {
            *row = Row { full_until: now.plus(FILLED), ..Row::default() };
        } else if outcome == Outcome::Refused || row.step.is_some() {
            row.step = (row.hits() > 0).then_some(report.hits.div_ceil(2));
        }
    }

    /// Everything that is owed, in bytes for whoever goes on: the context `sender` ends, and no answer to its calls will
    /// come. Nothing of it is owed here any more.
    pub fn surrender(&mut self, sender: u32) -> Vec<u8> {
        self.calls.retain(|_, (by, report)| {
            let is_gone = *by == sender;
            if is_gone && let Some(row) = self.rows.get_mut(&report.counter) {
                row.is_under_way = false;
            }
            !is_gone
        });
        let mut lines = String::new();
        for (counter, row) in &mut self.rows {
            let owed = std::mem::take(&mut row.owed);
            let end = counter.end.map_or(0, |end| end.0);
            lines.push_str(&format!("{} {end} {owed}\n", counter.name));
        }
        lines.into_bytes()
    }

    /// Takes over what others surrendered; lines that make no sense are passed over.
    pub fn adopt(&mut self, bytes: &[u8]) {
        for line in std::str::from_utf8(bytes).unwrap_or_default().lines() {
            let mut parts = line.split(' ');
            if let (Some(name), Some(end), Some(owed)) = (parts.next(), parts.next(), parts.next())
                && let (Ok(end), Ok(owed)) = (end.parse::<u64>(), owed.parse())
            {
                let end = Some(Millis(end)).filter(|end| end.0 > 0);
                self.owe(Counter { name: name.into(), end }, owed);
            }
        }
    }
}

impl Row {
    /// Whole hits that are owed.
    fn hits(self) -> u32 {
        u32::try_from(self.owed.checked_div(MILLIONTHS).unwrap_or(0).max(0)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "report_tests.rs"]
mod tests;
