//! What the config puts on top of what a provider charges: a discount, then a margin.
//!
//! Both are known when the config is read, so they are one factor and one amount:
//! `cost * (1 - discount) * (1 + margin) + fixed`.
//!
//! The amount is that of an answer: a request that used nothing is not charged it, and one whose first answer was paid
//! for and given up is charged it twice.
//!
//! Source: LiteLLM 1.109.1, `cost_calculator.py`, `_apply_cost_discount` and `_apply_cost_margin`, read 2026-11-23.

use crate::units::PicoUsd;

/// A discount and a margin, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Markup {
    /// Billionths of the cost that remain: 10^9 is all of it.
    billionths: u64,
    /// On every request.
    fixed: PicoUsd,
}

/// Billionths of a whole.
const WHOLE: f64 = 1e9;

impl Default for Markup {
    fn default() -> Self {
        Self::new(0.0, 0.0, PicoUsd(0))
    }
}

impl Markup {
    /// A discount in `0..=1`, a margin of zero or more on what is left, and an amount for every request.
    pub fn new(discount: f64, margin: f64, fixed: PicoUsd) -> Self {
        let factor = (1.0 - discount).clamp(0.0, 1.0) * (1.0 + margin.max(0.0));
        Self { billionths: (factor * WHOLE).round() as u64, fixed }
    }

    /// What is charged for a request that costs `cost` at the provider's.
    pub fn apply(&self, cost: PicoUsd) -> PicoUsd {
        let product = u128::from(cost.0).saturating_mul(u128::from(self.billionths)).saturating_add(500_000_000);
        let cost = u64::try_from(product / 1_000_000_000).unwrap_or(u64::MAX);
        PicoUsd(cost).plus(self.fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_margin_is_on_what_the_discount_leaves() {
        let fixed = PicoUsd(1_000);
        let rows = [
            (Markup::default(), 1_000_000, 1_000_000),
            (Markup::new(0.05, 0.0, PicoUsd(0)), 1_000_000, 950_000),
            (Markup::new(0.0, 0.1, fixed), 1_000_000, 1_101_000),
            (Markup::new(0.05, 0.1, fixed), 1_000_000, 1_046_000),
            (Markup::new(1.0, 0.1, fixed), 1_000_000, 1_000),
            (Markup::new(0.5, 0.0, PicoUsd(0)), 1, 1),
            (Markup::default(), u64::MAX, u64::MAX),
            (Markup::new(0.0, 9.0, fixed), u64::MAX, u64::MAX),
        ];
        for (markup, cost, charged) in rows {
            assert_eq!(markup.apply(PicoUsd(cost)), PicoUsd(charged), "{markup:?} {cost}");
        }
    }
}
