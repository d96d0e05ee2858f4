//! A whole message as a chat completion.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, not re-read for this.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::extra::{self, Annotation, Extra};
use super::schema::{self, Format};
use super::usage::Wire as WireUsage;
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{Call, Called, Choice, Completion, Raw, Reply};
use crate::provider::chunks::ID_PREFIX;
use crate::provider::given::Given;
use crate::provider::tools::Names;
use crate::provider::{Answer, Target};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_details: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    container: Raw<'a>,
    #[serde(borrow)]
    context_management: Raw<'a>,
}

/// A block of content, whatever its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) type_: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(super) data: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
    #[serde(borrow)]
    pub(super) citations: Option<Vec<&'a RawValue>>,
}

/// Reads a whole answer; `now_secs` is Unix time.
///
/// # Errors
///
/// `BadUpstream`: it is no message.
pub(super) fn response(request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a message");
    let message: Message<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let form = Form::of(request, target);
    let is_there = |raw: &&RawValue| raw.get() != "null";
    let (container, context_management) =
        (message.container.filter(is_there), message.context_management.filter(is_there));
    let mut parts = Parts { extra: Extra { container, context_management, ..Extra::default() }, ..Parts::default() };
    for raw in &message.content {
        parts.take(raw, &form);
    }
    let usage = WireUsage::read(message.usage).map(|wire| wire.usage());
    let content_bytes = parts.bytes;
    let stop_reason = message.stop_reason.as_deref().unwrap_or_default();
    let finish_reason = super::finish_reason(stop_reason, !parts.calls.is_empty());
    let completion = Completion {
        id: &format!("{ID_PREFIX}{}", message.id),
        object: "chat.completion",
        created: now_secs,
        model: &message.model,
        choices: vec![Choice { index: 0, message: parts.reply(message.stop_details), logprobs: None, finish_reason }],
        usage: usage.as_ref().map(Into::into),
    };
    let body = serde_json::to_vec(&completion).map_err(|_| bad())?;
    Ok(Answer { body: Some(body), usage, content_bytes })
}

/// What of a request the form of its answer depends on.
#[derive(Debug)]
pub(super) struct Form {
    names: Names,
    /// Whether the answer comes as the arguments of a tool.
    pub(super) is_json_tool: bool,
}

impl Form {
    pub(super) fn of(request: &Request, target: &Target) -> Self {
        let given = Given::of(request);
        let is_json_tool = matches!(schema::format(&given, target), Ok(Format::Tool(_)));
        Self { names: Names::read(&super::tools::ALPHABET, given.text("tools")), is_json_tool }
    }

    /// The client's name of a tool.
    pub(super) fn name<'a>(&'a self, theirs: &'a str) -> &'a str {
        self.names.downstream(theirs).unwrap_or(theirs)
    }

    /// Whether a tool of this name carries the answer itself.
    pub(super) fn is_answer(&self, name: &str) -> bool {
        self.is_json_tool && name == schema::JSON_TOOL
    }
}

/// The explanation of a refusal.
pub(super) fn refusal<'a>(stop_details: Raw<'a>) -> Option<Text<'a>> {
    #[derive(Deserialize)]
    struct Details<'a> {
        #[serde(borrow)]
        explanation: Raw<'a>,
    }
    let details: Details<'a> = serde_json::from_str(stop_details?.get()).ok()?;
    details.explanation.and_then(Literal::new).map(Text::Literal)
}

/// What the blocks of a message come to.
#[derive(Default)]
struct Parts<'a> {
    text: Vec<Literal<'a>>,
    thinking: Vec<Literal<'a>>,
    thinking_blocks: Vec<&'a RawValue>,
    calls: Vec<Call<'a>>,
    /// The arguments of the JSON tool.
    json: Option<&'a RawValue>,
    annotations: Vec<Annotation<'a>>,
    extra: Extra<'a>,
    bytes: u64,
    /// How many characters of text there are.
    chars: u64,
}

impl<'a> Parts<'a> {
    /// Adds a block; one that makes no sense has no place in a completion.
    fn take(&mut self, raw: &'a RawValue, form: &'a Form) {
        let Ok(block) = serde_json::from_str::<Block<'a>>(raw.get()) else { return };
        match &*block.type_ {
            "text" => {
                let text = self.count(block.text);
                self.text.extend(text);
                let start = self.chars;
                self.chars += text.and_then(Literal::decode).map_or(0, |text| text.chars().count() as u64);
                self.cite(block.citations.unwrap_or_default(), start);
            }
            "thinking" => {
                let thinking = self.count(block.thinking);
                self.thinking.extend(thinking);
                self.thinking_blocks.push(raw);
            }
            "redacted_thinking" => self.thinking_blocks.push(raw),
            "tool_use" => self.call(block, form),
            other => self.extra.take(other, raw),
        }
    }

    fn cite(&mut self, citations: Vec<&'a RawValue>, start: u64) {
        let places = citations.iter().filter_map(|citation| extra::annotation(citation, start, self.chars));
        self.annotations.extend(places);
        self.extra.citations.extend((!citations.is_empty()).then_some(citations));
    }

    fn count(&mut self, raw: Raw<'a>) -> Option<Literal<'a>> {
        let literal = Literal::new(raw?)?;
        self.bytes += literal.decoded_len();
        Some(literal)
    }

    fn call(&mut self, block: Block<'a>, form: &'a Form) {
        let arguments = block.input.map_or("{}", RawValue::get);
        self.bytes += arguments.len() as u64;
        if form.is_answer(&block.name) {
            self.json = block.input;
            return;
        }
        let id = block.id.and_then(Literal::new).map_or(Text::Plain("".into()), Text::Literal);
        let name = match form.names.downstream(&block.name) {
            Some(ours) => Cow::Borrowed(ours),
            None => block.name,
        };
        let function = Called { name: Some(Text::Plain(name)), arguments: Text::Plain(arguments.into()) };
        self.calls.push(Call { id, type_: "function", function });
    }

    fn reply(self, stop_details: Raw<'a>) -> Reply<'a> {
        let refusal = refusal(stop_details);
        let content = match self.json {
            Some(json) => Some(Text::Plain(json.get().into())),
            None if self.text.is_empty() && (refusal.is_some() || !self.calls.is_empty()) => None,
            None => Some(joined(self.text)),
        };
        Reply {
            role: "assistant",
            content,
            refusal,
            reasoning_content: (!self.thinking.is_empty()).then(|| joined(self.thinking)),
            thinking_blocks: self.thinking_blocks,
            tool_calls: self.calls,
            annotations: extra::written(&self.annotations).map(Cow::Owned),
            provider_specific_fields: self.extra.written(),
            ..Reply::default()
        }
    }
}

/// One text out of many; a single one stays as it is written.
fn joined(texts: Vec<Literal<'_>>) -> Text<'_> {
    match texts.as_slice() {
        [one] => Text::Literal(*one),
        many => Text::Plain(Cow::Owned(many.iter().filter_map(|text| text.decode()).collect())),
    }
}
