//! Tokens and money, computed by hand.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::{Answer, Gate, Mock, chat};

/// One key for each test, so that each finds its own records. Prices are LiteLLM's list: in USD for a million tokens
/// 0.15 and 0.60 for gpt-4o-mini (cached 0.075), 1 and 5 for claude-haiku-4-5 (cached 0.10, written 1.25).
const CONFIG: &str = "
model_list:
- {model_name: plain, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-plain/usage=1000:50', api_key: sk-x}}
- {model_name: cached, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-cached/usage=1000:50:600', api_key: sk-x}}
- {model_name: claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/us-claude/usage=1000:50:600:100', api_key: sk-x}}
- {model_name: embed, litellm_params: {model: openai/text-embedding-3-small, api_base: 'http://{mock}/us-embed/usage=500:0', api_key: sk-x}}
- model_name: custom
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/us-custom/usage=10:20:4
    api_key: sk-x
    input_cost_per_token: 0.001
    output_cost_per_token: 0.0000005
    cache_read_input_token_cost: 1e-4
- model_name: custom-info
  litellm_params: {model: openai/house-model, api_base: 'http://{mock}/us-info/usage=10:20', api_key: sk-x}
  model_info: {input_cost_per_token: 0.000000000001, output_cost_per_token: 0.5}
- {model_name: unpriced, litellm_params: {model: openai/house-model, api_base: 'http://{mock}/us-unpriced/usage=10:20', api_key: sk-x}}
- {model_name: silent, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-silent/no-usage=1,body-bytes=40', api_key: sk-x}}
- {model_name: silent-claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/us-silent-claude/no-usage=1,body-bytes=40', api_key: sk-x}}
- {model_name: long, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-long/usage=1000:50,body-bytes=2000000', api_key: sk-x}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-slow/chunk-ms=100,chunks=400', api_key: sk-x, output_cost_per_token: 1}}
- {model_name: slow-claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/us-slow-claude/chunk-ms=100,chunks=400', api_key: sk-x, output_cost_per_token: 1}}
- {model_name: thinking, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-thinking/delay-ms=9000', api_key: sk-x, input_cost_per_token: 1}}
- {model_name: torn, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-torn/cut=2', api_key: sk-x}}
- {model_name: failing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/us-failing/status=400', api_key: sk-x}}
router_settings: {num_retries: 0}
tollgate:
  keys:
";

const KEYS: [&str; 17] = [
    "plain",
    "plain-stream",
    "cached",
    "cached-stream",
    "claude",
    "claude-stream",
    "embed",
    "custom",
    "custom-info",
    "unpriced",
    "silent",
    "silent-stream",
    "silent-claude",
    "silent-claude-stream",
    "long",
    "torn",
    "failing",
];

/// Keys that can pay for one request.
const POOR: [&str; 3] = ["slow", "slow-claude", "thinking"];

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| {
        let keys = KEYS.map(|name| format!("  - {{key_alias: {name}, key: sk-{name}}}\n")).concat();
        let poor = POOR.map(|name| format!("  - {{key_alias: {name}, key: sk-{name}, max_budget: 1}}\n")).concat();
        Gate::start("usage", &[CONFIG, &keys, &poor].concat())
    })
}

/// Input, output, cached and total tokens, their source, and the cost in USD.
type Row<'a> = [&'a str; 6];

#[track_caller]
fn expect_record(alias: &str, row: Row<'_>) -> Value {
    let record = gate().record(alias);
    let fields = ["input_tokens", "output_tokens", "cached_tokens", "total_tokens", "usage_source", "cost_usd"];
    assert_eq!(fields.map(|field| record[field].as_str().unwrap_or("-")), row, "{record:#}");
    record
}

fn ask(key: &str, model: &str, more: &str) -> Answer {
    gate().post("/v1/chat/completions", &format!("sk-{key}"), chat(model, more))
}

#[test]
fn the_providers_usage_is_priced() {
    let rows = [
        // 1000 x 0.15 + 50 x 0.60
        ("plain", ["1000", "50", "0", "1050", "provider", "0.00018"]),
        // 400 x 0.15 + 600 x 0.075 + 50 x 0.60
        ("cached", ["1000", "50", "600", "1050", "provider", "0.000135"]),
        // 300 x 1 + 600 x 0.10 + 100 x 1.25 + 50 x 5
        ("claude", ["1000", "50", "600", "1050", "provider", "0.000735"]),
        // 6 x 0.001 + 4 x 0.0001 + 20 x 0.0000005
        ("custom", ["10", "20", "4", "30", "provider", "0.00641"]),
        // 10 picodollars + 20 x 0.5
        ("custom-info", ["10", "20", "0", "30", "provider", "10.00000000001"]),
    ];
    for (name, row) in rows {
        let answer = ask(name, name, "").expect_ok();
        assert_eq!(answer.header("x-tollgate-response-cost"), Some(row[5]), "{name}");
        expect_record(name, row);
    }
}

#[test]
fn a_stream_costs_what_a_whole_answer_does() {
    for (name, row) in [
        ("plain", ["1000", "50", "0", "1050", "provider", "0.00018"]),
        ("cached", ["1000", "50", "600", "1050", "provider", "0.000135"]),
        ("claude", ["1000", "50", "600", "1050", "provider", "0.000735"]),
    ] {
        let key = format!("{name}-stream");
        ask(&key, name, r#","stream":true"#).expect_ok();
        let record = expect_record(&key, row);
        assert!(record["ttft_ms"].is_string(), "{record:#}");
    }
}

#[test]
fn embeddings_cost_their_input() {
    let answer = gate().post("/v1/embeddings", "sk-embed", r#"{"model":"embed","input":"Hello"}"#).expect_ok();
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.00001"));
    expect_record("embed", ["500", "0", "0", "500", "provider", "0.00001"]);
}

#[test]
fn an_answer_too_long_to_be_held_is_counted_all_the_same() {
    ask("long", "long", "").expect_ok();
    expect_record("long", ["1000", "50", "0", "1050", "provider", "0.00018"]);
}

#[test]
fn a_model_without_a_price_is_counted_and_free() {
    let answer = ask("unpriced", "unpriced", "").expect_ok();
    assert_eq!(answer.header("x-tollgate-response-cost"), None);
    expect_record("unpriced", ["10", "20", "0", "30", "provider", "0"]);
    gate().expect_counter("tollgate_unpriced_requests_total", &[("key_alias", "unpriced"), ("status", "200")], 1);
    gate().expect_counter("tollgate_unpriced_requests_total", &[("key_alias", "plain")], 0);
}

/// The bytes of the messages, by four: `[{"role":"user","content":"Hello there"}]`. The answer has 40 bytes.
const ESTIMATED: [&str; 5] = ["11", "10", "0", "21", "estimated"];

#[test]
fn where_the_provider_says_nothing_usage_is_estimated_and_marked() {
    for (model, cost) in [("silent", "0.00000765"), ("silent-claude", "0.000061")] {
        ask(model, model, "").expect_ok();
        let stream = format!("{model}-stream");
        ask(&stream, model, r#","stream":true"#).expect_ok();
        for key in [model, &stream] {
            let [input, output, cached, total, source] = ESTIMATED;
            expect_record(key, [input, output, cached, total, source, cost]);
        }
    }
}

#[test]
fn an_error_of_the_provider_costs_nothing() {
    assert_eq!(ask("failing", "failing", "").status, 400);
    expect_record("failing", ["0", "0", "0", "0", "-", "0"]);
}

#[test]
fn a_stream_that_the_provider_tears_off_costs_what_came() {
    let answer = ask("torn", "torn", r#","stream":true"#);
    assert!(!answer.is_whole);
    let content: String =
        answer.chunks().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    let record = gate().record("torn");
    let tokens = content.len().div_ceil(4).to_string();
    assert_eq!(
        (&record["output_tokens"], &record["usage_source"]),
        (&tokens.into(), &"estimated".into()),
        "{record:#}"
    );
}

#[test]
fn a_client_that_hangs_up_in_the_middle_pays_for_what_was_made() {
    for key in ["slow", "slow-claude"] {
        let request = gate().request("/v1/chat/completions", &format!("sk-{key}"), chat(key, r#","stream":true"#));
        let mut answer = request.open().expect_ok();
        while !answer.text().contains("\"content\":\"T") {
            assert!(answer.next_piece().is_some());
        }
        drop(answer);
        charged_for_what_was_made(key);
        let record = gate().record(key);
        assert!(number(&record["output_tokens"]) >= 1.0, "{record:#}");
    }
}

#[test]
fn a_client_that_hangs_up_before_the_answer_pays_for_its_prompt() {
    let request = gate().request("/v1/chat/completions", "sk-thinking", chat("thinking", ""));
    let mut connection = crate::harness::Connection::open(gate().port);
    connection.write(&[request.head(), chat("thinking", "").into_bytes()].concat());
    crate::harness::wait_for("the provider's request", || Mock::shared().requests("/us-thinking/").pop());
    drop(connection);
    charged_for_what_was_made("thinking");
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// One dollar was the budget of `key`, and it is spent.
#[track_caller]
fn charged_for_what_was_made(key: &str) {
    let record = gate().record(key);
    assert_eq!(record["usage_source"], "estimated", "{record:#}");
    assert!(number(&record["input_tokens"]) >= 11.0, "{record:#}");
    let cost = number(&record["cost_usd"]);
    assert!(cost >= 1.0, "{record:#}");
    let error = ask(key, key, "").expect_error(429, "budget_exceeded", "budget_exceeded");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("{} USD spent", record["cost_usd"].as_str().unwrap())), "{message}");
}
#[test]
fn a_client_that_asks_for_usage_gets_an_estimate_where_the_provider_gives_none() {
    let config = "
model_list:
- {model_name: silent, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ue/no-usage=1,body-bytes=40', api_key: sk-x}}
- {model_name: silent-claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ue-claude/no-usage=1,body-bytes=40', api_key: sk-x}}
tollgate: {allow_anonymous: true}
";
    let gate = Gate::start("usage-estimated", config);
    for model in ["silent", "silent-claude"] {
        let body = chat(model, r#","stream":true,"stream_options":{"include_usage":true}"#);
        let answer = gate.post("/v1/chat/completions", "", body).expect_ok();
        let last = answer.chunks().pop().unwrap();
        let usage = &last["usage"];
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&11.into(), &10.into()),
            "{model}: {last:#}"
        );
        assert_eq!(last["choices"], Value::Array(Vec::new()), "{model}");
    }
}
