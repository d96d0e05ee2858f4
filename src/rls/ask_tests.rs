use std::rc::Rc;

use wasm_bindgen_test::wasm_bindgen_test;

use super::{Ask, Verdict};
use crate::budget::window::Reset;
use crate::budget::{Account, Scope, Window};
use crate::config::{Budget, Limits};
use crate::rls::{Counter, Full};
use crate::units::{Millis, PicoUsd};

/// 2026-11-23T04:05:06Z
const NOW: Millis = Millis(1_795_406_706_000);

fn account(scope: Scope, name: &str, budget: Option<(f64, Option<&str>)>, limits: Limits) -> Rc<Account> {
    let budget = budget.map(|(usd, window)| Budget {
        max: PicoUsd::from_usd(usd),
        window: window.map(|text| Window::parse(text, &Reset::default()).unwrap()),
        ..Budget::default()
    });
    Rc::new(Account {
        scope,
        name: name.to_owned(),
        budgets: budget.into_iter().collect(),
        limits,
        ..Account::default()
    })
}

fn limits(rpm: Option<u64>, tpm: Option<u64>, parallel: Option<u64>) -> Limits {
    Limits { rpm, tpm, parallel, ..Limits::default() }
}

fn accounts() -> [Rc<Account>; 4] {
    [
        account(Scope::Key, "batch jobs/*", Some((50.0, Some("1d"))), limits(Some(600), Some(1000), Some(3))),
        account(Scope::Team, "batch", Some((0.000_001_9, Some("1mo"))), limits(None, None, None)),
        account(Scope::User, "cron", None, limits(None, None, Some(2))),
        account(Scope::Proxy, "", Some((5000.0, None)), limits(None, None, None)),
    ]
}

fn ask() -> Ask {
    Ask::new(accounts().iter(), NOW).unwrap()
}

#[wasm_bindgen_test(unsupported = test)]
fn an_account_has_a_counter_for_each_budget_and_limit_in_its_window() {
    let ask = ask();
    let found: Vec<(&str, String, u64)> = ask
        .counters()
        .iter()
        .enumerate()
        .map(|(i, counter)| (&*counter.name, counter.value(), ask.cap(i).unwrap().1.max))
        .collect();
    let expected = [
        ("key/batch%20jobs%2F%2A/budget/1d", "2026-11-24T00:00:00Z", 50_000_000),
        ("key/batch%20jobs%2F%2A/requests/1m", "2026-11-23T04:06:00Z", 600),
        ("key/batch%20jobs%2F%2A/tokens/1m", "2026-11-23T04:06:00Z", 1000),
        // A cap is rounded down.
        ("team/batch/budget/1mo", "2026-12-01T00:00:00Z", 1),
        ("proxy/budget/never", "never", 5_000_000_000),
    ];
    assert_eq!(found, expected.map(|(name, window, max)| (name, window.to_owned(), max)));
    assert!(Ask::new(accounts().iter().skip(2).take(1), NOW).is_none(), "places are counted by each Envoy");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_answer_decides_and_is_remembered() {
    let ask = ask();
    let mut full = Full::default();
    let rows: [(Option<&[u8]>, Verdict); 4] = [
        (Some(b"\x08\x01"), Verdict::Room(Vec::new())),
        (None, Verdict::Unknown),
        (Some(b"\x08"), Verdict::Unknown),
        (Some(b"\x08\x02"), Verdict::Full(vec![0, 1, 2, 3, 4])),
    ];
    for (answer, verdict) in rows {
        assert_eq!(ask.known(&full, NOW), None);
        assert_eq!(ask.read(answer, &mut full, NOW), verdict);
    }
    assert_eq!(ask.known(&full, NOW), Some(vec![0, 1, 2, 3, 4]));
    // Where the service names it, it is that one alone, and for whoever asks.
    let mut full = Full::default();
    let over = b"\x08\x02\x12\x00\x12\x00\x12\x00\x12\x00\x12\x02\x08\x02\x12\x00";
    assert_eq!(ask.read(Some(over), &mut full, NOW), Verdict::Full(vec![3]));
    assert_eq!(ask.known(&full, NOW), Some(vec![3]));
    let team = Ask::new(accounts().iter().skip(1).take(1), NOW).unwrap();
    assert_eq!(team.known(&full, NOW), Some(vec![0]));
    let key = Ask::new(accounts().iter().take(1), NOW).unwrap();
    assert_eq!(key.known(&full, NOW), None);
    let whose = |positions: &[usize]| ask.denied(positions).map(|denied| denied.account.scope);
    assert_eq!(whose(&[0, 1, 3]), Some(Scope::Team));
    assert_eq!(whose(&[1, 4, 3]), Some(Scope::Proxy));
    assert_eq!(whose(&[]), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_request_owes_is_the_truth_less_what_its_question_took() {
    let ask = ask();
    let owed = |is_answered, at: Millis| -> Vec<(String, i64)> {
        let owed = ask.owed(is_answered, at, 2_500_000, 40);
        owed.into_iter().map(|(counter, amount)| (counter.name.to_string(), amount)).collect()
    };
    let row = |name: &str, amount| (name.to_owned(), amount);
    let key = |rest: &str| format!("key/batch%20jobs%2F%2A/{rest}");
    let answered = [
        row(&key("budget/1d"), 1_500_000),
        row(&key("tokens/1m"), 39_000_000),
        row("team/batch/budget/1mo", 1_500_000),
        row("proxy/budget/never", 1_500_000),
    ];
    assert_eq!(owed(true, NOW), answered);
    // Nobody was asked: the request itself is owed too.
    let unasked = [
        row(&key("budget/1d"), 2_500_000),
        row(&key("requests/1m"), 1_000_000),
        row(&key("tokens/1m"), 40_000_000),
        row("team/batch/budget/1mo", 2_500_000),
        row("proxy/budget/never", 2_500_000),
    ];
    assert_eq!(owed(false, NOW), unasked);
    // The minute of the question is over: its hit is in the counter of that minute, the tokens go into the one of this.
    let later = owed(true, NOW.plus(Millis::from_secs(60)));
    assert_eq!(later[1], row(&key("tokens/1m"), 40_000_000));
    let counter = Counter { name: key("tokens/1m").into(), whose: None, end: Some(Millis(1_795_406_760_000)) };
    assert!(ask.counters().contains(&counter));
}

#[wasm_bindgen_test(unsupported = test)]
fn end_users_that_are_not_listed_share_a_name_and_no_counter() {
    let terms = |name: &str| account(Scope::OtherEndUser, name, Some((1.0, Some("1d"))), limits(Some(5), None, None));
    let counters = |name: &str| Ask::new([terms(name)].iter(), NOW).unwrap().counters().to_vec();
    let values: Vec<(String, String)> =
        counters("0a1b").iter().map(|counter| (counter.name.to_string(), counter.value())).collect();
    let expected = [
        ("other_end_user/budget/1d", "2026-11-24T00:00:00Z/0a1b"),
        ("other_end_user/requests/1m", "2026-11-23T04:06:00Z/0a1b"),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(counters("0a1b").iter().all(|counter| !counters("0a1c").contains(counter)));
    assert_eq!(counters("")[0].value(), "2026-11-24T00:00:00Z/others");
    // Of so many nothing less than a hit is kept.
    let owed = |pico| Ask::new([terms("0a1b")].iter(), NOW).unwrap().owed(true, NOW, pico, 0);
    let amounts = |pico| owed(pico).into_iter().map(|(_, amount)| amount).collect::<Vec<_>>();
    assert_eq!([amounts(0), amounts(1), amounts(1_000_001)], [vec![], vec![], vec![1_000_000]]);
}

#[wasm_bindgen_test(unsupported = test)]
fn shadow_mode_is_asked_apart_and_refuses_nothing() {
    let budget = |usd: f64, is_shadow| Budget {
        max: PicoUsd::from_usd(usd),
        window: Some(Window::parse("1d", &Reset::default()).unwrap()),
        is_shadow,
        ..Budget::default()
    };
    let account = |budgets: Vec<Budget>| {
        let shadow_limits = limits(Some(7), None, Some(1));
        Rc::new(Account { name: "k".to_owned(), budgets, shadow_limits, ..Account::default() })
    };
    let both = [account(vec![budget(9.0, false), budget(8.0, true), budget(5.0, false), budget(6.0, true)])];
    let asked = Ask::new(both.iter(), NOW).unwrap();
    assert_eq!((asked.counters().len(), asked.cap(0).unwrap().1.max), (1, 5_000_000));
    let beside: Vec<(String, u64)> = Ask::in_shadow(both.iter(), NOW)
        .iter()
        .map(|ask| (ask.counters()[0].name.to_string(), ask.cap(0).unwrap().1.max))
        .collect();
    let expected = [("key/k/budget/1d/shadow", 6_000_000), ("key/k/requests/1m", 7)];
    assert_eq!(beside, expected.map(|(name, max)| (name.to_owned(), max)));
    // Alone it has the name that it keeps once it is enforced.
    let alone = [account(vec![budget(8.0, true)])];
    assert!(Ask::new(alone.iter(), NOW).is_none());
    let ask = &Ask::in_shadow(alone.iter(), NOW)[0];
    assert_eq!((&*ask.counters()[0].name, ask.denied(&[0])), ("key/k/budget/1d", None));
}
