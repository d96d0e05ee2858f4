//! What was spent, and what may be: `/key/info`, `/team/info`, `/user/info`, `/customer/info`, `/spend` and its lists,
//! `/global/spend`.
//!
//! The numbers are those of this Envoy, live, from the ledgers that admission is decided by. The master key sees every
//! account; a key sees itself, its team and its user.
//!
//! Source: LiteLLM, "Virtual keys" <https://docs.litellm.ai/docs/proxy/virtual_keys>, "Setting team budgets"
//! <https://docs.litellm.ai/docs/proxy/team_budgets> and "Spend tracking" <https://docs.litellm.ai/docs/proxy/cost_tracking>,
//! not re-read for this; the fields that a config can hold. `/spend` alone, with everything in it, is ours.
//!
//! # Limits
//!
//! A list reads the ledger of each account, a few microseconds each, while its worker serves nobody else.

mod row;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

use self::row::Row;
use super::locks::Locks;
use super::order::Named;
use super::reply::number;
use super::{Caller, Reply};
use crate::budget::{Account, Scope};
use crate::config::{Config, Key};
use crate::error::{Error, Kind};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// What is to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spend {
    /// `GET /key/info`: this key, the caller's own where none is named.
    Key(Option<Named>),
    /// `GET /team/info`, `/user/info`, `/customer/info`: this one, the caller's own where it is not named.
    One(Scope, Option<String>),
    /// `GET /spend/keys`, `/spend/teams`, `/spend/users`, ...
    List(Scope),
    /// `GET /spend`: all of them.
    All,
    /// `GET /global/spend`: the sum of all keys, and the budget of the proxy.
    Global,
}

#[derive(Serialize)]
struct KeyInfo<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    /// `null`: all.
    models: Option<&'a [String]>,
    expires: Option<String>,
    /// By the config, or by an order: see [`super::Order`].
    blocked: bool,
}

#[derive(Serialize)]
struct TeamInfo<'a> {
    team_id: &'a str,
    team_info: Row<'a>,
    keys: Vec<Row<'a>>,
    team_memberships: [(); 0],
}

#[derive(Serialize)]
struct UserInfo<'a> {
    user_id: &'a str,
    user_info: Row<'a>,
    keys: Vec<Row<'a>>,
    teams: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct All<'a> {
    /// What these numbers are the numbers of: one Envoy, with all its workers.
    per: &'static str,
    /// Who holds budgets and limits to what all Envoys spend: `global`, a rate limit service; `envoy`, nobody.
    enforced: &'static str,
    /// Of how many Envoys' budgets and limits these are one part.
    replicas: u64,
    keys: Vec<Row<'a>>,
    teams: Vec<Row<'a>>,
    users: Vec<Row<'a>>,
}

impl Spend {
    /// The answer to `caller`, of what `store` holds.
    pub fn reply(&self, config: &Config, caller: Caller, store: &impl Store, now: Millis) -> Reply {
        let books = Books { config, caller, store, now };
        let told = match self {
            Self::Key(None) => Ok(books.key_info()),
            Self::Key(Some(named)) => books.named(named),
            Self::One(scope, id) => books.one(*scope, id.as_deref()),
            Self::List(scope) => Ok(Reply::of(&books.rows(*scope))),
            Self::All => Ok(books.all()),
            Self::Global => books.global(),
        };
        told.unwrap_or_else(|error| Reply::from(&error))
    }
}

/// All that can be told of the key at this position.
pub(super) fn told_of(config: &Config, i: usize, store: &impl Store, now: Millis) -> Reply {
    Reply::of(&Books { config, caller: Caller::Key(i), store, now }.key())
}

/// The accounts as one caller sees them.
struct Books<'a, S> {
    config: &'a Config,
    caller: Caller,
    store: &'a S,
    now: Millis,
}

impl<'a, S: Store> Books<'a, S> {
    fn row(&self, account: &'a Account) -> Row<'a> {
        Row::of(account, self.store, self.now)
    }

    /// The row of a key or a team, with its accounts for single models.
    fn row_with_models(&self, account: &'a Account, models: impl Iterator<Item = &'a Rc<Account>>) -> Row<'a> {
        let own = models.filter(|model| model.scope == account.scope && model.name == account.name);
        let rows = own.filter_map(|model| Some((model.model.as_deref()?, self.row(model))));
        let mut row = self.row(account);
        row.model_max_budget = rows.collect();
        row
    }

    /// The accounts of `scope` that the caller may see.
    fn visible(&self, scope: Scope) -> impl Iterator<Item = &'a Rc<Account>> {
        let seen: Box<dyn Iterator<Item = &'a Rc<Account>>> = match self.caller {
            Caller::Master => Box::new(self.config.accounts()),
            caller => Box::new(caller.accounts(self.config)),
        };
        seen.filter(move |account| account.scope == scope && account.model.is_none())
    }

    fn sees(&self, account: &Rc<Account>) -> bool {
        self.caller == Caller::Master || self.caller.accounts(self.config).any(|own| Rc::ptr_eq(own, account))
    }

    /// The keys that spend from `account`.
    fn members(&self, account: &Rc<Account>) -> impl Iterator<Item = &'a Key> {
        self.config.keys.iter().filter(|key| key.others.iter().any(|other| Rc::ptr_eq(other, account)))
    }

    fn rows(&self, scope: Scope) -> Vec<Row<'a>> {
        self.visible(scope).map(|account| self.row(account)).collect()
    }

    /// The rows of the keys that spend from `account`.
    fn keys_of(&self, account: &Rc<Account>) -> Vec<Row<'a>> {
        let keys = self.members(account).map(|key| &key.account).filter(|own| self.sees(own));
        keys.map(|own| self.row(own)).collect()
    }

    /// Another key than the caller's own is for the master's eyes.
    fn named(&self, named: &Named) -> Result<Reply, Error> {
        let caller = match (self.caller, named.find(self.config)) {
            (Caller::Master, found) => Caller::Key(found?),
            (own, Ok(found)) if own.is_key(found) => own,
            _ => return Err(not_permitted()),
        };
        Ok(Books { caller, ..*self }.key_info())
    }

    fn key_info(&self) -> Reply {
        Reply::of(&BTreeMap::from([("info", self.key())]))
    }

    fn key(&self) -> KeyInfo<'a> {
        let key = self.caller.key(self.config);
        let mut row = match key {
            Some(key) => self.row_with_models(&key.account, key.models_accounts.iter()),
            None => Row::of_nobody(self.caller.alias(self.config)),
        };
        let ids = [
            ("team_id", key.and_then(|key| key.team_id.as_deref())),
            ("user_id", key.and_then(|key| key.user_id.as_deref())),
        ];
        row.names.extend(ids.into_iter().filter_map(|(name, id)| Some((name, id?))));
        KeyInfo {
            row,
            models: key.and_then(|key| key.listed_models()),
            expires: key.and_then(|key| key.expires).map(Millis::rfc3339),
            blocked: key.is_some_and(|key| key.blocked || Locks::has(self.store, &key.alias)),
        }
    }

    fn one(&self, scope: Scope, id: Option<&str>) -> Result<Reply, Error> {
        let parameter = format!("{}_id", scope.name());
        if scope == Scope::EndUser {
            return self.end_user(id, parameter);
        }
        let mut visible = self.visible(scope);
        let account = match id {
            Some(id) => visible.find(|account| account.name == id),
            None if self.caller == Caller::Master => {
                return Err(missing(parameter));
            }
            None => visible.next(),
        };
        let Some(account) = account else {
            return Err(match self.caller {
                Caller::Master => {
                    let message = format!("no {} of the config has this id", scope.name());
                    Error::new(Kind::InvalidValue, message).with_param(parameter)
                }
                _ => not_permitted(),
            });
        };
        let (row, keys) = (self.row_with_models(account, self.config.accounts.iter()), self.keys_of(account));
        Ok(match scope {
            Scope::Team => Reply::of(&TeamInfo { team_id: &account.name, team_info: row, keys, team_memberships: [] }),
            _ => Reply::of(&UserInfo { user_id: &account.name, user_info: row, keys, teams: self.teams_of(account) }),
        })
    }

    /// `/customer/info`: whoever it is, if it is one that has books.
    fn end_user(&self, id: Option<&str>, parameter: String) -> Result<Reply, Error> {
        if self.caller != Caller::Master {
            return Err(not_permitted());
        }
        let Some(id) = id else {
            return Err(missing(parameter));
        };
        let account =
            self.config.end_users.account(id).filter(|account| account.standing(self.store, self.now).is_some());
        let Some(account) = account else {
            return Err(
                Error::new(Kind::InvalidValue, "no end user with this id has spent anything").with_param(parameter)
            );
        };
        let mut row = Row::of(&account, self.store, self.now);
        row.names = BTreeMap::from([("user_id", id)]);
        Ok(Reply::of(&row))
    }

    /// The rows of the teams that the keys of a user belong to.
    fn teams_of(&self, user: &Rc<Account>) -> Vec<Row<'a>> {
        let others = self.members(user).flat_map(|key| &key.others);
        let teams = others.filter(|other| other.scope == Scope::Team && self.sees(other));
        let teams: BTreeMap<&str, &Account> = teams.map(|team| (team.name.as_str(), &**team)).collect();
        teams.into_values().map(|team| self.row(team)).collect()
    }

    fn all(&self) -> Reply {
        let [keys, teams, users] = [Scope::Key, Scope::Team, Scope::User].map(|scope| self.rows(scope));
        let enforced = if self.config.rate_limit_service.is_some() { "global" } else { "envoy" };
        Reply::of(&All { per: "envoy", enforced, replicas: self.config.replicas, keys, teams, users })
    }

    fn global(&self) -> Result<Reply, Error> {
        if self.caller != Caller::Master {
            return Err(not_permitted());
        }
        let spent = |account: &Rc<Account>| account.spent(self.store, self.now);
        let (spend, budget) = match &self.config.proxy {
            Some(proxy) => (spent(proxy).unwrap_or_default(), proxy.budgets.first()),
            None => {
                let sum = self.visible(Scope::Key).filter_map(spent).fold(PicoUsd::default(), PicoUsd::plus);
                (sum, None)
            }
        };
        let max = budget.and_then(|budget| budget.max).and_then(number);
        Ok(Reply::of(&BTreeMap::from([("spend", number(spend)), ("max_budget", max)])))
    }
}

fn missing(parameter: String) -> Error {
    let message = format!("missing required parameter: '{parameter}', in the query of the path");
    Error::new(Kind::MissingRequiredParameter, message).with_param(parameter)
}

fn not_permitted() -> Error {
    Error::new(Kind::NotPermitted, "this key may see its own spend, its team's and its user's")
}

#[cfg(test)]
#[path = "spend_tests.rs"]
mod tests;
