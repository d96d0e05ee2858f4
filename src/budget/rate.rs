//! What a price is made of: one rate for each thing that is counted, and one table of all of them.
//!
//! The table is the only place that knows a rate's name in a config and its letter in the compiled-in price list.

use std::fmt;

use crate::openai::usage::ServiceTier;
use crate::units::PicoUsd;

/// What a rate is the price of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// A token of the prompt.
    Input,
    /// A token of the answer.
    Output,
    /// A token of the prompt that was read from the provider's cache.
    Cached,
    /// A token of the prompt that was written to the provider's cache for five minutes.
    CacheWrite,
    /// A token of the prompt that was written to the provider's cache for one hour.
    CacheWrite1h,
    /// A token of the answer that was spent on reasoning.
    Reasoning,
    /// A token of the prompt's audio.
    InputAudio,
    /// A token of the answer's audio.
    OutputAudio,
    /// A token of the prompt's audio that was read from the provider's cache.
    CachedAudio,
    /// A token of the prompt's images.
    InputImageToken,
    /// A token of the answer's images.
    OutputImageToken,
    /// A second of the audio that is transcribed.
    InputSecond,
    /// The same, by its other name: it goes first unless it is zero.
    OutputSecond,
    /// A character of the text that is spoken.
    InputCharacter,
    /// An image that is made, by its other name: it goes first.
    InputImage,
    /// An image that is made.
    OutputImage,
    /// A request that is answered.
    Request,
    /// A search of a reranking.
    Query,
}

/// A row of the table of rates.
struct Row {
    rate: Rate,
    /// LiteLLM's field.
    field: &'static str,
    /// The letter in the price list.
    letter: char,
    /// What it is a part of: the rate that holds where this one is not named.
    whole: Option<Rate>,
}

const fn row(rate: Rate, field: &'static str, letter: char, whole: Option<Rate>) -> Row {
    Row { rate, field, letter, whole }
}

/// Every rate, in the order of their declaration.
///
/// Source: LiteLLM 1.109.1, `model_prices_and_context_window.json`, and which rate holds for which count:
/// `litellm_core_utils/llm_cost_calc/utils.py` <https://github.com/BerriAI/litellm>, read 2026-11-23.
const TABLE: [Row; RATES] = [
    row(Rate::Input, "input_cost_per_token", 'i', None),
    row(Rate::Output, "output_cost_per_token", 'o', None),
    row(Rate::Cached, "cache_read_input_token_cost", 'c', Some(Rate::Input)),
    row(Rate::CacheWrite, "cache_creation_input_token_cost", 'w', Some(Rate::Input)),
    row(Rate::CacheWrite1h, "cache_creation_input_token_cost_above_1hr", 'h', Some(Rate::CacheWrite)),
    row(Rate::Reasoning, "output_cost_per_reasoning_token", 'r', Some(Rate::Output)),
    row(Rate::InputAudio, "input_cost_per_audio_token", 'a', Some(Rate::Input)),
    row(Rate::OutputAudio, "output_cost_per_audio_token", 'b', Some(Rate::Output)),
    row(Rate::CachedAudio, "cache_read_input_audio_token_cost", 'd', Some(Rate::Cached)),
    row(Rate::InputImageToken, "input_cost_per_image_token", 'm', Some(Rate::Input)),
    row(Rate::OutputImageToken, "output_cost_per_image_token", 'n', Some(Rate::Output)),
    row(Rate::InputSecond, "input_cost_per_second", 's', None),
    row(Rate::OutputSecond, "output_cost_per_second", 't', Some(Rate::InputSecond)),
    row(Rate::InputCharacter, "input_cost_per_character", 'x', None),
    row(Rate::InputImage, "input_cost_per_image", 'p', Some(Rate::OutputImage)),
    row(Rate::OutputImage, "output_cost_per_image", 'q', None),
    row(Rate::Request, "input_cost_per_request", 'u', None),
    row(Rate::Query, "input_cost_per_query", 'z', None),
];

const RATES: usize = 18;

impl Rate {
    /// The rate whose part this one is.
    pub fn whole(self) -> Option<Self> {
        TABLE.get(self as usize)?.whole
    }

    /// Whether it is a part of `other`, or of one of its parts.
    pub fn is_part_of(self, other: Self) -> bool {
        self.whole().is_some_and(|whole| whole == other || whole.is_part_of(other))
    }

    /// The rate of this letter.
    pub fn of_letter(letter: char) -> Option<Self> {
        TABLE.iter().find(|row| row.letter == letter).map(|row| row.rate)
    }

    /// All rates.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.rate)
    }

    fn of_field(field: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.field == field).map(|row| row.rate)
    }
}

/// When rates hold: for requests that this tier served, whose prompt is longer than this many tokens.
///
/// The order is that of precedence: a threshold goes before a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// `None`: a prompt of any length.
    pub above_input_tokens: Option<u64>,
    /// `Standard`: every tier, as far as the tier names no rate of its own.
    pub tier: ServiceTier,
}

impl Condition {
    /// Whether it holds for a prompt of this length that `tier` serves.
    pub fn holds(&self, input_tokens: u64, tier: ServiceTier) -> bool {
        let is_tier = self.tier == ServiceTier::Standard || self.tier == tier;
        is_tier && self.above_input_tokens.is_none_or(|above| input_tokens > above)
    }
}

/// What a field of a config names: `input_cost_per_token_above_200k_tokens_priority`.
pub fn field(name: &str) -> Option<(Rate, Condition)> {
    let suffixes = [("_priority", ServiceTier::Priority), ("_flex", ServiceTier::Flex)];
    let suffix = suffixes.into_iter().find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, tier)));
    let (name, tier) = suffix.unwrap_or((name, ServiceTier::Standard));
    if let Some(rate) = Rate::of_field(name) {
        return Some((rate, Condition { above_input_tokens: None, tier }));
    }
    let (name, threshold) = name.strip_suffix("_tokens")?.rsplit_once("_above_")?;
    let above = match threshold.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
        None => threshold.parse().ok()?,
    };
    Some((Rate::of_field(name)?, Condition { above_input_tokens: Some(above), tier }))
}

/// The rates that somebody names, each of one piece.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rates([Option<PicoUsd>; RATES]);

impl Rates {
    /// The rate, where it is named.
    pub fn get(&self, rate: Rate) -> Option<PicoUsd> {
        self.0.get(rate as usize).copied().flatten()
    }

    /// Names a rate, or takes it away.
    pub fn set(&mut self, rate: Rate, amount: Option<PicoUsd>) {
        self.0.get_mut(rate as usize).into_iter().for_each(|slot| *slot = amount);
    }

    /// The rates that are named.
    pub fn named(&self) -> impl Iterator<Item = (Rate, PicoUsd)> {
        Rate::all().zip(&self.0).filter_map(|(rate, amount)| Some((rate, (*amount)?)))
    }

    /// Takes over what `other` names: a part whose whole is named follows the whole from then on.
    pub fn overlay(&mut self, other: &Self) {
        for (whole, _) in other.named() {
            Rate::all().filter(|rate| rate.is_part_of(whole)).for_each(|rate| self.set(rate, None));
        }
        other.named().for_each(|(rate, amount)| self.set(rate, Some(amount)));
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.named().map(|(rate, amount)| (rate, amount.0))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_table_is_in_the_order_of_the_rates_and_names_each_once() {
        assert!(TABLE.iter().enumerate().all(|(i, row)| row.rate as usize == i));
        assert_eq!(TABLE.iter().map(|row| row.field).collect::<BTreeSet<_>>().len(), RATES);
        assert_eq!(TABLE.iter().map(|row| row.letter).collect::<BTreeSet<_>>().len(), RATES);
        assert!(Rate::CacheWrite1h.is_part_of(Rate::Input) && !Rate::Input.is_part_of(Rate::Input));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_names_a_rate_a_threshold_and_a_tier() {
        let condition = |above_input_tokens, tier| Condition { above_input_tokens, tier };
        let rows = [
            ("input_cost_per_token", Some((Rate::Input, Condition::default()))),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Some((Rate::CacheWrite1h, condition(Some(200_000), ServiceTier::Standard))),
            ),
            ("output_cost_per_token_flex", Some((Rate::Output, condition(None, ServiceTier::Flex)))),
            (
                "cache_read_input_token_cost_above_272k_tokens_priority",
                Some((Rate::Cached, condition(Some(272_000), ServiceTier::Priority))),
            ),
            (
                "input_cost_per_audio_token_above_128_tokens",
                Some((Rate::InputAudio, condition(Some(128), ServiceTier::Standard))),
            ),
            ("input_cost_per_token_batches", None),
            ("input_cost_per_token_above_xk_tokens", None),
            ("input_cost_per_token_ultrafast", None),
            ("input_cost_per_pixel", None),
            ("model", None),
        ];
        for (name, found) in rows {
            assert_eq!(field(name), found, "{name}");
        }
    }
}
