//! Every counter, once. Label values come from the config, never from a client.
//!
//! Envoy's Wasm counters have no labels: they stand in the name, and the bootstrap's `stats_tags` take them out of it
//! again. `tollgate_requests.model_group.g.deployment.d.provider.p.key_alias.k.status.200.total` is shown to
//! Prometheus as `tollgate_requests_total{model_group="g",deployment="d",provider="p",key_alias="k",status="200"}`.

use std::collections::BTreeMap;

use crate::units::Millis;

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
    /// Copies of requests that ended, by the group that they went to and the key that they were made for; `status` is the
    /// shadow's own, 503 or 504 where there was no answer.
    ShadowRequests,
    /// Tokens of their prompts.
    ShadowInputTokens,
    /// Tokens of their answers.
    ShadowOutputTokens,
    /// What they cost, in 10^-9 USD; no key is charged for it.
    ShadowCost,
}

impl Metric {
    /// Every counter, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::Attempts,
        Self::Fallbacks,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::ShadowRequests,
        Self::ShadowInputTokens,
        Self::ShadowOutputTokens,
        Self::ShadowCost,
    ];

    /// The name before the labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "tollgate_requests",
            Self::Attempts => "tollgate_attempts",
            Self::Fallbacks => "tollgate_fallbacks",
            Self::InputTokens => "tollgate_input_tokens",
            Self::OutputTokens => "tollgate_output_tokens",
            Self::Cost => "tollgate_cost_nano_usd",
            Self::ShadowRequests => "tollgate_shadow_requests",
            Self::ShadowInputTokens => "tollgate_shadow_input_tokens",
            Self::ShadowOutputTokens => "tollgate_shadow_output_tokens",
            Self::ShadowCost => "tollgate_shadow_cost_nano_usd",
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
    /// Writes the labels as they stand in a stat name. An empty value is written `none`.
    pub fn write(&self, out: &mut String) {
        let mut status = itoa::Buffer::new();
        let parts = [
            ("model_group.", self.model_group),
            (".deployment.", self.deployment),
            (".provider.", self.provider),
            (".key_alias.", self.key_alias),
            (".status.", status.format(self.status)),
        ];
        for (name, value) in parts {
            out.push_str(name);
            out.push_str(if value.is_empty() { "none" } else { value });
        }
    }
}

/// What was counted and not yet told to Envoy, by labels.
///
/// A counter of Envoy costs a call of the host, and a request has half a dozen of them: they are added up here and told
/// at once, every [`FLUSH`]. What a VM that traps had not told is lost.
#[derive(Debug, Default)]
pub struct Pending {
    counts: BTreeMap<String, [u64; Metric::ALL.len()]>,
    /// Reused for every look-up.
    labels: String,
}

/// How long a count may wait.
pub const FLUSH: Millis = Millis(50);

impl Pending {
    /// Adds `by` to a counter.
    pub fn count(&mut self, metric: Metric, labels: Labels<'_>, by: u64) {
        self.labels.clear();
        labels.write(&mut self.labels);
        if !self.counts.contains_key(&self.labels) {
            self.counts.insert(self.labels.clone(), Default::default());
        }
        let counts = self.counts.get_mut(&self.labels).into_iter().flatten();
        for (_, count) in Metric::ALL.iter().zip(counts).filter(|(found, _)| **found == metric) {
            *count = count.saturating_add(by);
        }
    }

    /// Hands out every count with the name of its stat, and starts anew.
    pub fn flush(&mut self) -> impl Iterator<Item = (String, u64)> + use<> {
        let counts = std::mem::take(&mut self.counts);
        counts.into_iter().flat_map(|(labels, counts)| {
            let counted = Metric::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0);
            counted.map(move |(metric, count)| (format!("{}.{labels}.total", metric.name()), count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn counts_add_up_until_they_are_told() {
        let labels = Labels { model_group: "g.1", deployment: "d", provider: "openai", key_alias: "", status: 200 };
        let mut pending = Pending::default();
        pending.count(Metric::Requests, labels, 1);
        pending.count(Metric::Requests, labels, 1);
        pending.count(Metric::Cost, labels, 7);
        let told: Vec<_> = pending.flush().collect();
        let rest = "model_group.g.1.deployment.d.provider.openai.key_alias.none.status.200.total";
        assert_eq!(told, [(format!("tollgate_requests.{rest}"), 2), (format!("tollgate_cost_nano_usd.{rest}"), 7)]);
        assert_eq!(pending.flush().count(), 0);
    }
}
