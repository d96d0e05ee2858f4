//! What makes a request move on to the next target, and what does not.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, chat};

/// The faults of a provider after which another one is asked: name, script.
const MOVING: [(&str, &str); 14] = [
    ("401", "status=401"),
    ("403", "status=403"),
    ("408", "status=408"),
    ("429", "status=429,retry-after=1"),
    ("429-of-an-envoy", "status=429,header=x-envoy-ratelimited:true"),
    ("500", "status=500"),
    ("502", "status=502"),
    ("503", "status=503"),
    ("504", "status=504"),
    ("529", "status=529"),
    ("reset", "reset=1"),
    ("timeout", "delay-ms=9000"),
    ("garbage", "garbage=1"),
    ("cut", "cut=40"),
];

/// Those after which none is: the client is at fault.
const STAYING: [(&str, &str); 4] =
    [("400", "status=400"), ("404", "status=404"), ("413", "status=413"), ("422", "status=422")];

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("fallback", &config()))
}

fn config() -> String {
    let mut config = Config::default();
    for (name, script) in MOVING.into_iter().chain(STAYING) {
        config.deployment(name, "openai/gpt-4o-mini", script, "timeout: 0.7");
        config.deployment(&format!("{name}-claude"), "anthropic/claude-haiku-4-5", script, "timeout: 0.7");
        for group in [name.to_owned(), format!("{name}-claude")] {
            config.deployment(&format!("after-{group}"), "openai/gpt-4o", "usage=10:20", "timeout: 0.7");
            config.fallbacks.push(format!("{group}: [after-{group}]"));
        }
    }
    config.text.push_str(
        "- {model_name: refused, litellm_params: {model: openai/gpt-4o, api_base: 'http://{dead}/v1', api_key: sk-x}}\n",
    );
    config.deployment("after-refused", "openai/gpt-4o", "usage=10:20", "");
    config.deployment("chain", "openai/gpt-4o-mini", "status=503", "");
    config.deployment("chain-2", "anthropic/claude-haiku-4-5", "status=529", "");
    config.deployment("chain-3", "openai/gpt-4o", "usage=10:20", "");
    config.deployment("all-fail", "openai/gpt-4o-mini", "status=500", "");
    config.deployment("all-fail-2", "anthropic/claude-haiku-4-5", "status=429,retry-after=17", "");
    config.deployment("recovers", "openai/gpt-4o-mini", "status=500,times=2", "num_retries: 2");
    config.deployment("persists", "openai/gpt-4o-mini", "status=500,times=3,retry-after=5", "num_retries: 2");
    config.deployment("guarded", "openai/gpt-4o-mini", "status=500", "");
    config.deployment("forbidden", "openai/gpt-4o", "chunks=1", "");
    config.deployment("late-cut", "openai/gpt-4o-mini", "cut=2", "");
    config.deployment("after-late-cut", "openai/gpt-4o", "chunks=1", "");
    config.deployment("weighted", "openai/gpt-4o-mini", "id=heavy", "weight: 3");
    config.deployment("weighted", "openai/gpt-4o-mini", "id=light", "weight: 1");
    config.deployment("weighted", "openai/gpt-4o-mini", "id=none", "weight: 0");
    config.deployment("pair", "openai/gpt-4o-mini", "id=one,status=500", "num_retries: 1, weight: 1");
    config.deployment("pair", "openai/gpt-4o-mini", "id=two", "num_retries: 1, weight: 1");
    config.fallbacks.extend(
        [
            "refused: [after-refused]",
            "chain: [chain-2, chain-3]",
            "all-fail: [all-fail-2]",
            "guarded: [forbidden]",
            "late-cut: [after-late-cut]",
        ]
        .map(str::to_owned),
    );
    config.write()
}

#[derive(Default)]
struct Config {
    text: String,
    fallbacks: Vec<String>,
    ids: BTreeMap<String, u32>,
}

impl Config {
    /// A deployment that the provider tells from others by `/fb-<group>/`.
    fn deployment(&mut self, group: &str, model: &str, script: &str, params: &str) {
        let twins = self.ids.entry(group.to_owned()).or_default();
        *twins += 1;
        self.text.push_str(&format!(
            "- model_name: '{group}'\n  litellm_params: {{model: {model}, api_base: 'http://{{mock}}/fb-{group}/{script}', \
             api_key: sk-x, {params}}}\n  model_info: {{id: id-{group}-{twins}}}\n"
        ));
    }

    fn write(self) -> String {
        let fallbacks: String = self.fallbacks.iter().map(|fallback| format!("  - {{'{fallback}}}\n")).collect();
        let fallbacks = fallbacks.replace(": [", "': [");
        format!(
            "model_list:\n{}router_settings:\n  num_retries: 0\n  fallbacks:\n{fallbacks}\
             tollgate:\n  keys:\n  - {{key_alias: app, key: sk-app}}\n  - {{key_alias: narrow, key: sk-narrow, models: [guarded]}}\n",
            self.text
        )
    }
}

/// How many requests a deployment's provider received.
fn received(part: &str) -> usize {
    Mock::shared().requests(part).len()
}

fn headers<const N: usize>(answer: &Answer, names: [&str; N]) -> [Option<String>; N] {
    names.map(|name| answer.header(&format!("x-tollgate-{name}")).map(str::to_owned))
}

#[test]
fn a_provider_that_fails_is_followed_by_the_next_one() {
    for name in MOVING.iter().map(|(name, _)| *name).chain(["refused"]) {
        let answer = gate().chat("sk-app", name);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.at("/model"), "gpt-4o", "{name}");
        let found = headers(&answer, ["model-group", "deployment", "provider", "attempts", "fallbacks"]);
        let expected = [name, &format!("id-after-{name}-1"), "openai", "2", "1"].map(|text| Some(text.to_owned()));
        assert_eq!(found, expected, "{name}");
        let after = format!("/fb-after-{name}/");
        assert_eq!(
            (received(&format!("/fb-{name}/")), received(&after)),
            (usize::from(name != "refused"), 1),
            "{name}"
        );
        // gpt-4o: 2.5 USD and 10 USD for a million tokens.
        assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.000225"), "{name}");
    }
}

#[test]
fn a_stream_falls_back_as_long_as_nothing_was_sent() {
    for name in MOVING.iter().map(|(name, _)| *name).filter(|name| !["garbage", "cut"].contains(name)) {
        let body = chat(&format!("{name}-claude"), r#","stream":true"#);
        let answer = gate().post("/v1/chat/completions", "sk-app", body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{name}: {}", answer.text());
        assert_eq!(answer.chunks()[0]["model"], "gpt-4o", "{name}");
        assert_eq!(headers(&answer, ["attempts", "fallbacks"]), ["2", "1"].map(|text| Some(text.to_owned())), "{name}");
    }
}

#[test]
fn a_stream_that_has_begun_is_not_begun_again() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("late-cut", r#","stream":true"#));
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("The mock") && !answer.is_whole);
    assert_eq!((received("/fb-late-cut/"), received("/fb-after-late-cut/")), (1, 0));
}

#[test]
fn a_client_at_fault_is_told_at_once() {
    for (name, _) in STAYING {
        for group in [name.to_owned(), format!("{name}-claude")] {
            let answer = gate().chat("sk-app", &group);
            let told = (answer.status.to_string(), answer.at("/error/type"), answer.at("/error/message"));
            let message = json!(format!("mock-provider was told to answer {name}"));
            assert_eq!(told, (name.to_owned(), json!("invalid_request_error"), message));
            let found = headers(&answer, ["deployment", "attempts", "fallbacks", "response-cost"]);
            let expected = [Some(format!("id-{group}-1")), Some("1".to_owned()), Some("0".to_owned()), None];
            let counts = (received(&format!("/fb-{group}/")), received(&format!("/fb-after-{group}/")));
            assert_eq!((found, counts), (expected, (1, 0)), "{group}");
        }
    }
}

#[test]
fn fallbacks_are_tried_in_their_order() {
    let answer = gate().chat("sk-app", "chain").expect_ok();
    let found = headers(&answer, ["deployment", "attempts", "fallbacks"]);
    assert_eq!(found, ["id-chain-3-1", "3", "2"].map(|text| Some(text.to_owned())));
    let bodies = ["/fb-chain/", "/fb-chain-2/", "/fb-chain-3/"].map(|part| Mock::shared().request(part));
    let models = bodies.each_ref().map(|received| received.json()["model"].as_str().unwrap().to_owned());
    assert_eq!(models, ["gpt-4o-mini", "claude-haiku-4-5", "gpt-4o"]);
    assert_eq!(bodies[2].body, bodies[0].body.replace("gpt-4o-mini", "gpt-4o"));
    for received in &bodies {
        assert_eq!(received.header("content-length"), Some(received.body.len().to_string().as_str()));
    }
}

#[test]
fn when_all_fail_the_client_gets_the_last_error_translated() {
    let answer = gate().chat("sk-app", "all-fail");
    let error = answer.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    assert_eq!(error["message"], "mock-provider was told to answer 429");
    assert_eq!(answer.header("retry-after"), Some("17"));
    let found = headers(&answer, ["deployment", "provider", "attempts", "fallbacks"]);
    assert_eq!(found, ["id-all-fail-2-1", "anthropic", "2", "1"].map(|text| Some(text.to_owned())));
}

#[test]
fn num_retries_repeats_inside_the_group() {
    let answer = gate().chat("sk-app", "recovers").expect_ok();
    assert_eq!(headers(&answer, ["attempts", "fallbacks"]), ["3", "0"].map(|text| Some(text.to_owned())));
    assert_eq!(received("/fb-recovers/"), 3);
    let answer = gate().chat("sk-app", "persists");
    assert_eq!((answer.status, answer.at("/error/type")), (500, json!("server_error")));
    assert_eq!((answer.header("retry-after"), answer.header("x-tollgate-attempts")), (Some("5"), Some("3")));
    assert_eq!(received("/fb-persists/"), 3);
}

#[test]
fn a_retry_meets_the_other_deployment_of_the_group() {
    for _ in 0..8 {
        gate().chat("sk-app", "pair").expect_ok();
    }
    let (failed, served) = (received("/fb-pair/id=one"), received("/fb-pair/id=two"));
    assert!(served == 8 && failed < 8, "{failed} failed, {served} were served");
}

#[test]
fn a_fallback_never_leads_to_a_model_that_the_key_may_not_use() {
    let answer = gate().chat("sk-narrow", "guarded");
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (500, Some("1")), "{}", answer.text());
    assert_eq!(received("/fb-forbidden/"), 0);
    gate().chat("sk-app", "guarded").expect_ok();
    assert_eq!(received("/fb-forbidden/"), 1);
}

#[test]
fn weights_are_shares() {
    for _ in 0..200 {
        gate().chat("sk-app", "weighted").expect_ok();
    }
    let [heavy, light, none] = ["heavy", "light", "none"].map(|id| received(&format!("/fb-weighted/id={id}/")));
    // 150 of 200 are expected; this is six standard deviations wide.
    assert!((113..=187).contains(&heavy) && heavy + light == 200 && none == 0, "{heavy}:{light}:{none}");
}

#[test]
fn a_provider_that_stays_away_is_an_error_of_its_own_kind() {
    let config = "
model_list:
- model_name: slow
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/aw-slow/delay-ms=9000', api_key: sk-x, timeout: 0.4}
- model_name: slow-claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/aw-claude/delay-ms=9000', api_key: sk-x, timeout: 0.4}
- model_name: dead
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{dead}/v1', api_key: sk-x}
- model_name: reset
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/aw-reset/reset=1', api_key: sk-x}
router_settings: {num_retries: 1}
tollgate: {allow_anonymous: true}
";
    let gate = Gate::start("away", config);
    for model in ["slow", "slow-claude"] {
        let start = Instant::now();
        let answer = gate.chat("", model);
        answer.expect_error(504, "timeout_error", "timeout");
        assert_eq!(answer.header("x-tollgate-attempts"), Some("2"));
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
    for (model, attempts) in [("dead", "2"), ("reset", "2")] {
        let answer = gate.chat("", model);
        answer.expect_error(503, "api_error", "upstream_unreachable");
        assert_eq!(answer.header("x-tollgate-attempts"), Some(attempts), "{model}");
        assert!(!answer.text().contains("upstream connect error"), "{}", answer.text());
    }
    let models: Value = gate.get("/v1/models", "").expect_ok().at("/data");
    assert_eq!(models.as_array().map(Vec::len), Some(4));
}
