//! The same language on both sides: nothing changes but what must.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::harness::{Answer, Gate, Mock, Received, Request, chat};

const CONFIG: &str = r#"
model_list:
- model_name: bytes
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-bytes/v1', api_key: sk-bytes}
- model_name: headers
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/pt-headers/v1
    api_key: sk-headers
    organization: org-harbor
    extra_headers: {x-team: harbor, user-agent: harbor/1}
- model_name: keyless
  litellm_params: {model: hosted_vllm/llama3.2, api_base: 'http://{mock}/pt-keyless/v1'}
- model_name: whole
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-whole/body-bytes=3000/v1', api_key: sk-x}
- model_name: big
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-big/body-bytes=3000000,usage=11:5/v1', api_key: sk-x}
- model_name: stream
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-stream/v1', api_key: sk-x}
- model_name: cut-1
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-stream-1/chunk-bytes=1,chunks=3/v1', api_key: sk-x}
- model_name: cut-7
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-stream-7/chunk-bytes=7/v1', api_key: sk-x}
- model_name: cut-613
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-stream-613/chunk-bytes=613/v1', api_key: sk-x}
- model_name: slow
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-slow/chunk-ms=1000,chunks=3/v1', api_key: sk-x}
- model_name: broken
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-broken/error-stream=2/v1', api_key: sk-x}
- model_name: torn
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pt-torn/cut=2/v1', api_key: sk-x, num_retries: 0}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
"#;

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("passthrough", CONFIG))
}

/// Asks the provider what it was asked through the gateway.
fn directly(received: &Received) -> Answer {
    let request = Request::post(Mock::shared().port, &received.path, received.body.as_bytes());
    request.key("sk-x").send().expect_ok()
}

/// The same answer to whoever asks: the provider numbers its answers.
fn unnumbered(text: &str) -> String {
    let (head, rest) = text.split_once("-mock-").unwrap();
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    assert!(!head.is_empty() && !number.is_empty());
    text.replace(&format!("-mock-{number}"), "-mock-N")
}

const UNUSUAL: &str = "\r\n { \"messages\" : [ {\"role\":\"user\",\"content\":\"caf\\u00e9 \u{65e5}\u{672c} \\ud83d\\ude00 \
    \\\"model\\\":\\\"x\\\" \u{1f600}\\/\"} ],\t\"model\" :  \"bytes\" , \"temperature\":1.50e+00,\"seed\":18446744073709551616,\
    \"x-unknown\":{\"model\":\"bytes\",\"deep\":[[[null,  true]]]}, \"logit_bias\" :{\"50256\":-100.0},\"\":\"\" } \n\n";

#[test]
fn all_bytes_but_the_models_name_reach_the_provider() {
    gate().post("/v1/chat/completions", "sk-app", UNUSUAL).expect_ok();
    let received = Mock::shared().request("/pt-bytes/v1/chat/completions");
    let expected = UNUSUAL.replace("\"model\" :  \"bytes\"", "\"model\" :  \"gpt-4o-mini\"");
    assert_eq!(received.body, expected);
    assert_eq!(received.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(received.header("transfer-encoding"), None);
}

#[test]
fn completions_and_embeddings_pass_as_they_are() {
    for (endpoint, body) in [
        ("completions", r#"{"prompt": ["Once", "Twice"],"model":"bytes","best_of" : 1,"suffix":null}"#),
        ("embeddings", r#"{"input": [[1, 2,3]],"model":"bytes","encoding_format":"base64","dimensions":8}"#),
    ] {
        let answer = gate().post(&format!("/v1/{endpoint}"), "sk-app", body).expect_ok();
        let received = Mock::shared().request(&format!("/pt-bytes/v1/{endpoint}"));
        assert_eq!(received.body, body.replace("\"bytes\"", "\"gpt-4o-mini\""));
        assert_eq!(unlabelled(&answer), unlabelled(&directly(&received)));
    }
}

/// The answer without its number, if it has one.
fn unlabelled(answer: &Answer) -> String {
    if answer.text().contains("-mock-") { unnumbered(answer.text()) } else { answer.text().to_owned() }
}

#[test]
fn the_provider_sees_its_own_address_and_key_and_little_of_the_client() {
    let request = gate().request("/v1/chat/completions", "sk-app", chat("headers", ""));
    let request = request.header("cookie", "session=1").header("user-agent", "app/1").header("x-team", "other");
    let request = request.header("openai-organization", "org-client").header("x-forwarded-for", "10.1.2.3");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.header("traceparent", trace).header("forwarded", "for=10.1.2.3").send().expect_ok();
    let received = Mock::shared().request("/pt-headers/");
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/pt-headers/v1/chat/completions"));
    let address = Mock::shared().address();
    for (name, value) in [
        ("host", Some(address.as_str())),
        ("authorization", Some("Bearer sk-headers")),
        ("content-type", Some("application/json")),
        ("openai-organization", Some("org-harbor")),
        ("x-team", Some("harbor")),
        ("user-agent", Some("harbor/1")),
        ("traceparent", Some(trace)),
        ("cookie", None),
        ("x-forwarded-for", None),
        ("x-forwarded-proto", None),
        ("forwarded", None),
        ("x-envoy-attempt-count", None),
        ("x-envoy-expected-rq-timeout-ms", None),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
}

#[test]
fn a_provider_without_a_key_gets_none() {
    // The mock refuses who brings no key: what matters is that the client's own did not go there.
    assert_eq!(gate().chat("sk-app", "keyless").status, 401);
    for received in Mock::shared().requests("/pt-keyless/") {
        assert_eq!(received.header("authorization"), None);
        assert!(!format!("{received:?}").contains("sk-app"));
    }
}

#[test]
fn an_answer_comes_back_byte_by_byte() {
    for (model, part) in [("whole", "/pt-whole/"), ("big", "/pt-big/")] {
        let answer = gate().chat("sk-app", model).expect_ok();
        let direct = directly(&Mock::shared().request(part));
        assert!(unnumbered(answer.text()) == unnumbered(direct.text()), "{model}");
        assert_eq!(answer.header("content-type"), direct.header("content-type"));
    }
}

#[test]
fn a_stream_asks_for_its_usage_and_hides_it_from_who_did_not() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("stream", r#","stream":true"#)).expect_ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let received =
        Mock::shared().requests("/pt-stream/").into_iter().find(|request| !request.body.contains("\"mine\""));
    let received = received.unwrap();
    assert_eq!(received.json()["stream_options"]["include_usage"], true);
    let direct = directly(&received);
    let (events, mut expected) = (answer.events(), direct.events());
    // The event before `[DONE]`.
    let usage = expected.remove(expected.len() - 2);
    assert!(usage.contains("\"choices\":[]") && usage.contains("\"prompt_tokens\""), "{usage}");
    assert_eq!(unnumbered(&events.join("\n\n")), unnumbered(&expected.join("\n\n")));
    assert!(answer.is_whole);
}

#[test]
fn a_client_that_asks_for_usage_gets_it() {
    let body = chat("stream", r#","user":"mine","stream":true,"stream_options":{"include_usage":true}"#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body.clone()).expect_ok();
    let received = Mock::shared().requests("/pt-stream/").into_iter().find(|request| request.body.contains("\"mine\""));
    let received = received.unwrap();
    assert_eq!(
        received.body,
        body.replace("\"stream\",", "\"gpt-4o-mini\",").replacen(
            "\"model\":\"stream\"",
            "\"model\":\"gpt-4o-mini\"",
            1
        )
    );
    let last = answer.chunks().pop().unwrap();
    assert!(last["usage"]["prompt_tokens"].is_u64(), "{last}");
    assert_eq!(unnumbered(answer.text()), unnumbered(directly(&received).text()));
}

#[test]
fn a_stream_comes_through_however_it_is_cut() {
    for (model, part) in [("cut-1", "/pt-stream-1/"), ("cut-7", "/pt-stream-7/"), ("cut-613", "/pt-stream-613/")] {
        let body = chat(model, r#","stream":true,"stream_options":{"include_usage":true}"#);
        let shown = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
        let hidden = gate().post("/v1/chat/completions", "sk-app", chat(model, r#","stream":true"#)).expect_ok();
        let direct = directly(&Mock::shared().requests(part)[0]);
        assert_eq!(unnumbered(shown.text()), unnumbered(direct.text()), "{model}");
        let mut events = direct.events();
        events.remove(events.len() - 2);
        assert_eq!(unnumbered(&hidden.events().join("\n\n")), unnumbered(&events.join("\n\n")), "{model}");
        assert!(shown.is_whole && hidden.is_whole && hidden.text().ends_with("data: [DONE]\n\n"), "{model}");
    }
}

#[test]
fn the_first_chunk_arrives_while_the_provider_still_writes() {
    let start = Instant::now();
    let request = gate().request("/v1/chat/completions", "sk-app", chat("slow", r#","stream":true"#));
    let mut answer = request.open().expect_ok();
    while !answer.text().contains("The mock") {
        assert!(answer.next_piece().is_some());
    }
    let first = start.elapsed();
    let answer = answer.finish();
    // Two pauses of a second follow the first piece of the answer.
    assert!(first < Duration::from_millis(900), "{first:?}");
    assert!(start.elapsed() > Duration::from_secs(2) && answer.is_whole);
}

#[test]
fn a_stream_that_the_provider_breaks_off_ends_with_an_error_event() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("broken", r#","stream":true"#)).expect_ok();
    let chunks = answer.chunks();
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"].as_str().map(str::is_empty), Some(false), "{chunks:#?}");
    let error = &chunks.last().unwrap()["error"];
    assert_eq!(error["message"], "The server had an error while processing your request.");
    assert!(answer.is_whole && !answer.text().contains("[DONE]"));
}

/// Envoy resets the client's stream as well: no filter can write into it any more.
#[test]
fn a_stream_whose_provider_hangs_up_never_looks_complete() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("torn", r#","stream":true"#)).expect_ok();
    assert!(answer.text().contains("The mock"));
    assert!(!answer.is_whole && !answer.text().contains("[DONE]"), "{}", answer.text());
}
