//! The global mode counts for everybody: providers, deployments, end users that the config does not list, shadow mode.

use serde_json::Value;

use super::{Fleet, TEN_CENTS};
use crate::harness::{Answer, Gate, Mock, chat, wait_for};

/// Ten cents an answer; `SECTIONS` may follow.
const CONFIG: &str = "
model_list:
- {model_name: m, litellm_params: {model: PROVIDER/x, api_base: 'http://{mock}/NAME/usage=5:10,delay-ms=300/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01, OWN order: 1}, model_info: {id: first}}
- {model_name: m, litellm_params: {model: openai/x, api_base: 'http://{mock}/NAME-2/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0, order: 2}, model_info: {id: second}}
- {model_name: alone, litellm_params: {model: PROVIDER/x, api_base: 'http://{mock}/NAME-3/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}, model_info: {id: alone}}
general_settings: {master_key: sk-master}
";

fn fleet(name: &str, provider: &str, own: &str, sections: &str) -> Fleet {
    let config = CONFIG.replace("NAME", name).replace("PROVIDER", provider).replace("OWN", own);
    let tollgate = "tollgate:\n  rate_limit_service: {cluster: rls, address: '{rls}', domain: fleet, timeout: 5s}\n";
    Fleet::of(name, &format!("{config}{tollgate}{sections}"), 2)
}

fn ask(gate: &Gate, model: &str) -> Answer {
    gate.post("/v1/chat/completions", "sk-master", chat(model, r#","max_tokens":10"#))
}

/// Who served each of these turns; after each of them all is told.
fn served(fleet: &Fleet, turns: &[usize]) -> Vec<String> {
    let serve = |turn: &usize| {
        let answer = ask(fleet.gate(*turn), "m").expect_ok();
        fleet.rls.quiet();
        answer.header("x-tollgate-deployment").unwrap().to_owned()
    };
    turns.iter().map(serve).collect()
}

fn expect_passed_over(gate: &Gate, reason: &str) {
    let is_other = |record: &Value| record["deployment"] == "second";
    let record = gate.access_log_where("a request of the second", 1, is_other).remove(0);
    let routing = record["routing"].as_str().unwrap();
    assert!(routing.contains(&format!("skipped first:{reason}")), "{routing}");
}

#[test]
fn a_provider_has_one_budget_for_two_gateways() {
    let budget = "router_settings: {provider_budget_config: {groq: {budget_limit: 0.25, time_period: 1d}}}\n";
    let fleet = fleet("gl-provider", "groq", "", budget);
    // The third passes the cap. The second gateway does not know before it has told of an attempt of its own.
    assert_eq!(served(&fleet, &[0, 1, 0, 1]), ["first"; 4]);
    assert_eq!(fleet.rls.counted("provider/groq/budget/1d"), 250_000);
    assert_eq!(served(&fleet, &[0, 1]), ["second"; 2]);
    for gate in &fleet.gates {
        expect_passed_over(gate, "budget");
        let answer = ask(gate, "alone");
        let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("provider 'groq' is spent on all gateways together"), "{message}");
        assert!(answer.header("retry-after").is_some());
        let labels = [("scope", "provider"), ("account", "groq"), ("reason", "budget")];
        gate.expect_counter("tollgate_account_refusals_total", &labels, 1);
    }
    assert_eq!(Mock::shared().requests("/gl-provider/").len(), 4);
    assert!(Mock::shared().requests("/gl-provider-3/").is_empty());
}

#[test]
fn a_deployment_has_one_budget_and_one_limit_for_two_gateways() {
    let rich = fleet("gl-deployment", "openai", "max_budget: 0.25, budget_duration: 1d,", "");
    assert_eq!(served(&rich, &[0, 1, 0, 1, 0, 1]), ["first", "first", "first", "first", "second", "second"]);
    rich.gates.iter().for_each(|gate| expect_passed_over(gate, "budget"));

    let busy = fleet("gl-deployment-rpd", "openai", "rpd: 4,", "");
    // Limitador says that there is no room once more is told than there is: each gateway tries once.
    assert_eq!(served(&busy, &[0, 1, 0, 1]), ["first"; 4]);
    let turns = served(&busy, &[0, 1, 0, 1]);
    assert_eq!(turns, ["first", "first", "second", "second"]);
    busy.gates.iter().for_each(|gate| expect_passed_over(gate, "rpd"));
    assert_eq!(busy.rls.counted("deployment/first/requests/1d"), 4);
}

#[test]
fn whom_nobody_lists_has_one_budget_for_two_gateways() {
    let budget = "litellm_settings: {max_end_user_budget: 0.25}\n";
    let fleet = fleet("gl-other", "openai", "", budget);
    let ask = |turn: usize, user: &str| {
        let user = serde_json::to_string(user).unwrap();
        let body = chat("m", &format!(r#","max_tokens":10,"user":{user}"#));
        let answer = fleet.gate(turn).post("/v1/chat/completions", "sk-master", body);
        fleet.rls.quiet();
        answer
    };
    let odd = "r\u{f6}d/*: \"one\"\n['x']";
    for user in ["ann", odd] {
        for turn in 0..3 {
            ask(turn, user).expect_ok();
        }
        for turn in 0..2 {
            let error = ask(turn, user).expect_error(429, "budget_exceeded", "budget_exceeded");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("the end user is spent on all gateways together"), "{message}");
        }
    }
    ask(0, "bob").expect_ok();
    assert_eq!(fleet.rls.counted("other_end_user/budget/never"), 2 * 250_000 + TEN_CENTS);
    let labels = [("scope", "other_end_user"), ("account", "none"), ("reason", "budget")];
    fleet.gates.iter().for_each(|gate| gate.expect_counter("tollgate_account_refusals_total", &labels, 2));
}

#[test]
fn shadow_mode_looks_at_what_two_gateways_spend_together() {
    let keys = "  keys:
  - {key_alias: watched, key: sk-watched, max_budget: 0.25, rpd_limit: 6, mode: {max_budget: shadow}}
";
    let fleet = fleet("gl-shadow", "openai", "", keys);
    let ask = |turn: usize| {
        let body = chat("m", r#","max_tokens":10"#);
        fleet.gate(turn).post("/v1/chat/completions", "sk-watched", body)
    };
    let records: Vec<Value> = (0..6)
        .map(|turn| {
            ask(turn).expect_ok();
            fleet.rls.quiet();
            fleet.gate(turn).access_log("watched", turn / 2 + 1).pop().unwrap()
        })
        .collect();
    let would_refuse: Vec<&str> = records.iter().map(|record| record["would_refuse"].as_str().unwrap_or("")).collect();
    let budget = "key 'watched': budget";
    // Neither has spent it alone when the service says so.
    assert_eq!(would_refuse, ["", "", "", budget, budget, budget]);
    assert_eq!(fleet.rls.counted("key/watched/budget/never"), 250_000);
    let labels = |reason| [("scope", "key"), ("account", "watched"), ("reason", reason)];
    for (gate, count) in fleet.gates.iter().zip([1, 2]) {
        gate.expect_counter("tollgate_account_shadow_refusals_total", &labels("budget"), count);
    }
    // What is enforced is enforced: the one does not hide the other.
    for (turn, gate) in fleet.gates.iter().enumerate() {
        let error = ask(turn).expect_error(429, "rate_limit_error", "rate_limit_exceeded");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("limit of 6 requests on all gateways together"), "{message}");
        gate.expect_counter("tollgate_account_refusals_total", &labels("rpd"), 1);
        assert_eq!(gate.counter("tollgate_account_refusals_total", &labels("budget")), 0);
    }
    wait_for("the requests", || (Mock::shared().requests("/gl-shadow/").len() == 6).then_some(()));
}
