//! The world of the simulation: providers that fail, slow down and refuse, and clients that ask.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use serde_json::json;
use tollgate::config::{Config, Deployment, Env};
use tollgate::routing::{
    Chooser, Class, Fleet, Level, Memory, Needs, Outcome, Plan, SharedFleet, Skip, Step, Strategy, Usage, Way, Worker,
};
use tollgate::units::{Millis, PicoUsd};

/// How many deployments there are.
pub const DEPLOYMENTS: usize = 10;
const WORKERS: usize = 4;
const TICK: Millis = Millis(50);
/// The mean time between two requests.
const BETWEEN_MS: f64 = 50.0;
const PROMPT_TOKENS: u64 = 500;
const OUTPUT_TOKENS: u64 = 200;
/// The first millisecond of a minute in 2026.
const START: Millis = Millis(29_900_000 * 60_000);

/// What is simulated.
pub struct Setup {
    pub strategy: Strategy,
    pub cooldowns: bool,
    pub length: Millis,
    pub seed: u64,
    /// How many deployments never fail; the first ones.
    pub healthy: usize,
}

/// What came of it.
#[derive(Default)]
pub struct Outcomes {
    pub requests: u64,
    pub answered: u64,
    pub attempts: u64,
    pub cost: PicoUsd,
    /// From the request to its answer, in milliseconds, sorted.
    pub latencies: Vec<u64>,
}

impl Outcomes {
    /// The share of the requests that were answered without an error.
    pub fn goodput(&self) -> f64 {
        self.answered as f64 / self.requests.max(1) as f64
    }

    /// In milliseconds; `share` is 0.5 for the median.
    pub fn percentile(&self, share: f64) -> u64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// xorshift64*.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n.max(1)
    }

    fn unit(&mut self) -> f64 {
        (self.below(1 << 30) + 1) as f64 / (1u64 << 30) as f64
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-mean * self.unit().ln()) as u64
    }
}

/// A group of `count` deployments; each costs more than the one before.
pub fn config(count: usize, cooldowns: bool) -> Config {
    let entry = |i: usize| {
        let usd = 1e-6 * (1.0 + i as f64 / 4.0);
        json!({"model_name": "m", "model_info": {"id": format!("d{i}")}, "litellm_params": {
            "model": "openai/unknown", "api_key": format!("sk-{i}"),
            "input_cost_per_token": usd, "output_cost_per_token": 4.0 * usd}})
    };
    let list: Vec<_> = (0..count).map(entry).collect();
    let document = json!({"model_list": list, "tollgate": {"allow_anonymous": true},
        "router_settings": {"num_retries": 2, "cooldown_time": 5, "disable_cooldowns": !cooldowns}});
    let faults = |faults: Vec<tollgate::config::Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    Config::compile(&document, Env::Strict(&|_| None)).map_err(faults).expect("the config has no faults")
}

/// The way of a request to the one group of `config`.
pub fn way(config: &Config) -> Way {
    let level = |(name, group): (&String, &tollgate::config::Group)| Level {
        group: name.clone(),
        pool: group.pool.clone(),
        retries: group.retries,
        num_retries: group.num_retries,
    };
    Way { levels: config.groups.iter().map(level).collect(), ..Way::default() }
}

/// What a provider does now and then.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// Every request is answered 500, fast.
    Outage,
    /// Every request takes eight times as long.
    Slow,
}

/// A provider's fate: its phases of trouble, and a bucket of requests.
struct Provider {
    phases: Vec<(u64, u64, Trouble)>,
    mean_ms: f64,
    /// Requests a minute.
    limit: u64,
    minute: u64,
    begun: u64,
}

impl Provider {
    fn new(i: usize, setup: &Setup, rng: &mut Rng) -> Self {
        let (mut phases, mut at) = (Vec::new(), rng.exponential(150_000.0));
        while i >= setup.healthy && at < setup.length.0 {
            let length = 10_000 + rng.exponential(40_000.0);
            let trouble = if rng.below(3) == 0 { Trouble::Slow } else { Trouble::Outage };
            phases.push((START.0 + at, START.0 + at + length, trouble));
            at += length + rng.exponential(250_000.0);
        }
        let limit = if i >= setup.healthy && i % 3 == 2 { 90 } else { u64::MAX };
        Self { phases, mean_ms: 600.0 + 150.0 * (i as f64), limit, minute: 0, begun: 0 }
    }

    /// How long an attempt takes, and how it ends: a failure with the time it is asked for again, where that is told.
    fn answer(&mut self, now: Millis, rng: &mut Rng) -> (Millis, Option<(Class, Option<Millis>)>) {
        let minute = now.0 / 60_000;
        if self.minute != minute {
            (self.minute, self.begun) = (minute, 0);
        }
        self.begun += 1;
        if self.begun > self.limit {
            return (Millis(20), Some((Class::RateLimit, Some(Millis((minute + 1) * 60_000)))));
        }
        let trouble = self.phases.iter().find(|(from, to, _)| (*from..*to).contains(&now.0)).map(|phase| phase.2);
        let whole = 200 + rng.exponential(self.mean_ms);
        match trouble {
            Some(Trouble::Outage) => (Millis(100), Some((Class::InternalServer, None))),
            Some(Trouble::Slow) => (Millis(8 * whole), None),
            None => (Millis(whole), None),
        }
    }
}

/// A request under way.
struct Request {
    plan: Plan,
    began: Millis,
    worker: usize,
    /// The attempt under way, when it began, and how it will end.
    attempt: Option<(Step, Millis, Option<(Class, Option<Millis>)>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Arrival,
    /// The wait before an attempt is over.
    Begin(usize),
    End(usize),
}

struct World<'a> {
    setup: &'a Setup,
    config: Config,
    store: Rc<Memory>,
    workers: Vec<Rc<RefCell<Worker>>>,
    providers: Vec<Provider>,
    requests: Vec<Request>,
    events: BinaryHeap<Reverse<(Millis, Event)>>,
    /// Of the world, and of routing: strategies meet the same arrivals.
    arrivals: Rng,
    rng: Rng,
    outcomes: Outcomes,
}

/// Runs a simulation until the last request has ended.
pub fn run(setup: &Setup) -> Outcomes {
    let mut fates = Rng(setup.seed);
    let mut world = World {
        setup,
        config: config(DEPLOYMENTS, setup.cooldowns),
        store: Rc::default(),
        workers: (1..=WORKERS as u64).map(|vm| Rc::new(RefCell::new(Worker::new(vm)))).collect(),
        providers: (0..DEPLOYMENTS).map(|i| Provider::new(i, setup, &mut fates)).collect(),
        requests: Vec::new(),
        events: BinaryHeap::from([Reverse((START, Event::Tick)), Reverse((START, Event::Arrival))]),
        arrivals: Rng(setup.seed ^ 0x5eed),
        rng: Rng(setup.seed ^ 0xfade),
        outcomes: Outcomes::default(),
    };
    (0..WORKERS).for_each(|i| world.fleet(i).prepare(&world.config));
    while let Some(Reverse((now, event))) = world.events.pop() {
        world.meet(now, event);
    }
    world.outcomes.latencies.sort_unstable();
    world.outcomes
}

impl World<'_> {
    fn fleet(&self, worker: usize) -> SharedFleet<Rc<Memory>> {
        SharedFleet::new(self.store.clone(), self.workers[worker].clone(), self.setup.strategy)
    }

    fn at(&mut self, at: Millis, event: Event) {
        self.events.push(Reverse((at, event)));
    }

    fn meet(&mut self, now: Millis, event: Event) {
        let is_open = now.since(START) < self.setup.length;
        match event {
            Event::Tick => {
                (0..WORKERS).for_each(|i| self.fleet(i).tick(now));
                if is_open {
                    self.at(now.plus(TICK), Event::Tick);
                }
            }
            Event::Arrival if is_open => {
                self.arrive(now);
                let wait = self.arrivals.exponential(BETWEEN_MS);
                self.at(now.plus(Millis(wait)), Event::Arrival);
            }
            Event::Arrival => {}
            Event::Begin(i) => self.begin(now, i),
            Event::End(i) => self.end(now, i),
        }
    }

    fn arrive(&mut self, now: Millis) {
        let needs = Needs { strategy: self.setup.strategy, tokens: PROMPT_TOKENS, ..Needs::default() };
        let worker = self.arrivals.below(WORKERS as u64) as usize;
        let plan = Plan::new(way(&self.config), needs);
        self.requests.push(Request { plan, began: now, worker, attempt: None });
        self.outcomes.requests += 1;
        self.step(now, self.requests.len() - 1, Plan::first);
    }

    /// Takes the next step; without one the request fails.
    fn step(&mut self, now: Millis, i: usize, choose: impl FnOnce(&mut Plan, &mut Chooser<'_>) -> Option<Step>) {
        let mut fleet = self.fleet(self.requests[i].worker);
        let (check, rng) = (|_: &Deployment| -> Result<(), Skip> { Ok(()) }, &mut self.rng);
        let mut random = |n| rng.below(n);
        let mut chooser = Chooser { now, fleet: &mut fleet, check: &check, random: &mut random };
        let request = &mut self.requests[i];
        if let Some(step) = choose(&mut request.plan, &mut chooser) {
            // Envoy waits whole seconds.
            let begins = now.plus(Millis::from_secs(step.wait.secs_ceil()));
            request.attempt = Some((step, begins, None));
            self.at(begins, Event::Begin(i));
        }
    }

    fn begin(&mut self, now: Millis, i: usize) {
        let Some((step, _, ends)) = &mut self.requests[i].attempt else { return };
        let provider: usize = step.deployment.id[1..].parse().expect("an id is d and a number");
        let (takes, failure) = self.providers[provider].answer(now, &mut self.rng);
        *ends = failure;
        self.outcomes.attempts += 1;
        self.at(now.plus(takes), Event::End(i));
    }

    fn end(&mut self, now: Millis, i: usize) {
        let Some((step, begun, failure)) = self.requests[i].attempt.take() else { return };
        let request = &self.requests[i];
        let outcome = Outcome {
            failure: failure.map(|(class, _)| class),
            retry_at: failure.and_then(|(_, retry_at)| retry_at),
            exhausted_until: None,
            siblings: request.plan.siblings(),
            has_fallbacks: request.plan.has_fallbacks(),
            is_probe: step.place.is_probe,
        };
        let is_success = failure.is_none();
        let output_tokens = if is_success { OUTPUT_TOKENS } else { 0 };
        let usage = Usage {
            reserved_tokens: step.place.tokens,
            tokens: if is_success { PROMPT_TOKENS + OUTPUT_TOKENS } else { 0 },
            output_tokens,
            duration: now.since(begun),
            is_success,
            ..Usage::default()
        };
        let mut fleet = self.fleet(request.worker);
        fleet.tell(&step.deployment, now, &outcome);
        fleet.leave(&step.deployment, now, &step.place, &usage);
        match failure {
            Some((class, retry_at)) => self.step(now, i, |plan, chooser| plan.next(class, retry_at, chooser)),
            None => {
                self.outcomes.answered += 1;
                self.outcomes.latencies.push(now.since(request.began).0);
                if let Some(price) = &step.deployment.price {
                    let cost = price.input.times(PROMPT_TOKENS).plus(price.output.times(OUTPUT_TOKENS));
                    self.outcomes.cost = self.outcomes.cost.plus(cost);
                }
            }
        }
    }
}
