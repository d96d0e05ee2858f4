//! What may be spent, and how often: the same fields wherever they stand, for keys, teams, users, end users, tags,
//! providers, deployments and the whole proxy.
//!
//! Source: LiteLLM 1.109.1, `types/utils.py`, `BudgetConfig`, whose older names `budget_limit` and `time_period` are read
//! too; `models/verification_token.py` and `proxy/common_utils/timezone_utils.py`, read 2026-11-23. `mode` is ours.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::keys::known_members;
use super::names::Known;
use super::read::{MAX_INTEGER, Node};
use super::replicas::Replicas;
use super::support::Section;
use super::{Budget, Deployment, Limits};
use crate::budget::ledger::MAX_WINDOWS;
use crate::budget::window::Reset;
use crate::budget::{Account, Scope, Window};
use crate::provider::vendor;
use crate::time;
use crate::zone::Zone;

const DURATION: &str = "expected a duration such as `30s`, `5m`, `1h`, `1d`, `1w` or `1mo`, found another string";
const PARALLEL: &str = "max_parallel_requests";
const LIMITS: [&str; 5] = ["rpm_limit", "tpm_limit", PARALLEL, "rpd_limit", "tpd_limit"];
const MODES: &str = "expected enforce or shadow, found another string";

/// Caps and limits as they are typed.
pub(super) struct Terms {
    budgets: Vec<Budget>,
    limits: Limits,
    shadow_limits: Limits,
    replicas: Replicas,
}

impl Terms {
    /// Reads them from `node`.
    pub(super) fn read(node: &Node<'_>, reset: &Reset) -> Self {
        let mode = node.at("mode");
        check_mode(&mode);
        let replicas = node.reader.replicas.get();
        let limit = |field: &str| {
            let limit = node.at(field).integer(0, MAX_INTEGER)?;
            if field == PARALLEL {
                replicas.of_places(&node.at(field), limit)
            } else {
                replicas.of_limit(&node.at(field), limit)
            }
        };
        let [rpm, tpm, parallel, rpd, tpd] = LIMITS.map(|field| (is_shadow(&mode, field), limit(field)));
        let limits = |wants_shadow: bool| {
            let of = |(is_shadow, limit): (bool, Option<u64>)| limit.filter(|_| is_shadow == wants_shadow);
            Limits { rpm: of(rpm), tpm: of(tpm), parallel: of(parallel), rpd: of(rpd), tpd: of(tpd) }
        };
        Self { budgets: budgets(node, reset), limits: limits(false), shadow_limits: limits(true), replicas }
    }

    /// The account of `name` with these terms.
    pub(super) fn account(self, scope: Scope, name: &str) -> Account {
        let Self { budgets, limits, shadow_limits, replicas } = self;
        let budgets = replicas.of_budgets(budgets);
        Account { scope, name: name.to_owned(), model: None, budgets, limits, shadow_limits }
    }
}

/// `max_budget`, then `budget_limits`.
fn budgets(node: &Node<'_>, reset: &Reset) -> Vec<Budget> {
    let mode = node.at("mode");
    let own = budget(node, reset, is_shadow(&mode, "max_budget"));
    let more = node.at("budget_limits").sections().into_iter().filter_map(|item| {
        known_members(&item, Section::TollgateBudgetLimit);
        check_mode(&item.at("mode"));
        if amount(&item).is_absent() {
            return amount(&item).expected("an amount of USD");
        }
        let is_shadow = is_shadow(&mode, "budget_limits") || is_shadow(&item.at("mode"), "max_budget");
        budget(&item, reset, is_shadow)
    });
    let budgets: Vec<Budget> = own.into_iter().chain(more).collect();
    if budgets.len() > MAX_WINDOWS {
        node.at("budget_limits").fault::<()>(format!("expected at most {MAX_WINDOWS} budgets, found more"));
    }
    budgets
}

/// `max_budget`, or LiteLLM's other name for it.
fn amount<'a>(node: &Node<'a>) -> Node<'a> {
    let own = node.at("max_budget");
    if own.is_absent() { node.at("budget_limit") } else { own }
}

/// A cap, a soft one, or both.
fn budget(node: &Node<'_>, reset: &Reset, is_shadow: bool) -> Option<Budget> {
    let (max, soft) = (amount(node).usd(), node.at("soft_budget").usd());
    let own = node.at("budget_duration");
    let duration = if own.is_absent() { node.at("time_period") } else { own };
    let window = duration.text().and_then(|text| Window::parse(&text, reset).or_else(|| duration.fault(DURATION)));
    (max.is_some() || soft.is_some()).then_some(Budget { max, soft, window, is_shadow })
}

/// `shadow`, or a mapping that says it of this field.
fn is_shadow(mode: &Node<'_>, field: &str) -> bool {
    let word = if mode.object().is_some() { mode.at(field) } else { mode.clone() };
    word.typed() == "shadow"
}

fn check_mode(mode: &Node<'_>) {
    let check = |word: &Node<'_>| {
        if word.text().is_some_and(|word| !["enforce", "shadow"].contains(&word.as_str())) {
            word.fault::<()>(MODES);
        }
    };
    if mode.object().is_none() {
        return check(mode);
    }
    for (field, word) in mode.members() {
        if MODED.contains(&field) {
            check(&word);
        } else {
            word.fault::<()>(format!("expected one of {}, found another", MODED.join(", ")));
        }
    }
}

/// What a `mode` may be said of.
const MODED: [&str; 7] =
    ["max_budget", "budget_limits", "rpm_limit", "tpm_limit", "rpd_limit", "tpd_limit", "max_parallel_requests"];

/// `litellm_settings.timezone` and `budget_reset_time`.
pub(super) fn reset(litellm: &Node<'_>) -> Reset {
    let (timezone, at) = (litellm.at("timezone"), litellm.at("budget_reset_time"));
    let zone = timezone.text().and_then(|name| {
        Zone::find(&name).or_else(|| timezone.fault("expected a zone such as `Europe/Berlin`, found another string"))
    });
    let clock = at.text().and_then(|text| {
        time::clock(&text).or_else(|| at.fault("expected a time of day such as `09:00`, found another string"))
    });
    Reset { zone, at: clock.unwrap_or_default() }
}

/// `model_max_budget`: an account of `owner` for each model group that it names.
pub(super) fn models(node: &Node<'_>, known: &Known, reset: &Reset, owner: (Scope, &str)) -> Vec<Rc<Account>> {
    let mut accounts = Vec::new();
    for (group, model) in node.section("model_max_budget").mappings() {
        if !known.groups.contains(group) {
            model.fault::<()>(known.unknown(&model, group));
        }
        known_members(&model, Section::TollgateModelBudget);
        let account = Terms::read(&model, reset).account(owner.0, owner.1);
        accounts.push(Rc::new(Account { model: Some(group.to_owned()), ..account }));
    }
    accounts
}

/// An account for each member of a mapping: `tag_budget_config`, `provider_budget_config`.
fn named(node: &Node<'_>, reset: &Reset, scope: Scope) -> BTreeMap<String, Rc<Account>> {
    let account = |(name, node): (&str, Node<'_>)| {
        known_members(&node, Section::TollgateModelBudget);
        (name.to_owned(), Rc::new(Terms::read(&node, reset).account(scope, name)))
    };
    node.mappings().into_iter().map(account).collect()
}

/// `litellm_settings.tag_budget_config`.
pub(super) fn tags(litellm: &Node<'_>, reset: &Reset) -> BTreeMap<String, Rc<Account>> {
    named(&litellm.section("tag_budget_config"), reset, Scope::Tag)
}

/// `router_settings.provider_budget_config`: gives every deployment the account of its provider. All of these accounts.
pub(super) fn providers<'d>(
    router: &Node<'_>,
    reset: &Reset,
    deployments: impl Iterator<Item = &'d mut Deployment>,
) -> Vec<Rc<Account>> {
    let node = router.section("provider_budget_config");
    let accounts = named(&node, reset, Scope::Provider);
    for provider in accounts.keys().filter(|provider| vendor::find(provider).is_none()) {
        node.at(provider).fault::<()>("expected the name of a provider, found another");
    }
    for deployment in deployments {
        deployment.accounts.extend(accounts.get(deployment.target.vendor.prefix).cloned());
    }
    accounts.into_values().collect()
}

/// `litellm_params.max_budget`, `budget_duration`, `budget_limits`: the account of the deployment `id`, where it has a budget.
pub(super) fn deployment(params: &Node<'_>, reset: &Reset, id: &str) -> Option<Rc<Account>> {
    let scope = Scope::Deployment;
    let budgets = params.reader.replicas.get().of_budgets(budgets(params, reset));
    if budgets.is_empty() {
        return None;
    }
    Some(Rc::new(Account { scope, name: id.to_owned(), budgets, ..Account::default() }))
}

/// The account of the whole proxy, where it has a budget.
pub(super) fn proxy(litellm: &Node<'_>, reset: &Reset) -> Option<Rc<Account>> {
    let (scope, budget) = (Scope::Proxy, budget(litellm, reset, false)?);
    let budgets = litellm.reader.replicas.get().of_budgets(vec![budget]);
    Some(Rc::new(Account { scope, budgets, ..Account::default() }))
}
