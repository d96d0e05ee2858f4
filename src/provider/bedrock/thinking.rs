//! Reasoning effort, in the words of the model's family.
//!
//! Source: AWS, "Extended thinking"
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>, not re-read for this.
//! The budgets are LiteLLM's.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::model::{Model, Reasoning};
use crate::openai::Request;
use crate::openai::chat::{self, Fault};
use crate::provider::given::Given;

/// The smallest budget that Claude takes.
const MIN_BUDGET_TOKENS: u64 = 1024;
/// What is left for the answer where the client set no bound.
const ANSWER_TOKENS: u64 = 4096;

/// What thinking comes to.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// `maxTokens`, where the client or the budget sets one.
    pub(super) max_tokens: Option<u64>,
    /// Members of `additionalModelRequestFields`.
    pub(super) fields: Vec<(&'static str, Field<'a>)>,
    /// `effort` of Claude's `output_config`.
    pub(super) effort: Option<&'static str>,
}

/// One member.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Field<'a> {
    Thinking(Thinking),
    Asked(&'a RawValue),
    Word(Cow<'a, str>),
    Gpt {
        effort: Cow<'a, str>,
    },
    #[serde(rename_all = "camelCase")]
    Nova {
        #[serde(rename = "type")]
        type_: &'static str,
        max_reasoning_effort: Cow<'a, str>,
    },
}

/// Claude's `thinking`.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Thinking {
    Enabled { budget_tokens: u64 },
    Adaptive { display: &'static str },
}

impl Plan<'_> {
    /// Whether Claude thinks.
    pub(super) fn is_thinking(&self) -> bool {
        self.fields.iter().any(|(name, field)| match field {
            Field::Asked(raw) => *name == "thinking" && !raw.get().contains("\"disabled\""),
            Field::Thinking(_) => true,
            Field::Word(_) | Field::Gpt { .. } | Field::Nova { .. } => false,
        })
    }

    /// Whether the client or we say anything of Claude's thinking.
    pub(super) fn mentions_thinking(&self) -> bool {
        self.fields.iter().any(|(name, _)| *name == "thinking")
    }
}

/// Decides on thinking and on the bound of the answer.
pub(super) fn plan<'a>(request: &Request, given: &Given<'a>, model: Model<'_>) -> Result<Plan<'a>, Fault> {
    let mut plan = Plan { max_tokens: request.max_output_tokens, ..Plan::default() };
    if let Some(asked) = given.raw("thinking") {
        plan.fields.push(("thinking", asked_to_think(asked, &mut plan.max_tokens)));
    }
    let word = given.raw("reasoning_effort").map(chat::string).transpose();
    let word = word.map_err(|fault| fault.at("reasoning_effort"))?.filter(|word| word != "none");
    let Some(word) = word else { return Ok(plan) };
    match model.reasoning() {
        Reasoning::None => (),
        Reasoning::Effort => plan.fields.push(("reasoning_effort", Field::Word(word))),
        Reasoning::Gpt => plan.fields.push(("reasoning", Field::Gpt { effort: word })),
        Reasoning::Nova if matches!(&*word, "low" | "medium" | "high") => {
            plan.fields.push(("reasoningConfig", Field::Nova { type_: "enabled", max_reasoning_effort: word }));
        }
        Reasoning::Nova => {
            return Err(Fault::wrong_value("one of none, low, medium, high").at("reasoning_effort"));
        }
        Reasoning::Thinking if plan.fields.is_empty() => think(&word, request, model, &mut plan)?,
        Reasoning::Thinking => (),
    }
    Ok(plan)
}

/// The client's own `thinking`, its budget large enough, and the bound with room for an answer.
fn asked_to_think<'a>(asked: &'a RawValue, max_tokens: &mut Option<u64>) -> Field<'a> {
    #[derive(serde::Deserialize)]
    struct Asked<'a> {
        #[serde(borrow, rename = "type")]
        type_: Cow<'a, str>,
        budget_tokens: u64,
    }
    let field = match serde_json::from_str::<Asked<'a>>(asked.get()) {
        Ok(Asked { type_, budget_tokens }) if type_ == "enabled" => {
            let budget = budget_tokens.max(MIN_BUDGET_TOKENS);
            *max_tokens = max_tokens.or(Some(budget.saturating_add(ANSWER_TOKENS)));
            (budget != budget_tokens).then_some(Field::Thinking(Thinking::Enabled { budget_tokens: budget }))
        }
        Ok(_) | Err(_) => None,
    };
    field.unwrap_or(Field::Asked(asked))
}

/// Claude's thinking: by a word for those that judge for themselves, else by a budget.
fn think(word: &str, request: &Request, model: Model<'_>, plan: &mut Plan<'_>) -> Result<(), Fault> {
    let generation = model.generation();
    let row = EFFORTS.iter().find(|row| row.0 == word);
    let &(_, budget, effort) =
        row.ok_or(Fault::wrong_value("one of none, minimal, low, medium, high, xhigh, max").at("reasoning_effort"))?;
    if generation.since(4, 6) {
        let knows_xhigh = generation.since(4, 7);
        plan.effort = Some(if effort == "xhigh" && !knows_xhigh { "max" } else { effort });
        plan.fields.push(("thinking", Field::Thinking(Thinking::Adaptive { display: "summarized" })));
        return Ok(());
    }
    let budget_tokens = match request.max_output_tokens {
        Some(max) if max <= MIN_BUDGET_TOKENS => return Ok(()),
        Some(max) => budget.min(max / 2).max(MIN_BUDGET_TOKENS),
        None => {
            plan.max_tokens = Some(budget + ANSWER_TOKENS);
            budget
        }
    };
    plan.fields.push(("thinking", Field::Thinking(Thinking::Enabled { budget_tokens })));
    Ok(())
}

/// OpenAI's words, the budget of each, and Claude's word for it.
const EFFORTS: &[(&str, u64, &str)] = &[
    ("minimal", 1024, "low"),
    ("low", 1024, "low"),
    ("medium", 2048, "medium"),
    ("high", 4096, "high"),
    ("xhigh", 8192, "xhigh"),
    ("max", 16384, "max"),
];
