//! `tollgate.keys`, `teams`, `users` and `end_users`: who may use what.
//!
//! # Limits
//!
//! A `user_id` that is not listed has no account, nor has a `team_id` where no team is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::access::Access;
use super::account::{self, Terms};
use super::fault::Wrong;
use super::identity;
use super::names::Known;
use super::read::Node;
use super::support::Section;
use super::{Budget, Digest, EndUsers, Key};
use crate::budget::window::Reset;
use crate::budget::{Account, Scope};
use crate::bytes::hex;
use crate::secret::Secret;
use crate::time;
use crate::units::Millis;

/// What keys have of their team.
struct Team {
    models: Rc<Access>,
    tags: Vec<String>,
    account: Rc<Account>,
    models_accounts: Vec<Rc<Account>>,
}

impl Team {
    /// What somebody may do who belongs to it and has no key: as much as all of it.
    fn member(&self, id: &str) -> Key {
        Key {
            alias: String::new(),
            digest: None,
            team_id: Some(id.to_owned()),
            user_id: None,
            models: Access::default(),
            team_models: Some(self.models.clone()),
            aliases: BTreeMap::new(),
            tags: self.tags.clone(),
            account: self.account.clone(),
            others: Vec::new(),
            models_accounts: self.models_accounts.clone(),
            budget_fallbacks: BTreeMap::new(),
            expires: None,
            blocked: false,
        }
    }
}

/// What entries may name, and where their days end.
pub(super) struct Names<'k> {
    pub(super) known: &'k Known,
    pub(super) reset: &'k Reset,
}

const KEY: &str = "write one of them: `key: os.environ/NAME`, or the key's SHA-256 in hex";

type Teams = BTreeMap<String, Team>;
type Users = BTreeMap<String, Rc<Account>>;

/// SHA-256 of a key.
pub(super) fn digest(key: &Secret) -> Digest {
    Sha256::digest(key.expose()).into()
}

/// The virtual keys without those that have faults, what stands for members of each team who have none, and the accounts
/// of teams and users.
pub(super) fn keys(tollgate: &Node<'_>, names: &Names<'_>) -> (Vec<Key>, Vec<Key>, Vec<Rc<Account>>) {
    known_members(tollgate, Section::Tollgate);
    let teams = teams(&tollgate.at("teams"), names);
    let users = users(&tollgate.at("users"), names.reset);
    let (mut digests, mut aliases) = (BTreeSet::new(), BTreeSet::new());
    let verified = identity::aliases(tollgate);
    let mut keys = Vec::new();
    for node in tollgate.at("keys").sections() {
        let Some(key) = key(&node, names, (&teams, &users), &verified) else { continue };
        if key.digest.is_some_and(|digest| digests.contains(&digest)) {
            node.fault::<()>("expected a key of its own, found one that is listed above");
        } else if !aliases.insert(key.alias.clone()) {
            node.at("key_alias").fault::<()>("expected an alias of its own, found one that is listed above");
        } else {
            digests.extend(key.digest);
            keys.push(key);
        }
    }
    let members = teams.iter().map(|(id, team)| team.member(id)).collect();
    let teams = teams.into_values().flat_map(|team| team.models_accounts.into_iter().chain([team.account]));
    (keys, members, teams.chain(users.into_values()).collect())
}

fn key(
    node: &Node<'_>,
    names: &Names<'_>,
    (teams, users): (&Teams, &Users),
    verified: &BTreeSet<String>,
) -> Option<Key> {
    let Names { known, reset } = names;
    known_members(node, Section::TollgateKey);
    let alias = node.at("key_alias").name();
    let digest = key_digest(node, alias.as_ref().is_some_and(|alias| verified.contains(alias)));
    let team_id = node.at("team_id").name();
    let aliases = aliases(&node.at("aliases"), known);
    let models = Access::read(&node.at("models"), known, |name| aliases.contains_key(name));
    let team = team_id.as_ref().and_then(|id| team(&node.at("team_id"), id, teams));
    let expires = expires(&node.at("expires"));
    let blocked = node.at("blocked").flag().unwrap_or(false);
    let terms = Terms::read(node, reset);
    let budget_fallbacks = budget_fallbacks(node, known);
    let mut tags = node.at("tags").names().unwrap_or_default();
    for tag in team.iter().flat_map(|team| &team.tags) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    let alias = alias.or_else(|| Some(format!("key-{}", hex(&digest??).chars().take(8).collect::<String>())));
    let mut models_accounts = account::models(node, known, reset, (Scope::Key, alias.as_deref().unwrap_or_default()));
    models_accounts.extend(team.iter().flat_map(|team| &team.models_accounts).cloned());
    let (digest, alias) = (digest?, alias?);
    let user_id = node.at("user_id").name();
    let team_models = team.map(|team| team.models.clone());
    let account = Rc::new(terms.account(Scope::Key, &alias));
    let user = user_id.as_ref().and_then(|id| users.get(id));
    let others = team.map(|team| &team.account).into_iter().chain(user).cloned().collect();
    Some(Key {
        alias,
        digest,
        team_id,
        user_id,
        models,
        team_models,
        aliases,
        tags,
        account,
        others,
        models_accounts,
        budget_fallbacks,
        expires,
        blocked,
    })
}

/// `budget_fallbacks`: for a model of `model_max_budget` those that take its place, in order.
fn budget_fallbacks(node: &Node<'_>, known: &Known) -> BTreeMap<String, Vec<String>> {
    let list = |(model, list): (&str, Node<'_>)| {
        if !known.has(known.names.meant(model)) {
            list.fault::<()>(known.unknown(&list, model));
        }
        (model.to_owned(), list.items().iter().filter_map(|item| known.name(item)).collect())
    };
    node.section("budget_fallbacks").members().into_iter().map(list).collect()
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
        let wrong = Wrong::from("expected a team_id of tollgate.teams, found another").hint("list it there");
        node.fault(wrong.near(id, teams.keys().map(String::as_str)))
    })
}

/// `key` or `key_sha256`, one of them; neither may be there where `tollgate.identity` leads to the key.
fn key_digest(node: &Node<'_>, is_verified: bool) -> Option<Option<Digest>> {
    let (plain, hashed) = (node.at("key"), node.at("key_sha256"));
    match (plain.is_absent(), hashed.is_absent()) {
        (false, true) => plain.secret().map(|key| Some(digest(&key))),
        (true, false) => {
            let text = hashed.text()?;
            from_hex(&text).map(Some).or_else(|| {
                hashed.fault(
                    Wrong::from("expected 64 hex digits, found another string")
                        .hint("take the output of `printf %s KEY | sha256sum`"),
                )
            })
        }
        (true, true) if is_verified => Some(None),
        (true, true) => node.fault(Wrong::from("expected `key` or `key_sha256`, found neither").hint(KEY)),
        (false, false) => node.fault(Wrong::from("expected `key` or `key_sha256`, found both").hint(KEY)),
    }
}

/// Reads 64 hex digits.
pub(crate) fn from_hex(text: &str) -> Option<Digest> {
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

fn teams(list: &Node<'_>, names: &Names<'_>) -> Teams {
    let Names { known, reset } = names;
    let mut teams = Teams::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateTeam);
        let id = node.at("team_id").required_name();
        let models = Rc::new(Access::read(&node.at("models"), known, |_| false));
        let terms = Terms::read(&node, reset);
        let models_accounts = account::models(&node, known, reset, (Scope::Team, id.as_deref().unwrap_or_default()));
        let tags = node.at("tags").names().unwrap_or_default();
        let Some(id) = id else { continue };
        let account = Rc::new(terms.account(Scope::Team, &id));
        if teams.insert(id, Team { models, tags, account, models_accounts }).is_some() {
            node.at("team_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    teams
}

fn users(list: &Node<'_>, reset: &Reset) -> Users {
    let mut users = Users::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateUser);
        let terms = Terms::read(&node, reset);
        let Some(id) = node.at("user_id").required_name() else { continue };
        let account = Rc::new(terms.account(Scope::User, &id));
        if users.insert(id, account).is_some() {
            node.at("user_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    users
}

/// `tollgate.end_users`, whose terms may be those of a `budget_id`, and what all others have.
pub(super) fn end_users(tollgate: &Node<'_>, litellm: &Node<'_>, reset: &Reset) -> EndUsers {
    let replicas = tollgate.reader.replicas.get();
    let mut budgets = BTreeMap::new();
    for node in tollgate.at("budgets").sections() {
        known_members(&node, Section::TollgateBudget);
        let terms = Terms::read(&node, reset).account(Scope::EndUser, "");
        let Some(id) = node.at("budget_id").required_name() else { continue };
        if budgets.insert(id, terms).is_some() {
            node.at("budget_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    let named = |node: &Node<'_>| -> Option<Account> {
        let id = node.name()?;
        budgets.get(&id).cloned().or_else(|| {
            let wrong = Wrong::from("expected a budget_id of tollgate.budgets, found another").hint("list it there");
            node.fault(wrong.near(&id, budgets.keys().map(String::as_str)))
        })
    };
    let mut listed = BTreeMap::new();
    for node in tollgate.at("end_users").sections() {
        known_members(&node, Section::TollgateEndUser);
        let (own, shared) = (Terms::read(&node, reset), named(&node.at("budget_id")));
        let Some(id) = node.at("user_id").required_name() else { continue };
        let account = match shared {
            Some(shared) => Account { scope: Scope::EndUser, name: id.clone(), ..shared },
            None => own.account(Scope::EndUser, &id),
        };
        if listed.insert(id, Rc::new(account)).is_some() {
            node.at("user_id").fault::<()>("expected an id of its own, found one that is listed above");
        }
    }
    let plain = litellm.at("max_end_user_budget").usd().map(|max| Account {
        scope: Scope::OtherEndUser,
        budgets: vec![Budget { max: Some(replicas.of_budget(max)), ..Budget::default() }],
        ..Account::default()
    });
    let unlisted =
        named(&litellm.at("max_end_user_budget_id")).map(|listed| Account { scope: Scope::OtherEndUser, ..listed });
    let others = unlisted.or(plain).map(Rc::new);
    EndUsers { listed, others, ..EndUsers::default() }
}

/// Faults every member of `node` that is not in `section`'s table.
pub(super) fn known_members(node: &Node<'_>, section: Section) {
    for name in node.object().into_iter().flat_map(Map::keys) {
        if section.row(name).is_none() {
            let expected = section.keys().collect::<Vec<_>>().join(", ");
            let wrong = Wrong::from(format!("expected one of {expected}, found another")).hint("leave it out");
            node.at(name).fault::<()>(wrong.near(name, section.keys()));
        }
    }
}
