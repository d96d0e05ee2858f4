//! The conversation: OpenAI's messages as Cohere's, which look much the same.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, "Tool use"
//! <https://docs.cohere.com/docs/tool-use-overview>, not re-read for this; "Reasoning"
//! <https://docs.cohere.com/docs/reasoning>, read 2026-11-23.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, FunctionCall, Part, Raw, ToolCall};

/// A message as clients write it, as far as Cohere has a place for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    reasoning_content: Raw<'a>,
    #[serde(borrow)]
    tool_plan: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    function_call: Raw<'a>,
    #[serde(borrow)]
    tool_call_id: Raw<'a>,
    #[serde(borrow)]
    citations: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
}

/// A message as Cohere wants it.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Raw<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Literal<'a>),
    Blocks(Vec<Block<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: Literal<'a>,
    },
    Thinking {
        thinking: Literal<'a>,
    },
    ImageUrl {
        image_url: Image<'a>,
    },
    /// Cohere's own block, as it came.
    #[serde(untagged)]
    Native(&'a RawValue),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Image<'a> {
    AsGiven(&'a RawValue),
    At { url: Literal<'a> },
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: Text<'a>,
    #[serde(rename = "type")]
    type_: &'static str,
    function: Called<'a>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: Literal<'a>,
    arguments: Text<'a>,
}

/// Translates `messages`, a JSON array, for a model that reasons or does not.
///
/// # Errors
///
/// The client's, with the path of what is wrong.
pub(super) fn translate(messages: &str, reasons: bool) -> Result<Vec<Turn<'_>>, Fault> {
    let all: Vec<Message<'_>> = chat::objects(messages).map_err(|fault| fault.at("messages"))?;
    let mut legacy_calls = 0;
    let turns = all.iter().enumerate();
    let translate = |(i, message)| {
        let turn = turn(message, reasons, &mut legacy_calls);
        turn.map_err(|fault: Fault| fault.in_element("messages", i))
    };
    turns.map(translate).collect()
}

fn turn<'a>(message: &Message<'a>, reasons: bool, legacy_calls: &mut usize) -> Result<Turn<'a>, Fault> {
    let wrong_role = || Fault::wrong_value("one of system, developer, user, assistant, tool, function").at("role");
    let given_role = chat::required(message.role, "role")?;
    let role = match &*given_role {
        "system" | "developer" => "system",
        "user" => "user",
        "assistant" => "assistant",
        "tool" | "function" => "tool",
        _ => return Err(wrong_role()),
    };
    let mut turn = Turn {
        role,
        content: content(message.content).map_err(|fault| fault.at("content"))?,
        tool_plan: None,
        tool_calls: None,
        tool_call_id: text(message.tool_call_id, "tool_call_id")?.map(Text::Literal),
        citations: message.citations,
        name: message.name,
    };
    if given_role == "function" {
        turn.tool_call_id = Some(legacy_id(*legacy_calls));
    }
    if role == "assistant" {
        turn.tool_calls = calls(message, legacy_calls)?;
        answered(&mut turn, message, reasons)?;
    }
    Ok(turn)
}

/// What an assistant said beside its content: a refusal, or its thoughts.
fn answered<'a>(turn: &mut Turn<'a>, message: &Message<'a>, reasons: bool) -> Result<(), Fault> {
    if turn.content.is_none() {
        turn.content = text(message.refusal, "refusal")?.map(Content::Text);
    }
    turn.tool_plan = text(message.tool_plan, "tool_plan")?;
    let thoughts = text(message.reasoning_content, "reasoning_content")?.filter(|text| !text.inner().is_empty());
    let Some(thinking) = thoughts.filter(|_| turn.tool_plan.is_none()) else { return Ok(()) };
    if !reasons {
        turn.tool_plan = turn.tool_calls.is_some().then_some(thinking);
        return Ok(());
    }
    let mut blocks = vec![Block::Thinking { thinking }];
    match turn.content.take() {
        Some(Content::Text(text)) if !text.inner().is_empty() => blocks.push(Block::Text { text }),
        Some(Content::Blocks(own)) => blocks.extend(own),
        Some(Content::Text(_)) | None => (),
    }
    turn.content = Some(Content::Blocks(blocks));
    Ok(())
}

fn text<'a>(raw: Raw<'a>, name: &'static str) -> Result<Option<Literal<'a>>, Fault> {
    raw.map(chat::literal).transpose().map_err(|fault| fault.at(name))
}

fn content(raw: Raw<'_>) -> Result<Option<Content<'_>>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    if let Some(text) = Literal::new(raw) {
        return Ok(Some(Content::Text(text)));
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::wrong_type("a string or an array"));
    }
    let (parts, natives): (Vec<Part<'_>>, _) = (chat::objects(raw.get())?, chat::elements(raw.get())?);
    let parts = parts.iter().zip(natives).enumerate();
    let blocks = parts.map(|(i, (part, native))| block(part, native).map_err(|fault| fault.in_element("", i)));
    blocks.collect::<Result<_, _>>().map(|blocks| Some(Content::Blocks(blocks)))
}

/// The block of one part; `native` is the part as it came.
fn block<'a>(part: &Part<'a>, native: &'a RawValue) -> Result<Block<'a>, Fault> {
    let required = |raw: Raw<'a>, name| text(raw, name)?.ok_or(Fault::missing("a string").at(name));
    match &*chat::required(part.type_, "type")? {
        "text" => Ok(Block::Text { text: required(part.text, "text")? }),
        "refusal" => Ok(Block::Text { text: required(part.refusal, "refusal")? }),
        "image_url" => Ok(Block::ImageUrl { image_url: image(part.image_url).map_err(|f| f.at("image_url"))? }),
        "document" | "thinking" => Ok(Block::Native(native)),
        _ => Err(Fault::wrong_value("one of text, image_url, document, thinking, refusal").at("type")),
    }
}

/// An image goes by its URL, of either kind.
fn image(raw: Raw<'_>) -> Result<Image<'_>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object"))?;
    if let Some(url) = Literal::new(raw) {
        return Ok(Image::At { url });
    }
    let image: chat::ImageUrl<'_> = chat::object(raw.get())?;
    chat::required(image.url, "url")?;
    Ok(Image::AsGiven(raw))
}

fn calls<'a>(message: &Message<'a>, legacy_calls: &mut usize) -> Result<Option<Vec<Call<'a>>>, Fault> {
    if let Some(function) = message.function_call {
        *legacy_calls += 1;
        let function = called(function).map_err(|fault| fault.at("function_call"))?;
        return Ok(Some(vec![Call { id: legacy_id(*legacy_calls), type_: "function", function }]));
    }
    let Some(raw) = message.tool_calls else { return Ok(None) };
    let all: Vec<ToolCall<'a>> = chat::objects(raw.get()).map_err(|fault| fault.at("tool_calls"))?;
    let calls = all.iter().enumerate();
    calls
        .map(|(i, each)| call(each).map_err(|fault| fault.in_element("tool_calls", i)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn call<'a>(call: &ToolCall<'a>) -> Result<Call<'a>, Fault> {
    let id = text(call.id, "id")?.ok_or(Fault::missing("a string").at("id"))?;
    let function = call.function.ok_or(Fault::missing("an object"));
    let function = function.and_then(called).map_err(|fault| fault.at("function"))?;
    Ok(Call { id: Text::Literal(id), type_: "function", function })
}

/// No arguments are those of an empty object.
fn called(function: &RawValue) -> Result<Called<'_>, Fault> {
    let function: FunctionCall<'_> = chat::object(function.get())?;
    let name = text(function.name, "name")?.ok_or(Fault::missing("a string").at("name"))?;
    let arguments = text(function.arguments, "arguments")?.filter(|text| !text.is_blank());
    Ok(Called { name, arguments: arguments.map_or(Text::Plain("{}".into()), Text::Literal) })
}

/// The id of a call of the time before tools, which had none.
fn legacy_id(number: usize) -> Text<'static> {
    Text::Plain(Cow::Owned(format!("function_call_{number}")))
}
