//! Alerts: which deployments, and which credentials, may not be asked, for all workers at once.
//!
//! Alerts are a few bytes in the host's shared data: decode, act, encode, compare-and-swap, again if another worker
//! was faster. They are read for every request and are empty while nothing fails.
//!
//! ## What takes a deployment out
//!
//! - A cooldown, after failures that say something about the provider ([`Class::counts`]). The rules are in `entry`.
//! - The provider's own word that nothing is left until a certain time ([`Outcome::exhausted_until`]): it is avoided
//!   before it has to refuse. That is no failure.
//!
//! A refused credential takes out every deployment that uses it: the entry has the credential's number. A deployment
//! for which a request has no substitute, neither in its group nor in another, is never taken out by its own failures:
//! an answer that may fail is better than none.
//!
//! ## How it comes back
//!
//! After a cooldown it is half-open. One request claims the probe, all others pass it by until the probe's end is told
//! or its lease is over, so a provider that is just getting up meets one request and not a herd. An answer closes the
//! matter, even one that blames the client; a failure cools it again. A worker that dies with a probe under way costs
//! the rest of the lease.
//!
//! # Limits
//!
//! - A deployment that was half-open for an hour without a request is forgotten: the next ones all go there.
//! - Beyond [`ENTRIES_MAX`] entries the failures of further deployments are not noted.

mod bytes;
mod entry;

use super::{Class, Health, Outcome};
use crate::config::Deployment;
use crate::units::Millis;
use entry::{Circumstances, Entry};

/// The most entries: 4,096 of 69 bytes are 276 KiB, read for every request only while as many deployments fail.
pub const ENTRIES_MAX: usize = 4096;

/// What is wrong with which deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// Sorted by number; none of them twice.
    entries: Vec<Entry>,
}

/// How busy a deployment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests begun in this minute.
    pub begun: u64,
    /// Requests under way, whenever they began.
    pub under_way: u64,
}

impl Alerts {
    /// Whether every deployment may be asked, and no failure is counted.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `deployment` may be asked. Whoever finds it half-open must [`Alerts::claim`] it first.
    pub fn health(&self, now: Millis, deployment: &Deployment) -> Health {
        let [own, credential] = numbers(deployment).map(|number| self.one(now, number));
        worse(own, credential)
    }

    /// Takes the one probe of a half-open deployment, or of its half-open credential, or of both. Whether it was to be
    /// had; if so, the alerts must be stored, and the attempt's outcome be told as a probe's.
    ///
    /// `lease` is how long others wait for the outcome, a minute at most.
    pub fn claim(&mut self, now: Millis, deployment: &Deployment, lease: Millis) -> bool {
        if self.health(now, deployment) != Health::HalfOpen {
            return false;
        }
        let end = lease_end(now, lease);
        numbers(deployment).map(|number| self.change(now, number, |entry| entry.claim(now, end))).contains(&true)
    }

    /// Gives back a probe that was claimed at `claimed_at` and ended without an outcome: its client went away. Whether
    /// the alerts must be stored. A probe whose outcome was told, or that another has taken since, stays as it is.
    pub fn release(&mut self, now: Millis, deployment: &Deployment, claimed_at: Millis, lease: Millis) -> bool {
        let end = lease_end(claimed_at, lease);
        numbers(deployment).map(|number| self.change(now, number, |entry| entry.release(now, end))).contains(&true)
    }

    /// Notes an attempt that failed. Whether the alerts must be stored.
    ///
    /// The deployment's `traffic` may lag.
    pub fn fail(&mut self, now: Millis, deployment: &Deployment, outcome: &Outcome, traffic: Traffic) -> bool {
        let Some(class) = outcome.failure.filter(|class| class.counts()) else {
            return self.succeed(now, deployment, outcome);
        };
        let circumstances = Circumstances { now, class, breaker: &deployment.breaker, outcome, traffic };
        let [own, credential] = numbers(deployment);
        let (guilty, other) = if class == Class::Authentication { (credential, own) } else { (own, credential) };
        let noted = self.change(now, guilty, |entry| entry.fail(&circumstances));
        let handed_on = outcome.is_probe && self.change(now, other, |entry| entry.hand_on(now));
        self.exhaust(now, deployment, outcome) || noted || handed_on
    }

    /// Notes an attempt that got an answer. Whether the alerts must be stored.
    pub fn succeed(&mut self, now: Millis, deployment: &Deployment, outcome: &Outcome) -> bool {
        let recovered = outcome.is_probe
            && numbers(deployment).map(|number| self.change(now, number, Entry::recover)).contains(&true);
        self.exhaust(now, deployment, outcome) || recovered
    }

    fn exhaust(&mut self, now: Millis, deployment: &Deployment, outcome: &Outcome) -> bool {
        let until = outcome.exhausted_until.filter(|_| entry::has_substitute(outcome));
        until.is_some_and(|until| self.change(now, deployment.number, |entry| entry.exhaust(now, until)))
    }

    fn one(&self, now: Millis, number: u64) -> Health {
        let found = self.entries.binary_search_by_key(&number, |entry| entry.number);
        found.ok().and_then(|i| self.entries.get(i)).map_or(Health::Open, |entry| entry.as_of(now).health(now))
    }

    /// Applies `change` to the entry of `number`. When that says something else than before, it is stored, and the
    /// entries that say nothing any more are dropped.
    fn change(&mut self, now: Millis, number: u64, change: impl FnOnce(&mut Entry)) -> bool {
        let place = self.entries.binary_search_by_key(&number, |entry| entry.number);
        let found = place.ok().and_then(|i| self.entries.get(i)).copied();
        let before = found.unwrap_or_else(|| Entry::new(number)).as_of(now);
        let mut entry = before;
        change(&mut entry);
        if entry == before {
            return false;
        }
        entry.written = now;
        match place.map(|i| self.entries.get_mut(i)) {
            Ok(Some(slot)) => *slot = entry,
            Ok(None) => return false,
            Err(i) => self.entries.insert(i, entry),
        }
        self.entries.retain(|entry| entry.as_of(now).matters(now));
        if self.entries.len() > ENTRIES_MAX {
            self.entries.retain(|entry| entry.number != number);
            return false;
        }
        true
    }
}

/// Under which numbers there may be an entry about `deployment`.
const fn numbers(deployment: &Deployment) -> [u64; 2] {
    [deployment.number, deployment.credential_number]
}

fn lease_end(now: Millis, lease: Millis) -> Millis {
    now.plus(lease.clamp(LEASE_MIN, LEASE_MAX))
}

/// What holds when both do: closed before half-open before open; of two that are closed, the one that opens later.
fn worse(one: Health, other: Health) -> Health {
    match (one, other) {
        (Health::Closed(a), Health::Closed(b)) if a.until() < b.until() => other,
        (Health::Closed(_), _) => one,
        (_, Health::Closed(_)) => other,
        (Health::HalfOpen, _) | (_, Health::HalfOpen) => Health::HalfOpen,
        (Health::Open, Health::Open) => Health::Open,
    }
}

/// A deployment's timeout may be 100 minutes. So long nobody must wait for a dead worker; a second probe a minute
/// harms no provider.
const LEASE_MAX: Millis = Millis::from_secs(60);
const LEASE_MIN: Millis = Millis::from_secs(1);

#[cfg(test)]
mod tests;
