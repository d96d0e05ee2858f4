//! The accounts that a request spends from: its key's, its team's, its user's and that of the whole proxy.
//!
//! Each account has a [`Ledger`] of its own in what all workers share. A request is admitted where all of its accounts have
//! room, and sets its worst cost aside in each of them; where one has no room it sets nothing aside in any.
//!
//! ## Why all are read before one is written
//!
//! Every ledger is changed by a compare-and-swap of its own. What is set aside in the first and given back a moment later,
//! because the second has no room, could refuse another request for which there was room. So no ledger is written unless
//! all of them have room; only a worker that takes the last of it in between can still make a request give back.
//! Reading all also tells which refusal lasts longest: the one that the client is told.
//!
//! # Limits
//!
//! What is kept in an account of a team, a user or a key that the config no longer has remains in the store, 164 bytes
//! each.

use std::fmt;
use std::rc::Rc;

use super::{Ledger, Refusal, Reservation, Window};
use crate::config::Budget;
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

    /// The name of its ledger; the version is that of the bytes.
    pub fn record(&self) -> String {
        format!("tollgate.1.{}.{}", self.scope.name(), self.name)
    }

    /// Its ledger; `None` where the store has none.
    pub fn ledger(&self, store: &impl Store) -> Option<Ledger> {
        store.get(&self.record()).map(|(bytes, _)| Ledger::decode(&bytes))
    }

    /// Changes the ledger where `change` succeeds; it may be run more than once, each time on the ledger as it is then.
    /// `None` where the store fails.
    fn update<T, E>(
        &self,
        store: &impl Store,
        mut change: impl FnMut(&mut Ledger) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        store.update(&self.record(), |bytes| {
            let mut ledger = Ledger::decode(bytes);
            let result = change(&mut ledger);
            (result.is_ok().then(|| ledger.encode()), result)
        })
    }

    fn settle(&self, store: &impl Store, now: Millis, held: &Reservation, cost: PicoUsd) {
        let settled = self.update(store, |ledger| {
            ledger.settle(now, self.window(), held, cost);
            Ok::<_, std::convert::Infallible>(())
        });
        if settled.is_none() {
            log::error!("the cost of a request of {self} could not be charged: {cost} USD");
        }
    }
}

/// What a request has set aside in one account.
#[derive(Clone, Debug)]
pub struct Hold {
    account: Rc<Account>,
    reservation: Reservation,
}

/// Why a request is not admitted.
#[derive(Clone, Debug)]
pub enum Denied {
    /// The budget of this account is spent.
    Spent(Rc<Account>, Refusal),
    /// What this account has spent cannot be read.
    Unreadable(Rc<Account>),
}

/// Sets `amount` aside in every account that has a budget.
///
/// # Errors
///
/// One of them has no room: the one that has none for longest. With `fails_closed`, also one that cannot be read; else that
/// one is passed over. Nothing is set aside then.
pub fn reserve<'a>(
    store: &impl Store,
    accounts: impl Iterator<Item = &'a Rc<Account>>,
    now: Millis,
    amount: PicoUsd,
    fails_closed: bool,
) -> Result<Vec<Hold>, Denied> {
    let capped: Vec<_> = accounts.filter_map(|account| Some((account, account.budget.as_ref()?))).collect();
    if capped.len() > 1 {
        let refusal = |(account, budget): &(&Rc<Account>, &Budget)| {
            let refusal = account.ledger(store)?.room(now, budget).err()?;
            Some((Rc::clone(account), refusal))
        };
        // A budget that never starts anew lasts longest.
        let longest = |(_, refusal): &(_, Refusal)| (refusal.resets_at.is_none(), refusal.resets_at);
        if let Some((account, refusal)) = capped.iter().filter_map(refusal).max_by_key(longest) {
            return Err(Denied::Spent(account, refusal));
        }
    }
    let mut holds = Vec::with_capacity(capped.len());
    for (account, budget) in capped {
        let denied = match account.update(store, |ledger| ledger.reserve(now, budget, amount)) {
            Some(Ok(reservation)) => {
                holds.push(Hold { account: Rc::clone(account), reservation });
                continue;
            }
            Some(Err(refusal)) => Denied::Spent(Rc::clone(account), refusal),
            None if fails_closed => Denied::Unreadable(Rc::clone(account)),
            None => {
                log::warn!("the spend of {account} cannot be read: request admitted");
                continue;
            }
        };
        holds.iter().for_each(|hold| hold.account.settle(store, now, &hold.reservation, PicoUsd::default()));
        return Err(denied);
    }
    Ok(holds)
}

/// Replaces what was set aside by what the request cost, in each of its accounts. To be called once for each request.
pub fn charge<'a>(
    store: &impl Store,
    accounts: impl Iterator<Item = &'a Rc<Account>>,
    holds: &[Hold],
    now: Millis,
    cost: PicoUsd,
) {
    for account in accounts {
        match holds.iter().find(|hold| Rc::ptr_eq(&hold.account, account)) {
            Some(hold) => account.settle(store, now, &hold.reservation, cost),
            None if cost > PicoUsd::default() => account.settle(store, now, &Reservation::default(), cost),
            None => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "account_tests.rs"]
mod tests;
