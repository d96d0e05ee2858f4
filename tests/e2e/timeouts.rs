//! How long a provider may take: to its answer, to a stream's first token, and between two pieces of it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Request, Rig, at_once, chat};

/// Groups of one deployment: name, vendor's model, what its provider does, `litellm_params`. Those named `first-*`
/// fall back to `second`.
const DEPLOYMENTS: [(&str, &str, &str, &str); 16] = [
    ("first-late", OPENAI, "first-chunk-ms=9000", "stream_timeout: 0.5"),
    ("first-late-claude", CLAUDE, "first-chunk-ms=9000", "stream_timeout: 0.5"),
    ("first-wordless", OPENAI, "delay-ms=9000", "stream_timeout: 0.5"),
    ("first-error", OPENAI, "error-first=1", ""),
    ("first-error-claude", CLAUDE, "error-first=1", ""),
    ("first-patient", OPENAI, "delay-ms=9000", ""),
    ("first-hasty", OPENAI, "delay-ms=9000", "timeout: 0.4"),
    ("long", OPENAI, "chunks=6,chunk-ms=200", "stream_timeout: 0.5"),
    ("idle", OPENAI, "stall=1", "stream_idle_timeout: 0.5"),
    ("idle-claude", CLAUDE, "stall=1", "stream_idle_timeout: 0.5"),
    ("idle-later", OPENAI, "stall=4,chunk-ms=150", "stream_idle_timeout: 0.5"),
    ("idle-later-claude", CLAUDE, "stall=4,chunk-ms=150", "stream_idle_timeout: 0.5"),
    ("idle-again", OPENAI, "chunks=30,chunk-ms=570", "stream_idle_timeout: 0.5"),
    ("busy", OPENAI, "chunks=6,chunk-ms=200", "stream_idle_timeout: 0.6"),
    ("patient", OPENAI, "delay-ms=9000", ""),
    ("second", "openai/gpt-4o", "usage=10:20", "stream_timeout: 9"),
];

const OPENAI: &str = "openai/gpt-4o-mini";
const CLAUDE: &str = "anthropic/claude-haiku-4-5";

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let entry = |(name, model, script, params): (&str, &str, &str, &str)| {
            let base = format!("http://{{own}}/{name}/{script}{}", if model == CLAUDE { "" } else { "/v1" });
            format!(
                "- {{model_name: {name}, litellm_params: {{model: {model}, api_base: '{base}', api_key: sk-x, {params}}}, \
                 model_info: {{id: id-{name}}}}}\n"
            )
        };
        let fallbacks = DEPLOYMENTS.iter().filter(|(name, ..)| name.starts_with("first-"));
        let fallbacks: Vec<String> = fallbacks.map(|(name, ..)| format!("{{{name}: [second]}}")).collect();
        let idle = DEPLOYMENTS.iter().filter(|(name, ..)| name.starts_with("idle"));
        let keys: String = idle.map(|(name, ..)| format!("  - {{key_alias: {name}, key: sk-{name}}}\n")).collect();
        let config = format!(
            "model_list:\n{}router_settings: {{num_retries: 0, disable_cooldowns: true, fallbacks: [{}]}}\n\
             tollgate:\n  keys:\n  - {{key_alias: app, key: sk-app}}\n{keys}",
            DEPLOYMENTS.map(entry).concat(),
            fallbacks.join(", ")
        );
        Rig::start("timeouts", &config)
    })
}

/// A request; `more` begins with a comma or is empty.
fn request(model: &str, more: &str) -> Request {
    rig().gate.request("/v1/chat/completions", "sk-app", chat(model, more))
}

fn stream(model: &str) -> Request {
    request(model, ",\"stream\":true")
}

/// Sends it and fails unless it is over within `longest` seconds.
#[track_caller]
fn within(longest: f64, request: &Request) -> Answer {
    let start = Instant::now();
    let answer = request.send();
    assert!(start.elapsed() < Duration::from_secs_f64(longest), "{:?}: {}", start.elapsed(), answer.text());
    answer
}

/// Fails unless the client saw one whole stream, that of `second`.
#[track_caller]
fn expect_second(answer: Answer) {
    let answer = answer.expect_ok();
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = answer.chunks();
    assert!(chunks.iter().all(|chunk| chunk["model"] == "gpt-4o" && chunk["error"].is_null()), "{}", answer.text());
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let told = ["deployment", "attempts", "fallbacks"].map(|name| answer.header(&format!("x-tollgate-{name}")));
    assert_eq!(told, [Some("id-second"), Some("2"), Some("1")]);
}

#[test]
fn a_stream_whose_first_token_is_late_begins_elsewhere() {
    for model in ["first-late", "first-late-claude", "first-wordless"] {
        expect_second(within(4.0, &stream(model)));
    }
}

#[test]
fn a_stream_that_begins_with_an_error_begins_elsewhere() {
    for model in ["first-error", "first-error-claude"] {
        expect_second(within(4.0, &stream(model)));
        assert_eq!(rig().mock.requests(&format!("/{model}/")).len(), 1);
    }
}

#[test]
fn a_stream_that_has_begun_in_time_may_take_longer() {
    for answer in at_once([stream("long"), stream("busy")]) {
        let answer = answer.expect_ok();
        assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
}

#[test]
fn a_client_may_be_less_patient() {
    let requests = [
        request("patient", "").header("x-litellm-timeout", "0.4"),
        request("patient", r#","timeout":0.4"#),
        stream("patient").header("x-litellm-timeout", "0.4"),
    ];
    for request in &requests {
        let answer = within(3.0, request);
        answer.expect_error(504, "timeout_error", "timeout");
        assert_eq!(answer.header("x-tollgate-attempts"), Some("1"));
    }
    let answer = within(3.0, &request("first-patient", "").header("x-litellm-timeout", "0.4")).expect_ok();
    assert_eq!(answer.header("x-tollgate-deployment"), Some("id-second"));
    for received in rig().mock.requests("patient/") {
        assert!(received.header("x-litellm-timeout").is_none() && received.json()["timeout"].is_null());
    }
}

#[test]
fn a_deployments_timeout_is_its_own() {
    let answer = within(3.0, &request("first-hasty", "")).expect_ok();
    assert_eq!(answer.header("x-tollgate-deployment"), Some("id-second"));
}

/// A stream of `name`, in the words of each API.
fn streams(name: &str) -> [Request; 3] {
    let body = |input: &str| format!(r#"{{"model":"{name}","stream":true,{input}}}"#);
    let messages = r#""messages":[{"role":"user","content":"Say it."}],"max_tokens":99"#;
    [("chat/completions", messages), ("messages", messages), ("responses", r#""input":"Say it.""#)]
        .map(|(path, input)| rig().gate.request(&format!("/v1/{path}"), &format!("sk-{name}"), body(input)))
}

#[test]
fn a_stream_that_falls_silent_ends_with_an_error_event() {
    for name in ["idle", "idle-claude", "idle-later", "idle-later-claude", "idle-again"] {
        for answer in at_once(streams(name)) {
            let answer = answer.expect_ok();
            let text = answer.text();
            assert!(text.contains("The m"), "it had begun: {text}");
            assert!(text.ends_with("\n\n") && !answer.is_whole, "{text}");
            let (_, after) = text.split_once("fell silent").expect("an error");
            assert!(after.len() < 4000 && !after.contains("\"delta\""), "nothing follows: {text}");
            assert!(text.contains("timeout") && !text.contains("\"stop\"") && !text.contains("[DONE]"), "{text}");
        }
        for record in rig().gate.access_log(name, 3) {
            assert_eq!(record["error"], json!("timeout"));
        }
    }
}

#[test]
fn a_stream_whose_silence_has_a_bound_comes_as_it_is_made() {
    let mut answer = stream("busy").open().expect_ok();
    let (mut last, mut gaps) = (Instant::now(), Vec::new());
    while let Some(piece) = answer.next_piece() {
        let contents = String::from_utf8_lossy(&piece).matches("\"content\":\"").count();
        gaps.push((last.elapsed(), contents));
        last = Instant::now();
    }
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let longest = gaps.iter().map(|(gap, _)| *gap).max().unwrap();
    assert!(gaps.len() >= 6 && longest < Duration::from_millis(400), "each is 200 ms after the other: {gaps:?}");
}
