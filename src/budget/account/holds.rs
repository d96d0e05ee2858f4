//! What a request sets aside in its accounts, and what becomes of it.

use std::rc::Rc;

use super::books::{Books, Taken};
use super::drawer::Lent;
use super::till::{Slot, Till};
use super::{Account, Alert, RateLimits};
use crate::budget::Refusal;
use crate::routing::Skip;
use crate::store::{Store, Swap};
use crate::units::{Millis, PicoUsd};

/// What a request asks of its accounts.
#[derive(Clone, Copy)]
pub struct Demand<'a> {
    /// When it came.
    pub now: Millis,
    /// The most that it can cost.
    pub cost: PicoUsd,
    /// The tokens that it may use.
    pub tokens: u64,
    /// See [`crate::routing::Meter::take`].
    pub is_alive: &'a dyn Fn(u64) -> bool,
    /// `fail_closed_budget_enforcement`: books that cannot be read refuse.
    pub fails_closed: bool,
}

/// What a request has set aside in one account.
#[derive(Clone, Debug)]
struct Hold {
    account: Rc<Account>,
    slot: Slot,
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
    /// Money, requests or tokens, which all gateways together have used up.
    Fleet {
        /// What, and until when.
        skip: Skip,
        /// Micro-dollars, requests or tokens that one window has.
        max: u64,
    },
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
            Self::Limit(skip) | Self::Fleet { skip, .. } => skip,
            Self::Books => Skip::Budget(None),
        }
    }

    /// The order of how long it lasts: a place may be free at any time, a budget without a window never starts anew.
    pub(super) fn length(&self) -> (bool, Option<Millis>) {
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

/// Sets what a request needs aside in each of its accounts that has a budget or limits: in the worker's `till`, where it has
/// room at hand, else in the books.
///
/// # Errors
///
/// One of them has no room: the one that has none for longest. Where [`Demand::fails_closed`], also one that cannot be
/// read; else that one is passed over. Nothing is set aside then.
pub fn reserve(
    store: &impl Store,
    till: &mut Till,
    accounts: &[Rc<Account>],
    demand: &Demand<'_>,
) -> Result<Holds, Denied> {
    let (looks, left) = look(store, till, accounts, demand)?;
    let mut holds = Holds { vm: till.vm(), left, holds: Vec::with_capacity(looks.len()) };
    for Look { account, slot, found } in looks {
        match found.take(store, till, (account, slot), demand, &mut holds.left) {
            Some(Ok(taken)) => holds.holds.push(Hold { account: Rc::clone(account), slot, taken }),
            None if !demand.fails_closed => log::warn!("the books of {account} cannot be read: request admitted"),
            refused => {
                let lack = refused.and_then(Result::err).unwrap_or(Lack::Books);
                holds.cancel(store, demand.now);
                return Err(Denied { account: Rc::clone(account), lack, left: holds.left });
            }
        }
    }
    Ok(holds)
}

/// An account of a request, and what was found of it.
struct Look<'a> {
    account: &'a Rc<Account>,
    slot: Slot,
    found: Found,
}

enum Found {
    /// The till has room.
    InHand,
    /// Its books have.
    InBooks(Box<Page>),
    /// It has no room.
    Full,
    /// It has no books.
    Nothing,
}

/// The books of an account, as they will be.
struct Page {
    record: String,
    /// The version of those that were read.
    version: u32,
    books: Vec<u8>,
    taken: Taken,
    lent: Option<Lent>,
}

impl Found {
    /// Takes what was found to be there; where somebody was faster, what there is by now. `None` where the store fails.
    fn take(
        self,
        store: &impl Store,
        till: &mut Till,
        (account, slot): (&Rc<Account>, Slot),
        demand: &Demand<'_>,
        left: &mut RateLimits,
    ) -> Option<Result<Taken, Lack>> {
        match self {
            Self::Full | Self::Nothing => None,
            Self::InHand => till.take(slot, account, demand, left).map(Ok),
            Self::InBooks(page) => match store.set(&page.record, &page.books, page.version) {
                Swap::Done => {
                    till.put(slot, account, page.lent);
                    Some(Ok(page.taken))
                }
                Swap::Lost => account.update(store, |books| {
                    let taken = books.take(account, demand, till.vm());
                    left.tighten(&account.limits, &books.meter, demand.now);
                    taken
                }),
                Swap::Failed => None,
            },
        }
    }
}

/// Looks at all accounts before any is changed, and refuses where not all of them have room. What was found of each that is
/// capped, and what will be left of the tightest limits of those whose books were read.
fn look<'a>(
    store: &impl Store,
    till: &mut Till,
    accounts: &'a [Rc<Account>],
    demand: &Demand<'_>,
) -> Result<(Vec<Look<'a>>, RateLimits), Denied> {
    let (mut before, mut after) = (RateLimits::default(), RateLimits::default());
    let mut longest: Option<(&Rc<Account>, Lack)> = None;
    let mut looks = Vec::with_capacity(accounts.len());
    for account in accounts.iter().filter(|account| account.is_capped()) {
        let slot = till.ask(account);
        let found = if till.has_room(slot, account, demand) {
            Found::InHand
        } else {
            match open(store, till, (account, slot), demand, [&mut before, &mut after]) {
                Some(Ok(page)) => Found::InBooks(Box::new(page)),
                Some(Err(lack)) => {
                    if longest.as_ref().is_none_or(|(_, other)| lack.length() > other.length()) {
                        longest = Some((account, lack));
                    }
                    Found::Full
                }
                None => Found::Nothing,
            }
        };
        looks.push(Look { account, slot, found });
    }
    let Some((account, lack)) = longest else { return Ok((looks, after)) };
    for Look { account, slot, .. } in looks.iter().filter(|look| matches!(look.found, Found::InHand)) {
        till.tell_left(*slot, account, demand.now, &mut before);
    }
    Err(Denied { account: Rc::clone(account), lack, left: before })
}

/// Opens the books of an account. What they will be; `None` where there are none. What is left of the limits before it and
/// after it goes to `before` and `after`.
fn open(
    store: &impl Store,
    till: &Till,
    (account, slot): (&Rc<Account>, Slot),
    demand: &Demand<'_>,
    [before, after]: [&mut RateLimits; 2],
) -> Option<Result<Page, Lack>> {
    let record = account.record();
    let (bytes, version) = store.get(&record)?;
    let mut books = Books::decode(&bytes);
    before.tighten(&account.limits, &books.meter, demand.now);
    let taken = match books.take(account, demand, till.vm()) {
        Ok(taken) => taken,
        Err(lack) => return Some(Err(lack)),
    };
    after.tighten(&account.limits, &books.meter, demand.now);
    let lent = till.lend(slot, account, &mut books, demand);
    let taken = Taken { is_told_later: lent.is_some(), ..taken };
    Some(Ok(Page { record, version, books: books.encode(), taken, lent }))
}

impl Holds {
    /// Gives everything back, as if it had never been taken.
    pub fn cancel(&self, store: &impl Store, now: Millis) {
        for Hold { account, taken, .. } in &self.holds {
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
    /// request, with all of its accounts in the order of [`reserve`]: those without a cap count what is spent. Tells which alarms that sets off.
    pub fn settle(
        &self,
        store: &impl Store,
        till: &mut Till,
        accounts: &[Rc<Account>],
        now: Millis,
        cost: PicoUsd,
        tokens: u64,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        // The holds are in the order of the accounts.
        let mut holds = self.holds.iter().peekable();
        for account in accounts {
            let hold = holds.next_if(|hold| Rc::ptr_eq(&hold.account, account));
            if hold.is_none() && cost == PicoUsd::default() {
                continue;
            }
            let taken = hold.map(|hold| (hold.slot, &hold.taken));
            let (is_told_later, mut alarms) = till.end(account, taken, cost, tokens);
            if !is_told_later {
                let taken = hold.map(|hold| hold.taken).unwrap_or_default();
                alarms.extend(account.settle(store, self.vm, taken, now, cost, tokens));
            }
            alerts.extend(alarms.into_iter().map(|(budget, alarm)| Alert {
                account: Rc::clone(account),
                budget,
                alarm,
            }));
        }
        alerts
    }
}
