//! Who is let in, and how the others are told.

use std::sync::OnceLock;

use crate::harness::{Connection, Gate, Mock, Options, Request, chat};

const CONFIG: &str = "
model_list:
- model_name: fast
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/auth/v1', api_key: os.environ/PROVIDER_KEY}
- model_name: sealed
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/auth-sealed/v1', api_key: os.environ/PROVIDER_KEY}
general_settings: {master_key: os.environ/MASTER_KEY}
tollgate:
  keys:
  - {key_alias: plain, key: sk-plain}
  - {key_alias: from-environment, key: os.environ/TEAM_KEY}
  # printf sk-hashed | sha256sum
  - {key_alias: hashed, key_sha256: c291001835042e213221b2f9fca79c9c91d08813d599b717bc695a268edb2ea6}
  - {key_alias: blocked, key: sk-blocked, blocked: true}
  - {key_alias: expired, key: sk-expired, expires: 2020-01-31T00:00:00Z}
  - {key_alias: lasting, key: sk-lasting, expires: 2999-01-31T00:00:00Z}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    let env = &[("PROVIDER_KEY", "sk-of-the-provider"), ("MASTER_KEY", "sk-the-master"), ("TEAM_KEY", "sk-team")];
    GATE.get_or_init(|| Gate::start_with("auth", CONFIG, Options { env, ..Options::default() }))
}

/// Lists the models with this header alone.
fn status(name: &str, value: &str) -> u16 {
    Request::get(gate().port, "/v1/models").header(name, value).send().status
}

#[test]
fn a_key_is_taken_from_every_header_that_an_sdk_uses() {
    for name in ["x-api-key", "api-key", "x-goog-api-key", "X-API-Key"] {
        assert_eq!(status(name, "sk-plain"), 200, "{name}");
        assert_eq!(status(name, "sk-other"), 401, "{name}");
    }
    for value in ["Bearer sk-plain", "bearer sk-plain", "Bearer  sk-plain "] {
        assert_eq!(status("Authorization", value), 200, "{value}");
    }
    for value in ["Basic sk-plain", "Bearer", "Bearer ", "Bearer sk-plain2", "Bearer sk-plai", "Bearer SK-PLAIN"] {
        assert_eq!(status("authorization", value), 401, "{value}");
    }
}

#[test]
fn master_and_virtual_keys_are_let_in_whatever_they_are_written_as() {
    for key in ["sk-the-master", "sk-plain", "sk-team", "sk-hashed", "sk-lasting"] {
        gate().get("/v1/models", key).expect_ok();
    }
    gate().chat("sk-the-master", "sealed").expect_ok();
    let received = Mock::shared().request("/auth-sealed/");
    assert_eq!(received.header("authorization"), Some("Bearer sk-of-the-provider"));
}

#[test]
fn everyone_else_gets_a_401_that_names_no_key() {
    let rows = [
        ("sk-unknown", "not known"),
        ("sk-blocked", "blocked"),
        ("sk-expired", "expired"),
        // A digest is no key.
        ("c291001835042e213221b2f9fca79c9c91d08813d599b717bc695a268edb2ea6", "not known"),
        ("os.environ/TEAM_KEY", "not known"),
    ];
    for (key, reason) in rows {
        for answer in [gate().get("/v1/models", key), gate().chat(key, "fast"), gate().chat(key, "no-such-model")] {
            let error = answer.expect_error(401, "authentication_error", "invalid_api_key");
            assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
            assert!(!answer.text().contains(key), "{error}");
        }
    }
    let answer = Request::post(gate().port, "/v1/chat/completions", chat("fast", "")).send();
    answer.expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn a_stranger_is_refused_before_the_body_is_there() {
    let request = Request::post(gate().port, "/v1/chat/completions", vec![b' '; 1000]).key("sk-unknown");
    let mut connection = Connection::open(gate().port);
    connection.write(&request.head());
    let answer = connection.answer().finish();
    answer.expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn header_values_that_are_no_text_harm_nobody() {
    let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-odd: \xff\xfe\r\nauthorization: Bearer ".to_vec();
    let body = chat("fast", "");
    let rest = |key: &[u8]| [key, format!("\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()].concat();
    for (key, status) in [(&b"\xc3\x28\xff"[..], 401), (b"sk-lasting", 200)] {
        let mut connection = Connection::open(gate().port);
        connection.write(&[head.as_slice(), &rest(key)].concat());
        assert_eq!(connection.answer().finish().status, status);
    }
}

#[test]
fn no_key_is_in_what_envoy_says() {
    gate().get("/v1/models?api_key=sk-plain", "sk-plain").expect_ok();
    gate().chat("sk-unknown", "fast");
    let path = |line: &serde_json::Value| line["path"] == "/v1/models" && line["key_alias"] == "plain";
    let lines = gate().access_log_where("the access log line", 1, path);
    assert!(!format!("{lines:?}{}", gate().stderr()).contains("sk-"), "{lines:#?}");
}
