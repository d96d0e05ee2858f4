use wasm_bindgen_test::wasm_bindgen_test;

use super::{FILLED, LONGEST_PAUSE, MOST_OF_OTHERS, Outcome, Report, Reports, UNDER_WAY};
use crate::rls::Counter;
use crate::rls::testing::{counter, draws};
use crate::units::Millis;

const HIT: i64 = 1_000_000;

/// A service with one counter: what it has counted, and whether it counts what it refuses.
struct Service {
    count: u64,
    max: u64,
    counts_all: bool,
    calls: u32,
}

impl Service {
    fn add(&mut self, hits: u32) -> Outcome {
        self.calls += 1;
        let after = self.count + u64::from(hits);
        if after <= self.max || self.counts_all {
            self.count = after;
            return Outcome::Counted { is_over: after > self.max };
        }
        Outcome::Refused
    }
}

fn tick(reports: &mut Reports, service: &mut Service, now: Millis) -> bool {
    let (due, _) = reports.due(now);
    let is_idle = due.is_empty();
    for (call, report) in (1..).zip(due) {
        reports.sent(report, 7, Some(call), now);
        let report = reports.take(call).unwrap();
        let outcome = service.add(report.hits);
        reports.conclude(&report, outcome, now);
    }
    is_idle
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_owed_adds_up_and_fractions_stay() {
    let (mut reports, c) = (Reports::default(), counter("c", None));
    for amount in [600_000, 600_000, 5 * HIT, -HIT] {
        reports.owe(c.clone(), amount);
    }
    let (due, lost) = reports.due(Millis(1));
    assert_eq!((due.as_slice(), lost), (&[Report { counter: c.clone(), hits: 5 }][..], 0));
    let report = due.into_iter().next().unwrap();
    reports.sent(report, 7, Some(1), Millis(1));
    // What comes meanwhile waits for its end: two reports of one counter at once could pass each other.
    reports.owe(c.clone(), 900_000);
    assert!(reports.due(Millis(2)).0.is_empty());
    let report = reports.take(1).unwrap();
    assert_eq!(reports.take(1), None);
    reports.conclude(&report, Outcome::Counted { is_over: false }, Millis(3));
    assert_eq!(reports.due(Millis(4)).0, [Report { counter: c, hits: 1 }]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_report_that_fails_is_sent_again_later_and_later() {
    let (mut reports, c, mut now) = (Reports::default(), counter("c", None), Millis(1000));
    reports.owe(c.clone(), 3 * HIT);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let report = reports.due(now).0.pop().unwrap();
        assert_eq!(report.hits, 3);
        reports.sent(report, 7, None, now);
        let failed = now;
        while reports.due(now).0.is_empty() {
            now = now.plus(Millis(50));
            // Nothing is lost while it waits.
            reports.calls.clear();
            reports.rows.values_mut().for_each(|row| row.is_under_way = false);
            if now >= reports.next {
                break;
            }
        }
        reports.rows.values_mut().for_each(|row| row.is_under_way = false);
        pauses.push(now.since(failed).0);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    assert_eq!(reports.pause, LONGEST_PAUSE);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_told_in_its_window_is_lost_and_counted() {
    let mut reports = Reports::default();
    reports.owe(counter("old", Some(1000)), HIT);
    reports.owe(counter("crumbs", Some(1000)), HIT / 2);
    reports.owe(counter("day", Some(90_000)), HIT);
    assert_eq!(reports.due(Millis(500)).0.len(), 2);
    for call in [1, 2] {
        let name = if call == 1 { counter("old", Some(1000)) } else { counter("day", Some(90_000)) };
        reports.sent(Report { counter: name, hits: 1 }, 7, Some(call), Millis(500));
        let report = reports.take(call).unwrap();
        reports.conclude(&report, Outcome::Failed, Millis(500));
    }
    let (due, lost) = reports.due(Millis(7000));
    assert_eq!((due.len(), lost, reports.rows.len()), (1, 1, 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_counter_that_refuses_is_filled_to_the_last_hit() {
    for (max, count, owed) in
        [(100, 95, 10), (100, 100, 7), (1_000_000, 3, 1_000_000), (7, 0, 8), (9, 2, 8), (10, 9, 2)]
    {
        let mut service = Service { count, max, counts_all: false, calls: 0 };
        let mut reports = Reports::default();
        reports.owe(counter("c", None), owed * HIT);
        let mut now = Millis(1000);
        while !tick(&mut reports, &mut service, now) {
            now = now.plus(Millis(50));
        }
        assert_eq!(service.count, max, "{max} {count} {owed}");
        assert!(service.calls <= 2 * (owed as u64).ilog2() + 4, "{} calls for {owed}", service.calls);
        // What is owed to a full counter is not tried again at once.
        reports.owe(counter("c", None), HIT);
        assert!(tick(&mut reports, &mut service, now));
        reports.owe(counter("c", None), HIT);
        assert!(!tick(&mut reports, &mut service, now.plus(FILLED)));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_service_that_counts_what_it_refuses_is_told_once() {
    let mut service = Service { count: 95, max: 100, counts_all: true, calls: 0 };
    let mut reports = Reports::default();
    reports.owe(counter("c", None), 10 * HIT);
    assert!(!tick(&mut reports, &mut service, Millis(1000)));
    assert!(tick(&mut reports, &mut service, Millis(1050)));
    assert_eq!((service.count, service.calls), (105, 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn only_so_many_are_under_way_and_each_has_its_turn() {
    let (mut reports, mut told) = (Reports::default(), std::collections::BTreeSet::new());
    for i in 0..3 * UNDER_WAY {
        reports.owe(counter(&format!("{i:03}"), None), HIT);
    }
    for _ in 0..3 {
        let due = reports.due(Millis(1)).0;
        assert_eq!(due.len(), UNDER_WAY);
        for (call, report) in (1..).zip(due) {
            told.insert(report.counter.name.to_string());
            reports.sent(report, 7, Some(call), Millis(1));
        }
        assert!(reports.due(Millis(1)).0.is_empty());
        for call in 1..=UNDER_WAY as u32 {
            let report = reports.take(call).unwrap();
            reports.conclude(&report, Outcome::Counted { is_over: false }, Millis(1));
            // The first are owed again at once.
            reports.owe(report.counter, HIT);
        }
    }
    assert_eq!(told.len(), 3 * UNDER_WAY);
}

#[wasm_bindgen_test(unsupported = test)]
fn who_ends_leaves_what_it_owes_to_others() {
    let (mut old, mut new) = (Reports::default(), Reports::default());
    old.owe(counter("key/a%20b/budget/1d", Some(5000)), 3 * HIT + 5);
    old.owe(counter("n", None), -7);
    let report = old.due(Millis(1)).0.pop().unwrap();
    old.sent(report, 7, Some(1), Millis(1));
    let bytes = old.surrender(7);
    assert_eq!(old.take(1), None);
    assert!(old.due(Millis(1)).0.is_empty());
    new.owe(counter("n", None), 8);
    new.adopt(&bytes);
    new.adopt(b"nonsense\n\xff");
    assert_eq!(new.rows[&counter("n", None)].owed, 1);
    assert_eq!(new.rows[&counter("key/a%20b/budget/1d", Some(5000))].owed, 3 * HIT + 5);
}

/// What a gateway knows: its running requests, by what they will cost.
#[derive(Default)]
struct Gateway {
    reports: Reports,
    running: Vec<u64>,
    /// Spent, and not yet taken by the service.
    untold: u64,
}

/// Gateways that take turns as chance has it, against both kinds of service: what is spent in the end is at most what was
/// counted, running and untold when the last request was admitted, and nobody is admitted once the cap is counted.
#[wasm_bindgen_test(unsupported = test)]
fn a_fleet_passes_a_cap_by_no_more_than_was_under_way() {
    const MAX: u64 = 10_000;
    for seed in 1..60_u64 {
        let mut draw = draws(seed);
        let mut service = Service { count: 0, max: MAX, counts_all: seed % 2 == 0, calls: 0 };
        let mut fleet: Vec<Gateway> = (0..3).map(|_| Gateway::default()).collect();
        let (mut spent, mut bound, mut now) = (0, 0, Millis(1000));
        for _ in 0..600 {
            now = now.plus(Millis(50));
            let at = draw(3) as usize;
            match draw(4) {
                0 | 1 => {
                    let before = service.count;
                    if service.add(1) == (Outcome::Counted { is_over: false }) {
                        assert!(before < MAX, "admitted at {before}");
                        let cost = 1 + draw(700);
                        fleet[at].running.push(cost);
                        let under_way = |gateway: &Gateway| gateway.running.iter().sum::<u64>() + gateway.untold;
                        // The question has told one hit of the new one already.
                        bound = before + fleet.iter().map(under_way).sum::<u64>();
                        assert!(bound <= MAX + fleet.iter().map(under_way).sum::<u64>());
                    }
                }
                2 if !fleet[at].running.is_empty() => {
                    let which = draw(fleet[at].running.len() as u64) as usize;
                    let cost = fleet[at].running.remove(which);
                    spent += cost;
                    fleet[at].untold += cost;
                    fleet[at].reports.owe(counter("c", None), (cost as i64 - 1) * HIT);
                }
                _ => {
                    tick(&mut fleet[at].reports, &mut service, now);
                    let owed: i64 = fleet[at].reports.rows.values().map(|row| row.owed / HIT).sum();
                    fleet[at].untold = owed.max(0) as u64;
                }
            }
        }
        for gateway in &mut fleet {
            for cost in std::mem::take(&mut gateway.running) {
                spent += cost;
                gateway.reports.owe(counter("c", None), (cost as i64 - 1) * HIT);
            }
            while !tick(&mut gateway.reports, &mut service, now) {
                now = now.plus(Millis(50));
            }
        }
        assert!(spent > MAX, "the cap was not reached: {spent}");
        assert!(spent <= bound, "{seed}: {spent} spent, {bound} were allowed");
        assert!(service.count >= MAX, "{seed}: {} counted of {spent}", service.count);
        assert!(service.counts_all || service.count == MAX);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_names_of_clients_can_fill_has_a_bound() {
    let other = |i: usize| Counter { name: "n".into(), whose: Some(i.to_string().into()), end: Some(Millis(9000)) };
    let mut reports = Reports::default();
    for i in 0..MOST_OF_OTHERS + 3 {
        reports.owe(other(i), HIT);
    }
    reports.owe(counter("listed", None), HIT);
    assert_eq!(reports.rows.len(), MOST_OF_OTHERS + 1);
    let (due, lost) = reports.due(Millis(1));
    assert_eq!((due.len(), lost), (UNDER_WAY, 3));
    // What is told makes room, and is not kept for a fraction of a hit.
    for (call, report) in (1..).zip(due) {
        reports.sent(report, 7, Some(call), Millis(1));
        let report = reports.take(call).unwrap();
        reports.conclude(&report, Outcome::Counted { is_over: false }, Millis(1));
    }
    reports.due(Millis(2));
    reports.owe(other(MOST_OF_OTHERS), HIT);
    assert_eq!(reports.due(Millis(2)).1, 0);
    let (mut old, mut new) = (Reports::default(), Reports::default());
    old.owe(other(7), HIT);
    new.adopt(&old.surrender(7));
    assert_eq!(new.rows[&other(7)].owed, HIT);
}
