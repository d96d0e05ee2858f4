use std::rc::Rc;

use wasm_bindgen_test::wasm_bindgen_test;

use super::Desk;
use crate::budget::{Account, Scope};
use crate::config::{Budget, Limits};
use crate::rls::full::REMEMBERED;
use crate::rls::testing::draws;
use crate::rls::{Ask, Cap, Named, Outcome};
use crate::units::{Millis, PicoUsd};

/// A service with the counters of one provider: money and requests a minute.
struct Service {
    counts: [u64; 2],
    max: [u64; 2],
    /// Whether it counts what it refuses, as envoyproxy/ratelimit does; Limitador does not.
    counts_all: bool,
    is_up: bool,
}

impl Service {
    fn add(&mut self, counter: usize, hits: u32) -> Outcome {
        let after = self.counts[counter] + u64::from(hits);
        match (after <= self.max[counter], self.counts_all) {
            _ if !self.is_up => Outcome::Failed,
            (false, false) => Outcome::Refused,
            (_, counts_all) => {
                self.counts[counter] = after;
                // Limitador says nothing of what is left.
                let most = if counts_all { self.max[counter] - 1 } else { self.max[counter] };
                Outcome::Counted { is_over: after > most }
            }
        }
    }
}

fn caps() -> Vec<Named> {
    let budget = Budget { max: PicoUsd::from_usd(0.01), ..Budget::default() };
    let account = Rc::new(Account {
        scope: Scope::Provider,
        name: "groq".to_owned(),
        budgets: vec![budget],
        limits: Limits { rpm: Some(500), ..Limits::default() },
        ..Account::default()
    });
    let named = |cap: Cap| Named { account: Rc::clone(&account), name: cap.name(&account).into(), cap };
    Cap::all(&account).into_iter().map(named).collect()
}

fn tick(desk: &mut Desk, service: &mut Service, now: Millis) -> u32 {
    let (due, _) = desk.reports.due(now);
    let mut calls = 0;
    for (call, report) in (1..).zip(due) {
        let outcome = service.add(usize::from(report.counter.name.contains("requests")), report.hits);
        desk.reports.sent(report, 7, Some(call), now);
        desk.answered(call, outcome, now);
        calls += 1;
    }
    calls
}

/// Three gateways without a question: each attempt is told at once, and what it cost when it ends.
#[wasm_bindgen_test(unsupported = test)]
fn a_provider_passes_its_cap_by_no_more_than_was_begun_before_it_was_heard() {
    const COST: u64 = 300;
    for (seed, counts_all) in (1..40_u64).zip([true, false].into_iter().cycle()) {
        let mut draw = draws(seed);
        let mut service = Service { counts: [0, 0], max: [10_000, 1_000_000], counts_all, is_up: true };
        let mut fleet: Vec<(Desk, Vec<Ask>)> = (0..3).map(|_| (Desk::default(), Vec::new())).collect();
        let (mut spent, mut refused, mut bound, mut now) = (0, 0, 0, Millis(1000));
        for _ in 0..4000 {
            now = now.plus(Millis(10));
            let (desk, running) = &mut fleet[draw(3) as usize];
            match draw(3) {
                0 => {
                    let ask = Ask::of_deployment(&caps(), now).unwrap();
                    let used_up = desk.used_up(&ask, now);
                    if ask.denied(&used_up).is_some() {
                        refused += 1;
                    } else {
                        desk.announce(&ask, now);
                        running.push(ask);
                    }
                }
                1 if !running.is_empty() => {
                    let ask = running.swap_remove(draw(running.len() as u64) as usize);
                    desk.owe(ask.owed(true, now, COST * 1_000_000, 0));
                    spent += COST;
                }
                _ => drop(tick(desk, &mut service, now)),
            }
            if service.counts[0] < 10_000 {
                let under_way: usize = fleet.iter().map(|(_, running)| running.len()).sum();
                // Three gateways each begin some more until they are told: a tick comes every ninth step of each.
                bound = spent + (under_way as u64 + 3 * 20) * COST;
            }
        }
        assert!(service.counts[0] >= 10_000 && refused > 500, "{seed}: {refused} of {:?}", service.counts);
        assert!(spent <= bound, "{seed}: {spent} spent, {bound} were allowed");
        assert!(counts_all || service.counts[0] == 10_000, "{:?}", service.counts);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_used_up_is_looked_at_again_without_an_attempt() {
    for counts_all in [true, false] {
        let mut service = Service { counts: [9_999, 0], max: [10_000, 1000], counts_all, is_up: true };
        let (mut desk, caps, mut now) = (Desk::default(), caps(), Millis(1000));
        let ask = |now| Ask::of_deployment(&caps, now).unwrap();
        for _ in 0..2 {
            desk.announce(&ask(now), now);
            tick(&mut desk, &mut service, now);
        }
        assert_eq!(desk.used_up(&ask(now), now), [0]);
        assert_eq!(tick(&mut desk, &mut service, now), 0);
        // Nobody wants it: nobody looks.
        now = now.plus(REMEMBERED).plus(REMEMBERED);
        assert_eq!(tick(&mut desk, &mut service, now), 0);
        for is_up in [false, true] {
            service.is_up = is_up;
            assert_eq!(desk.used_up(&ask(now), now), [0]);
            assert_eq!(tick(&mut desk, &mut service, now), 1);
            assert_eq!((desk.used_up(&ask(now), now), tick(&mut desk, &mut service, now)), (vec![0], 0));
            now = now.plus(REMEMBERED);
        }
        // Somebody raises the cap: what the look took is owed less.
        service.max[0] = 20_000;
        let before = service.counts[0];
        assert_eq!(desk.used_up(&ask(now), now), [0]);
        assert_eq!(tick(&mut desk, &mut service, now), 1);
        assert!(desk.used_up(&ask(now), now).is_empty());
        desk.announce(&ask(now), now);
        tick(&mut desk, &mut service, now);
        assert_eq!((service.counts[0], service.counts[1]), (before + 1, 3), "{counts_all}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_attempt_that_is_not_made_is_not_counted() {
    let mut service = Service { counts: [0, 0], max: [10_000, 1000], counts_all: true, is_up: true };
    let (mut desk, now) = (Desk::default(), Millis(1000));
    let ask = Ask::of_deployment(&caps(), now).unwrap();
    desk.announce(&ask, now);
    desk.retract(&ask);
    assert_eq!(tick(&mut desk, &mut service, now), 0);
    // What was told already is owed less.
    desk.announce(&ask, now);
    tick(&mut desk, &mut service, now);
    desk.retract(&ask);
    desk.announce(&ask, now);
    desk.owe(ask.owed(true, now, 5_000_000, 0));
    tick(&mut desk, &mut service, now);
    assert_eq!(service.counts, [5, 1]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_being_filled_is_used_up() {
    let mut service = Service { counts: [9_000, 0], max: [10_000, 1000], counts_all: false, is_up: true };
    let (mut desk, now) = (Desk::default(), Millis(1000));
    let ask = Ask::of_deployment(&caps(), now).unwrap();
    desk.announce(&ask, now);
    desk.owe(ask.owed(true, now, 5_000_000_000, 0));
    let mut ticks = 0;
    while tick(&mut desk, &mut service, now) > 0 {
        ticks += 1;
        assert_eq!(desk.used_up(&ask, now), [0], "{:?}", service.counts);
    }
    assert!(ticks > 5 && service.counts[0] == 10_000, "{ticks} {:?}", service.counts);
}
