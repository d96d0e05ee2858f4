//! The deployments of one group.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use crate::budget::Price;
use crate::config::Deployment;

/// The deployments of one group, and their shares of its traffic.
#[derive(Default)]
pub struct Pool {
    deployments: Vec<Rc<Deployment>>,
    /// `shares[i]` is the sum of the weights of deployments `0..=i`.
    shares: Vec<u64>,
    /// Whether each has the weight 1.
    weighs_one: bool,
    /// The positions of each `order`, the lowest first.
    levels: Vec<Range<usize>>,
    /// What their tokens cost, and how long their answers may be: each pair once.
    prices: Vec<(Price, Option<u64>)>,
}

impl fmt::Debug for Pool {
    /// The ids and shares.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.deployments.iter().map(|deployment| &deployment.id);
        f.debug_map().entries(ids.zip(&self.shares)).finish()
    }
}

impl Pool {
    /// A pool of these.
    pub fn new(mut deployments: Vec<Rc<Deployment>>) -> Self {
        deployments.sort_by_key(|deployment| deployment.order);
        let sum = |sum: &mut u64, deployment: &Rc<Deployment>| {
            *sum = sum.saturating_add(deployment.weight);
            Some(*sum)
        };
        let shares = deployments.iter().scan(0, sum).collect();
        let mut levels: Vec<Range<usize>> = Vec::new();
        for level in deployments.chunk_by(|a, b| a.order == b.order) {
            let start = levels.last().map_or(0, |before| before.end);
            levels.push(start..start.saturating_add(level.len()));
        }
        let mut prices = Vec::new();
        for deployment in &deployments {
            let price = deployment.price.clone().map(|price| (price, deployment.target.max_output_tokens));
            prices.extend(price.filter(|price| !prices.contains(price)));
        }
        let weighs_one = deployments.iter().all(|deployment| deployment.weight == 1);
        Self { deployments, shares, weighs_one, levels, prices }
    }

    /// Its deployments: the lowest `order` first, then in the config's order.
    pub fn deployments(&self) -> &[Rc<Deployment>] {
        &self.deployments
    }

    /// What their tokens cost, with the most tokens of an answer: each pair once.
    pub fn prices(&self) -> &[(Price, Option<u64>)] {
        &self.prices
    }

    /// The deployment at position `i`.
    pub fn get(&self, i: usize) -> Option<&Rc<Deployment>> {
        self.deployments.get(i)
    }

    /// The positions of each `order`, the lowest first.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.levels.iter().cloned()
    }

    /// Draws a position of `level` by weight, by chance alone where all of them weigh nothing. `random(n)` draws from
    /// `0..n`.
    pub fn draw(&self, level: &Range<usize>, random: &mut (impl FnMut(u64) -> u64 + ?Sized)) -> usize {
        let up_to = |end: usize| end.checked_sub(1).and_then(|i| self.shares.get(i)).copied().unwrap_or_default();
        let before = up_to(level.start);
        match up_to(level.end).saturating_sub(before) {
            _ if level.len() < 2 => level.start,
            0 => level.start.saturating_add(random(level.len() as u64) as usize),
            // All weigh one: no search through shares that lie far apart.
            total if self.weighs_one => level.start.saturating_add(random(total) as usize),
            total => {
                let drawn = before.saturating_add(random(total));
                self.shares.partition_point(|&share| share <= drawn)
            }
        }
    }
}
