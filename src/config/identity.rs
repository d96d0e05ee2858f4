//! `tollgate.identity`: whom Envoy has verified, and which key or team that is.
//!
//! | `from` | what is read | who vouches for it |
//! | --- | --- | --- |
//! | `jwt` | a claim in the dynamic metadata of `jwt_authn` (its `payload_in_metadata`) | the signature of the token |
//! | `peer` | the first URI or DNS name, or the subject, of the client's certificate, on connections with mutual TLS | the listener's `validation_context` |
//! | `header` | a request header | whoever stands before this filter |
//!
//! What is read is the *subject*. The first entry of `map` that matches it names a key or a team; where none does, the
//! team that `team_claim` or `team_header` says, if `tollgate.teams` has it. A subject that leads to nobody is none, and
//! the next source is asked.
//!
//! # Limits
//!
//! - A header is worth what the filter before this one makes of it: unless that filter always sets or removes it, every
//!   client can write it. A header that comes twice is not read.
//! - Envoy tells whether the client showed a certificate, not whether it checked it: a listener with
//!   `trust_chain_verification: ACCEPT_UNTRUSTED`, or without a trusted authority, lets anybody be anyone.
//! - A claim is a string.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::fault::Wrong;
use super::keys::known_members;
use super::read::Node;
use super::support::Section;
use super::{Config, Key};
use crate::budget::{Account, Scope};

/// `tollgate.identity`, with whom it can lead to.
#[derive(Debug, Default)]
pub struct Mesh {
    /// The sources, in the order in which they are asked.
    pub sources: Vec<Identity>,
    /// What members of a team have who have no key, in the order of the teams' ids.
    pub members: Vec<Key>,
    /// The accounts of users, in the order of their ids.
    pub users: Vec<Rc<Account>>,
}

/// One source of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What its names are the names of.
    pub from: From,
    /// Who it is.
    pub subject: String,
    /// The team, where `map` says none.
    pub team: Option<String>,
    /// The user, where `map` and the key say none.
    pub user: Option<String>,
    /// `map`.
    pub rules: Vec<Rule>,
}

/// Where the names of an [`Identity`] are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// They are properties of the stream; the parts of their paths are separated by zero bytes.
    Jwt,
    /// The same, of connections with mutual TLS alone.
    Peer,
    /// They are headers of the request.
    Header,
}

/// An entry of `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `match`: what it matches; a `*` stands for anything.
    pattern: String,
    principal: Principal,
    /// `user_id`.
    pub user: Option<String>,
}

/// Whom an identity stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A position in [`Config::keys`].
    Key(usize),
    /// A position in [`Mesh::members`].
    Member(usize),
}

/// The filter that verifies JWTs, which is also the namespace of its metadata.
pub(crate) const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

impl Principal {
    /// The key, or what stands for it.
    pub fn key(self, config: &Config) -> Option<&Key> {
        match self {
            Self::Key(i) => config.keys.get(i),
            Self::Member(i) => config.mesh.members.get(i),
        }
    }
}

/// What only one `from` has.
const OWN: [(&str, &[&str]); 3] = [
    ("jwt", &["metadata", "claim", "team_claim", "user_claim"]),
    ("peer", &["san"]),
    ("header", &["name", "team_header", "user_header"]),
];

impl Mesh {
    /// Reads `tollgate.identity`, which can lead to any of `keys` and, in the order of their ids, the `members` of teams.
    pub(super) fn read(tollgate: &Node<'_>, keys: &[Key], members: Vec<Key>, accounts: &[Rc<Account>]) -> Self {
        let list = tollgate.at("identity");
        if list.is_empty() {
            return Self::default();
        }
        let is_user = |account: &&Rc<Account>| account.scope == Scope::User && account.model.is_none();
        let mut users: Vec<_> = accounts.iter().filter(is_user).cloned().collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        let names = Names::of(keys, &members);
        let sources = list.sections().iter().filter_map(|node| identity(node, &names)).collect();
        Self { sources, members, users }
    }

    /// The member of this team.
    pub fn member(&self, team: &str) -> Option<usize> {
        self.members.binary_search_by(|member| member.team_id.as_deref().unwrap_or_default().cmp(team)).ok()
    }

    /// The account of this user.
    pub fn user(&self, user: &str) -> Option<usize> {
        self.users.binary_search_by(|account| account.name.as_str().cmp(user)).ok()
    }
}

impl Identity {
    /// Whom `map` says that `subject` is.
    pub fn rule(&self, subject: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| matches(&rule.pattern, subject))
    }
}

impl Rule {
    /// Whom it names.
    pub fn principal(&self) -> Principal {
        self.principal
    }
}

/// The aliases that `tollgate.identity` leads to: their keys need no secret.
pub(super) fn aliases(tollgate: &Node<'_>) -> BTreeSet<String> {
    let sources = tollgate.at("identity");
    let rules = sources
        .quietly(|sources| sources.sections().iter().flat_map(|node| node.at("map").sections()).collect::<Vec<_>>());
    rules.iter().filter_map(|rule| rule.at("key_alias").quietly(Node::name)).collect()
}

/// Whom an identity can name.
struct Names<'a> {
    keys: BTreeMap<&'a str, usize>,
    teams: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn of(keys: &'a [Key], members: &'a [Key]) -> Self {
        let team = |(i, member): (usize, &'a Key)| Some((member.team_id.as_deref()?, i));
        Self {
            keys: keys.iter().enumerate().map(|(i, key)| (key.alias.as_str(), i)).collect(),
            teams: members.iter().enumerate().filter_map(team).collect(),
        }
    }
}

fn identity(node: &Node<'_>, names: &Names<'_>) -> Option<Identity> {
    known_members(node, Section::TollgateIdentity);
    let kind = node.at("from").required_name();
    let is = |from: &str| kind.as_deref() == Some(from);
    for (from, own) in OWN {
        for other in own.iter().map(|key| node.at(key)).filter(|other| !is(from) && !other.is_absent()) {
            other.fault::<()>(format!("expected only with `from: {from}`"));
        }
    }
    let rules = rules(&node.at("map"), names);
    let (from, subject, team, user) = match kind.as_deref()? {
        "jwt" => {
            let base = payload(&node.at("metadata"))?;
            let claim = |key: &str| path(&node.at(key)).map(|claim| format!("{base}\0{claim}"));
            let subject = claim("claim").unwrap_or_else(|| format!("{base}\0sub"));
            (From::Jwt, subject, claim("team_claim"), claim("user_claim"))
        }
        "peer" => (From::Peer, san(&node.at("san"))?.to_owned(), None, None),
        "header" => {
            let [subject, team, user] = ["name", "team_header", "user_header"].map(|key| header(&node.at(key)));
            if node.at("name").is_absent() {
                return node.at("name").expected("the name of a header");
            }
            (From::Header, subject?, team, user)
        }
        _ => return node.at("from").fault("expected jwt, peer or header, found another string"),
    };
    let has_team = ["team_claim", "team_header"].iter().any(|key| !node.at(key).is_absent());
    if !has_team && node.at("map").is_empty() {
        return node
            .at("map")
            .fault("expected a list of whom this is, or a team_claim or team_header, found that it names nobody");
    }
    Some(Identity { from, subject, team, user, rules })
}

/// A name, or a list of the names on a path, joined by zero bytes.
fn path(node: &Node<'_>) -> Option<String> {
    if node.list().is_empty() { node.name() } else { Some(node.names()?.join("\0")) }
}

/// The path of the property that holds the payload.
fn payload(node: &Node<'_>) -> Option<String> {
    if node.is_absent() {
        return node.expected("the payload_in_metadata of jwt_authn, or a list of a filter's name and keys");
    }
    let is_list = !node.list().is_empty();
    let path = path(node)?;
    let path = if is_list { path } else { format!("{JWT_AUTHN}\0{path}") };
    Some(format!("metadata\0filter_metadata\0{path}"))
}

fn san(node: &Node<'_>) -> Option<&'static str> {
    match node.required_name()?.as_str() {
        "uri" => Some("connection\0uri_san_peer_certificate"),
        "dns" => Some("connection\0dns_san_peer_certificate"),
        "subject" => Some("connection\0subject_peer_certificate"),
        _ => node.fault("expected uri, dns or subject, found another string"),
    }
}

/// A header's name, in lower case.
fn header(node: &Node<'_>) -> Option<String> {
    let name = node.name()?.to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.bytes().all(is_token) { Some(name) } else { node.expected("the name of a header") }
}

fn rules(list: &Node<'_>, names: &Names<'_>) -> Vec<Rule> {
    let mut patterns = BTreeSet::new();
    let mut rules = Vec::new();
    for node in list.sections() {
        known_members(&node, Section::TollgateIdentityMap);
        let pattern = node.at("match").required_name();
        let (principal, user) = (principal(&node, names), node.at("user_id").name());
        let Some(pattern) = pattern else { continue };
        if !patterns.insert(pattern.clone()) {
            node.at("match").fault::<()>("expected each match once, found it again");
        }
        rules.extend(principal.map(|principal| Rule { pattern, principal, user }));
    }
    rules
}

fn principal(node: &Node<'_>, names: &Names<'_>) -> Option<Principal> {
    let (key, team) = (node.at("key_alias"), node.at("team_id"));
    let known = |node: &Node<'_>, all: &BTreeMap<&str, usize>, what: &str| {
        let found = all.get(node.name()?.as_str()).copied();
        found.or_else(|| {
            let wrong = Wrong::from(format!("expected a {what}, found another"));
            node.fault(wrong.hint("list it there").near(node.typed(), all.keys().copied()))
        })
    };
    match (key.is_absent(), team.is_absent()) {
        (false, true) => known(&key, &names.keys, "key_alias of tollgate.keys").map(Principal::Key),
        (true, false) => known(&team, &names.teams, "team_id of tollgate.teams").map(Principal::Member),
        (true, true) => node.fault("expected `key_alias` or `team_id`, found neither"),
        (false, false) => node.fault("expected `key_alias` or `team_id`, found both"),
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place of a part leaves the most for those after it.
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(end)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
