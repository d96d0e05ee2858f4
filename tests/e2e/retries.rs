//! How often, and after which failures, another attempt is made, and where it goes when the group has failed.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Received, Request, Rig, chat};

const SETTINGS: &str = "
router_settings:
  num_retries: 1
  disable_cooldowns: true
  max_fallbacks: 2
  retry_policy: {RateLimitErrorRetries: 0, InternalServerErrorRetries: 2, AuthenticationErrorRetries: 0}
  model_group_retry_policy: {special: {InternalServerErrorRetries: 0}}
  fallbacks:
  - {first: [after-first]}
  - {short: [second]}
  - {strict: [second]}
  - {chain-1: [chain-2, chain-3, chain-4]}
  context_window_fallbacks: [{short: [long]}, {short-claude: [long]}]
  content_policy_fallbacks: [{strict: [lenient]}, {filtered: [lenient]}, {filtered-claude: [lenient]}]
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: narrow, key: sk-narrow, models: [alone, second]}
";

/// Groups of one deployment each: name, what its provider does.
const OPENAI: [(&str, &str); 20] = [
    ("rate", "status=429"),
    ("internal", "status=500"),
    ("unavailable", "status=503"),
    ("refused", "status=401"),
    ("special", "status=500"),
    ("counted", "status=503"),
    ("first", "status=503"),
    ("after-first", "usage=10:20"),
    ("alone", "status=503"),
    ("second", "usage=10:20"),
    ("forbidden", "usage=10:20"),
    ("short", "status=400,code=context_length_exceeded"),
    ("long", "usage=10:20"),
    ("strict", "status=400,code=content_policy_violation"),
    ("filtered", "finish=content_filter"),
    ("lenient", "usage=10:20"),
    ("chain-1", "status=503"),
    ("chain-2", "status=503"),
    ("chain-3", "status=503"),
    ("chain-4", "usage=10:20"),
];

const ANTHROPIC: [(&str, &str); 2] =
    [("short-claude", "status=400,code=context_length_exceeded"), ("filtered-claude", "finish=content_filter")];

/// What a client may say to steer Tollgate, which is no provider's business.
const KNOBS: [&str; 4] = ["num_retries", "fallbacks", "disable_fallbacks", "timeout"];

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let openai = OPENAI.map(|(name, script)| entry(name, "openai/gpt-4o-mini", &format!("{name}/{script}/v1")));
        let claude =
            ANTHROPIC.map(|(name, script)| entry(name, "anthropic/claude-haiku-4-5", &format!("{name}/{script}")));
        let config = format!("model_list:\n{}{}{SETTINGS}", openai.concat(), claude.concat());
        Rig::start("retries", &config)
    })
}

fn entry(name: &str, model: &str, path: &str) -> String {
    format!(
        "- {{model_name: {name}, litellm_params: {{model: {model}, api_base: 'http://{{own}}/{path}', api_key: sk-x}}, \
         model_info: {{id: id-{name}}}}}\n"
    )
}

/// A chat with `model`; `more` begins with a comma or is empty.
fn request(key: &str, model: &str, more: &str) -> Request {
    rig().gate.request("/v1/chat/completions", key, chat(model, more))
}

fn ask(model: &str, more: &str) -> Answer {
    request("sk-app", model, more).send()
}

fn received(name: &str) -> Vec<Received> {
    rig().mock.requests(&format!("/{name}/"))
}

/// The status, who answered, and after how many attempts.
fn told(answer: &Answer) -> (u16, &str, &str) {
    let header = |name| answer.header(name).unwrap_or_default();
    (answer.status, header("x-tollgate-deployment"), header("x-tollgate-attempts"))
}

#[test]
fn each_class_of_failures_has_its_own_count() {
    for (model, status, attempts) in [
        ("rate", 429, "1"),
        ("internal", 500, "3"),
        ("unavailable", 503, "2"),
        ("refused", 401, "1"),
        ("special", 500, "1"),
    ] {
        let answer = ask(model, "");
        assert_eq!(told(&answer), (status, format!("id-{model}").as_str(), attempts), "{}", answer.text());
        assert_eq!(received(model).len().to_string(), attempts, "{model}");
    }
}

#[test]
fn a_client_may_say_how_often() {
    let told = |answer: &Answer| (answer.status, answer.header("x-tollgate-attempts").map(str::to_owned));
    let expected = |attempts: &str| (503, Some(attempts.to_owned()));
    let answer = request("sk-app", "counted", "").header("x-litellm-num-retries", "2").send();
    assert_eq!(told(&answer), expected("3"));
    assert_eq!(told(&request("sk-app", "counted", "").header("x-litellm-num-retries", "0").send()), expected("1"));
    assert_eq!(told(&ask("counted", r#","num_retries":0"#)), expected("1"));
    assert_eq!(told(&ask("counted", r#","num_retries":2"#)), expected("3"));
    assert_eq!(received("counted").len(), 8);
    for received in received("counted") {
        assert!(received.header("x-litellm-num-retries").is_none() && received.json()["num_retries"].is_null());
    }
}

#[test]
fn a_client_may_do_without_fallbacks() {
    let answer = ask("first", "").expect_ok();
    assert_eq!(told(&answer), (200, "id-after-first", "3"));
    let before = received("after-first").len();
    let answer = ask("first", r#","disable_fallbacks":true"#);
    assert_eq!(told(&answer), (503, "id-first", "2"));
    assert_eq!(received("after-first").len(), before);
}

#[test]
fn a_client_may_name_its_own_fallbacks_among_what_it_may_use() {
    let more = r#","fallbacks":["forbidden","second"],"num_retries":0"#;
    let answer = request("sk-app", "alone", more).send().expect_ok();
    assert_eq!(told(&answer), (200, "id-forbidden", "2"));
    let before = received("forbidden").len();
    let answer = request("sk-narrow", "alone", more).send().expect_ok();
    assert_eq!(told(&answer), (200, "id-second", "2"));
    let answer = request("sk-narrow", "alone", r#","fallbacks":["forbidden"],"num_retries":0"#).send();
    assert_eq!(told(&answer), (503, "id-alone", "1"));
    assert_eq!(received("forbidden").len(), before, "the key may not use it");
    // The client's own list counts, not the config's.
    let answer = request("sk-app", "first", r#","fallbacks":["long"],"num_retries":0"#).send().expect_ok();
    assert_eq!(told(&answer), (200, "id-long", "2"));
    for received in ["alone", "forbidden", "second", "long"].iter().flat_map(|name| received(name)) {
        let body = received.json();
        assert!(KNOBS.iter().all(|knob| body[knob].is_null()), "{body:#}");
    }
}

#[test]
fn a_prompt_that_is_too_long_goes_where_it_fits() {
    for model in ["short", "short-claude"] {
        let answer = ask(model, "").expect_ok();
        assert_eq!(told(&answer), (200, "id-long", "2"), "not asked twice, and no other fallback");
        assert_eq!(answer.header("x-tollgate-fallbacks"), Some("1"));
        let answer = ask(model, ",\"stream\":true").expect_ok();
        assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        assert_eq!(told(&answer), (200, "id-long", "2"));
        let answer = ask(model, r#","disable_fallbacks":true"#);
        assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (400, Some("1")));
        assert_eq!(answer.at("/error/code"), "context_length_exceeded");
    }
}

#[test]
fn what_one_provider_will_not_answer_goes_to_another() {
    let answer = ask("strict", "").expect_ok();
    assert_eq!(told(&answer), (200, "id-lenient", "2"));
    // A whole answer that was cut off by the provider's filter, too.
    for model in ["filtered", "filtered-claude"] {
        let answer = ask(model, "").expect_ok();
        assert_eq!(told(&answer), (200, "id-lenient", "2"));
        assert_eq!(answer.at("/choices/0/finish_reason"), "stop");
        let answer = ask(model, r#","disable_fallbacks":true"#).expect_ok();
        assert_eq!(answer.at("/choices/0/finish_reason"), "content_filter");
    }
    // A stream is on its way when the filter is heard of.
    let answer = ask("filtered", ",\"stream\":true").expect_ok();
    assert_eq!(told(&answer), (200, "id-filtered", "1"));
    let reasons: Vec<Value> =
        answer.chunks().iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    assert!(reasons.contains(&json!("content_filter")), "{reasons:?}");
}

#[test]
fn there_is_an_end_to_fallbacks() {
    let answer = request("sk-app", "chain-1", "").header("x-litellm-num-retries", "0").send();
    assert_eq!(told(&answer), (503, "id-chain-3", "3"));
    assert_eq!(answer.header("x-tollgate-fallbacks"), Some("2"));
    assert!(received("chain-4").is_empty(), "max_fallbacks is 2");
}
