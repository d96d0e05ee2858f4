use wasm_bindgen_test::wasm_bindgen_test;

use super::{BUCKET, Ledger, Refusal, Reservation};
use crate::budget::Window;
use crate::config::Budget;
use crate::units::{Millis, PicoUsd};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// A Monday noon in 2026, in the middle of a bucket.
const NOON: Millis = Millis(20_780 * DAY + 12 * HOUR + 60_000);

fn budget(max: u64) -> Budget {
    Budget { max: PicoUsd(max), window: None }
}

fn daily(max: u64) -> Budget {
    Budget { max: PicoUsd(max), window: Window::parse("1d") }
}

fn later(hours: u64) -> Millis {
    NOON.plus(Millis(hours * HOUR))
}

/// What the host does between two steps.
fn stored(ledger: &Ledger) -> Ledger {
    let bytes = ledger.encode();
    assert_eq!(bytes.len(), 164);
    let read = Ledger::decode(&bytes);
    assert_eq!(&read, ledger);
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
                ledger.settle(now, None, &reservation, PicoUsd(random.below(101)));
            }
            let total = ledger.spent(now, None).plus(ledger.reserved(now));
            assert!(total.0 < max + 100, "{total:?} of {max} after {admitted}");
        }
        for reservation in running.drain(..) {
            ledger.settle(now, None, &reservation, reservation.amount);
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
    ledger.settle(NOON, None, &first, PicoUsd(3));
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
        ledger.settle(again, None, &slow, PicoUsd(4));
        assert_eq!((ledger.spent(again, None), ledger.reserved(again)), (PicoUsd(4), PicoUsd(7)));
        ledger.settle(later(hours), None, &slow, PicoUsd(1));
        assert_eq!(ledger.spent(later(hours), None), PicoUsd(5));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_over_midnight_is_charged_to_the_day_it_ends_in() {
    let (budget, evening, morning) = (daily(10), later(11), later(12));
    let window = budget.window.as_ref();
    let mut ledger = Ledger::default();
    let first = ledger.reserve(evening, &budget, PicoUsd(8)).unwrap();
    ledger.settle(evening, window, &first, PicoUsd(8));
    let second = ledger.reserve(evening.plus(Millis(HOUR / 2)), &budget, PicoUsd(6)).unwrap();
    assert_eq!(ledger.spent(evening, window), PicoUsd(8));
    assert_eq!((ledger.spent(morning, window), ledger.reserved(morning)), (PicoUsd(0), PicoUsd(6)));
    ledger.settle(morning, window, &second, PicoUsd(5));
    assert_eq!((ledger.spent(morning, window), ledger.reserved(morning)), (PicoUsd(5), PicoUsd(0)));
    assert_eq!(ledger.spent(later(36), window), PicoUsd(0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_worker_that_is_late_at_midnight_does_not_empty_the_new_day() {
    let window = Window::parse("1d");
    let midnight = window.as_ref().unwrap().end_after(NOON);
    let (mut ledger, none) = (Ledger::default(), Reservation::default());
    ledger.settle(midnight, window.as_ref(), &none, PicoUsd(3));
    ledger.settle(Millis(midnight.0 - 1), window.as_ref(), &none, PicoUsd(4));
    ledger.settle(midnight.plus(Millis(1)), window.as_ref(), &none, PicoUsd(5));
    assert_eq!(ledger.spent(midnight.plus(Millis(1)), window.as_ref()), PicoUsd(12));
}

#[wasm_bindgen_test(unsupported = test)]
fn another_window_keeps_the_spend_until_it_ends() {
    let (day, month) = (Window::parse("1d"), Window::parse("1mo"));
    let none = Reservation::default();
    for (from, to) in [(&day, &month), (&month, &day), (&None, &day), (&day, &None)] {
        let mut ledger = Ledger::default();
        ledger.settle(NOON, from.as_ref(), &none, PicoUsd(3));
        ledger.settle(later(1), to.as_ref(), &none, PicoUsd(4));
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
    ledger.settle(NOON, None, &old, PicoUsd(1));
    assert_eq!((ledger.spent(NOON, None), ledger.reserved(NOON)), (PicoUsd(1), PicoUsd(0)));

    let mut ledger = Ledger::default();
    let soon = NOON.plus(Millis(1));
    ledger.reserve(soon, &budget(100), PicoUsd(60)).unwrap();
    ledger.settle(soon, None, &old, PicoUsd(40));
    assert_eq!((ledger.spent(soon, None), ledger.reserved(soon)), (PicoUsd(40), PicoUsd(60)));
}

#[wasm_bindgen_test(unsupported = test)]
fn garbled_bytes_are_an_empty_ledger() {
    let mut ledger = Ledger::default();
    ledger.reserve(NOON, &daily(9), PicoUsd(1)).unwrap();
    let good = ledger.encode();
    let mut long = good.clone();
    long.push(0);
    let mut old = good.clone();
    old[3] = b'0';
    for bytes in [&[][..], b"TGL1", &good[..good.len() - 1], &long, &old, &[0xff; 164]] {
        assert_eq!(Ledger::decode(bytes), Ledger::default());
    }
    // Any bytes of the right version and length are a ledger, which must not trap.
    let mut random = Xorshift(7);
    for _ in 0..2000 {
        let mut bytes = b"TGL1".to_vec();
        bytes.extend((0..160).map(|_| random.below(256) as u8));
        let mut ledger = Ledger::decode(&bytes);
        let reserved = ledger.reserve(NOON, &daily(u64::MAX), PicoUsd(u64::MAX)).unwrap_or_default();
        ledger.settle(Millis(u64::MAX), daily(1).window.as_ref(), &reserved, PicoUsd(u64::MAX));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn clock_zero_and_a_clock_that_goes_back_do_no_harm() {
    let mut ledger = Ledger::default();
    let first = ledger.reserve(Millis(0), &daily(10), PicoUsd(4)).unwrap();
    let second = ledger.reserve(NOON, &daily(10), PicoUsd(5)).unwrap();
    ledger.settle(Millis(5), daily(10).window.as_ref(), &second, PicoUsd(2));
    ledger.settle(Millis(6), daily(10).window.as_ref(), &first, PicoUsd(1));
    assert_eq!((ledger.spent(Millis(7), None), ledger.reserved(Millis(7))), (PicoUsd(3), PicoUsd(0)));
}
