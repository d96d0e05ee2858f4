//! What one principal has spent in its window, and what its running requests may still spend.
//!
//! A ledger is a few bytes in the host's shared data: decode, act, encode, compare-and-swap, again if another worker
//! was faster. Acting on a fresh copy is all a retry takes; nothing here remembers the attempt that lost.
//!
//! ## The rule
//!
//! A request is admitted if and only if `spent + reserved < max`. Its own estimate does not count against it: one who
//! has a cent left may spend it, as with LiteLLM (`spend >= max` refuses), and a cap of zero admits nothing.
//!
//! ## The bound
//!
//! While no request costs more than it reserved and none runs longer than the lease, the spend of a window ends below
//! `max` plus what the last admitted request reserved, however many requests ran in parallel. Beyond that it can pass
//! the cap by
//!
//! - the sum of what running requests cost above their estimates (see [`super::estimate`] for how far off these are);
//! - what requests reserved that run longer than their lease;
//! - what was spent or reserved in a ledger that is lost, at a restart of Envoy.
//!
//! ## Why reservations are leased
//!
//! A worker whose VM traps, and a stream whose end nobody sees, never give their reservation back; without an end it
//! would block its owner for good. So a reservation lapses between 60 and 64 minutes after it was made, longer than a
//! request runs. A list of reservations would grow with the traffic; sixteen sums, one for each four minutes, do not,
//! and dropping the oldest sum is all that expiry takes.
//!
//! # Limits
//!
//! While the clock is behind an instant that the ledger has seen, reservations lapse later by as much.

use super::Window;
use crate::bytes::Bytes;
use crate::config::Budget;
use crate::units::{Millis, PicoUsd};

/// The account of one principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// When this ledger was begun: it knows the reservations that say the same. Zero: it holds none yet.
    born: Millis,
    spent: PicoUsd,
    /// The end of the window in which `spent` was spent.
    window_end: Option<Millis>,
    /// The latest bucket's number since the epoch. Bucket `n` lives in `reserved[n % BUCKETS]`.
    newest: u64,
    reserved: [PicoUsd; BUCKETS as usize],
}

/// What an admitted request must give back with [`Ledger::settle`].
///
/// The default is a reservation of nothing, for a request that was not held against a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// How much is held.
    pub amount: PicoUsd,
    /// When it lapses.
    pub expires: Millis,
    /// [`Ledger::born`] of the ledger that holds it.
    ledger: Millis,
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Spent in this window.
    pub spent: PicoUsd,
    /// Held by running requests.
    pub reserved: PicoUsd,
    /// The cap.
    pub max: PicoUsd,
    /// When the budget starts anew; `None`: never.
    pub resets_at: Option<Millis>,
}

impl Ledger {
    /// How long the bytes of [`Ledger::encode`] are.
    pub const BYTES: usize = 4 + 8 * (4 + BUCKETS as usize);

    /// Reads what [`Ledger::encode`] wrote. Bytes of another version or length are an empty ledger: whoever updates
    /// the module starts its budgets anew, and nothing that is stored can stop a request from being served.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes.strip_prefix(&VERSION)?);
        let mut next = || bytes.number();
        let mut ledger = Self {
            born: Millis(next()?),
            spent: PicoUsd(next()?),
            window_end: Some(Millis(next()?)).filter(|end| end.0 > 0),
            newest: next()?,
            reserved: [PicoUsd(0); BUCKETS as usize],
        };
        for bucket in &mut ledger.reserved {
            *bucket = PicoUsd(next()?);
        }
        bytes.is_empty().then_some(ledger)
    }

    /// The ledger in 164 bytes: version, then little-endian `u64`s: born, spent, the window's end (0: none), the newest
    /// bucket's number, the buckets.
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.born.0, self.spent.0, self.window_end.unwrap_or_default().0, self.newest];
        let numbers = head.into_iter().chain(self.reserved.iter().map(|amount| amount.0));
        VERSION.into_iter().chain(numbers.flat_map(u64::to_le_bytes)).collect()
    }

    /// Admits a request that may cost `amount`, and holds that amount until it is settled or lapses.
    ///
    /// # Errors
    ///
    /// The budget is spent, or what is left of it is held by running requests. The ledger then holds nothing more than
    /// before; it need not be stored.
    pub fn reserve(&mut self, now: Millis, budget: &Budget, amount: PicoUsd) -> Result<Reservation, Refusal> {
        self.advance(now, budget.window.as_ref());
        self.check(now, budget)?;
        if self.born == Millis(0) {
            self.born = now.max(Millis(1));
        }
        let newest = self.newest;
        let bucket = self.bucket(newest);
        *bucket = bucket.plus(amount);
        let expires = Millis(newest.saturating_add(BUCKETS).saturating_mul(BUCKET.0));
        Ok(Reservation { amount, expires, ledger: self.born })
    }

    fn check(&self, now: Millis, budget: &Budget) -> Result<(), Refusal> {
        let (spent, reserved, max) = (self.spent, self.held(), budget.max);
        if spent.plus(reserved) < max {
            return Ok(());
        }
        let resets_at = budget.window.as_ref().map(|window| window.end_after(now));
        Err(Refusal { spent, reserved, max, resets_at })
    }

    /// Gives `reservation` back and charges what the request cost: nothing, if it never ran. To be called once for each
    /// reservation.
    ///
    /// The charge goes to the window of `now`, in which the money is spent, even if the request began in an earlier one.
    /// A reservation that has lapsed, or that another ledger gave, takes nothing from what others hold in this one.
    pub fn settle(&mut self, now: Millis, window: Option<&Window>, reservation: &Reservation, cost: PicoUsd) {
        self.advance(now, window);
        self.spent = self.spent.plus(cost);
        let bucket = (reservation.expires.0 / BUCKET.0).saturating_sub(BUCKETS);
        if reservation.ledger == self.born && self.lives(bucket) {
            let bucket = self.bucket(bucket);
            *bucket = bucket.minus(reservation.amount);
        }
    }

    /// What is spent in the window of `now`.
    pub fn spent(&self, now: Millis, window: Option<&Window>) -> PicoUsd {
        if self.is_over(now, window) { PicoUsd(0) } else { self.spent }
    }

    /// What running requests hold.
    pub fn reserved(&self, now: Millis) -> PicoUsd {
        let mut at_now = self.clone();
        at_now.expire(now);
        at_now.held()
    }

    fn held(&self) -> PicoUsd {
        self.reserved.iter().fold(PicoUsd(0), |sum, amount| sum.plus(*amount))
    }

    fn advance(&mut self, now: Millis, window: Option<&Window>) {
        self.expire(now);
        self.roll(now, window);
    }

    /// Drops the buckets that `now` has left behind.
    fn expire(&mut self, now: Millis) {
        let newest = (now.0 / BUCKET.0).max(self.newest);
        let passed = newest.saturating_sub(self.newest).min(BUCKETS);
        for back in 0..passed {
            *self.bucket(newest.saturating_sub(back)) = PicoUsd(0);
        }
        self.newest = newest;
    }

    /// Begins the window of `now`.
    ///
    /// A config may change the window under a running ledger. Then its spend counts in the window that is in force, so
    /// that no change of the config empties a budget before its time.
    fn roll(&mut self, now: Millis, window: Option<&Window>) {
        if self.is_over(now, window) {
            self.spent = PicoUsd(0);
        }
        let end = window.map(|window| window.end_after(now));
        // A worker that read its clock just before the end, and comes late, must not lead the ledger back.
        let following = window.zip(end).map(|(window, end)| window.end_after(end));
        if self.window_end.is_none() || self.window_end != following {
            self.window_end = end;
        }
    }

    fn is_over(&self, now: Millis, window: Option<&Window>) -> bool {
        window.is_some() && self.window_end.is_some_and(|end| end <= now)
    }

    /// Whether bucket `number` is one of those that are kept.
    fn lives(&self, number: u64) -> bool {
        number <= self.newest && self.newest.saturating_sub(number) < BUCKETS
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of BUCKETS is below BUCKETS")]
    fn bucket(&mut self, number: u64) -> &mut PicoUsd {
        &mut self.reserved[(number % BUCKETS) as usize]
    }
}

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGL1";
const BUCKETS: u64 = 16;
/// How long reservations go into one bucket: 15 whole ones are the hour that a lease lasts at least.
const BUCKET: Millis = Millis::from_secs(4 * 60);

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "ledger_tests.rs"]
mod tests;
