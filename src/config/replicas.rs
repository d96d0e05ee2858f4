//! `tollgate.replicas`: how many Envoys share every budget and limit.
//!
//! Without a rate limit service each Envoy counts for itself. Told how many there are, each enforces its part: what it
//! rounds is rounded down, so that the parts never come to more than the whole. Requests that are not spread evenly are
//! refused where one part is spent, while others have some left.
//!
//! With a rate limit service the whole is counted there, and only what that does not count is divided: places of
//! `max_parallel_requests`.
//!
//! # Limits
//!
//! Limits of deployments, which say what a provider takes, are never divided.

use super::Budget;
use super::read::Node;
use crate::units::PicoUsd;

/// More than any fleet has.
const MOST: u64 = 10_000;

/// How budgets and limits are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replicas {
    count: u64,
    /// Whether a rate limit service counts the whole.
    is_global: bool,
}

impl Default for Replicas {
    fn default() -> Self {
        Self { count: 1, is_global: false }
    }
}

impl Replicas {
    /// What `tollgate` says.
    pub(super) fn read(tollgate: &Node<'_>) -> Self {
        let count = tollgate.at("replicas").integer(1, MOST).unwrap_or(1);
        Self { count, is_global: !tollgate.at("rate_limit_service").is_absent() }
    }

    pub(super) const fn count(self) -> u64 {
        self.count
    }

    /// One Envoy's part of a budget.
    pub(super) const fn of_budget(self, max: PicoUsd) -> PicoUsd {
        if self.is_global { max } else { PicoUsd(max.0 / self.count) }
    }

    /// One Envoy's part of these budgets.
    pub(super) fn of_budgets(self, budgets: Vec<Budget>) -> Vec<Budget> {
        let part = |amount: Option<PicoUsd>| amount.map(|amount| self.of_budget(amount));
        budgets.into_iter().map(|own| Budget { max: part(own.max), soft: part(own.soft), ..own }).collect()
    }

    /// One Envoy's part of a limit that a rate limit service can count, which stands at `node`.
    pub(super) fn of_limit(self, node: &Node<'_>, limit: u64) -> Option<u64> {
        if self.is_global { Some(limit) } else { self.of_places(node, limit) }
    }

    /// One Envoy's part of a limit that it alone can count. A part of nothing would refuse everything.
    pub(super) fn of_places(self, node: &Node<'_>, limit: u64) -> Option<u64> {
        let part = limit / self.count;
        if part == 0 && limit > 0 {
            return node
                .fault(format!("expected at least {}, one for each of tollgate.replicas, found {limit}", self.count));
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::Replicas;
    use crate::config::env::Env;
    use crate::config::read::Reader;
    use crate::units::PicoUsd;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_parts_never_come_to_more_than_the_whole() {
        let document = json!({"limit": 7});
        let reader = Reader::new(&document, Env::Lenient(&|_| None));
        let node = reader.root().at("limit");
        for count in 1..50 {
            let local = Replicas { count, is_global: false };
            for whole in [0, 1, 7, 49, 50, 51, 999, 1_000_000_000_007] {
                let part = local.of_budget(PicoUsd(whole)).0;
                assert!(part * count <= whole && (part + 1) * count > whole, "{whole} by {count}");
                let part = local.of_limit(&node, whole);
                assert_eq!(part, (whole == 0 || whole >= count).then_some(whole / count), "{whole} by {count}");
                let global = Replicas { count, is_global: true };
                assert_eq!((global.of_budget(PicoUsd(whole)).0, global.of_limit(&node, whole)), (whole, Some(whole)));
                assert_eq!(global.of_places(&node, whole), part);
            }
        }
        assert!(
            reader.faults()[0]
                .to_string()
                .starts_with("limit: expected at least 2, one for each of tollgate.replicas, found 1")
        );
    }
}
