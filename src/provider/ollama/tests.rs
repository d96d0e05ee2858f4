//! What holds for all of it together: cuts, hostile bytes, and the outcomes that a golden file cannot show.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::embed;
use crate::config::{Config, Env};
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::trials::{self, ASK, Samples, chat, streamed, translated};
use crate::provider::{Target, params};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/ollama/", $case)).as_slice()),*]
    };
}

const REQUESTS: &[&[u8]] = &golden![
    "request-full/in.json",
    "request-own-options/in.json",
    "request-parts/in.json",
    "request-schema/in.json",
    "request-thinking/in.json",
    "request-tools/in.json",
];
const RESPONSES: &[&[u8]] = &golden!["response-tools/in.json", "response-tags/in.json", "response-logprobs/in.json"];
const STREAMS: &[&[u8]] = &golden![
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

fn target() -> Target {
    Target::of("ollama_chat", "llama3.1")
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
fn a_tally_is_final_where_the_server_counted() {
    let (_, tally) = streamed(&target(), &chat(ASK), &[STREAMS[0]]);
    assert!(tally.is_complete && tally.is_final);
    assert_eq!(tally.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((26, 12)));
    assert_eq!(tally.content_bytes, "Kaffee \"s\"\n\u{2615}".len() as u64);
    let (_, tally) = streamed(&target(), &chat(ASK), &[STREAMS[1]]);
    assert_eq!((tally.usage, tally.is_final, tally.content_bytes), (None, false, 3));
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_vectors_never_panic() {
    let (mut hostile, target) = (Hostile(0x2545_f491_4f6c_dd1d), target());
    let embeddings = br#"{"model": "m", "embeddings": [[0.5, 1]], "prompt_eval_count": 1}"#;
    let asked = Request::parse(Endpoint::Embeddings, br#"{"model":"m","input":"a"}"#.to_vec()).unwrap();
    for _ in 0..100 {
        let _answer = embed::response(&asked, &target, &hostile.replace_value(embeddings));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_names_its_place_and_no_content() {
    let own = [
        (
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:secret"}}]}]"#,
            "messages[0].content[0].image_url.url",
        ),
        (r#""messages":[{"role":"user","content":[{"type":"image_url"}]}]"#, "messages[0].content[0].image_url"),
        (r#""messages":[{"role":"user","content":"u"}],"stop":[1]"#, "stop[0]"),
        (r#""messages":[{"role":"user","content":"u"}],"tools":"secret""#, "tools"),
        (r#""messages":[{"role":"user","content":"u"}],"options":"secret""#, "options"),
        (r#""messages":[{"role":"user","content":"u"}],"thinking":{}"#, "thinking.type"),
        (r#""messages":[{"role":"user","content":"u"}],"response_format":{"type":"secret"}"#, "response_format.type"),
        (
            r#""messages":[{"role":"user","content":"u"}],"response_format":{"type":"json_schema","json_schema":{}}"#,
            "response_format.json_schema.schema",
        ),
    ];
    trials::faults_name_their_places(&target(), &own);
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
    assert!(!target().serves(Endpoint::Rerank));
}

#[wasm_bindgen_test(unsupported = test)]
fn many_of_anything_take_no_more_than_their_share() {
    let calls: Vec<_> = (0..2000)
        .map(|i| json!({"id": format!("c{i}"), "type": "function", "function": {"name": "f", "arguments": ""}}))
        .collect();
    let results = (0..2000).map(|i| json!({"role": "tool", "tool_call_id": format!("c{i}"), "content": "r"}));
    let messages: Vec<_> = std::iter::once(json!({"role": "assistant", "tool_calls": calls})).chain(results).collect();
    let sent = translated(&target(), &json!({"model": "m", "messages": messages}).to_string()).unwrap();
    assert_eq!(sent["messages"][2000]["tool_name"], "f");
}
