//! Copies of a group's requests that go to another one, and of which the client sees, feels and pays nothing.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Answer, Gate, Mock, Received, Request, chat, wait_for};

/// Of each pair the first group answers, the second is `shadow-*`: name, what the shadow's provider does.
const SHADOWS: [(&str, &str); 5] = [
    ("well", "usage=50:500"),
    ("slow", "delay-ms=9000"),
    ("failing", "status=500"),
    ("hanging", "delay-ms=9000"),
    ("refusing", "status=500"),
];

struct Rig {
    gate: Gate,
    mock: Mock,
}

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let mock = Mock::start("shadow-mock");
        let pair = |(name, script): (&str, &str)| {
            format!(
                "- {{model_name: {name}, litellm_params: {{model: openai/gpt-4o-mini, api_key: sk-of-primary, \
                 api_base: 'http://{0}/p-{name}/usage=1000:100/v1'}}, model_info: {{id: id-{name}}}}}\n\
                 - {{model_name: shadow-{name}, litellm_params: {{model: anthropic/claude-haiku-4-5, api_key: sk-of-shadow, \
                 timeout: 2, stream_timeout: 30, api_base: 'http://{0}/s-{name}/{script}'}}, model_info: {{id: id-shadow-{name}}}}}\n",
                mock.address()
            )
        };
        let shadow = |(name, _): (&str, &str)| format!("  - {{model_group: {name}, to: shadow-{name}, percent: 100}}\n");
        let dead = format!(
            "- {{model_name: dead, litellm_params: {{model: openai/gpt-4o-mini, api_key: sk-of-primary, \
             api_base: 'http://{}/p-dead/v1'}}, model_info: {{id: id-dead}}}}\n\
             - {{model_name: shadow-dead, litellm_params: {{model: openai/gpt-4o, api_key: sk-of-shadow, \
             api_base: 'http://{{dead}}/v1'}}, model_info: {{id: id-shadow-dead}}}}\n",
            mock.address()
        );
        let config = format!(
            "model_list:\n{}{dead}router_settings: {{num_retries: 0}}\ngeneral_settings: {{master_key: sk-master}}\n\
             tollgate:\n  shadow:\n{}  - {{model_group: dead, to: shadow-dead, percent: 100}}\n  keys:\n  \
             - {{key_alias: app, key: sk-app}}\n  - {{key_alias: counted, key: sk-counted}}\n  - {{key_alias: paying, key: sk-paying, max_budget: 1, models: [well]}}\n",
            SHADOWS.map(pair).concat(),
            SHADOWS.map(shadow).concat()
        );
        Rig { gate: Gate::start("shadow", &config), mock }
    })
}

fn ask(key: &str, group: &str, more: &str) -> Request {
    rig().gate.request("/v1/chat/completions", key, chat(group, more))
}

/// Waits until the shadow of `group` has received `count` requests.
fn copies(group: &str, count: usize) -> Vec<Received> {
    wait_for("the copies", || {
        let received = rig().mock.requests(&format!("/s-{group}/"));
        (received.len() >= count).then_some(received)
    })
}

/// Fails if the answer is not the primary's, or lets on that there is a shadow.
#[track_caller]
fn expect_primary(answer: &Answer, group: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.is_whole);
    let told = ["deployment", "attempts", "fallbacks"].map(|name| answer.header(&format!("x-tollgate-{name}")));
    assert_eq!(told, [Some(format!("id-{group}").as_str()), Some("1"), Some("0")]);
    let mut everything = answer.headers.iter().flat_map(|(name, value)| [name, value]);
    assert!(!everything.any(|text| text.contains("shadow") || text.contains("claude")), "{:?}", answer.headers);
    assert!(!answer.text().contains("claude"), "{}", answer.text());
}

#[test]
fn a_shadow_gets_the_request_in_its_own_shape_with_its_own_key() {
    let answer = ask("sk-app", "well", r#","max_tokens":33"#).send();
    expect_primary(&answer, "well");
    expect_primary(&ask("sk-app", "well", ",\"stream\":true").send(), "well");
    let received =
        copies("well", 2).into_iter().find(|received| received.json()["max_tokens"] == 33).expect("the copy");
    assert!(received.path.ends_with("/messages"), "{}", received.path);
    assert_eq!((received.header("x-api-key"), received.header("authorization")), (Some("sk-of-shadow"), None));
    assert!(received.header("anthropic-version").is_some());
    let body = received.json();
    assert_eq!(
        (&body["model"], &body["messages"][0]["role"]),
        (&Value::from("claude-haiku-4-5"), &Value::from("user"))
    );
    assert_eq!(received.header("content-length"), Some(received.body.len().to_string().as_str()));
    let everything = format!("{received:?}");
    assert!(!everything.contains("sk-app") && !everything.contains("sk-of-primary"), "{everything}");
    for primary in rig().mock.requests("/p-well/") {
        assert_eq!(primary.header("authorization"), Some("Bearer sk-of-primary"));
        assert!(!format!("{primary:?}").contains("sk-of-shadow"));
    }
}

#[test]
fn nobody_pays_for_a_shadow() {
    let answer = ask("sk-paying", "well", "").send();
    expect_primary(&answer, "well");
    // gpt-4o-mini: 0.15 USD and 0.6 USD for a million tokens.
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.00021"));
    copies("well", 1);
    let record = rig().gate.record("paying");
    let found = ["deployment", "total_tokens", "cost_usd", "attempts"].map(|name| record[name].clone());
    assert_eq!(found, ["id-well", "1100", "0.00021", "1"].map(Value::from));
    std::thread::sleep(Duration::from_millis(300));
    let spend = rig().gate.get("/key/info", "sk-paying").expect_ok().at("/info/spend");
    assert_eq!(spend.as_f64(), Some(0.00021), "spend");
}

#[test]
fn a_shadow_that_is_slow_or_fails_changes_nothing() {
    for group in ["slow", "failing", "dead"] {
        for more in ["", ",\"stream\":true"] {
            let start = Instant::now();
            expect_primary(&ask("sk-app", group, more).send(), group);
            assert!(start.elapsed() < Duration::from_secs(3), "{group}: {:?}", start.elapsed());
        }
    }
    for group in ["slow", "failing"] {
        assert_eq!(copies(group, 2).len(), 2, "each once");
    }
    // It is asked again, however it fared: it was no failure of the client's provider.
    for _ in 0..8 {
        expect_primary(&ask("sk-app", "failing", "").send(), "failing");
    }
}

#[test]
fn what_a_shadow_used_is_counted_apart() {
    let counted = [("key_alias", "counted"), ("deployment", "id-shadow-well"), ("status", "200")];
    for more in ["", ",\"stream\":true"] {
        expect_primary(&ask("sk-counted", "well", more).send(), "well");
    }
    for (name, value) in [("requests", 2), ("input_tokens", 100), ("output_tokens", 1000)] {
        rig().gate.expect_counter(&format!("tollgate_shadow_{name}_total"), &counted, value);
    }
    // claude-haiku-4-5: 1 USD and 5 USD for a million tokens.
    rig().gate.expect_counter("tollgate_shadow_cost_nano_usd_total", &counted, 5_100_000);
    rig().gate.expect_counter("tollgate_requests_total", &[("key_alias", "counted")], 2);
    rig().gate.expect_counter("tollgate_requests_total", &counted[1..], 0);
}

#[test]
fn a_shadow_ends_in_its_own_time_and_its_failures_are_counted() {
    for (group, status) in [("hanging", "504"), ("refusing", "500"), ("dead", "503")] {
        expect_primary(&ask("sk-counted", group, "").send(), group);
        let id = format!("id-shadow-{group}");
        let labels = [("key_alias", "counted"), ("deployment", id.as_str()), ("status", status)];
        rig().gate.expect_counter("tollgate_shadow_requests_total", &labels, 1);
        rig().gate.expect_counter("tollgate_shadow_cost_nano_usd_total", &labels, 0);
    }
}

#[test]
fn a_long_request_is_copied_whole() {
    let long = "x".repeat(3 << 20);
    let more = format!(r#","metadata":{{}},"user":"{long}","max_tokens":77"#);
    let body = chat("well", &more);
    expect_primary(&rig().gate.request("/v1/chat/completions", "sk-app", body).send(), "well");
    let received = wait_for("the copy", || {
        let mut received = rig().mock.requests("/s-well/").into_iter();
        received.find(|received| received.json()["max_tokens"] == 77)
    });
    assert_eq!(received.json()["metadata"]["user_id"].as_str().map(str::len), Some(long.len()));
}
