use wasm_bindgen_test::wasm_bindgen_test;

use super::{Alarm, BUCKET, Ledger, MAX_WINDOWS, Refusal, Reservation};
use crate::budget::Window;
use crate::budget::window::Reset;
use crate::config::Budget;
use crate::units::{Millis, PicoUsd};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// A Monday noon in 2026, in the middle of a bucket.
const NOON: Millis = Millis(20_780 * DAY + 12 * HOUR + 60_000);

fn window(text: &str) -> Option<Window> {
    Window::parse(text, &Reset::default())
}

fn budget(max: u64) -> Budget {
    Budget { max: Some(PicoUsd(max)), ..Budget::default() }
}

fn within(text: &str, max: u64) -> Budget {
    Budget { window: window(text), ..budget(max) }
}

fn daily(max: u64) -> Budget {
    within("1d", max)
}

/// A principal with one budget.
impl Ledger {
    fn reserve(&mut self, now: Millis, budget: &Budget, amount: PicoUsd) -> Result<Reservation, Refusal> {
        let budgets = std::slice::from_ref(budget);
        self.lack(now, budgets, false).map_or_else(|| Ok(self.hold(now, budgets, amount)), Err)
    }

    fn charge(&mut self, now: Millis, window: Option<&Window>, reservation: &Reservation, cost: PicoUsd) {
        let budget = Budget { window: window.cloned(), ..Budget::default() };
        self.settle(now, &[budget], reservation, cost);
    }
}

fn later(hours: u64) -> Millis {
    NOON.plus(Millis(hours * HOUR))
}

/// What the host does between two steps.
fn stored(ledger: &Ledger) -> Ledger {
    let bytes = ledger.encode();
    assert_eq!(bytes.len(), 156 + 32 * ledger.spent.len());
    let (read, rest) = Ledger::decode(&bytes);
    assert_eq!((&read, rest), (ledger, &[][..]));
    read
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn parallel_requests_pass_the_cap_by_one_request_at_most() {
    let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
    for max in [1, 100, 5_000, 20_000] {
        let (budget, mut now) = (budget(max), NOON);
        let (mut ledger, mut running) = (Ledger::default(), Vec::new());
        let (mut admitted, mut refused) = (0, 0);
        while refused < 1000 {
            now = now.plus(Millis(random.below(50)));
            ledger = stored(&ledger);
            if running.len() < 64 && random.below(2) == 0 {
                match ledger.reserve(now, &budget, PicoUsd(100)) {
                    Ok(reservation) => running.push(reservation),
                    Err(_) => refused += 1,
                }
                admitted += 1;
            } else if !running.is_empty() {
                let reservation = running.swap_remove(random.below(running.len() as u64) as usize);
                ledger.charge(now, None, &reservation, PicoUsd(random.below(101)));
            }
            let total = ledger.spent(now, None).plus(ledger.reserved(now));
            assert!(total.0 < max + 100, "{total:?} of {max} after {admitted}");
        }
        for reservation in running.drain(..) {
            ledger.charge(now, None, &reservation, reservation.amount);
        }
        assert_eq!(ledger.reserved(now), PicoUsd(0));
        assert!((max..max + 100).contains(&ledger.spent(now, None).0), "{ledger:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_is_admitted_while_anything_is_left() {
    let mut ledger = Ledger::default();
    let first = ledger.reserve(NOON, &budget(10), PicoUsd(9)).unwrap();
    ledger.reserve(NOON, &budget(10), PicoUsd(1)).unwrap();
    let refusal = Refusal { spent: PicoUsd(0), reserved: PicoUsd(10), max: PicoUsd(10), resets_at: None };
    assert_eq!(ledger.reserve(NOON, &budget(10), PicoUsd(0)), Err(refusal));
    ledger.charge(NOON, None, &first, PicoUsd(3));
    ledger.reserve(NOON, &budget(10), PicoUsd(1000)).unwrap();
    assert_eq!((ledger.spent(NOON, None), ledger.reserved(NOON)), (PicoUsd(3), PicoUsd(1001)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cap_of_zero_admits_nothing() {
    let refusal = Ledger::default().reserve(NOON, &daily(0), PicoUsd(0)).unwrap_err();
    assert_eq!(refusal.resets_at, Some(Millis(20_781 * DAY)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refusal_changes_nothing_that_is_held() {
    let mut ledger = Ledger::default();
    ledger.reserve(NOON, &budget(5), PicoUsd(5)).unwrap();
    let before = ledger.clone();
    ledger.reserve(NOON, &budget(5), PicoUsd(5)).unwrap_err();
    assert_eq!(ledger, before);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_reservation_lapses_after_an_hour_and_before_its_64th_minute_ends() {
    for offset in (0..BUCKET.0).step_by(10_000).chain([BUCKET.0 - 1]) {
        let made = Millis(NOON.0 + offset);
        let mut ledger = Ledger::default();
        let lost = ledger.reserve(made, &budget(5), PicoUsd(5)).unwrap();
        assert!(lost.expires > made.plus(Millis(HOUR)) && lost.expires <= made.plus(Millis(HOUR + BUCKET.0)));
        assert_eq!(ledger.reserved(Millis(lost.expires.0 - 1)), PicoUsd(5));
        assert_eq!(ledger.reserved(lost.expires), PicoUsd(0));
        ledger.reserve(lost.expires, &budget(5), PicoUsd(5)).unwrap();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lapsed_reservation_is_charged_and_takes_nothing_from_the_others() {
    for hours in [2, 17, 1000] {
        let mut ledger = Ledger::default();
        let slow = ledger.reserve(NOON, &budget(100), PicoUsd(5)).unwrap();
        // The first reservation after it lapsed takes its place in the ring.
        let again = slow.expires;
        ledger.reserve(again, &budget(100), PicoUsd(7)).unwrap();
        ledger.charge(again, None, &slow, PicoUsd(4));
        assert_eq!((ledger.spent(again, None), ledger.reserved(again)), (PicoUsd(4), PicoUsd(7)));
        ledger.charge(later(hours), None, &slow, PicoUsd(1));
        assert_eq!(ledger.spent(later(hours), None), PicoUsd(5));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_over_midnight_is_charged_to_the_day_it_ends_in() {
    let (budget, evening, morning) = (daily(10), later(11), later(12));
    let window = budget.window.as_ref();
    let mut ledger = Ledger::default();
    let first = ledger.reserve(evening, &budget, PicoUsd(8)).unwrap();
    ledger.charge(evening, window, &first, PicoUsd(8));
    let second = ledger.reserve(evening.plus(Millis(HOUR / 2)), &budget, PicoUsd(6)).unwrap();
    assert_eq!(ledger.spent(evening, window), PicoUsd(8));
    assert_eq!((ledger.spent(morning, window), ledger.reserved(morning)), (PicoUsd(0), PicoUsd(6)));
    ledger.charge(morning, window, &second, PicoUsd(5));
    assert_eq!((ledger.spent(morning, window), ledger.reserved(morning)), (PicoUsd(5), PicoUsd(0)));
    assert_eq!(ledger.spent(later(36), window), PicoUsd(0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_worker_that_is_late_at_midnight_does_not_empty_the_new_day() {
    let window = window("1d");
    let midnight = window.as_ref().unwrap().end_after(NOON);
    let (mut ledger, none) = (Ledger::default(), Reservation::default());
    ledger.charge(midnight, window.as_ref(), &none, PicoUsd(3));
    ledger.charge(Millis(midnight.0 - 1), window.as_ref(), &none, PicoUsd(4));
    ledger.charge(midnight.plus(Millis(1)), window.as_ref(), &none, PicoUsd(5));
    assert_eq!(ledger.spent(midnight.plus(Millis(1)), window.as_ref()), PicoUsd(12));
}

#[wasm_bindgen_test(unsupported = test)]
fn another_window_keeps_the_spend_until_it_ends() {
    let (day, month) = (window("1d"), window("1mo"));
    let none = Reservation::default();
    for (from, to) in [(&day, &month), (&month, &day), (&None, &day), (&day, &None)] {
        let mut ledger = Ledger::default();
        ledger.charge(NOON, from.as_ref(), &none, PicoUsd(3));
        ledger.charge(later(1), to.as_ref(), &none, PicoUsd(4));
        assert_eq!(ledger.spent(later(1), to.as_ref()), PicoUsd(7), "{from:?} to {to:?}");
        let end = to.as_ref().map(|window| window.end_after(later(1)));
        assert_eq!(ledger.spent(end.unwrap_or(later(9999)), to.as_ref()), PicoUsd(if end.is_some() { 0 } else { 7 }));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_ledger_charges_and_keeps_what_others_hold() {
    let mut ledger = Ledger::default();
    let old = ledger.reserve(NOON, &budget(100), PicoUsd(50)).unwrap();
    let mut ledger = Ledger::default();
    ledger.charge(NOON, None, &old, PicoUsd(1));
    assert_eq!((ledger.spent(NOON, None), ledger.reserved(NOON)), (PicoUsd(1), PicoUsd(0)));

    let mut ledger = Ledger::default();
    let soon = NOON.plus(Millis(1));
    ledger.reserve(soon, &budget(100), PicoUsd(60)).unwrap();
    ledger.charge(soon, None, &old, PicoUsd(40));
    assert_eq!((ledger.spent(soon, None), ledger.reserved(soon)), (PicoUsd(40), PicoUsd(60)));
}

#[wasm_bindgen_test(unsupported = test)]
fn garbled_bytes_are_an_empty_ledger() {
    let mut ledger = Ledger::default();
    ledger.reserve(NOON, &daily(9), PicoUsd(1)).unwrap();
    let good = ledger.encode();
    let mut old = good.clone();
    old[3] = b'1';
    let mut many = good.clone();
    many[20] = 9;
    for bytes in [&[][..], b"TGL2", &good[..good.len() - 1], &old, &many, &[0xff; 188]] {
        assert_eq!(Ledger::decode(bytes), (Ledger::default(), &[][..]));
    }
    assert_eq!(Ledger::decode(&[&good[..], b"rest"].concat()), (ledger, &b"rest"[..]));
    // Any bytes of the right version and length are a ledger, which must not trap.
    let mut random = Xorshift(7);
    for _ in 0..2000 {
        let mut bytes = b"TGL2".to_vec();
        bytes.extend((0..16).map(|_| random.below(256) as u8));
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend((0..8 * 16 + 64).map(|_| random.below(256) as u8));
        let (mut ledger, _) = Ledger::decode(&bytes);
        assert_eq!(ledger.spent.len(), 2);
        let reserved = ledger.reserve(NOON, &daily(u64::MAX), PicoUsd(u64::MAX)).unwrap_or_default();
        ledger.charge(Millis(u64::MAX), daily(1).window.as_ref(), &reserved, PicoUsd(u64::MAX));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_window_has_a_sum_of_its_own() {
    let budgets = [within("1d", 10), within("1mo", 25), budget(1000)];
    let mut ledger = Ledger::default();
    let mut spend = |day: u64, cost: u64| {
        let now = later(24 * day);
        ledger = stored(&ledger);
        let lack = ledger.lack(now, &budgets, false);
        ledger.settle(now, &budgets, &Reservation::default(), PicoUsd(cost));
        let sums = budgets.iter().map(|budget| ledger.spent(now, budget.window.as_ref()).0).collect::<Vec<_>>();
        (lack.map(|refusal| (refusal.max.0, refusal.resets_at)), sums)
    };
    let (tomorrow, december) = (Millis(20_781 * DAY), Millis(20_788 * DAY));
    assert_eq!(spend(0, 9), (None, vec![9, 9, 9]));
    assert_eq!(spend(0, 1), (None, vec![10, 10, 10]));
    assert_eq!(spend(0, 0), (Some((10, Some(tomorrow))), vec![10, 10, 10]));
    assert_eq!(spend(1, 10), (None, vec![10, 20, 20]));
    assert_eq!(spend(2, 10), (None, vec![10, 30, 30]));
    // Both lack room: the one that does for longest is told.
    assert_eq!(spend(2, 0), (Some((25, Some(december))), vec![10, 30, 30]));
    assert_eq!(spend(8, 4), (None, vec![4, 4, 34]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_window_that_is_added_begins_with_the_largest_sum() {
    let mut ledger = Ledger::default();
    let day = [daily(100)];
    ledger.settle(NOON, &day, &Reservation::default(), PicoUsd(7));
    let both = [within("1h", 100), daily(100)];
    ledger.settle(NOON, &both, &Reservation::default(), PicoUsd(1));
    assert_eq!(ledger.spent(NOON, both[0].window.as_ref()), PicoUsd(8));
    assert_eq!(ledger.spent(later(1), both[0].window.as_ref()), PicoUsd(0));
    assert_eq!(ledger.spent(later(1), both[1].window.as_ref()), PicoUsd(8));
    let most: Vec<_> = (1..=2 * MAX_WINDOWS).map(|hours| within(&format!("{hours}h"), 5)).collect();
    ledger.settle(NOON, &most, &Reservation::default(), PicoUsd(1));
    assert_eq!(stored(&ledger).spent.len(), MAX_WINDOWS);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_alarm_is_given_once_in_a_window() {
    let soft = |soft: u64, budget: Budget| Budget { soft: Some(PicoUsd(soft)), ..budget };
    let budgets = [soft(4, daily(10)), within("1mo", 100), Budget { max: None, ..soft(12, daily(0)) }];
    let mut ledger = Ledger::default();
    let mut spend = |day: u64, cost: u64| {
        ledger = stored(&ledger);
        ledger.settle(later(24 * day), &budgets, &Reservation::default(), PicoUsd(cost))
    };
    let (near, soft) = (Alarm::Near, Alarm::Soft);
    assert_eq!(spend(0, 3), []);
    assert_eq!(spend(0, 1), [(0, soft)]);
    assert_eq!(spend(0, 1), []);
    assert_eq!(spend(0, 20), [(0, near), (2, soft)]);
    assert_eq!(spend(0, 20), []);
    assert_eq!(spend(1, 8), [(0, soft), (0, near)]);
    assert_eq!(spend(2, 30), [(0, soft), (0, near), (1, near), (2, soft)]);
    ledger.reset(later(48), &budgets, PicoUsd(0));
    assert_eq!(ledger.spent(later(48), budgets[1].window.as_ref()), PicoUsd(0));
    assert_eq!(ledger.settle(later(48), &budgets, &Reservation::default(), PicoUsd(80)).len(), 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_budget_in_shadow_mode_is_asked_apart() {
    let budgets = [daily(10), Budget { is_shadow: true, ..within("1h", 5) }];
    let mut ledger = Ledger::default();
    ledger.settle(NOON, &budgets, &Reservation::default(), PicoUsd(5));
    assert_eq!(ledger.lack(NOON, &budgets, false), None);
    assert_eq!(ledger.lack(NOON, &budgets, true).map(|refusal| refusal.max), Some(PicoUsd(5)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_was_years_ahead_does_not_hold_a_window_for_years() {
    let budgets = [daily(10)];
    let mut ledger = Ledger::default();
    ledger.settle(later(24 * 800), &budgets, &Reservation::default(), PicoUsd(10));
    ledger.settle(NOON, &budgets, &Reservation::default(), PicoUsd(0));
    assert_eq!(ledger.spent(NOON, budgets[0].window.as_ref()), PicoUsd(10));
    assert_eq!(ledger.spent(later(24), budgets[0].window.as_ref()), PicoUsd(0));
}

#[wasm_bindgen_test(unsupported = test)]
fn clock_zero_and_a_clock_that_goes_back_do_no_harm() {
    let mut ledger = Ledger::default();
    let first = ledger.reserve(Millis(0), &daily(10), PicoUsd(4)).unwrap();
    let second = ledger.reserve(NOON, &daily(10), PicoUsd(5)).unwrap();
    ledger.charge(Millis(5), daily(10).window.as_ref(), &second, PicoUsd(2));
    ledger.charge(Millis(6), daily(10).window.as_ref(), &first, PicoUsd(1));
    assert_eq!((ledger.spent(Millis(7), None), ledger.reserved(Millis(7))), (PicoUsd(3), PicoUsd(0)));
}
