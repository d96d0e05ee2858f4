//! Deployments to model groups: shares of the traffic, retries, fallbacks.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::hint;
use super::model::Entry;
use super::read::Node;
use super::{Deployment, Group};

/// What a fractional weight is multiplied by, so that shares are whole numbers.
const SHARE_SCALE: f64 = 1_000_000.0;

/// The deployments and their groups; `num_retries` is for groups whose deployments say nothing.
pub(super) fn groups(entries: Vec<Entry>, num_retries: u32) -> (Vec<Deployment>, BTreeMap<String, Group>) {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        groups.entry(entry.deployment.model_group.clone()).or_default().deployments.push(i);
    }
    for (name, group) in &mut groups {
        let own = entries.iter().filter(|entry| entry.deployment.model_group == *name);
        group.num_retries = own.filter_map(|entry| entry.num_retries).max().unwrap_or(num_retries);
    }
    let weights: Vec<u64> = entries.iter().map(|entry| weight(entry, &entries)).collect();
    let weigh = |(entry, weight): (Entry, u64)| Deployment { weight, ..entry.deployment };
    (entries.into_iter().zip(weights).map(weigh).collect(), groups)
}

/// The share of `entry` in its group.
///
/// The first of `weight`, `rpm`, `tpm` that any deployment of the group has counts for all of them, and who lacks it
/// gets nothing; where that leaves nobody anything, all are equal.
/// Source: LiteLLM 1.109.1, `router_strategy/simple_shuffle.py`, read 2026-11-23.
fn weight(entry: &Entry, entries: &[Entry]) -> u64 {
    let siblings = || entries.iter().filter(|other| other.deployment.model_group == entry.deployment.model_group);
    let measure = (0..entry.shares.len()).find(|&i| siblings().any(|other| share(other, i).is_some()));
    let Some(measure) = measure else { return 1 };
    if siblings().all(|other| share(other, measure).unwrap_or_default() == 0.0) {
        return 1;
    }
    let is_whole = siblings().all(|other| share(other, measure).unwrap_or_default().fract() == 0.0);
    let scale = if is_whole { 1.0 } else { SHARE_SCALE };
    (share(entry, measure).unwrap_or_default() * scale).round() as u64
}

fn share(entry: &Entry, measure: usize) -> Option<f64> {
    entry.shares.get(measure).copied().flatten()
}

/// Gives every group its fallbacks: its own, else those of `*`, else the default ones.
///
/// `sections` are `router_settings` and `litellm_settings`: the first that has a list has it for both.
pub(super) fn fall_back(groups: &mut BTreeMap<String, Group>, names: &BTreeSet<String>, sections: [&Node<'_>; 2]) {
    let first = |key: &str| sections.map(|section| section.at(key)).into_iter().find(|node| !node.is_absent());
    let mut lists = first("fallbacks").map(|node| lists(&node, names)).unwrap_or_default();
    let defaults = first("default_fallbacks").and_then(|node| known_groups(&node, names));
    let everyone = lists.remove("*").or(defaults).unwrap_or_default();
    for (name, group) in groups {
        group.fallbacks = lists.remove(name).unwrap_or_else(|| everyone.clone());
        group.fallbacks.retain(|fallback| fallback != name);
    }
}

/// `[{"a": ["b", "c"]}, {"*": ["d"]}]`.
fn lists(node: &Node<'_>, names: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    for (name, list) in node.sections().iter().flat_map(Node::members) {
        if name != "*" && !names.contains(name) {
            list.fault::<()>(unknown(name, names));
        } else if lists.contains_key(name) {
            list.fault::<()>("expected each group once, found it again");
        } else if list.is_absent() {
            list.expected::<()>("a list");
        } else if let Some(fallbacks) = known_groups(&list, names) {
            lists.insert(name.to_owned(), fallbacks);
        }
    }
    lists
}

/// A list of names of model groups that exist.
pub(super) fn known_groups(node: &Node<'_>, names: &BTreeSet<String>) -> Option<Vec<String>> {
    if node.is_absent() {
        return None;
    }
    let known = |item: &Node<'_>| {
        let name = item.required_name()?;
        if names.contains(&name) { Some(name) } else { item.fault(unknown(item.typed(), names)) }
    };
    Some(node.items().iter().filter_map(known).collect())
}

pub(super) fn unknown(name: &str, names: &BTreeSet<String>) -> String {
    format!("expected a model_name of model_list, found `{name}`{}", hint(name, names.iter().map(String::as_str)))
}
