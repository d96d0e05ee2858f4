//! The parameters of a chat completion: which Ollama lacks, and where the others go.
//!
//! Source: Ollama, "Generate a chat message" <https://docs.ollama.com/api/chat>, "Modelfile reference: valid parameters"
//! <https://docs.ollama.com/modelfile>, not re-read for this; its `api/types.go` and `openai/openai.go`, read 2026-11-23;
//! LITELLM.md 3.4 and 3.5.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::{self, Fault, JsonSchema, Raw, ResponseFormat};
use crate::provider::Target;
use crate::provider::given::Given;

/// OpenAI's parameters that Ollama has nothing like.
const LACKING: &[&str] = &[
    "audio",
    "function_call",
    "logit_bias",
    "logprobs",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "top_logprobs",
    "user",
    "verbosity",
    "web_search_options",
];

/// Members of Ollama's own request that stand beside `options`, passed on as they are.
const BESIDE: &[&str] = &["keep_alive", "logprobs", "shift", "top_logprobs", "truncate"];

/// Members that are built, or that mean nothing to Ollama.
const BUILT: &[&str] = &["format", "messages", "metadata", "model", "options", "think"];

/// OpenAI's parameters that are options of another name, or of the same.
const RENAMED: &[(&str, &str)] = &[
    ("frequency_penalty", "frequency_penalty"),
    ("max_tokens", "num_predict"),
    ("max_completion_tokens", "num_predict"),
    ("presence_penalty", "presence_penalty"),
    ("seed", "seed"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
];

/// Whether Ollama lacks the parameter `name`.
pub(super) fn lacks(name: &str) -> bool {
    LACKING.contains(&name)
}

/// Members of an object in any order.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The value of an option.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Setting<'a> {
    AsGiven(&'a RawValue),
    /// Of `stop`.
    Texts(Vec<Literal<'a>>),
}

/// `options`, and what stands beside them.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) options: BTreeMap<Cow<'a, str>, Setting<'a>>,
    pub(super) beside: BTreeMap<&'a str, &'a RawValue>,
}

/// Puts every parameter in its place.
///
/// # Errors
///
/// The client's: a value of the wrong type.
pub(super) fn settings<'a>(given: &Given<'a>, target: &Target) -> Result<Settings<'a>, Fault> {
    let own: Members<'a> = match given.text("options") {
        Some(options) => chat::object(options).map_err(|fault: Fault| fault.at("options"))?,
        None => Members::new(),
    };
    let mut beside = given.others(BUILT, target, lacks);
    let mut options: BTreeMap<_, _> = own.into_iter().map(|(name, raw)| (name, Setting::AsGiven(raw))).collect();
    beside.retain(|name, raw| {
        let stays = BESIDE.contains(name);
        if !stays {
            options.insert(Cow::Borrowed(*name), Setting::AsGiven(raw));
        }
        stays
    });
    for (name, option) in RENAMED {
        if let Some(number) = given.number(name)? {
            options.insert(Cow::Borrowed(*option), Setting::AsGiven(number));
        }
    }
    if let Some(stop) = given.strings("stop")? {
        options.insert("stop".into(), Setting::Texts(stop));
    }
    Ok(Settings { options, beside })
}

/// The form that the answer is to have.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Format<'a> {
    /// A JSON schema, or what the client says in Ollama's own words.
    AsGiven(&'a RawValue),
    Json(&'static str),
}

/// `format`: of `response_format`, else the client's own.
///
/// # Errors
///
/// The client's.
pub(super) fn format<'a>(given: &Given<'a>) -> Result<Option<Format<'a>>, Fault> {
    const WHERE: &str = "response_format";
    let own = || given.raw("format").map(Format::AsGiven);
    let Some(text) = given.text(WHERE) else { return Ok(own()) };
    let asked: ResponseFormat<'a> = chat::object(text).map_err(|fault| fault.at(WHERE))?;
    match &*chat::required(asked.type_, "type").map_err(|fault| fault.at(WHERE))? {
        "text" => Ok(own()),
        "json_object" => Ok(Some(Format::Json("json"))),
        "json_schema" => {
            let within = |fault: Fault| fault.at("json_schema").at(WHERE);
            let object = asked.json_schema.ok_or(Fault::missing("an object")).map_err(within)?;
            let named: JsonSchema<'a> = chat::object(object.get()).map_err(within)?;
            let schema = named.schema.ok_or(Fault::missing("an object").at("schema")).map_err(within)?;
            Ok(Some(Format::AsGiven(schema)))
        }
        _ => Err(Fault::wrong_value("one of text, json_object, json_schema").at("type").at(WHERE)),
    }
}

/// Whether, or how hard, the model thinks.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Think {
    Switch(bool),
    Level(&'static str),
}

/// `think`, where the client asks for it in OpenAI's or Anthropic's words.
///
/// # Errors
///
/// The client's.
pub(super) fn think(given: &Given<'_>, target: &Target) -> Result<Option<Think>, Fault> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Thinking<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
    }
    if let Some(effort) = given.string("reasoning_effort")? {
        let has_levels = target.base_model.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-oss"));
        return of_effort(&effort, has_levels).map(Some);
    }
    let Some(text) = given.text("thinking") else { return Ok(None) };
    let thinking: Thinking<'_> = chat::object(text).map_err(|fault| fault.at("thinking"))?;
    let type_ = chat::required(thinking.type_, "type").map_err(|fault| fault.at("thinking"))?;
    Ok(Some(Think::Switch(type_ != "disabled")))
}

fn of_effort(effort: &str, has_levels: bool) -> Result<Think, Fault> {
    let level = match effort {
        "none" => return Ok(Think::Switch(false)),
        "minimal" if !has_levels => return Ok(Think::Switch(false)),
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" | "xhigh" | "max" => "high",
        _ => return Err(Fault::wrong_value("one of none, minimal, low, medium, high, xhigh").at("reasoning_effort")),
    };
    Ok(if has_levels { Think::Level(level) } else { Think::Switch(true) })
}
