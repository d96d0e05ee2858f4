//! Content blocks, and the parts of an OpenAI message that become one.
//!
//! Source: AWS, "ContentBlock" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>,
//! read 2026-11-23.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::media::{self, Document, Picture};
use super::model::Model;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Part, Raw};

/// A block of content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Text<'a>),
    GuardContent(Guarded<'a>),
    Image(Picture<'a>),
    Document(Document<'a>),
    Video(Picture<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(Thought<'a>),
    CachePoint(CachePoint<'a>),
}

/// Text that a guardrail looks at.
#[derive(Debug, Serialize)]
pub(super) struct Guarded<'a> {
    text: GuardedText<'a>,
}

#[derive(Debug, Serialize)]
struct GuardedText<'a> {
    text: Text<'a>,
}

/// A call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) input: Box<RawValue>,
}

/// What a tool answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) content: Vec<Block<'a>>,
}

/// Reasoning on its way back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought<'a> {
    ReasoningText { text: Literal<'a>, signature: Literal<'a> },
    RedactedContent(String),
}

/// Where the cache may end.
#[derive(Debug, Serialize)]
pub(super) struct CachePoint<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Cow<'a, str>>,
}

impl<'a> Block<'a> {
    /// Text that no client wrote.
    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(Text::Plain(text.into()))
    }

    pub(super) fn guarded(text: Text<'a>) -> Self {
        Self::GuardContent(Guarded { text: GuardedText { text } })
    }

    /// Whether it is text that the model reads as such.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::GuardContent(_))
    }
}

/// What the content of a message depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) model: Model<'a>,
    /// Whether text is for the guardrail, where no part says so itself.
    pub(super) guards: bool,
}

impl<'a> Reading<'a> {
    /// The cache point that `control` asks for; `None` where the model takes none.
    pub(super) fn cache_point(self, control: Raw<'a>) -> Option<CachePoint<'a>> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Control<'a> {
            #[serde(borrow)]
            ttl: Raw<'a>,
        }
        let control = control.filter(|_| self.model.takes_cache_points())?;
        let control: Control<'a> = chat::object(control.get()).ok()?;
        let ttl = control.ttl.filter(|_| self.model.takes_cache_ttl()).and_then(|ttl| chat::string(ttl).ok());
        Some(CachePoint { type_: "default", ttl: ttl.filter(|ttl| matches!(&**ttl, "5m" | "1h")) })
    }

    fn text(self, text: Text<'a>) -> Block<'a> {
        if self.guards { Block::guarded(text) } else { Block::Text(text) }
    }

    /// The blocks of a message's content; blank text is left out.
    pub(super) fn content(self, raw: Raw<'a>) -> Result<Vec<Block<'a>>, Fault> {
        let Some(raw) = raw else { return Ok(Vec::new()) };
        if let Some(text) = Literal::new(raw) {
            return Ok(if text.is_blank() { Vec::new() } else { vec![self.text(Text::Literal(text))] });
        }
        if !raw.get().starts_with('[') {
            return Err(Fault::wrong_type("a string or an array"));
        }
        let parts: Vec<Part<'a>> = chat::objects(raw.get())?;
        let is_guarded = |part: &Part<'a>| part.type_.is_some_and(|type_| type_.get() == "\"guarded_text\"");
        let reading = Self { guards: self.guards && !parts.iter().any(is_guarded), ..self };
        let mut blocks = Vec::with_capacity(parts.len());
        for (i, part) in parts.iter().enumerate() {
            let block = reading.part(part).map_err(|fault| fault.in_element("", i))?;
            let point = self.cache_point(part.cache_control).filter(|_| block.is_some());
            blocks.extend(block);
            blocks.extend(point.map(Block::CachePoint));
        }
        Ok(blocks)
    }

    fn part(self, part: &Part<'a>) -> Result<Option<Block<'a>>, Fault> {
        let type_ = chat::required(part.type_, "type")?;
        match &*type_ {
            "text" => Ok(text(part.text, "text")?.map(|text| self.text(text))),
            "guarded_text" => Ok(text(part.text, "text")?.map(Block::guarded)),
            "refusal" => Ok(text(part.refusal, "refusal")?.map(Block::Text)),
            "image_url" => image(part.image_url).map(Some),
            "file" => file(part.file).map(Some).map_err(|fault| fault.at("file")),
            _ => Err(Fault::wrong_value("one of text, image_url, file, refusal, guarded_text").at("type")),
        }
    }
}

fn text<'a>(raw: Raw<'a>, name: &'static str) -> Result<Option<Text<'a>>, Fault> {
    let raw = raw.ok_or(Fault::missing("a string"));
    let text = raw.and_then(chat::literal).map_err(|fault| fault.at(name))?;
    Ok((!text.is_blank()).then_some(Text::Literal(text)))
}

/// `image_url` of a part, or `file`: each with the `format` that LiteLLM's clients may add.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Linked<'a> {
    #[serde(borrow)]
    url: Raw<'a>,
    #[serde(borrow)]
    file_data: Raw<'a>,
    #[serde(borrow)]
    file_id: Raw<'a>,
    #[serde(borrow)]
    format: Raw<'a>,
}

fn image<'a>(raw: Raw<'a>) -> Result<Block<'a>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object").at("image_url"))?;
    if Literal::new(raw).is_some() {
        let block = chat::string(raw).and_then(|url| media::linked(url, None));
        return block.map_err(|fault| fault.at("image_url"));
    }
    let image: Linked<'a> = chat::object(raw.get()).map_err(|fault| fault.at("image_url"))?;
    let url = chat::required(image.url, "url").map_err(|fault| fault.at("image_url"))?;
    let format = image.format.and_then(|format| chat::string(format).ok());
    media::linked(url, format.as_deref()).map_err(|fault| fault.at("image_url.url"))
}

fn file<'a>(raw: Raw<'a>) -> Result<Block<'a>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object"))?;
    let file: Linked<'a> = chat::object(raw.get())?;
    let format = file.format.and_then(|format| chat::string(format).ok());
    let (url, name) = match (file.file_data, file.file_id) {
        (Some(data), _) => (data, "file_data"),
        // LiteLLM's clients put URLs where the id goes.
        (None, Some(id)) => (id, "file_id"),
        (None, None) => return Err(Fault::missing("a data: URL").at("file_data")),
    };
    let block = chat::string(url).and_then(|url| media::linked(url, format.as_deref()));
    block.map_err(|fault| fault.at(name))
}
