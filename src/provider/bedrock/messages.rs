//! The conversation: OpenAI's list of messages as Converse's system prompt and alternating turns.
//!
//! Source: AWS, "Message" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html>,
//! "ToolResultBlock" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlock.html>, not
//! re-read for this.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::blocks::{Block, Reading, Thought, ToolResult, ToolUse};
use super::model::Model;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, FunctionCall, Message, Raw};
use crate::provider::tools::Names;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

/// Everything that one side says before the other does.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: Role,
    content: Vec<Block<'a>>,
    /// What tools answered, until the turn is whole: it comes before all else.
    #[serde(skip)]
    results: Vec<Block<'a>>,
}

/// A translated conversation.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    context: Context<'a>,
    /// How many calls without an id there were, in the form of the time before tools.
    legacy_calls: usize,
}

/// What a conversation is translated for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) model: Model<'a>,
    pub(super) names: &'a Names,
    /// Whether there are tools: without any, calls and results become text.
    pub(super) has_tools: bool,
    /// Whether there is a guardrail.
    pub(super) guards: bool,
}

/// A call that an assistant made.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    function: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
}

/// Stands in front of a conversation that no user begins.
const OPENING: &str = "Please proceed.";
/// Stands for a user message without content.
const EMPTY: &str = "(empty message)";
/// Stands beside a document without words: Bedrock wants some.
const DOCUMENT_ALONE: &str = ".";
/// Stand around an instruction that comes after the conversation has begun.
const INSTRUCTION_BEGIN: &str = "[The application, not the user, instructs from here on:]";
const INSTRUCTION_END: &str = "[End of the application's instruction]";
/// Stands in a tool's result for an image that follows it.
const IMAGE_FOLLOWS: &str = "(the image follows)";
/// Stands for what a tool answered without words.
const NO_WORDS: &str = "(no text)";

/// The longest id of a call.
const MAX_ID_BYTES: usize = 64;

/// Translates `messages`, a JSON array.
pub(super) fn translate<'a>(messages: &'a str, context: Context<'a>) -> Result<Conversation<'a>, Fault> {
    let all: Vec<Message<'a>> = chat::objects(messages).map_err(|fault| fault.at("messages"))?;
    if all.is_empty() {
        return Err(Fault::wrong_value("at least one message").at("messages"));
    }
    let mut conversation = Conversation { system: Vec::new(), turns: Vec::new(), context, legacy_calls: 0 };
    let is_user = |message: &&Message<'a>| message.role.is_some_and(|role| role.get() == "\"user\"");
    let guarded_from = all.len() - all.iter().rev().take_while(is_user).count();
    for (i, message) in all.iter().enumerate() {
        let guards = context.guards && i >= guarded_from;
        conversation.take(message, guards).map_err(|fault| fault.in_element("messages", i))?;
    }
    conversation.settle();
    conversation.open();
    conversation.trim_end();
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    fn reading(&self) -> Reading<'a> {
        Reading { model: self.context.model, guards: false }
    }

    fn take(&mut self, message: &Message<'a>, guards: bool) -> Result<(), Fault> {
        let role = chat::required(message.role, "role")?;
        match &*role {
            "system" | "developer" => self.instruct(message),
            "user" => self.user(message, guards),
            "assistant" => self.assistant(message),
            "tool" => {
                let id = chat::required(message.tool_call_id, "tool_call_id")?;
                self.tool_result(message, id)
            }
            "function" => self.tool_result(message, legacy_id(self.legacy_calls)),
            _ => Err(Fault::wrong_value("one of system, developer, user, assistant, tool, function").at("role")),
        }
    }

    fn instruct(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let mut blocks = self.blocks_of(message, false)?;
        if self.turns.is_empty() {
            self.system.append(&mut blocks);
        } else if !blocks.is_empty() {
            blocks.insert(0, Block::plain(INSTRUCTION_BEGIN));
            blocks.push(Block::plain(INSTRUCTION_END));
            self.say(Role::User, blocks);
        }
        Ok(())
    }

    fn user(&mut self, message: &Message<'a>, guards: bool) -> Result<(), Fault> {
        let mut blocks = self.blocks_of(message, guards)?;
        if blocks.is_empty() {
            blocks.push(Block::plain(EMPTY));
        }
        self.say(Role::User, blocks);
        Ok(())
    }

    fn assistant(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let mut blocks = thoughts(message.thinking_blocks).map_err(|fault| fault.at("thinking_blocks"))?;
        blocks.append(&mut self.blocks_of(message, false)?);
        if let Some(refusal) = message.refusal {
            let refusal = chat::literal(refusal).map_err(|fault| fault.at("refusal"))?;
            blocks.extend((!refusal.is_blank()).then_some(Block::Text(Text::Literal(refusal))));
        }
        if let Some(calls) = message.tool_calls {
            let calls: Vec<ToolCall<'a>> = chat::objects(calls.get()).map_err(|fault| fault.at("tool_calls"))?;
            for (i, call) in calls.iter().enumerate() {
                self.call(call, &mut blocks).map_err(|fault| fault.in_element("tool_calls", i))?;
            }
        }
        if let Some(call) = message.function_call {
            self.legacy_calls += 1;
            let id = legacy_id(self.legacy_calls);
            self.called(call, id, &mut blocks).map_err(|fault| fault.at("function_call"))?;
        }
        if !blocks.is_empty() {
            self.say(Role::Assistant, blocks);
        }
        Ok(())
    }

    fn call(&self, call: &ToolCall<'a>, blocks: &mut Vec<Block<'a>>) -> Result<(), Fault> {
        let id = chat::required(call.id, "id")?;
        let function = call.function.ok_or(Fault::missing("an object").at("function"))?;
        self.called(function, id, blocks).map_err(|fault| fault.at("function"))?;
        blocks.extend(self.reading().cache_point(call.cache_control).map(Block::CachePoint));
        Ok(())
    }

    /// Adds a call; as text, after the text before it, where there are no tools.
    fn called(&self, function: &'a RawValue, id: Cow<'a, str>, blocks: &mut Vec<Block<'a>>) -> Result<(), Fault> {
        let function: FunctionCall<'a> = chat::object(function.get())?;
        let name = chat::required(function.name, "name")?;
        let arguments = function.arguments.map(chat::string).transpose().map_err(|fault| fault.at("arguments"))?;
        let arguments = arguments.unwrap_or_default();
        if self.context.has_tools {
            let input = input(&arguments).map_err(|fault| fault.at("arguments"))?;
            let name = self.context.names.upstream(name);
            blocks.push(Block::ToolUse(ToolUse { tool_use_id: call_id(id), name, input }));
            return Ok(());
        }
        let words = format!("[tool call {id}: {name}({arguments})]");
        match blocks.last_mut() {
            Some(Block::Text(text)) => {
                let mut whole = match std::mem::replace(text, Text::Plain("".into())) {
                    Text::Plain(Cow::Owned(whole)) => whole,
                    before => decoded(&before).into_owned(),
                };
                whole.push('\n');
                whole.push_str(&words);
                *text = Text::Plain(whole.into());
            }
            _ => blocks.push(Block::plain(words)),
        }
        Ok(())
    }

    fn tool_result(&mut self, message: &Message<'a>, id: Cow<'a, str>) -> Result<(), Fault> {
        let content = self.reading().content(message.content).map_err(|fault| fault.at("content"))?;
        let is_point = |block: &Block<'a>| matches!(block, Block::CachePoint(_));
        let (points, content): (Vec<_>, Vec<_>) = content.into_iter().partition(is_point);
        let mut result = if self.context.has_tools { self.result(content, id) } else { self.told(content, &id) };
        let own = self.reading().cache_point(message.cache_control).map(Block::CachePoint);
        result.extend(own.into_iter().chain(points).next());
        self.say(Role::User, Vec::new());
        if let Some(turn) = self.turns.last_mut() {
            turn.results.append(&mut result);
        }
        Ok(())
    }

    fn result(&self, content: Vec<Block<'a>>, id: Cow<'a, str>) -> Vec<Block<'a>> {
        let goes_in = |block: &Block<'a>| {
            self.context.model.takes_images_in_results() || !matches!(block, Block::Image(_) | Block::Video(_))
        };
        let (mut inside, mut beside): (Vec<_>, Vec<_>) = content.into_iter().partition(goes_in);
        if inside.is_empty() && !beside.is_empty() {
            inside.push(Block::plain(IMAGE_FOLLOWS));
        }
        beside.insert(0, Block::ToolResult(ToolResult { tool_use_id: call_id(id), content: inside }));
        beside
    }

    /// A result where there are no tools.
    fn told(&self, content: Vec<Block<'a>>, id: &str) -> Vec<Block<'a>> {
        let (texts, mut blocks): (Vec<_>, Vec<_>) = content.into_iter().partition(Block::is_text);
        let words: String = texts
            .iter()
            .map(|block| match block {
                Block::Text(text) => decoded(text),
                _ => Cow::Borrowed(""),
            })
            .collect();
        let words = if words.trim().is_empty() { NO_WORDS } else { words.trim() };
        let words = format!("[tool result for {id}: {words}]");
        let told = if self.context.guards { Block::guarded(Text::Plain(words.into())) } else { Block::plain(words) };
        blocks.insert(0, told);
        blocks
    }

    /// The content of `message`, the cache ending where the message says.
    fn blocks_of(&self, message: &Message<'a>, guards: bool) -> Result<Vec<Block<'a>>, Fault> {
        let reading = Reading { guards, ..self.reading() };
        let mut blocks = reading.content(message.content).map_err(|fault| fault.at("content"))?;
        let ends_with_point = matches!(blocks.last(), None | Some(Block::CachePoint(_)));
        let point = reading.cache_point(message.cache_control).filter(|_| !ends_with_point);
        blocks.extend(point.map(Block::CachePoint));
        Ok(blocks)
    }

    fn say(&mut self, role: Role, blocks: Vec<Block<'a>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => self.turns.push(Turn { role, content: blocks, results: Vec::new() }),
        }
    }

    /// Puts what tools answered where it belongs, gives every document its own name and words beside it.
    fn settle(&mut self) {
        let mut taken = BTreeMap::new();
        for turn in &mut self.turns {
            turn.results.append(&mut turn.content);
            turn.content = std::mem::take(&mut turn.results);
            let mut has_document = false;
            for block in &mut turn.content {
                has_document |= matches!(block, Block::Document(_));
                name_apart(block, &mut taken);
            }
            if has_document && !turn.content.iter().any(Block::is_text) {
                turn.content.push(Block::plain(DOCUMENT_ALONE));
            }
        }
    }

    /// Lets a user begin.
    fn open(&mut self) {
        if self.turns.first().is_none_or(|turn| turn.role != Role::User) {
            let content = vec![Block::plain(OPENING)];
            self.turns.insert(0, Turn { role: Role::User, content, results: Vec::new() });
        }
    }

    /// Takes white space from the end of an answer that the model is to continue: Claude refuses it.
    fn trim_end(&mut self) {
        let Some(Turn { role: Role::Assistant, content, .. }) = self.turns.last_mut() else { return };
        let Some(Block::Text(text)) = content.last_mut() else { return };
        let whole = decoded(text);
        let trimmed = whole.trim_end();
        if trimmed.len() < whole.len() {
            *text = Text::Plain(Cow::Owned(trimmed.to_owned()));
        }
    }
}

/// Numbers the documents that have the same content: Bedrock wants each name once.
fn name_apart(block: &mut Block<'_>, taken: &mut BTreeMap<String, u32>) {
    match block {
        Block::Document(document) => {
            let count = taken.entry(document.name.clone()).or_default();
            *count = count.saturating_add(1);
            if *count > 1 {
                document.name.push_str(&format!("_{count}"));
            }
        }
        Block::ToolResult(result) => result.content.iter_mut().for_each(|block| name_apart(block, taken)),
        _ => (),
    }
}

fn decoded<'a>(text: &'a Text<'_>) -> Cow<'a, str> {
    match text {
        Text::Literal(literal) => literal.decode().unwrap_or_default(),
        Text::Plain(text) => Cow::Borrowed(text),
    }
}

/// Reasoning that the provider sealed; without its seal it would be refused and is left out.
fn thoughts<'a>(raw: Raw<'a>) -> Result<Vec<Block<'a>>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Thinking<'a> {
        #[serde(borrow)]
        thinking: Raw<'a>,
        #[serde(borrow)]
        signature: Raw<'a>,
        #[serde(borrow)]
        data: Raw<'a>,
    }
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let sealed = |raw: &'a RawValue| {
        let block: Thinking<'a> = chat::object(raw.get()).unwrap_or_default();
        let [text, signature, data] =
            [block.thinking, block.signature, block.data].map(|raw| raw.and_then(Literal::new));
        match (text, signature.filter(|seal| !seal.inner().is_empty()), data) {
            (Some(text), Some(signature), _) => Some(Thought::ReasoningText { text, signature }),
            (_, _, Some(data)) => data.decode().filter(|data| !data.is_empty()).map(|data| redacted(&data)),
            _ => None,
        }
    };
    Ok(chat::elements(raw.get())?.into_iter().filter_map(sealed).map(Block::ReasoningContent).collect())
}

/// Claude's sealed reasoning, which Converse wraps in Base64 once more.
fn redacted(data: &str) -> Thought<'static> {
    Thought::RedactedContent(STANDARD.encode(unwrapped(data).as_bytes()))
}

/// What Claude itself calls `data`, also where a client kept it with Converse's wrapping.
pub(super) fn unwrapped(data: &str) -> Cow<'_, str> {
    let inner = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match inner.filter(|inner| !inner.is_empty() && STANDARD.decode(inner).is_ok()) {
        Some(inner) => Cow::Owned(inner),
        None => Cow::Borrowed(data),
    }
}

/// The object in a call's arguments; no arguments are an empty one.
fn input(arguments: &str) -> Result<Box<RawValue>, Fault> {
    const OBJECT: &str = "a JSON object in a string";
    let text = match arguments.trim() {
        "" => "{}",
        text if text.starts_with('{') => text,
        _ => return Err(Fault::wrong_value(OBJECT)),
    };
    serde_json::from_str(text).map_err(|_| Fault::wrong_value(OBJECT))
}

/// A call's id in Bedrock's alphabet and length. One that must change gets a digest of the whole, as in LiteLLM, so
/// that two stay two.
fn call_id(id: Cow<'_, str>) -> Cow<'_, str> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if (1..=MAX_ID_BYTES).contains(&id.len()) && id.chars().all(is_good) {
        return id;
    }
    let digest = super::hex(&Sha256::digest(id.as_bytes()), 8);
    let kept: String = id.chars().map(|c| if is_good(c) { c } else { '_' }).take(MAX_ID_BYTES - 9).collect();
    Cow::Owned(format!("{kept}_{digest}"))
}

fn legacy_id(number: usize) -> Cow<'static, str> {
    Cow::Owned(format!("function_call_{number}"))
}
