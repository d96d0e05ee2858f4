//! The price table that is compiled in: what LiteLLM's price map says about a model.
//!
//! `prices.tsv` is made by `prices.py` from a pinned copy of the map (its first lines name it) and keeps the models that
//! are charged by token, of the providers that Tollgate knows.
//!
//! ## Why a model is found under its own provider only
//!
//! A server of one's own that serves `gpt-4o-mini` under that name does not charge OpenAI's price. A wrong price is worse
//! than none: it spends a budget that nobody was billed for. So a bare name counts only where the table's provider is
//! the one that is asked.
//!
//! ## Why it is not parsed
//!
//! Every VM, one per worker and config, would pay for the whole table at its start, while a config names ten models. The
//! rows are sorted, so a name is found by halving the text, and only its row is read.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::price::{Listed, Price};
use crate::units::PicoUsd;

/// What the table says about one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What its tokens cost; `None` where the table knows the model but no price.
    pub price: Option<Price>,
    /// `chat`, `completion`, `responses` or `embedding`.
    pub mode: String,
    /// The longest prompt, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether it reasons before it answers.
    pub supports_reasoning: bool,
    /// Whether it keeps to a JSON schema by itself.
    pub supports_response_schema: bool,
    /// Whether it looks at images: true, or nobody says.
    pub supports_vision: Option<bool>,
    /// `litellm_provider`: `openai`, `bedrock_converse`, ...
    pub provider: String,
}

/// Looks up `model`, the provider's own name of it, under LiteLLM's provider prefix: `("openai", "gpt-4o-mini")`.
///
/// `provider/model` comes first, then `model` where its provider is the same. A fine-tuned OpenAI model, `ft:base:org::id`,
/// has its base's entry.
pub fn lookup(provider_name: &str, model: &str) -> Option<Entry> {
    let provider = family(provider_name);
    let model = fine_tuned_base(model);
    let prefixed = find(&format!("{provider_name}/{model}")).or_else(|| find(&format!("{provider}/{model}")));
    prefixed.or_else(|| find(model).filter(|entry| family(&entry.provider) == provider))
}

/// The provider that this name of it belongs to: LiteLLM has several names for some, by API or by maker of the model.
fn family(provider: &str) -> &str {
    match provider {
        "text-completion-openai" => "openai",
        "azure_text" => "azure",
        "bedrock_converse" | "bedrock_mantle" => "bedrock",
        "cohere_chat" => "cohere",
        "fireworks_ai-embedding-models" => "fireworks_ai",
        "ollama_chat" => "ollama",
        _ if provider.starts_with("vertex_ai") => "vertex_ai",
        _ => provider,
    }
}

/// `ft:gpt-4o-mini` of `ft:gpt-4o-mini:acme::id`; any other name as it is.
fn fine_tuned_base(model: &str) -> &str {
    let base = model.strip_prefix("ft:").and_then(|rest| rest.split_once(':'));
    base.and_then(|(base, _)| model.get(..base.len().saturating_add("ft:".len()))).unwrap_or(model)
}

fn find(key: &str) -> Option<Entry> {
    let mut rows = rows();
    while !rows.is_empty() {
        let (before, row, after) = halve(rows);
        let (found, fields) = row.split_once('\t')?;
        match key.cmp(found) {
            Ordering::Less => rows = before,
            Ordering::Greater => rows = after,
            Ordering::Equal => return entry(fields),
        }
    }
    None
}

/// The table without the comments at its head.
fn rows() -> &'static str {
    let mut rest = TABLE;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, rows)| rows);
    }
    rest
}

/// The row that holds the middle byte, and the rows on both sides of it.
fn halve(rows: &str) -> (&str, &str, &str) {
    let (left, right) = rows.as_bytes().split_at(rows.len() / 2);
    let start = memchr::memrchr(b'\n', left).map_or(0, |at| at.saturating_add(1));
    let end = memchr::memchr(b'\n', right).map_or(rows.len(), |at| at.saturating_add(left.len()));
    let part = |from: usize, to: usize| rows.get(from..to).unwrap_or_default();
    (part(0, start), part(start, end), part(end.saturating_add(1), rows.len()))
}

/// Reads the fields behind a row's key.
fn entry(fields: &str) -> Option<Entry> {
    let mut fields = fields.split('\t');
    let mode = fields.next()?.to_owned();
    let provider = fields.next()?.to_owned();
    let listed = listed(&mut fields)?;
    let tiers = tiers(fields.next()?)?;
    let max_input_tokens = number(fields.next()?).ok()?;
    let max_output_tokens = number(fields.next()?).ok()?;
    let flags = fields.next()?;
    let priced = listed.input.is_some() || listed.output.is_some();
    Some(Entry {
        price: priced.then(|| Price::flat(PicoUsd(0), PicoUsd(0)).overridden(&listed, &tiers)),
        mode,
        max_input_tokens,
        max_output_tokens,
        supports_reasoning: flags.contains('r'),
        supports_response_schema: flags.contains('s'),
        supports_vision: flags.contains('v').then_some(true),
        provider,
    })
}

/// `above:input:output:cached:cache_write:cache_write_1h:reasoning;...` by threshold.
fn tiers(text: &str) -> Option<BTreeMap<u64, Listed>> {
    let tiers = text.split_terminator(';').map(|tier| {
        let (above, rates) = tier.split_once(':')?;
        Some((above.parse().ok()?, listed(&mut rates.split(':'))?))
    });
    tiers.collect()
}

/// Six rates, as both a row and a tier order them.
fn listed<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Listed> {
    let mut rate = || Some(number(fields.next()?).ok()?.map(PicoUsd));
    Some(Listed {
        input: rate()?,
        output: rate()?,
        cached: rate()?,
        cache_write: rate()?,
        cache_write_1h: rate()?,
        reasoning: rate()?,
    })
}

/// A number, or nothing.
fn number(field: &str) -> Result<Option<u64>, std::num::ParseIntError> {
    if field.is_empty() { Ok(None) } else { field.parse().map(Some) }
}

const TABLE: &str = include_str!("prices.tsv");

#[cfg(test)]
mod tests {
    use super::{Entry, entry, find, lookup, rows};
    use crate::budget::Price;
    use crate::units::PicoUsd;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_row_is_sorted_parsed_and_found() {
        let mut last = "";
        for row in rows().lines() {
            let (key, fields) = row.split_once('\t').unwrap();
            assert!(last < key, "{last} before {key}");
            assert_eq!(row.split('\t').count(), 13, "{key}");
            let entry: Entry = entry(fields).unwrap_or_else(|| panic!("{row}"));
            assert!(matches!(entry.mode.as_str(), "chat" | "completion" | "responses" | "embedding"), "{row}");
            assert_eq!(find(key), Some(entry));
            last = key;
        }
        assert!(rows().lines().count() > 2000);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn known_models_cost_what_their_makers_say() {
        let mini = Price { cached: PicoUsd(75_000), ..Price::flat(PicoUsd(150_000), PicoUsd(600_000)) };
        let entry = lookup("openai", "gpt-4o-mini").unwrap();
        assert_eq!((entry.price, entry.mode.as_str()), (Some(mini), "chat"));
        assert_eq!((entry.max_input_tokens, entry.max_output_tokens), (Some(128_000), Some(16_384)));
        assert!(entry.supports_response_schema && !entry.supports_reasoning);
        assert_eq!(entry.supports_vision, Some(true));

        let haiku = Price {
            cached: PicoUsd(100_000),
            cache_write: PicoUsd(1_250_000),
            cache_write_1h: PicoUsd(2_000_000),
            ..Price::flat(PicoUsd(1_000_000), PicoUsd(5_000_000))
        };
        let entry = lookup("anthropic", "claude-haiku-4-5").unwrap();
        assert_eq!(entry.price, Some(haiku));
        assert!(entry.supports_reasoning);

        let pro = lookup("gemini", "gemini-2.5-pro").unwrap().price.unwrap();
        let [tier] = &pro.tiers[..] else { panic!("{pro:?}") };
        assert_eq!(
            (tier.above_input_tokens, tier.input, tier.output),
            (200_000, PicoUsd(2_500_000), PicoUsd(15_000_000))
        );
        assert_eq!((tier.cached, tier.cache_write, tier.reasoning), (PicoUsd(250_000), tier.input, tier.output));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_model_is_found_under_its_own_provider_only() {
        let rows = [
            ("openai", "gpt-4o-mini", Some("openai")),
            ("openai", "gpt-3.5-turbo-instruct", Some("text-completion-openai")),
            ("openai", "ft:gpt-4o-mini-2024-07-18:acme::A1b2", Some("openai")),
            ("azure", "gpt-4o", Some("azure")),
            ("vertex_ai", "gemini-2.5-pro", Some("vertex_ai-language-models")),
            ("bedrock", "amazon.nova-lite-v1:0", Some("bedrock_converse")),
            ("ollama_chat", "llama3", Some("ollama")),
            ("hosted_vllm", "gpt-4o-mini", None),
            ("openai_like", "gpt-4o-mini", None),
            ("anthropic", "gpt-4o-mini", None),
            ("openai", "gpt-4o-min", None),
            ("openai", "gpt-4o-minis", None),
            ("openai", "", None),
            ("", "", None),
            ("openai", "#", None),
            ("openai", "~~~", None),
            ("openai", "ft:", None),
        ];
        for (provider, model, found) in rows {
            assert_eq!(lookup(provider, model).map(|entry| entry.provider).as_deref(), found, "{provider} {model}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_model_without_a_price_is_not_free() {
        let llama = lookup("ollama", "llama3").unwrap();
        assert_eq!((llama.price, llama.supports_vision), (None, None));
    }
}
