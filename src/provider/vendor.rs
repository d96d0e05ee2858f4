//! Every vendor, once: what LiteLLM's prefix stands for, and how an OpenAI dialect differs from OpenAI.

use super::openai::Dialect;
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
    speaks_openai("openai", Base::Fixed(OPENAI), &["OPENAI_API_KEY"]),
    speaks_openai("text-completion-openai", Base::Fixed(OPENAI), &["OPENAI_API_KEY"]),
    speaks_openai("custom_openai", Base::Given, &["CUSTOM_OPENAI_API_KEY"]),
    speaks_openai("openai_like", Base::Given, &["OPENAI_LIKE_API_KEY"]),
    speaks_openai("hosted_vllm", Base::Given, &["HOSTED_VLLM_API_KEY"]),
    speaks_openai("litellm_proxy", Base::Given, &["LITELLM_PROXY_API_KEY"]),
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

const fn speaks_openai(prefix: &'static str, base: Base, key_variables: &'static [&'static str]) -> Vendor {
    Vendor {
        prefix,
        language: &openai::OpenAi,
        dialect: Dialect::OPENAI,
        base,
        key_variables,
        surplus: &["/chat/completions"],
    }
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
