//! The dialects as a whole, in both directions: hostile bytes, every cut, and the table against itself.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::json::Index;
use crate::provider::hostile::Hostile;
use crate::provider::vendor::VENDORS;
use crate::provider::{Body, Pass, Tally, ended_early};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/openai-dialects/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 4] = golden![
    "request-groq-full/in.json",
    "request-mistral-full/in.json",
    "request-hosted-vllm-thinking/in.json",
    "request-mistral-image/in.json",
];
const RESPONSES: [&[u8]; 4] = golden![
    "response-groq-reasoning/in.json",
    "response-mistral-thinking/in.json",
    "response-mistral-tools/in.json",
    "response-deepseek-cached/in.json",
];
const STREAMS: [&[u8]; 6] = golden![
    "stream-groq-reasoning/in.sse",
    "stream-openrouter-error/in.sse",
    "stream-mistral-thinking/in.sse",
    "stream-mistral-tools/in.sse",
    "stream-perplexity-cumulative/in.sse",
    "stream-vllm-crlf/in.sse",
];
const VENDORS_TRIED: [&str; 7] = ["openai", "azure", "hosted_vllm", "groq", "mistral", "deepseek", "databricks"];

fn chat(body: &[u8]) -> Request {
    Request::parse(Endpoint::ChatCompletions, body.to_vec()).unwrap()
}

fn asked() -> Request {
    chat(br#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#)
}

fn streamed(chunks: &[&[u8]]) -> (Vec<u8>, Tally) {
    let (mut stream, mut out) = (OpenAi.stream(&asked(), &Target::of("groq", "m"), 1), Vec::new());
    for chunk in chunks {
        if stream.push(chunk, &mut out) == Pass::Unchanged {
            out.extend_from_slice(chunk);
        }
    }
    stream.finish(ended_early(), &mut out);
    (out, stream.tally().clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_chunks() {
    for input in STREAMS {
        let whole = streamed(&[input]);
        for cut in 0..input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(streamed(&[head, tail]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(streamed(&bytes), whole);
    }
}

/// Whatever comes, what goes out is JSON, and nothing panics.
#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_never_panic() {
    let mut hostile = Hostile(0x9e37_79b9_7f4a_7c15);
    let targets = VENDORS_TRIED.map(|vendor| Target::of(vendor, "magistral"));
    for round in 0..100 {
        for input in REQUESTS {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                let Ok(parsed) = Request::parse(Endpoint::ChatCompletions, body) else { continue };
                let target = &targets[round % targets.len()];
                let _checked = crate::provider::params::check(&parsed, target);
                let upstream = target.request(&parsed, None).unwrap();
                let Body::Splice(splice) = upstream.body else { panic!("not a splice") };
                let body = splice.apply(&parsed.body).unwrap();
                assert!(Index::parse(&body).is_ok(), "{}", String::from_utf8_lossy(&body));
            }
        }
        for input in RESPONSES {
            for body in [hostile.mutate(input), hostile.replace_value(input)] {
                if let Ok(answer) = OpenAi.response(&asked(), &targets[3], &body, 1) {
                    assert!(answer.body.is_none_or(|body| Index::parse(&body).is_ok()));
                }
                let _error = error(500, &body);
            }
        }
        for input in STREAMS {
            let _streamed = streamed(&[&hostile.mutate(input)]);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_table_says_is_known() {
    let known = |endpoint| crate::provider::params::known(endpoint);
    for vendor in VENDORS {
        let dialect = &vendor.dialect;
        for name in dialect.lacking.iter().copied().flatten() {
            assert!(known(Endpoint::ChatCompletions).contains(name), "{}: {name}", vendor.prefix);
        }
        for name in dialect.lacking_of_embeddings {
            assert!(known(Endpoint::Embeddings).contains(name), "{}: {name}", vendor.prefix);
        }
        assert!(dialect.endpoints.iter().all(|(_, path)| path.starts_with('/')), "{}", vendor.prefix);
        assert!(dialect.headers.iter().all(|(name, _)| *name == name.to_ascii_lowercase()), "{}", vendor.prefix);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn openai_itself_gets_every_byte_but_the_model() {
    let body = br#"{ "messages" : [ {"role":"user","content":"null \u00e9","name":"a"} ] , "user":"u","metadata":{ },"model":"m","n":1}"#;
    let request = chat(body);
    let upstream = Target::of("openai", "gpt-4o").request(&request, None).unwrap();
    let Body::Splice(splice) = upstream.body else { panic!("not a splice") };
    let sent = String::from_utf8(splice.apply(&request.body).unwrap()).unwrap();
    assert_eq!(sent, String::from_utf8_lossy(body).replace("\"m\"", "\"gpt-4o\""));
}

#[wasm_bindgen_test(unsupported = test)]
fn usage_of_groqs_own_place_is_told_once() {
    let (out, tally) = streamed(&[STREAMS[0]]);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches("\"choices\":[],\"usage\"").count(), 1, "{out}");
    assert_eq!(tally.usage.unwrap().output_tokens, 7);
}
