//! One request from its headers to its record, without an Envoy.

use std::rc::Rc;

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::budget::account::Till;
use crate::config::Env;
use crate::error::Kind;
use crate::routing::fleet::Calm;
use crate::store::{Memory, Store as _};
use crate::telemetry::{Record, UsageSource};
use crate::token::Tokens;
use crate::units::PicoUsd;

const NOW: Millis = Millis(1_795_000_000_000);
const ANSWER: &[u8] = br#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;

fn config() -> Rc<Config> {
    let deployment = |group: &str, params: Value| json!({"model_name": group, "litellm_params": params, "model_info": {"id": group, "cluster": format!("cluster-{group}")}});
    let document = json!({
        "model_list": [
            deployment("first", json!({"model": "openai/gpt-4o-mini", "api_key": "sk-one", "input_cost_per_token": 0.001,
                "output_cost_per_token": 0.01, "extra_headers": {"user-agent": "harbor", "x-team": "a"}})),
            deployment("second", json!({"model": "anthropic/claude-haiku-4-5", "api_key": "sk-ant-oat-two",
                "extra_headers": {"anthropic-beta": "one-2026"}})),
        ],
        "router_settings": {"num_retries": 0, "fallbacks": [{"first": ["second"]}]},
        "tollgate": {"keys": [{"key_alias": "app", "key": "sk-app", "max_budget": 1},
                              {"key_alias": "narrow", "key": "sk-narrow", "models": ["first"]}]},
    });
    Rc::new(Config::compile(&document, Env::Strict(&|_| None)).unwrap())
}

/// Looks at the headers of a request of which Envoy knows nothing.
pub(super) fn open(config: &Config, headers: &Headers) -> Opening {
    Front::open(config, headers, false, &Scene { now: NOW, store: &Memory::default(), property: &|_| None })
}

fn with<T>(act: impl FnOnce(&mut World<'_>) -> T) -> T {
    let tokens = Tokens::default();
    act(&mut World { now: NOW, fleet: &mut Calm, tokens: &tokens, random: &mut |_| 0 })
}

fn admit(config: &Rc<Config>, key: &str, more: &str) -> Exchange {
    let authorization = format!("Bearer {key}");
    let headers = Headers::of(&[
        (":method", b"POST"),
        (":path", b"/v1/chat/completions?key=x"),
        ("authorization", authorization.as_bytes()),
        ("cookie", b"c=1"),
        ("traceparent", b"00-1-2-01"),
    ]);
    let Opening::Read(mut front) = open(config, &headers) else { panic!("not read") };
    let body = format!(r#"{{"model":"first","messages":[{{"role":"user","content":"Hi"}}],"max_tokens":2{more}}}"#);
    let request = front.read(config, body.into_bytes()).unwrap();
    with(|world| Exchange::admit(config.clone(), front, request, world)).unwrap()
}

/// Opens a WebSocket with these headers.
fn upgrade(config: &Rc<Config>, path: &[u8], more: &[(&str, &[u8])]) -> Result<Exchange, u16> {
    let headers: Vec<(&str, &[u8])> = [(":method", b"GET".as_slice()), (":path", path), ("upgrade", b"WebSocket")]
        .into_iter()
        .chain([("sec-websocket-key", b"a2V5".as_slice()), ("cookie", b"c=1")])
        .chain(more.iter().copied())
        .collect();
    match open(config, &Headers::of(&headers)) {
        Opening::Upgrade(front, request) => with(|world| Exchange::admit(config.clone(), front, *request, world))
            .map_err(|refused| refused.error.status()),
        Opening::Answer(_, reply) => Err(reply.status),
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_websocket_goes_on_with_nothing_but_what_it_needs() {
    let config = config();
    let protocols: &[u8] = b"realtime, openai-insecure-api-key.sk-app,openai-beta.realtime-v1";
    let more = [("sec-websocket-protocol", protocols), ("openai-beta", b"realtime=v1")];
    let mut exchange = upgrade(&config, b"/v1/realtime?model=first&key=sk-app", &more).unwrap();
    assert!(exchange.is_upgrade());
    let start = exchange.begin(b"cluster-first", NOW).unwrap();
    let all = String::from_utf8_lossy(&start);
    assert!(["sk-app", "content-length", "c=1", "accept"].iter().all(|name| !all.contains(name)), "{all}");
    let names = [":method", ":path", "authorization", "upgrade", "sec-websocket-protocol", "sec-websocket-key"];
    let expected = [
        "GET",
        "/v1/realtime?model=gpt-4o-mini",
        "Bearer sk-one",
        "websocket",
        "realtime, openai-beta.realtime-v1",
        "a2V5",
    ];
    assert_eq!(names.map(|name| sent(&start, name).unwrap()), expected);
    assert_eq!(answered(&mut exchange, 101), Heading::Pass);
    assert_eq!(exchange.passing_status(), Some(101));
    let record = {
        let tokens = Tokens::default();
        exchange.settle(
            101,
            &mut World { now: Millis(NOW.0 + 60_000), fleet: &mut Calm, tokens: &tokens, random: &mut |_| 0 },
        )
    };
    assert_eq!((record.duration, record.usage_source, record.cost), (Millis(60_000), None, PicoUsd::default()));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_websocket_is_refused_by_its_headers() {
    let config = config();
    let key = [("authorization", b"Bearer sk-narrow".as_slice())];
    let stranger = [("sec-websocket-protocol", b"openai-insecure-api-key.sk-x".as_slice())];
    for (path, more, status) in [
        (b"/v1/realtime?model=first".as_slice(), [].as_slice(), 401),
        (b"/v1/realtime?model=first", &stranger, 401),
        (b"/v1/realtime?model=second", &key, 403),
        (b"/v1/realtime?model=third", &key, 404),
        (b"/v1/realtime?model=", &key, 400),
        (b"/v1/realtime", &key, 400),
    ] {
        assert_eq!(upgrade(&config, path, more).unwrap_err(), status, "{}", String::from_utf8_lossy(path));
    }
    let master = [("authorization", b"Bearer sk-app".as_slice())];
    assert_eq!(upgrade(&config, b"/v1/realtime?model=second", &master).unwrap_err(), 400, "Anthropic has none");
    let mut exchange = upgrade(&config, b"/realtime?model=first", &master).unwrap();
    exchange.begin(b"cluster-first", NOW).unwrap();
    assert_eq!(answered(&mut exchange, 200), Heading::Refuse(None), "no WebSocket came of it");
}

fn sent(start: &[u8], name: &str) -> Option<String> {
    Headers::decode(start.to_vec()).text(name).map(str::to_owned)
}

fn answered(exchange: &mut Exchange, status: u16) -> Heading {
    with(|world| exchange.answered(&AnswerHead { status, ..AnswerHead::default() }, world))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fallback_starts_from_nothing_that_the_first_attempt_wrote() {
    let mut exchange = admit(&config(), "sk-app", "");
    assert_eq!((exchange.max_retries(), exchange.first_cluster()), (1, "cluster-first"));
    let first = exchange.begin(b"cluster-first", NOW).unwrap();
    let headers =
        ["authorization", ":path", "user-agent", "x-team", "traceparent", "cookie"].map(|name| sent(&first, name));
    let expected =
        [Some("Bearer sk-one"), Some("/v1/chat/completions"), Some("harbor"), Some("a"), Some("00-1-2-01"), None];
    assert_eq!(headers.each_ref().map(Option::as_deref), expected);
    assert_eq!(sent(&first, "content-length").unwrap(), exchange.take_body().unwrap().len().to_string());

    let next = Next { cluster: "cluster-second".to_owned(), wait_secs: 0 };
    assert_eq!(answered(&mut exchange, 503), Heading::Error(Some(next)));
    let second = exchange.begin(b"cluster-second", NOW).unwrap();
    let all = String::from_utf8_lossy(&second);
    assert!(["sk-one", "sk-app", "chat/completions", "harbor"].iter().all(|leak| !all.contains(leak)), "{all}");
    assert_eq!(sent(&second, "authorization").as_deref(), Some("Bearer sk-ant-oat-two"));
    assert!(sent(&second, "anthropic-beta").is_some_and(|beta| beta.contains("one-2026") && beta.contains("oauth")));
    assert_eq!(sent(&second, "x-team"), None);
    assert_eq!(exchange.begin(b"cluster-second", NOW).unwrap_err().kind, Kind::Internal, "the plan is at its end");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_goes_to_no_cluster_but_its_own() {
    let mut exchange = admit(&config(), "sk-app", "");
    assert_eq!(exchange.begin(b"cluster-second", NOW).unwrap_err().kind, Kind::Internal);
    assert!(exchange.attempts().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_failure_is_followed_by_what_the_key_may_use_and_the_provider_can_do() {
    let config = config();
    for (key, more, is_followed) in
        [("sk-app", "", true), ("sk-narrow", "", false), ("sk-app", r#","logit_bias":{"1":2}"#, false)]
    {
        let mut exchange = admit(&config, key, more);
        exchange.begin(b"cluster-first", NOW).unwrap();
        assert_eq!(matches!(answered(&mut exchange, 503), Heading::Error(Some(_))), is_followed, "{key}{more}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_set_aside_becomes_what_it_cost() {
    let (config, store) = (config(), Memory::default());
    config.accounts().for_each(|account| store.prepare(&account.record()));
    let ledger = || config.keys[0].account.ledger(&store).unwrap();
    let mut exchange = admit(&config, "sk-app", "");
    exchange.reserve(&store, &mut Till::new(1), &|_| true).unwrap();
    assert!(ledger().reserved(NOW) > PicoUsd::default());
    exchange.begin(b"cluster-first", NOW).unwrap();
    assert_eq!(answered(&mut exchange, 200), Heading::Hold);
    assert_eq!(with(|world| exchange.held(ANSWER, world)), Held::Release);
    let mut record = with(|world| exchange.settle(200, world));
    exchange.charge(&store, &mut Till::new(1), NOW, &mut record);
    assert_eq!((record.cost.to_string().as_str(), record.usage_source), ("0.03", Some(UsageSource::Provider)));
    assert_eq!((ledger().spent(NOW, None), ledger().reserved(NOW)), (record.cost, PicoUsd::default()));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_end_has_its_price() {
    let record = |heading: u16, hold: Option<&[u8]>, status: u16| -> Record {
        let mut exchange = admit(&config(), "sk-app", "");
        exchange.begin(b"cluster-first", NOW).unwrap();
        if heading > 0 {
            answered(&mut exchange, heading);
        }
        let _ = hold.map(|body| with(|world| exchange.held(body, world)));
        if status >= 400 {
            let _ = exchange.respond(status);
        }
        with(|world| exchange.settle(status, world))
    };
    assert_eq!(record(400, None, 400).usage_source, None, "the provider refused");
    assert_eq!(record(0, None, 503).usage_source, None, "the provider was not there");
    assert_eq!(record(200, Some(b"<html>"), 502).usage_source, None, "the answer made no sense");
    assert_eq!(record(0, None, 0).usage_source, Some(UsageSource::Estimated), "the client did not wait");
    assert_eq!(record(200, Some(br#"{"choices":[]}"#), 200).usage_source, Some(UsageSource::Estimated), "no usage");
}
