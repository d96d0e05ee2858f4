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
mod drawer;
mod end_users;
mod holds;
mod scope;
mod till;

use std::rc::Rc;

use super::ledger::Alarm;
use super::{Ledger, RateLimits, Window};
use crate::config::{Budget, Limits};
use crate::routing::meter::Told;
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

pub use end_users::{END_USERS, enrolled};
pub use holds::{Demand, Denied, Holds, Lack, reserve};
pub use scope::Scope;
pub use till::Till;

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

    /// Replaces what a request has taken by what it came to. Which alarms that sets off, each with its budget's position.
    fn settle(
        &self,
        store: &impl Store,
        vm: u64,
        taken: Taken,
        now: Millis,
        cost: PicoUsd,
        tokens: u64,
    ) -> Vec<(usize, Alarm)> {
        let settled = self.close(store, |books| {
            taken.place.iter().for_each(|place| books.meter.leave(vm, place, tokens));
            books.ledger.settle(now, &self.budgets, &taken.reservation, cost)
        });
        settled.unwrap_or_default()
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
