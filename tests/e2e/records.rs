//! What operators see: the access log, filter state, counters.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Gate, Options, Request, chat};

const CONFIG: &str = "
model_list:
- model_name: meta/llama-3.1
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/re-llama/usage=1000:50:600', api_key: sk-provider}
  model_info: {id: llama.3.1-a}
- model_name: first
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/re-first/status=503', api_key: sk-provider}
  model_info: {id: first-a}
- model_name: second
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/re-second/usage=100:20', api_key: sk-provider}
  model_info: {id: second-a}
- model_name: wrong
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/re-wrong/status=400', api_key: sk-provider}
  model_info: {id: wrong-a}
- model_name: dead
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{dead}/v1', api_key: sk-provider}
  model_info: {id: dead-a}
- model_name: slow
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/re-slow/delay-ms=9000', api_key: sk-provider, timeout: 0.3}
  model_info: {id: slow-a}
router_settings:
  num_retries: 0
  fallbacks: [{first: [second]}]
tollgate:
  keys:
  - {key_alias: app.one, key: sk-one, team_id: harbor, user_id: cron}
  - {key_alias: stream, key: sk-stream}
  - {key_alias: falling, key: sk-falling}
  - {key_alias: wrong, key: sk-wrong}
  - {key_alias: dead, key: sk-dead}
  - {key_alias: slow, key: sk-slow}
  - {key_alias: inventive, key: sk-inventive}
  - {key_alias: poor, key: sk-poor, max_budget: 0}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    let options = Options { edit: with_all_fields, ..Options::default() };
    GATE.get_or_init(|| Gate::start_with("records", CONFIG, options))
}

/// Adds the fields that the rendered access log leaves to Envoy's own, and the whole record as one.
fn with_all_fields(yaml: String) -> String {
    let line = "key_alias: \"%FILTER_STATE(wasm.tollgate.key_alias:PLAIN)%\"\n";
    let indent = " ".repeat(yaml.lines().find_map(|text| text.find(line.trim_end())).expect("the access log"));
    let more = ["cluster", "duration_ms", "log"];
    let more = more.map(|name| format!("{indent}state_{name}: \"%FILTER_STATE(wasm.tollgate.{name}:PLAIN)%\"\n"));
    yaml.replacen(line, &format!("{line}{}", more.concat()), 1)
}

/// The fields of the contract, as the access log of `key_alias` has them.
fn fields(record: &Value) -> Value {
    let names = [
        "key_alias",
        "team",
        "user",
        "model_group",
        "model",
        "provider",
        "deployment",
        "attempts",
        "fallbacks",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "total_tokens",
        "usage_source",
        "cost_usd",
        "error",
    ];
    // Envoy 1.39 writes null where 1.40 leaves a field out.
    let given = |name: &&str| Some(record.get(*name).filter(|value| !value.is_null())?.clone());
    names.iter().filter_map(|name| Some(((*name).to_owned(), given(name)?))).collect()
}

/// The record as one JSON object says the same as its fields do one by one.
#[track_caller]
fn expect_whole(record: &Value) {
    let log: Value = serde_json::from_str(record["state_log"].as_str().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in log.as_object().unwrap() {
        let field = match name.as_str() {
            "cluster" | "duration_ms" => &record[format!("state_{name}")],
            _ => &record[name],
        };
        let is_same = match name.as_str() {
            "cost_usd" => text(field).parse::<f64>().unwrap() == value.as_f64().unwrap(),
            _ => text(field) == text(value),
        };
        assert!(is_same, "{name}: {field} and {value}");
    }
    let known = |name: &&String| *name != "ttft_ms" && log.get(name.as_str()).is_none();
    assert_eq!(fields(record).as_object().unwrap().keys().filter(known).count(), 0, "{log:#}");
    assert!(log["duration_ms"].is_u64() && log["attempts"].is_u64(), "{log:#}");
}

#[test]
fn a_success_has_every_field() {
    gate().chat("sk-one", "meta/llama-3.1").expect_ok();
    let record = gate().record("app.one");
    let expected = json!({
        "key_alias": "app.one", "team": "harbor", "user": "cron", "model_group": "meta/llama-3.1", "model": "gpt-4o-mini",
        "provider": "openai", "deployment": "llama.3.1-a", "attempts": "1", "fallbacks": "0", "input_tokens": "1000",
        "output_tokens": "50", "cached_tokens": "600", "total_tokens": "1050", "usage_source": "provider", "cost_usd": "0.000135",
    });
    assert_eq!(fields(&record), expected);
    assert_eq!((&record["response_code"], &record["method"]), (&json!(200), &json!("POST")));
    assert_eq!(record["state_cluster"], record["cluster"]);
    assert!(record["ttft_ms"].as_str().unwrap().parse::<u64>().unwrap() <= 10_000);
    expect_whole(&record);

    let labels = [
        ("model_group", "meta/llama-3.1"),
        ("deployment", "llama.3.1-a"),
        ("provider", "openai"),
        ("key_alias", "app.one"),
        ("status", "200"),
    ];
    for (name, value) in [
        ("tollgate_requests_total", 1),
        ("tollgate_attempts_total", 1),
        ("tollgate_input_tokens_total", 1000),
        ("tollgate_output_tokens_total", 50),
        ("tollgate_cost_nano_usd_total", 135_000),
        ("tollgate_fallbacks_total", 0),
    ] {
        gate().expect_counter(name, &labels, value);
    }
}

#[test]
fn a_stream_has_them_too() {
    gate().post("/v1/chat/completions", "sk-stream", chat("meta/llama-3.1", r#","stream":true"#)).expect_ok();
    let record = gate().record("stream");
    let found = ["model_group", "total_tokens", "cost_usd", "usage_source"].map(|name| record[name].clone());
    assert_eq!(found, ["meta/llama-3.1", "1050", "0.000135", "provider"].map(Value::from));
    expect_whole(&record);
}

#[test]
fn a_fallback_is_counted_where_it_happened() {
    gate().chat("sk-falling", "first").expect_ok();
    let record = gate().record("falling");
    let found =
        ["model_group", "model", "provider", "deployment", "attempts", "fallbacks"].map(|name| record[name].clone());
    assert_eq!(found, ["first", "claude-haiku-4-5", "anthropic", "second-a", "2", "1"].map(Value::from));
    expect_whole(&record);
    let key = ("key_alias", "falling");
    let [first, second] = [("deployment", "first-a"), ("deployment", "second-a")];
    gate().expect_counter("tollgate_attempts_total", &[key, first, ("provider", "openai"), ("status", "503")], 1);
    gate().expect_counter("tollgate_attempts_total", &[key, second, ("provider", "anthropic"), ("status", "200")], 1);
    gate().expect_counter("tollgate_fallbacks_total", &[key, ("model_group", "first")], 1);
    gate().expect_counter("tollgate_requests_total", &[key], 1);
    gate().expect_counter("tollgate_requests_total", &[key, second, ("status", "200")], 1);
}

#[test]
fn an_error_says_which_one() {
    for (name, status, attempt, error) in [
        ("wrong", 400, "400", "invalid_request_error"),
        ("dead", 503, "0", "upstream_unreachable"),
        ("slow", 504, "0", "timeout"),
    ] {
        assert_eq!(gate().chat(&format!("sk-{name}"), name).status, status);
        let record = gate().record(name);
        let found = ["model_group", "deployment", "attempts", "total_tokens", "cost_usd", "error"]
            .map(|field| record[field].clone());
        assert_eq!(found, [name, &format!("{name}-a"), "1", "0", "0", error].map(Value::from), "{record:#}");
        assert_eq!(record["response_code"], status);
        expect_whole(&record);
        let labels = [("model_group", name), ("key_alias", name), ("provider", "openai")];
        let status = status.to_string();
        gate().expect_counter("tollgate_requests_total", &[&labels[..], &[("status", &status)]].concat(), 1);
        gate().expect_counter("tollgate_attempts_total", &[&labels[..], &[("status", attempt)]].concat(), 1);
    }
}

#[test]
fn an_answer_of_the_gateway_itself_is_recorded() {
    Request::get(gate().port, "/v1/models/recorded").key("sk-unknown").send();
    let lines = gate().access_log_where("the 401", 1, |line| line["path"] == "/v1/models/recorded");
    let expected = json!({
        "attempts": "0", "fallbacks": "0", "input_tokens": "0", "output_tokens": "0", "cached_tokens": "0",
        "total_tokens": "0", "cost_usd": "0", "error": "invalid_api_key",
    });
    assert_eq!((fields(&lines[0]), &lines[0]["response_code"]), (expected, &json!(401)), "{lines:#?}");
    expect_whole(&lines[0]);
    gate().expect_counter("tollgate_requests_total", &[("key_alias", "none"), ("status", "401")], 1);

    gate().chat("sk-poor", "first").expect_error(429, "budget_exceeded", "budget_exceeded");
    let record = gate().record("poor");
    assert_eq!((&record["error"], &record["attempts"]), (&json!("budget_exceeded"), &json!("0")), "{record:#}");
    expect_whole(&record);
    gate().expect_counter("tollgate_requests_total", &[("key_alias", "poor"), ("status", "429")], 1);
}

#[test]
fn a_client_makes_no_labels_and_leaves_no_words() {
    let body = r#"{"model":"invented-by-a-client","messages":[{"role":"user","content":"a word of a client"}]}"#;
    gate().post("/v1/chat/completions", "sk-inventive", body).expect_error(
        404,
        "invalid_request_error",
        "model_not_found",
    );
    gate().chat("sk-inventive", "second").expect_ok();
    let lines = gate().access_log("inventive", 2);
    assert_eq!(lines[0]["error"], "model_not_found");
    gate().expect_counter("tollgate_requests_total", &[("key_alias", "inventive"), ("model_group", "none")], 1);
    gate().expect_counter("tollgate_requests_total", &[("key_alias", "inventive"), ("model_group", "second")], 1);
    let stats = Request::get(gate().admin_port, "/stats/prometheus").send();
    let everything = [stats.text(), &gate().stderr(), &format!("{lines:?}")].concat();
    for word in ["invented", "word of a client", "Hello there", "sk-", "mock provider answers"] {
        assert!(!everything.contains(word), "{word}");
    }
}
