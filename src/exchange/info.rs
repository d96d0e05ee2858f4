//! `GET /v1/model/info` and `GET /model_group/info`: what the models behind the names can do, in LiteLLM's shape.
//!
//! Nothing in it is secret. Where a deployment is (`api_base`) is the operators' business: only the master key sees it.
//!
//! Source: LiteLLM 1.109.1, "Get Model Information" <https://docs.litellm.ai/docs/proxy/model_management> and
//! `types/router.py`, `ModelGroupInfo`; of their fields those that a config or the price table can fill.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::reply::{model_not_found, number};
use super::{Caller, Reply};
use crate::budget::Rate;
use crate::config::{Config, Deployment, Group};
use crate::error::Error;
use crate::openai::Endpoint;
use crate::provider::params;

#[derive(Serialize)]
struct Entry<'a> {
    model_name: &'a str,
    litellm_params: Params<'a>,
    model_info: Info<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    model: String,
    custom_llm_provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_base: Option<String>,
}

#[derive(Serialize)]
struct Info<'a> {
    id: &'a str,
    db_model: bool,
    base_model: &'a str,
    litellm_provider: &'a str,
    mode: Option<&'a str>,
    max_tokens: Option<u64>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input_cost_per_token: Option<Box<RawValue>>,
    output_cost_per_token: Option<Box<RawValue>>,
    cache_read_input_token_cost: Option<Box<RawValue>>,
    #[serde(flatten)]
    abilities: Abilities,
}

#[derive(Serialize)]
struct GroupEntry<'a> {
    model_group: &'a str,
    providers: BTreeSet<&'a str>,
    mode: Option<&'a str>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input_cost_per_token: Option<Box<RawValue>>,
    output_cost_per_token: Option<Box<RawValue>>,
    #[serde(flatten)]
    abilities: Abilities,
}

/// What is known of a model's abilities: of those not here nothing is.
#[derive(Default, Serialize)]
struct Abilities {
    supports_reasoning: bool,
    supports_response_schema: bool,
    supports_function_calling: bool,
    supports_parallel_function_calling: bool,
    supports_tool_choice: bool,
    supported_endpoints: BTreeSet<String>,
    supported_openai_params: BTreeSet<&'static str>,
}

impl Reply {
    /// `GET /v1/model/info`: every deployment that the caller may use, or the one of this `id`.
    pub(super) fn model_info(config: &Config, caller: Caller, id: Option<&str>) -> Result<Self, Error> {
        let wanted = |deployment: &&Rc<Deployment>| id.is_none_or(|id| deployment.id == id);
        let allowed = |deployment: &&Rc<Deployment>| caller.may_use(config, &deployment.model_group);
        let found = config.deployments.iter().filter(wanted).filter(allowed);
        listed(found.map(|deployment| Entry::of(deployment, caller)).collect(), id)
    }

    /// `GET /model_group/info`: every group that the caller may use, or the one of this `name`.
    pub(super) fn group_info(config: &Config, caller: Caller, name: Option<&str>) -> Result<Self, Error> {
        let found = config.groups.iter().filter(|(group, _)| name.is_none_or(|name| *group == name));
        let allowed = found.filter(|(group, _)| caller.may_use(config, group));
        listed(allowed.map(|(name, group)| GroupEntry::of(name, group)).collect(), name)
    }
}

/// `{"data":[...]}`, not empty where something was `wanted`.
fn listed<T: Serialize>(data: Vec<T>, wanted: Option<&str>) -> Result<Reply, Error> {
    match data.is_empty() && wanted.is_some() {
        true => Err(model_not_found()),
        false => Ok(Reply::of(&BTreeMap::from([("data", data)]))),
    }
}

impl<'a> Entry<'a> {
    fn of(deployment: &'a Deployment, caller: Caller) -> Self {
        let target = &deployment.target;
        let prefix = target.vendor.prefix;
        let scheme = if deployment.address.tls { "https" } else { "http" };
        let base = || format!("{scheme}://{}{}", target.authority, target.base_path);
        let price = deployment.price.as_ref();
        Self {
            model_name: &deployment.model_group,
            litellm_params: Params {
                model: format!("{prefix}/{}", target.model),
                custom_llm_provider: prefix,
                api_base: (caller == Caller::Master).then(base),
            },
            model_info: Info {
                id: &deployment.id,
                db_model: false,
                base_model: &target.base_model,
                litellm_provider: prefix,
                mode: mode(deployment),
                max_tokens: target.max_output_tokens,
                max_input_tokens: deployment.max_input_tokens,
                max_output_tokens: target.max_output_tokens,
                input_cost_per_token: price.and_then(|price| number(price.list(Rate::Input))),
                output_cost_per_token: price.and_then(|price| number(price.list(Rate::Output))),
                cache_read_input_token_cost: price.and_then(|price| number(price.list(Rate::Cached))),
                abilities: Abilities::of(deployment),
            },
        }
    }
}

impl<'a> GroupEntry<'a> {
    /// The most that any deployment of the group can, at the most that any costs.
    fn of(name: &'a str, group: &'a Group) -> Self {
        let members = group.pool.deployments();
        let prices = || members.iter().filter_map(|deployment| deployment.price.as_ref());
        let mut abilities = Abilities::default();
        members.iter().for_each(|deployment| abilities.join(Abilities::of(deployment)));
        Self {
            model_group: name,
            providers: members.iter().map(|deployment| deployment.target.vendor.prefix).collect(),
            mode: members.first().and_then(|deployment| mode(deployment)),
            max_input_tokens: members.iter().filter_map(|deployment| deployment.max_input_tokens).max(),
            max_output_tokens: members.iter().filter_map(|deployment| deployment.target.max_output_tokens).max(),
            input_cost_per_token: prices().map(|price| price.list(Rate::Input)).max().and_then(number),
            output_cost_per_token: prices().map(|price| price.list(Rate::Output)).max().and_then(number),
            abilities,
        }
    }
}

impl Abilities {
    fn of(deployment: &Deployment) -> Self {
        let target = &deployment.target;
        let params: BTreeSet<&str> = params::taken(endpoint(&deployment.mode), target).into_iter().collect();
        let takes = |name| params.contains(name);
        Self {
            supports_reasoning: target.supports_reasoning,
            supports_response_schema: target.supports_response_schema,
            supports_function_calling: takes("tools"),
            supports_parallel_function_calling: takes("parallel_tool_calls"),
            supports_tool_choice: takes("tool_choice"),
            supported_endpoints: served(deployment).map(|endpoint| format!("/v1{}", endpoint.path())).collect(),
            supported_openai_params: params,
        }
    }

    fn join(&mut self, other: Self) {
        self.supports_reasoning |= other.supports_reasoning;
        self.supports_response_schema |= other.supports_response_schema;
        self.supports_function_calling |= other.supports_function_calling;
        self.supports_parallel_function_calling |= other.supports_parallel_function_calling;
        self.supports_tool_choice |= other.supports_tool_choice;
        self.supported_endpoints.extend(other.supported_endpoints);
        self.supported_openai_params.extend(other.supported_openai_params);
    }
}

fn mode(deployment: &Deployment) -> Option<&str> {
    Some(deployment.mode.as_str()).filter(|mode| !mode.is_empty())
}

/// The endpoints that the deployment's provider has, or that are bridged to one that it has.
fn served(deployment: &Deployment) -> impl Iterator<Item = Endpoint> {
    Endpoint::ALL.into_iter().filter(|endpoint| crate::bridge::reach(*endpoint, &deployment.target).is_some())
}

/// The endpoint that models of this mode are made for.
fn endpoint(mode: &str) -> Endpoint {
    match mode {
        "completion" => Endpoint::Completions,
        "embedding" => Endpoint::Embeddings,
        "image_generation" => Endpoint::ImageGenerations,
        "image_edit" => Endpoint::ImageEdits,
        "audio_transcription" => Endpoint::AudioTranscriptions,
        "audio_speech" => Endpoint::AudioSpeech,
        "moderation" | "moderations" => Endpoint::Moderations,
        "rerank" => Endpoint::Rerank,
        "realtime" => Endpoint::Realtime,
        // Models that are made for responses take chats as well.
        _ => Endpoint::ChatCompletions,
    }
}
