//! Numbers by class of failure: `retry_policy`, `allowed_fails_policy`.
//!
//! LiteLLM's classes are Python's exceptions, ours are [`Class`]es: one of LiteLLM's names may stand for several of
//! ours, where those are a kind of it.
//!
//! Source: LiteLLM 1.109.1, `types/router.py`, `RetryPolicy` and `AllowedFailsPolicy`;
//! `litellm_core_utils/get_retry_from_policy.py`; `router_utils/cooldown_handlers.py`, read 2026-11-23.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Wrong;
use super::model::MAX_RETRIES;
use super::read::Node;
use crate::routing::{Class, PerClass};

/// Whose number a class takes: the first of these that the policy has.
const NAMES: [(Class, &[&str]); Class::ALL.len()] = [
    (Class::BadRequest, &["BadRequestError"]),
    (Class::Authentication, &["AuthenticationError"]),
    (Class::NotFound, &["NotFoundError"]),
    (Class::Timeout, &["TimeoutError"]),
    (Class::RateLimit, &["RateLimitError"]),
    (Class::ContextWindow, &["BadRequestError"]),
    (Class::ContentPolicy, &["ContentPolicyViolationError", "BadRequestError"]),
    (Class::InternalServer, &["InternalServerError", "BadGatewayError"]),
    (Class::ServiceUnavailable, &["ServiceUnavailableError"]),
    (Class::Connection, &["InternalServerError"]),
];

/// What counts for classes that a policy of allowed failures does not name, where nothing else says: LiteLLM's number.
const ALLOWED_FAILS: u32 = 3;

/// A `retry_policy`; nothing for any class where it is absent.
pub(super) fn retries(node: &Node<'_>) -> PerClass<Option<u32>> {
    let default = node.at("DefaultRetries").count(MAX_RETRIES);
    read(node, "Retries", &["DefaultRetries"], MAX_RETRIES).or(PerClass::all(default))
}

/// An `allowed_fails_policy`; nothing for any class where it is absent.
pub(super) fn allowed_fails(node: &Node<'_>) -> PerClass<Option<u32>> {
    read(node, "AllowedFails", &[], u32::MAX)
}

/// `fails` with LiteLLM's number for the classes that lack one; nothing at all where all lack one.
pub(super) fn completed(fails: PerClass<Option<u32>>) -> PerClass<Option<u32>> {
    let is_empty = Class::ALL.into_iter().all(|class| fails.get(class).is_none());
    if is_empty { fails } else { fails.or(PerClass::all(Some(ALLOWED_FAILS))) }
}

/// The members `<class><end>` of `node`. Members that are neither these nor in `others` are faults.
fn read(node: &Node<'_>, end: &str, others: &[&str], limit: u32) -> PerClass<Option<u32>> {
    let mut numbers = BTreeMap::new();
    for (name, member) in node.members() {
        match name.strip_suffix(end).filter(|class| NAMES.iter().any(|(_, names)| names.contains(class))) {
            Some(class) => _ = numbers.insert(class, member.count(limit)),
            None if others.contains(&name) => {}
            None => unknown(&member, name, end, others),
        }
    }
    let mut found = PerClass::default();
    for (class, names) in NAMES {
        found.set(class, names.iter().find_map(|name| numbers.get(name).copied().flatten()));
    }
    found
}

fn unknown(member: &Node<'_>, name: &str, end: &str, others: &[&str]) {
    let names: BTreeSet<&str> = NAMES.iter().flat_map(|(_, names)| *names).copied().collect();
    let known = names.into_iter().map(|name| format!("{name}{end}"));
    let known: Vec<String> = known.chain(others.iter().map(|&other| other.to_owned())).collect();
    let wrong = Wrong::from(format!("expected one of {}, found another", known.join(", "))).hint("leave it out");
    member.fault::<()>(wrong.near(name, known.iter().map(String::as_str)));
}
