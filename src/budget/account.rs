//! The accounts that a request spends from: its key's, its team's, its user's and that of the whole proxy.
//!
//! Each account has a [`Ledger`] of its money and a [`Meter`] of its minute, one value in what all workers share. A request
//! is admitted where all of its accounts have room for it; it then sets its worst cost and its tokens aside in each of them.
//! Where one has no room it sets nothing aside in any: who is refused has consumed nothing.
//!
//! ## Why all are read before one is written
//!
//! Every account is changed by a compare-and-swap of its own. What is set aside in the first and given back a moment later,
//! because the second has no room, could refuse another request for which there was room. So none is written unless all of
//! them have room; only a worker that takes the last of it in between can still make a request give back. Reading all also
//! tells which refusal lasts longest: the one that the client is told.
//!
//! # Limits
//!
//! - An account of a team, a user or a key that the config no longer has remains in the store, some 200 bytes each.
//! - A VM counts as alive by the attempts that it has under way. One whose only requests wait for their next attempt for
//!   longer than five seconds may lose their places of `max_parallel_requests`.

use std::fmt;
use std::rc::Rc;

use super::{Ledger, RateLimits, Refusal, Reservation, Window};
use crate::config::{Budget, Limits};
use crate::routing::{Meter, Place, Skip};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// What an account is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A virtual key, by its alias.
    Key,
    /// A team, by its id.
    Team,
    /// A user, by its id.
    User,
    /// The whole proxy: `litellm_settings.max_budget`.
    Proxy,
}

impl Scope {
    /// The word for it in messages and in the names of records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::User => "user",
            Self::Proxy => "proxy",
        }
    }
}

/// Who pays, and how much.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is of.
    pub scope: Scope,
    /// Who that is; empty for the proxy.
    pub name: String,
    /// `max_budget` and `budget_duration`; `None`: what is spent is counted, and nothing refused.
    pub budget: Option<Budget>,
    /// `rpm_limit`, `tpm_limit`, `max_parallel_requests`.
    pub limits: Limits,
}

/// `key 'batch'`, `the whole proxy`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Proxy => f.write_str("the whole proxy"),
            scope => write!(f, "{} '{}'", scope.name(), self.name),
        }
    }
}

impl Account {
    /// When its budget starts anew.
    pub fn window(&self) -> Option<&Window> {
        self.budget.as_ref()?.window.as_ref()
    }

    /// The name of its books; the version is that of the bytes.
    pub fn record(&self) -> String {
        format!("tollgate.1.{}.{}", self.scope.name(), self.name)
    }

    /// Its ledger; `None` where the store has none.
    pub fn ledger(&self, store: &impl Store) -> Option<Ledger> {
        Some(self.books(store)?.ledger)
    }

    fn books(&self, store: &impl Store) -> Option<Books> {
        store.get(&self.record()).map(|(bytes, _)| Books::decode(&bytes))
    }

    /// Whether it can refuse a request.
    pub fn is_capped(&self) -> bool {
        self.budget.is_some() || !self.limits.is_none()
    }

    /// Changes the books where `change` succeeds; it may be run more than once, each time on the books as they are then.
    /// `None` where the store fails.
    fn update<T, E>(
        &self,
        store: &impl Store,
        mut change: impl FnMut(&mut Books) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        store.update(&self.record(), |bytes| {
            let mut books = Books::decode(bytes);
            let result = change(&mut books);
            (result.is_ok().then(|| books.encode()), result)
        })
    }

    /// Changes the books at the end of a request.
    fn close(&self, store: &impl Store, mut change: impl FnMut(&mut Books)) {
        let closed = self.update(store, |books| {
            change(books);
            Ok::<_, std::convert::Infallible>(())
        });
        if closed.is_none() {
            log::error!("the end of a request of {self} could not be counted");
        }
    }
}

/// What is kept of an account.
#[derive(Clone, Debug, Default)]
struct Books {
    ledger: Ledger,
    /// Empty for an account without limits.
    meter: Meter,
}

impl Books {
    /// Reads what [`Books::encode`] wrote; anything else is empty books.
    fn decode(bytes: &[u8]) -> Self {
        let (ledger, meter) = bytes.split_at_checked(Ledger::BYTES).unwrap_or((bytes, &[]));
        Self { ledger: Ledger::decode(ledger), meter: Meter::decode(meter) }
    }

    /// The ledger, then the meter where it has counted anything.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.ledger.encode();
        if self.meter != Meter::default() {
            bytes.extend(self.meter.encode());
        }
        bytes
    }

    /// Takes what a request needs of `account`. Where it fails the ledger may have changed, the meter has not.
    fn take(&mut self, account: &Account, demand: &Demand<'_>) -> Result<(Reservation, Option<Place>), Lack> {
        let now = demand.now;
        let reserve = |budget| self.ledger.reserve(now, budget, demand.cost);
        let reservation = account.budget.as_ref().map(reserve).transpose().map_err(Lack::Budget)?;
        let limits = Some(&account.limits).filter(|limits| !limits.is_none());
        let take = |limits| self.meter.take(now, limits, demand.tokens, demand.vm, demand.is_alive);
        let place = limits.map(take).transpose().map_err(Lack::Limit)?;
        Ok((reservation.unwrap_or_default(), place))
    }
}

/// What a request asks of its accounts.
#[derive(Clone, Copy)]
pub struct Demand<'a> {
    /// When it came.
    pub now: Millis,
    /// The most that it can cost.
    pub cost: PicoUsd,
    /// The tokens that it may use.
    pub tokens: u64,
    /// The number of the VM that serves it.
    pub vm: u64,
    /// See [`Meter::take`].
    pub is_alive: &'a dyn Fn(u64) -> bool,
    /// `fail_closed_budget_enforcement`: books that cannot be read refuse.
    pub fails_closed: bool,
}

/// What a request has set aside in one account.
#[derive(Clone, Debug)]
struct Hold {
    account: Rc<Account>,
    reservation: Reservation,
    place: Option<Place>,
}

/// What a request has set aside in all of its accounts.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    vm: u64,
    holds: Vec<Hold>,
    /// What is left of the tightest limits after it.
    pub left: RateLimits,
}

/// What an account lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Money.
    Budget(Refusal),
    /// Requests, tokens or places; see [`Meter::take`].
    Limit(Skip),
    /// Its books cannot be read.
    Books,
}

impl Lack {
    /// When it is over; `None`: never, or nobody knows.
    fn until(&self) -> Option<Millis> {
        match self {
            Self::Budget(refusal) => refusal.resets_at,
            Self::Limit(skip) => skip.until(),
            Self::Books => None,
        }
    }

    /// The order of how long it lasts: a place may be free at any time, a budget without a window never starts anew.
    fn length(&self) -> (bool, Option<Millis>) {
        (matches!(self, Self::Budget(refusal) if refusal.resets_at.is_none()), self.until())
    }
}

/// Why a request is not admitted.
#[derive(Clone, Debug)]
pub struct Denied {
    /// Who has no room.
    pub account: Rc<Account>,
    /// Of what.
    pub lack: Lack,
    /// What is left of the tightest limits of all its accounts.
    pub left: RateLimits,
}

/// Sets what a request needs aside in each of its accounts that has a budget or limits.
///
/// # Errors
///
/// One of them has no room: the one that has none for longest. Where [`Demand::fails_closed`], also one that cannot be
/// read; else that one is passed over. Nothing is set aside then.
pub fn reserve<'a>(
    store: &impl Store,
    accounts: impl Iterator<Item = &'a Rc<Account>>,
    demand: &Demand<'_>,
) -> Result<Holds, Denied> {
    let capped: Vec<&Rc<Account>> = accounts.filter(|account| account.is_capped()).collect();
    if capped.len() > 1 {
        look(store, &capped, demand)?;
    }
    let mut holds = Holds { vm: demand.vm, ..Holds::default() };
    for account in capped {
        let mut left = holds.left;
        let taken = account.update(store, |books| {
            let taken = books.take(account, demand);
            left = holds.left;
            left.tighten(&account.limits, &books.meter, demand.now);
            taken
        });
        holds.left = left;
        let lack = match taken {
            Some(Ok((reservation, place))) => {
                holds.holds.push(Hold { account: Rc::clone(account), reservation, place });
                continue;
            }
            Some(Err(lack)) => lack,
            None if demand.fails_closed => Lack::Books,
            None => {
                log::warn!("the books of {account} cannot be read: request admitted");
                continue;
            }
        };
        holds.cancel(store, demand.now);
        return Err(Denied { account: Rc::clone(account), lack, left: holds.left });
    }
    Ok(holds)
}

/// Refuses where not all of them have room, before anything is written.
fn look(store: &impl Store, accounts: &[&Rc<Account>], demand: &Demand<'_>) -> Result<(), Denied> {
    let mut left = RateLimits::default();
    let mut longest: Option<(&Rc<Account>, Lack)> = None;
    for account in accounts {
        let Some(mut books) = account.books(store) else { continue };
        left.tighten(&account.limits, &books.meter, demand.now);
        if let Err(lack) = books.take(account, demand)
            && longest.as_ref().is_none_or(|(_, other)| lack.length() > other.length())
        {
            longest = Some((account, lack));
        }
    }
    match longest {
        Some((account, lack)) => Err(Denied { account: Rc::clone(account), lack, left }),
        None => Ok(()),
    }
}

impl Holds {
    /// Gives everything back, as if it had never been taken.
    fn cancel(&self, store: &impl Store, now: Millis) {
        for Hold { account, reservation, place } in &self.holds {
            account.close(store, |books| {
                books.ledger.settle(now, account.window(), reservation, PicoUsd::default());
                place.iter().for_each(|place| books.meter.cancel(self.vm, place));
            });
        }
    }

    /// Replaces what was set aside by what the request cost and used, in each of its accounts. To be called once for each
    /// request, with all of its accounts: those without a cap count what is spent.
    pub fn settle<'a>(
        &self,
        store: &impl Store,
        accounts: impl Iterator<Item = &'a Rc<Account>>,
        now: Millis,
        cost: PicoUsd,
        tokens: u64,
    ) {
        for account in accounts {
            let hold = self.holds.iter().find(|hold| Rc::ptr_eq(&hold.account, account));
            if hold.is_none() && cost == PicoUsd::default() {
                continue;
            }
            let reservation = hold.map(|hold| hold.reservation).unwrap_or_default();
            let place = hold.and_then(|hold| hold.place);
            account.close(store, |books| {
                books.ledger.settle(now, account.window(), &reservation, cost);
                place.iter().for_each(|place| books.meter.leave(self.vm, place, tokens));
            });
        }
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
