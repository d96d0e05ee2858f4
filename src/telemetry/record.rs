//! The record of one request: filter state fields for access logs, tracing and other filters.
//!
//! Every field is filter state `wasm.tollgate.<name>`; `wasm.tollgate.log` is all of them as one JSON object. A field
//! without a value is not set: Envoy's formatters print `-` for it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::error::Error;
use crate::openai::Usage;
use crate::units::{Millis, PicoUsd};

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// Estimated from the bytes.
    Estimated,
}

/// What a record says of an error: its code, or its type where it has none. Never its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub String);

impl ErrorCode {
    /// The code of `error`.
    pub fn of(error: &Error) -> Self {
        Self(error.code().unwrap_or(error.type_()).to_owned())
    }
}

/// How a request ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who asked; empty where nobody was let in.
    pub key_alias: String,
    /// The key's team.
    pub team: String,
    /// The key's user.
    pub user: String,
    /// The model group that was asked for.
    pub model_group: String,
    /// The provider's name of the model that answered.
    pub model: String,
    /// LiteLLM's name of the provider.
    pub provider: String,
    /// `model_info.id`.
    pub deployment: String,
    /// Envoy's cluster.
    pub cluster: String,
    /// All attempts, the first one too.
    pub attempts: u64,
    /// Groups given up.
    pub fallbacks: u64,
    /// Token counts.
    pub usage: Usage,
    /// Where they come from; `None` where there are none.
    pub usage_source: Option<UsageSource>,
    /// What they cost.
    pub cost: PicoUsd,
    /// Whether nobody says what they cost.
    pub is_unpriced: bool,
    /// Time to the first byte of the answer.
    pub ttft: Option<Millis>,
    /// Time to the end.
    pub duration: Millis,
    /// Why it went where it went.
    pub routing: String,
    /// What limits and budgets in shadow mode would have refused: `team 'a': rpm`.
    pub would_refuse: String,
    /// Which marks its cost made budgets pass: `key 'b': soft_budget`.
    pub budget_alerts: String,
    /// What an operator has done: `blocked batch-jobs`.
    pub order: String,
    /// What went wrong.
    pub error: Option<ErrorCode>,
    /// The client's status; 0 where it got none.
    pub status: u16,
}

/// Every field, in the contract's order; `log` is all of them together.
pub const FIELDS: [&str; 25] = [
    "key_alias",
    "team",
    "user",
    "model_group",
    "model",
    "provider",
    "deployment",
    "cluster",
    "attempts",
    "fallbacks",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "total_tokens",
    "usage_source",
    "cost_usd",
    "cache",
    "ttft_ms",
    "duration_ms",
    "routing",
    "would_refuse",
    "budget_alerts",
    "order",
    "error",
    "log",
];

/// Some of [`FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFields(u32);

impl RecordFields {
    /// Every field.
    pub const ALL: Self = Self(u32::MAX);
    /// No field.
    pub const NONE: Self = Self(0);

    /// Adds a field; whether there is one of this name.
    pub fn add(&mut self, name: &str) -> bool {
        let bit = Self::bit(name);
        self.0 |= bit;
        bit != 0
    }

    /// Whether the field `name` is one of them.
    pub fn contains(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Their names, in the contract's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FIELDS.into_iter().filter(move |name| self.contains(name))
    }

    fn bit(name: &str) -> u32 {
        FIELDS.iter().position(|field| *field == name).map_or(0, |i| 1 << i)
    }
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A name or a word.
    Text(&'a str),
    /// A count.
    Number(u64),
    /// Money in USD.
    Usd(PicoUsd),
}

impl Record {
    /// Every field that has a value, in the contract's order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let usage = &self.usage;
        let source = self.usage_source.map_or("", |source| match source {
            UsageSource::Provider => "provider",
            UsageSource::Estimated => "estimated",
        });
        let text = |value| Some(Value::Text(value));
        let number = |value| Some(Value::Number(value));
        [
            ("key_alias", text(self.key_alias.as_str())),
            ("team", text(&self.team)),
            ("user", text(&self.user)),
            ("model_group", text(&self.model_group)),
            ("model", text(&self.model)),
            ("provider", text(&self.provider)),
            ("deployment", text(&self.deployment)),
            ("cluster", text(&self.cluster)),
            ("attempts", number(self.attempts)),
            ("fallbacks", number(self.fallbacks)),
            ("input_tokens", number(usage.input_tokens)),
            ("output_tokens", number(usage.output_tokens)),
            ("cached_tokens", number(usage.cached_tokens)),
            ("total_tokens", number(usage.total_tokens())),
            ("usage_source", text(source)),
            ("cost_usd", Some(Value::Usd(self.cost))),
            ("ttft_ms", self.ttft.map(|ttft| Value::Number(ttft.0))),
            ("duration_ms", number(self.duration.0)),
            ("routing", text(&self.routing)),
            ("would_refuse", text(&self.would_refuse)),
            ("budget_alerts", text(&self.budget_alerts)),
            ("order", text(&self.order)),
            ("error", self.error.as_ref().map(|error| Value::Text(&error.0))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| *value != Value::Text(""))?)))
    }

    /// All fields as one JSON object.
    pub fn log(&self) -> String {
        let mut log = String::with_capacity(512);
        for (name, value) in self.fields() {
            log.push(if log.is_empty() { '{' } else { ',' });
            log.push('"');
            log.push_str(name);
            log.push_str("\":");
            match value {
                Value::Text(text) if is_plain(text) => {
                    log.push('"');
                    log.push_str(text);
                    log.push('"');
                }
                Value::Text(text) => log.push_str(&Json::from(text).to_string()),
                Value::Number(_) | Value::Usd(_) => value.write(&mut log),
            }
        }
        log.push('}');
        log
    }
}

impl Value<'_> {
    /// The value as filter state holds it.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Number(number) => out.push_str(itoa::Buffer::new().format(*number)),
            Self::Usd(usd) => drop(write!(out, "{usd}")),
        }
    }
}

/// Whether `text` is its own JSON string.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_log_is_json_and_leaves_out_what_is_not_known() {
        assert!(Record::default().fields().all(|(name, _)| FIELDS.contains(&name)));
        let record = Record { key_alias: "a\"b".into(), attempts: 2, cost: PicoUsd(1_500_000), ..Record::default() };
        let log: Json = serde_json::from_str(&record.log()).unwrap();
        assert_eq!(log["key_alias"], "a\"b");
        assert_eq!(log["cost_usd"], 0.0000015);
        assert_eq!((log.get("team"), log.get("error"), &log["attempts"]), (None, None, &Json::from(2)));
        let mut text = String::new();
        record.fields().for_each(|(_, value)| value.write(&mut text));
        assert!(text.contains("0.0000015"));
    }
}
