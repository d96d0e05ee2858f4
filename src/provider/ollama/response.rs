//! A whole answer of `/api/chat` as a chat completion.
//!
//! Source: Ollama, "Generate a chat message" <https://docs.ollama.com/api/chat>, not re-read for this; its
//! `api/types.go`, read 2026-11-23.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tags::{Piece, Tags};
use super::{error, finish_reason, usage};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Choice, Completion, Raw, Reply};
use crate::provider::chunks::ID_PREFIX;
use crate::provider::{Answer, Target};

/// An answer, or one line of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) created_at: Raw<'a>,
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(borrow)]
    pub(super) done_reason: Raw<'a>,
    #[serde(borrow)]
    pub(super) logprobs: Raw<'a>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
    #[serde(borrow)]
    pub(super) error: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
}

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

impl<'a> Line<'a> {
    pub(super) fn usage(&self) -> Option<crate::openai::Usage> {
        usage::usage(self.prompt_eval_count, self.eval_count)
    }

    /// Why the model stopped, in OpenAI's words.
    pub(super) fn finish_reason(&self, has_calls: bool) -> &'static str {
        let reason = self.done_reason.and_then(Literal::new).map_or("", Literal::inner);
        finish_reason(reason, has_calls)
    }

    /// `logprobs` of a choice.
    pub(super) fn logprobs(&self) -> Option<Box<RawValue>> {
        let content = self.logprobs.filter(|raw| raw.get().starts_with('['))?;
        RawValue::from_string(format!("{{\"content\":{}}}", content.get())).ok()
    }

    /// What the answer is called by: the digits of the time at which it began, else `now_secs`.
    pub(super) fn stamp(&self, now_secs: u64) -> String {
        let created_at = self.created_at.and_then(Literal::new).map_or("", Literal::inner);
        let digits: String =
            created_at.chars().take_while(|c| *c != 'Z').filter(char::is_ascii_digit).take(32).collect();
        if digits.is_empty() { now_secs.to_string() } else { digits }
    }
}

impl<'a> Call<'a> {
    /// A call's id: the server's, or one made of the answer's and the call's number.
    pub(super) fn id(&self, stamp: &str, number: usize) -> Text<'a> {
        match self.id.and_then(Literal::new).filter(|id| !id.inner().is_empty()) {
            Some(id) => Text::Literal(id),
            None => Text::Plain(format!("call_{stamp}_{number}").into()),
        }
    }

    /// What is called; the arguments are JSON inside a string.
    pub(super) fn called(&self) -> (chat::Called<'a>, u64) {
        let name = self.function.name.and_then(Literal::new).map_or(Text::Plain("".into()), Text::Literal);
        let (arguments, bytes) = match self.function.arguments {
            Some(raw) => match Literal::new(raw) {
                Some(text) => (Text::Literal(text), text.decoded_len()),
                None => (Text::Plain(raw.get().into()), raw.get().len() as u64),
            },
            None => (Text::Plain("{}".into()), 2),
        };
        (chat::Called { name: Some(name), arguments }, bytes)
    }
}

/// Reads a whole answer; `now_secs` is Unix time.
///
/// # Errors
///
/// `BadUpstream`: it is no answer of Ollama's. `Upstream`: it is an error in spite of its status.
pub(super) fn response(target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a chat message");
    let line: Line<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    if let Some(error) = line.error {
        return Err(error::in_stream(&Literal::new(error).and_then(Literal::decode).unwrap_or_default()));
    }
    let message = line.message.as_ref().ok_or_else(bad)?;
    let stamp = line.stamp(now_secs);
    let (reply, content_bytes) = reply(message, &stamp);
    let finish_reason = line.finish_reason(!reply.tool_calls.is_empty());
    let usage = line.usage();
    let completion = Completion {
        id: &format!("{ID_PREFIX}{stamp}"),
        object: "chat.completion",
        created: now_secs,
        model: if line.model.is_empty() { &target.model } else { &line.model },
        choices: vec![Choice { index: 0, message: reply, logprobs: line.logprobs(), finish_reason }],
        usage: usage.as_ref().map(Into::into),
    };
    let body = serde_json::to_vec(&completion).map_err(|_| bad())?;
    Ok(Answer { body: Some(body), usage, content_bytes })
}

/// The assistant's message, and how many bytes of text it has.
fn reply<'a>(message: &Message<'a>, stamp: &str) -> (Reply<'a>, u64) {
    let content = message.content.and_then(Literal::new);
    let thinking = message.thinking.and_then(Literal::new).filter(|text| !text.inner().is_empty());
    let mut bytes = content.map_or(0, Literal::decoded_len) + thinking.map_or(0, Literal::decoded_len);
    let (mut text, mut reasoning) = (content.map(Text::Literal), thinking.map(Text::Literal));
    if thinking.is_none()
        && let Some((thought, rest)) = content.and_then(untag)
    {
        (text, reasoning) = (Some(Text::Plain(rest.into())), Some(Text::Plain(thought.into())));
    }
    let mut tool_calls = Vec::new();
    for (number, call) in message.tool_calls.iter().flatten().enumerate() {
        let (function, argument_bytes) = call.called();
        bytes += argument_bytes;
        tool_calls.push(chat::Call { id: call.id(stamp, number), type_: "function", function });
    }
    let says_nothing = content.is_none_or(|text| text.inner().is_empty());
    let content = if says_nothing && !tool_calls.is_empty() { None } else { text.or(Some(Text::Plain("".into()))) };
    (Reply { role: "assistant", content, reasoning_content: reasoning, tool_calls, ..Reply::default() }, bytes)
}

/// The reasoning at the beginning of a text, and the rest; `None` where there is none.
fn untag(text: Literal<'_>) -> Option<(String, String)> {
    // The brackets may be escaped, as Go's encoder does.
    let text = if text.inner().contains("think") { text.decode()? } else { return None };
    let (mut tags, mut thought, mut rest) = (Tags::default(), String::new(), String::new());
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Reasoning(text) => thought.push_str(&text),
        Piece::Content(text) => rest.push_str(&text),
    };
    tags.push(&text, &mut take);
    tags.end().into_iter().for_each(take);
    (rest.len() < text.len()).then_some((thought, rest))
}
