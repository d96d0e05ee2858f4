//! The global mode: what a request asks the rate limit service, and what it owes it. See [`crate::rls`].

use super::{Exchange, Refused};
use crate::error::{Error, Kind};
use crate::rls::{Ask, Counter, Unit, Verdict};
use crate::store::Store;
use crate::telemetry::Record;
use crate::units::Millis;

impl Exchange {
    /// What the service is to be asked before the request goes on; `None` where there is none, or nothing to ask.
    pub fn ask(&self) -> Option<Ask> {
        self.config.rate_limit_service.as_ref()?;
        Ask::new(self.accounts.iter(), self.started)
    }

    /// Takes the service's answer to `ask`.
    ///
    /// # Errors
    ///
    /// `BudgetExceeded`, `RateLimitExceeded`; `RateLimitUnknown` where there is no answer and the config says to refuse
    /// then. What was set aside is to be given back: [`Self::unreserve`].
    pub fn heed(&mut self, ask: Ask, verdict: &Verdict) -> Result<(), Refused> {
        match verdict {
            Verdict::Room(left) => {
                for (position, left) in left.iter().enumerate() {
                    let (Some((_, cap, end)), Some(limit)) = (ask.cap(position), left.limit) else { continue };
                    let reset = end.unwrap_or_default().since(self.started);
                    match cap.unit {
                        Unit::Money => {}
                        Unit::Requests => self.holds.left.hear_of_requests(limit, left.remaining, reset),
                        Unit::Tokens => self.holds.left.hear_of_tokens(limit, left.remaining, reset),
                    }
                }
                self.consulted = Some(ask);
                Ok(())
            }
            Verdict::Full(positions) => Err(self.refused(self.over(&ask, positions))),
            Verdict::Unknown if self.config.needs_rate_limit_service() => {
                Err(self.refused(Error::new(Kind::RateLimitUnknown, "the rate limit service does not answer")))
            }
            Verdict::Unknown => Ok(()),
        }
    }

    fn refused(&self, error: Error) -> Refused {
        Refused { limits: self.holds.left, routing: self.explain(), ..error.into() }
    }

    /// The error of the budget or limit that is used up for longest.
    fn over(&self, ask: &Ask, positions: &[usize]) -> Error {
        let longest = ask.longest(positions).and_then(|position| ask.cap(position));
        let Some((account, cap, end)) = longest else {
            return Error::new(Kind::RateLimitExceeded, "a limit is reached");
        };
        // Where the service does not say which, all that is known is that one of them is.
        let is_known = positions.len() == 1;
        let caps = || positions.iter().filter_map(|position| ask.cap(*position));
        let is_budget = caps().all(|(_, cap, _)| cap.unit == Unit::Money);
        let kind = match is_budget {
            true => Kind::BudgetExceeded { status: self.config.budget_exceeded_status },
            false => Kind::RateLimitExceeded,
        };
        let reset = match end {
            Some(at) if is_known => format!("; it starts anew at {}", at.rfc3339()),
            Some(_) | None => String::new(),
        };
        let message = match cap.unit {
            Unit::Money if is_known => format!("the budget of {account} is spent on all gateways together{reset}"),
            unit if is_known => {
                let what = if unit == Unit::Requests { "requests" } else { "tokens" };
                format!("{account} has reached its limit of {} {what} on all gateways together{reset}", cap.max)
            }
            _ => {
                let mut names: Vec<String> = caps().map(|(account, ..)| account.to_string()).collect();
                names.dedup();
                format!("a budget or limit of {} is used up on all gateways together", names.join(", "))
            }
        };
        // Of several the first one that ends may be the one.
        match caps().filter_map(|(.., end)| end).min() {
            Some(at) => Error::new(kind, message).with_retry_after(at.since(self.started)),
            None => Error::new(kind, message),
        }
    }

    /// Gives back what [`Self::reserve`] set aside, for a request that was refused after it.
    pub fn unreserve(&self, store: &impl Store, now: Millis) {
        self.holds.cancel(store, now);
    }

    /// What the service is owed for this request: each counter with its amount in millionths of a hit.
    pub fn owed(&self, now: Millis, record: &Record) -> Vec<(Counter, i64)> {
        if self.config.rate_limit_service.is_none() {
            return Vec::new();
        }
        let (cost, tokens) = (record.cost.0, self.charged_tokens(record));
        match &self.consulted {
            Some(answered) => answered.owed(true, now, cost, tokens),
            None => Ask::new(self.accounts.iter(), now).map_or_else(Vec::new, |ask| ask.owed(false, now, cost, tokens)),
        }
    }
}
