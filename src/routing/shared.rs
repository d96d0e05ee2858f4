//! The [`Fleet`] over a [`Store`]: one worker's hands on the three records that all workers share.
//!
//! | record | what it holds | when it is read | when it is written |
//! | --- | --- | --- | --- |
//! | `alerts` | who may not be asked ([`Alerts`]) | once by each fleet that is asked | at once: a failure, a probe, an exhausted quota |
//! | `board` | soft facts ([`Board`]) | at ticks; after a failure | at ticks, where there is something to tell |
//! | `meter.<number>` | what is left of a deployment's limits ([`Meter`]) | at every take and leave of a deployment with limits | the same |
//!
//! So a request to a deployment that is open and has no limits costs one read of a value that is usually empty, and its
//! end costs nothing.
//!
//! A fleet lives as long as one callback of the host: it reads the alerts when it is first asked, and goes on with what
//! it has read and written itself.
//!
//! ## When the store fails
//!
//! Routing goes on as if nothing were known: every deployment is open and no limit is held. A gateway that stops for
//! want of its notes would be worse than one that asks a provider too often.
//!
//! # Limits
//!
//! - A probe of a worker that dies costs the rest of its lease, the deployment's timeout for a first token, a minute at
//!   most.
//! - A worker that does not tick for five seconds, with attempts under way, counts as dead: others may take its places.
//! - A store forgets nothing: meters of deployments that the config no longer has remain, a few bytes each.
//! - Samples are kept as the config wants it that was prepared last.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::{
    Alerts, Board, Fleet, Funds, Health, Local, Meter, Outcome, Place, Skip, State, Strategy, Traffic, Usage, View,
};
use crate::budget::account::{Alert, Demand, Denied, Till, reserve};
use crate::config::{Config, Deployment};
use crate::rls::{Ask, Desk};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

/// What one worker keeps of the shared facts, from tick to tick.
#[derive(Debug)]
pub struct Worker {
    vm: u64,
    /// The board as this worker read or wrote it last.
    board: Board,
    /// The version of the board that was read; 0: it was written here since.
    version: u32,
    local: Local,
    till: Till,
    desk: Desk,
}

impl Worker {
    /// The worker of the VM with this number, drawn at its start.
    pub fn new(vm: u64) -> Self {
        Self {
            vm,
            board: Board::default(),
            version: 0,
            local: Local::new(vm, 0),
            till: Till::new(vm),
            desk: Desk::default(),
        }
    }

    /// What it has in hand of busy accounts.
    pub const fn till(&mut self) -> &mut Till {
        &mut self.till
    }

    /// What it knows of the rate limit service and owes it.
    pub const fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }
}

/// The fleet as one worker sees it, for one callback.
#[derive(Debug)]
pub struct SharedFleet<S> {
    store: S,
    worker: Rc<RefCell<Worker>>,
    strategy: Strategy,
    alerts: OnceCell<Alerts>,
}

impl<S: Store> SharedFleet<S> {
    /// The fleet that `worker` sees in `store`, where deployments are chosen by `strategy`.
    pub const fn new(store: S, worker: Rc<RefCell<Worker>>, strategy: Strategy) -> Self {
        Self { store, worker, strategy, alerts: OnceCell::new() }
    }

    /// Makes the records of a config, empty where there are none: what is known of a deployment outlasts the config.
    pub fn prepare(&self, config: &Config) {
        self.store.prepare(ALERTS);
        self.store.prepare(BOARD);
        for deployment in config.deployments.iter().filter(|deployment| !deployment.limits.is_none()) {
            self.store.prepare(&meter(deployment));
        }
        let samples = if let Strategy::Latency { samples, .. } = self.strategy { samples } else { 0 };
        self.worker.borrow_mut().local.keep(samples);
    }

    /// Tells the others what this worker has seen, and learns what they have: to be called every 50 ms.
    pub fn tick(&self, now: Millis) {
        self.worker.borrow_mut().till.tell(&self.store, now);
        let is_due = self.worker.borrow().local.is_due(now);
        match self.strategy {
            _ if is_due => self.merge(now),
            Strategy::LeastBusy | Strategy::Latency { .. } | Strategy::Usage => self.refresh(),
            Strategy::SimpleShuffle | Strategy::Cost => {}
        }
    }

    fn merge(&self, now: Millis) {
        let local = self.worker.borrow().local.clone();
        let merged = self.store.update(BOARD, |bytes| {
            let mut board = Board::decode(bytes);
            board.merge(now, &local);
            (Some(board.encode()), board)
        });
        if let Some(board) = merged {
            let worker = &mut *self.worker.borrow_mut();
            (worker.board, worker.version) = (board, 0);
            worker.local.merged(now);
        }
    }

    /// Takes over the board, where it is another one.
    fn refresh(&self) {
        if let Some((bytes, version)) = self.store.get(BOARD)
            && version != self.worker.borrow().version
        {
            let worker = &mut *self.worker.borrow_mut();
            (worker.board, worker.version) = (Board::decode(&bytes), version);
        }
    }

    /// The number of this worker's VM.
    pub fn vm(&self) -> u64 {
        self.worker.borrow().vm
    }

    /// Tells of a VM whether it beats while it has attempts under way. The board is read once, when it is first asked.
    pub fn witness(&self, now: Millis) -> impl Fn(u64) -> bool {
        let board = OnceCell::new();
        let read = || self.store.get(BOARD).map(|(bytes, _)| Board::decode(&bytes));
        move |vm| board.get_or_init(read).as_ref().is_none_or(|board: &Board| board.is_alive(now, vm))
    }

    fn alerts(&self) -> &Alerts {
        self.alerts.get_or_init(|| self.store.get(ALERTS).map(|(bytes, _)| Alerts::decode(&bytes)).unwrap_or_default())
    }

    /// Changes the alerts, where `change` says so. Whether it did; `None` where the store fails.
    fn change_alerts(&mut self, change: impl Fn(&mut Alerts) -> bool) -> Option<bool> {
        let (alerts, has_changed) = self.store.update(ALERTS, |bytes| {
            let mut alerts = Alerts::decode(bytes);
            let has_changed = change(&mut alerts);
            (has_changed.then(|| alerts.encode()), (alerts, has_changed))
        })?;
        self.alerts = OnceCell::from(alerts);
        Some(has_changed)
    }

    /// Asks for admission by the alerts. Whether it is to be a probe.
    fn enter(&mut self, deployment: &Deployment, now: Millis) -> Result<bool, Skip> {
        match self.alerts().health(now, deployment) {
            Health::Open => return Ok(false),
            Health::Closed(skip) => return Err(skip),
            Health::HalfOpen => {}
        }
        if self.change_alerts(|alerts| alerts.claim(now, deployment, lease(deployment))) == Some(true) {
            return Ok(true);
        }
        // Another worker was faster: what it made of the deployment holds.
        match self.alerts().health(now, deployment) {
            Health::Closed(skip) => Err(skip),
            Health::Open | Health::HalfOpen => Ok(false),
        }
    }

    /// Gives a probe back that came to no outcome.
    fn release(&mut self, deployment: &Deployment, now: Millis, claimed_at: Millis) {
        self.change_alerts(|alerts| alerts.release(now, deployment, claimed_at, lease(deployment)));
    }

    /// Takes a place within the limits.
    fn admit(&self, deployment: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip> {
        if deployment.limits.is_none() {
            return Ok(Place { is_probe: false, tokens, at: now });
        }
        let (vm, is_alive) = (self.vm(), self.witness(now));
        let taken = self.store.update(&meter(deployment), |bytes| {
            let mut meter = Meter::decode(bytes);
            let taken = meter.take(now, &deployment.limits, tokens, vm, &is_alive);
            (taken.is_ok().then(|| meter.encode()), taken)
        });
        taken.unwrap_or(Ok(UNCOUNTED))
    }
}

impl<S: Store> Fleet for SharedFleet<S> {
    fn state(&self, deployment: &Deployment, now: Millis) -> State {
        let health = self.health(deployment, now);
        let ttl = if let Strategy::Latency { ttl, .. } = self.strategy { ttl } else { Millis::default() };
        let worker = self.worker.borrow();
        State { health, ..View::new(&worker.board, &worker.local).state(now, deployment.number, ttl) }
    }

    fn health(&self, deployment: &Deployment, now: Millis) -> Health {
        self.alerts().health(now, deployment)
    }

    fn take(&mut self, deployment: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip> {
        let is_probe = self.enter(deployment, now)?;
        match self.admit(deployment, now, tokens) {
            Ok(place) => {
                self.worker.borrow_mut().local.begun(now, deployment.number, place.tokens);
                Ok(Place { is_probe, ..place })
            }
            Err(skip) => {
                if is_probe {
                    self.release(deployment, now, now);
                }
                Err(skip)
            }
        }
    }

    fn fund(&mut self, deployment: &Deployment, now: Millis, cost: PicoUsd, tokens: u64) -> Result<Funds, Denied> {
        let announced = Ask::of_deployment(&deployment.fleet_caps, now);
        let mut used_up = Vec::new();
        if let Some(ask) = &announced {
            used_up = self.worker.borrow_mut().desk.used_up(ask, now);
            ask.denied(&used_up).map_or(Ok(()), Err)?;
        }
        let is_alive = self.witness(now);
        let demand = Demand { now, cost, tokens, is_alive: &is_alive, fails_closed: false };
        let worker = &mut *self.worker.borrow_mut();
        let holds = reserve(&self.store, &mut worker.till, &deployment.accounts, &demand)?;
        announced.iter().for_each(|ask| worker.desk.announce(ask, now));
        Ok(Funds { holds, announced, used_up })
    }

    fn refund(&mut self, now: Millis, funds: &Funds) {
        funds.holds.cancel(&self.store, now);
        funds.announced.iter().for_each(|ask| self.worker.borrow_mut().desk.retract(ask));
    }

    fn pay(&mut self, deployment: &Deployment, now: Millis, funds: &Funds, cost: PicoUsd, tokens: u64) -> Vec<Alert> {
        let worker = &mut *self.worker.borrow_mut();
        funds.announced.iter().for_each(|ask| worker.desk.owe(ask.owed(true, now, cost.0, tokens)));
        funds.holds.settle(&self.store, &mut worker.till, &deployment.accounts, now, cost, tokens)
    }

    fn tell(&mut self, deployment: &Deployment, now: Millis, outcome: &Outcome) {
        let mut traffic = Traffic::default();
        if outcome.failure.is_some() {
            self.worker.borrow_mut().local.failed(now, deployment.number);
            // Failures of all workers are counted at once. They must not be held against requests of this one alone.
            self.refresh();
            let worker = self.worker.borrow();
            let view = View::new(&worker.board, &worker.local);
            let (begun, _) = view.totals(now, deployment.number);
            let under_way = view.state(now, deployment.number, Millis::default()).in_flight.into();
            traffic = Traffic { begun, under_way };
        }
        if outcome.failure.is_some() || outcome.is_probe || outcome.exhausted_until.is_some() {
            self.change_alerts(|alerts| alerts.fail(now, deployment, outcome, traffic));
        }
    }

    fn leave(&mut self, deployment: &Deployment, now: Millis, place: &Place, usage: &Usage) {
        let vm = self.worker.borrow().vm;
        self.worker.borrow_mut().local.ended(now, deployment.number, place.tokens, usage);
        if !deployment.limits.is_none() {
            self.store.update(&meter(deployment), |bytes| {
                let mut meter = Meter::decode(bytes);
                meter.leave(vm, place, usage.tokens);
                (Some(meter.encode()), ())
            });
        }
        if place.is_probe {
            self.release(deployment, now, place.at);
        }
    }
}

/// How long others wait for the outcome of a probe.
fn lease(deployment: &Deployment) -> Millis {
    deployment.timeouts.first_token
}

fn meter(deployment: &Deployment) -> String {
    format!("tollgate.1.meter.{:016x}", deployment.number)
}

const ALERTS: &str = "tollgate.1.alerts";
const BOARD: &str = "tollgate.1.board";
/// A place that no meter has counted: it was taken before any.
const UNCOUNTED: Place = Place { is_probe: false, tokens: 0, at: Millis(0) };

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
