//! The deployments of one group.

use std::ops::Range;
use std::rc::Rc;

use crate::config::Deployment;

/// The deployments of one group, and their shares of its traffic.
#[derive(Debug, Default)]
pub struct Pool {
    deployments: Vec<Rc<Deployment>>,
    /// `shares[i]` is the sum of the weights of deployments `0..=i`.
    shares: Vec<u64>,
    /// The positions of each `order`, the lowest first.
    levels: Vec<Range<usize>>,
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
        Self { deployments, shares, levels }
    }

    /// Its deployments: the lowest `order` first, then in the config's order.
    pub fn deployments(&self) -> &[Rc<Deployment>] {
        &self.deployments
    }

    /// The deployment at position `i`.
    pub fn get(&self, i: usize) -> Option<&Rc<Deployment>> {
        self.deployments.get(i)
    }

    /// The positions of each `order`, the lowest first.
    pub fn levels(&self) -> impl Iterator<Item = Range<usize>> {
        self.levels.iter().cloned()
    }

    /// Draws a position of `level` by weight, by chance alone where all of them weigh nothing. `random(n)` draws from
    /// `0..n`.
    pub fn draw(&self, level: &Range<usize>, random: &mut impl FnMut(u64) -> u64) -> usize {
        let up_to = |end: usize| end.checked_sub(1).and_then(|i| self.shares.get(i)).copied().unwrap_or_default();
        let before = up_to(level.start);
        match up_to(level.end).saturating_sub(before) {
            _ if level.len() < 2 => level.start,
            0 => level.start.saturating_add(random(level.len() as u64) as usize),
            total => {
                let drawn = before.saturating_add(random(total));
                self.shares.partition_point(|&share| share <= drawn)
            }
        }
    }
}
