//! What is left of a minute's or a day's requests and tokens, as clients are told.

use crate::config::Limits;
use crate::routing::Meter;
use crate::units::Millis;

/// What is left of the tightest limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    requests: Option<Left>,
    tokens: Option<Left>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    limit: u64,
    remaining: u64,
    reset: Millis,
}

impl RateLimits {
    /// Takes up what `meter` says at `now` of an account with `limits`, where that is less.
    pub fn tighten(&mut self, limits: &Limits, meter: &Meter, now: Millis) {
        if limits.is_none() {
            return;
        }
        let (minute, day) = meter.counts(now);
        let left = |limit: Option<u64>, used: u64, end: Millis| {
            limit.map(|limit| Left { limit, remaining: limit.saturating_sub(used), reset: end.since(now) })
        };
        for (told, [requests, tokens]) in [(minute, [limits.rpm, limits.tpm]), (day, [limits.rpd, limits.tpd])] {
            tighter(&mut self.requests, left(requests, told.requests, told.end));
            tighter(&mut self.tokens, left(tokens, told.tokens, told.end));
        }
    }

    /// Takes up what a rate limit service says of requests, where that is less.
    pub fn hear_of_requests(&mut self, limit: u64, remaining: u64, reset: Millis) {
        tighter(&mut self.requests, Some(Left { limit, remaining, reset }));
    }

    /// Takes up what a rate limit service says of tokens, where that is less.
    pub fn hear_of_tokens(&mut self, limit: u64, remaining: u64, reset: Millis) {
        tighter(&mut self.tokens, Some(Left { limit, remaining, reset }));
    }

    /// Tells the headers that say so: name, number, and the unit that follows the number.
    ///
    /// Source: OpenAI, "Rate limits in headers" <https://platform.openai.com/docs/guides/rate-limits>, not re-read for this.
    pub fn headers(&self, mut tell: impl FnMut(&'static str, u64, &'static str)) {
        let names = [
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        ];
        for ([limit, remaining, reset], left) in names.into_iter().zip([self.requests, self.tokens]) {
            let Some(left) = left else { continue };
            tell(limit, left.limit, "");
            tell(remaining, left.remaining, "");
            tell(reset, left.reset.secs_ceil(), "s");
        }
    }
}

/// Takes up what is found, where less remains of it.
fn tighter(own: &mut Option<Left>, found: Option<Left>) {
    let is_less = |found: &Left| own.is_none_or(|own| found.remaining < own.remaining);
    if let Some(found) = found.filter(is_less) {
        *own = Some(found);
    }
}
