//! A request spends from its key, its team, its user and the whole proxy: all of them have room, in money, requests, tokens
//! and places, or it is refused.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options, at_once, chat, early_in_a_minute, wait_for};

/// An answer costs ten cents, and no more can be reserved for one.
const CONFIG: &str = "
model_list:
- model_name: ten-cents
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-cents/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: slow
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-slow/usage=5:10,delay-ms=1500/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: held
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-held/usage=5:10,delay-ms=1500/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}
- model_name: failing
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-failing/status=400', api_key: sk-x, output_cost_per_token: 0.01}
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  teams:
  - {team_id: small, max_budget: 0.2, budget_duration: 1d}
  - {team_id: racing, max_budget: 1, budget_duration: 1mo}
  - {team_id: holding, max_budget: 0.1}
  - {team_id: free}
  - {team_id: calm, rpm_limit: 4}
  - {team_id: crowd, max_parallel_requests: 3}
  users:
  - {user_id: ann, max_budget: 0.1, budget_duration: 1mo}
  - {user_id: bob}
  keys:
  - {key_alias: small-1, key: sk-small-1, team_id: small, max_budget: 5}
  - {key_alias: small-2, key: sk-small-2, team_id: small}
  - {key_alias: ann-1, key: sk-ann-1, team_id: free, user_id: ann, max_budget: 1}
  - {key_alias: ann-2, key: sk-ann-2, user_id: ann}
  - {key_alias: racing-1, key: sk-racing-1, team_id: racing, user_id: bob}
  - {key_alias: racing-2, key: sk-racing-2, team_id: racing, max_budget: 100}
  - {key_alias: calm-1, key: sk-calm-1, team_id: calm, rpm_limit: 100}
  - {key_alias: calm-2, key: sk-calm-2, team_id: calm}
  - {key_alias: wordy, key: sk-wordy, tpm_limit: 100}
  - {key_alias: crowd-1, key: sk-crowd-1, team_id: crowd}
  - {key_alias: crowd-2, key: sk-crowd-2, team_id: crowd, max_parallel_requests: 50}
  - {key_alias: wide, key: sk-wide, rpm_limit: 100000, tpm_limit: 10000000}
  - {key_alias: holding-1, key: sk-holding-1, team_id: holding}
  - {key_alias: holding-2, key: sk-holding-2, team_id: holding, max_budget: 1}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start_with("accounts", CONFIG, Options { concurrency: 4, ..Options::default() }))
}

fn ask(key: &str, model: &str) -> Answer {
    gate().post("/v1/chat/completions", key, chat(model, r#","max_tokens":10"#))
}

/// What a list of the master's says of the account `name`.
fn spend(gate: &Gate, list: &str, name: &str) -> Value {
    let rows = gate.get(&format!("/spend/{list}s"), "sk-master").expect_ok().json();
    let field = if list == "key" { "key_alias".to_owned() } else { format!("{list}_id") };
    let found = rows.as_array().unwrap().iter().find(|row| row[&field] == name).cloned();
    found.unwrap_or_else(|| panic!("no {list} {name} in {rows}"))["spend"].clone()
}

/// The charge comes after the answer.
fn expect_spend(list: &str, name: &str, expected: &Value) {
    wait_for("the charge", || (spend(gate(), list, name) == *expected).then_some(()));
}

#[test]
fn keys_of_a_team_share_its_budget() {
    ask("sk-small-1", "ten-cents").expect_ok();
    expect_spend("team", "small", &json!(0.1));
    ask("sk-small-2", "ten-cents").expect_ok();
    expect_spend("team", "small", &json!(0.2));
    for key in ["sk-small-1", "sk-small-2"] {
        let answer = ask(key, "ten-cents");
        let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
        let message = error["message"].as_str().unwrap();
        for part in ["team 'small'", "0.2 USD spent", "of 0.2 USD", "T00:00:00Z"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!((spend(gate(), "key", "small-1"), spend(gate(), "key", "small-2")), (json!(0.1), json!(0.1)));
}

#[test]
fn a_user_has_one_budget_whatever_the_key() {
    ask("sk-ann-1", "ten-cents").expect_ok();
    expect_spend("user", "ann", &json!(0.1));
    for key in ["sk-ann-1", "sk-ann-2"] {
        let error = ask(key, "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
        assert!(error["message"].as_str().unwrap().contains("user 'ann'"), "{error}");
    }
    assert_eq!(spend(gate(), "team", "free"), json!(0.1));
}

#[test]
fn what_one_key_has_under_way_is_held_back_from_the_others_of_its_team() {
    let under_way = std::thread::spawn(|| ask("sk-holding-1", "held"));
    wait_for("the request", || Mock::shared().requests("/ac-held/").pop());
    let error = ask("sk-holding-2", "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("0.1 USD reserved"), "{error}");
    under_way.join().unwrap().expect_ok();
    expect_spend("team", "holding", &json!(0.1));
    // What was refused holds nothing of the key either.
    assert_eq!(spend(gate(), "key", "holding-2"), json!(0));
}

#[test]
fn of_many_at_once_as_many_are_served_as_the_team_can_pay() {
    let body = chat("ten-cents", r#","max_tokens":10"#);
    let request = |i: usize| {
        let key = if i.is_multiple_of(2) { "sk-racing-1" } else { "sk-racing-2" };
        gate().request("/v1/chat/completions", key, body.clone())
    };
    let answers = at_once((0..64).map(request));
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
    assert!((1..=10).contains(&served), "{served} of ten that can be paid");
    // Reservations may have refused some for whom there was room in the end.
    while ask("sk-racing-1", "ten-cents").status == 200 {}
    expect_spend("team", "racing", &json!(1));
    // What another worker has in hand of a busy account is told at its next tick.
    let keys =
        || -> f64 { ["racing-1", "racing-2"].iter().map(|key| spend(gate(), "key", key).as_f64().unwrap()).sum() };
    wait_for("the keys' spend to be the team's", || ((keys() - 1.0).abs() < 1e-9).then_some(()));
    wait_for("the user's spend to be the key's", || {
        (spend(gate(), "user", "bob") == spend(gate(), "key", "racing-1")).then_some(())
    });
}

#[test]
fn the_whole_proxy_has_a_budget() {
    let config = "
model_list:
- {model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-proxy/usage=5:10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
litellm_settings: {max_budget: 0.2, budget_duration: 1mo}
general_settings: {master_key: sk-master}
tollgate: {keys: [{key_alias: one, key: sk-one}]}
";
    let gate = Gate::start("accounts-proxy", config);
    for (i, key) in ["sk-one", "sk-master"].into_iter().enumerate() {
        gate.post("/v1/chat/completions", key, chat("m", r#","max_tokens":10"#)).expect_ok();
        let spent = [0.1, 0.2][i];
        let expected = json!({"spend": spent, "max_budget": 0.2});
        wait_for("the charge", || {
            (gate.get("/global/spend", "sk-master").expect_ok().json() == expected).then_some(())
        });
    }
    for key in ["sk-one", "sk-master"] {
        let answer = gate.post("/v1/chat/completions", key, chat("m", r#","max_tokens":10"#));
        let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
        assert!(error["message"].as_str().unwrap().contains("the whole proxy"), "{error}");
    }
    gate.get("/global/spend", "sk-one").expect_error(403, "permission_error", "not_permitted");
}

#[test]
fn everyone_sees_what_is_theirs() {
    let get = |path: &str, key: &str| gate().get(path, key);
    let team = get("/team/info?team_id=free", "sk-master").expect_ok().json();
    assert_eq!((&team["team_id"], &team["team_info"]["team_id"]), (&json!("free"), &json!("free")));
    assert_eq!(team["keys"][0]["key_alias"], "ann-1");
    assert_eq!(get("/team/info", "sk-ann-1").expect_ok().json()["team_id"], "free");
    let user = get("/user/info", "sk-ann-1").expect_ok().json();
    assert_eq!((&user["user_id"], &user["user_info"]["max_budget"]), (&json!("ann"), &json!(0.1)));
    assert_eq!(user["teams"][0]["team_id"], "free");
    get("/team/info?team_id=small", "sk-ann-1").expect_error(403, "permission_error", "not_permitted");
    get("/team/info", "sk-master").expect_error(400, "invalid_request_error", "missing_required_parameter");
    get("/spend", "").expect_error(401, "authentication_error", "invalid_api_key");
    let own = get("/spend", "sk-ann-2").expect_ok().json();
    assert_eq!((own["keys"].as_array().unwrap().len(), &own["keys"][0]["key_alias"]), (1, &json!("ann-2")));
    let all = get("/spend", "sk-master").expect_ok();
    assert_eq!(all.json()["keys"].as_array().unwrap().len(), 14);
    assert!(!all.text().contains("sk-"));
}

/// `limit`, `remaining` and `reset` of requests or tokens.
fn limits<'a>(answer: &'a Answer, of: &str) -> [Option<&'a str>; 3] {
    ["limit", "remaining", "reset"].map(|what| answer.header(&format!("x-ratelimit-{what}-{of}")))
}

#[test]
fn requests_a_minute_are_counted_for_the_team_and_told() {
    early_in_a_minute();
    for (i, key) in ["sk-calm-1", "sk-calm-2", "sk-calm-1", "sk-calm-2"].into_iter().enumerate() {
        let answer = ask(key, "ten-cents").expect_ok();
        let [limit, remaining, reset] = limits(&answer, "requests");
        assert_eq!((limit, remaining), (Some("4"), Some(["3", "2", "1", "0"][i])));
        assert!(reset.unwrap().strip_suffix('s').unwrap().parse::<u64>().unwrap() <= 60);
        assert_eq!(limits(&answer, "tokens"), [None; 3]);
    }
    let before = Mock::shared().requests("/ac-cents/").len();
    let refused = ask("sk-calm-1", "ten-cents");
    let error = refused.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    assert_eq!(error["message"], "team 'calm' has reached its limit of 4 requests a minute");
    assert!((1..=60).contains(&refused.header("retry-after").unwrap().parse::<u64>().unwrap()));
    assert_eq!(limits(&refused, "requests")[..2], [Some("4"), Some("0")]);
    assert!(Mock::shared().requests("/ac-cents/").len() >= before, "others may ask meanwhile");
    // Models and spend are not what a limit is for.
    gate().get("/v1/models", "sk-calm-1").expect_ok();
}

#[test]
fn tokens_a_minute_are_set_aside_and_trued_up() {
    early_in_a_minute();
    let ask = |max_tokens: u32| {
        gate().post("/v1/chat/completions", "sk-wordy", chat("ten-cents", &format!(r#","max_tokens":{max_tokens}"#)))
    };
    ask(60).expect_ok();
    // It used 15 of the tokens set aside.
    wait_for("the truth", || {
        let answer = ask(200);
        answer.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
        (limits(&answer, "tokens")[1] == Some("85")).then_some(())
    });
    let answer = ask(70).expect_ok();
    let [limit, remaining, _] = limits(&answer, "tokens");
    assert_eq!(limit, Some("100"));
    assert!(remaining.unwrap().parse::<u64>().unwrap() < 15, "{remaining:?}");
}

#[test]
fn so_many_at_a_time() {
    let request = |i: usize| {
        let key = if i.is_multiple_of(2) { "sk-crowd-1" } else { "sk-crowd-2" };
        gate().request("/v1/chat/completions", key, chat("slow", r#","max_tokens":10"#))
    };
    for _ in 0..2 {
        let answers = at_once((0..24).map(request));
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(served, 3, "on four workers");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            let error = refused.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
            assert_eq!(error["message"], "team 'crowd' has reached its limit of 3 requests at a time");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        wait_for("their places", || {
            let answer = gate().post("/v1/chat/completions", "sk-crowd-1", chat("failing", ""));
            (answer.status == 400).then_some(())
        });
    }
}

#[test]
fn a_stream_is_told_too_and_a_providers_own_limits_are_not() {
    let config = "
model_list:
- {model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ac-told/header=x-ratelimit-remaining-requests:7/v1', api_key: sk-x}}
tollgate: {keys: [{key_alias: one, key: sk-one, rpm_limit: 100}, {key_alias: two, key: sk-two}]}
";
    let gate = Gate::start("accounts-told", config);
    for more in ["", r#","stream":true"#] {
        let answer = gate.post("/v1/chat/completions", "sk-one", chat("m", more)).expect_ok();
        let told: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-ratelimit-remaining-requests").collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].1.starts_with('9'), "{told:?}");
        let other = gate.post("/v1/chat/completions", "sk-two", chat("m", more)).expect_ok();
        assert_eq!(limits(&other, "requests"), [None, Some("7"), None], "without a limit of its own");
    }
    let error = gate.post("/v1/chat/completions", "sk-one", chat("no-such-model", ""));
    error.expect_error(404, "invalid_request_error", "model_not_found");
}
