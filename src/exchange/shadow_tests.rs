//! Copies without an Envoy: who gets one, what it sends, and that its place is always given back.

use std::rc::Rc;

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::Shadow;
use crate::config::{Config, Deployment, Env};
use crate::exchange::{AnswerHead, Copies, Exchange, Headers, Opening, World};
use crate::routing::{Class, Fleet, Outcome, Place, Skip, State, Usage};
use crate::telemetry::metric::Metric;
use crate::telemetry::{Record, UsageSource};
use crate::token::Tokens;
use crate::units::{Millis, PicoUsd};

const NOW: Millis = Millis(1_795_000_000_000);
const ANSWER: &[u8] =
    br#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],
    "stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":2}}"#;

/// A fleet that keeps account.
#[derive(Default)]
struct Account {
    taken: Vec<String>,
    left: Vec<(String, Usage)>,
    told: Vec<(String, Option<Class>)>,
    closed: Option<Skip>,
}

impl Fleet for Account {
    fn state(&self, _: &Deployment, _: Millis) -> State {
        State::default()
    }

    fn take(&mut self, deployment: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip> {
        if deployment.id == "copy"
            && let Some(skip) = self.closed
        {
            return Err(skip);
        }
        self.taken.push(deployment.id.clone());
        Ok(Place { is_probe: false, tokens, at: now })
    }

    fn tell(&mut self, deployment: &Deployment, _: Millis, outcome: &Outcome) {
        self.told.push((deployment.id.clone(), outcome.failure));
    }

    fn leave(&mut self, deployment: &Deployment, _: Millis, _: &Place, usage: &Usage) {
        self.left.push((deployment.id.clone(), *usage));
    }
}

/// A request and what it came through.
struct Rig {
    fleet: Account,
    draw: u64,
}

impl Rig {
    fn new() -> Self {
        Self { fleet: Account::default(), draw: 0 }
    }

    fn at<T>(&mut self, now: Millis, act: impl FnOnce(&mut World<'_>) -> T) -> T {
        let (tokens, draw) = (Tokens::default(), self.draw);
        act(&mut World { now, fleet: &mut self.fleet, tokens: &tokens, random: &mut |n| draw.min(n - 1) })
    }

    fn admit(&mut self, group: &str, more: &str) -> Exchange {
        let config = config();
        let headers = [
            (":method", b"POST".as_slice()),
            (":path", b"/v1/chat/completions"),
            ("authorization", b"Bearer sk-app"),
            ("traceparent", b"00-1-2-01"),
        ];
        let Opening::Read(mut front) = super::super::tests::open(&config, &Headers::of(&headers)) else { panic!() };
        let body = format!(r#"{{"model":"{group}","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#);
        let request = front.read(&config, body.into_bytes()).unwrap();
        self.at(NOW, |world| Exchange::admit(config.clone(), front, request, world)).unwrap()
    }

    /// The copy of a request to `first`.
    fn copy(&mut self, more: &str) -> Shadow {
        let exchange = self.admit("first", more);
        self.at(NOW, |world| exchange.shadow(world)).expect("a copy")
    }

    /// One that was begun.
    fn begun(&mut self, more: &str) -> Shadow {
        let mut shadow = self.copy(more);
        shadow.begin(b"cluster-copy", NOW).unwrap();
        shadow
    }

    fn answered(&mut self, shadow: &mut Shadow, head: AnswerHead) {
        self.at(NOW, |world| shadow.answered(&head, world));
    }

    fn settle(&mut self, shadow: &mut Shadow, now: Millis) -> Record {
        self.at(now, |world| shadow.settle(world))
    }
}

fn config() -> Rc<Config> {
    let deployment = |group: &str, id: &str, model: &str| {
        json!({"model_name": group, "model_info": {"id": id, "cluster": format!("cluster-{id}")},
            "litellm_params": {"model": model, "api_key": format!("sk-{id}"), "timeout": 5,
                "input_cost_per_token": 0.001, "output_cost_per_token": 0.01}})
    };
    let document = json!({
        "model_list": [
            deployment("first", "main", "openai/gpt-4o-mini"),
            deployment("other", "other", "openai/gpt-4o-mini"),
            deployment("candidate", "copy", "anthropic/claude-haiku-4-5"),
            deployment("last", "last", "openai/gpt-4o"),
        ],
        "router_settings": {"num_retries": 3, "fallbacks": [{"candidate": ["last"]}]},
        "tollgate": {"keys": [{"key_alias": "app", "key": "sk-app", "models": ["first", "other"], "max_budget": 1}],
            "shadow": [{"model_group": "first", "to": "candidate", "percent": 25}]},
    });
    Rc::new(Config::compile(&document, Env::Strict(&|_| None)).unwrap())
}

fn ok() -> AnswerHead {
    AnswerHead { status: 200, is_json: true, ..AnswerHead::default() }
}

fn stream() -> AnswerHead {
    AnswerHead { is_stream: true, is_json: false, ..ok() }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_share_of_the_groups_requests_is_copied() {
    let mut rig = Rig::new();
    let (first, other) = (rig.admit("first", ""), rig.admit("other", ""));
    for (draw, is_copied) in [(0, true), (249_999, true), (250_000, false), (u64::MAX, false)] {
        rig.draw = draw;
        assert_eq!(rig.at(NOW, |world| first.shadow(world)).is_some(), is_copied, "{draw}");
        assert!(rig.at(NOW, |world| other.shadow(world)).is_none());
    }
    rig.draw = 0;
    let odd = rig.admit("first", r#","logit_bias":{"1":2}"#);
    assert!(rig.at(NOW, |world| odd.shadow(world)).is_none(), "Anthropic has no such parameter");
    rig.fleet.closed = Some(Skip::Parallel);
    assert!(rig.at(NOW, |world| first.shadow(world)).is_none(), "it has no room");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_copy_asks_its_own_provider_with_its_own_key() {
    let mut rig = Rig::new();
    let exchange = rig.admit("first", "");
    let mut shadow = rig.at(NOW, |world| exchange.shadow(world)).unwrap();
    assert_eq!((shadow.cluster(), shadow.timeout()), ("cluster-copy", Millis::from_secs(5)));
    assert!(shadow.begin(b"cluster-main", NOW).is_err(), "a credential goes to no cluster but its own");
    let headers = Headers::decode(shadow.begin(b"cluster-copy", NOW).unwrap());
    let found = [":path", "x-api-key", "authorization", "traceparent"].map(|name| headers.text(name));
    assert_eq!(found, [Some("/v1/messages"), Some("sk-copy"), None, Some("00-1-2-01")]);
    let body: Value = serde_json::from_slice(&shadow.take_body().unwrap()).unwrap();
    assert_eq!(body["model"], "claude-haiku-4-5");
    assert!(shadow.begin(b"cluster-copy", NOW).is_err(), "there is one attempt");
    assert_eq!(exchange.first_cluster(), "cluster-main", "the request goes its own way");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_copy_is_counted_and_charged_to_nobody() {
    let mut rig = Rig::new();
    let mut shadow = rig.begun("");
    rig.answered(&mut shadow, ok());
    let (one, two) = ANSWER.split_at(40);
    for (bytes, end) in [(one, false), (two, true)] {
        rig.at(NOW, |world| shadow.read(bytes, end, world));
    }
    let record = rig.settle(&mut shadow, NOW);
    assert_eq!((record.model_group.as_str(), record.deployment.as_str(), record.status), ("candidate", "copy", 200));
    assert_eq!((record.usage.input_tokens, record.usage.output_tokens), (10, 2));
    assert_eq!((record.key_alias.as_str(), record.cost.to_string().as_str()), ("app", "0.03"));
    let mut counted = Vec::new();
    record.count_shadow(|metric, labels, by| counted.push((metric, labels.status, by)));
    let expected = [
        (Metric::ShadowRequests, 200, 1),
        (Metric::ShadowInputTokens, 200, 10),
        (Metric::ShadowOutputTokens, 200, 2),
        (Metric::ShadowCost, 200, 30_000_000),
    ];
    assert_eq!(counted, expected);
    assert_eq!(rig.fleet.told, [("copy".to_owned(), None)]);
    let (id, usage) = rig.fleet.left.first().unwrap();
    assert_eq!((id.as_str(), usage.tokens, usage.is_success), ("copy", 12, true));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_usage_of_a_stream_is_read_as_it_passes() {
    let mut rig = Rig::new();
    let mut shadow = rig.begun(r#","stream":true"#);
    assert_eq!(shadow.timeout(), Millis::from_secs(605));
    rig.answered(&mut shadow, stream());
    let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for byte in events.as_bytes().chunks(1) {
        rig.at(NOW, |world| shadow.read(byte, false, world));
    }
    rig.at(NOW, |world| shadow.read(b"", true, world));
    let record = rig.settle(&mut shadow, NOW);
    assert_eq!((record.usage.input_tokens, record.usage.output_tokens), (7, 5));
    assert_eq!(record.usage_source, Some(UsageSource::Provider));
    assert_eq!(rig.fleet.told, [("copy".to_owned(), None)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_follows_a_copy_that_fails() {
    let late = Millis(NOW.0 + 5_000);
    // What came of it: the head, whether it was cut, when it ended; the status, and what the deployment is told.
    for (head, body, now, status, failure) in [
        (Some(503), None, NOW, 503, Some(Class::ServiceUnavailable)),
        (Some(429), None, NOW, 429, Some(Class::RateLimit)),
        (Some(200), Some(b"<html>".as_slice()), NOW, 200, Some(Class::InternalServer)),
        (None, None, NOW, 503, Some(Class::Connection)),
        (None, None, late, 504, Some(Class::Timeout)),
    ] {
        let mut rig = Rig::new();
        let mut shadow = rig.begun("");
        if let Some(status) = head {
            rig.answered(&mut shadow, AnswerHead { status, is_empty: body.is_none(), ..ok() });
        }
        let _ = body.map(|body| rig.at(NOW, |world| shadow.read(body, true, world)));
        let record = rig.settle(&mut shadow, now);
        assert_eq!((record.status, record.cost), (status, PicoUsd::default()), "{head:?}");
        assert_eq!(rig.fleet.told, [("copy".to_owned(), failure)], "{head:?}");
        assert_eq!(rig.fleet.taken, ["main", "copy"], "{head:?}");
        assert_eq!(rig.fleet.left.len(), 1, "{head:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_is_cut_or_too_long_is_estimated() {
    let mut rig = Rig::new();
    let mut shadow = rig.begun("");
    rig.answered(&mut shadow, ok());
    rig.at(NOW, |world| shadow.read(&ANSWER[..30], false, world));
    assert_eq!(rig.settle(&mut shadow, NOW).usage_source, Some(UsageSource::Estimated));
    assert_eq!(rig.fleet.told, [("copy".to_owned(), Some(Class::Connection))]);

    let mut rig = Rig::new();
    let mut shadow = rig.begun("");
    rig.answered(&mut shadow, ok());
    rig.at(NOW, |world| shadow.read(&vec![b' '; 1 << 20], false, world));
    assert!(shadow.is_reading());
    rig.at(NOW, |world| shadow.read(b" ", false, world));
    assert!(!shadow.is_reading(), "nobody keeps more");
    rig.at(NOW, |world| shadow.read(b"", true, world));
    assert_eq!(rig.settle(&mut shadow, NOW).usage_source, Some(UsageSource::Estimated));
    assert_eq!(rig.fleet.told, [("copy".to_owned(), None)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_copy_that_never_began_gives_its_place_back() {
    let mut rig = Rig::new();
    let mut shadow = rig.copy("");
    rig.at(NOW, |world| shadow.withdraw(world));
    assert_eq!(rig.fleet.left, [("copy".to_owned(), Usage::default())]);
    assert!(rig.fleet.told.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_copy_is_found_by_its_id_once() {
    let (mut rig, mut copies) = (Rig::new(), Copies::new(0xabc));
    let id = copies.keep(NOW, rig.copy(""));
    assert_eq!(id, "0000000000000abc0000000000000001");
    let last = "0000000000000abc0000000000000002";
    assert_eq!(copies.keep(NOW, rig.copy("")), last);
    for made_up in
        ["", "1", "0000000000000abd0000000000000001", "0000000000000abc", "0000000000000abc000000000000000g", "\u{e9}"]
    {
        assert!(copies.take(made_up.as_bytes()).is_none(), "{made_up}");
    }
    assert!(copies.take(b"\xff0000000000000abc0000000000000001").is_none());
    assert!(copies.take(id.as_bytes()).is_some());
    assert!(copies.take(id.as_bytes()).is_none());
    assert!(copies.take(last.as_bytes()).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn copies_that_are_no_more_leave_nothing() {
    let (mut rig, mut copies) = (Rig::new(), Copies::new(1));
    let long = format!(r#","user":"{}""#, "x".repeat(5 << 20));
    let ids: Vec<_> = (0..3).map(|_| copies.keep(NOW, rig.copy(&long))).collect();
    let weight = rig.copy(&long).weight();
    assert!(!copies.has_room(weight), "three times ten of 32 MiB are taken");
    // One ends, one is refused by its cluster, one is never begun.
    let mut ended = copies.take(ids[0].as_bytes()).unwrap();
    ended.begin(b"cluster-copy", NOW).unwrap();
    rig.settle(&mut ended, NOW);
    copies.forget(&ended);
    assert!(copies.has_room(weight));
    let mut refused = copies.take(ids[1].as_bytes()).unwrap();
    assert!(refused.begin(b"cluster-main", NOW).is_err());
    rig.at(NOW, |world| refused.withdraw(world));
    copies.forget(&refused);
    assert!(copies.take_old(NOW.plus(Millis::from_secs(5))).is_empty());
    let mut old = copies.take_old(NOW.plus(Millis(5_001)));
    let never = old.pop().filter(|_| old.is_empty()).expect("the last one");
    copies.forget(&never);
    assert!(copies.take(ids[2].as_bytes()).is_none());
    assert!(copies.has_room(32 << 20), "nothing is left");
    assert!(!copies.has_room((32 << 20) + 1));
}
