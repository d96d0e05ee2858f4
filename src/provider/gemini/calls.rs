//! Calls of tools and their results in the history, and the signatures that travel with them.
//!
//! Gemini signs its thoughts, and a call that comes back without its signature is refused or answered less well. Clients
//! of OpenAI's API keep nothing but a call's id, so the signature is put into it: `<id>__thought__<signature>`, as
//! LiteLLM does, so that a history of LiteLLM's is understood too.
//!
//! Source: Google, "Thought signatures" <https://ai.google.dev/gemini-api/docs/thought-signatures>, "Function calling"
//! <https://ai.google.dev/gemini-api/docs/function-calling>, not re-read for this; LITELLM.md 3.2.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::media::{self, Media, Viewer};
use super::parts::{self, Blanks, CallPart, FunctionCall, FunctionResponse, Outcome, Part, ResponsePart};
use crate::openai::chat::{self, Fault, Message, Raw, ToolCall};

/// Stands between a call's id and its signature.
pub(super) const SEPARATOR: &str = "__thought__";

/// What Google's documents let stand for a signature that is not known: `skip_thought_signature_validator` in base64.
const NO_SIGNATURE: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// The calls of a conversation so far: what each called, by its id with and without the signature.
#[derive(Debug, Default)]
pub(super) struct Calls<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

/// `provider_specific_fields` of an answer that came back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Kept<'a> {
    #[serde(borrow)]
    thought_signature: Raw<'a>,
    #[serde(borrow)]
    thought_signatures: Raw<'a>,
}

impl<'a> Kept<'a> {
    fn read(raw: Raw<'a>) -> Self {
        raw.and_then(|raw| chat::object(raw.get()).ok()).unwrap_or_default()
    }

    /// The signature of a call.
    fn one(raw: Raw<'a>) -> Option<Cow<'a, str>> {
        let signature = Self::read(raw).thought_signature.and_then(|raw| chat::string(raw).ok());
        signature.filter(|signature| !signature.is_empty())
    }

    /// The first signature of a message.
    pub(super) fn first(raw: Raw<'a>) -> Option<Cow<'a, str>> {
        let all = Self::read(raw).thought_signatures.and_then(|raw| chat::elements(raw.get()).ok())?;
        all.first().and_then(|raw| chat::string(raw).ok())
    }
}

/// Reads the calls of an assistant's message.
pub(super) fn read<'a>(
    message: &Message<'a>,
    calls: &mut Calls<'a>,
    viewer: Viewer<'_>,
) -> Result<Vec<CallPart<'a>>, Fault> {
    let is_3 = viewer.model.is_3_or_later();
    let mut parts = Vec::new();
    if let Some(raw) = message.tool_calls {
        let all: Vec<ToolCall<'a>> = chat::objects(raw.get()).map_err(|fault| fault.at("tool_calls"))?;
        for (i, each) in all.iter().enumerate() {
            parts.push(call(each, calls, is_3).map_err(|fault| fault.in_element("tool_calls", i))?);
        }
    } else if let Some(raw) = message.function_call {
        parts.push(called(raw, None, None).map_err(|fault| fault.at("function_call"))?);
    }
    if let Some(first) = parts.first_mut().filter(|_| is_3) {
        first.signature.get_or_insert(Cow::Borrowed(NO_SIGNATURE));
    }
    Ok(parts)
}

fn call<'a>(call: &ToolCall<'a>, calls: &mut Calls<'a>, is_3: bool) -> Result<CallPart<'a>, Fault> {
    let id = chat::required(call.id, "id")?;
    let (bare, in_id) = split(&id);
    let signature = Kept::one(call.provider_specific_fields).or(in_id);
    let function = call.function.ok_or(Fault::missing("an object").at("function"))?;
    let id_upstream = (is_3 && !bare.is_empty()).then(|| bare.clone());
    let part = called(function, id_upstream, signature).map_err(|fault| fault.at("function"))?;
    calls.0.insert(bare, part.function_call.name.clone());
    calls.0.insert(id, part.function_call.name.clone());
    Ok(part)
}

/// An id without its signature, and the signature.
fn split<'a>(id: &Cow<'a, str>) -> (Cow<'a, str>, Option<Cow<'a, str>>) {
    match id {
        Cow::Borrowed(id) => match id.split_once(SEPARATOR) {
            Some((bare, signature)) => (Cow::Borrowed(bare), Some(Cow::Borrowed(signature))),
            None => (Cow::Borrowed(*id), None),
        },
        Cow::Owned(id) => match id.split_once(SEPARATOR) {
            Some((bare, signature)) => (Cow::Owned(bare.to_owned()), Some(Cow::Owned(signature.to_owned()))),
            None => (Cow::Owned(id.clone()), None),
        },
    }
}

fn called<'a>(
    raw: &'a RawValue,
    id: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
) -> Result<CallPart<'a>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Function<'a> {
        #[serde(borrow)]
        name: Raw<'a>,
        #[serde(borrow)]
        arguments: Raw<'a>,
        #[serde(borrow)]
        provider_specific_fields: Raw<'a>,
    }
    let function: Function<'a> = chat::object(raw.get())?;
    let name = chat::required(function.name, "name")?;
    let args = arguments(function.arguments).map_err(|fault| fault.at("arguments"))?;
    let signature = signature.or_else(|| Kept::one(function.provider_specific_fields));
    Ok(CallPart { function_call: FunctionCall { name, args, id }, signature })
}

/// The object in a call's arguments; no arguments are an empty one.
fn arguments(raw: Raw<'_>) -> Result<Box<RawValue>, Fault> {
    const OBJECT: &str = "a JSON object in a string";
    let arguments = raw.map(chat::string).transpose()?.unwrap_or_default();
    let text = match arguments.trim() {
        "" => "{}",
        text if text.starts_with('{') => text,
        _ => return Err(Fault::wrong_value(OBJECT)),
    };
    serde_json::from_str(text).map_err(|_| Fault::wrong_value(OBJECT))
}

/// Reads what a tool answered: its part, and the media beside it for models that take none inside.
pub(super) fn result<'a>(message: &Message<'a>, calls: &Calls<'a>, viewer: Viewer<'_>) -> Result<Vec<Part<'a>>, Fault> {
    let id = message.tool_call_id.map(chat::string).transpose().map_err(|fault| fault.at("tool_call_id"))?;
    let bare = id.as_ref().map(|id| split(id).0);
    let known = || id.as_ref().and_then(|id| calls.0.get(id)).or_else(|| calls.0.get(bare.as_ref()?)).cloned();
    let own = || message.name.and_then(|raw| chat::string(raw).ok()).filter(|name| !name.is_empty());
    let Some(name) = known().or_else(own) else {
        return Err(match id {
            None => Fault::missing("the id of a call").at("tool_call_id"),
            Some(_) => Fault::wrong_value("the id of a call in an earlier message").at("tool_call_id"),
        });
    };
    let (text, media) = outcome(message.content, viewer).map_err(|fault| fault.at("content"))?;
    let is_3 = viewer.model.is_3_or_later();
    let id = bare.filter(|id| is_3 && !id.is_empty());
    let (inside, beside) = if is_3 { (media, Vec::new()) } else { (Vec::new(), media) };
    let function_response = FunctionResponse { name, response: object(text), id, parts: inside };
    let mut parts = vec![Part::Response(ResponsePart { function_response })];
    parts.extend(beside.into_iter().map(Part::Media));
    Ok(parts)
}

/// The text and the media of a result; a text that is a picture's `data:` URL is that picture.
fn outcome<'a>(raw: Raw<'a>, viewer: Viewer<'_>) -> Result<(Cow<'a, str>, Vec<Media<'a>>), Fault> {
    let (text, mut media) = parts::apart(parts::content(raw, viewer, Blanks::LeftOut)?);
    if media.is_empty()
        && text.starts_with("data:image/")
        && let Ok(source) = media::inline(text.clone())
    {
        media.push(viewer.plain(source));
        return Ok((Cow::Borrowed(""), media));
    }
    Ok((text, media))
}

/// The object that `text` is, or one that holds it. Gemini reads a `$ref` inside as a reference to a part of its own, so
/// an object with one stays text.
fn object(text: Cow<'_, str>) -> Outcome<'_> {
    let trimmed = text.trim();
    let has_reference = || trimmed.contains("\"$ref\"") || trimmed.contains("\\u00");
    match serde_json::from_str::<Box<RawValue>>(trimmed) {
        Ok(object) if trimmed.starts_with('{') && !has_reference() => Outcome::Object(object),
        Ok(_) | Err(_) => Outcome::Text { content: text },
    }
}
