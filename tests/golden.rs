//! Every case of `tests/golden/<provider>/<case>/`: what goes in, and what must come out.
//!
//! The first word of a case's name says what it is: `request-` (a client's body; out: what the provider gets),
//! `response-` (a provider's answer), `error-<status>-` (a provider's error) or `stream-` (a provider's events, `.sse`).
//! `target.json` overrides the target's fields, `request.json` the request that is answered. `UPDATE_GOLDEN=1` rewrites.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test: a fixture that is wrong is to stop it")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate::openai::{Endpoint, Request};
use tollgate::provider::{Body, Provider, Target};
use tollgate::secret::Secret;

const NOW_SECS: u64 = 1_700_000_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Overrides {
    model: Option<String>,
    base_path: Option<String>,
    api_key: Option<String>,
    max_output_tokens: Option<u64>,
    supports_reasoning: bool,
    supports_response_schema: bool,
    drop_params: bool,
}

#[test]
fn every_case_comes_out_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/anthropic");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    let wrong: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(!cases.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let (target, request) = (target(case), answered(case));
    let read = |file: &str| std::fs::read(case.join(file)).unwrap_or_else(|_| panic!("{name}: no {file}"));
    let (file, out) = match name.split('-').next().unwrap() {
        "request" => ("out.json", pretty(&sent(&target, read("in.json")))),
        "response" => {
            let answer = target.response(&request, &read("in.json"), NOW_SECS);
            let body = answer.map_or_else(|error| error.body(), |answer| answer.body.unwrap());
            ("out.json", pretty(&serde_json::from_slice(&body).unwrap()))
        }
        "error" => {
            let error = target.error(name.split('-').nth(1).unwrap().parse().unwrap(), &read("in.json"));
            let body: Value = serde_json::from_slice(&error.body()).unwrap();
            ("out.json", pretty(&json!({"status": error.status(), "body": body})))
        }
        "stream" => ("out.sse", streamed(&target, &request, &read("in.sse"), name)),
        other => panic!("{name}: what is {other}?"),
    };
    let path = case.join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    if expected == out { Ok(()) } else { Err(format!("{name}: got\n{}", String::from_utf8_lossy(&out))) }
}

fn target(case: &Path) -> Target {
    let overrides = std::fs::read(case.join("target.json")).map(|text| serde_json::from_slice(&text).unwrap());
    let overrides: Overrides = overrides.unwrap_or_default();
    Target {
        provider: Provider::Anthropic,
        provider_name: "anthropic".into(),
        model: overrides.model.unwrap_or_else(|| "claude-sonnet-4-5".into()),
        authority: "api.anthropic.com".into(),
        base_path: overrides.base_path.unwrap_or_default(),
        api_key: Some(Secret::new(overrides.api_key.unwrap_or_else(|| "sk-ant-api03-test".into()))),
        max_output_tokens: overrides.max_output_tokens,
        supports_reasoning: overrides.supports_reasoning,
        supports_response_schema: overrides.supports_response_schema,
        drop_params: overrides.drop_params,
        extra_headers: Vec::new(),
    }
}

fn answered(case: &Path) -> Request {
    let body = std::fs::read(case.join("request.json"))
        .unwrap_or_else(|_| br#"{"model":"m","messages":[],"stream_options":{"include_usage":true}}"#.to_vec());
    Request::parse(Endpoint::ChatCompletions, body).unwrap()
}

fn sent(target: &Target, body: Vec<u8>) -> Value {
    let upstream = Request::parse(Endpoint::ChatCompletions, body).and_then(|request| {
        target.check(&request)?;
        target.request(&request)
    });
    match upstream {
        Ok(upstream) => {
            let Body::Whole(body) = upstream.body else { panic!("not a whole body") };
            let headers: Value =
                upstream.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
            json!({"path": upstream.path, "headers": headers, "body": serde_json::from_slice::<Value>(&body).unwrap()})
        }
        Err(error) => {
            json!({"status": error.status(), "error": serde_json::from_slice::<Value>(&error.body()).unwrap()})
        }
    }
}

fn streamed(target: &Target, request: &Request, input: &[u8], name: &str) -> Vec<u8> {
    let feed = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let (mut stream, mut out) = (target.stream(request, NOW_SECS), Vec::new());
        chunks.for_each(|chunk| {
            stream.push(chunk, &mut out);
        });
        stream.finish(&mut out);
        (out, stream.tally().clone())
    };
    let whole = feed(&mut [input].into_iter());
    for cut in 0..input.len() {
        let (head, tail) = input.split_at(cut);
        assert_eq!(feed(&mut [head, tail].into_iter()), whole, "{name}: cut at {cut}");
    }
    assert_eq!(feed(&mut input.chunks(1)), whole, "{name}: byte by byte");
    whole.0
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap();
    text.push(b'\n');
    text
}
