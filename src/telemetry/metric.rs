//! Every counter, once. Label values come from the config, never from a client.
//!
//! Envoy's Wasm counters have no labels: they stand in the name, and the bootstrap's `stats_tags` take them out of it
//! again. `tollgate_requests.model_group.g.deployment.d.provider.p.key_alias.k.status.200.total` is shown to
//! Prometheus as `tollgate_requests_total{model_group="g",deployment="d",provider="p",key_alias="k",status="200"}`.

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests that ended.
    Requests,
    /// Attempts at an upstream; `status` is the attempt's own, 0 where there was no answer.
    Attempts,
    /// Model groups given up for another one.
    Fallbacks,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Money, in 10^-9 USD.
    Cost,
}

impl Metric {
    /// The name before the labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "tollgate_requests",
            Self::Attempts => "tollgate_attempts",
            Self::Fallbacks => "tollgate_fallbacks",
            Self::InputTokens => "tollgate_input_tokens",
            Self::OutputTokens => "tollgate_output_tokens",
            Self::Cost => "tollgate_cost_nano_usd",
        }
    }
}

/// The labels of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels<'a> {
    /// The model group asked for.
    pub model_group: &'a str,
    /// `model_info.id`.
    pub deployment: &'a str,
    /// LiteLLM's name of the provider.
    pub provider: &'a str,
    /// Who asked.
    pub key_alias: &'a str,
    /// An HTTP status.
    pub status: u16,
}

impl Labels<'_> {
    /// The whole name of `metric` with these labels. An empty value is written `none`.
    pub fn stat_name(&self, metric: Metric) -> String {
        let or_none = |value| if str::is_empty(value) { "none" } else { value };
        format!(
            "{}.model_group.{}.deployment.{}.provider.{}.key_alias.{}.status.{}.total",
            metric.name(),
            or_none(self.model_group),
            or_none(self.deployment),
            or_none(self.provider),
            or_none(self.key_alias),
            self.status
        )
    }
}
