//! The global mode: two gateways, one rate limit service, one budget.

mod others;

use std::time::{Duration, Instant};

use crate::harness::{
    Answer, Connection, Gate, Mock, Options, Request, Rls, at_once, chat, early_in_a_minute, wait_for,
};

/// Every token of an answer costs 0.01 USD, none of a prompt anything: ten tokens are ten cents.
const CONFIG: &str = "
model_list:
- model_name: ten-cents
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/NAME/usage=5:10DELAY
    api_key: sk-x
    input_cost_per_token: 0
    output_cost_per_token: 0.01
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  rate_limit_service: {cluster: rls, address: '{rls}', domain: fleet, TIMEOUT}
  teams: [{team_id: twins, max_budget: 100, budget_duration: 1mo, tpm_limit: 1000000}]
  keys:
";

const TEN_CENTS: u64 = 100_000;

/// Gateways of one config, whose keys are `keys`, and the service that counts for them.
struct Fleet {
    rls: Rls,
    gates: Vec<Gate>,
}

/// What differs from one fleet to the next.
struct Wanted<'a> {
    gates: usize,
    /// Of the service: `timeout: 500ms`.
    timeout: &'a str,
    /// Of the provider: `,delay-ms=1000`.
    delay: &'a str,
    keys: &'a str,
}

impl Fleet {
    fn start(name: &str, wanted: &Wanted<'_>) -> Self {
        let config = CONFIG.replace("NAME", name).replace("DELAY", wanted.delay).replace("TIMEOUT", wanted.timeout);
        Self::of(name, &format!("{config}  {}", wanted.keys.trim_start()), wanted.gates)
    }

    /// So many gateways of `config`.
    fn of(name: &str, config: &str, gates: usize) -> Self {
        let rls = Rls::start(&format!("{name}-rls"), config);
        let config = rls.place(config);
        let options = Options { concurrency: 1, ..Options::default() };
        let gate = |n| Gate::start_with(&format!("{name}-{n}"), &config, options);
        Self { gates: (0..gates).map(gate).collect(), rls }
    }

    /// The gateway whose turn it is.
    fn gate(&self, turn: usize) -> &Gate {
        &self.gates[turn % self.gates.len()]
    }

    /// What all gateways say.
    fn counter(&self, name: &str, key_alias: &str) -> u64 {
        self.gates.iter().map(|gate| gate.counter(name, &[("key_alias", key_alias)])).sum()
    }
}

fn question(gate: &Gate, key: &str) -> Request {
    gate.request("/v1/chat/completions", key, chat("ten-cents", r#","max_tokens":10"#))
}

fn ask(gate: &Gate, key: &str) -> Answer {
    question(gate, key).send()
}

#[test]
fn one_budget_holds_for_two_gateways() {
    let keys = "
  - {key_alias: shared, key: sk-shared, max_budget: 0.95, budget_duration: 1d}
  - {key_alias: free, key: sk-free}
";
    let fleet = Fleet::start("gl-one", &Wanted { gates: 2, timeout: "timeout: 5s", delay: "", keys });
    for turn in 0..10 {
        ask(fleet.gate(turn), "sk-shared").expect_ok();
        fleet.rls.expect_counted("key/shared/budget/1d", (turn as u64 + 1) * TEN_CENTS - u64::from(turn == 9) * 50_000);
    }
    // Each gateway has seen half of it: it is the service that refuses.
    for gate in &fleet.gates {
        let answer = ask(gate, "sk-shared");
        let error = answer.expect_error(429, "budget_exceeded", "budget_exceeded");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("key 'shared'") && message.contains("T00:00:00Z"), "{message}");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(gate.access_log("shared", 6)[5]["error"], "budget_exceeded");
    }
    // What is known to be spent is not asked for again.
    let calls = fleet.rls.quiet();
    for turn in 0..6 {
        ask(fleet.gate(turn), "sk-shared").expect_error(429, "budget_exceeded", "budget_exceeded");
    }
    wait_for("the counters", || (fleet.counter("tollgate_rate_limit_remembered_total", "shared") >= 6).then_some(()));
    assert_eq!(fleet.rls.calls().len(), calls);
    assert_eq!(fleet.counter("tollgate_rate_limit_admitted_total", "shared"), 10);
    // Who has no cap costs no call.
    ask(fleet.gate(0), "sk-free").expect_ok();
    fleet.gate(0).access_log("free", 1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(fleet.rls.calls().len(), calls);
    assert_eq!(Mock::shared().requests("/gl-one/").len(), 11);
    let spend = fleet.gate(0).get("/spend", "sk-master").expect_ok().json();
    assert_eq!((&spend["per"], &spend["enforced"], &spend["replicas"]), (&"envoy".into(), &"global".into(), &1.into()));
    assert_eq!(fleet.gate(0).counter("tollgate_limits_global", &[]), 1);
}

#[test]
fn without_a_service_each_gateway_enforces_its_part() {
    let config = "
model_list:
- model_name: ten-cents
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://{mock}/gl-part/usage=5:10
    api_key: sk-x
    input_cost_per_token: 0
    output_cost_per_token: 0.01
general_settings: {master_key: sk-master}
tollgate:
  replicas: 2
  keys: [{key_alias: halved, key: sk-halved, max_budget: 0.5, budget_duration: 1mo, max_parallel_requests: 3}]
";
    let options = Options { concurrency: 1, ..Options::default() };
    for name in ["gl-part-0", "gl-part-1"] {
        let gate = Gate::start_with(name, config, options);
        for count in 1..=3 {
            ask(&gate, "sk-halved").expect_ok();
            gate.access_log("halved", count);
        }
        let error = ask(&gate, "sk-halved").expect_error(429, "budget_exceeded", "budget_exceeded");
        assert!(error["message"].as_str().unwrap().contains("of 0.25 USD"), "{error}");
        let spend = gate.get("/spend", "sk-master").expect_ok().json();
        assert_eq!(
            (&spend["per"], &spend["enforced"], &spend["replicas"]),
            (&"envoy".into(), &"envoy".into(), &2.into())
        );
        assert_eq!((gate.counter("tollgate_replicas", &[]), gate.counter("tollgate_limits_global", &[])), (2, 0));
    }
}

#[test]
fn racing_requests_of_two_gateways_pass_a_cap_by_no_more_than_was_under_way() {
    let keys = "- {key_alias: racer, key: sk-racer, max_budget: 1, budget_duration: 1mo}";
    let fleet = Fleet::start("gl-race", &Wanted { gates: 2, timeout: "timeout: 5s", delay: ",delay-ms=1500", keys });
    let answers = at_once((0..64).map(|turn| question(fleet.gate(turn), "sk-racer")));
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(admitted + refused, 64, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    // The ledger of each gateway admits ten: so much is under way on each when the first is told.
    assert!((10..=20).contains(&admitted), "{admitted}");
    // What passed the cap is not in the counter, but not a hit is left in it.
    wait_for("the cap to be counted", || (fleet.rls.counted("key/racer/budget/1mo") >= 1_000_000).then_some(()));
    fleet.rls.quiet();
    for turn in 0..4 {
        ask(fleet.gate(turn), "sk-racer").expect_error(429, "budget_exceeded", "budget_exceeded");
    }
    // The service reads before it adds: reports at the same time may each see the same room.
    let counted = fleet.rls.counted("key/racer/budget/1mo");
    assert!((1_000_000..1_000_000 + 2 * 10 * TEN_CENTS).contains(&counted), "{counted}");
    assert_eq!(Mock::shared().requests("/gl-race/").len(), admitted);
}

#[test]
fn a_steady_stream_of_requests_ends_at_the_cap() {
    let keys = "- {key_alias: steady, key: sk-steady, max_budget: 3, budget_duration: 1d}";
    let fleet = Fleet::start("gl-steady", &Wanted { gates: 2, timeout: "timeout: 5s", delay: ",delay-ms=50", keys });
    const AT_ONCE: usize = 4;
    let mut admitted = 0;
    for _ in 0..15 {
        let answers = at_once((0..AT_ONCE).map(|turn| question(fleet.gate(turn), "sk-steady")));
        admitted += answers.iter().filter(|answer| answer.status == 200).count();
        std::thread::sleep(Duration::from_millis(200));
    }
    // Thirty fit; what was under way when they were counted is four at most.
    assert!((30..30 + AT_ONCE).contains(&admitted), "{admitted}");
    // Nothing is left; questions at the same time may each see the last hit.
    wait_for("the cap to be counted", || (fleet.rls.counted("key/steady/budget/1d") >= 3_000_000).then_some(()));
    assert!(fleet.rls.counted("key/steady/budget/1d") < 3_000_000 + 2 * AT_ONCE as u64);
}

#[test]
fn requests_a_minute_hold_for_two_gateways() {
    early_in_a_minute();
    let keys = "- {key_alias: often, key: sk-often, team_id: twins, rpm_limit: 5}";
    let fleet = Fleet::start("gl-rpm", &Wanted { gates: 2, timeout: "timeout: 5s", delay: "", keys });
    for turn in 0..5 {
        ask(fleet.gate(turn), "sk-often").expect_ok();
    }
    let answer = ask(fleet.gate(5), "sk-often");
    let error = answer.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    // Limitador does not say which of the counters it is.
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("key 'often', team 'twins'"), "{message}");
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    let labels = [("scope", "unknown"), ("account", "none"), ("reason", "unknown")];
    fleet.gate(5).expect_counter("tollgate_account_refusals_total", &labels, 1);
    assert_eq!(fleet.rls.counted("key/often/requests/1m"), 5);
    // The other accounts have what was spent, and nothing of what was refused.
    fleet.rls.expect_counted("team/twins/budget/1mo", 5 * TEN_CENTS);
    fleet.rls.expect_counted("team/twins/tokens/1m", 5 * 15);
}

#[test]
fn a_slow_service_is_not_waited_for_longer_than_the_config_says() {
    let keys = "- {key_alias: patient, key: sk-patient, max_budget: 50, budget_duration: 1d}";
    for (mode, failed) in [("open", "failed_open"), ("closed", "failed_closed")] {
        let timeout = format!("timeout: 150ms, failure_mode: {mode}");
        let name = format!("gl-slow-{mode}");
        let fleet = Fleet::start(&name, &Wanted { gates: 1, timeout: &timeout, delay: "", keys });
        ask(fleet.gate(0), "sk-patient").expect_ok();
        fleet.rls.expect_counted("key/patient/budget/1d", TEN_CENTS);
        let metric = format!("tollgate_rate_limit_{failed}_total");
        let before = fleet.counter(&metric, "patient");
        fleet.rls.delay(600);
        let start = Instant::now();
        let answer = ask(fleet.gate(0), "sk-patient");
        assert!((150..550).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        match mode {
            "open" => drop(answer.expect_ok()),
            _ => drop(answer.expect_error(503, "api_error", "rate_limit_service_unavailable")),
        }
        fleet.gate(0).expect_counter(&metric, &[("key_alias", "patient")], before + 1);
        fleet.rls.delay(0);
        wait_for("the service", || (ask(fleet.gate(0), "sk-patient").status == 200).then_some(()));
        let metric = "tollgate_rate_limit_admitted_total";
        wait_for("an answer of the service", || {
            ask(fleet.gate(0), "sk-patient").expect_ok();
            (fleet.counter(metric, "patient") >= 2).then_some(())
        });
    }
}

#[test]
fn a_service_that_is_down_is_told_later() {
    let keys = "- {key_alias: lasting, key: sk-lasting, max_budget: 0.55}";
    let mut fleet = Fleet::start("gl-down", &Wanted { gates: 2, timeout: "timeout: 5s", delay: "", keys });
    let counter = "key/lasting/budget/never";
    ask(fleet.gate(0), "sk-lasting").expect_ok();
    fleet.rls.expect_counted(counter, TEN_CENTS);
    fleet.rls.kill();
    for turn in 0..4 {
        ask(fleet.gate(turn), "sk-lasting").expect_ok();
    }
    let failed = |fleet: &Fleet| fleet.counter("tollgate_rate_limit_failed_open_total", "lasting");
    wait_for("the failures", || (failed(&fleet) == 4).then_some(()));
    wait_for("a report that failed", || {
        (fleet.counter("tollgate_rate_limit_reports_failed_total", "none") > 0).then_some(())
    });
    fleet.rls.run();
    fleet.rls.expect_counted(counter, 5 * TEN_CENTS);
    wait_for("room for one more", || (ask(fleet.gate(0), "sk-lasting").status == 200).then_some(()));
    fleet.rls.expect_counted(counter, 550_000);
    ask(fleet.gate(1), "sk-lasting").expect_error(429, "budget_exceeded", "budget_exceeded");
}

#[test]
fn a_restart_of_redis_loses_nothing() {
    let keys = "- {key_alias: durable, key: sk-durable, max_budget: 0.3, budget_duration: 1d}";
    let timeout = "timeout: 1s, failure_mode: closed";
    let mut fleet = Fleet::start("gl-redis", &Wanted { gates: 2, timeout, delay: "", keys });
    let counter = "key/durable/budget/1d";
    for turn in 0..2 {
        ask(fleet.gate(turn), "sk-durable").expect_ok();
        fleet.rls.expect_counted(counter, (turn as u64 + 1) * TEN_CENTS);
    }
    fleet.rls.kill_redis();
    ask(fleet.gate(0), "sk-durable").expect_error(503, "api_error", "rate_limit_service_unavailable");
    fleet.rls.run_redis();
    wait_for("room for one more", || (ask(fleet.gate(1), "sk-durable").status == 200).then_some(()));
    fleet.rls.expect_counted(counter, 3 * TEN_CENTS);
    for turn in 0..2 {
        ask(fleet.gate(turn), "sk-durable").expect_error(429, "budget_exceeded", "budget_exceeded");
    }
    // A gateway that is started anew knows nothing, and is told.
    let Fleet { rls, gates } = fleet;
    drop(gates);
    let config = CONFIG.replace("NAME", "gl-redis").replace("DELAY", "").replace("TIMEOUT", timeout) + "  " + keys;
    let gate = Gate::start("gl-redis-anew", &rls.place(&config));
    ask(&gate, "sk-durable").expect_error(429, "budget_exceeded", "budget_exceeded");
}

#[test]
fn a_client_that_hangs_up_while_the_service_is_asked_leaves_nothing_behind() {
    let keys = "- {key_alias: gone, key: sk-gone, max_budget: 0.15, max_parallel_requests: 1}";
    let fleet = Fleet::start("gl-gone", &Wanted { gates: 1, timeout: "timeout: 5s", delay: "", keys });
    fleet.rls.delay(1000);
    for count in 1..=5 {
        let request = question(fleet.gate(0), "sk-gone");
        let mut connection: Connection = request.connect();
        connection.write(&request.head());
        connection.write(chat("ten-cents", r#","max_tokens":10"#).as_bytes());
        std::thread::sleep(Duration::from_millis(100));
        drop(connection);
        let record = fleet.gate(0).access_log("gone", count).pop().unwrap();
        assert_eq!(record["model_group"], "ten-cents", "{record:#}");
    }
    fleet.rls.delay(0);
    ask(fleet.gate(0), "sk-gone").expect_ok();
    assert_eq!(Mock::shared().requests("/gl-gone/").len(), 1);
}
