//! How a request goes on from attempt to attempt.
//!
//! Every attempt has one outcome: it succeeds, its answer is an error, or it ends without an answer. The outcome is told to
//! the fleet at once, and where it is a failure the next step is taken and made ready then: Envoy asks for its cluster
//! right after. A step that is ready and never begun gives its place back at the end.

use std::cell::RefCell;

use super::{Burned, Exchange, Headers, Prepared, World};
use crate::budget::estimate::Most;
use crate::config::Deployment;
use crate::error::{Error, Kind};
use crate::routing::{Chooser, Class, Outcome, Plan, Step, Usage, quota};
use crate::units::{Millis, PicoUsd};

/// What an answer's headers say about the provider's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// When it wants to be asked again.
    pub retry_at: Option<Millis>,
    /// Until when it has nothing left for us.
    pub exhausted_until: Option<Millis>,
}

impl Quota {
    /// What the headers of an answer with this status say.
    pub(super) fn of(headers: &Headers, status: u16, now: Millis) -> Self {
        let header = |name: &str| headers.text(name);
        Self {
            retry_at: Class::of_status(status).and_then(|class| quota::retry_at(now, class, header)),
            exhausted_until: quota::exhausted_until(now, header),
        }
    }
}

/// The attempt that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its cluster.
    pub cluster: String,
    /// How long Envoy is to wait before, in whole seconds.
    pub wait_secs: u64,
}

/// A timer of Envoy's may go off that much before we think so.
const TIMER_SLACK: Millis = Millis(20);

impl Exchange {
    /// Takes a step and makes it ready. One that this request cannot be put to gives way to another.
    pub(super) fn advance(
        &mut self,
        world: &mut World<'_>,
        choose: impl FnOnce(&mut Plan, &mut Chooser<'_>) -> Option<Step>,
    ) {
        let mut choose = Some(choose);
        loop {
            let refusal = RefCell::new(self.refusal.take());
            let step = {
                let (asked, terms, needs) = (&self.asked, &self.terms, *self.plan.needs());
                let check = |deployment: &Deployment| {
                    terms.suits(asked, &needs, deployment, world.tokens, world.now).map_err(|(skip, error)| {
                        refusal.borrow_mut().get_or_insert(*error);
                        skip
                    })
                };
                let most = || self.most.get_or_init(|| Most::of(asked.client(), needs.tokens));
                let cost = |deployment: &Deployment| {
                    let price = deployment.price.as_ref();
                    price.map(|price| most().cost(price, deployment.target.max_output_tokens)).unwrap_or_default()
                };
                let mut chooser = Chooser {
                    now: world.now,
                    fleet: &mut *world.fleet,
                    check: &check,
                    cost: &cost,
                    random: &mut *world.random,
                };
                match choose.take() {
                    Some(choose) => choose(&mut self.plan, &mut chooser),
                    None => self.plan.instead(&mut chooser),
                }
            };
            self.refusal = refusal.into_inner();
            let Some(step) = step else { return };
            let target = &step.deployment.target;
            let secret = target.credential.secret(world.tokens, world.now);
            match secret.and_then(|secret| self.asked.ask(target, secret)) {
                Ok((ask, upstream)) => {
                    self.next = Some(Prepared { step, ask, upstream });
                    return;
                }
                Err(error) => {
                    self.give_back(&step, world);
                    self.refusal.get_or_insert(error);
                }
            }
        }
    }

    /// Why nobody can be asked.
    pub(super) fn nobody(&mut self, now: Millis) -> Error {
        if let Some(denied) = self.plan.denied() {
            return self.refuse(denied);
        }
        match (self.plan.opens_at(now), self.refusal.take()) {
            (Some(at), _) => {
                let message = "every deployment of this model is resting or at its limit: try again later";
                Error::new(Kind::NoDeployments, message).with_retry_after(at.since(now).max(Millis(1)))
            }
            (None, Some(error)) => error,
            (None, None) => Error::new(Kind::Internal, "the model has no deployment"),
        }
    }

    /// The attempt that follows the one under way.
    pub(super) fn following(&self) -> Option<Next> {
        let next = &self.next.as_ref()?.step;
        Some(Next { cluster: next.deployment.cluster.clone(), wait_secs: next.wait.secs_ceil() })
    }

    /// The attempt under way has failed: what follows.
    pub(super) fn fail(&mut self, class: Class, world: &mut World<'_>) -> Option<Next> {
        self.conclude(Some(class), world);
        if !self.is_answered {
            let retry_at = self.quota.retry_at;
            self.advance(world, |plan, chooser| plan.next(class, retry_at, chooser));
        }
        self.following()
    }

    /// The attempt under way succeeds: its answer goes to the client.
    pub(super) fn succeed(&mut self, world: &mut World<'_>) {
        self.conclude(None, world);
    }

    /// The attempt under way has ended, and nobody saw its end: it was reset, refused or took too long. What follows.
    pub fn lost(&mut self, world: &mut World<'_>) -> Option<Next> {
        if self.is_settled || !self.is_pending() {
            return None;
        }
        let class = self.loss(world.now);
        self.quota = Quota::default();
        self.fail(class, world)
    }

    /// Envoy itself answers in the place of the attempt under way: none follows.
    pub fn given_up(&mut self, world: &mut World<'_>) {
        self.is_answered = true;
        self.lost(world);
    }

    /// The stream of the attempt under way broke off after it had begun.
    pub fn broke(&mut self, world: &mut World<'_>) {
        if self.is_settled || self.attempts.last().is_none_or(|attempt| attempt.failure.is_some()) {
            return;
        }
        self.blame(Class::Connection, world);
    }

    /// Tells of a failure after the answer had begun.
    pub(super) fn blame(&self, class: Class, world: &mut World<'_>) {
        let outcome = Outcome { failure: Some(class), ..self.outcome() };
        if let Some(attempt) = self.attempts.last() {
            world.fleet.tell(&attempt.step.deployment, world.now, &outcome);
        }
    }

    /// Whether the outcome of the attempt under way is still to come.
    pub fn is_pending(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.concluded.is_none())
    }

    fn loss(&self, now: Millis) -> Class {
        let took = self.attempts.last().map(|attempt| now.since(attempt.started)).unwrap_or_default();
        if took.plus(TIMER_SLACK) >= self.per_try_timeout() { Class::Timeout } else { Class::Connection }
    }

    fn outcome(&self) -> Outcome {
        let is_probe = self.attempts.last().is_some_and(|attempt| attempt.step.place.is_probe);
        let (siblings, has_fallbacks) = (self.plan.siblings(), self.plan.has_fallbacks());
        Outcome { siblings, has_fallbacks, is_probe, ..Outcome::default() }
    }

    /// Tells the outcome of the attempt under way, once. A client's own fault says that the provider is well.
    fn conclude(&mut self, failure: Option<Class>, world: &mut World<'_>) {
        let outcome = Outcome {
            failure: failure.filter(|class| class.counts()),
            retry_at: self.quota.retry_at,
            exhausted_until: self.quota.exhausted_until,
            ..self.outcome()
        };
        let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.concluded.is_none()) else { return };
        attempt.concluded = Some(world.now);
        attempt.failure = failure;
        let deployment = attempt.step.deployment.clone();
        if failure.is_some() {
            let usage = Usage { is_timeout: failure == Some(Class::Timeout), ..Usage::default() };
            let Burned { tokens, cost } = self.burned_now();
            self.burned =
                Burned { tokens: self.burned.tokens.saturating_add(tokens), cost: self.burned.cost.plus(cost) };
            self.end_attempt(&Usage { tokens, ..usage }, cost, world);
        }
        world.fleet.tell(&deployment, world.now, &outcome);
    }

    /// The attempt under way is over: gives its place back, and charges its deployment's accounts. Once.
    fn end_attempt(&mut self, usage: &Usage, cost: PicoUsd, world: &mut World<'_>) {
        let Some(attempt) = self.attempts.last_mut().filter(|attempt| !attempt.has_left) else { return };
        attempt.has_left = true;
        let Step { deployment, place, funds, .. } = &attempt.step;
        let usage = Usage { duration: world.now.since(attempt.started), ..*usage };
        world.fleet.leave(deployment, world.now, place, &usage);
        if deployment.is_funded() {
            self.alerts.extend(world.fleet.pay(deployment, world.now, funds, cost, usage.tokens));
        }
    }

    /// Gives back what a step holds that was never begun.
    fn give_back(&self, step: &Step, world: &mut World<'_>) {
        world.fleet.leave(&step.deployment, world.now, &step.place, &Usage::default());
        world.fleet.refund(world.now, &step.funds);
    }

    /// Gives back what the request still holds: the place of its last attempt, which used `usage` and cost `cost`, and that
    /// of a step which never began.
    pub(super) fn leave(&mut self, usage: &Usage, cost: PicoUsd, world: &mut World<'_>) {
        self.is_settled = true;
        if let Some(Prepared { step, .. }) = self.next.take() {
            self.give_back(&step, world);
        }
        self.end_attempt(usage, cost, world);
    }
}
