//! One request and its answer, as both roles see it.
//!
//! ```text
//! gateway: Front::open -> Exchange::admit -> (reserve) ........................ response headers, body -> Exchange::settle
//! attempt:                                   begin, body -> answered, chunk/held ^   (once per upstream attempt)
//!                                            begin, body -> answered | lost -> the next step
//! ```
//!
//! ## Who holds what
//!
//! Envoy 1.40 crashes when a filter grows a body that is being held beyond the buffer limit. No limit is trusted here:
//! the design leaves nothing to grow.
//!
//! - `gateway` holds the request until it is whole and never changes it.
//! - `attempt` never holds a request: the new body is known before its first byte comes, so the headers go first, with
//!   the right content-length. What it writes into is Envoy's copy for this attempt: `gateway` sees to it that Envoy
//!   makes one.
//! - `attempt` holds a whole answer only to read it, and lets it go as it came. The buffer that `gateway` gets then is
//!   still the one in which it was held, limit and all: `gateway` puts the translation there only where it is not longer
//!   than what was held, or shorter than any limit. A longer one is a reply of `attempt`'s own, which no buffer holds;
//!   the provider's own headers are lost then.
//! - `gateway` writes errors into a body that is on its way, not held.
//! - A stream is held until it says something, some kilobytes at most; from then on it is held by nobody.
//! - An error whose body decides what follows is held, 16 KiB of it at most.
//! - The answer to a copy is held by nobody, and goes nowhere: it is read as it passes.
//! - A WebSocket is admitted by its headers; after them nobody reads, holds or writes a byte.
//!
//! ## Why every header is written anew
//!
//! Envoy keeps one header map for all attempts of a request, so whatever an attempt sets stays for the next one. An
//! attempt therefore replaces the whole map by a function of the client's request and its own target: what is not
//! put in cannot leak.

mod admit;
mod answer;
mod attempt;
mod auth;
mod copies;
mod course;
mod explain;
mod first;
mod front;
mod global;
mod headers;
mod info;
mod knobs;
mod locks;
mod order;
mod refused;
mod reply;
mod report;
mod route;
mod settle;
mod shadow;
mod spend;
mod tags;
mod way;

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use self::way::Terms;

use crate::bridge::{Ask, Asked};
use crate::budget::Account;
use crate::budget::account::{Alert, Holds};
use crate::budget::estimate::Most;
use crate::config::{Config, Deployment, Key, Principal, Resolved};
use crate::error::{Error, Shape};
use crate::provider::Upstream;
use crate::rls;
use crate::routing::{Class, Fleet, Plan, Step};
use crate::token::Tokens;
use crate::units::{Millis, PicoUsd};

pub use answer::{Answer, AnswerHead, Rewrite, is_private, local_error};
pub use attempt::{BUFFER_BYTES_MIN, HELD_BYTES_MAX, Heading, Held};
pub use auth::Scene;
pub use copies::Copies;
pub use course::{Next, Quota};
pub use first::First;
pub use front::{Front, Opening};
pub use headers::Headers;
pub use locks::{LOCKS_MAX, Locks};
pub use order::{Named, ORDER_BYTES_MAX, Order};
pub use refused::{By, Refused};
pub use reply::Reply;
pub use report::Report;
pub use shadow::Shadow;
pub use spend::Spend;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The holder of the master key.
    Master,
    /// The holder of a virtual key: a position in [`Config::keys`].
    Key(usize),
    /// Somebody whom Envoy has verified, and the position of the user's account in [`users`](crate::config::Mesh::users), where the key says no
    /// user.
    Verified(Principal, Option<usize>),
    /// Anyone, where the config allows it.
    Anonymous,
}

impl Caller {
    /// The virtual key, or what stands for it.
    pub fn key(self, config: &Config) -> Option<&Key> {
        match self {
            Self::Key(i) => config.keys.get(i),
            Self::Verified(principal, _) => principal.key(config),
            Self::Master | Self::Anonymous => None,
        }
    }

    /// Whether it is the key at this position.
    fn is_key(self, i: usize) -> bool {
        matches!(self, Self::Key(own) | Self::Verified(Principal::Key(own), _) if own == i)
    }

    /// What records and metrics call the caller.
    pub fn alias(self, config: &Config) -> &str {
        match self {
            Self::Master => "master",
            Self::Anonymous => "anonymous",
            Self::Key(_) | Self::Verified(..) => self.key(config).map_or("", |key| &key.alias),
        }
    }

    /// The accounts that the caller's requests spend from.
    pub fn accounts(self, config: &Config) -> impl Iterator<Item = &Rc<Account>> {
        let user = match self {
            Self::Verified(_, Some(user)) => config.mesh.users.get(user),
            _ => None,
        };
        self.key(config).into_iter().flat_map(Key::accounts).chain(user).chain(&config.proxy)
    }

    /// Whether the caller may use the model `name`: a group's, an alias, or one that a pattern matches.
    pub fn may_use(self, config: &Config, name: &str) -> bool {
        self.key(config).is_none_or(|key| key.may_use(config, name))
    }

    /// What `name` is called after the aliases of the caller's key.
    pub fn meant<'n>(self, config: &'n Config, name: &'n str) -> &'n str {
        self.key(config).map_or(name, |key| key.meant(name))
    }

    /// What `name` stands for when this caller says it; `None` where no model has it.
    pub fn resolve<'c>(self, config: &'c Config, name: &str) -> Option<Resolved<'c>> {
        config.resolve(self.key(config).map_or(name, |key| key.meant(name)))
    }
}

/// An attempt that was begun.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its place in the plan.
    pub step: Step,
    /// The provider's status; `None` where it never answered.
    pub status: Option<u16>,
    /// When it began.
    pub started: Millis,
    /// When it was known what came of it.
    pub concluded: Option<Millis>,
    /// Why it failed, where it did.
    pub failure: Option<Class>,
    /// Whether its place was given back.
    has_left: bool,
}

/// What an exchange works with: all that is not its own.
pub struct World<'a> {
    /// Now.
    pub now: Millis,
    /// What is known of the deployments.
    pub fleet: &'a mut dyn Fleet,
    /// The access tokens.
    pub tokens: &'a Tokens,
    /// `random(n)` draws from `0..n`.
    pub random: &'a mut dyn FnMut(u64) -> u64,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A step that is ready to begin.
#[derive(Debug)]
struct Prepared {
    step: Step,
    ask: Ask,
    upstream: Upstream,
}

/// What failed attempts used, as far as their providers said.
#[derive(Clone, Copy, Debug, Default)]
struct Burned {
    /// Tokens, as far as limits count them.
    tokens: u64,
    cost: PicoUsd,
}

/// A request that was admitted.
#[derive(Debug)]
pub struct Exchange {
    config: Rc<Config>,
    caller: Caller,
    /// See [`Front::user`].
    user: Option<String>,
    asked: Asked,
    /// What the target of the attempt under way is asked.
    ask: Option<Ask>,
    /// The client's headers that go upstream.
    originals: Vec<(&'static str, Vec<u8>)>,
    /// The group that the client asked for, by its own name.
    group: String,
    terms: Terms,
    plan: Plan,
    /// The most that it can use, once somebody wants to know.
    most: OnceCell<Most>,
    /// The attempt to come, where one is decided.
    next: Option<Prepared>,
    /// Why the first deployment that could not be asked could not.
    refusal: Option<Error>,
    /// The longest that an attempt may take to its first byte.
    timeout: Millis,
    /// What the answer of the attempt under way said of the provider's limits.
    quota: Quota,
    /// The body of the attempt under way, until it is sent.
    body: Option<Vec<u8>>,
    attempts: Vec<Attempt>,
    answer: Answer,
    is_reported: bool,
    /// Whether the client's answer is on its way: no attempt follows.
    is_answered: bool,
    is_settled: bool,
    /// Whom the request spends from.
    accounts: Vec<Rc<Account>>,
    holds: Holds,
    /// What failed attempts used.
    burned: Burned,
    /// Which alarms went off in the accounts of deployments.
    alerts: Vec<Alert>,
    /// The question that the rate limit service has answered.
    consulted: Option<rls::Ask>,
    /// What it is asked beside the request, and whether it said that there is no room.
    beside: Vec<(rls::Ask, bool)>,
    started: Millis,
    first_byte: Option<Millis>,
    /// When the stream was heard of last, where its silence has a bound.
    heard: Option<Millis>,
    /// Why the answer was cut, where we did it.
    cut: Option<Error>,
}

impl Exchange {
    /// The attempt under way, or the last one.
    fn attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The deployment of the attempt under way, or of the first one to come.
    pub fn deployment(&self) -> Option<&Deployment> {
        let coming = || self.next.as_ref().map(|next| &next.step);
        Some(&self.attempt().map(|attempt| &attempt.step).or_else(coming)?.deployment)
    }

    /// The model group that the client asked for.
    pub fn model_group(&self) -> &str {
        &self.group
    }

    /// The shape in which the client expects errors.
    pub fn errors(&self) -> Shape {
        self.asked.client().endpoint.errors()
    }

    /// What records and metrics call the caller.
    pub fn key_alias(&self) -> &str {
        self.caller.alias(&self.config)
    }

    /// The config.
    pub fn config(&self) -> &Rc<Config> {
        &self.config
    }

    /// How many groups were given up.
    pub fn fallbacks(&self) -> u32 {
        self.attempt().map_or(0, |attempt| attempt.step.fallbacks)
    }

    /// The attempts so far.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The error of the answer, if it is one.
    pub fn error(&self) -> Option<&Error> {
        self.cut.as_ref().or_else(|| self.answer.error())
    }
}

#[cfg(test)]
mod tests;
