//! The table of differences: one constant a vendor, each written as what differs from the one before it.
//!
//! Source: LiteLLM 1.109.1, `llms/<provider>/chat/transformation.py` and what it sent to a capture server for some 2,000
//! requests, `llms/openai_like/providers.json`, `utils.py` `ProviderConfigManager`, read 2026-11-23; LITELLM.md 3.5.
//! Where a vendor's own documentation lists an endpoint that LiteLLM doesn't route, the vendor is believed.

use super::dialect::{Choice, Content, Dialect, Messages, Names, Reasoning, Site, Without};
use super::family;
use crate::openai::Endpoint;
use crate::openai::Endpoint::{
    AudioSpeech, AudioTranscriptions, AudioTranslations, ChatCompletions, Completions, Embeddings, ImageEdits,
    ImageGenerations, Moderations, Realtime, Rerank, Responses,
};
use crate::provider::Target;

type Paths = &'static [(Endpoint, &'static str)];
type List = &'static [&'static str];

/// Parameters of OpenAI's that many vendors have nothing like.
const AUX: List = &[
    "audio",
    "modalities",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
];
const REASONING: List = &["reasoning_effort", "thinking", "verbosity"];
const FUNCTIONS: List = &["function_call", "functions"];
const LOGPROBS: List = &["logprobs", "top_logprobs"];
const PENALTIES: List = &["frequency_penalty", "presence_penalty"];
const USER: List = &["user"];
const SEARCH: List = &["web_search_options"];
const THINKING: List = &["thinking", "verbosity"];
const VERBOSITY: List = &["verbosity"];

const TO_MAX_TOKENS: &[(&str, &str)] = &[("max_completion_tokens", "max_tokens")];

const CHAT: Paths = &[(ChatCompletions, "/chat/completions")];
const CHAT_TEXT: Paths = &[(ChatCompletions, "/chat/completions"), (Completions, "/completions")];
const CHAT_EMBEDDINGS: Paths = &[(ChatCompletions, "/chat/completions"), (Embeddings, "/embeddings")];
const CHAT_TEXT_EMBEDDINGS: Paths =
    &[(ChatCompletions, "/chat/completions"), (Completions, "/completions"), (Embeddings, "/embeddings")];

fn nothing(_target: &Target, _name: &str) -> bool {
    false
}

fn never(_target: &Target) -> bool {
    false
}

fn always(_target: &Target) -> bool {
    true
}

/// `reasoning_effort` is for models that reason.
fn effort(target: &Target, name: &str) -> bool {
    name == "reasoning_effort" && !target.supports_reasoning
}

/// `reasoning_effort` and `thinking` are for models that reason.
fn effort_and_thinking(target: &Target, name: &str) -> bool {
    matches!(name, "reasoning_effort" | "thinking") && !target.supports_reasoning
}

/// OpenAI's own, or a server of which nothing is known: it gets what the client sends.
pub const GENERIC: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Completions, "/completions"),
        (Embeddings, "/embeddings"),
        (ImageGenerations, "/images/generations"),
        (ImageEdits, "/images/edits"),
        (AudioTranscriptions, "/audio/transcriptions"),
        (AudioTranslations, "/audio/translations"),
        (AudioSpeech, "/audio/speech"),
        (Moderations, "/moderations"),
        (Rerank, "/rerank"),
        (Realtime, "/realtime"),
    ],
    lacking_by_model: nothing,
    has_families: false,
    messages: Messages { takes_cache_control: always, knows_developer: always, ..Dialect::OPENAI.messages },
    ..Dialect::OPENAI
};

/// LiteLLM, or another gateway like this one: messages and parameters go as they are.
pub const GATEWAY: Dialect = Dialect { messages: Messages { without: &[], ..GENERIC.messages }, ..GENERIC };

/// Azure OpenAI.
pub const AZURE: Dialect = Dialect {
    site: Site::Azure,
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Embeddings, "/embeddings"),
        (ImageGenerations, "/images/generations"),
        (ImageEdits, "/images/edits"),
        (AudioTranscriptions, "/audio/transcriptions"),
        (AudioTranslations, "/audio/translations"),
        (AudioSpeech, "/audio/speech"),
        (Responses, "/responses"),
        (Realtime, "/realtime"),
    ],
    lacking_by_model: family::lacks_at_azure,
    takes_schema: |target| target.api_version.as_deref().is_none_or(|version| version >= "2024-08-01"),
    ..Dialect::OPENAI
};

/// A vendor with OpenAI's parameters but for those of its reasoning models and `user`.
const BROAD: Dialect = Dialect {
    endpoints: CHAT,
    lacking: &[REASONING, USER],
    lacking_by_model: nothing,
    has_families: false,
    is_tidied: true,
    is_reshaped: true,
    messages: Messages { knows_developer: never, takes_cache_control: never, ..Dialect::OPENAI.messages },
    ..Dialect::OPENAI
};

/// The same with the older name of the bound on an answer.
const BROAD_MAX_TOKENS: Dialect = Dialect { renames: TO_MAX_TOKENS, ..BROAD };

/// Azure AI Foundry: models that are not OpenAI's.
pub const AZURE_AI: Dialect = Dialect {
    site: Site::AzureAi,
    endpoints: &[(ChatCompletions, "/chat/completions"), (Embeddings, "/embeddings"), (Rerank, "/v1/rerank")],
    messages: Messages {
        content: Content::TextWithoutFiles,
        without: &["thinking_blocks", "provider_specific_fields", "reasoning_content"],
        ..BROAD.messages
    },
    ..BROAD
};

/// vLLM.
pub const HOSTED_VLLM: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Completions, "/completions"),
        (Embeddings, "/embeddings"),
        (ImageGenerations, "/images/generations"),
        (ImageEdits, "/images/edits"),
        (AudioTranscriptions, "/audio/transcriptions"),
        (AudioTranslations, "/audio/translations"),
        (Responses, "/v1/responses"),
        (Rerank, "/rerank"),
    ],
    lacking: &[VERBOSITY, USER],
    messages: Messages { content: Content::AssistantLines, ..BROAD.messages },
    tools_without: &[Without::False("additionalProperties"), Without::Any("strict")],
    reasoning: Reasoning::Effort,
    ..BROAD
};

/// Groq.
pub const GROQ: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (AudioTranscriptions, "/audio/transcriptions"),
        (AudioTranslations, "/audio/translations"),
        (AudioSpeech, "/audio/speech"),
    ],
    lacking: &[THINKING, USER],
    lacking_by_model: |target, name| match name {
        "web_search_options" => !target.base_model.contains("compound"),
        name => effort(target, name),
    },
    takes_schema: |target| target.supports_response_schema,
    messages: Messages {
        without: &["thinking_blocks", "provider_specific_fields", "reasoning_content"],
        ..BROAD.messages
    },
    ..BROAD_MAX_TOKENS
};

/// Mistral.
pub const MISTRAL: Dialect = Dialect {
    site: Site::V1,
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Embeddings, "/embeddings"),
        (AudioTranscriptions, "/audio/transcriptions"),
    ],
    lacking: &[
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        USER,
        SEARCH,
        VERBOSITY,
        &[
            "audio",
            "logit_bias",
            "modalities",
            "n",
            "prediction",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "store",
            "stream_options",
        ],
    ],
    lacking_by_model: |target, name| match name {
        "prompt_cache_key" => !target.authority.ends_with("mistral.ai"),
        "thinking" => !target.base_model.contains("magistral"),
        "reasoning_effort" => !target.supports_reasoning && !target.base_model.contains("magistral"),
        _ => false,
    },
    lacking_of_embeddings: &["dimensions", "user"],
    renames: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
    messages: Messages {
        without: &["thinking_blocks", "provider_specific_fields", "reasoning_content"],
        names: Names::Tools,
        content: Content::TextWithoutFiles,
        drops_empty: true,
        thinks: true,
        ..BROAD.messages
    },
    tools_without: &[Without::Any("$id"), Without::Any("$schema")],
    choice: Choice::Any,
    reasoning: Reasoning::PromptMode,
    ..BROAD
};

/// Mistral's Codestral, at its own address.
pub const CODESTRAL: Dialect = Dialect { site: Site::Plain, endpoints: CHAT, ..MISTRAL };

/// DeepSeek.
pub const DEEPSEEK: Dialect = Dialect {
    lacking: &[VERBOSITY, USER],
    messages: Messages { content: Content::Text, ..BROAD.messages },
    reasoning: Reasoning::Switch,
    ..BROAD
};

/// OpenRouter.
pub const OPENROUTER: Dialect = Dialect {
    endpoints: &[(ChatCompletions, "/chat/completions"), (Embeddings, "/embeddings"), (Responses, "/responses")],
    lacking: &[VERBOSITY, USER],
    adds: &[("usage", r#"{"include":true}"#)],
    headers: &[("x-title", "Tollgate")],
    messages: Messages {
        takes_cache_control: |target| {
            ["claude", "gemini", "minimax", "glm", "z-ai"].iter().any(|maker| target.base_model.contains(maker))
        },
        ..BROAD.messages
    },
    ..BROAD
};

/// Together.
pub const TOGETHER_AI: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Completions, "/completions"),
        (Embeddings, "/embeddings"),
        (ImageGenerations, "/images/generations"),
        (AudioTranscriptions, "/audio/transcriptions"),
        (AudioTranslations, "/audio/translations"),
        (AudioSpeech, "/audio/speech"),
        (Rerank, "/rerank"),
    ],
    ..BROAD
};

/// Fireworks.
pub const FIREWORKS_AI: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Completions, "/completions"),
        (Embeddings, "/embeddings"),
        (Responses, "/responses"),
        (Rerank, "/rerank"),
    ],
    lacking: &[
        FUNCTIONS,
        SEARCH,
        VERBOSITY,
        &["audio", "modalities", "prompt_cache_retention", "safety_identifier", "store"],
    ],
    lacking_by_model: effort_and_thinking,
    lacking_of_embeddings: &["dimensions", "encoding_format", "user"],
    model_prefix: "accounts/fireworks/models/",
    tools_without: &[Without::Any("strict")],
    ..BROAD_MAX_TOKENS
};

/// xAI.
pub const XAI: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (ImageGenerations, "/images/generations"),
        (Responses, "/responses"),
    ],
    lacking: &[AUX, FUNCTIONS, SEARCH, THINKING],
    lacking_by_model: |target, name| {
        let is = |kinds: &[&str]| kinds.iter().any(|kind| target.base_model.contains(kind));
        match name {
            "stop" => is(&["grok-3-mini", "grok-4", "grok-code-fast"]),
            "frequency_penalty" => is(&["grok-4", "grok-code-fast"]),
            name => effort(target, name),
        }
    },
    messages: Messages { names: Names::Users, ..BROAD.messages },
    tools_without: &[Without::Any("strict")],
    ..BROAD_MAX_TOKENS
};

/// Perplexity.
pub const PERPLEXITY: Dialect = Dialect {
    endpoints: &[(ChatCompletions, "/chat/completions"), (Embeddings, "/v1/embeddings"), (Responses, "/v1/responses")],
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        THINKING,
        USER,
        &["logit_bias", "n", "parallel_tool_calls", "seed", "stop", "stream_options", "tool_choice", "tools"],
    ],
    lacking_by_model: effort,
    ..BROAD
};

/// A vendor with the parameters that everybody has.
const NARROW: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        THINKING,
        USER,
        &["logit_bias", "n", "parallel_tool_calls", "stream_options"],
    ],
    lacking_by_model: effort,
    ..BROAD_MAX_TOKENS
};

/// NVIDIA NIM.
pub const NVIDIA_NIM: Dialect = Dialect {
    endpoints: CHAT_EMBEDDINGS,
    lacking: &[AUX, FUNCTIONS, LOGPROBS, SEARCH, REASONING, USER, &["logit_bias", "n", "stream_options"]],
    ..NARROW
};

/// Cerebras.
pub const CEREBRAS: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        THINKING,
        &["logit_bias", "n", "parallel_tool_calls", "stream_options"],
    ],
    ..NARROW
};

/// SambaNova.
pub const SAMBANOVA: Dialect = Dialect {
    endpoints: CHAT_EMBEDDINGS,
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        THINKING,
        USER,
        &["logit_bias", "n", "parallel_tool_calls", "seed"],
    ],
    lacking_of_embeddings: &["dimensions", "encoding_format", "user"],
    messages: Messages { content: Content::TextWithoutFiles, ..BROAD.messages },
    ..NARROW
};

/// GitHub Models.
pub const GITHUB: Dialect = Dialect {
    endpoints: CHAT_EMBEDDINGS,
    lacking: &[THINKING],
    lacking_by_model: |target, name| match name {
        "user" => family::Family::of(target) == family::Family::Other,
        name => effort(target, name),
    },
    ..BROAD_MAX_TOKENS
};

/// Databricks.
pub const DATABRICKS: Dialect = Dialect {
    endpoints: CHAT_EMBEDDINGS,
    lacking: &[
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        USER,
        &[
            "audio",
            "logit_bias",
            "modalities",
            "parallel_tool_calls",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "seed",
            "store",
            "stream_options",
            "verbosity",
        ],
    ],
    lacking_by_model: nothing,
    lacking_of_embeddings: &["dimensions", "encoding_format", "user"],
    messages: Messages {
        takes_cache_control: always,
        without: &["thinking_blocks", "provider_specific_fields", "reasoning_content", "prefix"],
        names: Names::Users,
        drops_empty: true,
        ..BROAD.messages
    },
    ..NARROW
};

/// LM Studio.
pub const LM_STUDIO: Dialect = Dialect { endpoints: CHAT_TEXT_EMBEDDINGS, ..BROAD };

/// llamafile.
pub const LLAMAFILE: Dialect = Dialect { endpoints: CHAT_TEXT_EMBEDDINGS, ..BROAD };

/// DeepInfra.
pub const DEEPINFRA: Dialect = Dialect {
    endpoints: CHAT_EMBEDDINGS,
    lacking: &[AUX, LOGPROBS, REASONING, SEARCH, USER, &["parallel_tool_calls", "seed", "stream_options"]],
    choice: Choice::AutoOrNone,
    ..BROAD_MAX_TOKENS
};

/// Novita.
pub const NOVITA: Dialect = Dialect { headers: &[("x-novita-source", "tollgate")], ..BROAD };

/// Nebius.
pub const NEBIUS: Dialect = Dialect {
    endpoints: &[
        (ChatCompletions, "/chat/completions"),
        (Completions, "/completions"),
        (Embeddings, "/embeddings"),
        (ImageGenerations, "/images/generations"),
    ],
    ..BROAD_MAX_TOKENS
};

/// Moonshot.
pub const MOONSHOT: Dialect = Dialect {
    endpoints: CHAT_TEXT,
    lacking: &[REASONING, USER, &["functions"]],
    messages: Messages { content: Content::TextWithoutFiles, ..BROAD.messages },
    ..BROAD_MAX_TOKENS
};

/// DashScope.
pub const DASHSCOPE: Dialect = Dialect {
    endpoints: CHAT_TEXT_EMBEDDINGS,
    lacking: &[THINKING, USER],
    messages: Messages { takes_cache_control: always, ..BROAD.messages },
    ..BROAD
};

/// Hyperbolic.
pub const HYPERBOLIC: Dialect = Dialect {
    endpoints: CHAT_TEXT,
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        REASONING,
        SEARCH,
        &["logit_bias", "max_completion_tokens", "parallel_tool_calls", "stream_options"],
    ],
    ..BROAD
};

/// Lambda.
pub const LAMBDA_AI: Dialect = Dialect { endpoints: CHAT_TEXT, ..BROAD_MAX_TOKENS };

/// Featherless.
pub const FEATHERLESS_AI: Dialect = Dialect {
    endpoints: CHAT_TEXT,
    lacking: &[
        AUX,
        LOGPROBS,
        REASONING,
        SEARCH,
        USER,
        &["parallel_tool_calls", "response_format", "seed", "stream_options", "tool_choice", "tools"],
    ],
    ..BROAD_MAX_TOKENS
};

/// FriendliAI.
pub const FRIENDLIAI: Dialect = BROAD_MAX_TOKENS;

/// Baseten.
pub const BASETEN: Dialect = Dialect {
    lacking: &[AUX, FUNCTIONS, LOGPROBS, SEARCH, THINKING, &["logit_bias", "n", "parallel_tool_calls"]],
    ..BROAD_MAX_TOKENS
};

/// Meta's Llama API.
pub const META_LLAMA: Dialect = Dialect { endpoints: CHAT_TEXT, ..BROAD };

/// v0.
pub const V0: Dialect = Dialect {
    endpoints: CHAT_TEXT,
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        REASONING,
        SEARCH,
        USER,
        &[
            "logit_bias",
            "max_completion_tokens",
            "max_tokens",
            "n",
            "parallel_tool_calls",
            "response_format",
            "seed",
            "stop",
            "stream_options",
            "temperature",
            "top_p",
        ],
    ],
    ..BROAD
};

/// Volcengine Ark.
pub const VOLCENGINE: Dialect = Dialect {
    endpoints: &[(ChatCompletions, "/chat/completions"), (Embeddings, "/embeddings"), (Responses, "/responses")],
    lacking: &[AUX, SEARCH, USER, &["parallel_tool_calls", "reasoning_effort", "response_format", "verbosity"]],
    lacking_of_embeddings: &["dimensions"],
    ..BROAD_MAX_TOKENS
};

/// Z.AI.
pub const ZAI: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        USER,
        VERBOSITY,
        &["logit_bias", "n", "parallel_tool_calls", "reasoning_effort", "seed"],
    ],
    messages: Messages { takes_cache_control: always, ..BROAD.messages },
    ..BROAD_MAX_TOKENS
};

/// MiniMax.
pub const MINIMAX: Dialect = Dialect {
    site: Site::V1,
    lacking: &[USER, &["reasoning_effort", "verbosity"]],
    messages: Messages { takes_cache_control: always, ..BROAD.messages },
    ..BROAD
};

/// Hugging Face's router and its inference endpoints.
pub const HUGGINGFACE: Dialect =
    Dialect { site: Site::V1, messages: Messages { takes_cache_control: always, ..BROAD.messages }, ..BROAD };

/// IBM watsonx.
pub const WATSONX: Dialect = Dialect {
    site: Site::Watsonx,
    endpoints: &[(ChatCompletions, "/ml/v1/text/chat")],
    lacking: &[
        AUX,
        FUNCTIONS,
        SEARCH,
        THINKING,
        USER,
        &["logit_bias", "max_completion_tokens", "parallel_tool_calls", "stream_options"],
    ],
    lacking_by_model: nothing,
    messages: Messages { takes_cache_control: always, ..BROAD.messages },
    tools_without: &[Without::False("additionalProperties"), Without::Any("strict")],
    choice: Choice::Option,
    ..BROAD
};

/// Weights & Biases Inference.
pub const WANDB: Dialect = Dialect { endpoints: CHAT_TEXT, lacking: &[THINKING, USER], ..BROAD_MAX_TOKENS };

/// Nscale.
pub const NSCALE: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        REASONING,
        USER,
        SEARCH,
        &["max_completion_tokens", "parallel_tool_calls", "seed", "stream_options", "tool_choice", "tools"],
    ],
    ..BROAD
};

/// Inception.
pub const INCEPTION: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        SEARCH,
        THINKING,
        USER,
        &["logit_bias", "n", "parallel_tool_calls", "seed", "top_p"],
    ],
    ..BROAD_MAX_TOKENS
};

/// Morph.
pub const MORPH: Dialect = Dialect {
    lacking: &[
        FUNCTIONS,
        SEARCH,
        THINKING,
        USER,
        &[
            "audio",
            "modalities",
            "n",
            "prediction",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "store",
        ],
    ],
    ..BROAD_MAX_TOKENS
};

/// AI21.
pub const AI21: Dialect = Dialect {
    lacking: &[
        AUX,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        REASONING,
        SEARCH,
        USER,
        &["logit_bias", "parallel_tool_calls", "stream_options", "top_p"],
    ],
    ..BROAD_MAX_TOKENS
};

/// Jina: embeddings and rerank.
pub const JINA_AI: Dialect = Dialect {
    endpoints: &[(Embeddings, "/embeddings"), (Rerank, "/v1/rerank")],
    lacking_of_embeddings: &["encoding_format", "user"],
    ..BROAD
};

/// Voyage: embeddings and rerank.
pub const VOYAGE: Dialect = Dialect {
    endpoints: &[(Embeddings, "/embeddings"), (Rerank, "/v1/rerank")],
    lacking_of_embeddings: &["user"],
    renames: &[("dimensions", "output_dimension"), ("top_n", "top_k")],
    ..BROAD
};

/// Infinity: embeddings and rerank.
pub const INFINITY: Dialect = Dialect {
    endpoints: &[(Embeddings, "/embeddings"), (Rerank, "/rerank")],
    lacking_of_embeddings: &["user"],
    renames: &[("dimensions", "output_dimension")],
    ..BROAD
};

/// Vendors that differ in nothing else.
pub const PLAIN: Dialect = BROAD;
/// The same with the older name of the bound on an answer.
pub const PLAIN_MAX_TOKENS: Dialect = BROAD_MAX_TOKENS;
/// The same with embeddings.
pub const PLAIN_EMBEDDINGS: Dialect = Dialect { endpoints: CHAT_EMBEDDINGS, ..BROAD };
/// MiniMax's like: `/v1` is added.
pub const PLAIN_V1: Dialect = Dialect { site: Site::V1, endpoints: CHAT_EMBEDDINGS, ..BROAD };
