//! What one worker has in hand of busy accounts: most of their requests need no shared record at all.
//!
//! To read and write every account twice for each request is what a request's budgets cost most. So a worker takes room for
//! many requests of a busy account at once, and hands it out piece by piece; what these requests come to is added up, and told
//! to the books at the next tick together with what is left.
//!
//! ## What stays exact
//!
//! - Room is taken from the books before it is handed out, so nobody is ever admitted beyond a cap.
//! - A worker takes in hand at most a part in [`PLENTY`] of the room there is. Near a cap or an alarm, or where places are
//!   limited, every request goes to the books, and so does one to an account that is not busy.
//! - A piece in hand is what a request would have taken itself: its end may go to the books as well.
//!
//! # Limits
//!
//! - The books of a busy account are a tick behind, and what clients are told is left of its limits counts what other workers
//!   have in hand. A spend that is reset meanwhile is added to after it.
//! - A VM that traps loses what it had not told; what it had in hand lapses as reservations do.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::books::{Books, Taken};
use super::drawer::{Drawer, Lent};
use super::holds::Demand;
use super::{Account, RateLimits};
use crate::budget::ledger::Alarm;
use crate::bytes::number_of_texts;
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// The drawers of one worker.
#[derive(Debug)]
pub struct Till {
    vm: u64,
    /// Nobody ticks any more: requests that are still under way go to the books.
    is_closed: bool,
    drawers: Vec<Drawer>,
    /// Where the drawer of an account is, by the account's number. Clients may choose it: see [`Drawer::is_of`].
    index: BTreeMap<u64, usize>,
    /// Where it was for an account at this address; a guess that spares the number.
    guesses: [u16; GUESSES],
}

/// Where the drawer of an account was when a request of it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

impl Till {
    /// The till of the VM with this number.
    pub const fn new(vm: u64) -> Self {
        Self { vm, is_closed: false, drawers: Vec::new(), index: BTreeMap::new(), guesses: [0; GUESSES] }
    }

    /// The number of its VM.
    pub const fn vm(&self) -> u64 {
        self.vm
    }

    /// Says whether [`Self::tell`] will be called again. While it is not, nothing is taken in hand, and nothing put off.
    pub const fn set_open(&mut self, is_open: bool) {
        self.is_closed = !is_open;
    }

    /// Whether `account` is known to have books.
    pub fn knows(&self, account: &Rc<Account>) -> bool {
        let at = self.guessed(account).or_else(|| self.found(account));
        at.and_then(|at| self.drawers.get(at)).is_some_and(|drawer| drawer.lent.is_some())
    }

    /// A request of `account` has come; where its drawer is.
    pub(super) fn ask(&mut self, account: &Rc<Account>) -> Slot {
        let at = self.guessed(account).unwrap_or_else(|| self.enter(account));
        self.drawers.get_mut(at).into_iter().for_each(Drawer::ask);
        Slot(at)
    }

    /// Whether `demand` finds room in hand.
    pub(super) fn has_room(&self, slot: Slot, account: &Account, demand: &Demand<'_>) -> bool {
        self.lent(slot, account).is_some_and(|lent| lent.fits(account, demand))
    }

    /// Tells what is left of the limits of `account`, where there is room in hand.
    pub(super) fn tell_left(&self, slot: Slot, account: &Account, now: Millis, left: &mut RateLimits) {
        self.lent(slot, account).into_iter().for_each(|lent| left.tighten(&account.limits, &lent.meter, now));
    }

    /// Hands out what a request needs; see [`Self::has_room`]. `left` hears what is left after it.
    pub(super) fn take(
        &mut self,
        slot: Slot,
        account: &Account,
        demand: &Demand<'_>,
        left: &mut RateLimits,
    ) -> Option<Taken> {
        let vm = self.vm;
        let lent = self.drawer_mut(slot, account)?.lent.as_mut().filter(|lent| lent.fits(account, demand))?;
        Some(lent.take(account, demand, vm, left))
    }

    /// Takes room for requests like `demand` out of `books`, where `account` is busy and has plenty.
    pub(super) fn lend(&self, slot: Slot, account: &Account, books: &mut Books, demand: &Demand<'_>) -> Option<Lent> {
        let requests = self.drawer(slot, account).filter(|drawer| drawer.is_busy() && !self.is_closed)?.expected();
        let cost = PicoUsd(demand.cost.0.saturating_mul(requests.into()));
        let tokens = demand.tokens.saturating_mul(requests.into());
        let has_plenty = books.ledger.room(demand.now, &account.budgets).0 / PLENTY >= cost.0
            && [&account.limits, &account.shadow_limits].into_iter().all(|limits| {
                let [requests, tokens] = [requests.into(), tokens].map(|n: u64| n.saturating_mul(PLENTY));
                books.meter.has_room(demand.now, limits, requests, tokens)
            });
        if !has_plenty {
            return None;
        }
        let meter = books.meter.clone();
        let reservation = (!account.budgets.is_empty()).then(|| books.ledger.hold(demand.now, &account.budgets, cost));
        let place = account.has_limits().then(|| books.meter.hold_many(demand.now, tokens, self.vm, requests));
        Some(Lent { requests, reservation: reservation.unwrap_or_default(), place, meter })
    }

    /// Puts room in hand.
    pub(super) fn put(&mut self, slot: Slot, account: &Account, lent: Option<Lent>) {
        if let Some(lent) = lent
            && let Some(drawer) = self.drawer_mut(slot, account)
        {
            drawer.ended.withdraw(drawer.lent.replace(lent));
        }
    }

    /// A request of `account` has ended, for which `taken` was set aside; one without a cap sets nothing aside. Whether the
    /// books are told later; and which alarms went off when they were told before.
    pub(super) fn end(
        &mut self,
        account: &Rc<Account>,
        taken: Option<(Slot, &Taken)>,
        cost: PicoUsd,
        tokens: u64,
    ) -> (bool, Vec<(usize, Alarm)>) {
        let slot = taken.map_or_else(|| self.ask(account), |(slot, _)| slot);
        let taken = taken.map(|(_, taken)| taken);
        let is_open = !self.is_closed;
        let Some(drawer) = self.drawer_mut(slot, account) else { return (false, Vec::new()) };
        let is_told_later = is_open && drawer.is_busy() && taken.is_none_or(|taken| taken.is_told_later);
        if is_told_later {
            drawer.ended.add(taken, cost, tokens);
        }
        (is_told_later, std::mem::take(&mut drawer.alarms))
    }

    /// Tells the books everything, and gives back what is left in hand: to be called at every tick, and at the end.
    pub fn tell(&mut self, store: &impl Store, now: Millis) {
        let vm = self.vm;
        let before = self.drawers.len();
        self.drawers.retain_mut(|drawer| {
            drawer.tell(store, vm, now);
            drawer.tick()
        });
        if self.drawers.len() < before {
            let numbers = self.drawers.iter().map(|drawer| number(&drawer.account));
            self.index = numbers.zip(0..).collect();
        }
    }

    /// Where the drawer of `account` is, if the guess is right.
    fn guessed(&self, account: &Rc<Account>) -> Option<usize> {
        let at = usize::from(*self.guesses.get(guess(account))?);
        self.drawers.get(at).filter(|drawer| Rc::ptr_eq(&drawer.account, account)).map(|_| at)
    }

    fn found(&self, account: &Account) -> Option<usize> {
        let at = self.index.get(&number(account)).copied();
        at.filter(|at| self.drawers.get(*at).is_some_and(|drawer| drawer.is_of(account)))
    }

    /// Where the drawer of `account` is, a new one where it has none; or that of another account with its number.
    fn enter(&mut self, account: &Rc<Account>) -> usize {
        let at = *self.index.entry(number(account)).or_insert(self.drawers.len());
        if at == self.drawers.len() {
            self.drawers.push(Drawer::new(account));
        }
        // After a change of the config it is the new one's account that counts.
        let own = self.drawers.get_mut(at).filter(|drawer| drawer.is_of(account));
        own.into_iter().for_each(|drawer| drawer.account = Rc::clone(account));
        if let (Some(guess), Ok(at)) = (self.guesses.get_mut(guess(account)), at.try_into()) {
            *guess = at;
        }
        at
    }

    /// Where the drawer is by now.
    fn position(&self, Slot(at): Slot, account: &Account) -> Option<usize> {
        let is_there = self.drawers.get(at).is_some_and(|drawer| drawer.is_of(account));
        if is_there { Some(at) } else { self.found(account) }
    }

    fn drawer(&self, slot: Slot, account: &Account) -> Option<&Drawer> {
        self.drawers.get(self.position(slot, account)?)
    }

    fn drawer_mut(&mut self, slot: Slot, account: &Account) -> Option<&mut Drawer> {
        let at = self.position(slot, account)?;
        self.drawers.get_mut(at)
    }

    fn lent(&self, slot: Slot, account: &Account) -> Option<&Lent> {
        self.drawer(slot, account)?.lent.as_ref()
    }
}

/// Where the guess for an account is: by its address.
fn guess(account: &Rc<Account>) -> usize {
    (Rc::as_ptr(account).addr() / ALIGNMENT) % GUESSES
}

fn number(account: &Account) -> u64 {
    number_of_texts(account.scope as u64, &[&account.name, account.model.as_deref().unwrap_or_default()])
}

/// Accounts that a worker finds by their address.
const GUESSES: usize = 256;
/// Of an allocation.
const ALIGNMENT: usize = 16;
/// At most one part in so many of what an account has left is in the hand of one worker.
const PLENTY: u64 = 64;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "till_tests.rs"]
mod tests;
