//! The accounts that a request spends from: its key's, its team's, its user's, its tags' and that of the whole proxy.
//!
//! Each account has a [`Ledger`] of its money and a [`Meter`](crate::routing::Meter) of its minute, one value in what all
//! workers share. A request is admitted where all of its accounts have room for it; it then sets its worst cost and its
//! tokens aside in each of them. Where one has no room it sets nothing aside in any: who is refused has consumed nothing.
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
//! - An account that the config no longer has remains in the store, some 250 bytes each.
//! - A VM counts as alive by the attempts that it has under way. One whose only requests wait for their next attempt for
//!   longer than five seconds may lose their places of `max_parallel_requests`.

mod books;
mod end_users;
mod scope;

use std::rc::Rc;

use super::ledger::Alarm;
use super::{Ledger, RateLimits, Refusal, Window};
use crate::config::{Budget, Limits};
use crate::routing::Skip;
use crate::routing::meter::Told;
use crate::store::{Store, Swap};
use crate::units::{Millis, PicoUsd};

pub use end_users::{END_USERS, enrolled};
pub use scope::Scope;

use books::{Books, Taken};

/// Who pays, and how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it is of.
    pub scope: Scope,
    /// Who that is; empty for the proxy.
    pub name: String,
    /// The one model group that it is for; `None`: all.
    pub model: Option<String>,
    /// `max_budget` and `budget_duration`, then `budget_limits`. Without any, what is spent is counted, and nothing refused.
    pub budgets: Vec<Budget>,
    /// `rpm_limit`, `tpm_limit`, `rpd_limit`, `tpd_limit`, `max_parallel_requests`.
    pub limits: Limits,
    /// Those in shadow mode: what they would refuse is recorded, and served.
    pub shadow_limits: Limits,
}

impl Account {
    /// The name of its books; the version is that of the bytes.
    pub fn record(&self) -> String {
        match &self.model {
            // The length keeps apart what names with dots would mix up.
            Some(model) => format!("tollgate.1.{}_model.{}.{}.{model}", self.scope.name(), self.name.len(), self.name),
            None => format!("tollgate.1.{}.{}", self.scope.name(), self.name),
        }
    }

    /// Its ledger; `None` where the store has none.
    pub fn ledger(&self, store: &impl Store) -> Option<Ledger> {
        Some(self.books(store)?.ledger)
    }

    /// What is in its books; `None` where the store has none.
    pub fn standing(&self, store: &impl Store, now: Millis) -> Option<Standing> {
        let Books { ledger, meter } = self.books(store)?;
        let (minute, day) = meter.counts(now);
        let windows = self.budgets.iter().map(|budget| budget.window.as_ref());
        let windows = windows.chain(self.budgets.is_empty().then_some(None));
        let spent = windows.map(|window| ledger.spent(now, window)).collect();
        Some(Standing { spent, minute, day, under_way: meter.in_flight() })
    }

    /// What is spent of its first budget; `None` where the store does not know.
    pub fn spent(&self, store: &impl Store, now: Millis) -> Option<PicoUsd> {
        Some(self.ledger(store)?.spent(now, self.window()))
    }

    /// The window of its first budget.
    fn window(&self) -> Option<&Window> {
        self.budgets.first()?.window.as_ref()
    }

    /// Whether its budget is spent.
    pub fn is_spent(&self, store: &impl Store, now: Millis) -> bool {
        self.ledger(store).is_some_and(|ledger| ledger.lack(now, &self.budgets, false).is_some())
    }

    fn books(&self, store: &impl Store) -> Option<Books> {
        store.get(&self.record()).map(|(bytes, _)| Books::decode(&bytes))
    }

    /// Whether it has anything to say to a request.
    pub fn is_capped(&self) -> bool {
        !self.budgets.is_empty() || self.has_limits()
    }

    /// Whether requests, tokens or places are counted.
    pub fn has_limits(&self) -> bool {
        !self.limits.is_none() || !self.shadow_limits.is_none()
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
    fn close<T>(&self, store: &impl Store, mut change: impl FnMut(&mut Books) -> T) -> Option<T> {
        match self.update(store, |books| Ok::<_, std::convert::Infallible>(change(books))) {
            Some(Ok(closed)) => Some(closed),
            None => {
                log::error!("the end of a request of {self} could not be counted");
                None
            }
        }
    }

    /// Lowers what is spent to `to`, in every window: what was spent of its first budget before, which `Err` tells where it
    /// is less. What running requests hold is left to them, and what they cost comes on top. `None` where the store fails.
    pub fn reset(&self, store: &impl Store, now: Millis, to: PicoUsd) -> Option<Result<PicoUsd, PicoUsd>> {
        self.update(store, |books| {
            let spent = books.ledger.spent(now, self.window());
            if to > spent {
                return Err(spent);
            }
            books.ledger.reset(now, &self.budgets, to);
            Ok(spent)
        })
    }
}

/// What is in the books of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is spent of each of its budgets; of one without a budget, what is spent.
    pub spent: Vec<PicoUsd>,
    /// What counts in this minute,
    pub minute: Told,
    /// and on this day.
    pub day: Told,
    /// Requests under way.
    pub under_way: u64,
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
    /// See [`crate::routing::Meter::take`].
    pub is_alive: &'a dyn Fn(u64) -> bool,
    /// `fail_closed_budget_enforcement`: books that cannot be read refuse.
    pub fails_closed: bool,
}

/// What a request has set aside in one account.
#[derive(Clone, Debug)]
struct Hold {
    account: Rc<Account>,
    taken: Taken,
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
    /// Requests, tokens or places; see [`crate::routing::Meter::take`].
    Limit(Skip),
    /// Its books cannot be read.
    Books,
}

impl Lack {
    /// The word for it in records and metrics.
    pub const fn name(self) -> &'static str {
        self.skip().name()
    }

    /// What it is to a deployment.
    pub const fn skip(self) -> Skip {
        match self {
            Self::Budget(refusal) => Skip::Budget(refusal.resets_at),
            Self::Limit(skip) => skip,
            Self::Books => Skip::Budget(None),
        }
    }

    /// The order of how long it lasts: a place may be free at any time, a budget without a window never starts anew.
    fn length(&self) -> (bool, Option<Millis>) {
        (matches!(self, Self::Budget(refusal) if refusal.resets_at.is_none()), self.skip().until())
    }
}

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    let (looks, left) = look(store, &capped, demand)?;
    let mut holds = Holds { vm: demand.vm, left, holds: Vec::with_capacity(capped.len()) };
    for (account, look) in capped.into_iter().zip(looks) {
        let taken = match look.map(|look| (store.set(&look.record, &look.books, look.version), look.taken)) {
            Some((Swap::Done, taken)) => Some(Ok(taken)),
            Some((Swap::Lost, _)) => account.update(store, |books| {
                let taken = books.take(account, demand);
                holds.left.tighten(&account.limits, &books.meter, demand.now);
                taken
            }),
            Some((Swap::Failed, _)) | None => None,
        };
        let lack = match taken {
            Some(Ok(taken)) => {
                holds.holds.push(Hold { account: Rc::clone(account), taken });
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

/// The books of an account as they will be.
struct Look {
    record: String,
    /// The version of those that were read.
    version: u32,
    books: Vec<u8>,
    taken: Taken,
}

/// Reads all books before any is written, and refuses where not all of them have room. Those of each account, `None` where
/// there are none, and what will be left of the tightest limits.
fn look(
    store: &impl Store,
    accounts: &[&Rc<Account>],
    demand: &Demand<'_>,
) -> Result<(Vec<Option<Look>>, RateLimits), Denied> {
    let (mut before, mut after) = (RateLimits::default(), RateLimits::default());
    let mut longest: Option<(&Rc<Account>, Lack)> = None;
    let mut looks = Vec::with_capacity(accounts.len());
    for account in accounts {
        let record = account.record();
        let Some((bytes, version)) = store.get(&record) else {
            looks.push(None);
            continue;
        };
        let mut books = Books::decode(&bytes);
        before.tighten(&account.limits, &books.meter, demand.now);
        match books.take(account, demand) {
            Ok(taken) => {
                after.tighten(&account.limits, &books.meter, demand.now);
                looks.push(Some(Look { record, version, books: books.encode(), taken }));
            }
            Err(lack) if longest.as_ref().is_none_or(|(_, other)| lack.length() > other.length()) => {
                longest = Some((account, lack));
            }
            Err(_) => {}
        }
    }
    match longest {
        Some((account, lack)) => Err(Denied { account: Rc::clone(account), lack, left: before }),
        None => Ok((looks, after)),
    }
}

impl Holds {
    /// Gives everything back, as if it had never been taken.
    pub fn cancel(&self, store: &impl Store, now: Millis) {
        for Hold { account, taken } in &self.holds {
            account.close(store, |books| {
                books.ledger.settle(now, &account.budgets, &taken.reservation, PicoUsd::default());
                taken.place.iter().for_each(|place| books.meter.cancel(self.vm, place));
            });
        }
    }

    /// What budgets and limits in shadow mode would have refused, each with its account.
    pub fn shadows(&self) -> impl Iterator<Item = (&Account, Lack)> {
        self.holds.iter().filter_map(|hold| Some((&*hold.account, hold.taken.shadow?)))
    }

    /// Replaces what was set aside by what the request cost and used, in each of its accounts. To be called once for each
    /// request, with all of its accounts: those without a cap count what is spent. Tells which alarms that sets off.
    pub fn settle<'a>(
        &self,
        store: &impl Store,
        accounts: impl Iterator<Item = &'a Rc<Account>>,
        now: Millis,
        cost: PicoUsd,
        tokens: u64,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for account in accounts {
            let hold = self.holds.iter().find(|hold| Rc::ptr_eq(&hold.account, account));
            if hold.is_none() && cost == PicoUsd::default() {
                continue;
            }
            let reservation = hold.map(|hold| hold.taken.reservation).unwrap_or_default();
            let place = hold.and_then(|hold| hold.taken.place);
            let alarms = account.close(store, |books| {
                place.iter().for_each(|place| books.meter.leave(self.vm, place, tokens));
                books.ledger.settle(now, &account.budgets, &reservation, cost)
            });
            let alarms = alarms.unwrap_or_default().into_iter();
            alerts.extend(alarms.map(|(budget, alarm)| Alert { account: Rc::clone(account), budget, alarm }));
        }
        alerts
    }
}

/// A budget's spend has passed a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whose.
    pub account: Rc<Account>,
    /// Its position in [`Account::budgets`].
    pub budget: usize,
    /// Which mark.
    pub alarm: Alarm,
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
