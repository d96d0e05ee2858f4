//! A budget is reserved, charged, and never overrun by more than one request.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Answer, Gate, Mock, Options, chat, wait_for};

/// Every token of an answer costs 0.01 USD, none of a prompt anything: ten tokens are ten cents.
const CONFIG: &str = "
model_list:
- model_name: ten-cents
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/bu-cents/usage=5:10
    api_key: sk-x
    input_cost_per_token: 0
    output_cost_per_token: 0.01
- model_name: failing
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/bu-failing/status=400', api_key: sk-x, output_cost_per_token: 0.01}
- model_name: dead
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{dead}/v1', api_key: sk-x, output_cost_per_token: 0.01}
- model_name: slow
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/bu-slow/usage=5:10,delay-ms=1500
    api_key: sk-x
    input_cost_per_token: 0
    output_cost_per_token: 0.01
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  keys:
  - {key_alias: daily, key: sk-daily, max_budget: 0.25, budget_duration: 1d}
  - {key_alias: lasting, key: sk-lasting, max_budget: 0.1}
  - {key_alias: nothing, key: sk-nothing, max_budget: 0}
  - {key_alias: rich, key: sk-rich, max_budget: 50, budget_duration: 1mo}
  - {key_alias: unlucky, key: sk-unlucky, max_budget: 0.1}
  - {key_alias: holding, key: sk-holding, max_budget: 0.1}
  - {key_alias: curious, key: sk-curious, max_budget: 0.5, budget_duration: 1d}
  - {key_alias: unlimited, key: sk-unlimited}
  - {key_alias: refused, key: sk-refused, max_budget: 0}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("budget", CONFIG))
}

/// Asks for at most ten tokens, which is what the provider then says it made.
fn ask(gate: &Gate, key: &str, model: &str) -> Answer {
    gate.post("/v1/chat/completions", key, chat(model, r#","max_tokens":10"#))
}

/// The charge comes after the answer: waits until the log line, written after it, is there.
fn settled(alias: &str, count: usize) {
    gate().access_log(alias, count);
}

#[test]
fn a_spent_budget_is_refused_in_words_and_numbers() {
    for count in 1..=3 {
        ask(gate(), "sk-daily", "ten-cents").expect_ok();
        settled("daily", count);
    }
    let answer = ask(gate(), "sk-daily", "ten-cents");
    let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
    let message = error["message"].as_str().unwrap();
    for part in ["'daily'", "0.3 USD spent", "of 0.25 USD", "T00:00:00Z"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let midnight = 86_400 - now % 86_400;
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(retry_after.abs_diff(midnight) <= 60 || midnight < 60, "{retry_after}, {midnight}");
    assert!(!answer.text().contains("sk-"));
}

#[test]
fn a_budget_without_an_end_says_no_time() {
    ask(gate(), "sk-lasting", "ten-cents").expect_ok();
    settled("lasting", 1);
    let answer = ask(gate(), "sk-lasting", "ten-cents");
    answer.expect_error(429, "budget_exceeded", "budget_exceeded");
    assert_eq!(answer.header("retry-after"), None);
    let record = gate().access_log("lasting", 2).pop().unwrap();
    assert_eq!((&record["error"], &record["response_code"]), (&"budget_exceeded".into(), &429.into()), "{record:#}");
}

#[test]
fn a_budget_of_nothing_admits_nothing() {
    ask(gate(), "sk-nothing", "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    // Only what costs is refused.
    gate().get("/v1/models", "sk-nothing").expect_ok();
}

#[test]
fn the_master_key_has_no_budget_and_a_large_one_is_no_bound() {
    for key in ["sk-master", "sk-rich"] {
        for _ in 0..5 {
            ask(gate(), key, "ten-cents").expect_ok();
        }
    }
}

#[test]
fn what_failed_is_given_back() {
    for count in 0..3 {
        assert_eq!(ask(gate(), "sk-unlucky", "failing").status, 400);
        settled("unlucky", 3 * count + 1);
        assert_eq!(ask(gate(), "sk-unlucky", "dead").status, 503);
        settled("unlucky", 3 * count + 2);
        ask(gate(), "sk-unlucky", "no-such-model").expect_error(404, "invalid_request_error", "model_not_found");
        settled("unlucky", 3 * count + 3);
    }
    ask(gate(), "sk-unlucky", "ten-cents").expect_ok();
}

#[test]
fn what_is_under_way_is_held_back() {
    let asking = std::thread::spawn(|| ask(gate(), "sk-holding", "slow").expect_ok().status);
    wait_for("the provider's request", || Mock::shared().requests("/bu-slow/").pop());
    let error = ask(gate(), "sk-holding", "slow").expect_error(429, "budget_exceeded", "budget_exceeded");
    assert!(error["message"].as_str().unwrap().contains("0 USD spent, 0.1 USD reserved"), "{error}");
    assert_eq!(asking.join().unwrap(), 200);
}

#[test]
fn the_status_of_a_spent_budget_can_be_chosen() {
    let config = "
model_list:
- {model_name: any, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/bu-402', api_key: sk-x}}
litellm_settings: {budget_exceeded_status_code: 402}
tollgate: {keys: [{key_alias: poor, key: sk-poor, max_budget: 0, budget_duration: 1h}]}
";
    let gate = Gate::start("budget-402", config);
    gate.chat("sk-poor", "any").expect_error(402, "budget_exceeded", "budget_exceeded");
}

/// How many requests the cap of the race fits: 1.00 USD at ten cents each.
const FITTING: usize = 10;
const RACING: usize = 64;

#[test]
fn racing_requests_never_run_past_a_cap() {
    let config = "
model_list:
- model_name: ten-cents
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/bu-race/usage=5:10,delay-ms=2000
    api_key: sk-x
    input_cost_per_token: 0
    output_cost_per_token: 0.01
router_settings: {num_retries: 0}
tollgate:
  keys:
  - {key_alias: racer, key: sk-racer, max_budget: 1}
  - {key_alias: odd-racer, key: sk-odd-racer, max_budget: 0.95}
";
    let gate = &Gate::start_with("budget-race", config, Options { concurrency: 4, ..Options::default() });
    for (key, alias) in [("sk-racer", "racer"), ("sk-odd-racer", "odd-racer")] {
        let start = &std::sync::Barrier::new(RACING);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let race = || {
                start.wait();
                ask(gate, key, "ten-cents").status
            };
            let racing: Vec<_> = (0..RACING).map(|_| scope.spawn(race)).collect();
            racing.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let count = |status| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(429)), (FITTING, RACING - FITTING), "{statuses:?}");
        let records = gate.access_log(alias, RACING);
        let cents = |cost: &str| (cost.parse::<f64>().unwrap() * 100.0).round() as u64;
        let spent: u64 = records.iter().map(|record| cents(record["cost_usd"].as_str().unwrap_or("0"))).sum();
        // 1.00 USD: at most one request of ten cents above the cap.
        assert_eq!(spent, 100, "{alias}");
        gate.expect_counter("tollgate_cost_nano_usd_total", &[("key_alias", alias)], 1_000_000_000);
        ask(gate, key, "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    }
    assert_eq!(Mock::shared().requests("/bu-race/").len(), 2 * FITTING);
}

#[test]
fn a_key_learns_what_it_has_spent() {
    ask(gate(), "sk-curious", "ten-cents").expect_ok();
    settled("curious", 1);
    let info = gate().get("/key/info", "sk-curious").expect_ok().at("/info");
    assert_eq!(info["key_alias"], "curious");
    assert_eq!((info["spend"].as_f64(), info["max_budget"].as_f64()), (Some(0.1), Some(0.5)));
    assert!(info["budget_reset_at"].as_str().unwrap().ends_with("T00:00:00Z"));
    ask(gate(), "sk-unlimited", "ten-cents").expect_ok();
    settled("unlimited", 1);
    let info = gate().get("/key/info", "sk-unlimited").expect_ok().at("/info");
    assert_eq!((info["spend"].as_f64(), &info["max_budget"]), (Some(0.1), &serde_json::Value::Null));
    assert_eq!(gate().get("/key/info", "sk-master").expect_ok().at("/info/key_alias"), "master");
    gate().get("/key/info", "sk-nobody").expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn the_record_of_a_refusal_names_the_model_group() {
    ask(gate(), "sk-refused", "ten-cents").expect_error(429, "budget_exceeded", "budget_exceeded");
    let record = gate().record("refused");
    assert_eq!((&record["model_group"], &record["error"]), (&"ten-cents".into(), &"budget_exceeded".into()));
}
