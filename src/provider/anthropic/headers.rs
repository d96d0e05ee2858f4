//! The path and the headers of an attempt.
//!
//! Source: Anthropic, "Beta headers" <https://platform.claude.com/docs/en/api/beta-headers>, "Versions"
//! <https://platform.claude.com/docs/en/api/versioning>, not re-read for this; which beta belongs to which feature is
//! LiteLLM's knowledge.

use crate::openai::Request;
use crate::provider::Target;
use crate::secret::Secret;

/// The version of the API that this folder speaks.
const VERSION: &str = "2023-06-01";
/// What a key of an Anthropic subscription begins with: it goes into another header.
const OAUTH_PREFIX: &str = "sk-ant-oat";
const OAUTH_BETA: &str = "oauth-2025-04-20";
const BETA: &str = "anthropic-beta";

/// The path of an endpoint, `/messages` or below it, whether or not the base URL ends with the version.
pub(super) fn path(target: &Target, endpoint: &str) -> String {
    let base = target.base_path.strip_suffix("/v1").unwrap_or(&target.base_path);
    format!("{base}/v1{endpoint}")
}

/// The headers of `request` at `target`, which needs `betas`. The client's version goes before ours, its betas beside
/// ours and the config's.
pub(super) fn headers(
    request: &Request,
    target: &Target,
    key: Option<&Secret>,
    betas: &[&str],
) -> Vec<(&'static str, String)> {
    let version = request.header("anthropic-version").unwrap_or(VERSION).to_owned();
    let mut headers = vec![("content-type", "application/json".to_owned()), ("anthropic-version", version)];
    let key = key.map(Secret::expose);
    let is_oauth = key.is_some_and(|key| key.starts_with(OAUTH_PREFIX));
    match key {
        Some(key) if is_oauth => headers.push(("authorization", format!("Bearer {key}"))),
        Some(key) => headers.push(("x-api-key", key.to_owned())),
        None => (),
    }
    let ours = is_oauth.then_some(OAUTH_BETA).into_iter().chain(betas.iter().copied());
    let merged = merged(target, ours.chain(request.header(BETA)));
    headers.extend((!merged.is_empty()).then_some((BETA, merged)));
    headers
}

/// One list of betas, each once. The config's text stands first as it is written: the attempt looks for it there.
fn merged<'a>(target: &'a Target, lists: impl Iterator<Item = &'a str>) -> String {
    let config = target.extra_headers.iter().find(|(name, _)| name == BETA).map_or("", |(_, value)| value.as_str());
    let mut merged = config.to_owned();
    for beta in lists.flat_map(|list| list.split(',')).map(str::trim).filter(|beta| !beta.is_empty()) {
        if merged.split(',').any(|found| found.trim() == beta) {
            continue;
        }
        if !merged.is_empty() {
            merged.push(',');
        }
        merged.push_str(beta);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::Endpoint;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn betas_of_all_sides_are_one_list() {
        let mut target = Target::of("anthropic", "claude-sonnet-4-5");
        let mut request = Request::parse(Endpoint::Messages, br#"{"model":"m","messages":[]}"#.to_vec()).unwrap();
        let found = |request: &Request, target: &Target, betas: &[&str]| {
            let all = headers(request, target, None, betas);
            all.into_iter().find(|(name, _)| *name == BETA).map(|(_, value)| value)
        };
        assert_eq!(found(&request, &target, &[]), None);
        assert_eq!(found(&request, &target, &["a"]).as_deref(), Some("a"));
        request.headers.push((BETA, "b, a,c".into()));
        assert_eq!(found(&request, &target, &["a"]).as_deref(), Some("a,b,c"));
        target.extra_headers.push((BETA.into(), "c, d".into()));
        assert_eq!(found(&request, &target, &["a"]).as_deref(), Some("c, d,a,b"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_version_is_in_the_path_once() {
        let target = |base: &str| Target { base_path: base.into(), ..Target::of("anthropic", "m") };
        for base in ["/x", "/x/v1"] {
            assert_eq!(path(&target(base), "/messages"), "/x/v1/messages");
        }
    }
}
