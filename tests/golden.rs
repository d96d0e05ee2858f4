//! Every case of `tests/golden/<vendor>/<case>/`: what goes in, and what must come out.
//!
//! The first word of a case's name says what it is: `request-` (a client's body `in.json`; out: what the provider
//! gets), `response-` (a provider's answer), `error-<status>-` (a provider's error) or `stream-` (a provider's events,
//! `in.sse`, `in.ndjson` or `in.bin`). `case.json` is the vendor's, with the case's own over it: `endpoint` (a path
//! below `/v1`), `litellm_params`, `model_info`. `request.json` is the request that is answered, in the client's
//! shape. `UPDATE_GOLDEN=1` rewrites.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test: a fixture that is wrong is to stop it")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate::bridge::Asked;
use tollgate::config::{Config, Env};
use tollgate::openai::{Endpoint, Request};
use tollgate::provider::{Body, Pass, Target, ended_early};

const NOW_SECS: u64 = 1_700_000_000;
const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"u"}],"stream_options":{"include_usage":true}}"#;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Case {
    endpoint: Option<String>,
    litellm_params: Map<String, Value>,
    model_info: Map<String, Value>,
}

#[test]
fn every_case_comes_out_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let is_vendors = |path: &PathBuf| path.is_dir() && !path.ends_with("config");
    let cases: Vec<PathBuf> = list(&root)
        .into_iter()
        .filter(is_vendors)
        .flat_map(|vendor| list(&vendor))
        .filter(|path| path.is_dir())
        .collect();
    let wrong: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(!cases.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
    let kind = path.file_name().unwrap().to_str().unwrap();
    let case = case(path);
    let (endpoint, target) = (endpoint(&case), target(&case, &name));
    let input = list(path).into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == "in"));
    let input = std::fs::read(input.unwrap_or_else(|| panic!("{name}: no input"))).unwrap();
    let answered = || {
        let body = std::fs::read(path.join("request.json")).unwrap_or_else(|_| ASK.into());
        Asked::new(Request::parse(endpoint, body).unwrap())
    };
    let (file, out) = match kind.split('-').next().unwrap() {
        "request" => ("out.json", pretty(&sent(&target, endpoint, input))),
        "response" => ("out.json", pretty(&read(&target, &answered(), &input))),
        "error" => {
            let error = target.error(kind.split('-').nth(1).unwrap().parse().unwrap(), &input);
            let body: Value = serde_json::from_slice(&error.body_as(endpoint.errors())).unwrap();
            ("out.json", pretty(&json!({"status": error.status(), "body": body})))
        }
        "stream" => ("out.sse", streamed(&target, &answered(), &input, &name)),
        other => panic!("{name}: what is {other}?"),
    };
    let path = path.join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    if expected == out { Ok(()) } else { Err(format!("{name}: got\n{}", String::from_utf8_lossy(&out))) }
}

/// The case's settings over its vendor's.
fn case(path: &Path) -> Case {
    let read = |folder: &Path| -> Case {
        let text = std::fs::read(folder.join("case.json"));
        text.map_or_else(|_| Case::default(), |text| serde_json::from_slice(&text).unwrap())
    };
    let (mut case, own) = (read(path.parent().unwrap()), read(path));
    case.endpoint = own.endpoint.or(case.endpoint);
    case.litellm_params.extend(own.litellm_params);
    case.model_info.extend(own.model_info);
    case
}

fn endpoint(case: &Case) -> Endpoint {
    let path = case.endpoint.as_deref().unwrap_or("/chat/completions");
    Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path).unwrap_or_else(|| panic!("no endpoint {path}"))
}

fn target(case: &Case, name: &str) -> Target {
    let document = json!({
        "model_list": [{"model_name": "m", "litellm_params": case.litellm_params, "model_info": case.model_info}],
        "tollgate": {"allow_anonymous": true},
    });
    let config = Config::compile(&document, Env::Strict(&|_| None));
    let mut config = config.unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
    config.deployments.remove(0).target.clone()
}

fn sent(target: &Target, endpoint: Endpoint, body: Vec<u8>) -> Value {
    let upstream = Request::parse(endpoint, body).and_then(|request| {
        let asked = Asked::new(request);
        asked.check(target)?;
        let (_, upstream) = asked.ask(target, target.credential.key())?;
        let body = match upstream.body {
            Body::Whole(body) => body,
            Body::Splice(splice) => splice.apply(&asked.client().body).unwrap(),
        };
        let headers: Value = upstream.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
        Ok(json!({"path": upstream.path, "headers": headers, "body": serde_json::from_slice::<Value>(&body).unwrap()}))
    });
    upstream.unwrap_or_else(|error| {
        let body: Value = serde_json::from_slice(&error.body_as(endpoint.errors())).unwrap();
        json!({"status": error.status(), "error": body})
    })
}

fn read(target: &Target, asked: &Asked, body: &[u8]) -> Value {
    let (ask, _) = asked.ask(target, target.credential.key()).unwrap();
    let shape = asked.client().endpoint.errors();
    let body = match ask.response(asked, target, body, NOW_SECS) {
        Ok(answer) => answer.body.unwrap_or_else(|| body.to_vec()),
        Err(error) => error.body_as(shape),
    };
    serde_json::from_slice(&body).unwrap()
}

fn streamed(target: &Target, asked: &Asked, input: &[u8], name: &str) -> Vec<u8> {
    let (ask, _) = asked.ask(target, target.credential.key()).unwrap();
    let feed = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let (mut stream, mut out) = (ask.stream(asked, target, NOW_SECS), Vec::new());
        chunks.for_each(|chunk| {
            if stream.push(chunk, &mut out) == Pass::Unchanged {
                out.extend_from_slice(chunk);
            }
        });
        stream.finish(ended_early(), &mut out);
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
