//! Content blocks, and the parts of an OpenAI message that become one.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, "Vision"
//! <https://platform.claude.com/docs/en/build-with-claude/vision>, "PDF support"
//! <https://platform.claude.com/docs/en/build-with-claude/pdf-support>, "PDF support" read 2026-11-23, the others not re-read.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Part, Raw};

/// A block of content.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Text<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Literal<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<ResultContent<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    /// Anthropic's own block, as it came.
    #[serde(untagged)]
    Native(&'a RawValue),
}

/// What a tool answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ResultContent<'a> {
    Text(Literal<'a>),
    Blocks(Vec<Block<'a>>),
}

/// Where an image or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: Cow<'a, str>, data: Cow<'a, str> },
    Url { url: Cow<'a, str> },
    File { file_id: Cow<'a, str> },
}

impl<'a> Block<'a> {
    /// A block of text.
    pub(super) fn text(text: Literal<'a>) -> Self {
        Self::Text { text: Text::Literal(text), cache_control: None }
    }

    /// A block of text that no client wrote.
    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: Text::Plain(text.into()), cache_control: None }
    }

    /// Lets the cache end here, unless the block says so itself.
    pub(super) fn cache(&mut self, control: Raw<'a>) {
        match self {
            Self::Text { cache_control, .. }
            | Self::Image { cache_control, .. }
            | Self::Document { cache_control, .. }
            | Self::ToolUse { cache_control, .. }
            | Self::ToolResult { cache_control, .. } => *cache_control = cache_control.or(control),
            Self::Native(_) => (),
        }
    }

    /// Whether it needs the beta of uploaded files.
    pub(super) fn is_uploaded(&self) -> bool {
        matches!(
            self,
            Self::Image { source: Source::File { .. }, .. } | Self::Document { source: Source::File { .. }, .. }
        )
    }
}

/// The blocks of a message's content; blank text is left out.
pub(super) fn content<'a>(raw: Raw<'a>) -> Result<Vec<Block<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    if let Some(text) = Literal::new(raw) {
        return Ok(if text.is_blank() { Vec::new() } else { vec![Block::text(text)] });
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::wrong_type("a string or an array"));
    }
    let parts: Vec<Part<'a>> = chat::objects(raw.get())?;
    let mut blocks = Vec::with_capacity(parts.len());
    let whole = OnceCell::new();
    for (i, part) in parts.iter().enumerate() {
        let native = || whole.get_or_init(|| chat::elements(raw.get()).unwrap_or_default()).get(i).copied();
        blocks.extend(block(part, native).map_err(|fault| fault.in_element("", i))?);
    }
    Ok(blocks)
}

/// The block of one part; `native` is the part as it came.
fn block<'a>(part: &Part<'a>, native: impl Fn() -> Raw<'a>) -> Result<Option<Block<'a>>, Fault> {
    let type_ = chat::required(part.type_, "type")?;
    let mut block = match &*type_ {
        "text" => return text(part.text, part.cache_control, "text"),
        "refusal" => return text(part.refusal, part.cache_control, "refusal"),
        "image_url" => image(part.image_url)?,
        "file" => file(part.file).map_err(|fault| fault.at("file"))?,
        "image" | "document" | "search_result" | "thinking" | "redacted_thinking" => {
            return Ok(native().map(Block::Native));
        }
        _ => return Err(Fault::wrong_value("one of text, image_url, file, refusal").at("type")),
    };
    block.cache(part.cache_control);
    Ok(Some(block))
}

fn text<'a>(raw: Raw<'a>, cache_control: Raw<'a>, name: &'static str) -> Result<Option<Block<'a>>, Fault> {
    let raw = raw.ok_or(Fault::missing("a string"));
    let text = raw.and_then(chat::literal).map_err(|fault| fault.at(name))?;
    Ok((!text.is_blank()).then_some(Block::Text { text: Text::Literal(text), cache_control }))
}

fn image<'a>(raw: Raw<'a>) -> Result<Block<'a>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object").at("image_url"))?;
    if Literal::new(raw).is_some() {
        return chat::string(raw).and_then(linked).map_err(|fault| fault.at("image_url"));
    }
    let image: chat::ImageUrl<'a> = chat::object(raw.get()).map_err(|fault| fault.at("image_url"))?;
    let url = chat::required(image.url, "url").map_err(|fault| fault.at("image_url"))?;
    linked(url).map_err(|fault| fault.at("image_url.url"))
}

/// The block that a URL stands for: a document where it is known to be a PDF, else an image.
fn linked(url: Cow<'_, str>) -> Result<Block<'_>, Fault> {
    if url.starts_with("https://") {
        return Ok(Block::Image { source: Source::Url { url }, cache_control: None });
    }
    if url.starts_with("data:") {
        return inline(url);
    }
    Err(Fault::wrong_value("a URL that begins with https:// or data:"))
}

/// The block that a `data:` URL holds.
fn inline(url: Cow<'_, str>) -> Result<Block<'_>, Fault> {
    const FORM: &str = "a URL of the form data:<media type>;base64,<data>";
    let (media_type, data) = match url {
        Cow::Borrowed(url) => split_data_url(url).map(|(m, d)| (Cow::Borrowed(m), Cow::Borrowed(d))),
        Cow::Owned(url) => split_data_url(&url).map(|(m, d)| (Cow::Owned(m.to_owned()), Cow::Owned(d.to_owned()))),
    }
    .ok_or(Fault::wrong_value(FORM))?;
    let media_type = if media_type == "image/jpg" { "image/jpeg".into() } else { media_type };
    let is_image = media_type.starts_with("image/");
    let source = Source::Base64 { media_type, data };
    Ok(if is_image {
        Block::Image { source, cache_control: None }
    } else {
        Block::Document { source, title: None, cache_control: None }
    })
}

fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next()?;
    (!media_type.is_empty() && !data.is_empty()).then_some((media_type, data))
}

fn file<'a>(raw: Raw<'a>) -> Result<Block<'a>, Fault> {
    let raw = raw.ok_or(Fault::missing("an object"))?;
    let file: chat::File<'a> = chat::object(raw.get())?;
    let mut block = match (file.file_data, file.file_id) {
        (Some(data), _) => chat::string(data).and_then(inline).map_err(|fault| fault.at("file_data"))?,
        (None, Some(id)) => stored(chat::string(id).map_err(|fault| fault.at("file_id"))?),
        (None, None) => return Err(Fault::missing("a data: URL").at("file_data")),
    };
    if let (Block::Document { title, .. }, Some(name)) = (&mut block, file.filename) {
        *title = Some(chat::literal(name).map_err(|fault| fault.at("filename"))?);
    }
    Ok(block)
}

/// The block of a file that is elsewhere; LiteLLM's clients put URLs where the id goes.
fn stored(id: Cow<'_, str>) -> Block<'_> {
    let source = if id.starts_with("https://") { Source::Url { url: id } } else { Source::File { file_id: id } };
    Block::Document { source, title: None, cache_control: None }
}
