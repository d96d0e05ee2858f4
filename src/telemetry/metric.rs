//! Every counter, once. Label values come from the config, never from a client.
//!
//! Envoy's Wasm counters have no labels: they stand in the name, and the bootstrap's `stats_tags` take them out of it
//! again. `tollgate_requests.model_group.g.deployment.d.provider.p.key_alias.k.status.200.total` is shown to
//! Prometheus as `tollgate_requests_total{model_group="g",deployment="d",provider="p",key_alias="k",status="200"}`.

use std::collections::{BTreeMap, VecDeque};

pub use super::labels::{ACCOUNT_LABELS, AccountLabels, LABELS, Labels};
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
    /// Requests that were answered and charged nothing, since nobody says what their deployment costs.
    UnpricedRequests,
    /// Copies of requests that ended, by the group that they went to and the key that they were made for; `status` is the
    /// shadow's own, 503 or 504 where there was no answer.
    ShadowRequests,
    /// Tokens of their prompts.
    ShadowInputTokens,
    /// Tokens of their answers.
    ShadowOutputTokens,
    /// What they cost, in 10^-9 USD; no key is charged for it.
    ShadowCost,
    /// Requests that an account refused: see [`AccountLabels`].
    AccountRefusals,
    /// Requests that an account would have refused, were it not in shadow mode.
    AccountShadowRefusals,
    /// Marks that an account's spend passed, each once in a window.
    AccountAlerts,
    /// Requests that the rate limit service admitted.
    RateLimitAdmitted,
    /// Requests that it refused.
    RateLimitRefused,
    /// Requests that were refused without a call, because it had refused their like a moment ago.
    RateLimitRemembered,
    /// Requests that were admitted because it did not answer.
    RateLimitFailedOpen,
    /// Requests that were refused because it did not answer.
    RateLimitFailedClosed,
    /// Reports to it that failed, and are sent again.
    RateLimitReportsFailed,
    /// Counters of it that lack what could not be told before their windows ended.
    RateLimitReportsLost,
}

impl Metric {
    /// Every counter, in the order of their declaration.
    pub const ALL: [Self; 21] = [
        Self::Requests,
        Self::Attempts,
        Self::Fallbacks,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::UnpricedRequests,
        Self::ShadowRequests,
        Self::ShadowInputTokens,
        Self::ShadowOutputTokens,
        Self::ShadowCost,
        Self::AccountRefusals,
        Self::AccountShadowRefusals,
        Self::AccountAlerts,
        Self::RateLimitAdmitted,
        Self::RateLimitRefused,
        Self::RateLimitRemembered,
        Self::RateLimitFailedOpen,
        Self::RateLimitFailedClosed,
        Self::RateLimitReportsFailed,
        Self::RateLimitReportsLost,
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
            Self::UnpricedRequests => "tollgate_unpriced_requests",
            Self::ShadowRequests => "tollgate_shadow_requests",
            Self::ShadowInputTokens => "tollgate_shadow_input_tokens",
            Self::ShadowOutputTokens => "tollgate_shadow_output_tokens",
            Self::ShadowCost => "tollgate_shadow_cost_nano_usd",
            Self::AccountRefusals => "tollgate_account_refusals",
            Self::AccountShadowRefusals => "tollgate_account_shadow_refusals",
            Self::AccountAlerts => "tollgate_account_alerts",
            Self::RateLimitAdmitted => "tollgate_rate_limit_admitted",
            Self::RateLimitRefused => "tollgate_rate_limit_refused",
            Self::RateLimitRemembered => "tollgate_rate_limit_remembered",
            Self::RateLimitFailedOpen => "tollgate_rate_limit_failed_open",
            Self::RateLimitFailedClosed => "tollgate_rate_limit_failed_closed",
            Self::RateLimitReportsFailed => "tollgate_rate_limit_reports_failed",
            Self::RateLimitReportsLost => "tollgate_rate_limit_reports_lost",
        }
    }
}

/// The gauge of how many Envoys share what each of them enforces alone: `tollgate.replicas`.
pub const REPLICAS: &str = "tollgate_replicas";

/// The gauge that is 1 where a rate limit service counts for all Envoys, 0 where each counts for itself.
pub const IS_GLOBAL: &str = "tollgate_limits_global";

/// What was counted and not yet told to Envoy, by labels.
///
/// A counter of Envoy costs a call of the host, and a request has half a dozen of them: they are added up here and told
/// at once, every [`FLUSH`]; where hundreds of label sets are busy, each in its turn within four seconds. What a VM that
/// traps had not told is lost.
///
/// Labels that were seen stay, with what Envoy calls their counters: names are long, and with many deployments nearly
/// every request has labels of its own. So they are found by a number, and written once. What grows here is in Envoy's
/// own table of stats, too.
#[derive(Debug, Default)]
pub struct Pending {
    rows: Vec<Row>,
    /// Positions in `rows`, by the numbers of their labels.
    by_number: BTreeMap<u64, usize>,
    /// The rows with something to tell, each once.
    counted: VecDeque<usize>,
    /// The row that was counted last, by its number: a request's counters mostly have the same labels.
    last: Option<(u64, usize)>,
}

/// The counters of the same labels, by metric.
#[derive(Debug)]
struct Row {
    labels: Box<str>,
    counts: [u64; METRICS],
    ids: [Option<u32>; METRICS],
}

const METRICS: usize = Metric::ALL.len();

/// What is to be added to one of Envoy's counters.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    row: usize,
    metric: Metric,
    /// What Envoy calls the counter, where [`Pending::learn`] was told.
    pub id: Option<u32>,
    /// How much, more than 0.
    pub by: u64,
}

/// How often counts are told.
pub const FLUSH: Millis = Millis(50);

/// Of the rows that wait, the first of so many parts is told at once,
const TURNS: usize = 64;
/// but at least so many rows.
const TURN_MIN: usize = 8;

impl Pending {
    /// Adds `by` to a counter.
    pub fn count(&mut self, metric: Metric, labels: Labels<'_>, by: u64) {
        self.add(metric, labels.number(), |out| labels.write(out), by);
    }

    /// Adds one to a counter of an account.
    pub fn count_account(&mut self, metric: Metric, labels: AccountLabels<'_>) {
        self.add(metric, labels.number(), |out| labels.write(out), 1);
    }

    fn add(&mut self, metric: Metric, number: u64, write: impl FnOnce(&mut String), by: u64) {
        let at = match self.last {
            Some((last, at)) if last == number => at,
            _ => self.position(number, write),
        };
        self.last = Some((number, at));
        let Some(row) = self.rows.get_mut(at) else { return };
        if by > 0 && row.counts == [0; METRICS] {
            self.counted.push_back(at);
        }
        let count = row.counts.get_mut(metric as usize);
        count.into_iter().for_each(|count| *count = count.saturating_add(by));
    }

    /// The row of these labels.
    fn position(&mut self, number: u64, write: impl FnOnce(&mut String)) -> usize {
        let rows = &mut self.rows;
        *self.by_number.entry(number).or_insert_with(|| {
            let mut written = String::new();
            write(&mut written);
            rows.push(Row { labels: written.into(), counts: [0; METRICS], ids: [None; METRICS] });
            rows.len() - 1
        })
    }

    /// Hands out what is not told, and starts anew. Of very many rows only the first have their turn: what is counted
    /// meanwhile for those that wait is told by the same call.
    pub fn flush(&mut self) -> Vec<Count> {
        let turn = self.counted.len().div_ceil(TURNS).max(TURN_MIN);
        self.tell(turn)
    }

    /// Hands out all that is not told.
    pub fn flush_all(&mut self) -> Vec<Count> {
        self.tell(usize::MAX)
    }

    fn tell(&mut self, rows: usize) -> Vec<Count> {
        let mut told = Vec::new();
        for at in self.counted.drain(..rows.min(self.counted.len())) {
            let Some(row) = self.rows.get_mut(at) else { continue };
            let counts = std::mem::take(&mut row.counts);
            let counts = Metric::ALL.into_iter().zip(row.ids).zip(counts).filter(|(_, by)| *by > 0);
            told.extend(counts.map(|((metric, id), by)| Count { row: at, metric, id, by }));
        }
        told
    }

    /// The name of a counter's stat.
    pub fn name(&self, count: &Count) -> String {
        let labels = self.rows.get(count.row).map_or("", |row| &row.labels);
        format!("{}.{labels}.total", count.metric.name())
    }

    /// Envoy calls the counter `id`.
    pub fn learn(&mut self, count: &Count, id: u32) {
        let ids = self.rows.get_mut(count.row).and_then(|row| row.ids.get_mut(count.metric as usize));
        ids.into_iter().for_each(|slot| *slot = Some(id));
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
        let told = pending.flush();
        let named: Vec<_> = told.iter().map(|count| (pending.name(count), count.by, count.id)).collect();
        let name = |metric: &str| {
            format!("{metric}.model_group.g.1.deployment.d.provider.openai.key_alias.none.status.200.total")
        };
        assert_eq!(named, [(name("tollgate_requests"), 2, None), (name("tollgate_cost_nano_usd"), 7, None)]);
        assert!(pending.flush().is_empty());
        told.iter().zip(5..).for_each(|(count, id)| pending.learn(count, id));
        let other = Labels { deployment: "e", ..labels };
        for (metric, labels, by) in [(Metric::Cost, labels, 1), (Metric::Cost, other, 2), (Metric::Requests, labels, 3)]
        {
            pending.count(metric, labels, by);
        }
        pending.count(Metric::Fallbacks, labels, 0);
        let told: Vec<_> = pending.flush().iter().map(|count| (count.id, count.by)).collect();
        assert_eq!(told, [(Some(5), 3), (Some(6), 1), (None, 2)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_many_rows_each_has_its_turn() {
        let mut pending = Pending::default();
        let ids: Vec<String> = (0..1000).map(|i| format!("d{i}")).collect();
        let mut told = 0;
        for turn in 0..TURNS * 2 {
            ids.iter().for_each(|id| {
                pending.count(Metric::Requests, Labels { deployment: id, ..Labels::default() }, 1);
            });
            let counts = pending.flush();
            assert!((15..=16).contains(&counts.len()), "{}", counts.len());
            assert!(counts.iter().all(|count| count.by as usize <= TURNS.min(turn + 1)));
            told += counts.iter().map(|count| count.by).sum::<u64>();
        }
        assert_eq!(told + pending.flush_all().iter().map(|count| count.by).sum::<u64>(), 128_000);
        assert!(pending.flush_all().is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn metrics_are_numbered_in_their_order() {
        let numbers: Vec<usize> = Metric::ALL.into_iter().map(|metric| metric as usize).collect();
        assert_eq!(numbers, (0..METRICS).collect::<Vec<_>>());
    }
}
