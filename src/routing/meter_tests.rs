use std::collections::BTreeSet;

use wasm_bindgen_test::wasm_bindgen_test;

use super::{MAX_VMS, Meter, Told};
use crate::config::Limits;
use crate::routing::{Place, Skip};
use crate::units::Millis;

/// The first millisecond of a minute in 2026.
const START: u64 = 29_900_000 * 60_000;
const END: Millis = Millis(START + 60_000);
const VM: u64 = 0xfeed;

fn limits(rpm: Option<u64>, tpm: Option<u64>, parallel: Option<u64>) -> Limits {
    Limits { rpm, tpm, parallel, ..Limits::default() }
}

fn at(ms: u64) -> Millis {
    Millis(START + ms)
}

fn all_live(_: u64) -> bool {
    true
}

/// What the host does between two steps.
fn stored(meter: &Meter) -> Meter {
    let bytes = meter.encode();
    assert_eq!(bytes.len(), 52 + 20 * meter.holders.len());
    let read = Meter::decode(&bytes);
    assert_eq!(&read, meter);
    read
}

/// What happens to a meter.
enum Event {
    /// Somebody asks for a place, with this estimate.
    Take(u64, Result<(), Skip>),
    /// The place taken as the n-th is left, with this use.
    Leave(usize, u64),
}
use Event::{Leave, Take};

/// Runs the rows (milliseconds into the minute, event) on one meter.
fn check(limits: &Limits, rows: &[(u64, Event)]) {
    let (mut meter, mut places) = (Meter::default(), Vec::new());
    for (i, (ms, event)) in rows.iter().enumerate() {
        match *event {
            Take(tokens, expected) => {
                let before = stored(&meter);
                let taken = meter.take(at(*ms), limits, tokens, VM, &all_live);
                assert_eq!(taken.map(|_| ()), expected, "row {i}");
                match taken {
                    Ok(place) => places.push(place),
                    Err(_) if before.minute.number == meter.minute.number => assert_eq!(meter, before, "row {i}"),
                    Err(_) => assert_eq!((meter.minute.requests, meter.minute.tokens), (0, 0), "row {i}"),
                }
            }
            Leave(n, tokens) => meter.leave(VM, &places[n], tokens),
        }
        meter = stored(&meter);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn requests_a_minute_are_counted_by_the_clock() {
    let next = Millis(END.0 + 60_000);
    check(
        &limits(Some(2), None, None),
        &[
            (59_000, Take(1, Ok(()))),
            (59_500, Take(1, Ok(()))),
            (59_600, Leave(0, 0)),
            (59_999, Take(1, Err(Skip::Rpm(END)))),
            (60_000, Take(1, Ok(()))),
            // A worker whose clock was read just before.
            (59_999, Take(1, Ok(()))),
            (59_999, Take(1, Err(Skip::Rpm(next)))),
            (119_999, Take(1, Err(Skip::Rpm(next)))),
            (120_000, Take(1, Ok(()))),
            (9_000_000, Take(1, Ok(()))),
        ],
    );
    check(&limits(Some(0), None, None), &[(0, Take(0, Err(Skip::Rpm(END))))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn requests_and_tokens_of_a_day_are_counted_by_the_clock() {
    const DAY: u64 = 86_400_000;
    let night = Millis((START / DAY + 1) * DAY);
    // Minutes from ten before midnight on, as milliseconds after the start.
    let at_minute = |n: u64| night.0 - 600_000 + n * 60_000 - START;
    let limits = Limits { rpd: Some(3), tpd: Some(100), rpm: Some(2), ..Limits::default() };
    let full = at(at_minute(1));
    check(
        &limits,
        &[
            (at_minute(0), Take(10, Ok(()))),
            (at_minute(0), Take(80, Ok(()))),
            (at_minute(0), Take(1, Err(Skip::Rpm(full)))),
            (at_minute(1), Take(11, Err(Skip::Tpd(night)))),
            (at_minute(1), Leave(1, 60)),
            (at_minute(1), Take(30, Ok(()))),
            (at_minute(2), Take(0, Err(Skip::Rpd(night)))),
            (at_minute(10), Take(100, Ok(()))),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_a_minute_are_set_aside_and_trued_up() {
    check(
        &limits(None, Some(100), None),
        &[
            (0, Take(60, Ok(()))),
            (1, Take(41, Err(Skip::Tpm(END)))),
            (2, Take(40, Ok(()))),
            (3, Take(1, Err(Skip::Tpm(END)))),
            (4, Take(0, Ok(()))),
            // The first used ten of its sixty, the second ninety.
            (5, Leave(0, 10)),
            (6, Take(50, Ok(()))),
            (7, Leave(1, 90)),
            (8, Take(0, Err(Skip::Tpm(END)))),
            (60_000, Take(100, Ok(()))),
            // What began in the minute before changes nothing in this one.
            (60_001, Leave(3, 1000)),
            (60_002, Take(0, Ok(()))),
            (60_003, Take(1, Err(Skip::Tpm(Millis(END.0 + 60_000))))),
        ],
    );
    check(&limits(None, Some(0), None), &[(0, Take(0, Err(Skip::Tpm(END))))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_that_is_longer_than_a_minute_allows_passes_alone() {
    check(
        &limits(None, Some(100), None),
        &[
            (0, Take(500, Ok(()))),
            (1, Take(1, Err(Skip::Tpm(END)))),
            // It failed, and used nothing.
            (2, Leave(0, 0)),
            (3, Take(1, Ok(()))),
            (4, Take(500, Err(Skip::Tpm(END)))),
            (60_000, Take(500, Ok(()))),
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn parallel_requests_have_places() {
    check(
        &limits(None, None, Some(2)),
        &[
            (0, Take(1, Ok(()))),
            (1, Take(1, Ok(()))),
            (2, Take(1, Err(Skip::Parallel))),
            // Time alone frees no place.
            (600_000, Take(1, Err(Skip::Parallel))),
            (600_001, Leave(0, 1)),
            (600_002, Take(1, Ok(()))),
            (600_003, Take(1, Err(Skip::Parallel))),
            (600_004, Leave(1, 1)),
            (600_005, Leave(2, 1)),
            (600_006, Take(1, Ok(()))),
            (600_007, Take(1, Ok(()))),
            (600_008, Take(1, Err(Skip::Parallel))),
        ],
    );
    check(&limits(None, None, Some(0)), &[(0, Take(0, Err(Skip::Parallel)))]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_places_of_a_dead_vm_are_freed_when_they_are_needed() {
    let limits = limits(None, None, Some(2));
    let mut meter = Meter::default();
    let lost = meter.take(at(0), &limits, 5, 1, &all_live).unwrap();
    meter.take(at(1), &limits, 5, 2, &all_live).unwrap();
    assert_eq!(meter.take(at(2), &limits, 5, 3, &all_live), Err(Skip::Parallel));
    let first_is_dead = |vm| vm != 1;
    // It may not have beaten yet.
    assert_eq!(meter.take(at(5000), &limits, 5, 3, &first_is_dead), Err(Skip::Parallel));
    let second = meter.take(at(5001), &limits, 5, 3, &first_is_dead).unwrap();
    assert_eq!(meter.take(at(5002), &limits, 5, 3, &first_is_dead), Err(Skip::Parallel));
    // Whoever asks is alive, whatever others say.
    assert_eq!(meter.take(at(20_000), &limits, 5, 3, &|vm| vm == 2), Err(Skip::Parallel));

    // The dead one was merely slow. It takes a place again, and leaves the one that it has lost.
    meter.leave(3, &second, 5);
    let again = meter.take(at(20_001), &limits, 5, 1, &all_live).unwrap();
    meter.leave(1, &lost, 5);
    assert_eq!(meter.in_flight(), 2);
    meter.leave(1, &again, 5);
    assert_eq!(meter.in_flight(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_more_vms_are_listed_than_fit() {
    let count = |limits: &Limits, is_alive: &dyn Fn(u64) -> bool| {
        let mut meter = Meter::default();
        let taken: Vec<_> = (0..400).map(|vm| meter.take(at(vm * 100), limits, 1, vm, is_alive)).collect();
        assert!(stored(&meter).holders.len() <= MAX_VMS);
        // One that is not listed leaves without harm.
        (0..).zip(&taken).for_each(|(vm, taken)| {
            if let Ok(place) = taken {
                meter.leave(vm, place, 1);
            }
        });
        assert_eq!(meter.in_flight(), 0);
        taken.iter().filter(|taken| taken.is_ok()).count()
    };
    assert_eq!(count(&limits(Some(1000), None, None), &all_live), 400);
    assert_eq!(count(&limits(None, None, Some(1000)), &all_live), MAX_VMS);
    assert_eq!(count(&limits(None, None, Some(1000)), &|_| false), 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_goes_back_blocks_nobody_and_leaks_nothing() {
    let limits = limits(Some(1), Some(10), Some(2));
    for back in [1, 59_999, 60_000, 60_001, 120_000, 3_600_000, START] {
        let mut meter = Meter::default();
        let first = meter.take(at(0), &limits, 10, VM, &all_live).unwrap();
        let then = Millis(START - back);
        let second = match meter.take(then, &limits, 10, VM, &all_live) {
            Ok(place) => place,
            // Within a minute the counts go on until the minute in which they began ends.
            Err(skip) => {
                assert!(back <= 60_000, "{back}");
                assert_eq!(skip, Skip::Rpm(END));
                meter.take(END, &limits, 10, VM, &all_live).unwrap()
            }
        };
        meter.leave(VM, &second, 4);
        meter.leave(VM, &first, 4);
        assert_eq!((meter.in_flight(), meter.minute.tokens), (0, 4), "{back}");
    }
    let mut meter = Meter::default();
    for now in [u64::MAX, 0, u64::MAX - 1] {
        let place = meter.take(Millis(now), &limits, u64::MAX, VM, &all_live).unwrap();
        meter.leave(VM, &place, u64::MAX);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_bytes_are_an_empty_meter_or_do_no_harm() {
    let mut meter = Meter::default();
    meter.take(at(0), &limits(None, None, None), 7, VM, &all_live).unwrap();
    let good = meter.encode();
    for len in 0..good.len() {
        let kept = Meter::decode(&good[..len]);
        assert_eq!(kept == Meter::default(), len != 52, "{len}");
    }
    let mut other = good.clone();
    other[3] = b'0';
    let long = [&good[..52], &[1; 20 * (MAX_VMS + 1)]].concat();
    for bytes in [&other[..], &long, &[0xff; 72]] {
        assert_eq!(Meter::decode(bytes), Meter::default());
    }
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..2000 {
        let mut bytes = b"TGM2".to_vec();
        for _ in 0..6 + 20 * (round % 3) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes.extend(x.to_le_bytes());
        }
        let mut meter = Meter::decode(&bytes);
        let limits = limits(Some(x), Some(x >> 3), Some(x >> 5));
        let place = meter.take(Millis(x), &limits, x, VM, &|vm| vm % 2 == 0).unwrap_or_default();
        meter.leave(VM, &place, u64::MAX);
        stored(&meter);
    }
}

/// One request on its way: takes a place, leaves it; each a read and a swap.
#[derive(Clone, Copy)]
struct Request {
    vm: u64,
    estimate: u64,
    used: u64,
    /// The version that was read, where the swap is still to come.
    read: Option<u32>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Outside,
    Inside(Place),
    Refused,
    Gone,
}

/// Requests whose reads and swaps follow each other in any order.
struct World {
    limits: Limits,
    /// Every version of the shared bytes; the last is the one in force.
    versions: Vec<Vec<u8>>,
    requests: Vec<Request>,
    /// Where it has been: what is in force, and of each request how far it is and what it has read.
    seen: BTreeSet<String>,
}

impl World {
    /// Runs every order from here, as far as none has led here before.
    fn explore(&mut self) {
        if !self.seen.insert(self.here()) {
            return;
        }
        self.assert_limits();
        for i in 0..self.requests.len() {
            let (before, versions) = (self.requests[i], self.versions.len());
            if matches!(before.stage, Stage::Refused | Stage::Gone) {
                continue;
            }
            self.step(i);
            self.explore();
            self.requests[i] = before;
            self.versions.truncate(versions);
        }
    }

    fn here(&self) -> String {
        let newest = self.versions.len() - 1;
        let read = |request: &Request| {
            let version = request.read? as usize;
            Some((version == newest, &self.versions[version]))
        };
        let requests: Vec<_> = self.requests.iter().map(|request| (request.stage, read(request))).collect();
        format!("{:?} {requests:?}", self.versions[newest])
    }

    /// The next read or swap of request `i`; a swap that is too late is a read again.
    fn step(&mut self, i: usize) {
        let newest = u32::try_from(self.versions.len() - 1).unwrap();
        let request = &mut self.requests[i];
        let Some(read) = request.read.replace(newest) else { return };
        let mut meter = Meter::decode(&self.versions[read as usize]);
        let after = match request.stage {
            Stage::Outside => match meter.take(at(0), &self.limits, request.estimate, request.vm, &all_live) {
                Ok(place) => Stage::Inside(place),
                // A refusal need not be stored.
                Err(_) => {
                    request.stage = Stage::Refused;
                    return;
                }
            },
            Stage::Inside(place) => {
                meter.leave(request.vm, &place, request.used);
                Stage::Gone
            }
            done => done,
        };
        if read == newest {
            self.versions.push(meter.encode());
            (request.stage, request.read) = (after, None);
        }
    }

    fn assert_limits(&self) {
        let meter = Meter::decode(self.versions.last().unwrap());
        let inside = |request: &&Request| matches!(request.stage, Stage::Inside(_));
        let gone = |request: &&Request| request.stage == Stage::Gone;
        let parallel = self.requests.iter().filter(inside).count() as u64;
        let passed = parallel + self.requests.iter().filter(gone).count() as u64;
        let held: u64 = self.requests.iter().filter(inside).map(|request| request.estimate).sum();
        let used: u64 = self.requests.iter().filter(gone).map(|request| request.used).sum();
        let Told { requests, tokens, .. } = meter.counts(at(0)).0;
        assert_eq!((meter.in_flight(), requests, tokens), (parallel, passed, held + used));
        assert!(self.limits.parallel.is_none_or(|most| parallel <= most));
        assert!(self.limits.rpm.is_none_or(|most| passed <= most));
        assert!(self.limits.tpm.is_none_or(|most| held + used <= most));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_order_of_three_requests_passes_a_limit() {
    for limits in [
        limits(None, None, Some(1)),
        limits(None, None, Some(2)),
        limits(Some(1), None, None),
        limits(Some(2), Some(100), Some(2)),
        limits(None, Some(50), None),
        limits(None, Some(100), None),
        limits(None, None, None),
    ] {
        for vms in [[1, 1, 1], [1, 2, 3], [1, 2, 1]] {
            let request =
                |(vm, estimate)| Request { vm, estimate, used: estimate / 2, read: None, stage: Stage::Outside };
            let requests = vms.into_iter().zip([30, 40, 50]).map(request).collect();
            let versions = vec![Meter::default().encode()];
            let mut world = World { limits, versions, requests, seen: BTreeSet::new() };
            world.explore();
            assert!(world.seen.len() > 100);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_place_that_led_to_nothing_was_never_taken() {
    let limits = limits(Some(2), Some(100), Some(3));
    let take = |meter: &mut Meter, ms| meter.take(at(ms), &limits, 40, VM, &all_live);
    let mut meter = Meter::default();
    take(&mut meter, 0).unwrap();
    let before = stored(&meter);
    assert_eq!(meter.counts(at(0)).0, Told { requests: 1, tokens: 40, end: END });
    let place = take(&mut meter, 5).unwrap();
    meter.cancel(VM, &place);
    assert_eq!(stored(&meter), before);
    let empty = Told { requests: 0, tokens: 0, end: Millis(END.0 + 60_000) };
    assert_eq!(meter.counts(END).0, empty, "a minute is over without a request");
    // The next minute owes nothing to what was taken in the one before.
    let place = take(&mut meter, 10).unwrap();
    take(&mut meter, 60_000).unwrap();
    meter.cancel(VM, &place);
    assert_eq!(meter.counts(END).0.requests, 1);
}
