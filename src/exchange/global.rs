//! The global mode: what a request asks the rate limit service, and what it owes it. See [`crate::rls`].

use super::{By, Exchange, Refused};
use crate::budget::Account;
use crate::budget::account::Lack;
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
            Verdict::Full(positions) => Err(self.used_up(&ask, positions)),
            Verdict::Unknown if self.config.needs_rate_limit_service() => {
                let error = Error::new(Kind::RateLimitUnknown, "the rate limit service does not answer");
                Err(self.refused(error, By::Nobody))
            }
            Verdict::Unknown => Ok(()),
        }
    }

    fn refused(&self, error: Error, by: By) -> Refused {
        Refused { limits: self.holds.left, routing: self.explain(), by, ..error.into() }
    }

    /// What the client is told where `positions` are used up. Where the service does not say which, all that is known is that
    /// one of them is.
    fn used_up(&self, ask: &Ask, positions: &[usize]) -> Refused {
        if positions.len() == 1
            && let Some(denied) = ask.denied(positions)
        {
            return self.refused(self.refuse(&denied), denied.into());
        }
        let caps = || positions.iter().filter_map(|position| ask.cap(*position));
        let kind = match caps().all(|(_, cap, _)| cap.unit == Unit::Money) {
            true => Kind::BudgetExceeded { status: self.config.budget_exceeded_status },
            false => Kind::RateLimitExceeded,
        };
        let mut names: Vec<String> = caps().map(|(account, ..)| account.to_string()).collect();
        names.dedup();
        let message = format!("a budget or limit of {} is used up on all gateways together", names.join(", "));
        // Of several the first one that ends may be the one.
        let error = match caps().filter_map(|(.., end)| end).min() {
            Some(at) => Error::new(kind, message).with_retry_after(at.since(self.started)),
            None => Error::new(kind, message),
        };
        self.refused(error, By::OneOfSeveral)
    }

    /// What the service is asked beside the request, which goes on meanwhile: one question for each budget and limit in
    /// shadow mode. To be called once.
    pub fn ask_beside(&mut self) -> Vec<Ask> {
        if self.config.rate_limit_service.is_none() {
            return Vec::new();
        }
        let asks = Ask::in_shadow(self.accounts.iter(), self.started);
        self.beside = asks.iter().map(|ask| (ask.clone(), false)).collect();
        asks
    }

    /// The question at this position.
    pub fn asked_beside(&self, position: usize) -> Option<Ask> {
        self.beside.get(position).map(|(ask, _)| ask.clone())
    }

    /// The question at this position was answered: there is no room.
    pub fn hear_beside(&mut self, position: usize) {
        self.beside.get_mut(position).into_iter().for_each(|(_, is_used_up)| *is_used_up = true);
    }

    /// What the questions beside the request would have refused, each with its account.
    pub(super) fn refused_beside(&self) -> impl Iterator<Item = (&Account, Lack)> {
        let used_up = self.beside.iter().filter(|(_, is_used_up)| *is_used_up);
        used_up.filter_map(|(ask, _)| ask.cap(0)).map(|(account, cap, end)| (&**account, cap.lack(end)))
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
        let mut owed = match &self.consulted {
            Some(answered) => answered.owed(true, now, cost, tokens),
            None => Ask::new(self.accounts.iter(), now).map_or_else(Vec::new, |ask| ask.owed(false, now, cost, tokens)),
        };
        // The hit of a question that failed is owed already.
        owed.extend(self.beside.iter().flat_map(|(ask, _)| ask.owed(true, now, cost, tokens)));
        owed
    }
}
