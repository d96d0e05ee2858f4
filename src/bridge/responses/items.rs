//! The input: items as the messages of a chat.
//!
//! A response's output is a list of items of its own kind each; a chat has one message for all that an assistant says
//! before a user or a tool does. So an assistant's items are gathered: its reasoning and its text, then its calls.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::{self, Content};
use super::request::unsupported;
use super::seal;
use crate::error::Error;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Called, Fault, Raw};

/// A message of the chat.
#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Raw<'a>,
}

/// A call, with what the provider wants back beside it.
#[derive(Debug, Serialize)]
struct Call<'a> {
    id: Literal<'a>,
    #[serde(rename = "type")]
    type_: &'static str,
    function: Called<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_specific_fields: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Raw<'a>,
}

/// An item of the input, whatever its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    call_id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    arguments: Raw<'a>,
    #[serde(borrow)]
    input: Raw<'a>,
    #[serde(borrow)]
    output: Raw<'a>,
    #[serde(borrow)]
    summary: Raw<'a>,
    #[serde(borrow)]
    encrypted_content: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
    #[serde(borrow)]
    provider_specific_fields: Raw<'a>,
    #[serde(borrow)]
    extra_content: Raw<'a>,
}

/// Reasoning that waits for what the assistant says after it.
#[derive(Debug, Default)]
struct Thoughts<'a> {
    blocks: Vec<Box<RawValue>>,
    texts: Vec<Literal<'a>>,
}

/// The messages so far.
#[derive(Debug, Default)]
struct Conversation<'a> {
    messages: Vec<Message<'a>>,
    /// The last message, where it is an assistant's that may still grow.
    open: Option<Message<'a>>,
    /// Empty while a message is open.
    thoughts: Thoughts<'a>,
}

/// The messages for `instructions` and `input`.
pub(super) fn translate<'a>(instructions: Raw<'a>, input: &'a RawValue) -> Result<Vec<Message<'a>>, Error> {
    let mut conversation = Conversation::default();
    if let Some(raw) = instructions {
        let text = chat::literal(raw).map_err(|fault| fault.at("instructions"))?;
        if !text.inner().is_empty() {
            conversation.say("system", Some(Content::Text(Text::Literal(text))), None);
        }
    }
    if let Some(text) = Literal::new(input) {
        conversation.say("user", Some(Content::Text(Text::Literal(text))), None);
        return Ok(conversation.messages);
    }
    for (i, raw) in chat::elements(input.get()).map_err(|fault| fault.at("input"))?.into_iter().enumerate() {
        let item = chat::object(raw.get()).map_err(|fault| fault.in_element("input", i))?;
        conversation.take(&item, i)?;
    }
    conversation.close();
    Ok(conversation.messages)
}

impl<'a> Conversation<'a> {
    /// Takes item `i` of the input.
    fn take(&mut self, item: &Item<'a>, i: usize) -> Result<(), Error> {
        let type_ =
            item.type_.map(chat::string).transpose().map_err(|fault| fault.at("type").in_element("input", i))?;
        let taken = match type_.as_deref() {
            None | Some("message") => self.message(item),
            Some("function_call") => self.call(item, Item::arguments),
            Some("custom_tool_call") => self.call(item, Item::wrapped_input),
            Some("function_call_output" | "custom_tool_call_output") => self.output(item),
            Some("reasoning") => self.reason(item),
            Some("web_search_call") => Ok(()),
            Some("item_reference") => {
                let why = "this provider keeps no items: send the item itself";
                return Err(unsupported(format!("input[{i}].type"), "item_reference", why));
            }
            Some(other) => {
                let why = "the provider of this model has no such item";
                return Err(unsupported(format!("input[{i}].type"), other, why));
            }
        };
        taken.map_err(|fault| fault.in_element("input", i).into())
    }

    fn say(&mut self, role: &'static str, content: Option<Content<'a>>, cache_control: Raw<'a>) {
        self.close();
        self.messages.push(Message { role, content, cache_control, ..Message::default() });
    }

    fn message(&mut self, item: &Item<'a>) -> Result<(), Fault> {
        let role = match &*chat::required(item.role, "role")? {
            "user" => "user",
            "system" | "developer" => "system",
            "assistant" => "assistant",
            _ => return Err(Fault::wrong_value("one of user, assistant, system, developer").at("role")),
        };
        let content = item.content.map(content::translate).transpose().map_err(|fault| fault.at("content"))?;
        if role != "assistant" {
            self.say(role, content, item.cache_control);
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|message| message.tool_calls.is_empty()) {
            self.close();
        }
        let message = self.assistant();
        message.cache_control = message.cache_control.or(item.cache_control);
        match (&mut message.content, content) {
            (Some(before), Some(content)) => before.append(content),
            (before @ None, content) => *before = content,
            (Some(_), None) => (),
        }
        Ok(())
    }

    fn call(&mut self, item: &Item<'a>, arguments: fn(&Item<'a>) -> Text<'a>) -> Result<(), Fault> {
        let string = |raw: Raw<'a>, name| {
            raw.ok_or(Fault::missing("a string")).and_then(chat::literal).map_err(|fault| fault.at(name))
        };
        let name = Some(Text::Literal(string(item.name, "name")?));
        let call = Call {
            id: string(item.call_id, "call_id")?,
            type_: "function",
            function: Called { name, arguments: arguments(item) },
            provider_specific_fields: item.provider_specific_fields,
            extra_content: item.extra_content,
            cache_control: item.cache_control,
        };
        self.assistant().tool_calls.push(call);
        Ok(())
    }

    fn output(&mut self, item: &Item<'a>) -> Result<(), Fault> {
        let id = item.call_id.ok_or(Fault::missing("a string")).and_then(chat::literal);
        let id = id.map_err(|fault| fault.at("call_id"))?;
        let output = item.output.ok_or(Fault::missing("a string or an array").at("output"))?;
        let content = if output.get().starts_with(['"', '[']) {
            content::translate(output).map_err(|fault| fault.at("output"))?
        } else {
            Content::Text(Text::Plain(output.get().into()))
        };
        self.say("tool", Some(content), item.cache_control);
        if let Some(message) = self.messages.last_mut() {
            message.tool_call_id = Some(id);
        }
        Ok(())
    }

    fn reason(&mut self, item: &Item<'a>) -> Result<(), Fault> {
        self.messages.extend(self.open.take());
        self.thoughts.blocks.extend(seal::open(item.encrypted_content));
        let mut texts = texts(item.summary).map_err(|fault| fault.at("summary"))?;
        if texts.is_empty() {
            texts = self::texts(item.content).map_err(|fault| fault.at("content"))?;
        }
        self.thoughts.texts.extend(texts);
        Ok(())
    }

    /// Ends what the assistant says.
    fn close(&mut self) {
        self.messages.extend(self.open.take());
        self.thoughts = Thoughts::default();
    }

    /// The assistant's message that grows; a new one begins with what the assistant thought.
    fn assistant(&mut self) -> &mut Message<'a> {
        let Thoughts { blocks, texts } = std::mem::take(&mut self.thoughts);
        self.open.get_or_insert_with(|| Message {
            role: "assistant",
            reasoning_content: joined(&texts),
            thinking_blocks: blocks,
            ..Message::default()
        })
    }
}

impl<'a> Item<'a> {
    fn arguments(&self) -> Text<'a> {
        match self.arguments {
            Some(raw) => Literal::new(raw).map_or(Text::Plain(raw.get().into()), Text::Literal),
            None => Text::Plain("{}".into()),
        }
    }

    /// The input of a custom tool as the arguments of the function that stands for it.
    fn wrapped_input(&self) -> Text<'a> {
        let input = self.input.map_or("\"\"", RawValue::get);
        Text::Plain(Cow::Owned(format!("{{\"content\":{input}}}")))
    }
}

/// The texts of an array of parts.
fn texts(raw: Raw<'_>) -> Result<Vec<Literal<'_>>, Fault> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let parts: Vec<chat::Part<'_>> = chat::objects(raw.get())?;
    let texts = parts.iter().filter_map(|part| part.text.and_then(Literal::new));
    Ok(texts.filter(|text| !text.inner().is_empty()).collect())
}

fn joined<'a>(texts: &[Literal<'a>]) -> Option<Text<'a>> {
    match texts {
        [] => None,
        [one] => Some(Text::Literal(*one)),
        many => {
            let all: Vec<Cow<'_, str>> = many.iter().filter_map(|text| text.decode()).collect();
            Some(Text::Plain(Cow::Owned(all.join("\n\n"))))
        }
    }
}
