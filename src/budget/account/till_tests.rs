use std::cell::Cell;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::budget::account::drawer::BUSY;
use crate::budget::account::{Denied, Holds, Scope, reserve};
use crate::config::{Budget, Limits};
use crate::store::{Memory, Swap};

/// A Monday noon in 2026.
const NOON: Millis = Millis(20_780 * 86_400_000 + 43_200_000);
const COST: PicoUsd = PicoUsd(100);

/// A store that counts its calls.
#[derive(Default)]
struct Counted {
    memory: Memory,
    calls: Cell<usize>,
}

impl Store for Counted {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.calls.set(self.calls.get() + 1);
        self.memory.get(name)
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        self.calls.set(self.calls.get() + 1);
        self.memory.set(name, value, version)
    }
}

fn account(scope: Scope, max: u64, limits: Limits) -> Rc<Account> {
    let budgets = if max > 0 { vec![Budget { max: Some(PicoUsd(max)), ..Budget::default() }] } else { Vec::new() };
    Rc::new(Account { scope, name: "a".to_owned(), budgets, limits, ..Account::default() })
}

fn demand(at: Millis) -> Demand<'static> {
    Demand { now: at, cost: COST, tokens: 10, is_alive: &|_| true, fails_closed: false }
}

fn begin(store: &impl Store, till: &mut Till, all: &[Rc<Account>], at: Millis) -> Result<Holds, Denied> {
    reserve(store, till, all, &demand(at))
}

fn store(all: &[Rc<Account>]) -> Counted {
    let store = Counted::default();
    all.iter().for_each(|account| store.memory.prepare(&account.record()));
    store
}

/// Spent, set aside, requests and tokens of the minute, requests under way.
fn books(store: &impl Store, account: &Account) -> [u64; 5] {
    let ledger = account.ledger(store).unwrap();
    let standing = account.standing(store, NOON).unwrap();
    let (spent, reserved) = (standing.spent[0].0, ledger.reserved(NOON).0);
    [spent, reserved, standing.minute.requests, standing.minute.tokens, standing.under_way]
}

fn limits() -> Limits {
    Limits { rpm: Some(1_000_000), tpm: Some(1_000_000_000), ..Limits::default() }
}

/// Two accounts with caps, and one that only counts what is spent.
fn three() -> [Rc<Account>; 3] {
    [
        account(Scope::Key, 1_000_000_000, limits()),
        account(Scope::Team, 1_000_000_000, limits()),
        account(Scope::User, 0, Limits::default()),
    ]
}

/// Runs so many requests one after the other, each of which costs half of what it set aside and uses 4 tokens.
fn run(store: &impl Store, till: &mut Till, all: &[Rc<Account>], requests: usize) {
    for _ in 0..requests {
        let holds = begin(store, till, all, NOON).unwrap();
        assert!(holds.settle(store, till, all, NOON, PicoUsd(50), 4).is_empty());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn few_requests_are_in_the_books_at_once() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    for n in 1..u64::from(BUSY) {
        run(&store, &mut till, &all, 1);
        assert_eq!(books(&store, &all[0]), [50 * n, 0, n, 4 * n, 0]);
        assert_eq!(books(&store, &all[2]), [50 * n, 0, 0, 0, 0]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn many_requests_cost_few_calls_and_are_in_the_books_at_the_tick() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 200);
    till.tell(&store, NOON);
    let busy = store.calls.replace(0);
    assert!(busy < 150, "{busy} calls for 200 requests, at first");
    run(&store, &mut till, &all, 200);
    till.tell(&store, NOON);
    assert_eq!(store.calls.get(), 2 * 2 + 3 * 2, "room is taken once, and all is told once");
    for account in &all {
        let [requests, tokens] = if account.is_capped() { [400, 1600] } else { [0, 0] };
        assert_eq!(books(&store, account), [20_000, 0, requests, tokens, 0], "{account}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_may_end_after_the_tick_and_long_after_the_rush() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    let late: Vec<Holds> = (0..3).map(|_| begin(&store, &mut till, &all, NOON).unwrap()).collect();
    for holds in &late {
        till.tell(&store, NOON);
        assert!(books(&store, &all[0])[1] > 0 && books(&store, &all[0])[4] > 0);
        holds.settle(&store, &mut till, &all, NOON, PicoUsd(50), 4);
    }
    till.tell(&store, NOON);
    assert_eq!(books(&store, &all[0]), [53 * 50, 0, 53, 53 * 4, 0]);
    assert_eq!(books(&store, &all[2]), [53 * 50, 0, 0, 0, 0]);
    till.tell(&store, NOON);
    assert!(till.drawers.is_empty(), "what is not asked for any more is forgotten");
}

#[wasm_bindgen_test(unsupported = test)]
fn where_nobody_ticks_any_more_the_books_are_told_at_once() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    let late = begin(&store, &mut till, &all, NOON).unwrap();
    till.tell(&store, NOON);
    till.set_open(false);
    late.settle(&store, &mut till, &all, NOON, PicoUsd(50), 4);
    assert_eq!(books(&store, &all[0]), [51 * 50, 0, 51, 51 * 4, 0]);
    run(&store, &mut till, &all, 50);
    assert_eq!(books(&store, &all[2]), [101 * 50, 0, 0, 0, 0]);
    assert_eq!(books(&store, &all[0]), [101 * 50, 0, 101, 101 * 4, 0]);
    till.set_open(true);
    run(&store, &mut till, &all, 9);
    assert!(books(&store, &all[0])[1] > 0, "room is in hand again");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_leads_to_nothing_leaves_nothing() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    till.tell(&store, NOON);
    let before = all.each_ref().map(|account| books(&store, account));
    let holds: Vec<Holds> = (0..20).map(|_| begin(&store, &mut till, &all, NOON).unwrap()).collect();
    holds.iter().for_each(|holds| holds.cancel(&store, NOON));
    till.tell(&store, NOON);
    assert_eq!(all.each_ref().map(|account| books(&store, account)), before);
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_are_told_what_is_left_whoever_has_it_in_hand() {
    let all = [account(Scope::Key, 0, limits())];
    let (store, mut till) = (store(&all), Till::new(1));
    for n in 1..=40_u64 {
        let holds = begin(&store, &mut till, &all, NOON).unwrap();
        let mut told = Vec::new();
        holds.left.headers(|_, number, _| told.push(number));
        assert_eq!((told[1], told[4]), (1_000_000 - n, 1_000_000_000 - 10 * n));
        if n % 16 == 0 {
            till.tell(&store, NOON);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_scarce_is_never_in_hand() {
    let with = |change: fn(&mut Account)| {
        let mut account = Account { scope: Scope::Key, name: "a".to_owned(), ..Account::default() };
        account.budgets = vec![Budget { max: Some(PicoUsd(1_000_000_000)), ..Budget::default() }];
        change(&mut account);
        [Rc::new(account)]
    };
    let rows: [(&str, [Rc<Account>; 1], bool); 7] = [
        ("nothing", with(|_| {}), false),
        ("money", with(|account| account.budgets[0].max = Some(PicoUsd(20_000))), true),
        ("an alarm", with(|account| account.budgets[0].soft = Some(PicoUsd(20_000))), true),
        ("requests", with(|account| account.limits.rpm = Some(200)), true),
        ("tokens", with(|account| account.limits.tpd = Some(2000)), true),
        ("places", with(|account| account.limits.parallel = Some(1_000_000)), true),
        ("a shadow", with(|account| account.shadow_limits.rpm = Some(200)), true),
    ];
    for (what, all, is_exact) in rows {
        let (store, mut till) = (store(&all), Till::new(1));
        for n in 1..=40_u64 {
            let holds = begin(&store, &mut till, &all, NOON).unwrap();
            let is_in_books = books(&store, &all[0])[1] == 100;
            assert!(!is_exact || is_in_books, "{what}: {n}");
            holds.settle(&store, &mut till, &all, NOON, PicoUsd(50), 4);
            assert!(!is_exact || books(&store, &all[0])[0] == 50 * n, "{what}: {n}");
        }
        assert_eq!(books(&store, &all[0])[0] == 50 * 40, is_exact, "{what}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn room_of_one_minute_is_not_handed_out_in_the_next() {
    let all = [account(Scope::Key, 0, limits())];
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    let next = NOON.plus(Millis::from_secs(60));
    begin(&store, &mut till, &all, next).unwrap();
    let minute = all[0].standing(&store, next).unwrap().minute;
    assert!(minute.requests >= 1 && minute.end > next, "it was taken in its own minute");
    let ends = NOON.plus(Millis::from_secs(61));
    till.tell(&store, ends);
    assert_eq!(all[0].standing(&store, ends).unwrap().minute.requests, 1, "and nothing of the one before");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_alarm_that_goes_off_at_the_tick_is_in_the_next_record() {
    let all = three();
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    // It costs a thousand times what it set aside.
    let holds = begin(&store, &mut till, &all, NOON).unwrap();
    assert!(holds.settle(&store, &mut till, &all, NOON, PicoUsd(900_000_000), 4).is_empty());
    till.tell(&store, NOON);
    let holds = begin(&store, &mut till, &all, NOON).unwrap();
    let alerts = holds.settle(&store, &mut till, &all, NOON, PicoUsd(1), 1);
    let told: Vec<_> = alerts.iter().map(|alert| (alert.account.scope, alert.alarm)).collect();
    assert_eq!(told, [(Scope::Key, Alarm::Near), (Scope::Team, Alarm::Near)]);
    till.tell(&store, NOON);
    assert_eq!(books(&store, &all[0])[0], 50 * 50 + 900_000_001);
}

#[wasm_bindgen_test(unsupported = test)]
fn two_names_that_share_a_number_share_no_drawer() {
    let all = [account(Scope::Key, 1_000_000_000, Limits::default())];
    let (store, mut till) = (store(&all), Till::new(1));
    run(&store, &mut till, &all, 50);
    let other = Rc::new(Account { name: "b".to_owned(), ..(*all[0]).clone() });
    till.index = BTreeMap::from([(number(&other), 0)]);
    let slot = till.ask(&other);
    assert!(till.knows(&all[0]) && !till.knows(&other) && !till.has_room(slot, &other, &demand(NOON)));
    assert!(till.take(slot, &other, &demand(NOON), &mut RateLimits::default()).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_drawer_is_found_after_others_went_and_after_a_change_of_the_config() {
    let many: Vec<_> = (0..2 * GUESSES)
        .map(|n| Rc::new(Account { name: n.to_string(), ..(*account(Scope::Key, 1_000_000_000, limits())).clone() }))
        .collect();
    let (store, mut till) = (store(&many), Till::new(1));
    let last = &many[many.len() - 1..];
    run(&store, &mut till, &many, 1);
    for _ in 0..3 {
        run(&store, &mut till, last, 50);
        till.tell(&store, NOON);
    }
    assert_eq!(till.drawers.len(), 1, "the others are forgotten");
    let anew: Vec<_> = last.iter().map(|account| Rc::new((**account).clone())).collect();
    run(&store, &mut till, &anew, 50);
    assert!(till.knows(&anew[0]) && Rc::ptr_eq(&till.drawers[0].account, &anew[0]));
    till.tell(&store, NOON);
    assert_eq!(books(&store, &anew[0])[..3], [201 * 50, 0, 201]);
}

/// Three workers in any order: requests come and end, ticks pass, a VM is lost.
#[wasm_bindgen_test(unsupported = test)]
fn whatever_the_order_no_cap_is_passed_and_nothing_is_lost() {
    for seed in 1..=60_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        // From plenty to nothing within a run, where the cap is small.
        let cap = [20_000, 300_000, 1_000_000_000][(seed % 3) as usize];
        let all = [account(Scope::Key, cap, limits()), account(Scope::Team, 0, limits())];
        let store = store(&all);
        let mut tills: Vec<Till> = (1..=3).map(Till::new).collect();
        let mut under_way: Vec<(usize, Holds)> = Vec::new();
        let (mut admitted, mut charged, mut is_full) = (0_u64, 0_u64, false);
        for step in 0..6000 {
            let at = draw(3) as usize;
            match draw(if step < 4000 { 100 } else { 50 }) {
                0 => tills[at].tell(&store, NOON),
                1..50 if !under_way.is_empty() => {
                    let (at, holds) = under_way.swap_remove(draw(under_way.len() as u64) as usize);
                    let cost = draw(101);
                    holds.settle(&store, &mut tills[at], &all, NOON, PicoUsd(cost), 4);
                    charged += cost;
                }
                50.. => match begin(&store, &mut tills[at], &all, NOON) {
                    Ok(holds) => {
                        admitted += 1;
                        under_way.push((at, holds));
                    }
                    Err(_) => is_full = true,
                },
                _ => {}
            }
            let [spent, reserved, ..] = books(&store, &all[0]);
            assert!(spent + reserved < cap + 100, "{seed}: {spent} and {reserved} of {cap}");
            assert!(charged < cap + 100 && spent <= charged, "{seed}: {charged} of {cap}");
        }
        for (at, holds) in under_way {
            let cost = draw(101);
            holds.settle(&store, &mut tills[at], &all, NOON, PicoUsd(cost), 4);
            charged += cost;
        }
        tills.iter_mut().for_each(|till| till.tell(&store, NOON));
        for account in &all {
            assert_eq!(books(&store, account), [charged, 0, admitted, admitted * 4, 0], "{seed}: {account}");
        }
        assert_eq!(is_full, cap == 20_000, "{seed}: {charged} of {cap}");
    }
}
