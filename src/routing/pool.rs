//! The deployments of one group.

use std::rc::Rc;

use crate::config::Deployment;

/// The deployments of one group, and their shares of its traffic.
#[derive(Debug, Default)]
pub struct Pool {
    deployments: Vec<Rc<Deployment>>,
    /// `shares[i]` is the sum of the weights of deployments `0..=i`.
    shares: Vec<u64>,
}

impl Pool {
    /// A pool of these.
    pub fn new(deployments: Vec<Rc<Deployment>>) -> Self {
        let sum = |sum: &mut u64, deployment: &Rc<Deployment>| {
            *sum = sum.saturating_add(deployment.weight);
            Some(*sum)
        };
        let shares = deployments.iter().scan(0, sum).collect();
        Self { deployments, shares }
    }

    /// Its deployments, in the config's order.
    pub fn deployments(&self) -> &[Rc<Deployment>] {
        &self.deployments
    }

    /// The deployment at position `i`.
    pub fn get(&self, i: usize) -> Option<&Rc<Deployment>> {
        self.deployments.get(i)
    }

    /// Draws a position by weight, by chance alone where all weigh nothing. `random(n)` draws from `0..n`.
    pub fn draw(&self, random: &mut impl FnMut(u64) -> u64) -> usize {
        match self.shares.last().copied().unwrap_or_default() {
            _ if self.deployments.len() < 2 => 0,
            0 => random(self.deployments.len() as u64) as usize,
            total => {
                let drawn = random(total);
                self.shares.partition_point(|&share| share <= drawn)
            }
        }
    }
}
