//! Why a request went where it went: one field of the record, and a response header for the master key.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::{Answer, Gate, Options, chat};

const CONFIG: &str = "
model_list:
- {model_name: plain, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-plain/v1', api_key: sk-x}, model_info: {id: plain-a}}
- model_name: first
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-first/status=503', api_key: sk-x}
  model_info: {id: first-a}
- {model_name: alone, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-alone/status=503', api_key: sk-x}, model_info: {id: alone-a}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-slow/delay-ms=9000', api_key: sk-x}, model_info: {id: slow-a}}
- {model_name: dead, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{dead}/v1', api_key: sk-x}, model_info: {id: dead-a}}
- model_name: limited
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-limited/status=429,retry-after=60', api_key: sk-x, weight: 1, num_retries: 1}
  model_info: {id: limited-a}
- model_name: limited
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ex-limited-b/v1', api_key: sk-x, weight: 0, num_retries: 1}
  model_info: {id: limited-b}
router_settings:
  num_retries: 0
  timeout: 0.7
  fallbacks: [{first: [plain]}, {slow: [plain]}, {dead: [plain]}, {alone: [plain]}]
general_settings: {master_key: sk-master}
tollgate: {keys: [{key_alias: app, key: sk-app}, {key_alias: told, key: sk-told}, {key_alias: narrow, key: sk-narrow, models: [alone]}]}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    let options = Options { edit: with_the_whole_record, ..Options::default() };
    GATE.get_or_init(|| Gate::start_with("explain", CONFIG, options))
}

/// Adds the record as one JSON object to the access log.
fn with_the_whole_record(yaml: String) -> String {
    let line = "key_alias: \"%FILTER_STATE(wasm.tollgate.key_alias:PLAIN)%\"\n";
    let indent = " ".repeat(yaml.lines().find_map(|text| text.find(line.trim_end())).expect("the access log"));
    yaml.replacen(line, &format!("{line}{indent}state_log: \"%FILTER_STATE(wasm.tollgate.log:PLAIN)%\"\n"), 1)
}

/// How the master key is told; times become `_`.
fn told(model: &str) -> String {
    let answer = gate().chat("sk-master", model).expect_ok();
    without_times(answer.header("x-tollgate-routing").expect("x-tollgate-routing"))
}

/// `tried a:503/12ms` becomes `tried a:503/_`.
fn without_times(routing: &str) -> String {
    let word = |word: &str| match word.split_once('/') {
        Some((attempt, time)) => {
            let time = time.strip_suffix("ms").unwrap_or_else(|| panic!("{routing}: no milliseconds"));
            assert!(time.parse::<u64>().is_ok_and(|ms| ms < 9000), "{routing}");
            format!("{attempt}/_")
        }
        None => word.to_owned(),
    };
    routing.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn attempts_are_told_with_what_came_of_them() {
    for (model, expected) in [
        ("plain", "simple-shuffle; tried plain-a:200/_"),
        ("first", "simple-shuffle; tried first-a:503/_ plain-a:200/_"),
        ("slow", "simple-shuffle; tried slow-a:timeout/_ plain-a:200/_"),
        ("dead", "simple-shuffle; tried dead-a:connection/_ plain-a:200/_"),
        ("limited", "simple-shuffle; tried limited-a:429/_ limited-b:200/_"),
        ("limited", "simple-shuffle; skipped limited-a:cooldown; tried limited-b:200/_"),
    ] {
        assert_eq!(told(model), expected);
    }
}

#[test]
fn only_the_master_key_is_told_and_every_record_has_it() {
    let tell =
        |more: &str| -> Answer { gate().post("/v1/chat/completions", "sk-told", chat("plain", more)).expect_ok() };
    for answer in [tell(""), tell(",\"stream\":true")] {
        assert_eq!(answer.header("x-tollgate-routing"), None);
    }
    for record in gate().access_log("told", 2) {
        let routing = record["routing"].as_str().expect("routing");
        assert_eq!(without_times(routing), "simple-shuffle; tried plain-a:200/_");
        let log: Value = serde_json::from_str(record["state_log"].as_str().unwrap()).unwrap();
        assert_eq!(log["routing"], routing);
    }
}

#[test]
fn a_fallback_that_the_key_may_not_use_is_told_of() {
    let answer = gate().chat("sk-narrow", "alone");
    assert_eq!(answer.status, 503, "{}", answer.text());
    let record = gate().record("narrow");
    let routing = without_times(record["routing"].as_str().expect("routing"));
    assert_eq!(routing, "simple-shuffle; skipped plain-a:acl; tried alone-a:503/_");
}
