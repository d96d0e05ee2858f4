//! A whole chat completion as a message.
//!
//! Arguments that are no JSON object come as `{"INVALID_JSON":"…"}`, which is how Anthropic wants them wrapped:
//! "Fine-grained tool streaming" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming>,
//! not re-read for this.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::reply::{self, Citation, Usage};
use super::tools::Names;
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::Raw;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Completion<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Option<Reply<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    reasoning_content: Raw<'a>,
    #[serde(borrow)]
    reasoning: Raw<'a>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    annotations: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    provider_specific_fields: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Message<'a> {
    id: String,
    #[serde(rename = "type")]
    type_: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: Text<'a>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Citation<'a>>,
    },
    Thinking {
        thinking: Text<'a>,
        signature: &'static str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        provider_specific_fields: Raw<'a>,
    },
    /// A block of reasoning, as the provider wants it back.
    #[serde(untagged)]
    Thought(&'a RawValue),
}

/// `chat`, a whole chat completion, as the message that `client` waits for.
///
/// # Errors
///
/// `BadUpstream`: it is none.
pub(super) fn response(client: &Request, chat: &[u8]) -> Result<Vec<u8>, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a chat completion");
    let mut chat: Completion<'_> = serde_json::from_slice(chat).map_err(|_| bad())?;
    let choice = if chat.choices.is_empty() { return Err(bad()) } else { chat.choices.swap_remove(0) };
    let reply = choice.message.unwrap_or_default();
    let names = Names::of(client);
    let has_refused = words(reply.refusal).is_some();
    let has_calls = reply.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
    let message = Message {
        id: reply::message_id(chat.id.as_deref().unwrap_or_default()),
        type_: "message",
        role: "assistant",
        model: chat.model.as_deref().unwrap_or(&client.model),
        content: content(reply, &names),
        stop_reason: reply::stop_reason(choice.finish_reason.as_deref().unwrap_or_default(), has_calls, has_refused),
        stop_sequence: None,
        usage: Usage::read(chat.usage).unwrap_or_default(),
    };
    serde_json::to_vec(&message).map_err(|_| bad())
}

/// A string that is not empty.
fn words(raw: Raw<'_>) -> Option<Text<'_>> {
    let text = Literal::new(raw?)?;
    (!text.inner().is_empty()).then_some(Text::Literal(text))
}

fn content<'a>(reply: Reply<'a>, names: &Names) -> Vec<Block<'a>> {
    let thoughts = reply.thinking_blocks.unwrap_or_default();
    let mut blocks: Vec<Block<'a>> = thoughts.into_iter().map(Block::Thought).collect();
    if blocks.is_empty() {
        let thinking = words(reply.reasoning_content).or_else(|| words(reply.reasoning));
        blocks.extend(thinking.map(|thinking| Block::Thinking { thinking, signature: "" }));
    }
    let mut citations = reply::citations(reply.annotations);
    for text in [words(reply.content), words(reply.refusal)].into_iter().flatten() {
        blocks.push(Block::Text { text, citations: std::mem::take(&mut citations) });
    }
    blocks.extend(reply.tool_calls.unwrap_or_default().into_iter().map(|call| tool_use(call, names)));
    blocks
}

fn tool_use<'a>(call: Call<'a>, names: &Names) -> Block<'a> {
    let function = call.function.unwrap_or_default();
    let name = function.name.unwrap_or_default();
    let name = match names.client(&name) {
        same if same == name => name,
        own => Cow::Owned(own.to_owned()),
    };
    let id = match call.id.unwrap_or_default() {
        Cow::Borrowed(id) => reply::call_id(id),
        Cow::Owned(id) => Cow::Owned(reply::call_id(&id).into_owned()),
    };
    let input = input(&function.arguments.unwrap_or_default());
    Block::ToolUse { id, name, input, provider_specific_fields: call.provider_specific_fields }
}

fn input(arguments: &str) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Invalid<'a> {
        #[serde(rename = "INVALID_JSON")]
        text: &'a str,
    }
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments.trim() };
    let object = serde_json::from_str::<Box<RawValue>>(arguments).ok().filter(|raw| raw.get().starts_with('{'));
    let wrapped = || serde_json::value::to_raw_value(&Invalid { text: arguments }).unwrap_or_default();
    object.unwrap_or_else(wrapped)
}
