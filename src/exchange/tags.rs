//! Which deployments serve the tags of a request.
//!
//! A tag of a request is wished for; `&tag` is required of a deployment, `!tag` must not be on it. A request with wishes
//! goes to the deployments that have one of them (all of them, with `tag_filtering_match_any: false`), else to those
//! tagged `default`; one without goes to those tagged `default`, and to all where none is.
//!
//! Source: LiteLLM 1.109.1, `router_strategy/tag_based_routing.py`, read 2026-11-23.
//!
//! # Limits
//!
//! Without `tag_regex`, `tag_routing_prefix` and `allow_fail_open`.

use std::rc::Rc;

use super::Caller;
use super::knobs::Knobs;
use crate::config::{Config, Deployment};
use crate::routing::Pool;

/// The tags of a request.
pub(super) struct Tags {
    wished: Vec<String>,
    required: Vec<String>,
    excluded: Vec<String>,
    matches_any: bool,
}

/// The tag of deployments that serve requests without tags.
const DEFAULT: &str = "default";

impl Tags {
    /// What the request says, and what its key does.
    pub(super) fn new(config: &Config, caller: Caller, knobs: &Knobs) -> Self {
        let mut tags = Self {
            wished: Vec::new(),
            required: Vec::new(),
            excluded: Vec::new(),
            matches_any: config.routing.matches_any_tag,
        };
        let of_key = caller.key(config).into_iter().flat_map(|key| &key.tags);
        for tag in knobs.tags.iter().chain(of_key) {
            let (list, tag) = match (tag.strip_prefix('&'), tag.strip_prefix('!')) {
                (Some(tag), _) => (&mut tags.required, tag),
                (None, Some(tag)) => (&mut tags.excluded, tag),
                (None, None) => (&mut tags.wished, tag.as_str()),
            };
            list.push(tag.to_owned());
        }
        tags
    }

    /// Those of `pool` that serve the tags; none where nobody does.
    pub(super) fn among(&self, pool: &Rc<Pool>) -> Rc<Pool> {
        let is_allowed = |deployment: &&Rc<Deployment>| {
            let has = |tag: &String| deployment.tags.contains(tag);
            self.required.iter().all(has) && !self.excluded.iter().any(has)
        };
        let allowed: Vec<&Rc<Deployment>> = pool.deployments().iter().filter(is_allowed).collect();
        let is_default = |deployment: &&&Rc<Deployment>| deployment.tags.iter().any(|tag| tag == DEFAULT);
        let wished: Vec<_> = allowed.iter().filter(|deployment| self.is_wished(deployment)).copied().collect();
        let defaults: Vec<_> = allowed.iter().filter(is_default).copied().collect();
        let chosen = match (self.wished.is_empty(), wished.is_empty(), defaults.is_empty()) {
            (false, false, _) => wished,
            (false, true, _) | (true, _, false) => defaults,
            (true, _, true) => allowed,
        };
        if chosen.len() == pool.deployments().len() {
            return pool.clone();
        }
        Rc::new(Pool::new(chosen.into_iter().cloned().collect()))
    }

    fn is_wished(&self, deployment: &Deployment) -> bool {
        let has = |tag: &String| deployment.tags.contains(tag);
        !self.wished.is_empty()
            && if self.matches_any { self.wished.iter().any(has) } else { self.wished.iter().all(has) }
    }
}
