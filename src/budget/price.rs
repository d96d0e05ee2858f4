//! What a model's answers cost.
//!
//! The rule is LiteLLM's: every token at the rate of its kind; a kind without a rate of its own at the rate of the
//! kind that it is a part of; a prompt beyond a threshold moves *all* tokens, the answer's too, to the rates beyond it;
//! and the tier that served a request, not the one it asked for, goes before the rates for all tiers. What is not
//! measured in tokens (a transcription in seconds, speech in characters, images, a reranking) has a rate for that. The
//! discounts and margins of the config come on top of the sum: see [`Markup`].
//!
//! ## Why a custom price replaces the list price's parts
//!
//! Who types `input_cost_per_token` has a contract, or a server of their own. The list's cache rate, its thresholds, its
//! tiers and its reasoning rate belong to another price: keeping them could make cached tokens dearer than fresh ones.
//! So a custom input rate holds for cached tokens as well and a custom output rate for reasoning, until the config
//! names their own rates, too.
//!
//! ## Where it is not LiteLLM's
//!
//! - Reasoning beyond a threshold costs what the answer costs there; LiteLLM keeps the rate below the threshold.
//! - Characters are counted with their white space, as the vendors bill them.
//! - A request's own price (`input_cost_per_request`) is in LiteLLM's list; its calculator does not read it.
//! - Prices a second are of audio; LiteLLM takes them for the time of a chat's answer, too.
//!
//! # Limits
//!
//! - Batch, `ultrafast` and `balanced` rates, off-peak hours, `tiered_pricing`, cache writes for twelve hours, regional
//!   surcharges, searches and other tools of the provider, pixels, and images in a prompt counted by the piece are not
//!   known here: what they make dearer is charged as if it were not.
//! - A cached token of audio is not told from others where only the sum of the cache is reported.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::markup::Markup;
use super::rate::{Condition, Rate, Rates, field};
use crate::openai::Usage;
use crate::openai::usage::{Measure, ServiceTier};
use crate::units::{Millis, PicoUsd};

/// The rates of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The later one goes first; each is silent about what it does not name.
    layers: BTreeMap<Condition, Rates>,
    /// What the config puts on top.
    markup: Markup,
}

impl Price {
    /// A price with one rate for the prompt and one for the answer.
    pub fn flat(input: PicoUsd, output: PicoUsd) -> Self {
        Self::default().with(Rate::Input, input).with(Rate::Output, output)
    }

    /// This price with another rate for all prompts and tiers.
    #[must_use]
    pub fn with(self, rate: Rate, amount: PicoUsd) -> Self {
        self.with_in(Condition::default(), rate, amount)
    }

    /// This price with another rate in one condition.
    #[must_use]
    pub fn with_in(mut self, condition: Condition, rate: Rate, amount: PicoUsd) -> Self {
        self.layers.entry(condition).or_default().set(rate, Some(amount));
        self
    }

    /// This price under the config's discount and margin.
    #[must_use]
    pub fn marked_up(self, markup: Markup) -> Self {
        Self { markup, ..self }
    }

    /// A rate for short prompts at the standard tier, before discounts and margins.
    pub fn list(&self, rate: Rate) -> PicoUsd {
        self.at(0, ServiceTier::Standard).rate(rate)
    }

    /// Whether it has a rate of its own for this.
    pub fn names(&self, rate: Rate) -> bool {
        self.layers.values().any(|rates| rates.get(rate).is_some())
    }

    /// What an answer with this usage costs: nothing, where it used nothing.
    ///
    /// A provider may report parts that are larger than the whole. Then the whole counts, its most expensive part
    /// first.
    pub fn cost(&self, usage: &Usage) -> PicoUsd {
        if *usage == (Usage { service_tier: usage.service_tier, ..Usage::default() }) {
            return PicoUsd(0);
        }
        let rates = self.at(usage.input_tokens, usage.service_tier.unwrap_or_default());
        let answer = match rates.measured(usage) {
            Some(cost) => cost,
            None => rates.input(usage).plus(rates.output(usage)),
        };
        self.markup.apply(answer.plus(rates.rate(Rate::Request)))
    }

    /// The most that an answer can cost that uses no more than `most`, whatever is cached, audio or reasoning, at the
    /// standard tier or at the one that `most` names.
    pub(super) fn ceiling(&self, most: &Usage) -> PicoUsd {
        let rates = self.at(most.input_tokens, most.service_tier.unwrap_or_default());
        let [input, output] = rates.dearest();
        let all = input.times(most.input_tokens).plus(output.times(most.output_tokens));
        let measured = rates.measured(&Usage { output_tokens: 0, ..*most }).unwrap_or_default();
        self.markup.apply(all.max(measured).plus(rates.rate(Rate::Request)))
    }

    /// Reads LiteLLM's price fields from `params` (`litellm_params` or `model_info`) over `base`, the list price of a
    /// model of `provider`.
    ///
    /// Without such a field the answer is `base`. A custom input or output rate drops what `base` derives from the
    /// list price (see the module's text): the rates of its parts, beyond thresholds and of tiers. A rate that neither
    /// names is zero. A number may be written as a string, as YAML 1.1 reads `1e-6`.
    ///
    /// # Errors
    ///
    /// The name of a field that is not a number, or negative.
    pub fn from_params(
        params: &Map<String, Value>,
        provider: &str,
        base: Option<Self>,
    ) -> Result<Option<Self>, String> {
        let mut listed: BTreeMap<Condition, Rates> = BTreeMap::new();
        for (name, value) in params {
            let (Some((rate, mut condition)), false) = (field(name), value.is_null()) else { continue };
            if provider == INCLUSIVE {
                condition.above_input_tokens = condition.above_input_tokens.map(|above| above.saturating_sub(1));
            }
            let amount = amount(value).ok_or_else(|| name.clone())?;
            listed.entry(condition).or_default().set(rate, Some(amount));
        }
        if listed.is_empty() {
            return Ok(base);
        }
        Ok(Some(base.unwrap_or_default().overridden(listed)))
    }

    /// Whether [`Price::from_params`] reads the field `name`.
    pub fn reads(name: &str) -> bool {
        field(name).is_some()
    }

    fn overridden(mut self, listed: BTreeMap<Condition, Rates>) -> Self {
        let custom = listed.get(&Condition::default());
        if custom.is_some_and(|rates| rates.get(Rate::Input).or(rates.get(Rate::Output)).is_some()) {
            self.layers.retain(|condition, _| *condition == Condition::default());
        }
        for (condition, rates) in listed {
            self.layers.entry(condition).or_default().overlay(&rates);
        }
        self
    }

    fn at(&self, input_tokens: u64, tier: ServiceTier) -> At<'_> {
        At { price: self, input_tokens, tier }
    }
}

/// The provider whose rates hold from a threshold on; all others' hold beyond it.
///
/// Source: LiteLLM 1.109.1, `litellm_core_utils/llm_cost_calc/utils.py`, `_INCLUSIVE_THRESHOLD_PROVIDERS`.
const INCLUSIVE: &str = "xai";

/// The rates that hold for one request.
#[derive(Clone, Copy)]
struct At<'a> {
    price: &'a Price,
    input_tokens: u64,
    tier: ServiceTier,
}

impl At<'_> {
    /// The layers that hold, the one that goes first at the front.
    fn layers(&self) -> impl Iterator<Item = &Rates> {
        let layers = self.price.layers.iter().rev();
        layers.filter(|(condition, _)| condition.holds(self.input_tokens, self.tier)).map(|(_, rates)| rates)
    }

    fn named(&self, rate: Rate) -> Option<PicoUsd> {
        self.layers().find_map(|rates| rates.get(rate))
    }

    fn is_named(&self, rate: Rate) -> bool {
        self.named(rate).is_some()
    }

    fn rate(&self, rate: Rate) -> PicoUsd {
        let own = match rate {
            // A tier or a threshold that names the answer's rate means its reasoning, too.
            Rate::Reasoning => self.layers().find_map(|rates| rates.get(rate).or(rates.get(Rate::Output))),
            // The text beside images costs what they cost where nothing else is said.
            Rate::Output => self.named(rate).or_else(|| self.named(Rate::OutputImageToken)),
            _ => self.named(rate),
        };
        own.or_else(|| Some(self.rate(rate.whole()?))).unwrap_or_default()
    }

    /// The highest rate of a token of the prompt and of one of the answer, parts and all, in any layer that holds, the one
    /// for all tiers among them: a provider may serve another tier than the one that was asked for.
    fn dearest(&self) -> [PicoUsd; 2] {
        let sides = [Rate::Input, Rate::Output];
        self.layers().flat_map(Rates::named).fold(<[PicoUsd; 2]>::default(), |mut dearest, (rate, amount)| {
            let of_side = dearest.iter_mut().zip(sides);
            let of_side = of_side.filter(|(_, side)| rate == *side || rate.is_part_of(*side));
            of_side.for_each(|(dearest, _)| *dearest = amount.max(*dearest));
            dearest
        })
    }

    /// What is charged by something else than tokens; `None` where tokens count.
    fn measured(&self, usage: &Usage) -> Option<PicoUsd> {
        let has_answer = usage.output_tokens > 0;
        match usage.measure {
            Measure::None => None,
            Measure::Audio(_) if has_answer => None,
            Measure::Audio(length) => Some(per_second(self.second(), length)),
            Measure::Characters(count) => Some(self.named(Rate::InputCharacter)?.times(count)),
            Measure::Images(_) if has_answer && self.is_named(Rate::Input) => None,
            Measure::Images(count) => Some(self.rate(Rate::InputImage).times(count)),
            Measure::Searches(count) => Some(self.named(Rate::Query)?.times(count)),
        }
    }

    fn second(&self) -> PicoUsd {
        let own = self.named(Rate::OutputSecond).filter(|rate| rate.0 > 0);
        own.unwrap_or_else(|| self.rate(Rate::InputSecond))
    }

    fn input(&self, usage: &Usage) -> PicoUsd {
        let mut rest = usage.input_tokens;
        let mut part = |rate, count| self.part(&mut rest, rate, count);
        let cached_audio = usage.cached_audio_tokens.min(usage.cached_tokens);
        let cost = part(Rate::CacheWrite1h, usage.cache_write_1h_tokens)
            .plus(part(Rate::CacheWrite, usage.cache_write_tokens))
            .plus(part(Rate::CachedAudio, cached_audio))
            .plus(part(Rate::Cached, usage.cached_tokens.saturating_sub(cached_audio)))
            .plus(part(Rate::InputAudio, usage.audio_input_tokens.saturating_sub(cached_audio)))
            .plus(part(Rate::InputImageToken, usage.image_input_tokens));
        cost.plus(part(Rate::Input, u64::MAX))
    }

    fn output(&self, usage: &Usage) -> PicoUsd {
        let mut rest = usage.output_tokens;
        let mut part = |rate, count| self.part(&mut rest, rate, count);
        let cost = part(Rate::Reasoning, usage.reasoning_tokens)
            .plus(part(Rate::OutputAudio, usage.audio_output_tokens))
            .plus(part(Rate::OutputImageToken, usage.image_output_tokens));
        cost.plus(part(Rate::Output, u64::MAX))
    }

    /// What `count` tokens cost, no more than are left of the whole.
    fn part(&self, rest: &mut u64, rate: Rate, count: u64) -> PicoUsd {
        let taken = count.min(*rest);
        *rest = rest.saturating_sub(taken);
        if taken == 0 { PicoUsd(0) } else { self.rate(rate).times(taken) }
    }
}

/// What audio of this length costs, by the millisecond.
fn per_second(rate: PicoUsd, length: Millis) -> PicoUsd {
    let pico = u128::from(rate.0).saturating_mul(u128::from(length.0)).saturating_add(500);
    PicoUsd(u64::try_from(pico / 1000).unwrap_or(u64::MAX))
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
