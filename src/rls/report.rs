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
const UNDER_WAY: usize = 128;

/// The most counters of end users that the config does not list to which something is owed. What does not fit is lost, logged
/// and counted: else clients could fill the memory with names while the service is away.
const MOST_OF_OTHERS: usize = 16_384;

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
    /// Whether one hit is to be told though none is owed.
    is_doubted: bool,
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
        /// Whether the counter is at its limit or over it, as far as the service says.
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
            Some(told) => {
                let is_at_its_end = |left: &wire::Left| left.limit.is_some() && left.remaining == 0;
                Self::Counted { is_over: told.is_over || told.counters.iter().any(is_at_its_end) }
            }
            None => Self::Failed,
        }
    }

    /// Whether the counter is used up; `None`: nobody knows.
    pub const fn is_full(self) -> Option<bool> {
        match self {
            Self::Counted { is_over } => Some(is_over),
            Self::Refused => Some(true),
            Self::Failed => None,
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
    /// Counters of `rows` that belong to end users that the config does not list,
    others: usize,
    /// and those for which there was no room.
    lost: u64,
}

impl Reports {
    /// Adds `amount` millionths of a hit to what is owed to `counter`.
    pub fn owe(&mut self, counter: Counter, amount: i64) {
        if counter.whose.is_some() && !self.rows.contains_key(&counter) {
            if self.others >= MOST_OF_OTHERS {
                self.lost = self.lost.saturating_add(1);
                return;
            }
            self.others = self.others.saturating_add(1);
        }
        let row = self.rows.entry(counter).or_default();
        row.owed = row.owed.saturating_add(amount);
    }

    /// Has one hit of `counter` told, owed or not: the answer says whether it has room. What it takes is owed less later.
    pub fn look(&mut self, counter: &Counter) {
        self.rows.entry(counter.clone()).or_default().is_doubted = true;
    }

    /// The reports that are due at `now`; and how many times something was given up that is owed to a counter, because its
    /// window has ended, or for want of room.
    pub fn due(&mut self, now: Millis) -> (Vec<Report>, u64) {
        let (mut lost, mut others) = (std::mem::take(&mut self.lost), 0_usize);
        self.rows.retain(|counter, row| {
            let is_over = counter.end.is_some_and(|end| end.plus(GRACE) < now) && !row.is_under_way;
            lost = lost.saturating_add(u64::from(is_over && row.hits() > 0));
            let is_kept = !is_over && (row.is_owed(counter) || row.is_under_way || row.full_until > now);
            others = others.saturating_add(usize::from(is_kept && counter.whose.is_some()));
            is_kept
        });
        self.others = others;
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
            let hits = row.hits().min(row.step.unwrap_or(u32::MAX)).max(u32::from(row.is_doubted));
            if hits > 0 && !row.is_under_way && due.len() < room {
                (row.is_under_way, row.is_doubted) = (true, false);
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

    /// What came of a report.
    pub fn conclude(&mut self, report: &Report, outcome: Outcome, now: Millis) {
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

    /// Whether more is owed to `counter` than it has room for: it is being filled.
    pub fn is_filling(&self, counter: &Counter) -> bool {
        self.rows.get(counter).is_some_and(|row| row.step.is_some())
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
            let whose = counter.whose.as_deref().unwrap_or_default();
            lines.push_str(&format!("{} {end} {owed} {whose}\n", counter.name));
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
                let whose = parts.next().filter(|whose| !whose.is_empty()).map(Into::into);
                self.owe(Counter { name: name.into(), whose, end }, owed);
            }
        }
    }
}

impl Row {
    /// Whether there is anything to tell. Of the many end users that the config does not list, nothing is kept that comes to
    /// less than a hit.
    fn is_owed(self, counter: &Counter) -> bool {
        self.is_doubted || if counter.whose.is_some() { self.hits() > 0 } else { self.owed != 0 }
    }

    /// Whole hits that are owed.
    fn hits(self) -> u32 {
        u32::try_from(self.owed.checked_div(MILLIONTHS).unwrap_or(0).max(0)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "report_tests.rs"]
mod tests;
