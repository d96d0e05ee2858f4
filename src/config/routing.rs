//! `router_settings`: how deployments are chosen, left alone and followed by others.

use crate::routing::{PerClass, Strategy};
use crate::units::Millis;
use crate::zone::Zone;

/// What holds for every group.
#[derive(Clone, Debug)]
pub struct Routing {
    /// `routing_strategy` with its `routing_strategy_args`.
    pub strategy: Strategy,
    /// `enable_pre_call_checks`: a prompt that cannot fit, and images for a model that takes none, go elsewhere.
    pub checks_prompts: bool,
    /// `enable_tag_filtering`.
    pub filters_tags: bool,
    /// `tag_filtering_match_any`: one common tag is enough; true unless set.
    pub matches_any_tag: bool,
    /// `max_fallbacks`: the most groups that one request may fall back to; 5 unless set.
    pub max_fallbacks: usize,
    /// `retry_after`: the shortest wait before the same deployment is asked again.
    pub retry_after: Millis,
    /// `optional_pre_call_checks`: what of a request keeps it at one deployment.
    pub affinity: Affinity,
    /// `tollgate.shadow`.
    pub shadows: Vec<Shadow>,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            checks_prompts: false,
            filters_tags: false,
            matches_any_tag: true,
            max_fallbacks: 5,
            retry_after: Millis::default(),
            affinity: Affinity::default(),
            shadows: Vec::new(),
        }
    }
}

/// What of a request keeps it at one deployment while that is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// `prompt_caching`: the beginning of the conversation.
    pub prompt: bool,
    /// `session_affinity`: the name of a session.
    pub session: bool,
    /// `deployment_affinity`: the key.
    pub key: bool,
}

/// A share of a group's requests that another group gets too, without anybody reading its answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// The group whose requests are copied.
    pub model_group: String,
    /// The group that gets the copies.
    pub to: String,
    /// How many of a million requests are copied.
    pub per_million: u32,
}

/// How often and how long a deployment may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `rpm`: requests a minute.
    pub rpm: Option<u64>,
    /// `tpm`: tokens a minute.
    pub tpm: Option<u64>,
    /// `max_parallel_requests`: attempts under way.
    pub parallel: Option<u64>,
    /// `rpd`: requests a day.
    pub rpd: Option<u64>,
    /// `tpd`: tokens a day.
    pub tpd: Option<u64>,
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// When a deployment is left alone, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// `cooldown_time`, 5 s unless set; zero: never (`disable_cooldowns` too).
    pub cooldown: Millis,
    /// `allowed_fails_policy`, else `allowed_fails`: failures within a cooldown's time that are let pass. `None`
    /// everywhere: the percentage rule.
    pub allowed_fails: PerClass<Option<u32>>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { cooldown: Millis::from_secs(5), allowed_fails: PerClass::default() }
    }
}

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout`: to the whole answer.
    pub whole: Millis,
    /// `stream_timeout`, else `timeout`: to the first token of a stream.
    pub first_token: Millis,
    /// `stream_idle_timeout`: the longest silence within a stream.
    pub idle: Option<Millis>,
}

/// A time of day in which a deployment is reserved for some teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessWindow {
    /// Its beginning, milliseconds after local midnight.
    pub start: Millis,
    /// Its end; before the beginning: on the next day.
    pub end: Millis,
    /// Whose wall clock shows them.
    pub zone: Zone,
    /// Who may use the deployment then.
    pub team_ids: Vec<String>,
}
