//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::error::error;
use super::stream::Stream;
use super::{Ollama, embed, request, response};
use crate::config::{Config, Env};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::{Body, Language as _, Stream as _, Tally, Target, ended_early, params};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/ollama/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 6] = golden![
    "request-full/in.json",
    "request-own-options/in.json",
    "request-parts/in.json",
    "request-schema/in.json",
    "request-thinking/in.json",
    "request-tools/in.json",
];
const RESPONSES: [&[u8]; 3] = golden!["response-tools/in.json", "response-tags/in.json", "response-logprobs/in.json"];
const STREAMS: [&[u8]; 10] = golden![
    "stream-text/in.ndjson",
    "stream-no-usage/in.ndjson",
    "stream-tools/in.ndjson",
    "stream-thinking/in.ndjson",
    "stream-tags/in.ndjson",
    "stream-tags-in-one/in.ndjson",
    "stream-tags-without-end/in.ndjson",
    "stream-logprobs/in.ndjson",
    "stream-error/in.ndjson",
    "stream-odd-lines/in.ndjson",
];
const ASK: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"u"}],"stream_options":{"include_usage":true}}"#;

fn target() -> Target {
    Target::of("ollama_chat", "llama3.1")
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
fn a_tally_is_final_where_the_server_counted() {
    let (_, tally) = streamed(&[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((26, 12)));
    assert_eq!(tally.content_bytes, "Kaffee \"s\"\n\u{2615}".len() as u64);
    let (_, tally) = streamed(&[STREAMS[1]]);
    assert_eq!((tally.usage, tally.is_final, tally.content_bytes), (None, false, 3));
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
    let mut hostile = Hostile(0x2545_f491_4f6c_dd1d);
    let target = target();
    let embeddings = br#"{"model": "m", "embeddings": [[0.5, 1]], "prompt_eval_count": 1}"#;
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
        let _answer = embed::response(&asked, &target, &hostile.replace_value(embeddings));
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
        (
            of(json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:secret"}}]}])),
            "messages[0].content[0].image_url.url",
        ),
        (of(json!([{"role": "user", "content": [{"type": "image_url"}]}])), "messages[0].content[0].image_url"),
        (of(json!([{"role": "assistant", "tool_calls": [{}]}])), "messages[0].tool_calls[0].function"),
        (json!({"model": "m", "messages": user, "temperature": "secret"}), "temperature"),
        (json!({"model": "m", "messages": user, "stop": [1]}), "stop[0]"),
        (json!({"model": "m", "messages": user, "tools": "secret"}), "tools"),
        (json!({"model": "m", "messages": user, "options": "secret"}), "options"),
        (json!({"model": "m", "messages": user, "reasoning_effort": "secret"}), "reasoning_effort"),
        (json!({"model": "m", "messages": user, "thinking": {}}), "thinking.type"),
        (json!({"model": "m", "messages": user, "response_format": {"type": "secret"}}), "response_format.type"),
        (
            json!({"model": "m", "messages": user, "response_format": {"type": "json_schema", "json_schema": {}}}),
            "response_format.json_schema.schema",
        ),
    ] {
        let error = translated(&body).unwrap_err();
        assert_eq!((error.status(), error.param.as_deref()), (400, Some(param)), "{body}");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_sent_where_there_is_one() {
    let credential = |params: Value, set: bool| {
        let document = json!({
            "model_list": [{"model_name": "m", "litellm_params": params}],
            "tollgate": {"allow_anonymous": true},
        });
        let variable = move |name: &str| (set && name == "OLLAMA_API_KEY").then(|| "sk-env".to_owned());
        let config = Config::compile(&document, Env::Strict(&variable));
        config.unwrap().deployments.remove(0).target.credential.key().map(|key| key.expose().to_owned())
    };
    let at_home = json!({"model": "ollama/m"});
    let elsewhere = json!({"model": "ollama/m", "api_base": "https://ollama.example"});
    assert_eq!(credential(at_home.clone(), false), None);
    assert_eq!(credential(at_home, true).as_deref(), Some("sk-env"));
    assert_eq!(credential(elsewhere, true).as_deref(), Some("sk-env"));
}

#[wasm_bindgen_test(unsupported = test)]
fn both_prefixes_take_the_same() {
    let taken = |prefix| params::taken(Endpoint::ChatCompletions, &Target::of(prefix, "llama3.1"));
    assert_eq!(taken("ollama"), taken("ollama_chat"));
    assert!(taken("ollama").contains(&"presence_penalty") && !taken("ollama").contains(&"logit_bias"));
    assert!(!Ollama.serves(Endpoint::Rerank, &target()));
}

#[wasm_bindgen_test(unsupported = test)]
fn many_of_anything_take_no_more_than_their_share() {
    let calls: Vec<_> = (0..2000)
        .map(|i| json!({"id": format!("c{i}"), "type": "function", "function": {"name": "f", "arguments": ""}}))
        .collect();
    let results = (0..2000).map(|i| json!({"role": "tool", "tool_call_id": format!("c{i}"), "content": "r"}));
    let messages: Vec<_> = std::iter::once(json!({"role": "assistant", "tool_calls": calls})).chain(results).collect();
    let sent = translated(&json!({"model": "m", "messages": messages})).unwrap();
    assert_eq!(sent["messages"][2000]["tool_name"], "f");
}
