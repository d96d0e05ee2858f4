//! The conversation: OpenAI's list of messages as Anthropic's system prompt and alternating turns.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, "Handle tool calls"
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls>, "Handle tool calls" read 2026-11-23, the other not re-read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::{self, Block, ResultContent};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, FunctionCall, Message, Raw, ToolCall};
use crate::provider::tools::{Alphabet, Names};

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
}

/// Everything that one side says before the other does.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) content: Vec<Block<'a>>,
    /// What tools answered, until the turn is whole: Anthropic wants it before all else.
    #[serde(skip)]
    results: Vec<Block<'a>>,
}

/// A translated conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    /// How many calls without an id there were, in the form of the time before tools.
    legacy_calls: usize,
}

/// Stands in front of a conversation that no user begins.
const OPENING: &str = "Please proceed.";
/// Stands for a user message without content.
const EMPTY: &str = "(empty message)";
/// Stand around an instruction that comes after the conversation has begun.
const INSTRUCTION_BEGIN: &str = "[The application, not the user, instructs from here on:]";
const INSTRUCTION_END: &str = "[End of the application's instruction]";

/// Translates `messages`, a JSON array.
pub(super) fn translate<'a>(messages: &'a str, names: &Names) -> Result<Conversation<'a>, Fault> {
    let all: Vec<Message<'a>> = chat::objects(messages).map_err(|fault| fault.at("messages"))?;
    if all.is_empty() {
        return Err(Fault::wrong_value("at least one message").at("messages"));
    }
    let mut conversation = Conversation::default();
    for (i, message) in all.iter().enumerate() {
        conversation.take(message, names).map_err(|fault| fault.in_element("messages", i))?;
    }
    conversation.settle();
    conversation.open();
    conversation.trim_end();
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    /// The names of the tools that the assistant called, each once.
    pub(super) fn called(&self) -> Vec<Cow<'a, str>> {
        let blocks = self.turns.iter().flat_map(|turn| &turn.content);
        let names = blocks.filter_map(|block| match block {
            Block::ToolUse { name, .. } => Some(name.clone()),
            _ => None,
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether it refers to uploaded files.
    pub(super) fn has_uploads(&self) -> bool {
        self.turns.iter().flat_map(|turn| &turn.content).any(Block::is_uploaded)
    }

    /// Whether it stops amid calls of tools whose reasoning the client did not keep: Anthropic then refuses to think.
    pub(super) fn lost_its_thoughts(&self) -> bool {
        let Some([.., asked, answered]) = self.turns.last_chunk::<2>().map(<[_; 2]>::as_slice) else { return false };
        let amid_calls = matches!(answered.content.first(), Some(Block::ToolResult { .. }));
        amid_calls && !matches!(asked.content.first(), Some(Block::Native(_)))
    }

    fn take(&mut self, message: &Message<'a>, names: &Names) -> Result<(), Fault> {
        let role = chat::required(message.role, "role")?;
        match &*role {
            "system" | "developer" => self.instruct(message),
            "user" => self.user(message),
            "assistant" => self.assistant(message, names),
            "tool" => {
                let id = chat::required(message.tool_call_id, "tool_call_id")?;
                self.tool_result(message, call_id(id))
            }
            "function" => self.tool_result(message, legacy_id(self.legacy_calls)),
            _ => Err(Fault::wrong_value("one of system, developer, user, assistant, tool, function").at("role")),
        }
    }

    fn instruct(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let mut blocks = blocks_of(message)?;
        if self.turns.is_empty() {
            self.system.append(&mut blocks);
        } else if !blocks.is_empty() {
            blocks.insert(0, Block::plain(INSTRUCTION_BEGIN));
            blocks.push(Block::plain(INSTRUCTION_END));
            self.say(Role::User, blocks);
        }
        Ok(())
    }

    fn user(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let mut blocks = blocks_of(message)?;
        if blocks.is_empty() {
            blocks.push(Block::plain(EMPTY));
        }
        self.say(Role::User, blocks);
        Ok(())
    }

    fn assistant(&mut self, message: &Message<'a>, names: &Names) -> Result<(), Fault> {
        let mut blocks = thoughts(message.thinking_blocks).map_err(|fault| fault.at("thinking_blocks"))?;
        blocks.append(&mut blocks::content(message.content).map_err(|fault| fault.at("content"))?);
        if let Some(refusal) = message.refusal {
            let refusal = chat::literal(refusal).map_err(|fault| fault.at("refusal"))?;
            blocks.extend((!refusal.is_blank()).then(|| Block::text(refusal)));
        }
        if let Some(calls) = message.tool_calls {
            let calls: Vec<ToolCall<'a>> = chat::objects(calls.get()).map_err(|fault| fault.at("tool_calls"))?;
            for (i, call) in calls.iter().enumerate() {
                let mut block = tool_use(call, names).map_err(|fault| fault.in_element("tool_calls", i))?;
                block.cache(call.cache_control);
                blocks.push(block);
            }
        }
        if let Some(call) = message.function_call {
            self.legacy_calls += 1;
            let id = legacy_id(self.legacy_calls);
            blocks.push(called(call, id, names).map_err(|fault| fault.at("function_call"))?);
        }
        if let Some(last) = blocks.last_mut() {
            last.cache(message.cache_control);
            self.say(Role::Assistant, blocks);
        }
        Ok(())
    }

    fn tool_result(&mut self, message: &Message<'a>, tool_use_id: Cow<'a, str>) -> Result<(), Fault> {
        let content = result_content(message.content).map_err(|fault| fault.at("content"))?;
        let result = Block::ToolResult { tool_use_id, content, cache_control: message.cache_control };
        self.say(Role::User, Vec::new());
        if let Some(turn) = self.turns.last_mut() {
            turn.results.push(result);
        }
        Ok(())
    }

    fn say(&mut self, role: Role, blocks: Vec<Block<'a>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => self.turns.push(Turn { role, content: blocks, results: Vec::new() }),
        }
    }

    /// Puts what tools answered where it belongs.
    fn settle(&mut self) {
        for turn in self.turns.iter_mut().filter(|turn| !turn.results.is_empty()) {
            turn.results.append(&mut turn.content);
            turn.content = std::mem::take(&mut turn.results);
        }
    }

    /// Lets a user begin.
    fn open(&mut self) {
        if self.turns.first().is_none_or(|turn| turn.role != Role::User) {
            let content = vec![Block::plain(OPENING)];
            self.turns.insert(0, Turn { role: Role::User, content, results: Vec::new() });
        }
    }

    /// Takes white space from the end of an answer that the model is to continue: Anthropic refuses it.
    fn trim_end(&mut self) {
        let Some(Turn { role: Role::Assistant, content, .. }) = self.turns.last_mut() else { return };
        let Some(Block::Text { text, .. }) = content.last_mut() else { return };
        if let Text::Literal(literal) = text
            && let Some(decoded) = literal.decode()
        {
            let trimmed = decoded.trim_end();
            if trimmed.len() < decoded.len() {
                *text = Text::Plain(Cow::Owned(trimmed.to_owned()));
            }
        }
    }
}

/// The content of `message`, the cache ending where the message says.
fn blocks_of<'a>(message: &Message<'a>) -> Result<Vec<Block<'a>>, Fault> {
    let mut blocks = blocks::content(message.content).map_err(|fault| fault.at("content"))?;
    if let Some(last) = blocks.last_mut() {
        last.cache(message.cache_control);
    }
    Ok(blocks)
}

/// Reasoning that the provider sealed; without its seal it would be refused and is left out.
fn thoughts<'a>(raw: Raw<'a>) -> Result<Vec<Block<'a>>, Fault> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Thought<'a> {
        #[serde(borrow)]
        signature: Raw<'a>,
        #[serde(borrow)]
        data: Raw<'a>,
    }
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let sealed = |raw: &&'a RawValue| {
        let thought: Thought<'a> = chat::object(raw.get()).unwrap_or_default();
        thought.signature.or(thought.data).and_then(Literal::new).is_some_and(|seal| !seal.inner().is_empty())
    };
    Ok(chat::elements(raw.get())?.into_iter().filter(sealed).map(Block::Native).collect())
}

fn tool_use<'a>(call: &ToolCall<'a>, names: &Names) -> Result<Block<'a>, Fault> {
    let id = chat::required(call.id, "id")?;
    let function = call.function.ok_or(Fault::missing("an object").at("function"))?;
    called(function, call_id(id), names).map_err(|fault| fault.at("function"))
}

fn called<'a>(function: &'a RawValue, id: Cow<'a, str>, names: &Names) -> Result<Block<'a>, Fault> {
    let function: FunctionCall<'a> = chat::object(function.get())?;
    let name = names.upstream(chat::required(function.name, "name")?);
    let input = input(function.arguments).map_err(|fault| fault.at("arguments"))?;
    Ok(Block::ToolUse { id, name, input, cache_control: None })
}

/// The object in a call's arguments; no arguments are an empty one.
fn input(arguments: Raw<'_>) -> Result<Box<RawValue>, Fault> {
    const OBJECT: &str = "a JSON object in a string";
    let arguments = match arguments {
        Some(raw) => chat::string(raw)?,
        None => Cow::Borrowed(""),
    };
    let text = match arguments.trim() {
        "" => "{}",
        text if text.starts_with('{') => text,
        _ => return Err(Fault::wrong_value(OBJECT)),
    };
    serde_json::from_str(text).map_err(|_| Fault::wrong_value(OBJECT))
}

fn result_content<'a>(raw: Raw<'a>) -> Result<Option<ResultContent<'a>>, Fault> {
    if let Some(text) = raw.and_then(Literal::new) {
        return Ok((!text.is_blank()).then_some(ResultContent::Text(text)));
    }
    let blocks = blocks::content(raw)?;
    Ok((!blocks.is_empty()).then_some(ResultContent::Blocks(blocks)))
}

/// A call's id in Anthropic's alphabet; ids of other providers have more characters.
fn call_id(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.bytes().all(Alphabet::has) {
        return id;
    }
    Cow::Owned(Alphabet::spell(&id))
}

fn legacy_id(number: usize) -> Cow<'static, str> {
    Cow::Owned(format!("function_call_{number}"))
}
