//! The content of an item as the content of a chat message.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};

/// The content of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<Part<'a>>),
}

/// A part of it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text {
        text: Literal<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    ImageUrl {
        image_url: Image<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    File {
        file: File<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    /// A part that both know, or only the vendor does.
    #[serde(untagged)]
    Native(&'a RawValue),
}

#[derive(Debug, Serialize)]
pub(super) struct Image<'a> {
    url: Literal<'a>,
    detail: Text<'a>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Raw<'a>,
}

/// A part as the client writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    image_url: Raw<'a>,
    #[serde(borrow)]
    detail: Raw<'a>,
    #[serde(borrow)]
    file_data: Raw<'a>,
    #[serde(borrow)]
    file_id: Raw<'a>,
    #[serde(borrow)]
    file_url: Raw<'a>,
    #[serde(borrow)]
    filename: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
}

/// Translates the content of an item, a string or an array of parts.
pub(super) fn translate(raw: &RawValue) -> Result<Content<'_>, Fault> {
    if let Some(text) = Literal::new(raw) {
        return Ok(Content::Text(Text::Literal(text)));
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::wrong_type("a string or an array"));
    }
    let parts = chat::elements(raw.get())?;
    let parts = parts.into_iter().enumerate().map(|(i, raw)| part(raw).map_err(|fault| fault.in_element("", i)));
    parts.collect::<Result<_, _>>().map(Content::Parts)
}

impl<'a> Content<'a> {
    /// Puts `more` behind it.
    pub(super) fn append(&mut self, more: Self) {
        let mut parts = std::mem::replace(self, Self::Parts(Vec::new())).parts();
        parts.extend(more.parts());
        *self = Self::Parts(parts);
    }

    fn parts(self) -> Vec<Part<'a>> {
        match self {
            Self::Text(Text::Literal(text)) => vec![Part::Text { text, cache_control: None }],
            Self::Text(Text::Plain(_)) => Vec::new(),
            Self::Parts(parts) => parts,
        }
    }
}

fn part(raw: &RawValue) -> Result<Part<'_>, Fault> {
    let given: Given<'_> = chat::object(raw.get())?;
    match &*chat::required(given.type_, "type")? {
        "input_text" | "output_text" | "text" | "summary_text" => text(given.text, "text", given.cache_control),
        // To another vendor's model, what an assistant said.
        "refusal" => text(given.refusal, "refusal", given.cache_control),
        "input_image" => image(&given),
        "input_file" => file(&given),
        _ => Ok(Part::Native(raw)),
    }
}

fn text<'a>(raw: Raw<'a>, name: &'static str, cache_control: Raw<'a>) -> Result<Part<'a>, Fault> {
    let text = raw.ok_or(Fault::missing("a string")).and_then(chat::literal).map_err(|fault| fault.at(name))?;
    Ok(Part::Text { text, cache_control })
}

fn image<'a>(given: &Given<'a>) -> Result<Part<'a>, Fault> {
    if given.image_url.is_none() && given.file_id.is_some() {
        let fault = Fault::wrong_value("an image_url in its place: this provider does not have OpenAI's files");
        return Err(fault.at("file_id"));
    }
    let raw = given.image_url.ok_or(Fault::missing("a string").at("image_url"))?;
    let url = match Literal::new(raw) {
        Some(url) => url,
        // As chat completions write it.
        None => {
            let inner: chat::ImageUrl<'a> = chat::object(raw.get()).map_err(|fault| fault.at("image_url"))?;
            let url = inner.url.ok_or(Fault::missing("a string")).and_then(chat::literal);
            url.map_err(|fault| fault.at("image_url.url"))?
        }
    };
    let detail = given.detail.and_then(Literal::new).map_or(Text::Plain("auto".into()), Text::Literal);
    Ok(Part::ImageUrl { image_url: Image { url, detail }, cache_control: given.cache_control })
}

fn file<'a>(given: &Given<'a>) -> Result<Part<'a>, Fault> {
    // A chat completion has no member for a URL; vendors take one where the id goes, as LiteLLM's clients write it.
    let file = File { file_data: given.file_data, file_id: given.file_id.or(given.file_url), filename: given.filename };
    if file.file_data.is_none() && file.file_id.is_none() {
        return Err(Fault::missing("a data: URL").at("file_data"));
    }
    Ok(Part::File { file, cache_control: given.cache_control })
}
