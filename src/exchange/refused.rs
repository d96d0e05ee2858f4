//! A request that is not admitted: what the client is told, and whose budget or limit it was.

use super::Exchange;
use crate::budget::account::{Denied, Lack};
use crate::budget::{Account, RateLimits, Refusal};
use crate::error::{Error, Kind};
use crate::routing::Skip;
use crate::telemetry::metric::AccountLabels;
use crate::units::Millis;

/// A request that is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the client is told.
    pub error: Box<Error>,
    /// Why nobody was asked: see [`Exchange::explain`].
    pub routing: String,
    /// What is left of the limits of its accounts.
    pub limits: RateLimits,
    /// Which account refused it.
    pub by: By,
}

/// Which account has refused a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// None.
    #[default]
    Nobody,
    /// This one.
    Account(Box<Denied>),
    /// One of several: the rate limit service does not say which.
    OneOfSeveral,
}

impl By {
    /// The labels under which the refusal is counted; `None` where no account has refused.
    pub fn labels(&self) -> Option<AccountLabels<'_>> {
        match self {
            Self::Nobody => None,
            Self::Account(denied) => Some(denied.account.labels(denied.lack.name())),
            Self::OneOfSeveral => {
                Some(AccountLabels { scope: "unknown", reason: "unknown", ..AccountLabels::default() })
            }
        }
    }
}

impl From<Denied> for By {
    fn from(denied: Denied) -> Self {
        Self::Account(Box::new(denied))
    }
}

/// When a place may be free: nobody knows when a request ends.
const PARALLEL_WAIT: Millis = Millis::from_secs(1);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), routing: String::new(), limits: RateLimits::default(), by: By::Nobody }
    }
}

impl Exchange {
    pub(super) fn refuse(&self, denied: &Denied) -> Error {
        let account = &denied.account;
        match denied.lack {
            Lack::Budget(refusal) => self.over_budget(account, &refusal),
            Lack::Limit(skip) => {
                let limits = &account.limits;
                let (what, limit) = match skip {
                    Skip::Rpm(_) => ("requests a minute", limits.rpm),
                    Skip::Tpm(_) => ("tokens a minute", limits.tpm),
                    Skip::Rpd(_) => ("requests a day", limits.rpd),
                    Skip::Tpd(_) => ("tokens a day", limits.tpd),
                    _ => ("requests at a time", limits.parallel),
                };
                let message = format!("{account} has reached its limit of {} {what}", limit.unwrap_or_default());
                let wait = skip.until().map_or(PARALLEL_WAIT, |until| until.since(self.started));
                Error::new(Kind::RateLimitExceeded, message).with_retry_after(wait)
            }
            Lack::Fleet { skip, max } => self.over_fleet(account, skip, max),
            Lack::Books => Error::new(Kind::Internal, format!("the books of {account} cannot be read")),
        }
    }

    fn over_budget(&self, account: &Account, refusal: &Refusal) -> Error {
        let reset = match refusal.resets_at {
            Some(at) => format!("; it starts anew at {}", at.rfc3339()),
            None => String::new(),
        };
        let message = format!(
            "the budget of {account} is spent: {} USD spent, {} USD reserved by requests under way, of {} USD{reset}",
            refusal.spent, refusal.reserved, refusal.max
        );
        let error = Error::new(Kind::BudgetExceeded { status: self.config.budget_exceeded_status }, message);
        match refusal.resets_at {
            Some(at) => error.with_retry_after(at.since(self.started)),
            None => error,
        }
    }

    /// The error of a budget or limit that all gateways together have used up.
    pub(super) fn over_fleet(&self, account: &Account, skip: Skip, max: u64) -> Error {
        let until = skip.until();
        let reset = until.map(|at| format!("; it starts anew at {}", at.rfc3339())).unwrap_or_default();
        let all = "on all gateways together";
        let (kind, message) = match skip {
            Skip::Budget(_) => (
                Kind::BudgetExceeded { status: self.config.budget_exceeded_status },
                format!("the budget of {account} is spent {all}{reset}"),
            ),
            _ => {
                let what = if matches!(skip, Skip::Rpm(_) | Skip::Rpd(_)) { "requests" } else { "tokens" };
                let message = format!("{account} has reached its limit of {max} {what} {all}{reset}");
                (Kind::RateLimitExceeded, message)
            }
        };
        let error = Error::new(kind, message);
        match until {
            Some(at) => error.with_retry_after(at.since(self.started)),
            None => error,
        }
    }
}
