//! One account, as it is told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::budget::account::Standing;
use crate::budget::{Account, Scope};
use crate::config::{Budget, Limits};
use crate::exchange::reply::number;
use crate::store::Store;
use crate::units::Millis;

/// An account and what is in it; the name has the name of its scope's id.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    #[serde(flatten)]
    pub(super) names: BTreeMap<&'static str, &'a str>,
    /// USD in the current window; `null` where it cannot be read, and for the master key, which has no account.
    spend: Option<Box<RawValue>>,
    /// USD; `null`: no cap.
    max_budget: Option<Box<RawValue>>,
    /// `null`: never.
    budget_reset_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_budget: Option<Box<RawValue>>,
    /// Every budget, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    budget_limits: Vec<Money>,
    #[serde(flatten)]
    limits: LimitFields,
    #[serde(flatten)]
    used: Option<Used>,
    /// `model_max_budget`, by model group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) model_max_budget: BTreeMap<&'a str, Row<'a>>,
}

/// One budget.
#[derive(Serialize)]
struct Money {
    spend: Option<Box<RawValue>>,
    max_budget: Option<Box<RawValue>>,
    budget_reset_at: Option<String>,
}

#[derive(Serialize)]
struct LimitFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    rpm_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpd_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpd_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_parallel_requests: Option<u64>,
}

/// What counts towards the limits.
#[derive(Serialize)]
struct Used {
    requests_this_minute: u64,
    tokens_this_minute: u64,
    requests_today: u64,
    tokens_today: u64,
    requests_under_way: u64,
}

impl<'a> Row<'a> {
    /// What `store` knows of `account` at `now`.
    pub(super) fn of(account: &'a Account, store: &impl Store, now: Millis) -> Self {
        let standing = account.standing(store, now);
        let money = |(at, budget): (usize, &Budget)| Money::of(budget, at, standing.as_ref(), now);
        let unlimited = Budget::default();
        let Money { spend, max_budget, budget_reset_at } = money((0, account.budgets.first().unwrap_or(&unlimited)));
        let several = account.budgets.iter().enumerate().filter(|_| account.budgets.len() > 1);
        Self {
            names: BTreeMap::from([(id(account.scope), account.name.as_str())]),
            spend,
            max_budget,
            budget_reset_at,
            soft_budget: account.budgets.first().and_then(|budget| budget.soft).and_then(number),
            budget_limits: several.map(money).collect(),
            limits: LimitFields::of(account),
            used: standing.as_ref().filter(|_| account.has_limits()).map(Used::of),
            model_max_budget: BTreeMap::new(),
        }
    }

    /// Of somebody who has no account.
    pub(super) fn of_nobody(key_alias: &'a str) -> Self {
        Self {
            names: BTreeMap::from([("key_alias", key_alias)]),
            spend: None,
            max_budget: None,
            budget_reset_at: None,
            soft_budget: None,
            budget_limits: Vec::new(),
            limits: LimitFields::of(&Account::default()),
            used: None,
            model_max_budget: BTreeMap::new(),
        }
    }
}

impl Money {
    fn of(budget: &Budget, at: usize, standing: Option<&Standing>, now: Millis) -> Self {
        Self {
            spend: standing.and_then(|standing| standing.spent.get(at).copied()).and_then(number),
            max_budget: budget.max.and_then(number),
            budget_reset_at: budget.resets_at(now).map(Millis::rfc3339),
        }
    }
}

impl LimitFields {
    /// Those that are enforced, and those in shadow mode.
    fn of(account: &Account) -> Self {
        let either = |of: fn(&Limits) -> Option<u64>| of(&account.limits).or(of(&account.shadow_limits));
        Self {
            rpm_limit: either(|limits| limits.rpm),
            tpm_limit: either(|limits| limits.tpm),
            rpd_limit: either(|limits| limits.rpd),
            tpd_limit: either(|limits| limits.tpd),
            max_parallel_requests: either(|limits| limits.parallel),
        }
    }
}

impl Used {
    fn of(standing: &Standing) -> Self {
        Self {
            requests_this_minute: standing.minute.requests,
            tokens_this_minute: standing.minute.tokens,
            requests_today: standing.day.requests,
            tokens_today: standing.day.tokens,
            requests_under_way: standing.under_way,
        }
    }
}

/// What the id of such an account is called.
const fn id(scope: Scope) -> &'static str {
    match scope {
        Scope::Key => "key_alias",
        Scope::Team => "team_id",
        Scope::User => "user_id",
        Scope::EndUser | Scope::OtherEndUser => "end_user_id",
        Scope::Tag => "tag",
        Scope::Provider => "provider",
        Scope::Deployment => "deployment",
        Scope::Proxy => "proxy",
    }
}
