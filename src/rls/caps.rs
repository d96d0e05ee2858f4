//! An account's budgets and limits, as a rate limit service counts them.

use std::rc::Rc;

use super::wire;
use crate::budget::account::Lack;
use crate::budget::{Account, Scope, Window};
use crate::config::{Budget, Deployment, Limits};
use crate::routing::Skip;
use crate::units::{Millis, PicoUsd};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Micro-dollars.
    Money,
    /// Requests.
    Requests,
    /// Tokens.
    Tokens,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Money => "budget",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

/// How long a counter lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// For good.
    Forever,
    /// A window of a budget.
    Window(Window),
    /// A minute of the clock.
    Minute,
    /// A day, in UTC.
    Day,
}

impl Span {
    /// When the one that holds `now` ends; `None`: never.
    pub fn end_after(&self, now: Millis) -> Option<Millis> {
        let end = |number: u64, period: u64| Some(Millis(number.saturating_add(1).saturating_mul(period)));
        match self {
            Self::Forever => None,
            Self::Window(window) => Some(window.end_after(now)),
            Self::Minute => end(now.0 / MINUTE, MINUTE),
            Self::Day => end(now.0 / DAY, DAY),
        }
    }

    /// `1d`, as a config would say it; `never`.
    pub fn name(&self) -> String {
        match self {
            Self::Forever => "never".to_owned(),
            Self::Window(window) => window.to_string(),
            Self::Minute => "1m".to_owned(),
            Self::Day => "1d".to_owned(),
        }
    }
}

/// A budget or a limit of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// What is counted.
    pub unit: Unit,
    /// The most of it that one window has.
    pub max: u64,
    /// The window.
    pub span: Span,
    /// `mode: shadow`: it refuses nothing.
    pub is_shadow: bool,
}

/// What the service calls one counter. It is the same in all Envoys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// `key/batch/budget/1d`
    pub name: Rc<str>,
    /// Which of many of that name; `None`: there is only one. It has no space and no line end.
    pub whose: Option<Rc<str>>,
    /// The end of the window that it counts; `None`: it never ends.
    pub end: Option<Millis>,
}

impl Counter {
    /// The value that goes with the name: the end of the window, `2026-11-24T00:00:00Z` or `never`, and whose it is.
    pub fn value(&self) -> String {
        match &self.whose {
            Some(whose) => format!("{}/{whose}", wire::window(self.end)),
            None => wire::window(self.end),
        }
    }
}

impl Cap {
    /// Every budget and limit of `account` that a service counts: those that are enforced, then those in shadow mode. Of
    /// several for the same in the same window the smallest.
    pub fn all(account: &Account) -> Vec<Self> {
        let mut caps: Vec<Self> = Vec::new();
        for is_shadow in [false, true] {
            let budgets = account.budgets.iter().filter(|budget| budget.is_shadow == is_shadow);
            let limits = if is_shadow { &account.shadow_limits } else { &account.limits };
            for cap in budgets.filter_map(Self::of_budget).chain(Self::of_limits(limits, is_shadow)) {
                match caps.iter_mut().find(|other| other.is_shadow == is_shadow && other.counts_like(&cap)) {
                    Some(other) => other.max = other.max.min(cap.max),
                    None => caps.push(cap),
                }
            }
        }
        caps
    }

    fn of_budget(budget: &Budget) -> Option<Self> {
        let span = budget.window.clone().map_or(Span::Forever, Span::Window);
        Some(Self { unit: Unit::Money, max: micro_usd(budget.max?), span, is_shadow: budget.is_shadow })
    }

    fn of_limits(limits: &Limits, is_shadow: bool) -> impl Iterator<Item = Self> {
        let limits = [
            (Unit::Requests, limits.rpm, Span::Minute),
            (Unit::Tokens, limits.tpm, Span::Minute),
            (Unit::Requests, limits.rpd, Span::Day),
            (Unit::Tokens, limits.tpd, Span::Day),
        ];
        limits.into_iter().filter_map(move |(unit, max, span)| Some(Self { unit, max: max?, span, is_shadow }))
    }

    /// Whether both count the same in the same window.
    fn counts_like(&self, other: &Self) -> bool {
        self.unit == other.unit && self.span == other.span
    }

    /// What the service calls it: `key/batch/budget/1d`. One in shadow mode has the name that it will have when it is
    /// enforced; beside one that is enforced, `key/batch/budget/1d/shadow`.
    pub fn name(&self, account: &Account) -> String {
        let mut name = account.scope.name().to_owned();
        let mut push = |part: &str| {
            if !part.is_empty() {
                name.push('/');
                escape(part, &mut name);
            }
        };
        // Whom the config does not list the service's config cannot: one rule is for all of them.
        push(if account.scope == Scope::OtherEndUser { "" } else { &account.name });
        if let Some(model) = &account.model {
            push("model");
            push(model);
        }
        push(self.unit.name());
        push(&self.span.name());
        if self.is_shadow && Self::all(account).iter().any(|other| !other.is_shadow && self.counts_like(other)) {
            push("shadow");
        }
        name
    }

    /// Its counter at `now`.
    pub fn counter(&self, account: &Account, now: Millis) -> Counter {
        let whose = match (account.scope, account.name.as_str()) {
            (Scope::OtherEndUser, "") => Some(OTHERS.into()),
            (Scope::OtherEndUser, name) => Some(name.into()),
            _ => None,
        };
        Counter { name: self.name(account).into(), whose, end: self.span.end_after(now) }
    }

    /// What an account lacks whose counter, which ends then, is used up.
    pub fn lack(&self, end: Option<Millis>) -> Lack {
        let at = end.unwrap_or_default();
        let skip = match (self.unit, &self.span) {
            (Unit::Money, _) => Skip::Budget(end),
            (Unit::Requests, Span::Day) => Skip::Rpd(at),
            (Unit::Requests, _) => Skip::Rpm(at),
            (Unit::Tokens, Span::Day) => Skip::Tpd(at),
            (Unit::Tokens, _) => Skip::Tpm(at),
        };
        Lack::Fleet { skip, max: self.max }
    }
}

/// A budget or limit of a deployment, or of its provider, whose name is made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whose.
    pub account: Rc<Account>,
    /// Which.
    pub cap: Cap,
    /// The name of its counters.
    pub name: Rc<str>,
}

impl Named {
    /// Those of the accounts of `deployment`, and of what it says that its provider takes.
    pub fn all(deployment: &Deployment) -> Vec<Self> {
        let limits = deployment.limits;
        let own = Account { scope: Scope::Deployment, name: deployment.id.clone(), limits, ..Account::default() };
        let own = Rc::new(own);
        let all = deployment.accounts.iter().chain([&own]).flat_map(|account| {
            let named = |cap: Cap| Self { account: Rc::clone(account), name: cap.name(account).into(), cap };
            Cap::all(account).into_iter().map(named)
        });
        all.collect()
    }

    /// Its counter at `now`.
    pub fn counter(&self, now: Millis) -> Counter {
        Counter { name: Rc::clone(&self.name), whose: None, end: self.cap.span.end_after(now) }
    }
}

/// Whole micro-dollars, rounded down: a cap is never passed by rounding.
const fn micro_usd(amount: PicoUsd) -> u64 {
    amount.0 / PICO_PER_MICRO
}

/// Writes all but letters, digits and some marks as `%2F`: no service reads anything into them, and names stay apart.
fn escape(part: &str, out: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// In the place of a name: those end users that the config does not list and for whom a gateway has no books left.
const OTHERS: &str = "others";
const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
pub(super) const PICO_PER_MICRO: u64 = 1_000_000;
