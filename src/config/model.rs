//! `model_list`: each entry to a [`Deployment`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::env::reference;
use super::facts::Said;
use super::markup::Markups;
use super::read::{MAX_INTEGER, Node, SDS};
use super::wildcard::{Pattern, Wildcard};
use super::{
    Address, Breaker, Deployment, Limits, Timeouts, account, aws, header, params, policy, vendor, vertex, window,
};
use crate::budget::window::Reset;
use crate::bytes::{hex, number_of};
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
    pub(super) reset: Reset,
    /// What is put on top of prices.
    pub(super) markups: Rc<Markups>,
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
    let [rpm, tpm] = ["rpm", "tpm"].map(|key| params.at(key).quietly(Node::number));
    let shares = [params.at("weight").number(), rpm, tpm];
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
    let said = Said::read(&params, &info, &defaults.markups);
    let facts = model.as_ref().map(|(vendor, name)| said.facts(vendor, name)).unwrap_or_default();
    let access_windows = window::windows(&info.at("access_windows"));
    let (target, address) = target(&params, &said, (model, region), own_params)?;
    let model_group = model_group?;
    check_wildcard(&params, &model_group)?;
    let id = ids.assign(&info, given_id, &identity(&params, &model_group, &target, &address))?;
    let accounts = account::deployment(&params, &defaults.reset, &id).into_iter().collect();
    let cluster = cluster.unwrap_or_else(|| own_cluster(&address, &target.credential));
    let credential_number = credential_number(&target);
    let wildcard = Wildcard::new(&model_group, &target.model, said).map(Rc::new);
    let mut deployment = Deployment {
        number: number_of(&id),
        id,
        credential_number,
        model_group,
        target,
        cluster,
        address,
        weight: 1,
        timeouts,
        price: None,
        max_input_tokens: None,
        mode: String::new(),
        order: order.unwrap_or(u32::MAX),
        limits,
        accounts,
        fleet_caps: Vec::new(),
        breaker,
        tags,
        access_windows,
        supports_vision: None,
        wildcard,
    };
    deployment.take(facts);
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
    let parallel = limit("max_parallel_requests").or(defaults.parallel);
    Limits { rpm: limit("rpm"), tpm: limit("tpm"), parallel, rpd: limit("rpd"), tpd: limit("tpd") }
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
    said: &Said,
    (model, region): (Option<(&'static Vendor, String)>, Option<String>),
    own_params: Params,
) -> Option<(Target, Address)> {
    let vendor = model.as_ref().map(|(vendor, _)| *vendor);
    let location = vertex::location(params, vendor, region.or_else(|| location(params)));
    let base = vendor.and_then(|vendor| vendor::base(params, vendor, location.as_deref()));
    let credential = vendor.and_then(|vendor| vendor::credential(params, vendor, base.as_ref(), location.as_deref()));
    let extra_headers = header::headers(params, vendor);
    let api_version = params.at("api_version").name();
    let named = vertex::project(params, vendor).or_else(|| params.at("project_id").name());
    let project = named.or_else(|| credential.as_ref()?.source()?.project.clone());
    let model_name = model.as_ref().map_or("", |(_, name)| name);
    let checked = vertex::check(params, vendor, model_name, project.as_deref(), location.as_deref());
    let ((vendor, model), base) = (model?, base?);
    checked?;
    let mut target = Target {
        vendor,
        base_model: said.base_model.clone().unwrap_or_else(|| model.clone()),
        model: aws::profile(params, vendor).unwrap_or(model),
        authority: base.authority,
        base_path: base.path,
        credential: credential.unwrap_or_default(),
        api_version: api_version.or(base.api_version),
        project,
        location,
        max_output_tokens: None,
        supports_reasoning: false,
        supports_response_schema: false,
        params: own_params,
        extra_headers,
    };
    let header = vendor.language.key_header(&target);
    if let Credential::Injected(injected) = &mut target.credential {
        injected.header = header;
    }
    Some((target, base.address))
}

/// Where a deployment's provider is to work, by whatever name the provider has for it.
fn location(params: &Node<'_>) -> Option<String> {
    let names = ["vertex_location", "vertex_ai_location", "aws_region_name", "region_name"];
    names.into_iter().find_map(|name| params.at(name).name())
}

fn group_name(node: &Node<'_>) -> Option<String> {
    let name = node.required_name()?;
    let fits = !Pattern::is_one(&name) || Pattern::parse(&name).is_some();
    if fits { Some(name) } else { node.fault("expected a name with at most one `*`") }
}

/// Whether the entry's model has a `*` that something stands for.
fn check_wildcard(params: &Node<'_>, model_group: &str) -> Option<()> {
    let node = params.at("model");
    let model = node.quietly(Node::name).unwrap_or_default();
    if Pattern::is_one(&model) && !Pattern::is_one(model_group) {
        return node
            .fault("expected a model without a `*`, found one: it stands for that of the model_name, which has none");
    }
    Some(())
}

fn cluster_name(node: &Node<'_>) -> Option<String> {
    let name = node.name()?;
    if name.chars().all(|c| c.is_ascii_graphic()) { Some(name) } else { node.expected("the name of an Envoy cluster") }
}

/// The cluster of an address: one for each signer and each injector, since these are the cluster's.
fn own_cluster(address: &Address, credential: &Credential) -> String {
    match credential {
        Credential::Signed(aws) => format!("{}_{}", address.cluster(), aws.suffix()),
        Credential::Injected(injected) => format!("{}_{}", address.cluster(), injected.suffix()),
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

/// What stands for a credential at one place: it says nothing of the credential itself.
fn credential_number(target: &Target) -> u64 {
    let place = format!("{}{}\n", target.authority, target.base_path);
    let secret = match &target.credential {
        Credential::Key(secret) | Credential::Bearer(secret) => secret.expose().to_owned(),
        Credential::Token(source) => source.id().to_owned(),
        Credential::Signed(aws) => aws.suffix(),
        Credential::Injected(injected) => injected.suffix(),
        Credential::None => String::new(),
    };
    number_of(format!("{place}{secret}"))
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
    let key = params.at("api_key");
    let variable = reference(key.typed()).or_else(|| key.typed().strip_prefix(SDS)).unwrap_or_default();
    format!("{model_group}\n{provider_name}\n{model}\n{tls} {host} {port}\n{base_path}\n{variable}\n")
}
