//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use wasm_bindgen_test::wasm_bindgen_test;

use super::Bedrock;
use super::eventstream::encode;
use super::stream::Stream;
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::params::{Params, check};
use crate::provider::{Body, Language as _, Stream as _, Tally, Target, ended_early};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/bedrock/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 6] = golden![
    "request-full/in.json",
    "request-tools/in.json",
    "request-parts/in.json",
    "request-schema-native/in.json",
    "request-thinking-budget/in.json",
    "request-guardrail/in.json",
];
const RESPONSES: [&[u8]; 4] = golden![
    "response-tools/in.json",
    "response-thinking/in.json",
    "response-citations/in.json",
    "response-guardrail/in.json",
];
const STREAMS: [&[u8]; 6] = golden![
    "stream-text/in.bin",
    "stream-tools/in.bin",
    "stream-thinking/in.bin",
    "stream-schema-by-tool/in.bin",
    "stream-exception/in.bin",
    "stream-citations-trace/in.bin",
];
const ASK: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"u"}],"stream_options":{"include_usage":true}}"#;
const ASK_SCHEMA: &[u8] =
    br#"{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"schema":{}}}}"#;

/// A model that cannot be held to a schema.
fn target() -> Target {
    Target { supports_reasoning: true, ..Target::of("bedrock", "anthropic.claude-3-7-sonnet-20250219-v1:0") }
}

fn dropping() -> Target {
    let target = target();
    Target { params: Params { drop: true, ..target.params.clone() }, ..target }
}

fn chat(body: impl Into<Vec<u8>>) -> Request {
    Request::parse(Endpoint::ChatCompletions, body.into()).unwrap()
}

fn translated(body: &str) -> Result<serde_json::Value, Error> {
    Bedrock.request(&chat(body), &target(), None).map(|upstream| match upstream.body {
        Body::Whole(body) => serde_json::from_slice(&body).unwrap(),
        Body::Splice(_) => panic!("not a whole body"),
    })
}

fn streamed(asked: &Request, chunks: &[&[u8]]) -> (Vec<u8>, Tally) {
    let (mut stream, mut out) = (Stream::new(asked, &target(), 1), Vec::new());
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
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("half a JSON: {line}"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    for asked in [chat(ASK), chat(ASK_SCHEMA)] {
        for input in STREAMS {
            let whole = streamed(&asked, &[input]);
            assert_well_formed(&whole.0);
            for cut in 0..input.len() {
                assert_eq!(streamed(&asked, &[&input[..cut], &input[cut..]]), whole, "cut at {cut}");
            }
            assert_eq!(streamed(&asked, &input.chunks(1).collect::<Vec<_>>()), whole);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_ends_whole_or_with_an_error() {
    for input in STREAMS {
        for end in 0..input.len() {
            let (out, tally) = streamed(&chat(ASK), &[&input[..end]]);
            assert_well_formed(&out);
            assert_eq!(tally.is_complete, tally.error.is_none());
            assert_eq!(tally.is_complete, out.ends_with(b"data: [DONE]\n\n"));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tally_counts_as_the_stream_goes() {
    let (_, tally) = streamed(&chat(ASK), &[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.content_bytes, "Grüße \"A\"\n".len() as u64);
    let usage = tally.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (10, 5));
    let (_, failed) = streamed(&chat(ASK), &[STREAMS[4]]);
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
    let (out, tally) = streamed(&chat(ASK), &[&bytes]);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches(r#""id":"t""#).count(), 64);
    let last = text.lines().find(|line| line.contains("citationsContent")).unwrap();
    assert!(last.len() < 70_000 && tally.is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    let (mut hostile, target, asked) = (Hostile(0x9e37_79b9_7f4a_7c15), target(), [chat(ASK), chat(ASK_SCHEMA)]);
    for round in 0..80 {
        for input in REQUESTS {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                let Ok(parsed) = Request::parse(Endpoint::ChatCompletions, body) else { continue };
                let _checked = check(&parsed, &target);
                if let Ok(upstream) = Bedrock.request(&parsed, &target, None) {
                    let Body::Whole(body) = upstream.body else { panic!("not a whole body") };
                    crate::json::Index::parse(&body).expect("valid JSON");
                }
                let _stream = Stream::new(&parsed, &target, 1);
            }
        }
        for input in RESPONSES {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                if let Ok(answer) = Bedrock.response(&asked[round % 2], &target, &body, 1) {
                    crate::json::Index::parse(&answer.body.unwrap()).expect("valid JSON");
                }
                let _error = Bedrock.error(500, &body);
            }
        }
        for input in RESPONSES {
            // As the payload of a frame that is right.
            let payload = hostile.mutate(input);
            for kind in ["contentBlockStart", "contentBlockDelta", "messageStop", "metadata"] {
                let frame = encode(&[(":event-type", kind), (":message-type", "event")], &payload);
                assert_well_formed(&streamed(&asked[round % 2], &[&frame]).0);
            }
        }
        for input in STREAMS {
            assert_well_formed(&streamed(&asked[round % 2], &[&hostile.mutate(input)]).0);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_parameter_that_the_model_lacks_is_named() {
    let parse = |rest: &str| chat(format!(r#"{{"model":"m","messages":[],{rest}}}"#));
    for (rest, param) in [
        (r#""frequency_penalty":0.5"#, Some("frequency_penalty")),
        (r#""n":2"#, Some("n")),
        (r#""n":1,"seed":null,"user":"u","stream":false,"max_retries":3,"logprobs":false"#, None),
        (r#""tools":[],"store":true"#, Some("store")),
        (r#""web_search_options":{}"#, Some("web_search_options")),
        (r#""top_k":3,"brand_new":1,"parallel_tool_calls":false,"service_tier":"flex""#, None),
    ] {
        let found = check(&parse(rest), &target()).err();
        assert_eq!(found.as_ref().and_then(|e| e.param.as_deref()), param, "{rest}");
        assert_eq!(check(&parse(rest), &dropping()), Ok(()));
    }
    let llama = Target::of("bedrock", "meta.llama3-1-70b-instruct-v1:0");
    assert!(check(&parse(r#""tool_choice":"auto""#), &llama).is_err());
    assert_eq!(check(&parse(r#""tools":[]"#), &llama), Ok(()));
    assert!(check(&parse(r#""reasoning_effort":"low""#), &llama).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn other_endpoints_are_refused() {
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"i"}"#.to_vec()).unwrap();
    assert_eq!(check(&asked, &dropping()).unwrap_err().code(), Some("unsupported_endpoint"));
    let titan = Target::of("bedrock", "amazon.titan-embed-text-v2:0");
    assert_eq!(check(&asked, &titan), Ok(()));
    assert!(check(&chat(ASK), &titan).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_nothing_else() {
    for (body, param) in [
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
    ] {
        let error = translated(&format!(r#"{{"model":"m",{body}}}"#)).unwrap_err();
        assert_eq!((error.status(), error.param.as_deref()), (400, Some(param)), "{body}");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
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
    let sent = translated(&format!(r#"{{"model":"m","messages":[{messages}],"tools":[{tools}]}}"#)).unwrap();
    assert_eq!(sent["toolConfig"]["tools"].as_array().unwrap().len(), 3000);
    assert_eq!(sent["messages"][2]["content"][2999]["toolResult"]["toolUseId"], "2999");
    let told = translated(&format!(r#"{{"model":"m","messages":[{messages}]}}"#)).unwrap();
    assert!(told["messages"][1]["content"][0]["text"].as_str().unwrap().ends_with("[tool call 2999: t({})]"));
}
