//! Bodies that grow while they could be held: what crashes the whole Envoy where a filter does it.
//!
//! Envoy's buffers are made as small as 64 KiB; bodies below that become longer than it on their way. Envoy is not
//! started again when it crashes: a next request that is served is served by the same process.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options};
use crate::raw::{RawProvider, answer, endless};

/// The limit of every buffer of a request or an answer.
const LIMIT: usize = 64 << 10;
const KEY: &str = "sk-held";
const CONFIG: &str = "
model_list:
{raw}
- {model_name: openai, litellm_params: {model: openai/a-model-with-a-long-name-that-makes-every-body-longer, api_base: 'http://{own}/grow-openai/v1', api_key: sk-own}}
- {model_name: anthropic, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}/grow-anthropic', api_key: sk-own}}
- {model_name: failing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/status=500/v1', api_key: sk-own}}
- {model_name: spare, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}/grow-failing', api_key: sk-own}}
- {model_name: good, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}/good', api_key: sk-own}}
router_settings: {num_retries: 0, fallbacks: [{failing: [spare]}]}
tollgate: {keys: [{key_alias: held, key: sk-held}]}
";
/// Model groups of providers that say anything.
const RAW: [(&str, &str); 5] = [
    ("translated", "anthropic/claude-haiku-4-5"),
    ("passing", "openai/gpt-4o-mini"),
    ("streamed", "anthropic/claude-haiku-4-5"),
    ("failed-openai", "openai/gpt-4o-mini"),
    ("failed-anthropic", "anthropic/claude-haiku-4-5"),
];

struct Rig {
    gate: Gate,
    mock: Mock,
    raw: RawProvider,
}

impl Rig {
    fn start(name: &str, edit: fn(String) -> String) -> Self {
        let (mock, raw) = (Mock::start(&format!("{name}-mock")), RawProvider::start());
        let models = RAW.map(|(group, model)| {
            let params = format!("model: {model}, api_base: 'http://127.0.0.1:{}/{group}', api_key: sk-raw", raw.port);
            format!("- {{model_name: {group}, litellm_params: {{{params}}}}}\n")
        });
        let config = CONFIG.replace("{raw}", &models.concat()).replace("{own}", &mock.address());
        let options = Options { edit, ..Options::default() };
        Self { gate: Gate::start_with(name, &config, options), mock, raw }
    }

    /// One Envoy for all tests that change nothing of it.
    fn shared() -> &'static Self {
        static RIG: OnceLock<Rig> = OnceLock::new();
        RIG.get_or_init(|| Self::start("held_bodies", lower_the_limit))
    }

    fn ask(&self, model: &str, stream: bool) -> Answer {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream});
        self.gate.post("/v1/chat/completions", KEY, body.to_string())
    }

    /// Envoy lives and every worker serves.
    #[track_caller]
    fn serves_on(&self) {
        for _ in 0..8 {
            let answer = self.ask("good", false);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

fn lower_the_limit(yaml: String) -> String {
    let (head, tail) = yaml.split_once("request_body_buffer_limit: ").expect("a limit to lower");
    let (_, tail) = tail.split_once('\n').unwrap();
    format!("{head}request_body_buffer_limit: {LIMIT}\n{tail}")
}

/// What Anthropic answers, `length` bytes long: a call whose input is all quotes. Each of them takes two bytes there
/// and four in the arguments that the client gets.
fn call_of_quotes(length: usize) -> (Vec<u8>, String) {
    let body = |text: &str| {
        let call = json!({"type": "tool_use", "id": "toolu_1", "name": "say", "input": {"text": text}});
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [call],
            "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}})
        .to_string()
    };
    let room = length - body("").len();
    let text = format!("{}{}", "\"".repeat(room / 2), "x".repeat(room % 2));
    assert_eq!(body(&text).len(), length);
    (answer("200 OK", "application/json", body(&text).as_bytes()), text)
}

#[test]
fn an_answer_that_grows_beyond_the_limit_in_translation_arrives_whole() {
    let rig = Rig::shared();
    for length in [LIMIT / 2, LIMIT - 4096, LIMIT - 1, LIMIT] {
        let (bytes, text) = call_of_quotes(length);
        rig.raw.answer("/translated/", bytes);
        let found = rig.ask("translated", false).expect_ok();
        assert!(found.is_whole && (length < LIMIT - 1 || found.body.len() > LIMIT * 19 / 10), "{}", found.body.len());
        let arguments = found.at("/choices/0/message/tool_calls/0/function/arguments");
        let arguments: Value = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        assert_eq!(arguments["text"], text);
        assert_eq!(
            (found.header("x-tollgate-provider"), found.header("x-tollgate-attempts")),
            (Some("anthropic"), Some("1"))
        );
        assert!(found.header("x-tollgate-response-cost").is_some());
        rig.serves_on();
    }
    // The buffer itself takes no more.
    for length in [LIMIT + 1, LIMIT + 20_000, 5 * LIMIT] {
        rig.raw.answer("/translated/", call_of_quotes(length).0);
        rig.ask("translated", false).expect_error(500, "api_error", "bad_upstream_response");
        rig.serves_on();
    }
}

#[test]
fn an_answer_that_passes_through_arrives_whole_at_and_beyond_the_limit() {
    let rig = Rig::shared();
    for length in [LIMIT - 1, LIMIT, LIMIT + 1, 3 * LIMIT, 20 * LIMIT] {
        let frame = r#"{"choices":[{"message":{"content":""}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
        let body = frame.replace(":\"\"", &format!(":\"{}\"", "x".repeat(length - frame.len())));
        let announced = answer("200 OK", "application/json", body.as_bytes());
        for (bytes, may_hold) in [(announced, length < 1 << 20), (endless("application/json", body.as_bytes()), true)] {
            rig.raw.answer("/passing/", bytes);
            let found = rig.ask("passing", false);
            // Answers that may be shorter than a mebibyte are held, for their usage.
            if may_hold && length > LIMIT {
                found.expect_error(500, "api_error", "bad_upstream_response");
            } else {
                let found = found.expect_ok();
                assert!(found.is_whole && found.text() == body, "{length}");
            }
            rig.serves_on();
        }
    }
}

#[test]
fn a_stream_that_grows_in_translation_arrives_whole() {
    let rig = Rig::shared();
    let mut events = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        .to_owned();
    let count = 20_000;
    for _ in 0..count {
        events.push_str(
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
        );
    }
    events.push_str("data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n");
    let events = events.replace("delta\",\"delta\":{\"type", "delta\",\"index\":0,\"delta\":{\"type");
    rig.raw.answer("/streamed/", endless("text/event-stream", events.as_bytes()));
    let found = rig.ask("streamed", true).expect_ok();
    assert!(found.is_whole && found.body.len() > events.len(), "{} {}", found.body.len(), events.len());
    assert_eq!(found.text().matches("\"content\":\"x\"").count(), count);
    assert!(found.text().ends_with("data: [DONE]\n\n"));
    rig.serves_on();
}

#[test]
fn an_error_of_any_length_arrives_in_openais_shape() {
    let rig = Rig::shared();
    for length in [LIMIT - 100, LIMIT - 1, LIMIT, LIMIT + 1, 10 * LIMIT] {
        let frame = r#"{"error":{"message":"","type":"t","code":"c"}}"#;
        let message = "\\\"".repeat((length - frame.len()) / 2);
        let body = frame.replacen("\"\"", &format!("\"{message}\""), 1);
        for part in ["/failed-openai/", "/failed-anthropic/"] {
            rig.raw.answer(part, answer("500 Oops", "application/json", body.as_bytes()));
        }
        for (model, stream) in
            [("failed-openai", false), ("failed-openai", true), ("failed-anthropic", false), ("failed-anthropic", true)]
        {
            let found = rig.ask(model, stream);
            assert_eq!((found.status, found.is_whole), (500, true));
            let message = found.at("/error/message");
            assert!(message.as_str().is_some_and(|message| !message.is_empty()), "{message}");
        }
        rig.serves_on();
    }
}

/// Sixteen bytes of a short message become some fifty.
fn chat_of_short_messages(model: &str, length: usize) -> String {
    let message = r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"},"#;
    let frame = |messages: &str, pad: usize| {
        format!(
            r#"{{"model":"{model}","user":"{}","messages":[{messages}{{"role":"user","content":"Hi"}}]}}"#,
            "u".repeat(pad)
        )
    };
    let room = length - frame("", 0).len();
    let body = frame(&message.repeat(room / message.len()), room % message.len());
    assert_eq!(body.len(), length);
    body
}

fn expect_growing_requests_to_arrive(rig: &Rig, models: &[&str]) {
    for &model in models {
        for length in [LIMIT - 1024, LIMIT - 1, LIMIT] {
            rig.gate.post("/v1/chat/completions", KEY, chat_of_short_messages(model, length)).expect_ok();
            let received = rig.mock.requests(&format!("/grow-{model}/")).pop().unwrap();
            assert!(received.body.len() > length, "{model}: {} to {}", length, received.body.len());
            assert!(model == "openai" || received.body.len() > LIMIT * 5 / 4, "{}", received.body.len());
            let messages = received.json()["messages"].as_array().unwrap().len();
            assert!(messages > 1800, "{messages}");
            rig.serves_on();
        }
        let found = rig.gate.post("/v1/chat/completions", KEY, chat_of_short_messages(model, LIMIT + 1));
        found.expect_error(413, "invalid_request_error", "request_too_large");
        rig.serves_on();
    }
}

#[test]
fn a_request_that_grows_beyond_the_limit_on_its_way_arrives_whole() {
    expect_growing_requests_to_arrive(Rig::shared(), &["openai", "anthropic", "failing"]);
}

/// Envoy copies a body only where it may have to send it once more.
#[test]
fn a_request_that_grows_arrives_whole_where_envoy_may_not_try_again() {
    let edit = |yaml| {
        let yaml = lower_the_limit(yaml);
        let (head, tail) = yaml.split_once("retry_on: ").expect("a retry policy");
        let (_, tail) = tail.split_once('\n').unwrap();
        format!("{head}retry_on: ''\n{tail}")
    };
    let rig = Rig::start("held_bodies-untried", edit);
    expect_growing_requests_to_arrive(&rig, &["openai", "anthropic"]);
}
