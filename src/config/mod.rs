//! LiteLLM's `config.yaml`, compiled: after [`Config::compile`] nothing in it can be wrong any more.
//!
//! Names are resolved, URLs parsed, prices looked up, keys digested; nobody re-checks. The document comes as a JSON
//! value, from a YAML file or from the protobuf `Struct` that Envoy hands to a filter. Nothing here reads files or the
//! process's environment: see [`Env`].
//!
//! | module | what it is |
//! | --- | --- |
//! | `document` | the bytes that Envoy hands over |
//! | `read` | a walk over the document that collects every fault, with its path |
//! | `env` | `os.environ/NAME` |
//! | `compile` | the document as a whole |
//! | `model`, `vendor`, `header`, `params` | `model_list`: deployments, what `provider/model` implies, extra headers, parameters |
//! | `aws` | models, regions and signers of AWS |
//! | `token` | what tokens are fetched with |
//! | `facts` | what is known about a model |
//! | `names`, `wildcard` | what a name stands for: an alias, a group, a pattern |
//! | `group` | shares of the traffic, retries, fallbacks |
//! | `settings`, `policy` | `router_settings`, and its numbers by class of failure |
//! | `routing` | how deployments are chosen, left alone and followed by others |
//! | `window`, `zone` | times of day in which a deployment is reserved |
//! | `keys`, `access` | `tollgate`: keys, teams, users, their models |
//! | `identity` | `tollgate.identity`: whom Envoy has verified |
//! | `shadow` | `tollgate.shadow`: whose requests are copied |
//! | `rate_limit`, `replicas` | `tollgate.rate_limit_service`: who counts for the whole fleet; one Envoy's part of it |
//! | `support` | every LiteLLM key, and how far it is supported |

mod access;
mod account;
mod aws;
mod compile;
pub mod document;
mod env;
mod facts;
mod fault;
mod group;
mod header;
pub mod identity;
mod keys;
mod markup;
mod model;
mod names;
#[cfg(test)]
mod names_tests;
mod params;
mod policy;
mod rate_limit;
mod read;
mod replicas;
mod routing;
mod secrets;
mod settings;
#[cfg(test)]
mod settings_tests;
mod shadow;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod speed_tests;
pub mod support;
#[cfg(test)]
mod tests;
pub(crate) mod token;
mod vendor;
mod vertex;
mod wildcard;
mod window;

pub use access::Access;
pub use compile::environment;
pub use env::Env;
pub use fault::Fault;
pub use identity::{Identity, Mesh, Principal};
pub(crate) use keys::from_hex;
pub use names::{Alias, Names, Resolved};
pub use routing::{AccessWindow, Affinity, Breaker, Limits, Routing, Shadow, Timeouts};
pub use secrets::Secrets;
pub use wildcard::Wildcard;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::budget::{Account, Price, Window};
use crate::bytes::hex;
use crate::provider::Target;
use crate::rls::{Named, Service};
use crate::routing::{PerClass, Pool};
use crate::telemetry::RecordFields;
use crate::token::Source;
use crate::units::{Millis, PicoUsd};

/// A config that can be served.
#[derive(Debug)]
pub struct Config {
    /// Every deployment, in the config's order.
    pub deployments: Vec<Rc<Deployment>>,
    /// The model groups by their `model_name`, which may be a pattern: see [`Config::resolve`].
    pub groups: BTreeMap<String, Group>,
    /// What else clients may call them.
    pub names: Names,
    /// `router_settings`.
    pub routing: Routing,
    /// SHA-256 of `general_settings.master_key`.
    pub master_key: Option<Digest>,
    /// `tollgate.keys`, in the config's order.
    pub keys: Vec<Key>,
    /// The accounts of teams and users, of tags, end users, providers and deployments.
    pub accounts: Vec<Rc<Account>>,
    /// `litellm_settings.tag_budget_config`.
    pub tag_accounts: BTreeMap<String, Rc<Account>>,
    /// Who asks the client, where that has a budget.
    pub end_users: EndUsers,
    /// `general_settings.token_rate_limit_type`.
    pub counted_tokens: CountedTokens,
    /// `litellm_settings.max_budget`: the account of all requests.
    pub proxy: Option<Rc<Account>>,
    /// Positions in `keys`, in the order of the digests.
    keys_by_digest: Vec<usize>,
    /// `tollgate.identity`: who needs no key.
    pub mesh: Mesh,
    /// `tollgate.rate_limit_service`: who counts budgets and limits for the whole fleet; `None`: each Envoy for itself.
    pub rate_limit_service: Option<Service>,
    /// `tollgate.secrets`: where Envoy has the secrets from that the filter never sees.
    pub secrets: Secrets,
    /// `tollgate.replicas`: how many Envoys share what each of them counts for itself. Budgets and limits are this one's part.
    pub replicas: u64,
    /// `tollgate.allow_anonymous`: serve requests without a key.
    pub allow_anonymous: bool,
    /// `tollgate.record_fields`: the fields of the record that become filter state, and with them the columns of the
    /// rendered access log. All of them unless set.
    pub record_fields: RecordFields,
    /// `tollgate.unpriced`: what becomes of requests that nobody can charge.
    pub unpriced: Unpriced,
    /// `litellm_settings.budget_exceeded_status_code`, 429 unless set.
    pub budget_exceeded_status: u16,
    /// `general_settings.max_request_size_mb` in bytes: the longest request body.
    pub max_request_bytes: u64,
    /// `general_settings.fail_closed_budget_enforcement`: refuse when the spend cannot be read.
    pub fail_closed: bool,
}

/// What becomes of a request for a model of which nobody says what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// It is served, and charged nothing.
    #[default]
    Allow,
    /// Deployments with a price are asked alone, and without one of them it is refused.
    Refuse,
}

impl Config {
    /// Every account, each once.
    pub fn accounts(&self) -> impl Iterator<Item = &Rc<Account>> {
        let keys = self.keys.iter().flat_map(|key| std::iter::once(&key.account).chain(&key.models_accounts));
        keys.chain(&self.accounts).chain(&self.proxy)
    }

    /// `failure_mode: closed`: a request is refused where the rate limit service does not answer.
    pub fn needs_rate_limit_service(&self) -> bool {
        self.rate_limit_service.as_ref().is_some_and(|service| service.fails_closed)
    }

    /// Where tokens are fetched, each place once.
    pub fn token_sources(&self) -> Vec<Rc<Source>> {
        let mut sources: Vec<Rc<Source>> = Vec::new();
        for deployment in &self.deployments {
            if let Some(source) = deployment.target.credential.source()
                && sources.iter().all(|found| found.id() != source.id())
            {
                sources.push(source.clone());
            }
        }
        sources
    }

    /// The position in [`Self::keys`] of the key with this digest.
    ///
    /// The search takes longer for some digests than for others, which says nothing of any key: nobody can choose a
    /// key by its digest. What it finds is compared in a time that does not depend on where the two differ.
    pub fn key_by_digest(&self, digest: &Digest) -> Option<usize> {
        let found = |i: &usize| self.keys.get(*i)?.digest.as_ref();
        let at = self.keys_by_digest.partition_point(|i| found(i).is_some_and(|found| found < digest));
        let i = *self.keys_by_digest.get(at)?;
        found(&i).filter(|found| equal(found, digest)).map(|_| i)
    }
}

/// Compares in a time that does not depend on where two digests differ.
pub(crate) fn equal(a: &Digest, b: &Digest) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b))) == 0
}

/// SHA-256.
pub type Digest = [u8; 32];

/// One entry of `model_list`.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// `model_info.id`, or one made from the entry: 16 hex digits.
    pub id: String,
    /// What shared records call it: made from the id, the same in every worker and after an update.
    pub number: u64,
    /// The same for all that use one credential at one place.
    pub credential_number: u64,
    /// `model_name`.
    pub model_group: String,
    /// What an attempt needs to know.
    pub target: Target,
    /// The Envoy cluster: `model_info.cluster`, or the one that `render` makes.
    pub cluster: String,
    /// Where that cluster leads.
    pub address: Address,
    /// Share of the group's requests, relative to the others': `weight`, else `rpm`, else `tpm`, else 1.
    pub weight: u64,
    /// How long an attempt may take.
    pub timeouts: Timeouts,
    /// What its answers cost; `None` where nobody says.
    pub price: Option<Price>,
    /// The model's bound on a prompt, in tokens.
    pub max_input_tokens: Option<u64>,
    /// `model_info.mode`: `chat`, `embedding`, ...
    pub mode: String,
    /// `order`: those with the lowest are asked first, those without one last.
    pub order: u32,
    /// `rpm`, `tpm`, `rpd`, `tpd`, `max_parallel_requests`.
    pub limits: Limits,
    /// Its own account and its provider's, where they have budgets or limits.
    pub accounts: Vec<Rc<Account>>,
    /// What a rate limit service counts of them; empty where there is none.
    pub fleet_caps: Vec<Named>,
    /// When it is left alone.
    pub breaker: Breaker,
    /// `tags`.
    pub tags: Vec<String>,
    /// `model_info.access_windows`.
    pub access_windows: Vec<AccessWindow>,
    /// `model_info.supports_vision`, else the catalog's; `None` where nobody says.
    pub supports_vision: Option<bool>,
    /// What its group's name being a pattern means for it.
    pub wildcard: Option<Rc<Wildcard>>,
}

impl Deployment {
    /// Whether something is set aside for an attempt at it.
    pub fn is_funded(&self) -> bool {
        !self.accounts.is_empty() || !self.fleet_caps.is_empty()
    }
}

/// Scheme, host and port of an `api_base`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// `https` or not.
    pub tls: bool,
    /// A DNS name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// All deployments of one `model_name`.
#[derive(Debug, Default)]
pub struct Group {
    /// Its deployments; never empty.
    pub pool: Rc<Pool>,
    /// What to try when this one fails, in order: its own `fallbacks`, else the default ones. All exist, as groups or
    /// as names that a pattern matches: see [`Config::resolve`].
    pub fallbacks: Vec<String>,
    /// `context_window_fallbacks`: the groups to try when the prompt is too long.
    pub context_window_fallbacks: Vec<String>,
    /// `content_policy_fallbacks`: the groups to try when the provider will not answer.
    pub content_policy_fallbacks: Vec<String>,
    /// `retry_policy`: how often a failure of each class is repeated; `None`: `num_retries`.
    pub retries: PerClass<Option<u32>>,
    /// How often a failed attempt is repeated inside this group.
    pub num_retries: u32,
}

/// A virtual key.
#[derive(Debug)]
pub struct Key {
    /// `key_alias`: what records and metrics name it by.
    pub alias: String,
    /// SHA-256 of the key; `None` where it is nobody's secret, but the name of somebody whom Envoy has verified.
    pub digest: Option<Digest>,
    /// `team_id`.
    pub team_id: Option<String>,
    /// `user_id`.
    pub user_id: Option<String>,
    /// `models`: those that it may use, as far as its team may.
    pub models: Access,
    /// Its team's `models`.
    pub team_models: Option<Rc<Access>>,
    /// `aliases`: what the key calls models, each with the name that it stands for. They come before
    /// `model_group_alias`.
    pub aliases: BTreeMap<String, String>,
    /// `tags`, its own and its team's.
    pub tags: Vec<String>,
    /// Its own account.
    pub account: Rc<Account>,
    /// Its team's account and its user's, where `tollgate.teams` and `tollgate.users` have them.
    pub others: Vec<Rc<Account>>,
    /// `model_max_budget`, its own and its team's: accounts for one model group each.
    pub models_accounts: Vec<Rc<Account>>,
    /// `budget_fallbacks`: the models to take where a model's own budget is spent, in order.
    pub budget_fallbacks: BTreeMap<String, Vec<String>>,
    /// When it stops working.
    pub expires: Option<Millis>,
    /// Whether it is locked.
    pub blocked: bool,
}

impl Key {
    /// The accounts that its requests spend from: its own, its team's, its user's.
    pub fn accounts(&self) -> impl Iterator<Item = &Rc<Account>> {
        std::iter::once(&self.account).chain(&self.others)
    }
}

/// Which tokens `tpm_limit` and `tpd_limit` count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedTokens {
    /// All.
    #[default]
    Total,
    /// Those of prompts.
    Input,
    /// Those of answers.
    Output,
}

/// Those who ask the client that asks us.
#[derive(Debug, Default)]
pub struct EndUsers {
    /// `tollgate.end_users`, by their ids.
    pub listed: BTreeMap<String, Rc<Account>>,
    /// What each of the others has: `max_end_user_budget_id`, `max_end_user_budget`.
    pub others: Option<Rc<Account>>,
    /// The accounts of those of them who came last, at most [`RECENT`].
    recent: RefCell<BTreeMap<String, Rc<Account>>>,
}

/// For so many of the end users that the config does not list an account is kept at hand, half a megabyte of them.
const RECENT: usize = 1024;
/// The longest id of one of them.
const RECENT_BYTES: usize = 128;

impl EndUsers {
    /// Whether nobody has a budget.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.others.is_none()
    }

    /// The account of the end user `id`.
    pub fn account(&self, id: &str) -> Option<Rc<Account>> {
        self.listed.get(id).cloned().or_else(|| Some(self.other(id, self.others.as_ref()?)))
    }

    fn other(&self, id: &str, template: &Rc<Account>) -> Rc<Account> {
        let mut recent = self.recent.borrow_mut();
        if let Some(account) = recent.get(id) {
            return Rc::clone(account);
        }
        let name = hex(Sha256::digest(id).first_chunk::<16>().map_or(&[][..], |digest| digest));
        let account = Rc::new(Account { name, ..(**template).clone() });
        if id.len() <= RECENT_BYTES {
            if recent.len() >= RECENT {
                recent.clear();
            }
            recent.insert(id.to_owned(), Rc::clone(&account));
        }
        account
    }
}

/// How much may be spent until a window ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// `max_budget`; `None`: nothing is refused.
    pub max: Option<PicoUsd>,
    /// `soft_budget`: an alert is given once it is spent.
    pub soft: Option<PicoUsd>,
    /// `budget_duration`; `None`: the budget never starts anew.
    pub window: Option<Window>,
    /// `mode: shadow`: what it would refuse is recorded, and served.
    pub is_shadow: bool,
}

impl Budget {
    /// When it starts anew; `None`: never.
    pub fn resets_at(&self, now: Millis) -> Option<Millis> {
        Some(self.window.as_ref()?.end_after(now))
    }
}
