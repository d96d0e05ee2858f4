use std::rc::Rc;

use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Alerts, ENTRIES_MAX};
use crate::config::{Breaker, Config, Deployment, Env};
use crate::routing::{Class, Health, Outcome, PerClass, Skip, Traffic};
use crate::units::Millis;

/// A full minute, some time in 2026.
const START: u64 = 29_900_000 * 60_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const LEASE: Millis = Millis(10_000);

fn at(ms: i64) -> Millis {
    Millis(START.saturating_add_signed(ms))
}

/// Deployment `number` with a credential of its own and a cooldown of 5 s.
fn deployment(number: u64) -> Deployment {
    let document = json!({
        "model_list": [{"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}}],
        "tollgate": {"allow_anonymous": true},
    });
    let config = Config::compile(&document, Env::Strict(&|_| None)).unwrap();
    let one = config.deployments[0].clone();
    drop(config);
    Deployment { number, credential_number: number + 1_000_000, ..Rc::try_unwrap(one).unwrap() }
}

fn allowing(allowed: &[(Class, u32)]) -> Deployment {
    let mut allowed_fails = PerClass::default();
    allowed.iter().for_each(|&(class, fails)| allowed_fails.set(class, Some(fails)));
    Deployment { breaker: Breaker { allowed_fails, ..Breaker::default() }, ..deployment(1) }
}

/// A failure in a group of two.
fn failure(class: Class) -> Outcome {
    Outcome { failure: Some(class), siblings: 2, ..Outcome::default() }
}

/// A failure of a deployment that is alone in its group.
fn alone(class: Class) -> Outcome {
    Outcome { siblings: 1, has_fallbacks: true, ..failure(class) }
}

fn without_substitute(class: Class) -> Outcome {
    Outcome { siblings: 1, ..failure(class) }
}

fn with_date(class: Class, ms: i64) -> Outcome {
    Outcome { retry_at: Some(at(ms)), ..failure(class) }
}

fn probe(outcome: Outcome) -> Outcome {
    Outcome { is_probe: true, ..outcome }
}

fn answer() -> Outcome {
    Outcome { siblings: 2, ..Outcome::default() }
}

fn exhausted(ms: i64) -> Outcome {
    Outcome { exhausted_until: Some(at(ms)), ..answer() }
}

fn cooled(ms: i64) -> Health {
    Health::Closed(Skip::Cooldown(at(ms)))
}

fn probed(ms: i64) -> Health {
    Health::Closed(Skip::Probing(at(ms)))
}

fn spent(ms: i64) -> Health {
    Health::Closed(Skip::Exhausted(at(ms)))
}

/// So many requests begun in this minute, of which only the last is under way.
const fn of(begun: u64) -> Traffic {
    Traffic { begun, under_way: 1 }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// So many failures, of so many requests in this minute.
    Fail(usize, Outcome, u64),
    Succeed(Outcome),
    Claim(bool),
    /// Of a probe that was claimed then.
    Release(i64),
}
use Event::{Claim, Fail, Nothing, Release, Succeed};

/// One event, the time since the start in ms, and the health after it.
type Row = (Event, i64, Health);

/// Acts and stores as the host does: what is not said to be changed is not stored.
fn act(bytes: &mut Vec<u8>, deployment: &Deployment, event: Event, now: Millis) {
    let mut step = |change: &dyn Fn(&mut Alerts) -> bool| {
        let mut alerts = Alerts::decode(bytes);
        let changed = change(&mut alerts);
        if changed {
            assert_ne!(&alerts.encode(), bytes, "{event:?} at {now:?} changes nothing");
            *bytes = alerts.encode();
        }
        assert_eq!(Alerts::decode(bytes).encode(), *bytes);
        changed
    };
    match event {
        Nothing => {}
        Fail(times, outcome, requests) => {
            for _ in 0..times {
                step(&|alerts| alerts.fail(now, deployment, &outcome, of(requests)));
            }
        }
        Succeed(outcome) => {
            step(&|alerts| alerts.succeed(now, deployment, &outcome));
        }
        Claim(is_had) => assert_eq!(step(&|alerts| alerts.claim(now, deployment, LEASE)), is_had, "claim at {now:?}"),
        Release(claimed) => {
            step(&|alerts| alerts.release(now, deployment, at(claimed), LEASE));
        }
    }
}

fn check(deployment: &Deployment, rows: &[Row]) -> Alerts {
    let mut bytes = Vec::new();
    for (i, &(event, ms, expected)) in rows.iter().enumerate() {
        act(&mut bytes, deployment, event, at(ms));
        let health = Alerts::decode(&bytes).health(at(ms), deployment);
        assert_eq!(health, expected, "row {i}: {event:?} at {ms}");
    }
    Alerts::decode(&bytes)
}

use Class::{Authentication, Connection, InternalServer, RateLimit, ServiceUnavailable, Timeout};
use Health::{HalfOpen, Open};

#[wasm_bindgen_test(unsupported = test)]
fn a_rate_limit_cools_at_once_where_there_is_a_sibling() {
    let limit = failure(RateLimit);
    check(
        &deployment(1),
        &[(Fail(1, limit, 1000), 0, cooled(5000)), (Nothing, 4999, cooled(5000)), (Nothing, 5000, HalfOpen)],
    );
    check(
        &deployment(1),
        &[(Fail(19, alone(RateLimit), 19), 0, Open), (Fail(1, alone(RateLimit), 20), 0, cooled(5000))],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn more_than_half_of_a_minutes_requests_must_fail() {
    for class in [Timeout, InternalServer, ServiceUnavailable, Connection] {
        let fault = failure(class);
        check(&deployment(1), &[(Fail(4, fault, 4), 0, Open), (Fail(1, fault, 5), 0, cooled(5000))]);
        check(&deployment(1), &[(Fail(5, fault, 10), 0, Open), (Fail(1, fault, 11), 0, cooled(5000))]);
        check(&deployment(1), &[(Fail(6, fault, 12), 0, Open), (Fail(1, fault, 13), 0, cooled(5000))]);
        let late = MINUTE as i64;
        check(&deployment(1), &[(Fail(4, fault, 4), late - 1, Open), (Fail(4, fault, 4), late, Open)]);
        let fault = alone(class);
        check(&deployment(1), &[(Fail(19, fault, 19), 0, Open), (Fail(1, fault, 20), 0, cooled(5000))]);
        let first = (Fail(1, fault, 1), 0, Open);
        check(&deployment(1), &[first, (Fail(49, fault, 100), 0, Open), (Fail(1, fault, 101), 0, cooled(5000))]);
    }
    // An outage after a thousand good answers of the same minute.
    for (fault, least) in [(failure(Timeout), 10), (alone(Timeout), 20)] {
        let one = |n: usize, health| (Fail(1, fault, 1000 + n as u64), n as i64, health);
        let failing: Vec<Row> =
            (1..least).map(|n| one(n, Open)).chain([one(least, cooled(5000 + least as i64))]).collect();
        check(&deployment(1), &failing);
        let a_third = |n: usize| (Fail(1, fault, 1000 + 3 * n as u64), n as i64, Open);
        check(&deployment(1), &(1..200).map(a_third).collect::<Vec<Row>>());
    }
    // A hundred begun at once, of which every third fails: none of them had ended before the first failure.
    let (mut alerts, crowd) = (Alerts::default(), deployment(1));
    for n in 0..33 {
        alerts.fail(at(0), &crowd, &failure(Timeout), Traffic { begun: 100, under_way: 100 - 3 * n });
        assert_eq!(alerts.health(at(0), &crowd), Open, "{n}");
    }
    // The board lags: more failures are counted than requests.
    check(&deployment(1), &[(Fail(5, failure(Timeout), 0), 0, cooled(5000))]);
    check(
        &deployment(1),
        &[(Fail(4, failure(Timeout), 0), 0, Open), (Fail(1, failure(Connection), 1), 0, cooled(5000))],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_clients_own_faults_never_count() {
    let own = Class::ALL.into_iter().filter(|class| !class.counts());
    let mut strict = deployment(1);
    strict.breaker.allowed_fails = PerClass::all(Some(0));
    for class in own {
        for deployment in [&deployment(1), &strict] {
            let alerts = check(deployment, &[(Fail(100, failure(class), 100), 0, Open)]);
            assert!(alerts.is_empty(), "{class:?}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cooldown_of_zero_never_cools() {
    let mut patient = deployment(1);
    patient.breaker = Breaker { cooldown: Millis(0), allowed_fails: PerClass::all(Some(0)) };
    for class in Class::ALL {
        assert!(check(&patient, &[(Fail(100, with_date(class, 9000), 100), 0, Open)]).is_empty(), "{class:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_deployment_without_substitute_is_never_cooled() {
    let mut strict = deployment(1);
    strict.breaker.allowed_fails = PerClass::all(Some(0));
    for class in Class::ALL {
        for deployment in [&deployment(1), &strict] {
            let outcome =
                Outcome { retry_at: Some(at(9000)), exhausted_until: Some(at(9000)), ..without_substitute(class) };
            assert!(check(deployment, &[(Fail(100, outcome, 100), 0, Open)]).is_empty(), "{class:?}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cooldown_lasts_as_long_as_the_provider_says() {
    for (retry_at, end) in [
        (20_000, 20_000),
        (30, 30),
        (HOUR as i64, HOUR as i64),
        (24 * HOUR as i64, HOUR as i64),
        (i64::MAX, HOUR as i64),
        (0, 5000),
        (-9000, 5000),
    ] {
        check(
            &deployment(1),
            &[
                (Fail(1, with_date(RateLimit, retry_at), 1), 0, cooled(end)),
                (Nothing, end - 1, cooled(end)),
                (Nothing, end, HalfOpen),
            ],
        );
    }
    let mut slow = deployment(1);
    slow.breaker.cooldown = Millis(90_000);
    check(&slow, &[(Fail(1, failure(RateLimit), 1), 0, cooled(90_000))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn allowances_are_exceeded_within_a_window() {
    let fault = failure(InternalServer);
    let three = allowing(&[(InternalServer, 3)]);
    check(&three, &[(Fail(3, fault, 3), 0, Open), (Fail(1, fault, 1000), 4999, cooled(9999))]);
    check(
        &three,
        &[(Fail(3, fault, 3), 0, Open), (Fail(3, fault, 6), 5000, Open), (Fail(1, fault, 7), 9999, cooled(14_999))],
    );
    check(
        &three,
        &[(Fail(3, alone(InternalServer), 3), 0, Open), (Fail(1, alone(InternalServer), 4), 0, cooled(5000))],
    );
    check(&allowing(&[(InternalServer, 0)]), &[(Fail(1, fault, 1000), 0, cooled(5000))]);
    let limits = allowing(&[(RateLimit, 2)]);
    check(&limits, &[(Fail(2, failure(RateLimit), 2), 0, Open), (Fail(1, failure(RateLimit), 3), 0, cooled(5000))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_allowance_counts_the_classes_that_have_no_larger_one() {
    let all = [(Timeout, 3), (InternalServer, 3), (Connection, 3)];
    let mixed = [(Fail(2, failure(Timeout), 2), 0, Open), (Fail(1, failure(Connection), 3), 0, Open)];
    check(&allowing(&all), &[mixed[0], mixed[1], (Fail(1, failure(InternalServer), 4), 0, cooled(5000))]);
    let unequal = allowing(&[(RateLimit, 100), (Timeout, 2)]);
    check(
        &unequal,
        &[
            (Fail(50, failure(RateLimit), 50), 0, Open),
            (Fail(2, failure(Timeout), 52), 0, Open),
            (Fail(1, failure(Timeout), 53), 0, cooled(5000)),
        ],
    );
    check(
        &unequal,
        &[
            (Fail(2, failure(Timeout), 2), 0, Open),
            (Fail(98, failure(RateLimit), 100), 0, Open),
            (Fail(1, failure(RateLimit), 101), 0, cooled(5000)),
        ],
    );
    // Without an allowance the percentage rule stays, on a count of its own.
    check(
        &unequal,
        &[
            (Fail(2, failure(Timeout), 2), 0, Open),
            (Fail(3, failure(Connection), 6), 0, Open),
            (Fail(1, failure(Connection), 7), 0, cooled(5000)),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn one_probe_decides() {
    let limit = failure(RateLimit);
    let rows = [
        (Fail(1, limit, 1), 0, cooled(5000)),
        (Claim(false), 4999, cooled(5000)),
        (Claim(true), 6000, probed(16_000)),
        (Claim(false), 6000, probed(16_000)),
        (Succeed(answer()), 7000, probed(16_000)),
    ];
    let with = |more: &[Row]| check(&deployment(1), &[&rows[..], more].concat());
    assert!(with(&[(Succeed(probe(answer())), 8000, Open), (Claim(false), 8000, Open)]).is_empty());
    with(&[(Fail(1, probe(failure(Connection)), 1), 8000, cooled(13_000)), (Nothing, 13_000, HalfOpen)]);
    with(&[(Fail(1, probe(with_date(RateLimit, 60_000)), 1), 8000, cooled(60_000))]);
    // An answer that blames the client is an answer.
    assert!(with(&[(Fail(1, probe(failure(Class::BadRequest)), 1), 8000, Open)]).is_empty());
    // A request without substitute had the probe: the next one may try.
    with(&[(Fail(1, probe(without_substitute(Timeout)), 1), 8000, HalfOpen), (Claim(true), 8000, probed(18_000))]);
    with(&[(Fail(1, without_substitute(Timeout), 1), 8000, probed(16_000))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_probe_lapses_with_its_lease() {
    let dead = [(Fail(1, failure(RateLimit), 1), 0, cooled(5000)), (Claim(true), 5000, probed(15_000))];
    let lapsed =
        [(Nothing, 14_999, probed(15_000)), (Nothing, 15_000, HalfOpen), (Claim(true), 15_000, probed(25_000))];
    let with = |more: &[Row]| check(&deployment(1), &[&dead[..], &lapsed[..], more].concat());
    with(&[
        (Release(5000), 16_000, probed(25_000)),
        (Release(15_000), 16_000, HalfOpen),
        (Release(15_000), 16_000, HalfOpen),
    ]);
    with(&[(Fail(1, probe(failure(Timeout)), 1), 16_000, cooled(21_000)), (Succeed(probe(answer())), 17_000, Open)]);
    let mut bytes = Vec::new();
    let one = deployment(1);
    act(&mut bytes, &one, Fail(1, failure(RateLimit), 1), at(0));
    for (lease, end) in [(0, 6000), (6_000_000, 65_000), (u64::MAX, 65_000)] {
        let mut alerts = Alerts::decode(&bytes);
        assert!(alerts.claim(at(5000), &one, Millis(lease)));
        assert_eq!(alerts.health(at(5000), &one), probed(end));
        assert!(alerts.release(at(5500), &one, at(5000), Millis(lease)));
        assert_eq!(alerts.health(at(5500), &one), HalfOpen);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn late_failures_do_not_prolong_a_cooldown() {
    let limit = failure(RateLimit);
    let cool = (Fail(1, limit, 1), 0, cooled(5000));
    check(&deployment(1), &[cool, (Fail(100, limit, 100), 4000, cooled(5000)), (Fail(9, limit, 9), 6000, HalfOpen)]);
    check(&deployment(1), &[cool, (Fail(1, with_date(RateLimit, 4500), 2), 4000, cooled(5000))]);
    check(&deployment(1), &[cool, (Fail(1, with_date(RateLimit, 9000), 2), 4000, cooled(9000))]);
    check(&deployment(1), &[cool, (Fail(1, with_date(RateLimit, 9000), 2), 6000, cooled(9000))]);
    check(&deployment(1), &[cool, (Claim(true), 5000, probed(15_000)), (Fail(9, limit, 9), 5001, probed(15_000))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn counts_begin_anew_after_a_cooldown() {
    let fault = failure(InternalServer);
    check(
        &deployment(1),
        &[
            (Fail(5, fault, 5), 0, cooled(5000)),
            (Claim(true), 5000, probed(15_000)),
            (Succeed(probe(answer())), 6000, Open),
            (Fail(4, fault, 9), 7000, Open),
            (Fail(1, fault, 10), 7000, Open),
            (Fail(1, fault, 11), 7000, cooled(12_000)),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_credential_takes_all_its_deployments_out() {
    let (one, two, other) = (deployment(1), deployment(2), deployment(3));
    let two = Deployment { credential_number: one.credential_number, ..two };
    for refused in [failure(Authentication), alone(Authentication)] {
        let mut alerts = Alerts::default();
        assert!(alerts.fail(at(0), &one, &refused, of(1000)));
        let healths = |alerts: &Alerts, ms| [&one, &two, &other].map(|deployment| alerts.health(at(ms), deployment));
        assert_eq!(healths(&alerts, 0), [cooled(5000), cooled(5000), Open]);
        assert_eq!(healths(&alerts, 5000), [HalfOpen, HalfOpen, Open]);
        assert!(alerts.claim(at(5000), &two, LEASE));
        assert!(!alerts.claim(at(5000), &one, LEASE), "one probe for the credential");
        assert_eq!(healths(&alerts, 5000), [probed(15_000), probed(15_000), Open]);
        let mut refused_again = alerts.clone();
        assert!(refused_again.fail(at(6000), &two, &probe(refused), of(1)));
        assert_eq!(healths(&refused_again, 6000), [cooled(11_000), cooled(11_000), Open]);
        let mut timed_out = alerts.clone();
        assert!(timed_out.fail(at(6000), &two, &probe(failure(Timeout)), of(1)));
        assert_eq!(healths(&timed_out, 6000), [HalfOpen, HalfOpen, Open], "it says nothing of the credential");
        assert!(alerts.succeed(at(6000), &two, &probe(answer())));
        assert_eq!(healths(&alerts, 6000), [Open, Open, Open]);
        assert!(alerts.is_empty());
    }
    let mut patient = allowing(&[(Authentication, 1)]);
    patient.credential_number = one.credential_number;
    check(
        &patient,
        &[(Fail(1, failure(Authentication), 1), 0, Open), (Fail(1, failure(Authentication), 2), 0, cooled(5000))],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_deployment_and_its_credential_are_probed_together() {
    let refused =
        [(Fail(1, failure(RateLimit), 1), 0, cooled(5000)), (Fail(1, failure(Authentication), 2), 3000, cooled(8000))];
    let claimed =
        [(Nothing, 6000, cooled(8000)), (Claim(true), 9000, probed(19_000)), (Claim(false), 9000, probed(19_000))];
    let with = |more: &[Row]| check(&deployment(1), &[&refused[..], &claimed[..], more].concat());
    assert!(with(&[(Succeed(probe(answer())), 9500, Open)]).is_empty());
    with(&[(Fail(1, probe(failure(Timeout)), 1), 9500, cooled(14_500)), (Nothing, 14_500, HalfOpen)]);
    with(&[(Fail(1, probe(failure(Authentication)), 1), 9500, cooled(14_500)), (Claim(true), 14_500, probed(24_500))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_used_up_is_avoided_and_needs_no_probe() {
    check(
        &deployment(1),
        &[
            (Succeed(exhausted(9000)), 0, spent(9000)),
            (Claim(false), 1000, spent(9000)),
            (Succeed(answer()), 2000, spent(9000)),
            (Succeed(exhausted(7000)), 2000, spent(9000)),
            (Succeed(exhausted(12_000)), 2000, spent(12_000)),
            (Nothing, 11_999, spent(12_000)),
            (Nothing, 12_000, Open),
        ],
    );
    check(&deployment(1), &[(Succeed(exhausted(24 * HOUR as i64)), 0, spent(60_000))]);
    assert!(check(&deployment(1), &[(Succeed(exhausted(0)), 0, Open), (Succeed(exhausted(-5)), 0, Open)]).is_empty());
    let lone = Outcome { siblings: 1, ..exhausted(9000) };
    check(
        &deployment(1),
        &[(Succeed(lone), 0, Open), (Succeed(Outcome { has_fallbacks: true, ..lone }), 0, spent(9000))],
    );
    let both = |class| Outcome { exhausted_until: Some(at(9000)), ..failure(class) };
    check(&deployment(1), &[(Fail(1, both(RateLimit), 1), 0, spent(9000)), (Nothing, 9000, HalfOpen)]);
    check(&deployment(1), &[(Fail(1, both(Class::NotFound), 1), 0, spent(9000)), (Nothing, 9000, Open)]);
    check(
        &deployment(1),
        &[
            (Fail(1, both(RateLimit), 1), -3000, spent(9000)),
            (Nothing, 8999, spent(9000)),
            (Claim(true), 9000, probed(19_000)),
            (Succeed(probe(exhausted(20_000))), 9500, spent(20_000)),
            (Nothing, 20_000, Open),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_set_back_keeps_nobody_out() {
    let back = -(24 * HOUR as i64);
    let cool = (Fail(1, failure(RateLimit), 1), 0, cooled(5000));
    check(&deployment(1), &[cool, (Nothing, -1000, cooled(5000)), (Nothing, -1001, HalfOpen)]);
    check(&deployment(1), &[cool, (Claim(true), back, probed(back + 10_000)), (Succeed(probe(answer())), back, Open)]);
    check(&deployment(1), &[cool, (Claim(true), 5000, probed(15_000)), (Nothing, back, HalfOpen)]);
    check(&deployment(1), &[(Succeed(exhausted(9000)), 0, spent(9000)), (Nothing, back, Open)]);
    let three = allowing(&[(InternalServer, 3)]);
    let fault = failure(InternalServer);
    check(
        &three,
        &[
            (Fail(3, fault, 3), 0, Open),
            (Fail(3, fault, 6), back, Open),
            (Fail(1, fault, 7), back, cooled(back + 5000)),
        ],
    );
    check(
        &deployment(1),
        &[
            (Fail(4, fault, 4), 0, Open),
            (Fail(4, fault, 4), back, Open),
            (Fail(1, fault, 5), back, cooled(back + 5000)),
        ],
    );
}

/// What a worker has read: the bytes, and their version.
type Copied = (Vec<u8>, u32);

/// Every order in which two workers' reads and writes can follow each other, as a list of which worker moves.
fn orders(moves: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1usize << moves).map(move |bits| (0..moves).map(|i| bits >> i & 1).collect())
}

#[wasm_bindgen_test(unsupported = test)]
fn racing_workers_share_one_probe() {
    let one = deployment(1);
    let mut start = Vec::new();
    act(&mut start, &one, Fail(1, failure(RateLimit), 1), at(0));
    for order in orders(8) {
        let (mut stored, mut version, mut probes) = (start.clone(), 0, 0);
        let mut workers: [(Option<Copied>, bool); 2] = Default::default();
        for worker in order.iter().copied() {
            let (copy, is_done) = &mut workers[worker];
            match copy.take() {
                _ if *is_done => {}
                None => *copy = Some((stored.clone(), version)),
                Some((bytes, cas)) => {
                    let mut alerts = Alerts::decode(&bytes);
                    let is_had = alerts.claim(at(6000 + worker as i64), &one, LEASE);
                    if is_had && cas == version {
                        (stored, version, probes) = (alerts.encode(), version + 1, probes + 1);
                    }
                    *is_done = !is_had || cas + u32::from(is_had) == version;
                }
            }
        }
        assert!(probes <= 1, "{order:?}");
        let moved = (0..2).any(|worker| order.iter().filter(|&&moved| moved == worker).count() >= 6);
        assert!(probes == 1 || !moved, "{order:?}: somebody had time enough");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn racing_failures_are_all_counted() {
    let one = deployment(1);
    for order in orders(10) {
        let (mut stored, mut version, mut failures) = (Vec::new(), 0, 0);
        let mut copies: [Option<Copied>; 2] = Default::default();
        for &worker in &order {
            match copies[worker].take() {
                None => copies[worker] = Some((stored.clone(), version)),
                Some((bytes, cas)) if cas == version && failures < 5 => {
                    let mut alerts = Alerts::decode(&bytes);
                    assert!(alerts.fail(at(0), &one, &failure(Timeout), of(9)));
                    (stored, version, failures) = (alerts.encode(), version + 1, failures + 1);
                }
                Some(_) => {}
            }
        }
        let expected = if failures == 5 { cooled(5000) } else { Open };
        assert_eq!(Alerts::decode(&stored).health(at(0), &one), expected, "{order:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_says_nothing_any_more_is_dropped() {
    let mut alerts = Alerts::default();
    assert!(alerts.fail(at(0), &deployment(1), &failure(RateLimit), of(1)));
    assert!(alerts.fail(at(0), &deployment(2), &failure(Timeout), of(100)));
    assert!(alerts.succeed(at(0), &deployment(3), &exhausted(9000)));
    let later = at(5000 + HOUR as i64 - 1);
    assert_eq!(alerts.health(later, &deployment(1)), HalfOpen);
    assert!(alerts.fail(later, &deployment(4), &failure(Timeout), of(100)));
    assert_eq!(alerts.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 4]);
    assert!(alerts.fail(later.plus(Millis(1)), &deployment(4), &failure(Timeout), of(100)));
    assert_eq!(alerts.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [4]);
}

#[wasm_bindgen_test(unsupported = test)]
fn entries_are_bounded() {
    let mut one = deployment(0);
    let mut alerts = Alerts::default();
    for number in 0..ENTRIES_MAX as u64 + 10 {
        one.number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert_eq!(alerts.fail(at(0), &one, &failure(RateLimit), of(1)), number < ENTRIES_MAX as u64, "{number}");
    }
    assert_eq!(alerts.health(at(0), &one), Open);
    assert_eq!(alerts.entries.len(), ENTRIES_MAX);
    let read = Alerts::decode(&alerts.encode());
    assert_eq!(read, alerts);
    assert!(alerts.fail(at(2 * HOUR as i64), &one, &failure(RateLimit), of(1)), "the others are forgotten");
    assert_eq!(alerts.entries.len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_of_anyone_else_are_no_alerts() {
    let mut alerts = Alerts::default();
    for number in [7, 1, 5] {
        alerts.fail(at(0), &allowing(&[(Timeout, 9)]), &failure(Timeout), of(1));
        assert!(alerts.fail(at(0), &deployment(number), &failure(RateLimit), of(1)));
        assert!(alerts.succeed(at(0), &deployment(number + 1), &exhausted(9000)));
    }
    assert!(alerts.claim(at(6000), &deployment(5), LEASE));
    let bytes = alerts.encode();
    assert_eq!(Alerts::decode(&bytes), alerts);
    assert!(Alerts::default().encode().is_empty());
    for cut in 0..bytes.len() {
        let read = Alerts::decode(&bytes[..cut]);
        assert_eq!(read.is_empty(), (cut < 4) || (cut - 4) % 69 != 0 || cut == 4, "{cut}");
    }
    let doubled = [&bytes[..], &bytes[4..]].concat();
    assert!(Alerts::decode(&doubled).is_empty(), "not sorted");
    let mut older = bytes.clone();
    older[3] = b'0';
    assert!(Alerts::decode(&older).is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_harm_nobody() {
    let (mut alerts, one) = (Alerts::default(), deployment(1));
    assert!(alerts.fail(at(0), &one, &failure(RateLimit), of(1)));
    let template = alerts.encode();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut bytes = template.clone();
        for _ in 0..4 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let i = 4 + seed as usize % (bytes.len() - 4);
            bytes[i] = if seed >> 40 & 1 == 0 { u8::MAX } else { (seed >> 32) as u8 };
        }
        let read = Alerts::decode(&bytes);
        for now in [Millis(0), at(0), Millis(u64::MAX)] {
            for event in [Fail(1, probe(failure(Timeout)), u64::MAX), Succeed(exhausted(1)), Release(0)] {
                let mut alerts = read.clone();
                alerts.claim(now, &one, Millis(u64::MAX));
                match event {
                    Fail(_, outcome, requests) => alerts.fail(now, &one, &outcome, of(requests)),
                    Succeed(outcome) => alerts.succeed(now, &one, &outcome),
                    _ => alerts.release(now, &one, at(0), LEASE),
                };
                assert_eq!(Alerts::decode(&alerts.encode()), alerts);
            }
        }
    }
}
