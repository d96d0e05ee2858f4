//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use wasm_bindgen_test::wasm_bindgen_test;

use super::{embed, finish_reason, rerank};
use crate::openai::{Endpoint, Request};
use crate::provider::Target;
use crate::provider::hostile::Hostile;
use crate::provider::trials::{self, ASK, Samples, assert_well_formed, chat, streamed};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/cohere/", $case)).as_slice()),*]
    };
}

const REQUESTS: &[&[u8]] = &golden![
    "request-full/in.json",
    "request-own-parameters/in.json",
    "request-parts/in.json",
    "request-schema/in.json",
    "request-tools/in.json",
    "request-tools-named/in.json",
];
const RESPONSES: &[&[u8]] = &golden![
    "response-tools/in.json",
    "response-thinking/in.json",
    "response-citations/in.json",
    "response-logprobs/in.json",
];
const STREAMS: &[&[u8]] = &golden![
    "stream-text/in.sse",
    "stream-text-done/in.sse",
    "stream-tools/in.sse",
    "stream-thinking/in.sse",
    "stream-citations/in.sse",
    "stream-logprobs/in.sse",
    "stream-error/in.sse",
    "stream-cut/in.sse",
];

fn target() -> Target {
    Target { supports_reasoning: true, ..Target::of("cohere", "command-a-03-2025") }
}

const SAMPLES: Samples = Samples { requests: REQUESTS, responses: RESPONSES, streams: STREAMS };

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    trials::every_cut_gives_the_same_chunks(&target(), &[chat(ASK)], STREAMS);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_ends_whole_or_with_an_error() {
    trials::a_stream_cut_anywhere_ends_whole_or_with_an_error(&target(), STREAMS);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    SAMPLES.survive(&[target()], &[chat(ASK)], 150);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_what_the_model_wrote() {
    let (_, tally) = streamed(&target(), &chat(ASK), &[STREAMS[2]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((71, 43)));
    assert_eq!(tally.content_bytes, "I will look.{\"city\": \"Bern\"}{}".len() as u64);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_line_end_in_cohere_s_json_ends_no_line_of_ours() {
    let event =
        b"data: {\"type\":\"citation-start\",\"delta\":{\"message\":{\"citations\":{\ndata: \"start\":\r0}}}}\n\n";
    let (out, _) = streamed(&target(), &chat(ASK), &[event]);
    assert_well_formed(&out);
    assert!(String::from_utf8(out).unwrap().contains(r#"{"citations":[{ "start": 0}]}"#));
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_vectors_and_rankings_never_panic() {
    const EMBEDDED: &[u8] = br#"{"embeddings": {"float": [[0.5, 1]]}, "meta": {"billed_units": {"input_tokens": 1}}}"#;
    const RERANKED: &[u8] = br#"{"id": "r", "results": [{"index": 0}], "meta": {"tokens": {"input_tokens": 1}}}"#;
    let (mut hostile, target) = (Hostile(0x2545_f491_4f6c_dd1d), target());
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"a"}"#.to_vec()).unwrap();
    for _ in 0..100 {
        let _answer = embed::response(&asked, &target, &hostile.replace_value(EMBEDDED));
        let _answer = rerank::response(&hostile.replace_value(RERANKED));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_no_content() {
    let own = [
        (r#""messages":[{"role":"user","content":[{"type":"image_url"}]}]"#, "messages[0].content[0].image_url"),
        (r#""messages":[{"role":"user","content":"u"}],"stop":[1]"#, "stop[0]"),
        (r#""messages":[{"role":"user","content":"u"}],"tools":"secret""#, "tools"),
        (r#""messages":[{"role":"user","content":"u"}],"tools":[{}],"tool_choice":"secret""#, "tool_choice"),
        (r#""messages":[{"role":"user","content":"u"}],"thinking":{}"#, "thinking.type"),
        (r#""messages":[{"role":"user","content":"u"}],"response_format":{"type":"secret"}"#, "response_format.type"),
    ];
    trials::faults_name_their_places(&target(), &own);
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
    assert!(target().passes_through(&rerank));
    assert!(!target().passes_through(&ask(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#)));
}
