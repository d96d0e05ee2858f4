//! How much a model is to think.
//!
//! Source: Google, "Gemini thinking" <https://ai.google.dev/gemini-api/docs/thinking>, not re-read for this; the budgets
//! and levels are LiteLLM's, LITELLM.md 3.2.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::model::Model;
use crate::json::Literal;
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::Target;
use crate::provider::given::Given;

/// `thinkingConfig`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

/// Translates `reasoning_effort` and `thinking`, which wins over it.
pub(super) fn translate(given: &Given<'_>, model: &Model, target: &Target) -> Result<Option<Thinking>, Fault> {
    if !model.reasons(target) {
        return Ok(None);
    }
    if let Some(raw) = given.raw("thinking") {
        return asked(raw, model).map(Some).map_err(|fault| fault.at("thinking"));
    }
    let effort = given.raw("reasoning_effort").map(|raw| effort(raw, model)).transpose();
    effort.map(Option::flatten).map_err(|fault| fault.at("reasoning_effort"))
}

/// An effort, or an object with one as OpenAI's Responses API has it.
fn effort(raw: &RawValue, model: &Model) -> Result<Option<Thinking>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reasoning<'a> {
        #[serde(borrow)]
        effort: Raw<'a>,
    }
    if Literal::new(raw).is_some() {
        return of_effort(&chat::string(raw)?, model).map(Some);
    }
    if !raw.get().starts_with('{') {
        return Err(Fault::wrong_type("a string"));
    }
    let reasoning: Reasoning<'_> = chat::object(raw.get())?;
    let effort = reasoning.effort.map(|raw| of_effort(&chat::string(raw)?, model));
    effort.transpose().map_err(|fault| fault.at("effort"))
}

fn of_effort(effort: &str, model: &Model) -> Result<Thinking, Fault> {
    let least = if model.thinks_minimally() { "minimal" } else { "low" };
    let (budget, level, include_thoughts) = match effort {
        "minimal" => (u64::from(model.least_budget()), least, true),
        "low" => (1024, "low", true),
        "medium" => (2048, "medium", true),
        "high" => (4096, "high", true),
        "none" | "disable" => (0, least, false),
        _ => return Err(Fault::wrong_value("none, minimal, low, medium or high")),
    };
    let include_thoughts = Some(include_thoughts);
    Ok(match model.is_3_or_later() {
        true => Thinking { thinking_level: Some(level), include_thoughts, ..Thinking::default() },
        false => Thinking { thinking_budget: Some(budget), include_thoughts, ..Thinking::default() },
    })
}

/// Anthropic's `thinking`: later models take no budget.
fn asked(raw: &RawValue, model: &Model) -> Result<Thinking, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Asked<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
        #[serde(borrow)]
        budget_tokens: Raw<'a>,
    }
    let asked: Asked<'_> = chat::object(raw.get())?;
    let is_enabled = chat::required(asked.type_, "type")? != "disabled";
    let budget = asked.budget_tokens.map(|raw| serde_json::from_str::<u64>(raw.get())).transpose();
    let budget = budget.map_err(|_| Fault::wrong_type("an integer").at("budget_tokens"))?;
    let thinks = is_enabled && budget != Some(0);
    Ok(match model.is_3_or_later() {
        true => Thinking { include_thoughts: Some(thinks), ..Thinking::default() },
        false => Thinking { thinking_budget: budget, include_thoughts: thinks.then_some(true), ..Thinking::default() },
    })
}
