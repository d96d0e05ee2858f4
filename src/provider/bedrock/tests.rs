//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use wasm_bindgen_test::wasm_bindgen_test;

use super::eventstream::encode;
use crate::openai::{Endpoint, Request};
use crate::provider::Target;
use crate::provider::hostile::Hostile;
use crate::provider::params::check;
use crate::provider::trials::{self, ASK, ASK_SCHEMA, Samples, assert_well_formed, chat, streamed, translated};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/bedrock/", $case)).as_slice()),*]
    };
}

const REQUESTS: &[&[u8]] = &golden![
    "request-full/in.json",
    "request-tools/in.json",
    "request-parts/in.json",
    "request-schema-native/in.json",
    "request-thinking-budget/in.json",
    "request-guardrail/in.json",
];
const RESPONSES: &[&[u8]] = &golden![
    "response-tools/in.json",
    "response-thinking/in.json",
    "response-citations/in.json",
    "response-guardrail/in.json",
];
const STREAMS: &[&[u8]] = &golden![
    "stream-text/in.bin",
    "stream-tools/in.bin",
    "stream-thinking/in.bin",
    "stream-schema-by-tool/in.bin",
    "stream-exception/in.bin",
    "stream-citations-trace/in.bin",
];

/// A model that cannot be held to a schema.
fn target() -> Target {
    Target { supports_reasoning: true, ..Target::of("bedrock", "anthropic.claude-3-7-sonnet-20250219-v1:0") }
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
    SAMPLES.survive(&[target()], &[chat(ASK), chat(ASK_SCHEMA)], 80);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_payloads_of_good_frames_never_panic() {
    let (mut hostile, target, asked) = (Hostile(0x2545_f491_4f6c_dd1d), target(), [chat(ASK), chat(ASK_SCHEMA)]);
    for (round, input) in (0..80).flat_map(|round| RESPONSES.iter().map(move |input| (round, input))) {
        let payload = hostile.mutate(input);
        for kind in ["contentBlockStart", "contentBlockDelta", "messageStop", "metadata"] {
            let frame = encode(&[(":event-type", kind), (":message-type", "event")], &payload);
            assert_well_formed(&streamed(&target, &asked[round % 2], &[&frame]).0);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_as_the_stream_goes() {
    let (_, tally) = streamed(&target(), &chat(ASK), &[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.content_bytes, "Grüße \"A\"\n".len() as u64);
    let usage = tally.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (10, 5));
    let (_, failed) = streamed(&target(), &chat(ASK), &[STREAMS[4]]);
    assert_eq!((failed.error.unwrap().status(), failed.content_bytes), (429, 4));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_that_a_peer_sends_grows_without_bound() {
    let event =
        |kind: &str, payload: &str| encode(&[(":event-type", kind), (":message-type", "event")], payload.as_bytes());
    let mut bytes = Vec::new();
    for index in 0..200 {
        let call = r#"{"toolUse":{"toolUseId":"t","name":"n"}}"#;
        bytes.extend(event("contentBlockStart", &format!(r#"{{"contentBlockIndex":{index},"start":{call}}}"#)));
    }
    let citation = format!(r#"{{"delta":{{"citation":{{"title":"{}"}}}}}}"#, "x".repeat(1000));
    (0..200).for_each(|_| bytes.extend(event("contentBlockDelta", &citation)));
    bytes.extend(event("messageStop", r#"{"stopReason":"tool_use"}"#));
    let (out, tally) = streamed(&target(), &chat(ASK), &[&bytes]);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches(r#""id":"t""#).count(), 64);
    let last = text.lines().find(|line| line.contains("citationsContent")).unwrap();
    assert!(last.len() < 70_000 && tally.is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_parameter_that_the_model_lacks_is_named() {
    let rows = [
        (r#""frequency_penalty":0.5"#, Some("frequency_penalty")),
        (r#""n":2"#, Some("n")),
        (r#""n":1,"seed":null,"user":"u","stream":false,"max_retries":3,"logprobs":false"#, None),
        (r#""tools":[],"store":true"#, Some("store")),
        (r#""web_search_options":{}"#, Some("web_search_options")),
        (r#""top_k":3,"brand_new":1,"parallel_tool_calls":false,"service_tier":"flex""#, None),
    ];
    trials::what_is_lacking_is_named(&target(), &rows);
    let lacking = [
        (r#""tool_choice":"auto""#, Some("tool_choice")),
        (r#""tools":[]"#, None),
        (r#""reasoning_effort":"low""#, Some("reasoning_effort")),
    ];
    trials::what_is_lacking_is_named(&Target::of("bedrock", "meta.llama3-1-70b-instruct-v1:0"), &lacking);
}

#[wasm_bindgen_test(unsupported = test)]
fn other_endpoints_are_refused() {
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"i"}"#.to_vec()).unwrap();
    assert_eq!(check(&asked, &target().dropping()).unwrap_err().code(), Some("unsupported_endpoint"));
    let titan = Target::of("bedrock", "amazon.titan-embed-text-v2:0");
    assert_eq!(check(&asked, &titan), Ok(()));
    assert!(check(&chat(ASK), &titan).is_err());
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
        (r#""messages":[{"role":"user"}],"service_tier":"secret""#, "service_tier"),
    ];
    trials::faults_name_their_places(&target(), &own);
}

#[wasm_bindgen_test(unsupported = test)]
fn many_of_anything_take_no_more_than_their_share() {
    let many = |count: usize, each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(",");
    let tools = many(3000, &|i| format!(r#"{{"function":{{"name":"t{}{i}"}}}}"#, if i % 2 == 0 { "_" } else { "." }));
    let calls = many(3000, &|i| format!(r#"{{"id":"{i}","function":{{"name":"t","arguments":"{{}}"}}}}"#));
    let results = many(3000, &|i| format!(r#"{{"role":"tool","tool_call_id":"{i}","content":"r"}}"#));
    let documents = many(3000, &|_| r#"{"type":"file","file":{"file_data":"data:text/plain;base64,YQ=="}}"#.to_owned());
    let messages =
        format!(r#"{{"role":"user","content":[{documents}]}},{{"role":"assistant","tool_calls":[{calls}]}},{results}"#);
    let sent = translated(&target(), &format!(r#"{{"model":"m","messages":[{messages}],"tools":[{tools}]}}"#)).unwrap();
    assert_eq!(sent["toolConfig"]["tools"].as_array().unwrap().len(), 3000);
    assert_eq!(sent["messages"][2]["content"][2999]["toolResult"]["toolUseId"], "2999");
    let told = translated(&target(), &format!(r#"{{"model":"m","messages":[{messages}]}}"#)).unwrap();
    assert!(told["messages"][1]["content"][0]["text"].as_str().unwrap().ends_with("[tool call 2999: t({})]"));
}
