//! The conversation: OpenAI's messages as Ollama's.
//!
//! Source: Ollama, "Generate a chat message" <https://docs.ollama.com/api/chat>, "Tool calling"
//! <https://docs.ollama.com/capabilities/tool-calling>, not re-read for this; its `api/types.go`, read 2026-11-23.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, FunctionCall, Part, Raw, ToolCall};

/// A message as clients write it, as far as Ollama has a place for it.
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
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    function_call: Raw<'a>,
    #[serde(borrow)]
    tool_call_id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
}

/// A message as Ollama wants it.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Text<'a>,
    images: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Literal<'a>>,
    function: Called<'a>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: Cow<'a, str>,
    arguments: Box<RawValue>,
}

/// The names of the tools that were called, by the ids of the calls.
type Names<'a> = BTreeMap<&'a str, Cow<'a, str>>;

/// Translates `messages`, a JSON array.
///
/// # Errors
///
/// The client's, with the path of what is wrong.
pub(super) fn translate(messages: &str) -> Result<Vec<Turn<'_>>, Fault> {
    let all: Vec<Message<'_>> = chat::objects(messages).map_err(|fault| fault.at("messages"))?;
    let mut names = Names::new();
    let turns = all.iter().enumerate();
    turns.map(|(i, message)| turn(message, &mut names).map_err(|fault| fault.in_element("messages", i))).collect()
}

fn turn<'a>(message: &Message<'a>, names: &mut Names<'a>) -> Result<Turn<'a>, Fault> {
    let role = match &*chat::required(message.role, "role")? {
        "system" | "developer" => "system",
        "user" => "user",
        "assistant" => "assistant",
        "tool" | "function" => "tool",
        _ => return Err(Fault::wrong_value("one of system, developer, user, assistant, tool, function").at("role")),
    };
    let (content, images) = content(message.content).map_err(|fault| fault.at("content"))?;
    let content = match message.refusal {
        Some(refusal) if role == "assistant" && message.content.is_none() => {
            Text::Literal(chat::literal(refusal).map_err(|fault| fault.at("refusal"))?)
        }
        _ => content,
    };
    let text = |raw: Raw<'a>, name| raw.map(chat::literal).transpose().map_err(|fault: Fault| fault.at(name));
    let tool_call_id = text(message.tool_call_id, "tool_call_id")?;
    Ok(Turn {
        role,
        content,
        images,
        thinking: text(message.reasoning_content, "reasoning_content")?,
        tool_calls: calls(message, names)?,
        tool_call_id,
        tool_name: if role == "tool" { tool_name(message, tool_call_id, names)? } else { None },
    })
}

/// Which tool answers: what the message says, else the one whose call it was.
fn tool_name<'a>(
    message: &Message<'a>,
    tool_call_id: Option<Literal<'a>>,
    names: &Names<'a>,
) -> Result<Option<Cow<'a, str>>, Fault> {
    if let Some(name) = message.name {
        return chat::string(name).map(Some).map_err(|fault| fault.at("name"));
    }
    Ok(tool_call_id.and_then(|id| names.get(id.inner()).cloned()))
}

/// The text and the images of a message's content.
fn content(raw: Raw<'_>) -> Result<(Text<'_>, Vec<Cow<'_, str>>), Fault> {
    let none = Text::Plain("".into());
    let Some(raw) = raw else { return Ok((none, Vec::new())) };
    if let Some(text) = Literal::new(raw) {
        return Ok((Text::Literal(text), Vec::new()));
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::wrong_type("a string or an array"));
    }
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for (i, part) in chat::objects::<Part<'_>>(raw.get())?.iter().enumerate() {
        let taken = match &*chat::required(part.type_, "type").map_err(|fault| fault.in_element("", i))? {
            "text" => text(part.text, "text").map(|text| texts.push(text)),
            "refusal" => text(part.refusal, "refusal").map(|text| texts.push(text)),
            "image_url" => image(part.image_url).map(|image| images.push(image)).map_err(|f| f.at("image_url")),
            _ => Err(Fault::wrong_value("one of text, image_url, refusal: Ollama takes no others").at("type")),
        };
        taken.map_err(|fault| fault.in_element("", i))?;
    }
    let content = match texts.as_slice() {
        [] => none,
        [one] => Text::Literal(*one),
        many => Text::Plain(Cow::Owned(joined(many).ok_or(Fault::wrong_value("Unicode text"))?)),
    };
    Ok((content, images))
}

/// One text out of many; `None` for half a surrogate pair.
fn joined(texts: &[Literal<'_>]) -> Option<String> {
    texts.iter().map(|text| text.decode()).collect()
}

fn text<'a>(raw: Raw<'a>, name: &'static str) -> Result<Literal<'a>, Fault> {
    raw.ok_or(Fault::missing("a string")).and_then(chat::literal).map_err(|fault| fault.at(name))
}

/// The base64 of an image.
fn image(raw: Raw<'_>) -> Result<Cow<'_, str>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object"))?;
    if Literal::new(raw).is_some() {
        return chat::string(raw).and_then(base64);
    }
    let image: chat::ImageUrl<'_> = chat::object(raw.get())?;
    chat::required(image.url, "url").and_then(|url| base64(url).map_err(|fault| fault.at("url")))
}

fn base64(url: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    const FORM: &str = "a URL of the form data:<media type>;base64,<data>: Ollama takes images as data only";
    let after = |url: &str| match url.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map(|(head, _)| "data:".len() + head.len() + ";base64,".len()),
        None => (!url.is_empty() && !url.contains(':')).then_some(0),
    };
    let start = after(&url).ok_or(Fault::wrong_value(FORM))?;
    let data = match url {
        Cow::Borrowed(url) => url.get(start..).map(Cow::Borrowed),
        Cow::Owned(url) => url.get(start..).map(|data| Cow::Owned(data.to_owned())),
    };
    data.filter(|data| !data.is_empty()).ok_or(Fault::wrong_value(FORM))
}

/// The calls of an assistant, which the results that follow refer to.
fn calls<'a>(message: &Message<'a>, names: &mut Names<'a>) -> Result<Option<Vec<Call<'a>>>, Fault> {
    if let Some(function) = message.function_call {
        let function = called(function).map_err(|fault| fault.at("function_call"))?;
        return Ok(Some(vec![Call { id: None, function }]));
    }
    let Some(raw) = message.tool_calls else { return Ok(None) };
    let all: Vec<ToolCall<'a>> = chat::objects(raw.get()).map_err(|fault| fault.at("tool_calls"))?;
    let mut calls = Vec::with_capacity(all.len());
    for (i, each) in all.iter().enumerate() {
        let call = call(each).map_err(|fault| fault.in_element("tool_calls", i))?;
        if let Some(id) = call.id {
            names.insert(id.inner(), call.function.name.clone());
        }
        calls.push(call);
    }
    Ok(Some(calls))
}

fn call<'a>(call: &ToolCall<'a>) -> Result<Call<'a>, Fault> {
    let id = call.id.map(chat::literal).transpose().map_err(|fault| fault.at("id"))?;
    let function = call.function.ok_or(Fault::missing("an object"));
    let function = function.and_then(called).map_err(|fault| fault.at("function"))?;
    Ok(Call { id, function })
}

fn called(function: &RawValue) -> Result<Called<'_>, Fault> {
    let function: FunctionCall<'_> = chat::object(function.get())?;
    let name = chat::required(function.name, "name")?;
    let arguments = arguments(function.arguments).map_err(|fault| fault.at("arguments"))?;
    Ok(Called { name, arguments })
}

/// The object in a call's arguments; no arguments are an empty one.
fn arguments(raw: Raw<'_>) -> Result<Box<RawValue>, Fault> {
    const OBJECT: &str = "a JSON object in a string";
    let text = raw.map_or(Ok(Cow::Borrowed("")), chat::string)?;
    let text = match text.trim() {
        "" => "{}",
        text if text.starts_with('{') => text,
        _ => return Err(Fault::wrong_value(OBJECT)),
    };
    serde_json::from_str(text).map_err(|_| Fault::wrong_value(OBJECT))
}
