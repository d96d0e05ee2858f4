//! What one worker knows of the service and owes it.

use super::ask::MILLIONTHS;
use super::{Ask, Chosen, Counter, Full, Outcome, Reports};
use crate::units::Millis;

/// What one worker knows of the service and owes it.
#[derive(Debug, Default)]
pub struct Desk {
    /// What is used up, of what is asked for.
    pub full: Full,
    /// What is used up of providers and deployments.
    chosen: Chosen,
    /// What is owed.
    pub reports: Reports,
}

impl Desk {
    /// The positions of what is used up in `ask`, which is of a deployment: nobody is asked.
    pub fn used_up(&mut self, ask: &Ask, now: Millis) -> Vec<usize> {
        let mut found = Vec::new();
        for (position, counter) in ask.counters().iter().enumerate() {
            if self.chosen.is_full(counter) {
                found.push(position);
            }
            if self.chosen.doubts(counter, now) {
                self.reports.look(counter);
            }
        }
        found
    }

    /// An attempt at the deployment of `ask` is to be made: the service is told at once of one hit of each counter.
    pub fn announce(&mut self, ask: &Ask, now: Millis) {
        self.chosen.watch(ask.counters(), now);
        self.owe_each(ask, MILLIONTHS);
    }

    /// It is not made after all.
    pub fn retract(&mut self, ask: &Ask) {
        self.owe_each(ask, MILLIONTHS.saturating_neg());
    }

    /// Adds `amount` millionths of a hit to what is owed to each counter of `ask`.
    fn owe_each(&mut self, ask: &Ask, amount: i64) {
        ask.counters().iter().for_each(|counter| self.reports.owe(counter.clone(), amount));
    }

    /// The hits that `ask` was to take were not counted: they are owed.
    pub fn miss(&mut self, ask: &Ask) {
        self.owe_each(ask, MILLIONTHS);
    }

    /// Adds what is owed to each counter, in millionths of a hit.
    pub fn owe(&mut self, owed: Vec<(Counter, i64)>) {
        owed.into_iter().for_each(|(counter, amount)| self.reports.owe(counter, amount));
    }

    /// What came of the report that went as `call`; of another call nothing.
    pub fn answered(&mut self, call: u32, outcome: Outcome, now: Millis) {
        let Some(report) = self.reports.take(call) else { return };
        self.reports.conclude(&report, outcome, now);
        let Some(is_full) = outcome.is_full() else { return };
        // A part of what was refused as a whole may fit: the counter is still used up.
        if is_full || !self.reports.is_filling(&report.counter) {
            self.chosen.hear(&report.counter, is_full, now);
        }
        if is_full {
            self.full.learn(vec![report.counter], now);
        }
    }

    /// Forgets what is used up: caps may have changed.
    pub fn forget(&mut self) {
        self.full.clear();
        self.chosen.clear();
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "desk_tests.rs"]
mod tests;
