//! `tollgate.keys`, `teams` and `users`: who may use what.
//!
//! # Limits
//!
//! Soft budgets and budgets per model are read and checked but not enforced; `check` says so for each that occurs. A
//! `user_id` that is not listed has no account, nor has a `team_id` where no team is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::access::Access;
use super::fault::hint;
use super::names::Known;
use super::read::{MAX_INTEGER, Node};
use super::support::Section;
use super::{Budget, Digest, Key, Limits};
use crate::budget::{Account, Scope, Window};
use crate::bytes::hex;
use crate::secret::Secret;
use crate::time;
use crate::units::Millis;

/// What keys have of their team.
struct Team {
    models: Rc<Access>,
    tags: Vec<String>,
    account: Rc<Account>,
}

type Teams = BTreeMap<String, Team>;
type Users = BTreeMap<String, Rc<Account>>;

/// SHA-256 of a key.
pub(super) fn digest(key: &Secret) -> Digest {
    Sha256::digest(key.expose()).into()
}

/// The virtual keys without those that have faults, and the accounts of teams and users.
pub(super) fn keys(tollgate: &Node<'_>, known: &Known) -> (Vec<Key>, Vec<Rc<Account>>) {
    known_members(tollgate, Section::Tollgate);
    let teams = teams(&tollgate.at("teams"), known);
    let users = users(&tollgate.at("users"), known);
    let (mut digests, mut aliases) = (BTreeSet::new(), BTreeSet::new());
    let mut keys = Vec::new();
    for node in tollgate.at("keys").sections() {
        let Some(key) = key(&node, known, &teams, &users) else { continue };
        if digests.contains(&key.digest) {
            node.fault::<()>("expected a key of its own, found one that is listed above");
        } else if !aliases.insert(key.alias.clone()) {
            node.at("key_alias").fault::<()>("expected an alias of its own, found one that is listed above");
        } else {
            digests.insert(key.digest);
            keys.push(key);
        }
    }
    (keys, teams.into_values().map(|team| team.account).chain(users.into_values()).collect())
}

fn key(node: &Node<'_>, known: &Known, teams: &Teams, users: &Users) -> Option<Key> {
    known_members(node, Section::TollgateKey);
    let digest = key_digest(node);
    let alias = node.at("key_alias").name();
    let team_id = node.at("team_id").name();
    let aliases = aliases(&node.at("aliases"), known);
    let models = Access::read(&node.at("models"), known, |name| aliases.contains_key(name));
    let team = team_id.as_ref().and_then(|id| team(&node.at("team_id"), id, teams));
    let expires = expires(&node.at("expires"));
    let blocked = node.at("blocked").flag().unwrap_or(false);
    let budget = budget(node);
    let limits = limits(node, known);
    let mut tags = node.at("tags").names().unwrap_or_default();
    for tag in team.iter().flat_map(|team| &team.tags) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    let digest = digest?;
    let alias = alias.unwrap_or_else(|| format!("key-{}", hex(&digest).chars().take(8).collect::<String>()));
    let user_id = node.at("user_id").name();
    let team_models = team.map(|team| team.models.clone());
    let account = Rc::new(Account { scope: Scope::Key, name: alias.clone(), budget, limits });
    let user = user_id.as_ref().and_then(|id| users.get(id));
    let others = team.map(|team| &team.account).into_iter().chain(user).cloned().collect();
    Some(Key { alias, digest, team_id, user_id, models, team_models, aliases, tags, account, others, expires, blocked })
}

/// `aliases`: names that only this key has, each with the name that it stands for.
fn aliases(node: &Node<'_>, known: &Known) -> BTreeMap<String, String> {
    if node.object().is_none() && !node.is_absent() {
        node.expected::<()>("a mapping");
    }
    node.members().into_iter().filter_map(|(name, to)| Some((name.to_owned(), known.name(&to)?))).collect()
}

/// The team `id`. One that is not listed where others are is a typo, which must not lift a restriction.
fn team<'t>(node: &Node<'_>, id: &str, teams: &'t Teams) -> Option<&'t Team> {
    if teams.is_empty() {
        return None;
    }
    teams.get(id).or_else(|| {
        let hint = hint(id, teams.keys().map(String::as_str));
        node.fault(format!("expected a team_id of tollgate.teams, found another{hint}"))
    })
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

fn expires(node: &Node<'_>) -> Option<Millis> {
    let text = node.text()?;
    time::rfc3339(&text)
        .or_else(|| node.fault("expected a timestamp such as `2027-01-31T00:00:00Z`, found another string"))
}

/// `max_budget` and `budget_duration`.
pub(super) fn budget(node: &Node<'_>) -> Option<Budget> {
    let max = node.at("max_budget").usd();
    let duration = node.at("budget_duration");
    let window = duration.text().and_then(|text| {
        let expected = "expected a duration such as `30s`, `5m`, `1h`, `1d`, `1w` or `1mo`, found another string";
        Window::parse(&text).or_else(|| duration.fault(expected))
    });
    Some(Budget { max: max?, window })
}

/// `rpm_limit`, `tpm_limit` and `max_parallel_requests`. The other fields are checked only.
fn limits(node: &Node<'_>, known: &Known) -> Limits {
    node.at("soft_budget").usd();
    for (name, model) in node.section("model_max_budget").members() {
        if !known.groups.contains(name) {
            model.fault::<()>(known.unknown(&model, name));
        }
        known_members(&model, Section::TollgateModelBudget);
        budget(&model);
    }
    let limit = |key: &str| node.at(key).integer(0, MAX_INTEGER);
    Limits { rpm: limit("rpm_limit"), tpm: limit("tpm_limit"), parallel: limit("max_parallel_requests") }
}

fn teams(list: &Node<'_>, known: &Known) -> Teams {
    let mut teams = Teams::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateTeam);
        let id = node.at("team_id").required_name();
        let models = Rc::new(Access::read(&node.at("models"), known, |_| false));
        let budget = budget(&node);
        let limits = limits(&node, known);
        let tags = node.at("tags").names().unwrap_or_default();
        let Some(id) = id else { continue };
        let account = Rc::new(Account { scope: Scope::Team, name: id.clone(), budget, limits });
        if teams.insert(id, Team { models, tags, account }).is_some() {
            node.at("team_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    teams
}

fn users(list: &Node<'_>, known: &Known) -> Users {
    let mut users = Users::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateUser);
        let budget = budget(&node);
        let limits = limits(&node, known);
        let Some(id) = node.at("user_id").required_name() else { continue };
        let account = Rc::new(Account { scope: Scope::User, name: id.clone(), budget, limits });
        if users.insert(id, account).is_some() {
            node.at("user_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    users
}

/// Faults every member of `node` that is not in `section`'s table.
pub(super) fn known_members(node: &Node<'_>, section: Section) {
    for name in node.object().into_iter().flat_map(Map::keys) {
        if section.row(name).is_none() {
            let expected = section.keys().collect::<Vec<_>>().join(", ");
            node.at(name)
                .fault::<()>(format!("expected one of {expected}, found another{}", hint(name, section.keys())));
        }
    }
}
