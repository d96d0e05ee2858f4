//! Deployments that are left alone for a while: by every worker, at once, for as long as the provider says, and no
//! longer than until one request has found them well.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Options, Request, Rig, at_once, chat, wait_for};

/// Every group `<name>` has a deployment `<name>-a` that is always preferred, and a sibling `<name>-b` that takes what
/// it cannot: name, what `<name>-a` does, its `model_info`.
const PAIRS: [(&str, &str, &str); 13] = [
    ("limited", "status=429,retry-after=2", "cooldown_time: 60"),
    ("instant", "status=429,header=retry-after-ms:1500", "cooldown_time: 60"),
    ("tolerant", "status=500", "cooldown_time: 60, allowed_fails: 2"),
    ("policy", "status=500", "cooldown_time: 60, allowed_fails_policy: {InternalServerErrorAllowedFails: 1}"),
    ("half", FROM_OUTSIDE, "cooldown_time: 1, allowed_fails: 0"),
    ("relapse", "status=500", "cooldown_time: 1, allowed_fails: 0"),
    ("low", "header=x-ratelimit-remaining-requests:0,header=x-ratelimit-reset-requests:2s", ""),
    ("tokens", "header=x-ratelimit-remaining-tokens:0,header=x-ratelimit-reset-tokens:2s", ""),
    ("plenty", "header=x-ratelimit-remaining-requests:7,header=x-ratelimit-reset-requests:60s", ""),
    ("fault-400", "status=400", "allowed_fails: 0, cooldown_time: 60"),
    ("fault-404", "status=404", "allowed_fails: 0, cooldown_time: 60"),
    ("fault-413", "status=413", "allowed_fails: 0, cooldown_time: 60"),
    ("fault-422", "status=422", "allowed_fails: 0, cooldown_time: 60"),
];

/// No script: `Mock::script` gives it one.
const FROM_OUTSIDE: &str = "id=outside";

/// Groups whose preferred deployments share a base URL: name, model, credential.
const CREDENTIALS: [(&str, &str, &str); 3] = [
    ("cred-one", "gpt-4o-mini", "sk-bad"),
    ("cred-two", "gpt-4o", "sk-bad"),
    ("cred-three", "gpt-4.1-mini", "sk-good"),
];

/// Groups without a preference.
const EQUALS: [(&str, &str, &str, &str); 4] = [
    ("all", "all-1", "status=429,retry-after=30", ""),
    ("all", "all-2", "status=429,retry-after=7", ""),
    ("silent", "silent-1", "status=500", "allowed_fails: 0, cooldown_time: 9"),
    ("silent", "silent-2", "status=500", "allowed_fails: 0, cooldown_time: 9"),
];

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start_with("cooldown", &config(), Options { concurrency: 4, ..Options::default() }))
}

fn config() -> String {
    let mut list = String::new();
    for (name, script, info) in PAIRS {
        list +=
            &entry(name, &format!("{name}-a"), 1, &format!("{name}-a/{script}/v1"), info, "openai/gpt-4o-mini", "sk-x");
        list += &entry(name, &format!("{name}-b"), 0, &format!("{name}-b/v1"), "", "openai/gpt-4o-mini", "sk-x");
    }
    for (name, model, key) in CREDENTIALS {
        let model = format!("openai/{model}");
        list += &entry(name, &format!("{name}-a"), 1, "cred-a/v1", "cooldown_time: 60", &model, key);
        list += &entry(name, &format!("{name}-b"), 0, "cred-b/v1", "", &model, "sk-x");
    }
    for (id, weight) in [("claude-a", 1), ("claude-b", 0)] {
        list += &entry("claude", id, weight, id, "", "anthropic/claude-haiku-4-5", "sk-x");
    }
    for (group, id, script, info) in EQUALS {
        list += &entry(group, id, 1, &format!("{id}/{script}/v1"), info, "openai/gpt-4o-mini", "sk-x");
    }
    format!(
        "model_list:\n{list}router_settings: {{num_retries: 1}}\ntollgate:\n  keys:\n  - {{key_alias: app, key: sk-app}}\n  \
         - {{key_alias: told, key: sk-told}}\n"
    )
}

fn entry(group: &str, id: &str, weight: u8, path: &str, info: &str, model: &str, key: &str) -> String {
    format!(
        "- {{model_name: {group}, litellm_params: {{model: {model}, api_base: 'http://{{own}}/{path}', api_key: {key}, \
         weight: {weight}}}, model_info: {{id: {id}, {info}}}}}\n"
    )
}

fn ask(group: &str) -> Request {
    rig().gate.request("/v1/chat/completions", "sk-app", chat(group, ""))
}

/// Sends one request and tells who answered it.
fn served_by(group: &str) -> String {
    ask(group).send().expect_ok().by()
}

fn received(deployment: &str) -> usize {
    rig().mock.requests(&format!("/{deployment}/")).len()
}

/// Fails unless all of many requests, on as many connections, are served by `<group>-b` in one attempt.
#[track_caller]
fn expect_avoided(group: &str) {
    let before = received(&format!("{group}-a"));
    for answer in at_once(vec![ask(group); 24]) {
        let answer = answer.expect_ok();
        assert_eq!((answer.by(), answer.header("x-tollgate-attempts")), (format!("{group}-b"), Some("1")));
    }
    assert_eq!(received(&format!("{group}-a")), before, "a request reached {group}-a");
}

/// Fails unless `<group>-a` serves again within `longest`.
#[track_caller]
fn expect_back(group: &str, since: Instant, [shortest, longest]: [f64; 2]) {
    rig().mock.script(&format!("/{group}-a/"), "times=0");
    wait_for("its recovery", || (served_by(group) == format!("{group}-a")).then_some(()));
    let took = since.elapsed().as_secs_f64();
    assert!((shortest..longest).contains(&took), "{group}-a was back after {took} s");
}

#[test]
fn a_429_sends_everyone_to_the_sibling_at_once_for_as_long_as_it_says() {
    rig();
    for (group, within) in [("limited", [1.8, 4.0]), ("instant", [1.3, 3.5])] {
        let since = Instant::now();
        assert_eq!(served_by(group), format!("{group}-b"));
        assert_eq!(received(&format!("{group}-a")), 1, "{group}");
        expect_avoided(group);
        expect_back(group, since, within);
    }
}

#[test]
fn allowed_fails_are_let_pass() {
    for (group, allowed) in [("tolerant", 2), ("policy", 1)] {
        for failed in 1..=allowed + 1 {
            assert_eq!(served_by(group), format!("{group}-b"));
            assert_eq!(received(&format!("{group}-a")), failed, "{group}");
        }
        expect_avoided(group);
    }
}

#[test]
fn a_refused_credential_rests_wherever_it_is_used_and_no_other_does() {
    rig().mock.script("/cred-a/", "status=401");
    assert_eq!(served_by("cred-one"), "cred-one-b");
    rig().mock.script("/cred-a/", "");
    for group in ["cred-one", "cred-two"] {
        for _ in 0..4 {
            assert_eq!(served_by(group), format!("{group}-b"));
        }
    }
    assert_eq!(received("cred-a"), 1);
    for _ in 0..4 {
        assert_eq!(served_by("cred-three"), "cred-three-a");
    }
}

#[test]
fn what_a_client_does_wrong_never_counts() {
    for status in [400, 404, 413, 422] {
        let group = format!("fault-{status}");
        for _ in 0..8 {
            let answer = ask(&group).send();
            assert_eq!((answer.status, answer.by()), (status, format!("{group}-a")));
        }
        assert_eq!((received(&format!("{group}-a")), received(&format!("{group}-b"))), (8, 0));
    }
}

#[test]
fn one_request_tries_whether_a_deployment_has_recovered() {
    rig().mock.script("/half-a/", "status=500");
    assert_eq!(served_by("half"), "half-b");
    rig().mock.script("/half-a/", "delay-ms=1500");
    std::thread::sleep(Duration::from_millis(1200));
    let start = Instant::now();
    let answers = at_once(vec![ask("half"); 24]).into_iter().map(Answer::expect_ok);
    assert_eq!(answers.filter(|answer| answer.by() == "half-a").count(), 1, "probes");
    assert_eq!(received("half-a"), 2);
    assert!(start.elapsed() >= Duration::from_millis(1500), "the probe was no slow one");
    // It was well, so it is asked as before.
    rig().mock.script("/half-a/", "");
    let answers = at_once(vec![ask("half"); 8]).into_iter().map(Answer::expect_ok);
    assert_eq!(answers.filter(|answer| answer.by() == "half-a").count(), 8);
}

#[test]
fn a_probe_that_fails_closes_it_again() {
    assert_eq!(served_by("relapse"), "relapse-b");
    for probes in 1..=2 {
        std::thread::sleep(Duration::from_millis(1200));
        for answer in at_once(vec![ask("relapse"); 16]) {
            assert_eq!(answer.expect_ok().by(), "relapse-b");
        }
        assert_eq!(received("relapse-a"), 1 + probes);
    }
}

#[test]
fn when_all_are_cooled_down_the_first_to_recover_is_named() {
    let told = || rig().gate.chat("sk-told", "all");
    assert_eq!(told().status, 429);
    assert_eq!((received("all-1"), received("all-2")), (1, 1));
    let answer = told();
    let error = answer.expect_error(429, "rate_limit_error", "no_deployments_available");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=7).contains(&seconds), "retry-after: {seconds}");
    assert!(!error["message"].as_str().unwrap().contains("all-"), "no deployment is named: {error:#}");
    assert_eq!((received("all-1"), received("all-2")), (1, 1));
    let record = &rig().gate.access_log("told", 2)[1];
    let found = ["attempts", "model_group", "error"].map(|name| record[name].clone());
    assert_eq!(found, ["0", "all", "no_deployments_available"].map(|text| json!(text)));
    let routing = record["routing"].as_str().unwrap();
    assert!(routing.contains("all-1:cooldown") && routing.contains("all-2:cooldown"), "{routing}");
}

#[test]
fn without_a_word_of_the_provider_the_cooldown_is_that_of_the_config() {
    ask("silent").send();
    let answer = ask("silent").send();
    answer.expect_error(429, "rate_limit_error", "no_deployments_available");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((7..=9).contains(&seconds), "retry-after: {seconds}");
    assert_eq!((received("silent-1"), received("silent-2")), (1, 1));
}

#[test]
fn a_provider_that_says_nothing_is_left_is_avoided_until_its_reset() {
    rig();
    for group in ["low", "tokens"] {
        let since = Instant::now();
        assert_eq!(served_by(group), format!("{group}-a"), "the answer that says so is one");
        expect_avoided(group);
        expect_back(group, since, [1.8, 4.0]);
    }
    for _ in 0..8 {
        assert_eq!(served_by("plenty"), "plenty-a");
    }
}

#[test]
fn so_is_one_that_says_it_in_anthropics_words() {
    let since = Instant::now();
    let date = Command::new("date").args(["-u", "-d", "+4 seconds", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let reset = String::from_utf8(date.stdout).unwrap();
    let name = "anthropic-ratelimit-requests";
    rig().mock.script("/claude-a/", &format!("header={name}-remaining:0,header={name}-reset:{}", reset.trim()));
    assert_eq!(served_by("claude"), "claude-a");
    expect_avoided("claude");
    rig().mock.script("/claude-a/", "");
    wait_for("its reset", || (served_by("claude") == "claude-a").then_some(()));
    let took = since.elapsed().as_secs_f64();
    assert!((2.5..6.0).contains(&took), "claude-a was back after {took} s");
}
