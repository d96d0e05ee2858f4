//! The conversation: OpenAI's list of messages as a system instruction and turns.
//!
//! Source: Google, "GenerateContentRequest" <https://ai.google.dev/api/generate-content>, not re-read for this; LITELLM.md
//! 3.2.

use serde::Serialize;

use super::calls::{self, Calls, Kept};
use super::media::{Detail, Viewer};
use super::parts::{self, Blanks, CallPart, Part, TextPart};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Message};

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Speaker {
    #[serde(rename = "user")]
    User,
    #[serde(rename = "model")]
    Model,
    #[serde(rename = "user")]
    Tool,
}

/// Everything that one side says before another does.
#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    role: Speaker,
    parts: Vec<Part<'a>>,
}

/// `system_instruction`.
#[derive(Debug, Serialize)]
pub(super) struct Instruction<'a> {
    parts: Vec<Part<'a>>,
}

/// A translated conversation.
#[derive(Debug)]
pub(super) struct Conversation<'a, 'm> {
    viewer: Viewer<'m>,
    system: Vec<Part<'a>>,
    pub(super) contents: Vec<Content<'a>>,
    calls: Calls<'a>,
}

/// Stands for the user of a conversation that is an instruction only.
const OPENING: &str = ".";
/// Stands for the words of a user that has none: Google refuses a turn without text.
const BLANK: &str = " ";

/// Translates `messages`, a JSON array.
pub(super) fn translate<'a, 'm>(messages: &'a str, viewer: Viewer<'m>) -> Result<Conversation<'a, 'm>, Fault> {
    let all: Vec<Message<'a>> = chat::objects(messages).map_err(|fault| fault.at("messages"))?;
    if all.is_empty() {
        return Err(Fault::wrong_value("at least one message").at("messages"));
    }
    let (system, contents) = (Vec::new(), Vec::new());
    let mut conversation = Conversation { viewer, system, contents, calls: Calls::default() };
    for (i, message) in all.iter().enumerate() {
        conversation.take(message).map_err(|fault| fault.in_element("messages", i))?;
    }
    conversation.settle();
    Ok(conversation)
}

impl<'a> Conversation<'a, '_> {
    /// The system instruction, where there is one.
    pub(super) fn instruction(&mut self) -> Option<Instruction<'a>> {
        let parts = std::mem::take(&mut self.system);
        (!parts.is_empty()).then_some(Instruction { parts })
    }

    /// The closest look that the client wants at any of its media.
    pub(super) fn detail(&self) -> Option<Detail> {
        let parts = self.contents.iter().flat_map(|content| &content.parts);
        let detail = |part: &Part<'_>| match part {
            Part::Media(media) => media.detail,
            Part::Text(_) | Part::Call(_) | Part::Response(_) => None,
        };
        parts.filter_map(detail).max()
    }

    fn take(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let role = chat::required(message.role, "role")?;
        match &*role {
            "system" | "developer" if self.viewer.model.takes_system() => self.instruct(message),
            "system" | "developer" | "user" => self.user(message),
            "assistant" => self.assistant(message),
            "tool" | "function" => {
                let mut parts = calls::result(message, &self.calls, self.viewer)?;
                self.say(Speaker::Tool, &mut parts);
                Ok(())
            }
            _ => Err(Fault::wrong_value("one of system, developer, user, assistant, tool, function").at("role")),
        }
    }

    fn instruct(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        if let Some(text) = message.content.and_then(Literal::new) {
            self.system.push(Part::text(text));
            return Ok(());
        }
        let parts =
            parts::content(message.content, self.viewer, Blanks::LeftOut).map_err(|fault| fault.at("content"))?;
        if !parts.is_empty() {
            self.system.push(Part::plain(parts::apart(parts).0));
        }
        Ok(())
    }

    fn user(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let parts = parts::content(message.content, self.viewer, Blanks::LeftOut);
        self.say(Speaker::User, &mut parts.map_err(|fault| fault.at("content"))?);
        Ok(())
    }

    fn assistant(&mut self, message: &Message<'a>) -> Result<(), Fault> {
        let calls = calls::read(message, &mut self.calls, self.viewer)?;
        let mut parts = Vec::new();
        if let Some(reasoning) = message.reasoning_content {
            let text = chat::literal(reasoning).map_err(|fault| fault.at("reasoning_content"))?;
            parts.push(Part::Text(TextPart { thought: true, text: Text::Literal(text), signature: None }));
        }
        parts.append(&mut self.words(message, &calls)?);
        parts.append(&mut self.images(message)?);
        parts.extend(calls.into_iter().map(Part::Call));
        self.say(Speaker::Model, &mut parts);
        Ok(())
    }

    /// What an assistant said, signed where the signature is not on one of its calls: Google bills each copy.
    fn words(&self, message: &Message<'a>, calls: &[CallPart<'a>]) -> Result<Vec<Part<'a>>, Fault> {
        let mut parts =
            parts::content(message.content, self.viewer, Blanks::Kept).map_err(|fault| fault.at("content"))?;
        if let Some(refusal) = message.refusal {
            parts.push(Part::text(chat::literal(refusal).map_err(|fault| fault.at("refusal"))?));
        }
        let signature = Kept::first(message.provider_specific_fields);
        let signature = signature.filter(|own| calls.iter().all(|call| call.signature.as_ref() != Some(own)));
        if let Some(Part::Text(first)) = parts.first_mut() {
            first.signature = signature;
        }
        Ok(parts)
    }

    /// The images that an assistant made.
    fn images(&self, message: &Message<'a>) -> Result<Vec<Part<'a>>, Fault> {
        let Some(raw) = message.images else { return Ok(Vec::new()) };
        let all: Vec<chat::Part<'a>> = chat::objects(raw.get()).map_err(|fault| fault.at("images"))?;
        let image = |(i, part): (usize, &chat::Part<'a>)| {
            self.viewer.image(part.image_url).map(Part::Media).map_err(|fault| fault.in_element("images", i))
        };
        all.iter().enumerate().map(image).collect()
    }

    /// Adds to the last turn, or begins another; a turn may yet be empty, so that it keeps its neighbours apart.
    fn say(&mut self, role: Speaker, parts: &mut Vec<Part<'a>>) {
        match self.contents.last_mut() {
            Some(content) if content.role == role => content.parts.append(parts),
            _ => self.contents.push(Content { role, parts: std::mem::take(parts) }),
        }
    }

    /// Leaves out what is empty, and gives words to users that have none.
    fn settle(&mut self) {
        let has_messages = !self.contents.is_empty();
        self.contents.retain(|content| !content.parts.is_empty());
        for content in self.contents.iter_mut().filter(|content| content.role == Speaker::User) {
            if !content.parts.iter().any(|part| matches!(part, Part::Text(_))) {
                content.parts.push(Part::plain(BLANK));
            }
        }
        if self.contents.is_empty() {
            let text = if has_messages { BLANK } else { OPENING };
            self.contents.push(Content { role: Speaker::User, parts: vec![Part::plain(text)] });
        }
    }
}
