//! Where a request goes and what opens the door: the paths and credentials of every site.
//!
//! Azure OpenAI has two APIs: the one of deployments, `{base}/openai/deployments/{deployment}/{endpoint}?api-version=`,
//! and v1, `{base}/openai/v1/{endpoint}`, where the deployment is the body's `model`. A base URL that ends in
//! `/openai/v1`, or an `api_version` of `v1`, `latest` or `preview`, asks for v1. A base URL may already have
//! `/openai`, `/openai/deployments/{deployment}` or the whole path: users paste what the portal shows.
//!
//! Source: Microsoft, "Azure OpenAI in Azure AI Foundry Models REST API reference"
//! <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference>, "Azure OpenAI v1 API"
//! <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle>, not re-read for this; LITELLM.md
//! 3.5 and the paths that LiteLLM 1.109.1 was seen to use, 2026-11-23.

use std::borrow::Cow;

use super::dialect::Site;
use crate::openai::{Endpoint, Request};
use crate::provider::{Credential, KeyHeader, Target};
use crate::secret::Secret;

/// The version of the deployments' API where the config names none: LiteLLM's.
const API_VERSION: &str = "2025-02-01-preview";

/// The version of watsonx where the config names none: LiteLLM's.
const WATSONX_VERSION: &str = "2024-03-13";

/// What users paste behind Azure's base URL.
pub const SURPLUS: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/generations",
    "/images/edits",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/responses",
    "/realtime",
];

/// Marks of LiteLLM's in the name of a deployment, which say what its model is.
const MARKS: &[&str] = &["o_series/", "gpt5_series/", "responses/"];

/// The headers with the credential, `key` at this moment.
pub(super) fn credential(target: &Target, key: Option<&Secret>) -> Vec<(&'static str, String)> {
    let Some(key) = key.map(Secret::expose) else { return Vec::new() };
    let is_token = matches!(target.credential, Credential::Bearer(_) | Credential::Token(_));
    let (header, prefix) = if is_token { KeyHeader::Bearer } else { key_header(target) }.parts();
    vec![(header, format!("{prefix}{key}"))]
}

/// Where a key that is no token goes.
pub(super) fn key_header(target: &Target) -> KeyHeader {
    let is_azures = match target.vendor.dialect.site {
        Site::Azure => true,
        Site::AzureAi => is_foundry(target),
        Site::Plain | Site::V1 | Site::Watsonx => false,
    };
    if is_azures { KeyHeader::Named("api-key") } else { KeyHeader::Bearer }
}

/// The name of the model in the body of a request to `endpoint`.
pub(super) fn model(target: &Target, endpoint: Endpoint) -> Cow<'_, str> {
    let dialect = &target.vendor.dialect;
    let model = target.model.as_str();
    if dialect.site == Site::Azure {
        return MARKS.iter().find_map(|mark| model.strip_prefix(mark)).unwrap_or(model).into();
    }
    if dialect.model_prefix.is_empty() || !endpoint.generates() || model.contains(['/', '#']) {
        return model.into();
    }
    format!("{}{model}", dialect.model_prefix).into()
}

/// The path of `request` at `target`.
pub(super) fn path(request: &Request, target: &Target) -> String {
    let dialect = &target.vendor.dialect;
    let base = target.base_path.as_str();
    let below = dialect.path(request.endpoint).unwrap_or_else(|| request.endpoint.path());
    // A path may have the version that configs give or leave out.
    let below = if ends_with_version(base) { below.strip_prefix("/v1").unwrap_or(below) } else { below };
    match dialect.site {
        Site::Azure => azure(request.endpoint, target),
        Site::AzureAi if is_foundry(target) && !base.ends_with("/models") && request.endpoint != Endpoint::Rerank => {
            format!(
                "{base}/models{below}?api-version={}",
                target.api_version.as_deref().unwrap_or("2024-05-01-preview")
            )
        }
        Site::Watsonx => watsonx(request, target),
        Site::V1 if !ends_with_version(base) => format!("{base}/v1{below}"),
        Site::Plain | Site::V1 | Site::AzureAi if request.endpoint == Endpoint::Realtime => {
            format!("{base}{below}?model={}", encoded(&model(target, request.endpoint)))
        }
        Site::Plain | Site::V1 | Site::AzureAi => format!("{base}{below}"),
    }
}

fn ends_with_version(base: &str) -> bool {
    let last = base.rsplit('/').next().unwrap_or_default();
    last.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether this is a host of Azure AI Foundry.
fn is_foundry(target: &Target) -> bool {
    let host = target.authority.split(':').next().unwrap_or_default();
    host.ends_with(".services.ai.azure.com") || host.ends_with(".openai.azure.com")
}

fn azure(endpoint: Endpoint, target: &Target) -> String {
    let below = endpoint.path();
    let base = target.base_path.as_str();
    let version = target.api_version.as_deref();
    let (resource, given) = match base.split_once("/openai/deployments/") {
        Some((resource, deployment)) => (resource, Some(deployment)),
        None => (base.strip_suffix("/openai").unwrap_or(base), None),
    };
    let v1 = resource.strip_suffix("/openai/v1");
    let deployment = model(target, endpoint);
    if endpoint == Endpoint::Responses {
        let resource = v1.unwrap_or(resource);
        return match version {
            None => format!("{resource}/openai/v1/responses?api-version=preview"),
            Some(named @ ("v1" | "latest" | "preview")) => {
                format!("{resource}/openai/v1/responses?api-version={named}")
            }
            Some(_) if v1.is_some() => format!("{resource}/openai/v1/responses"),
            Some(dated) => format!("{resource}/openai/responses?api-version={}", encoded(dated)),
        };
    }
    if v1.is_some() || matches!(version, Some("v1" | "latest" | "preview")) {
        let resource = v1.unwrap_or(resource);
        let query =
            if endpoint == Endpoint::Realtime { format!("?model={}", encoded(&deployment)) } else { String::new() };
        return format!("{resource}/openai/v1{below}{query}");
    }
    let version = encoded(version.unwrap_or(API_VERSION));
    if endpoint == Endpoint::Realtime {
        return format!("{resource}/openai/realtime?api-version={version}&deployment={}", encoded(&deployment));
    }
    let deployment = given.map_or_else(|| encoded(&deployment), str::to_owned);
    format!("{resource}/openai/deployments/{deployment}{below}?api-version={version}")
}

fn watsonx(request: &Request, target: &Target) -> String {
    let base = target.base_path.as_str();
    let version = encoded(target.api_version.as_deref().unwrap_or(WATSONX_VERSION));
    let stream = if request.stream { "_stream" } else { "" };
    match target.model.strip_prefix("deployment/") {
        Some(deployment) => {
            let deployment = encoded(deployment);
            format!("{base}/ml/v1/deployments/{deployment}/text/chat{stream}?version={version}")
        }
        None => format!("{base}/ml/v1/text/chat{stream}?version={version}"),
    }
}

/// What watsonx wants in every body beside the conversation.
pub(super) fn watsonx_members(target: &Target) -> Vec<(&'static str, Vec<u8>)> {
    if target.vendor.dialect.site != Site::Watsonx || target.model.starts_with("deployment/") {
        return Vec::new();
    }
    let text = |value: &str| serde_json::to_vec(value).unwrap_or_default();
    let project = target.project.as_deref().map(|project| ("project_id", text(project)));
    [("model_id", text(&target.model))].into_iter().chain(project).collect()
}

/// `text` as one segment of a path, or one value of a query.
///
/// Source: RFC 3986, 2.3 "Unreserved Characters" <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>, not re-read.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn request(endpoint: Endpoint) -> Request {
        let body = r#"{"model":"m","messages":[],"input":"a","prompt":"p","documents":[]}"#;
        Request::parse(endpoint, body.into()).unwrap()
    }

    fn at(base_path: &str, api_version: Option<&str>, model: &str, endpoint: Endpoint) -> String {
        let mut target = Target::of("azure", model);
        target.base_path = base_path.to_owned();
        target.api_version = api_version.map(str::to_owned);
        path(&request(endpoint), &target)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn azures_paths_are_found_from_what_users_paste() {
        const CHAT: Endpoint = Endpoint::ChatCompletions;
        let deployed = "/openai/deployments/dep/chat/completions?api-version=2025-02-01-preview";
        for (base, version, endpoint, expected) in [
            ("", None, CHAT, deployed),
            ("/openai", None, CHAT, deployed),
            ("/openai/deployments/dep", None, CHAT, deployed),
            ("", Some("2024-10-21"), CHAT, "/openai/deployments/dep/chat/completions?api-version=2024-10-21"),
            ("/p", None, Endpoint::Embeddings, "/p/openai/deployments/dep/embeddings?api-version=2025-02-01-preview"),
            ("/openai/v1", None, CHAT, "/openai/v1/chat/completions"),
            ("", Some("v1"), CHAT, "/openai/v1/chat/completions"),
            ("", None, Endpoint::Responses, "/openai/v1/responses?api-version=preview"),
            ("/openai/v1", None, Endpoint::Responses, "/openai/v1/responses?api-version=preview"),
            (
                "/openai/deployments/dep",
                Some("2025-04-01-preview"),
                Endpoint::Responses,
                "/openai/responses?api-version=2025-04-01-preview",
            ),
            (
                "",
                Some("2024-10-01-preview"),
                Endpoint::Realtime,
                "/openai/realtime?api-version=2024-10-01-preview&deployment=dep",
            ),
            ("/openai/v1", None, Endpoint::Realtime, "/openai/v1/realtime?model=dep"),
            ("", None, Endpoint::AudioSpeech, "/openai/deployments/dep/audio/speech?api-version=2025-02-01-preview"),
        ] {
            assert_eq!(at(base, version, "dep", endpoint), expected, "{base} {version:?}");
        }
        assert_eq!(
            at("", Some("1&x=2"), "a/../b c", CHAT),
            "/openai/deployments/a%2F..%2Fb%20c/chat/completions?api-version=1%26x%3D2"
        );
        assert_eq!(at("", None, "o_series/dep", CHAT), deployed);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_sites_have_their_own_paths() {
        for (vendor, base, model, endpoint, expected) in [
            ("mistral", "", "m", Endpoint::ChatCompletions, "/v1/chat/completions"),
            ("mistral", "/v1", "m", Endpoint::Embeddings, "/v1/embeddings"),
            ("openai", "/v1", "gpt-realtime", Endpoint::Realtime, "/v1/realtime?model=gpt-realtime"),
            ("hosted_vllm", "", "m", Endpoint::Responses, "/v1/responses"),
            ("hosted_vllm", "/v1", "m", Endpoint::Rerank, "/v1/rerank"),
            ("perplexity", "", "m", Endpoint::Responses, "/v1/responses"),
            ("watsonx", "", "ibm/granite", Endpoint::ChatCompletions, "/ml/v1/text/chat?version=2024-03-13"),
        ] {
            let mut target = Target::of(vendor, model);
            target.base_path = base.to_owned();
            assert_eq!(path(&request(endpoint), &target), expected, "{vendor} {base}");
        }
        assert_eq!(
            model(&Target::of("fireworks_ai", "llama"), Endpoint::ChatCompletions),
            "accounts/fireworks/models/llama"
        );
        assert_eq!(
            model(&Target::of("fireworks_ai", "accounts/me/models/x"), Endpoint::ChatCompletions),
            "accounts/me/models/x"
        );
    }
}
