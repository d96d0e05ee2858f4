//! What an operator does faster than a config can: `POST /key/block`, `/key/unblock`, `/key/{alias}/reset_spend`.
//!
//! Only the master key may. What is done is in force on all workers when it is answered, and told by the record of the
//! request and by a line of the log. A key that the config blocks is opened by the config alone.
//!
//! Source: LiteLLM 1.109.1, `proxy/management_endpoints/key_management_endpoints.py`: `block_key`, `unblock_key` take
//! `{"key"}`, the key or its SHA-256, and answer the key's row; `reset_key_spend_fn` takes `{"reset_to"}`, zero or more
//! and not more than what is spent; read 2026-11-23. That a key is named by its alias is ours; a key in a path would be
//! in every log, so `reset_spend` takes the alias or the SHA-256.
//!
//! # Limits
//!
//! - A block and a reset hold for this Envoy, until its process ends.
//! - What runs at a block runs on; what runs at a reset is charged after it.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::front::readable;
use super::locks::{LOCKS_MAX, Locks};
use super::reply::number;
use super::spend::told_of;
use super::{Caller, Headers, Opening, Reply};
use crate::config::{Config, Digest, Key, from_hex};
use crate::error::{Error, Kind};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `POST /key/block`.
    Block,
    /// `POST /key/unblock`.
    Unblock,
    /// `POST /key/{alias}/reset_spend`.
    Reset(Named),
}

/// How a key is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its alias.
    Alias(String),
    /// By its digest.
    Digest(Digest),
}

/// The longest body of an order.
pub const ORDER_BYTES_MAX: usize = 16 << 10;

#[derive(Serialize)]
struct Reset<'a> {
    key_alias: &'a str,
    spend: Option<Box<RawValue>>,
    previous_spend: Option<Box<RawValue>>,
    max_budget: Option<Box<RawValue>>,
    budget_reset_at: Option<String>,
}

impl Named {
    /// By the key itself, or its digest in hex.
    pub(super) fn by_key(text: &str) -> Self {
        Self::Digest(from_hex(text).unwrap_or_else(|| Sha256::digest(text).into()))
    }

    /// By its alias, or its digest in hex.
    pub(super) fn by_alias(text: String) -> Self {
        from_hex(&text).map_or(Self::Alias(text), Self::Digest)
    }

    /// Its position among the config's keys.
    ///
    /// # Errors
    ///
    /// `KeyNotFound`.
    pub(super) fn find(&self, config: &Config) -> Result<usize, Error> {
        let found = match self {
            Self::Alias(alias) => config.keys.iter().position(|key| key.alias == *alias),
            Self::Digest(digest) => config.key_by_digest(digest),
        };
        found.ok_or_else(|| Error::new(Kind::KeyNotFound, "no key of the config has this name"))
    }
}

impl Order {
    /// Does it: the answer, and what the record says of it.
    ///
    /// # Errors
    ///
    /// The operator's, or `Internal` where the store fails. Nothing is changed then.
    pub fn obey(
        &self,
        config: &Config,
        body: &[u8],
        store: &impl Store,
        now: Millis,
    ) -> Result<(Reply, String), Error> {
        if body.len() > ORDER_BYTES_MAX {
            let message = format!("the body is longer than {ORDER_BYTES_MAX} bytes");
            return Err(Error::new(Kind::RequestTooLarge, message));
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Err(Error::new(Kind::InvalidJson, "the body is not a JSON object"));
        };
        let i = match self {
            Self::Reset(named) => named.find(config)?,
            Self::Block | Self::Unblock => named(&body)?.find(config)?,
        };
        let Some(key) = config.keys.get(i) else { return Err(failed()) };
        let (word, reply) = match self {
            Self::Block => ("blocked", lock(config, i, key, store, true, now)?),
            Self::Unblock => ("unblocked", lock(config, i, key, store, false, now)?),
            Self::Reset(_) => ("reset", reset(key, &body, store, now)?),
        };
        let done = format!("{word} {}", key.alias);
        log::warn!("the master key has {word} key '{}'", key.alias);
        Ok((reply, done))
    }

    /// What only the holder of the master key may do.
    pub(super) fn open(
        self,
        config: &Config,
        caller: Caller,
        headers: &Headers,
        end_of_stream: bool,
    ) -> Result<Opening, Error> {
        if caller != Caller::Master {
            return Err(Error::new(Kind::NotPermitted, "only the master key may change keys"));
        }
        readable(config, headers)?;
        if end_of_stream {
            return Err(Error::new(Kind::InvalidJson, "the body is not valid JSON: it is empty"));
        }
        Ok(Opening::Order(self))
    }
}

/// The key that a body names.
fn named(body: &Map<String, Value>) -> Result<Named, Error> {
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => {
            let message = format!("invalid type for '{name}': expected a string");
            Err(Error::new(Kind::InvalidType, message).with_param(name))
        }
    };
    match (text("key")?, text("key_alias")?) {
        (Some(key), None) => Ok(Named::by_key(&key)),
        (None, Some(alias)) => Ok(Named::Alias(alias)),
        (None, None) => {
            let message = "missing required parameter: 'key', or 'key_alias'";
            Err(Error::new(Kind::MissingRequiredParameter, message).with_param("key"))
        }
        (Some(_), Some(_)) => {
            let message = "expected 'key' or 'key_alias', found both";
            Err(Error::new(Kind::InvalidValue, message).with_param("key_alias"))
        }
    }
}

fn lock(
    config: &Config,
    i: usize,
    key: &Key,
    store: &impl Store,
    is_blocked: bool,
    now: Millis,
) -> Result<Reply, Error> {
    if key.blocked && !is_blocked {
        let message = "this key is blocked by the config: remove its `blocked: true` there";
        return Err(Error::new(Kind::InvalidValue, message).with_param("key"));
    }
    match Locks::set(store, &key.alias, is_blocked) {
        Some(true) => Ok(told_of(config, i, store, now)),
        Some(false) => {
            let message = format!("{LOCKS_MAX} keys are blocked already: block more in the config");
            Err(Error::new(Kind::InvalidValue, message).with_param("key"))
        }
        None => Err(failed()),
    }
}

fn reset(key: &Key, body: &Map<String, Value>, store: &impl Store, now: Millis) -> Result<Reply, Error> {
    let wrong = |kind: Kind, message: String| Error::new(kind, message).with_param("reset_to");
    let to = match body.get("reset_to") {
        None => {
            let message = "missing required parameter: 'reset_to', an amount of USD";
            return Err(wrong(Kind::MissingRequiredParameter, message.to_owned()));
        }
        Some(Value::Number(number)) => number.as_f64().and_then(PicoUsd::from_usd),
        Some(_) => return Err(wrong(Kind::InvalidType, "invalid type for 'reset_to': expected a number".to_owned())),
    };
    let Some(to) = to else {
        return Err(wrong(Kind::InvalidValue, "invalid 'reset_to': expected zero or more".to_owned()));
    };
    let account = &key.account;
    let previous = match account.reset(store, now, to) {
        Some(Ok(previous)) => previous,
        Some(Err(spent)) => {
            let message = format!("invalid 'reset_to': expected at most the {spent} USD that are spent");
            return Err(wrong(Kind::InvalidValue, message));
        }
        None => return Err(failed()),
    };
    let budget = account.budgets.first();
    Ok(Reply::of(&Reset {
        key_alias: &key.alias,
        spend: number(to),
        previous_spend: number(previous),
        max_budget: budget.and_then(|budget| budget.max).and_then(number),
        budget_reset_at: budget.and_then(|budget| budget.resets_at(now)).map(Millis::rfc3339),
    }))
}

fn failed() -> Error {
    Error::new(Kind::Internal, "what all workers share could not be changed: nothing was done")
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
