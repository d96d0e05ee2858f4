//! How much of its `rpm`, `tpm` and `max_parallel_requests` a deployment has left, exact across all workers.
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
//! - A limit of zero admits nothing, and a refused attempt consumes nothing.
//!
//! The minutes are those of the clock in UTC, as with `usage-based-routing-v2`: every worker knows their ends. The price
//! is that twice a limit may pass around the end of a minute.
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

/// What one deployment was asked in this minute, and who is asking it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// The minute, counted since the epoch.
    minute: u64,
    requests: u64,
    /// Estimates of attempts under way and truths of those that ended.
    tokens: u64,
    /// The VMs with attempts under way; none with zero, at most [`MAX_VMS`].
    holders: Vec<Holder>,
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
        let (minute, requests, tokens) = (bytes.number()?, bytes.number()?, bytes.number()?);
        let mut holders = Vec::with_capacity(bytes.0.len() / HOLDER_BYTES);
        while !bytes.is_empty() && holders.len() < MAX_VMS {
            let (vm, since) = (bytes.number()?, Millis(bytes.number()?));
            holders.push(Holder { vm, since, count: u32::from_le_bytes(bytes.take()?) });
        }
        bytes.is_empty().then_some(Self { minute, requests, tokens, holders })
    }

    /// The meter in 28 bytes: version, then the minute, its requests and its tokens as little-endian `u64`s. For each
    /// VM with attempts under way 20 more: its number and the instant since which it counts as `u64`s, and a `u32`.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28 + HOLDER_BYTES * self.holders.len());
        bytes.extend(VERSION);
        bytes.extend([self.minute, self.requests, self.tokens].into_iter().flat_map(u64::to_le_bytes));
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
    /// A limit is reached; [`Skip::Rpm`] and [`Skip::Tpm`] until the minute ends. Nothing is then taken; the meter need
    /// not be stored.
    pub fn take(
        &mut self,
        now: Millis,
        limits: &Limits,
        tokens: u64,
        vm: u64,
        is_alive: &dyn Fn(u64) -> bool,
    ) -> Result<Place, Skip> {
        self.advance(now);
        let ends = Millis(self.minute.saturating_add(1).saturating_mul(MINUTE));
        if limits.rpm.is_some_and(|rpm| self.requests >= rpm) {
            return Err(Skip::Rpm(ends));
        }
        if limits.tpm.is_some_and(|tpm| !self.fits(tokens, tpm)) {
            return Err(Skip::Tpm(ends));
        }
        // A worker that read its clock just before the minute began counts in this minute all the same.
        let at = now.max(Millis(self.minute.saturating_mul(MINUTE)));
        self.hold(at, limits.parallel, vm, is_alive)?;
        self.requests = self.requests.saturating_add(1);
        self.tokens = self.tokens.saturating_add(tokens);
        Ok(Place { is_probe: false, tokens, at })
    }

    /// Gives a place of `vm` back, whose attempt used `tokens`. To be called once for each place.
    pub fn leave(&mut self, vm: u64, place: &Place, tokens: u64) {
        if place.at.0 / MINUTE == self.minute {
            self.tokens = self.tokens.saturating_sub(place.tokens).saturating_add(tokens);
        }
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.vm == vm && holder.since <= place.at) {
            holder.count = holder.count.saturating_sub(1);
        }
        self.holders.retain(|holder| holder.count > 0);
    }

    /// Gives a place of `vm` back that led to nothing: it is as if it had never been taken.
    pub fn cancel(&mut self, vm: u64, place: &Place) {
        if place.at.0 / MINUTE == self.minute {
            self.requests = self.requests.saturating_sub(1);
        }
        self.leave(vm, place, 0);
    }

    /// Requests and tokens of the minute of `now`, and when it ends.
    pub fn counts(&self, now: Millis) -> (u64, u64, Millis) {
        let mut at_now = self.clone();
        at_now.advance(now);
        (at_now.requests, at_now.tokens, Millis(at_now.minute.saturating_add(1).saturating_mul(MINUTE)))
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u64 {
        self.holders.iter().map(|holder| u64::from(holder.count)).sum()
    }

    /// Begins the minute of `now`, unless a worker that is late asks for the one before.
    fn advance(&mut self, now: Millis) {
        let minute = now.0 / MINUTE;
        if minute != self.minute && minute.saturating_add(1) != self.minute {
            (self.minute, self.requests, self.tokens) = (minute, 0, 0);
        }
    }

    const fn fits(&self, tokens: u64, tpm: u64) -> bool {
        tpm > 0 && (self.tokens == 0 || self.tokens.saturating_add(tokens) <= tpm)
    }

    /// Counts an attempt of `vm`, after others' lost places were freed where none is free.
    fn hold(&mut self, at: Millis, parallel: Option<u64>, vm: u64, is_alive: &dyn Fn(u64) -> bool) -> Result<(), Skip> {
        let is_full = |meter: &Self| parallel.is_some_and(|parallel| meter.in_flight() >= parallel);
        let is_listed = self.holders.iter().any(|holder| holder.vm == vm);
        if is_full(self) || (!is_listed && self.holders.len() >= MAX_VMS) {
            let is_new = |holder: &Holder| at.0.abs_diff(holder.since.0) <= GRACE.0;
            self.holders.retain(|holder| holder.vm == vm || is_new(holder) || is_alive(holder.vm));
        }
        if is_full(self) {
            return Err(Skip::Parallel);
        }
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.vm == vm) {
            holder.count = holder.count.saturating_add(1);
            holder.since = holder.since.min(at);
        } else if self.holders.len() < MAX_VMS {
            self.holders.push(Holder { vm, since: at, count: 1 });
        } else if parallel.is_some() {
            return Err(Skip::Parallel);
        }
        Ok(())
    }
}

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGM1";
const MINUTE: u64 = 60_000;
/// How long after its first place a VM is taken to be alive.
const GRACE: Millis = Millis::from_secs(5);
/// More than any machine has workers; 5 kB.
const MAX_VMS: usize = 256;
const HOLDER_BYTES: usize = 20;

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
