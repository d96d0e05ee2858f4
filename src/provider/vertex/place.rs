//! Where on Vertex a model is, and how one gets in.
//!
//! Source: Google, "Vertex AI locations" <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations>, "Vertex
//! AI in express mode" <https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview>, not re-read
//! for this; LiteLLM 1.109.1's paths, seen 2026-11-23.

use crate::provider::Target;
use crate::provider::gemini::encoded;
use crate::secret::Secret;

/// The location where the config names none.
const DEFAULT: &str = "us-central1";
/// The location that has no region.
const GLOBAL: &str = "global";

/// Prefixes of partners' models that speak other languages.
const PARTNERS: &[&str] = &[
    "agent_engine/",
    "ai21",
    "bge/",
    "codestral",
    "deepseek-ai/",
    "gemma/",
    "jamba",
    "meta/",
    "minimaxai/",
    "mistral",
    "model_garden/",
    "moonshotai/",
    "openai/",
    "qwen/",
    "xai/",
    "zai-org/",
];

/// The base URL of a location; a name without a hyphen is a continent's.
pub fn base(location: &str) -> String {
    match location {
        GLOBAL => "https://aiplatform.googleapis.com".to_owned(),
        region if region.contains('-') => format!("https://{region}-aiplatform.googleapis.com"),
        continent => format!("https://aiplatform.{continent}.rep.googleapis.com"),
    }
}

/// The location of a deployment: the config's, else the one that goes without saying.
pub fn location(given: Option<String>, has_project: bool) -> String {
    given.unwrap_or_else(|| if has_project { DEFAULT } else { GLOBAL }.to_owned())
}

/// What is wrong with a deployment on Vertex, if anything: its model, its location or its project.
pub fn fault(model: &str, location: &str, has_project: bool, has_key: bool) -> Option<(&'static str, &'static str)> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if PARTNERS.iter().any(|partner| model.starts_with(partner)) {
        return Some(("model", "expected a Gemini or Claude model, found another: those on Vertex are not supported"));
    }
    if !location.bytes().all(is_name) || !location.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some(("vertex_location", "expected a location such as `us-central1` or `global`"));
    }
    let needs_project = !has_key || is_claude(model);
    (needs_project && !has_project).then_some(("vertex_project", "expected the project that pays, found nothing"))
}

/// Whether a model is Anthropic's.
pub(super) fn is_claude(model: &str) -> bool {
    model.starts_with("claude")
}

/// The path of `method` of the target's model, which `publisher` made; a model that is only a number is a tuned one at
/// an endpoint of its own.
///
/// A base URL with a path other than a version is a proxy's, which knows the model: only the method is added.
pub(super) fn path(target: &Target, publisher: &str, method: &str) -> String {
    let version = match target.base_path.as_str() {
        "" => "/v1",
        version @ ("/v1" | "/v1beta1") => version,
        own => return format!("{own}:{method}"),
    };
    let (_, name) = target.model.rsplit_once("gemini/").unwrap_or(("", &target.model));
    let model = match name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
        true => format!("endpoints/{name}"),
        false => format!("publishers/{publisher}/models/{}", encoded(name)),
    };
    match &target.project {
        None => format!("{version}/{model}:{method}"),
        Some(project) => {
            let location = target.location.as_deref().unwrap_or(DEFAULT);
            format!("{version}/projects/{}/locations/{}/{model}:{method}", encoded(project), encoded(location))
        }
    }
}

/// The credential: Google's API key where the config has one, else an access token.
pub(super) fn headers(target: &Target, key: Option<&Secret>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(key.map(|key| match target.credential.key() {
        Some(_) => ("x-goog-api-key", key.expose().to_owned()),
        None => ("authorization", format!("Bearer {}", key.expose())),
    }));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn target(model: &str, base_path: &str, project: Option<&str>) -> Target {
        let project = project.map(str::to_owned);
        let (model, base_path) = (model.to_owned(), base_path.to_owned());
        Target { model, base_path, project, location: Some("eu-west1".to_owned()), ..Target::of("vertex_ai", "m") }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn paths_are_vertexs() {
        for (model, base, project, expected) in [
            ("g", "", Some("p"), "/v1/projects/p/locations/eu-west1/publishers/google/models/g:x"),
            ("g@001", "/v1beta1", Some("p"), "/v1beta1/projects/p/locations/eu-west1/publishers/google/models/g@001:x"),
            ("gemini/12", "", Some("p"), "/v1/projects/p/locations/eu-west1/endpoints/12:x"),
            ("a/../b?c", "", None, "/v1/publishers/google/models/a%2F..%2Fb%3Fc:x"),
            ("g", "/own", Some("p"), "/own:x"),
        ] {
            assert_eq!(path(&target(model, base, project), "google", "x"), expected);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hosts_follow_the_location() {
        assert_eq!(base("global"), "https://aiplatform.googleapis.com");
        assert_eq!(base("us-east5"), "https://us-east5-aiplatform.googleapis.com");
        assert_eq!(base("eu"), "https://aiplatform.eu.rep.googleapis.com");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_cannot_work_is_refused() {
        let field = |model, location, project, key| fault(model, location, project, key).map(|(field, _)| field);
        assert_eq!(field("gemini-2.5-pro", "us-central1", true, false), None);
        assert_eq!(field("gemini-2.5-pro", "global", false, true), None);
        assert_eq!(field("gemini-2.5-pro", "global", false, false), Some("vertex_project"));
        assert_eq!(field("claude-sonnet-4-5", "global", false, true), Some("vertex_project"));
        assert_eq!(field("mistral-large", "global", true, true), Some("model"));
        assert_eq!(field("gemini-2.5-pro", "evil.example/", true, true), Some("vertex_location"));
    }
}
