//! Reasoning effort: a budget of tokens for older models, a word for those that judge for themselves.
//!
//! Source: Anthropic, "Extended thinking" <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>,
//! "Adaptive thinking" <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>, "Migration guide"
//! <https://platform.claude.com/docs/en/about-claude/models/migration-guide>, read 2026-11-23. The budgets are
//! LiteLLM's.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::openai::Request;
use crate::openai::chat::{self, Fault};
use crate::provider::Target;
use crate::provider::given::Given;

/// The bound on an answer where neither the client nor the model's entry has one: every Claude can do it.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The smallest budget that Anthropic takes.
const MIN_BUDGET_TOKENS: u64 = 1024;
/// What is left for the answer where the client set no bound.
const ANSWER_TOKENS: u64 = 4096;

/// How hard the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effort {
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// The `thinking` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Thinking {
    Enabled { budget_tokens: u64 },
    Adaptive { display: &'static str },
}

/// The same, or the client's own.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ThinkingParam<'a> {
    Asked(&'a RawValue),
    Derived(Thinking),
}

/// Whether a model judges for itself how long to think, and from when on it knows `xhigh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    major: u32,
    minor: u32,
}

impl Generation {
    /// Reads it from a model's name: `claude-opus-4-6`, `claude-3-7-sonnet-20250219`. A name without is old.
    pub(super) fn of(model: &str) -> Self {
        // These two families never had a budget.
        if model.contains("mythos") || model.contains("fable") {
            return Self { major: 5, minor: 0 };
        }
        // A number of more than two digits is a date.
        let is_number = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let mut parts = model.split(['-', '.', '@', ':', '_', '/']).skip_while(|part| !is_number(part));
        let mut next = || parts.next().filter(is_number).and_then(|part| part.parse().ok()).unwrap_or(0);
        Self { major: next(), minor: next() }
    }

    fn since(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Whether `thinking` has no budget.
    pub(super) fn is_adaptive(self) -> bool {
        self.since(4, 6)
    }

    /// Whether `temperature`, `top_p` and `top_k` are refused.
    pub(super) fn refuses_sampling(self) -> bool {
        self.since(4, 7)
    }

    /// The effort in the words that the model knows; `xhigh` came with 4.7.
    pub(super) fn effort(self, effort: Effort) -> Effort {
        if effort == Effort::XHigh && !self.since(4, 7) { Effort::High } else { effort }
    }
}

impl Effort {
    /// Reads `reasoning_effort`; `None` for no reasoning.
    pub(super) fn read(word: &str) -> Result<Option<Self>, Fault> {
        match word {
            "none" => Ok(None),
            "minimal" | "low" => Ok(Some(Self::Low)),
            "medium" => Ok(Some(Self::Medium)),
            "high" => Ok(Some(Self::High)),
            "xhigh" => Ok(Some(Self::XHigh)),
            "max" => Ok(Some(Self::Max)),
            _ => Err(Fault::wrong_value("one of none, minimal, low, medium, high, xhigh, max").at("reasoning_effort")),
        }
    }

    fn budget_tokens(self) -> u64 {
        match self {
            Self::Low => 1024,
            Self::Medium => 2048,
            Self::High => 4096,
            Self::XHigh => 8192,
            Self::Max => 16384,
        }
    }

    /// The budget and the bound on the whole answer, which is always larger.
    ///
    /// A bound that the client set stands: half of it goes to thinking at most, and none where that is too little.
    /// Otherwise there is room for an answer beside it, as much as LiteLLM leaves.
    pub(super) fn budget(self, asked_tokens: Option<u64>) -> (Option<u64>, u64) {
        let budget = self.budget_tokens();
        match asked_tokens {
            Some(max) if max <= MIN_BUDGET_TOKENS => (None, max),
            Some(max) => (Some(budget.min(max / 2).max(MIN_BUDGET_TOKENS)), max),
            None => (Some(budget), budget + ANSWER_TOKENS),
        }
    }
}

/// Whether the client turned thinking on in Anthropic's own words.
pub(super) fn is_asked(given: &Given<'_>) -> bool {
    given.text("thinking").is_some_and(|text| !text.contains("\"disabled\""))
}

/// What thinking comes to.
pub(super) struct Plan<'a> {
    pub(super) max_tokens: u64,
    pub(super) thinking: Option<ThinkingParam<'a>>,
    pub(super) effort: Option<Effort>,
}

/// Decides on thinking and on the bound of the answer. Derived thinking gives way to a tool that is `forced`; one with
/// a budget also where earlier thoughts are `lost`, which a model that judges for itself does not mind.
pub(super) fn plan<'a>(
    request: &Request,
    target: &Target,
    given: &Given<'a>,
    forced: bool,
    lost: bool,
) -> Result<Plan<'a>, Fault> {
    let default_tokens = target.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let max_tokens = request.max_output_tokens.unwrap_or(default_tokens);
    let mut plan = Plan { max_tokens, thinking: given.raw("thinking").map(ThinkingParam::Asked), effort: None };
    let word = given.raw("reasoning_effort").map(chat::string).transpose();
    let word = word.map_err(|fault| fault.at("reasoning_effort"))?;
    let Some(effort) = word.as_deref().map(Effort::read).transpose()?.flatten() else { return Ok(plan) };
    if !target.supports_reasoning || plan.thinking.is_some() {
        return Ok(plan);
    }
    let generation = Generation::of(&target.model);
    if generation.is_adaptive() {
        plan.effort = Some(generation.effort(effort));
        let thinking = Thinking::Adaptive { display: "summarized" };
        plan.thinking = (!forced).then_some(ThinkingParam::Derived(thinking));
    } else if !forced && !lost {
        let (budget, max_tokens) = effort.budget(request.max_output_tokens);
        plan.max_tokens = max_tokens;
        plan.thinking = budget.map(|budget_tokens| ThinkingParam::Derived(Thinking::Enabled { budget_tokens }));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_generation_is_in_the_name() {
        for (model, adaptive, sampling) in [
            ("claude-3-7-sonnet-20250219", false, true),
            ("claude-sonnet-4-20250514", false, true),
            ("claude-haiku-4-5-20251001", false, true),
            ("claude-opus-4-6", true, true),
            ("claude-opus-4.7", true, false),
            ("claude-sonnet-5", true, false),
            ("claude-mythos-preview", true, false),
            ("claude-latest", false, true),
        ] {
            let generation = Generation::of(model);
            assert_eq!((generation.is_adaptive(), !generation.refuses_sampling()), (adaptive, sampling), "{model}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_bound_is_always_larger_than_the_budget() {
        for (effort, asked, expected) in [
            (Effort::High, None, (Some(4096), 8192)),
            (Effort::High, Some(3000), (Some(1500), 3000)),
            (Effort::Max, Some(1025), (Some(1024), 1025)),
            (Effort::Low, Some(1024), (None, 1024)),
            (Effort::Max, Some(100_000), (Some(16384), 100_000)),
        ] {
            assert_eq!(effort.budget(asked), expected);
        }
    }
}
