//! Ways through small configs: what fails how, and who is asked next.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::{Config, Env};
use crate::routing::fleet::Calm;
use crate::routing::{Outcome, SharedFleet, State, Usage, Worker};
use crate::store::Memory;

/// The first millisecond of a minute in 2026.
const START: Millis = Millis(29_900_000 * 60_000);
/// How long an attempt takes to fail.
const ATTEMPT: Millis = Millis(100);

fn at(ms: u64) -> Millis {
    START.plus(Millis(ms))
}

/// `m: a b/2; f: c` are two groups; `b` has the `order` 2.
fn config(groups: &str, settings: Value) -> Config {
    let mut list = Vec::new();
    for group in groups.split("; ") {
        let (name, deployments) = group.split_once(": ").unwrap();
        for deployment in deployments.split(' ') {
            let (id, order) = deployment.split_once('/').unwrap_or((deployment, "1"));
            let params = json!({"model": "openai/unknown", "api_key": format!("sk-{id}"),
                "order": order.parse::<u32>().unwrap()});
            list.push(json!({"model_name": name, "model_info": {"id": id}, "litellm_params": params}));
        }
    }
    let document = json!({"model_list": list, "router_settings": settings, "tollgate": {"allow_anonymous": true}});
    Config::compile(&document, Env::Strict(&|_| None)).unwrap_or_else(|faults| {
        panic!("{:?}", faults.iter().map(ToString::to_string).collect::<Vec<_>>());
    })
}

/// The way of a request for the group `m`.
fn way(config: &Config) -> Way {
    let level = |name: &String| {
        let group = &config.groups[name];
        let (retries, num_retries) = (group.retries, group.num_retries);
        Level { group: name.clone(), pool: group.pool.clone(), retries, num_retries }
    };
    let group = &config.groups["m"];
    Way {
        levels: std::iter::once(&"m".to_owned()).chain(&group.fallbacks).map(level).collect(),
        context_window: group.context_window_fallbacks.iter().map(level).collect(),
        content_policy: group.content_policy_fallbacks.iter().map(level).collect(),
        forbidden: Vec::new(),
    }
}

/// The first of equals is asked, so that tables can tell who.
fn needs(config: &Config) -> Needs {
    Needs { strategy: Strategy::LeastBusy, retry_after: config.routing.retry_after, ..Needs::default() }
}

/// A request under way.
struct Walk<'a> {
    plan: Plan,
    now: Millis,
    fleet: &'a dyn Fn() -> Box<dyn Fleet>,
    check: &'a dyn Fn(&Deployment) -> Result<(), Skip>,
    steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    fn new(config: &Config, fleet: &'a dyn Fn() -> Box<dyn Fleet>) -> Self {
        Self { plan: Plan::new(way(config), needs(config)), now: START, fleet, check: &|_| Ok(()), steps: Vec::new() }
    }

    /// Whether there is a step.
    fn step(&mut self, choose: impl FnOnce(&mut Plan, &mut Chooser<'_>) -> Option<Step>) -> bool {
        let mut random = |n: u64| n.saturating_sub(1);
        let mut fleet = (self.fleet)();
        let mut chooser = Chooser {
            now: self.now,
            fleet: &mut *fleet,
            check: self.check,
            cost: &|_| PicoUsd(0),
            random: &mut random,
        };
        let step = choose(&mut self.plan, &mut chooser);
        let is_some = step.is_some();
        self.steps.extend(step);
        is_some
    }

    /// Fails the attempt under way; its provider wants to be asked again `retry_after` later.
    fn fail(&mut self, class: Class, retry_after: Option<Millis>) -> bool {
        let step = self.steps.last().unwrap().clone();
        self.now = self.now.plus(step.wait).plus(ATTEMPT);
        let retry_at = retry_after.map(|after| self.now.plus(after));
        let (siblings, has_fallbacks) = (self.plan.siblings(), self.plan.has_fallbacks());
        let is_probe = step.place.is_probe;
        let outcome =
            Outcome { failure: Some(class), retry_at, exhausted_until: None, siblings, has_fallbacks, is_probe };
        let mut fleet = (self.fleet)();
        fleet.tell(&step.deployment, self.now, &outcome);
        fleet.leave(&step.deployment, self.now, &step.place, &Usage::default());
        self.step(|plan, chooser| plan.next(class, retry_at, chooser))
    }

    /// The steps: `a` at once, `a+2` after two seconds, `c>1` in the first fallback.
    fn told(&self) -> String {
        let tell = |step: &Step| {
            let wait = if step.wait == Millis(0) { String::new() } else { format!("+{}", step.wait.secs_ceil()) };
            let fallback = if step.fallbacks == 0 { String::new() } else { format!(">{}", step.fallbacks) };
            format!("{}{fallback}{wait}", step.deployment.id)
        };
        self.steps.iter().map(tell).collect::<Vec<_>>().join(" ")
    }

    fn skips(&self) -> Vec<(&str, Skip)> {
        self.plan.skipped().iter().map(|skipped| (&*skipped.deployment.id, skipped.why)).collect()
    }
}

fn calm() -> Box<dyn Fleet> {
    Box::new(Calm)
}

/// `rate_limit:30` is asked for again in 30 s.
fn failure(word: &str) -> (Class, Option<Millis>) {
    let (name, secs) = word.split_once(':').map_or((word, None), |(name, secs)| (name, Some(secs)));
    let class = *Class::ALL.iter().find(|class| class.name() == name).unwrap();
    (class, secs.map(|secs| Millis::from_secs(secs.parse().unwrap())))
}

/// Fails every attempt, the last failure again and again. All the steps.
fn walk(config: &Config, failures: &str) -> String {
    let mut walk = Walk::new(config, &calm);
    let most = walk.plan.max_attempts();
    let failures: Vec<_> = failures.split(' ').map(failure).collect();
    let mut goes_on = walk.step(Plan::first);
    while goes_on {
        let i = walk.steps.len().min(failures.len()) - 1;
        goes_on = walk.fail(failures[i].0, failures[i].1);
        assert!(walk.steps.len() <= most, "{most} attempts at most: {}", walk.told());
    }
    walk.told()
}

#[track_caller]
fn check(groups: &str, settings: &Value, rows: &[(&str, &str)]) {
    let config = config(groups, settings.clone());
    for (failures, expected) in rows {
        assert_eq!(walk(&config, failures), *expected, "{groups} {settings}: {failures}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_class_goes_its_way() {
    // Two deployments, two retries unless set, no fallbacks.
    let alone: &[(&str, &str)] = &[
        ("bad_request", "a"),
        ("not_found", "a"),
        ("context_window", "a"),
        ("content_policy", "a"),
        ("authentication", "a b"),
        ("timeout", "a b a+1"),
        ("rate_limit", "a b a+1"),
        ("internal_server", "a b a+1"),
        ("service_unavailable", "a b a+1"),
        ("connection", "a b a+1"),
        ("connection bad_request", "a b"),
        ("internal_server authentication", "a b"),
        ("authentication internal_server", "a b a+1"),
    ];
    check("m: a b", &json!({"num_retries": 2}), alone);

    let with_fallbacks: &[(&str, &str)] = &[
        ("bad_request", "a"),
        ("not_found", "a"),
        ("context_window", "a c>1 d>2"),
        ("content_policy", "a c>1 d>2"),
        ("authentication", "a b c>1 d>2"),
        ("timeout", "a b a+1 c>1 c>1+1 c>1+1 d>2 d>2+1 d>2+1"),
        ("rate_limit", "a b c>1 d>2 d>2+1 d>2+1"),
        ("internal_server internal_server internal_server not_found", "a b a+1 c>1"),
        ("rate_limit rate_limit content_policy", "a b c>1 d>2"),
    ];
    let settings = json!({"num_retries": 2, "fallbacks": [{"m": ["f", "g"]}]});
    check("m: a b; f: c; g: d", &settings, with_fallbacks);
}

#[wasm_bindgen_test(unsupported = test)]
fn num_retries_bounds_the_attempts_of_each_group() {
    let fails = "internal_server";
    let fallbacks = json!([{"m": ["f"]}]);
    for (retries, expected) in [(0, "a d>1"), (1, "a b d>1 d>1+1"), (3, "a b c a+2 d>1 d>1+1 d>1+1 d>1+2")] {
        check("m: a b c; f: d", &json!({"num_retries": retries, "fallbacks": fallbacks}), &[(fails, expected)]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_retry_policy_comes_before_num_retries() {
    let policy = json!({
        "BadRequestErrorRetries": 1, "AuthenticationErrorRetries": 2, "TimeoutErrorRetries": 0,
        "RateLimitErrorRetries": 3, "ContentPolicyViolationErrorRetries": 1,
    });
    let rows: &[(&str, &str)] = &[
        ("bad_request", "a a+1"),
        ("authentication", "a a+1 a+1"),
        ("timeout", "a"),
        ("rate_limit", "a a+1 a+1 a+2"),
        ("content_policy", "a a+1"),
        ("internal_server", "a a+1"),
        // Each failure is judged by its own class: the attempts before count, whatever failed them.
        ("rate_limit rate_limit timeout", "a a+1 a+1"),
        ("internal_server rate_limit", "a a+1 a+1 a+2"),
    ];
    check("m: a", &json!({"num_retries": 1, "retry_policy": policy}), rows);

    let mixed: &[(&str, &str)] =
        &[("timeout", "a c>1"), ("bad_request", "a b"), ("authentication", "a b a+1 c>1 c>1+1 c>1+1")];
    let settings = json!({"num_retries": 1, "retry_policy": policy, "fallbacks": [{"m": ["f"]}]});
    check("m: a b; f: c", &settings, mixed);
}

#[wasm_bindgen_test(unsupported = test)]
fn prompts_too_long_and_refused_ones_have_fallbacks_of_their_own() {
    let settings = json!({
        "num_retries": 0,
        "fallbacks": [{"m": ["f", "g"]}],
        "context_window_fallbacks": [{"m": ["long"]}],
        "content_policy_fallbacks": [{"m": ["free", "g"]}],
    });
    let rows: &[(&str, &str)] = &[
        ("internal_server", "a f>1 g>2"),
        ("context_window", "a l>1"),
        ("content_policy", "a p>1 g>2"),
        ("context_window content_policy", "a l>1 p>2 g>3"),
        ("internal_server context_window", "a f>1 l>2"),
        ("context_window bad_request", "a l>1"),
        ("context_window internal_server", "a l>1"),
        ("content_policy context_window content_policy", "a p>1 l>2"),
    ];
    check("m: a; f: f; g: g; long: l; free: p", &settings, rows);
}

#[wasm_bindgen_test(unsupported = test)]
fn higher_orders_have_retries_of_their_own() {
    let one = json!({"num_retries": 1, "fallbacks": [{"m": ["f"]}]});
    let rows: &[(&str, &str)] = &[
        // Both of the first order, then those of the second; nobody goes back to `c`.
        ("internal_server", "a b d e f>1 f>1+1"),
        ("rate_limit", "a b d e f>1 f>1+1"),
        ("authentication", "a b d e f>1"),
        ("context_window", "a f>1"),
        ("bad_request", "a"),
        ("internal_server internal_server bad_request", "a b d"),
    ];
    check("m: a b c d/2 e/2; f: f", &one, rows);
    let none = json!({"num_retries": 0});
    check("m: c/3 b/2 a/1", &none, &[("timeout", "a b c"), ("timeout not_found", "a b")]);
    // A retry goes to whom has not failed, though its order is higher; retries left go to whom has.
    check("m: a b/2", &json!({"num_retries": 2}), &[("timeout", "a b a+1")]);
    check("m: a/1 b/2 c/3", &json!({"num_retries": 1}), &[("timeout", "a b c c+1")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn waits_grow_on_the_same_deployment() {
    let settings = json!({"num_retries": 7});
    let own = "a a+1 a+1 a+2 a+4 a+8 a+8 a+8";
    check("m: a", &settings, &[("timeout", own)]);
    // Whoever has not failed is not waited for, and his turn counts.
    check("m: a b", &settings, &[("timeout", "a b a+1 a+2 a+4 a+8 a+8 a+8")]);
    // `retry_after` is the least.
    check("m: a", &json!({"num_retries": 4, "retry_after": 3}), &[("timeout", "a a+3 a+3 a+3 a+4")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_may_name_the_wait_up_to_a_minute() {
    let rows: &[(&str, &str)] = &[
        ("rate_limit:30", "a a+30 a+30"),
        ("rate_limit:0", "a a a"),
        ("rate_limit:60", "a a+60 a+60"),
        ("rate_limit:61", "a"),
        ("service_unavailable:7 timeout", "a a+7 a+1"),
        ("timeout service_unavailable:61", "a a+1"),
    ];
    check("m: a", &json!({"num_retries": 2}), rows);
    // Another is asked at once, and a fallback too.
    let settings = json!({"num_retries": 2, "fallbacks": [{"m": ["f"]}]});
    check(
        "m: a b; f: c",
        &settings,
        &[("service_unavailable:61", "a b c>1"), ("service_unavailable:9", "a b a+9 c>1 c>1+9 c>1+9")],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn no_way_is_longer_than_the_longest() {
    let config = config("m: a b; f: c", json!({"num_retries": 99, "fallbacks": [{"m": ["f"]}]}));
    let steps = walk(&config, "internal_server");
    assert_eq!(steps.split(' ').count(), MAX_ATTEMPTS);
    assert_eq!(Plan::new(way(&config), needs(&config)).max_attempts(), MAX_ATTEMPTS);
}

/// What a check says of some deployments by id.
fn passing_over<'a>(skips: &'a [(&'a str, Skip)]) -> impl Fn(&Deployment) -> Result<(), Skip> + 'a {
    |deployment| match skips.iter().find(|(id, _)| *id == deployment.id) {
        Some((_, skip)) => Err(*skip),
        None => Ok(()),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn who_is_passed_over_is_noted_with_the_reason() {
    let config = config("m: a b; f: c", json!({"num_retries": 2, "fallbacks": [{"m": ["f"]}]}));
    let (late, soon) = (Skip::Rpm(at(9000)), Skip::Cooldown(at(4000)));
    type Row<'a> = (&'a [(&'a str, Skip)], &'a str, Option<Millis>);
    let rows: &[Row<'_>] = &[
        (&[], "a", None),
        (&[("a", Skip::Context)], "b", None),
        (&[("a", Skip::Vision), ("b", late)], "c>1", Some(at(9000))),
        (&[("a", late), ("b", soon), ("c", Skip::Tags)], "", Some(at(4000))),
        // Nobody knows when a place is free; a time that is known comes before.
        (&[("a", Skip::Parallel), ("b", Skip::Parallel), ("c", Skip::Parallel)], "", Some(at(1000))),
        (&[("a", Skip::Parallel), ("b", late), ("c", Skip::Vision)], "", Some(at(9000))),
        (&[("a", Skip::Token), ("b", Skip::Parameters), ("c", Skip::Token)], "", None),
    ];
    for (skips, expected, opens_at) in rows {
        let check = passing_over(skips);
        let mut walk = Walk { check: &check, ..Walk::new(&config, &calm) };
        assert_eq!(walk.step(Plan::first), !expected.is_empty());
        assert_eq!((&*walk.told(), walk.skips()), (*expected, skips.to_vec()));
        assert_eq!(walk.plan.opens_at(START), *opens_at, "{skips:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_prompt_that_is_too_long_goes_where_it_fits() {
    let config = config(
        "m: a b; f: c; long: d",
        json!({"num_retries": 0, "fallbacks": [{"m": ["f"]}], "context_window_fallbacks": [{"m": ["long"]}]}),
    );
    let too_long = |id| (id, Skip::Context);
    let rows: &[(&[(&str, Skip)], &str)] = &[
        (&[too_long("a")], "b"),
        (&[too_long("a"), too_long("b")], "d>1"),
        (&[too_long("a"), ("b", Skip::Vision)], "d>1"),
        (&[("a", Skip::Vision), ("b", Skip::Vision)], "c>1"),
        (&[too_long("a"), too_long("b"), too_long("d")], ""),
    ];
    for (skips, expected) in rows {
        let check = passing_over(skips);
        let mut walk = Walk { check: &check, ..Walk::new(&config, &calm) };
        walk.step(Plan::first);
        assert_eq!(walk.told(), *expected, "{skips:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn who_stands_in_follows_from_the_same_failure() {
    let config =
        config("m: a b; f: c", json!({"retry_policy": {"BadRequestErrorRetries": 1}, "fallbacks": [{"m": ["f"]}]}));
    let mut walk = Walk::new(&config, &calm);
    walk.step(Plan::first);
    walk.fail(Class::BadRequest, None);
    assert!(!walk.step(Plan::instead), "no fallback follows a request that is wrong");
    assert_eq!(walk.told(), "a b");
}

#[wasm_bindgen_test(unsupported = test)]
fn fallbacks_that_are_not_allowed_are_noted_when_they_are_passed_over() {
    let config = config("m: a; f: c", json!({"num_retries": 0}));
    let forbidden = config.groups["f"].pool.deployments().to_vec();
    let mut walk = Walk::new(&config, &calm);
    walk.plan = Plan::new(Way { forbidden, ..way(&config) }, needs(&config));
    walk.step(Plan::first);
    assert_eq!(walk.skips(), []);
    assert!(!walk.fail(Class::InternalServer, None));
    assert_eq!(walk.skips(), [("c", Skip::Acl)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn whoever_was_passed_over_is_not_asked_again() {
    let config = config("m: a b c", json!({"num_retries": 4}));
    let check = passing_over(&[("b", Skip::Context)]);
    let mut walk = Walk { check: &check, ..Walk::new(&config, &calm) };
    walk.step(Plan::first);
    while walk.fail(Class::Timeout, None) {}
    assert_eq!(walk.told(), "a c a+1 a+2 a+4");
    assert_eq!(walk.skips(), [("b", Skip::Context)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_step_that_cannot_be_begun_gives_way_and_counts_nothing() {
    let config = config("m: a b c d/2; f: e", json!({"num_retries": 1, "fallbacks": [{"m": ["f"]}]}));
    let mut walk = Walk::new(&config, &calm);
    assert!(walk.step(Plan::first) && walk.step(Plan::instead));
    while walk.fail(Class::Timeout, None) {}
    // `a` was not asked: there are two attempts after it, then the next order with two.
    assert_eq!(walk.told(), "a b c d d+1 e>1 e>1+1");

    let mut walk = Walk::new(&config, &calm);
    assert!(walk.step(Plan::first));
    (0..4).for_each(|_| assert!(walk.step(Plan::instead)));
    assert_eq!(walk.told(), "a b c d e>1");
    assert!(!walk.step(Plan::instead));
}

/// Two workers' fleets over one memory, by turns.
struct Shared {
    store: Rc<Memory>,
    worker: Rc<RefCell<Worker>>,
}

impl Shared {
    fn new(config: &Config) -> Self {
        let new = Self { store: Rc::default(), worker: Rc::new(RefCell::new(Worker::new(1))) };
        new.fleet().prepare(config);
        new
    }

    fn fleet(&self) -> SharedFleet<Rc<Memory>> {
        SharedFleet::new(self.store.clone(), self.worker.clone(), Strategy::LeastBusy)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_others_met_decides_the_next_step() {
    let config = config("m: a b; f: c", json!({"num_retries": 2, "cooldown_time": 5, "fallbacks": [{"m": ["f"]}]}));
    let shared = Shared::new(&config);
    let fleet = || -> Box<dyn Fleet> { Box::new(shared.fleet()) };
    let mut first = Walk::new(&config, &fleet);
    assert!(first.step(Plan::first));
    assert!(first.fail(Class::RateLimit, Some(Millis::from_secs(30))));
    // The second request finds `a` resting; when `b` fails it too, nobody of the group is left for either.
    let mut second = Walk { now: at(200), ..Walk::new(&config, &fleet) };
    assert!(second.step(Plan::first));
    assert!(second.fail(Class::RateLimit, None));
    assert_eq!(second.told(), "b c>1");
    assert_eq!(second.skips(), [("a", Skip::Cooldown(at(30_100)))]);
    first.now = at(400);
    assert!(first.fail(Class::Timeout, None));
    assert_eq!(first.told(), "a b c>1");
    let resting = Skip::Cooldown(at(5300));
    assert_eq!(first.skips(), [("a", Skip::Cooldown(at(30_100))), ("b", resting)]);

    // With its cooldown over, `b` is tried by one request alone.
    let mut probe = Walk { now: at(5300), ..Walk::new(&config, &fleet) };
    let mut other = Walk { now: at(5301), ..Walk::new(&config, &fleet) };
    assert!(probe.step(Plan::first) && other.step(Plan::first));
    assert_eq!((&*probe.told(), probe.steps[0].place.is_probe), ("b", true));
    assert_eq!(other.told(), "c>1");
    assert!(matches!(other.skips()[..], [_, ("b", Skip::Probing(_))]));
}

#[wasm_bindgen_test(unsupported = test)]
fn where_all_are_at_their_limits_the_first_to_open_is_named() {
    let config = config("m: a b", json!({"num_retries": 2}));
    let shared = Shared::new(&config);
    let fleet = || -> Box<dyn Fleet> { Box::new(shared.fleet()) };
    for (id, secs) in [("a", 40), ("b", 20)] {
        let deployment = config.deployments.iter().find(|deployment| deployment.id == id).unwrap();
        let (retry_at, siblings) = (Some(at(secs * 1000)), 2);
        let outcome = Outcome { failure: Some(Class::RateLimit), retry_at, siblings, ..Outcome::default() };
        shared.fleet().tell(deployment, START, &outcome);
    }
    let mut walk = Walk::new(&config, &fleet);
    assert!(!walk.step(Plan::first));
    assert_eq!(walk.plan.opens_at(START), Some(at(20_000)));
}

/// A fleet that refuses some, by chance.
struct Moody(Rc<RefCell<Rng>>);

impl Fleet for Moody {
    fn state(&self, _: &Deployment, _: Millis) -> State {
        State::default()
    }

    fn take(&mut self, _: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip> {
        let is_refused = self.0.borrow_mut().below(8) == 0;
        if is_refused { Err(Skip::Parallel) } else { Ok(Place { is_probe: false, tokens, at: now }) }
    }

    fn tell(&mut self, _: &Deployment, _: Millis, _: &Outcome) {}

    fn leave(&mut self, _: &Deployment, _: Millis, _: &Place, _: &Usage) {}
}

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n.max(1)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn never_come_more_attempts_than_were_announced() {
    let rng = Rc::new(RefCell::new(Rng(7)));
    let below = |n| rng.borrow_mut().below(n);
    let settings = json!({"fallbacks": [{"m": ["f", "g"]}], "context_window_fallbacks": [{"m": ["g"]}],
        "content_policy_fallbacks": [{"m": ["h"]}]});
    let config = config("m: a b c d/2 e/2 i/3; f: f g/2; g: g2 h2; h: h", settings);
    let fleet = || -> Box<dyn Fleet> { Box::new(Moody(rng.clone())) };
    let mut lengths = BTreeMap::new();
    for _ in 0..5000 {
        let mut walk = Walk::new(&config, &fleet);
        let mut way = way(&config);
        for level in &mut way.levels {
            level.num_retries = below(3) as u32;
            level.retries.set(Class::Timeout, [None, Some(0), Some(2)][below(3) as usize]);
        }
        walk.plan = Plan::new(way, needs(&config));
        let (most, mut begun) = (walk.plan.max_attempts(), 0);
        let mut goes_on = walk.step(Plan::first);
        while goes_on {
            while goes_on && below(10) == 0 {
                goes_on = walk.step(Plan::instead);
            }
            if goes_on {
                begun += 1;
                // Mostly failures that others may do better with.
                let class = if below(20) == 0 { Class::ContextWindow } else { Class::ALL[below(10) as usize] };
                let class = if class.moves_on() || below(4) == 0 { class } else { Class::Timeout };
                goes_on = walk.fail(class, None);
            }
        }
        assert!(begun <= most, "{begun} of {most}: {}", walk.told());
        *lengths.entry(begun).or_insert(0) += 1;
    }
    assert!(lengths.len() > 10, "ways of all lengths: {lengths:?}");
}
