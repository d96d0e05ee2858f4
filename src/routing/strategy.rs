//! Which of the deployments that may be asked is asked.
//!
//! Only the lowest `order` with an open deployment competes; the next one is for when it has none. Within it the
//! strategy decides, or the affinity of a conversation. Equals are chosen by chance: were they not,
//! every worker would send its requests to the same one until the shared facts say otherwise.
//!
//! ## What it costs
//!
//! `simple-shuffle` looks at one deployment, or a few while some are closed, however many there are. The others look at
//! each of the level. Natively, with a board of 1,000 deployments, in microseconds (2 shared cores, best of 50 runs):
//!
//! | strategy | level of 10 | of 1,000 |
//! | --- | --- | --- |
//! | `simple-shuffle` | 0.01 | 0.01 |
//! | the same, all but one closed | 0.05 | 0.7 |
//! | `least-busy`, `usage-based-routing-v2` | 0.2 | 22 |
//! | `latency-based-routing` | 0.5 | 48 |
//! | `cost-based-routing` | 0.03 | 3 |
//! | any, with affinity | 0.3 | 18 |

use std::ops::Range;

use super::{Pool, State, affinity};
use crate::budget::Rate;
use crate::config::Deployment;
use crate::units::{Millis, PicoUsd};

/// `routing_strategy`, with what `routing_strategy_args` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// `simple-shuffle`: by weight.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the fewest attempts under way.
    LeastBusy,
    /// `latency-based-routing`: the shortest wait, by the last answers and the attempts under way.
    Latency {
        /// `ttl`: how long a sample counts; an hour unless set.
        ttl: Millis,
        /// `lowest_latency_buffer`: how much slower than the fastest, as a fraction, is as good; 0 unless set.
        buffer: f64,
        /// `max_latency_list_size`: how many samples count; 10 unless set.
        samples: usize,
    },
    /// `cost-based-routing`: the lowest price.
    Cost,
    /// `usage-based-routing-v2`: the fewest tokens in this minute.
    Usage,
}

impl Strategy {
    /// LiteLLM's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::Latency { .. } => "latency-based-routing",
            Self::Cost => "cost-based-routing",
            Self::Usage => "usage-based-routing-v2",
        }
    }
}

/// What of a request a choice depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The tokens that it may use.
    pub tokens: u64,
    /// Whether it asks for a stream.
    pub is_stream: bool,
    /// What keeps it at one deployment, however busy or dear that is: requests with the same key go to the same one.
    pub affinity: Option<u64>,
}

/// The position in `pool` of the deployment to ask; `None`: no one is open.
///
/// `is_open` says for a position whether it may be asked. It is not asked about all of them, and about some more than
/// once; its answer must not change meanwhile. `state` tells what is known of a deployment; shuffling, prices and
/// affinity need it not. `random(n)` draws from `0..n`.
pub fn choose(
    strategy: Strategy,
    pool: &Pool,
    question: &Question,
    is_open: &mut dyn FnMut(usize) -> bool,
    state: &dyn Fn(&Deployment) -> State,
    random: &mut (impl FnMut(u64) -> u64 + ?Sized),
) -> Option<usize> {
    pool.levels().find_map(|level| match (question.affinity, strategy) {
        (Some(key), _) => lowest(open(pool, &level, is_open, |d| unfitness(d, key)), random),
        (None, Strategy::SimpleShuffle) => shuffle(pool, &level, is_open, random),
        (None, Strategy::LeastBusy) => lowest(open(pool, &level, is_open, |d| state(d).in_flight), random),
        (None, Strategy::Latency { buffer, .. }) => {
            let latency = |d: &Deployment| latency(&state(d), question.is_stream);
            fastest(open(pool, &level, is_open, latency).collect(), buffer, random)
        }
        (None, Strategy::Cost) => lowest(open(pool, &level, is_open, price), random),
        (None, Strategy::Usage) => lowest(open(pool, &level, is_open, |d| usage(d, &state(d), question)), random),
    })
}

/// The positions of the open deployments of a level, each with what it is judged by.
fn open<'a, K>(
    pool: &'a Pool,
    level: &Range<usize>,
    is_open: &'a mut dyn FnMut(usize) -> bool,
    key: impl Fn(&Deployment) -> K + 'a,
) -> impl Iterator<Item = (usize, K)> {
    let deployments = pool.deployments().get(level.clone()).unwrap_or_default();
    level.clone().zip(deployments).filter(|(i, _)| is_open(*i)).map(move |(i, deployment)| (i, key(deployment)))
}

/// The candidate with the lowest key, one of them by chance where several have it.
fn lowest<K: PartialOrd>(
    candidates: impl Iterator<Item = (usize, K)>,
    random: &mut (impl FnMut(u64) -> u64 + ?Sized),
) -> Option<usize> {
    let (mut best, mut equals) = (None, 0u64);
    for (i, key) in candidates {
        match &best {
            Some((_, lowest)) if key > *lowest => continue,
            Some((_, lowest)) if key == *lowest => equals = equals.saturating_add(1),
            _ => equals = 1,
        }
        // Each of n equals stays with 1/n: the last comes with 1/n, and those before shared the rest evenly.
        if equals == 1 || random(equals) == 0 {
            best = Some((i, key));
        }
    }
    best.map(|(i, _)| i)
}

/// One of those that are at most `buffer` slower than the fastest.
fn fastest(latencies: Vec<(usize, f64)>, buffer: f64, random: &mut (impl FnMut(u64) -> u64 + ?Sized)) -> Option<usize> {
    let fastest = latencies.iter().map(|(_, latency)| *latency).min_by(f64::total_cmp)?;
    let bound = fastest * (1.0 + buffer);
    lowest(latencies.into_iter().map(|(i, latency)| (i, latency > bound)), random)
}

/// Draws by weight among the open ones.
///
/// A few draws of the whole level almost always meet an open one. While most are closed, a look at all of them decides:
/// each open one replaces the one before with the probability of its weight among those seen, which leaves each with the
/// probability of its share.
fn shuffle(
    pool: &Pool,
    level: &Range<usize>,
    is_open: &mut dyn FnMut(usize) -> bool,
    random: &mut (impl FnMut(u64) -> u64 + ?Sized),
) -> Option<usize> {
    for _ in 0..level.len().min(DRAWS) {
        let drawn = pool.draw(level, random);
        if is_open(drawn) {
            return Some(drawn);
        }
    }
    let (mut best, mut total) = (None, 0u64);
    for (i, weight) in open(pool, level, is_open, |d| d.weight).filter(|(_, weight)| *weight > 0) {
        total = total.saturating_add(weight);
        if random(total) < weight {
            best = Some(i);
        }
    }
    best.or_else(|| lowest(open(pool, level, is_open, |_| 0), random))
}

/// How little a deployment is suited to keep the conversations of `key`; those that weigh nothing are the least.
fn unfitness(deployment: &Deployment, key: u64) -> (bool, f64) {
    let weight = deployment.weight;
    (weight == 0, affinity::cost(key, deployment.number, weight.max(1)))
}

/// How slow a deployment is, times the requests that it would have: the fastest one is not worth a crowd, and what it
/// gets slower by is known only when the crowd's answers come. Where it is not known, it is tried by one request at a
/// time.
fn latency(state: &State, is_stream: bool) -> f64 {
    let known = if is_stream { state.ttft_ms } else { state.secs_per_token };
    match known {
        Some(known) => known.max(0.0) * (f64::from(state.in_flight) + 1.0),
        None if state.in_flight == 0 => 0.0,
        None => f64::INFINITY,
    }
}

/// What a token of the prompt and one of the answer cost; where nobody says, more than anywhere.
///
/// Source: LiteLLM 1.109.1, `router_strategy/lowest_cost.py`: 5 USD each, read 2026-11-23.
fn price(deployment: &Deployment) -> PicoUsd {
    let unknown = PicoUsd(PicoUsd::PER_USD).times(10);
    deployment.price.as_ref().map_or(unknown, |price| price.list(Rate::Input).plus(price.list(Rate::Output)))
}

/// Whether a limit would be passed, then the tokens of this minute.
fn usage(deployment: &Deployment, state: &State, question: &Question) -> (bool, u64) {
    let passes = |used: u64, more: u64, limit: Option<u64>| limit.is_some_and(|max| used.saturating_add(more) > max);
    let limits = &deployment.limits;
    let is_over = passes(state.tokens, question.tokens, limits.tpm) || passes(state.requests, 1, limits.rpm);
    (is_over, state.tokens)
}

/// How often one is drawn before all are looked at.
const DRAWS: usize = 8;

#[cfg(test)]
#[path = "strategy_tests.rs"]
mod tests;
