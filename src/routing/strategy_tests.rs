//! Tables of states and choices, and shares over many draws.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::{Config, Env, Limits};

/// A pool of deployments numbered from 0, each as `change` makes it.
fn pool(count: usize, change: impl Fn(usize, &mut Deployment)) -> Pool {
    let entry = json!({"model_name": "m", "litellm_params": {"model": "openai/unknown", "api_key": "sk"}});
    let document = json!({"model_list": vec![entry; count], "tollgate": {"allow_anonymous": true}});
    let Config { deployments, groups, .. } = Config::compile(&document, Env::Strict(&|_| None)).unwrap();
    drop(groups);
    let own = |(i, deployment): (usize, Rc<Deployment>)| {
        let mut deployment = Rc::into_inner(deployment).unwrap();
        deployment.number = i as u64;
        change(i, &mut deployment);
        Rc::new(deployment)
    };
    Pool::new(deployments.into_iter().enumerate().map(own).collect())
}

fn weighing(weights: &[u64]) -> Pool {
    pool(weights.len(), |i, d| d.weight = weights[i])
}

/// xorshift64*, seeded alike each time.
fn rng() -> impl FnMut(u64) -> u64 {
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    move |n| {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n.max(1)
    }
}

/// How often each is chosen of `draws` times.
fn count(draws: usize, choose: impl FnMut() -> Option<usize>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for chosen in std::iter::repeat_with(choose).take(draws) {
        *counts.entry(chosen.expect("one is open")).or_default() += 1;
    }
    counts
}

/// Whether the counts are shares of `weights`: each within five standard deviations.
#[track_caller]
fn check_shares(counts: &BTreeMap<usize, usize>, weights: &[u64]) {
    let (draws, total) = (counts.values().sum::<usize>() as f64, weights.iter().sum::<u64>() as f64);
    for (i, weight) in weights.iter().enumerate() {
        let (count, share) = (counts.get(&i).copied().unwrap_or_default() as f64, *weight as f64 / total);
        let deviation = (draws * share * (1.0 - share)).sqrt();
        assert!((count - draws * share).abs() <= 5.0 * deviation, "{i}: {count} of {draws}, share {share}: {counts:?}");
    }
}

fn unknown(_: &Deployment) -> State {
    State::default()
}

const LATENCY: Strategy = Strategy::Latency { ttl: Millis::from_secs(3600), buffer: 0.0, samples: 10 };
const BUFFERED: Strategy = Strategy::Latency { ttl: Millis::from_secs(3600), buffer: 0.5, samples: 10 };
const ALL: [Strategy; 5] = [Strategy::SimpleShuffle, Strategy::LeastBusy, LATENCY, Strategy::Cost, Strategy::Usage];

#[wasm_bindgen_test(unsupported = test)]
fn shuffling_follows_the_weights_of_the_open_ones() {
    let shuffled = |weights: &[u64], closed: &[usize]| {
        let (pool, mut random) = (weighing(weights), rng());
        count(20_000, || {
            let mut is_open = |i| !closed.contains(&i);
            choose(Strategy::SimpleShuffle, &pool, &Question::default(), &mut is_open, &unknown, &mut random)
        })
    };
    for (weights, closed, expected) in [
        (&[1, 1, 1][..], &[][..], &[1, 1, 1][..]),
        (&[1, 3, 0, 6], &[], &[1, 3, 0, 6]),
        (&[1, 3, 0, 6], &[3], &[1, 3, 0, 0]),
        (&[1, 3, 0, 6], &[0, 1], &[0, 0, 0, 6]),
        (&[1_000_000, 1, 2, 3], &[0], &[0, 1, 2, 3]),
        (&[5, 0, 0], &[0], &[0, 1, 1]),
        (&[0, 0, 0, 0], &[2], &[1, 1, 0, 1]),
        (&[7], &[], &[1]),
    ] {
        check_shares(&shuffled(weights, closed), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_lowest_order_with_an_open_deployment_competes() {
    let orders = [2, 1, 1, 3];
    let pool = pool(4, |i, d| d.order = orders[i]);
    let numbers: Vec<u64> = pool.deployments().iter().map(|d| d.number).collect();
    assert_eq!(numbers, [1, 2, 0, 3], "sorted by order, else as in the config");
    for affinity in [None, Some(4711)] {
        for strategy in ALL {
            for (closed, expected) in
                [(&[][..], &[1, 2][..]), (&[1], &[2]), (&[1, 2], &[0]), (&[0, 1, 2], &[3]), (&[0, 1, 2, 3], &[])]
            {
                let mut random = rng();
                for _ in 0..50 {
                    let mut is_open = |i: usize| !closed.contains(&numbers[i]);
                    let question = Question { affinity, ..Question::default() };
                    let chosen = choose(strategy, &pool, &question, &mut is_open, &unknown, &mut random);
                    let number = chosen.map(|i| numbers[i]);
                    assert!(number.map_or(expected.is_empty(), |n| expected.contains(&n)), "{closed:?}: {number:?}");
                }
            }
        }
    }
}

/// Asserts who may be chosen when the deployments are in these states.
#[track_caller]
fn check(strategy: Strategy, pool: &Pool, question: Question, states: &[State], closed: &[usize], expected: &[usize]) {
    let (mut random, mut is_open) = (rng(), |i: usize| !closed.contains(&i));
    let state = |d: &Deployment| states[d.number as usize];
    let chosen = count(2000, || choose(strategy, pool, &question, &mut is_open, &state, &mut random));
    let weights: Vec<u64> = (0..states.len()).map(|i| expected.contains(&i).into()).collect();
    check_shares(&chosen, &weights);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_least_busy_is_asked() {
    let pool = weighing(&[1, 1, 100, 0]);
    for (busy, closed, expected) in [
        ([0, 0, 0, 0], &[][..], &[0, 1, 2, 3][..]),
        ([3, 1, 2, 4], &[], &[1]),
        ([3, 1, 2, 4], &[1], &[2]),
        ([3, 1, 1, 1], &[2], &[1, 3]),
        ([u32::MAX, u32::MAX, 9, 9], &[2, 3], &[0, 1]),
    ] {
        let states = busy.map(|in_flight| State { in_flight, ..State::default() });
        check(Strategy::LeastBusy, &pool, Question::default(), &states, closed, expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_fastest_is_asked() {
    let pool = weighing(&[1, 1, 1]);
    let stream = Question { is_stream: true, ..Question::default() };
    let row = |ttft_ms, secs_per_token| State { ttft_ms, secs_per_token, ..State::default() };
    // The last is the fastest of streams, the first of the others.
    let known = [row(Some(90.0), Some(0.010)), row(Some(60.0), Some(0.020)), row(Some(50.0), Some(0.014))];
    let half_known = [row(Some(90.0), Some(0.010)), row(None, Some(0.020)), row(Some(50.0), None)];
    let timed_out = [row(Some(1e6), Some(1000.0)), row(Some(300.0), Some(0.5)), row(Some(1e6), Some(1000.0))];
    for (strategy, question, states, closed, expected) in [
        (LATENCY, stream, known, &[][..], &[2][..]),
        (LATENCY, Question::default(), known, &[], &[0]),
        (LATENCY, Question::default(), known, &[0], &[2]),
        (BUFFERED, stream, known, &[], &[1, 2]),
        (BUFFERED, stream, known, &[2], &[0, 1]),
        (BUFFERED, Question::default(), known, &[], &[0, 2]),
        (LATENCY, stream, half_known, &[], &[1]),
        (BUFFERED, Question::default(), half_known, &[], &[2]),
        (LATENCY, stream, half_known, &[1], &[2]),
        (LATENCY, stream, timed_out, &[], &[1]),
        (LATENCY, stream, timed_out, &[1], &[0, 2]),
        (LATENCY, stream, [State::default(); 3], &[], &[0, 1, 2]),
    ] {
        check(strategy, &pool, question, &states, closed, expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_fastest_is_not_worth_a_crowd() {
    let pool = weighing(&[1, 1, 1]);
    let row = |(in_flight, ttft_ms): (u32, Option<f64>)| State { in_flight, ttft_ms, ..State::default() };
    let stream = Question { is_stream: true, ..Question::default() };
    for (strategy, states, expected) in [
        (LATENCY, [(3, Some(20.0)), (0, Some(90.0)), (0, Some(200.0))], &[0][..]),
        (LATENCY, [(4, Some(20.0)), (0, Some(90.0)), (0, Some(200.0))], &[1]),
        (LATENCY, [(9, Some(20.0)), (1, Some(100.0)), (0, Some(200.0))], &[0, 1, 2]),
        (BUFFERED, [(4, Some(20.0)), (0, Some(90.0)), (0, Some(200.0))], &[0, 1]),
        // Nobody knows the third: one request tries it. If it is silent, nobody follows before all others are as slow.
        (LATENCY, [(0, Some(20.0)), (0, Some(90.0)), (0, None)], &[2]),
        (LATENCY, [(0, Some(20.0)), (0, Some(90.0)), (1, None)], &[0]),
        (LATENCY, [(900, Some(20.0)), (900, Some(90.0)), (1, None)], &[0]),
        (LATENCY, [(1, None), (0, None), (2, None)], &[1]),
        (LATENCY, [(1, None), (3, None), (2, None)], &[0, 1, 2]),
        (BUFFERED, [(1, None), (3, None), (2, None)], &[0, 1, 2]),
    ] {
        check(strategy, &pool, stream, &states.map(row), &[], expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_cheapest_is_asked() {
    let dollars = |usd| PicoUsd::from_usd(usd).unwrap();
    let prices = [Some((3e-6, 15e-6)), Some((20e-6, 1e-6)), Some((9e-6, 9e-6)), None];
    let pool = pool(4, |i, d| d.price = prices[i].map(|(i, o)| crate::budget::Price::flat(dollars(i), dollars(o))));
    for (closed, expected) in [(&[][..], &[0, 2][..]), (&[2], &[0]), (&[0, 2], &[1]), (&[0, 1, 2], &[3])] {
        check(Strategy::Cost, &pool, Question::default(), &[State::default(); 4], closed, expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_least_used_in_this_minute_is_asked_within_its_limits() {
    let limits = [(None, None), (Some(1000), None), (None, Some(10))];
    let pool = pool(3, |i, d| d.limits = Limits { tpm: limits[i].0, rpm: limits[i].1, ..Limits::default() });
    let question = Question { tokens: 100, ..Question::default() };
    for (used, closed, expected) in [
        ([(0, 0), (0, 0), (0, 0)], &[][..], &[0, 1, 2][..]),
        ([(500, 1), (400, 1), (450, 1)], &[], &[1]),
        ([(5000, 1), (900, 1), (2000, 1)], &[], &[1]),
        ([(5000, 1), (901, 1), (2000, 1)], &[], &[2]),
        ([(5000, 1), (901, 1), (2000, 9)], &[], &[2]),
        ([(5000, 1), (901, 1), (2000, 10)], &[], &[0]),
        ([(5000, 1), (901, 1), (2000, 10)], &[0], &[1]),
        ([(u64::MAX, u64::MAX), (u64::MAX, 1), (0, u64::MAX)], &[], &[0]),
    ] {
        let states = used.map(|(tokens, requests)| State { tokens, requests, ..State::default() });
        check(Strategy::Usage, &pool, question, &states, closed, expected);
    }
}

fn kept(pool: &Pool, key: u64, closed: &[usize]) -> Option<usize> {
    let question = Question { affinity: Some(key), ..Question::default() };
    let mut never = |_| panic!("chance has no part in it");
    choose(Strategy::LeastBusy, pool, &question, &mut |i| !closed.contains(&i), &unknown, &mut never)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_stays_at_its_deployment_and_only_the_keys_of_a_closed_one_move() {
    let weights = [1, 3, 0, 6, 2];
    let pool = weighing(&weights);
    let mut key = 0u64;
    check_shares(
        &count(20_000, || {
            key += 1;
            kept(&pool, key, &[])
        }),
        &weights,
    );
    let mut moved = BTreeMap::new();
    for key in 0..20_000 {
        let (home, now) = (kept(&pool, key, &[]), kept(&pool, key, &[3]));
        match home {
            Some(3) => *moved.entry(now.unwrap()).or_default() += 1,
            _ => assert_eq!(now, home),
        }
    }
    check_shares(&moved, &[1, 3, 0, 0, 2]);
    assert_eq!(kept(&pool, 1, &[0, 1, 3, 4]), Some(2), "nobody else is left");
    assert_eq!(kept(&pool, 1, &[0, 1, 2, 3, 4]), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_added_deployment_takes_keys_only_for_itself() {
    let (before, after) = (weighing(&[1; 9]), weighing(&[1; 10]));
    let moved = (0..20_000).filter(|&key| {
        let (old, new) = (kept(&before, key, &[]), kept(&after, key, &[]));
        assert!(new == old || new == Some(9));
        new != old
    });
    assert!((1800..=2200).contains(&moved.count()));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_thousand_deployments_are_shuffled_by_looking_at_few() {
    let pool = pool(1000, |_, _| {});
    let (mut random, mut looks) = (rng(), 0);
    for _ in 0..10_000 {
        // A tenth is closed.
        let mut is_open = |i| {
            looks += 1;
            i % 10 != 0
        };
        let chosen = choose(Strategy::SimpleShuffle, &pool, &Question::default(), &mut is_open, &unknown, &mut random);
        assert!(chosen.is_some_and(|i| i % 10 != 0));
    }
    assert!(looks < 12_000, "{looks}");
    for strategy in ALL {
        let mut only = |i| i == 777;
        assert_eq!(choose(strategy, &pool, &Question::default(), &mut only, &unknown, &mut random), Some(777));
        assert_eq!(choose(strategy, &pool, &Question::default(), &mut |_| false, &unknown, &mut random), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_empty_pool_has_nobody_to_ask() {
    for strategy in ALL {
        let chosen = choose(strategy, &Pool::default(), &Question::default(), &mut |_| true, &unknown, &mut |_| 0);
        assert_eq!(chosen, None);
    }
}
