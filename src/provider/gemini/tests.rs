//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use wasm_bindgen_test::wasm_bindgen_test;

use super::error::error;
use super::stream::Stream;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::trials::{self, ASK, Samples, chat, streamed, translated};
use crate::provider::{Stream as _, Target, ended_early};
use crate::units::Millis;

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/gemini/", $case)).as_slice()),*]
    };
}

const REQUESTS: &[&[u8]] = &golden![
    "request-full/in.json",
    "request-media/in.json",
    "request-tools/in.json",
    "request-tools-3/in.json",
    "request-thoughts/in.json",
    "request-schema-of-tool/in.json",
    "request-schema-openapi/in.json",
    "request-server-tools/in.json",
];
const RESPONSES: &[&[u8]] = &golden![
    "response-tools/in.json",
    "response-grounded/in.json",
    "response-logprobs/in.json",
    "response-media/in.json",
    "response-blocked/in.json",
];
const STREAMS: &[&[u8]] = &golden![
    "stream-text/in.sse",
    "stream-tools/in.sse",
    "stream-thinking/in.sse",
    "stream-choices/in.sse",
    "stream-grounded/in.sse",
    "stream-media/in.sse",
    "stream-error/in.sse",
    "stream-cut/in.sse",
];
const EMBEDDINGS: [&[u8]; 2] = golden!["response-embeddings/in.json", "response-embeddings-base64/in.json"];

fn flash() -> Target {
    target("gemini-2.5-flash")
}

fn target(model: &str) -> Target {
    Target::of("gemini", model)
}

fn targets() -> [Target; 6] {
    let of =
        |prefix| ["gemini-2.5-flash", "gemini-3-pro-preview", "gemma-3-27b-it"].map(|model| Target::of(prefix, model));
    let ([a, b, c], [d, e, f]) = (of("gemini"), of("vertex_ai"));
    [a, d, b, e, c, f]
}

const SAMPLES: Samples = Samples { requests: REQUESTS, responses: RESPONSES, streams: STREAMS };

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    trials::every_cut_gives_the_same_chunks(&target("g"), &[chat(ASK)], &[STREAMS[0], STREAMS[1], STREAMS[6]]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_ends_whole_or_with_an_error() {
    trials::a_stream_cut_anywhere_ends_whole_or_with_an_error(&target("g"), &[STREAMS[0], STREAMS[1], STREAMS[6]]);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    SAMPLES.survive(&targets(), &[chat(ASK)], 60);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_embeddings_never_panic() {
    let asked = br#"{"model":"m","input":["a"],"encoding_format":"base64"}"#;
    let asked = Request::parse(Endpoint::Embeddings, asked.to_vec()).unwrap();
    let mut hostile = Hostile(0x2545_f491_4f6c_dd1d);
    for (target, input) in
        targets().iter().cycle().take(60).flat_map(|t| EMBEDDINGS.iter().map(move |input| (t, input)))
    {
        let _answer = target.response(&asked, &hostile.replace_value(input), 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_without_end_is_an_error() {
    trials::an_event_without_end_is_an_error(&target("g"), STREAMS[0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_as_the_stream_goes() {
    let (_, tally) = streamed(&target("g"), &chat(ASK), &[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.content_bytes, "Hello \"Möwe\"\n".len() as u64);
    let usage = tally.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (5, 4));
    let (_, cut) = streamed(&target("g"), &chat(ASK), &[STREAMS[7]]);
    assert_eq!((cut.is_complete, cut.is_final, cut.content_bytes), (false, false, 3));
    assert_eq!(cut.usage.unwrap().output_tokens, 1);
    let (_, failed) = streamed(&target("g"), &chat(ASK), &[STREAMS[6]]);
    assert_eq!(failed.error.unwrap().status(), 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_held_for_the_end_is_bounded() {
    let mut stream = Stream::new(&chat(ASK), &target("g"), 1);
    let (mut out, big) = (Vec::new(), "x".repeat(1 << 20));
    for index in 0..16 {
        let event = format!(r#"{{"candidates":[{{"index":{index},"finishMessage":"{big}","finishReason":"STOP"}}]}}"#);
        stream.push(format!("data: {event}\n\n").as_bytes(), &mut out);
    }
    stream.finish(ended_early(), &mut out);
    assert!(out.len() < crate::sse::MAX_EVENT_BYTES + 16_384, "{}", out.len());
    assert!(stream.tally().is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_wait_in_the_details_is_kept() {
    let body = br#"[{"error":{"code":429,"message":"quota","details":[{"x":1},{"retryDelay":"36.5s"}]}}]"#;
    let error = error(429, body);
    assert_eq!((error.retry_after, error.message.as_str()), (Some(Millis(36_500)), "quota"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_nothing_else() {
    let own = [
        (r#""messages":[]"#, "messages"),
        (r#""messages":[{"content":"secret"}]"#, "messages[0].role"),
        (r#""messages":[{"role":"secret"}]"#, "messages[0].role"),
        (r#""messages":[{"role":"user","content":7}]"#, "messages[0].content"),
        (r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text"),
        (r#""messages":[{"role":"user","content":[{"type":"secret"}]}]"#, "messages[0].content[0].type"),
        (r#""messages":[{"role":"user","content":[{"type":"input_audio"}]}]"#, "messages[0].content[0].input_audio"),
        (
            r#""messages":[{"role":"user","content":[{"type":"file","file":{}}]}]"#,
            "messages[0].content[0].file.file_data",
        ),
        (r#""messages":[{"role":"tool","content":"secret"}]"#, "messages[0].tool_call_id"),
        (r#""messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]"#, "messages[0].tool_calls[0].function"),
        (
            r#""messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[secret]"}}]}]"#,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (r#""messages":[{"role":"user"}],"tools":[{"type":"function"}]"#, "tools[0].function"),
        (r#""messages":[{"role":"user"}],"tools":["secret"]"#, "tools[0]"),
        (
            r#""messages":[{"role":"user"}],"tools":[{"function":{"name":"f","parameters":1}}]"#,
            "tools[0].function.parameters",
        ),
        (r#""messages":[{"role":"user"}],"tools":[{"function":{"name":"f"}}],"tool_choice":"secret""#, "tool_choice"),
        (r#""messages":[{"role":"user"}],"stop":["a",1]"#, "stop[1]"),
        (r#""messages":[{"role":"user"}],"temperature":"secret""#, "temperature"),
        (r#""messages":[{"role":"user"}],"modalities":["secret"]"#, "modalities[0]"),
        (r#""messages":[{"role":"user"}],"audio":{"format":"mp3"}"#, "audio.format"),
        (r#""messages":[{"role":"user"}],"response_format":{"type":"json_schema"}"#, "response_format.json_schema"),
        (r#""messages":[{"role":"user"}],"reasoning_effort":"secret""#, "reasoning_effort"),
        (
            r#""messages":[{"role":"user"}],"thinking":{"type":"enabled","budget_tokens":"secret"}"#,
            "thinking.budget_tokens",
        ),
    ];
    trials::faults_name_their_places(&flash(), &own);
}

/// A schema in which each definition names the next one twice: short, and endless.
fn bomb(definitions: usize) -> String {
    let each = |i: usize| {
        let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, i + 1);
        format!(r#""d{i}":{{"type":"object","properties":{{"a":{next},"b":{next}}}}}"#)
    };
    let all: Vec<String> = (0..definitions).map(each).collect();
    format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, all.join(","))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_schema_that_stands_for_too_much_is_refused() {
    let ask = |schema: &str| {
        let tool = format!(r#"{{"function":{{"name":"f","parameters":{schema}}}}}"#);
        translated(
            &flash(),
            &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"u"}}],"tools":[{tool}]}}"#),
        )
    };
    assert!(ask(&bomb(4)).is_ok());
    let param = "tools[0].function.parameters";
    assert_eq!(ask(&bomb(40)).unwrap_err().param.as_deref(), Some(param));
    let many = format!(r#"{{"description":"{}","anyOf":[{}]}}"#, "x".repeat(1 << 12), vec!["{}"; 1 << 12].join(","));
    assert_eq!(ask(&many).unwrap_err().param.as_deref(), Some(param));
    let chain: Vec<String> =
        (0..500).map(|i| format!(r##""d{i}":{{"items":{{"$ref":"#/$defs/d{}"}}}}"##, i + 1)).collect();
    let deep = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, chain.join(","));
    assert_eq!(ask(&deep).unwrap_err().param.as_deref(), Some(param));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_comes_back_with_its_signature() {
    let body = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln+/="}]}}],"responseId":"r1"}"#;
    let answer = target("g").response(&chat(ASK), body, 1).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    let history = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "u"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "r"}]});
    let sent = translated(&flash(), &history.to_string()).unwrap();
    let expected = serde_json::json!({"function_call": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln+/="});
    assert_eq!(sent["contents"][1]["parts"][0], expected);
    assert_eq!(sent["contents"][2]["parts"][0]["function_response"]["name"], "f");
}

#[wasm_bindgen_test(unsupported = test)]
fn many_integers_in_enums_are_not_sent() {
    let ask = |count: usize| {
        let values: Vec<String> = (1000..1000 + count).map(|i| i.to_string()).collect();
        let schema = format!(r#"{{"type":"integer","enum":[{}]}}"#, values.join(","));
        let tool = format!(r#"{{"function":{{"name":"f","parameters":{schema}}}}}"#);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"u"}}],"tools":[{tool}]}}"#);
        let sent = translated(&target("gemini-3-pro"), &body).unwrap();
        sent["tools"][0]["function_declarations"][0]["parameters"].get("enum").is_some()
    };
    assert!(ask(500));
    assert!(!ask(501));
}

#[wasm_bindgen_test(unsupported = test)]
fn many_of_anything_take_no_more_than_their_share() {
    let many = |count: usize, each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(",");
    let tools = many(3000, &|i| format!(r#"{{"function":{{"name":"t{i}"}}}},{{"own{i}":{{}}}}"#));
    let calls = many(3000, &|i| format!(r#"{{"id":"{i}","function":{{"name":"t{i}","arguments":""}}}}"#));
    let results = many(3000, &|i| format!(r#"{{"role":"tool","tool_call_id":"{i}","content":"r"}}"#));
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{calls}]}},{results}],"tools":[{tools}]}}"#
    );
    let sent = translated(&flash(), &body).unwrap();
    assert_eq!(sent["contents"][1]["parts"].as_array().unwrap().len(), 3000);
    assert_eq!(sent["tools"].as_array().unwrap().len(), 3001);
}
