//! An account's budgets and limits, as a rate limit service counts them.

use std::rc::Rc;

use super::wire;
use crate::budget::{Account, Scope, Window};
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
}

/// What the service calls one counter. It is the same in all Envoys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// `key/batch/budget/1d`
    pub name: Rc<str>,
    /// The end of the window that it counts; `None`: it never ends.
    pub end: Option<Millis>,
}

impl Counter {
    /// The end as the service is told it: `2026-11-24T00:00:00Z`, or `never`.
    pub fn window(&self) -> String {
        wire::window(self.end)
    }
}

impl Cap {
    /// Every budget and limit of `account` that a service counts: not those in shadow mode, which refuse nothing.
    pub fn all(account: &Account) -> Vec<Self> {
        if !counts(account.scope) {
            return Vec::new();
        }
        let budgets = account.budgets.iter().filter(|budget| !budget.is_shadow).filter_map(|budget| {
            let span = budget.window.clone().map_or(Span::Forever, Span::Window);
            Some(Self { unit: Unit::Money, max: micro_usd(budget.max?), span })
        });
        let limits = &account.limits;
        let limits = [
            (Unit::Requests, limits.rpm, Span::Minute),
            (Unit::Tokens, limits.tpm, Span::Minute),
            (Unit::Requests, limits.rpd, Span::Day),
            (Unit::Tokens, limits.tpd, Span::Day),
        ];
        let limits = limits.into_iter().filter_map(|(unit, max, span)| Some(Self { unit, max: max?, span }));
        budgets.chain(limits).collect()
    }

    /// What the service calls it: `key/batch/budget/1d`.
    pub fn name(&self, account: &Account) -> String {
        let mut name = account.scope.name().to_owned();
        let mut push = |part: &str| {
            if !part.is_empty() {
                name.push('/');
                escape(part, &mut name);
            }
        };
        push(&account.name);
        if let Some(model) = &account.model {
            push("model");
            push(model);
        }
        push(self.unit.name());
        push(&self.span.name());
        name
    }

    /// Its counter at `now`.
    pub fn counter(&self, account: &Account, now: Millis) -> Counter {
        Counter { name: self.name(account).into(), end: self.span.end_after(now) }
    }
}

/// Whether a service counts for accounts of this scope.
///
/// Providers and deployments are chosen between, attempt by attempt, where no call is waited for; end users that the config
/// does not list are in nobody's config.
pub const fn counts(scope: Scope) -> bool {
    match scope {
        Scope::Key | Scope::Team | Scope::User | Scope::EndUser | Scope::Tag | Scope::Proxy => true,
        Scope::OtherEndUser | Scope::Provider | Scope::Deployment => false,
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

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
pub(super) const PICO_PER_MICRO: u64 = 1_000_000;
