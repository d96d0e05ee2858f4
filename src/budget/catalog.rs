//! The price table that is compiled in: what LiteLLM's price map says about a model.
//!
//! `prices.tsv` is made by `prices.py` from a pinned copy of the map (its first lines name it) and keeps the models of the
//! providers and the endpoints that Tollgate knows, with the rates that [`Rate`] knows.
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

use super::price::Price;
use super::rate::{Condition, Rate};
use crate::openai::usage::ServiceTier;
use crate::units::PicoUsd;

/// What the table says about one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What its answers cost; `None` where the table knows the model but no price.
    pub price: Option<Price>,
    /// `chat`, `embedding`, `image_generation`, ...
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
            Ordering::Equal => return entry(found, fields),
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

/// Reads the fields behind a row's key. A chat's mode is empty, and a provider that the key begins with.
fn entry(key: &str, fields: &str) -> Option<Entry> {
    let mut fields = fields.split('\t');
    let mode = Some(fields.next()?).filter(|mode| !mode.is_empty()).unwrap_or("chat").to_owned();
    let provider = Some(fields.next()?).filter(|provider| !provider.is_empty());
    let provider = provider.or_else(|| Some(key.split_once('/')?.0))?.to_owned();
    let max_input_tokens = limit(fields.next()?)?;
    let max_output_tokens = limit(fields.next()?)?;
    let flags = fields.next()?;
    let layers = fields.next()?;
    Some(Entry {
        price: if layers.is_empty() { None } else { Some(price(layers)?) },
        mode,
        max_input_tokens,
        max_output_tokens,
        supports_reasoning: flags.contains('r'),
        supports_response_schema: flags.contains('s'),
        supports_vision: flags.contains('v').then_some(true),
        provider,
    })
}

/// The rates for all requests, then those beyond thresholds and of tiers: `i300ko2500k;p:i540k;>200000:i600k`.
fn price(layers: &str) -> Option<Price> {
    layers.split(';').try_fold(Price::default(), |price, layer| {
        let (head, rates) = layer.split_once(':').unwrap_or(("", layer));
        let (tier, above) = head.split_once('>').map_or((head, None), |(tier, above)| (tier, Some(above)));
        let tier = match tier {
            "" => ServiceTier::Standard,
            "f" => ServiceTier::Flex,
            "p" => ServiceTier::Priority,
            _ => return None,
        };
        let above_input_tokens = above.map(str::parse).transpose().ok()?;
        read(rates, Condition { above_input_tokens, tier }, price)
    })
}

/// Adds rates, each a letter and picodollars.
fn read(mut rates: &str, condition: Condition, mut price: Price) -> Option<Price> {
    while let Some(letter) = rates.chars().next() {
        let (amount, rest) = number(rates.get(letter.len_utf8()..)?)?;
        price = price.with_in(condition, Rate::of_letter(letter)?, PicoUsd(amount));
        rates = rest;
    }
    Some(price)
}

/// A number that may be absent; the outer `None` is a fault.
fn limit(field: &str) -> Option<Option<u64>> {
    if field.is_empty() {
        return Some(None);
    }
    let (limit, rest) = number(field)?;
    rest.is_empty().then_some(Some(limit))
}

/// The number that `text` begins with, of which `k` means a thousand and `M` a million, and what is behind it.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let number: u64 = digits.parse().ok()?;
    let units = [("k", 1000), ("M", 1_000_000)];
    let unit = units.into_iter().find_map(|(unit, factor)| Some((rest.strip_prefix(unit)?, factor)));
    let (rest, factor) = unit.unwrap_or((rest, 1));
    Some((number.saturating_mul(factor), rest))
}

const TABLE: &str = include_str!("prices.tsv");

#[cfg(test)]
mod tests {
    use super::{Entry, entry, find, lookup, rows};
    use crate::budget::{Price, Rate};
    use crate::units::PicoUsd;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_row_is_sorted_parsed_and_found() {
        let mut last = "";
        for row in rows().lines() {
            let (key, fields) = row.split_once('\t').unwrap();
            assert!(last < key, "{last} before {key}");
            assert_eq!(row.split('\t').count(), 7, "{key}");
            let entry: Entry = entry(key, fields).unwrap_or_else(|| panic!("{row}"));
            assert!(MODES.contains(&entry.mode.as_str()), "{row}");
            assert_eq!(find(key), Some(entry));
            last = key;
        }
        assert!(rows().lines().count() > 2000);
    }

    const MODES: [&str; 11] = [
        "audio_speech",
        "audio_transcription",
        "chat",
        "completion",
        "embedding",
        "image_edit",
        "image_generation",
        "moderation",
        "realtime",
        "rerank",
        "responses",
    ];

    #[wasm_bindgen_test(unsupported = test)]
    fn known_models_cost_what_their_makers_say() {
        let entry = lookup("openai", "gpt-4o-mini").unwrap();
        let price = entry.price.unwrap();
        let list = |price: &Price, rates: &[Rate]| rates.iter().map(|rate| price.list(*rate).0).collect::<Vec<_>>();
        assert_eq!(list(&price, &[Rate::Input, Rate::Output, Rate::Cached]), [150_000, 600_000, 75_000]);
        assert_eq!(entry.mode, "chat");
        assert_eq!((entry.max_input_tokens, entry.max_output_tokens), (Some(128_000), Some(16_384)));
        assert!(entry.supports_response_schema && !entry.supports_reasoning);
        assert_eq!(entry.supports_vision, Some(true));

        let entry = lookup("anthropic", "claude-haiku-4-5").unwrap();
        let haiku = Price::flat(PicoUsd(1_000_000), PicoUsd(5_000_000))
            .with(Rate::Cached, PicoUsd(100_000))
            .with(Rate::CacheWrite, PicoUsd(1_250_000))
            .with(Rate::CacheWrite1h, PicoUsd(2_000_000));
        assert_eq!(entry.price, Some(haiku));
        assert!(entry.supports_reasoning);

        let whisper = lookup("openai", "whisper-1").unwrap();
        assert_eq!(whisper.price.unwrap().list(Rate::InputSecond), PicoUsd(100_000_000));
        assert_eq!(whisper.mode, "audio_transcription");
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
    fn a_free_model_has_a_price_and_one_without_a_price_is_not_free() {
        let llama = lookup("ollama", "llama3").unwrap();
        assert_eq!((llama.price, llama.supports_vision), (Some(Price::flat(PicoUsd(0), PicoUsd(0))), None));
        let router = lookup("fireworks_ai", "accounts/fireworks/routers/auto").unwrap();
        assert_eq!((router.price, router.supports_reasoning), (None, true));
    }
}
