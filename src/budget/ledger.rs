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
//! ## Several windows
//!
//! One principal may have budgets by the day and by the month. Each has its own sum of what was spent, all in the one
//! ledger; what is reserved is the same for all of them. A sum is kept under its window's code: a config that adds a window
//! begins it with the largest sum there is, so that no change of a config empties a budget before its time.
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
    /// What was spent in each window; at most [`MAX_WINDOWS`].
    spent: Vec<Spent>,
    /// The latest bucket's number since the epoch. Bucket `n` lives in `reserved[n % BUCKETS]`.
    newest: u64,
    reserved: [PicoUsd; BUCKETS as usize],
}

/// What was spent in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    /// [`Window::code`]; 0: it never ends.
    code: u64,
    end: Option<Millis>,
    amount: PicoUsd,
    /// The alarms that were given in this window: [`Alarm::bit`].
    told: u64,
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

impl Reservation {
    /// Takes a part of it that is a reservation of its own.
    pub fn split(&mut self, amount: PicoUsd) -> Self {
        let amount = amount.min(self.amount);
        self.amount = self.amount.minus(amount);
        Self { amount, ..*self }
    }

    /// Whether both are in one bucket of one ledger.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.expires, self.ledger) == (other.expires, other.ledger)
    }
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

/// What a budget's spend has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// `soft_budget`.
    Soft,
    /// Four fifths of `max_budget`.
    Near,
}

impl Alarm {
    const ALL: [Self; 2] = [Self::Soft, Self::Near];

    /// The word for it in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft_budget",
            Self::Near => "max_budget_80_percent",
        }
    }

    /// What says that it was given for the budget at this position.
    const fn bit(self, budget: usize) -> u64 {
        1_u64.wrapping_shl((budget as u32).wrapping_mul(2).wrapping_add(self as u32))
    }

    /// From which spend on.
    fn threshold(self, budget: &Budget) -> Option<PicoUsd> {
        match self {
            Self::Soft => budget.soft,
            Self::Near => budget.max.map(|max| PicoUsd((max.0 / 5).saturating_mul(4))),
        }
    }
}

impl Ledger {
    /// Reads what [`Ledger::encode`] wrote; what follows it is left. Bytes of another version, or too few, are an empty
    /// ledger: whoever updates the module starts its budgets anew, and nothing that is stored can stop a request from
    /// being served.
    pub fn decode(bytes: &[u8]) -> (Self, &[u8]) {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut bytes = Bytes(bytes.strip_prefix(&VERSION)?);
        let mut next = || bytes.number();
        let (born, newest, windows) = (Millis(next()?), next()?, next()?);
        let mut ledger = Self { born, newest, ..Self::default() };
        for bucket in &mut ledger.reserved {
            *bucket = PicoUsd(next()?);
        }
        for _ in 0..usize::try_from(windows).ok().filter(|n| *n <= MAX_WINDOWS)? {
            let (code, end) = (next()?, Some(Millis(next()?)).filter(|end| end.0 > 0));
            ledger.spent.push(Spent { code, end, amount: PicoUsd(next()?), told: next()? });
        }
        Some((ledger, bytes.0))
    }

    /// The ledger in 156 bytes: version, then little-endian `u64`s: born, the newest bucket's number, how many windows
    /// follow, the buckets. For each window 32 more: code, end (0: none), spent, alarms told.
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.born.0, self.newest, self.spent.len() as u64];
        let windows = self
            .spent
            .iter()
            .flat_map(|spent| [spent.code, spent.end.unwrap_or_default().0, spent.amount.0, spent.told]);
        let numbers = head.into_iter().chain(self.reserved.iter().map(|amount| amount.0)).chain(windows);
        VERSION.into_iter().chain(numbers.flat_map(u64::to_le_bytes)).collect()
    }

    /// Why `budgets` have no room; the one that has none for longest. `None`: all have. Only those that are in shadow mode
    /// are asked where `is_shadow`, else only the others.
    pub fn lack(&self, now: Millis, budgets: &[Budget], is_shadow: bool) -> Option<Refusal> {
        let reserved = self.reserved(now);
        let asked = budgets.iter().filter(|budget| budget.is_shadow == is_shadow);
        let refusals = asked.filter_map(|budget| {
            let (max, spent) = (budget.max?, self.spent(now, budget.window.as_ref()));
            let refusal = || Refusal { spent, reserved, max, resets_at: budget.resets_at(now) };
            (spent.plus(reserved) >= max).then(refusal)
        });
        refusals.max_by_key(|refusal| refusal.resets_at.map_or(u64::MAX, |at| at.0))
    }

    /// The least that is left until one of `budgets` has no room, or an alarm goes off.
    pub fn room(&self, now: Millis, budgets: &[Budget]) -> PicoUsd {
        let reserved = self.reserved(now);
        let rooms = budgets.iter().enumerate().map(|(at, budget)| {
            let Spent { amount, told, .. } = self.in_window(now, budget.window.as_ref());
            let alarms = Alarm::ALL.into_iter().filter(|alarm| told & alarm.bit(at) == 0);
            let marks = alarms.filter_map(|alarm| alarm.threshold(budget)).filter(|mark| mark.0 > 0);
            let next = marks.chain(budget.max).min().unwrap_or(PicoUsd(u64::MAX));
            next.minus(amount).minus(reserved)
        });
        rooms.min().unwrap_or(PicoUsd(u64::MAX))
    }

    /// Holds `amount` for a request until it is settled or lapses, whether `budgets` have room or not.
    pub fn hold(&mut self, now: Millis, budgets: &[Budget], amount: PicoUsd) -> Reservation {
        self.advance(now, budgets);
        if self.born == Millis(0) {
            self.born = now.max(Millis(1));
        }
        let newest = self.newest;
        let bucket = self.bucket(newest);
        *bucket = bucket.plus(amount);
        let expires = Millis(newest.saturating_add(BUCKETS).saturating_mul(BUCKET.0));
        Reservation { amount, expires, ledger: self.born }
    }

    /// Gives `reservation` back and charges what the request cost: nothing, if it never ran. To be called once for each
    /// reservation. Tells which alarms that sets off, each once in a window, with the budget's position.
    ///
    /// The charge goes to the window of `now`, in which the money is spent, even if the request began in an earlier one.
    /// A reservation that has lapsed, or that another ledger gave, takes nothing from what others hold in this one.
    pub fn settle(
        &mut self,
        now: Millis,
        budgets: &[Budget],
        reservation: &Reservation,
        cost: PicoUsd,
    ) -> Vec<(usize, Alarm)> {
        self.advance(now, budgets);
        self.spent.iter_mut().for_each(|spent| spent.amount = spent.amount.plus(cost));
        let bucket = (reservation.expires.0 / BUCKET.0).saturating_sub(BUCKETS);
        if reservation.ledger == self.born && self.lives(bucket) {
            let bucket = self.bucket(bucket);
            *bucket = bucket.minus(reservation.amount);
        }
        self.alarms(budgets)
    }

    fn alarms(&mut self, budgets: &[Budget]) -> Vec<(usize, Alarm)> {
        let mut alarms = Vec::new();
        for (at, budget) in budgets.iter().enumerate().take(MAX_WINDOWS) {
            let Some(spent) = self.spent.iter_mut().find(|spent| spent.code == code(budget.window.as_ref())) else {
                continue;
            };
            for alarm in Alarm::ALL {
                let is_passed = alarm.threshold(budget).is_some_and(|mark| mark.0 > 0 && spent.amount >= mark);
                if is_passed && spent.told & alarm.bit(at) == 0 {
                    spent.told |= alarm.bit(at);
                    alarms.push((at, alarm));
                }
            }
        }
        alarms
    }

    /// Lowers what is spent to `to`, in every window, and starts the alarms anew. What running requests hold stays held.
    pub fn reset(&mut self, now: Millis, budgets: &[Budget], to: PicoUsd) {
        self.advance(now, budgets);
        self.spent.iter_mut().for_each(|spent| (spent.amount, spent.told) = (spent.amount.min(to), 0));
    }

    /// What is spent in the window of `now`.
    pub fn spent(&self, now: Millis, window: Option<&Window>) -> PicoUsd {
        self.in_window(now, window).amount
    }

    /// What running requests hold.
    pub fn reserved(&self, now: Millis) -> PicoUsd {
        let passed = (now.0 / BUCKET.0).saturating_sub(self.newest);
        let living = (0..BUCKETS.saturating_sub(passed)).map(|back| self.newest.wrapping_sub(back) % BUCKETS);
        let amounts = living.filter_map(|at| self.reserved.get(usize::try_from(at).ok()?));
        amounts.fold(PicoUsd(0), |sum, amount| sum.plus(*amount))
    }

    /// Drops what is over. One who has no budget has one sum, which never ends.
    fn advance(&mut self, now: Millis, budgets: &[Budget]) {
        self.expire(now);
        let mut all: Vec<Spent> = Vec::with_capacity(budgets.len().max(1));
        for budget in budgets.iter().take(MAX_WINDOWS) {
            let window = budget.window.as_ref();
            if all.iter().all(|spent| spent.code != code(window)) {
                all.push(self.in_window(now, window));
            }
        }
        if all.is_empty() {
            all.push(self.in_window(now, None));
        }
        self.spent = all;
    }

    /// What is spent in the window that holds `now`.
    fn in_window(&self, now: Millis, window: Option<&Window>) -> Spent {
        let Some(window) = window else {
            let (amount, told) = self.own(0).map_or((self.largest(|_| true), 0), |spent| (spent.amount, spent.told));
            return Spent { amount, told, ..Spent::default() };
        };
        let is_under_way = |spent: &Spent| spent.end.is_none_or(|end| end > now);
        // A worker that read its clock just before the end, and comes late, must not lead the ledger back. A clock that was
        // far ahead must not hold it for good.
        let bound = now.plus(window.longest()).plus(window.longest());
        let own = self.own(window.code());
        if let Some(own) = own.filter(|own| own.end.is_some_and(|end| end > now && end <= bound)) {
            return *own;
        }
        let (amount, told) = match own {
            Some(own) if is_under_way(own) => (own.amount, own.told),
            Some(_) => (PicoUsd(0), 0),
            None => (self.largest(is_under_way), 0),
        };
        Spent { code: window.code(), end: Some(window.end_after(now)), amount, told }
    }

    fn own(&self, code: u64) -> Option<&Spent> {
        self.spent.iter().find(|spent| spent.code == code)
    }

    fn largest(&self, counts: impl Fn(&Spent) -> bool) -> PicoUsd {
        self.spent.iter().filter(|spent| counts(spent)).map(|spent| spent.amount).max().unwrap_or_default()
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

    /// Whether bucket `number` is one of those that are kept.
    fn lives(&self, number: u64) -> bool {
        number <= self.newest && self.newest.saturating_sub(number) < BUCKETS
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of BUCKETS is below BUCKETS")]
    fn bucket(&mut self, number: u64) -> &mut PicoUsd {
        &mut self.reserved[(number % BUCKETS) as usize]
    }
}

/// [`Window::code`]; 0: no window.
fn code(window: Option<&Window>) -> u64 {
    window.map_or(0, Window::code)
}

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGL2";
/// The most windows of one principal.
pub const MAX_WINDOWS: usize = 8;
const BUCKETS: u64 = 16;
/// How long reservations go into one bucket: 15 whole ones are the hour that a lease lasts at least.
const BUCKET: Millis = Millis::from_secs(4 * 60);

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "ledger_tests.rs"]
mod tests;
