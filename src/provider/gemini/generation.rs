//! `generationConfig`: the parameters of an answer, in the spelling that LiteLLM sends. Google takes both.
//!
//! Source: Google, "GenerationConfig" <https://ai.google.dev/api/generate-content>, "Structured outputs"
//! <https://ai.google.dev/gemini-api/docs/structured-output>, not re-read for this; LITELLM.md 3.2.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::media::Detail;
use super::model::Model;
use super::params::generation;
use super::schema::{Form, Rewriter};
use super::{speech, thinking};
use crate::json::Literal;
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::Target;
use crate::provider::given::Given;

/// The members, ours over the client's.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Generation<'a>(BTreeMap<Cow<'a, str>, Cow<'a, RawValue>>);

/// Parameters of OpenAI's that are numbers there and here.
const NUMBERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("n", "candidate_count"),
    ("seed", "seed"),
    ("top_logprobs", "logprobs"),
];

/// Those that the third generation ignores.
const PENALTIES: &[&str] = &["presence_penalty", "frequency_penalty"];

impl<'a> Generation<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn set(&mut self, name: &'static str, value: Raw<'a>) {
        self.0.extend(value.map(|raw| (Cow::Borrowed(name), Cow::Borrowed(raw))));
    }

    fn make(&mut self, name: &'static str, value: Option<impl Serialize>) {
        let raw = value.and_then(|value| to_raw_value(&value).ok());
        self.0.extend(raw.map(|raw| (Cow::Borrowed(name), Cow::Owned(raw))));
    }

    fn has(&self, names: [&str; 2]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }
}

/// Translates all that an answer is to be like.
pub(super) fn translate<'a>(
    given: &Given<'a>,
    model: &Model,
    target: &Target,
    detail: Option<Detail>,
) -> Result<Generation<'a>, Fault> {
    let own = generation(given, target).into_iter();
    let own = own.filter(|(name, _)| !(model.ignores_sampling() && matches!(*name, "top_k" | "topK")));
    let mut generation = Generation(own.map(|(name, raw)| (Cow::Borrowed(name), Cow::Borrowed(raw))).collect());
    for (theirs, ours) in NUMBERS {
        generation.set(ours, given.number(theirs)?);
    }
    for name in PENALTIES.iter().filter(|_| !model.is_3_or_later()) {
        generation.set(name, given.number(name)?);
    }
    for name in ["max_tokens", "max_completion_tokens"] {
        generation.set("max_output_tokens", given.number(name)?);
    }
    generation.make("responseLogprobs", given.flag("logprobs")?);
    generation.make("stop_sequences", stop(given)?);
    format(given, model, &mut generation)?;
    if !generation.has(["thinkingConfig", "thinking_config"]) {
        generation.make("thinkingConfig", thinking::translate(given, model, target)?);
    }
    voices(given, &mut generation)?;
    if !generation.has(["mediaResolution", "media_resolution"]) {
        generation.make("mediaResolution", detail.map(Detail::level));
    }
    Ok(generation)
}

fn stop<'a>(given: &Given<'a>) -> Result<Option<Vec<Literal<'a>>>, Fault> {
    let Some(raw) = given.raw("stop") else { return Ok(None) };
    if let Some(one) = Literal::new(raw) {
        return Ok(Some(vec![one]));
    }
    let all = match raw.get().starts_with('[') {
        true => chat::elements(raw.get()).map_err(|fault| fault.at("stop"))?,
        false => return Err(Fault::wrong_type("a string or an array").at("stop")),
    };
    let all = all.into_iter().enumerate();
    all.map(|(i, raw)| chat::literal(raw).map_err(|fault| fault.in_element("stop", i)))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The form of the answer: text, JSON, or JSON by a schema.
fn format<'a>(given: &Given<'a>, model: &Model, generation: &mut Generation<'a>) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
        #[serde(borrow)]
        json_schema: Raw<'a>,
        /// LiteLLM's own place for a schema.
        #[serde(borrow)]
        response_schema: Raw<'a>,
    }
    let Some(raw) = given.raw("response_format") else { return Ok(()) };
    let mut read = || {
        let format: Format<'a> = chat::object(raw.get())?;
        let (mime_type, schema) = match (&*chat::required(format.type_, "type")?, format.response_schema) {
            (_, Some(schema)) => ("application/json", Some(schema)),
            ("text", None) => ("text/plain", None),
            ("json_object", None) => ("application/json", None),
            ("json_schema", None) => ("application/json", Some(inner(format.json_schema)?)),
            _ => return Err(Fault::wrong_value("text, json_object or json_schema").at("type")),
        };
        generation.make("response_mime_type", Some(mime_type));
        schema.map_or(Ok(()), |schema| constrain(schema, model, generation))
    };
    read().map_err(|fault| fault.at("response_format"))
}

fn inner(raw: Raw<'_>) -> Result<&RawValue, Fault> {
    let outer = raw.ok_or(Fault::missing("an object").at("json_schema"))?;
    let outer: chat::JsonSchema<'_> = chat::object(outer.get()).map_err(|fault| fault.at("json_schema"))?;
    let schema = outer.schema.ok_or(Fault::missing("an object"));
    let schema = schema.and_then(|raw| match raw.get().starts_with('{') {
        true => Ok(raw),
        false => Err(Fault::wrong_type("an object")),
    });
    schema.map_err(|fault| fault.at("json_schema.schema"))
}

/// A JSON schema as it is; models that take none get OpenAPI's kind.
fn constrain<'a>(schema: &'a RawValue, model: &Model, generation: &mut Generation<'a>) -> Result<(), Fault> {
    if model.takes_json_schema() {
        generation.set("response_json_schema", Some(schema));
        return Ok(());
    }
    let form = Form { integer_enums: false, ordered: true };
    let schema = Rewriter::new(form).rewrite(schema).map_err(|fault| fault.at("json_schema.schema"))?;
    generation.make("response_schema", Some(schema));
    Ok(())
}

/// What an answer is made of, and its voice; who asks for a voice wants to hear it.
fn voices<'a>(given: &Given<'a>, generation: &mut Generation<'a>) -> Result<(), Fault> {
    let mut modalities = modalities(given)?;
    if let Some(raw) = given.raw("audio") {
        generation.make("speechConfig", Some(speech::translate(raw).map_err(|fault| fault.at("audio"))?));
        let modalities = modalities.get_or_insert_default();
        if !modalities.contains(&"AUDIO") {
            modalities.push("AUDIO");
        }
    }
    generation.make("responseModalities", modalities);
    Ok(())
}

fn modalities(given: &Given<'_>) -> Result<Option<Vec<&'static str>>, Fault> {
    let Some(raw) = given.raw("modalities") else { return Ok(None) };
    let all = chat::elements(raw.get()).map_err(|fault| fault.at("modalities"))?;
    let name = |(i, raw): (usize, &RawValue)| match &*chat::string(raw).map_err(|f| f.in_element("modalities", i))? {
        "text" => Ok("TEXT"),
        "image" => Ok("IMAGE"),
        "audio" => Ok("AUDIO"),
        "video" => Ok("VIDEO"),
        _ => Err(Fault::wrong_value("text, image, audio or video").in_element("modalities", i)),
    };
    all.into_iter().enumerate().map(name).collect::<Result<_, _>>().map(Some)
}
