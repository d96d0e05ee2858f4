//! The parameters of a chat completion: which Cohere lacks, and what the others are called there.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, not re-read for this; its SDK's `v2/client.py`, read
//! 2026-11-23; "Reasoning" <https://docs.cohere.com/docs/reasoning>, read 2026-11-23; LITELLM.md 3.5.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::{self, Fault, JsonSchema, Raw, ResponseFormat};
use crate::provider::Target;
use crate::provider::given::Given;

/// OpenAI's parameters that Cohere has nothing like.
const LACKING: &[&str] = &[
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "modalities",
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

/// Parameters that only models that reason have.
const REASONING: &[&str] = &["reasoning_effort", "thinking"];

/// Members that are built, or that mean nothing to Cohere.
const BUILT: &[&str] = &["messages", "metadata", "model", "top_k"];

/// Numbers, and what they are called there.
const NUMBERS: &[(&str, &str)] = &[
    ("frequency_penalty", "frequency_penalty"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("presence_penalty", "presence_penalty"),
    ("seed", "seed"),
    ("temperature", "temperature"),
    ("top_k", "k"),
    ("top_p", "p"),
];

/// Whether Cohere lacks the parameter `name`, or this model of it.
pub(super) fn lacks(name: &str, target: &Target) -> bool {
    LACKING.contains(&name) || (REASONING.contains(&name) && !reasons(target))
}

/// Whether the model reasons: the catalog says so, or its name.
pub(super) fn reasons(target: &Target) -> bool {
    target.supports_reasoning || target.base_model.contains("reasoning")
}

/// The value of a parameter.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Setting<'a> {
    AsGiven(&'a RawValue),
    Texts(Vec<Literal<'a>>),
    Format(Format<'a>),
    Thinking(Thinking<'a>),
}

/// Every parameter but the messages and the tools, by Cohere's name.
///
/// # Errors
///
/// The client's: a value of the wrong type.
pub(super) fn settings<'a>(given: &Given<'a>, target: &Target) -> Result<BTreeMap<&'a str, Setting<'a>>, Fault> {
    let others = given.others(BUILT, target, |name| lacks(name, target));
    let mut settings: BTreeMap<_, _> = others.into_iter().map(|(name, raw)| (name, Setting::AsGiven(raw))).collect();
    for &(name, theirs) in NUMBERS {
        if let Some(number) = given.number(name)? {
            settings.insert(theirs, Setting::AsGiven(number));
        }
    }
    if let Some(n) = given.number("n")?.filter(|n| n.get() != "1") {
        settings.insert("num_generations", Setting::AsGiven(n));
    }
    if let Some(stop) = given.strings("stop")? {
        settings.insert("stop_sequences", Setting::Texts(stop));
    }
    if let Some(logprobs) = given.raw("logprobs") {
        settings.insert("logprobs", Setting::AsGiven(logprobs));
    }
    if let Some(format) = format(given)? {
        settings.insert("response_format", format);
    }
    if reasons(target)
        && let Some(thinking) = thinking(given)?
    {
        settings.insert("thinking", Setting::Thinking(thinking));
    }
    Ok(settings)
}

/// `{"type":"json_object","schema":…}`
#[derive(Debug, Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    schema: &'a RawValue,
}

fn format<'a>(given: &Given<'a>) -> Result<Option<Setting<'a>>, Fault> {
    const WHERE: &str = "response_format";
    let Some(raw) = given.raw(WHERE) else { return Ok(None) };
    let asked: ResponseFormat<'a> = chat::object(raw.get()).map_err(|fault| fault.at(WHERE))?;
    match &*chat::required(asked.type_, "type").map_err(|fault| fault.at(WHERE))? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Setting::AsGiven(raw))),
        "json_schema" => {
            let within = |fault: Fault| fault.at("json_schema").at(WHERE);
            let object = asked.json_schema.ok_or(Fault::missing("an object")).map_err(within)?;
            let named: JsonSchema<'a> = chat::object(object.get()).map_err(within)?;
            let schema = named.schema.ok_or(Fault::missing("an object").at("schema")).map_err(within)?;
            Ok(Some(Setting::Format(Format { type_: "json_object", schema })))
        }
        _ => Err(Fault::wrong_value("one of text, json_object, json_schema").at("type").at(WHERE)),
    }
}

/// `{"type":"enabled","token_budget":…}`
#[derive(Debug, Serialize)]
pub(super) struct Thinking<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<Budget<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Budget<'a> {
    AsGiven(&'a RawValue),
    Of(u32),
}

/// `thinking` of Anthropic's or Cohere's own form, else what `reasoning_effort` comes to.
fn thinking<'a>(given: &Given<'a>) -> Result<Option<Thinking<'a>>, Fault> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Asked<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
        #[serde(borrow)]
        budget_tokens: Raw<'a>,
        #[serde(borrow)]
        token_budget: Raw<'a>,
    }
    if let Some(text) = given.text("thinking") {
        let asked: Asked<'a> = chat::object(text).map_err(|fault| fault.at("thinking"))?;
        let type_ = chat::required(asked.type_, "type").map_err(|fault| fault.at("thinking"))?;
        let type_ = if type_ == "disabled" { "disabled" } else { "enabled" };
        let token_budget = asked.token_budget.or(asked.budget_tokens).map(Budget::AsGiven);
        return Ok(Some(Thinking { type_, token_budget }));
    }
    given.string("reasoning_effort")?.map(|effort| of_effort(&effort)).transpose()
}

/// The budgets are those that LiteLLM gives Claude.
fn of_effort<'a>(effort: &str) -> Result<Thinking<'a>, Fault> {
    let budget = match effort {
        "none" => return Ok(Thinking { type_: "disabled", token_budget: None }),
        "minimal" | "low" => 1024,
        "medium" => 2048,
        "high" => 4096,
        "xhigh" => 8192,
        "max" => 16384,
        _ => return Err(Fault::wrong_value("one of none, minimal, low, medium, high, xhigh").at("reasoning_effort")),
    };
    Ok(Thinking { type_: "enabled", token_budget: Some(Budget::Of(budget)) })
}
