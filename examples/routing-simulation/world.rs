//! The gateway in a simulated world: events in the order of their time, and the filter's own routing to decide.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use tollgate::budget::Rate;
use tollgate::config::{Config, Deployment, Group};
use tollgate::routing::fleet::Calm;
use tollgate::routing::{
    Chooser, Fleet, Level, Needs, Outcome, Plan, SharedFleet, Skip, Step, Usage, Way, Worker, quota,
};
use tollgate::store::Memory;
use tollgate::units::{Millis, PicoUsd};

use crate::chance::Chance;
use crate::provider::{Answer, Provider};
use crate::report::{Attempt, Outcomes, Request};
use crate::scenario::{Arrival, START, Scenario};

/// Envoy's workers.
const WORKERS: u64 = 4;
/// How often each of them ticks.
const TICK: Millis = Millis(50);

/// Who routes.
#[derive(Clone, Debug)]
pub(crate) enum Router {
    /// Tollgate, with a `routing_strategy` and other `router_settings`.
    Tollgate(&'static str, Value),
    /// The same plan and retries, by chance, without anything being known of the deployments.
    Blind,
}

/// Runs a scenario until the last request has ended.
///
/// # Errors
///
/// The config has a fault.
pub(crate) fn run(scenario: &Scenario, router: &Router) -> Result<Outcomes, String> {
    let config = match router {
        Router::Tollgate(strategy, settings) => scenario.config(strategy, true, settings)?,
        Router::Blind => scenario.config("simple-shuffle", false, &serde_json::json!({}))?,
    };
    let is_blind = matches!(router, Router::Blind);
    let mut world = World::new(scenario, config, is_blind);
    let mut arrivals = scenario.arrivals();
    world.await_arrival(arrivals.next());
    world.at(START, Event::Tick);
    while let Some(((now, _), event)) = world.events.pop_first() {
        match event {
            Event::Tick => world.tick(now),
            Event::Arrival(ask) => {
                world.arrive(ask);
                world.await_arrival(arrivals.next());
            }
            Event::Begin(id) => world.begin(now, id),
            Event::End(id) => world.end(now, id),
        }
    }
    Ok(world.outcomes)
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Tick,
    Arrival(Arrival),
    /// The wait before an attempt is over.
    Begin(u64),
    End(u64),
}

/// A request under way.
struct Flow {
    ask: Arrival,
    plan: Plan,
    worker: usize,
    attempts: u32,
    /// The attempt under way.
    step: Option<Step>,
    began: Millis,
    answer: Answer,
}

struct World {
    config: Config,
    way: Way,
    is_blind: bool,
    seed: u64,
    ends: Millis,
    store: Rc<Memory>,
    workers: Vec<Rc<RefCell<Worker>>>,
    /// By the ids of their deployments.
    providers: BTreeMap<String, Provider>,
    flows: BTreeMap<u64, Flow>,
    /// By their time; those of one millisecond in the order in which they were made.
    events: BTreeMap<(Millis, u64), Event>,
    count: u64,
    routing: Chance,
    outcomes: Outcomes,
}

impl World {
    fn new(scenario: &Scenario, config: Config, is_blind: bool) -> Self {
        let provider =
            |(i, site): (usize, &crate::scenario::Site)| (site.id.to_owned(), Provider::new(scenario, i, *site));
        let world = Self {
            way: way(&config),
            config,
            is_blind,
            seed: scenario.seed,
            ends: START.plus(scenario.length),
            store: Rc::default(),
            workers: (1..=WORKERS).map(|vm| Rc::new(RefCell::new(Worker::new(vm)))).collect(),
            providers: scenario.sites.iter().enumerate().map(provider).collect(),
            flows: BTreeMap::new(),
            events: BTreeMap::new(),
            count: 0,
            routing: Chance::new(scenario.seed, 2),
            outcomes: Outcomes::default(),
        };
        world.hands().for_each(|fleet| fleet.prepare(&world.config));
        world
    }

    fn at(&mut self, at: Millis, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn await_arrival(&mut self, ask: Option<Arrival>) {
        ask.into_iter().for_each(|ask| self.at(ask.at, Event::Arrival(ask)));
    }

    /// What each worker has in hand.
    fn hands(&self) -> impl Iterator<Item = SharedFleet<Rc<Memory>>> {
        let strategy = self.config.routing.strategy;
        self.workers.iter().map(move |worker| SharedFleet::new(self.store.clone(), worker.clone(), strategy))
    }

    /// What the worker of a request asks and tells in one callback.
    fn fleet(&self, worker: usize) -> Box<dyn Fleet> {
        match self.hands().nth(worker) {
            Some(fleet) if !self.is_blind => Box::new(fleet),
            _ => Box::new(Calm),
        }
    }

    fn tick(&mut self, now: Millis) {
        self.hands().for_each(|fleet| fleet.tick(now));
        if now < self.ends || !self.flows.is_empty() {
            self.at(now.plus(TICK), Event::Tick);
        }
    }

    fn arrive(&mut self, ask: Arrival) {
        let needs = Needs {
            strategy: self.config.routing.strategy,
            tokens: ask.prompt_tokens,
            retry_after: self.config.routing.retry_after,
            ..Needs::default()
        };
        let plan = Plan::new(self.way.clone(), needs);
        let worker = self.routing.below(WORKERS) as usize;
        let began = ask.at;
        let flow = Flow { ask, plan, worker, attempts: 0, step: None, began, answer: Answer::default() };
        self.count += 1;
        self.step(ask.at, self.count, flow, Plan::first);
    }

    /// Takes the next step of a request; without one it has failed.
    fn step(
        &mut self,
        now: Millis,
        id: u64,
        mut flow: Flow,
        choose: impl FnOnce(&mut Plan, &mut Chooser<'_>) -> Option<Step>,
    ) {
        let mut fleet = self.fleet(flow.worker);
        let mut random = |n| self.routing.below(n);
        let check = |_: &Deployment| -> Result<(), Skip> { Ok(()) };
        let mut chooser =
            Chooser { now, fleet: &mut *fleet, check: &check, cost: &|_| PicoUsd(0), random: &mut random };
        flow.step = choose(&mut flow.plan, &mut chooser);
        match &flow.step {
            // Envoy waits whole seconds.
            Some(step) => {
                self.at(now.plus(Millis::from_secs(step.wait.secs_ceil())), Event::Begin(id));
                self.flows.insert(id, flow);
            }
            None => self.outcomes.requests.push(Request::new(&flow.ask, flow.attempts, None)),
        }
    }

    fn begin(&mut self, now: Millis, id: u64) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let Some((step, provider)) =
            flow.step.as_ref().and_then(|step| Some((step, self.providers.get_mut(&step.deployment.id)?)))
        else {
            return;
        };
        // The same for whoever routes, as far as the same is asked.
        let mut chance = Chance::new(self.seed ^ flow.ask.at.0, 3 + u64::from(flow.attempts));
        flow.answer = provider.begin(now, &flow.ask, step.deployment.timeouts.whole, &mut chance);
        (flow.attempts, flow.began) = (flow.attempts + 1, now);
        self.outcomes.attempts.push(Attempt {
            at: now.since(START),
            id: step.deployment.id.clone(),
            is_probe: step.place.is_probe,
            failure: flow.answer.failure,
        });
        let ends = now.plus(flow.answer.takes);
        self.at(ends, Event::End(id));
    }

    fn end(&mut self, now: Millis, id: u64) {
        let Some(mut flow) = self.flows.remove(&id) else { return };
        let Some(step) = flow.step.take() else { return };
        self.providers.get_mut(&step.deployment.id).into_iter().for_each(Provider::end);
        let (outcome, usage) = (outcome(&flow, &step, now), usage(&flow, now));
        let mut fleet = self.fleet(flow.worker);
        fleet.leave(&step.deployment, now, &step.place, &usage);
        fleet.tell(&step.deployment, now, &outcome);
        if let Some(class) = outcome.failure {
            self.step(now, id, flow, |plan, chooser| plan.next(class, outcome.retry_at, chooser));
            return;
        }
        self.outcomes.cost = self.outcomes.cost.plus(cost(&step.deployment, &flow.ask));
        self.outcomes.requests.push(Request::new(&flow.ask, flow.attempts, Some(now)));
    }
}

fn way(config: &Config) -> Way {
    let level = |(name, group): (&String, &Group)| Level {
        group: name.clone(),
        pool: group.pool.clone(),
        retries: group.retries,
        num_retries: group.num_retries,
    };
    Way { levels: config.groups.iter().map(level).collect(), ..Way::default() }
}

fn outcome(flow: &Flow, step: &Step, now: Millis) -> Outcome {
    let header = |name: &str| flow.answer.header(name);
    let failure = flow.answer.failure;
    Outcome {
        failure,
        retry_at: failure.and_then(|class| quota::retry_at(now, class, header)),
        exhausted_until: quota::exhausted_until(now, header),
        siblings: flow.plan.siblings(),
        has_fallbacks: flow.plan.has_fallbacks(),
        is_probe: step.place.is_probe,
    }
}

fn usage(flow: &Flow, now: Millis) -> Usage {
    let duration = now.since(flow.began);
    match flow.answer.failure {
        Some(class) => Usage { duration, is_timeout: class == tollgate::routing::Class::Timeout, ..Usage::default() },
        None => Usage {
            tokens: flow.ask.prompt_tokens + flow.ask.output_tokens,
            output_tokens: flow.ask.output_tokens,
            duration,
            is_success: true,
            ..Usage::default()
        },
    }
}

fn cost(deployment: &Deployment, ask: &Arrival) -> PicoUsd {
    let cost = deployment.price.as_ref().map(|price| {
        price.list(Rate::Input).times(ask.prompt_tokens).plus(price.list(Rate::Output).times(ask.output_tokens))
    });
    cost.unwrap_or_default()
}
