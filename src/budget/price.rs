//! Stand-ins with the price table's signatures; dropped at the merge.

use serde_json::{Map, Value};

use crate::units::PicoUsd;

/// Prices per token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input.
    pub input: PicoUsd,
    /// Output.
    pub output: PicoUsd,
    /// Cached input.
    pub cached: PicoUsd,
    /// Cache write.
    pub cache_write: PicoUsd,
    /// One hour cache write.
    pub cache_write_1h: PicoUsd,
    /// Reasoning.
    pub reasoning: PicoUsd,
    /// Tiers.
    pub tiers: Vec<u64>,
}

/// A model of the catalog.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its price.
    pub price: Option<Price>,
    /// Its mode.
    pub mode: String,
    /// Its bound on a prompt.
    pub max_input_tokens: Option<u64>,
    /// Its bound on an answer.
    pub max_output_tokens: Option<u64>,
    /// Whether it reasons.
    pub supports_reasoning: bool,
    /// Whether it keeps to a schema.
    pub supports_response_schema: bool,
}

/// Looks a model up.
pub fn lookup(provider_name: &str, model: &str) -> Option<Entry> {
    let price = |input, output| Price { input: PicoUsd(input), output: PicoUsd(output), ..Price::default() };
    let (price, max_output_tokens) = match (provider_name, model) {
        ("openai", "gpt-4o") => (price(2_500_000, 10_000_000), 16_384),
        ("anthropic", "claude-sonnet-4-5") => (price(3_000_000, 15_000_000), 64_000),
        _ => return None,
    };
    Some(Entry {
        price: Some(price),
        mode: "chat".to_owned(),
        max_input_tokens: Some(128_000),
        max_output_tokens: Some(max_output_tokens),
        supports_reasoning: false,
        supports_response_schema: true,
    })
}

impl Price {
    /// The price fields of `params` over `base`.
    ///
    /// # Errors
    ///
    /// The field that holds no price.
    pub fn from_params(params: &Map<String, Value>, base: Option<Self>) -> Result<Option<Self>, String> {
        let mut price = base;
        for (field, value) in params.iter().filter(|(field, _)| field.ends_with("_cost_per_token")) {
            let usd = value.as_f64().and_then(PicoUsd::from_usd).ok_or_else(|| field.clone())?;
            let price = price.get_or_insert_default();
            match field.as_str() {
                "input_cost_per_token" => price.input = usd,
                "output_cost_per_token" => price.output = usd,
                _ => {}
            }
        }
        Ok(price)
    }
}
