//! Token counts.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, "Embed" <https://docs.cohere.com/reference/embed>, not
//! re-read for this: counts are numbers with a fraction; `tokens` is what the model read and wrote, `billed_units` what
//! is charged.

use serde::Deserialize;

use crate::openai::Usage;
use crate::openai::chat::Raw;
use crate::openai::usage::Measure;

/// `usage` of a chat, or `meta` of the other endpoints.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire<'a> {
    tokens: Option<Tokens>,
    #[serde(borrow)]
    pub(super) billed_units: Raw<'a>,
    cached_tokens: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    image_tokens: Option<f64>,
    search_units: Option<f64>,
}

impl<'a> Wire<'a> {
    /// Reads the object; `None` where it makes no sense.
    pub(super) fn read(raw: Raw<'a>) -> Option<Self> {
        serde_json::from_str(raw?.get()).ok()
    }

    /// The model's tokens, else those that are charged; `None` where neither is said.
    pub(super) fn usage(&self) -> Option<Usage> {
        let counted = |tokens: &&Tokens| tokens.input_tokens.is_some() || tokens.image_tokens.is_some();
        let billed = self.billed_units.and_then(|billed| serde_json::from_str::<Tokens>(billed.get()).ok());
        let whole = |count: Option<f64>| count.unwrap_or(0.0) as u64;
        let searches = billed.as_ref().and_then(|billed| billed.search_units);
        let measure = searches.map_or(Measure::None, |units| Measure::Searches(whole(Some(units))));
        let tokens = self.tokens.as_ref().filter(counted).or(billed.as_ref().filter(counted));
        let Some(tokens) = tokens else {
            return (measure != Measure::None).then(|| Usage { measure, ..Usage::default() });
        };
        let input_tokens = whole(tokens.input_tokens).saturating_add(whole(tokens.image_tokens));
        Some(Usage {
            input_tokens,
            output_tokens: whole(tokens.output_tokens),
            cached_tokens: whole(self.cached_tokens).min(input_tokens),
            image_input_tokens: whole(tokens.image_tokens),
            measure,
            ..Usage::default()
        })
    }
}
