//! What an operator does while it runs: keys are blocked and opened, and spend is reset.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options, at_once, chat, wait_for};

/// An answer costs ten cents, and no more can be reserved for one.
const CONFIG: &str = "
model_list:
- model_name: ten-cents
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/or-cents/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: held
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/or-held/usage=5:10,delay-ms=1500/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  keys:
  - {key_alias: victim, key: sk-victim}
  - {key_alias: other, key: sk-other}
  - {key_alias: shut, key: sk-shut, blocked: true}
  - {key_alias: spender, key: sk-spender, max_budget: 0.2, budget_duration: 1mo}
  - {key_alias: running, key: sk-running, max_budget: 10}
  - {key_alias: 'team/a', key: sk-slash}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start_with("orders", CONFIG, Options { concurrency: 4, ..Options::default() }))
}

fn order(path: &str, key: &str, body: &Value) -> Answer {
    gate().post(path, key, body.to_string())
}

/// The statuses of 64 requests at once, on connections of their own: every worker gets some.
fn statuses(key: &str) -> Vec<u16> {
    let request = gate().request("/v1/chat/completions", key, chat("ten-cents", ""));
    at_once((0..64).map(|_| request.clone())).iter().map(|answer| answer.status).collect()
}

fn spend_of(alias: &str) -> Value {
    gate().get(&format!("/key/info?key_alias={alias}"), "sk-master").expect_ok().at("/info/spend")
}

#[test]
fn a_blocked_key_is_refused_by_every_worker_at_once() {
    assert_eq!(statuses("sk-victim"), [200; 64]);
    for round in 1..=3 {
        let told = order("/key/block", "sk-master", &json!({"key": "sk-victim"})).expect_ok().json();
        assert_eq!((&told["key_alias"], &told["blocked"]), (&json!("victim"), &json!(true)));
        assert_eq!(statuses("sk-victim"), [401; 64], "round {round}");
        let error = gate().chat("sk-victim", "ten-cents").expect_error(401, "authentication_error", "invalid_api_key");
        assert!(error["message"].as_str().unwrap().contains("blocked"), "{error}");
        assert_eq!(gate().get("/key/info?key=sk-victim", "sk-master").expect_ok().at("/info/blocked"), true);
        assert_eq!(gate().get("/key/info", "sk-other").expect_ok().at("/info/blocked"), false);
        let told = order("/key/unblock", "sk-master", &json!({"key_alias": "victim"})).expect_ok().json();
        assert_eq!(told["blocked"], false);
        assert_eq!(statuses("sk-victim"), [200; 64], "round {round}");
    }
    let lines = gate().access_log_where("the orders", 6, |line| {
        line["key_alias"] == "master" && line["order"].as_str().is_some_and(|order| order.ends_with(" victim"))
    });
    let orders: Vec<&str> = lines.iter().map(|line| line["order"].as_str().unwrap()).collect();
    assert_eq!(orders[..2], ["blocked victim", "unblocked victim"]);
    assert!(gate().stderr().contains("the master key has blocked key 'victim'"));
    let logs = format!("{}{}", gate().stdout(), gate().stderr());
    assert!(!logs.contains("sk-victim") && !logs.contains("sk-master"));
}

#[test]
fn only_the_master_key_gives_orders() {
    for path in ["/key/block", "/key/unblock", "/v1/key/block", "/key/other/reset_spend"] {
        let body = json!({"key": "sk-other", "reset_to": 0});
        order(path, "sk-other", &body).expect_error(403, "permission_error", "not_permitted");
        order(path, "sk-nobody", &body).expect_error(401, "authentication_error", "invalid_api_key");
    }
    gate().chat("sk-other", "ten-cents").expect_ok();
    let other = gate().get("/key/info?key_alias=spender", "sk-other");
    other.expect_error(403, "permission_error", "not_permitted");
    assert_eq!(gate().get("/key/info?key_alias=other", "sk-other").expect_ok().at("/info/key_alias"), "other");
}

#[test]
fn an_order_that_makes_no_sense_is_told_so() {
    let rows = [
        ("/key/block", json!({"key": "sk-nobody"}), 404, "key_not_found"),
        ("/key/block", json!({"key_alias": "nobody"}), 404, "key_not_found"),
        ("/key/block", json!({}), 400, "missing_required_parameter"),
        ("/key/unblock", json!({"key_alias": "shut"}), 400, "invalid_value"),
        ("/key/nobody/reset_spend", json!({"reset_to": 0}), 404, "key_not_found"),
        ("/key/other/reset_spend", json!({}), 400, "missing_required_parameter"),
        ("/key/other/reset_spend", json!({"reset_to": 1000}), 400, "invalid_value"),
        ("/key/block", json!({"key": "x".repeat(100_000)}), 413, "request_too_large"),
    ];
    for (path, body, status, code) in rows {
        order(path, "sk-master", &body).expect_error(status, "invalid_request_error", code);
    }
    gate().get("/key/block", "sk-master").expect_error(404, "invalid_request_error", "unknown_endpoint");
    let told = order("/key/unblock", "sk-master", &json!({"key_alias": "shut"}));
    assert!(told.text().contains("blocked by the config"), "{}", told.text());
    assert_eq!(gate().chat("sk-shut", "ten-cents").status, 401);
}

#[test]
fn a_budget_begins_anew_after_a_reset() {
    let ask = || gate().post("/v1/chat/completions", "sk-spender", chat("ten-cents", r#","max_tokens":10"#));
    for spent in [0.1, 0.2] {
        ask().expect_ok();
        wait_for("the charge", || (spend_of("spender") == json!(spent)).then_some(()));
    }
    ask().expect_error(429, "budget_exceeded", "budget_exceeded");
    let told = order("/key/spender/reset_spend", "sk-master", &json!({"reset_to": 0.1})).expect_ok().json();
    assert_eq!((&told["spend"], &told["previous_spend"], &told["max_budget"]), (&json!(0.1), &json!(0.2), &json!(0.2)));
    assert!(told["budget_reset_at"].is_string(), "{told}");
    ask().expect_ok();
    wait_for("the charge", || (spend_of("spender") == json!(0.2)).then_some(()));
    ask().expect_error(429, "budget_exceeded", "budget_exceeded");
    let slash = order("/key/team%2Fa/reset_spend", "sk-master", &json!({"reset_to": 0})).expect_ok();
    assert_eq!(slash.at("/key_alias"), "team/a");
}

#[test]
fn what_runs_at_a_reset_is_charged_after_it() {
    let ask = |model: &str| gate().post("/v1/chat/completions", "sk-running", chat(model, r#","max_tokens":10"#));
    ask("ten-cents").expect_ok();
    wait_for("the charge", || (spend_of("running") == json!(0.1)).then_some(()));
    let running: Vec<_> = (0..8).map(|_| std::thread::spawn(move || ask("held").status)).collect();
    wait_for("the requests", || (Mock::shared().requests("/or-held/").len() == 8).then_some(()));
    let told = order("/key/running/reset_spend", "sk-master", &json!({"reset_to": 0})).expect_ok();
    assert_eq!((told.at("/previous_spend"), spend_of("running")), (json!(0.1), json!(0)));
    assert!(running.into_iter().all(|thread| thread.join().unwrap() == 200));
    wait_for("the charge", || (spend_of("running") == json!(0.8)).then_some(()));
}
