use serde_json::{Map, Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::Price;
use crate::budget::rate::{Condition, Rate};
use crate::budget::{Markup, lookup};
use crate::openai::Usage;
use crate::openai::usage::{Measure, ServiceTier};
use crate::units::{Millis, PicoUsd};

fn params(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn read(fields: Value, base: Option<Price>) -> Price {
    Price::from_params(&params(fields), "openai", base).unwrap().unwrap()
}

/// 1 USD a million tokens in, 5 out, a tenth for cached, 1.25 and 2 for writes, as Claude Haiku.
fn haiku() -> Price {
    Price::flat(PicoUsd(1_000_000), PicoUsd(5_000_000))
        .with(Rate::Cached, PicoUsd(100_000))
        .with(Rate::CacheWrite, PicoUsd(1_250_000))
        .with(Rate::CacheWrite1h, PicoUsd(2_000_000))
}

fn above(tokens: u64) -> Condition {
    Condition { above_input_tokens: Some(tokens), ..Condition::default() }
}

fn served(tier: ServiceTier) -> Condition {
    Condition { tier, ..Condition::default() }
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
        (Usage { audio_input_tokens: 500, audio_output_tokens: 50, image_input_tokens: 500, ..base }, 1_500_000_000),
    ];
    for (usage, cost) in rows {
        assert_eq!(haiku().cost(&usage), PicoUsd(cost), "{usage:?}");
    }
    let price = haiku().with(Rate::Reasoning, PicoUsd(9_000_000));
    assert_eq!(price.cost(&Usage { reasoning_tokens: 40, ..base }), PicoUsd(1_660_000_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn audio_and_images_cost_their_own_rates() {
    let price = Price::flat(PicoUsd(10), PicoUsd(20))
        .with(Rate::InputAudio, PicoUsd(100))
        .with(Rate::OutputAudio, PicoUsd(200))
        .with(Rate::Cached, PicoUsd(1))
        .with(Rate::CachedAudio, PicoUsd(30))
        .with(Rate::InputImageToken, PicoUsd(40))
        .with(Rate::OutputImageToken, PicoUsd(50));
    let base = usage(100, 10);
    let rows = [
        (base, 1000 + 200),
        (Usage { audio_input_tokens: 60, audio_output_tokens: 4, ..base }, 6000 + 400 + 800 + 120),
        (
            Usage { audio_input_tokens: 60, cached_tokens: 50, cached_audio_tokens: 30, ..base },
            900 + 20 + 3000 + 200 + 200,
        ),
        (Usage { image_input_tokens: 70, image_output_tokens: 10, ..base }, 2800 + 300 + 500),
        // The cache has the whole prompt: nothing is left to be fresh audio.
        (Usage { audio_input_tokens: 60, cached_tokens: 100, ..base }, 100 + 200),
    ];
    for (usage, cost) in rows {
        assert_eq!(price.cost(&usage), PicoUsd(cost), "{usage:?}");
    }
    let images = Price::default().with(Rate::Input, PicoUsd(1)).with(Rate::OutputImageToken, PicoUsd(7));
    assert_eq!(images.cost(&Usage { image_output_tokens: 8, ..usage(5, 10) }), PicoUsd(5 + 70));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_token_costs_by_its_measure() {
    let (tokens, answer) = (usage(100, 0), usage(100, 10));
    let flat = || Price::flat(PicoUsd(10), PicoUsd(20));
    let sole = |rate| Price::default().with(rate, PicoUsd(3_000));
    let beside = |rate| flat().with(rate, PicoUsd(3_000));
    let audio = Measure::Audio(Millis(8470));
    let rows = [
        (sole(Rate::InputSecond), Usage { measure: audio, ..Usage::default() }, 25_410),
        (sole(Rate::OutputSecond), Usage { measure: audio, ..Usage::default() }, 25_410),
        (
            sole(Rate::InputSecond).with(Rate::OutputSecond, PicoUsd(0)),
            Usage { measure: audio, ..Usage::default() },
            25_410,
        ),
        (
            sole(Rate::InputSecond).with(Rate::OutputSecond, PicoUsd(1000)),
            Usage { measure: audio, ..Usage::default() },
            8_470,
        ),
        (beside(Rate::InputSecond), Usage { measure: audio, ..answer }, 1_200),
        (sole(Rate::InputCharacter), Usage { measure: Measure::Characters(7), ..tokens }, 21_000),
        (beside(Rate::InputCharacter), Usage { measure: Measure::Characters(7), ..answer }, 21_000),
        (flat(), Usage { measure: Measure::Characters(7), ..answer }, 1_200),
        (sole(Rate::OutputImage), Usage { measure: Measure::Images(2), ..tokens }, 6_000),
        (sole(Rate::InputImage), Usage { measure: Measure::Images(2), ..answer }, 6_000),
        (beside(Rate::OutputImage), Usage { measure: Measure::Images(2), ..answer }, 1_200),
        (beside(Rate::OutputImage), Usage { measure: Measure::Images(2), ..tokens }, 6_000),
        (beside(Rate::Query), Usage { measure: Measure::Searches(2), ..tokens }, 6_000),
        (flat(), Usage { measure: Measure::Searches(2), ..tokens }, 1_000),
        (sole(Rate::Request), tokens, 3_000),
        (beside(Rate::Request), answer, 4_200),
        (beside(Rate::Request), Usage { service_tier: Some(ServiceTier::Flex), ..Usage::default() }, 0),
    ];
    for (price, usage, cost) in rows {
        assert_eq!(price.cost(&usage), PicoUsd(cost), "{price:?} {usage:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn parts_larger_than_the_whole_cost_no_more_than_the_whole() {
    let lie = Usage {
        cached_tokens: u64::MAX,
        cached_audio_tokens: u64::MAX,
        cache_write_tokens: u64::MAX,
        cache_write_1h_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
        audio_input_tokens: u64::MAX,
        audio_output_tokens: u64::MAX,
        image_input_tokens: u64::MAX,
        image_output_tokens: u64::MAX,
        ..usage(10, 10)
    };
    assert_eq!(haiku().cost(&lie), PicoUsd(10 * 2_000_000 + 10 * 5_000_000));
    assert_eq!(haiku().cost(&Usage { cached_tokens: 7, ..usage(0, 0) }), PicoUsd(0));
    assert_eq!(haiku().cost(&usage(u64::MAX, u64::MAX)), PicoUsd(u64::MAX));
    let long = Usage { measure: Measure::Audio(Millis(u64::MAX)), ..Usage::default() };
    assert_eq!(haiku().with(Rate::InputSecond, PicoUsd(u64::MAX)).cost(&long), PicoUsd(u64::MAX));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_prompt_beyond_a_threshold_moves_all_tokens() {
    let one = PicoUsd(1);
    let tiers = [(10, 2), (20, 3)].into_iter().fold(Price::flat(one, one), |price, (tokens, rate)| {
        let rate = PicoUsd(rate);
        price.with_in(above(tokens), Rate::Input, rate).with_in(above(tokens), Rate::Output, rate)
    });
    for (input, rate) in [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (1000, 3)] {
        let asked = Usage { cached_tokens: input / 2, reasoning_tokens: 50, ..usage(input, 100) };
        assert_eq!(tiers.cost(&asked), PicoUsd(rate * (input + 100)), "{input}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_tier_that_served_is_charged() {
    let flex = |price: Price| price.with_in(served(ServiceTier::Flex), Rate::Input, PicoUsd(5));
    let price = flex(Price::flat(PicoUsd(10), PicoUsd(20)).with(Rate::Reasoning, PicoUsd(30)))
        .with_in(served(ServiceTier::Priority), Rate::Output, PicoUsd(40))
        .with_in(above(1000), Rate::Input, PicoUsd(12));
    let asked = Usage { reasoning_tokens: 4, ..usage(100, 10) };
    let rows = [
        (None, 100, 1000 + 120 + 120),
        (Some(ServiceTier::Standard), 100, 1000 + 120 + 120),
        // What flex does not name costs what it costs everywhere.
        (Some(ServiceTier::Flex), 100, 500 + 120 + 120),
        // The answer's rate of the tier is that of its reasoning.
        (Some(ServiceTier::Priority), 100, 1000 + 400),
        // A threshold goes before a tier.
        (Some(ServiceTier::Flex), 1001, 12_012 + 240),
    ];
    for (service_tier, input_tokens, cost) in rows {
        assert_eq!(price.cost(&Usage { service_tier, input_tokens, ..asked }), PicoUsd(cost), "{service_tier:?}");
    }
}

/// Facts: what LiteLLM 1.109.1 (`completion_cost`, `cost_per_token`, its own price map) says of the same usage, run on
/// 2026-11-23, in picodollars.
#[wasm_bindgen_test(unsupported = test)]
fn the_list_prices_give_litellms_costs() {
    let tier = |service_tier, usage| Usage { service_tier: Some(service_tier), ..usage };
    let measured = |measure| Usage { measure, ..Usage::default() };
    let cached = Usage { cached_tokens: 400, ..usage(1000, 100) };
    let long = Usage { cached_tokens: 50_000, ..usage(200_001, 100) };
    let images = Usage { image_input_tokens: 40, image_output_tokens: 4160, ..usage(50, 4160) };
    let rows = [
        ("openai", "gpt-5", cached, 1_800_000_000),
        ("openai", "gpt-5", tier(ServiceTier::Priority, cached), 3_600_000_000),
        ("openai", "gpt-5", tier(ServiceTier::Flex, cached), 900_000_000),
        (
            "openai",
            "gpt-audio",
            Usage { audio_input_tokens: 600, audio_output_tokens: 150, ..usage(1000, 200) },
            30_300_000_000,
        ),
        ("openai", "gpt-6-astra", tier(ServiceTier::Flex, usage(272_001, 10)), 2_720_385_000_000),
        ("gemini", "gemini-2.5-pro", usage(200_000, 100), 251_000_000_000),
        ("gemini", "gemini-2.5-pro", long, 389_002_500_000),
        ("gemini", "gemini-2.5-pro", tier(ServiceTier::Priority, long), 700_204_500_000),
        ("gemini", "gemini-2.5-pro", tier(ServiceTier::Flex, usage(200_001, 100)), 501_502_500_000),
        (
            "gemini",
            "gemini-2.5-flash",
            tier(ServiceTier::Priority, Usage { audio_input_tokens: 300, reasoning_tokens: 40, ..usage(1000, 100) }),
            1_368_000_000,
        ),
        ("xai", "grok-4.20", usage(199_999, 10), 250_023_750_000),
        ("xai", "grok-4.20", usage(200_000, 10), 500_050_000_000),
        (
            "anthropic",
            "claude-haiku-4-5",
            Usage { cached_tokens: 3000, cache_write_tokens: 2000, ..usage(10_000, 500) },
            10_300_000_000,
        ),
        ("openai", "text-embedding-3-small", usage(1234, 0), 24_680_000),
        ("openai", "gpt-image-1", images, 166_850_000_000),
        ("xai", "grok-imagine-image", measured(Measure::Images(2)), 40_000_000_000),
        ("vertex_ai", "gemini-2.5-flash-image", measured(Measure::Images(2)), 78_000_000_000),
        ("openai", "tts-1", measured(Measure::Characters(11)), 165_000_000),
        ("openai", "whisper-1", measured(Measure::Audio(Millis(8470))), 847_000_000),
        ("groq", "whisper-large-v3", measured(Measure::Audio(Millis(8470))), 261_130_100),
        ("openai", "gpt-4o-transcribe", Usage { audio_input_tokens: 14, ..usage(14, 45) }, 485_000_000),
        ("cohere", "rerank-v3.5", measured(Measure::Searches(2)), 4_000_000_000),
    ];
    for (provider, model, usage, cost) in rows {
        let price = lookup(provider, model).unwrap().price.unwrap();
        assert_eq!(price.cost(&usage), PicoUsd(cost), "{provider}/{model} {usage:?}");
    }
    let price = lookup("openai", "gpt-4o-mini").unwrap().price.unwrap();
    let markup = Markup::new(0.05, 0.1, PicoUsd(500_000_000));
    assert_eq!(price.marked_up(markup).cost(&usage(1000, 100)), PicoUsd(719_450_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_that_used_nothing_is_charged_no_margin() {
    let price = haiku().marked_up(Markup::new(0.0, 0.0, PicoUsd(9)));
    assert_eq!((price.cost(&Usage::default()), price.cost(&usage(1, 0))), (PicoUsd(0), PicoUsd(1_000_009)));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_price_fields_the_list_price_holds() {
    let none = params(json!({"model": "gpt-4o", "input_cost_per_token": null, "input_cost_per_pixel": 0.1}));
    assert_eq!(Price::from_params(&none, "openai", None), Ok(None));
    assert_eq!(Price::from_params(&none, "openai", Some(haiku())), Ok(Some(haiku())));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_custom_rate_takes_its_parts_along_until_they_have_their_own() {
    let list = || {
        haiku().with(Rate::Reasoning, PicoUsd(7_000_000)).with_in(above(200_000), Rate::Input, PicoUsd(9)).with_in(
            served(ServiceTier::Flex),
            Rate::Input,
            PicoUsd(9),
        )
    };
    let two = PicoUsd(2_000_000);
    let rows = [
        (
            json!({"input_cost_per_token": 2e-6}),
            Price::flat(two, PicoUsd(5_000_000)).with(Rate::Reasoning, PicoUsd(7_000_000)),
        ),
        (json!({"output_cost_per_token": "2e-6"}), haiku().with(Rate::Output, two)),
        (json!({"cache_read_input_token_cost": 0}), list().with(Rate::Cached, PicoUsd(0))),
        (
            json!({"input_cost_per_token": 2e-6, "output_cost_per_token": 2e-6, "cache_creation_input_token_cost": 3e-6}),
            Price::flat(two, two).with(Rate::CacheWrite, PicoUsd(3_000_000)),
        ),
        (json!({"input_cost_per_token": 0, "output_cost_per_token": 0}), Price::flat(PicoUsd(0), PicoUsd(0))),
        (
            json!({"input_cost_per_token_flex": 3e-6}),
            list().with_in(served(ServiceTier::Flex), Rate::Input, PicoUsd(3_000_000)),
        ),
    ];
    for (fields, price) in rows {
        assert_eq!(read(fields.clone(), Some(list())), price, "{fields}");
    }
    assert_eq!(read(json!({"output_cost_per_token": 2e-6}), None), Price::default().with(Rate::Output, two));
    let whisper = || lookup("openai", "whisper-1").unwrap().price;
    let second = read(json!({"input_cost_per_second": 1e-6}), whisper());
    let heard = Usage { measure: Measure::Audio(Millis(2000)), ..Usage::default() };
    assert_eq!(second.cost(&heard), PicoUsd(2_000_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_threshold_does_not_name_holds_from_below() {
    let price = read(
        json!({
            "input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6, "cache_read_input_token_cost": 1e-7,
            "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_above_272k_tokens": 6e-6,
            "input_cost_per_token_above_272k_tokens_priority": 3e-6,
        }),
        None,
    );
    let rates = |tokens, tier| {
        let at = price.at(tokens, tier);
        [Rate::Input, Rate::Cached, Rate::CacheWrite, Rate::Output, Rate::Reasoning]
            .map(|rate| at.rate(rate).0 / 100_000)
    };
    let standard = ServiceTier::Standard;
    assert_eq!(rates(200_000, standard), [10, 1, 10, 50, 50]);
    assert_eq!(rates(200_001, standard), [20, 1, 20, 50, 50]);
    assert_eq!(rates(272_001, standard), [20, 1, 20, 60, 60]);
    assert_eq!(rates(272_001, ServiceTier::Priority), [30, 1, 30, 60, 60]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_threshold_of_xai_is_reached_and_not_passed() {
    let fields = params(json!({"input_cost_per_token": 1e-12, "input_cost_per_token_above_128k_tokens": 2e-12}));
    for (provider, input, cost) in [
        ("xai", 127_999, 127_999),
        ("xai", 128_000, 256_000),
        ("openai", 128_000, 128_000),
        ("openai", 128_001, 256_002),
    ] {
        let price = Price::from_params(&fields, provider, None).unwrap().unwrap();
        assert_eq!(price.cost(&usage(input, 0)), PicoUsd(cost), "{provider} {input}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_rate_that_is_no_amount_is_named() {
    for value in [json!(-1e-6), json!("free"), json!("NaN"), json!(true), json!([1]), json!({})] {
        let fields = params(json!({"input_cost_per_token": 1, "output_cost_per_token": value.clone()}));
        assert_eq!(Price::from_params(&fields, "openai", None), Err("output_cost_per_token".to_owned()), "{value}");
    }
}
