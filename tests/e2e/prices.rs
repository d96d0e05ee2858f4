//! What an answer costs, whatever it is measured in: the header says it, the record holds it, and the key is charged it.
//!
//! The prices are the list's. Where LiteLLM 1.109.1 has a cost for the same usage, `src/budget/price_tests.rs` records
//! it; the amounts here are the same.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::{Answer, Gate, Mock, Request, chat, wait_for};
use crate::raw::{RawProvider, answer};

/// Of each test its key, its model, its path at the provider: all of them one name.
const MODELS: [(&str, &str, &str); 19] = [
    ("embed", "openai/text-embedding-3-small", ""),
    ("image-tokens", "openai/gpt-image-1", ""),
    ("image-count", "openai/house-painter", ", output_cost_per_image: 0.04"),
    ("image-stream", "openai/gpt-image-1", ""),
    ("speech", "openai/tts-1", ""),
    ("speech-stream", "openai/gpt-4o-mini-tts", ""),
    ("scribe-seconds", "openai/whisper-1", ""),
    ("scribe-verbose", "openai/whisper-1", ""),
    ("scribe-tokens", "openai/gpt-4o-transcribe", ""),
    ("audio-chat", "openai/gpt-audio", ""),
    ("tier-lowered", "openai/gpt-5", ""),
    ("tier-raised", "openai/gpt-5", ""),
    ("tier-unsaid", "openai/gpt-5", ""),
    ("tier-stream", "openai/gpt-5", ""),
    ("tier-response", "openai/gpt-5", ""),
    (
        "tier-own",
        "openai/gpt-5",
        ", input_cost_per_token: 0.01, output_cost_per_token: 0, input_cost_per_token_flex: 0.001",
    ),
    ("gemini-audio", "gemini/gemini-2.5-flash", ""),
    ("per-request", "openai/house-model", ", input_cost_per_request: 0.005, input_cost_per_token: 0.000001"),
    ("search", "cohere/rerank-v3.5", ""),
];

struct Prices {
    gate: Gate,
    provider: RawProvider,
}

fn prices() -> &'static Prices {
    static PRICES: OnceLock<Prices> = OnceLock::new();
    PRICES.get_or_init(|| {
        let provider = RawProvider::start();
        let mut config = "model_list:\n".to_owned();
        for (name, model, more) in MODELS {
            let base = format!("http://127.0.0.1:{}/pr-{name}", provider.port);
            config += &format!("- {{model_name: {name}, litellm_params: {{model: {model}, api_base: '{base}', api_key: sk-x{more}}}}}\n");
        }
        config += "general_settings: {master_key: sk-master}\nrouter_settings: {num_retries: 0}\ntollgate:\n  keys:\n";
        for (name, ..) in MODELS {
            config += &format!("  - {{key_alias: {name}, key: sk-{name}, max_budget: 100}}\n");
        }
        Prices { gate: Gate::start("prices", &config), provider }
    })
}

/// What a request to `path` gets whose provider answers with this JSON.
fn ask(name: &str, path: &str, body: String, reply: &str) -> Answer {
    answered(name, "application/json", reply.as_bytes());
    prices().gate.post(path, &format!("sk-{name}"), body).expect_ok()
}

fn answered(name: &str, content_type: &str, body: &[u8]) {
    prices().provider.answer(&format!("/pr-{name}/"), answer("200 OK", content_type, body));
}

/// The same, of a chat.
fn ask_chat(name: &str, more: &str, reply: &str) -> Answer {
    ask(name, "/v1/chat/completions", chat(name, more), reply)
}

/// The cost in the record, and what the key has spent from then on.
#[track_caller]
fn expect_charge(gate: &Gate, name: &str, cost: &str) -> Value {
    let record = gate.record(name);
    assert_eq!(record["cost_usd"], cost, "{record:#}");
    let expected: f64 = cost.parse().unwrap();
    wait_for("the charge", || {
        let spend = gate.get("/key/info", &format!("sk-{name}")).expect_ok().at("/info/spend").as_f64().unwrap();
        // The ledger counts in picodollars.
        ((spend - expected).abs() < 1e-12).then_some(())
    });
    record
}

/// As [`expect_charge`], of an answer whose cost is known before it is sent.
#[track_caller]
fn expect_cost(name: &str, found: &Answer, cost: &str) {
    assert_eq!(found.header("x-tollgate-response-cost"), Some(cost), "{name}");
    expect_charge(&prices().gate, name, cost);
}

/// A chat completion with this usage, and `more` beside it.
fn completion(usage: &str, more: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}],"usage":{usage}{more}}}"#
    )
}

/// 1000 tokens in, 400 of them cached, 100 out.
const CACHED: &str = r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":400}}"#;

#[test]
fn embeddings_cost_their_tokens() {
    let reply = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":1234,"total_tokens":1234}}"#;
    let found = ask("embed", "/v1/embeddings", r#"{"model":"embed","input":"a"}"#.into(), reply);
    expect_cost("embed", &found, "0.00002468");
}

#[test]
fn images_cost_their_tokens_or_their_number() {
    let body = |name: &str| format!(r#"{{"model":"{name}","prompt":"a harbor","n":2}}"#);
    let reply = r#"{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
    let found = ask("image-tokens", "/v1/images/generations", body("image-tokens"), reply);
    expect_cost("image-tokens", &found, "0.16685");
    let reply = r#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#;
    let found = ask("image-count", "/v1/images/generations", body("image-count"), reply);
    expect_cost("image-count", &found, "0.08");
}

#[test]
fn images_in_a_stream_cost_their_tokens() {
    let events = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"aGk=\",\"usage\":{\"input_tokens\":50,\"output_tokens\":4160,\"total_tokens\":4210,\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40}}}\n\n";
    answered("image-stream", "text/event-stream", events.as_bytes());
    let body = r#"{"model":"image-stream","prompt":"a harbor","stream":true}"#;
    prices().gate.post("/v1/images/generations", "sk-image-stream", body).expect_ok();
    expect_charge(&prices().gate, "image-stream", "0.16685");
}

#[test]
fn speech_costs_its_characters_or_its_tokens() {
    answered("speech", "audio/mpeg", &[0xff; 3000]);
    let body = r#"{"model":"speech","voice":"alloy","input":"hello w\u00f6rld"}"#;
    let found = prices().gate.post("/v1/audio/speech", "sk-speech", body).expect_ok();
    expect_cost("speech", &found, "0.000165");

    let events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"aGk=\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n";
    answered("speech-stream", "text/event-stream", events.as_bytes());
    let body = r#"{"model":"speech-stream","voice":"alloy","input":"hello","stream_format":"sse"}"#;
    prices().gate.post("/v1/audio/speech", "sk-speech-stream", body).expect_ok();
    // 14 at 0.6 and 101 at 10 USD a million.
    expect_charge(&prices().gate, "speech-stream", "0.0010184");
}

#[test]
fn transcriptions_cost_their_seconds_or_their_tokens() {
    for (name, reply, cost) in [
        ("scribe-seconds", r#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#, "0.0009"),
        ("scribe-verbose", r#"{"task":"transcribe","text":"hi","duration":8.47,"segments":[]}"#, "0.000847"),
        (
            "scribe-tokens",
            r#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}"#,
            "0.000485",
        ),
    ] {
        answered(name, "application/json", reply.as_bytes());
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{name}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n"
        );
        let request =
            Request::post_as(prices().gate.port, "/v1/audio/transcriptions", "multipart/form-data; boundary=b", form);
        let found = request.key(&format!("sk-{name}")).send().expect_ok();
        expect_cost(name, &found, cost);
    }
}

#[test]
fn tokens_of_audio_cost_their_own_rate() {
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":0,"text_tokens":400,"audio_tokens":600},"completion_tokens_details":{"text_tokens":50,"audio_tokens":150}}"#;
    let found = ask_chat("audio-chat", "", &completion(usage, ""));
    expect_cost("audio-chat", &found, "0.0303");
}

#[test]
fn geminis_modalities_and_traffic_are_priced() {
    let reply = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":60,"thoughtsTokenCount":40,"totalTokenCount":1100,"trafficType":"ON_DEMAND_PRIORITY","promptTokensDetails":[{"modality":"TEXT","tokenCount":700},{"modality":"AUDIO","tokenCount":300}]}}"#;
    let found = ask_chat("gemini-audio", "", reply);
    assert_eq!(found.at("/usage/prompt_tokens_details/audio_tokens"), 300);
    expect_cost("gemini-audio", &found, "0.001368");
}

#[test]
fn the_tier_that_served_is_charged_not_the_one_that_was_asked_for() {
    let rows = [
        ("tier-lowered", r#","service_tier":"priority""#, r#","service_tier":"default""#, "0.0018"),
        ("tier-raised", r#","service_tier":"auto""#, r#","service_tier":"priority""#, "0.0036"),
        ("tier-unsaid", r#","service_tier":"flex""#, "", "0.0009"),
        ("tier-own", "", r#","service_tier":"flex""#, "1"),
    ];
    for (name, asked, served, cost) in rows {
        let found = ask_chat(name, asked, &completion(CACHED, served));
        expect_cost(name, &found, cost);
    }
    let chunk = |more: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",{more},\"service_tier\":\"flex\"}}\n\n"
        )
    };
    let events = [
        chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]"#),
        chunk(&format!(r#""choices":[],"usage":{CACHED}"#)),
        "data: [DONE]\n\n".to_owned(),
    ];
    answered("tier-stream", "text/event-stream", events.concat().as_bytes());
    prices().gate.post("/v1/chat/completions", "sk-tier-stream", chat("tier-stream", r#","stream":true"#)).expect_ok();
    expect_charge(&prices().gate, "tier-stream", "0.0009");
    let reply = r#"{"id":"r","object":"response","status":"completed","service_tier":"priority","output":[],"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1100}}"#;
    let body = r#"{"model":"tier-response","input":"Hi","service_tier":"auto"}"#;
    let found = ask("tier-response", "/v1/responses", body.into(), reply);
    expect_cost("tier-response", &found, "0.0036");
}

#[test]
fn a_request_and_a_search_have_a_price_of_their_own() {
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}"#;
    let found = ask_chat("per-request", "", &completion(usage, ""));
    expect_cost("per-request", &found, "0.006");
    let reply = r#"{"id":"r","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}"#;
    let found = ask("search", "/v1/rerank", r#"{"model":"search","query":"a","documents":["b"]}"#.into(), reply);
    expect_cost("search", &found, "0.004");
}

#[test]
fn what_a_request_may_cost_is_set_aside_whatever_it_is_measured_in() {
    let rows = [
        ("poor-painter", "/v1/images/generations", r#"{"model":"poor-painter","prompt":"a","n":3}"#, "0.12"),
        ("poor-speech", "/v1/audio/speech", r#"{"model":"poor-speech","voice":"alloy","input":"eleven long"}"#, "0.11"),
    ];
    for (name, path, body, reserved) in rows {
        let key = format!("sk-{name}");
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| terms().post(path, &key, body).expect_ok());
            wait_for("the provider's request", || Mock::shared().requests(&format!("/pt-{name}/")).pop());
            let error = terms().post(path, &key, body).expect_error(429, "budget_exceeded", "budget_exceeded");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(&format!("0 USD spent, {reserved} USD reserved")), "{message}");
            assert_eq!(asking.join().unwrap().header("x-tollgate-response-cost"), Some(reserved), "{name}");
        });
    }
}

/// Prices with a discount and a margin; and models without a price, which are not served.
const TERMS: &str = "
model_list:
- {model_name: both, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-both/usage=1000:100', api_key: sk-x}}
- {model_name: named, litellm_params: {model: openai/gpt-4.1-mini, api_base: 'http://{mock}/pt-named/usage=1000:100', api_key: sk-x, input_cost_per_token: 0.000001, output_cost_per_token: 0}}
- {model_name: global, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/pt-global/usage=1000:100', api_key: sk-x}}
- {model_name: failing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-failing/status=400', api_key: sk-x}}
- {model_name: mixed, litellm_params: {model: openai/house-model, api_base: 'http://{mock}/pt-mixed/v1', api_key: sk-x, order: 1}, model_info: {id: unpriced-a}}
- {model_name: mixed, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-mixed-b/v1', api_key: sk-x, order: 2}, model_info: {id: priced-b}}
- {model_name: unpriced, litellm_params: {model: openai/house-model, api_base: 'http://{mock}/pt-unpriced/v1', api_key: sk-x}}
- {model_name: rescued, litellm_params: {model: openai/house-model, api_base: 'http://{mock}/pt-rescued/v1', api_key: sk-x}}
- {model_name: free, litellm_params: {model: openai/house-model, api_base: 'http://{mock}/pt-free/v1', api_key: sk-x, input_cost_per_token: 0}}
- {model_name: poor-painter, litellm_params: {model: openai_like/house-painter, api_base: 'http://{mock}/pt-poor-painter/no-usage=1,delay-ms=1500/v1', api_key: sk-x, output_cost_per_image: 0.04}}
- {model_name: poor-speech, litellm_params: {model: openai_like/house-voice, api_base: 'http://{mock}/pt-poor-speech/delay-ms=1500/v1', api_key: sk-x, input_cost_per_character: 0.01}}
- {model_name: 'any/*', litellm_params: {model: 'openai/*', api_base: 'http://{mock}/pt-any/v1', api_key: sk-x}}
router_settings: {num_retries: 0, fallbacks: [{rescued: [both]}]}
litellm_settings:
  cost_discount_config: {openai: 0.05, openai/gpt-4.1-*: 0.5}
  cost_margin_config: {global: 1, openai_like: 0, openai: {percentage: 0.1, fixed_amount: 0.0005}}
general_settings: {master_key: sk-master}
tollgate:
  unpriced: refuse
  keys:
  - {key_alias: both, key: sk-both}
  - {key_alias: named, key: sk-named}
  - {key_alias: global, key: sk-global}
  - {key_alias: failing, key: sk-failing}
  - {key_alias: unpriced, key: sk-unpriced, max_budget: 1}
  - {key_alias: poor-painter, key: sk-poor-painter, max_budget: 0.1}
  - {key_alias: poor-speech, key: sk-poor-speech, max_budget: 0.1}
";

fn terms() -> &'static Gate {
    static TERMS_GATE: OnceLock<Gate> = OnceLock::new();
    TERMS_GATE.get_or_init(|| Gate::start("prices-terms", TERMS))
}

#[test]
fn a_discount_and_then_a_margin_are_on_every_cost() {
    // 0.00021 less 5% and more 10%, and the amount; 0.001 less 50% and more 10%, and the amount; 0.0015 twice.
    for (name, cost) in [("both", "0.00071945"), ("named", "0.00105"), ("global", "0.003")] {
        let found = terms().chat(&format!("sk-{name}"), name).expect_ok();
        assert_eq!(found.header("x-tollgate-response-cost"), Some(cost), "{name}");
        expect_charge(terms(), name, cost);
    }
    assert_eq!(terms().chat("sk-failing", "failing").status, 400);
    expect_charge(terms(), "failing", "0");
}

#[test]
fn a_model_without_a_price_is_refused_before_anybody_is_asked() {
    for model in ["unpriced", "any/house-model"] {
        let error = terms().chat("sk-unpriced", model).expect_error(403, "permission_error", "model_not_priced");
        assert_eq!(error["param"], "model", "{model}");
    }
    let lines = terms().access_log("unpriced", 2);
    assert!(lines.iter().all(|line| line["error"] == "model_not_priced" && line["cost_usd"] == "0"), "{lines:#?}");
    assert!(Mock::shared().requests("/pt-unpriced/").is_empty());
    terms().chat("sk-master", "any/gpt-4o-mini").expect_ok();
    terms().chat("sk-master", "free").expect_ok();
}

#[test]
fn deployments_with_a_price_are_asked_in_the_place_of_those_without() {
    let found = terms().chat("sk-master", "mixed").expect_ok();
    assert_eq!(found.header("x-tollgate-deployment"), Some("priced-b"));
    let routing = found.header("x-tollgate-routing").unwrap();
    assert!(routing.contains("unpriced-a:unpriced"), "{routing}");
    let found = terms().chat("sk-master", "rescued").expect_ok();
    let headers = ["fallbacks", "response-cost"].map(|name| found.header(&format!("x-tollgate-{name}")));
    assert_eq!(headers, [Some("1"), Some("0.00071945")]);
    assert!(Mock::shared().requests("/pt-rescued/").is_empty() && Mock::shared().requests("/pt-mixed/").is_empty());
}
