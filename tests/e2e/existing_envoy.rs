//! `examples/existing-envoy`: the filters of the team around ours, each really at work.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::examples::{example, read, scratch};
use crate::harness::{DEADLINE, Gate, Mock, Options, Request, Rls, chat, dist, wait_for};

/// A token of the login in `existing-envoy`, whose key nobody has any more; it is good until 2100.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImhhcmJvci0xIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmhhcmJvci5leGFtcGxlIiwic3ViIjoiYWhhYiIsImV4cCI6NDEwMjQ0NDgwMH0.c6epxW-JVeyH5_q9LHN_TaeIWieM7NoGu0r9PcFHX8KohhaGJr7dsHqowEGFgsc08DiB5PMJK2H0kRUqgxmmDd4-DGoHbNUZHiPLi5wlh5yLlZ9npYgs5tyFopXqWRdXDs6joDc7HTKCwMvEG6MjeGUTj8rcLXZb2EgsIvcSLG8UN7MeBYcK0jN8M5oe-hrufY9StLSftN877PLD9ZxS0NASvePuWGfdZHLvfswX7V_8-xdWaAuOBdQO_v9AEXgx3S4ElGcxwcQN8VCVUJMfL--bET9yT6g-Wz3upqXqdNW2yekS4xq6ud_zJ_A5BV6PSlzZAQc9gQr7cix22A2QpQ";

const ENV: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "OPENAI_API_KEY"),
    ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
    ("TOLLGATE_MASTER_KEY", "TOLLGATE_MASTER_KEY"),
    ("APP_KEY", "APP_KEY"),
];
const HOST: &str = "llm.harbor.example";
/// Five requests of an address.
const LIMITS: &str = "
- {namespace: ingress, max_value: 5, seconds: 3600, conditions: [], variables: ['descriptors[0].remote_address']}
";

/// The example's Envoy with `mock` in its providers' places; its authorization service is a second listener.
fn serve(name: &str, mock: &Mock, rate_limit_port: u16) -> Gate {
    let folder = scratch(name);
    let bootstrap: PathBuf = folder.join("envoy.yaml");
    let authz = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let places = [
        ("/etc/envoy/tollgate.wasm", dist("tollgate.wasm").to_str().unwrap().to_owned()),
        ("127.0.0.1:8081", mock.address()),
        ("port_value: 8081", format!("port_value: {}", mock.port)),
        ("port_value: 9191", format!("port_value: {authz}")),
        ("port_value: 9192", format!("port_value: {rate_limit_port}")),
        ("port_value: 8080", "port_value: 0".to_owned()),
        ("port_value: 9901", "port_value: 0".to_owned()),
        // A busy machine is slow; who waits for longer passes.
        ("timeout: 0.02s", "timeout: 5s".to_owned()),
        ("timeout: 0.25s", "timeout: 5s".to_owned()),
        ("  listeners:\n", format!("  listeners:\n{}", AUTHZ.replace("PORT", &authz.to_string()))),
    ];
    let text = places.iter().fold(read(&example("existing-envoy/envoy.yaml")), |text, (from, to)| {
        assert!(text.contains(from), "no {from}");
        text.replace(from, to)
    });
    std::fs::write(&bootstrap, text).unwrap();
    let gate = Gate::start_at(folder, &bootstrap, "ingress", Options { env: ENV, ..Options::default() });
    wait_for("readiness", || {
        let ready = Request::get(gate.port, "/health/readiness").header("host", HOST).send().status == 200;
        ready.then_some(())
    });
    gate
}

fn ask(gate: &Gate, model: &str, more: &str) -> Request {
    gate.request("/v1/chat/completions", "APP_KEY", chat(model, more)).header("host", HOST)
}

#[test]
fn the_filters_of_the_team_do_their_work_around_ours() {
    let gate = serve("existing", Mock::shared(), 1);
    let answer = ask(&gate, "fast", "").send();
    assert_eq!((answer.status, answer.header("x-served-by")), (200, Some("harbor")), "{}", answer.text());
    assert_eq!(ask(&gate, "fast-backup", "").send().header("x-tollgate-provider"), Some("anthropic"));
    // Our own errors pass through the same filters.
    let error = ask(&gate, "no-such-model", "").send();
    assert_eq!((error.status, error.header("x-served-by")), (404, Some("harbor")));
    let zipped = ask(&gate, "fast", "").header("accept-encoding", "gzip").send();
    assert_eq!((zipped.status, zipped.header("content-encoding")), (200, Some("gzip")));
    assert!(zipped.body.starts_with(&[0x1f, 0x8b]), "{:?}", zipped.body);
    let refused = ask(&gate, "fast", "").header("x-tenant", "nobody").send();
    assert_eq!(refused.status, 403, "ext_authz decides before us");
    let refused = ask(&gate, "fast", "").header("x-harbor-token", "broken").send();
    assert_eq!(refused.status, 401, "jwt_authn decides before us");
    let no_key = |token: &str| {
        let request = Request::post(gate.port, "/v1/chat/completions", chat("fast", ""));
        request.header("host", HOST).header("x-harbor-token", token).send()
    };
    assert_eq!(no_key(TOKEN).status, 200, "who has a token needs no key");
    // The team's own API is none of ours: its request has no key, and comes as it is.
    let orders = Request::get(gate.port, "/_mock/requests").header("host", "orders.harbor.example").send();
    assert_eq!((orders.status, orders.header("x-tollgate-provider")), (200, None));
}

#[test]
fn the_rate_limit_service_refuses_the_sixth_request_and_the_provider_never_sees_it() {
    let mock = Mock::start("existing-limits-mock");
    let rls = Rls::with_limits("existing-limits-rls", LIMITS);
    let gate = serve("existing-limits", &mock, rls.port());
    // Readiness was one of the five.
    for _ in 0..4 {
        ask(&gate, "fast", "").send().expect_ok();
    }
    for model in ["fast", "fast-backup"] {
        let refused = ask(&gate, model, "").send();
        assert_eq!((refused.status, refused.header("x-envoy-ratelimited")), (429, Some("true")), "{}", refused.text());
        assert_eq!(refused.header("x-tollgate-model-group"), None, "it came to our filter");
    }
    assert_eq!(mock.requests("completions").len(), 4);
    let refused = rls.calls().iter().filter(|call| call["code"] == 2).count();
    assert_eq!(refused, 2, "{:#?}", rls.calls());
}

#[test]
fn a_stream_keeps_its_pace_where_answers_are_compressed() {
    let mock = Mock::start("existing-pace-mock");
    mock.script("completions", "chunk-ms=200,chunks=10");
    let gate = serve("existing-pace", &mock, 1);
    let start = Instant::now();
    let mut stream = ask(&gate, "fast", r#","stream":true"#).header("accept-encoding", "gzip").open();
    assert_eq!((stream.status, stream.header("content-encoding")), (200, None));
    assert!(stream.next_piece().is_some());
    let first = start.elapsed();
    let mut times = vec![first];
    while stream.next_piece().is_some() {
        times.push(start.elapsed());
    }
    let last = start.elapsed();
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    assert!(times.len() >= 8, "{} pieces of ten chunks: {times:?}", times.len());
    assert!(last - first > Duration::from_millis(1000), "the stream came at once: {times:?}");
}

#[test]
fn the_tap_shows_who_may_see_it_a_request_and_its_translated_answer() {
    let gate = serve("existing-tap", Mock::shared(), 1);
    let mut admin = TcpStream::connect((Ipv4Addr::LOCALHOST, gate.admin_port)).unwrap();
    admin.set_read_timeout(Some(DEADLINE)).unwrap();
    let body = r#"{"config_id": "ingress", "tap_config": {"match": {"any_match": true}, "output_config": {"sinks": [{"streaming_admin": {}}]}}}"#;
    let head = format!("POST /tap HTTP/1.1\r\nhost: admin\r\ncontent-length: {}\r\n\r\n", body.len());
    admin.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut seen = Vec::new();
    let mut text = || {
        let mut piece = [0; 64 << 10];
        let read = admin.read(&mut piece).expect("the tap says something");
        assert!(read > 0, "the tap ended");
        seen.extend_from_slice(&piece[..read]);
        String::from_utf8_lossy(&seen).into_owned()
    };
    wait_for("the tap to begin", || text().contains("200 OK").then_some(()));
    ask(&gate, "fast-backup", "").send().expect_ok();
    let file = scratch("existing-tap").join("tap.json");
    let trace = wait_for("the trace", || {
        let text = text();
        let (start, end) = (text.find("{\n")?, text.rfind("\n}")?);
        serde_json::from_str::<Value>(text.get(start..end + 2)?).ok()
    });
    std::fs::write(&file, trace.to_string()).unwrap();
    let trace = &trace["http_buffered_trace"];
    let body = |part: &str| {
        let bytes = BASE64_STANDARD.decode(trace[part]["body"]["as_bytes"].as_str().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    // The bodies are the client's. The request's headers are those of the last attempt: one map for both sides.
    assert_eq!(
        (&body("request")["model"], &body("response")["object"]),
        (&json!("fast-backup"), &json!("chat.completion"))
    );
    let path = trace["request"]["headers"].as_array().unwrap().iter().find(|header| header["key"] == ":path").unwrap();
    assert_eq!(path["value"], "/anthropic/v1/messages");
    assert!(!trace["response"].to_string().contains("_KEY"), "{trace:#}");
}

const AUTHZ: &str = r#"  - name: authz
    address: {socket_address: {address: 127.0.0.1, port_value: PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: authz
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config:
            virtual_hosts:
            - name: authz
              domains: ["*"]
              routes:
              - match: {prefix: /, headers: [{name: x-tenant, string_match: {exact: nobody}}]}
                direct_response: {status: 403}
              - match: {prefix: /}
                direct_response: {status: 200}
"#;
