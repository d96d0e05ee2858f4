//! Who Envoy has verified needs no key: a token of `jwt_authn`, a certificate, a header of `ext_authz`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options, Request, TlsClient, chat, tls_file, wait_for};

/// An answer costs ten cents, and no more can be reserved for one.
const CONFIG: &str = "
model_list:
- model_name: ten-cents
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/id-cents/usage=5:10/v1', api_key: sk-provider, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: sealed
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/id-sealed/v1', api_key: sk-provider}
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  identity:
  - from: jwt
    metadata: corp
    team_claim: [org, team]
    user_claim: email
    map:
    - {match: cron, key_alias: cron}
    - {match: 'svc-*', team_id: shared, user_id: service}
    - {match: locked, key_alias: locked}
  - from: peer
    san: uri
    map: [{match: 'spiffe://cluster.local/ns/batch/*', key_alias: runner}]
  - from: header
    name: x-auth-subject
    user_header: x-auth-user
    map: [{match: ann, key_alias: of-ann}]
  teams:
  - {team_id: shared, max_budget: 0.2, budget_duration: 1mo, models: [ten-cents]}
  - {team_id: open}
  - {team_id: batch}
  users:
  - {user_id: bob, max_budget: 0.1, budget_duration: 1mo}
  keys:
  - {key_alias: cron, max_budget: 0.2, budget_duration: 1mo, rpm_limit: 100, models: [ten-cents]}
  - {key_alias: locked, blocked: true}
  - {key_alias: runner, team_id: batch, rpm_limit: 50}
  - {key_alias: of-ann, models: [ten-cents]}
  - {key_alias: plain, key: sk-plain}
  - {key_alias: shut, key: sk-shut, blocked: true}
";

/// The path on which `jwt_authn` refuses everything but a token that is good.
const STRICT: &str = "/v1/chat/completions";
/// The path on which it lets others go on, without what they claim.
const LENIENT: &str = "/chat/completions";

/// The issuer of tokens: the key pair in PKCS #8.
fn issuer() -> &'static EcdsaKeyPair {
    static PAIR: OnceLock<EcdsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(pair)
}

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

/// A token for an hour that `pair` has signed.
fn token_by(pair: &EcdsaKeyPair, claims: Value) -> String {
    let mut payload = json!({"iss": "https://issuer.example", "aud": "tollgate", "exp": 4_000_000_000u64});
    payload.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = json!({"alg": "ES256", "kid": "one", "typ": "JWT"});
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{payload}");
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fn token(claims: Value) -> String {
    token_by(issuer(), claims)
}

/// The port of a server that knows one caller by an opaque token, and refuses another.
fn authorizer() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || authorize(&stream));
            }
        });
        port
    })
}

/// Answers every check on one connection.
fn authorize(stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    loop {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        if head.is_empty() {
            return;
        }
        let has = |text: &str| head.iter().any(|line| line.to_ascii_lowercase() == text);
        let answer = if has("authorization: bearer opaque-ann") {
            "200 OK\r\nx-auth-subject: ann\r\nx-auth-user: ann@example.com\r\nx-other-subject: ann"
        } else if has("authorization: bearer opaque-denied") {
            "403 Forbidden"
        } else {
            "200 OK"
        };
        let mut stream = stream;
        if write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// The filters before Tollgate, and a listener that takes TLS as well.
fn with_mesh(yaml: String) -> String {
    let point = issuer().public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one", "x": x, "y": y}]});
    let filters = format!(
        r#"          - name: envoy.filters.http.header_mutation
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
              mutations: {{request_mutations: [{{remove: x-auth-subject}}, {{remove: x-auth-user}}]}}
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              http_service:
                server_uri: {{uri: 'http://authorizer', cluster: authorizer, timeout: 5s}}
                authorization_response:
                  allowed_upstream_headers: {{patterns: [{{prefix: x-}}]}}
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                corp:
                  issuer: https://issuer.example
                  audiences: [tollgate]
                  payload_in_metadata: corp
                  forward: true
                  local_jwks: {{inline_string: '{jwks}'}}
              rules:
              - {{match: {{prefix: {STRICT}}}, requires: {{provider_name: corp}}}}
              - match: {{prefix: /}}
                requires:
                  requires_any: {{requirements: [{{provider_name: corp}}, {{allow_missing_or_failed: {{}}}}]}}
          - name: tollgate_gateway
"#
    );
    let authorizer = authorizer();
    let cluster = format!(
        "
  clusters:
  - name: authorizer
    load_assignment:
      cluster_name: authorizer
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {authorizer}}}}}}}}}]}}]
"
    );
    let [cert, key, authority] = ["cert.pem", "key.pem", "client-cert.pem"].map(tls_file);
    let chain = format!(
        r#"
    - filter_chain_match: {{transport_protocol: tls}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{{certificate_chain: {{filename: {cert}}}, private_key: {{filename: {key}}}}}]
            validation_context: {{trusted_ca: {{filename: {authority}}}}}
      filters: *filters
"#
    );
    let inspector = r#"    listener_filters:
    - name: envoy.filters.listener.tls_inspector
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}
    filter_chains:
    - filter_chain_match: {transport_protocol: raw_buffer}
      filters: &filters
"#;
    let edits = [
        ("          - name: tollgate_gateway\n", filters.as_str()),
        ("    filter_chains:\n    - filters:\n", inspector),
        ("\n  clusters:\n", &format!("{chain}{cluster}")),
    ];
    edits.into_iter().fold(yaml, |yaml, (place, with)| {
        assert!(yaml.contains(place), "{place}");
        yaml.replacen(place, with, 1)
    })
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start_with("identity", CONFIG, Options { edit: with_mesh, ..Options::default() }))
}

fn ask(path: &str, bearer: &str, model: &str) -> Answer {
    gate().post(path, bearer, chat(model, r#","max_tokens":10"#))
}

/// The last line of the access log whose `field` is `value`.
fn record(field: &str, value: &str) -> Value {
    let mut lines = gate().access_log_where(&format!("{field} {value}"), 1, |line| line[field] == value);
    lines.pop().unwrap()
}

/// What is spent by an account of a list of the master's.
fn expect_spend(list: &str, name: &str, expected: f64) {
    let field = if list == "keys" { "key_alias" } else { &format!("{}_id", list.trim_end_matches('s')) };
    wait_for("the charge", || {
        let rows = gate().get(&format!("/spend/{list}"), "sk-master").expect_ok().json();
        rows.as_array().unwrap().iter().any(|row| row[field] == name && row["spend"] == expected).then_some(())
    });
}

#[test]
fn a_claim_stands_for_a_key_with_its_budget_and_limits() {
    let cron = token(json!({"sub": "cron"}));
    for spent in [0.1, 0.2] {
        let answer = ask(STRICT, &cron, "ten-cents").expect_ok();
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("100"));
        expect_spend("keys", "cron", spent);
    }
    let error = ask(STRICT, &cron, "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("key 'cron'"), "{error}");
    ask(STRICT, &cron, "sealed").expect_error(403, "permission_error", "model_not_allowed");
    let info = gate().get("/key/info", &cron).expect_ok().json()["info"].clone();
    assert_eq!((&info["key_alias"], &info["spend"], &info["max_budget"]), (&json!("cron"), &json!(0.2), &json!(0.2)));
    let line = record("key_alias", "cron");
    assert_eq!((&line["user"], &line["team"]), (&json!("cron"), &Value::Null));
    gate().expect_counter(
        "tollgate_requests_total",
        &[("model_group", "ten-cents"), ("key_alias", "cron"), ("status", "200")],
        2,
    );
    // What was verified stays here.
    for received in Mock::shared().requests("/id-cents/") {
        assert_eq!(received.header("authorization"), Some("Bearer sk-provider"));
        assert_eq!(["x-auth-subject", "x-auth-user"].map(|name| received.header(name)), [None, None]);
    }
}

#[test]
fn a_token_that_is_not_good_is_nobody() {
    let forged = token_by(&pair(), json!({"sub": "cron"}));
    let answer = ask(STRICT, &forged, "ten-cents");
    assert_eq!((answer.status, answer.text()), (401, "Jwt verification fails"), "Envoy's own");
    let late = token(json!({"sub": "cron", "exp": 1_000_000_000}));
    assert_eq!(ask(STRICT, &late, "ten-cents").status, 401);
    for bearer in [&forged, &late, "eyJ.x.y", ""] {
        ask(LENIENT, bearer, "ten-cents").expect_error(401, "authentication_error", "invalid_api_key");
    }
}

#[test]
fn a_claim_stands_for_a_team_and_a_user() {
    let service = |n: u32| token(json!({"sub": format!("svc-{n}")}));
    ask(STRICT, &service(1), "ten-cents").expect_ok();
    expect_spend("teams", "shared", 0.1);
    let line = record("user", "service");
    assert_eq!((&line["team"], &line["key_alias"]), (&json!("shared"), &Value::Null));
    ask(STRICT, &service(2), "ten-cents").expect_ok();
    expect_spend("teams", "shared", 0.2);
    let error = ask(STRICT, &service(3), "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("team 'shared'"), "{error}");
    ask(STRICT, &service(3), "sealed").expect_error(403, "permission_error", "model_not_allowed");
    // The team's own claim, and the user's budget.
    let bob = token(json!({"sub": "1234", "email": "bob", "org": {"team": "open"}}));
    ask(STRICT, &bob, "ten-cents").expect_ok();
    expect_spend("users", "bob", 0.1);
    let error = ask(STRICT, &bob, "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("user 'bob'"), "{error}");
    assert_eq!(record("user", "bob")["team"], "open");
    let told = gate().get("/user/info", &bob).expect_ok().json();
    assert_eq!((&told["user_id"], &told["user_info"]["spend"]), (&json!("bob"), &json!(0.1)));
    // A team that the config does not have is none.
    let stranger = token(json!({"sub": "1234", "email": "bob", "org": {"team": "elsewhere"}}));
    ask(STRICT, &stranger, "ten-cents").expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn a_key_decides_before_an_identity_does() {
    let cron = token(json!({"sub": "cron"}));
    let with_key = |key: &str| Request::get(gate().port, "/v1/models").key(&cron).header("x-api-key", key).send();
    let models = |answer: Answer| answer.expect_ok().json()["data"].as_array().unwrap().len();
    assert_eq!((models(with_key("sk-plain")), models(with_key("sk-other"))), (2, 1));
    with_key("sk-shut").expect_error(401, "authentication_error", "invalid_api_key");
    let locked = token(json!({"sub": "locked"}));
    let error = ask(STRICT, &locked, "ten-cents").expect_error(401, "authentication_error", "invalid_api_key");
    assert!(error["message"].as_str().unwrap().contains("blocked"), "{error}");
    ask(LENIENT, "sk-plain", "ten-cents").expect_ok();
}

#[test]
fn a_certificate_stands_for_a_key() {
    let workload = TlsClient::start("identity-client", "client", gate().port);
    let body = chat("ten-cents", r#","max_tokens":10"#);
    let answer = Request::post(workload.port, LENIENT, body.as_str()).send().expect_ok();
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("50"));
    let line = record("key_alias", "runner");
    assert_eq!((&line["team"], &line["user"]), (&json!("batch"), &json!("spiffe://cluster.local/ns/batch/sa/runner")));
    let info = Request::get(workload.port, "/key/info").send().expect_ok();
    assert_eq!(info.at("/info/team_id"), "batch");
    // The same name in a certificate that nobody trusts, and no certificate at all.
    let stranger = TlsClient::start("identity-stranger", "stranger", gate().port);
    assert_eq!(Request::post(stranger.port, LENIENT, body.as_str()).send().status, 503);
    let plain = Request::post(gate().port, LENIENT, body).send();
    plain.expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn a_header_stands_for_a_key_where_it_is_configured() {
    ask(LENIENT, "opaque-ann", "ten-cents").expect_ok();
    let line = record("key_alias", "of-ann");
    assert_eq!(line["user"], "ann@example.com");
    assert_eq!(ask(LENIENT, "opaque-denied", "ten-cents").status, 403);
    ask(LENIENT, "opaque-other", "ten-cents").expect_error(401, "authentication_error", "invalid_api_key");
    // The client's own is taken away before ext_authz is asked; others are nothing to Tollgate.
    for name in ["x-auth-subject", "X-Auth-Subject", "x-other-subject"] {
        let request = Request::post(gate().port, LENIENT, chat("ten-cents", "")).header(name, "ann");
        request.send().expect_error(401, "authentication_error", "invalid_api_key");
    }
}

#[test]
fn a_header_is_nothing_where_it_is_not_configured() {
    let config = "
model_list:
- {model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/id-plain/v1', api_key: sk-x}}
tollgate:
  identity: [{from: jwt, metadata: corp, map: [{match: '*', key_alias: anyone}]}]
  keys: [{key_alias: anyone}]
";
    let gate = Gate::start("identity-alone", config);
    for name in ["x-auth-subject", "x-forwarded-client-cert", "x-jwt-payload", "sub", "anyone"] {
        let request = Request::get(gate.port, "/v1/models").header(name, "anyone");
        request.send().expect_error(401, "authentication_error", "invalid_api_key");
    }
}
