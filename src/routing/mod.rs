//! The plan: which deployments one request tries, in which order.
//!
//! ## Why a plan and not a router
//!
//! Envoy does the retrying. It asks for the cluster of the next attempt before it knows why the last one failed, so
//! the whole order is drawn up at admission and walked by the attempts.
//!
//! The order is LiteLLM's: the group's own attempts (one and `num_retries` more), then each fallback group's. Inside
//! a group the deployments are drawn by weight without putting back (simple-shuffle), so a retry meets another
//! deployment as long as there is one.

mod class;
mod fleet;
mod pool;
mod strategy;

pub use class::{Class, PerClass};
pub use fleet::{Fleet, Health, Outcome, Place, Skip, State, Usage};
pub use pool::Pool;
pub use strategy::Strategy;

use std::rc::Rc;

use crate::config::{Config, Deployment, Resolved};

/// The longest plan. LiteLLM's defaults (3 attempts, 5 fallbacks) need 18.
pub const MAX_ATTEMPTS: usize = 20;
/// The most fallback groups of one request: LiteLLM's `max_fallbacks`.
pub const MAX_FALLBACKS: usize = 5;

/// One attempt to come.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whom it asks.
    pub deployment: Rc<Deployment>,
    /// How many groups were given up before.
    pub fallbacks: u32,
}

/// Draws up the plan for `group`, with those of its fallbacks that `may_use` lets through. `random(n)` draws from
/// `0..n`. Empty when there is no such group.
pub fn plan(
    config: &Config,
    group: &str,
    may_use: impl Fn(&str) -> bool,
    random: &mut impl FnMut(u64) -> u64,
) -> Vec<Step> {
    let Some(first) = config.resolve(group) else { return Vec::new() };
    let mut steps = Vec::with_capacity(4);
    extend(&mut steps, &first, 0, random);
    let fallbacks = first.group.fallbacks.iter().filter(|name| name.as_str() != group && may_use(name));
    for (name, count) in fallbacks.zip(1..=MAX_FALLBACKS as u32) {
        if let Some(fallback) = config.resolve(name) {
            extend(&mut steps, &fallback, count, random);
        }
    }
    steps.truncate(MAX_ATTEMPTS);
    steps
}

fn extend(steps: &mut Vec<Step>, resolved: &Resolved<'_>, fallbacks: u32, random: &mut impl FnMut(u64) -> u64) {
    let attempts = (resolved.group.num_retries as usize).saturating_add(1).min(MAX_ATTEMPTS);
    let order = shuffle(&resolved.pool(), attempts, random);
    steps.extend(
        order.iter().cycle().take(attempts).map(|deployment| Step { deployment: deployment.clone(), fallbacks }),
    );
}

/// The first `count` deployments of `pool` in an order drawn by weight.
fn shuffle(pool: &Pool, count: usize, random: &mut impl FnMut(u64) -> u64) -> Vec<Rc<Deployment>> {
    let mut left = pool.deployments().to_vec();
    let mut order = Vec::with_capacity(count.min(left.len()));
    while order.len() < count && !left.is_empty() {
        let weights: Vec<u64> = left.iter().map(|d| d.weight).collect();
        order.push(left.swap_remove(draw(&weights, random)));
    }
    order
}

/// Draws a position by weight; by chance alone where all weigh nothing.
fn draw(weights: &[u64], random: &mut impl FnMut(u64) -> u64) -> usize {
    let total = weights.iter().fold(0u64, |sum, &weight| sum.saturating_add(weight));
    if weights.len() < 2 {
        return 0;
    }
    if total == 0 {
        return random(weights.len() as u64) as usize;
    }
    let mut drawn = random(total);
    for (i, &weight) in weights.iter().enumerate() {
        match drawn.checked_sub(weight) {
            Some(rest) => drawn = rest,
            None => return i,
        }
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::draw;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn weights_are_shares_of_the_draw() {
        let shares = |weights: &[u64]| {
            let total = weights.iter().sum::<u64>().max(weights.len() as u64);
            let mut counts = vec![0; weights.len()];
            (0..total).for_each(|value| counts[draw(weights, &mut |n| value % n)] += 1);
            counts
        };
        assert_eq!(shares(&[1, 3, 0, 6]), [1, 3, 0, 6]);
        assert_eq!(shares(&[0, 0, 0]), [1, 1, 1]);
        assert_eq!(draw(&[7], &mut |_| u64::MAX), 0);
        assert_eq!(draw(&[u64::MAX, u64::MAX], &mut |n| n - 1), 0);
    }
}
