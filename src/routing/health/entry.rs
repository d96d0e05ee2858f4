//! What is known against one deployment, or one credential, and what follows from a further failure.
//!
//! ## The rules
//!
//! - Where `allowed_fails` or the class's own `allowed_fails_policy` is set: the failures within a window of
//!   `cooldown_time` must exceed it. Classes with a larger allowance do not count: an allowance of 100 for rate limits
//!   and 2 for timeouts means that the third timeout cools, not the third failure.
//! - Else a refused credential cools at once, and so does a rate limit where the group has another deployment.
//! - Else more than half of this minute's requests must have failed, at least 5 of them begun; 20 where the deployment
//!   is alone in its group. Or more than half of those since the minute's first failure, at least 10 (20) of them: an
//!   outage late in a minute is not made up for by its beginning.
//!
//! A cooldown lasts until the provider wants to be asked again, an hour at most; where it does not say, as long as
//! `cooldown_time`. Failures that come in later, of attempts begun before, change nothing: what they tell is known.
//! Only a provider's later date does.
//!
//! The rules are LiteLLM's, with these differences: the one since the first failure is ours; connection failures count; all workers count together; a deployment
//! without a substitute is never cooled, nor is one for a 404, which the client's request can bring about; a refused
//! credential cools whatever uses it.
//!
//! Source: LiteLLM 1.109, `router_utils/cooldown_handlers.py`, read 2026-11-23.

use super::Traffic;
use crate::config::Breaker;
use crate::routing::{Class, Health, Outcome, Skip};
use crate::units::Millis;

/// What is known against a deployment or a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// [`crate::config::Deployment::number`] or `credential_number`.
    pub(super) number: u64,
    /// When the entry was last changed.
    pub(super) written: Millis,
    pub(super) trust: Trust,
    /// The provider has nothing left until then.
    pub(super) exhausted_until: Millis,
    /// The minute, since the epoch, in which `in_minute` failures were counted by the percentage rule.
    pub(super) minute: u64,
    pub(super) in_minute: u32,
    /// The requests of that minute that had ended before the first of them.
    pub(super) before: u32,
    /// When the window began in which `in_window` failures were counted against an allowance.
    pub(super) window: Millis,
    /// For each class in the order of [`COUNTED`].
    pub(super) in_window: [u16; COUNTED.len()],
}

/// Whether it is believed to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is.
    #[default]
    Full,
    /// Not before then; after it, it is half-open.
    Cooled(Millis),
    /// One request tries whether it does; without an outcome by then, it is half-open.
    Probing(Millis),
}

/// The classes for which [`Class::counts`] holds.
pub(super) const COUNTED: [Class; 6] = [
    Class::Authentication,
    Class::Timeout,
    Class::RateLimit,
    Class::InternalServer,
    Class::ServiceUnavailable,
    Class::Connection,
];

/// A failure, and what decides about its consequences.
pub(super) struct Circumstances<'a> {
    pub(super) now: Millis,
    pub(super) class: Class,
    pub(super) breaker: &'a Breaker,
    pub(super) outcome: &'a Outcome,
    /// With the request that fails among those begun and under way.
    pub(super) traffic: Traffic,
}

impl Entry {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            written: Millis(0),
            trust: Trust::Full,
            exhausted_until: Millis(0),
            minute: 0,
            in_minute: 0,
            before: 0,
            window: Millis(0),
            in_window: [0; COUNTED.len()],
        }
    }

    /// The entry as it is to be read at `now`. One from the future was written before the clock was set back: its
    /// instants mean nothing, only that there was a cooldown.
    #[must_use]
    pub(super) fn as_of(self, now: Millis) -> Self {
        if self.written <= now.plus(SKEW) {
            return self;
        }
        let trust = match self.trust {
            Trust::Full => Trust::Full,
            Trust::Cooled(_) | Trust::Probing(_) => Trust::Cooled(now),
        };
        Self { trust, written: now, ..Self::new(self.number) }
    }

    /// Whether anything would be lost with it.
    pub(super) fn matters(&self, now: Millis) -> bool {
        let distrusted = match self.trust {
            Trust::Full => false,
            Trust::Cooled(until) | Trust::Probing(until) => now < until.plus(FORGOTTEN_AFTER),
        };
        let counted = self.in_minute > 0 && self.minute == minute(now)
            || self.in_window.iter().any(|&count| count > 0) && now.since(self.window) < FORGOTTEN_AFTER;
        distrusted || counted || now < self.exhausted_until
    }

    pub(super) fn health(&self, now: Millis) -> Health {
        let exhausted = (now < self.exhausted_until).then_some(Skip::Exhausted(self.exhausted_until));
        let skip = match self.trust {
            Trust::Cooled(until) if now < until => Some(Skip::Cooldown(until)),
            Trust::Probing(until) if now < until => Some(Skip::Probing(until)),
            Trust::Full | Trust::Cooled(_) | Trust::Probing(_) => None,
        };
        match (skip, exhausted) {
            (Some(skip), Some(exhausted)) if skip.until() < exhausted.until() => Health::Closed(exhausted),
            (Some(skip), _) | (None, Some(skip)) => Health::Closed(skip),
            (None, None) if self.trust == Trust::Full => Health::Open,
            (None, None) => Health::HalfOpen,
        }
    }

    /// Takes the probe, where it is half-open.
    pub(super) fn claim(&mut self, now: Millis, end: Millis) {
        if self.health(now) == Health::HalfOpen {
            self.trust = Trust::Probing(end);
        }
    }

    /// Gives back the probe whose lease ends at `end`.
    pub(super) fn release(&mut self, now: Millis, end: Millis) {
        if self.trust == Trust::Probing(end) {
            self.trust = Trust::Cooled(now);
        }
    }

    /// Ends a probe that failed through another's fault: the next one may try at once.
    pub(super) fn hand_on(&mut self, now: Millis) {
        if let Trust::Probing(_) = self.trust {
            self.trust = Trust::Cooled(now);
        }
    }

    /// Trusts it again.
    pub(super) fn recover(&mut self) {
        let exhausted_until = self.exhausted_until;
        *self = Self { exhausted_until, written: self.written, ..Self::new(self.number) };
    }

    /// Notes that nothing is left until then.
    ///
    /// Providers tell when their bucket is full again, which may be a day off while the next request is free in
    /// seconds. So it is believed for a minute, the span of most limits, and told again by the next answer.
    pub(super) fn exhaust(&mut self, now: Millis, until: Millis) {
        let until = until.min(now.plus(EXHAUSTED_MAX));
        if now < until {
            self.exhausted_until = self.exhausted_until.max(until);
        }
    }

    /// Notes a failure.
    pub(super) fn fail(&mut self, failure: &Circumstances<'_>) {
        let (now, is_probe) = (failure.now, failure.outcome.is_probe);
        if !failure.may_cool() {
            if is_probe {
                self.hand_on(now);
            }
            return;
        }
        let end = match self.trust {
            Trust::Full => self.trips(failure).then(|| failure.rest()),
            Trust::Cooled(until) if now < until || !is_probe => failure.retry_at().filter(|&later| until < later),
            Trust::Probing(_) if !is_probe => None,
            Trust::Cooled(_) | Trust::Probing(_) => Some(failure.rest()),
        };
        if let Some(end) = end {
            self.recover();
            self.trust = Trust::Cooled(end);
        }
    }

    /// Counts a failure. Whether it was the last straw.
    fn trips(&mut self, failure: &Circumstances<'_>) -> bool {
        if let Some(allowed) = failure.breaker.allowed_fails.get(failure.class) {
            return self.count_in_window(failure, allowed) > u64::from(allowed);
        }
        let has_sibling = failure.outcome.siblings > 1;
        match failure.class {
            Class::Authentication => true,
            Class::RateLimit if has_sibling => true,
            _ => {
                let failures = u64::from(self.count_in_minute(failure));
                // The count of requests lags.
                let are_most = |requests: u64, least: u64| {
                    let requests = requests.max(failures);
                    requests >= least && failures.saturating_mul(2) > requests
                };
                let since_first = failure.traffic.begun.saturating_sub(self.before.into());
                let least = if has_sibling { (REQUESTS_MIN, SINCE_MIN) } else { (ALONE_MIN, ALONE_MIN) };
                are_most(failure.traffic.begun, least.0) || are_most(since_first, least.1)
            }
        }
    }

    fn count_in_minute(&mut self, failure: &Circumstances<'_>) -> u32 {
        let minute = minute(failure.now);
        if self.minute != minute || self.in_minute == 0 {
            let before = failure.traffic.begun.saturating_sub(failure.traffic.under_way.max(1));
            (self.minute, self.in_minute) = (minute, 0);
            self.before = u32::try_from(before).unwrap_or(u32::MAX);
        }
        self.in_minute = self.in_minute.saturating_add(1);
        self.in_minute
    }

    /// The failures of this window of all classes with no larger allowance.
    fn count_in_window(&mut self, failure: &Circumstances<'_>, allowed: u32) -> u64 {
        if failure.now.since(self.window) >= failure.breaker.cooldown {
            (self.window, self.in_window) = (failure.now, [0; COUNTED.len()]);
        }
        let mut sum = 0;
        for (class, count) in COUNTED.into_iter().zip(&mut self.in_window) {
            if class == failure.class {
                *count = count.saturating_add(1);
            }
            if failure.breaker.allowed_fails.get(class).is_some_and(|other| other <= allowed) {
                sum += u64::from(*count);
            }
        }
        sum
    }
}

impl Circumstances<'_> {
    fn may_cool(&self) -> bool {
        self.breaker.cooldown > Millis(0) && has_substitute(self.outcome)
    }

    /// When the provider wants to be asked again.
    fn retry_at(&self) -> Option<Millis> {
        let at = self.outcome.retry_at.filter(|&at| at > self.now)?;
        Some(at.min(self.now.plus(REST_MAX)))
    }

    /// The end of a cooldown that begins with this failure.
    fn rest(&self) -> Millis {
        self.retry_at().unwrap_or_else(|| self.now.plus(self.breaker.cooldown))
    }
}

/// Whether anybody else can be asked.
pub(super) const fn has_substitute(outcome: &Outcome) -> bool {
    outcome.siblings > 1 || outcome.has_fallbacks
}

const fn minute(now: Millis) -> u64 {
    now.0 / 60_000
}

/// The longest cooldown that a provider can ask for.
const REST_MAX: Millis = Millis::from_secs(3600);
/// The longest that a provider's word about its quota is believed.
const EXHAUSTED_MAX: Millis = Millis::from_secs(60);
/// How long a half-open deployment, or a window's count, that nobody asked for is kept.
const FORGOTTEN_AFTER: Millis = Millis::from_secs(3600);
/// Workers read the clock before they read the alerts; further ahead an entry cannot be unless the clock was set back.
const SKEW: Millis = Millis::from_secs(1);
/// Requests in a minute from which on their failures are a share worth judging by.
const REQUESTS_MIN: u64 = 5;
/// The same since the first failure: a chance that begins with a failure is a worse one.
const SINCE_MIN: u64 = 10;
/// Both for a deployment that is alone in its group: closing it sends everyone to a fallback.
const ALONE_MIN: u64 = 20;
