//! A whole answer of `/v2/chat` as a chat completion.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, not re-read for this.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::extras::{self, Fields};
use super::usage::Wire as WireUsage;
use super::{finish_reason, is_told_in_part};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Choice, Completion, Raw, Reply};
use crate::provider::chunks::ID_PREFIX;
use crate::provider::{Answer, Target};

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    logprobs: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    tool_plan: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    citations: Raw<'a>,
}

/// A piece of content, whatever its type; also of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
}

/// A call, or a piece of one in a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) function: Called<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
    #[serde(borrow)]
    pub(super) arguments: Raw<'a>,
}

/// Reads a whole answer; `now_secs` is Unix time.
///
/// # Errors
///
/// `BadUpstream`: it is no answer of Cohere's.
pub(super) fn response(target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a chat message");
    let answer: Chat<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let wire = WireUsage::read(answer.usage);
    let reason = answer.finish_reason.as_deref().unwrap_or_default();
    let logprobs = extras::logprobs(answer.logprobs);
    let fields = Fields {
        citations: answer.message.citations.filter(|raw| raw.get() != "[]"),
        billed_units: wire.as_ref().and_then(|wire| wire.billed_units),
        finish_reason: is_told_in_part(reason).then_some(reason.into()),
        logprobs: answer.logprobs.filter(|_| logprobs.is_none()),
    };
    let (mut reply, content_bytes) = reply(&answer.message);
    reply.annotations = extras::annotations(answer.message.citations).map(Cow::Owned);
    reply.provider_specific_fields = fields.write();
    let finish_reason = finish_reason(reason, !reply.tool_calls.is_empty());
    let usage = wire.and_then(|wire| wire.usage());
    let completion = Completion {
        id: &format!("{ID_PREFIX}{}", answer.id),
        object: "chat.completion",
        created: now_secs,
        model: &target.model,
        choices: vec![Choice { index: 0, message: reply, logprobs, finish_reason }],
        usage: usage.as_ref().map(Into::into),
    };
    let body = serde_json::to_vec(&completion).map_err(|_| bad())?;
    Ok(Answer { body: Some(body), usage, content_bytes })
}

/// The assistant's message without what stands beside its text, and how many bytes of text it has.
fn reply<'a>(message: &Message<'a>) -> (Reply<'a>, u64) {
    let (mut texts, mut thoughts) = (Vec::new(), Vec::new());
    match message.content {
        Some(raw) if raw.get().starts_with('"') => texts.extend(Literal::new(raw)),
        Some(raw) => {
            let blocks: Vec<&'a RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            for block in blocks.into_iter().filter_map(|raw| serde_json::from_str::<Block<'a>>(raw.get()).ok()) {
                texts.extend(block.text.and_then(Literal::new));
                thoughts.extend(block.thinking.and_then(Literal::new));
            }
        }
        None => (),
    }
    thoughts.extend(message.tool_plan.and_then(Literal::new).filter(|plan| !plan.inner().is_empty()));
    let mut bytes: u64 = texts.iter().chain(&thoughts).map(|text| text.decoded_len()).sum();
    let mut tool_calls = Vec::new();
    for call in message.tool_calls.iter().flatten() {
        let literal = |raw: Raw<'a>| raw.and_then(Literal::new);
        let arguments = literal(call.function.arguments).filter(|text| !text.inner().is_empty());
        bytes += arguments.map_or(2, Literal::decoded_len);
        let function = chat::Called {
            name: Some(or_plain(literal(call.function.name), "")),
            arguments: or_plain(arguments, "{}"),
        };
        tool_calls.push(chat::Call { id: or_plain(literal(call.id), ""), type_: "function", function });
    }
    let content = (!texts.is_empty() || tool_calls.is_empty()).then(|| joined(texts));
    let reasoning_content = (!thoughts.is_empty()).then(|| joined(thoughts));
    (Reply { role: "assistant", content, reasoning_content, tool_calls, ..Reply::default() }, bytes)
}

fn or_plain<'a>(text: Option<Literal<'a>>, plain: &'static str) -> Text<'a> {
    text.map_or(Text::Plain(Cow::Borrowed(plain)), Text::Literal)
}

/// One text out of many; a single one stays as it is written.
fn joined(texts: Vec<Literal<'_>>) -> Text<'_> {
    match texts.as_slice() {
        [one] => Text::Literal(*one),
        many => Text::Plain(Cow::Owned(many.iter().filter_map(|text| text.decode()).collect())),
    }
}
