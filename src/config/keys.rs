//! `tollgate.keys`, `teams` and `users`: who may use what.
//!
//! # Limits
//!
//! Rate limits, parallel limits, soft budgets, budgets per model and the budgets of teams and users are read and
//! checked but not enforced; `check` says so for each that occurs.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::fault::hint;
use super::group::unknown;
use super::read::{MAX_INTEGER, Node};
use super::support::Section;
use super::{Budget, Digest, Key, hex};
use crate::budget::Window;
use crate::secret::Secret;
use crate::time;
use crate::units::Millis;

/// LiteLLM's names for "every model" and "what the team may use".
const ALL: [&str; 2] = ["all-proxy-models", "all-team-models"];

type Teams = BTreeMap<String, Option<Vec<String>>>;

/// SHA-256 of a key.
pub(super) fn digest(key: &Secret) -> Digest {
    Sha256::digest(key.expose()).into()
}

/// The virtual keys without those that have faults.
pub(super) fn keys(tollgate: &Node<'_>, groups: &BTreeSet<String>) -> Vec<Key> {
    known_members(tollgate, Section::Tollgate);
    let teams = teams(&tollgate.at("teams"), groups);
    users(&tollgate.at("users"));
    let mut keys: Vec<Key> = Vec::new();
    for node in tollgate.at("keys").sections() {
        let Some(key) = key(&node, groups, &teams) else { continue };
        if keys.iter().any(|other| other.digest == key.digest) {
            node.fault::<()>("expected a key of its own, found one that is listed above");
        } else if keys.iter().any(|other| other.alias == key.alias) {
            node.at("key_alias").fault::<()>("expected an alias of its own, found one that is listed above");
        } else {
            keys.push(key);
        }
    }
    keys
}

fn key(node: &Node<'_>, groups: &BTreeSet<String>, teams: &Teams) -> Option<Key> {
    known_members(node, Section::TollgateKey);
    let digest = key_digest(node);
    let alias = node.at("key_alias").name();
    let team_id = node.at("team_id").name();
    let own = models(&node.at("models"), groups);
    let team = team_id.as_ref().and_then(|id| team_models(&node.at("team_id"), id, teams));
    let expires = expires(&node.at("expires"));
    let blocked = node.at("blocked").flag().unwrap_or(false);
    let budget = budget(node);
    limits(node, groups);
    node.at("tags").names();
    let digest = digest?;
    let alias = alias.unwrap_or_else(|| format!("key-{}", hex(&digest).chars().take(8).collect::<String>()));
    let user_id = node.at("user_id").name();
    Some(Key { alias, digest, team_id, user_id, models: both(own, team), budget, expires, blocked })
}

/// What the team `id` may use. A team that is not listed where others are is a typo, which must not lift a restriction.
fn team_models(node: &Node<'_>, id: &str, teams: &Teams) -> Option<Vec<String>> {
    if teams.is_empty() {
        return None;
    }
    let unlisted = || {
        node.fault(format!(
            "expected a team_id of tollgate.teams, found another{}",
            hint(id, teams.keys().map(String::as_str))
        ))
    };
    teams.get(id).cloned().or_else(unlisted).flatten()
}

/// `key` or `key_sha256`, one of them.
fn key_digest(node: &Node<'_>) -> Option<Digest> {
    let (plain, hashed) = (node.at("key"), node.at("key_sha256"));
    match (plain.is_absent(), hashed.is_absent()) {
        (false, true) => plain.secret().map(|key| digest(&key)),
        (true, false) => {
            let text = hashed.text()?;
            from_hex(&text).or_else(|| hashed.fault("expected 64 hex digits, found another string"))
        }
        (true, true) => node.fault("expected `key` or `key_sha256`, found neither"),
        (false, false) => node.fault("expected `key` or `key_sha256`, found both"),
    }
}

fn from_hex(text: &str) -> Option<Digest> {
    let nibbles: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
    let nibbles = nibbles?;
    let (pairs, _) = nibbles.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if nibbles.len() == 64 { bytes.try_into().ok() } else { None }
}

/// The model groups of a `models` list; `None`: all.
fn models(node: &Node<'_>, groups: &BTreeSet<String>) -> Option<Vec<String>> {
    if node.is_absent() {
        return None;
    }
    if node.is_empty() {
        return node.fault("expected at least one model; without `models` all are allowed");
    }
    let mut names = Some(Vec::new());
    for item in &node.items() {
        match item.required_name() {
            Some(name) if ALL.contains(&name.as_str()) => names = None,
            Some(name) if groups.contains(&name) => names.iter_mut().for_each(|names| names.push(name.clone())),
            Some(name) if name.contains('*') => {
                item.fault("wildcards are not supported yet: list each model").unwrap_or(())
            }
            Some(_) => item.fault(unknown(item.typed(), groups)).unwrap_or(()),
            None => {}
        }
    }
    names
}

/// What both lists allow.
fn both(one: Option<Vec<String>>, other: Option<Vec<String>>) -> Option<Vec<String>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|name| other.contains(name)).collect()),
        (one, other) => one.or(other),
    }
}

fn expires(node: &Node<'_>) -> Option<Millis> {
    let text = node.text()?;
    time::rfc3339(&text)
        .or_else(|| node.fault("expected a timestamp such as `2027-01-31T00:00:00Z`, found another string"))
}

/// `max_budget` and `budget_duration`.
fn budget(node: &Node<'_>) -> Option<Budget> {
    let max = node.at("max_budget").usd();
    let duration = node.at("budget_duration");
    let window = duration.text().and_then(|text| {
        let expected = "expected a duration such as `30s`, `5m`, `1h`, `1d`, `1w` or `1mo`, found another string";
        Window::parse(&text).or_else(|| duration.fault(expected))
    });
    Some(Budget { max: max?, window })
}

/// The fields that are checked only.
fn limits(node: &Node<'_>, groups: &BTreeSet<String>) {
    node.at("soft_budget").usd();
    for key in ["rpm_limit", "tpm_limit", "max_parallel_requests"] {
        node.at(key).integer(0, MAX_INTEGER);
    }
    for (name, model) in node.section("model_max_budget").members() {
        if !groups.contains(name) {
            model.fault::<()>(unknown(name, groups));
        }
        known_members(&model, Section::TollgateModelBudget);
        budget(&model);
    }
}

/// The teams by id, with the models that they may use.
fn teams(list: &Node<'_>, groups: &BTreeSet<String>) -> Teams {
    let mut teams = Teams::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateTeam);
        let id = node.at("team_id").required_name();
        let models = models(&node.at("models"), groups);
        budget(&node);
        limits(&node, groups);
        if id.is_some_and(|id| teams.insert(id, models).is_some()) {
            node.at("team_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    teams
}

fn users(list: &Node<'_>) {
    let mut ids = BTreeSet::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateUser);
        budget(&node);
        limits(&node, &BTreeSet::new());
        if node.at("user_id").required_name().is_some_and(|id| !ids.insert(id)) {
            node.at("user_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
}

/// Faults every member of `node` that is not in `section`'s table.
fn known_members(node: &Node<'_>, section: Section) {
    for (name, member) in node.members() {
        if section.row(name).is_none() {
            let expected = section.keys().collect::<Vec<_>>().join(", ");
            member.fault::<()>(format!("expected one of {expected}, found another{}", hint(name, section.keys())));
        }
    }
}
