//! Content blocks, and the parts of an OpenAI message that they become.
//!
//! Source: Anthropic, "Vision" <https://platform.claude.com/docs/en/build-with-claude/vision>, "PDF support"
//! <https://platform.claude.com/docs/en/build-with-claude/pdf-support>, "Search results"
//! <https://platform.claude.com/docs/en/build-with-claude/search-results>, not re-read for this.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};

/// Members that go on as they are.
#[derive(Default, Serialize)]
pub(super) struct Members<'a>(pub(super) BTreeMap<&'a str, &'a RawValue>);

/// A block of content, whatever its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) type_: Raw<'a>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(super) source: Raw<'a>,
    #[serde(borrow)]
    pub(super) title: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) content: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_error: Raw<'a>,
    #[serde(borrow)]
    pub(super) cache_control: Raw<'a>,
    #[serde(borrow)]
    pub(super) provider_specific_fields: Raw<'a>,
}

/// A part of a message's content.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text {
        text: Text<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    ImageUrl {
        image_url: Url<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    File {
        file: File<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Url<'a> {
    url: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    media_type: Raw<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
    #[serde(borrow)]
    url: Raw<'a>,
    #[serde(borrow)]
    file_id: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
}

impl<'a> Part<'a> {
    /// Text that no client wrote.
    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: Text::Plain(text.into()), cache_control: None }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

/// The text of a `text` block.
pub(super) fn text<'a>(block: &Block<'a>) -> Result<Literal<'a>, Fault> {
    let raw = block.text.ok_or(Fault::missing("a string"));
    raw.and_then(chat::literal).map_err(|fault| fault.at("text"))
}

/// The parts of a block of a user, or of a tool's result.
pub(super) fn parts<'a>(block: &Block<'a>, type_: &str) -> Result<Vec<Part<'a>>, Fault> {
    let cache_control = block.cache_control;
    let one = match type_ {
        "text" => Part::Text { text: Text::Literal(text(block)?), cache_control },
        "image" => image(block.source, cache_control).map_err(|fault| fault.at("source"))?,
        "document" => return document(block).map_err(|fault| fault.at("source")),
        "search_result" => Part::Text { text: Text::Plain(found(block)?.into()), cache_control },
        _ => return Err(Fault::wrong_value("text, image, document or search_result").at("type")),
    };
    Ok(vec![one])
}

fn source(raw: Raw<'_>) -> Result<(Cow<'_, str>, Source<'_>), Fault> {
    let source: Source<'_> = chat::object(raw.ok_or(Fault::missing("an object"))?.get())?;
    Ok((chat::required(source.type_, "type")?, source))
}

fn image<'a>(raw: Raw<'a>, cache_control: Raw<'a>) -> Result<Part<'a>, Fault> {
    let (type_, source) = source(raw)?;
    let url = match &*type_ {
        "base64" => Cow::Owned(data_url(&source)?),
        "url" => chat::required(source.url, "url")?,
        _ => return Err(Fault::wrong_value("base64 or url: a file is at Anthropic").at("type")),
    };
    Ok(Part::ImageUrl { image_url: Url { url }, cache_control })
}

fn data_url(source: &Source<'_>) -> Result<String, Fault> {
    let media_type = chat::required(source.media_type, "media_type")?;
    Ok(format!("data:{media_type};base64,{}", chat::required(source.data, "data")?))
}

/// A document: inline ones are files or text, one behind a URL goes where LiteLLM puts it.
fn document<'a>(block: &Block<'a>) -> Result<Vec<Part<'a>>, Fault> {
    const TITLE: &str = "document.pdf";
    let cache_control = block.cache_control;
    let title = block.title.and_then(Literal::new).filter(|title| !title.is_blank()).map(Text::Literal);
    let (type_, source) = source(block.source)?;
    let part = match &*type_ {
        "base64" => {
            let filename = Some(title.unwrap_or(Text::Plain(TITLE.into())));
            Part::File { file: File { filename, file_data: Some(data_url(&source)?), file_id: None }, cache_control }
        }
        "url" => Part::ImageUrl { image_url: Url { url: chat::required(source.url, "url")? }, cache_control },
        "file" => {
            let file_id = Some(chat::required(source.file_id, "file_id")?);
            Part::File { file: File { filename: title, file_data: None, file_id }, cache_control }
        }
        "text" => {
            let data = source.data.ok_or(Fault::missing("a string"));
            let text = Text::Literal(data.and_then(chat::literal).map_err(|fault| fault.at("data"))?);
            Part::Text { text, cache_control }
        }
        "content" => return inner(source.content).map_err(|fault| fault.at("content")),
        _ => return Err(Fault::wrong_value("base64, url, text, content or file").at("type")),
    };
    Ok(vec![part])
}

/// Parts in a string or in an array of blocks.
pub(super) fn inner<'a>(raw: Raw<'a>) -> Result<Vec<Part<'a>>, Fault> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
    if let Some(text) = Literal::new(raw) {
        return Ok(vec![Part::Text { text: Text::Literal(text), cache_control: None }]);
    }
    let blocks: Vec<Block<'a>> = chat::objects(raw.get())?;
    let mut all = Vec::with_capacity(blocks.len());
    for (i, block) in blocks.iter().enumerate() {
        let type_ = chat::required(block.type_, "type").map_err(|fault| fault.in_element("", i))?;
        all.append(&mut parts(block, &type_).map_err(|fault| fault.in_element("", i))?);
    }
    Ok(all)
}

/// A result of the client's own search, in words.
fn found(block: &Block<'_>) -> Result<String, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Piece<'a> {
        #[serde(borrow)]
        text: Raw<'a>,
    }
    let title = block.title.map(chat::string).transpose().map_err(|fault| fault.at("title"))?.unwrap_or_default();
    let source = block.source.map(chat::string).transpose().map_err(|fault| fault.at("source"))?.unwrap_or_default();
    let content = block.content.map(|raw| chat::objects::<Piece<'_>>(raw.get())).transpose();
    let mut words = format!("{title} ({source})");
    for piece in content.map_err(|fault| fault.at("content"))?.unwrap_or_default() {
        words.push('\n');
        words.push_str(&chat::required(piece.text, "text").map_err(|fault| fault.at("content"))?);
    }
    Ok(words)
}

/// What a server's tool gave back in an earlier turn, in words: titles and addresses. `None` where it has none.
pub(super) fn server_result(block: &Block<'_>) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Hit<'a> {
        #[serde(borrow)]
        title: Option<Cow<'a, str>>,
        #[serde(borrow)]
        url: Option<Cow<'a, str>>,
    }
    let hits: Vec<Hit<'_>> = serde_json::from_str(block.content?.get()).ok()?;
    let lines = hits.into_iter().filter_map(|hit| Some(format!("\n- {} {}", hit.title.unwrap_or_default(), hit.url?)));
    let lines: String = lines.collect();
    (!lines.is_empty()).then(|| format!("\n[found on the web:{lines}]\n"))
}
