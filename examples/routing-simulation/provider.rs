//! A provider: how long it takes, and when it fails or refuses.

use tollgate::routing::Class;
use tollgate::units::Millis;

use crate::chance::Chance;
use crate::scenario::{Arrival, Kind, START, Scenario, Site, Told, Trouble};

/// How long a connection takes to be refused, or a request.
const REFUSAL: Millis = Millis(15);
/// The median time after which a broken provider says so.
const ERROR_MS: f64 = 400.0;
const MINUTE: u64 = 60_000;

/// What comes of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) takes: Millis,
    pub(crate) failure: Option<Class>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}

/// A provider at work.
#[derive(Debug)]
pub(crate) struct Provider {
    site: Site,
    troubles: Vec<Trouble>,
    in_flight: u64,
    /// The running minute, and the requests that were let in.
    minute: u64,
    begun: u64,
}

impl Provider {
    pub(crate) fn new(scenario: &Scenario, i: usize, site: Site) -> Self {
        let troubles = scenario.troubles.iter().filter(|trouble| trouble.sites.contains(&i)).cloned().collect();
        Self { site, troubles, in_flight: 0, minute: 0, begun: 0 }
    }

    /// Takes a request that is given up after `timeout`. Its end is to be told to [`Provider::end`].
    pub(crate) fn begin(&mut self, now: Millis, ask: &Arrival, timeout: Millis, chance: &mut Chance) -> Answer {
        self.in_flight += 1;
        let answer = self.answer(now, ask, chance);
        if answer.takes < timeout {
            return answer;
        }
        Answer { takes: timeout, failure: Some(Class::Timeout), headers: Vec::new() }
    }

    pub(crate) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn answer(&mut self, now: Millis, ask: &Arrival, chance: &mut Chance) -> Answer {
        let since = now.since(START).0;
        let trouble = self.troubles.iter().find(|trouble| (trouble.from..trouble.to).contains(&since));
        let kind = trouble.map(|trouble| trouble.kind);
        if kind == Some(Kind::Down) {
            return Answer { takes: REFUSAL, failure: Some(Class::Connection), ..Answer::default() };
        }
        if !self.admits(now) {
            let (failure, headers) = (Class::of_status(429), self.retry_after(now));
            return Answer { takes: REFUSAL, failure, headers };
        }
        let crowd = (self.in_flight as f64 / self.site.slots as f64).max(1.0);
        let whole = self.site.first_ms + self.site.token_ms * ask.output_tokens as f64;
        let takes = Millis((chance.log_normal(whole, 0.25) * crowd) as u64);
        let headers = self.remaining(now);
        match kind {
            Some(Kind::Silent) => Answer { takes: Millis(u64::MAX), ..Answer::default() },
            Some(Kind::Errors(percent)) if chance.below(100) < percent => {
                let takes = Millis(chance.log_normal(ERROR_MS, 0.25) as u64);
                Answer { takes, failure: Class::of_status(500), headers }
            }
            Some(Kind::Slow(times)) => {
                Answer { takes: Millis((takes.0 as f64 * times) as u64), failure: None, headers }
            }
            _ => Answer { takes, failure: None, headers },
        }
    }

    /// Whether the limit of this minute lets one more in.
    fn admits(&mut self, now: Millis) -> bool {
        if self.minute != now.0 / MINUTE {
            (self.minute, self.begun) = (now.0 / MINUTE, 0);
        }
        let is_free = self.site.rpm.is_none_or(|rpm| self.begun < rpm);
        self.begun += u64::from(is_free);
        is_free
    }

    fn retry_after(&self, now: Millis) -> Vec<(&'static str, String)> {
        vec![("retry-after", secs_to_minute(now))]
    }

    fn remaining(&self, now: Millis) -> Vec<(&'static str, String)> {
        let Some(rpm) = self.site.rpm.filter(|_| self.site.told == Told::Headers) else { return Vec::new() };
        let left = rpm.saturating_sub(self.begun).to_string();
        let reset = format!("{}s", secs_to_minute(now));
        vec![("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", reset)]
    }
}

/// How many seconds the minute still has, rounded up.
fn secs_to_minute(now: Millis) -> String {
    Millis(MINUTE - now.0 % MINUTE).secs_ceil().to_string()
}
