//! What belongs to one provider, or to the client, is seen by no other.

use std::sync::OnceLock;

use serde_json::json;

use crate::harness::{Answer, Gate, Mock, Received, Request, chat};

/// `{first}` and `{second}` are two providers at two addresses.
const CONFIG: &str = "
model_list:
- model_name: from-openai
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{first}/iso-a/status=503
    api_key: sk-secret-of-a
    organization: org-of-a
    extra_headers: {x-a-only: secret-header-of-a, cookie: cookie-of-a}
- model_name: to-anthropic
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{second}/iso-b', api_key: sk-secret-of-b}
- model_name: from-anthropic
  litellm_params:
    model: anthropic/claude-haiku-4-5
    api_base: http://{second}/iso-c/status=529
    api_key: sk-secret-of-c
    extra_headers: {x-c-only: secret-header-of-c, anthropic-beta: beta-of-c}
- model_name: to-openai
  litellm_params: {model: openai/gpt-4o, api_base: 'http://{first}/iso-d/v1', api_key: sk-secret-of-d}
- model_name: from-keyed
  litellm_params: {model: openai/gpt-4o, api_base: 'http://{first}/iso-e/status=500', api_key: sk-secret-of-e}
- model_name: to-keyless
  litellm_params: {model: hosted_vllm/llama3.2, api_base: 'http://{second}/iso-f/v1'}
- model_name: steered
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/iso-steered/status=500', api_key: sk-x}
- model_name: patient
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/iso-patient/delay-ms=400', api_key: sk-x}
- model_name: odd
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{first}/iso-odd/header=set-cookie:a=b,header=openai-organization:org-of-odd,header=x-tollgate-retry:1,header=x-tollgate-deployment:evil
    api_key: sk-x
    num_retries: 2
router_settings:
  num_retries: 0
  fallbacks: [{from-openai: [to-anthropic]}, {from-anthropic: [to-openai]}, {from-keyed: [to-keyless]}]
tollgate:
  keys:
  - {key_alias: app, key: sk-of-the-client}
";

struct Setting {
    gate: Gate,
    first: Mock,
    second: Mock,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let (first, second) = (Mock::start("mock-first"), Mock::start("mock-second"));
        let config = CONFIG.replace("{first}", &first.address()).replace("{second}", &second.address());
        Setting { gate: Gate::start("isolation", &config), first, second }
    })
}

/// A request with everything in it that must not go on.
fn loaded(model: &str, more: &str) -> Request {
    let path = "/v1/chat/completions?api_key=sk-query-of-the-client";
    let request = setting().gate.request(path, "sk-of-the-client", chat(model, more));
    let secrets = [
        ("cookie", "session=cookie-of-the-client"),
        ("x-api-key", "sk-second-of-the-client"),
        ("api-key", "sk-third-of-the-client"),
        ("x-goog-api-key", "sk-fourth-of-the-client"),
        ("proxy-authorization", "Basic of-the-client"),
        ("openai-organization", "org-of-the-client"),
        ("x-internal", "header-of-the-client"),
        ("referer", "http://intranet-of-the-client/"),
    ];
    secrets.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Fails if anything of these words is in what a provider received.
fn expect_none_of(words: &[&str], received: &Received) {
    let text = format!("{received:?}");
    for word in words {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

fn fell_back(answer: &Answer) {
    assert_eq!((answer.status, answer.header("x-tollgate-fallbacks")), (200, Some("1")), "{}", answer.text());
}

#[test]
fn after_a_fallback_to_anthropic_nothing_of_openai_is_left() {
    for more in ["", r#","stream":true"#] {
        fell_back(&loaded("from-openai", more).send());
    }
    let Setting { first, second, .. } = setting();
    for received in first.requests("/iso-a/") {
        assert_eq!(received.header("authorization"), Some("Bearer sk-secret-of-a"));
        assert_eq!(received.header("cookie"), Some("cookie-of-a"));
        expect_none_of(&["of-the-client", "of-b"], &received);
    }
    let others = second.requests("/iso-b/");
    assert_eq!((others.len(), others[0].path.as_str()), (2, "/iso-b/v1/messages"));
    for received in others {
        assert_eq!(received.header("x-api-key"), Some("sk-secret-of-b"));
        assert_eq!(received.header("host"), Some(second.address().as_str()));
        expect_none_of(
            &["of-a", "of-the-client", "iso-a", "chat/completions", &first.address(), "authorization"],
            &received,
        );
        names(&received, &["anthropic-version", "x-api-key"]);
    }
}

#[test]
fn after_a_fallback_to_openai_nothing_of_anthropic_is_left() {
    for more in ["", r#","stream":true"#] {
        fell_back(&loaded("from-anthropic", more).send());
    }
    let Setting { first, second, .. } = setting();
    let others = first.requests("/iso-d/");
    assert_eq!((others.len(), others[0].path.as_str()), (2, "/iso-d/v1/chat/completions"));
    for received in others {
        assert_eq!(received.header("authorization"), Some("Bearer sk-secret-of-d"));
        assert_eq!(received.header("host"), Some(first.address().as_str()));
        let words = ["of-c", "of-the-client", "iso-c", "messages:", "anthropic", "claude", &second.address()];
        expect_none_of(&words, &received);
        names(&received, &["authorization"]);
    }
}

#[test]
fn after_a_fallback_to_a_provider_without_a_key_there_is_none() {
    // The mock refuses who brings no key.
    assert_eq!(loaded("from-keyed", "").send().status, 401);
    let received = setting().second.request("/iso-f/");
    expect_none_of(&["of-e", "of-the-client", "iso-e", "uthorization", "api-key"], &received);
    names(&received, &[]);
}

/// Fails unless a provider received these headers and those that every request has.
fn names(received: &Received, own: &[&str]) {
    let common = ["accept", "content-length", "content-type", "host", "user-agent", "x-request-id"];
    let mut expected: Vec<&str> = common.iter().chain(own).copied().collect();
    let mut found: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn headers_of_envoy_and_tollgate_steer_nothing_and_reach_nobody() {
    let steering = [
        ("x-envoy-max-retries", "5"),
        ("x-envoy-retry-on", "5xx"),
        ("x-envoy-upstream-rq-timeout-ms", "50"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "50"),
        ("x-envoy-expected-rq-timeout-ms", "50"),
        ("x-envoy-retriable-status-codes", "500"),
        ("x-envoy-original-path", "/elsewhere"),
        ("x-envoy-decorator-operation", "mine"),
        ("x-tollgate-retry", "1"),
        ("x-tollgate-deployment", "mine"),
        ("x-tollgate-cluster", "mine"),
    ];
    let steered = |model: &str| {
        let request = setting().gate.request("/v1/chat/completions", "sk-of-the-client", chat(model, ""));
        steering.into_iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let answer = steered("steered");
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (500, Some("1")), "{}", answer.text());
    // It takes longer than the client's headers would have allowed.
    steered("patient").expect_ok();
    for part in ["/iso-steered/", "/iso-patient/"] {
        names(&setting().first.request(part), &["authorization"]);
    }
}

#[test]
fn a_providers_private_headers_go_nowhere_and_steer_nothing() {
    let answer = setting().gate.chat("sk-of-the-client", "odd").expect_ok();
    let Ok([_]) = <[Received; 1]>::try_from(setting().first.requests("/iso-odd/")) else {
        panic!("the provider itself asked for a retry, and got one");
    };
    for name in ["set-cookie", "openai-organization", "x-tollgate-retry", "server"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-tollgate-attempts"), Some("1"));
    assert_ne!(answer.header("x-tollgate-deployment"), Some("evil"));
    assert_eq!(answer.at("/model"), json!("gpt-4o-mini"));
}
