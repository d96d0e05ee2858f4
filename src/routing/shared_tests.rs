//! Several workers over one store, by turns, in each other's way, and in threads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{SharedFleet, Worker, meter};
use crate::config::{Config, Deployment, Env, Limits};
use crate::routing::{Class, Fleet, Health, Outcome, Place, Skip, Strategy, Usage};
use crate::store::{Memory, Store, Swap};
use crate::units::Millis;

/// The first millisecond of a minute in 2026.
const START: u64 = 29_900_000 * 60_000;

fn at(ms: u64) -> Millis {
    Millis(START + ms)
}

/// A config of two deployments of one group, with these limits.
fn config(limits: Limits) -> Config {
    let entry = |id: &str| {
        json!({"model_name": "m", "model_info": {"id": id},
            "litellm_params": {"model": "openai/unknown", "api_key": format!("sk-{id}")}})
    };
    let document = json!({"model_list": [entry("a"), entry("b")], "tollgate": {"allow_anonymous": true}});
    let mut config = Config::compile(&document, Env::Strict(&|_| None)).unwrap();
    config.groups.clear();
    for deployment in &mut config.deployments {
        Rc::get_mut(deployment).unwrap().limits = limits;
    }
    config
}

fn parallel(most: u64) -> Limits {
    Limits { parallel: Some(most), ..Limits::default() }
}

fn failure(class: Class) -> Outcome {
    Outcome { failure: Some(class), siblings: 2, ..Outcome::default() }
}

fn probed(failure: Option<Class>) -> Outcome {
    Outcome { failure, siblings: 2, is_probe: true, ..Outcome::default() }
}

/// A store that lets somebody else act just before a swap, and counts what it is asked.
#[derive(Default)]
struct Contested {
    memory: Memory,
    rival: RefCell<Option<Box<dyn FnOnce()>>>,
    gets: Cell<u32>,
    sets: Cell<u32>,
    is_broken: Cell<bool>,
}

impl Store for Contested {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.gets.set(self.gets.get() + 1);
        self.memory.get(name).filter(|_| !self.is_broken.get())
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        if self.is_broken.get() {
            return Swap::Failed;
        }
        self.sets.set(self.sets.get() + 1);
        let rival = self.rival.borrow_mut().take();
        rival.into_iter().for_each(|act| act());
        self.memory.set(name, value, version)
    }
}

/// Workers 1, 2, 3 of one Envoy.
#[derive(Clone)]
struct Workers {
    store: Rc<Contested>,
    workers: Vec<Rc<RefCell<Worker>>>,
    strategy: Strategy,
    config: Rc<Config>,
}

type Hands = SharedFleet<Rc<Contested>>;

impl Workers {
    fn new(strategy: Strategy, limits: Limits) -> Self {
        let workers = (0..=3).map(|vm| Rc::new(RefCell::new(Worker::new(vm)))).collect();
        let new = Self { store: Rc::default(), workers, strategy, config: Rc::new(config(limits)) };
        (1..=3).for_each(|i| new.fleet(i).prepare(&new.config));
        new
    }

    /// What worker `i` has in hand during one callback.
    fn fleet(&self, i: usize) -> Hands {
        SharedFleet::new(self.store.clone(), self.workers[i].clone(), self.strategy)
    }

    fn deployment(&self) -> &Deployment {
        &self.config.deployments[0]
    }

    fn take(&self, i: usize, ms: u64) -> Result<Place, Skip> {
        self.fleet(i).take(self.deployment(), at(ms), 10)
    }

    fn leave(&self, i: usize, ms: u64, place: &Place) {
        self.fleet(i).leave(self.deployment(), at(ms), place, &Usage { tokens: 10, ..Usage::default() });
    }

    fn tell(&self, i: usize, ms: u64, outcome: &Outcome) {
        self.fleet(i).tell(self.deployment(), at(ms), outcome);
    }

    fn health(&self, i: usize, ms: u64) -> Health {
        self.fleet(i).health(self.deployment(), at(ms))
    }

    fn in_flight(&self, i: usize, ms: u64) -> u32 {
        self.fleet(i).state(self.deployment(), at(ms)).in_flight
    }

    /// Has a clone of these workers act before the next swap.
    fn rival(&self, act: impl FnOnce(&Self) + 'static) {
        let workers = self.clone();
        *self.store.rival.borrow_mut() = Some(Box::new(move || act(&workers)));
    }

    /// How many reads and writes `act` took.
    fn cost(&self, act: impl FnOnce(&Self)) -> (u32, u32) {
        let before = (self.store.gets.get(), self.store.sets.get());
        act(self);
        (self.store.gets.get() - before.0, self.store.sets.get() - before.1)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_worker_skips_a_cooled_deployment_at_once() {
    let all = Workers::new(Strategy::SimpleShuffle, Limits::default());
    let place = all.take(1, 0).unwrap();
    all.tell(1, 10, &failure(Class::RateLimit));
    all.leave(1, 10, &place);
    let until = Skip::Cooldown(at(5010));
    for i in 1..=3 {
        assert_eq!(all.health(i, 11), Health::Closed(until));
        assert_eq!(all.take(i, 11), Err(until));
        assert_eq!(all.in_flight(i, 11), 0);
    }
    // The other deployment, with another credential, is as it was.
    assert_eq!(all.fleet(1).health(&all.config.deployments[1], at(11)), Health::Open);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_worker_tries_whether_it_has_recovered() {
    let all = Workers::new(Strategy::SimpleShuffle, Limits::default());
    all.tell(1, 0, &failure(Class::RateLimit));
    assert_eq!(all.health(2, 5000), Health::HalfOpen);
    // The third is faster than the second, between its read and its swap.
    all.rival(|all| assert!(all.take(3, 5000).unwrap().is_probe));
    assert!(matches!(all.take(2, 5000), Err(Skip::Probing(_))));
    all.tell(3, 5100, &probed(Some(Class::InternalServer)));
    assert!(matches!(all.health(1, 5101), Health::Closed(Skip::Cooldown(_))));

    let probe = all.take(1, 10_200).unwrap();
    assert!(probe.is_probe);
    all.tell(1, 10_300, &probed(None));
    assert!((1..=3).all(|i| all.health(i, 10_301) == Health::Open));
    all.leave(1, 10_400, &probe);
    assert!(!all.take(2, 10_401).unwrap().is_probe);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_probe_without_an_outcome_is_handed_on() {
    let all = Workers::new(Strategy::SimpleShuffle, parallel(1));
    // It is busy with what began before it failed: the probe finds no place.
    let place = all.take(1, 0).unwrap();
    all.tell(2, 0, &failure(Class::RateLimit));
    assert_eq!(all.take(2, 5000), Err(Skip::Parallel));
    assert_eq!(all.health(3, 5000), Health::HalfOpen);
    all.leave(1, 5001, &place);
    // Its client goes away.
    let probe = all.take(2, 5002).unwrap();
    assert!(matches!(all.take(3, 5003), Err(Skip::Probing(_))));
    all.leave(2, 5004, &probe);
    assert!(all.take(3, 5005).unwrap().is_probe);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_race_for_the_last_place_is_a_refusal() {
    let limits = [
        (parallel(1), Skip::Parallel),
        (Limits { rpm: Some(1), ..Limits::default() }, Skip::Rpm(at(60_000))),
        (Limits { tpm: Some(19), ..Limits::default() }, Skip::Tpm(at(60_000))),
    ];
    for (limits, skip) in limits {
        let all = Workers::new(Strategy::SimpleShuffle, limits);
        let won = Rc::new(Cell::new(None));
        let rival = won.clone();
        all.rival(move |all| rival.set(all.take(2, 0).ok()));
        assert_eq!(all.take(1, 0), Err(skip));
        all.leave(2, 1, &won.take().unwrap());
        // A worker whose attempt is over gives its place back, whoever else takes one meanwhile.
        let place = all.take(1, 60_000).unwrap();
        all.rival(move |all| assert!(all.take(3, 60_001).is_err()));
        all.leave(1, 60_001, &place);
        assert_eq!(all.take(3, 60_002).is_ok(), skip == Skip::Parallel);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_told_at_the_same_time_count_both() {
    let all = Workers::new(Strategy::SimpleShuffle, Limits::default());
    for round in 0..3 {
        (0..2).for_each(|_| assert!(all.take(1, round).is_ok()));
        all.rival(move |all| all.tell(2, round, &failure(Class::InternalServer)));
        all.tell(1, round, &failure(Class::InternalServer));
        // Six of six in a minute, where five are needed; four were not enough.
        assert_eq!(all.health(3, round) == Health::Open, round < 2, "{round}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_quiet_worker_holds_failures_against_the_requests_of_all() {
    let all = Workers::new(Strategy::SimpleShuffle, Limits::default());
    for ms in 0..20 {
        all.take(1, ms).unwrap();
    }
    all.fleet(1).tick(at(50));
    // Ten of twenty-one failed, and the second worker has seen one request.
    (0..9).for_each(|_| all.tell(1, 60, &failure(Class::InternalServer)));
    all.take(2, 61).unwrap();
    all.tell(2, 61, &failure(Class::InternalServer));
    assert_eq!(all.health(3, 62), Health::Open);
    all.tell(2, 62, &failure(Class::InternalServer));
    assert!(matches!(all.health(3, 63), Health::Closed(_)));
}

#[wasm_bindgen_test(unsupported = test)]
fn workers_learn_of_each_other_at_their_ticks() {
    let all = Workers::new(Strategy::LeastBusy, Limits::default());
    let place = all.take(1, 0).unwrap();
    all.take(2, 0).unwrap();
    assert_eq!([1, 2, 3].map(|i| all.in_flight(i, 1)), [1, 1, 0]);
    // The second merges between the first one's read and its swap.
    all.rival(|all| all.fleet(2).tick(at(50)));
    all.fleet(1).tick(at(50));
    all.fleet(3).tick(at(51));
    assert_eq!([1, 2, 3].map(|i| all.in_flight(i, 52)), [2, 1, 2]);
    all.leave(1, 60, &place);
    (1..=3).for_each(|i| all.fleet(i).tick(at(100)));
    assert_eq!([1, 2, 3].map(|i| all.in_flight(i, 101)), [1, 1, 1]);
    let state = all.fleet(3).state(all.deployment(), at(101));
    // The tokens of the second one's attempt are set aside.
    assert_eq!((state.requests, state.tokens, state.health), (2, 20, Health::Open));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_worker_that_dies_leaks_nothing() {
    let all = Workers::new(Strategy::LeastBusy, parallel(2));
    // The first dies right away, without having ticked, the second after having told everyone.
    all.take(1, 0).unwrap();
    all.take(2, 0).unwrap();
    all.fleet(2).tick(at(50));
    for ms in [1, 100, 4999] {
        assert_eq!(all.take(3, ms), Err(Skip::Parallel), "{ms}");
    }
    // Five seconds later there is a place, and one more when the second one's last beat is five seconds old.
    let place = all.take(3, 5001).unwrap();
    assert_eq!(all.take(3, 5002), Err(Skip::Parallel));
    all.take(3, 5051).unwrap();
    assert_eq!(all.take(3, 5052), Err(Skip::Parallel));
    all.fleet(3).tick(at(5100));
    assert_eq!(all.in_flight(3, 5101), 2);
    all.leave(3, 5102, &place);

    // A long attempt of a worker that goes on ticking keeps its place.
    (52..400).for_each(|tick| all.fleet(3).tick(at(tick * 100)));
    all.take(1, 40_000).unwrap();
    assert_eq!(all.take(1, 40_001), Err(Skip::Parallel));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_costs_one_read_where_nothing_is_limited() {
    let all = Workers::new(Strategy::SimpleShuffle, Limits::default());
    assert_eq!(all.cost(|all| (1..=3).for_each(|i| all.fleet(i).tick(at(0)))), (0, 0));
    let run = |all: &Workers| {
        let mut fleet = all.fleet(1);
        all.config.deployments.iter().for_each(|each| assert_eq!(fleet.health(each, at(0)), Health::Open));
        let place = fleet.take(all.deployment(), at(0), 10).unwrap();
        all.tell(1, 1, &Outcome::default());
        all.leave(1, 2, &place);
    };
    assert_eq!(all.cost(run), (1, 0));
    assert_eq!(all.cost(|all| all.fleet(1).tick(at(50))), (1, 1));
    assert_eq!(all.cost(|all| all.fleet(1).tick(at(100))), (0, 0));

    let all = Workers::new(Strategy::SimpleShuffle, parallel(1));
    assert_eq!(all.cost(run), (3, 2));
    all.take(2, 3).unwrap();
    let refused = |all: &Workers| assert_eq!(all.take(1, 3), Err(Skip::Parallel));
    assert_eq!(all.cost(refused), (2, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_its_store_routing_goes_on() {
    let all = Workers::new(Strategy::Usage, Limits { rpm: Some(1), ..parallel(1) });
    let places = |all: &Workers| [1, 2].map(|i| all.take(i, 0));
    all.store.is_broken.set(true);
    let uncounted = places(&all);
    assert!(uncounted.iter().all(Result::is_ok));
    all.tell(1, 1, &failure(Class::RateLimit));
    all.fleet(1).tick(at(50));
    assert_eq!((all.health(1, 51), all.in_flight(1, 51)), (Health::Open, 1));

    // When it is back, what was never counted is not given back either.
    all.store.is_broken.set(false);
    let counted = all.take(1, 60).unwrap();
    (1..).zip(uncounted).for_each(|(i, place)| all.leave(i, 61, &place.unwrap()));
    assert!(matches!(all.take(2, 62), Err(Skip::Rpm(_))));
    all.fleet(1).tick(at(59_000));
    assert_eq!(all.take(2, 60_000), Err(Skip::Parallel));
    all.leave(1, 60_001, &counted);
    all.take(2, 60_002).unwrap();
    (1..=3).for_each(|i| all.fleet(i).tick(at(60_003)));
    assert_eq!(all.in_flight(3, 60_004), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_known_outlasts_the_config_and_hostile_bytes_do_no_harm() {
    let all = Workers::new(Strategy::SimpleShuffle, parallel(1));
    all.take(1, 0).unwrap();
    all.tell(1, 0, &failure(Class::RateLimit));
    let changed = Workers { config: Rc::new(config(parallel(2))), ..all.clone() };
    (1..=3).for_each(|i| changed.fleet(i).prepare(&changed.config));
    assert!(matches!(changed.health(2, 1), Health::Closed(_)));
    assert!(changed.take(2, 5000).unwrap().is_probe);
    changed.tell(2, 5000, &probed(None));
    assert_eq!(changed.take(3, 5000), Err(Skip::Parallel));

    for name in [super::ALERTS, super::BOARD, &meter(all.deployment())] {
        all.store.memory.set(name, &[0xff; 77], 0);
    }
    let place = all.take(1, 1).unwrap();
    all.fleet(1).tick(at(50));
    all.leave(1, 51, &place);
    all.take(2, 52).unwrap();
}

/// Workers in threads of their own, as in Envoy.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn workers_in_threads_never_pass_a_limit() {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Locked(Arc<Mutex<Memory>>);

    impl Store for Locked {
        fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
            self.0.lock().unwrap().get(name)
        }

        fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
            self.0.lock().unwrap().set(name, value, version)
        }
    }

    const MOST: u64 = 3;
    const RPM: u64 = 500;
    let limits = Limits { rpm: Some(RPM), ..parallel(MOST) };
    let (store, running, begun) = (Locked::default(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let hands = |store: &Locked, vm| {
        let worker = Rc::new(RefCell::new(Worker::new(vm)));
        SharedFleet::new(store.clone(), worker, Strategy::LeastBusy)
    };
    hands(&store, 0).prepare(&config(limits));
    let threads: Vec<_> = (1..=6)
        .map(|vm| {
            let (store, running, begun) = (store.clone(), running.clone(), begun.clone());
            std::thread::spawn(move || {
                let config = config(limits);
                let (deployment, mut fleet) = (&config.deployments[0], hands(&store, vm));
                for _ in 0..2000 {
                    let Ok(place) = fleet.take(deployment, at(0), 1) else { continue };
                    assert!(running.fetch_add(1, SeqCst) < MOST);
                    begun.fetch_add(1, SeqCst);
                    fleet.tick(at(1));
                    std::thread::yield_now();
                    running.fetch_sub(1, SeqCst);
                    fleet.leave(deployment, at(2), &place, &Usage { tokens: 1, ..Usage::default() });
                }
                fleet.tick(at(3));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(begun.load(SeqCst), RPM);
    let (fleet, config) = (hands(&store, 0), config(limits));
    fleet.tick(at(4));
    let state = fleet.state(&config.deployments[0], at(4));
    assert_eq!((state.in_flight, state.requests, state.tokens), (0, RPM, RPM));
}
