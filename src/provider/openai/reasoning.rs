//! How a vendor is told to reason, where it is not told as OpenAI is.
//!
//! Source: DeepSeek, "Thinking Mode" <https://api-docs.deepseek.com/guides/thinking_mode>; Mistral, "Reasoning"
//! <https://docs.mistral.ai/capabilities/reasoning>: `prompt_mode: "reasoning"`; both not re-read for this. LITELLM.md
//! 3.5 and LiteLLM 1.109.1, read 2026-11-23.

use serde::Deserialize;

use super::dialect::Reasoning;
use crate::json::edit::Change;
use crate::openai::Request;
use crate::provider::Target;

/// What becomes of `reasoning_effort` and `thinking`, and what comes in their place.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<(&'static str, Change)>,
    pub(super) added: Vec<(&'static str, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    type_: String,
    budget_tokens: Option<u64>,
}

const ON: &[u8] = br#"{"type":"enabled"}"#;
const SWITCH_EFFORTS: &[&str] = &["minimal", "low", "medium", "high", "xhigh", "max", "ultra"];

/// What `request` asks of reasoning, as `target` is told.
pub(super) fn plan(request: &Request, target: &Target) -> Plan {
    let effort: Option<String> = request.index.read(&request.body, "reasoning_effort").ok().flatten();
    let thinking: Option<Thinking> = request.index.read(&request.body, "thinking").ok().flatten();
    if effort.is_none() && thinking.is_none() {
        return Plan::default();
    }
    let effort = effort.as_deref();
    match target.vendor.dialect.reasoning {
        Reasoning::Same => Plan::default(),
        Reasoning::Effort => by_effort(effort, thinking.as_ref()),
        Reasoning::Switch => by_switch(effort, thinking.as_ref()),
        Reasoning::PromptMode => by_prompt_mode(target, effort, thinking.as_ref()),
    }
}

/// Whether `request` asks a vendor with a switch to reason.
pub(super) fn is_on(request: &Request, target: &Target) -> bool {
    let on = |change: &Change| matches!(change, Change::Set(value) if value.as_slice() == ON);
    let plan = plan(request, target);
    plan.added.iter().any(|(_, value)| value.as_slice() == ON) || plan.changes.iter().any(|(_, change)| on(change))
}

fn by_effort(effort: Option<&str>, thinking: Option<&Thinking>) -> Plan {
    let Some(thinking) = thinking else { return Plan::default() };
    let bought = match (thinking.type_.as_str(), thinking.budget_tokens.unwrap_or(0)) {
        ("enabled", 4096..) => Some("\"high\""),
        ("enabled", 2048..) => Some("\"medium\""),
        ("enabled", 1024..) => Some("\"low\""),
        ("enabled", _) => Some("\"minimal\""),
        _ => None,
    };
    let bought = bought.filter(|_| effort.is_none()).map(|word| ("reasoning_effort", word.as_bytes().to_vec()));
    Plan { changes: vec![("thinking", Change::Drop)], added: bought.into_iter().collect() }
}

fn by_switch(effort: Option<&str>, thinking: Option<&Thinking>) -> Plan {
    let is_on = match (thinking.map(|thinking| thinking.type_.as_str()), effort) {
        (Some("enabled"), _) => Some(true),
        (Some("disabled"), _) | (_, Some("none")) => Some(false),
        (_, Some(_)) => Some(true),
        (_, None) => None,
    };
    let word = match is_on {
        Some(true) => Some(ON.to_vec()),
        Some(false) => Some(br#"{"type":"disabled"}"#.to_vec()),
        None => None,
    };
    let keeps_effort = is_on == Some(true) && effort.is_some_and(|effort| SWITCH_EFFORTS.contains(&effort));
    let mut plan = Plan::default();
    if !keeps_effort {
        plan.changes.push(("reasoning_effort", Change::Drop));
    }
    match (thinking, word) {
        (Some(_), Some(word)) => plan.changes.push(("thinking", Change::Set(word))),
        (Some(_), None) => plan.changes.push(("thinking", Change::Drop)),
        (None, word) => plan.added.extend(word.map(|word| ("thinking", word))),
    }
    plan
}

fn by_prompt_mode(target: &Target, effort: Option<&str>, thinking: Option<&Thinking>) -> Plan {
    if !target.base_model.contains("magistral") {
        return Plan::default();
    }
    let is_off = effort == Some("none") || thinking.is_some_and(|thinking| thinking.type_ == "disabled");
    let mode = (!is_off).then(|| ("prompt_mode", b"\"reasoning\"".to_vec()));
    let changes = vec![("reasoning_effort", Change::Drop), ("thinking", Change::Drop)];
    Plan { changes, added: mode.into_iter().collect() }
}
