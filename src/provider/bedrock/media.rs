//! Images, documents and videos: what a `data:` or `s3:` URL becomes.
//!
//! A document's name is made from its content: AWS recommends one that says nothing, since the model reads it. The
//! form of the name is LiteLLM's.
//!
//! Source: AWS, "ImageBlock" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html>,
//! "DocumentBlock" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>, "VideoBlock"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_VideoBlock.html>, not re-read for this.

use std::borrow::Cow;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::blocks::Block;
use crate::openai::chat::Fault;

/// An image or a video.
#[derive(Debug, Serialize)]
pub(super) struct Picture<'a> {
    format: &'static str,
    source: Source<'a>,
}

/// A document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    format: &'static str,
    pub(super) name: String,
    source: Source<'a>,
}

/// Where the bytes are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    Bytes(Cow<'a, str>),
    S3Location { uri: Cow<'a, str> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Document,
    Video,
}

/// Media types and the ends of file names, with what Converse calls them.
const FORMATS: &[(&str, &str, Kind, &str)] = &[
    ("image/png", "png", Kind::Image, "png"),
    ("image/jpeg", "jpeg", Kind::Image, "jpeg"),
    ("image/jpg", "jpg", Kind::Image, "jpeg"),
    ("image/gif", "gif", Kind::Image, "gif"),
    ("image/webp", "webp", Kind::Image, "webp"),
    ("application/pdf", "pdf", Kind::Document, "pdf"),
    ("text/csv", "csv", Kind::Document, "csv"),
    ("application/csv", "csv", Kind::Document, "csv"),
    ("application/msword", "doc", Kind::Document, "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", Kind::Document, "docx"),
    ("application/vnd.ms-excel", "xls", Kind::Document, "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", Kind::Document, "xlsx"),
    ("text/html", "html", Kind::Document, "html"),
    ("text/plain", "txt", Kind::Document, "txt"),
    ("text/markdown", "md", Kind::Document, "md"),
    ("text/x-markdown", "md", Kind::Document, "md"),
    ("video/mp4", "mp4", Kind::Video, "mp4"),
    ("video/quicktime", "mov", Kind::Video, "mov"),
    ("video/mov", "mov", Kind::Video, "mov"),
    ("video/x-matroska", "mkv", Kind::Video, "mkv"),
    ("video/mkv", "mkv", Kind::Video, "mkv"),
    ("video/webm", "webm", Kind::Video, "webm"),
    ("video/x-flv", "flv", Kind::Video, "flv"),
    ("video/mpeg", "mpeg", Kind::Video, "mpeg"),
    ("video/x-ms-wmv", "wmv", Kind::Video, "wmv"),
    ("video/wmv", "wmv", Kind::Video, "wmv"),
    ("video/3gpp", "3gp", Kind::Video, "three_gp"),
];

/// How much of a document goes into its name.
const NAMED_AFTER_BYTES: usize = 64 << 10;

/// The block that a URL stands for; `format` is a media type that wins over the URL's.
///
/// # Errors
///
/// The client's: Bedrock fetches nothing from the web, and knows the formats above only.
pub(super) fn linked<'a>(url: Cow<'a, str>, format: Option<&str>) -> Result<Block<'a>, Fault> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Err(Fault::wrong_value("a data: or s3:// URL: Bedrock fetches nothing from the web"));
    }
    if url.starts_with("s3://") {
        let end = url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let row = FORMATS.iter().find(|row| format.map_or(row.1 == end, |format| row.0 == format));
        let row =
            row.ok_or(Fault::wrong_value("an s3:// URL that ends with a format of Bedrock's, such as .png or .pdf"))?;
        return Ok(block(row, &url.clone(), Source::S3Location { uri: url }));
    }
    let (media_type, data) = inline(url)?;
    let media_type = format.unwrap_or(&media_type);
    let row = FORMATS.iter().find(|row| row.0.eq_ignore_ascii_case(media_type));
    let row = row.ok_or(Fault::wrong_value("a media type of Bedrock's: an image, a document or a video"))?;
    Ok(block(row, &data.clone(), Source::Bytes(data)))
}

/// Media type and data of a `data:` URL.
fn inline(url: Cow<'_, str>) -> Result<(String, Cow<'_, str>), Fault> {
    const FORM: &str = "a URL of the form data:<media type>;base64,<data>";
    let split = |url: &str| {
        let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        (!media_type.is_empty() && !data.is_empty()).then_some((media_type.to_owned(), url.len() - data.len()))
    };
    let (media_type, at) = split(&url).ok_or(Fault::wrong_value(FORM))?;
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(url.get(at..).unwrap_or_default()),
        Cow::Owned(url) => Cow::Owned(url.get(at..).unwrap_or_default().to_owned()),
    };
    Ok((media_type, data))
}

fn block<'a>(row: &(&str, &str, Kind, &'static str), content: &str, source: Source<'a>) -> Block<'a> {
    let (_, _, kind, format) = *row;
    match kind {
        Kind::Image => Block::Image(Picture { format, source }),
        Kind::Video => Block::Video(Picture { format, source }),
        Kind::Document => Block::Document(Document { format, name: name(content, format), source }),
    }
}

/// The same document has the same name in every request: a cached prompt stays the same.
fn name(content: &str, format: &str) -> String {
    let bytes: Vec<u8> = content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let sample = bytes.get(..NAMED_AFTER_BYTES).unwrap_or(&bytes);
    let digest = Sha256::new().chain_update(sample).chain_update(bytes.len().to_string()).finalize();
    format!("DocumentPDFmessages_{}_{format}", super::hex(&digest, 16))
}
