//! Images, sound, films and documents: inside the request, or by reference. Nothing is fetched.
//!
//! Google takes web addresses itself, AI Studio too since January 2026; it has to be told the media type, which comes
//! from the part's `format` or from the ending of the path.
//!
//! Source: Google, "File input methods" <https://ai.google.dev/gemini-api/docs/file-input-methods>, "Increased file
//! size limits and expanded inputs support in Gemini API"
//! <https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits>, both read
//! 2026-11-23; "FileData"
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>, not re-read for this.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Home;
use super::model::Model;
use crate::openai::chat::{self, Fault, File, ImageUrl, InputAudio, Raw};

/// Where AI Studio's own files are.
const FILES: &str = "https://generativelanguage.googleapis.com/";

/// Where films are that Google reads by their address, whatever it ends with.
const FILMS: &[&str] =
    &["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/", "https://m.youtube.com/"];

/// Media types by the ending of a path, as LiteLLM has them.
const TYPES: &[(&str, &str)] = &[
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("mp4", "video/mp4"),
    ("mov", "video/mov"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("avi", "video/avi"),
    ("wmv", "video/wmv"),
    ("mpegps", "video/mpegps"),
    ("flv", "video/flv"),
    ("webm", "video/webm"),
    ("3gp", "video/3gpp"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("html", "text/html"),
];

/// A thing to look at or listen to.
#[derive(Debug, Serialize)]
pub(super) struct Media<'a> {
    #[serde(flatten)]
    pub(super) source: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_resolution: Option<Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_metadata: Option<Excerpt<'a>>,
    /// How closely the model is to look at all of it, where that cannot be said of each.
    #[serde(skip)]
    pub(super) detail: Option<Detail>,
}

/// Where it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source<'a> {
    InlineData {
        mime_type: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    FileData {
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<Cow<'a, str>>,
        file_uri: Cow<'a, str>,
    },
}

/// OpenAI's `detail`, and LiteLLM's two more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    Low,
    Medium,
    High,
    UltraHigh,
}

impl Detail {
    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.and_then(|raw| chat::string(raw).ok())?.as_ref() {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "ultra_high" => Some(Self::UltraHigh),
            _ => None,
        }
    }

    /// Gemini's name of it.
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Low => "MEDIA_RESOLUTION_LOW",
            Self::Medium => "MEDIA_RESOLUTION_MEDIUM",
            Self::High => "MEDIA_RESOLUTION_HIGH",
            Self::UltraHigh => "MEDIA_RESOLUTION_ULTRA_HIGH",
        }
    }
}

#[derive(Debug, Serialize)]
struct Resolution {
    level: &'static str,
}

/// Which part of a film is meant, and how many of its pictures.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Excerpt<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    fps: Raw<'a>,
    #[serde(borrow, alias = "start_offset", skip_serializing_if = "Option::is_none")]
    start_offset: Raw<'a>,
    #[serde(borrow, alias = "end_offset", skip_serializing_if = "Option::is_none")]
    end_offset: Raw<'a>,
}

/// For whom media are translated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Viewer<'m> {
    pub(super) home: Home,
    pub(super) model: &'m Model,
}

impl Viewer<'_> {
    /// Reads `image_url`: an [`ImageUrl`], or the URL itself.
    pub(super) fn image<'a>(self, raw: Raw<'a>) -> Result<Media<'a>, Fault> {
        let raw = raw.ok_or(Fault::missing("an object").at("image_url"))?;
        if raw.get().starts_with('"') {
            let url = chat::string(raw).and_then(|url| self.source(url, None));
            return url.map(|source| self.plain(source)).map_err(|fault| fault.at("image_url"));
        }
        let read = || {
            let image: ImageUrl<'a> = chat::object(raw.get())?;
            let url = chat::required(image.url, "url")?;
            let source = self.source(url, type_(image.format)?).map_err(|fault| fault.at("url"))?;
            Ok(self.detailed(source, image.detail))
        };
        read().map_err(|fault: Fault| fault.at("image_url"))
    }

    /// Reads `file`: a [`File`].
    pub(super) fn file<'a>(self, raw: Raw<'a>) -> Result<Media<'a>, Fault> {
        let raw = raw.ok_or(Fault::missing("an object"))?;
        let file: File<'a> = chat::object(raw.get())?;
        let format = type_(file.format)?;
        let source = match (file.file_id, file.file_data) {
            (Some(id), _) => self.read(id, format).map_err(|fault| fault.at("file_id"))?,
            (None, Some(data)) => self.read(data, format).map_err(|fault| fault.at("file_data"))?,
            (None, None) => return Err(Fault::missing("a data: URL").at("file_data")),
        };
        let excerpt = file.video_metadata.map(|raw| chat::object(raw.get())).transpose();
        let video_metadata = excerpt.map_err(|fault| fault.at("video_metadata"))?;
        Ok(Media { video_metadata, ..self.detailed(source, file.detail) })
    }

    /// Reads `input_audio`: an [`InputAudio`].
    pub(super) fn audio<'a>(self, raw: Raw<'a>) -> Result<Media<'a>, Fault> {
        let raw = raw.ok_or(Fault::missing("an object"))?;
        let audio: InputAudio<'a> = chat::object(raw.get())?;
        let (data, format) = (chat::required(audio.data, "data")?, chat::required(audio.format, "format")?);
        let mime_type = if format.starts_with("audio/") { format } else { Cow::Owned(format!("audio/{format}")) };
        Ok(self.plain(Source::InlineData { mime_type, data }))
    }

    fn read<'a>(self, raw: &'a serde_json::value::RawValue, format: Option<Cow<'a, str>>) -> Result<Source<'a>, Fault> {
        self.source(chat::string(raw)?, format)
    }

    /// What `url` stands for, of the media type `format` where the client says so.
    fn source<'a>(self, url: Cow<'a, str>, format: Option<Cow<'a, str>>) -> Result<Source<'a>, Fault> {
        if url.starts_with("data:") {
            return inline(url);
        }
        if url.starts_with(FILES) {
            return Ok(Source::FileData { mime_type: format, file_uri: url });
        }
        let is_web = url.starts_with("https://");
        if is_web || url.starts_with("gs://") {
            let mime_type = format.or_else(|| type_of(&url).map(Cow::Borrowed));
            if mime_type.is_none() && !(is_web && self.home == Home::Studio) {
                return Err(Fault::wrong_value(
                    "a URL that ends with a known file extension, or a media type in `format`",
                ));
            }
            return Ok(Source::FileData { mime_type, file_uri: url });
        }
        match format {
            Some(mime_type) if !url.contains(':') => Ok(Source::InlineData { mime_type, data: url }),
            _ => Err(Fault::wrong_value("a URL that begins with data:, https:// or gs://")),
        }
    }

    pub(super) fn plain(self, source: Source<'_>) -> Media<'_> {
        Media { source, media_resolution: None, video_metadata: None, detail: None }
    }

    fn detailed<'a>(self, source: Source<'a>, detail: Raw<'a>) -> Media<'a> {
        let detail = Detail::read(detail);
        let each = detail.filter(|_| self.model.is_3_or_later());
        let media_resolution = each.map(|detail| Resolution { level: detail.level() });
        Media { media_resolution, detail: detail.filter(|_| self.model.is_2()), ..self.plain(source) }
    }
}

fn type_(raw: Raw<'_>) -> Result<Option<Cow<'_, str>>, Fault> {
    raw.map(chat::string).transpose().map_err(|fault| fault.at("format"))
}

/// The media type that the path of `url` ends with.
fn type_of(url: &str) -> Option<&'static str> {
    if FILMS.iter().any(|films| url.starts_with(films)) {
        return Some("video/mp4");
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, type_)| *type_)
}

/// What a `data:` URL holds.
pub(super) fn inline(url: Cow<'_, str>) -> Result<Source<'_>, Fault> {
    const FORM: &str = "a URL of the form data:<media type>;base64,<data>";
    let (mime_type, data) = match url {
        Cow::Borrowed(url) => split(url).map(|(m, d)| (Cow::Borrowed(m), Cow::Borrowed(d))),
        Cow::Owned(url) => split(&url).map(|(m, d)| (Cow::Owned(m.to_owned()), Cow::Owned(d.to_owned()))),
    }
    .ok_or(Fault::wrong_value(FORM))?;
    let mime_type = if mime_type == "image/jpg" { "image/jpeg".into() } else { mime_type };
    Ok(Source::InlineData { mime_type, data })
}

fn split(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let mime_type = head.strip_suffix(";base64")?.split(';').next()?;
    (!mime_type.is_empty() && !data.is_empty()).then_some((mime_type, data))
}
