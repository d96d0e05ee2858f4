//! Every vendor, once: what LiteLLM's prefix stands for, and how an OpenAI dialect differs from OpenAI.

use super::openai::{Dialect, table};
use super::{Language, anthropic, gemini, openai, vertex};

/// What a LiteLLM provider prefix stands for.
///
/// Source: LiteLLM 1.109.1, `litellm_core_utils/get_llm_provider_logic.py`, read 2026-11-23.
#[derive(Debug)]
pub struct Vendor {
    /// LiteLLM's prefix: `openai`, `hosted_vllm`, `anthropic`, ...
    pub prefix: &'static str,
    /// What it speaks.
    pub language: &'static dyn Language,
    /// How it differs from OpenAI; of a language of its own, nothing is.
    pub dialect: Dialect,
    /// Where it is, unless the config says so.
    pub base: Base,
    /// The variables that hold the credential for that base URL where the config names none; the first that is set.
    pub key_variables: &'static [&'static str],
    /// What users add to the base URL although the endpoint's path has it.
    pub surplus: &'static [&'static str],
}

/// The base URL of a vendor.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// `api_base` must be given.
    Given,
    /// One for all.
    Fixed(&'static str),
    /// One for each place: made from the deployment's location.
    Located(fn(location: &str) -> String),
}

/// Every vendor that is served.
pub const VENDORS: &[Vendor] = &[
    dialect("ai21_chat", Base::Fixed("https://api.ai21.com/studio/v1"), &["AI21_API_KEY"], table::AI21),
    azure("azure", &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"], table::AZURE),
    azure("azure_ai", &["AZURE_AI_API_KEY"], table::AZURE_AI),
    dialect("baseten", Base::Fixed("https://inference.baseten.co/v1"), &["BASETEN_API_KEY"], table::BASETEN),
    dialect("cerebras", Base::Fixed("https://api.cerebras.ai/v1"), &["CEREBRAS_API_KEY"], table::CEREBRAS),
    dialect("codestral", Base::Fixed("https://codestral.mistral.ai/v1"), &["CODESTRAL_API_KEY"], table::CODESTRAL),
    dialect("cometapi", Base::Fixed("https://api.cometapi.com/v1"), &["COMETAPI_KEY"], table::PLAIN_V1),
    dialect("compactifai", Base::Fixed("https://api.compactif.ai/v1"), &["COMPACTIFAI_API_KEY"], table::PLAIN),
    dialect("custom_openai", Base::Given, &["CUSTOM_OPENAI_API_KEY"], table::GENERIC),
    dialect(
        "dashscope",
        Base::Fixed("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        &["DASHSCOPE_API_KEY"],
        table::DASHSCOPE,
    ),
    dialect("databricks", Base::Given, &["DATABRICKS_API_KEY", "DATABRICKS_TOKEN"], table::DATABRICKS),
    dialect("deepinfra", Base::Fixed("https://api.deepinfra.com/v1/openai"), &["DEEPINFRA_API_KEY"], table::DEEPINFRA),
    dialect("deepseek", Base::Fixed("https://api.deepseek.com/beta"), &["DEEPSEEK_API_KEY"], table::DEEPSEEK),
    dialect("empower", Base::Fixed("https://app.empower.dev/api/v1"), &["EMPOWER_API_KEY"], table::PLAIN_MAX_TOKENS),
    dialect(
        "featherless_ai",
        Base::Fixed("https://api.featherless.ai/v1"),
        &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
        table::FEATHERLESS_AI,
    ),
    dialect(
        "fireworks_ai",
        Base::Fixed("https://api.fireworks.ai/inference/v1"),
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
        table::FIREWORKS_AI,
    ),
    dialect(
        "friendliai",
        Base::Fixed("https://api.friendli.ai/serverless/v1"),
        &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
        table::FRIENDLIAI,
    ),
    dialect("galadriel", Base::Fixed("https://api.galadriel.com/v1"), &["GALADRIEL_API_KEY"], table::PLAIN_MAX_TOKENS),
    dialect("github", Base::Fixed("https://models.inference.ai.azure.com"), &["GITHUB_API_KEY"], table::GITHUB),
    dialect("groq", Base::Fixed("https://api.groq.com/openai/v1"), &["GROQ_API_KEY"], table::GROQ),
    dialect("hosted_vllm", Base::Given, &["HOSTED_VLLM_API_KEY"], table::HOSTED_VLLM),
    dialect(
        "huggingface",
        Base::Fixed("https://router.huggingface.co/v1"),
        &["HUGGINGFACE_API_KEY", "HF_TOKEN"],
        table::HUGGINGFACE,
    ),
    dialect("hyperbolic", Base::Fixed("https://api.hyperbolic.xyz/v1"), &["HYPERBOLIC_API_KEY"], table::HYPERBOLIC),
    dialect("inception", Base::Fixed("https://api.inceptionlabs.ai/v1"), &["INCEPTION_API_KEY"], table::INCEPTION),
    dialect("infinity", Base::Given, &["INFINITY_API_KEY"], table::INFINITY),
    dialect(
        "jina_ai",
        Base::Fixed("https://api.jina.ai/v1"),
        &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
        table::JINA_AI,
    ),
    dialect("lambda_ai", Base::Fixed("https://api.lambda.ai/v1"), &["LAMBDA_API_KEY"], table::LAMBDA_AI),
    dialect("litellm_proxy", Base::Given, &["LITELLM_PROXY_API_KEY"], table::GATEWAY),
    dialect("llamafile", Base::Fixed("http://127.0.0.1:8080/v1"), &[], table::LLAMAFILE),
    dialect("lm_studio", Base::Given, &["LM_STUDIO_API_KEY"], table::LM_STUDIO),
    dialect("meta_llama", Base::Fixed("https://api.llama.com/compat/v1"), &["LLAMA_API_KEY"], table::META_LLAMA),
    dialect("minimax", Base::Fixed("https://api.minimax.io/v1"), &["MINIMAX_API_KEY"], table::MINIMAX),
    dialect("mistral", Base::Fixed("https://api.mistral.ai/v1"), &["MISTRAL_API_KEY"], table::MISTRAL),
    dialect("moonshot", Base::Fixed("https://api.moonshot.ai/v1"), &["MOONSHOT_API_KEY"], table::MOONSHOT),
    dialect("morph", Base::Fixed("https://api.morphllm.com/v1"), &["MORPH_API_KEY"], table::MORPH),
    dialect("nebius", Base::Fixed("https://api.studio.nebius.ai/v1"), &["NEBIUS_API_KEY"], table::NEBIUS),
    dialect("novita", Base::Fixed("https://api.novita.ai/v3/openai"), &["NOVITA_API_KEY"], table::NOVITA),
    dialect("nscale", Base::Fixed("https://inference.api.nscale.com/v1"), &["NSCALE_API_KEY"], table::NSCALE),
    dialect(
        "nvidia_nim",
        Base::Fixed("https://integrate.api.nvidia.com/v1"),
        &["NVIDIA_NIM_API_KEY"],
        table::NVIDIA_NIM,
    ),
    dialect("openai", Base::Fixed(OPENAI), &["OPENAI_API_KEY"], Dialect::OPENAI),
    dialect("openai_like", Base::Given, &["OPENAI_LIKE_API_KEY"], table::GENERIC),
    dialect(
        "openrouter",
        Base::Fixed("https://openrouter.ai/api/v1"),
        &["OPENROUTER_API_KEY", "OR_API_KEY"],
        table::OPENROUTER,
    ),
    dialect(
        "ovhcloud",
        Base::Fixed("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
        &["OVHCLOUD_API_KEY"],
        table::PLAIN_EMBEDDINGS,
    ),
    dialect(
        "perplexity",
        Base::Fixed("https://api.perplexity.ai"),
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        table::PERPLEXITY,
    ),
    dialect("sambanova", Base::Fixed("https://api.sambanova.ai/v1"), &["SAMBANOVA_API_KEY"], table::SAMBANOVA),
    dialect("text-completion-openai", Base::Fixed(OPENAI), &["OPENAI_API_KEY"], Dialect::OPENAI),
    dialect(
        "together_ai",
        Base::Fixed("https://api.together.ai/v1"),
        &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
        table::TOGETHER_AI,
    ),
    dialect("v0", Base::Fixed("https://api.v0.dev/v1"), &["V0_API_KEY"], table::V0),
    dialect(
        "vercel_ai_gateway",
        Base::Fixed("https://ai-gateway.vercel.sh/v1"),
        &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
        table::PLAIN_EMBEDDINGS,
    ),
    dialect(
        "volcengine",
        Base::Fixed("https://ark.cn-beijing.volces.com/api/v3"),
        &["VOLCENGINE_API_KEY"],
        table::VOLCENGINE,
    ),
    dialect(
        "voyage",
        Base::Fixed("https://api.voyageai.com/v1"),
        &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"],
        table::VOYAGE,
    ),
    dialect("wandb", Base::Fixed("https://api.inference.wandb.ai/v1"), &["WANDB_API_KEY"], table::WANDB),
    dialect("watsonx", Base::Given, &["WATSONX_TOKEN"], table::WATSONX),
    dialect("xai", Base::Fixed("https://api.x.ai/v1"), &["XAI_API_KEY"], table::XAI),
    dialect("zai", Base::Fixed("https://api.z.ai/api/paas/v4"), &["ZAI_API_KEY"], table::ZAI),
    Vendor {
        prefix: "anthropic",
        language: &anthropic::Anthropic,
        dialect: Dialect::OPENAI,
        base: Base::Fixed("https://api.anthropic.com"),
        key_variables: &["ANTHROPIC_API_KEY"],
        surplus: &["/messages", "/v1"],
    },
    Vendor {
        prefix: "gemini",
        language: &gemini::Gemini(gemini::Home::Studio),
        dialect: Dialect::OPENAI,
        base: Base::Fixed("https://generativelanguage.googleapis.com"),
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        surplus: &[],
    },
    on_vertex("vertex_ai"),
    on_vertex("vertex_ai_beta"),
];

const OPENAI: &str = "https://api.openai.com/v1";

/// What users paste behind the base URL of a server that speaks OpenAI's language.
const ENDPOINTS: &[&str] = &["/chat/completions", "/completions", "/embeddings", "/responses", "/rerank"];

const fn dialect(prefix: &'static str, base: Base, key_variables: &'static [&'static str], dialect: Dialect) -> Vendor {
    Vendor { prefix, language: &openai::OpenAi, dialect, base, key_variables, surplus: ENDPOINTS }
}

const fn azure(prefix: &'static str, key_variables: &'static [&'static str], row: Dialect) -> Vendor {
    Vendor { surplus: openai::azure::SURPLUS, ..dialect(prefix, Base::Given, key_variables, row) }
}

const fn on_vertex(prefix: &'static str) -> Vendor {
    Vendor {
        prefix,
        language: &vertex::Vertex,
        dialect: Dialect::OPENAI,
        base: Base::Located(vertex::base),
        key_variables: &[],
        surplus: &[],
    }
}

/// The vendor of this prefix.
pub fn find(prefix: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.prefix == prefix)
}
