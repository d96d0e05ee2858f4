//! Chat completions as borrowed types: only what a translation reads or writes.
//!
//! A request is read one level at a time and its strings stay as they are written, so that nothing is copied before
//! the place where it ends up, and a fault can name the value that has it: `messages[2].content[0].image_url.url`.
//!
//! Source: OpenAI, "Create chat completion" <https://platform.openai.com/docs/api-reference/chat/create>, "The chat
//! completion chunk object" <https://platform.openai.com/docs/api-reference/chat/streaming>, not re-read for this.
//! `reasoning_content`, `thinking_blocks` and `cache_control` are LiteLLM's extensions.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::usage::Wire as Usage;
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};

/// A value, not looked into.
pub type Raw<'a> = Option<&'a RawValue>;

/// A message of the conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message<'a> {
    /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
    #[serde(borrow)]
    pub role: Raw<'a>,
    /// A string or an array of [`Part`].
    #[serde(borrow)]
    pub content: Raw<'a>,
    /// An assistant's refusal, in place of content.
    #[serde(borrow)]
    pub refusal: Raw<'a>,
    /// An array of [`ToolCall`].
    #[serde(borrow)]
    pub tool_calls: Raw<'a>,
    /// The one call of the time before tools, a [`FunctionCall`].
    #[serde(borrow)]
    pub function_call: Raw<'a>,
    /// Which call a tool's message answers.
    #[serde(borrow)]
    pub tool_call_id: Raw<'a>,
    /// An array of the provider's own blocks of reasoning.
    #[serde(borrow)]
    pub thinking_blocks: Raw<'a>,
    /// Where the provider's cache may end.
    #[serde(borrow)]
    pub cache_control: Raw<'a>,
    /// Of `function`: what answered.
    #[serde(borrow)]
    pub name: Raw<'a>,
    /// An assistant's reasoning, readable.
    #[serde(borrow)]
    pub reasoning_content: Raw<'a>,
    /// An array of images that the assistant made, each with an `image_url`.
    #[serde(borrow)]
    pub images: Raw<'a>,
    /// What an answer had beside OpenAI's members: an object.
    #[serde(borrow)]
    pub provider_specific_fields: Raw<'a>,
}

/// A part of a message's content.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Part<'a> {
    /// Which of the others is there.
    #[serde(borrow, rename = "type")]
    pub type_: Raw<'a>,
    /// Of `text`.
    #[serde(borrow)]
    pub text: Raw<'a>,
    /// Of `refusal`.
    #[serde(borrow)]
    pub refusal: Raw<'a>,
    /// Of `image_url`: an [`ImageUrl`], or the URL itself.
    #[serde(borrow)]
    pub image_url: Raw<'a>,
    /// Of `file`: a [`File`].
    #[serde(borrow)]
    pub file: Raw<'a>,
    /// Of `input_audio`: an [`InputAudio`].
    #[serde(borrow)]
    pub input_audio: Raw<'a>,
    /// Where the provider's cache may end.
    #[serde(borrow)]
    pub cache_control: Raw<'a>,
}

/// Where an image is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImageUrl<'a> {
    /// `https:` or `data:`.
    #[serde(borrow)]
    pub url: Raw<'a>,
    /// How closely the model is to look: `low`, `high` or `auto`.
    #[serde(borrow)]
    pub detail: Raw<'a>,
    /// LiteLLM's place for the media type.
    #[serde(borrow)]
    pub format: Raw<'a>,
}

/// Recorded sound, inline.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InputAudio<'a> {
    /// Base64.
    #[serde(borrow)]
    pub data: Raw<'a>,
    /// `wav` or `mp3`.
    #[serde(borrow)]
    pub format: Raw<'a>,
}

/// A file, inline or uploaded before.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct File<'a> {
    /// A `data:` URL.
    #[serde(borrow)]
    pub file_data: Raw<'a>,
    /// The provider's id of an uploaded file.
    #[serde(borrow)]
    pub file_id: Raw<'a>,
    /// Its name.
    #[serde(borrow)]
    pub filename: Raw<'a>,
    /// LiteLLM's place for the media type.
    #[serde(borrow)]
    pub format: Raw<'a>,
    /// How closely the model is to look, LiteLLM's.
    #[serde(borrow)]
    pub detail: Raw<'a>,
    /// Which part of a video is meant, LiteLLM's.
    #[serde(borrow)]
    pub video_metadata: Raw<'a>,
}

/// A call that an assistant made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ToolCall<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: Raw<'a>,
    /// A [`FunctionCall`].
    #[serde(borrow)]
    pub function: Raw<'a>,
    /// What an answer had beside OpenAI's members: an object.
    #[serde(borrow)]
    pub provider_specific_fields: Raw<'a>,
}

/// What was called, and with what.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FunctionCall<'a> {
    /// The function's name.
    #[serde(borrow)]
    pub name: Raw<'a>,
    /// JSON inside a string.
    #[serde(borrow)]
    pub arguments: Raw<'a>,
}

/// A tool that the model may call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tool<'a> {
    /// `function`, or a provider's own.
    #[serde(borrow, rename = "type")]
    pub type_: Raw<'a>,
    /// A [`Function`].
    #[serde(borrow)]
    pub function: Raw<'a>,
    /// Where the provider's cache may end.
    #[serde(borrow)]
    pub cache_control: Raw<'a>,
}

/// A function that the model may call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Function<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Raw<'a>,
    /// What it is for.
    #[serde(borrow)]
    pub description: Raw<'a>,
    /// A JSON schema.
    #[serde(borrow)]
    pub parameters: Raw<'a>,
    /// Where the provider's cache may end.
    #[serde(borrow)]
    pub cache_control: Raw<'a>,
}

/// The form that the answer is to have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResponseFormat<'a> {
    /// `text`, `json_object` or `json_schema`.
    #[serde(borrow, rename = "type")]
    pub type_: Raw<'a>,
    /// A [`JsonSchema`].
    #[serde(borrow)]
    pub json_schema: Raw<'a>,
}

/// A schema with a name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JsonSchema<'a> {
    /// The schema.
    #[serde(borrow)]
    pub schema: Raw<'a>,
}

/// `{"id":…,"object":"chat.completion","created":…,"model":…,"choices":[…],"usage":…}`
#[derive(Debug, Serialize)]
pub struct Completion<'a> {
    /// The answer's id.
    pub id: &'a str,
    /// `chat.completion`
    pub object: &'static str,
    /// Unix time.
    pub created: u64,
    /// The model that answered.
    pub model: &'a str,
    /// The answers.
    pub choices: Vec<Choice<'a>>,
    /// What was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Choice<'a> {
    /// Its number.
    pub index: u32,
    /// The assistant's message.
    pub message: Reply<'a>,
    /// The probabilities of its tokens, where the provider has them.
    pub logprobs: Option<Box<RawValue>>,
    /// Why it ended.
    pub finish_reason: &'static str,
}

/// What the assistant said.
#[derive(Debug, Default, Serialize)]
pub struct Reply<'a> {
    /// `assistant`
    pub role: &'static str,
    /// The text.
    pub content: Option<Text<'a>>,
    /// Why the model would not answer.
    pub refusal: Option<Text<'a>>,
    /// The reasoning, readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Text<'a>>,
    /// The reasoning, as the provider wants it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thinking_blocks: Vec<&'a RawValue>,
    /// The calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call<'a>>,
    /// Images that the model made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image<'a>>,
    /// What the text rests on, OpenAI's annotations: an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Cow<'a, RawValue>>,
    /// What the model said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio<'a>>,
    /// What OpenAI's shape has no place for: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_specific_fields: Option<Box<RawValue>>,
}

/// `{"type":"image_url","image_url":{"url":"data:…"},"index":0}`, LiteLLM's place for an image in an answer.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    /// `image_url`
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// Where it is.
    pub image_url: MadeImage<'a>,
    /// Its number.
    pub index: u32,
}

/// The URL of an image that the model made.
#[derive(Debug, Serialize)]
pub struct MadeImage<'a> {
    /// `data:image/png;base64,…`
    pub url: Cow<'a, str>,
}

/// `{"id":…,"data":…,"expires_at":…,"transcript":…}`, sound that the model made.
#[derive(Debug, Serialize)]
pub struct Audio<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// Base64.
    pub data: Cow<'a, str>,
    /// Unix time.
    pub expires_at: u64,
    /// The words.
    pub transcript: &'static str,
}

/// One call of a tool.
#[derive(Debug, Serialize)]
pub struct Call<'a> {
    /// Its id.
    pub id: Text<'a>,
    /// `function`
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// What is called.
    pub function: Called<'a>,
}

/// The function of a call.
#[derive(Debug, Serialize)]
pub struct Called<'a> {
    /// Its name; only in the first chunk of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// JSON inside a string; a piece of it in a stream.
    pub arguments: Text<'a>,
}

/// What a chunk adds to the answer.
#[derive(Debug, Default, Serialize)]
pub struct Delta<'a> {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text<'a>>,
    /// Why the model would not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Text<'a>>,
    /// More reasoning, readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Text<'a>>,
    /// More reasoning, as the provider wants it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_blocks: Option<[ThinkingDelta<'a>; 1]>,
    /// More of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<[CallDelta<'a>; 1]>,
    /// An image that the model made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<[Image<'a>; 1]>,
    /// What the text rests on, OpenAI's annotations: an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Raw<'a>,
    /// What the model said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio<'a>>,
    /// What OpenAI's shape has no place for: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_specific_fields: Raw<'a>,
}

/// A piece of a block of reasoning.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ThinkingDelta<'a> {
    /// A piece of a readable one.
    Piece {
        /// `thinking`
        #[serde(rename = "type")]
        type_: &'static str,
        /// More text.
        thinking: Text<'a>,
        /// The seal on all of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Text<'a>>,
    },
    /// A whole one that only the provider can read.
    Redacted {
        /// `redacted_thinking`
        #[serde(rename = "type")]
        type_: &'static str,
        /// What the provider can read.
        data: Text<'a>,
    },
}

/// A piece of a call.
#[derive(Debug, Serialize)]
pub struct CallDelta<'a> {
    /// The number of the call in this answer.
    pub index: u32,
    /// Its id, in its first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// `function`, in its first piece.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<&'static str>,
    /// What is called.
    pub function: Called<'a>,
}

/// What is wrong with a request, and where; the path grows from the inside out.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    path: String,
    expected: &'static str,
}

impl Fault {
    /// A value of another type than `expected`.
    pub fn wrong_type(expected: &'static str) -> Self {
        Self { kind: Kind::InvalidType, path: String::new(), expected }
    }

    /// A value that is not `expected`.
    pub fn wrong_value(expected: &'static str) -> Self {
        Self { kind: Kind::InvalidValue, path: String::new(), expected }
    }

    /// A member that is not there.
    pub fn missing(expected: &'static str) -> Self {
        Self { kind: Kind::MissingRequiredParameter, path: String::new(), expected }
    }

    /// The same fault, seen from outside: `step` is where the value is that has it.
    #[must_use]
    pub fn at(mut self, step: impl fmt::Display) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }

    /// The same fault in element `index` of `name`.
    #[must_use]
    pub fn in_element(self, name: &str, index: usize) -> Self {
        self.at(format_args!("{name}[{index}]"))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let what = match fault.kind {
            Kind::MissingRequiredParameter => "missing required parameter",
            Kind::InvalidType => "invalid type for",
            _ => "invalid value for",
        };
        let message = format!("{what} '{}': expected {}", fault.path, fault.expected);
        Error::new(fault.kind, message).with_param(fault.path)
    }
}

/// Reads `raw` as a string.
///
/// # Errors
///
/// The client's: it is none.
pub fn literal(raw: &RawValue) -> Result<Literal<'_>, Fault> {
    Literal::new(raw).ok_or(Fault::wrong_type("a string"))
}

/// Reads `raw` as a string and decodes it.
///
/// # Errors
///
/// The client's: it is none, or no Unicode.
pub fn string(raw: &RawValue) -> Result<Cow<'_, str>, Fault> {
    literal(raw)?.decode().ok_or(Fault::wrong_value("Unicode text"))
}

/// Reads the member `name`, which must be there and a string.
///
/// # Errors
///
/// The client's.
pub fn required<'a>(raw: Raw<'a>, name: &'static str) -> Result<Cow<'a, str>, Fault> {
    raw.ok_or(Fault::missing("a string")).and_then(string).map_err(|fault| fault.at(name))
}

/// Reads `text` as an object.
///
/// # Errors
///
/// The client's: it is none, or has a member twice.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    if !text.starts_with('{') {
        return Err(Fault::wrong_type("an object"));
    }
    let object: Result<Object<T>, _> = serde_json::from_str(text);
    object.map(|Object(value)| value).map_err(|_| Fault::wrong_value("an object with no member twice"))
}

/// Reads `text` as an array of objects; a fault in one of them carries its number.
///
/// # Errors
///
/// The client's.
pub fn objects<'a, T: Deserialize<'a>>(text: &'a str) -> Result<Vec<T>, Fault> {
    if let Ok(all) = serde_json::from_str::<Vec<Object<T>>>(text) {
        return Ok(all.into_iter().map(|Object(value)| value).collect());
    }
    let each: Vec<&'a RawValue> = elements(text)?;
    each.into_iter().enumerate().map(|(i, raw)| object(raw.get()).map_err(|f| f.in_element("", i))).collect()
}

/// Reads `text` as an array.
///
/// # Errors
///
/// The client's: it is none.
pub fn elements(text: &str) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::wrong_type("an array"))
}

/// A struct read from an object only: serde takes an array for one too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
