use std::cell::{Cell, RefCell};

use wasm_bindgen_test::wasm_bindgen_test;

use super::end_users::MAX_END_USERS;
use super::*;
use crate::budget::window::Reset;
use crate::routing::Meter;
use crate::store::{Memory, Swap};

/// A Monday noon in 2026.
const NOON: Millis = Millis(20_780 * 86_400_000 + 43_200_000);
const ONE: PicoUsd = PicoUsd(100);

fn account(scope: Scope, name: &str, max: Option<u64>, duration: &str) -> Rc<Account> {
    let window = Window::parse(duration, &Reset::default());
    let budgets = max.map(|max| Budget { max: Some(PicoUsd(max)), window, ..Budget::default() }).into_iter().collect();
    Rc::new(Account { scope, name: name.to_owned(), budgets, ..Account::default() })
}

/// Requests a minute, tokens a minute, requests at a time.
fn limited(scope: Scope, name: &str, [rpm, tpm, parallel]: [u64; 3]) -> Rc<Account> {
    let limits = Limits { rpm: Some(rpm), tpm: Some(tpm), parallel: Some(parallel), ..Limits::default() };
    Rc::new(Account { scope, name: name.to_owned(), limits, ..Account::default() })
}

const DEMAND: Demand<'_> = Demand { now: NOON, cost: ONE, tokens: 10, is_alive: &|_| true, fails_closed: false };

/// Charges without a reservation.
fn charge(store: &impl Store, accounts: &[Rc<Account>], cost: u64) {
    Holds::default().settle(store, &mut Till::new(1), accounts, NOON, PicoUsd(cost), 0);
}

fn store(accounts: &[Rc<Account>]) -> Memory {
    let store = Memory::default();
    accounts.iter().for_each(|account| store.prepare(&account.record()));
    store
}

/// What is spent and what is set aside.
fn books(store: &impl Store, account: &Account) -> (u64, u64) {
    (account.spent(store, NOON).unwrap().0, account.ledger(store).unwrap().reserved(NOON).0)
}

fn take(store: &impl Store, accounts: &[Rc<Account>]) -> Result<Holds, Denied> {
    reserve(store, &mut Till::new(1), accounts, &DEMAND)
}

fn denied(result: &Result<Holds, Denied>) -> String {
    let Err(Denied { account, lack, .. }) = result else { return String::new() };
    match lack {
        Lack::Budget(refusal) => format!("{account} has {} of {}", refusal.spent.0, refusal.max.0),
        Lack::Limit(skip) => format!("{account}: {}", skip.name()),
        Lack::Fleet { .. } | Lack::Books => format!("{account} is unreadable"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn all_have_room_or_nothing_is_set_aside() {
    let key = account(Scope::Key, "k", Some(1000), "1d");
    let team = account(Scope::Team, "t", Some(1000), "1mo");
    let user = account(Scope::User, "u", None, "");
    let proxy = account(Scope::Proxy, "", Some(1000), "1h");
    let all = [key.clone(), team.clone(), user.clone(), proxy.clone()];
    let rows: &[(&[&Rc<Account>], &str)] = &[
        (&[], ""),
        (&[&key], "key 'k' has 1000 of 1000"),
        (&[&proxy], "the whole proxy has 1000 of 1000"),
        (&[&user], ""),
        // The one that lasts longest is named.
        (&[&key, &proxy], "key 'k' has 1000 of 1000"),
        (&[&key, &team, &proxy], "team 't' has 1000 of 1000"),
    ];
    for (spent, expected) in rows {
        let store = store(&all);
        charge(&store, &spent.iter().copied().cloned().collect::<Vec<_>>(), 1000);
        let taken = take(&store, &all);
        let held = if taken.is_ok() { 100 } else { 0 };
        assert_eq!(denied(&taken), *expected);
        for account in &all {
            let of = |is: bool, amount| if is { amount } else { 0 };
            let is_spent = spent.iter().any(|spent| Rc::ptr_eq(spent, account));
            let expected = (of(is_spent, 1000), of(!account.budgets.is_empty(), held));
            assert_eq!(books(&store, account), expected, "{account}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_end_is_charged_to_each_account_once() {
    let all = [account(Scope::Key, "k", Some(1000), "1d"), account(Scope::Team, "t", None, "")];
    let store = store(&all);
    let holds = take(&store, &all).unwrap();
    assert_eq!((books(&store, &all[0]), books(&store, &all[1])), ((0, 100), (0, 0)));
    holds.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(7), 0);
    assert_eq!((books(&store, &all[0]), books(&store, &all[1])), ((7, 0), (7, 0)));
    let holds = take(&store, &all).unwrap();
    holds.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(0), 0);
    assert_eq!((books(&store, &all[0]), books(&store, &all[1])), ((7, 0), (7, 0)));
}

/// Three requests of two keys of one team, whose beginnings and ends come in every order there is.
#[wasm_bindgen_test(unsupported = test)]
fn in_every_order_nothing_is_lost_and_no_cap_is_passed() {
    let team = account(Scope::Team, "t", Some(200), "1d");
    let [one, two] = ["one", "two"].map(|name| account(Scope::Key, name, Some(150), "1d"));
    let requests = [[one.clone(), team.clone()], [one.clone(), team.clone()], [two.clone(), team.clone()]];
    let all = [one, two, team];
    let mut orders = 0;
    for order in 0..3_usize.pow(6) {
        let steps: Vec<usize> = (0..6).map(|step| order / 3_usize.pow(step) % 3).collect();
        if (0..3).any(|request| steps.iter().filter(|step| **step == request).count() != 2) {
            continue;
        }
        orders += 1;
        let store = store(&all);
        let mut running: [Option<Holds>; 3] = Default::default();
        let (mut begun, mut spent) = ([false; 3], [0, 0]);
        for step in steps {
            let accounts = &requests[step];
            if std::mem::replace(&mut begun[step], true) {
                if let Some(holds) = running[step].take() {
                    holds.settle(&store, &mut Till::new(1), accounts, NOON, ONE, 0);
                    spent[usize::from(step == 2)] += ONE.0;
                }
            } else {
                let before: Vec<_> = all.iter().map(|account| books(&store, account)).collect();
                let has_room = accounts.iter().all(|account| {
                    let (spent, held) = books(&store, account);
                    PicoUsd(spent + held) < account.budgets[0].max.unwrap()
                });
                running[step] = take(&store, accounts).ok();
                assert_eq!(running[step].is_some(), has_room, "{order}");
                if !has_room {
                    assert_eq!(before, all.iter().map(|account| books(&store, account)).collect::<Vec<_>>());
                }
            }
        }
        let settled: Vec<_> = all.iter().map(|account| books(&store, account)).collect();
        assert_eq!(settled, [(spent[0], 0), (spent[1], 0), (spent[0] + spent[1], 0)], "{order}");
        assert!(spent[0] + spent[1] <= 200, "every estimate was exact: {order}");
    }
    assert_eq!(orders, 90);
}

type Rival<'a> = &'a dyn Fn(&Memory);

/// A store in which another worker acts just before the n-th swap.
struct Contested<'a> {
    memory: Memory,
    countdown: Cell<usize>,
    rival: RefCell<Option<Rival<'a>>>,
}

impl Store for Contested<'_> {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.memory.get(name)
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        let left = self.countdown.get();
        self.countdown.set(left.wrapping_sub(1));
        if left == 0
            && let Some(rival) = self.rival.take()
        {
            rival(&self.memory);
        }
        self.memory.set(name, value, version)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn who_loses_the_last_room_gives_the_rest_back() {
    let team = account(Scope::Team, "t", Some(100), "1d");
    let [own, other] = ["own", "other"].map(|name| account(Scope::Key, name, Some(1000), "1d"));
    let all = [own.clone(), team.clone(), other.clone()];
    for countdown in 0..4 {
        let theirs = [other.clone(), team.clone()];
        let rival = |memory: &Memory| {
            let _ = take(memory, &theirs);
        };
        let contested =
            Contested { memory: store(&all), countdown: Cell::new(countdown), rival: RefCell::new(Some(&rival)) };
        let result = take(&contested, &[own.clone(), team.clone()]);
        let is_first = contested.rival.borrow().is_some();
        assert_eq!(result.is_ok(), countdown >= 2 || is_first, "{countdown}");
        assert_eq!(books(&contested, &team), (0, 100), "{countdown}: one of the two holds it");
        assert_eq!(books(&contested, &own), (0, if result.is_ok() { 100 } else { 0 }), "{countdown}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_read_refuses_where_the_config_says_so() {
    let known = account(Scope::Key, "k", Some(1000), "1d");
    let lost = account(Scope::Team, "t", Some(1000), "1d");
    let all = [known.clone(), lost.clone()];
    let store = store(&all[..1]);
    let strict = Demand { fails_closed: true, ..DEMAND };
    assert_eq!(denied(&reserve(&store, &mut Till::new(1), &all, &strict)), "team 't' is unreadable");
    assert_eq!(books(&store, &known), (0, 0));
    let holds = take(&store, &all).unwrap();
    holds.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(7), 0);
    assert_eq!(books(&store, &known), (7, 0));
    assert_eq!(lost.ledger(&store), None);
}

/// What clients are told is left: requests, then tokens.
fn left(left: &RateLimits) -> String {
    let mut told = Vec::new();
    left.headers(|name, number, _| told.extend(name.contains("remaining").then(|| number.to_string())));
    told.join(" ")
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_of_any_account_refuses_and_takes_nothing_of_the_others() {
    let key = limited(Scope::Key, "k", [5, 1000, 9]);
    let team = limited(Scope::Team, "t", [3, 35, 2]);
    let all = [key.clone(), team];
    let minute = |n: u64| NOON.plus(Millis(n * 60_000));
    let store = store(&all);
    let ask = |now| reserve(&store, &mut Till::new(1), &all, &Demand { now, ..DEMAND });
    let first = ask(NOON).unwrap();
    assert_eq!(left(&first.left), "2 25");
    let second = ask(NOON).unwrap();
    assert_eq!(left(&second.left), "1 15");
    let third = ask(NOON);
    assert_eq!((denied(&third).as_str(), left(&third.unwrap_err().left).as_str()), ("team 't': parallel", "1 15"));
    // It used less than was set aside.
    first.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(0), 4);
    let third = ask(NOON).unwrap();
    assert_eq!(left(&third.left), "0 11");
    second.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(0), 10);
    let fourth = ask(NOON);
    assert_eq!(denied(&fourth), "team 't': rpm");
    assert_eq!(fourth.unwrap_err().lack.skip().until(), Some(minute(1)));
    let told = key.books(&store).unwrap().meter.counts(NOON).0;
    assert_eq!((told.requests, told.tokens), (3, 24), "who is refused consumes nothing");
    third.settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(0), 10);
    assert_eq!(left(&ask(minute(1)).unwrap().left), "2 25");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_lack_that_lasts_longest_is_told() {
    let hour = account(Scope::Proxy, "", Some(100), "1h");
    let minute = limited(Scope::Team, "t", [0, 1000, 10]);
    let place = limited(Scope::User, "u", [10, 1000, 0]);
    let ever = account(Scope::Key, "k", Some(100), "");
    for (accounts, expected) in [
        (vec![&place], "user 'u': parallel"),
        (vec![&place, &minute], "team 't': rpm"),
        (vec![&minute, &hour, &place], "the whole proxy has 100 of 100"),
        (vec![&ever, &minute, &hour, &place], "key 'k' has 100 of 100"),
    ] {
        let accounts: Vec<_> = accounts.into_iter().cloned().collect();
        let store = store(&accounts);
        charge(&store, &accounts, 100);
        assert_eq!(denied(&take(&store, &accounts)), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn books_outlast_their_bytes() {
    let mut books = Books::default();
    for account in [limited(Scope::Key, "k", [9, 900, 9]), account(Scope::Key, "k", Some(1000), "1d")] {
        books.take(&account, &DEMAND, 1).unwrap();
        let read = Books::decode(&books.encode());
        assert_eq!((&read.ledger, &read.meter), (&books.ledger, &books.meter));
    }
    let bytes = books.encode();
    let ledger = books.ledger.encode().len();
    // A meter without places has 52 bytes.
    for cut in 0..ledger + 52 {
        assert_eq!(Books::decode(&bytes[..cut]).meter, Meter::default(), "{cut}");
    }
    assert_eq!(Books::decode(&bytes[..ledger]).ledger, books.ledger, "those of a version without limits");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_in_shadow_mode_is_told_and_served() {
    let own = limited(Scope::Key, "k", [1, 1000, 10]);
    let shadowed = Account {
        limits: Limits { tpm: Some(1000), ..Limits::default() },
        shadow_limits: own.limits,
        ..(*own).clone()
    };
    let team = account(Scope::Team, "t", Some(150), "1d");
    let budgets = team.budgets.iter().map(|budget| Budget { is_shadow: true, ..budget.clone() }).collect();
    let team = Rc::new(Account { budgets, ..(*team).clone() });
    let all = [Rc::new(shadowed), team];
    let store = store(&all);
    let told = |holds: &Holds| {
        holds.shadows().map(|(account, lack)| format!("{account} {}", lack.skip().name())).collect::<Vec<_>>()
    };
    let (first, second, third) = (take(&store, &all), take(&store, &all), take(&store, &all));
    assert_eq!(told(&first.unwrap()), Vec::<String>::new());
    assert_eq!(told(second.as_ref().unwrap()), ["key 'k' rpm"]);
    assert_eq!(told(&third.unwrap()), ["key 'k' rpm", "team 't' budget"]);
    // They are counted as if they were enforced.
    assert_eq!(books(&store, &all[1]), (0, 300));
    let alerts = second.unwrap().settle(&store, &mut Till::new(1), &all, NOON, PicoUsd(120), 10);
    assert_eq!(alerts, [Alert { account: all[1].clone(), budget: 0, alarm: Alarm::Near }]);
    assert_eq!(all[0].reset(&store, NOON, PicoUsd(121)), Some(Err(PicoUsd(120))));
    assert_eq!(all[1].reset(&store, NOON, PicoUsd(3)), Some(Ok(PicoUsd(120))));
    assert_eq!(books(&store, &all[1]), (3, 200));
}

#[wasm_bindgen_test(unsupported = test)]
fn records_of_different_accounts_have_different_names() {
    let of = |scope, name: &str, model: Option<&str>| {
        let model = model.map(str::to_owned);
        Account { scope, name: name.to_owned(), model, ..Account::default() }.record()
    };
    let names = [
        of(Scope::Key, "a", None),
        of(Scope::Team, "a", None),
        of(Scope::Key, "a", Some("b")),
        of(Scope::Key, "a.b", None),
        of(Scope::Key, "a", Some("b.c")),
        of(Scope::Key, "a.b", Some("c")),
        of(Scope::EndUser, "a", None),
        of(Scope::OtherEndUser, "a", None),
        of(Scope::OtherEndUser, "", None),
        of(Scope::Proxy, "", None),
    ];
    let all: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(all.len(), names.len(), "{names:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn so_many_end_users_have_books_of_their_own_and_the_others_share_some() {
    let shared = account(Scope::OtherEndUser, "", Some(100), "1d");
    let one = |n: u64| account(Scope::OtherEndUser, &format!("{n:x}"), Some(100), "1d");
    let store = store(std::slice::from_ref(&shared));
    // Without a record of their number nobody is given books.
    assert_eq!(enrolled(&store, &one(1), &shared), shared);
    store.prepare(END_USERS);
    for _ in 0..2 {
        assert_eq!(enrolled(&store, &one(1), &shared), one(1));
    }
    assert_eq!(store.get(END_USERS).unwrap().0, 1_u64.to_le_bytes());
    store.set(END_USERS, &(MAX_END_USERS - 1).to_le_bytes(), 0);
    assert_eq!(enrolled(&store, &one(2), &shared), one(2));
    assert_eq!(enrolled(&store, &one(3), &shared), shared);
    assert_eq!(enrolled(&store, &one(2), &shared), one(2), "who has books keeps them");
}
