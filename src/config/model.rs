//! `model_list`: each entry to a [`Deployment`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::env::reference;
use super::read::{MAX_INTEGER, Node};
use super::{Address, Breaker, Deployment, Digest, Limits, Timeouts, aws, header, hex, params, policy, vendor, vertex};
use crate::budget::{self, Price};
use crate::provider::params::Params;
use crate::provider::{Credential, Target, Vendor};
use crate::routing::PerClass;
use crate::units::Millis;

/// What a deployment takes from the rest of the config.
pub(super) struct Defaults {
    pub(super) drop_params: bool,
    pub(super) timeout: Millis,
    /// `stream_timeout`, where the router has one.
    pub(super) first_token: Option<Millis>,
    pub(super) idle: Option<Millis>,
    pub(super) parallel: Option<u64>,
    pub(super) breaker: Breaker,
    pub(super) cools_down: bool,
}

/// A deployment, and what its group makes of it.
pub(super) struct Entry {
    pub(super) deployment: Deployment,
    /// `weight`, `rpm`, `tpm`.
    pub(super) shares: [Option<f64>; 3],
    pub(super) num_retries: Option<u32>,
}

/// The most retries that a config may ask for: a plan is held for as long as its request.
pub(super) const MAX_RETRIES: u32 = 100;

/// The names of all model groups as typed, also of those whose deployments have faults.
pub(super) fn group_names(list: &Node<'_>) -> BTreeSet<String> {
    list.list().iter().filter_map(|item| item.get("model_name")?.as_str()).map(str::to_owned).collect()
}

/// The deployments of `model_list` without those that have faults.
pub(super) fn entries(list: &Node<'_>, defaults: &Defaults) -> Vec<Entry> {
    if list.is_empty() {
        list.fault::<()>("expected at least one deployment");
    }
    let mut ids = Ids::default();
    list.sections().iter().filter_map(|item| entry(item, defaults, &mut ids)).collect()
}

/// Reads all of an entry before it gives up, so that every fault is found.
fn entry(node: &Node<'_>, defaults: &Defaults, ids: &mut Ids) -> Option<Entry> {
    let (params, info) = (node.required_section("litellm_params"), node.section("model_info"));
    let model_group = group_name(&node.at("model_name"));
    let shares = ["weight", "rpm", "tpm"].map(|key| params.at(key).number());
    let num_retries = params.at("num_retries").count(MAX_RETRIES);
    let (timeouts, limits) = (timeouts(&params, defaults), limits(&params, defaults));
    let breaker = breaker(&params, &info, defaults);
    let order = [&params, &info].map(|section| section.at("order").count(u32::MAX)).into_iter().flatten().next();
    let tags = params.at("tags").names().unwrap_or_default();
    let own_params = params::params(&params, defaults.drop_params);
    let given_id = info.at("id").name();
    let cluster = cluster_name(&info.at("cluster"));
    let model = params.object().and_then(|_| vendor::model(&params));
    let (model, region) = aws::named(&params, model);
    let facts = Facts::read(&params, &info, model.as_ref());
    let (target, address) = target(&params, &info, (model, region), own_params, &facts)?;
    let model_group = model_group?;
    let id = ids.assign(&info, given_id, &identity(&params, &model_group, &target, &address))?;
    let cluster = cluster.unwrap_or_else(|| own_cluster(&address, &target.credential));
    let Facts { price, max_input_tokens, mode, .. } = facts;
    let credential_number = credential_number(&target);
    let deployment = Deployment {
        number: number(id.as_bytes()),
        id,
        credential_number,
        model_group,
        target,
        cluster,
        address,
        weight: 1,
        timeouts,
        price,
        max_input_tokens,
        mode,
        order: order.unwrap_or(u32::MAX),
        limits,
        breaker,
        tags,
        access_windows: Vec::new(),
        supports_vision: None,
    };
    Some(Entry { deployment, shares, num_retries })
}

fn timeouts(params: &Node<'_>, defaults: &Defaults) -> Timeouts {
    let seconds = |key: &str| params.at(key).seconds();
    let whole = seconds("timeout").unwrap_or(defaults.timeout);
    Timeouts {
        whole,
        first_token: seconds("stream_timeout").or(defaults.first_token).unwrap_or(whole),
        idle: seconds("stream_idle_timeout").or(defaults.idle),
    }
}

fn limits(params: &Node<'_>, defaults: &Defaults) -> Limits {
    let limit = |key: &str| params.at(key).integer(0, MAX_INTEGER);
    Limits { rpm: limit("rpm"), tpm: limit("tpm"), parallel: limit("max_parallel_requests").or(defaults.parallel) }
}

/// What the entry says of failures, class by class, and the router where it says nothing.
fn breaker(params: &Node<'_>, info: &Node<'_>, defaults: &Defaults) -> Breaker {
    let [own, given] = [info, params].map(|section| section.at("cooldown_time").delay());
    let fails = PerClass::all(info.at("allowed_fails").count(u32::MAX));
    let fails = policy::allowed_fails(&info.section("allowed_fails_policy")).or(fails);
    let cooldown = own.or(given).unwrap_or(defaults.breaker.cooldown);
    Breaker {
        cooldown: if defaults.cools_down { cooldown } else { Millis::default() },
        allowed_fails: policy::completed(fails.or(defaults.breaker.allowed_fails)),
    }
}

fn target(
    params: &Node<'_>,
    info: &Node<'_>,
    (model, region): (Option<(&'static Vendor, String)>, Option<String>),
    own_params: Params,
    facts: &Facts,
) -> Option<(Target, Address)> {
    let vendor = model.as_ref().map(|(vendor, _)| *vendor);
    let location = vertex::location(params, vendor, region.or_else(|| location(params)));
    let base = vendor.and_then(|vendor| vendor::base(params, vendor, location.as_deref()));
    let credential = vendor.and_then(|vendor| vendor::credential(params, vendor, base.as_ref(), location.as_deref()));
    let extra_headers = header::headers(params, vendor);
    let api_version = params.at("api_version").name();
    let named = vertex::project(params, vendor).or_else(|| params.at("project_id").name());
    let project = named.or_else(|| credential.as_ref()?.source()?.project.clone());
    let base_model = info.at("base_model").name();
    let model_name = model.as_ref().map_or("", |(_, name)| name);
    let checked = vertex::check(params, vendor, model_name, project.as_deref(), location.as_deref());
    let ((vendor, model), base) = (model?, base?);
    checked?;
    let target = Target {
        vendor,
        base_model: base_model.unwrap_or_else(|| model.clone()),
        model: aws::profile(params, vendor).unwrap_or(model),
        authority: base.authority,
        base_path: base.path,
        credential: credential.unwrap_or_default(),
        api_version: api_version.or(base.api_version),
        project,
        location,
        max_output_tokens: facts.max_output_tokens,
        supports_reasoning: facts.supports_reasoning,
        supports_response_schema: facts.supports_response_schema,
        params: own_params,
        extra_headers,
    };
    Some((target, base.address))
}

/// Where a deployment's provider is to work, by whatever name the provider has for it.
fn location(params: &Node<'_>) -> Option<String> {
    let names = ["vertex_location", "vertex_ai_location", "aws_region_name", "region_name"];
    names.into_iter().find_map(|name| params.at(name).name())
}

fn group_name(node: &Node<'_>) -> Option<String> {
    let name = node.required_name()?;
    if name.contains('*') { node.fault("wildcards are not supported yet: list each model") } else { Some(name) }
}

fn cluster_name(node: &Node<'_>) -> Option<String> {
    let name = node.name()?;
    if name.chars().all(|c| c.is_ascii_graphic()) { Some(name) } else { node.expected("the name of an Envoy cluster") }
}

/// The cluster of an address: one for each signer, since signing is the cluster's.
fn own_cluster(address: &Address, credential: &Credential) -> String {
    match credential {
        Credential::Signed(aws) => format!("{}_{}", address.cluster(), aws.suffix()),
        Credential::None | Credential::Key(_) | Credential::Bearer(_) | Credential::Token(_) => address.cluster(),
    }
}

impl Address {
    /// The name of the cluster that `render` makes for this address: `tollgate_https_api.openai.com_443`.
    pub fn cluster(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = self.host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        format!("tollgate_{scheme}_{host}_{}", self.port)
    }
}

/// The first eight bytes of a SHA-256.
fn number(name: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = Digest::from(Sha256::digest(name));
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What stands for a credential at one place: it says nothing of the credential itself.
fn credential_number(target: &Target) -> u64 {
    let place = format!("{}{}\n", target.authority, target.base_path);
    let secret = match &target.credential {
        Credential::Key(secret) | Credential::Bearer(secret) => secret.expose().to_owned(),
        Credential::Token(source) => source.id().to_owned(),
        Credential::Signed(aws) => aws.suffix(),
        Credential::None => String::new(),
    };
    number(format!("{place}{secret}").as_bytes())
}

/// What is known about a model: the catalog's row, with `model_info` and `litellm_params` over it.
#[derive(Default)]
struct Facts {
    price: Option<Price>,
    mode: String,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    supports_reasoning: bool,
    supports_response_schema: bool,
}

impl Facts {
    fn read(params: &Node<'_>, info: &Node<'_>, model: Option<&(&Vendor, String)>) -> Self {
        let row = catalog(&info.at("base_model"), model);
        let facts = row.map_or_else(Self::default, |row| Self {
            price: row.price,
            mode: row.mode,
            max_input_tokens: row.max_input_tokens,
            max_output_tokens: row.max_output_tokens,
            supports_reasoning: row.supports_reasoning,
            supports_response_schema: row.supports_response_schema,
        });
        let tokens = |key: &str| info.at(key).integer(1, MAX_INTEGER);
        let legacy = tokens("max_tokens");
        Self {
            price: price(params, info, facts.price),
            mode: info.at("mode").name().unwrap_or(facts.mode),
            max_input_tokens: tokens("max_input_tokens").or(facts.max_input_tokens),
            max_output_tokens: tokens("max_output_tokens").or(legacy).or(facts.max_output_tokens),
            supports_reasoning: info.at("supports_reasoning").flag().unwrap_or(facts.supports_reasoning),
            supports_response_schema: info
                .at("supports_response_schema")
                .flag()
                .unwrap_or(facts.supports_response_schema),
        }
    }
}

fn catalog(base_model: &Node<'_>, model: Option<&(&Vendor, String)>) -> Option<budget::Entry> {
    let base_model = base_model.name();
    let (vendor, model) = model?;
    let by_base = base_model.and_then(|base_model| match base_model.split_once('/') {
        Some((prefix, name)) => budget::lookup(prefix, name),
        None => budget::lookup(vendor.prefix, &base_model),
    });
    // An ARN ends with the name of what it profiles.
    let profiled = || model.strip_prefix("arn:")?.rsplit('/').next();
    let by_arn = || budget::lookup(vendor.prefix, profiled()?);
    by_base.or_else(|| budget::lookup(vendor.prefix, model)).or_else(by_arn)
}

/// `listed` with the price fields of `model_info` over it, and those of `litellm_params` over both.
fn price(params: &Node<'_>, info: &Node<'_>, listed: Option<Price>) -> Option<Price> {
    let fields = [info, params].into_iter().filter_map(Node::object).flatten();
    let fields: Map<String, Value> = fields.map(|(field, value)| (field.clone(), value.clone())).collect();
    match Price::from_params(&fields, listed) {
        Ok(price) => price,
        Err(field) => {
            let section = if params.at(&field).is_absent() { info } else { params };
            section.at(&field).expected("a price in USD, zero or more")
        }
    }
}

/// The ids given so far.
#[derive(Default)]
struct Ids {
    taken: BTreeSet<String>,
    twins: BTreeMap<String, u64>,
}

impl Ids {
    /// `given`, or 16 hex digits made from `identity`; entries that are the same but for their secrets are counted.
    fn assign(&mut self, info: &Node<'_>, given: Option<String>, identity: &str) -> Option<String> {
        let id = given.unwrap_or_else(|| {
            let twin = self.twins.entry(identity.to_owned()).or_default();
            *twin = twin.saturating_add(1);
            hex(&Sha256::digest(format!("{identity}{twin}"))).chars().take(16).collect()
        });
        if self.taken.insert(id.clone()) {
            Some(id)
        } else {
            info.at("id").fault("expected an id of its own, found one that another deployment has")
        }
    }
}

/// What makes a deployment this one, without secrets: the name of its variable stands for a credential.
fn identity(params: &Node<'_>, model_group: &str, target: &Target, address: &Address) -> String {
    let Address { tls, host, port } = address;
    let Target { vendor, model, base_path, .. } = target;
    let provider_name = vendor.prefix;
    let variable = reference(params.at("api_key").typed()).unwrap_or_default();
    format!("{model_group}\n{provider_name}\n{model}\n{tls} {host} {port}\n{base_path}\n{variable}\n")
}
