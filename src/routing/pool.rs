//! The deployments of one group.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::budget::Price;
use crate::config::Deployment;

/// The deployments of one group, and their shares of its traffic.
#[derive(Debug, Default)]
pub struct Pool {
    deployments: Vec<Rc<Deployment>>,
    /// `shares[i]` is the sum of the weights of deployments `0..=i`.
    shares: Vec<u64>,
    /// What their tokens cost, and how long their answers may be: each pair once.
    prices: Vec<(Price, Option<u64>)>,
    orders: usize,
}

impl Pool {
    /// A pool of these.
    pub fn new(deployments: Vec<Rc<Deployment>>) -> Self {
        let sum = |sum: &mut u64, deployment: &Rc<Deployment>| {
            *sum = sum.saturating_add(deployment.weight);
            Some(*sum)
        };
        let shares = deployments.iter().scan(0, sum).collect();
        let mut prices = Vec::new();
        let mut orders = BTreeSet::new();
        for deployment in &deployments {
            orders.insert(deployment.order);
            let price = deployment.price.clone().map(|price| (price, deployment.target.max_output_tokens));
            prices.extend(price.filter(|price| !prices.contains(price)));
        }
        Self { deployments, shares, prices, orders: orders.len() }
    }

    /// Its deployments, in the config's order.
    pub fn deployments(&self) -> &[Rc<Deployment>] {
        &self.deployments
    }

    /// What their tokens cost, with the most tokens of an answer: each pair once.
    pub fn prices(&self) -> &[(Price, Option<u64>)] {
        &self.prices
    }

    /// How many levels of `order` there are.
    pub fn orders(&self) -> usize {
        self.orders
    }

    /// The deployment at position `i`.
    pub fn get(&self, i: usize) -> Option<&Rc<Deployment>> {
        self.deployments.get(i)
    }

    /// Draws a position by weight, by chance alone where all weigh nothing. `random(n)` draws from `0..n`.
    pub fn draw(&self, random: &mut (impl FnMut(u64) -> u64 + ?Sized)) -> usize {
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
