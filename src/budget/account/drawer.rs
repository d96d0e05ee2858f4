//! What one worker has in hand of one busy account; see [`Till`](super::Till).

use std::rc::Rc;

use super::books::Taken;
use super::holds::Demand;
use super::{Account, RateLimits};
use crate::budget::Reservation;
use crate::budget::ledger::Alarm;
use crate::routing::{Meter, Place};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// What a worker has in hand of one account.
#[derive(Debug)]
pub(super) struct Drawer {
    pub(super) account: Rc<Account>,
    /// How many requests asked since the tick,
    asked: u32,
    /// and between the two ticks before.
    before: u32,
    pub(super) lent: Option<Lent>,
    pub(super) ended: Ended,
    /// What went off when the books were told; nobody's record says it yet.
    pub(super) alarms: Vec<(usize, Alarm)>,
}

/// Room for requests to come.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) requests: u32,
    pub(super) reservation: Reservation,
    pub(super) place: Option<Place>,
    /// What the account's meter counts, without what is in hand here.
    pub(super) meter: Meter,
}

/// What the books are to be told.
#[derive(Debug, Default)]
pub(super) struct Ended {
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

impl Drawer {
    pub(super) fn new(account: &Rc<Account>) -> Self {
        Self {
            account: Rc::clone(account),
            asked: 0,
            before: 0,
            lent: None,
            ended: Ended::default(),
            alarms: Vec::new(),
        }
    }

    /// A request has come.
    pub(super) const fn ask(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }
    /// Clients may choose names that share a number.
    pub(super) fn is_of(&self, account: &Account) -> bool {
        let own = &*self.account;
        std::ptr::eq(own, account)
            || (own.scope == account.scope && own.name == account.name && own.model == account.model)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.expected() >= BUSY
    }

    /// How many requests are to come until the next tick.
    pub(super) fn expected(&self) -> u32 {
        self.asked.max(self.before).min(LENT_MAX)
    }

    pub(super) fn tell(&mut self, store: &impl Store, vm: u64, now: Millis) {
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

    /// A tick has come: whether anybody needs it still.
    pub(super) fn tick(&mut self) -> bool {
        self.before = std::mem::take(&mut self.asked);
        self.before > 0 || !self.alarms.is_empty()
    }
}

impl Lent {
    /// Hands out what a request needs, for which there is room; `left` hears what is left of the limits after it.
    pub(super) fn take(&mut self, account: &Account, demand: &Demand<'_>, vm: u64, left: &mut RateLimits) -> Taken {
        self.requests = self.requests.saturating_sub(1);
        let place = self.place.as_mut().map(|place| {
            self.meter.hold(demand.now, demand.tokens, vm);
            left.tighten(&account.limits, &self.meter, demand.now);
            place.tokens = place.tokens.saturating_sub(demand.tokens);
            Place { tokens: demand.tokens, ..*place }
        });
        Taken { reservation: self.reservation.split(demand.cost), place, shadow: None, is_told_later: true }
    }

    pub(super) fn fits(&self, account: &Account, demand: &Demand<'_>) -> bool {
        // What counts in a minute is handed out in that minute.
        let has_place = self.place.is_none_or(|place| {
            place.tokens >= demand.tokens && self.meter.is_of_this_minute(demand.now) && place.at <= demand.now
        });
        self.requests > 0 && has_place && (account.budgets.is_empty() || self.reservation.amount >= demand.cost)
    }
}

impl Ended {
    /// Counts a request that has ended, for which `taken` was set aside.
    pub(super) fn add(&mut self, taken: Option<&Taken>, cost: PicoUsd, tokens: u64) {
        self.cost = self.cost.plus(cost);
        if let Some(taken) = taken {
            self.give_back(taken.reservation);
            self.leave(taken.place.map(|place| Leaving { place, count: 1, unused: 0, tokens }));
        }
    }

    /// Gives back what was not handed out.
    pub(super) fn withdraw(&mut self, lent: Option<Lent>) {
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

/// From so many requests between two ticks on, an account is busy: some hundred a second for each worker.
pub(super) const BUSY: u32 = 4;
/// For so many requests at most room is taken at once.
const LENT_MAX: u32 = 256;
