//! Deployments to model groups: shares of the traffic, retries, fallbacks.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::model::Entry;
use super::names::Known;
use super::read::Node;
use super::settings::Settings;
use super::{Deployment, Group, policy};
use crate::routing::Pool;

/// What a fractional weight is multiplied by, so that shares are whole numbers.
const SHARE_SCALE: f64 = 1_000_000.0;

/// `weight`, `rpm`, `tpm`.
const MEASURES: usize = 3;

/// The deployments and their groups; `num_retries` is for groups whose deployments say nothing.
pub(super) fn groups(entries: Vec<Entry>, num_retries: u32) -> (Vec<Rc<Deployment>>, BTreeMap<String, Group>) {
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        members.entry(entry.deployment.model_group.clone()).or_default().push(i);
    }
    let mut weights = vec![1; entries.len()];
    let mut retries = BTreeMap::new();
    for (name, members) in &members {
        let own: Vec<&Entry> = members.iter().filter_map(|&i| entries.get(i)).collect();
        for (&i, weight) in members.iter().zip(self::weights(&own)) {
            weights.get_mut(i).into_iter().for_each(|slot| *slot = weight);
        }
        retries.insert(name.clone(), own.iter().filter_map(|entry| entry.num_retries).max().unwrap_or(num_retries));
    }
    let weigh = |(entry, weight): (Entry, u64)| Rc::new(Deployment { weight, ..entry.deployment });
    let deployments: Vec<Rc<Deployment>> = entries.into_iter().zip(weights).map(weigh).collect();
    let group = |(name, members): (String, Vec<usize>)| {
        let own = members.iter().filter_map(|&i| deployments.get(i)).cloned().collect();
        let num_retries = retries.remove(&name).unwrap_or(num_retries);
        (name, Group { pool: Rc::new(Pool::new(own)), num_retries, ..Group::default() })
    };
    let groups = members.into_iter().map(group).collect();
    (deployments, groups)
}

/// The shares of the deployments of one group.
///
/// The first of `weight`, `rpm`, `tpm` that any deployment of the group has counts for all of them, and who lacks it
/// gets nothing; where that leaves nobody anything, all are equal.
/// Source: LiteLLM 1.109.1, `router_strategy/simple_shuffle.py`, read 2026-11-23.
fn weights(group: &[&Entry]) -> Vec<u64> {
    let equal = || vec![1; group.len()];
    let measure = (0..MEASURES).find(|&i| group.iter().any(|entry| share(entry, i).is_some()));
    let Some(measure) = measure else { return equal() };
    let shares: Vec<f64> = group.iter().map(|entry| share(entry, measure).unwrap_or_default()).collect();
    if shares.iter().all(|share| *share == 0.0) {
        return equal();
    }
    let is_whole = shares.iter().all(|share| share.fract() == 0.0);
    let scale = if is_whole { 1.0 } else { SHARE_SCALE };
    shares.iter().map(|share| (share * scale).round() as u64).collect()
}

fn share(entry: &Entry, measure: usize) -> Option<f64> {
    entry.shares.get(measure).copied().flatten()
}

/// Gives every group its fallbacks: its own, else those of `*`, else, of the plain ones, the default ones.
pub(super) fn fall_back(groups: &mut BTreeMap<String, Group>, known: &Known, settings: &Settings<'_>) {
    let kinds = ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"];
    let [plain, long, refused] = kinds.map(|key| lists(&settings.first(key), known));
    let defaults = names(&settings.first("default_fallbacks"), known).unwrap_or_default();
    for (name, group) in groups {
        group.fallbacks = followers(&plain, name, &defaults);
        group.context_window_fallbacks = followers(&long, name, &[]);
        group.content_policy_fallbacks = followers(&refused, name, &[]);
    }
}

/// Who follows the group `name`, itself left out.
fn followers(lists: &BTreeMap<String, Vec<String>>, name: &str, defaults: &[String]) -> Vec<String> {
    let list = lists.get(name).or_else(|| lists.get("*")).map_or(defaults, Vec::as_slice);
    list.iter().filter(|follower| *follower != name).cloned().collect()
}

/// Gives every group its `retry_policy`: `model_group_retry_policy`'s, else the one of all.
pub(super) fn retry(groups: &mut BTreeMap<String, Group>, known: &Known, settings: &Settings<'_>) {
    let everyone = policy::retries(&settings.router.section("retry_policy"));
    let mut own = BTreeMap::new();
    for (name, node) in settings.router.section("model_group_retry_policy").mappings() {
        if !known.groups.contains(name) {
            node.fault::<()>(known.unknown(&node, name));
        }
        own.insert(name, policy::retries(&node));
    }
    for (name, group) in groups {
        group.retries = own.get(name.as_str()).copied().unwrap_or(everyone);
    }
}

/// `[{"a": ["b", "c"]}, {"*": ["d"]}]`.
fn lists(node: &Node<'_>, known: &Known) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    for (name, list) in node.sections().iter().flat_map(Node::members) {
        if name != "*" && !known.groups.contains(name) {
            list.fault::<()>(known.unknown(&list, name));
        } else if lists.contains_key(name) {
            list.fault::<()>("expected each group once, found it again");
        } else if list.is_absent() {
            list.expected::<()>("a list");
        } else if let Some(fallbacks) = names(&list, known) {
            lists.insert(name.to_owned(), fallbacks);
        }
    }
    lists
}

/// A list of names that can be asked for.
fn names(node: &Node<'_>, known: &Known) -> Option<Vec<String>> {
    (!node.is_absent()).then(|| node.items().iter().filter_map(|item| known.name(item)).collect())
}
