//! Token counts.
//!
//! Source: AWS, "TokenUsage" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>,
//! "CacheDetail" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CacheDetail.html>, not re-read for
//! this: `inputTokens` leaves out what the cache read or wrote.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::openai::Usage;
use crate::openai::chat::Raw;
use crate::openai::usage::{Served, ServiceTier};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    ttl: String,
}

/// Reads `usage`; `None` where it makes no sense. `fields` are the model's own, in which Claude says what it thought;
/// `tier` is what served the request: `{"type":"priority"}`.
pub(super) fn read(usage: Raw<'_>, fields: Raw<'_>, tier: Raw<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(usage?.get()).ok()?;
    let cached_tokens = wire.cache_read_input_tokens.unwrap_or(0);
    let written = wire.cache_write_input_tokens.unwrap_or(0);
    let hour = wire.cache_details.iter().flatten().filter(|detail| detail.ttl == "1h");
    let hour = hour.fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens)).min(written);
    Some(Usage {
        input_tokens: wire.input_tokens.saturating_add(cached_tokens).saturating_add(written),
        output_tokens: wire.output_tokens,
        cached_tokens,
        cache_write_tokens: written - hour,
        cache_write_1h_tokens: hour,
        service_tier: tier.and_then(served),
        reasoning_tokens: thinking_tokens(fields).unwrap_or(0).min(wire.output_tokens),
        ..Usage::default()
    })
}

fn served(tier: &RawValue) -> Option<ServiceTier> {
    #[derive(Deserialize)]
    struct Tier {
        #[serde(rename = "type", default)]
        type_: Served,
    }
    serde_json::from_str::<Tier>(tier.get()).ok()?.type_.0
}

fn thinking_tokens(fields: Raw<'_>) -> Option<u64> {
    #[derive(Deserialize)]
    struct Fields {
        usage: Option<Usage>,
    }
    #[derive(Deserialize)]
    struct Usage {
        output_tokens_details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        thinking_tokens: Option<u64>,
    }
    let fields: Fields = serde_json::from_str(fields?.get()).ok()?;
    fields.usage?.output_tokens_details?.thinking_tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_tier_that_served_is_read() {
        for (tier, expected) in [
            (Some(r#"{"type":"priority"}"#), Some(ServiceTier::Priority)),
            (Some(r#"{"type":"flex"}"#), Some(ServiceTier::Flex)),
            (Some(r#"{"type":"default"}"#), Some(ServiceTier::Standard)),
            (Some(r#"{"type":"reserved"}"#), None),
            (Some(r#"{"type":7}"#), None),
            (Some("{}"), None),
            (None, None),
        ] {
            let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
            let (usage, tier) = (raw(r#"{"inputTokens":1,"outputTokens":2}"#), tier.map(raw));
            let usage = read(Some(&usage), None, tier.as_deref()).unwrap();
            assert_eq!((usage.total_tokens(), usage.service_tier), (3, expected), "{tier:?}");
        }
    }
}
