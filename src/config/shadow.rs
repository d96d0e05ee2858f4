//! `tollgate.shadow`: which groups get copies of whose requests.

use std::collections::BTreeSet;

use super::Shadow;
use super::keys::known_members;
use super::names::Known;
use super::read::Node;
use super::support::Section;
use super::wildcard::Pattern;

/// How many of a million requests one percent is.
const PER_PERCENT: f64 = 10_000.0;

/// The entries without those that have faults; one a group.
pub(super) fn shadows(list: &Node<'_>, known: &Known) -> Vec<Shadow> {
    let (mut copied, mut shadows) = (BTreeSet::new(), Vec::new());
    for node in list.sections() {
        known_members(&node, Section::TollgateShadow);
        let Some(shadow) = shadow(&node, known) else { continue };
        if !copied.insert(shadow.model_group.clone()) {
            node.at("model_group").fault::<()>("expected each group once, found it again");
        }
        shadows.push(shadow);
    }
    shadows
}

fn shadow(node: &Node<'_>, known: &Known) -> Option<Shadow> {
    let (model_group, to) = (known.group(&node.at("model_group")), known.group(&node.at("to")));
    let percent = node.at("percent");
    if percent.is_absent() {
        percent.expected::<()>("a percentage, 0 to 100");
    }
    let per_million = percent
        .scalar("a percentage, 0 to 100", |n| (0.0..=100.0).contains(&n).then_some((n * PER_PERCENT).round() as u32));
    let (model_group, to) = (model_group?, to?);
    if to == model_group {
        return node.at("to").fault("expected another group than the one that is copied");
    }
    if Pattern::is_one(&to) {
        return node.at("to").fault("expected a group of one model, found a pattern");
    }
    Some(Shadow { model_group, to, per_million: per_million? })
}
