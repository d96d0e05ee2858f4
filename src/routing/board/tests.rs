//! Several VMs and one board over a simulated clock.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::routing::Usage;

const HOUR: Millis = Millis::from_secs(3600);
/// The beginning of a minute.
const START: u64 = 1_795_000_020_000;

/// Milliseconds after a minute has begun.
const fn at(ms: u64) -> Millis {
    Millis(START + ms)
}

fn answer(ms: u64, output_tokens: u64) -> Usage {
    Usage { tokens: 2 * output_tokens, output_tokens, duration: Millis(ms), is_success: true, ..Usage::default() }
}

fn stream(ttft: u64) -> Usage {
    Usage { ttft: Some(Millis(ttft)), is_stream: true, ..answer(9_000, 50) }
}

fn late(is_stream: bool) -> Usage {
    Usage { is_timeout: true, is_stream, ..Usage::default() }
}

/// VMs with one shared value, as bytes.
struct World {
    stored: Vec<u8>,
    vms: Vec<(Local, Board)>,
}

impl World {
    fn new(vms: u64, keep: usize) -> Self {
        Self { stored: Vec::new(), vms: (0..vms).map(|vm| (Local::new(vm + 100, keep), Board::default())).collect() }
    }

    fn merge(&mut self, now: Millis, vm: usize) {
        let (local, copy) = &mut self.vms[vm];
        let mut board = Board::decode(&self.stored);
        board.merge(now, local);
        self.stored = board.encode();
        local.merged(now);
        *copy = board;
    }

    fn view(&self, vm: usize) -> View<'_> {
        let (local, copy) = &self.vms[vm];
        View::new(copy, local)
    }

    fn local(&mut self, vm: usize) -> &mut Local {
        &mut self.vms[vm].0
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_sees_what_its_own_vm_saw_at_once_and_others_after_their_merge() {
    let mut world = World::new(2, 4);
    let state = |world: &World, vm| {
        let state = world.view(vm).state(at(900), 7, HOUR);
        (state.in_flight, state.requests, state.tokens)
    };
    type Event = fn(&mut World);
    let rows: [(Event, _, _); 9] = [
        (|w| w.local(0).begun(at(0), 7, 25), (1, 1, 25), (0, 0, 0)),
        (|w| w.merge(at(50), 0), (1, 1, 25), (0, 0, 0)),
        (|w| w.local(1).begun(at(60), 7, 40), (1, 1, 25), (1, 1, 40)),
        (|w| w.merge(at(100), 1), (1, 1, 25), (2, 2, 65)),
        // It used 60, 35 above what was set aside; the other one 38, less than that.
        (|w| w.local(0).ended(at(110), 7, 25, &answer(110, 30)), (0, 1, 60), (2, 2, 65)),
        (|w| w.merge(at(150), 0), (1, 2, 100), (2, 2, 65)),
        (|w| w.local(1).ended(at(160), 7, 40, &answer(110, 19)), (1, 2, 100), (1, 2, 65)),
        (|w| w.merge(at(200), 1), (1, 2, 100), (0, 2, 100)),
        (|w| w.merge(at(250), 0), (0, 2, 100), (0, 2, 100)),
    ];
    for (i, (event, first, second)) in rows.into_iter().enumerate() {
        event(&mut world);
        assert_eq!((state(&world, 0), state(&world, 1)), (first, second), "row {i}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn counts_are_of_the_minute_of_the_clock() {
    let mut world = World::new(2, 0);
    let totals = |world: &World, now| (world.view(0).totals(now, 7), world.view(0).state(now, 7, HOUR).tokens);
    world.local(0).begun(at(59_990), 7, 0);
    world.local(0).failed(at(59_995), 7);
    world.local(0).ended(at(59_995), 7, 0, &answer(5, 10));
    assert_eq!(totals(&world, at(59_999)), ((1, 1), 20));
    assert_eq!(totals(&world, at(60_000)), ((0, 0), 0), "a minute is over without a merge");
    world.merge(at(59_999), 0);
    assert_eq!(totals(&world, at(59_999)), ((1, 1), 20));
    // One worker is past the turn, the other brings its facts of before, and reads its clock just before.
    world.local(1).begun(at(59_990), 7, 0);
    world.local(0).begun(at(60_001), 7, 0);
    world.merge(at(60_001), 0);
    world.merge(at(59_999), 1);
    world.merge(at(60_002), 0);
    assert_eq!(totals(&world, at(60_003)), ((1, 0), 0));
    assert_eq!(world.view(0).state(at(60_003), 7, HOUR).in_flight, 2, "whenever they began");
    // What was noted just before the turn and merged after it belongs to neither minute.
    world.local(1).failed(at(119_999), 7);
    world.merge(at(120_001), 1);
    world.merge(at(120_002), 0);
    assert_eq!(totals(&world, at(120_003)), ((0, 0), 0));
    // A clock that is set back an hour.
    world.local(0).begun(Millis(START - 3_600_000), 7, 0);
    world.merge(Millis(START - 3_600_000), 0);
    assert_eq!(totals(&world, Millis(START - 3_599_000)), ((1, 0), 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_mean_is_that_of_the_newest_samples_that_are_fresh() {
    let mut world = World::new(2, 3);
    let known = |world: &World, vm, now| {
        let state = world.view(vm).state(now, 7, Millis::from_secs(60));
        (state.ttft_ms, state.secs_per_token)
    };
    assert_eq!(known(&world, 0, at(0)), (None, None));
    world.local(0).ended(at(0), 7, 0, &answer(1000, 100));
    world.local(0).ended(at(0), 7, 0, &stream(40));
    assert_eq!(known(&world, 0, at(0)), (Some(40.0), Some(0.01)));
    world.local(0).ended(at(1000), 7, 0, &answer(600, 0));
    assert_eq!(known(&world, 0, at(1000)), (Some(40.0), Some(0.305)), "no tokens: the whole time");
    world.merge(at(1000), 0);
    assert_eq!(known(&world, 0, at(1000)), (Some(40.0), Some(0.305)));
    for ms in [50, 60, 70] {
        world.local(1).ended(at(1000 + ms), 7, 0, &stream(ms));
    }
    assert_eq!(known(&world, 1, at(1100)), (Some(60.0), None));
    world.merge(at(1100), 1);
    assert_eq!(known(&world, 1, at(1100)), (Some(60.0), Some(0.305)), "the oldest made room");
    world.local(1).ended(at(2000), 7, 0, &stream(110));
    assert_eq!(known(&world, 1, at(2000)), (Some(80.0), Some(0.305)), "own notes before the board's");
    // Nothing is learnt from a failure, but from a timeout.
    world.local(1).ended(at(2000), 7, 0, &Usage { is_success: false, ..stream(1) });
    world.local(1).ended(at(2000), 7, 0, &Usage { is_success: false, ..answer(1, 100) });
    assert_eq!(known(&world, 1, at(2000)), (Some(80.0), Some(0.305)));
    world.local(1).ended(at(2000), 7, 0, &late(false));
    let slow = (10_000.0 + 600_000.0 + 1e9) / 3.0 / 1e6;
    assert_eq!(known(&world, 1, at(2000)), (Some(80.0), Some(slow)));
    world.local(1).ended(at(2000), 7, 0, &late(true));
    assert_eq!(known(&world, 1, at(2000)).0, Some((110.0 + 70.0 + 1e6) / 3.0));
    world.merge(at(2000), 1);
    for (now, expected) in [(61_000, (70.0 + 110.0 + 1e6) / 3.0), (62_000, (110.0 + 1e6) / 2.0)] {
        assert_eq!(known(&world, 1, at(now)).0, Some(expected), "{now}");
    }
    assert_eq!(known(&world, 1, at(63_000)), (None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_older_sample_does_not_push_a_newer_one_out() {
    let mut world = World::new(2, 2);
    world.local(0).ended(at(1000), 7, 0, &stream(10));
    world.local(1).ended(at(5000), 7, 0, &stream(50));
    world.local(1).ended(at(6000), 7, 0, &stream(60));
    world.merge(at(6000), 1);
    world.merge(at(6000), 0);
    assert_eq!(world.view(0).state(at(6000), 7, HOUR).ttft_ms, Some(55.0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_vm_that_falls_silent_is_forgotten_with_what_it_had_under_way() {
    let mut world = World::new(3, 0);
    let in_flight = |world: &World, now| world.view(0).state(at(now), 7, HOUR).in_flight;
    for vm in 0..3 {
        world.local(vm).begun(at(0), 7, 0);
        world.merge(at(0), vm);
    }
    world.merge(at(0), 0);
    assert_eq!(in_flight(&world, 0), 3);
    // The second beats, the third has died.
    for (now, expected) in [(1000, 3), (5000, 3), (5001, 2), (9000, 2)] {
        world.merge(at(now), 1);
        world.merge(at(now), 0);
        assert_eq!(in_flight(&world, now), expected, "{now}");
    }
    // It was only slow: its next merge says what it has, and its end is no end of another's.
    world.local(2).begun(at(9500), 7, 0);
    world.merge(at(9500), 2);
    world.merge(at(9500), 0);
    assert_eq!(in_flight(&world, 9500), 4);
    // The clock is set back: who was there an hour ahead is not waited for.
    world.merge(Millis(START - 3_600_000), 0);
    assert_eq!(world.view(0).state(Millis(START - 3_600_000), 7, HOUR).in_flight, 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_end_without_a_beginning_takes_nothing() {
    let mut world = World::new(2, 0);
    world.local(0).begun(at(0), 7, 0);
    world.merge(at(0), 0);
    world.local(1).ended(at(10), 7, 0, &answer(10, 10));
    world.local(1).ended(at(10), 8, 0, &answer(10, 10));
    world.merge(at(10), 1);
    assert_eq!(world.view(1).state(at(10), 7, HOUR).in_flight, 1);
    assert_eq!(world.view(1).state(at(10), 8, HOUR).in_flight, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_merge_is_due_with_news_and_every_second_with_something_under_way() {
    let mut local = Local::new(1, 0);
    assert!(!local.is_due(at(0)), "nothing was seen yet");
    local.begun(at(0), 7, 0);
    assert!(local.is_due(at(0)));
    local.merged(at(50));
    for (now, is_due) in [(51, false), (1049, false), (1050, true), (9000, true)] {
        assert_eq!(local.is_due(at(now)), is_due, "{now}");
    }
    local.ended(at(1060), 7, 0, &answer(1, 1));
    assert!(local.is_due(at(1060)), "the end is news");
    local.merged(at(1060));
    assert!(!local.is_due(at(9000)));
    assert_eq!(local.rows().len(), 0, "nothing is left behind");
}

/// What several VMs have seen at random, within one minute.
fn seen(keep: usize) -> Vec<Local> {
    let mut random = Xorshift(0x2545_f491);
    let mut locals: Vec<Local> = (0..5).map(|vm| Local::new(vm, keep)).collect();
    for second in 0..400 {
        let (local, number) = (&mut locals[random.below(5)], random.below(30) as u64);
        // Samples of different seconds: those of one are in the order of the merges.
        let now = at(second * 140);
        match random.below(4) {
            0 => local.begun(now, number, 0),
            1 => local.failed(now, number),
            2 => local.ended(now, number, 0, &stream(second)),
            _ => local.ended(now, number, 0, &answer(second, 7)),
        }
    }
    locals
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn merges_in_any_order_give_the_same() {
    let (now, locals) = (at(58_000), seen(32));
    let merged = |order: &[usize]| {
        let mut board = Board::default();
        order.iter().for_each(|&i| board.merge(now, &locals[i]));
        board
    };
    let facts = |board: &Board| -> Vec<_> {
        let bystander = Local::new(999, 32);
        let view = View::new(board, &bystander);
        (0..30).map(|number| (view.state(now, number, HOUR), view.totals(now, number))).collect()
    };
    let expected = facts(&merged(&[0, 1, 2, 3, 4]));
    assert!(expected.iter().any(|(state, _)| state.in_flight > 0 && state.ttft_ms.is_some()));
    for order in [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 4, 0, 3, 2]] {
        assert_eq!(facts(&merged(&order)), expected, "{order:?}");
    }
    // One value for all, and one merge after another, is the same as one VM that has seen it all.
    let requests: u64 = expected.iter().map(|(state, _)| state.requests).sum();
    let noted: u64 = locals.iter().flat_map(|l| l.rows().iter()).map(|(_, row)| row.head.requests).sum();
    assert_eq!(requests, noted);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_encoded_is_decoded() {
    for keep in [0, 1, 10, 32, 99] {
        let mut board = Board::default();
        assert_eq!(Board::decode(&board.encode()), board);
        seen(keep).iter().for_each(|local| board.merge(at(58_000), local));
        assert!(board.rows.len() > 20 && board.vms.len() == 5);
        assert_eq!(Board::decode(&board.encode()), board, "{keep} samples");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_not_a_board_are_an_empty_one() {
    let mut board = Board::default();
    seen(3).iter().for_each(|local| board.merge(at(58_000), local));
    let bytes = board.encode();
    for end in 0..bytes.len() {
        assert_eq!(Board::decode(&bytes[..end]), Board::default(), "cut at {end}");
    }
    let with = |change: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        Board::decode(&bytes)
    };
    let empty = Board::default();
    assert_eq!(with(&mut |bytes| bytes.push(0)), empty);
    assert_eq!(with(&mut |bytes| bytes[7] = b'0'), empty, "another version");
    for word in [1, 2, 3] {
        for value in [33, 5000, u64::MAX / 8, u64::MAX] {
            assert_eq!(with(&mut |bytes| bytes[8 * word..][..8].copy_from_slice(&value.to_le_bytes())), empty);
        }
    }
    assert_eq!(with(&mut |bytes| bytes[32..48].rotate_left(8)), empty, "numbers that are not sorted");
    // Any other change is read or not, and can be worked with.
    let (mut random, others) = (Xorshift(7), seen(2));
    for _ in 0..2000 {
        let mut changed = with(&mut |bytes| {
            (0..3).for_each(|_| {
                let at = 8 + random.below(bytes.len() as u64 - 8);
                bytes[at] = random.next() as u8;
            });
        });
        others.iter().for_each(|local| changed.merge(at(59_000), local));
        let view = Local::new(3, 2);
        (0..30).for_each(|number| {
            let state = View::new(&changed, &view).state(at(59_000), number, HOUR);
            assert!(state.ttft_ms.is_none_or(f64::is_finite));
        });
        assert_eq!(Board::decode(&changed.encode()), changed);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn another_config_may_keep_more_samples_or_less() {
    let mut world = World::new(1, 3);
    (1..=3).for_each(|i| world.local(0).ended(at(i * 1000), 7, 0, &stream(i * 10)));
    world.local(0).begun(at(3000), 7, 0);
    world.merge(at(3000), 0);
    let ttft = |world: &World| world.view(0).state(at(4000), 7, HOUR).ttft_ms;
    for (keep, expected) in [(3, Some(20.0)), (4, Some(20.0)), (2, Some(25.0)), (0, None), (3, None)] {
        world.local(0).keep(keep);
        world.merge(at(3500), 0);
        assert_eq!(ttft(&world), expected, "{keep}");
        assert_eq!(world.view(0).state(at(4000), 7, HOUR).in_flight, 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_full_board_makes_room_where_nobody_asks() {
    let mut world = World::new(1, 0);
    let full = MAX_DEPLOYMENTS as u64;
    (0..full).for_each(|number| world.local(0).begun(at(0), number, 0));
    (1..full).for_each(|number| world.local(0).ended(at(0), number, 0, &answer(1, 1)));
    world.merge(at(0), 0);
    world.local(0).begun(at(3_000_000), full, 0);
    world.merge(at(3_000_000), 0);
    assert_eq!(world.view(0).state(at(3_000_000), full, HOUR).requests, 0, "no room yet");
    world.local(0).ended(at(3_000_000), full, 0, &answer(1, 1));
    world.local(0).begun(at(3_660_000), full, 0);
    world.merge(at(3_660_000), 0);
    assert_eq!(world.view(0).state(at(3_660_000), full, HOUR).requests, 1);
    assert_eq!(world.view(0).state(at(3_660_000), 0, HOUR).in_flight, 1, "what is under way stays");
    assert_eq!(world.vms[0].1.rows.len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_vms_are_bounded() {
    let mut board = Board::default();
    for vm in 0..=MAX_VMS as u64 {
        let mut local = Local::new(vm, 0);
        local.begun(at(vm), 7, 0);
        board.merge(at(vm), &local);
    }
    assert_eq!(board.vms.len(), MAX_VMS);
    assert!(board.in_flight_of(0).is_empty() && !board.in_flight_of(1).is_empty());
    assert_eq!(Board::decode(&board.encode()), board);
}
