//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use wasm_bindgen_test::wasm_bindgen_test;

use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::params::check;
use crate::provider::trials::{self, ASK, ASK_SCHEMA, Samples, chat, streamed, translated};
use crate::provider::{Pass, Stream as _, Tally, Target, ended_early};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/anthropic/", $case)).as_slice()),*]
    };
}

const REQUESTS: &[&[u8]] = &golden![
    "request-server-tools/in.json",
    "request-tool-search/in.json",
    "request-context-management/in.json",
    "request-full/in.json",
    "request-tools/in.json",
    "request-parts/in.json",
    "request-schema-native/in.json",
    "request-thinking-budget/in.json",
];
const RESPONSES: &[&[u8]] = &golden![
    "response-tools/in.json",
    "response-schema-by-tool/in.json",
    "response-web-search/in.json",
    "response-code-execution/in.json",
];
const STREAMS: &[&[u8]] = &golden![
    "stream-text/in.sse",
    "stream-text-crlf-no-usage/in.sse",
    "stream-tools/in.sse",
    "stream-thinking/in.sse",
    "stream-schema-by-tool/in.sse",
    "stream-error/in.sse",
    "stream-cut/in.sse",
    "stream-web-search/in.sse",
    "stream-code-execution/in.sse",
];

fn target() -> Target {
    Target { max_output_tokens: None, supports_reasoning: true, ..Target::of("anthropic", "claude-sonnet-4-5") }
}

const SAMPLES: Samples = Samples { requests: REQUESTS, responses: RESPONSES, streams: STREAMS };

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    trials::every_cut_gives_the_same_chunks(&target(), &[chat(ASK), chat(ASK_SCHEMA)], STREAMS);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_ends_whole_or_with_an_error() {
    trials::a_stream_cut_anywhere_ends_whole_or_with_an_error(&target(), STREAMS);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    SAMPLES.survive(&[target()], &[chat(ASK), chat(ASK_SCHEMA)], 100);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_without_end_is_an_error() {
    trials::an_event_without_end_is_an_error(&target(), STREAMS[0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_as_the_stream_goes() {
    let (_, tally) = streamed(&target(), &chat(ASK), &[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.content_bytes, "Hello \"Möwe\"\n!".len() as u64);
    let usage = tally.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (25, 15));
    let (_, cut) = streamed(&target(), &chat(ASK), &[STREAMS[6]]);
    assert_eq!((cut.is_complete, cut.is_final, cut.content_bytes), (false, false, 3));
    assert_eq!(cut.usage.unwrap().input_tokens, 25);
    let (_, failed) = streamed(&target(), &chat(ASK), &[STREAMS[5]]);
    assert_eq!(failed.error.unwrap().status(), 529);
}

/// The streams of [`STREAMS`] on their way to a client of Anthropic's own endpoint.
fn passed(chunks: &[&[u8]]) -> (Vec<u8>, Tally) {
    let (mut stream, mut out) = (super::native::Stream::default(), Vec::new());
    for chunk in chunks {
        if stream.push(chunk, &mut out) == Pass::Unchanged {
            out.extend_from_slice(chunk);
        }
    }
    stream.finish(ended_early(), &mut out);
    (out, stream.tally().clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_native_stream_passes_byte_for_byte_and_is_counted() {
    for input in STREAMS {
        let mut stream = super::native::Stream::default();
        let mut out = Vec::new();
        let whole = input.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
        if !input.contains(&b'\r') {
            assert_eq!((stream.push(&input[..whole], &mut out), out.len()), (Pass::Unchanged, 0));
        }
        let expected = passed(&[input]);
        assert!(expected.0.starts_with(&input[..whole]));
        for cut in 0..input.len() {
            assert_eq!(passed(&[&input[..cut], &input[cut..]]), expected, "cut at {cut}");
        }
    }
    let (_, tally) = passed(&[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final && tally.content_bytes > 0);
    let (_, cut) = passed(&[&STREAMS[0][..400]]);
    assert!(cut.error.is_some() && !cut.is_complete && !cut.is_final);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_native_streams_never_panic() {
    let mut hostile = Hostile(0x9e37_79b9_7f4a_7c15);
    for _ in 0..200 {
        for input in STREAMS {
            let _passed = passed(&[&hostile.mutate(input)]);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_parameter_that_anthropic_lacks_is_named() {
    let rows = [
        (r#""frequency_penalty":0.5"#, Some("frequency_penalty")),
        (r#""n":2"#, Some("n")),
        (r#""n": 1,"seed":null,"user":"u","stream":false,"max_retries":3,"logprobs":false"#, None),
        (r#""modalities":["text"]"#, None),
        (r#""modalities":["audio"]"#, Some("modalities")),
        (r#""tools":[],"store":true"#, Some("store")),
        (r#""top_k":3,"brand_new":1"#, None),
    ];
    trials::what_is_lacking_is_named(&target(), &rows);
    let dull = Target { supports_reasoning: false, ..target() };
    let asks = |effort| check(&chat(format!(r#"{{"model":"m","messages":[],"reasoning_effort":"{effort}"}}"#)), &dull);
    assert!(asks("low").is_err() && asks("none").is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn other_endpoints_are_refused() {
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"i"}"#.to_vec()).unwrap();
    let error = check(&asked, &target().dropping()).unwrap_err();
    assert_eq!(error.code(), Some("unsupported_endpoint"));
    assert_eq!(error.message, "the provider 'anthropic' has no endpoint /embeddings");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_nothing_else() {
    let own = [
        (r#""messages":[]"#, "messages"),
        (r#""messages":[{"content":"secret"}]"#, "messages[0].role"),
        (r#""messages":[{"role":"secret"}]"#, "messages[0].role"),
        (r#""messages":[["user","secret"]]"#, "messages[0]"),
        (r#""messages":[{"role":"user","content":7}]"#, "messages[0].content"),
        (r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text"),
        (r#""messages":[{"role":"user","content":["secret"]}]"#, "messages[0].content[0]"),
        (r#""messages":[{"role":"user","content":[{"type":"input_audio"}]}]"#, "messages[0].content[0].type"),
        (r#""messages":[{"role":"tool","content":"secret"}]"#, "messages[0].tool_call_id"),
        (r#""messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]"#, "messages[0].tool_calls[0].function"),
        (
            r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:secret"}}]}]"#,
            "messages[0].content[0].file.file_data",
        ),
        (r#""messages":[{"role":"user"}],"tools":[{"type":"function"}]"#, "tools[0].function"),
        (
            r#""messages":[{"role":"user"}],"tools":[{"function":{"name":"f","parameters":1}}]"#,
            "tools[0].function.parameters",
        ),
        (r#""messages":[{"role":"user"}],"tools":[{"function":{"name":"f"}}],"tool_choice":"secret""#, "tool_choice"),
        (r#""messages":[{"role":"user"}],"stop":["a",1]"#, "stop[1]"),
        (r#""messages":[{"role":"user"}],"temperature":"secret""#, "temperature"),
        (r#""messages":[{"role":"user"}],"response_format":{"type":"json_schema"}"#, "response_format.json_schema"),
        (r#""messages":[{"role":"user"}],"reasoning_effort":"secret""#, "reasoning_effort"),
    ];
    trials::faults_name_their_places(&target(), &own);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_choice_goes_without_tools() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"u"}],"tools":[],"tool_choice":"auto","parallel_tool_calls":false}"#;
    let sent = translated(&target(), body).unwrap();
    assert_eq!((sent.get("tools"), sent.get("tool_choice")), (None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn many_of_anything_take_no_more_than_their_share() {
    let many = |count: usize, each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(",");
    let tools = many(3000, &|i| format!(r#"{{"function":{{"name":"t{}{i}"}}}}"#, if i % 2 == 0 { "_" } else { "." }));
    let results = many(3000, &|i| {
        format!(r#"{{"role":"tool","tool_call_id":"{i}","content":"r"}},{{"role":"system","content":"s"}}"#)
    });
    let parts = many(3000, &|_| r#"{"type":"image","source":{}}"#.to_owned());
    let members = many(3000, &|i| format!(r#""own_{i}":{i}"#));
    let messages = format!(r#"{{"role":"user","content":[{parts}]}},{{"role":"assistant","content":"a"}},{results}"#);
    let sent =
        translated(&target(), &format!(r#"{{"model":"m","messages":[{messages}],"tools":[{tools}],{members}}}"#))
            .unwrap();
    assert_eq!(sent["tools"].as_array().unwrap().len(), 3000);
    assert_eq!(sent["messages"][2]["content"][2999]["type"], "tool_result");
    assert_eq!(sent["own_2999"], 2999);
}
