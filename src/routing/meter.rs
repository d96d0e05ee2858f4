//! How much of its `rpm`, `tpm`, `rpd`, `tpd` and `max_parallel_requests` a deployment or an account has left, exact across
//! all workers.
//!
//! A meter is a few bytes in what all workers share: decode, act, encode, compare-and-swap, again if another worker was
//! faster. Acting on a fresh copy is all that a retry takes. An attempt takes a place before it begins and leaves it at
//! its end.
//!
//! ## The rules
//!
//! - `rpm`: so many attempts begin in one minute. One that fails counts too, as with the provider.
//! - `tpm`: an attempt begins where the tokens of this minute and its own estimate fit. At its end the truth takes the
//!   estimate's place. LiteLLM's `usage-based-routing-v2` refuses by the same sum but sets nothing aside, so that
//!   requests that begin together pass the limit together.
//! - An estimate that is larger than `tpm` fits while nothing else counts in this minute: else it never could.
//! - `rpd` and `tpd`: the same for a day.
//! - A limit of zero admits nothing, and a refused attempt consumes nothing.
//!
//! The minutes and days are those of the clock in UTC, as with `usage-based-routing-v2`: every worker knows their ends. The
//! price is that twice a limit may pass around the end of a minute.
//!
//! Tokens count in the minute in which their attempt began. An attempt that ends in a later one changes nothing: its
//! estimate went with its own minute, and what it used is not held against those that come after it.
//!
//! ## Why places are listed by VM
//!
//! A VM that traps never gives its places back. So they are counted for each VM, and where none is free, those of VMs
//! that no longer beat are freed. Each entry knows since when it counts: a VM that took its first place less than five
//! seconds ago may not have beaten yet, and an attempt that outlives its VM's entry gives nothing back to a later one.
//!
//! # Limits
//!
//! - What attempts use above their estimates passes `tpm`, and keeps others out until the minute ends.
//! - What a trapped VM had set aside for tokens lapses with the minute.
//! - 256 VMs can hold places at one time. Where `max_parallel_requests` is set, another VM's attempt is refused.
//! - A clock that goes back by more than a minute starts the minute's counts anew.

use super::{Place, Skip};
use crate::bytes::Bytes;
use crate::config::Limits;
use crate::units::Millis;

/// What was asked in this minute and on this day, and who is asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    minute: Count<MINUTE>,
    day: Count<DAY>,
    /// The VMs with attempts under way; none with zero, at most [`MAX_VMS`].
    holders: Vec<Holder>,
}

/// What was asked in a span of time of so many milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count<const SPAN: u64> {
    /// Which one, counted since the epoch.
    number: u64,
    requests: u64,
    /// Estimates of attempts under way and truths of those that ended.
    tokens: u64,
}

impl<const SPAN: u64> Count<SPAN> {
    /// Begins the span of `now`, unless a worker that is late asks for the one before.
    fn advance(&mut self, now: Millis) {
        let number = now.0 / SPAN;
        if number != self.number && number.saturating_add(1) != self.number {
            *self = Self { number, ..Self::default() };
        }
    }

    const fn end(&self) -> Millis {
        Millis(self.number.saturating_add(1).saturating_mul(SPAN))
    }

    fn is_full(&self, limit: Option<u64>) -> bool {
        limit.is_some_and(|limit| self.requests >= limit)
    }

    fn lacks(&self, tokens: u64, limit: Option<u64>) -> bool {
        let fits = |limit| limit > 0 && (self.tokens == 0 || self.tokens.saturating_add(tokens) <= limit);
        limit.is_some_and(|limit| !fits(limit))
    }

    fn add(&mut self, tokens: u64, requests: u32) {
        self.requests = self.requests.saturating_add(requests.into());
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Replaces an estimate by the truth, where it was counted here, and takes so many requests back.
    fn settle(&mut self, place: &Place, tokens: u64, requests: u64) {
        if place.at.0 / SPAN == self.number {
            self.requests = self.requests.saturating_sub(requests);
            self.tokens = self.tokens.saturating_sub(place.tokens).saturating_add(tokens);
        }
    }

    const fn told(&self) -> Told {
        Told { requests: self.requests, tokens: self.tokens, end: self.end() }
    }
}

/// What was asked in a minute or on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Attempts.
    pub requests: u64,
    /// Their tokens.
    pub tokens: u64,
    /// When it ends.
    pub end: Millis,
}

/// The attempts of one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    vm: u64,
    /// The places it counts were taken then or later.
    since: Millis,
    count: u32,
}

impl Meter {
    /// Reads what [`Meter::encode`] wrote; bytes of another version or length are an empty meter.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes.strip_prefix(&VERSION)?);
        let mut next = || bytes.number();
        let minute = Count { number: next()?, requests: next()?, tokens: next()? };
        let day = Count { number: next()?, requests: next()?, tokens: next()? };
        let mut holders = Vec::with_capacity(bytes.0.len() / HOLDER_BYTES);
        while !bytes.is_empty() && holders.len() < MAX_VMS {
            let (vm, since) = (bytes.number()?, Millis(bytes.number()?));
            holders.push(Holder { vm, since, count: u32::from_le_bytes(bytes.take()?) });
        }
        bytes.is_empty().then_some(Self { minute, day, holders })
    }

    /// The meter in 52 bytes: version, then the minute, its requests and its tokens, and the same of the day, as
    /// little-endian `u64`s. For each VM with attempts under way 20 more: its number and the instant since which it counts
    /// as `u64`s, and a `u32`.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(52 + HOLDER_BYTES * self.holders.len());
        bytes.extend(VERSION);
        let Self { minute, day, .. } = self;
        let counts = [minute.number, minute.requests, minute.tokens, day.number, day.requests, day.tokens];
        bytes.extend(counts.into_iter().flat_map(u64::to_le_bytes));
        for holder in &self.holders {
            bytes.extend([holder.vm, holder.since.0].into_iter().flat_map(u64::to_le_bytes));
            bytes.extend(holder.count.to_le_bytes());
        }
        bytes
    }

    /// Takes a place for an attempt of `vm` that may use `tokens`. `is_alive` says of another VM whether it beats while it
    /// has attempts under way; it is asked only where no place is free.
    ///
    /// # Errors
    ///
    /// A limit is reached: see [`Meter::lack`]. Nothing is then taken; the meter need not be stored.
    pub fn take(
        &mut self,
        now: Millis,
        limits: &Limits,
        tokens: u64,
        vm: u64,
        is_alive: &dyn Fn(u64) -> bool,
    ) -> Result<Place, Skip> {
        match self.lack(now, limits, tokens, vm, is_alive) {
            Some(skip) => Err(skip),
            None => Ok(self.hold(now, tokens, vm)),
        }
    }

    /// Which of `limits` is reached; those of the day and the minute until it ends.
    pub fn lack(
        &mut self,
        now: Millis,
        limits: &Limits,
        tokens: u64,
        vm: u64,
        is_alive: &dyn Fn(u64) -> bool,
    ) -> Option<Skip> {
        self.minute.advance(now);
        self.day.advance(now);
        let (minute, day) = (&self.minute, &self.day);
        if day.is_full(limits.rpd) {
            return Some(Skip::Rpd(day.end()));
        }
        if day.lacks(tokens, limits.tpd) {
            return Some(Skip::Tpd(day.end()));
        }
        if minute.is_full(limits.rpm) {
            return Some(Skip::Rpm(minute.end()));
        }
        if minute.lacks(tokens, limits.tpm) {
            return Some(Skip::Tpm(minute.end()));
        }
        let parallel = limits.parallel?;
        let is_listed = self.holders.iter().any(|holder| holder.vm == vm);
        let is_full = |meter: &Self| meter.in_flight() >= parallel || (!is_listed && meter.holders.len() >= MAX_VMS);
        if is_full(self) {
            self.free(self.at(now), vm, is_alive);
        }
        is_full(self).then_some(Skip::Parallel)
    }

    /// Counts an attempt of `vm` that may use `tokens`, whether there is room or not.
    pub fn hold(&mut self, now: Millis, tokens: u64, vm: u64) -> Place {
        self.hold_many(now, tokens, vm, 1)
    }

    /// Counts so many attempts of `vm` that may use `tokens` together; their places are pieces of what it gives.
    pub fn hold_many(&mut self, now: Millis, tokens: u64, vm: u64, count: u32) -> Place {
        self.minute.advance(now);
        self.day.advance(now);
        let at = self.at(now);
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.vm == vm) {
            holder.count = holder.count.saturating_add(count);
            holder.since = holder.since.min(at);
        } else if self.holders.len() < MAX_VMS {
            self.holders.push(Holder { vm, since: at, count });
        }
        self.minute.add(tokens, count);
        self.day.add(tokens, count);
        Place { is_probe: false, tokens, at }
    }

    /// Frees the places of other VMs that no longer beat.
    fn free(&mut self, at: Millis, vm: u64, is_alive: &dyn Fn(u64) -> bool) {
        let is_new = |holder: &Holder| at.0.abs_diff(holder.since.0) <= GRACE.0;
        self.holders.retain(|holder| holder.vm == vm || is_new(holder) || is_alive(holder.vm));
    }

    /// A worker that read its clock just before the minute began counts in this minute all the same.
    fn at(&self, now: Millis) -> Millis {
        now.max(Millis(self.minute.number.saturating_mul(MINUTE)))
    }

    /// Gives a place of `vm` back, whose attempt used `tokens`. To be called once for each place.
    pub fn leave(&mut self, vm: u64, place: &Place, tokens: u64) {
        self.leave_many(vm, place, 1, 0, tokens);
    }

    /// Gives a place of `vm` back that led to nothing: it is as if it had never been taken.
    pub fn cancel(&mut self, vm: u64, place: &Place) {
        self.leave_many(vm, place, 1, 1, 0);
    }

    /// Gives `count` places back that were taken together; `unused` of them led to nothing, and the others used `tokens`.
    pub fn leave_many(&mut self, vm: u64, place: &Place, count: u32, unused: u32, tokens: u64) {
        self.minute.settle(place, tokens, unused.into());
        self.day.settle(place, tokens, unused.into());
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.vm == vm && holder.since <= place.at) {
            holder.count = holder.count.saturating_sub(count);
        }
        self.holders.retain(|holder| holder.count > 0);
    }

    /// What counts in the minute and on the day of `now`.
    pub fn counts(&self, now: Millis) -> (Told, Told) {
        let (mut minute, mut day) = (self.minute, self.day);
        minute.advance(now);
        day.advance(now);
        (minute.told(), day.told())
    }

    /// Whether so many requests more fit, which may use so many tokens together. Where places are limited there is never
    /// said to be room.
    pub fn has_room(&self, now: Millis, limits: &Limits, requests: u64, tokens: u64) -> bool {
        let (minute, day) = self.counts(now);
        let fits =
            |limit: Option<u64>, used: u64, more: u64| limit.is_none_or(|limit| used.saturating_add(more) <= limit);
        limits.parallel.is_none()
            && fits(limits.rpm, minute.requests, requests)
            && fits(limits.tpm, minute.tokens, tokens)
            && fits(limits.rpd, day.requests, requests)
            && fits(limits.tpd, day.tokens, tokens)
    }

    /// Whether its minute is that of `now`.
    pub const fn is_of_this_minute(&self, now: Millis) -> bool {
        now.0 / MINUTE == self.minute.number
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u64 {
        self.holders.iter().map(|holder| u64::from(holder.count)).sum()
    }
}

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGM2";
const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
/// How long after its first place a VM is taken to be alive.
const GRACE: Millis = Millis::from_secs(5);
/// More than any machine has workers; 5 kB.
const MAX_VMS: usize = 256;
const HOLDER_BYTES: usize = 20;

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
