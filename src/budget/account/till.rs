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
use super::holds::Demand;
use super::{Account, RateLimits};
use crate::budget::Reservation;
use crate::budget::ledger::Alarm;
use crate::bytes::number_of_texts;
use crate::routing::{Meter, Place};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// The drawers of one worker.
#[derive(Debug)]
pub struct Till {
    vm: u64,
    /// Nobody ticks any more: requests that are still under way go to the books.
    is_closed: bool,
    drawers: BTreeMap<Slot, Drawer>,
}

/// The number of an account, which clients may choose: see [`Drawer::is_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u64);

/// What a worker has in hand of one account.
#[derive(Debug)]
struct Drawer {
    account: Rc<Account>,
    /// How many requests asked since the tick,
    asked: u32,
    /// and between the two ticks before.
    before: u32,
    lent: Option<Lent>,
    ended: Ended,
    /// What went off when the books were told; nobody's record says it yet.
    alarms: Vec<(usize, Alarm)>,
}

/// Room for requests to come.
#[derive(Debug)]
pub(super) struct Lent {
    requests: u32,
    reservation: Reservation,
    place: Option<Place>,
    /// What the account's meter counts, without what is in hand here.
    meter: Meter,
}

/// What the books are to be told.
#[derive(Debug, Default)]
struct Ended {
    cost: PicoUsd,
    reservations: Vec<Reservation>,
    places: Vec<Leaving>,
}

/// Places that were taken together, and are given back together.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    place: Place,
    count: u32,
    /// Those of them that nobody used.
    unused: u32,
    /// What the others used.
    tokens: u64,
}

impl Till {
    /// The till of the VM with this number.
    pub const fn new(vm: u64) -> Self {
        Self { vm, is_closed: false, drawers: BTreeMap::new() }
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
    pub fn knows(&self, account: &Account) -> bool {
        self.drawer(Slot::of(account), account).is_some_and(|drawer| drawer.lent.is_some())
    }

    /// A request of `account` has come; where its drawer is.
    pub(super) fn ask(&mut self, account: &Rc<Account>) -> Slot {
        let new = || Drawer {
            account: Rc::clone(account),
            asked: 0,
            before: 0,
            lent: None,
            ended: Ended::default(),
            alarms: Vec::new(),
        };
        let slot = Slot::of(account);
        let drawer = self.drawers.entry(slot).or_insert_with(new);
        drawer.asked = drawer.asked.saturating_add(1);
        slot
    }

    /// Whether `demand` finds room in hand; then `left` hears what is left of the limits of `account` before it.
    pub(super) fn has_room(&self, slot: Slot, account: &Account, demand: &Demand<'_>, left: &mut RateLimits) -> bool {
        let lent = self.drawer(slot, account).and_then(|drawer| drawer.lent.as_ref());
        let Some(lent) = lent.filter(|lent| lent.fits(account, demand)) else { return false };
        left.tighten(&account.limits, &lent.meter, demand.now);
        true
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
        lent.requests = lent.requests.saturating_sub(1);
        let place = lent.place.as_mut().map(|place| {
            lent.meter.hold(demand.now, demand.tokens, vm);
            left.tighten(&account.limits, &lent.meter, demand.now);
            place.tokens = place.tokens.saturating_sub(demand.tokens);
            Place { tokens: demand.tokens, ..*place }
        });
        Some(Taken { reservation: lent.reservation.split(demand.cost), place, shadow: None, is_told_later: true })
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

    /// A request of `account` has ended, for which `taken` was set aside from a slot; one without a cap sets nothing aside. Whether the
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
            drawer.ended.cost = drawer.ended.cost.plus(cost);
            if let Some(taken) = taken {
                drawer.ended.give_back(taken.reservation);
                drawer.ended.leave(taken.place.map(|place| Leaving { place, count: 1, unused: 0, tokens }));
            }
        }
        (is_told_later, std::mem::take(&mut drawer.alarms))
    }

    /// Tells the books everything, and gives back what is left in hand: to be called at every tick, and at the end.
    pub fn tell(&mut self, store: &impl Store, now: Millis) {
        let vm = self.vm;
        self.drawers.retain(|_, drawer| {
            drawer.tell(store, vm, now);
            drawer.before = std::mem::take(&mut drawer.asked);
            drawer.before > 0 || !drawer.alarms.is_empty()
        });
    }

    fn drawer(&self, slot: Slot, account: &Account) -> Option<&Drawer> {
        self.drawers.get(&slot).filter(|drawer| drawer.is_of(account))
    }

    fn drawer_mut(&mut self, slot: Slot, account: &Account) -> Option<&mut Drawer> {
        self.drawers.get_mut(&slot).filter(|drawer| drawer.is_of(account))
    }
}

impl Drawer {
    /// Clients may choose names that share a number.
    fn is_of(&self, account: &Account) -> bool {
        let own = &*self.account;
        std::ptr::eq(own, account)
            || (own.scope == account.scope && own.name == account.name && own.model == account.model)
    }

    fn is_busy(&self) -> bool {
        self.expected() >= BUSY
    }

    /// How many requests are to come until the next tick.
    fn expected(&self) -> u32 {
        self.asked.max(self.before).min(LENT_MAX)
    }

    fn tell(&mut self, store: &impl Store, vm: u64, now: Millis) {
        self.ended.withdraw(self.lent.take());
        let Ended { cost, reservations, places } = std::mem::take(&mut self.ended);
        if cost == PicoUsd::default() && reservations.is_empty() && places.is_empty() {
            return;
        }
        let budgets = &self.account.budgets;
        let alarms = self.account.close(store, |books| {
            for Leaving { place, count, unused, tokens } in &places {
                books.meter.leave_many(vm, place, *count, *unused, *tokens);
            }
            for reservation in &reservations {
                books.ledger.settle(now, budgets, reservation, PicoUsd::default());
            }
            books.ledger.settle(now, budgets, &Reservation::default(), cost)
        });
        self.alarms.extend(alarms.into_iter().flatten());
    }
}

impl Lent {
    fn fits(&self, account: &Account, demand: &Demand<'_>) -> bool {
        // What counts in a minute is handed out in that minute.
        let has_place = self.place.is_none_or(|place| {
            place.tokens >= demand.tokens && self.meter.is_of_this_minute(demand.now) && place.at <= demand.now
        });
        self.requests > 0 && has_place && (account.budgets.is_empty() || self.reservation.amount >= demand.cost)
    }
}

impl Ended {
    /// Gives back what was not handed out.
    fn withdraw(&mut self, lent: Option<Lent>) {
        let Some(Lent { requests, reservation, place, .. }) = lent else { return };
        self.give_back(reservation);
        self.leave(place.map(|place| Leaving { place, count: requests, unused: requests, tokens: 0 }));
    }

    fn give_back(&mut self, reservation: Reservation) {
        match self.reservations.iter_mut().find(|other| other.is_like(&reservation)) {
            Some(other) => other.amount = other.amount.plus(reservation.amount),
            None => self.reservations.push(reservation),
        }
    }

    fn leave(&mut self, leaving: Option<Leaving>) {
        let Some(leaving) = leaving else { return };
        match self.places.iter_mut().find(|other| other.place.at == leaving.place.at) {
            Some(other) => {
                other.place.tokens = other.place.tokens.saturating_add(leaving.place.tokens);
                other.count = other.count.saturating_add(leaving.count);
                other.unused = other.unused.saturating_add(leaving.unused);
                other.tokens = other.tokens.saturating_add(leaving.tokens);
            }
            None => self.places.push(leaving),
        }
    }
}

impl Slot {
    fn of(account: &Account) -> Self {
        let texts = [&*account.name, account.model.as_deref().unwrap_or_default()];
        Self(number_of_texts(account.scope as u64, &texts))
    }
}

/// From so many requests between two ticks on, an account is busy: some hundred a second for each worker.
const BUSY: u32 = 4;
/// For so many requests at most room is taken at once.
const LENT_MAX: u32 = 256;
/// At most one part in so many of what an account has left is in the hand of one worker.
const PLENTY: u64 = 64;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "till_tests.rs"]
mod tests;
