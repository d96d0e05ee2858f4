//! What came of a simulation, in numbers.

use tollgate::routing::Class;
use tollgate::units::{Millis, PicoUsd};

use crate::scenario::{Arrival, START};

/// The head of the README's table.
pub(crate) const HEAD: &str = "\
| | goodput | failed | attempts each | p50 | p95 | p99 | 1,000 answers |
| --- | --- | --- | --- | --- | --- | --- | --- |";

/// Everything that happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcomes {
    /// In the order of their ends.
    pub(crate) requests: Vec<Request>,
    /// In the order of their beginnings.
    pub(crate) attempts: Vec<Attempt>,
    /// Of all answers.
    pub(crate) cost: PicoUsd,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// When it came, after the start.
    pub(crate) at: Millis,
    pub(crate) attempts: u32,
    /// How long its client waited for the answer; `None`: it got an error.
    pub(crate) took: Option<Millis>,
}

/// An attempt, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// When it began, after the start.
    pub(crate) at: Millis,
    /// Whom it asked.
    pub(crate) id: String,
    pub(crate) is_probe: bool,
    pub(crate) failure: Option<Class>,
}

impl Request {
    pub(crate) fn new(ask: &Arrival, attempts: u32, answered: Option<Millis>) -> Self {
        Self { at: ask.at.since(START), attempts, took: answered.map(|at| at.since(ask.at)) }
    }
}

/// The numbers of some requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    /// Milliseconds to the answer, retries included: the median, the 95th and the 99th percentile.
    pub(crate) percentiles: [u64; 3],
}

impl Summary {
    /// Of these requests.
    pub(crate) fn of<'a>(requests: impl Iterator<Item = &'a Request> + Clone) -> Self {
        let mut took: Vec<u64> = requests.clone().filter_map(|request| request.took.map(|took| took.0)).collect();
        took.sort_unstable();
        let percentile = |share: f64| {
            let rank = (took.len() as f64 * share).ceil() as usize;
            took.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        let percentiles = [0.5, 0.95, 0.99].map(percentile);
        Self { requests: requests.count(), answered: took.len(), percentiles }
    }

    /// The share of the requests that were answered, in percent.
    pub(crate) fn goodput(&self) -> f64 {
        100.0 * self.answered as f64 / self.requests.max(1) as f64
    }
}

impl Outcomes {
    /// The numbers of the requests that came in `from..to`.
    #[cfg(test)]
    pub(crate) fn within(&self, from: Millis, to: Millis) -> Summary {
        Summary::of(self.requests.iter().filter(|request| from <= request.at && request.at < to))
    }

    /// The numbers of all requests.
    pub(crate) fn whole(&self) -> Summary {
        Summary::of(self.requests.iter())
    }

    /// For each `step` of time up to `end`, the numbers of the requests that came in it.
    pub(crate) fn course(&self, step: Millis, end: Millis) -> Vec<Summary> {
        let mut buckets: Vec<Vec<Request>> = vec![Vec::new(); end.0.div_ceil(step.0.max(1)) as usize];
        for request in &self.requests {
            let bucket = buckets.get_mut((request.at.0 / step.0.max(1)) as usize);
            bucket.into_iter().for_each(|bucket| bucket.push(*request));
        }
        buckets.iter().map(|requests| Summary::of(requests.iter())).collect()
    }

    /// Attempts for each request.
    pub(crate) fn attempts_each(&self) -> f64 {
        self.attempts.len() as f64 / self.requests.len().max(1) as f64
    }

    /// USD for a thousand answers.
    pub(crate) fn usd_per_thousand(&self) -> f64 {
        let usd = self.cost.0 as f64 / PicoUsd::PER_USD as f64;
        1000.0 * usd / self.whole().answered.max(1) as f64
    }

    /// A row of the README's table.
    pub(crate) fn row(&self, name: &str) -> String {
        let whole = self.whole();
        let [p50, p95, p99] = whole.percentiles.map(|ms| ms as f64 / 1000.0);
        let failed = whole.requests - whole.answered;
        format!(
            "| {name} | {:.3} % | {failed} | {:.3} | {p50:.2} s | {p95:.2} s | {p99:.2} s | {:.2} USD |",
            whole.goodput(),
            self.attempts_each(),
            self.usd_per_thousand()
        )
    }
}
