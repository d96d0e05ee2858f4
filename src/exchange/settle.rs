//! The end of a request, whatever it was: complete, failed, cut by the client, reset by the provider, timed out.

use super::{Answer, Burned, Caller, Exchange, World};
use crate::budget::Account;
use crate::budget::account::Till;
use crate::budget::{Rate, estimate};
use crate::config::{Config, CountedTokens};
use crate::openai::usage::Measure;
use crate::openai::{Endpoint, Usage};
use crate::provider::Tally;
use crate::routing;
use crate::store::Store;
use crate::telemetry::metric::{AccountLabels, Labels, Metric};
use crate::telemetry::{ErrorCode, Record, UsageSource};
use crate::units::{Millis, PicoUsd};

impl Exchange {
    /// What came of the request; `status` is the client's, 0 where it got none.
    pub fn settle(&mut self, status: u16, world: &mut World<'_>) -> Record {
        let now = world.now;
        let (usage, usage_source) = self.usage(status);
        let usage = if usage_source.is_some() { self.billed(usage) } else { usage };
        let cost = self.deployment().and_then(|deployment| deployment.price.as_ref()).map(|price| price.cost(&usage));
        self.leave(&self.used(&usage, status), cost.unwrap_or_default(), world);
        let mut record = Record {
            model_group: self.model_group().to_owned(),
            attempts: self.attempts.len() as u64,
            fallbacks: u64::from(self.fallbacks()),
            usage,
            usage_source,
            cost: cost.unwrap_or_default().plus(self.burned.cost),
            would_refuse: self.would_refuse(),
            ttft: self.first_byte.map(|first| first.since(self.started)),
            routing: if self.config.record_fields.contains("routing") { self.explain() } else { String::new() },
            duration: now.since(self.started),
            error: self.error().map(ErrorCode::of),
            status,
            ..Record::of_caller(&self.config, self.caller).with_user(self.user.as_deref())
        };
        if let Some(deployment) = self.deployment() {
            record.model.clone_from(&deployment.target.model);
            record.provider = deployment.target.vendor.prefix.to_owned();
            record.deployment.clone_from(&deployment.id);
            record.cluster.clone_from(&deployment.cluster);
            record.is_unpriced = usage_source.is_some() && deployment.price.is_none();
        }
        record
    }

    /// What the last attempt used, for the deployment's own counts.
    fn used(&self, usage: &Usage, status: u16) -> routing::Usage {
        let is_success = self.attempt().is_some_and(|attempt| attempt.concluded.is_some() && attempt.failure.is_none());
        let since = |first: Millis| Some(first.since(self.attempt()?.started));
        routing::Usage {
            tokens: usage.total_tokens(),
            output_tokens: usage.output_tokens,
            ttft: self.first_byte.and_then(since),
            is_stream: self.asked.client().stream,
            is_success: is_success && (200..400).contains(&status),
            ..routing::Usage::default()
        }
    }

    /// Replaces what was set aside by what the request cost and used, in each of its accounts, and notes in `record` which
    /// alarms that sets off. To be called once.
    pub fn charge(&mut self, store: &impl Store, till: &mut Till, now: Millis, record: &mut Record) {
        let tokens = self.charged_tokens(record);
        let alerts = self.holds.settle(store, till, &self.accounts, now, record.cost, tokens);
        self.alerts.extend(alerts);
        record.budget_alerts =
            joined(self.alerts.iter().map(|alert| format!("{}: {}", alert.account, alert.alarm.name())));
    }

    /// The tokens of all attempts that count in the limits of keys, teams and users.
    pub(super) fn charged_tokens(&self, record: &Record) -> u64 {
        self.counted(&record.usage).saturating_add(self.burned.tokens)
    }

    /// Which of an answer's tokens count in them.
    fn counted(&self, usage: &Usage) -> u64 {
        match self.config.counted_tokens {
            CountedTokens::Total => usage.total_tokens(),
            CountedTokens::Input => usage.input_tokens,
            CountedTokens::Output => usage.output_tokens,
        }
    }

    /// What is in shadow mode and would have refused, each account once for each reason: this gateway and the rate limit
    /// service may both find it.
    fn shadows(&self) -> Vec<(&Account, &'static str)> {
        let funds = self.attempts.iter().flat_map(|attempt| attempt.step.funds.shadows());
        let mut shadows: Vec<(&Account, &str)> = Vec::new();
        for (account, lack) in self.holds.shadows().chain(self.refused_beside()).chain(funds) {
            let shadow = (account, lack.name());
            if !shadows.contains(&shadow) {
                shadows.push(shadow);
            }
        }
        shadows
    }

    /// What limits and budgets in shadow mode would have refused.
    fn would_refuse(&self) -> String {
        joined(self.shadows().into_iter().map(|(account, reason)| format!("{account}: {reason}")))
    }

    /// The counters of the accounts, after [`Self::charge`]: calls `count` for each alarm, and for what would have been
    /// refused.
    pub fn count_accounts(&self, mut count: impl FnMut(Metric, AccountLabels<'_>)) {
        for alert in &self.alerts {
            count(Metric::AccountAlerts, alert.account.labels(alert.alarm.name()));
        }
        for (account, reason) in self.shadows() {
            count(Metric::AccountShadowRefusals, account.labels(reason));
        }
    }

    /// What the answer cost so far, once the provider has said its usage.
    pub fn known_cost(&self) -> Option<PicoUsd> {
        let price = self.deployment()?.price.as_ref()?;
        let is_speech = self.asked.client().endpoint == Endpoint::AudioSpeech;
        let usage = match &self.answer {
            Answer::Whole(answer) => answer.usage?,
            // The text that is spoken is in the request.
            Answer::Unread if is_speech && price.names(Rate::InputCharacter) => Usage::default(),
            _ => return None,
        };
        Some(price.cost(&self.billed(usage)).plus(self.burned.cost))
    }

    /// This usage with what the request says where the provider does not: the service tier, and what is measured.
    fn billed(&self, mut usage: Usage) -> Usage {
        let client = self.asked.client();
        usage.service_tier = usage.service_tier.or_else(|| estimate::service_tier(client));
        if usage.measure == Measure::None {
            usage.measure = estimate::measure(client);
        }
        // The tokens of an answer that is images are theirs, where nobody says which are.
        if matches!(usage.measure, Measure::Images(_)) && usage.image_output_tokens == 0 {
            usage.image_output_tokens = usage.output_tokens;
        }
        usage
    }

    /// What the answer that is there cost, where its provider said what it used, and how many tokens those are.
    pub(super) fn burned_now(&self) -> Burned {
        let usage = if let Answer::Whole(answer) = &self.answer { answer.usage } else { None };
        let price = || self.deployment()?.price.as_ref();
        usage.map_or_else(Burned::default, |usage| Burned {
            tokens: self.counted(&usage),
            cost: price().map(|price| price.cost(&self.billed(usage))).unwrap_or_default(),
        })
    }

    fn usage(&self, status: u16) -> (Usage, Option<UsageSource>) {
        let provider = |usage| (usage, Some(UsageSource::Provider));
        match &self.answer {
            Answer::Whole(answer) => match answer.usage {
                Some(usage) => provider(usage),
                None => self.estimate(None, answer.content_bytes),
            },
            Answer::Long(tail) => tail.usage().map_or_else(|| self.estimate(None, 0), provider),
            Answer::Stream(stream) => {
                let Tally { usage, is_final, content_bytes, .. } = stream.tally();
                match usage {
                    Some(usage) if *is_final => provider(*usage),
                    partial => self.estimate(*partial, *content_bytes),
                }
            }
            // A WebSocket is counted as one connection.
            Answer::Unread | Answer::Awaited if self.is_upgrade() => (Usage::default(), None),
            Answer::Unread | Answer::Held => self.estimate(None, 0),
            // The client hung up on a provider that is at work on its prompt.
            Answer::Awaited if status == 0 && !self.attempts.is_empty() => self.estimate(None, 0),
            Answer::Awaited | Answer::Error { .. } | Answer::Refused(_) | Answer::Failed(_) => (Usage::default(), None),
        }
    }

    /// Counts what the provider did not: the prompt from its bytes, the answer from the text that came.
    fn estimate(&self, partial: Option<Usage>, content_bytes: u64) -> (Usage, Option<UsageSource>) {
        let mut usage = partial.unwrap_or_else(|| Usage { input_tokens: self.prompt_tokens(), ..Usage::default() });
        usage.output_tokens = usage.output_tokens.max(estimate::tokens_in_bytes(content_bytes));
        (usage, Some(UsageSource::Estimated))
    }

    /// The counters of the attempts, each with its own deployment and status: calls `count` for each.
    pub fn count_attempts(&self, mut count: impl FnMut(Metric, Labels<'_>, u64)) {
        for attempt in &self.attempts {
            let deployment = &attempt.step.deployment;
            let labels = Labels {
                model_group: self.model_group(),
                deployment: &deployment.id,
                provider: deployment.target.vendor.prefix,
                key_alias: self.caller.alias(&self.config),
                status: attempt.status.unwrap_or(0),
            };
            count(Metric::Attempts, labels, 1);
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

impl Record {
    /// A record that knows who asked, and no more.
    pub fn of_caller(config: &Config, caller: Caller) -> Self {
        let key = caller.key(config);
        let owned = |name: Option<&String>| name.cloned().unwrap_or_default();
        Self {
            key_alias: caller.alias(config).to_owned(),
            team: owned(key.and_then(|key| key.team_id.as_ref())),
            user: owned(key.and_then(|key| key.user_id.as_ref())),
            ..Self::default()
        }
    }

    /// The same, of a user whom no key names.
    pub fn with_user(mut self, user: Option<&str>) -> Self {
        user.into_iter().for_each(|user| user.clone_into(&mut self.user));
        self
    }

    /// The counters of the request as a whole: calls `count` for each that is not zero.
    pub fn count(&self, count: impl FnMut(Metric, Labels<'_>, u64)) {
        let metrics = [Metric::Requests, Metric::InputTokens, Metric::OutputTokens, Metric::Cost];
        let own = [(Metric::Fallbacks, self.fallbacks), (Metric::UnpricedRequests, u64::from(self.is_unpriced))];
        self.count_as(metrics, own, count);
    }

    /// The counters of a copy: calls `count` for each that is not zero.
    pub fn count_shadow(&self, count: impl FnMut(Metric, Labels<'_>, u64)) {
        let metrics =
            [Metric::ShadowRequests, Metric::ShadowInputTokens, Metric::ShadowOutputTokens, Metric::ShadowCost];
        self.count_as(metrics, [], count);
    }

    fn count_as<const N: usize>(
        &self,
        metrics: [Metric; 4],
        own: [(Metric, u64); N],
        mut count: impl FnMut(Metric, Labels<'_>, u64),
    ) {
        let labels = Labels {
            model_group: &self.model_group,
            deployment: &self.deployment,
            provider: &self.provider,
            key_alias: &self.key_alias,
            status: self.status,
        };
        let values = [1, self.usage.input_tokens, self.usage.output_tokens, self.cost.nano_usd()];
        let counts = metrics.into_iter().zip(values).chain(own);
        for (metric, value) in counts.filter(|(_, value)| *value > 0) {
            count(metric, labels, value);
        }
    }
}
