//! What a model's tokens cost.
//!
//! The rule is LiteLLM's: every token at the rate of its kind; a kind without a rate of its own at the rate of the
//! kind that it is a part of; and a prompt beyond a tier's threshold moves *all* tokens, the answer's too, to that
//! tier's rates.
//!
//! ## Why a custom price replaces the list price's cache rates
//!
//! Who types `input_cost_per_token` has a contract, or a server of their own. The list's cache rate, its tiers and
//! its reasoning rate belong to another price: keeping them could make cached tokens dearer than fresh ones. So a
//! custom input rate holds for cached tokens as well and a custom output rate for reasoning, until the config names
//! their own rates, too.
//!
//! # Limits
//!
//! Batch, priority and flex rates, off-peak hours, prices per image, second, character or search, and rates of audio
//! tokens are not known here: such tokens are charged as text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::openai::Usage;
use crate::units::PicoUsd;

/// The rates of one model, each per token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// A token of the prompt.
    pub input: PicoUsd,
    /// A token of the answer.
    pub output: PicoUsd,
    /// A token of the prompt that was read from the provider's cache.
    pub cached: PicoUsd,
    /// A token of the prompt that was written to the provider's cache for five minutes.
    pub cache_write: PicoUsd,
    /// A token of the prompt that was written to the provider's cache for one hour.
    pub cache_write_1h: PicoUsd,
    /// A token of the answer that was spent on reasoning.
    pub reasoning: PicoUsd,
    /// The rates of long prompts, the lowest threshold first.
    pub tiers: Vec<Tier>,
}

/// The rates of all tokens when the prompt is longer than a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The longest prompt, in tokens, to which this tier does not apply.
    pub above_input_tokens: u64,
    /// As in [`Price`].
    pub input: PicoUsd,
    /// As in [`Price`].
    pub output: PicoUsd,
    /// As in [`Price`].
    pub cached: PicoUsd,
    /// As in [`Price`].
    pub cache_write: PicoUsd,
    /// As in [`Price`].
    pub cache_write_1h: PicoUsd,
    /// As in [`Price`].
    pub reasoning: PicoUsd,
}

impl Price {
    /// A price with one rate for the prompt and one for the answer.
    pub const fn flat(input: PicoUsd, output: PicoUsd) -> Self {
        let tiers = Vec::new();
        Self { input, output, cached: input, cache_write: input, cache_write_1h: input, reasoning: output, tiers }
    }

    /// What an answer with this usage costs.
    ///
    /// A provider may report parts that are larger than the whole. Then the whole counts, its most expensive part
    /// first.
    pub fn cost(&self, usage: &Usage) -> PicoUsd {
        let rates = self.rates_at(usage.input_tokens);
        let mut input = Whole(usage.input_tokens);
        let mut output = Whole(usage.output_tokens);
        let write_1h = rates.cache_write_1h.times(input.take(usage.cache_write_1h_tokens));
        let write = rates.cache_write.times(input.take(usage.cache_write_tokens));
        let cached = rates.cached.times(input.take(usage.cached_tokens));
        let reasoning = rates.reasoning.times(output.take(usage.reasoning_tokens));
        let rest = rates.input.times(input.0).plus(rates.output.times(output.0));
        write_1h.plus(write).plus(cached).plus(reasoning).plus(rest)
    }

    /// The most that a prompt and an answer of these lengths can cost, whatever is cached and however much is
    /// reasoning.
    pub(super) fn ceiling(&self, input_tokens: u64, output_tokens: u64) -> PicoUsd {
        let rates = self.rates_at(input_tokens);
        let input = rates.input.max(rates.cached).max(rates.cache_write).max(rates.cache_write_1h);
        let output = rates.output.max(rates.reasoning);
        input.times(input_tokens).plus(output.times(output_tokens))
    }

    /// Reads LiteLLM's price fields from `params` (`litellm_params` or `model_info`) over `base`, the list price.
    ///
    /// Without such a field the answer is `base`. A custom input or output rate drops what `base` derives from the
    /// list price (see the module's text): cache rates, reasoning rate and tiers. A rate that neither names is zero.
    /// A number may be written as a string, as YAML 1.1 reads `1e-6`.
    ///
    /// # Errors
    ///
    /// The name of a field that is not a number, or negative.
    pub fn from_params(params: &Map<String, Value>, base: Option<Self>) -> Result<Option<Self>, String> {
        let mut listed = Listed::default();
        let mut tiers: BTreeMap<u64, Listed> = BTreeMap::new();
        let mut found = false;
        for (name, value) in params {
            let (Some((rate, above)), false) = (field(name), value.is_null()) else { continue };
            let slot = match above {
                None => &mut listed,
                Some(above) => tiers.entry(above).or_default(),
            };
            *slot.slot(rate) = Some(amount(value).ok_or_else(|| name.clone())?);
            found = true;
        }
        if !found {
            return Ok(base);
        }
        let base = base.unwrap_or_else(|| Self::flat(PicoUsd(0), PicoUsd(0)));
        Ok(Some(base.overridden(&listed, &tiers)))
    }

    /// Whether [`Price::from_params`] reads the field `name`.
    pub fn reads(name: &str) -> bool {
        field(name).is_some()
    }

    /// This price with the rates that `listed` and `tiers` (by threshold) name.
    pub(super) fn overridden(self, listed: &Listed, tiers: &BTreeMap<u64, Listed>) -> Self {
        let custom = listed.input.is_some() || listed.output.is_some();
        let rates = listed.over(self.rates());
        let kept = self.tiers.iter().filter(|_| !custom).map(|tier| (tier.above_input_tokens, tier.rates()));
        let mut all: BTreeMap<u64, Rates> = kept.collect();
        for (above, listed) in tiers {
            let tier = all.get(above).map_or_else(|| listed.above(rates), |old| listed.over(*old));
            all.insert(*above, tier);
        }
        let Rates { input, output, cached, cache_write, cache_write_1h, reasoning } = rates;
        let tiers = all.into_iter().map(|(above, rates)| Tier::new(above, rates)).collect();
        Self { input, output, cached, cache_write, cache_write_1h, reasoning, tiers }
    }

    fn rates(&self) -> Rates {
        let Self { input, output, cached, cache_write, cache_write_1h, reasoning, tiers: _ } = *self;
        Rates { input, output, cached, cache_write, cache_write_1h, reasoning }
    }

    fn rates_at(&self, input_tokens: u64) -> Rates {
        let passed = self.tiers.iter().filter(|tier| input_tokens > tier.above_input_tokens);
        passed.max_by_key(|tier| tier.above_input_tokens).map_or_else(|| self.rates(), Tier::rates)
    }
}

impl Tier {
    fn new(above_input_tokens: u64, rates: Rates) -> Self {
        let Rates { input, output, cached, cache_write, cache_write_1h, reasoning } = rates;
        Self { above_input_tokens, input, output, cached, cache_write, cache_write_1h, reasoning }
    }

    fn rates(&self) -> Rates {
        let Self { above_input_tokens: _, input, output, cached, cache_write, cache_write_1h, reasoning } = *self;
        Rates { input, output, cached, cache_write, cache_write_1h, reasoning }
    }
}

/// The rates that hold for one request.
#[derive(Clone, Copy)]
struct Rates {
    input: PicoUsd,
    output: PicoUsd,
    cached: PicoUsd,
    cache_write: PicoUsd,
    cache_write_1h: PicoUsd,
    reasoning: PicoUsd,
}

/// The rates that a source names.
#[derive(Clone, Copy, Default)]
pub(super) struct Listed {
    pub(super) input: Option<PicoUsd>,
    pub(super) output: Option<PicoUsd>,
    pub(super) cached: Option<PicoUsd>,
    pub(super) cache_write: Option<PicoUsd>,
    pub(super) cache_write_1h: Option<PicoUsd>,
    pub(super) reasoning: Option<PicoUsd>,
}

impl Listed {
    /// These rates as a price: where they are silent those of `base`, but a part whose whole is named follows the
    /// whole.
    fn over(&self, base: Rates) -> Rates {
        let part = |own: Option<PicoUsd>, whole: Option<PicoUsd>, old| own.or(whole).unwrap_or(old);
        Rates {
            input: self.input.unwrap_or(base.input),
            output: self.output.unwrap_or(base.output),
            cached: part(self.cached, self.input, base.cached),
            cache_write: part(self.cache_write, self.input, base.cache_write),
            cache_write_1h: part(self.cache_write_1h, self.cache_write.or(self.input), base.cache_write_1h),
            reasoning: part(self.reasoning, self.output, base.reasoning),
        }
    }

    /// These rates as a tier of `base`: where they are silent those of `base`, but a part that had its whole's rate
    /// there has it here.
    fn above(&self, base: Rates) -> Rates {
        let input = self.input.unwrap_or(base.input);
        let output = self.output.unwrap_or(base.output);
        let part =
            |own: Option<PicoUsd>, old, old_whole, whole| own.unwrap_or(if old == old_whole { whole } else { old });
        let cache_write = part(self.cache_write, base.cache_write, base.input, input);
        Rates {
            input,
            output,
            cached: part(self.cached, base.cached, base.input, input),
            cache_write,
            cache_write_1h: part(self.cache_write_1h, base.cache_write_1h, base.cache_write, cache_write),
            reasoning: part(self.reasoning, base.reasoning, base.output, output),
        }
    }

    fn slot(&mut self, rate: Rate) -> &mut Option<PicoUsd> {
        match rate {
            Rate::Input => &mut self.input,
            Rate::Output => &mut self.output,
            Rate::Cached => &mut self.cached,
            Rate::CacheWrite => &mut self.cache_write,
            Rate::CacheWrite1h => &mut self.cache_write_1h,
            Rate::Reasoning => &mut self.reasoning,
        }
    }
}

/// What is left of a count of tokens while its parts are taken out.
struct Whole(u64);

impl Whole {
    fn take(&mut self, part: u64) -> u64 {
        let taken = part.min(self.0);
        self.0 = self.0.saturating_sub(taken);
        taken
    }
}

#[derive(Clone, Copy)]
enum Rate {
    Input,
    Output,
    Cached,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
}

/// The rate that a field names, and its tier's threshold in tokens: `input_cost_per_token_above_200k_tokens`.
fn field(name: &str) -> Option<(Rate, Option<u64>)> {
    if let Some(rate) = rate(name) {
        return Some((rate, None));
    }
    let (name, threshold) = name.strip_suffix("_tokens")?.rsplit_once("_above_")?;
    let above = match threshold.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
        None => threshold.parse().ok()?,
    };
    Some((rate(name)?, Some(above)))
}

/// Source: LiteLLM 1.109.1, `model_prices_and_context_window.json` <https://github.com/BerriAI/litellm>, read 2026-11-23.
fn rate(name: &str) -> Option<Rate> {
    Some(match name {
        "input_cost_per_token" => Rate::Input,
        "output_cost_per_token" => Rate::Output,
        "cache_read_input_token_cost" => Rate::Cached,
        "cache_creation_input_token_cost" => Rate::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Rate::CacheWrite1h,
        "output_cost_per_reasoning_token" => Rate::Reasoning,
        _ => return None,
    })
}

fn amount(value: &Value) -> Option<PicoUsd> {
    let usd = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    PicoUsd::from_usd(usd)
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
