//! A token as all workers share it, and the clock that it runs by.
//!
//! A slot is a few bytes in the host's shared data: decode, act, encode, compare-and-swap.

use super::exchange::{Granted, TIMEOUT};
use crate::bytes::Bytes;
use crate::secret::Secret;
use crate::units::Millis;

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGT1";

/// How long before its end a token is renewed: google-auth's choice. The metadata server gives the same token again
/// until five minutes before its end.
const MARGIN: Millis = Millis::from_secs(225);

/// How long before its end a token is no longer used: a request takes a while to arrive, and clocks differ.
const SKEW: Millis = Millis::from_secs(10);

/// How long a worker may take to fetch.
const LEASE: Millis = TIMEOUT.plus(Millis::from_secs(5));

/// The pause after a first failure; it doubles with each.
const PAUSE: Millis = Millis::from_secs(1);
const LONGEST_PAUSE: Millis = Millis::from_secs(60);

/// A token, and who looks after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    token: Option<Secret>,
    /// The end of the token's use.
    until: Millis,
    /// When the next try is due.
    due: Millis,
    /// Until when somebody has a try under way.
    lease: Millis,
    /// When the last try ended; zero where none has.
    tried: Millis,
    /// The failures since the last success.
    failures: u64,
}

impl Slot {
    /// Reads what [`Slot::encode`] wrote; other bytes are an empty slot.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes.strip_prefix(&VERSION)?);
        let mut next = || bytes.number();
        let [until, due, lease, tried] = [next()?, next()?, next()?, next()?].map(Millis);
        let failures = next()?;
        let token = std::str::from_utf8(bytes.0).ok().filter(|token| !token.is_empty()).map(Secret::new);
        Some(Self { token, until, due, lease, tried, failures })
    }

    /// The slot in bytes: version, five little-endian `u64`s, the token.
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [self.until.0, self.due.0, self.lease.0, self.tried.0, self.failures];
        let token = self.token.as_ref().map_or("", Secret::expose);
        VERSION.into_iter().chain(numbers.into_iter().flat_map(u64::to_le_bytes)).chain(token.bytes()).collect()
    }

    /// The token, where it is valid at `now`.
    pub fn secret(&self, now: Millis) -> Option<&Secret> {
        self.token.as_ref().filter(|_| now < self.until)
    }

    /// Whether a try is due: also after a clock was set back, whose times mean nothing.
    ///
    /// Workers read the clock one after the other: a time that is a little ahead is another worker's.
    pub fn is_due(&self, now: Millis) -> bool {
        self.due <= now || now.plus(LEASE) < self.tried
    }

    /// Whether a first try has ended, well or not.
    pub fn is_settled(&self) -> bool {
        self.tried > Millis(0)
    }

    /// Takes the next try, where it is due and nobody has it. It is this worker's once the slot is stored.
    pub fn claim(&mut self, now: Millis) -> bool {
        let is_leased = now < self.lease && self.lease <= now.plus(LEASE).plus(LEASE);
        let is_ours = self.is_due(now) && !is_leased;
        if is_ours {
            self.lease = now.plus(LEASE);
        }
        is_ours
    }

    /// Gives a try back that came to no end.
    pub fn release(&mut self) {
        self.lease = Millis(0);
    }

    /// Takes the token that was asked for at `asked`. `random(n)` draws from `0..n`: Envoys that were started together
    /// do not ask together.
    pub fn succeed(&mut self, asked: Millis, granted: &Granted, random: &mut impl FnMut(u64) -> u64) {
        let &Granted { ref token, lifetime } = granted;
        let margin = MARGIN.0.min(lifetime.0 / 4);
        let early = Millis(margin.saturating_sub(random(margin / 4)));
        let end = asked.plus(lifetime);
        *self = Self {
            token: Some(token.clone()),
            until: end.since(Millis(SKEW.0.min(lifetime.0 / 10))),
            due: end.since(early),
            lease: Millis(0),
            tried: asked,
            failures: 0,
        };
    }

    /// Takes note of a try that failed at `now`; the token stays. How long it is to the next try.
    pub fn fail(&mut self, now: Millis, random: &mut impl FnMut(u64) -> u64) -> Millis {
        let doubled = PAUSE.0.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE.0);
        let pause = Millis((doubled / 2).saturating_add(random(doubled / 2)));
        self.failures = self.failures.saturating_add(1);
        self.due = now.plus(pause);
        self.tried = now;
        self.lease = Millis(0);
        pause
    }
}
