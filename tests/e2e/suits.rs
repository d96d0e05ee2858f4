//! Who is passed over because a request does not suit it, and who keeps a conversation.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::{Answer, Request, Rig, chat};

const CHECKS: &str = "
model_list:
- {model_name: mixed, litellm_params: {model: openai/small, api_base: 'http://{own}/mixed-small/v1', api_key: sk-x, order: 1}, model_info: {id: mixed-small, max_input_tokens: 100}}
- {model_name: mixed, litellm_params: {model: openai/large, api_base: 'http://{own}/mixed-large/v1', api_key: sk-x, order: 2}, model_info: {id: mixed-large, max_input_tokens: 100000}}
- {model_name: narrow, litellm_params: {model: openai/small, api_base: 'http://{own}/narrow/v1', api_key: sk-x}, model_info: {id: narrow, max_input_tokens: 100}}
- {model_name: led, litellm_params: {model: openai/small, api_base: 'http://{own}/led/v1', api_key: sk-x}, model_info: {id: led, max_input_tokens: 100}}
- {model_name: longer, litellm_params: {model: openai/large, api_base: 'http://{own}/longer/v1', api_key: sk-x}, model_info: {id: longer, max_input_tokens: 100000}}
- {model_name: seeing, litellm_params: {model: openai/blind, api_base: 'http://{own}/blind/v1', api_key: sk-x, order: 1}, model_info: {id: blind, supports_vision: false}}
- {model_name: seeing, litellm_params: {model: openai/eyes, api_base: 'http://{own}/eyes/v1', api_key: sk-x, order: 2}, model_info: {id: eyes, supports_vision: true}}
- {model_name: blind, litellm_params: {model: openai/blind, api_base: 'http://{own}/only-blind/v1', api_key: sk-x}, model_info: {id: only-blind, supports_vision: false}}
router_settings:
  num_retries: 0
  enable_pre_call_checks: true
  fallbacks: [{led: [mixed]}]
  context_window_fallbacks: [{led: [longer]}]
general_settings: {master_key: sk-master}
";

const HOURS: &str = "
model_list:
- {model_name: hours, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/h-night/v1', api_key: sk-x, order: 1}, model_info: {id: night, access_windows: [{window}]}}
- {model_name: hours, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/h-all/v1', api_key: sk-x, order: 2}, model_info: {id: all}}
- {model_name: only, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/h-only/v1', api_key: sk-x}, model_info: {id: only, access_windows: [{window}]}}
- {model_name: later, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/h-later/v1', api_key: sk-x}, model_info: {id: later, access_windows: [{later}]}}
router_settings: {num_retries: 0}
tollgate:
  teams: [{team_id: batch}, {team_id: web}]
  keys:
  - {key_alias: batch, key: sk-batch, team_id: batch}
  - {key_alias: web, key: sk-web, team_id: web}
  - {key_alias: alone, key: sk-alone}
";

const KEPT: &str = "
model_list:
- {model_name: kept, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/kept-1/v1', api_key: sk-1}, model_info: {id: kept-1}}
- {model_name: kept, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/kept-2/v1', api_key: sk-2}, model_info: {id: kept-2}}
- {model_name: kept, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/kept-3/v1', api_key: sk-3}, model_info: {id: kept-3}}
- {model_name: kept, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/kept-4/v1', api_key: sk-4}, model_info: {id: kept-4}}
router_settings: {num_retries: 1, optional_pre_call_checks: [prompt_caching, session_affinity]}
tollgate: {keys: [{key_alias: app, key: sk-app}]}
";

fn ask(rig: &Rig, key: &str, body: impl Into<Vec<u8>>) -> Answer {
    rig.gate.request("/v1/chat/completions", key, body).send()
}

fn checks() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start("suits-checks", CHECKS))
}

/// A chat whose prompt has about so many tokens.
fn long(model: &str, tokens: usize) -> String {
    let text = "word ".repeat(tokens);
    json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string()
}

#[test]
fn a_prompt_goes_where_it_fits() {
    for (model, tokens, expected) in
        [("mixed", 10, "mixed-small"), ("mixed", 1000, "mixed-large"), ("led", 10, "led"), ("led", 1000, "longer")]
    {
        let answer = ask(checks(), "sk-master", long(model, tokens)).expect_ok();
        assert_eq!(answer.by(), expected, "{model} {tokens}");
    }
    let answer = ask(checks(), "sk-master", long("mixed", 1000)).expect_ok();
    let routing = answer.header("x-tollgate-routing").expect("x-tollgate-routing").to_owned();
    assert!(routing.starts_with("simple-shuffle; skipped mixed-small:context; tried mixed-large:200/"), "{routing}");
}

#[test]
fn a_prompt_that_fits_nowhere_is_refused_without_a_call() {
    let answer = ask(checks(), "sk-master", long("narrow", 1000));
    let error = answer.expect_error(400, "invalid_request_error", "context_length_exceeded");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("tokens")), "{error}");
    assert_eq!(checks().mock.requests("/narrow/").len(), 0);
    let both = long("mixed", 200_000);
    ask(checks(), "sk-master", both).expect_error(400, "invalid_request_error", "context_length_exceeded");
}

#[test]
fn an_image_goes_where_it_is_seen() {
    let body = |model: &str| {
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
        let text = json!({"type": "text", "text": "what is it?"});
        json!({"model": model, "messages": [{"role": "user", "content": [text, image]}]}).to_string()
    };
    assert_eq!(ask(checks(), "sk-master", body("seeing")).expect_ok().by(), "eyes");
    assert_eq!(ask(checks(), "sk-master", chat("seeing", "")).expect_ok().by(), "blind");
    ask(checks(), "sk-master", body("blind")).expect_error(400, "invalid_request_error", "invalid_value");
    assert_eq!(checks().mock.requests("/only-blind/").len(), 0);
}

/// A window of two hours around the time of day that comes in so many hours.
fn window(hours: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let middle = now + hours * 60;
    let (start, end) = (time(middle - 60), time(middle + 60));
    format!("{{start: '{start}', end: '{end}', timezone: UTC, team_ids: [batch]}}")
}

#[test]
fn in_its_hours_a_deployment_is_for_its_team_alone() {
    let config = HOURS.replace("{window}", &window(0)).replace("{later}", &window(6));
    let rig = Rig::start("suits-hours", &config);
    for (key, expected) in [("sk-batch", "night"), ("sk-web", "all"), ("sk-alone", "all")] {
        assert_eq!(ask(&rig, key, chat("hours", "")).expect_ok().by(), expected, "{key}");
        assert_eq!(ask(&rig, key, chat("later", "")).expect_ok().by(), "later", "{key}");
    }
    assert_eq!(ask(&rig, "sk-batch", chat("only", "")).expect_ok().by(), "only");
    for key in ["sk-web", "sk-alone"] {
        let refused = ask(&rig, key, chat("only", ""));
        assert_eq!(refused.status, 403, "{}", refused.text());
    }
    assert_eq!(rig.mock.requests("/h-only/").len(), 1);
}

/// A conversation about `topic` after so many turns.
fn conversation(topic: &str, turns: usize) -> String {
    let mut messages = vec![
        json!({"role": "system", "content": format!("You know all about {topic}.")}),
        json!({"role": "user", "content": format!("Tell me about {topic}.")}),
    ];
    for turn in 0..turns {
        messages.push(json!({"role": "assistant", "content": format!("It is {turn}.")}));
        messages.push(json!({"role": "user", "content": format!("And {turn}?")}));
    }
    json!({"model": "kept", "messages": messages}).to_string()
}

#[test]
fn a_conversation_stays_where_it_began_while_that_is_well() {
    let rig = Rig::start("suits-kept", KEPT);
    let asked = |topic: &str, turns: usize| ask(&rig, "sk-app", conversation(topic, turns)).expect_ok().by();
    let topics: Vec<String> = (0..24).map(|i| format!("topic {i}")).collect();
    let homes: Vec<String> = topics.iter().map(|topic| asked(topic, 0)).collect();
    assert!(homes.iter().collect::<BTreeSet<_>>().len() >= 3, "conversations are spread: {homes:?}");
    for turns in 1..4 {
        let now: Vec<String> = topics.iter().map(|topic| asked(topic, turns)).collect();
        assert_eq!(now, homes, "{turns}");
    }
    let session = |name: &str, topic: &str| -> Request {
        rig.gate.request("/v1/chat/completions", "sk-app", conversation(topic, 0)).header("x-litellm-session-id", name)
    };
    let by_session: BTreeSet<String> =
        topics.iter().map(|topic| session("one", topic).send().expect_ok().by()).collect();
    assert_eq!(by_session.len(), 1, "a session wins over the prompt: {by_session:?}");

    rig.mock.script(&format!("/{}/", homes[0]), "status=503");
    let after: Vec<String> = topics.iter().map(|topic| asked(topic, 5)).collect();
    for (before, after) in homes.iter().zip(&after) {
        assert!(*after != homes[0], "{after}");
        assert!(*before == homes[0] || before == after, "only those of the failed one move: {before} to {after}");
    }
    let moved: Vec<String> = topics.iter().map(|topic| asked(topic, 6)).collect();
    assert_eq!(moved, after, "and stay where they went");
}
