//! What holds for all of it together: faults with their places, cuts, hostile bytes.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::bridge::Asked;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::{Body, Pass, Target, ended_early};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/messages-bridge/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 6] = golden![
    "request-conversation/in.json",
    "request-documents/in.json",
    "request-documents-in-text/in.json",
    "request-schema/in.json",
    "request-server-history/in.json",
    "request-web-search-near/in.json",
];
const RESPONSES: [&[u8]; 3] =
    golden!["response-tools/in.json", "response-thinking-blocks/in.json", "response-citations/in.json"];
const STREAMS: [&[u8]; 5] = golden![
    "stream-tools/in.sse",
    "stream-tools-mixed/in.sse",
    "stream-thinking-blocks/in.sse",
    "stream-citation/in.sse",
    "stream-error/in.sse",
];

fn target() -> Target {
    Target::of("openai", "gpt-4o-mini")
}

fn message(members: &str) -> Asked {
    let body = format!(r#"{{"model":"m","max_tokens":9,{members}}}"#);
    Asked::new(Request::parse(Endpoint::Messages, body.into_bytes()).unwrap())
}

fn question() -> Asked {
    message(r#""messages":[{"role":"user","content":"u"}],"stream":true"#)
}

fn streamed(asked: &Asked, input: &[u8]) -> Vec<u8> {
    let target = target();
    let (ask, _) = asked.ask(&target, None).unwrap();
    let (mut stream, mut out) = (ask.stream(asked, &target, 1), Vec::new());
    if stream.push(input, &mut out) == Pass::Unchanged {
        out.extend_from_slice(input);
    }
    stream.finish(ended_early(), &mut out);
    out
}

/// Every event is whole, its name is its type, and no block gets a piece outside of its life.
fn assert_well_formed(out: &[u8]) {
    let text = std::str::from_utf8(out).unwrap();
    let mut open = Vec::new();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        let index = &data["index"];
        match data["type"].as_str().unwrap() {
            "content_block_start" => open.push(index.clone()),
            "content_block_delta" => assert!(open.contains(index), "{event}"),
            "content_block_stop" => {
                let at = open.iter().position(|found| found == index).expect("an open block");
                open.remove(at);
            }
            "message_stop" => assert!(open.is_empty(), "{text}"),
            _ => {}
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_nothing_else() {
    for (members, param) in [
        (r#""messages":[]"#, "messages"),
        (r#""messages":["secret"]"#, "messages[0]"),
        (r#""messages":[{"role":"secret","content":"x"}]"#, "messages[0].role"),
        (r#""messages":[{"role":"user"}]"#, "messages[0].content"),
        (r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text"),
        (r#""messages":[{"role":"user","content":[{"text":"secret"}]}]"#, "messages[0].content[0].type"),
        (
            r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"secret"}}]}]"#,
            "messages[0].content[0].source.media_type",
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"secret"}]}]}]"#,
            "messages[0].content[0].content[0].type",
        ),
        (
            r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a"}]}]"#,
            "messages[0].content[0].name",
        ),
        (r#""messages":[{"role":"user","content":"u"}],"system":7"#, "system"),
        (r#""messages":[{"role":"user","content":"u"}],"tools":[{"input_schema":{}}]"#, "tools[0].name"),
        (
            r#""messages":[{"role":"user","content":"u"}],"tools":[{"type":"bash_20250124","name":"bash"}]"#,
            "tools[0].type",
        ),
        (
            r#""messages":[{"role":"user","content":"u"}],"tools":[{"name":"f"}],"tool_choice":{"type":"secret"}"#,
            "tool_choice.type",
        ),
        (r#""messages":[{"role":"user","content":"u"}],"output_format":{"type":"secret"}"#, "output_format.type"),
    ] {
        let error = message(members).check(&target()).unwrap_err();
        assert_eq!((error.status(), error.param.as_deref()), (400, Some(param)), "{members}: {}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_anywhere_is_well_formed() {
    for input in STREAMS {
        for end in 0..input.len() {
            assert_well_formed(&streamed(&question(), &input[..end]));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    let (mut hostile, target, question) = (Hostile(0x9e37_79b9_7f4a_7c15), target(), question());
    for _ in 0..80 {
        for input in REQUESTS {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                let Ok(request) = Request::parse(Endpoint::Messages, body) else { continue };
                let asked = Asked::new(request);
                let Ok((_, upstream)) = asked.ask(&target, None) else { continue };
                let Body::Whole(body) = upstream.body else { panic!("not a whole body") };
                crate::json::Index::parse(&body).expect("valid JSON");
            }
        }
        let (ask, _) = question.ask(&target, None).unwrap();
        for input in RESPONSES {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                if let Ok(answer) = ask.response(&question, &target, &body, 1) {
                    crate::json::Index::parse(&answer.body.unwrap()).expect("valid JSON");
                }
            }
        }
        for input in STREAMS {
            assert_well_formed(&streamed(&question, &hostile.mutate(input)));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_model_lacks_is_not_sent_to_it() {
    let asked = message(r#""messages":[{"role":"user","content":"u"}],"thinking":{"type":"disabled"}"#);
    let sent = |target: &Target| -> Value {
        let (_, upstream) = asked.ask(target, None).unwrap();
        let Body::Whole(body) = upstream.body else { panic!("not a whole body") };
        serde_json::from_slice(&body).unwrap()
    };
    let target = Target { supports_reasoning: false, ..target() };
    assert_eq!((sent(&target).get("thinking"), sent(&target).get("reasoning_effort")), (None, None));
    let target = Target { supports_reasoning: true, base_model: "gpt-5.2".into(), ..target };
    assert_eq!(sent(&target)["reasoning_effort"], json!("none"));
}
