//! `litellm_settings.cost_discount_config` and `cost_margin_config`: what is put on top of a provider's prices.
//!
//! A discount is a provider's, or of those of its models that a pattern matches: the model's own name goes first, then
//! the pattern that says most, then the provider. A margin is a provider's, else the `global` one.
//!
//! Source: LiteLLM 1.109.1, `litellm_core_utils/cost_discount.py` and `cost_calculator.py`, read 2026-11-23.
//!
//! # Limits
//!
//! `*` and `?` in a pattern; LiteLLM's `[abc]` is a fault. A region is no part of a model's name.

use std::collections::BTreeMap;

use super::read::Node;
use crate::budget::Markup;
use crate::units::PicoUsd;

/// The discounts and margins of a config.
#[derive(Clone, Debug, Default)]
pub(super) struct Markups {
    /// By `provider` or `provider/pattern`: shares of the cost in `0..=1`.
    discounts: BTreeMap<String, f64>,
    /// By provider or `global`.
    margins: BTreeMap<String, Margin>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Margin {
    /// A share of the cost.
    share: f64,
    /// On every request.
    fixed: PicoUsd,
}

impl Markups {
    pub(super) fn read(litellm: &Node<'_>) -> Self {
        let discounts = litellm.section("cost_discount_config").members();
        let margins = litellm.section("cost_margin_config").members();
        Self {
            discounts: discounts.into_iter().filter_map(|(key, node)| discount(key, &node)).collect(),
            margins: margins.into_iter().filter_map(|(key, node)| Some((key.to_owned(), margin(&node)?))).collect(),
        }
    }

    /// What is put on top of the price of `model` at `provider`.
    pub(super) fn of(&self, provider: &str, model: &str) -> Markup {
        let Margin { share, fixed } =
            self.margins.get(provider).or_else(|| self.margins.get("global")).copied().unwrap_or_default();
        Markup::new(self.discount(provider, model), share, fixed)
    }

    fn discount(&self, provider: &str, model: &str) -> f64 {
        let exact = self.discounts.get(&format!("{provider}/{model}"));
        let patterns = || {
            let own = self.discounts.iter().filter_map(|(key, share)| Some((key.split_once('/')?, share)));
            let fitting =
                own.filter(|((of, pattern), _)| *of == provider && fits(pattern.as_bytes(), model.as_bytes()));
            fitting.max_by_key(|((_, pattern), _)| literals(pattern)).map(|(_, share)| share)
        };
        exact.or_else(patterns).or_else(|| self.discounts.get(provider)).copied().unwrap_or_default()
    }
}

fn discount(key: &str, node: &Node<'_>) -> Option<(String, f64)> {
    if key.contains('[') {
        return node.fault("expected a pattern of `*` and `?`, found a `[`");
    }
    let share = node.scalar("a share of the cost in 0..=1", |n| (0.0..=1.0).contains(&n).then_some(n));
    Some((key.to_owned(), share?))
}

fn margin(node: &Node<'_>) -> Option<Margin> {
    let share =
        |node: &Node<'_>| node.scalar("a share of the cost in 0..=1000", |n| (0.0..=1000.0).contains(&n).then_some(n));
    if node.object().is_none() {
        return Some(Margin { share: share(node)?, ..Margin::default() });
    }
    let fixed = node.at("fixed_amount").usd().unwrap_or_default();
    Some(Margin { share: share(&node.at("percentage")).unwrap_or_default(), fixed })
}

/// How many characters of a pattern stand for themselves.
fn literals(pattern: &str) -> usize {
    pattern.chars().filter(|c| !matches!(c, '*' | '?')).count()
}

/// Whether `pattern`, of `*` and `?`, fits all of `text`.
fn fits(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // Where the last star was, and what of the text it had taken: it takes one byte more where the rest does not fit.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            (Some((p, rest)), Some((t, after))) if *p == b'?' || p == t => (pattern, text) = (rest, after),
            (None, None) => return true,
            _ => {
                let Some((rest, [_, taken @ ..])) = star else { return false };
                star = Some((rest, taken));
                (pattern, text) = (rest, taken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;
    use crate::config::read::Reader;
    use serde_json::{Value, json};
    use wasm_bindgen_test::wasm_bindgen_test;

    fn read(litellm: &Value) -> (Markups, Vec<String>) {
        let reader = Reader::new(litellm, Env::Lenient(&|_| None));
        let markups = Markups::read(&reader.root());
        (markups, reader.faults().iter().map(ToString::to_string).collect())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_most_telling_discount_and_the_nearest_margin_hold() {
        let (markups, faults) = read(&json!({
            "cost_discount_config": {"openai": 0.1, "openai/gpt-4o": 0.2, "openai/gpt-*": "0.3", "openai/gpt-5?mini": 0.4},
            "cost_margin_config": {"global": 0.5, "openai": {"percentage": 0.1, "fixed_amount": 0.002}, "gemini": {"fixed_amount": 1}},
        }));
        assert_eq!(faults, [""; 0]);
        let fixed = PicoUsd(2_000_000_000);
        let rows = [
            ("openai", "o3", Markup::new(0.1, 0.1, fixed)),
            ("openai", "gpt-4o", Markup::new(0.2, 0.1, fixed)),
            ("openai", "gpt-5", Markup::new(0.3, 0.1, fixed)),
            ("openai", "gpt-5-mini", Markup::new(0.4, 0.1, fixed)),
            ("azure", "gpt-4o", Markup::new(0.0, 0.5, PicoUsd(0))),
            ("gemini", "x", Markup::new(0.0, 0.0, PicoUsd(PicoUsd::PER_USD))),
        ];
        for (provider, model, markup) in rows {
            assert_eq!(markups.of(provider, model), markup, "{provider}/{model}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_share_is_a_fault() {
        let (_, faults) = read(&json!({
            "cost_discount_config": {"openai": 1.5, "azure/[ab]": 0.1},
            "cost_margin_config": {"openai": -0.1, "azure": {"percentage": "much", "fixed_amount": -1}, "xai": []},
        }));
        assert_eq!(
            faults,
            [
                "cost_discount_config.azure/[ab]: expected a pattern of `*` and `?`, found a `[`",
                "cost_discount_config.openai: expected a share of the cost in 0..=1, found 1.5; write a fraction, such as `0.1` for 10 %",
                "cost_margin_config.azure.fixed_amount: expected an amount of USD, zero or more, found -1; write dollars, such as `12.50`, without a sign",
                "cost_margin_config.azure.percentage: expected a share of the cost in 0..=1000, found a string; write a fraction, such as `0.1` for 10 %",
                "cost_margin_config.openai: expected a share of the cost in 0..=1000, found -0.1; write a fraction, such as `0.1` for 10 %",
                "cost_margin_config.xai: expected a share of the cost in 0..=1000, found a list; write a fraction, such as `0.1` for 10 %",
            ]
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_pattern_fits_all_of_a_name() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("abc", "abcd", false),
            ("*aab", "aaaaab", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
