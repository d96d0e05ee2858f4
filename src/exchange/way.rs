//! Where a request may go: the group that it asks for, its fallbacks, and which of their deployments suit it.

use super::Caller;
use super::knobs::Knobs;
use super::reply::model_not_found;
use super::tags::Tags;
use crate::bridge::Asked;
use crate::config::{Affinity, Config, Deployment, Resolved, Unpriced};
use crate::error::{Error, Kind};
use crate::json::edit::elements;
use crate::openai::Endpoint;
use crate::routing::{Level, MAX_SKIPPED, Needs, PerClass, Skip, Way};
use crate::token::Tokens;
use crate::units::Millis;

/// The way of a request for `model`, a name as the client typed it.
///
/// # Errors
///
/// `ModelNotFound`, `ModelNotAllowed`, `TagsNotAllowed`.
pub(super) fn way(config: &Config, caller: Caller, model: &str, knobs: &Knobs) -> Result<Way, Error> {
    let Some(resolved) = caller.resolve(config, model) else { return Err(model_not_found()) };
    if !caller.may_use(config, model) {
        let error = Error::new(Kind::ModelNotAllowed, "this key may not use this model");
        return Err(error.with_param("model"));
    }
    let tags = config.routing.filters_tags.then(|| Tags::new(config, caller, knobs));
    let level = |resolved: &Resolved<'_>| {
        let whole = resolved.pool();
        let pool = tags.as_ref().map_or_else(|| whole.clone(), |tags| tags.among(&whole));
        let retries = if knobs.num_retries == Some(0) { PerClass::default() } else { resolved.group.retries };
        let num_retries = knobs.num_retries.unwrap_or(resolved.group.num_retries);
        let level = Level { group: resolved.name.to_owned(), pool, retries, num_retries };
        if whole.deployments().is_empty() { Err(model_not_found()) } else { Ok(level) }
    };
    let first = level(&resolved)?;
    if first.pool.deployments().is_empty() {
        return Err(Error::new(Kind::TagsNotAllowed, "no deployment of this model serves the tags of this request"));
    }
    if knobs.disable_fallbacks {
        return Ok(Way { levels: vec![first], ..Way::default() });
    }
    let may_use = |name: &&String| caller.may_use(config, name);
    let levels = |allowed: Vec<&String>, meant: bool| -> Vec<Level> {
        let others = allowed.into_iter().filter(|name| name.as_str() != model);
        let known = others.filter_map(|name| if meant { caller.resolve(config, name) } else { config.resolve(name) });
        let other = known.filter(|other| other.captured.is_some() || other.name != resolved.name);
        let levels = other.filter_map(|other| level(&other).ok()).filter(|level| !level.pool.deployments().is_empty());
        levels.take(config.routing.max_fallbacks).collect()
    };
    let group = resolved.group;
    let names = knobs.fallbacks.as_ref().unwrap_or(&group.fallbacks);
    let (allowed, forbidden): (Vec<&String>, Vec<&String>) = names.iter().partition(may_use);
    let fallbacks = levels(allowed, knobs.fallbacks.is_some());
    let forbidden = forbidden.into_iter().filter_map(|name| config.groups.get(name));
    let special = |names: &[String]| levels(names.iter().filter(may_use).collect(), false);
    Ok(Way {
        levels: std::iter::once(first).chain(fallbacks).collect(),
        context_window: special(&group.context_window_fallbacks),
        content_policy: special(&group.content_policy_fallbacks),
        forbidden: forbidden.flat_map(|group| group.pool.deployments()).take(MAX_SKIPPED).cloned().collect(),
    })
}

/// The same for requests that belong to one conversation; `None` where the config keeps none together.
pub(super) fn affinity(config: &Config, caller: Caller, asked: &Asked, knobs: &Knobs) -> Option<u64> {
    let Affinity { prompt, session, key } = config.routing.affinity;
    let request = asked.client();
    let named = |name: &str| request.body.get(request.index.get(name)?.value.clone());
    let conversation = || -> Option<&[u8]> {
        let explicit = named("prompt_cache_key").or_else(|| named("previous_response_id"));
        explicit.or_else(|| beginning(named("messages").or_else(|| named("input"))?))
    };
    let session = knobs.session.as_deref().map(str::as_bytes).filter(|_| session);
    let of_prompt = || if prompt { conversation() } else { None };
    let of_key = || key.then(|| caller.alias(config).as_bytes());
    Some(hash(session.or_else(of_prompt).or_else(of_key)?))
}

/// The first two messages of a conversation, which its later requests repeat: what the system says, and the first question.
fn beginning(messages: &[u8]) -> Option<&[u8]> {
    let Some(messages_at) = elements(messages, 0..messages.len()) else { return Some(messages) };
    let end = messages_at.get(1).or(messages_at.first())?.end;
    messages.get(..end)
}

/// FNV-1a, 64 bits.
///
/// Source: RFC 9923 <https://www.rfc-editor.org/rfc/rfc9923>, not re-read for this.
fn hash(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// What of a request decides whether a deployment suits it.
#[derive(Debug)]
pub(super) struct Terms {
    /// `enable_pre_call_checks`.
    pub(super) checks_prompts: bool,
    /// Whether there are images in the prompt.
    pub(super) has_images: bool,
    /// Whether it must have a price.
    pub(super) needs_price: bool,
    /// The team of the caller's key.
    pub(super) team: Option<String>,
}

impl Terms {
    pub(super) fn of(config: &Config, caller: Caller, asked: &Asked) -> Self {
        let checks_prompts = config.routing.checks_prompts;
        let team = caller.key(config).and_then(|key| key.team_id.clone());
        // A count of tokens costs nothing anywhere.
        let needs_price = config.unpriced == Unpriced::Refuse && asked.client().endpoint != Endpoint::CountTokens;
        Self { checks_prompts, has_images: checks_prompts && has_images(asked), needs_price, team }
    }

    /// Whether `deployment` can be asked at all, and what the client is told if none can.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn suits(
        &self,
        asked: &Asked,
        needs: &Needs,
        deployment: &Deployment,
        tokens: &Tokens,
        now: Millis,
    ) -> Result<(), (Skip, Box<Error>)> {
        let target = &deployment.target;
        asked.check(target).map_err(|error| (Skip::Parameters, Box::new(error)))?;
        target.credential.secret(tokens, now).map_err(|error| (Skip::Token, Box::new(error)))?;
        if deployment.is_reserved(now, self.team.as_deref()) {
            let message = "at this hour this model is reserved for other teams";
            let error = Error::new(Kind::ModelNotAllowed, message).with_param("model");
            return Err((Skip::Reserved, Box::new(error)));
        }
        if self.needs_price && deployment.price.is_none() {
            let message = "nobody knows what this model costs: this gateway serves priced models only";
            let error = Error::new(Kind::ModelNotPriced, message).with_param("model");
            return Err((Skip::Unpriced, Box::new(error)));
        }
        if !self.checks_prompts {
            return Ok(());
        }
        if deployment.max_input_tokens.is_some_and(|max| needs.tokens > max) {
            return Err((Skip::Context, Box::new(too_long(needs.tokens))));
        }
        if self.has_images && deployment.supports_vision == Some(false) {
            let message = "no model of this name takes images";
            let error = Error::new(Kind::InvalidValue, message).with_param("messages");
            return Err((Skip::Vision, Box::new(error)));
        }
        Ok(())
    }
}

fn too_long(tokens: u64) -> Error {
    let message = format!("the prompt has about {tokens} tokens: no model of this name takes that many");
    Error::new(Kind::ContextLengthExceeded, message).with_param("messages")
}

/// Whether the prompt holds a part of an image, in OpenAI's or Anthropic's shape.
fn has_images(asked: &Asked) -> bool {
    let request = asked.client();
    let members = ["messages", "input"].into_iter().filter_map(|name| request.index.get(name));
    let mut texts = members.filter_map(|member| request.body.get(member.value.clone()));
    texts.any(|text| PARTS.iter().any(|part| memchr::memmem::find(text, part).is_some()))
}

/// The types of parts that are images.
const PARTS: [&[u8]; 4] = [b"\"image_url\"", b"\"input_image\"", b"\"type\":\"image\"", b"\"type\": \"image\""];
