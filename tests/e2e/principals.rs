//! Who else pays: models of a key, tags, end users, providers, deployments; what is only watched; what gives way.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options, at_once, chat, early_in_a_minute, wait_for};

/// An answer costs ten cents, and no more can be reserved for one.
const CONFIG: &str = "
model_list:
- model_name: dear
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-dear/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: cheap
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-cheap/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.0001}
- model_name: secret
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-secret/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0}
- model_name: claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/pr-claude/usage=5:10', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
litellm_settings:
  tag_budget_config:
    nightly: {max_budget: 0.2, budget_duration: 1d}
    crowded: {budget_limit: 100, time_period: 1d, rpm_limit: 2}
  max_end_user_budget_id: anybody
general_settings: {master_key: sk-master}
tollgate:
  budgets:
  - {budget_id: anybody, max_budget: 0.1, budget_duration: 1mo}
  - {budget_id: gold, max_budget: 100}
  end_users:
  - {user_id: alice, max_budget: 0.2}
  - {user_id: goldie, budget_id: gold}
  teams:
  - {team_id: harbor, model_max_budget: {cheap: {max_budget: 0.001, budget_duration: 1d}}}
  keys:
  - {key_alias: by-model, key: sk-by-model, team_id: harbor, max_budget: 50, model_max_budget: {dear: {budget_limit: 0.2, time_period: 1d}}}
  - {key_alias: giving-way, key: sk-giving-way, models: [dear, cheap, claude], model_max_budget: {dear: {max_budget: 0.1}}, budget_fallbacks: {dear: [secret, cheap]}}
  - {key_alias: night-1, key: sk-night-1, tags: [nightly]}
  - {key_alias: night-2, key: sk-night-2}
  - {key_alias: busy, key: sk-busy, tags: [crowded]}
  - {key_alias: front, key: sk-front}
  - {key_alias: watched, key: sk-watched, max_budget: 0.1, rpm_limit: 100, mode: shadow}
  - {key_alias: half-watched, key: sk-half-watched, max_budget: 0.1, rpd_limit: 1, mode: {rpd_limit: shadow}}
  - {key_alias: daily, key: sk-daily, rpd_limit: 3, tpm_limit: 100000}
  - {key_alias: two-windows, key: sk-two-windows, max_budget: 0.1, budget_duration: 1h, budget_limits: [{max_budget: 0.5, budget_duration: 1mo}, {max_budget: 0.05, budget_duration: 1d, mode: shadow}]}
  - {key_alias: soft, key: sk-soft, max_budget: 0.5, soft_budget: 0.15}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start_with("principals", CONFIG, Options { concurrency: 4, ..Options::default() }))
}

fn ask_with(key: &str, model: &str, more: &str) -> Answer {
    gate().post("/v1/chat/completions", key, chat(model, &format!(r#","max_tokens":10{more}"#)))
}

fn ask(key: &str, model: &str) -> Answer {
    ask_with(key, model, "")
}

/// The charge comes after the answer: until `path` says so of what `pointer` leads to.
fn expect(path: &str, pointer: &str, expected: &Value) {
    let told = || gate().get(path, "sk-master").expect_ok().json().pointer(pointer).cloned();
    wait_for(&format!("{expected} at {pointer} of {path}"), || (told().as_ref() == Some(expected)).then_some(()));
}

fn expect_spent(answer: &Answer, whose: &str) {
    let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains(whose), "{error}");
}

/// Where the row of a list that names `name` has its spend.
fn expect_in(list: &str, name: &str, spend: &Value) {
    wait_for(&format!("{spend} of {name}"), || {
        let rows = gate().get(&format!("/spend/{list}"), "sk-master").expect_ok().json();
        let row =
            rows.as_array().unwrap().iter().find(|row| row.as_object().unwrap().values().any(|value| value == name))?;
        (row["spend"] == *spend).then_some(())
    });
}

#[test]
fn a_model_of_a_key_has_a_budget_of_its_own() {
    let info = || gate().get("/key/info", "sk-by-model").expect_ok().json()["info"].clone();
    for spent in [0.1, 0.2] {
        ask("sk-by-model", "dear").expect_ok();
        wait_for("the charge", || (info()["model_max_budget"]["dear"]["spend"] == spent).then_some(()));
    }
    expect_spent(&ask("sk-by-model", "dear"), "key 'by-model' for model 'dear'");
    ask("sk-by-model", "cheap").expect_ok();
    wait_for("the charge", || (info()["spend"] == 0.201).then_some(()));
    expect_spent(&ask("sk-by-model", "cheap"), "team 'harbor' for model 'cheap'");
    let team = gate().get("/team/info?team_id=harbor", "sk-master").expect_ok().json();
    assert_eq!(team["team_info"]["model_max_budget"]["cheap"]["spend"], 0.001);
    assert_eq!(info()["model_max_budget"]["dear"]["max_budget"], 0.2);
}

#[test]
fn a_model_whose_budget_is_spent_gives_way_to_a_cheaper_one() {
    ask("sk-giving-way", "dear").expect_ok();
    wait_for("the charge", || {
        let answer = ask("sk-giving-way", "dear").expect_ok();
        (answer.header("x-tollgate-model-group") == Some("cheap")).then_some(())
    });
    assert!(Mock::shared().requests("/pr-secret/").is_empty(), "which this key may not use");
    ask("sk-giving-way", "claude").expect_ok();
}

#[test]
fn a_tag_has_a_budget_whoever_says_it() {
    ask("sk-night-1", "dear").expect_ok();
    expect_in("tags", "nightly", &json!(0.1));
    ask_with("sk-night-2", "dear", r#","metadata":{"tags":["nightly"]}"#).expect_ok();
    expect_in("tags", "nightly", &json!(0.2));
    expect_spent(&ask("sk-night-1", "dear"), "tag 'nightly'");
    let request = gate().request("/v1/chat/completions", "sk-night-2", chat("dear", ""));
    expect_spent(&request.header("x-litellm-tags", "other, nightly").send(), "tag 'nightly'");
    ask("sk-night-2", "dear").expect_ok();
    early_in_a_minute();
    let statuses = [(); 3].map(|()| ask("sk-busy", "cheap").status);
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn end_users_have_budgets() {
    let said = |user: &str| ask_with("sk-front", "dear", &format!(r#","user":"{user}""#));
    said("alice").expect_ok();
    expect("/customer/info?end_user_id=alice", "/spend", &json!(0.1));
    said("alice").expect_ok();
    expect_in("end_users", "alice", &json!(0.2));
    expect_spent(&said("alice"), "end user 'alice'");
    // Whom the config does not list: each has the same.
    for user in ["bob", "carol"] {
        said(user).expect_ok();
        expect(&format!("/customer/info?end_user_id={user}"), "/spend", &json!(0.1));
        expect_spent(&said(user), "the end user");
    }
    said("goldie").expect_ok();
    said("goldie").expect_ok();
    ask("sk-front", "dear").expect_ok();
    let header = gate().request("/v1/chat/completions", "sk-front", chat("dear", r#","user":"dave""#));
    expect_spent(&header.header("x-litellm-end-user-id", "bob").send(), "the end user");
    let body = json!({"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], "metadata": {"user_id": "bob"}});
    let answer = gate().post("/v1/messages", "sk-front", body.to_string());
    assert_eq!((answer.status, answer.at("/type")), (429, json!("error")), "{}", answer.text());
    assert!(!gate().stderr().contains("carol"));
    gate().get("/customer/info?end_user_id=nobody", "sk-master").expect_error(
        400,
        "invalid_request_error",
        "invalid_value",
    );
    gate().get("/customer/info?end_user_id=bob", "sk-front").expect_error(403, "permission_error", "not_permitted");
}

#[test]
fn of_many_first_requests_of_an_end_user_none_is_lost() {
    let config = "
model_list:
- {model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-first/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
litellm_settings: {max_end_user_budget: 1000}
general_settings: {master_key: sk-master}
tollgate: {keys: [{key_alias: one, key: sk-one}]}
";
    let gate = Gate::start_with("principals-first", config, Options { concurrency: 4, ..Options::default() });
    for user in ["eve", "frank", "grace"] {
        let body = chat("m", &format!(r#","max_tokens":10,"user":"{user}""#));
        let answers = at_once((0..32).map(|_| gate.request("/v1/chat/completions", "sk-one", body.clone())));
        assert!(answers.iter().all(|answer| answer.status == 200));
        wait_for("the charges", || {
            let told = gate.get(&format!("/customer/info?end_user_id={user}"), "sk-master").expect_ok().json();
            (told["spend"] == 3.2).then_some(())
        });
    }
}

#[test]
fn what_is_in_shadow_mode_is_recorded_and_served() {
    for _ in 0..3 {
        ask("sk-watched", "dear").expect_ok();
    }
    let records = gate().access_log("watched", 3);
    let told = |n: usize| records[n]["would_refuse"].as_str().unwrap_or_default().to_owned();
    assert_eq!((told(0).as_str(), told(2).as_str()), ("", "key 'watched': budget"));
    ask("sk-half-watched", "dear").expect_ok();
    wait_for("the charge", || {
        let spend = &gate().get("/key/info", "sk-half-watched").expect_ok().json()["info"]["spend"];
        (*spend == 0.1).then_some(())
    });
    // Its budget is enforced, its requests a day are not.
    expect_spent(&ask("sk-half-watched", "dear"), "key 'half-watched'");
    let labels = |account| [("scope", "key"), ("account", account), ("model", "none"), ("reason", "budget")];
    gate().expect_counter("tollgate_account_shadow_refusals_total", &labels("watched"), 2);
    gate().expect_counter("tollgate_account_refusals_total", &labels("half-watched"), 1);
    gate().expect_counter("tollgate_account_refusals_total", &labels("watched"), 0);
}

#[test]
fn requests_of_a_day_are_counted() {
    for _ in 0..3 {
        let answer = ask("sk-daily", "cheap").expect_ok();
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("3"));
    }
    let refused = ask("sk-daily", "cheap");
    let error = refused.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    assert_eq!(error["message"], "key 'daily' has reached its limit of 3 requests a day");
    let info = gate().get("/key/info", "sk-daily").expect_ok().json()["info"].clone();
    assert_eq!((&info["rpd_limit"], &info["requests_today"]), (&json!(3), &json!(3)));
}

#[test]
fn one_principal_has_several_windows() {
    ask("sk-two-windows", "dear").expect_ok();
    let info = || gate().get("/key/info", "sk-two-windows").expect_ok().json()["info"].clone();
    wait_for("the charge", || (info()["spend"] == 0.1).then_some(()));
    let windows = info()["budget_limits"].clone();
    let caps: Vec<_> =
        windows.as_array().unwrap().iter().map(|window| (&window["spend"], &window["max_budget"])).collect();
    assert_eq!(caps, [(&json!(0.1), &json!(0.1)), (&json!(0.1), &json!(0.5)), (&json!(0.1), &json!(0.05))]);
    expect_spent(&ask("sk-two-windows", "dear"), "of 0.1 USD");
}

#[test]
fn a_soft_budget_and_four_fifths_are_told_once() {
    for spent in [0.1, 0.2, 0.3, 0.4, 0.5] {
        ask("sk-soft", "dear").expect_ok();
        wait_for("the charge", || {
            let spend = &gate().get("/key/info", "sk-soft").expect_ok().json()["info"]["spend"];
            (*spend == spent).then_some(())
        });
    }
    let is_alert = |record: &Value| record["budget_alerts"].as_str().is_some_and(|alert| alert.contains("key 'soft'"));
    let records = gate().access_log_where("alerts", 2, is_alert);
    let alerts: Vec<&str> = records.iter().filter_map(|record| record["budget_alerts"].as_str()).collect();
    assert_eq!(alerts, ["key 'soft': soft_budget", "key 'soft': max_budget_80_percent"]);
    for reason in ["soft_budget", "max_budget_80_percent"] {
        gate().expect_counter("tollgate_account_alerts_total", &[("account", "soft"), ("reason", reason)], 1);
    }
}

#[test]
fn providers_and_deployments_have_budgets_and_others_take_over() {
    let config = "
model_list:
- {model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-own/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01, max_budget: 0.1, budget_duration: 1d, order: 1}, model_info: {id: own}}
- {model_name: m, litellm_params: {model: groq/llama, api_base: 'http://{mock}/pr-groq/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01, order: 2}, model_info: {id: groq-1}}
- {model_name: m, litellm_params: {model: groq/llama, api_base: 'http://{mock}/pr-groq-2/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01, order: 3}, model_info: {id: groq-2}}
- {model_name: other, litellm_params: {model: groq/other, api_base: 'http://{mock}/pr-groq-3/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}, model_info: {id: groq-3}}
router_settings: {provider_budget_config: {groq: {budget_limit: 0.2, time_period: 1d}}}
general_settings: {master_key: sk-master}
";
    let gate = Gate::start_with("principals-providers", config, Options { concurrency: 2, ..Options::default() });
    let ask = |model: &str| gate.post("/v1/chat/completions", "sk-master", chat(model, r#","max_tokens":10"#));
    let mut by = Vec::new();
    for (list, total) in [("deployments", 0.1), ("providers", 0.1), ("providers", 0.2)] {
        let answer = ask("m").expect_ok();
        by.push(answer.header("x-tollgate-deployment").unwrap().to_owned());
        wait_for("the charge", || {
            let rows = gate.get(&format!("/spend/{list}"), "sk-master").expect_ok().json();
            (rows[0]["spend"] == total).then_some(())
        });
    }
    assert_eq!(by, ["own", "groq-1", "groq-1"]);
    let refused = ask("m");
    let error = refused.expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("deployment 'own'"), "{error}");
    assert!(refused.header("retry-after").is_some());
    let error = ask("other").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("provider 'groq'"), "{error}");
    let why = gate.access_log_where("refusals", 2, |record| record["error"] == "budget_exceeded");
    assert!(
        why[0]["routing"].as_str().unwrap().contains("own:budget groq-1:budget groq-2:budget"),
        "{}",
        why[0]["routing"]
    );
}

#[test]
fn a_filtered_answer_that_is_followed_by_another_is_paid_for() {
    let config = "
model_list:
- {model_name: strict, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-strict/usage=5:10,finish=content_filter/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}, model_info: {id: strict}}
- {model_name: lax, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pr-lax/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.001}, model_info: {id: lax}}
router_settings: {content_policy_fallbacks: [{strict: [lax]}]}
general_settings: {master_key: sk-master}
tollgate: {keys: [{key_alias: one, key: sk-one, max_budget: 10, tpm_limit: 1000}]}
";
    let gate = Gate::start("principals-filtered", config);
    let answer = gate.post("/v1/chat/completions", "sk-one", chat("strict", r#","max_tokens":10"#)).expect_ok();
    assert_eq!(answer.header("x-tollgate-deployment"), Some("lax"));
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.11"));
    wait_for("the charge", || {
        let info = gate.get("/key/info", "sk-one").expect_ok().json()["info"].clone();
        (info["spend"] == 0.11 && info["tokens_this_minute"] == 30).then_some(())
    });
}
