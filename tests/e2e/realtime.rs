//! WebSockets: `GET /v1/realtime`, from the client's key to the provider's and back.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::harness::{DEADLINE, Gate, Mock, Options, Request, TlsProvider};

const CONFIG: &str = "
model_list:
- {model_name: live, litellm_params: {model: openai/gpt-realtime, api_base: 'http://{mock}/rt-live/v1', api_key: sk-provider, timeout: 1}}
- {model_name: browser, litellm_params: {model: openai/gpt-realtime, api_base: 'http://{mock}/rt-browser/v1', api_key: sk-provider}}
- {model_name: flaky, litellm_params: {model: openai/gpt-flaky, api_base: 'http://{mock}/rt-flaky/status=503/v1', api_key: sk-first}}
- {model_name: gone, litellm_params: {model: openai/gpt-gone, api_base: 'http://{dead}/v1', api_key: sk-gone}}
- {model_name: steady, litellm_params: {model: openai/gpt-steady, api_base: 'http://{mock}/rt-steady/v1', api_key: sk-second}}
- {model_name: refusing, litellm_params: {model: openai/gpt-realtime, api_base: 'http://{mock}/rt-refusing/status=429/v1', api_key: sk-x}}
- {model_name: silent, litellm_params: {model: openai/gpt-realtime, api_base: 'http://{mock}/rt-silent/delay-ms=60000/v1', api_key: sk-x, timeout: 1}}
- {model_name: claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rt-claude', api_key: sk-x}}
router_settings: {num_retries: 0, fallbacks: [{flaky: [steady]}, {gone: [steady]}]}
tollgate:
  keys:
  - {key_alias: live, key: sk-live}
  - {key_alias: long, key: sk-long}
  - {key_alias: misc, key: sk-misc}
  - {key_alias: heavy, key: sk-heavy}
  - {key_alias: browser, key: sk-browser}
  - {key_alias: fallback, key: sk-fallback}
  - {key_alias: refused, key: sk-refused}
  - {key_alias: narrow, key: sk-narrow, models: [steady]}
  - {key_alias: spent, key: sk-spent, max_budget: 0}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("realtime", CONFIG))
}

/// Opens a WebSocket with these headers.
fn connect(path: &str, headers: &[(&'static str, &str)]) -> (WebSocket<TcpStream>, Response) {
    connect_to(gate().port, path, headers)
}

fn connect_to(port: u16, path: &str, headers: &[(&'static str, &str)]) -> (WebSocket<TcpStream>, Response) {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client(request, stream).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

fn connect_with(path: &str, key: &str) -> WebSocket<TcpStream> {
    connect(path, &[("authorization", &format!("Bearer {key}"))]).0
}

fn event(socket: &mut WebSocket<TcpStream>) -> Value {
    let message = socket.read().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

fn say(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).unwrap();
    assert_eq!(socket.read().unwrap().to_text().unwrap(), text);
}

fn close(mut socket: WebSocket<TcpStream>) {
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

/// What a client gets that asks for a WebSocket and is refused.
fn refused(path: &str, key: &str) -> crate::harness::Answer {
    let request = Request::get(gate().port, path).key(key).header("connection", "upgrade");
    let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
    request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").send()
}

#[test]
fn a_session_runs_with_the_providers_key_and_model() {
    let path = "/v1/realtime?model=live&intent=conversation";
    let headers = [("authorization", "Bearer sk-live"), ("openai-beta", "realtime=v1"), ("cookie", "c=1")];
    let (mut socket, response) = connect(path, &headers);
    assert_eq!(response.headers()["x-tollgate-deployment"].to_str().unwrap().len(), 16);
    let created = event(&mut socket);
    assert_eq!(created["type"], "session.created");
    assert_eq!(created["session"]["query"], "model=gpt-realtime&intent=conversation");
    say(&mut socket, r#"{"type":"session.update","session":{"instructions":"é ✓"}}"#);
    socket.send(Message::binary(vec![0xff; 70_000])).unwrap();
    assert_eq!(socket.read().unwrap().into_data().len(), 70_000);
    close(socket);
    let sent = Mock::shared().request("model=gpt-realtime&intent=");
    assert_eq!((sent.method.as_str(), sent.header("authorization")), ("GET", Some("Bearer sk-provider")));
    assert_eq!((sent.header("openai-beta"), sent.header("upgrade")), (Some("realtime=v1"), Some("websocket")));
    assert_eq!((sent.header("cookie"), sent.header("content-length"), sent.header("content-type")), (None, None, None));
    let record = gate().record("live");
    let found = ["response_code", "model_group", "model", "attempts", "input_tokens", "cost_usd"]
        .map(|name| record[name].clone());
    assert_eq!(found.map(|value| value.to_string().replace('"', "")), ["101", "live", "gpt-realtime", "1", "0", "0"]);
    assert_eq!((&record["usage_source"], &record["error"]), (&Value::Null, &Value::Null), "{record}");
    assert!(record["duration_ms"].as_u64().is_some(), "{record}");
}

#[test]
fn a_session_outlives_the_timeout_of_its_deployment() {
    let mut socket = connect_with("/realtime?model=live", "sk-long");
    event(&mut socket);
    std::thread::sleep(Duration::from_millis(2200));
    say(&mut socket, r#"{"type":"still.here"}"#);
    close(socket);
    let duration = gate().record("long")["duration_ms"].as_u64().unwrap();
    assert!((2200..20_000).contains(&duration), "{duration}");
}

#[test]
fn nothing_of_a_session_is_held() {
    let mut socket = connect_with("/v1/realtime?model=live", "sk-heavy");
    event(&mut socket);
    let memory = || Request::get(gate().admin_port, "/memory").send().at("/allocated").as_str().unwrap().parse::<i64>();
    let before = memory().unwrap();
    let sound = "A".repeat(1 << 20);
    for _ in 0..48 {
        say(&mut socket, &sound);
    }
    let grown = memory().unwrap() - before;
    assert!(grown < 8 << 20, "Envoy grew by {grown} bytes");
    close(socket);
}

#[test]
fn a_browsers_key_stands_among_its_subprotocols_and_stays_here() {
    let protocols = "realtime, openai-insecure-api-key.sk-browser, openai-beta.realtime-v1";
    let headers = [("sec-websocket-protocol", protocols), ("origin", "https://app.example")];
    let (mut socket, response) = connect("/v1/realtime?model=browser", &headers);
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    assert_eq!(event(&mut socket)["type"], "session.created");
    close(socket);
    let sent = Mock::shared().request("/rt-browser/");
    assert_eq!(sent.header("sec-websocket-protocol"), Some("realtime, openai-beta.realtime-v1"));
    assert!(sent.headers.iter().all(|(_, value)| !value.contains("sk-browser")), "{:?}", sent.headers);
    assert_eq!(sent.header("authorization"), Some("Bearer sk-provider"));
    assert_eq!(gate().record("browser")["model_group"], "browser");
}

#[test]
fn a_fallback_comes_before_the_session() {
    for model in ["flaky", "gone"] {
        let mut socket = connect_with(&format!("/v1/realtime?model={model}"), "sk-fallback");
        assert_eq!(event(&mut socket)["session"]["query"], "model=gpt-steady");
        say(&mut socket, r#"{"type":"hello"}"#);
        close(socket);
    }
    for record in gate().access_log("fallback", 2) {
        assert_eq!((&record["attempts"], &record["fallbacks"]), (&"2".into(), &"1".into()), "{record}");
    }
    let steady = Mock::shared().requests("/rt-steady/");
    assert!(steady.iter().all(|request| request.header("authorization") == Some("Bearer sk-second")), "{steady:?}");
}

#[test]
fn a_session_is_refused_before_it_begins() {
    refused("/v1/realtime?model=live", "sk-nobody").expect_error(401, "authentication_error", "invalid_api_key");
    refused("/v1/realtime?model=nobody", "sk-narrow").expect_error(404, INVALID, "model_not_found");
    refused("/v1/realtime?model=live", "sk-narrow").expect_error(403, "permission_error", "model_not_allowed");
    refused("/v1/realtime", "sk-narrow").expect_error(400, INVALID, "missing_required_parameter");
    refused("/v1/realtime?model=live", "sk-spent").expect_error(429, "budget_exceeded", "budget_exceeded");
    let error = refused("/v1/realtime?model=claude", "sk-misc").expect_error(400, INVALID, "unsupported_endpoint");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("anthropic") && message.contains("/realtime"), "{message}");
    gate().get("/v1/realtime?model=live", "sk-misc").expect_error(400, INVALID, "invalid_value");
    gate().post("/v1/realtime?model=live", "sk-misc", "{}").expect_error(404, INVALID, "unknown_endpoint");
    assert_eq!(refused("/v1/chat/completions", "sk-misc").status, 403, "no WebSocket elsewhere");
}

#[test]
fn a_session_takes_http_1_where_all_else_takes_http_2() {
    let provider = TlsProvider::start("realtime-provider");
    let base = format!("https://127.0.0.1:{}/rt-tls/v1", provider.port);
    let config = format!(
        "model_list: [{{model_name: live, litellm_params: {{model: openai/m, api_base: '{base}', api_key: sk-x}}}}]\n\
         tollgate: {{keys: [{{key_alias: tls, key: sk-tls}}]}}\n"
    );
    let trust =
        |yaml: String| yaml.replace("/etc/ssl/certs/ca-certificates.crt", TlsProvider::ca_file().to_str().unwrap());
    let gate = Gate::start_with("realtime-tls", &config, Options { concurrency: 1, edit: trust, ..Options::default() });
    for _ in 0..2 {
        gate.chat("sk-tls", "live").expect_ok();
        let headers = [("authorization", "Bearer sk-tls")];
        let (mut socket, _) = connect_to(gate.port, "/v1/realtime?model=live", &headers);
        event(&mut socket);
        say(&mut socket, r#"{"type":"hello"}"#);
        close(socket);
    }
    assert_eq!((provider.requests("http2"), provider.requests("http1")), (2, 2));
}

#[test]
fn the_providers_refusal_is_told_and_recorded() {
    let answer = refused("/v1/realtime?model=refusing", "sk-refused");
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.at("/error/message").as_str().unwrap().contains("told to answer 429"));
    let record = gate().record("refused");
    assert_eq!((&record["response_code"], &record["error"]), (&429.into(), &"rate_limit_exceeded".into()), "{record}");
}

#[test]
fn a_provider_that_never_answers_is_given_up() {
    let start = Instant::now();
    let answer = refused("/v1/realtime?model=silent", "sk-misc");
    answer.expect_error(504, "timeout_error", "timeout");
    assert!(start.elapsed() < Duration::from_secs(10));
}

const INVALID: &str = "invalid_request_error";
