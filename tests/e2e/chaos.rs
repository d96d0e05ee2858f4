//! Providers that die, come back, dawdle and flap under a steady load: what clients see of it is nothing, as long as
//! another provider is well.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Gate, Load, Mock, Options, Request, Sample, at_once, chat};

const PER_SECOND: u32 = 200;

/// A deployment `id` of `group` at `base`.
fn deployment(group: &str, id: &str, base: &str, params: &str) -> String {
    format!(
        "- {{model_name: {group}, litellm_params: {{model: openai/gpt-4o-mini, api_base: 'http://{base}/v1', \
         api_key: sk-x, {params}}}, model_info: {{id: {id}}}}}\n"
    )
}

fn start(name: &str, concurrency: u32, deployments: &[String], settings: &str) -> Gate {
    let config = format!(
        "model_list:\n{}router_settings: {{{settings}}}\ntollgate: {{allow_anonymous: true}}\n",
        deployments.concat()
    );
    Gate::start_with(name, &config, Options { concurrency, ..Options::default() })
}

fn ask(gate: &Gate, group: &str) -> Request {
    gate.request("/v1/chat/completions", "", chat(group, ""))
}

fn stream(gate: &Gate, group: &str) -> Request {
    gate.request("/v1/chat/completions", "", chat(group, ",\"stream\":true"))
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Fails if a client saw a failure.
#[track_caller]
fn expect_all_served<'a>(samples: impl IntoIterator<Item = &'a Sample>) {
    let (served, failed): (Vec<_>, Vec<_>) = samples.into_iter().partition(|sample| sample.is_served());
    assert!(
        failed.is_empty(),
        "{} of {}: {:#?}",
        failed.len(),
        failed.len() + served.len(),
        &failed[..failed.len().min(3)]
    );
    assert!(!served.is_empty());
}

/// The share of those that `deployment` answered.
fn share(samples: &[Sample], deployment: &str, from: f64, to: f64) -> f64 {
    let within: Vec<&Sample> = samples.iter().filter(|sample| sample.is_within(secs(from), secs(to))).collect();
    assert!(!within.is_empty(), "no load from {from} s to {to} s");
    within.iter().filter(|sample| sample.is_by(deployment)).count() as f64 / within.len() as f64
}

/// Kills the provider of `frail` in the midst of a load of answers and of streams on `group`, whose other provider
/// is `well`.
fn kill_under_load(gate: &Gate, mut frail: Mock, group: &str) {
    let time = secs(3.0);
    let [answers, streams] =
        [ask(gate, group), stream(gate, group)].map(|request| Load::start(&request, PER_SECOND / 2, time));
    answers.wait_until(secs(1.0));
    frail.kill();
    let dead = answers.now().max(streams.now());
    let (answers, streams) = (answers.finish(), streams.finish());
    expect_all_served(&answers);
    // A stream that had begun at the dead provider cannot be whole; one that was asked for later is.
    expect_all_served(streams.iter().filter(|sample| sample.at >= dead));
    assert!(streams.iter().all(|sample| sample.answer.as_ref().is_some_and(|answer| answer.status == 200)));
    let broken = streams.iter().filter(|sample| !sample.is_served()).count();
    assert!(broken <= 10, "{broken} streams broke");
    for samples in [&answers, &streams] {
        assert!(samples.len() > 250, "{} requests are no load", samples.len());
        assert!(share(samples, "frail", 0.0, 1.0) > 0.2, "it never served");
        assert_eq!(share(samples, "frail", dead.as_secs_f64(), 3.0), 0.0, "the dead do not answer");
    }
    // Envoy's own view.
    let [retries, successes, refused] = ["upstream_rq_retry", "upstream_rq_retry_success", "upstream_cx_connect_fail"]
        .map(|name| gate.cluster_stat(name));
    assert!(retries >= 1 && successes >= 1 && refused >= 1, "{retries} retries, {successes} good, {refused} refused");
    assert!(successes <= retries, "{successes} of {retries} retries");
}

#[test]
fn a_provider_killed_under_load_costs_nothing_with_a_sibling() {
    let (frail, well) = (Mock::mortal("chaos-sibling-frail"), Mock::start("chaos-sibling-well"));
    let deployments = [(&frail, "frail"), (&well, "well")]
        .map(|(mock, id)| deployment("pair", id, &format!("{}/delay-ms=20", mock.address()), ""));
    let gate = start("chaos-sibling", 2, &deployments, "cooldown_time: 1");
    kill_under_load(&gate, frail, "pair");
}

#[test]
fn a_provider_killed_under_load_costs_nothing_with_a_fallback() {
    let (frail, well) = (Mock::mortal("chaos-fallback-frail"), Mock::start("chaos-fallback-well"));
    let deployments = [
        deployment("first", "frail", &format!("{}/delay-ms=20", frail.address()), "num_retries: 0"),
        deployment("second", "well", &well.address(), "num_retries: 0"),
    ];
    let gate =
        start("chaos-fallback", 4, &deployments, "cooldown_time: 1, allowed_fails: 0, fallbacks: [{first: [second]}]");
    kill_under_load(&gate, frail, "first");
}

#[test]
fn an_outage_takes_the_traffic_away_and_recovery_gives_it_back() {
    let (mut frail, well) = (Mock::mortal("chaos-outage-frail"), Mock::start("chaos-outage-well"));
    let deployments =
        [(&frail, "frail"), (&well, "well")].map(|(mock, id)| deployment("pair", id, &mock.address(), ""));
    let gate = start("chaos-outage", 4, &deployments, "cooldown_time: 1, allowed_fails: 0");
    let load = Load::start(&ask(&gate, "pair"), PER_SECOND, secs(9.0));
    load.wait_until(secs(1.5));
    frail.kill();
    load.wait_until(secs(5.5));
    frail.run();
    let samples = load.finish();
    expect_all_served(&samples);
    let before = share(&samples, "frail", 0.0, 1.4);
    assert!((0.35..0.65).contains(&before), "{before} before the outage");
    assert_eq!(share(&samples, "frail", 1.7, 5.4), 0.0);
    // One probe a second, and no more.
    let outage = samples.iter().filter(|sample| sample.is_within(secs(2.0), secs(5.4)));
    let tries: u32 = outage.filter_map(|sample| Some(sample.answer.as_ref()?.attempts - 1)).sum();
    assert!((1..=6).contains(&tries), "{tries} attempts at a dead provider");
    let after = share(&samples, "frail", 8.0, 9.0);
    assert!((0.3..0.7).contains(&after), "{after} after the outage");
}

#[test]
fn a_provider_that_goes_and_comes_costs_nothing() {
    let (mut frail, well) = (Mock::mortal("chaos-flap-frail"), Mock::start("chaos-flap-well"));
    let deployments = [(&frail, "frail"), (&well, "well")]
        .map(|(mock, id)| deployment("pair", id, &format!("{}/delay-ms=5", mock.address()), ""));
    let gate = start("chaos-flap", 2, &deployments, "cooldown_time: 0.2, allowed_fails: 0");
    let load = Load::start(&ask(&gate, "pair"), PER_SECOND, secs(3.0));
    for i in 1..=9 {
        load.wait_until(secs(0.3) * i);
        if i % 2 == 1 { frail.kill() } else { frail.run() }
    }
    let samples = load.finish();
    expect_all_served(&samples);
    let flapping = share(&samples, "frail", 0.3, 3.0);
    assert!(flapping > 0.02, "it came back, and served {flapping}");
}

#[test]
fn a_provider_that_dawdles_is_given_up() {
    let mock = Mock::start("chaos-slow-mock");
    // Its head comes late, its head comes byte by byte, its body does.
    let scripts = [("late", "delay-ms=9000"), ("drip", "drip-ms=40"), ("trickle", "chunk-bytes=1,chunk-ms=40")];
    let mut deployments: Vec<String> = scripts
        .iter()
        .map(|(name, script)| deployment(name, name, &format!("{}/{script}", mock.address()), "num_retries: 0"))
        .collect();
    deployments.push(deployment("second", "second", &mock.address(), ""));
    let gate = start("chaos-slow", 2, &deployments, "timeout: 0.4, default_fallbacks: [second]");
    let answers = scripts.map(|(name, _)| ask(&gate, name));
    // The head of a stream is not late in `trickle`, and its first event is soon there.
    let streams = ["late", "drip"].map(|name| stream(&gate, name));
    let start = Instant::now();
    for answer in at_once(answers.into_iter().chain(streams).flat_map(|request| [request.clone(), request])) {
        let answer = answer.expect_ok();
        assert_eq!(answer.header("x-tollgate-deployment"), Some("second"));
        assert!(answer.is_whole);
    }
    assert!(start.elapsed() < secs(3.0), "{:?}", start.elapsed());
}

#[test]
fn a_name_that_does_not_resolve_costs_nothing() {
    let mock = Mock::start("chaos-name-mock");
    let deployments = [
        deployment("first", "nowhere", "nowhere.invalid", "num_retries: 0"),
        deployment("second", "well", &mock.address(), ""),
    ];
    let gate = start("chaos-name", 2, &deployments, "fallbacks: [{first: [second]}]");
    for answer in at_once((0..20).map(|i| if i % 2 == 0 { ask(&gate, "first") } else { stream(&gate, "first") })) {
        let answer = answer.expect_ok();
        assert_eq!(answer.header("x-tollgate-deployment"), Some("well"));
        assert!(answer.is_whole);
    }
}

#[test]
fn when_all_are_down_every_request_gets_an_error_soon() {
    let mut mock = Mock::mortal("chaos-down-mock");
    let deployments = [
        deployment("pair", "one", &mock.address(), "num_retries: 1"),
        deployment("pair", "two", "{dead}", "num_retries: 1"),
        deployment("other", "three", "{dead}", "num_retries: 1"),
    ];
    let gate = start("chaos-down", 4, &deployments, "cooldown_time: 1, fallbacks: [{pair: [other]}]");
    mock.kill();
    let [answers, streams] =
        [ask(&gate, "pair"), stream(&gate, "pair")].map(|request| Load::start(&request, PER_SECOND / 2, secs(1.5)));
    for sample in answers.finish().iter().chain(&streams.finish()) {
        let answer = sample.answer.as_ref().expect("an answer");
        assert!(answer.is_whole && [429, 503].contains(&answer.status), "{sample:#?}");
        assert_eq!(answer.content_type, "application/json");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let [type_, code] = ["type", "code"].map(|name| body["error"][name].as_str().unwrap_or_default());
        let known = [("api_error", "upstream_unreachable"), ("rate_limit_error", "no_deployments_available")];
        assert!(known.contains(&(type_, code)), "{}", answer.body);
        assert!(sample.took < secs(5.0), "{:?}", sample.took);
    }
    mock.run();
    let recovered = || (0..4).all(|_| gate.chat("", "pair").status == 200).then_some(());
    crate::harness::wait_for("recovery", recovered);
}
