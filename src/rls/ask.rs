//! May this request come? One question to the service for all budgets and limits of its accounts, and what it is owed after.

use std::rc::Rc;

use super::wire::{self, Left};
use super::{Cap, Counter, Full, Named, Unit};
use crate::budget::account::Denied;
use crate::budget::{Account, RateLimits};
use crate::units::Millis;

/// The question of one request: one hit more of each of these counters.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    counters: Vec<Counter>,
    caps: Vec<(Rc<Account>, Cap)>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of them have room; what is left of each, where the service says it.
    Room(Vec<Left>),
    /// These positions have none; all of them where the service does not say which.
    Full(Vec<usize>),
    /// The service gives no answer that can be read.
    Unknown,
}

impl Ask {
    /// The question for a request of these accounts at `now`; `None` where nothing is enforced that the service counts.
    pub fn new<'a>(accounts: impl Iterator<Item = &'a Rc<Account>>, now: Millis) -> Option<Self> {
        Self::of(enforced_or_not(accounts, false), now)
    }

    /// What is asked beside it: a question for each budget and limit in shadow mode. One that is used up would else hide
    /// what the service says of the others.
    pub fn in_shadow<'a>(accounts: impl Iterator<Item = &'a Rc<Account>>, now: Millis) -> Vec<Self> {
        enforced_or_not(accounts, true).filter_map(|cap| Self::of(std::iter::once(cap), now)).collect()
    }

    /// What the service is told of an attempt at a deployment with these budgets and limits; `None` where there are none.
    pub fn of_deployment(caps: &[Named], now: Millis) -> Option<Self> {
        let counters = caps.iter().map(|named| named.counter(now)).collect();
        let caps: Vec<_> = caps.iter().map(|named| (Rc::clone(&named.account), named.cap.clone())).collect();
        (!caps.is_empty()).then_some(Self { counters, caps })
    }

    fn of<'a>(caps: impl Iterator<Item = (&'a Rc<Account>, Cap)>, now: Millis) -> Option<Self> {
        let mut ask = Self::default();
        for (account, cap) in caps {
            ask.counters.push(cap.counter(account, now));
            ask.caps.push((Rc::clone(account), cap));
        }
        (!ask.counters.is_empty()).then_some(ask)
    }

    /// The counters that it asks for.
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// The cap at a position, with its account and the end of its window.
    pub fn cap(&self, position: usize) -> Option<(&Rc<Account>, &Cap, Option<Millis>)> {
        let (account, cap) = self.caps.get(position)?;
        Some((account, cap, self.counters.get(position)?.end))
    }

    /// The message that asks it.
    pub fn request(&self, domain: &str) -> Vec<u8> {
        wire::request(domain, &self.counters, 1)
    }

    /// What is known without a call: the positions that are used up.
    pub fn known(&self, full: &Full, now: Millis) -> Option<Vec<usize>> {
        Some(full.find(&self.counters, now)).filter(|found| !found.is_empty())
    }

    /// Reads the answer, and remembers what is used up.
    pub fn read(&self, answer: Option<&[u8]>, full: &mut Full, now: Millis) -> Verdict {
        let Some(told) = answer.and_then(|bytes| wire::read(bytes, self.counters.len())) else {
            return Verdict::Unknown;
        };
        if !told.is_over {
            return Verdict::Room(told.counters);
        }
        let named: Vec<usize> =
            told.counters.iter().enumerate().filter(|(_, left)| left.is_over).map(|(i, _)| i).collect();
        if named.is_empty() {
            full.learn(self.counters.clone(), now);
            return Verdict::Full((0..self.counters.len()).collect());
        }
        for counter in named.iter().filter_map(|i| self.counters.get(*i)) {
            full.learn(vec![counter.clone()], now);
        }
        Verdict::Full(named)
    }

    /// The refusal by what is enforced at `positions`, which are used up: by the one whose window lasts longest. `None` where
    /// nothing there refuses.
    pub fn denied(&self, positions: &[usize]) -> Option<Denied> {
        let caps = positions.iter().filter_map(|position| self.cap(*position));
        let enforced = caps.filter(|(_, cap, _)| !cap.is_shadow);
        let (account, cap, end) = enforced.max_by_key(|(.., end)| (end.is_none(), *end))?;
        Some(Denied { account: Rc::clone(account), lack: cap.lack(end), left: RateLimits::default() })
    }

    /// What the service is owed at `now` for a request that cost `pico` picodollars and used `tokens`: each counter with its
    /// amount in millionths of a hit. An answered question has taken one hit of each of its counters.
    pub fn owed(&self, is_answered: bool, now: Millis, pico: u64, tokens: u64) -> Vec<(Counter, i64)> {
        let all = self.counters.iter().zip(&self.caps);
        let owed = all.filter_map(|(asked, (_, cap))| {
            let counter = Counter { end: cap.span.end_after(now), ..asked.clone() };
            let amount = match cap.unit {
                Unit::Money => i64::try_from(pico).unwrap_or(i64::MAX),
                // A request counts when it comes, not when it ends: in the window in which it was asked for.
                Unit::Requests if is_answered => return None,
                Unit::Requests => MILLIONTHS,
                Unit::Tokens => i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MILLIONTHS),
            };
            let taken = if is_answered && counter == *asked { MILLIONTHS } else { 0 };
            let amount = if counter.whose.is_some() { rounded_up(amount) } else { amount };
            Some((counter, amount.saturating_sub(taken))).filter(|(_, amount)| *amount != 0)
        });
        owed.collect()
    }
}

/// Whole hits: for millions of end users no fractions are kept.
const fn rounded_up(amount: i64) -> i64 {
    let hits = (amount / MILLIONTHS).saturating_add((amount % MILLIONTHS > 0) as i64);
    let hits = if hits < 1 { 1 } else { hits };
    hits.saturating_mul(MILLIONTHS)
}

fn enforced_or_not<'a>(
    accounts: impl Iterator<Item = &'a Rc<Account>>,
    is_shadow: bool,
) -> impl Iterator<Item = (&'a Rc<Account>, Cap)> {
    let caps = accounts.flat_map(|account| Cap::all(account).into_iter().map(move |cap| (account, cap)));
    caps.filter(move |(_, cap)| cap.is_shadow == is_shadow)
}

/// Millionths of a hit in one: a picodollar is one of a micro-dollar.
pub(super) const MILLIONTHS: i64 = 1_000_000;

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
