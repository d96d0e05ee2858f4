use serde_json::{Map, Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Price, Tier};
use crate::openai::Usage;
use crate::units::PicoUsd;

fn params(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// 1 USD a million tokens in, 5 out, a tenth for cached, 1.25 and 2 for writes, as Claude Haiku.
fn haiku() -> Price {
    Price {
        cached: PicoUsd(100_000),
        cache_write: PicoUsd(1_250_000),
        cache_write_1h: PicoUsd(2_000_000),
        ..Price::flat(PicoUsd(1_000_000), PicoUsd(5_000_000))
    }
}

fn tier(above_input_tokens: u64, rate: u64) -> Tier {
    let rate = PicoUsd(rate);
    Tier {
        above_input_tokens,
        input: rate,
        output: rate,
        cached: rate,
        cache_write: rate,
        cache_write_1h: rate,
        reasoning: rate,
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_token_costs_the_rate_of_its_kind() {
    let base = usage(1000, 100);
    let rows = [
        (Usage::default(), 0),
        (base, 1_500_000_000),
        (Usage { cached_tokens: 1000, ..base }, 600_000_000),
        (Usage { cache_write_tokens: 400, cached_tokens: 600, ..base }, 1_060_000_000),
        (Usage { cache_write_1h_tokens: 1000, ..base }, 2_500_000_000),
        (Usage { reasoning_tokens: 100, ..base }, 1_500_000_000),
    ];
    for (usage, cost) in rows {
        assert_eq!(haiku().cost(&usage), PicoUsd(cost), "{usage:?}");
    }
    let price = Price { reasoning: PicoUsd(9_000_000), ..haiku() };
    assert_eq!(price.cost(&Usage { reasoning_tokens: 40, ..base }), PicoUsd(1_660_000_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn parts_larger_than_the_whole_cost_no_more_than_the_whole() {
    let lie = Usage {
        cached_tokens: u64::MAX,
        cache_write_tokens: u64::MAX,
        cache_write_1h_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
        ..usage(10, 10)
    };
    assert_eq!(haiku().cost(&lie), PicoUsd(10 * 2_000_000 + 10 * 5_000_000));
    assert_eq!(haiku().cost(&Usage { cached_tokens: 7, ..usage(0, 0) }), PicoUsd(0));
    assert_eq!(haiku().cost(&usage(u64::MAX, u64::MAX)), PicoUsd(u64::MAX));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_prompt_beyond_a_threshold_moves_all_tokens_to_its_tier() {
    let price = Price { tiers: vec![tier(10, 2), tier(20, 3)], ..Price::flat(PicoUsd(1), PicoUsd(1)) };
    for (input, rate) in [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (1000, 3)] {
        let asked = Usage { cached_tokens: input / 2, reasoning_tokens: 50, ..usage(input, 100) };
        assert_eq!(price.cost(&asked), PicoUsd(rate * (input + 100)), "{input}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn without_price_fields_the_list_price_holds() {
    let none = params(json!({"model": "gpt-4o", "input_cost_per_token": null, "input_cost_per_second": 0.1}));
    assert_eq!(Price::from_params(&none, None), Ok(None));
    assert_eq!(Price::from_params(&none, Some(haiku())), Ok(Some(haiku())));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_custom_rate_takes_its_parts_along_until_they_have_their_own() {
    let list = || Price { reasoning: PicoUsd(7_000_000), tiers: vec![tier(200_000, 9)], ..haiku() };
    let two = PicoUsd(2_000_000);
    let rows = [
        (
            json!({"input_cost_per_token": 2e-6}),
            Price { output: haiku().output, reasoning: PicoUsd(7_000_000), ..Price::flat(two, two) },
        ),
        (json!({"output_cost_per_token": "2e-6"}), Price { output: two, reasoning: two, ..haiku() }),
        (json!({"cache_read_input_token_cost": 0}), Price { cached: PicoUsd(0), ..list() }),
        (
            json!({"input_cost_per_token": 2e-6, "output_cost_per_token": 2e-6, "cache_creation_input_token_cost": 3e-6}),
            Price { cache_write: PicoUsd(3_000_000), cache_write_1h: PicoUsd(3_000_000), ..Price::flat(two, two) },
        ),
        (json!({"input_cost_per_token": 0, "output_cost_per_token": 0}), Price::flat(PicoUsd(0), PicoUsd(0))),
    ];
    for (fields, price) in rows {
        assert_eq!(Price::from_params(&params(fields.clone()), Some(list())), Ok(Some(price)), "{fields}");
    }
    let alone = Price::from_params(&params(json!({"output_cost_per_token": 2e-6})), None);
    assert_eq!(alone, Ok(Some(Price::flat(PicoUsd(0), two))));
}

#[wasm_bindgen_test(unsupported = test)]
fn tiers_fall_back_to_the_rates_below_the_threshold() {
    let fields = json!({
        "input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6, "cache_read_input_token_cost": 1e-7,
        "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_above_272k_tokens": 6e-6,
    });
    let price = Price::from_params(&params(fields), None).unwrap().unwrap();
    let [low, high] = &price.tiers[..] else { panic!("{price:?}") };
    assert_eq!((low.above_input_tokens, high.above_input_tokens), (200_000, 272_000));
    assert_eq!((low.input, low.cached, low.cache_write), (PicoUsd(2_000_000), PicoUsd(100_000), PicoUsd(2_000_000)));
    assert_eq!((low.output, low.reasoning), (PicoUsd(5_000_000), PicoUsd(5_000_000)));
    assert_eq!((high.input, high.output, high.reasoning), (PicoUsd(1_000_000), PicoUsd(6_000_000), PicoUsd(6_000_000)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rate_that_is_no_amount_is_named() {
    for value in [json!(-1e-6), json!("free"), json!("NaN"), json!(true), json!([1]), json!({})] {
        let fields = params(json!({"input_cost_per_token": 1, "output_cost_per_token": value.clone()}));
        assert_eq!(Price::from_params(&fields, None), Err("output_cost_per_token".to_owned()), "{value}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_fields_that_are_read_are_known_by_name() {
    for name in ["input_cost_per_token", "cache_creation_input_token_cost_above_1hr_above_200k_tokens"] {
        assert!(Price::reads(name), "{name}");
    }
    for name in
        ["input_cost_per_second", "input_cost_per_token_batches", "input_cost_per_token_above_xk_tokens", "model"]
    {
        assert!(!Price::reads(name), "{name}");
    }
}
