//! Paths, models, and bodies that make no sense.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::{Answer, Connection, Gate, Mock, Request, chat};

const CONFIG: &str = "
model_list:
- model_name: fast
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ep-fast/v1', api_key: sk-provider}
- model_name: every
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ep-every/v1', api_key: sk-provider}
- model_name: meta/llama
  litellm_params: {model: openai/llama-3, api_base: 'http://{mock}/ep-llama/v1', api_key: sk-provider}
- model_name: secret
  litellm_params: {model: openai/gpt-4o, api_base: 'http://{mock}/ep-secret/v1', api_key: sk-provider}
general_settings:
  master_key: sk-master
  max_request_size_mb: 0.0625
tollgate:
  keys:
  - {key_alias: open, key: sk-open}
  - {key_alias: narrow, key: sk-narrow, models: [fast, meta/llama]}
";

const LIMIT_BYTES: usize = 65_536;

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("endpoints", CONFIG))
}

#[test]
fn every_endpoint_works_with_and_without_v1() {
    for prefix in ["", "/v1"] {
        gate().post(&format!("{prefix}/chat/completions"), "sk-open", chat("every", "")).expect_ok();
        let body = r#"{"model":"every","prompt":"Once"}"#;
        let answer = gate().post(&format!("{prefix}/completions"), "sk-open", body).expect_ok();
        assert_eq!(answer.at("/object"), "text_completion");
        let body = r#"{"model":"every","input":["a","b"]}"#;
        let answer = gate().post(&format!("{prefix}/embeddings"), "sk-open", body).expect_ok();
        assert_eq!(answer.at("/data").as_array().map(Vec::len), Some(2));
        assert_eq!(gate().get(&format!("{prefix}/models"), "sk-open").expect_ok().at("/object"), "list");
        assert_eq!(gate().get(&format!("{prefix}/models/every"), "sk-open").expect_ok().at("/id"), "every");
    }
    let paths: Vec<String> = Mock::shared().requests("/ep-every/").into_iter().map(|request| request.path).collect();
    for path in ["/ep-every/v1/chat/completions", "/ep-every/v1/completions", "/ep-every/v1/embeddings"] {
        assert_eq!(paths.iter().filter(|found| *found == path).count(), 2, "{paths:?}");
    }
}

#[test]
fn a_query_string_does_not_hide_an_endpoint_and_goes_nowhere() {
    let path = "/v1/chat/completions?key=sk-in-query&api-version=2024-10-21";
    gate().post(path, "sk-open", chat("meta/llama", "")).expect_ok();
    assert_eq!(Mock::shared().request("/ep-llama/").path, "/ep-llama/v1/chat/completions");
}

#[test]
fn models_lists_what_the_key_may_use_and_nothing_else() {
    let ids = |key: &str| -> Vec<String> {
        let list = gate().get("/v1/models", key).expect_ok().at("/data");
        let id = |model: &Value| {
            assert_eq!(model["object"], "model");
            assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
            model["id"].as_str().unwrap().to_owned()
        };
        list.as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(ids("sk-open"), ["every", "fast", "meta/llama", "secret"]);
    assert_eq!(ids("sk-master"), ["every", "fast", "meta/llama", "secret"]);
    assert_eq!(ids("sk-narrow"), ["fast", "meta/llama"]);
}

#[test]
fn a_model_is_found_by_its_name_however_its_slash_is_written() {
    for path in ["/v1/models/meta/llama", "/v1/models/meta%2Fllama", "/models/meta/llama"] {
        assert_eq!(gate().get(path, "sk-narrow").expect_ok().at("/id"), "meta/llama", "{path}");
    }
    for (key, name) in [("sk-open", "none"), ("sk-narrow", "secret")] {
        let error = gate().get(&format!("/v1/models/{name}"), key).expect_error(404, INVALID, "model_not_found");
        assert_eq!(error["param"], "model");
    }
}

#[test]
fn health_needs_no_key() {
    for path in ["/health/liveliness", "/health/readiness"] {
        let answer = Request::get(gate().port, path).send().expect_ok();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json();
    }
}

#[test]
fn an_unknown_path_or_method_is_a_404_in_openais_shape() {
    for path in ["/", "/v1", "/v1/chat", "/v1/v1/models", "/admin", "/v1/chat/completions/x"] {
        gate().get(path, "sk-open").expect_error(404, INVALID, "unknown_endpoint");
    }
    gate().get("/v1/chat/completions", "sk-open").expect_error(404, INVALID, "unknown_endpoint");
    gate().post("/v1/models", "sk-open", "{}").expect_error(404, INVALID, "unknown_endpoint");
    let delete = Request::get(gate().port, "/v1/models/fast").method("DELETE").key("sk-open").send();
    delete.expect_error(404, INVALID, "unknown_endpoint");
}

#[test]
fn an_unknown_model_is_not_found_and_a_forbidden_one_not_allowed() {
    let error = gate().chat("sk-open", "gpt-9").expect_error(404, INVALID, "model_not_found");
    assert_eq!(error["param"], "model");
    let error = gate().chat("sk-narrow", "secret").expect_error(403, "permission_error", "model_not_allowed");
    assert_eq!(error["param"], "model");
    assert!(Mock::shared().requests("/ep-secret/").is_empty());
}

#[test]
fn a_body_that_is_not_json_is_said_to_be_so() {
    let nested = format!(r#"{{"model":"fast","messages":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    let bodies: [&[u8]; 8] = [
        b"",
        b" ",
        b"hello",
        b"{\"model\":\"fast\",\"messages\":[",
        b"{\"model\":\"fast\",\"messages\":[]} x",
        b"{\"model\":\"fast\",\"messages\":[\"\xff\xfe\"]}",
        b"\x1f\x8b\x08\x00",
        nested.as_bytes(),
    ];
    for body in bodies {
        let answer = gate().post("/v1/chat/completions", "sk-open", body);
        answer.expect_error(400, INVALID, "invalid_json");
    }
}

#[test]
fn a_missing_or_mistyped_parameter_is_named() {
    let rows = [
        ("/v1/chat/completions", r#"{"model":"fast"}"#, "missing_required_parameter", "messages"),
        ("/v1/chat/completions", r#"{"messages":[]}"#, "missing_required_parameter", "model"),
        ("/v1/completions", r#"{"model":"fast"}"#, "missing_required_parameter", "prompt"),
        ("/v1/embeddings", r#"{"model":"fast"}"#, "missing_required_parameter", "input"),
        ("/v1/chat/completions", r#"{"model":"fast","messages":"hi"}"#, "invalid_type", "messages"),
        ("/v1/chat/completions", r#"{"model":7,"messages":[]}"#, "invalid_type", "model"),
        ("/v1/chat/completions", r#"{"model":"fast","messages":[],"stream":"yes"}"#, "invalid_type", "stream"),
        ("/v1/embeddings", r#"{"model":"fast","input":{}}"#, "invalid_type", "input"),
    ];
    for (path, body, code, param) in rows {
        let error = gate().post(path, "sk-open", body).expect_error(400, INVALID, code);
        assert_eq!(error["param"], param, "{body}");
    }
    for body in ["[]", "null", "\"text\"", "1"] {
        let answer = gate().post("/v1/chat/completions", "sk-open", body);
        assert_eq!((answer.status, answer.at("/error/type")), (400, INVALID.into()), "{body}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_announced_length() {
    let request = Request::post(gate().port, "/v1/chat/completions", vec![b' '; LIMIT_BYTES + 1]).key("sk-open");
    let mut connection = Connection::open(gate().port);
    // Only the headers: the answer must not wait for the body.
    connection.write(&request.head());
    connection.answer().finish().expect_error(413, INVALID, "request_too_large");
}

#[test]
fn a_body_over_the_limit_is_refused_where_its_length_is_not_announced() {
    for (length, is_refused) in [(LIMIT_BYTES, false), (LIMIT_BYTES + 1, true), (40 << 20, true)] {
        let mut body = chat("fast", "").into_bytes();
        body.resize(length, b' ');
        let answer = chunked(&body);
        if is_refused {
            answer.expect_error(413, INVALID, "request_too_large");
        } else {
            answer.expect_ok();
        }
    }
}

/// Sends a chat whose length is not announced.
fn chunked(body: &[u8]) -> Answer {
    let request = Request::get(gate().port, "/v1/chat/completions").method("POST").key("sk-open");
    let mut connection = Connection::open(gate().port);
    connection.write(&request.header("transfer-encoding", "chunked").head());
    for chunk in body.chunks(16_000) {
        connection.write(format!("{:x}\r\n", chunk.len()).as_bytes());
        connection.write(chunk);
        connection.write(b"\r\n");
    }
    connection.write(b"0\r\n\r\n");
    connection.answer().finish()
}

#[test]
fn a_compressed_body_is_refused_in_words() {
    let request = gate().request("/v1/chat/completions", "sk-open", chat("fast", ""));
    let answer = request.header("content-encoding", "gzip").send();
    answer.expect_error(415, INVALID, "unsupported_content_encoding");
}

const INVALID: &str = "invalid_request_error";
