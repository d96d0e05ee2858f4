//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::error::error;
use super::stream::Stream;
use super::{Cohere, embed, finish_reason, request, rerank, response};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::{Body, Language as _, Stream as _, Tally, Target, ended_early};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/cohere/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 6] = golden![
    "request-full/in.json",
    "request-own-parameters/in.json",
    "request-parts/in.json",
    "request-schema/in.json",
    "request-tools/in.json",
    "request-tools-named/in.json",
];
const RESPONSES: [&[u8]; 4] = golden![
    "response-tools/in.json",
    "response-thinking/in.json",
    "response-citations/in.json",
    "response-logprobs/in.json",
];
const STREAMS: [&[u8]; 8] = golden![
    "stream-text/in.sse",
    "stream-text-done/in.sse",
    "stream-tools/in.sse",
    "stream-thinking/in.sse",
    "stream-citations/in.sse",
    "stream-logprobs/in.sse",
    "stream-error/in.sse",
    "stream-cut/in.sse",
];
const ASK: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"u"}],"stream_options":{"include_usage":true}}"#;

fn target() -> Target {
    Target { supports_reasoning: true, ..Target::of("cohere", "command-a-03-2025") }
}

fn chat(body: impl Into<Vec<u8>>) -> Request {
    Request::parse(Endpoint::ChatCompletions, body.into()).unwrap()
}

fn translated(body: &Value) -> Result<Value, Error> {
    request::request(&chat(body.to_string()), &target(), None).map(|upstream| match upstream.body {
        Body::Whole(body) => serde_json::from_slice(&body).unwrap(),
        Body::Splice(_) => panic!("not a whole body"),
    })
}

fn streamed(chunks: &[&[u8]]) -> (Vec<u8>, Tally) {
    let (mut stream, mut out) = (Stream::new(&chat(ASK), &target(), 1), Vec::new());
    chunks.iter().for_each(|chunk| {
        stream.push(chunk, &mut out);
    });
    stream.finish(ended_early(), &mut out);
    (out, stream.tally().clone())
}

/// Every `data` line of a stream is one whole JSON text or the end.
fn assert_well_formed(out: &[u8]) {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"));
    assert!(!text.contains('\r') && text.lines().all(|line| line.is_empty() || line.contains(": ")), "{text}");
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        serde_json::from_str::<serde::de::IgnoredAny>(line).unwrap_or_else(|_| panic!("half a JSON: {line}"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    for input in STREAMS {
        let whole = streamed(&[input]);
        assert_well_formed(&whole.0);
        for cut in 0..input.len() {
            assert_eq!(streamed(&[&input[..cut], &input[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(streamed(&input.chunks(1).collect::<Vec<_>>()), whole);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_ends_whole_or_with_an_error() {
    for input in STREAMS {
        for end in 0..input.len() {
            let (out, tally) = streamed(&[&input[..end]]);
            assert_well_formed(&out);
            assert_eq!(tally.is_complete, tally.error.is_none());
            assert_eq!(tally.is_complete, out.ends_with(b"data: [DONE]\n\n"));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_what_the_model_wrote() {
    let (_, tally) = streamed(&[STREAMS[2]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((71, 43)));
    assert_eq!(tally.content_bytes, "I will look.{\"city\": \"Bern\"}{}".len() as u64);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_line_end_in_cohere_s_json_ends_no_line_of_ours() {
    let event =
        b"data: {\"type\":\"citation-start\",\"delta\":{\"message\":{\"citations\":{\ndata: \"start\":\r0}}}}\n\n";
    let (out, _) = streamed(&[event]);
    assert_well_formed(&out);
    assert!(String::from_utf8(out).unwrap().contains(r#"{"citations":[{ "start": 0}]}"#));
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_streams_never_panic() {
    let mut hostile = Hostile(0x9e37_79b9_7f4a_7c15);
    for _ in 0..150 {
        for input in STREAMS {
            let bytes = hostile.mutate(input);
            let (out, tally) = streamed(&[&bytes]);
            assert_well_formed(&out);
            assert_eq!(tally.is_complete, tally.error.is_none());
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_answers_and_requests_never_panic() {
    const EMBEDDED: &[u8] = br#"{"embeddings": {"float": [[0.5, 1]]}, "meta": {"billed_units": {"input_tokens": 1}}}"#;
    const RERANKED: &[u8] = br#"{"id": "r", "results": [{"index": 0}], "meta": {"tokens": {"input_tokens": 1}}}"#;
    let mut hostile = Hostile(0x2545_f491_4f6c_dd1d);
    let target = target();
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"a"}"#.to_vec()).unwrap();
    for _ in 0..100 {
        for input in RESPONSES {
            for bytes in [hostile.mutate(input), hostile.replace_value(input)] {
                let _answer = response::response(&target, &bytes, 1);
                let _error = error(500, &bytes);
            }
        }
        for input in REQUESTS {
            for bytes in [hostile.mutate(input), hostile.replace_value(input)] {
                if let Ok(asked) = Request::parse(Endpoint::ChatCompletions, bytes) {
                    let _upstream = request::request(&asked, &target, None);
                }
            }
        }
        let _answer = embed::response(&asked, &target, &hostile.replace_value(EMBEDDED));
        let _answer = rerank::response(&hostile.replace_value(RERANKED));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_no_content() {
    let user = json!([{"role": "user", "content": "u"}]);
    let of = |messages: Value| json!({"model": "m", "messages": messages});
    for (body, param) in [
        (of(json!([{"content": "secret"}])), "messages[0].role"),
        (of(json!([{"role": "secret"}])), "messages[0].role"),
        (of(json!([{"role": "user", "content": 1}])), "messages[0].content"),
        (of(json!([{"role": "user", "content": [{"type": "text"}]}])), "messages[0].content[0].text"),
        (of(json!([{"role": "user", "content": [{"type": "image_url"}]}])), "messages[0].content[0].image_url"),
        (of(json!([{"role": "assistant", "tool_calls": [{"id": "c"}]}])), "messages[0].tool_calls[0].function"),
        (json!({"model": "m", "messages": user, "temperature": "secret"}), "temperature"),
        (json!({"model": "m", "messages": user, "stop": [1]}), "stop[0]"),
        (json!({"model": "m", "messages": user, "tools": "secret"}), "tools"),
        (json!({"model": "m", "messages": user, "tools": [{}], "tool_choice": "secret"}), "tool_choice"),
        (json!({"model": "m", "messages": user, "reasoning_effort": "secret"}), "reasoning_effort"),
        (json!({"model": "m", "messages": user, "thinking": {}}), "thinking.type"),
        (json!({"model": "m", "messages": user, "response_format": {"type": "secret"}}), "response_format.type"),
    ] {
        let error = translated(&body).unwrap_err();
        assert_eq!((error.status(), error.param.as_deref()), (400, Some(param)), "{body}");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_reason_has_its_word() {
    for (reason, has_calls, expected) in [
        ("COMPLETE", false, "stop"),
        ("STOP_SEQUENCE", false, "stop"),
        ("MAX_TOKENS", true, "length"),
        ("TOOL_CALL", true, "tool_calls"),
        ("COMPLETE", true, "tool_calls"),
        ("ERROR", false, "stop"),
        ("ERROR_TOXIC", false, "content_filter"),
        ("ERROR_LIMIT", false, "length"),
        ("TIMEOUT", false, "length"),
        ("SOMETHING_NEW", false, "stop"),
    ] {
        assert_eq!(finish_reason(reason, has_calls), expected, "{reason}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_a_rerank_passes_through() {
    let ask = |endpoint, body: &str| Request::parse(endpoint, body.as_bytes().to_vec()).unwrap();
    let rerank = ask(Endpoint::Rerank, r#"{"model":"m","query":"q","documents":[]}"#);
    assert!(Cohere.passes_through(&rerank, &target()));
    assert!(!Cohere.passes_through(&ask(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#), &target()));
}
