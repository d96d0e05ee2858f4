//! The document as a whole.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::env::Env;
use super::fault::{Fault, Wrong};
use super::markup::Markups;
use super::model::{self, Defaults, MAX_RETRIES};
use super::names::Known;
use super::read::{MAX_INTEGER, Node, Reader};
use super::replicas::Replicas;
use super::settings::Settings;
use super::{
    Config, CountedTokens, Digest, Key, Mesh, Routing, Unpriced, account, group, keys, rate_limit, secrets, shadow,
};
use crate::budget::window::Reset;
use crate::budget::{Account, Scope};
use crate::rls::Named;
use crate::secret::Secret;
use crate::telemetry::RecordFields;
use crate::units::Millis;

/// LiteLLM's documented default.
const TIMEOUT: Millis = Millis::from_secs(600);

/// LiteLLM's default in code.
const NUM_RETRIES: u32 = 2;

/// DESIGN's choice for a spent budget.
const BUDGET_EXCEEDED_STATUS: u64 = 429;

/// The longest request body unless the config says otherwise: chats with a few inlined images fit.
const MAX_REQUEST_MB: f64 = 32.0;

const OPEN_RELAY: &str = "expected general_settings.master_key, tollgate.keys, tollgate.identity or \
                          tollgate.allow_anonymous: true, found none of them";

const CLOSED: &str = "anyone could spend: write `general_settings: {master_key: os.environ/TOLLGATE_MASTER_KEY}`";

/// LiteLLM's megabyte.
const BYTES_PER_MB: f64 = 1_048_576.0;

impl Config {
    /// Compiles a `config.yaml`, which a YAML parser or a protobuf `Struct` has made a JSON value.
    ///
    /// # Errors
    ///
    /// Every fault, in the order of reading; none quotes a secret.
    pub fn compile(document: &Value, env: Env<'_>) -> Result<Self, Vec<Fault>> {
        let reader = Reader::new(document, env);
        let config = config(&reader.root());
        let faults = reader.faults();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

/// The names of the environment variables that `document` needs, for Envoy's `host_env_keys`.
///
/// Those that only keys without support refer to are left out: the filter sees no secret that it has no use for.
pub fn environment(document: &Value) -> BTreeSet<String> {
    let reader = Reader::new(document, Env::Lenient(&|_| None));
    config(&reader.root());
    reader.variables.into_asked()
}

/// A config for which no fault was recorded, or one that must not be served.
fn config(root: &Node<'_>) -> Config {
    let [router, litellm, general, tollgate] =
        ["router_settings", "litellm_settings", "general_settings", "tollgate"].map(|key| root.section(key));
    root.section("environment_variables");
    let model_list = root.at("model_list");
    let known = Known::read(&model_list, &router);
    let settings = Settings::new(router.clone(), litellm.clone());
    let reset = account::reset(&litellm);
    let replicas = Replicas::read(&tollgate);
    root.reader.replicas.set(replicas);
    let mut entries = model::entries(&model_list, &defaults(&settings, &litellm, &reset));
    let deployments = entries.iter_mut().map(|entry| &mut entry.deployment);
    let providers = account::providers(&router, &reset, deployments);
    let rate_limit_service = rate_limit::service(&tollgate);
    if rate_limit_service.is_some() {
        entries.iter_mut().for_each(|entry| entry.deployment.fleet_caps = Named::all(&entry.deployment));
    }
    let num_retries = settings.read("num_retries", |node| node.count(MAX_RETRIES)).unwrap_or(NUM_RETRIES);
    let (deployments, mut groups) = group::groups(entries, num_retries);
    group::fall_back(&mut groups, &known, &settings);
    group::retry(&mut groups, &known, &settings);
    let master_key = master_key(&general);
    let (keys, members, mut accounts) = keys::keys(&tollgate, &keys::Names { known: &known, reset: &reset });
    let tag_accounts = account::tags(&litellm, &reset);
    let end_users = keys::end_users(&tollgate, &litellm, &reset);
    accounts.extend(providers);
    accounts.extend(deployments.iter().flat_map(|deployment| &deployment.accounts).filter(is_own).cloned());
    accounts.extend(tag_accounts.values().chain(end_users.listed.values()).chain(&end_users.others).cloned());
    let shadows = shadow::shadows(&tollgate.at("shadow"), &known);
    let allow_anonymous = tollgate.at("allow_anonymous").flag().unwrap_or(false);
    let mesh = Mesh::read(&tollgate, &keys, members, &accounts);
    let has_keys = master_key.is_some() || !tollgate.at("keys").is_empty() || !tollgate.at("identity").is_empty();
    if !has_keys && general.at("master_key").is_absent() && !allow_anonymous {
        root.fault::<()>(Wrong::from(OPEN_RELAY).hint(CLOSED));
    }
    Config {
        deployments,
        groups,
        routing: Routing { shadows, ..settings.routing() },
        names: known.names,
        master_key,
        keys_by_digest: by_digest(&keys),
        keys,
        accounts,
        tag_accounts,
        end_users,
        counted_tokens: counted_tokens(&general),
        mesh,
        proxy: account::proxy(&litellm, &reset),
        rate_limit_service,
        secrets: secrets::secrets(&tollgate),
        replicas: replicas.count(),
        allow_anonymous,
        record_fields: record_fields(&tollgate),
        unpriced: unpriced(&tollgate),
        budget_exceeded_status: budget_exceeded_status(&litellm),
        max_request_bytes: max_request_bytes(&general),
        fail_closed: general.at("fail_closed_budget_enforcement").flag().unwrap_or(false),
    }
}

fn defaults(settings: &Settings<'_>, litellm: &Node<'_>, reset: &Reset) -> Defaults {
    let seconds = |key: &str| settings.router.at(key).seconds();
    let timeouts = [seconds("timeout"), litellm.at("request_timeout").seconds()];
    Defaults {
        drop_params: litellm.at("drop_params").flag().unwrap_or(false),
        timeout: timeouts.into_iter().flatten().next().unwrap_or(TIMEOUT),
        first_token: seconds("stream_timeout"),
        idle: seconds("stream_idle_timeout"),
        parallel: settings.router.at("default_max_parallel_requests").integer(0, MAX_INTEGER),
        breaker: settings.breaker(),
        reset: reset.clone(),
        markups: Rc::new(Markups::read(litellm)),
        cools_down: !settings.router.at("disable_cooldowns").flag().unwrap_or(false),
    }
}

/// The positions of `keys` in the order of their digests.
fn by_digest(keys: &[Key]) -> Vec<usize> {
    let digests = keys.iter().zip(0..).filter_map(|(key, i)| Some((key.digest.as_ref()?, i)));
    let mut positions: Vec<(&Digest, usize)> = digests.collect();
    positions.sort_unstable();
    positions.into_iter().map(|(_, i)| i).collect()
}

/// Whether this is a deployment's own account; its provider's is shared.
fn is_own(account: &&Rc<Account>) -> bool {
    account.scope == Scope::Deployment
}

/// `general_settings.token_rate_limit_type`.
fn counted_tokens(general: &Node<'_>) -> CountedTokens {
    let node = general.at("token_rate_limit_type");
    let counted = match node.text().as_deref() {
        None => None,
        Some("total") => Some(CountedTokens::Total),
        Some("input") => Some(CountedTokens::Input),
        Some("output") => Some(CountedTokens::Output),
        Some(_) => node.fault("expected total, input or output, found another string"),
    };
    counted.unwrap_or_default()
}

/// `general_settings.master_key`, else the variable that LiteLLM reads.
fn master_key(general: &Node<'_>) -> Option<Digest> {
    let node = general.at("master_key");
    if !node.is_absent() {
        return node.secret().map(|key| keys::digest(&key));
    }
    let key = general.reader.variables.value("LITELLM_MASTER_KEY")?;
    Some(keys::digest(&Secret::new(key)))
}

fn budget_exceeded_status(litellm: &Node<'_>) -> u16 {
    let status = litellm.at("budget_exceeded_status_code").integer(400, 599).unwrap_or(BUDGET_EXCEEDED_STATUS);
    u16::try_from(status).unwrap_or(u16::MAX)
}

fn unpriced(tollgate: &Node<'_>) -> Unpriced {
    let node = tollgate.at("unpriced");
    let choice = match node.name().as_deref() {
        None | Some("allow") => Some(Unpriced::Allow),
        Some("refuse") => Some(Unpriced::Refuse),
        Some(_) => node.expected("allow or refuse"),
    };
    choice.unwrap_or_default()
}

/// All fields unless the config names some; each must exist.
fn record_fields(tollgate: &Node<'_>) -> RecordFields {
    let node = tollgate.at("record_fields");
    if node.is_absent() {
        return RecordFields::ALL;
    }
    let mut fields = RecordFields::NONE;
    for name in node.items() {
        let typed = name.name().unwrap_or_default();
        if !typed.is_empty() && !fields.add(&typed) {
            name.expected::<()>("the name of a record field, such as cost_usd");
        }
    }
    fields
}

fn max_request_bytes(general: &Node<'_>) -> u64 {
    let node = general.at("max_request_size_mb");
    let megabytes = match node.number() {
        Some(0.0) => node.expected("a number of megabytes, more than zero"),
        megabytes => megabytes,
    };
    (megabytes.unwrap_or(MAX_REQUEST_MB) * BYTES_PER_MB).round() as u64
}
