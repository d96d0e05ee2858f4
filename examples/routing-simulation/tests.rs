//! What the README says, on minutes that are made for it.

use serde_json::{Value, json};
use tollgate::routing::Class;
use tollgate::units::Millis;

use crate::report::{HEAD, Outcomes, Request, Summary};
use crate::scenario::{Kind, Load, Scenario, Trouble, sites};
use crate::world::{Router, run};
use crate::{STRATEGIES, plot, tuned};

/// Positions of sites.
const EAST: [usize; 4] = [0, 1, 2, 3];
const WEST: [usize; 3] = [4, 5, 6];
const OWN_GPU: usize = 8;

/// So many seconds with as many requests in each of them.
fn scenario(secs: u64, rate: f64) -> Scenario {
    Scenario {
        seed: 7,
        length: Millis::from_secs(secs),
        sites: sites(),
        troubles: Vec::new(),
        load: Load { least: rate, most: rate, burst: (0, 0, 1.0) },
    }
}

fn trouble(from_secs: u64, to_secs: u64, sites: &[usize], kind: Kind) -> Trouble {
    Trouble { from: 1000 * from_secs, to: 1000 * to_secs, sites: sites.to_vec(), kind }
}

fn routed(scenario: &Scenario, strategy: &'static str, settings: Value) -> Outcomes {
    run(scenario, &Router::Tollgate(strategy, settings)).unwrap()
}

/// All that can go wrong, in two minutes.
fn mixed() -> Scenario {
    let troubles = vec![
        trouble(20, 50, &EAST, Kind::Down),
        trouble(40, 80, &WEST, Kind::Errors(70)),
        trouble(60, 100, &[OWN_GPU], Kind::Slow(8.0)),
        trouble(90, 110, &[0, 1], Kind::Silent),
    ];
    Scenario { troubles, ..scenario(120, 40.0) }
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let other = Scenario { seed: 8, ..mixed() };
    for router in [Router::Blind, Router::Tollgate("least-busy", json!({}))] {
        let [one, two] = [(); 2].map(|()| run(&mixed(), &router).unwrap());
        assert!(one == two, "{router:?}");
        assert!(one != run(&other, &router).unwrap(), "{router:?}");
    }
}

#[test]
fn every_request_ends_once() {
    let scenario = mixed();
    let arrivals: Vec<Millis> = scenario.arrivals().map(|ask| ask.at).collect();
    let routers = STRATEGIES.map(|name| Router::Tollgate(name, json!({})));
    for router in routers.iter().chain([&Router::Blind]) {
        let outcomes = run(&scenario, router).unwrap();
        let whole = outcomes.whole();
        let failed = outcomes.requests.iter().filter(|request| request.took.is_none()).count();
        assert_eq!((whole.requests, whole.answered + failed), (arrivals.len(), arrivals.len()), "{router:?}");
        let attempts: u32 = outcomes.requests.iter().map(|request| request.attempts).sum();
        assert_eq!(attempts as usize, outcomes.attempts.len(), "{router:?}");
        let answers = outcomes.attempts.iter().filter(|attempt| attempt.failure.is_none()).count();
        assert_eq!(answers, whole.answered, "{router:?}: one answer each");
        let course = outcomes.course(plot::STEP, scenario.length);
        assert_eq!(course.iter().map(|summary| summary.requests).sum::<usize>(), arrivals.len());
    }
}

#[test]
fn nobody_sees_one_deployment_fail_and_only_probes_reach_it() {
    // From the middle of a minute on, when the percentage rule has many successes to outweigh.
    let outage = Scenario { troubles: vec![trouble(80, 110, &[OWN_GPU], Kind::Down)], ..scenario(150, 20.0) };
    for name in STRATEGIES {
        let outcomes = routed(&outage, name, json!({}));
        assert!(outcomes.requests.iter().all(|request| request.took.is_some()), "{name}");
        let is_within = |at: Millis| (80_000..110_000).contains(&at.0);
        let reached = outcomes.attempts.iter().filter(|attempt| attempt.id == "own-gpu" && is_within(attempt.at));
        let reached: Vec<_> = reached.collect();
        assert!(reached.iter().all(|attempt| attempt.failure == Some(Class::Connection)), "{name}");
        let cooled = reached.iter().position(|attempt| attempt.is_probe).expect("it is probed");
        assert!(cooled > 0, "{name}");
        let probes: Vec<_> = reached.iter().skip(cooled).collect();
        assert!(probes.iter().all(|attempt| attempt.is_probe), "{name}");
        // Another one every five seconds.
        assert!(probes.windows(2).all(|two| two[1].at.since(two[0].at) >= Millis(5000)), "{name}");
        let after = outcomes.attempts.iter().filter(|attempt| attempt.id == "own-gpu" && attempt.at.0 >= 116_000);
        assert!(after.filter(|attempt| attempt.failure.is_none()).count() > 20, "{name}: it is back");
    }
}

#[test]
fn every_strategy_answers_more_than_chance() {
    let troubles = vec![trouble(80, 110, &EAST, Kind::Down), trouble(130, 200, &WEST, Kind::Errors(80))];
    let hard = Scenario { troubles, ..scenario(240, 25.0) };
    let failed = |outcomes: &Outcomes| outcomes.whole().requests - outcomes.whole().answered;
    let baseline = failed(&run(&hard, &Router::Blind).unwrap());
    assert!(baseline >= 20, "{baseline}: there is something to win");
    for (name, settings) in STRATEGIES.into_iter().flat_map(|name| [(name, json!({})), (name, tuned())]) {
        let found = failed(&routed(&hard, name, settings.clone()));
        assert!(2 * found < baseline, "{name} {settings}: {found} against {baseline}");
    }
}

#[test]
fn who_watches_answers_avoids_the_slow() {
    let slow = Scenario { troubles: vec![trouble(60, 180, &[0, OWN_GPU], Kind::Slow(6.0))], ..scenario(200, 25.0) };
    let p99 = |name| routed(&slow, name, json!({})).within(Millis(60_000), Millis(180_000)).percentiles[2];
    let shuffled = p99("simple-shuffle");
    for name in ["least-busy", "latency-based-routing"] {
        let found = p99(name);
        assert!(5 * found < 4 * shuffled, "{name}: {found} ms against {shuffled}");
    }
}

#[test]
fn who_was_slow_is_asked_again() {
    let slow = Scenario { troubles: vec![trouble(20, 60, &[OWN_GPU], Kind::Slow(20.0))], ..scenario(180, 15.0) };
    for name in STRATEGIES {
        let outcomes = routed(&slow, name, tuned());
        let after = outcomes.attempts.iter().filter(|attempt| attempt.id == "own-gpu" && attempt.at.0 >= 130_000);
        let after = after.filter(|attempt| attempt.failure.is_none()).count();
        assert!(after > 30, "{name}: {after} in the last 50 s");
    }
}

#[test]
fn a_silent_deployment_does_not_draw_the_requests() {
    let silent = Scenario { troubles: vec![trouble(80, 110, &[0], Kind::Silent)], ..scenario(120, 25.0) };
    for name in ["least-busy", "latency-based-routing", "usage-based-routing-v2"] {
        let outcomes = routed(&silent, name, json!({}));
        let drawn = outcomes.attempts.iter().filter(|attempt| attempt.id == "east-1" && attempt.at.0 >= 80_000);
        let all = outcomes.attempts.iter().filter(|attempt| attempt.at.0 >= 80_000).count();
        let drawn = drawn.filter(|attempt| attempt.at.0 < 110_000).count();
        assert!(5 * drawn < all, "{name}: {drawn} of {all}");
    }
}

#[test]
fn the_cheapest_strategy_is_the_one_that_looks_at_prices() {
    let calm = scenario(120, 20.0);
    let cost = |name| routed(&calm, name, json!({})).usd_per_thousand();
    let cheapest = cost("cost-based-routing");
    for name in STRATEGIES.into_iter().filter(|name| *name != "cost-based-routing") {
        assert!(1.3 * cheapest < cost(name), "{name}: {} against {cheapest}", cost(name));
    }
}

/// How often a deployment refused a request in a minute.
fn refused(outcomes: &Outcomes, id: &str, minute: u64) -> usize {
    let at = outcomes.attempts.iter().filter(|attempt| attempt.id == id && attempt.at.0 / 60_000 == minute);
    at.filter(|attempt| attempt.failure == Some(Class::RateLimit)).count()
}

#[test]
fn limits_are_kept_and_told_ones_learnt() {
    let busy = scenario(180, 60.0);
    let baseline = run(&busy, &Router::Blind).unwrap();
    assert!(refused(&baseline, "spot", 1) > 100, "there is something to learn");
    for name in STRATEGIES {
        let outcomes = routed(&busy, name, json!({}));
        let refused = |id, minute| refused(&outcomes, id, minute);
        for minute in 0..3 {
            for id in ["east-1", "east-2", "west-1", "far"] {
                assert_eq!(refused(id, minute), 0, "{name}: the config has the limit of {id}");
            }
            for id in ["east-3", "east-4", "west-2", "west-3", "spot"] {
                // Those that were under way when the first was refused or the last let in, and a probe.
                assert!(refused(id, minute) <= 12, "{name}: {} refusals by {id}", refused(id, minute));
            }
        }
    }
}

#[test]
fn percentiles_are_those_of_the_answered() {
    let request = |took: Option<u64>| Request { at: Millis(0), attempts: 1, took: took.map(Millis) };
    let requests: Vec<Request> = (1..=100).map(Some).chain([None; 25]).map(request).collect();
    let summary = Summary::of(requests.iter());
    assert_eq!(summary.percentiles, [50, 95, 99]);
    assert!((summary.goodput() - 80.0).abs() < 1e-9);
    assert_eq!(Summary::of([].iter()).percentiles, [0; 3]);
}

#[test]
fn the_readme_has_a_place_for_the_results() {
    assert!(include_str!("README.md").contains(HEAD));
    let picture = include_str!("routing.svg");
    assert!(STRATEGIES.iter().all(|name| picture.contains(name)));
}
