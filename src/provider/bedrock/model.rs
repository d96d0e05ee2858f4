//! Which model a target is, and what its family takes of what not every model takes.
//!
//! Source: AWS, "Supported models and model features"
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html>, not
//! re-read for this; the rows are LiteLLM 1.109.1's, `model_prices_and_context_window_backup.json`, read 2026-11-23.
//! A model that no row knows is taken to be able: Bedrock says so itself where it is not.

use crate::provider::Target;

/// A model by its name without region or version of the profile: `anthropic.claude-sonnet-4-5-20250929-v1:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model<'a> {
    name: &'a str,
    supports_reasoning: bool,
}

/// How a model is told how hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// It is not.
    None,
    /// By `thinking`, Claude's.
    Thinking,
    /// By `reasoningConfig`, Nova's.
    Nova,
    /// By OpenAI's `reasoning_effort`.
    Effort,
    /// By `reasoning.effort`.
    Gpt,
}

/// The version of a Claude; `0.0` where the name has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u32, u32);

/// What a cross-region inference profile puts before a model's name.
const REGIONS: &[&str] =
    &["us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov.", "ca.", "sa.", "in.", "amer.", "af.", "me."];

/// The makers whose models the rows below tell apart.
const KNOWN: &[&str] = &[
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "google.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot.",
    "moonshotai.",
    "nvidia.",
    "openai.",
    "qwen.",
    "stability.",
    "twelvelabs.",
    "writer.",
    "xai.",
    "zai.",
];

/// Beginnings of names; one that ends with `$` is a whole name.
type Rows = &'static [&'static str];

const WITHOUT_TOOLS: Rows = &[
    "ai21.",
    "amazon.titan",
    "deepseek.r1",
    "meta.llama2",
    "meta.llama3-70b",
    "meta.llama3-8b",
    "twelvelabs.",
    "writer.palmyra-vision",
];

const WITHOUT_TOOL_CHOICE: Rows = &[
    "ai21.",
    "amazon.titan",
    "cohere.command-r",
    "deepseek.r1",
    "google.gemma",
    "meta.llama",
    "minimax.minimax-m2$",
    "mistral.magistral",
    "mistral.ministral",
    "mistral.mistral-large-2402",
    "mistral.mistral-large-3",
    "mistral.mistral-small-2402",
    "mistral.pixtral",
    "mistral.voxtral",
    "moonshot.kimi-k2-thinking",
    "moonshotai.kimi-k2-thinking",
    "nvidia.nemotron-nano-12b",
    "nvidia.nemotron-nano-9b",
    "openai.gpt-oss-safeguard",
    "qwen.qwen3-next",
    "qwen.qwen3-vl",
    "twelvelabs.",
    "writer.",
];

/// Models that keep to a JSON schema by themselves.
const SCHEMA: Rows = &[
    "anthropic.claude-haiku-4-5",
    "anthropic.claude-mythos-5",
    "anthropic.claude-opus-4-5",
    "anthropic.claude-opus-4-6",
    "anthropic.claude-sonnet-4-5",
    "anthropic.claude-sonnet-4-6",
    "deepseek.v3",
    "minimax.minimax-m2$",
    "mistral.ministral-3",
    "mistral.mistral-large-3",
    "mistral.voxtral",
    "moonshot.kimi-k2-thinking",
    "nvidia.nemotron-nano-3-30b",
    "qwen.qwen3-235b",
    "qwen.qwen3-32b",
    "qwen.qwen3-coder-30b",
    "qwen.qwen3-coder-480b",
    "qwen.qwen3-next",
    "qwen.qwen3-vl",
    "zai.glm-5",
];

/// The same, but only while they think: a tool cannot be forced then.
const SCHEMA_IN_THOUGHT: Rows =
    &["anthropic.claude-haiku-5-5", "anthropic.claude-opus-4-8", "anthropic.claude-sonnet-5"];

/// Claudes whose tools have no `strict`.
const WITHOUT_STRICT: Rows = &[
    "anthropic.claude-haiku-5-5",
    "anthropic.claude-opus-4-7",
    "anthropic.claude-opus-4-8",
    "anthropic.claude-opus-5",
    "anthropic.claude-sonnet-4-2025",
    "anthropic.claude-sonnet-5",
];

/// Models that take a temperature.
const WITHOUT_SAMPLING: Rows = &["openai.gpt-5", "openai.gpt-6"];

fn is_in(rows: Rows, name: &str) -> bool {
    rows.iter().any(|row| row.strip_suffix('$').map_or_else(|| name.starts_with(row), |whole| name == whole))
}

impl<'a> Model<'a> {
    /// The model of `target`, as `model_info.base_model` names it, or its own name does.
    pub(super) fn of(target: &'a Target) -> Self {
        let full = target.base_model.strip_prefix("bedrock/").unwrap_or(&target.base_model);
        let full = full.strip_prefix("converse/").unwrap_or(full);
        let id = full.rsplit('/').next().unwrap_or(full);
        let name = REGIONS.iter().find_map(|region| id.strip_prefix(region)).unwrap_or(id);
        Self { name, supports_reasoning: target.supports_reasoning }
    }

    fn is_known(self) -> bool {
        KNOWN.iter().any(|maker| self.name.starts_with(maker))
    }

    /// Whether it makes vectors or ranks, not text.
    pub(super) fn is_embedding(self) -> bool {
        self.name.contains("embed") || self.name.contains("rerank")
    }

    /// Whether it is of Anthropic's.
    pub(super) fn is_claude(self) -> bool {
        self.name.starts_with("anthropic.")
    }

    pub(super) fn is_nova(self) -> bool {
        self.name.starts_with("amazon.nova")
    }

    pub(super) fn takes_tools(self) -> bool {
        !is_in(WITHOUT_TOOLS, self.name)
    }

    pub(super) fn takes_tool_choice(self) -> bool {
        !is_in(WITHOUT_TOOL_CHOICE, self.name)
    }

    pub(super) fn takes_sampling(self) -> bool {
        !is_in(WITHOUT_SAMPLING, self.name)
    }

    /// Whether a tool may say `strict`.
    pub(super) fn takes_strict(self) -> bool {
        self.is_claude() && !is_in(WITHOUT_STRICT, self.name)
    }

    /// Whether it can be told to make one call at a time.
    pub(super) fn takes_parallel(self) -> bool {
        self.is_claude() && self.generation().since(4, 5)
    }

    /// Whether a tool's result may hold an image.
    pub(super) fn takes_images_in_results(self) -> bool {
        !self.name.starts_with("openai.gpt-5") && !self.name.starts_with("openai.gpt-6")
    }

    /// Whether `cachePoint` is understood.
    pub(super) fn takes_cache_points(self) -> bool {
        if self.is_claude() {
            let early = ["claude-3-5-haiku", "claude-3-5-sonnet-20241022"];
            return self.generation().since(3, 7) || early.iter().any(|name| self.name.contains(name));
        }
        self.is_nova() || self.name.starts_with("zai.glm-5.3") || !self.is_known()
    }

    /// Whether a `cachePoint` may say how long.
    pub(super) fn takes_cache_ttl(self) -> bool {
        self.is_claude() && self.generation().since(4, 5)
    }

    /// Whether it keeps to a JSON schema by itself; some do only while they think.
    pub(super) fn keeps_schema(self, is_thinking: bool) -> bool {
        is_in(SCHEMA, self.name) || (is_thinking && is_in(SCHEMA_IN_THOUGHT, self.name))
    }

    /// How it is told how hard to think.
    pub(super) fn reasoning(self) -> Reasoning {
        let name = self.name;
        if name.contains("gpt-oss") || name.starts_with("deepseek.v3") {
            Reasoning::Effort
        } else if name.starts_with("openai.gpt-") {
            Reasoning::Gpt
        } else if name.starts_with("deepseek.") {
            Reasoning::None
        } else if name.starts_with("amazon.nova-2") {
            Reasoning::Nova
        } else if self.supports_reasoning || (self.is_claude() && self.generation().since(3, 7)) {
            Reasoning::Thinking
        } else if self.is_known() {
            Reasoning::None
        } else if name.contains('.') {
            Reasoning::Effort
        } else {
            // The id of a profile of one's own, behind which it is Claude that reasons, as a rule.
            Reasoning::Thinking
        }
    }

    /// Claude's version.
    pub(super) fn generation(self) -> Generation {
        if self.name.contains("mythos-preview") {
            return Generation(5, 0);
        }
        // A number of more than two digits is a date.
        let is_number = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let mut parts = self.name.split(['-', '.', '@', ':', '_']).skip_while(|part| !is_number(part));
        let mut next = || parts.next().filter(is_number).and_then(|part| part.parse().ok()).unwrap_or(0);
        Generation(next(), next())
    }
}

impl Generation {
    pub(super) fn since(self, major: u32, minor: u32) -> bool {
        self >= Self(major, minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn of(model: &str) -> Target {
        Target { supports_reasoning: false, ..Target::of("bedrock", model) }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_model_is_known_under_every_name() {
        for name in [
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-west-2:1:inference-profile/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ] {
            let target = of(name);
            let model = Model::of(&target);
            assert_eq!(model.name, "anthropic.claude-sonnet-4-5-20250929-v1:0");
            assert_eq!(model.generation(), Generation(4, 5));
            assert!(model.takes_parallel() && model.keeps_schema(false) && model.takes_cache_ttl());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn families_differ() {
        for (name, tools, choice, cache, reasoning) in [
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", true, true, false, Reasoning::None),
            ("anthropic.claude-3-5-haiku-20241022-v1:0", true, true, true, Reasoning::None),
            ("us.anthropic.claude-opus-4-6-v1", true, true, true, Reasoning::Thinking),
            ("us.amazon.nova-2-lite-v1:0", true, true, true, Reasoning::Nova),
            ("amazon.nova-pro-v1:0", true, true, true, Reasoning::None),
            ("meta.llama3-1-70b-instruct-v1:0", true, false, false, Reasoning::None),
            ("meta.llama3-70b-instruct-v1:0", false, false, false, Reasoning::None),
            ("openai.gpt-oss-120b-1:0", true, true, false, Reasoning::Effort),
            ("minimax.minimax-m2", true, false, false, Reasoning::None),
            ("minimax.minimax-m2.1", true, true, false, Reasoning::None),
            ("deepseek.r1-v1:0", false, false, false, Reasoning::None),
            ("foo.bar-v1:0", true, true, true, Reasoning::Effort),
            ("arn:aws:bedrock:us-west-2:1:application-inference-profile/abc", true, true, true, Reasoning::Thinking),
        ] {
            let target = of(name);
            let model = Model::of(&target);
            let found = (model.takes_tools(), model.takes_tool_choice(), model.takes_cache_points(), model.reasoning());
            assert_eq!(found, (tools, choice, cache, reasoning), "{name}");
        }
    }
}
