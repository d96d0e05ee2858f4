//! `router_settings`, and the keys of them that LiteLLM takes from `litellm_settings` too: the router's win.

use super::fault::Wrong;
use super::policy;
use super::read::Node;
use super::{Affinity, Breaker, Routing};
use crate::routing::{PerClass, Strategy};
use crate::units::Millis;

/// The most groups that a config may let a request fall back to.
const MAX_FALLBACKS: u64 = 100;

/// The most latency samples of a deployment.
const MAX_SAMPLES: u64 = 1000;

/// LiteLLM's defaults of `routing_strategy_args`.
const LATENCY_TTL: Millis = Millis::from_secs(3600);
const LATENCY_SAMPLES: usize = 10;

/// The names of [`Strategy`], and LiteLLM's older one of the last.
const STRATEGIES: &str = "simple-shuffle, least-busy, latency-based-routing, cost-based-routing, \
                          usage-based-routing-v2 or usage-based-routing";

/// `optional_pre_call_checks` that keep nothing at one deployment. What they do is graded.
pub(super) const OTHER_CHECKS: &[&str] = &[
    "encrypted_content_affinity",
    "enforce_model_rate_limits",
    "forward_client_headers_by_model_group",
    "responses_api_deployment_check",
    "router_budget_limiting",
];

/// Both sections.
pub(super) struct Settings<'a> {
    pub(super) router: Node<'a>,
    litellm: Node<'a>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(router: Node<'a>, litellm: Node<'a>) -> Self {
        Self { router, litellm }
    }

    /// The member `key` of the first section that has it.
    pub(super) fn first(&self, key: &str) -> Node<'a> {
        let node = self.router.at(key);
        if node.is_absent() { self.litellm.at(key) } else { node }
    }

    /// Reads the member `key` of both, so that every fault is found; the router's counts.
    pub(super) fn read<T>(&self, key: &str, read: impl Fn(&Node<'a>) -> Option<T>) -> Option<T> {
        let [router, litellm] = [&self.router, &self.litellm].map(|section| read(&section.at(key)));
        router.or(litellm)
    }

    /// What holds for every group, but for `shadows`.
    pub(super) fn routing(&self) -> Routing {
        let flag = |key: &str| self.router.at(key).flag();
        let defaults = Routing::default();
        let fallbacks = self.router.at("max_fallbacks").integer(0, MAX_FALLBACKS).and_then(|n| usize::try_from(n).ok());
        Routing {
            strategy: self.strategy(),
            checks_prompts: flag("enable_pre_call_checks").unwrap_or(defaults.checks_prompts),
            filters_tags: flag("enable_tag_filtering").unwrap_or(defaults.filters_tags),
            matches_any_tag: flag("tag_filtering_match_any").unwrap_or(defaults.matches_any_tag),
            max_fallbacks: fallbacks.unwrap_or(defaults.max_fallbacks),
            retry_after: self.read("retry_after", Node::delay).unwrap_or(defaults.retry_after),
            affinity: affinity(&self.router.at("optional_pre_call_checks")),
            ..defaults
        }
    }

    /// When deployments are left alone that say nothing of it.
    pub(super) fn breaker(&self) -> Breaker {
        let cooldown = self.read("cooldown_time", Node::delay).unwrap_or(Breaker::default().cooldown);
        let fails = self.read("allowed_fails", |node| node.count(u32::MAX));
        let by_class = policy::allowed_fails(&self.router.section("allowed_fails_policy"));
        Breaker { cooldown, allowed_fails: by_class.or(PerClass::all(fails)) }
    }

    fn strategy(&self) -> Strategy {
        let args = self.router.section("routing_strategy_args");
        let latency = Strategy::Latency {
            ttl: args.at("ttl").seconds().unwrap_or(LATENCY_TTL),
            buffer: args.at("lowest_latency_buffer").number().unwrap_or_default(),
            samples: samples(&args.at("max_latency_list_size")),
        };
        let node = self.router.at("routing_strategy");
        let Some(name) = node.name() else { return Strategy::default() };
        let named = match name.as_str() {
            "simple-shuffle" => Some(Strategy::SimpleShuffle),
            "least-busy" => Some(Strategy::LeastBusy),
            "latency-based-routing" => Some(latency),
            "cost-based-routing" => Some(Strategy::Cost),
            "usage-based-routing-v2" | "usage-based-routing" => Some(Strategy::Usage),
            _ => {
                let wrong = Wrong::from(format!("expected {STRATEGIES}, found another string"));
                node.fault(wrong.near(&name, STRATEGIES.split([',', ' '])))
            }
        };
        named.unwrap_or_default()
    }
}

fn samples(node: &Node<'_>) -> usize {
    node.integer(1, MAX_SAMPLES).and_then(|n| usize::try_from(n).ok()).unwrap_or(LATENCY_SAMPLES)
}

fn affinity(checks: &Node<'_>) -> Affinity {
    let mut affinity = Affinity::default();
    for node in checks.items() {
        match node.required_name().as_deref() {
            Some("prompt_caching") => affinity.prompt = true,
            Some("session_affinity") => affinity.session = true,
            Some("deployment_affinity") => affinity.key = true,
            Some(other) if !OTHER_CHECKS.contains(&other) => {
                let others = OTHER_CHECKS.join(", ");
                let known = format!("prompt_caching, session_affinity, deployment_affinity, {others}");
                let wrong = Wrong::from(format!("expected one of {known}, found another string"));
                node.fault::<()>(wrong.near(other, known.split(", ")));
            }
            Some(_) | None => {}
        }
    }
    affinity
}
