//! Where a request may go: the group that it asks for, its fallbacks, and which of their deployments suit it.

use std::rc::Rc;

use super::Caller;
use super::knobs::Knobs;
use super::reply::model_not_found;
use crate::bridge::Asked;
use crate::config::{Config, Deployment, Group};
use crate::error::{Error, Kind};
use crate::routing::{Level, Needs, Skip, Way};
use crate::token::Tokens;
use crate::units::Millis;

/// The way of a request for `model`.
///
/// # Errors
///
/// `ModelNotFound`, `ModelNotAllowed`.
pub(super) fn way(config: &Config, caller: Caller, model: &str, knobs: &Knobs) -> Result<Way, Error> {
    let Some(group) = config.groups.get(model) else { return Err(model_not_found()) };
    if !caller.may_use(config, model) {
        let error = Error::new(Kind::ModelNotAllowed, "this key may not use this model");
        return Err(error.with_param("model"));
    }
    let first = level(model, group, knobs);
    if knobs.disable_fallbacks {
        return Ok(Way { levels: vec![first], ..Way::default() });
    }
    let levels = |names: &[String]| -> Vec<Level> {
        let allowed = names.iter().filter(|name| name.as_str() != model && caller.may_use(config, name));
        let known = allowed.filter_map(|name| Some((name, config.groups.get(name)?)));
        known.take(config.routing.max_fallbacks).map(|(name, group)| level(name, group, knobs)).collect()
    };
    let fallbacks = levels(knobs.fallbacks.as_ref().unwrap_or(&group.fallbacks));
    Ok(Way {
        levels: std::iter::once(first).chain(fallbacks).collect(),
        context_window: levels(&group.context_window_fallbacks),
        content_policy: levels(&group.content_policy_fallbacks),
    })
}

fn level(name: &str, group: &Group, knobs: &Knobs) -> Level {
    Level {
        group: name.to_owned(),
        pool: Rc::clone(&group.pool),
        retries: if knobs.num_retries == Some(0) { Default::default() } else { group.retries },
        num_retries: knobs.num_retries.unwrap_or(group.num_retries),
    }
}

/// What of a request decides whether a deployment suits it.
#[derive(Debug)]
pub(super) struct Terms {
    /// `enable_pre_call_checks`.
    pub(super) checks_prompts: bool,
    /// Whether there are images in the prompt.
    pub(super) has_images: bool,
}

impl Terms {
    pub(super) fn of(config: &Config, asked: &Asked) -> Self {
        let checks_prompts = config.routing.checks_prompts;
        Self { checks_prompts, has_images: checks_prompts && has_images(asked) }
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
    ) -> Result<(), (Skip, Error)> {
        let target = &deployment.target;
        asked.check(target).map_err(|error| (Skip::Parameters, error))?;
        target.credential.secret(tokens, now).map_err(|error| (Skip::Token, error))?;
        if !self.checks_prompts {
            return Ok(());
        }
        if deployment.max_input_tokens.is_some_and(|max| needs.tokens > max) {
            return Err((Skip::Context, too_long(needs.tokens)));
        }
        if self.has_images && deployment.supports_vision == Some(false) {
            let message = "no model of this name takes images";
            return Err((Skip::Vision, Error::new(Kind::InvalidValue, message).with_param("messages")));
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
